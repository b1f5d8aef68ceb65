//! The transactions on machines.

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
    audit, census, outbox, rollouts,
    table::Row,
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

/// A change of a machine, with the rows that do not depend on what is stored: so they are made where it is asked for,
/// and not by the one thread that writes.
pub(super) struct Ready {
    /// As it is to be.
    machine: MachineRecord,
    /// Its own record among them.
    rows: Vec<Row>,
    /// Its claim to a seat.
    claim: Option<(Claim, Row)>,
    /// Which plan is not remembered any more.
    forgotten: Option<u64>,
    events: Vec<ReadyEvent>,
    audit: Option<AuditEntry>,
}

struct ReadyEvent {
    record: EventRecord,
    row: Row,
    told: Option<Notification>,
}

impl Ready {
    /// Makes a change ready, unless a record of it is one that cannot be stored.
    pub(super) fn new(change: MachineChange) -> StoreResult<Self> {
        let MachineChange { machine, plan, events, audit } = change;
        let machine = MachineRecord { revision: machine.revision + 1, ..machine };
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
        let events = events.into_iter().map(|record| {
            let row = EVENTS.row(&(name.clone(), record.event.number), &record)?;
            Ok(ReadyEvent { told: machine.notification(&record), record, row })
        });
        let events = events.collect::<StoreResult<_>>()?;
        Ok(Self { machine, rows, claim, forgotten, events, audit })
    }
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
        CLAIMS.remove(transaction, &(stored.contract.clone(), name.clone()));
        if let Some((_, row)) = claim {
            row.put(transaction);
        }
    }
    census::recount(transaction, Some(stored.whereabouts()), machine.whereabouts())?;
    for row in rows {
        row.put(transaction);
    }
    if let Some(forgotten) = forgotten {
        PLANS_SENT.remove(transaction, &(name.clone(), *forgotten));
    }
    let mut reach = Reach::Machine(name.clone());
    for ReadyEvent { record, row, told } in events {
        if row.is_new(transaction)? {
            row.put(transaction);
            told.iter().try_for_each(|told| outbox::append(transaction, told))?;
            if rollouts::count(transaction, machine, record)? {
                reach = Reach::Everything;
            }
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
