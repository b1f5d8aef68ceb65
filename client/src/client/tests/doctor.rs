//! Installations that somebody has damaged: each damage is found, put right from what is signed, and
//! the machine is updated and goes back afterwards.

use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
};

use super::{
    vendor::{Particulars, problem, version},
    *,
};
use crate::{
    client::doctor::{Diagnosis, Doctor, Treatment, What},
    error::ErrorKind,
    fs::Failure,
};

/// A damage, and what is found of it.
struct Damage {
    name: &'static str,
    does: fn(&Machine),
    found: &'static [What],
}

const DAMAGES: &[Damage] = &[
    Damage {
        name: "current is gone",
        does: |machine| fs::remove_file(machine.at("current")).unwrap(),
        found: &[What::Current],
    },
    Damage {
        name: "current points to another version",
        does: |machine| machine.point("versions/2.4.0"),
        found: &[What::Current],
    },
    Damage {
        name: "current dangles",
        does: |machine| machine.point("versions/9.9.9"),
        found: &[What::Current],
    },
    Damage {
        name: "a byte of what runs is another",
        does: |machine| {
            fs::write(machine.at("versions/2.4.1/bin/acme-db"), "Version 2.4.1\n").unwrap();
        },
        found: &[What::TreeChanged],
    },
    Damage {
        name: "a mode of what runs is another",
        does: |machine| machine.close("versions/2.4.1/bin/acme-db", 0o4755),
        found: &[What::TreeChanged],
    },
    Damage {
        name: "a file was added to what ran before",
        does: |machine| fs::write(machine.at("versions/2.4.0/added"), "").unwrap(),
        found: &[What::TreeChanged],
    },
    Damage {
        name: "the tree of what runs is gone",
        does: |machine| fs::remove_dir_all(machine.at("versions/2.4.1")).unwrap(),
        found: &[What::TreeMissing],
    },
    Damage {
        name: "what runs is changed and current is gone",
        does: |machine| {
            fs::write(machine.at("versions/2.4.1/added"), "").unwrap();
            fs::remove_file(machine.at("current")).unwrap();
        },
        found: &[What::TreeChanged, What::Current],
    },
    Damage {
        name: "the journal was changed by hand",
        does: |machine| machine.edit(".mainstay/journal", "2.4.1", "2.4.2"),
        found: &[What::Journal],
    },
    Damage {
        name: "the journal was cut",
        does: |machine| {
            let bytes = fs::read(machine.at(".mainstay/journal")).unwrap();
            fs::write(machine.at(".mainstay/journal"), &bytes[..bytes.len() / 2]).unwrap();
        },
        found: &[What::Journal],
    },
    Damage {
        name: "the journal is gone",
        does: |machine| fs::remove_file(machine.at(".mainstay/journal")).unwrap(),
        found: &[What::Journal],
    },
    Damage {
        name: "the journal and what runs were changed",
        does: |machine| {
            machine.edit(".mainstay/journal", "2.4.1", "2.4.2");
            fs::write(machine.at("versions/2.4.1/added"), "").unwrap();
        },
        found: &[What::Journal],
    },
    Damage {
        name: "permissions were taken away",
        does: |machine| {
            for path in
                [".mainstay/journal", ".mainstay/token", ".mainstay/trust", "versions/2.4.1"]
            {
                machine.close(path, 0o000);
            }
        },
        found: &[What::Permissions, What::Permissions, What::Permissions, What::Permissions],
    },
    Damage {
        name: "a directory is gone",
        does: |machine| fs::remove_dir(machine.at(".mainstay/staging")).unwrap(),
        found: &[What::Missing],
    },
    Damage {
        name: "something is left over",
        does: |machine| {
            fs::create_dir(machine.at("versions/1.0.0")).unwrap();
            fs::set_permissions(machine.at("versions/1.0.0"), fs::Permissions::from_mode(0o755))
                .unwrap();
            fs::create_dir(machine.at(".mainstay/snapshots/77")).unwrap();
            fs::write(machine.at(".mainstay/staging/half"), "").unwrap();
            fs::write(machine.at(".mainstay/journal.new"), "").unwrap();
        },
        found: &[What::LeftOver, What::LeftOver, What::LeftOver, What::LeftOver],
    },
    Damage {
        name: "what is trusted was changed",
        does: |machine| {
            for name in ["root.json", "snapshot.json", "channels/bugfix.json"] {
                machine.edit(
                    &format!(".mainstay/trust/{name}"),
                    "\"expires\":\"2",
                    "\"expires\":\"3",
                );
            }
            fs::remove_file(machine.trust_file("targets.json")).unwrap();
            fs::write(machine.trust_file("plan.json"), "{").unwrap();
            fs::write(machine.trust_file("root-seen"), "one").unwrap();
        },
        // Who has no root cannot say who may sign the others.
        found: &[What::Trust, What::Trust, What::Trust, What::Trust],
    },
];

impl Machine {
    /// A machine that runs 2.4.1 and ran 2.4.0 before, with data of its own.
    fn well() -> Self {
        let machine = Self::running("2.4.0");
        fs::create_dir(machine.at("data")).unwrap();
        fs::write(machine.at("data/state"), "kept").unwrap();
        machine.server().offer("2.4.1", &Particulars::default());
        machine.update().unwrap();
        let diagnosis = machine.diagnosis();
        assert!(diagnosis.is_well(), "{:#?}", diagnosis.findings);
        machine
    }

    fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn point(&self, target: &str) {
        fs::remove_file(self.at("current")).unwrap();
        symlink(target, self.at("current")).unwrap();
    }

    fn close(&self, path: &str, mode: u32) {
        fs::set_permissions(self.at(path), fs::Permissions::from_mode(mode)).unwrap();
    }

    fn edit(&self, path: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.at(path)).unwrap();
        assert!(text.contains(from), "{path} has no {from}");
        fs::write(self.at(path), text.replace(from, to)).unwrap();
    }

    fn diagnosis(&self) -> Diagnosis {
        Diagnosis::read(self.folder.path()).unwrap()
    }

    fn found(&self) -> Vec<What> {
        self.diagnosis().findings.iter().map(|finding| finding.what).collect()
    }

    fn treat(&self) -> Treatment {
        let doctor = Doctor::open_within(self.folder.path(), self.surroundings()).unwrap();
        doctor.treat(&mut |_| {}, &mut |_| {})
    }

    /// The same machine on a disk that makes nothing durable.
    fn treat_quickly(&self) -> Treatment {
        let surroundings = self.surroundings_on(&FailingFileSystem::new(Failure::Crash, 0));
        let doctor = Doctor::open_within(self.folder.path(), surroundings).unwrap();
        doctor.treat(&mut |_| {}, &mut |_| {})
    }

    /// A copy of the machine, of the same server.
    fn copied(&self) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let copied = std::process::Command::new("cp")
            .arg("-a")
            .arg(self.folder.path().join("."))
            .arg(folder.path())
            .status();
        assert!(copied.unwrap().success());
        Self { folder, server: Arc::clone(&self.server), now: Arc::clone(&self.now) }
    }

    /// Its program is that of `version`, and its data are what they were.
    #[track_caller]
    fn assert_runs(&self, version: &str, case: &str) {
        let text = fs::read_to_string(self.at("current/bin/acme-db"));
        assert_eq!(text.ok(), Some(format!("version {version}\n")), "{case}");
        assert_eq!(fs::read_to_string(self.at("data/state")).unwrap(), "kept", "{case}");
    }

    /// Everything below the root, as far as an examination could change it.
    fn everything(&self) -> Vec<(PathBuf, u32, Option<Vec<u8>>)> {
        let entries = walkdir::WalkDir::new(self.folder.path()).sort_by_file_name();
        let seen = |entry: walkdir::DirEntry| {
            let mode = entry.metadata().unwrap().permissions().mode();
            let bytes = entry.file_type().is_file().then(|| fs::read(entry.path()).unwrap());
            (entry.into_path(), mode, bytes)
        };
        entries.into_iter().map(|entry| seen(entry.unwrap())).collect()
    }
}

#[track_caller]
fn assert_all_done(treatment: &Treatment, case: &str) {
    for tried in &treatment.repairs {
        assert!(tried.outcome.is_ok(), "{case}: {tried:#?}");
    }
    assert!(treatment.diagnosis.is_well(), "{case}: {treatment:#?}");
}

/// The machine runs 2.4.1 with its data, is updated, and goes back.
#[track_caller]
fn assert_goes_on(machine: &Machine, case: &str) {
    machine.assert_runs("2.4.1", case);
    machine.server().offer("2.4.2", &Particulars::default());
    machine.update().unwrap_or_else(|error| panic!("{case}: {error}"));
    machine.assert_runs("2.4.2", case);
    machine.client().roll_back(None, &mut |_| {}).unwrap_or_else(|error| panic!("{case}: {error}"));
    machine.assert_runs("2.4.1", case);
    assert!(machine.diagnosis().is_well(), "{case}");
}

fn damage(name: &str) -> &'static Damage {
    DAMAGES.iter().find(|it| it.name == name).unwrap()
}

#[test]
fn each_damage_is_found_and_repaired_and_the_machine_goes_on() {
    for Damage { name, does, found } in DAMAGES {
        let machine = Machine::well();
        does(&machine);
        let before = machine.everything();
        assert_eq!(machine.found(), *found, "{name}");
        assert_eq!(machine.everything(), before, "{name}: an examination changes nothing");
        assert_all_done(&machine.treat(), name);
        assert_goes_on(&machine, name);
    }
}

#[test]
fn all_damages_at_once_are_all_found_and_repaired() {
    let machine = Machine::well();
    for name in [
        "a byte of what runs is another",
        "a file was added to what ran before",
        "a directory is gone",
        "the journal was changed by hand",
        "what is trusted was changed",
        "permissions were taken away",
    ] {
        (damage(name).does)(&machine);
    }
    let found = machine.found();
    for what in [What::Permissions, What::Missing, What::Journal, What::Trust] {
        assert!(found.contains(&what), "{found:?}");
    }
    assert_all_done(&machine.treat(), "all at once");
    assert_goes_on(&machine, "all at once");
}

/// Repairs each damage with a failure at the first change, the second, … until there are no more,
/// and again without one.
fn fail_everywhere(failure: Failure) {
    for Damage { name, does, found } in DAMAGES {
        let damaged = Machine::well();
        does(&damaged);
        for nth in 1.. {
            let machine = damaged.copied();
            let files = FailingFileSystem::new(failure, nth);
            let doctor =
                Doctor::open_within(machine.folder.path(), machine.surroundings_on(&files));
            let treated = doctor.map(|doctor| doctor.treat(&mut |_| {}, &mut |_| {}));
            let case = format!("{name}, {failure:?} at change {nth}: {treated:#?}");
            for tree in ["versions/2.4.0", "versions/2.4.1"] {
                // Nothing of a journal that is no journal says what is to be kept.
                let stays = damaged.at(tree).is_dir() && !found.contains(&What::Journal);
                assert!(!stays || machine.at(tree).is_dir(), "{tree} is not there: {case}");
            }
            assert_all_done(&machine.treat_quickly(), &case);
            machine.assert_runs("2.4.1", &case);
            if files.changes() < nth {
                assert!(treated.is_ok_and(|it| it.diagnosis.is_well()), "{case}");
                assert!(nth > 1, "{name}: nothing was changed");
                assert_goes_on(&machine, &case);
                break;
            }
        }
    }
}

#[test]
fn a_repair_during_which_the_machine_stops_is_made_good_by_the_next() {
    fail_everywhere(Failure::Crash);
}

#[test]
fn a_repair_that_the_disk_refuses_is_made_good_by_the_next() {
    fail_everywhere(Failure::Refused);
}

#[test]
fn a_repair_that_the_disk_makes_and_denies_is_made_good_by_the_next() {
    fail_everywhere(Failure::Unreported);
}

/// Where two paths cannot be exchanged there is no tree for an instant, and a repair brings it back.
#[test]
fn a_tree_is_brought_back_without_an_exchange_too() {
    let damaged = Machine::well();
    (damage("a byte of what runs is another").does)(&damaged);
    for nth in 1.. {
        let machine = damaged.copied();
        let files = FailingFileSystem::new(Failure::Crash, nth).without_exchange();
        let doctor = Doctor::open_within(machine.folder.path(), machine.surroundings_on(&files));
        let _ = doctor.map(|doctor| doctor.treat(&mut |_| {}, &mut |_| {}));
        assert_all_done(&machine.treat_quickly(), &format!("change {nth}"));
        machine.assert_runs("2.4.1", &format!("change {nth}"));
        if files.changes() < nth {
            assert_goes_on(&machine, &format!("change {nth}"));
            return;
        }
    }
}

#[test]
fn a_tree_that_was_rebuilt_is_sealed_anew() {
    let machine = Machine::well();
    let tree = machine.at("versions/2.4.1");
    let kept = |machine: &Machine| {
        let record = machine.client().status().recorded.record;
        record.kept_tree(&version("2.4.1")).unwrap().seal
    };
    let before = kept(&machine);
    fs::write(tree.join("added"), "").unwrap();
    assert_all_done(&machine.treat(), "the tree");
    let sealed = crate::pack::scan_tree(&tree, &crate::pack::Limits::default()).unwrap().seal();
    assert!(kept(&machine) == Some(sealed) && kept(&machine) != before);
}

#[test]
fn what_is_not_proven_is_said_and_laid_aside_and_never_guessed() {
    let machine = Machine::well();
    machine.client().unblock(&version("2.4.0")).unwrap();
    fs::write(machine.at("versions/2.4.0/added"), "by somebody").unwrap();
    machine.edit(".mainstay/journal", "2.4.1", "2.4.2");
    let treatment = machine.treat();
    assert_all_done(&treatment, "the journal");
    let said = treatment.repairs[0].outcome.as_ref().unwrap();
    for text in [
        "2.4.1 runs and counts as confirmed",
        "not known any more",
        "nothing proves 2.4.0",
        "unproven-1",
    ] {
        assert!(said.contains(text), "{text}: {said}");
    }
    let aside = machine.at(".mainstay/unproven-1");
    assert_eq!(fs::read_to_string(aside.join("version-2.4.0/added")).unwrap(), "by somebody");
    assert!(fs::read_to_string(aside.join("journal")).unwrap().contains("2.4.2"));
    // The copy that was taken when 2.4.0 was left.
    let copies = walkdir::WalkDir::new(&aside).into_iter().map(Result::unwrap);
    assert!(copies.into_iter().any(|it| it.path().ends_with("state")), "the copy of the data");
    let record = machine.client().status().recorded.record;
    assert_eq!(record.running, Some(version("2.4.1")));
    assert_eq!(record.confirmed, [version("2.4.1")]);
    assert_eq!(
        record.trees.iter().map(|tree| tree.version.to_string()).collect::<Vec<_>>(),
        ["2.4.1"]
    );
    assert_eq!(record.last_outcome, None);
    // What happens from here on the server hears of: the numbers have not gone back.
    machine.server().events.clear();
    assert_goes_on(&machine, "the journal");
    assert!(!machine.server().events.is_empty());
    assert!(machine.server().events.iter().all(|event| event.number > 1_000_000));
}

#[test]
fn a_version_that_its_program_must_confirm_is_not_taken_for_confirmed() {
    let machine = Machine::well();
    let probing = Particulars { confirm_within_seconds: Some(600), ..Particulars::default() };
    machine.server().offer("2.4.2", &probing);
    machine.update().unwrap();
    machine.client().confirm().unwrap();
    machine.edit(".mainstay/journal", "2.4.2", "2.4.3");
    let treatment = machine.treat();
    assert_all_done(&treatment, "the journal");
    let said = treatment.repairs[0].outcome.as_ref().unwrap();
    assert!(said.contains("whether it was confirmed is not known"), "{said}");
    let record = machine.client().status().recorded.record;
    assert_eq!((record.running, record.confirmed), (Some(version("2.4.2")), Vec::new()));
}

#[test]
fn a_floor_is_restored_from_what_the_vendor_signed() {
    let machine = Machine::running("2.4.0");
    let floored = Particulars { floor: Some("2.4.0"), ..Particulars::default() };
    machine.server().offer("2.4.1", &floored);
    machine.update().unwrap();
    machine.edit(".mainstay/journal", "2.4.1", "2.4.2");
    assert_all_done(&machine.treat(), "the journal");
    assert_eq!(machine.client().status().recorded.record.floor, Some(version("2.4.0")));
}

#[test]
fn which_version_ran_is_not_guessed_where_neither_journal_nor_current_says() {
    let machine = Machine::well();
    fs::remove_file(machine.at(".mainstay/journal")).unwrap();
    fs::remove_file(machine.at("current")).unwrap();
    let treatment = machine.treat();
    assert_all_done(&treatment, "nothing says");
    let said = treatment.repairs[0].outcome.as_ref().unwrap();
    assert!(said.contains("which version ran is not known"), "{said}");
    assert_eq!(machine.runs(), None);
    machine.server().offer("2.4.2", &Particulars::default());
    machine.update().unwrap();
    assert_eq!(fs::read_to_string(machine.at("data/state")).unwrap(), "kept");
}

#[test]
fn a_retired_release_is_fetched_from_the_archive() {
    let machine = Machine::well();
    machine.server().vendor.retire("2.4.1");
    machine.server().vendor.retire("2.4.0");
    fs::write(machine.at("versions/2.4.1/added"), "").unwrap();
    assert_all_done(&machine.treat(), "retired");
    machine.edit(".mainstay/journal", "2.4.1", "2.4.2");
    assert_all_done(&machine.treat(), "retired, and no journal");
    assert_eq!(fs::read_to_string(machine.at("current/bin/acme-db")).unwrap(), "version 2.4.1\n");
    let kept = machine.client().status().recorded.record;
    assert_eq!(kept.kept_tree(&version("2.4.1")).unwrap().channel.as_str(), "bugfix");
}

#[test]
fn without_the_server_what_needs_it_is_left_and_the_rest_repaired() {
    let machine = Machine::well();
    fs::write(machine.at("versions/2.4.0/added"), "").unwrap();
    fs::remove_file(machine.at("current")).unwrap();
    machine.close(".mainstay/token", 0o644);
    machine.server().meddle = Some(Box::new(|_, _| vendor::unreachable_server()));
    let treatment = machine.treat();
    let left: Vec<_> = treatment.diagnosis.findings.iter().map(|it| it.what).collect();
    assert_eq!(left, [What::TreeChanged]);
    let failed: Vec<_> = treatment.repairs.iter().filter(|it| it.outcome.is_err()).collect();
    assert_eq!(failed.len(), 1, "{failed:#?}");
    machine.server().meddle = None;
    assert_all_done(&machine.treat(), "with the server");
    assert_goes_on(&machine, "with the server");
}

#[test]
fn a_damaged_journal_stays_as_it_is_where_the_server_says_nothing() {
    for refuse in [vendor::unreachable_server, || problem(401, "UNAUTHORIZED")] {
        let machine = Machine::well();
        machine.edit(".mainstay/journal", "2.4.1", "2.4.2");
        let before = fs::read(machine.at(".mainstay/journal")).unwrap();
        machine.server().meddle = Some(Box::new(move |_, _| refuse()));
        let treatment = machine.treat();
        assert_eq!(treatment.diagnosis.findings.len(), 1);
        assert_eq!(fs::read(machine.at(".mainstay/journal")).unwrap(), before);
        assert!(!machine.at(".mainstay/unproven-1").exists());
        let why = treatment.repairs[0].outcome.as_ref().unwrap_err();
        assert!(why.contains("failed") || why.contains("UNAUTHORIZED"), "{why}");
    }
}

#[test]
fn a_release_that_cannot_be_had_just_now_is_not_taken_for_one_that_nobody_signed() {
    let machine = Machine::well();
    machine.edit(".mainstay/journal", "2.4.1", "2.4.2");
    let treat_while_the_server_says = |status: u16, code: &'static str| {
        machine.server().meddle = Some(Box::new(move |request, reply| {
            let is_earlier = request.path.contains("2.4.0");
            if is_earlier { problem(status, code) } else { reply }
        }));
        machine.treat()
    };
    for (status, code) in [(503, "BUSY"), (500, "INTERNAL")] {
        let treatment = treat_while_the_server_says(status, code);
        assert!(treatment.repairs[0].outcome.is_err(), "{treatment:#?}");
        assert!(!machine.at(".mainstay/unproven-1").exists());
    }
    assert_all_done(&treat_while_the_server_says(403, "REVOKED"), "revoked");
    assert!(machine.at(".mainstay/unproven-1/version-2.4.0/bin/acme-db").exists());
    machine.server().meddle = None;
    assert_goes_on(&machine, "revoked");
}

#[test]
fn a_tree_that_the_server_makes_another_one_of_is_refused() {
    let machine = Machine::well();
    fs::write(machine.at("versions/2.4.1/added"), "").unwrap();
    machine.server().meddle = Some(Box::new(|request, reply| {
        let is_artifact = request.path.ends_with(".tar.zst");
        if is_artifact { crate::fetch::test_server::Reply::ok(b"other".to_vec()) } else { reply }
    }));
    let treatment = machine.treat();
    assert!(treatment.repairs[0].outcome.is_err(), "{treatment:#?}");
    assert!(machine.at("versions/2.4.1/added").exists());
    let left: Vec<_> = treatment.diagnosis.findings.iter().map(|it| it.what).collect();
    assert_eq!(left, [What::TreeChanged]);
}

#[test]
fn what_only_people_can_put_right_is_said_and_left() {
    let machine = Machine::well();
    machine.edit(".mainstay/agent.toml", "server =", "srever =");
    fs::write(machine.at(".mainstay/token"), "two words\n").unwrap();
    fs::write(machine.at(".mainstay/machine.key"), "no key\n").unwrap();
    let before = machine.everything();
    let treatment = machine.treat();
    assert_eq!(treatment.repairs, []);
    assert_eq!(machine.everything(), before);
    let messages: Vec<_> =
        treatment.diagnosis.findings.iter().map(|it| it.message.as_str()).collect();
    assert!(messages[0].starts_with("line 1, column 1: `srever`"), "{messages:#?}");
    assert!(messages[0].contains("did you mean `server`?"), "{messages:#?}");
    assert!(messages[1].contains("`server` is missing"), "{messages:#?}");
    assert!(messages[2].contains("enrol again"), "{messages:#?}");
    assert!(messages[3].contains("enrol again"), "{messages:#?}");
    assert_eq!(messages.len(), 4, "{messages:#?}");
}

#[test]
fn settings_that_cannot_be_read_keep_what_needs_no_server_from_nobody() {
    let machine = Machine::well();
    machine.edit(".mainstay/agent.toml", "server =", "srever =");
    fs::remove_file(machine.at("current")).unwrap();
    fs::write(machine.at("versions/2.4.0/added"), "").unwrap();
    let treatment = machine.treat();
    let current = treatment.repairs.iter().find(|it| it.finding.what == What::Current).unwrap();
    assert!(current.outcome.is_ok(), "{current:?}");
    let tree = treatment.repairs.iter().find(|it| it.finding.what == What::TreeChanged).unwrap();
    assert!(
        tree.outcome.as_ref().unwrap_err().contains("put the settings right first"),
        "{tree:?}"
    );
}

#[test]
fn a_wrong_path_is_no_installation_that_has_lost_everything() {
    let folder = tempfile::tempdir().unwrap();
    let error = Diagnosis::read(folder.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotEnrolled);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_treatment_waits_for_nobody_who_is_at_work() {
    let machine = Machine::well();
    let _client = machine.client();
    let error = Doctor::open_within(machine.folder.path(), machine.surroundings()).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Locked);
    assert!(machine.diagnosis().is_well(), "to look takes no lock");
}

#[test]
fn a_change_that_was_cut_off_is_finished_or_undone() {
    let machine = Machine::well();
    machine.server().offer("2.4.2", &Particulars::default());
    for nth in 1.. {
        let files = FailingFileSystem::new(Failure::Crash, nth);
        let opened = Client::open_within(machine.folder.path(), machine.surroundings_on(&files));
        let updated = opened.and_then(|mut client| client.update(&mut |_| {}));
        if machine.found().contains(&What::Unfinished) {
            assert_all_done(&machine.treat(), "cut off");
            return;
        }
        assert!(updated.is_err(), "no change was ever found unfinished");
    }
}

#[test]
fn a_newer_journal_is_left_alone() {
    let machine = Machine::well();
    machine.edit(".mainstay/journal", "\"format\":3", "\"format\":4");
    let treatment = machine.treat();
    assert_eq!(treatment.repairs, []);
    assert_eq!(machine.found(), [What::JournalFormat]);
    assert!(Path::new(&machine.at(".mainstay/journal")).exists());
}

#[test]
fn a_link_in_the_place_of_a_private_file_is_said_and_what_it_leads_to_left_alone() {
    let machine = Machine::well();
    let (secret, folder) = (machine.at("of-another"), machine.at("of-others"));
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("theirs"), "").unwrap();
    fs::write(folder.join(".new-theirs"), "").unwrap();
    fs::rename(machine.at(".mainstay/token"), &secret).unwrap();
    fs::remove_dir(machine.at(".mainstay/staging")).unwrap();
    fs::remove_dir_all(machine.at(".mainstay/components")).unwrap_or_default();
    for path in ["of-another", "of-others", "of-others/theirs", "of-others/.new-theirs"] {
        machine.close(path, 0o644);
    }
    let links = ["token", "staging", "components"];
    for (name, target) in links.iter().zip([&secret, &folder, &folder]) {
        symlink(target, machine.at(".mainstay").join(name)).unwrap();
    }
    let before = machine.everything();
    let treatment = machine.treat();
    let left = &treatment.diagnosis.findings;
    let mut named: Vec<_> = left.iter().map(|it| it.path.file_name().unwrap()).collect();
    named.sort_unstable();
    assert_eq!(named, ["components", "staging", "token"], "{left:#?}");
    for finding in left {
        assert_eq!((finding.what, &finding.repair), (What::Obstructed, &None), "{finding:#?}");
        assert!(finding.message.contains("symbolic link"), "{finding:#?}");
    }
    assert_eq!(treatment.repairs, []);
    assert_eq!(machine.everything(), before);
    drop(machine.client());
    assert!(folder.join("theirs").exists(), "nor is there anything swept by other commands");
}

#[test]
fn what_another_agent_is_just_making_is_not_taken_for_left_over() {
    let machine = Machine::well();
    let client = machine.client();
    for path in [".mainstay/staging/2.4.2", ".mainstay/trash/1.0.0", "versions/2.4.2"] {
        fs::create_dir(machine.at(path)).unwrap();
        machine.close(path, 0o755);
    }
    assert_eq!(machine.found(), []);
    fs::write(machine.at("versions/2.4.1/added"), "").unwrap();
    assert_eq!(machine.found(), [What::TreeChanged], "the rest is looked at as ever");
    fs::remove_file(machine.at("versions/2.4.1/added")).unwrap();
    drop(client);
    assert_eq!(machine.found(), [What::LeftOver; 3]);
    let doctor = Doctor::open_within(machine.folder.path(), machine.surroundings()).unwrap();
    assert_eq!(doctor.diagnose().findings.len(), 3, "nobody else is at work while it is locked");
    assert_all_done(&doctor.treat(&mut |_| {}, &mut |_| {}), "left over");
}
