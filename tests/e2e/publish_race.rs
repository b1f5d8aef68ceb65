//! Publishers that build upon the same revision.

use std::{
    process::{Child, Stdio},
    sync::Barrier,
};

use mainstay_client::format::{Channel, wire::PublishResponse};

use crate::{
    by_hand::Candidate,
    cut::{Passage, proxy},
    harness::{PRODUCT, Server},
    publish::opened,
};

/// Opens a way to the server on which commits wait for each other, until two have come: then both
/// publishers have built upon the same revision, however the machine runs them.
fn gate(server: &Server) -> String {
    let both = Barrier::new(2);
    let commit = format!("POST /v1/products/{PRODUCT}/releases ");
    proxy(server, move |piece| {
        if piece.starts_with(commit.as_bytes()) {
            both.wait();
        }
        Passage::Forward
    })
}

fn publisher(server: &Server, gate: &str, version: &str, channel: &str) -> Child {
    let tree = server.tree(version);
    let mut command = server.publish_command(version, channel, &tree, &[]);
    command.env("MAINSTAY_SERVER", gate).stderr(Stdio::piped()).stdout(Stdio::piped());
    command.spawn().unwrap()
}

/// Lets two publishers commit upon one revision: one succeeds, the other is told to retry and
/// succeeds then.
fn race(first: (&str, &str), second: (&str, &str)) {
    let server = opened();
    let gate = gate(&server);
    let publishers = [first, second]
        .map(|(version, channel)| (publisher(&server, &gate, version, channel), version, channel));
    let mut losers = Vec::new();
    for (child, version, channel) in publishers {
        let output = child.wait_with_output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        match output.status.code() {
            Some(0) => {}
            Some(4) => {
                assert!(message.contains("somebody else published"), "{message}");
                assert!(message.contains("retry"), "{message}");
                losers.push((version, channel));
            }
            other => panic!("{version}: {other:?}\n{message}"),
        }
    }
    let &[(version, channel)] = &losers[..] else { panic!("{} lost", losers.len()) };
    let visible = server.visible();
    assert_eq!(visible.revision, 3);
    assert_eq!(visible.releases.len(), 2);
    assert!(!visible.versions().contains(&version));

    server.publish(version, channel, &[]);
    assert_eq!(server.visible().versions(), ["1.0.0", "1.0.1", "1.0.2"]);
}

#[test]
fn two_publishers_on_one_channel_do_not_overwrite_each_other() {
    race(("1.0.1", "bugfix"), ("1.0.2", "bugfix"));
}

#[test]
fn two_publishers_on_different_channels_do_not_overwrite_each_other() {
    race(("1.0.1", "bugfix"), ("1.0.2", "security"));
}

#[test]
fn a_release_built_upon_what_is_no_longer_the_newest_is_refused() {
    for channel in [Channel::Bugfix, Channel::Security] {
        let server = opened();
        let late = Candidate::new(&server, "1.0.2", channel);
        server.publish("1.0.1", "bugfix", &[]);
        let before = server.visible();
        let problem = late.commit(&server).refuses(409, "CONFLICT");
        assert!(problem.detail.contains("revision 2 of acme-db, which is at revision 3"));
        assert!(problem.detail.contains("retry"), "{}", problem.detail);
        assert_eq!(server.visible(), before);

        let again = Candidate::new(&server, "1.0.2", channel);
        let published: PublishResponse = again.commit(&server).has_status(201).json();
        assert_eq!(published.revision, 4);
    }
}

#[test]
fn a_revision_that_is_not_reached_yet_is_refused() {
    let server = opened();
    let mut early = Candidate::new(&server, "1.0.1", Channel::Bugfix);
    early.state.revision += 1;
    let before = server.visible();
    early.commit(&server).refuses(409, "CONFLICT");
    assert_eq!(server.visible(), before);
}
