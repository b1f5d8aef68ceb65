use super::*;

#[test]
fn a_release_that_fails_its_check_is_undone_blocked_and_reported() {
    let machine = Machine::new();
    let mut installation = machine.open();
    installation.update(&release("1.0.0"));
    installation.delivered(u64::MAX).unwrap();

    let bad = release("1.1.0").checked("echo the database is gone; echo really >&2; exit 3");
    let outcome = installation.update(&bad);

    let Outcome::Undone { from, to, reason } = outcome else { panic!("{outcome:?}") };
    assert_eq!((from, to), (version("1.1.0"), Some(version("1.0.0"))));
    for part in ["exit status: 3", "the database is gone", "really"] {
        assert!(reason.contains(part), "{part} in {reason}");
    }
    assert_eq!(machine.seen().as_deref(), Some("1.0.0"));
    assert_eq!(installation.running(), Some(&version("1.0.0")));
    let [event] = installation.events() else { panic!("{:?}", installation.events()) };
    assert_eq!((event.kind, event.from.as_ref()), (EventKind::Undone, Some(&version("1.0.0"))));
    assert!(event.detail.contains("the database is gone"));

    let again = installation.put(&bad, AttemptKind::Update).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::Blocked);
    assert!(again.to_string().contains("the database is gone"), "{again}");
    // A later version is not blocked, and a block can be lifted.
    installation.unblock(&version("1.1.0")).unwrap();
    installation.update(&release("1.1.0"));
    installation.update(&release("1.2.0"));
    assert_eq!(machine.seen().as_deref(), Some("1.2.0"));
}

#[test]
fn a_first_release_that_fails_leaves_nothing_running() {
    let machine = Machine::new();
    let mut installation = machine.open();
    let bad = release("1.0.0").checked("mkdir \"$MAINSTAY_DATA\"; exit 1");
    let outcome = installation.update(&bad);
    assert!(matches!(outcome, Outcome::Undone { to: None, .. }), "{outcome:?}");
    assert!(fs::symlink_metadata(machine.layout().current()).is_err());
    assert!(!machine.layout().data().exists());
    machine.assert_swept(&installation);
}

#[test]
fn a_check_that_cannot_be_started_is_a_failure() {
    let machine = Machine::new();
    let mut installation = machine.open();
    installation.update(&release("1.0.0"));
    for (text, program) in
        [("1.1.0", "no-such-program"), ("1.2.0", "bin/missing"), ("1.3.0", "../x")]
    {
        let mut bad = release(text).checked("");
        bad.health.as_mut().unwrap().command = vec![program.to_owned()];
        let outcome = installation.update(&bad);
        let Outcome::Undone { reason, .. } = outcome else { panic!("{outcome:?}") };
        assert!(reason.contains(program), "{reason}");
        assert_eq!(machine.seen().as_deref(), Some("1.0.0"));
    }
}

#[test]
fn a_rollback_blocks_what_was_left_and_nothing_above() {
    let machine = Machine::new();
    let mut installation = machine.open();
    let (old, new) = (release("1.0.0"), release("1.1.0"));
    installation.update(&old);
    installation.update(&new);
    installation.delivered(u64::MAX).unwrap();

    installation.go_back(&old, order(7));

    let block = installation.record().block(&new.version).unwrap();
    assert_eq!(block.reason, "rolled back by order 7: reports are wrong");
    let [event] = installation.events() else { panic!("{:?}", installation.events()) };
    assert_eq!((event.kind, event.order), (EventKind::RolledBack, Some(7)));
    let error = installation.put(&new, AttemptKind::Update).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Blocked);
    installation.update(&release("1.1.1"));
    // An order reaches a blocked version, and what runs by order is not blocked.
    installation.go_back(&new, order(8));
    assert_eq!(machine.seen().as_deref(), Some("1.1.0"));
    assert_eq!(installation.record().block(&new.version), None);
}

#[test]
fn a_rollback_that_fails_goes_back_to_what_ran_and_says_so() {
    let machine = Machine::new();
    let mut installation = machine.open();
    let (old, new) = (release("1.0.0").checked("test ! -e broken"), release("1.1.0"));
    installation.update(&old);
    machine.write_data("old");
    installation.update(&new);
    machine.write_data("new");
    installation.delivered(u64::MAX).unwrap();

    // The same signed tree, with a check that fails by now.
    let mut failing = old.clone();
    failing.health = old.clone().checked("exit 9").health;
    let outcome = installation.go_back(&failing, order(3));

    let Outcome::Undone { from, to, reason } = outcome else { panic!("{outcome:?}") };
    assert_eq!((from, to), (old.version.clone(), Some(new.version.clone())));
    assert!(reason.contains("exit status: 9"), "{reason}");
    assert_eq!(
        (machine.seen().as_deref(), machine.data().as_deref()),
        (Some("1.1.0"), Some("new"))
    );
    assert!(installation.record().blocked.is_empty());
    let [event] = installation.events() else { panic!("{:?}", installation.events()) };
    assert_eq!((event.kind, event.order), (EventKind::Undone, Some(3)));
    // The snapshot that belongs to the old version is still there.
    installation.go_back(&old, order(4));
    assert_eq!(
        (machine.seen().as_deref(), machine.data().as_deref()),
        (Some("1.0.0"), Some("old"))
    );
}

fn previous(installation: &Installation) -> Option<Version> {
    installation.record().previous().map(|tree| tree.version.clone())
}

#[test]
fn a_rollback_ordered_at_the_machine_goes_to_the_previous_version() {
    let machine = Machine::new();
    let mut installation = machine.open();
    assert_eq!(installation.record().previous(), None);
    for text in ["1.0.0", "1.1.0", "1.2.0"] {
        installation.update(&release(text));
    }
    assert_eq!(previous(&installation), Some(version("1.1.0")));
    installation.go_back(&release("1.1.0"), AttemptKind::LocalRollback);
    assert_eq!(previous(&installation), Some(version("1.0.0")));
    installation.raise_floor(&version("1.1.0")).unwrap();
    assert_eq!(installation.record().previous(), None);
    assert_eq!(installation.events().last().unwrap().order, None);
}

#[test]
fn the_check_sees_its_place_and_nothing_else() {
    let machine = Machine::new();
    let mut installation = machine.open();
    installation.update(&release("1.0.0"));
    let script = "test \"$MAINSTAY_VERSION $MAINSTAY_PREVIOUS_VERSION\" = '1.1.0 1.0.0' || exit 1
        test \"$(cat version)\" = 1.1.0 || exit 2
        test \"$MAINSTAY_DATA\" = \"$MAINSTAY_ROOT/data\" || exit 3
        test \"$(cat \"$MAINSTAY_ROOT/current/version\")\" = 1.1.0 || exit 4
        test -z \"$CARGO_MANIFEST_DIR\" || exit 5
        read line && exit 6
        exit 0";
    let outcome = installation.update(&release("1.1.0").checked(script));
    assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
}
