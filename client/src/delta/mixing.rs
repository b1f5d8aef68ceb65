//! The coder of the profile *compact*: what is likely is told by many contexts, whose opinions are mixed.
//!
//! All is in integers, and the same on every platform: arithmetic is of 32 bits but where a type says
//! otherwise, shifts of numbers with a sign keep the sign. The manual specifies it, table by table, so that
//! somebody else can decode it: whatever is changed here changes the format.

#![expect(
    clippy::cast_possible_truncation,
    reason = "what is coded is at most 32 bits of numbers that have more, or is known to be small"
)]

mod changes;
mod coder;
mod halves;
mod history;
mod logistic;
mod mixer;
mod symbols;

pub(super) use changes::{Beside, Changes, NO_BYTE};
pub(super) use coder::Decoder;
#[cfg(feature = "delta-make")]
pub(super) use coder::Encoder;
