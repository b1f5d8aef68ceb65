//! Deltas: the bytes that turn one payload into another.
//!
//! ```text
//! old payload, new payload ── make ──> delta
//! old payload, delta ──────── apply ─> new payload
//! ```
//!
//! A delta describes the new payload as copies of stretches of the old one, the bytes in which a copy
//! differs from its original, and the bytes between the copies. The format is specified in the server's
//! manual, so that somebody else can write a second program that applies deltas.
//!
//! Whoever applies a delta needs the old payload where it can be read anywhere ([`ReadAt`]), and memory
//! for the copies, the windows of the decompressors and the executable file that is being rebuilt; never
//! for a payload. A delta is not trusted: the result is held to the length and digest that were signed, never
//! more is written than that length, and whatever a delta holds, there is an error or the right payload.

mod addresses;
mod apply;
mod branches;
mod changes;
mod copies;
mod deflate;
mod dictionary;
mod error;
pub mod executable;
mod header;
mod limits;
#[cfg(feature = "delta-make")]
mod make;
mod mixing;
mod number;
mod opened;
mod pair;
mod prediction;
mod progress;
mod read_at;
mod stream;
#[cfg(test)]
#[cfg(feature = "delta-make")]
mod tests;

pub use apply::apply;
pub use error::{Error, ErrorKind};
pub use header::{Header, Profile};
pub use limits::Limits;
#[cfg(feature = "delta-make")]
pub use make::make;
pub use progress::{Progress, Watch};
#[cfg(unix)]
pub use read_at::FileAt;
pub use read_at::ReadAt;
pub use stream::{Coding, StreamEntry, StreamId};
