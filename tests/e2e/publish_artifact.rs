//! Artifacts are read by the server as a machine would read them, before anything is visible.

use mainstay_client::format::{Artifact, Channel, Digest};

use crate::{
    by_hand::{Candidate, Packed, health_check, upload_path},
    harness::Server,
    publish::{assert_only, opened, refusal},
};

const HEALTH: &str = "[health]\ncommand = [\"bin/run\"]\n";

/// An entry of a tar archive, of whatever type, path and mode.
struct TarEntry {
    kind: u8,
    path: &'static str,
    mode: u32,
    target: &'static str,
    content: &'static str,
}

impl TarEntry {
    fn new(kind: u8, path: &'static str, mode: u32) -> Self {
        Self { kind, path, mode, target: "", content: "" }
    }

    fn file(path: &'static str, mode: u32, content: &'static str) -> Self {
        Self { content, ..Self::new(b'0', path, mode) }
    }

    fn link(kind: u8, path: &'static str, target: &'static str) -> Self {
        Self { target, ..Self::new(kind, path, 0o777) }
    }

    /// The entry in the one form that Mainstay packs, but for what the entry itself is.
    fn write(&self, archive: &mut Vec<u8>) {
        let mut header = [0; 512];
        let mut put = |offset: usize, text: &[u8]| {
            header[offset..offset + text.len()].copy_from_slice(text);
        };
        put(0, self.path.as_bytes());
        put(100, format!("{:07o}", self.mode).as_bytes());
        put(108, b"0000000\x000000000\0");
        put(124, format!("{:011o}\x0000000000000\0", self.content.len()).as_bytes());
        put(148, b"        ");
        put(156, &[self.kind]);
        put(157, self.target.as_bytes());
        put(257, b"ustar  \0");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:07o}\0").as_bytes());
        archive.extend(header);
        archive.extend(self.content.as_bytes());
        archive.resize(archive.len().next_multiple_of(512), 0);
    }
}

fn archive(entries: &[TarEntry]) -> Vec<u8> {
    let mut archive = Vec::new();
    for entry in entries {
        entry.write(&mut archive);
    }
    archive.resize(archive.len() + 1024, 0);
    archive
}

/// The release 1.0.1 of an artifact that is uploaded.
fn release_of(server: &Server, packed: &Packed) -> Candidate {
    packed.upload(server);
    Candidate::with_artifact(server, "1.0.1", Channel::Bugfix, packed.artifact.clone())
}

fn problems_of(server: &Server, packed: &Packed) -> Vec<String> {
    let release = release_of(server, packed);
    refusal(server, || release.commit(server))
}

#[test]
fn an_honest_archive_made_by_hand_is_published() {
    let server = opened();
    let entries = [
        TarEntry::new(b'5', "bin", 0o755),
        TarEntry::file("bin/run", 0o755, "#!/bin/sh\n"),
        TarEntry::link(b'2', "bin/start", "run"),
        TarEntry::file("mainstay.toml", 0o644, HEALTH),
    ];
    let packed = Packed::payload(&archive(&entries), Some(health_check("bin/run")));
    release_of(&server, &packed).commit(&server).has_status(201);
}

#[test]
fn an_artifact_that_leaves_its_tree_is_refused() {
    let server = opened();
    let through_link = [TarEntry::link(b'2', "a", "b"), TarEntry::file("a/c", 0o644, "")];
    for (entries, expected) in [
        (&[TarEntry::file("../escape", 0o644, "")][..], "../escape"),
        (&[TarEntry::file("a/../../escape", 0o644, "")], "a/../../escape"),
        (&[TarEntry::file("/etc/passwd", 0o644, "")], "/etc/passwd"),
        (&[TarEntry::link(b'2', "out", "/etc/passwd")], "/etc/passwd"),
        (&[TarEntry::link(b'2', "out", "../etc/passwd")], "../etc/passwd"),
        (&[TarEntry::file(".mainstay/journal", 0o644, "")], ".mainstay/journal"),
        (&through_link, "`a/c` stands in `a`, which is no earlier directory"),
    ] {
        assert_only(&problems_of(&server, &Packed::payload(&archive(entries), None)), expected);
    }
}

#[test]
fn an_artifact_with_more_than_files_folders_and_links_is_refused() {
    let server = opened();
    for (kind, name) in [(b'1', "'1'"), (b'3', "'3'"), (b'4', "'4'"), (b'6', "'6'")] {
        let entries = [TarEntry::link(kind, "node", "x")];
        let problems = problems_of(&server, &Packed::payload(&archive(&entries), None));
        assert_only(&problems, &format!("`node` is of tar type {name}"));
    }
}

#[test]
fn an_artifact_with_a_program_that_changes_its_user_is_refused() {
    let server = opened();
    for mode in [0o4755, 0o2755, 0o1755] {
        let entries = [TarEntry::file("program", mode, "")];
        let problems = problems_of(&server, &Packed::payload(&archive(&entries), None));
        assert_only(&problems, &format!("`program` has mode {mode:o}"));
    }
}

#[test]
fn an_artifact_that_was_read_as_it_arrived_is_not_read_again() {
    let server = opened();
    let damaged = |tree: &str, said: &dyn Fn(&Artifact) -> String| {
        let Packed { artifact, bytes } = Packed::tree(&server.tree(tree));
        let path = upload_path(&artifact.sha256, 0, bytes.len()) + &said(&artifact);
        server.request("PATCH", &path, &server.admin_token(), &bytes).has_status(200);
        // Whoever reads it from now on finds nothing that decompresses.
        let name = artifact.sha256.to_string();
        let blob = server.path("server/blobs/sha256").join(&name[..2]).join(&name);
        std::fs::write(blob, vec![0; bytes.len()]).unwrap();
        Candidate::with_artifact(&server, "1.0.1", Channel::Bugfix, artifact)
    };
    let unread = damaged("unread", &|_| String::new());
    assert_only(&refusal(&server, || unread.commit(&server)), "cannot decompress the artifact");
    let read = damaged("read", &|artifact| {
        let Artifact { payload_length, payload_sha256, window_log, .. } = artifact;
        format!(
            "&payload_length={payload_length}&payload_sha256={payload_sha256}&window_log={window_log}"
        )
    });
    read.commit(&server).has_status(201);
}

#[test]
fn an_artifact_must_be_uploaded() {
    let server = opened();
    let Packed { artifact, .. } = Packed::tree(&server.tree("1.0.1"));
    let digest = artifact.sha256;
    let release = Candidate::with_artifact(&server, "1.0.1", Channel::Bugfix, artifact);
    let problems = refusal(&server, || release.commit(&server));
    assert_only(&problems, &format!("artifact {digest} is not uploaded"));
}

#[test]
fn an_artifact_has_the_length_that_its_manifest_says() {
    let server = opened();
    let mut release = Candidate::new(&server, "1.0.1", Channel::Bugfix);
    release.artifact().length += 1;
    assert_only(&refusal(&server, || release.commit(&server)), "bytes: the manifest says");
}

#[test]
fn a_payload_is_the_one_that_its_manifest_says() {
    let server = opened();
    let sound = Candidate::new(&server, "1.0.1", Channel::Bugfix).artifact().clone();
    let refused = |artifact: Artifact, expected: &str| {
        let release = Candidate::with_artifact(&server, "1.0.1", Channel::Bugfix, artifact);
        assert_only(&refusal(&server, || release.commit(&server)), expected);
    };
    let Artifact { payload_length, .. } = sound;
    refused(
        Artifact { payload_sha256: Digest::of(b"other"), ..sound.clone() },
        "the payload has the digest",
    );
    refused(
        Artifact { payload_length: payload_length - 1, ..sound.clone() },
        "the payload goes on after",
    );
    refused(
        Artifact { payload_length: payload_length + 1, ..sound.clone() },
        "the payload ends after",
    );
    refused(Artifact { window_log: 10, ..sound }, "in a window of 2^10 bytes");
}

#[test]
fn an_artifact_is_one_zstd_frame() {
    let server = opened();
    let sound = Packed::tree(&server.tree("1.0.1"));
    let with_bytes = |bytes: Vec<u8>| {
        let (length, sha256) = (bytes.len() as u64, Digest::of(&bytes));
        Packed { artifact: Artifact { length, sha256, ..sound.artifact.clone() }, bytes }
    };
    let plain = with_bytes(b"not compressed at all".to_vec());
    assert_only(&problems_of(&server, &plain), "cannot decompress the artifact");
    let longer = with_bytes([sound.bytes.as_slice(), b"more"].concat());
    assert_only(&problems_of(&server, &longer), "goes on after its one compressed frame");
    let shorter = with_bytes(sound.bytes[..sound.bytes.len() - 9].to_vec());
    let problems = problems_of(&server, &shorter);
    assert_eq!(problems.len(), 1, "{problems:?}");
}

#[test]
fn a_payload_that_is_no_archive_is_refused() {
    let server = opened();
    let packed = Packed::payload(&[b'x'; 2048], None);
    assert_only(&problems_of(&server, &packed), "wrong checksum");
    let packed = Packed::payload(b"", None);
    assert_only(&problems_of(&server, &packed), "the archive ends");
}

#[test]
fn the_health_check_is_the_one_in_the_tree() {
    let server = opened();
    let program = || TarEntry::file("run", 0o755, "");
    let described = [TarEntry::file("mainstay.toml", 0o644, HEALTH), program()];
    let undescribed = [program()];
    for (entries, health) in [
        (&described[..], None),
        (&described, Some(health_check("run"))),
        (&undescribed, Some(health_check("run"))),
    ] {
        let problems = problems_of(&server, &Packed::payload(&archive(entries), health));
        assert_only(&problems, "the manifest's health check is not what mainstay.toml says");
    }
    let nonsense = [TarEntry::file("mainstay.toml", 0o644, "helth = 1\n")];
    let problems = problems_of(&server, &Packed::payload(&archive(&nonsense), None));
    assert_only(&problems, "unknown field `helth`");
}

#[test]
fn the_health_command_is_an_executable_file_of_the_tree() {
    let server = opened();
    let description = || TarEntry::file("mainstay.toml", 0o644, HEALTH);
    let folder = || TarEntry::new(b'5', "bin", 0o755);
    let missing = [description()];
    let plain = [folder(), TarEntry::file("bin/run", 0o644, ""), description()];
    let link = [folder(), TarEntry::link(b'2', "bin/run", "../mainstay.toml"), description()];
    let directory = [folder(), TarEntry::new(b'5', "bin/run", 0o755), description()];
    for entries in [&missing[..], &plain, &link, &directory] {
        let packed = Packed::payload(&archive(entries), Some(health_check("bin/run")));
        let problems = problems_of(&server, &packed);
        assert_only(&problems, "health.command `bin/run` is not an executable file of the tree");
    }
}

#[test]
fn a_health_command_that_leaves_the_tree_is_refused() {
    let server = opened();
    for command in ["/bin/true", "../run", "bin/../../run"] {
        let mut release = Candidate::new(&server, "1.0.1", Channel::Bugfix);
        release.artifact().health = Some(health_check(command));
        let problems = refusal(&server, || release.commit(&server));
        assert_only(&problems, "leaves the release's tree");
    }
}

#[test]
fn every_platform_of_a_release_is_read() {
    let server = opened();
    let mut release = Candidate::new(&server, "1.0.1", Channel::Bugfix);
    let sound = release.artifact().clone();
    let unknown = Artifact { payload_sha256: Digest::of(b"other"), ..sound.clone() };
    let absent = Artifact { sha256: Digest::of(b"absent"), ..sound };
    release.manifest.artifacts.insert("plan9-mips".parse().unwrap(), unknown);
    release.manifest.artifacts.insert("zos-s390".parse().unwrap(), absent);
    let problems = refusal(&server, || release.commit(&server));
    assert!(
        matches!(
            &problems[..],
            [one, two] if one.starts_with("plan9-mips: ") && two.starts_with("zos-s390: ")
        ),
        "{problems:?}"
    );
}
