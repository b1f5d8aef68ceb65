//! How much space a change needs, of each file system that it writes to.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use walkdir::WalkDir;

use super::{Installation, engine::Engine, error::Error};

/// How much space a change needs on one file system, in bytes, and how much there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    /// A path on it: the root of the installation, where that is on it.
    pub path: PathBuf,
    /// What must be free: for the download, the tree, the copies of the program's data, and what is
    /// to stay free whatever is installed.
    pub needed: u64,
    /// What is free.
    pub available: u64,
    /// Which file system it is.
    pub(crate) device: u64,
}

impl Room {
    /// How many bytes are missing.
    pub fn lack(&self) -> u64 {
        self.needed.saturating_sub(self.available)
    }
}

/// So many bytes that are to be written at or below a path, which need not be there yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Need {
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
}

impl Installation {
    /// The space for an update of which so many bytes are still to be downloaded and unpacked, and
    /// that needs `extra` bytes besides, of each file system that it writes to. It is what the engine
    /// expects later, added up: the download stays until the update is over.
    pub fn rooms(&self, download: u64, payload: u64, extra: u64) -> Result<Vec<Room>, Error> {
        let layout = self.layout();
        let need = |path: PathBuf, bytes| Need { path, bytes };
        let mut needs = vec![
            need(layout.root().to_owned(), extra),
            need(layout.cache(), download),
            need(layout.staging(), payload),
        ];
        // Data that cannot be copied at all are told of by the update itself.
        if let Ok(data) = self.engine.measure_data() {
            needs.extend(self.engine.needs_of_data(&data));
        }
        self.engine.rooms(&needs)
    }
}

impl Engine {
    /// What is needed and what is there, of each file system that `needs` concern.
    pub(super) fn rooms(&self, needs: &[Need]) -> Result<Vec<Room>, Error> {
        let mut rooms: Vec<Room> = Vec::new();
        for Need { path, bytes } in needs {
            let (existing, device) = existing(path)?;
            if let Some(room) = rooms.iter_mut().find(|room| room.device == device) {
                room.needed = room.needed.saturating_add(*bytes);
                continue;
            }
            let needed = bytes.saturating_add(self.limits.reserve_bytes);
            let available = available_bytes(existing)?;
            rooms.push(Room { path: existing.to_owned(), needed, available, device });
        }
        Ok(rooms)
    }
}

/// The file system of `path`.
pub(crate) fn device(path: &Path) -> Option<u64> {
    existing(path).ok().map(|(_, device)| device)
}

/// The nearest folder or file above `path` that is there, and its file system.
fn existing(path: &Path) -> Result<(&Path, u64), Error> {
    for ancestor in path.ancestors() {
        match fs::metadata(ancestor) {
            Ok(metadata) => return Ok((ancestor, metadata.dev())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(Error::io("examine", ancestor, source)),
        }
    }
    Err(Error::io("examine", path, io::ErrorKind::NotFound.into()))
}

/// How many bytes are free at `path`.
fn available_bytes(path: &Path) -> Result<u64, Error> {
    Space::at(path).map(|space| space.free)
}

/// How much space a file system has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Space {
    /// How many bytes are free for whoever asks.
    pub(crate) free: u64,
    /// How many bytes there are.
    pub(crate) all: u64,
}

impl Space {
    /// That of the file system at `path`, which must be there.
    pub(crate) fn at(path: &Path) -> Result<Self, Error> {
        let found = rustix::fs::statvfs(path)
            .map_err(|errno| Error::io("measure the space at", path, errno.into()))?;
        let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
        Ok(Self { free: bytes(found.f_bavail), all: bytes(found.f_blocks) })
    }
}

/// How many bytes of its file system all that is at or below `path` takes.
pub(super) fn occupied_bytes(path: &Path) -> u64 {
    const BLOCK_BYTES: u64 = 512;
    let entries = WalkDir::new(path).into_iter().filter_map(Result::ok);
    let blocks = entries.filter_map(|entry| entry.metadata().ok()).map(|it| it.blocks());
    blocks.fold(0, u64::saturating_add).saturating_mul(BLOCK_BYTES)
}
