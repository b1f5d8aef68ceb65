//! Rollouts over fleets that do not exist: how many machines a bad release reaches before it is paused,
//! and how often a good one is paused for nothing.
//!
//! Waves, admission, outcomes and thresholds are those of [`rollout`](super::rollout), the same functions
//! that a server asks. Only the machines, the failures and the time are made up. What happens to a machine
//! is drawn from the seed, the machine and the instant, so that the same seed gives the same course.

mod comparison;
mod draw;
mod failure;
mod fleet;

use std::{cmp::Reverse, collections::BinaryHeap};

use jiff::{SignedDuration, Timestamp};
use mainstay_client::format::{CustomerName, MachineName, ParseError, ProductName, Version};
use serde::Serialize;

pub use self::{
    comparison::{Comparison, Courses, Spread, compare},
    failure::{FailureModel, Fate, Manner},
    fleet::{Fleet, PLATFORMS},
};
use super::{
    resolve::Admission,
    rollout::{
        Acquaintance, Applicant, Outcome, Outcomes, Rollout, RolloutState, Terms, admission,
        wave_of,
    },
};

/// How a simulated rollout ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// Too many machines failed.
    Paused,
    /// Too few machines succeeded for another wave, and nothing more comes in.
    Held,
    /// All machines that its waves reach and that can be reached have it.
    Spread,
}

/// How one rollout went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Course {
    /// How it ended.
    pub end: End,
    /// How many machines were given the release by then, those included that had not installed it yet.
    pub reached: u32,
    /// When it ended, in seconds from its beginning.
    pub after_seconds: u32,
}

/// How a rollout goes by `terms` in `fleet`, of a release whose failures are as `failure` has them.
///
/// # Errors
///
/// [`ParseError`] where a made-up name is not one, which would be a defect of this program.
pub fn run(terms: &Terms, fleet: &Fleet, failure: &FailureModel) -> Result<Course, ParseError> {
    let mut simulation = Simulation::begin(terms, fleet, failure)?;
    while let Some(next) = simulation.next() {
        match next {
            Next::Wave(at) => simulation.open_wave(at),
            Next::Contact(contact) => simulation.contact(contact)?,
        }
        if simulation.rollout.state == RolloutState::Paused {
            break;
        }
    }
    Ok(simulation.ended())
}

/// What a machine does next, and when, in seconds from the rollout's beginning. The order is that of time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Contact {
    at: u32,
    machine: u32,
    step: Step,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    /// It asks what to install.
    Check,
    /// It reports that it has switched the release on.
    ReportInstalled,
    /// It reports how the probation ended.
    ReportEnd,
}

enum Next {
    Wave(u32),
    Contact(Contact),
}

struct Simulation<'a> {
    fleet: &'a Fleet,
    failure: &'a FailureModel,
    release: (ProductName, Version),
    customer: CustomerName,
    rollout: Rollout,
    outcomes: Outcomes,
    contacts: BinaryHeap<Reverse<Contact>>,
    /// Whom each wave reaches that those before it do not; emptied as the waves open.
    waiting: Vec<Vec<u32>>,
    opened: usize,
    /// When the next wave opens, if that depends on time alone.
    opening: Option<u32>,
    reached: u32,
    now: u32,
}

impl<'a> Simulation<'a> {
    /// How long a machine takes to download and install, in seconds, at the least and at the most.
    const INSTALL_SECONDS: (u32, u32) = (60, 900);
    /// How long a release is on probation, in seconds.
    const PROBATION_SECONDS: u32 = 300;

    fn begin(
        terms: &Terms,
        fleet: &'a Fleet,
        failure: &'a FailureModel,
    ) -> Result<Self, ParseError> {
        let rollout = Rollout::new(terms.clone(), RolloutState::Running, instant(0));
        let mut simulation = Self {
            fleet,
            failure,
            release: ("simulated".parse()?, "1.0.1".parse()?),
            customer: "simulated".parse()?,
            rollout,
            outcomes: Outcomes::default(),
            contacts: BinaryHeap::new(),
            waiting: vec![Vec::new(); terms.waves.count()],
            opened: 0,
            opening: Some(0),
            reached: 0,
            now: 0,
        };
        simulation.sort_into_waves()?;
        simulation.look_ahead();
        Ok(simulation)
    }

    fn sort_into_waves(&mut self) -> Result<(), ParseError> {
        for machine in (0..self.fleet.machines).filter(|it| !self.fleet.is_dead(*it)) {
            let name = self.fleet.name(machine)?;
            let wave = {
                let (product, version) = &self.release;
                wave_of(&self.rollout.terms, (product, version), self.applicant(machine, &name))
            };
            if let Some(waiting) = wave.and_then(|wave| self.waiting.get_mut(wave)) {
                waiting.push(machine);
            }
        }
        Ok(())
    }

    fn applicant<'b>(&'b self, machine: u32, name: &'b MachineName) -> Applicant<'b> {
        let ring = self.fleet.ring(machine);
        let acquaintance = Acquaintance::None;
        Applicant { machine: name, customer: &self.customer, ring, acquaintance }
    }

    /// What comes next: a wave before the contacts of the same second.
    fn next(&mut self) -> Option<Next> {
        let contact = self.contacts.peek().map(|Reverse(contact)| contact.at);
        match (self.opening, contact) {
            (Some(opening), contact) if contact.is_none_or(|at| opening <= at) => {
                Some(Next::Wave(opening))
            }
            _ => self.contacts.pop().map(|Reverse(contact)| Next::Contact(contact)),
        }
    }

    fn open_wave(&mut self, at: u32) {
        self.now = self.now.max(at);
        let machines = self.waiting.get_mut(self.opened).map(std::mem::take).unwrap_or_default();
        // Machines ask all the time; who waits for a wave asks next at some moment of one interval.
        self.contacts.extend(machines.into_iter().map(|machine| {
            let at = self.now + self.fleet.phase(machine);
            Reverse(Contact { at, machine, step: Step::Check })
        }));
        self.opened += 1;
        self.look_ahead();
    }

    fn look_ahead(&mut self) {
        let opening = self.rollout.openings().get(self.opened).copied().flatten();
        self.opening = opening.map(seconds);
    }

    fn contact(&mut self, contact: Contact) -> Result<(), ParseError> {
        let Contact { at, machine, step } = contact;
        self.now = at;
        if self.fleet.is_cut_off(machine, at) {
            self.again(contact);
            return Ok(());
        }
        match step {
            Step::Check => self.check(contact)?,
            Step::ReportInstalled => {
                self.told(None, Outcome::Tried);
                if self.fate(machine) != Fate::Silent {
                    let at = at + Self::PROBATION_SECONDS;
                    self.contacts.push(Reverse(Contact { at, machine, step: Step::ReportEnd }));
                }
            }
            Step::ReportEnd => match self.fate(machine) {
                Fate::Succeeds => self.told(Some(Outcome::Tried), Outcome::Succeeded),
                Fate::Fails => self.told(Some(Outcome::Tried), Outcome::Failed),
                Fate::Silent => {}
            },
        }
        Ok(())
    }

    fn check(&mut self, contact: Contact) -> Result<(), ParseError> {
        let Contact { at, machine, .. } = contact;
        let name = self.fleet.name(machine)?;
        let (product, version) = &self.release;
        let applicant = self.applicant(machine, &name);
        match admission(&self.rollout, (product, version), applicant, instant(at)) {
            Admission::Admitted => {
                self.reached += 1;
                let at = at + self.fleet.between(machine, Self::INSTALL_SECONDS);
                let step = Step::ReportInstalled;
                self.contacts.push(Reverse(Contact { at, machine, step }));
            }
            Admission::Waits(_) => self.again(contact),
        }
        Ok(())
    }

    fn again(&mut self, contact: Contact) {
        let at = contact.at + self.fleet.interval(contact.machine, contact.at);
        self.contacts.push(Reverse(Contact { at, ..contact }));
    }

    fn fate(&self, machine: u32) -> Fate {
        self.failure.fate(self.fleet, machine)
    }

    fn told(&mut self, before: Option<Outcome>, outcome: Outcome) {
        self.outcomes = self.outcomes.after(before, outcome);
        if let Some(rollout) = self.rollout.heed(self.outcomes, instant(self.now)) {
            self.rollout = rollout;
            self.look_ahead();
        }
    }

    fn ended(&self) -> Course {
        let end = match self.rollout.state {
            RolloutState::Paused => End::Paused,
            _ if self.opened < self.waiting.len() => End::Held,
            _ => End::Spread,
        };
        Course { end, reached: self.reached, after_seconds: self.now }
    }
}

/// The instant so many seconds after the beginning.
fn instant(seconds: u32) -> Timestamp {
    let after = SignedDuration::from_secs(i64::from(seconds));
    Timestamp::UNIX_EPOCH.checked_add(after).unwrap_or(Timestamp::MAX)
}

/// How many seconds after the beginning an instant is.
fn seconds(instant: Timestamp) -> u32 {
    u32::try_from(instant.as_second()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
