use std::io;

use crate::format::Digest;

/// Why a delta could not be made or applied.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Error(Box<Reason>);

/// What an [`Error`] is about, for a program to decide by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The delta or the old payload could not be read, or the new one not written.
    Transfer,
    /// The delta is damaged or hostile, or of a version that is not known here.
    Malformed,
    /// It is larger than the limits allow.
    TooLarge,
    /// The delta is not for this old payload, or not for the new one that is expected.
    Mismatch,
    /// The caller has asked for the end of it.
    Cancelled,
}

/// The reasons themselves; each message says what was expected, what was found, what to do.
#[derive(Debug, thiserror::Error)]
pub(super) enum Reason {
    #[error("cannot read the delta")]
    ReadDelta { source: io::Error },
    #[error("cannot read the old payload")]
    ReadOld { source: io::Error },
    #[error("cannot write the new payload")]
    Write { source: io::Error },
    #[cfg(feature = "delta-make")]
    #[error("cannot compress the delta")]
    Compress { source: io::Error },

    #[error("this is no delta: expected it to begin as deltas of Mainstay do")]
    NoDelta,
    #[error(
        "the delta has format {found}: expected 1 to {newest}; use a newer version of Mainstay"
    )]
    Version { newest: u8, found: u8 },
    #[error("the delta is damaged: {what}; fetch or make it again")]
    Malformed { what: &'static str },
    #[error(
        "the delta's stream {id} cannot be decompressed: it is damaged; fetch or make it again"
    )]
    Decompress { id: u8, source: io::Error },

    #[error("{what}: expected at most {limit}")]
    Limit { what: &'static str, limit: u64 },

    #[error(
        "the delta is for an old payload with the digest {expected}: this one has {found}; use the full \
         artifact"
    )]
    WrongOld { expected: Digest, found: Digest },
    #[error(
        "the delta is for an old payload of {expected} bytes: this one has {found}; use the full \
         artifact"
    )]
    WrongOldLength { expected: u64, found: u64 },
    #[error(
        "the delta makes a payload of {found_length} bytes with the digest {found}: {expected_length} \
         bytes and the digest {expected} were signed"
    )]
    WrongNew { expected_length: u64, expected: Digest, found_length: u64, found: Digest },
    #[error("the delta made a payload with the digest {found}: it says {expected}; it is damaged")]
    Result { expected: Digest, found: Digest },

    #[error("cancelled")]
    Cancelled,
}

impl Error {
    /// What it is about.
    pub fn kind(&self) -> ErrorKind {
        match &*self.0 {
            Reason::ReadDelta { .. } | Reason::ReadOld { .. } | Reason::Write { .. } => {
                ErrorKind::Transfer
            }
            #[cfg(feature = "delta-make")]
            Reason::Compress { .. } => ErrorKind::Transfer,
            Reason::NoDelta
            | Reason::Version { .. }
            | Reason::Malformed { .. }
            | Reason::Decompress { .. }
            | Reason::Result { .. } => ErrorKind::Malformed,
            Reason::Limit { .. } => ErrorKind::TooLarge,
            Reason::WrongOld { .. } | Reason::WrongOldLength { .. } | Reason::WrongNew { .. } => {
                ErrorKind::Mismatch
            }
            Reason::Cancelled => ErrorKind::Cancelled,
        }
    }
}

impl From<Reason> for Error {
    fn from(reason: Reason) -> Self {
        Self(Box::new(reason))
    }
}
