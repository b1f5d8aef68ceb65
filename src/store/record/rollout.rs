use jiff::Timestamp;
use mainstay_client::format::{ProductName, Version};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{AuditEntry, Word};
use crate::policy::{
    Notification, Occasion, Outcomes, Rollout, RolloutState, notification::RolloutNews,
    rollout::Advance,
};

/// Who acts where nobody does.
const SERVER: &str = "server";

/// The rollout of a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RolloutRecord {
    /// The product.
    pub product: ProductName,
    /// The version.
    pub version: Version,
    /// Rises by one with every change.
    pub revision: u64,
    /// Who started it.
    pub started: Word,
    /// Who changed it last: what is, is so by their word.
    pub changed: Word,
    /// The rollout.
    #[serde(flatten)]
    pub rollout: Rollout,
}

impl RolloutRecord {
    /// What it is called in the audit trail.
    pub fn subject(&self) -> String {
        format!("{} {}", self.product, self.version)
    }

    /// What the audit trail is told of what was there before a change.
    pub fn before(&self) -> serde_json::Value {
        json!({
            "revision": self.revision,
            "state": self.rollout.state,
            "waves": self.rollout.terms.waves,
            "waves_begun": self.rollout.progress.opened.len(),
            "changed": self.changed,
        })
    }

    /// What is told elsewhere of a change to this record that pauses it, when machines had told `outcomes`;
    /// nothing where it was paused before.
    pub fn pause_told(&self, before: &Self, outcomes: Outcomes) -> Option<Notification> {
        let is_paused = |record: &Self| record.rollout.state == RolloutState::Paused;
        let Outcomes { tried, failed, .. } = outcomes.since(before.rollout.baseline);
        let news = || RolloutNews {
            product: self.product.clone(),
            version: self.version.clone(),
            automatic: self.changed.by == SERVER,
            failed,
            tried,
            reason: self.changed.reason.clone(),
        };
        (is_paused(self) && !is_paused(before)).then(|| Notification {
            timestamp: self.changed.at,
            occasion: Occasion::RolloutPaused(news()),
        })
    }

    /// The record after `outcomes` have come in at `at`, with what the audit trail is told; nothing where
    /// they change nothing. The revision stays: the store raises it.
    pub fn heed(&self, outcomes: Outcomes, at: Timestamp) -> Option<(Self, AuditEntry)> {
        let rollout = self.rollout.heed(outcomes, at)?;
        let counted = outcomes.since(self.rollout.baseline);
        let thresholds = &self.rollout.terms.thresholds;
        let Outcomes { tried, succeeded, failed } = counted;
        let success = || thresholds.success.map(|it| it.to_string());
        let (action, told, threshold) = match (rollout.state, rollout.advance) {
            (RolloutState::Paused, _) => (
                "rollout.pause",
                format!("{failed} of {tried} machines failed"),
                thresholds.failure.map(|it| it.to_string()),
            ),
            (_, Advance::Held) => {
                ("rollout.hold", format!("{succeeded} of {tried} machines succeeded"), success())
            }
            (_, Advance::Free) => {
                ("rollout.go_on", format!("{succeeded} of {tried} machines succeeded"), success())
            }
        };
        let limit = threshold.map(|it| format!("; the threshold is {it}"));
        let reason = format!("{told}{}", limit.unwrap_or_default());
        let (by, ticket) = (SERVER.to_owned(), None);
        let changed = Word { at, by: by.clone(), reason: reason.clone(), ticket };
        let entry = AuditEntry {
            at,
            actor: by,
            address: None,
            action: action.to_owned(),
            subject: self.subject(),
            reason: Some(reason),
            ticket: None,
            detail: format!("wave {} of {}", rollout.waves_begun(at), rollout.terms.waves.count()),
            before: Some(self.before()),
        };
        Some((Self { changed, rollout, ..self.clone() }, entry))
    }
}

/// Whether all updates of a product are stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StopRecord {
    /// The product.
    pub product: ProductName,
    /// Rises by one with every change.
    pub revision: u64,
    /// Whether they are.
    pub state: StopState,
    /// By whose word.
    pub word: Word,
}

/// Whether all updates of a product are stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StopState {
    /// No machine is updated to anything.
    Stopped,
    /// They go on.
    Lifted,
}
