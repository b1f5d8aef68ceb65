//! Machines that say what cannot be, or say too much.

use serde_json::{Value, json};

use crate::{
    by_hand::BareMachine,
    harness::{PRODUCT, Server, eventually, platform},
    http::Answer,
    organisation::Served,
};

fn check(server: &Server, machine: &BareMachine, running: &str) -> Answer {
    let request = json!({
        "product": PRODUCT, "platform": platform(), "running": running,
        "known": { "root": 1 }, "agent": "by hand",
    });
    let body = serde_json::to_vec(&request).unwrap();
    server.request("POST", "/v1/check", &machine.0.token, &body)
}

/// What a machine runs is believed. That there never was such a version is shown, and breaks nothing.
#[test]
fn a_version_that_never_was_is_believed_and_shown_as_unknown() {
    let scene = Served::new();
    let (server, machine) = (&scene.server, &scene.own);
    let name = machine.0.machine.as_str();
    let events = json!([
        { "number": 1, "kind": "installed", "from": "1.0.0", "to": "7.7.7" },
        { "number": 2, "kind": "confirmed", "to": "7.7.7" },
        { "number": 3, "kind": "undone", "from": "7.7.7", "to": "8.0.0-rc.1" },
        { "number": 4, "kind": "rolled_back", "from": "9.9.9", "to": "7.7.7", "order": 12 },
    ]);
    machine.report(server, "7.7.7", &events).has_status(204);

    for token in [server.token("support"), scene.token("support")] {
        let ask = |path: &str| server.request("GET", path, &token, b"");
        let view: Value = ask(&format!("/v1/machines/{name}")).has_status(200).json();
        assert_eq!((&view["machine"]["running"], &view["known"]), (&"7.7.7".into(), &false.into()));
        // Its word alone gives it no right to go back there.
        assert_eq!(view["machine"]["confirmed"], json!([]));
        assert_eq!(view["events"].as_array().unwrap().len(), 4);
        ask(&format!("/v1/machines/{name}/explain")).has_status(200);
        let path = ask(&format!("/v1/machines/{name}/path")).status;
        assert!([200, 409].contains(&path), "{path}");
        let listed: Value = ask("/v1/machines?version=7.7.7").has_status(200).json();
        assert_eq!(listed["machines"][0]["name"], name);
        let census: Value = ask("/v1/census?version=7.7.7").has_status(200).json();
        assert_eq!(
            (&census["rows"][0]["installed"], census["rows"].as_array().unwrap().len()),
            (&1.into(), 1)
        );
        let rollback = json!({ "to": "7.7.6", "reason": "x" }).to_string();
        let path = format!("/v1/machines/{name}/rollback");
        let refused = server.request("POST", &path, &token, rollback.as_bytes());
        assert!((400..500).contains(&refused.status), "{}", refused.status);
    }
    let census: Value = server.get("/v1/census?version=7.7.7").json();
    assert_eq!(census["rows"][0]["known"], false);
    let page = server.mainstay(&["machine", "show", name]).succeeds().stdout();
    assert!(page.contains("7.7.7, which is no release of the vendor's"), "{page}");

    // It is still looked after: it is told that there is nothing higher, and gets what comes out above.
    check(server, machine, "7.7.7").has_status(200);
    check(server, machine, "0.0.1").has_status(200);
    let view: Value = server.get(&format!("/v1/machines/{name}")).json();
    assert_eq!(view["next"], json!({ "action": "update", "version": "1.0.0" }));
}

/// Whether or not the reports make sense: they are counted before they are read.
#[test]
fn a_flood_of_reports_is_slowed_down_and_other_machines_do_not_notice() {
    let scene = Served::new();
    let (server, wild, other) = (&scene.server, &scene.own, &scene.other);
    let report = |machine: &BareMachine| machine.report(server, "1.0.0", &json!([]));
    report(wild).has_status(204);
    let flood = || server.request("POST", "/v1/report", &wild.0.token, b"{}");
    let tries_max = 100_000;
    let refused = (0..tries_max).map(|_| flood()).find(|answer| answer.status != 400).unwrap();
    let wait: u64 = refused.header("Retry-After").unwrap().parse().unwrap();
    assert!((1..60).contains(&wait), "{wait}");
    let problem = refused.refuses(429, "TOO_MANY_REQUESTS");
    assert!(problem.detail.contains("asks too often: expected at most"), "{}", problem.detail);

    report(other).has_status(204);
    check(server, other, "1.0.0").has_status(200);
    server.get(&format!("/v1/machines/{}", wild.0.machine)).has_status(200);
    // The flood goes on; what the machine may fetch is not held back.
    assert!((0..tries_max).any(|_| flood().status == 429));
    wild.file(server, PRODUCT, "timestamp.json").has_status(200);

    eventually("the flood ebbs away", || (report(wild).status == 204).then_some(()));
}
