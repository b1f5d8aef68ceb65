//! Notifications on their way: from the outbox to the endpoints that want them, and what comes of
//! each try.

use std::collections::BTreeSet;

use jiff::SignedDuration;

use super::{ATTEMPTS_MAX, Actor, Scope, Service, ServiceResult};
use crate::{
    clock::random_bytes,
    measures::TryOutcome,
    policy::{
        Contract, Line, Outcome,
        delivery::Next,
        notification::{self, Due},
    },
    store::{
        DeliveryRecord, DeliveryState, Disabled, EndpointChange, EndpointRecord, Role, StoreError,
        TryRecord,
    },
};

/// How many notifications are read at once.
const SPREAD_MAX: usize = 100;
/// For how long it is kept what was delivered.
const DELIVERED_KEPT: SignedDuration = SignedDuration::from_hours(24 * 30);
/// How many of those are removed in one transaction.
const FORGOTTEN_MAX: usize = 1000;

impl Service {
    /// Writes down what is due of contracts that end and of lines that do, each step once. One for
    /// which that fails keeps no other from it.
    pub async fn announce_dates(&self) -> ServiceResult<()> {
        let now = self.clock.now();
        let mut due = Vec::new();
        for record in self.meta.contracts().await? {
            let contract = Contract::at(&record.amendments, now);
            let names = (&record.name, &record.customer);
            due.extend(contract.and_then(|it| notification::of_contract(names, &it, now)));
        }
        for product in self.meta.products().await? {
            for line in Line::signed(&product.repository.lines) {
                due.extend(notification::of_line(&product.name, &line, now));
            }
        }
        let mut outcome = Ok(());
        for Due { mark, notification } in due {
            outcome = outcome.and(self.meta.announce_once(&mark, notification).await);
        }
        Ok(outcome?)
    }

    /// Takes what is to be told out of the outbox, to the endpoints that want it.
    pub async fn spread_notifications(&self) -> ServiceResult<()> {
        loop {
            let announced = self.meta.announced(SPREAD_MAX).await?;
            if announced.is_empty() {
                return Ok(());
            }
            let endpoints = self.meta.endpoints().await?;
            let now = self.clock.now();
            for (number, notification) in announced {
                let wants = |endpoint: &&EndpointRecord| {
                    endpoint.disabled.is_none() && endpoint.interest.includes(&notification)
                };
                let wanting = endpoints.iter().filter(wants).map(|endpoint| endpoint.id.clone());
                self.meta.spread(number, wanting.collect(), now).await?;
            }
        }
    }

    /// The first delivery that is due to each endpoint that is not `busy`, at most `limit`; those that
    /// have waited longest come first.
    pub async fn due_deliveries(
        &self,
        busy: &BTreeSet<String>,
        limit: usize,
    ) -> ServiceResult<Vec<(EndpointRecord, DeliveryRecord)>> {
        let now = self.clock.now();
        let mut due = Vec::new();
        for endpoint in self.meta.endpoints().await? {
            if endpoint.disabled.is_some() || busy.contains(&endpoint.id) {
                continue;
            }
            if let Some(delivery) = self.meta.due(&endpoint.id, now).await? {
                due.push((endpoint, delivery));
            }
        }
        due.sort_by_key(|(_, delivery)| match delivery.state {
            DeliveryState::Waiting { due_at } => due_at,
            DeliveryState::Delivered { at } | DeliveryState::Dead { at } => at,
        });
        due.truncate(limit);
        Ok(due)
    }

    /// Writes down what came of a try. A delivery that is another one by now is left as it is.
    pub async fn settle_delivery(
        &self,
        before: DeliveryRecord,
        outcome: &Outcome,
    ) -> ServiceResult<()> {
        let after = self.after_try(&before, outcome)?;
        let counted = match (&after.state, outcome) {
            (DeliveryState::Delivered { .. }, _) => TryOutcome::Delivered,
            (DeliveryState::Dead { .. }, _) => TryOutcome::GivenUp,
            (DeliveryState::Waiting { .. }, _) => TryOutcome::Failed,
        };
        for _ in 0..ATTEMPTS_MAX {
            let endpoint = match outcome {
                Outcome::Gone => self.given_up(&before.endpoint).await?,
                _ => None,
            };
            match self.meta.settle(before.clone(), after.clone(), endpoint).await {
                // The endpoint or the delivery has changed: look again.
                Err(StoreError::Conflict(_)) => {
                    if self.meta.delivery(before.number).await? != before {
                        return Ok(());
                    }
                }
                Err(StoreError::NotFound(_)) => return Ok(()),
                settled => {
                    settled?;
                    self.measures.tried(counted);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn after_try(
        &self,
        before: &DeliveryRecord,
        outcome: &Outcome,
    ) -> ServiceResult<DeliveryRecord> {
        let (tries, now) = (before.tries + 1, self.clock.now());
        let seed = u64::from_be_bytes(random_bytes()?);
        let state = match self.outlet()?.webhooks.schedule().next(tries, outcome, seed) {
            Next::Done => DeliveryState::Delivered { at: now },
            Next::GiveUp | Next::GiveUpReceiver => DeliveryState::Dead { at: now },
            Next::Again(after) => {
                DeliveryState::Waiting { due_at: now.saturating_add(after).unwrap_or(now) }
            }
        };
        let outcome = match outcome {
            Outcome::Accepted => "accepted".to_owned(),
            Outcome::Gone => "answered 410: nothing more is wanted".to_owned(),
            Outcome::Failed { why, .. } => why.clone(),
        };
        let last = Some(TryRecord { at: now, outcome });
        Ok(DeliveryRecord { tries, state, last, ..before.clone() })
    }

    /// The endpoint as it is to be once its receiver wants nothing any more.
    async fn given_up(&self, id: &str) -> ServiceResult<Option<EndpointChange>> {
        let before = match self.meta.endpoint(id).await {
            Err(StoreError::NotFound(_)) => return Ok(None),
            found => found?,
        };
        if before.disabled.is_some() {
            return Ok(None);
        }
        let (at, by) = (self.clock.now(), "server".to_owned());
        let reason = "the receiver answered 410: nothing more is wanted".to_owned();
        let scope = Scope::Everything;
        let actor = Actor { id: by.clone(), role: Role::Admin, scope, address: None };
        let mut audit = self.audit(&actor, "webhook.disable", id);
        audit.reason = Some(reason.clone());
        audit.before = Some(serde_json::to_value(&before)?);
        let disabled = Some(Disabled { at, by, reason });
        let after = EndpointRecord { disabled, ..before.clone() };
        Ok(Some(EndpointChange { before, after, audit }))
    }

    /// Removes what is known of deliveries that came to their end long ago. Dead ones stay.
    pub async fn forget_deliveries(&self) -> ServiceResult<()> {
        let before = self.clock.now().saturating_sub(DELIVERED_KEPT).unwrap_or_default();
        while self.meta.forget_deliveries(before, FORGOTTEN_MAX).await? == FORGOTTEN_MAX {}
        Ok(())
    }
}
