//! The ports behind which everything that the server keeps is kept.
//!
//! [`MetaStore`] holds records and speaks the domain: each of its methods is one transaction, and
//! those that build upon what was read name the revision that they read, so that of two writers one
//! is told [`StoreError::Conflict`]. [`Outbox`] is a part of it: what is to be told; so are [`ActionStore`]: what is wanted of
//! several machines, and [`DeltaStore`]: what was tried of deltas. [`BlobStore`] holds bytes under their own
//! digest. An adapter holds no policy. Every adapter passes the suite in `store/contract.rs`.

mod action;
mod audit_chain;
mod blobs;
mod changes;
#[cfg(test)]
mod contract;
mod delta;
mod directory;
mod outbox;
mod plan_summary;
mod record;
mod selection;
mod sled;

use std::{collections::BTreeSet, fs::File, ops::Range, path::Path};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use jiff::Timestamp;
use mainstay_client::{
    format::{
        AdvisoryId, ContractName, CustomerName, Digest, MachineName, OrganisationName,
        PrivateChannelName, ProductName, Version,
    },
    tuf::PublicKey,
};

pub use self::{
    action::{
        ActionEnd, ActionId, ActionMachine, ActionRecord, ActionResult, ActionState, ActionStore,
        MachineFilter, OrderingSide, RecordedAction,
    },
    audit_chain::{AuditHead, ChainBreak},
    blobs::ObjectBlobs,
    changes::{Changes, Moment, Reach},
    delta::{DeltaDownloads, DeltaRecord, DeltaStore},
    outbox::{
        DeliveryRecord, DeliveryStage, DeliveryState, Disabled, EndpointAddress, EndpointChange,
        EndpointRecord, Outbox, SecretRecord, TryRecord,
    },
    plan_summary::{NewPlan, PlanSummary, WithheldSummary},
    record::{
        ActivationKeyRecord, AdvisoryChange, AdvisoryRecord, AuditEntry, AuditRecord, BundleRecord,
        CloneRecord, CollectionRecord, CollectionState, ComponentsRecord, ContractRecord,
        CustomerRecord, EventRecord, HoldRecord, MachineBlock, MachineRecord, MemoryRecord,
        OrderRecord, OrderState, OrganisationRecord, PinEnd, PinRecord, PlanRecord,
        PrivateChannelRecord, ProductRecord, ReleaseRecord, Repository, RepositoryFile,
        RetryRecord, Role, RolloutRecord, SafeguardRecord, SbomChange, SbomRecord, StopRecord,
        StopState, StoredFile, TokenRecord, Word,
    },
    selection::{ListPlace, Listed, Selection},
    sled::SledStore,
};

use self::record::Whereabouts;
use crate::policy::{Cell, Claim, Count, Outcomes, Setup};

/// Of how many of a machine's newest plans it is remembered what they said. A plan that says what the
/// one before it said is sent twice a week, so that is half a year or less.
pub const PLANS_REMEMBERED: u64 = 50;

/// Why a store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such record or blob.
    #[error("{0} does not exist")]
    NotFound(String),
    /// The record exists already, or has changed since it was read.
    #[error("{0}")]
    Conflict(String),
    /// So much waits to be written that nothing more is taken in for the moment; nothing was changed.
    #[error("{0}")]
    Busy(String),
    /// The store cannot be reached or written now.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// What is stored cannot be what was written.
    #[error("the store is corrupt: {0}")]
    Corrupt(String),
}

/// The outcome of a store's method.
pub type StoreResult<T> = Result<T, StoreError>;

/// What was looked for, or nothing where it does not exist.
pub(crate) fn found<T>(outcome: StoreResult<T>) -> StoreResult<Option<T>> {
    match outcome {
        Err(StoreError::NotFound(_)) => Ok(None),
        other => other.map(Some),
    }
}

/// A release as it becomes visible: its record and the metadata that lists it, in one step.
#[derive(Clone, Debug)]
pub struct Publication {
    /// The release.
    pub release: ReleaseRecord,
    /// How it spreads; nothing where everybody may have it at once.
    pub rollout: Option<RolloutRecord>,
    /// The repository's newest metadata.
    pub repository: Repository,
    /// The metadata files that are new.
    pub files: Vec<RepositoryFile>,
}

/// Customers and contracts that are taken over in one step, each with its audit entry.
#[derive(Clone, Debug, Default)]
pub struct ContractImport {
    /// The customers that are new.
    pub customers: Vec<(CustomerRecord, AuditEntry)>,
    /// The contracts that are new.
    pub created: Vec<(ContractRecord, AuditEntry)>,
    /// The contracts that have exactly one more amendment.
    pub changed: Vec<(ContractRecord, AuditEntry)>,
}

/// Releases as they leave their channels: which, when, and the metadata that lists them in the
/// archive, in one step.
#[derive(Clone, Debug)]
pub struct Retirement {
    /// The releases.
    pub versions: BTreeSet<Version>,
    /// When.
    pub at: Timestamp,
    /// The repository's newest metadata.
    pub repository: Repository,
    /// The metadata files that are new.
    pub files: Vec<RepositoryFile>,
}

/// What changes with the updates of a product in one step.
#[derive(Clone, Debug)]
pub struct StopChange {
    /// Whether they are stopped.
    pub stop: StopRecord,
    /// The rollouts that this changes, each with its audit entry.
    pub rollouts: Vec<(RolloutRecord, AuditEntry)>,
}

/// What changes with a machine in one step.
#[derive(Clone, Debug)]
pub struct MachineChange {
    /// The machine as it is to be. Its `revision` must be the one that was read; the store raises
    /// it by one.
    pub machine: MachineRecord,
    /// The plan that it is sent, where there is a new one.
    pub plan: Option<NewPlan>,
    /// What the machine reported.
    pub events: Vec<EventRecord>,
    /// Who changed it, where a person did.
    pub audit: Option<AuditEntry>,
}

/// The port to the records.
#[async_trait]
pub trait MetaStore: Outbox + ActionStore + DeltaStore {
    /// Whether the store can serve reads and writes now.
    async fn ready(&self) -> StoreResult<()>;

    /// What counts the changes of the records, by whomever they were made.
    fn changes(&self) -> &Changes;

    /// Adds a product, at revision 1, with its first metadata.
    async fn create_product(
        &self,
        product: ProductRecord,
        files: Vec<RepositoryFile>,
        audit: AuditEntry,
    ) -> StoreResult<()>;

    /// The product called `name`.
    async fn product(&self, name: &ProductName) -> StoreResult<ProductRecord>;

    /// All products by name.
    async fn products(&self) -> StoreResult<Vec<ProductRecord>>;

    /// The metadata file that the repository of `product` serves under `file_name`.
    async fn repository_file(
        &self,
        product: &ProductName,
        file_name: &str,
    ) -> StoreResult<StoredFile>;

    /// Makes a release visible if the product is still at `expected_revision`.
    async fn publish_release(
        &self,
        product: &ProductName,
        expected_revision: u64,
        publication: Publication,
        audit: AuditEntry,
    ) -> StoreResult<()>;

    /// Notes releases as retired if the product is still at `expected_revision`. The revision rises
    /// by one.
    async fn retire_releases(
        &self,
        product: &ProductName,
        expected_revision: u64,
        retirement: Retirement,
        audit: AuditEntry,
    ) -> StoreResult<()>;

    /// Replaces the server-signed metadata if the product is still at `expected_revision`.
    /// The revision stays: a renewal is no reason for a publisher to start again, and whoever
    /// builds upon it takes the repository's newest online versions at commit.
    async fn renew_repository(
        &self,
        product: &ProductName,
        expected_revision: u64,
        repository: Repository,
        files: Vec<RepositoryFile>,
    ) -> StoreResult<()>;

    /// Replaces metadata that the vendor signed, with the server-signed metadata that goes with it,
    /// if the product is still at `expected_revision`. The revision rises by one.
    async fn amend_repository(
        &self,
        product: &ProductName,
        expected_revision: u64,
        repository: Repository,
        files: Vec<RepositoryFile>,
        audit: AuditEntry,
    ) -> StoreResult<()>;

    /// The release of a product with this version.
    async fn release(&self, product: &ProductName, version: &Version)
    -> StoreResult<ReleaseRecord>;

    /// The rollout of a release.
    async fn rollout(&self, product: &ProductName, version: &Version)
    -> StoreResult<RolloutRecord>;

    /// All rollouts of a product by version.
    async fn rollouts(&self, product: &ProductName) -> StoreResult<Vec<RolloutRecord>>;

    /// The rollouts of a product on which it depends who may have the release, in no order. It costs no
    /// more where many have ended.
    async fn live_rollouts(&self, product: &ProductName) -> StoreResult<Vec<RolloutRecord>>;

    /// Adds or changes the rollout of an existing release, if it is still at the revision that `rollout`
    /// carries, which is 0 where there was none. The revision rises by one. With a rollout that is
    /// withdrawn the release is so too. While all updates of the product are stopped no rollout goes on.
    async fn change_rollout(&self, rollout: RolloutRecord, audit: AuditEntry) -> StoreResult<()>;

    /// What machines have told of a release that they were offered, each counted once.
    async fn outcomes(&self, product: &ProductName, version: &Version) -> StoreResult<Outcomes>;

    /// By whose word all updates of a product are stopped or go on; nothing where they never were.
    async fn stop(&self, product: &ProductName) -> StoreResult<Option<StopRecord>>;

    /// Stops all updates of an existing product or lets them go on, if that is still at the revision that
    /// `change.stop` carries, which is 0 where there was none, and changes rollouts as
    /// [`change_rollout`](Self::change_rollout) does, all or none. The revision rises by one.
    async fn change_stop(&self, change: StopChange, audit: AuditEntry) -> StoreResult<()>;

    /// All releases of a product by version.
    async fn releases(&self, product: &ProductName) -> StoreResult<Vec<ReleaseRecord>>;

    /// Adds a private channel of an existing product, for an existing customer.
    async fn create_private_channel(
        &self,
        channel: PrivateChannelRecord,
        audit: AuditEntry,
    ) -> StoreResult<()>;

    /// Ends a private channel that is open, and raises the product's revision: a release that was
    /// checked before is not published in it afterwards.
    async fn end_private_channel(
        &self,
        product: &ProductName,
        name: &PrivateChannelName,
        at: Timestamp,
        audit: AuditEntry,
    ) -> StoreResult<()>;

    /// All private channels of a product by name.
    async fn private_channels(
        &self,
        product: &ProductName,
    ) -> StoreResult<Vec<PrivateChannelRecord>>;

    /// Adds a safeguard of an existing product, whose number no other has had.
    async fn create_safeguard(
        &self,
        safeguard: SafeguardRecord,
        audit: AuditEntry,
    ) -> StoreResult<()>;

    /// Lifts a safeguard that is in force.
    async fn lift_safeguard(
        &self,
        product: &ProductName,
        number: u64,
        word: Word,
        audit: AuditEntry,
    ) -> StoreResult<()>;

    /// The safeguards of a product that are in force, by number. It costs no more where others have
    /// been lifted.
    async fn safeguards(&self, product: &ProductName) -> StoreResult<Vec<SafeguardRecord>>;

    /// The safeguards of a product that have been lifted, by number.
    async fn lifted_safeguards(&self, product: &ProductName) -> StoreResult<Vec<SafeguardRecord>>;

    /// Records something of an advisory of an existing product, where it stands as `change.before`.
    async fn change_advisory(&self, change: AdvisoryChange, audit: AuditEntry) -> StoreResult<()>;

    /// What is recorded of an advisory.
    async fn advisory(
        &self,
        product: &ProductName,
        advisory: &AdvisoryId,
    ) -> StoreResult<AdvisoryRecord>;

    /// All that is recorded of advisories of a product, by identifier.
    async fn advisories(&self, product: &ProductName) -> StoreResult<Vec<AdvisoryRecord>>;

    /// Attaches a bill of materials to an existing release, where what is attached stands as
    /// `change.before`. Its components are found from then on, and no longer those of the one before.
    async fn attach_sbom(&self, change: SbomChange, audit: AuditEntry) -> StoreResult<()>;

    /// The bill of materials of a release.
    async fn sbom(&self, product: &ProductName, version: &Version) -> StoreResult<SbomRecord>;

    /// The components of all releases that are looked for under `word`, by product and in no order of
    /// versions. It costs no more where there are more components.
    async fn components(&self, word: &str) -> StoreResult<Vec<ComponentsRecord>>;

    /// Adds a customer.
    async fn create_customer(&self, customer: CustomerRecord, audit: AuditEntry)
    -> StoreResult<()>;

    /// Replaces the customer that stands as `before` by `after`, which has the same name.
    async fn change_customer(
        &self,
        before: CustomerRecord,
        after: CustomerRecord,
        audit: AuditEntry,
    ) -> StoreResult<()>;

    /// The customer called `name`.
    async fn customer(&self, name: &CustomerName) -> StoreResult<CustomerRecord>;

    /// All customers by name.
    async fn customers(&self) -> StoreResult<Vec<CustomerRecord>>;

    /// Adds an organisation.
    async fn create_organisation(
        &self,
        organisation: OrganisationRecord,
        audit: AuditEntry,
    ) -> StoreResult<()>;

    /// Replaces the organisation that stands as `before` by `after`, which has the same name and
    /// serves existing customers.
    async fn change_organisation(
        &self,
        before: OrganisationRecord,
        after: OrganisationRecord,
        audit: AuditEntry,
    ) -> StoreResult<()>;

    /// The organisation called `name`.
    async fn organisation(&self, name: &OrganisationName) -> StoreResult<OrganisationRecord>;

    /// All organisations by name.
    async fn organisations(&self) -> StoreResult<Vec<OrganisationRecord>>;

    /// Adds a contract of an existing customer.
    async fn create_contract(&self, contract: ContractRecord, audit: AuditEntry)
    -> StoreResult<()>;

    /// Replaces a contract by one that has exactly one more amendment.
    async fn amend_contract(&self, contract: ContractRecord, audit: AuditEntry) -> StoreResult<()>;

    /// Adds and amends contracts, and adds customers, all or none.
    async fn import_contracts(&self, import: ContractImport) -> StoreResult<()>;

    /// The contract called `name`.
    async fn contract(&self, name: &ContractName) -> StoreResult<ContractRecord>;

    /// All contracts by name.
    async fn contracts(&self) -> StoreResult<Vec<ContractRecord>>;

    /// The contracts by name, of `customer` where one is named, at most `limit`: those after the one
    /// called `after`, which need not be there, or the first ones. It costs no more where others have
    /// more contracts.
    async fn contracts_after(
        &self,
        customer: Option<&CustomerName>,
        after: Option<&ContractName>,
        limit: usize,
    ) -> StoreResult<Vec<ContractRecord>>;

    /// Adds a token, of an existing organisation where it is of one.
    async fn create_token(&self, token: TokenRecord, audit: AuditEntry) -> StoreResult<()>;

    /// The token of which the secret has this digest.
    async fn token(&self, digest: &Digest) -> StoreResult<TokenRecord>;

    /// All tokens by identifier.
    async fn tokens(&self) -> StoreResult<Vec<TokenRecord>>;

    /// Revokes the token `id`, if the token `provided` is not revoked where one is named.
    async fn revoke_token(
        &self,
        id: &str,
        provided: Option<&str>,
        at: Timestamp,
        audit: AuditEntry,
    ) -> StoreResult<()>;

    /// Adds an activation key of an existing contract.
    async fn create_activation_key(
        &self,
        key: ActivationKeyRecord,
        audit: AuditEntry,
    ) -> StoreResult<()>;

    /// The activation key of which the secret has this digest.
    async fn activation_key(&self, digest: &Digest) -> StoreResult<ActivationKeyRecord>;

    /// Adds a machine, whose name and token must be new.
    async fn create_machine(&self, machine: MachineRecord, audit: AuditEntry) -> StoreResult<()>;

    /// Changes a machine if it is still at the revision that `change.machine` carries. An event
    /// with a number that the machine has reported before is passed over. Others count among the
    /// outcomes of the releases that they tell of, and their rollouts heed that in the same step.
    async fn change_machine(&self, change: MachineChange) -> StoreResult<()>;

    /// Notes when machines were last heard of, all or none. Those that are retired or were heard of later are
    /// passed over.
    async fn note_seen(&self, seen: Vec<(MachineName, Timestamp)>) -> StoreResult<()>;

    /// Changes a machine as [`change_machine`](Self::change_machine) does, and adds the support bundle
    /// that it has sent, whose number no other of that machine has.
    async fn add_bundle(&self, change: MachineChange, bundle: BundleRecord) -> StoreResult<()>;

    /// The support bundles of a machine by number.
    async fn bundles(&self, machine: &MachineName) -> StoreResult<Vec<BundleRecord>>;

    /// At most `limit` support bundles of whatever machines that came before `before`, the oldest first.
    /// It costs no more where there are more that came later.
    async fn bundles_before(
        &self,
        before: Timestamp,
        limit: usize,
    ) -> StoreResult<Vec<BundleRecord>>;

    /// Removes a support bundle, if it is there.
    async fn remove_bundle(&self, machine: &MachineName, number: u64) -> StoreResult<()>;

    /// The machine called `name`.
    async fn machine(&self, name: &MachineName) -> StoreResult<MachineRecord>;

    /// The revision of the machine called `name`, for less than reading all of its record.
    async fn machine_revision(&self, name: &MachineName) -> StoreResult<u64>;

    /// The machine of which the token's secret has this digest.
    async fn machine_by_token(&self, digest: &Digest) -> StoreResult<MachineRecord>;

    /// The machine that enrolled for `product` with the key `key`.
    async fn machine_by_key(
        &self,
        product: &ProductName,
        key: &PublicKey,
    ) -> StoreResult<MachineRecord>;

    /// The machines of a selection in the order of their [`ListPlace`]s, at most `limit`: those
    /// after `after`, or the first ones. The retired ones are in the order of their customers and
    /// names. It costs no more where there are more machines that are not in the selection, but for
    /// those that only its ring leaves out. A machine that changes meanwhile may be left out.
    async fn machines_after(
        &self,
        selection: &Selection,
        listed: Listed,
        after: Option<&ListPlace>,
        limit: usize,
    ) -> StoreResult<Vec<MachineRecord>>;

    /// How many machines of a selection, of whatever ring, there are in each cell that has one, at most
    /// `limit` cells in their order: those after `after`, or the first ones. No machine is read for it.
    async fn census_after(
        &self,
        selection: &Selection,
        after: Option<&Cell>,
        limit: usize,
    ) -> StoreResult<Vec<(Cell, Count)>>;

    /// How many machines of all customers together there are with each setup of a product that has
    /// one, in order. It costs no more where there are more customers or machines.
    async fn census_together(&self, product: &ProductName) -> StoreResult<Vec<(Setup, Count)>>;

    /// The claims to a seat of `contract` by the machines' names, one of each machine of it that is
    /// not retired. They are found without reading any other contract's machines. A machine that was
    /// stored before there were claims has none until its claim changes.
    async fn claims(&self, contract: &ContractName) -> StoreResult<Vec<Claim>>;

    /// The newest signed plan of a machine, byte for byte.
    async fn plan(&self, machine: &MachineName) -> StoreResult<String>;

    /// What the newest plans said that a machine was sent, at most `limit`, the oldest of them first.
    /// The newest [`PLANS_REMEMBERED`] are remembered; none is from before that was so.
    async fn plans_sent(
        &self,
        machine: &MachineName,
        limit: usize,
    ) -> StoreResult<Vec<PlanSummary>>;

    /// The newest `limit` events of a machine, the oldest of them first.
    async fn events(&self, machine: &MachineName, limit: usize) -> StoreResult<Vec<EventRecord>>;

    /// At most `limit` audit records with numbers above `after`, in order.
    async fn audit(&self, after: u64, limit: usize) -> StoreResult<Vec<AuditRecord>>;

    /// The newest `limit` audit records about `subject`, the newest first. It costs no more where
    /// there are more about others.
    async fn audit_of(&self, subject: &str, limit: usize) -> StoreResult<Vec<AuditRecord>>;

    /// The newest audit record's place in the chain.
    async fn audit_head(&self) -> StoreResult<AuditHead>;

    /// Records something that changed nothing in the store but is to be known: a denied attempt.
    async fn record_audit(&self, audit: AuditEntry) -> StoreResult<()>;
}

/// The bytes of a blob, piece by piece.
pub type BlobStream = BoxStream<'static, StoreResult<Bytes>>;

/// The port to the blobs.
#[async_trait]
pub trait BlobStore: Send + Sync + 'static {
    /// The length of a blob in bytes.
    async fn length(&self, digest: &Digest) -> StoreResult<u64>;

    /// The bytes `range` of a blob.
    async fn read(&self, digest: &Digest, range: Range<u64>) -> StoreResult<BlobStream>;

    /// The file of this machine that a blob is in, opened, for whoever can do more with that than read it;
    /// nothing where blobs are not in files. It has at least `bytes_min` bytes.
    async fn open(&self, digest: &Digest, bytes_min: u64) -> StoreResult<Option<File>>;

    /// Where below the folder of all blobs the file of a blob is; nothing where blobs are not in files.
    fn file_path(&self, digest: &Digest) -> Option<String>;

    /// Stores `content` under `digest` once it is durable, and refuses with
    /// [`StoreError::Conflict`] content that has another digest. Storing what is there already
    /// changes nothing.
    async fn put(&self, digest: &Digest, content: BlobStream) -> StoreResult<()>;

    /// Stores the file at `path` as [`put`](BlobStore::put) does, after which there is no such file. What is
    /// refused stays where it is. Where blobs are in files of the same file system nothing is copied, and
    /// the file is not even read where it was hashed as it was written: its digest is what was `found`.
    async fn put_file(
        &self,
        digest: &Digest,
        path: &Path,
        found: Option<Digest>,
    ) -> StoreResult<()>;

    /// Removes a blob, if it is there. Whoever calls it knows that nothing else is in the same bytes.
    async fn remove(&self, digest: &Digest) -> StoreResult<()>;

    /// The whole of a blob of at most `bytes_max` bytes.
    async fn bytes(&self, digest: &Digest, bytes_max: u64) -> StoreResult<Bytes> {
        use futures_util::TryStreamExt as _;
        let length = self.length(digest).await?;
        if length > bytes_max {
            return Err(StoreError::Corrupt(format!(
                "blob {digest} has {length} bytes: expected at most {bytes_max}"
            )));
        }
        let stream = self.read(digest, 0..length).await?;
        let pieces = stream
            .try_fold(Vec::new(), |mut whole, piece| async move {
                whole.extend_from_slice(&piece);
                Ok(whole)
            })
            .await?;
        if Digest::of(&pieces) == *digest {
            Ok(pieces.into())
        } else {
            Err(StoreError::Corrupt(format!("blob {digest} holds other bytes")))
        }
    }
}
