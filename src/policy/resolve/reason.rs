use std::fmt;

use mainstay_client::format::{Platform, Version};
use serde::{Deserialize, Serialize};

use crate::policy::entitlement::Code;

/// Why a machine does not get a release that its contract grants. The text form is stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum DeliveryCode {
    /// The release is retired: only machines that had it can go back to it.
    Retired,
    /// A technician has stopped the machine's updates for now.
    Held,
    /// A technician wants the machine to run another version, and no other.
    Pinned,
    /// The version is blocked on the machine.
    Blocked,
    /// The rollout has not come to the machine yet.
    RolloutWait,
    /// The release has no artifact for the machine's platform.
    Platform,
    /// The machine lacks something that the release requires.
    Requirement,
    /// The release is held back from machines like this one, on which it is known to do harm.
    Safeguard,
    /// A lower version has to be installed first, and the machine cannot get it.
    StepRequired,
    /// The contract has fewer seats than machines, and this one came too late.
    SeatsExceeded,
    /// The release is a pre-release and the machine is not in the preview ring.
    Prerelease,
    /// The machine runs a custom build, which the release would take the place of.
    CustomBuild,
}

impl DeliveryCode {
    /// All codes.
    pub const ALL: [Self; 12] = [
        Self::Retired,
        Self::Held,
        Self::Pinned,
        Self::Blocked,
        Self::RolloutWait,
        Self::Platform,
        Self::Requirement,
        Self::Safeguard,
        Self::StepRequired,
        Self::SeatsExceeded,
        Self::Prerelease,
        Self::CustomBuild,
    ];

    /// The stable text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Retired => "RETIRED",
            Self::Held => "HELD",
            Self::Pinned => "PINNED",
            Self::Blocked => "BLOCKED",
            Self::RolloutWait => "ROLLOUT_WAIT",
            Self::Platform => "PLATFORM",
            Self::Requirement => "REQUIREMENT",
            Self::Safeguard => "SAFEGUARD",
            Self::StepRequired => "STEP_REQUIRED",
            Self::SeatsExceeded => "SEATS_EXCEEDED",
            Self::Prerelease => "PRERELEASE",
            Self::CustomBuild => "CUSTOM_BUILD",
        }
    }

    /// The code as a sentence for the customer's administrator. `detail` is what the code is about: the
    /// reason of a block, hold or safeguard, the version of a pin and its reason, the platform, the
    /// requirement, the version to pass through, how many seats there are for how many machines, what a
    /// rollout waits for; it may be empty.
    pub fn sentence(self, version: &Version, detail: &str) -> String {
        let because = if detail.is_empty() { String::new() } else { format!(": {detail}") };
        match self {
            Self::Retired => format!(
                "{version} is retired: no machine is updated to it, and those that ran it can go \
                 back to it."
            ),
            Self::Held => format!("Updates of this machine are on hold{because}."),
            Self::Pinned => format!("This machine is to run {detail}. {version} is not for it."),
            Self::Blocked => format!("{version} is blocked on this machine{because}."),
            Self::RolloutWait => {
                format!(
                    "{version} is being rolled out and has not come to this machine yet{because}."
                )
            }
            Self::Platform => format!("{version} is not made for {detail}."),
            Self::Requirement => {
                format!("This machine lacks what {version} requires{because}.")
            }
            Self::Safeguard => {
                format!("{version} is held back from machines like this one{because}.")
            }
            Self::StepRequired => format!(
                "{version} can only be installed over {detail} or later, and this machine can get \
                 no such version to stop at."
            ),
            Self::SeatsExceeded => format!(
                "{version} is for machines with a seat, and this one has none: your contract has \
                 fewer seats than machines{because}."
            ),
            Self::Prerelease => {
                format!("{version} is a pre-release, only for machines in the preview ring.")
            }
            Self::CustomBuild => format!(
                "{version} would take the place of {detail}, which was built for you: ask for a \
                 custom build of it."
            ),
        }
    }
}

impl fmt::Display for DeliveryCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// Why a machine does not get a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Reason {
    /// The contract does not grant it.
    Entitlement(Code),
    /// It is granted, but cannot be delivered to the machine.
    Delivery(DeliveryCode),
}

impl Reason {
    /// The stable text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Entitlement(code) => code.as_str(),
            Self::Delivery(code) => code.as_str(),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// Why a rollback order is not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrderRefusal {
    /// The version ordered is not below what runs.
    #[error(
        "The order to go back to {ordered} is not carried out: it is not below what runs, which is \
         {}.",
        .running.as_ref().map_or_else(|| "nothing".to_owned(), Version::to_string)
    )]
    NotLower {
        /// The version ordered.
        ordered: Version,
        /// What runs.
        running: Option<Version>,
    },
    /// The version ordered is denied.
    #[error(
        "The order to go back to {ordered} is not carried out: the release is denied ({code})."
    )]
    Denied {
        /// The version ordered.
        ordered: Version,
        /// Why it is denied.
        code: Code,
    },
    /// The version ordered is below the vendor's rollback floor.
    #[error(
        "The order to go back to {ordered} is not carried out: the vendor allows no version below \
         {floor}."
    )]
    BelowFloor {
        /// The version ordered.
        ordered: Version,
        /// The lowest version allowed.
        floor: Version,
    },
    /// The version ordered is retired, and the machine has not confirmed it before.
    #[error(
        "The order to go back to {ordered} is not carried out: it is retired, and only machines that \
         ran it before can go back to it."
    )]
    Retired {
        /// The version ordered.
        ordered: Version,
    },
    /// The version ordered is not made for the machine's platform.
    #[error("The order to go back to {ordered} is not carried out: it is not made for {platform}.")]
    Platform {
        /// The version ordered.
        ordered: Version,
        /// What the machine is.
        platform: Platform,
    },
}
