//! `mainstay-agent status` says everything that is known about a machine, on one screen and without a
//! network.

use std::fs;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    fleet::{assert_runs, at_the_first_release, publish_checked, publish_on_probation},
    harness::Machine,
    lines::set_line,
    service::closed_window,
};

const ROWS: usize = 24;
const COLUMNS: usize = 100;

/// What `status` shows to people, which fits on a screen.
#[track_caller]
fn screen(machine: &Machine) -> String {
    let text = machine.agent(&["status"]).succeeds().stdout();
    assert!(text.lines().count() <= ROWS, "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= COLUMNS), "{text}");
    // Where a line is broken is of no interest.
    text.replace("\n    ", " ")
}

fn status(machine: &Machine) -> Value {
    machine.agent_json(&["status"]).1["status"].clone()
}

fn instant(value: &Value) -> Timestamp {
    value.as_str().unwrap().parse().unwrap()
}

#[test]
fn what_runs_is_offered_withheld_supported_and_went_wrong_is_on_one_screen() {
    let (mut server, machine) = at_the_first_release("standard");
    let installed = status(&machine);
    let ends = ["--eos", "2090-01-01T00:00:00Z", "--eol", "2091-01-01T00:00:00Z"];
    set_line(&server, &ends).succeeds();
    publish_checked(&server, "1.0.1", "echo there is no such table; exit 1");
    machine.agent(&["update"]).exits(14);
    server.publish("1.1.0", "feature", &[]);
    server.publish("2.0.0", "major", &["--min-from", "1.1.0"]);
    machine.agent(&["check"]).exits(11);
    server.kill();
    machine.agent(&["check"]).exits(32);

    let text = screen(&machine);
    for line in [
        "acme-db: 1.0.0 runs since ",
        "Offered: update to 1.1.0 (feature); 1.1.0 waits for approval: `mainstay-agent approve 1.1.0`",
        "Withheld: 1.0.1 (bugfix), BLOCKED: ",
        "Withheld: 2.0.0 (major), CHANNEL_NOT_COVERED: ",
        "Support: of line 1.0 until 2090-01-01T00:00:00Z; it lives until 2091-01-01T00:00:00Z",
        "Support: of line 1.1 no end is set",
        "Kept: 1.0.0",
        "Last failure: ",
        "Last undone: ",
        "there is no such table",
    ] {
        assert!(text.contains(line), "{line} is not in:\n{text}");
    }
    let found = status(&machine);
    assert_eq!(found["running"], "1.0.0");
    let (since, first) = (instant(&found["running_since"]), instant(&installed["running_since"]));
    assert!(since >= first, "it was switched back to: {since}, {first}");
    let offered = &found["offered"];
    assert_eq!(
        (&offered["action"], &offered["version"], &offered["waits_for"]),
        (&json!("update"), &json!("1.1.0"), &json!("approval"))
    );
    assert_eq!(
        found["lines"],
        json!([
            { "line": "1.0", "eos": ends[1], "eol": ends[3] },
            { "line": "1.1", "eos": null, "eol": null },
        ])
    );
    let history = &found["history"];
    let (checked, failed) = (instant(&history["checked"]), instant(&history["failed"]["at"]));
    assert!(first <= checked && checked <= failed, "{history}");
    assert_eq!(history["failed"]["code"], "network");
    assert_eq!(history["undone"]["version"], "1.0.1");
    assert!(history["undone"]["message"].as_str().unwrap().contains("no such table"), "{history}");
    assert_eq!(history.get("refused"), None);
}

#[test]
fn what_waits_for_approval_a_window_or_a_confirmation_is_said() {
    let (server, machine) = at_the_first_release("standard");
    publish_on_probation(&server, "1.0.1", 600);
    machine.agent(&["update"]).exits(13);
    server.publish("1.0.2", "bugfix", &[]);
    machine.agent(&["check"]).exits(11);
    let text = screen(&machine);
    assert!(text.contains("Probation: 1.0.1 must be confirmed by "), "{text}");
    assert!(text.contains("1.0.2 waits until 1.0.1 is confirmed or undone"), "{text}");
    machine.agent(&["confirm"]).succeeds();

    let settings = machine.root().join(".mainstay/agent.toml");
    let plain = fs::read_to_string(&settings).unwrap();
    let set = |tables: &str| fs::write(&settings, format!("{plain}\n{tables}\n")).unwrap();
    set("[updates.channels]\nbugfix = \"ask\"");
    assert_eq!(status(&machine)["offered"]["waits_for"], "approval");
    machine.agent(&["approve"]).succeeds();
    assert_eq!(status(&machine)["offered"].get("waits_for"), None);
    assert!(screen(&machine).contains("1.0.2 is installed by the next update"));
    set(&format!("[[updates.windows]]\n{}", closed_window()));
    let offered = status(&machine)["offered"].clone();
    assert_eq!(offered["waits_for"], "window");
    assert!(instant(&offered["opens"]) > instant(&status(&machine)["history"]["checked"]));
    set("[updates.channels]\nbugfix = \"off\"");
    assert_eq!(status(&machine)["offered"].get("waits_for"), None, "it is approved of");
    machine.agent(&["update"]).succeeds();
    assert_runs(&server, &machine, "1.0.2");
    assert_eq!(status(&machine)["offered"], Value::Null, "it runs");
    assert!(screen(&machine).contains("Offered: nothing"));
}

#[test]
fn what_the_machine_lacks_of_the_offered_release_stands_beside_it() {
    let (server, machine) = at_the_first_release("standard");
    server.publish("1.0.1", "bugfix", &[]);
    let settings = machine.root().join(".mainstay/agent.toml");
    let plain = fs::read_to_string(&settings).unwrap();
    let asks = "[preflight]\ncommand = [\"sh\", \"-c\", \"echo a backup runs; exit 1\"]\n";
    fs::write(&settings, format!("{plain}\n{asks}")).unwrap();
    machine.agent(&["update"]).exits(18);
    let text = screen(&machine);
    assert!(text.contains("Offered: update to 1.0.1 (bugfix); kept from being installed at "));
    assert!(text.contains("a backup runs"), "{text}");
    assert_eq!(status(&machine)["history"]["obstacle"]["version"], "1.0.1");
    fs::write(&settings, plain).unwrap();
    machine.agent(&["update"]).succeeds();
    assert_eq!(status(&machine)["history"].get("obstacle"), None);
}
