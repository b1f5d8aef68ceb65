use std::{fs, os::unix::fs::symlink, path::Path};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;

fn access() -> Access<'static> {
    Access {
        at: Timestamp::UNIX_EPOCH,
        address: Some(IpAddr::from([127, 0, 0, 1])),
        who: None,
        method: "GET".into(),
        path: "/repo/a".into(),
        status: 200,
        bytes: 7,
        broken_off: false,
        took: Duration::from_millis(3),
        user_agent: None,
    }
}

fn rules(dir: &TempDir) -> AccessLogRules {
    AccessLogRules { path: dir.path().join("access.log"), file_bytes: 400, files: 3 }
}

fn open(rules: AccessLogRules) -> (Arc<AccessLog>, Counter) {
    let lost = Counter::default();
    (Arc::new(AccessLog::open(rules, lost.clone()).unwrap()), lost)
}

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'), "{text:?}");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_line_says_who_asked_what_and_what_became_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = open(rules(&dir));
    log.note(&access());
    let odd = "/\"\n\u{e4}";
    log.note(&Access { who: Some(odd.into()), user_agent: Some(odd.into()), ..access() });
    assert!(log.has_lines());
    log.write();
    assert!(!log.has_lines());
    let mut expected = json!({
        "at": "1970-01-01T00:00:00Z",
        "address": "127.0.0.1",
        "method": "GET",
        "path": "/repo/a",
        "status": 200,
        "bytes": 7,
        "microseconds": 3000,
    });
    let written = lines(&rules(&dir).path);
    assert_eq!(written[0], expected);
    expected["who"] = odd.into();
    expected["user_agent"] = odd.into();
    assert_eq!(written[1..], [expected]);
}

#[test]
fn a_request_is_noted_once_its_answer_has_gone_or_was_broken_off() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = open(rules(&dir));
    let follow = |length| log.follow(Access { bytes: 0, ..access() }, Stopwatch::start(), length);
    let mut whole = follow(Some(5));
    let mut broken_off = follow(Some(5));
    let mut ended = follow(None);
    for answering in [&mut whole, &mut broken_off, &mut ended] {
        answering.note_sent(2);
    }
    whole.note_sent(3);
    ended.note_end();
    assert!(!log.has_lines());
    let mut head = follow(Some(0));
    head.note_sent(9);
    drop((whole, broken_off, ended, follow(None), head));
    log.write();
    let told = |line: &Value| (line["bytes"].as_u64().unwrap(), line["broken_off"] == true);
    let written: Vec<_> = lines(&rules(&dir).path).iter().map(told).collect();
    assert_eq!(written, [(5, false), (2, true), (2, false), (0, true), (0, false)]);
}

#[test]
fn files_are_numbered_and_the_last_goes() {
    let dir = tempfile::tempdir().unwrap();
    let rules = rules(&dir);
    let (log, lost) = open(rules.clone());
    for status in 0..100 {
        log.note(&Access { status, ..access() });
        log.write();
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
    let mut written = Vec::new();
    for name in ["access.log.2", "access.log.1", "access.log"] {
        let path = dir.path().join(name);
        assert!(fs::metadata(&path).unwrap().len() <= rules.file_bytes);
        written.extend(lines(&path).iter().map(|line| line["status"].as_u64().unwrap()));
    }
    assert_eq!(*written.last().unwrap(), 99);
    assert!(written.is_sorted_by(|one, next| one + 1 == *next), "{written:?}");
    assert!(written.len() > 3, "{written:?}");
    assert_eq!(lost.get(), 0);
}

#[test]
fn one_file_begins_anew() {
    let dir = tempfile::tempdir().unwrap();
    let rules = AccessLogRules { files: 1, ..rules(&dir) };
    let (log, _) = open(rules.clone());
    for _ in 0..100 {
        log.note(&access());
        log.write();
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    assert!((1..=rules.file_bytes).contains(&fs::metadata(&rules.path).unwrap().len()));
}

#[test]
fn a_file_that_somebody_moved_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let rules = rules(&dir);
    let (log, _) = open(rules.clone());
    let moved = dir.path().join("moved");
    log.note(&access());
    log.write();
    fs::rename(&rules.path, &moved).unwrap();
    log.note(&access());
    log.write();
    assert_eq!([lines(&moved).len(), lines(&rules.path).len()], [1, 1]);
    fs::rename(&rules.path, &moved).unwrap();
    fs::write(&rules.path, "").unwrap();
    log.note(&access());
    log.write();
    assert_eq!([lines(&moved).len(), lines(&rules.path).len()], [1, 1]);
}

#[test]
fn a_line_that_was_cut_off_is_ended() {
    let dir = tempfile::tempdir().unwrap();
    let rules = rules(&dir);
    fs::write(&rules.path, "{\"at\":").unwrap();
    let (log, _) = open(rules.clone());
    log.note(&access());
    log.write();
    drop(log);
    let (log, _) = open(rules.clone());
    log.note(&access());
    log.write();
    let text = fs::read_to_string(&rules.path).unwrap();
    let whole: Vec<_> =
        text.lines().map(|line| serde_json::from_str::<Value>(line).is_ok()).collect();
    assert_eq!(whole, [false, true, true]);
}

#[test]
fn what_cannot_be_written_is_counted_and_nothing_waits() {
    let dir = tempfile::tempdir().unwrap();
    let rules = rules(&dir);
    symlink("/dev/full", &rules.path).unwrap();
    let (log, lost) = open(rules.clone());
    log.note(&access());
    log.note(&access());
    log.write();
    assert_eq!(lost.get(), 2);
    // There is room again.
    fs::remove_file(&rules.path).unwrap();
    log.note(&access());
    log.write();
    assert_eq!((lines(&rules.path).len(), lost.get()), (1, 2));
}

#[test]
fn lines_that_wait_have_so_much_memory_and_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let rules = rules(&dir);
    let (log, lost) = open(rules.clone());
    let path = "\u{e4}".repeat(10_000);
    let noted = 3000;
    for _ in 0..noted {
        log.note(&Access { path: shortened(&path), ..access() });
    }
    log.write();
    let written = lines(&rules.path).len() as u64;
    assert_eq!(written + lost.get(), noted);
    let length = fs::metadata(&rules.path).unwrap().len();
    let longest = TEXT_BYTES_MAX as u64 * 2;
    assert!((1..=longest).contains(&length.abs_diff(PENDING_BYTES_MAX as u64)), "{length}");
}

#[tokio::test]
async fn much_is_written_before_its_time() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = open(rules(&dir));
    for _ in 0..WRITTEN_BYTES / 100 {
        log.note(&access());
    }
    log.until_due().await;
}
