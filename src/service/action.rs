//! What a technician wants of one machine: that it waits, that it runs one version, that it goes back,
//! that it is kept from a version, and the end of each.

mod rollback;

use std::collections::BTreeSet;

use jiff::Timestamp;
use mainstay_client::format::{AdvisoryId, MachineName, Version};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub(super) use self::rollback::exposed;
use super::{
    Actor, ErrorClass, Service, ServiceError, ServiceResult, collect, retry,
    standing::ProductStanding,
    support::{NextStep, changed_meanwhile, next_step},
};
pub use crate::policy::MachineAction;
use crate::{
    limits::Limits,
    policy::{Block, Listing, Reopening, Ring, Seat},
    store::{
        AuditEntry, HoldRecord, MachineBlock, MachineChange, MachineRecord, PinEnd, PinRecord, Word,
    },
};

/// `POST /v1/machines/{machine}/actions`, and `…/actions/preview`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ActOnMachine {
    /// What is wanted.
    pub action: MachineAction,
    /// Why.
    pub reason: String,
    /// The ticket that it belongs to.
    #[serde(default)]
    pub ticket: Option<String>,
}

/// What comes of an action.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ActionOutcome {
    /// The machine.
    pub machine: MachineName,
    /// What it runs, as it has said.
    pub running: Option<Version>,
    /// What it would have been told at its next check.
    pub before: NextStep,
    /// What it is told then.
    pub after: NextStep,
    /// What whoever acts ought to know, in sentences: what somebody else wanted of the machine, and
    /// what the action does not reach.
    pub cautions: Vec<String>,
    /// The advisories that open again by it, in the order of their names.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub opens: BTreeSet<AdvisoryId>,
}

impl Service {
    /// What would come of an action. Nothing is done.
    pub async fn preview_action(
        &self,
        actor: &Actor,
        name: &MachineName,
        request: ActOnMachine,
    ) -> ServiceResult<ActionOutcome> {
        Ok(self.acted(actor, name, &request).await?.outcome)
    }

    /// Does to a machine what is wanted of it.
    pub async fn act_on_machine(
        &self,
        actor: &Actor,
        name: &MachineName,
        request: ActOnMachine,
    ) -> ServiceResult<ActionOutcome> {
        Ok(self.act(actor, name, &request).await?.outcome)
    }

    /// The same, with the machine as it is then.
    pub(super) async fn act(
        &self,
        actor: &Actor,
        name: &MachineName,
        request: &ActOnMachine,
    ) -> ServiceResult<Acted> {
        let acted = self.acted(actor, name, request).await?;
        acted.require_accepted(&request.action)?;
        let audit = acted.audit(self.audit(actor, request.action.verb(), name));
        let changed = self.meta.change_machine(acted.change(audit)).await;
        changed.map_err(|error| changed_meanwhile(error, name))?;
        Ok(acted)
    }

    async fn acted(
        &self,
        actor: &Actor,
        name: &MachineName,
        request: &ActOnMachine,
    ) -> ServiceResult<Acted> {
        let ActOnMachine { action, reason, ticket } = request;
        let before = self.machine_in(&actor.scope, name).await?;
        let word = self.word(actor, reason, ticket.as_deref())?;
        let standing = self.standing(&before.contract, &before.product).await?;
        let seat = self.seat(&standing, &before).await?;
        let place = Place { standing: &standing, seat, limits: &self.limits };
        let mut acted = Acted::of(before, action, &word, place)?;
        acted.outcome.cautions.extend(self.wanted_of(name).await?);
        Ok(acted)
    }
}

/// What a machine is acted on within.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) standing: &'a ProductStanding,
    pub(super) seat: Seat,
    pub(super) limits: &'a Limits,
}

/// A machine before and after an action that is not recorded yet.
pub(super) struct Acted {
    before: MachineRecord,
    pub(super) after: MachineRecord,
    word: Word,
    detail: String,
    pub(super) outcome: ActionOutcome,
}

impl Acted {
    /// What comes of an action on a machine that stands so.
    pub(super) fn of(
        before: MachineRecord,
        action: &MachineAction,
        word: &Word,
        Place { standing, seat, limits }: Place<'_>,
    ) -> ServiceResult<Self> {
        let name = before.name.clone();
        if before.retired.is_some() {
            return Err(impossible(format!("machine {name} is retired")));
        }
        let mut scene = Scene {
            standing,
            seat,
            limits,
            machine: before.clone(),
            cautions: Vec::new(),
            opens: BTreeSet::new(),
            detail: action.detail(),
        };
        scene.act(action, word)?;
        let Scene { machine: after, cautions, opens, detail, .. } = scene;
        let outcome = ActionOutcome {
            machine: name,
            running: before.running.clone(),
            before: next_step(standing, &before, seat),
            after: next_step(standing, &after, seat),
            cautions,
            opens,
        };
        Ok(Self { before, after, word: word.clone(), detail, outcome })
    }

    /// Refuses to let advisories open again that nobody has been told of.
    pub(super) fn require_accepted(&self, action: &MachineAction) -> ServiceResult<()> {
        let is_accepted =
            matches!(action, MachineAction::Rollback { exposure: Reopening::Accepted, .. });
        let opens = &self.outcome.opens;
        if opens.is_empty() || is_accepted {
            return Ok(());
        }
        Err(exposed(&format!("on machine {}", self.before.name), opens))
    }

    /// What is recorded of it.
    pub(super) fn change(&self, audit: AuditEntry) -> MachineChange {
        let machine = self.after.clone();
        MachineChange { machine, plan: None, events: Vec::new(), audit: Some(audit) }
    }

    /// `entry`, with what there is to know of this action.
    pub(super) fn audit(&self, entry: AuditEntry) -> AuditEntry {
        AuditEntry {
            reason: Some(self.word.reason.clone()),
            ticket: self.word.ticket.clone(),
            detail: self.detail.clone(),
            before: Some(wanted(&self.before)),
            ..entry
        }
    }
}

/// What is wanted of a machine before an action, for the audit trail.
fn wanted(machine: &MachineRecord) -> Value {
    let MachineRecord { ring, hold, pin, blocks, order, retry, collection, .. } = machine;
    json!({
        "ring": ring, "hold": hold, "pin": pin, "blocks": blocks, "order": order, "retry": retry,
        "collection": collection,
    })
}

pub(super) fn impossible(message: String) -> ServiceError {
    ServiceError::new(ErrorClass::Conflict, "ACTION_IMPOSSIBLE", message)
}

/// A machine on which somebody acts.
struct Scene<'a> {
    standing: &'a ProductStanding,
    seat: Seat,
    limits: &'a Limits,
    machine: MachineRecord,
    cautions: Vec<String>,
    opens: BTreeSet<AdvisoryId>,
    detail: String,
}

impl Scene<'_> {
    fn act(&mut self, action: &MachineAction, word: &Word) -> ServiceResult<()> {
        match action {
            MachineAction::Hold { until } => self.hold(*until, word),
            MachineAction::Unhold {} => {
                let hold = self.machine.hold.take().filter(|hold| word.at < hold.until);
                self.ended("hold", hold.map(|hold| hold.word))
            }
            MachineAction::Pin { version } => self.pin(version, PinEnd::ByHand, word),
            MachineAction::Install { version } => self.install(version, word),
            MachineAction::Unpin {} => {
                let pin = self.machine.pin.take();
                self.ended("pin", pin.map(|pin| pin.word))
            }
            MachineAction::Ring { ring } => self.ring(*ring),
            MachineAction::Block { version } => self.block(version, word),
            MachineAction::Unblock { version } => self.unblock(version),
            MachineAction::Rollback { to, .. } => self.rollback(to, word),
            MachineAction::Retry { version } => {
                let version = version.as_ref();
                let cautions = retry::order(self.standing, &mut self.machine, version, word)?;
                self.cautions.extend(cautions);
                Ok(())
            }
            MachineAction::Collect {} => {
                self.cautions.extend(collect::order(&mut self.machine, word, self.limits)?);
                Ok(())
            }
        }
    }

    fn hold(&mut self, until: Timestamp, word: &Word) -> ServiceResult<()> {
        if until <= word.at {
            return Err(ServiceError::input(format!(
                "until is {until}, which is past: expected a time after {}",
                word.at
            )));
        }
        if let Some(before) = self.machine.hold.take().filter(|hold| word.at < hold.until) {
            self.replaces(&format!("a hold until {}", before.until), &before.word);
        }
        self.machine.hold = Some(HoldRecord { until, word: word.clone() });
        Ok(())
    }

    /// Pins the machine until it has confirmed the version, which must be one that it gets.
    fn install(&mut self, version: &Version, word: &Word) -> ServiceResult<()> {
        let name = self.machine.name.clone();
        self.pin(version, PinEnd::OnceConfirmed, word)?;
        // What it is to go back to first is what it is installed over.
        let mut machine = self.machine.clone();
        if let Some(order) = machine.pending_order().map(|order| order.to.clone()) {
            machine.running = Some(order);
            machine.order = None;
        }
        if machine.running.as_ref() == Some(version) {
            return Err(impossible(format!("machine {name} runs {version} already")));
        }
        let resolution = self.standing.resolve(&machine, self.seat);
        if resolution.target.as_ref() == Some(version) {
            return Ok(());
        }
        let withheld = resolution.withheld.into_iter().find(|entry| entry.version == *version);
        let why = withheld.map_or_else(String::new, |entry| format!(": {}", entry.sentence));
        Err(impossible(format!("{version} cannot be delivered to machine {name} now{why}")))
    }

    fn pin(&mut self, version: &Version, ends: PinEnd, word: &Word) -> ServiceResult<()> {
        self.standing.require_grant(version, &self.machine.confirmed)?;
        let release = self.standing.release(version);
        if release.is_some_and(|release| self.standing.listing(release) == Listing::Archive) {
            return Err(impossible(format!(
                "{version} is retired, and no machine is updated to it: expected another version"
            )));
        }
        if !release.is_some_and(|it| it.artifacts.contains_key(&self.machine.platform)) {
            return Err(impossible(format!(
                "{version} has no artifact for {}",
                self.machine.platform
            )));
        }
        let goes_back_to = self.machine.pending_order().map(|order| &order.to);
        let from = goes_back_to.or(self.machine.running.as_ref());
        if let Some(from) = from.filter(|from| *from > version) {
            return Err(impossible(format!(
                "machine {} runs {from}, which is above {version}: go back first (mainstay machine \
                 rollback), then pin",
                self.machine.name
            )));
        }
        let kept = self.machine.blocks.iter().find(|it| it.block.through == *version);
        if let Some(kept) = kept {
            return Err(impossible(format!(
                "{version} is blocked on machine {} by {}: {}; {}",
                self.machine.name,
                kept.by,
                kept.block.reason,
                remedy(&self.machine, kept, version)
            )));
        }
        self.lift(version);
        if let Some(before) = self.machine.pin.take() {
            self.replaces(&format!("the pin to {}", before.version), &before.word);
        }
        self.machine.pin = Some(PinRecord { version: version.clone(), ends, word: word.clone() });
        Ok(())
    }

    fn ring(&mut self, ring: Ring) -> ServiceResult<()> {
        let machine = &self.machine.name;
        if self.machine.ring == ring {
            return Err(impossible(format!("machine {machine} is in the ring {ring} already")));
        }
        self.machine.ring = ring;
        Ok(())
    }

    fn block(&mut self, version: &Version, word: &Word) -> ServiceResult<()> {
        let machine = &self.machine;
        if self.standing.known_release(version).is_none() {
            return Err(ServiceError::new(
                ErrorClass::NotFound,
                "NOT_FOUND",
                format!("{} has no release {version}", machine.product),
            ));
        }
        if let Some(known) = machine.blocks.iter().find(|it| it.block.through == *version) {
            return Err(impossible(format!(
                "{version} is blocked on machine {} already, by {}: {}",
                machine.name, known.by, known.block.reason
            )));
        }
        if let Some(pin) = machine.pin.as_ref().filter(|pin| pin.version == *version) {
            return Err(impossible(format!(
                "machine {} is pinned to {version} by {}: {}; unpin it first (mainstay machine unpin)",
                machine.name, pin.word.by, pin.word.reason
            )));
        }
        if machine.running.as_ref() == Some(version) {
            self.cautions.push(format!(
                "{version} runs, and goes on running: `mainstay machine rollback` takes the machine \
                 back from it."
            ));
        }
        let block = Block { over: None, through: version.clone(), reason: word.reason.clone() };
        self.machine.blocks.push(MachineBlock { block, at: word.at, by: word.by.clone() });
        Ok(())
    }

    fn unblock(&mut self, version: &Version) -> ServiceResult<()> {
        let own = self.machine.as_actor();
        let covers = |it: &&MachineBlock| it.block.covers(version);
        let Some(block) = self.machine.blocks.iter().find(covers).cloned() else {
            return Err(impossible(format!(
                "{version} is not blocked on machine {}",
                self.machine.name
            )));
        };
        // The machine would refuse what it has blocked itself, and get nothing else in its place.
        if let Some(kept) = self.machine.blocks.iter().filter(covers).find(|it| it.by == own) {
            return Err(impossible(format!(
                "{version} is blocked by the machine itself: {}; {}",
                kept.block.reason,
                remedy(&self.machine, kept, version)
            )));
        }
        self.cautions
            .push(format!("{} has blocked it at {}: {}.", block.by, block.at, block.block.reason));
        self.lift(version);
        Ok(())
    }

    /// Takes the version out of what technicians have blocked.
    fn lift(&mut self, version: &Version) {
        let own = self.machine.as_actor();
        let versions: Vec<_> =
            self.standing.catalogue().releases().map(|release| &release.version).collect();
        let parts = |it: MachineBlock| {
            let parts = if it.by == own {
                vec![it.block.clone()]
            } else {
                it.block.without(version, versions.iter().copied())
            };
            parts.into_iter().map(move |block| MachineBlock { block, ..it.clone() })
        };
        self.machine.blocks =
            std::mem::take(&mut self.machine.blocks).into_iter().flat_map(parts).collect();
    }

    fn replaces(&mut self, what: &str, before: &Word) {
        self.cautions.push(format!(
            "This takes the place of {what}, which {} wanted at {}: {}.",
            before.by, before.at, before.reason
        ));
    }

    fn ended(&mut self, what: &str, word: Option<Word>) -> ServiceResult<()> {
        let name = &self.machine.name;
        let word = word.ok_or_else(|| impossible(format!("machine {name} has no {what}")))?;
        self.cautions
            .push(format!("{} has wanted the {what} at {}: {}.", word.by, word.at, word.reason));
        Ok(())
    }
}

/// How a version gets free that is blocked.
fn remedy(machine: &MachineRecord, block: &MachineBlock, version: &Version) -> String {
    if block.by == machine.as_actor() {
        format!("`mainstay machine retry {} {version}` lifts that", machine.name)
    } else {
        format!("`mainstay machine unblock {} {version}` lifts that", machine.name)
    }
}
