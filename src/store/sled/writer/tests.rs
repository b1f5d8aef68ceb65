use std::{
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use futures_util::{FutureExt as _, StreamExt as _, future::join_all, stream::FuturesUnordered};

use super::{
    super::{
        SledStore, audit, opening,
        tables::CUSTOMERS,
        tests::{customer, customer_count},
        transaction::Transaction,
    },
    GROUP_KEYS_MAX, QUEUE_CHANGES_MAX, Writer,
};
use crate::{
    measures::Commits,
    store::{MetaStore as _, Reach, StoreError, contract::entry},
};

#[tokio::test]
async fn concurrent_writes_are_made_durable_in_groups() {
    let dir = tempfile::tempdir().unwrap();
    let opened = opening::open(dir.path()).unwrap();
    let syncs = Arc::new(AtomicU64::new(0));
    let counted = syncs.clone();
    let (go, gone) = std::sync::mpsc::channel::<()>();
    let writer =
        Writer::start(opened.database.clone(), Arc::default(), Commits::default(), move || {
            // Nothing comes; but whoever waits is woken when the other end is dropped.
            let _dropped = gone.recv();
            counted.fetch_add(1, Ordering::SeqCst);
            opened.file.sync_all()
        })
        .unwrap();
    // A test that fails drops it before the writer, which waits for it.
    let go = go;
    let changes = (0..200).map(|number| {
        writer.write(Box::new(move |transaction| {
            audit::append(transaction, &entry("customer.create"))?;
            CUSTOMERS.add(transaction, &customer(number).name, &customer(number))?;
            Ok(Reach::Nothing)
        }))
    });
    let mut made = join_all(changes);
    assert!((&mut made).now_or_never().is_none(), "all of them wait for the first sync");
    drop(go);
    made.await.into_iter().for_each(Result::unwrap);
    let groups = syncs.load(Ordering::SeqCst);
    assert!((1..=2).contains(&groups), "{groups} groups");
    drop(writer);
    assert!(syncs.load(Ordering::SeqCst) > groups, "the last sync comes as the writer ends");

    drop((opened.database, opened.lock));
    let store = SledStore::open(dir.path()).unwrap();
    assert_eq!(customer_count(&store).await, 200);
    let numbers = store.audit(0, 1000).await.unwrap().into_iter().map(|record| record.number);
    assert!(numbers.eq(1..=200));
}

/// Otherwise a power cut could leave a database that sled does not open (see `GROUP_KEYS_MAX`).
#[tokio::test]
async fn what_sled_was_given_is_durable_before_it_is_given_more() {
    const KEYS_OF_ONE: usize = 300;
    let dir = tempfile::tempdir().unwrap();
    let opened = opening::open(dir.path()).unwrap();
    let (sizes, noted) = (Arc::new(Mutex::new(Vec::new())), opened.database.clone());
    let (sizes_noted, file) = (sizes.clone(), opened.file);
    let writer =
        Writer::start(opened.database.clone(), Arc::default(), Commits::default(), move || {
            sizes_noted.lock().unwrap().push(noted.len());
            file.sync_all()
        })
        .unwrap();
    let changes = (0..40).map(|change| {
        writer.write(Box::new(move |transaction| {
            let mut numbers = (0..KEYS_OF_ONE).map(|key| change * KEYS_OF_ONE + key);
            numbers.try_for_each(|number| {
                CUSTOMERS.add(transaction, &customer(number).name, &customer(number))
            })?;
            Ok(Reach::Nothing)
        }))
    });
    join_all(changes).await.into_iter().for_each(Result::unwrap);
    let sizes = sizes.lock().unwrap().clone();
    let most = sizes.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
    assert!(most < GROUP_KEYS_MAX + KEYS_OF_ONE, "{sizes:?}");
    assert!(most >= KEYS_OF_ONE && sizes.len() < 40, "{sizes:?}");
}

#[tokio::test]
async fn what_is_too_much_to_wait_is_refused_and_the_rest_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let opened = opening::open(dir.path()).unwrap();
    let (go, gone) = std::sync::mpsc::channel::<()>();
    let writer =
        Writer::start(opened.database.clone(), Arc::default(), Commits::default(), move || {
            // Nothing comes; but whoever waits is woken when the other end is dropped.
            let _dropped = gone.recv();
            opened.file.sync_all()
        })
        .unwrap();
    // A test that fails drops it before the writer, which waits for it.
    let go = go;
    let change = |number: usize| {
        writer.write(Box::new(move |transaction| {
            CUSTOMERS.add(transaction, &customer(number).name, &customer(number))?;
            Ok(Reach::Nothing)
        }))
    };
    let first = change(0);
    let mut outcomes: FuturesUnordered<_> = (1..=2 * QUEUE_CHANGES_MAX).map(change).collect();
    let refused = outcomes.next().await.unwrap();
    assert!(matches!(refused, Err(StoreError::Busy(_))), "{refused:?}");
    drop(go);
    let mut kept = 0;
    while let Some(outcome) = outcomes.next().await {
        match outcome {
            Ok(()) => kept += 1,
            Err(error) => assert!(matches!(error, StoreError::Busy(_)), "{error:?}"),
        }
    }
    assert!(kept >= QUEUE_CHANGES_MAX, "{kept}");
    drop(outcomes);
    first.await.unwrap();
    drop(writer);
    drop((opened.database, opened.lock));
    let store = SledStore::open(dir.path()).unwrap();
    assert_eq!(customer_count(&store).await, kept + 1);
}

#[tokio::test]
async fn a_change_is_acknowledged_only_after_the_sync() {
    let dir = tempfile::tempdir().unwrap();
    let opened = opening::open(dir.path()).unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    let (go, gone) = std::sync::mpsc::channel::<()>();
    let writer = Writer::start(opened.database, Arc::default(), Commits::default(), move || {
        tell.send(()).unwrap();
        let _dropped = gone.recv();
        Ok(())
    })
    .unwrap();
    // A test that fails drops it before the writer, which waits for it.
    let go = go;
    let change = |transaction: &Transaction| {
        audit::append(transaction, &entry("x")).map(|()| Reach::Nothing)
    };
    let mut written = Box::pin(writer.write(Box::new(change)));
    assert!(written.as_mut().now_or_never().is_none());
    told.recv().unwrap();
    assert!(written.as_mut().now_or_never().is_none(), "it is being synced");
    drop(go);
    written.await.unwrap();
    // The last sync, as the writer ends, tells of itself as well.
    drop(writer);
    told.recv().unwrap();
}

#[tokio::test]
async fn after_a_failed_sync_nothing_is_acknowledged_any_more() {
    let dir = tempfile::tempdir().unwrap();
    let opened = opening::open(dir.path()).unwrap();
    let mut calls = 0;
    let writer =
        Writer::start(opened.database.clone(), Arc::default(), Commits::default(), move || {
            calls += 1;
            if calls == 2 { Err(io::Error::other("the disk is on fire")) } else { Ok(()) }
        })
        .unwrap();
    let (database, changes) = (opened.database, Arc::default());
    let store = SledStore { writer, database, changes, _lock: opened.lock };
    store.record_audit(entry("first")).await.unwrap();
    let error = store.record_audit(entry("second")).await.unwrap_err();
    assert!(error.to_string().contains("the disk is on fire"), "{error}");
    let error = store.record_audit(entry("third")).await.unwrap_err();
    assert!(error.to_string().contains("restart the server"), "{error}");
    assert!(matches!(store.ready().await, Err(StoreError::Unavailable(_))));
}
