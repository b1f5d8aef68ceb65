use std::{fs, io, path::Path};

use super::{
    Layout, Limits,
    error::{Error, Reason},
    journal::{Change, Draft, Fault, Journal, Stage, Stopped, Switch, Undoing, shorten},
    observed::{Current, Observed},
    record::{AttemptKind, Block, Outcome},
    retain,
    script::{Occasion, Place, Verdict},
    settle::DataFate,
    stage::StagedTree,
};
use crate::{
    format::{
        Version,
        wire::{EventKind, Fetched},
    },
    fs::FileSystem,
};

/// What the engine works with, and the steps that transitions and recovery share.
#[derive(Debug)]
pub(super) struct Engine {
    pub(super) layout: Layout,
    pub(super) limits: Limits,
    pub(super) files: Box<dyn FileSystem>,
    /// As it is on the disk.
    pub(super) journal: Journal,
    /// The tree that waits to be put in its place. After a crash nobody knows of it.
    pub(super) staged: Option<StagedTree>,
    /// By which way the payload of the present attempt came here. After a crash nobody knows of it.
    pub(super) fetched: Option<Fetched>,
}

impl Engine {
    /// One durable journal write: `change` is made in memory only once it is on the disk.
    pub(super) fn write(&mut self, change: impl FnOnce(&mut Journal)) -> Result<(), Error> {
        let mut next = self.journal.clone();
        change(&mut next);
        next.write(&*self.files, &self.layout)?;
        self.journal = next;
        Ok(())
    }

    /// Lets `current` point to `version`, or removes it, in one durable step.
    pub(super) fn point(&self, version: Option<&Version>) -> Result<(), Error> {
        let (link, staged) = (self.layout.current(), self.layout.staged_link());
        let found = Current::of(&self.layout)?;
        match version {
            None => self.remove(&link)?,
            Some(version) if found == Current::Version(version.clone()) => {}
            Some(version) => {
                let refused = |source| Error::io("switch", &link, source);
                self.remove(&staged)?;
                self.files
                    .symlink(&Layout::link_target(version), &staged)
                    .and_then(|()| self.files.rename(&staged, &link))
                    .map_err(refused)?;
            }
        }
        self.sync_directory(self.layout.root())
    }

    /// The last transition of a change that worked.
    pub(super) fn commit(&mut self, switch: &Switch, said: &str) -> Result<Outcome, Error> {
        let observed = Observed::of(&self.layout)?;
        let (limits, fetched) = (self.limits.clone(), self.fetched.clone());
        let Switch { change: Change { from, attempt, .. }, .. } = switch;
        let to = attempt.version.clone();
        let outcome = match (&attempt.kind, from) {
            (AttemptKind::Rollback { .. } | AttemptKind::LocalRollback, Some(from)) => {
                Outcome::RolledBack { from: from.clone(), to: to.clone() }
            }
            _ => Outcome::Committed { from: from.clone(), to: to.clone() },
        };
        self.write(|journal| {
            let was_on_probation = journal.record.probation.take().is_some();
            journal.record.data_epoch = journal.epoch_after(switch);
            journal.settled();
            let record = &mut journal.record;
            record.running = Some(to.clone());
            record.raise_floor(attempt.floor.as_ref());
            record.confirmed.retain(|version| *version != to);
            record.confirmed.push(to.clone());
            let surplus = record.confirmed.len().saturating_sub(limits.history_kept);
            record.confirmed.drain(..surplus);
            record.last_outcome = Some(outcome.clone());
            let draft = |kind| Draft {
                kind,
                from: from.as_ref(),
                to: &to,
                order: attempt.kind.order(),
                detail: "",
            };
            if let Outcome::RolledBack { from, .. } = &outcome {
                let detail = attempt.kind.reason();
                journal.block(from, &detail, &limits);
                journal.record.blocked.retain(|block| block.version != to);
                journal.queue(&Draft { detail: &detail, ..draft(EventKind::RolledBack) }, &limits);
            } else {
                if !was_on_probation {
                    let installed = draft(EventKind::Installed);
                    journal.queue(&Draft { detail: said, ..installed }, &limits);
                    journal.tell_fetched(&to, fetched);
                }
                journal.queue(&draft(EventKind::Confirmed), &limits);
            }
            journal.record.trees = retain::trees(&journal.record, &observed.trees, &limits);
            journal.snapshots = retain::snapshots(&journal.record, &journal.snapshots, &limits);
        })?;
        self.sweep();
        Ok(outcome)
    }

    /// From now on what ran before is being brought back; `stopped` is remembered.
    pub(super) fn begin_undoing(
        &mut self,
        undoing: &Undoing,
        stopped: Option<Stopped>,
    ) -> Result<(), Error> {
        self.write(|journal| {
            journal.stage = Stage::Undoing(undoing.clone());
            journal.record.probation = None;
            journal.stopped = stopped;
        })
    }

    /// Brings back what ran before, and the data as they were unless that was cut off too often.
    pub(super) fn undo(&mut self, undoing: Undoing, fate: DataFate) -> Result<Outcome, Error> {
        if self.journal.stage != Stage::Undoing(undoing.clone()) {
            let stopped = self.journal.stopped.clone();
            self.begin_undoing(&undoing, stopped)?;
        }
        let Undoing { switch: Switch { change, left, .. }, mut reason, mut fault } = undoing;
        // Data before `current`: the newer release has seen the older data before, and the older
        // release has never seen the newer data.
        match fate {
            DataFate::Restored => self.restore_data(left)?,
            DataFate::LaidAside => {
                self.lay_aside(left)?;
                fault = Fault::Release;
                reason = format!(
                    "{reason}; to undo it was cut off {} times, so the data are as it left them, \
                     and the copy from before is `{}`",
                    self.limits.recoveries_max,
                    self.layout.unrestored(left).display()
                );
            }
        }
        self.point(change.from.as_ref())?;
        let left = self.journal.snapshot(left).cloned();
        // Neither may what cut it off so often cut it off once more.
        if fate == DataFate::Restored {
            reason = self.resume(&change, reason);
        }
        let epoch = match fate {
            DataFate::Restored => left.and_then(|left| left.epoch),
            DataFate::LaidAside => None,
        };
        self.end(&change, &reason, fault, epoch)
    }

    /// Gives up a change of which nothing has been made but the tree.
    pub(super) fn abort(
        &mut self,
        change: &Change,
        reason: String,
        fault: Fault,
    ) -> Result<Outcome, Error> {
        let reason = self.resume(change, reason);
        let epoch = self.journal.record.data_epoch;
        self.end(change, &reason, fault, epoch)
    }

    /// The last transition of a change that came to nothing, with the data in `epoch`.
    fn end(
        &mut self,
        change: &Change,
        reason: &str,
        fault: Fault,
        epoch: Option<u32>,
    ) -> Result<Outcome, Error> {
        let Change { from, attempt, .. } = change;
        let observed = Observed::of(&self.layout)?;
        let limits = self.limits.clone();
        let (version, reason) = (attempt.version.clone(), reason.to_owned());
        let outcome = match fault {
            Fault::NotNow => {
                Outcome::Deferred { version, running: from.clone(), reason: reason.clone() }
            }
            Fault::Release | Fault::Machine => {
                Outcome::Undone { from: version, to: from.clone(), reason: reason.clone() }
            }
        };
        self.write(|journal| {
            let stopped = journal.stopped.take();
            journal.settled();
            journal.record.running.clone_from(from);
            journal.record.data_epoch = epoch;
            journal.record.last_outcome = Some(outcome.clone());
            if fault == Fault::Machine {
                journal.stopped = stopped;
            }
            if fault == Fault::Release {
                if !attempt.kind.is_rollback() {
                    journal.block(&attempt.version, &reason, &limits);
                }
                journal.record.trees = retain::trees(&journal.record, &observed.trees, &limits);
            }
            journal.snapshots = retain::snapshots(&journal.record, &journal.snapshots, &limits);
            let draft = Draft {
                kind: match fault {
                    Fault::Release => EventKind::Undone,
                    Fault::Machine => EventKind::Interrupted,
                    Fault::NotNow => EventKind::Deferred,
                },
                from: from.as_ref(),
                to: &attempt.version,
                order: attempt.kind.order(),
                detail: &reason,
            };
            journal.queue(&draft, &limits);
        })?;
        self.sweep();
        Ok(outcome)
    }

    /// Where the programs of `version` run, in the attempt called `run`.
    pub(super) fn place<'a>(
        &'a self,
        version: &'a Version,
        previous: Option<&'a Version>,
        run: &'a str,
    ) -> Place<'a> {
        Place {
            layout: &self.layout,
            version,
            previous,
            data: self.data_lines(),
            run,
            output_bytes_max: self.limits.output_bytes_max,
        }
    }

    /// Runs the hook of what runs again, which the change may have stopped. What goes wrong with
    /// that is added to `reason`: there is no way back from the way back.
    pub(super) fn resume(&self, change: &Change, reason: String) -> String {
        let tree = change.from.as_ref().and_then(|from| self.journal.record.kept_tree(from));
        let Some(tree) = tree else { return reason };
        let Some(hook) = &tree.artifact.hooks.after else { return reason };
        let place = self.place(&tree.version, Some(&change.attempt.version), &change.run);
        match place.run(Occasion::After, &hook.command, hook.timeout_seconds) {
            Verdict::Passed(_) => reason,
            Verdict::NotNow(trouble) | Verdict::Failed(trouble) => {
                format!("{reason}; and then, as {} ran again, {trouble}", tree.version)
            }
        }
    }

    /// Removes what no journal entry names: unfinished work, discarded trees and old snapshots.
    ///
    /// A failure is no concern of whoever asked for something else; the next sweep tries again.
    pub(super) fn sweep(&self) {
        let _ = self.try_sweep();
    }

    fn try_sweep(&self) -> Result<(), Error> {
        for entry in entries(&self.layout.versions())? {
            let version = entry.file_name().to_str().and_then(|name| name.parse::<Version>().ok());
            if version.is_some_and(|version| !self.journal.names(&version)) {
                self.discard(&entry.path())?;
            }
        }
        for entry in entries(&self.layout.snapshots())? {
            if !self.journal.names_snapshot(&entry.file_name().to_string_lossy()) {
                self.remove(&entry.path())?;
            }
        }
        let waits = self.staged.as_ref().map(|tree| self.layout.staged_tree(&tree.version));
        for directory in [self.layout.staging(), self.layout.trash()] {
            for entry in entries(&directory)? {
                if waits.as_ref() != Some(&entry.path()) {
                    self.remove(&entry.path())?;
                }
            }
        }
        self.remove(&self.layout.staged_journal())
    }

    /// Takes `path` out of its place in one step; the next sweep removes it.
    pub(super) fn discard(&self, path: &Path) -> Result<(), Error> {
        let Some(name) = path.file_name().filter(|_| fs::symlink_metadata(path).is_ok()) else {
            return Ok(());
        };
        let discarded = self.layout.trash().join(name);
        self.remove(&discarded)?;
        self.files
            .rename(path, &discarded)
            .map_err(|source| Error::io("move to the trash", path, source))
    }

    /// Removes whatever is at `path`.
    pub(super) fn remove(&self, path: &Path) -> Result<(), Error> {
        let removed = match fs::symlink_metadata(path) {
            Ok(metadata) if metadata.is_dir() => self.files.remove_tree(path),
            Ok(_) => self.files.remove_file(path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        };
        removed.map_err(|source| Error::io("remove", path, source))
    }

    pub(super) fn sync_directory(&self, path: &Path) -> Result<(), Error> {
        self.files.sync_directory(path).map_err(|source| Error::io("make durable", path, source))
    }

    pub(super) fn sync_tree(&self, path: &Path) -> Result<(), Error> {
        self.files
            .sync_tree(path)
            .map_err(|source| Reason::Sync { path: path.to_owned(), source }.into())
    }
}

impl Journal {
    /// Nothing is going on any more.
    fn settled(&mut self) {
        self.stage = Stage::Idle;
        self.recoveries = 0;
        self.stopped = None;
        self.given_up = None;
    }

    fn block(&mut self, version: &Version, reason: &str, limits: &Limits) {
        let blocked = &mut self.record.blocked;
        blocked.retain(|block| block.version != *version);
        blocked.push(Block { version: version.clone(), reason: shorten(reason) });
        let surplus = blocked.len().saturating_sub(limits.history_kept);
        blocked.drain(..surplus);
    }
}

/// What is in `directory`. What a link in its place leads to is somebody else's, and not to be swept.
fn entries(directory: &Path) -> Result<Vec<fs::DirEntry>, Error> {
    if fs::symlink_metadata(directory).is_ok_and(|metadata| metadata.is_symlink()) {
        return Ok(Vec::new());
    }
    fs::read_dir(directory)
        .and_then(Iterator::collect)
        .map_err(|source| Error::io("list", directory, source))
}

pub(super) fn describe(version: Option<&Version>) -> String {
    version.map_or_else(|| "nothing".to_owned(), |version| format!("version {version}"))
}

pub(super) fn told(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Undone { from, to, reason } => {
            format!("version {from} was undone ({reason}); {} runs again", describe(to.as_ref()))
        }
        Outcome::Deferred { version, running, reason } => {
            let runs = describe(running.as_ref());
            format!("version {version} is to be tried again later ({reason}); {runs} runs")
        }
        Outcome::Committed { to, .. }
        | Outcome::Probation { to, .. }
        | Outcome::RolledBack { to, .. } => format!("version {to} runs"),
    }
}
