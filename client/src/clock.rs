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

/// The time now, by the clock whose steps the kernel stamps files with. No file has a later stamp.
pub(crate) fn wall() -> Timespec {
    clock_gettime(ClockId::Realtime)
}

/// Waits until files get a later stamp than `time`, and not much longer than that takes.
///
/// The kernel stamps by a clock that moves on in steps of some milliseconds, and newer ones (from 6.13 on)
/// now and then by the exact time between two steps. So that the step is another one is not enough: on
/// a machine whose processors are not always given to it, steps come late, and an exact stamp may be ahead
/// of the next one.
pub(crate) fn outlast(time: Timespec) {
    // A step can take many times as long there, too.
    const LOOKS: u32 = 200;
    for _ in 0..LOOKS {
        if clock_gettime(ClockId::RealtimeCoarse) > time {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}
