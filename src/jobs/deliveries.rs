//! Sends notifications: several at the same time, to each receiver one after the other, so that one
//! that hangs keeps no other waiting.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    thread,
    time::Duration,
};

use tokio::{
    sync::oneshot,
    task::{Id, JoinSet},
};

use crate::{
    policy::Outcome,
    service::{Service, ServiceError, ServiceResult, chain},
    store::{DeliveryRecord, EndpointRecord},
};

/// How often it is looked whether something is due.
const INTERVAL: Duration = Duration::from_secs(1);
/// How long is waited where that could not be looked at.
const INTERVAL_AFTER_ERROR: Duration = Duration::from_secs(30);

/// Sends what is due for as long as it is not aborted. What is under way then is sent again later.
pub async fn run(service: Arc<Service>) {
    let mut tries = Tries::default();
    loop {
        let looked = tries.begin(&service).await;
        let pause = match looked {
            Ok(()) => INTERVAL,
            Err(error) => {
                tracing::error!(error = chain(&error), "notifications could not be looked at");
                INTERVAL_AFTER_ERROR
            }
        };
        tokio::select! {
            () = tries.ended() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// The tries that are under way.
#[derive(Default)]
struct Tries {
    tasks: JoinSet<()>,
    endpoints: HashMap<Id, String>,
}

impl Tries {
    /// Begins what is due.
    async fn begin(&mut self, service: &Arc<Service>) -> ServiceResult<()> {
        service.spread_notifications().await?;
        let busy: BTreeSet<_> = self.endpoints.values().cloned().collect();
        let room = service.limits().tries_parallel_max.saturating_sub(busy.len());
        for (endpoint, delivery) in service.due_deliveries(&busy, room).await? {
            let id = endpoint.id.clone();
            let task = self.tasks.spawn(attempt(Arc::clone(service), endpoint, delivery));
            self.endpoints.insert(task.id(), id);
        }
        Ok(())
    }

    /// Comes when one of them has ended; never where there is none.
    async fn ended(&mut self) {
        let ended = match self.tasks.join_next_with_id().await {
            None => return std::future::pending().await,
            Some(Ok((id, ()))) => id,
            Some(Err(error)) => error.id(),
        };
        self.endpoints.remove(&ended);
    }
}

async fn attempt(service: Arc<Service>, endpoint: EndpointRecord, delivery: DeliveryRecord) {
    let (number, id) = (delivery.number, endpoint.id.clone());
    let settled = match send(&service, endpoint, delivery.clone()).await {
        Ok(outcome) => {
            if let Outcome::Failed { why, .. } = &outcome {
                tracing::warn!(
                    delivery = number,
                    endpoint = id,
                    why,
                    "a notification was not sent"
                );
            }
            service.settle_delivery(delivery, &outcome).await
        }
        Err(error) => Err(error),
    };
    if let Err(error) = settled {
        let error = chain(&error);
        tracing::error!(delivery = number, endpoint = id, error, "a try could not be written down");
    }
}

/// Tries on a thread of its own. A server that stops does not wait for it.
async fn send(
    service: &Service,
    endpoint: EndpointRecord,
    delivery: DeliveryRecord,
) -> ServiceResult<Outcome> {
    let (outlet, now) = (Arc::clone(service.outlet()?), service.now());
    let (outcome, answer) = oneshot::channel();
    thread::Builder::new().name("delivery".to_owned()).spawn(move || {
        // Where nobody waits any more, it is tried again later.
        let _unheard = outcome.send(outlet.send(&endpoint, &delivery, now));
    })?;
    answer.await.map_err(ServiceError::internal)
}
