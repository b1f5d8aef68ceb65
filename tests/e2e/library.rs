//! Programs with the client inside: one that updates itself, and faces in other languages.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::Value;

use crate::{
    fleet::{
        assert_runs, at_the_first_release, customer, explained, noise, publish,
        publish_on_probation, shown,
    },
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
    let (arriving, rest) = outcomes.split_at(outcomes.len() - 2);
    assert!(arriving.iter().all(|outcome| *outcome == "downloading"), "{outcomes:?}");
    assert_eq!(rest, ["installing", "committed"]);
    assert_eq!(updated[arriving.len()]["version_to"], "1.0.1");

    let refused = lines(&machine.agent(&["--json=stream", "rollback", "--to", "9.9.9"]).exits(36));
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0]["outcome"], "error");
    let back = lines(&machine.agent(&["--json=stream", "rollback"]).succeeds());
    let outcomes: Vec<_> = back.iter().map(|line| line["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["installing", "rolled_back"]);
}

/// Compiles a program of `client/c` to `program` and links it with the library.
fn compile(source: &str, program: &Path) {
    let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("client/c");
    let library = built("deps/libmainstay_c.so", "cargo test -p mainstay-client-c --no-run");
    let folder = library.parent().unwrap().display();
    let mut command = Command::new("cc");
    command.args(["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-I"]);
    command.arg(package.join("include")).arg(package.join(source));
    command.args([format!("-L{folder}"), format!("-Wl,-rpath,{folder}")]);
    Ran::run(command.arg("-lmainstay_c").arg("-o").arg(program)).succeeds();
}

/// The program of `client/c/examples/update.c`, compiled.
pub(crate) struct ProgramInC(PathBuf);

impl ProgramInC {
    /// Compiles it to `program`.
    pub(crate) fn compiled(program: PathBuf) -> Self {
        compile("examples/update.c", &program);
        Self(program)
    }

    fn command(&self, machine: &Machine, words: &[&str]) -> Command {
        let mut command = Command::new(&self.0);
        command.arg(machine.root()).args(words).stdin(Stdio::null());
        command
    }

    /// Runs it on the installation of `machine`.
    pub(crate) fn run(&self, machine: &Machine, words: &[&str]) -> Ran {
        Ran::run(&mut self.command(machine, words))
    }
}

#[test]
fn a_program_in_c_does_what_the_agent_does() {
    let (server, machine) = at_the_first_release("standard");
    let program = ProgramInC::compiled(server.path("update"));
    assert_eq!(program.run(&machine, &["check"]).exits(10).json()["outcome"], "up_to_date");
    publish_on_probation(&server, "1.0.1", 600);
    let check = program.run(&machine, &["check"]).exits(11);
    assert_eq!(check.json(), machine.agent_json(&["check"]).1, "document for document");

    let all = program.run(&machine, &[]).exits(13);
    let documents = lines(&all);
    let outcomes: Vec<_> = documents.iter().map(|it| it["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["update_offered", "fetched", "probation"]);
    expect(&all.stderr(), &["downloading: 0 of ", "installing 1.0.1\n"]);
    assert_runs(&server, &machine, "1.0.1");
    let status = program.run(&machine, &["status"]).succeeds();
    assert_eq!(status.json(), machine.agent_json(&["status"]).1, "document for document");
    assert_eq!(status.json()["status"]["probation"]["version"], "1.0.1");
    assert_eq!(program.run(&machine, &["confirm"]).succeeds().json()["outcome"], "committed");
    let again = program.run(&machine, &["confirm"]).exits(10);
    assert_eq!(again.json()["outcome"], "not_on_probation");

    let refused = program.run(&machine, &["roll-back", "9.9.9"]).exits(36).json();
    assert_eq!((&refused["outcome"], &refused["kind"]), (&"error".into(), &"input".into()));
    let back = program.run(&machine, &["roll-back"]).succeeds().json();
    assert_eq!((&back["outcome"], &back["version_to"]), (&"rolled_back".into(), &"1.0.0".into()));
    assert_runs(&server, &machine, "1.0.0");
    server.publish("1.0.2", "bugfix", &[]);
    assert_eq!(program.run(&machine, &["update"]).succeeds().json()["version_to"], "1.0.2");
    assert_runs(&server, &machine, "1.0.2");
}

/// A download that takes longer than any signal.
struct Slow {
    settings: PathBuf,
    unlimited: String,
}

impl Slow {
    fn of(machine: &Machine) -> Self {
        let settings = machine.root().join(".mainstay/agent.toml");
        let unlimited = fs::read_to_string(&settings).unwrap();
        let limited = format!("{unlimited}\n[network]\nbytes_per_second_max = 100000\n");
        fs::write(&settings, limited).unwrap();
        Self { settings, unlimited }
    }

    fn end(self) {
        fs::write(self.settings, self.unlimited).unwrap();
    }
}

/// Interrupts `child` as somebody at a terminal does.
fn interrupt(child: &Child) {
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
}

#[test]
fn a_signal_ends_a_download_and_the_next_update_goes_on_with_it() {
    let (server, machine) = at_the_first_release("standard");
    publish_large(&server, "1.0.1");
    let slow = Slow::of(&machine);
    let mut command = machine.command(&["--json=stream", "update"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let told = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut told = told.map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
    for _ in 0..2 {
        assert_eq!(told.next().unwrap()["outcome"], "downloading");
    }
    interrupt(&child);
    let last = told.last().unwrap();
    assert_eq!((&last["outcome"], &last["code"]), (&"error".into(), &"cancelled".into()));
    assert_eq!(child.wait().unwrap().code(), Some(37));
    assert_eq!(machine.running().as_deref(), Some("1.0.0"));

    slow.end();
    let updated = lines(&machine.agent(&["--json=stream", "update"]).succeeds());
    assert!(updated[0]["received"].as_u64().unwrap() > 0, "{}", updated[0]);
    assert_runs(&server, &machine, "1.0.1");
}

#[test]
fn a_service_streams_too() {
    let (server, machine) = at_the_first_release("standard");
    server.publish("1.0.1", "bugfix", &[]);
    let mut command = machine.command(&["--json=stream", "run"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let told = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut told = told.map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap());
    let mut outcomes = Vec::new();
    while outcomes.last().is_none_or(|outcome| outcome != "committed") {
        outcomes.push(told.next().unwrap()["outcome"].as_str().unwrap().to_owned());
    }
    outcomes.dedup();
    assert_eq!(outcomes, ["downloading", "installing", "committed"]);
    interrupt(&child);
    assert_eq!(told.last().unwrap()["outcome"], "stopped");
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_signal_ends_the_download_of_a_program_in_c_and_the_next_goes_on_with_it() {
    let (server, machine) = at_the_first_release("standard");
    let program = ProgramInC::compiled(server.path("update"));
    publish_large(&server, "1.0.1");
    let slow = Slow::of(&machine);
    let mut command = program.command(&machine, &[]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(said.next().unwrap().starts_with("downloading: 0 of "));
    assert!(said.next().unwrap().starts_with("downloading: "));
    interrupt(&child);
    // To the end, so that it never waits for us.
    let _rest = said.count();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(37));
    let told = String::from_utf8(output.stdout).unwrap();
    let last: Value = serde_json::from_str(told.lines().last().unwrap()).unwrap();
    assert_eq!((&last["outcome"], &last["code"]), (&"error".into(), &"cancelled".into()));
    assert_eq!(machine.running().as_deref(), Some("1.0.0"));

    slow.end();
    let all = program.run(&machine, &[]).succeeds();
    let first = all.stderr().lines().next().unwrap().to_owned();
    assert!(first.starts_with("downloading: ") && !first.contains(": 0 of"), "{first}");
    assert_runs(&server, &machine, "1.0.1");
}

#[test]
fn a_callback_cannot_use_the_client_that_it_is_told_about() {
    let (server, machine) = at_the_first_release("standard");
    let program = server.path("callback");
    compile("tests/callback.c", &program);
    publish_large(&server, "1.0.1");
    Ran::run(Command::new(program).arg(machine.root())).succeeds();
    assert_runs(&server, &machine, "1.0.1");
}
