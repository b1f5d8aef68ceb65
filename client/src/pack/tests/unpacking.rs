use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink as make_symlink},
    path::Path,
};

use proptest::prelude::*;
use tempfile::tempdir;

use super::{packing::pack, *};
use crate::{
    format::Digest,
    pack::{
        Compression, Compressor, ErrorKind, Payload, PayloadIdentity, error::Reason, repack,
        sync_tree, unpack_tree,
    },
};

fn unpack(archive: &[u8], root: &Path) -> Result<Summary, Error> {
    unpack_tree(archive, root, &Limits::default())
}

/// Every name below `root`.
fn names_below(root: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(root).unwrap() {
        let entry = entry.unwrap();
        names.push(entry.file_name().into_string().unwrap());
        if entry.file_type().unwrap().is_dir() {
            names.extend(names_below(&entry.path()));
        }
    }
    names.sort();
    names
}

#[test]
fn what_is_unpacked_packs_to_the_same_bytes() {
    let folder = tempdir().unwrap();
    let root = folder.path().join("2.4.1");
    let (archive, summary) = write_counted(&sample_tree()).unwrap();
    assert_eq!(unpack(&archive, &root).unwrap(), summary);
    sync_tree(&root).unwrap();
    assert!(pack(&root).unwrap() == archive);
    let metadata = fs::metadata(root.join("größe/日本語")).unwrap();
    assert_eq!(metadata.mode() & 0o7777, 0o666, "the umask has no say");
    assert_eq!(metadata.nlink(), 1);
    assert_eq!(fs::metadata(root.join("größe")).unwrap().mode() & 0o7777, 0o777);
    assert_eq!(fs::metadata(&root).unwrap().mode() & 0o7777, 0o755);
    assert_eq!(fs::read_link(root.join("bin/latest")).unwrap(), Path::new("check"));
}

#[test]
fn an_artifact_is_decompressed_verified_and_unpacked_in_one_pass() {
    use std::io::Write as _;
    let archive = write(&sample_tree());
    let compression = Compression { level: 3, window_log: 20, workers: 0 };
    let mut compressor = Compressor::new(Vec::new(), compression).unwrap();
    compressor.write_all(&archive).unwrap();
    let artifact = compressor.finish().unwrap();
    let folder = tempdir().unwrap();
    let expected = PayloadIdentity { length: archive.len() as u64, sha256: Digest::of(&archive) };
    let payload = Payload::new(artifact.as_slice(), expected, 20).unwrap();
    let root = folder.path().join("good");
    unpack_tree(payload, &root, &Limits::default()).unwrap();
    assert_eq!(repack(&root, &Limits::default(), &mut |_| {}).unwrap(), expected);

    let other = PayloadIdentity { sha256: Digest::of(b"other"), ..expected };
    let payload = Payload::new(artifact.as_slice(), other, 20).unwrap();
    let error = unpack_tree(payload, &folder.path().join("bad"), &Limits::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Mismatch, "{error}");
}

#[test]
fn a_folder_that_its_owner_may_not_write_to_is_filled_first() {
    let folder = tempdir().unwrap();
    let root = folder.path().join("tree");
    let tree = vec![
        directory("sealed", 0o555),
        directory("sealed/inner", 0o500),
        file("sealed/inner/f", 0o444, b"f"),
        file("sealed/z", 0o400, b"z"),
    ];
    unpack(&write(&tree), &root).unwrap();
    assert!(pack(&root).unwrap() == write(&tree));
    // So that an unprivileged test can remove them.
    for sealed in ["sealed", "sealed/inner"] {
        fs::set_permissions(root.join(sealed), fs::Permissions::from_mode(0o755)).unwrap();
    }
}

#[test]
fn only_a_folder_that_does_not_exist_is_unpacked_into() {
    let folder = tempdir().unwrap();
    let archive = write(&sample_tree());
    fs::create_dir(folder.path().join("empty")).unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    make_symlink("empty", folder.path().join("link")).unwrap();
    make_symlink("nowhere", folder.path().join("dangling")).unwrap();
    let before = names_below(folder.path());
    for existing in ["empty", "file", "link", "dangling"] {
        let error = unpack(&archive, &folder.path().join(existing)).unwrap_err();
        assert!(matches!(error.reason(), Reason::Exists { .. }), "{existing}: {error}");
    }
    assert_eq!(names_below(folder.path()), before);
    let error = unpack(&archive, &folder.path().join("missing/tree")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FileSystem);
    let error = sync_tree(&folder.path().join("missing")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::FileSystem);
}

#[test]
fn nothing_is_ever_made_outside_of_the_tree() {
    let folder = tempdir().unwrap();
    let outside = folder.path().join("outside");
    fs::create_dir(&outside).unwrap();
    let outside_text = outside.to_str().unwrap();
    let hostile = [
        vec![RawTar::file("../escape")],
        vec![RawTar::file(&format!("{outside_text}/escape"))],
        vec![RawTar::symlink("a", outside_text), RawTar::file("a/escape")],
        vec![RawTar::symlink("a", "../outside"), RawTar::file("a/escape")],
        vec![RawTar::directory("a"), RawTar::symlink("a", "b"), RawTar::file("a/escape")],
        vec![RawTar::directory("b"), RawTar::symlink("c", "b"), RawTar::file("c/escape")],
        vec![RawTar::new(EntryType::Link, "escape", 0o644, b"").linking_to("../outside")],
        vec![RawTar::new(EntryType::Fifo, "escape", 0o644, b"")],
        vec![RawTar::new(EntryType::Regular, "escape", 0o4755, b"")],
    ];
    for (number, entries) in hostile.into_iter().enumerate() {
        let root = folder.path().join(format!("tree{number}"));
        let error = unpack(&tar(entries), &root).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed, "{number}: {error}");
        let names = names_below(folder.path());
        assert!(!names.iter().any(|name| name == "escape"), "{number}: {names:?}");
        let mode = fs::metadata(&root).unwrap().mode() & 0o7777;
        assert_eq!(mode, 0o700, "{number}: a half-made tree is for its owner alone");
    }
}

#[test]
fn a_tree_as_deep_as_can_be_is_unpacked() {
    let mut tree = Vec::new();
    let mut at = String::new();
    for _ in 0..TreePath::SEGMENTS_MAX - 1 {
        at = if at.is_empty() { "d".repeat(31) } else { format!("{at}/{}", "d".repeat(31)) };
        tree.push(directory(&at, 0o755));
    }
    // With the path of the root before it this is longer than the system takes a path to be.
    tree.push(file(&format!("{at}/{}", "f".repeat(32)), 0o644, b"deep"));
    let folder = tempdir().unwrap();
    let root = folder.path().join("tree");
    unpack(&write(&tree), &root).unwrap();
    assert!(pack(&root).unwrap() == write(&tree));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_tree_is_unpacked_and_packed_again(tree in any_tree()) {
        // Folders that their owner may not read cannot be packed except by the privileged.
        let tree = tree.into_iter().map(|(entry, content)| {
            let at = entry.path().as_str();
            match entry.kind() {
                EntryKind::Directory { mode } => directory(at, mode.bits() | 0o700),
                EntryKind::File { mode, .. } => file(at, mode.bits() | 0o400, &content),
                EntryKind::Symlink { .. } => (entry, content),
            }
        }).collect::<Tree>();
        let folder = tempdir().unwrap();
        let root = folder.path().join("tree");
        let archive = write(&tree);
        unpack(&archive, &root).unwrap();
        prop_assert!(pack(&root).unwrap() == archive);
        let copy = folder.path().join("copy");
        super::packing::make(&copy, tree.into_iter().rev());
        if copy.exists() {
            prop_assert!(pack(&copy).unwrap() == archive);
        }
    }
}
