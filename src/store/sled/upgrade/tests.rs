use std::{collections::BTreeMap, fs};

use serde_json::Value;

use super::{
    super::{
        super::{
            AuditRecord, ContractRecord, Listed, MachineRecord, MetaStore, Selection,
            contract::{self, entry},
        },
        SledStore,
        opening::MARKER,
        tables::{AUDIT, CENSUS, CENSUS_TOGETHER, MACHINES_IN_USE, MACHINES_RETIRED},
        tests::{clear, customer, filled},
    },
    *,
};
use crate::policy::{Cell, rollout::Outcome};

/// The rows in the runs of a table.
fn rows(database: &Db, prefix: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut end = prefix.to_vec();
    *end.last_mut().unwrap() += 1;
    runs::scan(database, prefix.to_vec()..end).map(Result::unwrap).collect()
}

/// Has each row of a run stand alone under a key with the prefix that it had before format 5, but for the first `kept`
/// rows of each table.
fn scatter(database: &sled::Db, kept: usize) {
    for (before, prefix) in gathered() {
        let mut transaction = Transaction::over(database);
        for (key, json) in rows(database, &prefix).into_iter().skip(kept) {
            runs::remove(&transaction, &key).unwrap();
            let key = [before, &key[prefix.len()..]].concat();
            let value = codec::encode_content(&key, &json).unwrap();
            transaction.insert(key.into(), value);
        }
        transaction.apply().unwrap();
    }
}

/// A store as the format before had it gets what this one has besides, also where that broke off.
#[tokio::test]
async fn the_first_format_is_upgraded() {
    let dir = filled().await;
    let contract = |number: usize| ContractRecord {
        name: format!("contract-{number}").parse().unwrap(),
        customer: customer(number % 2).name,
        amendments: Vec::new(),
    };
    let store = SledStore::open(dir.path()).unwrap();
    for number in 0..3 {
        store.create_contract(contract(number), entry("contract.create")).await.unwrap();
    }
    drop(store);
    let marker = dir.path().join(MARKER);
    for old_marker in [true, false] {
        let store = SledStore::open(dir.path()).unwrap();
        let head = store.audit_head().await.unwrap();
        let records = AUDIT.seen_as::<Value>();
        store
            .write(move |transaction| {
                for ContractRecord { customer, name, .. } in [0, 1].map(contract) {
                    CONTRACTS_BY_CUSTOMER.remove(transaction, &(customer, name))?;
                }
                for number in 1..=head.number {
                    let mut record = records.find(transaction, &number)?.unwrap();
                    record.as_object_mut().unwrap().remove("digest").unwrap();
                    records.put(transaction, &number, &record)?;
                }
                HEADS.remove(transaction, &AUDIT_HEAD)?;
                NUMBERS.put(transaction, &"audit", &head.number)?;
                NUMBERS.put(transaction, &FORMAT_NUMBER, &1)
            })
            .await
            .unwrap();
        assert!(store.audit(0, 1).await.is_err());
        scatter(&store.database, 0);
        drop(store);
        if old_marker {
            fs::write(&marker, "mainstay sled format 1\n").unwrap();
        }
        let store = SledStore::open(dir.path()).unwrap();
        assert_eq!(fs::read_to_string(&marker).unwrap(), "mainstay sled format 5\n");
        assert_eq!(store.audit_head().await.unwrap(), head);
        let last = store.audit(head.number - 1, 9).await.unwrap();
        assert_eq!(last.iter().map(AuditRecord::head).collect::<Vec<_>>(), [head]);
        let theirs = store.contracts_after(Some(&customer(0).name), None, 9).await.unwrap();
        assert_eq!(theirs, [contract(0), contract(2)]);
        let theirs = store.contracts_after(Some(&customer(1).name), None, 9).await.unwrap();
        assert_eq!(theirs, [contract(1)]);
    }
}

/// A store as format 2 had it gets its census, also where the upgrade broke off after some of it.
#[tokio::test]
async fn the_second_format_is_upgraded() {
    let dir = tempfile::tempdir().unwrap();
    let store = SledStore::open(dir.path()).unwrap();
    contract::meta_store(&store, "before").await;
    let everything = Selection::default();
    let listed = async |store: &SledStore, listed| {
        store.machines_after(&everything, listed, None, usize::MAX).await.unwrap()
    };
    let in_use = listed(&store, Listed::InUse).await;
    let retired = listed(&store, Listed::Retired).await;
    let cells = store.census_after(&everything, None, usize::MAX).await.unwrap();
    let product = in_use[0].product.clone();
    let together = store.census_together(&product).await.unwrap();
    let about = store.audit_of("before-subject", 9).await.unwrap();
    assert!(in_use.len() > 9 && retired.len() > 1 && cells.len() > 9 && about.len() > 1);
    drop(store);
    // Nothing of it is there, or all of it, or something that is not so any more.
    for broken_off in [false, true] {
        let store = SledStore::open(dir.path()).unwrap();
        let (cell, _) = cells[0].clone();
        let gone = in_use[0].name.clone();
        let database = &store.database;
        if broken_off {
            store
                .write(move |transaction| {
                    let Cell { setup, customer } = cell.clone();
                    CENSUS.remove(transaction, &(setup, customer))?;
                    MACHINES_RETIRED.put(transaction, &(cell.customer.clone(), gone.clone()), &gone)
                })
                .await
                .unwrap();
        } else {
            clear(&CENSUS, database);
            clear(&CENSUS_TOGETHER, database);
            clear(&MACHINES_IN_USE, database);
            clear(&MACHINES_RETIRED, database);
            clear(&AUDIT_BY_SUBJECT, database);
            assert_eq!(listed(&store, Listed::InUse).await, []);
        }
        let before = |transaction: &Transaction| NUMBERS.put(transaction, &FORMAT_NUMBER, &2);
        store.write(before).await.unwrap();
        scatter(&store.database, 0);
        drop(store);
        fs::write(dir.path().join(MARKER), "mainstay sled format 2\n").unwrap();

        let store = SledStore::open(dir.path()).unwrap();
        assert_eq!(listed(&store, Listed::InUse).await, in_use);
        assert_eq!(listed(&store, Listed::Retired).await, retired);
        assert_eq!(store.census_after(&everything, None, usize::MAX).await.unwrap(), cells);
        assert_eq!(store.census_together(&product).await.unwrap(), together);
        assert_eq!(store.audit_of("before-subject", 9).await.unwrap(), about);
    }
}

/// A store as format 4 had it gets its runs, also where the upgrade broke off after some of it.
#[tokio::test]
async fn the_fourth_format_is_upgraded() {
    let dir = tempfile::tempdir().unwrap();
    let store = SledStore::open(dir.path()).unwrap();
    contract::meta_store(&store, "before").await;
    let all = |store: &SledStore| gathered().map(|(_, prefix)| rows(&store.database, &prefix));
    let before = all(&store);
    assert!(before.iter().all(|rows| rows.len() > 1));
    drop(store);
    for kept in [0, 1] {
        let store = SledStore::open(dir.path()).unwrap();
        let format = |transaction: &Transaction| NUMBERS.put(transaction, &FORMAT_NUMBER, &4);
        store.write(format).await.unwrap();
        scatter(&store.database, kept);
        assert!(all(&store).iter().all(|rows| rows.len() == kept));
        drop(store);
        fs::write(dir.path().join(MARKER), "mainstay sled format 4\n").unwrap();

        let store = SledStore::open(dir.path()).unwrap();
        assert_eq!(all(&store), before);
        for (alone, _) in gathered() {
            assert_eq!(store.database.scan_prefix(alone).count(), 0);
        }
    }
}

/// A store as format 4 had it gets what machines have told into their records, also where that broke off.
#[tokio::test]
async fn what_machines_told_is_kept_when_the_fourth_format_is_upgraded() {
    let dir = tempfile::tempdir().unwrap();
    let store = SledStore::open(dir.path()).unwrap();
    contract::meta_store(&store, "before").await;
    let machines = MACHINES.all(&store.database).unwrap();
    let told: Vec<_> = machines.iter().filter(|machine| !machine.outcomes.is_empty()).collect();
    assert!(told.len() > 2 && told.len() < machines.len());
    drop(store);
    for broken_off in [false, true] {
        let store = SledStore::open(dir.path()).unwrap();
        let of_before: Vec<MachineRecord> =
            told.iter().skip(usize::from(broken_off)).map(|machine| (*machine).clone()).collect();
        store
            .write(move |transaction| {
                for machine in &of_before {
                    for (version, outcome) in &machine.outcomes {
                        let key = (machine.name.clone(), version.clone());
                        MACHINE_OUTCOMES.put(transaction, &key, outcome)?;
                    }
                    let bare = MachineRecord { outcomes: BTreeMap::new(), ..machine.clone() };
                    MACHINES.put(transaction, &machine.name, &bare)?;
                    // It is not offered that any more.
                    let key = (machine.name.clone(), "9.9.9".parse().unwrap());
                    MACHINE_OUTCOMES.put(transaction, &key, &Outcome::Tried)?;
                }
                for number in 0..=RECORDS_WRITTEN {
                    let key = (format!("gone-{number}").parse().unwrap(), "1.2.0".parse().unwrap());
                    MACHINE_OUTCOMES.put(transaction, &key, &Outcome::Tried)?;
                }
                NUMBERS.put(transaction, &FORMAT_NUMBER, &4)
            })
            .await
            .unwrap();
        drop(store);
        fs::write(dir.path().join(MARKER), "mainstay sled format 4\n").unwrap();

        let store = SledStore::open(dir.path()).unwrap();
        assert!(MACHINES.all(&store.database).unwrap() == machines);
        assert_eq!(store.database.scan_prefix(MACHINE_OUTCOMES.prefix()).count(), 0);
    }
}

/// A key that names no outcome is not passed over.
#[tokio::test]
async fn an_outcome_of_nothing_is_noticed() {
    let dir = filled().await;
    let store = SledStore::open(dir.path()).unwrap();
    store.database.insert(b"outcomes-of-machines/no-version", b"").unwrap();
    let before = |transaction: &Transaction| NUMBERS.put(transaction, &FORMAT_NUMBER, &4);
    store.write(before).await.unwrap();
    drop(store);
    fs::write(dir.path().join(MARKER), "mainstay sled format 4\n").unwrap();
    let error = SledStore::open(dir.path()).unwrap_err();
    assert!(matches!(error, StoreError::Corrupt(_)), "{error:?}");
    assert!(error.to_string().contains("no-version`: it names no outcome"), "{error}");
}
