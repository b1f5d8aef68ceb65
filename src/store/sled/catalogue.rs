//! The transactions on products and their releases.

use jiff::Timestamp;
use mainstay_client::format::{PrivateChannelName, ProductName};

use super::{
    super::{
        AuditEntry, PrivateChannelRecord, ProductRecord, Publication, ReleaseRecord, Repository,
        RepositoryFile, Retirement, SafeguardRecord, StoreError, StoreResult, Word,
    },
    audit, rollouts,
    tables::{
        CUSTOMERS, LIFTED_SAFEGUARDS, PRIVATE_CHANNELS, PRODUCTS, RELEASES, REPOSITORY_FILES,
        SAFEGUARDS,
    },
    transaction::Transaction,
};

pub(super) fn create_product(
    transaction: &Transaction,
    product: &ProductRecord,
    files: &[RepositoryFile],
    entry: &AuditEntry,
) -> StoreResult<()> {
    let product = ProductRecord { revision: 1, ..product.clone() };
    PRODUCTS.add(transaction, &product.name, &product)?;
    put_files(transaction, &product.name, files)?;
    audit::append(transaction, entry)
}

pub(super) fn publish_release(
    transaction: &Transaction,
    product: &ProductName,
    expected_revision: u64,
    publication: &Publication,
    entry: &AuditEntry,
) -> StoreResult<()> {
    let Publication { release, rollout, repository, files } = publication;
    let stored = product_at(transaction, product, expected_revision)?;
    RELEASES.add(transaction, &(product.clone(), release.release.version.clone()), release)?;
    rollout.iter().try_for_each(|rollout| rollouts::add(transaction, rollout))?;
    let published = ProductRecord { revision: stored.revision + 1, ..stored };
    replace_repository(transaction, published, repository, files)?;
    audit::append(transaction, entry)
}

pub(super) fn retire_releases(
    transaction: &Transaction,
    product: &ProductName,
    expected_revision: u64,
    retirement: &Retirement,
    entry: &AuditEntry,
) -> StoreResult<()> {
    let Retirement { versions, at, repository, files } = retirement;
    let stored = product_at(transaction, product, expected_revision)?;
    for version in versions {
        let key = (product.clone(), version.clone());
        let release = RELEASES.read(transaction, &key)?;
        RELEASES.put(transaction, &key, &ReleaseRecord { retired_at: Some(*at), ..release })?;
    }
    let retired = ProductRecord { revision: stored.revision + 1, ..stored };
    replace_repository(transaction, retired, repository, files)?;
    audit::append(transaction, entry)
}

pub(super) fn renew_repository(
    transaction: &Transaction,
    product: &ProductName,
    expected_revision: u64,
    repository: &Repository,
    files: &[RepositoryFile],
) -> StoreResult<()> {
    let stored = product_at(transaction, product, expected_revision)?;
    replace_repository(transaction, stored, repository, files)
}

pub(super) fn amend_repository(
    transaction: &Transaction,
    product: &ProductName,
    expected_revision: u64,
    (repository, files): (&Repository, &[RepositoryFile]),
    entry: &AuditEntry,
) -> StoreResult<()> {
    let stored = product_at(transaction, product, expected_revision)?;
    let amended = ProductRecord { revision: stored.revision + 1, ..stored };
    replace_repository(transaction, amended, repository, files)?;
    audit::append(transaction, entry)
}

pub(super) fn create_private_channel(
    transaction: &Transaction,
    channel: &PrivateChannelRecord,
    entry: &AuditEntry,
) -> StoreResult<()> {
    let PrivateChannelRecord { product, name, customer, .. } = channel;
    PRODUCTS.read(transaction, product)?;
    CUSTOMERS.read(transaction, customer)?;
    PRIVATE_CHANNELS.add(transaction, &(product.clone(), name.clone()), channel)?;
    audit::append(transaction, entry)
}

pub(super) fn end_private_channel(
    transaction: &Transaction,
    product: &ProductName,
    name: &PrivateChannelName,
    at: Timestamp,
    entry: &AuditEntry,
) -> StoreResult<()> {
    let key = (product.clone(), name.clone());
    let channel = PRIVATE_CHANNELS.read(transaction, &key)?;
    if let Some(ended_at) = channel.ended_at {
        let shown = PRIVATE_CHANNELS.shown(&key);
        return Err(StoreError::Conflict(format!("{shown} has ended already, at {ended_at}")));
    }
    let ended = PrivateChannelRecord { ended_at: Some(at), ..channel };
    PRIVATE_CHANNELS.put(transaction, &key, &ended)?;
    let stored = PRODUCTS.read(transaction, product)?;
    let changed = ProductRecord { revision: stored.revision + 1, ..stored };
    PRODUCTS.put(transaction, product, &changed)?;
    audit::append(transaction, entry)
}

pub(super) fn create_safeguard(
    transaction: &Transaction,
    safeguard: &SafeguardRecord,
    entry: &AuditEntry,
) -> StoreResult<()> {
    PRODUCTS.read(transaction, &safeguard.product)?;
    let key = (safeguard.product.clone(), safeguard.number);
    if LIFTED_SAFEGUARDS.find(transaction, &key)?.is_some() {
        let shown = LIFTED_SAFEGUARDS.shown(&key);
        return Err(StoreError::Conflict(format!("{shown} exists already")));
    }
    SAFEGUARDS.add(transaction, &key, safeguard)?;
    audit::append(transaction, entry)
}

pub(super) fn lift_safeguard(
    transaction: &Transaction,
    product: &ProductName,
    number: u64,
    word: &Word,
    entry: &AuditEntry,
) -> StoreResult<()> {
    let key = (product.clone(), number);
    if let Some(lifted) = LIFTED_SAFEGUARDS.find(transaction, &key)?.and_then(|it| it.lifted) {
        let shown = SAFEGUARDS.shown(&key);
        let Word { by, at, reason, .. } = lifted;
        let message = format!("{shown} was lifted already, by {by} at {at}: {reason}");
        return Err(StoreError::Conflict(message));
    }
    let safeguard = SAFEGUARDS.read(transaction, &key)?;
    SAFEGUARDS.remove(transaction, &key)?;
    let lifted = SafeguardRecord { lifted: Some(word.clone()), ..safeguard };
    LIFTED_SAFEGUARDS.add(transaction, &key, &lifted)?;
    audit::append(transaction, entry)
}

fn product_at(
    transaction: &Transaction,
    name: &ProductName,
    expected_revision: u64,
) -> StoreResult<ProductRecord> {
    let stored = PRODUCTS.read(transaction, name)?;
    if stored.revision != expected_revision {
        return Err(StoreError::Conflict(format!(
            "product `{name}` is at revision {}: expected {expected_revision}; fetch the \
             publishing state again and retry",
            stored.revision
        )));
    }
    Ok(stored)
}

/// A renewal does not raise the revision, so it is the timestamp's version that tells two writers
/// apart who built upon the same metadata: were both accepted, clients would have seen two
/// documents of one version.
fn replace_repository(
    transaction: &Transaction,
    product: ProductRecord,
    repository: &Repository,
    files: &[RepositoryFile],
) -> StoreResult<()> {
    let (stored, new) = (product.repository.timestamp.version, repository.timestamp.version);
    if new <= stored {
        return Err(StoreError::Conflict(format!(
            "the timestamp of product `{}` is at version {stored}: expected the new one above it, \
             found {new}; read the product again and retry",
            product.name
        )));
    }
    let product = ProductRecord { repository: repository.clone(), ..product };
    PRODUCTS.put(transaction, &product.name, &product)?;
    put_files(transaction, &product.name, files)
}

fn put_files(
    transaction: &Transaction,
    product: &ProductName,
    files: &[RepositoryFile],
) -> StoreResult<()> {
    files.iter().try_for_each(|RepositoryFile { name, file }| {
        REPOSITORY_FILES.put(transaction, &(product.clone(), name.clone()), file)
    })
}
