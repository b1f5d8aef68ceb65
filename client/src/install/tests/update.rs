use super::*;

#[test]
fn the_first_release_is_installed_and_confirmed_at_once() {
    let machine = Machine::new();
    let mut installation = machine.open();
    assert_eq!((installation.running(), installation.recovery()), (None, None));

    let outcome = installation.update(&release("1.0.0"));

    assert_eq!(outcome, Outcome::Committed { from: None, to: version("1.0.0") });
    assert_eq!(machine.seen().as_deref(), Some("1.0.0"));
    assert_eq!(installation.running(), Some(&version("1.0.0")));
    assert_eq!(installation.record().last_outcome, Some(outcome));
    assert!(installation.has_tree(&version("1.0.0")));
    let story = installation.story();
    assert_eq!(
        story,
        [
            (1, EventKind::Installed, "1.0.0".to_owned()),
            (2, EventKind::Confirmed, "1.0.0".to_owned())
        ]
    );
    machine.assert_swept(&installation);

    drop(installation);
    let again = machine.open();
    assert_eq!((again.story(), again.recovery()), (story, None));
}

#[test]
fn an_installation_can_be_moved() {
    let machine = Machine::new();
    machine.open().update(&release("1.0.0"));
    let moved = machine.dir.path().join("elsewhere");
    fs::rename(machine.root(), &moved).unwrap();
    assert_eq!(fs::read(moved.join("current/version")).unwrap(), b"1.0.0");
}

#[test]
fn the_private_directory_is_its_owners() {
    use std::os::unix::fs::PermissionsExt as _;
    let machine = Machine::new();
    drop(machine.open());
    let mode = fs::metadata(machine.layout().private()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn a_payload_other_than_the_signed_one_changes_nothing() {
    let machine = Machine::new();
    let mut installation = machine.open();
    installation.update(&release("1.0.0"));
    let (good, other) = (release("1.1.0"), release("1.2.0"));
    let (short, _) = good.payload.split_at(good.payload.len() / 2);
    let long = [good.payload.as_slice(), &[0; 512]].concat();
    for bad in [other.payload.as_slice(), short, &long] {
        let (attempt, mut payload) = (good.attempt(AttemptKind::Update), bad);
        let error = installation.install(attempt, Some(&mut payload), &|| at(0)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unpack, "{error}");
        assert_eq!(machine.seen().as_deref(), Some("1.0.0"));
        assert!(!installation.has_tree(&version("1.1.0")));
        machine.assert_swept(&installation);
    }
    installation.update(&good);
    assert_eq!(machine.seen().as_deref(), Some("1.1.0"));
}

#[test]
fn a_payload_that_breaks_off_is_a_retryable_error() {
    struct Breaking<'a>(&'a [u8]);
    impl Read for Breaking<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            match self.0.read(buffer)? {
                0 => Err(io::ErrorKind::ConnectionReset.into()),
                read => Ok(read),
            }
        }
    }
    let machine = Machine::new();
    let (mut installation, release) = (machine.open(), release("1.0.0"));
    let (half, _) = release.payload.split_at(release.payload.len() / 2);
    let attempt = release.attempt(AttemptKind::Update);
    let error = installation.install(attempt, Some(&mut Breaking(half)), &|| at(0)).unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Transfer, true));
    assert_eq!(machine.seen(), None);
}

#[test]
fn updates_lead_upwards_and_rollbacks_downwards() {
    let machine = Machine::new();
    let mut installation = machine.open();
    let refused = |installation: &mut Installation, text: &str, kind| {
        let error = installation.put(&release(text), kind).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WrongDirection, "{error}");
    };
    refused(&mut installation, "1.0.0", order(1));
    installation.update(&release("1.1.0"));
    refused(&mut installation, "1.1.0", AttemptKind::Update);
    refused(&mut installation, "1.0.0", AttemptKind::Update);
    refused(&mut installation, "1.1.0", order(1));
    refused(&mut installation, "1.2.0", AttemptKind::LocalRollback);
    assert_eq!(machine.seen().as_deref(), Some("1.1.0"));
}

#[test]
fn nothing_goes_below_the_floor_and_the_floor_never_falls() {
    let machine = Machine::new();
    let mut installation = machine.open();
    installation.raise_floor(&version("1.1.0")).unwrap();
    installation.raise_floor(&version("1.0.0")).unwrap();
    assert_eq!(installation.record().floor, Some(version("1.1.0")));
    let error = installation.put(&release("1.0.0"), AttemptKind::Update).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BelowFloor);

    installation.update(&release("1.2.0"));
    for kind in [order(1), AttemptKind::LocalRollback] {
        let error = installation.put(&release("1.0.9"), kind).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BelowFloor);
    }
    installation.put(&release("1.1.0"), order(2)).unwrap();
    assert_eq!(machine.seen().as_deref(), Some("1.1.0"));
}

#[test]
fn the_last_three_confirmed_trees_stay() {
    let machine = Machine::new();
    let mut installation = machine.open();
    let kept = |installation: &Installation| {
        let trees = installation.record().trees.iter();
        trees.map(|tree| tree.version.to_string()).collect::<Vec<_>>()
    };
    for text in ["1.0.0", "1.1.0", "1.2.0", "1.3.0"] {
        installation.update(&release(text));
        machine.assert_swept(&installation);
    }
    assert_eq!(kept(&installation), ["1.1.0", "1.2.0", "1.3.0"]);
    assert!(!installation.has_tree(&version("1.0.0")));

    // One that fails does not push out one that works.
    installation.update(&release("1.4.0").checked("exit 1"));
    assert_eq!(kept(&installation), ["1.1.0", "1.2.0", "1.3.0"]);

    // What was left by a rollback is the one before.
    installation.go_back(&release("1.1.0"), order(1));
    installation.update(&release("1.5.0"));
    assert_eq!(kept(&installation), ["1.3.0", "1.1.0", "1.5.0"]);
    machine.assert_swept(&installation);
}

#[test]
fn a_rollback_uses_the_kept_tree_or_fetches_it_anew_where_somebody_changed_it() {
    let machine = Machine::new();
    let mut installation = machine.open();
    let (old, new) = (release("1.0.0"), release("1.1.0"));
    installation.update(&old);
    installation.update(&new);
    assert!(installation.verify(&old.version).unwrap().is_intact());

    fs::write(machine.layout().tree(&old.version).join("notes"), "changed").unwrap();
    assert!(!installation.verify(&old.version).unwrap().is_intact());
    let error = installation.install(old.attempt(order(1)), None, &|| at(0)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TreeModified, "{error}");
    assert_eq!(machine.seen().as_deref(), Some("1.1.0"));

    let outcome = installation.put(&old, order(1)).unwrap();
    assert_eq!(outcome, Outcome::RolledBack { from: new.version.clone(), to: old.version.clone() });
    assert_eq!(machine.seen().as_deref(), Some("1.0.0"));
    assert!(installation.verify(&old.version).unwrap().is_intact());
    machine.assert_swept(&installation);
}

#[test]
fn a_version_without_a_tree_must_be_fetched() {
    let machine = Machine::new();
    let mut installation = machine.open();
    let missing = release("1.0.0");
    let attempt = missing.attempt(AttemptKind::Update);
    let error = installation.install(attempt, None, &|| at(0)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotInstalled);
    let error = installation.verify(&missing.version).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotInstalled);
}

#[test]
fn a_lack_of_space_is_found_before_anything_is_unpacked() {
    let machine = Machine::new();
    drop(machine.open());
    let limits = Limits { reserve_bytes: u64::MAX, ..Limits::default() };
    let files = Box::new(FailingFileSystem::new(Failure::Crash, 0));
    let mut full = Installation::open_with(&machine.root(), &at(0), files, limits).unwrap();
    let error = full.put(&release("1.0.0"), AttemptKind::Update).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSpace);
    assert_eq!(machine.seen(), None);
}

#[test]
fn one_process_at_a_time() {
    let machine = Machine::new();
    let first = machine.open();
    let files = FailingFileSystem::new(Failure::Crash, 0);
    let error = machine.try_open(at(0), files.clone()).unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Locked, true));
    drop(first);
    machine.try_open(at(0), files).unwrap();
}

#[test]
fn the_real_file_system_does_it_all() {
    let machine = Machine::new();
    let mut installation = Installation::open(&machine.root(), &at(0)).unwrap();
    let (old, new) = (release("1.0.0"), release("1.1.0"));
    installation.update(&old);
    machine.write_data("old");
    installation.update(&new);
    machine.write_data("new");
    installation.go_back(&old, order(1));
    assert_eq!(
        (machine.seen().as_deref(), machine.data().as_deref()),
        (Some("1.0.0"), Some("old"))
    );
    let failing = release("1.2.0").checked("echo bad > \"$MAINSTAY_DATA/state\"; exit 1");
    installation.update(&failing);
    assert_eq!(
        (machine.seen().as_deref(), machine.data().as_deref()),
        (Some("1.0.0"), Some("old"))
    );
    machine.assert_swept(&installation);
}

#[test]
fn everything_is_durable_before_the_journal_says_so() {
    let machine = Machine::new();
    machine.open().update(&release("1.0.0"));
    fs::create_dir(machine.layout().data()).unwrap();
    fs::write(machine.layout().data().join("state"), "old").unwrap();
    let files = FailingFileSystem::new(Failure::Crash, 0);
    let mut installation = machine.try_open(at(0), files.clone()).unwrap();
    installation.update(&release("1.1.0").checked("exit 1"));
    let journal = "write .mainstay/journal.new
rename to .mainstay/journal
sync .mainstay";
    let expected = format!(
        "unpack .mainstay/staging/1.1.0
{journal}
sync all of .mainstay/staging/1.1.0
rename to versions/1.1.0
sync versions
{journal}
create .mainstay/snapshots/2
copy to .mainstay/snapshots/2/state
attributes .mainstay/snapshots/2
sync all of .mainstay/snapshots
sync .mainstay/snapshots
{journal}
link .mainstay/staging/current
rename to current
sync \n{journal}
create .mainstay/staging/data
copy to .mainstay/staging/data/state
attributes .mainstay/staging/data
sync all of .mainstay/staging/data
exchange data
sync \nlink .mainstay/staging/current
rename to current
sync \n{journal}
rename to .mainstay/trash/1.1.0
remove .mainstay/snapshots/2
remove .mainstay/staging/data
remove .mainstay/trash/1.1.0"
    );
    assert_eq!(files.trace(&machine.root()).join("\n"), expected);
}
