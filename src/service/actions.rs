//! Actions over several machines: shown first, ordered, approved by a second person where they touch
//! many, carried out machine by machine, and told of until every machine has come to an end.

mod carry_out;
mod progress;
mod selected;

use std::collections::BTreeSet;

use mainstay_client::format::{AdvisoryId, CustomerName, MachineName, ProductName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::progress::{ActionCounts, MachineProgress, ProgressState};
use super::{
    ATTEMPTS_MAX, Actor, ErrorClass, Scope, Service, ServiceError, ServiceResult,
    action::{ActionOutcome, MachineAction, exposed},
    rollout::require_second_person,
};
use crate::{
    clock::random_bytes,
    policy::Reopening,
    store::{
        ActionEnd, ActionId, ActionMachine, ActionRecord, ActionResult, ActionState, AuditEntry,
        MachineFilter, MachineRecord, OrderingSide, Role, StoreError, Word, found,
    },
};

/// `POST /v1/actions/preview`: what is wanted of which machines.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WantedAction {
    /// The product of the machines; absent where all that are selected run the same one.
    #[serde(default)]
    pub product: Option<ProductName>,
    /// Which machines.
    pub selection: MachineSelection,
    /// What is wanted of each.
    pub action: MachineAction,
    /// Why.
    pub reason: String,
    /// The ticket that it belongs to.
    #[serde(default)]
    pub ticket: Option<String>,
}

/// Which machines somebody acts on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum MachineSelection {
    /// All of which everything is true that is asked for. Retired ones are not among them.
    Filter {
        /// What is asked for, at least one thing.
        filter: MachineFilter,
    },
    /// These.
    Listed {
        /// Their names.
        machines: BTreeSet<MachineName>,
    },
}

/// `POST /v1/actions`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OrderAction {
    /// What is wanted of which machines.
    pub wanted: WantedAction,
    /// The machines that whoever orders it has been shown, which are those that it is for.
    pub shown: BTreeSet<MachineName>,
}

/// `POST /v1/actions/{action}/approve` and `…/cancel`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeAction {
    /// Why.
    pub reason: String,
    /// The ticket that it belongs to.
    #[serde(default)]
    pub ticket: Option<String>,
}

/// `GET /v1/actions`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListActions {
    /// Those only that were ordered before this one; absent for the newest.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub before: Option<ActionId>,
    /// At most so many, 1 to 100; 20 where it is absent.
    #[serde(default)]
    pub limit: Option<usize>,
}

/// What would come of an action over several machines.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ActionPreview {
    /// The product of the machines.
    pub product: ProductName,
    /// What is wanted of each.
    pub action: MachineAction,
    /// The machines that are selected, by name.
    pub machines: Vec<PreviewedMachine>,
    /// On how many of them it can be done.
    pub possible: usize,
    /// The advisories that open again on one or more of them.
    pub opens: BTreeSet<AdvisoryId>,
    /// On how many machines whoever asks may do it alone.
    pub alone_max: usize,
    /// Whether a second person has to approve it.
    pub needs_approval: bool,
}

/// What would come of an action on one of its machines.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PreviewedMachine {
    /// The machine.
    pub machine: MachineName,
    /// Whose it is; nothing where there is no such machine.
    pub customer: Option<CustomerName>,
    /// What its owner calls it; nothing where there is no such machine.
    pub host: Option<String>,
    /// What comes of it; nothing where it cannot be done.
    pub outcome: Option<ActionOutcome>,
    /// Why it cannot be done; nothing where it can.
    pub cannot: Option<CannotAct>,
}

/// Why something cannot be done to a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CannotAct {
    /// The stable code.
    pub code: String,
    /// In a sentence.
    pub message: String,
}

/// An action over several machines, and how far it has come, for whoever may see its machines.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ActionSummary {
    /// The record.
    #[serde(flatten)]
    pub record: ActionRecord,
    /// How many machines have come how far.
    pub counts: ActionCounts,
}

/// The same, machine by machine.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ActionProgress {
    /// The action.
    #[serde(flatten)]
    pub summary: ActionSummary,
    /// Its machines by name.
    pub progress: Vec<MachineProgress>,
}

/// How many actions are listed where nobody says.
const LISTED_DEFAULT: usize = 20;
/// How many actions are listed at most: how far each has come is looked up machine by machine.
const LISTED_MAX: usize = 100;

impl From<&ServiceError> for CannotAct {
    fn from(error: &ServiceError) -> Self {
        Self { code: error.code().to_owned(), message: error.message().to_owned() }
    }
}

impl Service {
    /// What would come of an action over several machines. Nothing is done.
    pub async fn preview_actions(
        &self,
        actor: &Actor,
        wanted: WantedAction,
    ) -> ServiceResult<ActionPreview> {
        let word = self.word(actor, &wanted.reason, wanted.ticket.as_deref())?;
        self.previewed(actor, &wanted, &word).await
    }

    /// Orders an action over the machines that were shown. One that is not selected any more is told
    /// of as one that nothing can be done to; one that was not shown is not touched: it has to be
    /// looked at first.
    pub async fn order_action(
        &self,
        actor: &Actor,
        request: OrderAction,
    ) -> ServiceResult<ActionProgress> {
        let OrderAction { wanted, shown } = request;
        self.require_few(shown.len())?;
        let word = self.word(actor, &wanted.reason, wanted.ticket.as_deref())?;
        let preview = self.previewed(actor, &wanted, &word).await?;
        require_shown(&preview, &shown)?;
        require_possible(&preview)?;
        if !preview.opens.is_empty() && !accepts_exposure(&wanted.action) {
            let place = format!("on one or more of {} machines", preview.possible);
            return Err(exposed(&place, &preview.opens));
        }
        self.require_few_open(actor).await?;
        let needs_approval = preview.needs_approval;
        let state =
            if needs_approval { ActionState::AwaitingApproval } else { ActionState::Running };
        let machines = self.ordered(actor, &preview, &shown, &word).await?;
        let filter = match wanted.selection {
            MachineSelection::Filter { filter } => Some(filter),
            MachineSelection::Listed { .. } => None,
        };
        let side = match actor.scope {
            Scope::Everything => OrderingSide::Vendor,
            Scope::Customers(_) => OrderingSide::Organisation,
        };
        let mut record = ActionRecord {
            id: ActionId::new(word.at, [0; 2]),
            revision: 0,
            product: preview.product,
            action: wanted.action,
            filter,
            machines: machines.len(),
            word: word.clone(),
            side,
            state,
            changed: word,
        };
        for _ in 0..ATTEMPTS_MAX {
            record.id = ActionId::new(record.word.at, random_bytes::<2>()?);
            let audit = self.action_audit(actor, "action.order", &record);
            match self.meta.create_action(record.clone(), machines.clone(), audit).await {
                // Another action has the name.
                Err(StoreError::Conflict(_)) => {}
                created => {
                    created?;
                    self.actions_ordered.notify_one();
                    return self.action_progress(actor, &record.id).await;
                }
            }
        }
        Err(ServiceError::new(
            ErrorClass::Unavailable,
            "BUSY",
            "too many actions are being ordered at once; try again",
        ))
    }

    async fn require_few_open(&self, actor: &Actor) -> ServiceResult<()> {
        let open = self.meta.open_actions().await?;
        let own = open.iter().filter(|action| action.word.by == actor.id).count();
        if own < self.limits.open_actions_max {
            return Ok(());
        }
        Err(impossible(format!(
            "{own} actions that you have ordered are under way or await approval: expected fewer than {}; \
             cancel what is not wanted any more (`mainstay action cancel`)",
            self.limits.open_actions_max
        )))
    }

    /// The machines of an action that is ordered now.
    async fn ordered(
        &self,
        actor: &Actor,
        preview: &ActionPreview,
        shown: &BTreeSet<MachineName>,
        word: &Word,
    ) -> ServiceResult<Vec<ActionMachine>> {
        let cannot =
            |detail: String| ActionEnd { at: word.at, result: ActionResult::Cannot, detail };
        let mut left = shown.clone();
        let mut machines = Vec::new();
        for PreviewedMachine { machine, customer, cannot: why, .. } in &preview.machines {
            left.remove(machine);
            machines.push(ActionMachine {
                machine: machine.clone(),
                customer: customer.clone(),
                recorded: None,
                end: why.as_ref().map(|why| cannot(why.message.clone())),
            });
        }
        for machine in left {
            let known = match self.machine_in(&actor.scope, &machine).await {
                Err(error) if error.class() == ErrorClass::NotFound => None,
                known => Some(known?),
            };
            let end = match &known {
                Some(MachineRecord { retired: Some(_), .. }) => {
                    format!("machine {machine} is retired")
                }
                Some(_) => format!("machine {machine} is not in the selection any more"),
                None => format!("machine `{machine}` does not exist"),
            };
            let customer = known.map(|known| known.customer);
            let end = Some(cannot(end));
            machines.push(ActionMachine { machine, customer, recorded: None, end });
        }
        Ok(machines)
    }

    /// Another person's agreement to an action: it is carried out.
    pub async fn approve_action(
        &self,
        actor: &Actor,
        id: &ActionId,
        request: ChangeAction,
    ) -> ServiceResult<ActionProgress> {
        let before = self.action_to_change(actor, id, "approve").await?;
        require_second_person(&format!("action {id}"), &before.word.by, actor)?;
        if before.state != ActionState::AwaitingApproval {
            return Err(stands_otherwise(&before, "awaits approval"));
        }
        self.change_action(actor, before, ActionState::Running, request).await?;
        self.actions_ordered.notify_one();
        self.action_progress(actor, id).await
    }

    /// Has nothing more done for an action. What is recorded with machines stays, and is theirs to
    /// carry out.
    pub async fn cancel_action(
        &self,
        actor: &Actor,
        id: &ActionId,
        request: ChangeAction,
    ) -> ServiceResult<ActionProgress> {
        let before = self.action_to_change(actor, id, "cancel").await?;
        if !before.state.is_open() {
            return Err(stands_otherwise(&before, "is running or awaits approval"));
        }
        self.change_action(actor, before, ActionState::Cancelled, request).await?;
        self.action_progress(actor, id).await
    }

    /// The newest actions that the actor may see something of, the newest first.
    pub async fn actions(
        &self,
        actor: &Actor,
        question: ListActions,
    ) -> ServiceResult<Vec<ActionSummary>> {
        let ListActions { before, limit } = question;
        let limit = limit.unwrap_or(LISTED_DEFAULT);
        if !(1..=LISTED_MAX).contains(&limit) {
            return Err(ServiceError::input(format!(
                "limit is {limit}: expected 1 to {LISTED_MAX}"
            )));
        }
        let before = before.as_ref();
        let mut records = Vec::new();
        match actor.scope.customers() {
            None => records = self.meta.actions_before(None, before, limit).await?,
            Some(customers) => {
                for customer in customers {
                    records.extend(self.meta.actions_before(Some(customer), before, limit).await?);
                }
                records.sort_by(|one, other| other.id.cmp(&one.id));
                records.dedup_by(|one, other| one.id == other.id);
                records.truncate(limit);
            }
        }
        let mut summaries = Vec::new();
        for record in records {
            summaries.push(self.progressed(actor, record).await?.summary);
        }
        Ok(summaries)
    }

    /// An action, and how far each of its machines has come that the actor may see.
    pub async fn action_progress(
        &self,
        actor: &Actor,
        id: &ActionId,
    ) -> ServiceResult<ActionProgress> {
        let record = found(self.meta.action(id).await)?.ok_or_else(|| unknown(id))?;
        let progress = self.progressed(actor, record).await?;
        if actor.scope != Scope::Everything && progress.progress.is_empty() {
            return Err(unknown(id));
        }
        Ok(progress)
    }

    /// An action that the actor may steer: of what the vendor's people have ordered an organisation's
    /// see their own machines alone, so that it is not theirs to decide.
    async fn action_to_change(
        &self,
        actor: &Actor,
        id: &ActionId,
        verb: &str,
    ) -> ServiceResult<ActionRecord> {
        self.action_progress(actor, id).await?;
        let record = self.meta.action(id).await?;
        if self.is_wholly_in(&actor.scope, &record).await? {
            return Ok(record);
        }
        Err(ServiceError::new(
            ErrorClass::Forbidden,
            "VENDOR_ONLY",
            format!("a token of an organisation may not {verb} what others have ordered"),
        ))
    }

    async fn is_wholly_in(&self, scope: &Scope, record: &ActionRecord) -> ServiceResult<bool> {
        let Some(customers) = scope.customers() else { return Ok(true) };
        if record.side == OrderingSide::Vendor {
            return Ok(false);
        }
        let machines = self.meta.machines_of_action(&record.id).await?;
        let mut others = machines.iter().filter_map(|machine| machine.customer.as_ref());
        Ok(others.all(|customer| customers.contains(customer)))
    }

    async fn change_action(
        &self,
        actor: &Actor,
        before: ActionRecord,
        state: ActionState,
        request: ChangeAction,
    ) -> ServiceResult<()> {
        let changed = self.word(actor, &request.reason, request.ticket.as_deref())?;
        let verb = match state {
            ActionState::Cancelled => "action.cancel",
            _ => "action.approve",
        };
        let after = ActionRecord { state, changed, ..before.clone() };
        let mut audit = self.action_audit(actor, verb, &after);
        audit.before = Some(serde_json::to_value(&before)?);
        match self.meta.change_action(after, audit).await {
            Err(StoreError::Conflict(_)) => {
                let newest = self.meta.action(&before.id).await?;
                Err(ServiceError::new(
                    ErrorClass::Conflict,
                    "CONFLICT",
                    format!("{}: look at it again", stands(&newest)),
                ))
            }
            other => Ok(other?),
        }
    }

    fn action_audit(&self, actor: &Actor, verb: &str, record: &ActionRecord) -> AuditEntry {
        let ActionRecord { id, product, action, filter, machines, changed, .. } = record;
        let filter = filter.as_ref().map(|filter| format!(" ({filter})")).unwrap_or_default();
        AuditEntry {
            reason: Some(changed.reason.clone()),
            ticket: changed.ticket.clone(),
            detail: format!(
                "{action} on {machines} machines of {product}{filter}: {}",
                record.state.as_str()
            ),
            ..self.audit(actor, verb, id)
        }
    }

    /// On how many machines the actor may act without a second person.
    fn alone_max(&self, actor: &Actor) -> usize {
        match (&actor.scope, actor.role) {
            (Scope::Customers(_), _) => self.alone.organisation,
            (Scope::Everything, Role::Admin) => self.alone.admin,
            (Scope::Everything, _) => self.alone.support,
        }
    }

    fn require_few(&self, machines: usize) -> ServiceResult<()> {
        let max = self.limits.action_machines_max;
        if machines <= max {
            return Ok(());
        }
        Err(ServiceError::input(format!(
            "more than {max} machines are selected: expected at most so many; select fewer at a time"
        )))
    }
}

fn accepts_exposure(action: &MachineAction) -> bool {
    matches!(action, MachineAction::Rollback { exposure: Reopening::Accepted, .. })
}

/// Refuses where machines are selected by now that whoever orders it has not been shown.
fn require_shown(preview: &ActionPreview, shown: &BTreeSet<MachineName>) -> ServiceResult<()> {
    const NAMED_MAX: usize = 5;
    let new = preview.machines.iter().map(|machine| &machine.machine);
    let new: Vec<_> = new.filter(|machine| !shown.contains(*machine)).collect();
    if new.is_empty() {
        return Ok(());
    }
    let named: Vec<_> = new.iter().take(NAMED_MAX).map(ToString::to_string).collect();
    let more = if new.len() > NAMED_MAX { " and more" } else { "" };
    Err(ServiceError::new(
        ErrorClass::Conflict,
        "CONFLICT",
        format!(
            "{} machine(s) are selected that you have not been shown: {}{more}; look at it again",
            new.len(),
            named.join(", ")
        ),
    ))
}

/// Refuses what could be done to no machine.
fn require_possible(preview: &ActionPreview) -> ServiceResult<()> {
    if preview.possible > 0 {
        return Ok(());
    }
    let why = preview.machines.iter().find_map(|machine| machine.cannot.as_ref());
    let why = why.map(|why| format!("; the first: {}", why.message)).unwrap_or_default();
    let machines = preview.machines.len();
    Err(impossible(format!("it can be done to none of the {machines} machines{why}")))
}

fn stands(record: &ActionRecord) -> String {
    let ActionRecord { id, state, changed: Word { at, by, reason, .. }, .. } = record;
    format!("action {id} is {}, by {by} at {at}: {reason}", state.as_str())
}

fn stands_otherwise(record: &ActionRecord, expected: &str) -> ServiceError {
    impossible(format!("{}; expected one that {expected}", stands(record)))
}

fn impossible(message: String) -> ServiceError {
    ServiceError::new(ErrorClass::Conflict, "ACTION_IMPOSSIBLE", message)
}

fn unknown(id: &ActionId) -> ServiceError {
    let message = format!("action `{id}` does not exist");
    ServiceError::new(ErrorClass::NotFound, "NOT_FOUND", message)
}
