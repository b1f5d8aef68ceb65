//! Deltas: made by one server at a time, named to those who may have what they make.

use std::ops::ControlFlow;

use mainstay_client::{
    delta::{self, Limits},
    format::{
        Action, Artifact, Channel, DeltaPath, DeltaProfile, Digest, MachineName, Platform,
        wire::{CheckRequest, KnownMetadata},
    },
    pack::PayloadIdentity,
};

use super::world::{World, actor, platform, product, version};
use crate::{
    policy::{
        Tier,
        delta::{DeltaPair, DeltaRules, DeltaState, Making, TRIES_MAX, Tried},
    },
    service::{
        Service,
        delta::DeltaTurn,
        rollout::{ActOnRollout, RolloutAction},
    },
    store::{BlobStore as _, DeltaRecord, DeltaStore as _},
};

/// As many bytes as `seed` makes that do not get shorter when they are compressed, and a word.
fn contents(seed: u64, word: &str) -> Vec<u8> {
    let mut state = seed;
    let mut bytes: Vec<u8> = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    })
    .flatten()
    .take(80_000)
    .collect();
    bytes.extend(word.as_bytes());
    bytes
}

/// Words whose every letter is one of four that two letters before it let follow: mixed contexts learn that,
/// and no search for what came before.
fn prose(length: usize) -> Vec<u8> {
    let mut state = 7_u64;
    let mut text = vec![0_u8, 0];
    while text.len() < length {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let [before, last] = [text[text.len() - 2], text[text.len() - 1]].map(u64::from);
        let letter = (before * 31 + last * 17 + (state >> 62) * 7) % 26;
        text.push(b'a' + u8::try_from(letter).unwrap());
    }
    text
}

async fn publish(world: &World, days: i64, channel: Channel, text: &str, seed: u64) -> Artifact {
    publish_bytes(world, days, (channel, text), contents(seed, text)).await
}

async fn publish_bytes(
    world: &World,
    days: i64,
    (channel, text): (Channel, &str),
    bytes: Vec<u8>,
) -> Artifact {
    let artifact = world.artifact(bytes).await;
    let published = artifact.clone();
    let change = |manifest: &mut mainstay_client::format::ReleaseManifest| {
        manifest.artifacts.insert(platform(), published);
    };
    world.publish_as(days, channel, text, change).await.unwrap();
    artifact
}

/// A machine of a customer of `tier` that runs `running`.
async fn machine(world: &World, name: &str, tier: Tier, running: &str) -> MachineName {
    let key = world.customer(name, tier).await;
    let seed = name.len().try_into().unwrap();
    let name = world.enroll(&key, seed).await.unwrap().machine;
    world.report(1, &name, Some(running), Vec::new()).await;
    name
}

/// The server `holder` on some day, with what it was making before taken back.
async fn server(world: &World, days: i64, holder: &str) -> Service {
    with_rules(world, days, holder, DeltaRules::default()).await
}

async fn with_rules(world: &World, days: i64, holder: &str, rules: DeltaRules) -> Service {
    let service = world.on_day(days).with_deltas(rules, holder.to_owned());
    service.take_back_deltas().await.unwrap();
    service
}

/// Works until there is nothing to do, and says how many turns that took.
async fn work(service: &Service) -> usize {
    let mut turns = 0;
    while service.work_on_deltas().await.unwrap() == DeltaTurn::Done {
        turns += 1;
    }
    turns
}

fn pair(from: &str, to: &str) -> DeltaPair {
    DeltaPair {
        product: product(),
        platform: platform(),
        from: version(from),
        to: version(to),
        profile: DeltaProfile::Fast,
    }
}

async fn record(world: &World, pair: &DeltaPair) -> DeltaRecord {
    let mut all = world.meta.deltas_of(&product()).await.unwrap();
    all.retain(|record| record.pair == *pair);
    all.remove(0)
}

/// Has these bytes kept as the delta of a pair.
async fn keep(world: &World, pair: DeltaPair, bytes: &Artifact) {
    let (length, sha256) = (bytes.length, bytes.sha256);
    let state = DeltaState::Kept { length, sha256, shorter_by: 1 };
    let tried = Tried { state, at: super::after_days(3), tries: 0, seconds: 0 };
    let record = DeltaRecord { pair, revision: 0, tried };
    world.meta.claim_delta(record, super::after_days(3)).await.unwrap();
}

/// The deltas that a machine's plan names for its target.
async fn named(service: &Service, world: &World, name: &MachineName) -> Vec<DeltaPath> {
    let machine = world.machine(name).await;
    let request = CheckRequest {
        product: product(),
        platform: platform(),
        running: machine.running.clone(),
        known: KnownMetadata { root: 1, ..KnownMetadata::default() },
        agent: "test".to_owned(),
        facts: None,
        waits: None,
    };
    let answer = service.check(machine, &request).await.unwrap();
    match super::plan(&answer).action {
        Action::Update { target } => target.deltas,
        other => panic!("no update: {other:?}"),
    }
}

fn step_counts(paths: &[DeltaPath]) -> Vec<usize> {
    paths.iter().map(|path| path.steps.len()).collect()
}

async fn bytes(service: &Service, world: &World, name: &MachineName, digest: &Digest) -> Vec<u8> {
    let path = format!("deltas/{digest}");
    let machine = world.machine(name).await;
    let file = service.machine_file(&machine, &product(), &path).await.unwrap();
    world.blobs.bytes(&file.sha256, file.length).await.unwrap().to_vec()
}

#[tokio::test]
async fn what_is_named_makes_the_payload_that_was_signed() {
    let world = World::new().await;
    let old = publish(&world, 0, Channel::Major, "1.0.0", 7).await;
    let one = machine(&world, "acme", Tier::Premium, "1.0.0").await;
    let new = publish(&world, 2, Channel::Bugfix, "1.0.1", 7).await;
    let service = server(&world, 3, "one").await;
    assert_eq!(named(&service, &world, &one).await, []);
    let before = world.machine(&one).await.plan.unwrap();
    assert_eq!(work(&service).await, 1);
    let paths = named(&service, &world, &one).await;
    let after = world.machine(&one).await.plan.unwrap();
    assert_eq!(after.version, before.version + 1, "a new plan");
    named(&service, &world, &one).await;
    assert_eq!(world.machine(&one).await.plan.unwrap(), after, "and only one");

    assert_eq!((paths.len(), &paths[0].from, paths[0].steps.len()), (1, &version("1.0.0"), 1));
    let step = &paths[0].steps[0];
    assert_eq!(
        (step.payload_length, step.payload_sha256),
        (new.payload_length, new.payload_sha256)
    );
    let delta = bytes(&service, &world, &one, &step.sha256).await;
    assert_eq!((delta.len() as u64, Digest::of(&delta)), (step.length, step.sha256));
    let packed = world.blobs.bytes(&old.sha256, old.length).await.unwrap();
    let mut payload = mainstay_client::pack::Payload::new(
        packed.as_ref(),
        PayloadIdentity::from(&old),
        old.window_log,
    )
    .unwrap();
    let mut had = Vec::new();
    std::io::Read::read_to_end(&mut payload, &mut had).unwrap();
    let identity = PayloadIdentity::from(&new);
    let mut watch = |_| ControlFlow::Continue(());
    delta::apply(&had, &delta, &identity, &Limits::default(), std::io::sink(), &mut watch).unwrap();
    // Another server on the same records names it from its first check on, and makes none.
    let other = server(&world, 3, "other").await;
    assert_eq!(named(&other, &world, &one).await, paths);
    assert_eq!(work(&other).await, 0);
}

#[tokio::test]
async fn a_compact_delta_is_made_and_named_beside_a_fast_one() {
    let world = World::new().await;
    publish(&world, 0, Channel::Major, "1.0.0", 7).await;
    let one = machine(&world, "acme", Tier::Premium, "1.0.0").await;
    let much = [contents(7, "1.0.1"), prose(280_000)].concat();
    let new = publish_bytes(&world, 2, (Channel::Bugfix, "1.0.1"), much).await;
    let fast_only = DeltaRules { making: Making::FastOnly, ..DeltaRules::default() };
    assert_eq!(work(&with_rules(&world, 3, "one", fast_only).await).await, 1);
    let service = server(&world, 3, "one").await;
    assert_eq!(work(&service).await, 1);
    let profiles = |paths: &[DeltaPath]| -> Vec<DeltaProfile> {
        paths.iter().flat_map(|path| &path.steps).map(|step| step.profile).collect()
    };
    let paths = named(&service, &world, &one).await;
    assert_eq!(profiles(&paths), [DeltaProfile::Compact, DeltaProfile::Fast]);
    assert!(paths.iter().all(|path| path.steps[0].payload_sha256 == new.payload_sha256));
    let lengths: Vec<_> = paths.iter().map(|path| path.steps[0].length).collect();
    assert!(lengths[0] * 100 <= lengths[1] * 95, "{lengths:?}");
    let delta = bytes(&service, &world, &one, &paths[0].steps[0].sha256).await;
    assert_eq!(delta.len() as u64, lengths[0]);
    let page = service.deltas(&product()).await.unwrap();
    let listed: Vec<_> = page.deltas.iter().map(|it| (it.profile.as_str(), it.machines)).collect();
    assert_eq!(listed, [("fast", 1), ("compact", 1)]);
    assert_eq!(page.deltas[1].artifact_length, Some(new.length));
}

#[tokio::test]
async fn what_is_tried_again_adds_to_what_was_spent() {
    let world = World::new().await;
    publish(&world, 0, Channel::Major, "1.0.0", 7).await;
    machine(&world, "acme", Tier::Standard, "1.0.0").await;
    publish(&world, 2, Channel::Bugfix, "1.0.1", 7).await;
    let pair = pair("1.0.0", "1.0.1");
    let state =
        DeltaState::Waiting { from: super::after_days(2), reason: "the disk was full".to_owned() };
    let tried = Tried { state, at: super::after_days(3), tries: 0, seconds: 90 };
    let record_before = DeltaRecord { pair: pair.clone(), revision: 0, tried };
    world.meta.claim_delta(record_before, super::after_days(3)).await.unwrap();
    assert_eq!(work(&server(&world, 3, "one").await).await, 1);
    assert!(record(&world, &pair).await.tried.seconds > 90);
}

#[tokio::test]
async fn a_delta_is_for_those_who_may_have_what_it_makes() {
    let world = World::new().await;
    publish(&world, 0, Channel::Major, "1.0.0", 7).await;
    let one = machine(&world, "acme", Tier::Premium, "1.0.0").await;
    let basic = machine(&world, "globex", Tier::Basic, "1.0.0").await;
    publish(&world, 2, Channel::Feature, "1.1.0", 7).await;
    let service = server(&world, 3, "one").await;
    assert_eq!(work(&service).await, 1);
    let digest = named(&service, &world, &one).await[0].steps[0].sha256;
    let path = format!("deltas/{digest}");
    let ask = async |name: &MachineName, path: &str| {
        let machine = world.machine(name).await;
        let asked = service.machine_file(&machine, &product(), path).await;
        asked.map(|file| file.sha256).map_err(|error| error.code().to_owned())
    };
    assert_eq!(ask(&one, &path).await, Ok(digest));
    assert_eq!(ask(&basic, &path).await, Err("CHANNEL_NOT_COVERED".to_owned()));
    let unknown = format!("deltas/{}", Digest::of(b"unknown"));
    for path in [unknown.as_str(), "deltas/", "deltas/x", &format!("deltas/{digest}/")] {
        assert_eq!(ask(&one, path).await, Err("NOT_FOUND".to_owned()), "{path}");
    }
    let staff = service.staff_file(&product(), &path).await.unwrap();
    assert_eq!(staff.sha256, digest);
    // Of a custom build for somebody else there is nothing to learn, not even by its digest.
    let channel = world.private_channel(4, "acme", "q").await;
    let artifact = world.artifact(contents(7, "custom")).await;
    let change = |manifest: &mut mainstay_client::format::ReleaseManifest| {
        manifest.private_channel = Some(channel.clone());
        manifest.artifacts.insert(platform(), artifact);
    };
    world.publish_as(5, Channel::Bugfix, "1.1.1-custom.1", change).await.unwrap();
    let service = server(&world, 6, "one").await;
    assert_eq!(work(&service).await, 1, "of the customer's own: from 1.0.0 to the custom build");
    let custom = record(&world, &pair("1.0.0", "1.1.1-custom.1")).await;
    let DeltaState::Kept { sha256, .. } = custom.tried.state else { panic!("{custom:?}") };
    let path = format!("deltas/{sha256}");
    let machine = world.machine(&basic).await;
    let refused = service.machine_file(&machine, &product(), &path).await.unwrap_err();
    let unknown = service.machine_file(&machine, &product(), &unknown).await.unwrap_err();
    assert_eq!(refused.code(), "NOT_FOUND");
    assert_eq!(
        refused.message().replace(&sha256.to_string(), ""),
        unknown.message().replace(&Digest::of(b"unknown").to_string(), ""),
    );
    assert!(service.machine_file(&world.machine(&one).await, &product(), &path).await.is_ok());
}

#[tokio::test]
async fn a_chain_leads_over_what_the_machine_may_have_alone() {
    let world = World::new().await;
    publish(&world, 0, Channel::Major, "1.0.0", 7).await;
    let one = machine(&world, "acme", Tier::Standard, "1.0.0").await;
    publish(&world, 2, Channel::Bugfix, "1.0.1", 7).await;
    assert_eq!(work(&server(&world, 2, "one").await).await, 1);
    let two = machine(&world, "globex", Tier::Standard, "1.0.1").await;
    publish(&world, 3, Channel::Bugfix, "1.0.2", 7).await;
    // The one that leads there at once is not there yet.
    let service = server(&world, 3, "one").await;
    let direct = pair("1.0.0", "1.0.2");
    let failed = DeltaState::Failed { reason: "a test".to_owned() };
    let tried = Tried { state: failed, at: service.now(), tries: 1, seconds: 0 };
    let claim = DeltaRecord { pair: direct.clone(), revision: 0, tried };
    world.meta.claim_delta(claim, service.now()).await.unwrap();
    assert_eq!(work(&service).await, 1);
    assert_eq!(step_counts(&named(&service, &world, &one).await), [2]);
    assert_eq!(step_counts(&named(&service, &world, &two).await), [1]);

    // What was withdrawn is not given out on the way either.
    let revision = service.rollout(&product(), &version("1.0.1")).await.unwrap().record.revision;
    let (action, reason) = (RolloutAction::Withdraw {}, "it deletes data".to_owned());
    let request = ActOnRollout { expected_revision: revision, action, reason, ticket: None };
    service.act_on_rollout(&actor(), &product(), &version("1.0.1"), request).await.unwrap();
    assert_eq!(named(&service, &world, &one).await, []);

    let stored = record(&world, &direct).await;
    world.meta.forget_delta(&direct, stored.revision).await.unwrap();
    assert_eq!(work(&service).await, 1);
    assert_eq!(step_counts(&named(&service, &world, &one).await), [1]);
}

#[tokio::test]
async fn what_a_machine_says_that_it_runs_opens_nothing() {
    let world = World::new().await;
    publish(&world, 0, Channel::Major, "1.0.0", 7).await;
    let own = machine(&world, "acme", Tier::Standard, "1.0.0").await;
    let other = machine(&world, "globex", Tier::Standard, "1.0.0").await;
    let channel = world.private_channel(1, "acme", "q").await;
    let custom = world.artifact(contents(7, "custom")).await;
    let change = |manifest: &mut mainstay_client::format::ReleaseManifest| {
        manifest.private_channel = Some(channel.clone());
        manifest.artifacts.insert(platform(), custom);
    };
    world.publish_as(2, Channel::Bugfix, "1.0.1-custom.1", change).await.unwrap();
    publish(&world, 3, Channel::Bugfix, "1.0.1", 7).await;
    let bytes = world.artifact("a delta").await;
    let sha256 = bytes.sha256;
    keep(&world, pair("1.0.1-custom.1", "1.0.1"), &bytes).await;

    let service = server(&world, 4, "one").await;
    world.report(4, &other, Some("1.0.1-custom.1"), Vec::new()).await;
    assert_eq!(named(&service, &world, &other).await, [], "it would learn what it may not have");
    let ask = async |name: &MachineName| {
        let machine = world.machine(name).await;
        let asked = service.machine_file(&machine, &product(), &format!("deltas/{sha256}")).await;
        asked.map(|file| file.sha256).map_err(|error| error.code().to_owned())
    };
    assert_eq!(ask(&own).await, Ok(sha256));
    assert_eq!(ask(&other).await, Err("NOT_FOUND".to_owned()));
}

#[tokio::test]
async fn bytes_that_are_two_deltas_go_when_both_give_way() {
    let world = World::new().await;
    publish(&world, 0, Channel::Major, "1.0.0", 7).await;
    let bytes = world.artifact("a delta").await;
    let (length, sha256) = (bytes.length, bytes.sha256);
    keep(&world, pair("1.0.0", "1.0.1"), &bytes).await;
    keep(&world, pair("1.0.0", "1.0.2"), &bytes).await;
    let room = |disk_bytes| DeltaRules { disk_bytes, ..DeltaRules::default() };
    work(&with_rules(&world, 4, "one", room(length)).await).await;
    assert_eq!(world.blobs.length(&sha256).await.unwrap(), length, "one of them has room");
    keep(&world, pair("1.0.0", "1.0.3"), &bytes).await;
    work(&with_rules(&world, 4, "one", room(length - 1)).await).await;
    assert!(world.blobs.length(&sha256).await.is_err());
}

#[tokio::test]
async fn what_saves_nothing_is_tried_once() {
    let world = World::new().await;
    publish(&world, 0, Channel::Major, "1.0.0", 7).await;
    let one = machine(&world, "acme", Tier::Standard, "1.0.0").await;
    publish(&world, 2, Channel::Bugfix, "1.0.1", 8).await;
    assert_eq!(work(&server(&world, 3, "one").await).await, 1);
    let tried = record(&world, &pair("1.0.0", "1.0.1")).await.tried;
    assert!(matches!(tried.state, DeltaState::NotWorth { .. }), "{tried:?}");
    for days in [3, 30] {
        let service = server(&world, days, "one").await;
        assert_eq!(work(&service).await, 0);
        assert_eq!(named(&service, &world, &one).await, []);
    }
}

#[tokio::test]
async fn one_server_at_a_time_makes_it_and_the_next_takes_over() {
    let world = World::new().await;
    publish(&world, 0, Channel::Major, "1.0.0", 7).await;
    machine(&world, "acme", Tier::Standard, "1.0.0").await;
    publish(&world, 2, Channel::Bugfix, "1.0.1", 7).await;
    let pair = pair("1.0.0", "1.0.1");
    let claim = |by: &str, days, revision, tries| {
        let until = super::after_days(days);
        let state = DeltaState::Making { by: by.to_owned(), until };
        let tried = Tried { state, at: super::after_days(2), tries, seconds: 0 };
        DeltaRecord { pair: pair.clone(), revision, tried }
    };
    world.meta.claim_delta(claim("other", 4, 0, 1), super::after_days(2)).await.unwrap();
    assert_eq!(work(&server(&world, 3, "one").await).await, 0, "the other one makes it");
    // Its own it takes back at once: it is not making it any more.
    let own = server(&world, 3, "other").await;
    assert!(matches!(record(&world, &pair).await.tried.state, DeltaState::Waiting { .. }));
    drop(own);
    let revision = record(&world, &pair).await.revision;
    world.meta.claim_delta(claim("other", 4, revision, 1), super::after_days(2)).await.unwrap();
    assert_eq!(work(&server(&world, 4, "one").await).await, 1, "it is not heard of any more");
    let made = record(&world, &pair).await;
    assert!(matches!(made.tried.state, DeltaState::Kept { .. }), "{made:?}");
    assert_eq!(made.tried.tries, 0);

    world.meta.forget_delta(&pair, made.revision).await.unwrap();
    let often = claim("other", 4, 0, TRIES_MAX);
    world.meta.claim_delta(often, super::after_days(2)).await.unwrap();
    assert_eq!(work(&server(&world, 4, "one").await).await, 0);
    let given_up = record(&world, &pair).await.tried.state;
    let DeltaState::Failed { reason } = given_up else { panic!("{given_up:?}") };
    assert!(reason.starts_with("begun 3 times"), "{reason}");
}

#[tokio::test]
async fn a_server_that_stops_leaves_it_to_the_next() {
    let world = World::new().await;
    publish(&world, 0, Channel::Major, "1.0.0", 7).await;
    machine(&world, "acme", Tier::Standard, "1.0.0").await;
    publish(&world, 2, Channel::Bugfix, "1.0.1", 7).await;
    let service = server(&world, 3, "one").await;
    let begun = async {
        while world.meta.deltas_of(&product()).await.unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        service.stop_deltas();
    };
    let (turn, ()) = tokio::join!(service.work_on_deltas(), begun);
    assert_eq!(turn.unwrap(), DeltaTurn::Stopping);
    let left = record(&world, &pair("1.0.0", "1.0.1")).await.tried;
    assert!(matches!(left.state, DeltaState::Waiting { .. }), "{left:?}");
    assert_eq!(left.tries, 0, "nothing is held against it");
    assert_eq!(work(&server(&world, 3, "two").await).await, 1);
}

#[tokio::test]
async fn what_has_no_room_goes_with_its_blob_and_what_is_gone_is_made_again() {
    let world = World::new().await;
    publish(&world, 0, Channel::Major, "1.0.0", 7).await;
    let one = machine(&world, "acme", Tier::Standard, "1.0.0").await;
    publish(&world, 2, Channel::Bugfix, "1.0.1", 7).await;
    let service = server(&world, 3, "one").await;
    work(&service).await;
    let pair = pair("1.0.0", "1.0.1");
    let kept = record(&world, &pair).await.tried.state;
    let DeltaState::Kept { length, sha256, shorter_by } = kept else { panic!("{kept:?}") };
    assert!(length + shorter_by > 80_000, "{length} {shorter_by}");
    assert_eq!(world.blobs.length(&sha256).await.unwrap(), length);

    let narrow = DeltaRules { disk_bytes: length - 1, ..DeltaRules::default() };
    let service = with_rules(&world, 3, "one", narrow).await;
    assert_eq!(work(&service).await, 0);
    assert_eq!(record(&world, &pair).await.tried.state, DeltaState::Dropped { length });
    assert!(world.blobs.length(&sha256).await.is_err());
    assert_eq!(named(&service, &world, &one).await, []);

    let off = DeltaRules { making: Making::Off, ..DeltaRules::default() };
    assert_eq!(work(&with_rules(&world, 3, "one", off).await).await, 0);
    assert_eq!(work(&server(&world, 3, "one").await).await, 1, "there is room again");
    assert_eq!(world.blobs.length(&sha256).await.unwrap(), length);
    world.blobs.remove(&sha256).await.unwrap();
    let service = server(&world, 3, "one").await;
    assert_eq!(named(&service, &world, &one).await, [], "what is not there is not named");
    assert_eq!(work(&service).await, 1);
    assert_eq!(world.blobs.length(&sha256).await.unwrap(), length);
}

#[tokio::test]
async fn what_a_platform_does_not_run_is_not_made_for_it() {
    let world = World::new().await;
    publish(&world, 0, Channel::Major, "1.0.0", 7).await;
    let one = machine(&world, "acme", Tier::Standard, "1.0.0").await;
    let elsewhere: Platform = "linux-aarch64".parse().unwrap();
    let only_there = world.artifact(contents(7, "1.0.1")).await;
    let change = |manifest: &mut mainstay_client::format::ReleaseManifest| {
        manifest.artifacts = [(elsewhere, only_there)].into();
    };
    world.publish_as(2, Channel::Bugfix, "1.0.1", change).await.unwrap();
    assert_eq!(work(&server(&world, 3, "one").await).await, 0);
    assert_eq!(world.meta.deltas_of(&product()).await.unwrap(), []);
    // Nor for a machine that is not heard of any more.
    publish(&world, 4, Channel::Bugfix, "1.0.2", 7).await;
    assert_eq!(work(&server(&world, 400, "one").await).await, 0);
    let page = server(&world, 4, "one").await.deltas(&product()).await.unwrap();
    assert_eq!((page.looked_at, page.deltas.len()), (None, 0));
    drop(one);
}
