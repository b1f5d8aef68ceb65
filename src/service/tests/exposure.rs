//! Whom an advisory still concerns.

use mainstay_client::format::{AdvisoryId, Channel, MachineName, Severity, wire::EventKind};

use super::{
    Tier,
    world::{World, actor, event},
};
use crate::{
    policy::{
        Reopening, Ring, RolloutWish,
        exposure::{BreachState, Cause, CauseKind, csaf::Publisher},
    },
    service::{
        Service,
        action::{ActOnMachine, MachineAction},
        advisory::SetAdvisory,
        exposure::{AskPatching, ExposurePage, ListBreaches, ListExposure, OpenMachine},
        support::OrderRollback,
    },
    store::{MetaStore as _, Outbox as _},
};

pub(super) const CVE: &str = "CVE-2026-1";

pub(super) fn asked() -> ListExposure {
    let advisory = CVE.parse().unwrap();
    ListExposure { advisory, product: None, customer: None, after: None, limit: None }
}

async fn exposure(service: &Service) -> ExposurePage {
    service.exposure(&actor(), asked()).await.unwrap()
}

async fn one(service: &Service) -> OpenMachine {
    let machines = exposure(service).await.machines;
    let [machine] = machines.as_slice() else { panic!("{machines:?}") };
    machine.clone()
}

/// Publishes a security release that fixes the advisory, on day `days`.
pub(super) async fn fix(world: &World, days: i64, version: &str, severity: Severity) {
    let named = |release: &mut mainstay_client::format::ReleaseManifest| {
        release.advisories = vec![CVE.parse().unwrap()];
        release.severity = severity;
    };
    world.publish_as(days, Channel::Security, version, named).await.unwrap();
}

/// A machine of `customer` that has confirmed 1.0.0, which was published on day 0, on day 1.
pub(super) async fn machine(world: &World, customer: &str, tier: Tier, seed: u8) -> MachineName {
    let key = world.customer(customer, tier).await;
    let name = world.enroll(&key, seed).await.unwrap().machine;
    world.check(1, &name, None).await;
    confirm(world, 1, &name, 1, "1.0.0").await;
    name
}

pub(super) async fn confirm(
    world: &World,
    day: i64,
    name: &MachineName,
    number: u64,
    version: &str,
) {
    let told = vec![event(number, EventKind::Confirmed, version)];
    world.report(day, name, Some(version), told).await;
}

async fn act(service: &Service, name: &MachineName, action: MachineAction) {
    let request = ActOnMachine { action, reason: "test".to_owned(), ticket: None };
    service.act_on_machine(&actor(), name, request).await.unwrap();
}

fn shown(cause: &Cause) -> (CauseKind, &str, Option<String>) {
    (cause.kind, &cause.code, cause.remedy.as_ref().map(ToString::to_string))
}

#[tokio::test]
async fn a_machine_is_open_for_as_long_as_it_lacks_the_fix_and_it_is_said_why() {
    let world = World::new().await;
    world.publish(0, Channel::Major, "1.0.0").await.unwrap();
    let name = machine(&world, "globex", Tier::Basic, 1).await;
    fix(&world, 5, "1.0.1", Severity::Critical).await;
    let remedy = || Some("1.0.1".to_owned());

    let open = one(&world.on_day(6)).await;
    assert_eq!(shown(&open.cause), (CauseKind::Waiting, "NOT_CHECKED", remedy()));
    assert_eq!(open.since, super::world::after_days(5));
    assert_eq!((open.severity, open.tier), (Severity::Critical, Some(Tier::Basic)));
    world.check(6, &name, Some("1.0.0")).await;
    let open = one(&world.on_day(6)).await;
    assert_eq!(shown(&open.cause), (CauseKind::Waiting, "OFFERED", remedy()));
    world.report(6, &name, Some("1.0.0"), vec![event(2, EventKind::Deferred, "1.0.1")]).await;
    let open = one(&world.on_day(6)).await;
    assert_eq!(shown(&open.cause), (CauseKind::Waiting, "DEFERRED", remedy()));
    world.report(6, &name, Some("1.0.0"), vec![event(3, EventKind::Interrupted, "1.0.1")]).await;
    let open = one(&world.on_day(6)).await;
    assert_eq!(shown(&open.cause), (CauseKind::Failed, "FAILED", remedy()));
    // It has not been heard of for more than the 90 days after which it gives its seat up.
    let open = one(&world.on_day(97)).await;
    assert_eq!(shown(&open.cause), (CauseKind::Silent, "SILENT", remedy()));

    let service = world.on_day(7);
    let until = super::world::after_days(9);
    act(&service, &name, MachineAction::Hold { until }).await;
    let open = one(&service).await;
    assert_eq!(shown(&open.cause), (CauseKind::HeldBack, "HELD", remedy()));
    act(&service, &name, MachineAction::Unhold {}).await;
    world.report(7, &name, Some("1.0.0"), vec![event(4, EventKind::Undone, "1.0.1")]).await;
    let open = one(&world.on_day(7)).await;
    assert_eq!(shown(&open.cause), (CauseKind::Failed, "FAILED", remedy()));
    fix(&world, 8, "1.0.2", Severity::Minor).await;
    let open = one(&world.on_day(8)).await;
    let remedy = Some("1.0.2".to_owned());
    assert_eq!(shown(&open.cause), (CauseKind::Waiting, "NOT_CHECKED", remedy));

    world.check(8, &name, Some("1.0.0")).await;
    confirm(&world, 9, &name, 5, "1.0.2").await;
    let page = exposure(&world.on_day(9)).await;
    assert!(page.machines.is_empty(), "{page:?}");
    let fixes: Vec<_> = page.fixes.iter().map(|fix| fix.version.to_string()).collect();
    assert_eq!(fixes, ["1.0.1", "1.0.2"]);

    let order = OrderRollback {
        to: "1.0.0".parse().unwrap(),
        exposure: Reopening::Accepted,
        reason: "test".to_owned(),
        ticket: None,
    };
    world.on_day(20).order_rollback(&actor(), &name, order).await.unwrap();
    world.report(21, &name, Some("1.0.0"), vec![event(6, EventKind::RolledBack, "1.0.0")]).await;
    let open = one(&world.on_day(30)).await;
    assert_eq!(open.since, super::world::after_days(21), "since it went back");
    assert_eq!((open.cause.kind, open.cause.code.as_str()), (CauseKind::HeldBack, "BLOCKED"));
}

#[tokio::test]
async fn what_the_contract_does_not_give_is_told_apart() {
    let world = World::new().await;
    world.publish(0, Channel::Major, "1.0.0").await.unwrap();
    machine(&world, "globex", Tier::Basic, 1).await;
    // A fix in another line, which a basic contract does not have.
    world.publish(2, Channel::Feature, "1.1.0").await.unwrap();
    fix(&world, 5, "1.1.1", Severity::Major).await;
    let open = one(&world.on_day(6)).await;
    let remedy = Some("1.1.1".to_owned());
    assert_eq!(shown(&open.cause), (CauseKind::NotEntitled, "NO_BACKPORT", remedy));
    assert!(open.cause.message.ends_with('.'), "{}", open.cause.message);
}

#[tokio::test]
async fn what_spreads_slowly_and_what_goes_elsewhere_is_said() {
    let world = World::new().await;
    world.publish(0, Channel::Major, "1.0.0").await.unwrap();
    let name = machine(&world, "globex", Tier::Standard, 1).await;
    act(&world.on_day(1), &name, MachineAction::Ring { ring: Ring::Last }).await;
    let waves = RolloutWish { waves: Some("100%:1d".parse().unwrap()), ..RolloutWish::default() };
    let named = |release: &mut mainstay_client::format::ReleaseManifest| {
        release.advisories = vec![CVE.parse().unwrap()];
    };
    world.publish_spreading(5, Channel::Security, "1.0.1", waves, named).await.unwrap();
    let open = one(&world.on_day(5)).await;
    let remedy = Some("1.0.1".to_owned());
    assert_eq!(shown(&open.cause), (CauseKind::HeldBack, "ROLLOUT_WAIT", remedy));

    // A line that was open before the fix came out, and to which the contract leads.
    let world = World::new().await;
    world.publish(0, Channel::Major, "1.0.0").await.unwrap();
    machine(&world, "globex", Tier::Standard, 1).await;
    world.publish(2, Channel::Feature, "1.1.0").await.unwrap();
    fix(&world, 5, "1.0.1", Severity::Major).await;
    let open = one(&world.on_day(6)).await;
    let remedy = Some("1.0.1".to_owned());
    assert_eq!(shown(&open.cause), (CauseKind::HeldBack, "OTHER_TARGET", remedy));

    // The same, where the fix is one of which the customer may not know.
    let world = World::new().await;
    world.publish(0, Channel::Major, "1.0.0").await.unwrap();
    machine(&world, "globex", Tier::Standard, 1).await;
    world.publish(2, Channel::Feature, "1.1.0").await.unwrap();
    let hidden = |release: &mut mainstay_client::format::ReleaseManifest| {
        release.advisories = vec![CVE.parse().unwrap()];
        release.audience = vec!["government".parse().unwrap()];
    };
    world.publish_as(5, Channel::Security, "1.0.1", hidden).await.unwrap();
    let open = one(&world.on_day(6)).await;
    assert_eq!(shown(&open.cause), (CauseKind::NoFix, "NO_FIX", None));
}

#[tokio::test]
async fn machines_are_listed_a_page_at_a_time_by_customer() {
    let world = World::new().await;
    world.publish(0, Channel::Major, "1.0.0").await.unwrap();
    let mut expected = Vec::new();
    for (seed, customer) in (1..).zip(["ant", "bee", "cow"]) {
        expected.push(machine(&world, customer, Tier::Basic, seed).await);
    }
    fix(&world, 5, "1.0.1", Severity::Major).await;
    let service = world.on_day(6);
    for limit in 1..=4 {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let question = ListExposure { limit: Some(limit), after, ..asked() };
            let page = service.exposure(&actor(), question).await.unwrap();
            assert!(page.machines.len() <= limit);
            found.extend(page.machines.into_iter().map(|machine| machine.machine));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(found, expected, "{limit}");
    }
    for limit in [0, 1001] {
        let question = ListExposure { limit: Some(limit), ..asked() };
        assert_eq!(
            service.exposure(&actor(), question).await.unwrap_err().code(),
            "INVALID_REQUEST"
        );
    }
    let unknown = ListExposure { advisory: "CVE-1999-1".parse().unwrap(), ..asked() };
    let unknown = service.exposure(&actor(), unknown).await.unwrap_err();
    assert_eq!(unknown.code(), "ADVISORY_UNKNOWN");
}

#[tokio::test]
async fn times_to_the_fix_are_told_by_tier() {
    let world = World::new().await;
    world.publish(0, Channel::Major, "1.0.0").await.unwrap();
    let mut names = Vec::new();
    let customers = [("ant", Tier::Basic), ("bee", Tier::Basic), ("cow", Tier::Premium)];
    for (seed, (customer, tier)) in (1..).zip(customers) {
        names.push(machine(&world, customer, tier, seed).await);
    }
    fix(&world, 5, "1.0.1", Severity::Major).await;
    for (name, day) in names[1..].iter().zip([7, 8]) {
        world.check(day, name, Some("1.0.0")).await;
        confirm(&world, day, name, 2, "1.0.1").await;
    }
    let question = AskPatching { advisory: CVE.parse().unwrap(), product: None, customer: None };
    let report = world.on_day(9).patching(&actor(), question).await.unwrap();
    let told: Vec<_> = report
        .tiers
        .iter()
        .map(|it| (it.tier.unwrap(), it.open, it.figures.patched, it.figures.p99_minutes))
        .collect();
    let days = |days: u64| Some(days * 24 * 60);
    assert_eq!(told, [(Tier::Basic, 1, 1, days(2)), (Tier::Premium, 0, 1, days(3))]);
    // A machine that went back is open, and in no time.
    world.report(10, &names[2], Some("1.0.0"), Vec::new()).await;
    let question = AskPatching {
        advisory: CVE.parse().unwrap(),
        product: None,
        customer: Some("cow".parse().unwrap()),
    };
    let report = world.on_day(11).patching(&actor(), question).await.unwrap();
    assert_eq!((report.tiers[0].open, report.tiers[0].figures.patched), (1, 0));
    let record = world.meta.machine(&names[2]).await.unwrap();
    let run = record.runs.of(&"1.0.1".parse().unwrap()).unwrap();
    assert_eq!(run.left_at, Some(super::world::after_days(10)));
}

/// What was announced so far: the types of notifications, and until when something was agreed.
async fn announced(world: &World) -> Vec<(String, String)> {
    let announced = world.meta.announced(usize::MAX).await.unwrap().into_iter();
    let told = announced.map(|(_, notification)| {
        let json = serde_json::to_value(&notification).unwrap();
        let until = json["data"]["agreed_until"].as_str().unwrap_or_default().to_owned();
        (notification.kind().to_string(), until)
    });
    told.collect()
}

#[tokio::test]
async fn a_breach_is_listed_ahead_and_told_once_ahead_and_once_when_it_is_there() {
    let world = World::new().await;
    world.publish(0, Channel::Major, "1.0.0").await.unwrap();
    for (seed, customer) in (1..).zip(["ant", "bee"]) {
        machine(&world, customer, Tier::Premium, seed).await;
    }
    // A premium contract has seven days for what is critical.
    fix(&world, 5, "1.0.1", Severity::Critical).await;
    let breaches = async |day: i64, within_days: u32| {
        let question = ListBreaches { within_days: Some(within_days), ..ListBreaches::default() };
        let report = world.on_day(day).breaches(&actor(), question).await.unwrap();
        let rows = report.breaches.iter();
        rows.map(|it| (it.customer.to_string(), it.state, it.agreed_until)).collect::<Vec<_>>()
    };
    let until = super::world::after_days(12);
    let both = |state| ["ant", "bee"].map(|customer| (customer.to_owned(), state, until));
    assert_eq!(breaches(6, 5).await, []);
    assert_eq!(breaches(6, 6).await, both(BreachState::Ahead));
    assert_eq!(breaches(12, 0).await, both(BreachState::Breached));
    assert_eq!(one_of(&world, 6, "ant").await.agreed_until, Some(until));

    for (day, expected) in [(10, 0), (11, 2), (12, 4), (30, 4)] {
        for _ in 0..2 {
            world.on_day(day).announce_breaches().await.unwrap();
        }
        assert_eq!(announced(&world).await.len(), expected, "on day {day}");
    }
    let told = announced(&world).await;
    assert!(told[..2].iter().all(|(kind, _)| kind == "exposure.breach_ahead"), "{told:?}");
    assert!(told[2..].iter().all(|(kind, _)| kind == "exposure.breached"), "{told:?}");
    assert!(told.iter().all(|(_, agreed)| *agreed == until.to_string()), "{told:?}");
}

async fn one_of(world: &World, day: i64, customer: &str) -> OpenMachine {
    let question = ListExposure { customer: Some(customer.parse().unwrap()), ..asked() };
    let page = world.on_day(day).exposure(&actor(), question).await.unwrap();
    page.machines.into_iter().next().unwrap()
}

#[tokio::test]
async fn no_time_counts_where_the_contract_gives_no_fix_and_none_is_told() {
    let world = World::new().await;
    world.publish(0, Channel::Major, "1.0.0").await.unwrap();
    machine(&world, "globex", Tier::Basic, 1).await;
    world.publish(2, Channel::Feature, "1.1.0").await.unwrap();
    fix(&world, 5, "1.1.1", Severity::Critical).await;
    let service = world.on_day(60);
    let report = service.breaches(&actor(), ListBreaches::default()).await.unwrap();
    assert_eq!(report.breaches, []);
    assert_eq!((report.apart.len(), report.apart[0].kind), (1, CauseKind::NotEntitled));
    assert_eq!(one(&service).await.agreed_until, None);
    service.announce_breaches().await.unwrap();
    assert_eq!(announced(&world).await, []);
    let question = ListBreaches { within_days: Some(3651), ..ListBreaches::default() };
    assert_eq!(service.breaches(&actor(), question).await.unwrap_err().code(), "INVALID_REQUEST");
}

#[tokio::test]
async fn what_is_recorded_of_an_advisory_counts_and_is_exported() {
    let world = World::new().await;
    world.publish(0, Channel::Major, "1.0.0").await.unwrap();
    machine(&world, "globex", Tier::Basic, 1).await;
    fix(&world, 5, "1.0.1", Severity::Minor).await;
    let (product, id) = (super::world::product(), CVE.parse::<AdvisoryId>().unwrap());
    let set = async |day: i64, affected: &[&str], url: Option<&str>| {
        let request = SetAdvisory {
            title: "Rows are read without permission".to_owned(),
            severity: Some(Severity::Critical),
            affected: affected.iter().map(|range| range.parse().unwrap()).collect(),
            url: url.map(str::to_owned),
        };
        world.on_day(day).set_advisory(&actor(), (&product, id.clone()), request).await
    };
    set(6, &["1.0.0..1.0.1"], None).await.unwrap();
    assert_eq!(one(&world.on_day(6)).await.severity, Severity::Critical);
    set(7, &["2.0.0.."], None).await.unwrap();
    assert!(exposure(&world.on_day(7)).await.machines.is_empty());
    let record = set(8, &[], Some("https://example.com/1")).await.unwrap();
    assert_eq!(record.changed_at, [6, 7, 8].map(super::world::after_days));
    assert_eq!(exposure(&world.on_day(8)).await.machines.len(), 1);
    for url in ["ftp://example.com", "https://exa mple.com", "javascript:alert(1)"] {
        assert_eq!(set(8, &[], Some(url)).await.unwrap_err().code(), "INVALID_REQUEST", "{url}");
    }
    let view = world.on_day(8).advisory(&product, &id).await.unwrap();
    assert_eq!(view.fixed_in, [super::world::version("1.0.1")]);
    let unknown = world.on_day(8).advisory(&product, &"CVE-7".parse().unwrap()).await;
    assert_eq!(unknown.unwrap_err().code(), "ADVISORY_UNKNOWN");

    let refused = world.on_day(9).csaf(&product, &id).await.unwrap_err();
    assert_eq!(refused.code(), "PUBLISHER_UNKNOWN");
    let publisher =
        Publisher { name: "Acme".to_owned(), namespace: "https://acme.example".to_owned() };
    let document = async |day: i64| {
        let service = world.on_day(day).with_publisher(Some(publisher.clone()));
        service.csaf(&product, &id).await.unwrap()
    };
    assert_eq!(document(9).await, document(99).await, "the same is said by the same bytes");
    let document = document(9).await;
    assert_eq!(document["document"]["tracking"]["version"], "4", "a fix, and three records");
    let status = &document["vulnerabilities"][0]["product_status"];
    assert_eq!(status["fixed"], serde_json::json!(["acme-db:1.0.1"]));
    assert_eq!(status["known_affected"], serde_json::json!(["acme-db:1.0.0"]));
}
