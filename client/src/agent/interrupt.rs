use std::{
    io::{self, IsTerminal as _},
    thread,
};

use signal_hook::{
    consts::{SIGINT, SIGTERM},
    iterator::Signals,
    low_level::emulate_default_handler,
};

use crate::{error::Error, fetch::Cancellation};

/// Lets SIGINT and SIGTERM end what is being fetched, by a cancellation: an installation that has begun
/// comes to its end. The second one ends this process at once, and the next command mends what that left.
pub(super) fn listen() -> Result<Cancellation, Error> {
    let unheard = |error: io::Error| Error::local(format!("signals cannot be received: {error}"));
    let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(unheard)?;
    let cancellation = Cancellation::default();
    let receiver = cancellation.clone();
    let receive = move || {
        for signal in signals.forever() {
            if receiver.is_requested() {
                let _ = emulate_default_handler(signal);
            }
            receiver.request();
            if io::stderr().is_terminal() {
                eprintln!("it ends as soon as it can; once more, and it ends at once");
            }
        }
    };
    thread::Builder::new().name("signals".to_owned()).spawn(receive).map_err(unheard)?;
    Ok(cancellation)
}
