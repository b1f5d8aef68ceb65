//! The machine stops, or its disk refuses, at every change that enrolling and updating make.

use super::{healing::fast_forwarded, vendor::Particulars, *};
use crate::{
    error::ErrorKind,
    format::{RetryOrder, wire::EventKind},
    fs::Failure,
};

const FAILURES: [Failure; 3] = [Failure::Crash, Failure::Refused, Failure::Unreported];

/// Runs `act` with a failure at the first change, the second, … until there are no more, and `after`
/// after each.
fn fail_everywhere<T: std::fmt::Debug>(
    failures: &[Failure],
    prepare: impl Fn() -> Machine,
    act: impl Fn(&Machine, Surroundings) -> Result<T, Error>,
    after: impl Fn(&Machine, bool, &str),
) -> usize {
    let mut most = 0;
    for failure in failures.iter().copied() {
        for nth in 1.. {
            let machine = prepare();
            let files = FailingFileSystem::new(failure, nth);
            let acted = act(&machine, machine.surroundings_on(&files));
            let is_done = files.changes() < nth;
            after(&machine, acted.is_ok(), &format!("{failure:?} at change {nth}: {acted:?}"));
            if is_done {
                assert!(acted.is_ok(), "{failure:?} at change {nth}: {acted:?}");
                most = most.max(nth);
                break;
            }
        }
    }
    most
}

#[test]
fn an_enrolment_that_breaks_off_leaves_the_machine_enrolled_or_not_and_is_made_good_by_another() {
    let changes = fail_everywhere(
        &FAILURES,
        Machine::new,
        |machine, surroundings| Client::enroll_within(&machine.options(), surroundings),
        |machine, was_told, case| {
            match Client::open_within(machine.folder.path(), machine.surroundings()) {
                Ok(mut client) => {
                    client.check().unwrap_or_else(|error| panic!("{case}: {error}"));
                }
                Err(error) => {
                    assert!(!was_told, "{case}");
                    assert_eq!(error.kind(), ErrorKind::NotEnrolled, "{case}: {error}");
                }
            }
            machine.enroll(&machine.options()).unwrap_or_else(|error| panic!("{case}: {error}"));
            machine.server().offer("2.4.0", &Particulars::default());
            machine.update().unwrap_or_else(|error| panic!("{case}: {error}"));
            assert_eq!(machine.runs().unwrap().to_string(), "2.4.0", "{case}");
            let left_over = walkdir::WalkDir::new(machine.folder.path().join(".mainstay"));
            let left_over = left_over.into_iter().map(Result::unwrap);
            let mut left_over = left_over.map(|entry| entry.file_name().to_owned());
            assert!(!left_over.any(|it| it.to_string_lossy().starts_with(".new-")), "{case}");
        },
    );
    assert!(changes > 15, "only {changes} changes");
}

#[test]
fn enrolling_again_never_costs_a_machine_what_it_runs_and_trusts() {
    fail_everywhere(
        &FAILURES,
        || Machine::running("2.4.0"),
        |machine, surroundings| Client::enroll_within(&machine.options(), surroundings),
        |machine, _, case| {
            assert_eq!(machine.runs().unwrap().to_string(), "2.4.0", "{case}");
            machine.enroll(&machine.options()).unwrap_or_else(|error| panic!("{case}: {error}"));
            machine.server().offer("2.4.1", &Particulars::default());
            machine.update().unwrap_or_else(|error| panic!("{case}: {error}"));
            assert_eq!(machine.runs().unwrap().to_string(), "2.4.1", "{case}");
        },
    );
}

#[test]
fn an_update_during_which_the_machine_stops_is_made_good_with_all_that_is_trusted() {
    break_an_update_off(Failure::Crash);
}

#[test]
fn an_update_that_the_disk_refuses_is_made_good_with_all_that_is_trusted() {
    break_an_update_off(Failure::Refused);
}

fn break_an_update_off(failure: Failure) {
    let changes = fail_everywhere(
        &[failure],
        || {
            let machine = Machine::running("2.4.0");
            machine.server().offer("2.4.1", &Particulars::default());
            machine
        },
        |machine, surroundings| {
            let mut client = Client::open_within(machine.folder.path(), surroundings)?;
            client.update(&mut |_| {})
        },
        |machine, _, case| {
            let running = machine.runs().unwrap().to_string();
            assert!(["2.4.0", "2.4.1"].contains(&&*running), "{running}: {case}");
            machine.update().unwrap_or_else(|error| panic!("{case}: {error}"));
            assert_eq!(machine.runs().unwrap().to_string(), "2.4.1", "{case}");
        },
    );
    assert!(changes > 40, "only {changes} changes");
}

/// What is to be forgotten when a root brings other online keys is forgotten before that root is kept.
#[test]
fn a_recovery_from_a_fast_forward_that_breaks_off_is_made_good() {
    fail_everywhere(
        &[Failure::Crash],
        || {
            let machine = fast_forwarded();
            machine.server().vendor.rotate_snapshot_key();
            machine
        },
        |machine, surroundings| Client::open_within(machine.folder.path(), surroundings)?.check(),
        |machine, _, case| {
            machine.check().unwrap_or_else(|error| panic!("{case}: {error}"));
        },
    );
}

/// An order to try a version again, the version itself failing again, with the machine stopping at every
/// change of the disk: the order counts once.
#[test]
fn an_order_to_try_again_counts_once_wherever_the_machine_stops() {
    let failing = || Particulars { check: Some("exit 3"), ..Particulars::default() };
    let changes = fail_everywhere(
        &FAILURES,
        || {
            let machine = Machine::running("2.4.0");
            machine.server().offer("2.4.1", &failing());
            machine.update().unwrap();
            machine.server().plan.retry = Some(RetryOrder {
                number: 7,
                version: "2.4.1".parse().unwrap(),
                reason: "the disk is larger".to_owned(),
                ticket: None,
            });
            machine.server().plan.version += 1;
            machine
        },
        |machine, surroundings| {
            Client::open_within(machine.folder.path(), surroundings)?.check().map(drop)
        },
        |machine, _, case| {
            // Whatever happened, the version is tried once more, and fails.
            let update = machine.update().unwrap_or_else(|error| panic!("{case}: {error}"));
            let is_undone = matches!(update.outcome, Some(Outcome::Undone { .. }));
            assert!(is_undone, "{case}: {:?}", update.outcome);
            let error = machine.update().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Blocked, "{case}: {error}");
            let events = machine.server().events.clone();
            let retried = events.iter().filter(|event| event.kind == EventKind::Retried).count();
            assert_eq!(retried, 1, "{case}: {events:?}");
        },
    );
    assert!(changes > 5, "only {changes} changes");
}
