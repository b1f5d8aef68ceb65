//! What the vendor signs besides releases, over the days.

use mainstay_client::{
    format::{Channel, Plan, wire::AmendMetadataRequest},
    tuf::{
        self, DIRECTOR, Limits, PlanBinding, Refusal, RoleKeys, SigningKey, TrustedRepository,
        TrustedRoot,
    },
};
use serde_json::{Value, json};

use super::world::{World, actor, after_days, plan, product};
use crate::{
    policy::{Expiry, Tier},
    service::{
        Service,
        keys::{IfMissing, OnlineKeys},
        status::OnlineKeyState,
    },
    store::MetaStore as _,
};

/// The repository as a machine takes it on day `day`, with the channels that it can still use.
async fn trusted(service: &Service, day: i64) -> Result<TrustedRepository, Refusal> {
    let state = service.publishing_state(&product()).await.unwrap();
    let part = |file: &str| state.metadata[file].as_bytes();
    let mut root = TrustedRoot::pin(part("1.root.json"), Limits::DEFAULT)?.of(&product())?;
    while let Some(next) = state.metadata.get(&format!("{}.root.json", root.version() + 1)) {
        root.rotate(next.as_bytes())?;
    }
    let mut repository = root
        .settle(after_days(day))?
        .accept(part("timestamp.json"))?
        .accept(part("snapshot.json"))?
        .accept(part("targets.json"))?;
    for channel in Channel::ALL {
        let file = format!("{channel}.json");
        if let Some(text) = state.metadata.get(&file) {
            let _expired = repository.accept_role(channel.as_str(), text.as_bytes());
        }
    }
    Ok(repository)
}

async fn amend(world: &World, day: i64, request: AmendMetadataRequest) -> Result<u64, Vec<String>> {
    match world.on_day(day).amend_metadata(&actor(), &product(), request).await {
        Ok(amended) => Ok(amended.revision),
        Err(error) => Err(error.problems().to_vec()),
    }
}

#[tokio::test]
async fn a_channel_whose_time_is_over_lives_on_without_a_release() {
    let world = World::new().await;
    world.publish(0, Channel::Major, "1.0.0").await.unwrap();
    let service = world.on_day(100);
    service.renew_repositories().await.unwrap();
    assert!(trusted(&service, 100).await.unwrap().roles().is_empty(), "its time is over");

    let renewed = world.renewed(100, 90, |_, _| {}).await;
    let channels_only = AmendMetadataRequest { root: None, targets: None, ..renewed };
    assert_eq!(amend(&world, 100, channels_only).await, Ok(3));
    let repository = trusted(&world.on_day(100), 100).await.unwrap();
    assert_eq!(repository.roles()["major"].targets.len(), 2);
    world.publish(101, Channel::Bugfix, "1.0.1").await.unwrap();
}

#[tokio::test]
async fn root_and_targets_whose_time_is_over_are_renewed_together() {
    let world = World::new().await;
    world.publish(0, Channel::Major, "1.0.0").await.unwrap();
    let near = world.renewed(1, 10, |_, _| {}).await;
    amend(&world, 1, near).await.unwrap();
    let service = world.on_day(20);
    service.renew_repositories().await.unwrap();
    assert!(trusted(&service, 20).await.is_err());

    let all = world.renewed(20, 365, |_, _| {}).await;
    let root_only = AmendMetadataRequest { targets: None, channels: [].into(), ..all.clone() };
    let problems = amend(&world, 20, root_only).await.unwrap_err();
    assert!(problems[0].contains("targets version 2 is refused (expired)"), "{problems:?}");
    assert_eq!(amend(&world, 20, all).await, Ok(4));
    trusted(&world.on_day(20), 20).await.unwrap();
    world.publish(20, Channel::Bugfix, "1.0.1").await.unwrap();
}

#[tokio::test]
async fn what_machines_could_not_use_is_refused() {
    let world = World::new().await;
    world.publish(0, Channel::Major, "1.0.0").await.unwrap();
    let stranger = SigningKey::from_seed(&[9; 32]).public();
    let nobody = RoleKeys::any_of([&stranger]);
    for (number, expected) in [
        "a timestamp key of this server",
        "a director key of this server",
        "of major/*/*",
        "not be found",
        "root lets a key of this server sign targets",
        "role security has 1 keys of which 2 must sign",
    ]
    .into_iter()
    .enumerate()
    {
        let request = world
            .renewed(1, 90, |root, targets| {
                let roles = &mut targets.delegations.as_mut().unwrap().roles;
                match number {
                    0 => root.roles.timestamp = nobody.clone(),
                    1 => {
                        roles.iter_mut().find(|role| role.name == DIRECTOR).unwrap().keys =
                            nobody.clone();
                    }
                    2 => roles.retain(|role| role.name != "major"),
                    4 => {
                        let online = root.roles.snapshot.keyids.clone();
                        root.roles.targets.keyids.extend(online);
                    }
                    5 => {
                        let security = roles.iter_mut().find(|role| role.name == "security");
                        security.unwrap().keys.threshold = 2.try_into().unwrap();
                    }
                    // Another channel may speak for the release, and is asked first.
                    _ => {
                        let major = roles.iter().find(|role| role.name == "major").unwrap();
                        let mut first = major.clone();
                        first.name = "first".to_owned();
                        roles.insert(0, first);
                    }
                }
            })
            .await;
        let problems = amend(&world, 1, request).await.unwrap_err();
        assert!(problems.iter().any(|problem| problem.contains(expected)), "{problems:?}");
    }
    assert_eq!(world.meta.product(&product()).await.unwrap().revision, 2);
}

/// `document` as `change` leaves it, signed anew with the key of `seed`.
fn edited(document: &str, seed: u8, change: impl FnOnce(&mut Value)) -> String {
    let document: Value = serde_json::from_str(document).unwrap();
    let mut signed = document["signed"].clone();
    change(&mut signed);
    let signed = tuf::sign(&signed, &[&SigningKey::from_seed(&[seed; 32])]).unwrap();
    String::from_utf8(signed).unwrap()
}

/// The vendor's own programs could not build upon it.
#[tokio::test]
async fn what_mainstay_does_not_write_is_refused() {
    let world = World::new().await;
    world.publish(0, Channel::Major, "1.0.0").await.unwrap();
    let good = world.renewed(1, 90, |_, _| {}).await;
    let refused = async |request: AmendMetadataRequest, expected: &str| {
        let problems = amend(&world, 1, request).await.unwrap_err();
        assert!(problems.iter().any(|problem| problem.contains(expected)), "{problems:?}");
    };
    let root_with = |change: fn(&mut Value)| AmendMetadataRequest {
        root: Some(edited(good.root.as_deref().unwrap(), 3, change)),
        ..good.clone()
    };
    refused(root_with(|root| root["x"] = 1.into()), "root: `/x` is not known").await;
    refused(root_with(|root| root["spec_version"] = "1.1".into()), "spec_version `1.1`").await;
    let alias = |root: &mut Value| {
        let id = root["roles"]["root"]["keyids"][0].clone();
        root["keys"]["alias"] = root["keys"][id.as_str().unwrap()].clone();
        root["roles"]["root"]["keyids"] = json!([id, "alias"]);
    };
    refused(root_with(alias), "are one key").await;
    let targets = edited(good.targets.as_deref().unwrap(), 1, |targets| targets["x"] = 1.into());
    refused(AmendMetadataRequest { targets: Some(targets), ..good.clone() }, "targets: `/x`").await;
    let major = edited(&good.channels[&Channel::Major.into()], 2, |major| major["x"] = 1.into());
    let channels = [(Channel::Major.into(), major)].into();
    refused(AmendMetadataRequest { channels, ..good.clone() }, "channel major: `/x`").await;
    assert_eq!(amend(&world, 1, good).await, Ok(3));
}

#[tokio::test]
async fn nothing_is_good_for_ever() {
    let world = World::new().await;
    world.publish(0, Channel::Major, "1.0.0").await.unwrap();
    for (days, expected) in [(3661, "at most 3660 days"), (0, "expected later")] {
        let request = world.renewed(1, days, |_, _| {}).await;
        let problems = amend(&world, 1, request).await.unwrap_err();
        for what in ["root", "targets", "channel major"] {
            let what = format!("{what}: it expires at");
            assert!(problems.iter().any(|problem| problem.starts_with(&what)), "{problems:?}");
        }
        assert!(problems.iter().any(|problem| problem.contains(expected)), "{problems:?}");
    }
    let request = world.renewed(1, 367, |_, _| {}).await;
    let problems = amend(&world, 1, request).await.unwrap_err();
    assert!(problems[0].contains("expected at most 366 days"), "{problems:?}");
}

#[tokio::test]
async fn plans_are_signed_by_the_director_that_the_targets_name() {
    let world = World::new().await;
    world.publish(0, Channel::Major, "1.0.0").await.unwrap();
    let key = world.customer("globex", Tier::Standard).await;
    let name = world.enroll(&key, 7).await.unwrap().machine;
    let machine = world.machine(&name).await;
    let binding = PlanBinding {
        product: product(),
        customer: machine.customer,
        machine: name.clone(),
        version_min: 0,
    };
    let signed = async |day: i64| -> Plan {
        let answer = world.check(day, &name, None).await;
        let repository = trusted(&world.on_day(day), day).await.unwrap();
        repository.plan(answer.plan.as_bytes(), &binding).unwrap()
    };
    let before = signed(0).await.version;
    let (new, _) = OnlineKeys::rotate(&world.keys_dir(), IfMissing::Refuse).unwrap();
    assert_eq!(signed(0).await.version, before, "nothing changes before it is adopted");
    assert_eq!(keys_of(&world, 0).await, OnlineKeyState::NewerWait);

    let adopt = world
        .renewed(0, 90, |root, targets| {
            root.keys.insert(new.timestamp.id(), new.timestamp.clone());
            root.keys.insert(new.snapshot.id(), new.snapshot.clone());
            root.roles.timestamp = RoleKeys::any_of([&new.timestamp]);
            root.roles.snapshot = RoleKeys::any_of([&new.snapshot]);
            let delegations = targets.delegations.as_mut().unwrap();
            delegations.keys.insert(new.director.id(), new.director.clone());
            for role in delegations.roles.iter_mut().filter(|role| role.name == DIRECTOR) {
                role.keys = RoleKeys::any_of([&new.director]);
            }
        })
        .await;
    amend(&world, 0, adopt).await.unwrap();
    assert_eq!(signed(0).await.version, before + 1);
    assert_eq!(keys_of(&world, 0).await, OnlineKeyState::Adopted);
}

#[tokio::test]
async fn with_its_keys_lost_a_server_gives_what_is_still_good() {
    let world = World::new().await;
    world.publish(0, Channel::Major, "1.0.0").await.unwrap();
    let key = world.customer("globex", Tier::Standard).await;
    let name = world.enroll(&key, 7).await.unwrap().machine;
    let before = world.check(0, &name, None).await;
    std::fs::remove_dir_all(world.keys_dir()).unwrap();
    OnlineKeys::rotate(&world.keys_dir(), IfMissing::GiveUp).unwrap();
    assert_eq!(keys_of(&world, 0).await, OnlineKeyState::Lost);
    // A plan lasts for seven days.
    assert_eq!(world.check(6, &name, Some("1.0.0")).await.plan, before.plan);
    let service = world.on_day(8);
    let renewals = service.renew_repositories().await.unwrap();
    assert_eq!(renewals.failed[0].1.code(), "ONLINE_KEY_LOST");
    assert!(plan(&before).expires < after_days(8));
}

async fn keys_of(world: &World, day: i64) -> OnlineKeyState {
    world.on_day(day).status().await.unwrap()[0].online_keys
}

#[tokio::test]
async fn the_status_says_what_to_renew_and_how() {
    let world = World::new().await;
    world.publish(0, Channel::Major, "1.0.0").await.unwrap();
    for (day, state, days_left) in [
        (0, Expiry::Far, 90),
        (60, Expiry::Within30Days, 30),
        (76, Expiry::Within14Days, 14),
        (87, Expiry::Within3Days, 3),
        (91, Expiry::Expired, -1),
    ] {
        let service = world.on_day(day);
        service.renew_repositories().await.unwrap();
        let status = service.status().await.unwrap().remove(0);
        let roles: Vec<_> = status.roles.iter().map(|role| role.role.as_str()).collect();
        assert_eq!(roles, ["root", "targets", "major", "snapshot", "timestamp"]);
        let major = &status.roles[2];
        assert_eq!((major.state, major.days_left), (state, days_left));
        let command = "mainstay trust renew --product acme-db";
        assert_eq!(major.command.as_deref(), (day > 0).then_some(command));
        assert_eq!(status.is_urgent(), day >= 87);
        assert!(status.roles[3..].iter().all(|role| role.state == Expiry::Far));
    }
}

#[tokio::test]
async fn a_record_that_does_not_name_the_director_yet_is_as_good() {
    let world = World::new().await;
    world.publish(0, Channel::Major, "1.0.0").await.unwrap();
    let key = world.customer("globex", Tier::Standard).await;
    let name = world.enroll(&key, 7).await.unwrap().machine;
    let before = world.check(0, &name, None).await;
    let mut record = world.meta.product(&product()).await.unwrap();
    record.repository.directors = None;
    record.repository.timestamp.version += 1;
    let (revision, repository) = (record.revision, record.repository);
    world.meta.renew_repository(&product(), revision, repository, Vec::new()).await.unwrap();
    assert_eq!(world.check(0, &name, None).await.plan, before.plan);
    assert_eq!(keys_of(&world, 0).await, OnlineKeyState::Adopted);
}

#[tokio::test]
async fn a_record_from_before_lines_were_dated_dates_none() {
    let world = World::new().await;
    let record = world.meta.product(&product()).await.unwrap();
    let mut written = serde_json::to_value(&record).unwrap();
    assert!(written["repository"].as_object_mut().unwrap().remove("lines").is_some());
    let read: crate::store::ProductRecord = serde_json::from_value(written).unwrap();
    assert_eq!(read, record);
}

#[tokio::test]
async fn online_metadata_are_signed_anew_once_half_of_the_timestamps_time_is_over() {
    let world = World::new().await;
    let half = after_days(0) + jiff::SignedDuration::from_hours(12);
    let just_after = half + jiff::SignedDuration::from_secs(1);
    for (now, renewed) in [(half, 0), (just_after, 1), (just_after, 0)] {
        let renewals = world.at(now).renew_repositories().await.unwrap();
        assert_eq!((renewals.renewed, renewals.failed.len()), (renewed, 0), "{now}");
    }
    let state = world.at(just_after).publishing_state(&product()).await.unwrap();
    for (file, hours) in [("timestamp.json", 24), ("snapshot.json", 7 * 24)] {
        let document: serde_json::Value = serde_json::from_str(&state.metadata[file]).unwrap();
        let expires = just_after + jiff::SignedDuration::from_hours(hours);
        assert_eq!(document["signed"]["expires"], expires.to_string(), "{file}");
        assert_eq!(document["signed"]["version"], 2, "{file}");
    }
}
