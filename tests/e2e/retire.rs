//! Old releases move to the archive: nobody is updated to them, and who ran them can go back.

use std::fs;

use mainstay_client::{
    format::{Artifact, Channel, ChannelName},
    tuf::{self, Envelope, Targets},
};
use serde_json::json;

use crate::{
    by_hand::{Candidate, Packed},
    ceremony::Signer,
    fleet::{assert_runs, at_the_first_release, customer, explained, order, shown, withheld},
    harness::{Machine, PRODUCT, Ran, Server},
};

fn retire(server: &Server, arguments: &[&str]) -> Ran {
    server.mainstay(&[&["release", "retire", "--product", PRODUCT], arguments].concat())
}

/// A machine that went from 1.0.0 over 1.0.1 to 1.0.2.
fn at_the_third_release() -> (Server, Machine) {
    let (server, machine) = at_the_first_release("standard");
    for version in ["1.0.1", "1.0.2"] {
        server.publish(version, "bugfix", &[]);
        machine.agent(&["update"]).succeeds();
    }
    assert_runs(&server, &machine, "1.0.2");
    (server, machine)
}

/// The releases that a role lists.
fn releases(server: &Server, role: &str) -> Vec<String> {
    let state = server.publishing_state();
    let Some(text) = state.metadata.get(&format!("{role}.json")) else { return Vec::new() };
    let role: Targets = Envelope::parse("role", text.as_bytes()).unwrap().document().unwrap();
    let paths = role.targets.keys().filter_map(|path| path.strip_suffix("/release.json"));
    paths.map(ToOwned::to_owned).collect()
}

fn archive_is_known(machine: &Machine) -> bool {
    machine.root().join(".mainstay/trust/channels/archive.json").exists()
}

#[test]
fn a_machine_goes_back_to_a_retired_release_that_no_other_machine_gets() {
    let (server, machine) = at_the_third_release();
    let retired = retire(&server, &["1.0.1"]).succeeds().stdout();
    assert!(retired.contains("acme-db: retired 1.0.1 (revision 5)."), "{retired}");
    assert_eq!(releases(&server, "bugfix"), ["bugfix/1.0.2"]);
    assert_eq!(releases(&server, "archive"), ["archive/bugfix/1.0.1"]);
    let listed = &server.visible().releases;
    assert!(listed[0]["retired_at"].is_null() && listed[1]["retired_at"].is_string());
    let audit = server.mainstay(&["audit"]).succeeds().stdout();
    assert!(audit.contains("release.retire") && audit.contains("1.0.1"), "{audit}");

    let key = server.mainstay(&["contract", "activation-key", "standard"]).succeeds().stdout();
    let fresh = server.machine(key.trim());
    let (exit, update) = fresh.agent_json(&["update"]);
    assert_eq!((exit, withheld(&update, "1.0.1")), (0, None), "{update}");
    assert_runs(&server, &fresh, "1.0.2");
    assert_eq!(explained(&server, &fresh, "1.0.1"), "RETIRED");
    order(&server, &fresh, "1.0.1").exits(4);
    assert!(!archive_is_known(&fresh));

    // The tree that was kept is gone: it comes from the archive.
    machine.agent(&["check"]).exits(10);
    assert!(!archive_is_known(&machine));
    fs::remove_dir_all(machine.root().join("versions/1.0.1")).unwrap();
    assert_eq!(explained(&server, &machine, "1.0.1"), "ROLLBACK");
    order(&server, &machine, "1.0.1").succeeds();
    machine.agent(&["update"]).succeeds();
    assert_runs(&server, &machine, "1.0.1");
    assert_eq!(shown(&server, &machine)["machine"]["order"]["state"], "done");
    assert!(archive_is_known(&machine));

    // And on from there.
    machine.agent(&["check"]).exits(15);
    server.publish("1.0.3", "bugfix", &[]);
    machine.agent(&["update"]).succeeds();
    assert_runs(&server, &machine, "1.0.3");
}

#[test]
fn an_update_that_is_under_way_is_not_disturbed_by_a_retirement() {
    let (server, machine) = at_the_third_release();
    server.publish("1.0.3", "bugfix", &[]);
    machine.agent(&["check"]).exits(11);
    server.publish("1.0.4", "bugfix", &[]);
    retire(&server, &["1.0.1", "1.0.3"]).succeeds();
    // What somebody at the machine brings back from what was kept is where it was, too.
    fs::remove_dir_all(machine.root().join("versions/1.0.1")).unwrap();
    machine.agent(&["rollback", "--to", "1.0.1"]).succeeds();
    assert_runs(&server, &machine, "1.0.1");
    machine.agent(&["update"]).succeeds();
    assert_runs(&server, &machine, "1.0.4");
}

#[test]
fn everything_below_a_version_is_retired_but_for_what_must_stay() {
    let server = Server::with_product();
    server.publish("1.0.0", "major", &[]);
    for version in ["1.0.1", "1.0.2", "1.0.3"] {
        let floor: &[&str] = if version == "1.0.2" { &["--floor", "1.0.1"] } else { &[] };
        server.publish(version, "bugfix", floor);
    }
    let before = server.visible();
    let refused = retire(&server, &["1.0.0", "1.0.2", "1.0.7"]).exits(2);
    for text in [
        "1.0.0 is the newest of channel major",
        "1.0.2 sets the rollback floor 1.0.1",
        "1.0.7 is not published",
    ] {
        assert!(refused.stderr().contains(text), "{text}: {}", refused.stderr());
    }
    retire(&server, &[]).exits(2);
    retire(&server, &["--before", "1.0.1"]).exits(2);
    let refused = retire(&server, &["1.0.1", "--release-key", "targets"]).exits(2);
    assert!(refused.stderr().contains("may sign none"), "{}", refused.stderr());
    let file = server.path("viewer.token");
    let token = server.mainstay(&["token", "create", "--role", "viewer", "--label", "v"]);
    fs::write(&file, token.succeeds().stdout()).unwrap();
    let mut command = server.command(&["release", "retire", "--product", PRODUCT, "1.0.1"]);
    Ran::run(command.env("MAINSTAY_TOKEN_FILE", file)).exits(3);
    assert_eq!(server.visible(), before);

    let retired = retire(&server, &["--before", "1.0.3"]).succeeds();
    assert!(retired.stderr().contains("needed and stay: 1.0.0, 1.0.2."), "{}", retired.stderr());
    assert!(retired.stdout().contains("retired 1.0.1 ("), "{}", retired.stdout());
    server.publish("1.0.4", "bugfix", &["--floor", "1.0.2"]);
    retire(&server, &["--before", "1.0.4"]).succeeds();
    assert_eq!(releases(&server, "bugfix"), ["bugfix/1.0.4"]);
    let archived = ["1.0.1", "1.0.2", "1.0.3"].map(|it| format!("archive/bugfix/{it}"));
    assert_eq!(releases(&server, "archive"), archived);
    let again = retire(&server, &["1.0.3"]).exits(2);
    assert!(again.stderr().contains("1.0.3 is retired already"), "{}", again.stderr());
    let table = server.mainstay(&["release", "list", "--product", PRODUCT]).succeeds().stdout();
    assert!(table.contains("RETIRED"), "{table}");
}

/// Publishes a bug fix for so many platforms, which have the artifact in common.
fn publish_for(server: &Server, version: &str, platforms: usize, artifact: &Artifact) {
    let mut candidate =
        Candidate::with_artifact(server, version, Channel::Bugfix, artifact.clone());
    candidate.manifest.artifacts = (0..platforms)
        .map(|index| (format!("linux-x{index}").parse().unwrap(), artifact.clone()))
        .collect();
    candidate.commit(server).has_status(201);
}

#[test]
fn a_publisher_is_warned_of_a_nearly_full_channel_and_stopped_at_a_full_one() {
    let server = Server::with_product();
    server.publish("1.0.0", "major", &[]);
    let packed = Packed::tree(&server.tree("1.0.1"));
    packed.upload(&server);
    for patch in 1..=13 {
        publish_for(&server, &format!("1.0.{patch}"), 64, &packed.artifact);
    }
    let publish =
        |version: &str| server.publish_tree(version, "bugfix", &server.tree(version), &[]);
    publish_for(&server, "1.0.14", 51, &packed.artifact);
    let quiet = publish("1.0.15").succeeds();
    assert!(!quiet.stderr().contains("Warning"), "{}", quiet.stderr());
    let warned = publish("1.0.16").succeeds();
    let text = "channel bugfix would list 901 targets, of 1000 at most: retire old releases with";
    assert!(warned.stderr().contains(text), "{}", warned.stderr());
    publish_for(&server, "1.0.17", 64, &packed.artifact);
    publish_for(&server, "1.0.18", 33, &packed.artifact);
    let full = publish("1.0.19").exits(2);
    assert!(full.stderr().contains("would list 1002 targets"), "{}", full.stderr());
    retire(&server, &["--before", "1.0.14"]).succeeds();
    publish("1.0.19").succeeds();
}

#[test]
fn a_retirement_is_signed_by_two_who_share_no_computer() {
    let (server, _machine) = at_the_third_release();
    let bob = Signer::new(&server, "bob");
    let public = bob.public();
    let change = ["--add-release-key", &public, "--release-threshold", "2"];
    server.propose("two.json", &change).succeeds();
    let known = server.first_root_sha256();
    let sign = ["trust", "sign", "two.json", "--yes", "--key", "targets", "--key", "release"];
    server.mainstay(&sign).succeeds();
    bob.sign("two.json", &["--root-sha256", &known]).succeeds();
    server.mainstay(&["trust", "submit", "two.json"]).succeeds();

    let alone = retire(&server, &["1.0.1"]).exits(2);
    assert!(alone.stderr().contains("--propose FILE"), "{}", alone.stderr());
    retire(&server, &["1.0.1", "--propose", "retire.json"]).succeeds();
    let shown = bob.offline(&["trust", "show", "retire.json"]).succeeds().stdout();
    for text in [
        "channel archive: its first version",
        "lists its 0 releases unchanged, and TAKES IN as retired: 1.0.1",
        "lists 1 release unchanged, and RETIRES to the archive: 1.0.1",
    ] {
        assert!(shown.contains(text), "{text}: {shown}");
    }
    assert!(releases(&server, "archive").is_empty());
    server.mainstay(&["trust", "submit", "retire.json"]).exits(2);
    bob.sign("retire.json", &[]).succeeds();
    server.mainstay(&["trust", "submit", "retire.json"]).succeeds();
    assert_eq!(releases(&server, "archive"), ["archive/bugfix/1.0.1"]);
    // It lives on like a channel.
    server.propose("renew.json", &["--renew", "archive"]).succeeds();
    server.mainstay(&["trust", "sign", "renew.json", "--yes", "--key", "release"]).succeeds();
    bob.sign("renew.json", &[]).succeeds();
    server.mainstay(&["trust", "submit", "renew.json"]).succeeds();
    assert_eq!(releases(&server, "archive"), ["archive/bugfix/1.0.1"]);
}

#[test]
fn a_product_from_before_there_was_an_archive_gets_one() {
    let (server, machine) = at_the_third_release();
    // As products were created before.
    let state = server.publishing_state();
    let present = Envelope::parse("targets", state.metadata["targets.json"].as_bytes()).unwrap();
    let mut targets: Targets = present.document().unwrap();
    targets.header.version = 2.try_into().unwrap();
    let delegations = targets.delegations.as_mut().unwrap();
    delegations.roles.retain(|role| role.name != ChannelName::ARCHIVE);
    let signed = tuf::sign(&targets, &[&server.vendor_key("targets")]).unwrap();
    let text = String::from_utf8(signed).unwrap();
    let body = json!({ "expected_revision": state.revision, "targets": text });
    server.post(&format!("/v1/products/{PRODUCT}/metadata"), &body).has_status(201);

    let refused = retire(&server, &["1.0.1"]).exits(2);
    assert!(refused.stderr().contains("trust propose --add-archive"), "{}", refused.stderr());
    let proposed = server.propose("add.json", &["--add-archive"]).succeeds().stdout();
    assert!(proposed.contains("NEW role archive"), "{proposed}");
    server.change_trust(&["--add-archive"], &["targets"]);
    server.propose("again.json", &["--add-archive"]).exits(2);
    retire(&server, &["1.0.1"]).succeeds();
    fs::remove_dir_all(machine.root().join("versions/1.0.1")).unwrap();
    order(&server, &machine, "1.0.1").succeeds();
    machine.agent(&["update"]).succeeds();
    assert_runs(&server, &machine, "1.0.1");
    let fresh = server.machine(&customer(&server, "premium"));
    fresh.agent(&["update"]).succeeds();
    assert_runs(&server, &fresh, "1.0.2");
}
