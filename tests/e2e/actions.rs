//! What a technician wants of one machine: pins, installations, holds, blocks, and what opens again where
//! it goes back.

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

/// One patch that was out before is installed, and then the machine is updated as always.
#[test]
fn one_patch_is_installed_and_that_is_all() {
    let (server, machine) = at_the_first_release("standard");
    for version in ["1.0.1", "1.0.2"] {
        server.publish(version, "bugfix", &[]);
    }
    act(&server, &machine, "hold", &["--until", "2100-01-01T00:00:00Z", "--yes"]).succeeds();
    let refused = act(&server, &machine, "install", &["1.0.1", "--yes"]).exits(4).json();
    let message = refused["message"].as_str().unwrap();
    assert!(message.contains("cannot be delivered") && message.contains("on hold"), "{message}");
    act(&server, &machine, "unhold", &["--yes"]).succeeds();
    let refused = act(&server, &machine, "install", &["1.0.0", "--yes"]).exits(4).json();
    assert!(refused["message"].as_str().unwrap().contains("runs 1.0.0 already"), "{refused}");

    let outcome = act(&server, &machine, "install", &["1.0.1", "--yes"]).succeeds().json();
    let steps = ["before", "after"].map(|step| outcome[step]["version"].clone());
    assert_eq!(steps, [json!("1.0.2"), json!("1.0.1")]);
    let page = server.mainstay(&["machine", "show", &machine.name()]).succeeds().stdout();
    assert!(page.contains("To install 1.0.1, and nothing else until it is confirmed."), "{page}");
    machine.agent(&["update"]).succeeds();
    assert_runs(&server, &machine, "1.0.1");
    assert_eq!(shown(&server, &machine)["machine"]["pin"], Value::Null);
    machine.agent(&["update"]).succeeds();
    assert_runs(&server, &machine, "1.0.2");
}

#[test]
fn the_last_good_version_is_one_that_nobody_has_said_anything_against() {
    let (server, machine) = at_the_first_release("standard");
    let back = ["--to-last-good", "--reason", "it crashes"];
    let rollback = |more: &[&str]| {
        let name = machine.name();
        server.mainstay(&[&["--json", "machine", "rollback", &name], &back[..], more].concat())
    };
    let refused = rollback(&[]).exits(4).json();
    assert_eq!(refused["code"], "ROLLBACK_IMPOSSIBLE");
    assert!(refused["message"].as_str().unwrap().contains("confirmed no version below 1.0.0"));
    for version in ["1.0.1", "1.0.2", "1.0.3"] {
        server.publish(version, "bugfix", &[]);
        machine.agent(&["update"]).succeeds();
    }
    act(&server, &machine, "block", &["1.0.2", "--yes"]).succeeds();
    let plan = rollback(&["--plan"]).succeeds().json();
    assert_eq!(plan["after"], json!({ "action": "rollback", "version": "1.0.1" }));
    assert_eq!(shown(&server, &machine)["machine"]["order"], Value::Null);
    assert_eq!(rollback(&[]).succeeds().json()["to"], "1.0.1");
    let again = rollback(&["--plan"]).succeeds().json();
    assert!(cautions(&again)[0].contains("takes the place of order 1 to go back to 1.0.1"));
    machine.agent(&["update"]).succeeds();
    assert_runs(&server, &machine, "1.0.1");
    assert_eq!(rollback(&[]).succeeds().json()["to"], "1.0.0");
}

#[test]
fn nobody_goes_back_below_a_security_fix_without_saying_so() {
    let (server, machine) = at_the_first_release("standard");
    let fix = ["--severity", "major", "--advisory", "CVE-2026-0042"];
    server.publish("1.0.1", "security", &fix);
    server.publish("1.0.2", "bugfix", &[]);
    machine.agent(&["update"]).succeeds();
    let name = machine.name();
    let back = ["--json", "machine", "rollback", &name, "--reason", "it crashes", "--to"];
    let rollback = |more: &[&str]| server.mainstay(&[&back[..], more].concat());
    let plan = rollback(&["1.0.0", "--plan"]).succeeds().json();
    assert_eq!(plan["opens"], json!(["CVE-2026-0042"]));
    let refused = rollback(&["1.0.0"]).exits(3).json();
    assert_eq!(refused["code"], "EXPOSURE_NOT_ACCEPTED");
    assert_eq!(refused["problems"], json!(["CVE-2026-0042"]));
    assert_eq!(shown(&server, &machine)["machine"]["order"], Value::Null);
    // Nothing opens where the version gone back to has the fix.
    assert_eq!(rollback(&["1.0.1", "--plan"]).succeeds().json()["opens"], Value::Null);
    let order = rollback(&["1.0.0", "--accept-exposure"]).succeeds().json();
    assert_eq!(order["opens"], json!(["CVE-2026-0042"]));
    let actions = shown(&server, &machine)["actions"].clone();
    let detail = actions.as_array().unwrap().last().unwrap()["detail"].clone();
    assert_eq!(detail, "from 1.0.2 to 1.0.0; opens again: CVE-2026-0042");
    machine.agent(&["update"]).succeeds();
    assert_runs(&server, &machine, "1.0.0");
}
