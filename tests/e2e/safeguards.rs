//! Releases that are held back from machines on which they do harm.

use serde_json::{Value, json};

use crate::{
    fleet::{as_role, assert_runs, at_the_first_release, explained, shown, withheld},
    harness::{PRODUCT, Ran, Server},
};

/// Holds 1.0.1 back, as the bearer of a token with the role `support`.
fn hold_back(server: &Server, more: &[&str]) -> Ran {
    let command = ["--json", "safeguard", "create", "--product", PRODUCT, "1.0.1"];
    let reason = ["--reason", "postgres 16 loses rows", "--ticket", "SUP-9"];
    as_role(server, "support", &[&command[..], &reason, more].concat())
}

#[test]
fn a_release_is_held_back_from_machines_with_a_component_until_that_is_lifted() {
    let (server, machine) = at_the_first_release("standard");
    server.publish("1.0.1", "bugfix", &[]);
    machine.agent(&["component", "set", "postgres", "16.1.0"]).succeeds();
    machine.agent(&["check"]).exits(11);

    let affected = ["--component", "postgres=>=16"];
    let plan = hold_back(&server, &[&affected[..], &["--plan"]].concat()).succeeds().json();
    assert_eq!((&plan["machines"], &plan["running"]), (&json!(1), &json!(0)), "{plan}");
    assert_eq!(plan["held"].as_object().unwrap().values().collect::<Vec<_>>(), [&json!(1)]);
    machine.agent(&["check"]).exits(11);
    let made = hold_back(&server, &[&affected[..], &["--yes"]].concat()).succeeds().json();
    assert_eq!(made["number"], 1);

    let (exit, update) = machine.agent_json(&["update"]);
    assert_eq!((exit, withheld(&update, "1.0.1")), (15, Some("SAFEGUARD")), "{update}");
    let sentence = update["withheld"][0]["message"].as_str().unwrap();
    assert!(sentence.contains("postgres 16 loses rows") && !sentence.contains("SUP-9"));
    assert_eq!(explained(&server, &machine, "1.0.1"), "SAFEGUARD");
    assert_eq!(shown(&server, &machine)["next"]["action"], "stay");
    assert_runs(&server, &machine, "1.0.0");
    // What comes later is not meant.
    server.publish("1.0.2", "bugfix", &[]);
    let (exit, check) = machine.agent_json(&["check"]);
    assert_eq!((exit, &check["version_to"]), (11, &json!("1.0.2")));
    let listed = server.mainstay(&["safeguard", "list", "--product", PRODUCT]).succeeds().stdout();
    assert!(listed.contains("component postgres >=16"), "{listed}");

    let lift = ["--json", "safeguard", "lift", "--product", PRODUCT, "1", "--reason", "mended"];
    as_role(&server, "support", &lift).succeeds();
    assert_eq!(explained(&server, &machine, "1.0.1"), "IN_TERM");
    let again = as_role(&server, "support", &lift).exits(4).json();
    assert!(again["message"].as_str().unwrap().contains("lifted already, by"), "{again}");
    let listing = ["--json", "safeguard", "list", "--product", PRODUCT];
    let listed: Value = server.mainstay(&listing).succeeds().json();
    assert_eq!((&listed["in_force"], &listed["lifted"]), (&json!([]), &json!([])));
    let listed = server.mainstay(&[&listing[..], &["--all"]].concat()).succeeds().json();
    assert_eq!(listed["lifted"][0]["lifted"]["reason"], "mended");
}

#[test]
fn customers_with_a_tag_are_spared_a_release_and_do_not_see_the_tag() {
    let (server, machine) = at_the_first_release("standard");
    server.publish("1.0.1", "bugfix", &[]);
    hold_back(&server, &["--customer-tag", "bank", "--yes"]).succeeds();
    machine.agent(&["check"]).exits(11);
    let name = shown(&server, &machine)["machine"]["customer"].as_str().unwrap().to_owned();
    server.mainstay(&["customer", "tag", &name, "--add", "bank", "--add", "eu"]).succeeds();
    let (exit, check) = machine.agent_json(&["check"]);
    assert_eq!((exit, withheld(&check, "1.0.1")), (15, Some("SAFEGUARD")), "{check}");
    assert!(!check.to_string().contains("bank"), "{check}");
    server.mainstay(&["customer", "tag", &name, "--remove", "bank"]).succeeds();
    machine.agent(&["update"]).succeeds();
    assert_runs(&server, &machine, "1.0.1");
}

#[test]
fn machines_that_tell_nothing_are_held_back_from_where_that_is_wanted() {
    let (server, machine) = at_the_first_release("standard");
    server.publish("1.0.1", "bugfix", &[]);
    let settings = machine.root().join(".mainstay/agent.toml");
    let text = std::fs::read_to_string(&settings).unwrap();
    std::fs::write(&settings, format!("{text}\n[preflight]\nfacts = \"withheld\"\n")).unwrap();
    machine.agent(&["check"]).exits(11);
    let condition = ["--kernel", "<1.0", "--yes"];
    hold_back(&server, &condition).succeeds();
    machine.agent(&["check"]).exits(11);
    let plan = hold_back(&server, &["--kernel", "<1.0", "--hold-unknown", "--plan"]);
    assert_eq!(plan.succeeds().json()["held_as_unknown"], 1);
    hold_back(&server, &[&condition[..], &["--hold-unknown"]].concat()).succeeds();
    machine.agent(&["check"]).exits(15);
}

#[test]
fn safeguards_that_make_no_sense_are_refused() {
    let (server, machine) = at_the_first_release("standard");
    server.publish("1.0.1", "bugfix", &[]);
    let everyone = hold_back(&server, &["--yes"]).exits(3).json();
    assert!(everyone["message"].as_str().unwrap().contains("every machine would meet it"));
    let wrong = hold_back(&server, &["--kernel", "5.15", "--yes"]).exits(2);
    assert!(wrong.stderr().contains("expected up to 8 comparators"), "{}", wrong.stderr());
    let twice = ["--component", "redis", "--component", "redis=7", "--yes"];
    let twice = hold_back(&server, &twice).exits(2).json();
    assert!(twice["message"].as_str().unwrap().contains("given twice"), "{twice}");
    let unknown = ["--customer", "globex", "--reason", "x", "--yes", "9.9.9"];
    let command = ["--json", "safeguard", "create", "--product", PRODUCT];
    let unknown = server.mainstay(&[&command[..], &unknown].concat()).exits(3).json();
    assert_eq!(unknown["code"], "NOT_FOUND", "{unknown}");
    let name = shown(&server, &machine)["machine"]["customer"].as_str().unwrap().to_owned();
    let command = ["--json", "customer", "tag", &name, "--add", "a", "--remove", "a"];
    let both = server.mainstay(&command).exits(3).json();
    assert!(both["message"].as_str().unwrap().contains("added and removed"), "{both}");
}
