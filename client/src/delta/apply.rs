use std::io::Write;

use super::{
    Error, Header, Limits, Progress, ReadAt, Watch,
    addresses::Addresses,
    copies::{self, Copy},
    dictionary::dictionary,
    error::Reason,
    progress::tell,
    stream::{StreamId, StreamReader},
};
use crate::{format::Hasher, pack::PayloadIdentity};

/// How many bytes are made at a time.
const CHUNK_BYTES: usize = 64 << 10;

/// Makes the payload `expected` of the payload `old` by `delta`, and writes it to `output`.
///
/// Nothing is written unless the delta says that it makes what is expected, and `old` is what it is for.
/// Never more is written than the expected length. What was written is the expected payload only once this
/// has ended well.
///
/// # Errors
///
/// [`Mismatch`](super::ErrorKind::Mismatch) where `old` or `expected` is not what the delta is for,
/// [`Malformed`](super::ErrorKind::Malformed) where the delta is damaged or hostile,
/// [`TooLarge`](super::ErrorKind::TooLarge) where it exceeds `limits`,
/// [`Cancelled`](super::ErrorKind::Cancelled) where `watch` breaks, and
/// [`Transfer`](super::ErrorKind::Transfer) where something cannot be read or written.
pub fn apply<W: Write>(
    old: &dyn ReadAt,
    delta: &dyn ReadAt,
    expected: &PayloadIdentity,
    limits: &Limits,
    output: W,
    watch: Watch<'_>,
) -> Result<W, Error> {
    let header = Header::read(delta)?;
    expect_new(&header, expected)?;
    let (old_length, new_length) = (length(&header.old, limits)?, length(&header.new, limits)?);
    expect_old(old, &header, watch)?;

    let open = |id| StreamReader::open(delta, &header, id, &[]);
    let mut streams =
        [open(StreamId::CopyGaps)?, open(StreamId::CopyLengths)?, open(StreamId::CopyJumps)?];
    let copies = copies::read(&mut streams, old_length, new_length, limits.copies_max)?;
    streams.iter().try_for_each(StreamReader::finish)?;
    drop(streams);
    let dictionary =
        dictionary(old, old_length, &copies).map_err(|source| Reason::ReadOld { source })?;
    let mut rebuilding = Rebuilding {
        old,
        literals: StreamReader::open(delta, &header, StreamId::Literals, &dictionary)?,
        addresses: Addresses::open(old, delta, &header, &copies, (old_length, new_length), limits)?,
        differences: Differences::open(delta, &header)?,
        output,
        hasher: Hasher::new(),
        chunk: Vec::new(),
        written: 0,
        total: header.new.length,
        watch,
    };
    let mut end = 0;
    for copy in &copies {
        rebuilding.literals(copy.new - end)?;
        rebuilding.copy(copy)?;
        end = copy.new_end();
    }
    rebuilding.literals(new_length - end)?;
    rebuilding.finish(&header)
}

fn expect_new(header: &Header, expected: &PayloadIdentity) -> Result<(), Error> {
    if header.new == *expected {
        return Ok(());
    }
    Err(Reason::WrongNew {
        expected_length: expected.length,
        expected: expected.sha256,
        found_length: header.new.length,
        found: header.new.sha256,
    }
    .into())
}

fn length(payload: &PayloadIdentity, limits: &Limits) -> Result<usize, Error> {
    let length =
        usize::try_from(payload.length).ok().filter(|_| payload.length <= limits.payload_bytes_max);
    let too_large = Reason::Limit { what: "bytes of a payload", limit: limits.payload_bytes_max };
    length.ok_or(too_large.into())
}

fn expect_old(old: &dyn ReadAt, header: &Header, watch: Watch<'_>) -> Result<(), Error> {
    let (expected, total) = (header.old.sha256, header.old.length);
    if old.length() != total {
        return Err(Reason::WrongOldLength { expected: total, found: old.length() }.into());
    }
    let mut hasher = Hasher::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut done = 0;
    while done < total {
        let count = usize::try_from(total - done).map_or(CHUNK_BYTES, |it| it.min(CHUNK_BYTES));
        let chunk = chunk.get_mut(..count).unwrap_or_default();
        old.read_exact_at(chunk, done).map_err(|source| Reason::ReadOld { source })?;
        hasher.update(chunk);
        done += count as u64;
        tell(watch, Progress::Verifying { done, total })?;
    }
    let found = hasher.finish();
    if found == expected { Ok(()) } else { Err(Reason::WrongOld { expected, found }.into()) }
}

/// A new payload on its way.
struct Rebuilding<'a, W> {
    old: &'a dyn ReadAt,
    literals: StreamReader<'a>,
    addresses: Addresses<'a>,
    differences: Differences<'a>,
    output: W,
    hasher: Hasher,
    chunk: Vec<u8>,
    written: u64,
    total: u64,
    watch: Watch<'a>,
}

impl<W: Write> Rebuilding<'_, W> {
    fn literals(&mut self, mut count: usize) -> Result<(), Error> {
        while count > 0 {
            self.chunk.resize(count.min(CHUNK_BYTES), 0);
            self.literals.read_exact(&mut self.chunk)?;
            count -= self.chunk.len();
            self.write()?;
        }
        Ok(())
    }

    fn copy(&mut self, copy: &Copy) -> Result<(), Error> {
        let executable = self.addresses.enter(copy)?;
        let mut done = 0;
        while done < copy.length {
            let mut count = CHUNK_BYTES.min(copy.length - done);
            let part = executable.map(|it| it.part(done, it.length - done));
            if let Some(part) = part.filter(|it| it.length > count) {
                count = self.addresses.divide(&part, count);
            }
            self.chunk.resize(count, 0);
            self.old
                .read_exact_at(&mut self.chunk, (copy.old + done) as u64)
                .map_err(|source| Reason::ReadOld { source })?;
            if let Some(part) = part {
                self.addresses.rewrite(&part.part(0, count), &mut self.chunk)?;
            }
            self.differences.amend(&mut self.chunk)?;
            self.write()?;
            done += count;
        }
        Ok(())
    }

    fn write(&mut self) -> Result<(), Error> {
        self.hasher.update(&self.chunk);
        self.output.write_all(&self.chunk).map_err(|source| Reason::Write { source })?;
        self.written += self.chunk.len() as u64;
        tell(self.watch, Progress::Applying { done: self.written, total: self.total })
    }

    fn finish(mut self, header: &Header) -> Result<W, Error> {
        self.literals.finish()?;
        self.addresses.finish()?;
        self.differences.finish()?;
        self.output.flush().map_err(|source| Reason::Write { source })?;
        let (expected, found) = (header.new.sha256, self.hasher.finish());
        if found == expected {
            Ok(self.output)
        } else {
            Err(Reason::Result { expected, found }.into())
        }
    }
}

/// Where the copies differ from what they are copies of.
struct Differences<'a> {
    gaps: StreamReader<'a>,
    bytes: StreamReader<'a>,
    /// How many bytes of copies are left before the next one that differs, if any does.
    equal: Option<u64>,
}

impl<'a> Differences<'a> {
    fn open(delta: &'a dyn ReadAt, header: &Header) -> Result<Self, Error> {
        let gaps = StreamReader::open(delta, header, StreamId::DifferenceGaps, &[])?;
        let bytes = StreamReader::open(delta, header, StreamId::DifferenceBytes, &[])?;
        let mut differences = Self { gaps, bytes, equal: None };
        differences.next()?;
        Ok(differences)
    }

    fn next(&mut self) -> Result<(), Error> {
        self.equal = if self.gaps.is_at_end() { None } else { Some(self.gaps.number()?) };
        Ok(())
    }

    /// Makes the next bytes of copies what they are in the new payload.
    fn amend(&mut self, bytes: &mut [u8]) -> Result<(), Error> {
        let mut done = 0;
        while let Some(equal) = self.equal {
            let rest = bytes.get_mut(done..).unwrap_or_default();
            if equal >= rest.len() as u64 {
                self.equal = Some(equal - rest.len() as u64);
                return Ok(());
            }
            let gap = usize::try_from(equal).unwrap_or(usize::MAX);
            if let Some(byte) = rest.get_mut(gap) {
                *byte = byte.wrapping_add(self.bytes.byte()?);
            }
            done += gap + 1;
            self.next()?;
        }
        Ok(())
    }

    fn finish(&self) -> Result<(), Error> {
        if self.equal.is_some() {
            return Err(Reason::Malformed { what: "it amends more than it copies" }.into());
        }
        self.gaps.finish()?;
        self.bytes.finish()
    }
}
