//! Bytes and flags, as binary decisions in contexts.

use std::io;

use super::{
    coder::Coder,
    mixer::{Chance, Circumstances, INPUTS, Mixer, Opinions},
};

/// The opinion that nothing was said, from which a bias is learned.
const BIAS: i16 = 256;
/// How many confidences an expected byte can be expected with.
pub(super) const CONFIDENCES: usize = 128;

/// 32 bits of two numbers.
pub(super) const fn hash(first: u32, second: u32) -> u32 {
    let hash = first.wrapping_mul(0x2c1b_3c6d) ^ second.wrapping_mul(0x9e37_79b1);
    let hash = (hash ^ hash >> 15).wrapping_mul(0x297a_2d39);
    hash ^ hash >> 13
}

/// The chances of half a byte in one context: which context it is, and the nodes of the tree of its bits. It
/// is one line of a processor's cache.
#[derive(Clone)]
#[repr(align(64))]
struct Nibble {
    check: u32,
    nodes: [Chance; 15],
}

/// A byte that is expected, and how confidently.
#[derive(Clone, Copy)]
pub(super) struct Expected {
    pub(super) byte: u8,
    /// Below [`CONFIDENCES`].
    pub(super) confidence: usize,
}

/// Says how likely the bits of a byte are in `N` contexts, where `M` bytes may be expected.
pub(super) struct Bytes<const N: usize, const M: usize> {
    /// A power of two of them.
    nibbles: Vec<Nibble>,
    expected: [Vec<Chance>; M],
    mixer: Mixer,
}

/// How often a chance of a context is told something until it becomes no slower, and one of an expected byte.
const TOLD_MAX: u32 = 15;
const EXPECTED_TOLD_MAX: u32 = 255;

/// What a byte is coded by.
pub(super) struct Known<const N: usize, const M: usize> {
    pub(super) contexts: [u32; N],
    pub(super) expected: [Option<Expected>; M],
    /// Which of the second set of weights count.
    pub(super) set: usize,
    pub(super) refinement: u32,
    /// What the byte is not.
    pub(super) not: Option<u8>,
}

impl<const N: usize, const M: usize> Bytes<N, M> {
    /// With 2^`nibbles_log` half bytes, and so many of the second set of weights.
    pub(super) fn new(nibbles_log: u32, sets: usize) -> Self {
        const { assert!(N + M < INPUTS) };
        Self {
            nibbles: vec![Nibble { check: 0, nodes: [Chance::EVEN; 15] }; 1 << nibbles_log],
            expected: std::array::from_fn(|_| vec![Chance::EVEN; CONFIDENCES * 8]),
            mixer: Mixer::new([256, sets], 256),
        }
    }

    /// Codes `byte`.
    pub(super) fn code<C: Coder>(
        &mut self,
        coder: &mut C,
        known: &Known<N, M>,
        byte: u8,
    ) -> io::Result<u8> {
        // The bits of the byte so far, after a 1.
        let mut all = 1_usize;
        for half in 0..2 {
            let places = self.places(&known.contexts, all);
            let mut node = 1_usize;
            for place in half * 4..half * 4 + 4 {
                if place == 7
                    && let Some(not) = known.not
                    && (usize::from(not) | 256) >> 1 == all
                {
                    return Ok(not ^ 1);
                }
                let bit = byte >> (7 - place) & 1 == 1;
                let bit = self.bit(coder, known, (places, node), (all, place), bit)?;
                all = all << 1 | usize::from(bit);
                node = node << 1 | usize::from(bit);
            }
        }
        Ok(all.to_le_bytes()[0])
    }

    /// Where the chances of the next half of a byte are, of which `all` is known. What is there of another
    /// context gives way.
    #[inline]
    fn places(&mut self, contexts: &[u32; N], all: usize) -> [usize; N] {
        let shift = u32::BITS - self.nibbles.len().ilog2();
        let (mut places, mut checks, mut is_other) = ([0; N], [0; N], [false; N]);
        // All are looked up before the first is looked at, so that memory is waited for once.
        for index in 0..N {
            let salt = (index as u32).wrapping_mul(0x0123_4567);
            let hash = hash(contexts[index].wrapping_add(salt), all as u32);
            places[index] = (hash >> shift) as usize;
            checks[index] = hash & 0xffff | 0x1_0000;
            is_other[index] = self.nibbles[places[index]].check != checks[index];
        }
        for index in 0..N {
            if is_other[index] {
                self.nibbles[places[index]] =
                    Nibble { check: checks[index], nodes: [Chance::EVEN; 15] };
            }
        }
        places
    }

    #[inline]
    fn bit<C: Coder>(
        &mut self,
        coder: &mut C,
        known: &Known<N, M>,
        (places, node): ([usize; N], usize),
        (all, place): (usize, usize),
        bit: bool,
    ) -> io::Result<bool> {
        let mut opinions: Opinions = [0; INPUTS];
        for (opinion, place) in opinions.iter_mut().zip(places) {
            *opinion = self.nibbles[place].nodes[node - 1].odds() as i16;
        }
        let mut expectations = [None; M];
        for (index, expected) in known.expected.iter().enumerate() {
            let Some(Expected { byte, confidence }) = *expected else { continue };
            if (usize::from(byte) | 256) >> (8 - place) == all {
                let is_yes = byte >> (7 - place) & 1 == 1;
                let chance = (confidence & (CONFIDENCES - 1)) * 8 + place;
                let odds = self.expected[index][chance].odds() as i16;
                opinions[N + index] = if is_yes { odds } else { -odds };
                expectations[index] = Some((chance, is_yes));
            }
        }
        opinions[N + M] = BIAS;
        let circumstances = Circumstances {
            sets: [all, known.set],
            last: all,
            refinement: hash(known.refinement, all as u32),
        };
        let bit = self.mixer.code(coder, &opinions, circumstances, bit)?;
        for place in places {
            self.nibbles[place].nodes[node - 1].learn(bit, TOLD_MAX);
        }
        for (chances, expectation) in self.expected.iter_mut().zip(expectations) {
            if let Some((chance, is_yes)) = expectation {
                chances[chance].learn(bit == is_yes, EXPECTED_TOLD_MAX);
            }
        }
        Ok(bit)
    }
}

/// Says how likely a flag is in `N` contexts.
pub(super) struct Flags<const N: usize> {
    chances: [Vec<Chance>; N],
    mixer: Mixer,
}

/// How many chances flags have for each context.
const FLAGS: usize = 1 << 16;
const FLAG_TOLD_MAX: u32 = 255;

impl<const N: usize> Flags<N> {
    /// With so many weights of each set.
    pub(super) fn new(sets: [usize; 2]) -> Self {
        const { assert!(N < INPUTS) };
        Self {
            chances: std::array::from_fn(|_| vec![Chance::EVEN; FLAGS]),
            mixer: Mixer::new(sets, 1),
        }
    }

    /// Codes `flag`.
    pub(super) fn code<C: Coder>(
        &mut self,
        coder: &mut C,
        contexts: &[u32; N],
        sets: [usize; 2],
        refinement: u32,
        flag: bool,
    ) -> io::Result<bool> {
        let mut opinions: Opinions = [0; INPUTS];
        let places: [usize; N] =
            std::array::from_fn(|it| hash(contexts[it], it as u32) as usize & (FLAGS - 1));
        for ((opinion, chances), place) in opinions.iter_mut().zip(&self.chances).zip(places) {
            *opinion = chances[place].odds() as i16;
        }
        opinions[N] = BIAS;
        let circumstances = Circumstances { sets, last: 0, refinement };
        let flag = self.mixer.code(coder, &opinions, circumstances, flag)?;
        for (chances, place) in self.chances.iter_mut().zip(places) {
            chances[place].learn(flag, FLAG_TOLD_MAX);
        }
        Ok(flag)
    }
}
