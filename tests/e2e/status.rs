//! Expiry is announced before it bites, with the command that keeps it from biting.

use std::{
    io::{BufRead as _, BufReader},
    process::Stdio,
};

use jiff::SignedDuration;
use mainstay_client::tuf::{self, Envelope, Targets};
use serde_json::{Value, json};

use crate::{harness::Server, publish::opened};

/// Has the channel `major` expire in two days.
fn nearly_over(server: &Server) {
    let state = server.publishing_state();
    let text = state.metadata["major.json"].as_bytes();
    let mut channel: Targets = Envelope::parse("major", text).unwrap().document().unwrap();
    channel.header.version = channel.header.version.checked_add(1).unwrap();
    channel.header.expires = state.now + SignedDuration::from_hours(60);
    let signed = tuf::sign(&channel, &[&server.vendor_key("release")]).unwrap();
    let channels = json!({ "major": String::from_utf8(signed).unwrap() });
    let request = json!({ "expected_revision": state.revision, "channels": channels });
    server.post("/v1/products/acme-db/metadata", &request).has_status(201);
}

#[test]
fn the_status_names_what_expires_and_the_command_that_renews_it() {
    let server = opened();
    let shown = server.mainstay(&["status"]).succeeds().stdout();
    assert!(shown.contains("the server") && shown.contains("ok"), "{shown}");
    nearly_over(&server);
    let shown = server.mainstay(&["status"]).exits(7).stdout();
    assert!(shown.contains("within 3 days"), "{shown}");
    let status = server.mainstay(&["--json", "status"]).exits(7).json();
    let roles = status[0]["roles"].as_array().unwrap();
    let major = roles.iter().find(|role| role["role"] == "major").unwrap();
    assert_eq!((&major["state"], &major["days_left"]), (&json!("within_3_days"), &json!(2)));

    let command = major["command"].as_str().unwrap().split(' ').skip(1).collect::<Vec<_>>();
    server.mainstay(&command).succeeds();
    server.mainstay(&["status"]).succeeds();
}

#[test]
fn a_monitoring_system_reads_when_what_expires() {
    let server = opened();
    nearly_over(&server);
    let answer = server.request("GET", "/metrics", &server.token("viewer"), b"").has_status(200);
    let content_type = answer.header("content-type").unwrap();
    assert!(content_type.starts_with("application/openmetrics-text"), "{content_type}");
    let text = String::from_utf8(answer.body).unwrap();
    let status = server.mainstay(&["--json", "status"]).exits(7).json();
    for role in status[0]["roles"].as_array().unwrap() {
        let (name, by) = (role["role"].as_str().unwrap(), role["renewed_by"].as_str().unwrap());
        let expires: jiff::Timestamp = role["expires"].as_str().unwrap().parse().unwrap();
        let line = format!(
            "mainstay_metadata_expires_timestamp_seconds\
             {{product=\"acme-db\",role=\"{name}\",renewed_by=\"{by}\"}} {}\n",
            expires.as_second()
        );
        assert!(text.contains(&line), "{line}\n{text}");
    }
    assert!(text.contains("mainstay_online_keys_authorised{product=\"acme-db\"} 1\n"), "{text}");
    server.request("GET", "/metrics", "", b"").refuses(401, "UNAUTHENTICATED");
}

#[test]
fn the_log_warns_of_what_expires() {
    let mut server = opened();
    nearly_over(&server);
    server.kill();
    let mut serve = server.command(&["serve", "--listen", "127.0.0.1:0", "--log", "json"]);
    serve.arg("--dir").arg(server.path("server")).stderr(Stdio::piped());
    let mut child = serve.spawn().unwrap();
    let log = BufReader::new(child.stderr.take().unwrap());
    let warning = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(&line.ok()?).ok())
        .find(|entry| entry["level"] == "WARN");
    child.kill().unwrap();
    child.wait().unwrap();
    let fields = &warning.unwrap()["fields"];
    assert_eq!((&fields["product"], &fields["role"]), (&json!("acme-db"), &json!("major")));
    assert_eq!(fields["command"], "mainstay trust renew --product acme-db");
}
