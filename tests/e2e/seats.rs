//! Seats: how many machines a contract pays for, which ones have one, and machines that are copies.

use std::{fs, process::Command};

use jiff::Timestamp;
use serde_json::Value;

use crate::{
    fleet::{as_role, customer, enroll, shown, withheld},
    harness::{Machine, Server, eventually},
};

/// A server with 1.0.0 and 1.0.1, and the activation key of a contract with so many seats.
fn with_seats(seats: u32) -> (Server, String) {
    let server = Server::with_product();
    server.publish("1.0.0", "major", &[]);
    server.publish("1.0.1", "bugfix", &[]);
    let key = customer(&server, "standard");
    set_seats(&server, seats);
    (server, key)
}

fn set_seats(server: &Server, seats: u32) {
    let change = format!("{{\"kind\":\"set_seats\",\"seats\":{seats}}}");
    server.mainstay(&["contract", "amend", "standard", "--change", &change]).succeeds();
}

/// Enrols two machines, the older one first: the name decides where both came within a second.
fn two_machines(server: &Server, key: &str) -> (Machine, Machine) {
    let (one, two) = (server.machine(key), server.machine(key));
    let list = ["--json", "machine", "list", "--contract", "standard"];
    let list = server.mainstay(&list).succeeds().json();
    if list["machines"][0]["machine"] == one.name() { (one, two) } else { (two, one) }
}

fn notices(document: &Value) -> Vec<&str> {
    let notices = document["notices"].as_array().map(Vec::as_slice).unwrap_or_default();
    notices.iter().filter_map(|notice| notice["code"].as_str()).collect()
}

fn retire(server: &Server, machine: &Machine) {
    let name = machine.name();
    let retire = ["machine", "retire", &name, "--reason", "scrapped", "--ticket", "SUP-9"];
    as_role(server, "account", &retire).succeeds();
}

#[test]
fn a_machine_too_many_is_told_so_and_gets_a_seat_when_another_is_retired() {
    let (server, key) = with_seats(1);
    let (first, second) = two_machines(&server, &key);
    first.agent(&["update"]).succeeds();
    let (exit, update) = second.agent_json(&["update"]);
    assert_eq!(exit, 15);
    assert_eq!(withheld(&update, "1.0.1"), Some("SEATS_EXCEEDED"));
    assert_eq!(notices(&update), ["SEATS_EXCEEDED"]);
    assert_eq!(second.running(), None);
    assert_eq!(shown(&server, &second)["seat"], "exceeded");
    let show = server.mainstay(&["contract", "show", "standard"]).succeeds().stdout();
    assert!(show.starts_with("1 of 1 seats used, by 2 machine(s); 1 without a seat\n"), "{show}");
    let list = ["machine", "list", "--contract", "standard"];
    let list = server.mainstay(&list).succeeds().stdout();
    assert!(list.contains("held") && list.contains("exceeded"), "{list}");

    retire(&server, &first);
    second.agent(&["update"]).succeeds();
    assert_eq!(second.running().as_deref(), Some("1.0.1"));
    let (exit, refused) = first.agent_json(&["check"]);
    assert_eq!((exit, &refused["code"]), (33, &"MACHINE_RETIRED".into()));
    assert!(refused["message"].as_str().unwrap().contains("enrol it again"), "{refused}");
    let page = server.mainstay(&["machine", "show", &first.name()]).succeeds().stdout();
    assert!(page.contains("none: retired") && page.contains("scrapped [SUP-9]"), "{page}");

    let claim = shown(&server, &second)["machine"]["enrolled_at"].as_str().unwrap().to_owned();
    let claim: Timestamp = claim.parse().unwrap();
    eventually("the next second", || (server.publishing_state().now > claim).then_some(()));
    enroll(&first, server.url(), &key, &[]).succeeds();
    let (exit, check) = first.agent_json(&["check"]);
    assert_eq!((exit, notices(&check)), (10, vec!["SEATS_EXCEEDED"]));
    set_seats(&server, 2);
    let (exit, check) = first.agent_json(&["check"]);
    assert_eq!((exit, notices(&check)), (10, vec![]));
}

#[test]
fn a_machine_that_runs_is_not_cut_off_from_security_releases() {
    let (server, key) = with_seats(2);
    let (oldest, newest) = two_machines(&server, &key);
    for machine in [&oldest, &newest] {
        machine.agent(&["update"]).succeeds();
    }
    set_seats(&server, 1);
    server.publish("1.0.2", "security", &[]);
    server.publish("1.0.3", "bugfix", &[]);
    newest.agent(&["update"]).succeeds();
    assert_eq!(newest.running().as_deref(), Some("1.0.2"));
    oldest.agent(&["update"]).succeeds();
    assert_eq!(oldest.running().as_deref(), Some("1.0.3"));
    let (_, update) = newest.agent_json(&["update"]);
    assert_eq!(withheld(&update, "1.0.3"), Some("SEATS_EXCEEDED"));
}

#[test]
fn only_those_who_may_retire_a_machine_do() {
    let (server, key) = with_seats(1);
    let machine = server.machine(&key);
    let name = machine.name();
    for role in ["viewer", "publisher"] {
        let refused =
            as_role(&server, role, &["--json", "machine", "retire", &name, "--reason", "x"]);
        assert_eq!(refused.json()["code"], "ROLE_NOT_ALLOWED", "{role}");
    }
    let retired = as_role(&server, "support", &["machine", "retire", &name, "--reason", "x"]);
    retired.succeeds();
    let again = server.mainstay(&["--json", "machine", "retire", &name, "--reason", "x"]);
    assert_eq!(again.json()["code"], "MACHINE_RETIRED");
    let trail = server.mainstay(&["--json", "audit"]).succeeds().json();
    let actions = trail.as_array().unwrap().iter();
    assert_eq!(actions.filter(|record| record["action"] == "machine.retire").count(), 1);
}

#[test]
fn a_copied_disk_is_noticed_and_given_a_key_of_its_own() {
    let (server, key) = with_seats(9);
    let original = server.machine(&key);
    original.agent(&["update"]).succeeds();
    let copy = Machine::bare();
    let copied = Command::new("cp").arg("-a").args([original.root(), copy.root()]).status();
    assert!(copied.unwrap().success());
    assert_eq!(copy.name(), original.name());

    // What the one has seen, the other has not: each in turn, after each release.
    for version in ["1.0.2", "1.0.3"] {
        server.publish(version, "bugfix", &[]);
        for machine in [&original, &original, &copy] {
            machine.agent(&["check"]).exits(11);
        }
        copy.agent(&["update"]).succeeds();
        original.agent(&["update"]).succeeds();
    }
    let (_, check) = original.agent_json(&["check"]);
    assert_eq!(notices(&check), ["CLONE_SUSPECTED"]);
    let page = server.mainstay(&["machine", "show", &original.name()]).succeeds().stdout();
    assert!(page.contains("Two machines seem to use its key"), "{page}");
    let list = server.mainstay(&["machine", "list"]).succeeds().stdout();
    assert!(list.contains("clone suspected"), "{list}");

    let was = fs::read_to_string(copy.root().join(".mainstay/machine.key")).unwrap();
    enroll(&copy, server.url(), &key, &["--new-machine"]).succeeds();
    assert_ne!(fs::read_to_string(copy.root().join(".mainstay/machine.key")).unwrap(), was);
    assert_ne!(copy.name(), original.name());
    for machine in [&original, &copy] {
        machine.agent(&["check"]).exits(10);
    }
    assert_eq!(copy.running().as_deref(), Some("1.0.3"));
}
