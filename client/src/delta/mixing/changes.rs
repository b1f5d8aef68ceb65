//! What is new in a new payload, and how likely it is: the bytes between copies, and those in which copies
//! differ.

use std::io;

use super::{
    coder::Coder,
    history::History,
    symbols::{Bytes, Expected, Flags, Known, hash},
};

/// The bytes of a copy that are taken together where none of them differs.
const BLOCK_BYTES: usize = 32;
/// How many bytes of a copy are remembered for the literals after it.
const TAIL_BYTES: usize = 16;

/// The byte of the old payload beside a literal, or this where there is none.
pub(in crate::delta) const NO_BYTE: u16 = 256;

/// The old bytes beside a piece of literals, as many as it has.
pub(in crate::delta) struct Beside {
    /// Those after the end of the copy before.
    pub(in crate::delta) behind: Vec<u16>,
    /// Those that end where the next copy begins.
    pub(in crate::delta) ahead: Vec<u16>,
}

/// All that has been learned.
pub(in crate::delta) struct Changes {
    history: History,
    /// The last bytes of the copy since the last literal.
    tail: Vec<u8>,
    /// Of the letters before, in the history.
    word: u32,
    literals: Bytes<7, 4, { 1 << 17 }>,

    blocks: Flags<5>,
    differs: Flags<8>,
    differences: Bytes<9, 3, { 1 << 15 }>,
    trace: Trace,
}

/// What was last seen of copies.
#[derive(Default)]
struct Trace {
    /// A bit for each byte, set where it differed; the lowest for the last.
    bytes: u64,
    /// A bit for each block.
    blocks: u32,
    /// By how much each byte differed.
    by: u128,
    /// By how much the last one that differed.
    last: u8,
    /// How many bytes did not differ since.
    equal: u32,
    /// The bytes themselves, the lowest for the last.
    new: u32,
}

impl Changes {
    /// Begins with the `dictionary`.
    pub(in crate::delta) fn new(dictionary: &[u8]) -> Self {
        Self {
            history: History::new(dictionary),
            tail: Vec::with_capacity(2 * TAIL_BYTES),
            word: 0,
            literals: Bytes::new(2048),
            blocks: Flags::new([256, 1]),
            differs: Flags::new([256, 256]),
            differences: Bytes::new(128),
            trace: Trace::default(),
        }
    }

    /// Codes a piece of `literals`.
    pub(in crate::delta) fn literals<C: Coder>(
        &mut self,
        coder: &mut C,
        beside: &Beside,
        literals: &mut [u8],
    ) -> io::Result<()> {
        if !self.tail.is_empty() {
            self.history.take_in(&self.tail);
            self.word = self.tail.iter().fold(0, |word, byte| joined(word, *byte));
            self.tail.clear();
        }
        let length = literals.len();
        // Whether the bytes beside were right, the last in the lowest bit.
        let mut right = [0_u32; 2];
        for (index, literal) in literals.iter_mut().enumerate() {
            let at = |bytes: &[u16]| bytes.get(index).copied().unwrap_or(NO_BYTE);
            let beside = [at(&beside.behind), at(&beside.ahead)];
            let contexts = self.contexts(beside, right);
            let places = self.literals.look_up(&contexts);
            let known = self.known(beside, right, (index, length - index));
            *literal = self.literals.code(coder, places, &known, *literal)?;
            for (right, beside) in right.iter_mut().zip(beside) {
                *right = *right << 1 | u32::from(beside == u16::from(*literal));
            }
            self.history.came(*literal);
            self.word = joined(self.word, *literal);
        }
        self.trace = Trace { new: last_four(0, literals), ..Trace::default() };
        Ok(())
    }

    /// The contexts of the next literal.
    fn contexts(&self, beside: [u16; 2], right: [u32; 2]) -> [u32; 7] {
        let back = |distance: u32| u32::from(self.history.back(distance));
        let one = back(1);
        let two = one | back(2) << 8;
        [
            one + 0x100,
            hash(two, 2),
            hash(two | back(3) << 16, 3),
            hash(self.word, one),
            hash(beside[0].into(), 1 + (right[0] & 7)),
            hash(back(2) | back(3) << 8, 5),
            hash(back(3) | back(4) << 8, 6),
        ]
    }

    /// What is known of the next literal, which has so many before it and, with it, behind it.
    fn known(
        &mut self,
        beside: [u16; 2],
        right: [u32; 2],
        (before, left): (usize, usize),
    ) -> Known<4> {
        let [close, loose] = self.history.expected();
        let same = |it: Option<(Expected, u32)>| it.map_or(0, |(_, same)| 1 + same.min(31));
        let (close_same, loose_same) = (same(close).min(16), same(loose).div_ceil(4));
        let [close, loose] = [close, loose].map(|it| it.map(|(expected, _)| expected));
        let expected = |index: usize, confidence: u32| {
            let byte = u8::try_from(beside[index]).ok()?;
            Some(Expected { byte, confidence: confidence as usize })
        };
        let behind = expected(0, (right[0] & 15) << 2 | before.min(3) as u32);
        let ahead = expected(1, (right[1] & 15) << 3 | left.min(7) as u32);

        Known {
            expected: [close, loose, behind, ahead],
            row: (close_same * 16 + loose_same) as usize & 2047,
            not: None,
        }
    }

    /// Codes a piece of a copy. `predicted` is what it is without differences, and `marks` says of each byte
    /// of which field it is. `bytes`, which are as many, are the new ones, or become them.
    pub(in crate::delta) fn copy<C: Coder>(
        &mut self,
        coder: &mut C,
        predicted: &[u8],
        marks: &[u8],
        bytes: &mut [u8],
    ) -> io::Result<()> {
        let length = predicted.len().min(bytes.len());
        for start in (0..length).step_by(BLOCK_BYTES) {
            let end = (start + BLOCK_BYTES).min(length);
            self.block(coder, predicted, marks, (start, end), bytes)?;
        }
        self.tail.extend_from_slice(&bytes[length.saturating_sub(TAIL_BYTES)..length]);
        let excess = self.tail.len().saturating_sub(TAIL_BYTES);
        self.tail.drain(..excess);
        Ok(())
    }

    /// A copy begins: what is remembered of one before does not lead to the literals after it.
    pub(in crate::delta) fn begin_copy(&mut self) {
        self.tail.clear();
    }

    fn block<C: Coder>(
        &mut self,
        coder: &mut C,
        predicted: &[u8],
        marks: &[u8],
        (start, end): (usize, usize),
        bytes: &mut [u8],
    ) -> io::Result<()> {
        let is_whole = end - start == BLOCK_BYTES;
        if is_whole {
            let is_equal = predicted[start..end] == bytes[start..end];
            let is_equal =
                self.is_block_equal(coder, predicted[start], mark(marks, start), is_equal)?;
            if is_equal {
                bytes[start..end].copy_from_slice(&predicted[start..end]);
                let trace = &mut self.trace;
                trace.equal = trace.equal.saturating_add(BLOCK_BYTES as u32);
                trace.new = last_four(trace.new, &predicted[start..end]);
                (trace.bytes, trace.by) = (trace.bytes << BLOCK_BYTES, 0);
                return Ok(());
            }
        }
        // One of a whole block differs.
        let mut is_one_left = is_whole;
        for index in start..end {
            let around = Around::of(predicted, marks, index, self.trace.new);
            let differs = if is_one_left && index + 1 == end {
                true
            } else {
                let differs = around.predicted != u32::from(bytes[index]);
                self.differs(coder, &around, differs)?
            };
            self.trace.bytes = self.trace.bytes << 1 | u64::from(differs);
            if differs {
                is_one_left = false;
                bytes[index] = self.difference(coder, &around, bytes[index])?;
                let by = bytes[index].wrapping_sub(predicted[index]);
                (self.trace.last, self.trace.equal) = (by, 0);
                self.trace.by = self.trace.by << 8 | u128::from(by);
            } else {
                bytes[index] = predicted[index];
                self.trace.equal = self.trace.equal.saturating_add(1);
                self.trace.by <<= 8;
            }
            self.trace.new = self.trace.new << 8 | u32::from(bytes[index]);
        }
        Ok(())
    }

    fn is_block_equal<C: Coder>(
        &mut self,
        coder: &mut C,
        first: u8,
        mark: u32,
        is_equal: bool,
    ) -> io::Result<bool> {
        let trace = &self.trace;
        let blocks = trace.blocks;
        let contexts = [
            blocks & 0xff,
            blocks & 0xffff,
            trace.bytes.count_ones() << 8 | blocks & 3,
            u32::from(first) << 8 | mark,
            hash(u32::from(trace.last), trace.equal.min(255)),
        ];
        let rows = [(blocks & 0xff) as usize, 0];
        let is_equal = self.blocks.code(coder, &contexts, rows, is_equal)?;
        self.trace.blocks = blocks << 1 | u32::from(!is_equal);
        Ok(is_equal)
    }

    fn differs<C: Coder>(
        &mut self,
        coder: &mut C,
        around: &Around,
        differs: bool,
    ) -> io::Result<bool> {
        let Around { predicted, next, before, new, mark } = *around;
        let trace = &self.trace;
        let seen = trace.bytes as u32;
        let equal = trace.equal.checked_ilog2().map_or(0, |it| it + 1).min(15);
        let contexts = [
            seen & 0xffff,
            hash(predicted | next[0] << 8 | next[1] << 16 | next[2] << 24, 1),
            hash(mark | predicted << 8 | (seen & 15) << 16, 2),
            hash(before[0] | before[1] << 8 | predicted << 16 | (seen & 7) << 24, 3),
            hash(new & 0xff_ffff | predicted << 24, 4),
            hash(before[0] | predicted << 8 | next[0] << 16, mark | equal << 8),
            mark | equal << 8 | u32::from(trace.last) << 16,
            hash(trace.by(4) | trace.by(8) << 8 | trace.by(16) << 16, mark | (seen & 1) << 8),
        ];
        let rows = [(seen & 0xff) as usize, (equal << 4 | mark.div_ceil(8)) as usize & 255];
        self.differs.code(coder, &contexts, rows, differs)
    }

    fn difference<C: Coder>(&mut self, coder: &mut C, around: &Around, byte: u8) -> io::Result<u8> {
        let Around { predicted, next, before, new, mark } = *around;
        let trace = &self.trace;
        let (one, two, three) = (new & 0xff, new & 0xffff, new & 0xff_ffff);
        let by = [u32::from(trace.last), trace.by(4), trace.by(8)];
        let expected = by.map(|it| {
            let byte = predicted.wrapping_add(it).to_le_bytes()[0];
            Some(Expected { byte, confidence: 0 })
        });
        let contexts = [
            predicted | mark << 8,
            hash(predicted | by[0] << 8, 1),
            hash(one | predicted << 8, 2),
            hash(two | predicted << 16, 3),
            hash(three, 4),
            hash(predicted | next[0] << 8 | before[0] << 16, 5),
            hash(new, predicted),
            hash(before[0] | one << 8 | predicted << 16, 6),
            hash(mark | by[1] << 8 | by[2] << 16, predicted),
        ];
        let known =
            Known { expected, row: mark as usize & 127, not: Some(predicted.to_le_bytes()[0]) };
        let places = self.differences.look_up(&contexts);
        self.differences.code(coder, places, &known, byte)
    }
}

impl Trace {
    /// By how much the byte differed that is `distance`, at most 16, before the next one.
    const fn by(&self, distance: u32) -> u32 {
        (self.by >> (8 * (distance - 1))) as u32 & 0xff
    }
}

/// What is around a byte of a copy: it and three more as they are predicted, two before them, the new ones
/// before, and which byte of which field it is.
struct Around {
    predicted: u32,
    next: [u32; 3],
    before: [u32; 2],
    new: u32,
    mark: u32,
}

impl Around {
    fn of(predicted: &[u8], marks: &[u8], index: usize, new: u32) -> Self {
        let at = |index: Option<usize>| {
            index.and_then(|it| predicted.get(it)).copied().map_or(0, u32::from)
        };
        Self {
            predicted: at(Some(index)),
            next: [1, 2, 3].map(|it| at(Some(index + it))),
            before: [1, 2].map(|it| at(index.checked_sub(it))),
            new,
            mark: mark(marks, index),
        }
    }
}

fn mark(marks: &[u8], index: usize) -> u32 {
    marks.get(index).copied().map_or(0, u32::from)
}

/// The last four bytes, the lowest the last, after `bytes` have come after `before`.
fn last_four(before: u32, bytes: &[u8]) -> u32 {
    let last = bytes.get(bytes.len().saturating_sub(4)..).unwrap_or_default();
    last.iter().fold(before, |four, byte| four << 8 | u32::from(*byte))
}

/// The word that `byte` goes on with, or 0 where it ends.
fn joined(word: u32, byte: u8) -> u32 {
    let is_letter = byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80;
    if is_letter { hash(word, byte.into()) } else { 0 }
}
