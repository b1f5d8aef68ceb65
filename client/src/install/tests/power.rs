//! The power fails at every single change, and of what was not durable anything may be lost.

use super::*;
use crate::fs::PowerLossFileSystem;

/// Something during which the power fails. What its releases run must leave the data alone: the
/// model does not see what programs write.
struct Scenario {
    prepare: fn(&Machine),
    act: fn(&mut Installation) -> Result<Outcome, Error>,
    /// What may run afterwards, and the data that belong to it; the last where all went well.
    endings: &'static [(&'static str, &'static str)],
    changes_min: usize,
}

const UPDATE: Scenario = Scenario {
    prepare: |machine| {
        machine.open().update(&release("1.0.0").hooked(None, Some("exit 0")));
        machine.write_data("old");
    },
    act: |installation| {
        let new = release("1.1.0").checked("exit 0").hooked(Some("exit 0"), None);
        installation.put(&new, AttemptKind::Update)
    },
    endings: &[("1.0.0", "old"), ("1.1.0", "old")],
    changes_min: 30,
};

const FAILING_UPDATE: Scenario = Scenario {
    act: |installation| installation.put(&release("1.1.0").checked("exit 1"), AttemptKind::Update),
    endings: &[("1.0.0", "old")],
    changes_min: 45,
    ..UPDATE
};

const PROBATION: Scenario = Scenario {
    act: |installation| {
        let new = release("1.1.0").confirmed_within(60);
        installation.put(&new, AttemptKind::Update)
    },
    changes_min: 25,
    ..UPDATE
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

/// An update after which trees and copies of data are cleaned up.
const CLEAN_UP: Scenario = Scenario {
    prepare: |machine| {
        let mut installation = machine.open();
        for text in ["0.7.0", "0.8.0", "0.9.0", "1.0.0"] {
            installation.update(&release(text));
            machine.write_data("old");
        }
    },
    act: |installation| installation.put(&release("1.1.0"), AttemptKind::Update),
    ..UPDATE
};

impl Scenario {
    fn lose_power_everywhere(&self) {
        for nth in 1.. {
            let machine = Machine::new();
            (self.prepare)(&machine);
            let files = PowerLossFileSystem::new(&machine.root(), nth);
            let acted =
                open(&machine, &files).and_then(|mut installation| (self.act)(&mut installation));
            let is_done = files.changes() < nth;
            for survivors in sets(files.pending(), nth) {
                let case = format!("change {nth}, survivors {survivors:b}: {acted:?}");
                let after = Machine::new();
                files.after_the_loss(survivors, &after.root());
                if survivors == 0 && nth % 3 == 0 {
                    lose_power_while_recovering(&after);
                }
                let mut installation = after.open();
                let seen = (after.seen().unwrap(), after.data().unwrap());
                let ending = self.endings.iter().find(|it| **it == (&*seen.0, &*seen.1));
                let ending = ending.unwrap_or_else(|| panic!("{seen:?}: {case}"));
                assert_eq!(installation.running(), Some(&version(&seen.0)), "{case}");
                if acted.is_ok() {
                    assert_eq!(Some(ending), self.endings.last(), "{case}");
                }
                after.assert_swept(&installation);
                if installation.record().probation.is_some() {
                    installation.confirm().unwrap();
                }
                installation.update(&release("1.2.0"));
                assert_eq!(after.seen().as_deref(), Some("1.2.0"), "{case}");
            }
            if is_done {
                assert!(acted.is_ok() && nth > self.changes_min, "{nth}: {acted:?}");
                return;
            }
        }
    }
}

fn open(machine: &Machine, files: &PowerLossFileSystem) -> Result<Installation, Error> {
    let files = Box::new(files.clone());
    Installation::open_with(&machine.root(), &at(0), files, Machine::limits())
}

/// Which of the changes that are not durable happened: none, all, and some of the rest.
fn sets(pending: usize, seed: usize) -> Vec<u64> {
    if pending <= 3 {
        return (0..1 << pending).collect();
    }
    let mut state = seed as u64 + 1;
    let some = std::iter::repeat_with(|| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state ^ state >> 29
    });
    [0, u64::MAX].into_iter().chain(some.take(3)).collect()
}

/// The power fails again, a little later each time, with nothing but what was durable left.
fn lose_power_while_recovering(machine: &Machine) {
    for nth in 1.. {
        let files = PowerLossFileSystem::new(&machine.root(), nth);
        let is_done = open(machine, &files).is_ok() && files.changes() < nth;
        let after = Machine::new();
        files.after_the_loss(0, &after.root());
        fs::remove_dir_all(machine.root()).unwrap();
        fs::rename(after.root(), machine.root()).unwrap();
        if is_done {
            return;
        }
    }
}

macro_rules! losses {
    ($($name:ident: $scenario:expr;)*) => {
        $(
            #[test]
            fn $name() {
                $scenario.lose_power_everywhere();
            }
        )*
    };
}

losses! {
    an_update_survives_a_power_loss: UPDATE;
    an_undone_update_survives_a_power_loss: FAILING_UPDATE;
    an_update_to_probation_survives_a_power_loss: PROBATION;
    an_undoing_survives_a_power_loss: UNDO;
    a_confirmation_survives_a_power_loss: CONFIRM;
    a_rollback_survives_a_power_loss: ROLLBACK;
    a_clean_up_survives_a_power_loss: CLEAN_UP;
}

/// A model that loses nothing shows nothing.
#[test]
fn the_model_loses_what_was_not_made_durable_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    fs::create_dir(&root).unwrap();
    fs::write(root.join("before"), "kept").unwrap();
    let files = PowerLossFileSystem::new(&root, usize::MAX);
    files.create_directory(&root.join("folder"), 0o755).unwrap();
    files.write_file(&root.join("folder/new"), b"written").unwrap();
    files.copy_file(&root.join("before"), &root.join("copy")).unwrap();
    files.sync_directory(&root).unwrap();
    files.rename(&root.join("before"), &root.join("folder/moved")).unwrap();
    let left = |survivors: u64, name: &str| {
        let to = dir.path().join(name);
        files.after_the_loss(survivors, &to);
        contents(&to).into_iter().map(|(path, text)| (path.display().to_string(), text)).collect()
    };
    let entry = |path: &str, text: &str| (path.to_owned(), text.to_owned());
    // The folder and the copy have names, the one has no entries and the other no content yet.
    let least: Vec<_> = left(0, "least");
    assert_eq!(least, [entry("before", "kept"), entry("copy", "")]);
    let most: Vec<_> = left(u64::MAX, "most");
    let moved = [entry("folder/moved", "kept"), entry("folder/new", "written")];
    assert_eq!(most, [vec![entry("copy", "kept")], moved.to_vec()].concat());
}
