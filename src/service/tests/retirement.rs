//! Releases that are retired: who may still have them, and what no retirement may do.

use std::collections::{BTreeMap, BTreeSet};

use mainstay_client::{
    format::{Action, Channel, ChannelName, Platform, Version, wire::RetireRequest},
    tuf::{DelegatedRole, PathPattern, Targets},
};

use super::{
    machine_on_1_0_2, order,
    world::{World, actor, after_days, event, plan, product, version},
};
use crate::{
    policy::{Listing, Reopening, Tier},
    service::{
        Hidden,
        support::{Explanation, MachineStanding, OrderRollback},
    },
    store::MetaStore as _,
};

const ARCHIVE: &str = "archive.json";

fn versions(texts: &[&str]) -> BTreeSet<Version> {
    texts.iter().copied().map(version).collect()
}

async fn retire(world: &World, days: i64, texts: &[&str]) {
    let request = world.retirement(days, &versions(texts), |_| {}).await;
    world.on_day(days).retire(&actor(), &product(), request).await.unwrap();
}

/// Everything that is wrong with the retirement, of which `change` has had its way with the roles.
async fn refused(
    world: &World,
    texts: &[&str],
    change: impl FnOnce(&mut BTreeMap<ChannelName, Targets>),
) -> String {
    let before = world.on_day(2).publishing_state(&product()).await.unwrap();
    let request = world.retirement(2, &versions(texts), change).await;
    let error = world.on_day(2).retire(&actor(), &product(), request).await.unwrap_err();
    assert_eq!(error.code(), "RETIREMENT_REFUSED");
    let after = world.on_day(2).publishing_state(&product()).await.unwrap();
    assert_eq!((before.revision, before.metadata), (after.revision, after.metadata));
    let releases = world.meta.releases(&product()).await.unwrap();
    assert!(releases.iter().all(|release| release.listing() == Listing::Channel));
    error.problems().join("\n")
}

async fn explained(
    world: &World,
    name: &mainstay_client::format::MachineName,
    of: &str,
) -> Explanation {
    let explanations = world.on_day(2).explain(&actor(), name, Hidden::LeftOut).await.unwrap();
    explanations.into_iter().find(|entry| entry.version == version(of)).unwrap()
}

#[tokio::test]
async fn what_is_retired_is_for_those_who_had_it() {
    let world = World::new().await;
    let had = machine_on_1_0_2(&world).await;
    // It was offered 1.0.1 when that was the newest, say.
    let mut record = world.machine(&had).await;
    record.confirmed.insert(version("1.0.1"));
    let change = crate::store::MachineChange {
        machine: record,
        plan: None,
        events: Vec::new(),
        audit: None,
    };
    world.meta.change_machine(change).await.unwrap();
    retire(&world, 2, &["1.0.1"]).await;

    let stranger = world.enroll(&world.customer("initech", Tier::Basic).await, 8).await.unwrap();
    let answer = world.check(2, &stranger.machine, None).await;
    let fresh = plan(&answer);
    assert_eq!(fresh.action.target().unwrap().version, version("1.0.2"));
    assert_eq!(fresh.withheld, []);
    assert!(!answer.metadata.contains_key(ARCHIVE));
    assert!(!answer.metadata["bugfix.json"].contains("1.0.1"));
    let done = vec![event(1, super::EventKind::Confirmed, "1.0.2")];
    world.report(2, &stranger.machine, Some("1.0.2"), done).await;
    let entry = explained(&world, &stranger.machine, "1.0.1").await;
    assert_eq!((entry.code.as_str(), entry.standing), ("RETIRED", MachineStanding::Denied));
    let request = OrderRollback {
        to: version("1.0.1").into(),
        exposure: Reopening::Refused,
        reason: "bad".to_owned(),
        ticket: None,
    };
    let error =
        world.on_day(2).order_rollback(&actor(), &stranger.machine, request).await.unwrap_err();
    assert_eq!(error.code(), "ROLLBACK_IMPOSSIBLE");

    let answer = world.check(2, &had, Some("1.0.2")).await;
    assert_eq!(plan(&answer).action, Action::Stay);
    assert!(!answer.metadata.contains_key(ARCHIVE), "no plan names it");
    let entry = explained(&world, &had, "1.0.1").await;
    assert_eq!((entry.code.as_str(), entry.standing), ("ROLLBACK", MachineStanding::Confirmed));
    order(&world, &had, "1.0.1").await;
    let answer = world.check(2, &had, Some("1.0.2")).await;
    let Action::Rollback { target, .. } = plan(&answer).action else { panic!("no rollback") };
    assert_eq!(target.channel, ChannelName::archive());
    assert_eq!(target.manifest.path.as_str(), "archive/bugfix/1.0.1/release.json");
    assert_eq!(target.artifact.path.as_str(), "archive/bugfix/1.0.1/linux-x86_64.tar.zst");
    assert!(answer.metadata[ARCHIVE].contains(target.artifact.path.as_str()));

    // Where the archive has it, and where metadata from before says that it is.
    let (service, machine) = (world.on_day(2), world.machine(&had).await);
    for file in [&target.manifest, &target.artifact] {
        let listed = file.path.consistent(&file.sha256);
        for path in [listed.as_str(), listed.strip_prefix("archive/").unwrap()] {
            let path = format!("targets/{path}");
            let served = service.machine_file(&machine, &product(), &path).await.unwrap();
            assert_eq!((served.sha256, served.length), (file.sha256, file.length));
            service.staff_file(&product(), &path).await.unwrap();
        }
    }

    // Down there it can still check, and goes on when there is something new.
    let done = super::Event { order: Some(1), ..event(2, super::EventKind::RolledBack, "1.0.1") };
    world.report(2, &had, Some("1.0.1"), vec![done]).await;
    assert_eq!(plan(&world.check(2, &had, Some("1.0.1")).await).action, Action::Stay);
    world.publish(3, Channel::Bugfix, "1.0.3").await.unwrap();
    let next = plan(&world.check(3, &had, Some("1.0.1")).await);
    assert_eq!(next.action.target().unwrap().version, version("1.0.3"));
}

#[tokio::test]
async fn a_retirement_says_everything_that_is_in_the_way() {
    let world = World::new().await;
    machine_on_1_0_2(&world).await;
    let problems = refused(&world, &["1.0.0", "1.0.1", "1.0.2", "7.0.0"], |_| {}).await;
    for text in [
        "version 1.0.0 is the newest of channel major",
        "version 1.0.2 is the newest of channel bugfix",
        "version 7.0.0 is not published",
    ] {
        assert!(problems.contains(text), "{text}: {problems}");
    }
    assert!(refused(&world, &[], |_| {}).await.contains("no version is named"));
    world
        .publish_as(1, Channel::Bugfix, "1.0.3", |it| it.floor = Some(version("1.0.1")))
        .await
        .unwrap();
    world
        .publish_as(1, Channel::Bugfix, "1.0.4", |it| it.min_from = Some(version("1.0.3")))
        .await
        .unwrap();
    let problems = refused(&world, &["1.0.3"], |_| {}).await;
    assert!(problems.contains("sets the rollback floor 1.0.1"), "{problems}");
    assert!(problems.contains("the last stop on the way to 1.0.4"), "{problems}");
}

#[tokio::test]
async fn nothing_but_the_releases_moves() {
    let (bugfix, archive) = (ChannelName::from(Channel::Bugfix), ChannelName::archive());
    let world = World::new().await;
    machine_on_1_0_2(&world).await;
    let major = ChannelName::from(Channel::Major);
    let check = async |text: &str, change: &dyn Fn(&mut BTreeMap<ChannelName, Targets>)| {
        let problems = refused(&world, &["1.0.1"], |roles| change(roles)).await;
        assert!(problems.contains(text), "{text}: {problems}");
    };
    check("role archive is missing", &|roles| drop(roles.remove(&archive))).await;
    check("role bugfix is missing", &|roles| drop(roles.remove(&bugfix))).await;
    check("1.0.2/release.json is missing or changed", &|roles| {
        roles.get_mut(&bugfix).unwrap().targets.remove("bugfix/1.0.2/release.json");
    })
    .await;
    check("archive/bugfix/1.0.1/release.json is missing or changed", &|roles| {
        let targets = &mut roles.get_mut(&archive).unwrap().targets;
        targets.get_mut("archive/bugfix/1.0.1/release.json").unwrap().length += 1;
    })
    .await;
    check("target bugfix/1.0.1/release.json does not belong there", &|roles| {
        let targets = &roles[&archive].targets;
        let target = targets["archive/bugfix/1.0.1/release.json"].clone();
        let channel = &mut roles.get_mut(&bugfix).unwrap().targets;
        channel.insert("bugfix/1.0.1/release.json".to_owned(), target);
    })
    .await;
    check("role bugfix has version 7: expected 3", &|roles| {
        roles.get_mut(&bugfix).unwrap().header.version = 7.try_into().unwrap();
    })
    .await;
    check("role archive has version 2: expected 1", &|roles| {
        roles.get_mut(&archive).unwrap().header.version = 2.try_into().unwrap();
    })
    .await;
    check("role major lists none of the releases", &|roles| {
        let more = roles[&bugfix].clone();
        roles.insert(major.clone(), more);
    })
    .await;
    check("it expired", &|roles| {
        roles.get_mut(&archive).unwrap().header.expires = after_days(1);
    })
    .await;
    retire(&world, 2, &["1.0.1"]).await;
    let request = world.retirement(2, &versions(&["1.0.1"]), |_| {}).await;
    let error = world.on_day(2).retire(&actor(), &product(), request).await.unwrap_err();
    assert!(error.problems()[0].contains("is retired already"), "{:?}", error.problems());
    let again = world.publish(3, Channel::Bugfix, "1.0.1").await.unwrap_err();
    assert!(again.problems()[0].contains("is published already"), "{:?}", again.problems());
}

#[tokio::test]
async fn what_was_built_upon_an_older_revision_is_refused() {
    let world = World::new().await;
    machine_on_1_0_2(&world).await;
    let request = world.retirement(2, &versions(&["1.0.1"]), |_| {}).await;
    world.publish(2, Channel::Bugfix, "1.0.3").await.unwrap();
    let stale = RetireRequest { ..request.clone() };
    let error = world.on_day(2).retire(&actor(), &product(), stale).await.unwrap_err();
    assert_eq!(error.code(), "CONFLICT");
    // Not even where somebody says that it was not.
    let lie = RetireRequest { expected_revision: 5, ..request };
    let error = world.on_day(2).retire(&actor(), &product(), lie).await.unwrap_err();
    assert_eq!(error.code(), "RETIREMENT_REFUSED");
}

#[tokio::test]
async fn the_archive_is_seen_by_those_who_could_see_all_that_is_in_it() {
    let world = World::new().await;
    machine_on_1_0_2(&world).await;
    for line in ["1.1.0", "1.2.0"] {
        world.publish(1, Channel::Feature, line).await.unwrap();
    }
    // Tier `basic` has patches and no features, and line 1.0 was bought.
    let key = world.customer("initech", Tier::Basic).await;
    let name = world.enroll(&key, 8).await.unwrap().machine;
    let may_see = async |file: &str| {
        let machine = world.machine(&name).await;
        world.on_day(2).machine_file(&machine, &product(), file).await.is_ok()
    };
    assert!(!may_see("1.archive.json").await, "there is none");
    retire(&world, 2, &["1.1.0"]).await;
    assert!(!may_see("1.archive.json").await);
    // Now it has a release that is granted.
    retire(&world, 2, &["1.0.1"]).await;
    assert!(may_see("2.archive.json").await);
    world.on_day(2).staff_file(&product(), "1.archive.json").await.unwrap();
}

#[tokio::test]
async fn an_archive_in_which_machines_could_find_nothing_is_refused() {
    let world = World::new().await;
    machine_on_1_0_2(&world).await;
    let amended = async |change: &dyn Fn(&mut DelegatedRole)| {
        let request = world
            .renewed(2, 365, |_, targets| {
                let roles = targets.delegations.iter_mut().flat_map(|listed| &mut listed.roles);
                roles.filter(|role| role.name == ChannelName::ARCHIVE).for_each(change);
            })
            .await;
        let amended = world.on_day(2).amend_metadata(&actor(), &product(), request).await;
        amended.err().map(|error| error.problems().join("\n")).unwrap_or_default()
    };
    let text = "no terminating delegation of archive/*/*/* to `archive`";
    assert!(amended(&|role| role.terminating = false).await.contains(text));
    let paths = |text: &str| vec![PathPattern::try_from(text.to_owned()).unwrap()].into();
    assert!(amended(&|role| role.paths = paths("archive/*/*")).await.contains(text));
    retire(&world, 2, &["1.0.1"]).await;
    // Nor may it go once there is something in it.
    let gone = amended(&|role| role.name = "attic".to_owned()).await;
    assert!(gone.contains("do not delegate to it"), "{gone}");
    assert_eq!(amended(&|_| {}).await, "");
}

#[tokio::test]
async fn a_full_channel_takes_in_no_release_until_some_are_retired() {
    let world = World::new().await;
    world.publish(0, Channel::Major, "1.0.0").await.unwrap();
    let publish = async |patch: u64, platforms: usize| {
        let text = format!("1.0.{patch}");
        world
            .publish_as(1, Channel::Bugfix, &text, |manifest| {
                let artifact = manifest.artifacts.values().next().unwrap().clone();
                let platform = |index| format!("linux-x{index}").parse::<Platform>().unwrap();
                manifest.artifacts =
                    (0..platforms).map(|index| (platform(index), artifact.clone())).collect();
            })
            .await
    };
    for patch in 1..=15 {
        publish(patch, 64).await.unwrap();
    }
    publish(16, 24).await.unwrap();
    let error = publish(17, 1).await.unwrap_err();
    let text = "channel bugfix lists 1002 targets: expected at most 1000";
    assert!(error.problems()[0].contains(text), "{:?}", error.problems());
    assert!(error.problems()[0].contains("mainstay release retire"));
    retire(&world, 2, &["1.0.1"]).await;
    publish(17, 1).await.unwrap();
}
