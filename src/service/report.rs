//! What machines report: what happened, and what they run now.

use mainstay_client::format::{
    Version,
    wire::{Event, EventKind, ReportRequest},
};

use super::{ATTEMPTS_MAX, ErrorClass, Service, ServiceError, ServiceResult, retry};
use crate::{
    policy::Block,
    store::{
        EventRecord, MachineBlock, MachineChange, MachineRecord, OrderState, PinEnd, RetryRecord,
        StoreError,
    },
};

impl Service {
    /// Takes in a machine's report. Events that were reported before are passed over.
    pub async fn report(
        &self,
        mut machine: MachineRecord,
        request: &ReportRequest,
    ) -> ServiceResult<()> {
        machine.require_product(&request.product)?;
        require_sound(request)?;
        for _ in 0..ATTEMPTS_MAX {
            machine.require_enrolled()?;
            let (name, seated_at) = (machine.name.clone(), machine.seated_at);
            let change = self.after(machine, request);
            let kinds: Vec<_> = change.events.iter().map(|event| event.event.kind).collect();
            let contract =
                (change.machine.seated_at != seated_at).then(|| change.machine.contract.clone());
            match self.meta.change_machine(change).await {
                Err(StoreError::Conflict(_)) => machine = self.meta.machine(&name).await?,
                other => {
                    if let Some(contract) = contract {
                        self.allocations.forget(&contract);
                    }
                    other?;
                    for kind in kinds {
                        self.measures.reported(kind);
                    }
                    return Ok(());
                }
            }
        }
        Err(ServiceError::new(
            ErrorClass::Unavailable,
            "BUSY",
            "the machine's record keeps changing; report again",
        ))
    }

    fn after(&self, mut machine: MachineRecord, request: &ReportRequest) -> MachineChange {
        let now = self.clock.now();
        let news: Vec<_> = request
            .events
            .iter()
            .filter(|event| event.number > machine.event_number)
            .cloned()
            .collect();
        for event in &news {
            self.take_in(&mut machine, event);
        }
        machine.runs_now(request.running.as_ref(), now);
        machine.close_order();
        machine.close_installation();
        machine.hear_of(self.silence, now);
        let events = news.into_iter().map(|event| EventRecord { at: now, event }).collect();
        MachineChange { machine, plan: None, events, audit: None }
    }

    fn take_in(&self, machine: &mut MachineRecord, event: &Event) {
        machine.event_number = event.number;
        // The machine has the last word on its order, also on one that a check has closed because
        // the version ran, which was undone before it was confirmed.
        let order = machine.order.as_mut().filter(|order| event.order == Some(order.number));
        if event.kind == EventKind::Confirmed {
            machine.pin.take_if(|pin| pin.ends == PinEnd::OnceConfirmed && pin.version == event.to);
        }
        match event.kind {
            // What a machine has confirmed it may have for ever, so its word alone is not enough.
            EventKind::Confirmed if machine.offered.contains(&event.to) => {
                machine.confirmed.insert(event.to.clone());
                machine.runs.confirm(&event.to, self.clock.now());
            }
            EventKind::RolledBack => {
                if let Some(order) = order {
                    order.state = OrderState::Done;
                }
                if let Some(left) = &event.from {
                    self.block(machine, left, "this machine went back from it");
                }
            }
            EventKind::Undone => match event.order {
                Some(_) => {
                    if let Some(order) = order {
                        order.state = OrderState::Failed;
                    }
                }
                None => {
                    self.block(machine, &event.to, "it failed on this machine and was undone");
                }
            },
            EventKind::Refused => {
                if let Some(order) = order {
                    order.state = OrderState::Failed;
                }
                self.take_in_unretried(machine, event);
            }
            // What somebody else keeps from the machine is not for it to lift.
            EventKind::Unblocked => retry::forget_failure(machine, &event.to),
            EventKind::Retried => {
                retry::forget_failure(machine, &event.to);
                if let Some(number) = event.order {
                    machine.end_retry(number, OrderState::Done);
                }
            }
            EventKind::Confirmed
            | EventKind::Installed
            | EventKind::Interrupted
            | EventKind::Deferred
            | EventKind::Lost
            | EventKind::MadeRoom => {}
        }
    }

    /// A machine that refuses to try a version again, or the version itself since its agent does not know
    /// of such orders, has it blocked still.
    fn take_in_unretried(&self, machine: &mut MachineRecord, event: &Event) {
        let Some(RetryRecord { number, version, .. }) = machine.pending_retry().cloned() else {
            return;
        };
        if event.order == Some(number) || (event.order.is_none() && event.to == version) {
            machine.end_retry(number, OrderState::Failed);
            self.block(machine, &version, "this machine would not try it again");
        }
    }

    /// A version that a machine has blocked is not given to it again: it would refuse it, and get
    /// nothing else in its place.
    fn block(&self, machine: &mut MachineRecord, version: &Version, reason: &str) {
        if machine.blocks.iter().any(|block| block.block.covers(version)) {
            return;
        }
        machine.blocks.push(MachineBlock {
            block: Block { over: None, through: version.clone(), reason: reason.to_owned() },
            at: self.clock.now(),
            by: machine.as_actor(),
        });
    }
}

fn require_sound(request: &ReportRequest) -> ServiceResult<()> {
    if request.events.len() > ReportRequest::EVENTS_MAX {
        return Err(ServiceError::input(format!(
            "{} events: expected at most {}",
            request.events.len(),
            ReportRequest::EVENTS_MAX
        )));
    }
    let long =
        request.events.iter().find(|event| event.detail.chars().count() > Event::DETAIL_CHARS_MAX);
    if let Some(event) = long {
        return Err(ServiceError::input(format!(
            "the detail of event {} is too long: expected at most {} characters",
            event.number,
            Event::DETAIL_CHARS_MAX
        )));
    }
    let ascending = request.events.iter().zip(request.events.iter().skip(1));
    if ascending.into_iter().any(|(one, next)| one.number >= next.number) {
        return Err(ServiceError::input("events are not in the order of their numbers"));
    }
    Ok(())
}
