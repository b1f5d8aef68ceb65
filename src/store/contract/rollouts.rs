//! Rollouts, what machines tell of releases, and the stop of a product.

use std::{collections::BTreeMap, num::NonZeroU32};

use mainstay_client::format::{
    MachineName, ProductName, Version,
    wire::{Event, EventKind},
};

use super::{
    super::{
        AuditEntry, EventRecord, Listed, MachineChange, MachineRecord, MetaStore, Publication,
        RolloutRecord, Selection, StopChange, StopRecord, StopState, StoreResult, Word,
    },
    at,
    catalogue::{self, publication},
    entry, expect_audited, expect_conflict, fleet, missing, trail,
};
use crate::policy::{
    Occasion, Outcomes, Rollout, RolloutState, Status,
    notification::RolloutNews,
    rollout::{Advance, Canaries, FailureThreshold, Outcome, Terms, Threshold, Thresholds},
};

pub(super) async fn rollouts(store: &dyn MetaStore, scope: &str) {
    let product = catalogue::created(store, scope, "rollouts").await;
    for (revision, version) in (1..).zip(["1.9.0", "1.10.0"]) {
        let rollout = record(&product, version, RolloutState::Running);
        let publication =
            Publication { rollout: Some(rollout), ..publication(version, revision + 1) };
        store.publish_release(&product, revision, publication, entry(version)).await.unwrap();
    }
    let first = store.rollout(&product, &version("1.9.0")).await.unwrap();
    assert_eq!(first, at_revision(1, record(&product, "1.9.0", RolloutState::Running)));
    let known = [first.clone(), at_revision(1, record(&product, "1.10.0", RolloutState::Running))];
    assert_eq!(store.rollouts(&product).await.unwrap(), known);
    missing(store.rollout(&product, &version("2.0.0")).await);

    let paused = state(&first, RolloutState::Paused);
    change_audited(store, &paused).await;
    let stored = store.rollout(&product, &first.version).await.unwrap();
    assert_eq!(stored, at_revision(2, paused.clone()));
    let message = expect_conflict(store, change(store, &paused)).await;
    assert!(message.contains("at revision 2: expected 1"), "{message}");
    two_people(store, &stored).await;
    live(store, &product).await;
    of_older_releases(store, scope).await;
}

/// Of two who act on what they have both seen, one is told of the other.
async fn two_people(store: &dyn MetaStore, seen: &RolloutRecord) {
    let (resume, finish) =
        (state(seen, RolloutState::Running), state(seen, RolloutState::Finished));
    let (a, b) = tokio::join!(change(store, &resume), change(store, &finish));
    assert!(a.is_ok() != b.is_ok(), "exactly one wins: {a:?}, {b:?}");
    super::conflict(a.and(b));
}

/// Those that have come to everybody are not among the live ones, and the others are.
async fn live(store: &dyn MetaStore, product: &ProductName) {
    for (state_now, is_live) in [
        (RolloutState::Finished, false),
        (RolloutState::Running, true),
        (RolloutState::Paused, true),
        (RolloutState::AwaitingApproval, true),
        (RolloutState::Withdrawn, true),
    ] {
        let stored = store.rollout(product, &version("1.9.0")).await.unwrap();
        change_audited(store, &state(&stored, state_now)).await;
        let stored = store.rollout(product, &version("1.9.0")).await.unwrap();
        let live = store.live_rollouts(product).await.unwrap();
        assert_eq!(live.contains(&stored), is_live, "{state_now:?}");
        assert!(live.iter().any(|other| other.version == version("1.10.0")), "{state_now:?}");
    }
    let releases = store.releases(product).await.unwrap();
    let status: Vec<_> = releases.iter().map(|release| release.release.status).collect();
    assert_eq!(status, [Status::Withdrawn, Status::Published], "with its rollout it is withdrawn");
}

/// A release from before there were rollouts gets one; one that does not exist gets none.
async fn of_older_releases(store: &dyn MetaStore, scope: &str) {
    let product = catalogue::created(store, scope, "rollouts-1").await;
    let publish = store.publish_release(&product, 1, publication("1.0.0", 2), entry("1.0.0"));
    publish.await.unwrap();
    assert_eq!(store.rollouts(&product).await.unwrap(), [], "another product has its own");
    assert_eq!(store.live_rollouts(&product).await.unwrap(), []);
    let new = record(&product, "1.0.0", RolloutState::Running);
    expect_conflict(store, change(store, &at_revision(1, new.clone()))).await;
    change_audited(store, &new).await;
    let stored = at_revision(1, new);
    assert_eq!(store.rollout(&product, &version("1.0.0")).await.unwrap(), stored);
    assert_eq!(store.live_rollouts(&product).await.unwrap(), [stored]);
    missing(change(store, &record(&product, "1.0.1", RolloutState::Running)).await);
}

pub(super) async fn outcomes(store: &dyn MetaStore, scope: &str) {
    let base = fleet::fixture(store, scope, "outcomes").await;
    let machines = ["1", "2", "3"].map(|name| fleet::machine(&base, name));
    for machine in &machines {
        store.create_machine(machine.clone(), entry("enrol")).await.unwrap();
    }
    let counted = async |version: &str| {
        let Outcomes { tried, succeeded, failed } =
            store.outcomes(&base.product, &version.parse().unwrap()).await.unwrap();
        (tried, succeeded, failed)
    };
    let tell = async |machine: usize, number: u64, kind, to: &str| {
        let told = EventRecord { at: at(60), event: event(number, kind, to) };
        report(store, &machines[machine].name, told).await.unwrap();
    };
    assert_eq!(counted("1.3.0").await, (0, 0, 0));
    tell(0, 1, EventKind::Installed, "1.3.0").await;
    assert_eq!(counted("1.3.0").await, (1, 0, 0));
    tell(0, 2, EventKind::Confirmed, "1.3.0").await;
    tell(1, 1, EventKind::Undone, "1.3.0").await;
    assert_eq!(counted("1.3.0").await, (2, 1, 1));
    assert_eq!(counted("1.2.0").await, (0, 0, 0), "each release has its own");
    // It is told again with other words, or of what the machine was never given.
    tell(0, 2, EventKind::Undone, "1.3.0").await;
    tell(2, 1, EventKind::Undone, "1.4.0").await;
    assert_eq!((counted("1.3.0").await, counted("1.4.0").await), ((2, 1, 1), (0, 0, 0)));
    let told = store.machine(&machines[0].name).await.unwrap().outcomes;
    assert_eq!(told, BTreeMap::from([(version("1.3.0"), Outcome::Succeeded)]), "as it is counted");
    // What is told last counts.
    tell(1, 2, EventKind::Confirmed, "1.3.0").await;
    assert_eq!(counted("1.3.0").await, (2, 2, 0));
    tell(0, 3, EventKind::Undone, "1.3.0").await;
    assert_eq!(counted("1.3.0").await, (2, 1, 1));
    pauses(store, &base.product, &machines[2]).await;
}

/// The report that is one too many pauses the rollout, in the same step.
async fn pauses(store: &dyn MetaStore, product: &ProductName, machine: &MachineRecord) {
    let publication = |version: &str, rollout, metadata| Publication {
        rollout: Some(rollout),
        ..publication(version, metadata)
    };
    let rollout = record(product, "1.3.0", RolloutState::Running);
    let publish = store.publish_release(product, 1, publication("1.3.0", rollout, 2), entry("x"));
    publish.await.unwrap();
    let newest = trail(store, 0).await.len() as u64;
    let told = EventRecord { at: at(60), event: event(7, EventKind::Undone, "1.3.0") };
    report(store, &machine.name, told).await.unwrap();

    let paused = store.rollout(product, &version("1.3.0")).await.unwrap();
    assert_eq!((paused.revision, paused.rollout.state), (2, RolloutState::Paused));
    assert_eq!((paused.changed.by.as_str(), paused.changed.at), ("server", at(60)));
    assert!(paused.changed.reason.starts_with("2 of 3 machines failed"), "{paused:?}");
    let told = trail(store, newest).await;
    let AuditEntry { action, actor, subject, reason, before, .. } = &told[0].entry;
    assert_eq!((told.len(), action.as_str(), actor.as_str()), (1, "rollout.pause", "server"));
    assert_eq!((subject, reason), (&paused.subject(), &Some(paused.changed.reason.clone())));
    assert_eq!(before.as_ref().unwrap()["state"], "running");
    let told = pauses_told(store, product).await;
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].automatic, told[0].failed, told[0].tried), (true, 2, 3));

    holds(store, &paused).await;

    let running = store.rollout(product, &version("1.3.0")).await.unwrap();
    change_audited(store, &state(&running, RolloutState::Paused)).await;
    let paused = store.rollout(product, &version("1.3.0")).await.unwrap();
    let again = RolloutRecord { changed: word("still"), ..paused };
    change_audited(store, &again).await;
    let told = pauses_told(store, product).await;
    assert_eq!(told.len(), 2, "by hand, and not again while it is paused");
    assert!(!told[1].automatic);
}

/// The pauses of the product's rollouts that wait to be told.
async fn pauses_told(store: &dyn MetaStore, product: &ProductName) -> Vec<RolloutNews> {
    let told = store.announced(usize::MAX).await.unwrap().into_iter();
    let news = told.filter_map(|(_, notification)| match notification.occasion {
        Occasion::RolloutPaused(news) => Some(news),
        _ => None,
    });
    news.filter(|news| news.product == *product).collect()
}

/// Too few successes hold it, and more of them let it go on.
async fn holds(store: &dyn MetaStore, paused: &RolloutRecord) {
    let machine = fleet::machine(&fleet_base(store, &paused.product).await, "held");
    store.create_machine(machine.clone(), entry("enrol")).await.unwrap();
    change_audited(store, &state(paused, RolloutState::Running)).await;
    for (number, kind, advance) in
        [(1, EventKind::Installed, Advance::Held), (2, EventKind::Confirmed, Advance::Free)]
    {
        let told = EventRecord { at: at(70), event: event(number, kind, "1.3.0") };
        // So that failures do not pause it again, they count as looked at.
        let mut stored = store.rollout(&paused.product, &paused.version).await.unwrap();
        stored.rollout.baseline = Outcomes { tried: 2, succeeded: 1, failed: 2 };
        stored.rollout.terms.thresholds.success = Some(threshold("50%", 2));
        change_audited(store, &stored).await;
        report(store, &machine.name, told).await.unwrap();
        let heeded = store.rollout(&paused.product, &paused.version).await.unwrap();
        let found = (heeded.rollout.state, heeded.rollout.advance, heeded.revision);
        assert_eq!(found, (RolloutState::Running, advance, stored.revision + 2), "{kind:?}");
    }
}

/// Some machine of the product, by which to make others.
async fn fleet_base(store: &dyn MetaStore, product: &ProductName) -> MachineRecord {
    let selection = Selection { product: Some(product.clone()), ..Selection::default() };
    store.machines_after(&selection, Listed::InUse, None, 1).await.unwrap().remove(0)
}

pub(super) async fn stops(store: &dyn MetaStore, scope: &str) {
    let product = catalogue::created(store, scope, "stops").await;
    assert_eq!(store.stop(&product).await.unwrap(), None);
    let stop = |revision, state| StopRecord {
        product: product.clone(),
        revision,
        state,
        word: word("it deletes data"),
    };
    let stopped = stop(0, StopState::Stopped);
    expect_audited(store, "stop", store.change_stop(alone(&stopped), entry("stop"))).await;
    let stored = StopRecord { revision: 1, ..stopped.clone() };
    assert_eq!(store.stop(&product).await.unwrap(), Some(stored));
    let message = expect_conflict(store, store.change_stop(alone(&stopped), entry("stop"))).await;
    assert!(message.contains("at revision 1: expected 0"), "{message}");
    let lifted = stop(1, StopState::Lifted);
    expect_audited(store, "unstop", store.change_stop(alone(&lifted), entry("unstop"))).await;
    let stored = StopRecord { revision: 2, ..lifted.clone() };
    assert_eq!(store.stop(&product).await.unwrap(), Some(stored));
    let nowhere = StopRecord { product: "nowhere".parse().unwrap(), ..lifted };
    missing(store.change_stop(alone(&nowhere), entry("x")).await);
    stopped_rollouts(store, &product).await;
}

/// A stop that changes no rollout.
fn alone(stop: &StopRecord) -> StopChange {
    StopChange { stop: stop.clone(), rollouts: Vec::new() }
}

/// What a stop pauses is paused with it or not at all, and nothing goes on while it lasts.
async fn stopped_rollouts(store: &dyn MetaStore, product: &ProductName) {
    let publish = |number: u64, version: &str, state| {
        let rollout = Some(record(product, version, state));
        let publication = Publication { rollout, ..publication(version, number + 1) };
        store.publish_release(product, number, publication, entry("publish"))
    };
    publish(1, "1.0.0", RolloutState::Running).await.unwrap();
    let running = store.rollout(product, &version("1.0.0")).await.unwrap();
    let paused = state(&running, RolloutState::Paused);
    let stop = StopRecord {
        product: product.clone(),
        revision: 2,
        state: StopState::Stopped,
        word: word("it deletes data"),
    };
    let stale = RolloutRecord { revision: 7, ..paused.clone() };
    let change = StopChange { stop: stop.clone(), rollouts: vec![(stale, entry("x"))] };
    expect_conflict(store, store.change_stop(change, entry("x"))).await;
    assert_eq!(store.stop(product).await.unwrap().unwrap().revision, 2);
    assert_eq!(store.rollout(product, &version("1.0.0")).await.unwrap(), running);

    let newest = trail(store, 0).await.len() as u64;
    let change = StopChange { stop, rollouts: vec![(paused, entry("pause"))] };
    store.change_stop(change, entry("stop")).await.unwrap();
    let told: Vec<_> =
        trail(store, newest).await.into_iter().map(|record| record.entry.action).collect();
    assert_eq!(told, ["stop", "pause"]);
    let paused = store.rollout(product, &version("1.0.0")).await.unwrap();
    assert_eq!(paused.rollout.state, RolloutState::Paused);
    let resumed = state(&paused, RolloutState::Running);
    let told = expect_conflict(store, self::change(store, &resumed)).await;
    assert!(told.contains("are stopped, by token-1"), "{told}");
    expect_conflict(store, publish(2, "1.0.1", RolloutState::Running)).await;
    publish(2, "1.0.1", RolloutState::Paused).await.unwrap();
}

fn word(reason: &str) -> Word {
    Word { at: at(5), by: "token-1".to_owned(), reason: reason.to_owned(), ticket: None }
}

fn threshold(share: &str, tried_min: u32) -> Threshold {
    let tried_min = tried_min.try_into().unwrap();
    Threshold { share: share.parse().unwrap(), tried_min }
}

fn record(product: &ProductName, of: &str, state: RolloutState) -> RolloutRecord {
    let Threshold { share, tried_min } = threshold("50%", 3);
    let failure = FailureThreshold { share, tried_min, failed_min: NonZeroU32::MIN };
    let terms = Terms {
        waves: "canaries:1h,2.5%:4h,100%".parse().unwrap(),
        canaries: Canaries { customers: ["globex".parse().unwrap()].into(), ..Canaries::default() },
        schedule: serde_json::from_str(r#"{"zone":"Europe/Berlin","open":"mon-thu"}"#).unwrap(),
        thresholds: Thresholds { failure: Some(failure), success: None },
    };
    RolloutRecord {
        product: product.clone(),
        version: version(of),
        revision: 0,
        started: word("published"),
        changed: word("published"),
        rollout: Rollout::new(terms, state, at(0)),
    }
}

fn at_revision(revision: u64, record: RolloutRecord) -> RolloutRecord {
    RolloutRecord { revision, ..record }
}

fn state(record: &RolloutRecord, state: RolloutState) -> RolloutRecord {
    let rollout = Rollout { state, ..record.rollout.clone() };
    RolloutRecord { rollout, changed: word("so it is better"), ..record.clone() }
}

async fn change(store: &dyn MetaStore, record: &RolloutRecord) -> StoreResult<()> {
    store.change_rollout(record.clone(), entry("rollout")).await
}

async fn change_audited(store: &dyn MetaStore, record: &RolloutRecord) {
    expect_audited(store, "rollout", change(store, record)).await;
}

async fn report(store: &dyn MetaStore, name: &MachineName, told: EventRecord) -> StoreResult<()> {
    let machine = store.machine(name).await.unwrap();
    let change = MachineChange { machine, plan: None, events: vec![told], audit: None };
    store.change_machine(change).await
}

fn event(number: u64, kind: EventKind, to: &str) -> Event {
    let (to, detail) = (version(to), String::new());
    Event { number, kind, from: None, to, order: None, detail, fetched: None }
}

fn version(text: &str) -> Version {
    text.parse().unwrap()
}
