//! What is wrong with an installation, and its repair.
//!
//! [`Diagnosis::read`] looks at everything that can be looked at, also where
//! [`Client::open`](super::Client::open) refuses, and says all that it finds. It does not wait for the
//! lock, needs no server, and changes nothing. While another process has the lock, what that is just
//! making is passed over.
//!
//! [`Doctor::treat`] puts right what can be put right from what the vendor signed and from what the
//! installation itself proves. Nothing is guessed: what neither proves is said and left. Each repair may
//! be cut off at any instant; the next treatment goes on.
//!
//! | finding | is put right by |
//! |---|---|
//! | permissions, directories | what Mainstay gives them when it makes them |
//! | the journal | `current`, and trees that are what the vendor signed for their versions |
//! | a tree | the artifact that the vendor signed for the version |
//! | `current` | the journal, where the tree is intact |
//! | what is trusted | the repository, verified down from the pinned root |
//! | leftovers, unfinished changes | what every start does |
//! | settings, credential | people |

mod credential;
mod proof;
mod settings;
mod signed;
mod treatment;
mod trust;

use std::path::{Path, PathBuf};

use self::{signed::Signed, treatment::Care};
use super::{Connect, Enrolment, Progress, Surroundings, trust_store::TrustStore};
use crate::{
    clock::Clock,
    error::Error,
    fetch::{self, Cancellation, Retry},
    fs::LocalFileSystem,
    install::{self, Layout, Looking, Mending},
    tuf,
};

pub use crate::install::{Finding, Repair, What};

/// All that is wrong with an installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    /// Whose machine it is, where its settings can be read.
    pub enrolment: Option<Enrolment>,
    /// What is wrong, in the order in which it is put right.
    pub findings: Vec<Finding>,
}

/// What a treatment has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Treatment {
    /// What was tried, in this order.
    pub repairs: Vec<Tried>,
    /// What is (still) wrong.
    pub diagnosis: Diagnosis,
}

/// A repair that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    /// What was wrong.
    pub finding: Finding,
    /// What was done, or why it could not be, in a sentence.
    pub outcome: Result<String, String>,
}

impl Diagnosis {
    /// Looks through the installation at `root_dir`.
    ///
    /// # Errors
    ///
    /// [`NotEnrolled`](crate::error::ErrorKind::NotEnrolled) where there is none.
    pub fn read(root_dir: &Path) -> Result<Self, Error> {
        let layout = layout_of(root_dir)?;
        let limits = install::Limits::default();
        Ok(Self::of(&layout, Looking::Unlocked, &limits, tuf::Limits::DEFAULT))
    }

    fn of(
        layout: &Layout,
        looking: Looking,
        limits: &install::Limits,
        tuf_limits: tuf::Limits,
    ) -> Self {
        let enrolment = Enrolment::read(layout).ok();
        let mut findings = install::examine(layout, limits, looking);
        let mut beside = credential::examine_settings(layout);
        beside.extend(credential::examine_credential(layout));
        if let Some(enrolment) = &enrolment {
            beside.extend(credential::examine_enrolment(layout, enrolment));
            let store = TrustStore::new(layout.trust(), tuf_limits, Box::new(LocalFileSystem));
            beside.extend(trust::examine(&store, enrolment, tuf_limits));
        }
        install::add_news(&mut findings, beside);
        Self { enrolment, findings }
    }

    /// Whether nothing is wrong.
    pub fn is_well(&self) -> bool {
        self.findings.is_empty()
    }
}

/// An installation under treatment, locked for as long as this lives.
pub struct Doctor {
    mending: Mending,
    limits: install::Limits,
    tuf_limits: tuf::Limits,
    fetch_limits: fetch::Limits,
    retry: Retry,
    cancellation: Cancellation,
    clock: Clock,
    files: super::OpenFiles,
    connect: Option<Connect>,
}

impl Doctor {
    /// Takes the lock of the installation at `root_dir`, in whatever state that is.
    ///
    /// # Errors
    ///
    /// [`NotEnrolled`](crate::error::ErrorKind::NotEnrolled) where there is none,
    /// [`Locked`](crate::error::ErrorKind::Locked) where another process has the lock,
    /// [`Local`](crate::error::ErrorKind::Local) where the disk does not do what it must.
    pub fn open(root_dir: &Path) -> Result<Self, Error> {
        Self::open_within(root_dir, Surroundings::default())
    }

    /// [`Doctor::open`] within other surroundings.
    pub fn open_within(root_dir: &Path, surroundings: Surroundings) -> Result<Self, Error> {
        let Surroundings { connect, clock, retry, fetch_limits, tuf_limits, .. } = surroundings;
        let Surroundings { install_limits, cancellation, files, .. } = surroundings;
        let layout = layout_of(root_dir)?;
        let install_limits = match Enrolment::read(&layout) {
            Ok(enrolment) => enrolment.updates.within(enrolment.data.within(install_limits)),
            Err(_) => install_limits,
        };
        let mending = Mending::begin(layout, install_limits.clone(), files())?;
        Ok(Self {
            mending,
            limits: install_limits,
            tuf_limits,
            fetch_limits,
            retry,
            cancellation,
            clock,
            files,
            connect: Some(connect),
        })
    }

    /// Looks through the installation.
    pub fn diagnose(&self) -> Diagnosis {
        Diagnosis::of(self.mending.layout(), Looking::Locked, &self.limits, self.tuf_limits)
    }

    /// Puts right what can be put right. `announce` is told what is going to be done before it is
    /// done, again where one repair brings more to light; `progress` how far a download has come.
    pub fn treat(
        mut self,
        announce: &mut dyn FnMut(&[Finding]),
        progress: &mut dyn FnMut(Progress),
    ) -> Treatment {
        let mut repairs: Vec<Tried> = Vec::new();
        let mut care = Care::new();
        loop {
            let diagnosis = self.diagnose();
            let is_new = |finding: &&Finding| {
                let same = |it: &Tried| {
                    (it.finding.what, &it.finding.path) == (finding.what, &finding.path)
                };
                finding.repair.is_some() && !repairs.iter().any(same)
            };
            let planned: Vec<_> = diagnosis.findings.iter().filter(is_new).cloned().collect();
            if planned.is_empty() {
                return Treatment { repairs, diagnosis };
            }
            announce(&planned);
            for finding in planned {
                let outcome = self.repair(&mut care, &finding, progress);
                let outcome = outcome.map_err(|error| crate::error::with_sources(&error));
                repairs.push(Tried { finding, outcome });
            }
        }
    }
}

/// The layout of the installation at `root_dir`, if there is one: a wrong path must not be taken for one
/// that has lost everything.
fn layout_of(root_dir: &Path) -> Result<Layout, Error> {
    let root = std::path::absolute(root_dir).map_err(|error| Error::disk(root_dir, error))?;
    let layout = Layout::new(root);
    if std::fs::symlink_metadata(layout.private()).is_err() {
        let private: PathBuf = layout.private();
        return Err(Error::not_enrolled(format!("there is no `{}`", private.display())));
    }
    Ok(layout)
}
