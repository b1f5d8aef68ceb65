use super::*;

fn limits() -> Limits {
    Limits { trees_kept: 10, snapshots_kept: 10, ..Machine::limits() }
}

/// A machine that runs 1.3.0 and keeps the three versions before, with the data of each.
fn with_kept_versions() -> Machine {
    let machine = Machine::new();
    let mut installation = open(&machine);
    for text in ["1.0.0", "1.1.0", "1.2.0", "1.3.0"] {
        installation.update(&release(text));
        machine.write_data(text);
    }
    drop(installation);
    machine
}

fn open(machine: &Machine) -> Installation {
    let files = FailingFileSystem::new(Failure::Crash, 0);
    machine.try_open_within(limits(), at(0), files).unwrap()
}

fn kept(installation: &Installation) -> Vec<String> {
    installation.record().trees.iter().map(|tree| tree.version.to_string()).collect()
}

#[test]
fn what_is_given_up_is_gone_with_its_data_and_the_rest_stays() {
    let machine = with_kept_versions();
    let mut installation = open(&machine);
    let wanted = version("1.4.0");
    let spare = installation.spare_versions(&wanted);
    assert_eq!(spare, ["1.0.0", "1.1.0"].map(version), "not what runs, nor the way back");
    let belongings = installation.belongings(&spare[0]);
    assert!(belongings.iter().all(|path| path.is_dir()), "{belongings:?}");
    assert_eq!(belongings.len(), 2, "{belongings:?}");

    installation.give_up(&spare[0]).unwrap();
    assert!(belongings.iter().all(|path| !path.exists()), "{belongings:?}");
    assert_eq!(kept(&installation), ["1.1.0", "1.2.0", "1.3.0"]);
    assert_eq!(installation.spare_versions(&wanted), [version("1.1.0")]);
    machine.assert_swept(&installation);
    installation.give_up(&version("1.1.0")).unwrap();
    assert_eq!(installation.spare_versions(&wanted), []);

    installation.go_back(&release("1.2.0"), AttemptKind::LocalRollback);
    assert_eq!(
        (machine.seen().unwrap(), machine.data().unwrap()),
        ("1.2.0".into(), "1.2.0".into())
    );
}

#[test]
fn nothing_is_given_up_while_a_version_is_on_probation() {
    let machine = with_kept_versions();
    let mut installation = open(&machine);
    installation.update(&release("1.4.0").confirmed_within(600));
    let error = installation.give_up(&version("1.0.0")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OnProbation);
    assert!(installation.has_tree(&version("1.0.0")));
}

#[test]
fn to_give_something_up_can_fail_or_be_cut_off_at_any_change() {
    for failure in [Failure::Crash, Failure::Refused, Failure::Unreported] {
        for nth in 1.. {
            let machine = with_kept_versions();
            let files = FailingFileSystem::new(failure, nth);
            let opened = machine.try_open_within(limits(), at(0), files.clone());
            let given_up = opened.and_then(|mut it| it.give_up(&version("1.0.0")));

            let mut installation = open(&machine);
            let case = format!("{failure:?} of change {nth}: {given_up:?}");
            assert_eq!(machine.seen().as_deref(), Some("1.3.0"), "{case}");
            assert_eq!(machine.data().as_deref(), Some("1.3.0"), "{case}");
            machine.assert_swept(&installation);
            // Whatever the journal says of it, it is whole or it is no tree.
            if installation.has_tree(&version("1.0.0")) {
                assert!(installation.verify(&version("1.0.0")).unwrap().is_intact(), "{case}");
            }
            installation.give_up(&version("1.0.0")).unwrap();
            assert_eq!(kept(&installation), ["1.1.0", "1.2.0", "1.3.0"], "{case}");
            installation.go_back(&release("1.2.0"), AttemptKind::LocalRollback);
            assert_eq!(machine.data().as_deref(), Some("1.2.0"), "{case}");
            if files.changes() < nth {
                break;
            }
        }
    }
}
