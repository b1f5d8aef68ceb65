use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use mainstay_client::format::Channel;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Bridge, Contract, Fallback, PatchDays};

/// A named preset of a contract.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    /// The kinds of release covered.
    pub channels: BTreeSet<Channel>,
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
    /// Within how many days machines are to have a fix.
    #[serde(default)]
    pub patch_days: PatchDays,
}

impl Preset {
    /// The least that a machine may be asked to wait between checks, in seconds.
    pub const POLL_SECONDS_MIN: u32 = 60;
    /// The most, in seconds: a day.
    pub const POLL_SECONDS_MAX: u32 = 86_400;

    /// Everything that is wrong with the preset.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.channels.is_empty() {
            problems.push("channels is empty: expected at least one".to_owned());
        }
        let days =
            [("grace_days", self.grace_days), ("security_tail_days", self.security_tail_days)];
        for (name, days) in days.into_iter().filter(|(_, days)| *days > Contract::DAYS_MAX) {
            problems.push(format!("{name} is {days}: expected at most {}", Contract::DAYS_MAX));
        }
        problems.extend(self.patch_days.problems());
        let polls = Self::POLL_SECONDS_MIN..=Self::POLL_SECONDS_MAX;
        if !polls.contains(&self.poll_seconds) {
            problems.push(format!(
                "poll_seconds is {}: expected {} to {}",
                self.poll_seconds,
                polls.start(),
                polls.end()
            ));
        }
        problems
    }
}

/// What each tier stands for on one server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tiers(BTreeMap<Tier, Preset>);

impl Default for Tiers {
    fn default() -> Self {
        Self(Tier::ALL.into_iter().map(|tier| (tier, tier.preset())).collect())
    }
}

impl Tiers {
    /// The same with `tier` standing for `preset`.
    #[must_use]
    pub fn with(mut self, tier: Tier, preset: Preset) -> Self {
        self.0.insert(tier, preset);
        self
    }

    /// What `tier` stands for.
    pub fn preset(&self, tier: Tier) -> Preset {
        self.0.get(&tier).cloned().unwrap_or_else(|| tier.preset())
    }

    /// In what `contract` is other than its tier. An `enterprise` contract may be, and so may one
    /// without a tier; the channels of any can be amended one by one.
    pub fn deviations(&self, contract: &Contract) -> Vec<String> {
        let Some(tier) = contract.tier.filter(|tier| *tier != Tier::Enterprise) else {
            return Vec::new();
        };
        let of_tier = self.preset(tier);
        let conditions = [
            ("grace_days", json!(contract.grace_days), json!(of_tier.grace_days)),
            (
                "security_tail_days",
                json!(contract.security_tail_days),
                json!(of_tier.security_tail_days),
            ),
            ("fallback", json!(contract.fallback), json!(of_tier.fallback)),
            ("bridge", json!(contract.bridge), json!(of_tier.bridge)),
        ];
        let differing = conditions.into_iter().filter(|(_, found, expected)| found != expected);
        let sentence = |(name, found, expected)| {
            format!(
                "{name} is {found}, and the tier {tier} stands for {expected}: expected {expected}, \
                 or the tier enterprise or none, whose conditions are agreed one by one"
            )
        };
        differing.map(sentence).collect()
    }

    /// Within how many days machines of a contract of `tier` are to have a fix: as the least tier has it
    /// where there is none.
    pub fn patch_days(&self, tier: Option<Tier>) -> PatchDays {
        self.preset(tier.unwrap_or(Tier::Basic)).patch_days
    }

    /// After how many seconds a machine of `contract` is asked to check again: as its tier has it,
    /// and as the least tier has it where there is none, or no contract yet.
    pub fn poll_seconds(&self, contract: Option<&Contract>) -> u32 {
        self.preset(contract.and_then(|contract| contract.tier).unwrap_or(Tier::Basic)).poll_seconds
    }
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

    /// What the tier stands for where the operator has said nothing else.
    ///
    /// All tiers keep what was paid for: a program must not stop being repairable to what its owner
    /// once had because a cheap contract ran out.
    pub fn preset(self) -> Preset {
        use Channel::{Bugfix, Feature, Major, Security};
        match self {
            Self::Basic => Preset {
                channels: BTreeSet::from([Bugfix, Security]),
                grace_days: 0,
                security_tail_days: 0,
                fallback: Fallback::Perpetual,
                bridge: Bridge::Never,
                poll_seconds: 3600,
                patch_days: PatchDays { critical: Some(30), major: Some(90), minor: None },
            },
            Self::Standard => Preset {
                channels: BTreeSet::from([Bugfix, Security, Feature]),
                grace_days: 30,
                security_tail_days: 90,
                fallback: Fallback::Perpetual,
                bridge: Bridge::Never,
                poll_seconds: 1800,
                patch_days: PatchDays { critical: Some(14), major: Some(60), minor: Some(180) },
            },
            Self::Premium => Preset {
                channels: BTreeSet::from([Bugfix, Security, Feature, Major]),
                grace_days: 60,
                security_tail_days: 180,
                fallback: Fallback::Perpetual,
                bridge: Bridge::Critical,
                poll_seconds: 900,
                patch_days: PatchDays { critical: Some(7), major: Some(30), minor: Some(90) },
            },
            Self::Enterprise => Preset {
                channels: BTreeSet::from([Bugfix, Security, Feature, Major]),
                grace_days: 90,
                security_tail_days: 365,
                fallback: Fallback::Perpetual,
                bridge: Bridge::Critical,
                poll_seconds: 300,
                patch_days: PatchDays { critical: Some(3), major: Some(14), minor: Some(60) },
            },
        }
    }
}

impl Contract {
    /// Takes over all that `tier` stands for, in place of what the contract said about it.
    pub fn set_tier(&mut self, tier: Tier, preset: Preset) {
        let Preset { channels, grace_days, security_tail_days, fallback, bridge, .. } = preset;
        self.tier = Some(tier);
        self.channels = channels;
        self.grace_days = grace_days;
        self.security_tail_days = security_tail_days;
        self.fallback = fallback;
        self.bridge = bridge;
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}
