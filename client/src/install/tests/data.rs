use std::os::unix::fs::PermissionsExt as _;

use super::*;

const SPOILS: &str = "echo spoiled > \"$MAINSTAY_DATA/state\"";

#[test]
fn an_update_that_works_keeps_the_data_and_one_that_fails_restores_them() {
    let machine = Machine::new();
    let mut installation = machine.open();
    installation.update(&release("1.0.0"));
    machine.write_data("old");
    installation.update(&release("1.1.0").checked(&format!("{SPOILS}; exit 1")));
    assert_eq!(machine.data().as_deref(), Some("old"));
    installation.update(&release("1.2.0"));
    assert_eq!(machine.data().as_deref(), Some("old"));
}

#[test]
fn a_rollback_restores_the_newest_snapshot_of_its_version() {
    let machine = Machine::new();
    let mut installation = machine.open();
    let (old, new) = (release("1.0.0"), release("1.1.0"));
    installation.update(&old);
    machine.write_data("old, first");
    installation.update(&new);
    machine.write_data("new");
    installation.go_back(&old, order(1));
    assert_eq!(machine.data().as_deref(), Some("old, first"));
    machine.write_data("old, second");
    installation.update(&release("1.2.0"));
    machine.write_data("newest");
    // The one left long ago, then the one left last.
    installation.go_back(&new, order(2));
    assert_eq!(machine.data().as_deref(), Some("new"));
    installation.go_back(&old, order(3));
    assert_eq!(machine.data().as_deref(), Some("old, second"));
    machine.assert_swept(&installation);
}

#[test]
fn a_rollback_to_a_version_without_snapshot_leaves_the_data() {
    let machine = Machine::new();
    let mut installation = machine.open();
    installation.update(&release("1.1.0"));
    machine.write_data("new");
    installation.put(&release("1.0.0"), order(1)).unwrap();
    assert_eq!(machine.data().as_deref(), Some("new"));
}

#[test]
fn where_there_were_no_data_none_are_left() {
    let machine = Machine::new();
    let mut installation = machine.open();
    let old = release("1.0.0");
    installation.update(&old);
    installation.update(&release("1.1.0"));
    machine.write_data("new");
    installation.go_back(&old, order(1));
    assert_eq!(machine.data(), None);
    assert_eq!(installation.engine.journal.snapshots.len(), 1);
}

#[test]
fn data_are_restored_without_an_exchange_too() {
    let machine = Machine::new();
    let files = FailingFileSystem::new(Failure::Crash, 0).without_exchange();
    let mut installation = machine.try_open(at(0), files).unwrap();
    installation.update(&release("1.0.0"));
    machine.write_data("old");
    installation.update(&release("1.1.0").checked(&format!("{SPOILS}; exit 1")));
    assert_eq!(machine.data().as_deref(), Some("old"));
    machine.assert_swept(&installation);
}

#[test]
fn modes_are_kept_and_sockets_are_left_out() {
    let machine = Machine::new();
    let mut installation = machine.open();
    installation.update(&release("1.0.0"));
    machine.write_data("old");
    let data = machine.layout().data();
    let set = |name: &str, mode| {
        fs::set_permissions(data.join(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    set("state", 0o640);
    set("below", 0o550);
    let socket = std::os::unix::net::UnixListener::bind(data.join("socket")).unwrap();
    installation.update(&release("1.1.0").checked("chmod 600 \"$MAINSTAY_DATA/state\"; exit 1"));
    drop(socket);
    let mode = |name: &str| fs::metadata(data.join(name)).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode("state"), mode("below")), (0o640, 0o550));
    assert!(!data.join("socket").exists());
    assert_eq!(machine.data().as_deref(), Some("old"));
}

#[test]
fn data_that_could_not_be_restored_in_one_step_are_refused_before_the_switch() {
    let machine = Machine::new();
    let mut installation = machine.open();
    installation.update(&release("1.0.0"));
    let data = machine.layout().data();
    std::os::unix::fs::symlink("/", &data).unwrap();
    let refused = |installation: &mut Installation| {
        let error = installation.put(&release("1.1.0"), AttemptKind::Update).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DataUnusable, "{error}");
        assert_eq!(machine.seen().as_deref(), Some("1.0.0"));
    };
    refused(&mut installation);
    fs::remove_file(&data).unwrap();
    fs::write(&data, "").unwrap();
    refused(&mut installation);
    // The tree was staged by then, so that it need not be fetched again.
    fs::remove_file(&data).unwrap();
    assert!(installation.has_tree(&version("1.1.0")));
    installation.go_back(&release("1.1.0"), AttemptKind::Update);
    assert_eq!(machine.seen().as_deref(), Some("1.1.0"));
}

#[test]
fn a_lost_snapshot_stops_an_undoing_with_advice() {
    let machine = Machine::new();
    let mut installation = machine.open();
    installation.update(&release("1.0.0"));
    machine.write_data("old");
    installation.update(&release("1.1.0").confirmed_within(60));
    let snapshot = machine.layout().snapshots().join("2");
    let aside = machine.dir.path().join("aside");
    fs::rename(&snapshot, &aside).unwrap();
    let error = installation.undo("bad").unwrap_err();
    assert!(error.to_string().contains("put it back"), "{error}");
    drop(installation);
    fs::rename(&aside, &snapshot).unwrap();
    let installation = machine.open();
    assert_eq!(installation.running(), Some(&version("1.0.0")));
    assert!(installation.record().block(&version("1.1.0")).is_some());
}
