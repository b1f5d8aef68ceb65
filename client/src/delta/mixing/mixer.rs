//! One probability of many.

use std::io;

use super::{
    coder::Coder,
    logistic::{ODDS_MAX, odds_of, probability},
};

/// How many opinions are mixed at the most.
pub(super) const INPUTS: usize = 16;

/// The share of a sum that each of the first weights is: 0.3 of 2^13.
const WEIGHT: i16 = 2400;
/// Final weights are 65,536ths.
const FINAL_WEIGHT: i32 = 1 << 15;
const FINAL_WEIGHT_MAX: i32 = 1 << 19;
/// For each context a refinement has this many probabilities, of the odds −2,048, −1,920, … 2,048.
const STEPS: usize = 33;
/// How many contexts refinements have.
const REFINEMENTS: usize = 1024;

/// A probability that learns: of 32 bits the highest 22 are it, and the lowest 10 count what it was told.
#[derive(Clone, Copy)]
pub(super) struct Chance(u32);

/// By how many 4,096ths of what is missing a chance moves that was told so many times.
static RATES: [i32; 256] = rates();

const fn rates() -> [i32; 256] {
    let mut rates = [0; 256];
    let mut told = 0;
    while told < rates.len() {
        rates[told] = 40_960 / (10 * (told as u32).cast_signed() + 16);
        told += 1;
    }
    rates
}

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

/// What is known of the circumstances of a decision.
#[derive(Clone, Copy)]
pub(super) struct Circumstances {
    /// Which weights of the first and of the second set count.
    pub(super) sets: [usize; 2],
    /// Which final weights count.
    pub(super) last: usize,
    /// What the outcome is refined by; any number.
    pub(super) refinement: u32,
}

/// Weighs opinions by how right they were in such circumstances.
pub(super) struct Mixer {
    weights: [Vec<Opinions>; 2],
    last: Vec<[i32; 2]>,
    refinements: Vec<u16>,
}

impl Mixer {
    /// For so many circumstances of each set, and final ones.
    pub(super) fn new(sets: [usize; 2], last: usize) -> Self {
        let step = |it: usize| u16::try_from(probability((it.cast_signed() as i32 - 16) * 128));
        let steps: Vec<u16> = (0..STEPS).map(|it| step(it).unwrap_or(u16::MAX)).collect();
        Self {
            weights: sets.map(|it| vec![[WEIGHT; INPUTS]; it]),
            last: vec![[FINAL_WEIGHT; 2]; last],
            refinements: steps.repeat(REFINEMENTS),
        }
    }

    /// Codes `bit` and learns from what it is.
    pub(super) fn code<C: Coder>(
        &mut self,
        coder: &mut C,
        opinions: &Opinions,
        circumstances: Circumstances,
        bit: bool,
    ) -> io::Result<bool> {
        let [first, second] = &mut self.weights;
        let weights = [&mut first[circumstances.sets[0]], &mut second[circumstances.sets[1]]];
        let outcomes =
            [0, 1].map(|it| (sum(weights[it], opinions) >> 13).clamp(-ODDS_MAX, ODDS_MAX));
        let last = &mut self.last[circumstances.last];
        let odds = (((last[0] * outcomes[0]) >> 8) + ((last[1] * outcomes[1]) >> 8)) >> 8;
        let mixed = probability(odds);

        // The refinement lies between two steps, and the nearer one learns.
        let place = (odds.clamp(-ODDS_MAX, ODDS_MAX) + 2048).cast_unsigned();
        let step =
            (circumstances.refinement as usize & (REFINEMENTS - 1)) * STEPS + (place >> 7) as usize;
        let (beyond, low, high) = (
            (place & 127).cast_signed(),
            i32::from(self.refinements[step]),
            i32::from(self.refinements[step + 1]),
        );
        let refined = (low * (128 - beyond) + high * beyond) >> 7;

        let likely = ((mixed + refined) >> 1).clamp(1, 65_535);
        let bit = coder.code(bit, u16::try_from(likely).unwrap_or(u16::MAX))?;

        let aim = i32::from(bit) << 16;
        let error = (aim - mixed) >> 4;
        for (weight, outcome) in last.iter_mut().zip(outcomes) {
            let moved = *weight + ((outcome * error + 0x2000) >> 14);
            *weight = moved.clamp(-FINAL_WEIGHT_MAX, FINAL_WEIGHT_MAX);
        }
        for (weights, outcome) in weights.into_iter().zip(outcomes) {
            let error = (aim - probability(outcome)) >> 1;
            train(weights, opinions, i16::try_from(error).unwrap_or_default());
        }
        let nearer = &mut self.refinements[step + usize::from(beyond >= 64)];
        let aim = if bit { 65_535 } else { 0 };
        let moved = i32::from(*nearer) + ((aim - i32::from(*nearer)) >> 6);
        *nearer = u16::try_from(moved).unwrap_or_default();
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
        let step = (i32::from(*opinion) * i32::from(error) + 0x8000) >> 16;
        *weight = weight.saturating_add(step as i16);
    }
}
