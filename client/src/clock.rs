//! The only place in this crate that reads the time. Everything else is given a [`Clock`].

use std::time::Duration;

use jiff::Timestamp;
use rustix::{
    fs::Timespec,
    time::{ClockId, clock_gettime},
};

use crate::install::Moment;

/// What tells the time.
pub type Clock = Box<dyn Fn() -> Moment + Send>;

/// The machine's own clocks.
pub fn system() -> Clock {
    // Where it cannot be read, a start is noticed by the time since it, which is less than before.
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let boot = boot.trim().to_owned();
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the time")]
    let now = move || Moment {
        wall: Timestamp::now(),
        boot: boot.clone(),
        uptime_seconds: clock_gettime(ClockId::Boottime).tv_sec.try_into().unwrap_or(0),
    };
    Box::new(now)
}

/// The time that the kernel stamps files with. It moves on in steps of some milliseconds.
pub(crate) fn file_stamp() -> Timespec {
    clock_gettime(ClockId::RealtimeCoarse)
}

/// Waits until files get another stamp than `stamp`, and not much longer than that takes.
pub(crate) fn outlast(stamp: Timespec) {
    // On a machine whose processors are not always given to it, a step can take many times as long.
    const LOOKS: u32 = 200;
    for _ in 0..LOOKS {
        if file_stamp() != stamp {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}
