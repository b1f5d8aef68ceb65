use std::collections::BTreeMap;

use jiff::Timestamp;
use mainstay_client::{
    format::{Channel, PrivateChannelName, ProductName, ReleaseManifest, Version},
    tuf::{Target, Targets, TrustedRepository},
};

use crate::{
    limits::Limits,
    store::{PrivateChannelRecord, ReleaseRecord},
};

/// A release that somebody wants to publish, next to what is published.
pub(super) struct Candidate<'a> {
    pub(super) product: &'a ProductName,
    pub(super) manifest: &'a ReleaseManifest,
    pub(super) manifest_bytes: &'a [u8],
    pub(super) previous: Option<&'a Targets>,
    pub(super) next: &'a Targets,
    pub(super) releases: &'a [ReleaseRecord],
    pub(super) private_channels: &'a [PrivateChannelRecord],
    pub(super) now: Timestamp,
    pub(super) limits: &'a Limits,
}

impl Candidate<'_> {
    /// Everything that is wrong with the release but for its signatures and its artifacts' bytes.
    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = self.manifest.problems();
        problems.extend(self.history_problems());
        problems.extend(self.time_problems());
        problems.extend(self.channel_problems());
        problems.extend(self.private_channel_problem());
        problems
    }

    fn history_problems(&self) -> Vec<String> {
        let ReleaseManifest { product, version, channel, .. } = self.manifest;
        let mut problems = Vec::new();
        if product != self.product {
            problems
                .push(format!("the manifest is for product {product}: this is {}", self.product));
        }
        let mut published = self.releases.iter().map(|release| &release.release);
        if published.clone().any(|release| release.version == *version) {
            problems.push(format!("version {version} is published already"));
        }
        problems.extend(self.named_builds());
        let line = version.line();
        let is_patch = matches!(channel, Channel::Bugfix | Channel::Security);
        let line_is_open =
            published.any(|release| release.version.line() == line && release.version.opens_line());
        if is_patch && !line_is_open {
            problems.push(format!(
                "version {version} patches the line {line}, which no release opens: publish \
                 {line}.0 first"
            ));
        }
        problems
    }

    /// A release names no custom build to those who must not learn of it: all but the customer whose
    /// build it is.
    fn named_builds(&self) -> Vec<String> {
        let ReleaseManifest { min_from, floor, private_channel, .. } = self.manifest;
        let named = [("min_from", min_from), ("floor", floor)];
        let named = named.into_iter().filter_map(|(what, version)| Some((what, version.as_ref()?)));
        let customer = |channel| self.private_channel(channel).map(|known| &known.customer);
        let own = private_channel.as_ref().and_then(customer);
        let is_anothers = |version: &Version| {
            let release = self.releases.iter().find(|known| known.release.version == *version);
            let channel = release.and_then(|release| release.release.private_channel.as_ref());
            channel.is_some_and(|channel| own.is_none() || customer(channel) != own)
        };
        named
            .filter(|(_, version)| is_anothers(version))
            .map(|(what, version)| {
                format!(
                    "{what} is {version}, a custom build that others must not learn of: expected \
                     another version"
                )
            })
            .collect()
    }

    /// What keeps a custom build from its private channel.
    fn private_channel_problem(&self) -> Option<String> {
        let name = self.manifest.private_channel.as_ref()?;
        let Some(channel) = self.private_channel(name) else {
            return Some(format!(
                "private channel {name} is nobody's: expected one that `mainstay channel create` \
                 has made"
            ));
        };
        channel.ended_at.map(|ended_at| {
            format!(
                "private channel {name} has ended at {ended_at}: nothing is published in it any more"
            )
        })
    }

    fn private_channel(&self, name: &PrivateChannelName) -> Option<&PrivateChannelRecord> {
        self.private_channels.iter().find(|channel| channel.name == *name)
    }

    fn time_problems(&self) -> Vec<String> {
        let published_at = self.manifest.published_at;
        let ahead = published_at.duration_since(self.now);
        let behind = self.now.duration_since(published_at);
        let exceeds = |span: jiff::SignedDuration, max: std::time::Duration| {
            std::time::Duration::try_from(span).is_ok_and(|span| span > max)
        };
        let Limits { published_ahead_max, published_behind_max, .. } = *self.limits;
        if exceeds(ahead, published_ahead_max) || exceeds(behind, published_behind_max) {
            return vec![format!(
                "published_at is {published_at}: expected at most {} s after and {} s before the \
                 server's time, {}",
                published_ahead_max.as_secs(),
                published_behind_max.as_secs(),
                self.now
            )];
        }
        Vec::new()
    }

    /// The channel must be the previous one with exactly this release's targets added.
    fn channel_problems(&self) -> Vec<String> {
        let expected = match self.expected_targets() {
            Ok(expected) => expected,
            Err(error) => return vec![format!("the manifest cannot be listed: {error}")],
        };
        let mut problems = Vec::new();
        let empty = BTreeMap::new();
        let previous = self.previous.map_or(&empty, |previous| &previous.targets);
        let version = self.previous.map_or(0, |previous| previous.header.version.get()) + 1;
        if self.next.header.version.get() != version {
            problems.push(format!(
                "channel {} has version {}: expected {version}",
                self.manifest.channel_name(),
                self.next.header.version
            ));
        }
        let problem = self.next.channel_problem();
        problems.extend(
            problem.map(|problem| format!("channel {} {problem}", self.manifest.channel_name())),
        );
        let most = self.limits.channel_targets_max;
        if self.next.targets.len() > most {
            problems.push(format!(
                "channel {} lists {} targets: expected at most {most}; move old releases to the \
                 archive first (mainstay release retire)",
                self.manifest.channel_name(),
                self.next.targets.len()
            ));
        }
        for (path, target) in previous {
            if self.next.targets.get(path) != Some(target) {
                problems.push(format!("target {path} was published and is missing or changed"));
            }
        }
        for (path, target) in &expected {
            if self.next.targets.get(path) != Some(target) {
                problems.push(format!("target {path} is missing or not what the manifest says"));
            }
        }
        for path in self.next.targets.keys() {
            if !previous.contains_key(path) && !expected.contains_key(path) {
                problems.push(format!("target {path} does not belong to this release"));
            }
        }
        problems
    }

    /// A client must find each target by the vendor's delegations, and find this channel's.
    pub(super) fn lookup_problems(&self, repository: &TrustedRepository) -> Vec<String> {
        let name = self.manifest.channel_name();
        let channel = repository.roles().get(name.as_str());
        let artifacts = self.manifest.artifacts.keys();
        let paths = artifacts.map(|platform| self.manifest.artifact_path(platform));
        std::iter::once(self.manifest.path())
            .chain(paths)
            .filter_map(|path| match repository.target(&path) {
                Err(refusal) => Some(refusal.to_string()),
                Ok(found) => {
                    let listed = channel.and_then(|channel| channel.targets.get(path.as_str()));
                    (listed != Some(found)).then(|| {
                        format!(
                            "target {path} is also listed by a role that is asked before channel \
                             {name}: a machine would take that one"
                        )
                    })
                }
            })
            .collect()
    }

    fn expected_targets(&self) -> serde_json::Result<BTreeMap<String, Target>> {
        self.manifest.targets(self.manifest_bytes)
    }
}
