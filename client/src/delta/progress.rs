use std::ops::ControlFlow;

use super::{Error, error::Reason};

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// The old payload is compared with the one that the delta is for.
    Verifying {
        /// Bytes compared.
        done: u64,
        /// All of them.
        total: u64,
    },
    /// The new payload is being written.
    Applying {
        /// Bytes written.
        done: u64,
        /// All of them.
        total: u64,
    },
    /// What is compressed in both payloads is being opened.
    Opening,
    /// The old payload is being sorted.
    Sorting,
    /// What is alike in both payloads is looked for; more than once.
    Aligning {
        /// Bytes of the new payload looked at.
        done: u64,
        /// All of them.
        total: u64,
    },
    /// The delta is being compressed.
    Compressing,
}

/// Is told how far it is, and says whether to go on.
pub type Watch<'a> = &'a mut dyn FnMut(Progress) -> ControlFlow<()>;

/// Tells `watch`; the error is that of the caller who has had enough.
pub(super) fn tell(watch: Watch<'_>, progress: Progress) -> Result<(), Error> {
    match watch(progress) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(Reason::Cancelled.into()),
    }
}
