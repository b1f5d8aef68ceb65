use std::io::Write;

use super::{
    Error, Header, Limits, Progress, ReadAt, Watch,
    addresses::Addresses,
    branches,
    changes::{Changes, Neighbours},
    copies::{self, Copy, PIECE_BYTES_MAX},
    dictionary::dictionary,
    error::Reason,
    opened::{ClosedNew, OpenedOld, Openings, opened_length},
    progress::tell,
    stream::{StreamId, StreamReader},
};
use crate::{format::Hasher, pack::PayloadIdentity};

/// How many bytes are compared at a time.
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
    let openings = Openings::read(delta, &header, (old_length, new_length), limits)?;
    let new_length = opened_length(new_length, openings.new.last().map(|(it, _)| it));
    let output = ClosedNew::new(output, header.new.length, openings.new);
    let old = &OpenedOld::new(old, old_length, openings.old)?;
    let old_length = old.opened_length();

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
        changes: Changes::open(delta, &header, &dictionary)?,
        addresses: Addresses::open(old, delta, &header, &copies, (old_length, new_length), limits)?,
        output,
        chunk: Vec::new(),
        total: header.new.length,
        watch,
    };
    let mut neighbours = Neighbours { old, old_length, before: (0, 0), next: None };
    for copy in &copies {
        neighbours.next = Some(copy);
        rebuilding.literals(neighbours, copy.new)?;
        rebuilding.copy(copy)?;
        neighbours.before = (copy.old_end(), copy.new_end());
    }
    neighbours.next = None;
    rebuilding.literals(neighbours, new_length)?;
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
    changes: Changes<'a>,
    addresses: Addresses<'a>,
    output: ClosedNew<W>,
    chunk: Vec<u8>,
    total: u64,
    watch: Watch<'a>,
}

impl<W: Write> Rebuilding<'_, W> {
    /// The literals from the copy before up to `end`.
    fn literals(&mut self, neighbours: Neighbours<'_>, end: usize) -> Result<(), Error> {
        let (_, mut new) = neighbours.before;
        while new < end {
            self.chunk.resize(PIECE_BYTES_MAX.min(end - new), 0);
            self.changes.literals(neighbours, new, &mut self.chunk)?;
            let piece = new..new + self.chunk.len();
            new = piece.end;
            if let Some(place) = self.addresses.code(piece)? {
                branches::to_distances(&mut self.chunk, place);
            }
            self.write()?;
        }
        Ok(())
    }

    fn copy(&mut self, copy: &Copy) -> Result<(), Error> {
        let executable = self.addresses.enter(copy)?;
        self.changes.begin_copy();
        let mut done = 0;
        while done < copy.length {
            let left = executable.map(|it| it.part(done, it.length - done));
            let count = left.map_or(PIECE_BYTES_MAX.min(copy.length - done), |it| {
                self.addresses.piece_bytes(&it)
            });
            self.chunk.resize(count, 0);
            self.old
                .read_exact_at(&mut self.chunk, (copy.old + done) as u64)
                .map_err(|source| Reason::ReadOld { source })?;
            let piece = left.map(|it| it.part(0, count));
            if let Some(piece) = &piece {
                self.addresses.rewrite(piece, &mut self.chunk)?;
            }
            let addresses = &self.addresses;
            self.changes.amend(&mut self.chunk, |marks| {
                if let Some(piece) = &piece {
                    addresses.mark(piece, marks);
                }
            })?;
            self.write()?;
            done += count;
        }
        Ok(())
    }

    fn write(&mut self) -> Result<(), Error> {
        self.output.take(&self.chunk)?;
        let done = self.output.written();
        tell(self.watch, Progress::Applying { done, total: self.total })
    }

    fn finish(self, header: &Header) -> Result<W, Error> {
        self.changes.finish()?;
        self.addresses.finish()?;
        let (output, found) = self.output.finish()?;
        let expected = header.new.sha256;
        if found == expected { Ok(output) } else { Err(Reason::Result { expected, found }.into()) }
    }
}
