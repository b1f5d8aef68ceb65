use std::{
    fs::{File, OpenOptions, TryLockError},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    thread,
    time::Duration,
};

use super::error::{Error, Reason};

/// How often a lock that another process holds is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The lock (`flock`) on an installation; the kernel lets go of it however the process ends.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Lock {
    /// Takes the lock, waiting for so long for another process to let go of it.
    pub(super) fn take(path: &Path, wait: Duration) -> Result<Self, Error> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(|source| Error::io("open the lock file", path, source))?;
        let mut left = wait;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self(file)),
                Err(TryLockError::WouldBlock) if left.is_zero() => {
                    return Err(Reason::Locked { path: path.into() }.into());
                }
                Err(TryLockError::WouldBlock) => {
                    let pause = left.min(LOOK_EVERY);
                    thread::sleep(pause);
                    left = left.saturating_sub(pause);
                }
                Err(TryLockError::Error(source)) => return Err(Error::io("lock", path, source)),
            }
        }
    }
}

/// Whether somebody has the lock at `path` just now. To know that takes it for an instant where nobody
/// has.
pub(super) fn is_held(path: &Path) -> bool {
    let Ok(file) = OpenOptions::new().write(true).open(path) else { return false };
    match file.try_lock() {
        Ok(()) => {
            let _free = Lock(file);
            false
        }
        Err(TryLockError::WouldBlock) => true,
        Err(TryLockError::Error(_)) => false,
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing is not enough: a process that another thread is just starting still has a copy
        // of the file between its fork and its exec, and the lock would outlive this process's.
        let _ = self.0.unlock();
    }
}
