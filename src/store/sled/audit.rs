//! The audit trail: part of the transaction that it tells of.

use sled::transaction::TransactionalTree;

use super::{
    super::{AuditEntry, AuditRecord, StoreResult},
    tables::{AUDIT, AUDIT_NUMBER, NUMBERS},
};

/// Appends the entry under the next number. A transaction that fails uses none up, so the numbers
/// have no gaps, and a gap that is found is a loss.
pub(super) fn append(transaction: &TransactionalTree, entry: &AuditEntry) -> StoreResult<()> {
    let number = NUMBERS.find(transaction, &AUDIT_NUMBER)?.unwrap_or(0) + 1;
    NUMBERS.put(transaction, &AUDIT_NUMBER, &number)?;
    AUDIT.add(transaction, &number, &AuditRecord { number, entry: entry.clone() })
}
