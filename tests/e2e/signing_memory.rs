//! What a computer without a network remembers of what it has signed, and how it asks.

use std::fs;

use crate::{
    ceremony::Signer,
    harness::{PRODUCT, Server},
    publish::opened,
};

/// Bob alone has the targets key, on a computer of his own, which knows the product.
fn bobs(server: &Server) -> Signer<'_> {
    let bob = Signer::new(server, "bob");
    let public = bob.public();
    let change = ["--add-targets-key", &public, "--remove-targets-key", "targets"];
    server.propose("first.json", &change).succeeds();
    server.mainstay(&["trust", "sign", "first.json", "--yes", "--key", "root"]).succeeds();
    let known = server.first_root_sha256();
    bob.sign("first.json", &["--root-sha256", &known]).succeeds();
    server.mainstay(&["trust", "submit", "first.json"]).succeeds();
    bob
}

#[test]
fn an_older_proposal_is_not_signed_again() {
    let server = opened();
    let bob = bobs(&server);
    server.propose("old.json", &["--renew", "targets"]).succeeds();
    server.propose("new.json", &["--renew", "targets"]).succeeds();
    bob.sign("new.json", &[]).succeeds();
    server.mainstay(&["trust", "submit", "new.json"]).succeeds();
    server.propose("next.json", &["--renew", "targets"]).succeeds();
    bob.sign("next.json", &[]).succeeds();
    let before = fs::read(server.path("old.json")).unwrap();
    let refused = bob.sign("old.json", &[]).exits(6).stderr();
    assert!(refused.contains("this computer has seen version 3 already"), "{refused}");
    assert_eq!(fs::read(server.path("old.json")).unwrap(), before);
}

#[test]
fn of_one_version_one_document_is_signed() {
    let server = opened();
    let bob = bobs(&server);
    server.make_keys(&["erin"]);
    server.propose("one.json", &["--renew", "targets"]).succeeds();
    server.propose("other.json", &["--add-release-key", "erin"]).succeeds();
    bob.sign("one.json", &[]).succeeds();
    // A signature that was lost on the way is made again.
    bob.sign("one.json", &[]).succeeds();
    let shown = bob.offline(&["trust", "show", "other.json"]).succeeds().stdout();
    assert!(shown.contains("ATTENTION: this computer has signed something else"), "{shown}");
    let refused = bob.sign("other.json", &[]).exits(6).stderr();
    assert!(refused.contains("give --again if it has come to nothing"), "{refused}");
    bob.sign("other.json", &["--again"]).succeeds();
    bob.sign("other.json", &[]).succeeds();
    bob.sign("one.json", &[]).exits(6);
    server.mainstay(&["trust", "submit", "other.json"]).succeeds();
}

#[test]
fn who_signs_is_asked() {
    let server = opened();
    let bob = bobs(&server);
    server.propose("change.json", &["--renew", "targets"]).succeeds();
    let sign =
        |typed: &str| bob.at_terminal(&["trust", "sign", "change.json", "--key", "bob"], typed);
    let before = fs::read(server.path("change.json")).unwrap();
    for typed in ["no\n", "\n", "yes, please\n", "Yes\n"] {
        let refused = sign(typed).exits(2).stderr();
        assert!(refused.contains("targets: version 3 follows 2"), "{refused}");
        assert!(refused.contains("Sign this? Type yes: "), "{refused}");
        assert!(refused.contains("nothing was done"), "{refused}");
        assert_eq!(fs::read(server.path("change.json")).unwrap(), before);
    }
    sign("yes\n").succeeds();
    server.mainstay(&["trust", "submit", "change.json"]).succeeds();
}

#[test]
fn after_an_older_copy_of_the_server_was_put_back_the_vendor_goes_on() {
    let mut server = opened();
    let renew = ["--renew", "targets"];
    server.kill();
    copy(&server, "server", "backup");
    server.kill_and_restart();
    server.publish("1.0.1", "bugfix", &[]);
    server.change_trust(&renew, &["targets"]);
    server.kill();
    fs::remove_dir_all(server.path("server")).unwrap();
    copy(&server, "backup", "server");
    server.kill_and_restart();

    let refused = server.propose("again.json", &renew).exits(6).stderr();
    assert!(refused.contains("bugfix is missing"), "{refused}");
    let accept = ["trust", "accept-older", "--product", PRODUCT];
    let unasked = server.mainstay(&accept).exits(2).stderr();
    assert!(unasked.contains("bugfix: it is gone, and was at version 1"), "{unasked}");
    assert!(unasked.contains("targets: version 1 follows 2"), "{unasked}");
    server.propose("again.json", &renew).exits(6);
    server.mainstay(&[&accept[..], &["--yes"]].concat()).succeeds();
    server.publish("1.0.1", "bugfix", &[]);
    server.change_trust(&renew, &["targets"]);
    assert_eq!(server.visible().versions(), ["1.0.0", "1.0.1"]);
}

/// Another root of its version would lock out every machine that has seen it.
#[test]
fn a_root_that_the_server_has_lost_comes_back_and_becomes_no_older() {
    let mut server = opened();
    server.kill();
    copy(&server, "server", "backup");
    server.kill_and_restart();
    server.change_trust(&["--renew", "root"], &["root"]);
    server.kill();
    fs::remove_dir_all(server.path("server")).unwrap();
    copy(&server, "backup", "server");
    server.kill_and_restart();
    let accept = ["trust", "accept-older", "--product", PRODUCT, "--yes"];
    let refused = server.mainstay(&accept).exits(6).stderr();
    assert!(refused.contains("root 2 is another one than"), "{refused}");
    let newest = fs::read_to_string(server.path("keys/trust/acme-db/root.json")).unwrap();
    let body = serde_json::json!({ "expected_revision": 2, "root": newest });
    server.post("/v1/products/acme-db/metadata", &body).has_status(201);
    server.mainstay(&accept).succeeds();
    server.publish("1.0.1", "bugfix", &[]);
}

/// A computer without a network learns of the older state from a proposal.
#[test]
fn a_signer_without_a_network_goes_by_an_older_state() {
    let server = opened();
    let bob = bobs(&server);
    server.propose("old.json", &["--renew", "targets"]).succeeds();
    server.propose("new.json", &["--renew", "targets"]).succeeds();
    bob.sign("new.json", &[]).succeeds();
    server.mainstay(&["trust", "submit", "new.json"]).succeeds();
    server.propose("next.json", &["--renew", "targets"]).succeeds();
    bob.sign("next.json", &[]).succeeds();
    bob.sign("old.json", &[]).exits(6);
    let refused = bob.at_terminal(&["trust", "accept-older", "old.json"], "no\n").exits(2).stderr();
    assert!(refused.contains("targets: version 2 follows 3"), "{refused}");
    bob.sign("old.json", &[]).exits(6);
    bob.at_terminal(&["trust", "accept-older", "old.json"], "yes\n").succeeds();
    bob.sign("old.json", &[]).succeeds();
}

fn copy(server: &Server, from: &str, to: &str) {
    let mut copy = std::process::Command::new("cp");
    let copied = copy.arg("-a").arg(server.path(from)).arg(server.path(to)).status().unwrap();
    assert!(copied.success());
}
