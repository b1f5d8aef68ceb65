//! Files that are replaced as a whole: after a crash at any instant there is the old content or the
//! new one.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use crate::{error::Error, fs::FileSystem};

/// Contents written beside their destinations, which do not see them before
/// [`commit`](Self::commit). What a crash leaves there is written over the next time.
pub(super) struct Staged<'a> {
    files: &'a dyn FileSystem,
    staged: Vec<(PathBuf, PathBuf)>,
}

impl<'a> Staged<'a> {
    pub(super) fn new(files: &'a dyn FileSystem) -> Self {
        Self { files, staged: Vec::new() }
    }

    /// Writes `bytes` beside `path`, readable by the owner only.
    pub(super) fn add(&mut self, path: &Path, bytes: &[u8]) -> Result<(), Error> {
        let mut name = OsString::from(".new-");
        name.push(path.file_name().unwrap_or_default());
        let beside = path.with_file_name(name);
        let folder = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)
            .and_then(|()| self.files.write_file(&beside, bytes))
            .map_err(|error| Error::disk(path, error))?;
        self.staged.push((beside, path.to_owned()));
        Ok(())
    }

    /// Puts the contents in place, in the order in which they were added.
    pub(super) fn commit(mut self) -> Result<(), Error> {
        for (beside, path) in std::mem::take(&mut self.staged) {
            let folder = path.parent().unwrap_or(Path::new("."));
            // A rename is durable once the folder is.
            self.files
                .rename(&beside, &path)
                .and_then(|()| self.files.sync_directory(folder))
                .map_err(|error| Error::disk(&path, error))?;
        }
        Ok(())
    }
}

impl Drop for Staged<'_> {
    fn drop(&mut self) {
        for (beside, _) in &self.staged {
            let _ = self.files.remove_file(beside);
        }
    }
}

/// Replaces the file at `path` by `bytes`, durably, readable by the owner only.
pub(super) fn replace(files: &dyn FileSystem, path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut staged = Staged::new(files);
    staged.add(path, bytes)?;
    staged.commit()
}

/// Removes the file at `path` if there is one.
pub(super) fn remove(files: &dyn FileSystem, path: &Path) -> Result<(), Error> {
    if let Err(error) = fs::symlink_metadata(path)
        && error.kind() == io::ErrorKind::NotFound
    {
        return Ok(());
    }
    files.remove_file(path).map_err(|error| Error::disk(path, error))
}

/// The content of the file at `path`, if there is one of at most `bytes_max` bytes.
pub(super) fn read(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    // One byte more than there are tells the end without another piece of memory.
    let expected = file.metadata()?.len().min(bytes_max).saturating_add(1);
    let mut bytes = Vec::with_capacity(usize::try_from(expected).unwrap_or_default());
    file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        let message = format!("longer than {bytes_max} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::fs::LocalFileSystem;

    #[test]
    fn nothing_is_seen_before_the_commit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b");
        let mut staged = Staged::new(&LocalFileSystem);
        staged.add(&path, b"new").unwrap();
        assert!(!path.exists());
        staged.commit().unwrap();
        assert_eq!(read(&path, 3).unwrap(), b"new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(read(&path, 2).is_err());
    }

    #[test]
    fn what_is_not_committed_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut staged = Staged::new(&LocalFileSystem);
        staged.add(&folder.path().join("a"), b"new").unwrap();
        drop(staged);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
