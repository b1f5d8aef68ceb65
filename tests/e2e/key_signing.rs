//! Several people sign one change, each on a computer of their own, and nobody is taken in by what
//! came by e-mail.

use std::fs;

use jiff::SignedDuration;
use mainstay_client::tuf::{Envelope, Root};
use serde_json::{Value, json};

use crate::{ceremony::Signer, harness::Server, publish::opened};

/// A product whose root is signed by two of three people, none of them at the server.
fn two_of_three(server: &Server) -> [Signer<'_>; 3] {
    let people = ["alice", "bob", "carol"].map(|name| Signer::new(server, name));
    let keys: Vec<_> = people.iter().map(Signer::public).collect();
    let mut change = vec!["--remove-root-key", "root", "--root-threshold", "2"];
    change.extend(keys.iter().flat_map(|key| ["--add-root-key", key]));
    server.propose("first.json", &change).succeeds();
    server.mainstay(&["trust", "sign", "first.json", "--yes", "--key", "root"]).succeeds();
    let known = server.first_root_sha256();
    for person in &people[..2] {
        person.sign("first.json", &["--root-sha256", &known]).succeeds();
    }
    server.mainstay(&["trust", "submit", "first.json"]).succeeds();
    people
}

fn root(server: &Server, version: u64) -> Root {
    let text = &server.publishing_state().metadata[&format!("{version}.root.json")];
    Envelope::parse("root", text.as_bytes()).unwrap().document().unwrap()
}

#[test]
fn two_of_three_sign_on_computers_of_their_own() {
    let server = opened();
    let [alice, bob, carol] = two_of_three(&server);
    let roles = root(&server, 2).roles;
    assert_eq!((roles.root.keyids.len(), roles.root.threshold.get()), (3, 2));

    // The next change, signed by two at the same time, in copies.
    server.propose("next.json", &["--renew", "root"]).succeeds();
    server.send("next.json", "to-alice.json");
    server.send("next.json", "to-carol.json");
    alice.sign("to-alice.json", &[]).succeeds();
    let early = server.mainstay(&["trust", "submit", "to-alice.json"]).exits(2);
    assert!(early.stderr().contains("MISSING 1 of"), "{}", early.stderr());
    let known = server.first_root_sha256();
    let refused = carol.sign("to-carol.json", &[]).exits(2);
    assert!(refused.stderr().contains("--root-sha256"), "{}", refused.stderr());
    carol.sign("to-carol.json", &["--root-sha256", &"0".repeat(64)]).exits(6);
    carol.sign("to-carol.json", &["--root-sha256", &known]).succeeds();
    // From now on the computer knows the product.
    carol.sign("to-carol.json", &[]).succeeds();

    let shown = bob.offline(&["trust", "show", "to-alice.json", "to-carol.json"]).succeeds();
    let text = shown.stdout();
    assert!(text.contains("root: version 3 follows 2"), "{text}");
    assert!(text.contains("root keys: 2 of 2 needed signatures; signed by"), "{text}");
    assert!(text.contains("Everybody has signed who must"), "{text}");
    server.mainstay(&["trust", "submit", "to-alice.json", "to-carol.json"]).succeeds();
    assert_eq!(root(&server, 3).header.version.get(), 3);
    let audit = server.mainstay(&["audit"]).succeeds().stdout();
    assert!(audit.contains("signed anew: root"), "{audit}");
}

#[test]
fn a_channel_that_two_must_sign_is_signed_anew_by_both_at_once() {
    let server = opened();
    server.make_keys(&["release-2"]);
    let change = ["--add-release-key", "release-2", "--release-threshold", "2"];
    let proposed = server.propose("two.json", &change).succeeds().stdout();
    let text = proposed.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("keys of major: 2 of 2 must sign (until now 1 of 1)"), "{text}");
    assert!(text.contains("channel major: version 2 follows 1"), "{text}");
    assert!(text.contains("lists its 1 release unchanged"), "{text}");
    server.change_trust(&change, &["targets", "release", "release-2"]);
    let tree = server.tree("1.0.1");
    server.publish_tree("1.0.1", "bugfix", &tree, &[]).exits(3);
    server.publish("1.0.1", "bugfix", &["--release-key", "release", "--release-key", "release-2"]);
}

#[test]
fn a_release_is_signed_by_two_who_share_no_computer() {
    let server = opened();
    let bob = Signer::new(&server, "bob");
    let public = bob.public();
    let change = ["--add-release-key", &public, "--release-threshold", "2"];
    server.propose("two.json", &change).succeeds();
    let known = server.first_root_sha256();
    let sign = ["trust", "sign", "two.json", "--yes", "--key", "targets", "--key", "release"];
    server.mainstay(&sign).succeeds();
    bob.sign("two.json", &["--root-sha256", &known]).succeeds();
    server.mainstay(&["trust", "submit", "two.json"]).succeeds();

    let tree = server.tree("1.0.1");
    let propose = ["--propose", "release.json"];
    let proposed = server.publish_tree("1.0.1", "bugfix", &tree, &propose).succeeds().stdout();
    assert!(proposed.contains("channel bugfix: its first version"), "{proposed}");
    assert!(proposed.contains("and one more: 1.0.1 (bugfix, severity minor"), "{proposed}");
    assert_eq!(server.visible().versions(), ["1.0.0"]);
    server.mainstay(&["trust", "submit", "release.json"]).exits(2);
    // Another release than the one that was signed is none.
    let text = fs::read_to_string(server.path("release.json")).unwrap();
    fs::write(server.path("bad.json"), text.replace("Notes of", "Lies of")).unwrap();
    bob.sign("bad.json", &[]).exits(6);
    bob.sign("release.json", &[]).succeeds();
    // Nobody signs how it spreads, so the file that travels has no say in it.
    let steered = text.replacen('{', r#"{"rollout":{"pace":"at_once"},"#, 1);
    fs::write(server.path("steered.json"), steered).unwrap();
    let refused = server.mainstay(&["trust", "submit", "steered.json"]).exits(2).stderr();
    assert!(refused.contains("unknown field `rollout`"), "{refused}");
    let waves = ["trust", "submit", "release.json", "--waves", "50%:2h,100%:1h"];
    let submitted = server.mainstay(&waves).succeeds().stdout();
    assert!(submitted.contains("It spreads in "), "{submitted}");
    assert_eq!(server.visible().versions(), ["1.0.0", "1.0.1"]);
}

#[test]
fn nobody_is_asked_in_vain() {
    let server = opened();
    server.propose("change.json", &["--renew", "targets"]).succeeds();
    let sign = |key: &str, more: &[&str]| {
        let command = ["trust", "sign", "change.json", "--key", key];
        server.mainstay(&[&command, more].concat())
    };
    let before = fs::read(server.path("change.json")).unwrap();
    let unasked = sign("targets", &[]).exits(2);
    assert!(unasked.stderr().contains("give --yes"), "{}", unasked.stderr());
    let refused = sign("root", &["--yes"]).exits(2);
    assert!(refused.stderr().contains("may sign nothing"), "{}", refused.stderr());
    assert_eq!(fs::read(server.path("change.json")).unwrap(), before);
    let spreads = server.mainstay(&["trust", "submit", "change.json", "--immediately"]).exits(2);
    assert!(spreads.stderr().contains("publishes no release"), "{}", spreads.stderr());
    let nothing = server.propose("nothing.json", &[]).exits(2);
    assert!(nothing.stderr().contains("nothing to change"), "{}", nothing.stderr());
    assert!(!server.path("nothing.json").exists());
}

/// What a proposal looks like after somebody has had their way with it.
fn tampered(server: &Server, change: impl FnOnce(&mut Value)) -> &'static str {
    let text = fs::read_to_string(server.path("change.json")).unwrap();
    let mut proposal: Value = serde_json::from_str(&text).unwrap();
    change(&mut proposal);
    fs::write(server.path("bad.json"), proposal.to_string()).unwrap();
    "bad.json"
}

fn edit(proposal: &mut Value, pointer: &str, edit: impl FnOnce(&mut Value)) {
    let text = proposal.pointer(pointer).unwrap().as_str().unwrap();
    let mut document: Value = serde_json::from_str(text).unwrap();
    edit(&mut document);
    *proposal.pointer_mut(pointer).unwrap() = json!(document.to_string());
}

const EMPTY: &str = r#"{"signed":{},"signatures":[]}"#;
const FIRST_ROOT: &str = "/base/1.root.json";
const PRESENT_TARGETS: &str = "/base/targets.json";
const NEXT_ROOT: &str = "/documents/root";

#[test]
fn what_came_by_e_mail_is_not_believed() {
    let server = opened();
    server.make_keys(&["root-2"]);
    server.propose("change.json", &["--add-root-key", "root-2"]).succeeds();
    let sign = |file: &str| server.mainstay(&["trust", "sign", file, "--yes", "--key", "root"]);
    let refused = |change: fn(&mut Value), code: i32, text: &str| {
        let refused = sign(tampered(&server, change)).exits(code);
        assert!(refused.stderr().contains(text), "{text}: {}", refused.stderr());
    };
    refused(|all| all["format"] = json!(2), 2, "format 2: expected 1");
    refused(|all| all["more"] = json!(1), 2, "unknown field");
    refused(|all| all["documents"] = json!({}), 6, "changes nothing");
    refused(|all| all["documents"]["\u{1b}[2J"] = json!("{}"), 2, "not valid");
    refused(|all| all["documents"]["stranger"] = json!(EMPTY), 6, "no document `stranger`");
    refused(
        |all| edit(all, FIRST_ROOT, |root| root["signatures"] = json!([])),
        6,
        "another one than",
    );
    let later = json!(server.publishing_state().now + SignedDuration::from_hours(24 * 700));
    refused(
        |all| edit(all, PRESENT_TARGETS, |one| one["signed"]["version"] = json!(7)),
        6,
        "threshold",
    );
    refused(|all| edit(all, NEXT_ROOT, |one| one["signed"]["version"] = json!(7)), 6, "version 7");
    refused(
        |all| edit(all, NEXT_ROOT, |one| one["signed"]["_type"] = json!("targets")),
        6,
        "says that it is `targets`",
    );
    // A key that goes by another's identifier.
    refused(
        |all| {
            edit(all, NEXT_ROOT, |one| {
                let keys = one["signed"]["keys"].as_object_mut().unwrap();
                let values: Vec<_> = keys.values().cloned().collect();
                for (key, value) in keys.values_mut().zip(values.into_iter().cycle().skip(1)) {
                    *key = value;
                }
            });
        },
        6,
        "another key than its identifier says",
    );
    // Something that was signed is not something else.
    sign("change.json").succeeds();
    let bad = tampered(&server, |all| {
        edit(all, NEXT_ROOT, |one| one["signed"]["expires"] = later);
    });
    server.mainstay(&["trust", "submit", "change.json", bad]).exits(2);
    let submitted = server.mainstay(&["trust", "submit", bad]).exits(2);
    assert!(submitted.stderr().contains("signatures are missing"), "{}", submitted.stderr());
}

#[test]
fn a_proposal_is_for_one_revision_of_one_product() {
    let server = opened();
    server.make_keys(&["root-2"]);
    let other = ["product", "create", "--product", "acme-web", "--root-key", "root-2"];
    server.mainstay(&other).succeeds();
    server.propose("change.json", &["--renew", "root"]).succeeds();
    server.mainstay(&["trust", "sign", "change.json", "--yes", "--key", "root"]).succeeds();
    let other = tampered(&server, |all| all["product"] = json!("acme-web"));
    let refused = server.mainstay(&["trust", "submit", other]).exits(6);
    assert!(refused.stderr().contains("does not belong to the product"), "{}", refused.stderr());
    server.publish("1.0.1", "bugfix", &[]);
    let stale = server.mainstay(&["trust", "submit", "change.json"]).exits(4);
    assert!(stale.stderr().contains("revision 2"), "{}", stale.stderr());
    assert!(!server.publishing_state().metadata.contains_key("2.root.json"));
}

/// The server believes nobody's program.
#[test]
fn what_no_client_would_take_is_refused_by_the_server() {
    let server = opened();
    server.propose("change.json", &["--renew", "root", "--renew", "major"]).succeeds();
    let proposal: Value =
        serde_json::from_str(&fs::read_to_string(server.path("change.json")).unwrap()).unwrap();
    let before = server.visible();
    let refuse = |body: Value, code: &str, text: &str| {
        let answer = server.post("/v1/products/acme-db/metadata", &body).refuses(422, code);
        assert!(answer.problems[0].contains(text), "{text}: {:?}", answer.problems);
    };
    let unsigned = json!({ "expected_revision": 2, "root": proposal["documents"]["root"] });
    refuse(unsigned, "DOCUMENT_REFUSED", "0 of the role's 1 keys");
    let channel = json!({ "major": proposal["documents"]["major"] });
    let unsigned = json!({ "expected_revision": 2, "channels": channel });
    refuse(unsigned, "DOCUMENT_REFUSED", "0 of the role's 1 keys");
    let nothing = json!({ "expected_revision": 2 });
    refuse(nothing, "METADATA_REFUSED", "nothing is signed anew");
    let present = json!({ "major": before.metadata["major.json"] });
    let again = json!({ "expected_revision": 2, "channels": present });
    refuse(again, "METADATA_REFUSED", "version 1: expected 2");
    let stranger = json!({ "bugfix": before.metadata["major.json"] });
    let new = json!({ "expected_revision": 2, "channels": stranger });
    refuse(new, "METADATA_REFUSED", "has no release");
    assert_eq!(server.visible(), before);
}
