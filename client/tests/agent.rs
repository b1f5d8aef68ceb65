//! The agent's command line, without a server. With a server: the root package's `tests/e2e`.

#![expect(clippy::unwrap_used, reason = "a step that fails fails its test")]

use std::process::{Command, Output};

fn agent(arguments: &[&str]) -> Output {
    let dir = tempfile::tempdir().unwrap();
    Command::new(env!("CARGO_BIN_EXE_mainstay-agent"))
        .arg("--dir")
        .arg(dir.path().join("none"))
        .args(arguments)
        .output()
        .unwrap()
}

#[test]
fn help_lists_the_exit_codes() {
    let output = agent(&["--help"]);
    assert!(output.status.success());
    let help = String::from_utf8(output.stdout).unwrap();
    for line in ["Exit codes", "10 ", "14 ", "34 "] {
        assert!(help.contains(line), "no {line:?} in:\n{help}");
    }
}

#[test]
fn an_unknown_flag_is_a_usage_error() {
    let output = agent(&["update", "--faster"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("--faster"));
}

#[test]
fn whoever_asks_for_documents_gets_them_of_usage_errors_too() {
    let output = agent(&["--json=quickly", "update"]);
    assert_eq!(output.status.code(), Some(2));
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["code"], "usage");
    assert!(document["message"].as_str().unwrap().contains("stream"), "{document}");
}

#[test]
fn a_stream_without_progress_is_one_document() {
    let output = agent(&["--json=stream", "update"]);
    assert_eq!(output.status.code(), Some(30));
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["code"], "not_enrolled");
}

#[test]
fn a_machine_that_is_not_enrolled_is_told_to_enrol() {
    for command in ["check", "fetch", "update", "status", "verify", "confirm", "rollback"] {
        let output = agent(&["--json", command]);
        assert_eq!(output.status.code(), Some(30), "{command}");
        let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(document["outcome"], "error", "{command}: {document}");
        assert_eq!(document["code"], "not_enrolled", "{command}: {document}");
    }
}
