use std::{
    path::Path,
    sync::{Mutex, MutexGuard, TryLockError},
    time::Duration,
};

use mainstay_client::{
    client::{Check, Client, Progress, Status, Surroundings},
    document::{self, Answer, Document, Exit},
    error::Error,
    fetch::Cancellation,
    format::Version,
    install::Limits,
};

/// Why a verb was not carried out.
#[derive(Debug)]
pub enum Refused {
    /// What was passed was not understood, or not now; this is why.
    Usage(&'static str),
    /// The client could not.
    Failed(Error),
    /// The library is at fault, now or earlier.
    Panicked,
}

impl Refused {
    /// What is told of it.
    pub fn answer(&self) -> Answer {
        match self {
            Self::Usage(why) => (Document::of_usage(why), Exit::Usage),
            Self::Failed(error) => document::failed(error),
            Self::Panicked => {
                let told = Document {
                    outcome: "error",
                    code: Some("panic".to_owned()),
                    kind: Some("panic"),
                    message: Some("a fault of the library's own: close the client".to_owned()),
                    retryable: Some(false),
                    ..Document::default()
                };
                (told, Exit::Other)
            }
        }
    }
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// A client in the hands of C: `mainstay_client`. Any thread may use it, and one does at a time.
pub struct Session {
    cancellation: Cancellation,
    work: Mutex<Work>,
}

struct Work {
    client: Client,
    /// What the last check has found, until it is applied.
    check: Option<Check>,
}

impl Session {
    /// Opens the installation at `root`, waiting so long for its lock.
    pub fn open(root: &Path, lock_wait: Duration) -> Result<Self, Refused> {
        let cancellation = Cancellation::default();
        let surroundings = Surroundings {
            install_limits: Limits { lock_wait, ..Limits::default() },
            cancellation: cancellation.clone(),
            ..Surroundings::default()
        };
        let client = Client::open_within(root, surroundings)?;
        Ok(Self { cancellation, work: Mutex::new(Work { client, check: None }) })
    }

    /// Checks, and keeps what was found for [`Session::fetch`] and [`Session::apply`].
    pub fn check(&self) -> Result<Answer, Refused> {
        let mut work = self.work()?;
        work.check = None;
        let check = work.client.check()?;
        let preflight = work.client.preflight(&check)?;
        let answer = document::checked(&work.client, &check, &preflight);
        work.check = Some(check);
        Ok(answer)
    }

    /// Downloads what was found.
    pub fn fetch(&self, show: &mut dyn FnMut(Progress)) -> Result<Answer, Refused> {
        let mut work = self.work()?;
        let Work { client, check } = &mut *work;
        let check = check.as_ref().ok_or(Refused::Usage(UNCHECKED))?;
        let preflight = client.fetch(check, show)?;
        Ok(document::fetched(client, check, &preflight))
    }

    /// Does what was found.
    pub fn apply(&self, show: &mut dyn FnMut(Progress)) -> Result<Answer, Refused> {
        let mut work = self.work()?;
        let check = work.check.take().ok_or(Refused::Usage(UNCHECKED))?;
        let update = work.client.apply(check, show)?;
        Ok(document::updated(&work.client, update))
    }

    /// Checks, and does what was found.
    pub fn update(&self, show: &mut dyn FnMut(Progress)) -> Result<Answer, Refused> {
        let mut work = self.work()?;
        work.check = None;
        let update = work.client.update(show)?;
        Ok(document::updated(&work.client, update))
    }

    /// Says that the version on probation works.
    pub fn confirm(&self) -> Result<Answer, Refused> {
        let mut work = self.work()?;
        let outcome = work.client.confirm();
        Ok(document::confirmed(&work.client, outcome)?)
    }

    /// Goes back to the version that `to` spells, or to the one before.
    pub fn roll_back(
        &self,
        to: Option<&str>,
        show: &mut dyn FnMut(Progress),
    ) -> Result<Answer, Refused> {
        let unreadable = Refused::Usage("version: expected one as in 2.4.1, or NULL");
        let to: Option<Version> = to.map(str::parse).transpose().map_err(|_| unreadable)?;
        let mut work = self.work()?;
        work.check = None;
        let outcome = work.client.roll_back(to.as_ref(), show)?;
        Ok(document::rolled_back(&work.client, &outcome))
    }

    /// Ends what is being fetched. One atomic store, and nothing else: a signal's handler may do it.
    pub fn cancel(&self) {
        self.cancellation.request();
    }

    /// Refuses while a verb is being carried out.
    pub fn expect_idle(&self) -> Result<(), Refused> {
        match self.work() {
            // What panicked is not at work any more.
            Ok(_) | Err(Refused::Panicked) => Ok(()),
            Err(refused) => Err(refused),
        }
    }

    fn work(&self) -> Result<MutexGuard<'_, Work>, Refused> {
        match self.work.try_lock() {
            Ok(work) => Ok(work),
            Err(TryLockError::WouldBlock) => {
                Err(Refused::Usage("another function is at work on this client: wait for it"))
            }
            Err(TryLockError::Poisoned(_)) => Err(Refused::Panicked),
        }
    }
}

const UNCHECKED: &str = "nothing has been found that could be done: expected mainstay_check before";

/// What is known about the machine of the installation at `root`.
pub(crate) fn status(root: &Path) -> Result<Answer, Refused> {
    Ok(document::shown(&Status::read(root)?))
}
