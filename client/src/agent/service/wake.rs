use std::{
    io,
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::Duration,
};

use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGTERM},
    iterator::Signals,
};

use crate::{
    clock::{self, Clock},
    fetch::Cancellation,
};

/// Why a pause is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wake {
    /// It has lasted as long as it should.
    Due,
    /// Somebody wants it to look at once.
    Now,
    /// Somebody wants it to end.
    Stop,
}

/// The signals that the service obeys, from its start on.
pub(super) struct Wakes {
    received: Receiver<Wake>,
    clock: Clock,
}

impl Wakes {
    /// The time of a sleeping machine counts, but a clock that counts it wakes nobody: so the pause
    /// is looked at this often.
    const LOOK_EVERY: Duration = Duration::from_mins(1);

    /// Listens. What is being fetched when the end is wanted ends by `cancellation`; an installation
    /// goes on to its own end, within the time that its release was given.
    pub(super) fn listen(cancellation: Cancellation) -> io::Result<Self> {
        let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM])?;
        let (sender, wakes) = channel();
        let receive = move || {
            for signal in signals.forever() {
                let wake = if signal == SIGHUP { Wake::Now } else { Wake::Stop };
                if wake == Wake::Stop {
                    cancellation.request();
                }
                if sender.send(wake).is_err() {
                    return;
                }
            }
        };
        thread::Builder::new().name("signals".to_owned()).spawn(receive)?;
        Ok(Self { received: wakes, clock: clock::system() })
    }

    /// Waits for so long, or until a signal.
    pub(super) fn wait(&self, pause: Duration) -> Wake {
        let due = self.uptime().saturating_add(pause);
        loop {
            let left = due.saturating_sub(self.uptime());
            match self.received.recv_timeout(left.min(Self::LOOK_EVERY)) {
                Ok(wake) => return wake,
                Err(RecvTimeoutError::Timeout) if left > Self::LOOK_EVERY => {}
                Err(RecvTimeoutError::Timeout) => return Wake::Due,
                Err(RecvTimeoutError::Disconnected) => return Wake::Stop,
            }
        }
    }

    fn uptime(&self) -> Duration {
        Duration::from_secs((self.clock)().uptime_seconds)
    }
}
