//! Programs with the client inside: one that updates itself, and faces in other languages.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

use crate::{
    fleet::{assert_runs, at_the_first_release, customer, explained, noise, publish, shown},
    harness::{Machine, Ran, Server, write},
};

/// What cargo has built beside the server.
fn built(name: &str, with: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_mainstay")).with_file_name(name);
    assert!(path.exists(), "no {}: run the tests with --workspace, or `{with}`", path.display());
    path
}

/// Publishes the program of `client/examples/self_update.rs`. Without a greeting its own test fails.
fn publish_program(server: &Server, version: &str, channel: &str, greeting: Option<&str>) {
    let tree = server.path(&format!("trees/{version}"));
    let program = built("examples/self_update", "cargo build -p mainstay-client --examples");
    write(&tree.join("VERSION"), 0o644, version);
    fs::create_dir(tree.join("bin")).unwrap();
    fs::copy(program, tree.join("bin/self_update")).unwrap();
    let health =
        "[health]\ncommand = [\"bin/self_update\", \"--version\"]\nconfirm_within_seconds = 600\n";
    write(&tree.join("mainstay.toml"), 0o644, health);
    if let Some(greeting) = greeting {
        write(&tree.join("greeting"), 0o644, greeting);
    }
    // It is a large program, and how small it gets does not matter.
    publish(server, version, channel, &tree, &["--level", "1"]);
}

/// Starts the program that is installed, as its user does, and says what it printed.
#[track_caller]
fn start(machine: &Machine) -> String {
    Ran::run(&mut Command::new(machine.root().join("current/bin/self_update"))).succeeds().stdout()
}

#[track_caller]
fn expect(said: &str, expected: &[&str]) {
    let mut rest = said;
    for expected in expected {
        let Some(at) = rest.find(expected) else {
            panic!("expected {expected:?}, in this place, in:\n{said}")
        };
        rest = &rest[at + expected.len()..];
    }
}

#[test]
fn a_program_becomes_its_next_version_and_says_that_it_works() {
    let server = Server::with_product();
    publish_program(&server, "1.0.0", "major", Some("hello"));
    let machine = server.machine(&customer(&server, "standard"));
    machine.agent(&["update"]).exits(13);
    expect(&start(&machine), &["it works: ", "1.0.0 says hello"]);

    publish_program(&server, "1.0.1", "bugfix", Some("good day"));
    let said = start(&machine);
    let expected =
        ["downloading: ", "installing 1.0.1", "Probation", "it works: ", "1.0.1 says good day"];
    expect(&said, &expected);
    assert_runs(&server, &machine, "1.0.1");
    let confirmed = &shown(&server, &machine)["machine"]["confirmed"];
    assert_eq!(*confirmed, serde_json::json!(["1.0.0", "1.0.1"]));
    assert_eq!(start(&machine), "1.0.1 says good day\n", "there is nothing more to do");
}

#[test]
fn a_version_that_fails_its_own_test_gives_way_to_the_one_before() {
    let server = Server::with_product();
    publish_program(&server, "1.0.0", "major", Some("hello"));
    let machine = server.machine(&customer(&server, "standard"));
    machine.agent(&["update"]).exits(13);
    start(&machine);

    publish_program(&server, "1.0.1", "bugfix", None);
    let expected = ["installing 1.0.1", "it does not work: ", "greeting", "1.0.0 says hello"];
    expect(&start(&machine), &expected);
    assert_runs(&server, &machine, "1.0.0");
    assert_eq!(explained(&server, &machine, "1.0.1"), "BLOCKED");
    assert_eq!(start(&machine), "1.0.0 says hello\n", "it is not tried again");

    publish_program(&server, "1.0.2", "bugfix", Some("hello again"));
    expect(&start(&machine), &["it works: ", "1.0.2 says hello again"]);
}

#[test]
fn a_program_works_without_its_server() {
    let mut server = Server::with_product();
    publish_program(&server, "1.0.0", "major", Some("hello"));
    let machine = server.machine(&customer(&server, "standard"));
    machine.agent(&["update"]).exits(13);
    server.kill();
    expect(&start(&machine), &["it works: ", "it stays as it is: ", "1.0.0 says hello"]);
}

/// Publishes a bug fix that takes some time to download.
fn publish_large(server: &Server, version: &str) {
    let tree = server.tree(version);
    fs::write(tree.join("noise"), noise(4 << 20)).unwrap();
    publish(server, version, "bugfix", &tree, &[]);
}

/// The documents that were printed, one a line.
fn lines(ran: &Ran) -> Vec<Value> {
    ran.stdout().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_stream_tells_how_far_an_update_has_come_and_last_what_came_of_it() {
    let (server, machine) = at_the_first_release("standard");
    publish_large(&server, "1.0.1");
    let fetched = lines(&machine.agent(&["--json=stream", "fetch"]).succeeds());
    let (last, progress) = fetched.split_last().unwrap();
    assert_eq!((&last["outcome"], &last["version_to"]), (&"fetched".into(), &"1.0.1".into()));
    assert!((3..=102).contains(&progress.len()), "{}", progress.len());
    assert!(progress.iter().all(|line| line["outcome"] == "downloading"));
    assert_eq!(progress[0]["received"], 0);
    let end = progress.last().unwrap();
    assert_eq!(end["received"], end["length"]);

    let updated = lines(&machine.agent(&["--json=stream", "update"]).succeeds());
    let outcomes: Vec<_> = updated.iter().map(|line| line["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["downloading", "installing", "committed"], "it was here already");
    assert_eq!(updated[1]["version_to"], "1.0.1");

    let refused = lines(&machine.agent(&["--json=stream", "rollback", "--to", "9.9.9"]).exits(36));
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0]["outcome"], "error");
    let back = lines(&machine.agent(&["--json=stream", "rollback"]).succeeds());
    let outcomes: Vec<_> = back.iter().map(|line| line["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["installing", "rolled_back"]);
}
