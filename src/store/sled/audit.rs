//! The audit trail: part of the transaction that it tells of.

use super::{
    super::{AuditEntry, AuditHead, StoreError, StoreResult},
    table::Source,
    tables::{AUDIT, AUDIT_BY_SUBJECT, AUDIT_HEAD, HEADS},
    transaction::Transaction,
};

/// What is longer is the name of nothing, but the address of a request that was denied.
const SUBJECT_BYTES_MAX: usize = 256;

/// The newest record's place in the chain.
pub(super) fn head(source: &impl Source) -> StoreResult<AuditHead> {
    Ok(HEADS.find(source, &AUDIT_HEAD)?.unwrap_or_else(AuditHead::start))
}

/// Appends the entry under the next number. A transaction that fails uses none up, so the numbers
/// have no gaps, and a gap that is found is a loss.
pub(super) fn append(transaction: &Transaction, entry: &AuditEntry) -> StoreResult<()> {
    let record = head(transaction)?
        .next(entry)
        .map_err(|error| StoreError::Conflict(format!("an audit record is no JSON: {error}")))?;
    HEADS.put(transaction, &AUDIT_HEAD, &record.head())?;
    AUDIT.add(transaction, &record.number, &record)?;
    index(transaction, &entry.subject, record.number)
}

/// Makes the record found by its subject.
pub(super) fn index(transaction: &Transaction, subject: &str, number: u64) -> StoreResult<()> {
    if subject.len() > SUBJECT_BYTES_MAX {
        return Ok(());
    }
    AUDIT_BY_SUBJECT.put(transaction, &(subject.to_owned(), number), &number)
}
