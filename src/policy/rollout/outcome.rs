//! What became of a release on the machines that tried it, and what a rollout makes of that.

use std::{fmt, num::NonZeroU32};

use mainstay_client::format::{
    Version,
    wire::{Event, EventKind},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::waves::Share;

/// What became of one release on one machine, as it has told last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was switched on, and is on probation.
    Tried,
    /// It was confirmed.
    Succeeded,
    /// It was undone because it failed, or the machine has gone back from it.
    Failed,
}

impl Outcome {
    /// What an event says of a release. An order to go back tells nothing of the version that it leads
    /// to, but that the one before is not to be had any more; what breaks off for a reason of the
    /// machine's, or waits, has not been tried.
    pub fn told_by(event: &Event) -> Option<(&Version, Self)> {
        match (event.kind, event.order) {
            (EventKind::RolledBack, _) => event.from.as_ref().map(|from| (from, Self::Failed)),
            (EventKind::Installed, None) => Some((&event.to, Self::Tried)),
            (EventKind::Confirmed, None) => Some((&event.to, Self::Succeeded)),
            (EventKind::Undone, None) => Some((&event.to, Self::Failed)),
            _ => None,
        }
    }
}

/// On how many machines a release was tried, and what became of it. Each machine counts once, with the
/// last that it has told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Outcomes {
    /// Those that tried it, whatever became of it.
    pub tried: u64,
    /// Those that confirmed it.
    pub succeeded: u64,
    /// Those that have undone it or gone back from it.
    pub failed: u64,
}

impl Outcomes {
    /// The same after a machine of which `before` was known has told `now`.
    #[must_use]
    pub fn after(mut self, before: Option<Outcome>, now: Outcome) -> Self {
        if let Some(count) = before.and_then(|before| self.of(before)) {
            *count = count.saturating_sub(1);
        }
        if before.is_none() {
            self.tried += 1;
        }
        if let Some(count) = self.of(now) {
            *count += 1;
        }
        self
    }

    fn of(&mut self, outcome: Outcome) -> Option<&mut u64> {
        match outcome {
            Outcome::Tried => None,
            Outcome::Succeeded => Some(&mut self.succeeded),
            Outcome::Failed => Some(&mut self.failed),
        }
    }

    /// What has come since `before`.
    #[must_use]
    pub fn since(self, before: Self) -> Self {
        Self {
            tried: self.tried.saturating_sub(before.tried),
            succeeded: self.succeeded.saturating_sub(before.succeeded),
            failed: self.failed.saturating_sub(before.failed),
        }
    }
}

/// A share of the machines that tried a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Threshold {
    /// The share.
    pub share: Share,
    /// How many machines must have tried it before the share means anything.
    pub tried_min: NonZeroU32,
}

impl fmt::Display for Threshold {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} of at least {}", self.share, self.tried_min)
    }
}

/// How many failures are too many.
///
/// One failure among the first few machines says little, a share of many says much: so a share and a
/// number, and both must be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FailureThreshold {
    /// The share of the machines that tried the release.
    pub share: Share,
    /// How many machines must have tried it before the share means anything.
    pub tried_min: NonZeroU32,
    /// How many machines must have failed, however large a share they are.
    #[serde(default = "FailureThreshold::any")]
    pub failed_min: NonZeroU32,
}

impl FailureThreshold {
    /// What a threshold wants that says no number: one failure is enough, if it is the share.
    fn any() -> NonZeroU32 {
        NonZeroU32::MIN
    }

    /// Whether so many have failed.
    fn is_reached_by(&self, Outcomes { tried, failed, .. }: Outcomes) -> bool {
        tried >= u64::from(self.tried_min.get())
            && failed >= u64::from(self.failed_min.get())
            && self.share.is_reached_by(failed, tried)
    }
}

impl fmt::Display for FailureThreshold {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { share, tried_min, failed_min } = self;
        write!(formatter, "{share} of at least {tried_min}")?;
        match failed_min.get() {
            1 => Ok(()),
            count => write!(formatter, ", {count} or more"),
        }
    }
}

/// What is too bad, and what is good enough.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Thresholds {
    /// The rollout pauses where so many have failed.
    #[serde(default)]
    pub failure: Option<FailureThreshold>,
    /// No further wave begins while fewer than so many have succeeded.
    #[serde(default)]
    pub success: Option<Threshold>,
}

impl Thresholds {
    /// Those of a server that is not told otherwise; see [`Waves::usual`](super::Waves::usual).
    pub fn usual() -> Self {
        let share = Share::of_basis_points(200);
        let three = NonZeroU32::MIN.saturating_add(2);
        let failure =
            share.map(|share| FailureThreshold { share, tried_min: three, failed_min: three });
        Self { failure, success: None }
    }
}

/// What a rollout makes of its outcomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on.
    Continue,
    /// No further wave begins for now.
    Hold,
    /// It pauses.
    Pause,
}

/// What the outcomes mean by the thresholds.
pub fn verdict(thresholds: &Thresholds, outcomes: Outcomes) -> Verdict {
    let Outcomes { tried, succeeded, .. } = outcomes;
    let counts = |it: &Threshold| tried >= u64::from(it.tried_min.get());
    let is_good = |it: Threshold| it.share.is_reached_by(succeeded, tried);
    if thresholds.failure.is_some_and(|it| it.is_reached_by(outcomes)) {
        Verdict::Pause
    } else if thresholds.success.filter(counts).is_some_and(|it| !is_good(it)) {
        Verdict::Hold
    } else {
        Verdict::Continue
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn threshold(share: &str, tried_min: u32) -> Threshold {
        let tried_min = NonZeroU32::new(tried_min).unwrap();
        Threshold { share: share.parse().unwrap(), tried_min }
    }

    fn failures(share: &str, tried_min: u32, failed_min: u32) -> FailureThreshold {
        let [tried_min, failed_min] = [tried_min, failed_min].map(|it| it.try_into().unwrap());
        FailureThreshold { share: share.parse().unwrap(), tried_min, failed_min }
    }

    fn outcomes(tried: u64, succeeded: u64, failed: u64) -> Outcomes {
        Outcomes { tried, succeeded, failed }
    }

    #[test]
    fn too_many_failures_pause_once_enough_have_tried() {
        let thresholds = Thresholds { failure: Some(failures("5%", 20, 1)), success: None };
        for (tried, failed, expected) in [
            (0, 0, Verdict::Continue),
            (19, 19, Verdict::Continue),
            (20, 0, Verdict::Continue),
            (20, 1, Verdict::Pause),
            (21, 1, Verdict::Continue),
            (1000, 49, Verdict::Continue),
            (1000, 50, Verdict::Pause),
        ] {
            let found = verdict(&thresholds, outcomes(tried, 0, failed));
            assert_eq!(found, expected, "{failed} of {tried}");
        }
        assert_eq!(verdict(&Thresholds::default(), outcomes(9, 0, 9)), Verdict::Continue);
    }

    #[test]
    fn a_few_failures_pause_nothing_before_there_are_so_many() {
        let thresholds = Thresholds { failure: Some(failures("2%", 3, 3)), success: None };
        for (tried, failed, expected) in [
            (2, 2, Verdict::Continue),
            (20, 2, Verdict::Continue),
            (3, 3, Verdict::Pause),
            (150, 3, Verdict::Pause),
            (151, 3, Verdict::Continue),
            (200, 4, Verdict::Pause),
        ] {
            let found = verdict(&thresholds, outcomes(tried, 0, failed));
            assert_eq!(found, expected, "{failed} of {tried}");
        }
    }

    /// What was agreed of a rollout before there was `failed_min` means what it meant.
    #[test]
    fn a_threshold_without_a_number_of_failures_wants_one() {
        let read = serde_json::from_str(r#"{"share":"2%","tried_min":20}"#).unwrap();
        assert_eq!(failures("2%", 20, 1), read);
        let none = r#"{"share":"2%","tried_min":20,"failed_min":0}"#;
        assert!(serde_json::from_str::<FailureThreshold>(none).is_err());
    }

    #[test]
    fn too_few_successes_hold_and_failures_weigh_more() {
        let thresholds = Thresholds {
            failure: Some(failures("50%", 10, 1)),
            success: Some(threshold("90%", 10)),
        };
        for (tried, succeeded, failed, expected) in [
            (9, 0, 0, Verdict::Continue),
            (10, 8, 0, Verdict::Hold),
            (10, 9, 0, Verdict::Continue),
            (10, 5, 5, Verdict::Pause),
        ] {
            let found = verdict(&thresholds, outcomes(tried, succeeded, failed));
            assert_eq!(found, expected, "{succeeded} and {failed} of {tried}");
        }
    }

    #[test]
    fn a_threshold_of_nothing_or_more_than_all_is_refused() {
        for text in [
            r#"{"share":"0%","tried_min":20}"#,
            r#"{"share":"101%","tried_min":20}"#,
            r#"{"share":"5%","tried_min":0}"#,
            r#"{"share":"5%"}"#,
            r#"{"share":"5%","tried_min":20,"of":"all"}"#,
        ] {
            assert!(serde_json::from_str::<Threshold>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn events_tell_what_became_of_which_release() {
        let event = |kind, order| Event {
            number: 1,
            kind,
            from: "1.0.0".parse().ok(),
            to: "1.0.1".parse().unwrap(),
            order,
            detail: String::new(),
            fetched: None,
        };
        let told = |kind, order| {
            let event = event(kind, order);
            Outcome::told_by(&event).map(|(version, outcome)| (version.to_string(), outcome))
        };
        let of = |version: &str, outcome| Some((version.to_owned(), outcome));
        assert_eq!(told(EventKind::Installed, None), of("1.0.1", Outcome::Tried));
        assert_eq!(told(EventKind::Confirmed, None), of("1.0.1", Outcome::Succeeded));
        assert_eq!(told(EventKind::Undone, None), of("1.0.1", Outcome::Failed));
        assert_eq!(told(EventKind::RolledBack, None), of("1.0.0", Outcome::Failed));
        assert_eq!(told(EventKind::RolledBack, Some(1)), of("1.0.0", Outcome::Failed));
        for kind in [EventKind::Installed, EventKind::Confirmed, EventKind::Undone] {
            assert_eq!(told(kind, Some(1)), None, "{kind:?}");
        }
        for kind in [
            EventKind::Interrupted,
            EventKind::Refused,
            EventKind::Deferred,
            EventKind::Lost,
            EventKind::Unblocked,
        ] {
            assert_eq!(told(kind, None), None, "{kind:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// However often machines tell, each counts once, with what it has told last.
        #[test]
        fn each_machine_counts_once(told in prop::collection::vec((0..8_usize, 0..3_usize), 0..60)) {
            let kinds = [Outcome::Tried, Outcome::Succeeded, Outcome::Failed];
            let mut last: [Option<Outcome>; 8] = [None; 8];
            let mut counted = Outcomes::default();
            for (machine, kind) in told {
                counted = counted.after(last[machine], kinds[kind]);
                last[machine] = Some(kinds[kind]);
            }
            let count = |of: Outcome| last.iter().filter(|it| **it == Some(of)).count() as u64;
            let tried = last.iter().flatten().count() as u64;
            let expected = outcomes(tried, count(Outcome::Succeeded), count(Outcome::Failed));
            prop_assert_eq!(counted, expected);
        }
    }
}
