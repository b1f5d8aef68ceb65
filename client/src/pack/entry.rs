use std::fmt;

use super::{LinkTarget, TreePath};
use crate::format::ParseError;

/// Permission bits of a file or directory: read, write and execute for owner, group and others.
///
/// There is no value with a set-user-id, set-group-id or sticky bit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mode(u16);

impl Mode {
    const BITS: u32 = 0o777;

    /// The permission bits `bits`, or nothing where others are set.
    pub fn new(bits: u32) -> Option<Self> {
        u16::try_from(bits).ok().filter(|_| bits & !Self::BITS == 0).map(Self)
    }

    /// The bits.
    pub fn bits(self) -> u32 {
        self.0.into()
    }

    /// Whether the owner may execute the file.
    pub fn is_executable(self) -> bool {
        self.0 & 0o100 != 0
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:04o}", self.0)
    }
}

impl fmt::Debug for Mode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Mode({self})")
    }
}

/// One directory, file or symbolic link of a tree.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    path: TreePath,
    kind: EntryKind,
}

/// What an [`Entry`] is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum EntryKind {
    /// A directory.
    Directory {
        /// Its permissions.
        mode: Mode,
    },
    /// A regular file.
    File {
        /// Its permissions.
        mode: Mode,
        /// Its length in bytes.
        length: u64,
    },
    /// A symbolic link.
    Symlink {
        /// What it points to.
        target: LinkTarget,
    },
}

impl Entry {
    /// A directory.
    pub fn directory(path: TreePath, mode: Mode) -> Self {
        Self { path, kind: EntryKind::Directory { mode } }
    }

    /// A file of `length` bytes.
    pub fn file(path: TreePath, mode: Mode, length: u64) -> Self {
        Self { path, kind: EntryKind::File { mode, length } }
    }

    /// A symbolic link to `target`, which must not leave the tree.
    pub fn symlink(path: TreePath, target: &str) -> Result<Self, ParseError> {
        let target = LinkTarget::new(&path, target)?;
        Ok(Self { path, kind: EntryKind::Symlink { target } })
    }

    /// Where it stands.
    pub fn path(&self) -> &TreePath {
        &self.path
    }

    /// What it is.
    pub fn kind(&self) -> &EntryKind {
        &self.kind
    }

    /// How many bytes of content follow the entry's header; zero for all but files.
    pub fn length(&self) -> u64 {
        match self.kind {
            EntryKind::File { length, .. } => length,
            EntryKind::Directory { .. } | EntryKind::Symlink { .. } => 0,
        }
    }
}

/// How much an archive or a tree holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// Directories, files and symbolic links.
    pub entries: u64,
    /// Files.
    pub files: u64,
    /// Bytes in those files.
    pub bytes: u64,
    /// Length of the whole archive, in bytes.
    pub payload_length: u64,
}
