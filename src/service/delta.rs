//! Deltas: made in the background for what machines run, named in plans, given out, and counted.
//!
//! | module | what is there |
//! |---|---|
//! | `demand` | how many machines want which delta |
//! | `making` | one delta, from the claim to the blob |
//! | `kept` | what is kept, in memory, where checks and downloads find it |
//! | `view` | what operators see |
//!
//! What is done, and in which order, [`crate::policy::delta`] decides.

mod demand;
mod kept;
mod making;
mod view;

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use mainstay_client::format::Digest;

use super::{Service, ServiceResult};
use crate::{
    clock::Stopwatch,
    policy::delta::{self, DeltaPair, DeltaRules, DeltaState, TRIES_MAX, Tried, Wanted, Work},
    store::{DeltaRecord, Reach, StoreError},
};
pub use kept::DeltaDownload;
pub(super) use kept::Kept;
pub use view::{DeltaPage, DeltaStage, DeltaView, ReleaseSavings};

use kept::Downloads;

/// The shortest time from one look at what machines run to the next, unless something is published.
const LOOK_INTERVAL: Duration = Duration::from_secs(15);
/// How many times as long as a look takes it is until the next.
const LOOK_PAUSE: u32 = 50;

/// What a server does about deltas.
pub(super) struct Deltas {
    rules: DeltaRules,
    /// By what name this server claims what it makes.
    holder: String,
    kept: RwLock<Arc<Kept>>,
    demand: Mutex<Arc<Demand>>,
    /// Whether what machines want is to be looked at, however short ago that was done.
    is_look_due: AtomicBool,
    wake: tokio::sync::Notify,
    is_stopping: Arc<AtomicBool>,
    downloads: Arc<Downloads>,
}

/// Which *fast* deltas machines want, as it was seen last.
#[derive(Default)]
struct Demand {
    looked: Option<Look>,
    wanted: BTreeMap<DeltaPair, Wanted>,
}

struct Look {
    at: Timestamp,
    since: Stopwatch,
    took: Duration,
}

/// What came of a step of the work on deltas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeltaTurn {
    /// One was made, or tried; there may be more to do.
    Done,
    /// There is nothing to do now.
    Idle,
    /// The server stops.
    Stopping,
}

impl Deltas {
    pub(super) fn new(rules: DeltaRules, holder: String) -> Self {
        Self {
            rules,
            holder,
            kept: RwLock::default(),
            demand: Mutex::default(),
            is_look_due: AtomicBool::new(true),
            wake: tokio::sync::Notify::new(),
            is_stopping: Arc::default(),
            downloads: Arc::default(),
        }
    }

    /// What is kept now.
    pub(super) fn kept(&self) -> Arc<Kept> {
        Arc::clone(&self.kept.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Has the work on deltas look at what machines want at once.
    pub(super) fn look_anew(&self) {
        self.is_look_due.store(true, Ordering::Relaxed);
        self.wake.notify_one();
    }

    fn demand(&self) -> Arc<Demand> {
        Arc::clone(&self.demand.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed)
    }
}

impl Service {
    /// Has the work on deltas come to its end soon: the one that is being made is given up, and made by
    /// whoever comes next.
    pub fn stop_deltas(&self) {
        self.deltas.is_stopping.store(true, Ordering::Relaxed);
        self.deltas.wake.notify_one();
    }

    /// Comes when there may be something to do for deltas.
    pub async fn delta_to_make(&self) {
        self.deltas.wake.notified().await;
    }

    /// Looks which deltas are kept, so that checks and downloads find them.
    pub async fn load_deltas(&self) -> ServiceResult<()> {
        self.delta_records().await.map(drop)
    }

    /// Takes back what this server was making when it ended, and forgets what is kept and is not there.
    pub async fn take_back_deltas(&self) -> ServiceResult<()> {
        for (pair, record) in self.delta_records().await? {
            match &record.tried.state {
                DeltaState::Making { by, .. } if *by == self.deltas.holder => {
                    let reason = "the server ended while it was being made".to_owned();
                    self.put_off(record, reason, self.clock.now()).await?;
                }
                DeltaState::Kept { sha256, .. } => {
                    if let Err(StoreError::NotFound(_)) = self.blobs.length(sha256).await {
                        tracing::warn!(delta = %pair, "a delta is gone, and is made again");
                        unless_overtaken(self.meta.forget_delta(&pair, record.revision).await)?;
                    }
                }
                _ => {}
            }
        }
        self.load_deltas().await
    }

    /// Does what there is to do for deltas, up to making one.
    pub async fn work_on_deltas(&self) -> ServiceResult<DeltaTurn> {
        self.save_delta_downloads().await?;
        if self.deltas.is_stopping() {
            return Ok(DeltaTurn::Stopping);
        }
        let records = self.delta_records().await?;
        let demand = self.demand().await?;
        let now = self.clock.now();
        let tried: BTreeMap<_, Tried> =
            records.iter().map(|(pair, record)| (pair.clone(), record.tried.clone())).collect();
        let wanted = delta::with_compact(demand.wanted.clone(), &tried);
        let work = delta::work(&wanted, &tried, &self.deltas.rules, now);
        self.clear_away(&work, &records).await?;
        let Some(pair) = work.make.first() else { return Ok(DeltaTurn::Idle) };
        let Some(wanted) = wanted.get(pair) else { return Ok(DeltaTurn::Idle) };
        self.make_delta(pair, wanted, records.get(pair)).await?;
        self.load_deltas().await?;
        self.save_delta_downloads().await?;
        Ok(if self.deltas.is_stopping() { DeltaTurn::Stopping } else { DeltaTurn::Done })
    }

    /// What is known of all deltas. What is kept of them checks and downloads find from now on.
    async fn delta_records(&self) -> ServiceResult<BTreeMap<DeltaPair, DeltaRecord>> {
        let mut records = BTreeMap::new();
        for product in self.meta.products().await? {
            let of_product = self.meta.deltas_of(&product.name).await?;
            records.extend(of_product.into_iter().map(|record| (record.pair.clone(), record)));
        }
        self.find_kept(records.values());
        Ok(records)
    }

    fn find_kept<'a>(&self, records: impl Iterator<Item = &'a DeltaRecord>) {
        let kept = Kept::of(records);
        self.measures.deltas_kept(kept.count(), kept.bytes());
        let mut found = self.deltas.kept.write().unwrap_or_else(PoisonError::into_inner);
        if **found != kept {
            *found = Arc::new(kept);
            // Plans name them.
            self.meta.changes().note(&Reach::Everything);
        }
    }

    /// Removes, gives up and forgets.
    async fn clear_away(
        &self,
        work: &Work,
        records: &BTreeMap<DeltaPair, DeltaRecord>,
    ) -> ServiceResult<()> {
        let find = |pairs: &[DeltaPair]| -> Vec<DeltaRecord> {
            pairs.iter().filter_map(|pair| records.get(pair).cloned()).collect()
        };
        // No plan is to name what is about to go.
        if !work.drop.is_empty() {
            self.find_kept(records.values().filter(|record| !work.drop.contains(&record.pair)));
        }
        let stays = |sha256: Digest| {
            let mut others = records.values().filter(|other| !work.drop.contains(&other.pair));
            others.any(|other| matches!(other.tried.state, DeltaState::Kept { sha256: it, .. } if it == sha256))
        };
        for record in find(&work.drop) {
            self.drop_delta(record, stays).await?;
        }
        for record in find(&work.give_up) {
            let last = match &record.tried.state {
                DeltaState::Waiting { reason, .. } => reason.as_str(),
                _ => "whoever made it was not heard of any more",
            };
            let reason = format!("begun {TRIES_MAX} times and never brought to its end: {last}");
            tracing::warn!(delta = %record.pair, reason, "a delta is given up");
            self.end_delta(record, DeltaState::Failed { reason }).await?;
        }
        for record in find(&work.forget) {
            unless_overtaken(self.meta.forget_delta(&record.pair, record.revision).await)?;
        }
        Ok(())
    }

    /// The blob goes first: without its record nobody would know of it any more. Payloads that are alike
    /// make deltas that are alike, so the same bytes may be another delta, too.
    async fn drop_delta(
        &self,
        record: DeltaRecord,
        stays: impl Fn(Digest) -> bool,
    ) -> ServiceResult<()> {
        let DeltaState::Kept { length, sha256, .. } = record.tried.state else { return Ok(()) };
        if !stays(sha256) {
            self.blobs.remove(&sha256).await?;
        }
        tracing::info!(delta = %record.pair, length, "a delta gives way to others");
        let seconds = record.tried.seconds;
        let tried = Tried { state: DeltaState::Dropped { length }, seconds, ..record.tried };
        unless_overtaken(self.meta.finish_delta(DeltaRecord { tried, ..record }).await)
    }

    /// Notes that a delta is to be begun again.
    async fn put_off(
        &self,
        record: DeltaRecord,
        reason: String,
        from: Timestamp,
    ) -> ServiceResult<()> {
        let state = DeltaState::Waiting { from, reason };
        let tried = Tried { state, at: self.clock.now(), ..record.tried };
        unless_overtaken(self.meta.finish_delta(DeltaRecord { tried, ..record }).await)
    }

    /// Notes to what end a delta has come.
    async fn end_delta(&self, record: DeltaRecord, state: DeltaState) -> ServiceResult<()> {
        let tried = Tried { state, at: self.clock.now(), tries: 0, ..record.tried };
        unless_overtaken(self.meta.finish_delta(DeltaRecord { tried, ..record }).await)
    }
}

/// Another server has done something about it meanwhile: that holds.
fn unless_overtaken(changed: Result<(), StoreError>) -> ServiceResult<()> {
    match changed {
        Err(StoreError::Conflict(message)) => {
            tracing::info!(message, "another server was first");
            Ok(())
        }
        other => Ok(other?),
    }
}
