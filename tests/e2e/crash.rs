//! The server is killed at any moment of a publish: a release is there as a whole or not at all.

use std::{
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use mainstay_client::format::{Action, Artifact, Channel, Digest, TargetPath};
use serde_json::{Value, json};

use crate::{
    by_hand::{BareMachine, Candidate, Packed, upload_path, verified},
    harness::{PRODUCT, Ran, Server, platform, write},
    http::Answer,
    publish::opened,
};

/// How many moments of a publish are tried: each is a fraction of how long one takes undisturbed.
const MOMENTS: u32 = 12;

/// When the server is killed. What is promised holds at every moment; that the moments are spread
/// over a publish only makes the test worth more.
struct Moments {
    undisturbed: Duration,
}

impl Moments {
    fn wait(&self, moment: u32) {
        thread::sleep(self.undisturbed * moment / MOMENTS);
    }

    /// What was through before its kill was quicker than thought, as after a load is gone.
    fn heed(&mut self, was_acknowledged: bool) {
        if was_acknowledged {
            self.undisturbed = self.undisturbed * 3 / 4;
        }
    }
}

/// A tree whose artifact takes long enough that every step of its publish can be met.
fn heavy_tree(server: &Server, version: &str) -> PathBuf {
    let tree = server.tree(version);
    let mut digest = Digest::of(version.as_bytes());
    let mut text = String::with_capacity(4 << 20);
    // Hexadecimal digits, of which compression takes half away.
    while text.len() < 4 << 20 {
        digest = Digest::of(digest.as_bytes());
        text.push_str(&digest.to_string());
    }
    write(&tree.join("data"), 0o644, &text);
    tree
}

/// Compression is not what is tried here.
const QUICKLY: [&str; 2] = ["--level", "1"];

fn publish_quickly(server: &Server, version: &str, tree: &Path) -> Ran {
    server.publish_tree(version, "bugfix", tree, &QUICKLY)
}

/// The artifact that `mainstay publish` makes of a tree, byte for byte, taken from another server.
fn published_elsewhere(tree: &Path) -> Packed {
    let elsewhere = opened();
    publish_quickly(&elsewhere, "1.0.1", tree).succeeds();
    let artifact = elsewhere.visible().releases[1]["artifacts"][platform()].clone();
    let artifact: Artifact = serde_json::from_value(artifact).unwrap();
    let file = format!("{}.{}.tar.zst", artifact.sha256, platform());
    let answer = elsewhere.get(&format!("/repo/{PRODUCT}/targets/bugfix/1.0.1/{file}"));
    Packed { artifact, bytes: answer.has_status(200).body }
}

/// Puts into the directory of a server that is not running what a crash may leave of an upload.
fn leave_unfinished(server: &Server, digest: &Digest, bytes: &[u8]) {
    fs::create_dir_all(server.path("server/uploads")).unwrap();
    fs::write(server.path(&format!("server/uploads/{digest}.part")), bytes).unwrap();
}

fn paying_machine(server: &Server) -> BareMachine {
    let (start, end) = ("2020-01-01T00:00:00Z", "2099-01-01T00:00:00Z");
    server.enroll(&server.customer("paying", "enterprise", start, end))
}

/// Expects everybody who can look to see the same: all of `version`, or nothing of it. Says
/// which.
#[track_caller]
fn is_published(server: &Server, machine: &BareMachine, version: &str) -> bool {
    let visible = server.visible();
    let is_listed = visible.versions().contains(&version);

    let path: TargetPath = format!("bugfix/{version}/release.json").parse().unwrap();
    let publisher_sees = verified(&server.publishing_state()).target(&path).is_ok();
    assert_eq!(publisher_sees, is_listed, "{version}: the channel and the list of releases");

    let (plan, trusted) = machine.check(server);
    assert_eq!(trusted.target(&path).is_ok(), is_listed, "{version}: the machine's metadata");
    let Action::Update { target } = plan.action else { panic!("{:?}", plan.action) };
    assert_eq!(target.version.to_string() == version, is_listed, "{version}: the plan");
    for file in [&target.manifest, &target.artifact] {
        let address = format!("targets/{}", file.path.consistent(&file.sha256));
        let bytes = machine.file(server, PRODUCT, &address).has_status(200).body;
        assert_eq!((bytes.len() as u64, Digest::of(&bytes)), (file.length, file.sha256));
        let listed = trusted.target(&file.path).unwrap();
        assert_eq!((listed.length, listed.hashes.sha256), (file.length, Some(file.sha256)));
    }
    is_listed
}

#[test]
fn a_server_killed_during_a_publish_has_all_of_the_release_or_nothing() {
    let mut server = opened();
    let machine = paying_machine(&server);
    let mut moments = None;
    let mut published_before_the_kill = 0;
    for moment in 0..=MOMENTS {
        let version = format!("1.0.{}", moment + 1);
        let tree = heavy_tree(&server, &version);
        let Some(moments) = &mut moments else {
            let started = Instant::now();
            publish_quickly(&server, &version, &tree).succeeds();
            moments = Some(Moments { undisturbed: started.elapsed() });
            assert!(is_published(&server, &machine, &version));
            continue;
        };
        let mut command = server.publish_command(&version, "bugfix", &tree, &QUICKLY);
        let mut publisher = command.stderr(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        moments.wait(moment);
        server.kill_and_restart();
        // It would go on looking for the server where that was.
        let _has_ended = publisher.kill();
        let was_acknowledged = publisher.wait().unwrap().success();
        moments.heed(was_acknowledged);

        let is_there = is_published(&server, &machine, &version);
        assert!(is_there || !was_acknowledged, "{version} was acknowledged and is gone");
        published_before_the_kill += u32::from(is_there);
        let again = publish_quickly(&server, &version, &tree);
        if is_there {
            let again = again.exits(3);
            assert!(again.stderr().contains("published already"), "{}", again.stderr());
        } else {
            again.succeeds();
        }
        assert!(is_published(&server, &machine, &version));
    }
    assert!(published_before_the_kill < MOMENTS, "no kill came before the end of a publish");
}

#[test]
fn a_server_killed_during_a_commit_has_all_of_the_release_or_nothing() {
    let mut server = opened();
    let machine = paying_machine(&server);
    let mut moments = Moments { undisturbed: Duration::ZERO };
    for moment in 0..=MOMENTS {
        let version = format!("1.0.{}", moment + 1);
        let packed = Packed::tree(&heavy_tree(&server, &version));
        packed.upload(&server);
        let artifact = packed.artifact;
        let release = Candidate::with_artifact(&server, &version, Channel::Bugfix, artifact);
        let commit = || {
            let body =
                release.request(&release.channel_metadata(), &[&server.vendor_key("release")]);
            let body = serde_json::to_vec(&body).unwrap();
            let bearer = format!("Bearer {}", server.admin_token());
            let line = format!("POST /v1/products/{PRODUCT}/releases");
            let length = body.len().to_string();
            let headers = [("Authorization", bearer.as_str()), ("Content-Length", &length)];
            let mut connection = server.begin(&line, &headers);
            connection.write_all(&[b"\r\n", &body[..]].concat()).unwrap();
            connection
        };
        let mut connection = commit();
        if moment == 0 {
            let started = Instant::now();
            Answer::read(&mut connection).has_status(201);
            moments.undisturbed = started.elapsed();
            continue;
        }
        moments.wait(moment);
        server.kill_and_restart();
        let mut answer = Vec::new();
        let _reset = connection.read_to_end(&mut answer);
        let was_acknowledged = answer.starts_with(b"HTTP/1.1 201");
        moments.heed(was_acknowledged);

        let is_there = is_published(&server, &machine, &version);
        assert!(is_there || !was_acknowledged, "{version} was acknowledged and is gone");
        if !is_there {
            release.commit(&server).has_status(201);
        }
        assert!(is_published(&server, &machine, &version));
    }
}

fn begin_report(server: &Server, machine: &BareMachine, number: usize) -> TcpStream {
    let event = json!({ "number": number, "kind": "confirmed", "to": "1.0.0" });
    let report = json!({ "product": PRODUCT, "running": "1.0.0", "events": [event] }).to_string();
    let bearer = format!("Bearer {}", machine.0.token);
    let length = report.len().to_string();
    let headers = [("Authorization", bearer.as_str()), ("Content-Length", &length)];
    let mut connection = server.begin("POST /v1/report", &headers);
    connection.write_all(format!("\r\n{report}").as_bytes()).unwrap();
    connection
}

/// Reports of many machines are made durable together, and each is acknowledged for itself.
#[test]
fn a_server_killed_among_reports_keeps_those_that_it_acknowledged() {
    let mut server = opened();
    let (start, end) = ("2020-01-01T00:00:00Z", "2099-01-01T00:00:00Z");
    let key = server.customer("paying", "enterprise", start, end);
    let machines: Vec<_> = (0..40).map(|_| server.enroll(&key)).collect();
    for number in 1..=3 {
        let begun = machines.iter().map(|machine| begin_report(&server, machine, number));
        let mut begun: Vec<_> = begun.collect();
        Answer::read(&mut begun[0]).has_status(204);
        server.kill_and_restart();
        for (index, (machine, mut connection)) in machines.iter().zip(begun).enumerate() {
            let mut answer = Vec::new();
            let _reset = connection.read_to_end(&mut answer);
            let was_acknowledged = index == 0 || answer.starts_with(b"HTTP/1.1 204");
            let shown: Value = server.get(&format!("/v1/machines/{}", machine.0.machine)).json();
            let mut events = shown["events"].as_array().unwrap().iter();
            let is_there = events.any(|event| event["event"]["number"] == number);
            assert!(is_there || !was_acknowledged, "report {number} was acknowledged and is gone");
            assert_eq!(shown["machine"]["event_number"] == number, is_there, "a part of a report");
        }
    }
}

#[test]
fn a_publish_goes_on_with_an_upload_that_a_kill_cut() {
    let mut server = opened();
    let version = "1.0.1";
    let tree = heavy_tree(&server, version);
    // The artifact is the same whoever packs it, so its beginning can be uploaded by hand.
    let Packed { artifact, bytes } = published_elsewhere(&tree);
    let pieces = 4;
    for piece in 0..pieces - 1 {
        let (start, end) = (bytes.len() * piece / pieces, bytes.len() * (piece + 1) / pieces);
        let path = upload_path(&artifact.sha256, start, bytes.len());
        let answer = server.request("PATCH", &path, &server.admin_token(), &bytes[start..end]);
        answer.has_status(200);
        server.kill_and_restart();
        assert_eq!(server.visible().versions(), ["1.0.0"]);
        let state: serde_json::Value =
            server.get(&format!("/v1/uploads/{}", artifact.sha256)).json();
        assert_eq!(state["received"], end);
    }
    publish_quickly(&server, version, &tree).succeeds();
    let trusted = verified(&server.publishing_state());
    let path = format!("bugfix/{version}/{}.tar.zst", platform());
    let listed = trusted.target(&path.parse().unwrap()).unwrap();
    assert_eq!(
        listed.hashes.sha256,
        Some(artifact.sha256),
        "the upload was not the one gone on with"
    );
}

#[test]
fn an_upload_that_was_whole_but_not_stored_when_the_server_died_is_stored() {
    let mut server = opened();
    let tree = heavy_tree(&server, "1.0.1");
    let Packed { artifact, bytes } = published_elsewhere(&tree);
    server.kill();
    leave_unfinished(&server, &artifact.sha256, &bytes);
    server.kill_and_restart();
    publish_quickly(&server, "1.0.1", &tree).succeeds();
    assert_eq!(server.visible().versions(), ["1.0.0", "1.0.1"]);
}

#[test]
fn an_upload_that_a_power_cut_left_torn_is_noticed_and_can_be_made_again() {
    let mut server = opened();
    let tree = heavy_tree(&server, "1.0.1");
    let Packed { artifact, bytes } = published_elsewhere(&tree);
    server.kill();
    // The length was written and the bytes were not.
    leave_unfinished(&server, &artifact.sha256, &vec![0; bytes.len() / 2]);
    server.kill_and_restart();
    let before = server.visible();
    let refused = publish_quickly(&server, "1.0.1", &tree).exits(3);
    assert!(refused.stderr().contains("BLOB_MISMATCH"), "{}", refused.stderr());
    assert_eq!(server.visible(), before);
    publish_quickly(&server, "1.0.1", &tree).succeeds();
}
