//! The embedded store of records: sled, used with its faults in mind.
//!
//! | module | what is there |
//! |---|---|
//! | `opening` | creating and opening the database, and refusing to |
//! | `writer` | the one thread that writes, in groups, each durable before it is acknowledged |
//! | `transaction` | what the changes of a group read and write before sled has it |
//! | `codec`, `packing`, `runs`, `table`, `tables` | how a record stands in sled, and under which key |
//! | `catalogue`, `rollouts`, `advisories`, `accounts`, `fleet`, `action`, `audit`, `outbox` | the transactions |
//! | `bundles` | the transactions on support bundles |
//! | `deltas` | the transactions on deltas |
//! | `census` | how many machines run what, and which: kept with the machines |
//! | `upgrade` | from the formats before to this one |
//!
//! Reads go to sled directly. They see a change from when sled has it, which is a few
//! milliseconds before it is durable; whoever *made* it is told only afterwards.

mod accounts;
mod action;
mod advisories;
mod audit;
mod bundles;
mod catalogue;
mod census;
mod codec;
mod deltas;
mod fleet;
mod opening;
mod outbox;
mod packing;
mod rollouts;
mod runs;
mod table;
mod tables;
#[cfg(test)]
mod tests;
mod transaction;
mod upgrade;
mod writer;

use std::{fmt, fs::File, path::Path, sync::Arc};

use async_trait::async_trait;
use jiff::Timestamp;
use mainstay_client::{
    format::{
        AdvisoryId, ContractName, CustomerName, Digest, MachineName, OrganisationName,
        PrivateChannelName, ProductName, Version,
    },
    tuf::PublicKey,
};

use self::{
    opening::Opened,
    tables::{
        ACTIVATION_KEYS, ACTIVATION_KEYS_BY_DIGEST, ADVISORIES, AUDIT, AUDIT_BY_SUBJECT, BUNDLES,
        CLAIMS, COMPONENTS, CONTRACTS, CONTRACTS_BY_CUSTOMER, CUSTOMERS, EVENTS, LIFTED_SAFEGUARDS,
        LIVE_ROLLOUTS, MACHINE_REVISIONS, MACHINES, MACHINES_BY_KEY, MACHINES_BY_TOKEN,
        ORGANISATIONS, OUTCOMES, PLANS, PLANS_SENT, PRIVATE_CHANNELS, PRODUCTS, RELEASES,
        REPOSITORY_FILES, ROLLOUTS, SAFEGUARDS, SBOMS, STOPS, TOKENS, TOKENS_BY_DIGEST,
    },
    transaction::Transaction,
    writer::Writer,
};
use super::{
    ActivationKeyRecord, AdvisoryChange, AdvisoryRecord, AuditEntry, AuditHead, AuditRecord,
    BundleRecord, Changes, ComponentsRecord, ContractImport, ContractRecord, CustomerRecord,
    EventRecord, ListPlace, Listed, MachineChange, MachineRecord, MetaStore, OrganisationRecord,
    PlanSummary, PrivateChannelRecord, ProductRecord, Publication, Reach, ReleaseRecord,
    Repository, RepositoryFile, Retirement, RolloutRecord, SafeguardRecord, SbomChange, SbomRecord,
    Selection, StopChange, StopRecord, StoreResult, StoredFile, TokenRecord, Word,
};

use crate::{
    measures::Commits,
    policy::{Cell, Claim, Count, Outcomes, Setup},
};

/// The records in one directory, for one process.
pub struct SledStore {
    // The order matters: the thread ends, the database closes, the lock goes.
    writer: Writer,
    database: sled::Db,
    changes: Arc<Changes>,
    _lock: File,
}

impl SledStore {
    /// Opens the store in `dir`, or creates it where there is none. Refuses where another process
    /// has it open, and where opening it would hide a loss.
    pub fn open(dir: &Path) -> StoreResult<Self> {
        Self::open_measured(dir, Commits::default())
    }

    /// The same, where what is written is counted.
    pub fn open_measured(dir: &Path, commits: Commits) -> StoreResult<Self> {
        let Opened { database, file, lock } = opening::open(dir)?;
        let changes = Arc::<Changes>::default();
        let writer = Writer::start(database.clone(), Arc::clone(&changes), commits, move || {
            file.sync_all()
        })?;
        Ok(Self { writer, database, changes, _lock: lock })
    }

    /// Makes a change on which any answer to a machine may depend.
    async fn write(
        &self,
        change: impl FnOnce(&Transaction) -> StoreResult<()> + Send + 'static,
    ) -> StoreResult<()> {
        self.write_reaching(move |transaction| change(transaction).map(|()| Reach::Everything))
            .await
    }

    /// Makes a change on which no answer to a machine depends.
    async fn write_aside(
        &self,
        change: impl FnOnce(&Transaction) -> StoreResult<()> + Send + 'static,
    ) -> StoreResult<()> {
        self.write_reaching(move |transaction| change(transaction).map(|()| Reach::Nothing)).await
    }

    /// Makes a change that says itself what depends on it.
    async fn write_reaching(
        &self,
        change: impl FnOnce(&Transaction) -> StoreResult<Reach> + Send + 'static,
    ) -> StoreResult<()> {
        self.writer.write(Box::new(change)).await
    }
}

impl fmt::Debug for SledStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SledStore").finish_non_exhaustive()
    }
}

#[async_trait]
impl MetaStore for SledStore {
    async fn ready(&self) -> StoreResult<()> {
        if self.writer.is_running() { Ok(()) } else { Err(writer::stopped()) }
    }

    fn changes(&self) -> &Changes {
        &self.changes
    }

    async fn create_product(
        &self,
        product: ProductRecord,
        files: Vec<RepositoryFile>,
        audit: AuditEntry,
    ) -> StoreResult<()> {
        self.write(move |transaction| {
            catalogue::create_product(transaction, &product, &files, &audit)
        })
        .await
    }

    async fn product(&self, name: &ProductName) -> StoreResult<ProductRecord> {
        PRODUCTS.read(&*self.database, name)
    }

    async fn products(&self) -> StoreResult<Vec<ProductRecord>> {
        PRODUCTS.all(&self.database)
    }

    async fn repository_file(
        &self,
        product: &ProductName,
        file_name: &str,
    ) -> StoreResult<StoredFile> {
        REPOSITORY_FILES.read(&*self.database, &(product.clone(), file_name.to_owned()))
    }

    async fn publish_release(
        &self,
        product: &ProductName,
        expected_revision: u64,
        publication: Publication,
        audit: AuditEntry,
    ) -> StoreResult<()> {
        let product = product.clone();
        self.write(move |transaction| {
            catalogue::publish_release(
                transaction,
                &product,
                expected_revision,
                &publication,
                &audit,
            )
        })
        .await
    }

    async fn retire_releases(
        &self,
        product: &ProductName,
        expected_revision: u64,
        retirement: Retirement,
        audit: AuditEntry,
    ) -> StoreResult<()> {
        let product = product.clone();
        self.write(move |transaction| {
            catalogue::retire_releases(
                transaction,
                &product,
                expected_revision,
                &retirement,
                &audit,
            )
        })
        .await
    }

    async fn renew_repository(
        &self,
        product: &ProductName,
        expected_revision: u64,
        repository: Repository,
        files: Vec<RepositoryFile>,
    ) -> StoreResult<()> {
        let product = product.clone();
        self.write(move |transaction| {
            catalogue::renew_repository(
                transaction,
                &product,
                expected_revision,
                &repository,
                &files,
            )
        })
        .await
    }

    async fn amend_repository(
        &self,
        product: &ProductName,
        expected_revision: u64,
        repository: Repository,
        files: Vec<RepositoryFile>,
        audit: AuditEntry,
    ) -> StoreResult<()> {
        let product = product.clone();
        self.write(move |transaction| {
            let metadata = (&repository, files.as_slice());
            catalogue::amend_repository(transaction, &product, expected_revision, metadata, &audit)
        })
        .await
    }

    async fn release(
        &self,
        product: &ProductName,
        version: &Version,
    ) -> StoreResult<ReleaseRecord> {
        RELEASES.read(&*self.database, &(product.clone(), version.clone()))
    }

    async fn rollout(
        &self,
        product: &ProductName,
        version: &Version,
    ) -> StoreResult<RolloutRecord> {
        ROLLOUTS.read(&*self.database, &(product.clone(), version.clone()))
    }

    async fn rollouts(&self, product: &ProductName) -> StoreResult<Vec<RolloutRecord>> {
        let mut rollouts =
            ROLLOUTS.of(&self.database, product).collect::<StoreResult<Vec<RolloutRecord>>>()?;
        rollouts.sort_by(|a, b| a.version.cmp(&b.version));
        Ok(rollouts)
    }

    async fn live_rollouts(&self, product: &ProductName) -> StoreResult<Vec<RolloutRecord>> {
        let live = LIVE_ROLLOUTS.of(&self.database, product);
        live.map(|key| LIVE_ROLLOUTS.pointed(&*self.database, &key?, &ROLLOUTS)).collect()
    }

    async fn change_rollout(&self, rollout: RolloutRecord, audit: AuditEntry) -> StoreResult<()> {
        self.write(move |transaction| rollouts::change_rollout(transaction, &rollout, &audit)).await
    }

    async fn outcomes(&self, product: &ProductName, version: &Version) -> StoreResult<Outcomes> {
        let key = (product.clone(), version.clone());
        Ok(OUTCOMES.find(&*self.database, &key)?.unwrap_or_default())
    }

    async fn stop(&self, product: &ProductName) -> StoreResult<Option<StopRecord>> {
        STOPS.find(&*self.database, product)
    }

    async fn change_stop(&self, change: StopChange, audit: AuditEntry) -> StoreResult<()> {
        self.write(move |transaction| rollouts::change_stop(transaction, &change, &audit)).await
    }

    async fn releases(&self, product: &ProductName) -> StoreResult<Vec<ReleaseRecord>> {
        let mut releases =
            RELEASES.of(&self.database, product).collect::<StoreResult<Vec<ReleaseRecord>>>()?;
        // The keys are in the order of their text, in which 1.10.0 comes before 1.9.0.
        releases.sort_by(|a, b| a.release.version.cmp(&b.release.version));
        Ok(releases)
    }

    async fn create_private_channel(
        &self,
        channel: PrivateChannelRecord,
        audit: AuditEntry,
    ) -> StoreResult<()> {
        self.write(move |transaction| {
            catalogue::create_private_channel(transaction, &channel, &audit)
        })
        .await
    }

    async fn end_private_channel(
        &self,
        product: &ProductName,
        name: &PrivateChannelName,
        at: Timestamp,
        audit: AuditEntry,
    ) -> StoreResult<()> {
        let (product, name) = (product.clone(), name.clone());
        self.write(move |transaction| {
            catalogue::end_private_channel(transaction, &product, &name, at, &audit)
        })
        .await
    }

    async fn private_channels(
        &self,
        product: &ProductName,
    ) -> StoreResult<Vec<PrivateChannelRecord>> {
        PRIVATE_CHANNELS.of(&self.database, product).collect()
    }

    async fn create_safeguard(
        &self,
        safeguard: SafeguardRecord,
        audit: AuditEntry,
    ) -> StoreResult<()> {
        self.write(move |transaction| catalogue::create_safeguard(transaction, &safeguard, &audit))
            .await
    }

    async fn lift_safeguard(
        &self,
        product: &ProductName,
        number: u64,
        word: Word,
        audit: AuditEntry,
    ) -> StoreResult<()> {
        let product = product.clone();
        self.write(move |transaction| {
            catalogue::lift_safeguard(transaction, &product, number, &word, &audit)
        })
        .await
    }

    async fn safeguards(&self, product: &ProductName) -> StoreResult<Vec<SafeguardRecord>> {
        SAFEGUARDS.of(&self.database, product).collect()
    }

    async fn lifted_safeguards(&self, product: &ProductName) -> StoreResult<Vec<SafeguardRecord>> {
        LIFTED_SAFEGUARDS.of(&self.database, product).collect()
    }

    async fn change_advisory(&self, change: AdvisoryChange, audit: AuditEntry) -> StoreResult<()> {
        self.write(move |transaction| advisories::change_advisory(transaction, &change, &audit))
            .await
    }

    async fn advisory(
        &self,
        product: &ProductName,
        advisory: &AdvisoryId,
    ) -> StoreResult<AdvisoryRecord> {
        ADVISORIES.read(&*self.database, &(product.clone(), advisory.clone()))
    }

    async fn advisories(&self, product: &ProductName) -> StoreResult<Vec<AdvisoryRecord>> {
        ADVISORIES.of(&self.database, product).collect()
    }

    async fn attach_sbom(&self, change: SbomChange, audit: AuditEntry) -> StoreResult<()> {
        self.write(move |transaction| advisories::attach_sbom(transaction, &change, &audit)).await
    }

    async fn sbom(&self, product: &ProductName, version: &Version) -> StoreResult<SbomRecord> {
        SBOMS.read(&*self.database, &(product.clone(), version.clone()))
    }

    async fn components(&self, word: &str) -> StoreResult<Vec<ComponentsRecord>> {
        COMPONENTS.of(&self.database, &word.to_owned()).collect()
    }

    async fn create_customer(
        &self,
        customer: CustomerRecord,
        audit: AuditEntry,
    ) -> StoreResult<()> {
        self.write(move |transaction| accounts::create_customer(transaction, &customer, &audit))
            .await
    }

    async fn customer(&self, name: &CustomerName) -> StoreResult<CustomerRecord> {
        CUSTOMERS.read(&*self.database, name)
    }

    async fn customers(&self) -> StoreResult<Vec<CustomerRecord>> {
        CUSTOMERS.all(&self.database)
    }

    async fn change_customer(
        &self,
        before: CustomerRecord,
        after: CustomerRecord,
        audit: AuditEntry,
    ) -> StoreResult<()> {
        self.write(move |transaction| {
            accounts::change_customer(transaction, &before, &after, &audit)
        })
        .await
    }

    async fn create_organisation(
        &self,
        organisation: OrganisationRecord,
        audit: AuditEntry,
    ) -> StoreResult<()> {
        self.write(move |transaction| {
            accounts::create_organisation(transaction, &organisation, &audit)
        })
        .await
    }

    async fn change_organisation(
        &self,
        before: OrganisationRecord,
        after: OrganisationRecord,
        audit: AuditEntry,
    ) -> StoreResult<()> {
        self.write(move |transaction| {
            accounts::change_organisation(transaction, &before, &after, &audit)
        })
        .await
    }

    async fn organisation(&self, name: &OrganisationName) -> StoreResult<OrganisationRecord> {
        ORGANISATIONS.read(&*self.database, name)
    }

    async fn organisations(&self) -> StoreResult<Vec<OrganisationRecord>> {
        ORGANISATIONS.all(&self.database)
    }

    async fn create_contract(
        &self,
        contract: ContractRecord,
        audit: AuditEntry,
    ) -> StoreResult<()> {
        self.write(move |transaction| accounts::create_contract(transaction, &contract, &audit))
            .await
    }

    async fn amend_contract(&self, contract: ContractRecord, audit: AuditEntry) -> StoreResult<()> {
        self.write(move |transaction| accounts::amend_contract(transaction, &contract, &audit))
            .await
    }

    async fn import_contracts(&self, import: ContractImport) -> StoreResult<()> {
        self.write(move |transaction| accounts::import_contracts(transaction, &import)).await
    }

    async fn contract(&self, name: &ContractName) -> StoreResult<ContractRecord> {
        CONTRACTS.read(&*self.database, name)
    }

    async fn contracts(&self) -> StoreResult<Vec<ContractRecord>> {
        CONTRACTS.all(&self.database)
    }

    async fn contracts_after(
        &self,
        customer: Option<&CustomerName>,
        after: Option<&ContractName>,
        limit: usize,
    ) -> StoreResult<Vec<ContractRecord>> {
        let Some(customer) = customer else {
            return CONTRACTS.after(&self.database, after).take(limit).collect();
        };
        let index = CONTRACTS_BY_CUSTOMER;
        let names = index.of_after(&self.database, customer, after).take(limit);
        names.map(|name| index.pointed(&*self.database, &name?, &CONTRACTS)).collect()
    }

    async fn create_token(&self, token: TokenRecord, audit: AuditEntry) -> StoreResult<()> {
        self.write(move |transaction| accounts::create_token(transaction, &token, &audit)).await
    }

    async fn token(&self, digest: &Digest) -> StoreResult<TokenRecord> {
        TOKENS_BY_DIGEST.follow(&*self.database, digest, &TOKENS)
    }

    async fn tokens(&self) -> StoreResult<Vec<TokenRecord>> {
        TOKENS.all(&self.database)
    }

    async fn revoke_token(
        &self,
        id: &str,
        provided: Option<&str>,
        at: Timestamp,
        audit: AuditEntry,
    ) -> StoreResult<()> {
        let (id, provided) = (id.to_owned(), provided.map(str::to_owned));
        self.write(move |transaction| {
            accounts::revoke_token(transaction, &id, provided.as_deref(), at, &audit)
        })
        .await
    }

    async fn create_activation_key(
        &self,
        key: ActivationKeyRecord,
        audit: AuditEntry,
    ) -> StoreResult<()> {
        self.write(move |transaction| accounts::create_activation_key(transaction, &key, &audit))
            .await
    }

    async fn activation_key(&self, digest: &Digest) -> StoreResult<ActivationKeyRecord> {
        ACTIVATION_KEYS_BY_DIGEST.follow(&*self.database, digest, &ACTIVATION_KEYS)
    }

    async fn create_machine(&self, machine: MachineRecord, audit: AuditEntry) -> StoreResult<()> {
        self.write(move |transaction| fleet::create_machine(transaction, &machine, &audit)).await
    }

    async fn change_machine(&self, change: MachineChange) -> StoreResult<()> {
        let change = Arc::new(fleet::Ready::new(change, &*self.database)?);
        let made = Arc::clone(&change);
        let outcome =
            self.write_reaching(move |transaction| fleet::change_machine(transaction, &made)).await;
        // It is freed here, and not by the one thread that writes.
        drop(change);
        outcome
    }

    async fn note_seen(&self, seen: Vec<(MachineName, Timestamp)>) -> StoreResult<()> {
        self.write_aside(move |transaction| fleet::note_seen(transaction, &seen)).await
    }

    async fn add_bundle(&self, change: MachineChange, bundle: BundleRecord) -> StoreResult<()> {
        let change = fleet::Ready::new(change, &*self.database)?;
        self.write_reaching(move |transaction| bundles::add(transaction, &change, &bundle)).await
    }

    async fn bundles(&self, machine: &MachineName) -> StoreResult<Vec<BundleRecord>> {
        BUNDLES.of(&self.database, machine).collect()
    }

    async fn bundles_before(
        &self,
        before: Timestamp,
        limit: usize,
    ) -> StoreResult<Vec<BundleRecord>> {
        bundles::before(&self.database, before).take(limit).collect()
    }

    async fn remove_bundle(&self, machine: &MachineName, number: u64) -> StoreResult<()> {
        let key = (machine.clone(), number);
        self.write_aside(move |transaction| bundles::remove(transaction, &key)).await
    }

    async fn machine(&self, name: &MachineName) -> StoreResult<MachineRecord> {
        MACHINES.read(&*self.database, name)
    }

    async fn machine_revision(&self, name: &MachineName) -> StoreResult<u64> {
        Ok(MACHINE_REVISIONS.read(&*self.database, name)?.revision)
    }

    async fn machine_by_token(&self, digest: &Digest) -> StoreResult<MachineRecord> {
        MACHINES_BY_TOKEN.follow(&*self.database, digest, &MACHINES)
    }

    async fn machine_by_key(
        &self,
        product: &ProductName,
        key: &PublicKey,
    ) -> StoreResult<MachineRecord> {
        MACHINES_BY_KEY.follow(&*self.database, &(product.clone(), key.clone()), &MACHINES)
    }

    async fn machines_after(
        &self,
        selection: &Selection,
        listed: Listed,
        after: Option<&ListPlace>,
        limit: usize,
    ) -> StoreResult<Vec<MachineRecord>> {
        census::machines(&self.database, selection, listed, after, limit)
    }

    async fn census_after(
        &self,
        selection: &Selection,
        after: Option<&Cell>,
        limit: usize,
    ) -> StoreResult<Vec<(Cell, Count)>> {
        census::cells(&self.database, selection, after)?.take(limit).collect()
    }

    async fn census_together(&self, product: &ProductName) -> StoreResult<Vec<(Setup, Count)>> {
        census::together(&self.database, product)
    }

    async fn claims(&self, contract: &ContractName) -> StoreResult<Vec<Claim>> {
        CLAIMS.of(&self.database, contract).collect()
    }

    async fn plan(&self, machine: &MachineName) -> StoreResult<String> {
        PLANS.read(&*self.database, machine)
    }

    async fn plans_sent(
        &self,
        machine: &MachineName,
        limit: usize,
    ) -> StoreResult<Vec<PlanSummary>> {
        let newest = PLANS_SENT.of(&self.database, machine).rev().take(limit);
        let mut plans = newest.collect::<StoreResult<Vec<_>>>()?;
        plans.reverse();
        Ok(plans)
    }

    async fn events(&self, machine: &MachineName, limit: usize) -> StoreResult<Vec<EventRecord>> {
        let newest = EVENTS.of(&self.database, machine).rev().take(limit);
        let mut events = newest.collect::<StoreResult<Vec<_>>>()?;
        events.reverse();
        Ok(events)
    }

    async fn audit(&self, after: u64, limit: usize) -> StoreResult<Vec<AuditRecord>> {
        AUDIT.after(&self.database, Some(&after)).take(limit).collect()
    }

    async fn audit_of(&self, subject: &str, limit: usize) -> StoreResult<Vec<AuditRecord>> {
        let index = AUDIT_BY_SUBJECT;
        let newest = index.of(&self.database, &subject.to_owned()).rev().take(limit);
        newest.map(|number| index.pointed(&*self.database, &number?, &AUDIT)).collect()
    }

    async fn audit_head(&self) -> StoreResult<AuditHead> {
        audit::head(&*self.database)
    }

    async fn record_audit(&self, audit: AuditEntry) -> StoreResult<()> {
        self.write_aside(move |transaction| audit::append(transaction, &audit)).await
    }
}
