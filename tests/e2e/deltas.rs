//! Deltas by hand, which ask no server.

use std::{fs, path::Path, process::Command};

use crate::harness::Ran;

fn delta(dir: &Path, arguments: &[&str]) -> Ran {
    Ran::run(
        Command::new(env!("CARGO_BIN_EXE_mainstay")).current_dir(dir).arg("delta").args(arguments),
    )
}

fn text(version: &str) -> String {
    let lines = (0..2000).map(|line| format!("line {line} of version {version}\n"));
    lines.collect::<Vec<_>>().concat()
}

fn tree(dir: &Path, name: &str, version: &str) {
    let tree = dir.join(name);
    fs::create_dir_all(tree.join("bin")).unwrap();
    fs::write(tree.join("bin/program"), text(version)).unwrap();
    fs::write(tree.join("version"), version).unwrap();
    std::os::unix::fs::symlink("bin/program", tree.join("start")).unwrap();
}

#[test]
fn a_delta_turns_one_tree_into_the_other() {
    let dir = tempfile::tempdir().unwrap();
    tree(dir.path(), "old", "1.0.0");
    tree(dir.path(), "new", "1.0.1");
    let made = delta(dir.path(), &["make", "old", "new", "d", "--json"]).succeeds().json();
    assert_eq!(made["bytes"], fs::metadata(dir.path().join("d")).unwrap().len());
    assert!(made["bytes"].as_u64().unwrap() < 2000, "{made}");
    delta(dir.path(), &["apply", "old", "d", "made"]).succeeds();
    assert_eq!(fs::read_to_string(dir.path().join("made/bin/program")).unwrap(), text("1.0.1"));
    assert_eq!(fs::read_link(dir.path().join("made/start")).unwrap(), Path::new("bin/program"));
    delta(dir.path(), &["make", "made", "new", "same"]).succeeds();
    let info = delta(dir.path(), &["info", "same", "--json"]).succeeds().json();
    assert_eq!(info["old"], info["new"], "the tree is the one that was meant");

    let again = delta(dir.path(), &["apply", "old", "d", "made"]).exits(2);
    assert!(again.stderr().contains("made exists"), "{}", again.stderr());
}

#[test]
fn what_is_not_as_it_was_makes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    fs::write(path("old"), text("1")).unwrap();
    fs::write(path("new"), text("2")).unwrap();
    delta(dir.path(), &["make", "old", "new", "d"]).succeeds();
    let info = delta(dir.path(), &["info", "d"]).succeeds().stdout();
    assert!(info.contains("profile fast") && info.contains("copy gaps"), "{info}");
    delta(dir.path(), &["apply", "old", "d", "made"]).succeeds();
    assert_eq!(fs::read(path("made")).unwrap(), fs::read(path("new")).unwrap());

    fs::remove_file(path("made")).unwrap();
    let refused = delta(dir.path(), &["apply", "new", "d", "made"]).exits(2);
    assert!(refused.stderr().contains("use the full artifact"), "{}", refused.stderr());
    let mut damaged = fs::read(path("d")).unwrap();
    let last = damaged.len() - 1;
    damaged.truncate(last);
    fs::write(path("d"), damaged).unwrap();
    let refused = delta(dir.path(), &["apply", "old", "d", "made"]).exits(2);
    assert!(refused.stderr().contains("the delta is damaged"), "{}", refused.stderr());
    assert!(!path("made").exists());
    let refused = delta(dir.path(), &["info", "old"]).exits(2);
    assert!(refused.stderr().contains("this is no delta"), "{}", refused.stderr());
    let names = fs::read_dir(dir.path()).unwrap().map(|it| it.unwrap().file_name());
    assert_eq!(names.count(), 3, "nothing is left behind");
}
