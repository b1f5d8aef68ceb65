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
fn a_machine_that_is_not_enrolled_is_told_to_enrol() {
    for command in ["check", "update", "status", "verify", "confirm", "rollback"] {
        let output = agent(&["--json", command]);
        assert_eq!(output.status.code(), Some(30), "{command}");
        let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(document["outcome"], "error", "{command}: {document}");
        assert_eq!(document["code"], "not_enrolled", "{command}: {document}");
    }
}
