//! Carrying actions out, machine by machine. Whatever stops it, it is taken up where it was left.

use futures_util::future;

use super::{
    progress::{GONE, Reported},
    selected::LastStanding,
};
use crate::{
    policy::Completion,
    service::{
        ATTEMPTS_MAX, Actor, ErrorClass, Scope, Service, ServiceError, ServiceResult,
        action::{Acted, Place},
        chain,
    },
    store::{
        ActionEnd, ActionMachine, ActionRecord, ActionResult, ActionState, MachineRecord,
        RecordedAction, Role, StoreError, Word, found,
    },
};

/// How many machines are noted to have come to an end in one step.
const NOTED_MAX: usize = 500;

/// Whether an action goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Going {
    On,
    /// Somebody has cancelled it.
    Stopped,
}

impl Service {
    /// Waits until something is ordered.
    pub async fn action_to_carry_out(&self) {
        self.actions_ordered.notified().await;
    }

    /// Records what is ordered with the machines that it is ordered of, and notes which machines have
    /// come to an end of it. What cannot be done now is left for the next time.
    pub async fn carry_out_actions(&self) -> ServiceResult<()> {
        let mut open = self.meta.open_actions().await?;
        open.retain(|action| action.state == ActionState::Running);
        // One that is small does not wait for one that is large.
        let carried_out = open.iter().map(async |action| {
            if let Err(error) = self.carry_out_action(action).await {
                let (action, error) = (action.id.as_str(), chain(&error));
                tracing::error!(action, error, "an action could not be carried out");
            }
        });
        future::join_all(carried_out).await;
        Ok(())
    }

    async fn carry_out_action(&self, action: &ActionRecord) -> ServiceResult<()> {
        if self.record_with_machines(action).await? == Going::Stopped {
            return Ok(());
        }
        let mut open = 0;
        let mut ended = Vec::new();
        for machine in self.meta.machines_of_action(&action.id).await? {
            if machine.end.is_some() {
                continue;
            }
            match self.ended(action, machine).await? {
                Some(machine) => ended.push(machine),
                None => open += 1,
            }
        }
        for machines in ended.chunks(NOTED_MAX) {
            let noted = self.meta.note_progress(&action.id, machines.to_vec()).await;
            if is_stopped(noted)? == Going::Stopped {
                return Ok(());
            }
        }
        if open > 0 {
            return Ok(());
        }
        let reason = "every machine has come to an end of it".to_owned();
        let by = "server".to_owned();
        let changed = Word { at: self.clock.now(), by: by.clone(), reason, ticket: None };
        let server = Actor { id: by, role: Role::Admin, scope: Scope::Everything, address: None };
        let done = ActionRecord { state: ActionState::Done, changed, ..action.clone() };
        let audit = self.action_audit(&server, "action.done", &done);
        is_stopped(self.meta.change_action(done, audit).await).map(drop)
    }

    /// The machine with its end, where it has come to one.
    async fn ended(
        &self,
        action: &ActionRecord,
        machine: ActionMachine,
    ) -> ServiceResult<Option<ActionMachine>> {
        let Some(recorded) = machine.recorded else { return Ok(None) };
        let record = found(self.meta.machine(&machine.machine).await)?;
        let record = record.filter(|record| Some(&record.customer) == machine.customer.as_ref());
        Ok(match self.reported(action, &recorded, record).await? {
            Reported::Open(_) => None,
            Reported::Ended(result, detail) => Some(self.end(machine, result, detail)),
        })
    }

    fn end(&self, machine: ActionMachine, result: ActionResult, detail: String) -> ActionMachine {
        ActionMachine { end: Some(ActionEnd { at: self.clock.now(), result, detail }), ..machine }
    }

    /// Records what is wanted with the machines that it is not recorded with yet.
    async fn record_with_machines(&self, action: &ActionRecord) -> ServiceResult<Going> {
        let mut waiting = Vec::new();
        for machine in self.meta.machines_of_action(&action.id).await? {
            if machine.recorded.is_none() && machine.end.is_none() {
                let record = found(self.meta.machine(&machine.machine).await)?;
                waiting.push((record.map(|record| record.contract), machine));
            }
        }
        // One contract after the other, so that each is read once in a while.
        waiting.sort_by(|(one, _), (other, _)| one.cmp(other));
        let mut standings = LastStanding::new(self, &action.product);
        for (_, machine) in waiting {
            let name = machine.machine.clone();
            match self.record_with(action, machine, &mut standings).await {
                Ok(Going::On) => {}
                Ok(Going::Stopped) => return Ok(Going::Stopped),
                Err(error) if error.class() == ErrorClass::Unavailable => return Err(error),
                Err(error) => {
                    let (action, error) = (action.id.as_str(), chain(&error));
                    tracing::error!(
                        action,
                        machine = name.as_str(),
                        error,
                        "left for the next time"
                    );
                }
            }
        }
        Ok(Going::On)
    }

    async fn record_with(
        &self,
        action: &ActionRecord,
        machine: ActionMachine,
        standings: &mut LastStanding<'_>,
    ) -> ServiceResult<Going> {
        for _ in 0..ATTEMPTS_MAX {
            let before = found(self.meta.machine(&machine.machine).await)?;
            let before = before.filter(|it| Some(&it.customer) == machine.customer.as_ref());
            let Some(before) = before else {
                return self.cannot(action, machine, GONE.to_owned()).await;
            };
            let acted = match self.acted_for(action, before, standings).await {
                Ok(acted) => acted,
                Err(error)
                    if [ErrorClass::Unavailable, ErrorClass::Internal].contains(&error.class()) =>
                {
                    return Err(error);
                }
                Err(error) => {
                    return self.cannot(action, machine, error.message().to_owned()).await;
                }
            };
            let noted = self.noted(action, machine.clone(), &acted.after);
            let by = action.word.by.clone();
            let actor =
                Actor { id: by, role: Role::Support, scope: Scope::Everything, address: None };
            let mut audit = acted.audit(self.audit(&actor, action.action.verb(), &machine.machine));
            let space = if audit.detail.is_empty() { "" } else { "; " };
            audit.detail = format!("{}{space}action {}", audit.detail, action.id);
            match self.meta.carry_out(&action.id, noted, acted.change(audit)).await {
                // The machine has checked, somebody has acted on it, or the action is not what it was.
                Err(StoreError::Conflict(_)) => {
                    let newest = self.meta.action(&action.id).await?;
                    if newest.state != ActionState::Running {
                        return Ok(Going::Stopped);
                    }
                }
                done => {
                    done?;
                    return Ok(Going::On);
                }
            }
        }
        Err(ServiceError::internal(format!(
            "the record of machine {} keeps changing",
            machine.machine
        )))
    }

    async fn acted_for(
        &self,
        action: &ActionRecord,
        before: MachineRecord,
        standings: &mut LastStanding<'_>,
    ) -> ServiceResult<Acted> {
        let word = Word { at: self.clock.now(), ..action.word.clone() };
        before.require_product(&action.product)?;
        let standing = standings.of(&before.contract).await?;
        let seat = self.seat(standing, &before).await?;
        let place = Place { standing, seat, limits: &self.limits };
        let acted = Acted::of(before, &action.action, &word, place)?;
        acted.require_accepted(&action.action)?;
        Ok(acted)
    }

    async fn cannot(
        &self,
        action: &ActionRecord,
        machine: ActionMachine,
        why: String,
    ) -> ServiceResult<Going> {
        let machine = self.end(machine, ActionResult::Cannot, why);
        is_stopped(self.meta.note_progress(&action.id, vec![machine]).await)
    }

    /// The machine with what is recorded with it, which stands so then.
    fn noted(
        &self,
        action: &ActionRecord,
        machine: ActionMachine,
        after: &MachineRecord,
    ) -> ActionMachine {
        let completion = action.action.completion();
        let order = match completion {
            Completion::OrderReported => after.order.as_ref().map(|order| order.number),
            Completion::RetryReported => after.retry.as_ref().map(|order| order.number),
            Completion::BundleSent => after.collection.as_ref().map(|order| order.number),
            Completion::Recorded | Completion::Confirmed(_) => None,
        };
        let recorded = RecordedAction {
            at: self.clock.now(),
            order,
            event_number: after.event_number,
            plan: after.plan.as_ref().map_or(0, |plan| plan.version),
        };
        let machine = ActionMachine { recorded: Some(recorded), ..machine };
        let is_done = match completion {
            Completion::Recorded => true,
            Completion::OrderReported | Completion::RetryReported | Completion::BundleSent => false,
            Completion::Confirmed(version) => {
                after.running.as_ref() == Some(version) && after.confirmed.contains(version)
            }
        };
        if is_done { self.end(machine, ActionResult::CarriedOut, String::new()) } else { machine }
    }
}

/// What it means for an action that something could not be noted with it.
fn is_stopped(noted: Result<(), StoreError>) -> ServiceResult<Going> {
    match noted {
        Err(StoreError::Conflict(_)) => Ok(Going::Stopped),
        noted => Ok(noted.map(|()| Going::On)?),
    }
}
