//! JSON of records, compressed by what they have in common.
//!
//! The dictionary is their fields, without what tells one record from another. A machine's record becomes a
//! third as long by it, on the disk as in memory, and takes a microsecond or two.

use std::{cell::RefCell, io, sync::LazyLock};

use zstd::{
    bulk::{Compressor, Decompressor},
    dict::{DecoderDictionary, EncoderDictionary},
};

use super::{
    super::{StoreError, StoreResult},
    codec::CONTENT_BYTES_MAX,
};

/// A part of the format on disk: with another one, records need another form.
pub(super) const DICTIONARY: &[u8] = include_bytes!("dictionary.txt");

/// The most bytes for which time counts more than room.
const SHORT_BYTES_MAX: usize = 4 << 10;

static SHORT: LazyLock<EncoderDictionary<'_>> =
    LazyLock::new(|| EncoderDictionary::copy(DICTIONARY, -1));
static LONG: LazyLock<EncoderDictionary<'_>> =
    LazyLock::new(|| EncoderDictionary::copy(DICTIONARY, 3));
static EITHER: LazyLock<DecoderDictionary<'_>> =
    LazyLock::new(|| DecoderDictionary::copy(DICTIONARY));

thread_local! {
    static PACKER: RefCell<Option<Packer>> = const { RefCell::new(None) };
    static UNPACKER: RefCell<Option<Unpacker>> = const { RefCell::new(None) };
}

struct Packer {
    compressor: Compressor<'static>,
    frame: Vec<u8>,
}

struct Unpacker {
    decompressor: Decompressor<'static>,
    json: Vec<u8>,
}

/// Appends `json`, compressed, to `value`.
pub(super) fn append(json: &[u8], value: &mut Vec<u8>) -> StoreResult<()> {
    let append = |packer: &mut Option<Packer>| {
        let Packer { compressor, frame } = match packer {
            Some(packer) => packer,
            None => packer.insert(Packer::new()?),
        };
        let is_short = json.len() <= SHORT_BYTES_MAX;
        compressor.set_prepared_dictionary(if is_short { &SHORT } else { &LONG })?;
        frame.clear();
        frame.reserve(zstd::compress_bound(json.len()));
        compressor.compress_to_buffer(json, frame)?;
        value.extend_from_slice(frame);
        Ok(())
    };
    PACKER.with_borrow_mut(append).map_err(|error: io::Error| {
        StoreError::Unavailable(format!("a record could not be compressed: {error}"))
    })
}

/// What `read` makes of the JSON that became `frame`.
pub(super) fn with_unpacked<T>(frame: &[u8], read: impl FnOnce(&[u8]) -> T) -> io::Result<T> {
    UNPACKER.with_borrow_mut(|unpacker| {
        let Unpacker { decompressor, json } = match unpacker {
            Some(unpacker) => unpacker,
            None => unpacker.insert(Unpacker::new()?),
        };
        json.clear();
        decompressor.decompress_to_buffer(frame, json)?;
        Ok(read(json))
    })
}

impl Packer {
    fn new() -> io::Result<Self> {
        Ok(Self { compressor: Compressor::new(0)?, frame: Vec::new() })
    }
}

impl Unpacker {
    fn new() -> io::Result<Self> {
        let decompressor = Decompressor::with_prepared_dictionary(&EITHER)?;
        // What does not fit is no record's.
        Ok(Self { decompressor, json: Vec::with_capacity(CONTENT_BYTES_MAX) })
    }
}
