use super::*;
use crate::install::journal::{Content, Snapshot, Stage};
use crate::install::observed::Observed;
use crate::install::recover::tests::{expected, journals, observations};

fn reopen(machine: &Machine) -> Result<Installation, Error> {
    machine.try_open(at(0), FailingFileSystem::new(Failure::Crash, 0))
}

#[test]
fn every_damage_is_noticed_and_nothing_is_recreated() {
    let machine = Machine::new();
    machine.open().update(&release("1.0.0"));
    let path = machine.layout().journal();
    let good = fs::read(&path).unwrap();
    let mut damaged = (0..good.len())
        .step_by(7)
        .map(|position| {
            let mut bytes = good.clone();
            bytes[position] ^= 0x20;
            bytes
        })
        .collect::<Vec<_>>();
    damaged.extend([Vec::new(), good[..good.len() - 1].to_vec(), [&good[..], b" "].concat()]);
    for bytes in damaged {
        fs::write(&path, &bytes).unwrap();
        let error = reopen(&machine).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::JournalDamaged, "{}", String::from_utf8_lossy(&bytes));
        assert_eq!(fs::read(&path).unwrap(), bytes);
        assert_eq!(machine.seen().as_deref(), Some("1.0.0"));
    }
    fs::write(&path, good).unwrap();
    assert_eq!(reopen(&machine).unwrap().running(), Some(&version("1.0.0")));
}

#[test]
fn a_lost_journal_is_not_taken_for_a_new_installation() {
    let machine = Machine::new();
    machine.open().update(&release("1.0.0"));
    fs::remove_file(machine.layout().journal()).unwrap();
    let error = reopen(&machine).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::JournalDamaged);
    assert!(error.to_string().contains("restore the journal"), "{error}");
    fs::remove_file(machine.layout().current()).unwrap();
    assert_eq!(reopen(&machine).unwrap_err().kind(), ErrorKind::JournalDamaged);
    assert!(!machine.layout().journal().exists());
}

#[test]
fn a_newer_journal_is_not_touched() {
    let machine = Machine::new();
    machine.open().update(&release("1.0.0"));
    let path = machine.layout().journal();
    let newer = fs::read_to_string(&path).unwrap().replacen("\"format\":3", "\"format\":4", 1);
    fs::write(&path, &newer).unwrap();
    let error = reopen(&machine).unwrap_err();
    assert!(error.to_string().contains("has format 4: expected 3"), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), newer);
}

#[test]
fn a_journal_of_each_format_before_is_read() {
    let machine = Machine::new();
    machine.open().update(&release("1.0.0"));
    let path = machine.layout().journal();
    let written = fs::read(&path).unwrap();
    let body = written.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let mut older: serde_json::Value = serde_json::from_slice(&written[body..]).unwrap();
    let expect_read = |format: u32, older: &serde_json::Value| {
        let older = serde_json::to_vec(older).unwrap();
        let digest = Digest::of(&older);
        let heading = format!("{{\"format\":{format},\"sha256\":\"{digest}\"}}\n");
        fs::write(&path, [heading.as_bytes(), &older].concat()).unwrap();
        assert_eq!(reopen(&machine).unwrap().running(), Some(&version("1.0.0")), "{format}");
    };
    older["record"]["trees"][0].as_object_mut().unwrap().remove("seal").unwrap();
    expect_read(2, &older);
    for added in ["recoveries", "stopped", "given_up"] {
        older.as_object_mut().unwrap().remove(added).unwrap();
    }
    expect_read(1, &older);
}

#[test]
fn a_journal_whose_stage_and_record_disagree_is_not_acted_on() {
    let machine = Machine::new();
    drop(machine.open());
    let layout = machine.layout();
    let read = |journal: &Journal| {
        journal.write(&LocalFileSystem, &layout).unwrap();
        Journal::read(&layout, &Limits::default()).map_err(|error| error.kind())
    };
    for mut journal in journals(None).into_iter().chain(journals(Some("1.0.0"))) {
        assert_eq!(read(&journal), Ok(Some(journal.clone())));
        if journal.stage != Stage::Idle {
            journal.record.running = Some(version("9.9.9"));
            assert_eq!(read(&journal), Err(ErrorKind::JournalDamaged), "{:?}", journal.stage);
        }
    }
}

#[test]
fn the_record_is_read_without_opening_the_installation() {
    let machine = Machine::new();
    let mut installation = machine.open();
    installation.update(&release("1.0.0"));
    let path = machine.layout().journal();
    let record = Record::in_journal(&fs::read(&path).unwrap(), &path).unwrap();
    assert_eq!(record, *installation.record());
    let error = Record::in_journal(b"{}", &path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::JournalDamaged);
}

#[test]
fn the_tree_that_runs_is_not_swept_even_if_nothing_is_recorded_of_it() {
    let machine = Machine::new();
    let mut installation = machine.open();
    installation.update(&release("1.0.0"));
    installation.engine.write(|journal| journal.record.trees.clear()).unwrap();
    drop(installation);
    assert_eq!(machine.open().running(), Some(&version("1.0.0")));
    assert_eq!(machine.seen().as_deref(), Some("1.0.0"));
}

#[test]
fn the_number_of_the_last_event_is_not_passed() {
    let mut journal = Journal { events_queued: u64::MAX, ..Journal::default() };
    let to = version("1.0.0");
    let draft = Draft { kind: EventKind::Refused, from: None, to: &to, order: None, detail: "" };
    journal.queue(&draft, &Limits::default());
    assert_eq!(journal.events[0].number, u64::MAX);
}

#[test]
fn events_are_numbered_bounded_and_forgotten_once_delivered() {
    let machine = Machine::new();
    let mut installation = machine.open();
    for number in 1..=103 {
        installation.note_refusal(&version("1.0.0"), None, &format!("refusal {number}")).unwrap();
    }
    let numbers = |installation: &Installation| {
        installation.events().iter().map(|event| event.number).collect::<Vec<_>>()
    };
    assert_eq!(numbers(&installation), (4..=103).collect::<Vec<_>>());
    installation.note_refusal(&version("1.0.0"), None, "refusal 103").unwrap();
    assert_eq!(installation.events().len(), 100, "the same again");
    installation.delivered(101).unwrap();
    drop(installation);
    let mut installation = machine.open();
    assert_eq!(numbers(&installation), [102, 103]);
    installation.delivered(103).unwrap();
    installation.note_refusal(&version("1.0.0"), None, &"x".repeat(10_000)).unwrap();
    assert_eq!(numbers(&installation), [104]);
    assert_eq!(installation.events()[0].detail.chars().count(), Event::DETAIL_CHARS_MAX);
}

#[test]
fn a_hand_that_moves_current_is_corrected() {
    let machine = Machine::new();
    let mut installation = machine.open();
    installation.update(&release("1.0.0"));
    installation.update(&release("1.1.0"));
    drop(installation);
    let current = machine.layout().current();
    for target in ["versions/1.0.0", "/somewhere/else"] {
        fs::remove_file(&current).unwrap();
        std::os::unix::fs::symlink(target, &current).unwrap();
        assert!(machine.open().recovery().unwrap().contains("1.1.0"));
        assert_eq!(machine.seen().as_deref(), Some("1.1.0"));
    }
    fs::remove_file(&current).unwrap();
    fs::create_dir(&current).unwrap();
    assert_eq!(reopen(&machine).unwrap_err().kind(), ErrorKind::Obstructed);
}

#[test]
fn a_machine_that_lost_its_tree_installs_anew() {
    let machine = Machine::new();
    machine.open().update(&release("1.0.0"));
    machine.write_data("kept");
    fs::remove_dir_all(machine.layout().tree(&version("1.0.0"))).unwrap();
    let mut installation = machine.open();
    assert_eq!(installation.running(), None);
    assert!(installation.recovery().unwrap().contains("is gone"));
    installation.update(&release("1.0.0"));
    assert_eq!(
        (machine.seen().as_deref(), machine.data().as_deref()),
        (Some("1.0.0"), Some("kept"))
    );
}

/// Puts on a disk what a crash could leave, and more.
fn arrange(machine: &Machine, journal: &Journal, observed: &Observed) {
    drop(machine.open());
    let layout = machine.layout();
    for version in &observed.trees {
        let mut payload = &*release(&version.to_string()).payload;
        let limits = pack::Limits::default();
        pack::unpack_tree(&mut payload, &layout.tree(version), &limits).unwrap();
    }
    let link = |target: &Path| std::os::unix::fs::symlink(target, layout.current()).unwrap();
    match &observed.current {
        Current::Nothing => {}
        Current::Version(version) => link(&Layout::link_target(version)),
        Current::Elsewhere => link(Path::new("/elsewhere")),
        Current::Obstructed => fs::create_dir(layout.current()).unwrap(),
    }
    machine.write_data("new");
    for Snapshot { number, content, .. } in &journal.snapshots {
        assert_eq!(*content, Content::Directory);
        fs::rename(layout.data(), layout.snapshot(*number)).unwrap();
        machine.write_data("new");
        for file in ["state", "below/more"] {
            fs::write(layout.snapshot(*number).join(file), "old").unwrap();
        }
        fs::remove_file(layout.snapshot(*number).join("link")).unwrap();
        std::os::unix::fs::symlink("old", layout.snapshot(*number).join("link")).unwrap();
    }
    fs::create_dir(layout.staging().join("1.1.0")).unwrap();
    fs::create_dir(layout.trash().join("1.1.0")).unwrap();
    let files = FailingFileSystem::new(Failure::Crash, 0);
    journal.write(&files, &layout).unwrap();
}

#[test]
fn every_state_of_journal_and_disk_recovers_on_a_disk() {
    for from in [None, Some("1.0.0")] {
        let old = from.map(version);
        for journal in journals(from) {
            for observed in observations() {
                let case = format!("{:?} with {observed:?}", journal.stage);
                let machine = Machine::new();
                arrange(&machine, &journal, &observed);
                let Ok(runs) = expected(&journal, &observed, old.as_ref()) else {
                    assert_eq!(
                        reopen(&machine).unwrap_err().kind(),
                        ErrorKind::Obstructed,
                        "{case}"
                    );
                    assert_eq!(
                        Journal::read(&machine.layout(), &Limits::default()).unwrap().as_ref(),
                        Some(&journal)
                    );
                    continue;
                };
                let installation = reopen(&machine).unwrap();
                assert_eq!(installation.running(), runs.as_ref(), "{case}");
                assert_eq!(machine.seen(), runs.as_ref().map(ToString::to_string), "{case}");
                let went_back = matches!(
                    journal.stage,
                    Stage::Switching(_) | Stage::Probation(_) | Stage::Undoing(_)
                ) && runs == old
                    && old.as_ref().is_none_or(|old| observed.trees.contains(old));
                let data = if went_back { "old" } else { "new" };
                assert_eq!(machine.data().as_deref(), Some(data), "{case}");
                machine.assert_swept(&installation);
                drop(installation);
                let again = reopen(&machine).unwrap();
                assert_eq!(again.recovery(), None, "{case}");
            }
        }
    }
}
