//! What the literals are compressed with: the old bytes that no copy takes. What was removed resembles
//! what was put in its place.

use std::{io, ops::Range};

use super::{copies::Copy, read_at::ReadAt};

/// The most bytes that the dictionary has.
const DICTIONARY_BYTES_MAX: usize = 4 << 20;

/// The bytes of `old` that none of `copies` takes, in their order; of more than fit the last.
pub(super) fn dictionary(
    old: &dyn ReadAt,
    old_length: usize,
    copies: &[Copy],
) -> io::Result<Vec<u8>> {
    let mut ranges = left_over(old_length, copies);
    let mut excess =
        ranges.iter().map(Range::len).sum::<usize>().saturating_sub(DICTIONARY_BYTES_MAX);
    for range in &mut ranges {
        let skipped = excess.min(range.len());
        range.start += skipped;
        excess -= skipped;
    }
    let mut dictionary = vec![0; ranges.iter().map(Range::len).sum()];
    let mut rest = dictionary.as_mut_slice();
    for range in ranges {
        let (this, others) = rest.split_at_mut(range.len());
        old.read_exact_at(this, range.start as u64)?;
        rest = others;
    }
    Ok(dictionary)
}

fn left_over(old_length: usize, copies: &[Copy]) -> Vec<Range<usize>> {
    let mut taken: Vec<_> = copies.iter().map(|it| it.old..it.old_end()).collect();
    taken.sort_unstable_by_key(|it| (it.start, it.end));
    let mut left_over = Vec::new();
    let mut end = 0;
    for range in taken {
        if range.start > end {
            left_over.push(end..range.start);
        }
        end = end.max(range.end);
    }
    if old_length > end {
        left_over.push(end..old_length);
    }
    left_over
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dictionary_is_what_no_copy_takes() {
        let old: Vec<u8> = (0..20).collect();
        let copies =
            [(8, 4), (2, 3), (9, 5), (2, 1)].map(|(old, length)| Copy { new: 0, old, length });
        let found = dictionary(&old, old.len(), &copies).unwrap();
        assert_eq!(found, [0, 1, 5, 6, 7, 14, 15, 16, 17, 18, 19]);
    }

    #[test]
    fn of_too_much_the_dictionary_has_the_last() {
        let mut old = vec![1; 10];
        old.resize(10 + DICTIONARY_BYTES_MAX, 2);
        assert_eq!(dictionary(&old, old.len(), &[]).unwrap(), &old[10..]);
    }
}
