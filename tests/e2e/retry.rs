//! A version that failed on a machine and is tried there once more, by an order from afar.

use serde_json::{Value, json};

use crate::{
    fleet::{
        as_role, assert_runs, at_the_first_release, beside, explained, order, publish_checked,
        shown, withheld,
    },
    harness::{Machine, Ran, Server, write},
};

/// Works once the test says so.
const WORKS_LATER: &str = "test -e \"$MAINSTAY_ROOT/../works-now\"";

fn retry(server: &Server, machine: &Machine, more: &[&str]) -> Ran {
    let name = machine.name();
    let command = ["--json", "machine", "retry", name.as_str(), "--reason", "the disk is larger"];
    as_role(server, "support", &[&command[..], more].concat())
}

fn cautions(outcome: &Value) -> String {
    let cautions = outcome["cautions"].as_array().unwrap().iter();
    cautions.map(|it| it.as_str().unwrap()).collect::<Vec<_>>().join("\n")
}

/// The kinds of what the machine has reported, and the orders that they tell of.
fn events(server: &Server, machine: &Machine) -> Vec<(String, Value)> {
    let shown = shown(server, machine);
    let events = shown["events"].as_array().unwrap().iter();
    events.map(|it| &it["event"]).map(|it| (text(&it["kind"]), it["order"].clone())).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

#[test]
fn a_version_that_failed_is_tried_again_by_order_and_blocked_again_where_it_fails_again() {
    let (server, machine) = at_the_first_release("standard");
    publish_checked(&server, "1.0.1", WORKS_LATER);
    machine.agent(&["update"]).exits(14);
    machine.agent(&["update"]).exits(15);

    // First it is shown.
    let plan = retry(&server, &machine, &["--plan"]).succeeds().json();
    assert_eq!(
        (&plan["before"]["action"], &plan["after"]["version"]),
        (&json!("stay"), &json!("1.0.1"))
    );
    assert!(cautions(&plan).contains("it failed on this machine"), "{plan}");
    machine.agent(&["update"]).exits(15);

    retry(&server, &machine, &["--yes", "--ticket", "SUP-7"]).succeeds();
    machine.agent(&["update"]).exits(14);
    let page = server.mainstay(&["machine", "show", &machine.name()]).succeeds().stdout();
    assert!(page.contains("To try 1.0.1 again by order 1"), "{page}");
    // It failed again: it is blocked again, and the same order does not lift that.
    let (exit, again) = machine.agent_json(&["update"]);
    assert_eq!((exit, withheld(&again, "1.0.1")), (15, Some("BLOCKED")));
    machine.agent(&["update"]).exits(15);
    assert_eq!(shown(&server, &machine)["machine"]["retry"]["state"], "done");
    let kinds: Vec<_> = events(&server, &machine).into_iter().map(|(kind, _)| kind).collect();
    assert!(kinds.ends_with(&["undone", "retried", "undone"].map(str::to_owned)), "{kinds:?}");

    write(&beside(&machine, "works-now"), 0o644, "");
    retry(&server, &machine, &["1.0.1", "--yes"]).succeeds();
    machine.agent(&["update"]).succeeds();
    assert_runs(&server, &machine, "1.0.1");
    let refused = retry(&server, &machine, &["1.0.1", "--yes"]).exits(4).json();
    assert!(refused["message"].as_str().unwrap().contains("runs 1.0.1"), "{refused}");
    assert_eq!(retry(&server, &machine, &["9.9.9", "--yes"]).exits(3).json()["code"], "NOT_FOUND");
    let refused = retry(&server, &machine, &["--yes"]).exits(4).json();
    assert!(refused["message"].as_str().unwrap().contains("no version that failed"), "{refused}");
}

/// After a rollback two have blocked what was left: a technician, and the machine itself.
#[test]
fn what_a_technician_has_blocked_stays_blocked_and_is_told_of() {
    let (server, machine) = at_the_first_release("standard");
    server.publish("1.0.1", "bugfix", &[]);
    machine.agent(&["update"]).succeeds();
    order(&server, &machine, "1.0.0").succeeds();
    machine.agent(&["update"]).succeeds();
    let outcome = retry(&server, &machine, &["1.0.1", "--yes"]).succeeds().json();
    assert!(cautions(&outcome).contains("machine unblock"), "{outcome}");
    machine.agent(&["update"]).exits(15);
    assert_eq!(explained(&server, &machine, "1.0.1"), "BLOCKED");
    // The number goes on from that of the rollback.
    machine.agent(&["check"]).exits(15);
    assert_eq!(events(&server, &machine).last().unwrap(), &("retried".to_owned(), json!(2)));
    let unblock = ["machine", "unblock", &machine.name(), "1.0.1", "--reason", "x", "--yes"];
    server.mainstay(&unblock).succeeds();
    machine.agent(&["update"]).succeeds();
    assert_runs(&server, &machine, "1.0.1");
}

/// An agent of a version before such orders passes over what it does not know, and refuses the version.
#[test]
fn a_machine_that_does_not_know_of_such_orders_is_not_offered_what_it_refuses_for_ever() {
    let (server, machine) = at_the_first_release("standard");
    publish_checked(&server, "1.0.1", WORKS_LATER);
    server.publish("1.0.2", "bugfix", &[]);
    let block = ["machine", "block", &machine.name(), "1.0.2", "--reason", "x", "--yes"];
    server.mainstay(&block).succeeds();
    machine.agent(&["update"]).exits(14);
    machine.agent(&["check"]).exits(15);
    retry(&server, &machine, &["--yes"]).succeeds();
    let token = std::fs::read_to_string(machine.root().join(".mainstay/token")).unwrap();
    let number = shown(&server, &machine)["machine"]["event_number"].as_u64().unwrap() + 1;
    let event = json!({ "number": number, "kind": "refused", "from": "1.0.0", "to": "1.0.1" });
    let report = json!({
        "product": crate::harness::PRODUCT, "running": "1.0.0", "events": [event],
    });
    let body = report.to_string();
    server.request("POST", "/v1/report", token.trim(), body.as_bytes()).has_status(204);
    let machine_record = &shown(&server, &machine)["machine"];
    assert_eq!(machine_record["retry"]["state"], "failed", "{machine_record}");
    assert_eq!(explained(&server, &machine, "1.0.1"), "BLOCKED");
}
