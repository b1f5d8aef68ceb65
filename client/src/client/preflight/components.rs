use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use crate::{
    client::{Enrolment, files},
    error::Error,
    format::{ComponentName, Facts, Version},
    fs::LocalFileSystem,
    install::Layout,
};

/// The programs on a machine that releases may depend on, as installers and administrators have
/// told: a file for each in `.mainstay/components`, called like the program, that holds its version.
///
/// It takes no lock: each file is replaced as a whole, also while an agent is at work.
#[derive(Debug)]
pub struct Components {
    folder: PathBuf,
}

impl Components {
    const VERSION_BYTES_MAX: u64 = 128;

    /// Those of the installation at `root_dir`, which must be enrolled: a wrong path must not leave
    /// a folder.
    pub fn open(root_dir: &Path) -> Result<Self, Error> {
        let layout = Layout::new(root_dir);
        Enrolment::read(&layout)?;
        Ok(Self::of(&layout))
    }

    pub(super) fn of(layout: &Layout) -> Self {
        Self { folder: layout.private().join("components") }
    }

    /// All of them. A file that holds no version is passed over.
    pub fn all(&self) -> BTreeMap<ComponentName, Version> {
        let Ok(entries) = std::fs::read_dir(&self.folder) else { return BTreeMap::new() };
        let read = |entry: std::fs::DirEntry| {
            let name = entry.file_name().to_str()?.parse().ok()?;
            let bytes = files::read(&entry.path(), Self::VERSION_BYTES_MAX).ok()?;
            Some((name, str::from_utf8(&bytes).ok()?.trim().parse().ok()?))
        };
        entries.flatten().filter_map(read).collect()
    }

    /// Says durably that the program is there in that version.
    pub fn set(&self, name: &ComponentName, version: &Version) -> Result<(), Error> {
        let known = self.all();
        if known.len() >= Facts::COMPONENTS_MAX && !known.contains_key(name) {
            return Err(Error::input(format!(
                "{} components are set: expected at most {}; remove one first",
                known.len(),
                Facts::COMPONENTS_MAX
            )));
        }
        files::replace(
            &LocalFileSystem,
            &self.folder.join(name.as_str()),
            format!("{version}\n").as_bytes(),
        )
    }

    /// Says that the program is not there any more.
    pub fn remove(&self, name: &ComponentName) -> Result<(), Error> {
        files::remove(&LocalFileSystem, &self.folder.join(name.as_str()))
    }
}
