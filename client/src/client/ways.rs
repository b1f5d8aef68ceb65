//! The ways by which a release can come here, and what is known of them before one is tried.

use super::{
    Check, Client,
    route::{self, Goal, Situation, Way},
    update::Wanted,
};
use crate::{
    format::{DeltaPath, Digest, TargetFile, Version, wire::FetchedBy},
    pack::PayloadIdentity,
};

/// By which way a release is expected to come here, before that is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpectedWay {
    /// By what.
    pub by: FetchedBy,
    /// How many bytes the deltas or the artifact have.
    pub bytes: u64,
    /// How many bytes the artifact has.
    pub artifact_bytes: u64,
}

impl ExpectedWay {
    pub(super) fn of(way: Way<'_>, artifact: &TargetFile) -> Self {
        let (by, bytes) = match way {
            Way::Deltas(path) => (FetchedBy::Delta, path.download_bytes()),
            Way::Full => (FetchedBy::Full, artifact.length),
        };
        Self { by, bytes, artifact_bytes: artifact.length }
    }
}

impl Client {
    /// By which way what `check` wants installed is expected to come here; nothing where there is nothing
    /// to be installed, or its tree is here. Nothing is fetched to find out.
    pub fn expected_way(&self, check: &Check) -> Option<ExpectedWay> {
        let target = check.action.target()?;
        if self.installation.has_tree(&target.version) {
            return None;
        }
        let artifact = &target.artifact;
        let goal = Goal { deltas: known(&target.deltas), artifact, payload: None };
        let ways = route::ways(&goal, &self.situation(&goal));
        ways.first().map(|way| ExpectedWay::of(*way, artifact))
    }

    /// The ways to what is wanted, in the order in which they are tried.
    pub(super) fn ways<'a>(&self, wanted: &'a Wanted) -> Vec<Way<'a>> {
        let payload = Some(PayloadIdentity::from(&wanted.artifact));
        let goal = Goal { deltas: &wanted.deltas, artifact: &wanted.file, payload };
        route::ways(&goal, &self.situation(&goal))
    }

    /// Whether nothing is to be fetched any more for `version`. In the cache only bytes of the announced
    /// digest ever bear it as their name.
    pub(super) fn is_at_hand(
        &self,
        version: &Version,
        deltas: &[DeltaPath],
        artifact: &TargetFile,
    ) -> bool {
        let cache = self.installation.layout().cache();
        let is_whole = |digest: Digest, length: u64| {
            let file = cache.join(digest.to_string()).metadata();
            file.is_ok_and(|file| file.len() == length)
        };
        let goal = Goal { deltas: known(deltas), artifact, payload: None };
        self.installation.has_tree(version)
            || is_whole(artifact.sha256, artifact.length)
            || match route::ways(&goal, &self.situation(&goal)).first() {
                Some(Way::Deltas(path)) => {
                    path.steps.iter().all(|step| is_whole(step.sha256, step.length))
                }
                Some(Way::Full) | None => false,
            }
    }

    /// How many bytes are written into the cache for a way to what is wanted, at the most.
    pub(super) fn cache_bytes(&self, wanted: &Wanted, way: Way<'_>) -> u64 {
        let goal = Goal { deltas: &wanted.deltas, artifact: &wanted.file, payload: None };
        let situation = self.situation(&goal);
        match way {
            Way::Full => situation.left_of_artifact(&wanted.file),
            Way::Deltas(path) => {
                // What all but the last delta make is a file meanwhile.
                let between = path.steps.iter().rev().skip(1).map(|step| step.payload_length);
                between.fold(situation.left_of_path(path), u64::saturating_add)
            }
        }
    }

    fn situation(&self, goal: &Goal<'_>) -> Situation {
        let record = self.installation.record();
        let trees = record.trees.iter().map(|tree| &tree.version);
        let installed = trees.filter(|version| self.installation.has_tree(version));
        let cache = self.installation.layout().cache();
        let here = |digest: Digest| {
            let file = cache.join(digest.to_string());
            let files = [file.with_added_extension("part"), file];
            let lengths = files.iter().filter_map(|file| file.metadata().ok()).map(|it| it.len());
            lengths.max().map(|length| (digest, length))
        };
        let paths = goal.deltas.iter().take(DeltaPath::PER_TARGET_MAX);
        let steps = paths.flat_map(|path| path.steps.iter().take(DeltaPath::STEPS_MAX));
        let files = steps.map(|step| step.sha256).chain([goal.artifact.sha256]);
        Situation {
            prefer: self.enrolment.download.prefer,
            speeds: self.speeds.get(),
            bytes_per_second_max: self.enrolment.network.bytes_per_second_max,
            memory_bytes: memory_bytes(),
            payload_bytes_max: self.installation.payload_bytes_max(),
            installed: installed.cloned().collect(),
            here: files.filter_map(here).collect(),
        }
    }
}

/// The paths of `deltas` that this program could take at all, of which there are few.
pub(super) fn known(deltas: &[DeltaPath]) -> &[DeltaPath] {
    let count = if cfg!(feature = "delta") { DeltaPath::PER_TARGET_MAX } else { 0 };
    deltas.get(..count.min(deltas.len())).unwrap_or_default()
}

/// How much memory the system could give without taking it from others, where it tells.
fn memory_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes = line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?;
    Some(kibibytes.saturating_mul(1024))
}
