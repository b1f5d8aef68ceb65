//! From the formats before to this one.
//!
//! Format 2 has the index of contracts by their customers, and chains the audit records. Format 3 has the
//! census, the order in which machines are listed, and the index of audit records by their subjects. Format 4
//! has compressed records; those from before are read as they are, and compressed when they change. Format 5
//! has runs of rows (see `runs`), and what a machine told of releases in its own record.
//! Whatever of an upgrade was done when it broke off is done again: what it writes is the same each time,
//! and the format's number comes last. What is written at once is durable before there is more, as when the
//! server writes (see `writer`).

#[cfg(test)]
mod tests;

use std::fs::File;

use mainstay_client::format::{MachineName, Version};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use sled::{Db, IVec};

use super::{
    super::{AuditHead, StoreError, StoreResult},
    audit, census,
    codec::{self, corrupt},
    runs,
    table::{Key, Table, sled_error},
    tables::{
        self, AUDIT_BY_SUBJECT, AUDIT_HEAD, CONTRACTS, CONTRACTS_BY_CUSTOMER, FORMAT_NUMBER, HEADS,
        MACHINES, MACHINES_BY_KEY, MACHINES_BY_TOKEN, NUMBERS, PLANS_SENT,
    },
    transaction::Transaction,
};
use crate::policy::rollout::Outcome;

/// The format that stores have now.
pub(super) const FORMAT: u64 = 5;
/// The oldest format that is upgraded.
pub(super) const FORMAT_OLDEST: u64 = 1;

/// How many records one transaction writes.
pub(super) const RECORDS_WRITTEN: usize = 1000;

/// Audit records, whether or not they have a place in a chain.
const AUDIT: Table<u64, Value> = tables::AUDIT.seen_as();
/// In [`NUMBERS`], in the format before: that of the newest audit record.
const AUDIT_NUMBER: &str = "audit";

/// What each machine has told last of a version, in the formats before the fifth.
pub(super) const MACHINE_OUTCOMES: Table<(MachineName, Version), Outcome> =
    Table::new("outcomes-of-machines", "outcome");

/// What is upgraded: a database that nobody else uses yet.
pub(super) struct Upgrade<'a> {
    pub(super) database: &'a Db,
    /// The file that holds it, to be synced.
    pub(super) file: &'a File,
}

impl Upgrade<'_> {
    /// Upgrades a store of the format `found`, which is [`FORMAT_OLDEST`] or later.
    pub(super) fn from(&self, found: u64) -> StoreResult<()> {
        if found < 5 {
            gathered().iter().try_for_each(|(before, prefix)| gather(self, before, prefix))?;
            move_outcomes(self)?;
        }
        if found < 2 {
            index_contracts(self)?;
            chain_audit(self)?;
        }
        if found < 3 {
            index_audit(self)?;
            census::count_anew(self)?;
        }
        self.write_format()
    }

    /// Makes a change as one transaction, durably.
    pub(super) fn write(
        &self,
        change: impl FnOnce(&Transaction) -> StoreResult<()>,
    ) -> StoreResult<()> {
        let mut transaction = Transaction::over(self.database);
        transaction.attempt(change)?;
        transaction.apply().map_err(sled_error)?;
        self.database.flush().map_err(sled_error)?;
        let unsynced = |error| StoreError::Unavailable(format!("the database: {error}"));
        self.file.sync_all().map_err(unsynced)
    }

    /// Says that the store has the format [`FORMAT`].
    pub(super) fn write_format(&self) -> StoreResult<()> {
        self.write(|transaction| NUMBERS.put(transaction, &FORMAT_NUMBER, &FORMAT))
    }

    /// Hands over all records of a table, by key, as many at a time as one transaction writes.
    pub(super) fn in_groups<K: Key, V: DeserializeOwned + 'static>(
        &self,
        table: &Table<K, V>,
        key: impl Fn(&V) -> K,
        mut take: impl FnMut(&[V]) -> StoreResult<()>,
    ) -> StoreResult<()> {
        let mut after = None;
        loop {
            let records = table.after(self.database, after.as_ref()).take(RECORDS_WRITTEN);
            let records = records.collect::<StoreResult<Vec<_>>>()?;
            let Some(last) = records.last() else { return Ok(()) };
            take(&records)?;
            after = Some(key(last));
        }
    }

    /// Removes all records of a table.
    pub(super) fn clear<K: Key, V>(&self, table: &Table<K, V>) -> StoreResult<()> {
        loop {
            let values = self.first(&table.prefix())?;
            if values.is_empty() {
                return Ok(());
            }
            self.write(|transaction| {
                for (key, _) in &values {
                    transaction.remove(key);
                }
                Ok(())
            })?;
        }
    }

    /// The first keys with a prefix and their values, as many as one transaction writes.
    fn first(&self, prefix: &[u8]) -> StoreResult<Vec<(IVec, IVec)>> {
        let values = self.database.scan_prefix(prefix).take(RECORDS_WRITTEN);
        values.collect::<Result<_, _>>().map_err(sled_error)
    }
}

/// The tables in runs: with what their keys began when each row stood alone, and with what they begin now.
pub(super) fn gathered() -> [(&'static [u8], Vec<u8>); 5] {
    [
        (b"audit/", AUDIT.prefix()),
        (b"audit-by-subject/", AUDIT_BY_SUBJECT.prefix()),
        (b"machines-by-key/", MACHINES_BY_KEY.prefix()),
        (b"machines-by-token/", MACHINES_BY_TOKEN.prefix()),
        (b"plans-sent/", PLANS_SENT.prefix()),
    ]
}

fn gather(upgrade: &Upgrade<'_>, before: &[u8], prefix: &[u8]) -> StoreResult<()> {
    loop {
        let rows = upgrade.first(before)?;
        if rows.is_empty() {
            return Ok(());
        }
        upgrade.write(|transaction| {
            rows.iter().try_for_each(|(key, value)| {
                let place = [prefix, &key[before.len()..]].concat();
                runs::put(transaction, &place, &codec::content(key, value)?)?;
                transaction.remove(key);
                Ok(())
            })
        })?;
    }
}

fn index_contracts(upgrade: &Upgrade<'_>) -> StoreResult<()> {
    upgrade.in_groups(
        &CONTRACTS,
        |contract| contract.name.clone(),
        |contracts| {
            upgrade.write(|transaction| {
                contracts.iter().try_for_each(|contract| {
                    let key = (contract.customer.clone(), contract.name.clone());
                    CONTRACTS_BY_CUSTOMER.put(transaction, &key, &contract.name)
                })
            })
        },
    )
}

fn index_audit(upgrade: &Upgrade<'_>) -> StoreResult<()> {
    upgrade.in_groups(
        &tables::AUDIT,
        |record| record.number,
        |records| {
            upgrade.write(|transaction| {
                records.iter().try_for_each(|record| {
                    audit::index(transaction, &record.entry.subject, record.number)
                })
            })
        },
    )
}

fn chain_audit(upgrade: &Upgrade<'_>) -> StoreResult<()> {
    let mut head = AuditHead::start();
    loop {
        let records = AUDIT.after(upgrade.database, Some(&head.number)).take(RECORDS_WRITTEN);
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
        upgrade.write(|transaction| {
            (1..).zip(&records).try_for_each(|(place, record)| {
                let number = head.number - records.len() as u64 + place;
                AUDIT.put(transaction, &number, record)
            })
        })?;
    }
    upgrade.write(|transaction| {
        NUMBERS.remove(transaction, &AUDIT_NUMBER)?;
        HEADS.put(transaction, &AUDIT_HEAD, &head)
    })
}

/// Moves what machines have told of versions into their own records: each with the removal of where it was.
fn move_outcomes(upgrade: &Upgrade<'_>) -> StoreResult<()> {
    loop {
        let outcomes = upgrade.first(&MACHINE_OUTCOMES.prefix())?;
        if outcomes.is_empty() {
            return Ok(());
        }
        upgrade.write(|transaction| {
            outcomes.iter().try_for_each(|(key, _)| move_outcome(transaction, key))
        })?;
    }
}

fn move_outcome(transaction: &Transaction, key: &[u8]) -> StoreResult<()> {
    let of_machine = outcome_key(key).ok_or_else(|| corrupt(key, "it names no outcome"))?;
    let outcome = MACHINE_OUTCOMES.read(transaction, &of_machine)?;
    let (name, version) = of_machine;
    if let Some(mut machine) = MACHINES.find(transaction, &name)?
        && machine.offered.contains(&version)
    {
        machine.outcomes.insert(version, outcome);
        MACHINES.put(transaction, &name, &machine)?;
    }
    transaction.remove(key);
    Ok(())
}

/// The machine and the version that a key of [`MACHINE_OUTCOMES`] names.
fn outcome_key(key: &[u8]) -> Option<(MachineName, Version)> {
    let (_table, key) = str::from_utf8(key).ok()?.split_once('/')?;
    let (machine, version) = key.split_once('\0')?;
    Some((machine.parse().ok()?, version.parse().ok()?))
}
