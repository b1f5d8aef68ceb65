//! The program's data: which directories are copied, and who can read them.

use std::{fs, path::PathBuf};

use crate::{
    fleet::{assert_runs, at_the_first_release, customer, data, order, publish, shown, write_data},
    harness::{Machine, Server, write},
};

/// Lays out the tree of a release that reads data of the epochs `from` to `to` and writes `to`.
pub(crate) fn tree_reading(server: &Server, version: &str, from: u32, to: u32) -> PathBuf {
    let tree = server.tree(version);
    let description = format!(
        "[health]\ncommand = [\"bin/run\"]\n\
         [data]\nreads = {{ from = {from}, to = {to} }}\nwrites = {to}\n"
    );
    write(&tree.join("mainstay.toml"), 0o644, &description);
    tree
}

fn publish_reading(server: &Server, version: &str, channel: &str, from: u32, to: u32) {
    let tree = tree_reading(server, version, from, to);
    publish(server, version, channel, &tree, &[]);
}

fn configure(machine: &Machine, table: &str) {
    let file = machine.root().join(".mainstay/agent.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{text}\n[data]\n{table}\n")).unwrap();
}

/// A machine that went from 1.0.0 to 1.0.1, which brought its data forward.
fn at_the_first_release_reading() -> (Server, Machine) {
    let server = Server::with_product();
    publish_reading(&server, "1.0.0", "major", 1, 1);
    let machine = server.machine(&customer(&server, "standard"));
    machine.agent(&["update"]).succeeds();
    write_data(&machine, "first");
    publish_reading(&server, "1.0.1", "bugfix", 1, 2);
    machine.agent(&["update"]).succeeds();
    write_data(&machine, "second");
    (server, machine)
}

#[test]
fn configured_directories_are_restored_with_the_rest() {
    let (server, machine) = at_the_first_release("standard");
    let outside = machine.root().with_file_name("state");
    configure(&machine, &format!("directories = [\"var/db\", \"{}\"]", outside.display()));
    write_data(&machine, "old");
    let others = [machine.root().join("var/db/rows"), outside.join("rows")];
    for other in &others {
        write(other, 0o640, "old");
    }
    let spoils = "for directory in $MAINSTAY_DATA_DIRS; do rm -r \"$directory\"; done; exit 1";
    crate::fleet::publish_checked(&server, "1.0.1", spoils);
    machine.agent(&["update"]).exits(14);
    assert_runs(&server, &machine, "1.0.0");
    assert_eq!(data(&machine).as_deref(), Some("old"));
    for other in &others {
        assert_eq!(fs::read_to_string(other).unwrap(), "old");
    }
    // To enrol again leaves what somebody wrote there.
    let key = server.mainstay(&["contract", "activation-key", "standard"]).succeeds().stdout();
    crate::fleet::enroll(&machine, server.url(), key.trim(), &[]).succeeds();
    let text = fs::read_to_string(machine.root().join(".mainstay/agent.toml")).unwrap();
    assert!(text.contains("\"var/db\""), "{text}");
}

#[test]
fn data_above_the_configured_limit_stop_an_update_before_anything_changes() {
    let (server, machine) = at_the_first_release("standard");
    configure(&machine, "snapshot_bytes_max = 2");
    write_data(&machine, "old");
    server.publish("1.0.1", "bugfix", &[]);
    let (exit, update) = machine.agent_json(&["update"]);
    assert_eq!(exit, 35);
    let message = update["message"].as_str().unwrap();
    assert!(message.contains("3 bytes: expected at most 2"), "{message}");
    assert_runs(&server, &machine, "1.0.0");
}

#[test]
fn a_release_that_cannot_read_the_data_is_refused_before_it_is_fetched() {
    let server = Server::with_product();
    publish_reading(&server, "1.0.0", "major", 1, 1);
    let machine = server.machine(&customer(&server, "standard"));
    machine.agent(&["update"]).succeeds();
    publish_reading(&server, "1.0.1", "bugfix", 2, 3);
    let (exit, update) = machine.agent_json(&["update"]);
    assert_eq!((exit, &update["code"]), (34, &"data".into()));
    let message = update["message"].as_str().unwrap();
    assert!(message.contains("epochs 2 to 3, and would find epoch 1"), "{message}");
    assert!(fs::read_dir(machine.root().join(".mainstay/cache")).map_or(0, Iterator::count) == 0);
    assert_runs(&server, &machine, "1.0.0");
    let events = shown(&server, &machine)["events"].clone();
    machine.agent(&["check"]).exits(11);
    let events_later = shown(&server, &machine)["events"].clone();
    let last = events_later.as_array().unwrap().last().unwrap()["event"].clone();
    assert_eq!((&last["kind"], &last["to"]), (&"refused".into(), &"1.0.1".into()), "{events}");
}

#[test]
fn a_rollback_that_would_find_data_from_the_future_is_refused_to_the_technician() {
    let server = Server::with_product();
    publish_reading(&server, "1.0.0", "major", 1, 1);
    publish_reading(&server, "1.0.1", "bugfix", 1, 2);
    let key = customer(&server, "standard");
    let fresh = server.machine(&key);
    fresh.agent(&["update"]).succeeds();
    assert_runs(&server, &fresh, "1.0.1");
    // One that ran it before may have kept its data, and this one has.
    let (before, machine) = at_the_first_release_reading();
    let ordered = order(&before, &machine, "1.0.0").succeeds().json();
    let caution = ordered["caution"].as_str().unwrap();
    assert!(caution.contains("only if it has kept its copy"), "{caution}");
    machine.agent(&["update"]).succeeds();
    assert_runs(&before, &machine, "1.0.0");
    assert_eq!(data(&machine).as_deref(), Some("first"));

    let refused = order(&server, &fresh, "1.0.0").exits(4);
    let said = refused.stdout() + &refused.stderr();
    assert!(
        said.contains("ROLLBACK_IMPOSSIBLE") && said.contains("1.0.1 writes epoch 2"),
        "{said}"
    );
}
