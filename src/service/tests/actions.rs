//! Actions over several machines, day by day.

use mainstay_client::format::{Channel, MachineName, wire::EventKind};

use super::world::{World, actor, after_days, event, version};
use crate::{
    policy::{AloneLimits, MachineAction, Tier},
    service::{
        Actor, Service,
        actions::{
            ActionProgress, ChangeAction, MachineSelection, OrderAction, ProgressState,
            WantedAction,
        },
    },
    store::{ActionState, ActionStore as _, MetaStore as _},
};

/// A world with 1.0.0, and machines that run it.
async fn world(machines: u8) -> (World, Vec<MachineName>) {
    let world = World::new().await;
    world.publish(0, Channel::Major, "1.0.0").await.unwrap();
    let key = world.customer("globex", Tier::Standard).await;
    let mut names = Vec::new();
    for seed in 0..machines {
        let machine = world.enroll(&key, 10 + seed).await.unwrap().machine;
        world.report(1, &machine, Some("1.0.0"), Vec::new()).await;
        names.push(machine);
    }
    (world, names)
}

async fn order(service: &Service, names: &[MachineName], action: MachineAction) -> ActionProgress {
    let machines = names.iter().cloned().collect();
    let selection = MachineSelection::Listed { machines };
    let shown = names.iter().cloned().collect();
    let (product, reason, ticket) = (None, "because".to_owned(), None);
    let wanted = WantedAction { product, selection, action, reason, ticket };
    service.order_action(&actor(), OrderAction { wanted, shown }).await.unwrap()
}

fn why() -> ChangeAction {
    ChangeAction { reason: "I have seen it".to_owned(), ticket: None }
}

fn states(progress: &ActionProgress) -> Vec<ProgressState> {
    progress.progress.iter().map(|machine| machine.state).collect()
}

async fn audited(world: &World, action: &str) -> usize {
    let trail = world.meta.audit(0, usize::MAX).await.unwrap();
    trail.iter().filter(|record| record.entry.action == action).count()
}

#[tokio::test]
async fn two_who_carry_an_action_out_do_no_machine_twice() {
    let (world, names) = world(8).await;
    let (one, other) = (world.on_day(2), world.on_day(2));
    let block = MachineAction::Block { version: version("1.0.0") };
    let ordered = order(&one, &names, block).await;
    assert_eq!(states(&ordered), vec![ProgressState::Waiting; 8]);
    let (a, b) = tokio::join!(one.carry_out_actions(), other.carry_out_actions());
    a.and(b).unwrap();
    one.carry_out_actions().await.unwrap();
    let id = ordered.summary.record.id;
    assert_eq!(world.meta.action(&id).await.unwrap().state, ActionState::Done);
    let progress = one.action_progress(&actor(), &id).await.unwrap();
    assert_eq!(states(&progress), vec![ProgressState::CarriedOut; 8]);
    for name in &names {
        assert_eq!(world.machine(name).await.blocks.len(), 1);
    }
    assert_eq!(
        (audited(&world, "machine.block").await, audited(&world, "action.done").await),
        (8, 1)
    );
}

/// What made sense when it was ordered, and makes none when it is approved, comes to an end as well.
#[tokio::test]
async fn a_hold_that_is_over_before_it_is_approved_is_nothing_that_can_be_done() {
    let (world, names) = world(2).await;
    let alone = AloneLimits { admin: 0, ..AloneLimits::default() };
    let hold = MachineAction::Hold { until: after_days(3) };
    let ordered = order(&world.on_day(2).with_alone(alone), &names, hold).await;
    let id = ordered.summary.record.id;
    assert_eq!(ordered.summary.record.state, ActionState::AwaitingApproval);
    let service = world.on_day(4);
    service.carry_out_actions().await.unwrap();
    let second = Actor { id: "tok-2 (night)".to_owned(), ..actor() };
    let approved = service.approve_action(&second, &id, why()).await.unwrap();
    assert_eq!(states(&approved), [ProgressState::Waiting; 2], "not before it is approved");
    service.carry_out_actions().await.unwrap();
    let progress = service.action_progress(&actor(), &id).await.unwrap();
    assert_eq!(states(&progress), [ProgressState::Cannot; 2]);
    assert!(progress.progress[0].detail.contains("which is past"), "{progress:?}");
    assert_eq!(progress.summary.record.state, ActionState::Done);
}

#[tokio::test]
async fn what_was_cancelled_is_followed_no_longer_and_what_was_recorded_stays() {
    let (world, names) = world(2).await;
    world.publish(2, Channel::Bugfix, "1.0.1").await.unwrap();
    let service = world.on_day(3);
    let pin = MachineAction::Install { version: version("1.0.1") };
    let ordered = order(&service, &names, pin).await;
    let id = ordered.summary.record.id;
    service.carry_out_actions().await.unwrap();
    world.check(3, &names[0], Some("1.0.0")).await;
    let progress = service.action_progress(&actor(), &id).await.unwrap();
    let told = progress.progress.iter().find(|it| it.machine == names[0]).unwrap();
    assert_eq!((told.state, progress.summary.counts.waiting), (ProgressState::Told, 1));
    let cancelled = service.cancel_action(&actor(), &id, why()).await.unwrap();
    assert_eq!(states(&cancelled), [ProgressState::Cancelled; 2]);
    assert!(cancelled.progress[0].detail.contains("may carry it out"), "{cancelled:?}");
    assert!(world.machine(&names[1]).await.pin.is_some());
    // What runs already is done as soon as it is recorded.
    let pin = order(&service, &names, MachineAction::Pin { version: version("1.0.0") }).await;
    service.carry_out_actions().await.unwrap();
    let pinned = service.action_progress(&actor(), &pin.summary.record.id).await.unwrap();
    assert_eq!(pinned.summary.record.state, ActionState::Running, "it has not confirmed it yet");
    let confirmed = vec![event(1, EventKind::Confirmed, "1.0.0")];
    for name in &names {
        world.report(3, name, Some("1.0.0"), confirmed.clone()).await;
    }
    service.carry_out_actions().await.unwrap();
    assert!(service.meta.open_actions().await.unwrap().is_empty());
}
