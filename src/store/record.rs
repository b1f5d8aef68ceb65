mod advisory;
mod machine;
mod rollout;
mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
};

use jiff::Timestamp;
use mainstay_client::{
    format::{
        Artifact, ChannelName, ContractName, CustomerName, Digest, Lines, OrganisationName,
        Platform, PrivateChannelName, ProductName, Tag, TargetFile, TargetPath, Version,
        schema::Instant,
    },
    tuf::KeyId,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use advisory::{AdvisoryChange, AdvisoryRecord, ComponentsRecord, SbomChange, SbomRecord};
pub(in crate::store) use machine::Whereabouts;
pub use machine::{
    CloneRecord, EventRecord, HoldRecord, MachineBlock, MachineRecord, MemoryRecord, OrderRecord,
    OrderState, PinEnd, PinRecord, PlanRecord,
};
pub use rollout::{RolloutRecord, StopRecord, StopState};
pub use support::{BundleRecord, CollectionRecord, CollectionState, RetryRecord};

use crate::policy::{
    Amendment, Listing, Release,
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
