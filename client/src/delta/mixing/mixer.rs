//! One probability of many.

use std::io;

use super::{
    coder::Coder,
    logistic::{odds_of, probability},
};

/// How many opinions are mixed at the most.
pub(super) const INPUTS: usize = 16;

/// The share of a sum that each of the first weights is: 0.15 of 2^14.
const WEIGHT: i16 = 2400;

/// By how many 4,096ths of what is missing a chance moves that was told so many times.
pub(super) static RATES: [i32; 256] = rates();

const fn rates() -> [i32; 256] {
    let mut rates = [0; 256];
    let mut told = 0;
    while told < rates.len() {
        rates[told] = 40_960 / (10 * (told as u32).cast_signed() + 16);
        told += 1;
    }
    rates
}

/// A probability that learns: of 32 bits the highest 22 are it, and the lowest 10 count what it was told.
#[derive(Clone, Copy)]
pub(super) struct Chance(u32);

impl Chance {
    /// As likely as not, and told nothing.
    pub(super) const EVEN: Self = Self(1 << 31);

    #[inline]
    pub(super) fn odds(self) -> i32 {
        odds_of((self.0 >> 16).cast_signed())
    }

    /// Takes in `bit`. After `told_max` times it becomes no slower.
    #[inline]
    pub(super) fn learn(&mut self, bit: bool, told_max: u32) {
        let (chance, told) = ((self.0 >> 10).cast_signed(), self.0 & 0x3ff);
        let aim = if bit { (1 << 22) - 1 } else { 0 };
        let moved = chance + ((((aim - chance) >> 3) * RATES[told as usize & 255]) >> 9);
        self.0 = moved.cast_unsigned() << 10 | (told + 1).min(told_max);
    }
}

/// Opinions for one decision, as odds.
pub(super) type Opinions = [i16; INPUTS];

/// Weighs opinions by how right they were in such circumstances: the weights of a row of each of two sets
/// are added up.
pub(super) struct Mixer {
    sets: [Vec<Opinions>; 2],
}

impl Mixer {
    /// With so many rows in each set.
    pub(super) fn new(rows: [usize; 2]) -> Self {
        Self { sets: rows.map(|it| vec![[WEIGHT; INPUTS]; it]) }
    }

    /// Codes `bit`, with these rows, and learns from what it is.
    pub(super) fn code<C: Coder>(
        &mut self,
        coder: &mut C,
        opinions: &Opinions,
        rows: [usize; 2],
        bit: bool,
    ) -> io::Result<bool> {
        let [first, second] = &mut self.sets;
        let (first, second) = (&mut first[rows[0]], &mut second[rows[1]]);
        let likely = probability((sum(first, opinions) + sum(second, opinions)) >> 14);
        let bit = coder.code(bit, likely.cast_unsigned() as u16)?;
        let error = (i32::from(bit) << 16) - likely;
        train(first, opinions, (error >> 1) as i16);
        train(second, opinions, (error >> 1) as i16);
        Ok(bit)
    }
}

#[inline(never)]
fn sum(weights: &Opinions, opinions: &Opinions) -> i32 {
    weights.iter().zip(opinions).map(|(weight, it)| i32::from(*weight) * i32::from(*it)).sum()
}

#[inline(never)]
fn train(weights: &mut Opinions, opinions: &Opinions, error: i16) {
    for (weight, opinion) in weights.iter_mut().zip(opinions) {
        let step = ((i32::from(*opinion) * i32::from(error)) >> 16) as i16;
        *weight = weight.saturating_add((step + 1) >> 1);
    }
}
