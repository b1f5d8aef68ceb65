//! What a monitoring system reads, and the alerts that go by it.

use std::collections::BTreeSet;

use crate::{
    harness::{Server, write},
    publish::opened,
};

/// What the server tells a monitoring system.
pub(crate) fn measures(server: &Server) -> String {
    let answer = server.request("GET", "/metrics", &server.token("viewer"), b"").has_status(200);
    String::from_utf8(answer.body).unwrap()
}

/// The value of the series, which is there.
#[track_caller]
pub(crate) fn value(measures: &str, series: &str) -> f64 {
    let line = measures.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {series}\n{measures}")).parse().unwrap()
}

#[test]
fn what_machines_do_is_counted_and_no_machine_is_named() {
    let server = opened();
    let key = server.customer("acme", "premium", "2020-01-01T00:00:00Z", "2099-01-01T00:00:00Z");
    let machine = server.machine(&key);
    machine.agent(&["update"]).succeeds();
    let tree = server.tree("1.0.1");
    write(&tree.join("bin/run"), 0o755, "#!/bin/sh\nexit 1\n");
    server.publish_tree("1.0.1", "bugfix", &tree, &[]).succeeds();
    assert_ne!(machine.agent(&["update"]).code(), 0);
    server.request("GET", "/nothing", "", b"").has_status(404);

    let told = measures(&server);
    for (series, least) in [
        ("mainstay_requests_total{route=\"check\",status=\"2xx\"}", 2.0),
        ("mainstay_requests_total{route=\"report\",status=\"2xx\"}", 1.0),
        ("mainstay_requests_total{route=\"enroll\",status=\"2xx\"}", 1.0),
        ("mainstay_requests_total{route=\"repository\",status=\"2xx\"}", 1.0),
        ("mainstay_requests_total{route=\"staff\",status=\"2xx\"}", 1.0),
        ("mainstay_requests_total{route=\"unknown\",status=\"4xx\"}", 1.0),
        ("mainstay_request_duration_seconds_count{route=\"check\"}", 2.0),
        ("mainstay_machine_events_total{kind=\"confirmed\"}", 1.0),
        ("mainstay_machine_events_total{kind=\"undone\"}", 1.0),
        ("mainstay_plans_signed_total", 2.0),
        ("mainstay_repository_sent_bytes_total", 1.0),
        ("mainstay_store_changes_total", 5.0),
        ("mainstay_store_commit_duration_seconds_count", 5.0),
        ("mainstay_job_last_success_timestamp_seconds{job=\"renewal\"}", 1_700_000_000.0),
    ] {
        let found = value(&told, series);
        assert!(found >= least, "{series} {found}: expected at least {least}");
    }
    assert!(told.contains("mainstay_machine_events_total{kind=\"undone\"} 1\n"), "{told}");
    for name in [machine.name().as_str(), "acme\"", "test-host"] {
        assert!(!told.contains(name), "{name}\n{told}");
    }
    assert!(told.ends_with("# EOF\n") && told.matches("# EOF").count() == 1);
}

#[test]
fn the_example_alerts_name_what_there_is() {
    let told = measures(&opened());
    let alerts = include_str!("../../fixtures/alerts.yml");
    let is_part = |character: char| character.is_ascii_alphanumeric() || character == '_';
    let named: BTreeSet<_> = alerts
        .split(|character| !is_part(character))
        .filter(|word| word.starts_with("mainstay_"))
        .collect();
    assert!(named.len() > 5, "{named:?}");
    for name in named {
        let is_series = |line: &str| {
            let rest = line.strip_prefix(name);
            rest.is_some_and(|rest| rest.starts_with(['{', ' ']))
        };
        assert!(told.lines().any(is_series), "{name} is in no answer:\n{told}");
    }
}
