use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

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

/// Settings that name two more directories, one of them outside of the installation.
fn with_others(machine: &Machine) -> Limits {
    let outside = machine.dir.path().join("outside/state");
    Limits { data_directories: vec!["var/more".into(), outside], ..Machine::limits() }
}

fn others(machine: &Machine) -> [PathBuf; 2] {
    [machine.root().join("var/more"), machine.dir.path().join("outside/state")]
}

fn write_everywhere(machine: &Machine, text: &str) {
    machine.write_data(text);
    for other in others(machine) {
        fs::create_dir_all(other.join("deep")).unwrap();
        fs::write(other.join("deep/file"), text).unwrap();
    }
}

/// What the data say, provided that all say the same.
fn everywhere(machine: &Machine) -> String {
    let text = machine.data().unwrap();
    for other in others(machine) {
        let found = contents(&other);
        assert_eq!(found, BTreeMap::from([("deep/file".into(), text.clone())]));
        assert_eq!(fs::read_dir(other.parent().unwrap()).unwrap().count(), 1, "left over");
    }
    text
}

fn open_within(machine: &Machine, limits: Limits) -> Installation {
    machine.try_open_within(limits, at(0), FailingFileSystem::new(Failure::Crash, 0)).unwrap()
}

#[test]
fn all_directories_of_data_are_restored_whatever_is_cut_off() {
    for (failure, exchanges) in
        [(Failure::Crash, true), (Failure::Crash, false), (Failure::Refused, true)]
    {
        for nth in 1.. {
            let machine = Machine::new();
            let mut installation = open_within(&machine, with_others(&machine));
            installation.update(&release("1.0.0"));
            write_everywhere(&machine, "old");
            installation.update(&release("1.1.0").confirmed_within(60));
            write_everywhere(&machine, "new");
            drop(installation);
            let mut files = FailingFileSystem::new(failure, nth);
            if !exchanges {
                files = files.without_exchange();
            }
            // The settings of then count, not those of now.
            let undone = machine
                .try_open(at(0), files.clone())
                .and_then(|mut installation| installation.undo("bad"));
            let installation = open_within(&machine, Machine::limits());
            let case = format!("{failure:?} at {nth}: {undone:?}");
            let seen = (machine.seen().unwrap(), everywhere(&machine));
            let expected = [("1.1.0", "new"), ("1.0.0", "old")];
            assert!(expected.contains(&(&*seen.0, &*seen.1)), "{seen:?} {case}");
            assert_eq!(installation.running().unwrap().to_string(), seen.0, "{case}");
            if files.changes() < nth {
                assert!(undone.is_ok() && seen.1 == "old" && nth > 30, "{case}");
                break;
            }
        }
    }
}

#[test]
fn hooks_are_told_every_directory_of_data() {
    let machine = Machine::new();
    let mut installation = open_within(&machine, with_others(&machine));
    let script = "printf '%s' \"$MAINSTAY_DATA_DIRS\" > \"$MAINSTAY_ROOT/../told\"";
    installation.update(&release("1.0.0").checked(script));
    let told = fs::read_to_string(machine.dir.path().join("told")).unwrap();
    let [more, outside] = others(&machine);
    let expected = [machine.layout().data(), more, outside];
    assert!(told.lines().map(Path::new).eq(expected.iter().map(PathBuf::as_path)), "{told}");
}

#[test]
fn directories_that_could_not_be_restored_by_themselves_are_refused() {
    for bad in ["data/below", ".", "..", "versions/x", ".mainstay", "/", "var/../data", "a/../../b"]
    {
        let machine = Machine::new();
        let limits = Limits { data_directories: vec![bad.into()], ..Machine::limits() };
        let mut installation = open_within(&machine, limits);
        let error = installation.put(&release("1.0.0"), AttemptKind::Update).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DataUnusable, "{bad}");
    }
}

#[test]
fn data_above_the_limit_are_refused_before_anything_changes() {
    let machine = Machine::new();
    let limits = Limits { data_bytes_max: 5, ..Machine::limits() };
    let mut installation = open_within(&machine, limits);
    installation.update(&release("1.0.0"));
    machine.write_data("old");
    let error = installation.put(&release("1.1.0"), AttemptKind::Update).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DataTooLarge, "{error}");
    assert!(error.to_string().contains("6 bytes: expected at most 5"), "{error}");
    assert_eq!(machine.seen().as_deref(), Some("1.0.0"));
}

#[test]
fn only_so_many_copies_stay_as_the_settings_say() {
    let machine = Machine::new();
    let mut installation = open_within(&machine, Limits { snapshots_kept: 1, ..Machine::limits() });
    for text in ["1.0.0", "1.1.0", "1.2.0"] {
        installation.update(&release(text));
        machine.write_data(text);
    }
    let kept: Vec<_> = installation.engine.journal.snapshots.iter().collect();
    assert_eq!(kept.len(), 1);
    installation.go_back(&release("1.1.0"), order(1));
    assert_eq!(machine.data().as_deref(), Some("1.1.0"));
}

#[test]
fn names_of_one_file_stay_names_of_one_file() {
    let machine = Machine::new();
    let mut installation = machine.open();
    installation.update(&release("1.0.0"));
    machine.write_data("old");
    let data = machine.layout().data();
    let (one, other) = (data.join("one"), data.join("below/other"));
    fs::write(&one, "shared").unwrap();
    fs::hard_link(&one, &other).unwrap();
    let inode = |path: &Path| fs::metadata(path).unwrap().ino();
    let before = inode(&one);
    installation.update(&release("1.1.0").checked("rm \"$MAINSTAY_DATA/one\"; exit 1"));
    assert_eq!(inode(&one), inode(&other));
    assert_ne!(inode(&one), before, "a copy shares nothing that could be written");
    assert_eq!(fs::read_to_string(&other).unwrap(), "shared");
}

#[test]
fn a_release_that_could_not_read_the_data_is_refused_beforehand() {
    let machine = Machine::new();
    let mut installation = machine.open();
    installation.update(&release("1.0.0").with_data(1, 1, 1));
    machine.write_data("first");
    let refused = |installation: &mut Installation, release: &Release, kind: AttemptKind| {
        let error = installation.put(release, kind).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::DataUnreadable, "{error}");
        error.to_string()
    };
    let far = release("3.0.0").with_data(2, 3, 3);
    let message = refused(&mut installation, &far, AttemptKind::Update);
    assert!(message.contains("epochs 2 to 3, and would find epoch 1"), "{message}");
    assert!(!installation.has_tree(&far.version), "nothing was unpacked");

    installation.update(&release("2.0.0").with_data(1, 2, 2));
    machine.write_data("second");
    installation.update(&far);
    assert_eq!(installation.record().data_epoch, Some(3));
    // It never ran here, so there are no data of its own to bring back.
    refused(&mut installation, &release("1.5.0").with_data(1, 2, 2), order(1));
    // This one left a copy of its data.
    installation.put(&release("2.0.0").with_data(1, 2, 2), order(2)).unwrap();
    assert_eq!(machine.data().as_deref(), Some("second"));
    assert_eq!(installation.record().data_epoch, Some(2));
}

#[test]
fn an_update_that_is_undone_leaves_the_epoch_that_the_data_are_in() {
    let machine = Machine::new();
    let mut installation = machine.open();
    installation.update(&release("1.0.0").with_data(1, 1, 1));
    let mut bad = release("1.1.0").with_data(1, 2, 2).confirmed_within(60);
    installation.update(&bad);
    assert_eq!(installation.record().data_epoch, Some(2));
    installation.undo("bad").unwrap();
    assert_eq!(installation.record().data_epoch, Some(1));
    installation.unblock(&bad.version).unwrap();
    bad.health = bad.clone().checked("exit 1").health;
    installation.update(&bad);
    assert_eq!(installation.record().data_epoch, Some(1));
}
