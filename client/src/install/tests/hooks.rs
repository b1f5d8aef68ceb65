use super::*;

/// Appends what it sees to a file beside the installation.
const NOTES: &str = "echo \"$MAINSTAY_HOOK $MAINSTAY_VERSION after $MAINSTAY_PREVIOUS_VERSION, \
                     current $(cat \"$MAINSTAY_ROOT/current/version\")\" >> \"$MAINSTAY_ROOT/../notes\"";

fn notes(machine: &Machine) -> Vec<String> {
    let text = fs::read_to_string(machine.dir.path().join("notes")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// A release whose programs note when they run, and end with these exit codes.
fn noting(text: &str, before: u8, after: u8, check: u8) -> Release {
    let script = |code: u8| format!("{NOTES}; echo said by $MAINSTAY_HOOK; exit {code}");
    release(text).hooked(Some(&script(before)), Some(&script(after))).checked(&script(check))
}

/// A machine with 1.0.0, which has hooks, and its data.
fn prepared() -> (Machine, Installation) {
    let machine = Machine::new();
    let mut installation = machine.open();
    installation.update(&noting("1.0.0", 0, 0, 0));
    installation.delivered(u64::MAX).unwrap();
    machine.write_data("old");
    fs::remove_file(machine.dir.path().join("notes")).unwrap();
    (machine, installation)
}

#[test]
fn hooks_run_before_and_after_the_switch_and_what_they_say_is_told() {
    let (machine, mut installation) = prepared();
    let outcome = installation.update(&noting("1.1.0", 0, 0, 0));
    assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
    assert_eq!(
        notes(&machine),
        [
            "before 1.1.0 after 1.0.0, current 1.0.0",
            "after 1.1.0 after 1.0.0, current 1.1.0",
            "check 1.1.0 after 1.0.0, current 1.1.0",
        ]
    );
    assert_eq!(installation.events()[0].kind, EventKind::Installed);
    assert_eq!(installation.events()[0].detail, "said by before\nsaid by after");
}

#[test]
fn where_the_hook_before_fails_nothing_changes() {
    let (machine, mut installation) = prepared();
    let outcome = installation.update(&noting("1.1.0", 3, 0, 0));
    let Outcome::Undone { from, to, reason } = outcome else { panic!("{outcome:?}") };
    assert_eq!((from, to), (version("1.1.0"), Some(version("1.0.0"))));
    assert!(reason.contains("hook before the switch") && reason.contains("exit status: 3"));
    // What the one has stopped, the other starts again.
    assert_eq!(
        notes(&machine),
        ["before 1.1.0 after 1.0.0, current 1.0.0", "after 1.0.0 after 1.1.0, current 1.0.0"]
    );
    assert_eq!(
        (machine.seen().as_deref(), machine.data().as_deref()),
        (Some("1.0.0"), Some("old"))
    );
    assert!(installation.record().block(&version("1.1.0")).is_some());
    assert_eq!(installation.events().last().unwrap().kind, EventKind::Undone);
    assert!(installation.engine.journal.snapshots.iter().all(|it| it.number < 2), "no copy");
    machine.assert_swept(&installation);
}

#[test]
fn where_the_hook_after_fails_the_update_is_undone() {
    let (machine, mut installation) = prepared();
    let spoils = format!("{NOTES}; echo new > \"$MAINSTAY_DATA/state\"; exit 4");
    let bad = release("1.1.0").hooked(None, Some(&spoils)).checked("exit 0");
    let outcome = installation.update(&bad);
    let Outcome::Undone { reason, .. } = outcome else { panic!("{outcome:?}") };
    assert!(reason.contains("hook after the switch") && reason.contains("exit status: 4"));
    assert_eq!(
        notes(&machine),
        ["after 1.1.0 after 1.0.0, current 1.1.0", "after 1.0.0 after 1.1.0, current 1.0.0"]
    );
    assert_eq!(
        (machine.seen().as_deref(), machine.data().as_deref()),
        (Some("1.0.0"), Some("old"))
    );
    assert!(installation.record().block(&version("1.1.0")).is_some());
}

#[test]
fn what_goes_wrong_on_the_way_back_is_told_too() {
    let (machine, mut installation) = prepared();
    let failing = "test \"$MAINSTAY_PREVIOUS_VERSION\" = 1.0.0 || { echo cannot start; exit 5; }";
    installation.update(&release("1.1.0").hooked(None, Some(failing)));
    let outcome = installation.update(&release("1.2.0").checked("exit 1"));
    let Outcome::Undone { reason, .. } = outcome else { panic!("{outcome:?}") };
    assert!(reason.contains("as 1.1.0 ran again") && reason.contains("cannot start"), "{reason}");
    assert_eq!(machine.seen().as_deref(), Some("1.1.0"));
}

#[test]
fn a_release_that_says_not_now_is_put_off_without_blame() {
    for (codes, is_switched) in [((21, 0, 0), false), ((0, 21, 0), true), ((0, 0, 21), true)] {
        let (machine, mut installation) = prepared();
        let (before, after, check) = codes;
        let outcome = installation.update(&noting("1.1.0", before, after, check));
        let Outcome::Deferred { version: put_off, running, reason } = outcome else {
            panic!("{codes:?}: {outcome:?}")
        };
        assert_eq!((put_off, running), (version("1.1.0"), Some(version("1.0.0"))));
        assert!(reason.contains("said not now"), "{reason}");
        assert_eq!(notes(&machine).iter().any(|it| it.starts_with("after 1.1.0")), is_switched);
        assert_eq!(
            (machine.seen().as_deref(), machine.data().as_deref()),
            (Some("1.0.0"), Some("old"))
        );
        assert!(installation.record().blocked.is_empty());
        let [event] = installation.events() else { panic!("{:?}", installation.events()) };
        assert_eq!((event.kind, event.to.to_string()), (EventKind::Deferred, "1.1.0".to_owned()));
        machine.assert_swept(&installation);
        // The tree is there already.
        let again = noting("1.1.0", 0, 0, 0).attempt(AttemptKind::Update);
        installation.install(again, None, &|| at(1000)).unwrap();
        assert_eq!(machine.seen().as_deref(), Some("1.1.0"));
    }
}

#[test]
fn a_stop_during_the_hook_before_leaves_the_old_version_which_is_started_again() {
    let (machine, mut installation) = prepared();
    let new = noting("1.1.0", 0, 0, 0);
    let from = installation.running().cloned();
    let change = Change { from, attempt: new.attempt(AttemptKind::Update), run: String::new() };
    installation.stage(&change.attempt, &mut &*new.payload).unwrap();
    let fetched = installation.engine.idle().unwrap().fetch(change).unwrap();
    drop(fetched.stage().unwrap().prepare().unwrap());
    drop(installation);
    let installation = machine.open();
    assert!(installation.recovery().unwrap().contains("given up"));
    assert_eq!(notes(&machine).last().unwrap(), "after 1.0.0 after 1.1.0, current 1.0.0");
    assert_eq!(installation.events().last().unwrap().kind, EventKind::Interrupted);
    assert_eq!(machine.seen().as_deref(), Some("1.0.0"));
}

#[test]
fn hooks_of_a_rollback_are_those_of_the_version_that_it_leads_to() {
    let (machine, mut installation) = prepared();
    installation.update(&release("1.1.0"));
    installation.go_back(&noting("1.0.0", 0, 0, 0), order(1));
    assert_eq!(
        notes(&machine)[..2],
        ["before 1.0.0 after 1.1.0, current 1.1.0", "after 1.0.0 after 1.1.0, current 1.0.0"]
    );
}
