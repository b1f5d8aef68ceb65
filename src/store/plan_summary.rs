use jiff::Timestamp;
use mainstay_client::format::{Action, CustomerName, Plan, Version, schema::Instant};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A plan as it is sent to a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPlan {
    /// The signed document, byte for byte.
    pub signed: String,
    /// What it says.
    pub said: PlanSummary,
}

/// What a plan said that a machine was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlanSummary {
    /// The plan's version.
    pub version: u64,
    /// Whose machine it was then.
    pub customer: CustomerName,
    /// When it was signed.
    #[schemars(with = "Instant")]
    pub issued: Timestamp,
    /// From when on no machine may act on it.
    #[schemars(with = "Instant")]
    pub expires: Timestamp,
    /// `stay`, `update` or `rollback`.
    pub action: String,
    /// The version to install.
    pub to: Option<Version>,
    /// The rollback order that it told of.
    pub order: Option<u64>,
    /// The order to try a version again that it told of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<u64>,
    /// The request for a support bundle that it told of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collect: Option<u64>,
    /// The nearest of the releases that it withheld, at most [`PlanSummary::WITHHELD_MAX`].
    pub withheld: Vec<WithheldSummary>,
    /// The codes of its notices.
    pub notices: Vec<String>,
}

/// A release that a plan withheld.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WithheldSummary {
    /// The version.
    pub version: Version,
    /// The stable reason code.
    pub code: String,
}

impl PlanSummary {
    /// How many of the releases that a plan withheld are remembered.
    pub const WITHHELD_MAX: usize = 10;

    /// What `plan` says.
    pub fn of(plan: &Plan) -> Self {
        let (action, order) = match &plan.action {
            Action::Stay => ("stay", None),
            Action::Update { .. } => ("update", None),
            Action::Rollback { order, .. } => ("rollback", Some(order.number)),
        };
        let withheld = plan.withheld.iter().take(Self::WITHHELD_MAX).map(|entry| WithheldSummary {
            version: entry.version.clone(),
            code: entry.code.clone(),
        });
        Self {
            version: plan.version,
            customer: plan.customer.clone(),
            issued: plan.issued,
            expires: plan.expires,
            action: action.to_owned(),
            to: plan.action.target().map(|target| target.version.clone()),
            order,
            retry: plan.retry.as_ref().map(|retry| retry.number),
            collect: plan.collect.as_ref().map(|collect| collect.number),
            withheld: withheld.collect(),
            notices: plan.notices.iter().map(|notice| notice.code.clone()).collect(),
        }
    }
}
