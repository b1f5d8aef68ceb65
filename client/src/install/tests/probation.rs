use super::*;

fn on_probation(machine: &Machine) -> Installation {
    let mut installation = machine.open();
    installation.update(&release("1.0.0"));
    installation.delivered(u64::MAX).unwrap();
    machine.write_data("old");
    let outcome = installation.update(&release("1.1.0").confirmed_within(60));
    let deadline = wall(1060);
    let (from, to) = (Some(version("1.0.0")), version("1.1.0"));
    assert_eq!(outcome, Outcome::Probation { from, to, deadline });
    machine.write_data("new");
    installation
}

fn reopened(machine: &Machine, now: Moment) -> Installation {
    machine.try_open(now, FailingFileSystem::new(Failure::Crash, 0)).unwrap()
}

#[test]
fn a_probation_survives_until_it_is_confirmed() {
    let machine = Machine::new();
    drop(on_probation(&machine));
    let mut installation = reopened(&machine, at(1059));
    assert_eq!((machine.seen().as_deref(), installation.recovery()), (Some("1.1.0"), None));
    assert_eq!(installation.story(), [(3, EventKind::Installed, "1.1.0".to_owned())]);
    assert_eq!(installation.end_probation(&at(1059)).unwrap(), None);

    let outcome = installation.confirm().unwrap();

    assert_eq!(outcome, Outcome::Committed { from: Some(version("1.0.0")), to: version("1.1.0") });
    assert_eq!(installation.record().probation, None);
    assert_eq!(installation.story().last().unwrap().1, EventKind::Confirmed);
    assert_eq!(machine.data().as_deref(), Some("new"));
    assert_eq!(installation.confirm().unwrap_err().kind(), ErrorKind::NoProbation);
    assert_eq!(installation.undo("").unwrap_err().kind(), ErrorKind::NoProbation);
    assert_eq!(installation.end_probation(&at(9999)).unwrap(), None);
}

#[test]
fn the_deadline_ends_a_probation() {
    let machine = Machine::new();
    let mut installation = on_probation(&machine);
    let outcome = installation.end_probation(&at(1060)).unwrap().unwrap();
    let Outcome::Undone { from, to, reason } = outcome else { panic!("{outcome:?}") };
    assert_eq!((from, to), (version("1.1.0"), Some(version("1.0.0"))));
    assert!(reason.contains("1970-01-01T00:17:40Z"), "{reason}");
    assert_eq!(
        (machine.seen().as_deref(), machine.data().as_deref()),
        (Some("1.0.0"), Some("old"))
    );
    assert!(installation.record().block(&version("1.1.0")).is_some());
    machine.assert_swept(&installation);
}

#[test]
fn opening_after_the_deadline_ends_a_probation_so_that_a_late_confirmation_does_not_count() {
    let machine = Machine::new();
    drop(on_probation(&machine));
    let mut installation = reopened(&machine, at(1060));
    let recovery = installation.recovery().unwrap();
    assert!(recovery.contains("1.1.0 was undone"), "{recovery}");
    assert_eq!(installation.confirm().unwrap_err().kind(), ErrorKind::NoProbation);
    assert_eq!(
        (machine.seen().as_deref(), machine.data().as_deref()),
        (Some("1.0.0"), Some("old"))
    );
}

/// A moment after the machine was started for the n-th time, with its clock wherever it is.
fn after_start(number: u32, uptime_seconds: u64, wall_second: u32) -> Moment {
    Moment { wall: wall(wall_second), boot: format!("start {number}"), uptime_seconds }
}

#[test]
fn a_probation_goes_on_after_a_start_with_what_remained_of_it() {
    let machine = Machine::new();
    drop(on_probation(&machine));
    // Twenty seconds of its sixty are over; then the power fails, and the clock is lost.
    drop(reopened(&machine, at(1020)));
    for (uptime, clock) in [(5, 0), (6, 900_000), (44, 0)] {
        let installation = reopened(&machine, after_start(1, uptime, clock));
        assert_eq!(installation.recovery(), None, "{uptime}");
        let watch = installation.record().probation.as_ref().unwrap().watch.as_ref().unwrap();
        assert_eq!((watch.remaining_seconds, watch.starts), (45 - uptime, 1));
    }
    assert_eq!(machine.seen().as_deref(), Some("1.1.0"));
    let installation = reopened(&machine, after_start(1, 45, 0));
    assert_eq!(
        (machine.seen().as_deref(), machine.data().as_deref()),
        (Some("1.0.0"), Some("old"))
    );
    assert!(installation.record().block(&version("1.1.0")).is_some());
}

#[test]
fn a_machine_that_is_started_again_and_again_has_not_confirmed() {
    let machine = Machine::new();
    drop(on_probation(&machine));
    for number in 1..=5 {
        drop(reopened(&machine, after_start(number, 3, 0)));
        assert_eq!(machine.seen().as_deref(), Some("1.1.0"), "start {number}");
    }
    let installation = reopened(&machine, after_start(6, 3, 0));
    assert_eq!(machine.seen().as_deref(), Some("1.0.0"));
    let reason = &installation.record().block(&version("1.1.0")).unwrap().reason;
    assert!(reason.contains("started 6 times"), "{reason}");
}

#[test]
fn a_clock_that_is_set_changes_nothing_about_a_probation() {
    let machine = Machine::new();
    drop(on_probation(&machine));
    let set = |second: u32, clock: u32| Moment { wall: wall(clock), ..at(second) };
    drop(reopened(&machine, set(1059, 4_000_000_000)));
    assert_eq!(machine.seen().as_deref(), Some("1.1.0"));
    drop(reopened(&machine, set(1060, 0)));
    assert_eq!(machine.seen().as_deref(), Some("1.0.0"));
}

#[test]
fn a_probation_that_an_older_agent_began_has_until_its_deadline() {
    let machine = Machine::new();
    let mut installation = on_probation(&machine);
    let forget = |journal: &mut Journal| journal.record.probation.as_mut().unwrap().watch = None;
    installation.engine.write(forget).unwrap();
    drop(installation);
    drop(reopened(&machine, at(1059)));
    assert_eq!(machine.seen().as_deref(), Some("1.1.0"));
    drop(reopened(&machine, at(1060)));
    assert_eq!(machine.seen().as_deref(), Some("1.0.0"));
}

#[test]
fn an_undone_probation_brings_back_version_and_data() {
    let machine = Machine::new();
    let mut installation = on_probation(&machine);
    let outcome = installation.undo("the reports are wrong").unwrap();
    let reason = "the reports are wrong".to_owned();
    let (from, to) = (version("1.1.0"), Some(version("1.0.0")));
    assert_eq!(outcome, Outcome::Undone { from, to, reason: reason.clone() });
    assert_eq!(
        (machine.seen().as_deref(), machine.data().as_deref()),
        (Some("1.0.0"), Some("old"))
    );
    assert_eq!(installation.record().block(&version("1.1.0")).unwrap().reason, reason);
}

#[test]
fn no_update_during_a_probation() {
    let machine = Machine::new();
    let mut installation = on_probation(&machine);
    let error = installation.put(&release("1.2.0"), AttemptKind::Update).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OnProbation);
    assert_eq!(machine.seen().as_deref(), Some("1.1.0"));
    installation.confirm().unwrap();
    installation.update(&release("1.2.0"));
}

#[test]
fn a_rollback_order_during_a_probation_undoes_it() {
    let machine = Machine::new();
    let mut installation = on_probation(&machine);
    let outcome = installation.go_back(&release("1.0.0"), order(5));
    assert_eq!(outcome, Outcome::RolledBack { from: version("1.1.0"), to: version("1.0.0") });
    assert_eq!(
        (machine.seen().as_deref(), machine.data().as_deref()),
        (Some("1.0.0"), Some("old"))
    );
    let last = installation.events().last().unwrap();
    assert_eq!((last.kind, last.order), (EventKind::RolledBack, Some(5)));
    assert!(installation.record().block(&version("1.1.0")).is_some());
}

#[test]
fn a_rollback_order_during_a_probation_leads_further_down_but_not_up_again() {
    let machine = Machine::new();
    let mut installation = on_probation(&machine);
    let between = installation.put(&release("1.0.5"), order(5)).unwrap_err();
    assert_eq!(between.kind(), ErrorKind::WrongDirection);
    assert_eq!(machine.seen().as_deref(), Some("1.0.0"));

    installation.update(&release("1.2.0").confirmed_within(60));
    installation.put(&release("0.9.0"), order(6)).unwrap();
    assert_eq!(machine.seen().as_deref(), Some("0.9.0"));
    assert!(installation.record().block(&version("1.0.0")).is_some());
}

#[test]
fn a_rollback_can_have_a_probation_too() {
    let machine = Machine::new();
    let mut installation = machine.open();
    let old = release("1.0.0").confirmed_within(60);
    installation.update(&old);
    installation.confirm().unwrap();
    installation.update(&release("1.1.0"));
    installation.delivered(u64::MAX).unwrap();
    let outcome = installation.go_back(&old, order(2));
    assert!(matches!(outcome, Outcome::Probation { .. }), "{outcome:?}");
    assert!(installation.events().is_empty());
    installation.confirm().unwrap();
    assert_eq!(installation.events().last().unwrap().kind, EventKind::RolledBack);
    assert!(installation.record().block(&version("1.1.0")).is_some());
}
