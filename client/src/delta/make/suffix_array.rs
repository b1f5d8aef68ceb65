//! Suffix sorting by induction: G. Nong, S. Zhang, W. H. Chan, “Two Efficient Algorithms for Linear Time
//! Suffix Array Construction”, 2011 (SA-IS).

#![expect(
    clippy::cast_possible_truncation,
    reason = "every place in a text has a number of 32 bits"
)]

/// Where nothing has been put yet.
const EMPTY: u32 = u32::MAX;

/// The places of all suffixes of `text` in ascending order of the suffixes. `None` where there are more
/// than can be numbered.
pub(super) fn suffix_array(text: &[u8]) -> Option<Vec<u32>> {
    (text.len() < EMPTY as usize).then(|| sorted(text, 256))
}

/// A letter of the text, or the rank of a substring of it.
trait Symbol: Copy + Ord {
    fn rank(self) -> usize;
}

impl Symbol for u8 {
    fn rank(self) -> usize {
        self.into()
    }
}

impl Symbol for u32 {
    fn rank(self) -> usize {
        self as usize
    }
}

fn sorted<T: Symbol>(text: &[T], alphabet: usize) -> Vec<u32> {
    match text.len() {
        0 => return Vec::new(),
        1 => return vec![0],
        _ => {}
    }
    let induction = Induction::new(text, alphabet);
    let starts: Vec<u32> =
        (1..text.len()).filter(|&it| induction.is_start(it)).map(|it| it as u32).collect();
    let mut array = induction.sort(&starts);
    if starts.len() > 1 {
        let (names, count) = induction.names(&array, &starts);
        let order = if count == starts.len() {
            let mut order = vec![0; count];
            for (place, &name) in names.iter().enumerate() {
                order[name as usize] = place as u32;
            }
            order
        } else {
            drop(array);
            sorted(&names, count)
        };
        drop(names);
        let ordered: Vec<u32> = order.iter().map(|&it| starts[it as usize]).collect();
        drop((order, starts));
        array = induction.sort(&ordered);
    }
    array
}

/// What is known of each place: whether its suffix is smaller than the next one (type S), or not (L); and
/// where the suffixes that begin with a symbol stand, those of type L first.
struct Induction<'a, T> {
    text: &'a [T],
    is_smaller: Vec<bool>,
    large_from: Vec<u32>,
    small_from: Vec<u32>,
}

impl<'a, T: Symbol> Induction<'a, T> {
    fn new(text: &'a [T], alphabet: usize) -> Self {
        let mut is_smaller = vec![false; text.len()];
        for place in (0..text.len() - 1).rev() {
            let (this, next) = (text[place], text[place + 1]);
            is_smaller[place] = this < next || this == next && is_smaller[place + 1];
        }
        let (mut large, mut small) = (vec![0_u32; alphabet], vec![0_u32; alphabet]);
        for (symbol, is_smaller) in text.iter().zip(&is_smaller) {
            (if *is_smaller { &mut small } else { &mut large })[symbol.rank()] += 1;
        }
        let mut from = 0;
        for (large, small) in large.iter_mut().zip(&mut small) {
            let (large_count, small_count) = (*large, *small);
            (*large, *small) = (from, from + large_count);
            from += large_count + small_count;
        }
        Self { text, is_smaller, large_from: large, small_from: small }
    }

    /// Whether a suffix of type S follows one of type L here: from these all others are induced.
    fn is_start(&self, place: usize) -> bool {
        place > 0 && self.is_smaller[place] && !self.is_smaller[place - 1]
    }

    /// All suffixes, where `starts` are in order. Where they are not, at least the substrings between
    /// them are.
    fn sort(&self, starts: &[u32]) -> Vec<u32> {
        let (text, length) = (self.text, self.text.len());
        let mut array = vec![EMPTY; length];
        let mut next = self.small_from.clone();
        for &start in starts {
            let slot = &mut next[text[start as usize].rank()];
            array[*slot as usize] = start;
            *slot += 1;
        }
        let mut next = self.large_from.clone();
        let mut put = |array: &mut Vec<u32>, place: usize| {
            let slot = &mut next[text[place].rank()];
            array[*slot as usize] = place as u32;
            *slot += 1;
        };
        put(&mut array, length - 1);
        for index in 0..length {
            let place = array[index];
            if place != EMPTY && place > 0 && !self.is_smaller[place as usize - 1] {
                put(&mut array, place as usize - 1);
            }
        }
        // The end of each symbol's suffixes is the beginning of the next one's.
        let mut ends: Vec<u32> = self.large_from.iter().skip(1).copied().collect();
        ends.push(length as u32);
        for index in (0..length).rev() {
            let place = array[index];
            if place != EMPTY && place > 0 && self.is_smaller[place as usize - 1] {
                let slot = &mut ends[text[place as usize - 1].rank()];
                *slot -= 1;
                array[*slot as usize] = place - 1;
            }
        }
        array
    }

    /// For each of `starts` the rank of the substring from it to the next one, and how many ranks there
    /// are. `array` has the starts in the order of these substrings.
    fn names(&self, array: &[u32], starts: &[u32]) -> (Vec<u32>, usize) {
        let length = self.text.len();
        // No two starts are neighbours, so that half of a place tells them apart.
        let mut numbers = vec![0_u32; length / 2 + 1];
        for (number, &start) in starts.iter().enumerate() {
            numbers[start as usize / 2] = number as u32;
        }
        let substring = |number: usize| {
            let from = starts[number] as usize;
            let end = starts.get(number + 1).map_or(length, |&it| it as usize + 1);
            (&self.text[from..end], number + 1 == starts.len())
        };
        let mut names = vec![0; starts.len()];
        let (mut count, mut previous) = (0_usize, None);
        for &place in array.iter().filter(|&&it| self.is_start(it as usize)) {
            let number = numbers[place as usize / 2] as usize;
            let this = substring(number);
            count += usize::from(previous != Some(this));
            names[number] = count as u32 - 1;
            previous = Some(this);
        }
        (names, count)
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn by_comparison(text: &[u8]) -> Vec<u32> {
        let mut places: Vec<u32> = (0..u32::try_from(text.len()).unwrap()).collect();
        places.sort_by_key(|it| &text[*it as usize..]);
        places
    }

    proptest! {
        #[test]
        fn suffixes_are_sorted(
            text in (1..=255_u8).prop_flat_map(|letters| vec(0..letters, 0..400)), repeats in 1..4_usize
        ) {
            let text = text.repeat(repeats);
            prop_assert_eq!(suffix_array(&text).unwrap(), by_comparison(&text));
        }
    }

    #[test]
    fn what_repeats_is_sorted() {
        for text in
            [vec![0; 1000], b"ab".repeat(500), b"banana".repeat(100), b"mississippi".to_vec()]
        {
            assert_eq!(suffix_array(&text).unwrap(), by_comparison(&text));
        }
    }
}
