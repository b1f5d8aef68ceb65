//! A machine's daily life: check, update, confirm, verify, status.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use crate::{
    fleet::{
        assert_runs, at_the_first_release, beside, contents, customer, journal_writing, publish,
        publish_checked, publish_on_probation, shown, withheld,
    },
    harness::{PRODUCT, Ran, Server, eventually, write},
};

#[test]
fn an_update_is_offered_installed_and_confirmed() {
    let server = Server::with_product();
    server.publish("1.0.0", "major", &[]);
    let machine = server.machine(&customer(&server, "standard"));
    let (exit, check) = machine.agent_json(&["check"]);
    assert_eq!((exit, &check["outcome"]), (11, &"update_offered".into()));
    assert_eq!(check["version_to"], "1.0.0");
    assert_eq!(machine.running(), None, "a check changes nothing");
    let (exit, update) = machine.agent_json(&["update"]);
    assert_eq!((exit, &update["outcome"]), (0, &"committed".into()));
    assert_eq!((&update["version_from"], &update["version_to"]), (&().into(), &"1.0.0".into()));
    assert_runs(&server, &machine, "1.0.0");
    let view = shown(&server, &machine);
    assert_eq!(view["machine"]["running"], "1.0.0");
    assert_eq!(view["machine"]["confirmed"], serde_json::json!(["1.0.0"]));
    assert_eq!(view["next"]["action"], "stay");
}

#[test]
fn an_update_that_finds_nothing_new_writes_nothing_but_when() {
    let (_server, machine) = at_the_first_release("standard");
    // The plan that says so is new once.
    machine.agent(&["update"]).exits(10);
    let everything = || {
        let mut found = contents(machine.root());
        // When it checked is for people, and does not stay the same.
        found.remove(Path::new(".mainstay/history.json")).unwrap();
        found
    };
    let (before, written) = (everything(), journal_writing(&machine));
    let (exit, update) = machine.agent_json(&["update"]);
    assert_eq!((exit, &update["outcome"]), (10, &"up_to_date".into()));
    assert_eq!(update["version_from"], "1.0.0");
    assert!(everything() == before);
    assert_eq!(journal_writing(&machine), written);
}

#[test]
fn an_update_goes_straight_to_the_highest_release_that_is_granted() {
    let (server, machine) = at_the_first_release("standard");
    for (version, channel) in
        [("1.0.1", "bugfix"), ("1.1.0", "feature"), ("1.1.1", "security"), ("2.0.0", "major")]
    {
        server.publish(version, channel, &[]);
    }
    let (exit, update) = machine.agent_json(&["update"]);
    assert_eq!((exit, &update["version_to"]), (0, &"1.1.1".into()));
    assert_eq!(withheld(&update, "2.0.0"), Some("CHANNEL_NOT_COVERED"));
    assert_eq!(update["withheld"].as_array().unwrap().len(), 1);
    assert_runs(&server, &machine, "1.1.1");
    let versions: Vec<_> = contents(&machine.root().join("versions")).into_keys().collect();
    assert!(versions.iter().all(|path| !path.starts_with("1.0.1") && !path.starts_with("1.1.0")));
}

#[test]
fn after_the_contracts_end_what_comes_out_is_withheld_with_a_sentence() {
    let server = Server::with_product();
    server.publish("1.0.0", "major", &[]);
    let key = server.customer("ended", "basic", "2020-01-01T00:00:00Z", "2021-01-01T00:00:00Z");
    let machine = server.machine(&key);
    machine.agent(&["update"]).succeeds();
    server.publish("1.0.1", "bugfix", &[]);
    let (exit, update) = machine.agent_json(&["update"]);
    assert_eq!((exit, &update["outcome"]), (15, &"withheld".into()));
    let entry = &update["withheld"][0];
    assert_eq!(
        (&entry["version"], &entry["code"]),
        (&"1.0.1".into(), &"PUBLISHED_AFTER_TERM".into())
    );
    let message = entry["message"].as_str().unwrap();
    assert!(message.contains("2021-01-01") && message.ends_with('.'), "{message}");
    assert_runs(&server, &machine, "1.0.0");
}

#[test]
fn a_renewal_brings_what_was_withheld() {
    let server = Server::with_product();
    server.publish("1.0.0", "major", &[]);
    let key = server.customer("late", "basic", "2020-01-01T00:00:00Z", "2021-01-01T00:00:00Z");
    let machine = server.machine(&key);
    machine.agent(&["update"]).succeeds();
    server.publish("1.0.1", "bugfix", &[]);
    machine.agent(&["check"]).exits(15);
    let term = r#"{"start":"2021-01-01T00:00:00Z","end":"2100-01-01T00:00:00Z"}"#;
    let change = format!(r#"{{"kind":"renew","term":{term}}}"#);
    server.mainstay(&["contract", "amend", "late", "--change", &change]).succeeds();
    machine.agent(&["update"]).succeeds();
    assert_runs(&server, &machine, "1.0.1");
}

#[test]
fn a_required_stop_is_taken_hop_by_hop() {
    let (server, machine) = at_the_first_release("standard");
    server.publish("1.0.1", "bugfix", &[]);
    server.publish("1.0.2", "bugfix", &["--min-from", "1.0.1"]);
    assert_eq!(machine.agent_json(&["update"]).1["version_to"], "1.0.1");
    assert_runs(&server, &machine, "1.0.1");
    assert_eq!(machine.agent_json(&["update"]).1["version_to"], "1.0.2");
    assert_runs(&server, &machine, "1.0.2");
    machine.agent(&["update"]).exits(10);
}

#[test]
fn a_release_for_another_platform_is_withheld_and_what_needs_it_as_a_stop_too() {
    let (server, machine) = at_the_first_release("standard");
    let notes = server.path("notes.md");
    let tree = format!("plan9-mips={}", server.tree("1.0.1").display());
    let publish = ["publish", "--product", PRODUCT, "--version", "1.0.1", "--channel", "bugfix"];
    let rest = ["--platform", &tree, "--notes", notes.to_str().unwrap()];
    server.mainstay(&[&publish[..], &rest].concat()).succeeds();
    server.publish("1.0.2", "bugfix", &["--min-from", "1.0.1"]);
    let (exit, update) = machine.agent_json(&["update"]);
    assert_eq!(exit, 15);
    assert_eq!(withheld(&update, "1.0.1"), Some("PLATFORM"));
    assert_eq!(withheld(&update, "1.0.2"), Some("STEP_REQUIRED"));
    assert_runs(&server, &machine, "1.0.0");
}

#[test]
fn verify_notices_a_changed_file_a_mode_an_addition_and_a_loss() {
    let (server, machine) = at_the_first_release("standard");
    let tree = machine.root().join("current");
    let run = tree.join("bin/run");
    let original = fs::read(&run).unwrap();
    let changes: [(&str, &dyn Fn()); 4] = [
        ("a changed byte", &|| fs::write(&run, original.to_ascii_uppercase()).unwrap()),
        ("a mode", &|| fs::set_permissions(&run, fs::Permissions::from_mode(0o644)).unwrap()),
        ("an addition", &|| write(&tree.join("bin/added"), 0o644, "")),
        ("a loss", &|| fs::remove_file(&run).unwrap()),
    ];
    for (what, change) in changes {
        let (exit, intact) = machine.agent_json(&["verify"]);
        assert_eq!((exit, &intact["outcome"]), (0, &"intact".into()), "before {what}");
        change();
        let (exit, modified) = machine.agent_json(&["verify"]);
        assert_eq!((exit, &modified["outcome"]), (17, &"modified".into()), "{what}");
        let tree_of = &modified["tree"];
        assert_ne!(tree_of["found_sha256"], tree_of["expected_sha256"], "{what}");
        let _never_added = fs::remove_file(tree.join("bin/added"));
        fs::write(&run, &original).unwrap();
        fs::set_permissions(&run, fs::Permissions::from_mode(0o755)).unwrap();
    }
    assert_runs(&server, &machine, "1.0.0");
}

#[test]
fn status_tells_what_is_known_without_the_server() {
    let (mut server, machine) = at_the_first_release("standard");
    let url = server.url().to_owned();
    server.kill();
    let (exit, document) = machine.agent_json(&["status"]);
    assert_eq!((exit, &document["outcome"]), (0, &"status".into()));
    assert_eq!(
        (&document["customer"], &document["product"]),
        (&"standard".into(), &PRODUCT.into())
    );
    assert_eq!(document["version_from"], "1.0.0");
    let status = &document["status"];
    assert_eq!((&status["running"], &status["server"]), (&"1.0.0".into(), &url.into()));
    assert_eq!(status["confirmed"], serde_json::json!(["1.0.0"]));
    assert_eq!(status["kept"], serde_json::json!(["1.0.0"]));
    assert_eq!(status["blocked"], serde_json::json!([]));
    assert_eq!(status["plan"]["action"], "update");
    assert_eq!(status["plan"]["target"], "1.0.0");
    assert_eq!(status["pending_events"], 0);
    assert_eq!(status["probation"], serde_json::Value::Null);
    assert_eq!((&status["stage"], &status["attempted"]), (&"idle".into(), &().into()));
    machine.agent(&["check"]).exits(32);
}

#[test]
fn a_release_on_probation_is_confirmed_once() {
    let (server, machine) = at_the_first_release("standard");
    publish_on_probation(&server, "1.0.1", 600);
    let (exit, update) = machine.agent_json(&["update"]);
    assert_eq!((exit, &update["outcome"]), (13, &"probation".into()));
    assert!(update["deadline"].is_string());
    assert_runs(&server, &machine, "1.0.1");
    assert_eq!(machine.agent_json(&["update"]).0, 13, "it still waits");
    let status = &machine.agent_json(&["status"]).1["status"];
    assert_eq!(status["probation"]["version"], "1.0.1");
    assert_eq!(machine.agent_json(&["confirm"]).0, 0);
    let (exit, again) = machine.agent_json(&["confirm"]);
    assert_eq!((exit, &again["outcome"]), (10, &"not_on_probation".into()));
    machine.agent(&["update"]).exits(10);
    assert_eq!(
        shown(&server, &machine)["machine"]["confirmed"],
        serde_json::json!(["1.0.0", "1.0.1"])
    );
}

#[test]
fn a_release_that_is_not_confirmed_in_time_is_undone() {
    let (server, machine) = at_the_first_release("standard");
    publish_on_probation(&server, "1.0.1", 1);
    assert_eq!(machine.agent_json(&["update"]).0, 13);
    eventually("the deadline passes", || {
        let recovered = machine.agent_json(&["recover"]).1;
        (recovered["version_from"] == "1.0.0").then_some(())
    });
    assert_runs(&server, &machine, "1.0.0");
    let (exit, update) = machine.agent_json(&["update"]);
    assert_eq!((exit, withheld(&update, "1.0.1")), (15, Some("BLOCKED")));
    assert_eq!(machine.agent_json(&["confirm"]).0, 10, "it is too late");
    server.publish("1.0.2", "bugfix", &[]);
    machine.agent(&["update"]).succeeds();
    assert_runs(&server, &machine, "1.0.2");
}

#[test]
fn a_clock_that_is_set_neither_ends_a_probation_nor_prolongs_it() {
    let (server, machine) = at_the_first_release("standard");
    publish_on_probation(&server, "1.0.1", 3600);
    machine.agent(&["update"]).exits(13);
    for offset in ["+366d", "-366d"] {
        let (exit, recovered) = machine.agent_json_at(offset, &["recover"]);
        assert_eq!((exit, &recovered["version_from"]), (0, &"1.0.1".into()), "{offset}");
        let probation = &machine.agent_json(&["status"]).1["status"]["probation"];
        let remaining = probation["watch"]["remaining_seconds"].as_u64().unwrap();
        assert!((1..=3600).contains(&remaining), "{offset}: {probation}");
        assert_eq!(probation["watch"]["starts"], 0, "{offset}");
    }
    assert_eq!(machine.agent_json_at("+366d", &["confirm"]).0, 0);
    assert_runs(&server, &machine, "1.0.1");
}

#[test]
fn an_agent_is_turned_away_while_another_works() {
    let (server, machine) = at_the_first_release("standard");
    // The health check holds the first agent for as long as the test needs.
    let wait = "touch \"$MAINSTAY_ROOT/../checking\"\n\
                until test -e \"$MAINSTAY_ROOT/../go\"; do sleep 0.05; done";
    publish_checked(&server, "1.0.1", wait);
    let mut first = machine.command(&["update"]).spawn().unwrap();
    eventually("the health check runs", || beside(&machine, "checking").exists().then_some(()));
    for command in ["update", "check", "recover", "confirm", "rollback", "verify"] {
        let (exit, document) = machine.agent_json(&["--lock-wait", "0", command]);
        assert_eq!((exit, &document["kind"]), (31, &"locked".into()), "{command}");
    }
    write(&beside(&machine, "go"), 0o644, "");
    assert!(first.wait().unwrap().success());
    assert_runs(&server, &machine, "1.0.1");
}

#[test]
fn of_two_agents_at_once_one_updates() {
    let (server, machine) = at_the_first_release("standard");
    server.publish("1.0.1", "bugfix", &[]);
    let other = std::thread::scope(|scope| {
        let other = scope.spawn(|| Ran::run(&mut machine.command(&["--json", "update"])));
        let one = machine.agent(&["--json", "update"]);
        [one.code(), other.join().unwrap().code()]
    });
    let mut exits = other;
    exits.sort_unstable();
    assert!(exits == [0, 10] || exits == [0, 31], "{exits:?}");
    assert_runs(&server, &machine, "1.0.1");
    machine.agent(&["update"]).exits(10);
}

#[test]
fn files_modes_and_links_arrive_as_they_were() {
    let (server, machine) = at_the_first_release("standard");
    let tree = server.tree("1.0.1");
    fs::create_dir_all(tree.join("empty/deeper")).unwrap();
    write(&tree.join("share/name with spaces, ünïcödé"), 0o644, "");
    write(&tree.join("share/script"), 0o755, "#!/bin/sh\n");
    std::os::unix::fs::symlink("share/script", tree.join("link")).unwrap();
    publish(&server, "1.0.1", "bugfix", &tree, &[]);
    machine.agent(&["update"]).succeeds();
    assert_runs(&server, &machine, "1.0.1");
}
