use std::{io, os::unix::fs::MetadataExt as _, path::Path};

use serde::{Deserialize, Serialize};

use super::{EntryKind, TreePath, TreePlan, scan::PlannedEntry};
use crate::format::{Digest, Hasher};

/// What a tree looked like when its content was known, in one digest: every name, and of each what
/// it is, its inode, permissions, length, and when it was written to and last changed in any way.
///
/// Who writes to a file, replaces it or gives it other permissions changes the time of its last
/// change, which no program can set. So a tree with the same seal has the same content, as far as
/// the system tells: it says nothing of bytes that decay on the disk, of an administrator who sets
/// the machine's clock or writes to the disk beneath the file system, and, in file systems in
/// memory, of writing through a mapping.
///
/// Of directories there are names and permissions only, so that a tree can be moved. Devices are
/// left out, since their numbers change when a disk is mounted again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seal(Digest);

/// By what time a file system stamps changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileTime(i128);

impl FileTime {
    /// When a name was last made or removed in `folder`, as its file system tells time.
    pub fn of_folder(folder: &Path) -> io::Result<Self> {
        let metadata = folder.metadata()?;
        let seconds = i128::from(metadata.mtime()) * 1_000_000_000;
        Ok(Self(seconds + i128::from(metadata.mtime_nsec())))
    }

    /// When what is at `path` was last changed in any way, a symbolic link itself. To be renamed is one,
    /// in the file systems of Linux.
    pub fn of_change(path: &Path) -> io::Result<Self> {
        let metadata = path.symlink_metadata()?;
        let seconds = i128::from(metadata.ctime()) * 1_000_000_000;
        Ok(Self(seconds + i128::from(metadata.ctime_nsec())))
    }
}

impl TreePlan {
    /// The tree's seal.
    pub fn seal(&self) -> Seal {
        let mut hasher = Hasher::new();
        hasher.update(b"mainstay seal 1\n");
        for item in &self.items {
            seal_entry(item, &mut hasher);
        }
        Seal(hasher.finish())
    }

    /// What was changed in any way after `time`; of a directory, also what was put into it or removed.
    pub fn changed_after(&self, time: FileTime) -> impl Iterator<Item = &TreePath> {
        let is_later = move |item: &&PlannedEntry| FileTime(item.stamp.changed_nanoseconds) > time;
        self.items.iter().filter(is_later).map(|item| item.entry.path())
    }

    /// The seal, if whatever is changed from now on is noticed by it. `now` is a time at which
    /// something else was changed on the same file system, before the content of the tree was read
    /// or after it was written.
    ///
    /// File systems tell time in steps of some milliseconds, a few in seconds. Where something in
    /// the tree was changed in the step of `now`, the next change could bear the same time, so
    /// there is no seal.
    pub fn lasting_seal(&self, now: FileTime) -> Option<Seal> {
        let is_older = |item: &PlannedEntry| FileTime(item.stamp.changed_nanoseconds) < now;
        self.items.iter().filter(|item| !is_directory(item)).all(is_older).then(|| self.seal())
    }
}

fn is_directory(item: &PlannedEntry) -> bool {
    matches!(item.entry.kind(), EntryKind::Directory { .. })
}

fn seal_entry(item: &PlannedEntry, hasher: &mut Hasher) {
    let stamp = &item.stamp;
    hasher.update(item.entry.path().as_str().as_bytes());
    hasher.update(&[0]);
    hasher.update(&stamp.mode.to_le_bytes());
    if !is_directory(item) {
        let fields =
            [stamp.inode, stamp.length, stamp.modified_nanoseconds, stamp.changed_nanoseconds];
        hasher.update(fields.map(i128::to_le_bytes).as_flattened());
    }
}
