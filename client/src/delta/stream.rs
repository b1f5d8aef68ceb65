use std::{
    fmt,
    io::{self, BufRead as _, BufReader, Read},
};

use lzma_rust2::LzmaReader;

use super::{Error, ReadAt, error::Reason, header::Header, number, read_at::Section};

/// What a stream holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum StreamId {
    /// For each copy, how many bytes are between the one before and this one.
    CopyGaps,
    /// For each copy, its length.
    CopyLengths,
    /// For each copy, how far it begins from where the one before ended in the old payload.
    CopyJumps,
    /// The bytes between the copies.
    Literals,
    /// For each byte of a copy that differs, how many before it do not.
    DifferenceGaps,
    /// For each byte of a copy that differs, by how much.
    DifferenceBytes,
    /// For each pair of executables, where they are in their payloads.
    Executables,
    /// For each pair of executables, the segments of the new one.
    Segments,
    /// For each address that is not as predicted, how many before it are.
    AddressGaps,
    /// For each address that is not as predicted, by how much it differs.
    AddressErrors,
    /// What is new: the bytes between the copies, and those of copies that differ.
    Changes,
    /// The deflate streams that are opened in both payloads.
    Deflated,
}

impl StreamId {
    const ALL: [Self; 12] = [
        Self::CopyGaps,
        Self::CopyLengths,
        Self::CopyJumps,
        Self::Literals,
        Self::DifferenceGaps,
        Self::DifferenceBytes,
        Self::Executables,
        Self::Segments,
        Self::AddressGaps,
        Self::AddressErrors,
        Self::Changes,
        Self::Deflated,
    ];

    pub(super) const fn as_byte(self) -> u8 {
        self as u8
    }

    pub(super) fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.get(usize::from(byte)).copied()
    }

    /// How far back the stream's packing looks at the most.
    const fn window_bytes_max(self) -> usize {
        match self {
            Self::Literals => 8 << 20,
            _ => 4 << 20,
        }
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::CopyGaps => "copy gaps",
            Self::CopyLengths => "copy lengths",
            Self::CopyJumps => "copy jumps",
            Self::Literals => "literals",
            Self::DifferenceGaps => "difference gaps",
            Self::DifferenceBytes => "difference bytes",
            Self::Executables => "executables",
            Self::Segments => "segments",
            Self::AddressGaps => "address gaps",
            Self::AddressErrors => "address errors",
            Self::Changes => "changes",
            Self::Deflated => "deflated",
        })
    }
}

/// How a stream is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Coding {
    /// As it is.
    Stored,
    /// One zstd frame.
    Zstd,
    /// LZMA without a header.
    Lzma {
        /// `(pb × 5 + lp) × 9 + lc`, as LZMA's own header has it.
        properties: u8,
    },
    /// By the mixed opinions of many contexts: the changes of the profile *compact*.
    Mixed,
}

#[cfg(feature = "delta-make")]
impl Coding {
    pub(super) const fn as_byte(self) -> u8 {
        match self {
            Self::Stored => 0,
            Self::Zstd => 1,
            Self::Lzma { .. } => 2,
            Self::Mixed => 3,
        }
    }
}

impl fmt::Display for Coding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Stored => "stored",
            Self::Zstd => "zstd",
            Self::Lzma { .. } => "LZMA",
            Self::Mixed => "mixed",
        })
    }
}

/// What the header says of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamEntry {
    /// Which one it is.
    pub id: StreamId,
    /// How it is packed.
    pub coding: Coding,
    /// Its length in bytes.
    pub length: u64,
    /// Its length in bytes in the delta.
    pub packed_length: u64,
}

impl StreamEntry {
    /// The window that both sides of LZMA take: what a stream of `length` bytes needs, within bounds, and its
    /// dictionary.
    pub(super) fn window_bytes(id: StreamId, length: u64, dictionary: &[u8]) -> u32 {
        const WINDOW_BYTES_MIN: usize = 4096;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let window = length.clamp(WINDOW_BYTES_MIN, id.window_bytes_max()) + dictionary.len();
        u32::try_from(window).unwrap_or(u32::MAX)
    }
}

/// The binary logarithm of the largest window of zstd that is accepted.
pub(super) const ZSTD_WINDOW_LOG_MAX: u32 = 23;

/// A stream, unpacked as it is read. Never more comes out than the header says.
pub(super) struct StreamReader<'a> {
    id: StreamId,
    bytes: BufReader<Box<dyn Read + 'a>>,
    left: u64,
}

const BUFFER_BYTES: usize = 32 << 10;

impl<'a> StreamReader<'a> {
    /// The stream `id` of `delta`, packed with `dictionary`.
    pub(super) fn open(
        delta: &'a dyn ReadAt,
        header: &Header,
        id: StreamId,
        dictionary: &'a [u8],
    ) -> Result<Self, Error> {
        let (bytes, left): (Box<dyn Read + 'a>, u64) = match header.stream(id) {
            None => (Box::new(io::empty()), 0),
            Some((entry, offset)) => {
                let packed = Section { bytes: delta, offset, left: entry.packed_length };
                let unpacked = unpacked(packed, entry, dictionary)
                    .map_err(|source| Reason::Decompress { id: id.as_byte(), source })?;
                (unpacked, entry.length)
            }
        };
        Ok(Self { id, bytes: BufReader::with_capacity(BUFFER_BYTES, bytes), left })
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.left == 0
    }

    /// Fills `buffer`.
    pub(super) fn read_exact(&mut self, buffer: &mut [u8]) -> Result<(), Error> {
        self.take(buffer.len() as u64)?;
        self.bytes.read_exact(buffer).map_err(|source| self.failed(source))
    }

    /// The next byte.
    pub(super) fn byte(&mut self) -> Result<u8, Error> {
        self.take(1)?;
        let buffered = match self.bytes.fill_buf() {
            Ok(buffered) => buffered.first().copied(),
            Err(source) => return Err(self.failed(source)),
        };
        let byte = buffered.ok_or_else(|| self.failed(io::ErrorKind::UnexpectedEof.into()))?;
        self.bytes.consume(1);
        Ok(byte)
    }

    /// The next number.
    pub(super) fn number(&mut self) -> Result<u64, Error> {
        number::take(|| self.byte())?
            .ok_or(Reason::Malformed { what: "a number has more than 64 bits" }.into())
    }

    /// Expects that all has been read.
    pub(super) fn finish(&self) -> Result<(), Error> {
        if self.is_at_end() {
            Ok(())
        } else {
            Err(Reason::Malformed { what: "a stream holds more than is needed" }.into())
        }
    }

    fn take(&mut self, count: u64) -> Result<(), Error> {
        let missing = Reason::Malformed { what: "a stream holds less than is needed" };
        self.left = self.left.checked_sub(count).ok_or(missing)?;
        Ok(())
    }

    fn failed(&self, source: io::Error) -> Error {
        Reason::Decompress { id: self.id.as_byte(), source }.into()
    }
}

fn unpacked<'a>(
    packed: Section<'a>,
    entry: StreamEntry,
    dictionary: &'a [u8],
) -> io::Result<Box<dyn Read + 'a>> {
    Ok(match entry.coding {
        // What is mixed is decoded where it is needed; the header has seen to it that it is not here.
        Coding::Stored | Coding::Mixed => Box::new(packed),
        Coding::Zstd => {
            let packed = BufReader::with_capacity(BUFFER_BYTES, packed);
            let mut decoder =
                zstd::stream::read::Decoder::with_ref_prefix(packed, dictionary)?.single_frame();
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
            Box::new(decoder)
        }
        Coding::Lzma { properties } => {
            let window = StreamEntry::window_bytes(entry.id, entry.length, dictionary);
            let dictionary = (!dictionary.is_empty()).then_some(dictionary);
            Box::new(LzmaReader::new_with_props(
                packed,
                entry.length,
                properties,
                window,
                dictionary,
            )?)
        }
    })
}
