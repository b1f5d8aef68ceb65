//! The port to deltas: what was tried of each, and how much they have saved.

use async_trait::async_trait;
use jiff::Timestamp;
use mainstay_client::format::ProductName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::StoreResult;
use crate::policy::delta::{DeltaPair, Tried};

/// A delta: from which release to which it leads, and how far it has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeltaRecord {
    /// From which release to which, on which platform.
    #[serde(flatten)]
    pub pair: DeltaPair,
    /// Rises by one with each change.
    pub revision: u64,
    /// What was tried of it.
    pub tried: Tried,
}

/// How often a delta was sent to its end, and what that has saved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeltaDownloads {
    /// How often.
    pub downloads: u64,
    /// By how many bytes these were fewer than those of the artifact.
    pub saved_bytes: u64,
}

impl std::ops::AddAssign for DeltaDownloads {
    fn add_assign(&mut self, other: Self) {
        self.downloads = self.downloads.saturating_add(other.downloads);
        self.saved_bytes = self.saved_bytes.saturating_add(other.saved_bytes);
    }
}

/// The port to deltas. Their bytes are blobs.
#[async_trait]
pub trait DeltaStore: Send + Sync + 'static {
    /// All deltas of a product that something is known of.
    async fn deltas_of(&self, product: &ProductName) -> StoreResult<Vec<DeltaRecord>>;

    /// Begins a delta of an existing product, or goes on claiming it: if its record is at the revision
    /// that `delta` carries, which is 0 where there is none, and is not being made, at `now`, by another
    /// than who claims it. The revision rises by one.
    async fn claim_delta(&self, delta: DeltaRecord, now: Timestamp) -> StoreResult<()>;

    /// Notes what has become of a delta, if its record is at the revision that `delta` carries. The
    /// revision rises by one.
    async fn finish_delta(&self, delta: DeltaRecord) -> StoreResult<()>;

    /// Removes the record of a delta, if it is at `revision`. What it has saved stays.
    async fn forget_delta(&self, pair: &DeltaPair, revision: u64) -> StoreResult<()>;

    /// Adds to how often deltas were sent to their ends, all or none.
    async fn count_delta_downloads(
        &self,
        downloads: Vec<(DeltaPair, DeltaDownloads)>,
    ) -> StoreResult<()>;

    /// How often each delta of a product was sent to its end, also of those that there are no more.
    async fn delta_downloads(
        &self,
        product: &ProductName,
    ) -> StoreResult<Vec<(DeltaPair, DeltaDownloads)>>;
}
