//! The states of a change as types: each transition takes the state it leaves and gives the one
//! it enters, so that an order other than this does not compile.
//!
//! ```text
//! Idle ─fetch─> Fetched ─stage─> Staged ─prepare─┬─> Ready ─switch─> Switching
//!                                                └─> Halted ─abort─> undone
//! Switching ─check─┬─> Healthy ─┬───────────────────> committed
//!                  │            └─prove─> OnProbation ─┬─> committed
//!                  └─give_up─> undone                  └─undo─> undone
//! ```
//!
//! Every transition is one durable journal write. A change that fails on its way is left to
//! `Engine::settle`, as one that was interrupted is.

use std::path::Path;

use super::{
    Moment, Watch,
    engine::Engine,
    error::{Error, Reason},
    journal::{Change, Draft, Fault, Stage, Switch, Undoing},
    old_tree::changed_names,
    record::{AttemptKind, KeptTree, Outcome, Probation, Verification, later},
    retain,
    script::{Occasion, Verdict},
    settle::DataFate,
    stage::StagedTree,
};
use crate::{
    clock,
    format::{Artifact, Version, wire::EventKind},
    pack::{self, FileTime, PackedTree, PayloadIdentity, Seal, TreePlan},
};

/// A change in the state `S`.
pub(super) struct Live<'a, S> {
    engine: &'a mut Engine,
    state: S,
}

/// Nothing is going on.
pub(super) struct Idle;
/// The change is decided and its tree is here.
pub(super) struct Fetched(Change);
/// The tree is in its place.
pub(super) struct Staged(Change);
/// The hook before the switch passed, or there is none.
pub(super) struct Ready {
    change: Change,
    said: String,
}
/// The hook before the switch did not pass.
pub(super) struct Halted(Change);
/// The new version is switched on and nothing is known about it.
pub(super) struct Switching {
    switch: Switch,
    said: String,
}
/// The new version passed its health check, or has none.
pub(super) struct Healthy {
    switch: Switch,
    said: String,
}
/// The new version runs and is to be confirmed.
pub(super) struct OnProbation(Switch);

impl Engine {
    /// The engine with nothing going on; an error where a version is on probation.
    pub(super) fn idle(&mut self) -> Result<Live<'_, Idle>, Error> {
        match &self.journal.record.probation {
            Some(Probation { version, deadline, .. }) => {
                let (version, deadline) = (version.clone(), *deadline);
                Err(Reason::OnProbation { version, deadline }.into())
            }
            None => Ok(Live { engine: self, state: Idle }),
        }
    }

    /// The change that is on probation.
    pub(super) fn on_probation(&mut self) -> Result<Live<'_, OnProbation>, Error> {
        match &self.journal.stage {
            Stage::Probation(switch) => {
                let state = OnProbation(switch.clone());
                Ok(Live { engine: self, state })
            }
            _ => Err(Reason::NoProbation.into()),
        }
    }

    /// What the kept tree of `version` packs to, beside what was signed. Every byte is read,
    /// whatever its seal says.
    pub(super) fn verify(&self, version: &Version) -> Result<Verification, Error> {
        let KeptTree { artifact, .. } = self.kept_tree(version)?;
        let found = self.scan(version).and_then(|plan| self.repack(version, &plan))?;
        Ok(Verification {
            version: version.clone(),
            expected_length: artifact.payload_length,
            expected_sha256: artifact.payload_sha256,
            found_length: found.length,
            found_sha256: found.sha256,
        })
    }

    /// Expects the kept tree of `version` to be the one that `artifact` unpacks to, and gives its
    /// seal. One whose seal is intact is not read.
    pub(super) fn expect_tree(
        &self,
        version: &Version,
        artifact: &Artifact,
    ) -> Result<(TreePlan, Option<Seal>), Error> {
        let kept = self.kept_tree(version)?;
        let signed = PayloadIdentity::from(artifact);
        let is_signed = PayloadIdentity::from(&kept.artifact) == signed;
        // The journal was written there just now.
        let now = file_time(&self.layout.private())?;
        let plan = self.scan(version)?;
        if is_signed && kept.seal == Some(plan.seal()) {
            return Ok((plan, kept.seal));
        }
        let found = self.repack(version, &plan)?;
        if is_signed && found == signed {
            let seal = plan.lasting_seal(now);
            return Ok((plan, seal));
        }
        Err(Reason::TreeModified {
            path: self.layout.tree(version),
            expected_length: artifact.payload_length,
            expected: artifact.payload_sha256,
            found_length: found.length,
            found: found.sha256,
            changed: changed_names(
                &self.layout,
                self.journal.record.running.as_ref(),
                version,
                &plan,
            ),
        }
        .into())
    }

    /// The archive that `plan`, which is of the tree of `version`, would write.
    pub(super) fn packed(&self, version: &Version, plan: TreePlan) -> Result<PackedTree, Error> {
        PackedTree::of(plan).map_err(|source| {
            Reason::TreeUnreadable { path: self.layout.tree(version), source }.into()
        })
    }

    pub(super) fn kept_tree(&self, version: &Version) -> Result<&KeptTree, Error> {
        let path = self.layout.tree(version);
        let kept = self.journal.record.kept_tree(version).filter(|_| path.is_dir());
        kept.ok_or_else(|| Reason::NotInstalled { version: version.clone(), path }.into())
    }

    fn scan(&self, version: &Version) -> Result<TreePlan, Error> {
        let path = self.layout.tree(version);
        pack::scan_tree(&path, &self.limits.pack)
            .map_err(|source| Reason::TreeUnreadable { path, source }.into())
    }

    fn repack(&self, version: &Version, plan: &TreePlan) -> Result<PayloadIdentity, Error> {
        plan.identity(&mut |_| {}).map_err(|source| {
            Reason::TreeUnreadable { path: self.layout.tree(version), source }.into()
        })
    }

    /// Makes the staged tree durable, puts it among the versions, and gives its seal.
    pub(super) fn enter(&self, staged: &StagedTree) -> Result<Option<Seal>, Error> {
        let version = &staged.version;
        let (path, tree) = (self.layout.staged_tree(version), self.layout.tree(version));
        self.sync_tree(&path)?;
        clock::outlast(staged.unpacked);
        self.put_tree_in_place(&path, &tree)?;
        self.sync_directory(&self.layout.versions())?;
        let now = file_time(&self.layout.versions())?;
        // What cannot be looked through is no worse than before: it is read in full when needed.
        Ok(self.scan(version).ok().and_then(|plan| plan.lasting_seal(now)))
    }
}

impl<'a> Live<'a, Idle> {
    pub(super) fn fetch(self, change: Change) -> Result<Live<'a, Fetched>, Error> {
        self.engine.write(|journal| journal.stage = Stage::Fetched(change.clone()))?;
        Ok(Live { engine: self.engine, state: Fetched(change) })
    }
}

impl<'a> Live<'a, Fetched> {
    /// Puts the staged tree in its place or, where there is none, checks the kept one.
    pub(super) fn stage(self) -> Result<Live<'a, Staged>, Error> {
        let Live { engine, state: Fetched(change) } = self;
        let attempt = &change.attempt;
        let seal = match engine.staged.take() {
            Some(staged) if staged.is_of(attempt) => engine.enter(&staged)?,
            _ => engine.expect_tree(&attempt.version, &attempt.artifact)?.1,
        };
        engine.write(|journal| {
            journal.stage = Stage::Staged(change.clone());
            journal.record.trees.retain(|tree| tree.version != attempt.version);
            journal.record.trees.push(KeptTree {
                version: attempt.version.clone(),
                channel: attempt.channel.clone(),
                artifact: attempt.artifact.clone(),
                seal,
            });
        })?;
        Ok(Live { engine, state: Staged(change) })
    }
}

/// Why a change does not go on.
pub(super) struct Trouble {
    fault: Fault,
    reason: String,
}

impl Trouble {
    /// What a program said beside its verdict, or the trouble that it makes.
    fn judge(verdict: Verdict) -> Result<String, Self> {
        match verdict {
            Verdict::Passed(said) => Ok(said),
            Verdict::NotNow(reason) => Err(Self { fault: Fault::NotNow, reason }),
            Verdict::Failed(reason) => Err(Self { fault: Fault::Release, reason }),
        }
    }
}

/// What the hook before the switch found.
pub(super) enum Prepared<'a> {
    Ready(Live<'a, Ready>),
    Halted(Live<'a, Halted>, Trouble),
}

impl<'a> Live<'a, Staged> {
    /// Runs the release's hook before the switch.
    pub(super) fn prepare(self) -> Result<Prepared<'a>, Error> {
        let Live { engine, state: Staged(change) } = self;
        let Some(hook) = change.attempt.artifact.hooks.before.clone() else {
            let state = Ready { change, said: String::new() };
            return Ok(Prepared::Ready(Live { engine, state }));
        };
        engine.write(|journal| journal.stage = Stage::Preparing(change.clone()))?;
        let (version, from) = (&change.attempt.version, change.from.as_ref());
        let place = engine.place(version, from, &change.run);
        let verdict = place.run(Occasion::Before, &hook.command, hook.timeout_seconds);
        Ok(match Trouble::judge(verdict) {
            Ok(said) => Prepared::Ready(Live { engine, state: Ready { change, said } }),
            Err(trouble) => Prepared::Halted(Live { engine, state: Halted(change) }, trouble),
        })
    }
}

impl Live<'_, Halted> {
    /// Gives the change up, of which nothing has been made but the tree.
    pub(super) fn abort(self, trouble: Trouble) -> Result<Outcome, Error> {
        let Live { engine, state: Halted(change) } = self;
        engine.abort(&change, trouble.reason, trouble.fault)
    }
}

impl<'a> Live<'a, Ready> {
    /// Copies the data, brings those of a rollback back, and lets `current` point to the new tree.
    pub(super) fn switch(self) -> Result<Live<'a, Switching>, Error> {
        let Live { engine, state: Ready { change, said } } = self;
        let version = &change.attempt.version;
        let newest = retain::newest(&engine.journal.snapshots, version).cloned();
        let brought = newest.filter(|_| change.attempt.kind.is_rollback());
        let data = engine.measure_data()?;
        engine.expect_space_for_data(&data, brought.as_ref())?;
        let left = engine.snapshot_data(&data, change.from.as_ref())?;
        let switch =
            Switch { left: left.number, brought: brought.map(|brought| brought.number), change };
        engine.write(|journal| {
            journal.stage = Stage::Switching(switch.clone());
            journal.snapshots_made = left.number;
            journal.snapshots.push(left);
        })?;
        // Data before `current`, for the reason given in `Engine::undo`.
        if let Some(brought) = switch.brought {
            engine.restore_data(brought)?;
        }
        engine.point(Some(&switch.change.attempt.version))?;
        Ok(Live { engine, state: Switching { switch, said } })
    }
}

/// What the hook after the switch and the health check found.
pub(super) enum Checked<'a> {
    Healthy(Live<'a, Healthy>),
    Failed(Live<'a, Switching>, Trouble),
}

impl<'a> Live<'a, Switching> {
    /// Runs the release's hook after the switch, and its own check.
    pub(super) fn check(self) -> Checked<'a> {
        let Live { engine, state: Switching { switch, mut said } } = self;
        let Change { from, attempt, run } = &switch.change;
        let artifact = &attempt.artifact;
        let place = engine.place(&attempt.version, from.as_ref(), run);
        let after = artifact.hooks.after.as_ref().map(|hook| {
            Trouble::judge(place.run(Occasion::After, &hook.command, hook.timeout_seconds))
        });
        let checked = after.unwrap_or_else(|| Ok(String::new())).and_then(|after| {
            if !after.is_empty() && !said.is_empty() {
                said.push('\n');
            }
            said.push_str(&after);
            artifact.health.as_ref().map_or(Ok(String::new()), |it| Trouble::judge(place.check(it)))
        });
        match checked {
            Ok(_) => Checked::Healthy(Live { engine, state: Healthy { switch, said } }),
            Err(trouble) => {
                Checked::Failed(Live { engine, state: Switching { switch, said } }, trouble)
            }
        }
    }

    /// Brings back what ran before.
    pub(super) fn give_up(self, trouble: Trouble) -> Result<Outcome, Error> {
        let Trouble { fault, reason } = trouble;
        let undoing = Undoing { switch: self.state.switch, reason, fault };
        self.engine.undo(undoing, DataFate::Restored)
    }
}

impl Live<'_, Healthy> {
    /// How many seconds the program has to confirm; nothing where it need not.
    pub(super) fn confirm_within(&self) -> Option<u64> {
        let health = self.state.switch.change.attempt.artifact.health.as_ref()?;
        health.confirm_within_seconds.map(u64::from)
    }

    /// Lets the program confirm for so many seconds from `now` on.
    pub(super) fn prove(self, seconds: u64, now: &Moment) -> Result<Outcome, Error> {
        let (deadline, watch) = (later(now.wall, seconds), Some(Watch::begin(seconds, now)));
        let Live { engine, state: Healthy { switch, said } } = self;
        let Change { from, attempt, .. } = switch.change.clone();
        let to = attempt.version;
        let outcome = Outcome::Probation { from: from.clone(), to: to.clone(), deadline };
        let (limits, fetched) = (engine.limits.clone(), engine.fetched.clone());
        engine.write(|journal| {
            journal.record.data_epoch = journal.epoch_after(&switch);
            journal.stage = Stage::Probation(switch);
            journal.record.running = Some(to.clone());
            journal.record.raise_floor(attempt.floor.as_ref());
            journal.record.last_outcome = Some(outcome.clone());
            if attempt.kind == AttemptKind::Update {
                let (kind, from) = (EventKind::Installed, from.as_ref());
                journal
                    .queue(&Draft { from, detail: &said, ..Draft::about(kind, &to, "") }, &limits);
                journal.tell_fetched(&to, fetched);
            }
            journal.record.probation = Some(Probation { version: to, from, deadline, watch });
        })?;
        Ok(outcome)
    }

    pub(super) fn commit(self) -> Result<Outcome, Error> {
        self.engine.commit(&self.state.switch, &self.state.said)
    }
}

impl Live<'_, OnProbation> {
    /// Brings back what ran before, since the release does not work.
    pub(super) fn undo(self, reason: &str) -> Result<Outcome, Error> {
        let (switch, reason) = (self.state.0, reason.to_owned());
        let undoing = Undoing { switch, reason, fault: Fault::Release };
        self.engine.undo(undoing, DataFate::Restored)
    }

    pub(super) fn commit(self) -> Result<Outcome, Error> {
        self.engine.commit(&self.state.0, "")
    }
}

fn file_time(folder: &Path) -> Result<FileTime, Error> {
    FileTime::of_folder(folder).map_err(|source| Error::io("examine", folder, source))
}
