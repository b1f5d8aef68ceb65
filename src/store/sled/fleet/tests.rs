use std::collections::{BTreeMap, BTreeSet};

use mainstay_client::format::{
    Version,
    wire::{Event, EventKind},
};
use proptest::{collection::vec, prelude::*};
use tokio::runtime::Runtime;

use super::{
    super::{
        super::{
            MetaStore,
            contract::{self, at, entry},
        },
        SledStore,
    },
    *,
};
use crate::policy::{Outcomes, rollout::Outcome};

const OFFERED: [&str; 2] = ["1.2.0", "1.3.0"];

fn version(text: &str) -> Version {
    text.parse().unwrap()
}

fn event(number: u64, kind: EventKind, to: &str) -> EventRecord {
    let (to, detail) = (version(to), String::new());
    EventRecord {
        at: at(60),
        event: Event { number, kind, from: None, to, order: None, detail, fetched: None },
    }
}

fn change(machine: &MachineRecord, events: Vec<EventRecord>) -> MachineChange {
    MachineChange { machine: machine.clone(), plan: None, events, audit: None }
}

/// A store, and a machine in it that was offered two versions.
async fn with_machine(dir: &tempfile::TempDir) -> (SledStore, MachineRecord) {
    let store = SledStore::open(dir.path()).unwrap();
    let machine = contract::new_machine(&store).await;
    assert_eq!(machine.offered, BTreeSet::from(OFFERED.map(version)));
    store.create_machine(machine.clone(), entry("enrol")).await.unwrap();
    (store, machine)
}

/// Makes a change, and says how many keys it writes.
async fn keys_written(store: &SledStore, change: MachineChange) -> usize {
    let ready = Ready::new(change.clone(), &*store.database).unwrap();
    let mut transaction = Transaction::over(&store.database);
    transaction.attempt(|transaction| change_machine(transaction, &ready)).unwrap();
    store.change_machine(change).await.unwrap();
    transaction.keys()
}

#[tokio::test]
async fn a_report_writes_no_more_than_it_must() {
    let dir = tempfile::tempdir().unwrap();
    let (store, machine) = with_machine(&dir).await;
    let report = async |seconds, number, running: &str| {
        let stored = store.machine(&machine.name).await.unwrap();
        let seen = MachineRecord { seen_at: at(seconds), running: running.parse().ok(), ..stored };
        let events = vec![event(number, EventKind::Installed, running)];
        keys_written(&store, change(&seen, events)).await
    };
    // Six are the machine's own or its customer's: the machine, the event, where it was and is listed, and the
    // counts of its customer's machines on both versions. Three are shared by all: the counts of all machines on
    // both versions, and the outcomes of the new one.
    assert_eq!(report(1, 1, OFFERED[1]).await, 6 + 3);
    assert_eq!(report(2, 2, OFFERED[1]).await, 2, "the machine and the event");
    assert_eq!(
        report(3600, 3, OFFERED[1]).await,
        3,
        "its claim as well, for another hour has begun"
    );
    assert_eq!(report(3601, 4, OFFERED[1]).await, 2);
}

/// What a machine reports: numbers and kinds of events, whether with the record that it had a report ago.
type Report = (Vec<(u64, usize, usize)>, bool);

fn report() -> impl Strategy<Value = Report> {
    (vec((1..12_u64, 0..3_usize, 0..2_usize), 0..5), prop::bool::weighted(0.2))
}

const KINDS: [(EventKind, Outcome); 3] = [
    (EventKind::Installed, Outcome::Tried),
    (EventKind::Confirmed, Outcome::Succeeded),
    (EventKind::Undone, Outcome::Failed),
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// However often events come, in one report or in several, each is counted once; and what is counted of a machine
    /// is what its record says.
    #[test]
    fn outcomes_are_those_of_the_machines(reports in vec(report(), 0..16)) {
        let dir = tempfile::tempdir().unwrap();
        Runtime::new().unwrap().block_on(async {
            let (store, mut before) = with_machine(&dir).await;
            let name = before.name.clone();
            let (mut numbers, mut expected) = (BTreeSet::new(), BTreeMap::new());
            for (events, is_stale) in reports {
                let stored = store.machine(&name).await.unwrap();
                let events_told = events.iter().map(|(number, kind, version)| {
                    event(*number, KINDS[*kind].0, OFFERED[*version])
                });
                let read = if is_stale { &before } else { &stored };
                let is_refused = read.revision != stored.revision;
                let changed = store.change_machine(change(read, events_told.collect())).await;
                assert_eq!(changed.is_err(), is_refused);
                for (number, kind, offered) in events.into_iter().filter(|_| !is_refused) {
                    if numbers.insert(number) {
                        expected.insert(version(OFFERED[offered]), KINDS[kind].1);
                    }
                }
                before = stored;
                let stored = store.machine(&name).await.unwrap();
                assert_eq!(stored.outcomes, expected);
                for version in OFFERED.map(version) {
                    let told = expected.get(&version);
                    let counted = told.map(|told| Outcomes::default().after(None, *told));
                    let found = store.outcomes(&stored.product, &version).await.unwrap();
                    assert_eq!(found, counted.unwrap_or_default());
                }
            }
        });
    }
}

#[tokio::test]
async fn what_was_told_of_a_version_goes_with_its_offer() {
    let dir = tempfile::tempdir().unwrap();
    let (store, machine) = with_machine(&dir).await;
    let told = OFFERED.iter().zip(1..).map(|(to, number)| event(number, EventKind::Undone, to));
    store.change_machine(change(&machine, told.collect())).await.unwrap();
    let stored = store.machine(&machine.name).await.unwrap();
    let failed = OFFERED.map(|offered| (version(offered), Outcome::Failed));
    assert_eq!(stored.outcomes, BTreeMap::from(failed.clone()));
    let offered = BTreeSet::from([version(OFFERED[1])]);
    let left = MachineRecord { offered, ..stored };
    store.change_machine(change(&left, Vec::new())).await.unwrap();
    let stored = store.machine(&machine.name).await.unwrap();
    assert_eq!(stored.outcomes, BTreeMap::from([failed[1].clone()]));
}
