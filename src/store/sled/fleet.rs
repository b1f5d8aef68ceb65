//! The transactions on machines.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use jiff::Timestamp;
use mainstay_client::{
    format::{ContractName, MachineName, ProductName},
    tuf::PublicKey,
};

use super::{
    super::{
        AuditEntry, EventRecord, MachineChange, MachineRecord, NewPlan, PLANS_REMEMBERED, Reach,
        StoreError, StoreResult,
    },
    audit, census, outbox,
    rollouts::{self, Told},
    table::{Row, Source},
    tables::{
        CLAIMS, EVENTS, MACHINES, MACHINES_BEFORE, MACHINES_BY_KEY, MACHINES_BY_TOKEN, PLANS,
        PLANS_SENT,
    },
    transaction::Transaction,
};
use crate::policy::{Claim, Notification};

pub(super) fn create_machine(
    transaction: &Transaction,
    machine: &MachineRecord,
    entry: &AuditEntry,
) -> StoreResult<()> {
    MACHINES.add(transaction, &machine.name, machine)?;
    MACHINES_BY_TOKEN.add(transaction, &machine.token_sha256, &machine.name)?;
    MACHINES_BY_KEY.add(transaction, &own_key(machine), &machine.name)?;
    if let Some(claim) = machine.claim() {
        CLAIMS.put(transaction, &own_claim(machine), &claim)?;
    }
    census::recount(transaction, None, machine.whereabouts())?;
    audit::append(transaction, entry)
}

/// A change of a machine, with its rows: so they are made where it is asked for, and not by the one thread that writes.
///
/// They depend on nothing that is stored but the machine as it was read and its events. If either is another one when
/// the change is made, so is the machine's revision, and the change is refused: whatever changes the one or the
/// other raises it in the same transaction.
pub(super) struct Ready {
    /// As it is to be.
    machine: MachineRecord,
    /// Its own record among them.
    rows: Vec<Row>,
    /// Its claim to a seat.
    claim: Option<(Claim, Row)>,
    /// Which plan is not remembered any more.
    forgotten: Option<u64>,
    /// Those that are not stored yet.
    events: Vec<ReadyEvent>,
    audit: Option<AuditEntry>,
}

struct ReadyEvent {
    row: Row,
    notification: Option<Notification>,
    told: Option<Told>,
}

impl Ready {
    /// Makes a change ready, unless a record of it is one that cannot be stored. The machine was read from
    /// `source` before.
    pub(super) fn new(change: MachineChange, source: &impl Source) -> StoreResult<Self> {
        let MachineChange { mut machine, plan, events, audit } = change;
        machine.revision += 1;
        machine.outcomes.retain(|version, _| machine.offered.contains(version));
        let events = ready_events(&mut machine, events, source)?;
        let name = &machine.name;
        let mut rows = vec![MACHINES.row(name, &machine)?];
        let claim = machine.claim().map(|claim| {
            let row = CLAIMS.row(&own_claim(&machine), &claim)?;
            Ok((claim, row))
        });
        let claim = claim.transpose()?;
        if let Some(NewPlan { signed, said }) = &plan {
            rows.push(PLANS.row(name, signed)?);
            rows.push(PLANS_SENT.row(&(name.clone(), said.version), said)?);
        }
        let forgotten = plan.and_then(|plan| plan.said.version.checked_sub(PLANS_REMEMBERED));
        Ok(Self { machine, rows, claim, forgotten, events, audit })
    }
}

/// Takes the events into the machine's record but for those that are stored already, or come twice: nothing is told
/// or counted of these.
fn ready_events(
    machine: &mut MachineRecord,
    events: Vec<EventRecord>,
    source: &impl Source,
) -> StoreResult<Vec<ReadyEvent>> {
    let mut numbers = BTreeSet::new();
    let mut ready = Vec::with_capacity(events.len());
    for record in events {
        let row = EVENTS.row(&(machine.name.clone(), record.event.number), &record)?;
        if numbers.insert(record.event.number) && row.is_new(source)? {
            let notification = machine.notification(&record);
            ready.push(ReadyEvent { row, notification, told: Told::take_in(machine, &record) });
        }
    }
    Ok(ready)
}

pub(super) fn change_machine(transaction: &Transaction, change: &Ready) -> StoreResult<Reach> {
    let Ready { machine, rows, claim, forgotten, events, audit } = change;
    let name = &machine.name;
    let stored = MACHINES_BEFORE.read(transaction, name)?;
    if stored.revision + 1 != machine.revision {
        return Err(StoreError::Conflict(format!(
            "machine `{name}` is at revision {}: expected {}; read the machine again and retry",
            stored.revision,
            machine.revision - 1
        )));
    }
    MACHINES_BY_TOKEN.repoint(transaction, &stored.token_sha256, &machine.token_sha256, name)?;
    let stored_key = (stored.product.clone(), stored.public_key.clone());
    MACHINES_BY_KEY.repoint(transaction, &stored_key, &own_key(machine), name)?;
    let claimed = claim.as_ref().map(|(claim, _)| claim);
    if stored.contract != machine.contract || stored.claim().as_ref() != claimed {
        CLAIMS.remove(transaction, &(stored.contract.clone(), name.clone()))?;
        if let Some((_, row)) = claim {
            row.put(transaction)?;
        }
    }
    census::recount(transaction, Some(stored.whereabouts()), machine.whereabouts())?;
    for row in rows {
        row.put(transaction)?;
    }
    if let Some(forgotten) = forgotten {
        PLANS_SENT.remove(transaction, &(name.clone(), *forgotten))?;
    }
    let mut reach = Reach::Machine(name.clone());
    for ReadyEvent { row, notification, told } in events {
        row.put(transaction)?;
        notification.iter().try_for_each(|told| outbox::append(transaction, told))?;
        if let Some(told) = told
            && rollouts::count(transaction, told)?
        {
            reach = Reach::Everything;
        }
    }
    audit.iter().try_for_each(|entry| audit::append(transaction, entry))?;
    Ok(reach)
}

pub(super) fn note_seen(
    transaction: &Transaction,
    seen: &[(MachineName, Timestamp)],
) -> StoreResult<()> {
    for (name, at) in seen {
        let stored = MACHINES.read(transaction, name)?;
        if stored.retired.is_some() || stored.seen_at >= *at {
            continue;
        }
        let revision = stored.revision + 1;
        let machine = MachineRecord { revision, seen_at: *at, ..stored.clone() };
        MACHINES.put(transaction, name, &machine)?;
        if let Some(claim) = machine.claim().filter(|claim| stored.claim().as_ref() != Some(claim))
        {
            CLAIMS.put(transaction, &own_claim(&machine), &claim)?;
        }
        census::recount(transaction, Some(stored.whereabouts()), machine.whereabouts())?;
    }
    Ok(())
}

fn own_claim(machine: &MachineRecord) -> (ContractName, MachineName) {
    (machine.contract.clone(), machine.name.clone())
}

fn own_key(machine: &MachineRecord) -> (ProductName, PublicKey) {
    (machine.product.clone(), machine.public_key.clone())
}
