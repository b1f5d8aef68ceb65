//! How releases spread: waves, what stops them, and who has a hand in that.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    fleet::{as_role, assert_runs, customer, order, publish, tree, withheld},
    harness::{Machine, PRODUCT, Ran, Server, platform, write},
};

/// A server with 1.0.0, which so many machines run. Its clock can be moved.
fn fleet(config: &str, machines: usize) -> (Server, Vec<Machine>) {
    let server = Server::with_clock(config);
    server.publish("1.0.0", "major", &[]);
    let key = customer(&server, "standard");
    let machines: Vec<_> = std::iter::repeat_with(|| server.machine(&key)).take(machines).collect();
    for machine in &machines {
        machine.agent(&["update"]).succeeds();
    }
    (server, machines)
}

/// Publishes a release that works, and says nothing of how it is to spread.
fn publish_as_configured(server: &Server, version: &str, channel: &str, more: &[&str]) -> Ran {
    let notes = server.path("notes.md");
    write(&notes, 0o644, "Notes.\n");
    let tree = format!("{}={}", platform(), server.tree(version).display());
    let publish = ["publish", "--product", PRODUCT, "--version", version, "--channel", channel];
    let files = ["--platform", &tree, "--notes", notes.to_str().unwrap()];
    server.mainstay(&[&publish[..], &files, more].concat())
}

fn rollout(server: &Server, verb: &str, version: &str, more: &[&str]) -> Ran {
    let command = ["--json", "rollout", verb, "--product", PRODUCT, version];
    server.mainstay(&[&command[..], more].concat())
}

/// Does `verb` to the rollout of a version.
fn act(server: &Server, verb: &str, version: &str) -> Ran {
    rollout(server, verb, version, &["--reason", "so it is better", "--yes"])
}

fn state(server: &Server, version: &str) -> Value {
    rollout(server, "show", version, &[]).succeeds().json()["state"].clone()
}

/// How many machines run each version after all have updated.
fn updated(machines: &[Machine]) -> BTreeMap<String, usize> {
    let mut running = BTreeMap::new();
    for machine in machines {
        machine.agent(&["update"]);
        *running.entry(machine.running().unwrap()).or_default() += 1;
    }
    running
}

#[test]
fn waves_reach_the_machines_that_were_foreseen_when_it_was_foreseen() {
    let (server, machines) = fleet("", 5);
    let waves = ["--waves", "50%:2h,100%:1h"];
    let plan = publish_as_configured(
        &server,
        "1.0.1",
        "bugfix",
        &[&waves[..], &["--plan", "--json"]].concat(),
    );
    let plan = plan.succeeds().json();
    assert_eq!(plan["waves"].as_array().unwrap().len(), 3, "{plan}");
    let first = usize::try_from(plan["waves"][0]["machines"].as_u64().unwrap()).unwrap();
    let second = usize::try_from(plan["waves"][1]["machines"].as_u64().unwrap()).unwrap();
    assert_eq!(first + second, 5, "{plan}");
    let nothing = server.mainstay(&["--json", "release", "list", "--product", PRODUCT]);
    assert_eq!(nothing.succeeds().json().as_array().unwrap().len(), 1, "nothing was published");

    let published = publish_as_configured(&server, "1.0.1", "bugfix", &waves).succeeds().stdout();
    assert!(published.contains("It spreads in 3 waves; the next one begins at "), "{published}");
    let expected = |counts: &[(&str, usize)]| -> BTreeMap<String, usize> {
        let counts = counts.iter().filter(|(_, machines)| *machines > 0);
        counts.map(|(version, machines)| ((*version).to_owned(), *machines)).collect()
    };
    assert_eq!(updated(&machines), expected(&[("1.0.0", second), ("1.0.1", first)]));
    let outcomes = rollout(&server, "show", "1.0.1", &[]).succeeds().json()["outcomes"].clone();
    assert_eq!(outcomes, json!({ "tried": first, "succeeded": first, "failed": 0 }));
    for machine in machines.iter().filter(|it| it.running().as_deref() == Some("1.0.0")) {
        let (_, check) = machine.agent_json(&["check"]);
        assert_eq!(withheld(&check, "1.0.1"), Some("ROLLOUT_WAIT"));
        let message = check["withheld"][0]["message"].as_str().unwrap();
        assert!(message.contains("wave 2 of 3, which is to begin at "), "{message}");
    }
    server.set_clock("+2h");
    assert_eq!(updated(&machines), expected(&[("1.0.1", 5)]));
}

#[test]
fn a_machine_outside_of_the_wave_gets_the_release_before() {
    let (server, machines) = fleet("", 1);
    server.publish("1.0.1", "bugfix", &[]);
    server.publish("1.0.2", "bugfix", &["--waves", "canaries:2h,100%"]);
    let (_, update) = machines[0].agent_json(&["update"]);
    assert_runs(&server, &machines[0], "1.0.1");
    assert_eq!(withheld(&update, "1.0.2"), Some("ROLLOUT_WAIT"), "{update}");
    let name = machines[0].name();
    let ring = ["machine", "ring", &name, "preview", "--reason", "ours", "--yes"];
    server.mainstay(&ring).succeeds();
    server.publish("1.0.3", "bugfix", &["--waves", "preview:2h,100%"]);
    machines[0].agent(&["update"]).succeeds();
    assert_runs(&server, &machines[0], "1.0.3");
}

#[test]
fn health_checks_that_fail_pause_a_rollout() {
    let (mut server, machines) = fleet("", 3);
    let bad = tree(&server, "1.0.1", "exit 1", "");
    let terms = server.path("rollout.toml");
    let text = "waves = \"100%:1d\"\nfailure = { share = \"50%\", tried_min = 2 }\n";
    write(&terms, 0o644, text);
    publish(&server, "1.0.1", "bugfix", &bad, &["--rollout", terms.to_str().unwrap()]);
    for machine in &machines[..2] {
        assert_eq!(state(&server, "1.0.1"), "running");
        machine.agent(&["update"]).exits(14);
        machine.agent(&["check"]);
    }
    // It was paused by the report, whatever becomes of the server then.
    server.kill_and_restart();
    let view = rollout(&server, "show", "1.0.1", &[]).succeeds().json();
    assert_eq!((&view["state"], &view["changed"]["by"]), (&"paused".into(), &"server".into()));
    assert_eq!(view["outcomes"], json!({ "tried": 2, "succeeded": 0, "failed": 2 }));
    let third = Machine::bare();
    let key = server.mainstay(&["contract", "activation-key", "standard"]).succeeds().stdout();
    crate::fleet::enroll(&third, server.url(), key.trim(), &[]).succeeds();
    third.agent(&["update"]).succeeds();
    assert_eq!(third.running().as_deref(), Some("1.0.0"), "and not the one that fails");
    let (_, check) = third.agent_json(&["check"]);
    assert!(
        check["withheld"][0]["message"].as_str().unwrap().ends_with("it is paused."),
        "{check}"
    );

    act(&server, "withdraw", "1.0.1").succeeds();
    let (_, check) = third.agent_json(&["check"]);
    assert_eq!(withheld(&check, "1.0.1"), Some("WITHDRAWN"));
    let list = server.mainstay(&["release", "list", "--product", PRODUCT]).succeeds().stdout();
    let of_it = list.lines().find(|line| line.trim_start().starts_with("1.0.1"));
    assert!(of_it.is_some_and(|line| line.contains("withdrawn")), "{list}");
    let trail = server.mainstay(&["--json", "audit"]).succeeds().json();
    let actions = trail.as_array().unwrap().iter();
    let actions: Vec<_> = actions
        .filter(|it| it["action"].as_str().unwrap().starts_with("rollout."))
        .map(|it| (it["action"].as_str().unwrap(), it["actor"] == "server"))
        .collect();
    assert_eq!(actions, [("rollout.pause", true), ("rollout.withdraw", false)]);
}

#[test]
fn a_stop_is_for_everything_of_a_product_until_it_is_lifted() {
    let (mut server, machines) = fleet("", 1);
    server.publish("1.0.1", "bugfix", &[]);
    machines[0].agent(&["update"]).succeeds();
    server.publish("1.0.2", "security", &["--severity", "critical"]);
    let stop = ["rollout", "stop", PRODUCT, "--reason", "it deletes data"];
    let asked = server.mainstay(&stop).exits(2).stderr();
    assert!(asked.contains("No machine is updated to anything of acme-db"), "{asked}");
    assert!(asked.contains("nobody is there"), "{asked}");
    as_role(&server, "support", &[&stop[..], &["--yes"]].concat()).succeeds();
    server.kill_and_restart();
    let machine = Machine::bare();
    let key = server.mainstay(&["contract", "activation-key", "standard"]).succeeds().stdout();
    crate::fleet::enroll(&machine, server.url(), key.trim(), &[]).succeeds();
    let (exit, update) = machine.agent_json(&["update"]);
    assert_eq!((exit, withheld(&update, "1.0.2")), (15, Some("ROLLOUT_WAIT")), "{update}");
    let message = update["withheld"][0]["message"].as_str().unwrap();
    assert!(message.ends_with("all updates of the product are stopped for now."), "{message}");
    assert_eq!(machine.running(), None);

    let again = server.mainstay(&[&["--json"], &stop[..], &["--yes"]].concat()).exits(4).json();
    assert!(again["message"].as_str().unwrap().contains("it deletes data"), "{again}");
    let list = server.mainstay(&["rollout", "list", "--product", PRODUCT]).succeeds().stdout();
    assert!(list.contains("ALL UPDATES ARE STOPPED") && list.contains("it deletes data"), "{list}");
    let unstop = ["rollout", "unstop", PRODUCT, "--reason", "it was something else", "--yes"];
    server.mainstay(&unstop).succeeds();
    machine.agent(&["update"]).succeeds();
    assert_eq!(machine.running().as_deref(), Some("1.0.2"));
}

#[test]
fn a_stopped_product_is_gone_back_from_all_the_same() {
    let (server, machines) = fleet("", 1);
    server.publish("1.0.1", "bugfix", &[]);
    machines[0].agent(&["update"]).succeeds();
    let stop = ["rollout", "stop", PRODUCT, "--reason", "it deletes data", "--yes"];
    server.mainstay(&stop).succeeds();
    order(&server, &machines[0], "1.0.0").succeeds();
    machines[0].agent(&["update"]).succeeds();
    assert_runs(&server, &machines[0], "1.0.0");
}

#[test]
fn a_second_person_approves_where_the_configuration_says_so() {
    let (server, machines) = fleet_after_approval();
    let published = publish_as_configured(&server, "1.0.1", "bugfix", &["--immediately"]);
    let published = published.succeeds().stdout();
    assert!(published.contains("awaits the approval of a second person"), "{published}");
    let (_, check) = machines[0].agent_json(&["check"]);
    assert_eq!(withheld(&check, "1.0.1"), Some("ROLLOUT_WAIT"));
    let alone = act(&server, "approve", "1.0.1").exits(3).json();
    assert_eq!(alone["code"], "SAME_PERSON");
    let finish = act(&server, "finish", "1.0.1").exits(4).json();
    assert_eq!(finish["code"], "ROLLOUT_IMPOSSIBLE");
    let approve = ["rollout", "approve", "--product", PRODUCT, "1.0.1", "--reason", "tried it"];
    as_role(&server, "viewer", &[&approve[..], &["--yes"]].concat()).exits(3);
    as_role(&server, "publisher", &[&approve[..], &["--yes"]].concat()).succeeds();
    machines[0].agent(&["update"]).succeeds();
    assert_runs(&server, &machines[0], "1.0.1");
}

/// A server on which a second person approves, with 1.0.0 approved and run by a machine.
fn fleet_after_approval() -> (Server, Vec<Machine>) {
    let server = Server::with_clock("[rollout]\napproval = \"second_person\"\n");
    server.publish("1.0.0", "major", &[]);
    let approve = ["rollout", "approve", "--product", PRODUCT, "1.0.0", "--reason", "the first"];
    as_role(&server, "publisher", &[&approve[..], &["--yes"]].concat()).succeeds();
    let machine = server.machine(&customer(&server, "standard"));
    machine.agent(&["update"]).succeeds();
    (server, vec![machine])
}

#[test]
fn critical_security_releases_do_not_wait_unless_the_configuration_says_so() {
    for (config, expected) in
        [("", "1.0.1"), ("[rollout]\ncritical_security = \"in_waves\"\n", "1.0.0")]
    {
        let (server, machines) = fleet(config, 1);
        let critical = ["--severity", "critical", "--advisory", "CVE-2026-1234"];
        publish_as_configured(&server, "1.0.1", "security", &critical).succeeds();
        publish_as_configured(&server, "1.0.2", "bugfix", &[]).succeeds();
        machines[0].agent(&["update"]);
        assert_runs(&server, &machines[0], expected);
        let (_, check) = machines[0].agent_json(&["check"]);
        assert_eq!(withheld(&check, "1.0.2"), Some("ROLLOUT_WAIT"), "{check}");
    }
}

#[test]
fn the_second_of_two_technicians_sees_what_the_first_has_done() {
    let (server, _) = fleet("", 0);
    server.publish("1.0.1", "bugfix", &["--waves", "canaries:2h,100%"]);
    let seen = rollout(&server, "show", "1.0.1", &[]).succeeds().json()["revision"].to_string();
    let pause = ["rollout", "pause", "--product", PRODUCT, "1.0.1", "--reason", "SAP is down"];
    as_role(&server, "support", &[&pause[..], &["--yes"]].concat()).succeeds();
    let finish = ["--reason", "looks good", "--yes", "--revision", &seen];
    let refused = rollout(&server, "finish", "1.0.1", &finish).exits(4).json();
    assert_eq!(refused["code"], "CONFLICT");
    let message = refused["message"].as_str().unwrap();
    for expected in ["it is paused (revision 2)", "(support) at ", "SAP is down"] {
        assert!(message.contains(expected), "{message}");
    }
    // Before anything is done, whoever acts is shown what others have done.
    let plan = ["rollout", "resume", "--product", PRODUCT, "1.0.1", "--reason", "x", "--plan"];
    let shown = server.mainstay(&plan).succeeds().stdout();
    assert!(shown.contains("was paused by") && shown.contains("SAP is down"), "{shown}");
    assert!(shown.contains("It is running from now on."), "{shown}");
    assert_eq!(state(&server, "1.0.1"), "paused");
    act(&server, "resume", "1.0.1").succeeds();
    assert_eq!(state(&server, "1.0.1"), "running");
}

#[test]
fn terms_that_say_nothing_are_refused_with_what_was_expected() {
    let server = Server::with_product();
    for (waves, expected) in [
        ("0%:1h,100%", "more than 0% and at most 100%"),
        ("101%", "more than 0% and at most 100%"),
        ("10%:1h,5%", "further than the one before"),
        ("soon", "canaries, preview, early"),
    ] {
        let refused = publish_as_configured(&server, "1.0.0", "major", &["--waves", waves]);
        let told = refused.exits(2).stderr();
        assert!(told.contains(expected), "{waves}: {told}");
    }
    for (text, expected) in [
        ("failure = { share = \"0%\", tried_min = 2 }", "more than 0% and at most 100%"),
        ("failure = { share = \"200%\", tried_min = 2 }", "more than 0% and at most 100%"),
        ("failure = { share = \"5%\", tried_min = 0 }", "nonzero"),
        ("schedule = { zone = \"Berlin\", open = \"mon\" }", "an IANA name"),
        ("schedule = { zone = \"UTC\", open = \"friday evening\" }", "days and hours"),
        ("wave = \"1%\"", "unknown field `wave`"),
    ] {
        let file = server.path("rollout.toml");
        write(&file, 0o644, text);
        let file = ["--rollout", file.to_str().unwrap()];
        let told = publish_as_configured(&server, "1.0.0", "major", &file).exits(2).stderr();
        assert!(told.contains(expected), "{text}: {told}");
    }
    let published = publish_as_configured(&server, "1.0.0", "major", &["--waves", "10%:1h"]);
    let published = published.succeeds().stdout();
    assert!(published.contains("finish it for the others"), "{published}");
    let path = format!("/v1/products/{PRODUCT}/rollouts/1.0.0/plan");
    for failure in
        [json!({ "share": "0%", "tried_min": 2 }), json!({ "share": "120%", "tried_min": 2 })]
    {
        let answer = server.post(&path, &json!({ "rollout": { "failure": failure } }));
        let body = String::from_utf8_lossy(&answer.has_status(400).body).into_owned();
        assert!(body.contains("more than 0% and at most 100%"), "{body}");
    }
}
