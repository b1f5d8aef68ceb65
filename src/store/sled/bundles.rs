//! The transactions on support bundles.

use jiff::Timestamp;
use mainstay_client::format::MachineName;
use sled::Tree;

use super::{
    super::{BundleRecord, Reach, StoreResult},
    fleet,
    tables::{BUNDLES, BUNDLES_BY_AGE},
    transaction::Transaction,
};

type Key = (MachineName, u64);

pub(super) fn add(
    transaction: &Transaction,
    change: &fleet::Ready,
    bundle: &BundleRecord,
) -> StoreResult<Reach> {
    let reach = fleet::change_machine(transaction, change)?;
    let key = (bundle.machine.clone(), bundle.number);
    BUNDLES.add(transaction, &key, bundle)?;
    BUNDLES_BY_AGE.put(transaction, &(second(bundle.at), key), bundle)?;
    Ok(reach)
}

pub(super) fn remove(transaction: &Transaction, key: &Key) -> StoreResult<()> {
    if let Some(bundle) = BUNDLES.find(transaction, key)? {
        BUNDLES.remove(transaction, key)?;
        BUNDLES_BY_AGE.remove(transaction, &(second(bundle.at), key.clone()))?;
    }
    Ok(())
}

/// Those that came before `before`, the oldest first.
pub(super) fn before(
    tree: &Tree,
    before: Timestamp,
) -> impl Iterator<Item = StoreResult<BundleRecord>> {
    let is_before = move |bundle: &StoreResult<BundleRecord>| {
        bundle.as_ref().map_or(true, |bundle| bundle.at < before)
    };
    BUNDLES_BY_AGE.after(tree, None).take_while(is_before)
}

/// A time before 1970 is none that a server has.
fn second(at: Timestamp) -> u64 {
    at.as_second().try_into().unwrap_or_default()
}
