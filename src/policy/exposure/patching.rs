use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use mainstay_client::format::Version;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Advisory, Exposure, Run, Runs};

/// Whether a machine was exposed and got a fix, and how long that took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patched {
    /// It never ran a version that is affected, as far as is known, or has confirmed none with the fix.
    Not,
    /// It got a fix; when is not known, because it was before that was kept or is too long ago.
    Undated,
    /// It got a fix after so long.
    After(SignedDuration),
}

impl Advisory<'_> {
    /// How long a machine took to the fix: from when the first fix came out, or from when the machine
    /// first confirmed an affected version, where that was later, to when it first confirmed a version
    /// with the fix. One that began with the fix was never exposed, and does not count.
    pub fn patched(
        &self,
        first_fix: Timestamp,
        confirmed: &BTreeSet<Version>,
        runs: &Runs,
    ) -> Patched {
        let first = |wanted: Exposure| {
            let found = confirmed.iter().filter(|version| self.exposure(version) == wanted);
            let runs: Vec<Option<&Run>> = found.map(|version| runs.of(version)).collect();
            let is_dated = !runs.iter().any(Option::is_none);
            let first = runs.iter().flatten().map(|run| run.confirmed_at).min();
            (!runs.is_empty()).then_some(first.filter(|_| is_dated))
        };
        match (first(Exposure::Affected), first(Exposure::Fixed)) {
            (None, _) | (_, None) => Patched::Not,
            (_, Some(None)) => Patched::Undated,
            (Some(affected), Some(Some(fixed))) => {
                let began = first_fix.max(affected.unwrap_or(first_fix));
                if affected.is_some_and(|affected| fixed < affected) {
                    return Patched::Not;
                }
                Patched::After(fixed.duration_since(began).max(SignedDuration::ZERO))
            }
        }
    }
}

/// How long machines took to a fix. Counted are whole minutes, begun ones as whole, so that it takes no
/// more memory than there are different ones, whatever the fleet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PatchTimes {
    minutes: BTreeMap<u64, u64>,
    undated: u64,
}

/// How long machines took to a fix, in figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PatchFigures {
    /// How many machines got it.
    pub patched: u64,
    /// Of how many of them it is not known when. They are in no percentile.
    pub undated: u64,
    /// Within so many minutes half of the others had it; nothing where there are none.
    pub p50_minutes: Option<u64>,
    /// The same of 90 of 100.
    pub p90_minutes: Option<u64>,
    /// The same of 95 of 100.
    pub p95_minutes: Option<u64>,
    /// The same of 99 of 100.
    pub p99_minutes: Option<u64>,
}

impl PatchTimes {
    /// Counts one machine more.
    pub fn add(&mut self, patched: Patched) {
        match patched {
            Patched::Not => {}
            Patched::Undated => self.undated += 1,
            Patched::After(time) => {
                let seconds = u64::try_from(time.as_secs()).unwrap_or(0);
                *self.minutes.entry(seconds.div_ceil(60)).or_default() += 1;
            }
        }
    }

    /// What was counted. A percentile is by the nearest rank: the least time within which so many of
    /// them had it.
    pub fn figures(&self) -> PatchFigures {
        let dated: u64 = self.minutes.values().sum();
        let percentile = |percent: u64| {
            let rank = (dated * percent).div_ceil(100);
            let mut counted = 0;
            let found = self.minutes.iter().find(|(_, machines)| {
                counted += **machines;
                counted >= rank
            });
            found.map(|(minutes, _)| *minutes)
        };
        PatchFigures {
            patched: dated + self.undated,
            undated: self.undated,
            p50_minutes: percentile(50),
            p90_minutes: percentile(90),
            p95_minutes: percentile(95),
            p99_minutes: percentile(99),
        }
    }
}
