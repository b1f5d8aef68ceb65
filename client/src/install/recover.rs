use super::{
    Limits,
    journal::{Change, Journal, Stage, Switch, Undoing},
    observed::{Current, Observed},
};
use crate::format::Version;

/// What brings the disk and the journal back together, after a crash as after a failure.
///
/// Each of these can itself be interrupted and is then done again from its beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Nothing: they agree.
    Keep,
    /// Let `current` point to the running version again.
    Point,
    /// Forget the attempt: nothing but the new tree was made.
    Abandon,
    /// Bring back data and `current` of what ran before.
    Undo,
    /// Bring back `current` of what ran before and lay its data aside: to bring the data back was
    /// cut off too often.
    UndoWithoutData,
    /// Complete the switch, for what ran before has no tree any more.
    Finish,
    /// Say that nothing runs, for no version that could has a tree any more.
    Forget,
    /// Touch nothing, for `current` is not what Mainstay made it.
    Stop,
}

impl Action {
    /// Whether it takes more than one step, so that it may be cut off between two.
    pub(super) fn takes_steps(&self) -> bool {
        matches!(self, Self::Abandon | Self::Undo | Self::UndoWithoutData | Self::Finish)
    }
}

/// Decides what a recovery does. After every action but [`Action::Stop`] the version that ran
/// before runs, or the new one, whole; or nothing does, where both trees are gone or there were
/// none.
pub(super) fn recover(journal: &Journal, observed: &Observed, limits: &Limits) -> Action {
    if observed.current == Current::Obstructed {
        return Action::Stop;
    }
    let has_tree = |version: &Version| observed.trees.contains(version);
    let back_or_on = |change: &Change| {
        if change.from.as_ref().is_none_or(has_tree) {
            if journal.recoveries < limits.recoveries_max {
                Action::Undo
            } else {
                Action::UndoWithoutData
            }
        } else if has_tree(&change.attempt.version) {
            Action::Finish
        } else {
            Action::Forget
        }
    };
    match &journal.stage {
        Stage::Idle => match &journal.record.running {
            None if observed.current == Current::Nothing => Action::Keep,
            None => Action::Stop,
            Some(running) => keep_running(running, observed),
        },
        Stage::Fetched(change) | Stage::Staged(change) | Stage::Preparing(change) => {
            if change.from.as_ref().is_none_or(has_tree) { Action::Abandon } else { Action::Forget }
        }
        Stage::Switching(Switch { change, .. }) => back_or_on(change),
        Stage::Undoing(Undoing { switch, .. }) => back_or_on(&switch.change),
        Stage::Probation(Switch { change, .. }) => {
            if has_tree(&change.attempt.version) {
                keep_running(&change.attempt.version, observed)
            } else {
                back_or_on(change)
            }
        }
    }
}

fn keep_running(running: &Version, observed: &Observed) -> Action {
    if !observed.trees.contains(running) {
        Action::Forget
    } else if observed.current == Current::Version(running.clone()) {
        Action::Keep
    } else {
        Action::Point
    }
}

#[cfg(test)]
pub(in crate::install) mod tests;
