//! Machines, what was wanted of them, what they were told and what they reported.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use mainstay_client::{
    format::{
        AdvisoryId, ContractName, CustomerName, Digest, Facts, MachineName, Platform, ProductName,
        Version,
        schema::Instant,
        wire::{Event, Waiting},
    },
    tuf::PublicKey,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{CollectionRecord, RetryRecord, Word};
use crate::policy::{
    Block, Cell, Claim, Counted, Day, Hour, Notification, Ring, Setup, Stage,
    exposure::Runs,
    notification::{self, MachineNews},
    rollout::Outcome,
};

/// A machine: one installation of one product.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MachineRecord {
    /// Rises by one with every change.
    pub revision: u64,
    /// The name that the server gave it.
    pub name: MachineName,
    /// What its owner calls it.
    pub host: String,
    /// Whose machine it is.
    pub customer: CustomerName,
    /// The contract that covers it.
    pub contract: ContractName,
    /// What it runs.
    pub product: ProductName,
    /// What it runs on.
    pub platform: Platform,
    /// Its own key.
    #[serde(deserialize_with = "PublicKey::deserialize_proven")]
    pub public_key: PublicKey,
    /// The digest of its token's secret.
    pub token_sha256: Digest,
    /// When it first enrolled.
    #[schemars(with = "Instant")]
    pub enrolled_at: Timestamp,
    /// When it was last heard of.
    #[schemars(with = "Instant")]
    pub seen_at: Timestamp,
    /// The version of its agent.
    pub agent: String,
    /// How early it gets releases.
    #[serde(default)]
    pub ring: Ring,
    /// The version that it reports as running.
    pub running: Option<Version>,
    /// The versions that its plans have told it to install.
    pub offered: BTreeSet<Version>,
    /// What it has told last of each version that it was offered, as it is counted for the rollout. The store
    /// keeps it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub outcomes: BTreeMap<Version, Outcome>,
    /// The versions that it was offered and has confirmed: its history, which the contract lets it
    /// go back to.
    pub confirmed: BTreeSet<Version>,
    /// When it first confirmed these, and last left them.
    #[serde(default, skip_serializing_if = "Runs::is_empty")]
    pub runs: Runs,
    /// Versions that it is not to be given.
    pub blocks: Vec<MachineBlock>,
    /// The newest rollback order.
    pub order: Option<OrderRecord>,
    /// The number of the newest order to it; what [`MachineRecord::next_order_number`] goes on from.
    #[serde(default)]
    pub orders_given: u64,
    /// The newest order to try a version again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Box<RetryRecord>>,
    /// The newest request for a support bundle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collection: Option<Box<CollectionRecord>>,
    /// Until when it is not updated, where a technician wants that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<HoldRecord>,
    /// The one version that it is to run, where a technician wants that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin: Option<PinRecord>,
    /// The newest plan.
    pub plan: Option<PlanRecord>,
    /// The number of the newest event that it has reported.
    pub event_number: u64,
    /// That of the newest that it had reported when it went over to its customer from another; what
    /// it told until then is no affair of its customer's.
    #[serde(default)]
    pub event_number_before: u64,
    /// Since when it has its claim to a seat; absent for since it first enrolled.
    #[serde(default)]
    #[schemars(with = "Option<Instant>")]
    pub seated_at: Option<Timestamp>,
    /// How it was retired, where it was and has not enrolled again.
    #[serde(default)]
    pub retired: Option<Word>,
    /// The version of the newest timestamp that it has said it knows, and when that fell.
    #[serde(default)]
    pub memory: MemoryRecord,
    /// Why it seems to be two machines, where it does.
    #[serde(default)]
    pub clone_suspected: Option<CloneRecord>,
    /// What it is, where it has said so.
    #[serde(default)]
    pub facts: Option<Facts>,
    /// What it waits for with what it was offered, where its last check said that it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits: Option<Box<Waiting>>,
}

/// What a machine remembers of the repository's timestamp. One machine never forgets; two with one
/// key remember in turn more and less.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MemoryRecord {
    /// The version that it last said it knows.
    pub timestamp: u64,
    /// When that was last below what it had said before.
    #[schemars(with = "Option<Instant>")]
    pub fell_at: Option<Timestamp>,
}

/// Why a machine seems to be two.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CloneRecord {
    /// When that was first noticed.
    #[schemars(with = "Instant")]
    pub at: Timestamp,
    /// The newest sign of it.
    #[schemars(with = "Instant")]
    pub last_at: Timestamp,
    /// What was noticed first, in words.
    pub why: String,
}

/// Versions that a machine is not to be given, and since when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MachineBlock {
    /// The versions and the reason.
    pub block: Block,
    /// Since when.
    #[schemars(with = "Instant")]
    pub at: Timestamp,
    /// Who wanted it: a token's identifier, or the machine itself.
    pub by: String,
}

/// That a machine is not updated for a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HoldRecord {
    /// Until when.
    #[schemars(with = "Instant")]
    pub until: Timestamp,
    /// Who wants it.
    #[serde(flatten)]
    pub word: Word,
}

/// The one version that a machine is to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PinRecord {
    /// The version.
    pub version: Version,
    /// When it ends.
    #[serde(default)]
    pub ends: PinEnd,
    /// Who wants it.
    #[serde(flatten)]
    pub word: Word,
}

/// When a pin ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PinEnd {
    /// When a technician ends it.
    #[default]
    ByHand,
    /// When the machine has confirmed the version, or runs something above it; or when a technician
    /// ends it.
    OnceConfirmed,
}

/// A technician's order to go back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrderRecord {
    /// Counts up on each machine.
    pub number: u64,
    /// The version to go back to.
    pub to: Version,
    /// The version that ran when it was ordered.
    pub from: Version,
    /// Why.
    pub reason: String,
    /// The ticket that it belongs to.
    pub ticket: Option<String>,
    /// When it was given.
    #[schemars(with = "Instant")]
    pub at: Timestamp,
    /// Who gave it: a token's identifier.
    pub by: String,
    /// What has become of it.
    pub state: OrderState,
    /// Why the machine may refuse it all the same, where that is to be feared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caution: Option<String>,
    /// The advisories that open again by it, which whoever ordered it has accepted.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub opens: BTreeSet<AdvisoryId>,
}

/// What has become of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OrderState {
    /// The machine has not carried it out yet.
    Pending,
    /// The machine runs the version ordered, or has gone lower than that by itself.
    Done,
    /// The machine has reported that it could not or would not, and runs what it ran before.
    Failed,
}

/// The newest plan of a machine. Its bytes are kept apart, since most requests do not need them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlanRecord {
    /// The plan's version.
    pub version: u64,
    /// The digest of what the plan says, without its version and times.
    pub content_sha256: Digest,
    /// When it was signed.
    #[schemars(with = "Instant")]
    pub issued: Timestamp,
    /// From when on no machine may act on it.
    #[schemars(with = "Instant")]
    pub expires: Timestamp,
}

/// Something that a machine reported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventRecord {
    /// When the server heard of it.
    #[schemars(with = "Instant")]
    pub at: Timestamp,
    /// What happened.
    pub event: Event,
}

/// Of a machine what says as what it is counted, and where it is listed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::store) struct Whereabouts<'a> {
    pub(in crate::store) name: &'a MachineName,
    pub(in crate::store) customer: &'a CustomerName,
    pub(in crate::store) product: &'a ProductName,
    pub(in crate::store) platform: &'a Platform,
    pub(in crate::store) running: Option<&'a Version>,
    pub(in crate::store) stage: Stage,
    pub(in crate::store) seen: Day,
    pub(in crate::store) is_retired: bool,
}

impl Whereabouts<'_> {
    /// As what it is counted in the census; one that is retired is not.
    pub(in crate::store) fn counted(self) -> Option<Counted> {
        (!self.is_retired).then(|| self.place())
    }

    /// As what it is counted in the census where it is.
    pub(in crate::store) fn place(self) -> Counted {
        Counted {
            cell: Cell {
                setup: Setup {
                    product: self.product.clone(),
                    version: self.running.cloned(),
                    platform: self.platform.clone(),
                },
                customer: self.customer.clone(),
            },
            stage: self.stage,
            seen: self.seen,
        }
    }
}

impl MachineRecord {
    /// Its claim to a seat of its contract; one that is retired has none.
    pub fn claim(&self) -> Option<Claim> {
        self.retired.is_none().then(|| Claim {
            machine: self.name.clone(),
            since: self.seated_at.unwrap_or(self.enrolled_at),
            seen_in: Hour::of(self.seen_at),
        })
    }

    /// As what it is counted in the census; one that is retired is not.
    pub fn counted(&self) -> Option<Counted> {
        self.whereabouts().counted()
    }

    /// What the census goes by.
    pub(in crate::store) fn whereabouts(&self) -> Whereabouts<'_> {
        Whereabouts {
            name: &self.name,
            customer: &self.customer,
            product: &self.product,
            platform: &self.platform,
            running: self.running.as_ref(),
            stage: Stage::of(self.running.as_ref(), &self.confirmed),
            seen: Day::of(self.seen_at),
            is_retired: self.retired.is_some(),
        }
    }

    /// What is told of something that it reported, if anything is.
    pub fn notification(&self, record: &EventRecord) -> Option<Notification> {
        let EventRecord { at, event } = record;
        let news = MachineNews {
            machine: self.name.clone(),
            host: self.host.clone(),
            customer: self.customer.clone(),
            contract: self.contract.clone(),
            product: self.product.clone(),
            kind: event.kind,
            automatic: false,
            from: event.from.clone(),
            to: event.to.clone(),
            order: event.order,
            event: event.number,
            detail: event.detail.clone(),
        };
        notification::of_machine(news, *at)
    }

    /// Takes in what the machine says that it runs. It waits no more to install that.
    pub fn runs_now(&mut self, running: Option<&Version>, at: Timestamp) {
        self.waits.take_if(|waits| Some(&waits.version) == running);
        self.runs.switch(self.running.as_ref(), running, at);
        self.running = running.cloned();
    }

    /// The rollback order that the machine has not carried out yet.
    pub fn pending_order(&self) -> Option<&OrderRecord> {
        self.order.as_ref().filter(|order| order.state == OrderState::Pending)
    }
}
