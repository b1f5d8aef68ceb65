use std::path::Path;

use super::{Client, Enrolment, trust_store::TrustStore};
use crate::{
    error::Error,
    format::Plan,
    fs::LocalFileSystem,
    install::{Layout, Limits, Recorded},
    tuf,
};

/// What is known about a machine without asking anybody.
#[derive(Clone, Debug)]
pub struct Status {
    /// Whose machine it is and where its updates come from.
    pub enrolment: Enrolment,
    /// What runs, what ran, what is kept, blocked and on probation, and what is going on.
    pub recorded: Recorded,
    /// The newest plan that was verified.
    pub plan: Option<Plan>,
}

impl Status {
    /// Reads what is known about the installation at `root_dir`. It takes no lock, so it works while
    /// another process is at work there, and changes and mends nothing. Needs no server.
    ///
    /// # Errors
    ///
    /// [`NotEnrolled`](crate::error::ErrorKind::NotEnrolled) where the machine is not.
    pub fn read(root_dir: &Path) -> Result<Self, Error> {
        let (layout, files) = (Layout::new(root_dir), Box::new(LocalFileSystem));
        Ok(Self {
            enrolment: Enrolment::read(&layout)?,
            recorded: Recorded::read(&layout, &Limits::default())?,
            plan: TrustStore::new(layout.trust(), tuf::Limits::DEFAULT, files).plan(),
        })
    }
}

impl Client {
    /// What is known without asking anybody. Whoever has not opened the installation reads it with
    /// [`Status::read`].
    pub fn status(&self) -> Status {
        Status {
            enrolment: self.enrolment.clone(),
            recorded: self.installation.recorded(),
            plan: self.store.plan(),
        }
    }
}
