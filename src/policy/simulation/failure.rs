//! How releases fail.

use mainstay_client::format::Platform;
use serde::Serialize;

use super::{draw::Question, fleet::Fleet};
use crate::policy::rollout::Share;

/// What becomes of a release on one machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is confirmed.
    Succeeds,
    /// It is undone.
    Fails,
    /// The machine is never heard of again.
    Silent,
}

/// What a bad release does to a machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Manner {
    /// It fails its probation, and the machine goes back and says so.
    #[default]
    Reported,
    /// It takes the machine down, which says nothing more.
    Silent,
}

/// How a release fails.
///
/// Whatever the release, some machines fail for reasons of their own, and 5 of 1,000 are switched off
/// while it is on probation and are not heard of again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FailureModel {
    /// On which share of the machines the release fails; on none where it is good.
    pub bad: Option<Share>,
    /// The platform on which alone it does.
    pub platform: Option<Platform>,
    /// What it does there.
    pub manner: Manner,
    /// On which share of the machines every release fails.
    pub background: Share,
}

impl FailureModel {
    const LOST: Option<Share> = Share::of_basis_points(50);

    /// A good release, which fails where every release would.
    pub fn good(background: Share) -> Self {
        Self { bad: None, platform: None, manner: Manner::default(), background }
    }

    /// A release that fails on that share of all machines.
    pub fn bad(share: Share, background: Share) -> Self {
        Self { bad: Some(share), ..Self::good(background) }
    }

    /// What becomes of the release on a machine.
    pub(super) fn fate(&self, fleet: &Fleet, machine: u32) -> Fate {
        let is_within = |question, share| fleet.is_within(machine, question, share);
        let is_of = |platform: &Platform| fleet.is_of(machine, platform);
        let is_bad = self.bad.is_some_and(|share| is_within(Question::Bad, share))
            && self.platform.as_ref().is_none_or(is_of);
        if is_bad && self.manner == Manner::Silent {
            Fate::Silent
        } else if is_bad || is_within(Question::Background, self.background) {
            Fate::Fails
        } else if Self::LOST.is_some_and(|share| is_within(Question::Lost, share)) {
            Fate::Silent
        } else {
            Fate::Succeeds
        }
    }
}
