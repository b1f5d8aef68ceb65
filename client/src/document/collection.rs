use serde::Serialize;

use crate::client::{Collection, CollectionOutcome};

/// What came of a request for a support bundle.
#[derive(Clone, Debug, Serialize)]
pub struct CollectionDocument {
    /// The order that asked for it.
    pub order: u64,
    /// `sent`, `awaits_approval`, `forbidden`, or `failed`, which is tried again.
    pub outcome: &'static str,
    /// That in a sentence without its full stop.
    pub message: String,
}

impl From<&Collection> for CollectionDocument {
    fn from(collection: &Collection) -> Self {
        let Collection { number: order, outcome } = collection;
        let (outcome, message) = match outcome {
            CollectionOutcome::Sent => ("sent", "it was made and sent".to_owned()),
            CollectionOutcome::AwaitsApproval => ("awaits_approval", APPROVE_COLLECTION.to_owned()),
            CollectionOutcome::Forbidden => {
                ("forbidden", "`[support] collect` in agent.toml forbids it".to_owned())
            }
            CollectionOutcome::Failed(why) => {
                ("failed", format!("it is tried again at the next check: {why}"))
            }
        };
        Self { order: *order, outcome, message }
    }
}

/// What is to be done where a support bundle waits for approval.
pub(crate) const APPROVE_COLLECTION: &str = "it waits for approval: `mainstay-agent collect --approve`, and \
                                             `collect --output FILE` shows it";
