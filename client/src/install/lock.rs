use std::{
    fs::{File, OpenOptions, TryLockError},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use super::error::{Error, Reason};

/// The lock (`flock`) on an installation; the kernel lets go of it however the process ends.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Lock {
    pub(super) fn take(path: &Path) -> Result<Self, Error> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(|source| Error::io("open the lock file", path, source))?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(Reason::Locked { path: path.into() }.into()),
            Err(TryLockError::Error(source)) => Err(Error::io("lock", path, source)),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing is not enough: a process that another thread is just starting still has a copy
        // of the file between its fork and its exec, and the lock would outlive this process's.
        let _ = self.0.unlock();
    }
}
