//! A kept tree that nobody has touched is not read again.

use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::pack::{Seal, scan_tree};

/// A machine that runs 1.1.0 and keeps 1.0.0.
fn prepared() -> Machine {
    let machine = Machine::new();
    let mut installation = machine.open();
    installation.update(&release("1.0.0"));
    installation.update(&release("1.1.0"));
    machine
}

fn seal(installation: &Installation) -> Option<Seal> {
    installation.record().kept_tree(&version("1.0.0")).unwrap().seal
}

/// What the seal of 1.0.0 would be as its tree is now.
fn seal_now(machine: &Machine) -> Seal {
    let tree = machine.layout().tree(&version("1.0.0"));
    scan_tree(&tree, &pack::Limits::default()).unwrap().seal()
}

fn set_seal(installation: &mut Installation, seal: Option<Seal>) {
    let is_old = |tree: &&mut KeptTree| tree.version == version("1.0.0");
    installation
        .engine
        .write(|journal| journal.record.trees.iter_mut().find(is_old).unwrap().seal = seal)
        .unwrap();
}

/// Writes `content` to a file of 1.0.0 and gives it the times that it had.
fn falsify(machine: &Machine, content: &str) {
    let notes = machine.layout().tree(&version("1.0.0")).join("notes");
    let before = fs::metadata(&notes).unwrap();
    fs::write(&notes, content).unwrap();
    let times = fs::FileTimes::new()
        .set_accessed(before.accessed().unwrap())
        .set_modified(before.modified().unwrap());
    fs::File::open(&notes).unwrap().set_times(times).unwrap();
    assert_eq!(fs::metadata(&notes).unwrap().modified().unwrap(), before.modified().unwrap());
}

fn back(installation: &mut Installation) -> Result<Outcome, Error> {
    installation.install(release("1.0.0").attempt(order(1)), None, &|| at(1000))
}

#[test]
fn a_tree_is_sealed_when_it_is_in_its_place() {
    let machine = prepared();
    assert_eq!(seal(&machine.open()), Some(seal_now(&machine)));
}

/// That nothing is read shows in that a seal which somebody forged is believed; whoever can write
/// to the journal can do worse.
#[test]
fn the_seal_stands_in_for_reading_and_not_for_verifying() {
    let machine = prepared();
    let mut installation = machine.open();
    falsify(&machine, "false");
    set_seal(&mut installation, Some(seal_now(&machine)));
    assert!(!installation.verify(&version("1.0.0")).unwrap().is_intact());
    back(&mut installation).unwrap();
    assert_eq!(fs::read(machine.layout().current().join("notes")).unwrap(), b"false");
}

#[test]
fn a_change_that_hides_its_time_is_noticed() {
    let machine = prepared();
    let mut installation = machine.open();
    falsify(&machine, &"0.0.1".repeat(500));
    let error = back(&mut installation).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TreeModified, "{error}");
    assert_eq!(machine.seen().as_deref(), Some("1.1.0"));
}

#[test]
fn what_is_there_besides_what_is_gone_and_other_permissions_are_noticed() {
    let changes: [fn(&Path); 4] = [
        |tree| fs::write(tree.join("bin/more"), "").unwrap(),
        |tree| fs::remove_file(tree.join("version")).unwrap(),
        |tree| fs::set_permissions(tree.join("bin"), fs::Permissions::from_mode(0o700)).unwrap(),
        |tree| {
            fs::remove_file(tree.join("notes")).unwrap();
            std::os::unix::fs::symlink("version", tree.join("notes")).unwrap();
        },
    ];
    for change in changes {
        let machine = prepared();
        let mut installation = machine.open();
        change(&machine.layout().tree(&version("1.0.0")));
        let error = back(&mut installation).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TreeModified, "{error}");
    }
}

#[test]
fn a_tree_without_its_seal_is_read_and_sealed_anew_where_it_is_intact() {
    let machine = prepared();
    let mut installation = machine.open();
    set_seal(&mut installation, None);
    back(&mut installation).unwrap();
    assert_eq!(seal(&installation), Some(seal_now(&machine)));

    let machine = prepared();
    let mut installation = machine.open();
    let touched = fs::File::open(machine.layout().tree(&version("1.0.0")).join("notes")).unwrap();
    touched.set_times(fs::FileTimes::new().set_modified(std::time::UNIX_EPOCH)).unwrap();
    // A seal of now might not tell the next change from none.
    clock::outlast(clock::wall());
    back(&mut installation).unwrap();
    assert_eq!(seal(&installation), Some(seal_now(&machine)));
}

#[test]
fn a_moved_installation_is_as_sealed_as_before() {
    let machine = prepared();
    let (before, moved) = (seal_now(&machine), machine.dir.path().join("elsewhere"));
    fs::rename(machine.root(), &moved).unwrap();
    fs::rename(&moved, machine.root()).unwrap();
    assert_eq!(seal_now(&machine), before);
    let tree = machine.layout().tree(&version("1.0.0"));
    fs::rename(&tree, tree.with_file_name("other")).unwrap();
    fs::rename(tree.with_file_name("other"), &tree).unwrap();
    assert_eq!(seal_now(&machine), before);
}

/// Such as is copied from a backup, or is on a file system that numbers anew at each mount.
#[test]
fn a_tree_that_was_copied_is_read() {
    let machine = prepared();
    let tree = machine.layout().tree(&version("1.0.0"));
    let (notes, copy) = (tree.join("notes"), tree.join("copy"));
    LocalFileSystem.copy_file(&notes, &copy).unwrap();
    fs::rename(&copy, &notes).unwrap();
    let mut installation = machine.open();
    assert_ne!(seal(&installation), Some(seal_now(&machine)));
    back(&mut installation).unwrap();
    assert_eq!(machine.seen().as_deref(), Some("1.0.0"));
}
