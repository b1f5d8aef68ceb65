use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Channel, ChannelName, CustomerName, Digest, MachineName, ProductName, TargetPath, Version,
};

pub use delta::{DeltaPath, DeltaProfile, DeltaStep};

/// The format number that this program writes and reads in a plan.
pub const PLAN_FORMAT: u32 = 1;

/// The signed instruction for one machine and product.
///
/// It is bound to machine, customer and product even when it says that there is nothing to do, so
/// that no other machine's plan and no older plan can stand in for it (Uptane's director).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Always `plan`: no other signed document can be taken for one.
    #[serde(rename = "_type")]
    pub kind: String,
    /// [`PLAN_FORMAT`].
    pub format: u32,
    /// Rises by one with every plan signed for the machine.
    pub version: u64,
    /// Whose release it is about.
    pub product: ProductName,
    /// Whose machine it is for.
    pub customer: CustomerName,
    /// The machine that it is for.
    pub machine: MachineName,
    /// When it was signed.
    pub issued: Timestamp,
    /// From when on no machine may act on it.
    pub expires: Timestamp,
    /// What the machine is to do.
    pub action: Action,
    /// Releases above what runs that the machine does not get, the nearest first.
    pub withheld: Vec<Withheld>,
    /// What the machine's owner ought to know.
    pub notices: Vec<Notice>,
    /// A version that failed on the machine and is to be tried once more. An agent that does not know of
    /// it passes it over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryOrder>,
    /// A support bundle that is asked of the machine. An agent that does not know of it passes it over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collect: Option<CollectOrder>,
    /// After how many seconds the machine is asked to check again.
    pub poll_seconds: u32,
}

impl Plan {
    /// What [`Plan::kind`] always says.
    pub const KIND: &'static str = "plan";
}

/// What a machine is to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Action {
    /// Nothing: what runs is what should run.
    Stay,
    /// Install a higher version, or the first one.
    Update {
        /// The release to install.
        target: PlanTarget,
    },
    /// Go back to a lower version.
    Rollback {
        /// The release to go back to.
        target: PlanTarget,
        /// Who wanted it, and why.
        order: RollbackOrder,
    },
}

impl Action {
    /// The release that the machine is to install, if any.
    pub fn target(&self) -> Option<&PlanTarget> {
        match self {
            Self::Stay => None,
            Self::Update { target } | Self::Rollback { target, .. } => Some(target),
        }
    }
}

/// One release for one platform, by paths and digests that the product's repository must confirm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanTarget {
    /// The version.
    pub version: Version,
    /// The targets role that lists it.
    pub channel: ChannelName,
    /// The release manifest.
    pub manifest: TargetFile,
    /// The artifact.
    pub artifact: TargetFile,
    /// Ways to its payload that weigh less than the artifact, the lightest first. An agent that does not
    /// know of them passes them over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deltas: Vec<DeltaPath>,
}

/// A target by path, length and digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TargetFile {
    /// Where the repository lists it.
    pub path: TargetPath,
    /// Its length in bytes.
    pub length: u64,
    /// Its digest.
    pub sha256: Digest,
}

/// A technician's order to go back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RollbackOrder {
    /// The order's number on the server; a machine carries out each order once.
    pub number: u64,
    /// Why.
    pub reason: String,
    /// The ticket that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
}

/// A technician's order to try a version once more that failed on the machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryOrder {
    /// The order's number on the server, where rollbacks, retries and collections are numbered
    /// together; a machine carries out each order once.
    pub number: u64,
    /// The version.
    pub version: Version,
    /// Why.
    pub reason: String,
    /// The ticket that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
}

/// A technician's request for a support bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CollectOrder {
    /// The order's number on the server, as of [`RetryOrder`].
    pub number: u64,
    /// Why.
    pub reason: String,
    /// The ticket that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
    /// From when on nothing is sent any more.
    pub expires: Timestamp,
}

/// A release that a machine does not get, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withheld {
    /// The version.
    pub version: Version,
    /// Its channel.
    pub channel: Channel,
    /// The stable reason code.
    pub code: String,
    /// The reason in a sentence.
    pub message: String,
    /// A release that the machine would get instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alternative: Option<Version>,
}

/// Something that the machine's owner ought to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Notice {
    /// The stable code.
    pub code: String,
    /// The notice in a sentence.
    pub message: String,
}

mod delta;
#[cfg(test)]
mod tests;
