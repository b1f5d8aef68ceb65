//! What a recovery decides, carried out.

use super::{
    Limits,
    engine::{Engine, describe, told},
    error::{Error, Reason},
    journal::{Change, Draft, Fault, GivenUp, Journal, Stage, Stopped, Switch, Undoing, shorten},
    observed::{Current, Observed},
    orphans,
    record::Attempt,
    recover::{Action, recover},
};
use crate::format::{Version, wire::EventKind};

/// Why disk and journal may not agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause<'a> {
    /// The process or the machine stopped.
    Stopped,
    /// What was being done failed.
    Failed(&'a str),
}

impl Cause<'_> {
    fn as_str(&self) -> &str {
        match self {
            Self::Stopped => "it was interrupted",
            Self::Failed(why) => why,
        }
    }
}

/// What becomes of the data when a change is undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DataFate {
    /// They are again what they were before the change.
    Restored,
    /// They stay as they are, and the copy from before is laid aside: to put it back was cut off
    /// too often.
    LaidAside,
}

/// Whom an interrupted switch of `version` is blamed on, and what is remembered of it: where the
/// machine stops each time that a version is switched on, that version is not tried for ever.
pub(super) fn blame(
    journal: &Journal,
    version: &Version,
    cause: Cause<'_>,
    limits: &Limits,
) -> (Fault, Option<Stopped>) {
    let known = journal.stopped.as_ref().filter(|stopped| stopped.version == *version);
    if cause != Cause::Stopped {
        return (Fault::Machine, journal.stopped.clone());
    }
    let times = known.map_or(0, |stopped| stopped.times).saturating_add(1);
    if times >= limits.interruptions_max {
        return (Fault::Release, None);
    }
    (Fault::Machine, Some(Stopped { version: version.clone(), times }))
}

impl Engine {
    /// Brings disk and journal together, for `cause`, and says what that took.
    pub(super) fn settle(&mut self, cause: Cause<'_>) -> Result<Option<String>, Error> {
        let left_over = match (cause, self.journal.run()) {
            (Cause::Stopped, Some(run)) => orphans::end(run),
            _ => 0,
        };
        let observed = Observed::of(&self.layout)?;
        let action = recover(&self.journal, &observed, &self.limits);
        if action == Action::Keep {
            self.sweep();
            return Ok(None);
        }
        let counts = cause == Cause::Stopped && action.takes_steps();
        if counts {
            self.write(|journal| journal.recoveries = journal.recoveries.saturating_add(1))?;
        }
        let settled = self.carry_out(action, &observed, cause);
        if counts && settled.is_err() {
            // It was not cut off. Where even this cannot be written, it counts.
            let _ = self.write(|journal| journal.recoveries = journal.recoveries.saturating_sub(1));
        }
        self.sweep();
        settled.map(|said| match left_over {
            0 => Some(said),
            _ => Some(format!("{said}; {left_over} of its processes were left over and ended")),
        })
    }

    fn carry_out(
        &mut self,
        action: Action,
        observed: &Observed,
        cause: Cause<'_>,
    ) -> Result<String, Error> {
        let fate = if action == Action::UndoWithoutData {
            DataFate::LaidAside
        } else {
            DataFate::Restored
        };
        match (action, self.journal.stage.clone()) {
            (Action::Stop, _) => Err(self.obstructed(&observed.current)),
            (Action::Forget, _) => self.forget(observed),
            (Action::Abandon, Stage::Preparing(change)) => {
                self.abandon(&change, &self.resume(&change, cause.as_str().to_owned()))
            }
            (Action::Abandon, Stage::Fetched(change) | Stage::Staged(change)) => {
                self.abandon(&change, cause.as_str())
            }
            (Action::Undo | Action::UndoWithoutData, Stage::Switching(switch)) => {
                self.undo_switch(switch, cause, fate)
            }
            (Action::Undo | Action::UndoWithoutData, Stage::Probation(switch)) => {
                let reason = cause.as_str().to_owned();
                let undoing = Undoing { switch, reason, fault: Fault::Machine };
                Ok(told(&self.undo(undoing, fate)?))
            }
            (Action::Undo | Action::UndoWithoutData, Stage::Undoing(undoing)) => {
                Ok(told(&self.undo(undoing, fate)?))
            }
            (
                Action::Finish,
                Stage::Switching(switch)
                | Stage::Probation(switch)
                | Stage::Undoing(Undoing { switch, .. }),
            ) => self.finish(&switch),
            // What is left is `Point`: recovery names each of the others for these stages only.
            (_, _) => {
                let running = self.journal.record.running.clone();
                self.point(running.as_ref())?;
                let running = describe(running.as_ref());
                Ok(format!("`current` did not point to {running}, which should run; now it does"))
            }
        }
    }

    fn undo_switch(
        &mut self,
        switch: Switch,
        cause: Cause<'_>,
        fate: DataFate,
    ) -> Result<String, Error> {
        let version = &switch.change.attempt.version;
        let (fault, stopped) = blame(&self.journal, version, cause, &self.limits);
        let reason = match fault {
            Fault::Machine | Fault::NotNow => cause.as_str().to_owned(),
            Fault::Release => format!(
                "the machine stopped {} times in a row while it was switched on",
                self.limits.interruptions_max
            ),
        };
        let undoing = Undoing { switch, reason, fault };
        self.begin_undoing(&undoing, stopped)?;
        Ok(told(&self.undo(undoing, fate)?))
    }

    fn obstructed(&self, found: &Current) -> Error {
        let found = match found {
            Current::Obstructed => "not a symbolic link",
            _ => "a link although the journal says that nothing runs",
        };
        let expected = "the link that Mainstay makes";
        Reason::Obstructed { path: self.layout.current(), found, expected }.into()
    }

    fn forget(&mut self, observed: &Observed) -> Result<String, Error> {
        let lost = self.journal.record.running.clone();
        self.point(None)?;
        let said = format!(
            "the tree of {}, which should run, is gone; nothing runs until an update",
            describe(lost.as_ref())
        );
        let limits = self.limits.clone();
        self.write(|journal| {
            journal.stage = Stage::Idle;
            journal.recoveries = 0;
            journal.record.running = None;
            journal.record.probation = None;
            journal.record.trees.retain(|tree| observed.trees.contains(&tree.version));
            if let Some(lost) = &lost {
                journal.queue(&Draft::about(EventKind::Lost, lost, &said), &limits);
            }
        })?;
        Ok(said)
    }

    fn abandon(&mut self, change: &Change, cause: &str) -> Result<String, Error> {
        self.point(change.from.as_ref())?;
        let Change { from, attempt, .. } = change;
        let limits = self.limits.clone();
        self.write(|journal| {
            journal.stage = Stage::Idle;
            journal.recoveries = 0;
            journal.give_up(attempt, from.as_ref(), cause, &limits);
        })?;
        let version = &attempt.version;
        let from = describe(from.as_ref());
        Ok(format!("the installation of {version} was given up ({cause}); {from} runs"))
    }

    /// Notes that an attempt came to nothing before anything was changed.
    pub(super) fn give_up(&mut self, attempt: &Attempt, cause: &str) -> Result<(), Error> {
        let (from, limits) = (self.journal.record.running.clone(), self.limits.clone());
        self.write(|journal| journal.give_up(attempt, from.as_ref(), cause, &limits))
    }

    fn finish(&mut self, switch: &Switch) -> Result<String, Error> {
        if let Some(brought) = switch.brought {
            self.restore_data(brought)?;
        }
        self.point(Some(&switch.change.attempt.version))?;
        self.commit(switch, "")?;
        let (version, from) = (&switch.change.attempt.version, &switch.change.from);
        let from = describe(from.as_ref());
        Ok(format!("{version} runs, for the tree of {from}, which ran before, is gone"))
    }
}

impl Journal {
    /// Queues the event that an attempt was given up, unless it is what was told of last.
    fn give_up(&mut self, attempt: &Attempt, from: Option<&Version>, cause: &str, limits: &Limits) {
        let given_up = GivenUp { version: attempt.version.clone(), cause: shorten(cause) };
        if self.given_up.as_ref() != Some(&given_up) {
            let draft = Draft {
                kind: EventKind::Interrupted,
                from,
                to: &attempt.version,
                order: attempt.kind.order(),
                detail: &given_up.cause,
            };
            self.queue(&draft, limits);
        }
        self.given_up = Some(given_up);
    }
}
