//! Trees that nobody should be given, and odd ones that somebody may: each of `fixtures/trees` on its
//! way into an installation, signed as if the vendor meant it.

#![expect(clippy::unwrap_used, reason = "a step that fails fails its test")]

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use mainstay_client::{
    format::{Artifact, Digest, Hasher, Hooks, Version},
    fs::LocalFileSystem,
    install::{
        Attempt, AttemptKind, ErrorKind, Installation, Limits as InstallLimits, Moment, Outcome,
    },
    pack::{self, Limits, Payload, PayloadIdentity},
};
use tempfile::TempDir;

#[path = "trees/cases.rs"]
mod cases;
#[path = "trees/raw.rs"]
mod raw;
#[path = "trees/table.rs"]
mod table;

use cases::{Case, Fate, WINDOW_LOG, compressed, corpus};
use raw::{Raw, archive};

/// What unpacking may take of memory in a process that has unpacked before, in KiB, beside the
/// window: copying takes one buffer, an entry takes its paths.
const MEMORY_KIB_MAX: u64 = 16 << 10;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/trees")
}

fn all_cases() -> impl Iterator<Item = Case> {
    corpus().into_iter().flat_map(|group| group.cases)
}

fn file_of(case: &Case) -> PathBuf {
    fixtures().join(case.file_name())
}

fn identity(payload: &[u8]) -> PayloadIdentity {
    PayloadIdentity { length: payload.len() as u64, sha256: Digest::of(payload) }
}

/// The most memory that this process has held since the last call, in KiB.
fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    // proc_pid_clear_refs(5): the peak begins anew.
    fs::write("/proc/self/clear_refs", "5").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Whatever is below `root` and not at `but`: kind and mode, and what is in it.
fn contents(root: &Path, but: &Path) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path == but {
                continue;
            }
            let metadata = fs::symlink_metadata(&path).unwrap();
            let content = if metadata.is_dir() {
                folders.push(path.clone());
                Vec::new()
            } else if metadata.is_symlink() {
                fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()
            } else {
                fs::read(&path).unwrap()
            };
            found.insert(path, (metadata.mode(), content));
        }
    }
    found
}

/// A machine that runs 1.0.0, and what is beside its installation.
struct Machine {
    dir: TempDir,
}

impl Machine {
    fn new() -> Self {
        let machine = Self { dir: tempfile::tempdir().unwrap() };
        for folder in ["up/root", "etc"] {
            fs::create_dir_all(machine.dir.path().join(folder)).unwrap();
        }
        for outside in ["outside", "up/outside", "etc/passwd"] {
            fs::write(machine.dir.path().join(outside), "not touched").unwrap();
        }
        let payload = archive([Raw::file("what-ran-before")]);
        machine.install("1.0.0", &payload, &compressed(&payload, WINDOW_LOG)).unwrap();
        machine
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("up/root")
    }

    fn open(&self, limits: InstallLimits) -> Installation {
        let files = Box::new(LocalFileSystem);
        Installation::open_with(&self.root(), &now(), files, limits).unwrap()
    }

    /// Installs what was signed as `payload` and came as `artifact`, as the agent does it.
    fn install(&self, version: &str, payload: &[u8], artifact: &[u8]) -> Result<Outcome, String> {
        let (attempt, identity) = (attempt(version, identity(payload)), identity(payload));
        let mut installation = self.open(InstallLimits::default());
        let installed = Payload::new(artifact, identity, WINDOW_LOG).map_err(|it| chain(&it));
        installed.and_then(|mut payload| {
            let installed = installation.install(attempt, Some(&mut payload), &now);
            installed.map_err(|error| {
                assert_eq!(error.kind(), ErrorKind::Unpack, "{}", chain(&error));
                chain(&error)
            })
        })
    }

    /// Everything on the machine but the journal, which says what was tried.
    fn contents(&self) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
        contents(self.dir.path(), &self.root().join(".mainstay/journal"))
    }
}

fn now() -> Moment {
    let wall = "2026-01-01T00:00:00Z".parse().unwrap();
    Moment { wall, boot: "the first".to_owned(), uptime_seconds: 0 }
}

fn attempt(version: &str, payload: PayloadIdentity) -> Attempt {
    let artifact = Artifact {
        requires: mainstay_client::format::Requirements::default(),
        length: 1,
        sha256: Digest::of(b"verified by who downloads it"),
        payload_length: payload.length,
        payload_sha256: payload.sha256,
        window_log: WINDOW_LOG,
        health: None,
        hooks: Hooks::default(),
        data: None,
    };
    let channel = "bugfix".parse().unwrap();
    let version: Version = version.parse().unwrap();
    Attempt { kind: AttemptKind::Update, version, artifact, channel, floor: None }
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| (*error).source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[test]
fn the_corpus_is_what_its_generator_writes() {
    let mut written: BTreeMap<_, _> =
        all_cases().map(|case| (case.file_name(), case.artifact)).collect();
    written.insert(table::TABLE.to_owned(), table::table().into_bytes());
    let found: BTreeMap<_, _> = fs::read_dir(fixtures())
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
        .collect();
    let names = |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&found), names(&written));
    let differing: Vec<_> = written.iter().filter(|(name, it)| found[*name] != **it).collect();
    let differing: Vec<_> = differing.into_iter().map(|(name, _)| name).collect();
    assert!(
        differing.is_empty(),
        "{differing:?} are not up to date: remove fixtures/trees and run `cargo run -p \
         mainstay-client --example hostile_trees`"
    );
}

#[test]
fn what_is_refused_leaves_nothing_and_what_ran_before_runs() {
    let machine = Machine::new();
    let before = machine.contents();
    let mut wrong = Vec::new();
    let cases: Vec<_> = all_cases().collect();
    // Making them took memory too.
    peak_kib();
    let idle = peak_kib();
    for case in cases {
        let Fate::Refused(says) = case.fate else { continue };
        let artifact = fs::read(file_of(&case)).unwrap();
        let refused = machine.install("1.0.1", &case.payload, &artifact).unwrap_err();
        if !refused.contains(says) {
            wrong.push(format!("{}: `{says}` is not in: {refused}", case.name));
        }
        assert!(machine.contents() == before, "{}: something has changed", case.name);
    }
    let taken = peak_kib() - idle;
    assert!(taken < MEMORY_KIB_MAX, "{taken} KiB");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_is_unpacked_is_the_tree_that_was_signed() {
    for case in all_cases() {
        let Fate::Unpacked(_) = case.fate else { continue };
        let machine = Machine::new();
        let tree = machine.root().join("versions/1.0.1");
        let before = contents(machine.dir.path(), &machine.root());
        let artifact = fs::read(file_of(&case)).unwrap();
        machine.install("1.0.1", &case.payload, &artifact).unwrap();
        let after = contents(machine.dir.path(), &machine.root());
        assert!(after == before, "{}: something beside it has changed", case.name);
        let packed = pack::repack(&tree, &Limits::default(), &mut |_| {}).unwrap();
        assert_eq!(packed, identity(&case.payload), "{}", case.name);
    }
}

/// Bytes and entries of the tree at `root`, whose paths may be too long for the system.
fn size_of(root: &Path) -> (u64, u64) {
    let listed = pack::list_tree(root, &Limits::default()).unwrap();
    (listed.iter().map(|it| it.entry.length()).sum(), listed.len() as u64)
}

/// Until it is refused, a tree takes no more of the disk than was signed.
#[test]
fn no_more_is_written_than_was_signed() {
    let dir = tempfile::tempdir().unwrap();
    for case in all_cases() {
        let root = dir.path().join(case.name);
        let artifact = File::open(file_of(&case)).unwrap();
        let payload = Payload::new(artifact, identity(&case.payload), WINDOW_LOG).unwrap();
        let unpacked = pack::unpack_tree(payload, &root, &Limits::default());
        assert_eq!(unpacked.is_ok(), matches!(case.fate, Fate::Unpacked(_)), "{}", case.name);
        let (bytes, entries) = size_of(&root);
        let signed = case.payload.len() as u64;
        assert!(bytes <= signed && entries <= signed / 512, "{}: {bytes}, {entries}", case.name);
    }
}

/// Entries in ascending order, as many as are asked for and made as they are read.
fn many_files(count: u32) -> impl Read {
    let header = |name: String| Raw::new(b'0', name, 0o644, b"").bytes();
    // The headers of a thousand files differ in three digits and the checksum.
    let thousands = (0..count.div_ceil(1000)).flat_map(move |thousand| {
        let first = header(format!("file-{thousand:04}000"));
        (0..1000.min(count - thousand * 1000)).map(move |number| {
            let digits = format!("{number:03}");
            let more: u32 = digits.bytes().map(|digit| u32::from(digit - b'0')).sum();
            let sum = str::from_utf8(&first[148..155]).unwrap();
            let sum = u32::from_str_radix(sum, 8).unwrap() + more;
            let mut entry = first.clone();
            entry[9..12].copy_from_slice(digits.as_bytes());
            entry[148..155].copy_from_slice(format!("{sum:07o}").as_bytes());
            entry
        })
    });
    let pieces = thousands.chain([vec![0; 1024]]);
    Pieces { pieces, current: io::Cursor::new(Vec::new()) }
}

struct Pieces<I> {
    pieces: I,
    current: io::Cursor<Vec<u8>>,
}

impl<I: Iterator<Item = Vec<u8>>> Read for Pieces<I> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.current.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            let Some(next) = self.pieces.next() else { return Ok(0) };
            self.current = io::Cursor::new(next);
        }
    }
}

/// Too large for `fixtures/trees`, so it is made here.
#[test]
fn a_million_files_and_one_more() {
    peak_kib();
    let idle = peak_kib();
    let refused = pack::verify(many_files(1_000_001), &Limits::default()).unwrap_err();
    let says = "entries in the archive: found 1000001, expected at most 1000000";
    assert_eq!(refused.to_string(), says);
    let taken = peak_kib() - idle;
    assert!(taken < MEMORY_KIB_MAX, "{taken} KiB");

    let dir = tempfile::tempdir().unwrap();
    let limits = Limits { entries_max: 100, ..Limits::default() };
    let root = dir.path().join("tree");
    let refused = pack::unpack_tree(many_files(1_000_001), &root, &limits).unwrap_err();
    assert_eq!(refused.to_string(), "entries in the archive: found 101, expected at most 100");
    assert_eq!(size_of(&root), (0, 100));
}

/// A file of so many zeros, as an artifact of next to nothing: each block of its one frame says how
/// often a byte is repeated (RFC 8878, §3.1.1.2).
fn zeros(length: u64) -> Vec<u8> {
    const BLOCK_BYTES: u64 = 128 << 10;
    // The header of the frame: its magic number, no length and no checksum, a window of 2^20 bytes.
    let mut artifact = b"\x28\xb5\x2f\xfd\x00\x50".to_vec();
    let mut block = |kind: u64, is_last: bool, length: u64, content: &[u8]| {
        let header = length << 3 | kind << 1 | u64::from(is_last);
        artifact.extend(&header.to_le_bytes()[..3]);
        artifact.extend(content);
    };
    block(0, false, 512, &Raw::new(b'0', "zeros", 0o644, b"").sized(length).bytes());
    for _ in 0..length / BLOCK_BYTES {
        block(1, false, BLOCK_BYTES, b"\0");
    }
    block(1, true, 1024, b"\0");
    artifact
}

#[test]
fn zeros_take_no_memory() {
    const LENGTH: u64 = 256 << 20;
    let header = Raw::new(b'0', "zeros", 0o644, b"").sized(LENGTH).bytes();
    let mut hasher = Hasher::new();
    let mut payload = header.as_slice().chain(io::repeat(0).take(LENGTH + 1024));
    let signed = io::copy(&mut payload, &mut hasher).unwrap();
    let signed = PayloadIdentity { length: signed, sha256: hasher.finish() };
    let artifact = zeros(LENGTH);
    assert!(artifact.len() < 16 << 10, "{}", artifact.len());
    peak_kib();
    let idle = peak_kib();
    let payload = Payload::new(artifact.as_slice(), signed, WINDOW_LOG).unwrap();
    let found = pack::verify(payload, &Limits::default()).unwrap();
    assert_eq!((found.summary.bytes, found.summary.payload_length), (LENGTH, signed.length));
    let taken = peak_kib() - idle;
    assert!(taken < MEMORY_KIB_MAX, "{taken} KiB");
}

/// Whoever signs 4 GiB of zeros means it: a machine looks whether it has room for what was signed,
/// and unpacks no more than that.
#[test]
fn four_gib_of_zeros() {
    const LENGTH: u64 = 4 << 30;
    let artifact = zeros(LENGTH);
    let machine = Machine::new();
    let before = machine.contents();
    let install = |signed: u64, limits: InstallLimits| {
        let signed = PayloadIdentity { length: signed, sha256: Digest::of(b"not reached") };
        let mut payload = Payload::new(artifact.as_slice(), signed, WINDOW_LOG).unwrap();
        let attempt = attempt("1.0.1", signed);
        let refused = machine.open(limits).install(attempt, Some(&mut payload), &now).unwrap_err();
        assert!(machine.contents() == before);
        (refused.kind(), chain(&refused))
    };
    let signed = LENGTH + 1536;
    let (kind, _) =
        install(signed, InstallLimits { reserve_bytes: u64::MAX, ..InstallLimits::default() });
    assert_eq!(kind, ErrorKind::NoSpace);
    for (signed, limit) in [(signed, 1 << 30), (1 << 30, u64::MAX)] {
        let pack = Limits { payload_bytes_max: limit, ..Limits::default() };
        let (kind, said) = install(signed, InstallLimits { pack, ..InstallLimits::default() });
        assert_eq!(kind, ErrorKind::Unpack);
        let says = "bytes in the archive: found 4294968832, expected at most 1073741824";
        assert!(said.contains(says), "{said}");
    }
}
