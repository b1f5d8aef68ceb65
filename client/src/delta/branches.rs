//! Branches of x86-64 among the literals.
//!
//! A call says how far it goes. In new code nothing of the old one tells what that is; but what is called
//! once is called again, from another place, and there the distance is another one. So the places that
//! are gone to stand in the literals in place of the distances.

/// The bytes of a distance.
const FIELD_BYTES: usize = 4;

/// Where of a file a piece of literals is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CodePlace {
    /// Where it begins.
    pub(super) offset: usize,
    /// The file's bytes.
    pub(super) file_bytes: usize,
}

/// Puts places in place of distances, which are of the machine's byte order; places have the highest byte first.
#[cfg(feature = "delta-make")]
pub(super) fn to_places(literals: &mut [u8], at: CodePlace) {
    rewrite(literals, at, |field, end, file_bytes| {
        let distance = i64::from(i32::from_le_bytes(field));
        let place = if (-end..file_bytes - end).contains(&distance) {
            distance + end
        } else if (file_bytes - end..file_bytes).contains(&distance) {
            distance - file_bytes
        } else {
            distance
        };
        low_half(place).to_be_bytes()
    });
}

/// Puts the distances back.
pub(super) fn to_distances(literals: &mut [u8], at: CodePlace) {
    rewrite(literals, at, |field, end, file_bytes| {
        let place = i64::from(i32::from_be_bytes(field));
        let distance = if (0..file_bytes).contains(&place) {
            place - end
        } else if (-end..0).contains(&place) {
            place + file_bytes
        } else {
            place
        };
        low_half(distance).to_le_bytes()
    });
}

/// Makes of each field what `other` says of it, where in the file it ends, and the file's bytes.
fn rewrite(
    literals: &mut [u8],
    at: CodePlace,
    other: impl Fn([u8; FIELD_BYTES], i64, i64) -> [u8; FIELD_BYTES],
) {
    let mut index = 0;
    while let Some(rest) = literals.get_mut(index..) {
        let Some(opcode_bytes) = opcode_bytes(rest) else {
            if rest.is_empty() {
                return;
            }
            index += 1;
            continue;
        };
        let Some(field) = rest.get_mut(opcode_bytes..).and_then(<[u8]>::first_chunk_mut) else {
            return;
        };
        index += opcode_bytes + FIELD_BYTES;
        let (end, file_bytes) = ((at.offset + index) as u64, at.file_bytes as u64);
        *field = other(*field, end.cast_signed(), file_bytes.cast_signed());
    }
}

/// Of a number that 32 bits hold, these.
const fn low_half(number: i64) -> u32 {
    (number.cast_unsigned() & 0xffff_ffff) as u32
}

/// How many bytes come before the distance, where this looks like an instruction that has one: a call, a
/// jump, or a move or address of memory that is relative to the instruction.
fn opcode_bytes(code: &[u8]) -> Option<usize> {
    match code {
        [0xe8 | 0xe9, ..] => Some(1),
        [0x0f, 0x80..=0x8f, ..] => Some(2),
        [0x89 | 0x8b | 0x8d, operand, ..] if operand & 0xc7 == 5 => Some(2),
        _ => None,
    }
}

#[cfg(test)]
#[cfg(feature = "delta-make")]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn code() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![
            4 => any::<u8>(),
            2 => prop_oneof![Just(0xe8), Just(0x0f), Just(0x85), Just(0x8d), Just(5)],
            2 => prop_oneof![Just(0), Just(0xff)],
        ];
        vec(byte, 0..200)
    }

    proptest! {
        #[test]
        fn distances_come_back(code in code(), offset in 0..1000_usize, more in 0..1000_usize) {
            let at = CodePlace { offset, file_bytes: offset + code.len() + more };
            let mut changed = code.clone();
            to_places(&mut changed, at);
            to_distances(&mut changed, at);
            prop_assert_eq!(&changed, &code);
            to_distances(&mut changed, at);
            to_places(&mut changed, at);
            prop_assert_eq!(&changed, &code);
        }
    }

    #[test]
    fn two_calls_of_one_function_are_alike() {
        let mut code = [0xe8, 0x10, 0, 0, 0, 0x90, 0xe8, 0x0a, 0, 0, 0, 0x0f, 0x84, 4, 0, 0, 0];
        to_places(&mut code, CodePlace { offset: 0x100, file_bytes: 0x1000 });
        let place = [0, 0, 1, 0x15];
        assert_eq!((&code[1..5], &code[7..11], &code[13..]), (&place[..], &place[..], &place[..]));
    }
}
