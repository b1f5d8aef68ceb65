//! What other systems are told at once, by webhook or by mail: what happened, to whom it belongs, and
//! whom it interests.

use std::{collections::BTreeSet, fmt, str::FromStr};

use jiff::{SignedDuration, Timestamp};
use mainstay_client::format::{
    AdvisoryId, ContractName, CustomerName, Digest, LineName, MachineName, ProductName, Version,
    schema::Instant, wire::EventKind,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    catalogue::Line,
    contract::Contract,
    lifecycle::{self, Ahead, End, Nearness},
};

/// Something that happened or is ahead. As JSON it is the body of a webhook: `type`, `timestamp` and
/// `data`, as Standard Webhooks has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Notification {
    /// When it happened, or was noticed.
    #[schemars(with = "Instant")]
    pub timestamp: Timestamp,
    /// What.
    #[serde(flatten)]
    pub occasion: Occasion,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", content = "data")]
pub enum Occasion {
    /// A machine could not do what its plan said, or lost what it ran.
    #[serde(rename = "machine.update_failed")]
    UpdateFailed(MachineNews),
    /// A machine went back to what it ran before: by itself after an update failed, or by an order.
    #[serde(rename = "machine.rolled_back")]
    RolledBack(MachineNews),
    /// A rollout was stopped.
    #[serde(rename = "rollout.paused")]
    RolloutPaused(RolloutNews),
    /// A contract's paid time ends soon, or has ended.
    #[serde(rename = "contract.ending")]
    ContractEnding(ContractNews),
    /// A line's support ends soon, or has ended.
    #[serde(rename = "line.end_of_support")]
    LineEndOfSupport(LineNews),
    /// A line's life ends soon, or has ended.
    #[serde(rename = "line.end_of_life")]
    LineEndOfLife(LineNews),
    /// Machines are about to stay exposed for longer than is agreed.
    #[serde(rename = "exposure.breach_ahead")]
    ExposureAhead(ExposureNews),
    /// Machines have stayed exposed for longer than is agreed.
    #[serde(rename = "exposure.breached")]
    ExposureBreached(ExposureNews),
}

/// What happened on a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MachineNews {
    /// The machine.
    pub machine: MachineName,
    /// What its owner calls it.
    pub host: String,
    /// Whose machine it is.
    pub customer: CustomerName,
    /// The contract that covers it.
    pub contract: ContractName,
    /// What it runs.
    pub product: ProductName,
    /// What it reported: `undone`, `rolled_back`, `interrupted`, `refused` or `lost`.
    pub kind: EventKind,
    /// Whether nobody ordered it: an update that failed and was undone by the machine itself.
    pub automatic: bool,
    /// The version that ran before.
    pub from: Option<Version>,
    /// The version that it is about.
    pub to: Version,
    /// The number of the rollback order that it belongs to.
    pub order: Option<u64>,
    /// The number of the event among those of the machine.
    pub event: u64,
    /// What the machine says of it.
    pub detail: String,
}

/// What happened to a rollout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RolloutNews {
    /// The product.
    pub product: ProductName,
    /// The version that is rolled out.
    pub version: Version,
    /// Whether nobody ordered it: too many machines failed.
    pub automatic: bool,
    /// On how many machines it failed.
    pub failed: u64,
    /// On how many machines it was tried.
    pub tried: u64,
    /// Why, in a sentence.
    pub reason: String,
}

/// What is ahead of a contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ContractNews {
    /// The contract.
    pub contract: ContractName,
    /// Whose contract it is.
    pub customer: CustomerName,
    /// The products that it covers.
    pub products: BTreeSet<ProductName>,
    /// The first instant that is no longer paid for.
    #[schemars(with = "Instant")]
    pub ends_at: Timestamp,
    /// The step that was reached: in so many days or less; 0 for over.
    pub within_days: i64,
    /// What that means, in a sentence for the customer.
    pub message: String,
}

/// What is ahead of a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LineNews {
    /// The product.
    pub product: ProductName,
    /// The line.
    pub line: LineName,
    /// The first instant that is past the end.
    #[schemars(with = "Instant")]
    pub ends_at: Timestamp,
    /// The step that was reached: in so many days or less; 0 for over.
    pub within_days: i64,
}

/// What is known of machines that lack a fix. Of each customer, product and advisory it is told once that
/// the agreed time will be over, and once that it is: of how many machines at that time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExposureNews {
    /// The product.
    pub product: ProductName,
    /// Whose machines they are.
    pub customer: CustomerName,
    /// The release that has the fix.
    pub version: Version,
    /// What it fixes.
    pub advisories: BTreeSet<AdvisoryId>,
    /// How many machines lack it.
    pub machines: u64,
    /// By when it was agreed that they have it.
    #[schemars(with = "Instant")]
    pub agreed_until: Timestamp,
}

/// The type of a notification.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum NotificationType {
    /// [`Occasion::UpdateFailed`].
    #[serde(rename = "machine.update_failed")]
    UpdateFailed,
    /// [`Occasion::RolledBack`].
    #[serde(rename = "machine.rolled_back")]
    RolledBack,
    /// [`Occasion::RolloutPaused`].
    #[serde(rename = "rollout.paused")]
    RolloutPaused,
    /// [`Occasion::ContractEnding`].
    #[serde(rename = "contract.ending")]
    ContractEnding,
    /// [`Occasion::LineEndOfSupport`].
    #[serde(rename = "line.end_of_support")]
    LineEndOfSupport,
    /// [`Occasion::LineEndOfLife`].
    #[serde(rename = "line.end_of_life")]
    LineEndOfLife,
    /// [`Occasion::ExposureAhead`].
    #[serde(rename = "exposure.breach_ahead")]
    ExposureAhead,
    /// [`Occasion::ExposureBreached`].
    #[serde(rename = "exposure.breached")]
    ExposureBreached,
}

impl NotificationType {
    /// All types.
    pub const ALL: [Self; 8] = [
        Self::UpdateFailed,
        Self::RolledBack,
        Self::RolloutPaused,
        Self::ContractEnding,
        Self::LineEndOfSupport,
        Self::LineEndOfLife,
        Self::ExposureAhead,
        Self::ExposureBreached,
    ];

    /// The type's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UpdateFailed => "machine.update_failed",
            Self::RolledBack => "machine.rolled_back",
            Self::RolloutPaused => "rollout.paused",
            Self::ContractEnding => "contract.ending",
            Self::LineEndOfSupport => "line.end_of_support",
            Self::LineEndOfLife => "line.end_of_life",
            Self::ExposureAhead => "exposure.breach_ahead",
            Self::ExposureBreached => "exposure.breached",
        }
    }
}

impl fmt::Display for NotificationType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl FromStr for NotificationType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|it| it.as_str() == text).ok_or_else(|| {
            let expected = Self::ALL.map(Self::as_str).join(", ");
            format!("type `{}` is not valid: expected one of {expected}", text.escape_debug())
        })
    }
}

impl Notification {
    /// Its identifier: the same for the same occasion, so that a receiver notices what it has had.
    pub fn id(&self) -> Result<String, serde_json::Error> {
        let digest = Digest::of(&serde_json::to_vec(self)?).to_string();
        Ok(format!("msg_{digest:.32}"))
    }

    /// Its type.
    pub fn kind(&self) -> NotificationType {
        match &self.occasion {
            Occasion::UpdateFailed(_) => NotificationType::UpdateFailed,
            Occasion::RolledBack(_) => NotificationType::RolledBack,
            Occasion::RolloutPaused(_) => NotificationType::RolloutPaused,
            Occasion::ContractEnding(_) => NotificationType::ContractEnding,
            Occasion::LineEndOfSupport(_) => NotificationType::LineEndOfSupport,
            Occasion::LineEndOfLife(_) => NotificationType::LineEndOfLife,
            Occasion::ExposureAhead(_) => NotificationType::ExposureAhead,
            Occasion::ExposureBreached(_) => NotificationType::ExposureBreached,
        }
    }

    /// The products that it is about.
    fn products(&self) -> Vec<&ProductName> {
        match &self.occasion {
            Occasion::UpdateFailed(news) | Occasion::RolledBack(news) => vec![&news.product],
            Occasion::RolloutPaused(news) => vec![&news.product],
            Occasion::ContractEnding(news) => news.products.iter().collect(),
            Occasion::LineEndOfSupport(news) | Occasion::LineEndOfLife(news) => {
                vec![&news.product]
            }
            Occasion::ExposureAhead(news) | Occasion::ExposureBreached(news) => {
                vec![&news.product]
            }
        }
    }

    /// The customer whose affair it is, where it is one's alone.
    fn customer(&self) -> Option<&CustomerName> {
        match &self.occasion {
            Occasion::UpdateFailed(news) | Occasion::RolledBack(news) => Some(&news.customer),
            Occasion::ContractEnding(news) => Some(&news.customer),
            Occasion::ExposureAhead(news) | Occasion::ExposureBreached(news) => {
                Some(&news.customer)
            }
            Occasion::RolloutPaused(_)
            | Occasion::LineEndOfSupport(_)
            | Occasion::LineEndOfLife(_) => None,
        }
    }

    /// It in one line, for people.
    pub fn sentence(&self) -> String {
        match &self.occasion {
            Occasion::UpdateFailed(news) => format!(
                "{} ({}) of {} could not carry out its plan for {} {}: {}",
                news.host,
                news.machine,
                news.customer,
                news.product,
                news.to,
                news.kind.as_str()
            ),
            Occasion::RolledBack(news) if news.automatic => format!(
                "{} ({}) of {} has undone the update to {} {}",
                news.host, news.machine, news.customer, news.product, news.to
            ),
            Occasion::RolledBack(news) => format!(
                "{} ({}) of {} went back to {} {}",
                news.host, news.machine, news.customer, news.product, news.to
            ),
            Occasion::RolloutPaused(news) => {
                format!(
                    "The rollout of {} {} is paused: {}",
                    news.product, news.version, news.reason
                )
            }
            Occasion::ContractEnding(news) => {
                format!("Contract {} of {}: {}", news.contract, news.customer, news.message)
            }
            Occasion::LineEndOfSupport(news) => end_of(news, "support"),
            Occasion::LineEndOfLife(news) => end_of(news, "life"),
            Occasion::ExposureAhead(news) => format!(
                "{} machines of {} lack {} {}, which they are to have until {}",
                news.machines, news.customer, news.product, news.version, news.agreed_until
            ),
            Occasion::ExposureBreached(news) => format!(
                "{} machines of {} lack {} {}, which they were to have until {}",
                news.machines, news.customer, news.product, news.version, news.agreed_until
            ),
        }
    }
}

fn end_of(news: &LineNews, what: &str) -> String {
    let LineNews { product, line, ends_at, within_days } = news;
    if *within_days == 0 {
        format!("The {what} of line {line} of {product} ended at {ends_at}")
    } else {
        format!(
            "The {what} of line {line} of {product} ends at {ends_at}, in {within_days} days or less"
        )
    }
}

/// Which notifications somebody wants.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Interest {
    /// Of these types; empty for all.
    #[serde(default)]
    pub types: BTreeSet<NotificationType>,
    /// About this product; absent for all.
    #[serde(default)]
    pub product: Option<ProductName>,
    /// Of this customer's affairs alone; absent for everybody's, and for what is nobody's.
    #[serde(default)]
    pub customer: Option<CustomerName>,
}

impl Interest {
    /// Whether the notification is one of those.
    pub fn includes(&self, notification: &Notification) -> bool {
        let is_of_type = self.types.is_empty() || self.types.contains(&notification.kind());
        let is_of_product =
            self.product.as_ref().is_none_or(|product| notification.products().contains(&product));
        let is_of_customer =
            self.customer.as_ref().is_none_or(|it| notification.customer() == Some(it));
        is_of_type && is_of_product && is_of_customer
    }
}

/// For how long after an end it is still told that it has come.
const OVER_TOLD: SignedDuration = SignedDuration::from_hours(24 * 30);

/// A notification that is due once for each `mark`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// What tells it from every other one, and from the same for another date.
    pub mark: String,
    /// The notification.
    pub notification: Notification,
}

/// What is told at `at` of something that a machine reported, if anything is.
pub fn of_machine(news: MachineNews, at: Timestamp) -> Option<Notification> {
    let occasion = match news.kind {
        // An order that could not be carried out leaves the machine where it was.
        EventKind::Undone if news.order.is_some() => Occasion::UpdateFailed(news),
        EventKind::Undone => Occasion::RolledBack(MachineNews { automatic: true, ..news }),
        EventKind::RolledBack => Occasion::RolledBack(news),
        EventKind::Interrupted | EventKind::Refused | EventKind::Lost => {
            Occasion::UpdateFailed(news)
        }
        EventKind::Installed
        | EventKind::Confirmed
        | EventKind::Deferred
        | EventKind::MadeRoom
        | EventKind::Retried
        | EventKind::Unblocked => return None,
    };
    Some(Notification { timestamp: at, occasion })
}

/// What is due at `now` of the end of a contract's paid time.
pub fn of_contract(
    (name, customer): (&ContractName, &CustomerName),
    contract: &Contract,
    now: Timestamp,
) -> Option<Due> {
    let ahead = lifecycle::paid_time_ahead(contract, now)?;
    let within_days = told_step(&ahead, now)?;
    let news = ContractNews {
        contract: name.clone(),
        customer: customer.clone(),
        products: contract.products.clone(),
        ends_at: ahead.at,
        within_days,
        message: ahead.sentence(contract),
    };
    let mark = format!("contract/{name}/{}/{within_days}", ahead.at);
    let occasion = Occasion::ContractEnding(news);
    Some(Due { mark, notification: Notification { timestamp: now, occasion } })
}

/// What is due at `now` of the ends of a line of `product`.
pub fn of_line(product: &ProductName, line: &Line, now: Timestamp) -> Vec<Due> {
    let due = |ahead: Ahead| {
        let within_days = told_step(&ahead, now)?;
        let news =
            LineNews { product: product.clone(), line: line.line, ends_at: ahead.at, within_days };
        let (what, occasion) = match ahead.end {
            End::Eos(_) => ("eos", Occasion::LineEndOfSupport(news)),
            End::Eol(_) => ("eol", Occasion::LineEndOfLife(news)),
            End::PaidTime => return None,
        };
        let mark = format!("{what}/{product}/{}/{}/{within_days}", line.line, ahead.at);
        Some(Due { mark, notification: Notification { timestamp: now, occasion } })
    };
    lifecycle::line_ends_ahead(line, now).into_iter().filter_map(due).collect()
}

/// The step that is told now; nothing of an end that is long over.
fn told_step(ahead: &Ahead, now: Timestamp) -> Option<i64> {
    match ahead.nearness {
        Nearness::WithinDays(days) => Some(days),
        Nearness::Over => (now.duration_since(ahead.at) < OVER_TOLD).then_some(0),
    }
}

#[cfg(test)]
mod tests;
