//! What is to be told, to whom, and how far that has come.

use std::collections::BTreeSet;

use jiff::Timestamp;
use mainstay_client::format::wire::{Event, EventKind};

use super::{
    super::{
        DeliveryRecord, DeliveryStage, DeliveryState, Disabled, EndpointAddress, EndpointChange,
        EndpointRecord, EventRecord, MachineChange, MetaStore, TryRecord,
    },
    at, conflict, entry, expect_audited, expect_conflict,
    fleet::{change, fixture, machine},
    missing,
};
use crate::policy::{
    Interest, Notification, Occasion,
    notification::{LineNews, MachineNews, RolloutNews},
};

pub(super) async fn announcements(store: &dyn MetaStore, scope: &str) {
    let (mark, next) = (format!("{scope}/first"), format!("{scope}/next"));
    let notification = notification(scope, 1);
    store.announce_once(&mark, notification.clone()).await.unwrap();
    let [(number, _)] = &announced(store, scope).await[..] else { panic!("expected one") };
    assert_eq!(announced(store, scope).await, [(*number, notification.clone())]);
    // The same once more, whatever it says by now.
    store.announce_once(&mark, self::notification(scope, 2)).await.unwrap();
    assert_eq!(announced(store, scope).await.len(), 1);
    store.announce_once(&next, notification.clone()).await.unwrap();
    let found = announced(store, scope).await;
    assert_eq!(found.len(), 2);
    assert!(found.is_sorted_by_key(|(number, _)| *number));
    assert_eq!(store.announced(1).await.unwrap().len(), 1);
    for (number, _) in found {
        store.spread(number, BTreeSet::new(), at(0)).await.unwrap();
    }
    assert_eq!(announced(store, scope).await, []);
    // What was taken out stays announced.
    store.announce_once(&mark, notification).await.unwrap();
    assert_eq!(announced(store, scope).await, []);
    let large = store.announce_once(&format!("{scope}/large"), too_large()).await;
    assert!(conflict(large).contains("expected at most 49152"));
}

/// A notification of which no delivery could be written.
fn too_large() -> Notification {
    let news = RolloutNews {
        product: "acme-db".parse().unwrap(),
        version: "1.0.0".parse().unwrap(),
        automatic: true,
        failed: 1,
        tried: 1,
        reason: "x".repeat(48 << 10),
    };
    Notification { timestamp: at(0), occasion: Occasion::RolloutPaused(news) }
}

/// What went wrong on a machine is told if and only if the change is made.
pub(super) async fn events(store: &dyn MetaStore, scope: &str) {
    let machine = machine(&fixture(store, scope, "outbox").await, "1");
    store.create_machine(machine.clone(), entry("enrol")).await.unwrap();
    let told = |found: Vec<(u64, Notification)>| {
        let numbers = found.into_iter().filter_map(|(number, notification)| {
            let (Occasion::UpdateFailed(news) | Occasion::RolledBack(news)) = notification.occasion
            else {
                return None;
            };
            let MachineNews { machine: name, event, .. } = news;
            (name == machine.name).then_some((number, event))
        });
        numbers.collect::<Vec<_>>()
    };
    let all = || async { told(store.announced(usize::MAX).await.unwrap()) };
    let event = |number, kind| {
        let (from, to) = (None, "1.2.0".parse().unwrap());
        // As long as a machine can make it.
        let detail = "\u{1}".repeat(Event::DETAIL_CHARS_MAX);
        let event = Event { number, kind, from, to, order: None, detail, fetched: None };
        EventRecord { at: at(5), event }
    };
    let stale = MachineChange { events: vec![event(1, EventKind::Undone)], ..change(&machine) };
    let events = vec![event(1, EventKind::Undone), event(2, EventKind::Confirmed)];
    store.change_machine(MachineChange { events, ..change(&machine) }).await.unwrap();
    assert_eq!(all().await.iter().map(|(_, event)| *event).collect::<Vec<_>>(), [1]);
    expect_conflict(store, store.change_machine(stale)).await;
    assert_eq!(all().await.len(), 1, "a refused change tells nothing");
    let machine = store.machine(&machine.name).await.unwrap();
    let events = vec![event(1, EventKind::Undone), event(3, EventKind::Refused)];
    store.change_machine(MachineChange { events, ..change(&machine) }).await.unwrap();
    let found = all().await;
    assert_eq!(found.iter().map(|(_, event)| *event).collect::<Vec<_>>(), [1, 3]);
    let endpoint = endpoint(scope, "events");
    store.create_endpoint(endpoint.clone(), entry("webhook.create")).await.unwrap();
    for (number, _) in found {
        store.spread(number, BTreeSet::from([endpoint.id.clone()]), at(0)).await.unwrap();
    }
    assert_eq!(all().await, []);
    assert_eq!(store.deliveries(None, Some(&endpoint.id), usize::MAX).await.unwrap().len(), 2);
    store.remove_endpoint(&endpoint.id, entry("webhook.delete")).await.unwrap();
}

pub(super) async fn endpoints(store: &dyn MetaStore, scope: &str) {
    let first = endpoint(scope, "1");
    missing(store.endpoint(&first.id).await);
    let change = store.create_endpoint(first.clone(), entry("webhook.create"));
    expect_audited(store, "webhook.create", change).await;
    assert_eq!(store.endpoint(&first.id).await.unwrap(), first);
    expect_conflict(store, store.create_endpoint(first.clone(), entry("x"))).await;
    let second = endpoint(scope, "2");
    store.create_endpoint(second.clone(), entry("webhook.create")).await.unwrap();
    let all = store.endpoints().await.unwrap();
    assert!(all.contains(&first) && all.contains(&second));

    let (at, by, reason) = (at(3), "token-1".to_owned(), "moved".to_owned());
    let disabled = Some(Disabled { at, by, reason });
    let after = EndpointRecord { disabled, ..first.clone() };
    let change = |before: &EndpointRecord| EndpointChange {
        before: before.clone(),
        after: after.clone(),
        audit: entry("webhook.disable"),
    };
    expect_audited(store, "webhook.disable", store.change_endpoint(change(&first))).await;
    assert_eq!(store.endpoint(&first.id).await.unwrap(), after);
    expect_conflict(store, store.change_endpoint(change(&first))).await;

    for id in [&first.id, &second.id] {
        let change = store.remove_endpoint(id, entry("webhook.delete"));
        expect_audited(store, "webhook.delete", change).await;
        missing(store.endpoint(id).await);
        missing(store.remove_endpoint(id, entry("x")).await);
    }
}

pub(super) async fn deliveries(store: &dyn MetaStore, scope: &str) {
    let endpoints = ["a", "b"].map(|name| endpoint(scope, name));
    let [a, b] = endpoints.each_ref().map(|endpoint| endpoint.id.as_str());
    for endpoint in &endpoints {
        store.create_endpoint(endpoint.clone(), entry("webhook.create")).await.unwrap();
    }
    let gone = endpoint(scope, "gone").id;
    for number in 1..=3 {
        let mark = format!("{scope}/deliveries/{number}");
        store.announce_once(&mark, notification(scope, number)).await.unwrap();
        let [(outbox, _)] = announced(store, scope).await[..] else { panic!("expected one") };
        let wanting = [a, b, &gone].map(str::to_owned);
        store.spread(outbox, wanting.clone().into(), at(number)).await.unwrap();
        // It is taken out once.
        store.spread(outbox, wanting.into(), at(number)).await.unwrap();
    }
    let of = |endpoint: &str| {
        let endpoint = endpoint.to_owned();
        async move { store.deliveries(None, Some(&endpoint), usize::MAX).await.unwrap() }
    };
    let found = of(a).await;
    let [third, second, first] = &found[..] else { panic!("{found:?}") };
    assert_eq!(third.notification, notification(scope, 3));
    assert_eq!(first.message, first.notification.id().unwrap());
    assert_eq!(store.delivery(second.number).await.unwrap(), *second);
    assert_eq!(of(b).await.len(), 3);
    assert_eq!(of(&gone).await, []);
    assert_eq!(store.deliveries(None, Some(a), 2).await.unwrap(), [third.clone(), second.clone()]);

    settling(store, a, [first, second]).await;
    forgetting(store, a).await;
    store.remove_endpoint(a, entry("webhook.delete")).await.unwrap();
    assert_eq!(of(a).await, []);
    assert_eq!(store.due(a, Timestamp::MAX).await.unwrap(), None);
    assert_eq!(of(b).await.len(), 3);
    store.remove_endpoint(b, entry("webhook.delete")).await.unwrap();
}

/// The delivery that is due first is tried until it is settled.
async fn settling(store: &dyn MetaStore, a: &str, [first, second]: [&DeliveryRecord; 2]) {
    assert_eq!(store.due(a, at(0)).await.unwrap(), None);
    assert_eq!(store.due(a, at(1)).await.unwrap().as_ref(), Some(first));
    let dead_before = store.dead_deliveries().await.unwrap();
    let later = after(first, DeliveryState::Waiting { due_at: at(100) });
    store.settle(first.clone(), later.clone(), None).await.unwrap();
    expect_conflict(store, store.settle(first.clone(), later.clone(), None)).await;
    assert_eq!(store.due(a, at(99)).await.unwrap().as_ref(), Some(second));
    let delivered = after(second, DeliveryState::Delivered { at: at(2) });
    store.settle(second.clone(), delivered.clone(), None).await.unwrap();
    let stage = |stage| store.deliveries(Some(stage), Some(a), usize::MAX);
    assert_eq!(stage(DeliveryStage::Delivered).await.unwrap(), [delivered]);

    // The endpoint is given up in the same step, or neither happens.
    let (before, dead) = (store.endpoint(a).await.unwrap(), DeliveryState::Dead { at: at(100) });
    let dead = after(&later, dead);
    let change = |before: EndpointRecord| {
        let after = EndpointRecord { label: "given up".to_owned(), ..before.clone() };
        Some(EndpointChange { before, after, audit: entry("webhook.disable") })
    };
    let overtaken = change(EndpointRecord { label: "another".to_owned(), ..before.clone() });
    expect_conflict(store, store.settle(later.clone(), dead.clone(), overtaken)).await;
    assert_eq!(store.delivery(later.number).await.unwrap(), later);
    let settled = store.settle(later, dead.clone(), change(before));
    expect_audited(store, "webhook.disable", settled).await;
    assert_eq!(store.endpoint(a).await.unwrap().label, "given up");
    assert_eq!(stage(DeliveryStage::Dead).await.unwrap(), std::slice::from_ref(&dead));
    assert_eq!(store.dead_deliveries().await.unwrap(), dead_before + 1);

    let again = after(&dead, DeliveryState::Waiting { due_at: at(200) });
    let replay = store.replay(dead.clone(), again.clone(), entry("webhook.replay"));
    expect_audited(store, "webhook.replay", replay).await;
    assert_eq!(store.dead_deliveries().await.unwrap(), dead_before);
    expect_conflict(store, store.replay(dead, again, entry("x"))).await;
    assert_eq!(stage(DeliveryStage::Waiting).await.unwrap().len(), 2);
}

/// What was delivered before a time is forgotten; nothing else is.
async fn forgetting(store: &dyn MetaStore, a: &str) {
    let count = || async { store.deliveries(None, Some(a), usize::MAX).await.unwrap().len() };
    assert_eq!(store.forget_deliveries(at(2), 10).await.unwrap(), 0);
    assert_eq!(count().await, 3);
    assert_eq!(store.forget_deliveries(at(3), 10).await.unwrap(), 1);
    assert_eq!(count().await, 2);
    assert_eq!(store.forget_deliveries(Timestamp::MAX, 10).await.unwrap(), 0);
}

fn after(before: &DeliveryRecord, state: DeliveryState) -> DeliveryRecord {
    let last = Some(TryRecord { at: at(9), outcome: "answered 500".to_owned() });
    DeliveryRecord { tries: before.tries + 1, state, last, ..before.clone() }
}

fn endpoint(scope: &str, name: &str) -> EndpointRecord {
    EndpointRecord {
        id: format!("hook-{scope}-{name}"),
        address: EndpointAddress::Mail("ops@example.com".to_owned()),
        label: "test".to_owned(),
        interest: Interest::default(),
        secrets: Vec::new(),
        created_at: at(0),
        disabled: None,
    }
}

/// A notification of which the scope is known.
fn notification(scope: &str, seconds: i64) -> Notification {
    let news = LineNews {
        product: format!("{scope}-outbox").parse().unwrap(),
        line: "1.0".parse().unwrap(),
        ends_at: at(0),
        within_days: 30,
    };
    Notification { timestamp: at(seconds), occasion: Occasion::LineEndOfLife(news) }
}

async fn announced(store: &dyn MetaStore, scope: &str) -> Vec<(u64, Notification)> {
    let product = format!("{scope}-outbox");
    let mut found = store.announced(usize::MAX).await.unwrap();
    found.retain(|(_, notification)| match &notification.occasion {
        Occasion::LineEndOfLife(news) => news.product.as_str() == product,
        _ => false,
    });
    found
}
