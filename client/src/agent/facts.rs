//! The commands about what this machine is.

use std::path::Path;

use clap::Subcommand;

use super::{Document, Exit};
use crate::{
    client::{Components, MachineFacts},
    error::Error,
    format::{ComponentName, Version},
};

/// Say which other programs are on this machine, where releases depend on them
#[derive(Debug, Subcommand)]
pub(super) enum Component {
    /// Say that a program is there, and in which version
    Set {
        /// The program, as the vendor's releases call it
        name: ComponentName,
        /// Its version, as in 15.4.0
        #[arg(id = "component_version", value_name = "VERSION")]
        version: Version,
    },
    /// Say that a program is not there any more
    Remove {
        /// The program
        name: ComponentName,
    },
}

impl Component {
    pub(super) fn run(&self, root_dir: &Path) -> Result<(Document, Exit), Error> {
        let components = Components::open(root_dir)?;
        match self {
            Self::Set { name, version } => components.set(name, version)?,
            Self::Remove { name } => components.remove(name)?,
        }
        show(root_dir)
    }
}

/// What this machine is, as releases look at it.
pub(super) fn show(root_dir: &Path) -> Result<(Document, Exit), Error> {
    Ok((Document::of_facts(&MachineFacts::read(root_dir)?), Exit::Done))
}
