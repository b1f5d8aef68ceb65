use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Client, files, route::Speeds, settings::is_default};
use crate::{
    error::{Error, ErrorKind, with_sources},
    format::{Version, wire::Fetched},
    fs::FileSystem,
    install::{Layout, Outcome},
};

/// What happened when, for people: `.mainstay/history.json`.
///
/// The instants are those of the machine's clock as it went then. Nothing is decided by any of it but which
/// way to a release is tried first, so a file that is missing or damaged is as if nothing had happened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct History {
    /// When the server last answered a check with a plan that could be verified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checked: Option<Timestamp>,
    /// What kept the release that was offered from being installed, when that was last looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub obstacle: Option<Incident>,
    /// The last check, download, update or rollback that ended with an error, other than a refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<Incident>,
    /// The last update that was undone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undone: Option<Incident>,
    /// The last document or order that broke a rule of this machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<Incident>,
    /// The last release that was fetched to be installed, and by which way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fetched: Option<FetchedRelease>,
    /// How fast that went, by which the next way is chosen.
    #[serde(skip_serializing_if = "is_default")]
    pub speeds: Speeds,
}

/// A release that was fetched, and by which way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchedRelease {
    /// When.
    pub at: Timestamp,
    /// Its version.
    pub version: Version,
    /// How many bytes its artifact has.
    pub artifact_bytes: u64,
    /// By which way.
    pub way: Fetched,
}

/// Something that went otherwise than it should.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// When.
    pub at: Timestamp,
    /// The version that it is about, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// The stable code of an error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// What there is to say.
    pub message: String,
}

impl Incident {
    /// The longest message that is kept, in characters.
    const MESSAGE_CHARS_MAX: usize = 4096;

    fn new(at: Timestamp, version: Option<&Version>, message: &str) -> Self {
        let message = message.chars().take(Self::MESSAGE_CHARS_MAX).collect();
        Self { at: whole_second(at), version: version.cloned(), code: None, message }
    }

    fn of_error(at: Timestamp, error: &Error) -> Self {
        let incident = Self::new(at, None, &with_sources(error));
        Self { code: Some(error.code().to_owned()), ..incident }
    }
}

impl History {
    const BYTES_MAX: u64 = 256 << 10;

    /// What is remembered of the installation at `layout`.
    pub(super) fn read(layout: &Layout) -> Self {
        let bytes = files::read(&layout.history(), Self::BYTES_MAX).unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }

    /// That a verb ended with `error`. That somebody ended it is nothing to remember.
    fn fail(&mut self, at: Timestamp, error: &Error) {
        let incident = Some(Incident::of_error(at, error));
        match error.kind() {
            ErrorKind::Cancelled => {}
            ErrorKind::Trust | ErrorKind::Blocked => self.refused = incident,
            _ => self.failed = incident,
        }
    }
}

/// Where the history of an installation is written.
pub(super) struct HistoryFile {
    layout: Layout,
    files: Box<dyn FileSystem>,
}

impl HistoryFile {
    pub(super) fn new(layout: &Layout, files: Box<dyn FileSystem>) -> Self {
        Self { layout: layout.clone(), files }
    }

    /// Changes what is remembered. Where that cannot be written it is no concern of whoever asked for
    /// something else.
    fn change(&self, change: impl FnOnce(&mut History)) {
        let before = History::read(&self.layout);
        let mut history = before.clone();
        change(&mut history);
        if history == before {
            return;
        }
        let bytes = serde_json::to_vec_pretty(&history).unwrap_or_default();
        let path: PathBuf = self.layout.history();
        let _ = files::replace(&*self.files, &path, &bytes);
    }
}

impl Client {
    /// Notes that the server was asked, and how that ended.
    pub(super) fn note_check<T>(&self, ended: &Result<T, Error>) {
        let at = self.now();
        self.history.change(|history| match ended {
            Ok(_) => history.checked = Some(whole_second(at)),
            Err(error) => history.fail(at, error),
        });
    }

    /// Notes the error that a verb ended with, if it did.
    pub(super) fn note_error<T>(&self, ended: &Result<T, Error>) {
        if let Err(error) = ended {
            self.history.change(|history| history.fail(self.now(), error));
        }
    }

    /// Notes what came of a change, where it was undone.
    pub(super) fn note_outcome(&self, outcome: Option<&Outcome>) {
        if let Some(Outcome::Undone { from, reason, .. }) = outcome {
            let incident = Incident::new(self.now(), Some(from), reason);
            self.history.change(|history| history.undone = Some(incident));
        }
    }

    /// Notes by which way the release `version` came here, whose artifact has so many bytes.
    pub(super) fn note_fetched(
        &mut self,
        version: &Version,
        artifact_bytes: u64,
        fetched: &Fetched,
    ) {
        let (at, version) = (whole_second(self.now()), version.clone());
        let release = FetchedRelease { at, version, artifact_bytes, way: fetched.clone() };
        let speeds = self.speeds.get();
        self.history.change(|history| {
            history.fetched = Some(release.clone());
            history.speeds = speeds;
        });
        self.installation.note_fetched(fetched.clone());
        self.fetched = Some(release);
    }

    /// Remembers how fast something went, which is written with the next release that is here.
    pub(super) fn note_speed(&self, note: impl FnOnce(&mut Speeds)) {
        let mut speeds = self.speeds.get();
        note(&mut speeds);
        self.speeds.set(speeds);
    }

    /// Notes how fast things went.
    pub(super) fn note_speeds(&self) {
        let speeds = self.speeds.get();
        self.history.change(|history| history.speeds = speeds);
    }

    /// Notes what stands in the way of `version`, or that nothing does.
    pub(super) fn note_obstacle(&self, version: &Version, obstacle: Option<&str>) {
        let at = self.now();
        let incident = obstacle.map(|said| Incident::new(at, Some(version), said));
        self.history.change(|history| history.obstacle = incident);
    }
}

/// Fractions of a second are of no use to people.
fn whole_second(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}
