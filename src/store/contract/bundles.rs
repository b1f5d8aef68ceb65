//! Support bundles.

use mainstay_client::format::Digest;

use super::{
    super::{BundleRecord, MachineRecord, MetaStore},
    at, entry, expect_conflict,
    fleet::{change, fixture, machine, word},
};

fn bundle(machine: &MachineRecord, number: u64, second: i64) -> BundleRecord {
    BundleRecord {
        machine: machine.name.clone(),
        customer: machine.customer.clone(),
        number,
        at: at(second),
        sha256: Digest::of(number.to_string().as_bytes()),
        length: 7,
        word: word("T-1"),
    }
}

pub(super) async fn bundles(store: &dyn MetaStore, scope: &str) {
    let base = fixture(store, scope, "bundles").await;
    let [one, other] = [machine(&base, "1"), machine(&base, "11")];
    for machine in [&one, &other] {
        store.create_machine(machine.clone(), entry("enrol")).await.unwrap();
    }
    let [second, first] = [bundle(&one, 12, 20), bundle(&one, 3, 30)];
    let theirs = bundle(&other, 1, 10);
    for added in [&second, &first, &theirs] {
        let stored = store.machine(&added.machine).await.unwrap();
        store.add_bundle(change(&stored), added.clone()).await.unwrap();
        assert_eq!(store.machine(&added.machine).await.unwrap().revision, stored.revision + 1);
    }
    assert_eq!(store.bundles(&one.name).await.unwrap(), [first.clone(), second.clone()]);
    assert_eq!(store.bundles(&other.name).await.unwrap().as_slice(), std::slice::from_ref(&theirs));

    // Of a machine that has changed meanwhile none is added, and none takes another's place.
    let stale = store.add_bundle(change(&one), bundle(&one, 4, 40));
    expect_conflict(store, stale).await;
    let stored = store.machine(&one.name).await.unwrap();
    expect_conflict(store, store.add_bundle(change(&stored), bundle(&one, 3, 50))).await;
    assert_eq!(store.machine(&one.name).await.unwrap().revision, stored.revision);

    let own = |found: Vec<BundleRecord>| {
        let own = found.into_iter().filter(|it| it.customer == base.customer);
        own.map(|it| it.number).collect::<Vec<_>>()
    };
    let before = |second| async move { store.bundles_before(at(second), 100).await.unwrap() };
    assert_eq!(own(before(30).await), [1, 12]);
    assert_eq!(own(before(31).await), [1, 12, 3]);
    assert_eq!(store.bundles_before(at(31), 2).await.unwrap().len(), 2);
    for _ in 0..2 {
        store.remove_bundle(&one.name, 12).await.unwrap();
        let left = store.bundles(&one.name).await.unwrap();
        assert_eq!(left.as_slice(), std::slice::from_ref(&first));
        assert_eq!(own(before(31).await), [1, 3]);
    }
    for gone in [&first, &theirs] {
        store.remove_bundle(&gone.machine, gone.number).await.unwrap();
    }
    assert_eq!(own(before(100).await), [0; 0]);
}
