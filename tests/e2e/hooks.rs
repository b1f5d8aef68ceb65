//! Hooks around the switch, releases that say not now, and what a killed agent leaves running.

use std::{fs, path::Path};

use crate::{
    fleet::{
        assert_runs, at_the_first_release, beside, data, explained, publish, shown, write_data,
    },
    harness::{Machine, Server, eventually, write},
};

/// Publishes a bug fix with these shell scripts around its switch, and a check that passes.
fn publish_hooked(server: &Server, version: &str, before: &str, after: &str) {
    let tree = server.tree(version);
    for (name, script) in [("before", before), ("after", after)] {
        write(&tree.join("hooks").join(name), 0o755, &format!("#!/bin/sh\n{script}\n"));
    }
    let description = "[health]\ncommand = [\"bin/run\"]\n\
                       [hooks.before]\ncommand = [\"hooks/before\"]\ntimeout_seconds = 600\n\
                       [hooks.after]\ncommand = [\"hooks/after\"]\n";
    write(&tree.join("mainstay.toml"), 0o644, description);
    publish(server, version, "bugfix", &tree, &[]);
}

fn last_event(server: &Server, machine: &Machine) -> serde_json::Value {
    shown(server, machine)["events"].as_array().unwrap().last().unwrap()["event"].clone()
}

#[test]
fn hooks_see_the_switch_from_both_sides() {
    let (server, machine) = at_the_first_release("standard");
    write_data(&machine, "old");
    let note = "echo \"$MAINSTAY_HOOK: $MAINSTAY_PREVIOUS_VERSION to $MAINSTAY_VERSION, \
                $(cat \"$MAINSTAY_ROOT/current/VERSION\") runs\" >> \"$MAINSTAY_ROOT/../seen\"";
    publish_hooked(&server, "1.0.1", note, &format!("{note}; echo restarted"));
    machine.agent(&["update"]).succeeds();
    let seen = fs::read_to_string(beside(&machine, "seen")).unwrap();
    assert_eq!(seen, "before: 1.0.0 to 1.0.1, 1.0.0 runs\nafter: 1.0.0 to 1.0.1, 1.0.1 runs\n");
    let events = shown(&server, &machine)["events"].clone();
    let installed = events.as_array().unwrap().iter().rev();
    let installed = installed.map(|it| &it["event"]).find(|it| it["kind"] == "installed");
    assert_eq!(installed.unwrap()["detail"], "restarted");
}

#[test]
fn a_hook_that_fails_before_the_switch_changes_nothing() {
    let (server, machine) = at_the_first_release("standard");
    write_data(&machine, "old");
    publish_hooked(&server, "1.0.1", "echo the license server is away; exit 1", "exit 0");
    let (exit, update) = machine.agent_json(&["update"]);
    assert_eq!((exit, &update["outcome"]), (14, &"undone".into()));
    assert!(update["message"].as_str().unwrap().contains("the license server is away"));
    assert_runs(&server, &machine, "1.0.0");
    assert_eq!(last_event(&server, &machine)["kind"], "undone");
    assert_eq!(explained(&server, &machine, "1.0.1"), "BLOCKED");
}

#[test]
fn a_hook_that_fails_after_the_switch_undoes_it() {
    let (server, machine) = at_the_first_release("standard");
    write_data(&machine, "old");
    publish_hooked(&server, "1.0.1", "exit 0", "echo new > \"$MAINSTAY_DATA/notes\"; exit 1");
    machine.agent(&["update"]).exits(14);
    assert_runs(&server, &machine, "1.0.0");
    assert_eq!(data(&machine).as_deref(), Some("old"));
}

#[test]
fn a_release_that_says_not_now_is_tried_again_and_not_fetched_again() {
    let (server, machine) = at_the_first_release("standard");
    let busy = "test -e \"$MAINSTAY_ROOT/../idle\" || { echo a backup runs; exit 21; }";
    publish_hooked(&server, "1.0.1", busy, "exit 0");
    for _ in 0..2 {
        let (exit, update) = machine.agent_json(&["update"]);
        assert_eq!((exit, &update["outcome"]), (16, &"deferred".into()));
        assert_eq!(
            (&update["version_from"], &update["version_to"]),
            (&"1.0.0".into(), &"1.0.1".into())
        );
        assert!(update["message"].as_str().unwrap().contains("a backup runs"));
        assert_runs(&server, &machine, "1.0.0");
    }
    let event = last_event(&server, &machine);
    assert_eq!((&event["kind"], &event["to"]), (&"deferred".into(), &"1.0.1".into()));
    write(&beside(&machine, "idle"), 0o644, "");
    machine.agent(&["update"]).succeeds();
    assert_runs(&server, &machine, "1.0.1");
}

#[test]
fn what_a_killed_agent_left_running_is_ended_by_the_next() {
    let (server, machine) = at_the_first_release("standard");
    let waits = "setsid sleep 1000 &\n\
                 echo $! > \"$MAINSTAY_ROOT/../child\"\n\
                 echo $$ > \"$MAINSTAY_ROOT/../parent\"\n\
                 sleep 1000";
    publish_hooked(&server, "1.0.1", waits, "exit 0");
    let mut update = machine.command(&["update"]).spawn().unwrap();
    let parent = eventually("the hook runs", || number_in(&beside(&machine, "parent")));
    let child = number_in(&beside(&machine, "child")).unwrap();
    update.kill().unwrap();
    update.wait().unwrap();
    assert!(is_running(&parent) && is_running(&child), "the kill alone ends nothing");
    let recovered = machine.agent_json(&["recover"]).1;
    let message = recovered["message"].as_str().unwrap();
    assert!(message.contains("were left over and ended"), "{message}");
    assert!(!is_running(&parent) && !is_running(&child));
    assert_runs(&server, &machine, "1.0.0");
}

#[test]
fn a_release_whose_hook_is_missing_is_not_published() {
    let server = Server::with_product();
    let tree = server.tree("1.0.0");
    let description = "[hooks.before]\ncommand = [\"hooks/before\"]\ntimeout_seconds = 0\n\
                       [data]\nreads = { from = 2, to = 3 }\nwrites = 4\n";
    write(&tree.join("mainstay.toml"), 0o644, description);
    let refused = server.publish_tree("1.0.0", "major", &tree, &[]).exits(2);
    for problem in [
        "hooks.before.timeout_seconds is 0: expected 1 to 3600",
        "hooks.before.command `hooks/before` is not an executable file of the tree",
        "data.writes is 4: expected an epoch that it reads, 2 to 3",
    ] {
        assert!(refused.stderr().contains(problem), "{problem} in {}", refused.stderr());
    }
}

fn number_in(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    Some(text.trim().to_owned()).filter(|number| !number.is_empty())
}

/// Whether a process is there and has not ended.
fn is_running(process: &str) -> bool {
    let status = fs::read_to_string(Path::new("/proc").join(process).join("stat"));
    let state = |status: &str| status.rsplit(')').next().map(|rest| !rest.starts_with(" Z"));
    status.is_ok_and(|status| state(&status) == Some(true))
}
