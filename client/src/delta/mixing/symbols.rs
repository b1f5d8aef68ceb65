//! Bytes and flags, as binary decisions in contexts.

use std::io;

use super::{
    coder::Coder,
    halves::{Halves, Places},
    mixer::{Chance, INPUTS, Mixer, Opinions},
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

/// A byte that is expected, and how confidently.
#[derive(Clone, Copy)]
pub(super) struct Expected {
    pub(super) byte: u8,
    /// Below [`CONFIDENCES`].
    pub(super) confidence: usize,
}

/// Says how likely the bits of a byte are in `N` contexts, where `M` bytes may be expected.
pub(super) struct Bytes<const N: usize, const M: usize, const LINES: usize> {
    halves: Halves<LINES>,
    expected: [[Chance; CONFIDENCES * 8]; M],
    mixer: Mixer,
}

/// How often a chance of an expected byte is told something until it becomes no slower.
const EXPECTED_TOLD_MAX: u32 = 255;

/// What a byte is coded by, beside its contexts.
pub(super) struct Known<const M: usize> {
    pub(super) expected: [Option<Expected>; M],
    /// Which of the second set of weights count.
    pub(super) row: usize,
    /// What the byte is not.
    pub(super) not: Option<u8>,
}

/// Where a byte is that is to be coded.
pub(super) struct LookedUp<const N: usize> {
    /// Of the contexts.
    hashes: [u32; N],
    /// Of the first half.
    places: Places<N>,
}

impl<const N: usize, const M: usize, const LINES: usize> Bytes<N, M, LINES> {
    /// With so many rows in the second set of weights.
    pub(super) fn new(rows: usize) -> Self {
        const { assert!(N + M < INPUTS) };
        Self {
            halves: Halves::new(),
            expected: [[Chance::EVEN; CONFIDENCES * 8]; M],
            mixer: Mixer::new([256, rows]),
        }
    }

    /// Looks up what was in `contexts`. It is best done before anything else is looked up for the byte: memory
    /// is waited for once.
    pub(super) fn look_up(&mut self, contexts: &[u32; N]) -> LookedUp<N> {
        let hashes = std::array::from_fn(|index| hash(contexts[index], index as u32));
        let places = self.halves.look_up(&hashes, 1);
        LookedUp { hashes, places }
    }

    /// Codes `byte`.
    pub(super) fn code<C: Coder>(
        &mut self,
        coder: &mut C,
        LookedUp { hashes, mut places }: LookedUp<N>,
        known: &Known<M>,
        byte: u8,
    ) -> io::Result<u8> {
        // The bits of the byte so far, after a 1, and those of its half.
        let (mut all, mut node) = (1_usize, 1_usize);
        for place in 0..8 {
            if place == 4 {
                places = self.halves.look_up(&hashes, all);
                node = 1;
            }
            if place == 7
                && let Some(not) = known.not
                && (usize::from(not) | 256) >> 1 == all
            {
                return Ok(not ^ 1);
            }
            let bit = byte >> (7 - place) & 1 == 1;
            let bit = self.bit(coder, known, (&places, node), (all, place), bit)?;
            all = all << 1 | usize::from(bit);
            node = node << 1 | usize::from(bit);
        }
        Ok(all.to_le_bytes()[0])
    }

    #[inline]
    fn bit<C: Coder>(
        &mut self,
        coder: &mut C,
        known: &Known<M>,
        (places, node): (&Places<N>, usize),
        (all, place): (usize, usize),
        bit: bool,
    ) -> io::Result<bool> {
        let mut opinions: Opinions = [0; INPUTS];
        for (opinion, place) in opinions.iter_mut().zip(places) {
            *opinion = self.halves.node(*place, node).odds() as i16;
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
        let bit = self.mixer.code(coder, &opinions, [all, known.row], bit)?;
        for place in places {
            self.halves.node(*place, node).learn(bit);
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
    /// With so many rows in each set of weights.
    pub(super) fn new(rows: [usize; 2]) -> Self {
        const { assert!(N < INPUTS) };
        Self {
            chances: std::array::from_fn(|_| vec![Chance::EVEN; FLAGS]),
            mixer: Mixer::new(rows),
        }
    }

    /// Codes `flag`.
    pub(super) fn code<C: Coder>(
        &mut self,
        coder: &mut C,
        contexts: &[u32; N],
        rows: [usize; 2],
        flag: bool,
    ) -> io::Result<bool> {
        let mut opinions: Opinions = [0; INPUTS];
        let places: [usize; N] =
            std::array::from_fn(|it| hash(contexts[it], it as u32) as usize & (FLAGS - 1));
        for ((opinion, chances), place) in opinions.iter_mut().zip(&self.chances).zip(places) {
            *opinion = chances[place].odds() as i16;
        }
        opinions[N] = BIAS;
        let flag = self.mixer.code(coder, &opinions, rows, flag)?;
        for (chances, place) in self.chances.iter_mut().zip(places) {
            chances[place].learn(flag, FLAG_TOLD_MAX);
        }
        Ok(flag)
    }
}
