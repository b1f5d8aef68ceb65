use std::{error::Error as _, io};

use super::TreePath;
use crate::format::{Digest, ParseError};

/// Why a tree could not be packed or unpacked, or an archive was refused.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Error(Box<Reason>);

/// What an [`Error`] is about, for a program to decide by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The archive could not be read from, or written to, where it comes from or goes.
    Transfer,
    /// The archive is damaged, is not in the one canonical form, or is hostile.
    Malformed,
    /// The archive is larger than the limits allow.
    TooLarge,
    /// The payload does not have the length and digest that were signed.
    Mismatch,
    /// The tree holds what cannot be packed.
    Unpackable,
    /// The tree changed while it was read.
    Changed,
    /// The file system refused.
    FileSystem,
    /// A setting is outside its range.
    Setting,
}

/// The reasons themselves; each message says what was expected, what was found, what to do.
#[derive(Debug, thiserror::Error)]
pub(super) enum Reason {
    #[error("cannot read the archive")]
    Read { source: io::Error },
    #[error("cannot write the archive")]
    Write { source: io::Error },

    #[error(
        "the archive ends at byte {position} in the middle of {what}: it is incomplete; fetch or \
         pack it again"
    )]
    Truncated { position: u64, what: &'static str },
    #[error(
        "the archive's header at byte {position} has a wrong checksum: it is damaged or not a tar \
         archive; fetch or pack it again"
    )]
    Checksum { position: u64 },
    #[error("the archive's header at byte {position} names no path in the tree")]
    Path { position: u64, source: ParseError },
    #[error(
        "the archive's header at byte {position} holds text that is not UTF-8: `{found}`; rename \
         the file and pack it again"
    )]
    NotUtf8 { position: u64, found: String },
    #[error("the archive's symbolic link `{path}` is refused")]
    Target { path: TreePath, source: ParseError },
    #[error(
        "the archive's entry `{path}` is of tar type {found:?}: expected a directory, a file or a \
         symbolic link; pack the release again with `mainstay publish`"
    )]
    EntryType { path: String, found: char },
    #[error(
        "the archive's entry `{path}` has mode {found:o}: expected permission bits only, no \
         set-user-id, set-group-id or sticky bit"
    )]
    ModeBits { path: TreePath, found: u32 },
    #[error("the archive's entry `{path}` occurs twice")]
    Duplicate { path: TreePath },
    #[error("the archive's entry `{path}` stands after `{previous}`: expected ascending paths")]
    Order { path: TreePath, previous: TreePath },
    #[error("the archive's entry `{path}` stands in `{folder}`, which is no earlier directory")]
    Folder { path: TreePath, folder: String },
    #[error(
        "the archive's entry `{path}` is not in canonical form: {field} differs from what \
         Mainstay writes; pack the release again with `mainstay publish`"
    )]
    NotCanonical { path: TreePath, field: &'static str },
    #[error("the archive's long-name record at byte {position} is malformed")]
    LongName { position: u64 },
    #[error("the archive's padding after `{path}` is not zero")]
    Padding { path: TreePath },
    #[error("the archive ends with one block of zeros at byte {position}: expected two")]
    EndMarker { position: u64 },
    #[error("the archive goes on after its end at byte {position}")]
    Trailing { position: u64 },

    #[error("{what}: found {found}, expected at most {limit}")]
    Limit { what: &'static str, found: u64, limit: u64 },

    #[error(
        "cannot decompress the artifact in a window of 2^{window_log} bytes, as its manifest has \
         it: it is damaged, or needs a larger window"
    )]
    Decompress { window_log: u32, source: io::Error },
    #[error("the payload goes on after the {expected} bytes that were signed")]
    PayloadLong { expected: u64 },
    #[error("the payload ends after {found} bytes: {expected} were signed")]
    PayloadShort { expected: u64, found: u64 },
    #[error("the payload has the digest {found}: {expected} was signed")]
    PayloadDigest { expected: Digest, found: Digest },
    #[error("the artifact goes on after its one compressed frame")]
    FrameTrailing,
    #[error("the payload was refused before; it cannot be read further")]
    AlreadyRefused,

    #[error("{what} is {found}: expected {low} to {high}")]
    Setting { what: &'static str, found: i64, low: i64, high: i64 },
    #[error("cannot compress with these settings")]
    Compress { source: io::Error },

    #[error("`{path}`: content of {expected} bytes was announced, {found} came")]
    ContentLength { path: TreePath, expected: u64, found: ContentFound },
    #[error("an entry before was not written whole; begin the archive again")]
    Incomplete,

    #[cfg(feature = "install")]
    #[error("{}", problem_list(problems, *more))]
    Unpackable { problems: Vec<String>, more: u64 },
    #[cfg(feature = "install")]
    #[error("`{path}` changed while it was being read: {what}; pack a tree that nobody writes to")]
    Changed { path: TreePath, what: &'static str },
    #[cfg(feature = "install")]
    #[error("cannot {doing} `{path}`")]
    FileSystem { doing: &'static str, path: String, source: io::Error },
    #[cfg(feature = "install")]
    #[error("`{path}` exists: expected to create it; remove it or choose another folder")]
    Exists { path: String },
}

/// How much content came where another amount was announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ContentFound {
    Only(u64),
    More,
}

impl std::fmt::Display for ContentFound {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Only(found) => write!(formatter, "{found}"),
            Self::More => formatter.write_str("more"),
        }
    }
}

#[cfg(feature = "install")]
fn problem_list(problems: &[String], more: u64) -> String {
    use std::fmt::Write as _;
    let mut text = "the tree cannot be packed:".to_owned();
    for problem in problems {
        let _ = write!(text, "\n  {problem}");
    }
    if more > 0 {
        let _ = write!(text, "\n  and {more} more");
    }
    text
}

impl Error {
    /// What the error is about.
    pub fn kind(&self) -> ErrorKind {
        match &*self.0 {
            Reason::Read { .. } | Reason::Write { .. } => ErrorKind::Transfer,
            Reason::Limit { .. } => ErrorKind::TooLarge,
            Reason::PayloadLong { .. }
            | Reason::PayloadShort { .. }
            | Reason::PayloadDigest { .. }
            | Reason::FrameTrailing
            | Reason::AlreadyRefused => ErrorKind::Mismatch,
            Reason::Setting { .. } | Reason::Compress { .. } => ErrorKind::Setting,
            Reason::Truncated { .. }
            | Reason::Checksum { .. }
            | Reason::Path { .. }
            | Reason::NotUtf8 { .. }
            | Reason::Target { .. }
            | Reason::EntryType { .. }
            | Reason::ModeBits { .. }
            | Reason::Duplicate { .. }
            | Reason::Order { .. }
            | Reason::Folder { .. }
            | Reason::NotCanonical { .. }
            | Reason::LongName { .. }
            | Reason::Padding { .. }
            | Reason::EndMarker { .. }
            | Reason::Trailing { .. }
            | Reason::Decompress { .. }
            | Reason::ContentLength { .. }
            | Reason::Incomplete => ErrorKind::Malformed,
            #[cfg(feature = "install")]
            Reason::Unpackable { .. } => ErrorKind::Unpackable,
            #[cfg(feature = "install")]
            Reason::Changed { .. } => ErrorKind::Changed,
            #[cfg(feature = "install")]
            Reason::FileSystem { .. } | Reason::Exists { .. } => ErrorKind::FileSystem,
        }
    }

    /// Everything that keeps a tree from being packed; empty where the error is about something
    /// else.
    #[cfg(feature = "install")]
    pub fn problems(&self) -> &[String] {
        match &*self.0 {
            Reason::Unpackable { problems, .. } => problems,
            _ => &[],
        }
    }

    /// The error of reading an archive: the one that a reader of this room put into `source`, or
    /// `source` itself.
    pub(super) fn from_read(source: io::Error) -> Self {
        source.downcast::<Self>().unwrap_or_else(|source| Reason::Read { source }.into())
    }

    /// The error of something that the file system refused to do to `path`.
    #[cfg(feature = "install")]
    pub(super) fn file_system(
        doing: &'static str,
        path: impl AsRef<std::path::Path>,
        source: impl Into<io::Error>,
    ) -> Self {
        let path = path.as_ref().to_string_lossy().escape_debug().to_string();
        Reason::FileSystem { doing, path, source: source.into() }.into()
    }

    #[cfg(test)]
    pub(super) fn reason(&self) -> &Reason {
        &self.0
    }
}

impl From<Reason> for Error {
    fn from(reason: Reason) -> Self {
        Self(Box::new(reason))
    }
}

/// So that a reader can be stacked on a reader and the reason survives.
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match error.kind() {
            ErrorKind::Transfer | ErrorKind::FileSystem => error
                .source()
                .and_then(|source| source.downcast_ref::<Self>())
                .map_or(io::ErrorKind::Other, Self::kind),
            _ => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}
