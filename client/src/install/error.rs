use std::{
    io,
    path::{Path, PathBuf},
};

use jiff::Timestamp;

use crate::{
    format::{Digest, EpochRange, Version},
    pack,
};

/// Why the install engine did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Error(Box<Reason>);

/// What an [`Error`] is about, for a program to decide by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Another process is at work on the same installation.
    Locked,
    /// The journal is damaged, missing, or of a format that this program does not know.
    JournalDamaged,
    /// What stands at `current`, or in place of a directory, is not what Mainstay put there.
    Obstructed,
    /// A kept tree is not the one that was signed; the artifact has to be fetched.
    TreeModified,
    /// The version is blocked on this machine.
    Blocked,
    /// The version is below the rollback floor.
    BelowFloor,
    /// An update does not lead upwards, or a rollback not downwards.
    WrongDirection,
    /// An update is on probation: confirm or undo it first.
    OnProbation,
    /// No update is on probation.
    NoProbation,
    /// The version has no tree on this machine.
    NotInstalled,
    /// The payload could not be read from where it comes from.
    Transfer,
    /// The payload is not the one that was signed, or cannot be unpacked.
    Unpack,
    /// The program's data cannot be snapshotted as it is.
    DataUnusable,
    /// The data are more than the settings let be copied.
    DataTooLarge,
    /// The release could not read the data that it would find.
    DataUnreadable,
    /// There is not enough space.
    NoSpace,
    /// The file system refused.
    Io,
}

/// The reasons themselves; each message says what was expected, what was found, what to do.
#[derive(Debug, thiserror::Error)]
pub(super) enum Reason {
    #[error(
        "`{}` is locked: expected to be the only process at work on this installation; wait for \
         the other one, or find it with `fuser`", path.display()
    )]
    Locked { path: PathBuf },
    #[error(
        "the journal `{}` is damaged: {what}; restore it from a backup, or let `mainstay-agent doctor \
         --repair` make it anew of what is proven", path.display()
    )]
    JournalDamaged { path: PathBuf, what: String },
    #[error(
        "the journal `{}` has format {found}: expected {expected}; use the newer agent that wrote \
         it", path.display()
    )]
    JournalFormat { path: PathBuf, found: u32, expected: u32 },
    #[error(
        "`{}` exists but the journal `{}` does not: expected both or neither; restore the journal \
         from a backup, or let `mainstay-agent doctor --repair` make it anew of what is proven",
        found.display(), path.display()
    )]
    JournalMissing { path: PathBuf, found: PathBuf },
    #[error("`{}` is {found}: expected {expected}; move it away", path.display())]
    Obstructed { path: PathBuf, found: &'static str, expected: &'static str },
    #[error(
        "the tree `{}` packs to {found_length} bytes with digest {found}: {expected_length} bytes \
         with digest {expected} were signed; somebody changed it{changed}, so fetch the release again",
        path.display()
    )]
    TreeModified {
        path: PathBuf,
        expected_length: u64,
        expected: Digest,
        found_length: u64,
        found: Digest,
        /// Which of its names, in brackets, where that is known.
        changed: String,
    },
    #[error("the tree `{}` cannot be checked; fetch the release again", path.display())]
    TreeUnreadable { path: PathBuf, source: pack::Error },
    #[error(
        "version {version} is blocked on this machine: {reason}; install another version, or lift \
         the block"
    )]
    Blocked { version: Version, reason: String },
    #[error("version {version} is below the rollback floor {floor}; choose {floor} or above")]
    BelowFloor { version: Version, floor: Version },
    #[error("version {version} was to be installed while {running} runs: expected {expected}")]
    WrongDirection { version: Version, running: String, expected: &'static str },
    #[error("version {version} is on probation until {deadline}: confirm or undo it first")]
    OnProbation { version: Version, deadline: Timestamp },
    #[error("no update is on probation: there is nothing to confirm or undo")]
    NoProbation,
    #[error(
        "version {version} has no tree at `{}`: expected a kept one; fetch the release",
        path.display()
    )]
    NotInstalled { version: Version, path: PathBuf },
    #[error("version {version} cannot be unpacked into `{}`", path.display())]
    Unpack { version: Version, path: PathBuf, source: pack::Error },
    #[error(
        "`{}` is {found}: expected a directory on the file system of `{}`, so that it can be \
         snapshotted and restored in one step", path.display(), root.display()
    )]
    DataUnusable { path: PathBuf, root: PathBuf, found: &'static str },
    #[error(
        "the program's data are {bytes} bytes: expected at most {most}, which \
         `data.snapshot_bytes_max` in agent.toml allows to be copied before a switch; raise it, or \
         make the data smaller"
    )]
    DataTooLarge { bytes: u64, most: u64 },
    #[error(
        "version {version} reads data of the epochs {} to {}, and would find epoch {epoch}; nothing \
         was changed. Choose a version that reads epoch {epoch}, or one of which this machine still \
         has a copy of the data", reads.from, reads.to
    )]
    DataUnreadable { version: Version, epoch: u32, reads: EpochRange },
    #[error(
        "{needed} bytes are needed at `{}` for {what}, {available} are free; make space and try \
         again", path.display()
    )]
    NoSpace { path: PathBuf, what: &'static str, needed: u64, available: u64 },
    #[error(
        "the data snapshot `{}` is gone: put it back, or copy the data there as they are to keep \
         them", path.display()
    )]
    SnapshotMissing { path: PathBuf },
    #[error("the system gives no random bytes, of which a name was to be made: {what}")]
    NoRandomness { what: String },
    #[error("cannot {doing} `{}`", path.display())]
    Io { doing: &'static str, path: PathBuf, source: io::Error },
    #[error("cannot make `{}` durable", path.display())]
    Sync { path: PathBuf, source: pack::Error },
}

impl Error {
    /// What the error is about.
    pub fn kind(&self) -> ErrorKind {
        match &*self.0 {
            Reason::Locked { .. } => ErrorKind::Locked,
            Reason::JournalDamaged { .. }
            | Reason::JournalFormat { .. }
            | Reason::JournalMissing { .. } => ErrorKind::JournalDamaged,
            Reason::Obstructed { .. } => ErrorKind::Obstructed,
            Reason::TreeModified { .. } => ErrorKind::TreeModified,
            Reason::TreeUnreadable { source, .. } => match source.kind() {
                pack::ErrorKind::FileSystem => file_system_kind(source),
                _ => ErrorKind::TreeModified,
            },
            Reason::Blocked { .. } => ErrorKind::Blocked,
            Reason::BelowFloor { .. } => ErrorKind::BelowFloor,
            Reason::WrongDirection { .. } => ErrorKind::WrongDirection,
            Reason::OnProbation { .. } => ErrorKind::OnProbation,
            Reason::NoProbation => ErrorKind::NoProbation,
            Reason::NotInstalled { .. } => ErrorKind::NotInstalled,
            Reason::Unpack { source, .. } => match source.kind() {
                pack::ErrorKind::Transfer => ErrorKind::Transfer,
                pack::ErrorKind::FileSystem => file_system_kind(source),
                _ => ErrorKind::Unpack,
            },
            Reason::DataUnusable { .. } => ErrorKind::DataUnusable,
            Reason::DataTooLarge { .. } => ErrorKind::DataTooLarge,
            Reason::DataUnreadable { .. } => ErrorKind::DataUnreadable,
            Reason::NoSpace { .. } => ErrorKind::NoSpace,
            Reason::SnapshotMissing { .. } | Reason::NoRandomness { .. } => ErrorKind::Io,
            Reason::Io { source, .. } => io_kind(source),
            Reason::Sync { source, .. } => file_system_kind(source),
        }
    }

    /// Whether the same may succeed later without anybody doing anything about it.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self.kind(),
            ErrorKind::Locked | ErrorKind::Transfer | ErrorKind::NoSpace | ErrorKind::Io
        )
    }

    /// What is wrong with the journal, where it is damaged.
    pub(super) fn journal_damage(&self) -> Option<&str> {
        match &*self.0 {
            Reason::JournalDamaged { what, .. } => Some(what),
            _ => None,
        }
    }

    /// Where there is not enough space, if that is what it is about.
    pub fn full_at(&self) -> Option<&Path> {
        if self.kind() != ErrorKind::NoSpace {
            return None;
        }
        match &*self.0 {
            Reason::NoSpace { path, .. }
            | Reason::TreeUnreadable { path, .. }
            | Reason::Unpack { path, .. }
            | Reason::Io { path, .. }
            | Reason::Sync { path, .. } => Some(path),
            _ => None,
        }
    }

    pub(super) fn io(doing: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Reason::Io { doing, path: path.into(), source }.into()
    }
}

/// The kind of a packing error that the file system caused.
fn file_system_kind(error: &pack::Error) -> ErrorKind {
    let source = std::error::Error::source(error);
    source.and_then(|source| source.downcast_ref()).map_or(ErrorKind::Io, io_kind)
}

fn io_kind(error: &io::Error) -> ErrorKind {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::NoSpace,
        _ => ErrorKind::Io,
    }
}

impl From<Reason> for Error {
    fn from(reason: Reason) -> Self {
        Self(Box::new(reason))
    }
}
