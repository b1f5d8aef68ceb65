//! Deflate streams in payloads, taken for what they inflate to.
//!
//! A change in a file changes all that its compressed form is behind it. So the rest of a delta speaks of
//! payloads in which such streams are *opened*: where a stream was, there is what it inflates to. Those of
//! the new payload are closed again as they were.

use std::{
    io::{self, BufReader, Write},
    ops::Range,
};

#[cfg(feature = "delta-make")]
use super::number;
use super::{
    Error, Header, Limits, ReadAt,
    deflate::{Deflater, Setting, inflate},
    error::Reason,
    header::Version,
    read_at::Section,
    stream::{StreamId, StreamReader},
};
use crate::format::{Digest, Hasher};

/// A deflate stream of a payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Deflated {
    /// Where it is in the payload.
    pub(super) packed: Range<usize>,
    /// Where in the opened payload is what it inflates to.
    pub(super) opened: Range<usize>,
}

/// The streams that are opened in both payloads.
#[derive(Debug, Default)]
pub(super) struct Openings {
    pub(super) old: Vec<Deflated>,
    pub(super) new: Vec<(Deflated, Setting)>,
}

impl Openings {
    /// Reads them from the stream of the delta that tells of them.
    pub(super) fn read(
        delta: &dyn ReadAt,
        header: &Header,
        (old_length, new_length): (usize, usize),
        limits: &Limits,
    ) -> Result<Self, Error> {
        let mut stream = StreamReader::open(delta, header, StreamId::Deflated, &[])?;
        let mut openings = Self::default();
        if stream.is_at_end() {
            return Ok(openings);
        }
        let mut places = Places::new(old_length, limits);
        for _ in 0..stream.number()? {
            openings.old.push(places.next(&mut stream)?);
        }
        let mut places = Places::new(new_length, limits);
        while !stream.is_at_end() {
            let setting = Setting::from_byte(stream.byte()?)
                .ok_or(Reason::Malformed { what: "a deflate stream is of no known setting" })?;
            openings.new.push((places.next(&mut stream)?, setting));
        }
        if openings.version() != header.version {
            let what = "a deflate stream is of a setting of another version";
            return Err(Reason::Malformed { what }.into());
        }
        Ok(openings)
    }

    /// What a program must know to open and close them.
    pub(super) fn version(&self) -> Version {
        if self.old.is_empty() && self.new.is_empty() {
            Version::Closed
        } else if self.new.iter().all(|(_, setting)| setting.is_of_zlib()) {
            Version::OfZlib
        } else {
            Version::OfPrograms
        }
    }

    #[cfg(feature = "delta-make")]
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        if self.new.is_empty() {
            return bytes;
        }
        number::put(&mut bytes, self.old.len() as u64);
        let mut end = 0;
        for deflated in &self.old {
            put(&mut bytes, deflated, &mut end);
        }
        end = 0;
        for (deflated, setting) in &self.new {
            bytes.push(setting.as_byte());
            put(&mut bytes, deflated, &mut end);
        }
        bytes
    }
}

#[cfg(feature = "delta-make")]
fn put(bytes: &mut Vec<u8>, deflated: &Deflated, end: &mut usize) {
    let Deflated { packed, opened } = deflated;
    number::put(bytes, (packed.start - *end) as u64);
    number::put(bytes, packed.len() as u64);
    number::put(bytes, opened.len() as u64);
    *end = packed.end;
}

/// How long a payload of `length` bytes is when `last` is the last of its streams that are opened.
pub(super) fn opened_length(length: usize, last: Option<&Deflated>) -> usize {
    last.map_or(length, |it| length - it.packed.end + it.opened.end)
}

/// Where streams are that are told of one after another.
struct Places<'a> {
    payload_length: usize,
    limits: &'a Limits,
    count: usize,
    opened_bytes: usize,
    /// The ends of the stream before, in the payload and in the opened one.
    ends: (usize, usize),
}

impl<'a> Places<'a> {
    const fn new(payload_length: usize, limits: &'a Limits) -> Self {
        Self { payload_length, limits, count: 0, opened_bytes: 0, ends: (0, 0) }
    }

    fn next(&mut self, stream: &mut StreamReader<'_>) -> Result<Deflated, Error> {
        let [gap, packed, opened] = [stream.number()?, stream.number()?, stream.number()?];
        let deflated = self
            .deflated(gap, packed, opened)
            .ok_or(Reason::Malformed { what: "a deflate stream is not within its payload" })?;
        self.count += 1;
        self.opened_bytes = self.opened_bytes.saturating_add(deflated.opened.len());
        let Limits { opened_max, opened_bytes_max, .. } = *self.limits;
        if self.count > opened_max {
            let limit = opened_max as u64;
            return Err(Reason::Limit { what: "deflate streams", limit }.into());
        }
        if self.opened_bytes > opened_bytes_max {
            let limit = opened_bytes_max as u64;
            return Err(Reason::Limit { what: "bytes of deflate streams", limit }.into());
        }
        self.ends = (deflated.packed.end, deflated.opened.end);
        Ok(deflated)
    }

    /// The stream, where its ends are numbers at all and it is not empty.
    fn deflated(&self, gap: u64, packed: u64, opened: u64) -> Option<Deflated> {
        let (packed_end, opened_end) = self.ends;
        let gap = usize::try_from(gap).ok()?;
        let range = |from: usize, length: u64| {
            let start = from.checked_add(gap)?;
            let end = start.checked_add(usize::try_from(length).ok()?)?;
            (length > 0).then_some(start..end)
        };
        let (packed, opened) = (range(packed_end, packed)?, range(opened_end, opened)?);
        // No opened payload has more bytes than there are numbers.
        opened.end.checked_add(self.payload_length)?;
        (packed.end <= self.payload_length).then_some(Deflated { packed, opened })
    }
}

/// An old payload whose streams are opened. What they inflate to is in memory.
pub(super) struct OpenedOld<'a> {
    payload: &'a dyn ReadAt,
    length: usize,
    streams: Vec<Deflated>,
    /// What the streams inflate to, one after another.
    inflated: Vec<u8>,
    /// Where in `inflated` each stream begins.
    starts: Vec<usize>,
}

impl<'a> OpenedOld<'a> {
    /// Opens the `streams` of `payload`, which has `length` bytes.
    pub(super) fn new(
        payload: &'a dyn ReadAt,
        length: usize,
        streams: Vec<Deflated>,
    ) -> Result<Self, Error> {
        let mut inflated = Vec::with_capacity(streams.iter().map(|it| it.opened.len()).sum());
        let mut starts = Vec::with_capacity(streams.len());
        for Deflated { packed, opened } in &streams {
            starts.push(inflated.len());
            let (offset, left) = (packed.start as u64, packed.len() as u64);
            let section = BufReader::new(Section { bytes: payload, offset, left });
            let used = inflate(section, opened.len(), &mut inflated).map_err(unsound)?;
            if used != left || inflated.len() != starts.last().unwrap_or(&0) + opened.len() {
                return Err(not_as_said());
            }
        }
        let length = opened_length(length, streams.last());
        Ok(Self { payload, length, streams, inflated, starts })
    }

    pub(super) const fn opened_length(&self) -> usize {
        self.length
    }
}

fn unsound(source: io::Error) -> Error {
    match source.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => not_as_said(),
        _ => Reason::ReadOld { source }.into(),
    }
}

fn not_as_said() -> Error {
    Reason::Malformed { what: "a deflate stream does not inflate to what it says" }.into()
}

impl ReadAt for OpenedOld<'_> {
    fn length(&self) -> u64 {
        self.length as u64
    }

    fn read_exact_at(&self, mut buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let mut place = usize::try_from(offset).map_err(|_| io::ErrorKind::UnexpectedEof)?;
        while !buffer.is_empty() {
            let index = self.streams.partition_point(|it| it.opened.end <= place);
            let before = index.checked_sub(1).and_then(|it| self.streams.get(it));
            let next = self.streams.get(index);
            let is_within = next.is_some_and(|it| it.opened.start <= place);
            let end = next
                .map_or(self.length, |it| if is_within { it.opened.end } else { it.opened.start });
            let left = end.checked_sub(place).filter(|it| *it > 0);
            let count = buffer.len().min(left.ok_or(io::ErrorKind::UnexpectedEof)?);
            let (now, later) = buffer.split_at_mut(count);
            if let (true, Some(next), Some(start)) = (is_within, next, self.starts.get(index)) {
                let from = place - next.opened.start + start;
                self.inflated.read_exact_at(now, from as u64)?;
            } else {
                let (packed_end, opened_end) =
                    before.map_or((0, 0), |it| (it.packed.end, it.opened.end));
                self.payload.read_exact_at(now, (place - opened_end + packed_end) as u64)?;
            }
            place += count;
            buffer = later;
        }
        Ok(())
    }
}

/// Takes an opened new payload and writes the payload itself: never more than it has.
pub(super) struct ClosedNew<W> {
    output: W,
    hasher: Hasher,
    written: u64,
    length: u64,
    /// The streams that have not come to their end.
    streams: std::iter::Peekable<std::vec::IntoIter<(Deflated, Setting)>>,
    /// Where in the opened payload the next byte is.
    place: usize,
    closing: Option<Closing>,
}

/// The stream that is being made, and how many of its bytes were.
struct Closing {
    deflater: Deflater,
    made: usize,
}

impl<W: Write> ClosedNew<W> {
    pub(super) fn new(output: W, length: u64, streams: Vec<(Deflated, Setting)>) -> Self {
        let streams = streams.into_iter().peekable();
        Self { output, hasher: Hasher::new(), written: 0, length, streams, place: 0, closing: None }
    }

    /// How many bytes of the payload are written.
    pub(super) const fn written(&self) -> u64 {
        self.written
    }

    /// Takes the next bytes of the opened payload.
    pub(super) fn take(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        while !bytes.is_empty() {
            let Some((deflated, setting)) = self.streams.peek().cloned() else {
                self.place += bytes.len();
                return self.write(bytes);
            };
            let Deflated { packed, opened } = deflated;
            let end = if self.place < opened.start { opened.start } else { opened.end };
            let (now, later) = bytes.split_at(bytes.len().min(end - self.place));
            if self.place < opened.start {
                self.write(now)?;
            } else {
                let is_end = self.place + now.len() == opened.end;
                self.close(now, is_end, setting, packed.len())?;
                if is_end {
                    self.streams.next();
                }
            }
            self.place += now.len();
            bytes = later;
        }
        Ok(())
    }

    /// Deflates the next `bytes` of a stream that shall have `packed_bytes`.
    fn close(
        &mut self,
        bytes: &[u8],
        is_end: bool,
        setting: Setting,
        packed_bytes: usize,
    ) -> Result<(), Error> {
        let mut closing = self
            .closing
            .take()
            .unwrap_or_else(|| Closing { deflater: Deflater::new(setting), made: 0 });
        closing.deflater.push(bytes);
        if is_end {
            closing.deflater.finish();
        }
        let made = closing.deflater.take();
        closing.made += made.len();
        if closing.made > packed_bytes || is_end && closing.made < packed_bytes {
            return Err(Reason::Malformed {
                what: "a deflate stream does not become as long as it says",
            }
            .into());
        }
        self.closing = (!is_end).then_some(closing);
        self.write(&made)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.written += bytes.len() as u64;
        if self.written > self.length {
            return Err(Reason::Malformed { what: "it makes more than it says" }.into());
        }
        self.hasher.update(bytes);
        self.output.write_all(bytes).map_err(|source| Reason::Write { source }.into())
    }

    /// The output, and the digest of all that was written to it.
    pub(super) fn finish(mut self) -> Result<(W, Digest), Error> {
        self.output.flush().map_err(|source| Reason::Write { source })?;
        Ok((self.output, self.hasher.finish()))
    }
}
