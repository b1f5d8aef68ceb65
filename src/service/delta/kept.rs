use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use mainstay_client::format::{DeltaPath, DeltaStep, Digest, Platform, ProductName, Version};
use prometheus_client::metrics::counter::Counter;

use super::super::{
    ErrorClass, Service, ServiceError, ServiceResult,
    repository::{ServedFile, ServedKind},
    standing::ProductStanding,
};
use crate::{
    policy::delta::{
        DeltaPair, DeltaState,
        path::{Edge, Edges, Way, ways},
    },
    store::{DeltaDownloads, DeltaRecord, MachineRecord, ReleaseRecord},
};

/// The deltas that are kept. A check finds them here and reads nothing.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::service) struct Kept {
    edges: BTreeMap<ProductName, BTreeMap<Platform, Edges>>,
    /// By what they are asked for. Payloads that are alike make deltas that are alike.
    named: HashMap<Digest, Vec<Named>>,
    bytes: u64,
}

/// A delta, as it is asked for.
#[derive(Debug, PartialEq, Eq)]
struct Named {
    pair: DeltaPair,
    length: u64,
    shorter_by: u64,
}

impl Kept {
    pub(super) fn of<'a>(records: impl Iterator<Item = &'a DeltaRecord>) -> Self {
        let mut kept = Self::default();
        for DeltaRecord { pair, tried, .. } in records {
            let DeltaState::Kept { length, sha256, shorter_by } = tried.state else { continue };
            let DeltaPair { product, platform, from, to, profile } = pair.clone();
            let platforms = kept.edges.entry(product).or_default();
            let edge = Edge { from, to, profile, length, sha256 };
            platforms.entry(platform).or_default().add(edge);
            let named = Named { pair: pair.clone(), length, shorter_by };
            kept.named.entry(sha256).or_default().push(named);
            kept.bytes = kept.bytes.saturating_add(length);
        }
        kept
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.edges.values().flat_map(BTreeMap::values).map(Edges::count).sum()
    }

    /// How many bytes they have together.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    fn edges(&self, product: &ProductName, platform: &Platform) -> Option<&Edges> {
        self.edges.get(product)?.get(platform)
    }

    /// Those of a product with these bytes.
    fn named<'a>(
        &'a self,
        product: &'a ProductName,
        sha256: &Digest,
    ) -> impl Iterator<Item = &'a Named> {
        let named = self.named.get(sha256).into_iter().flatten();
        named.filter(move |named| named.pair.product == *product)
    }
}

impl Service {
    /// The ways to a release for a machine, as its plan names them.
    pub(in crate::service) fn delta_paths(
        &self,
        standing: &ProductStanding,
        machine: &MachineRecord,
        release: &ReleaseRecord,
    ) -> Vec<DeltaPath> {
        let (kept, to) = (self.deltas.kept(), &release.release.version);
        let Some(edges) = kept.edges(&machine.product, &machine.platform) else {
            return Vec::new();
        };
        let artifact = release.artifacts.get(&machine.platform);
        let (Some(from), Some(artifact)) = (&machine.running, artifact) else { return Vec::new() };
        let may_have = |version: &Version| standing.grants(version, &machine.confirmed);
        // What a machine says that it runs is its own word, and a delta discloses what it is applied to.
        if !(had(machine, from) || may_have(from)) {
            return Vec::new();
        }
        let found = ways(edges, (from, to), artifact.length, may_have).into_iter();
        found.filter_map(|way| named(standing, &machine.platform, from, &way)).collect()
    }

    /// The delta that a machine asks for, if it may have both releases: it discloses the one that it is
    /// applied to as well as the one that it makes.
    pub(in crate::service) fn machine_delta(
        &self,
        standing: &ProductStanding,
        machine: &MachineRecord,
        digest: &str,
    ) -> ServiceResult<ServedFile> {
        let sha256 = parse(digest)?;
        let kept = self.deltas.kept();
        let mut refusal = no_such_delta(digest);
        for named in kept.named(&standing.product().name, &sha256) {
            let DeltaPair { from, to, .. } = &named.pair;
            let granted = |version| standing.require_grant(version, &machine.confirmed);
            let known = || if had(machine, from) { Ok(()) } else { granted(from) };
            match granted(to).and_then(|()| known()) {
                Ok(()) => return Ok(served(sha256, named.length)),
                // That there is something of the release is no more to be learnt than the release.
                Err(error) if error.class() == ErrorClass::NotFound => {}
                Err(error) => refusal = error,
            }
        }
        Err(refusal)
    }

    /// The delta that a member of the vendor's staff asks for.
    pub(in crate::service) fn staff_delta(
        &self,
        product: &ProductName,
        digest: &str,
    ) -> ServiceResult<ServedFile> {
        let sha256 = parse(digest)?;
        let kept = self.deltas.kept();
        let found = kept.named(product, &sha256).next();
        found.map(|named| served(sha256, named.length)).ok_or_else(|| no_such_delta(digest))
    }

    /// What is to be told of a file when it has been sent to its end; nothing unless it is a delta.
    pub fn delta_download(&self, file: &ServedFile) -> Option<DeltaDownload> {
        if file.kind != ServedKind::Delta {
            return None;
        }
        let kept = self.deltas.kept();
        let Named { pair, shorter_by, .. } = kept.named.get(&file.sha256)?.first()?;
        Some(DeltaDownload {
            pair: pair.clone(),
            saved_bytes: *shorter_by,
            downloads: Arc::clone(&self.deltas.downloads),
            counters: self.measures.delta_downloads(),
        })
    }

    /// Writes down what was sent since that was done last. A server that is killed forgets it.
    pub(super) async fn save_delta_downloads(&self) -> ServiceResult<()> {
        let sent = std::mem::take(&mut *self.deltas.downloads.lock());
        if sent.is_empty() {
            return Ok(());
        }
        let sums = sent.iter().map(|(pair, sum)| (pair.clone(), *sum)).collect();
        let saved = self.meta.count_delta_downloads(sums).await;
        if saved.is_err() {
            let mut counted = self.deltas.downloads.lock();
            for (pair, sum) in sent {
                *counted.entry(pair).or_default() += sum;
            }
        }
        Ok(saved?)
    }
}

/// Whether a machine was given a release before, which may have been withdrawn since: then there is nothing in
/// it that it does not know.
fn had(machine: &MachineRecord, version: &Version) -> bool {
    machine.offered.contains(version) || machine.confirmed.contains(version)
}

/// A way as a plan names it; nothing where the vendor has withdrawn from a release on it what it needs.
fn named(
    standing: &ProductStanding,
    platform: &Platform,
    from: &Version,
    way: &Way<'_>,
) -> Option<DeltaPath> {
    let step = |edge: &&Edge| {
        let made = standing.release(&edge.to)?.artifacts.get(platform)?;
        Some(DeltaStep {
            profile: edge.profile,
            length: edge.length,
            sha256: edge.sha256,
            payload_length: made.payload_length,
            payload_sha256: made.payload_sha256,
        })
    };
    let steps = way.edges.iter().map(step).collect::<Option<Vec<_>>>()?;
    Some(DeltaPath { from: from.clone(), steps })
}

fn served(sha256: Digest, length: u64) -> ServedFile {
    ServedFile { sha256, length, kind: ServedKind::Delta }
}

fn parse(digest: &str) -> ServiceResult<Digest> {
    digest.parse().map_err(|_| no_such_delta(digest))
}

fn no_such_delta(digest: &str) -> ServiceError {
    let shown: String = digest.chars().take(100).collect();
    let message = format!("the repository has no delta `{}`", shown.escape_debug());
    ServiceError::new(ErrorClass::NotFound, "NOT_FOUND", message)
}

/// What was sent and is not written down yet.
#[derive(Debug, Default)]
pub(super) struct Downloads(Mutex<BTreeMap<DeltaPair, DeltaDownloads>>);

impl Downloads {
    pub(super) fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<DeltaPair, DeltaDownloads>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A delta that is being sent.
#[derive(Debug)]
pub struct DeltaDownload {
    pair: DeltaPair,
    saved_bytes: u64,
    downloads: Arc<Downloads>,
    counters: [Counter; 2],
}

impl DeltaDownload {
    /// Notes that it was sent to its end.
    pub fn ended(self) {
        let Self { pair, saved_bytes, downloads, counters: [count, saved] } = self;
        *downloads.lock().entry(pair).or_default() += DeltaDownloads { downloads: 1, saved_bytes };
        count.inc();
        saved.inc_by(saved_bytes);
    }
}
