use std::{
    ffi::CStr,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
};

use rustix::{
    fs::{CWD, Mode as RawMode, OFlags, openat},
    io::Errno,
    path::Arg,
};

use super::TreePath;

/// The folders that the current entry of a tree stands in, held open.
///
/// Every file is reached from the descriptor of its own folder and by its bare name, so no path is
/// ever looked up through a symbolic link, not even through one that somebody puts there
/// meanwhile, and no path is too long for the system.
pub(super) struct Folders<T> {
    root: OwnedFd,
    open: Vec<(OwnedFd, T)>,
}

impl<T> Folders<T> {
    pub(super) fn new(root: OwnedFd) -> Self {
        Self { root, open: Vec::new() }
    }

    /// The folder of `path`, provided that the folders entered last are those `path` stands in.
    pub(super) fn folder_of(&self, path: &TreePath) -> BorrowedFd<'_> {
        let depth = path.depth();
        depth
            .checked_sub(1)
            .and_then(|last| self.open.get(last))
            .map_or(self.root.as_fd(), |it| it.0.as_fd())
    }

    /// Takes out the folders that `path` does not stand in, the innermost first.
    pub(super) fn leave(&mut self, path: &TreePath) -> impl Iterator<Item = (OwnedFd, T)> {
        let depth = path.depth().min(self.open.len());
        self.open.drain(depth..).rev()
    }

    /// Takes out all folders but the root, the innermost first.
    pub(super) fn leave_all(&mut self) -> impl Iterator<Item = (OwnedFd, T)> {
        self.open.drain(..).rev()
    }

    pub(super) fn enter(&mut self, folder: OwnedFd, note: T) {
        self.open.push((folder, note));
    }

    pub(super) fn into_root(self) -> OwnedFd {
        self.root
    }
}

/// Opens the folder at the root of a tree. Here, and only here, a symbolic link is followed: the
/// caller named it.
pub(super) fn open_root(path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(CWD, path, flags, RawMode::empty())
}

/// Opens the folder `name` in `folder`.
pub(super) fn open_folder(folder: impl AsFd, name: impl Arg) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(folder, name, flags, RawMode::empty())
}

/// Opens the file `name` in `folder` for reading. It does not wait for a writer, should the file
/// have become a pipe.
pub(super) fn open_file(folder: impl AsFd, name: impl Arg) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(folder, name, flags, RawMode::empty())
}

/// Whether `name` is one of the two that every folder lists and no tree contains.
pub(super) fn is_self_or_parent(name: &CStr) -> bool {
    matches!(name.to_bytes(), b"." | b"..")
}
