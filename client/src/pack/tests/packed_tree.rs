//! The archive of a tree that is read where it is.

use std::{
    fs::{self, File},
    os::unix::fs::{FileExt as _, PermissionsExt as _, symlink as make_symlink},
    path::Path,
    thread::sleep,
    time::Duration,
};

use tempfile::tempdir;

use super::{
    packing::{make, pack},
    *,
};
use crate::pack::{ErrorKind, PackedTree};

fn opened(root: &Path) -> PackedTree {
    PackedTree::open(root, &Limits::default()).unwrap()
}

fn part(tree: &PackedTree, offset: usize, length: usize) -> Result<Vec<u8>, Error> {
    let mut buffer = vec![0xaa; length];
    tree.read_exact_at(&mut buffer, offset as u64).map(|()| buffer)
}

#[test]
fn it_is_the_archive_that_packing_writes() {
    for tree in [sample_tree(), Vec::new(), vec![file("a", 0o644, &[7; 512])]] {
        let folder = tempdir().unwrap();
        make(folder.path(), tree.clone());
        let (packed, tree) = (pack(folder.path()).unwrap(), opened(folder.path()));
        assert_eq!(tree.length(), packed.len() as u64);
        assert!(part(&tree, 0, packed.len()).unwrap() == packed);
    }
}

#[test]
fn there_is_nothing_behind_its_end() {
    let folder = tempdir().unwrap();
    make(folder.path(), sample_tree());
    let tree = opened(folder.path());
    let length = usize::try_from(tree.length()).unwrap();
    assert!(part(&tree, length, 0).unwrap().is_empty());
    for (offset, count) in [(length, 1), (length - 1, 2), (usize::MAX, 1), (usize::MAX, 0)] {
        let error = part(&tree, offset, count).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Transfer, "{count} at {offset}: {error}");
    }
}

#[test]
fn more_files_than_are_held_open_are_read_in_any_order() {
    let folder = tempdir().unwrap();
    let files = (0..40).map(|number: u8| file(&format!("d/{number:02}"), 0o644, &[number; 700]));
    make(folder.path(), [directory("d", 0o755)].into_iter().chain(files));
    let (packed, tree) = (pack(folder.path()).unwrap(), opened(folder.path()));
    for step in 0..400 {
        let offset = step * 7919 % (packed.len() - 100);
        assert!(part(&tree, offset, 100).unwrap() == packed[offset..offset + 100], "{offset}");
    }
}

/// Reads a tree of which `change` is done to the file `d/f` after its first byte was read, and what is to
/// be read then.
fn read_while_changing(change: impl Fn(&Path)) -> Result<Vec<u8>, Error> {
    let folder = tempdir().unwrap();
    make(folder.path(), vec![directory("d", 0o755), file("d/f", 0o644, &[1; 600_000])]);
    let tree = opened(folder.path());
    part(&tree, 1024, 1).unwrap();
    change(&folder.path().join("d/f"));
    part(&tree, 1024, 600_000)
}

#[test]
fn a_file_that_becomes_shorter_while_it_is_read_is_an_error() {
    let shrinks =
        |path: &Path| File::options().write(true).open(path).unwrap().set_len(5000).unwrap();
    let error = read_while_changing(shrinks).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Changed);
    assert!(error.to_string().contains("`d/f` changed") && error.to_string().contains("shorter"));
}

#[test]
fn what_somebody_writes_to_an_open_file_is_in_the_bytes() {
    let is_rewritten = |path: &Path| {
        File::options().write(true).open(path).unwrap().write_all_at(&[2], 100).unwrap();
    };
    let read = read_while_changing(is_rewritten).unwrap();
    assert_eq!(read.iter().filter(|byte| **byte != 1).count(), 1);
    // The file that was looked at is read to its end, whatever bears its name by then.
    let is_removed = |path: &Path| fs::remove_file(path).unwrap();
    assert!(read_while_changing(is_removed).unwrap() == vec![1; 600_000]);
}

#[test]
fn a_file_that_was_changed_before_it_is_opened_is_an_error() {
    let changes: [fn(&Path); 5] = [
        |path| fs::write(path, "other").unwrap(),
        |path| fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap(),
        |path| {
            let beside = path.with_extension("beside");
            fs::write(&beside, "file").unwrap();
            fs::rename(beside, path).unwrap();
        },
        |path| {
            fs::remove_file(path).unwrap();
            make_symlink("/etc/passwd", path).unwrap();
        },
        |path| {
            let folder = path.parent().unwrap();
            fs::rename(folder, folder.with_file_name("elsewhere")).unwrap();
            make_symlink("elsewhere", folder).unwrap();
        },
    ];
    for (number, change) in changes.iter().enumerate() {
        let folder = tempdir().unwrap();
        make(folder.path(), vec![directory("d", 0o755), file("d/f", 0o644, b"file")]);
        let tree = opened(folder.path());
        sleep(Duration::from_millis(30));
        change(&folder.path().join("d/f"));
        let error = part(&tree, 1024, 4).unwrap_err();
        let expected = if number < 3 { ErrorKind::Changed } else { ErrorKind::FileSystem };
        assert_eq!(error.kind(), expected, "change {number}: {error}");
        assert!(error.to_string().contains("`d/f`"), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_part_of_any_tree_is_that_of_its_archive(
        tree in any_tree(),
        parts in proptest::collection::vec((any::<prop::sample::Index>(), 0..5000_usize), 1..20),
    ) {
        let folder = tempdir().unwrap();
        // What its owner may not read cannot be packed, unless by the privileged.
        let readable = tree.into_iter().map(|(entry, content)| match *entry.kind() {
            EntryKind::Directory { mode: bits } => {
                directory(entry.path().as_str(), bits.bits() | 0o700)
            }
            EntryKind::File { mode: bits, .. } => {
                file(entry.path().as_str(), bits.bits() | 0o400, &content)
            }
            EntryKind::Symlink { .. } => (entry, content),
        });
        make(folder.path(), readable);
        let (packed, tree) = (pack(folder.path()).unwrap(), opened(folder.path()));
        prop_assert_eq!(tree.length(), packed.len() as u64);
        for (begin, length) in parts {
            let begin = begin.index(packed.len());
            let end = packed.len().min(begin + length);
            prop_assert!(part(&tree, begin, end - begin).unwrap() == packed[begin..end]);
        }
        prop_assert!(part(&tree, 0, packed.len()).unwrap() == packed);
    }
}
