use std::{
    fs::File,
    io,
    os::{fd::OwnedFd, unix::fs::FileExt as _},
    path::Path,
    sync::{Mutex, PoisonError},
};

use super::{
    Error, Limits, TreePlan,
    error::Reason,
    folders::{open_file, open_folder, open_root},
    header::{END_MARKER, encode, padding_bytes},
    scan::{PlannedEntry, scan_tree},
    tree::changed,
};

/// The archive that a folder packs to, of which any part can be read and that is written nowhere: headers
/// are made, and files read, when somebody asks for them.
///
/// A file that is no longer what it was when the folder was looked through is noticed when it is opened,
/// one that becomes shorter when it is read. Whatever else somebody does to it meanwhile is in the bytes:
/// who reads them holds them to a digest.
#[derive(Debug)]
pub struct PackedTree {
    plan: TreePlan,
    root: OwnedFd,
    /// Of each entry, in the order of the plan.
    places: Vec<Place>,
    length: u64,
    opened: Mutex<Opened>,
}

/// Where an entry is in the archive.
#[derive(Clone, Copy, Debug)]
struct Place {
    header: u64,
    content: u64,
}

/// What is held open, because the next reader probably wants the same.
#[derive(Debug, Default)]
struct Opened {
    /// The folder in which something was opened last.
    folder: Option<(String, OwnedFd)>,
    /// Files by the numbers of their entries, the one that was read last at the end.
    files: Vec<(usize, File)>,
}

impl PackedTree {
    /// How many files are held open at the most.
    const FILES_OPEN_MAX: usize = 16;

    /// The archive of the folder `root`, in which nobody shall write from now on.
    ///
    /// # Errors
    ///
    /// Those of [`scan_tree`].
    pub fn open(root: &Path, limits: &Limits) -> Result<Self, Error> {
        Self::of(scan_tree(root, limits)?)
    }

    /// The archive that `plan` would write.
    pub fn of(plan: TreePlan) -> Result<Self, Error> {
        let root = open_root(&plan.root)
            .map_err(|errno| Error::file_system("open folder", &plan.root, errno))?;
        let mut places = Vec::with_capacity(plan.items.len());
        let (mut header, mut bytes) = (0, Vec::new());
        for item in &plan.items {
            bytes.clear();
            encode(&item.entry, &mut bytes);
            let content = header + bytes.len() as u64;
            places.push(Place { header, content });
            let length = item.entry.length();
            header = content + length + padding_bytes(length) as u64;
        }
        let length = header + END_MARKER.len() as u64;
        Ok(Self { plan, root, places, length, opened: Mutex::default() })
    }

    /// The archive's length in bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Fills `buffer` with the archive's bytes from `offset` on.
    ///
    /// # Errors
    ///
    /// [`Transfer`](super::ErrorKind::Transfer) where there are not so many,
    /// [`Changed`](super::ErrorKind::Changed) where a file is found to have changed, and
    /// [`FileSystem`](super::ErrorKind::FileSystem).
    pub fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> Result<(), Error> {
        let end = offset.checked_add(buffer.len() as u64);
        if end.is_none_or(|end| end > self.length) {
            return Err(Reason::Read { source: io::ErrorKind::UnexpectedEof.into() }.into());
        }
        let (mut rest, mut at) = (buffer, offset);
        while !rest.is_empty() {
            let count = self.read_at(rest, at)?;
            rest = rest.get_mut(count..).unwrap_or_default();
            at += count as u64;
        }
        Ok(())
    }

    /// Reads as much from `at` on as is of one kind: of a header, of a file, or zeros. It is at least a
    /// byte.
    fn read_at(&self, buffer: &mut [u8], at: u64) -> Result<usize, Error> {
        let next = self.places.partition_point(|place| place.header <= at);
        let entry = next
            .checked_sub(1)
            .and_then(|index| Some((index, *self.places.get(index)?, self.plan.items.get(index)?)));
        let Some((index, place, item)) = entry else { return Ok(zeros(buffer, self.length - at)) };
        let end_of_content = place.content + item.entry.length();
        if at < place.content {
            let mut header = Vec::new();
            encode(&item.entry, &mut header);
            let from = usize::try_from(at - place.header).unwrap_or(usize::MAX);
            let bytes = header.get(from..).unwrap_or_default();
            let part = within(buffer, bytes.len() as u64);
            part.copy_from_slice(bytes.get(..part.len()).unwrap_or_default());
            Ok(part.len())
        } else if at < end_of_content {
            let part = within(buffer, end_of_content - at);
            self.read_file(index, item, part, at - place.content)?;
            Ok(part.len())
        } else {
            let end = self.places.get(next).map_or(self.length, |next| next.header);
            Ok(zeros(buffer, end - at))
        }
    }

    fn read_file(
        &self,
        index: usize,
        item: &PlannedEntry,
        buffer: &mut [u8],
        offset: u64,
    ) -> Result<(), Error> {
        // What a panic elsewhere has left is whole: a file is there or not.
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let file = opened.file(index, item, &self.root)?;
        file.read_exact_at(buffer, offset).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => changed(item.entry.path(), "it became shorter"),
            _ => Error::file_system("read file", item.entry.path().as_str(), error),
        })
    }
}

impl Opened {
    fn file(&mut self, index: usize, item: &PlannedEntry, root: &OwnedFd) -> Result<&File, Error> {
        let known = self.files.iter().position(|(known, _)| *known == index);
        let opened = match known {
            Some(position) => self.files.remove(position),
            None => (index, self.open(item, root)?),
        };
        if self.files.len() >= PackedTree::FILES_OPEN_MAX {
            self.files.remove(0);
        }
        self.files.push(opened);
        self.files.last().map(|(_, file)| file).ok_or_else(|| Reason::Incomplete.into())
    }

    /// Opens the file of `item`, whose folder is mostly the one of the file before.
    fn open(&mut self, item: &PlannedEntry, root: &OwnedFd) -> Result<File, Error> {
        let path = item.entry.path();
        let refused =
            |doing| move |errno: rustix::io::Errno| Error::file_system(doing, path.as_str(), errno);
        let file = match path.folder() {
            None => open_file(root, path.name()),
            Some(folder) => {
                let known = self.folder.take().filter(|(known, _)| known == folder);
                let opened = match known {
                    Some((_, opened)) => opened,
                    None => open_below(root, folder).map_err(refused("open the folder of"))?,
                };
                let (_, opened) = self.folder.insert((folder.to_owned(), opened));
                open_file(opened, path.name())
            }
        };
        let file = File::from(file.map_err(refused("open file"))?);
        item.expect_unchanged(&file)?;
        Ok(file)
    }
}

/// Opens the folder at `path` below `root`, through no symbolic link.
fn open_below(root: &OwnedFd, path: &str) -> Result<OwnedFd, rustix::io::Errno> {
    let mut names = path.split('/');
    let first = open_folder(root, names.next().unwrap_or_default())?;
    names.try_fold(first, open_folder)
}

/// The beginning of `buffer`, of at most `count` bytes.
fn within(buffer: &mut [u8], count: u64) -> &mut [u8] {
    let count = usize::try_from(count).map_or(buffer.len(), |count| count.min(buffer.len()));
    buffer.get_mut(..count).unwrap_or_default()
}

/// Fills the beginning of `buffer` with at most `count` zeros, and says how many these are.
fn zeros(buffer: &mut [u8], count: u64) -> usize {
    let part = within(buffer, count);
    part.fill(0);
    part.len()
}

#[cfg(feature = "delta")]
impl crate::delta::ReadAt for PackedTree {
    fn length(&self) -> u64 {
        self.length
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        Ok(Self::read_exact_at(self, buffer, offset)?)
    }
}
