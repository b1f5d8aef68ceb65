//! The TUF client by itself, against a repository without contracts and plans.

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use super::{
    vendor::{Particulars, Vendor},
    *,
};
use crate::{
    error::ErrorKind,
    fetch::{
        Mirror,
        test_server::{Body, Reply},
    },
    tuf::Limits,
};

/// The address of the repository on the server, before every path that a mirror is asked for.
struct Below(&'static str, Direct);

impl Transport for Below {
    fn send(&self, request: &fetch::Request<'_>) -> Result<fetch::Answer, Error> {
        let path = format!("{}{}", self.0, request.path);
        let token = "mst_token".to_owned().into();
        self.1.send(&fetch::Request { path: &path, token: Some(&token), ..*request })
    }
}

fn metadata(machine: &Machine) -> Mirror {
    let transport = Below("/repo/acme-db", Direct(Arc::clone(&machine.server)));
    Mirror::new(Box::new(transport), fetch::Limits::DEFAULT, Retry::AT_ONCE)
}

fn targets(machine: &Machine) -> Mirror {
    let transport = Below("/repo/acme-db/targets", Direct(Arc::clone(&machine.server)));
    Mirror::new(Box::new(transport), fetch::Limits::DEFAULT, Retry::AT_ONCE)
}

fn refresh(machine: &Machine) -> Result<Updater, Error> {
    let now = *machine.now.lock().unwrap();
    Updater::refresh(metadata(machine), machine.folder.path(), Limits::DEFAULT, now)
}

/// A repository with a release, and a folder that trusts its first root.
fn begun() -> Machine {
    let machine = Machine::new();
    machine.server().offer("2.4.0", &Particulars::default());
    let root = machine.server().vendor.roots[0].clone();
    Updater::init(machine.folder.path(), &root).unwrap();
    machine
}

fn release_target(machine: &Machine) -> String {
    let server = machine.server();
    let Vendor { targets, .. } = &server.vendor;
    let target = targets.values().flat_map(|targets| targets.values()).next().unwrap();
    target.manifest.path.to_string()
}

fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(path).unwrap())
        })
        .collect();
    files.sort();
    files
}

#[test]
fn a_target_is_found_through_its_role_and_downloaded_once() {
    let machine = begun();
    let (folder, path) = (tempfile::tempdir().unwrap(), release_target(&machine));
    let destination = folder.path().join("release.json");
    for _ in 0..2 {
        let mut updater = refresh(&machine).unwrap();
        updater.download(&targets(&machine), &path, &destination).unwrap();
    }
    let server = machine.server();
    let downloads = server.paths().iter().filter(|path| path.contains("/targets/")).count();
    assert_eq!(downloads, 1);
    let bytes = fs::read(&destination).unwrap();
    assert!(server.vendor.files.values().any(|file| *file == bytes));
    let feature = fs::read(machine.folder.path().join("feature.json")).unwrap();
    assert_eq!(feature, server.vendor.files["2.feature.json"]);
}

#[test]
fn damaged_and_lost_copies_are_fetched_anew() {
    let machine = begun();
    let path = release_target(&machine);
    refresh(&machine).unwrap().target(&path).unwrap();
    let pristine = files(machine.folder.path());
    for (name, bytes) in &pristine {
        let copy = machine.folder.path().join(name);
        for damage in [None, Some(&b""[..]), Some(&bytes[..bytes.len() - 1]), Some(&b"{}"[..])] {
            match damage {
                Some(damaged) => fs::write(&copy, damaged).unwrap(),
                None => fs::remove_file(&copy).unwrap(),
            }
            refresh(&machine).unwrap().target(&path).unwrap();
            if name != "pinned-root" && name != "root.json" {
                assert_eq!(fs::read(&copy).unwrap(), *bytes, "{name}");
            }
            fs::write(&copy, bytes).unwrap();
        }
    }
}

#[test]
fn a_folder_that_slept_for_years_wakes() {
    let machine = begun();
    refresh(&machine).unwrap();
    machine.pass(3 * 365 * 24 * 3600);
    assert_eq!(refresh(&machine).err().unwrap().code(), "expired");
    let now = *machine.now.lock().unwrap();
    machine.server().go_on_at(now);
    machine.server().vendor.rotate_timestamp_key();
    refresh(&machine).unwrap().target(&release_target(&machine)).unwrap();
}

#[test]
fn one_new_online_key_undoes_a_fast_forward() {
    for replace_a_key in [Vendor::rotate_timestamp_key, Vendor::rotate_snapshot_key] {
        let machine = begun();
        machine.server().vendor.sign_far_ahead();
        refresh(&machine).unwrap();
        machine.server().vendor.sign();
        assert_eq!(refresh(&machine).err().unwrap().code(), "rollback");
        replace_a_key(&mut machine.server().vendor);
        refresh(&machine).unwrap().target(&release_target(&machine)).unwrap();
    }
}

#[test]
fn a_lost_root_does_not_let_an_older_one_in() {
    let machine = begun();
    machine.server().vendor.rotate_timestamp_key();
    refresh(&machine).unwrap();
    fs::remove_file(machine.folder.path().join("root.json")).unwrap();
    machine.server().meddle = Some(Box::new(|request, reply| {
        if request.path.ends_with("/2.root.json") { Reply::status(404, "") } else { reply }
    }));
    let refusal = refresh(&machine).err().unwrap();
    assert_eq!((refusal.kind(), refusal.code()), (ErrorKind::Trust, "rollback"));
    machine.server().meddle = None;
    refresh(&machine).unwrap();
}

#[test]
fn what_is_refused_changes_nothing() {
    let machine = begun();
    let path = release_target(&machine);
    refresh(&machine).unwrap().target(&path).unwrap();
    let before = files(machine.folder.path());
    machine.server().vendor.sign();
    for file in ["timestamp.json", "snapshot.json", "targets.json"] {
        machine.server().meddle = Some(Box::new(move |request, mut reply| {
            if request.path.ends_with(file) {
                let Body::Whole(body) = &mut reply.body else { unreachable!() };
                let at = body.windows(7).position(|it| it == b"expires").unwrap() + 14;
                body[at] ^= 1;
            }
            reply
        }));
        let code = refresh(&machine).err().unwrap().code().to_owned();
        let expected = if file == "timestamp.json" { "threshold" } else { "digest" };
        assert_eq!(code, expected, "{file}");
        let role = file.strip_suffix(".json").unwrap();
        for ((name, old), (_, new)) in before.iter().zip(files(machine.folder.path())) {
            let is_above = role != "timestamp" && name == "timestamp.json"
                || role == "targets" && name == "snapshot.json";
            assert!(is_above || *old == new, "{name} after {file}");
        }
    }
    machine.server().meddle = None;
    refresh(&machine).unwrap().target(&path).unwrap();
}

#[test]
fn a_download_that_breaks_off_is_begun_again() {
    let machine = begun();
    let (folder, path) = (tempfile::tempdir().unwrap(), release_target(&machine));
    let destination = folder.path().join("release.json");
    let mut updater = refresh(&machine).unwrap();
    let cut = AtomicBool::new(false);
    machine.server().meddle = Some(Box::new(move |request, reply| {
        let is_first = request.path.contains("/targets/") && !cut.swap(true, Ordering::SeqCst);
        if is_first { reply.cut_after(10) } else { reply }
    }));
    updater.download(&targets(&machine), &path, &destination).unwrap();
    let bytes = fs::read(&destination).unwrap();
    let server = machine.server();
    assert!(server.vendor.files.values().any(|file| *file == bytes));
    let downloads = server.paths();
    assert_eq!(downloads.iter().filter(|path| path.contains("/targets/")).count(), 2);
}

#[test]
fn a_file_that_is_not_the_target_replaces_nothing() {
    let machine = begun();
    let (folder, path) = (tempfile::tempdir().unwrap(), release_target(&machine));
    let destination = folder.path().join("release.json");
    fs::write(&destination, "what was there").unwrap();
    for bytes in [&b"too short"[..], &[b' '; 10_000]] {
        machine.server().meddle = Some(Box::new(move |request, reply| {
            if request.path.contains("/targets/") { Reply::ok(bytes) } else { reply }
        }));
        let mut updater = refresh(&machine).unwrap();
        let error = updater.download(&targets(&machine), &path, &destination).unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Trust, "length"));
    }
    machine.server().meddle = Some(Box::new(|request, mut reply| {
        if request.path.contains("/targets/") {
            let Body::Whole(body) = &mut reply.body else { unreachable!() };
            body[0] ^= 1;
        }
        reply
    }));
    let mut updater = refresh(&machine).unwrap();
    let error = updater.download(&targets(&machine), &path, &destination).unwrap_err();
    assert_eq!(error.code(), "digest");
    assert_eq!(fs::read(&destination).unwrap(), b"what was there");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_folder_that_was_never_begun_says_so() {
    let machine = Machine::new();
    assert_eq!(refresh(&machine).err().unwrap().kind(), ErrorKind::Local);
    let error = Updater::init(machine.folder.path(), b"{}").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Trust);
    assert_eq!(fs::read_dir(machine.folder.path()).unwrap().count(), 0);
    assert!(machine.server().requests.is_empty());
}
