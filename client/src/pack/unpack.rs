use std::{
    fs::File,
    io::Read,
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

use rustix::{
    fs::{CWD, Mode as RawMode, OFlags, fchmod, mkdirat, openat, symlinkat, syncfs},
    io::Errno,
};

use super::{
    Entry, EntryKind, Error, Limits, LinkTarget, Mode, Summary, TreePath,
    copy::{BUFFER_BYTES, CopyError, copy},
    error::Reason,
    folders::{Folders, open_folder, open_root},
    read_archive,
};

/// The mode of the folder at the root of an unpacked tree.
const ROOT_MODE: RawMode = RawMode::from_raw_mode(0o755);

/// Unpacks `archive` into the folder `root`, which must not exist and whose own folder must.
///
/// Until all is unpacked, nobody but the owner can look into `root`. Where this fails, what was
/// unpacked by then is left there for the caller to remove: it has to do so after a crash too.
/// Nothing is durable before [`sync_tree`].
pub fn unpack_tree(archive: impl Read, root: &Path, limits: &Limits) -> Result<Summary, Error> {
    let root_refused = |doing, errno| Error::file_system(doing, root, errno);
    mkdirat(CWD, root, RawMode::RWXU).map_err(|errno| match errno {
        Errno::EXIST => {
            Reason::Exists { path: root.to_string_lossy().escape_debug().to_string() }.into()
        }
        errno => root_refused("create folder", errno),
    })?;
    let folder = open_folder(CWD, root).map_err(|errno| root_refused("open folder", errno))?;
    let mut unpacking = Unpacking { folders: Folders::new(folder), buffer: vec![0; BUFFER_BYTES] };
    let summary = read_archive(archive, limits, |entry, content| unpacking.entry(&entry, content))?;
    let folder = unpacking.finish()?;
    fchmod(folder, ROOT_MODE).map_err(|errno| root_refused("set the mode of", errno))?;
    Ok(summary)
}

/// Makes the tree at `root` durable, with one `syncfs` of the file system that it is on: far
/// cheaper than an `fsync` of every file.
pub fn sync_tree(root: &Path) -> Result<(), Error> {
    let folder = open_root(root).map_err(|errno| Error::file_system("open folder", root, errno))?;
    syncfs(folder).map_err(|errno| Error::file_system("make durable", root, errno))
}

struct Unpacking {
    /// Folders being unpacked into, and the mode that each will have. They get it when all in them
    /// is there, for one that its owner may not write to cannot be unpacked into.
    folders: Folders<(TreePath, Mode)>,
    buffer: Vec<u8>,
}

impl Unpacking {
    fn entry(&mut self, entry: &Entry, content: &mut dyn Read) -> Result<(), Error> {
        let path = entry.path();
        self.folders.leave(path).try_for_each(close_folder)?;
        match entry.kind() {
            EntryKind::Directory { mode } => self.directory(path, *mode),
            EntryKind::File { mode, .. } => self.file(path, *mode, content),
            EntryKind::Symlink { target } => self.symlink(path, target),
        }
    }

    fn directory(&mut self, path: &TreePath, mode: Mode) -> Result<(), Error> {
        let parent = self.folders.folder_of(path);
        let folder = mkdirat(parent, path.name(), RawMode::RWXU)
            .and_then(|()| open_folder(parent, path.name()))
            .map_err(|errno| Error::file_system("create folder", path.as_str(), errno))?;
        self.folders.enter(folder, (path.clone(), mode));
        Ok(())
    }

    fn file(&mut self, path: &TreePath, mode: Mode, content: &mut dyn Read) -> Result<(), Error> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let owner_only = RawMode::RUSR | RawMode::WUSR;
        let mut file = openat(self.folders.folder_of(path), path.name(), flags, owner_only)
            .map(File::from)
            .map_err(|errno| Error::file_system("create file", path.as_str(), errno))?;
        // The reader ends the content at the length in the header, or fails.
        copy(content, &mut file, &mut self.buffer).map_err(|error| match error {
            CopyError::Read(source) => Error::from_read(source),
            CopyError::Write(source) => Error::file_system("write file", path.as_str(), source),
        })?;
        set_mode(&file, path, mode)
    }

    fn symlink(&mut self, path: &TreePath, target: &LinkTarget) -> Result<(), Error> {
        symlinkat(target.as_str(), self.folders.folder_of(path), path.name())
            .map_err(|errno| Error::file_system("create symbolic link", path.as_str(), errno))
    }

    /// Gives the folders that are still open their modes and hands back the root.
    fn finish(mut self) -> Result<OwnedFd, Error> {
        self.folders.leave_all().try_for_each(close_folder)?;
        Ok(self.folders.into_root())
    }
}

fn close_folder((folder, (path, mode)): (OwnedFd, (TreePath, Mode))) -> Result<(), Error> {
    set_mode(folder, &path, mode)
}

/// Sets a mode exactly; the one given at creation is subject to the process's umask.
fn set_mode(file: impl AsFd, path: &TreePath, mode: Mode) -> Result<(), Error> {
    fchmod(file, RawMode::from_raw_mode(mode.bits()))
        .map_err(|errno| Error::file_system("set the mode of", path.as_str(), errno))
}
