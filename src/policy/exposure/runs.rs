use std::collections::BTreeMap;

use jiff::Timestamp;
use mainstay_client::format::{Version, schema::Instant};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// When a machine ran a version that it has confirmed, as the server heard of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Run {
    /// When it first confirmed it.
    #[schemars(with = "Instant")]
    pub confirmed_at: Timestamp,
    /// When it last ceased to run it; nothing where it never has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Instant>")]
    pub left_at: Option<Timestamp>,
}

/// When a machine ran what. Of versions that it confirmed before this was kept nothing is known.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Runs(BTreeMap<Version, Run>);

impl Runs {
    /// Of how many versions it is kept: so many that it is years, and so few that they fit into the
    /// machine's record. Those go first that were confirmed first.
    pub const KEPT_MAX: usize = 128;

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is known of a version.
    pub fn of(&self, version: &Version) -> Option<&Run> {
        self.0.get(version)
    }

    /// All that is known, by version.
    pub fn iter(&self) -> impl Iterator<Item = (&Version, &Run)> {
        self.0.iter()
    }

    /// Takes in that the machine has confirmed a version.
    pub fn confirm(&mut self, version: &Version, at: Timestamp) {
        self.0.entry(version.clone()).or_insert(Run { confirmed_at: at, left_at: None });
        while self.0.len() > Self::KEPT_MAX {
            let first = self.0.iter().min_by_key(|(_, run)| run.confirmed_at);
            let Some(first) = first.map(|(version, _)| version.clone()) else { return };
            self.0.remove(&first);
        }
    }

    /// Takes in that the machine runs `after`, where it was known to run `before`.
    pub fn switch(&mut self, before: Option<&Version>, after: Option<&Version>, at: Timestamp) {
        if before != after
            && let Some(run) = before.and_then(|before| self.0.get_mut(before))
        {
            run.left_at = Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn version(patch: usize) -> Version {
        format!("1.0.{patch}").parse().unwrap()
    }

    #[test]
    fn it_is_kept_when_a_version_was_first_confirmed_and_last_left() {
        let (mut runs, one, two) = (Runs::default(), version(1), version(2));
        runs.confirm(&one, at(1));
        runs.switch(Some(&one), Some(&one), at(2));
        assert_eq!(runs.of(&one), Some(&Run { confirmed_at: at(1), left_at: None }));
        runs.switch(Some(&one), Some(&two), at(3));
        runs.switch(Some(&two), Some(&one), at(4));
        runs.confirm(&one, at(5));
        runs.switch(Some(&one), None, at(6));
        assert_eq!(runs.of(&one), Some(&Run { confirmed_at: at(1), left_at: Some(at(6)) }));
        assert_eq!(runs.of(&two), None, "it was never confirmed");
    }

    #[test]
    fn the_first_is_forgotten_when_there_are_too_many() {
        let mut runs = Runs::default();
        // The highest version first, so that it is not by the order of versions.
        for step in 0..=Runs::KEPT_MAX {
            runs.confirm(&version(1000 - step), at(i64::try_from(step).unwrap()));
        }
        assert_eq!(runs.iter().count(), Runs::KEPT_MAX);
        assert_eq!(runs.of(&version(1000)), None);
        assert!(runs.of(&version(999)).is_some());
    }
}
