//! What is to be told: the port to it, and its transactions.

use std::collections::BTreeSet;

use async_trait::async_trait;
use jiff::Timestamp;

use super::{
    super::{
        AuditEntry, DeliveryRecord, DeliveryStage, DeliveryState, EndpointChange, EndpointRecord,
        Outbox, StoreError, StoreResult,
    },
    SledStore, audit,
    table::Source,
    tables::{
        ANNOUNCED, DEAD, DELIVERIES, DELIVERY_NUMBER, DUE, ENDPOINTS, NUMBERS, OUTBOX,
        OUTBOX_NUMBER,
    },
    transaction::Transaction,
};
use crate::policy::Notification;

/// The largest notification, in bytes of JSON: as large as what a machine reports can make one, and so
/// small that its deliveries can be written.
const NOTIFICATION_BYTES_MAX: usize = 48 << 10;

#[async_trait]
impl Outbox for SledStore {
    async fn announce_once(&self, mark: &str, notification: Notification) -> StoreResult<()> {
        // Most of what is looked at was announced long ago: that costs no write.
        if is_announced(&*self.database, mark)? {
            return Ok(());
        }
        let mark = mark.to_owned();
        self.write_aside(move |transaction| announce_once(transaction, &mark, &notification)).await
    }

    async fn announced(&self, limit: usize) -> StoreResult<Vec<(u64, Notification)>> {
        OUTBOX.after(&self.database, None).take(limit).collect()
    }

    async fn spread(
        &self,
        number: u64,
        endpoints: BTreeSet<String>,
        at: Timestamp,
    ) -> StoreResult<()> {
        self.write_aside(move |transaction| spread(transaction, number, &endpoints, at)).await
    }

    async fn create_endpoint(
        &self,
        endpoint: EndpointRecord,
        audit: AuditEntry,
    ) -> StoreResult<()> {
        self.write(move |transaction| create_endpoint(transaction, &endpoint, &audit)).await
    }

    async fn change_endpoint(&self, change: EndpointChange) -> StoreResult<()> {
        self.write(move |transaction| change_endpoint(transaction, &change)).await
    }

    async fn remove_endpoint(&self, id: &str, audit: AuditEntry) -> StoreResult<()> {
        let deliveries = self.deliveries(None, Some(id), usize::MAX).await?;
        let id = id.to_owned();
        self.write(move |transaction| remove_endpoint(transaction, &id, &deliveries, &audit)).await
    }

    async fn endpoint(&self, id: &str) -> StoreResult<EndpointRecord> {
        ENDPOINTS.read(&*self.database, &id.to_owned())
    }

    async fn endpoints(&self) -> StoreResult<Vec<EndpointRecord>> {
        ENDPOINTS.all(&self.database)
    }

    async fn due(&self, endpoint: &str, now: Timestamp) -> StoreResult<Option<DeliveryRecord>> {
        let Some(number) = DUE.of(&self.database, &endpoint.to_owned()).next() else {
            return Ok(None);
        };
        // It may have been removed since.
        let first = DELIVERIES.find(&*self.database, &number?)?;
        let is_due = |it: &DeliveryRecord| matches!(it.state, DeliveryState::Waiting { due_at } if due_at <= now);
        Ok(first.filter(is_due))
    }

    async fn settle(
        &self,
        before: DeliveryRecord,
        after: DeliveryRecord,
        endpoint: Option<EndpointChange>,
    ) -> StoreResult<()> {
        self.write_aside(move |transaction| settle(transaction, &before, &after, endpoint.as_ref()))
            .await
    }

    async fn replay(
        &self,
        before: DeliveryRecord,
        after: DeliveryRecord,
        audit: AuditEntry,
    ) -> StoreResult<()> {
        self.write(move |transaction| {
            settle(transaction, &before, &after, None)?;
            audit::append(transaction, &audit)
        })
        .await
    }

    async fn delivery(&self, number: u64) -> StoreResult<DeliveryRecord> {
        DELIVERIES.read(&*self.database, &number)
    }

    async fn deliveries(
        &self,
        stage: Option<DeliveryStage>,
        endpoint: Option<&str>,
        limit: usize,
    ) -> StoreResult<Vec<DeliveryRecord>> {
        let is_wanted = |delivery: &DeliveryRecord| {
            stage.is_none_or(|stage| delivery.state.stage() == stage)
                && endpoint.is_none_or(|endpoint| delivery.endpoint == endpoint)
        };
        let wanted = |found: StoreResult<DeliveryRecord>| match found {
            Ok(delivery) if !is_wanted(&delivery) => None,
            other => Some(other),
        };
        if stage == Some(DeliveryStage::Dead) {
            let dead = DEAD.newest(&self.database);
            let dead = dead.map(|number| DEAD.pointed(&*self.database, &number?, &DELIVERIES));
            return dead.filter_map(wanted).take(limit).collect();
        }
        DELIVERIES.newest(&self.database).filter_map(wanted).take(limit).collect()
    }

    async fn dead_deliveries(&self) -> StoreResult<u64> {
        DEAD.newest(&self.database).try_fold(0, |count, dead| dead.map(|_| count + 1))
    }

    async fn forget_deliveries(&self, before: Timestamp, limit: usize) -> StoreResult<usize> {
        let endpoints = self.endpoints().await?.into_iter().map(|endpoint| endpoint.id);
        let endpoints = endpoints.collect::<BTreeSet<_>>();
        let is_old = |delivery: &DeliveryRecord| match delivery.state {
            DeliveryState::Delivered { at } => at < before,
            _ => !endpoints.contains(&delivery.endpoint),
        };
        let old = DELIVERIES.after(&self.database, None).filter_map(|found| match found {
            Ok(delivery) => is_old(&delivery).then_some(Ok(delivery.number)),
            Err(error) => Some(Err(error)),
        });
        let numbers = old.take(limit).collect::<StoreResult<Vec<_>>>()?;
        let count = numbers.len();
        if count > 0 {
            self.write_aside(move |transaction| forget(transaction, &numbers)).await?;
        }
        Ok(count)
    }
}

/// Writes down what is to be told, in whatever transaction it happens.
pub(super) fn append(transaction: &Transaction, notification: &Notification) -> StoreResult<()> {
    let json = serde_json::to_vec(notification).map_err(|error| unwritable(&error))?;
    if json.len() > NOTIFICATION_BYTES_MAX {
        return Err(StoreError::Conflict(format!(
            "a notification takes {} bytes: expected at most {NOTIFICATION_BYTES_MAX}",
            json.len()
        )));
    }
    let number = next(transaction, OUTBOX_NUMBER)?;
    OUTBOX.add(transaction, &number, &(number, notification.clone()))
}

pub(super) fn announce_once(
    transaction: &Transaction,
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
    transaction: &Transaction,
    number: u64,
    endpoints: &BTreeSet<String>,
    at: Timestamp,
) -> StoreResult<()> {
    let Some((_, notification)) = OUTBOX.find(transaction, &number)? else { return Ok(()) };
    OUTBOX.remove(transaction, &number)?;
    let message = notification.id().map_err(|error| unwritable(&error))?;
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
    transaction: &Transaction,
    endpoint: &EndpointRecord,
    entry: &AuditEntry,
) -> StoreResult<()> {
    ENDPOINTS.add(transaction, &endpoint.id, endpoint)?;
    audit::append(transaction, entry)
}

pub(super) fn change_endpoint(
    transaction: &Transaction,
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
    transaction: &Transaction,
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
    transaction: &Transaction,
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
pub(super) fn forget(transaction: &Transaction, numbers: &[u64]) -> StoreResult<()> {
    for number in numbers {
        let Some(delivery) = DELIVERIES.find(transaction, number)? else { continue };
        let is_delivered = matches!(delivery.state, DeliveryState::Delivered { .. });
        if is_delivered || ENDPOINTS.find(transaction, &delivery.endpoint)?.is_none() {
            remove(transaction, *number)?;
        }
    }
    Ok(())
}

fn put(transaction: &Transaction, delivery: &DeliveryRecord) -> StoreResult<()> {
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

fn remove(transaction: &Transaction, number: u64) -> StoreResult<()> {
    let Some(delivery) = DELIVERIES.find(transaction, &number)? else { return Ok(()) };
    DELIVERIES.remove(transaction, &number)?;
    match delivery.state {
        DeliveryState::Waiting { due_at } => {
            DUE.remove(transaction, &due_key(&delivery, due_at))?;
        }
        DeliveryState::Dead { .. } => DEAD.remove(transaction, &number)?,
        DeliveryState::Delivered { .. } => {}
    }
    Ok(())
}

fn unwritable(error: &serde_json::Error) -> StoreError {
    StoreError::Conflict(format!("a notification is no JSON: {error}"))
}

/// Orders the deliveries of an endpoint by when they are due.
fn due_key(delivery: &DeliveryRecord, due_at: Timestamp) -> (String, (u64, u64)) {
    let seconds = u64::try_from(due_at.as_second()).unwrap_or(0);
    (delivery.endpoint.clone(), (seconds, delivery.number))
}

fn next(transaction: &Transaction, of: &'static str) -> StoreResult<u64> {
    let number = NUMBERS.find(transaction, &of)?.unwrap_or(0) + 1;
    NUMBERS.put(transaction, &of, &number)?;
    Ok(number)
}

/// Whether `mark` was announced.
pub(super) fn is_announced(source: &impl Source, mark: &str) -> StoreResult<bool> {
    Ok(ANNOUNCED.find(source, &mark.to_owned())?.is_some())
}
