use proptest::prelude::*;

use super::*;
use crate::{
    format::Digest,
    pack::{
        ErrorKind,
        error::{ContentFound, Reason},
        verify,
    },
};

#[test]
fn what_is_written_is_read() {
    let tree = sample_tree();
    assert_eq!(read(write(&tree).as_slice()).unwrap(), tree);
    assert_eq!(read(OneByOne(write(&tree).as_slice())).unwrap(), tree);
}

/// The encoding must not drift: payloads are rebuilt from installed trees by later programs.
#[test]
fn the_encoding_is_the_one_that_was_released() {
    let digest = Digest::of(&write(&sample_tree()));
    assert_eq!(
        digest.to_string(),
        "7f06e7310f34eec5baf569119c2b44086507ef2b744cc59911f13b867db778b3"
    );
}

#[test]
fn other_tar_readers_understand_it() {
    let bytes = write(&sample_tree());
    let mut archive = tar::Archive::new(bytes.as_slice());
    let mut read = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        let path = entry.path().unwrap().to_str().unwrap().to_owned();
        let target = entry.link_name().unwrap().map(|name| name.to_str().unwrap().to_owned());
        read.push((path, target, content));
    }
    let expected = sample_tree().into_iter().map(|(entry, content)| {
        let target = match entry.kind() {
            EntryKind::Symlink { target } => Some(target.to_string()),
            _ => None,
        };
        (entry.path().to_string(), target, content)
    });
    assert_eq!(read, expected.collect::<Vec<_>>());
}

#[test]
fn an_empty_tree_is_an_end_marker() {
    assert_eq!(write(&Vec::new()), END_MARKER);
    assert_eq!(read(END_MARKER.as_slice()).unwrap(), Vec::new());
}

#[test]
fn the_summary_counts_what_is_there() {
    let tree = vec![directory("a", 0o755), file("a/b", 0o644, &[1; 513]), symlink("c", "a")];
    let (bytes, summary) = write_counted(&tree).unwrap();
    let expected = Summary {
        entries: 3,
        files: 1,
        bytes: 513,
        payload_length: 3 * 512 + 1024 + END_MARKER.len() as u64,
    };
    assert_eq!(summary, expected);
    assert_eq!(bytes.len() as u64, summary.payload_length);
    let read = read_archive(bytes.as_slice(), &Limits::default(), |_, _| Ok::<_, Error>(()));
    assert_eq!(read.unwrap(), summary, "content that is not read is skipped, and counted");
}

#[test]
fn a_length_beyond_octal_digits_is_written_and_read() {
    let length = 9 << 30;
    let entry = Entry::file(path("large"), mode(0o644), length);
    let mut header = Vec::new();
    crate::pack::header::encode(&entry, &mut header);
    let mut found = None;
    let content = io::repeat(0).take(length + END_MARKER.len() as u64);
    let outcome = read_archive(header.chain(content), &Limits::default(), |entry, _| {
        found = Some(entry);
        // Nine gigabytes need not be read to know the length.
        Err::<(), _>(Reason::Incomplete.into())
    });
    assert!(matches!(outcome.map_err(|error: Error| error.kind()), Err(ErrorKind::Malformed)));
    assert_eq!(found, Some(entry));
}

#[test]
fn the_writer_refuses_what_the_reader_would() {
    let refuse = |tree: Tree| write_counted(&tree).unwrap_err();
    let error = refuse(vec![file("b", 0o644, b""), file("a", 0o644, b"")]);
    assert!(matches!(error.reason(), Reason::Order { .. }), "{error}");
    let error = refuse(vec![file("a", 0o644, b""), file("a", 0o644, b"")]);
    assert!(matches!(error.reason(), Reason::Duplicate { .. }), "{error}");
    let error = refuse(vec![file("a/b", 0o644, b"")]);
    assert!(matches!(error.reason(), Reason::Folder { .. }), "{error}");
    let error = refuse(vec![file("a", 0o644, b""), file("a/b", 0o644, b"")]);
    assert!(matches!(error.reason(), Reason::Folder { .. }), "{error}");
    let error = refuse(vec![symlink("a", "b"), file("a/b", 0o644, b"")]);
    assert!(matches!(error.reason(), Reason::Folder { .. }), "{error}");
    let error = refuse(vec![directory("ab", 0o755), file("a/b", 0o644, b"")]);
    assert!(matches!(error.reason(), Reason::Order { .. }), "{error}");
    let error = refuse(vec![directory("a", 0o755), file("ab/c", 0o644, b"")]);
    assert!(matches!(error.reason(), Reason::Folder { .. }), "{error}");

    let mut archive = ArchiveWriter::new(Vec::new(), &Limits::default());
    let error = archive.add_symlink(path("a"), "../b").unwrap_err();
    assert!(matches!(error.reason(), Reason::Target { .. }), "{error}");
    archive.add_directory(path("a"), mode(0o755)).unwrap();
    archive.finish().unwrap();
}

#[test]
fn content_has_the_announced_length() {
    for (length, expected) in [(3, ContentFound::More), (9, ContentFound::Only(4))] {
        let mut archive = ArchiveWriter::new(Vec::new(), &Limits::default());
        let error =
            archive.add_file(path("a"), mode(0o644), length, b"four".as_slice()).unwrap_err();
        match error.reason() {
            Reason::ContentLength { found, .. } => assert_eq!(*found, expected),
            other => panic!("{other}"),
        }
        let error = archive.finish().map(|_| ()).unwrap_err();
        assert!(matches!(error.reason(), Reason::Incomplete), "{error}");
    }
}

#[test]
fn limits_hold_in_writing_and_in_reading() {
    let tree = vec![directory("a", 0o755), file("a/b", 0o644, &[1; 600]), symlink("c", "a/b")];
    let (bytes, summary) = write_counted(&tree).unwrap();
    let exact = Limits {
        entries_max: 3,
        path_bytes_max: 3,
        link_bytes_max: 3,
        payload_bytes_max: summary.payload_length,
        ..Limits::default()
    };
    let both = |limits: &Limits| {
        let mut archive = ArchiveWriter::new(Vec::new(), limits);
        let written =
            tree.iter().try_for_each(|(entry, content)| archive.add(entry, &mut &content[..]));
        (written.map_err(|e| e.kind()), read_within(&bytes[..], limits).map_err(|e| e.kind()))
    };
    assert_eq!(both(&exact), (Ok(()), Ok(tree.clone())));
    for smaller in [
        Limits { entries_max: 2, ..exact.clone() },
        Limits { path_bytes_max: 2, ..exact.clone() },
        Limits { link_bytes_max: 2, ..exact.clone() },
        Limits { payload_bytes_max: summary.payload_length - 1, ..exact.clone() },
    ] {
        let refused = (Err(ErrorKind::TooLarge), Err(ErrorKind::TooLarge));
        assert_eq!(both(&smaller), refused, "{smaller:?}");
    }
}

#[test]
fn verify_finds_the_description_and_the_executables() {
    let inspection = verify(write(&sample_tree()).as_slice(), &Limits::default()).unwrap();
    assert_eq!(
        inspection.description.as_deref(),
        Some(b"[health]\ncommand = [\"bin/check\"]\n".as_slice())
    );
    assert!(inspection.is_executable(&path("bin/check")));
    for other in ["bin", "bin/only-group", "bin/latest", "empty-file", "bin/missing"] {
        assert!(!inspection.is_executable(&path(other)), "{other}");
    }
    assert_eq!(inspection.summary.entries, sample_tree().len() as u64);
    assert_eq!(verify(END_MARKER.as_slice(), &Limits::default()).unwrap().description, None);
}

#[test]
fn verify_is_bounded() {
    let description = vec![file("mainstay.toml", 0o644, &[b' '; 11])];
    let limits = Limits { description_bytes_max: 10, ..Limits::default() };
    let error = verify(write(&description).as_slice(), &limits).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    let executables = vec![file("aaaa", 0o755, b""), file("bbbb", 0o755, b"")];
    let limits = Limits { executable_path_bytes_max: 7, ..Limits::default() };
    let error = verify(write(&executables).as_slice(), &limits).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    let elsewhere = vec![directory("a", 0o755), file("a/mainstay.toml", 0o644, b"x")];
    let inspection = verify(write(&elsewhere).as_slice(), &Limits::default()).unwrap();
    assert_eq!(inspection.description, None, "only the one at the root describes the release");
}

#[test]
fn an_error_of_the_visitor_is_handed_back() {
    #[derive(Debug)]
    enum Mine {
        Stop,
        Pack,
    }
    impl From<Error> for Mine {
        fn from(_: Error) -> Self {
            Self::Pack
        }
    }
    let bytes = write(&sample_tree());
    let stopped = read_archive(bytes.as_slice(), &Limits::default(), |_, _| Err(Mine::Stop));
    assert!(matches!(stopped, Err(Mine::Stop)));
    let refused = read_archive([1; 512].as_slice(), &Limits::default(), |_, _| Err(Mine::Stop));
    assert!(matches!(refused, Err(Mine::Pack)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_tree_is_read_as_it_was_written(tree in any_tree()) {
        let (bytes, summary) = write_counted(&tree).unwrap();
        prop_assert_eq!(bytes.len() as u64, summary.payload_length);
        prop_assert_eq!(read(bytes.as_slice()).unwrap(), tree);
    }

    /// There is one encoding: whatever bytes are accepted are the bytes that would be written.
    #[test]
    fn bytes_that_are_accepted_are_canonical(
        tree in any_tree(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        mends_checksum in any::<bool>(),
    ) {
        let mut bytes = write(&tree);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if mends_checksum {
            let block = at / 512 * 512;
            let mut header = Header::from_byte_slice(&bytes[block..block + 512]).clone();
            header.set_cksum();
            bytes[block..block + 512].copy_from_slice(header.as_bytes());
        }
        if let Ok(found) = read(bytes.as_slice()) {
            prop_assert_eq!(write(&found), bytes);
        }
    }

    #[test]
    fn a_shortened_archive_is_refused(tree in any_tree(), at in any::<prop::sample::Index>()) {
        let bytes = write(&tree);
        let error = read(&bytes[..at.index(bytes.len())]).unwrap_err();
        prop_assert!(matches!(error.reason(), Reason::Truncated { .. }), "{}", error);
    }
}
