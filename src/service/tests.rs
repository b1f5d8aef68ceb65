//! The use cases over real stores, with the clock in the test's hand.

mod actions;
mod agreement;
mod answers;
mod census;
mod collect;
mod contract;
mod deltas;
mod exposure;
mod facts;
mod metadata;
mod notifications;
mod private_channel;
mod retirement;
mod rollout;
mod seats;
pub(crate) mod world;

use mainstay_client::format::{
    Action, Channel, MachineName,
    wire::{Event, EventKind, ReportRequest},
};
use world::{World, actor, after_days, event, plan, product, version};

use super::{
    ErrorClass,
    census::ListMachines,
    contract::CreateActivationKey,
    story::{MachineView, Older, ShowMachine},
    support::OrderRollback,
};
use crate::{
    policy::{Reopening, Tier},
    store::{MachineRecord, MetaStore as _, OrderState},
};

/// What was done with a machine.
fn done(view: &MachineView) -> Vec<&str> {
    view.actions.iter().map(|action| action.action.as_str()).collect()
}

/// A machine that runs 1.0.2, of which 1.0.0 to 1.0.2 are published.
async fn machine_on_1_0_2(world: &World) -> MachineName {
    world.publish(0, Channel::Major, "1.0.0").await.unwrap();
    world.publish(0, Channel::Bugfix, "1.0.1").await.unwrap();
    world.publish(0, Channel::Bugfix, "1.0.2").await.unwrap();
    let key = world.customer("globex", Tier::Basic).await;
    let name = world.enroll(&key, 7).await.unwrap().machine;
    world.check(1, &name, None).await;
    world.report(1, &name, Some("1.0.2"), vec![event(1, EventKind::Confirmed, "1.0.2")]).await;
    name
}

async fn order(world: &World, name: &MachineName, to: &str) {
    let request = OrderRollback {
        to: version(to).into(),
        exposure: Reopening::Refused,
        reason: "bad".to_owned(),
        ticket: None,
    };
    world.on_day(1).order_rollback(&actor(), name, request).await.unwrap();
}

#[tokio::test]
async fn a_channel_that_has_expired_keeps_no_other_channel_from_a_release() {
    let world = World::new().await;
    world.publish(0, Channel::Major, "1.0.0").await.unwrap();
    world.publish(60, Channel::Bugfix, "1.0.1").await.unwrap();
    world.publish(100, Channel::Bugfix, "1.0.2").await.unwrap();
    world.publish(300, Channel::Bugfix, "1.0.3").await.unwrap();
    world.publish(301, Channel::Major, "2.0.0").await.unwrap();
}

#[tokio::test]
async fn a_release_that_no_machine_could_look_up_is_refused() {
    let world = World::with_paths(|channel| format!("{channel}/1.*/*")).await;
    world.publish(0, Channel::Major, "1.0.0").await.unwrap();
    let error = world.publish(1, Channel::Major, "2.0.0").await.unwrap_err();
    assert_eq!(error.code(), "RELEASE_REFUSED");
    let refused: Vec<_> =
        error.problems().iter().filter(|problem| problem.contains("major/2.0.0/")).collect();
    assert_eq!(refused.len(), 2, "{:?}", error.problems());
    assert_eq!(world.on_day(1).releases(&product()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_machine_cannot_confirm_its_way_to_a_release_that_it_was_never_offered() {
    let world = World::new().await;
    world.publish(0, Channel::Major, "1.0.0").await.unwrap();
    world.publish(1, Channel::Major, "2.0.0").await.unwrap();
    let name = world.enroll(&world.customer("globex", Tier::Basic).await, 7).await.unwrap().machine;
    world.check(2, &name, None).await;

    let events =
        vec![event(1, EventKind::Confirmed, "1.0.0"), event(2, EventKind::Confirmed, "2.0.0")];
    world.report(2, &name, Some("1.0.0"), events).await;
    let machine = world.machine(&name).await;
    assert_eq!(machine.confirmed, [version("1.0.0")].into());
    let service = world.on_day(2);
    let releases = service.releases(&product()).await.unwrap();
    let manifest = &releases[1].manifest;
    let path = format!("targets/major/2.0.0/{}.release.json", manifest.sha256);
    let denied = service.machine_file(&machine, &product(), &path).await.unwrap_err();
    assert_eq!(denied.class(), ErrorClass::Forbidden);
}

#[tokio::test]
async fn a_machine_that_enrols_under_another_customer_gets_plans_for_that_customer() {
    let world = World::new().await;
    let (first, second) =
        (world.customer("globex", Tier::Basic).await, world.customer("initech", Tier::Basic).await);
    let name = world.enroll(&first, 7).await.unwrap().machine;
    assert_eq!(plan(&world.check(1, &name, None).await).customer.as_str(), "globex");
    assert_eq!(world.enroll(&second, 7).await.unwrap().machine, name);
    assert_eq!(plan(&world.check(1, &name, None).await).customer.as_str(), "initech");
}

#[tokio::test]
async fn a_machine_that_goes_over_to_another_customer_leaves_its_history_behind() {
    let world = World::new().await;
    let name = machine_on_1_0_2(&world).await;
    order(&world, &name, "1.0.1").await;
    let told = plan(&world.check(1, &name, Some("1.0.2")).await).version;
    let left = Event { from: Some(version("1.0.2")), ..event(2, EventKind::RolledBack, "1.0.1") };
    world.report(1, &name, Some("1.0.1"), vec![left]).await;
    let before = world.on_day(1).story(&actor(), &name, ShowMachine::default()).await.unwrap();
    assert_eq!((before.events.len(), before.machine.blocks.len()), (2, 1));
    assert_eq!(done(&before), ["machine.enroll", "machine.rollback"]);
    let said = |view: &MachineView| {
        let plans = view.plans.iter();
        plans.map(|plan| (plan.version, plan.action.clone())).collect::<Vec<_>>()
    };
    assert_eq!(said(&before).last(), Some(&(told, "rollback".to_owned())));

    // Under the same customer everything stays.
    let contract = "globex".parse().unwrap();
    let request = CreateActivationKey::default();
    let again = world.on_day(1).create_activation_key(&actor(), contract, request).await.unwrap();
    world.enroll(&again.activation_key, 7).await.unwrap();
    let stayed = world.on_day(1).story(&actor(), &name, ShowMachine::default()).await.unwrap();
    assert_eq!((&stayed.events, &stayed.machine.blocks), (&before.events, &before.machine.blocks));
    assert_eq!(stayed.plans, before.plans);
    let again = ["machine.enroll", "machine.rollback", "machine.enroll_again"];
    assert_eq!(done(&stayed), again);
    assert_eq!(stayed.machine.confirmed, before.machine.confirmed);

    let second = world.customer("initech", Tier::Basic).await;
    assert_eq!(world.enroll(&second, 7).await.unwrap().machine, name);
    let view = world.on_day(1).story(&actor(), &name, ShowMachine::default()).await.unwrap();
    let MachineRecord { confirmed, offered, blocks, order, running, .. } = &view.machine;
    assert!(confirmed.is_empty() && offered.is_empty() && blocks.is_empty());
    assert_eq!((view.events.as_slice(), order, running), ([].as_slice(), &None, &None));
    assert_eq!((view.plans.as_slice(), view.older), ([].as_slice(), Older::default()));
    assert_eq!(done(&view), ["machine.enroll_again"], "of what was before nothing is told");
    // The machine takes no plan below those that it knows, and goes on counting its events.
    assert!(plan(&world.check(1, &name, Some("1.0.1")).await).version > told);
    world.report(1, &name, Some("1.0.1"), vec![event(3, EventKind::Deferred, "1.0.2")]).await;
    let view = world.on_day(1).story(&actor(), &name, ShowMachine::default()).await.unwrap();
    assert_eq!(view.events.iter().map(|told| told.event.number).collect::<Vec<_>>(), [3]);
    assert_eq!(said(&view).iter().map(|(version, _)| *version).collect::<Vec<_>>(), [told + 1]);
    // What happened before is in the audit trail.
    let trail = world.meta.audit(0, 100).await.unwrap();
    let entry = trail.iter().rev().find(|it| it.entry.action == "machine.enroll_again").unwrap();
    let before = entry.entry.before.as_ref().unwrap();
    assert_eq!(before["customer"], "globex");
    assert_eq!(before["confirmed"], serde_json::json!(["1.0.2"]));
    assert_eq!(before["blocked"], serde_json::json!(["1.0.2"]));
    assert_eq!(
        (&before["order"]["to"], &before["order"]["state"]),
        (&"1.0.1".into(), &"done".into())
    );
    assert_eq!(before["event_number"], 2);
}

#[tokio::test]
async fn an_order_that_leaves_nothing_to_be_done_does_not_stay_open() {
    // Somebody at the machine was quicker and went lower; or the machine was set up anew.
    for running in [Some("1.0.0"), Some("1.0.1"), None] {
        let world = World::new().await;
        let name = machine_on_1_0_2(&world).await;
        order(&world, &name, "1.0.1").await;
        world.check(1, &name, running).await;
        assert_eq!(world.machine(&name).await.order.unwrap().state, OrderState::Done);
        world.publish(2, Channel::Bugfix, "1.0.3").await.unwrap();
        let plan = plan(&world.check(2, &name, running).await);
        assert_eq!(plan.action.target().unwrap().version, version("1.0.3"), "{running:?}");
    }
}

#[tokio::test]
async fn an_order_that_the_machine_will_never_carry_out_does_not_keep_updates_from_it() {
    let world = World::new().await;
    let name = machine_on_1_0_2(&world).await;
    order(&world, &name, "1.0.1").await;
    assert!(matches!(
        plan(&world.check(1, &name, Some("1.0.2")).await).action,
        Action::Rollback { .. }
    ));
    let refused = Event { order: Some(1), ..event(2, EventKind::Refused, "1.0.1") };
    world.report(1, &name, Some("1.0.2"), vec![refused]).await;
    assert_eq!(world.machine(&name).await.order.unwrap().state, OrderState::Failed);
    world.publish(2, Channel::Bugfix, "1.0.3").await.unwrap();
    let plan = plan(&world.check(2, &name, Some("1.0.2")).await);
    assert_eq!(plan.action.target().unwrap().version, version("1.0.3"));
}

#[tokio::test]
async fn what_a_machine_has_left_by_itself_is_not_offered_again() {
    let world = World::new().await;
    let name = machine_on_1_0_2(&world).await;
    let left = Event { from: Some(version("1.0.2")), ..event(2, EventKind::RolledBack, "1.0.0") };
    world.report(1, &name, Some("1.0.0"), vec![left]).await;
    let plan = plan(&world.check(1, &name, Some("1.0.0")).await);
    assert_eq!(plan.action.target().unwrap().version, version("1.0.1"));
    assert_eq!(
        (plan.withheld[0].version.clone(), plan.withheld[0].code.as_str()),
        (version("1.0.2"), "BLOCKED")
    );
}

#[tokio::test]
async fn a_machine_lifts_its_own_block_and_nobody_elses() {
    let world = World::new().await;
    let name = machine_on_1_0_2(&world).await;
    world.publish(2, Channel::Bugfix, "1.0.3").await.unwrap();
    world.report(2, &name, Some("1.0.2"), vec![event(2, EventKind::Undone, "1.0.3")]).await;
    let offered = async |day| {
        let plan = plan(&world.check(day, &name, Some("1.0.2")).await);
        plan.action.target().map(|target| target.version.to_string())
    };
    assert_eq!(offered(2).await, None);
    world.report(2, &name, Some("1.0.2"), vec![event(3, EventKind::Unblocked, "1.0.3")]).await;
    assert_eq!(offered(2).await.as_deref(), Some("1.0.3"));

    order(&world, &name, "1.0.1").await;
    let left = Event { from: Some(version("1.0.2")), ..event(4, EventKind::RolledBack, "1.0.1") };
    let lifted = event(5, EventKind::Unblocked, "1.0.2");
    world.report(3, &name, Some("1.0.1"), vec![left, lifted]).await;
    let plan = plan(&world.check(3, &name, Some("1.0.1")).await);
    assert!(plan.action.target().is_none_or(|it| it.version != version("1.0.2")), "{plan:?}");
}

#[tokio::test]
async fn what_a_power_cut_interrupted_is_offered_again() {
    let world = World::new().await;
    let name = machine_on_1_0_2(&world).await;
    world.publish(2, Channel::Bugfix, "1.0.3").await.unwrap();
    world.report(2, &name, Some("1.0.2"), vec![event(2, EventKind::Interrupted, "1.0.3")]).await;
    let plan = plan(&world.check(2, &name, Some("1.0.2")).await);
    assert_eq!(plan.action.target().unwrap().version, version("1.0.3"));
}

#[tokio::test]
async fn a_patch_that_comes_out_after_a_rollback_is_offered_and_what_was_left_is_not() {
    let world = World::new().await;
    world.publish(0, Channel::Major, "1.0.0").await.unwrap();
    world.publish(0, Channel::Feature, "1.1.0").await.unwrap();
    world.publish(0, Channel::Bugfix, "1.1.1").await.unwrap();
    let key = world.customer("globex", Tier::Standard).await;
    let name = world.enroll(&key, 7).await.unwrap().machine;
    world.check(1, &name, Some("1.1.1")).await;
    order(&world, &name, "1.0.0").await;
    assert_eq!(plan(&world.check(1, &name, Some("1.0.0")).await).action, Action::Stay);
    world.publish(2, Channel::Security, "1.0.1").await.unwrap();
    let plan = plan(&world.check(2, &name, Some("1.0.0")).await);
    assert_eq!(plan.action.target().unwrap().version, version("1.0.1"));
    let withheld: Vec<_> = plan.withheld.iter().map(|entry| entry.version.to_string()).collect();
    assert_eq!(withheld, ["1.1.0", "1.1.1"]);
}

#[tokio::test]
async fn orders_that_are_repeated_leave_one_block() {
    let world = World::new().await;
    let name = machine_on_1_0_2(&world).await;
    for to in ["1.0.1", "1.0.1", "1.0.0"] {
        order(&world, &name, to).await;
    }
    let machine = world.machine(&name).await;
    assert_eq!(machine.blocks.len(), 1);
    assert_eq!(machine.order.unwrap().number, 3);
}

#[tokio::test]
async fn a_machine_that_enrols_twice_at_once_is_one_machine() {
    let world = World::new().await;
    let key = world.customer("globex", Tier::Basic).await;
    let enrol = || world.enroll(&key, 7);
    let (one, two, three) = tokio::join!(enrol(), enrol(), enrol());
    let names = [one, two, three].map(|enrolled| enrolled.unwrap().machine);
    let all = world.on_day(0).machines(&actor(), ListMachines::default()).await.unwrap();
    assert_eq!(all.machines.len(), 1);
    assert!(names.iter().all(|name| *name == names[0]), "{names:?}");
}

#[tokio::test]
async fn a_product_that_cannot_be_renewed_keeps_no_other_from_it() {
    let world = World::new().await;
    // The first by name, with metadata that is not in the store.
    let mut broken = world.meta.product(&product()).await.unwrap();
    broken.name = "aaa".parse().unwrap();
    let audit = world.on_day(0).audit(&actor(), "test", "aaa");
    world.meta.create_product(broken, Vec::new(), audit).await.unwrap();

    let service = world.on_day(1);
    let renewals = service.renew_repositories().await.unwrap();
    assert_eq!((renewals.renewed, renewals.failed.len()), (1, 1));
    let timestamp = world.meta.product(&product()).await.unwrap().repository.timestamp;
    assert!(timestamp.expires > after_days(1));
}

#[tokio::test]
async fn a_machine_does_not_learn_which_other_products_there_are() {
    let world = World::new().await;
    let name = machine_on_1_0_2(&world).await;
    let mut other = world.meta.product(&product()).await.unwrap();
    other.name = "there".parse().unwrap();
    let service = world.on_day(0);
    let audit = service.audit(&actor(), "test", "there");
    world.meta.create_product(other, Vec::new(), audit).await.unwrap();
    let machine = world.machine(&name).await;
    for asked in ["there", "nowhere"] {
        let asked = asked.parse().unwrap();
        let error = service.machine_file(&machine, &asked, "timestamp.json").await.unwrap_err();
        assert_eq!((error.class(), error.code()), (ErrorClass::Forbidden, "PRODUCT_NOT_COVERED"));
        let request = ReportRequest { product: asked, running: None, events: Vec::new() };
        let error = service.report(machine.clone(), &request).await.unwrap_err();
        assert_eq!(error.code(), "WRONG_PRODUCT");
    }
    assert_eq!(world.machine(&name).await, machine);
}

#[tokio::test]
async fn a_plan_fits_into_a_record_whatever_the_reasons_say() {
    let world = World::new().await;
    world.publish(0, Channel::Major, "1.0.0").await.unwrap();
    for patch in 1..60 {
        world.publish(0, Channel::Bugfix, &format!("1.0.{patch}")).await.unwrap();
    }
    let key = world.customer("globex", Tier::Basic).await;
    let name = world.enroll(&key, 7).await.unwrap().machine;
    world.check(1, &name, Some("1.0.59")).await;
    let reason = "\u{1f4a5}".repeat(500);
    let request = OrderRollback {
        to: version("1.0.0").into(),
        exposure: Reopening::Refused,
        reason,
        ticket: None,
    };
    world.on_day(1).order_rollback(&actor(), &name, request).await.unwrap();
    let plan = plan(&world.check(1, &name, Some("1.0.0")).await);
    assert_eq!(plan.action, Action::Stay);
    assert_eq!(plan.withheld[0].version, version("1.0.1"), "the nearest come first");
}

#[tokio::test]
async fn a_version_that_failed_is_blocked_even_if_it_was_stamped_ahead_of_the_servers_clock() {
    let world = World::new().await;
    world.publish(0, Channel::Major, "1.0.0").await.unwrap();
    world.publish(1, Channel::Bugfix, "1.0.1").await.unwrap();
    let key = world.customer("globex", Tier::Basic).await;
    let name = world.enroll(&key, 7).await.unwrap().machine;
    world.check(1, &name, Some("1.0.0")).await;
    world.report(0, &name, Some("1.0.0"), vec![event(1, EventKind::Undone, "1.0.1")]).await;
    let plan = plan(&world.check(1, &name, Some("1.0.0")).await);
    assert_eq!(plan.action, Action::Stay);
    assert_eq!(plan.withheld[0].code, "BLOCKED");
}
