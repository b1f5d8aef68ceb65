//! What is kept of trees and snapshots: decisions only.

use std::collections::BTreeSet;

use super::{
    Limits,
    journal::Snapshot,
    record::{KeptTree, Record},
};
use crate::format::Version;

/// The fewest confirmed trees that stay, whatever the limit: the running one and the one before.
const TREES_KEPT_MIN: usize = 2;

/// The trees of `record` that stay, of those `on_disk`: the running one, the last confirmed ones,
/// and those that take part in a probation.
pub(super) fn trees(
    record: &Record,
    on_disk: &BTreeSet<Version>,
    limits: &Limits,
) -> Vec<KeptTree> {
    let is_there =
        |version: &&Version| on_disk.contains(*version) && record.kept_tree(version).is_some();
    let confirmed = record.confirmed.iter().rev().filter(is_there);
    let mut kept =
        confirmed.take(limits.trees_kept.max(TREES_KEPT_MIN)).collect::<BTreeSet<&Version>>();
    kept.extend(&record.running);
    if let Some(probation) = &record.probation {
        kept.insert(&probation.version);
        kept.extend(&probation.from);
    }
    record
        .trees
        .iter()
        .filter(|tree| on_disk.contains(&tree.version) && kept.contains(&tree.version))
        .cloned()
        .collect()
}

/// The trees of `record` that can be given up for want of space while `wanted` is installed, in the
/// order in which they are: those that were never confirmed, then those confirmed longest ago.
pub(super) fn spare<'a>(record: &'a Record, wanted: &Version) -> Vec<&'a Version> {
    let all = record.trees.iter().map(|tree| tree.version.clone()).collect();
    let least = Limits { trees_kept: 0, ..Limits::default() };
    let mut kept: BTreeSet<Version> =
        trees(record, &all, &least).into_iter().map(|tree| tree.version).collect();
    kept.extend(record.previous().map(|tree| tree.version.clone()));
    kept.insert(wanted.clone());
    let versions = record.trees.iter().map(|tree| &tree.version);
    let mut spare: Vec<_> = versions.filter(|version| !kept.contains(*version)).collect();
    spare.sort_by_key(|version| record.confirmed.iter().position(|it| it == *version));
    spare
}

/// The snapshots that stay while nothing is going on: of every version that a rollback could lead
/// to without fetching it, the newest, and of these the newest.
pub(super) fn snapshots(record: &Record, snapshots: &[Snapshot], limits: &Limits) -> Vec<Snapshot> {
    let is_kept = |snapshot: &&Snapshot| {
        snapshot.version.as_ref().is_some_and(|version| {
            record.running.as_ref() != Some(version)
                && record.kept_tree(version).is_some()
                && newest(snapshots, version) == Some(*snapshot)
        })
    };
    let mut kept: Vec<_> = snapshots.iter().filter(is_kept).cloned().collect();
    kept.sort_by_key(|snapshot| snapshot.number);
    kept.drain(..kept.len().saturating_sub(limits.snapshots_kept));
    kept
}

/// The newest snapshot that was taken when `version` was left.
pub(super) fn newest<'a>(snapshots: &'a [Snapshot], version: &Version) -> Option<&'a Snapshot> {
    snapshots
        .iter()
        .filter(|snapshot| snapshot.version.as_ref() == Some(version))
        .max_by_key(|snapshot| snapshot.number)
}

#[cfg(test)]
mod tests {
    use proptest::{prelude::*, sample::subsequence};

    use super::*;
    use crate::install::{
        journal::Content,
        record::Probation,
        tests::{release, version, wall},
    };

    #[test]
    fn what_was_never_confirmed_is_spared_first_and_then_what_was_longest_ago() {
        let record = Record {
            running: Some(version("1.3.0")),
            confirmed: ["1.1.0", "1.0.0", "1.2.0", "1.3.0"].map(version).into(),
            trees: ["1.0.0", "1.1.0", "1.2.0", "1.3.0", "1.4.0", "1.5.0"]
                .map(|text| release(text).kept())
                .into(),
            ..Record::default()
        };
        let spare = |wanted: &str| {
            let wanted = version(wanted);
            spare(&record, &wanted).into_iter().map(Version::to_string).collect::<Vec<_>>()
        };
        assert_eq!(spare("1.5.0"), ["1.4.0", "1.1.0", "1.0.0"]);
        assert_eq!(spare("1.6.0"), ["1.4.0", "1.5.0", "1.1.0", "1.0.0"]);
    }

    proptest! {
        #[test]
        fn what_runs_and_what_it_could_go_back_to_is_never_spared(
            trees in subsequence((0..8_u64).collect::<Vec<_>>(), 0..=8),
            confirmed in subsequence((0..8_u64).collect::<Vec<_>>(), 0..=8).prop_shuffle(),
            running in proptest::option::of(0..8_u64),
            probation in proptest::option::of((0..8_u64, proptest::option::of(0..8_u64))),
            floor in proptest::option::of(0..8_u64),
            wanted in 0..8_u64,
        ) {
            let of = |minor: u64| version(&format!("1.{minor}.0"));
            let record = Record {
                running: running.map(of),
                confirmed: confirmed.into_iter().map(of).collect(),
                trees: trees.iter().map(|minor| release(&format!("1.{minor}.0")).kept()).collect(),
                probation: probation.map(|(minor, from)| Probation {
                    version: of(minor),
                    from: from.map(of),
                    deadline: wall(0),
                    watch: None,
                }),
                floor: floor.map(of),
                ..Record::default()
            };
            let wanted = of(wanted);
            let given_up = spare(&record, &wanted);
            let probation = record.probation.iter();
            let mut needed: Vec<_> = probation.flat_map(|it| it.from.iter().chain([&it.version])).collect();
            needed.extend(record.running.iter().chain([&wanted]));
            needed.extend(record.previous().map(|tree| &tree.version));
            prop_assert!(needed.iter().all(|version| !given_up.contains(version)));
            // Without them, the way back is what it was.
            let mut without = record.clone();
            without.trees.retain(|tree| !given_up.contains(&&tree.version));
            prop_assert_eq!(without.previous(), record.previous());
        }
    }

    #[test]
    fn the_newest_snapshot_of_each_version_that_can_be_gone_back_to_stays() {
        let record = Record {
            running: Some(version("1.2.0")),
            trees: ["1.1.0", "1.2.0"].map(|text| release(text).kept()).into(),
            ..Record::default()
        };
        let snapshot = |number, text: Option<&str>| Snapshot {
            number,
            version: text.map(version),
            content: Content::Directory,
            others: Vec::new(),
            epoch: None,
        };
        let all = [
            snapshot(1, None),
            snapshot(2, Some("1.0.0")),
            snapshot(3, Some("1.1.0")),
            snapshot(4, Some("1.1.0")),
            snapshot(5, Some("1.2.0")),
        ];
        let limits = Limits::default();
        assert_eq!(snapshots(&record, &all, &limits), [snapshot(4, Some("1.1.0"))]);
        let none = Limits { snapshots_kept: 0, ..limits };
        assert_eq!(snapshots(&record, &all, &none), []);
        assert_eq!(newest(&all, &version("1.1.0")), Some(&snapshot(4, Some("1.1.0"))));
        assert_eq!(newest(&all, &version("9.9.9")), None);
    }
}
