//! Releases with health checks of the test's choice, machines behind any address, and what can be
//! seen of both.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::{
        ffi::OsStrExt as _,
        fs::{MetadataExt as _, PermissionsExt as _},
    },
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::harness::{Machine, PRODUCT, Ran, Server, write};

/// A health check that finds nothing wrong.
pub(crate) const HEALTHY: &str = "exit 0";

/// A server with the product and 1.0.0, and a machine in term that runs 1.0.0.
pub(crate) fn at_the_first_release(tier: &str) -> (Server, Machine) {
    let server = Server::with_product();
    server.publish("1.0.0", "major", &[]);
    let machine = server.machine(&customer(&server, tier));
    machine.agent(&["update"]).succeeds();
    assert_eq!(machine.running().as_deref(), Some("1.0.0"));
    (server, machine)
}

/// Adds a customer whose contract of `tier` runs for as long as the tests may be run, and says its
/// activation key.
pub(crate) fn customer(server: &Server, tier: &str) -> String {
    server.customer(tier, tier, "2020-01-01T00:00:00Z", "2100-01-01T00:00:00Z")
}

/// Lays out a tree whose health check is the shell script `check`, with `health` (TOML) beside it.
pub(crate) fn tree(server: &Server, version: &str, check: &str, health: &str) -> PathBuf {
    let tree = server.tree(version);
    write(&tree.join("bin/check"), 0o755, &format!("#!/bin/sh\n{check}\n"));
    let description = format!("[health]\ncommand = [\"bin/check\"]\n{health}\n");
    write(&tree.join("mainstay.toml"), 0o644, &description);
    tree
}

/// Publishes `tree`, and expects that to succeed.
pub(crate) fn publish(server: &Server, version: &str, channel: &str, tree: &Path, more: &[&str]) {
    server.publish_tree(version, channel, tree, more).succeeds();
}

/// Publishes a bug fix whose health check is the shell script `check`.
pub(crate) fn publish_checked(server: &Server, version: &str, check: &str) {
    publish(server, version, "bugfix", &tree(server, version, check, ""), &[]);
}

/// Publishes a bug fix that must be confirmed within so many seconds.
pub(crate) fn publish_on_probation(server: &Server, version: &str, seconds: u32) {
    let health = format!("confirm_within_seconds = {seconds}");
    publish(server, version, "bugfix", &tree(server, version, HEALTHY, &health), &[]);
}

/// Asks for `machine` to be enrolled at `url`.
pub(crate) fn enroll(machine: &Machine, url: &str, activation_key: &str, more: &[&str]) -> Ran {
    let arguments = ["--json", "enroll", "--server", url, "--host", "test-host"];
    let key = ["--product", PRODUCT, "--activation-key", activation_key];
    // What is given again in `more` must not stand there twice.
    let key = if more.contains(&"--product") { &key[2..] } else { &key[..] };
    machine.agent(&[&arguments, key, more].concat())
}

/// A file that the health checks of `machine` can see, outside of its installation.
pub(crate) fn beside(machine: &Machine, name: &str) -> PathBuf {
    machine.root().with_file_name(name)
}

/// Writes the program's data.
pub(crate) fn write_data(machine: &Machine, text: &str) {
    write(&machine.root().join("data/notes"), 0o640, text);
}

/// Reads the program's data.
pub(crate) fn data(machine: &Machine) -> Option<String> {
    fs::read_to_string(machine.root().join("data/notes")).ok()
}

/// Everything below a directory: of each entry its mode, and a file's bytes or a link's target.
pub(crate) fn contents(path: &Path) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let entry = entry.unwrap().path();
            let metadata = fs::symlink_metadata(&entry).unwrap();
            let bytes = if metadata.is_symlink() {
                fs::read_link(&entry).unwrap().as_os_str().as_bytes().to_vec()
            } else if metadata.is_dir() {
                folders.push(entry.clone());
                Vec::new()
            } else {
                fs::read(&entry).unwrap()
            };
            let mode = metadata.permissions().mode();
            found.insert(entry.strip_prefix(path).unwrap().to_owned(), (mode, bytes));
        }
    }
    found
}

/// Expects `machine` to run `version`, with all of its files and nothing else.
#[track_caller]
pub(crate) fn assert_runs(server: &Server, machine: &Machine, version: &str) {
    assert_eq!(machine.running().as_deref(), Some(version));
    let source = contents(&server.path(&format!("trees/{version}")));
    assert!(contents(&machine.root().join("current/")) == source, "the tree of {version} differs");
}

/// When the machine's journal was last written, and as which file.
pub(crate) fn journal_writing(machine: &Machine) -> (u64, i64, i64) {
    let metadata = fs::metadata(machine.root().join(".mainstay/journal")).unwrap();
    (metadata.ino(), metadata.mtime(), metadata.mtime_nsec())
}

/// The code by which `version` is withheld in an agent's document.
pub(crate) fn withheld<'a>(document: &'a Value, version: &str) -> Option<&'a str> {
    let entries = document["withheld"].as_array()?;
    entries.iter().find(|entry| entry["version"] == version)?["code"].as_str()
}

/// What `machine explain` says of `version`: its code.
pub(crate) fn explained(server: &Server, machine: &Machine, version: &str) -> String {
    let ran = server.mainstay(&["--json", "machine", "explain", &machine.name()]).succeeds();
    let entries = ran.json();
    let entry = entries.as_array().unwrap().iter().find(|entry| entry["version"] == version);
    entry.unwrap()["code"].as_str().unwrap().to_owned()
}

/// What `machine show` says.
pub(crate) fn shown(server: &Server, machine: &Machine) -> Value {
    server.mainstay(&["--json", "machine", "show", &machine.name()]).succeeds().json()
}

/// Runs a `mainstay` command as the bearer of a new token of `role`.
pub(crate) fn as_role(server: &Server, role: &str, arguments: &[&str]) -> Ran {
    let create = ["token", "create", "--role", role, "--label", role];
    let token = server.mainstay(&create).succeeds().stdout();
    let file = server.path(&format!("{role}.token"));
    write(&file, 0o600, &token);
    Ran::run(server.command(arguments).env("MAINSTAY_TOKEN_FILE", file))
}

/// Orders `machine` back to `version`.
pub(crate) fn order(server: &Server, machine: &Machine, version: &str) -> Ran {
    server.mainstay(&[
        "--json",
        "machine",
        "rollback",
        &machine.name(),
        "--to",
        version,
        "--reason",
        "reports are slow",
        "--ticket",
        "SUP-1",
    ])
}

/// So many bytes that do not get shorter when they are compressed.
pub(crate) fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.flatten().take(bytes).collect()
}
