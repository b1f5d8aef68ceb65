//! The quickstart: the whole story in one command.

use std::{
    collections::BTreeSet,
    path::Path,
    process::{Child, Command, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{Ran, eventually};

fn quickstart(dir: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mainstay"));
    command.args(["--json", "quickstart", "--listen", "127.0.0.1:0", "--dir"]).arg(dir).args(more);
    command.current_dir(dir).stdin(Stdio::null());
    command
}

/// A quickstart that goes on running, and where its server listens.
struct Running {
    child: Child,
    url: String,
}

impl Running {
    fn in_dir(dir: &Path) -> Self {
        let mut child = quickstart(dir, &[]).stdout(Stdio::piped()).spawn().unwrap();
        // The story is told once it has ended; the process goes on.
        let stdout = child.stdout.take().unwrap();
        let mut documents = serde_json::Deserializer::from_reader(stdout).into_iter::<Value>();
        let summary = documents.next().unwrap().unwrap();
        Self { child, url: summary["server"].as_str().unwrap().to_owned() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _ended = self.child.wait();
    }
}

#[test]
fn it_tells_the_whole_story_as_one_document() {
    let dir = TempDir::new().unwrap();
    let summary = Ran::run(&mut quickstart(dir.path(), &["--once"])).succeeds().json();
    assert_eq!(members(&summary), ["server", "story"]);
    assert!(summary["server"].as_str().unwrap().starts_with("http://127.0.0.1:"));
    let story = summary["story"].as_array().unwrap();
    for step in story {
        let expected =
            ["code", "customer", "machine", "outcome", "step", "version_from", "version_to"];
        assert_eq!(members(step), expected, "{step}");
        assert!(!step["step"].as_str().unwrap().is_empty());
    }
    let outcomes: BTreeSet<_> =
        story.iter().map(|step| step["outcome"].as_str().unwrap()).collect();
    let expected =
        ["denied", "installed", "published", "refused", "rolled_back", "undone", "up_to_date"];
    assert!(outcomes.into_iter().eq(expected));
}

#[test]
fn what_it_tells_is_true() {
    let dir = TempDir::new().unwrap();
    let summary = Ran::run(&mut quickstart(dir.path(), &["--once"])).succeeds().json();
    let story = summary["story"].as_array().unwrap();
    let of = |outcome: &str| -> Vec<&Value> {
        story.iter().filter(|step| step["outcome"] == outcome).collect()
    };
    let undone = of("undone");
    assert_eq!(undone.len(), 1);
    assert_eq!(undone[0]["version_from"], "1.1.1");
    assert_eq!(undone[0]["version_to"], "1.1.0");
    let back = of("rolled_back");
    assert_eq!(
        (&back[0]["version_from"], &back[0]["version_to"]),
        (&"1.1.0".into(), &"1.0.2".into())
    );
    assert!(of("denied").iter().any(|step| step["code"] == "PUBLISHED_AFTER_TERM"));
    assert!(of("refused").iter().all(|step| step["code"] == "PUBLISHED_AFTER_TERM"));
    let running = |machine: &str| {
        let version = dir.path().join("machines").join(machine).join("current/VERSION");
        std::fs::read_to_string(version).unwrap().trim().to_owned()
    };
    assert_eq!(running("northwind-acme-db"), "1.0.2");
    assert_eq!(running("tailspin-acme-db"), "1.0.0");
    let notes = dir.path().join("machines/northwind-acme-db/data/notes.txt");
    assert!(!std::fs::read_to_string(notes).unwrap_or_default().contains("migrated"));
}

#[test]
fn it_works_again_in_the_same_directory() {
    let dir = TempDir::new().unwrap();
    let [first, second] = [1, 2].map(|_| {
        let summary = Ran::run(&mut quickstart(dir.path(), &["--once"])).succeeds().json();
        summary["story"].as_array().unwrap().len()
    });
    assert_eq!(first, second);
    assert!(dir.path().join("machines/northwind-acme-db-2/current").exists());
}

#[test]
fn it_leaves_the_server_running_until_it_is_told_to_stop() {
    let dir = TempDir::new().unwrap();
    let mut running = Running::in_dir(dir.path());
    let health = format!("{}/healthz", running.url);
    eventually("the server answers", || ureq::get(&health).call().ok());
    let process = running.child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &process]).status().unwrap().success());
    assert!(running.child.wait().unwrap().success());
    assert!(ureq::get(&health).call().is_err());
}

#[test]
fn beside_another_server_in_the_directory_it_fails_clearly() {
    let dir = TempDir::new().unwrap();
    let running = Running::in_dir(dir.path());
    let refused = Ran::run(&mut quickstart(dir.path(), &["--once"])).exits(1).json();
    assert_eq!(refused["outcome"], "error");
    let message = refused["message"].as_str().unwrap();
    assert!(message.contains("another"), "{message}");
    assert!(ureq::get(format!("{}/healthz", running.url)).call().is_ok());
}

#[test]
fn for_a_person_it_tells_the_story_and_what_to_try_next() {
    let dir = TempDir::new().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_mainstay"));
    command.args(["quickstart", "--once", "--listen", "127.0.0.1:0", "--dir"]).arg(dir.path());
    let told = Ran::run(command.stdin(Stdio::null())).succeeds().stdout();
    for part in ["PUBLISHED_AFTER_TERM", "1.1.1", "SUP-1042", "machine explain", "mainstay-agent"] {
        assert!(told.contains(part), "{part} is missing:\n{told}");
    }
}

/// The names of a document's members, in order.
fn members(document: &Value) -> Vec<&str> {
    document.as_object().unwrap().keys().map(String::as_str).collect()
}
