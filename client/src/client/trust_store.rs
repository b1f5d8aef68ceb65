use std::path::PathBuf;

use serde::Deserialize;

use super::files;
use crate::{
    error::Error,
    format::{ChannelName, Lines, Plan, wire::KnownMetadata},
    fs::FileSystem,
    tuf::{Envelope, Limits, Targets},
};

/// A document in the trust store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stored<'a> {
    Root,
    Timestamp,
    Snapshot,
    Targets,
    Channel(&'a ChannelName),
    /// The newest plan that was seen.
    Plan,
}

impl Stored<'_> {
    fn bytes_max(self, limits: &Limits) -> u64 {
        match self {
            Self::Root => limits.root_bytes_max,
            Self::Timestamp => limits.timestamp_bytes_max,
            Self::Snapshot => limits.snapshot_bytes_max,
            Self::Targets | Self::Channel(_) => limits.targets_bytes_max,
            Self::Plan => limits.plan_bytes_max,
        }
    }
}

/// A number that the trust store remembers beside the documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Noted {
    /// The version of the plan that was refused last; its refusal is reported once.
    RefusedPlan,
    /// The rollback order that was carried out last; each is carried out once.
    OrderDone,
    /// The highest version of a root that was trusted.
    RootSeen,
    /// What stood in the way of an update the last time, which is reported once.
    Obstacles,
    /// The order to collect a support bundle that was answered last; each is answered once.
    CollectionAnswered,
    /// The one of which the server knows that it waits for approval.
    CollectionWaiting,
}

impl Noted {
    pub(super) const ALL: [Self; 6] = [
        Self::RefusedPlan,
        Self::OrderDone,
        Self::RootSeen,
        Self::Obstacles,
        Self::CollectionAnswered,
        Self::CollectionWaiting,
    ];

    const fn file(self) -> &'static str {
        match self {
            Self::RefusedPlan => "refused-plan",
            Self::OrderDone => "order-done",
            Self::RootSeen => "root-seen",
            Self::Obstacles => "obstacles",
            Self::CollectionAnswered => "collection-answered",
            Self::CollectionWaiting => "collection-waiting",
        }
    }
}

/// The metadata that the machine trusts, byte for byte as it was received, in `.mainstay/trust`.
///
/// What is read back is verified again like anything that comes from outside; what is missing or
/// damaged is as if it had never been there.
#[derive(Debug)]
pub(super) struct TrustStore {
    folder: PathBuf,
    limits: Limits,
    files: Box<dyn FileSystem>,
}

impl TrustStore {
    pub(super) fn new(folder: PathBuf, limits: Limits, files: Box<dyn FileSystem>) -> Self {
        Self { folder, limits, files }
    }

    /// Where a document is. Channels have a folder of their own, so that none can be called like
    /// another document.
    pub(super) fn path(&self, document: Stored<'_>) -> PathBuf {
        match document {
            Stored::Root => self.folder.join("root.json"),
            Stored::Timestamp => self.folder.join("timestamp.json"),
            Stored::Snapshot => self.folder.join("snapshot.json"),
            Stored::Targets => self.folder.join("targets.json"),
            Stored::Plan => self.folder.join("plan.json"),
            Stored::Channel(name) => self.channels_folder().join(format!("{name}.json")),
        }
    }

    pub(super) fn bytes_max(&self, document: Stored<'_>) -> u64 {
        document.bytes_max(&self.limits)
    }

    pub(super) fn read(&self, document: Stored<'_>) -> Option<Vec<u8>> {
        files::read(&self.path(document), self.bytes_max(document)).ok()
    }

    pub(super) fn write(&self, document: Stored<'_>, bytes: &[u8]) -> Result<(), Error> {
        files::replace(&*self.files, &self.path(document), bytes)
    }

    /// Forgets everything but the root.
    pub(super) fn forget_below_root(&self) -> Result<(), Error> {
        let channels = self.channels();
        let documents = [Stored::Timestamp, Stored::Snapshot, Stored::Targets, Stored::Plan];
        for document in documents.into_iter().chain(channels.iter().map(Stored::Channel)) {
            files::remove(&*self.files, &self.path(document))?;
        }
        self.forget(Noted::RefusedPlan)?;
        self.forget(Noted::Obstacles)?;
        self.forget(Noted::CollectionAnswered)?;
        self.forget(Noted::CollectionWaiting)?;
        self.forget(Noted::OrderDone)
    }

    /// Forgets the timestamp and the snapshot, durably.
    pub(super) fn forget_online_roles(&self) -> Result<(), Error> {
        for document in [Stored::Timestamp, Stored::Snapshot] {
            files::remove(&*self.files, &self.path(document))?;
        }
        let synced = self.files.sync_directory(&self.folder);
        synced.map_err(|error| Error::disk(&self.folder, error))
    }

    /// Forgets a number that was noted.
    pub(super) fn forget(&self, number: Noted) -> Result<(), Error> {
        files::remove(&*self.files, &self.noted_path(number))
    }

    /// Where a number is noted.
    pub(super) fn noted_path(&self, number: Noted) -> PathBuf {
        self.folder.join(number.file())
    }

    /// The channels of which there is a copy.
    pub(super) fn channels(&self) -> Vec<ChannelName> {
        let Ok(entries) = std::fs::read_dir(self.channels_folder()) else { return Vec::new() };
        entries
            .filter_map(|entry| {
                let name = entry.ok()?.file_name();
                name.to_str()?.strip_suffix(".json")?.parse().ok()
            })
            .collect()
    }

    /// The versions that the copies claim to be. A copy that claims wrongly is found out when it
    /// is verified, and fetched anew then.
    pub(super) fn known(&self, root: u64) -> KnownMetadata {
        let version = |document: Stored<'_>| self.claimed_version(document).unwrap_or(0);
        let channels = self.channels().into_iter().map(|name| {
            let version = version(Stored::Channel(&name));
            (name, version)
        });
        KnownMetadata {
            root,
            timestamp: version(Stored::Timestamp),
            snapshot: version(Stored::Snapshot),
            targets: version(Stored::Targets),
            channels: channels.collect(),
        }
    }

    fn claimed_version(&self, document: Stored<'_>) -> Option<u64> {
        #[derive(Deserialize)]
        struct Claim {
            signed: Signed,
        }
        #[derive(Deserialize)]
        struct Signed {
            version: u64,
        }
        // Not read strictly: that takes as long as to verify it, which is done anyway.
        let claim: Claim = serde_json::from_slice(&self.read(document)?).ok()?;
        Some(claim.signed.version)
    }

    /// The newest plan that was seen. It was verified before it was stored.
    pub(super) fn plan(&self) -> Option<Plan> {
        Envelope::parse("plan", &self.read(Stored::Plan)?).ok()?.document().ok()
    }

    /// The dates of the product's lines. They were verified before they were stored.
    pub(super) fn lines(&self) -> Lines {
        let bytes = self.read(Stored::Targets).unwrap_or_default();
        let targets = Envelope::parse("targets", &bytes).and_then(|it| it.document::<Targets>());
        targets.map(|targets| targets.lines).unwrap_or_default()
    }

    /// A number that was noted.
    pub(super) fn noted(&self, number: Noted) -> Option<u64> {
        let bytes = files::read(&self.noted_path(number), 32).ok()?;
        str::from_utf8(&bytes).ok()?.trim().parse().ok()
    }

    pub(super) fn note(&self, number: Noted, value: u64) -> Result<(), Error> {
        files::replace(&*self.files, &self.noted_path(number), format!("{value}\n").as_bytes())
    }

    fn channels_folder(&self) -> PathBuf {
        self.folder.join("channels")
    }
}
