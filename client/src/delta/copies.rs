//! The copies, of which most of the new payload consists.

use super::{Error, error::Reason, number, stream::StreamReader};

/// How many bytes are made at a time. It is part of the format.
pub(super) const PIECE_BYTES_MAX: usize = 64 << 10;

/// A stretch of the new payload that is made from one of the old.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Copy {
    /// Where it begins in the new payload.
    pub(super) new: usize,
    /// Where it begins in the old payload.
    pub(super) old: usize,
    /// Bytes, at least one.
    pub(super) length: usize,
}

impl Copy {
    pub(super) fn new_end(&self) -> usize {
        self.new + self.length
    }

    pub(super) fn old_end(&self) -> usize {
        self.old + self.length
    }

    /// The `length` bytes of it from `from` on.
    pub(super) fn part(&self, from: usize, length: usize) -> Self {
        Self { new: self.new + from, old: self.old + from, length }
    }
}

/// The three streams that hold the copies. For each copy: how many bytes of the new payload are between
/// the one before and this one, its length, and how far in the old payload it begins from where the one
/// before ended.
#[cfg(feature = "delta-make")]
#[derive(Default)]
pub(super) struct CopyStreams {
    pub(super) gaps: Vec<u8>,
    pub(super) lengths: Vec<u8>,
    pub(super) jumps: Vec<u8>,
}

#[cfg(feature = "delta-make")]
impl CopyStreams {
    pub(super) fn of(copies: &[Copy]) -> Self {
        let mut streams = Self::default();
        let mut before = Copy { new: 0, old: 0, length: 0 };
        for copy in copies {
            let jump = (copy.old as u64).wrapping_sub(before.old_end() as u64).cast_signed();
            number::put(&mut streams.gaps, (copy.new - before.new_end()) as u64);
            number::put(&mut streams.lengths, copy.length as u64);
            number::put(&mut streams.jumps, number::folded(jump));
            before = *copy;
        }
        streams
    }
}

/// Reads the copies, which are ascending and apart in the new payload of `new_length` bytes, and within
/// the old one of `old_length`.
pub(super) fn read(
    [gaps, lengths, jumps]: &mut [StreamReader<'_>; 3],
    old_length: usize,
    new_length: usize,
    copies_max: usize,
) -> Result<Vec<Copy>, Error> {
    let mut copies = Vec::new();
    let mut before = Copy { new: 0, old: 0, length: 0 };
    while !gaps.is_at_end() {
        if copies.len() == copies_max {
            return Err(Reason::Limit { what: "copies", limit: copies_max as u64 }.into());
        }
        let jump = number::unfolded(jumps.number()?);
        let old = (before.old_end() as u64).wrapping_add_signed(jump);
        let copy = within(before.new_end(), gaps.number()?, old, lengths.number()?)
            .filter(|it| it.new_end() <= new_length && it.old_end() <= old_length)
            .ok_or(Reason::Malformed { what: "a copy is not within both payloads" })?;
        copies.push(copy);
        before = copy;
    }
    Ok(copies)
}

/// The copy, where its ends are numbers at all and it is not empty.
fn within(new_from: usize, gap: u64, old: u64, length: u64) -> Option<Copy> {
    let new = new_from.checked_add(gap.try_into().ok()?)?;
    let (old, length) = (usize::try_from(old).ok()?, usize::try_from(length).ok()?);
    new.checked_add(length)?;
    old.checked_add(length)?;
    (length > 0).then_some(Copy { new, old, length })
}
