use super::{
    Client, Collection, collect, rules,
    rules::Situation,
    trust_store::{Noted, Stored},
};
use crate::{
    error::Error,
    format::{
        Action, Plan, Version,
        wire::{CheckRequest, CheckResponse, Event},
    },
    install::Outcome,
    tuf::{PlanBinding, TrustedRepository},
};

/// What a check found out.
#[derive(Debug)]
pub struct Check {
    /// The verified plan.
    pub plan: Plan,
    /// What is to be done of it: what the plan says, or nothing where its rollback order was
    /// carried out before.
    pub action: Action,
    /// The floor that the vendor signed for the release that the plan names.
    pub(super) floor: Option<Version>,
    /// What runs.
    pub running: Option<Version>,
    /// What became of an update whose probation has ended.
    pub settled: Option<Outcome>,
    /// Why the server could not be told what happened, where that is so. It is told next time.
    pub undelivered: Option<Error>,
    /// What came of the request for a support bundle, where the plan has one that was not answered.
    pub collection: Option<Collection>,
}

impl Client {
    /// Asks the server for the machine's plan and verifies it.
    ///
    /// An update whose time to be confirmed has passed is undone first, and what happened since the
    /// last report is reported. A version that is to be tried again is not blocked any more, and a
    /// support bundle that is asked for is sent where the administrator allows it ([`Collection`]).
    /// Beside that, nothing that runs is changed.
    ///
    /// # Errors
    ///
    /// [`Network`](crate::error::ErrorKind::Network) and [`Server`](crate::error::ErrorKind::Server)
    /// where there is no answer, [`Trust`](crate::error::ErrorKind::Trust) where what it says breaks a
    /// rule (the code is the rule's name), [`Blocked`](crate::error::ErrorKind::Blocked) where it offers
    /// what failed here before, [`Cancelled`](crate::error::ErrorKind::Cancelled) where the caller has
    /// asked for the end.
    pub fn check(&mut self) -> Result<Check, Error> {
        let mut checked = self.ask();
        self.note_check(&checked);
        match &mut checked {
            Ok(check) => check.collection = self.collect(),
            Err(error) if collect::has_plan(error.kind()) => drop(self.collect()),
            Err(_) => {}
        }
        checked
    }

    fn ask(&mut self) -> Result<Check, Error> {
        let now = (self.clock)();
        let ended = self.installation.end_probation(&now)?;
        self.note_outcome(ended.as_ref());
        let settled = ended.or(self.settled.take());
        let undelivered = self.report().err();
        let root = self.refresh().root(self.enrolment.pinned_root())?;
        let answer = self.remote.check(&CheckRequest {
            product: self.enrolment.product.clone(),
            platform: self.platform.clone(),
            running: self.installation.running().cloned(),
            known: self.store.known(root.version()),
            agent: env!("CARGO_PKG_VERSION").to_owned(),
            facts: self.told_facts(),
            waits: self.waiting(&now),
        })?;
        let mut repository = self.refresh().repository(root, &answer.metadata, now.wall)?;
        let plan = self.plan(&mut repository, &answer)?;
        self.raise_floor(&repository)?;
        if let Some(order) = &plan.retry {
            self.installation.retry(order)?;
        }
        let target = plan.action.target();
        let floor = target.and_then(|target| rules::floor(&repository, &target.version));
        let judged = self.judge(&repository, &plan);
        if let Err(error) = &judged {
            self.note_refusal(&plan, error)?;
        }
        // Only now: a crash before leaves the plan to be judged, and its refusal noted, again.
        if self.store.read(Stored::Plan).as_deref() != Some(answer.plan.as_bytes()) {
            self.store.write(Stored::Plan, answer.plan.as_bytes())?;
        }
        let running = self.installation.running().cloned();
        let (action, collection) = (judged?, None);
        Ok(Check { plan, action, floor, running, settled, undelivered, collection })
    }

    /// The plan in the server's answer, and in `repository` the channel that it needs.
    fn plan(
        &mut self,
        repository: &mut TrustedRepository,
        answer: &CheckResponse,
    ) -> Result<Plan, Error> {
        let seen = self.seen_plan(repository)?;
        let binding = PlanBinding {
            product: self.enrolment.product.clone(),
            customer: self.enrolment.customer.clone(),
            machine: self.enrolment.machine.clone(),
            version_min: seen.map_or(0, |plan| plan.version),
        };
        let plan = repository.plan(answer.plan.as_bytes(), &binding)?;
        if let Some(target) = plan.action.target() {
            self.refresh().channel(repository, &target.channel, &answer.metadata)?;
        }
        Ok(plan)
    }

    /// The newest plan that was seen. Where the vendor has put another director in the place of the
    /// one that signed it, neither it nor the orders before count any more: a thief of the old key
    /// may have numbered them as high as numbers go, so that nothing honest were ever new again.
    fn seen_plan(&mut self, repository: &TrustedRepository) -> Result<Option<Plan>, Error> {
        let Some(bytes) = self.store.read(Stored::Plan) else { return Ok(None) };
        let recalled = repository.recall_plan(&bytes);
        // What is damaged says nothing about who signed it.
        let is_readable = self.store.plan().is_some();
        if recalled.is_none() && is_readable {
            for number in [Noted::OrderDone, Noted::CollectionAnswered] {
                if self.store.noted(number).is_some() {
                    self.store.note(number, 0)?;
                }
            }
            self.installation.forget_retry_orders()?;
        }
        Ok(recalled)
    }

    /// The floor rises with what the vendor signed, whether or not the plan has to do with it.
    fn raise_floor(&mut self, repository: &TrustedRepository) -> Result<(), Error> {
        let Some(running) = self.installation.running() else { return Ok(()) };
        if let Some(floor) = rules::floor(repository, running)
            && self.installation.record().floor.as_ref().is_none_or(|known| *known < floor)
        {
            self.installation.raise_floor(&floor)?;
        }
        Ok(())
    }

    fn judge(&self, repository: &TrustedRepository, plan: &Plan) -> Result<Action, Error> {
        let record = self.installation.record();
        let target = plan.action.target();
        if let Some(target) = target {
            rules::expect_listed(repository, plan, target, &self.platform)?;
        }
        let blocked = target.and_then(|target| record.block(&target.version));
        let situation = Situation {
            running: self.installation.running(),
            floor: record.floor.as_ref(),
            blocked: blocked.map(|block| block.reason.as_str()),
            order_done: self.store.noted(Noted::OrderDone),
        };
        rules::judge(plan, situation)
    }

    /// Queues the event that this machine would not do what `plan` says: once for each plan,
    /// however often it is received.
    pub(super) fn note_refusal(&mut self, plan: &Plan, error: &Error) -> Result<(), Error> {
        let Some(target) = plan.action.target() else { return Ok(()) };
        if self.store.noted(Noted::RefusedPlan) == Some(plan.version) {
            return Ok(());
        }
        let detail: String = error.to_string().chars().take(Event::DETAIL_CHARS_MAX).collect();
        // Whatever else is wrong may be right at the next check; these will not.
        let order = match &plan.action {
            Action::Rollback { order, .. }
                if matches!(error.code(), "direction" | "floor" | "data") =>
            {
                Some(order.number)
            }
            _ => None,
        };
        self.installation.note_refusal(&target.version, order, &detail)?;
        self.store.note(Noted::RefusedPlan, plan.version)
    }
}
