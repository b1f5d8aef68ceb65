mod archive;
mod attacks;
mod cancelling;
mod crash;
#[cfg(feature = "delta-make")]
mod deltas;
mod doctor;
mod flow;
mod healing;
mod history;
mod preflight;
mod room;
mod streaming;
mod updater;
pub(crate) mod vendor;

use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use tempfile::TempDir;

use self::vendor::{Direct, PRODUCT, Server, begin};
use super::*;
use crate::{format::Version, fs::FailingFileSystem, install::Moment};

/// A machine, its server, and the clock of both.
struct Machine {
    folder: TempDir,
    server: Arc<Mutex<Server>>,
    now: Arc<Mutex<Timestamp>>,
}

/// The moment at which a machine's clock says so, which nobody sets.
fn moment(wall: Timestamp) -> Moment {
    let uptime_seconds = wall.as_second().try_into().unwrap();
    Moment { wall, boot: "the first".to_owned(), uptime_seconds }
}

impl Machine {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            server: Arc::new(Mutex::new(Server::new(begin()))),
            now: Arc::new(Mutex::new(begin())),
        }
    }

    /// A machine that is enrolled.
    fn enrolled() -> Self {
        let machine = Self::new();
        machine.enroll(&machine.options()).unwrap();
        machine
    }

    /// A machine that runs `version`.
    fn running(version: &str) -> Self {
        let machine = Self::enrolled();
        machine.server().offer(version, &vendor::Particulars::default());
        machine.update().unwrap();
        machine.server().requests.clear();
        machine.server().events.clear();
        machine
    }

    fn server(&self) -> std::sync::MutexGuard<'_, Server> {
        self.server.lock().unwrap()
    }

    fn surroundings(&self) -> Surroundings {
        let (server, now) = (Arc::clone(&self.server), Arc::clone(&self.now));
        Surroundings {
            connect: Box::new(move |_| Ok(Box::new(Direct(server)))),
            clock: Box::new(move || moment(*now.lock().unwrap())),
            retry: Retry::AT_ONCE,
            ..Surroundings::default()
        }
    }

    /// The same on another file system.
    fn surroundings_on(&self, files: &FailingFileSystem) -> Surroundings {
        let files = files.clone();
        let files: OpenFiles = Box::new(move || Box::new(files.clone()));
        Surroundings { files, ..self.surroundings() }
    }

    fn options(&self) -> EnrollOptions {
        EnrollOptions {
            root_dir: self.folder.path().to_owned(),
            server_url: "https://updates.example.com".to_owned(),
            product: PRODUCT.parse().unwrap(),
            activation_key: "key-1".to_owned().into(),
            host: "db-1.example.com".to_owned(),
            ca_file: None,
            proxy: None,
            identity: Identity::Kept,
            root_sha256: None,
        }
    }

    fn enroll(&self, options: &EnrollOptions) -> Result<Enrolment, Error> {
        Client::enroll_within(options, self.surroundings())
    }

    fn client(&self) -> Client {
        Client::open_within(self.folder.path(), self.surroundings()).unwrap()
    }

    fn check(&self) -> Result<Check, Error> {
        self.client().check()
    }

    fn update(&self) -> Result<Update, Error> {
        self.client().update(&mut |_| {})
    }

    fn runs(&self) -> Option<Version> {
        self.client().status().recorded.record.running
    }

    fn pass(&self, seconds: i64) {
        let mut now = self.now.lock().unwrap();
        *now += jiff::SignedDuration::from_secs(seconds);
    }

    fn trust_file(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(".mainstay/trust").join(name)
    }
}
