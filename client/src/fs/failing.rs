use std::{
    fs::OpenOptions,
    io::{self, Read, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use super::{FileSystem, LocalFileSystem};
use crate::pack;

/// How a change to the disk fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The machine stops: this change and all after it do not happen. One that takes several
    /// steps is left half done.
    Crash,
    /// The one change does not happen, and those after it do.
    Refused,
    /// The one change happens but is reported as failed, and those after it happen.
    Unreported,
}

/// A file system whose n-th change fails.
///
/// It makes nothing durable: hundreds of runs would only wait for the disk.
#[derive(Clone, Debug)]
pub(crate) struct FailingFileSystem {
    failure: Failure,
    /// The change that fails, counted from one; none where zero.
    nth: usize,
    /// Whether directories can be exchanged in one step.
    exchanges: bool,
    changes: Arc<AtomicUsize>,
    /// What was asked for, and of which path.
    trace: Arc<Mutex<Vec<(&'static str, PathBuf)>>>,
}

/// What becomes of a change.
enum Fate {
    Happens,
    Unreported,
    Fails,
}

impl FailingFileSystem {
    pub(crate) fn new(failure: Failure, nth: usize) -> Self {
        let (changes, trace) = Default::default();
        Self { failure, nth, exchanges: true, changes, trace }
    }

    /// A file system where nothing fails, except that two paths cannot be exchanged in one step.
    pub(crate) fn without_exchange(mut self) -> Self {
        self.exchanges = false;
        self
    }

    /// How many changes were asked for so far.
    pub(crate) fn changes(&self) -> usize {
        self.changes.load(Ordering::Relaxed)
    }

    /// What was asked for so far, with paths below `root`.
    pub(crate) fn trace(&self, root: &Path) -> Vec<String> {
        let below = |path: &Path| path.strip_prefix(root).unwrap().display().to_string();
        let trace = self.trace.lock().unwrap();
        trace.iter().map(|(what, path)| format!("{what} {}", below(path))).collect()
    }

    fn fate(&self, what: &'static str, path: &Path) -> Fate {
        self.trace.lock().unwrap().push((what, path.to_owned()));
        let change = self.changes.fetch_add(1, Ordering::Relaxed) + 1;
        match self.failure {
            Failure::Crash if self.nth != 0 && change >= self.nth => Fate::Fails,
            Failure::Refused if change == self.nth => Fate::Fails,
            Failure::Unreported if change == self.nth => Fate::Unreported,
            _ => Fate::Happens,
        }
    }

    fn change(
        &self,
        what: &'static str,
        path: &Path,
        half: impl FnOnce(),
        whole: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<()> {
        match self.fate(what, path) {
            Fate::Happens => whole(),
            Fate::Unreported => {
                whole()?;
                Err(injected())
            }
            Fate::Fails => {
                // A crash leaves the first failing change half done, those after it undone.
                if self.changes() == self.nth {
                    half();
                }
                Err(injected())
            }
        }
    }

    fn simple(
        &self,
        what: &'static str,
        path: &Path,
        whole: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<()> {
        self.change(what, path, || {}, whole)
    }
}

/// As the real one writes, but not durably.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600).open(path)?.write_all(bytes)
}

fn injected() -> io::Error {
    io::Error::other("injected failure")
}

impl FileSystem for FailingFileSystem {
    fn create_directory(&self, path: &Path, mode: u32) -> io::Result<()> {
        self.simple("create", path, || LocalFileSystem.create_directory(path, mode))
    }

    fn write_file(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let half = || {
            let (written, _) = bytes.split_at(bytes.len() / 2);
            let _ = write(path, written);
        };
        self.change("write", path, half, || write(path, bytes))
    }

    fn copy_file(&self, from: &Path, to: &Path) -> io::Result<()> {
        let half = || {
            let _ = std::fs::write(to, "half a co");
        };
        self.change("copy to", to, half, || LocalFileSystem.copy_file(from, to))
    }

    fn set_permissions(&self, root: &Path, below: &Path, mode: u32) -> io::Result<()> {
        let change = || LocalFileSystem.set_permissions(root, below, mode);
        self.simple("permissions of", &root.join(below), change)
    }

    fn hard_link(&self, original: &Path, link: &Path) -> io::Result<()> {
        self.simple("hard link", link, || LocalFileSystem.hard_link(original, link))
    }

    fn copy_attributes(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.simple("attributes", to, || LocalFileSystem.copy_attributes(from, to))
    }

    fn symlink(&self, target: &Path, link: &Path) -> io::Result<()> {
        self.simple("link", link, || LocalFileSystem.symlink(target, link))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.simple("rename to", to, || LocalFileSystem.rename(from, to))
    }

    fn exchange(&self, one: &Path, other: &Path) -> io::Result<()> {
        if !self.exchanges {
            return Err(io::ErrorKind::Unsupported.into());
        }
        self.simple("exchange", other, || LocalFileSystem.exchange(one, other))
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.simple("remove", path, || LocalFileSystem.remove_file(path))
    }

    fn remove_tree(&self, path: &Path) -> io::Result<()> {
        let half = || {
            let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
            if let Some(file) = entries.map(|entry| entry.path()).find(|path| path.is_file()) {
                let _ = std::fs::remove_file(file);
            }
        };
        self.change("remove", path, half, || LocalFileSystem.remove_tree(path))
    }

    fn unpack_tree(
        &self,
        payload: &mut dyn Read,
        path: &Path,
        limits: &pack::Limits,
    ) -> Result<pack::Summary, pack::Error> {
        // A payload that breaks off leaves half a tree and is the error that is wanted.
        match self.fate("unpack", path) {
            Fate::Happens => LocalFileSystem.unpack_tree(payload, path, limits),
            Fate::Fails if self.changes() != self.nth => {
                LocalFileSystem.unpack_tree(&mut io::empty(), &path.join("missing/tree"), limits)
            }
            Fate::Fails | Fate::Unreported => {
                LocalFileSystem.unpack_tree(&mut payload.take(1024 + 700), path, limits)
            }
        }
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.simple("sync", path, || std::fs::metadata(path).map(|_| ()))
    }

    fn sync_tree(&self, path: &Path) -> Result<(), pack::Error> {
        match self.fate("sync all of", path) {
            Fate::Happens => Ok(()),
            Fate::Fails | Fate::Unreported => LocalFileSystem.sync_tree(&path.join("missing")),
        }
    }
}
