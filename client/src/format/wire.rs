//! What travels between machine, vendor and server: the bodies of `/v1`.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

#[cfg(feature = "schema")]
use super::schema;
use super::{
    ChannelName, ContractName, CustomerName, Digest, Facts, MachineName, Platform, ProductName,
    Version,
};
use crate::tuf::PublicKey;

mod fetched;

pub use fetched::{FailedWay, Fetched, FetchedBy};

/// An error as RFC 9457 has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Problem {
    /// A URI that names the kind of problem: `urn:mainstay:problem:<code>`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind of problem in a few words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// The stable code.
    pub code: String,
    /// What was expected, what was found, what to do.
    pub detail: String,
    /// Where a document was refused: everything that is wrong with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
}

/// `POST /v1/enroll`: a machine introduces itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct EnrollRequest {
    /// The customer's activation key.
    pub activation_key: String,
    /// The product that the machine will run.
    pub product: ProductName,
    /// What it runs on.
    pub platform: Platform,
    /// What the customer calls it; shown to people, at most 128 characters.
    pub host: String,
    /// The machine's own key. The same key enrols as the same machine.
    pub public_key: PublicKey,
    /// The key's signature over [`EnrollRequest::proof_message`], in hexadecimal digits.
    pub proof: String,
}

impl EnrollRequest {
    /// What a machine signs to show that it holds the private half of `public_key`.
    pub fn proof_message(
        activation_key: &str,
        product: &ProductName,
        public_key: &PublicKey,
    ) -> Vec<u8> {
        let key = Digest::of(activation_key.as_bytes());
        format!("mainstay enroll 1\n{key}\n{product}\n{public_key}\n").into_bytes()
    }
}

/// The answer to [`EnrollRequest`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct EnrollResponse {
    /// The machine's name from now on.
    pub machine: MachineName,
    /// Whose machine it is.
    pub customer: CustomerName,
    /// The contract that covers it.
    pub contract: ContractName,
    /// The machine's credential; shown this once.
    pub token: String,
    /// The product's first root, byte for byte.
    pub root: String,
}

/// `POST /v1/check`: a machine says what it runs and what it knows.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CheckRequest {
    /// The product.
    pub product: ProductName,
    /// What the machine runs on.
    pub platform: Platform,
    /// What it runs, if anything.
    #[serde(default)]
    pub running: Option<Version>,
    /// The metadata that it trusts already.
    pub known: KnownMetadata,
    /// The agent's version, shown to people.
    pub agent: String,
    /// What the machine is, where its administrator lets that be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts: Option<Facts>,
    /// What it waits for with what it was offered, as far as it is offered anything and waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits: Option<Waiting>,
}

/// That a machine has been offered a version, and what it waits for before it installs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Waiting {
    /// The version.
    pub version: Version,
    /// What it waits for.
    #[serde(rename = "for")]
    pub awaited: Awaited,
}

/// What a machine waits for before it installs what it was offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Awaited {
    /// That what is on probation is confirmed or undone.
    Confirmation,
    /// That somebody at the machine approves of the version.
    Approval,
    /// The next maintenance window, and when it opens by the machine's clock.
    Window(#[cfg_attr(feature = "schema", schemars(with = "schema::Instant"))] Timestamp),
    /// That somebody at the machine updates it: the settings let nothing of the channel happen by
    /// itself.
    Command,
}

/// The versions of the metadata that a machine trusts; 0 where it has none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct KnownMetadata {
    /// The root.
    pub root: u64,
    /// The timestamp.
    #[serde(default)]
    pub timestamp: u64,
    /// The snapshot.
    #[serde(default)]
    pub snapshot: u64,
    /// The top-level targets.
    #[serde(default)]
    pub targets: u64,
    /// The channels.
    #[serde(default)]
    pub channels: BTreeMap<ChannelName, u64>,
}

/// The answer to [`CheckRequest`]: one round trip brings everything that a decision needs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CheckResponse {
    /// The signed plan, byte for byte.
    pub plan: String,
    /// Metadata that is newer than what the machine knows, byte for byte, by file name
    /// (`2.root.json`, `timestamp.json`, `snapshot.json`, `targets.json`, `<channel>.json`).
    pub metadata: BTreeMap<String, String>,
}

/// `POST /v1/report`: a machine says what happened.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ReportRequest {
    /// The product.
    pub product: ProductName,
    /// What the machine runs now.
    #[serde(default)]
    pub running: Option<Version>,
    /// What happened, in order.
    pub events: Vec<Event>,
}

impl ReportRequest {
    /// The most events in one report.
    pub const EVENTS_MAX: usize = 100;
}

/// One thing that happened on a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// Counts up on each machine, so that an event that is reported twice is noticed.
    pub number: u64,
    /// What happened.
    pub kind: EventKind,
    /// The version that ran before.
    #[serde(default)]
    pub from: Option<Version>,
    /// The version that it is about.
    pub to: Version,
    /// The order, to roll back or to try again, that was carried out or failed, or that the machine will
    /// never carry out.
    #[serde(default)]
    pub order: Option<u64>,
    /// What there is to say, at most [`Event::DETAIL_CHARS_MAX`] characters.
    #[serde(default)]
    pub detail: String,
    /// Of [`Installed`](EventKind::Installed): by which way the payload came here, unless it had been here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fetched: Option<Fetched>,
}

impl Event {
    /// The longest detail, in characters.
    pub const DETAIL_CHARS_MAX: usize = 4096;
}

/// What can happen on a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// `to` was switched on and is on probation.
    Installed,
    /// `to` passed its probation.
    Confirmed,
    /// `to` failed its probation or installation and `from` runs again; where it was an update, `to`
    /// is blocked on the machine.
    Undone,
    /// The installation of `to` broke off for a reason of the machine's (a power cut, a full disk)
    /// and `from` runs again. The same may be tried again.
    Interrupted,
    /// The machine went back to `to`, by an order or by the wish of somebody at it; `from` is blocked
    /// on the machine.
    RolledBack,
    /// The machine would not do what its plan said.
    Refused,
    /// `to` asked to be tried again later, and `from` runs. It is tried again with the next update.
    Deferred,
    /// The tree of `to`, which ran, is gone from the disk; nothing runs.
    Lost,
    /// Somebody at the machine lifted the block of `to` there: it may be tried again.
    Unblocked,
    /// The machine gave up kept versions or downloads for want of space, to install `to`.
    MadeRoom,
    /// The machine lifted its block of `to`, by a technician's order to try it again.
    Retried,
}

impl EventKind {
    /// All kinds.
    pub const ALL: [Self; 11] = [
        Self::Installed,
        Self::Confirmed,
        Self::Undone,
        Self::Interrupted,
        Self::RolledBack,
        Self::Refused,
        Self::Deferred,
        Self::Lost,
        Self::Unblocked,
        Self::MadeRoom,
        Self::Retried,
    ];

    /// The kind's stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Installed => "installed",
            Self::Confirmed => "confirmed",
            Self::Undone => "undone",
            Self::Interrupted => "interrupted",
            Self::RolledBack => "rolled_back",
            Self::Refused => "refused",
            Self::Deferred => "deferred",
            Self::Lost => "lost",
            Self::Unblocked => "unblocked",
            Self::MadeRoom => "made_room",
            Self::Retried => "retried",
        }
    }
}

/// `POST /v1/collections/{order}/refusal`: a machine says why it does not send the support bundle that it
/// was asked for. One that it sends is the body of `PUT /v1/collections/{order}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CollectionRefusal {
    /// Why.
    pub answer: CollectionAnswer,
}

/// Why a machine does not send a support bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum CollectionAnswer {
    /// Its administrator has to approve of it first.
    AwaitsApproval,
    /// Its administrator forbids it.
    Forbidden,
}

/// `GET /v1/products/{product}/publishing`: what a publisher builds the next release upon.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PublishingState {
    /// The repository's revision; a publish names the one that it was built upon.
    pub revision: u64,
    /// The server's clock.
    #[cfg_attr(feature = "schema", schemars(with = "schema::Instant"))]
    pub now: Timestamp,
    /// The newest metadata, byte for byte, by file name, with every root.
    pub metadata: BTreeMap<String, String>,
}

/// `POST /v1/products`: the vendor's signed root and top-level targets.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateProductRequest {
    /// The product.
    pub product: ProductName,
    /// The signed root, byte for byte.
    pub root: String,
    /// The signed top-level targets, byte for byte.
    pub targets: String,
}

/// The answer to `POST /v1/products/{product}/releases`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PublishResponse {
    /// The product.
    pub product: ProductName,
    /// The version that is published now.
    pub version: Version,
    /// The repository's new revision.
    pub revision: u64,
}

/// `POST /v1/products/{product}/retirements`: releases move from their channels to the archive.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RetireRequest {
    /// The revision that it was built upon.
    pub expected_revision: u64,
    /// The releases.
    pub versions: BTreeSet<Version>,
    /// The signed targets roles that change, byte for byte: the channels of these releases, and the
    /// archive.
    pub roles: BTreeMap<ChannelName, String>,
}

/// The answer to [`RetireRequest`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RetireResponse {
    /// The product.
    pub product: ProductName,
    /// The releases that are retired now.
    pub versions: BTreeSet<Version>,
    /// The repository's new revision.
    pub revision: u64,
}

/// `POST /v1/products/{product}/metadata`: what the vendor has signed anew: a root, top-level
/// targets, channels, all in one step.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct AmendMetadataRequest {
    /// The revision that it was built upon.
    pub expected_revision: u64,
    /// The signed root, byte for byte, where there is a new one.
    #[serde(default)]
    pub root: Option<String>,
    /// The signed top-level targets, byte for byte, where there are new ones.
    #[serde(default)]
    pub targets: Option<String>,
    /// The signed channels, byte for byte, that are signed anew. They list what they listed.
    #[serde(default)]
    pub channels: BTreeMap<ChannelName, String>,
}

/// The answer to [`AmendMetadataRequest`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct AmendMetadataResponse {
    /// The product.
    pub product: ProductName,
    /// The repository's new revision.
    pub revision: u64,
}

/// The server's public keys, by which a vendor's root and targets authorise it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ServerKeys {
    /// Signs timestamps.
    pub timestamp: PublicKey,
    /// Signs snapshots.
    pub snapshot: PublicKey,
    /// Signs plans.
    pub director: PublicKey,
}

/// The state of an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct UploadState {
    /// How many bytes have arrived.
    pub received: u64,
    /// Whether the blob is whole, checked and stored.
    pub complete: bool,
}
