//! Going back: a technician's order from afar, and one given at the machine.

use serde_json::Value;

use crate::{
    fleet::{
        as_role, assert_runs, at_the_first_release, beside, customer, data, enroll, explained,
        order, publish, shown, tree, withheld, write_data,
    },
    harness::{Machine, Server, eventually, write},
    proxy::{Passage, Proxy},
};

/// A machine that went from 1.0.0 over 1.0.1 to 1.0.2, and wrote data under each.
fn at_the_third_release() -> (Server, Machine) {
    let (server, machine) = at_the_first_release("standard");
    write_data(&machine, "of 1.0.0");
    for version in ["1.0.1", "1.0.2"] {
        step(&server, &machine, version, &[]);
        write_data(&machine, &format!("of {version}"));
    }
    (server, machine)
}

/// Publishes a bug fix, and has the machine install it.
fn step(server: &Server, machine: &Machine, version: &str, more: &[&str]) {
    server.publish(version, "bugfix", more);
    machine.agent(&["update"]).succeeds();
    assert_runs(server, machine, version);
}

/// The records of the audit trail that say `action`.
fn audit(server: &Server, action: &str) -> Vec<Value> {
    let trail = server.mainstay(&["--json", "audit"]).succeeds().json();
    let records = trail.as_array().unwrap().iter();
    records.filter(|record| record["action"] == action).cloned().collect()
}

#[test]
fn an_order_takes_the_machine_and_its_data_back_until_a_later_release() {
    let (server, machine) = at_the_third_release();
    let ordered = order(&server, &machine, "1.0.0").succeeds().json();
    assert_eq!((&ordered["from"], &ordered["to"]), (&"1.0.2".into(), &"1.0.0".into()));
    assert_eq!(ordered["state"], "pending");

    let (exit, check) = machine.agent_json(&["check"]);
    assert_eq!((exit, &check["outcome"]), (12, &"rollback_ordered".into()));
    assert_eq!(check["order"]["reason"], "reports are slow");
    assert_eq!(check["order"]["ticket"], "SUP-1");
    let (exit, update) = machine.agent_json(&["update"]);
    assert_eq!((exit, &update["outcome"]), (0, &"rolled_back".into()));
    assert_runs(&server, &machine, "1.0.0");
    assert_eq!(data(&machine).as_deref(), Some("of 1.0.0"));
    assert_eq!(shown(&server, &machine)["machine"]["order"]["state"], "done");

    let (exit, update) = machine.agent_json(&["update"]);
    assert_eq!(exit, 15);
    for version in ["1.0.1", "1.0.2"] {
        assert_eq!(withheld(&update, version), Some("BLOCKED"));
        assert_eq!(explained(&server, &machine, version), "BLOCKED");
    }
    assert_runs(&server, &machine, "1.0.0");
    step(&server, &machine, "1.0.3", &[]);
    assert_eq!(data(&machine).as_deref(), Some("of 1.0.0"));
}

#[test]
fn the_audit_trail_has_who_ordered_what_and_why() {
    let (server, machine) = at_the_third_release();
    let name = machine.name();
    let rollback = ["machine", "rollback", &name, "--to", "1.0.1"];
    let why = ["--reason", "it crashes", "--ticket", "SUP-2"];
    as_role(&server, "support", &[&rollback[..], &why].concat()).succeeds();
    let records = audit(&server, "machine.rollback");
    let [record] = records.as_slice() else { panic!("{records:?}") };
    assert_eq!(record["subject"], name);
    assert_eq!((&record["reason"], &record["ticket"]), (&"it crashes".into(), &"SUP-2".into()));
    assert_eq!(record["detail"], "from 1.0.2 to 1.0.1");
    assert_eq!(record["address"], "127.0.0.1");
    let tokens = server.mainstay(&["--json", "token", "list"]).succeeds().json();
    let token = tokens.as_array().unwrap().iter().find(|token| token["role"] == "support");
    let token = token.unwrap()["id"].as_str().unwrap();
    for by in [&record["actor"], &shown(&server, &machine)["machine"]["order"]["by"]] {
        assert!(by.as_str().unwrap().contains(token), "{by}");
    }
}

#[test]
fn who_may_not_order_is_refused_and_written_down() {
    let (server, machine) = at_the_third_release();
    let name = machine.name();
    let rollback = ["--json", "machine", "rollback", &name, "--to", "1.0.1", "--reason", "why not"];
    for role in ["viewer", "publisher", "account"] {
        let refused = as_role(&server, role, &rollback).exits(3).json();
        assert_eq!(refused["code"], "ROLE_NOT_ALLOWED", "{role}");
    }
    let denied = audit(&server, "denied");
    let subjects: Vec<_> =
        denied.iter().map(|record| record["subject"].as_str().unwrap()).collect();
    assert_eq!(subjects, vec![format!("POST /v1/machines/{name}/rollback"); 3]);
    assert_eq!(shown(&server, &machine)["machine"]["order"], Value::Null);
    machine.agent(&["update"]).exits(10);
}

#[test]
fn an_order_below_the_floor_is_refused() {
    let (server, machine) = at_the_first_release("standard");
    step(&server, &machine, "1.0.1", &[]);
    step(&server, &machine, "1.0.2", &["--floor", "1.0.1"]);
    let refused = order(&server, &machine, "1.0.0").exits(3).json();
    assert_eq!(refused["code"], "BELOW_FLOOR");
    assert!(refused["message"].as_str().unwrap().contains("1.0.1"));
    order(&server, &machine, "1.0.1").succeeds();
    machine.agent(&["update"]).succeeds();
    assert_runs(&server, &machine, "1.0.1");
}

#[test]
fn an_order_that_leads_nowhere_is_refused() {
    let (server, machine) = at_the_first_release("standard");
    server.publish("1.0.1", "bugfix", &["--requires-addon", "gold"]);
    step(&server, &machine, "1.0.2", &[]);
    server.publish("1.0.3", "bugfix", &[]);
    for (version, exit, code) in [
        ("1.0.2", 4, "ROLLBACK_IMPOSSIBLE"),
        ("1.0.3", 4, "ROLLBACK_IMPOSSIBLE"),
        ("1.0.1", 3, "ADDON_MISSING"),
        ("0.9.0", 3, "NOT_FOUND"),
    ] {
        let refused = order(&server, &machine, version).exits(exit).json();
        assert_eq!(refused["code"], code, "{version}");
    }
    assert_eq!(shown(&server, &machine)["machine"]["order"], Value::Null);
    assert!(audit(&server, "machine.rollback").is_empty());
}

#[test]
fn a_machine_that_runs_nothing_or_is_unknown_cannot_be_ordered_back() {
    let server = Server::with_product();
    server.publish("1.0.0", "major", &[]);
    let machine = server.machine(&customer(&server, "standard"));
    let refused = order(&server, &machine, "1.0.0").exits(4).json();
    assert_eq!(refused["code"], "ROLLBACK_IMPOSSIBLE");
    let unknown = ["--json", "machine", "rollback", "m-000000000000", "--to", "1.0.0"];
    let refused = server.mainstay(&[&unknown[..], &["--reason", "none"]].concat()).exits(3);
    assert_eq!(refused.json()["code"], "NOT_FOUND");
}

#[test]
fn an_order_without_a_reason_is_refused() {
    let (server, machine) = at_the_third_release();
    let name = machine.name();
    let rollback = ["machine", "rollback", &name, "--to", "1.0.1"];
    server.mainstay(&rollback).exits(2);
    server.mainstay(&[&rollback[..], &["--reason", " "]].concat()).exits(3);
    assert_eq!(shown(&server, &machine)["machine"]["order"], Value::Null);
}

#[test]
fn a_version_whose_tree_is_gone_is_downloaded_again() {
    let (server, machine) = at_the_third_release();
    for version in ["1.0.3", "1.0.4"] {
        step(&server, &machine, version, &[]);
    }
    assert!(!machine.root().join("versions/1.0.0").exists(), "it is not kept any more");
    order(&server, &machine, "1.0.0").succeeds();
    let (exit, update) = machine.agent_json(&["update"]);
    assert_eq!((exit, &update["outcome"]), (0, &"rolled_back".into()));
    assert_runs(&server, &machine, "1.0.0");
}

#[test]
fn a_kept_tree_that_was_tampered_with_is_downloaded_again() {
    let (server, machine) = at_the_third_release();
    write(&machine.root().join("versions/1.0.1/bin/run"), 0o755, "#!/bin/sh\necho evil\n");
    order(&server, &machine, "1.0.1").succeeds();
    machine.agent(&["update"]).succeeds();
    assert_runs(&server, &machine, "1.0.1");
}

#[test]
fn an_order_waits_for_a_machine_that_is_offline() {
    let server = Server::with_product();
    server.publish("1.0.0", "major", &[]);
    let proxy = Proxy::to(server.url());
    let machine = Machine::bare();
    enroll(&machine, proxy.url(), &customer(&server, "standard"), &[]).succeeds();
    machine.agent(&["update"]).succeeds();
    step(&server, &machine, "1.0.1", &[]);
    proxy.set(Passage::Closed);
    order(&server, &machine, "1.0.0").succeeds();
    machine.agent(&["update"]).exits(32);
    assert_runs(&server, &machine, "1.0.1");
    assert_eq!(shown(&server, &machine)["machine"]["order"]["state"], "pending");
    proxy.set(Passage::Whole);
    machine.agent(&["check"]).exits(12);
    machine.agent(&["update"]).succeeds();
    assert_runs(&server, &machine, "1.0.0");
}

#[test]
fn an_order_survives_a_power_cut_of_the_server() {
    let (mut server, machine) = at_the_third_release();
    order(&server, &machine, "1.0.1").succeeds();
    server.kill_and_restart();
    let view = shown(&server, &machine);
    assert_eq!(view["machine"]["order"]["state"], "pending");
    assert_eq!(
        (&view["next"]["action"], &view["next"]["version"]),
        (&"rollback".into(), &"1.0.1".into())
    );
    assert_eq!(audit(&server, "machine.rollback").len(), 1);
}

#[test]
fn a_machine_stays_where_it_is_if_the_version_ordered_does_not_work_any_more() {
    let server = Server::with_product();
    let check = "test ! -e \"$MAINSTAY_ROOT/../broken\"";
    publish(&server, "1.0.0", "major", &tree(&server, "1.0.0", check, ""), &[]);
    let machine = server.machine(&customer(&server, "standard"));
    machine.agent(&["update"]).succeeds();
    step(&server, &machine, "1.0.1", &[]);
    write_data(&machine, "of 1.0.1");
    order(&server, &machine, "1.0.0").succeeds();
    write(&beside(&machine, "broken"), 0o644, "");
    machine.agent(&["update"]).exits(14);
    assert_runs(&server, &machine, "1.0.1");
    assert_eq!(data(&machine).as_deref(), Some("of 1.0.1"));
    assert_eq!(shown(&server, &machine)["machine"]["order"]["state"], "failed");
    machine.agent(&["update"]).exits(10);
    // A new order is a new try.
    std::fs::remove_file(beside(&machine, "broken")).unwrap();
    order(&server, &machine, "1.0.0").succeeds();
    machine.agent(&["update"]).succeeds();
    assert_runs(&server, &machine, "1.0.0");
}

#[test]
fn an_order_undoes_a_release_that_is_on_probation() {
    let (server, machine) = at_the_first_release("standard");
    write_data(&machine, "of 1.0.0");
    crate::fleet::publish_on_probation(&server, "1.0.1", 3600);
    machine.agent(&["update"]).exits(13);
    write_data(&machine, "of 1.0.1");
    order(&server, &machine, "1.0.0").succeeds();
    machine.agent(&["check"]).exits(12);
    machine.agent(&["update"]);
    assert_runs(&server, &machine, "1.0.0");
    assert_eq!(data(&machine).as_deref(), Some("of 1.0.0"));
    let (exit, update) = machine.agent_json(&["update"]);
    assert_eq!((exit, withheld(&update, "1.0.1")), (15, Some("BLOCKED")));
    assert_eq!(shown(&server, &machine)["machine"]["order"]["state"], "done");
}

#[test]
fn a_machine_goes_back_by_itself_to_what_ran_before_or_further() {
    let (server, machine) = at_the_third_release();
    let (exit, back) = machine.agent_json(&["rollback"]);
    assert_eq!((exit, &back["outcome"]), (0, &"rolled_back".into()));
    assert_runs(&server, &machine, "1.0.1");
    assert_eq!(data(&machine).as_deref(), Some("of 1.0.1"));
    machine.agent(&["rollback", "--to", "1.0.0"]).succeeds();
    assert_runs(&server, &machine, "1.0.0");
    assert_eq!(data(&machine).as_deref(), Some("of 1.0.0"));
    machine.agent(&["rollback"]).exits(36);
    machine.agent(&["rollback", "--to", "1.0.2"]).exits(36);
    assert_runs(&server, &machine, "1.0.0");
    step(&server, &machine, "1.0.3", &[]);
}

#[test]
fn a_machine_needs_no_server_to_go_back() {
    let (mut server, machine) = at_the_third_release();
    server.kill();
    machine.agent(&["rollback", "--to", "1.0.0"]).succeeds();
    assert_runs(&server, &machine, "1.0.0");
}

#[test]
fn what_was_left_at_the_machine_is_not_installed_again() {
    let (server, machine) = at_the_third_release();
    machine.agent(&["rollback"]).succeeds();
    let (exit, update) = machine.agent_json(&["update"]);
    assert_eq!((exit, withheld(&update, "1.0.2")), (15, Some("BLOCKED")), "{update}");
    assert_eq!(explained(&server, &machine, "1.0.2"), "BLOCKED");
    assert_runs(&server, &machine, "1.0.1");
}

#[test]
fn an_order_is_carried_out_by_a_machine_that_was_killed_in_the_middle_of_it() {
    let server = Server::with_product();
    // Only once the test has prepared it does the old release's check wait.
    let check = "test -e \"$MAINSTAY_ROOT/../wait\" || exit 0\n\
                 touch \"$MAINSTAY_ROOT/../checking\"\n\
                 while test -e \"$MAINSTAY_ROOT/../wait\"; do sleep 0.05; done";
    publish(&server, "1.0.0", "major", &tree(&server, "1.0.0", check, ""), &[]);
    let machine = server.machine(&customer(&server, "standard"));
    machine.agent(&["update"]).succeeds();
    write_data(&machine, "of 1.0.0");
    step(&server, &machine, "1.0.1", &[]);
    write_data(&machine, "of 1.0.1");
    order(&server, &machine, "1.0.0").succeeds();
    write(&beside(&machine, "wait"), 0o644, "");
    let mut update = machine.command(&["update"]).spawn().unwrap();
    eventually("the health check runs", || beside(&machine, "checking").exists().then_some(()));
    update.kill().unwrap();
    update.wait().unwrap();
    std::fs::remove_file(beside(&machine, "wait")).unwrap();
    machine.agent(&["check"]).exits(12);
    assert_runs(&server, &machine, "1.0.1");
    assert_eq!(data(&machine).as_deref(), Some("of 1.0.1"));
    machine.agent(&["update"]).succeeds();
    assert_runs(&server, &machine, "1.0.0");
    assert_eq!(data(&machine).as_deref(), Some("of 1.0.0"));
    assert_eq!(shown(&server, &machine)["machine"]["order"]["state"], "done");
}

#[test]
fn a_machine_does_not_go_below_the_floor() {
    let (server, machine) = at_the_first_release("standard");
    step(&server, &machine, "1.0.1", &[]);
    step(&server, &machine, "1.0.2", &["--floor", "1.0.1"]);
    let (exit, refused) = machine.agent_json(&["rollback", "--to", "1.0.0"]);
    assert_eq!((exit, &refused["code"]), (34, &"floor".into()));
    assert_runs(&server, &machine, "1.0.2");
    machine.agent(&["rollback", "--to", "1.0.1"]).succeeds();
}

#[test]
fn an_order_whose_version_is_not_confirmed_has_failed() {
    let server = Server::with_product();
    let first = tree(&server, "1.0.0", "exit 0", "confirm_within_seconds = 600");
    publish(&server, "1.0.0", "major", &first, &[]);
    let machine = server.machine(&customer(&server, "standard"));
    machine.agent(&["update"]).exits(13);
    machine.agent(&["confirm"]).succeeds();
    step(&server, &machine, "1.0.1", &[]);
    order(&server, &machine, "1.0.0").succeeds();
    machine.agent(&["update"]).exits(13);
    assert_runs(&server, &machine, "1.0.0");
    // It is heard of while it waits to be confirmed.
    machine.agent(&["check"]);
    machine.agent(&["rollback"]).succeeds();
    assert_runs(&server, &machine, "1.0.1");
    machine.agent(&["check"]);
    assert_eq!(shown(&server, &machine)["machine"]["order"]["state"], "failed");
    machine.agent(&["update"]);
    assert_runs(&server, &machine, "1.0.1");
}
