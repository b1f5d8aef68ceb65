use std::{collections::BTreeSet, fs, path::Path, thread, time::Duration};

use futures_util::future::join_all;
use mainstay_client::format::{
    CustomerName, Digest,
    wire::{Event, EventKind},
};

use super::{
    super::{
        AuditEntry, CustomerRecord, EventRecord, Listed, MachineChange, MachineRecord, MetaStore,
        Selection, StoreError,
        contract::{self, at, entry},
    },
    SledStore,
    codec::{self, CONTENT_BYTES_MAX, VALUE_BYTES_MAX},
    opening::MARKER,
    packing::DICTIONARY,
    table::{Key, Table},
    tables::{
        CENSUS, CENSUS_TOGETHER, FORMAT_NUMBER, MACHINES, MACHINES_BEFORE, NUMBERS,
        TOKENS_BY_DIGEST,
    },
    upgrade::Upgrade,
};

pub(super) fn customer(number: usize) -> CustomerRecord {
    let name = format!("customer-{number:04}").parse().unwrap();
    CustomerRecord {
        name,
        title: "A Customer with a title so long that the record is compressed".to_owned(),
        created_at: at(0),
        tags: BTreeSet::new(),
    }
}

fn large_entry(detail: String) -> AuditEntry {
    AuditEntry { detail, ..entry("large") }
}

/// Text of which each byte tells half a byte, so that no compression makes it shorter than half.
fn noise(seed: usize, bytes: usize) -> String {
    let digests =
        (0..bytes.div_ceil(64)).map(|part| Digest::of(format!("{seed} {part}").as_bytes()));
    let mut text: String = digests.map(|digest| digest.to_string()).collect();
    text.truncate(bytes);
    text
}

pub(super) async fn customer_count(store: &SledStore) -> usize {
    store.customers().await.unwrap().len()
}

pub(super) fn clear<K: Key, V>(table: &Table<K, V>, database: &sled::Db) {
    for key in database.scan_prefix(table.prefix()).keys() {
        database.remove(key.unwrap()).unwrap();
    }
}

/// Opens the store, which must be refused.
fn refusal(dir: &Path) -> StoreError {
    SledStore::open(dir).unwrap_err()
}

/// A directory with a store in which there is something.
pub(super) async fn filled() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let store = SledStore::open(dir.path()).unwrap();
    for number in 0..50 {
        store.create_customer(customer(number), entry("customer.create")).await.unwrap();
    }
    dir
}

#[tokio::test]
async fn records_are_there_after_reopening() {
    let dir = filled().await;
    for round in 0..3 {
        let store = SledStore::open(dir.path()).unwrap();
        assert_eq!(customer_count(&store).await, 50 + round);
        assert_eq!(store.audit(0, 100).await.unwrap().len(), 50 + round);
        store.create_customer(customer(100 + round), entry("customer.create")).await.unwrap();
    }
}

#[tokio::test]
async fn a_database_that_is_still_closing_is_waited_for() {
    let dir = filled().await;
    let closing = fs::File::open(dir.path().join("db")).unwrap();
    closing.lock().unwrap();
    let closer = thread::spawn(move || {
        thread::sleep(Duration::from_millis(50));
        drop(closing);
    });
    SledStore::open(dir.path()).unwrap();
    closer.join().unwrap();
}

#[tokio::test]
async fn a_second_server_is_refused() {
    let dir = filled().await;
    let store = SledStore::open(dir.path()).unwrap();
    let error = refusal(dir.path());
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    assert!(error.to_string().contains("another server is running on"), "{error}");
    drop(store);
    SledStore::open(dir.path()).unwrap();
}

#[tokio::test]
async fn a_changed_record_is_noticed() {
    let dir = filled().await;
    let store = SledStore::open(dir.path()).unwrap();
    let key = b"customers/customer-0007";
    let good = store.database.get(key).unwrap().unwrap().to_vec();
    assert_eq!(good[0], 2, "it is compressed");
    let name: CustomerName = "customer-0007".parse().unwrap();

    let swapped = store.database.get(b"customers/customer-0008").unwrap().unwrap().to_vec();
    let mut flipped = good.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let mut newer = good.clone();
    newer[0] = 3;
    let cases = [
        (swapped, "checksum"),
        (flipped, "checksum"),
        (newer, "form 3: expected 1 or 2"),
        (good[..5].to_vec(), "checksum"),
        (Vec::new(), "empty"),
    ];
    for (value, expected) in cases {
        store.database.insert(key, value).unwrap();
        let [read, list, write] = [
            store.customer(&name).await.map(drop).unwrap_err(),
            store.customers().await.map(drop).unwrap_err(),
            store
                .create_contract(
                    super::super::ContractRecord {
                        name: "contract".parse().unwrap(),
                        customer: name.clone(),
                        amendments: Vec::new(),
                    },
                    entry("x"),
                )
                .await
                .unwrap_err(),
        ];
        for error in [read, list, write] {
            assert!(matches!(error, StoreError::Corrupt(_)), "{error:?}");
            let text = error.to_string();
            assert!(text.contains("table `customers`, key `customer-0007`"), "{text}");
            assert!(text.contains(expected), "{text}");
        }
    }
    store.database.insert(key, good).unwrap();
    assert_eq!(store.customer(&name).await.unwrap(), customer(7));
    store.ready().await.unwrap();
}

#[tokio::test]
async fn an_index_without_its_record_is_noticed() {
    let dir = filled().await;
    let store = SledStore::open(dir.path()).unwrap();
    let digest = Digest::of(b"secret");
    store
        .write(move |transaction| TOKENS_BY_DIGEST.add(transaction, &digest, &"gone".to_owned()))
        .await
        .unwrap();
    let error = store.token(&digest).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt(_)), "{error:?}");
    assert!(error.to_string().contains("points to token `gone`"), "{error}");
}

#[tokio::test]
async fn a_value_too_large_is_refused_and_nothing_changes() {
    let dir = filled().await;
    let store = SledStore::open(dir.path()).unwrap();
    // The customer is fine; the audit record that follows in the same transaction is not.
    let cases = [
        ("1".repeat(CONTENT_BYTES_MAX), " bytes: expected at most 65536; nothing was changed"),
        (noise(1, 48 << 10), ", compressed: expected at most 20480; nothing was changed"),
    ];
    for (detail, expected) in cases {
        let change = store.create_customer(customer(99), large_entry(detail));
        let error = change.await.unwrap_err();
        assert!(matches!(error, StoreError::Conflict(_)), "{error:?}");
        assert!(error.to_string().contains(expected), "{error}");
        assert!(store.customer(&customer(99).name).await.is_err());
        assert_eq!(store.audit(0, 100).await.unwrap().len(), 50);
    }

    store.create_customer(customer(99), large_entry("1".repeat(60_000))).await.unwrap();
    assert_eq!(store.audit(50, 100).await.unwrap()[0].number, 51, "the number was not used up");
}

/// sled never syncs the files that it spills large pages to (see `opening::SEGMENT_BYTES`).
#[tokio::test]
async fn pages_full_of_the_largest_values_stay_in_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let store = SledStore::open(dir.path()).unwrap();
    for round in 0..5 {
        let entries = (0..40).map(|number| large_entry(noise(40 * round + number, 36 << 10)));
        let writes = entries.map(|entry| store.record_audit(entry));
        join_all(writes).await.into_iter().for_each(Result::unwrap);
    }
    for entry in store.database.scan_prefix("audit-in-runs/") {
        let bytes = entry.unwrap().1.len();
        assert!(bytes > VALUE_BYTES_MAX * 9 / 10, "{bytes}");
    }
    let spilled = fs::read_dir(dir.path().join("blobs")).unwrap().count();
    assert_eq!(spilled, 0);
    drop(store);
    let store = SledStore::open(dir.path()).unwrap();
    assert_eq!(store.audit(0, 1000).await.unwrap().len(), 200);
}

/// Four bytes for each character are as much as a detail can have.
#[test]
fn the_longest_that_a_machine_can_report_is_written() {
    let characters = noise(1, 5 * Event::DETAIL_CHARS_MAX);
    let characters = characters.as_bytes().chunks(5).map(|digits| {
        let number = u32::from_str_radix(str::from_utf8(digits).unwrap(), 16).unwrap();
        char::from_u32(0x10000 + number).unwrap()
    });
    let event = Event {
        number: 1,
        kind: EventKind::Undone,
        from: None,
        to: "1.0.0".parse().unwrap(),
        order: None,
        detail: characters.collect(),
        fetched: None,
    };
    let record = EventRecord { at: at(0), event };
    let key = b"events/machine";
    let value = codec::encode(key, &record).unwrap();
    assert!(value.len() > Event::DETAIL_CHARS_MAX * 2, "{}", value.len());
    assert_eq!(codec::decode::<EventRecord>(key, &value).unwrap(), record);
}

/// Otherwise nobody could read what was compressed with it.
#[test]
fn the_dictionary_is_what_it_was() {
    assert_eq!(
        Digest::of(DICTIONARY).to_string(),
        "9760a3b247a2d669fc552888bf4cee0428e450e791964aa44ea8b8f06c932cc6"
    );
}

/// As those from before records were compressed: longer segments, and records as they are.
#[tokio::test]
async fn a_store_from_before_compression_is_upgraded() {
    let dir = tempfile::tempdir().unwrap();
    let config = sled::Config::new().path(dir.path()).segment_size(8 << 20);
    let key = b"customers/customer-0007";
    let json = serde_json::to_vec(&customer(7)).unwrap();
    let checksum = Digest::of(&[&[1], &key[..], &[0], &json].concat());
    let database = config.open().unwrap();
    database.insert(key, [&[1], &checksum.as_bytes()[..8], &json].concat()).unwrap();
    let file = fs::File::open(dir.path().join("db")).unwrap();
    Upgrade { database: &database, file: &file }
        .write(|transaction| NUMBERS.put(transaction, &FORMAT_NUMBER, &3))
        .unwrap();
    drop(database);
    fs::write(dir.path().join(MARKER), "mainstay sled format 3\n").unwrap();

    for _ in 0..2 {
        let store = SledStore::open(dir.path()).unwrap();
        assert_eq!(store.customer(&customer(7).name).await.unwrap(), customer(7));
        store.record_audit(entry("x")).await.unwrap();
        drop(store);
        let marker = fs::read_to_string(dir.path().join(MARKER)).unwrap();
        assert_eq!(marker, "mainstay sled format 5\n");
    }
}

/// More changes than one group has, and more keys.
#[tokio::test]
async fn what_is_refused_in_a_group_takes_nothing_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = SledStore::open(dir.path()).unwrap();
    // Every third one is there already.
    let numbers = (0..1800).map(|number| if number % 3 == 2 { number - 1 } else { number });
    let changes =
        numbers.map(|number| store.create_customer(customer(number), entry("customer.create")));
    let outcomes = join_all(changes).await;
    for (number, outcome) in outcomes.into_iter().enumerate() {
        match outcome {
            Ok(()) => assert_ne!(number % 3, 2),
            Err(error) => assert!(
                number % 3 == 2 && matches!(error, StoreError::Conflict(_)),
                "{number}: {error:?}"
            ),
        }
    }
    drop(store);
    let store = SledStore::open(dir.path()).unwrap();
    assert_eq!(customer_count(&store).await, 1200);
    let trail = store.audit(0, 9999).await.unwrap();
    assert!(trail.iter().map(|record| record.number).eq(1..=1200));
    assert_eq!(store.audit_head().await.unwrap(), trail.last().unwrap().head());
}

#[tokio::test]
async fn what_was_lost_is_not_created_anew() {
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 6] = [
        ("the database is missing", |dir| fs::remove_file(dir.join("db")).unwrap()),
        ("the database is empty", |dir| fs::write(dir.join("db"), b"").unwrap()),
        ("the settings are missing", |dir| fs::remove_file(dir.join("conf")).unwrap()),
        ("the settings are empty", |dir| fs::write(dir.join("conf"), b"").unwrap()),
        ("the database is zeroes", |dir| overwrite(dir, 0)),
        ("the database is rubbish", |dir| overwrite(dir, 0xa5)),
    ];
    for (name, damage) in damages {
        let dir = filled().await;
        damage(dir.path());
        let error = refusal(dir.path());
        assert!(matches!(error, StoreError::Corrupt(_)), "{name}: {error:?}");
        assert!(error.to_string().contains("restore the directory from a backup"), "{error}");
    }
}

fn overwrite(dir: &Path, byte: u8) {
    let length = fs::metadata(dir.join("db")).unwrap().len();
    fs::write(dir.join("db"), vec![byte; usize::try_from(length).unwrap()]).unwrap();
}

#[tokio::test]
async fn another_format_is_refused() {
    let dir = filled().await;
    fs::write(dir.path().join(MARKER), "mainstay sled format 6\n").unwrap();
    let error = refusal(dir.path()).to_string();
    assert!(
        error.contains("says `mainstay sled format 6`: expected `mainstay sled format 5`"),
        "{error}"
    );
}

/// Reports must come in, even where a count is lost.
#[tokio::test]
async fn a_machine_that_is_not_counted_can_change_and_is_counted_then() {
    let dir = tempfile::tempdir().unwrap();
    let store = SledStore::open(dir.path()).unwrap();
    contract::meta_store(&store, "miscounted").await;
    let everything = Selection::default();
    let machine =
        store.machines_after(&everything, Listed::InUse, None, 1).await.unwrap().remove(0);
    clear(&CENSUS, &store.database);
    clear(&CENSUS_TOGETHER, &store.database);
    let running = "7.7.7".parse().ok();
    let machine = MachineRecord { running, ..machine };
    let change =
        MachineChange { machine: machine.clone(), plan: None, events: Vec::new(), audit: None };
    store.change_machine(change).await.unwrap();
    let cells = store.census_after(&everything, None, 9).await.unwrap();
    let found: Vec<_> = cells.into_iter().map(|(cell, _)| cell).collect();
    assert_eq!(found, [machine.counted().unwrap().cell]);
}

#[tokio::test]
async fn a_change_goes_by_what_the_whole_record_says() {
    let dir = tempfile::tempdir().unwrap();
    let store = SledStore::open(dir.path()).unwrap();
    contract::meta_store(&store, "before").await;
    let machines = MACHINES.all(&store.database).unwrap();
    assert!(machines.iter().any(|machine| machine.retired.is_some()));
    assert!(machines.iter().any(|machine| machine.retired.is_none()));
    for machine in machines {
        let before = MACHINES_BEFORE.read(&*store.database, &machine.name).unwrap();
        assert!(before.whereabouts() == machine.whereabouts(), "{}", machine.name);
        assert_eq!(before.revision, machine.revision);
        assert_eq!(before.contract, machine.contract);
        assert_eq!(before.public_key, machine.public_key);
        assert_eq!(before.token_sha256, machine.token_sha256);
        assert_eq!(before.claim(), machine.claim());
    }
}

#[test]
fn a_database_of_something_else_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let config = sled::Config::new().path(dir.path()).segment_size(8 << 20);
    config.open().unwrap().insert("key", "value").unwrap();
    let error = refusal(dir.path()).to_string();
    assert!(error.contains("holds a sled database that is not Mainstay's"), "{error}");
}

#[tokio::test]
async fn a_creation_that_was_cut_short_is_finished() {
    let dir = tempfile::tempdir().unwrap();
    drop(SledStore::open(dir.path()).unwrap());
    // The marker is the last thing that creation writes.
    fs::remove_file(dir.path().join(MARKER)).unwrap();
    let store = SledStore::open(dir.path()).unwrap();
    store.record_audit(entry("first")).await.unwrap();
    assert!(dir.path().join(MARKER).exists());
}
