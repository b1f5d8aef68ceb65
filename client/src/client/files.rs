//! Files that are replaced as a whole: after a crash at any instant there is the old content or the
//! new one.

use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;

use crate::error::Error;

/// Contents written beside their destinations, which do not see them before
/// [`commit`](Self::commit).
#[derive(Default)]
pub(super) struct Staged(Vec<(NamedTempFile, PathBuf)>);

impl Staged {
    /// Writes `bytes` beside `path`, readable by the owner only.
    pub(super) fn add(&mut self, path: &Path, bytes: &[u8]) -> Result<(), Error> {
        let folder = path.parent().unwrap_or(Path::new("."));
        let write = || {
            fs::create_dir_all(folder)?;
            let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(folder)?;
            file.write_all(bytes)?;
            file.as_file().sync_all()?;
            Ok(file)
        };
        let file = write().map_err(|error| Error::disk(path, error))?;
        self.0.push((file, path.to_owned()));
        Ok(())
    }

    /// Puts the contents in place, in the order in which they were added.
    pub(super) fn commit(self) -> Result<(), Error> {
        for (file, path) in self.0 {
            file.persist(&path).map_err(|error| Error::disk(&path, error.error))?;
            sync_folder_of(&path)?;
        }
        Ok(())
    }
}

/// Replaces the file at `path` by `bytes`, durably, readable by the owner only.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut staged = Staged::default();
    staged.add(path, bytes)?;
    staged.commit()
}

/// Removes the file at `path` if there is one.
pub(super) fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::disk(path, error)),
        _ => Ok(()),
    }
}

/// The content of the file at `path`, if there is one of at most `bytes_max` bytes.
pub(super) fn read(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > bytes_max {
        let message = format!("longer than {bytes_max} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(bytes)
}

/// A rename is durable once the folder is.
fn sync_folder_of(path: &Path) -> Result<(), Error> {
    let folder = path.parent().unwrap_or(Path::new("."));
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|error| Error::disk(folder, error))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn nothing_is_seen_before_the_commit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b");
        let mut staged = Staged::default();
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
        let mut staged = Staged::default();
        staged.add(&folder.path().join("a"), b"new").unwrap();
        drop(staged);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
