use std::{collections::BTreeSet, fs, io};

use super::{Layout, error::Error};
use crate::format::Version;

/// What is on the disk, as far as a recovery has to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Observed {
    pub(super) current: Current,
    /// The versions that have a tree.
    pub(super) trees: BTreeSet<Version>,
}

/// What stands at `current`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Current {
    Nothing,
    /// The link that says that the version runs.
    Version(Version),
    /// A link of somebody else's making.
    Elsewhere,
    /// Something that is no link.
    Obstructed,
}

impl Observed {
    pub(super) fn of(layout: &Layout) -> Result<Self, Error> {
        Ok(Self { current: Current::of(layout)?, trees: trees(layout)? })
    }
}

impl Current {
    pub(super) fn of(layout: &Layout) -> Result<Self, Error> {
        let path = layout.current();
        match fs::read_link(&path) {
            Ok(target) => {
                let version = target
                    .file_name()
                    .and_then(|name| name.to_str()?.parse::<Version>().ok())
                    .filter(|version| Layout::link_target(version) == target);
                Ok(version.map_or(Self::Elsewhere, Self::Version))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::Nothing),
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(Self::Obstructed),
            Err(source) => Err(Error::io("read the link", path, source)),
        }
    }
}

/// The versions that have a directory below `versions`. Only whole trees are ever renamed to
/// there, so each of these was whole.
fn trees(layout: &Layout) -> Result<BTreeSet<Version>, Error> {
    let path = layout.versions();
    let refused = |source| Error::io("list", &path, source);
    let entries = match fs::read_dir(&path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        Err(source) => return Err(refused(source)),
    };
    let mut trees = BTreeSet::new();
    for entry in entries {
        let entry = entry.map_err(refused)?;
        let version = entry.file_name().to_str().and_then(|name| name.parse::<Version>().ok());
        if entry.file_type().map_err(refused)?.is_dir() {
            trees.extend(version);
        }
    }
    Ok(trees)
}
