//! Deflate (RFC 1951), so that what is compressed in a payload can be opened, and closed again bit for bit.
//!
//! Anybody's streams are inflated. One is closed again by [`Deflater`], which makes what zlib, `gzip` or `zip` makes with
//! the [`Setting`] that the delta says: the same matches, blocks and codes. Both are functions of bytes in
//! integers, the same on every platform. The three programs have one origin, and differ in where blocks and
//! the stream end.

mod block;
mod code;
mod deflater;
#[cfg(any(test, feature = "delta-make"))]
mod first_block;
mod inflate;
mod setting;
mod symbols;
#[cfg(test)]
mod tests;

pub(super) use deflater::Deflater;
#[cfg(any(test, feature = "delta-make"))]
pub(super) use first_block::FirstBlock;
pub(super) use inflate::inflate;
pub(super) use setting::Setting;
