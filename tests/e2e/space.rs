//! Disks that have little room: what is given up for an update, what never is, what is said.

use std::fs;

use serde_json::{Value, json};

use crate::{
    disk::Mounted,
    fleet::{
        HEALTHY, assert_runs, customer, data, enroll, noise, order, publish, shown, tree,
        write_data,
    },
    harness::{Machine, Server, eventually, write},
    service::Service,
};

pub(crate) const MIB: u64 = 1 << 20;

/// Publishes a bug fix whose tree and download are so large, of bytes that differ from version to
/// version.
pub(crate) fn publish_large(server: &Server, version: &str, channel: &str, bytes: u64) {
    let tree = tree(server, version, HEALTHY, "");
    let mut content = version.as_bytes().to_vec();
    content.extend(noise(usize::try_from(bytes).unwrap()));
    fs::write(tree.join("large"), content).unwrap();
    publish(server, version, channel, &tree, &["--level", "1"]);
}

/// Lets the machine keep many versions and spare a MiB, with `more` tables beside that.
fn set(machine: &Machine, more: &str) {
    let path = machine.root().join(".mainstay/agent.toml");
    let text = fs::read_to_string(&path).unwrap();
    let enrolment = text.split("[disk]").next().unwrap();
    let tables = "[disk]\nspare_bytes = 1048576\n[updates]\ntrees_kept = 10\n";
    write(&path, 0o600, &format!("{enrolment}\n{tables}{more}\n"));
}

/// A machine on a disk of its own that has been updated from 1.0.0 to 1.0.3, of 6 MiB each, and 1.0.4
/// to be had.
fn with_kept_versions() -> Option<(Server, Machine, Mounted)> {
    let machine = Machine::bare();
    let disk = Mounted::at(machine.root(), 64 * MIB)?;
    let server = Server::with_product();
    publish_large(&server, "1.0.0", "major", 6 * MIB);
    enroll(&machine, server.url(), &customer(&server, "standard"), &[]).succeeds();
    set(&machine, "");
    machine.agent(&["update"]).succeeds();
    write_data(&machine, "data");
    for version in ["1.0.1", "1.0.2", "1.0.3"] {
        publish_large(&server, version, "bugfix", 6 * MIB);
        machine.agent(&["update"]).succeeds();
    }
    publish_large(&server, "1.0.4", "bugfix", 6 * MIB);
    Some((server, machine, disk))
}

fn kept(machine: &Machine) -> Vec<String> {
    let entries = fs::read_dir(machine.root().join("versions")).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    let status = machine.agent_json(&["status"]).1;
    let mut recorded: Vec<_> = status["status"]["kept"].as_array().unwrap().clone();
    recorded.sort_by_key(Value::to_string);
    assert_eq!(json!(names), json!(recorded), "what is kept is recorded");
    names
}

/// What has arrived of a release that is not wanted any more.
fn leave_stale_download(machine: &Machine, bytes: u64) -> std::path::PathBuf {
    let path = machine.root().join(format!(".mainstay/cache/{}.part", "0".repeat(64)));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, noise(usize::try_from(bytes).unwrap())).unwrap();
    path
}

pub(crate) fn assert_nothing_half_written(machine: &Machine) {
    for folder in ["staging", "trash"] {
        let path = machine.root().join(".mainstay").join(folder);
        assert_eq!(fs::read_dir(&path).unwrap().count(), 0, "{}", path.display());
    }
}

fn what(given_up: &Value) -> Vec<(&str, &Value)> {
    let entries = given_up.as_array().unwrap();
    entries.iter().map(|entry| (entry["what"].as_str().unwrap(), &entry["version"])).collect()
}

#[test]
fn what_can_be_given_up_is_in_its_order_and_no_more_than_is_needed() {
    let Some((server, machine, disk)) = with_kept_versions() else { return };
    let stale = leave_stale_download(&machine, MIB);
    // Download, tree and spare take about 13 MiB: the download that nobody wants and one version short.
    disk.fill(8 * MIB);
    let (exit, check) = machine.agent_json(&["check"]);
    assert_eq!((exit, check.get("given_up")), (11, None), "{check}");
    assert!(stale.exists(), "a check gives nothing up");
    assert_eq!(kept(&machine), ["1.0.0", "1.0.1", "1.0.2", "1.0.3"]);

    let (exit, update) = machine.agent_json(&["update"]);
    assert_eq!((exit, &update["outcome"]), (0, &json!("committed")), "{update}");
    let given_up = what(&update["given_up"]);
    assert_eq!(given_up, [("download", &Value::Null), ("version", &json!("1.0.0"))], "{update}");
    assert!(update["given_up"][1]["bytes"].as_u64().unwrap() >= 6 * MIB, "{update}");
    assert!(!stale.exists());
    assert_eq!(kept(&machine), ["1.0.1", "1.0.2", "1.0.3", "1.0.4"]);
    assert_runs(&server, &machine, "1.0.4");
    assert_eq!(data(&machine).as_deref(), Some("data"));
    let events = shown(&server, &machine)["events"].clone();
    let mut events = events.as_array().unwrap().iter().map(|it| it["event"].clone());
    let event = events.find(|event| event["kind"] == "made_room").unwrap();
    assert_eq!((&event["from"], &event["to"]), (&json!("1.0.3"), &json!("1.0.4")));
    assert!(event["detail"].as_str().unwrap().contains("the kept version 1.0.0"), "{event}");
    disk.empty();
    // The way back is what it was, data and all.
    machine.agent(&["rollback"]).succeeds();
    assert_runs(&server, &machine, "1.0.3");
    assert_eq!(data(&machine).as_deref(), Some("data"));
}

#[test]
fn what_runs_and_the_way_back_stay_and_nothing_is_given_up_in_vain() {
    let Some((server, machine, disk)) = with_kept_versions() else { return };
    let stale = leave_stale_download(&machine, MIB);
    // All that can be given up is some 13 MiB, which with this is not enough.
    let settings = machine.root().join(".mainstay/agent.toml");
    let text = fs::read_to_string(&settings).unwrap();
    fs::write(&settings, text.replace("spare_bytes = 1048576", "spare_bytes = 30000000")).unwrap();
    disk.fill(8 * MIB);
    for command in ["check", "fetch", "update"] {
        let (exit, told) = machine.agent_json(&[command]);
        assert_eq!((exit, &told["outcome"]), (18, &json!("missing")), "{command}: {told}");
        let space = &told["missing"][0];
        assert_eq!(space["what"], "space");
        assert_eq!(space["path"], machine.root().to_str().unwrap());
        let number = |member: &str| space[member].as_str().unwrap().parse::<u64>().unwrap();
        assert!(number("required") > 30_000_000 && number("found") <= 8 * MIB, "{space}");
        assert_eq!(told.get("given_up"), None);
    }
    assert!(stale.exists());
    assert_eq!(kept(&machine), ["1.0.0", "1.0.1", "1.0.2", "1.0.3"]);

    // Enough, but only with all that there is: two stay whatever is needed.
    fs::write(&settings, text.replace("spare_bytes = 1048576", "spare_bytes = 8000000")).unwrap();
    let update = machine.agent(&["update"]).succeeds().stdout();
    assert!(update.contains("Given up for want of space: the kept version 1.0.1 ("), "{update}");
    assert_eq!(kept(&machine), ["1.0.2", "1.0.3", "1.0.4"]);
    assert_runs(&server, &machine, "1.0.4");
    assert_nothing_half_written(&machine);
}

#[test]
fn a_rollback_to_what_was_given_up_finds_room_for_it_again() {
    let Some((server, machine, disk)) = with_kept_versions() else { return };
    disk.fill(8 * MIB);
    let (_, update) = machine.agent_json(&["update"]);
    assert_eq!(what(&update["given_up"]), [("version", &json!("1.0.0"))], "{update}");
    order(&server, &machine, "1.0.0").succeeds();
    let (exit, rollback) = machine.agent_json(&["update"]);
    assert_eq!((exit, &rollback["outcome"]), (0, &json!("rolled_back")), "{rollback}");
    assert_eq!(what(&rollback["given_up"]), [("version", &json!("1.0.1"))], "{rollback}");
    assert_eq!(kept(&machine), ["1.0.0", "1.0.2", "1.0.3", "1.0.4"]);
    assert_runs(&server, &machine, "1.0.0");
    drop(disk);
}

#[test]
fn a_kept_tree_that_was_changed_takes_room_like_one_that_is_not_there() {
    let Some((server, machine, disk)) = with_kept_versions() else { return };
    machine.agent(&["update"]).succeeds();
    machine.agent(&["rollback"]).succeeds();
    machine.agent(&["unblock", "1.0.4"]).succeeds();
    fs::write(machine.root().join("versions/1.0.4/added"), "by somebody").unwrap();
    disk.fill(8 * MIB);
    let (exit, update) = machine.agent_json(&["update"]);
    assert_eq!((exit, &update["outcome"]), (0, &json!("committed")), "{update}");
    assert_eq!(what(&update["given_up"]), [("version", &json!("1.0.0"))], "{update}");
    assert_runs(&server, &machine, "1.0.4");
}

#[test]
fn a_rollback_for_which_no_room_can_be_made_gives_nothing_up() {
    let Some((server, machine, disk)) = with_kept_versions() else { return };
    disk.fill(8 * MIB);
    machine.agent(&["update"]).succeeds();
    order(&server, &machine, "1.0.0").succeeds();
    let settings = machine.root().join(".mainstay/agent.toml");
    let text = fs::read_to_string(&settings).unwrap();
    fs::write(&settings, text.replace("spare_bytes = 1048576", "spare_bytes = 30000000")).unwrap();
    let (exit, refused) = machine.agent_json(&["update"]);
    assert_eq!((exit, refused.get("given_up")), (35, None), "{refused}");
    assert_eq!(kept(&machine), ["1.0.1", "1.0.2", "1.0.3", "1.0.4"]);
    assert_runs(&server, &machine, "1.0.4");
    drop(disk);
}

#[test]
fn each_file_system_that_an_update_writes_to_is_looked_at() {
    let machine = Machine::bare();
    let var = machine.root().with_file_name("var");
    let Some(disk) = Mounted::at(&var, 8 * MIB) else { return };
    let server = Server::with_product();
    server.publish("1.0.0", "major", &[]);
    enroll(&machine, server.url(), &customer(&server, "standard"), &[]).succeeds();
    machine.agent(&["update"]).succeeds();
    write(&var.join("db/rows"), 0o600, "rows");
    fs::write(var.join("db/more"), noise(3 << 20)).unwrap();
    set(&machine, &format!("[data]\ndirectories = [\"{}\"]\n", var.join("db").display()));
    server.publish("1.0.1", "bugfix", &[]);
    disk.fill(2 * MIB);
    let (exit, update) = machine.agent_json(&["update"]);
    assert_eq!((exit, &update["outcome"]), (18, &json!("missing")), "{update}");
    let missing = update["missing"].as_array().unwrap();
    assert_eq!(missing.len(), 1, "there is room enough elsewhere: {update}");
    assert_eq!(missing[0]["path"], var.to_str().unwrap());
    let message = update["message"].as_str().unwrap();
    assert!(message.contains(&format!("are required at {}", var.display())), "{message}");
    disk.empty();
    machine.agent(&["update"]).succeeds();
    assert_runs(&server, &machine, "1.0.1");
}

fn checked(machine: &Machine) -> Value {
    machine.agent_json(&["status"]).1["status"]["history"]["checked"].clone()
}

/// Has the service look at least once more.
pub(crate) fn look_again(service: &Service, machine: &Machine) {
    let before = checked(machine);
    eventually("another look", || {
        service.wake();
        (checked(machine) != before).then_some(())
    });
}

#[test]
fn the_service_says_once_that_space_is_missing_and_goes_on_once_it_is_there() {
    let Some((server, machine, disk)) = with_kept_versions() else { return };
    let settings = machine.root().join(".mainstay/agent.toml");
    let text = fs::read_to_string(&settings).unwrap();
    fs::write(&settings, text.replace("spare_bytes = 1048576", "spare_bytes = 30000000")).unwrap();
    disk.fill(8 * MIB);
    let mut service = Service::of(&machine);
    assert_eq!(service.tells("missing")["missing"][0]["what"], "space");
    look_again(&service, &machine);
    // What is free has changed, and is still too little: no news.
    fs::write(machine.root().join("more"), noise(1 << 20)).unwrap();
    look_again(&service, &machine);
    look_again(&service, &machine);
    assert_nothing_half_written(&machine);
    assert_eq!(machine.running().as_deref(), Some("1.0.3"));
    disk.empty();
    service.wake();
    assert_eq!(service.tells("committed")["version_to"], "1.0.4", "nothing was told in between");
    assert_runs(&server, &machine, "1.0.4");
    service.stop_whatever_it_tells();
}
