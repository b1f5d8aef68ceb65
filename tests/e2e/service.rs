//! `mainstay-agent run`: what happens by itself, when, and what waits for somebody.

use std::{
    fs,
    io::{BufRead as _, BufReader, Lines, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    process::{Child, ChildStdout, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
};

use serde_json::Value;

use crate::{
    fleet::{assert_runs, at_the_first_release, customer, enroll, order, publish_on_probation},
    harness::{Machine, Ran, Server},
};

/// An agent that runs as a service does.
pub(crate) struct Service {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Service {
    pub(crate) fn of(machine: &Machine) -> Self {
        let mut command = machine.command(&["--json", "--lock-wait", "60", "run"]);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// What it tells next.
    fn told(&mut self) -> Value {
        serde_json::from_str(&self.lines.next().unwrap().unwrap()).unwrap()
    }

    /// What it tells next, which must have this outcome.
    pub(crate) fn tells(&mut self, outcome: &str) -> Value {
        let told = self.told();
        assert_eq!(told["outcome"], outcome, "{told}");
        told
    }

    fn signal(&self, signal: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &id]).status().unwrap().success());
    }

    /// Lets it look at once.
    pub(crate) fn wake(&self) {
        self.signal("HUP");
    }

    /// Stops it, whatever else it has to tell.
    pub(crate) fn stop_whatever_it_tells(mut self) {
        self.signal("TERM");
        while self.told()["outcome"] != "stopped" {}
        assert!(self.child.wait().unwrap().success());
    }

    fn stop(mut self) {
        self.signal("TERM");
        self.tells("stopped");
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Adds tables to the agent's settings.
pub(crate) fn set(machine: &Machine, tables: &str) {
    let path = machine.root().join(".mainstay/agent.toml");
    let settings = fs::read_to_string(&path).unwrap();
    fs::write(&path, format!("{settings}\n{tables}\n")).unwrap();
}

/// A window that is not open today, whatever day it is when the test ends.
pub(crate) fn closed_window() -> &'static str {
    let today = Ran::run(Command::new("date").args(["-u", "+%u"])).stdout();
    match today.trim() {
        "1" | "2" | "7" => "days = [\"thu\"]\nfrom = \"01:00\"\nuntil = \"02:00\"",
        _ => "days = [\"mon\"]\nfrom = \"01:00\"\nuntil = \"02:00\"",
    }
}

#[test]
fn what_mends_is_installed_and_what_changes_waits_for_approval() {
    let (server, machine) = at_the_first_release("standard");
    server.publish("1.0.1", "bugfix", &[]);
    let mut service = Service::of(&machine);
    assert_eq!(service.tells("committed")["version_to"], "1.0.1");
    // It looks again soon, for there may be another hop.
    service.tells("up_to_date");

    server.publish("1.1.0", "feature", &[]);
    service.wake();
    let waiting = service.tells("awaiting_approval");
    assert_eq!(waiting["version_to"], "1.1.0");
    assert!(waiting["message"].as_str().unwrap().contains("mainstay-agent approve 1.1.0"));
    assert_runs(&server, &machine, "1.0.1");

    let approve = |version: &[&str]| {
        machine.agent(&[&["--json", "--lock-wait", "60", "approve"], version].concat())
    };
    let refused = approve(&["1.0.9"]).exits(36).json();
    assert_eq!(refused["message"], "1.0.9 is not offered: 1.1.0 is");
    assert_eq!(approve(&[]).succeeds().json()["version_to"], "1.1.0");
    service.wake();
    assert_eq!(service.tells("committed")["version_to"], "1.1.0");
    service.tells("up_to_date");
    service.stop();
}

#[test]
fn outside_of_a_window_updates_are_fetched_and_orders_obeyed() {
    let (server, machine) = at_the_first_release("standard");
    server.publish("1.0.1", "bugfix", &[]);
    machine.agent(&["update"]).succeeds();
    server.publish("1.0.2", "bugfix", &[]);
    set(&machine, &format!("[[updates.windows]]\n{}", closed_window()));

    let mut service = Service::of(&machine);
    let waiting = service.tells("awaiting_window");
    assert_eq!(waiting["version_to"], "1.0.2");
    let cached = fs::read_dir(machine.root().join(".mainstay/cache")).unwrap();
    assert_eq!(cached.count(), 1, "it is here already");
    assert_eq!(machine.running().as_deref(), Some("1.0.1"));

    order(&server, &machine, "1.0.0").succeeds();
    service.wake();
    assert_eq!(service.tells("rolled_back")["version_to"], "1.0.0");
    assert_eq!(machine.running().as_deref(), Some("1.0.0"));
    service.stop();
}

#[test]
fn a_probation_ends_by_itself() {
    let (server, machine) = at_the_first_release("standard");
    publish_on_probation(&server, "1.0.1", 2);
    let mut service = Service::of(&machine);
    service.tells("probation");
    let settled = service.told()["settled"].as_str().unwrap().to_owned();
    assert!(settled.contains("1.0.1 was undone and 1.0.0 runs again"), "{settled}");
    assert_runs(&server, &machine, "1.0.0");
    service.stop();
}

#[test]
fn a_server_that_is_away_is_waited_for() {
    let (mut server, machine) = at_the_first_release("standard");
    server.kill();
    let mut service = Service::of(&machine);
    assert_eq!(service.tells("error")["kind"], "network");
    service.stop();
}

#[test]
fn settings_that_make_no_sense_are_told() {
    let (_server, machine) = at_the_first_release("standard");
    set(&machine, "[updates.channels]\nfeature = \"always\"");
    let refused = machine.agent(&["--json", "run"]).exits(30).json();
    let message = refused["message"].as_str().unwrap();
    assert!(message.contains("agent.toml") && message.contains("`always`"), "{message}");
}

/// A proxy that lets connections through, and tells where to.
fn proxy() -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (tell, told) = channel();
    thread::spawn(move || {
        for client in listener.incoming() {
            let (client, tell) = (client.unwrap(), tell.clone());
            thread::spawn(move || let_through(client, &tell));
        }
    });
    (address, told)
}

fn let_through(mut client: TcpStream, tell: &std::sync::mpsc::Sender<String>) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let target = head.strip_prefix("CONNECT ").unwrap().split(' ').next().unwrap().to_owned();
    let _ = tell.send(target.clone());
    let server = TcpStream::connect(target).unwrap();
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
    let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    let upward = thread::spawn(move || std::io::copy(&mut from, &mut to));
    let (mut from, mut to) = (server, client);
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(std::net::Shutdown::Both);
    let _ = upward.join();
}

#[test]
fn a_proxy_that_was_named_once_is_used_from_then_on() {
    let server = Server::with_product();
    let key = customer(&server, "standard");
    server.publish("1.0.0", "major", &[]);
    let machine = Machine::bare();
    let (proxy, told) = proxy();
    enroll(&machine, server.url(), &key, &["--proxy", &proxy]).succeeds();
    let expected = server.url().strip_prefix("http://").unwrap();
    assert_eq!(told.recv().unwrap(), expected);
    let _ = told.try_iter().count();
    machine.agent(&["update"]).succeeds();
    assert_eq!(told.recv().unwrap(), expected);
    assert_runs(&server, &machine, "1.0.0");
}

#[test]
fn a_unit_for_systemd_names_this_installation() {
    let (_server, machine) = at_the_first_release("standard");
    set(&machine, "[data]\ndirectories = [\"/var/lib/acme data\"]");
    let unit = machine.agent(&["unit"]).succeeds().stdout();
    let root = machine.root().display();
    assert!(unit.contains(&format!(" --dir {root} run\n")), "{unit}");
    assert!(unit.contains(&format!("ReadWritePaths={root} \"/var/lib/acme data\"\n")), "{unit}");
}
