use std::fmt;

use mainstay_client::format::Channel;
use serde::{Deserialize, Serialize};

use super::{Bridge, Contract, Fallback};

/// A named preset of a contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// Patches of the line that was bought.
    Basic,
    /// Also new lines of the same major version.
    Standard,
    /// Also new major versions.
    Premium,
    /// Everything, for longest.
    Enterprise,
}

/// What a tier stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Preset {
    /// The kinds of release covered.
    pub channels: &'static [Channel],
    /// Days after the paid time in which patch releases are still granted.
    pub grace_days: u32,
    /// Days after the paid time in which security releases are still granted.
    pub security_tail_days: u32,
    /// What stays when the paid time is over.
    pub fallback: Fallback,
    /// Whether a critical fix may come from a line that is not owned.
    pub bridge: Bridge,
    /// After how many seconds a machine is asked to check again.
    pub poll_seconds: u32,
}

impl Tier {
    /// All tiers, the least first.
    pub const ALL: [Self; 4] = [Self::Basic, Self::Standard, Self::Premium, Self::Enterprise];

    /// The tier's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Basic => "basic",
            Self::Standard => "standard",
            Self::Premium => "premium",
            Self::Enterprise => "enterprise",
        }
    }

    /// What the tier stands for.
    ///
    /// All tiers keep what was paid for: a program must not stop being repairable to what its owner
    /// once had because a cheap contract ran out.
    pub const fn preset(self) -> Preset {
        use Channel::{Bugfix, Feature, Major, Security};
        match self {
            Self::Basic => Preset {
                channels: &[Bugfix, Security],
                grace_days: 0,
                security_tail_days: 0,
                fallback: Fallback::Perpetual,
                bridge: Bridge::Never,
                poll_seconds: 3600,
            },
            Self::Standard => Preset {
                channels: &[Bugfix, Security, Feature],
                grace_days: 30,
                security_tail_days: 90,
                fallback: Fallback::Perpetual,
                bridge: Bridge::Never,
                poll_seconds: 1800,
            },
            Self::Premium => Preset {
                channels: &[Bugfix, Security, Feature, Major],
                grace_days: 60,
                security_tail_days: 180,
                fallback: Fallback::Perpetual,
                bridge: Bridge::Critical,
                poll_seconds: 900,
            },
            Self::Enterprise => Preset {
                channels: &[Bugfix, Security, Feature, Major],
                grace_days: 90,
                security_tail_days: 365,
                fallback: Fallback::Perpetual,
                bridge: Bridge::Critical,
                poll_seconds: 300,
            },
        }
    }
}

impl Contract {
    /// Takes over all that the tier stands for, in place of what the contract said about it.
    pub fn set_tier(&mut self, tier: Tier) {
        let preset = tier.preset();
        self.tier = Some(tier);
        self.channels = preset.channels.iter().copied().collect();
        self.grace_days = preset.grace_days;
        self.security_tail_days = preset.security_tail_days;
        self.fallback = preset.fallback;
        self.bridge = preset.bridge;
    }

    /// After how many seconds a machine of the contract is asked to check again: as its tier has
    /// it, and the longest of all tiers without one.
    pub fn poll_seconds(&self) -> u32 {
        self.tier.unwrap_or(Tier::Basic).preset().poll_seconds
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}
