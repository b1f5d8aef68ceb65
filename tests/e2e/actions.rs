//! What a technician wants of one machine besides going back: pins, holds and blocks.

use serde_json::{Value, json};

use crate::{
    fleet::{as_role, assert_runs, at_the_first_release, order, shown, withheld},
    harness::{Machine, Ran, Server},
};

/// Does `verb` to the machine, as the bearer of a token with the role `support`.
fn act(server: &Server, machine: &Machine, verb: &str, more: &[&str]) -> Ran {
    let name = machine.name();
    let command = ["--json", "machine", verb, name.as_str(), "--reason", "SAP is down"];
    as_role(server, "support", &[&command[..], more].concat())
}

fn cautions(outcome: &Value) -> Vec<&str> {
    outcome["cautions"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect()
}

/// The story that this exists for: a bad update, back from it, and then one patch that was out before.
#[test]
fn after_a_rollback_a_machine_is_pinned_to_one_patch() {
    let (server, machine) = at_the_first_release("standard");
    for version in ["1.0.1", "1.0.2", "1.0.3"] {
        server.publish(version, "bugfix", &[]);
    }
    machine.agent(&["update"]).succeeds();
    assert_runs(&server, &machine, "1.0.3");
    let refused = act(&server, &machine, "pin", &["1.0.1", "--yes"]).exits(4).json();
    assert_eq!(refused["code"], "ACTION_IMPOSSIBLE");
    assert!(refused["message"].as_str().unwrap().contains("go back first"), "{refused}");

    order(&server, &machine, "1.0.0").succeeds();
    let plan = act(&server, &machine, "pin", &["1.0.1", "--plan"]).succeeds().json();
    assert_eq!(plan["before"]["action"], "rollback");
    assert_eq!(shown(&server, &machine)["machine"]["pin"], Value::Null);
    act(&server, &machine, "pin", &["1.0.1", "--yes", "--ticket", "SUP-7"]).succeeds();
    machine.agent(&["update"]).succeeds();
    assert_runs(&server, &machine, "1.0.0");
    server.publish("1.0.4", "security", &["--severity", "major"]);
    let (_, update) = machine.agent_json(&["update"]);
    assert_runs(&server, &machine, "1.0.1");
    assert_eq!(withheld(&update, "1.0.4"), Some("PINNED"), "{update}");
    let page = server.mainstay(&["machine", "show", &machine.name()]).succeeds().stdout();
    assert!(page.contains("Pinned to 1.0.1.") && page.contains("SAP is down [SUP-7]"), "{page}");

    // Another technician sees whose word it was.
    let unpinned = act(&server, &machine, "unpin", &["--yes"]).succeeds().json();
    assert_eq!(
        (&unpinned["before"]["action"], &unpinned["after"]["version"]),
        (&json!("stay"), &json!("1.0.4"))
    );
    assert!(cautions(&unpinned)[0].contains("SAP is down"), "{unpinned}");
    machine.agent(&["update"]).succeeds();
    assert_runs(&server, &machine, "1.0.4");
    let refused = act(&server, &machine, "unpin", &["--yes"]).exits(4).json();
    assert!(refused["message"].as_str().unwrap().contains("has no pin"), "{refused}");
}

#[test]
fn a_held_machine_waits_and_goes_back_all_the_same() {
    let (server, machine) = at_the_first_release("standard");
    server.publish("1.0.1", "bugfix", &[]);
    machine.agent(&["update"]).succeeds();
    server.publish("1.0.2", "bugfix", &[]);
    let until = "2100-01-01T00:00:00Z";
    let held = act(&server, &machine, "hold", &["--until", until, "--yes"]).succeeds().json();
    assert_eq!(
        (&held["before"]["version"], &held["after"]["action"]),
        (&json!("1.0.2"), &json!("stay"))
    );
    let (_, check) = machine.agent_json(&["check"]);
    assert_eq!(withheld(&check, "1.0.2"), Some("HELD"));
    let sentence = check["withheld"][0]["message"].as_str().unwrap();
    assert!(sentence.contains("on hold: until 2100-01-01T00:00:00Z: SAP is down"), "{sentence}");
    let again = act(&server, &machine, "hold", &["--until", "2101-01-01T00:00:00Z", "--plan"]);
    assert!(cautions(&again.succeeds().json())[0].contains("takes the place of a hold until 2100"));
    order(&server, &machine, "1.0.0").succeeds();
    machine.agent(&["update"]).succeeds();
    assert_runs(&server, &machine, "1.0.0");
    act(&server, &machine, "unhold", &["--yes"]).succeeds();
    machine.agent(&["update"]).succeeds();
    assert_runs(&server, &machine, "1.0.2");
    let past = act(&server, &machine, "hold", &["--until", "2020-01-01T00:00:00Z", "--yes"]);
    assert!(past.exits(3).stdout().contains("which is past"));
}

#[test]
fn one_version_is_kept_from_a_machine_and_given_back() {
    let (server, machine) = at_the_first_release("standard");
    server.publish("1.0.1", "bugfix", &[]);
    act(&server, &machine, "block", &["1.0.1", "--yes"]).succeeds();
    let (_, check) = machine.agent_json(&["check"]);
    assert_eq!(withheld(&check, "1.0.1"), Some("BLOCKED"));
    for (verb, version, why) in [
        ("block", "1.0.1", "is blocked on machine"),
        ("unblock", "1.0.0", "is not blocked"),
        ("pin", "1.0.1", "machine unblock"),
    ] {
        let refused = act(&server, &machine, verb, &[version, "--yes"]).exits(4).json();
        assert!(refused["message"].as_str().unwrap().contains(why), "{refused}");
    }
    for verb in ["block", "pin"] {
        let refused = act(&server, &machine, verb, &["9.9.9", "--yes"]).exits(3).json();
        assert_eq!(refused["code"], "NOT_FOUND");
    }
    // Somebody has to say yes, or to have said it.
    let asked = act(&server, &machine, "unblock", &["1.0.1"]).exits(2).json();
    assert!(asked["message"].as_str().unwrap().contains("--yes"), "{asked}");
    let name = machine.name();
    let unblock = ["machine", "unblock", &name, "1.0.1", "--reason", "it was the network"];
    let asked = server.mainstay(&unblock).exits(2).stderr();
    let expected = "At its next check it will install 1.0.1; it would stay as it is.";
    assert!(asked.contains(expected) && asked.contains("nobody is there"), "{asked}");
    act(&server, &machine, "unblock", &["1.0.1", "--yes"]).succeeds();
    machine.agent(&["update"]).succeeds();
    assert_runs(&server, &machine, "1.0.1");
    let trail = server.mainstay(&["--json", "audit"]).succeeds().json();
    let actions = trail.as_array().unwrap().iter().filter_map(|record| record["action"].as_str());
    let actions: Vec<_> =
        actions.filter(|it| ["machine.block", "machine.unblock"].contains(it)).collect();
    assert_eq!(actions, ["machine.block", "machine.unblock"]);
    for reason in ["a\tb", ""] {
        let command = ["machine", "block", name.as_str(), "1.0.0", "--yes", "--reason", reason];
        server.mainstay(&command).exits(3);
    }
}
