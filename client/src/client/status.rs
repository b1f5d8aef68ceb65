use std::path::Path;

use super::{
    Client, CollectionRequest, Enrolment, History, approval, rules,
    rules::Situation,
    settings::{Step, Wait, step},
    trust_store::{Noted, TrustStore},
};
use crate::{
    clock,
    error::Error,
    format::{
        Action, Lines, Plan, Version,
        wire::{Awaited, Waiting},
    },
    fs::LocalFileSystem,
    install::{Layout, Limits, Moment, Record, Recorded},
    tuf,
};

/// What is known about a machine without asking anybody.
#[derive(Clone, Debug)]
pub struct Status {
    /// Whose machine it is and where its updates come from.
    pub enrolment: Enrolment,
    /// What runs, what ran, what is kept, blocked and on probation, and what is going on.
    pub recorded: Recorded,
    /// The newest plan that was verified.
    pub plan: Option<Plan>,
    /// What of that plan is still to be done here.
    pub offer: Option<Offer>,
    /// The signed dates of the product's lines.
    pub lines: Lines,
    /// What happened when.
    pub history: History,
    /// A support bundle that is asked for and was not sent yet.
    pub collection: Option<CollectionRequest>,
}

/// What of a plan is still to be done.
#[derive(Clone, Debug)]
pub struct Offer {
    /// An update or a rollback.
    pub action: Action,
    /// The version on probation, which must be confirmed or undone before an update.
    pub probation: Option<Version>,
    /// What the service does about it by itself.
    pub step: Step,
}

impl Offer {
    /// What of `plan` is still to be done here, if anything is.
    fn of(
        plan: &Plan,
        layout: &Layout,
        enrolment: &Enrolment,
        record: &Record,
        store: &TrustStore,
        now: &Moment,
    ) -> Option<Self> {
        let action = still_to_do(plan, record, store.noted(Noted::OrderDone))?;
        let (channels, windows) = (enrolment.updates.channels, &enrolment.updates.windows);
        let approved = approval::read(layout);
        let step = step(&action, channels, approved.as_ref(), windows.at(now.wall));
        // An order undoes what is on probation.
        let probation = match action {
            Action::Update { .. } => record.probation.as_ref().map(|it| it.version.clone()),
            Action::Stay | Action::Rollback { .. } => None,
        };
        Some(Self { action, probation, step })
    }

    /// What the service waits for before it does that; nothing where its next look does it.
    pub fn awaited(&self) -> Option<Awaited> {
        match (&self.probation, self.step) {
            (Some(_), _) => Some(Awaited::Confirmation),
            (None, Step::Wait(wait) | Step::Fetch(wait)) => Some(match wait {
                Wait::Approval => Awaited::Approval,
                Wait::Window(opens) => Awaited::Window(opens),
            }),
            (None, Step::Rest) => Some(Awaited::Command),
            (None, Step::Apply) => None,
        }
    }
}

impl Status {
    /// Reads what is known about the installation at `root_dir`. It takes no lock, so it works while
    /// another process is at work there, and changes and mends nothing. Needs no server.
    ///
    /// # Errors
    ///
    /// [`NotEnrolled`](crate::error::ErrorKind::NotEnrolled) where the machine is not.
    pub fn read(root_dir: &Path) -> Result<Self, Error> {
        let (layout, files) = (Layout::new(root_dir), Box::new(LocalFileSystem));
        let enrolment = Enrolment::read(&layout)?;
        let recorded = Recorded::read(&layout, &Limits::default())?;
        let store = TrustStore::new(layout.trust(), tuf::Limits::DEFAULT, files);
        Ok(Self::of(&layout, enrolment, recorded, &store, &clock::system()()))
    }

    fn of(
        layout: &Layout,
        enrolment: Enrolment,
        recorded: Recorded,
        store: &TrustStore,
        now: &Moment,
    ) -> Self {
        let plan = store.plan();
        let offer = plan
            .as_ref()
            .and_then(|plan| Offer::of(plan, layout, &enrolment, &recorded.record, store, now));
        let target = offer.as_ref().and_then(|offer| offer.action.target());
        let offered = target.map(|target| &target.version);
        let mut history = History::read(layout);
        // What stood in the way of another release is of no interest any more.
        history.obstacle = history.obstacle.filter(|it| it.version.as_ref() == offered);
        let lines = store.lines();
        let answered = store.noted(Noted::CollectionAnswered);
        let collection = plan.as_ref().and_then(|plan| {
            CollectionRequest::open(plan, now.wall, answered, enrolment.support.collect, layout)
        });
        Self { enrolment, recorded, plan, offer, lines, history, collection }
    }
}

/// What of `plan` this machine has still to do. What it would refuse is no offer.
fn still_to_do(plan: &Plan, record: &Record, order_done: Option<u64>) -> Option<Action> {
    let blocked = plan.action.target().and_then(|target| record.block(&target.version));
    let situation = Situation {
        running: record.running.as_ref(),
        floor: record.floor.as_ref(),
        blocked: blocked.map(|block| block.reason.as_str()),
        order_done,
    };
    rules::judge(plan, situation).ok().filter(|action| *action != Action::Stay)
}

impl Client {
    /// What is waited for here with what the newest plan offers, as the server is told it.
    pub(super) fn waiting(&self, now: &Moment) -> Option<Waiting> {
        let (plan, record) = (self.store.plan()?, self.installation.record());
        let layout = self.installation.layout();
        let offer = Offer::of(&plan, layout, &self.enrolment, record, &self.store, now)?;
        let version = offer.action.target()?.version.clone();
        Some(Waiting { version, awaited: offer.awaited()? })
    }

    /// What is known without asking anybody. Whoever has not opened the installation reads it with
    /// [`Status::read`].
    pub fn status(&self) -> Status {
        let (enrolment, recorded) = (self.enrolment.clone(), self.installation.recorded());
        let layout = self.installation.layout();
        Status::of(layout, enrolment, recorded, &self.store, &(self.clock)())
    }
}
