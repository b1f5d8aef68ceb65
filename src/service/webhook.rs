//! Endpoints: where notifications are sent to, and what has become of what was sent.

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};

use super::{Actor, ErrorClass, Service, ServiceError, ServiceResult};
use crate::{
    clock::random_hex,
    outlet::{Outlet, mail, signature::Secret},
    policy::Interest,
    store::{
        DeliveryRecord, DeliveryStage, DeliveryState, Disabled, EndpointAddress, EndpointChange,
        EndpointRecord, SecretRecord,
    },
};

/// `POST /v1/webhooks`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateEndpoint {
    /// Where notifications are sent to.
    pub address: EndpointAddress,
    /// Whose it is, or what for.
    pub label: String,
    /// What is sent to it; everything where it is absent.
    #[serde(default)]
    pub interest: Interest,
}

/// An endpoint with its secret, as that is shown once.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct IssuedEndpoint {
    /// The endpoint.
    pub endpoint: EndpointRecord,
    /// The secret with which the receiver verifies what it gets; none for mail.
    pub secret: Option<String>,
}

/// `POST /v1/webhooks/{webhook}/disable`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DisableEndpoint {
    /// Why.
    pub reason: String,
}

/// `POST /v1/webhooks/{webhook}/rotate`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateSecret {
    /// For how many hours the secret until now signs beside the new one; 24 where it is absent.
    #[serde(default)]
    pub keep_hours: Option<u32>,
}

/// `GET /v1/deliveries`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListDeliveries {
    /// Those of this state.
    #[serde(default)]
    pub state: Option<DeliveryStage>,
    /// Those to this endpoint.
    #[serde(default)]
    pub webhook: Option<String>,
    /// At most so many, the newest first; 100 where it is absent.
    #[serde(default)]
    pub limit: Option<usize>,
}

/// For how long a secret signs beside a newer one unless somebody says otherwise.
const KEEP_HOURS: u32 = 24;
/// The longest time for that.
const KEEP_HOURS_MAX: u32 = 24 * 30;
/// How many deliveries are listed unless somebody says otherwise.
const DELIVERIES_LISTED: usize = 100;

impl Service {
    /// Adds an endpoint. Its secret is shown this once.
    pub async fn create_endpoint(
        &self,
        actor: &Actor,
        request: CreateEndpoint,
    ) -> ServiceResult<IssuedEndpoint> {
        let CreateEndpoint { address, label, interest } = request;
        let label = self.remark("label", &label)?;
        self.require_address(&address).await?;
        if let Some(product) = &interest.product {
            self.meta.product(product).await?;
        }
        if let Some(customer) = &interest.customer {
            self.meta.customer(customer).await?;
        }
        let endpoints_max = self.limits.endpoints_max;
        if self.meta.endpoints().await?.len() >= endpoints_max {
            return Err(refused(format!(
                "there are {endpoints_max} endpoints already, which is the most that there may be: \
                 delete one first"
            )));
        }
        let id = format!("hook-{}", random_hex::<4>()?);
        let secret = match &address {
            EndpointAddress::Url(_) => Some(self.outlet()?.key.secret(&id, 1)),
            EndpointAddress::Mail(_) => None,
        };
        let secrets = secret.iter().map(|secret| record(secret, 1)).collect();
        let created_at = self.clock.now();
        let endpoint =
            EndpointRecord { id, address, label, interest, secrets, created_at, disabled: None };
        let mut audit = self.audit(actor, "webhook.create", &endpoint.id);
        audit.detail = format!("{}, {}", endpoint.address, endpoint.label);
        self.meta.create_endpoint(endpoint.clone(), audit).await?;
        Ok(IssuedEndpoint { endpoint, secret: secret.as_ref().map(shown) })
    }

    async fn require_address(&self, address: &EndpointAddress) -> ServiceResult<()> {
        let outlet = self.outlet()?;
        let checked = match address {
            EndpointAddress::Mail(_) if outlet.mailer.is_none() => {
                Err("mail is not set up: expected [mail] in the server's configuration".to_owned())
            }
            EndpointAddress::Mail(mailbox) => mail::mailbox(mailbox).map(drop),
            // To look a name up blocks.
            EndpointAddress::Url(url) => {
                let (outlet, url) = (outlet.clone(), url.clone());
                let check = move || outlet.webhooks.check(&url);
                tokio::task::spawn_blocking(check).await.map_err(ServiceError::internal)?
            }
        };
        checked.map_err(refused)
    }

    /// All endpoints, without their secrets.
    pub async fn endpoints(&self) -> ServiceResult<Vec<EndpointRecord>> {
        Ok(self.meta.endpoints().await?)
    }

    /// One endpoint, without its secrets.
    pub async fn endpoint(&self, id: &str) -> ServiceResult<EndpointRecord> {
        Ok(self.meta.endpoint(id).await?)
    }

    /// Sends nothing to an endpoint until it is enabled. What waits for it goes on waiting, and what
    /// happens in the meantime is not for it.
    pub async fn disable_endpoint(
        &self,
        actor: &Actor,
        id: &str,
        request: DisableEndpoint,
    ) -> ServiceResult<EndpointRecord> {
        let reason = self.remark("reason", &request.reason)?;
        let at = self.clock.now();
        let disabled = Disabled { at, by: actor.id.clone(), reason: reason.clone() };
        let before = self.meta.endpoint(id).await?;
        let after = EndpointRecord { disabled: Some(disabled), ..before.clone() };
        self.change_endpoint(actor, "webhook.disable", before, after, Some(reason)).await
    }

    /// Sends to an endpoint again.
    pub async fn enable_endpoint(&self, actor: &Actor, id: &str) -> ServiceResult<EndpointRecord> {
        let before = self.meta.endpoint(id).await?;
        let after = EndpointRecord { disabled: None, ..before.clone() };
        self.change_endpoint(actor, "webhook.enable", before, after, None).await
    }

    /// Gives an endpoint a new secret, which is shown this once. The one until now signs beside it
    /// for a time; of earlier ones none does any more.
    pub async fn rotate_secret(
        &self,
        actor: &Actor,
        id: &str,
        request: RotateSecret,
    ) -> ServiceResult<IssuedEndpoint> {
        let hours = request.keep_hours.unwrap_or(KEEP_HOURS);
        if hours > KEEP_HOURS_MAX {
            return Err(ServiceError::input(format!(
                "keep_hours is {hours}: expected at most {KEEP_HOURS_MAX}"
            )));
        }
        let before = self.meta.endpoint(id).await?;
        let Some(newest) = before.secrets.first() else {
            return Err(refused(format!("{id} is a mailbox, which has no secret")));
        };
        let kept = SignedDuration::from_hours(hours.into());
        let until = self.clock.now().checked_add(kept).map_err(ServiceError::internal)?;
        let number = newest.number + 1;
        let key = &self.outlet()?.key;
        let secret = key.secret(id, number);
        // One that was made with a key that is lost signs nothing any more.
        let is_known = key.secret(id, newest.number).fingerprint() == newest.fingerprint;
        let kept =
            (hours > 0 && is_known).then(|| SecretRecord { until: Some(until), ..newest.clone() });
        let secrets = std::iter::once(record(&secret, number)).chain(kept).collect();
        let after = EndpointRecord { secrets, ..before.clone() };
        let endpoint = self.change_endpoint(actor, "webhook.rotate", before, after, None).await?;
        Ok(IssuedEndpoint { endpoint, secret: Some(shown(&secret)) })
    }

    async fn change_endpoint(
        &self,
        actor: &Actor,
        action: &str,
        before: EndpointRecord,
        after: EndpointRecord,
        reason: Option<String>,
    ) -> ServiceResult<EndpointRecord> {
        let mut audit = self.audit(actor, action, &after.id);
        audit.reason = reason;
        audit.before = Some(serde_json::to_value(&before)?);
        let change = EndpointChange { before, after: after.clone(), audit };
        self.meta.change_endpoint(change).await?;
        Ok(after)
    }

    /// Removes an endpoint, with what waits for it and what is known of what was sent to it.
    pub async fn delete_endpoint(&self, actor: &Actor, id: &str) -> ServiceResult<()> {
        let before = self.meta.endpoint(id).await?;
        let mut audit = self.audit(actor, "webhook.delete", id);
        audit.before = Some(serde_json::to_value(&before)?);
        Ok(self.meta.remove_endpoint(id, audit).await?)
    }

    /// The newest deliveries that the request describes, the newest first.
    pub async fn deliveries(&self, request: &ListDeliveries) -> ServiceResult<Vec<DeliveryRecord>> {
        let ListDeliveries { state, webhook, limit } = request;
        let limit = limit.unwrap_or(DELIVERIES_LISTED).min(self.limits.page_records_max);
        Ok(self.meta.deliveries(*state, webhook.as_deref(), limit).await?)
    }

    /// Has a delivery tried again from the beginning, whatever has become of it.
    pub async fn replay_delivery(
        &self,
        actor: &Actor,
        number: u64,
    ) -> ServiceResult<DeliveryRecord> {
        let before = self.meta.delivery(number).await?;
        let due_at = self.clock.now();
        let state = DeliveryState::Waiting { due_at };
        let after = DeliveryRecord { tries: 0, state, ..before.clone() };
        let mut audit = self.audit(actor, "webhook.replay", number);
        audit.detail = format!("{} to {}", before.kind(), before.endpoint);
        audit.before = Some(serde_json::to_value(&before.state)?);
        self.meta.replay(before, after.clone(), audit).await?;
        Ok(after)
    }

    /// How many deliveries are not tried any more.
    pub async fn dead_deliveries(&self) -> ServiceResult<u64> {
        Ok(self.meta.dead_deliveries().await?)
    }

    /// How notifications go out.
    pub fn outlet(&self) -> ServiceResult<&std::sync::Arc<Outlet>> {
        let outlet = self.outlet.as_ref();
        outlet.ok_or_else(|| ServiceError::internal("there is no way out".to_owned()))
    }
}

fn record(secret: &Secret, number: u32) -> SecretRecord {
    SecretRecord { number, fingerprint: secret.fingerprint(), until: None::<Timestamp> }
}

fn shown(secret: &Secret) -> String {
    secret.text().expose_secret().to_owned()
}

fn refused(problem: String) -> ServiceError {
    ServiceError::new(ErrorClass::Refused, "ENDPOINT_REFUSED", problem)
}
