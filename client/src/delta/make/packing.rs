//! The smallest of the ways to pack a stream.

use std::io::{self, Write as _};

use lzma_rust2::{LzmaOptions, LzmaWriter};

use crate::delta::{Coding, StreamEntry, StreamId, stream::ZSTD_WINDOW_LOG_MAX};

/// What is tried of LZMA: how many bits of the byte before (`lc`), and of the position (`lp`, `pb`), tell
/// about a byte. With a dictionary, positions count from where nobody else begins to count.
const LZMA: [(u32, u32, u32); 3] = [(3, 0, 0), (0, 0, 0), (0, 2, 2)];
const LZMA_PRESET: u32 = 9;
const LZMA_PRESET_ESTIMATE: u32 = 2;
const ZSTD_LEVEL: i32 = 19;

/// A stream as the delta has it.
pub(super) struct PackedStream {
    pub(super) entry: StreamEntry,
    pub(super) bytes: Vec<u8>,
}

/// Packs `stream` with `dictionary`.
pub(super) fn pack(id: StreamId, stream: &[u8], dictionary: &[u8]) -> io::Result<PackedStream> {
    let mut smallest = (Coding::Stored, stream.to_vec());
    let mut keep = |coding, packed: Vec<u8>| {
        if packed.len() < smallest.1.len() {
            smallest = (coding, packed);
        }
    };
    keep(Coding::Zstd, zstd(stream, dictionary)?);
    for (lc, lp, pb) in LZMA {
        if dictionary.is_empty() || (lp, pb) == (0, 0) {
            let (properties, packed) = lzma(id, stream, dictionary, (lc, lp, pb), LZMA_PRESET)?;
            keep(Coding::Lzma { properties }, packed);
        }
    }
    let (coding, bytes) = smallest;
    let (length, packed_length) = (stream.len() as u64, bytes.len() as u64);
    Ok(PackedStream { entry: StreamEntry { id, coding, length, packed_length }, bytes })
}

/// About how many bytes `stream` has when it is packed with `dictionary`.
pub(super) fn estimate(id: StreamId, stream: &[u8], dictionary: &[u8]) -> io::Result<u64> {
    let (_, packed) = lzma(id, stream, dictionary, LZMA[0], LZMA_PRESET_ESTIMATE)?;
    Ok(packed.len() as u64)
}

fn zstd(stream: &[u8], dictionary: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder =
        zstd::stream::write::Encoder::with_ref_prefix(Vec::new(), ZSTD_LEVEL, dictionary)?;
    encoder.window_log(ZSTD_WINDOW_LOG_MAX)?;
    encoder.include_contentsize(false)?;
    encoder.write_all(stream)?;
    encoder.finish()
}

fn lzma(
    id: StreamId,
    stream: &[u8],
    dictionary: &[u8],
    (lc, lp, pb): (u32, u32, u32),
    preset: u32,
) -> io::Result<(u8, Vec<u8>)> {
    let mut options = LzmaOptions::with_preset(preset);
    (options.lc, options.lp, options.pb) = (lc, lp, pb);
    options.dict_size = StreamEntry::window_bytes(id, stream.len() as u64, dictionary);
    options.preset_dict = (!dictionary.is_empty()).then(|| dictionary.to_vec());
    let mut writer = LzmaWriter::new_no_header(Vec::new(), &options, false)?;
    writer.write_all(stream)?;
    Ok((writer.props(), writer.finish()?))
}
