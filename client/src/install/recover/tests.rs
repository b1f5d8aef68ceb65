use std::collections::BTreeSet;

use super::*;
use crate::install::tests::release;
use crate::install::{
    AttemptKind,
    journal::{Content, Fault, Snapshot},
    record::Probation,
};

pub(in crate::install) fn version(text: &str) -> Version {
    text.parse().unwrap()
}

const OLD: &str = "1.0.0";
const NEW: &str = "1.1.0";
const OTHER: &str = "9.9.9";

/// Every journal that a change from `from` to [`NEW`] goes through.
pub(in crate::install) fn journals(from: Option<&str>) -> Vec<Journal> {
    let from = from.map(version);
    let attempt = release(NEW).attempt(AttemptKind::Update);
    let change = Change { from: from.clone(), attempt, run: String::new() };
    let switch = Switch { change: change.clone(), left: 1, brought: None };
    let undoing = |fault| {
        Stage::Undoing(Undoing { switch: switch.clone(), reason: "broken".to_owned(), fault })
    };
    let stages = [
        Stage::Idle,
        Stage::Fetched(change.clone()),
        Stage::Staged(change.clone()),
        Stage::Preparing(change),
        Stage::Switching(switch.clone()),
        Stage::Probation(switch.clone()),
        undoing(Fault::Release),
        undoing(Fault::Machine),
        undoing(Fault::NotNow),
    ];
    let journal = |stage: Stage| {
        let mut journal = Journal { stage, snapshots_made: 1, ..Journal::default() };
        journal.record.running.clone_from(&from);
        journal.record.trees = from.iter().map(|from| release(&from.to_string()).kept()).collect();
        if !matches!(journal.stage, Stage::Idle | Stage::Fetched(_)) {
            journal.record.trees.push(release(NEW).kept());
        }
        if matches!(journal.stage, Stage::Switching(_) | Stage::Probation(_) | Stage::Undoing(_)) {
            let content = Content::Directory;
            let (version, others) = (from.clone(), Vec::new());
            journal.snapshots = vec![Snapshot { number: 1, version, content, others, epoch: None }];
        }
        if matches!(journal.stage, Stage::Probation(_)) {
            journal.record.running = Some(version(NEW));
            journal.record.probation = Some(Probation {
                version: version(NEW),
                from: from.clone(),
                deadline: jiff::Timestamp::MAX,
                watch: None,
            });
        }
        journal
    };
    stages.map(journal).into()
}

/// Everything that can be found on a disk.
pub(in crate::install) fn observations() -> Vec<Observed> {
    let versions = [OLD, NEW, OTHER].map(version);
    let mut currents = vec![Current::Nothing, Current::Elsewhere, Current::Obstructed];
    currents.extend(versions.iter().cloned().map(Current::Version));
    let mut observations = Vec::new();
    for current in currents {
        for subset in 0..1 << versions.len() {
            let trees = versions.iter().enumerate().filter(|(bit, _)| subset & (1 << bit) != 0);
            let trees = trees.map(|(_, version)| version.clone()).collect::<BTreeSet<_>>();
            observations.push(Observed { current: current.clone(), trees });
        }
    }
    observations
}

/// What has to run after a recovery; an error where it must stop.
pub(in crate::install) fn expected(
    journal: &Journal,
    observed: &Observed,
    from: Option<&Version>,
) -> Result<Option<Version>, ()> {
    let new = version(NEW);
    let new_is_there = observed.trees.contains(&new);
    let old_is_there = from.is_none_or(|from| observed.trees.contains(from));
    let old = from.filter(|_| old_is_there).cloned();
    if observed.current == Current::Obstructed {
        return Err(());
    }
    let may_go_on = matches!(journal.stage, Stage::Switching(_) | Stage::Undoing(_))
        && !old_is_there
        || matches!(journal.stage, Stage::Probation(_));
    Ok(match &journal.stage {
        Stage::Idle if from.is_none() && observed.current != Current::Nothing => return Err(()),
        _ if may_go_on && new_is_there => Some(new),
        _ => old,
    })
}

#[test]
fn every_state_of_journal_and_disk_ends_in_the_old_version_or_the_new_one() {
    let mut cases = 0;
    for from in [None, Some(OLD)] {
        let old = from.map(version);
        let often = |mut journal: Journal| {
            journal.recoveries = Limits::default().recoveries_max;
            journal
        };
        for journal in journals(from).into_iter().chain(journals(from).into_iter().map(often)) {
            for observed in observations() {
                let action = recover(&journal, &observed, &Limits::default());
                let gives_up = action == Action::UndoWithoutData;
                assert!(!gives_up || journal.recoveries > 0, "{action:?}");
                assert!(action != Action::Undo || journal.recoveries == 0, "{action:?}");
                let runs = match action {
                    Action::Stop => Err(()),
                    Action::Keep => Ok(match &observed.current {
                        Current::Version(version) => Some(version.clone()),
                        _ => None,
                    }),
                    Action::Point => Ok(journal.record.running.clone()),
                    Action::Abandon | Action::Undo | Action::UndoWithoutData => Ok(old.clone()),
                    Action::Finish => Ok(Some(version(NEW))),
                    Action::Forget => Ok(None),
                };
                let case = format!("{:?} with {observed:?}: {action:?}", journal.stage);
                assert_eq!(runs, expected(&journal, &observed, old.as_ref()), "{case}");
                if let Ok(Some(version)) = runs {
                    assert!(observed.trees.contains(&version), "{case}");
                }
                cases += 1;
            }
        }
    }
    assert_eq!(cases, 2 * 2 * 9 * 6 * 8);
}

#[test]
fn an_interrupted_switch_is_undone_and_a_probation_survives() {
    let trees = [OLD, NEW].map(version).into();
    let observed = Observed { current: Current::Version(version(NEW)), trees };
    let limits = Limits::default();
    let actions = journals(Some(OLD)).into_iter();
    let actions = actions.map(|journal| recover(&journal, &observed, &limits)).collect();
    let expected = vec![
        Action::Point,
        Action::Abandon,
        Action::Abandon,
        Action::Abandon,
        Action::Undo,
        Action::Keep,
        Action::Undo,
        Action::Undo,
        Action::Undo,
    ];
    assert_eq!(expected, {
        let found: Vec<Action> = actions;
        found
    });
}
