//! The transactions on what is to be told.

use std::collections::BTreeSet;

use jiff::Timestamp;
use sled::transaction::TransactionalTree;

use super::{
    super::{
        AuditEntry, DeliveryRecord, DeliveryState, EndpointChange, EndpointRecord, EventRecord,
        MachineRecord, StoreError, StoreResult,
    },
    audit,
    table::Source,
    tables::{
        ANNOUNCED, DEAD, DELIVERIES, DELIVERY_NUMBER, DUE, ENDPOINTS, NUMBERS, OUTBOX,
        OUTBOX_NUMBER,
    },
};
use crate::policy::Notification;

/// Writes down what is to be told, in whatever transaction it happens.
pub(super) fn append(
    transaction: &TransactionalTree,
    notification: &Notification,
) -> StoreResult<()> {
    let number = next(transaction, OUTBOX_NUMBER)?;
    OUTBOX.add(transaction, &number, &(number, notification.clone()))
}

/// Writes down what is to be told of something that a machine reported, if that is anything.
pub(super) fn append_event(
    transaction: &TransactionalTree,
    machine: &MachineRecord,
    event: &EventRecord,
) -> StoreResult<()> {
    machine
        .notification(event)
        .iter()
        .try_for_each(|notification| append(transaction, notification))
}

pub(super) fn announce_once(
    transaction: &TransactionalTree,
    mark: &str,
    notification: &Notification,
) -> StoreResult<()> {
    let key = mark.to_owned();
    if ANNOUNCED.find(transaction, &key)?.is_some() {
        return Ok(());
    }
    ANNOUNCED.put(transaction, &key, &notification.timestamp)?;
    append(transaction, notification)
}

pub(super) fn spread(
    transaction: &TransactionalTree,
    number: u64,
    endpoints: &BTreeSet<String>,
    at: Timestamp,
) -> StoreResult<()> {
    let Some((_, notification)) = OUTBOX.find(transaction, &number)? else { return Ok(()) };
    OUTBOX.remove(transaction, &number)?;
    let message = notification
        .id()
        .map_err(|error| StoreError::Conflict(format!("a notification is no JSON: {error}")))?;
    for endpoint in endpoints {
        if ENDPOINTS.find(transaction, endpoint)?.is_none() {
            continue;
        }
        let delivery = DeliveryRecord {
            number: next(transaction, DELIVERY_NUMBER)?,
            endpoint: endpoint.clone(),
            message: message.clone(),
            notification: notification.clone(),
            created_at: at,
            tries: 0,
            state: DeliveryState::Waiting { due_at: at },
            last: None,
        };
        put(transaction, &delivery)?;
    }
    Ok(())
}

pub(super) fn create_endpoint(
    transaction: &TransactionalTree,
    endpoint: &EndpointRecord,
    entry: &AuditEntry,
) -> StoreResult<()> {
    ENDPOINTS.add(transaction, &endpoint.id, endpoint)?;
    audit::append(transaction, entry)
}

pub(super) fn change_endpoint(
    transaction: &TransactionalTree,
    change: &EndpointChange,
) -> StoreResult<()> {
    let EndpointChange { before, after, audit } = change;
    if ENDPOINTS.read(transaction, &before.id)? != *before {
        return Err(StoreError::Conflict(format!(
            "endpoint `{}` has changed since it was read; read it again and retry",
            before.id
        )));
    }
    ENDPOINTS.put(transaction, &after.id, after)?;
    audit::append(transaction, audit)
}

/// Removes an endpoint and these of its deliveries. Whoever names them has read them before.
pub(super) fn remove_endpoint(
    transaction: &TransactionalTree,
    id: &str,
    deliveries: &[DeliveryRecord],
    entry: &AuditEntry,
) -> StoreResult<()> {
    let key = id.to_owned();
    ENDPOINTS.read(transaction, &key)?;
    ENDPOINTS.remove(transaction, &key)?;
    deliveries.iter().try_for_each(|delivery| remove(transaction, delivery.number))?;
    audit::append(transaction, entry)
}

pub(super) fn settle(
    transaction: &TransactionalTree,
    before: &DeliveryRecord,
    after: &DeliveryRecord,
    endpoint: Option<&EndpointChange>,
) -> StoreResult<()> {
    if DELIVERIES.read(transaction, &before.number)? != *before {
        return Err(StoreError::Conflict(format!(
            "delivery {} has changed since it was read; read it again and retry",
            before.number
        )));
    }
    remove(transaction, before.number)?;
    put(transaction, after)?;
    endpoint.into_iter().try_for_each(|change| change_endpoint(transaction, change))
}

/// Removes these deliveries, but for those that are tried again by now.
pub(super) fn forget(transaction: &TransactionalTree, numbers: &[u64]) -> StoreResult<()> {
    for number in numbers {
        let Some(delivery) = DELIVERIES.find(transaction, number)? else { continue };
        let is_delivered = matches!(delivery.state, DeliveryState::Delivered { .. });
        if is_delivered || ENDPOINTS.find(transaction, &delivery.endpoint)?.is_none() {
            remove(transaction, *number)?;
        }
    }
    Ok(())
}

fn put(transaction: &TransactionalTree, delivery: &DeliveryRecord) -> StoreResult<()> {
    let number = delivery.number;
    DELIVERIES.put(transaction, &number, delivery)?;
    match delivery.state {
        DeliveryState::Waiting { due_at } => {
            DUE.put(transaction, &due_key(delivery, due_at), &number)
        }
        DeliveryState::Dead { .. } => DEAD.put(transaction, &number, &number),
        DeliveryState::Delivered { .. } => Ok(()),
    }
}

fn remove(transaction: &TransactionalTree, number: u64) -> StoreResult<()> {
    let Some(delivery) = DELIVERIES.find(transaction, &number)? else { return Ok(()) };
    DELIVERIES.remove(transaction, &number)?;
    match delivery.state {
        DeliveryState::Waiting { due_at } => DUE.remove(transaction, &due_key(&delivery, due_at)),
        DeliveryState::Dead { .. } => DEAD.remove(transaction, &number),
        DeliveryState::Delivered { .. } => Ok(()),
    }
}

/// Orders the deliveries of an endpoint by when they are due.
fn due_key(delivery: &DeliveryRecord, due_at: Timestamp) -> (String, (u64, u64)) {
    let seconds = u64::try_from(due_at.as_second()).unwrap_or(0);
    (delivery.endpoint.clone(), (seconds, delivery.number))
}

fn next(transaction: &TransactionalTree, of: &'static str) -> StoreResult<u64> {
    let number = NUMBERS.find(transaction, &of)?.unwrap_or(0) + 1;
    NUMBERS.put(transaction, &of, &number)?;
    Ok(number)
}

/// Whether `mark` was announced.
pub(super) fn is_announced(source: &impl Source, mark: &str) -> StoreResult<bool> {
    Ok(ANNOUNCED.find(source, &mark.to_owned())?.is_some())
}
