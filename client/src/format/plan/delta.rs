use serde::{Deserialize, Serialize};

use crate::format::{Digest, Version};

/// A way to a target's payload: deltas that are applied one after another, which may weigh less than the
/// artifact.
///
/// What it makes is held to the payload that the release manifest signs, so it need not be trusted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeltaPath {
    /// The version whose payload the first delta is applied to.
    pub from: Version,
    /// The deltas in their order: at least one, at most [`DeltaPath::STEPS_MAX`].
    pub steps: Vec<DeltaStep>,
}

impl DeltaPath {
    /// The most paths that a plan names for its target; a machine looks at no more.
    pub const PER_TARGET_MAX: usize = 8;
    /// The most deltas of a path.
    pub const STEPS_MAX: usize = 4;

    /// How many bytes are fetched for it.
    pub fn download_bytes(&self) -> u64 {
        self.steps.iter().fold(0, |sum, step| sum.saturating_add(step.length))
    }
}

/// One delta, and the payload that it makes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeltaStep {
    /// How the delta is packed, which says what applying it costs.
    pub profile: DeltaProfile,
    /// The delta's length in bytes.
    pub length: u64,
    /// The delta's digest, by which it is fetched.
    pub sha256: Digest,
    /// The length in bytes of the payload that it makes.
    pub payload_length: u64,
    /// The digest of the payload that it makes: of the last step, the payload of the target.
    pub payload_sha256: Digest,
}

/// How a delta is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeltaProfile {
    /// With zstd or LZMA: applied at the speed of a decompression.
    Fast,
    /// By mixing contexts: the fewest bytes, for up to 0.3 CPU seconds a megabyte of payload.
    Compact,
    /// In a way that this program does not know. A path with such a step is passed over.
    #[serde(other)]
    Other,
}
