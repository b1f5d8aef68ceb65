//! Rollouts as machines and technicians meet them, day by day.

use mainstay_client::format::{Channel, MachineName, Severity, Version, wire::EventKind};

use super::world::{World, actor, event, plan, product, version};
use crate::{
    policy::{
        Reopening, RolloutState, RolloutWish, Status, Tier,
        rollout::{Approval, Canaries},
    },
    service::{
        Actor, ErrorClass, ServiceError, ServiceResult,
        action::{ActOnMachine, MachineAction},
        rollout::{
            ActOnRollout, ChangeStop, PlanRollout, PlannedRelease, RolloutAction, RolloutOutcome,
            RolloutView,
        },
        support::OrderRollback,
    },
    store::{MetaStore as _, Publication, StopState},
};

/// A world in which 1.0.0 is out, and the machines of globex that run it.
async fn world(machines: u8) -> (World, Vec<MachineName>) {
    let world = World::new().await;
    world.publish(0, Channel::Major, "1.0.0").await.unwrap();
    let key = world.customer("globex", Tier::Standard).await;
    let mut names = Vec::new();
    for seed in 0..machines {
        names.push(world.enroll(&key, 10 + seed).await.unwrap().machine);
    }
    for name in &names {
        world.check(1, name, Some("1.0.0")).await;
    }
    (world, names)
}

fn wish(waves: &str) -> RolloutWish {
    RolloutWish { waves: Some(waves.parse().unwrap()), ..RolloutWish::default() }
}

async fn publish(world: &World, day: i64, version: &str, wish: RolloutWish) {
    world.publish_spreading(day, Channel::Bugfix, version, wish, |_| {}).await.unwrap();
}

/// What a machine that runs 1.0.0 is told on a day: what to install, and why not what is higher.
async fn told(world: &World, day: i64, name: &MachineName) -> (Option<String>, Vec<String>) {
    let plan = plan(&world.check(day, name, Some("1.0.0")).await);
    let next = plan.action.target().map(|target| target.version.to_string());
    (next, plan.withheld.into_iter().map(|entry| entry.message).collect())
}

async fn offered(world: &World, day: i64, name: &MachineName) -> Option<String> {
    told(world, day, name).await.0
}

/// How many of the machines are told to install something.
async fn reached(world: &World, day: i64, names: &[MachineName]) -> usize {
    let mut reached = 0;
    for name in names {
        reached += usize::from(offered(world, day, name).await.is_some());
    }
    reached
}

async fn show(world: &World, day: i64, of: &str) -> RolloutView {
    world.on_day(day).rollout(&product(), &version(of)).await.unwrap()
}

async fn act(
    world: &World,
    day: i64,
    of: &str,
    action: RolloutAction,
) -> ServiceResult<RolloutOutcome> {
    let known = world.on_day(day).rollout(&product(), &version(of)).await;
    let revision = known.map_or(0, |view| view.record.revision);
    act_as(world, &actor(), day, of, (revision, action)).await
}

async fn act_as(
    world: &World,
    actor: &Actor,
    day: i64,
    of: &str,
    (expected_revision, action): (u64, RolloutAction),
) -> ServiceResult<RolloutOutcome> {
    let reason = "because".to_owned();
    let request = ActOnRollout { expected_revision, action, reason, ticket: None };
    world.on_day(day).act_on_rollout(actor, &product(), &version(of), request).await
}

fn somebody_else() -> Actor {
    Actor { id: "tok-2 (night)".to_owned(), ..actor() }
}

#[tokio::test]
async fn waves_reach_more_and_more_machines_and_the_others_get_what_was_there_before() {
    let (world, names) = world(20).await;
    publish(&world, 2, "1.0.1", RolloutWish::default()).await;
    publish(&world, 10, "1.0.2", wish("50%:5d,100%:5d")).await;
    let first = reached_version(&world, 10, &names, "1.0.2").await;
    // Names are made at random: one in a million worlds has all of them on one side.
    assert!((1..20).contains(&first), "{first} of 20");
    for name in &names {
        let (next, withheld) = told(&world, 12, name).await;
        if next.as_deref() == Some("1.0.1") {
            assert_eq!(withheld.len(), 1);
            assert!(
                withheld[0].contains("wave 2 of 3, which is to begin at 2026-01-16T"),
                "{withheld:?}"
            );
        } else {
            assert_eq!((next.as_deref(), withheld.len()), (Some("1.0.2"), 0));
        }
    }
    assert_eq!(reached_version(&world, 14, &names, "1.0.2").await, first, "the same ones");
    assert_eq!(reached_version(&world, 15, &names, "1.0.2").await, 20);
}

async fn reached_version(world: &World, day: i64, names: &[MachineName], of: &str) -> usize {
    let mut reached = 0;
    for name in names {
        reached += usize::from(offered(world, day, name).await.as_deref() == Some(of));
    }
    reached
}

#[tokio::test]
async fn a_plan_stays_the_same_while_a_machine_waits() {
    let (world, names) = world(1).await;
    publish(&world, 2, "1.0.1", wish("canaries:9d,100%")).await;
    let first = world.check(3, &names[0], Some("1.0.0")).await;
    let again = world.check(5, &names[0], Some("1.0.0")).await;
    assert_eq!(first.plan, again.plan, "nothing is signed anew for nothing");
}

#[tokio::test]
async fn failures_pause_a_rollout_in_the_report_that_tells_of_them() {
    let (world, names) = world(5).await;
    let failure = serde_json::from_str(r#"{"share": "50%", "tried_min": 3}"#).unwrap();
    publish(&world, 2, "1.0.1", RolloutWish { failure, ..wish("100%:9d") }).await;
    assert_eq!(reached(&world, 2, &names[..4]).await, 4);
    let report = async |machine: usize, kind| {
        world.report(3, &names[machine], Some("1.0.0"), vec![event(1, kind, "1.0.1")]).await;
    };
    report(0, EventKind::Confirmed).await;
    report(1, EventKind::Undone).await;
    // The same event in other words.
    report(1, EventKind::Confirmed).await;
    assert_eq!(show(&world, 3, "1.0.1").await.record.rollout.state, RolloutState::Running);
    report(2, EventKind::Undone).await;
    let view = show(&world, 3, "1.0.1").await;
    assert_eq!(view.record.rollout.state, RolloutState::Paused);
    assert_eq!((view.outcomes.tried, view.outcomes.succeeded, view.outcomes.failed), (3, 1, 2));
    assert_eq!(view.record.changed.by, "server");
    let reason = "2 of 3 machines failed; the threshold is 50% of at least 3";
    assert_eq!(view.record.changed.reason, reason);
    let trail = world.meta.audit(0, 1000).await.unwrap();
    let entry = &trail.last().unwrap().entry;
    assert_eq!((entry.action.as_str(), entry.actor.as_str()), ("rollout.pause", "server"));

    // Neither who never heard of it nor who was told of it is given it now; who has it keeps it.
    for name in &names[3..] {
        let (next, withheld) = told(&world, 4, name).await;
        assert_eq!(next, None);
        assert!(withheld[0].ends_with("yet: it is paused."), "{withheld:?}");
        assert!(!withheld[0].contains("failed"), "others' failures are nobody's business");
    }
    let plan = plan(&world.check(4, &names[0], Some("1.0.1")).await);
    assert!(plan.action.target().is_none() && plan.withheld.is_empty());

    let outcome = act(&world, 5, "1.0.1", RolloutAction::Resume {}).await.unwrap();
    assert_eq!(outcome.after.record.rollout.state, RolloutState::Running);
    assert_eq!(offered(&world, 5, &names[3]).await.as_deref(), Some("1.0.1"));
    report(3, EventKind::Undone).await;
    let view = show(&world, 5, "1.0.1").await;
    assert_eq!(view.record.rollout.state, RolloutState::Running, "one has failed since");
}

#[tokio::test]
async fn the_second_of_two_people_is_told_what_the_first_has_done() {
    let (world, names) = world(1).await;
    publish(&world, 2, "1.0.1", wish("canaries:9d,100%")).await;
    let seen = show(&world, 3, "1.0.1").await.record.revision;
    act_as(&world, &somebody_else(), 3, "1.0.1", (seen, RolloutAction::Pause {})).await.unwrap();
    let finish = act_as(&world, &actor(), 3, "1.0.1", (seen, RolloutAction::Finish {})).await;
    let error = finish.unwrap_err();
    assert_eq!((error.class(), error.code()), (ErrorClass::Conflict, "CONFLICT"));
    for expected in ["it is paused (revision 2)", "by tok-2 (night) at 2026-01-04", ": because"] {
        assert!(error.message().contains(expected), "{}", error.message());
    }
    assert_eq!(offered(&world, 3, &names[0]).await, None);
    // Whoever has seen that may do so.
    act(&world, 3, "1.0.1", RolloutAction::Finish {}).await.unwrap();
    assert_eq!(offered(&world, 3, &names[0]).await.as_deref(), Some("1.0.1"));
    let again = act(&world, 3, "1.0.1", RolloutAction::Resume {}).await.unwrap_err();
    assert_eq!(again.code(), "ROLLOUT_IMPOSSIBLE");
    assert!(again.message().contains("is finished, by tok-1 (test)"), "{}", again.message());
}

#[tokio::test]
async fn what_is_withdrawn_is_given_to_nobody_and_kept_by_who_has_it() {
    let (world, names) = world(2).await;
    publish(&world, 2, "1.0.1", RolloutWish::default()).await;
    assert_eq!(offered(&world, 2, &names[0]).await.as_deref(), Some("1.0.1"));
    world.report(2, &names[0], Some("1.0.1"), vec![event(1, EventKind::Confirmed, "1.0.1")]).await;
    act(&world, 3, "1.0.1", RolloutAction::Withdraw {}).await.unwrap();
    let (next, withheld) = told(&world, 3, &names[1]).await;
    assert_eq!(next, None);
    assert!(withheld[0].contains("withdrawn"), "{withheld:?}");
    let plan = plan(&world.check(3, &names[0], Some("1.0.1")).await);
    assert!(plan.action.target().is_none() && plan.withheld.is_empty());
    let releases = world.on_day(3).releases(&product()).await.unwrap();
    assert_eq!(releases[1].release.status, Status::Withdrawn);
    let again = act(&world, 4, "1.0.1", RolloutAction::Resume {}).await.unwrap_err();
    assert_eq!(again.code(), "ROLLOUT_IMPOSSIBLE");
}

#[tokio::test]
async fn a_second_person_has_to_approve_where_that_is_the_rule() {
    let (mut world, names) = world(1).await;
    world.rollouts.approval = Approval::SecondPerson;
    let critical =
        world.publish_spreading(2, Channel::Security, "1.0.1", RolloutWish::default(), |release| {
            release.severity = Severity::Critical;
        });
    critical.await.unwrap();
    let (next, withheld) = told(&world, 3, &names[0]).await;
    assert_eq!(next, None);
    assert!(withheld[0].contains("it has to be approved first"), "{withheld:?}");
    let alone = act(&world, 3, "1.0.1", RolloutAction::Approve {}).await.unwrap_err();
    assert_eq!((alone.class(), alone.code()), (ErrorClass::Forbidden, "SAME_PERSON"));
    for action in [RolloutAction::Finish {}, RolloutAction::Resume {}] {
        let round_it = act_as(&world, &actor(), 3, "1.0.1", (1, action)).await.unwrap_err();
        assert_eq!(round_it.code(), "ROLLOUT_IMPOSSIBLE");
    }
    let approve = (1, RolloutAction::Approve {});
    act_as(&world, &somebody_else(), 4, "1.0.1", approve).await.unwrap();
    assert_eq!(offered(&world, 4, &names[0]).await.as_deref(), Some("1.0.1"));
    assert_eq!(show(&world, 4, "1.0.1").await.record.started.by, "tok-1 (test)");
}

#[tokio::test]
async fn a_stop_is_for_everything_but_going_back() {
    let (world, names) = world(2).await;
    publish(&world, 2, "1.0.1", RolloutWish::default()).await;
    let change = |expected_revision| ChangeStop {
        expected_revision,
        reason: "it deletes data".to_owned(),
        ticket: Some("SUP-7".to_owned()),
    };
    let (stop, product) = (change(0), product());
    let stopped = world.on_day(3).stop_product(&actor(), &product, stop.clone()).await.unwrap();
    assert_eq!((stopped.state, stopped.revision), (StopState::Stopped, 1));
    let (next, withheld) = told(&world, 3, &names[0]).await;
    assert_eq!(next, None);
    assert!(
        withheld[0].ends_with("all updates of the product are stopped for now."),
        "{withheld:?}"
    );
    let again = world.on_day(3).stop_product(&somebody_else(), &product, stop).await.unwrap_err();
    assert_eq!(again.code(), "CONFLICT");
    let told_who =
        "they are stopped (revision 1), by tok-1 (test) at 2026-01-04T00:00:00Z: it deletes data";
    assert!(again.message().contains(told_who), "{}", again.message());

    world.report(3, &names[1], Some("1.0.1"), Vec::new()).await;
    let order = OrderRollback {
        to: version("1.0.0").into(),
        exposure: Reopening::Refused,
        reason: "bad".to_owned(),
        ticket: None,
    };
    world.on_day(3).order_rollback(&actor(), &names[1], order).await.unwrap();
    let back = plan(&world.check(3, &names[1], Some("1.0.1")).await);
    assert_eq!(back.action.target().unwrap().version, version("1.0.0"));

    let unseen = world.on_day(4).unstop_product(&actor(), &product, change(0)).await;
    assert_eq!(unseen.unwrap_err().code(), "CONFLICT");
    world.on_day(4).unstop_product(&actor(), &product, change(1)).await.unwrap();
    assert_eq!(offered(&world, 4, &names[0]).await.as_deref(), Some("1.0.1"));
    let all = world.on_day(4).rollouts(&product).await.unwrap();
    assert_eq!(all.stop.unwrap().state, StopState::Lifted);
}

/// Nobody tries a release while everything is stopped, so the next waves do not come meanwhile.
#[tokio::test]
async fn what_is_being_rolled_out_does_not_go_on_behind_a_stop() {
    let (world, names) = world(20).await;
    publish(&world, 2, "1.0.1", wish("50%:5d,100%:5d")).await;
    let first = reached(&world, 2, &names).await;
    assert!((1..20).contains(&first), "{first} of 20");
    let change = |expected_revision| ChangeStop {
        expected_revision,
        reason: "something deletes data".to_owned(),
        ticket: None,
    };
    world.on_day(3).stop_product(&actor(), &product(), change(0)).await.unwrap();
    publish(&world, 4, "1.0.2", wish("50%:5d,100%:5d")).await;
    world.on_day(60).finish_rollouts().await.unwrap();
    for of in ["1.0.1", "1.0.2"] {
        let view = show(&world, 60, of).await;
        assert_eq!(view.record.rollout.state, RolloutState::Paused, "{of}");
        assert_eq!(view.record.changed.reason, "something deletes data");
        let early = act(&world, 60, of, RolloutAction::Resume {}).await.unwrap_err();
        assert_eq!(early.code(), "ROLLOUT_IMPOSSIBLE");
        assert!(early.message().contains("lift that first"), "{}", early.message());
    }
    act(&world, 60, "1.0.2", RolloutAction::Withdraw {}).await.unwrap();
    world.on_day(61).unstop_product(&actor(), &product(), change(1)).await.unwrap();
    assert_eq!(reached(&world, 61, &names).await, 0, "until somebody resumes it");
    act(&world, 61, "1.0.1", RolloutAction::Resume {}).await.unwrap();
    assert_eq!(reached(&world, 61, &names).await, first, "the same ones, and no more");
    assert_eq!(reached(&world, 64, &names).await, first, "one day of the five was over before");
    assert_eq!(reached(&world, 65, &names).await, 20);
}

#[tokio::test]
async fn rings_canaries_and_pins_come_first() {
    let (world, names) = world(4).await;
    let ring = async |name: &MachineName, ring: &str| {
        let action = MachineAction::Ring { ring: ring.parse().unwrap() };
        let request = ActOnMachine { action, reason: "a test machine".to_owned(), ticket: None };
        world.on_day(1).act_on_machine(&actor(), name, request).await
    };
    ring(&names[0], "early").await.unwrap();
    ring(&names[1], "last").await.unwrap();
    let again = ring(&names[1], "last").await.unwrap_err();
    assert_eq!(again.code(), "ACTION_IMPOSSIBLE");
    let machines = [names[2].clone()].into();
    let canaries = Some(Canaries { machines, ..Canaries::default() });
    let waves = "canaries:2d,early:2d,100%:2d,last:2d";
    publish(&world, 10, "1.0.1", RolloutWish { canaries, ..wish(waves) }).await;
    let mut who = Vec::new();
    for day in [10, 12, 14, 16] {
        let mut told = Vec::new();
        for name in &names {
            told.push(offered(&world, day, name).await.is_some());
        }
        who.push(told);
    }
    let expected = [
        [false, false, true, false],
        [true, false, true, false],
        [true, false, true, true],
        [true, true, true, true],
    ];
    assert_eq!(who, expected);

    publish(&world, 20, "1.0.2", wish("canaries:2d,100%")).await;
    assert_eq!(offered(&world, 20, &names[3]).await.as_deref(), Some("1.0.1"));
    let action = MachineAction::Pin { version: version("1.0.2") };
    let request = ActOnMachine { action, reason: "the one patch".to_owned(), ticket: None };
    world.on_day(20).act_on_machine(&actor(), &names[3], request).await.unwrap();
    assert_eq!(offered(&world, 20, &names[3]).await.as_deref(), Some("1.0.2"));
}

/// Makes 1.0.2 of what 1.0.1 is, as a server from before there were rollouts would have.
async fn publish_as_before_there_were_rollouts(world: &World) {
    let product = product();
    let mut release = world.meta.releases(&product).await.unwrap().remove(1);
    release.release.version = version("1.0.2");
    let mut stored = world.meta.product(&product).await.unwrap();
    stored.repository.timestamp.version += 1;
    let (repository, files) = (stored.repository, Vec::new());
    let publication = Publication { release, rollout: None, repository, files };
    let audit = world.on_day(3).audit(&actor(), "release.publish", "1.0.2");
    let published = world.meta.publish_release(&product, stored.revision, publication, audit);
    published.await.unwrap();
}

#[tokio::test]
async fn a_release_from_before_gets_a_rollout_when_somebody_starts_one() {
    let (world, names) = world(1).await;
    publish(&world, 2, "1.0.1", RolloutWish::default()).await;
    publish_as_before_there_were_rollouts(&world).await;
    assert_eq!(offered(&world, 4, &names[0]).await.as_deref(), Some("1.0.2"));
    world.report(4, &names[0], Some("1.0.0"), vec![event(1, EventKind::Undone, "1.0.2")]).await;
    world.report(4, &names[0], Some("1.0.0"), vec![event(2, EventKind::Unblocked, "1.0.2")]).await;
    let nothing = act(&world, 4, "1.0.2", RolloutAction::Pause {}).await.unwrap_err();
    assert_eq!(nothing.code(), "ROLLOUT_IMPOSSIBLE");
    assert!(nothing.message().contains("1.0.2 has no rollout"), "{}", nothing.message());

    let start = || RolloutAction::Start { rollout: wish("canaries:9d,100%") };
    let started = act(&world, 4, "1.0.2", start()).await.unwrap();
    assert_eq!((started.before.is_none(), started.after.record.revision), (true, 1));
    assert_eq!(started.after.record.rollout.baseline.failed, 1, "from before it was started");
    assert_eq!(show(&world, 4, "1.0.2").await.record, started.after.record);
    act(&world, 4, "1.0.2", RolloutAction::Pause {}).await.unwrap();
    assert_eq!(offered(&world, 4, &names[0]).await.as_deref(), Some("1.0.1"));
    let twice = act(&world, 4, "1.0.2", start()).await.unwrap_err();
    assert_eq!(twice.code(), "ROLLOUT_IMPOSSIBLE");
    for action in [start(), RolloutAction::Pause {}] {
        let unknown = act(&world, 4, "1.0.9", action).await.unwrap_err();
        assert_eq!(unknown.code(), "NOT_FOUND");
    }
}

#[tokio::test]
async fn a_rollout_is_noted_as_finished_when_all_waves_have_had_their_time() {
    let (world, names) = world(1).await;
    publish(&world, 2, "1.0.1", wish("canaries:2d,last:2d")).await;
    assert_eq!(world.on_day(5).finish_rollouts().await.unwrap(), 1, "that of 1.0.0");
    assert_eq!(world.on_day(5).finish_rollouts().await.unwrap(), 0);
    assert_eq!(world.on_day(6).finish_rollouts().await.unwrap(), 1);
    let view = show(&world, 6, "1.0.1").await;
    assert_eq!(view.record.rollout.state, RolloutState::Finished);
    assert_eq!(world.meta.live_rollouts(&product()).await.unwrap(), []);
    assert_eq!(offered(&world, 6, &names[0]).await.as_deref(), Some("1.0.1"));
}

/// The machines of each wave, and when it begins.
async fn foreseen(world: &World, day: i64, of: &str, request: PlanRollout) -> Vec<(u64, String)> {
    let service = world.on_day(day);
    let plan = service.plan_rollout(&actor(), &product(), &version(of), request).await.unwrap();
    let waves = plan.waves.into_iter();
    waves.map(|it| (it.machines, it.wave.begins.unwrap().to_string())).collect()
}

#[tokio::test]
async fn a_plan_says_how_many_machines_of_which_customers_and_when() {
    let (world, names) = world(9).await;
    let key = world.customer("initech", Tier::Standard).await;
    let other = world.enroll(&key, 7).await.unwrap().machine;
    world.check(1, &other, Some("1.0.1")).await;
    let release = PlannedRelease {
        channel: Channel::Bugfix,
        private_channel: None,
        severity: Severity::Minor,
        platforms: [super::world::platform()].into(),
        advisories: [].into(),
        requires_addons: [].into(),
        audience: [].into(),
        courtesy: false,
        min_from: None,
        effective_at: None,
    };
    let rollout = wish("50%:3d,100%:3d");
    let request = PlanRollout { rollout: rollout.clone(), release: Some(release.clone()) };
    let before = foreseen(&world, 10, "1.0.1", request.clone()).await;
    let service = world.on_day(10);
    let plan =
        service.plan_rollout(&actor(), &product(), &version("1.0.1"), request).await.unwrap();
    assert_eq!((plan.having, plan.beyond, plan.unreached), (1, 0, 0));
    assert_eq!(plan.waves[0].customers[0].customer.as_str(), "globex");
    let machines: u64 = before.iter().map(|(machines, _)| machines).sum();
    assert_eq!(machines, 9);
    assert_eq!(before[1].1, "2026-01-14T00:00:00Z");
    assert_eq!(world.on_day(10).releases(&product()).await.unwrap().len(), 1, "nothing is done");

    // It comes true.
    publish(&world, 10, "1.0.1", rollout).await;
    assert_eq!(foreseen(&world, 10, "1.0.1", PlanRollout::default()).await, before);
    assert_eq!(reached(&world, 10, &names).await as u64, before[0].0);
    let addon = PlannedRelease { requires_addons: ["maps".parse().unwrap()].into(), ..release };
    let request = PlanRollout { rollout: RolloutWish::default(), release: Some(addon.clone()) };
    let plan =
        service.plan_rollout(&actor(), &product(), &version("1.0.2"), request).await.unwrap();
    assert_eq!(plan.withheld, [("ADDON_MISSING".to_owned(), 10)].into());
    let request = PlanRollout { rollout: RolloutWish::default(), release: Some(addon) };
    let twice = service.plan_rollout(&actor(), &product(), &version("1.0.1"), request).await;
    assert_eq!(twice.unwrap_err().code(), "INVALID_REQUEST");
    let nothing = PlanRollout::default();
    let unknown: ServiceError =
        service.plan_rollout(&actor(), &product(), &version("1.0.9"), nothing).await.unwrap_err();
    assert_eq!(unknown.code(), "NOT_FOUND");
}

#[tokio::test]
async fn a_preview_says_what_a_step_would_do_and_does_nothing() {
    let (world, names) = world(3).await;
    publish(&world, 2, "1.0.1", wish("canaries:9d,100%:1d")).await;
    let request = ActOnRollout {
        expected_revision: 1,
        action: RolloutAction::Finish {},
        reason: "it is good".to_owned(),
        ticket: None,
    };
    let of: Version = version("1.0.1");
    let service = world.on_day(3);
    let preview = service.preview_rollout_action(&actor(), &product(), &of, request).await.unwrap();
    assert_eq!(preview.after.record.rollout.state, RolloutState::Finished);
    let plan = preview.plan.unwrap();
    assert_eq!(plan.waves.last().unwrap().machines, 3);
    assert_eq!(show(&world, 3, "1.0.1").await.record.rollout.state, RolloutState::Running);
    assert_eq!(offered(&world, 3, &names[0]).await, None);
}
