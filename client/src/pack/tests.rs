mod archive;
mod hostile;
#[cfg(feature = "install")]
mod packed_tree;
#[cfg(feature = "install")]
mod packing;
mod payload;
#[cfg(feature = "install")]
mod unpacking;

use std::{
    collections::BTreeMap,
    io::{self, Read},
};

use proptest::prelude::*;
use tar::{EntryType, Header};

use super::{
    ArchiveWriter, Entry, EntryKind, Error, Limits, Mode, Summary, TreePath, header::END_MARKER,
    read_archive,
};

fn path(text: &str) -> TreePath {
    text.parse().unwrap()
}

fn mode(bits: u32) -> Mode {
    Mode::new(bits).unwrap()
}

/// Entries with their content, in the order in which they were read or are to be written.
type Tree = Vec<(Entry, Vec<u8>)>;

fn directory(at: &str, bits: u32) -> (Entry, Vec<u8>) {
    (Entry::directory(path(at), mode(bits)), Vec::new())
}

fn file(at: &str, bits: u32, content: &[u8]) -> (Entry, Vec<u8>) {
    (Entry::file(path(at), mode(bits), content.len() as u64), content.to_vec())
}

fn symlink(at: &str, target: &str) -> (Entry, Vec<u8>) {
    (Entry::symlink(path(at), target).unwrap(), Vec::new())
}

/// A tree with one of everything.
fn sample_tree() -> Tree {
    let long_name = "n".repeat(255);
    let mut tree = vec![
        directory("bin", 0o755),
        file("bin/check", 0o755, b"#!/bin/sh\nexit 0\n"),
        file("bin/only-group", 0o610, b""),
        symlink("bin/latest", "check"),
        directory("empty", 0o700),
        file("empty-file", 0o644, b""),
        directory("größe", 0o777),
        file("größe/日本語", 0o666, &[7; 512]),
        symlink("größe/up", "../bin/./check"),
        directory("long", 0o755),
        directory(&format!("long/{long_name}"), 0o751),
        file(&format!("long/{long_name}/{long_name}"), 0o400, &[9; 1000]),
        symlink(&format!("long/{long_name}/z"), &format!("../{long_name}/{long_name}")),
        file(&format!("long/{}", "a".repeat(95)), 0o644, b"path of 100 bytes"),
        file(&format!("long/{}", "a".repeat(96)), 0o644, b"path of 101 bytes"),
        file("mainstay.toml", 0o644, b"[health]\ncommand = [\"bin/check\"]\n"),
    ];
    tree.sort_by(|(a, _), (b, _)| a.path().cmp(b.path()));
    tree
}

fn write(tree: &Tree) -> Vec<u8> {
    write_counted(tree).unwrap().0
}

fn write_counted(tree: &Tree) -> Result<(Vec<u8>, Summary), Error> {
    let mut archive = ArchiveWriter::new(Vec::new(), &Limits::default());
    for (entry, content) in tree {
        archive.add(entry, &mut content.as_slice())?;
    }
    archive.finish()
}

fn read(archive: impl Read) -> Result<Tree, Error> {
    read_within(archive, &Limits::default())
}

fn read_within(archive: impl Read, limits: &Limits) -> Result<Tree, Error> {
    let mut tree = Vec::new();
    read_archive(archive, limits, |entry, content| {
        let mut bytes = Vec::new();
        content.read_to_end(&mut bytes).map_err(Error::from_read)?;
        tree.push((entry, bytes));
        Ok::<_, Error>(())
    })?;
    Ok(tree)
}

/// A tar entry as an attacker would write it: a valid checksum and nothing else promised.
struct RawTar {
    header: Header,
    content: Vec<u8>,
}

impl RawTar {
    fn new(entry_type: EntryType, name: &str, bits: u32, content: &[u8]) -> Self {
        let mut header = Header::new_gnu();
        for (slot, byte) in header.as_old_mut().name.iter_mut().zip(name.bytes()) {
            *slot = byte;
        }
        header.set_entry_type(entry_type);
        header.set_mode(bits);
        header.set_uid(0);
        header.set_gid(0);
        header.set_size(content.len() as u64);
        Self { header, content: content.to_vec() }
    }

    fn file(name: &str) -> Self {
        Self::new(EntryType::Regular, name, 0o644, b"content")
    }

    fn directory(name: &str) -> Self {
        Self::new(EntryType::Directory, name, 0o755, b"")
    }

    fn symlink(name: &str, target: &str) -> Self {
        Self::new(EntryType::Symlink, name, 0o777, b"").linking_to(target)
    }

    fn linking_to(self, target: &str) -> Self {
        self.with(|header| header.set_link_name_literal(target).unwrap())
    }

    fn with(mut self, change: impl FnOnce(&mut Header)) -> Self {
        change(&mut self.header);
        self
    }

    fn bytes(mut self) -> Vec<u8> {
        self.header.set_cksum();
        let mut bytes = self.header.as_bytes().to_vec();
        bytes.extend(&self.content);
        bytes.resize(bytes.len().next_multiple_of(512), 0);
        bytes
    }
}

/// The archive of `entries`, with a proper end.
fn tar(entries: impl IntoIterator<Item = RawTar>) -> Vec<u8> {
    let mut bytes = entries.into_iter().flat_map(RawTar::bytes).collect::<Vec<_>>();
    bytes.extend(END_MARKER);
    bytes
}

/// Reads `0` bytes at a time never, and all of them one by one: a reader that is as slow as can be.
struct OneByOne<R>(R);

impl<R: Read> Read for OneByOne<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(&mut buffer[..1])
    }
}

/// Small trees with everything in them that a tree can have.
fn any_tree() -> impl Strategy<Value = Tree> {
    #[derive(Clone, Debug)]
    enum Node {
        Directory(u32),
        File(u32, Vec<u8>),
        Symlink(String),
    }
    let name = prop_oneof![
        4 => "[a-c]",
        1 => "[ -.0-\\[\\]-~]{1,8}".prop_filter("a name", |name| name != "." && name != ".."),
        1 => "[äß日\u{1f600}]{1,4}",
        1 => "[x-z]{90,130}",
    ];
    let node = prop_oneof![
        (0..=0o777_u32).prop_map(Node::Directory),
        (0..=0o777_u32, proptest::collection::vec(any::<u8>(), 0..1200))
            .prop_map(|(bits, content)| Node::File(bits, content)),
        "[a-d/.]{1,6}|[l]{101,120}".prop_map(Node::Symlink),
    ];
    let nodes = proptest::collection::vec((proptest::collection::vec(name, 1..5), node), 0..12);
    nodes.prop_map(|nodes| {
        let mut tree = BTreeMap::new();
        for (names, node) in nodes {
            let at = names.join("/");
            let folders = (1..names.len()).map(|depth| names[..depth].join("/"));
            for folder in folders {
                // A file or link that stood there gives way to the folder.
                let existing = tree.get(&path(&folder)).map(|(entry, _): &(Entry, _)| entry);
                if !existing.is_some_and(|it| matches!(it.kind(), EntryKind::Directory { .. })) {
                    tree.insert(path(&folder), directory(&folder, 0o755));
                }
            }
            if tree.contains_key(&path(&at)) {
                continue;
            }
            let entry = match node {
                Node::Directory(bits) => directory(&at, bits),
                Node::File(bits, content) => file(&at, bits, &content),
                Node::Symlink(target) => match Entry::symlink(path(&at), &target) {
                    Ok(entry) => (entry, Vec::new()),
                    Err(_) => symlink(&at, "fallback"),
                },
            };
            tree.insert(path(&at), entry);
        }
        tree.into_values().collect()
    })
}
