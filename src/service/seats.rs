//! Seats: which of a contract's machines have one, and how a machine gives its own up.
//!
//! Who has a seat is told from the claims of the one contract, read at most once a minute and kept
//! in memory, so that most checks read nothing for it. What this server changes of a contract's
//! claims counts at once; that a machine has been silent for too long, within the minute.

use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, PoisonError},
};

use jiff::{SignedDuration, Timestamp};
use mainstay_client::format::{ContractName, MachineName, ProductName, Version, schema::Instant};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    ATTEMPTS_MAX, Actor, ErrorClass, Service, ServiceError, ServiceResult,
    standing::ProductStanding,
};
use crate::{
    policy::{Allocation, Claim, Contract, Hour, Seat, Silence},
    store::{MachineChange, MachineRecord, StoreError, Word},
};

/// How long an allocation is gone by.
pub(super) const ALLOCATION_LIFETIME: SignedDuration = SignedDuration::from_secs(60);

/// `POST /v1/machines/{machine}/retire`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetireMachine {
    /// Why.
    pub reason: String,
    /// The ticket that it belongs to.
    #[serde(default)]
    pub ticket: Option<String>,
}

/// How many of a contract's seats are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SeatUse {
    /// How many seats there are; absent for no limit.
    pub limit: Option<u32>,
    /// How many are taken.
    pub used: usize,
    /// How many machines there are that are neither retired nor silent.
    pub machines: usize,
}

impl fmt::Display for SeatUse {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { limit, used, machines } = self;
        match limit {
            Some(limit) => {
                write!(formatter, "{used} of {limit} seats used, by {machines} machine(s)")?;
                match machines.saturating_sub(*used) {
                    0 => Ok(()),
                    over => write!(formatter, "; {over} without a seat"),
                }
            }
            None => write!(formatter, "{machines} machine(s), no limit of seats"),
        }
    }
}

/// `GET /v1/contracts/{contract}/seats`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ContractSeats {
    /// How many seats are taken.
    pub seats: SeatUse,
    /// The contract's machines but for those that are retired, the oldest claim first.
    pub machines: Vec<SeatView>,
}

/// A machine and its seat.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SeatView {
    /// The machine.
    pub machine: MachineName,
    /// What its owner calls it.
    pub host: String,
    /// What it runs.
    pub product: ProductName,
    /// The version that it reports as running.
    pub running: Option<Version>,
    /// Since when it has its claim.
    #[schemars(with = "Instant")]
    pub since: Timestamp,
    /// When it was last heard of.
    #[schemars(with = "Instant")]
    pub seen_at: Timestamp,
    /// Whether it has a seat.
    pub seat: SeatStanding,
}

/// Whether a machine has a seat, and why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SeatStanding {
    /// It has.
    Held,
    /// All seats were taken before it came.
    Exceeded,
    /// It has not been heard of for too long.
    Silent,
    /// It is retired.
    Retired,
}

impl SeatStanding {
    /// The standing in a word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Exceeded => "exceeded",
            Self::Silent => "silent",
            Self::Retired => "retired",
        }
    }
}

impl Service {
    /// Retires a machine: it has no seat any more, and its token is not accepted.
    pub async fn retire_machine(
        &self,
        actor: &Actor,
        name: &MachineName,
        request: RetireMachine,
    ) -> ServiceResult<MachineRecord> {
        let reason = self.remark("reason", &request.reason)?;
        let ticket = request.ticket.map(|ticket| self.remark("ticket", &ticket)).transpose()?;
        for _ in 0..ATTEMPTS_MAX {
            let mut machine = self.machine_in(&actor.scope, name).await?;
            if let Some(Word { at, by, .. }) = &machine.retired {
                let message = format!("machine {name} was retired by {by} at {at} already");
                return Err(ServiceError::new(ErrorClass::Conflict, "MACHINE_RETIRED", message));
            }
            machine.retired = Some(Word {
                at: self.clock.now(),
                by: actor.id.clone(),
                reason: reason.clone(),
                ticket: ticket.clone(),
            });
            let mut audit = self.audit(actor, "machine.retire", name);
            audit.reason = Some(reason.clone());
            audit.ticket.clone_from(&ticket);
            audit.detail = format!("contract {}, host {}", machine.contract, machine.host);
            let contract = machine.contract.clone();
            let change =
                MachineChange { machine, plan: None, events: Vec::new(), audit: Some(audit) };
            match self.meta.change_machine(change).await {
                // The machine has checked in the meantime.
                Err(StoreError::Conflict(_)) => {}
                changed => {
                    changed?;
                    self.allocations.forget(&contract);
                    self.forget_bundles_of(name).await?;
                    return Ok(self.meta.machine(name).await?);
                }
            }
        }
        Err(ServiceError::new(
            ErrorClass::Unavailable,
            "BUSY",
            format!("the record of machine {name} keeps changing; try again"),
        ))
    }

    /// Which machines of a contract have a seat.
    pub async fn contract_seats(
        &self,
        actor: &Actor,
        name: &ContractName,
    ) -> ServiceResult<ContractSeats> {
        let now = self.clock.now();
        let record = self.contract_in(&actor.scope, name).await?;
        let limit = Contract::at(&record.amendments, now).and_then(|contract| contract.seats);
        let mut claims = self.meta.claims(name).await?;
        let allocation = self.allocate(claims.clone(), limit, now);
        claims.sort_by(|one, other| (one.since, &one.machine).cmp(&(other.since, &other.machine)));
        let mut machines = Vec::new();
        for claim in claims {
            let MachineRecord { host, product, running, seen_at, .. } =
                self.meta.machine(&claim.machine).await?;
            let seat = self.seat_standing(Some(&claim), allocation.seat(&claim), now);
            let Claim { machine, since, .. } = claim;
            machines.push(SeatView { machine, host, product, running, since, seen_at, seat });
        }
        Ok(ContractSeats { seats: seat_use(limit, &allocation), machines })
    }

    /// How many seats of a contract that has `limit` of them are taken.
    pub(super) async fn seat_use(
        &self,
        name: &ContractName,
        limit: Option<u32>,
    ) -> ServiceResult<SeatUse> {
        let allocation = self.allocate(self.meta.claims(name).await?, limit, self.clock.now());
        Ok(seat_use(limit, &allocation))
    }

    /// Whether the machine has a seat, for whoever looks at it.
    pub(super) fn shown_seat(&self, machine: &MachineRecord, seat: Seat) -> SeatStanding {
        self.seat_standing(machine.claim().as_ref(), seat, self.clock.now())
    }

    /// Whether the machine has a seat, or would have one if it were heard of now.
    pub(super) async fn seat(
        &self,
        standing: &ProductStanding,
        machine: &MachineRecord,
    ) -> ServiceResult<Seat> {
        let Some(seats) = standing.contract().and_then(|contract| contract.seats) else {
            return Ok(Seat::Held);
        };
        let now = standing.now();
        let claim =
            machine.claim().filter(|claim| !claim.is_silent(self.silence, now)).unwrap_or_else(
                || Claim { machine: machine.name.clone(), since: now, seen_in: Hour::of(now) },
            );
        if let Some(known) = self.allocations.find(&machine.contract, seats, now) {
            return Ok(known.seat(&claim));
        }
        let generation = self.allocations.generation();
        let claims = self.meta.claims(&machine.contract).await?;
        let allocation = self.allocate(claims, Some(seats), now);
        let seat = allocation.seat(&claim);
        self.allocations.keep(machine.contract.clone(), allocation, now, generation);
        Ok(seat)
    }

    fn allocate(&self, claims: Vec<Claim>, limit: Option<u32>, now: Timestamp) -> Allocation {
        Allocation::new(claims, limit.unwrap_or(u32::MAX), self.silence, now)
    }

    fn seat_standing(&self, claim: Option<&Claim>, seat: Seat, now: Timestamp) -> SeatStanding {
        match (claim, seat) {
            (None, _) => SeatStanding::Retired,
            (Some(claim), _) if claim.is_silent(self.silence, now) => SeatStanding::Silent,
            (Some(_), Seat::Held) => SeatStanding::Held,
            (Some(_), Seat::Exceeded { .. }) => SeatStanding::Exceeded,
        }
    }
}

fn seat_use(limit: Option<u32>, allocation: &Allocation) -> SeatUse {
    SeatUse { limit, used: allocation.used(), machines: allocation.machines }
}

impl MachineRecord {
    /// Takes in that the machine is heard of. One that was silent makes its claim to a seat anew, as
    /// the newest.
    pub(super) fn hear_of(&mut self, silence: Silence, now: Timestamp) {
        if silence.is_broken_off(self.seen_at, now) {
            self.seated_at = Some(now);
        }
        self.seen_at = now;
    }

    /// Refuses a machine that is retired.
    pub(super) fn require_enrolled(&self) -> ServiceResult<()> {
        let Some(Word { at, .. }) = &self.retired else { return Ok(()) };
        Err(ServiceError::new(
            ErrorClass::Unauthenticated,
            "MACHINE_RETIRED",
            format!(
                "machine {} was retired at {at}, and its token is not accepted any more: enrol it \
                 again with an activation key (`mainstay-agent enroll`) if it is still used",
                self.name
            ),
        ))
    }
}

/// The allocations that are kept.
#[derive(Debug)]
pub(super) struct Allocations {
    kept_max: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// Rises whenever something is forgotten, so that what was read before is not kept after.
    generation: u64,
    by_contract: HashMap<ContractName, (Timestamp, Allocation)>,
}

impl Allocations {
    pub(super) fn new(kept_max: usize) -> Self {
        Self { kept_max, kept: Mutex::default() }
    }

    /// Forgets the allocation of a contract of which the claims have changed.
    pub(super) fn forget(&self, contract: &ContractName) {
        let mut kept = self.lock();
        kept.generation += 1;
        kept.by_contract.remove(contract);
    }

    pub(super) fn generation(&self) -> u64 {
        self.lock().generation
    }

    fn find(&self, contract: &ContractName, seats: u32, now: Timestamp) -> Option<Allocation> {
        let kept = self.lock();
        let (made_at, allocation) = kept.by_contract.get(contract)?;
        let is_fresh = now.duration_since(*made_at).abs() < ALLOCATION_LIFETIME;
        (is_fresh && allocation.seats == seats).then(|| allocation.clone())
    }

    fn keep(
        &self,
        contract: ContractName,
        allocation: Allocation,
        made_at: Timestamp,
        generation: u64,
    ) {
        let mut kept = self.lock();
        if kept.generation != generation {
            return;
        }
        if kept.by_contract.len() >= self.kept_max {
            kept.by_contract.clear();
        }
        kept.by_contract.insert(contract, (made_at, allocation));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
