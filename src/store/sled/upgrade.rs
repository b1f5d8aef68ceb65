//! From the formats before to this one.
//!
//! Format 2 has the index of contracts by their customers, and chains the audit records. Format 3 has the
//! census, the order in which machines are listed, and the index of audit records by their subjects. Format 4
//! has compressed records; those from before are read as they are, and compressed when they change.
//! Whatever of an upgrade was done when it broke off is done again: what it writes is the same each time,
//! and the format's number comes last.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use sled::Db;

use super::{
    super::{AuditHead, StoreError, StoreResult},
    audit, census,
    table::{Key, Table, sled_error},
    tables::{self, AUDIT_HEAD, CONTRACTS, CONTRACTS_BY_CUSTOMER, FORMAT_NUMBER, HEADS, NUMBERS},
    transaction::Transaction,
};

/// The format that stores have now.
pub(super) const FORMAT: u64 = 4;
/// The oldest format that is upgraded.
pub(super) const FORMAT_OLDEST: u64 = 1;

/// How many records one transaction writes.
pub(super) const RECORDS_WRITTEN: usize = 1000;

/// Audit records, whether or not they have a place in a chain.
const AUDIT: Table<u64, Value> = Table::new("audit", "audit record");
/// In [`NUMBERS`], in the format before: that of the newest audit record.
const AUDIT_NUMBER: &str = "audit";

/// Upgrades a store of the format `found`, which is [`FORMAT_OLDEST`] or later.
pub(super) fn from(found: u64, database: &Db) -> StoreResult<()> {
    if found < 2 {
        index_contracts(database)?;
        chain_audit(database)?;
    }
    if found < 3 {
        index_audit(database)?;
        census::count_anew(database)?;
    }
    write_format(database)
}

fn index_contracts(database: &Db) -> StoreResult<()> {
    in_groups(
        database,
        &CONTRACTS,
        |contract| contract.name.clone(),
        |contracts| {
            write(database, |transaction| {
                contracts.iter().try_for_each(|contract| {
                    let key = (contract.customer.clone(), contract.name.clone());
                    CONTRACTS_BY_CUSTOMER.put(transaction, &key, &contract.name)
                })
            })
        },
    )
}

fn index_audit(database: &Db) -> StoreResult<()> {
    in_groups(
        database,
        &tables::AUDIT,
        |record| record.number,
        |records| {
            write(database, |transaction| {
                records.iter().try_for_each(|record| {
                    audit::index(transaction, &record.entry.subject, record.number)
                })
            })
        },
    )
}

fn chain_audit(database: &Db) -> StoreResult<()> {
    let mut head = AuditHead::start();
    loop {
        let records = AUDIT.after(database, Some(&head.number)).take(RECORDS_WRITTEN);
        let mut records = records.collect::<StoreResult<Vec<_>>>()?;
        if records.is_empty() {
            break;
        }
        for record in &mut records {
            let digest = head.digest_of_next(record.clone());
            record["digest"] = json!(digest);
            let number = head.number + 1;
            head = head.check(record).map_err(|problem| {
                StoreError::Corrupt(format!("audit record {number}: {problem}"))
            })?;
        }
        write(database, |transaction| {
            (1..).zip(&records).try_for_each(|(place, record)| {
                let number = head.number - records.len() as u64 + place;
                AUDIT.put(transaction, &number, record)
            })
        })?;
    }
    write(database, |transaction| {
        NUMBERS.remove(transaction, &AUDIT_NUMBER);
        HEADS.put(transaction, &AUDIT_HEAD, &head)
    })
}

/// Says that the store has the format [`FORMAT`].
pub(super) fn write_format(database: &Db) -> StoreResult<()> {
    write(database, |transaction| NUMBERS.put(transaction, &FORMAT_NUMBER, &FORMAT))
}

/// Hands over all records of a table, by key, as many at a time as one transaction writes.
pub(super) fn in_groups<K: Key, V: Serialize + DeserializeOwned>(
    database: &Db,
    table: &Table<K, V>,
    key: impl Fn(&V) -> K,
    mut take: impl FnMut(&[V]) -> StoreResult<()>,
) -> StoreResult<()> {
    let mut after = None;
    loop {
        let records = table.after(database, after.as_ref()).take(RECORDS_WRITTEN);
        let records = records.collect::<StoreResult<Vec<_>>>()?;
        let Some(last) = records.last() else { return Ok(()) };
        take(&records)?;
        after = Some(key(last));
    }
}

/// Makes a change as one transaction.
pub(super) fn write(
    database: &Db,
    change: impl FnOnce(&Transaction) -> StoreResult<()>,
) -> StoreResult<()> {
    let mut transaction = Transaction::over(database);
    transaction.attempt(change)?;
    transaction.apply().map_err(sled_error)
}
