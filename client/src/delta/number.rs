//! Numbers as the streams hold them: seven bits a byte, the lowest first, the highest bit set in all but
//! the last (LEB128).

/// The most bytes that a number takes.
pub(super) const NUMBER_BYTES_MAX: usize = 10;

/// Appends `number`.
#[cfg(feature = "delta-make")]
pub(super) fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
}

/// Takes a number from `next`; `None` where it has more than 64 bits.
pub(super) fn take<E>(mut next: impl FnMut() -> Result<u8, E>) -> Result<Option<u64>, E> {
    let mut number = 0;
    for shift in (0..).step_by(7).take(NUMBER_BYTES_MAX) {
        let byte = next()?;
        let bits = u64::from(byte & 0x7f);
        if bits << shift >> shift != bits {
            return Ok(None);
        }
        number |= bits << shift;
        if byte < 0x80 {
            return Ok(Some(number));
        }
    }
    Ok(None)
}

/// A number with a sign as one without: 0, −1, 1, −2, … are 0, 1, 2, 3, ….
#[cfg(feature = "delta-make")]
pub(super) const fn folded(number: i64) -> u64 {
    (number << 1 ^ number >> 63).cast_unsigned()
}

/// What was [`folded`].
pub(super) const fn unfolded(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

#[cfg(test)]
#[cfg(feature = "delta-make")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn taken(bytes: &[u8]) -> Option<u64> {
        let mut bytes = bytes.iter().copied();
        take(|| bytes.next().ok_or(())).ok().flatten()
    }

    proptest! {
        #[test]
        fn what_was_put_is_taken(number: u64, shift in 0..64, sign: i64) {
            let number = number >> shift;
            let mut bytes = Vec::new();
            put(&mut bytes, number);
            prop_assert_eq!(taken(&bytes), Some(number));
            prop_assert_eq!(unfolded(folded(sign >> shift)), sign >> shift);
        }
    }

    #[test]
    fn a_number_has_64_bits() {
        let mut largest = Vec::new();
        put(&mut largest, u64::MAX);
        assert_eq!(largest.len(), NUMBER_BYTES_MAX);
        assert_eq!(taken(&largest), Some(u64::MAX));
        largest[9] = 2;
        assert_eq!(taken(&largest), None);
        assert_eq!(taken(&[0x80; 11]), None);
        assert_eq!(taken(&[0x80]), None, "it ends before its end");
    }

    #[test]
    fn small_numbers_of_either_sign_are_small() {
        assert_eq!([0, -1, 1, -2, i64::MIN].map(folded), [0, 1, 2, 3, u64::MAX]);
    }
}
