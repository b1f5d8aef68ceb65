//! What the corpus holds, and what becomes of it.

#![expect(clippy::unwrap_used, reason = "memory does not fail to be written to")]

use std::io::Write as _;

use mainstay_client::pack::{Compression, Compressor};

use super::raw::{Raw, archive};

mod content;
mod form;

/// A tree as it travels, and what becomes of it on a machine.
pub(crate) struct Case {
    /// Its name, and that of its file in `fixtures/trees`.
    pub(crate) name: &'static str,
    /// What it holds, for a reader.
    pub(crate) holds: &'static str,
    /// The payload that the vendor has signed.
    pub(crate) payload: Vec<u8>,
    /// The artifact.
    pub(crate) artifact: Vec<u8>,
    /// What becomes of it.
    pub(crate) fate: Fate,
}

/// What becomes of a tree.
#[derive(Clone, Copy)]
pub(crate) enum Fate {
    /// It is refused; what the message says.
    Refused(&'static str),
    /// It is unpacked, and becomes this.
    Unpacked(&'static str),
}

use Fate::Refused;

/// A group of cases, under a heading of the manual.
pub(crate) struct Group {
    /// The heading.
    pub(crate) title: &'static str,
    /// The cases.
    pub(crate) cases: Vec<Case>,
}

/// The window that manifests of the corpus announce: 2^20 bytes.
pub(crate) const WINDOW_LOG: u32 = 20;

/// Compresses a payload as a publisher would.
pub(crate) fn compressed(payload: &[u8], window_log: u32) -> Vec<u8> {
    let compression = Compression { level: 3, window_log, workers: 0 };
    let mut compressor = Compressor::new(Vec::new(), compression).unwrap();
    compressor.write_all(payload).unwrap();
    compressor.finish().unwrap()
}

fn case(name: &'static str, holds: &'static str, payload: Vec<u8>, fate: Fate) -> Case {
    let artifact = compressed(&payload, WINDOW_LOG);
    Case { name, holds, payload, artifact, fate }
}

fn tree<const N: usize>(
    name: &'static str,
    holds: &'static str,
    entries: [Raw; N],
    fate: Fate,
) -> Case {
    case(name, holds, archive(entries), fate)
}

fn travelling(
    name: &'static str,
    holds: &'static str,
    change: impl FnOnce(Vec<u8>) -> Vec<u8>,
    says: &'static str,
) -> Case {
    let sound = case(name, holds, archive([Raw::file("a")]), Refused(says));
    Case { artifact: change(sound.artifact.clone()), ..sound }
}

/// The whole corpus.
pub(crate) fn corpus() -> Vec<Group> {
    let group = |title, cases| Group { title, cases };
    vec![
        group("Kinds of entries, and their modes", content::kinds()),
        group("Links", content::links()),
        group("Names", content::names()),
        group("Order", content::order()),
        group("Lengths", form::lengths()),
        group("Extensions of POSIX tar", form::posix_extensions()),
        group("Extensions of GNU tar", form::gnu_extensions()),
        group("What else a header says", form::headers()),
        group("The end, and what is between", form::frames()),
        group("Compression", form::compression()),
    ]
}

const PATHS: &str = "names no path in the tree";
const TARGETS: &str = "a relative path that stays in the tree";

impl Case {
    /// The file in `fixtures/trees` that holds the artifact.
    pub(crate) fn file_name(&self) -> String {
        format!("{}.tar.zst", self.name)
    }
}
