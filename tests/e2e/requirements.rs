//! What releases require of machines: asked before anything but the manifest is downloaded, told by
//! machine and server, and never in the way for ever.

use std::fs;

use serde_json::{Value, json};

use crate::{
    fleet::{
        assert_runs, at_the_first_release, beside, customer, enroll, explained, publish, shown,
        withheld,
    },
    harness::{Machine, Server, write},
    proxy::Proxy,
};

/// Publishes a bug fix that requires `requires` (TOML).
fn publish_requiring(server: &Server, version: &str, requires: &str) {
    let tree = server.tree(version);
    let description = format!("[health]\ncommand = [\"bin/run\"]\n[requires]\n{requires}\n");
    write(&tree.join("mainstay.toml"), 0o644, &description);
    publish(server, version, "bugfix", &tree, &[]);
}

/// Sets the table `[preflight]` of the machine's settings.
fn set(machine: &Machine, preflight: &str) {
    let path = machine.root().join(".mainstay/agent.toml");
    let text = fs::read_to_string(&path).unwrap();
    let enrolment = text.split("[preflight]").next().unwrap();
    write(&path, 0o600, &format!("{enrolment}\n[preflight]\n{preflight}\n"));
}

/// A server with 1.0.0, a proxy before it, and a machine behind that which runs 1.0.0.
fn behind_a_proxy() -> (Server, Proxy, Machine) {
    let server = Server::with_product();
    server.publish("1.0.0", "major", &[]);
    let proxy = Proxy::to(server.url());
    let machine = Machine::bare();
    enroll(&machine, proxy.url(), &customer(&server, "standard"), &[]).succeeds();
    machine.agent(&["update"]).succeeds();
    (server, proxy, machine)
}

fn whats(document: &Value) -> Vec<&str> {
    let missing = document["missing"].as_array().unwrap();
    missing.iter().map(|entry| entry["what"].as_str().unwrap()).collect()
}

fn last_event(server: &Server, machine: &Machine) -> Value {
    shown(server, machine)["events"].as_array().unwrap().last().unwrap()["event"].clone()
}

#[test]
fn a_kernel_that_is_too_old_is_told_before_a_byte_of_the_artifact_is_fetched() {
    let (server, proxy, machine) = behind_a_proxy();
    set(&machine, "facts = \"withheld\"");
    publish_requiring(&server, "1.0.1", "kernel = \"99.0\"\ncomponents = { postgres = \">=15\" }");
    let fetched = proxy.fetches().len();
    for command in ["check", "update"] {
        let (exit, answer) = machine.agent_json(&[command]);
        assert_eq!((exit, &answer["outcome"]), (18, &"missing".into()), "{command}");
        assert_eq!(answer["version_to"], "1.0.1");
        assert_eq!(whats(&answer), ["kernel", "component postgres"]);
        assert_eq!(answer["missing"][0]["required"], "99.0");
    }
    assert_eq!(proxy.fetches().len(), fetched, "nothing of the artifact was asked for");
    assert_runs(&server, &machine, "1.0.0");
    let text = machine.agent(&["check"]).exits(18).stdout();
    assert!(text.contains("Missing: kernel 99.0 or later is required, this one is "), "{text}");
    let event = last_event(&server, &machine);
    assert_eq!((&event["kind"], &event["to"]), (&"refused".into(), &"1.0.1".into()));
    let detail = event["detail"].as_str().unwrap();
    assert!(detail.contains("kernel 99.0") && detail.contains("postgres >=15"), "{detail}");
    assert!(shown(&server, &machine)["machine"]["facts"].is_null());
}

#[test]
fn the_server_offers_the_highest_release_that_the_machine_can_run_and_says_what_it_lacks() {
    let (server, machine) = at_the_first_release("standard");
    publish_requiring(&server, "1.0.1", "kernel = \"2.6\"");
    publish_requiring(&server, "1.0.2", "kernel = \"99.0\"");
    let (exit, check) = machine.agent_json(&["check"]);
    assert_eq!((exit, &check["version_to"]), (11, &"1.0.1".into()));
    assert_eq!(withheld(&check, "1.0.2"), Some("REQUIREMENT"));
    let sentence = check["withheld"][0]["message"].as_str().unwrap();
    assert!(sentence.contains("kernel 99.0 or later is required"), "{sentence}");
    assert_eq!(explained(&server, &machine, "1.0.2"), "REQUIREMENT");
    let view = shown(&server, &machine);
    assert_eq!(view["next"]["version"], "1.0.1");
    let facts = machine.agent_json(&["facts"]).1["facts"].clone();
    assert_eq!(view["machine"]["facts"], facts);
    let page = server.mainstay(&["machine", "show", &machine.name()]).succeeds().stdout();
    assert!(page.contains(&format!("kernel {}", facts["kernel"].as_str().unwrap())), "{page}");
    machine.agent(&["update"]).succeeds();
    assert_runs(&server, &machine, "1.0.1");
    // The next check finds the other one, which does not come.
    let (exit, update) = machine.agent_json(&["update"]);
    assert_eq!((exit, withheld(&update, "1.0.2")), (15, Some("REQUIREMENT")));
}

#[test]
fn a_component_that_was_too_old_is_updated_and_the_release_comes() {
    let (server, machine) = at_the_first_release("standard");
    publish_requiring(&server, "1.0.1", "components = { postgres = \">=15.2, <17\" }");
    machine.agent(&["component", "set", "postgres", "14.9.0"]).succeeds();
    let (exit, check) = machine.agent_json(&["check"]);
    assert_eq!((exit, withheld(&check, "1.0.1")), (15, Some("REQUIREMENT")));
    let (exit, set) = machine.agent_json(&["component", "set", "postgres", "16.1.0"]);
    assert_eq!((exit, &set["facts"]["components"]), (0, &json!({ "postgres": "16.1.0" })));
    machine.agent(&["component", "set", "postgres", "16"]).exits(2);
    machine.agent(&["update"]).succeeds();
    assert_runs(&server, &machine, "1.0.1");
    machine.agent(&["component", "remove", "postgres"]).succeeds();
    assert!(machine.agent_json(&["facts"]).1["facts"]["components"].is_null());
}

#[test]
fn more_space_than_there_is_is_missing_before_the_download() {
    let (server, proxy, machine) = behind_a_proxy();
    publish_requiring(&server, "1.0.1", "free_bytes = 1125899906842624");
    let fetched = proxy.fetches().len();
    let (exit, update) = machine.agent_json(&["update"]);
    assert_eq!((exit, whats(&update)), (18, vec!["space"]));
    let required = update["missing"][0]["required"].as_str().unwrap().parse::<u64>().unwrap();
    assert!(required > 1 << 50, "download, tree and reserve come on top: {required}");
    assert_eq!(proxy.fetches().len(), fetched);
    assert_eq!(last_event(&server, &machine)["kind"], "refused");
}

#[test]
fn the_administrators_command_is_asked_each_time_and_its_word_counts() {
    let (server, proxy, machine) = behind_a_proxy();
    publish_requiring(&server, "1.0.1", "kernel = \"2.6\"");
    let script = "#!/bin/sh\necho \"$MAINSTAY_HOOK of $MAINSTAY_VERSION\"\n\
                  exit \"$(cat \"$MAINSTAY_ROOT/../answer\")\"\n";
    write(&beside(&machine, "may-update"), 0o755, script);
    set(&machine, &format!("command = [\"{}\"]", beside(&machine, "may-update").display()));
    let fetched = proxy.fetches().len();
    for (answer, exit, outcome, kind) in
        [("21", 16, "deferred", "deferred"), ("1", 18, "missing", "refused")]
    {
        write(&beside(&machine, "answer"), 0o644, answer);
        for command in ["check", "update"] {
            let (code, told) = machine.agent_json(&[command]);
            assert_eq!((code, &told["outcome"]), (exit, &outcome.into()), "{command} {told}");
            let message = told["message"].as_str().unwrap();
            assert!(message.contains("preflight of 1.0.1"), "{message}");
        }
        let event = last_event(&server, &machine);
        assert_eq!((&event["kind"], &event["to"]), (&kind.into(), &"1.0.1".into()));
        assert!(event["detail"].as_str().unwrap().contains("preflight of 1.0.1"), "{event}");
    }
    let text = machine.agent(&["check"]).exits(18).stdout();
    assert!(text.contains("Refused: this machine's preflight command"), "{text}");
    assert_eq!(proxy.fetches().len(), fetched);
    assert_eq!(explained(&server, &machine, "1.0.1"), "IN_TERM", "a refusal blocks nothing");
    write(&beside(&machine, "answer"), 0o644, "0");
    machine.agent(&["update"]).succeeds();
    assert_runs(&server, &machine, "1.0.1");
}

#[test]
fn requirements_that_make_no_sense_are_not_published() {
    let server = Server::with_product();
    let tree = server.tree("1.0.0");
    for (requires, problem) in [
        ("kernel = \"new\"", "major.minor or major.minor.patch"),
        ("glibc = 2.31", "invalid type: floating point"),
        ("components = { postgres = \"about 15\" }", "a range of SemVer versions"),
        ("components = { PostgreSQL = \"15\" }", "1 to 63 of a-z, 0-9 and -"),
        ("kernal = \"5.10\"", "unknown field `kernal`"),
        ("free_bytes = 1125899906842625", "expected at most 1125899906842624"),
    ] {
        write(&tree.join("mainstay.toml"), 0o644, &format!("[requires]\n{requires}\n"));
        let refused = server.publish_tree("1.0.0", "major", &tree, &[]).exits(2);
        assert!(refused.stderr().contains(problem), "{problem} in {}", refused.stderr());
    }
}
