//! The transactions on rollouts, and the counts that they go by.

use jiff::Timestamp;
use mainstay_client::format::{ProductName, Version};

use super::{
    super::{
        AuditEntry, EventRecord, MachineRecord, ReleaseRecord, RolloutRecord, StopChange,
        StopRecord, StopState, StoreError, StoreResult,
    },
    audit, outbox,
    tables::{LIVE_ROLLOUTS, OUTCOMES, PRODUCTS, RELEASES, ROLLOUTS, STOPS},
    transaction::Transaction,
};
use crate::policy::{Notification, Release, RolloutState, Status, rollout::Outcome};

/// Adds the rollout of a release that becomes visible in the same transaction.
pub(super) fn add(transaction: &Transaction, record: &RolloutRecord) -> StoreResult<()> {
    require_none_goes_on(transaction, record)?;
    let record = RolloutRecord { revision: 1, ..record.clone() };
    ROLLOUTS.add(transaction, &own_key(&record), &record)?;
    index(transaction, &record)
}

pub(super) fn change_rollout(
    transaction: &Transaction,
    record: &RolloutRecord,
    entry: &AuditEntry,
) -> StoreResult<()> {
    let key = own_key(record);
    let release = RELEASES.read(transaction, &key)?;
    let stored = ROLLOUTS.find(transaction, &key)?;
    let revision = stored.as_ref().map_or(0, |stored| stored.revision);
    require_revision(&ROLLOUTS.shown(&key), revision, record.revision)?;
    require_none_goes_on(transaction, record)?;
    put(transaction, record)?;
    if let Some(stored) = stored {
        let outcomes = OUTCOMES.find(transaction, &key)?.unwrap_or_default();
        tell(transaction, record.pause_told(&stored, outcomes).as_ref())?;
    }
    if record.rollout.state == RolloutState::Withdrawn {
        let release = ReleaseRecord {
            release: Release { status: Status::Withdrawn, ..release.release },
            ..release
        };
        RELEASES.put(transaction, &key, &release)?;
    }
    audit::append(transaction, entry)
}

pub(super) fn change_stop(
    transaction: &Transaction,
    change: &StopChange,
    entry: &AuditEntry,
) -> StoreResult<()> {
    let StopChange { stop: record, rollouts } = change;
    let product = &record.product;
    PRODUCTS.read(transaction, product)?;
    let stored = STOPS.find(transaction, product)?.map_or(0, |stored| stored.revision);
    require_revision(&STOPS.shown(product), stored, record.revision)?;
    audit::append(transaction, entry)?;
    rollouts.iter().try_for_each(|(rollout, entry)| change_rollout(transaction, rollout, entry))?;
    STOPS.put(transaction, product, &StopRecord { revision: stored + 1, ..record.clone() })
}

/// While all updates are stopped no time is to go by for a rollout: its next waves would come to
/// machines when the stop is lifted, with nobody having tried the release in the meantime.
fn require_none_goes_on(transaction: &Transaction, record: &RolloutRecord) -> StoreResult<()> {
    let goes_on = record.rollout.goes_on(record.changed.at);
    let stop = STOPS.find(transaction, &record.product)?;
    match stop.filter(|stop| goes_on && stop.state == StopState::Stopped) {
        None => Ok(()),
        Some(StopRecord { product, word, .. }) => Err(StoreError::Conflict(format!(
            "all updates of {product} are stopped, by {} at {}: {}; expected that no rollout goes on \
             meanwhile",
            word.by, word.at, word.reason
        ))),
    }
}

/// What a machine has told of a release that it was offered.
pub(super) struct Told {
    release: (ProductName, Version),
    /// What it had told last before.
    before: Option<Outcome>,
    now: Outcome,
    at: Timestamp,
}

impl Told {
    /// Takes a new event into the machine's record, where it tells something of such a release.
    pub(super) fn take_in(machine: &mut MachineRecord, event: &EventRecord) -> Option<Self> {
        let (version, now) = Outcome::told_by(&event.event)?;
        // Of what it was never given a machine can tell nothing.
        if !machine.offered.contains(version) {
            return None;
        }
        let before = machine.outcomes.insert(version.clone(), now);
        let release = (machine.product.clone(), version.clone());
        Some(Self { release, before, now, at: event.at })
    }
}

/// Counts what a machine has told, and lets the rollout heed it. Says whether that changes the rollout.
pub(super) fn count(transaction: &Transaction, told: &Told) -> StoreResult<bool> {
    let Told { release: key, before, now, at } = told;
    let mut outcomes = OUTCOMES.find(transaction, key)?.unwrap_or_default();
    if *before != Some(*now) {
        outcomes = outcomes.after(*before, *now);
        OUTCOMES.put(transaction, key, &outcomes)?;
    }
    let Some(before) = ROLLOUTS.find(transaction, key)? else { return Ok(false) };
    let heeded = before.heed(outcomes, *at);
    if let Some((rollout, entry)) = &heeded {
        put(transaction, rollout)?;
        tell(transaction, rollout.pause_told(&before, outcomes).as_ref())?;
        audit::append(transaction, entry)?;
    }
    Ok(heeded.is_some())
}

fn tell(transaction: &Transaction, told: Option<&Notification>) -> StoreResult<()> {
    told.map_or(Ok(()), |notification| outbox::append(transaction, notification))
}

fn put(transaction: &Transaction, record: &RolloutRecord) -> StoreResult<()> {
    let record = RolloutRecord { revision: record.revision + 1, ..record.clone() };
    ROLLOUTS.put(transaction, &own_key(&record), &record)?;
    index(transaction, &record)
}

/// Keeps the rollouts that a check has to heed where it finds them without reading all.
fn index(transaction: &Transaction, record: &RolloutRecord) -> StoreResult<()> {
    let key = own_key(record);
    if record.rollout.state.is_live() {
        return LIVE_ROLLOUTS.put(transaction, &key, &key);
    }
    LIVE_ROLLOUTS.remove(transaction, &key)?;
    Ok(())
}

fn own_key(record: &RolloutRecord) -> (ProductName, Version) {
    (record.product.clone(), record.version.clone())
}

fn require_revision(what: &str, stored: u64, expected: u64) -> StoreResult<()> {
    if stored == expected {
        return Ok(());
    }
    Err(StoreError::Conflict(format!(
        "{what} is at revision {stored}: expected {expected}; look at it again and retry"
    )))
}
