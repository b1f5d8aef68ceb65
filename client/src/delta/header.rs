use std::fmt;

use super::{
    Error, ReadAt,
    error::Reason,
    number,
    stream::{Coding, StreamEntry, StreamId},
};
use crate::{format::Digest, pack::PayloadIdentity};

/// What every delta begins with: a byte that no text has, a name, and line ends that a transfer as text
/// would damage.
const MAGIC: &[u8; 10] = b"\x8fMSDELTA\r\n";
/// More bytes than any header has.
const HEADER_BYTES_MAX: usize = 1024;

/// How the streams of a delta are packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Profile {
    /// With zstd or LZMA, whichever is smaller for the stream: applied at the speed of a decompression.
    Fast,
    /// The changes by the mixed opinions of many contexts, and the rest as [`Fast`](Self::Fast): smaller, and
    /// about ten times slower to apply, with about 60 MiB of memory more.
    Compact,
}

impl Profile {
    #[cfg(feature = "delta-make")]
    const fn as_byte(self) -> u8 {
        match self {
            Self::Fast => 0,
            Self::Compact => 1,
        }
    }

    const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => Some(Self::Fast),
            1 => Some(Self::Compact),
            _ => None,
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Fast => "fast",
            Self::Compact => "compact",
        })
    }
}

/// The version of the format, by which a program knows that it is too old for what is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// No deflate stream is opened.
    Closed,
    /// Those that zlib makes are.
    OfZlib,
    /// Those of other programs are too.
    OfPrograms,
}

impl Version {
    const NEWEST: Self = Self::OfPrograms;

    const fn as_byte(self) -> u8 {
        match self {
            Self::Closed => 1,
            Self::OfZlib => 2,
            Self::OfPrograms => 3,
        }
    }

    const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1 => Some(Self::Closed),
            2 => Some(Self::OfZlib),
            3 => Some(Self::OfPrograms),
            _ => None,
        }
    }
}

/// What a delta says of itself at its beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// How its streams are packed.
    pub profile: Profile,
    /// What a program must know to apply it.
    pub(super) version: Version,
    /// What it is applied to.
    pub old: PayloadIdentity,
    /// What it makes.
    pub new: PayloadIdentity,
    /// Its streams in their order, which is that of their ids.
    pub streams: Vec<StreamEntry>,
    /// Where the first stream begins.
    pub(super) length: u64,
}

impl Header {
    /// Reads the header of `delta`, which is as long as it says.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Transfer`](super::ErrorKind::Transfer) and
    /// [`ErrorKind::Malformed`](super::ErrorKind::Malformed).
    pub fn read(delta: &dyn ReadAt) -> Result<Self, Error> {
        let length = delta.length();
        let mut bytes = vec![
            0;
            usize::try_from(length)
                .map_or(HEADER_BYTES_MAX, |it| it.min(HEADER_BYTES_MAX))
        ];
        delta.read_exact_at(&mut bytes, 0).map_err(|source| Reason::ReadDelta { source })?;
        let rest = bytes.strip_prefix(MAGIC).ok_or(Reason::NoDelta)?;
        let mut parser = Parser { bytes: rest };
        let header = parser.header((bytes.len() - rest.len()) as u64)?;
        let end = header
            .streams
            .iter()
            .try_fold(header.length, |end, it| end.checked_add(it.packed_length));
        if end != Some(length) {
            return Err(malformed("it is not as long as its header says"));
        }
        Ok(header)
    }

    /// The header's bytes.
    #[cfg(feature = "delta-make")]
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend([self.version.as_byte(), self.profile.as_byte()]);
        for payload in [&self.old, &self.new] {
            number::put(&mut bytes, payload.length);
            bytes.extend(payload.sha256.as_bytes());
        }
        number::put(&mut bytes, self.streams.len() as u64);
        for stream in &self.streams {
            bytes.extend([stream.id.as_byte(), stream.coding.as_byte()]);
            if let Coding::Lzma { properties } = stream.coding {
                bytes.push(properties);
            }
            number::put(&mut bytes, stream.length);
            number::put(&mut bytes, stream.packed_length);
        }
        bytes
    }

    /// The entry of the stream `id` and where it begins; `None` where the delta has none, which is the same
    /// as an empty one.
    pub(super) fn stream(&self, id: StreamId) -> Option<(StreamEntry, u64)> {
        let mut offset = self.length;
        for entry in &self.streams {
            if entry.id == id {
                return Some((*entry, offset));
            }
            offset += entry.packed_length;
        }
        None
    }
}

fn malformed(what: &'static str) -> Error {
    Reason::Malformed { what }.into()
}

struct Parser<'a> {
    bytes: &'a [u8],
}

impl Parser<'_> {
    fn header(&mut self, magic_length: u64) -> Result<Header, Error> {
        let all = self.bytes.len();
        let found = self.byte()?;
        let newest = Version::NEWEST.as_byte();
        let version = Version::from_byte(found).ok_or(Reason::Version { newest, found })?;
        let profile =
            Profile::from_byte(self.byte()?).ok_or(malformed("its profile is unknown"))?;
        let (old, new) = (self.payload()?, self.payload()?);
        let count = self.number()?;
        let mut streams: Vec<StreamEntry> = Vec::new();
        for _ in 0..count {
            let entry = self.stream()?;
            if streams.last().is_some_and(|it| it.id >= entry.id) {
                return Err(malformed("its streams are not in their order"));
            }
            if !is_of(profile, &entry) {
                return Err(malformed("a stream is not one of its profile"));
            }
            streams.push(entry);
        }
        let length = magic_length + (all - self.bytes.len()) as u64;
        let is_opened = streams.iter().any(|it| it.id == StreamId::Deflated);
        if is_opened == (version == Version::Closed) {
            return Err(malformed("its streams are those of another version"));
        }
        Ok(Header { profile, version, old, new, streams, length })
    }

    fn stream(&mut self) -> Result<StreamEntry, Error> {
        let id = StreamId::from_byte(self.byte()?)
            .ok_or(malformed("it has a stream that is unknown"))?;
        let coding = match self.byte()? {
            0 => Coding::Stored,
            1 => Coding::Zstd,
            2 => Coding::Lzma { properties: self.byte()? },
            3 => Coding::Mixed,
            _ => return Err(malformed("a stream is packed in a way that is unknown")),
        };
        let entry =
            StreamEntry { id, coding, length: self.number()?, packed_length: self.number()? };
        let has_one_length = matches!(entry.coding, Coding::Stored | Coding::Mixed);
        if has_one_length && entry.packed_length != entry.length {
            return Err(malformed("a stream that has one length has two"));
        }
        Ok(entry)
    }

    fn payload(&mut self) -> Result<PayloadIdentity, Error> {
        let length = self.number()?;
        let (digest, rest) = self.bytes.split_first_chunk::<32>().ok_or_else(ends_early)?;
        self.bytes = rest;
        Ok(PayloadIdentity { length, sha256: Digest::from(*digest) })
    }

    fn number(&mut self) -> Result<u64, Error> {
        number::take(|| self.byte())?
            .ok_or(malformed("a number in its header has more than 64 bits"))
    }

    fn byte(&mut self) -> Result<u8, Error> {
        let (byte, rest) = self.bytes.split_first().ok_or_else(ends_early)?;
        self.bytes = rest;
        Ok(*byte)
    }
}

/// Whether deltas of `profile` have the stream `entry`, packed so.
fn is_of(profile: Profile, entry: &StreamEntry) -> bool {
    let is_mixed = entry.coding == Coding::Mixed;
    match entry.id {
        StreamId::Changes => profile == Profile::Compact && is_mixed,
        StreamId::Literals | StreamId::DifferenceGaps | StreamId::DifferenceBytes => {
            profile == Profile::Fast && !is_mixed
        }
        _ => !is_mixed,
    }
}

fn ends_early() -> Error {
    malformed("its header ends early")
}
