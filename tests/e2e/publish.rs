//! What may become a release, and that everything else leaves no trace.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use jiff::{SignedDuration, Timestamp};
use mainstay_client::{
    format::{Channel, LineDates, Lines, Platform},
    tuf::{Delegations, SigningKey, Target, Targets},
};
use serde_json::Value;

use crate::{
    by_hand::{Candidate, Packed, verified},
    harness::{Server, platform, write},
    http::Answer,
};

/// A server with the product and its release 1.0.0.
pub(crate) fn opened() -> Server {
    let server = Server::with_product();
    server.publish("1.0.0", "major", &[]);
    server
}

/// Expects `attempt` to be refused as a release and to leave everything as it was; says the
/// problems.
#[track_caller]
pub(crate) fn refusal(server: &Server, attempt: impl FnOnce() -> Answer) -> Vec<String> {
    let before = server.visible();
    let problems = attempt().refuses(422, "RELEASE_REFUSED").problems;
    assert_eq!(server.visible(), before);
    problems
}

/// Expects one problem, which says `text`.
#[track_caller]
pub(crate) fn assert_only(problems: &[String], text: &str) {
    assert!(matches!(problems, [problem] if problem.contains(text)), "{text}: {problems:#?}");
}

fn version_json(version: &str) -> mainstay_client::format::Version {
    version.parse().unwrap()
}

#[test]
fn a_release_becomes_visible_in_one_step() {
    let server = opened();
    let release = Candidate::new(&server, "1.0.1", Channel::Bugfix);
    let before = server.visible();
    assert_eq!((before.versions(), before.revision), (vec!["1.0.0"], 2));
    assert!(!before.metadata.contains_key("bugfix.json"));

    release.commit(&server).has_status(201);
    let after = server.visible();
    assert_eq!((after.versions(), after.revision), (vec!["1.0.0", "1.0.1"], 3));
    let path = release.manifest.path();
    assert!(verified(&server.publishing_state()).target(&path).is_ok());
}

#[test]
fn whoever_looks_during_a_publish_sees_all_of_it_or_nothing() {
    let server = opened();
    let tree = server.tree("1.0.1");
    let mut publisher = server.publish_command("1.0.1", "bugfix", &tree, &[]).spawn().unwrap();
    let path = "bugfix/1.0.1/release.json".parse().unwrap();
    loop {
        let has_ended = publisher.try_wait().unwrap();
        let state = server.publishing_state();
        let is_listed = verified(&state).target(&path).is_ok();
        assert_eq!(is_listed, state.revision == 3, "revision {}", state.revision);
        if let Some(status) = has_ended {
            assert!(status.success() && is_listed, "{status}");
            break;
        }
    }
}

#[test]
fn a_release_may_be_for_several_platforms() {
    let server = Server::with_product();
    let other = server.path("trees/other");
    write(&other.join("program.txt"), 0o644, "for another machine");
    let other_platform = format!("plan9-mips={}", other.display());
    server.publish("1.0.0", "major", &["--platform", &other_platform]);

    let visible = server.visible();
    let artifacts = visible.releases[0]["artifacts"].as_object().unwrap();
    let platforms: Vec<_> = artifacts.keys().cloned().collect();
    assert_eq!(platforms, [platform(), "plan9-mips".to_owned()]);
    assert_ne!(artifacts[&platform()]["sha256"], artifacts["plan9-mips"]["sha256"]);
    let trusted = verified(&server.publishing_state());
    for platform in platforms {
        let path = format!("major/1.0.0/{platform}.tar.zst").parse().unwrap();
        assert!(trusted.target(&path).is_ok(), "{path}");
    }
}

#[test]
fn the_same_tree_packs_to_the_same_artifact() {
    let server = opened();
    // Written in another order, at another time, in another place.
    let copy = server.path("elsewhere/copy");
    for (file, mode) in [("mainstay.toml", 0o644), ("VERSION", 0o644), ("bin/run", 0o755)] {
        let original = server.path("trees/1.0.0").join(file);
        write(&copy.join(file), mode, &fs::read_to_string(original).unwrap());
    }
    server.publish_tree("1.0.1", "bugfix", &copy, &[]).succeeds();

    let visible = server.visible();
    assert_eq!(visible.versions(), ["1.0.0", "1.0.1"]);
    let [first, second] = &visible.releases[..] else { panic!("{visible:?}") };
    assert_eq!(first["artifacts"], second["artifacts"]);
}

#[test]
fn channel_and_step_must_agree() {
    let server = opened();
    for (version, channel) in [
        ("2.0.0", Channel::Feature),
        ("2.0.0", Channel::Bugfix),
        ("2.0.0", Channel::Security),
        ("1.1.0", Channel::Major),
        ("1.1.0", Channel::Bugfix),
        ("1.1.0", Channel::Security),
        ("1.0.1", Channel::Major),
        ("1.0.1", Channel::Feature),
    ] {
        let release = Candidate::new(&server, version, channel);
        let problems = refusal(&server, || release.commit(&server));
        let expected = format!("version {version} does not fit channel {channel}: expected X.");
        assert!(problems[0].starts_with(&expected), "{problems:?}");

        let nowhere = Path::new("not-looked-at");
        let refused = server.publish_tree(version, channel.as_str(), nowhere, &[]).exits(2);
        assert!(refused.stderr().contains(&expected), "{}", refused.stderr());
    }
}

#[test]
fn a_version_is_published_once() {
    let server = opened();
    server.publish("1.0.1", "bugfix", &[]);
    for channel in ["bugfix", "security"] {
        let before = server.visible();
        let tree = server.tree("1.0.1");
        write(&tree.join("VERSION"), 0o644, "other bytes");
        let refused = server.publish_tree("1.0.1", channel, &tree, &[]).exits(3);
        let expected = "version 1.0.1 is published already";
        assert!(refused.stderr().contains(expected), "{}", refused.stderr());
        assert_eq!(server.visible(), before);
    }
}

#[test]
fn a_patch_needs_a_line_that_is_open() {
    let server = opened();
    server.publish("1.1.0-rc.1", "feature", &[]);
    // A pre-release opens nothing.
    for version in ["1.1.1", "2.0.1"] {
        let release = Candidate::new(&server, version, Channel::Security);
        let problems = refusal(&server, || release.commit(&server));
        assert_only(&problems, "which no release opens");
    }
}

#[test]
fn bounds_above_the_version_are_refused() {
    let server = opened();
    let mut release = Candidate::new(&server, "1.0.1", Channel::Bugfix);
    release.manifest.min_from = Some(version_json("1.0.1"));
    assert_only(&refusal(&server, || release.commit(&server)), "min_from is not below");
    release.manifest.min_from = None;
    release.manifest.floor = Some(version_json("1.0.2"));
    assert_only(&refusal(&server, || release.commit(&server)), "floor is above");

    let bounds = ["--min-from", "1.0.1", "--floor", "1.0.2"];
    let tree = server.tree("1.0.1");
    let refused = server.publish_tree("1.0.1", "bugfix", &tree, &bounds).exits(2);
    for expected in ["min_from is not below", "floor is above", "nothing was sent"] {
        assert!(refused.stderr().contains(expected), "{}", refused.stderr());
    }
}

#[test]
fn a_stamp_must_be_near_the_time_of_the_server() {
    let server = opened();
    let mut release = Candidate::new(&server, "1.0.1", Channel::Bugfix);
    for hours in [-8 * 24, 1] {
        let stamp = release.state.now + SignedDuration::from_hours(hours);
        (release.manifest.published_at, release.manifest.effective_at) = (stamp, stamp);
        assert_only(&refusal(&server, || release.commit(&server)), "published_at is");
    }
}

#[test]
fn a_release_that_is_dated_back_is_in_the_audit_trail() {
    let server = opened();
    let before = server.publishing_state().now;
    server.publish("1.0.1", "bugfix", &["--effective-at", "2025-03-01T00:00:00Z"]);
    let trail: Vec<Value> = server.get("/v1/audit").has_status(200).json();
    let record = trail.last().unwrap();
    assert_eq!(record["action"], "release.publish");
    assert_eq!(record["subject"], "acme-db 1.0.1");
    assert!(record["actor"].as_str().unwrap().ends_with("(first administrator)"), "{record}");
    assert_eq!(record["address"], "127.0.0.1");
    let at: Timestamp = record["at"].as_str().unwrap().parse().unwrap();
    assert!(before <= at && at <= server.publishing_state().now, "{record}");
    let release = &server.visible().releases[1]["release"];
    assert_eq!(release["effective_at"], "2025-03-01T00:00:00Z");
    let published_at = release["published_at"].as_str().unwrap();
    let expected = format!(
        "channel bugfix, severity minor, published at {published_at} and dated back to \
         2025-03-01T00:00:00Z; rollout running, waves last:1d"
    );
    assert_eq!(record["detail"], expected);
    // What is not dated back does not say that it was.
    server.publish("1.0.2", "bugfix", &[]);
    let trail: Vec<Value> = server.get("/v1/audit").has_status(200).json();
    let expected = "channel bugfix, severity minor; rollout running, waves last:1d";
    assert_eq!(trail.last().unwrap()["detail"], expected);
}

#[test]
fn a_manifest_for_another_product_is_refused() {
    let server = opened();
    let mut release = Candidate::new(&server, "1.0.1", Channel::Bugfix);
    release.manifest.product = "other-db".parse().unwrap();
    let problems = refusal(&server, || release.commit(&server));
    assert_only(&problems, "the manifest is for product other-db: this is acme-db");
}

#[test]
fn every_problem_is_listed_at_once() {
    let server = opened();
    let mut release = Candidate::new(&server, "1.0.0", Channel::Major);
    let manifest = &mut release.manifest;
    manifest.format = 2;
    manifest.product = "other-db".parse().unwrap();
    manifest.effective_at = manifest.published_at + SignedDuration::from_hours(1);
    manifest.courtesy = true;
    manifest.min_from = Some(version_json("3.0.0"));
    manifest.floor = Some(version_json("3.0.0"));
    release.artifact().window_log = 31;
    let mut channel = release.channel_metadata();
    channel.header.version = 9.try_into().unwrap();
    add_foreign_target(&mut channel);
    let stranger = SigningKey::generate().unwrap();

    let problems = refusal(&server, || release.commit_signed(&server, &channel, &[&stranger]));
    for expected in [
        "format is 2",
        "is after published_at",
        "effective_at is set on channel major",
        "courtesy is set on channel major",
        "min_from is not below",
        "floor is above",
        "window_log is 31",
        "for product other-db",
        "published already",
        "has version 9: expected 2",
        "was published and is missing or changed",
        "does not belong to this release",
        "major version 9 is refused (threshold)",
    ] {
        let count = problems.iter().filter(|problem| problem.contains(expected)).count();
        assert!(count > 0, "{expected}: {problems:#?}");
    }
}

fn add_foreign_target(channel: &mut Targets) {
    let target: Target = channel.targets.values().next().unwrap().clone();
    let path = format!("{}/7.7.7/release.json", channel_of(channel));
    channel.targets.insert(path, target);
}

fn channel_of(channel: &Targets) -> &str {
    channel.targets.keys().next().unwrap().split('/').next().unwrap()
}

#[test]
fn a_channel_signed_by_a_stranger_is_refused() {
    let server = opened();
    let release = Candidate::new(&server, "1.0.1", Channel::Bugfix);
    let channel = release.channel_metadata();
    // The vendor's other keys are strangers to a channel too.
    for key in [SigningKey::generate().unwrap(), server.vendor_key("targets")] {
        let problems = refusal(&server, || release.commit_signed(&server, &channel, &[&key]));
        assert_only(&problems, "bugfix version 1 is refused (threshold)");
    }
}

#[test]
fn a_channel_without_a_signature_is_refused() {
    let server = opened();
    let release = Candidate::new(&server, "1.0.1", Channel::Bugfix);
    let channel = release.channel_metadata();
    let problems = refusal(&server, || release.commit_signed(&server, &channel, &[]));
    assert_only(&problems, "bugfix version 1 is refused (threshold)");
}

#[test]
fn a_channel_keeps_every_earlier_target() {
    let server = opened();
    server.publish("1.0.1", "bugfix", &[]);
    let release = Candidate::new(&server, "1.0.2", Channel::Bugfix);
    let mut channel = release.channel_metadata();
    channel.targets.remove("bugfix/1.0.1/release.json").unwrap();
    let problems = refusal(&server, || release.commit_channel(&server, &channel));
    assert_only(&problems, "target bugfix/1.0.1/release.json was published and is missing");
}

#[test]
fn a_channel_gains_nothing_but_the_release() {
    let server = opened();
    let release = Candidate::new(&server, "1.0.1", Channel::Bugfix);
    let mut channel = release.channel_metadata();
    add_foreign_target(&mut channel);
    let problems = refusal(&server, || release.commit_channel(&server, &channel));
    assert_only(&problems, "target bugfix/7.7.7/release.json does not belong to this release");
}

#[test]
fn a_channel_takes_one_step_at_a_time() {
    let server = opened();
    server.publish("1.0.1", "bugfix", &[]);
    let release = Candidate::new(&server, "1.0.2", Channel::Bugfix);
    for version in [1, 3] {
        let mut channel = release.channel_metadata();
        channel.header.version = version.try_into().unwrap();
        let problems = refusal(&server, || release.commit_channel(&server, &channel));
        assert_only(&problems, &format!("channel bugfix has version {version}: expected 2"));
    }
}

#[test]
fn a_channel_that_has_expired_or_delegates_or_dates_lines_is_refused() {
    let server = opened();
    let release = Candidate::new(&server, "1.0.1", Channel::Bugfix);
    let mut expired = release.channel_metadata();
    expired.header.expires = release.state.now;
    let problems = refusal(&server, || release.commit_channel(&server, &expired));
    let [ours, clients] = &problems[..] else { panic!("{problems:?}") };
    assert!(ours.starts_with("channel bugfix: it expires at"), "{ours}");
    assert!(clients.contains("is refused (expired)"), "{clients}");
    let delegating =
        Targets { delegations: Some(Delegations::default()), ..release.channel_metadata() };
    let problems = refusal(&server, || release.commit_channel(&server, &delegating));
    assert_only(&problems, "delegates: expected not to");
    let whole = Timestamp::from_second(release.state.now.as_second()).unwrap();
    let dates = LineDates { eol: Some(whole), ..LineDates::default() };
    let lines = Lines::default().with("1.0".parse().unwrap(), dates).unwrap();
    let dating = Targets { lines, ..release.channel_metadata() };
    let problems = refusal(&server, || release.commit_channel(&server, &dating));
    assert_only(&problems, "states dates of lines");
}

#[test]
fn a_channel_for_another_release_than_the_manifest_is_refused() {
    let server = opened();
    let mut release = Candidate::new(&server, "1.0.1", Channel::Bugfix);
    let channel = release.channel_metadata();
    release.manifest.notes.push_str("A word more.");
    let problems = refusal(&server, || release.commit_channel(&server, &channel));
    assert_only(&problems, "target bugfix/1.0.1/release.json is missing or not what");
}

#[test]
fn a_release_without_a_platform_is_refused() {
    let server = opened();
    let mut release = Candidate::new(&server, "1.0.1", Channel::Bugfix);
    release.manifest.artifacts.clear();
    assert_only(&refusal(&server, || release.commit(&server)), "0 platforms");
}

#[test]
fn one_artifact_may_serve_two_releases() {
    let server = opened();
    let packed = Packed::tree(&server.path("trees/1.0.0"));
    packed.upload(&server);
    let artifact = packed.artifact;
    for (version, channel) in [("1.0.1", Channel::Bugfix), ("1.0.2", Channel::Security)] {
        let release = Candidate::with_artifact(&server, version, channel, artifact.clone());
        release.commit(&server).has_status(201);
    }
    let trusted = verified(&server.publishing_state());
    for folder in ["bugfix/1.0.1", "security/1.0.2"] {
        let path = format!("{folder}/{}.tar.zst", Platform::of_this_program());
        let target = trusted.target(&path.parse().unwrap()).unwrap();
        assert_eq!(target.hashes.sha256, Some(artifact.sha256));
    }
}

#[test]
fn a_publish_for_a_product_that_is_not_there_says_so() {
    let server = opened();
    let release = Candidate::new(&server, "1.0.1", Channel::Bugfix);
    let request = release.request(&release.channel_metadata(), &[]);
    server.post("/v1/products/other-db/releases", &request).refuses(404, "NOT_FOUND");
}

#[test]
fn a_tree_that_cannot_be_read_says_why() {
    let server = opened();
    let nowhere = Path::new("is-not-there");
    let refused = server.publish_tree("1.0.1", "bugfix", nowhere, &[]).exits(2);
    assert!(refused.stderr().contains("is-not-there"), "{}", refused.stderr());
    assert!(refused.stderr().contains("No such file or directory"), "{}", refused.stderr());
}

#[test]
fn a_health_check_that_nobody_may_execute_is_refused() {
    let server = opened();
    let tree = server.tree("1.0.1");
    fs::set_permissions(tree.join("bin/run"), fs::Permissions::from_mode(0o644)).unwrap();
    let before = server.visible();
    let refused = server.publish_tree("1.0.1", "bugfix", &tree, &[]).exits(2);
    assert!(refused.stderr().contains("`bin/run` is not an executable"), "{}", refused.stderr());
    assert_eq!(server.visible(), before);
}
