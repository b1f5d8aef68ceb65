//! The symbols that stand for lengths and distances. Lengths are counted from 3, distances from 1.

pub(super) const END_OF_BLOCK: usize = 256;
/// The symbol of the first code of lengths.
pub(super) const LENGTHS: usize = 257;
/// The alphabets: literals, the end of the block and lengths; distances; lengths of codes.
pub(super) const LITERALS: usize = LENGTHS + LENGTH_CODES;
pub(super) const LENGTH_CODES: usize = 29;
pub(super) const DISTANCE_CODES: usize = 30;
pub(super) const CODE_LENGTHS: usize = 19;
/// The longest codes of literals and distances, and of lengths of codes.
pub(super) const CODE_BITS_MAX: usize = 15;
pub(super) const CODE_LENGTH_BITS_MAX: usize = 7;
pub(super) const LENGTH_MIN: usize = 3;
/// Counted from 3.
const LONGEST: usize = 255;

/// The order in which the lengths of the codes for lengths of codes are written.
pub(super) const CODE_LENGTH_ORDER: [usize; CODE_LENGTHS] =
    [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// One symbol of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Symbol {
    Literal(u8),
    /// The length less 3, and the distance less 1.
    Match(u8, u16),
}

/// A group of lengths or distances that share a code, and are told apart by bits behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) first: usize,
    pub(super) extra_bits: usize,
}

/// The code of a `length`.
pub(super) const fn length_code(length: usize) -> usize {
    if length == LONGEST {
        LENGTH_CODES - 1
    } else if length < 8 {
        length
    } else {
        let log = length.ilog2() as usize;
        4 * (log - 1) + (length >> (log - 2)) % 4
    }
}

pub(super) const fn length_group(code: usize) -> Group {
    if code == LENGTH_CODES - 1 {
        Group { first: LONGEST, extra_bits: 0 }
    } else if code < 8 {
        Group { first: code, extra_bits: 0 }
    } else {
        let extra_bits = code / 4 - 1;
        Group { first: (4 + code % 4) << extra_bits, extra_bits }
    }
}

/// The code of a `distance`.
pub(super) const fn distance_code(distance: usize) -> usize {
    if distance < 4 {
        distance
    } else {
        let log = distance.ilog2() as usize;
        2 * log + (distance >> (log - 1)) % 2
    }
}

pub(super) const fn distance_group(code: usize) -> Group {
    if code < 4 {
        Group { first: code, extra_bits: 0 }
    } else {
        let extra_bits = code / 2 - 1;
        Group { first: (2 + code % 2) << extra_bits, extra_bits }
    }
}

/// The lengths of the codes that blocks have which say nothing of theirs.
pub(super) const fn fixed_literal_bits(symbol: usize) -> u8 {
    match symbol {
        144..256 => 9,
        256..280 => 7,
        _ => 8,
    }
}

pub(super) const FIXED_DISTANCE_BITS: u8 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_in_a_group_has_its_code() {
        for code in 0..LENGTH_CODES {
            let Group { first, extra_bits } = length_group(code);
            // The longest has a code of its own.
            let last = (first + (1 << extra_bits) - 1).min(LONGEST - usize::from(code == 27));
            assert_eq!((length_code(first), length_code(last)), (code, code));
        }
        for code in 0..DISTANCE_CODES {
            let Group { first, extra_bits } = distance_group(code);
            let last = first + (1 << extra_bits) - 1;
            assert_eq!((distance_code(first), distance_code(last)), (code, code));
        }
        assert_eq!(distance_group(29), Group { first: 24_576, extra_bits: 13 });
        assert_eq!(length_group(27), Group { first: 224, extra_bits: 5 });
    }
}
