//! Deltas that the server makes by itself: for what machines run, named in their plans, given out to those
//! who may have what they make, and counted.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use mainstay_client::{
    delta,
    format::{
        Action, DeltaPath, DeltaProfile, Digest, Plan, PlanTarget, Platform,
        wire::{CheckRequest, CheckResponse, KnownMetadata},
    },
    pack::{self, PayloadIdentity},
    tuf::Envelope,
};
use serde_json::Value;

use crate::{
    by_hand::BareMachine,
    fleet::{customer, noise},
    harness::{PRODUCT, Server, eventually},
    http::Answer,
};

/// How many bytes of a tree are alike in two releases.
const ALIKE_BYTES: usize = 200_000;

/// Publishes a release that differs from others in a few bytes.
fn publish(server: &Server, version: &str, channel: &str, bytes: usize) -> PathBuf {
    let tree = server.tree(version);
    let mut data = noise(bytes);
    data[bytes / 2..][..version.len()].copy_from_slice(version.as_bytes());
    fs::write(tree.join("data"), data).unwrap();
    server.publish_tree(version, channel, &tree, &["--level", "1"]).succeeds();
    tree
}

/// The payload that a tree packs to.
fn payload(tree: &Path) -> Vec<u8> {
    pack::pack_tree(tree, Vec::new(), &pack::Limits::default(), &mut |_| ()).unwrap().0
}

/// What the machine is told that runs `running`.
fn check(server: &Server, machine: &BareMachine, running: &str) -> Plan {
    let request = CheckRequest {
        product: PRODUCT.parse().unwrap(),
        platform: Platform::of_this_program(),
        running: Some(running.parse().unwrap()),
        known: KnownMetadata { root: 1, ..KnownMetadata::default() },
        agent: "by hand".to_owned(),
        facts: None,
        waits: None,
    };
    let body = serde_json::to_vec(&request).unwrap();
    let answer = server.request("POST", "/v1/check", &machine.0.token, &body).has_status(200);
    let CheckResponse { plan, .. } = answer.json();
    Envelope::parse("plan", plan.as_bytes()).unwrap().document().unwrap()
}

fn target(plan: &Plan) -> &PlanTarget {
    let Action::Update { target } = &plan.action else { panic!("no update: {plan:?}") };
    target
}

/// What the server says of its deltas.
fn listed(server: &Server) -> Value {
    server.get(&format!("/v1/products/{PRODUCT}/deltas")).has_status(200).json()
}

/// The delta between two releases once it has come to `stage`.
fn staged(server: &Server, from: &str, to: &str, stage: &str) -> Value {
    eventually(&format!("the delta {from} to {to}: {stage}"), || {
        let page = listed(server);
        let mut deltas = page["deltas"].as_array().unwrap().iter();
        deltas.find(|it| it["from"] == from && it["to"] == to && it["stage"] == stage).cloned()
    })
}

fn asked(
    server: &Server,
    machine: &BareMachine,
    method: &str,
    name: &str,
    header: (&str, &str),
) -> Answer {
    let bearer = format!("Bearer {}", machine.0.token);
    let path = format!("/repo/{PRODUCT}/deltas/{name}");
    server.request_with(method, &path, &[("Authorization", &bearer), header], b"")
}

/// A server with 1.0.0, and a machine that runs it and may have everything.
fn opened(config: &str, bytes: usize) -> (Server, BareMachine, PathBuf) {
    let server = Server::with_config(config);
    let tree = publish(&server, "1.0.0", "major", bytes);
    let machine = server.enroll(&customer(&server, "premium"));
    check(&server, &machine, "1.0.0");
    (server, machine, tree)
}

#[test]
fn a_delta_is_made_for_what_runs_and_named_given_out_and_counted() {
    let (server, machine, old) = opened("", ALIKE_BYTES);
    let other = server.enroll(&customer(&server, "basic"));
    check(&server, &other, "1.0.0");
    let before = check(&server, &machine, "1.0.0");
    let new = publish(&server, "1.1.0", "feature", ALIKE_BYTES);
    let made = staged(&server, "1.0.0", "1.1.0", "kept");
    assert_eq!((&made["machines"], &made["downloads"]), (&1.into(), &0.into()), "{made}");

    let plan = check(&server, &machine, "1.0.0");
    assert!(plan.version > before.version);
    let target = target(&plan);
    let [DeltaPath { from, steps }] = target.deltas.as_slice() else { panic!("{target:?}") };
    assert_eq!((from.to_string().as_str(), steps.len()), ("1.0.0", 1));
    let (step, payload) = (&steps[0], [&old, &new].map(|tree| payload(tree)));
    let identity = PayloadIdentity { length: step.payload_length, sha256: step.payload_sha256 };
    assert_eq!(step.profile, DeltaProfile::Fast);
    assert_eq!(identity.sha256, Digest::of(&payload[1]));
    assert_eq!(
        (made["length"].as_u64(), &made["sha256"]),
        (Some(step.length), &step.sha256.to_string().into())
    );
    assert_eq!(made["artifact_length"].as_u64(), Some(target.artifact.length));
    assert!(step.length * 10 < target.artifact.length, "{made}");

    let name = step.sha256.to_string();
    let delta = asked(&server, &machine, "GET", &name, ("Accept", "*/*")).has_status(200);
    assert_eq!((delta.body.len() as u64, Digest::of(&delta.body)), (step.length, step.sha256));
    let limits = delta::Limits::default();
    let applied =
        delta::apply(&payload[0], &delta.body, &identity, &limits, Vec::new(), &mut |_| {
            std::ops::ControlFlow::Continue(())
        });
    assert!(applied.unwrap() == payload[1]);

    let tag = format!("\"{name}\"");
    assert_eq!(delta.header("ETag"), Some(tag.as_str()));
    asked(&server, &machine, "GET", &name, ("If-None-Match", &tag)).has_status(304);
    let part = asked(&server, &machine, "GET", &name, ("Range", "bytes=3-8")).has_status(206);
    assert_eq!(part.body, delta.body[3..9]);
    let head = asked(&server, &machine, "HEAD", &name, ("Accept", "*/*")).has_status(200);
    assert_eq!(
        (head.header("Content-Length"), head.body.len()),
        (delta.header("Content-Length"), 0)
    );
    // Nothing of it is for a machine that may not have what it makes.
    asked(&server, &other, "GET", &name, ("Accept", "*/*")).refuses(403, "CHANNEL_NOT_COVERED");
    assert_eq!(check(&server, &other, "1.0.0").action, Action::Stay);
    for unknown in [Digest::of(b"no delta").to_string(), "nothing".to_owned(), String::new()] {
        asked(&server, &machine, "GET", &unknown, ("Accept", "*/*")).refuses(404, "NOT_FOUND");
    }

    // The rest of one that was cut counts as the one download that it ends.
    let rest = format!("bytes={}-", step.length - 1);
    asked(&server, &machine, "GET", &name, ("Range", &rest)).has_status(206);
    // It is counted after its last byte is sent.
    let page = eventually("both downloads are counted", || {
        Some(listed(&server)).filter(|page| page["saved"]["downloads"] == 2)
    });
    let saved = 2 * (target.artifact.length - step.length);
    let expected = (&Value::from(2), &Value::from(saved));
    assert_eq!((&page["saved"]["downloads"], &page["saved"]["saved_bytes"]), expected);
    let release = &page["releases"][0];
    assert_eq!(release["version"], "1.1.0");
    assert_eq!((&release["downloads"], &release["saved_bytes"]), expected);
    assert_eq!(page["kept_bytes"].as_u64(), Some(step.length));
    let measures = server.get("/metrics").has_status(200).body;
    let measures = String::from_utf8(measures).unwrap();
    for line in [
        format!("mainstay_delta_saved_bytes_total {saved}\n"),
        "mainstay_delta_downloads_total 2\n".to_owned(),
        "mainstay_deltas_kept 1\n".to_owned(),
        "mainstay_deltas_made_total{outcome=\"kept\"} 1\n".to_owned(),
    ] {
        assert!(measures.contains(&line), "{line}{measures}");
    }
    let told = server.mainstay(&["delta", "list", PRODUCT]).succeeds().stdout();
    assert!(told.contains("1.1.0: 2 download(s)") && told.contains("kept"), "{told}");
    let all = server.mainstay(&["--json", "delta", "list"]).succeeds().json();
    assert_eq!(all[0]["deltas"], page["deltas"]);
}

/// A server that is killed in the middle makes the delta once it runs again, and one that was made is named
/// from the first check on.
#[test]
fn a_delta_is_made_though_the_server_is_killed_in_the_middle() {
    let (mut server, machine, _) = opened("", 1_500_000);
    publish(&server, "1.0.1", "bugfix", 1_500_000);
    staged(&server, "1.0.0", "1.0.1", "making");
    server.kill_and_restart();
    let made = staged(&server, "1.0.0", "1.0.1", "kept");
    let named = |server: &Server| {
        let plan = check(server, &machine, "1.0.0");
        let digests = target(&plan).deltas.iter().map(|path| path.steps[0].sha256.to_string());
        (plan.version, digests.collect::<Vec<_>>())
    };
    let (version, digests) = named(&server);
    assert_eq!(digests, [made["sha256"].as_str().unwrap()]);
    server.kill_and_restart();
    assert_eq!(named(&server), (version, digests), "no new plan by a restart");
    let unfinished: BTreeSet<_> =
        blobs(&server).into_iter().filter(|it| it.contains('#')).collect();
    assert_eq!(unfinished, BTreeSet::new());
}

fn blobs(server: &Server) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![server.path("server/blobs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else {
                found.push(entry.file_name().into_string().unwrap());
            }
        }
    }
    found
}

#[test]
fn a_delta_that_saves_nothing_is_not_kept_nor_tried_again() {
    let (mut server, machine, _) = opened("", 100_000);
    let tree = server.tree("1.0.1");
    let other: Vec<u8> =
        noise(100_000).into_iter().map(|byte| byte.wrapping_mul(167)).rev().collect();
    fs::write(tree.join("data"), other).unwrap();
    let blobs_before = blobs(&server).len();
    server.publish_tree("1.0.1", "bugfix", &tree, &["--level", "1"]).succeeds();
    let tried = staged(&server, "1.0.0", "1.0.1", "not_worth");
    assert!(tried["length"].as_u64().unwrap() > 75_000, "{tried}");
    assert_eq!(target(&check(&server, &machine, "1.0.0")).deltas, []);
    let published = blobs(&server).len();
    server.kill_and_restart();
    // What is published next is made: the one before had its turn, and was passed over.
    publish(&server, "1.0.2", "bugfix", 100_000);
    staged(&server, "1.0.0", "1.0.2", "kept");
    let page = listed(&server);
    let mut deltas = page["deltas"].as_array().unwrap().iter();
    let still = deltas.find(|it| it["to"] == "1.0.1").unwrap();
    assert_eq!((&still["stage"], &still["seconds"]), (&tried["stage"], &tried["seconds"]));
    assert!(published > blobs_before);
}

/// Where deltas are switched off, none is made.
#[test]
fn none_is_made_where_that_is_switched_off() {
    let (server, machine, _) = opened("[deltas]\nenabled = false\n", 100_000);
    publish(&server, "1.0.1", "bugfix", 100_000);
    staged(&server, "1.0.0", "1.0.1", "waiting");
    assert_eq!(target(&check(&server, &machine, "1.0.0")).deltas, []);
}

#[test]
fn a_machine_updates_by_a_delta_and_by_the_artifact_where_its_tree_was_changed() {
    let server = Server::with_config("");
    publish(&server, "1.0.0", "major", ALIKE_BYTES);
    let machine = server.machine(&customer(&server, "premium"));
    let settings = machine.root().join(".mainstay/agent.toml");
    let text = fs::read_to_string(&settings).unwrap();
    // On this machine the artifact is as fast.
    fs::write(&settings, format!("{text}\n[download]\nprefer = \"bytes\"\n")).unwrap();
    machine.agent(&["update"]).succeeds();
    let data = || fs::read(machine.root().join("current/data")).unwrap();

    let tree = publish(&server, "1.0.1", "bugfix", ALIKE_BYTES);
    staged(&server, "1.0.0", "1.0.1", "kept");
    let told = machine.agent(&["update"]).succeeds().stdout().clone();
    assert!(told.contains("It came by a delta of "), "{told}");
    assert!(data() == fs::read(tree.join("data")).unwrap());
    let counted = staged(&server, "1.0.0", "1.0.1", "kept");
    assert_eq!(counted["downloads"], 1, "{counted}");

    let changed = machine.root().join("versions/1.0.1/data");
    let mut bytes = fs::read(&changed).unwrap();
    bytes[7] ^= 1;
    fs::write(&changed, bytes).unwrap();
    let tree = publish(&server, "1.0.2", "bugfix", ALIKE_BYTES);
    staged(&server, "1.0.1", "1.0.2", "kept");
    let told = machine.agent(&["update"]).succeeds().stdout().clone();
    assert!(told.contains("Tried before (delta)"), "{told}");
    assert!(told.contains("It came by the full artifact"), "{told}");
    assert!(data() == fs::read(tree.join("data")).unwrap());
}
