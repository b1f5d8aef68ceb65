//! The transactions on what is recorded of advisories, and on what is in releases.

use super::{
    super::{AdvisoryChange, AuditEntry, ComponentsRecord, SbomChange, StoreError, StoreResult},
    audit,
    tables::{ADVISORIES, COMPONENTS, PRODUCTS, RELEASES, SBOMS},
    transaction::Transaction,
};

pub(super) fn change_advisory(
    transaction: &Transaction,
    change: &AdvisoryChange,
    entry: &AuditEntry,
) -> StoreResult<()> {
    let AdvisoryChange { before, after } = change;
    PRODUCTS.read(transaction, &after.product)?;
    let key = (after.product.clone(), after.advisory.clone());
    let stored = ADVISORIES.find(transaction, &key)?;
    require_same(&ADVISORIES.shown(&key), stored.as_ref(), before.as_ref())?;
    ADVISORIES.put(transaction, &key, after)?;
    audit::append(transaction, entry)
}

pub(super) fn attach_sbom(
    transaction: &Transaction,
    change: &SbomChange,
    entry: &AuditEntry,
) -> StoreResult<()> {
    let SbomChange { before, after, components, removed } = change;
    let release = (after.product.clone(), after.version.clone());
    RELEASES.read(transaction, &release)?;
    let stored = SBOMS.find(transaction, &release)?;
    require_same(&SBOMS.shown(&release), stored.as_ref(), before.as_ref())?;
    SBOMS.put(transaction, &release, after)?;
    for word in removed {
        COMPONENTS.remove(transaction, &(word.clone(), release.clone()))?;
    }
    for (word, components) in components {
        let (product, version) = release.clone();
        let record = ComponentsRecord { product, version, components: components.clone() };
        COMPONENTS.put(transaction, &(word.clone(), release.clone()), &record)?;
    }
    audit::append(transaction, entry)
}

fn require_same<T: PartialEq>(
    what: &str,
    stored: Option<&T>,
    expected: Option<&T>,
) -> StoreResult<()> {
    if stored == expected {
        return Ok(());
    }
    Err(StoreError::Conflict(format!("{what} was changed just now: look at it again and retry")))
}
