//! Machines that are made up from a seed, each when it is asked about: a fleet takes no memory.

use mainstay_client::format::{MachineName, ParseError, Platform};
use serde::Serialize;

use super::draw::{Draw, Question};
use crate::policy::{resolve::Ring, rollout::Share};

/// The platforms of every fleet, and how many in a hundred machines are of each.
pub const PLATFORMS: [(&str, u32); 3] =
    [("linux-x86_64", 60), ("windows-x86_64", 30), ("linux-aarch64", 10)];

/// Machines that do not exist.
///
/// Of 1,000 machines 1 is in the ring `preview`, 4 in `early`, 50 in `last`, the rest in `general`. 2 % are
/// dead: they are counted, and never ask. 5 % have a network that fails every second time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Fleet {
    /// Which of all such fleets.
    pub seed: u64,
    /// How many there are, the dead ones included.
    pub machines: u32,
    /// How long each waits before it asks again, in seconds, a tenth more or less.
    pub poll_seconds: u32,
}

impl Fleet {
    /// The interval of the tier `basic`, which is the longest of the tiers.
    pub const POLL_SECONDS: u32 = 3600;
    const DEAD_OF_THOUSAND: u32 = 20;
    const FLAPPING_OF_THOUSAND: u32 = 50;

    /// So many machines with the usual interval.
    pub const fn new(seed: u64, machines: u32) -> Self {
        Self { seed, machines, poll_seconds: Self::POLL_SECONDS }
    }

    /// Whether that share of machines has this one in it, for the answer to `question`.
    pub(super) fn is_within(&self, machine: u32, question: Question, share: Share) -> bool {
        self.draw(machine, question, 0).is_within(share)
    }

    pub(super) fn name(&self, machine: u32) -> Result<MachineName, ParseError> {
        format!("m-{:016x}", self.draw(machine, Question::Name, 0).number()).parse()
    }

    pub(super) fn ring(&self, machine: u32) -> Ring {
        match self.draw(machine, Question::Ring, 0).below(1000) {
            0 => Ring::Preview,
            1..5 => Ring::Early,
            5..55 => Ring::Last,
            _ => Ring::General,
        }
    }

    pub(super) fn is_of(&self, machine: u32, platform: &Platform) -> bool {
        let mut number = self.draw(machine, Question::Platform, 0).below(100);
        PLATFORMS.into_iter().any(|(name, count)| {
            let is_it = number < count;
            number = if is_it { u32::MAX } else { number - count.min(number) };
            is_it && name == platform.as_str()
        })
    }

    pub(super) fn is_dead(&self, machine: u32) -> bool {
        self.draw(machine, Question::Dead, 0).below(1000) < Self::DEAD_OF_THOUSAND
    }

    /// Whether the machine's network fails at the instant.
    pub(super) fn is_cut_off(&self, machine: u32, at: u32) -> bool {
        self.draw(machine, Question::Flapping, 0).below(1000) < Self::FLAPPING_OF_THOUSAND
            && self.draw(machine, Question::CutOff, at).below(2) == 0
    }

    /// When in its interval the machine asks, in seconds.
    pub(super) fn phase(&self, machine: u32) -> u32 {
        self.draw(machine, Question::Phase, 0).below(self.poll_seconds)
    }

    /// How long after `at` it asks again, in seconds.
    pub(super) fn interval(&self, machine: u32, at: u32) -> u32 {
        let tenth = self.poll_seconds / 10;
        self.poll_seconds - tenth + self.draw(machine, Question::Jitter, at).below(2 * tenth + 1)
    }

    /// How long the machine takes to install, from `least` to `most`.
    pub(super) fn between(&self, machine: u32, (least, most): (u32, u32)) -> u32 {
        least + self.draw(machine, Question::Install, 0).below(most.saturating_sub(least) + 1)
    }

    fn draw(&self, machine: u32, question: Question, at: u32) -> Draw {
        Draw::of(self.seed, machine, question, at)
    }
}
