//! The repository's files: whole or in ranges, and only to those who may have them.

use serde_json::Value;

use crate::{
    by_hand::{BareMachine, verified},
    fleet::customer,
    harness::{PRODUCT, Server, eventually, platform},
    http::Answer,
    publish::opened,
};

/// How the agent ends where there is nothing to do.
const UP_TO_DATE: i32 = 10;

/// A machine whose maintenance runs, with every channel.
pub(crate) fn paying(server: &Server) -> BareMachine {
    let (start, end) = ("2020-01-01T00:00:00Z", "2099-01-01T00:00:00Z");
    server.enroll(&server.customer("paying", "premium", start, end))
}

/// A machine whose maintenance ended years ago, with patches only.
pub(crate) fn ended(server: &Server) -> BareMachine {
    let (start, end) = ("2020-01-01T00:00:00Z", "2021-01-01T00:00:00Z");
    server.enroll(&server.customer("ended", "basic", start, end))
}

/// Where manifest and artifact of a release are served.
pub(crate) fn target_paths(server: &Server, version: &str) -> [String; 2] {
    let visible = server.visible();
    let release = visible.releases.iter().find(|release| release["release"]["version"] == version);
    let release = release.unwrap();
    let folder = format!("{}/{version}", release["release"]["channel"].as_str().unwrap());
    let file = |listed: &Value, name: &str| {
        format!("targets/{folder}/{}.{name}", listed["sha256"].as_str().unwrap())
    };
    let platform = platform();
    [
        file(&release["manifest"], "release.json"),
        file(&release["artifacts"][&platform], &format!("{platform}.tar.zst")),
    ]
}

/// Asks for an artifact of 1.0.0 with headers, as the administrator.
fn artifact(server: &Server, method: &str, headers: &[(&str, &str)]) -> Answer {
    let [_, path] = target_paths(server, "1.0.0");
    let bearer = format!("Bearer {}", server.admin_token());
    let headers = [&[("Authorization", bearer.as_str())], headers].concat();
    server.request_with(method, &format!("/repo/{PRODUCT}/{path}"), &headers, b"")
}

#[test]
fn a_machine_has_the_metadata_that_its_contract_covers() {
    let server = opened();
    server.publish("1.0.1", "bugfix", &[]);
    server.publish("1.1.0", "feature", &[]);
    let (paying, ended) = (paying(&server), ended(&server));
    let top_level = ["timestamp.json", "1.root.json", "1.targets.json", "4.snapshot.json"];
    for path in top_level.into_iter().chain(["1.bugfix.json", "1.major.json"]) {
        let one = paying.file(&server, PRODUCT, path).has_status(200);
        let other = ended.file(&server, PRODUCT, path).has_status(200);
        assert_eq!(one.body, other.body, "{path}");
    }
    paying.file(&server, PRODUCT, "1.feature.json").has_status(200);
    let refused = ended.file(&server, PRODUCT, "1.feature.json");
    let problem = refused.refuses(403, "CHANNEL_NOT_COVERED");
    assert!(problem.detail.contains("the channel feature"), "{}", problem.detail);
    // What is served is what the publisher sees.
    let state = server.publishing_state();
    let timestamp = paying.file(&server, PRODUCT, "timestamp.json").body;
    assert_eq!(timestamp, state.metadata["timestamp.json"].as_bytes());
}

/// Clients that take in every role before they look for a target give up where one has no document:
/// also the director's, which signs plans and lists nothing. The archive has one from the first
/// retirement on.
#[test]
fn every_role_that_may_speak_has_a_document() {
    let server = opened();
    let patches = [("1.0.1", "bugfix"), ("1.0.2", "security"), ("1.0.3", "bugfix")];
    for (version, channel) in patches.into_iter().chain([("1.1.0", "feature")]) {
        server.publish(version, channel, &[]);
    }
    server.mainstay(&["release", "retire", "--product", PRODUCT, "1.0.1"]).succeeds();
    let machine = ended(&server);
    let document = |path: &str| -> Value {
        serde_json::from_slice(&machine.file(&server, PRODUCT, path).has_status(200).body).unwrap()
    };
    let snapshot = document("7.snapshot.json");
    let targets = document("1.targets.json");
    for role in targets["signed"]["delegations"]["roles"].as_array().unwrap() {
        let file = format!("{}.json", role["name"].as_str().unwrap());
        assert!(snapshot["signed"]["meta"].get(&file).is_some(), "{file}");
    }
    // All that is in it was in a channel that the machine may see.
    document("1.archive.json");
    let director = document("7.director.json");
    assert_eq!(director["signed"]["targets"], serde_json::json!({}));
    assert_eq!(snapshot["signed"]["meta"]["director.json"]["version"], 7);
    assert_eq!(director["signed"]["expires"], snapshot["signed"]["expires"]);
}

#[test]
fn a_machine_has_the_releases_that_its_contract_grants() {
    let server = opened();
    server.publish("1.0.1", "bugfix", &[]);
    let (paying, ended) = (paying(&server), ended(&server));
    // The line was bought, so its opening release is owned for ever.
    for path in target_paths(&server, "1.0.0") {
        paying.file(&server, PRODUCT, &path).has_status(200);
        ended.file(&server, PRODUCT, &path).has_status(200);
    }
    for path in target_paths(&server, "1.0.1") {
        paying.file(&server, PRODUCT, &path).has_status(200);
        let problem = ended.file(&server, PRODUCT, &path).refuses(403, "PUBLISHED_AFTER_TERM");
        assert!(problem.detail.contains("your maintenance"), "{}", problem.detail);
        assert!(problem.detail.contains("2021-01-01"), "{}", problem.detail);
    }
}

#[test]
fn a_suspended_contract_has_no_release() {
    let server = opened();
    let machine = paying(&server);
    let suspend = ["contract", "amend", "paying", "--change", r#"{"kind":"suspend"}"#];
    server.mainstay(&suspend).succeeds();
    for path in target_paths(&server, "1.0.0") {
        machine.file(&server, PRODUCT, &path).refuses(403, "CONTRACT_SUSPENDED");
    }
}

#[test]
fn a_release_for_another_audience_looks_like_none() {
    let server = opened();
    server.publish("1.0.1", "bugfix", &["--audience", "pilot"]);
    let machine = paying(&server);
    let hidden = target_paths(&server, "1.0.1");
    let absent = hidden.each_ref().map(|path| path.replace("1.0.1", "1.0.9"));
    for path in hidden.iter().chain(&absent) {
        machine.file(&server, PRODUCT, path).refuses(404, "NOT_FOUND");
    }
}

#[test]
fn another_product_looks_the_same_whether_or_not_it_is_there() {
    let server = opened();
    server.mainstay(&["product", "create", "--product", "other-db"]).succeeds();
    let machine = paying(&server);
    let answers = ["other-db", "absent-db"].map(|product| {
        let refused = machine.file(&server, product, "timestamp.json");
        let problem = refused.refuses(403, "PRODUCT_NOT_COVERED");
        problem.detail.replace(product, "")
    });
    assert_eq!(answers[0], answers[1]);
}

#[test]
fn a_target_is_found_under_its_own_digest_only() {
    let server = opened();
    let machine = paying(&server);
    let [manifest, artifact] = target_paths(&server, "1.0.0");
    let file = |path: &str| path.rsplit_once('/').unwrap().1.to_owned();
    let digest = |path: &str| file(path).split('.').next().unwrap().to_owned();
    let swapped = manifest.replace(&digest(&manifest), &digest(&artifact));
    let bare = manifest.replace(&format!("{}.", digest(&manifest)), "");
    let other_channel = manifest.replace("major", "bugfix");
    let not_consistent = ["snapshot.json", "targets.json", "root.json", "major.json"];
    for path in [&swapped, &bare, &other_channel, "targets/", "targets", "9.root.json", ""]
        .map(AsRef::as_ref)
        .into_iter()
        .chain(not_consistent)
    {
        machine.file(&server, PRODUCT, path).refuses(404, "NOT_FOUND");
    }
}

#[test]
fn an_artifact_is_tagged_with_its_digest() {
    let server = opened();
    let answer = artifact(&server, "GET", &[]).has_status(200);
    let digest = mainstay_client::format::Digest::of(&answer.body);
    assert_eq!(answer.header("ETag"), Some(format!("\"{digest}\"").as_str()));
    assert_eq!(answer.header("Accept-Ranges"), Some("bytes"));
    let [_, path] = target_paths(&server, "1.0.0");
    assert!(path.contains(&digest.to_string()), "{path}");
    let listed = verified(&server.publishing_state());
    let path = format!("major/1.0.0/{}.tar.zst", platform()).parse().unwrap();
    assert_eq!(listed.target(&path).unwrap().hashes.sha256, Some(digest));
}

#[test]
fn head_says_what_get_would_and_sends_nothing() {
    let server = opened();
    let whole = artifact(&server, "GET", &[]).has_status(200);
    let head = artifact(&server, "HEAD", &[]).has_status(200);
    assert_eq!(head.body, b"");
    for name in ["Content-Length", "ETag", "Content-Type", "Accept-Ranges"] {
        assert_eq!(head.header(name), whole.header(name), "{name}");
    }
    assert_eq!(head.header("Content-Length"), Some(whole.body.len().to_string().as_str()));
}

#[test]
fn a_range_is_sent_alone() {
    let server = opened();
    let whole = artifact(&server, "GET", &[]).body;
    let length = whole.len();
    for (range, expected) in [
        ("bytes=0-0".to_owned(), 0..1),
        ("bytes=10-19".to_owned(), 10..20),
        ("bytes=10-".to_owned(), 10..length),
        (format!("bytes=10-{}", length * 2), 10..length),
        ("bytes=-7".to_owned(), length - 7..length),
    ] {
        let answer = artifact(&server, "GET", &[("Range", &range)]).has_status(206);
        assert_eq!(answer.body, whole[expected.clone()], "{range}");
        let content_range = format!("bytes {}-{}/{length}", expected.start, expected.end - 1);
        assert_eq!(answer.header("Content-Range"), Some(content_range.as_str()));
        assert_eq!(answer.header("Content-Length"), Some(expected.len().to_string().as_str()));
    }
}

#[test]
fn a_range_that_is_not_there_is_told_the_length() {
    let server = opened();
    let length = artifact(&server, "GET", &[]).body.len();
    for range in [format!("bytes={length}-"), "bytes=-0".to_owned()] {
        let answer = artifact(&server, "GET", &[("Range", &range)]).has_status(416);
        let expected = format!("bytes */{length}");
        assert_eq!(answer.header("Content-Range"), Some(expected.as_str()));
    }
}

#[test]
fn a_range_of_other_bytes_gets_the_whole() {
    let server = opened();
    let whole = artifact(&server, "GET", &[]);
    let tag = whole.header("ETag").unwrap();
    let range = ("Range", "bytes=10-19");
    let same = artifact(&server, "GET", &[range, ("If-Range", tag)]).has_status(206);
    assert_eq!(same.body, whole.body[10..20]);
    for other in ["\"other\"", &format!("W/{tag}"), "Thu, 01 Jan 2026 00:00:00 GMT"] {
        let answer = artifact(&server, "GET", &[range, ("If-Range", other)]).has_status(200);
        assert_eq!(answer.body, whole.body, "{other}");
    }
}

#[test]
fn what_is_known_is_not_sent_again() {
    let server = opened();
    let whole = artifact(&server, "GET", &[]);
    let tag = whole.header("ETag").unwrap();
    // RFC 9110 §13.1.2: compared weakly.
    for known in [tag, "*", &format!("\"other\", {tag}"), &format!("W/{tag}")] {
        let answer = artifact(&server, "GET", &[("If-None-Match", known)]).has_status(304);
        assert_eq!(answer.body, b"", "{known}");
        assert_eq!(answer.header("ETag"), Some(tag));
    }
    let answer = artifact(&server, "GET", &[("If-None-Match", "\"other\"")]).has_status(200);
    assert_eq!(answer.body, whole.body);
}

#[test]
fn no_path_leads_out_of_the_repository() {
    let server = opened();
    server.mainstay(&["product", "create", "--product", "other-db"]).succeeds();
    let machine = paying(&server);
    let admin = server.admin_token();
    for token in [machine.0.token.as_str(), admin.as_str()] {
        for path in [
            "/repo/acme-db/../../keys/director.pem",
            "/repo/acme-db/../../../keys/director.pem",
            "/repo/acme-db/%2e%2e/%2e%2e/keys/director.pem",
            "/repo/acme-db/%2e%2e%2f%2e%2e%2fkeys%2fdirector.pem",
            "/repo/acme-db/..%5c..%5ckeys%5cdirector.pem",
            "/repo/acme-db/targets/../../keys/director.pem",
            "/repo/acme-db/targets/major/../../../../keys/director.pem",
            "/repo/acme-db/targets/%2e%2e/%2e%2e/keys/director.pem",
            "/repo/acme-db//etc/passwd",
            "/repo/acme-db/targets//etc/passwd",
            "/repo/%2e%2e/admin.token",
            "/repo/../admin.token",
            "/repo/acme-db/..%00/admin.token",
            "/repo/acme-db/../other-db/timestamp.json",
            "/repo/acme-db/%2e%2e/other-db/timestamp.json",
            "/repo/acme-db/%252e%252e/admin.token",
        ] {
            let answer = server.request("GET", path, token, b"");
            assert!([400, 403, 404].contains(&answer.status), "{path}: {}", answer.status);
            let body = String::from_utf8_lossy(&answer.body);
            for secret in ["PRIVATE KEY", &admin, "root:", "\"signed\""] {
                assert!(!body.contains(secret), "{path}: {body}");
            }
        }
    }
}

/// Nobody has to ask for it: the timestamp of yesterday would stop every machine.
#[test]
fn a_running_server_signs_its_online_metadata_anew() {
    let server = Server::with_clock("");
    server.publish("1.0.0", "major", &[]);
    let machine = server.machine(&customer(&server, "standard"));
    machine.agent(&["update"]).succeeds();
    let timestamp = || -> Value {
        serde_json::from_str(&server.publishing_state().metadata["timestamp.json"]).unwrap()
    };
    let before = timestamp();
    server.set_clock("+25h");
    let after = eventually("a new timestamp", || Some(timestamp()).filter(|now| *now != before));
    let expires = |document: &Value| -> jiff::Timestamp {
        document["signed"]["expires"].as_str().unwrap().parse().unwrap()
    };
    let later = expires(&after).duration_since(expires(&before));
    assert!(later >= jiff::SignedDuration::from_hours(25), "{later}");
    // To a machine's clock, which is as far on, it is not expired.
    assert_eq!(machine.agent_json_at("+25h", &["update"]).0, UP_TO_DATE);
}
