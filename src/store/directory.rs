//! Directories that are still there after a power cut.

use std::{
    fs::{self, File},
    io,
    path::Path,
};

/// Makes the directory and those above it where they are missing, and waits until each entry is
/// durable: a synced file in a directory that is not is as lost as an unsynced one.
pub(super) fn create_durably(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    let parent = directory.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    create_durably(parent)?;
    match fs::create_dir(directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    sync(parent)
}

/// Waits until the entries of the directory are durable.
pub(super) fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}
