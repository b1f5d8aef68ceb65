//! The client: enrols a machine, checks for updates, carries out its plan, rolls back. How a program
//! updates itself with it is told at the [front of the crate](crate).
//!
//! | verb | needs the server | takes the lock | ended by a [`Cancellation`] |
//! |---|---|---|---|
//! | [`Client::open`] | no | yes, and has it from then on | no |
//! | [`Client::check`] | yes | has it | yes |
//! | [`Client::preflight`] | yes, for an update | has it | yes |
//! | [`Client::fetch`] | yes, for an update that is not here yet | has it | yes, also in the middle of a download |
//! | [`Client::apply`] | yes, for an update; for a rollback, where the version is not kept | has it | yes, until the installation begins |
//! | [`Client::update`] | yes: it is `check` and `apply` | has it | as these two |
//! | [`Client::confirm`] | no | has it | no |
//! | [`Client::roll_back`] | no, unless the kept tree was changed | has it | that download only |
//! | [`Client::status`] | no | has it | no |
//! | [`Status::read`] | no | **no**: works while another process is at work | no |
//! | [`Client::verify`], [`Client::unblock`], [`Client::approve`], [`Client::approve_collection`] | no | has it | no |
//! | [`Client::bundle`] | no | has it | no |
//! | [`Client::report`] | yes | has it | yes |
//! | [`Client::enroll`] | yes | for as long as it takes | yes |
//! | [`Diagnosis::read`](doctor::Diagnosis::read) | no | **no** | no |
//! | [`Doctor::treat`](doctor::Doctor::treat) | where something is to be fetched | has it | yes |
//!
//! Everything blocks until it is done, so an asynchronous program calls it from a thread of its own
//! (`spawn_blocking`). A [`Client`] may be sent to another thread, and is used by one at a time.
//! Whatever ends with an error leaves what ran running, and may be tried again.
//!
//! An update is installed only if the plan names it, **and** the product's repository lists it with
//! the same length and digest, **and** this machine's own rules allow it: never downwards but by an
//! order, never below the vendor-signed floor, never a version that failed here before.
//!
//! | part | what is there |
//! |---|---|
//! | [`Client`] | everything that can be done on an enrolled machine |
//! | [`Check`], [`Preflight`], [`Update`], [`GivenUp`] | what came of it |
//! | [`Status`], [`Offer`], [`History`] | what is known without asking anybody |
//! | [`ExpectedWay`], [`FetchedRelease`], [`Speeds`] | by which way a release comes here: by deltas, or by its artifact |
//! | [`Collection`], [`CollectionRequest`] | a support bundle that is asked for |
//! | [`EnrollOptions`], [`Identity`], [`Enrolment`] | how a machine becomes known, and as whom |
//! | [`PreflightSettings`], [`Components`] | what the administrator says of the machine |
//! | [`Updater`] | the TUF client by itself, for any repository of The Update Framework |
//! | [`settings`] | what the machine's administrator has set |
//! | [`doctor`] | what is wrong with an installation, and its repair |
//! | [`Surroundings`] | the server, the clock and the limits, which tests replace |

mod approval;
#[cfg(feature = "delta")]
mod by_delta;
mod check;
mod collect;
pub mod doctor;
mod enrolment;
mod files;
mod history;
mod manifest;
mod preflight;
mod refresh;
mod rollback;
mod room;
mod route;
mod rules;
pub mod settings;
mod stage;
mod status;
#[cfg(test)]
pub(crate) mod tests;
mod trust_store;
mod update;
mod updater;
mod ways;
#[cfg(not(feature = "delta"))]
mod without_delta;

use std::{cell::Cell, path::Path};

use jiff::Timestamp;

pub use check::Check;
pub use collect::{Collection, CollectionOutcome, CollectionRequest};
pub use enrolment::{EnrollOptions, Enrolment, Identity};
pub use history::{FetchedRelease, History, Incident};
pub use preflight::{Components, FactsReport, MachineFacts, Preflight, PreflightSettings};
pub use room::{GivenUp, Spare};
pub use route::Speeds;
pub use status::{Offer, Status};
pub use update::{Progress, Update};
pub use updater::Updater;
pub use ways::ExpectedWay;

use self::{history::HistoryFile, refresh::Refresh, trust_store::TrustStore};
use crate::{
    clock::{self, Clock},
    error::Error,
    fetch::{self, Cancellation, CertificateAuthority, HttpTransport, Remote, Retry, Transport},
    format::{
        Platform, Version,
        wire::{Event, ReportRequest},
    },
    fs::{FileSystem, LocalFileSystem},
    install::{self, Installation, Outcome, Verification},
    tuf,
};

/// Where a server is, and how it is reached.
#[derive(Clone, Copy, Debug)]
pub struct Address<'a> {
    /// Its address.
    pub server: &'a str,
    /// The certificates of the authorities that may have signed its own; absent for those of the
    /// public web.
    pub ca_file: Option<&'a Path>,
    /// The proxy on the way.
    pub proxy: Option<&'a str>,
}

/// Opens the way to a server.
pub type Connect = Box<dyn FnOnce(&Address<'_>) -> Result<Box<dyn Transport>, Error>>;

/// Opens the way to the disk.
pub type OpenFiles = Box<dyn Fn() -> Box<dyn FileSystem> + Send>;

/// What a client needs of the world around it.
pub struct Surroundings {
    /// The way to the server.
    pub connect: Connect,
    /// The time.
    pub clock: Clock,
    /// How often what fails is tried. A pause between two tries is not cut short.
    pub retry: Retry,
    /// How much fetching is willing to take.
    pub fetch_limits: fetch::Limits,
    /// How much metadata may be.
    pub tuf_limits: tuf::Limits,
    /// How much the install engine keeps, and how long it waits for another process.
    pub install_limits: install::Limits,
    /// By which another thread, or a signal's handler, ends what is being fetched: keep a clone.
    /// Once requested it stays so: to go on, open another client.
    pub cancellation: Cancellation,
    /// Opens the way to the disk.
    pub files: OpenFiles,
}

impl Surroundings {
    /// The real ones, HTTP and the machine's clock, with limits of the caller's choice.
    pub fn with_fetch_limits(fetch_limits: fetch::Limits) -> Self {
        Self {
            connect: Box::new(move |address| {
                let Address { server, ca_file, proxy } = *address;
                let authority = match ca_file {
                    Some(path) => CertificateAuthority::read(path)?,
                    None => CertificateAuthority::PublicWeb,
                };
                Ok(Box::new(HttpTransport::new(server, &authority, proxy, fetch_limits)?))
            }),
            clock: clock::system(),
            retry: Retry::DEFAULT,
            fetch_limits,
            tuf_limits: tuf::Limits::DEFAULT,
            install_limits: install::Limits::default(),
            cancellation: Cancellation::default(),
            files: Box::new(|| Box::new(LocalFileSystem)),
        }
    }
}

impl Default for Surroundings {
    /// The real ones: HTTP, and the machine's clock.
    fn default() -> Self {
        Self::with_fetch_limits(fetch::Limits::DEFAULT)
    }
}

/// An enrolled machine's installation, locked for as long as this lives.
///
/// Which of its verbs need the server, and which can be ended, says the [table](self).
pub struct Client {
    installation: Installation,
    enrolment: Enrolment,
    remote: Remote,
    store: TrustStore,
    history: HistoryFile,
    clock: Clock,
    limits: tuf::Limits,
    platform: Platform,
    /// What became of an update whose probation ended before the installation was opened.
    settled: Option<Outcome>,
    /// What was given up for want of space.
    given_up: Vec<GivenUp>,
    /// What was fetched to be installed, and by which way.
    fetched: Option<FetchedRelease>,
    /// How fast this machine and its line are.
    speeds: Cell<Speeds>,
}

impl Client {
    /// Makes the machine known to a server. Enrolling again, with the same key, is the same
    /// machine; a failure leaves the machine as it was. Needs the server; takes the lock while it
    /// lasts.
    ///
    /// # Errors
    ///
    /// [`Server`](crate::error::ErrorKind::Server) where the server refuses (the code says why),
    /// [`Trust`](crate::error::ErrorKind::Trust) with the code `digest` where its root is not the one
    /// that was told or pinned, [`Input`](crate::error::ErrorKind::Input) where the options make no sense,
    /// [`Locked`](crate::error::ErrorKind::Locked) as for [`Client::open`].
    pub fn enroll(options: &EnrollOptions) -> Result<Enrolment, Error> {
        Self::enroll_within(options, Surroundings::default())
    }

    /// [`Client::enroll`] within other surroundings.
    pub fn enroll_within(
        options: &EnrollOptions,
        surroundings: Surroundings,
    ) -> Result<Enrolment, Error> {
        enrolment::enroll(options, surroundings)
    }

    /// Opens the installation at `root_dir`, and mends what a crash left. Needs no server. Takes the
    /// lock, which is let go of when the client is dropped; whatever else works on the installation,
    /// agent or program, must wait until then.
    ///
    /// Does not wait for the lock: [`Client::open_within`] does, for as long as
    /// [`Limits::lock_wait`](install::Limits::lock_wait) says.
    ///
    /// # Errors
    ///
    /// [`NotEnrolled`](crate::error::ErrorKind::NotEnrolled) where the machine is not, or its settings
    /// cannot be read, [`Locked`](crate::error::ErrorKind::Locked) where another process has the lock,
    /// [`Local`](crate::error::ErrorKind::Local) where the disk does not do what it must.
    pub fn open(root_dir: &Path) -> Result<Self, Error> {
        Self::open_within(root_dir, Surroundings::default())
    }

    /// [`Client::open`] within other surroundings.
    pub fn open_within(root_dir: &Path, surroundings: Surroundings) -> Result<Self, Error> {
        let Surroundings { connect, clock, retry, fetch_limits, tuf_limits, .. } = surroundings;
        let Surroundings { install_limits, cancellation, files, .. } = surroundings;
        // Before the lock is taken, which makes the folder: a wrong path must not leave one.
        let enrolment = Enrolment::read(&crate::install::Layout::new(root_dir))?;
        let limits = enrolment.updates.within(enrolment.data.within(install_limits));
        let limits = enrolment.disk.within(limits);
        let fetch_limits = enrolment.network.within(fetch_limits);
        let installation = Installation::open_with(root_dir, &clock(), files(), limits)?;
        let token = Enrolment::read_token(installation.layout())?;
        let transport = connect(&enrolment.address())?;
        let settled = installation.recovery().and(installation.record().last_outcome.clone());
        let client = Self {
            settled: settled.filter(|outcome| matches!(outcome, Outcome::Undone { .. })),
            remote: Remote::new(transport, fetch_limits, retry)
                .with_token(token)
                .until(cancellation),
            store: TrustStore::new(installation.layout().trust(), tuf_limits, files()),
            given_up: Vec::new(),
            fetched: None,
            speeds: Cell::new(History::read(installation.layout()).speeds),
            history: HistoryFile::new(installation.layout(), files()),
            installation,
            enrolment,
            clock,
            limits: tuf_limits,
            platform: Platform::of_this_program(),
        };
        client.note_outcome(client.settled.as_ref());
        Ok(client)
    }

    /// Whose machine this is and where its updates come from.
    pub fn enrolment(&self) -> &Enrolment {
        &self.enrolment
    }

    /// The time of day.
    pub fn now(&self) -> Timestamp {
        (self.clock)().wall
    }

    /// The version that somebody at the machine has approved of, so that `mainstay-agent run` may
    /// install it.
    pub fn approved(&self) -> Option<Version> {
        approval::read(self.installation.layout())
    }

    /// Approves of a version, in place of the one approved of before.
    pub fn approve(&self, version: &Version) -> Result<(), Error> {
        approval::write(self.installation.layout(), version)
    }

    /// Says that the version on probation works: a program calls it once it has found so itself. Needs
    /// no server, which is told at the next [`check`](Client::check), [`apply`](Client::apply) or
    /// [`report`](Client::report).
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::error::ErrorKind::NotFound) where nothing is on probation: a program that
    /// confirms at each of its starts takes that for a yes.
    pub fn confirm(&mut self) -> Result<Outcome, Error> {
        Ok(self.installation.confirm()?)
    }

    /// Compares what runs with what was signed. Needs no server; reads every file of the tree.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::error::ErrorKind::NotFound) where nothing is installed. What differs is no
    /// error: [`Verification::is_intact`].
    pub fn verify(&self) -> Result<Verification, Error> {
        let Some(running) = self.installation.running() else {
            return Err(Error::not_found("nothing is installed: there is nothing to verify"));
        };
        Ok(self.installation.verify(running)?)
    }

    /// Lifts the block of a version that failed here or was left, so that it may be tried again, and
    /// tells the server so. Says whether there was one.
    pub fn unblock(&mut self, version: &Version) -> Result<bool, Error> {
        Ok(self.installation.unblock(version)?)
    }

    /// The release that was fetched to be installed since the installation was opened, and by which way.
    pub fn fetched(&self) -> Option<&FetchedRelease> {
        self.fetched.as_ref()
    }

    /// What opening the installation had to finish, undo or mend, in a sentence.
    pub fn recovery(&self) -> Option<&str> {
        self.installation.recovery()
    }

    /// Tells the server what happened since the last report. What it does not take is kept.
    /// [`check`](Client::check) and [`apply`](Client::apply) do so by themselves.
    pub fn report(&mut self) -> Result<(), Error> {
        loop {
            let events = self.installation.events();
            let events: Vec<Event> =
                events.iter().take(ReportRequest::EVENTS_MAX).cloned().collect();
            let Some(last) = events.last().map(|event| event.number) else { return Ok(()) };
            let product = self.enrolment.product.clone();
            let running = self.installation.running().cloned();
            self.remote.report(&ReportRequest { product, running, events })?;
            self.installation.delivered(last)?;
        }
    }

    fn refresh(&self) -> Refresh<'_> {
        Refresh {
            remote: &self.remote,
            product: &self.enrolment.product,
            store: &self.store,
            limits: self.limits,
        }
    }
}
