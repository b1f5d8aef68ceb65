//! Installations that somebody has damaged, a doctor that says how, and the repair.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
};

use serde_json::{Value, json};

use crate::{
    fleet::{
        assert_runs, at_the_first_release, beside, contents, customer, data, publish_checked,
        write_data,
    },
    harness::{Machine, PRODUCT, Server, eventually, write},
};

/// What somebody does to an installation, and the codes of what is found of it.
type Damage<'a> = (&'a str, &'a dyn Fn(&Path), &'a [&'a str]);

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// The codes of what `doctor` finds, and its exit code.
fn found(machine: &Machine) -> (i32, Vec<String>) {
    let (exit, document) = machine.agent_json(&["doctor"]);
    let findings = document["doctor"]["findings"].as_array().unwrap();
    (exit, findings.iter().map(|it| it["what"].as_str().unwrap().to_owned()).collect())
}

/// What runs is whole, `update` leads on, and `rollback` back.
#[track_caller]
fn assert_goes_on(server: &Server, machine: &Machine) {
    assert_runs(server, machine, "1.0.1");
    machine.agent(&["update"]).succeeds();
    assert_runs(server, machine, "1.0.2");
    machine.agent(&["rollback"]).succeeds();
    assert_runs(server, machine, "1.0.1");
    assert_eq!(data(machine).as_deref(), Some("kept"));
    assert_eq!(found(machine), (0, Vec::new()));
}

/// Machines that run 1.0.1, ran 1.0.0 before, and are offered 1.0.2: one for each damage, which is
/// found, repaired, and past.
fn damage_and_repair(damages: &[Damage<'_>]) {
    let server = Server::with_product();
    let key = customer(&server, "standard");
    server.publish("1.0.0", "major", &[]);
    let machines: Vec<_> = damages.iter().map(|_| server.machine(&key)).collect();
    for version in ["1.0.0", "1.0.1"] {
        if version == "1.0.1" {
            server.publish("1.0.1", "bugfix", &[]);
        }
        for machine in &machines {
            write_data(machine, "kept");
            machine.agent(&["update"]).succeeds();
        }
    }
    server.publish("1.0.2", "bugfix", &[]);
    for ((what, damage, codes), machine) in damages.iter().zip(&machines) {
        assert_eq!(found(machine), (0, Vec::new()), "before {what}");
        damage(machine.root());
        let before = contents(machine.root());
        let (exit, wrong) = found(machine);
        assert_eq!(
            (exit, wrong.iter().map(String::as_str).collect()),
            (19, codes.to_vec()),
            "{what}"
        );
        assert!(contents(machine.root()) == before, "{what}: to look changes nothing");
        let (exit, repaired) = machine.agent_json(&["doctor", "--repair"]);
        assert_eq!((exit, &repaired["outcome"]), (0, &json!("repaired")), "{what}: {repaired}");
        assert_eq!(repaired["doctor"]["findings"], json!([]), "{what}");
        let repairs = repaired["doctor"]["repairs"].as_array().unwrap();
        assert!(repairs.iter().all(|it| it["outcome"] == "done"), "{what}: {repaired}");
        assert_goes_on(&server, machine);
    }
}

#[test]
fn a_current_that_is_gone_or_moved_is_put_back() {
    damage_and_repair(&[
        ("a lost link", &|root| fs::remove_file(root.join("current")).unwrap(), &["current"]),
        (
            "a link to the version before",
            &|root| {
                fs::remove_file(root.join("current")).unwrap();
                symlink("versions/1.0.0", root.join("current")).unwrap();
            },
            &["current"],
        ),
        (
            "a link to nowhere",
            &|root| {
                fs::remove_file(root.join("current")).unwrap();
                symlink("/nowhere", root.join("current")).unwrap();
            },
            &["current"],
        ),
    ]);
}

#[test]
fn a_tree_that_somebody_changed_is_rebuilt_as_it_was_signed() {
    let run = |root: &Path| root.join("versions/1.0.1/bin/run");
    damage_and_repair(&[
        (
            "a changed byte",
            &|root| {
                let text = fs::read_to_string(run(root)).unwrap();
                fs::write(run(root), text.replace("cat", "tac")).unwrap();
            },
            &["tree_changed"],
        ),
        ("a changed mode", &|root| set_mode(&run(root), 0o600), &["tree_changed"]),
        (
            "a file too many, in the version before too",
            &|root| {
                write(&root.join("versions/1.0.0/added"), 0o644, "");
                write(&root.join("versions/1.0.1/added"), 0o644, "");
            },
            &["tree_changed", "tree_changed"],
        ),
        (
            "a lost tree",
            &|root| fs::remove_dir_all(root.join("versions/1.0.1")).unwrap(),
            &["tree_missing"],
        ),
    ]);
}

#[test]
fn a_journal_that_was_edited_or_cut_is_made_anew_of_what_is_proven() {
    let journal = |root: &Path| root.join(".mainstay/journal");
    damage_and_repair(&[
        (
            "a journal edited by hand",
            &|root| {
                let text = fs::read_to_string(journal(root)).unwrap();
                let edited = text.replace("\"running\": \"1.0.1\"", "\"running\": \"1.0.0\"");
                assert_ne!(edited, text);
                fs::write(journal(root), edited).unwrap();
            },
            &["journal"],
        ),
        (
            "a journal cut short",
            &|root| {
                let bytes = fs::read(journal(root)).unwrap();
                fs::write(journal(root), &bytes[..bytes.len() / 3]).unwrap();
            },
            &["journal"],
        ),
        ("a lost journal", &|root| fs::remove_file(journal(root)).unwrap(), &["journal"]),
    ]);
}

#[test]
fn permissions_that_were_taken_away_are_given_back() {
    let closed = [
        (".mainstay/snapshots", 0o700),
        (".mainstay/journal", 0o600),
        (".mainstay/token", 0o600),
        (".mainstay/agent.toml", 0o600),
        (".mainstay/trust/root.json", 0o600),
        ("versions", 0o755),
        ("versions/1.0.1", 0o755),
    ];
    damage_and_repair(&[(
        "closed files and directories",
        // The directories last, for whoever is not root.
        &|root| closed.iter().rev().for_each(|(path, _)| set_mode(&root.join(path), 0o000)),
        &["permissions"; 7],
    )]);
    let (_server, machine) = at_the_first_release("standard");
    set_mode(&machine.root().join(".mainstay/token"), 0o666);
    set_mode(&machine.root().join("versions/1.0.0"), 0o700);
    assert_eq!(found(&machine), (19, vec!["permissions".to_owned(); 2]));
    machine.agent(&["doctor", "--repair"]).succeeds();
    assert_eq!(mode(&machine.root().join(".mainstay/token")), 0o600);
    assert_eq!(mode(&machine.root().join("versions/1.0.0")), 0o755);
}

#[test]
fn what_is_trusted_is_fetched_anew() {
    let trust = |root: &Path, name: &str| root.join(".mainstay/trust").join(name);
    damage_and_repair(&[
        (
            "damaged metadata",
            &|root| {
                for name in ["timestamp.json", "channels/bugfix.json", "plan.json"] {
                    let text = fs::read_to_string(trust(root, name)).unwrap();
                    fs::write(
                        trust(root, name),
                        text.replacen("\"expires\":\"2", "\"expires\":\"9", 1),
                    )
                    .unwrap();
                }
                fs::remove_file(trust(root, "targets.json")).unwrap();
            },
            // Without targets nobody knows who may sign a channel or a plan.
            &["trust", "trust"],
        ),
        ("a lost root", &|root| fs::remove_file(trust(root, "root.json")).unwrap(), &["trust"]),
    ]);
}

#[test]
fn a_typo_in_the_settings_is_told_with_its_place_and_left_to_people() {
    let (server, machine) = at_the_first_release("standard");
    let settings = machine.root().join(".mainstay/agent.toml");
    let right = fs::read_to_string(&settings).unwrap();
    let wrong = format!("{right}\n[network]\nproxi = \"http://127.0.0.1:1\"\n\n[netwrok]\nx = 1\n");
    fs::write(&settings, &wrong).unwrap();
    machine.agent(&["update"]).exits(30);
    let line = right.lines().count() + 3;
    for command in [&["doctor"][..], &["doctor", "--repair"]] {
        let (exit, document) = machine.agent_json(command);
        assert_eq!((exit, &document["outcome"]), (19, &json!("unwell")));
        let findings = document["doctor"]["findings"].as_array().unwrap();
        let messages: Vec<_> = findings.iter().map(|it| it["message"].as_str().unwrap()).collect();
        assert!(messages[0].contains(&format!("line {line}, column 1: `proxi`")), "{messages:?}");
        assert!(messages[0].contains("did you mean `proxy`?"), "{messages:?}");
        assert!(messages[1].contains("did you mean `network`?"), "{messages:?}");
        assert!(findings.iter().all(|it| it["repairable"] == false), "{findings:?}");
        assert_eq!(fs::read_to_string(&settings).unwrap(), wrong);
    }
    // Whoever has lost the settings enrols again, and all is as it was.
    fs::remove_file(&settings).unwrap();
    fs::remove_file(machine.root().join(".mainstay/token")).unwrap();
    let (exit, document) = machine.agent_json(&["doctor"]);
    assert_eq!(exit, 19);
    for finding in document["doctor"]["findings"].as_array().unwrap() {
        assert!(finding["message"].as_str().unwrap().contains("enrol again"), "{finding}");
    }
    let key = server.mainstay(&["contract", "activation-key", "standard"]).succeeds().stdout();
    let address = ["enroll", "--server", server.url(), "--product", PRODUCT];
    machine.agent(&[&address[..], &["--activation-key", key.trim()]].concat()).succeeds();
    assert_eq!(found(&machine), (0, Vec::new()));
    machine.agent(&["update"]).exits(10);
}

#[test]
fn what_needs_the_server_waits_for_it_and_a_wrong_credential_for_people() {
    let (mut server, machine) = at_the_first_release("standard");
    let token = machine.root().join(".mainstay/token");
    let right = fs::read_to_string(&token).unwrap();
    write(&machine.root().join("versions/1.0.0/added"), 0o644, "");
    fs::remove_file(machine.root().join("current")).unwrap();
    fs::write(&token, right.replace(char::is_numeric, "x")).unwrap();
    let (exit, told) = machine.agent_json(&["doctor", "--repair"]);
    assert_eq!(exit, 19);
    let why = told["doctor"]["repairs"][0]["message"].as_str().unwrap();
    assert!(why.contains("enrol the machine again"), "{told}");

    fs::write(&token, &right).unwrap();
    server.kill();
    let (exit, told) = machine.agent_json(&["doctor", "--repair"]);
    assert_eq!((exit, &told["outcome"]), (19, &json!("unwell")));
    let failed = told["doctor"]["repairs"].as_array().unwrap();
    assert!(failed.iter().all(|it| it["outcome"] == "failed"), "{told}");
    let left: Vec<_> = told["doctor"]["findings"].as_array().unwrap().iter().collect();
    assert_eq!(left.len(), 2, "the link waits for the tree: {told}");
}

#[test]
fn a_release_that_is_retired_is_rebuilt_from_the_archive() {
    let (server, machine) = at_the_first_release("standard");
    server.publish("1.0.1", "bugfix", &[]);
    write_data(&machine, "kept");
    machine.agent(&["update"]).succeeds();
    server.publish("1.0.2", "bugfix", &[]);
    server.mainstay(&["release", "retire", "--product", PRODUCT, "1.0.1"]).succeeds();
    write(&machine.root().join("versions/1.0.1/added"), 0o644, "");
    fs::write(machine.root().join(".mainstay/journal"), "{}").unwrap();
    let (exit, repaired) = machine.agent_json(&["doctor", "--repair"]);
    assert_eq!(exit, 0, "{repaired}");
    assert!(machine.root().join(".mainstay/trust/channels/archive.json").exists());
    assert_goes_on(&server, &machine);
}

#[test]
fn people_are_told_before_and_after_and_programs_line_by_line() {
    let (server, machine) = at_the_first_release("standard");
    write(&machine.root().join("versions/1.0.0/added"), 0o644, "");
    let looked = machine.agent(&["doctor"]).exits(19).stdout();
    assert!(looked.starts_with("acme-db: one thing is wrong.\nWrong: "), "{looked}");
    assert!(looked.contains("`doctor --repair` will unpack 1.0.0 anew"), "{looked}");
    let told = machine.agent(&["doctor", "--repair"]).succeeds().stdout();
    let [before, after] = ["To repair: ", "Repaired: "].map(|text| told.find(text).unwrap());
    assert!(before < after, "{told}");
    assert_eq!(machine.agent(&["doctor"]).succeeds().stdout(), "acme-db: nothing is wrong.\n");

    fs::remove_file(machine.root().join("current")).unwrap();
    let lines = machine.agent(&["--json=stream", "doctor", "--repair"]).succeeds().stdout();
    let lines: Vec<Value> = lines.lines().map(|it| serde_json::from_str(it).unwrap()).collect();
    let outcomes: Vec<_> = lines.iter().map(|line| line["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["repairing", "repaired"]);
    assert_eq!(lines[0]["doctor"]["findings"][0]["what"], "current");
    assert_runs(&server, &machine, "1.0.0");
}

#[test]
fn a_repair_waits_its_turn_and_an_examination_does_not() {
    let (server, machine) = at_the_first_release("standard");
    let wait = "touch \"$MAINSTAY_ROOT/../checking\"\n\
                until test -e \"$MAINSTAY_ROOT/../go\"; do sleep 0.05; done";
    publish_checked(&server, "1.0.1", wait);
    let mut first = machine.command(&["update"]).spawn().unwrap();
    eventually("the health check runs", || beside(&machine, "checking").exists().then_some(()));
    let (exit, document) = machine.agent_json(&["--lock-wait", "0", "doctor", "--repair"]);
    assert_eq!((exit, &document["kind"]), (31, &json!("locked")));
    assert_eq!(found(&machine), (19, vec!["unfinished".to_owned()]));
    write(&beside(&machine, "go"), 0o644, "");
    assert!(first.wait().unwrap().success());
    assert_runs(&server, &machine, "1.0.1");
    assert_eq!(found(&machine), (0, Vec::new()));
}

#[test]
fn an_installation_that_is_none_is_no_patient() {
    let machine = Machine::bare();
    for command in [&["doctor"][..], &["doctor", "--repair"]] {
        assert_eq!(machine.agent_json(command).0, 30);
    }
    assert!(!machine.root().exists());
}
