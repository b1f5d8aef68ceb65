//! What technicians want of machines.

use std::{fmt, str::FromStr};

use jiff::Timestamp;
use mainstay_client::format::{Version, schema::Instant};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Ring, instant};

/// What is wanted of a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum MachineAction {
    /// Not to be updated for a time. A rollback order is carried out all the same.
    Hold {
        /// Until when.
        #[serde(deserialize_with = "instant::read_required")]
        #[schemars(with = "Instant")]
        until: Timestamp,
    },
    /// To be updated again.
    Unhold {},
    /// To be updated to this version, and to nothing else.
    Pin {
        /// The version.
        version: Version,
    },
    /// To be updated to whatever it may have again.
    Unpin {},
    /// To be updated to this version now, and to nothing else until it has confirmed it.
    Install {
        /// The version.
        version: Version,
    },
    /// Not to be given this version.
    Block {
        /// The version.
        version: Version,
    },
    /// To get releases as early as its ring does.
    Ring {
        /// The ring.
        ring: Ring,
    },
    /// To be given this version again, which a technician has kept from it.
    Unblock {
        /// The version.
        version: Version,
    },
    /// To try a version once more that failed on it.
    Retry {
        /// The version; the one that failed last where it is absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<Version>,
    },
    /// To send a support bundle, if its administrator lets it.
    Collect {},
    /// To go back, and to be kept from what it goes back from.
    Rollback {
        /// What to.
        to: RollbackTarget,
        /// Whether advisories may open again by that.
        #[serde(default)]
        exposure: Reopening,
    },
}

/// What has become of an action for one machine once it is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completion<'a> {
    /// It is done: the server alone carries it out.
    Recorded,
    /// It is done when the machine has reported what became of its rollback order.
    OrderReported,
    /// It is done when the machine has reported that it tries the version again.
    RetryReported,
    /// It is done when the machine has sent its support bundle.
    BundleSent,
    /// It is done when the machine has confirmed this version.
    Confirmed(&'a Version),
}

/// What a machine is to go back to. Its text is the version, or `last_good`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(into = "String", try_from = "String")]
#[schemars(with = "String")]
pub enum RollbackTarget {
    /// This version.
    Version(Version),
    /// The newest version below what runs that the machine has confirmed, may go back to, and has no
    /// block on, and that is not withdrawn.
    LastGood,
}

/// Whether advisories may open again on a machine that goes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reopening {
    /// They may not: the order is refused where they would.
    #[default]
    Refused,
    /// They may: whoever orders it has been told which.
    Accepted,
}

/// The text of [`RollbackTarget::LastGood`].
const LAST_GOOD: &str = "last_good";

impl MachineAction {
    /// The verb, as the audit trail has it.
    pub const fn verb(&self) -> &'static str {
        match self {
            Self::Hold { .. } => "machine.hold",
            Self::Unhold {} => "machine.unhold",
            Self::Pin { .. } => "machine.pin",
            Self::Unpin {} => "machine.unpin",
            Self::Install { .. } => "machine.install",
            Self::Ring { .. } => "machine.ring",
            Self::Block { .. } => "machine.block",
            Self::Unblock { .. } => "machine.unblock",
            Self::Retry { .. } => "machine.retry",
            Self::Collect {} => "machine.collect",
            Self::Rollback { .. } => "machine.rollback",
        }
    }

    /// What of, to or until when; nothing where the verb says it all.
    pub fn detail(&self) -> String {
        match self {
            Self::Hold { until } => format!("until {until}"),
            Self::Pin { version }
            | Self::Install { version }
            | Self::Block { version }
            | Self::Unblock { version } => version.to_string(),
            Self::Ring { ring } => ring.as_str().to_owned(),
            Self::Rollback { to, .. } => format!("to {to}"),
            Self::Retry { version } => {
                version.as_ref().map_or_else(String::new, ToString::to_string)
            }
            Self::Unhold {} | Self::Unpin {} | Self::Collect {} => String::new(),
        }
    }

    /// What it takes until it is done.
    pub const fn completion(&self) -> Completion<'_> {
        match self {
            Self::Rollback { .. } => Completion::OrderReported,
            Self::Retry { .. } => Completion::RetryReported,
            Self::Collect {} => Completion::BundleSent,
            Self::Pin { version } | Self::Install { version } => Completion::Confirmed(version),
            Self::Hold { .. }
            | Self::Unhold {}
            | Self::Unpin {}
            | Self::Ring { .. }
            | Self::Block { .. }
            | Self::Unblock { .. } => Completion::Recorded,
        }
    }
}

/// The action as people name it.
impl fmt::Display for MachineAction {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (verb, detail) = (self.verb().trim_start_matches("machine."), self.detail());
        let space = if detail.is_empty() { "" } else { " " };
        formatter.pad(&format!("{verb}{space}{detail}"))
    }
}

impl fmt::Display for RollbackTarget {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(version) => version.fmt(formatter),
            Self::LastGood => formatter.pad(LAST_GOOD),
        }
    }
}

impl From<Version> for RollbackTarget {
    fn from(version: Version) -> Self {
        Self::Version(version)
    }
}

impl FromStr for RollbackTarget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == LAST_GOOD {
            return Ok(Self::LastGood);
        }
        let version = text.parse().map(Self::Version);
        version.map_err(|problem| format!("{problem}, or `{LAST_GOOD}`"))
    }
}

impl TryFrom<String> for RollbackTarget {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<RollbackTarget> for String {
    fn from(target: RollbackTarget) -> Self {
        target.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_written_as_a_version_or_as_last_good() {
        for (text, target) in [
            ("\"last_good\"", RollbackTarget::LastGood),
            ("\"1.2.3\"", RollbackTarget::Version("1.2.3".parse().unwrap())),
        ] {
            assert_eq!(serde_json::from_str::<RollbackTarget>(text).unwrap(), target);
            assert_eq!(serde_json::to_string(&target).unwrap(), text);
        }
        let error = serde_json::from_str::<RollbackTarget>("\"best\"").unwrap_err().to_string();
        assert!(error.contains("or `last_good`"), "{error}");
    }

    #[test]
    fn an_action_is_named_by_what_it_does() {
        let rollback = r#"{"kind":"rollback","to":"last_good"}"#;
        let rollback: MachineAction = serde_json::from_str(rollback).unwrap();
        assert_eq!(rollback.to_string(), "rollback to last_good");
        let refused = Reopening::Refused;
        let expected = MachineAction::Rollback { to: RollbackTarget::LastGood, exposure: refused };
        assert_eq!(rollback, expected);
        assert_eq!(MachineAction::Unpin {}.to_string(), "unpin");
    }
}
