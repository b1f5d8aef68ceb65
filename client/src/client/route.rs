//! By which way a release's payload is fetched: by deltas upon what is installed here, or as its artifact.
//! Pure.

use std::{collections::BTreeMap, num::NonZeroU64};

use serde::{Deserialize, Serialize};

use super::settings::Preference;
use crate::{
    format::{DeltaPath, DeltaProfile, DeltaStep, Digest, TargetFile, Version},
    pack::PayloadIdentity,
};

/// A way to a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way<'a> {
    /// These deltas, one upon another.
    Deltas(&'a DeltaPath),
    /// The artifact.
    Full,
}

/// What is to be fetched, and the ways there are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Goal<'a> {
    pub(super) deltas: &'a [DeltaPath],
    pub(super) artifact: &'a TargetFile,
    /// What was signed, as far as that is known yet.
    pub(super) payload: Option<PayloadIdentity>,
}

/// What of a machine the choice depends on.
#[derive(Clone, Debug, Default)]
pub(super) struct Situation {
    pub(super) prefer: Preference,
    pub(super) speeds: Speeds,
    /// How much the line may bring by the administrator's own wish.
    pub(super) bytes_per_second_max: Option<NonZeroU64>,
    /// How much memory is free, where that is known.
    pub(super) memory_bytes: Option<u64>,
    /// The longest payload that deltas make here.
    pub(super) payload_bytes_max: u64,
    /// The versions whose trees are here, as far as can be told without reading them.
    pub(super) installed: Vec<Version>,
    /// How many bytes of which files are in the cache.
    pub(super) here: BTreeMap<Digest, u64>,
}

/// How fast this machine and its line turned out to be, in bytes a second; absent where that was never
/// measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Speeds {
    /// At which downloads arrive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub download: Option<u64>,
    /// At which payloads are made by deltas of the profile *fast*.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fast: Option<u64>,
    /// At which payloads are made by deltas of the profile *compact*.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compact: Option<u64>,
}

impl Speeds {
    /// Made by a fast delta, in bytes a second, until it was measured here: what programs are made at,
    /// which take longest.
    const FAST: u64 = 20_000_000;
    /// Made by a compact delta: 0.3 seconds a megabyte.
    const COMPACT: u64 = 3_300_000;
    /// Read and compared with the digest that a delta is for.
    const VERIFIED: u64 = 400_000_000;
    /// Decompressed and unpacked of an artifact, which goes on while it arrives.
    const UNPACKED: u64 = 200_000_000;

    /// Takes in what was measured once more. What was measured before counts as much.
    pub(super) fn take_in(known: &mut Option<u64>, measured: u64) {
        let before = known.unwrap_or(measured);
        *known = Some((before / 2 + measured / 2).max(1));
    }

    fn of(&self, profile: DeltaProfile) -> u64 {
        match profile {
            DeltaProfile::Fast => self.fast.unwrap_or(Self::FAST),
            DeltaProfile::Compact | DeltaProfile::Other => self.compact.unwrap_or(Self::COMPACT),
        }
    }
}

/// How much memory applying a delta takes beside what is an executable's.
const MEMORY_BYTES: u64 = 64 << 20;
/// The largest executable that is rebuilt as a whole.
const EXECUTABLE_BYTES_MAX: u64 = 256 << 20;
/// How much memory an executable takes while it is rebuilt, for each of its bytes. There may be one that
/// is all of its payload.
const MEMORY_BYTES_FOR_EACH: u64 = 4;
/// How much more a compact delta takes.
const MEMORY_BYTES_COMPACT: u64 = 64 << 20;

/// The ways to be tried, the one that is expected to cost least first. The last is the artifact: what
/// costs more is not tried.
///
/// Passed over are paths of a profile that is not known here, upon a tree that is not here, to another
/// payload than the signed one, of or to something too large, and as heavy as the artifact. Among what
/// costs the same, the plan's order counts.
pub(super) fn ways<'a>(goal: &Goal<'a>, situation: &Situation) -> Vec<Way<'a>> {
    let full = situation.cost_of_artifact(goal);
    let paths = goal.deltas.iter().take(DeltaPath::PER_TARGET_MAX);
    let usable = paths.filter(|path| situation.is_usable(path, goal));
    let mut costs: Vec<_> =
        usable.map(|path| (situation.cost(path), path)).filter(|(cost, _)| *cost < full).collect();
    costs.sort_by_key(|(cost, _)| *cost);
    costs.into_iter().map(|(_, path)| Way::Deltas(path)).chain([Way::Full]).collect()
}

/// What a way is expected to cost: by what was asked for, and between two that cost the same of it, in
/// bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Cost {
    micros: u128,
    bytes: u64,
}

impl Situation {
    /// How many bytes of these deltas are still to be fetched.
    pub(super) fn left_of_path(&self, path: &DeltaPath) -> u64 {
        let left = path.steps.iter().map(|step| self.left(step.sha256, step.length));
        left.fold(0, u64::saturating_add)
    }

    /// How many bytes of the artifact are still to be fetched.
    pub(super) fn left_of_artifact(&self, artifact: &TargetFile) -> u64 {
        self.left(artifact.sha256, artifact.length)
    }

    fn left(&self, file: Digest, length: u64) -> u64 {
        length.saturating_sub(self.here.get(&file).copied().unwrap_or(0))
    }

    fn is_usable(&self, path: &DeltaPath, goal: &Goal<'_>) -> bool {
        let made = path.steps.last().map(|step| PayloadIdentity {
            length: step.payload_length,
            sha256: step.payload_sha256,
        });
        let is_known = |step: &DeltaStep| step.profile != DeltaProfile::Other;
        let is_bounded = |step: &DeltaStep| {
            step.payload_length <= self.payload_bytes_max
                && self.memory_bytes.is_none_or(|there| memory_bytes(step) <= there)
        };
        path.steps.len() <= DeltaPath::STEPS_MAX
            && made.is_some_and(|made| goal.payload.is_none_or(|signed| signed == made))
            && path.steps.iter().all(|step| is_known(step) && is_bounded(step))
            && self.left_of_path(path) < self.left_of_artifact(goal.artifact)
            && self.installed.contains(&path.from)
            // While nobody knows what bytes cost here, what costs much time is not tried.
            && (self.prefer == Preference::Bytes || self.download().is_some() || is_fast(path))
    }

    /// How many bytes a second arrive.
    fn download(&self) -> Option<u64> {
        let most = self.bytes_per_second_max.map_or(u64::MAX, NonZeroU64::get);
        self.speeds.download.map(|measured| measured.min(most))
    }

    fn cost(&self, path: &DeltaPath) -> Cost {
        let bytes = self.left_of_path(path);
        let made = |step: &DeltaStep| micros(step.payload_length, self.speeds.of(step.profile));
        let made: u128 = path.steps.iter().map(made).sum();
        // What it is made of is about as long.
        let old = path.steps.first().map_or(0, |step| step.payload_length);
        self.priced(bytes, |arrived| arrived + micros(old, Speeds::VERIFIED) + made)
    }

    fn cost_of_artifact(&self, goal: &Goal<'_>) -> Cost {
        let bytes = self.left_of_artifact(goal.artifact);
        let any = goal.deltas.first().and_then(|path| path.steps.last());
        let payload = goal.payload.map(|it| it.length).or(any.map(|step| step.payload_length));
        let unpacked = micros(payload.unwrap_or(0), Speeds::UNPACKED);
        self.priced(bytes, |arrived| arrived.max(unpacked))
    }

    fn priced(&self, bytes: u64, time: impl FnOnce(u128) -> u128) -> Cost {
        let micros = match (self.prefer, self.download()) {
            (Preference::Bytes, _) | (Preference::Time, None) => 0,
            (Preference::Time, Some(download)) => time(micros(bytes, download)),
        };
        Cost { micros, bytes }
    }
}

fn is_fast(path: &DeltaPath) -> bool {
    path.steps.iter().all(|step| step.profile == DeltaProfile::Fast)
}

fn memory_bytes(step: &DeltaStep) -> u64 {
    let executable = step.payload_length.min(EXECUTABLE_BYTES_MAX);
    let more = if step.profile == DeltaProfile::Fast { 0 } else { MEMORY_BYTES_COMPACT };
    MEMORY_BYTES + executable * MEMORY_BYTES_FOR_EACH + more
}

fn micros(bytes: u64, bytes_per_second: u64) -> u128 {
    u128::from(bytes) * 1_000_000 / u128::from(bytes_per_second.max(1))
}

#[cfg(test)]
mod tests;
