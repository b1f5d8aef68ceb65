//! Answers without an end, slow ones, cut ones, and a mirror that hands out what it likes.

use std::{
    fs,
    io::Write as _,
    path::Path,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use mainstay_client::{
    fetch::Coding,
    pack::{Compression, Compressor},
};

use super::{
    server::{Asked, HostileServer, Reply},
    victim::{NETWORK, SERVER, TRUST, Victim, now, release, tree},
    world::{Edition, Release, Role},
};
use crate::{
    by_hand::Packed,
    fleet::{enroll, noise},
    harness::{Machine, eventually},
};

/// How often an agent tries before it gives up.
const TRIES: usize = 4;

/// So slow a line is not put up with here, where a server brings twenty bytes a second.
const IMPATIENT: [&str; 5] = ["update", "--rate-min", "2000", "--rate-window", "1"];

/// Whether `asked` is for a file whose name ends in `end`, or for that route.
fn is_for(asked: &Asked, end: &str) -> bool {
    asked.route.ends_with(end)
}

fn body(reply: Reply) -> Vec<u8> {
    match reply {
        Reply::Whole(200, bytes) => bytes,
        other => panic!("no file: {other:?}"),
    }
}

/// A machine that has lost its trusted metadata and must fetch each document by itself; the server
/// sends none along with the plan.
fn that_fetches_everything() -> Victim {
    let mut victim = Victim::new();
    fs::remove_dir_all(victim.trust_dir()).unwrap();
    victim.remember();
    victim.tamper(|edition| edition.metadata.clear());
    victim
}

/// The files of [`that_fetches_everything`], in the order in which they are fetched.
const FILES: [&str; 7] = [
    "/1.root.json",
    "/timestamp.json",
    "/7.snapshot.json",
    "/7.targets.json",
    "/7.bugfix.json",
    ".release.json",
    ".tar.zst",
];

#[test]
fn endless_files() {
    for file in FILES {
        let mut victim = that_fetches_everything();
        victim.server.meddle(
            move |asked, honest| {
                if is_for(asked, file) { Reply::Endless(200) } else { honest }
            },
        );
        victim.fails(TRUST, "length", &["is longer than", file]);
        victim.recovers();
    }
}

#[test]
fn endless_answers() {
    for status in [200, 500] {
        let mut victim = Victim::new();
        victim.server.answer("/v1/check", Reply::Endless(status));
        match status {
            200 => victim.fails(TRUST, "length", &["/v1/check is longer than"]),
            _ => victim.fails(SERVER, "http_500", &["it gave no reason"]),
        };
        victim.recovers();

        // What the server says of a report does not matter.
        let victim = Victim::new();
        victim.server.serve(victim.next().edition());
        victim.server.answer("/v1/report", Reply::Endless(status));
        victim.machine.agent(&["update"]).succeeds();
        assert_eq!(victim.machine.running().as_deref(), Some("1.0.1"));
    }
}

/// Whatever is asked for, the head of the answer has a limit.
#[test]
fn endless_heads() {
    for file in ["/v1/check"].into_iter().chain(FILES) {
        let mut victim = that_fetches_everything();
        victim.server.meddle(
            move |asked, honest| if is_for(asked, file) { Reply::EndlessHead } else { honest },
        );
        let before = victim.server.asked().len();
        victim.fails(NETWORK, "network", &[file]);
        let asked = victim.server.asked().into_iter().skip(before);
        assert_eq!(asked.filter(|asked| is_for(asked, file)).count(), 1, "{file}");
        victim.recovers();
    }
}

#[test]
fn an_endless_answer_to_enrolment() {
    let victim = Victim::new();
    let machine = Machine::bare();
    victim.server.answer("/v1/enroll", Reply::Endless(200));
    let refused = enroll(&machine, victim.server.url(), "mak_test", &[]).exits(TRUST).json();
    assert_eq!(refused["code"], "length");
    victim.server.serve(victim.honest.edition());
    enroll(&machine, victim.server.url(), "mak_test", &[]).succeeds();
}

/// What may come compressed: the answer to the check, and each document of
/// [`that_fetches_everything`] that is no target.
fn documents() -> impl Iterator<Item = &'static str> {
    ["/v1/check"].into_iter().chain(FILES.into_iter().filter(|file| file.starts_with('/')))
}

/// Has the server send `body` for `file` and say that it is in the content coding `name`.
fn coded(file: &'static str, name: &'static str, body: Vec<u8>) -> Victim {
    let victim = that_fetches_everything();
    victim.server.meddle(move |asked, honest| {
        if is_for(asked, file) { Reply::Coded(name, body.clone()) } else { honest }
    });
    victim
}

/// A hundred kilobytes that are a gigabyte, for a document of which the machine takes a few
/// megabytes at most.
#[test]
fn documents_that_decompress_to_too_much() {
    let bomb = Coding::compress(&vec![b' '; 16 << 20]).unwrap().repeat(64);
    for file in documents() {
        let mut victim = coded(file, "zstd", bomb.clone());
        victim.fails(TRUST, "length", &["is longer than", file]);
        victim.recovers();
    }
}

/// Whoever decompresses must have as much memory as the sender's window.
#[test]
fn a_document_that_takes_much_memory_to_decompress() {
    let window_log = Coding::WINDOW_LOG_MAX + 1;
    let compression = Compression { level: 1, window_log, workers: 0 };
    let mut compressor = Compressor::new(Vec::new(), compression).unwrap();
    compressor.write_all(b"{}").unwrap();
    let mut victim = coded("/v1/check", "zstd", compressor.finish().unwrap());
    victim.fails(SERVER, "malformed_answer", &["/v1/check", "too much memory"]);
    victim.recovers();
}

#[test]
fn documents_that_do_not_decompress() {
    for (name, says) in [("zstd", "/v1/check"), ("gzip", "`gzip` was not asked for")] {
        let mut victim = coded("/v1/check", name, b"{\"plan\":\"\",\"metadata\":{}}".to_vec());
        victim.fails(SERVER, "malformed_answer", &["coding", says]);
        victim.recovers();
    }
}

/// A digest covers an artifact as it is stored, whatever a server says that it is.
#[test]
fn documents_may_come_compressed_and_artifacts_come_as_they_are() {
    let mut victim = that_fetches_everything();
    victim.server.meddle(|asked, honest| match honest {
        Reply::Whole(200, bytes) if documents().any(|file| is_for(asked, file)) => {
            Reply::Coded("zstd", Coding::compress(&bytes).unwrap())
        }
        Reply::Whole(200, bytes) if is_for(asked, ".tar.zst") => Reply::Coded("zstd", bytes),
        other => other,
    });
    victim.machine.agent(&["update"]).succeeds();
    assert_eq!(victim.machine.running().as_deref(), Some("1.0.1"));
    for asked in victim.server.asked() {
        let takes_compressed = documents().any(|file| is_for(&asked, file))
            || ["/v1/enroll", "/v1/report"].contains(&asked.route.as_str());
        let expected = if takes_compressed { "zstd" } else { "identity" };
        assert_eq!(asked.header("accept-encoding").as_deref(), Some(expected), "{asked:?}");
    }
    victim.recovers();
}

#[test]
fn documents_that_are_too_long_for_their_role() {
    for (role, bytes_max) in [
        (Role::Root, 512_000),
        (Role::Timestamp, 16_000),
        (Role::Snapshot, 2_000_000),
        (Role::Targets, 5_000_000),
        (Role::Channel, 5_000_000),
        (Role::Plan, 1_000_000),
    ] {
        let mut victim = Victim::new();
        victim.attack(|world| world.rewrite(role, move |text| text + &" ".repeat(bytes_max)));
        victim.refuses("length", &[role.name(), &format!("expected at most {bytes_max}")]);
    }
}

/// A server that trickles is left for the next try, which is as good as any.
#[test]
fn what_is_slow_is_asked_for_again() {
    for slow in FILES.into_iter().chain(["/v1/check"]) {
        let mut victim = that_fetches_everything();
        let tries = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&tries);
        victim.server.meddle(move |asked, honest| {
            if is_for(asked, slow) && counted.fetch_add(1, Ordering::SeqCst) == 0 {
                return Reply::Trickle(body(honest));
            }
            honest
        });
        victim.machine.agent(&IMPATIENT).succeeds();
        assert_eq!(victim.machine.running().as_deref(), Some("1.0.1"));
        assert_eq!(tries.load(Ordering::SeqCst), 2, "{slow}");
        victim.recovers();
    }
}

/// The same where it is the head of the answer that trickles: no body has begun whose rate could be
/// measured.
#[test]
fn a_head_that_is_slow_is_asked_for_again_and_given_up_where_it_stays_so() {
    let impatient = ["update", "--answer-timeout", "1"];
    for slow in ["/v1/check", "/timestamp.json", ".tar.zst"] {
        let mut victim = that_fetches_everything();
        let tries = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&tries);
        victim.server.meddle(move |asked, honest| {
            let is_first = is_for(asked, slow) && counted.fetch_add(1, Ordering::SeqCst) == 0;
            if is_first { Reply::TrickleHead } else { honest }
        });
        victim.machine.agent(&impatient).succeeds();
        assert_eq!(victim.machine.running().as_deref(), Some("1.0.1"));
        assert_eq!(tries.load(Ordering::SeqCst), 2, "{slow}");
        victim.recovers();
    }
    let mut victim = Victim::new();
    victim.server.serve(victim.next().edition());
    victim.server.answer("/v1/check", Reply::TrickleHead);
    victim.fails_with(&impatient, NETWORK, "network", &["/v1/check"]);
    let asked = victim.server.asked();
    // The check that brought 1.0.0 was one of them.
    assert_eq!(asked.iter().filter(|asked| is_for(asked, "/v1/check")).count(), 1 + TRIES);
    victim.recovers();
}

fn given_up(slow: &'static str) {
    let mut victim = Victim::new();
    victim.server.serve(victim.next().edition());
    victim.server.meddle(
        move |asked, honest| {
            if is_for(asked, slow) { Reply::Trickle(body(honest)) } else { honest }
        },
    );
    victim.fails_with(&IMPATIENT, NETWORK, "network", &["too slow", slow]);
    let asked = victim.server.asked();
    // The check that brought 1.0.0 was one of them, and its manifest and artifact.
    assert_eq!(asked.iter().filter(|asked| is_for(asked, slow)).count(), 1 + TRIES);
    victim.recovers();
}

#[test]
fn a_check_that_stays_slow_is_given_up() {
    given_up("/v1/check");
}

#[test]
fn a_manifest_that_stays_slow_is_given_up() {
    given_up(".release.json");
}

#[test]
fn an_artifact_that_stays_slow_is_given_up() {
    given_up(".tar.zst");
}

/// Has a mirror, which holds no key at all, hand out `file` changed by `change`.
fn mirrored(file: &'static str, change: fn(&mut Vec<u8>)) -> Victim {
    let victim = that_fetches_everything();
    victim.server.meddle(move |asked, honest| {
        if !is_for(asked, file) {
            return honest;
        }
        let mut bytes = body(honest);
        change(&mut bytes);
        Reply::Whole(200, bytes)
    });
    victim
}

#[test]
fn a_mirror_that_changes_a_bit() {
    for file in FILES {
        let mut victim = mirrored(file, |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        });
        let (exit, found) = victim.machine.agent_json(&["update"]);
        assert_eq!(exit, TRUST, "{file}: {found}");
        // The timestamp is announced by none: its form or its signature gives the change away.
        let rules: &[_] =
            if file == "/timestamp.json" { &["form", "threshold"] } else { &["digest"] };
        assert!(rules.contains(&found["code"].as_str().unwrap()), "{file}: {found}");
        victim.recovers();
    }
}

#[test]
fn a_mirror_that_adds_a_byte() {
    for file in FILES.into_iter().filter(|file| *file != "/timestamp.json") {
        let mut victim = mirrored(file, |bytes| bytes.push(b' '));
        let rule = if file == "/1.root.json" { "digest" } else { "length" };
        victim.fails(TRUST, rule, &[]);
        victim.recovers();
    }
}

/// A mirror may send the machine elsewhere for a file: what comes from there is no more trusted,
/// and is not told who asks.
#[test]
fn a_mirror_that_sends_elsewhere() {
    let mut victim = Victim::new();
    let elsewhere = HostileServer::start();
    // One and the same: the second in which it is published is part of it.
    let edition = victim.next().edition();
    elsewhere.serve(edition.clone());
    victim.server.serve(edition);
    let url = elsewhere.url().to_owned();
    victim.server.meddle(move |asked, honest| {
        let is_target = asked.route.contains("/targets/");
        if is_target { Reply::Elsewhere(format!("{url}{}", asked.route)) } else { honest }
    });
    elsewhere.meddle(|asked, honest| match honest {
        Reply::Whole(200, bytes) if is_for(asked, ".tar.zst") => {
            Reply::Whole(200, bytes.into_iter().map(|byte| byte ^ 1).collect())
        }
        other => other,
    });
    victim.fails(TRUST, "digest", &["1.0.1", ".tar.zst"]);
    let asked = elsewhere.asked();
    assert_eq!(asked.len(), 2, "manifest and artifact: {asked:?}");
    assert!(asked.iter().all(|asked| asked.header("authorization").is_none()));
    victim.recovers();

    // What a machine says of itself is for its own server.
    let mut victim = Victim::new();
    let before = elsewhere.asked().len();
    let url = elsewhere.url().to_owned();
    victim.server.meddle(move |asked, _| Reply::Elsewhere(format!("{url}{}", asked.route)));
    victim.fails(SERVER, "http_302", &["the server refused"]);
    assert_eq!(elsewhere.asked().len(), before);
    victim.recovers();
}

#[test]
fn an_artifact_that_is_cut_each_time() {
    let mut victim = Victim::new();
    victim.server.serve(victim.next().edition());
    victim.server.meddle(|asked, honest| match honest {
        Reply::Whole(200, bytes) if is_for(asked, ".tar.zst") => {
            Reply::Cut(bytes.len(), bytes[..bytes.len() / 4].to_vec())
        }
        other => other,
    });
    victim.fails(NETWORK, "network", &[".tar.zst"]);
    victim.recovers();
}

/// Half of the tree is there by then, and the server has not sent the rest.
#[test]
fn an_agent_that_is_killed_while_it_unpacks_leaves_no_tree_and_goes_on_with_the_part() {
    let victim = Victim::new();
    let tree = tree("1.0.1");
    fs::write(tree.path().join("large"), noise(4 << 20)).unwrap();
    let mut world = victim.honest.clone();
    world.publish(Release::new("1.0.1", Packed::tree(tree.path()), now()));
    victim.server.serve(world.edition());
    victim.server.meddle(|asked, honest| match honest {
        Reply::Whole(200, bytes) if is_for(asked, ".tar.zst") => {
            Reply::Stall(bytes.len(), bytes[..bytes.len() / 2].to_vec())
        }
        other => other,
    });
    let mut agent = victim.machine.command(&["update"]);
    let mut agent = agent.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let private = victim.machine.root().join(".mainstay");
    let large = private.join("staging/1.0.1/large");
    eventually("half of the tree is there", || large.exists().then_some(()));
    agent.kill().unwrap();
    agent.wait().unwrap();
    let count = |folder: &Path| fs::read_dir(folder).unwrap().count();
    assert_eq!(count(&victim.machine.root().join("versions")), 1);
    victim.machine.agent(&["recover"]).succeeds();
    assert_eq!((count(&private.join("staging")), count(&private.join("cache"))), (0, 1));
    assert_eq!(victim.machine.running().as_deref(), Some("1.0.0"));

    victim.server.serve(world.edition());
    victim.machine.agent(&["update"]).succeeds();
    assert_eq!(victim.machine.running().as_deref(), Some("1.0.1"));
    let asked = victim.server.asked();
    let last = asked.iter().rfind(|asked| is_for(asked, ".tar.zst")).unwrap();
    assert!(last.header("range").is_some_and(|range| range.starts_with("bytes=")), "{last:?}");
}

#[test]
fn files_that_are_not_there() {
    for file in FILES {
        let mut victim = that_fetches_everything();
        victim.server.meddle(move |asked, honest| {
            if is_for(asked, file) { Reply::Whole(404, Vec::new()) } else { honest }
        });
        victim.fails(SERVER, "http_404", &["the server refused"]);
        victim.recovers();
    }
}

/// Nothing that nobody asked for is kept.
#[test]
fn files_that_nobody_asked_for() {
    let mut victim = Victim::new();
    let mut edition: Edition = victim.next().edition();
    for name in ["evil.json", "evil", "1.root.json", "9.root.json", "director.json", "plan.json"] {
        edition.metadata.insert(name.to_owned(), "{}".to_owned());
    }
    victim.server.serve(edition);
    victim.machine.agent(&["update"]).succeeds();
    let mut kept: Vec<_> = crate::fleet::contents(&victim.trust_dir()).into_keys().collect();
    kept.retain(|path| path.extension().is_some());
    let expected = [
        "channels/bugfix.json",
        "channels/feature.json",
        "channels/major.json",
        "channels/security.json",
        "plan.json",
        "root.json",
        "snapshot.json",
        "targets.json",
        "timestamp.json",
    ];
    assert_eq!(kept, expected.map(std::path::PathBuf::from));
    assert_eq!(victim.machine.running().as_deref(), Some("1.0.1"));
    victim.honest.publish(release("1.0.1"));
    victim.recovers();
}
