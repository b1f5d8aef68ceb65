//! Snapshots of the program's data.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use walkdir::WalkDir;

use super::{
    engine::Engine,
    error::{Error, Reason},
    journal::{Content, Snapshot},
};
use crate::{format::Version, fs::FileSystem};

impl Engine {
    /// How many bytes the data are; nothing where there is no data directory.
    ///
    /// What could not be restored in one step is refused here, before anything is changed.
    pub(super) fn data_bytes(&self) -> Result<Option<u64>, Error> {
        let path = self.layout.data();
        let unusable = |path: &Path, found| {
            let root = self.layout.root().to_owned();
            Error::from(Reason::DataUnusable { path: path.to_owned(), root, found })
        };
        let metadata = match fs::symlink_metadata(&path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Error::io("examine", path, source)),
        };
        if metadata.is_symlink() {
            return Err(unusable(&path, "a symbolic link"));
        } else if !metadata.is_dir() {
            return Err(unusable(&path, "not a directory"));
        }
        let root = fs::metadata(self.layout.root())
            .map_err(|source| Error::io("examine", self.layout.root(), source))?;
        let mut bytes = 0_u64;
        for entry in WalkDir::new(&path) {
            let Some((entry, metadata)) = present(entry)? else { continue };
            if metadata.dev() != root.dev() {
                return Err(unusable(entry.path(), "on another file system"));
            }
            if metadata.is_file() {
                bytes = bytes.saturating_add(metadata.len());
            }
        }
        Ok(Some(bytes))
    }

    /// How many bytes a snapshot takes when it is copied.
    pub(super) fn snapshot_bytes(&self, snapshot: &Snapshot) -> Result<u64, Error> {
        let mut bytes = 0_u64;
        if snapshot.content == Content::Directory {
            for entry in WalkDir::new(self.layout.snapshot(snapshot.number)) {
                if let Some((_, metadata)) = present(entry)? {
                    bytes = bytes.saturating_add(metadata.len());
                }
            }
        }
        Ok(bytes)
    }

    /// Copies the data as they are under `version`. The snapshot counts once the journal has it.
    pub(super) fn snapshot_data(
        &self,
        content: Content,
        version: Option<&Version>,
    ) -> Result<Snapshot, Error> {
        let number = self.journal.snapshots_made.saturating_add(1);
        let path = self.layout.snapshot(number);
        self.remove(&path)?;
        if content == Content::Directory {
            copy_tree(&*self.files, &self.layout.data(), &path)?;
            self.sync_tree(&path)?;
            self.sync_directory(&self.layout.snapshots())?;
        }
        Ok(Snapshot { number, version: version.cloned(), content })
    }

    /// Makes the data what they were when snapshot `number` was taken.
    ///
    /// The copy is made beside and put in place in one step, so that there is never half of it at
    /// `data`. The snapshot stays, so that an interrupted restoring is simply done again.
    pub(super) fn restore_data(&self, number: u64) -> Result<(), Error> {
        let (data, staged, snapshot) =
            (self.layout.data(), self.layout.staged_data(), self.layout.snapshot(number));
        let missing = || Error::from(Reason::SnapshotMissing { path: snapshot.clone() });
        self.remove(&staged)?;
        match self.journal.snapshot(number).ok_or_else(missing)?.content {
            Content::Nothing => self.discard(&data)?,
            Content::Directory => {
                if !snapshot.is_dir() {
                    return Err(missing());
                }
                copy_tree(&*self.files, &snapshot, &staged)?;
                self.sync_tree(&staged)?;
                self.put_in_place(&staged, &data)?;
            }
        }
        self.sync_directory(self.layout.root())
    }

    /// Moves snapshot `number` to where no sweep finds it, for somebody to look at.
    pub(super) fn lay_aside(&self, number: u64) -> Result<(), Error> {
        let (snapshot, aside) = (self.layout.snapshot(number), self.layout.unrestored(number));
        if !snapshot.is_dir() {
            return Ok(());
        }
        self.remove(&aside)?;
        self.files
            .rename(&snapshot, &aside)
            .map_err(|source| Error::io("lay aside", &snapshot, source))?;
        self.sync_directory(&self.layout.private())
    }

    fn put_in_place(&self, staged: &Path, data: &Path) -> Result<(), Error> {
        let refused = |source| Error::io("restore", data, source);
        if fs::symlink_metadata(data).is_ok() {
            match self.files.exchange(staged, data) {
                Err(error) if error.kind() == io::ErrorKind::Unsupported => {}
                result => return result.map_err(refused),
            }
            // Between the two renames there are no data. Should the machine stop there, the next
            // start restores them before it lets anything else happen.
            self.discard(data)?;
        }
        self.files.rename(staged, data).map_err(refused)
    }

    /// Whether there is room for so many bytes of payload and so many of copied data.
    pub(super) fn expect_space(
        &self,
        what: &'static str,
        payload_bytes: u64,
        data_bytes: u64,
    ) -> Result<(), Error> {
        let path = self.layout.root();
        let copied = if data_bytes > 0 && copies_share_blocks(&self.layout.staging()) {
            0
        } else {
            data_bytes
        };
        let needed = payload_bytes.saturating_add(copied).saturating_add(self.limits.reserve_bytes);
        let found = rustix::fs::statvfs(path)
            .map_err(|errno| Error::io("measure the space at", path, errno.into()))?;
        let available = found.f_bavail.saturating_mul(found.f_frsize);
        if needed > available {
            return Err(Reason::NoSpace { path: path.to_owned(), what, needed, available }.into());
        }
        Ok(())
    }
}

/// An entry and what it is; nothing where it vanished in the meantime, since the program may be
/// at work on its data.
fn present(
    entry: walkdir::Result<walkdir::DirEntry>,
) -> Result<Option<(walkdir::DirEntry, fs::Metadata)>, Error> {
    let described = entry.and_then(|entry| {
        let metadata = entry.metadata()?;
        Ok((entry, metadata))
    });
    match described {
        Ok(described) => Ok(Some(described)),
        Err(error) => {
            let path = error.path().unwrap_or(Path::new("data")).to_owned();
            let (depth, source) = (error.depth(), io::Error::from(error));
            if depth > 0 && source.kind() == io::ErrorKind::NotFound {
                return Ok(None);
            }
            Err(Error::io("examine", path, source))
        }
    }
}

/// Copies the tree `from` to `to`: directories, files and symbolic links, with their owners,
/// permissions and times. Sockets, fifos and devices are left out: they are not data.
fn copy_tree(files: &dyn FileSystem, from: &Path, to: &Path) -> Result<(), Error> {
    let mut directories = Vec::new();
    for entry in WalkDir::new(from).sort_by_file_name() {
        let Some((entry, metadata)) = present(entry)? else { continue };
        let original = entry.path();
        let copy = match original.strip_prefix(from) {
            Ok(below) if entry.depth() > 0 => to.join(below),
            _ => to.to_owned(),
        };
        let copied = if metadata.is_dir() {
            directories.push((original.to_owned(), copy.clone()));
            files.create_directory(&copy, 0o700)
        } else if metadata.is_file() {
            files.copy_file(original, &copy)
        } else if metadata.is_symlink() {
            fs::read_link(original)
                .and_then(|target| files.symlink(&target, &copy))
                .and_then(|()| files.copy_attributes(original, &copy))
        } else {
            continue;
        };
        match copied {
            // The program removed it just now.
            Err(_) if !metadata.is_dir() && fs::symlink_metadata(original).is_err() => {}
            result => result.map_err(|source| Error::io("copy", original, source))?,
        }
    }
    // The innermost first, and all after their contents, which change their times and which
    // their permissions may forbid.
    for (original, copy) in directories.iter().rev() {
        files
            .copy_attributes(original, copy)
            .map_err(|source| Error::io("copy", original, source))?;
    }
    Ok(())
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
