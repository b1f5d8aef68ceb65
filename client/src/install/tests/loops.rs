//! Nothing is tried for ever.

use super::*;
use crate::install::journal::{Change, Fault, Stage, Undoing};

fn usual() -> Limits {
    Limits { reserve_bytes: 0, ..Limits::default() }
}

fn reopen(machine: &Machine, files: FailingFileSystem) -> Result<Installation, Error> {
    machine.try_open_within(usual(), at(0), files)
}

fn reopened(machine: &Machine) -> Installation {
    reopen(machine, FailingFileSystem::new(Failure::Crash, 0)).unwrap()
}

/// A machine with 1.0.0 and its data.
fn prepared() -> Machine {
    let machine = Machine::new();
    let mut installation = machine.open();
    installation.update(&release("1.0.0"));
    installation.delivered(u64::MAX).unwrap();
    machine.write_data("old");
    machine
}

/// The machine stops while `release` is being checked.
fn stop_while_switching(installation: &mut Installation, release: &Release) {
    let from = installation.running().cloned();
    let attempt = release.attempt(AttemptKind::Update);
    let change = Change { from, attempt, run: String::new() };
    installation.stage(&change.attempt, &mut &*release.payload).unwrap();
    let fetched = installation.engine.idle().unwrap().fetch(change).unwrap();
    let Prepared::Ready(ready) = fetched.stage().unwrap().prepare().unwrap() else {
        panic!("there is no hook");
    };
    ready.switch().unwrap();
}

#[test]
fn a_version_that_stops_the_machine_each_time_is_blocked_after_a_while() {
    let machine = prepared();
    let bad = release("1.1.0");
    for time in 1..=3 {
        let mut installation = reopened(&machine);
        assert_eq!(installation.running(), Some(&version("1.0.0")));
        assert_eq!(installation.record().block(&bad.version), None, "before time {time}");
        stop_while_switching(&mut installation, &bad);
    }
    let mut installation = reopened(&machine);
    let block = installation.record().block(&bad.version).unwrap();
    assert!(block.reason.contains("stopped 3 times in a row"), "{}", block.reason);
    let kinds: Vec<_> = installation.events().iter().map(|event| event.kind).collect();
    assert_eq!(kinds, [EventKind::Interrupted, EventKind::Interrupted, EventKind::Undone]);
    assert_eq!(
        (machine.seen().as_deref(), machine.data().as_deref()),
        (Some("1.0.0"), Some("old"))
    );

    // Somebody wants it tried again, and it is, as often as at first.
    assert!(installation.unblock(&bad.version).unwrap());
    assert!(!installation.unblock(&bad.version).unwrap());
    assert_eq!(installation.events().last().unwrap().kind, EventKind::Unblocked);
    stop_while_switching(&mut installation, &bad);
    drop(installation);
    let mut installation = reopened(&machine);
    assert_eq!(installation.record().block(&bad.version), None);
    installation.update(&bad);
    assert_eq!(machine.seen().as_deref(), Some("1.1.0"));
}

#[test]
fn only_stops_of_one_version_in_a_row_count() {
    let machine = prepared();
    for _ in 0..2 {
        stop_while_switching(&mut reopened(&machine), &release("1.2.0"));
    }
    stop_while_switching(&mut reopened(&machine), &release("1.1.0"));
    for _ in 0..2 {
        stop_while_switching(&mut reopened(&machine), &release("1.2.0"));
    }
    assert!(reopened(&machine).record().blocked.is_empty());
}

#[test]
fn an_undoing_that_is_always_cut_off_ends_at_the_old_version_and_says_what_was_left() {
    let machine = prepared();
    let mut installation = machine.open();
    installation.update(&release("1.1.0").confirmed_within(60));
    machine.write_data("new");
    let Stage::Probation(switch) = installation.engine.journal.stage.clone() else { panic!() };
    let undoing = Undoing { switch, reason: "bad".to_owned(), fault: Fault::Machine };
    installation.engine.begin_undoing(&undoing, None).unwrap();
    drop(installation);

    // Each time it gets as far as putting the data back.
    for _ in 0..usual().recoveries_max {
        reopen(&machine, FailingFileSystem::new(Failure::Crash, 6)).unwrap_err();
        assert_eq!(machine.seen().as_deref(), Some("1.1.0"));
    }
    let installation = reopened(&machine);
    assert_eq!(
        (machine.seen().as_deref(), machine.data().as_deref()),
        (Some("1.0.0"), Some("new"))
    );
    let aside = machine.layout().unrestored(2);
    assert_eq!(fs::read_to_string(aside.join("state")).unwrap(), "old");
    assert!(installation.record().block(&version("1.1.0")).is_some());
    let event = installation.events().last().unwrap();
    assert_eq!(event.kind, EventKind::Undone);
    for part in ["bad", "cut off 5 times", &*aside.display().to_string()] {
        assert!(event.detail.contains(part), "{part} in {}", event.detail);
    }
    machine.assert_swept(&installation);
    drop(installation);
    let mut installation = reopened(&machine);
    assert_eq!(installation.recovery(), None);
    installation.update(&release("1.2.0"));
}

#[test]
fn a_recovery_that_fails_and_is_not_cut_off_is_tried_for_as_long_as_it_takes() {
    let machine = prepared();
    stop_while_switching(&mut reopened(&machine), &release("1.1.0"));
    machine.write_data("new");
    for _ in 0..2 * usual().recoveries_max {
        reopen(&machine, FailingFileSystem::new(Failure::Refused, 8)).unwrap_err();
    }
    reopened(&machine);
    assert_eq!(
        (machine.seen().as_deref(), machine.data().as_deref()),
        (Some("1.0.0"), Some("old"))
    );
}

#[test]
fn what_is_given_up_for_the_same_cause_is_told_once() {
    let machine = prepared();
    let mut installation = reopened(&machine);
    let broken = |installation: &mut Installation| {
        let attempt = release("1.1.0").attempt(AttemptKind::Update);
        installation.install(attempt, Some(&mut &b"nonsense"[..]), &|| at(1000)).unwrap_err();
    };
    broken(&mut installation);
    let [event] = installation.events() else { panic!("{:?}", installation.events()) };
    assert_eq!((event.kind, event.to.to_string()), (EventKind::Interrupted, "1.1.0".to_owned()));
    assert!(event.detail.contains("cannot be unpacked"), "{}", event.detail);
    installation.delivered(u64::MAX).unwrap();
    broken(&mut installation);
    assert!(installation.events().is_empty());
    installation.update(&release("1.1.0"));
    assert!(installation.events().iter().all(|event| event.kind != EventKind::Interrupted));
}

#[test]
fn another_process_is_waited_for() {
    let machine = prepared();
    let holder = reopened(&machine);
    let waiting = Limits { lock_wait: std::time::Duration::from_mins(10), ..usual() };
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            machine.try_open_within(waiting, at(0), FailingFileSystem::new(Failure::Crash, 0))
        });
        let refused = reopen(&machine, FailingFileSystem::new(Failure::Crash, 0)).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Locked);
        drop(holder);
        waiter.join().unwrap().unwrap();
    });
}

#[test]
fn what_is_recorded_is_read_while_another_process_holds_the_lock() {
    let machine = prepared();
    let mut installation = reopened(&machine);
    stop_while_switching(&mut installation, &release("1.1.0"));
    let recorded = Recorded::read(&machine.layout(), &usual()).unwrap();
    assert_eq!(
        (recorded.stage, recorded.attempted),
        (StageName::Switching, Some(version("1.1.0")))
    );
    assert_eq!(recorded.record.running, Some(version("1.0.0")));
    let nowhere = Layout::new(machine.dir.path().join("nowhere"));
    assert_eq!(Recorded::read(&nowhere, &usual()).unwrap(), Recorded::default());
    assert!(!nowhere.root().exists());
}
