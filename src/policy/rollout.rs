//! How a release spreads: to whom when, and what stops it.
//!
//! A rollout has *waves*, each of which reaches further than the one before: the canaries, the rings
//! `preview` and `early`, growing shares of the ring `general`, the ring `last`. A machine's place
//! among those of its ring is a hash of product, version and machine, so that a larger share never
//! drops a machine, and it is not the same machines that are first each time.
//!
//! A wave begins when the one before has lasted its time, pauses left out, and the schedule allows it.
//! What machines report pauses the rollout where too many have failed, and holds it where too few have
//! succeeded.

mod outcome;
mod progress;
mod rules;
mod schedule;
mod waves;

use std::collections::BTreeSet;

use jiff::Timestamp;
use mainstay_client::format::{CustomerName, Digest, MachineName, ProductName, Version};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::progress::Course;
pub use self::{
    outcome::{FailureThreshold, Outcome, Outcomes, Threshold, Thresholds, Verdict, verdict},
    progress::{Advance, Progress},
    rules::{Approval, CriticalSecurity, Pace, RolloutRules, RolloutWish},
    schedule::{Hours, Schedule, Zone},
    waves::{Reach, Share, Soak, TermsError, Wave, Waves},
};
use super::resolve::{Admission, Ring, Wait};

/// What was agreed of a rollout when it started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// Whom it reaches when.
    pub waves: Waves,
    /// Who is first.
    #[serde(default)]
    pub canaries: Canaries,
    /// When it may go on; always where there is none.
    #[serde(default)]
    pub schedule: Option<Schedule>,
    /// What stops it.
    #[serde(default)]
    pub thresholds: Thresholds,
}

/// The machines that a rollout reaches first, whatever their ring.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Canaries {
    /// These machines.
    #[serde(default)]
    pub machines: BTreeSet<MachineName>,
    /// All machines of these customers.
    #[serde(default)]
    pub customers: BTreeSet<CustomerName>,
}

impl Canaries {
    /// How many machines and customers can be named in all.
    pub const COUNT_MAX: usize = 500;

    /// How many are named.
    pub fn count(&self) -> usize {
        self.machines.len() + self.customers.len()
    }
}

/// Where a rollout stands in its life.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum RolloutState {
    /// A second person has to approve it first.
    AwaitingApproval,
    /// It goes on.
    Running,
    /// Nobody new gets the release for now.
    Paused,
    /// Everybody may have the release.
    Finished,
    /// Nobody new gets the release any more.
    Withdrawn,
}

impl RolloutState {
    /// The state in words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AwaitingApproval => "awaits approval",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Finished => "finished",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// Whether who may have the release depends on the rollout. One that is withdrawn keeps it from
    /// everybody, whatever was known of the release a moment ago.
    pub const fn is_live(self) -> bool {
        !matches!(self, Self::Finished)
    }
}

/// What can be done with a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RolloutStep {
    /// A second person agrees to it: it begins.
    Approve,
    /// Nobody new gets the release for now.
    Pause,
    /// It goes on where it was paused.
    Resume,
    /// Everybody may have the release from now on.
    Finish,
    /// Nobody new gets the release any more. That is final.
    Withdraw,
}

/// A rollout: what was agreed, and how far it has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rollout {
    /// What was agreed.
    pub terms: Terms,
    /// Where it stands.
    pub state: RolloutState,
    /// How far it has come.
    pub progress: Progress,
    /// Whether its outcomes let another wave begin.
    pub advance: Advance,
    /// The outcomes from before it was resumed, which pause it no more: somebody has looked at them.
    pub baseline: Outcomes,
}

/// A machine that a rollout reaches or does not.
#[derive(Clone, Copy, Debug)]
pub struct Applicant<'a> {
    /// Its name.
    pub machine: &'a MachineName,
    /// Whose it is.
    pub customer: &'a CustomerName,
    /// How early it gets releases.
    pub ring: Ring,
    /// What it has to do with the release already.
    pub acquaintance: Acquaintance,
}

/// What a machine has to do with a release already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acquaintance {
    /// Nothing.
    None,
    /// A technician wants it to run that version: it is as a canary.
    Wanted,
    /// It was told to install it.
    Offered,
    /// It runs it, or has confirmed it before.
    Had,
}

impl Rollout {
    /// A rollout that begins at `now`, or waits to be approved.
    pub fn new(terms: Terms, state: RolloutState, now: Timestamp) -> Self {
        let (progress, baseline) = (Progress::begin(now), Outcomes::default());
        Self { terms, state, progress, advance: Advance::Free, baseline }
    }

    /// The rollout after `step` at `now`, with the release's outcomes by then; nothing where the step
    /// is impossible in the state that it is in.
    pub fn after(&self, step: RolloutStep, outcomes: Outcomes, now: Timestamp) -> Option<Self> {
        use RolloutState::{AwaitingApproval, Finished, Paused, Running, Withdrawn};
        let state = match (step, self.state) {
            (RolloutStep::Approve, AwaitingApproval) | (RolloutStep::Resume, Paused) => Running,
            (RolloutStep::Pause, Running) => Paused,
            (RolloutStep::Finish, Running | Paused) => Finished,
            (RolloutStep::Withdraw, AwaitingApproval | Running | Paused | Finished) => Withdrawn,
            _ => return None,
        };
        let progress = match self.state {
            Running => self.progress.at(self.course(), now),
            _ => Progress { at: now, ..self.progress.clone() },
        };
        let (advance, baseline) = match step {
            RolloutStep::Resume => (Advance::Free, outcomes),
            _ => (self.advance, self.baseline),
        };
        Some(Self { terms: self.terms.clone(), state, progress, advance, baseline })
    }

    /// The rollout after `outcomes` have come in at `now`; nothing where they change nothing.
    pub fn heed(&self, outcomes: Outcomes, now: Timestamp) -> Option<Self> {
        if self.state != RolloutState::Running || self.is_over(now) {
            return None;
        }
        let advance = match verdict(&self.terms.thresholds, outcomes.since(self.baseline)) {
            Verdict::Pause => return self.after(RolloutStep::Pause, outcomes, now),
            Verdict::Hold => Advance::Held,
            Verdict::Continue => Advance::Free,
        };
        let progress = || self.progress.at(self.course(), now);
        (advance != self.advance).then(|| Self { advance, progress: progress(), ..self.clone() })
    }

    /// How many waves have begun by `now`.
    pub fn waves_begun(&self, now: Timestamp) -> usize {
        self.progress_at(now).opened.len()
    }

    /// When each wave began, or begins if nothing comes in between; nothing for those that wait for
    /// something else than time.
    pub fn openings(&self) -> Vec<Option<Timestamp>> {
        let course = self.course();
        if self.state == RolloutState::Running {
            return self.progress.openings(course);
        }
        (0..course.waves.count()).map(|wave| self.progress.opened.get(wave).copied()).collect()
    }

    /// The first instant after `now` at which the release may come to somebody, or be kept from somebody,
    /// with time alone.
    pub fn next_turn(&self, now: Timestamp) -> Option<Timestamp> {
        if self.state != RolloutState::Running {
            return None;
        }
        let openings = self.openings().into_iter().flatten();
        let end = self.progress_at(now).end(&self.terms.waves);
        // Hours begin and end with a minute.
        let minute = self.terms.schedule.as_ref().and_then(|_| next_minute(now));
        openings.chain(end).chain(minute).filter(|at| *at > now).min()
    }

    /// Whether further waves come with time, at `now`.
    pub fn goes_on(&self, now: Timestamp) -> bool {
        let begun = self.waves_begun(now);
        self.state == RolloutState::Running && begun < self.terms.waves.count()
    }

    /// Whether all waves have had their time by `now`, so that everybody may have the release.
    pub fn is_over(&self, now: Timestamp) -> bool {
        let waves = &self.terms.waves;
        self.state == RolloutState::Running
            && waves.reach_everybody()
            && self.progress_at(now).end(waves).is_some_and(|end| end <= now)
    }

    fn progress_at(&self, now: Timestamp) -> Progress {
        match self.state {
            RolloutState::Running => self.progress.at(self.course(), now),
            _ => self.progress.clone(),
        }
    }

    fn course(&self) -> Course<'_> {
        let Terms { waves, schedule, .. } = &self.terms;
        Course { waves, schedule: schedule.as_ref(), advance: self.advance }
    }
}

/// Whether the rollout of a release has come to a machine.
///
/// - Who had the release keeps it, whatever the rollout is.
/// - While a rollout is paused nobody else is given the release, not even who was told of it.
/// - Outside of the schedule's hours nobody is told of it who was not before.
pub fn admission(
    rollout: &Rollout,
    (product, version): (&ProductName, &Version),
    applicant: Applicant<'_>,
    now: Timestamp,
) -> Admission {
    if applicant.acquaintance == Acquaintance::Had {
        return Admission::Admitted;
    }
    match rollout.state {
        RolloutState::Finished => Admission::Admitted,
        RolloutState::AwaitingApproval => Admission::Waits(Wait::Approval),
        RolloutState::Paused => Admission::Waits(Wait::Paused),
        RolloutState::Withdrawn => Admission::Waits(Wait::Withdrawn),
        RolloutState::Running if rollout.is_over(now) => Admission::Admitted,
        RolloutState::Running => {
            let place = place(&rollout.terms.canaries, (product, version), applicant);
            running(rollout, place, applicant.acquaintance, now)
        }
    }
}

fn running(
    rollout: &Rollout,
    place: Reach,
    acquaintance: Acquaintance,
    now: Timestamp,
) -> Admission {
    let Terms { waves, schedule, .. } = &rollout.terms;
    let Some(wave) = waves.iter().position(|wave| wave.reach >= place) else {
        return Admission::Waits(Wait::Finish);
    };
    if wave >= rollout.waves_begun(now) {
        let from = rollout.openings().get(wave).copied().flatten();
        return Admission::Waits(Wait::Wave { number: wave + 1, of: waves.count(), from });
    }
    match schedule {
        Some(schedule) if acquaintance != Acquaintance::Offered && !schedule.is_open(now) => {
            Admission::Waits(Wait::Closed { until: schedule.next_open(now) })
        }
        _ => Admission::Admitted,
    }
}

fn next_minute(now: Timestamp) -> Option<Timestamp> {
    let second = now.as_second();
    Timestamp::from_second(second - second.rem_euclid(60) + 60).ok()
}

/// The number, from 0, of the wave that reaches the machine; nothing where none does.
pub fn wave_of(
    terms: &Terms,
    release: (&ProductName, &Version),
    applicant: Applicant<'_>,
) -> Option<usize> {
    let place = place(&terms.canaries, release, applicant);
    terms.waves.iter().position(|wave| wave.reach >= place)
}

/// How far a wave must reach to reach the machine.
fn place(
    canaries: &Canaries,
    (product, version): (&ProductName, &Version),
    applicant: Applicant<'_>,
) -> Reach {
    let Applicant { machine, customer, ring, acquaintance } = applicant;
    let is_canary = acquaintance == Acquaintance::Wanted
        || canaries.machines.contains(machine)
        || canaries.customers.contains(customer);
    match ring {
        _ if is_canary => Reach::Canaries,
        Ring::Preview => Reach::Preview,
        Ring::Early => Reach::Early,
        Ring::General => Reach::General(needed_share(product, version, machine)),
        Ring::Last => Reach::Last,
    }
}

/// The smallest share of the ring `general` that has the machine in it. It depends on nothing but
/// these three, and is the same for ever.
fn needed_share(product: &ProductName, version: &Version, machine: &MachineName) -> Share {
    let digest =
        Digest::of(format!("mainstay-rollout\n{product}\n{version}\n{machine}").as_bytes());
    let number =
        digest.as_bytes().iter().take(8).fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    let basis_points = number % u64::from(Share::WHOLE.basis_points()) + 1;
    u16::try_from(basis_points).ok().and_then(Share::of_basis_points).unwrap_or(Share::WHOLE)
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
