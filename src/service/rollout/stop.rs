//! The emergency stop of a product: no machine is updated to anything, until that is lifted.

use mainstay_client::format::ProductName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    super::{ATTEMPTS_MAX, Actor, ErrorClass, Service, ServiceError, ServiceResult},
    RolloutView,
};
use crate::{
    policy::RolloutStep,
    store::{AuditEntry, RolloutRecord, StopChange, StopRecord, StopState, StoreError, Word},
};

/// `POST /v1/products/{product}/stop`, and `…/unstop`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeStop {
    /// The revision of the stop that whoever acts has seen; 0 where there never was one.
    pub expected_revision: u64,
    /// Why.
    pub reason: String,
    /// The ticket that it belongs to.
    #[serde(default)]
    pub ticket: Option<String>,
}

/// The rollouts of a product.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ProductRollouts {
    /// Whether all its updates are stopped, by whose word; nothing where they never were.
    pub stop: Option<StopRecord>,
    /// The rollouts, the lowest version first.
    pub rollouts: Vec<RolloutView>,
}

impl Service {
    /// The rollouts of a product, and whether all its updates are stopped.
    pub async fn rollouts(&self, product: &ProductName) -> ServiceResult<ProductRollouts> {
        self.meta.product(product).await?;
        let (stop, now) = (self.meta.stop(product).await?, self.clock.now());
        let mut rollouts = Vec::new();
        for record in self.meta.rollouts(product).await? {
            let outcomes = self.meta.outcomes(product, &record.version).await?;
            rollouts.push(RolloutView::new(record, outcomes, now));
        }
        Ok(ProductRollouts { stop, rollouts })
    }

    /// Stops all updates of a product, and pauses what is being rolled out. Orders to go back are carried
    /// out all the same.
    pub async fn stop_product(
        &self,
        actor: &Actor,
        product: &ProductName,
        request: ChangeStop,
    ) -> ServiceResult<StopRecord> {
        self.change_stop(actor, product, request, StopState::Stopped).await
    }

    /// Lets the updates of a product go on. What was being rolled out stays paused: whoever stopped
    /// everything may not have known which release it was.
    pub async fn unstop_product(
        &self,
        actor: &Actor,
        product: &ProductName,
        request: ChangeStop,
    ) -> ServiceResult<StopRecord> {
        self.change_stop(actor, product, request, StopState::Lifted).await
    }

    async fn change_stop(
        &self,
        actor: &Actor,
        product: &ProductName,
        request: ChangeStop,
        state: StopState,
    ) -> ServiceResult<StopRecord> {
        let ChangeStop { expected_revision, reason, ticket } = request;
        let word = self.word(actor, &reason, ticket.as_deref())?;
        let before = self.meta.stop(product).await?;
        let state_before = before.as_ref().map_or(StopState::Lifted, |before| before.state);
        let revision = before.as_ref().map_or(0, |before| before.revision);
        if revision != expected_revision || state_before == state {
            return Err(is_otherwise(product, before.as_ref()));
        }
        let verb = match state {
            StopState::Stopped => "product.stop",
            StopState::Lifted => "product.unstop",
        };
        let mut audit = self.audit(actor, verb, product);
        audit.reason = Some(word.reason.clone());
        audit.ticket.clone_from(&word.ticket);
        audit.before = Some(json!({ "stop": before }));
        let stop = StopRecord { product: product.clone(), revision, state, word };
        for _ in 0..ATTEMPTS_MAX {
            let rollouts = match state {
                StopState::Stopped => self.paused_with(actor, &stop).await?,
                StopState::Lifted => Vec::new(),
            };
            let change = StopChange { stop: stop.clone(), rollouts };
            match self.meta.change_stop(change, audit.clone()).await {
                Err(StoreError::Conflict(_)) => {
                    let newest = self.meta.stop(product).await?;
                    if newest.as_ref().map_or(0, |newest| newest.revision) != revision {
                        return Err(is_otherwise(product, newest.as_ref()));
                    }
                    // A rollout has changed, by what a machine reported for example.
                }
                Err(error) => return Err(error.into()),
                Ok(()) => return Ok(StopRecord { revision: revision + 1, ..stop }),
            }
        }
        Err(ServiceError::new(
            ErrorClass::Unavailable,
            "BUSY",
            format!("the rollouts of {product} keep changing; try again"),
        ))
    }

    /// The rollouts that go on, as a stop of everything leaves them: paused. They stay so until somebody
    /// resumes them.
    async fn paused_with(
        &self,
        actor: &Actor,
        stop: &StopRecord,
    ) -> ServiceResult<Vec<(RolloutRecord, AuditEntry)>> {
        let mut paused = Vec::new();
        for record in self.meta.live_rollouts(&stop.product).await? {
            let at = stop.word.at;
            let outcomes = self.meta.outcomes(&record.product, &record.version).await?;
            let goes_on = record.rollout.goes_on(at);
            let after = record.rollout.after(RolloutStep::Pause, outcomes, at);
            let Some(rollout) = after.filter(|_| goes_on) else { continue };
            let mut audit = self.audit(actor, "rollout.pause", record.subject());
            audit.reason = Some(stop.word.reason.clone());
            audit.ticket.clone_from(&stop.word.ticket);
            audit.before = Some(record.before());
            let changed = stop.word.clone();
            paused.push((RolloutRecord { changed, rollout, ..record }, audit));
        }
        Ok(paused)
    }
}

/// What whoever would stop what is stopped, or let go on what goes on, or has not seen the newest, is
/// told of it.
fn is_otherwise(product: &ProductName, stop: Option<&StopRecord>) -> ServiceError {
    let is_now = stop.map_or_else(
        || "they go on, and were never stopped".to_owned(),
        |StopRecord { revision, state, word: Word { at, by, reason, .. }, .. }| {
            let state = match state {
                StopState::Stopped => "they are stopped",
                StopState::Lifted => "they go on",
            };
            format!("{state} (revision {revision}), by {by} at {at}: {reason}")
        },
    );
    ServiceError::new(
        ErrorClass::Conflict,
        "CONFLICT",
        format!(
            "the updates of {product} are not what you have seen, or what you want already: {is_now}. \
             Look again (`mainstay rollout list`), then repeat what you still want"
        ),
    )
}
