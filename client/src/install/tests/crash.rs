//! The machine stops, or the disk refuses, at every single change that is made to it.

use super::*;

/// Something to be interrupted.
struct Scenario {
    prepare: fn(&Machine),
    act: fn(&mut Installation) -> Result<Outcome, Error>,
    /// What may run afterwards, and the data that belong to it. The last is what runs when nothing
    /// goes wrong.
    endings: &'static [(&'static str, &'static str)],
    /// How often the disk is changed at the least; a test that interrupts nothing shows nothing.
    changes_min: usize,
}

const UPDATE: Scenario = Scenario {
    prepare: |machine| {
        machine.open().update(&release("1.0.0"));
        machine.write_data("old");
    },
    act: |installation| installation.put(&release("1.1.0").checked(MIGRATES), AttemptKind::Update),
    endings: &[("1.0.0", "old"), ("1.1.0", "new")],
    changes_min: 25,
};

/// A release that binds the machine to a floor as soon as it runs.
const FLOORED_UPDATE: Scenario = Scenario {
    act: |installation| {
        let release = release("1.1.0").checked(MIGRATES).floored("1.1.0");
        installation.put(&release, AttemptKind::Update)
    },
    ..UPDATE
};

const FLOORED_UPDATE_TO_PROBATION: Scenario = Scenario {
    act: |installation| {
        let mut release = release("1.1.0").checked(MIGRATES).floored("1.1.0");
        release.health.as_mut().unwrap().confirm_within_seconds = Some(60);
        installation.put(&release, AttemptKind::Update)
    },
    ..UPDATE
};

const FAILING_UPDATE: Scenario = Scenario {
    prepare: UPDATE.prepare,
    act: |installation| {
        let script = format!("{MIGRATES}; exit 1");
        installation.put(&release("1.1.0").checked(&script), AttemptKind::Update)
    },
    endings: &[("1.0.0", "old")],
    changes_min: 45,
};

/// A release that has all that a release can have, over one that has it too.
const HOOKED_UPDATE: Scenario = Scenario {
    prepare: |machine| {
        machine.open().update(&release("1.0.0").hooked(Some("exit 0"), Some("exit 0")));
        machine.write_data("old");
    },
    act: |installation| {
        let new = release("1.1.0").checked("exit 0").hooked(Some("exit 0"), Some(MIGRATES));
        installation.put(&new, AttemptKind::Update)
    },
    changes_min: 28,
    ..UPDATE
};

/// A release whose hook after the switch says not now.
const DEFERRED_UPDATE: Scenario = Scenario {
    act: |installation| {
        let script = format!("{MIGRATES}; exit 21");
        let new = release("1.1.0").hooked(Some("exit 0"), Some(&script));
        installation.put(&new, AttemptKind::Update)
    },
    ..FAILING_UPDATE
};

const ROLLBACK: Scenario = Scenario {
    prepare: |machine| {
        let mut installation = machine.open();
        installation.update(&release("1.0.0"));
        machine.write_data("old");
        installation.update(&release("1.1.0"));
        machine.write_data("new");
    },
    act: |installation| {
        let attempt = release("1.0.0").checked("exit 0").attempt(order(1));
        installation.install(attempt, None, &|| at(1000))
    },
    endings: &[("1.1.0", "new"), ("1.0.0", "old")],
    changes_min: 30,
};

/// A rollback whose tree is fetched because somebody changed the kept one.
const FETCHED_ROLLBACK: Scenario = Scenario {
    prepare: |machine| {
        (ROLLBACK.prepare)(machine);
        fs::write(machine.layout().versions().join("1.0.0/notes"), "changed").unwrap();
    },
    act: |installation| installation.put(&release("1.0.0"), order(1)),
    endings: ROLLBACK.endings,
    changes_min: 35,
};

const UNDO: Scenario = Scenario {
    prepare: |machine| {
        (UPDATE.prepare)(machine);
        machine.open().update(&release("1.1.0").confirmed_within(60));
        machine.write_data("new");
    },
    act: |installation| installation.undo("bad"),
    endings: &[("1.1.0", "new"), ("1.0.0", "old")],
    changes_min: 15,
};

const CONFIRM: Scenario = Scenario {
    prepare: UNDO.prepare,
    act: Installation::confirm,
    endings: &[("1.1.0", "new")],
    changes_min: 3,
};

/// An update after which trees and copies of data are cleaned up.
const CLEAN_UP: Scenario = Scenario {
    prepare: |machine| {
        let mut installation = machine.open();
        for text in ["0.7.0", "0.8.0", "0.9.0", "1.0.0"] {
            installation.update(&release(text));
            machine.write_data("old");
        }
    },
    changes_min: 30,
    ..UPDATE
};

/// A release's migration of the data of [`Machine::write_data`].
const MIGRATES: &str = "cd \"$MAINSTAY_DATA\" && echo new > state && echo new > below/more && \
                        ln -sfn new link";

impl Scenario {
    /// Runs with a failure at the first change, the second, … until there are no more.
    fn fail_everywhere(&self, failure: Failure, exchanges: bool) {
        for nth in 1.. {
            let machine = Machine::new();
            (self.prepare)(&machine);
            let mut files = FailingFileSystem::new(failure, nth);
            if !exchanges {
                files = files.without_exchange();
            }
            let acted = machine
                .try_open(at(0), files.clone())
                .and_then(|mut installation| (self.act)(&mut installation));
            let case = format!("{failure:?} at change {nth}: {acted:?}");
            let is_done = files.changes() < nth;

            assert_one_version_is_seen(&machine, &case);
            interrupt_recovery(&machine, &case);
            let installation = machine.open();
            let ended = self.assert_ending(&machine, &installation, &case);
            assert!(
                installation.record().probation.is_none() || self.acts_on_probation(),
                "{case}"
            );
            machine.assert_swept(&installation);
            assert_events_tell_what_is_blocked(&installation, &case);
            // Whoever was told that it worked must find it so.
            if acted.is_ok() {
                assert_eq!(Some(&ended), self.endings.last(), "{case}");
            }
            assert_next_install_works(&machine, installation, &case);
            if is_done {
                assert!(acted.is_ok(), "{case}");
                assert!(nth > self.changes_min, "only {nth} changes");
                return;
            }
        }
    }

    fn acts_on_probation(&self) -> bool {
        self.changes_min < 20
    }

    fn assert_ending(
        &self,
        machine: &Machine,
        installation: &Installation,
        case: &str,
    ) -> (&'static str, &'static str) {
        let (seen, data) = (machine.seen().unwrap(), machine.data().unwrap());
        assert_eq!(installation.running(), Some(&version(&seen)), "{case}");
        let ending = self.endings.iter().find(|ending| **ending == (&*seen, &*data));
        *ending.unwrap_or_else(|| panic!("{seen} runs with {data} data: {case}"))
    }
}

/// Even before anybody recovers, one version is seen whole.
fn assert_one_version_is_seen(machine: &Machine, case: &str) {
    let seen = machine.seen().unwrap_or_else(|| panic!("nothing is seen: {case}"));
    assert!(["1.0.0", "1.1.0"].contains(&&*seen), "{seen}: {case}");
}

/// The machine stops again and again while it recovers.
fn interrupt_recovery(machine: &Machine, case: &str) {
    for nth in 1.. {
        let files = FailingFileSystem::new(Failure::Crash, nth);
        let opened = machine.try_open(at(0), files.clone());
        assert_one_version_is_seen(machine, case);
        if opened.is_ok() && files.changes() < nth {
            return;
        }
    }
}

/// The server keeps from a machine what the machine would refuse, and nothing else.
fn assert_events_tell_what_is_blocked(installation: &Installation, case: &str) {
    for event in installation.events().iter().filter(|event| event.order.is_none()) {
        let is_blocked = installation.record().block(&event.to).is_some();
        match event.kind {
            EventKind::Undone => assert!(is_blocked, "{case}: {event:?}"),
            EventKind::Interrupted => assert!(!is_blocked, "{case}: {event:?}"),
            _ => {}
        }
    }
}

fn assert_next_install_works(machine: &Machine, mut installation: Installation, case: &str) {
    if installation.record().probation.is_some() {
        installation.confirm().unwrap();
    }
    let before = machine.data();
    let outcome = installation.update(&release("1.2.0").checked("exit 0"));
    assert!(matches!(outcome, Outcome::Committed { .. }), "{case}: {outcome:?}");
    assert_eq!((machine.seen().as_deref(), machine.data()), (Some("1.2.0"), before), "{case}");
    machine.assert_swept(&installation);
}

macro_rules! failures {
    ($($name:ident: $scenario:expr, $failure:expr, $exchanges:expr;)*) => {
        $(
            #[test]
            fn $name() {
                $scenario.fail_everywhere($failure, $exchanges);
            }
        )*
    };
}

failures! {
    an_update_survives_a_crash: UPDATE, Failure::Crash, true;
    an_update_survives_a_refusal: UPDATE, Failure::Refused, true;
    an_update_survives_an_unreported_change: UPDATE, Failure::Unreported, true;
    an_update_with_hooks_survives_a_crash: HOOKED_UPDATE, Failure::Crash, true;
    an_update_with_hooks_survives_a_refusal: HOOKED_UPDATE, Failure::Refused, true;
    an_update_put_off_survives_a_crash: DEFERRED_UPDATE, Failure::Crash, true;
    an_update_put_off_survives_a_refusal: DEFERRED_UPDATE, Failure::Refused, true;
    an_undone_update_survives_a_crash: FAILING_UPDATE, Failure::Crash, true;
    an_undone_update_survives_a_refusal: FAILING_UPDATE, Failure::Refused, true;
    an_undone_update_survives_an_unreported_change: FAILING_UPDATE, Failure::Unreported, true;
    an_undone_update_survives_a_crash_without_exchange: FAILING_UPDATE, Failure::Crash, false;
    a_rollback_survives_a_crash: ROLLBACK, Failure::Crash, true;
    a_rollback_survives_a_refusal: ROLLBACK, Failure::Refused, true;
    a_rollback_survives_an_unreported_change: ROLLBACK, Failure::Unreported, true;
    a_rollback_survives_a_crash_without_exchange: ROLLBACK, Failure::Crash, false;
    a_fetched_rollback_survives_a_crash: FETCHED_ROLLBACK, Failure::Crash, true;
    a_fetched_rollback_survives_a_refusal: FETCHED_ROLLBACK, Failure::Refused, true;
    an_undoing_survives_a_crash: UNDO, Failure::Crash, true;
    an_undoing_survives_a_refusal: UNDO, Failure::Refused, true;
    a_clean_up_survives_a_crash: CLEAN_UP, Failure::Crash, true;
    a_clean_up_survives_a_refusal: CLEAN_UP, Failure::Refused, true;
    a_confirmation_survives_a_crash: CONFIRM, Failure::Crash, true;
    a_confirmation_survives_a_refusal: CONFIRM, Failure::Refused, true;
}

/// Where the machine stops between the two, a server could lead it below what runs.
#[test]
fn a_floor_binds_from_the_very_moment_that_its_release_runs() {
    for scenario in [FLOORED_UPDATE, FLOORED_UPDATE_TO_PROBATION] {
        for nth in 1.. {
            let machine = Machine::new();
            (scenario.prepare)(&machine);
            let files = FailingFileSystem::new(Failure::Crash, nth);
            let acted = machine
                .try_open(at(0), files.clone())
                .and_then(|mut installation| (scenario.act)(&mut installation));
            let installation = machine.open();
            let runs = installation.running() == Some(&version("1.1.0"));
            let floor = runs.then(|| version("1.1.0"));
            assert_eq!(installation.record().floor, floor, "change {nth}: {acted:?}");
            if files.changes() < nth {
                assert!(acted.is_ok() && runs, "change {nth}: {acted:?}");
                break;
            }
        }
    }
}

#[test]
fn a_first_installation_survives_a_crash() {
    for nth in 1.. {
        let machine = Machine::new();
        let files = FailingFileSystem::new(Failure::Crash, nth);
        let acted = machine
            .try_open(at(0), files.clone())
            .and_then(|mut installation| installation.put(&release("1.0.0"), AttemptKind::Update));
        let installation = machine.open();
        let seen = machine.seen();
        assert_eq!(installation.running(), seen.as_deref().map(version).as_ref());
        assert!(acted.is_err() || seen.is_some(), "change {nth}: {acted:?}");
        machine.assert_swept(&installation);
        drop(installation);
        machine.open().update(&release("1.1.0"));
        if files.changes() < nth {
            assert!(acted.is_ok() && nth > 15, "change {nth}: {acted:?}");
            return;
        }
    }
}
