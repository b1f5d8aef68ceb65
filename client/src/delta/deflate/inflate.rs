use std::io::{self, ErrorKind, Read};

use super::{
    code::codes,
    symbols::{
        CODE_BITS_MAX, CODE_LENGTH_ORDER, CODE_LENGTHS, DISTANCE_CODES, END_OF_BLOCK,
        FIXED_DISTANCE_BITS, LENGTH_CODES, LENGTH_MIN, LENGTHS, LITERALS, Symbol, distance_group,
        fixed_literal_bits, length_group,
    },
};

/// Appends what the stream is that `packed` begins with, and says how many bytes the stream has. `packed` may have
/// been read a few bytes beyond.
///
/// # Errors
///
/// Those of reading; [`InvalidData`](ErrorKind::InvalidData) where it is no stream, and where it is one of more than
/// `length_max` bytes.
pub(in crate::delta) fn inflate(
    packed: impl Read,
    length_max: usize,
    inflated: &mut Vec<u8>,
) -> io::Result<u64> {
    let begin = inflated.len();
    let end = begin.saturating_add(length_max);
    let mut output = Output { bytes: inflated, begin, end };
    let mut bits = BitReader::new(packed);
    loop {
        let (is_last, codes) = header(&mut bits)?;
        match codes {
            Some(codes) => block(&mut bits, &mut output, &codes)?,
            None => stored(&mut bits, &mut output)?,
        }
        if is_last {
            return Ok(bits.read - (bits.count / 8) as u64);
        }
    }
}

/// Up to `symbols_max` symbols of the block that the stream `packed` begins with, and whether it is the only one;
/// `None` where that is stored.
///
/// # Errors
///
/// Those of reading, and [`InvalidData`](ErrorKind::InvalidData) where it is no stream.
#[cfg(any(test, feature = "delta-make"))]
pub(super) fn first_block(
    packed: impl Read,
    symbols_max: usize,
) -> io::Result<Option<(Vec<Symbol>, bool)>> {
    let mut bits = BitReader::new(packed);
    let (is_last, codes) = header(&mut bits)?;
    let Some(codes) = codes else { return Ok(None) };
    let mut symbols = Vec::new();
    while symbols.len() < symbols_max {
        let Some(symbol) = codes.take(&mut bits)? else { break };
        symbols.push(symbol);
    }
    Ok(Some((symbols, is_last)))
}

/// Whether a block is the last, and its codes; `None` where it is stored.
fn header(bits: &mut BitReader<impl Read>) -> io::Result<(bool, Option<Codes>)> {
    let is_last = bits.take(1)? == 1;
    let codes = match bits.take(2)? {
        0 => None,
        1 => {
            let literals: Vec<u8> = (0..LITERALS + 2).map(fixed_literal_bits).collect();
            Some(Codes::of(&literals, &[FIXED_DISTANCE_BITS; DISTANCE_CODES])?)
        }
        2 => {
            let (literals, distances) = code_lengths(bits)?;
            Some(Codes::of(&literals, &distances)?)
        }
        _ => return Err(ErrorKind::InvalidData.into()),
    };
    Ok((is_last, codes))
}

struct BitReader<R> {
    bytes: R,
    bits: u64,
    count: usize,
    /// Bytes that were read.
    read: u64,
}

impl<R: Read> BitReader<R> {
    const fn new(bytes: R) -> Self {
        Self { bytes, bits: 0, count: 0, read: 0 }
    }

    /// Sees to it that `count` bits are there, if so many come.
    fn fill(&mut self, count: usize) -> io::Result<()> {
        while self.count < count {
            let mut byte = [0];
            if self.bytes.read(&mut byte)? == 0 {
                return Ok(());
            }
            self.bits |= u64::from(byte[0]) << self.count;
            self.count += 8;
            self.read += 1;
        }
        Ok(())
    }

    fn skip(&mut self, count: usize) -> io::Result<()> {
        self.count = self.count.checked_sub(count).ok_or(ErrorKind::UnexpectedEof)?;
        self.bits >>= count;
        Ok(())
    }

    /// The next `count` bits, at most 16.
    fn take(&mut self, count: usize) -> io::Result<usize> {
        self.fill(count)?;
        let bits = self.bits & ((1 << count) - 1);
        self.skip(count)?;
        Ok(usize::try_from(bits).unwrap_or_default())
    }
}

struct Output<'a> {
    bytes: &'a mut Vec<u8>,
    begin: usize,
    end: usize,
}

impl Output<'_> {
    fn push(&mut self, byte: u8) -> io::Result<()> {
        if self.bytes.len() >= self.end {
            return Err(ErrorKind::InvalidData.into());
        }
        self.bytes.push(byte);
        Ok(())
    }

    fn copy(&mut self, length: usize, distance: usize) -> io::Result<()> {
        let from = self.bytes.len().checked_sub(distance).filter(|it| *it >= self.begin);
        let from = from.ok_or(ErrorKind::InvalidData)?;
        if length > self.end - self.bytes.len() {
            return Err(ErrorKind::InvalidData.into());
        }
        // What is copied may be part of what it becomes.
        let mut left = length;
        while left > 0 {
            let count = left.min(self.bytes.len() - from);
            self.bytes.extend_from_within(from..from + count);
            left -= count;
        }
        Ok(())
    }
}

fn stored(bits: &mut BitReader<impl Read>, output: &mut Output<'_>) -> io::Result<()> {
    bits.skip(bits.count % 8)?;
    let (length, complement) = (bits.take(16)?, bits.take(16)?);
    if length ^ complement != 0xffff {
        return Err(ErrorKind::InvalidData.into());
    }
    for _ in 0..length {
        output.push(bits.take(8)?.to_le_bytes()[0])?;
    }
    Ok(())
}

fn block(
    bits: &mut BitReader<impl Read>,
    output: &mut Output<'_>,
    codes: &Codes,
) -> io::Result<()> {
    while let Some(symbol) = codes.take(bits)? {
        match symbol {
            Symbol::Literal(byte) => output.push(byte)?,
            Symbol::Match(length, distance) => {
                output.copy(usize::from(length) + LENGTH_MIN, usize::from(distance) + 1)?;
            }
        }
    }
    Ok(())
}

/// The codes of a block.
struct Codes {
    literals: Code,
    distances: Code,
}

impl Codes {
    fn of(literals: &[u8], distances: &[u8]) -> io::Result<Self> {
        Ok(Self { literals: Code::of(literals)?, distances: Code::of(distances)? })
    }

    /// The next symbol; `None` at the end of the block.
    fn take(&self, bits: &mut BitReader<impl Read>) -> io::Result<Option<Symbol>> {
        let symbol = self.literals.take(bits)?;
        if symbol < END_OF_BLOCK {
            return Ok(Some(Symbol::Literal(symbol.to_le_bytes()[0])));
        }
        if symbol == END_OF_BLOCK {
            return Ok(None);
        }
        let code = symbol - LENGTHS;
        if code >= LENGTH_CODES {
            return Err(ErrorKind::InvalidData.into());
        }
        let group = length_group(code);
        let length = group.first + bits.take(group.extra_bits)?;
        let group = distance_group(self.distances.take(bits)?);
        let distance = group.first + bits.take(group.extra_bits)?;
        let length = u8::try_from(length).map_err(|_| ErrorKind::InvalidData)?;
        let distance = u16::try_from(distance).map_err(|_| ErrorKind::InvalidData)?;
        Ok(Some(Symbol::Match(length, distance)))
    }
}

/// The lengths of the codes of literals and of distances that a block begins with.
fn code_lengths(bits: &mut BitReader<impl Read>) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let literals = bits.take(5)? + LENGTHS;
    let distances = bits.take(5)? + 1;
    let written = bits.take(4)? + 4;
    if literals > LITERALS || distances > DISTANCE_CODES {
        return Err(ErrorKind::InvalidData.into());
    }
    let mut lengths = [0; CODE_LENGTHS];
    for symbol in CODE_LENGTH_ORDER.iter().take(written) {
        lengths[*symbol] = bits.take(3)?.to_le_bytes()[0];
    }
    let code = Code::of(&lengths)?;
    let mut lengths: Vec<u8> = Vec::new();
    while lengths.len() < literals + distances {
        let (length, count) = match code.take(bits)? {
            16 => {
                let before = lengths.last().copied().ok_or(ErrorKind::InvalidData)?;
                (before, bits.take(2)? + 3)
            }
            17 => (0, bits.take(3)? + 3),
            18 => (0, bits.take(7)? + 11),
            length => (length.to_le_bytes()[0], 1),
        };
        lengths.resize(lengths.len() + count, length);
    }
    if lengths.len() > literals + distances {
        return Err(ErrorKind::InvalidData.into());
    }
    let distances = lengths.split_off(literals);
    Ok((lengths, distances))
}

/// What the bits that begin with a code stand for.
struct Code {
    /// For each [`CODE_BITS_MAX`] bits the symbol, and how many of them are its code; 0 where there is none.
    symbols: Vec<(u16, u8)>,
}

impl Code {
    fn of(lengths: &[u8]) -> io::Result<Self> {
        let longest = lengths.iter().copied().max().unwrap_or_default();
        let bits = usize::from(longest).min(CODE_BITS_MAX);
        let room: usize =
            lengths.iter().filter(|it| **it > 0).map(|it| 1 << (bits - usize::from(*it))).sum();
        if room > 1 << bits {
            return Err(ErrorKind::InvalidData.into());
        }
        let mut symbols = vec![(0, 0); 1 << bits];
        for ((symbol, length), code) in (0..).zip(lengths).zip(codes(lengths)) {
            if *length > 0 {
                let same = symbols.iter_mut().skip(code.into()).step_by(1 << length);
                same.for_each(|it| *it = (symbol, *length));
            }
        }
        Ok(Self { symbols })
    }

    fn take(&self, bits: &mut BitReader<impl Read>) -> io::Result<usize> {
        bits.fill(CODE_BITS_MAX)?;
        let place = bits.bits & (self.symbols.len() as u64 - 1);
        let place = usize::try_from(place).unwrap_or_default();
        let (symbol, length) = self.symbols[place];
        if length == 0 {
            return Err(ErrorKind::InvalidData.into());
        }
        bits.skip(length.into())?;
        Ok(symbol.into())
    }
}
