use std::{fs, os::unix::fs::symlink, path::Path};

use mainstay_client::{
    format::{Digest, Version},
    install::{Installation, Layout, Moment, Record},
};
use serde_json::{Value, json};

use super::{Seeds, input::Input, repository::now};

/// A journal with the heading that its `body` should have: an input is not to end there.
fn with_heading(body: &[u8]) -> Vec<u8> {
    let heading = json!({ "format": Record::JOURNAL_FORMAT, "sha256": Digest::of(body) });
    [heading.to_string().as_bytes(), b"\n", body].concat()
}

/// A journal is read or refused, and its record is written as it can be read.
pub(crate) fn journal(bytes: &[u8]) {
    let body = bytes.iter().position(|byte| *byte == b'\n').map_or(bytes, |end| &bytes[end + 1..]);
    for journal in [bytes.to_vec(), with_heading(bytes), with_heading(body)] {
        let Ok(record) = Record::in_journal(&journal, Path::new("journal")) else { continue };
        let written = serde_json::to_vec(&record).unwrap();
        assert_eq!(serde_json::from_slice::<Record>(&written).unwrap(), record);
        if let Some(previous) = record.previous() {
            assert!(Some(&previous.version) < record.running.as_ref());
            assert!(record.floor.as_ref() <= Some(&previous.version));
        }
    }
}

fn moment() -> Moment {
    Moment { wall: now(), boot: "the first".to_owned(), uptime_seconds: 0 }
}

const VERSIONS: [&str; 4] = ["1.0.0", "1.1.0", "2.0.0-rc.1", "9.9.9"];

/// Whatever the journal says and the disk holds: an installation opens on a whole version or on
/// none, and is settled by that.
pub(crate) fn recovery(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::new(dir.path().join("root"));
    lay_out(&layout, &mut input);
    let journal = with_heading(input.rest());
    // Whatever a fuzzer comes to think of must not be run.
    let record = Record::in_journal(&journal, Path::new("journal"));
    if record.is_ok_and(|it| it.trees.iter().any(|tree| !tree.artifact.hooks.is_empty())) {
        return;
    }
    fs::write(layout.journal(), journal).unwrap();
    let Ok(installation) = Installation::open(layout.root(), &moment()) else { return };
    let running = installation.running().cloned();
    expect_whole(&layout, running.as_ref());
    drop(installation);
    let again = Installation::open(layout.root(), &moment()).unwrap();
    assert_eq!(again.recovery(), None, "it was settled before");
    assert_eq!(again.running(), running.as_ref());
}

/// Puts trees, data, snapshots and `current` in their places.
fn lay_out(layout: &Layout, input: &mut Input<'_>) {
    let (trees, current, rest) = (input.byte(), input.below(7), input.byte());
    for (index, version) in VERSIONS.iter().enumerate() {
        if trees & 1 << index != 0 {
            fs::create_dir_all(layout.versions().join(version)).unwrap();
        }
        if rest & 1 << index != 0 {
            fs::create_dir_all(layout.snapshots().join(index.to_string()).join("a")).unwrap();
        }
    }
    fs::create_dir_all(layout.private()).unwrap();
    if rest & 0x10 != 0 {
        fs::create_dir_all(layout.data()).unwrap();
    }
    if rest & 0x20 != 0 {
        fs::create_dir_all(layout.private().join("staging/data")).unwrap();
    }
    match usize::from(current) {
        4 => {}
        5 => symlink("elsewhere", layout.current()).unwrap(),
        6 => fs::write(layout.current(), "").unwrap(),
        version => symlink(format!("versions/{}", VERSIONS[version]), layout.current()).unwrap(),
    }
}

fn expect_whole(layout: &Layout, running: Option<&Version>) {
    let found = fs::read_link(layout.current()).ok();
    let expected = running.map(|version| Path::new("versions").join(version.to_string()));
    assert_eq!(found, expected, "`current` is not what the journal says");
    if let Some(version) = running {
        assert!(layout.tree(version).is_dir(), "{version} runs and has no tree");
    }
}

/// A journal at `stage`, on the way from 1.0.0 to 1.1.0.
fn body(stage: &Value) -> Value {
    let digest = Digest::of(b"");
    let artifact = json!({
        "length": 10, "sha256": digest, "payload_length": 1024, "payload_sha256": digest,
        "window_log": 10, "health": { "command": ["bin/vault"], "timeout_seconds": 60 },
    });
    let tree =
        |version: &str| json!({ "version": version, "channel": "feature", "artifact": artifact });
    let on_probation = stage.get("probation").is_some();
    let attempt = json!({
        "kind": "update", "version": "1.1.0", "artifact": artifact, "channel": "feature",
    });
    let mut stage = stage.clone();
    for pointer in [
        "/staged/attempt",
        "/preparing/attempt",
        "/fetched/attempt",
        "/switching/change/attempt",
        "/probation/change/attempt",
        "/undoing/switch/change/attempt",
    ] {
        if let Some(place) = stage.pointer_mut(pointer) {
            *place = attempt.clone();
        }
    }
    json!({
        "record": {
            "running": if on_probation { "1.1.0" } else { "1.0.0" },
            "confirmed": ["1.0.0"],
            "trees": [tree("1.0.0"), tree("1.1.0")],
            "blocked": [{ "version": "9.9.9", "reason": "it crashed" }],
            "probation": on_probation.then(|| json!({
                "version": "1.1.0", "from": "1.0.0", "deadline": "2026-06-02T00:00:00Z",
                "watch": { "remaining_seconds": 600, "boot": "the first", "uptime_seconds": 0,
                    "starts": 1 },
            })),
            "floor": "1.0.0",
            "data_epoch": 7,
            "last_outcome": { "outcome": "committed", "from": null, "to": "1.0.0" },
        },
        "stage": stage,
        "snapshots": [{ "number": 1, "version": "1.0.0", "content": "directory", "epoch": 6,
                "others": [{ "path": "var/more", "content": "nothing" }] },
            { "number": 2, "version": null, "content": "nothing" }],
        "snapshots_made": 2,
        "events": [{ "number": 1, "kind": "confirmed", "from": null, "to": "1.0.0",
            "order": null, "detail": "" }],
        "events_queued": 1,
        "recoveries": 1,
        "stopped": { "version": "1.1.0", "times": 2 },
        "given_up": { "version": "1.1.0", "cause": "no space" },
    })
}

fn bodies() -> Vec<(&'static str, Value)> {
    let change = json!({ "from": "1.0.0", "attempt": null, "run": "00ff" });
    let switch = json!({ "change": change, "left": 1, "brought": null });
    let undoing = json!({ "switch": switch, "reason": "it failed", "fault": "release" });
    let stages = [
        ("idle", json!("idle")),
        ("staged", json!({ "staged": change })),
        ("preparing", json!({ "preparing": change })),
        ("switching", json!({ "switching": switch })),
        ("probation", json!({ "probation": switch })),
        ("undoing", json!({ "undoing": undoing })),
    ];
    stages.map(|(name, stage)| (name, body(&stage))).into()
}

pub(crate) fn journal_seeds() -> Seeds {
    let written = |body: Value| with_heading(&serde_json::to_vec_pretty(&body).unwrap());
    bodies().into_iter().map(|(name, body)| (name, written(body))).collect()
}

pub(crate) fn recovery_seeds() -> Seeds {
    // Both trees, `current` at the older, data and a snapshot of them.
    let written = |body: Value| [&[0b11, 0, 0x12], &*serde_json::to_vec(&body).unwrap()].concat();
    bodies().into_iter().map(|(name, body)| (name, written(body))).collect()
}
