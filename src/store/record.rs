mod rollout;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
};

use jiff::Timestamp;
use mainstay_client::{
    format::{
        Artifact, ChannelName, ContractName, CustomerName, Digest, Facts, Lines, MachineName,
        OrganisationName, Platform, PrivateChannelName, ProductName, Tag, TargetFile, TargetPath,
        Version, schema::Instant, wire::Event,
    },
    tuf::{KeyId, PublicKey},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use rollout::{RolloutRecord, StopRecord, StopState};

use crate::policy::{
    Amendment, Block, Cell, Claim, Counted, Day, Listing, Notification, Release, Ring, Setup,
    Stage,
    notification::{self, MachineNews},
    retirement::Listed,
    safeguard::{Condition, WhereUnknown},
};

/// A product and the newest metadata of its repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProductRecord {
    /// The name.
    pub name: ProductName,
    /// When it was registered.
    #[schemars(with = "Instant")]
    pub created_at: Timestamp,
    /// Rises by one with everything that the vendor signs: a publish, new roots or targets.
    pub revision: u64,
    /// The newest metadata.
    pub repository: Repository,
}

/// The newest metadata of a product's TUF repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Repository {
    /// The newest root.
    pub root: StoredFile,
    /// The timestamp.
    pub timestamp: StoredFile,
    /// The snapshot.
    pub snapshot: StoredFile,
    /// The top-level targets.
    pub targets: StoredFile,
    /// The channels that have a release.
    pub channels: BTreeMap<ChannelName, StoredFile>,
    /// The keys that the targets let sign plans, so that no check has to read the targets. Absent
    /// in records from before that was noted.
    #[serde(default)]
    pub directors: Option<BTreeSet<KeyId>>,
    /// The dates of lines that the targets state, so that no check has to read the targets. Records
    /// from before that was noted have none, as their targets could state none.
    #[serde(default)]
    pub lines: Lines,
}

/// A metadata file in the blob store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StoredFile {
    /// The document's version.
    pub version: u64,
    /// Its length in bytes.
    pub length: u64,
    /// The blob.
    pub sha256: Digest,
    /// From when on it is not to be trusted.
    #[schemars(with = "Instant")]
    pub expires: Timestamp,
}

/// A metadata file under the name by which the repository serves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepositoryFile {
    /// The name, for example `3.snapshot.json`.
    pub name: String,
    /// The file.
    pub file: StoredFile,
}

/// A published release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReleaseRecord {
    /// What the entitlement decision looks at.
    pub release: Release,
    /// The lowest version that can be updated to it in one step.
    pub min_from: Option<Version>,
    /// The lowest version that a rollback may reach once it is known.
    pub floor: Option<Version>,
    /// The release manifest where its channel lists it, or listed it before it was retired.
    pub manifest: TargetFile,
    /// The artifact for each platform.
    pub artifacts: BTreeMap<Platform, Artifact>,
    /// When it was retired, where it was. Absent in records from before releases could be.
    #[serde(default)]
    #[schemars(with = "Option<Instant>")]
    pub retired_at: Option<Timestamp>,
}

impl ReleaseRecord {
    /// What lists it.
    pub fn listing(&self) -> Listing {
        match (&self.release.private_channel, self.retired_at) {
            (Some(_), _) => Listing::Private,
            (None, None) => Listing::Channel,
            (None, Some(_)) => Listing::Archive,
        }
    }

    /// What a retirement looks at.
    pub fn listed(&self) -> Listed {
        Listed {
            version: self.release.version.clone(),
            channel: self.home(),
            listing: self.listing(),
            floor: self.floor.clone(),
            min_from: self.min_from.clone(),
        }
    }

    /// The targets role that lists it.
    pub fn role(&self) -> ChannelName {
        match self.listing() {
            Listing::Channel | Listing::Private => self.home(),
            Listing::Archive => ChannelName::archive(),
        }
    }

    /// The targets role that it was published in.
    fn home(&self) -> ChannelName {
        match &self.release.private_channel {
            Some(private) => private.clone().into(),
            None => self.release.channel.into(),
        }
    }

    /// The release manifest where the role lists it.
    pub fn listed_manifest(&self) -> TargetFile {
        self.where_listed(self.manifest.clone())
    }

    /// The artifact for `platform` where the role lists it.
    pub fn listed_artifact(&self, platform: &Platform) -> Option<TargetFile> {
        self.artifact_file(platform).map(|file| self.where_listed(file))
    }

    /// Manifest and artifacts under every path that they have had. A machine whose metadata is from
    /// before a release was retired, or that brings back what it kept, asks for the earlier ones.
    pub fn files(&self) -> impl Iterator<Item = TargetFile> {
        let artifacts = self.artifacts.keys().filter_map(|platform| self.artifact_file(platform));
        std::iter::once(self.manifest.clone()).chain(artifacts).flat_map(|file| {
            let moved = self.retired_at.map(|_| self.where_listed(file.clone()));
            std::iter::once(file).chain(moved)
        })
    }

    fn artifact_file(&self, platform: &Platform) -> Option<TargetFile> {
        let Artifact { length, sha256, .. } = *self.artifacts.get(platform)?;
        let path = TargetPath::artifact(&self.home(), &self.release.version, platform);
        Some(TargetFile { path, length, sha256 })
    }

    fn where_listed(&self, file: TargetFile) -> TargetFile {
        match self.listing() {
            Listing::Channel | Listing::Private => file,
            Listing::Archive => TargetFile { path: file.path.archived(), ..file },
        }
    }
}

/// A private channel: which customer the custom builds are for that the targets role of its name
/// lists. Nothing that is signed says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PrivateChannelRecord {
    /// The product.
    pub product: ProductName,
    /// The opaque name, also that of the targets role.
    pub name: PrivateChannelName,
    /// Whose channel it is.
    pub customer: CustomerName,
    /// When it was added.
    #[schemars(with = "Instant")]
    pub created_at: Timestamp,
    /// When it was ended, where it was: nothing is published in it any more, and no machine is
    /// updated to what was.
    #[schemars(with = "Option<Instant>")]
    pub ended_at: Option<Timestamp>,
}

/// A safeguard: releases that are held back from the machines that meet a condition, because they are
/// known to do harm there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SafeguardRecord {
    /// The product.
    pub product: ProductName,
    /// Counts up within the product.
    pub number: u64,
    /// The releases.
    pub versions: BTreeSet<Version>,
    /// Which machines they are held back from.
    pub condition: Condition,
    /// What becomes of machines that have not told what the condition is about.
    pub where_unknown: WhereUnknown,
    /// Who wants it, since when, and why. Owners of machines are shown the reason.
    #[serde(flatten)]
    pub word: Word,
    /// Who has lifted it, when, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifted: Option<Word>,
}

/// A customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CustomerRecord {
    /// The short name.
    pub name: CustomerName,
    /// What people call it.
    pub title: String,
    /// When it was added.
    #[schemars(with = "Instant")]
    pub created_at: Timestamp,
    /// What the vendor calls customers of its kind, for [safeguards](SafeguardRecord). The customer is
    /// not told.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub tags: BTreeSet<Tag>,
}

/// Who supports customers: a third party, or people of a customer's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrganisationRecord {
    /// The short name.
    pub name: OrganisationName,
    /// What people call it.
    pub title: String,
    /// When it was added.
    #[schemars(with = "Instant")]
    pub created_at: Timestamp,
    /// The customers that it serves. Its tokens see what is theirs, and nothing else.
    pub customers: BTreeSet<CustomerName>,
}

/// A contract: its amendments, never changed, only added to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ContractRecord {
    /// The name.
    pub name: ContractName,
    /// Whose contract it is.
    pub customer: CustomerName,
    /// The amendments, the first of which creates it.
    pub amendments: Vec<Amendment>,
}

impl ContractRecord {
    /// From when on it is in effect.
    pub fn began_at(&self) -> Option<Timestamp> {
        self.amendments.first().map(|first| first.at)
    }
}

/// What a token's bearer may do.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Everything.
    Admin,
    /// Products and releases.
    Publisher,
    /// Customers, contracts and activation keys.
    Account,
    /// Machines: looking, explaining, rolling back.
    Support,
    /// Looking.
    Viewer,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 5] =
        [Self::Admin, Self::Publisher, Self::Account, Self::Support, Self::Viewer];

    /// The role's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Publisher => "publisher",
            Self::Account => "account",
            Self::Support => "support",
            Self::Viewer => "viewer",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl FromStr for Role {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or_else(|| {
            format!(
                "role `{}` is not valid: expected admin, publisher, account, support or viewer",
                text.escape_debug()
            )
        })
    }
}

/// An API token. The secret itself is known to its bearer only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TokenRecord {
    /// By what people and the audit trail name it.
    pub id: String,
    /// The digest of the secret.
    pub sha256: Digest,
    /// What its bearer may do.
    pub role: Role,
    /// Who or what bears it.
    pub label: String,
    /// The organisation that it was made for; nothing where it is one of the vendor's own.
    #[serde(default)]
    pub organisation: Option<OrganisationName>,
    /// When it was made.
    #[schemars(with = "Instant")]
    pub created_at: Timestamp,
    /// From when on it is not accepted.
    #[schemars(with = "Option<Instant>")]
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    #[schemars(with = "Option<Instant>")]
    pub revoked_at: Option<Timestamp>,
}

/// An activation key, by which machines enrol under a contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActivationKeyRecord {
    /// By what people and the audit trail name it.
    pub id: String,
    /// The digest of the secret.
    pub sha256: Digest,
    /// The contract under which machines enrol.
    pub contract: ContractName,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is not accepted.
    pub expires_at: Option<Timestamp>,
}

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
    /// The versions that it was offered and has confirmed: its history, which the contract lets it
    /// go back to.
    pub confirmed: BTreeSet<Version>,
    /// Versions that it is not to be given.
    pub blocks: Vec<MachineBlock>,
    /// The newest rollback order.
    pub order: Option<OrderRecord>,
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

/// Somebody's word on a machine: who gave it, when and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Word {
    /// When it was given.
    #[schemars(with = "Instant")]
    pub at: Timestamp,
    /// Who gave it: a token's identifier.
    pub by: String,
    /// Why.
    pub reason: String,
    /// The ticket that it belongs to.
    pub ticket: Option<String>,
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
    /// Who wants it.
    #[serde(flatten)]
    pub word: Word,
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

/// A change that somebody made, as it is about to be recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditEntry {
    /// When.
    #[schemars(with = "Instant")]
    pub at: Timestamp,
    /// Who: a token's identifier, a machine's name, or `server`.
    pub actor: String,
    /// From where: an address, or nothing for the server itself.
    pub address: Option<String>,
    /// What: the verb, for example `machine.rollback`.
    pub action: String,
    /// On what.
    pub subject: String,
    /// Why, where a reason was given.
    pub reason: Option<String>,
    /// The ticket that it belongs to.
    pub ticket: Option<String>,
    /// Whatever else there is to know, in a sentence.
    pub detail: String,
    /// What was there before the change, where that is a document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<serde_json::Value>,
}

/// A recorded change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditRecord {
    /// Counts up without gaps.
    pub number: u64,
    /// Over the record and the digest of the one before it ([`super::AuditHead`]).
    pub digest: Digest,
    /// The change.
    #[serde(flatten)]
    pub entry: AuditEntry,
}

impl MachineRecord {
    /// Its claim to a seat of its contract; one that is retired has none.
    pub fn claim(&self) -> Option<Claim> {
        self.retired.is_none().then(|| Claim {
            machine: self.name.clone(),
            since: self.seated_at.unwrap_or(self.enrolled_at),
            seen_at: self.seen_at,
        })
    }

    /// As what it is counted in the census; one that is retired is not.
    pub fn counted(&self) -> Option<Counted> {
        self.retired.is_none().then(|| self.place())
    }

    /// As what it is counted in the census where it is.
    pub(super) fn place(&self) -> Counted {
        let is_confirmed =
            self.running.as_ref().is_some_and(|running| self.confirmed.contains(running));
        Counted {
            cell: Cell {
                setup: Setup {
                    product: self.product.clone(),
                    version: self.running.clone(),
                    platform: self.platform.clone(),
                },
                customer: self.customer.clone(),
            },
            stage: if is_confirmed { Stage::Confirmed } else { Stage::Installed },
            seen: Day::of(self.seen_at),
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

    /// The rollback order that the machine has not carried out yet.
    pub fn pending_order(&self) -> Option<&OrderRecord> {
        self.order.as_ref().filter(|order| order.state == OrderState::Pending)
    }
}
