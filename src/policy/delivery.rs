//! What is done after a try to tell somebody something.

use std::time::Duration;

/// How long is waited after each try that failed. After the last of them a delivery is dead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule(Vec<Duration>);

/// What came of a try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver has it.
    Accepted,
    /// The receiver wants nothing any more.
    Gone,
    /// It did not get there.
    Failed {
        /// For how long the receiver asks to be left alone.
        retry_after: Option<Duration>,
        /// What went wrong, in words for whoever looks after the receiver.
        why: String,
    },
}

/// What is done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing: it is done.
    Done,
    /// It is tried again after this time.
    Again(Duration),
    /// Nothing more by itself.
    GiveUp,
    /// Nothing more by itself, and nothing else is sent to this receiver.
    GiveUpReceiver,
}

impl Default for Schedule {
    /// Ten tries over some three days, as Standard Webhooks suggests.
    fn default() -> Self {
        let hours = [2, 5, 10, 14, 20, 24].map(Duration::from_hours);
        let soon = [Duration::from_secs(5), Duration::from_mins(5), Duration::from_mins(30)];
        Self([&soon[..], &hours].concat())
    }
}

impl Schedule {
    /// The most tries, beside the first one.
    pub const RETRIES_MAX: usize = 20;
    /// The longest wait.
    pub const WAIT_MAX: Duration = Duration::from_hours(24);

    /// The schedule with these waits in seconds; says what is wrong with them otherwise.
    pub fn of_seconds(seconds: &[u32]) -> Result<Self, String> {
        if seconds.len() > Self::RETRIES_MAX {
            let (found, most) = (seconds.len(), Self::RETRIES_MAX);
            return Err(format!("{found} waits: expected at most {most}"));
        }
        let waits: Vec<_> = seconds.iter().map(|one| Duration::from_secs((*one).into())).collect();
        match waits.iter().find(|wait| wait.is_zero() || **wait > Self::WAIT_MAX) {
            None => Ok(Self(waits)),
            Some(wait) => {
                let (found, most) = (wait.as_secs(), Self::WAIT_MAX.as_secs());
                Err(format!("a wait of {found} s: expected 1 to {most}"))
            }
        }
    }

    /// What is done after the try number `tries`, the first of which is 1. The waits are made longer
    /// by up to a fifth, by `seed`, so that what failed together is not tried together.
    pub fn next(&self, tries: u32, outcome: &Outcome, seed: u64) -> Next {
        let retry_after = match outcome {
            Outcome::Accepted => return Next::Done,
            Outcome::Gone => return Next::GiveUpReceiver,
            Outcome::Failed { retry_after, .. } => retry_after,
        };
        let place = usize::try_from(tries).unwrap_or(usize::MAX).saturating_sub(1);
        let Some(wait) = self.0.get(place) else { return Next::GiveUp };
        let share = u32::try_from(seed % 1000).unwrap_or_default();
        let jittered = wait.saturating_add(*wait / 5 * share / 1000);
        let asked = retry_after.unwrap_or_default().min(Self::WAIT_MAX);
        Next::Again(jittered.max(asked))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn failed(retry_after: Option<Duration>) -> Outcome {
        Outcome::Failed { retry_after, why: "answered 500".to_owned() }
    }

    #[test]
    fn ten_tries_take_some_three_days() {
        let schedule = Schedule::default();
        let (mut tries, mut waited) = (0, Duration::ZERO);
        loop {
            tries += 1;
            match schedule.next(tries, &failed(None), 0) {
                Next::Again(wait) => waited += wait,
                next => break assert_eq!(next, Next::GiveUp),
            }
        }
        assert_eq!((tries, waited.as_secs()), (10, 5 + 300 + 1800 + 75 * 3600));
    }

    #[test]
    fn a_schedule_is_read_without_mistakes() {
        assert_eq!(Schedule::of_seconds(&[]).unwrap().next(1, &failed(None), 0), Next::GiveUp);
        assert!(Schedule::of_seconds(&[1, 86_400]).is_ok());
        for (wrong, expected) in [
            (&[0][..], "a wait of 0 s: expected 1 to 86400"),
            (&[86_401], "a wait of 86401 s: expected 1 to 86400"),
            (&[1; 21], "21 waits: expected at most 20"),
        ] {
            assert_eq!(Schedule::of_seconds(wrong), Err(expected.to_owned()));
        }
    }

    proptest! {
        #[test]
        fn what_failed_is_tried_again_no_sooner_than_it_should(
            waits in prop::collection::vec(1_u32..=86_400, 0..20),
            tries in 1_u32..30,
            seed: u64,
            asked in prop::option::of(0_u64..1_000_000),
        ) {
            let schedule = Schedule::of_seconds(&waits).unwrap();
            let outcome = failed(asked.map(Duration::from_secs));
            let next = schedule.next(tries, &outcome, seed);
            prop_assert_eq!(next, schedule.next(tries, &outcome, seed));
            match waits.get(tries as usize - 1) {
                None => prop_assert_eq!(next, Next::GiveUp),
                Some(wait) => {
                    let Next::Again(after) = next else { panic!("{next:?}") };
                    let wait = Duration::from_secs((*wait).into());
                    let asked = Duration::from_secs(asked.unwrap_or(0)).min(Schedule::WAIT_MAX);
                    prop_assert!(after >= wait && after >= asked);
                    prop_assert!(after <= (wait + wait / 5).max(asked));
                }
            }
        }

        #[test]
        fn what_was_accepted_or_refused_for_good_is_never_tried_again(tries: u32, seed: u64) {
            let schedule = Schedule::default();
            prop_assert_eq!(schedule.next(tries, &Outcome::Accepted, seed), Next::Done);
            prop_assert_eq!(schedule.next(tries, &Outcome::Gone, seed), Next::GiveUpReceiver);
        }
    }
}
