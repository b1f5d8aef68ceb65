//! The check: one round trip that brings a machine its signed plan and the metadata that it lacks.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use mainstay_client::{
    format::{
        Action, ChannelName, CollectOrder, CustomerName, Digest, Facts, MachineName, Notice,
        PLAN_FORMAT, Plan, PlanTarget, RetryOrder, RollbackOrder, Version, Withheld,
        wire::{CheckRequest, CheckResponse, KnownMetadata},
    },
    tuf::{self, DIRECTOR, json},
};
use serde::Serialize;

use super::{
    ATTEMPTS_MAX, Actor, ErrorClass, Scope, Service, ServiceError, ServiceResult,
    answer::{ANSWER_LIFETIME, Answered, Holds},
    clones::SUSPICION_LIFETIME,
    collect,
    product::text,
    retry,
    seats::ALLOCATION_LIFETIME,
    standing::ProductStanding,
};
use crate::{
    policy::{self, Resolution, Seat},
    store::{
        AuditEntry, MachineChange, MachineRecord, Moment, NewPlan, PlanRecord, PlanSummary,
        ReleaseRecord, Repository, Role, StoreError, StoredFile,
    },
};

/// How long a plan is good for.
const PLAN_LIFETIME: SignedDuration = SignedDuration::from_hours(7 * 24);
/// A machine that is heard of again within this time is not written down anew.
pub(super) const SEEN_STEP: SignedDuration = SignedDuration::from_secs(60);

impl Service {
    /// Answers a machine's check.
    pub async fn check(
        &self,
        machine: MachineRecord,
        request: &CheckRequest,
    ) -> ServiceResult<CheckResponse> {
        Ok(Box::pin(self.answer_check(machine, request)).await?.response)
    }

    /// Answers a machine's check, and says for how long the answer holds.
    pub async fn answer_check(
        &self,
        mut machine: MachineRecord,
        request: &CheckRequest,
    ) -> ServiceResult<Answered> {
        machine.require_product(&request.product)?;
        require_sound(request)?;
        // Before anything is read that the answer depends on.
        let moment = self.meta.changes().moment(&machine.name);
        let seats = self.allocations.generation();
        let standing = self.standing(&machine.contract, &request.product).await?;
        for _ in 0..ATTEMPTS_MAX {
            machine.require_enrolled()?;
            match self.planned(&standing, machine, request).await {
                // A technician's order or another check came in between: look again.
                Err(PlanError::Overtaken(name)) => machine = self.meta.machine(&name).await?,
                Err(PlanError::Service(error)) => return Err(error),
                Ok(planned) => {
                    let metadata = self.newer_metadata(&standing, &planned, &request.known).await?;
                    let holds = self.holds(&standing, &planned, moment, seats).await?;
                    let response = CheckResponse { plan: planned.plan, metadata };
                    return Ok(Answered { response, holds });
                }
            }
        }
        Err(ServiceError::new(
            ErrorClass::Unavailable,
            "BUSY",
            "the machine's record keeps changing; try again",
        ))
    }

    /// Takes in what the machine says of itself, decides, and signs a plan unless the last one says
    /// the same and is fresh.
    async fn planned(
        &self,
        standing: &ProductStanding,
        stored: MachineRecord,
        request: &CheckRequest,
    ) -> Result<Planned, PlanError> {
        let now = standing.now();
        let stored = self.claimed(stored, now).await?;
        let mut machine = stored.clone();
        machine.note_memory(request.known.timestamp, now);
        machine.waits = request.waits.clone().map(Box::new);
        machine.runs_now(request.running.as_ref(), now);
        machine.platform = request.platform.clone();
        machine.agent = request.agent.chars().filter(|c| !c.is_control()).take(64).collect();
        machine.facts.clone_from(&request.facts);
        machine.close_order();
        machine.close_installation();

        let Some(director) = self.director(standing.product()).await? else {
            let plan = self.plan_without_director(standing, &stored).await?;
            let recorded = Recorded::Stays;
            return Ok(Planned { machine: stored, plan, role: None, recorded });
        };
        let seat = self.seat(standing, &machine).await?;
        let content = self.plan_content(standing, &machine, seat)?;
        let target = content.action.target();
        let role = target.map(|target| target.channel.clone());
        machine.offered.extend(target.map(|target| target.version.clone()));
        let canonical =
            serde_json::to_value((&content, director.public().id())).map_err(ServiceError::from)?;
        let content_sha256 = Digest::of(&json::canonical(&canonical));
        let fresh = machine.plan.as_ref().filter(|plan| {
            plan.content_sha256 == content_sha256
                && plan.expires.duration_since(now) > PLAN_LIFETIME / 2
        });
        let (plan, new_plan) = if fresh.is_some() {
            (self.meta.plan(&machine.name).await.map_err(ServiceError::from)?, None)
        } else {
            let version = machine.plan.as_ref().map_or(0, |plan| plan.version) + 1;
            let expires = now.checked_add(PLAN_LIFETIME).map_err(ServiceError::internal)?;
            let plan = plan_document(&machine, content, version, (now, expires));
            let signed = tuf::sign(&plan, &[director]).map_err(ServiceError::from)?;
            machine.plan = Some(PlanRecord { version, content_sha256, issued: now, expires });
            let signed = text(&signed)?;
            let said = PlanSummary::of(&plan);
            (signed.clone(), Some(NewPlan { signed, said }))
        };
        let mut recorded = Recorded::Stays;
        if machine != stored || now.duration_since(stored.seen_at) >= SEEN_STEP {
            recorded = Recorded::Changed;
            machine.seen_at = now;
            let name = machine.name.clone();
            let change = MachineChange {
                machine: machine.clone(),
                plan: new_plan,
                events: Vec::new(),
                audit: self.suspicion(&stored, &machine),
            };
            let is_signed = change.plan.is_some();
            self.meta.change_machine(change).await.map_err(|error| overtaken(error, name))?;
            if is_signed {
                self.measures.signed_plan();
            }
        }
        Ok(Planned { machine, plan, role, recorded })
    }

    /// For how long an answer holds that was worked out since `moment`, with the allocations of the
    /// generation `seats`; nothing where it may be out of date already.
    async fn holds(
        &self,
        standing: &ProductStanding,
        planned: &Planned,
        moment: Moment,
        seats: u64,
    ) -> ServiceResult<Option<Holds>> {
        let machine = &planned.machine;
        let moment = match planned.recorded {
            // It was changed at the revision that was read.
            Recorded::Changed => moment.after_change(),
            // It was read before the moment, and may have been changed in between.
            Recorded::Stays => {
                if self.meta.machine_revision(&machine.name).await? != machine.revision {
                    return Ok(None);
                }
                moment
            }
        };
        let seated = standing.contract().is_some_and(|contract| contract.seats.is_some());
        let lifetime = if seated { ALLOCATION_LIFETIME } else { ANSWER_LIFETIME };
        let now = standing.now();
        let own = turns(machine).filter(|at| *at > now);
        let until = own.chain(standing.next_turn()).chain(now.checked_add(lifetime).ok()).min();
        Ok(until.map(|until| Holds {
            machine: machine.name.clone(),
            moment,
            seats: seated.then_some(seats),
            until,
            seen_at: machine.seen_at,
        }))
    }

    /// The machine with its claim to a seat. One that was silent makes it anew before anything is
    /// decided: of two that come back to one free seat at the same time, one has it.
    async fn claimed(
        &self,
        mut machine: MachineRecord,
        now: Timestamp,
    ) -> Result<MachineRecord, PlanError> {
        if !self.silence.is_broken_off(machine.seen_at, now) {
            return Ok(machine);
        }
        machine.hear_of(self.silence, now);
        let (name, contract) = (machine.name.clone(), machine.contract.clone());
        let change = MachineChange { machine, plan: None, events: Vec::new(), audit: None };
        let changed = self.meta.change_machine(change).await;
        changed.map_err(|error| overtaken(error, name.clone()))?;
        self.allocations.forget(&contract);
        self.meta.machine(&name).await.map_err(|error| PlanError::Service(error.into()))
    }

    /// What the audit trail is told where a machine seems to be two from now on.
    fn suspicion(&self, before: &MachineRecord, after: &MachineRecord) -> Option<AuditEntry> {
        let clone = after.clone_suspected.as_ref().filter(|_| before.clone_suspected.is_none())?;
        let id = after.as_actor();
        let scope = Scope::Customers([after.customer.clone()].into());
        let actor = Actor { id, role: Role::Viewer, scope, address: None };
        let audit = self.audit(&actor, "machine.clone_suspected", &after.name);
        Some(AuditEntry { detail: clone.why.clone(), ..audit })
    }

    /// Where the key that the targets authorise is lost, a machine gets what it got last for as long
    /// as that is good: it says nothing that the vendor's metadata does not allow.
    async fn plan_without_director(
        &self,
        standing: &ProductStanding,
        machine: &MachineRecord,
    ) -> ServiceResult<String> {
        match &machine.plan {
            Some(plan) if standing.now() < plan.expires => {
                Ok(self.meta.plan(&machine.name).await?)
            }
            _ => Err(ServiceError::online_key_lost(&standing.product().name, DIRECTOR)),
        }
    }

    fn plan_content(
        &self,
        standing: &ProductStanding,
        machine: &MachineRecord,
        seat: Seat,
    ) -> ServiceResult<PlanContent> {
        let Resolution { action, withheld, order_refusal, .. } = standing.resolve(machine, seat);
        let target = |version: &Version| {
            standing
                .release(version)
                .and_then(|release| self.plan_target(standing, machine, release))
                .ok_or_else(|| {
                    ServiceError::internal(format!("a plan for {version}, which has no artifact"))
                })
        };
        let action = match &action {
            policy::Action::Stay => Action::Stay,
            policy::Action::Update(version) => Action::Update { target: target(version)? },
            policy::Action::Rollback(version) => {
                let order = machine.pending_order().ok_or_else(|| {
                    ServiceError::internal("a rollback that nobody ordered".to_owned())
                })?;
                let order = RollbackOrder {
                    number: order.number,
                    reason: order.reason.clone(),
                    ticket: order.ticket.clone(),
                };
                Action::Rollback { target: target(version)?, order }
            }
        };
        let withheld = withheld.into_iter().take(self.limits.withheld_max).map(|entry| Withheld {
            version: entry.version,
            channel: entry.channel,
            code: entry.code.to_string(),
            message: entry.sentence,
            alternative: entry.alternative,
        });
        let mut notices = Vec::new();
        if let Some(refusal) = order_refusal {
            notices.push(Notice { code: "ORDER_REFUSED".to_owned(), message: refusal.to_string() });
        }
        notices.extend(standing.notices(machine));
        if let Some(message) = seat.notice() {
            let code = policy::DeliveryCode::SeatsExceeded.to_string();
            notices.push(Notice { code, message });
        }
        if let Some(clone) = &machine.clone_suspected {
            let code = "CLONE_SUSPECTED".to_owned();
            notices.push(Notice { code, message: clone.notice() });
        }
        Ok(PlanContent {
            customer: machine.customer.clone(),
            action,
            withheld: fitting(withheld, self.limits.withheld_bytes_max)?,
            notices,
            retry: retry::planned(machine),
            collect: collect::planned(machine, standing.now()),
            poll_seconds: self.tiers.poll_seconds(standing.contract()),
        })
    }

    fn plan_target(
        &self,
        standing: &ProductStanding,
        machine: &MachineRecord,
        release: &ReleaseRecord,
    ) -> Option<PlanTarget> {
        Some(PlanTarget {
            version: release.release.version.clone(),
            channel: release.role(),
            manifest: release.listed_manifest(),
            artifact: release.listed_artifact(&machine.platform)?,
            deltas: self.delta_paths(standing, machine, release),
        })
    }

    /// The metadata that is newer than what the machine knows and that it may have.
    async fn newer_metadata(
        &self,
        standing: &ProductStanding,
        planned: &Planned,
        known: &KnownMetadata,
    ) -> ServiceResult<BTreeMap<String, String>> {
        let machine = &planned.machine;
        let mut metadata = BTreeMap::new();
        if !standing.covers_product() {
            return Ok(metadata);
        }
        let Repository { root, timestamp, snapshot, targets, channels, .. } =
            &standing.product().repository;
        for version in known.root.saturating_add(1)..=root.version {
            let name = format!("{version}.root.json");
            let file = self.meta.repository_file(&machine.product, &name).await?;
            metadata.insert(name, text(&self.file_bytes(&file).await?)?);
        }
        let mut wanted: Vec<(String, &StoredFile, u64)> = vec![
            ("timestamp.json".to_owned(), timestamp, known.timestamp),
            ("snapshot.json".to_owned(), snapshot, known.snapshot),
            ("targets.json".to_owned(), targets, known.targets),
        ];
        for (channel, file) in channels {
            // The archive is of use only to a machine that is to go back to something in it.
            let is_wanted = !channel.is_archive() || planned.role.as_ref() == Some(channel);
            if is_wanted && standing.may_see_channel(channel, &machine.confirmed) {
                let version = known.channels.get(channel).copied().unwrap_or(0);
                wanted.push((format!("{channel}.json"), file, version));
            }
        }
        for (name, file, known_version) in wanted {
            if file.version > known_version {
                metadata.insert(name, text(&self.file_bytes(file).await?)?);
            }
        }
        Ok(metadata)
    }
}

fn require_sound(request: &CheckRequest) -> ServiceResult<()> {
    let components = request.facts.as_ref().map_or(0, |facts| facts.components.len());
    if components > Facts::COMPONENTS_MAX {
        return Err(ServiceError::input(format!(
            "{components} components: expected at most {}",
            Facts::COMPONENTS_MAX
        )));
    }
    Ok(())
}

/// When something else comes to be said to a machine with time alone, in no order.
fn turns(machine: &MachineRecord) -> impl Iterator<Item = Timestamp> {
    let plan = machine.plan.as_ref();
    let refreshed = plan.and_then(|plan| plan.expires.checked_sub(PLAN_LIFETIME / 2).ok());
    let expires = plan.map(|plan| plan.expires);
    let suspected = machine.clone_suspected.as_ref();
    let unsuspected =
        suspected.and_then(|clone| clone.last_at.checked_add(SUSPICION_LIFETIME).ok());
    let hold = machine.hold.as_ref().map(|hold| hold.until);
    let collection = machine.collection.as_ref().map(|collection| collection.expires);
    [refreshed, expires, unsuspected, hold, collection].into_iter().flatten()
}

/// What has become of a machine's record.
enum Recorded {
    Stays,
    Changed,
}

/// A machine's plan.
struct Planned {
    machine: MachineRecord,
    /// The signed plan, byte for byte.
    plan: String,
    /// The targets role that lists what it names, where it is known to name something.
    role: Option<ChannelName>,
    recorded: Recorded,
}

enum PlanError {
    Overtaken(MachineName),
    Service(ServiceError),
}

/// What it means for a plan that the machine's record could not be changed.
fn overtaken(error: StoreError, name: MachineName) -> PlanError {
    match error {
        StoreError::Conflict(_) => PlanError::Overtaken(name),
        other => PlanError::Service(other.into()),
    }
}

impl From<ServiceError> for PlanError {
    fn from(error: ServiceError) -> Self {
        Self::Service(error)
    }
}

/// What a plan says, without the parts that change with every signature.
#[derive(Serialize)]
struct PlanContent {
    customer: CustomerName,
    action: Action,
    withheld: Vec<Withheld>,
    notices: Vec<Notice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry: Option<RetryOrder>,
    #[serde(skip_serializing_if = "Option::is_none")]
    collect: Option<CollectOrder>,
    poll_seconds: u32,
}

/// The first of `entries` that take at most `bytes_max` bytes of JSON together.
fn fitting(
    entries: impl Iterator<Item = Withheld>,
    bytes_max: usize,
) -> ServiceResult<Vec<Withheld>> {
    let (mut fitting, mut bytes) = (Vec::new(), 0);
    for entry in entries {
        bytes += serde_json::to_vec(&entry)?.len();
        if bytes > bytes_max {
            break;
        }
        fitting.push(entry);
    }
    Ok(fitting)
}

fn plan_document(
    machine: &MachineRecord,
    content: PlanContent,
    version: u64,
    (issued, expires): (Timestamp, Timestamp),
) -> Plan {
    let PlanContent { customer, action, withheld, notices, retry, collect, poll_seconds } = content;
    Plan {
        kind: Plan::KIND.to_owned(),
        format: PLAN_FORMAT,
        version,
        product: machine.product.clone(),
        customer,
        machine: machine.name.clone(),
        issued,
        expires,
        action,
        withheld,
        notices,
        retry,
        collect,
        poll_seconds,
    }
}
