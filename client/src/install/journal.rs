use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{
    Layout, Limits,
    error::{Error, Reason},
    record::{Attempt, Record},
    retry::Retries,
};
use crate::{
    format::{
        Digest, Version,
        wire::{Event, EventKind, Fetched},
    },
    fs::FileSystem,
};

/// The first line of the journal file. The rest of the file is a [`Journal`] as JSON.
#[derive(Serialize, Deserialize)]
struct Heading {
    format: u32,
    /// Of every byte after the first line.
    sha256: Digest,
}

/// Everything that must survive a crash, written as one file in one step.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Journal {
    pub(super) record: Record,
    pub(super) stage: Stage,
    pub(super) snapshots: Vec<Snapshot>,
    pub(super) snapshots_made: u64,
    pub(super) events: Vec<Event>,
    pub(super) events_queued: u64,
    /// How often the recovery that the stage needs has been begun since it was last ended.
    #[serde(default)]
    pub(super) recoveries: u32,
    /// The version during whose switch the machine stopped last, and how often in a row.
    #[serde(default)]
    pub(super) stopped: Option<Stopped>,
    /// The failure that the server was told of last, so that it is told once however often the same
    /// is tried again.
    #[serde(default)]
    pub(super) given_up: Option<GivenUp>,
    /// What was tried again by orders from afar.
    #[serde(default, skip_serializing_if = "Retries::is_empty")]
    pub(super) retries: Retries,
}

/// A version during whose switch the machine stopped.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Stopped {
    pub(super) version: Version,
    pub(super) times: u32,
}

/// An installation that was given up before anything had changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GivenUp {
    pub(super) version: Version,
    pub(super) cause: String,
}

/// How far the present attempt has got.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Stage {
    /// Nothing is going on: what runs is confirmed.
    #[default]
    Idle,
    /// The tree is being put in its place.
    Fetched(Change),
    /// The tree is in its place; nothing else has changed.
    Staged(Change),
    /// The hook before the switch runs or has run; nothing else has changed.
    Preparing(Change),
    /// The data snapshot is taken; data and `current` may have changed.
    Switching(Switch),
    /// The new version runs and passed its health check.
    Probation(Switch),
    /// What ran before is being brought back.
    Undoing(Undoing),
}

/// What is to change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    pub(super) from: Option<Version>,
    pub(super) attempt: Attempt,
    /// By which what the release runs is found again.
    #[serde(default)]
    pub(super) run: String,
}

/// A change for which the data are taken care of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Switch {
    pub(super) change: Change,
    /// The snapshot of the data as they were before.
    pub(super) left: u64,
    /// The snapshot that a rollback brings back.
    pub(super) brought: Option<u64>,
}

/// A change that is being undone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Undoing {
    pub(super) switch: Switch,
    pub(super) reason: String,
    pub(super) fault: Fault,
}

/// What made an undoing necessary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Fault {
    /// The release: it shall not be installed again.
    Release,
    /// The machine: the same release may be tried again.
    Machine,
    /// The release asked for it: not now.
    NotNow,
}

/// A copy of the program's data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Snapshot {
    pub(super) number: u64,
    /// The version that had run on the data when they were copied.
    pub(super) version: Option<Version>,
    pub(super) content: Content,
    /// The other directories of data, as they were configured then.
    #[serde(default)]
    pub(super) others: Vec<OtherCopy>,
    /// The epoch of the data, where that is known.
    #[serde(default)]
    pub(super) epoch: Option<u32>,
}

/// The copy of a directory of data that is not `data`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OtherCopy {
    pub(super) path: PathBuf,
    pub(super) content: Content,
}

/// What a snapshot holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Content {
    /// There was no data directory, and restoring leaves none.
    Nothing,
    /// The data directory.
    Directory,
}

impl Journal {
    /// The journal as it is on the disk; nothing where there is no file.
    pub(super) fn read(layout: &Layout, limits: &Limits) -> Result<Option<Self>, Error> {
        let path = layout.journal();
        let mut bytes = Vec::new();
        match File::open(&path) {
            Ok(file) => file
                .take(limits.journal_bytes_max.saturating_add(1))
                .read_to_end(&mut bytes)
                .map_err(|source| Error::io("read the journal", &path, source))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Error::io("open the journal", path, source)),
        };
        if bytes.len() as u64 > limits.journal_bytes_max {
            let what = format!("it is above {} bytes", limits.journal_bytes_max);
            return Err(Reason::JournalDamaged { path, what }.into());
        }
        Self::parse(&bytes, &path).map(Some)
    }

    /// The journal in the file contents `bytes`. `path` names it in errors.
    pub(super) fn parse(bytes: &[u8], path: &Path) -> Result<Self, Error> {
        let damaged = |what: String| Reason::JournalDamaged { path: path.to_owned(), what };
        let (heading, body) = bytes
            .iter()
            .position(|byte| *byte == b'\n')
            .and_then(|end| bytes.split_at_checked(end + 1))
            .ok_or_else(|| damaged("it has no heading".to_owned()))?;
        let heading = serde_json::from_slice::<Heading>(heading)
            .map_err(|error| damaged(format!("its heading is malformed ({error})")))?;
        if !(1..=Record::JOURNAL_FORMAT).contains(&heading.format) {
            let (path, found, expected) = (path.to_owned(), heading.format, Record::JOURNAL_FORMAT);
            return Err(Reason::JournalFormat { path, found, expected }.into());
        }
        let found = Digest::of(body);
        if found != heading.sha256 {
            let what = format!("its digest is {found}: expected {}", heading.sha256);
            return Err(damaged(what).into());
        }
        let journal = serde_json::from_slice::<Self>(body)
            .map_err(|error| damaged(format!("it is malformed ({error})")))?;
        if !journal.is_consistent() {
            return Err(damaged("its stage and its record disagree".to_owned()).into());
        }
        Ok(journal)
    }

    /// Whether stage and record say the same of what runs and of what ran before.
    fn is_consistent(&self) -> bool {
        let Record { running, probation, .. } = &self.record;
        match &self.stage {
            Stage::Idle => probation.is_none(),
            Stage::Fetched(change)
            | Stage::Staged(change)
            | Stage::Preparing(change)
            | Stage::Switching(Switch { change, .. }) => {
                probation.is_none() && *running == change.from
            }
            Stage::Probation(Switch { change: Change { from, attempt, .. }, .. }) => {
                running.as_ref() == Some(&attempt.version)
                    && probation.as_ref().is_some_and(|probation| {
                        (&probation.version, &probation.from) == (&attempt.version, from)
                    })
            }
            Stage::Undoing(Undoing { switch: Switch { change, .. }, .. }) => {
                let may_run = [change.from.as_ref(), Some(&change.attempt.version)];
                probation.is_none() && may_run.contains(&running.as_ref())
            }
        }
    }

    /// Writes the journal durably and in one step.
    pub(super) fn write(&self, files: &dyn FileSystem, layout: &Layout) -> Result<(), Error> {
        let (path, staged) = (layout.journal(), layout.staged_journal());
        let refused = |source: io::Error| Error::io("write the journal", &path, source);
        let body = serde_json::to_vec_pretty(self).map_err(|error| refused(error.into()))?;
        let heading = Heading { format: Record::JOURNAL_FORMAT, sha256: Digest::of(&body) };
        let mut bytes = serde_json::to_vec(&heading).map_err(|error| refused(error.into()))?;
        bytes.push(b'\n');
        bytes.extend_from_slice(&body);
        files.write_file(&staged, &bytes).map_err(refused)?;
        files.rename(&staged, &path).map_err(refused)?;
        files.sync_directory(&layout.private()).map_err(refused)
    }

    /// Queues an event; the oldest give way.
    pub(super) fn queue(&mut self, event: &Draft<'_>, limits: &Limits) {
        self.events_queued = self.events_queued.saturating_add(1);
        self.events.push(Event {
            number: self.events_queued,
            kind: event.kind,
            from: event.from.cloned(),
            to: event.to.clone(),
            order: event.order,
            detail: shorten(event.detail),
            fetched: None,
        });
        let surplus = self.events.len().saturating_sub(limits.events_kept);
        self.events.drain(..surplus);
    }

    /// Adds to the event that `version` was installed, which was queued just now, by which way its payload
    /// came here.
    pub(super) fn tell_fetched(&mut self, version: &Version, fetched: Option<Fetched>) {
        let newest = self.events.last_mut();
        let is_it = |event: &&mut Event| event.kind == EventKind::Installed && event.to == *version;
        if let Some(event) = newest.filter(is_it) {
            event.fetched = fetched;
        }
    }

    /// The name of the attempt whose programs may be running.
    pub(super) fn run(&self) -> Option<&str> {
        let change = match &self.stage {
            Stage::Preparing(change) | Stage::Switching(Switch { change, .. }) => change,
            Stage::Undoing(Undoing { switch, .. }) => &switch.change,
            Stage::Idle | Stage::Fetched(_) | Stage::Staged(_) | Stage::Probation(_) => {
                return None;
            }
        };
        Some(change.run.as_str()).filter(|run| !run.is_empty())
    }

    /// Whether the tree of `version` is to stay.
    pub(super) fn names(&self, version: &Version) -> bool {
        self.record.running.as_ref() == Some(version) || self.record.kept_tree(version).is_some()
    }

    /// Whether the directory called `name` belongs to a snapshot that is to stay.
    pub(super) fn names_snapshot(&self, name: &str) -> bool {
        let number = name.split('-').next().and_then(|number| number.parse::<u64>().ok());
        number.is_some_and(|number| self.snapshot(number).is_some())
    }

    pub(super) fn snapshot(&self, number: u64) -> Option<&Snapshot> {
        self.snapshots.iter().find(|snapshot| snapshot.number == number)
    }
}

/// An event that has no number yet.
pub(super) struct Draft<'a> {
    pub(super) kind: EventKind,
    pub(super) from: Option<&'a Version>,
    pub(super) to: &'a Version,
    pub(super) order: Option<u64>,
    pub(super) detail: &'a str,
}

impl<'a> Draft<'a> {
    /// An event that concerns one version alone.
    pub(super) fn about(kind: EventKind, version: &'a Version, detail: &'a str) -> Self {
        Self { kind, from: None, to: version, order: None, detail }
    }
}

/// `text` with its middle left out where it is longer than an event's detail may be: a reason
/// begins with what failed and ends with the last output.
pub(super) fn shorten(text: &str) -> String {
    const GAP: &str = "\n…\n";
    let length = text.chars().count();
    if length <= Event::DETAIL_CHARS_MAX {
        return text.to_owned();
    }
    let head = Event::DETAIL_CHARS_MAX / 4;
    let tail = Event::DETAIL_CHARS_MAX - head - GAP.chars().count();
    let mut short = text.chars().take(head).collect::<String>();
    short.push_str(GAP);
    short.extend(text.chars().skip(length - tail));
    short
}
