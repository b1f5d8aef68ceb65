use std::{
    fs::{self, File, Permissions},
    os::unix::{
        fs::{FileExt, MetadataExt, PermissionsExt, symlink as make_symlink},
        net::UnixListener,
        process::CommandExt,
    },
    path::Path,
    process::Command,
    thread::sleep,
    time::Duration,
};

use rustix::fs::{CWD, FileType, Mode as RawMode, mknodat};
use tempfile::{TempDir, tempdir};

use super::*;
use crate::{
    format::Digest,
    pack::{ErrorKind, FileTime, error::Reason, list_tree, pack_tree, repack, scan_tree, verify},
};

pub(super) fn pack(root: &Path) -> Result<Vec<u8>, Error> {
    Ok(pack_tree(root, Vec::new(), &Limits::default(), &mut |_| {})?.0)
}

/// Makes `tree` in the file system, in the order given; folders get their modes at the end.
pub(super) fn make(root: &Path, tree: impl IntoIterator<Item = (Entry, Vec<u8>)>) {
    let mut modes = Vec::new();
    for (entry, content) in tree {
        let at = root.join(entry.path().as_str());
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        match entry.kind() {
            EntryKind::Directory { mode } => {
                fs::create_dir_all(&at).unwrap();
                modes.push((at, *mode));
            }
            EntryKind::File { mode, .. } => {
                fs::write(&at, content).unwrap();
                modes.push((at, *mode));
            }
            EntryKind::Symlink { target } => make_symlink(target.as_str(), &at).unwrap(),
        }
    }
    for (at, mode) in modes.into_iter().rev() {
        fs::set_permissions(at, Permissions::from_mode(mode.bits())).unwrap();
    }
}

fn made(tree: Tree) -> TempDir {
    let folder = tempdir().unwrap();
    make(folder.path(), tree);
    folder
}

#[test]
fn a_folder_packs_to_the_canonical_archive() {
    let folder = made(sample_tree());
    let expected = write(&sample_tree());
    assert!(pack(folder.path()).unwrap() == expected);
    assert!(pack(folder.path()).unwrap() == expected, "and again");
    let copy = tempdir().unwrap();
    make(copy.path(), sample_tree().into_iter().rev());
    assert!(pack(copy.path()).unwrap() == expected, "a copy made in another order");
    let through_link = tempdir().unwrap();
    make_symlink(folder.path(), through_link.path().join("current")).unwrap();
    assert!(pack(&through_link.path().join("current")).unwrap() == expected);
}

#[test]
fn a_plan_knows_what_the_archive_will_be() {
    let folder = made(sample_tree());
    let plan = scan_tree(folder.path(), &Limits::default()).unwrap();
    let (bytes, summary) = plan.pack(Vec::new(), &mut |_| {}).unwrap();
    assert_eq!(plan.summary(), summary);
    assert_eq!(bytes.len() as u64, summary.payload_length);
    let entries = sample_tree().into_iter().map(|(entry, _)| entry).collect::<Vec<_>>();
    assert_eq!(plan.entries().cloned().collect::<Vec<_>>(), entries);
    assert_eq!(verify(bytes.as_slice(), &Limits::default()).unwrap().summary, summary);
}

#[test]
fn repacking_gives_the_length_and_digest_of_the_payload() {
    let folder = made(sample_tree());
    let expected = write(&sample_tree());
    let found = repack(folder.path(), &Limits::default(), &mut |_| {}).unwrap();
    assert_eq!((found.length, found.sha256), (expected.len() as u64, Digest::of(&expected)));
    fs::write(folder.path().join("empty-file"), "no longer").unwrap();
    let found = repack(folder.path(), &Limits::default(), &mut |_| {}).unwrap();
    assert_ne!(found.sha256, Digest::of(&expected));
}

#[test]
fn a_listing_has_the_digest_of_each_file() {
    let folder = made(sample_tree());
    let listed = list_tree(folder.path(), &Limits::default()).unwrap();
    assert_eq!(listed.len(), sample_tree().len());
    for (listed, (entry, content)) in listed.into_iter().zip(sample_tree()) {
        let is_file = matches!(entry.kind(), EntryKind::File { .. });
        assert_eq!(listed.entry, entry);
        assert_eq!(listed.sha256, is_file.then(|| Digest::of(&content)));
    }
}

#[test]
fn progress_ends_at_the_sum_of_the_files() {
    let folder = made(vec![file("a", 0o644, &[1; 300_000]), file("b", 0o644, &[2; 5])]);
    let mut told = Vec::new();
    let (_, summary) =
        pack_tree(folder.path(), Vec::new(), &Limits::default(), &mut |bytes| told.push(bytes))
            .unwrap();
    assert!(told.len() > 3 && told.is_sorted(), "{told:?}");
    assert_eq!(told.last(), Some(&300_005));
    assert_eq!(summary.bytes, 300_005);
}

#[test]
fn a_hard_link_is_packed_as_a_file_of_its_own() {
    let folder = made(vec![file("a", 0o644, b"same")]);
    fs::hard_link(folder.path().join("a"), folder.path().join("b")).unwrap();
    let expected = vec![file("a", 0o644, b"same"), file("b", 0o644, b"same")];
    assert_eq!(read(pack(folder.path()).unwrap().as_slice()).unwrap(), expected);
}

/// Where nothing may be written.
struct NeverWritten;

impl io::Write for NeverWritten {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        panic!("written to")
    }
    fn flush(&mut self) -> io::Result<()> {
        panic!("flushed")
    }
}

#[test]
fn all_that_cannot_be_packed_is_listed_before_anything_is_written() {
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};
    let folder = made(vec![
        file("fine", 0o644, b""),
        directory("deep", 0o755),
        file("deep/setuid", 0o755, b""),
        directory("sticky", 0o755),
        directory("back\u{5f}slash", 0o755),
    ]);
    let at = |name: &str| folder.path().join(name);
    fs::set_permissions(at("deep/setuid"), Permissions::from_mode(0o4755)).unwrap();
    fs::set_permissions(at("sticky"), Permissions::from_mode(0o1755)).unwrap();
    let _socket = UnixListener::bind(at("deep/socket")).unwrap();
    mknodat(CWD, at("fifo"), FileType::Fifo, RawMode::RUSR, 0).unwrap();
    make_symlink("../outside", at("leaves")).unwrap();
    make_symlink("/etc/passwd", at("deep/absolute")).unwrap();
    make_symlink("deep/../..", at("sly")).unwrap();
    fs::write(folder.path().join(OsStr::from_bytes(b"not-utf8-\xff")), "").unwrap();
    fs::write(at("a\\b"), "").unwrap();
    fs::write(at("new\nline"), "").unwrap();
    fs::create_dir(at(".mainstay")).unwrap();
    fs::create_dir(at("deep/.mainstay")).unwrap();

    let error = pack_tree(folder.path(), NeverWritten, &Limits::default(), &mut |_| {})
        .map(|_| ())
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unpackable);
    let problems = error.problems();
    for (name, problem) in [
        (".mainstay", "not '.mainstay'"),
        (r"a\\b", "backslash"),
        ("deep/absolute", "stays in the tree"),
        ("deep/setuid", "mode 4755"),
        ("deep/socket", "is a socket"),
        ("fifo", "is a named pipe"),
        ("leaves", "stays in the tree"),
        (r"new\nline", "control character"),
        ("not-utf8-\u{fffd}", "not UTF-8"),
        ("sly", "stays in the tree"),
        ("sticky", "mode 1755"),
    ] {
        let is_listed =
            problems.iter().any(|it| it.starts_with(&format!("`{name}`:")) && it.contains(problem));
        assert!(is_listed, "{name}: {problem} in {problems:#?}");
    }
    assert_eq!(problems.len(), 11, "{problems:#?}");
    assert_eq!(error.to_string().lines().count(), 12, "{error}");
}

#[test]
fn a_device_node_is_refused() {
    let folder = tempdir().unwrap();
    let null = rustix::fs::makedev(1, 3);
    let at = folder.path().join("null");
    // Only a privileged test may make one; the devices of the system serve the others.
    let root = match mknodat(CWD, &at, FileType::CharacterDevice, RawMode::RUSR, null) {
        Ok(()) => folder.path(),
        Err(_) => Path::new("/dev"),
    };
    let error = scan_tree(root, &Limits::default()).map(|_| ()).unwrap_err();
    assert!(
        error.problems().iter().any(|it| it == "`null`: is a device node; remove it"),
        "{error}"
    );
}

/// The privileged may read everything, so they run this test again as somebody else.
#[test]
fn what_cannot_be_read_is_listed() {
    const NOBODY: u32 = 65534;
    if rustix::process::geteuid().is_root() {
        let (_crate, module) = module_path!().split_once("::").unwrap();
        // Through this link the program is found in folders that nobody may look into.
        let output = Command::new("/proc/self/exe")
            .args(["--exact", &format!("{module}::what_cannot_be_read_is_listed")])
            .current_dir("/")
            .env("TMPDIR", "/tmp")
            .uid(NOBODY)
            .gid(NOBODY)
            .output()
            .unwrap();
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && printed.contains("1 passed"), "{printed}");
        return;
    }
    let folder = made(vec![file("secret", 0o000, b""), directory("sealed", 0o000)]);
    let error = scan_tree(folder.path(), &Limits::default()).map(|_| ()).unwrap_err();
    assert_eq!(error.problems().len(), 2, "{error}");
    for name in ["secret", "sealed"] {
        let expected = format!("`{name}`: cannot be read: Permission denied");
        assert!(error.problems().iter().any(|it| it.starts_with(&expected)), "{error}");
    }
}

#[test]
fn limits_hold_in_packing() {
    let folder = made(vec![file("a", 0o644, b""), file("b", 0o644, b"")]);
    for limits in [
        Limits { entries_max: 1, ..Limits::default() },
        Limits { payload_bytes_max: 2047, ..Limits::default() },
    ] {
        let error = scan_tree(folder.path(), &limits).map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge, "{limits:?}");
    }
    let missing = scan_tree(&folder.path().join("missing"), &Limits::default());
    assert_eq!(missing.map(|_| ()).unwrap_err().kind(), ErrorKind::FileSystem);
    let no_folder = scan_tree(&folder.path().join("a"), &Limits::default());
    assert_eq!(no_folder.map(|_| ()).unwrap_err().kind(), ErrorKind::FileSystem);
}

/// Packs a file of many chunks that `change` is done to after the first.
fn pack_while_changing(change: impl Fn(&File)) -> Error {
    let folder = made(vec![file("log", 0o644, &[1; 600_000])]);
    // The kernel's clock, which stamps files, ticks a hundred times a second or more often.
    sleep(Duration::from_millis(30));
    let log = File::options().write(true).open(folder.path().join("log")).unwrap();
    let mut is_changed = false;
    pack_tree(folder.path(), io::sink(), &Limits::default(), &mut |_| {
        if !is_changed {
            change(&log);
            is_changed = true;
        }
    })
    .map(|_| ())
    .unwrap_err()
}

#[test]
fn a_file_that_changes_while_it_is_packed_is_an_error() {
    let grows = pack_while_changing(|log| log.write_all_at(&[2; 10], 600_000).unwrap());
    let shrinks = pack_while_changing(|log| log.set_len(500_000).unwrap());
    let is_rewritten = pack_while_changing(|log| log.write_all_at(&[2; 10], 0).unwrap());
    let is_touched = pack_while_changing(|log| {
        log.set_permissions(Permissions::from_mode(0o600)).unwrap();
    });
    for error in [&grows, &shrinks, &is_rewritten, &is_touched] {
        assert_eq!(error.kind(), ErrorKind::Changed, "{error}");
        assert!(error.to_string().starts_with("`log` changed"), "{error}");
    }
    assert!(grows.to_string().contains("longer"), "{grows}");
    assert!(shrinks.to_string().contains("shorter"), "{shrinks}");
}

#[test]
fn a_tree_that_changes_after_it_was_planned_is_an_error() {
    let changes: [fn(&Path); 5] = [
        |root| fs::write(root.join("d/f"), "other").unwrap(),
        |root| fs::write(root.join("d/new"), "new").unwrap(),
        |root| {
            fs::write(root.join("same"), "file").unwrap();
            fs::rename(root.join("same"), root.join("d/f")).unwrap();
        },
        |root| {
            fs::remove_file(root.join("l")).unwrap();
            make_symlink("e", root.join("l")).unwrap();
        },
        |root| fs::set_permissions(root.join("d"), Permissions::from_mode(0o700)).unwrap(),
    ];
    for (number, change) in changes.iter().enumerate() {
        let folder =
            made(vec![directory("d", 0o755), file("d/f", 0o644, b"file"), symlink("l", "d")]);
        let plan = scan_tree(folder.path(), &Limits::default()).unwrap();
        plan.pack(io::sink(), &mut |_| {}).unwrap();
        sleep(Duration::from_millis(30));
        change(folder.path());
        let error = plan.pack(io::sink(), &mut |_| {}).map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Changed, "change {number}: {error}");
    }
}

#[test]
fn a_file_replaced_by_a_link_or_pipe_is_not_followed() {
    let folder = made(vec![file("f", 0o644, b"file")]);
    let plan = scan_tree(folder.path(), &Limits::default()).unwrap();
    fs::remove_file(folder.path().join("f")).unwrap();
    make_symlink("/etc/passwd", folder.path().join("f")).unwrap();
    let error = plan.pack(io::sink(), &mut |_| {}).map(|_| ()).unwrap_err();
    assert!(matches!(error.reason(), Reason::FileSystem { .. }), "{error}");
    fs::remove_file(folder.path().join("f")).unwrap();
    mknodat(CWD, folder.path().join("f"), FileType::Fifo, RawMode::RUSR, 0).unwrap();
    let error = plan.pack(io::sink(), &mut |_| {}).map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Changed, "and does not wait for a writer: {error}");
}

#[test]
fn what_was_changed_in_the_present_step_of_time_is_not_sealed() {
    let folder = tempdir().unwrap();
    let root = folder.path().join("tree");
    make(&root, vec![file("f", 0o644, b"f"), directory("z", 0o755)]);
    let plan = scan_tree(&root, &Limits::default()).unwrap();
    // As if the folder beside had been changed as the file was, and then well after it.
    let beside = File::open(folder.path()).unwrap();
    let changed = fs::metadata(root.join("f")).unwrap();
    let changed = std::time::UNIX_EPOCH
        + Duration::new(
            changed.ctime().try_into().unwrap(),
            changed.ctime_nsec().try_into().unwrap(),
        );
    for (later, is_sealed) in [(Duration::ZERO, false), (Duration::from_micros(1), true)] {
        beside.set_times(fs::FileTimes::new().set_modified(changed + later)).unwrap();
        let now = FileTime::of_folder(folder.path()).unwrap();
        assert_eq!(plan.lasting_seal(now), is_sealed.then(|| plan.seal()), "{later:?}");
    }
}
