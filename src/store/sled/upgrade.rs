//! From the format before to this one.
//!
//! Format 2 has the index of contracts by their customers. Whatever of an upgrade was done when it broke
//! off is done again: an entry of the index is the same each time, and the format's number comes last.

use sled::{
    Db,
    transaction::{ConflictableTransactionError, TransactionError, TransactionalTree},
};

use super::{
    super::StoreResult,
    table::sled_error,
    tables::{CONTRACTS, CONTRACTS_BY_CUSTOMER, FORMAT_NUMBER, NUMBERS},
};

/// The format that stores have now.
pub(super) const FORMAT: u64 = 2;
/// The format that [`from_before`] upgrades.
pub(super) const BEFORE: u64 = 1;

/// How many contracts one transaction indexes.
const CONTRACTS_INDEXED: usize = 1000;

/// Upgrades a store of the format [`BEFORE`].
pub(super) fn from_before(database: &Db) -> StoreResult<()> {
    let mut after = None;
    loop {
        let contracts = CONTRACTS.after(database, after.as_ref()).take(CONTRACTS_INDEXED);
        let contracts = contracts.collect::<StoreResult<Vec<_>>>()?;
        let Some(last) = contracts.last() else { break };
        write(database, |transaction| {
            contracts.iter().try_for_each(|contract| {
                let key = (contract.customer.clone(), contract.name.clone());
                CONTRACTS_BY_CUSTOMER.put(transaction, &key, &contract.name)
            })
        })?;
        after = Some(last.name.clone());
    }
    write_format(database)
}

/// Says that the store has the format [`FORMAT`].
pub(super) fn write_format(database: &Db) -> StoreResult<()> {
    write(database, |transaction| NUMBERS.put(transaction, &FORMAT_NUMBER, &FORMAT))
}

fn write(database: &Db, change: impl Fn(&TransactionalTree) -> StoreResult<()>) -> StoreResult<()> {
    let outcome = database.transaction(|transaction| {
        change(transaction).map_err(ConflictableTransactionError::Abort)
    });
    outcome.map_err(|error| match error {
        TransactionError::Abort(error) => error,
        TransactionError::Storage(error) => sled_error(error),
    })
}
