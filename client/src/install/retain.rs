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
    use super::*;
    use crate::install::{
        journal::Content,
        tests::{release, version},
    };

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
