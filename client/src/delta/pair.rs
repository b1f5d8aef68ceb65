//! Executables of the new payload that are made from executables of the old one.

use std::ops::Range;

use super::{
    Error,
    branches::CodePlace,
    copies::Copy,
    error::Reason,
    executable::{Segment, Segments},
    number,
    stream::StreamReader,
};

/// An executable file of the new payload, and the one of the old payload that it is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) old: Range<usize>,
    pub(super) new: Range<usize>,
}

impl Pair {
    /// How much of the old file [`code`](Self::code) looks at.
    pub(super) const HEADER_BYTES: usize = 20;

    /// Where in the new file the piece `literals` of the new payload is, if it is there and the old file,
    /// which begins with `header`, is one for x86-64.
    pub(super) fn code(&self, literals: Range<usize>, header: &[u8]) -> Option<CodePlace> {
        const X86_64: [u8; 2] = 62_u16.to_le_bytes();
        let is_within = self.new.start <= literals.start && literals.end <= self.new.end;
        let is_x86_64 = header.get(18..Self::HEADER_BYTES) == Some(&X86_64);
        (is_within && is_x86_64).then(|| CodePlace {
            offset: literals.start - self.new.start,
            file_bytes: self.new.len(),
        })
    }

    /// `copy` from the beginnings of the two files, where it is from the one into the other.
    pub(super) fn within(&self, copy: &Copy) -> Option<Copy> {
        let is_within = self.old.start <= copy.old
            && copy.old_end() <= self.old.end
            && self.new.start <= copy.new
            && copy.new_end() <= self.new.end;
        is_within.then(|| Copy {
            new: copy.new - self.new.start,
            old: copy.old - self.old.start,
            length: copy.length,
        })
    }
}

/// Appends `pair`, which comes after `before`.
#[cfg(feature = "delta-make")]
pub(super) fn put(bytes: &mut Vec<u8>, pair: &Pair, before: Option<&Pair>) {
    let (old_end, new_end) = before.map_or((0, 0), |it| (it.old.end, it.new.end));
    let jump = (pair.old.start as u64).wrapping_sub(old_end as u64).cast_signed();
    number::put(bytes, (pair.new.start - new_end) as u64);
    number::put(bytes, pair.new.len() as u64);
    number::put(bytes, number::folded(jump));
    number::put(bytes, pair.old.len() as u64);
}

/// Reads the pairs, which are ascending and apart in the new payload of `new_length` bytes. An old file may
/// be in several, but all together must not be more to analyse than the payloads have bytes.
pub(super) fn read(
    stream: &mut StreamReader<'_>,
    old_length: usize,
    new_length: usize,
    executable_bytes_max: usize,
) -> Result<Vec<Pair>, Error> {
    let mut pairs: Vec<Pair> = Vec::new();
    let mut old_bytes = 0_usize;
    while !stream.is_at_end() {
        let (old_end, new_end) = pairs.last().map_or((0, 0), |it| (it.old.end, it.new.end));
        let new = (new_end as u64).checked_add(stream.number()?);
        let new = range(new, stream.number()?, new_length);
        let old = (old_end as u64).checked_add_signed(number::unfolded(stream.number()?));
        let old = range(old, stream.number()?, old_length);
        let outside = Reason::Malformed { what: "an executable is not within both payloads" };
        let (old, new) = old.zip(new).ok_or(outside)?;
        if old.len().max(new.len()) > executable_bytes_max {
            let limit = executable_bytes_max as u64;
            return Err(Reason::Limit { what: "bytes of an executable", limit }.into());
        }
        old_bytes = old_bytes.saturating_add(old.len());
        if old_bytes > old_length.saturating_add(new_length) {
            return Err(Reason::Malformed { what: "its executables are too many" }.into());
        }
        pairs.push(Pair { old, new });
    }
    Ok(pairs)
}

/// The bytes of a payload of `payload_length` that begin at `start` and are not none.
fn range(start: Option<u64>, length: u64, payload_length: usize) -> Option<Range<usize>> {
    let (start, length) = (usize::try_from(start?).ok()?, usize::try_from(length).ok()?);
    let end = start.checked_add(length)?;
    (length > 0 && end <= payload_length).then_some(start..end)
}

/// Appends the segments of a new file, each field as the difference from that of the old file's segment
/// of the same number.
#[cfg(feature = "delta-make")]
pub(super) fn put_segments(bytes: &mut Vec<u8>, new: &Segments, old: &Segments) {
    number::put(bytes, new.as_slice().len() as u64);
    let old = old.as_slice().iter().map(fields).chain(std::iter::repeat([0; 4]));
    for (new, old) in new.as_slice().iter().map(fields).zip(old) {
        for (new, old) in new.into_iter().zip(old) {
            number::put(bytes, number::folded(new.wrapping_sub(old).cast_signed()));
        }
    }
}

/// Reads the segments of the next new file, whose old one has the segments `old`.
pub(super) fn read_segments(
    stream: &mut StreamReader<'_>,
    old: &Segments,
) -> Result<Segments, Error> {
    let unsound =
        || Error::from(Reason::Malformed { what: "segments of an executable are not sound" });
    let count = usize::try_from(stream.number()?).ok().filter(|it| *it <= Segments::SEGMENTS_MAX);
    let mut old = old.as_slice().iter().map(fields).chain(std::iter::repeat([0; 4]));
    let mut segments = Vec::new();
    for _ in 0..count.ok_or_else(unsound)? {
        let mut fields = old.next().unwrap_or_default();
        for field in &mut fields {
            *field = field.wrapping_add_signed(number::unfolded(stream.number()?));
        }
        let [address, offset, file_bytes, memory_bytes] = fields;
        segments.push(Segment { address, offset, file_bytes, memory_bytes });
    }
    Segments::new(segments).ok_or_else(unsound)
}

fn fields(segment: &Segment) -> [u64; 4] {
    [segment.address, segment.offset, segment.file_bytes, segment.memory_bytes]
}
