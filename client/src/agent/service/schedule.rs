//! When the service looks again.

use std::time::Duration;

/// What has come of the latest check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Latest {
    /// The server answered, and asked to be asked again after so many seconds.
    Answered {
        /// The seconds.
        poll_seconds: u32,
    },
    /// It did not, for the so-manieth time in a row.
    Failed {
        /// How many times, from 1.
        times: u32,
        /// How long the server asked to be left alone, where it did.
        retry_after: Option<Duration>,
    },
}

/// The shortest time between two checks, whatever a server says.
const PAUSE_MIN: Duration = Duration::from_secs(30);
/// The longest after a failure: an hour.
const BACKOFF_MAX: Duration = Duration::from_hours(1);
/// The longest that a server can put a machine off: a day. Longer would be a freeze.
const PAUSE_MAX: Duration = Duration::from_hours(24);

/// How long to wait until the next check. `random` is uniform in `0..=u32::MAX` and spreads the
/// machines of a fleet, so that neither an interval that all share nor a server that comes back
/// brings all of them at once.
pub(super) fn pause(latest: Latest, random: u32) -> Duration {
    let fraction = f64::from(random) / f64::from(u32::MAX);
    match latest {
        // A tenth more or less.
        Latest::Answered { poll_seconds } => {
            let asked = Duration::from_secs(poll_seconds.into()).clamp(PAUSE_MIN, PAUSE_MAX);
            asked.mul_f64(0.9 + 0.2 * fraction).max(PAUSE_MIN)
        }
        // From half to the whole of what doubles each time.
        Latest::Failed { times, retry_after } => {
            let doubled = PAUSE_MIN.saturating_mul(1 << times.saturating_sub(1).min(16));
            let backoff = doubled.min(BACKOFF_MAX).mul_f64(0.5 + 0.5 * fraction);
            let asked = retry_after.unwrap_or_default().min(PAUSE_MAX);
            asked.mul_f64(1.0 + 0.1 * fraction).max(backoff)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn seconds(latest: Latest, random: u32) -> u64 {
        pause(latest, random).as_secs()
    }

    #[test]
    fn an_answered_check_is_repeated_when_the_server_said() {
        let latest = Latest::Answered { poll_seconds: 1000 };
        assert_eq!((seconds(latest, 0), seconds(latest, u32::MAX)), (900, 1100));
        let hasty = Latest::Answered { poll_seconds: 0 };
        assert_eq!(seconds(hasty, 0), 30);
        let never = Latest::Answered { poll_seconds: u32::MAX };
        assert_eq!(seconds(never, 0), 24 * 3600 * 9 / 10);
    }

    #[test]
    fn after_failures_the_pauses_double_up_to_an_hour() {
        let failed = |times| Latest::Failed { times, retry_after: None };
        let pauses = [1, 2, 3, 7, 8, 40, u32::MAX].map(|times| seconds(failed(times), u32::MAX));
        assert_eq!(pauses, [30, 60, 120, 1920, 3600, 3600, 3600]);
        assert_eq!(seconds(failed(3), 0), 60);
    }

    #[test]
    fn a_server_that_asks_to_be_left_alone_is() {
        let failed =
            |seconds| Latest::Failed { times: 1, retry_after: Some(Duration::from_secs(seconds)) };
        assert_eq!((seconds(failed(600), 0), seconds(failed(600), u32::MAX)), (600, 660));
        assert_eq!(seconds(failed(1), u32::MAX), 30);
        assert_eq!(seconds(failed(u64::MAX), 0), 24 * 3600);
    }

    proptest! {
        #[test]
        fn no_pause_is_shorter_than_half_a_minute_nor_much_longer_than_a_day(
            random: u32, poll_seconds: u32, times: u32, retry_after: Option<u64>,
        ) {
            let retry_after = retry_after.map(Duration::from_secs);
            for latest in [Latest::Answered { poll_seconds }, Latest::Failed { times, retry_after }] {
                let pause = pause(latest, random);
                let day = Duration::from_hours(24);
                prop_assert!(pause >= PAUSE_MIN / 2 && pause <= day.mul_f64(1.1), "{pause:?}");
            }
        }
    }
}
