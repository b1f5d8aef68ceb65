//! Chance that can be repeated: a number for every seed, machine, question and instant.

use crate::policy::rollout::Share;

/// What is asked of chance. Each question has answers of its own.
#[derive(Clone, Copy, Debug)]
pub(super) enum Question {
    Name,
    Ring,
    Platform,
    Dead,
    Flapping,
    CutOff,
    Phase,
    Jitter,
    Install,
    Lost,
    Background,
    Bad,
}

/// A number that looks like chance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Draw(u64);

impl Draw {
    /// The answer for a machine at an instant, in seconds, where it depends on that.
    pub(super) fn of(seed: u64, machine: u32, question: Question, at: u32) -> Self {
        let place = u64::from(machine) << 32 | u64::from(at);
        Self(mixed(mixed(mixed(seed) ^ place) ^ question as u64))
    }

    pub(super) fn number(self) -> u64 {
        self.0
    }

    /// A number below `end`; 0 where that is 0.
    pub(super) fn below(self, end: u32) -> u32 {
        let scaled = (u128::from(self.0) * u128::from(end)) >> 64;
        u32::try_from(scaled).unwrap_or(0)
    }

    /// Whether it is among that share of all draws.
    pub(super) fn is_within(self, share: Share) -> bool {
        self.below(u32::from(Share::WHOLE.basis_points())) < u32::from(share.basis_points())
    }
}

/// One step of `SplitMix64` (Steele, Lea and Flood 2014): every bit of the number counts for every bit of
/// the answer.
fn mixed(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ number >> 31
}
