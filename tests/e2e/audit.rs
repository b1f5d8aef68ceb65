//! The audit trail as evidence: exported, verified by whoever has the export, and found out where it was
//! changed.

use std::fs;

use serde_json::{Value, json};

use crate::harness::{Server, write};

/// A server on which somebody has done things.
fn server() -> Server {
    let server = Server::with_product();
    for name in ["acme", "globex", "initech"] {
        server.mainstay(&["customer", "create", "--customer", name]).succeeds();
    }
    server
}

#[test]
fn a_trail_is_verified_on_the_server_and_in_an_export() {
    let server = server();
    let head = server.mainstay(&["--json", "audit", "verify"]).succeeds().json();
    let records = server.mainstay(&["--json", "audit"]).succeeds().json();
    let records = records.as_array().unwrap();
    assert_eq!(head["number"], records.len());
    assert_eq!(head["digest"], records.last().unwrap()["digest"]);
    assert_eq!(server.get("/v1/audit/head").has_status(200).json::<Value>(), head);

    let export = server.mainstay(&["audit", "export"]).succeeds().stdout();
    let file = server.path("trail.jsonl");
    write(&file, 0o644, &export);
    let verify = ["audit", "verify", file.to_str().unwrap()];
    let told = server.mainstay(&verify).succeeds().stdout();
    let noted = format!("{}:{}", head["number"], head["digest"].as_str().unwrap());
    assert!(told.trim_end().ends_with(&noted), "{told}");
    // What is noted is found again when the trail has gone on.
    server.mainstay(&["customer", "create", "--customer", "later"]).succeeds();
    let now = server.mainstay(&["--json", "audit", "verify", "--head", &noted]).succeeds().json();
    assert_eq!(now["number"], head["number"].as_u64().unwrap() + 1);
    let newest = ["--json", "audit", "--after", &head["number"].to_string()];
    let newest = server.mainstay(&newest).succeeds().json();
    assert_eq!(newest[0]["subject"], "later");
    assert_eq!(newest.as_array().unwrap().len(), 1);
}

#[test]
fn a_trail_that_was_changed_is_found_out() {
    let server = server();
    let export = server.mainstay(&["audit", "export"]).succeeds().stdout();
    let lines: Vec<&str> = export.lines().collect();
    let noted = server.mainstay(&["--json", "audit", "verify"]).succeeds().json();
    let noted = format!("{}:{}", noted["number"], noted["digest"].as_str().unwrap());
    let verify = |lines: &[String], more: &[&str]| {
        let file = server.path("changed.jsonl");
        fs::write(&file, lines.join("\n")).unwrap();
        server.mainstay(&[&["--json", "audit", "verify", file.to_str().unwrap()], more].concat())
    };
    let said = |lines: &[String], more: &[&str]| -> String {
        let answer = verify(lines, more).exits(6).json();
        assert_eq!(answer["code"], "TRUST");
        answer["message"].as_str().unwrap().to_owned()
    };
    let lines = |change: &dyn Fn(usize, &mut Value) -> bool| -> Vec<String> {
        let changed = lines.iter().enumerate().filter_map(|(place, line)| {
            let mut record = serde_json::from_str(line).unwrap();
            change(place, &mut record).then(|| record.to_string())
        });
        changed.collect()
    };
    let whole = lines(&|_, _| true);
    verify(&whole, &["--head", &noted]).succeeds();

    let hidden = lines(&|place, record| {
        if place == 2 {
            record["actor"] = json!("somebody else");
        }
        true
    });
    assert!(said(&hidden, &[]).contains("record 3 is not what was recorded"));
    let without = lines(&|place, _| place != 2);
    assert!(said(&without, &[]).contains("record 3 is missing: record 4 comes in its place"));
    // A trail that lacks its end, or was written anew, is whole in itself.
    let cut = &whole[..whole.len() - 1];
    verify(cut, &[]).succeeds();
    assert!(said(cut, &["--head", &noted]).contains("it ends with record"));
    let other = Server::with_product();
    for name in ["acme", "globex", "initech", "umbrella"] {
        other.mainstay(&["customer", "create", "--customer", name]).succeeds();
    }
    let anew = other.mainstay(&["audit", "export"]).succeeds().stdout();
    let anew: Vec<_> = anew.lines().map(str::to_owned).collect();
    verify(&anew, &[]).succeeds();
    assert!(said(&anew, &["--head", &noted]).contains("as was noted"));

    let refused = verify(&["no JSON".to_owned()], &[]).exits(2).json();
    assert!(refused["message"].as_str().unwrap().contains("line 1"), "{refused}");
    let refused = server.mainstay(&["audit", "verify", "--head", "7"]).exits(2).stderr();
    assert!(refused.contains("expected NUMBER:DIGEST"), "{refused}");
}
