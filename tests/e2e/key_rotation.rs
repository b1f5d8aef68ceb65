//! Keys are replaced while machines are at work.

use std::fs;

use crate::{
    harness::{Machine, PRODUCT, Ran, Server},
    publish::opened,
    undo::point_to,
};

fn paying(server: &Server) -> Machine {
    let key = server.customer("paying", "premium", "2020-01-01T00:00:00Z", "2099-01-01T00:00:00Z");
    let machine = server.machine(&key);
    machine.agent(&["update"]).succeeds();
    machine
}

/// Lets the server take up a new generation of its keys.
fn rotate_online(server: &mut Server, more: &[&str]) -> Ran {
    server.kill();
    let dir = server.path("server");
    let rotate = ["keys", "rotate-online", "--dir", dir.to_str().unwrap()];
    let rotated = server.mainstay(&[&rotate, more].concat());
    server.kill_and_restart();
    rotated
}

#[test]
fn each_key_is_rotated_while_machines_stand_at_every_earlier_root() {
    let mut server = opened();
    server.make_keys(&["root-2", "targets-2", "release-2"]);
    let first = paying(&server);
    let key = server.mainstay(&["contract", "activation-key", "paying"]).succeeds().stdout();
    let joined = |server: &Server| {
        let machine = server.machine(key.trim());
        machine.agent(&["update"]).succeeds();
        machine
    };
    let mut machines = vec![first];

    let root = ["--add-root-key", "root-2", "--remove-root-key", "root"];
    server.change_trust(&root, &["root", "root-2"]);
    machines.push(joined(&server));

    let targets = ["--add-targets-key", "targets-2", "--remove-targets-key", "targets"];
    server.change_trust(&targets, &["root-2", "targets-2"]);
    machines.push(joined(&server));

    let release = ["--add-release-key", "release-2", "--remove-release-key", "release"];
    server.change_trust(&release, &["targets-2", "release-2"]);
    machines.push(joined(&server));

    rotate_online(&mut server, &[]).succeeds();
    for machine in &machines {
        point_to(machine, server.url());
    }
    // The old ones go on signing until the vendor has adopted the new.
    machines[0].agent(&["update"]).exits(10);
    machines.push(joined(&server));
    server.change_trust(&["--adopt-online-keys"], &["root-2", "targets-2"]);
    machines.push(joined(&server));
    for name in ["timestamp", "snapshot", "director"] {
        fs::remove_file(server.path(&format!("server/keys/{name}.pem"))).unwrap();
    }
    server.kill_and_restart();

    server.publish("1.0.1", "bugfix", &["--release-key", "release-2"]);
    for (number, machine) in machines.iter().enumerate() {
        point_to(machine, server.url());
        machine.agent(&["update"]).succeeds();
        assert_eq!(machine.running().unwrap(), "1.0.1", "machine {number}");
    }
    let root = fs::read_to_string(machines[0].root().join(".mainstay/trust/root.json")).unwrap();
    assert!(root.contains("\"version\":4"), "{root}");
}

#[test]
fn a_release_key_that_was_removed_publishes_no_more() {
    let server = opened();
    server.make_keys(&["release-2"]);
    server.change_trust(
        &["--add-release-key", "release-2", "--remove-release-key", "release"],
        &["targets", "release-2"],
    );
    let tree = server.tree("1.0.1");
    let refused = server.publish_tree("1.0.1", "bugfix", &tree, &[]).exits(2);
    assert!(refused.stderr().contains("may not sign channel bugfix"), "{}", refused.stderr());
    // Nor does it by hand.
    let channel = mainstay_client::format::Channel::Bugfix;
    let candidate = crate::by_hand::Candidate::new(&server, "1.0.1", channel);
    candidate.commit(&server).refuses(422, "RELEASE_REFUSED");
    server.publish("1.0.1", "bugfix", &["--release-key", "release-2"]);
    assert_eq!(server.visible().versions(), ["1.0.0", "1.0.1"]);
}

#[test]
fn a_channel_lives_on_without_a_release() {
    let server = opened();
    let machine = paying(&server);
    let before = server.publishing_state();
    let renew = ["trust", "renew", "--product", PRODUCT];
    let nothing = server.mainstay(&renew).succeeds();
    assert!(nothing.stdout().contains("expires within 30 days"), "{}", nothing.stdout());
    assert_eq!(server.publishing_state().revision, before.revision);

    let renewed = server.mainstay(&[&renew[..], &["--within", "90"]].concat()).succeeds();
    assert!(renewed.stdout().contains("Renewed: major (revision 3)"), "{}", renewed.stdout());
    let after = server.publishing_state();
    assert_eq!(after.revision, before.revision + 1);
    assert!(after.metadata["major.json"].contains("\"version\":2"));
    machine.agent(&["update"]).exits(10);
    server.publish("1.0.1", "bugfix", &[]);
    machine.agent(&["update"]).succeeds();
    assert_eq!(machine.running().unwrap(), "1.0.1");
}

#[test]
fn a_server_that_lost_its_keys_is_taken_back_with_new_ones() {
    let mut server = opened();
    let machine = paying(&server);
    // Whoever has the keys now may have signed a timestamp that is ahead of everything.
    let trusted = machine.root().join(".mainstay/trust/timestamp.json");
    let ahead = ahead_of_everything(&server, &trusted);
    fs::write(&trusted, ahead).unwrap();
    server.kill();
    fs::remove_dir_all(server.path("server/keys")).unwrap();
    let mut serve = server.command(&["serve", "--listen", "127.0.0.1:0", "--dir"]);
    let refused = Ran::run(serve.arg(server.path("server"))).exits(1);
    assert!(refused.stderr().contains("keys rotate-online --lost"), "{}", refused.stderr());
    let dir = server.path("server").display().to_string();
    let rotate = ["keys", "rotate-online", "--dir", &dir];
    server.mainstay(&rotate).exits(1);
    server.mainstay(&[&rotate[..], &["--lost"]].concat()).succeeds();
    server.kill_and_restart();

    // What is still good is served; nothing new is signed.
    point_to(&machine, server.url());
    let tree = server.tree("1.0.1");
    let refused = server.publish_tree("1.0.1", "bugfix", &tree, &[]).exits(5);
    assert!(refused.stderr().contains("--adopt-online-keys"), "{}", refused.stderr());
    assert_eq!(server.visible().versions(), ["1.0.0"]);

    server.change_trust(&["--adopt-online-keys"], &["root", "targets"]);
    server.publish("1.0.1", "bugfix", &[]);
    machine.agent(&["update"]).succeeds();
    assert_eq!(machine.running().unwrap(), "1.0.1");
}

/// A timestamp with the version 1,000,000, signed by the server's present key.
fn ahead_of_everything(server: &Server, timestamp: &std::path::Path) -> Vec<u8> {
    use mainstay_client::tuf::{self, Envelope, SigningKey};
    let bytes = fs::read(timestamp).unwrap();
    let mut document: tuf::Timestamp =
        Envelope::parse("timestamp", &bytes).unwrap().document().unwrap();
    document.header.version = std::num::NonZeroU64::new(1_000_000).unwrap();
    let pem = fs::read_to_string(server.path("server/keys/timestamp.pem")).unwrap();
    let key = SigningKey::from_pem(&pem, || None).unwrap();
    tuf::sign(&document, &[&key]).unwrap()
}
