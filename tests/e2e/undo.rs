//! Releases that turn out bad, and agents that are killed.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    time::{Duration, Instant},
};

use crate::{
    fleet::{
        HEALTHY, assert_runs, at_the_first_release, beside, contents, customer, data, explained,
        noise, order, publish, publish_checked, shown, tree, withheld, write_data,
    },
    harness::{Machine, Server, eventually, write},
};

/// Spoils the data, leaves a mark for the test, and then finds that it does not work.
const BAD: &str = "echo tried >> \"$MAINSTAY_ROOT/../tries\"\n\
                   echo spoiled > \"$MAINSTAY_DATA/notes\"\n\
                   rm -r \"$MAINSTAY_DATA/deep\"\n\
                   touch \"$MAINSTAY_DATA/added\"\n\
                   echo 'cannot open the database' >&2\n\
                   exit 1";

#[test]
fn a_bad_release_is_undone_with_its_data_and_not_tried_again() {
    let (server, machine) = at_the_first_release("standard");
    write_data(&machine, "buy milk\n");
    write(&machine.root().join("data/deep/er/blob"), 0o600, "\u{0}\u{1}");
    std::os::unix::fs::symlink("notes", machine.root().join("data/link")).unwrap();
    let before = contents(&machine.root().join("data"));
    publish_checked(&server, "1.0.1", BAD);

    let (exit, update) = machine.agent_json(&["update"]);
    assert_eq!((exit, &update["outcome"]), (14, &"undone".into()));
    assert_eq!(
        (&update["version_from"], &update["version_to"]),
        (&"1.0.1".into(), &"1.0.0".into())
    );
    let message = update["message"].as_str().unwrap();
    assert!(message.contains("cannot open the database"), "{message}");
    assert_runs(&server, &machine, "1.0.0");
    assert!(contents(&machine.root().join("data")) == before);

    let (exit, again) = machine.agent_json(&["update"]);
    assert_eq!((exit, withheld(&again, "1.0.1")), (15, Some("BLOCKED")));
    assert_eq!(fs::read_to_string(beside(&machine, "tries")).unwrap(), "tried\n");
    assert_eq!(explained(&server, &machine, "1.0.1"), "BLOCKED");
    assert_eq!(last_event(&shown(&server, &machine))["kind"], "undone");

    server.publish("1.0.2", "bugfix", &[]);
    machine.agent(&["update"]).succeeds();
    assert_runs(&server, &machine, "1.0.2");
}

#[test]
fn a_release_that_failed_is_tried_again_once_somebody_at_the_machine_says_so() {
    let (server, machine) = at_the_first_release("standard");
    publish_checked(&server, "1.0.1", "test -e \"$MAINSTAY_ROOT/../works-now\"");
    machine.agent(&["update"]).exits(14);
    machine.agent(&["update"]).exits(15);
    write(&beside(&machine, "works-now"), 0o644, "");
    let (exit, unblocked) = machine.agent_json(&["unblock", "1.0.1"]);
    assert_eq!((exit, &unblocked["outcome"]), (0, &"unblocked".into()));
    assert_eq!(last_event(&shown(&server, &machine))["kind"], "unblocked");
    assert_eq!(machine.agent_json(&["unblock", "1.0.1"]).0, 10);
    machine.agent(&["update"]).succeeds();
    assert_runs(&server, &machine, "1.0.1");

    // What a technician keeps from the machine stays kept from it.
    order(&server, &machine, "1.0.0").succeeds();
    machine.agent(&["update"]).succeeds();
    machine.agent(&["unblock", "1.0.1"]).succeeds();
    machine.agent(&["update"]).exits(15);
    assert_eq!(explained(&server, &machine, "1.0.1"), "BLOCKED");
}

#[test]
fn a_program_confirms_and_anybody_looks_while_an_agent_is_at_work() {
    let (server, machine) = at_the_first_release("standard");
    let check = "touch \"$MAINSTAY_ROOT/../checking\"\n\
                 until test -e \"$MAINSTAY_ROOT/../go\" || ! test -e \"$MAINSTAY_ROOT\"\n\
                 do sleep 0.05; done";
    let tree = tree(&server, "1.0.1", check, "confirm_within_seconds = 600");
    publish(&server, "1.0.1", "bugfix", &tree, &[]);
    let mut update = machine.command(&["--json", "update"]);
    let mut update = update.stdout(std::process::Stdio::null()).spawn().unwrap();
    eventually("the health check runs", || beside(&machine, "checking").exists().then_some(()));
    assert_eq!(machine.agent_json(&["status"]).1["status"]["stage"], "switching");
    assert_eq!(machine.agent_json(&["check"]).0, 31);
    let mut confirm = machine.command(&["--json", "confirm"]);
    let confirm = confirm.stdout(std::process::Stdio::piped()).spawn().unwrap();
    write(&beside(&machine, "go"), 0o644, "");
    assert_eq!(update.wait().unwrap().code(), Some(13));
    let confirmed = confirm.wait_with_output().unwrap();
    assert_eq!(confirmed.status.code(), Some(0), "{confirmed:?}");
    assert_eq!(machine.agent_json(&["status"]).1["status"]["stage"], "idle");
}

#[test]
fn a_bad_release_on_one_machine_is_not_kept_from_another() {
    let (server, machine) = at_the_first_release("standard");
    publish_checked(&server, "1.0.1", "test -e \"$MAINSTAY_ROOT/../works-here\"");
    machine.agent(&["update"]).exits(14);
    let key = server.mainstay(&["contract", "activation-key", "standard"]).succeeds().stdout();
    let other = server.machine(key.trim());
    write(&beside(&other, "works-here"), 0o644, "");
    other.agent(&["update"]).succeeds();
    assert_runs(&server, &other, "1.0.1");
}

#[test]
fn an_undoing_that_the_server_could_not_be_told_of_is_told_later() {
    let (mut server, machine) = at_the_first_release("standard");
    crate::fleet::publish_on_probation(&server, "1.0.1", 600);
    machine.agent(&["update"]).exits(13);
    server.kill();
    machine.agent(&["rollback"]).succeeds();
    assert_runs(&server, &machine, "1.0.0");
    assert_eq!(machine.agent_json(&["status"]).1["status"]["pending_events"], 1);
    server.kill_and_restart();
    point_to(&machine, server.url());
    machine.agent(&["check"]).exits(15);
    assert_eq!(last_event(&shown(&server, &machine))["kind"], "undone");
    assert_eq!(machine.agent_json(&["status"]).1["status"]["pending_events"], 0);
}

#[test]
fn a_health_check_that_hangs_is_killed_with_its_children() {
    let (server, machine) = at_the_first_release("standard");
    let hang = "echo $$ > \"$MAINSTAY_ROOT/../parent\"\n\
                sleep 1000 &\n\
                echo $! > \"$MAINSTAY_ROOT/../child\"\n\
                wait";
    let tree = tree(&server, "1.0.1", hang, "timeout_seconds = 1");
    publish(&server, "1.0.1", "bugfix", &tree, &[]);
    let (exit, update) = machine.agent_json(&["update"]);
    assert_eq!(exit, 14);
    let message = update["message"].as_str().unwrap();
    assert!(message.contains("took longer than 1 second"), "{message}");
    assert_runs(&server, &machine, "1.0.0");
    for process in ["parent", "child"] {
        let number = fs::read_to_string(beside(&machine, process)).unwrap();
        eventually(&format!("the {process} ends"), || has_ended(number.trim()).then_some(()));
    }
}

#[test]
fn a_health_check_that_cannot_start_undoes_the_release() {
    let (server, machine) = at_the_first_release("standard");
    let tree = tree(&server, "1.0.1", HEALTHY, "");
    write(&tree.join("bin/check"), 0o755, "#!/no/such/interpreter\n");
    publish(&server, "1.0.1", "bugfix", &tree, &[]);
    let (exit, update) = machine.agent_json(&["update"]);
    assert_eq!(exit, 14);
    assert!(update["message"].as_str().unwrap().contains("cannot be started"));
    assert_runs(&server, &machine, "1.0.0");
}

#[test]
fn a_health_check_sees_its_own_surroundings_and_not_the_agents() {
    let (server, machine) = at_the_first_release("standard");
    let look = "test \"$MAINSTAY_VERSION\" = 1.0.1\n\
                test \"$MAINSTAY_PREVIOUS_VERSION\" = 1.0.0\n\
                test \"$(cat VERSION)\" = 1.0.1\n\
                test -z \"${SECRET-}\"\n\
                test -z \"$(cat)\"";
    publish_checked(&server, "1.0.1", &format!("set -eu\n{look}"));
    let mut update = machine.command(&["update"]);
    crate::harness::Ran::run(update.env("SECRET", "shown")).succeeds();
    assert_runs(&server, &machine, "1.0.1");
}

#[test]
fn a_first_installation_that_fails_leaves_nothing_running() {
    let server = Server::with_product();
    let tree = tree(&server, "1.0.0", "exit 1", "");
    publish(&server, "1.0.0", "major", &tree, &[]);
    let machine = server.machine(&customer(&server, "standard"));
    let (exit, update) = machine.agent_json(&["update"]);
    assert_eq!((exit, &update["version_from"]), (14, &"1.0.0".into()));
    assert_eq!(update.get("version_to"), None);
    assert!(fs::symlink_metadata(machine.root().join("current")).is_err());
    assert!(contents(&machine.root().join("versions")).is_empty());
    server.publish("1.0.1", "bugfix", &[]);
    machine.agent(&["update"]).succeeds();
    assert_runs(&server, &machine, "1.0.1");
}

#[test]
fn an_agent_that_is_killed_during_the_health_check_is_made_good_and_the_release_tried_again() {
    let (server, machine) = at_the_first_release("standard");
    write_data(&machine, "old");
    // It goes on only once the test lets it, and ends by itself when the test is over.
    let wait = "echo new > \"$MAINSTAY_DATA/notes\"\n\
                touch \"$MAINSTAY_ROOT/../checking\"\n\
                until test -e \"$MAINSTAY_ROOT/../go\" || ! test -e \"$MAINSTAY_ROOT\"\n\
                do sleep 0.05; done";
    publish_checked(&server, "1.0.1", wait);
    let mut update = machine.command(&["update"]).spawn().unwrap();
    eventually("the health check runs", || beside(&machine, "checking").exists().then_some(()));
    update.kill().unwrap();
    update.wait().unwrap();
    let status = machine.agent_json(&["status"]).1;
    assert_eq!(
        (&status["status"]["stage"], &status["status"]["attempted"]),
        (&"switching".into(), &"1.0.1".into())
    );
    let (exit, recovered) = machine.agent_json(&["recover"]);
    assert_eq!((exit, &recovered["version_from"]), (0, &"1.0.0".into()));
    assert!(recovered["message"].as_str().unwrap().contains("1.0.1 was undone"), "{recovered}");
    assert_eq!(machine.agent_json(&["recover"]).1.get("message"), None);
    let status = machine.agent_json(&["status"]).1;
    assert_eq!(status["status"]["stage"], "idle");
    assert_eq!(status["status"]["running"], "1.0.0");
    assert_eq!(status["status"]["blocked"], serde_json::json!([]), "it is not the release's fault");
    assert_runs(&server, &machine, "1.0.0");
    assert_eq!(data(&machine).as_deref(), Some("old"));
    write(&beside(&machine, "go"), 0o644, "");
    machine.agent(&["update"]).succeeds();
    assert_runs(&server, &machine, "1.0.1");
    assert_eq!(data(&machine).as_deref(), Some("new\n"));
}

/// A machine that is killed in the middle of an update, with what it must be either before or
/// after it.
#[test]
fn an_agent_that_is_killed_at_any_point_leaves_the_old_version_or_the_new_one() {
    const ROUNDS: u32 = 15;
    let server = Server::with_product();
    server.publish("1.0.0", "major", &[]);
    let key = customer(&server, "standard");
    let machines: Vec<Machine> = (0..=ROUNDS).map(|_| server.machine(&key)).collect();
    for machine in &machines {
        machine.agent(&["update"]).succeeds();
        write_data(machine, "old");
    }
    let tree = tree(&server, "1.0.1", "printf new > \"$MAINSTAY_DATA/notes\"", "");
    fs::write(tree.join("large"), noise(8 << 20)).unwrap();
    for number in 0..200 {
        write(&tree.join(format!("many/{number}")), 0o644, "one of many");
    }
    publish(&server, "1.0.1", "bugfix", &tree, &["--level", "1"]);
    let trees = ["1.0.0", "1.0.1"].map(|version| contents(&server.path("trees").join(version)));

    let (unhindered, others) = machines.split_first().unwrap();
    let begun = Instant::now();
    unhindered.agent(&["update"]).succeeds();
    let duration = begun.elapsed();
    let mut survivors = BTreeMap::new();
    for (number, machine) in (1..=ROUNDS).zip(others) {
        let found = kill_after(machine, duration * number / ROUNDS, &trees);
        *survivors.entry(found).or_insert(0) += 1;
        let exit = machine.agent(&["--json", "update"]).code();
        let expected: &[i32] = if found == "1.0.0" { &[0] } else { &[10] };
        assert!(expected.contains(&exit), "round {number}: {found} ran, then {exit}");
        assert_runs(&server, machine, "1.0.1");
        assert_eq!(data(machine).as_deref(), Some("new"), "round {number}");
        machine.agent(&["verify"]).succeeds();
    }
    assert!(survivors.contains_key("1.0.0"), "none was killed in time: {survivors:?}");
}

/// Kills an update after `time`, and says which version runs after that and after the agent has
/// had a look.
fn kill_after(
    machine: &Machine,
    time: Duration,
    [old, new]: &[BTreeMap<std::path::PathBuf, (u32, Vec<u8>)>; 2],
) -> &'static str {
    let mut update = machine.command(&["--json", "update"]);
    let mut update = update.stdout(std::process::Stdio::null()).spawn().unwrap();
    std::thread::sleep(time);
    update.kill().unwrap();
    update.wait().unwrap();
    let seen = || {
        let found = contents(&machine.root().join("current/"));
        assert!(found == *old || found == *new, "after {time:?} neither version is whole");
        if found == *old { "1.0.0" } else { "1.0.1" }
    };
    seen();
    machine.agent(&["recover"]).succeeds();
    let status = machine.agent_json(&["status"]).1;
    let running = seen();
    assert_eq!(status["status"]["running"], running, "after {time:?}");
    let expected = if running == "1.0.0" { "old" } else { "new" };
    assert_eq!(data(machine).as_deref(), Some(expected), "after {time:?}");
    running
}

/// The newest event on a machine's page.
fn last_event(view: &serde_json::Value) -> &serde_json::Value {
    &view["events"].as_array().unwrap().last().unwrap()["event"]
}

/// Lets an enrolled machine look for its server elsewhere.
pub(crate) fn point_to(machine: &Machine, url: &str) {
    let file = machine.root().join(".mainstay/agent.toml");
    let text = fs::read_to_string(&file).unwrap();
    let lines = text.lines().map(|line| match line.split_once(" = ") {
        Some(("server", _)) => format!("server = \"{url}\"\n"),
        _ => format!("{line}\n"),
    });
    fs::write(&file, lines.collect::<String>()).unwrap();
}

/// Whether a process is gone, or only waits for its parent to take notice.
fn has_ended(process: &str) -> bool {
    let status = fs::read_to_string(Path::new("/proc").join(process).join("stat"));
    status
        .map_or(true, |status| status.rsplit(')').next().is_some_and(|rest| rest.starts_with(" Z")))
}
