//! What the literals resemble: what was left over of the old payload, and the literals before.

use super::symbols::{Expected, hash};

/// The bytes that are remembered, a power of two.
const HISTORY_BYTES: usize = 1 << 24;
/// The bits of a place in them.
const PLACE: u32 = HISTORY_BYTES as u32 - 1;
/// How many places are remembered by what was before them, a power of two.
const PLACES_LOG: u32 = 20;
/// How many bytes must be the same before a place, for the two that are followed.
const SAME_MIN: [u32; 2] = [10, 5];
/// What keys are multiplied with; it is odd.
const KEY_FACTOR: u32 = 0x2f0b_4c47;
/// More that are the same do not count.
const SAME_MAX: u32 = 32;
/// After how many bytes that came as expected past disappointments are forgotten.
const FORGIVEN: u32 = 16;

/// Bytes, and where what comes next came before.
pub(super) struct History {
    bytes: Vec<u8>,
    /// How many there were ever, modulo 2^32.
    length: u32,
    matches: [Match; 2],
}

/// The place in the history that is followed.
struct Match {
    same_min: u32,
    /// By the key of the bytes before, the last place and, in the highest bits, what else there is of the key, so
    /// that the bytes of another key need not be looked at; 0 where there was none.
    places: Vec<u32>,
    /// Of so many bytes before as must be the same, or fewer: those before them have been shifted out.
    key: u32,
    /// The place of the key before the present one; 0 where there was none.
    found: u32,
    /// Where the next byte is expected.
    place: u32,
    /// How many bytes before it are the same; 0 where no place is followed.
    same: u32,
    disappointments: u32,
}

impl Match {
    /// Notes that the next byte is at `length`, and where one was that came after the same key.
    #[inline]
    fn note(&mut self, length: u32) {
        let hash = hash(self.key, self.same_min);
        let check = hash << PLACE.count_ones();
        let noted = &mut self.places[(hash >> (u32::BITS - PLACES_LOG)) as usize];
        self.found = if *noted & !PLACE == check { *noted & PLACE } else { 0 };
        *noted = length & PLACE | check;
    }
}

impl History {
    /// Begins with `bytes`.
    pub(super) fn new(bytes: &[u8]) -> Self {
        let matches = SAME_MIN.map(|same_min| Match {
            same_min,
            places: vec![0; 1 << PLACES_LOG],
            key: 0,
            found: 0,
            place: 0,
            same: 0,
            disappointments: 0,
        });
        let mut history = Self { bytes: vec![0; HISTORY_BYTES], length: 0, matches };
        history.take_in(bytes);
        history
    }

    /// The byte at `place`.
    fn at(&self, place: u32) -> u8 {
        self.bytes[place as usize & (HISTORY_BYTES - 1)]
    }

    /// The byte `distance` before the end.
    pub(super) fn back(&self, distance: u32) -> u8 {
        self.at(self.length.wrapping_sub(distance))
    }

    /// Remembers `bytes`, which nobody was to expect. What was followed is not followed any more.
    pub(super) fn take_in(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.push(*byte);
        }
        for it in &mut self.matches {
            it.same = 0;
        }
    }

    fn push(&mut self, byte: u8) {
        self.bytes[self.length as usize & (HISTORY_BYTES - 1)] = byte;
        self.length = self.length.wrapping_add(1);
        for it in &mut self.matches {
            let shift = u32::BITS.div_ceil(it.same_min);
            it.key = it.key.wrapping_mul(KEY_FACTOR << shift).wrapping_add(u32::from(byte) + 1);
            it.note(self.length);
        }
    }

    /// What is expected to come next, and how many bytes before it are the same.
    pub(super) fn expected(&mut self) -> [Option<(Expected, u32)>; 2] {
        for index in 0..2 {
            let Match { same, found, same_min, .. } = self.matches[index];
            if same == 0 && found != 0 {
                let same = self.same_before(found);
                if same >= same_min {
                    (self.matches[index].place, self.matches[index].same) = (found, same);
                }
            }
        }
        let [close, loose] = &self.matches;
        let is_twice = close.same > 0 && close.place == loose.place;
        let expected = |it: &Match| {
            let confidence = it.same.min(31) + 32 * it.disappointments.min(3);
            let byte = self.at(it.place);
            (it.same > 0).then_some((Expected { byte, confidence: confidence as usize }, it.same))
        };
        [expected(close), expected(loose).filter(|_| !is_twice)]
    }

    fn same_before(&self, place: u32) -> u32 {
        let is_same =
            |distance: &u32| self.at(place.wrapping_sub(*distance)) == self.back(*distance);
        (1..=SAME_MAX).take_while(is_same).count() as u32
    }

    /// Remembers `byte`, which came where [`expected`](Self::expected) was asked.
    pub(super) fn came(&mut self, byte: u8) {
        for index in 0..2 {
            let it = &self.matches[index];
            if it.same == 0 {
                continue;
            }
            let is_right = self.at(it.place) == byte;
            let it = &mut self.matches[index];
            if is_right {
                it.same = (it.same + 1).min(SAME_MAX);
                it.place = (it.place + 1) & PLACE;
                if it.same >= FORGIVEN {
                    it.disappointments = 0;
                }
            } else {
                it.same = 0;
                it.disappointments = (it.disappointments + 1).min(3);
            }
        }
        self.push(byte);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_before_is_expected_again() {
        let mut history = History::new(b"the first line; the second");
        assert!(history.expected().iter().all(Option::is_none));
        for byte in b" line of the fir" {
            history.came(*byte);
            history.expected();
        }
        let [_, loose] = history.expected();
        let (expected, same) = loose.unwrap();
        assert_eq!((expected.byte, same >= 5), (b's', true));
        history.came(b'm');
        let [close, loose] = history.expected();
        assert!(close.is_none() && loose.is_none());
        assert_eq!([1, 2, 3].map(|it| history.back(it)), *b"mri");
    }

    #[test]
    fn the_history_goes_round() {
        let mut history = History::new(b"");
        history.length = u32::MAX - 20;
        history.take_in(b"once upon a time");
        for byte in b"; upon a ti" {
            history.expected();
            history.came(*byte);
        }
        let [close, _] = history.expected();
        assert_eq!(close.unwrap().0.byte, b'm');
        assert!(history.length < 100);
    }
}
