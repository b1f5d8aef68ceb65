//! Rollouts of made-up machines, which ask no server.

use std::process::Command;

use crate::harness::Ran;

fn simulate(arguments: &[&str]) -> Ran {
    Ran::run(Command::new(env!("CARGO_BIN_EXE_mainstay")).arg("simulate").args(arguments))
}

#[test]
fn the_same_seed_prints_the_same_table() {
    let table = |seed: &str| {
        simulate(&["--machines", "2000", "--runs", "3", "--seed", seed]).succeeds().stdout()
    };
    let first = table("5");
    assert_eq!(first, table("5"));
    assert_ne!(first, table("6"));
    for expected in
        ["BEFORE 2%", "\n 100%:0s,last:1d ", "2000 machines, seed 5, asking every 3600 s"]
    {
        assert!(first.contains(expected), "{expected}: {first}");
    }
}

#[test]
fn a_program_is_told_what_was_simulated_and_what_came_of_it() {
    let arguments = ["--machines", "500", "--waves", "10%:1d,100%", "--failure", "100%", "--json"];
    let answer = simulate(&arguments).succeeds().json();
    assert_eq!(answer["fleet"]["machines"], 500);
    let [setting] = answer["settings"].as_array().unwrap().as_slice() else {
        panic!("one setting was asked for: {answer}");
    };
    assert_eq!(setting["waves"], "10%:1d,100%:0s,last:1d");
    assert_eq!((&setting["bad"]["runs"], &setting["bad"]["paused"]), (&1.into(), &1.into()));
    assert!(setting["bad"]["reached"]["most"].as_u64().unwrap() >= 3);
}

#[test]
fn what_cannot_be_simulated_is_refused_with_what_can() {
    let refused = simulate(&["--platform", "plan9-mips"]).exits(2);
    assert!(refused.stderr().contains("linux-x86_64, windows-x86_64, linux-aarch64"));
    let refused = simulate(&["--waves", "10%,1%"]).exits(2);
    assert!(refused.stderr().contains("only the last needs none"), "{}", refused.stderr());
}
