//! Custom builds: what their customer gets, and that there is nothing for anybody else.

use mainstay_client::{
    format::{Action, Channel, MachineName, PrivateChannelName, wire::EventKind},
    tuf::{Envelope, PathPattern, Snapshot},
};

use super::world::{World, actor, event, plan, product, version};
use crate::{
    policy::{Reopening, Tier},
    service::{Actor, Hidden, Scope, ServiceError, support::OrderRollback},
    store::MetaStore as _,
};

const CUSTOM: &str = "1.0.2-custom.1";

/// 1.0.0 and 1.0.1 for everybody, and a custom build of globex upon them.
struct Scene {
    world: World,
    channel: PrivateChannelName,
    own: MachineName,
    other: MachineName,
}

impl Scene {
    async fn new() -> Self {
        let world = World::new().await;
        world.publish(0, Channel::Major, "1.0.0").await.unwrap();
        world.publish(1, Channel::Bugfix, "1.0.1").await.unwrap();
        let key = world.customer("globex", Tier::Basic).await;
        let own = world.enroll(&key, 7).await.unwrap().machine;
        let key = world.customer("initech", Tier::Basic).await;
        let other = world.enroll(&key, 8).await.unwrap().machine;
        let channel = world.private_channel(2, "globex", "a").await;
        let custom = world.publish_as(3, Channel::Bugfix, CUSTOM, |release| {
            release.private_channel = Some(channel.clone());
            release.floor = Some(version("1.0.1"));
        });
        custom.await.unwrap();
        Self { world, channel, own, other }
    }

    async fn action(&self, day: i64, machine: &MachineName, running: Option<&str>) -> Action {
        plan(&self.world.check(day, machine, running).await).action
    }

    /// The answer to the machine of another customer that asks for a file.
    async fn other_asks(&self, path: &str) -> ServiceError {
        let machine = self.world.machine(&self.other).await;
        let file = self.world.on_day(4).machine_file(&machine, &product(), path).await;
        file.unwrap_err()
    }
}

/// Somebody who supports `customer` and is not the vendor's.
fn supporter_of(customer: &str) -> Actor {
    Actor { scope: Scope::Customers([customer.parse().unwrap()].into()), ..actor() }
}

/// The version that a plan installs, and the role that lists it.
fn target(action: &Action) -> Option<(String, String)> {
    let target = action.target()?;
    Some((target.version.to_string(), target.channel.to_string()))
}

#[tokio::test]
async fn a_custom_build_is_planned_for_its_customer_and_told_to_nobody_else() {
    let scene = Scene::new().await;
    let Scene { world, channel, own, other } = &scene;
    let (custom, role) = (CUSTOM.to_owned(), format!("{channel}.json"));
    let answer = world.check(4, own, Some("1.0.1")).await;
    assert_eq!(target(&plan(&answer).action), Some((custom, channel.to_string())));
    assert!(answer.metadata.contains_key(&role));

    for running in [None, Some("1.0.0"), Some("1.0.1"), Some(CUSTOM)] {
        let answer = world.check(4, other, running).await;
        let plan = plan(&answer);
        let expected = (!matches!(running, Some("1.0.1" | CUSTOM))).then_some("1.0.1".to_owned());
        assert_eq!(target(&plan.action).map(|(version, _)| version), expected);
        assert_eq!((plan.withheld, plan.notices), (vec![], vec![]));
        assert!(!answer.metadata.contains_key(&role));
    }
    let (vendor, helper) = (actor(), supporter_of("initech"));
    let service = world.on_day(4);
    let seen_by_vendor = service.explain(&vendor, other, Hidden::Listed).await.unwrap();
    let hidden = seen_by_vendor.iter().find(|entry| entry.version == version(CUSTOM)).unwrap();
    assert_eq!(hidden.code, "NOT_FOUND");
    let seen = service.explain(&helper, other, Hidden::Listed).await.unwrap();
    assert!(!seen.is_empty() && seen.iter().all(|entry| entry.version != version(CUSTOM)));
    let seen = service.explain(&supporter_of("globex"), own, Hidden::LeftOut).await.unwrap();
    assert!(seen.iter().any(|entry| entry.version == version(CUSTOM)));
    for to in [CUSTOM, "1.0.2-custom.7"] {
        let error = service.upgrade_path(&helper, other, Some(&version(to))).await.unwrap_err();
        assert_eq!(error.message(), format!("acme-db has no release {to}"));
    }
}

#[tokio::test]
async fn files_of_a_private_channel_are_to_others_as_files_that_never_were() {
    let scene = Scene::new().await;
    let Scene { world, channel, own, .. } = &scene;
    let releases = world.on_day(4).releases(&product()).await.unwrap();
    let custom = releases.iter().find(|one| one.release.version == version(CUSTOM)).unwrap();
    let targets = custom.files().map(|file| {
        let (folder, name) = file.path.as_str().rsplit_once('/').unwrap();
        format!("targets/{folder}/{}.{name}", file.sha256)
    });
    let paths: Vec<_> = targets.chain([format!("1.{channel}.json")]).collect();
    assert_eq!(paths.len(), 3);
    let machine = world.machine(own).await;
    let never = "b".repeat(26);
    for path in paths {
        world.on_day(4).machine_file(&machine, &product(), &path).await.unwrap();
        let hidden = scene.other_asks(&path).await;
        let absent = scene.other_asks(&path.replace(channel.as_str(), &never)).await;
        assert_eq!((hidden.code(), hidden.class()), (absent.code(), absent.class()));
        assert_eq!(hidden.code(), "NOT_FOUND");
        assert_eq!(hidden.message().replace(channel.as_str(), &never), absent.message());
    }
}

#[tokio::test]
async fn the_snapshot_says_nothing_of_a_private_channel_but_its_version() {
    let scene = Scene::new().await;
    let state = scene.world.on_day(4).publishing_state(&product()).await.unwrap();
    let snapshot = Envelope::parse("snapshot", state.metadata["snapshot.json"].as_bytes());
    let Snapshot { meta, .. } = snapshot.unwrap().document().unwrap();
    let listed = &meta[&format!("{}.json", scene.channel)];
    assert_eq!((listed.version.get(), listed.length, listed.hashes), (1, None, None));
    assert!(meta["bugfix.json"].hashes.is_some());
    for (name, text) in &state.metadata {
        let is_own = *name == format!("{}.json", scene.channel);
        assert_eq!(text.contains(CUSTOM), is_own, "{name}");
        assert!(!text.contains("globex"), "{name}");
    }
}

#[tokio::test]
async fn the_floor_of_a_custom_build_binds_its_customers_machines_alone() {
    let scene = Scene::new().await;
    let order = async |machine: &MachineName| {
        scene.world.check(4, machine, Some("1.0.1")).await;
        let request = OrderRollback {
            to: version("1.0.0").into(),
            exposure: Reopening::Refused,
            reason: "bad".to_owned(),
            ticket: None,
        };
        scene.world.on_day(4).order_rollback(&actor(), machine, request).await
    };
    order(&scene.other).await.unwrap();
    assert_eq!(order(&scene.own).await.unwrap_err().code(), "BELOW_FLOOR");
}

#[tokio::test]
async fn when_a_private_channel_ends_its_machines_get_what_everybody_gets() {
    let scene = Scene::new().await;
    let Scene { world, channel, own, .. } = &scene;
    scene.action(4, own, Some("1.0.1")).await;
    world.report(4, own, Some(CUSTOM), vec![event(1, EventKind::Confirmed, CUSTOM)]).await;
    world.publish(5, Channel::Bugfix, "1.0.2").await.unwrap();
    let kept = plan(&world.check(6, own, Some(CUSTOM)).await);
    assert_eq!(kept.action, Action::Stay);
    let withheld: Vec<_> = kept.withheld.iter().map(|entry| entry.code.as_str()).collect();
    assert_eq!(withheld, ["CUSTOM_BUILD"]);
    let explained = world.on_day(6).explain(&actor(), own, Hidden::LeftOut).await.unwrap();
    assert_eq!(explained.last().unwrap().code, "CUSTOM_BUILD");

    world.on_day(7).end_private_channel(&actor(), &product(), channel).await.unwrap();
    let bugfix = "bugfix".to_owned();
    let after = scene.action(8, own, Some(CUSTOM)).await;
    assert_eq!(target(&after), Some(("1.0.2".to_owned(), bugfix)));
    assert_eq!(scene.action(8, own, Some("1.0.2")).await, Action::Stay);
    // A machine that has had the build may go back to it.
    let request = OrderRollback {
        to: version(CUSTOM).into(),
        exposure: Reopening::Refused,
        reason: "bad".to_owned(),
        ticket: None,
    };
    world.on_day(8).order_rollback(&actor(), own, request).await.unwrap();
    let back = scene.action(8, own, Some("1.0.2")).await;
    assert_eq!(target(&back), Some((CUSTOM.to_owned(), channel.to_string())));

    let refused = world.publish_custom(9, channel, "1.0.3-custom.1").await.unwrap_err();
    assert!(refused.problems()[0].contains("has ended at"), "{:?}", refused.problems());
    let again = world.on_day(9).end_private_channel(&actor(), &product(), channel).await;
    assert_eq!(again.unwrap_err().code(), "CONFLICT");
}

#[tokio::test]
async fn a_channel_that_takes_over_keeps_machines_on_custom_builds() {
    let Scene { world, channel, own, .. } = Scene::new().await;
    let next = world.private_channel(4, "globex", "b").await;
    world.on_day(5).end_private_channel(&actor(), &product(), &channel).await.unwrap();
    world.publish(5, Channel::Bugfix, "1.0.2").await.unwrap();
    let kept = plan(&world.check(6, &own, Some(CUSTOM)).await);
    assert_eq!(kept.action, Action::Stay);
    world.publish_custom(7, &next, "1.0.3-custom.1").await.unwrap();
    let after = plan(&world.check(8, &own, Some(CUSTOM)).await).action;
    assert_eq!(target(&after), Some(("1.0.3-custom.1".to_owned(), next.to_string())));
}

#[tokio::test]
async fn builds_of_a_channel_that_has_ended_hold_no_stops() {
    let Scene { world, channel, .. } = Scene::new().await;
    world.publish(4, Channel::Bugfix, "1.0.2").await.unwrap();
    let build = world.publish_as(4, Channel::Bugfix, "1.0.3-custom.1", |release| {
        release.private_channel = Some(channel.clone());
        release.min_from = Some(version("1.0.2"));
    });
    build.await.unwrap();
    world.publish(5, Channel::Bugfix, "1.0.3").await.unwrap();
    let retire = async |day| {
        let request = world.retirement(day, &[version("1.0.2")].into(), |_| {}).await;
        world.on_day(day).retire(&actor(), &product(), request).await
    };
    assert_eq!(retire(6).await.unwrap_err().code(), "RETIREMENT_REFUSED");
    world.on_day(7).end_private_channel(&actor(), &product(), &channel).await.unwrap();
    retire(8).await.unwrap();
}

#[tokio::test]
async fn a_custom_build_that_could_give_itself_away_is_refused() {
    let Scene { world, channel, .. } = Scene::new().await;
    let only = |error: ServiceError, expected: &str| {
        assert_eq!(error.code(), "RELEASE_REFUSED");
        let problems = error.problems();
        assert!(matches!(problems, [one] if one.contains(expected)), "{problems:?}");
    };
    let nobodys: PrivateChannelName = "c".repeat(26).parse().unwrap();
    let refused = world.publish_custom(4, &nobodys, "1.0.3-custom.1").await.unwrap_err();
    assert!(refused.problems()[0].contains("is nobody's"), "{:?}", refused.problems());
    let refused = world.publish_custom(4, &channel, CUSTOM).await.unwrap_err();
    assert!(refused.problems()[0].contains("is published already"), "{:?}", refused.problems());
    let plain = world.publish_custom(4, &channel, "1.0.3").await.unwrap_err();
    only(plain, "version 1.0.3 of a custom build is one for everybody");
    for is_floor in [false, true] {
        let named = world.publish_as(4, Channel::Bugfix, "1.0.3", |release| {
            let named = if is_floor { &mut release.floor } else { &mut release.min_from };
            *named = Some(version(CUSTOM));
        });
        only(named.await.unwrap_err(), "a custom build that others must not learn of");
    }
    let own = world.publish_as(4, Channel::Bugfix, "1.0.3-custom.1", |release| {
        release.private_channel = Some(channel.clone());
        release.min_from = Some(version(CUSTOM));
    });
    own.await.unwrap();
}

/// A customer gets another channel, and its builds can be installed over those of the one before.
#[tokio::test]
async fn a_custom_build_can_name_one_of_the_customers_other_channel() {
    let Scene { world, channel, own, .. } = Scene::new().await;
    let second = world.private_channel(4, "globex", "d").await;
    let others = world.private_channel(4, "initech", "e").await;
    let upon = async |channel: &PrivateChannelName, text: &str| {
        let build = world.publish_as(5, Channel::Bugfix, text, |release| {
            release.private_channel = Some(channel.clone());
            release.min_from = Some(version(CUSTOM));
        });
        build.await
    };
    let refused = upon(&others, "1.0.3-custom.1").await.unwrap_err();
    let [problem] = refused.problems() else { panic!("{:?}", refused.problems()) };
    assert!(problem.contains("a custom build that others must not learn of"), "{problem}");
    upon(&second, "1.0.3-custom.2").await.unwrap();

    let to = async |running| target(&plan(&world.check(6, &own, running).await).action);
    let custom = Some((CUSTOM.to_owned(), channel.to_string()));
    let above = Some(("1.0.3-custom.2".to_owned(), second.to_string()));
    assert_eq!(to(Some("1.0.1")).await, custom);
    assert_eq!(to(Some(CUSTOM)).await, above);
    world.on_day(6).end_private_channel(&actor(), &product(), &channel).await.unwrap();
    assert_eq!(to(Some(CUSTOM)).await, above);
}

#[tokio::test]
async fn a_private_channel_speaks_for_its_own_paths_alone() {
    let Scene { world, channel, .. } = Scene::new().await;
    for wrong in ["*/*/*", "bugfix/*/*", "acme/*/*"] {
        let request = world.renewed(4, 90, |_, targets| {
            let roles = &mut targets.delegations.as_mut().unwrap().roles;
            let private = roles.iter_mut().find(|role| role.name == channel.as_str()).unwrap();
            private.paths = vec![PathPattern::try_from(wrong.to_owned()).unwrap()].into();
        });
        let refused = world.on_day(4).amend_metadata(&actor(), &product(), request.await).await;
        let error = refused.unwrap_err();
        let expected = format!("targets do not delegate {channel}/*/* alone");
        let found = error.problems().iter().any(|problem| problem.contains(&expected));
        assert!(found, "{wrong}: {:?}", error.problems());
    }
}

#[tokio::test]
async fn the_audit_trail_says_whose_a_private_channel_is_and_what_came_of_it() {
    let Scene { world, channel, .. } = Scene::new().await;
    world.on_day(4).end_private_channel(&actor(), &product(), &channel).await.unwrap();
    let trail = world.meta.audit(0, 100).await.unwrap();
    let told: Vec<_> = trail
        .iter()
        .filter(|record| record.entry.subject.contains(channel.as_str()))
        .map(|record| (record.entry.action.as_str(), record.entry.detail.as_str()))
        .collect();
    let whose = "private channel of customer globex";
    assert_eq!(told, [("channel.create", whose), ("channel.end", whose)]);
    let published = trail.iter().find(|one| one.entry.subject.ends_with(CUSTOM)).unwrap();
    let expected = format!(
        "channel bugfix, private channel {channel}, severity minor; rollout running, waves last:1d"
    );
    assert_eq!(published.entry.detail, expected);
}
