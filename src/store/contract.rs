//! What every adapter of a port must do, whatever it stores things in.
//!
//! Each test of the suite takes the port and works under names of its own (`scope`), so that it
//! can run on a store that holds other things already: one that was opened again, or a database
//! that tests share.

mod accounts;
mod actions;
mod advisories;
mod blobs;
mod bundles;
mod catalogue;
mod census;
mod deltas;
mod fleet;
mod outbox;
mod rollouts;

use std::fmt::Debug;

use jiff::Timestamp;

use super::{
    AuditEntry, AuditHead, AuditRecord, BlobStore, MachineRecord, MetaStore, ObjectBlobs,
    SledStore, StoreError, StoreResult,
};

/// Runs the whole suite of the records.
pub(super) async fn meta_store(store: &dyn MetaStore, scope: &str) {
    store.ready().await.unwrap();
    catalogue::products(store, scope).await;
    catalogue::releases(store, scope).await;
    catalogue::retirements(store, scope).await;
    catalogue::private_channels(store, scope).await;
    catalogue::safeguards(store, scope).await;
    catalogue::renewals(store, scope).await;
    catalogue::amendments(store, scope).await;
    catalogue::two_publishers(store, scope).await;
    advisories::advisories(store, scope).await;
    Box::pin(advisories::sboms(store, scope)).await;
    accounts::customers_and_contracts(store, scope).await;
    accounts::organisations(store, scope).await;
    accounts::tokens(store, scope).await;
    accounts::activation_keys(store, scope).await;
    Box::pin(fleet::machines(store, scope)).await;
    Box::pin(fleet::reenrolment(store, scope)).await;
    fleet::claims(store, scope).await;
    fleet::plans_and_events(store, scope).await;
    fleet::plans_sent(store, scope).await;
    bundles::bundles(store, scope).await;
    census::counts(store, scope).await;
    census::listing(store, scope).await;
    census::retired(store, scope).await;
    deltas::claims(store, scope).await;
    deltas::downloads(store, scope).await;
    outbox::announcements(store, scope).await;
    outbox::events(store, scope).await;
    outbox::endpoints(store, scope).await;
    outbox::deliveries(store, scope).await;
    actions::listing(store, scope).await;
    actions::states(store, scope).await;
    Box::pin(actions::progress(store, scope)).await;
    rollouts::rollouts(store, scope).await;
    rollouts::outcomes(store, scope).await;
    rollouts::stops(store, scope).await;
    audit(store, scope).await;
}

/// Runs the whole suite of the blobs.
pub(super) async fn blob_store(store: &dyn BlobStore, scope: &str) {
    blobs::content(store).await;
    blobs::ranges(store).await;
    blobs::wrong_content(store, scope).await;
    blobs::several_parts(store).await;
    blobs::two_writers(store).await;
    blobs::removal(store, scope).await;
    blobs::whole_files(store, scope).await;
}

#[tokio::test]
async fn sled_keeps_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    let store = SledStore::open(dir.path()).unwrap();
    meta_store(&store, "first").await;
    drop(store);
    let store = SledStore::open(dir.path()).unwrap();
    meta_store(&store, "again").await;
}

#[tokio::test]
async fn local_blobs_keep_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    let below = dir.path().join("not/there/yet");
    blob_store(&ObjectBlobs::local(&below).unwrap(), "first").await;
    let begun = below.join("sha256/ab/abcdef#1");
    std::fs::create_dir_all(begun.parent().unwrap()).unwrap();
    std::fs::write(&begun, "half of").unwrap();
    blob_store(&ObjectBlobs::local(&below).unwrap(), "again").await;
    assert_eq!(blobs::unfinished_files(&below), Vec::<String>::new());
}

#[tokio::test]
async fn blobs_in_memory_keep_the_contract() {
    blob_store(&ObjectBlobs::memory(), "memory").await;
}

/// The audit trail: numbers without gaps, in order, in pages; a failed change leaves no trace.
async fn audit(store: &dyn MetaStore, scope: &str) {
    let before = trail(store, 0).await;
    let numbers = before.iter().map(|record| record.number);
    assert!(numbers.eq(1..=before.len() as u64), "numbers count up from 1 without gaps");

    let newest = before.len() as u64;
    let head = store.audit_head().await.unwrap();
    assert_eq!(Some(head), before.last().map(AuditRecord::head));
    let denied = AuditEntry {
        address: Some("192.0.2.7".to_owned()),
        reason: Some("no such role".to_owned()),
        ticket: Some("T-1".to_owned()),
        ..entry(&format!("{scope}.denied"))
    };
    store.record_audit(denied.clone()).await.unwrap();
    let found = trail(store, newest).await;
    assert_eq!(found, [head.next(&denied).unwrap()]);
    assert_eq!(store.audit_head().await.unwrap(), found[0].head());
    let chain = trail(store, 0).await.into_iter().try_fold(AuditHead::start(), |head, record| {
        head.check(&serde_json::to_value(record).unwrap())
    });
    assert_eq!(chain, Ok(found[0].head()));
    assert_eq!(trail(store, newest + 1).await, []);
    assert_eq!(trail(store, u64::MAX).await, []);

    let about = |subject: String, limit| async move {
        let records = store.audit_of(&subject, limit).await.unwrap();
        records.into_iter().map(|record| record.number).collect::<Vec<_>>()
    };
    let subject = format!("{scope}-subject");
    for name in [&subject, &format!("{subject}-2"), &subject] {
        let entry = AuditEntry { subject: name.clone(), ..entry("machine.pin") };
        store.record_audit(entry).await.unwrap();
    }
    assert_eq!(about(subject.clone(), 9).await, [newest + 4, newest + 2], "the newest first");
    assert_eq!(about(subject.clone(), 1).await, [newest + 4]);
    assert_eq!(about(format!("{subject}-"), 9).await, [0; 0]);
    let long = AuditEntry { subject: "x".repeat(5000), ..entry("denied") };
    store.record_audit(long).await.unwrap();

    let page = store.audit(1, 2).await.unwrap();
    assert_eq!(page.iter().map(|record| record.number).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(store.audit(0, 0).await.unwrap(), []);
}

async fn trail(store: &dyn MetaStore, after: u64) -> Vec<AuditRecord> {
    store.audit(after, usize::MAX).await.unwrap()
}

/// Runs the change, which must be refused as a conflict and leave no audit record behind.
async fn expect_conflict(
    store: &dyn MetaStore,
    change: impl Future<Output = StoreResult<()>>,
) -> String {
    let before = trail(store, 0).await.len();
    let message = conflict(change.await);
    assert_eq!(trail(store, 0).await.len(), before, "a refused change is not in the audit trail");
    message
}

/// Runs the change, which must appear in the audit trail exactly once.
async fn expect_audited(
    store: &dyn MetaStore,
    action: &str,
    change: impl Future<Output = StoreResult<()>>,
) {
    let before = trail(store, 0).await.len() as u64;
    change.await.unwrap();
    let new = trail(store, before).await;
    let actions: Vec<_> = new.iter().map(|record| record.entry.action.as_str()).collect();
    assert_eq!(actions, [action]);
}

fn conflict<T: Debug>(outcome: StoreResult<T>) -> String {
    match outcome {
        Err(StoreError::Conflict(message)) => message,
        other => panic!("expected a conflict, found {other:?}"),
    }
}

fn missing<T: Debug>(outcome: StoreResult<T>) -> String {
    match outcome {
        Err(StoreError::NotFound(what)) => what,
        other => panic!("expected that nothing is found, found {other:?}"),
    }
}

/// An audit entry of the action.
pub(super) fn entry(action: &str) -> AuditEntry {
    AuditEntry {
        at: at(0),
        actor: "token-1".to_owned(),
        address: None,
        action: action.to_owned(),
        subject: "subject".to_owned(),
        reason: None,
        ticket: None,
        detail: String::new(),
        before: None,
    }
}

/// A machine that is not stored yet, of a product and a contract that are.
pub(super) async fn new_machine(store: &dyn MetaStore) -> MachineRecord {
    fleet::machine(&fleet::fixture(store, "new", "machine").await, "1")
}

/// So many seconds after some instant.
pub(super) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + seconds).unwrap()
}
