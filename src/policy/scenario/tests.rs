use serde_json::{Value, json};

use super::*;

/// The document of the product's description of the format.
fn document() -> Value {
    json!({
        "now": "2026-06-01T00:00:00Z",
        "product": "acme-db",
        "contract": {
            "state": "active", "products": ["acme-db"], "channels": ["bugfix", "security"],
            "terms": [{ "start": "2026-01-01T00:00:00Z", "end": "2027-01-01T00:00:00Z" }],
            "grace_days": 30, "security_tail_days": 90, "base_line": "2.4", "cap": "3.9",
            "fallback": "perpetual", "addons": [], "els_lines": [], "audience": [],
            "bridge": "never"
        },
        "lines": [{ "line": "2.4", "ga": "2025-01-01T00:00:00Z", "eos": "2028-01-01T00:00:00Z",
                    "eol": "2029-01-01T00:00:00Z" }],
        "releases": [
            { "version": "2.5.0", "channel": "feature", "severity": "minor",
              "published_at": "2026-04-01T00:00:00Z" },
            { "version": "2.4.1", "channel": "security", "severity": "critical",
              "published_at": "2026-03-01T00:00:00Z", "effective_at": "2026-03-01T00:00:00Z",
              "status": "published", "advisories": ["CVE-2026-1"], "requires_addons": [],
              "audience": [], "courtesy": false }
        ],
        "history": ["2.4.0"]
    })
}

fn scenario(change: impl FnOnce(&mut Value)) -> serde_json::Result<Scenario> {
    let mut document = document();
    change(&mut document);
    serde_json::from_str(&document.to_string())
}

#[test]
fn the_answers_come_in_the_order_of_the_releases() {
    let explained = scenario(|_| {}).unwrap().explain().unwrap();
    let shown: Vec<_> = explained
        .iter()
        .map(|it| (it.decision.version.to_string(), it.decision.code.as_str(), it.rule))
        .collect();
    let expected =
        [("2.5.0".to_owned(), "CHANNEL_NOT_COVERED", 8), ("2.4.1".to_owned(), "IN_TERM", 12)];
    assert_eq!(shown, expected);
}

#[test]
fn a_change_can_be_tried() {
    let change = json!({ "kind": "add_channel", "channel": "feature" });
    let change: Change = serde_json::from_value(change).unwrap();
    let explained = scenario(|_| {}).unwrap().with(&change).unwrap().explain().unwrap();
    assert_eq!(explained[0].decision.code.as_str(), "LINE_OWNED");
}

#[test]
fn what_is_absent_means_the_least() {
    let bare = scenario(|document| {
        document["contract"] = json!({
            "products": ["acme-db"], "channels": ["security"], "terms": [], "base_line": "2.4"
        });
        document.as_object_mut().unwrap().retain(|name, _| name != "lines" && name != "history");
    });
    let codes = bare.unwrap().explain().unwrap();
    assert!(codes.iter().all(|it| it.decision.code.as_str() == "NOT_STARTED"));
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let wrong = scenario(|document| {
        document["contract"]["cap"] = json!("1.0");
        document["contract"]["terms"] = json!([
            { "start": "2027-01-01T00:00:00Z", "end": "2026-01-01T00:00:00Z" },
            { "start": "2024-01-01T00:00:00Z", "end": "2026-01-01T00:00:00Z" },
            { "start": "2025-01-01T00:00:00Z", "end": "2027-01-01T00:00:00Z" }
        ]);
        document["releases"][0] = document["releases"][1].clone();
    });
    let problems = wrong.unwrap().explain().unwrap_err();
    for expected in ["after the start", "overlaps", "cap is 1.0", "release 2.4.1 is given twice"] {
        assert!(problems.iter().any(|problem| problem.contains(expected)), "{problems:#?}");
    }
    assert_eq!(problems.len(), 4, "{problems:#?}");
}

#[test]
fn what_is_not_understood_is_refused() {
    type Edit = fn(&mut Value);
    let changes: [(&str, Edit); 5] = [
        ("graze_days", |document| document["contract"]["graze_days"] = json!(1)),
        ("beta", |document| document["contract"]["channels"][0] = json!("beta")),
        ("offset", |document| document["now"] = json!("2026-06-01T00:00:00")),
        ("2.4", |document| document["releases"][0]["version"] = json!("2.4")),
        ("machine", |document| document["machine"] = json!("m-1")),
    ];
    for (expected, change) in changes {
        let message = scenario(change).unwrap_err().to_string();
        assert!(message.contains(expected), "{expected}: {message}");
    }
}
