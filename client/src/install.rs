//! The install engine: puts a release in its place, and takes it out again when it does not work.
//!
//! ```text
//! idle ─> fetched ─> staged ─> preparing ─> switching ─> probation ─> committed
//!            └──────────┴──────────┴────────────┴────────────┴──────> undone
//! ```
//!
//! Each arrow is one durable write of the journal. Whenever the machine stops, the next
//! [`Installation::open`] ends in exactly the old version or the new one; nothing half-written is
//! ever seen through `current` or `data`. Everything that changes the disk goes through
//! [`FileSystem`], and time comes in as an argument.
//!
//! # The program's data
//!
//! The directory `data`, and those that [`Limits::data_directories`] names, are copied before every
//! switch, and the copy is remembered as *the data as they were under the version that was left*. An update that fails brings it back. A rollback to
//! a version brings back the newest copy that was taken when that version was left, after it
//! copied the present data in their turn. The engine does not stop the program: the
//! release's hook before the switch does, or whoever calls the engine.
//!
//! # Health
//!
//! See [`HealthCheck`](crate::format::HealthCheck) and [`Hooks`](crate::format::Hooks). The time to
//! confirm starts when the check has passed. It is the time that the machine runs: neither a clock
//! that is set nor the time that it is off counts ([`Watch`]).

mod data;
mod engine;
mod epoch;
mod error;
mod examine;
mod finding;
mod give_up;
mod journal;
mod layout;
mod limits;
mod live;
mod lock;
mod mend;
mod moment;
mod note;
mod observed;
mod old_tree;
mod orphans;
mod permissions;
mod record;
mod recover;
mod retain;
mod retry;
pub(crate) mod room;
pub(crate) mod script;
mod settle;
mod stage;

#[cfg(test)]
mod tests;

use std::{
    io::{self, Read},
    path::Path,
};

pub(crate) use examine::{Looking, examine};
pub(crate) use finding::add_news;
pub(crate) use mend::{Mending, Proven};
pub(crate) use permissions::unreadable;

pub use error::{Error, ErrorKind};
pub use finding::{Finding, Repair, What};
pub use layout::Layout;
pub use limits::Limits;
pub use moment::{Moment, Watch};
pub use record::{
    Attempt, AttemptKind, Block, KeptTree, Outcome, Probation, Record, Recorded, StageName,
    Verification,
};
pub use room::Room;

use self::{
    engine::Engine,
    error::Reason,
    journal::{Change, Draft, Journal, shorten},
    live::{Checked, Prepared},
    lock::Lock,
    observed::{Current, Observed},
    settle::Cause,
};
use crate::{
    format::{
        Version,
        wire::{Event, EventKind, Fetched},
    },
    fs::{FileSystem, LocalFileSystem},
    hex,
};

/// An installation, locked for as long as this lives.
#[derive(Debug)]
pub struct Installation {
    engine: Engine,
    recovery: Option<String>,
    _lock: Lock,
}

impl Installation {
    /// Opens the installation at `root`.
    ///
    /// Creates what is missing, takes the lock, and finishes or undoes what a crash interrupted
    /// and a probation whose deadline has passed.
    pub fn open(root: &Path, now: &Moment) -> Result<Self, Error> {
        Self::open_with(root, now, Box::new(LocalFileSystem), Limits::default())
    }

    /// As [`open`](Self::open), on another file system or within other limits.
    pub fn open_with(
        root: &Path,
        now: &Moment,
        files: Box<dyn FileSystem>,
        limits: Limits,
    ) -> Result<Self, Error> {
        // The health check runs in another working directory.
        let root = std::path::absolute(root)
            .map_err(|source| Error::io("find the absolute path of", root, source))?;
        let layout = Layout::new(root);
        prepare(&layout, &*files)?;
        let lock = Lock::take(&layout.lock(), limits.lock_wait)?;
        let journal = match Journal::read(&layout, &limits)? {
            Some(journal) => journal,
            None => new_journal(&layout)?,
        };
        let mut engine = Engine { layout, limits, files, journal, staged: None, fetched: None };
        let settled = engine.settle(Cause::Stopped)?;
        let ended = end_probation(&mut engine, now)?.as_ref().map(engine::told);
        let recovery = [settled, ended].into_iter().flatten().collect::<Vec<_>>().join("; ");
        let recovery = (!recovery.is_empty()).then_some(recovery);
        Ok(Self { engine, recovery, _lock: lock })
    }

    /// Where everything is.
    pub fn layout(&self) -> &Layout {
        &self.engine.layout
    }

    /// What [`open`](Self::open) had to finish, undo or mend, in a sentence.
    pub fn recovery(&self) -> Option<&str> {
        self.recovery.as_deref()
    }

    /// What `current` points to.
    pub fn running(&self) -> Option<&Version> {
        self.record().running.as_ref()
    }

    /// History and present.
    pub fn record(&self) -> &Record {
        &self.engine.journal.record
    }

    /// What the journal says.
    pub fn recorded(&self) -> Recorded {
        Recorded::of(&self.engine.journal, self.layout())
    }

    /// Whether a complete tree of `version` is kept.
    pub fn has_tree(&self, version: &Version) -> bool {
        self.record().kept_tree(version).is_some() && self.layout().tree(version).is_dir()
    }

    /// Unpacks `payload` beside the versions, so that [`install`](Self::install) of the same attempt
    /// needs none. Nothing else changes, and nothing of the tree is seen, or durable, before that. It
    /// waits for as long as this installation is open.
    ///
    /// `payload` is read on another thread, and may still be arriving. Where it breaks off, or is not
    /// the one that was signed, nothing of it stays.
    pub fn stage(
        &mut self,
        attempt: &Attempt,
        payload: &mut (dyn Read + Send),
    ) -> Result<(), Error> {
        self.engine.settle(Cause::Failed("it had failed"))?;
        self.expect_allowed(attempt)?;
        self.engine.stage(&attempt.version, &attempt.artifact, payload)
    }

    /// Queues the event that `attempt` came to nothing for `error`, with which [`stage`](Self::stage)
    /// has ended. That a payload broke off is no end of an attempt, and is not told.
    ///
    /// Whoever stages says so, once it is known that nothing but what was signed had arrived: until
    /// then the error may be the way's and not the release's.
    pub fn note_unstaged(&mut self, attempt: &Attempt, error: &Error) {
        if error.kind() != ErrorKind::Transfer {
            // That it failed is worth more than that this could not be written.
            let _ = self.engine.give_up(attempt, &sentence(error));
        }
    }

    /// Lets `attempt.version` run.
    ///
    /// With no payload the tree is used that [`stage`](Self::stage) made, or else the kept one, where
    /// nothing has changed in it since it was known to be what was signed, or after it was compared
    /// with that; where it differs the error is [`ErrorKind::TreeModified`], and where there is none
    /// [`ErrorKind::NotInstalled`]. `now` is asked once, when the time to confirm starts. A
    /// rollback during a probation undoes that first. After an error what ran before runs, or
    /// [`open`](Self::open) brings it back.
    pub fn install(
        &mut self,
        attempt: Attempt,
        payload: Option<&mut (dyn Read + Send)>,
        now: &dyn Fn() -> Moment,
    ) -> Result<Outcome, Error> {
        let result = self.install_staged(attempt, payload, now);
        if self.engine.staged.take().is_some() {
            self.engine.sweep();
        }
        self.engine.fetched = None;
        result
    }

    /// Lets the event that the next attempt was installed tell by which way its payload came here.
    pub fn note_fetched(&mut self, fetched: Fetched) {
        self.engine.fetched = Some(fetched);
    }

    fn install_staged(
        &mut self,
        attempt: Attempt,
        payload: Option<&mut (dyn Read + Send)>,
        now: &dyn Fn() -> Moment,
    ) -> Result<Outcome, Error> {
        self.engine.settle(Cause::Failed("it had failed"))?;
        self.expect_allowed(&attempt)?;
        if attempt.kind.is_rollback() && self.record().probation.is_some() {
            let undone = self.undo(&attempt.kind.reason())?;
            if let Outcome::Undone { from, to: Some(to), .. } = undone
                && to == attempt.version
            {
                return self.note_rolled_back(&attempt, &from);
            }
            // What runs now may be below where the order leads.
            self.expect_allowed(&attempt)?;
        }
        if let Some(payload) = payload {
            let staged = self.stage(&attempt, payload);
            staged.inspect_err(|error| self.note_unstaged(&attempt, error))?;
        }
        let (from, run) = (self.running().cloned(), run_name()?);
        let result = change(&mut self.engine, Change { from, attempt, run }, now);
        if let Err(error) = &result {
            // Where this fails too, the next call or the next `open` tries again.
            let _ = self.engine.settle(Cause::Failed(&sentence(error)));
        }
        result
    }

    /// Confirms the version that is on probation.
    pub fn confirm(&mut self) -> Result<Outcome, Error> {
        self.engine.on_probation()?.commit()
    }

    /// Undoes a probation whose deadline has passed. [`open`](Self::open) has done so already.
    pub fn end_probation(&mut self, now: &Moment) -> Result<Option<Outcome>, Error> {
        end_probation(&mut self.engine, now)
    }

    /// Undoes the version that is on probation and, if it was an update, blocks it.
    pub fn undo(&mut self, reason: &str) -> Result<Outcome, Error> {
        self.engine.on_probation()?.undo(reason)
    }

    /// Compares a kept tree with what was signed.
    pub fn verify(&self, version: &Version) -> Result<Verification, Error> {
        self.engine.verify(version)
    }

    /// Raises the rollback floor; it never falls.
    pub fn raise_floor(&mut self, floor: &Version) -> Result<(), Error> {
        if self.record().floor.as_ref() >= Some(floor) {
            return Ok(());
        }
        self.engine.write(|journal| journal.record.raise_floor(Some(floor)))
    }

    /// Lifts the block of a version, so that an update may install it again, and queues the event
    /// that it was lifted. Says whether there was one.
    pub fn unblock(&mut self, version: &Version) -> Result<bool, Error> {
        let Some(block) = self.record().block(version).cloned() else { return Ok(false) };
        let limits = self.engine.limits.clone();
        self.engine.write(|journal| {
            journal.record.blocked.retain(|block| block.version != *version);
            journal.retries.forgive(version);
            let detail = format!("blocked until now: {}", block.reason);
            journal.queue(&Draft::about(EventKind::Unblocked, version, &detail), &limits);
        })?;
        Ok(true)
    }

    /// Queues the event that the machine would not do what its plan said. The same refusal is not
    /// queued twice in a row, however often the plan is repeated. `order` is the order that the
    /// machine will never carry out, where there is one.
    pub fn note_refusal(
        &mut self,
        to: &Version,
        order: Option<u64>,
        detail: &str,
    ) -> Result<(), Error> {
        let detail = shorten(detail);
        let is_same = |event: &Event| {
            (event.kind, &event.to, event.order, &event.detail)
                == (EventKind::Refused, to, order, &detail)
        };
        if self.events().last().is_some_and(is_same) {
            return Ok(());
        }
        let (from, limits) = (self.running().cloned(), self.engine.limits.clone());
        let kind = EventKind::Refused;
        self.engine.write(|journal| {
            let draft = Draft { kind, from: from.as_ref(), to, order, detail: &detail };
            journal.queue(&draft, &limits);
        })
    }

    /// The events that are not yet delivered, the oldest first.
    pub fn events(&self) -> &[Event] {
        &self.engine.journal.events
    }

    /// Forgets the events up to number `through`.
    pub fn delivered(&mut self, through: u64) -> Result<(), Error> {
        if self.events().first().is_none_or(|event| event.number > through) {
            return Ok(());
        }
        self.engine.write(|journal| journal.events.retain(|event| event.number > through))
    }

    /// Checks that [`install`](Self::install) may let `attempt.version` run: that it leads where it
    /// says, not below the floor, to nothing that is blocked, and to a release that could read the
    /// data.
    pub fn expect_allowed(&self, attempt: &Attempt) -> Result<(), Error> {
        let (record, version) = (self.record(), &attempt.version);
        if let Some(floor) = record.floor.as_ref().filter(|floor| version < *floor) {
            let (version, floor) = (version.clone(), floor.clone());
            return Err(Reason::BelowFloor { version, floor }.into());
        }
        let running = record.running.as_ref();
        let (leads_there, expected) = if attempt.kind.is_rollback() {
            (running.is_some_and(|running| version < running), "a rollback to lead downwards")
        } else {
            (running.is_none_or(|running| version > running), "an update to lead upwards")
        };
        if !leads_there {
            let running = running.map_or_else(|| "nothing".to_owned(), Version::to_string);
            let version = version.clone();
            return Err(Reason::WrongDirection { version, running, expected }.into());
        }
        match record.block(version) {
            Some(block) if !attempt.kind.is_rollback() => {
                let Block { version, reason } = block.clone();
                Err(Reason::Blocked { version, reason }.into())
            }
            _ => self.engine.journal.expect_readable(attempt),
        }
    }

    /// A rollback that was carried out by undoing a probation.
    fn note_rolled_back(&mut self, attempt: &Attempt, from: &Version) -> Result<Outcome, Error> {
        let (to, limits) = (attempt.version.clone(), self.engine.limits.clone());
        let outcome = Outcome::RolledBack { from: from.clone(), to: to.clone() };
        let last = outcome.clone();
        self.engine.write(|journal| {
            journal.record.last_outcome = Some(last);
            let draft = Draft {
                kind: EventKind::RolledBack,
                from: Some(from),
                to: &to,
                order: attempt.kind.order(),
                detail: &attempt.kind.reason(),
            };
            journal.queue(&draft, &limits);
        })?;
        Ok(outcome)
    }
}

/// From idle to committed, on probation or undone.
fn change(engine: &mut Engine, change: Change, now: &dyn Fn() -> Moment) -> Result<Outcome, Error> {
    let ready = match engine.idle()?.fetch(change)?.stage()?.prepare()? {
        Prepared::Ready(ready) => ready,
        Prepared::Halted(halted, trouble) => return halted.abort(trouble),
    };
    match ready.switch()?.check() {
        Checked::Failed(switching, trouble) => switching.give_up(trouble),
        Checked::Healthy(healthy) => match healthy.confirm_within() {
            None => healthy.commit(),
            Some(seconds) => healthy.prove(seconds, &now()),
        },
    }
}

/// A name that no other attempt has.
fn run_name() -> Result<String, Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| Reason::NoRandomness { what: error.to_string() })?;
    Ok(hex::encode(&bytes))
}

/// Looks how much of a probation is over, and undoes what was not confirmed in time.
fn end_probation(engine: &mut Engine, now: &Moment) -> Result<Option<Outcome>, Error> {
    let Some(before) = engine.journal.record.probation.clone() else { return Ok(None) };
    let probation = before.at(now);
    if let Some(reason) = probation.overdue(&engine.limits) {
        return engine.on_probation()?.undo(&reason).map(Some);
    }
    if probation.watch != before.watch {
        engine.write(|journal| journal.record.probation = Some(probation))?;
    }
    Ok(None)
}

/// Creates the directories that the engine works in.
fn prepare(layout: &Layout, files: &dyn FileSystem) -> Result<(), Error> {
    let root = layout.root();
    std::fs::create_dir_all(root).map_err(|source| Error::io("create", root, source))?;
    let directories = layout.directories();
    let missing = directories.iter().filter(|(path, _)| !path.is_dir()).collect::<Vec<_>>();
    for (path, mode) in &missing {
        match files.create_directory(path, *mode) {
            // Another process did so just now; one of the two will get the lock.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
            result => result.map_err(|source| Error::io("create", path, source))?,
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    for path in root.parent().into_iter().chain([root]) {
        files.sync_directory(path).map_err(|source| Error::io("make durable", path, source))?;
    }
    Ok(())
}

/// The journal of an installation that has none, if it is a new one.
fn new_journal(layout: &Layout) -> Result<Journal, Error> {
    let observed = Observed::of(layout)?;
    let found = if observed.current != Current::Nothing {
        layout.current()
    } else if let Some(version) = observed.trees.first() {
        layout.tree(version)
    } else {
        return Ok(Journal::default());
    };
    Err(Reason::JournalMissing { path: layout.journal(), found }.into())
}

/// An error with its causes.
fn sentence(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
