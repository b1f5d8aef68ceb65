//! Where in the old payload a piece of the new one occurs.

use super::suffix_array::suffix_array;

/// No match is followed further: whoever wants more looks on along its diagonal.
const MATCH_BYTES_MAX: usize = 4096;

/// Shorter matches are too many for it to matter which one is taken.
const NEAREST_BYTES_MIN: usize = 16;
/// How many equally long matches are looked at, to either side.
const NEIGHBOURS_MAX: usize = 64;

pub(super) struct SuffixIndex<'a> {
    text: &'a [u8],
    array: Vec<u32>,
    /// Where in the array the suffixes with these first two bytes begin.
    starts: Vec<u32>,
}

/// An exact match.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Match {
    pub(super) old: usize,
    pub(super) length: usize,
}

impl<'a> SuffixIndex<'a> {
    /// `None` where `text` is too long.
    pub(super) fn new(text: &'a [u8]) -> Option<Self> {
        let array = suffix_array(text)?;
        let mut starts = vec![0_u32; (1 << 16) + 1];
        let pair = |place: u32| match text.get(place as usize..).unwrap_or_default() {
            [first, second, ..] => usize::from(*first) << 8 | usize::from(*second),
            [first] => usize::from(*first) << 8,
            [] => 0,
        };
        for &place in &array {
            starts[pair(place) + 1] += 1;
        }
        for index in 1..starts.len() {
            starts[index] += starts[index - 1];
        }
        Some(Self { text, array, starts })
    }

    pub(super) fn text(&self) -> &'a [u8] {
        self.text
    }

    /// The longest match of the beginning of `pattern`; of several the one that is nearest to `expected`.
    pub(super) fn longest(&self, pattern: &[u8], expected: usize) -> Match {
        let pattern = &pattern[..pattern.len().min(MATCH_BYTES_MAX)];
        let [first, second, ..] = pattern else { return Match::default() };
        let pair = usize::from(*first) << 8 | usize::from(*second);
        let (mut low, mut high) = (self.starts[pair] as usize, self.starts[pair + 1] as usize);
        let (mut low_common, mut high_common) = (0, 0);
        let (mut best, mut place) = (Match::default(), 0);
        while low < high {
            let middle = usize::midpoint(low, high);
            let old = self.array[middle] as usize;
            let known = low_common.min(high_common);
            let length =
                known + common(&self.text[(old + known).min(self.text.len())..], &pattern[known..]);
            if length > best.length {
                (best, place) = (Match { old, length }, middle);
            }
            if length == pattern.len() {
                break;
            }
            if self.text.get(old + length).is_none_or(|it| *it < pattern[length]) {
                (low, low_common) = (middle + 1, length);
            } else {
                (high, high_common) = (middle, length);
            }
        }
        if best.length >= NEAREST_BYTES_MIN {
            self.nearest(pattern, best, place, expected)
        } else {
            best
        }
    }

    /// The match nearest to `expected` among the neighbours of the one at `place` of the array.
    fn nearest(&self, pattern: &[u8], best: Match, place: usize, expected: usize) -> Match {
        let pattern = &pattern[..best.length];
        let matches =
            |old: &&u32| self.text.get(**old as usize..).is_some_and(|it| it.starts_with(pattern));
        let below = self.array[..place].iter().rev().take(NEIGHBOURS_MAX).take_while(matches);
        let above = self.array[place..].iter().take(NEIGHBOURS_MAX).take_while(matches);
        let nearest =
            below.chain(above).map(|it| *it as usize).min_by_key(|it| it.abs_diff(expected));
        Match { old: nearest.unwrap_or(best.old), ..best }
    }
}

/// How many bytes at the beginning are equal.
pub(super) fn common(one: &[u8], other: &[u8]) -> usize {
    let words = one.as_chunks::<8>().0.iter().zip(other.as_chunks::<8>().0);
    let equal = 8 * words.take_while(|(one, other)| one == other).count();
    let rest = one[equal..].iter().zip(&other[equal..]);
    equal + rest.take_while(|(one, other)| one == other).count()
}
