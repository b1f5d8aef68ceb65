//! Snapshots of the program's data.

mod copy;

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use walkdir::WalkDir;

use self::copy::{copy_tree, present};
use super::{
    Layout,
    engine::Engine,
    error::{Error, Reason},
    journal::{Content, OtherCopy, Snapshot},
    room::{Need, Room, device},
};
use crate::format::Version;

/// A directory of the program's data.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Directory {
    path: PathBuf,
    /// Its place among the configured ones; none for `data` itself.
    nth: Option<usize>,
}

/// A directory of data as it was found.
pub(super) struct Measured {
    directory: Directory,
    content: Content,
    bytes: u64,
}

impl Directory {
    fn snapshot(&self, layout: &Layout, number: u64) -> PathBuf {
        self.nth.map_or_else(|| layout.snapshot(number), |nth| layout.other_snapshot(number, nth))
    }

    /// Where its new content is made: on its own file system.
    fn staged(&self, layout: &Layout) -> PathBuf {
        self.nth.map_or_else(|| layout.staged_data(), |_| self.beside("new"))
    }

    /// Where its old content goes before it is removed.
    fn discarded(&self, layout: &Layout) -> PathBuf {
        self.nth.map_or_else(|| layout.trash().join("data"), |_| self.beside("old"))
    }

    fn beside(&self, what: &str) -> PathBuf {
        let name = self.path.file_name().unwrap_or_default().to_string_lossy();
        self.path.with_file_name(format!(".{name}.mainstay-{what}"))
    }

    /// What an exchange in one step needs to be on one file system with it.
    fn neighbour<'a>(&'a self, layout: &'a Layout) -> &'a Path {
        match self.nth {
            None => layout.root(),
            Some(_) => self.path.parent().unwrap_or(layout.root()),
        }
    }
}

impl Engine {
    /// Every directory of data, `data` first. What is configured must stand by itself: what lies in
    /// another one, or around the installation, could not be restored by itself.
    fn data_directories(&self) -> Result<Vec<Directory>, Error> {
        let root = self.layout.root();
        let mut directories = vec![Directory { path: self.layout.data(), nth: None }];
        for (nth, configured) in self.limits.data_directories.iter().enumerate() {
            let path: PathBuf = root.join(configured).components().collect();
            let overlaps = |other: &Path| path.starts_with(other) || other.starts_with(&path);
            let own = [self.layout.private(), self.layout.versions(), self.layout.current()];
            let is_plain = path.components().all(|it| it != std::path::Component::ParentDir);
            let is_alone = is_plain
                && !directories.iter().any(|known| overlaps(&known.path))
                && !own.iter().any(|own| overlaps(own));
            if !is_alone {
                return Err(self.unusable(&path, "not a directory by itself"));
            }
            directories.push(Directory { path, nth: Some(nth) });
        }
        Ok(directories)
    }

    /// The directories as hooks are told them, one a line.
    pub(super) fn data_lines(&self) -> String {
        let directories = self.data_directories().unwrap_or_default();
        let lines: Vec<_> = directories.iter().map(|it| it.path.display().to_string()).collect();
        lines.join("\n")
    }

    /// The data as they are. What could not be restored in one step is refused here, before
    /// anything is changed.
    pub(super) fn measure_data(&self) -> Result<Vec<Measured>, Error> {
        let mut found = Vec::new();
        for directory in self.data_directories()? {
            let bytes = self.data_bytes(&directory)?;
            let content = if bytes.is_some() { Content::Directory } else { Content::Nothing };
            found.push(Measured { directory, content, bytes: bytes.unwrap_or(0) });
        }
        let bytes = found.iter().map(|it| it.bytes).fold(0, u64::saturating_add);
        let most = self.limits.data_bytes_max;
        if bytes > most {
            return Err(Reason::DataTooLarge { bytes, most }.into());
        }
        Ok(found)
    }

    fn unusable(&self, path: &Path, found: &'static str) -> Error {
        let root = self.layout.root().to_owned();
        Reason::DataUnusable { path: path.to_owned(), root, found }.into()
    }

    fn data_bytes(&self, directory: &Directory) -> Result<Option<u64>, Error> {
        let path = &directory.path;
        let metadata = match fs::symlink_metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Error::io("examine", path, source)),
        };
        if metadata.is_symlink() {
            return Err(self.unusable(path, "a symbolic link"));
        } else if !metadata.is_dir() {
            return Err(self.unusable(path, "not a directory"));
        }
        let neighbour = directory.neighbour(&self.layout);
        let device = fs::metadata(neighbour)
            .map_err(|source| Error::io("examine", neighbour, source))?
            .dev();
        let mut bytes = 0_u64;
        for entry in WalkDir::new(path) {
            let Some((entry, metadata)) = present(entry)? else { continue };
            if metadata.dev() != device {
                return Err(self.unusable(entry.path(), "on another file system"));
            }
            if metadata.is_file() {
                bytes = bytes.saturating_add(metadata.len());
            }
        }
        Ok(Some(bytes))
    }

    /// The space that copies of `data` take: the snapshot, and the copy of it that an undoing makes.
    pub(super) fn needs_of_data(&self, data: &[Measured]) -> Vec<Need> {
        let snapshots = self.layout.snapshots();
        let copied = |it: &&Measured| it.bytes > 0 && !self.shares_blocks(&it.directory);
        let needs = data.iter().filter(copied).flat_map(|Measured { directory, bytes, .. }| {
            [snapshots.clone(), directory.neighbour(&self.layout).to_owned()]
                .map(|path| Need { path, bytes: *bytes })
        });
        needs.collect()
    }

    /// The space that the copies take by which `snapshot` is brought back.
    fn needs_of_restoring(&self, snapshot: &Snapshot) -> Result<Vec<Need>, Error> {
        let mut needs = Vec::new();
        for (directory, content) in self.copied(snapshot) {
            if content == Content::Nothing || self.shares_blocks(&directory) {
                continue;
            }
            let mut bytes = 0_u64;
            for entry in WalkDir::new(directory.snapshot(&self.layout, snapshot.number)) {
                if let Some((_, metadata)) = present(entry)? {
                    bytes = bytes.saturating_add(metadata.len());
                }
            }
            needs.push(Need { path: directory.neighbour(&self.layout).to_owned(), bytes });
        }
        Ok(needs)
    }

    /// Whether copies between a directory of data and the snapshots take no space.
    fn shares_blocks(&self, directory: &Directory) -> bool {
        let staging = self.layout.staging();
        device(directory.neighbour(&self.layout)) == device(&staging)
            && copies_share_blocks(&staging)
    }

    /// Whether there is room for the snapshot of `data`, for the copy of it that an undoing makes,
    /// and for the copy of `brought` that a rollback makes.
    pub(super) fn expect_space_for_data(
        &self,
        data: &[Measured],
        brought: Option<&Snapshot>,
    ) -> Result<(), Error> {
        let mut needs = vec![Need { path: self.layout.root().to_owned(), bytes: 0 }];
        needs.extend(self.needs_of_data(data));
        if let Some(brought) = brought {
            needs.extend(self.needs_of_restoring(brought)?);
        }
        self.expect_room("copies of the program's data", &needs)
    }

    /// The directories of a snapshot, as they were configured when it was taken.
    fn copied(&self, snapshot: &Snapshot) -> Vec<(Directory, Content)> {
        let data = Directory { path: self.layout.data(), nth: None };
        let others = snapshot.others.iter().enumerate().map(|(nth, other)| {
            (Directory { path: other.path.clone(), nth: Some(nth) }, other.content)
        });
        std::iter::once((data, snapshot.content)).chain(others).collect()
    }

    /// Copies the data as they are under `version`. The snapshot counts once the journal has it.
    pub(super) fn snapshot_data(
        &self,
        data: &[Measured],
        version: Option<&Version>,
    ) -> Result<Snapshot, Error> {
        let number = self.journal.snapshots_made.saturating_add(1);
        let mut snapshot = Snapshot {
            number,
            version: version.cloned(),
            content: Content::Nothing,
            others: Vec::new(),
            epoch: self.journal.record.data_epoch,
        };
        let mut is_empty = true;
        for Measured { directory, content, .. } in data {
            let copy = directory.snapshot(&self.layout, number);
            self.remove(&copy)?;
            if directory.nth.is_some() {
                let (path, content) = (directory.path.clone(), *content);
                snapshot.others.push(OtherCopy { path, content });
            } else {
                snapshot.content = *content;
            }
            if *content == Content::Directory {
                copy_tree(&*self.files, &directory.path, &copy)?;
                is_empty = false;
            }
        }
        if !is_empty {
            // All copies are on one file system, and made durable at once.
            self.sync_tree(&self.layout.snapshots())?;
            self.sync_directory(&self.layout.snapshots())?;
        }
        Ok(snapshot)
    }

    /// Makes the data what they were when snapshot `number` was taken.
    ///
    /// Each directory's copy is made beside it and put in place in one step, so that there is never
    /// half of it. The snapshot stays, so that an interrupted restoring is simply done again.
    pub(super) fn restore_data(&self, number: u64) -> Result<(), Error> {
        let missing = |path: &Path| Error::from(Reason::SnapshotMissing { path: path.to_owned() });
        let snapshot =
            self.journal.snapshot(number).ok_or_else(|| missing(&self.layout.snapshot(number)))?;
        for (directory, content) in self.copied(snapshot) {
            let (staged, copy) =
                (directory.staged(&self.layout), directory.snapshot(&self.layout, number));
            self.remove(&staged)?;
            self.remove(&directory.discarded(&self.layout))?;
            match content {
                Content::Nothing if !directory.path.exists() => continue,
                Content::Nothing => self.discard_data(&directory)?,
                Content::Directory if !copy.is_dir() => return Err(missing(&copy)),
                Content::Directory => {
                    copy_tree(&*self.files, &copy, &staged)?;
                    self.sync_tree(&staged)?;
                    self.put_in_place(&directory, &staged)?;
                }
            }
            self.sync_directory(directory.neighbour(&self.layout))?;
            if directory.nth.is_some() {
                // No sweep looks there.
                self.remove(&staged)?;
                self.remove(&directory.discarded(&self.layout))?;
            }
        }
        Ok(())
    }

    /// Moves snapshot `number` to where no sweep finds it, for somebody to look at.
    pub(super) fn lay_aside(&self, number: u64) -> Result<(), Error> {
        let Some(snapshot) = self.journal.snapshot(number) else { return Ok(()) };
        for (directory, _) in self.copied(snapshot) {
            let copy = directory.snapshot(&self.layout, number);
            if !copy.is_dir() {
                continue;
            }
            let mut aside = self.layout.unrestored(number);
            if let Some(nth) = directory.nth {
                aside.as_mut_os_string().push(format!("-{nth}"));
            }
            self.remove(&aside)?;
            self.files
                .rename(&copy, &aside)
                .map_err(|source| Error::io("lay aside", &copy, source))?;
        }
        self.sync_directory(&self.layout.private())
    }

    fn put_in_place(&self, directory: &Directory, staged: &Path) -> Result<(), Error> {
        let data = &directory.path;
        let refused = |source| Error::io("restore", data, source);
        if fs::symlink_metadata(data).is_ok() {
            match self.files.exchange(staged, data) {
                Err(error) if error.kind() == io::ErrorKind::Unsupported => {}
                result => return result.map_err(refused),
            }
            // Between the two renames there are no data. Should the machine stop there, the next
            // start restores them before it lets anything else happen.
            self.discard_data(directory)?;
        }
        self.files.rename(staged, data).map_err(refused)
    }

    /// Takes a directory of data out of its place in one step.
    fn discard_data(&self, directory: &Directory) -> Result<(), Error> {
        let (path, discarded) = (&directory.path, directory.discarded(&self.layout));
        if fs::symlink_metadata(path).is_err() {
            return Ok(());
        }
        self.remove(&discarded)?;
        self.files
            .rename(path, &discarded)
            .map_err(|source| Error::io("move to the trash", path, source))
    }

    /// Whether there is room for `needs`, which are `what`.
    pub(super) fn expect_room(&self, what: &'static str, needs: &[Need]) -> Result<(), Error> {
        match self.rooms(needs)?.into_iter().find(|room| room.lack() > 0) {
            None => Ok(()),
            Some(Room { path, needed, available, .. }) => {
                Err(Reason::NoSpace { path, what, needed, available }.into())
            }
        }
    }
}

/// Whether copies in `directory` share their blocks with the originals and so take no space.
fn copies_share_blocks(directory: &Path) -> bool {
    let clone = || -> io::Result<()> {
        let mut original = tempfile::tempfile_in(directory)?;
        original.write_all(&[1; 4096])?;
        original.sync_data()?;
        Ok(rustix::fs::ioctl_ficlone(tempfile::tempfile_in(directory)?, original)?)
    };
    clone().is_ok()
}
