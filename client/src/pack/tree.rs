use std::{
    fs::File,
    io::{self, Read, Write},
    os::fd::{AsFd, BorrowedFd},
    path::Path,
};

use rustix::fs::{fstat, readlinkat};

use super::{
    ArchiveWriter, Entry, EntryKind, Error, Limits, PayloadIdentity, Summary, TreePath, TreePlan,
    copy::{BUFFER_BYTES, copy},
    error::Reason,
    folders::{Folders, open_file, open_folder, open_root},
    scan::{PlannedEntry, Stamp, scan_tree},
};
use crate::format::{Digest, Hasher};

/// Packs the folder `root` into an archive written to `output`.
///
/// Nothing is written before the whole tree was found fit to be packed ([`scan_tree`]).
/// `progress` is told, again and again, how many bytes of files have been packed; the sum that it
/// reaches is [`Summary::bytes`].
pub fn pack_tree<W: Write>(
    root: &Path,
    output: W,
    limits: &Limits,
    progress: &mut dyn FnMut(u64),
) -> Result<(W, Summary), Error> {
    scan_tree(root, limits)?.pack(output, progress)
}

/// The length and digest of the archive that the tree at `root` packs to; for an installed tree
/// that nobody changed, those of the payload that it was unpacked from.
pub fn repack(
    root: &Path,
    limits: &Limits,
    progress: &mut dyn FnMut(u64),
) -> Result<PayloadIdentity, Error> {
    scan_tree(root, limits)?.identity(progress)
}

/// One entry of a tree, as [`list_tree`] finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedEntry {
    /// The entry.
    pub entry: Entry,
    /// The digest of a file's content.
    pub sha256: Option<Digest>,
}

/// Everything in the tree at `root`, in canonical order: what to compare where two trees turn out
/// to differ.
pub fn list_tree(root: &Path, limits: &Limits) -> Result<Vec<ListedEntry>, Error> {
    let mut listed = Vec::new();
    let mut buffer = vec![0; BUFFER_BYTES];
    scan_tree(root, limits)?.visit(&mut |_| {}, &mut |entry, content| {
        let mut hasher = Hasher::new();
        copy(content, &mut hasher, &mut buffer)?;
        let is_file = matches!(entry.kind(), EntryKind::File { .. });
        let sha256 = is_file.then(|| hasher.finish());
        listed.push(ListedEntry { entry: entry.clone(), sha256 });
        Ok(())
    })?;
    Ok(listed)
}

impl TreePlan {
    /// Packs the tree into an archive written to `output`; see [`pack_tree`].
    ///
    /// A file that is no longer what it was when the plan was made, or changes while it is read,
    /// is an error ([`ErrorKind::Changed`](super::ErrorKind::Changed)).
    pub fn pack<W: Write>(
        &self,
        output: W,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(W, Summary), Error> {
        let mut archive = ArchiveWriter::new(output, self.limits());
        self.visit(progress, &mut |entry, content| archive.add(entry, content))?;
        archive.finish()
    }

    /// The length and digest of the archive that the tree packs to; see [`repack`].
    pub fn identity(&self, progress: &mut dyn FnMut(u64)) -> Result<PayloadIdentity, Error> {
        let (hasher, summary) = self.pack(Hasher::new(), progress)?;
        Ok(PayloadIdentity { length: summary.payload_length, sha256: hasher.finish() })
    }

    /// Hands each entry and its content to `visit`.
    fn visit(
        &self,
        progress: &mut dyn FnMut(u64),
        visit: &mut dyn FnMut(&Entry, &mut dyn Read) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let root = open_root(&self.root)
            .map_err(|errno| Error::file_system("open folder", &self.root, errno))?;
        let mut folders = Folders::new(root);
        let mut bytes_packed = 0;
        for item in &self.items {
            let path = item.entry.path();
            folders.leave(path).for_each(drop);
            match item.entry.kind() {
                EntryKind::Directory { .. } => {
                    let folder = open_folder(folders.folder_of(path), path.name())
                        .map_err(|errno| Error::file_system("open folder", path.as_str(), errno))?;
                    item.expect_unchanged(&folder)?;
                    visit(&item.entry, &mut io::empty())?;
                    folders.enter(folder, ());
                }
                EntryKind::File { .. } => {
                    let mut content = item.open(folders.folder_of(path), bytes_packed, progress)?;
                    visit(&item.entry, &mut content)?;
                    bytes_packed += content.read;
                    item.expect_unchanged(&content.file)?;
                }
                EntryKind::Symlink { target } => {
                    let found = readlinkat(folders.folder_of(path), path.name(), Vec::new())
                        .map_err(|errno| Error::file_system("read link", path.as_str(), errno))?;
                    if found.to_bytes() != target.as_str().as_bytes() {
                        return Err(changed(path, "the link points elsewhere"));
                    }
                    visit(&item.entry, &mut io::empty())?;
                }
            }
        }
        Ok(())
    }
}

pub(super) fn changed(path: &TreePath, what: &'static str) -> Error {
    Reason::Changed { path: path.clone(), what }.into()
}

impl PlannedEntry {
    pub(super) fn expect_unchanged(&self, file: impl AsFd) -> Result<(), Error> {
        let path = self.entry.path();
        let stat =
            fstat(file).map_err(|errno| Error::file_system("examine", path.as_str(), errno))?;
        if Stamp::from(&stat) == self.stamp {
            Ok(())
        } else {
            Err(changed(path, "its identity, mode, length or times differ"))
        }
    }

    fn open<'a>(
        &'a self,
        folder: BorrowedFd<'_>,
        bytes_before: u64,
        progress: &'a mut dyn FnMut(u64),
    ) -> Result<Content<'a>, Error> {
        let path = self.entry.path();
        let file = open_file(folder, path.name())
            .map_err(|errno| Error::file_system("open file", path.as_str(), errno))?;
        self.expect_unchanged(&file)?;
        Ok(Content { item: self, file: file.into(), read: 0, bytes_before, progress })
    }
}

/// The content of a planned file, which must be as long as planned.
struct Content<'a> {
    item: &'a PlannedEntry,
    file: File,
    read: u64,
    bytes_before: u64,
    progress: &'a mut dyn FnMut(u64),
}

impl Read for Content<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let (path, length) = (self.item.entry.path(), self.item.entry.length());
        let read = match self.file.read(buffer) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                return Err(Error::file_system("read file", path.as_str(), error).into());
            }
            result => result?,
        };
        if read == 0 && self.read < length {
            return Err(changed(path, "it became shorter").into());
        }
        self.read += read as u64;
        if self.read > length {
            return Err(changed(path, "it became longer").into());
        }
        (self.progress)(self.bytes_before + self.read);
        Ok(read)
    }
}
