//! A machine's whole story on one page.

use serde_json::{Value, json};

use crate::{
    fleet::{assert_runs, at_the_first_release, order, publish_checked, shown},
    harness::{Machine, Server},
    lines::{in_days, set_line},
    organisation::Served,
};

fn page(server: &Server, machine: &Machine, more: &[&str]) -> String {
    let name = machine.name();
    server.mainstay(&[&["machine", "show", &name], more].concat()).succeeds().stdout()
}

/// The members `names` of each entry of a list.
fn told(list: &Value, names: &[&str]) -> Vec<Value> {
    let of = |entry: &Value| names.iter().map(|name| entry[name].clone()).collect();
    list.as_array().unwrap().iter().map(of).collect()
}

#[test]
fn one_page_tells_what_runs_what_was_tried_what_is_offered_and_who_did_what() {
    let (server, machine) = at_the_first_release("standard");
    let eol = in_days(1000);
    set_line(&server, &["--eol", &eol]).succeeds();
    publish_checked(&server, "1.0.1", "echo it is broken; exit 1");
    machine.agent(&["update"]).exits(14);
    server.publish("1.0.2", "bugfix", &[]);
    machine.agent(&["update"]).succeeds();
    order(&server, &machine, "1.0.0").succeeds();
    machine.agent(&["update"]).succeeds();
    assert_runs(&server, &machine, "1.0.0");
    server.publish("1.0.3", "bugfix", &[]);
    server.publish("2.0.0", "major", &[]);
    machine.agent(&["check"]).exits(11);

    let view = shown(&server, &machine);
    assert_eq!((&view["known"], &view["machine"]["running"]), (&true.into(), &"1.0.0".into()));
    let events = told(&view["events"], &["event"]);
    let kinds: Vec<_> = events.iter().map(|it| (&it[0]["kind"], &it[0]["to"])).collect();
    let has = |kind: &str, to: &str| kinds.contains(&(&kind.into(), &to.into()));
    assert!(has("undone", "1.0.1") && has("confirmed", "1.0.2") && has("rolled_back", "1.0.0"));
    let plans = told(&view["plans"], &["action", "to", "order"]);
    let none = Value::Null;
    for plan in [
        json!(["update", "1.0.0", none]),
        json!(["update", "1.0.1", none]),
        json!(["update", "1.0.2", none]),
        json!(["rollback", "1.0.0", 1]),
        json!(["update", "1.0.3", none]),
    ] {
        assert!(plans.contains(&plan), "{plan} of {plans:?}");
    }
    let newest = view["plans"].as_array().unwrap().last().unwrap();
    let withheld = json!([
        { "version": "1.0.1", "code": "BLOCKED" },
        { "version": "1.0.2", "code": "BLOCKED" },
        { "version": "2.0.0", "code": "CHANNEL_NOT_COVERED" },
    ]);
    assert_eq!((&newest["to"], &newest["withheld"]), (&"1.0.3".into(), &withheld));
    let actions = told(&view["actions"], &["action", "reason", "ticket"]);
    let rollback = json!(["machine.rollback", "reports are slow", "SUP-1"]);
    assert_eq!(actions, [json!(["machine.enroll", none, none]), rollback]);
    let releases = told(&view["releases"], &["version", "standing", "code"]);
    for release in [
        json!(["1.0.0", "running", "ROLLBACK"]),
        json!(["1.0.2", "withheld", "BLOCKED"]),
        json!(["1.0.3", "next", "IN_TERM"]),
        json!(["2.0.0", "withheld", "CHANNEL_NOT_COVERED"]),
    ] {
        assert!(releases.contains(&release), "{release} of {releases:?}");
    }
    assert_eq!((&view["line"]["line"], &view["line"]["eol"]), (&"1.0".into(), &eol.clone().into()));
    assert_eq!(view["contract"]["state"], "active");
    assert_eq!(view["contract"]["paid_until"], "2100-01-01T00:00:00Z");
    assert_eq!(view["older"], json!({ "events": false, "plans": false, "actions": false }));

    let text = page(&server, &machine, &[]);
    for expected in [
        "1.0.0, confirmed",
        "standard, active, paid until 2100-01-01T00:00:00Z",
        &format!("1.0, EOL {eol}"),
        "rolled_back",
        "rollback to 1.0.0, order 1",
        "2.0.0 CHANNEL_NOT_COVERED",
        "machine.rollback",
        "reports are slow",
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
    assert!(text.find("rolled_back") < text.find("undone"), "the newest first\n{text}");
    assert!(!text.contains("There is more"), "{text}");
    assert!(text.lines().count() < 70, "one page\n{text}");

    let short = page(&server, &machine, &["--last", "1"]);
    assert!(short.contains("There is more: --last 10") && !short.contains("undone"), "{short}");
    let name = machine.name();
    for last in ["0", "1001"] {
        let path = format!("/v1/machines/{name}?last={last}");
        server.get(&path).refuses(400, "INVALID_REQUEST");
    }
}

/// A page stays one, however much has happened.
#[test]
fn a_long_story_is_told_from_its_end() {
    let scene = Served::new();
    let (server, machine) = (&scene.server, &scene.own);
    let events: Vec<_> = (1..=100)
        .map(|number| json!({ "number": number, "kind": "deferred", "to": "1.0.0" }))
        .collect();
    machine.report(server, "1.0.0", &json!(events)).has_status(204);
    let name = machine.0.machine.as_str();
    let show = |more: &[&str]| {
        server.mainstay(&[&["machine", "show", name], more].concat()).succeeds().stdout()
    };
    let text = show(&[]);
    assert_eq!(text.matches("deferred").count(), 10, "{text}");
    assert!(text.contains("There is more: --last 100"), "{text}");
    let whole = show(&["--last", "100"]);
    assert_eq!(whole.matches("deferred").count(), 100);
    assert!(!whole.contains("There is more"), "{whole}");
}
