//! Files are sent in two ways: from where a connection is looked at, and by the HTTP service, which a
//! connection belongs to from its first other request on. Nobody can tell them apart by what they are told.

use std::{
    fs::{self, File},
    io::Write as _,
    net::Shutdown,
    path::PathBuf,
};

use crate::{
    conversation::{Conversation, OTHER_REQUEST, bearer, request, told},
    fleet::{noise, publish},
    harness::{PRODUCT, Server, eventually},
    measures::{measures, value},
    publish::opened,
    repository::{ended, paying, target_paths},
};

/// How large the artifact is of which not all is sent at once, in bytes: far more than sockets hold.
const LARGE: usize = 32 << 20;

/// A server with an artifact of [`LARGE`] bytes and more: its address, its bytes and their file.
pub(crate) fn with_large_artifact() -> (Server, String, Vec<u8>, PathBuf) {
    let server = opened();
    let tree = server.tree("1.0.1");
    fs::write(tree.join("large"), noise(LARGE)).unwrap();
    publish(&server, "1.0.1", "bugfix", &tree, &["--level", "1"]);
    let [_, path] = target_paths(&server, "1.0.1");
    let digest = path.rsplit('/').next().unwrap().split('.').next().unwrap();
    let blob = server.path("server/blobs/sha256").join(&digest[..2]).join(digest);
    let bytes = fs::read(&blob).unwrap();
    assert!(bytes.len() >= LARGE);
    (server, format!("GET /repo/{PRODUCT}/{path}"), bytes, blob)
}

#[test]
fn both_ways_answer_alike() {
    let server = opened();
    server.publish("1.0.1", "bugfix", &[]);
    server.mainstay(&["product", "create", "--product", "other-db"]).succeeds();
    let (paying, ended) = (paying(&server), ended(&server));
    let [manifest, artifact] =
        target_paths(&server, "1.0.0").map(|path| format!("/repo/{PRODUCT}/{path}"));
    let [_, newer] = target_paths(&server, "1.0.1").map(|path| format!("/repo/{PRODUCT}/{path}"));
    let digest = artifact.rsplit('/').next().unwrap().split('.').next().unwrap();
    let (tag, other, weak) = (format!("\"{digest}\""), "\"other\"", format!("W/\"{digest}\""));
    let [admin, machine, lapsed] =
        [&server.admin_token(), &paying.0.token, &ended.0.token].map(|token| bearer(token));
    let timestamp = format!("/repo/{PRODUCT}/timestamp.json");
    let root = format!("/repo/{PRODUCT}/1.root.json");
    let as_machine = ("Authorization", machine.as_str());
    let range = |range| ("Range", range);
    let mut rows: Vec<(String, Vec<(&str, &str)>)> = vec![
        (format!("GET {artifact}"), vec![("Authorization", &admin)]),
        (format!("GET {artifact}"), vec![]),
        (format!("GET {artifact}"), vec![("Authorization", "Bearer mmt_wrong")]),
        (format!("GET {artifact}"), vec![("Authorization", "Basic bWU6bWU=")]),
        (format!("GET {newer}"), vec![as_machine]),
        (format!("GET {newer}"), vec![("Authorization", &lapsed)]),
        (format!("HEAD {newer}"), vec![("Authorization", &lapsed)]),
        (format!("GET {artifact} HTTP/1.0"), vec![as_machine]),
        (format!("GET {artifact} HTTP/1.0"), vec![as_machine, ("Connection", "keep-alive")]),
        (format!("GET {artifact}"), vec![as_machine, ("Connection", "close")]),
        (format!("GET {artifact}.absent"), vec![as_machine]),
        (format!("GET {artifact}?a=b"), vec![as_machine]),
        (format!("GET /repo/{PRODUCT}/targets/../timestamp.json"), vec![as_machine]),
        (format!("GET /repo/{PRODUCT}/%74imestamp.json"), vec![as_machine]),
        (format!("GET /repo/{PRODUCT}/%ff"), vec![as_machine]),
        (format!("GET /repo/{PRODUCT}"), vec![as_machine]),
        (format!("GET /repo/{PRODUCT}/deltas/{digest}"), vec![as_machine]),
        ("GET /repo/other-db/timestamp.json".to_owned(), vec![as_machine]),
        ("GET /repo/NONE/timestamp.json".to_owned(), vec![as_machine]),
        (format!("GET {timestamp}"), vec![as_machine]),
        (format!("GET {root}"), vec![as_machine]),
        (format!("GET {root}"), vec![as_machine, ("Accept-Encoding", "zstd")]),
        (format!("HEAD {root}"), vec![as_machine, ("Accept-Encoding", "zstd")]),
        (format!("GET {root}"), vec![as_machine, ("Accept-Encoding", "zstd"), range("bytes=2-")]),
    ];
    for method in ["GET", "HEAD"] {
        for path in [&artifact, &manifest] {
            let mut add = |headers: &[(&'static str, &'static str)]| {
                rows.push((format!("{method} {path}"), [&[as_machine], headers].concat()));
            };
            add(&[]);
            for wanted in [
                "bytes=0-0",
                "bytes=10-19",
                "bytes=10-",
                "bytes=-7",
                "bytes=0-999999999",
                "bytes=999999999-",
                "bytes=-0",
                "bytes=9-3",
                "bytes=0-1,3-4",
                "lines=0-1",
                "bytes=",
            ] {
                add(&[("Range", wanted)]);
            }
            add(&[("If-None-Match", "*")]);
        }
        for (name, value) in [("If-None-Match", tag.as_str()), ("If-None-Match", &weak)] {
            rows.push((format!("{method} {artifact}"), vec![as_machine, (name, value)]));
        }
        for unless in [tag.as_str(), &weak, other] {
            let headers = vec![as_machine, range("bytes=3-5"), ("If-Range", unless)];
            rows.push((format!("{method} {artifact}"), headers));
        }
        rows.push((format!("{method} {artifact}"), vec![as_machine, ("If-None-Match", other)]));
    }
    let statuses: Vec<_> = rows
        .iter()
        .map(|(line, headers)| {
            let method = line.split(' ').next().unwrap();
            let answers = [Conversation::with(&server), Conversation::with_http_service(&server)]
                .map(|mut conversation| {
                    conversation.say(&request(line, headers));
                    conversation.answer(method)
                });
            assert_eq!(told(&answers[0]), told(&answers[1]), "{line} {headers:?}");
            answers[0].status
        })
        .collect();
    // So that the table has of everything.
    for status in [200, 206, 304, 400, 401, 403, 404, 416] {
        assert!(statuses.contains(&status), "{status} is not in {statuses:?}");
    }
}

#[test]
fn a_connection_serves_files_and_whatever_else_comes() {
    let server = opened();
    let [_, path] = target_paths(&server, "1.0.0");
    let path = format!("/repo/{PRODUCT}/{path}");
    let machine = paying(&server);
    let bearer = bearer(&machine.0.token);
    let headers = [("Authorization", bearer.as_str())];
    let whole = request(&format!("GET {path}"), &headers);
    let part = request(&format!("GET {path}"), &[headers[0], ("Range", "bytes=1-3")]);
    let refused = request(&format!("GET {path}.absent"), &headers);
    let mut conversation = Conversation::with(&server);
    conversation.say(&whole);
    let bytes = conversation.answer("GET").has_status(200).body;
    // All at once: none waits for the answer to the one before.
    conversation.say(&[&*part, &whole, &refused, &part, OTHER_REQUEST, &part].concat());
    assert_eq!(conversation.answer("GET").has_status(206).body, bytes[1..4]);
    assert_eq!(conversation.answer("GET").has_status(200).body, bytes);
    conversation.answer("GET").has_status(404);
    assert_eq!(conversation.answer("GET").has_status(206).body, bytes[1..4]);
    assert_eq!(conversation.answer("GET").has_status(200).body, b"ok\n");
    assert_eq!(conversation.answer("GET").has_status(206).body, bytes[1..4]);
    // A body is a body, even where it looks like a request for a file.
    let mut conversation = Conversation::with(&server);
    conversation.say(&part);
    conversation.answer("GET").has_status(206);
    conversation.say(&format!(
        "POST /v1/check HTTP/1.1\r\nHost: test\r\nAuthorization: {bearer}\r\nContent-Length: {}\r\n\r\n{whole}",
        whole.len()
    ));
    conversation.answer("POST").has_status(400);
    conversation.say(&part);
    assert_eq!(conversation.answer("GET").has_status(206).body, bytes[1..4]);
}

#[test]
fn a_request_for_a_file_may_bring_a_body_or_expect_to() {
    let server = opened();
    let [_, path] = target_paths(&server, "1.0.0");
    let bearer = bearer(&server.admin_token());
    let line = format!("GET /repo/{PRODUCT}/{path}");
    let headers = [("Authorization", bearer.as_str()), ("Range", "bytes=0-0")];
    let mut conversation = Conversation::with(&server);
    let nested = request(&line, &headers);
    let length = nested.len().to_string();
    let with_body = request(&line, &[headers[0], headers[1], ("Content-Length", &length)]);
    let chunked = request(&line, &[headers[0], headers[1], ("Transfer-Encoding", "chunked")]);
    let body = format!("{:x}\r\n{nested}\r\n0\r\n\r\n", nested.len());
    for text in [with_body + &nested, chunked + &body] {
        conversation.say(&text);
        // One answer, and then the next request: what was in the body is no request.
        assert_eq!(conversation.answer("GET").has_status(206).body.len(), 1);
        conversation = Conversation::with(&server);
    }
    conversation.say(&request(&line, &[headers[0], headers[1], ("Expect", "100-continue")]));
    let continued = conversation.head();
    assert_eq!(continued.status, 100, "{continued:?}");
}

#[test]
fn a_head_may_come_byte_by_byte_or_be_long() {
    let server = opened();
    let [_, path] = target_paths(&server, "1.0.0");
    let bearer = bearer(&server.admin_token());
    let line = format!("GET /repo/{PRODUCT}/{path}");
    let long = "a".repeat(20_000);
    let headers = [("Authorization", bearer.as_str()), ("Range", "bytes=0-4")];
    let mut conversation = Conversation::with(&server);
    conversation.connection.set_nodelay(true).unwrap();
    for byte in request(&line, &headers).as_bytes().chunks(1) {
        conversation.connection.write_all(byte).unwrap();
    }
    let slow = conversation.answer("GET").has_status(206);
    let mut conversation = Conversation::with(&server);
    conversation.say(&request(&line, &[headers[0], headers[1], ("X-Long", &long)]));
    assert_eq!(told(&conversation.answer("GET")), told(&slow));
    // Whoever has asked may say at once that nothing else comes.
    let mut conversation = Conversation::with(&server);
    conversation.say(&request(&line, &headers));
    conversation.connection.shutdown(Shutdown::Write).unwrap();
    assert_eq!(told(&conversation.answer("GET")), told(&slow));
    assert!(conversation.has_ended());
}

#[test]
fn what_is_sent_and_who_is_refused_is_written_down() {
    let server = opened();
    let [_, path] = target_paths(&server, "1.0.0");
    let line = format!("GET /repo/{PRODUCT}/{path}");
    let machine = paying(&server);
    let bearer = bearer(&machine.0.token);
    let counted = || {
        let told = measures(&server);
        [
            "mainstay_repository_sent_bytes_total",
            "mainstay_requests_total{route=\"repository\",status=\"2xx\"}",
            "mainstay_requests_total{route=\"repository\",status=\"4xx\"}",
        ]
        .map(|series| value(&told, series))
    };
    let before = counted();
    let mut conversation = Conversation::with(&server);
    conversation.say(&request(&line, &[("Authorization", &bearer), ("Range", "bytes=0-41")]));
    conversation.answer("GET").has_status(206);
    conversation.say(&request(&line, &[]));
    conversation.answer("GET").has_status(401);
    let after = counted();
    let more = [0, 1, 2].map(|place: usize| (after[place] - before[place]).to_string());
    assert_eq!(more, ["42", "1", "1"]);
    let trail = server.mainstay(&["--json", "audit"]).succeeds().stdout();
    assert!(trail.contains(&line), "{trail}");
}

#[test]
fn whoever_goes_away_leaves_nothing_behind() {
    let (server, line, _, blob) = with_large_artifact();
    let bearer = bearer(&server.admin_token());
    let held = || {
        let open = fs::read_dir(format!("/proc/{}/fd", server.process())).unwrap();
        open.flatten().filter(|it| fs::read_link(it.path()).is_ok_and(|it| it == blob)).count()
    };
    let mut conversation = Conversation::with(&server);
    conversation.say(&request(&line, &[("Authorization", &bearer)]));
    conversation.head().has_status(200);
    eventually("the file is open", || (held() == 1).then_some(()));
    drop(conversation);
    eventually("the file is closed", || (held() == 0).then_some(()));
    server.get("/readyz").has_status(200);
}

#[test]
fn a_file_that_is_removed_is_sent_and_one_that_is_cut_ends_the_connection() {
    let (server, line, bytes, blob) = with_large_artifact();
    let bearer = bearer(&server.admin_token());
    let begun = || {
        let mut conversation = Conversation::with(&server);
        conversation.say(&request(&line, &[("Authorization", &bearer)]));
        conversation.head().has_status(200);
        conversation
    };
    let mut cut = begun();
    File::options().write(true).open(&blob).unwrap().set_len(LARGE as u64 / 2).unwrap();
    while cut.receive() > 0 {}
    let received = cut.head().body;
    assert!(received.len() <= LARGE / 2 && bytes.starts_with(&received), "{}", received.len());
    fs::write(&blob, &bytes).unwrap();
    let mut removed = begun();
    fs::remove_file(&blob).unwrap();
    assert!(removed.answer("GET").body == bytes);
}

#[test]
fn a_download_comes_to_its_end_when_the_server_is_stopped() {
    let (mut server, line, bytes, _) = with_large_artifact();
    let bearer = bearer(&server.admin_token());
    let mut idle = Conversation::with(&server);
    idle.say(&request(&line, &[("Authorization", &bearer), ("Range", "bytes=0-0")]));
    idle.answer("GET").has_status(206);
    let mut conversation = Conversation::with(&server);
    conversation.say(&request(&line, &[("Authorization", &bearer)]));
    conversation.head().has_status(200);
    let reader = std::thread::spawn(move || {
        // What is idle ends at once, so that this one is not sent because nothing had happened yet.
        assert!(idle.has_ended());
        let whole = conversation.answer("GET").body;
        (whole, conversation.has_ended())
    });
    assert!(server.stop().success());
    let (whole, has_ended) = reader.join().unwrap();
    assert!(whole == bytes && has_ended);
}

/// How many clients stop in the middle of a download.
const STALLED: usize = 100;
/// How much memory the server may hold for each of them, in KiB. Sent piece by piece it would be hundreds.
const STALLED_KIB_MAX: usize = 32;

#[test]
fn whoever_stalls_costs_little_memory() {
    let (server, line, _, _) = with_large_artifact();
    let bearer = bearer(&server.admin_token());
    let held_kib = || -> usize {
        let status = fs::read_to_string(format!("/proc/{}/status", server.process())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    };
    let stall = |count: usize| -> Vec<Conversation> {
        let begin = |_| {
            let mut conversation = Conversation::with(&server);
            conversation.say(&request(&line, &[("Authorization", &bearer)]));
            conversation.head().has_status(200);
            conversation
        };
        (0..count).map(begin).collect()
    };
    let _warm = stall(8);
    let before = held_kib();
    let stalled = stall(STALLED);
    let growth = held_kib().saturating_sub(before);
    assert!(growth < STALLED * STALLED_KIB_MAX, "{growth} KiB for {STALLED} clients");
    drop(stalled);
}

#[test]
fn an_nginx_in_front_is_told_what_to_send() {
    let server = Server::with_config("[downloads]\nx_accel_redirect = \"/internal/blobs/\"\n");
    server.publish("1.0.0", "major", &[]);
    let [manifest, artifact] = target_paths(&server, "1.0.0");
    let bearer = bearer(&server.admin_token());
    let ask = |line: &str, headers: &[(&str, &str)]| {
        let headers = [&[("Authorization", bearer.as_str())], headers].concat();
        let mut conversation = Conversation::with(&server);
        conversation.say(&request(line, &headers));
        conversation.answer(line.split(' ').next().unwrap())
    };
    for path in [manifest, artifact] {
        let line = format!("/repo/{PRODUCT}/{path}");
        let digest = path.rsplit('/').next().unwrap().split('.').next().unwrap();
        let told = ask(&format!("GET {line}"), &[]).has_status(200);
        let address = format!("/internal/blobs/sha256/{}/{digest}", &digest[..2]);
        assert_eq!(told.header("X-Accel-Redirect"), Some(address.as_str()));
        assert_eq!(told.header("ETag"), Some(format!("\"{digest}\"").as_str()));
        assert_eq!((told.header("Accept-Ranges"), &*told.body), (None, &b""[..]));
        let stored = address.strip_prefix("/internal/blobs/").unwrap();
        let blob = fs::read(server.path("server/blobs").join(stored)).unwrap();
        // What depends on the entity tag the server does itself.
        let known = ask(&format!("GET {line}"), &[("If-None-Match", &format!("\"{digest}\""))]);
        assert_eq!(known.has_status(304).header("X-Accel-Redirect"), None);
        let part = ask(&format!("GET {line}"), &[("Range", "bytes=2-5")]).has_status(206);
        assert_eq!((part.header("X-Accel-Redirect"), &*part.body), (None, &blob[2..6]));
        let head = ask(&format!("HEAD {line}"), &[]).has_status(200);
        assert_eq!(head.header("X-Accel-Redirect"), Some(address.as_str()));
    }
    let metadata = ask(&format!("GET /repo/{PRODUCT}/timestamp.json"), &[]).has_status(200);
    assert_eq!(metadata.header("X-Accel-Redirect"), None);
    assert!(!metadata.body.is_empty());
    ask(&format!("GET /repo/{PRODUCT}/deltas/nothing"), &[]).has_status(404);
    let unauthenticated = server.request("GET", &format!("/repo/{PRODUCT}/1.root.json"), "", b"");
    assert_eq!(unauthenticated.has_status(401).header("X-Accel-Redirect"), None);
}
