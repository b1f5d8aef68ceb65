//! How far an action has come, machine by machine.

use jiff::Timestamp;
use mainstay_client::format::{
    CustomerName, MachineName, Version,
    schema::Instant,
    wire::{Event, EventKind},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ActionProgress, ActionSummary};
use crate::{
    policy::Completion,
    service::{Actor, Service, ServiceResult},
    store::{
        ActionEnd, ActionMachine, ActionRecord, ActionResult, ActionState, CollectionRecord,
        CollectionState, MachineRecord, OrderState, RecordedAction, StoreResult, found,
    },
};

/// How many of a machine's newest events are looked at for what it says of an action.
const EVENTS_LOOKED_AT: usize = 200;

/// How far a machine has come with an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProgressState {
    /// It has not been told yet.
    Waiting,
    /// It has been sent a plan that says so.
    Told,
    /// It is done.
    CarriedOut,
    /// It has reported that it could not or would not.
    Refused,
    /// The server could not order it of the machine.
    Cannot,
    /// Somebody has cancelled it, or wanted something else since.
    Cancelled,
}

/// How far one machine has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MachineProgress {
    /// The machine.
    pub machine: MachineName,
    /// Whose it was when the action was ordered; nothing where there was no such machine.
    pub customer: Option<CustomerName>,
    /// What it reports as running, where it is still that customer's.
    pub running: Option<Version>,
    /// How far it has come.
    pub state: ProgressState,
    /// Since when, where that was noted.
    #[schemars(with = "Option<Instant>")]
    pub at: Option<Timestamp>,
    /// Why, or what the machine said of it; may be empty.
    pub detail: String,
}

/// How many machines have come how far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ActionCounts {
    /// Have not been told yet.
    pub waiting: usize,
    /// Have been sent a plan that says so.
    pub told: usize,
    /// Are done.
    pub carried_out: usize,
    /// Have reported that they could not or would not.
    pub refused: usize,
    /// Could not be ordered to.
    pub cannot: usize,
    /// Have been left by a cancellation, or somebody has wanted something else of them since.
    pub cancelled: usize,
}

impl ProgressState {
    /// The state in words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Told => "told",
            Self::CarriedOut => "carried out",
            Self::Refused => "refused",
            Self::Cannot => "cannot",
            Self::Cancelled => "cancelled",
        }
    }
}

impl From<ActionResult> for ProgressState {
    fn from(result: ActionResult) -> Self {
        match result {
            ActionResult::CarriedOut => Self::CarriedOut,
            ActionResult::Refused => Self::Refused,
            ActionResult::Cannot => Self::Cannot,
            ActionResult::Cancelled => Self::Cancelled,
        }
    }
}

impl ActionCounts {
    fn of(progress: &[MachineProgress]) -> Self {
        let mut counts = Self::default();
        for machine in progress {
            *match machine.state {
                ProgressState::Waiting => &mut counts.waiting,
                ProgressState::Told => &mut counts.told,
                ProgressState::CarriedOut => &mut counts.carried_out,
                ProgressState::Refused => &mut counts.refused,
                ProgressState::Cannot => &mut counts.cannot,
                ProgressState::Cancelled => &mut counts.cancelled,
            } += 1;
        }
        counts
    }

    /// How many machines have not come to an end.
    pub const fn open(&self) -> usize {
        self.waiting + self.told
    }

    /// How many machines have come to an end without having done it.
    pub const fn missed(&self) -> usize {
        self.refused + self.cannot + self.cancelled
    }
}

/// What is known of a machine that an action was recorded with.
pub(super) enum Reported {
    /// It was told so, or not yet.
    Open(ProgressState),
    /// It has come to an end.
    Ended(ActionResult, String),
}

impl Service {
    /// An action with as much of its machines as the actor may see.
    pub(super) async fn progressed(
        &self,
        actor: &Actor,
        mut record: ActionRecord,
    ) -> ServiceResult<ActionProgress> {
        let is_own = self.is_wholly_in(&actor.scope, &record).await?;
        if !is_own {
            record.filter = None;
        }
        let mut machines = self.meta.machines_of_action(&record.id).await?;
        if let Some(customers) = actor.scope.customers() {
            machines.retain(|machine| {
                machine.customer.as_ref().map_or(is_own, |customer| customers.contains(customer))
            });
        }
        let mut progress = Vec::with_capacity(machines.len());
        for machine in machines {
            // Whoever else this worker serves is not to wait for all of them.
            tokio::task::yield_now().await;
            progress.push(self.machine_progress(&record, machine).await?);
        }
        let counts = ActionCounts::of(&progress);
        record.machines = progress.len();
        if record.state == ActionState::Running && counts.open() == 0 {
            // The record follows within the next round.
            record.state = ActionState::Done;
        }
        Ok(ActionProgress { summary: ActionSummary { record, counts }, progress })
    }

    async fn machine_progress(
        &self,
        action: &ActionRecord,
        machine: ActionMachine,
    ) -> ServiceResult<MachineProgress> {
        let record = found(self.meta.machine(&machine.machine).await)?;
        let record = record.filter(|record| Some(&record.customer) == machine.customer.as_ref());
        let running = record.as_ref().and_then(|record| record.running.clone());
        let recorded_at = machine.recorded.map(|recorded| recorded.at);
        let (state, at, detail) = match (machine.end, machine.recorded) {
            (Some(ActionEnd { at, result, detail }), _) => (result.into(), Some(at), detail),
            (None, recorded) if action.state == ActionState::Cancelled => {
                let detail = if recorded.is_some() {
                    "it was recorded with the machine before, which may carry it out"
                } else {
                    ""
                };
                (ProgressState::Cancelled, Some(action.changed.at), detail.to_owned())
            }
            (None, None) => (ProgressState::Waiting, None, String::new()),
            (None, Some(recorded)) => match self.reported(action, &recorded, record).await? {
                Reported::Open(state) => (state, recorded_at, String::new()),
                Reported::Ended(result, detail) => (result.into(), recorded_at, detail),
            },
        };
        let ActionMachine { machine, customer, .. } = machine;
        Ok(MachineProgress { machine, customer, running, state, at, detail })
    }

    /// What has become of an action that was recorded with a machine, which stands as `record`; nothing
    /// where it is another customer's by now.
    pub(super) async fn reported(
        &self,
        action: &ActionRecord,
        recorded: &RecordedAction,
        record: Option<MachineRecord>,
    ) -> StoreResult<Reported> {
        let Some(record) = record else {
            return Ok(Reported::Ended(ActionResult::Cannot, GONE.to_owned()));
        };
        let completion = action.action.completion();
        if completion == Completion::Recorded {
            return Ok(Reported::Ended(ActionResult::CarriedOut, String::new()));
        }
        if record.event_number > recorded.event_number {
            let mut events = self.meta.events(&record.name, EVENTS_LOOKED_AT).await?;
            events.retain(|told| told.event.number > recorded.event_number);
            let mut newest = events.iter().rev();
            let said = newest.find_map(|told| said(&completion, recorded, &told.event));
            if let Some((result, detail)) = said {
                return Ok(Reported::Ended(result, detail));
            }
        }
        if record.retired.is_some() {
            let detail = format!("machine {} was retired", record.name);
            return Ok(Reported::Ended(ActionResult::Cannot, detail));
        }
        Ok(stands(&completion, recorded, &record, self.clock.now()))
    }
}

/// What is said of a machine that went over to another customer.
pub(super) const GONE: &str = "the machine went over to another customer";

/// What a machine's event says of what was wanted of it.
fn said(
    completion: &Completion<'_>,
    recorded: &RecordedAction,
    event: &Event,
) -> Option<(ActionResult, String)> {
    let is_about = match completion {
        Completion::Recorded | Completion::BundleSent => false,
        Completion::OrderReported | Completion::RetryReported => {
            event.order.is_some() && event.order == recorded.order
        }
        Completion::Confirmed(version) => event.order.is_none() && event.to == **version,
    };
    let result = match (event.kind, completion) {
        (EventKind::RolledBack, Completion::OrderReported)
        | (EventKind::Retried, Completion::RetryReported)
        | (EventKind::Confirmed, Completion::Confirmed(_)) => ActionResult::CarriedOut,
        (EventKind::Undone | EventKind::Refused, _) => ActionResult::Refused,
        _ => return None,
    };
    is_about.then(|| {
        let detail = event.detail.lines().next().unwrap_or_default();
        let detail = detail.chars().filter(|c| !c.is_control()).collect();
        (result, if result == ActionResult::CarriedOut { String::new() } else { detail })
    })
}

/// What the machine's record says of it, where no event does.
fn stands(
    completion: &Completion<'_>,
    recorded: &RecordedAction,
    record: &MachineRecord,
    now: Timestamp,
) -> Reported {
    let is_planned = record.plan.as_ref().is_some_and(|plan| plan.version > recorded.plan);
    match completion {
        Completion::Recorded => Reported::Ended(ActionResult::CarriedOut, String::new()),
        Completion::OrderReported => match &record.order {
            Some(order) if Some(order.number) == recorded.order => ordered(order.state, is_planned),
            Some(order) => replaced(order.number, &order.by, &order.reason),
            None => gone(),
        },
        Completion::RetryReported => match record.retry.as_deref() {
            Some(order) if Some(order.number) == recorded.order => ordered(order.state, is_planned),
            Some(order) => replaced(order.number, &order.word.by, &order.word.reason),
            None => gone(),
        },
        Completion::BundleSent => match record.collection.as_deref() {
            Some(order) if Some(order.number) == recorded.order => {
                collected(order, is_planned, now)
            }
            Some(order) => replaced(order.number, &order.word.by, &order.word.reason),
            None => gone(),
        },
        Completion::Confirmed(version) => match &record.pin {
            Some(pin) if pin.version == **version => {
                // A plan that says what the one before it said is not signed anew.
                open(is_planned || record.seen_at > recorded.at)
            }
            Some(pin) => Reported::Ended(
                ActionResult::Cancelled,
                format!(
                    "a pin to {} of {} took its place: {}",
                    pin.version, pin.word.by, pin.word.reason
                ),
            ),
            None => Reported::Ended(ActionResult::Cancelled, "its pin was ended".to_owned()),
        },
    }
}

fn open(is_told: bool) -> Reported {
    Reported::Open(if is_told { ProgressState::Told } else { ProgressState::Waiting })
}

fn ordered(state: OrderState, is_planned: bool) -> Reported {
    match state {
        OrderState::Pending => open(is_planned),
        OrderState::Done => Reported::Ended(ActionResult::CarriedOut, String::new()),
        OrderState::Failed => Reported::Ended(ActionResult::Refused, String::new()),
    }
}

fn collected(order: &CollectionRecord, is_planned: bool, now: Timestamp) -> Reported {
    match order.state {
        CollectionState::Collected => Reported::Ended(ActionResult::CarriedOut, String::new()),
        CollectionState::Forbidden => Reported::Ended(
            ActionResult::Refused,
            "the machine's administrator forbids it".to_owned(),
        ),
        CollectionState::Pending | CollectionState::AwaitsApproval if order.expires <= now => {
            let detail = format!("nothing came until {}", order.expires);
            Reported::Ended(ActionResult::Cannot, detail)
        }
        CollectionState::AwaitsApproval => open(true),
        CollectionState::Pending => open(is_planned),
    }
}

fn replaced(number: u64, by: &str, reason: &str) -> Reported {
    let detail = format!("order {number} of {by} took its place: {reason}");
    Reported::Ended(ActionResult::Cancelled, detail)
}

fn gone() -> Reported {
    Reported::Ended(ActionResult::Cancelled, "its order is gone".to_owned())
}
