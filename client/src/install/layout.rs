use std::path::{Path, PathBuf};

use crate::format::Version;

/// Where everything is below the root of an installation.
///
/// ```text
/// <root>/versions/2.4.1/…      immutable trees
/// <root>/current               -> versions/2.4.1
/// <root>/data/                 the program's own data
/// <root>/.mainstay/            what Mainstay knows and keeps
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// The layout below `root`.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The root of the installation.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The directory of the versions' trees.
    pub fn versions(&self) -> PathBuf {
        self.root.join("versions")
    }

    /// The tree of one version.
    pub fn tree(&self, version: &Version) -> PathBuf {
        self.versions().join(version.to_string())
    }

    /// The symbolic link to the tree that runs.
    pub fn current(&self) -> PathBuf {
        self.root.join("current")
    }

    /// The program's own data.
    pub fn data(&self) -> PathBuf {
        self.root.join("data")
    }

    /// What Mainstay knows and keeps; for its owner only.
    pub fn private(&self) -> PathBuf {
        self.root.join(".mainstay")
    }

    /// The trusted metadata.
    pub fn trust(&self) -> PathBuf {
        self.private().join("trust")
    }

    /// Downloads, whole and partial.
    pub fn cache(&self) -> PathBuf {
        self.private().join("cache")
    }

    /// The snapshots of the program's data.
    pub fn snapshots(&self) -> PathBuf {
        self.private().join("snapshots")
    }

    /// The journal of the install engine.
    pub fn journal(&self) -> PathBuf {
        self.private().join("journal")
    }

    /// The agent's settings.
    pub fn settings(&self) -> PathBuf {
        self.private().join("agent.toml")
    }

    /// Which version somebody at the machine has approved of.
    pub fn approval(&self) -> PathBuf {
        self.private().join("approved")
    }

    /// Which order for a support bundle somebody at the machine has approved of.
    pub fn collection_approval(&self) -> PathBuf {
        self.private().join("collection-approved")
    }

    /// What happened when, for people.
    pub fn history(&self) -> PathBuf {
        self.private().join("history.json")
    }

    /// Which C library the machine has, and of which loader that was found out.
    pub fn libc(&self) -> PathBuf {
        self.private().join("libc.json")
    }

    /// The file whose lock its process holds while it works on the installation.
    pub fn lock(&self) -> PathBuf {
        self.private().join("lock")
    }

    /// The directories that the engine works in and their permissions, each after the one that it is
    /// in.
    pub(super) fn directories(&self) -> [(PathBuf, u32); 5] {
        [
            (self.private(), 0o700),
            (self.staging(), 0o700),
            (self.trash(), 0o700),
            (self.snapshots(), 0o700),
            (self.versions(), 0o755),
        ]
    }

    /// What is being made and not yet in its place; swept whenever nothing is being made.
    pub(super) fn staging(&self) -> PathBuf {
        self.private().join("staging")
    }

    /// What is being removed; renamed to here first, so that a half-removed tree is never taken
    /// for a whole one.
    pub(super) fn trash(&self) -> PathBuf {
        self.private().join("trash")
    }

    pub(super) fn snapshot(&self, number: u64) -> PathBuf {
        self.snapshots().join(number.to_string())
    }

    /// The copy of the n-th other directory of data that belongs to snapshot `number`.
    pub(super) fn other_snapshot(&self, number: u64, nth: usize) -> PathBuf {
        self.snapshots().join(format!("{number}-{nth}"))
    }

    /// Where a copy of the data is laid aside that could not be put back.
    pub(super) fn unrestored(&self, number: u64) -> PathBuf {
        self.private().join(format!("unrestored-{number}"))
    }

    /// Where what cannot be proven is laid aside when the journal is made anew; the n-th time.
    pub(super) fn unproven(&self, nth: u64) -> PathBuf {
        self.private().join(format!("unproven-{nth}"))
    }

    pub(super) fn staged_tree(&self, version: &Version) -> PathBuf {
        self.staging().join(version.to_string())
    }

    pub(super) fn staged_data(&self) -> PathBuf {
        self.staging().join("data")
    }

    pub(super) fn staged_link(&self) -> PathBuf {
        self.staging().join("current")
    }

    pub(super) fn staged_journal(&self) -> PathBuf {
        self.private().join("journal.new")
    }

    /// What `current` says when `version` runs: relative, so that an installation can be moved.
    pub(super) fn link_target(version: &Version) -> PathBuf {
        Path::new("versions").join(version.to_string())
    }
}
