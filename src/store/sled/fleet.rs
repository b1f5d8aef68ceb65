//! The transactions on machines.

use jiff::Timestamp;
use mainstay_client::{
    format::{ContractName, MachineName, ProductName},
    tuf::PublicKey,
};

use super::{
    super::{
        AuditEntry, MachineChange, MachineRecord, NewPlan, PLANS_REMEMBERED, Reach, StoreError,
        StoreResult,
    },
    audit, census, outbox, rollouts,
    tables::{CLAIMS, EVENTS, MACHINES, MACHINES_BY_KEY, MACHINES_BY_TOKEN, PLANS, PLANS_SENT},
    transaction::Transaction,
};

pub(super) fn create_machine(
    transaction: &Transaction,
    machine: &MachineRecord,
    entry: &AuditEntry,
) -> StoreResult<()> {
    MACHINES.add(transaction, &machine.name, machine)?;
    MACHINES_BY_TOKEN.add(transaction, &machine.token_sha256, &machine.name)?;
    MACHINES_BY_KEY.add(transaction, &own_key(machine), &machine.name)?;
    put_claim(transaction, machine)?;
    census::recount(transaction, None, machine)?;
    audit::append(transaction, entry)
}

pub(super) fn change_machine(
    transaction: &Transaction,
    change: MachineChange,
) -> StoreResult<Reach> {
    let MachineChange { machine, plan, events, audit } = change;
    let stored = MACHINES.read(transaction, &machine.name)?;
    if stored.revision != machine.revision {
        return Err(StoreError::Conflict(format!(
            "machine `{}` is at revision {}: expected {}; read the machine again and retry",
            machine.name, stored.revision, machine.revision
        )));
    }
    let machine = &MachineRecord { revision: stored.revision + 1, ..machine };
    let name = &machine.name;
    MACHINES_BY_TOKEN.repoint(transaction, &stored.token_sha256, &machine.token_sha256, name)?;
    MACHINES_BY_KEY.repoint(transaction, &own_key(&stored), &own_key(machine), name)?;
    MACHINES.put(transaction, name, machine)?;
    if stored.contract != machine.contract || machine.retired.is_some() {
        CLAIMS.remove(transaction, &own_claim(&stored));
    }
    put_claim(transaction, machine)?;
    census::recount(transaction, Some(&stored), machine)?;
    if let Some(NewPlan { signed, said }) = &plan {
        PLANS.put(transaction, name, signed)?;
        PLANS_SENT.put(transaction, &(name.clone(), said.version), said)?;
        if let Some(forgotten) = said.version.checked_sub(PLANS_REMEMBERED) {
            PLANS_SENT.remove(transaction, &(name.clone(), forgotten));
        }
    }
    let mut reach = Reach::Machine(name.clone());
    for event in &events {
        let key = (name.clone(), event.event.number);
        if EVENTS.find(transaction, &key)?.is_none() {
            EVENTS.put(transaction, &key, event)?;
            outbox::append_event(transaction, machine, event)?;
            if rollouts::count(transaction, machine, event)? {
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
        put_claim(transaction, &machine)?;
        census::recount(transaction, Some(&stored), &machine)?;
    }
    Ok(())
}

fn put_claim(transaction: &Transaction, machine: &MachineRecord) -> StoreResult<()> {
    match machine.claim() {
        Some(claim) => CLAIMS.put(transaction, &own_claim(machine), &claim),
        None => Ok(()),
    }
}

fn own_claim(machine: &MachineRecord) -> (ContractName, MachineName) {
    (machine.contract.clone(), machine.name.clone())
}

fn own_key(machine: &MachineRecord) -> (ProductName, PublicKey) {
    (machine.product.clone(), machine.public_key.clone())
}
