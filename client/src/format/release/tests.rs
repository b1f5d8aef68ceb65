use serde_json::{Value, json};

use super::*;
use crate::tuf::json;

fn version(text: &str) -> Version {
    text.parse().unwrap()
}

fn artifact() -> Artifact {
    Artifact {
        length: 3,
        sha256: Digest::of(b"abc"),
        payload_length: 4,
        payload_sha256: Digest::of(b"abcd"),
        window_log: 20,
        health: Some(health()),
        hooks: Hooks::default(),
        data: None,
        requires: crate::format::Requirements::default(),
    }
}

fn health() -> HealthCheck {
    HealthCheck {
        command: vec!["bin/check".to_owned(), "--quick".to_owned()],
        timeout_seconds: 30,
        confirm_within_seconds: Some(600),
        ..HealthCheck::of(Vec::new())
    }
}

/// A manifest with nothing wrong in it.
fn manifest() -> ReleaseManifest {
    ReleaseManifest {
        format: RELEASE_FORMAT,
        product: "acme-db".parse().unwrap(),
        version: version("2.4.1"),
        channel: Channel::Security,
        private_channel: None,
        severity: Severity::Critical,
        published_at: "2026-06-01T00:00:00Z".parse().unwrap(),
        effective_at: "2026-05-01T00:00:00Z".parse().unwrap(),
        advisories: vec!["CVE-2026-1234".parse().unwrap()],
        requires_addons: Vec::new(),
        audience: Vec::new(),
        courtesy: true,
        min_from: Some(version("2.0.0")),
        floor: Some(version("2.4.1")),
        notes: "Closes a hole.".to_owned(),
        artifacts: BTreeMap::from([("linux-x86_64".parse().unwrap(), artifact())]),
    }
}

/// What is wrong with [`manifest`] after `change`.
fn problems(change: impl FnOnce(&mut ReleaseManifest)) -> Vec<String> {
    let mut changed = manifest();
    change(&mut changed);
    changed.problems()
}

/// What is wrong with [`manifest`] after `change` of its one artifact.
fn artifact_problems(change: impl FnOnce(&mut Artifact)) -> Vec<String> {
    let mut changed = artifact();
    change(&mut changed);
    problems(|manifest| *manifest.artifacts.values_mut().next().unwrap() = changed)
}

/// What is wrong with [`health`] after `change`.
fn health_problems(change: impl FnOnce(&mut HealthCheck)) -> Vec<String> {
    let mut changed = health();
    change(&mut changed);
    changed.problems()
}

fn read(document: &Value) -> Result<ReleaseManifest, String> {
    json::from_slice(&serde_json::to_vec(document).unwrap()).map_err(|error| error.to_string())
}

#[test]
fn a_manifest_that_breaks_no_rule_has_no_problems() {
    assert_eq!(manifest().problems(), Vec::<String>::new());
    let least = ReleaseManifest {
        version: version("3.0.0"),
        channel: Channel::Major,
        effective_at: manifest().published_at,
        courtesy: false,
        min_from: None,
        floor: None,
        notes: String::new(),
        ..manifest()
    };
    assert_eq!(least.problems(), Vec::<String>::new());
}

#[test]
fn only_the_format_that_this_program_reads_is_accepted() {
    insta::assert_debug_snapshot!(problems(|m| m.format = 2), @r#"
    [
        "format is 2: expected 1",
    ]
    "#);
}

/// What is wrong with [`manifest`] as one of the custom build `text` after `change`.
fn custom_build_problems(text: &str, change: impl FnOnce(&mut ReleaseManifest)) -> Vec<String> {
    problems(|manifest| {
        manifest.private_channel = Some("a".repeat(26).parse().unwrap());
        manifest.version = version(text);
        manifest.floor = None;
        change(manifest);
    })
}

#[test]
fn a_custom_build_is_listed_by_its_private_channel_and_has_a_version_of_its_own() {
    assert_eq!(custom_build_problems("2.4.2-custom.1", |_| ()), [""; 0]);
    insta::assert_debug_snapshot!(custom_build_problems("2.4.2", |_| ()), @r#"
    [
        "version 2.4.2 of a custom build is one for everybody: expected X.Y.Z-NAME.N, which comes before X.Y.Z, for example 2.4.2-custom.1",
    ]
    "#);
    let odd = custom_build_problems("2.5.0-custom.1", |manifest| {
        manifest.channel = Channel::Feature;
        manifest.effective_at = manifest.published_at;
        manifest.courtesy = false;
        manifest.audience = vec!["pilot".parse().unwrap()];
    });
    insta::assert_debug_snapshot!(odd, @r#"
    [
        "a custom build is set on channel feature: expected bugfix or security, because it opens no line",
        "audience is set on a custom build: expected none, because it is for the customer of its private channel alone",
    ]
    "#);
    let name = "b".repeat(26);
    let custom = ReleaseManifest { private_channel: Some(name.parse().unwrap()), ..manifest() };
    assert_eq!(custom.path().as_str(), format!("{name}/2.4.1/release.json"));
    assert_eq!(
        custom.artifact_path(&"linux-x86_64".parse().unwrap()).as_str(),
        format!("{name}/2.4.1/linux-x86_64.tar.zst")
    );
    let written = serde_json::to_value(&custom).unwrap();
    assert_eq!(read(&written), Ok(custom));
    assert!(serde_json::to_value(manifest()).unwrap().get("private_channel").is_none());
}

#[test]
fn version_and_channel_agree() {
    let found = problems(|m| m.version = version("2.5.0"));
    insta::assert_debug_snapshot!(found, @r#"
    [
        "version 2.5.0 does not fit channel security: expected X.Y.Z with Z > 0",
    ]
    "#);
}

#[test]
fn a_release_is_effective_no_later_than_it_is_published() {
    assert_eq!(problems(|m| m.effective_at = m.published_at), Vec::<String>::new());
    let later = problems(|m| m.effective_at = "2026-06-01T00:00:01Z".parse().unwrap());
    insta::assert_debug_snapshot!(later, @r#"
    [
        "effective_at 2026-06-01T00:00:01Z is after published_at 2026-06-01T00:00:00Z: expected the same or earlier",
    ]
    "#);
}

#[test]
fn only_patch_releases_are_backdated() {
    let found = problems(|m| {
        m.version = version("2.5.0");
        m.channel = Channel::Feature;
        m.courtesy = false;
    });
    insta::assert_debug_snapshot!(found, @r#"
    [
        "effective_at is set on channel feature: expected bugfix or security",
    ]
    "#);
    let bugfix = problems(|m| {
        m.channel = Channel::Bugfix;
        m.courtesy = false;
    });
    assert_eq!(bugfix, Vec::<String>::new());
}

#[test]
fn only_security_releases_are_a_courtesy() {
    insta::assert_debug_snapshot!(problems(|m| m.channel = Channel::Bugfix), @r#"
    [
        "courtesy is set on channel bugfix: expected security",
    ]
    "#);
}

#[test]
fn an_update_comes_from_below() {
    assert_eq!(problems(|m| m.min_from = Some(version("2.4.0"))), Vec::<String>::new());
    for bad in ["2.4.1", "2.4.2"] {
        let found = problems(|m| m.min_from = Some(version(bad)));
        assert_eq!(found, ["min_from is not below the version 2.4.1"], "{bad}");
    }
}

#[test]
fn a_release_does_not_forbid_itself() {
    let found = problems(|m| m.floor = Some(version("2.4.2")));
    assert_eq!(found, ["floor is above the version 2.4.1"]);
}

#[test]
fn notes_are_bounded_in_bytes() {
    let notes = |bytes: usize| problems(|m| m.notes = "é".repeat(bytes / 2));
    assert_eq!(notes(ReleaseManifest::NOTES_BYTES_MAX), Vec::<String>::new());
    let found = notes(ReleaseManifest::NOTES_BYTES_MAX + 2);
    assert_eq!(found, ["notes are 65538 bytes: expected at most 65536"]);
}

#[test]
fn a_release_has_platforms() {
    let platforms = |count: usize| {
        problems(|m| {
            m.artifacts =
                (0..count).map(|n| (format!("linux-{n}").parse().unwrap(), artifact())).collect();
        })
    };
    assert_eq!(platforms(0), ["0 platforms: expected 1 to 64"]);
    assert_eq!(platforms(1), Vec::<String>::new());
    assert_eq!(platforms(64), Vec::<String>::new());
    assert_eq!(platforms(65), ["65 platforms: expected 1 to 64"]);
}

#[test]
fn unpacking_is_bounded() {
    assert_eq!(artifact_problems(|a| a.window_log = 27), Vec::<String>::new());
    let found = artifact_problems(|a| a.window_log = 28);
    assert_eq!(found, ["linux-x86_64: window_log is 28: expected at most 27"]);
    let most = ReleaseManifest::PAYLOAD_BYTES_MAX;
    assert_eq!(artifact_problems(|a| a.payload_length = most), Vec::<String>::new());
    let found = artifact_problems(|a| a.payload_length = most + 1);
    assert_eq!(
        found,
        ["linux-x86_64: payload is 274877906945 bytes: expected at most 274877906944"]
    );
}

#[test]
fn a_health_check_runs_a_program_of_its_release() {
    for good in ["bin/check", "./check", "sh", "a..b/c"] {
        let found = health_problems(|h| h.command = vec![good.to_owned()]);
        assert_eq!(found, Vec::<String>::new(), "{good}");
    }
    let empty = ["health.command is empty: expected a program"];
    assert_eq!(health_problems(|h| h.command.clear()), empty);
    assert_eq!(health_problems(|h| h.command = vec![String::new(), "x".to_owned()]), empty);
    for bad in ["/bin/sh", "../check", "bin/../../check", ".."] {
        let found = health_problems(|h| h.command = vec![bad.to_owned()]);
        let expected =
            format!("health.command `{bad}` leaves the release's tree: expected a path below it");
        assert_eq!(found, [expected]);
    }
    let found = health_problems(|h| h.command.push("a\0b".to_owned()));
    assert_eq!(found, ["health.command contains a NUL character"]);
}

#[test]
fn a_health_check_ends_and_leaves_time_to_confirm() {
    for good in [1, 3600] {
        assert_eq!(health_problems(|h| h.timeout_seconds = good), Vec::<String>::new());
    }
    for bad in [0, 3601] {
        let found = health_problems(|h| h.timeout_seconds = bad);
        assert_eq!(found, [format!("health.timeout_seconds is {bad}: expected 1 to 3600")]);
    }
    for good in [None, Some(1)] {
        assert_eq!(health_problems(|h| h.confirm_within_seconds = good), Vec::<String>::new());
    }
    let found = health_problems(|h| h.confirm_within_seconds = Some(0));
    assert_eq!(found, ["health.confirm_within_seconds is 0: expected at least 1, or none"]);
}

#[test]
fn all_problems_are_listed_at_once() {
    let found = problems(|m| {
        m.format = 7;
        m.channel = Channel::Feature;
        m.effective_at = "2027-01-01T00:00:00Z".parse().unwrap();
        m.min_from = Some(version("9.0.0"));
        m.floor = Some(version("9.0.0"));
        m.notes = "x".repeat(ReleaseManifest::NOTES_BYTES_MAX + 1);
        let bad = Artifact {
            window_log: 99,
            payload_length: u64::MAX,
            health: Some(HealthCheck {
                timeout_seconds: 0,
                confirm_within_seconds: Some(0),
                ..HealthCheck::of(Vec::new())
            }),
            ..artifact()
        };
        m.artifacts =
            (0..65).map(|n| (format!("linux-{n}").parse().unwrap(), artifact())).collect();
        m.artifacts.insert("linux-0".parse().unwrap(), bad);
    });
    insta::assert_debug_snapshot!(found, @r#"
    [
        "format is 7: expected 1",
        "version 2.4.1 does not fit channel feature: expected X.Y.0 with Y > 0",
        "effective_at 2027-01-01T00:00:00Z is after published_at 2026-06-01T00:00:00Z: expected the same or earlier",
        "effective_at is set on channel feature: expected bugfix or security",
        "courtesy is set on channel feature: expected security",
        "min_from is not below the version 2.4.1",
        "floor is above the version 2.4.1",
        "notes are 65537 bytes: expected at most 65536",
        "65 platforms: expected 1 to 64",
        "linux-0: window_log is 99: expected at most 27",
        "linux-0: payload is 18446744073709551615 bytes: expected at most 274877906944",
        "linux-0: health.command is empty: expected a program",
        "linux-0: health.timeout_seconds is 0: expected 1 to 3600",
        "linux-0: health.confirm_within_seconds is 0: expected at least 1, or none",
    ]
    "#);
}

#[test]
fn a_manifest_survives_its_document() {
    let written = serde_json::to_value(manifest()).unwrap();
    assert_eq!(read(&written).unwrap(), manifest());
}

#[test]
fn what_is_left_out_has_one_meaning() {
    let mut document = serde_json::to_value(manifest()).unwrap();
    let members = document.as_object_mut().unwrap();
    for optional in ["advisories", "courtesy", "min_from", "floor"] {
        members.remove(optional).unwrap();
    }
    document["artifacts"]["linux-x86_64"]["health"] = json!({ "command": ["check"] });
    let read = read(&document).unwrap();
    assert!(read.advisories.is_empty() && !read.courtesy);
    assert_eq!((read.min_from, read.floor), (None, None));
    let health = read.artifacts.values().next().and_then(|artifact| artifact.health.as_ref());
    assert_eq!(health.map(|health| health.timeout_seconds), Some(60));
    assert_eq!(health.and_then(|health| health.confirm_within_seconds), None);
}

#[test]
fn what_is_not_understood_is_refused() {
    let good = serde_json::to_value(manifest()).unwrap();
    for pointer in ["", "/artifacts/linux-x86_64", "/artifacts/linux-x86_64/health"] {
        let mut document = good.clone();
        document.pointer_mut(pointer).unwrap()["later"] = json!(1);
        let error = read(&document).unwrap_err();
        assert!(error.contains("unknown field `later`"), "{pointer}: {error}");
    }
    for (pointer, bad, why) in [
        ("/channel", json!("hotfix"), "channel `hotfix`"),
        ("/severity", json!("Critical"), "severity `Critical`"),
        ("/version", json!("2.4.1+build"), "version `2.4.1+build`"),
        ("/artifacts", json!({ "linux": {} }), "platform `linux`"),
        ("/artifacts/linux-x86_64/sha256", json!("AA"), "SHA-256"),
        ("/artifacts/linux-x86_64/length", json!(-1), "-1"),
        ("/notes", json!(null), "null"),
    ] {
        let mut document = good.clone();
        *document.pointer_mut(pointer).unwrap() = bad;
        let error = read(&document).unwrap_err();
        assert!(error.contains(why), "{pointer}: {error}");
    }
}

#[test]
fn a_member_that_stands_twice_is_refused() {
    let good = serde_json::to_string(&manifest()).unwrap();
    for (member, twice) in [
        ("\"format\":1", "\"format\":1,\"format\":1"),
        ("\"window_log\":20", "\"window_log\":20,\"window_log\":27"),
    ] {
        let bad = good.replacen(member, twice, 1);
        assert_ne!(bad, good);
        let error = json::from_slice::<ReleaseManifest>(bad.as_bytes()).unwrap_err().to_string();
        assert!(error.contains("stands twice"), "{error}");
    }
}

#[test]
fn a_release_is_listed_by_paths_that_can_be_read_back() {
    let bytes = serde_json::to_vec(&manifest()).unwrap();
    let targets = manifest().targets(&bytes).unwrap();
    let paths: Vec<_> = targets.keys().map(String::as_str).collect();
    assert_eq!(paths, ["security/2.4.1/linux-x86_64.tar.zst", "security/2.4.1/release.json"]);
    for path in paths {
        assert_eq!(path.parse::<TargetPath>().unwrap().as_str(), path);
    }
    let listed = &targets["security/2.4.1/release.json"];
    assert_eq!(
        (listed.length, listed.hashes.sha256),
        (bytes.len() as u64, Some(Digest::of(&bytes)))
    );
    let floor = Some(version("2.4.1"));
    let custom = |kind| Some(TargetsCustom { kind, version: version("2.4.1") });
    assert_eq!(listed.custom(), custom(TargetKind::Release { floor }));
    let listed = &targets["security/2.4.1/linux-x86_64.tar.zst"];
    assert_eq!((listed.length, listed.hashes.sha256), (3, Some(Digest::of(b"abc"))));
    let platform = "linux-x86_64".parse().unwrap();
    assert_eq!(listed.custom(), custom(TargetKind::Artifact { platform }));
}

#[test]
fn the_description_in_a_tree_is_strict() {
    let read = |text: &str| json::from_slice::<ReleaseDescription>(text.as_bytes());
    assert_eq!(read("{}").unwrap(), ReleaseDescription::default());
    let health = read("{\"health\":{\"command\":[\"check\"]}}").unwrap().health.unwrap();
    assert_eq!(health.command, ["check"]);
    assert!(read("{\"healht\":{}}").is_err());
}
