//! What is kept that an installation can do without.

use std::path::PathBuf;

use super::{
    Installation, error::Error, journal::Draft, observed::Observed, retain, room::occupied_bytes,
};
use crate::format::{Version, wire::EventKind};

impl Installation {
    /// The kept versions that can be given up for want of space while `wanted` is installed, in the
    /// order in which they are: first those that were never confirmed here, then those that were
    /// confirmed longest ago. What runs, the way back, and all that takes part in a probation is never
    /// among them.
    pub fn spare_versions(&self, wanted: &Version) -> Vec<Version> {
        retain::spare(self.record(), wanted).into_iter().cloned().collect()
    }

    /// How many bytes of its file system come free when `version` is given up, as far as nothing shares them.
    pub fn occupied_by(&self, version: &Version) -> u64 {
        let belongings = self.belongings(version);
        belongings.iter().map(|path| occupied_bytes(path)).fold(0, u64::saturating_add)
    }

    /// What goes with `version` when it is given up: its tree, and the copies of the data as they were
    /// when it was left.
    pub(super) fn belongings(&self, version: &Version) -> Vec<PathBuf> {
        let of_version = |it: &&super::journal::Snapshot| it.version.as_ref() == Some(version);
        let snapshots = self.engine.journal.snapshots.iter().filter(of_version);
        let layout = self.layout();
        let copies = snapshots.flat_map(|snapshot| {
            let others =
                (0..snapshot.others.len()).map(|nth| layout.other_snapshot(snapshot.number, nth));
            others.chain([layout.snapshot(snapshot.number)])
        });
        copies.chain([layout.tree(version)]).collect()
    }

    /// Gives up a kept version that [`spare_versions`](Self::spare_versions) named. A rollback that
    /// leads there later has to fetch it.
    pub fn give_up(&mut self, version: &Version) -> Result<(), Error> {
        self.engine.idle()?;
        // Before the journal is written, for which there may be no space. In a journal that names a
        // tree which is gone that is no tree.
        self.engine.discard(&self.layout().tree(version))?;
        self.engine.sweep();
        let observed = Observed::of(self.layout())?;
        let limits = self.engine.limits.clone();
        self.engine.write(|journal| {
            journal.record.trees.retain(|tree| observed.trees.contains(&tree.version));
            journal.snapshots = retain::snapshots(&journal.record, &journal.snapshots, &limits);
        })?;
        self.engine.sweep();
        Ok(())
    }

    /// Queues the event that something was given up for want of space, to make room for `to`.
    pub fn note_given_up(&mut self, to: &Version, detail: &str) -> Result<(), Error> {
        let (from, limits) = (self.running().cloned(), self.engine.limits.clone());
        let kind = EventKind::MadeRoom;
        self.engine.write(|journal| {
            let draft = Draft { kind, from: from.as_ref(), to, order: None, detail };
            journal.queue(&draft, &limits);
        })
    }
}
