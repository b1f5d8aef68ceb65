use std::{
    fs::{self, Permissions},
    io::Read,
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use mainstay_client::{
    fetch::Coding,
    format::Digest,
    pack::{
        ArchiveWriter, Compression, Compressor, Entry, EntryKind, Error, Limits, Mode, Payload,
        PayloadIdentity, Summary, list_tree, pack_tree, read_archive, unpack_tree, verify,
    },
};

use super::{Seeds, input::Input};

const BLOCK_BYTES: usize = 512;
/// Narrow, so that every one of them is reached.
const LIMITS: Limits = Limits {
    entries_max: 6,
    path_bytes_max: 150,
    link_bytes_max: 120,
    payload_bytes_max: 8 << 10,
    description_bytes_max: 64,
    executable_path_bytes_max: 100,
};

/// The archive as it is, and with the checksums that its headers should have: an input is not
/// to end there.
fn readings(bytes: &[u8]) -> [Vec<u8>; 2] {
    [bytes.to_vec(), with_checksums(bytes.to_vec())]
}

fn with_checksums(mut archive: Vec<u8>) -> Vec<u8> {
    let mut position = 0;
    while let Some(header) = archive.get_mut(position..position + BLOCK_BYTES) {
        if header.iter().all(|byte| *byte == 0) {
            break;
        }
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().copied().map(u32::from).sum();
        header[148..156].copy_from_slice(format!("{sum:07o}\0").as_bytes());
        let length = str::from_utf8(&header[124..135]).ok();
        let length = length.and_then(|digits| usize::from_str_radix(digits, 8).ok()).unwrap_or(0);
        position += BLOCK_BYTES + length.next_multiple_of(BLOCK_BYTES);
    }
    archive
}

type Contents = Vec<(Entry, Vec<u8>)>;

fn contents(archive: &[u8], limits: &Limits) -> Result<(Contents, Summary), Error> {
    let mut contents = Vec::new();
    let summary = read_archive(archive, limits, |entry, content| {
        let mut bytes = Vec::new();
        content.read_to_end(&mut bytes).map_err(|error| error.downcast::<Error>().unwrap())?;
        assert_eq!(bytes.len() as u64, entry.length());
        contents.push((entry, bytes));
        Ok::<_, Error>(())
    })?;
    Ok((contents, summary))
}

/// Of all archives that hold a tree one is accepted: the one that is written.
pub(crate) fn read(bytes: &[u8]) {
    for archive in readings(bytes) {
        let inspection = verify(&*archive, &Limits::default());
        let Ok((entries, summary)) = contents(&archive, &Limits::default()) else {
            assert!(inspection.is_err(), "two readings of one archive");
            assert!(contents(&archive, &LIMITS).is_err(), "narrower limits accept more");
            continue;
        };
        assert_eq!(summary.payload_length, archive.len() as u64);
        assert_eq!(summary.entries, entries.len() as u64);
        assert!(entries.is_sorted_by(|(one, _), (other, _)| one.path() < other.path()));
        if let Ok(inspection) = inspection {
            assert_eq!(inspection.summary, summary);
        }
        let mut writer = ArchiveWriter::new(Vec::new(), &Limits::default());
        for (entry, content) in &entries {
            writer.add(entry, &mut &**content).unwrap();
        }
        let (written, again) = writer.finish().unwrap();
        assert!(written == archive, "the archive has another spelling");
        assert_eq!(again, summary);
        if contents(&archive, &LIMITS).is_ok() {
            assert!(summary.entries <= LIMITS.entries_max);
            assert!(summary.payload_length <= LIMITS.payload_bytes_max);
            for (entry, _) in &entries {
                assert!(entry.path().as_str().len() <= LIMITS.path_bytes_max);
                if let EntryKind::Symlink { target } = entry.kind() {
                    assert!(target.as_str().len() <= LIMITS.link_bytes_max);
                }
            }
        }
    }
}

/// Nothing is unpacked outside the tree, and what is unpacked packs to the same archive.
pub(crate) fn unpack(bytes: &[u8]) {
    for archive in readings(bytes) {
        let dir = tempfile::tempdir().unwrap();
        let (root, outside) = (dir.path().join("tree"), dir.path().join("outside"));
        fs::write(&outside, "untouched").unwrap();
        let unpacked = unpack_tree(&*archive, &root, &Limits::default());
        let read = contents(&archive, &Limits::default());
        assert_eq!(unpacked.is_ok(), read.is_ok(), "{unpacked:?}");
        if let Ok((entries, _)) = read
            && entries.iter().all(|(entry, _)| is_readable(entry))
        {
            let listed = list_tree(&root, &Limits::default()).unwrap();
            assert_eq!(listed.len(), entries.len());
            for (listed, (entry, content)) in listed.iter().zip(&entries) {
                assert_eq!(listed.entry, *entry);
                assert!(listed.sha256.is_none_or(|sha256| sha256 == Digest::of(content)));
            }
            let (packed, _) =
                pack_tree(&root, Vec::new(), &Limits::default(), &mut |_| {}).unwrap();
            assert!(packed == archive, "the tree packs to another archive");
        }
        assert_eq!(fs::read(&outside).unwrap(), b"untouched");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
        open_folders(&root);
    }
}

/// Whether whoever unpacked the entry can read it again without being root.
fn is_readable(entry: &Entry) -> bool {
    match entry.kind() {
        EntryKind::Directory { mode } => mode.bits() & 0o500 == 0o500,
        EntryKind::File { mode, .. } => mode.bits() & 0o400 != 0,
        EntryKind::Symlink { .. } => true,
    }
}

/// Lets the folder and those in it be removed.
fn open_folders(folder: &Path) {
    fs::set_permissions(folder, Permissions::from_mode(0o700)).unwrap();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            open_folders(&entry.path());
        }
    }
}

fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ArchiveWriter::new(Vec::new(), &Limits::default());
    let mode = |bits| Mode::new(bits).unwrap();
    for (path, content) in entries {
        let tree_path = path.trim_end_matches(['/', '@', '!']).parse().unwrap();
        match path.chars().next_back().unwrap() {
            '/' => writer.add_directory(tree_path, mode(0o755)).unwrap(),
            '@' => writer.add_symlink(tree_path, str::from_utf8(content).unwrap()).unwrap(),
            last => {
                let mode = mode(if last == '!' { 0o755 } else { 0o644 });
                writer.add_file(tree_path, mode, content.len() as u64, *content).unwrap();
            }
        }
    }
    writer.finish().unwrap().0
}

/// Small archives. A path that ends in `/` is a directory's, in `@` a link's, in `!` a program's.
pub(crate) fn archive_seeds() -> Seeds {
    let long = format!("{}/", "long".repeat(30));
    let long_link = format!("{}@", "link".repeat(30));
    let long_target = "target".repeat(20);
    let twice = archive(&[("a", b"1")]);
    let twice = [&twice[..2 * BLOCK_BYTES], &twice].concat();
    let mut through_link = archive(&[("a/", b""), ("b@", b"a"), ("c", b"1")]);
    through_link[2 * BLOCK_BYTES..][..3].copy_from_slice(b"b/c");
    let mut dirty_padding = archive(&[("a", b"1")]);
    dirty_padding[BLOCK_BYTES + 1] = b'x';
    let mut descending = archive(&[("a", b""), ("b", b"")]);
    descending[..2 * BLOCK_BYTES].rotate_left(BLOCK_BYTES);
    vec![
        ("dirty-padding", dirty_padding),
        ("descending", descending),
        ("trailing", [&*archive(&[("a", b"1")]), b"x"].concat()),
        ("empty", archive(&[])),
        ("file", archive(&[("mainstay.toml", b"[health]\ncommand = [\"bin/a\"]\n")])),
        ("tree", archive(&[("bin/", b""), ("bin/a!", b"#!/bin/sh\n"), ("c@", b"bin/a")])),
        ("long", archive(&[(&long_link, long_target.as_bytes()), (&long, b"")])),
        ("twice", twice),
        ("through-link", through_link),
    ]
}

/// Never more comes out than was signed, and what comes out is what was signed.
pub(crate) fn payload(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let window_log = u32::from(input.below(32));
    let length = u64::from(input.byte()) << input.below(13);
    let step = usize::from(input.byte()) + 1;
    let frame = input.rest();
    let unknown = PayloadIdentity { length, sha256: Digest::of(b"something else") };
    let (came, _) = read_payload(frame, unknown, window_log, step);
    assert!(came.len() as u64 <= length, "{} bytes came out of {length}", came.len());
    let signed = PayloadIdentity { length: came.len() as u64, sha256: Digest::of(&came) };
    let (again, is_whole) = read_payload(frame, signed, window_log, 4096);
    assert!(again == came || !is_whole, "two readings of one frame");
    if is_whole && !came.is_empty() {
        let shorter = PayloadIdentity {
            length: signed.length - 1,
            sha256: Digest::of(&came[..came.len() - 1]),
        };
        assert!(!read_payload(frame, shorter, window_log, 4096).1, "too long and not refused");
        let trailing = [frame, b"x"].concat();
        assert!(!read_payload(&trailing, signed, window_log, 4096).1, "something follows");
    }
}

/// Reads `step` bytes at a time; says whether the payload was verified.
fn read_payload(
    frame: &[u8],
    identity: PayloadIdentity,
    window_log: u32,
    step: usize,
) -> (Vec<u8>, bool) {
    let Ok(mut payload) = Payload::new(frame, identity, window_log) else {
        return (Vec::new(), false);
    };
    let (mut came, mut buffer) = (Vec::new(), vec![0; step]);
    loop {
        match payload.read(&mut buffer) {
            Ok(0) => return (came, true),
            Ok(read) => came.extend_from_slice(&buffer[..read]),
            Err(_) => {
                assert!(payload.read(&mut buffer).is_err(), "refused once, and then not");
                return (came, false);
            }
        }
    }
}

/// The body of an answer as it travels: what comes out of it is bounded, and what was compressed comes
/// out as it was.
pub(crate) fn coding(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let bytes_max = u64::from(input.byte()) << input.below(13);
    let body = input.rest();
    if let Ok(document) = Coding::Zstd.decode(body.to_vec(), bytes_max) {
        assert!(document.len() as u64 <= bytes_max + 1, "{} of {bytes_max}", document.len());
    }
    let compressed = Coding::compress(body).unwrap();
    let document = Coding::Zstd.decode(compressed, body.len() as u64).unwrap();
    assert!(document == body, "what was compressed is not what comes out");
}

pub(crate) fn coding_seeds() -> Seeds {
    let body = |document: &[u8]| [&[255, 12][..], &Coding::compress(document).unwrap()].concat();
    let large_window = {
        use std::io::Write as _;
        let compression = Compression { window_log: 24, ..Compression::default() };
        let mut compressor = Compressor::new(vec![255, 12], compression).unwrap();
        compressor.write_all(&[b'x'; 1000]).unwrap();
        compressor.finish().unwrap()
    };
    vec![
        ("document", body(br#"{"signatures":[],"signed":{"_type":"root"}}"#)),
        ("empty", body(b"")),
        ("bomb", body(&vec![0; 8 << 20])),
        ("large-window", large_window),
        ("two-frames", [body(b"one"), Coding::compress(b"two").unwrap()].concat()),
    ]
}

pub(crate) fn payload_seeds() -> Seeds {
    use std::io::Write as _;
    let compressed = |payload: &[u8]| {
        let compression = Compression { window_log: 17, ..Compression::default() };
        let mut compressor = Compressor::new(Vec::new(), compression).unwrap();
        compressor.write_all(payload).unwrap();
        compressor.finish().unwrap()
    };
    let tree = archive(&[("bin/", b""), ("bin/a!", b"#!/bin/sh\n"), ("c@", b"bin/a")]);
    let frame = |head: [u8; 4], payload: &[u8]| [&head[..], &compressed(payload)].concat();
    vec![
        ("tree", frame([17, 255, 4, 255], &tree)),
        ("empty", frame([17, 0, 0, 0], b"")),
        ("zeros", frame([17, 255, 12, 255], &vec![0; 1 << 20])),
        ("small-window", frame([10, 255, 12, 99], &vec![0; 1 << 18])),
        ("text", frame([27, 5, 0, 1], b"hello")),
    ]
}
