//! What support has asked of a machine beside going back, and what came of it.

use jiff::Timestamp;
use mainstay_client::format::{
    CustomerName, Digest, MachineName, Version, schema::Instant, wire::CollectionAnswer,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{MachineRecord, OrderState, Word};

/// A technician's order to try a version once more that failed on a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RetryRecord {
    /// Its number, as of all orders to the machine.
    pub number: u64,
    /// The version.
    pub version: Version,
    /// What has become of it: done where the machine has lifted its own block.
    pub state: OrderState,
    /// Who wants it.
    #[serde(flatten)]
    pub word: Word,
}

/// A technician's request for a support bundle of a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CollectionRecord {
    /// Its number, as of all orders to the machine.
    pub number: u64,
    /// From when on nothing is taken any more.
    #[schemars(with = "Instant")]
    pub expires: Timestamp,
    /// What has become of it.
    pub state: CollectionState,
    /// When the machine has answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Instant>")]
    pub answered_at: Option<Timestamp>,
    /// Who wants it.
    #[serde(flatten)]
    pub word: Word,
}

/// What has become of a request for a support bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CollectionState {
    /// The machine has not answered yet.
    Pending,
    /// Somebody at the machine has to approve of it first.
    AwaitsApproval,
    /// The machine's administrator forbids it.
    Forbidden,
    /// The bundle is here.
    Collected,
}

impl CollectionRecord {
    /// Whether the machine may still send the bundle.
    pub fn is_open(&self, now: Timestamp) -> bool {
        let is_answered =
            matches!(self.state, CollectionState::Forbidden | CollectionState::Collected);
        !is_answered && now < self.expires
    }
}

impl From<CollectionAnswer> for CollectionState {
    fn from(answer: CollectionAnswer) -> Self {
        match answer {
            CollectionAnswer::AwaitsApproval => Self::AwaitsApproval,
            CollectionAnswer::Forbidden => Self::Forbidden,
        }
    }
}

/// A support bundle that a machine has sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BundleRecord {
    /// The machine.
    pub machine: MachineName,
    /// Whose machine it was then.
    pub customer: CustomerName,
    /// The number of the order that asked for it.
    pub number: u64,
    /// When it came.
    #[schemars(with = "Instant")]
    pub at: Timestamp,
    /// Its digest, by which the blob is found.
    pub sha256: Digest,
    /// Its length in bytes.
    pub length: u64,
    /// Who wanted it, and why.
    pub word: Word,
}

impl MachineRecord {
    /// The number of the next order to it. Rollbacks, retries and collections are numbered together, so
    /// that the machine can say which it speaks of; and on from one customer to the next.
    pub fn next_order_number(&self) -> u64 {
        let numbers = [
            Some(self.orders_given),
            self.order.as_ref().map(|order| order.number),
            self.retry.as_ref().map(|retry| retry.number),
            self.collection.as_ref().map(|collection| collection.number),
        ];
        numbers.into_iter().flatten().max().unwrap_or_default().saturating_add(1)
    }

    /// The order to try a version again that the machine has not carried out yet.
    pub fn pending_retry(&self) -> Option<&RetryRecord> {
        self.retry.as_deref().filter(|retry| retry.state == OrderState::Pending)
    }
}
