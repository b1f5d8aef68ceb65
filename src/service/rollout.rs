//! Rollouts: what becomes of a release after it was published, who has a hand in that, and who sees
//! whose.

mod plan;
mod spread;
mod stop;

use jiff::Timestamp;
use mainstay_client::format::{ProductName, Version, schema::Instant};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(super) use self::spread::Spread;
pub use self::{
    plan::{CustomerShare, PlanRollout, PlannedRelease, PlannedWave, RolloutPlan},
    stop::{ChangeStop, ProductRollouts},
};
use super::{Actor, ErrorClass, Scope, Service, ServiceError, ServiceResult};
use crate::{
    policy::{Outcomes, Release, Rollout, RolloutStep, RolloutWish},
    store::{Role, RolloutRecord, StopRecord, StopState, StoreError, Word, found},
};

/// What somebody wants of a rollout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum RolloutAction {
    /// That a release which has none gets one. Who has the release keeps it.
    Start {
        /// How it spreads.
        #[serde(default)]
        rollout: RolloutWish,
    },
    /// Another person's agreement: it begins.
    Approve {},
    /// Nobody new gets the release for now.
    Pause {},
    /// It goes on where it was paused.
    Resume {},
    /// Everybody may have the release from now on.
    Finish {},
    /// Nobody new gets the release any more. That is final.
    Withdraw {},
}

/// `POST /v1/products/{product}/rollouts/{version}/actions`, and `…/actions/preview`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ActOnRollout {
    /// The revision of the rollout that whoever acts has seen; 0 where there was none.
    pub expected_revision: u64,
    /// What is wanted.
    pub action: RolloutAction,
    /// Why.
    pub reason: String,
    /// The ticket that it belongs to.
    #[serde(default)]
    pub ticket: Option<String>,
}

/// What comes of an action.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RolloutOutcome {
    /// The rollout before; nothing where there was none.
    pub before: Option<RolloutView>,
    /// The rollout afterwards.
    pub after: RolloutView,
    /// Which machines it reaches then, and when: in a preview.
    pub plan: Option<RolloutPlan>,
}

/// A rollout as whoever looks after it sees it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RolloutView {
    /// The record.
    #[serde(flatten)]
    pub record: RolloutRecord,
    /// What machines have told of the release.
    pub outcomes: Outcomes,
    /// The waves, the first one first.
    pub waves: Vec<WaveView>,
}

/// A wave of a rollout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WaveView {
    /// Whom it reaches.
    pub reach: String,
    /// How long it lasts, in seconds.
    pub soak_seconds: u32,
    /// When it began, or is to begin; nothing where that depends on more than time.
    #[schemars(with = "Option<Instant>")]
    pub begins: Option<Timestamp>,
    /// Whether it has begun.
    pub begun: bool,
}

impl RolloutAction {
    /// The verb, as the audit trail has it.
    pub const fn verb(&self) -> &'static str {
        match self {
            Self::Start { .. } => "rollout.start",
            Self::Approve {} => "rollout.approve",
            Self::Pause {} => "rollout.pause",
            Self::Resume {} => "rollout.resume",
            Self::Finish {} => "rollout.finish",
            Self::Withdraw {} => "rollout.withdraw",
        }
    }

    const fn step(&self) -> Option<RolloutStep> {
        match self {
            Self::Start { .. } => None,
            Self::Approve {} => Some(RolloutStep::Approve),
            Self::Pause {} => Some(RolloutStep::Pause),
            Self::Resume {} => Some(RolloutStep::Resume),
            Self::Finish {} => Some(RolloutStep::Finish),
            Self::Withdraw {} => Some(RolloutStep::Withdraw),
        }
    }

    /// Whether more machines may have the release afterwards.
    const fn lets_on(&self) -> bool {
        !matches!(self, Self::Pause {} | Self::Withdraw {})
    }
}

impl RolloutView {
    fn new(record: RolloutRecord, outcomes: Outcomes, now: Timestamp) -> Self {
        let waves = waves(&record.rollout, now);
        Self { record, outcomes, waves }
    }
}

/// The waves of a rollout by their times.
pub(super) fn waves(rollout: &Rollout, now: Timestamp) -> Vec<WaveView> {
    let begun = rollout.waves_begun(now);
    let waves = rollout.terms.waves.iter().zip(rollout.openings()).enumerate();
    waves
        .map(|(index, (wave, begins))| WaveView {
            reach: wave.reach.to_string(),
            soak_seconds: wave.soak.seconds(),
            begins,
            begun: index < begun,
        })
        .collect()
}

impl Service {
    /// The rollout with which a release begins, by the word of `actor`.
    pub(super) fn first_rollout(
        &self,
        word: Word,
        product: &ProductName,
        release: &Release,
        wish: RolloutWish,
    ) -> ServiceResult<RolloutRecord> {
        require_sound(&wish)?;
        let terms = self.rollouts.agreed(wish, release);
        let rollout = Rollout::new(terms, self.rollouts.first_state(), word.at);
        Ok(RolloutRecord {
            product: product.clone(),
            version: release.version.clone(),
            revision: 0,
            started: word.clone(),
            changed: word,
            rollout,
        })
    }

    /// A rollout as it begins: paused, where all updates of the product are stopped.
    pub(super) async fn paused_where_stopped(
        &self,
        record: RolloutRecord,
    ) -> ServiceResult<RolloutRecord> {
        let stop = self.meta.stop(&record.product).await?;
        let at = record.changed.at;
        let stop = stop.filter(|it| it.state == StopState::Stopped && record.rollout.goes_on(at));
        let paused = record.rollout.after(RolloutStep::Pause, Outcomes::default(), at);
        Ok(match (stop, paused) {
            (Some(StopRecord { word, .. }), Some(rollout)) => {
                RolloutRecord { changed: Word { at, ..word }, rollout, ..record }
            }
            _ => record,
        })
    }

    /// The rollout of a release.
    pub async fn rollout(
        &self,
        product: &ProductName,
        version: &Version,
    ) -> ServiceResult<RolloutView> {
        let record = self.meta.rollout(product, version).await?;
        let outcomes = self.meta.outcomes(product, version).await?;
        Ok(RolloutView::new(record, outcomes, self.clock.now()))
    }

    /// What would come of an action. Nothing is done.
    pub async fn preview_rollout_action(
        &self,
        actor: &Actor,
        product: &ProductName,
        version: &Version,
        request: ActOnRollout,
    ) -> ServiceResult<RolloutOutcome> {
        let acted = self.acted_on_rollout(actor, product, version, &request).await?;
        let RolloutOutcome { before, after, .. } = acted.outcome(self.clock.now());
        let plan = if request.action.lets_on() {
            Some(self.plan_of(&after.record, None).await?)
        } else {
            None
        };
        Ok(RolloutOutcome { before, after, plan })
    }

    /// Does with a rollout what is wanted of it, unless it has changed since whoever wants that has seen
    /// it.
    pub async fn act_on_rollout(
        &self,
        actor: &Actor,
        product: &ProductName,
        version: &Version,
        request: ActOnRollout,
    ) -> ServiceResult<RolloutOutcome> {
        let acted = self.acted_on_rollout(actor, product, version, &request).await?;
        let record = acted.after.clone();
        let mut audit = self.audit(actor, request.action.verb(), record.subject());
        audit.reason = Some(record.changed.reason.clone());
        audit.ticket.clone_from(&record.changed.ticket);
        audit.detail = detail(&record.rollout);
        audit.before = acted.before.as_ref().map(RolloutRecord::before);
        let goes_on = record.rollout.goes_on(record.changed.at);
        match self.meta.change_rollout(record, audit).await {
            Err(StoreError::Conflict(_)) => {
                let stop = self.meta.stop(product).await?;
                if let Some(stop) = stop.filter(|it| goes_on && it.state == StopState::Stopped) {
                    return Err(while_stopped(&stop));
                }
                let newest = found(self.meta.rollout(product, version).await)?;
                Err(changed_meanwhile((product, version), newest.as_ref()))
            }
            Err(error) => Err(error.into()),
            Ok(()) => {
                let mut outcome = acted.outcome(self.clock.now());
                outcome.after.record.revision += 1;
                Ok(outcome)
            }
        }
    }

    async fn acted_on_rollout(
        &self,
        actor: &Actor,
        product: &ProductName,
        version: &Version,
        request: &ActOnRollout,
    ) -> ServiceResult<Acted> {
        let ActOnRollout { expected_revision, action, reason, ticket } = request;
        let word = self.word(actor, reason, ticket.as_deref())?;
        let outcomes = self.meta.outcomes(product, version).await?;
        let before = found(self.meta.rollout(product, version).await)?;
        if before.as_ref().map_or(0, |before| before.revision) != *expected_revision {
            return Err(changed_meanwhile((product, version), before.as_ref()));
        }
        let after = match (&before, action.step()) {
            (Some(before), Some(step)) => {
                if step == RolloutStep::Approve {
                    require_second_person("the rollout", &before.started.by, actor)?;
                }
                let rollout = before.rollout.after(step, outcomes, word.at);
                let rollout = rollout.ok_or_else(|| impossible(before, action))?;
                RolloutRecord { changed: word, rollout, ..before.clone() }
            }
            (Some(before), None) => return Err(impossible(before, action)),
            (None, Some(_)) => return Err(self.no_rollout(product, version).await?),
            (None, None) => {
                let RolloutAction::Start { rollout } = action else {
                    return Err(self.no_rollout(product, version).await?);
                };
                let standing = self.product_standing(product, None).await?;
                let release = standing.release(version).ok_or_else(|| unknown(product, version))?;
                let mut record =
                    self.first_rollout(word, product, &release.release, rollout.clone())?;
                // What became of it before is nothing that this rollout could stop.
                record.rollout.baseline = outcomes;
                record
            }
        };
        Ok(Acted { before, after, outcomes })
    }

    /// Why nothing can be done with the rollout of a release that has none.
    async fn no_rollout(
        &self,
        product: &ProductName,
        version: &Version,
    ) -> ServiceResult<ServiceError> {
        let releases = self.meta.releases(product).await?;
        if !releases.iter().any(|release| release.release.version == *version) {
            return Ok(unknown(product, version));
        }
        Ok(ServiceError::new(
            ErrorClass::Conflict,
            "ROLLOUT_IMPOSSIBLE",
            format!(
                "{product} {version} has no rollout: everybody may have it; start one \
                 (`mainstay rollout start`) to have it spread in waves"
            ),
        ))
    }

    /// Notes the rollouts as finished of which all waves have had their time, and says how many. Who
    /// may have what is not changed by that.
    pub async fn finish_rollouts(&self) -> ServiceResult<usize> {
        let now = self.clock.now();
        let mut finished = 0;
        for product in self.meta.products().await? {
            for record in self.meta.live_rollouts(&product.name).await? {
                if !record.rollout.is_over(now) {
                    continue;
                }
                let reason = "all waves have had their time".to_owned();
                let word = Word { at: now, by: "server".to_owned(), reason, ticket: None };
                let outcomes = self.meta.outcomes(&product.name, &record.version).await?;
                let step = record.rollout.after(RolloutStep::Finish, outcomes, now);
                let Some(rollout) = step else { continue };
                let (role, scope) = (Role::Admin, Scope::Everything);
                let server = Actor { id: word.by.clone(), role, scope, address: None };
                let mut audit = self.audit(&server, "rollout.finish", record.subject());
                audit.reason = Some(word.reason.clone());
                audit.before = Some(record.before());
                let after = RolloutRecord { changed: word, rollout, ..record };
                match self.meta.change_rollout(after, audit).await {
                    // Somebody was quicker; what they want is looked at next time.
                    Err(StoreError::Conflict(_)) => {}
                    other => {
                        other?;
                        finished += 1;
                    }
                }
            }
        }
        Ok(finished)
    }
}

/// Why a rollout cannot go on: nothing of the product does.
fn while_stopped(stop: &StopRecord) -> ServiceError {
    let StopRecord { product, word, .. } = stop;
    ServiceError::new(
        ErrorClass::Conflict,
        "ROLLOUT_IMPOSSIBLE",
        format!(
            "all updates of {product} are stopped, by {} at {}: {}; lift that first (`mainstay rollout \
             unstop`)",
            word.by, word.at, word.reason
        ),
    )
}

/// A rollout before and after an action that is not recorded yet.
struct Acted {
    before: Option<RolloutRecord>,
    after: RolloutRecord,
    outcomes: Outcomes,
}

impl Acted {
    fn outcome(self, now: Timestamp) -> RolloutOutcome {
        let view = |record| RolloutView::new(record, self.outcomes, now);
        RolloutOutcome { before: self.before.map(view), after: view(self.after), plan: None }
    }
}

/// Refuses what no rollout can be.
pub(super) fn require_sound(wish: &RolloutWish) -> ServiceResult<()> {
    match wish.problem() {
        Some(problem) => Err(ServiceError::input(format!("the rollout is {problem}"))),
        None => Ok(()),
    }
}

/// How a rollout goes on, for the audit trail.
pub(super) fn detail(rollout: &Rollout) -> String {
    format!("{}, waves {}", rollout.state.as_str(), rollout.terms.waves)
}

fn unknown(product: &ProductName, version: &Version) -> ServiceError {
    let message = format!("{product} has no release {version}");
    ServiceError::new(ErrorClass::NotFound, "NOT_FOUND", message)
}

/// Two people are told apart by their tokens.
pub(super) fn require_second_person(what: &str, starter: &str, actor: &Actor) -> ServiceResult<()> {
    if starter != actor.id {
        return Ok(());
    }
    Err(ServiceError::new(
        ErrorClass::Forbidden,
        "SAME_PERSON",
        format!("{starter} has started {what}: expected somebody else to approve it"),
    ))
}

fn impossible(before: &RolloutRecord, action: &RolloutAction) -> ServiceError {
    let verb = action.verb().trim_start_matches("rollout.");
    let Word { at, by, reason, .. } = &before.changed;
    let expected = match action {
        RolloutAction::Start { .. } => "none yet",
        RolloutAction::Approve {} => "one that awaits approval",
        RolloutAction::Pause {} => "one that is running",
        RolloutAction::Resume {} => "one that is paused",
        RolloutAction::Finish {} => "one that is running or paused",
        RolloutAction::Withdraw {} => "one that is not withdrawn yet",
    };
    ServiceError::new(
        ErrorClass::Conflict,
        "ROLLOUT_IMPOSSIBLE",
        format!(
            "the rollout of {} is {}, by {by} at {at}: {reason}; to {verb} a rollout, expected {expected}",
            before.subject(),
            before.rollout.state.as_str(),
        ),
    )
}

/// What the second of two people who act at the same time is told of the first.
fn changed_meanwhile(
    (product, version): (&ProductName, &Version),
    newest: Option<&RolloutRecord>,
) -> ServiceError {
    let is_now = newest.map_or_else(
        || "there is none".to_owned(),
        |RolloutRecord { revision, changed, rollout, .. }| {
            let Word { at, by, reason, .. } = changed;
            let state = rollout.state.as_str();
            format!("it is {state} (revision {revision}), by {by} at {at}: {reason}")
        },
    );
    ServiceError::new(
        ErrorClass::Conflict,
        "CONFLICT",
        format!(
            "the rollout of {product} {version} is not what you have seen: {is_now}. Look at it \
             again, then repeat what you still want"
        ),
    )
}
