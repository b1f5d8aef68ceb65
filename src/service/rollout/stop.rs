//! The emergency stop of a product: no machine is updated to anything, until that is lifted.

use mainstay_client::format::ProductName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    super::{Actor, ErrorClass, Service, ServiceError, ServiceResult},
    RolloutView,
};
use crate::store::{StopRecord, StopState, StoreError, Word};

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

    /// Stops all updates of a product. Orders to go back are carried out all the same.
    pub async fn stop_product(
        &self,
        actor: &Actor,
        product: &ProductName,
        request: ChangeStop,
    ) -> ServiceResult<StopRecord> {
        self.change_stop(actor, product, request, StopState::Stopped).await
    }

    /// Lets the updates of a product go on.
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
        let record = StopRecord { product: product.clone(), revision, state, word };
        match self.meta.change_stop(record.clone(), audit).await {
            Err(StoreError::Conflict(_)) => {
                Err(is_otherwise(product, self.meta.stop(product).await?.as_ref()))
            }
            Err(error) => Err(error.into()),
            Ok(()) => Ok(StopRecord { revision: revision + 1, ..record }),
        }
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
