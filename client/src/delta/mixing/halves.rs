//! What the halves of bytes were in contexts.

use super::{logistic::odds_of, mixer::RATES};

/// A probability that learns, in less room: of 16 bits the highest 12 are it, and the lowest 4 count what it
/// was told, up to 15.
#[derive(Clone, Copy)]
pub(super) struct Node(u16);

impl Node {
    /// As likely as not, and told nothing.
    const EVEN: Self = Self(1 << 15);

    #[inline]
    pub(super) fn odds(self) -> i32 {
        odds_of(self.0.into())
    }

    /// Takes in `bit`.
    #[inline]
    pub(super) fn learn(&mut self, bit: bool) {
        let (chance, told) = (i32::from(self.0 >> 4), self.told());
        let aim = if bit { 4095 } else { 0 };
        let moved = chance + (((aim - chance) * RATES[usize::from(told)] + 2048) >> 12);
        self.0 = (moved.cast_unsigned() as u16) << 4 | (told + 1).min(15);
    }

    const fn told(self) -> u16 {
        self.0 & 15
    }
}

const NODES: usize = 16;

/// What halves of bytes were in two contexts: for each, by number, the nodes of the tree of their bits, of which
/// the root is 1. In place of a node 0 is what tells the context. It is one line of a processor's cache.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line([Node; 2 * NODES]);

/// What halves of bytes were in contexts. Where two others are, that gives way which was met less.
pub(super) struct Halves<const LINES: usize> {
    lines: Box<[Line; LINES]>,
}

/// Where in the lines the nodes of a half in `N` contexts are.
pub(super) type Places<const N: usize> = [u32; N];

impl<const LINES: usize> Halves<LINES> {
    pub(super) fn new() -> Self {
        const { assert!(LINES.is_power_of_two()) };
        let lines = vec![Line([Node::EVEN; 2 * NODES]); LINES].into_boxed_slice();
        let Ok(lines) = lines.try_into() else { unreachable!("there are LINES of them") };
        Self { lines }
    }

    /// Looks up the half in contexts that have these `hashes`, of whose byte `all` is known.
    ///
    /// All are looked up before any is overwritten, so that memory is waited for once, and nothing is a branch,
    /// which nobody could foresee.
    #[inline]
    pub(super) fn look_up<const N: usize>(&mut self, hashes: &[u32; N], all: usize) -> Places<N> {
        let (mut places, mut kept) = ([0; N], [0; N]);
        for index in 0..N {
            let line = hashes[index] >> (u32::BITS - LINES.ilog2()) ^ all as u32;
            let check = check(hashes[index]);
            let nodes = &self.lines[line as usize & (LINES - 1)].0;
            let is_second = (nodes[0].0 != check)
                & ((nodes[NODES].0 == check) | (nodes[NODES + 1].told() < nodes[1].told()));
            let found = if is_second { nodes[NODES] } else { nodes[0] };
            kept[index] = u16::from(found.0 == check).wrapping_neg();
            places[index] = line * 2 * NODES as u32 + u32::from(is_second) * NODES as u32;
        }
        for index in 0..N {
            let (line, first) = Self::line(places[index]);
            let nodes = &mut self.lines[line].0[first..first + NODES];
            for node in &mut *nodes {
                node.0 = node.0 & kept[index] | Node::EVEN.0 & !kept[index];
            }
            nodes[0].0 = check(hashes[index]);
        }
        places
    }

    /// The node of this number of the half at `place`.
    #[inline]
    pub(super) fn node(&mut self, place: u32, number: usize) -> &mut Node {
        let (line, first) = Self::line(place);
        &mut self.lines[line].0[first | number & (NODES - 1)]
    }

    #[inline]
    const fn line(place: u32) -> (usize, usize) {
        ((place as usize / (2 * NODES)) & (LINES - 1), place as usize & NODES)
    }
}

/// What tells the context of this `hash`.
const fn check(hash: u32) -> u16 {
    hash as u16 | 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_three_contexts_in_a_line_the_one_that_was_met_least_gives_way() {
        let mut halves = Halves::<64>::new();
        let mut meet = |hash: u32| {
            let [place] = halves.look_up(&[hash], 1);
            let node = halves.node(place, 1);
            let odds = node.odds();
            node.learn(true);
            odds
        };
        assert_eq!((meet(2), meet(4)), (0, 0));
        assert!(meet(2) > 0 && meet(2) > 0 && meet(4) > 0);
        assert_eq!(meet(6), 0);
        assert!(meet(2) > 0);
        assert_eq!(meet(4), 0);
    }
}
