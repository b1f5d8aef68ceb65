//! Archives that nobody packed with this program.

use super::*;
use crate::pack::{ErrorKind, error::Reason};

/// The error that refuses `archive`.
fn refusal(archive: &[u8]) -> Error {
    match read(archive) {
        Ok(tree) => panic!("accepted: {tree:?}"),
        Err(error) => error,
    }
}

#[track_caller]
fn assert_refused(archive: &[u8], is_reason: impl Fn(&Reason) -> bool) {
    let error = refusal(archive);
    assert!(is_reason(error.reason()), "{error}: {:?}", error.reason());
}

macro_rules! assert_refused {
    ($archive:expr, $reason:pat) => {
        assert_refused(&$archive, |reason| matches!(reason, $reason))
    };
}

#[test]
fn the_hand_made_archive_is_accepted_where_nothing_is_wrong() {
    let archive = tar([RawTar::directory("a"), RawTar::file("a/b"), RawTar::symlink("a/c", "b")]);
    let expected = vec![directory("a", 0o755), file("a/b", 0o644, b"content"), symlink("a/c", "b")];
    assert_eq!(read(archive.as_slice()).unwrap(), expected);
}

#[test]
fn paths_out_of_the_tree_are_refused() {
    for name in [
        "../escape",
        "/etc/passwd",
        "a/../../escape",
        "./a",
        "a/",
        "",
        "a\\b",
        "a\x1b[2J",
        ".mainstay",
        ".mainstay/journal",
    ] {
        assert_refused!(tar([RawTar::file(name)]), Reason::Path { .. });
    }
}

#[test]
fn names_that_are_not_utf8_are_refused() {
    let entry = RawTar::file("a").with(|header| header.as_old_mut().name[0] = 0xff);
    assert_refused!(tar([entry]), Reason::NotUtf8 { .. });
    let entry = RawTar::symlink("a", "b").with(|header| header.as_old_mut().linkname[0] = 0xff);
    assert_refused!(tar([entry]), Reason::NotUtf8 { .. });
}

#[test]
fn links_out_of_the_tree_are_refused() {
    for target in ["../escape", "/etc/passwd", "b/../../c", "b/..", ""] {
        assert_refused!(tar([RawTar::symlink("a", target)]), Reason::Target { .. });
    }
}

#[test]
fn an_entry_through_a_link_is_refused() {
    let through = [RawTar::symlink("a", "b"), RawTar::file("a/passwd")];
    assert_refused!(tar(through), Reason::Folder { .. });
    let replaced = [RawTar::directory("a"), RawTar::symlink("a", "b"), RawTar::file("a/c")];
    assert_refused!(tar(replaced), Reason::Duplicate { .. });
    let link_first = [RawTar::symlink("a", "b"), RawTar::directory("a"), RawTar::file("a/c")];
    assert_refused!(tar(link_first), Reason::Duplicate { .. });
}

#[test]
fn an_order_other_than_the_canonical_is_refused() {
    assert_refused!(tar([RawTar::file("a"), RawTar::file("a")]), Reason::Duplicate { .. });
    assert_refused!(tar([RawTar::file("b"), RawTar::file("a")]), Reason::Order { .. });
    let bytewise = [RawTar::directory("a"), RawTar::file("a.txt"), RawTar::file("a/b")];
    assert_refused!(tar(bytewise), Reason::Order { .. });
    assert_refused!(tar([RawTar::file("a/b")]), Reason::Folder { .. });
    assert_refused!(tar([RawTar::file("a"), RawTar::file("a/b")]), Reason::Folder { .. });
    let other_folder = [RawTar::directory("a"), RawTar::directory("b"), RawTar::file("c/d")];
    assert_refused!(tar(other_folder), Reason::Folder { .. });
}

#[test]
fn other_kinds_of_entry_are_refused() {
    for (entry_type, content) in [
        (EntryType::Link, b"".as_slice()),
        (EntryType::Char, b""),
        (EntryType::Block, b""),
        (EntryType::Fifo, b""),
        (EntryType::Continuous, b"x"),
        (EntryType::GNUSparse, b"x"),
        (EntryType::XGlobalHeader, b"13 path=../b\n"),
        (EntryType::XHeader, b"13 path=../b\n"),
        (EntryType::new(b'V'), b""),
        (EntryType::new(0xff), b""),
    ] {
        let entry = RawTar::new(entry_type, "a", 0o644, content).linking_to("target");
        assert_refused!(tar([entry]), Reason::EntryType { .. });
    }
}

#[test]
fn special_mode_bits_are_refused() {
    for bits in [0o4755, 0o2755, 0o1777, 0o100_644, 0o10_000] {
        for entry_type in [EntryType::Regular, EntryType::Directory, EntryType::Symlink] {
            let entry = RawTar::new(entry_type, "a", bits, b"");
            assert_refused!(tar([entry]), Reason::ModeBits { .. });
        }
    }
}

#[test]
fn a_header_that_differs_from_the_canonical_is_refused_and_the_field_named() {
    type Change = fn(&mut Header);
    let changes: [(&str, Change); 14] = [
        ("the owner", |header| header.set_uid(1000)),
        ("the group", |header| header.set_gid(1000)),
        ("the time", |header| header.set_mtime(1)),
        ("the owner's name", |header| header.set_username("root").unwrap()),
        ("the group's name", |header| header.set_groupname("root").unwrap()),
        ("the type", |header| header.as_old_mut().linkflag = [0]),
        ("the link's target", |header| header.set_link_name_literal("x").unwrap()),
        ("an extension", |header| header.set_device_major(1).unwrap()),
        ("an extension", |header| header.as_gnu_mut().unwrap().set_atime(1)),
        ("the format's mark", |header| {
            header.as_mut_bytes()[257..265].copy_from_slice(b"ustar\x0000");
        }),
        ("the mode", |header| header.as_old_mut().mode = *b"   644 \0"),
        ("the mode", |header| header.as_old_mut().mode = *b"notoctal"),
        ("the length", |header| header.as_old_mut().size = *b"          7\0"),
        ("the path", |header| header.as_old_mut().name[50] = b'x'),
    ];
    for (expected, change) in changes {
        let error = refusal(&tar([RawTar::file("a").with(change)]));
        match error.reason() {
            Reason::NotCanonical { field, .. } => assert_eq!(*field, expected),
            other => panic!("{expected}: {other:?}"),
        }
    }
    for entry in [RawTar::directory("a"), RawTar::symlink("a", "b")] {
        let entry = entry.with(|header| header.set_size(512));
        assert_refused!(tar([entry]), Reason::NotCanonical { field: "the length", .. });
    }
    let symlink = RawTar::symlink("a", "b").with(|header| header.set_mode(0o644));
    assert_refused!(tar([symlink]), Reason::NotCanonical { field: "the mode", .. });
}

#[test]
fn a_wrong_checksum_is_refused() {
    let mut archive = tar([RawTar::file("a")]);
    archive[0] = b'b';
    assert_refused!(archive, Reason::Checksum { position: 0 });
    assert_refused!([b'x'; 2048], Reason::Checksum { position: 0 });
    let mut spelt_otherwise = tar([RawTar::file("a")]);
    let digits = spelt_otherwise[148..155].to_vec();
    assert_eq!(digits[0], b'0');
    spelt_otherwise[148] = b' ';
    assert_refused!(spelt_otherwise, Reason::NotCanonical { field: "the checksum", .. });
}

#[test]
fn the_end_is_two_blocks_of_zeros_and_nothing_after() {
    let good = tar([RawTar::file("a")]);
    let mut longer = good.clone();
    longer.push(0);
    assert_refused!(longer, Reason::Trailing { .. });
    let mut twice = good.clone();
    twice.extend(&good);
    assert_refused!(twice, Reason::Trailing { .. });
    assert_refused!(good[..good.len() - 512], Reason::Truncated { .. });
    assert_refused!(good[..good.len() - 1], Reason::Truncated { .. });
    assert_refused!(good[..good.len() - 1024], Reason::Truncated { .. });
    assert_refused!([0_u8; 0], Reason::Truncated { .. });
    let mut one_zero_block = RawTar::file("a").bytes();
    one_zero_block.extend([0; 512]);
    one_zero_block.extend(tar([RawTar::file("b")]));
    assert_refused!(one_zero_block, Reason::EndMarker { .. });
}

#[test]
fn padding_is_zero() {
    let mut archive = tar([RawTar::file("a")]);
    archive[512 + 7] = 1;
    assert_refused!(archive, Reason::Padding { .. });
    archive[512 + 7] = 0;
    archive[1023] = 1;
    assert_refused!(archive, Reason::Padding { .. });
}

#[test]
fn a_file_longer_than_the_archive_is_truncated_whatever_it_claims() {
    let entry = RawTar::file("a").with(|header| header.set_size(100 << 30));
    assert_refused!(tar([entry]), Reason::Truncated { .. });
    for length in [300 << 30, u64::MAX] {
        let entry = RawTar::file("a").with(|header| header.set_size(length));
        assert_refused!(tar([entry]), Reason::Limit { .. });
    }
}

fn long_name(entry_type: EntryType, text: &[u8]) -> RawTar {
    RawTar::new(entry_type, "././@LongLink", 0o644, text)
}

#[test]
fn long_names_are_bounded_and_canonical() {
    let name = "a".repeat(120);
    let record = |text: &str| long_name(EntryType::GNULongName, format!("{text}\0").as_bytes());
    let good = tar([record(&name), RawTar::file(&name)]);
    assert_eq!(read(good.as_slice()).unwrap(), vec![file(&name, 0o644, b"content")]);

    let bomb = long_name(EntryType::GNULongName, &[b'a'; 5000]);
    assert_refused!(tar([bomb, RawTar::file("a")]), Reason::Limit { .. });
    let claim = record(&name).with(|header| header.set_size(u64::MAX));
    assert_refused!(tar([claim]), Reason::Limit { .. });
    let records = std::iter::repeat_with(|| record(&name)).take(100);
    assert_refused!(tar(records), Reason::LongName { .. });
    assert_refused!(tar([record("short"), RawTar::file("short")]), Reason::NotCanonical { .. });
    assert_refused!(tar([record(&name), RawTar::file("b")]), Reason::NotCanonical { .. });
    let no_nul = long_name(EntryType::GNULongName, name.as_bytes());
    assert_refused!(tar([no_nul, RawTar::file(&name)]), Reason::NotCanonical { .. });
    let hidden = record(&format!("{name}\0hidden"));
    assert_refused!(tar([hidden, RawTar::file(&name)]), Reason::NotCanonical { .. });
    let escape = format!("../{name}");
    assert_refused!(tar([record(&escape), RawTar::file(&escape)]), Reason::Path { .. });
    let for_a_file = long_name(EntryType::GNULongLink, b"target\0");
    assert_refused!(tar([for_a_file, RawTar::file("a")]), Reason::NotCanonical { .. });
    // A record with no entry after it.
    assert_refused!(tar([record(&name)]), Reason::EntryType { .. } | Reason::Checksum { .. });
}

#[test]
fn long_targets_stay_in_the_tree() {
    let target = format!("../{}", "b".repeat(120));
    let record = long_name(EntryType::GNULongLink, format!("{target}\0").as_bytes());
    assert_refused!(tar([record, RawTar::symlink("a", &target[..100])]), Reason::Target { .. });
}

#[test]
fn a_failing_reader_is_no_fault_of_the_archive() {
    struct Failing;
    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::from(io::ErrorKind::ConnectionReset))
        }
    }
    let good = tar([RawTar::file("a")]);
    for length in [0, 100, 514, 600, good.len()] {
        let error = read(good[..length].chain(Failing)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Transfer, "{length}");
        assert_eq!(io::Error::from(error).kind(), io::ErrorKind::ConnectionReset, "{length}");
    }
}

#[test]
fn messages_name_the_path_and_what_to_do() {
    let error = refusal(&tar([RawTar::new(EntryType::Char, "dev/null", 0o666, b"")]));
    let expected = "the archive's entry `dev/null` is of tar type '3': expected a directory, a \
                    file or a symbolic link; pack the release again with `mainstay publish`";
    assert_eq!(error.to_string(), expected);
}
