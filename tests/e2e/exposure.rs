//! Whom advisories still concern: who is open and why, and how long others took.

use serde_json::{Value, json};

use crate::{
    by_hand::BareMachine,
    harness::{PRODUCT, Server},
    organisation::Served,
};

const CVE: &str = "CVE-2026-4711";

/// Publishes a security release that fixes [`CVE`].
fn fix(server: &Server, version: &str, severity: &str) {
    server.publish(version, "security", &["--advisory", CVE, "--severity", severity]);
}

/// Has a machine that was offered a version say that it runs and was confirmed.
fn confirm(server: &Server, machine: &BareMachine, number: u64, version: &str) {
    machine.check(server);
    let event = json!([{ "number": number, "kind": "confirmed", "to": version }]);
    machine.report(server, version, &event).has_status(204);
}

fn exposure(server: &Server, more: &[&str]) -> Value {
    server.mainstay(&[&["--json", "exposure"], more].concat()).succeeds().json()
}

/// The machines of a report: which, and the code of why it is open.
fn open(report: &Value) -> Vec<(&str, &str)> {
    let machines = report["machines"].as_array().unwrap().iter();
    machines
        .map(|it| (it["machine"].as_str().unwrap(), it["cause"]["code"].as_str().unwrap()))
        .collect()
}

#[test]
fn who_lacks_a_fix_is_listed_with_the_reason_and_nobody_sees_other_peoples() {
    let scene = Served::new();
    let (server, own, other) = (&scene.server, &scene.own, &scene.other);
    let key = server.customer("basil", "basic", "2020-01-01T00:00:00Z", "2021-01-01T00:00:00Z");
    let late = server.enroll(&key);
    for machine in [own, other, &late] {
        confirm(server, machine, 1, "1.0.0");
    }
    fix(server, "1.0.1", "critical");
    let report = exposure(server, &[CVE]);
    let [own_name, other_name, late_name] =
        [own, other, &late].map(|machine| machine.0.machine.as_str());
    let mut expected = [
        (own_name, "NOT_CHECKED"),
        (late_name, "PUBLISHED_AFTER_TERM"),
        (other_name, "NOT_CHECKED"),
    ];
    assert_eq!(open(&report), expected);
    assert_eq!(report["machines"][1]["cause"]["kind"], "not_entitled");
    assert_eq!(report["machines"][0]["since"], report["fixes"][0]["published_at"]);
    assert_eq!(report["fixes"][0]["version"], "1.0.1");

    let until = "2099-01-01T00:00:00Z";
    let hold = ["machine", "hold", own_name, "--until", until, "--reason", "year's end", "--yes"];
    server.mainstay(&hold).succeeds();
    expected[0].1 = "HELD";
    confirm(server, other, 2, "1.0.1");
    let report = exposure(server, &[CVE, "--product", PRODUCT]);
    assert_eq!(open(&report), expected[..2]);
    let patched = report["patching"]["tiers"].as_array().unwrap();
    let premium = patched.iter().find(|tier| tier["tier"] == "premium").unwrap();
    assert_eq!((&premium["open"], &premium["patched"]), (&json!(1), &json!(1)));
    assert!(premium["p99_minutes"].is_u64(), "{premium}");
    let told = server.mainstay(&["exposure", CVE]).succeeds().stdout();
    for expected in ["year's end", "not_entitled", "2 machine(s) of 2 customer(s) lack", "PATCHED"]
    {
        assert!(told.contains(expected), "{expected}\n{told}");
    }
    assert_eq!(open(&exposure(server, &[CVE, "--customer", "globex"])), []);

    // Going back below the fix opens it again.
    let back = ["machine", "rollback", other_name, "--to", "1.0.0", "--reason", "slow"];
    server.mainstay(&back).succeeds();
    let event = json!([{ "number": 3, "kind": "rolled_back", "from": "1.0.1", "to": "1.0.0" }]);
    other.report(server, "1.0.0", &event).has_status(204);
    let report = exposure(server, &[CVE, "--customer", "globex"]);
    assert_eq!(open(&report), [(other_name, "BLOCKED")]);

    // An organisation's people are told of whom they serve, and of nothing else.
    let helper = scene.token("support");
    for path in ["/v1/exposure", "/v1/exposure/patching"] {
        let ask = |query: &str| {
            let path = format!("{path}?advisory={CVE}{query}");
            server.request("GET", &path, &helper, b"")
        };
        let answer = ask("").has_status(200);
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        for others in ["globex", "basil", "basic", other_name, late_name, "fixes\":[{"] {
            assert!(!text.contains(others), "{others}\n{text}");
        }
        ask("&customer=globex").refuses(404, "NOT_FOUND");
    }
    let answer = server.request("GET", &format!("/v1/exposure?advisory={CVE}"), &helper, b"");
    assert_eq!(open(&answer.has_status(200).json::<Value>()), expected[..1]);
}

#[test]
fn an_advisory_that_only_others_are_told_of_does_not_exist() {
    let scene = Served::new();
    let (server, own) = (&scene.server, &scene.own);
    confirm(server, own, 1, "1.0.0");
    server.publish("1.0.1", "security", &["--advisory", CVE, "--audience", "government"]);
    let helper = scene.token("support");
    let ask = |token: &str, advisory: &str| {
        let path = format!("/v1/exposure?advisory={advisory}");
        server.request("GET", &path, token, b"")
    };
    let hidden = ask(&helper, CVE).refuses(404, "ADVISORY_UNKNOWN");
    let absent = ask(&helper, "CVE-2026-4712").refuses(404, "ADVISORY_UNKNOWN");
    assert_eq!(hidden.detail.replace(CVE, "CVE-2026-4712"), absent.detail);
    // The vendor is told that the machine lacks it, and that nothing is out for it.
    let told: Value = ask(&server.admin_token(), CVE).has_status(200).json();
    assert_eq!(open(&told), [(own.0.machine.as_str(), "NO_FIX")]);
}

#[test]
fn what_is_asked_wrongly_is_said() {
    let scene = Served::new();
    let server = &scene.server;
    let unknown = server.mainstay(&["--json", "exposure", CVE]).exits(3).json();
    assert_eq!(unknown["code"], "ADVISORY_UNKNOWN", "{unknown}");
    server.mainstay(&["exposure", "CVE 2026"]).exits(2);
    for query in ["", "?advisory=CVE%202026", "?advisory=CVE-1&after=x", "?advisory=CVE-1&limit=0"]
    {
        server.get(&format!("/v1/exposure{query}")).refuses(400, "INVALID_REQUEST");
    }
    for query in ["advisory=CVE-1&product=other-db", "advisory=CVE-1&customer=nobody"] {
        server.get(&format!("/v1/exposure?{query}")).refuses(404, "NOT_FOUND");
    }
}
