//! The port to what is to be told: what happened, to whom it is told, and how far that has come.
//!
//! What happened is written down in the transaction in which it happened (the outbox). From there it
//! is spread to the endpoints that want it, as one delivery each, in one transaction as well. So a
//! crash loses nothing and invents nothing; it may have a receiver get something twice, with the same
//! identifier.

use std::{collections::BTreeSet, fmt, str::FromStr};

use async_trait::async_trait;
use jiff::Timestamp;
use mainstay_client::format::schema::Instant;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{AuditEntry, StoreResult};
use crate::policy::{Interest, Notification, NotificationType};

/// Where notifications are sent to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EndpointRecord {
    /// By what people and the audit trail name it.
    pub id: String,
    /// Where to.
    pub address: EndpointAddress,
    /// Whose it is, or what for.
    pub label: String,
    /// What is sent to it.
    pub interest: Interest,
    /// The secrets that sign what is sent, the newest first; none for mail. Each is derived from
    /// the server's key, so that nothing in a record lets anybody sign.
    pub secrets: Vec<SecretRecord>,
    /// When it was added.
    #[schemars(with = "Instant")]
    pub created_at: Timestamp,
    /// Since when nothing is sent to it, and why, where that is so.
    pub disabled: Option<Disabled>,
}

/// Where an endpoint is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EndpointAddress {
    /// An address that takes webhooks.
    Url(String),
    /// A mailbox.
    Mail(String),
}

impl fmt::Display for EndpointAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Url(address) | Self::Mail(address)) = self;
        formatter.pad(address)
    }
}

/// A secret of an endpoint, without the secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SecretRecord {
    /// Counts up with each rotation.
    pub number: u32,
    /// The first digits of the digest of the secret, by which it is noticed that the server's key is
    /// another one.
    pub fingerprint: String,
    /// Until when it signs, beside a newer one; absent for the newest.
    #[schemars(with = "Option<Instant>")]
    pub until: Option<Timestamp>,
}

/// That nothing is sent to an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Disabled {
    /// Since when.
    #[schemars(with = "Instant")]
    pub at: Timestamp,
    /// Who wanted that: a token's identifier, or `server`.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// One notification on its way to one endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeliveryRecord {
    /// Counts up over all deliveries.
    pub number: u64,
    /// The endpoint.
    pub endpoint: String,
    /// The notification's identifier, which the receiver sees.
    pub message: String,
    /// What is told.
    pub notification: Notification,
    /// When it was due for the first time.
    #[schemars(with = "Instant")]
    pub created_at: Timestamp,
    /// How often it was tried, since it was last replayed where it was.
    pub tries: u32,
    /// How far it has come.
    pub state: DeliveryState,
    /// What came of the newest try.
    pub last: Option<TryRecord>,
}

/// How far a delivery has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum DeliveryState {
    /// It is tried, again, at this time.
    Waiting {
        /// When.
        #[schemars(with = "Instant")]
        due_at: Timestamp,
    },
    /// The receiver has it.
    Delivered {
        /// Since when.
        #[schemars(with = "Instant")]
        at: Timestamp,
    },
    /// It is not tried any more; somebody may have it replayed.
    Dead {
        /// Since when.
        #[schemars(with = "Instant")]
        at: Timestamp,
    },
}

/// What came of a try.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TryRecord {
    /// When.
    #[schemars(with = "Instant")]
    pub at: Timestamp,
    /// What, in words.
    pub outcome: String,
}

/// The name of a [`DeliveryState`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryStage {
    /// [`DeliveryState::Waiting`].
    Waiting,
    /// [`DeliveryState::Delivered`].
    Delivered,
    /// [`DeliveryState::Dead`].
    Dead,
}

impl DeliveryStage {
    const ALL: [Self; 3] = [Self::Waiting, Self::Delivered, Self::Dead];

    /// The name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
        }
    }
}

impl FromStr for DeliveryStage {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|stage| stage.as_str() == text).ok_or_else(|| {
            format!(
                "state `{}` is not valid: expected waiting, delivered or dead",
                text.escape_debug()
            )
        })
    }
}

impl DeliveryState {
    /// Its name.
    pub const fn stage(&self) -> DeliveryStage {
        match self {
            Self::Waiting { .. } => DeliveryStage::Waiting,
            Self::Delivered { .. } => DeliveryStage::Delivered,
            Self::Dead { .. } => DeliveryStage::Dead,
        }
    }
}

impl DeliveryRecord {
    /// The type of what is told.
    pub fn kind(&self) -> NotificationType {
        self.notification.kind()
    }
}

/// A change of an endpoint that goes with something else.
#[derive(Clone, Debug)]
pub struct EndpointChange {
    /// The endpoint as it was read.
    pub before: EndpointRecord,
    /// The endpoint as it is to be.
    pub after: EndpointRecord,
    /// Who changed it.
    pub audit: AuditEntry,
}

/// The port to what is to be told.
#[async_trait]
pub trait Outbox: Send + Sync + 'static {
    /// Writes down what is to be told, unless that was done with the same `mark` before.
    async fn announce_once(&self, mark: &str, notification: Notification) -> StoreResult<()>;

    /// What was written down and not spread yet, with its number, at most `limit`, the oldest first.
    async fn announced(&self, limit: usize) -> StoreResult<Vec<(u64, Notification)>>;

    /// Takes the notification with this number out of the outbox and adds a delivery, due at `at`, to
    /// each of the endpoints that are still there. Where it is taken out already, nothing changes.
    async fn spread(
        &self,
        number: u64,
        endpoints: BTreeSet<String>,
        at: Timestamp,
    ) -> StoreResult<()>;

    /// Adds an endpoint.
    async fn create_endpoint(&self, endpoint: EndpointRecord, audit: AuditEntry)
    -> StoreResult<()>;

    /// Changes an endpoint if it stands as it was read.
    async fn change_endpoint(&self, change: EndpointChange) -> StoreResult<()>;

    /// Removes an endpoint with its deliveries.
    async fn remove_endpoint(&self, id: &str, audit: AuditEntry) -> StoreResult<()>;

    /// The endpoint called `id`.
    async fn endpoint(&self, id: &str) -> StoreResult<EndpointRecord>;

    /// All endpoints by identifier.
    async fn endpoints(&self) -> StoreResult<Vec<EndpointRecord>>;

    /// The delivery to `endpoint` that is due first, if one is due at `now`.
    async fn due(&self, endpoint: &str, now: Timestamp) -> StoreResult<Option<DeliveryRecord>>;

    /// Replaces a delivery that stands as `before`, and changes its endpoint, where that goes with it.
    async fn settle(
        &self,
        before: DeliveryRecord,
        after: DeliveryRecord,
        endpoint: Option<EndpointChange>,
    ) -> StoreResult<()>;

    /// Replaces a delivery that stands as `before`, by the wish of somebody.
    async fn replay(
        &self,
        before: DeliveryRecord,
        after: DeliveryRecord,
        audit: AuditEntry,
    ) -> StoreResult<()>;

    /// The delivery with this number.
    async fn delivery(&self, number: u64) -> StoreResult<DeliveryRecord>;

    /// The newest `limit` deliveries, of this stage and to this endpoint where one is named, the
    /// newest first.
    async fn deliveries(
        &self,
        stage: Option<DeliveryStage>,
        endpoint: Option<&str>,
        limit: usize,
    ) -> StoreResult<Vec<DeliveryRecord>>;

    /// How many deliveries are dead.
    async fn dead_deliveries(&self) -> StoreResult<u64>;

    /// Removes at most `limit` deliveries: those that were delivered before `before`, and those to an
    /// endpoint that was removed in the meantime. Says how many it were.
    async fn forget_deliveries(&self, before: Timestamp, limit: usize) -> StoreResult<usize>;
}
