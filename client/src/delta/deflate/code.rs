//! Codes as zlib makes them: which of several equally good ones it is counts here.

use super::symbols::CODE_BITS_MAX;

/// How long the code of each symbol is that is met as often as `frequencies` say: 0 for one that is not,
/// at most `bits_max` bits. There are at least two codes.
pub(super) fn code_lengths(frequencies: &[u32], bits_max: usize) -> Vec<u8> {
    let mut tree = Tree::leaves(frequencies);
    for place in (0..tree.heap.len() / 2).rev() {
        tree.sift(place);
    }
    while tree.heap.len() > 1 {
        tree.join_rarest();
    }
    tree.lengths(bits_max)
}

struct Tree {
    symbols: usize,
    /// How often each symbol and then each inner node is met, and the most nodes there are below it.
    frequencies: Vec<u32>,
    depths: Vec<u8>,
    parents: Vec<usize>,
    /// The nodes that have no parent: the rarest first, and none rarer than that at half its place.
    heap: Vec<usize>,
    /// The nodes in the order in which they got parents.
    joined: Vec<usize>,
}

impl Tree {
    fn leaves(frequencies: &[u32]) -> Self {
        let symbols = frequencies.len();
        let mut frequencies = frequencies.to_vec();
        let mut heap: Vec<usize> = (0..symbols).filter(|it| frequencies[*it] > 0).collect();
        // Some programs do not accept a code of one symbol.
        while heap.len() < 2 {
            let symbol = match heap.last() {
                Some(largest @ (0 | 1)) => largest + 1,
                _ => 0,
            };
            frequencies[symbol] = 1;
            heap.push(symbol);
        }
        let (depths, parents) = (vec![0; symbols], vec![0; symbols]);
        Self { symbols, frequencies, depths, parents, heap, joined: Vec::new() }
    }

    fn is_rarer(&self, node: usize, other: usize) -> bool {
        let rank = |it: usize| (self.frequencies[it], self.depths[it]);
        rank(node) <= rank(other)
    }

    /// Puts what is at `place` of the heap as far down as it belongs.
    fn sift(&mut self, mut place: usize) {
        let node = self.heap[place];
        loop {
            let mut child = 2 * place + 1;
            if child >= self.heap.len() {
                break;
            }
            if child + 1 < self.heap.len() && self.is_rarer(self.heap[child + 1], self.heap[child])
            {
                child += 1;
            }
            if self.is_rarer(node, self.heap[child]) {
                break;
            }
            self.heap[place] = self.heap[child];
            place = child;
        }
        self.heap[place] = node;
    }

    /// Gives the two rarest nodes a parent.
    fn join_rarest(&mut self) {
        let rarest = self.heap.swap_remove(0);
        self.sift(0);
        let other = self.heap[0];
        let parent = self.frequencies.len();
        self.frequencies.push(self.frequencies[rarest] + self.frequencies[other]);
        self.depths.push(self.depths[rarest].max(self.depths[other]) + 1);
        self.parents.push(0);
        for child in [rarest, other] {
            self.parents[child] = parent;
            self.joined.push(child);
        }
        self.heap[0] = parent;
        self.sift(0);
    }

    fn lengths(&self, bits_max: usize) -> Vec<u8> {
        let mut depths = vec![0; self.frequencies.len()];
        let mut counts = [0_usize; CODE_BITS_MAX + 1];
        let mut too_deep = 0_usize;
        for node in self.joined.iter().rev() {
            let depth: usize = depths[self.parents[*node]] + 1;
            if depth > bits_max {
                too_deep += 1;
            }
            depths[*node] = depth.min(bits_max);
            if *node < self.symbols {
                counts[depths[*node]] += 1;
            }
        }
        if too_deep > 0 {
            self.lift(&mut depths, &mut counts, too_deep);
        }
        depths.truncate(self.symbols);
        depths.into_iter().map(|it| u8::try_from(it).unwrap_or_default()).collect()
    }

    /// Sees to it that all the codes fit, of which there are as many of each length as `counts` says, and
    /// `too_deep` nodes were deeper than the longest may be.
    fn lift(&self, depths: &mut [usize], counts: &mut [usize], mut too_deep: usize) {
        let bits_max = counts.iter().rposition(|it| *it > 0).unwrap_or_default();
        // A leaf that is too deep becomes the brother of one that is moved down by one for it.
        while too_deep > 0 {
            let bits = (1..bits_max).rev().find(|it| counts[*it] > 0).unwrap_or_default();
            counts[bits] -= 1;
            counts[bits + 1] += 2;
            counts[bits_max] -= 1;
            too_deep = too_deep.saturating_sub(2);
        }
        let mut leaves = self.joined.iter().filter(|it| **it < self.symbols);
        for bits in (1..=bits_max).rev() {
            for leaf in leaves.by_ref().take(counts[bits]) {
                depths[*leaf] = bits;
            }
        }
    }
}

/// The codes of these `lengths`, the first bit the lowest.
pub(super) fn codes(lengths: &[u8]) -> Vec<u16> {
    let mut next = first_codes(lengths);
    let code = |length: &u8| {
        if *length == 0 {
            return 0;
        }
        let next = &mut next[usize::from(*length)];
        *next += 1;
        (*next - 1).reverse_bits() >> (u16::BITS - u32::from(*length))
    };
    lengths.iter().map(code).collect()
}

/// The first code of each length, the first bit the highest.
fn first_codes(lengths: &[u8]) -> [u16; CODE_BITS_MAX + 1] {
    let mut counts = [0; CODE_BITS_MAX + 1];
    for length in lengths.iter().filter(|it| **it > 0) {
        counts[usize::from(*length)] += 1;
    }
    let mut first = [0_u16; CODE_BITS_MAX + 1];
    for bits in 1..=CODE_BITS_MAX {
        first[bits] = (first[bits - 1].wrapping_add(counts[bits - 1])) << 1;
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_two_codes_at_least() {
        assert_eq!(code_lengths(&[0, 0, 0, 0], 15), [1, 1, 0, 0]);
        assert_eq!(code_lengths(&[9, 0, 0, 0], 15), [1, 1, 0, 0]);
        assert_eq!(code_lengths(&[0, 9, 0, 0], 15), [0, 1, 1, 0]);
        assert_eq!(code_lengths(&[0, 0, 9, 0], 15), [1, 0, 1, 0]);
    }

    #[test]
    fn no_code_is_too_long_and_all_fit() {
        let mut frequencies = vec![1_u32, 1];
        while frequencies.len() < 19 {
            frequencies
                .push(frequencies[frequencies.len() - 1] + frequencies[frequencies.len() - 2]);
        }
        for bits_max in [7, 15] {
            let lengths = code_lengths(&frequencies, bits_max);
            assert_eq!(lengths.iter().max().copied().map(usize::from), Some(bits_max));
            let room: u32 = lengths.iter().map(|it| 1 << (15 - it)).sum();
            assert_eq!(room, 1 << 15);
        }
    }

    #[test]
    fn codes_are_those_of_the_rfc() {
        // The example of RFC 1951, section 3.2.2.
        let codes = codes(&[3, 3, 3, 3, 3, 2, 4, 4]);
        let highest_first = [0b010, 0b110, 0b001, 0b101, 0b011, 0b00, 0b0111, 0b1111];
        assert_eq!(codes, highest_first);
    }
}
