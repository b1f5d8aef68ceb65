use std::{
    ffi::{CStr, CString},
    io,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, Dir, FileType, Stat, readlinkat, statat},
    io::Errno,
};

use super::{
    Entry, Error, Limits, Mode, Summary, TreePath,
    admission::{Admission, expect_at_most},
    error::Reason,
    folders::{is_self_or_parent, open_file, open_folder, open_root},
    header::encode,
};

/// What packing a folder will write: its entries in canonical order, all of them fit to be packed.
///
/// The plan remembers what each file looked like, so that one that changes afterwards is noticed.
#[derive(Debug)]
pub struct TreePlan {
    pub(super) root: PathBuf,
    pub(super) items: Vec<PlannedEntry>,
    limits: Limits,
    summary: Summary,
}

/// One entry of a [`TreePlan`].
#[derive(Debug)]
pub(super) struct PlannedEntry {
    pub(super) entry: Entry,
    pub(super) stamp: Stamp,
}

impl TreePlan {
    /// How much the archive will hold, and how long it will be.
    pub fn summary(&self) -> Summary {
        self.summary
    }

    /// The limits that the tree was found to keep.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The entries, in the order in which they are packed.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = &Entry> {
        self.items.iter().map(|item| &item.entry)
    }
}

/// What a file looked like; a different stamp means that it was written to or replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    device: i128,
    pub(super) inode: i128,
    pub(super) mode: i128,
    pub(super) length: i128,
    pub(super) modified_nanoseconds: i128,
    pub(super) changed_nanoseconds: i128,
}

impl From<&Stat> for Stamp {
    fn from(stat: &Stat) -> Self {
        // The fields' integer types differ between systems; this one holds each.
        let nanoseconds = |seconds: i128, nanoseconds: i128| seconds * 1_000_000_000 + nanoseconds;
        Self {
            device: stat.st_dev.into(),
            inode: stat.st_ino.into(),
            mode: stat.st_mode.into(),
            length: stat.st_size.into(),
            modified_nanoseconds: nanoseconds(stat.st_mtime.into(), stat.st_mtime_nsec.into()),
            changed_nanoseconds: nanoseconds(stat.st_ctime.into(), stat.st_ctime_nsec.into()),
        }
    }
}

/// Looks through the folder `root` and plans its packing. Symbolic links are not followed.
///
/// Where anything in the tree cannot be packed, the error lists all of it
/// ([`Error::problems`]).
pub fn scan_tree(root: &Path, limits: &Limits) -> Result<TreePlan, Error> {
    let folder = open_root(root).map_err(|errno| Error::file_system("open folder", root, errno))?;
    let mut scan =
        Scan { items: Vec::new(), entries_max: limits.entries_max, problems: Problems::default() };
    scan.folder(&folder, None)?;
    scan.problems.expect_none()?;
    let mut admission = Admission::new(limits);
    let mut header = Vec::new();
    for item in &scan.items {
        header.clear();
        encode(&item.entry, &mut header);
        admission.admit(&item.entry, header.len())?;
    }
    let summary = admission.summary();
    Ok(TreePlan { root: root.to_owned(), items: scan.items, limits: limits.clone(), summary })
}

/// All that is wrong with a tree, up to a number that somebody may read.
#[derive(Default)]
struct Problems {
    listed: Vec<String>,
    more: u64,
}

impl Problems {
    const LISTED_MAX: usize = 1000;

    fn add(&mut self, shown: &str, problem: impl std::fmt::Display) {
        if self.listed.len() < Self::LISTED_MAX {
            self.listed.push(format!("`{}`: {problem}", shown.escape_debug()));
        } else {
            self.more += 1;
        }
    }

    fn expect_none(&mut self) -> Result<(), Error> {
        if self.listed.is_empty() {
            return Ok(());
        }
        let problems = std::mem::take(&mut self.listed);
        Err(Reason::Unpackable { problems, more: self.more }.into())
    }
}

struct Scan {
    items: Vec<PlannedEntry>,
    entries_max: u64,
    problems: Problems,
}

impl Scan {
    /// Plans all that is in `folder`. The recursion is bounded by [`TreePath::SEGMENTS_MAX`].
    fn folder(&mut self, folder: &OwnedFd, path: Option<&TreePath>) -> Result<(), Error> {
        let names = match sorted_names(folder) {
            Ok(names) => names,
            Err(error) => {
                let shown = path.map_or(".", TreePath::as_str);
                self.problems.add(shown, format_args!("cannot be listed: {error}"));
                return Ok(());
            }
        };
        for name in names {
            self.child(folder, path, &name)?;
        }
        Ok(())
    }

    fn child(
        &mut self,
        folder: &OwnedFd,
        parent: Option<&TreePath>,
        name: &CStr,
    ) -> Result<(), Error> {
        // Beyond the limit there is nothing to plan, and memory to be kept.
        expect_at_most("entries in the tree", self.items.len() as u64 + 1, self.entries_max)?;
        let lossy = name.to_string_lossy();
        let shown = parent.map_or_else(|| lossy.to_string(), |parent| format!("{parent}/{lossy}"));
        if name.to_str().is_err() {
            self.problems.add(&shown, "its name is not UTF-8; rename it");
            return Ok(());
        }
        let path = match shown.parse::<TreePath>() {
            Ok(path) => path,
            Err(error) => {
                self.problems.add(&shown, error);
                return Ok(());
            }
        };
        let stat = match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(errno) => {
                self.problems.add(&shown, io::Error::from(errno));
                return Ok(());
            }
        };
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => self.directory(folder, &path, name, &stat),
            FileType::RegularFile => {
                self.file(folder, path, name, &stat);
                Ok(())
            }
            FileType::Symlink => {
                self.symlink(folder, &path, name, &stat);
                Ok(())
            }
            other => {
                self.problems.add(&shown, format_args!("{}; remove it", special_file(other)));
                Ok(())
            }
        }
    }

    fn directory(
        &mut self,
        folder: &OwnedFd,
        path: &TreePath,
        name: &CStr,
        stat: &Stat,
    ) -> Result<(), Error> {
        if let Some(mode) = self.mode(path, stat) {
            self.plan(Entry::directory(path.clone(), mode), stat);
        }
        match open_folder(folder, name) {
            Ok(child) => self.folder(&child, Some(path))?,
            Err(errno) => self.unreadable(path, errno),
        }
        Ok(())
    }

    fn file(&mut self, folder: &OwnedFd, path: TreePath, name: &CStr, stat: &Stat) {
        if let Err(errno) = open_file(folder, name) {
            self.unreadable(&path, errno);
        }
        if let Some(mode) = self.mode(&path, stat) {
            let length = u64::try_from(stat.st_size).unwrap_or(0);
            self.plan(Entry::file(path, mode, length), stat);
        }
    }

    fn symlink(&mut self, folder: &OwnedFd, path: &TreePath, name: &CStr, stat: &Stat) {
        let target = match readlinkat(folder, name, Vec::new()) {
            Ok(target) => target,
            Err(errno) => return self.unreadable(path, errno),
        };
        let Ok(target) = target.to_str() else {
            return self.problems.add(path.as_str(), "the link's target is not UTF-8");
        };
        match Entry::symlink(path.clone(), target) {
            Ok(entry) => self.plan(entry, stat),
            Err(error) => self.problems.add(path.as_str(), error),
        }
    }

    fn mode(&mut self, path: &TreePath, stat: &Stat) -> Option<Mode> {
        const PERMISSION_BITS: u32 = 0o7777;
        let bits = stat.st_mode & PERMISSION_BITS;
        let mode = Mode::new(bits);
        if mode.is_none() {
            self.problems.add(
                path.as_str(),
                format_args!(
                    "has mode {bits:04o} with a set-user-id, set-group-id or sticky bit; take \
                     it off with `chmod a-s,-t`"
                ),
            );
        }
        mode
    }

    fn unreadable(&mut self, path: &TreePath, errno: Errno) {
        self.problems
            .add(path.as_str(), format_args!("cannot be read: {}", io::Error::from(errno)));
    }

    fn plan(&mut self, entry: Entry, stat: &Stat) {
        self.items.push(PlannedEntry { entry, stamp: stat.into() });
    }
}

fn special_file(file_type: FileType) -> &'static str {
    match file_type {
        FileType::Socket => "is a socket",
        FileType::Fifo => "is a named pipe",
        FileType::CharacterDevice | FileType::BlockDevice => "is a device node",
        _ => "is neither a directory nor a file nor a symbolic link",
    }
}

/// The names in `folder`, in the order in which they are packed.
fn sorted_names(folder: impl AsFd) -> io::Result<Vec<CString>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        if !is_self_or_parent(entry.file_name()) {
            names.push(entry.file_name().to_owned());
        }
    }
    names.sort();
    Ok(names)
}
