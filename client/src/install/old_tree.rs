//! A kept tree as the payload that deltas are applied to.

use super::{Installation, Layout, error::Error};
use crate::{
    format::Version,
    pack::{FileTime, PackedTree, TreePlan},
};

impl Installation {
    /// The kept tree of `version` as its payload, in which somebody may still change something while it is
    /// read. One that has the seal that it had is not read now, every other one is compared with what was
    /// signed.
    pub fn packed_tree(&self, version: &Version) -> Result<PackedTree, Error> {
        let artifact = self.engine.kept_tree(version)?.artifact.clone();
        let (plan, _) = self.engine.expect_tree(version, &artifact)?;
        self.engine.packed(version, plan)
    }

    /// The longest payload that is unpacked here.
    pub fn payload_bytes_max(&self) -> u64 {
        self.engine.limits.pack.payload_bytes_max
    }
}

/// How many changed names are told.
const CHANGED_TOLD_MAX: usize = 3;

/// What of the tree of `version` was changed in any way since it was put in its place, in brackets, as far as
/// the times tell that the system stamps files with.
pub(super) fn changed_names(
    layout: &Layout,
    running: Option<&Version>,
    version: &Version,
    plan: &TreePlan,
) -> String {
    // To be renamed stamps a folder. What is put into it or removed from it does so again, but then what
    // runs was switched on before that.
    let placed = FileTime::of_change(&layout.tree(version)).ok();
    let switched = FileTime::of_change(&layout.current()).ok();
    let switched = switched.filter(|_| running == Some(version));
    let Some(since) = placed.into_iter().chain(switched).min() else { return String::new() };
    let changed: Vec<_> = plan.changed_after(since).map(|path| format!("`{path}`")).collect();
    let told: Vec<_> = changed.iter().take(CHANGED_TOLD_MAX).map(String::as_str).collect();
    match changed.len() - told.len() {
        0 if told.is_empty() => String::new(),
        0 => format!(" ({})", told.join(", ")),
        more => format!(" ({} and {more} more)", told.join(", ")),
    }
}
