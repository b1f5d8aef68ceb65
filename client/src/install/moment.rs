use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A moment on a machine, told by two clocks.
///
/// The time of day may be set while a program is on probation, so that it tells people when, and
/// nothing is decided by it. What is decided is decided by the time since the machine's start,
/// which nobody can set, and by which start that was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The time of day.
    pub wall: Timestamp,
    /// Which start of the machine it is after.
    pub boot: String,
    /// How long after that, in seconds, the time of a sleeping machine included.
    pub uptime_seconds: u64,
}

/// How much of a probation is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Watch {
    /// How much remained at the last look, in seconds.
    pub remaining_seconds: u64,
    /// During which start of the machine that was.
    pub boot: String,
    /// How long after that start, in seconds.
    pub uptime_seconds: u64,
    /// How often the machine was started since the probation began.
    pub starts: u32,
}

impl Watch {
    /// The watch of a probation that begins at `now` and takes so many seconds.
    pub(super) fn begin(seconds: u64, now: &Moment) -> Self {
        let Moment { boot, uptime_seconds, .. } = now.clone();
        Self { remaining_seconds: seconds, boot, uptime_seconds, starts: 0 }
    }

    /// The same at `now`. What passed while the machine was off does not count, nor what passed
    /// between the last look and its end.
    pub(super) fn at(&self, now: &Moment) -> Self {
        let passed = now.uptime_seconds.checked_sub(self.uptime_seconds);
        let passed = passed.filter(|_| now.boot == self.boot);
        Self {
            remaining_seconds: self.remaining_seconds.saturating_sub(passed.unwrap_or(0)),
            starts: self.starts.saturating_add(u32::from(passed.is_none())),
            ..Self::begin(0, now)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(boot: &str, uptime_seconds: u64, wall: i64) -> Moment {
        let wall = Timestamp::from_second(wall).unwrap();
        Moment { wall, boot: boot.to_owned(), uptime_seconds }
    }

    #[test]
    fn only_the_time_of_a_running_machine_counts_whatever_its_clock_says() {
        let watch = Watch::begin(600, &moment("a", 1000, 0));
        let watch = watch.at(&moment("a", 1100, 9_000_000));
        assert_eq!((watch.remaining_seconds, watch.starts), (500, 0));
        let watch = watch.at(&moment("b", 30, -9_000_000));
        assert_eq!((watch.remaining_seconds, watch.starts), (500, 1));
        let watch = watch.at(&moment("b", 530, 0));
        assert_eq!((watch.remaining_seconds, watch.starts), (0, 1));
    }

    #[test]
    fn a_machine_that_seems_to_have_run_for_less_was_started_again() {
        let watch = Watch::begin(600, &moment("", 1000, 0)).at(&moment("", 10, 0));
        assert_eq!((watch.remaining_seconds, watch.starts), (600, 1));
    }
}
