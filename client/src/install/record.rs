use std::{fs, os::unix::fs::MetadataExt as _, path::Path};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    Layout, Limits, Moment, Watch,
    error::Error,
    journal::{Change, Journal, Stage, Switch, Undoing},
};
use crate::{
    format::{Artifact, ChannelName, Digest, RollbackOrder, Version},
    pack::Seal,
};

/// A version that is to run from now on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attempt {
    /// Why.
    pub kind: AttemptKind,
    /// The version.
    pub version: Version,
    /// Its artifact for this machine's platform, as signed.
    pub artifact: Artifact,
    /// The targets role that lists it.
    pub channel: ChannelName,
    /// The rollback floor that the vendor signed for it. It binds from the moment that the version
    /// runs, for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floor: Option<Version>,
}

/// Why a version is to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptKind {
    /// It is higher than what runs, or the first one.
    Update,
    /// A technician ordered this machine back to it.
    Rollback {
        /// The order.
        order: RollbackOrder,
    },
    /// Somebody at the machine ordered it back (`mainstay-agent rollback`).
    LocalRollback,
}

impl AttemptKind {
    /// Whether the attempt leads to a lower version.
    pub fn is_rollback(&self) -> bool {
        matches!(self, Self::Rollback { .. } | Self::LocalRollback)
    }

    pub(super) fn order(&self) -> Option<u64> {
        match self {
            Self::Rollback { order } => Some(order.number),
            Self::Update | Self::LocalRollback => None,
        }
    }

    /// Why the version that is left by a rollback shall not come back by itself.
    pub(super) fn reason(&self) -> String {
        match self {
            Self::Update => "updated".to_owned(),
            Self::LocalRollback => "rolled back by an order given at the machine".to_owned(),
            Self::Rollback { order: RollbackOrder { number, reason, ticket: None } } => {
                format!("rolled back by order {number}: {reason}")
            }
            Self::Rollback { order: RollbackOrder { number, reason, ticket: Some(ticket) } } => {
                format!("rolled back by order {number} ({ticket}): {reason}")
            }
        }
    }
}

/// How an attempt, a confirmation or an undoing ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// The version runs and is confirmed.
    Committed {
        /// What ran before.
        from: Option<Version>,
        /// What runs now.
        to: Version,
    },
    /// The version runs and must be confirmed by the deadline, or is undone.
    Probation {
        /// What ran before.
        from: Option<Version>,
        /// What runs now.
        to: Version,
        /// Until when [`confirm`](super::Installation::confirm) counts.
        deadline: Timestamp,
    },
    /// The version failed and what ran before runs again.
    Undone {
        /// The version that failed.
        from: Version,
        /// What runs again; nothing where nothing ran before.
        to: Option<Version>,
        /// Why.
        reason: String,
    },
    /// The release asked to be tried again later; what ran before runs.
    Deferred {
        /// The release.
        version: Version,
        /// What runs; nothing where nothing ran before.
        running: Option<Version>,
        /// What it said.
        reason: String,
    },
    /// The machine went back.
    RolledBack {
        /// The version that was left.
        from: Version,
        /// What runs now.
        to: Version,
    },
}

/// What is known about an installation: its history and its present.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// What runs.
    pub running: Option<Version>,
    /// The versions that were confirmed here, each once, the latest confirmation last.
    pub confirmed: Vec<Version>,
    /// The trees that are kept.
    pub trees: Vec<KeptTree>,
    /// The versions that updates do not install again.
    pub blocked: Vec<Block>,
    /// The version that runs but is not confirmed.
    pub probation: Option<Probation>,
    /// The lowest version that a rollback may reach.
    pub floor: Option<Version>,
    /// How the last attempt, confirmation or undoing ended.
    pub last_outcome: Option<Outcome>,
    /// The epoch of the program's data, where the releases said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_epoch: Option<u32>,
}

/// What the journal of an installation says, which takes no lock to read: another process may be
/// at work on it, or may have been stopped there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// History and present.
    pub record: Record,
    /// Since when that runs: when `current` was made to lead there, by the machine's clock as it went
    /// then. For people; nothing is decided by it.
    pub running_since: Option<Timestamp>,
    /// How far the present attempt has got.
    pub stage: StageName,
    /// The version that the present attempt is about.
    pub attempted: Option<Version>,
    /// How many events the server has not been told of.
    pub pending_events: usize,
}

/// How far an attempt has got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StageName {
    /// Nothing is going on.
    #[default]
    Idle,
    /// The tree is being staged.
    Fetched,
    /// The tree is in its place; nothing else has changed.
    Staged,
    /// The hook before the switch runs or has run; nothing else has changed.
    Preparing,
    /// The new version is being switched on and checked.
    Switching,
    /// The new version runs and is to be confirmed.
    Probation,
    /// What ran before is being brought back.
    Undoing,
}

impl Recorded {
    /// Reads the journal of the installation at `layout`; where there is none, nothing has happened.
    pub fn read(layout: &Layout, limits: &Limits) -> Result<Self, Error> {
        let journal = Journal::read(layout, limits)?;
        Ok(journal.map(|journal| Self::of(&journal, layout)).unwrap_or_default())
    }

    pub(super) fn of(journal: &Journal, layout: &Layout) -> Self {
        let (stage, change) = match &journal.stage {
            Stage::Idle => (StageName::Idle, None),
            Stage::Fetched(change) => (StageName::Fetched, Some(change)),
            Stage::Staged(change) => (StageName::Staged, Some(change)),
            Stage::Preparing(change) => (StageName::Preparing, Some(change)),
            Stage::Switching(Switch { change, .. }) => (StageName::Switching, Some(change)),
            Stage::Probation(Switch { change, .. }) => (StageName::Probation, Some(change)),
            Stage::Undoing(Undoing { switch, .. }) => (StageName::Undoing, Some(&switch.change)),
        };
        Self {
            record: journal.record.clone(),
            running_since: journal.record.running.as_ref().and_then(|_| pointed(layout)),
            stage,
            attempted: change.map(|Change { attempt, .. }| attempt.version.clone()),
            pending_events: journal.events.len(),
        }
    }
}

/// When the link at `current` was made.
fn pointed(layout: &Layout) -> Option<Timestamp> {
    let link = fs::symlink_metadata(layout.current()).ok().filter(fs::Metadata::is_symlink)?;
    Timestamp::from_second(link.mtime()).ok()
}

/// A tree that is kept, and what was signed about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeptTree {
    /// The version.
    pub version: Version,
    /// The targets role that listed it.
    pub channel: ChannelName,
    /// The artifact that it was unpacked from.
    pub artifact: Artifact,
    /// What it looked like when it was known to be that artifact's. Absent where a change just
    /// afterwards might not be told from none, and in a journal that an older agent wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seal: Option<Seal>,
}

/// A version that updates do not install again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Block {
    /// The version.
    pub version: Version,
    /// Why.
    pub reason: String,
}

/// A version that runs but is not confirmed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probation {
    /// The version.
    pub version: Version,
    /// What runs again if it is not confirmed.
    pub from: Option<Version>,
    /// Until when it must be confirmed, as far as could be said when that was last looked at.
    pub deadline: Timestamp,
    /// How much of the time is over. Absent in a journal that an older agent wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watch: Option<Watch>,
}

impl Probation {
    /// The same at `now`.
    pub(super) fn at(&self, now: &Moment) -> Self {
        let left = || self.deadline.duration_since(now.wall).as_secs().try_into().unwrap_or(0);
        let begun = || Watch::begin(left(), now);
        let watch = self.watch.as_ref().map_or_else(begun, |watch| watch.at(now));
        let deadline = later(now.wall, watch.remaining_seconds);
        Self { deadline, watch: Some(watch), ..self.clone() }
    }

    /// Why it is over, if it is.
    pub(super) fn overdue(&self, limits: &Limits) -> Option<String> {
        let watch = self.watch.as_ref()?;
        if watch.starts > limits.probation_starts_max {
            let starts = watch.starts;
            return Some(format!(
                "the machine was started {starts} times and it was not confirmed"
            ));
        }
        let deadline = self.deadline;
        (watch.remaining_seconds == 0).then(|| format!("it was not confirmed by {deadline}"))
    }
}

/// So many seconds after `moment`, as far as times go.
pub(super) fn later(moment: Timestamp, seconds: u64) -> Timestamp {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    moment.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX)
}

impl Record {
    /// The format number of the journals that this program writes. It reads all lower ones too: what
    /// they lack has its default.
    pub const JOURNAL_FORMAT: u32 = 3;

    /// The record in the journal whose file contents are `bytes`, for a tool that looks at an
    /// installation without opening it: that takes no lock and mends nothing. `path` names the
    /// journal in errors.
    pub fn in_journal(bytes: &[u8], path: &Path) -> Result<Self, Error> {
        Journal::parse(bytes, path).map(|journal| journal.record)
    }

    /// What was signed about the kept tree of `version`.
    pub fn kept_tree(&self, version: &Version) -> Option<&KeptTree> {
        self.trees.iter().find(|tree| tree.version == *version)
    }

    /// Why updates do not install `version` again.
    pub fn block(&self, version: &Version) -> Option<&Block> {
        self.blocked.iter().find(|block| block.version == *version)
    }

    /// Raises the floor where `floor` is above it.
    pub(super) fn raise_floor(&mut self, floor: Option<&Version>) {
        if self.floor.as_ref() < floor {
            self.floor = floor.cloned();
        }
    }

    /// Where a rollback ordered at the machine leads: the version below the running one that was
    /// confirmed last, has a kept tree and is not below the floor.
    pub fn previous(&self) -> Option<&KeptTree> {
        let running = self.running.as_ref()?;
        let reachable = |version: &&Version| {
            *version < running && self.floor.as_ref().is_none_or(|floor| floor <= *version)
        };
        self.confirmed.iter().rev().filter(reachable).find_map(|version| self.kept_tree(version))
    }
}

/// What a kept tree packs to, beside what was signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// The version.
    pub version: Version,
    /// The signed length of the payload.
    pub expected_length: u64,
    /// The signed digest of the payload.
    pub expected_sha256: Digest,
    /// The length that the tree packs to.
    pub found_length: u64,
    /// The digest that the tree packs to.
    pub found_sha256: Digest,
}

impl Verification {
    /// Whether the tree is, bit for bit, what was signed.
    pub fn is_intact(&self) -> bool {
        self.expected_length == self.found_length && self.expected_sha256 == self.found_sha256
    }
}
