mod blocks;
mod crash;
mod data;
mod give_up;
mod hooks;
mod journal;
mod loops;
mod power;
mod probation;
mod retry;
mod seals;
mod update;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Mutex,
};

use jiff::Timestamp;
use tempfile::TempDir;

use super::*;
use crate::{
    clock,
    format::{
        Artifact, DataEpochs, Digest, EpochRange, HealthCheck, Hook, Hooks, Requirements,
        RollbackOrder,
    },
    fs::{FailingFileSystem, Failure},
    pack,
};

pub(super) fn version(text: &str) -> Version {
    text.parse().unwrap()
}

/// A moment of a machine that was started once and for all at second 0.
pub(super) fn at(second: u32) -> Moment {
    Moment { wall: wall(second), boot: "the first".to_owned(), uptime_seconds: second.into() }
}

pub(super) fn wall(second: u32) -> Timestamp {
    Timestamp::from_second(second.into()).unwrap()
}

/// Files by path, symbolic links as `-> target`.
pub(super) fn contents(root: &Path) -> BTreeMap<PathBuf, String> {
    let entries = walkdir::WalkDir::new(root).min_depth(1).into_iter().map(Result::unwrap);
    let content = |entry: &walkdir::DirEntry| {
        if entry.file_type().is_symlink() {
            format!("-> {}", fs::read_link(entry.path()).unwrap().display())
        } else {
            fs::read_to_string(entry.path()).unwrap()
        }
    };
    entries
        .filter(|entry| !entry.file_type().is_dir())
        .map(|entry| (entry.path().strip_prefix(root).unwrap().to_owned(), content(&entry)))
        .collect()
}

/// A release as a server would have it.
#[derive(Clone)]
pub(super) struct Release {
    version: Version,
    health: Option<HealthCheck>,
    hooks: Hooks,
    data: Option<DataEpochs>,
    floor: Option<Version>,
    payload: Vec<u8>,
    files: BTreeMap<PathBuf, String>,
}

/// A release whose files tell its version; packed once for all tests.
pub(super) fn release(text: &str) -> Release {
    static PACKED: Mutex<BTreeMap<String, Release>> = Mutex::new(BTreeMap::new());
    PACKED.lock().unwrap().entry(text.to_owned()).or_insert_with(|| pack_release(text)).clone()
}

fn pack_release(text: &str) -> Release {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("bin")).unwrap();
    fs::write(dir.path().join("version"), text).unwrap();
    fs::write(dir.path().join("bin/program"), format!("#!/bin/sh\necho {text}\n")).unwrap();
    fs::write(dir.path().join("notes"), text.repeat(500)).unwrap();
    let (payload, _) =
        pack::pack_tree(dir.path(), Vec::new(), &pack::Limits::default(), &mut |_| {}).unwrap();
    let files = contents(dir.path());
    Release {
        version: version(text),
        health: None,
        hooks: Hooks::default(),
        data: None,
        floor: None,
        payload,
        files,
    }
}

impl Release {
    /// The release with a health check by a shell.
    pub(super) fn checked(mut self, script: &str) -> Self {
        self.health = Some(HealthCheck::of(["sh", "-c", script].map(str::to_owned).into()));
        self
    }

    /// The release with a health check that passes and `seconds` to confirm.
    pub(super) fn confirmed_within(self, seconds: u32) -> Self {
        let mut release = self.checked("exit 0");
        release.health.as_mut().unwrap().confirm_within_seconds = Some(seconds);
        release
    }

    /// The release with shell scripts that run before and after the switch.
    pub(super) fn hooked(mut self, before: Option<&str>, after: Option<&str>) -> Self {
        let hook = |script: &str| Hook {
            command: ["sh", "-c", script].map(str::to_owned).into(),
            timeout_seconds: 60,
        };
        self.hooks = Hooks { before: before.map(hook), after: after.map(hook) };
        self
    }

    /// The release with the epochs of data that it reads and writes.
    pub(super) fn with_data(mut self, from: u32, to: u32, writes: u32) -> Self {
        self.data = Some(DataEpochs { reads: EpochRange { from, to }, writes });
        self
    }

    /// The release with a rollback floor.
    pub(super) fn floored(mut self, floor: &str) -> Self {
        self.floor = Some(version(floor));
        self
    }

    pub(super) fn artifact(&self) -> Artifact {
        Artifact {
            length: 1,
            sha256: Digest::of(b"compressed"),
            payload_length: self.payload.len() as u64,
            payload_sha256: Digest::of(&self.payload),
            window_log: 20,
            health: self.health.clone(),
            hooks: self.hooks.clone(),
            data: self.data,
            requires: Requirements::default(),
        }
    }

    pub(super) fn attempt(&self, kind: AttemptKind) -> Attempt {
        let channel = "bugfix".parse().unwrap();
        let (version, floor) = (self.version.clone(), self.floor.clone());
        Attempt { kind, version, artifact: self.artifact(), channel, floor }
    }

    pub(super) fn kept(&self) -> KeptTree {
        KeptTree {
            version: self.version.clone(),
            channel: "bugfix".parse().unwrap(),
            artifact: self.artifact(),
            seal: None,
        }
    }
}

pub(super) fn order(number: u64) -> AttemptKind {
    let reason = "reports are wrong".to_owned();
    AttemptKind::Rollback { order: RollbackOrder { number, reason, ticket: None } }
}

/// A directory with an installation.
pub(super) struct Machine {
    dir: TempDir,
}

impl Machine {
    pub(super) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    pub(super) fn root(&self) -> PathBuf {
        self.dir.path().join("product")
    }

    pub(super) fn layout(&self) -> Layout {
        Layout::new(self.root())
    }

    pub(super) fn open(&self) -> Installation {
        self.try_open(at(0), FailingFileSystem::new(Failure::Crash, 0)).unwrap()
    }

    pub(super) fn try_open(
        &self,
        now: Moment,
        files: FailingFileSystem,
    ) -> Result<Installation, Error> {
        self.try_open_within(Self::limits(), now, files)
    }

    /// What is free on the machine that runs the tests is not what they are about, and most of them
    /// stop it far more often than any machine stops by itself.
    pub(super) fn limits() -> Limits {
        let (recoveries_max, interruptions_max) = (u32::MAX, u32::MAX);
        Limits { reserve_bytes: 0, recoveries_max, interruptions_max, ..Limits::default() }
    }

    #[expect(clippy::needless_pass_by_value, reason = "the tests read better")]
    pub(super) fn try_open_within(
        &self,
        limits: Limits,
        now: Moment,
        files: FailingFileSystem,
    ) -> Result<Installation, Error> {
        Installation::open_with(&self.root(), &now, Box::new(files), limits)
    }

    /// What is seen through `current`, after asserting that all of it belongs together.
    pub(super) fn seen(&self) -> Option<String> {
        let current = self.layout().current();
        let target = fs::read_link(&current).ok()?;
        let found = contents(&current.join("."));
        let text = found.get(Path::new("version")).expect("a tree without version");
        assert_eq!(target, Path::new("versions").join(text));
        assert_eq!(found, release(text).files);
        Some(text.clone())
    }

    pub(super) fn write_data(&self, text: &str) {
        let data = self.layout().data();
        fs::create_dir_all(data.join("below")).unwrap();
        fs::write(data.join("state"), text).unwrap();
        fs::write(data.join("below/more"), text).unwrap();
        let _ = fs::remove_file(data.join("link"));
        std::os::unix::fs::symlink(text, data.join("link")).unwrap();
    }

    /// The text that all data say; nothing where there are none.
    pub(super) fn data(&self) -> Option<String> {
        let data = self.layout().data();
        if !data.exists() {
            return None;
        }
        let found = contents(&data);
        let text = found.get(Path::new("state")).expect("data without state").trim().to_owned();
        let expected =
            [("state", text.clone()), ("below/more", text.clone()), ("link", format!("-> {text}"))];
        let found = found.into_iter().map(|(path, text)| (path, text.trim().to_owned()));
        let expected = expected.map(|(path, text)| (PathBuf::from(path), text));
        assert_eq!(found.collect::<BTreeMap<_, _>>(), expected.into());
        Some(text)
    }

    /// Nothing is left of unfinished work, and every snapshot and tree is one that is recorded.
    pub(super) fn assert_swept(&self, installation: &Installation) {
        let layout = self.layout();
        let names = |path: PathBuf| {
            let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().file_name());
            entries
                .map(|name| name.into_string().unwrap())
                .collect::<std::collections::BTreeSet<_>>()
        };
        assert!(names(layout.staging()).is_empty(), "staging");
        assert!(names(layout.trash()).is_empty(), "trash");
        for name in names(layout.versions()) {
            assert!(installation.has_tree(&version(&name)), "{name}");
        }
        let snapshots = names(layout.snapshots());
        for name in &snapshots {
            assert!(
                installation.engine.journal.snapshot(name.parse().unwrap()).is_some(),
                "{name}"
            );
        }
    }
}

impl Installation {
    pub(super) fn put(&mut self, release: &Release, kind: AttemptKind) -> Result<Outcome, Error> {
        let mut payload = release.payload.as_slice();
        self.install(release.attempt(kind), Some(&mut payload), &|| at(1000))
    }

    pub(super) fn update(&mut self, release: &Release) -> Outcome {
        self.put(release, AttemptKind::Update).unwrap()
    }

    /// Goes back to the kept tree of `release`.
    pub(super) fn go_back(&mut self, release: &Release, kind: AttemptKind) -> Outcome {
        self.install(release.attempt(kind), None, &|| at(1000)).unwrap()
    }

    pub(super) fn story(&self) -> Vec<(u64, EventKind, String)> {
        let text = |event: &Event| (event.number, event.kind, event.to.to_string());
        self.events().iter().map(text).collect()
    }
}
