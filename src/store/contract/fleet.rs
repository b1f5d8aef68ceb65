//! Machines, their plans and their events.

use std::collections::{BTreeMap, BTreeSet};

use mainstay_client::{
    format::{
        Digest, Facts, MachineName, Version,
        wire::{Awaited, Event, EventKind, Waiting},
    },
    tuf::{PublicKey, SigningKey},
};

use super::{
    super::{
        CloneRecord, EventRecord, HoldRecord, MachineBlock, MachineChange, MachineRecord,
        MemoryRecord, MetaStore, NewPlan, OrderRecord, OrderState, PLANS_REMEMBERED, PinEnd,
        PinRecord, PlanRecord, PlanSummary, StoreError, StoreResult, WithheldSummary, Word,
    },
    accounts::contracted,
    at, catalogue, conflict, entry, expect_audited, expect_conflict, missing,
};
use crate::policy::{Block, Claim, Hour, Ring, exposure::Runs};

pub(super) async fn machines(store: &dyn MetaStore, scope: &str) {
    let base = fixture(store, scope, "machines").await;
    let [second, first] = [machine(&base, "2"), machine(&base, "1")];
    missing(store.machine(&first.name).await);
    missing(store.machine_revision(&first.name).await);
    missing(store.machine_by_token(&first.token_sha256).await);
    missing(store.machine_by_key(&first.product, &first.public_key).await);
    missing(store.change_machine(change(&first)).await);

    for machine in [&second, &first] {
        expect_audited(store, "enrol", store.create_machine(machine.clone(), entry("enrol"))).await;
        assert_found(store, machine).await;
    }
    missing(store.machine_by_key(&"another-product".parse().unwrap(), &first.public_key).await);

    let new = machine(&base, "3");
    let taken = [
        MachineRecord { name: first.name.clone(), ..new.clone() },
        MachineRecord { token_sha256: first.token_sha256, ..new.clone() },
        MachineRecord { public_key: first.public_key.clone(), ..new.clone() },
    ];
    for machine in taken {
        expect_conflict(store, store.create_machine(machine, entry("x"))).await;
        assert_found(store, &first).await;
        missing(store.machine(&new.name).await);
        missing(store.machine_by_token(&new.token_sha256).await);
    }

    let seen = MachineRecord { seen_at: at(30), running: Some(version("2.0.0")), ..first.clone() };
    store.change_machine(change(&seen)).await.unwrap();
    let stored = MachineRecord { revision: first.revision + 1, ..seen.clone() };
    assert_found(store, &stored).await;
    let stale = store.change_machine(change(&MachineRecord { seen_at: at(31), ..first.clone() }));
    let message = expect_conflict(store, stale).await;
    assert!(message.contains("read the machine again and retry"), "{message}");
    assert_found(store, &stored).await;
    assert_found(store, &second).await;
    two_changes(store, &stored).await;
    heard_of(store, &second).await;
}

async fn heard_of(store: &dyn MetaStore, machine: &MachineRecord) {
    let moment = store.changes().moment(&machine.name);
    let note = async |seconds| store.note_seen(vec![(machine.name.clone(), at(seconds))]).await;
    let stored = async || store.machine(&machine.name).await.unwrap();
    let before = stored().await;
    note(60).await.unwrap();
    let seen = MachineRecord { revision: before.revision + 1, seen_at: at(60), ..before };
    assert_eq!(stored().await, seen);
    note(50).await.unwrap();
    assert_eq!(stored().await, seen, "it was heard of later than that");
    assert!(store.changes().none_since(&moment), "no answer depends on it");

    let word = Word { at: at(70), by: "x".to_owned(), reason: "x".to_owned(), ticket: None };
    let retired = MachineRecord { retired: Some(word), ..seen };
    store.change_machine(change(&retired)).await.unwrap();
    assert!(!store.changes().none_since(&moment));
    note(80).await.unwrap();
    assert_eq!(stored().await.seen_at, at(60), "it is retired");
    let unknown = vec![("m-unknown".parse().unwrap(), at(80))];
    missing(store.note_seen(unknown).await);
}

async fn two_changes(store: &dyn MetaStore, machine: &MachineRecord) {
    let change_at = |seconds| {
        let machine = MachineRecord { seen_at: at(seconds), ..machine.clone() };
        store.change_machine(change(&machine))
    };
    let (a, b) = tokio::join!(change_at(40), change_at(41));
    assert!(a.is_ok() != b.is_ok(), "exactly one wins: {a:?}, {b:?}");
    conflict(a.and(b));
    let stored = store.machine(&machine.name).await.unwrap();
    assert_eq!(stored.revision, machine.revision + 1);
}

pub(super) async fn reenrolment(store: &dyn MetaStore, scope: &str) {
    let base = fixture(store, scope, "reenrolment").await;
    let [first, other] = [machine(&base, "1"), machine(&base, "2")];
    for machine in [&first, &other] {
        store.create_machine(machine.clone(), entry("enrol")).await.unwrap();
    }
    let renewed = MachineRecord { token_sha256: Digest::of(scope.as_bytes()), ..first.clone() };
    let audited = MachineChange { audit: Some(entry("reenrol")), ..change(&renewed) };
    expect_audited(store, "reenrol", store.change_machine(audited)).await;
    let renewed = MachineRecord { revision: first.revision + 1, ..renewed };
    assert_found(store, &renewed).await;
    missing(store.machine_by_token(&first.token_sha256).await);

    let rekeyed = MachineRecord { public_key: key(&format!("{scope} new")), ..renewed.clone() };
    store.change_machine(change(&rekeyed)).await.unwrap();
    let rekeyed = MachineRecord { revision: renewed.revision + 1, ..rekeyed };
    assert_found(store, &rekeyed).await;
    missing(store.machine_by_key(&first.product, &first.public_key).await);

    let taken = [
        MachineRecord { token_sha256: other.token_sha256, ..rekeyed.clone() },
        MachineRecord { public_key: other.public_key.clone(), ..rekeyed.clone() },
    ];
    for machine in taken {
        expect_conflict(store, store.change_machine(change(&machine))).await;
        assert_found(store, &rekeyed).await;
        assert_found(store, &other).await;
    }
}

pub(super) async fn claims(store: &dyn MetaStore, scope: &str) {
    let base = fixture(store, scope, "claims").await;
    let elsewhere = contracted(store, scope, "fleet-claims-2").await.unwrap();
    let of = |contract| async move { store.claims(contract).await.unwrap() };
    let [second, first] = [machine(&base, "2"), machine(&base, "1")];
    assert_eq!(of(&base.contract).await, []);
    for machine in [&second, &first] {
        store.create_machine(machine.clone(), entry("enrol")).await.unwrap();
    }
    let claim = |machine: &MachineRecord, since| Claim {
        machine: machine.name.clone(),
        since,
        seen_in: Hour::of(machine.seen_at),
    };
    assert_eq!(of(&base.contract).await, [claim(&first, at(0)), claim(&second, at(0))]);
    assert_eq!(of(&elsewhere).await, [], "another contract, though its name begins like this one");

    let first = changed(store, &first.name, |machine| {
        machine.seen_at = at(50);
        machine.seated_at = Some(at(40));
    })
    .await;
    assert_eq!(of(&base.contract).await, [claim(&first, at(40)), claim(&second, at(0))]);

    let first = changed(store, &first.name, |machine| machine.contract = elsewhere.clone()).await;
    assert_eq!(of(&base.contract).await, [claim(&second, at(0))]);
    assert_eq!(of(&elsewhere).await, [claim(&first, at(40))]);

    let stale = MachineRecord { contract: base.contract.clone(), revision: 1, ..first.clone() };
    expect_conflict(store, store.change_machine(change(&stale))).await;
    assert_eq!(of(&elsewhere).await, [claim(&first, at(40))]);

    let retired =
        Word { at: at(60), by: "token-1".to_owned(), reason: "scrapped".to_owned(), ticket: None };
    changed(store, &first.name, |machine| machine.retired = Some(retired)).await;
    assert_eq!(of(&elsewhere).await, []);
    let first = changed(store, &first.name, |machine| machine.retired = None).await;
    assert_eq!(of(&elsewhere).await, [claim(&first, at(40))]);
}

/// Changes a machine, and says what is stored then.
pub(super) async fn changed(
    store: &dyn MetaStore,
    name: &MachineName,
    by: impl FnOnce(&mut MachineRecord),
) -> MachineRecord {
    let mut machine = store.machine(name).await.unwrap();
    by(&mut machine);
    store.change_machine(change(&machine)).await.unwrap();
    store.machine(name).await.unwrap()
}

pub(super) async fn plans_and_events(store: &dyn MetaStore, scope: &str) {
    let base = fixture(store, scope, "events").await;
    let [machine, neighbour] = [machine(&base, "1"), machine(&base, "10")];
    for machine in [&machine, &neighbour] {
        store.create_machine(machine.clone(), entry("enrol")).await.unwrap();
    }
    missing(store.plan(&machine.name).await);
    assert_eq!(numbers(store, &machine, usize::MAX).await, [0_u64; 0]);

    report(store, &machine, Some("{\"plan\": \"1\"}\n"), &[1, 2]).await.unwrap();
    report(store, &neighbour, None, &[7]).await.unwrap();
    // Number 2 is told again, with other words, along with 300 and, twice, 256.
    report(store, &machine, None, &[2, 300, 256, 256]).await.unwrap();
    assert_eq!(store.plan(&machine.name).await.unwrap(), "{\"plan\": \"1\"}\n", "byte for byte");
    missing(store.plan(&neighbour.name).await);

    assert_eq!(numbers(store, &machine, usize::MAX).await, [1, 2, 256, 300]);
    assert_eq!(numbers(store, &machine, 2).await, [256, 300], "the newest, the oldest first");
    assert_eq!(numbers(store, &machine, 0).await, [0_u64; 0]);
    assert_eq!(numbers(store, &neighbour, 9).await, [7]);
    let events = store.events(&machine.name, usize::MAX).await.unwrap();
    assert_eq!(events[1], event(2, machine.revision), "what was told first stays");

    report(store, &machine, Some("{\"plan\": \"2\"}"), &[]).await.unwrap();
    assert_eq!(store.plan(&machine.name).await.unwrap(), "{\"plan\": \"2\"}");

    let stale = MachineChange {
        plan: Some(new_plan(9, "lost")),
        events: vec![event(301, 0)],
        audit: Some(entry("lost")),
        ..change(&machine)
    };
    let sent = store.plans_sent(&machine.name, usize::MAX).await.unwrap();
    expect_conflict(store, store.change_machine(stale)).await;
    assert_eq!(store.plans_sent(&machine.name, usize::MAX).await.unwrap(), sent);
    assert_eq!(store.plan(&machine.name).await.unwrap(), "{\"plan\": \"2\"}");
    assert_eq!(numbers(store, &machine, 1).await, [300]);
}

pub(super) fn word(ticket: &str) -> Word {
    let (by, reason, ticket) = ("token-1".to_owned(), "crashes".to_owned(), ticket.to_owned());
    Word { at: at(2), by, reason, ticket: Some(ticket) }
}

/// A machine of a product and contract that are stored.
pub(super) async fn fixture(store: &dyn MetaStore, scope: &str, name: &str) -> MachineRecord {
    let product = catalogue::created(store, scope, &format!("fleet-{name}")).await;
    let contract = contracted(store, scope, &format!("fleet-{name}")).await.unwrap();
    MachineRecord {
        revision: 1,
        name: format!("{scope}-{name}").parse().unwrap(),
        host: "Büro 1".to_owned(),
        customer: contract.as_str().parse().unwrap(),
        contract,
        product,
        platform: "linux-x86_64".parse().unwrap(),
        public_key: key("nobody"),
        token_sha256: Digest::of(b"nobody"),
        enrolled_at: at(0),
        seen_at: at(1),
        agent: "0.1.0".to_owned(),
        ring: Ring::Early,
        running: Some(version("1.2.0")),
        offered: BTreeSet::from([version("1.2.0"), version("1.3.0")]),
        outcomes: BTreeMap::new(),
        confirmed: BTreeSet::from([version("1.2.0")]),
        runs: {
            let mut runs = Runs::default();
            runs.confirm(&version("1.2.0"), at(1));
            runs.switch(Some(&version("1.2.0")), None, at(2));
            runs
        },
        blocks: vec![MachineBlock {
            block: Block {
                over: Some(version("1.2.0")),
                through: version("1.3.0"),
                reason: "crashes".to_owned(),
            },
            at: at(2),
            by: "token-1".to_owned(),
        }],
        order: Some(OrderRecord {
            number: 3,
            to: version("1.2.0"),
            from: version("1.3.0"),
            reason: "crashes".to_owned(),
            ticket: Some("T-9".to_owned()),
            at: at(2),
            by: "token-1".to_owned(),
            state: OrderState::Done,
            caution: None,
            opens: BTreeSet::from(["CVE-2026-0001".parse().unwrap()]),
        }),
        orders_given: 3,
        retry: None,
        collection: None,
        hold: Some(HoldRecord { until: at(9), word: word("T-9") }),
        pin: Some(PinRecord {
            version: version("1.2.0"),
            ends: PinEnd::OnceConfirmed,
            word: word("T-10"),
        }),
        plan: Some(PlanRecord {
            version: 4,
            content_sha256: Digest::of(b"plan"),
            issued: at(2),
            expires: at(3),
        }),
        event_number: 0,
        event_number_before: 0,
        seated_at: None,
        retired: None,
        memory: MemoryRecord { timestamp: 7, fell_at: Some(at(2)) },
        clone_suspected: Some(CloneRecord {
            at: at(2),
            last_at: at(3),
            why: "it has two host names".to_owned(),
        }),
        facts: Some(Facts {
            kernel: "6.1".parse().ok(),
            components: [("postgres".parse().unwrap(), version("15.4.0"))].into(),
            ..Facts::default()
        }),
        waits: Some(Box::new(Waiting {
            version: version("1.0.2"),
            awaited: Awaited::Window(at(9)),
        })),
    }
}

pub(super) fn machine(base: &MachineRecord, name: &str) -> MachineRecord {
    let name = format!("{}-{name}", base.name);
    MachineRecord {
        public_key: key(&name),
        token_sha256: Digest::of(name.as_bytes()),
        name: name.parse().unwrap(),
        outcomes: BTreeMap::new(),
        ..base.clone()
    }
}

fn key(name: &str) -> PublicKey {
    SigningKey::from_seed(Digest::of(name.as_bytes()).as_bytes()).public()
}

pub(super) fn version(text: &str) -> Version {
    text.parse().unwrap()
}

pub(super) fn change(machine: &MachineRecord) -> MachineChange {
    MachineChange { machine: machine.clone(), plan: None, events: Vec::new(), audit: None }
}

/// What plans said is told of the newest ones, and of this machine's own.
pub(super) async fn plans_sent(store: &dyn MetaStore, scope: &str) {
    let base = fixture(store, scope, "plans-sent").await;
    let [machine, neighbour] = [machine(&base, "1"), machine(&base, "10")];
    for machine in [&machine, &neighbour] {
        store.create_machine(machine.clone(), entry("enrol")).await.unwrap();
    }
    let versions = async |limit| {
        let plans = store.plans_sent(&machine.name, limit).await.unwrap();
        plans.into_iter().map(|plan| plan.version).collect::<Vec<_>>()
    };
    assert_eq!(versions(9).await, [0; 0]);
    report(store, &neighbour, Some("their own"), &[]).await.unwrap();
    for _ in 0..PLANS_REMEMBERED + 2 {
        report(store, &machine, Some("plan"), &[]).await.unwrap();
    }
    let newest = PLANS_REMEMBERED + 2;
    assert_eq!(versions(2).await, [newest - 1, newest], "the newest, the oldest of them first");
    let remembered: Vec<_> = (newest - PLANS_REMEMBERED + 1..=newest).collect();
    assert_eq!(versions(usize::MAX).await, remembered);
    let last = store.plans_sent(&machine.name, 1).await.unwrap();
    assert_eq!(last, [new_plan(newest, "plan").said]);
}

fn new_plan(version: u64, signed: &str) -> NewPlan {
    let said = PlanSummary {
        version,
        customer: "acme".parse().unwrap(),
        issued: at(5),
        expires: at(6),
        action: "rollback".to_owned(),
        to: Some(self::version("1.2.0")),
        order: Some(3),
        retry: None,
        collect: None,
        withheld: vec![WithheldSummary {
            version: self::version("1.3.0"),
            code: "BLOCKED".to_owned(),
        }],
        notices: vec!["CONTRACT_ENDS".to_owned()],
    };
    NewPlan { signed: signed.to_owned(), said }
}

async fn report(
    store: &dyn MetaStore,
    machine: &MachineRecord,
    plan: Option<&str>,
    numbers: &[u64],
) -> Result<(), StoreError> {
    let machine = store.machine(&machine.name).await?;
    let events = numbers.iter().map(|number| event(*number, machine.revision)).collect();
    let plan = plan.map(|signed| new_plan(machine.revision, signed));
    store.change_machine(MachineChange { plan, events, ..change(&machine) }).await
}

fn event(number: u64, revision: u64) -> EventRecord {
    let event = Event {
        number,
        kind: EventKind::Confirmed,
        from: Some(version("1.1.0")),
        to: version("1.2.0"),
        order: None,
        detail: format!("reported at revision {revision}"),
        fetched: None,
    };
    EventRecord { at: at(5), event }
}

async fn numbers(store: &dyn MetaStore, machine: &MachineRecord, limit: usize) -> Vec<u64> {
    let events = store.events(&machine.name, limit).await.unwrap();
    events.iter().map(|record| record.event.number).collect()
}

async fn assert_found(store: &dyn MetaStore, machine: &MachineRecord) {
    let found: [StoreResult<MachineRecord>; 3] = [
        store.machine(&machine.name).await,
        store.machine_by_token(&machine.token_sha256).await,
        store.machine_by_key(&machine.product, &machine.public_key).await,
    ];
    for found in found {
        assert_eq!(found.unwrap(), *machine);
    }
    assert_eq!(store.machine_revision(&machine.name).await.unwrap(), machine.revision);
}
