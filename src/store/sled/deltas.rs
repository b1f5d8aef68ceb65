//! Deltas: the port to them, and its transactions.

use async_trait::async_trait;
use jiff::Timestamp;
use mainstay_client::format::ProductName;

use super::{
    super::{DeltaDownloads, DeltaRecord, DeltaStore, StoreError, StoreResult},
    SledStore,
    tables::{DELTA_DOWNLOADS, DELTAS, PRODUCTS},
    transaction::Transaction,
};
use crate::policy::delta::{DeltaPair, DeltaState};

#[async_trait]
impl DeltaStore for SledStore {
    async fn deltas_of(&self, product: &ProductName) -> StoreResult<Vec<DeltaRecord>> {
        DELTAS.beginning_with(&self.database, product).collect()
    }

    async fn claim_delta(&self, delta: DeltaRecord, now: Timestamp) -> StoreResult<()> {
        self.write(move |transaction| claim(transaction, &delta, now)).await
    }

    async fn finish_delta(&self, delta: DeltaRecord) -> StoreResult<()> {
        self.write(move |transaction| {
            at_revision(transaction, &delta.pair, delta.revision)?;
            put(transaction, &delta)
        })
        .await
    }

    async fn forget_delta(&self, pair: &DeltaPair, revision: u64) -> StoreResult<()> {
        let pair = pair.clone();
        self.write(move |transaction| {
            at_revision(transaction, &pair, revision)?;
            DELTAS.remove(transaction, &pair)?;
            Ok(())
        })
        .await
    }

    async fn count_delta_downloads(
        &self,
        downloads: Vec<(DeltaPair, DeltaDownloads)>,
    ) -> StoreResult<()> {
        self.write_aside(move |transaction| {
            downloads.iter().try_for_each(|(pair, more)| count(transaction, pair, *more))
        })
        .await
    }

    async fn delta_downloads(
        &self,
        product: &ProductName,
    ) -> StoreResult<Vec<(DeltaPair, DeltaDownloads)>> {
        DELTA_DOWNLOADS.beginning_with(&self.database, product).collect()
    }
}

fn claim(transaction: &Transaction, delta: &DeltaRecord, now: Timestamp) -> StoreResult<()> {
    PRODUCTS.read(transaction, &delta.pair.product)?;
    let stored = at_revision(transaction, &delta.pair, delta.revision)?;
    let claimant = |delta: &DeltaRecord| match &delta.tried.state {
        DeltaState::Making { by, until } => Some((by.clone(), *until)),
        _ => None,
    };
    let other = stored.as_ref().and_then(claimant).filter(|(by, until)| {
        *until > now && claimant(delta).is_none_or(|(claims, _)| claims != *by)
    });
    if let Some((by, until)) = other {
        let shown = DELTAS.shown(&delta.pair);
        let message = format!("{shown} is being made by {by}, until {until} or longer");
        return Err(StoreError::Conflict(message));
    }
    put(transaction, delta)
}

/// The record of a delta, which must be at `revision`; 0 stands for none.
fn at_revision(
    transaction: &Transaction,
    pair: &DeltaPair,
    revision: u64,
) -> StoreResult<Option<DeltaRecord>> {
    let stored = DELTAS.find(transaction, pair)?;
    let found = stored.as_ref().map_or(0, |stored| stored.revision);
    if found == revision {
        return Ok(stored);
    }
    Err(StoreError::Conflict(format!(
        "{} is at revision {found}: expected {revision}; look at it again and retry",
        DELTAS.shown(pair)
    )))
}

fn put(transaction: &Transaction, delta: &DeltaRecord) -> StoreResult<()> {
    let delta = DeltaRecord { revision: delta.revision + 1, ..delta.clone() };
    DELTAS.put(transaction, &delta.pair, &delta)
}

fn count(transaction: &Transaction, pair: &DeltaPair, more: DeltaDownloads) -> StoreResult<()> {
    let (_, mut sum) = DELTA_DOWNLOADS
        .find(transaction, pair)?
        .unwrap_or((pair.clone(), DeltaDownloads::default()));
    sum += more;
    DELTA_DOWNLOADS.put(transaction, pair, &(pair.clone(), sum))
}
