use jiff::Timestamp;
use serde::Serialize;

use super::Document;
use crate::{
    client::{
        CollectionRequest, History, Offer, Status,
        settings::{CollectConsent, Step, Wait},
    },
    format::{
        Action, ChannelName, CollectOrder, LineName, Plan, RetryOrder, RollbackOrder, Version,
        wire::Awaited,
    },
    install::{Block, Probation, Recorded, StageName},
};

/// What is known about a machine without asking anybody.
#[derive(Clone, Debug, Serialize)]
pub struct StatusDocument {
    /// What runs.
    pub running: Option<Version>,
    /// Since when, by the machine's clock as it went then.
    pub running_since: Option<Timestamp>,
    /// What is on probation.
    pub probation: Option<Probation>,
    /// The versions that were confirmed here, the latest last.
    pub confirmed: Vec<Version>,
    /// The versions whose trees are kept.
    pub kept: Vec<Version>,
    /// Where `mainstay-agent rollback` leads.
    pub way_back: Option<Version>,
    /// The versions that updates do not install again, and why.
    pub blocked: Vec<Block>,
    /// The lowest version that a rollback may reach.
    pub floor: Option<Version>,
    /// The newest plan that was verified.
    pub plan: Option<PlanDocument>,
    /// What of that plan is still to be done.
    pub offered: Option<OfferDocument>,
    /// The signed dates of the lines of what runs and of what is offered.
    pub lines: Vec<LineDocument>,
    /// When the server last answered, what stands in the way of what is offered, and the last failure,
    /// undone update and refusal.
    pub history: History,
    /// How many events the server has not been told of.
    pub pending_events: usize,
    /// How far the present attempt has got. What is neither `idle` nor `probation` is being done by
    /// another process just now, or was cut off: then the next command but this one mends it.
    pub stage: StageName,
    /// The version that the present attempt is about.
    pub attempted: Option<Version>,
    /// A version that support wants to be tried once more, as the newest plan says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryOrder>,
    /// A support bundle that is asked for and was not sent yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collection: Option<CollectionRequestDocument>,
    /// The server.
    pub server: String,
}

/// A support bundle that is asked for.
#[derive(Clone, Debug, Serialize)]
pub struct CollectionRequestDocument {
    /// The order.
    #[serde(flatten)]
    pub order: CollectOrder,
    /// What the settings let happen: `forbid`, `ask` or `allow`.
    pub consent: CollectConsent,
    /// Whether somebody at the machine has approved of it.
    pub is_approved: bool,
}

/// The newest plan.
#[derive(Clone, Debug, Serialize)]
pub struct PlanDocument {
    /// Its version.
    pub version: u64,
    /// When it was signed.
    pub issued: Timestamp,
    /// From when on it does not count.
    pub expires: Timestamp,
    /// What it says is to be done: `stay`, `update` or `rollback`.
    pub action: &'static str,
    /// The release that it names.
    pub target: Option<Version>,
}

/// What of a plan is still to be done.
#[derive(Clone, Debug, Serialize)]
pub struct OfferDocument {
    /// `update` or `rollback`.
    pub action: &'static str,
    /// The release to be installed.
    pub version: Version,
    /// Its channel.
    pub channel: ChannelName,
    /// The rollback order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<RollbackOrder>,
    /// What `mainstay-agent run` waits for before it installs that; absent where for nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<Waits>,
    /// When the window opens that it waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opens: Option<Timestamp>,
    /// That in a sentence without its full stop.
    pub message: String,
}

/// What `mainstay-agent run` waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Waits {
    /// That what is on probation is confirmed.
    Confirmation,
    /// `mainstay-agent approve`.
    Approval,
    /// A maintenance window.
    Window,
    /// `mainstay-agent update`: the settings let nothing of the channel happen by itself.
    Command,
}

/// The dates of a line.
#[derive(Clone, Debug, Serialize)]
pub struct LineDocument {
    /// The line.
    pub line: LineName,
    /// From when on its patch releases need extended support.
    pub eos: Option<Timestamp>,
    /// From when on its patch releases are for nobody.
    pub eol: Option<Timestamp>,
}

impl Document {
    pub(crate) fn of_status(status: &Status) -> Self {
        let Status { enrolment, recorded, plan, offer, lines, history, collection } = status;
        let Recorded { record, running_since, stage, attempted, pending_events } = recorded;
        let offered = offer.as_ref().and_then(OfferDocument::of);
        let concerned = [record.running.as_ref(), offered.as_ref().map(|it| &it.version)];
        let mut concerned: Vec<_> = concerned.into_iter().flatten().map(Version::line).collect();
        concerned.dedup();
        let dates = |line: LineName| {
            let dates = lines.dates(line);
            LineDocument { line, eos: dates.eos, eol: dates.eol }
        };
        let document = StatusDocument {
            running: record.running.clone(),
            running_since: *running_since,
            probation: record.probation.clone(),
            confirmed: record.confirmed.clone(),
            kept: record.trees.iter().map(|tree| tree.version.clone()).collect(),
            way_back: record.previous().map(|tree| tree.version.clone()),
            blocked: record.blocked.clone(),
            floor: record.floor.clone(),
            plan: plan.as_ref().map(PlanDocument::from),
            offered,
            lines: concerned.into_iter().map(dates).collect(),
            history: history.clone(),
            pending_events: *pending_events,
            stage: *stage,
            attempted: attempted.clone(),
            retry: plan.as_ref().and_then(|plan| plan.retry.clone()),
            collection: collection.clone().map(|request| {
                let CollectionRequest { order, consent, is_approved } = request;
                CollectionRequestDocument { order, consent, is_approved }
            }),
            server: enrolment.server.clone(),
        };
        let mut answer = Self::of_machine("status", enrolment);
        if let Some(plan) = plan {
            answer = answer.with_plan(plan);
        }
        Self { version_from: record.running.clone(), status: Some(document), ..answer }
    }
}

impl From<&Plan> for PlanDocument {
    fn from(plan: &Plan) -> Self {
        Self {
            version: plan.version,
            issued: plan.issued,
            expires: plan.expires,
            action: action_name(&plan.action),
            target: plan.action.target().map(|target| target.version.clone()),
        }
    }
}

impl OfferDocument {
    fn of(offer: &Offer) -> Option<Self> {
        let Offer { action, probation, step } = offer;
        let target = action.target()?;
        let version = &target.version;
        let (waits_for, opens) = match offer.awaited() {
            None => (None, None),
            Some(Awaited::Confirmation) => (Some(Waits::Confirmation), None),
            Some(Awaited::Approval) => (Some(Waits::Approval), None),
            Some(Awaited::Window(opens)) => (Some(Waits::Window), Some(opens)),
            Some(Awaited::Command) => (Some(Waits::Command), None),
        };
        let message = match (probation, step) {
            (Some(probation), _) => {
                format!("{version} waits until {probation} is confirmed or undone")
            }
            (None, Step::Wait(wait) | Step::Fetch(wait)) => wait_in_words(version, *wait),
            (None, Step::Rest) => {
                format!("{version} is installed by `mainstay-agent update` alone")
            }
            (None, Step::Apply) => format!("{version} is installed by the next update"),
        };
        let order = match action {
            Action::Rollback { order, .. } => Some(order.clone()),
            Action::Stay | Action::Update { .. } => None,
        };
        let (action, channel) = (action_name(action), target.channel.clone());
        Some(Self { action, version: version.clone(), channel, order, waits_for, opens, message })
    }
}

fn action_name(action: &Action) -> &'static str {
    match action {
        Action::Stay => "stay",
        Action::Update { .. } => "update",
        Action::Rollback { .. } => "rollback",
    }
}

/// What an update to `version` waits for, in a sentence without its full stop.
pub(crate) fn wait_in_words(version: &Version, wait: Wait) -> String {
    match wait {
        Wait::Approval => {
            format!("{version} waits for approval: `mainstay-agent approve {version}`")
        }
        Wait::Window(opens) => format!("{version} waits for the window that opens at {opens}"),
    }
}
