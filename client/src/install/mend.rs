//! Puts right what [`examine`](super::examine) finds, one finding at a time. Each repair is cut off at
//! any instant and then simply done again.

use std::{
    collections::BTreeSet,
    fs,
    io::{self, Read},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use super::{
    Layout, Limits,
    engine::Engine,
    error::{Error, Reason},
    journal::Journal,
    lock::Lock,
    new_journal,
    observed::{Current, Observed},
    record::{KeptTree, Record, Verification},
    run_name,
    script::Verdict,
    settle::Cause,
};
use crate::{
    format::{Artifact, Version},
    fs::FileSystem,
    pack::{self, PayloadIdentity},
};

/// An installation that is being repaired: locked, whatever else is wrong with it.
#[derive(Debug)]
pub(crate) struct Mending {
    engine: Engine,
    _lock: Lock,
}

/// What is proven of an installation whose journal is not to be believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Proven {
    /// What `current` points to, if anything.
    pub(crate) running: Option<Version>,
    /// Whether that has been found to work just now.
    pub(crate) is_confirmed: bool,
    /// The trees that are what was signed.
    pub(crate) trees: Vec<KeptTree>,
    /// The rollback floor that the vendor signed for what runs.
    pub(crate) floor: Option<Version>,
    /// A number that no event of this machine has reached: the server passes over lower ones.
    pub(crate) events_queued: u64,
}

impl Mending {
    /// Takes the lock of the installation at `layout`.
    pub(crate) fn begin(
        layout: Layout,
        limits: Limits,
        files: Box<dyn FileSystem>,
    ) -> Result<Self, Error> {
        // Without these two there is no lock to be had.
        for (path, least) in [(layout.private(), 0o700), (layout.lock(), 0o600)] {
            let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
            if metadata.permissions().mode() & least != least {
                give_permissions(&*files, &layout, &path, least)?;
            }
        }
        let lock = Lock::take(&layout.lock(), limits.lock_wait)?;
        let journal = Journal::default();
        Ok(Self {
            engine: Engine { layout, limits, files, journal, staged: None, fetched: None },
            _lock: lock,
        })
    }

    /// Where everything is.
    pub(crate) fn layout(&self) -> &Layout {
        &self.engine.layout
    }

    /// What is on the disk, whatever the journal says: what `current` points to, and the versions
    /// that have a directory.
    ///
    /// A `current` of somebody else's making proves nothing and is refused.
    pub(crate) fn observe(&self) -> Result<(Option<Version>, BTreeSet<Version>), Error> {
        let Observed { current, trees } = Observed::of(self.layout())?;
        let running = match current {
            Current::Nothing => None,
            Current::Version(version) => Some(version),
            Current::Elsewhere | Current::Obstructed => {
                let (found, expected) = ("not a link that Mainstay makes", "`versions/VERSION`");
                return Err(
                    Reason::Obstructed { path: self.layout().current(), found, expected }.into()
                );
            }
        };
        Ok((running, trees))
    }

    /// The kept tree of `version`, as the journal has it.
    pub(crate) fn kept_tree(&mut self, version: &Version) -> Result<KeptTree, Error> {
        let path = self.layout().tree(version);
        let kept = self.with_journal()?.journal.record.kept_tree(version).cloned();
        kept.ok_or_else(|| Reason::NotInstalled { version: version.clone(), path }.into())
    }

    /// Gives `path` the permissions `mode`.
    pub(crate) fn give_permissions(&self, path: &Path, mode: u32) -> Result<(), Error> {
        give_permissions(&*self.engine.files, self.layout(), path, mode)
    }

    /// Makes the directory `path` with the permissions `mode`.
    pub(crate) fn make_directory(&self, path: &Path, mode: u32) -> Result<(), Error> {
        self.engine
            .files
            .create_directory(path, mode)
            .map_err(|source| Error::io("create", path, source))?;
        self.engine.sync_directory(path.parent().unwrap_or(path))
    }

    /// Removes `path`, a tree in one step as far as anybody sees.
    pub(crate) fn remove(&self, path: &Path) -> Result<(), Error> {
        let engine = &self.engine;
        if path.parent() != Some(&engine.layout.versions()) {
            return engine.remove(path);
        }
        engine.discard(path)?;
        engine.remove(&engine.layout.trash().join(path.file_name().unwrap_or_default()))
    }

    /// Finishes or undoes what was cut off, and says which.
    pub(crate) fn recover(&mut self) -> Result<Option<String>, Error> {
        self.with_journal()?.settle(Cause::Stopped)
    }

    /// Lets `current` point to `version`, which must be intact.
    pub(crate) fn point(&mut self, version: &Version) -> Result<(), Error> {
        let engine = self.with_journal()?;
        let path = engine.layout.tree(version);
        let found = engine.verify(version)?;
        if !found.is_intact() {
            let Verification { expected_length, found_length, .. } = found;
            let (expected, found) = (found.expected_sha256, found.found_sha256);
            let changed = String::new();
            return Err(Reason::TreeModified {
                path,
                expected_length,
                expected,
                found_length,
                found,
                changed,
            }
            .into());
        }
        engine.point(Some(version))
    }

    /// Whether the tree of `version` is the one that `artifact` unpacks to.
    pub(crate) fn is_intact(&self, version: &Version, artifact: &Artifact) -> bool {
        let tree = self.layout().tree(version);
        let found = pack::repack(&tree, &self.engine.limits.pack, &mut |_| {});
        found.is_ok_and(|found| found == PayloadIdentity::from(artifact))
    }

    /// Puts what `payload` unpacks to in the place of the tree of `version`, if it is what was
    /// signed. The journal, where it has the tree, takes its new seal.
    pub(crate) fn put_tree(
        &mut self,
        version: &Version,
        artifact: &Artifact,
        payload: &mut (dyn Read + Send),
    ) -> Result<(), Error> {
        self.engine.stage(version, artifact, payload)?;
        let staged = self.engine.staged.take();
        let seal = staged.map(|staged| self.engine.enter(&staged)).transpose()?.flatten();
        if self.with_journal().is_err() {
            return Ok(());
        }
        self.engine.write(|journal| {
            for tree in journal.record.trees.iter_mut().filter(|tree| tree.version == *version) {
                tree.seal = seal;
            }
        })?;
        self.engine.sweep();
        Ok(())
    }

    /// Whether `version` works by its own health check, as an update finds it out. One that its
    /// program must confirm is not known to.
    pub(crate) fn works(&self, version: &Version, artifact: &Artifact) -> Result<bool, Error> {
        let Some(health) = &artifact.health else { return Ok(true) };
        if health.confirm_within_seconds.is_some() {
            return Ok(false);
        }
        let run = run_name()?;
        let place = self.engine.place(version, None, &run);
        Ok(matches!(place.check(health), Verdict::Passed(_)))
    }

    /// Writes a journal that says what is proven and nothing else. What is not is laid aside before:
    /// the old journal, trees, and copies of the program's data. Says where, if there was any.
    pub(crate) fn restore_journal(&mut self, proven: &Proven) -> Result<Option<PathBuf>, Error> {
        let Proven { running, is_confirmed, trees, floor, events_queued } = proven.clone();
        let snapshots_made = self.highest_snapshot();
        let aside = self.lay_aside(&trees)?;
        let artifact = running.as_ref().and_then(|running| {
            trees.iter().find(|tree| tree.version == *running).map(|tree| &tree.artifact)
        });
        let data_epoch = artifact.and_then(|artifact| artifact.data).map(|data| data.writes);
        let confirmed = running.clone().filter(|_| is_confirmed).into_iter().collect();
        let record = Record { running, confirmed, trees, floor, data_epoch, ..Record::default() };
        let journal = Journal { record, snapshots_made, events_queued, ..Journal::default() };
        journal.write(&*self.engine.files, &self.engine.layout)?;
        self.engine.journal = journal;
        self.engine.sweep();
        Ok(aside)
    }

    /// The engine with the journal as it is on the disk.
    fn with_journal(&mut self) -> Result<&mut Engine, Error> {
        let engine = &mut self.engine;
        engine.journal = match Journal::read(&engine.layout, &engine.limits)? {
            Some(journal) => journal,
            None => new_journal(&engine.layout)?,
        };
        Ok(engine)
    }

    /// The highest number that a copy of the program's data bears.
    fn highest_snapshot(&self) -> u64 {
        let layout = self.layout();
        let names = |directory: &Path| {
            let entries = fs::read_dir(directory).into_iter().flatten().flatten();
            entries
                .map(|entry| entry.file_name().to_string_lossy().into_owned())
                .collect::<Vec<_>>()
        };
        let laid_aside = names(&layout.private());
        let laid_aside = laid_aside.iter().filter_map(|name| name.strip_prefix("unrestored-"));
        let kept = names(&layout.snapshots());
        let numbers = laid_aside.chain(kept.iter().map(String::as_str));
        numbers.filter_map(|name| name.split('-').next()?.parse().ok()).max().unwrap_or(0)
    }

    /// Moves the journal, trees that are not among `proven` and all copies of data to where no sweep
    /// finds them.
    fn lay_aside(&self, proven: &[KeptTree]) -> Result<Option<PathBuf>, Error> {
        let (engine, layout) = (&self.engine, self.layout());
        let mut moved = Vec::new();
        let listed = |directory: &Path| {
            let entries = fs::read_dir(directory).into_iter().flatten().flatten();
            entries.map(|entry| entry.path()).collect::<Vec<_>>()
        };
        moved.extend(listed(&layout.snapshots()).into_iter().map(|path| ("data", path)));
        let is_unproven = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.parse::<Version>()
                .is_ok_and(|version| !proven.iter().any(|it| it.version == version))
        };
        let unproven = listed(&layout.versions()).into_iter().filter(is_unproven);
        moved.extend(unproven.map(|path| ("version", path)));
        // Last: as long as it stands there, nothing else takes the installation for a whole one.
        moved.extend(Some(("journal", layout.journal())).filter(|(_, path)| path.exists()));
        if moved.is_empty() {
            return Ok(None);
        }
        let mut nth = (1..).map(|nth| layout.unproven(nth));
        let Some(aside) = nth.find(|path| fs::symlink_metadata(path).is_err()) else {
            return Ok(None);
        };
        self.make_directory(&aside, 0o700)?;
        for (what, path) in moved {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let to = aside.join(if what == "journal" {
                what.to_owned()
            } else {
                format!("{what}-{name}")
            });
            engine
                .files
                .rename(&path, &to)
                .map_err(|source| Error::io("lay aside", &path, source))?;
        }
        for directory in [&aside, &layout.versions(), &layout.snapshots(), &layout.private()] {
            engine.sync_directory(directory)?;
        }
        Ok(Some(aside))
    }
}

fn give_permissions(
    files: &dyn FileSystem,
    layout: &Layout,
    path: &Path,
    mode: u32,
) -> Result<(), Error> {
    let root = layout.root();
    let below = path.strip_prefix(root).unwrap_or(path);
    files
        .set_permissions(root, below, mode)
        .map_err(|source| Error::io("set the permissions of", path, source))
}

impl Engine {
    /// Puts the tree `staged` where `tree` is, or belongs, in one step; what was there is swept
    /// later. Where the file system cannot exchange two paths there is no tree for an instant.
    pub(super) fn put_tree_in_place(&self, staged: &Path, tree: &Path) -> Result<(), Error> {
        let refused = |source| Error::io("put in its place", tree, source);
        if fs::symlink_metadata(tree).is_ok() {
            match self.files.exchange(staged, tree) {
                Err(error) if error.kind() == io::ErrorKind::Unsupported => {}
                result => return result.map_err(refused),
            }
            self.discard(tree)?;
        }
        self.files.rename(staged, tree).map_err(refused)
    }
}
