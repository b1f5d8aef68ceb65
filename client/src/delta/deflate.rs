//! Deflate (RFC 1951), so that what is compressed in a payload can be opened, and closed again bit for bit.
//!
//! Anybody's streams are inflated. One is closed again by [`Deflater`], which makes what zlib makes with
//! the [`Setting`] that the delta says: the same matches, blocks and codes. Both are functions of bytes in
//! integers, the same on every platform.

mod block;
mod code;
mod deflater;
mod inflate;
mod setting;
mod symbols;
#[cfg(test)]
mod tests;

pub(super) use deflater::Deflater;
pub(super) use inflate::inflate;
pub(super) use setting::Setting;
