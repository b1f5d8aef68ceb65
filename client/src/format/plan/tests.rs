use serde_json::{Value, json};

use super::*;
use crate::tuf::json;

fn file(path: &str) -> TargetFile {
    TargetFile { path: path.parse().unwrap(), length: 3, sha256: Digest::of(b"abc") }
}

fn target() -> PlanTarget {
    PlanTarget {
        version: "2.4.1".parse().unwrap(),
        channel: Channel::Bugfix.into(),
        manifest: file("bugfix/2.4.1/release.json"),
        artifact: file("bugfix/2.4.1/linux-x86_64.tar.zst"),
        deltas: Vec::new(),
    }
}

fn plan(action: Action) -> Plan {
    Plan {
        kind: Plan::KIND.to_owned(),
        format: PLAN_FORMAT,
        version: 8,
        product: "acme-db".parse().unwrap(),
        customer: "globex".parse().unwrap(),
        machine: "m-1".parse().unwrap(),
        issued: "2026-06-01T00:00:00Z".parse().unwrap(),
        expires: "2026-06-08T00:00:00Z".parse().unwrap(),
        action,
        withheld: vec![Withheld {
            version: "3.0.0".parse().unwrap(),
            channel: Channel::Major,
            code: "CHANNEL_NOT_COVERED".to_owned(),
            message: "The contract has no major releases.".to_owned(),
            alternative: None,
        }],
        notices: vec![Notice { code: "LINE_EOL".to_owned(), message: "2.4 ends.".to_owned() }],
        retry: None,
        collect: None,
        poll_seconds: 900,
    }
}

fn deltas() -> Vec<DeltaPath> {
    let step = |profile, payload: &[u8]| DeltaStep {
        profile,
        length: 3,
        sha256: Digest::of(b"abc"),
        payload_length: payload.len() as u64,
        payload_sha256: Digest::of(payload),
    };
    let steps = vec![step(DeltaProfile::Fast, b"between"), step(DeltaProfile::Compact, b"new")];
    vec![DeltaPath { from: "2.3.9".parse().unwrap(), steps }]
}

fn rollback() -> Action {
    let ticket = Some("SUP-7".to_owned());
    let order = RollbackOrder { number: 3, reason: "it crashes".to_owned(), ticket };
    Action::Rollback { target: target(), order }
}

fn read(document: &Value) -> Result<Plan, String> {
    json::from_slice(&serde_json::to_vec(document).unwrap()).map_err(|error| error.to_string())
}

#[test]
fn a_plan_survives_its_document() {
    for action in [Action::Stay, Action::Update { target: target() }, rollback()] {
        let written = serde_json::to_value(plan(action.clone())).unwrap();
        assert_eq!(read(&written).unwrap(), plan(action));
    }
}

#[test]
fn a_target_may_name_deltas() {
    let target = PlanTarget { deltas: deltas(), ..target() };
    let written = serde_json::to_value(plan(Action::Update { target: target.clone() })).unwrap();
    assert_eq!(read(&written).unwrap().action.target(), Some(&target));
    let document = json!({"from": "2.3.9", "steps": [
        {"profile": "fast", "length": 3, "sha256": Digest::of(b"abc"),
            "payload_length": 7, "payload_sha256": Digest::of(b"between")},
        {"profile": "compact", "length": 3, "sha256": Digest::of(b"abc"),
            "payload_length": 3, "payload_sha256": Digest::of(b"new")},
    ]});
    assert_eq!(written["action"]["target"]["deltas"], json!([document]));
    assert_eq!(target.deltas[0].download_bytes(), 6);
}

#[test]
fn a_profile_of_later_programs_is_read() {
    let mut document = serde_json::to_value(&deltas()[0]).unwrap();
    document["steps"][0]["profile"] = json!("smaller_still");
    let path: DeltaPath = serde_json::from_value(document).unwrap();
    assert_eq!(path.steps[0].profile, DeltaProfile::Other);
}

#[test]
fn an_action_names_the_release_that_it_is_about() {
    assert_eq!(Action::Stay.target(), None);
    assert_eq!(Action::Update { target: target() }.target(), Some(&target()));
    assert_eq!(rollback().target(), Some(&target()));
}

#[test]
fn the_document_has_this_form() {
    insta::assert_snapshot!(serde_json::to_string_pretty(&plan(rollback())).unwrap(), @r#"
    {
      "_type": "plan",
      "format": 1,
      "version": 8,
      "product": "acme-db",
      "customer": "globex",
      "machine": "m-1",
      "issued": "2026-06-01T00:00:00Z",
      "expires": "2026-06-08T00:00:00Z",
      "action": {
        "do": "rollback",
        "target": {
          "version": "2.4.1",
          "channel": "bugfix",
          "manifest": {
            "path": "bugfix/2.4.1/release.json",
            "length": 3,
            "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
          },
          "artifact": {
            "path": "bugfix/2.4.1/linux-x86_64.tar.zst",
            "length": 3,
            "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
          }
        },
        "order": {
          "number": 3,
          "reason": "it crashes",
          "ticket": "SUP-7"
        }
      },
      "withheld": [
        {
          "version": "3.0.0",
          "channel": "major",
          "code": "CHANNEL_NOT_COVERED",
          "message": "The contract has no major releases."
        }
      ],
      "notices": [
        {
          "code": "LINE_EOL",
          "message": "2.4 ends."
        }
      ],
      "poll_seconds": 900
    }
    "#);
}

#[test]
fn a_plan_whose_action_is_not_understood_is_refused() {
    let good = serde_json::to_value(plan(rollback())).unwrap();
    for (pointer, bad, why) in [
        ("/action/do", json!("reformat"), "unknown variant `reformat`"),
        ("/action/target", json!(null), "null"),
        ("/action/target/manifest/path", json!("../etc/passwd"), "target path"),
        ("/action/target/manifest/sha256", json!("00"), "SHA-256"),
        ("/action/target/artifact/length", json!(-1), "-1"),
        ("/action/target/version", json!("2.4"), "version"),
        ("/action/target/channel", json!("Bug Fix"), "channel name"),
        ("/machine", json!("m/1"), "machine name"),
        ("/poll_seconds", json!(4_294_967_296_u64), "u32"),
    ] {
        let mut document = good.clone();
        *document.pointer_mut(pointer).unwrap() = bad.clone();
        let error = read(&document).unwrap_err();
        assert!(error.contains(why), "{pointer} = {bad}: {error}");
    }
    for missing in good.as_object().unwrap().keys() {
        let mut document = good.clone();
        document.as_object_mut().unwrap().remove(missing);
        let error = read(&document).unwrap_err();
        assert!(error.contains(&format!("missing field `{missing}`")), "{error}");
    }
}

/// A server may say more than an older agent understands, as long as the format stays the same.
#[test]
fn members_of_later_servers_are_passed_over() {
    let mut document = serde_json::to_value(plan(Action::Stay)).unwrap();
    document["x-later"] = json!(1);
    assert_eq!(read(&document).unwrap(), plan(Action::Stay));
}
