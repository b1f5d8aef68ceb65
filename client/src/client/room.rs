//! Room for what is to be installed: how much is missing, where, and what is given up for it.

use std::path::PathBuf;

use super::{Client, files, update::Wanted};
use crate::{
    error::Error,
    fetch::others,
    format::{Missing, Version},
    fs::LocalFileSystem,
    install::{Room, room::device},
};

/// Something that was given up for want of space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenUp {
    /// What.
    pub what: Spare,
    /// How many bytes it took, as the file system counts them.
    pub bytes: u64,
}

/// Something that an installation can do without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spare {
    /// What has arrived of an artifact that is not wanted any more.
    Download {
        /// Where it is.
        path: PathBuf,
    },
    /// A kept version that is not the way back.
    Version {
        /// The version.
        version: Version,
    },
}

/// Where the tree of what is to be installed comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// It is kept, as far as is known before it is compared with what was signed.
    Kept,
    /// It is fetched and unpacked, for which at most so many bytes are written into the cache.
    Fetched { cache_bytes: u64 },
}

impl Client {
    /// What was given up for want of space since the installation was opened.
    pub fn given_up(&self) -> &[GivenUp] {
        &self.given_up
    }

    /// Where the tree of `wanted` comes from, unless that is kept and turns out to have been changed.
    pub(super) fn origin(&self, wanted: &Wanted) -> Origin {
        if self.installation.has_tree(&wanted.version) {
            return Origin::Kept;
        }
        // Where there is room for one way only, that one is taken.
        let ways = self.ways(wanted).into_iter().map(|way| self.cache_bytes(wanted, way));
        Origin::Fetched { cache_bytes: ways.min().unwrap_or(0) }
    }

    /// The space that `wanted` needs, of each file system that it is written to. What is here already
    /// takes no more. What a release asks for besides is asked for by updates alone.
    pub(super) fn rooms(&self, wanted: &Wanted, origin: Origin) -> Result<Vec<Room>, Error> {
        let artifact = &wanted.artifact;
        let (download, payload) = match origin {
            Origin::Kept => (0, 0),
            Origin::Fetched { cache_bytes } => (cache_bytes, artifact.payload_length),
        };
        let extra = if wanted.kind.is_rollback() { 0 } else { artifact.requires.free_bytes };
        Ok(self.installation.rooms(download, payload, extra)?)
    }

    /// What could be given up for `wanted`, in the order in which it is.
    pub(super) fn spares(&self, wanted: &Wanted) -> Vec<GivenUp> {
        let cache = self.installation.layout().cache();
        let downloads = others(&cache, &wanted.files());
        let downloads = downloads.into_iter().map(|path| GivenUp {
            bytes: path.metadata().map_or(0, |file| file.len()),
            what: Spare::Download { path },
        });
        let versions = self.installation.spare_versions(&wanted.version).into_iter();
        let versions = versions.map(|version| {
            let bytes = self.installation.occupied_by(&version);
            GivenUp { what: Spare::Version { version }, bytes }
        });
        downloads.chain(versions).collect()
    }

    /// Gives up what `wanted` needs the space of, where that suffices, and no more than that.
    pub(super) fn make_room(&mut self, wanted: &Wanted, origin: Origin) -> Result<(), Error> {
        let rooms = self.rooms(wanted, origin)?;
        let is_short = rooms.iter().any(|room| room.lack() > 0);
        if !is_short || !self.lack_of_space(&rooms, &self.spares(wanted)).is_empty() {
            return Ok(());
        }
        let before = self.given_up.len();
        let made = self.give_up_for(wanted, origin);
        let given_up = self.given_up.iter().skip(before);
        let said: Vec<_> = given_up.map(GivenUp::to_string).collect();
        if !said.is_empty() {
            self.installation.note_given_up(&wanted.version, &said.join("; "))?;
        }
        made
    }

    fn give_up_for(&mut self, wanted: &Wanted, origin: Origin) -> Result<(), Error> {
        for spare in self.spares(wanted) {
            let rooms = self.rooms(wanted, origin)?;
            let device = self.device(&spare);
            if rooms.iter().any(|room| room.lack() > 0 && Some(room.device) == device) {
                self.give_up(&spare.what)?;
                self.given_up.push(spare);
            }
        }
        Ok(())
    }

    fn give_up(&mut self, spare: &Spare) -> Result<(), Error> {
        match spare {
            Spare::Download { path } => files::remove(&LocalFileSystem, path),
            Spare::Version { version } => Ok(self.installation.give_up(version)?),
        }
    }

    /// The space that is missing for `wanted` even when all of `spares` is given up.
    pub(super) fn lack_of_space(&self, rooms: &[Room], spares: &[GivenUp]) -> Vec<Missing> {
        let spare = |room: &Room| {
            let there = spares.iter().filter(|it| self.device(it) == Some(room.device));
            there.map(|it| it.bytes).fold(0, u64::saturating_add)
        };
        rooms.iter().filter(|room| room.lack() > spare(room)).map(missing).collect()
    }

    fn device(&self, spare: &GivenUp) -> Option<u64> {
        match &spare.what {
            Spare::Download { path } => device(path),
            Spare::Version { version } => device(&self.installation.layout().tree(version)),
        }
    }
}

fn missing(room: &Room) -> Missing {
    Missing::Space {
        required: room.needed,
        found: room.available,
        path: room.path.display().to_string(),
    }
}

impl std::fmt::Display for GivenUp {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let bytes = self.bytes;
        match &self.what {
            Spare::Download { .. } => {
                write!(formatter, "a download that is not wanted any more ({bytes} bytes)")
            }
            Spare::Version { version } => {
                write!(formatter, "the kept version {version} ({bytes} bytes)")
            }
        }
    }
}
