//! What a disk may hold after a power loss.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs::{self, Permissions},
    io::{self, Read},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use super::{FileSystem, LocalFileSystem};
use crate::pack;

/// A file system that remembers which changes are durable, until the power fails at its n-th change.
///
/// It is the weakest that a file system with a journal may be: a change of directory entries (a
/// rename is one, whatever directories it touches) happens as a whole or not at all, and everything
/// that was not made durable is lost or not, each change for itself and in no order. So a name may
/// be there before what was written to the file.
#[derive(Clone, Debug)]
pub(crate) struct PowerLossFileSystem {
    disk: Arc<Mutex<Disk>>,
    /// The change before which the power fails, counted from one.
    nth: usize,
}

#[derive(Debug)]
struct Disk {
    root: PathBuf,
    changes: usize,
    /// What programs see.
    nodes: Vec<Node>,
    /// What is there after a power loss at all events; of the same numbers.
    durable: Vec<Node>,
    pending: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Node {
    Directory { mode: u32, entries: BTreeMap<OsString, usize> },
    File { mode: u32, bytes: Vec<u8> },
    Link(PathBuf),
}

/// A change that is not durable yet.
#[derive(Clone, Debug)]
enum Change {
    /// Names in directories, and what they name from now on.
    Entries(Vec<(usize, OsString, Option<usize>)>),
    Content(usize, Vec<u8>),
}

impl PowerLossFileSystem {
    /// Takes what is at `root` for durable.
    pub(crate) fn new(root: &Path, nth: usize) -> Self {
        let (nodes, durable, pending) = Default::default();
        let mut disk = Disk { root: root.to_owned(), changes: 0, nodes, durable, pending };
        disk.load(root);
        disk.apply_all();
        Self { disk: Arc::new(Mutex::new(disk)), nth }
    }

    pub(crate) fn changes(&self) -> usize {
        self.disk.lock().unwrap().changes
    }

    /// How many changes are not durable.
    pub(crate) fn pending(&self) -> usize {
        self.disk.lock().unwrap().pending.len()
    }

    /// Writes to `to` what is there after the power loss if, of the changes that are not durable,
    /// those happened whose bit is set in `survivors`.
    pub(crate) fn after_the_loss(&self, survivors: u64, to: &Path) {
        let disk = self.disk.lock().unwrap();
        let mut durable = disk.durable.clone();
        for (number, change) in disk.pending.iter().enumerate() {
            if survivors >> (number % 64) & 1 == 1 {
                apply(change, &mut durable);
            }
        }
        write_out(&durable, 0, to);
    }

    fn change<T, E: From<io::Error>>(
        &self,
        on_disk: impl FnOnce() -> Result<T, E>,
        in_model: impl FnOnce(&mut Disk),
    ) -> Result<T, E> {
        let mut disk = self.disk.lock().unwrap();
        disk.changes += 1;
        if disk.changes >= self.nth {
            return Err(io::Error::other("the power failed").into());
        }
        let done = on_disk()?;
        in_model(&mut disk);
        Ok(done)
    }
}

impl Disk {
    /// Takes in what is at `path`, of which nothing is durable yet.
    fn load(&mut self, path: &Path) -> usize {
        let metadata = fs::symlink_metadata(path).unwrap();
        let mode = metadata.permissions().mode() & 0o7777;
        if metadata.is_symlink() {
            let node = Node::Link(fs::read_link(path).unwrap());
            return self.add(node.clone(), node);
        }
        if metadata.is_file() {
            let bytes = fs::read(path).unwrap();
            let empty = Node::File { mode, bytes: Vec::new() };
            let file = self.add(Node::File { mode, bytes: bytes.clone() }, empty);
            self.pending.push(Change::Content(file, bytes));
            return file;
        }
        let empty = Node::Directory { mode, entries: BTreeMap::new() };
        let directory = self.add(empty.clone(), empty);
        for entry in fs::read_dir(path).unwrap() {
            let entry = entry.unwrap();
            let below = self.load(&entry.path());
            self.edit(vec![(directory, entry.file_name(), Some(below))]);
        }
        directory
    }

    fn add(&mut self, node: Node, durable: Node) -> usize {
        self.nodes.push(node);
        self.durable.push(durable);
        self.nodes.len() - 1
    }

    fn edit(&mut self, edits: Vec<(usize, OsString, Option<usize>)>) {
        let change = Change::Entries(edits);
        apply(&change, &mut self.nodes);
        self.pending.push(change);
    }

    fn apply_all(&mut self) {
        for change in std::mem::take(&mut self.pending) {
            apply(&change, &mut self.durable);
        }
    }

    fn find(&self, path: &Path) -> Option<usize> {
        path.strip_prefix(&self.root).unwrap().iter().try_fold(0, |number, name| {
            let Node::Directory { entries, .. } = &self.nodes[number] else { panic!("{path:?}") };
            entries.get(name).copied()
        })
    }

    /// The entry of `path` once it names `node`.
    fn entry(&self, path: &Path, node: Option<usize>) -> (usize, OsString, Option<usize>) {
        let directory = self.find(path.parent().unwrap()).unwrap();
        (directory, path.file_name().unwrap().to_owned(), node)
    }

    fn take_in(&mut self, path: &Path) {
        let node = self.load(path);
        self.edit(vec![self.entry(path, Some(node))]);
    }

    fn remove(&mut self, path: &Path) {
        let node = self.find(path).unwrap();
        if let Node::Directory { entries, .. } = self.nodes[node].clone() {
            for name in entries.keys() {
                self.remove(&path.join(name));
            }
        }
        self.edit(vec![self.entry(path, None)]);
    }

    fn sync_entries(&mut self, path: &Path) {
        let directory = self.find(path).unwrap();
        for change in std::mem::take(&mut self.pending) {
            match &change {
                Change::Entries(edits) if edits.iter().any(|edit| edit.0 == directory) => {
                    apply(&change, &mut self.durable);
                }
                _ => self.pending.push(change),
            }
        }
    }
}

fn apply(change: &Change, nodes: &mut [Node]) {
    match change {
        Change::Content(file, written) => {
            let Node::File { bytes, .. } = &mut nodes[*file] else { panic!("not a file") };
            bytes.clone_from(written);
        }
        Change::Entries(edits) => {
            for (directory, name, node) in edits {
                let Node::Directory { entries, .. } = &mut nodes[*directory] else {
                    panic!("not a directory")
                };
                match node {
                    Some(node) => entries.insert(name.clone(), *node),
                    None => entries.remove(name),
                };
            }
        }
    }
}

fn write_out(nodes: &[Node], number: usize, to: &Path) {
    match &nodes[number] {
        Node::Link(target) => std::os::unix::fs::symlink(target, to).unwrap(),
        Node::File { mode, bytes } => {
            fs::write(to, bytes).unwrap();
            fs::set_permissions(to, Permissions::from_mode(*mode)).unwrap();
        }
        Node::Directory { mode, entries } => {
            fs::create_dir(to).unwrap();
            for (name, below) in entries {
                write_out(nodes, *below, &to.join(name));
            }
            fs::set_permissions(to, Permissions::from_mode(*mode)).unwrap();
        }
    }
}

impl FileSystem for PowerLossFileSystem {
    fn create_directory(&self, path: &Path, mode: u32) -> io::Result<()> {
        self.change(|| LocalFileSystem.create_directory(path, mode), |disk| disk.take_in(path))
    }

    fn write_file(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let in_model = |disk: &mut Disk| {
            // Who writes over a file writes into what other names name, too.
            let node = Node::File { mode: 0o600, bytes: bytes.to_vec() };
            if let Some(known) = disk.find(path) {
                disk.nodes[known] = node.clone();
                disk.durable[known] = node;
            } else {
                let added = disk.add(node.clone(), node);
                disk.edit(vec![disk.entry(path, Some(added))]);
            }
        };
        // What is on the real disk need not be durable.
        self.change(|| fs::write(path, bytes), in_model)
    }

    fn copy_file(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change(|| LocalFileSystem.copy_file(from, to), |disk| disk.take_in(to))
    }

    fn set_permissions(&self, root: &Path, below: &Path, mode: u32) -> io::Result<()> {
        self.change(|| LocalFileSystem.set_permissions(root, below, mode), |_| {})
    }

    fn hard_link(&self, original: &Path, link: &Path) -> io::Result<()> {
        let in_model = |disk: &mut Disk| {
            let node = disk.find(original);
            disk.edit(vec![disk.entry(link, node)]);
        };
        self.change(|| LocalFileSystem.hard_link(original, link), in_model)
    }

    fn copy_attributes(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change(|| LocalFileSystem.copy_attributes(from, to), |_| {})
    }

    fn symlink(&self, target: &Path, link: &Path) -> io::Result<()> {
        self.change(|| LocalFileSystem.symlink(target, link), |disk| disk.take_in(link))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let in_model = |disk: &mut Disk| {
            let node = disk.find(from);
            disk.edit(vec![disk.entry(from, None), disk.entry(to, node)]);
        };
        self.change(|| LocalFileSystem.rename(from, to), in_model)
    }

    fn exchange(&self, one: &Path, other: &Path) -> io::Result<()> {
        let in_model = |disk: &mut Disk| {
            let (first, second) = (disk.find(one), disk.find(other));
            disk.edit(vec![disk.entry(one, second), disk.entry(other, first)]);
        };
        self.change(|| LocalFileSystem.exchange(one, other), in_model)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.change(|| LocalFileSystem.remove_file(path), |disk| disk.remove(path))
    }

    fn remove_tree(&self, path: &Path) -> io::Result<()> {
        self.change(|| LocalFileSystem.remove_tree(path), |disk| disk.remove(path))
    }

    fn unpack_tree(
        &self,
        payload: &mut dyn Read,
        path: &Path,
        limits: &pack::Limits,
    ) -> Result<pack::Summary, pack::Error> {
        let failed =
            || LocalFileSystem.unpack_tree(&mut io::empty(), &path.join("no/tree"), limits);
        let mut summary = None;
        let unpacked = self.change(
            || {
                summary = LocalFileSystem.unpack_tree(payload, path, limits).ok();
                summary.is_some().then_some(()).ok_or_else(|| io::Error::other("not unpacked"))
            },
            |disk| disk.take_in(path),
        );
        match (unpacked, summary) {
            (Ok(()), Some(summary)) => Ok(summary),
            _ => failed(),
        }
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.change(|| Ok(()), |disk| disk.sync_entries(path))
    }

    fn sync_tree(&self, path: &Path) -> Result<(), pack::Error> {
        // It is the whole file system that is made durable (`syncfs`).
        let synced: io::Result<()> = self.change(|| Ok(()), Disk::apply_all);
        synced.or_else(|_| LocalFileSystem.sync_tree(&path.join("no/tree")))
    }
}
