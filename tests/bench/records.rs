//! Records that measurements add to a store.

use jiff::Timestamp;
use mainstay::store::AuditEntry;

/// What the audit trail says of a machine that was enrolled at `at`.
pub(crate) fn enrolled(at: Timestamp) -> AuditEntry {
    AuditEntry {
        at,
        actor: "bench".to_owned(),
        address: None,
        action: "machine.enroll".to_owned(),
        subject: "machine".to_owned(),
        reason: None,
        ticket: None,
        detail: String::new(),
        before: None,
    }
}
