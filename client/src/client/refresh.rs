use std::collections::BTreeMap;

use jiff::Timestamp;

use super::trust_store::{Noted, Stored, TrustStore};
use crate::{
    error::Error,
    fetch::Remote,
    format::{ChannelName, Digest, ProductName},
    tuf::{
        Limits, Refusal, Rotation, Rule, Trust, TrustedRepository, TrustedRoot, TrustedTimestamp,
    },
};

/// The root that was pinned when the machine enrolled.
#[derive(Clone, Copy, Debug)]
pub(super) struct PinnedRoot {
    pub(super) version: u64,
    pub(super) sha256: Digest,
}

/// One refresh of the trusted metadata: the workflow of [`crate::tuf`] fed from the server's
/// answer, the copies on this machine, and, where a copy turns out missing or damaged, the
/// repository.
///
/// Each document is stored as soon as it is trusted, from the root downwards, so that a crash in
/// between leaves what an interrupted TUF client has: newer documents above, older ones below.
pub(super) struct Refresh<'a> {
    pub(super) remote: &'a Remote,
    pub(super) product: &'a ProductName,
    pub(super) store: &'a TrustStore,
    pub(super) limits: Limits,
}

impl Refresh<'_> {
    /// The newest root that is trusted on this machine. Where the copy is lost, the chain is
    /// followed again from the pinned root, up to the newest that was seen at the least.
    pub(super) fn root(&self, pinned: PinnedRoot) -> Result<TrustedRoot, Error> {
        if let Some(bytes) = self.store.read(Stored::Root)
            && let Ok(root) =
                TrustedRoot::pin(&bytes, self.limits).and_then(|root| root.of(self.product))
        {
            return Ok(root);
        }
        let file = format!("{}.root.json", pinned.version);
        let bytes = self.remote.metadata(self.product, &file, self.limits.root_bytes_max)?;
        let found = Digest::of(&bytes);
        if found != pinned.sha256 {
            let detail = format!(
                "{file} has SHA-256 {found}: {} was pinned when the machine enrolled",
                pinned.sha256
            );
            return Err(Error::rule(Rule::Digest.as_str(), detail));
        }
        let root = TrustedRoot::pin(&bytes, self.limits)?.of(self.product)?;
        self.store.write(Stored::Root, &bytes)?;
        Ok(root)
    }

    /// Follows the workflow down to the top-level targets and takes in the channels that are at
    /// hand.
    pub(super) fn repository(
        &self,
        mut root: TrustedRoot,
        answer: &BTreeMap<String, String>,
        now: Timestamp,
    ) -> Result<TrustedRepository, Error> {
        for _ in 0..self.limits.root_rotations_max {
            let next = format!("{}.root.json", root.version().saturating_add(1));
            let Some(text) = answer.get(&next) else { break };
            if root.rotate(text.as_bytes())? == Rotation::OtherOnlineSigners {
                self.store.forget_online_roles()?;
            }
            self.store.write(Stored::Root, text.as_bytes())?;
        }
        self.expect_newest(&root)?;
        let mut trust = root.settle(now)?;
        if let Some(copy) = self.store.read(Stored::Timestamp) {
            trust.recall(&copy);
        }
        let brought = answer.get("timestamp.json");
        let mut timestamp = self.timestamp(&trust, brought)?;
        if let Some(copy) = self.store.read(Stored::Snapshot) {
            timestamp.recall(&copy);
        }
        let file = format!("{}.snapshot.json", timestamp.snapshot().version);
        let snapshot =
            self.obtain(Stored::Snapshot, answer.get("snapshot.json"), &file, |bytes| {
                timestamp.clone().accept(bytes)
            })?;
        let file = format!("{}.targets.json", snapshot.targets()?.version);
        let mut repository =
            self.obtain(Stored::Targets, answer.get("targets.json"), &file, |bytes| {
                snapshot.clone().accept(bytes)
            })?;
        self.take_in_channels(&mut repository, answer)?;
        Ok(repository)
    }

    /// Notes the version of `root`, and refuses one that is older than what was noted: whoever serves
    /// it withholds those that follow, and may have keys that they have replaced.
    fn expect_newest(&self, root: &TrustedRoot) -> Result<(), Error> {
        let (version, seen) = (root.version(), self.store.noted(Noted::RootSeen).unwrap_or(0));
        if version < seen {
            let detail = format!(
                "version {seen} was trusted on this machine before: expected the roots up to it; \
                 where the vendor says that there are none, enrol again (`mainstay-agent enroll`)"
            );
            return Err(Refusal::new("root", Rule::Rollback, detail).at(Some(version)).into());
        }
        if version > seen {
            self.store.note(Noted::RootSeen, version)?;
        }
        Ok(())
    }

    /// The newest timestamp. One that came again under its version is not stored: the copy here is
    /// the one that is trusted.
    fn timestamp(
        &self,
        trust: &Trust,
        brought: Option<&String>,
    ) -> Result<TrustedTimestamp, Error> {
        let Some(text) = brought else {
            return self.obtain(Stored::Timestamp, None, "timestamp.json", |bytes| {
                trust.clone().accept(bytes)
            });
        };
        let timestamp = trust.clone().accept(text.as_bytes())?;
        if timestamp.is_new() {
            self.store.write(Stored::Timestamp, text.as_bytes())?;
        }
        Ok(timestamp)
    }

    /// Takes in every channel that the answer brought or that is here. One that is refused (an
    /// expired one, say) must not keep the machine from the others: where the plan needs it,
    /// [`Refresh::channel`] says what is wrong with it.
    fn take_in_channels(
        &self,
        repository: &mut TrustedRepository,
        answer: &BTreeMap<String, String>,
    ) -> Result<(), Error> {
        let mut names = self.store.channels();
        names.extend(
            answer
                .keys()
                .filter_map(|file| file.strip_suffix(".json")?.parse::<ChannelName>().ok()),
        );
        names.sort_unstable();
        names.dedup();
        for name in &names {
            if repository.listed_role(name.as_str()).is_err() {
                continue;
            }
            let brought = answer.get(&format!("{name}.json"));
            if let Some(text) = brought {
                if repository.accept_role(name.as_str(), text.as_bytes()).is_ok() {
                    self.store.write(Stored::Channel(name), text.as_bytes())?;
                }
            } else if let Some(copy) = self.store.read(Stored::Channel(name)) {
                let _ = repository.accept_role(name.as_str(), &copy);
            }
        }
        Ok(())
    }

    /// Makes sure that the channel `name` is trusted.
    pub(super) fn channel(
        &self,
        repository: &mut TrustedRepository,
        name: &ChannelName,
        answer: &BTreeMap<String, String>,
    ) -> Result<(), Error> {
        if repository.roles().contains_key(name.as_str()) {
            return Ok(());
        }
        let version = repository.listed_role(name.as_str())?.version;
        let brought = answer.get(&format!("{name}.json"));
        self.obtain(Stored::Channel(name), brought, &format!("{version}.{name}.json"), |bytes| {
            repository.accept_role(name.as_str(), bytes).map(|_| ())
        })
    }

    /// A document that `accept` accepts: what the answer brought, else the copy on this machine,
    /// else what the repository serves as `file`. What is new is stored.
    fn obtain<T>(
        &self,
        document: Stored<'_>,
        brought: Option<&String>,
        file: &str,
        mut accept: impl FnMut(&[u8]) -> Result<T, Refusal>,
    ) -> Result<T, Error> {
        if let Some(text) = brought {
            let accepted = accept(text.as_bytes())?;
            self.store.write(document, text.as_bytes())?;
            return Ok(accepted);
        }
        if let Some(copy) = self.store.read(document)
            && let Ok(accepted) = accept(&copy)
        {
            return Ok(accepted);
        }
        let bytes_max = self.store.bytes_max(document);
        let bytes = self.remote.metadata(self.product, file, bytes_max)?;
        let accepted = accept(&bytes)?;
        self.store.write(document, &bytes)?;
        Ok(accepted)
    }
}
