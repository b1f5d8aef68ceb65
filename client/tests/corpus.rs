//! Replays what the fuzz targets in `client/fuzz` begin with and what once failed, on stable Rust and
//! without libFuzzer.

#![expect(clippy::unwrap_used, reason = "a step that fails fails its test")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    panic::catch_unwind,
    path::{Path, PathBuf},
};

#[path = "../fuzz/src/lib.rs"]
pub mod fuzz;

use fuzz::TARGETS;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(name)
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// The committed inputs of one kind and target, by name.
fn inputs(kind: &str, target: &str) -> BTreeMap<String, Vec<u8>> {
    let folder = folder(kind).join(target);
    let Ok(entries) = fs::read_dir(folder) else { return BTreeMap::new() };
    entries
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect()
}

#[test]
fn no_committed_input_fails_its_target() {
    let mut failed = Vec::new();
    for target in TARGETS {
        for kind in ["seeds", "regressions"] {
            for (name, bytes) in inputs(kind, target.name) {
                if catch_unwind(|| (target.run)(&bytes)).is_err() {
                    failed.push(format!("{kind}/{}/{name}", target.name));
                }
            }
        }
        for bytes in [&b""[..], b"\0", b"{}", &[0xff; 1024], &[b'['; 1024]] {
            (target.run)(bytes);
        }
    }
    assert!(failed.is_empty(), "these inputs fail: {failed:#?}");
}

#[test]
fn the_seeds_are_those_that_the_generator_writes() {
    for target in TARGETS {
        let written: BTreeMap<_, _> =
            (target.seeds)().into_iter().map(|(name, bytes)| (name.to_owned(), bytes)).collect();
        assert!(
            inputs("seeds", target.name) == written,
            "the seeds of {} are not up to date: remove them and run `cargo run -p \
             mainstay-client --example fuzz_seeds`",
            target.name
        );
    }
}

#[test]
fn each_target_has_a_program_and_no_folder_is_left_over() {
    let targets: BTreeSet<_> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    let programs: BTreeSet<_> = targets.iter().map(|name| format!("{name}.rs")).collect();
    assert_eq!(names(&folder("fuzz_targets")), programs);
    assert_eq!(names(&folder("seeds")), targets);
    assert!(names(&folder("regressions")).is_subset(&targets));
    for name in &targets {
        fuzz::run(name, b"");
    }
}

#[test]
fn the_manual_names_each_target() {
    let manual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../src/manual/testing.rs");
    let manual = fs::read_to_string(manual).unwrap();
    let rows = manual.split("//! | target | bytes | what holds |").nth(1).unwrap();
    let rows = rows.lines().skip(2).take_while(|line| line.starts_with("//! | `"));
    let named: BTreeSet<_> = rows
        .flat_map(|row| row.split('|').nth(1).unwrap().split(','))
        .map(|name| name.trim().trim_matches('`'))
        .collect();
    let targets: BTreeSet<_> = TARGETS.iter().map(|target| target.name).collect();
    assert_eq!(named, targets);
}
