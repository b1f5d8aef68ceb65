//! How far a rollout has come, as time goes by.

use jiff::{SignedDuration, Timestamp};
use mainstay_client::format::schema::Instant;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Schedule, waves::Waves};

/// How far a rollout had come at some instant. Since then only time has gone by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Progress {
    /// When each wave that has begun did so, the first one first.
    #[schemars(with = "Vec<Instant>")]
    pub opened: Vec<Timestamp>,
    /// The instant.
    #[schemars(with = "Instant")]
    pub at: Timestamp,
    /// How long the last of these waves had lasted by then, in seconds, pauses left out.
    pub soaked_seconds: u64,
}

/// Whether another wave may begin when its time has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Advance {
    /// It may.
    #[default]
    Free,
    /// Too few of the machines that tried the release have confirmed it.
    Held,
}

/// By what a rollout goes on.
#[derive(Clone, Copy)]
pub(super) struct Course<'a> {
    pub(super) waves: &'a Waves,
    pub(super) schedule: Option<&'a Schedule>,
    pub(super) advance: Advance,
}

impl Progress {
    /// Nothing has begun at `at`.
    pub(super) fn begin(at: Timestamp) -> Self {
        Self { opened: Vec::new(), at, soaked_seconds: 0 }
    }

    /// The same at `now`, with every wave begun whose time has come.
    pub(super) fn at(&self, course: Course<'_>, now: Timestamp) -> Self {
        let mut progress = self.clone();
        while let Some(opening) = progress.next_opening(course).filter(|opening| *opening <= now) {
            progress.open(opening);
        }
        progress.soaked_seconds += seconds_between(progress.at, now);
        progress.at = progress.at.max(now);
        progress
    }

    /// When each wave begins or began, the first one first; nothing for those of which that is not known.
    pub(super) fn openings(&self, course: Course<'_>) -> Vec<Option<Timestamp>> {
        let mut progress = self.clone();
        while let Some(opening) = progress.next_opening(course) {
            progress.open(opening);
        }
        (0..course.waves.count()).map(|wave| progress.opened.get(wave).copied()).collect()
    }

    /// When the last wave has lasted as long as it is to, if all have begun.
    pub(super) fn end(&self, waves: &Waves) -> Option<Timestamp> {
        (self.opened.len() == waves.count()).then(|| self.soaked(waves)).flatten()
    }

    fn open(&mut self, opening: Timestamp) {
        self.opened.push(opening);
        self.at = opening;
        self.soaked_seconds = 0;
    }

    fn next_opening(&self, course: Course<'_>) -> Option<Timestamp> {
        let is_first = self.opened.is_empty();
        let is_held = course.advance == Advance::Held && !is_first;
        if is_held || self.opened.len() >= course.waves.count() {
            return None;
        }
        let due = if is_first { self.at } else { self.soaked(course.waves)? };
        match course.schedule {
            None => Some(due),
            Some(schedule) => schedule.next_open(due),
        }
    }

    /// When the wave that has begun last has lasted as long as it is to.
    fn soaked(&self, waves: &Waves) -> Option<Timestamp> {
        let wave = waves.wave(self.opened.len().checked_sub(1)?)?;
        let left = u64::from(wave.soak.seconds()).saturating_sub(self.soaked_seconds);
        let left = SignedDuration::from_secs(i64::try_from(left).unwrap_or(i64::MAX));
        self.at.checked_add(left).ok()
    }
}

fn seconds_between(earlier: Timestamp, later: Timestamp) -> u64 {
    u64::try_from(later.duration_since(earlier).as_secs()).unwrap_or(0)
}
