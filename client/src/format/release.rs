mod description;

use std::{collections::BTreeMap, fmt, str::FromStr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use description::{
    DataEpochs, EpochRange, HealthCheck, Hook, Hooks, RELEASE_DESCRIPTION, ReleaseDescription,
};

use super::{
    AdvisoryId, Channel, ChannelName, Digest, ParseError, Platform, PrivateChannelName,
    ProductName, Requirements, Tag, TargetPath, Version, text_serde,
};
use crate::tuf::{Target, TargetKind, TargetsCustom};

/// The format number that this program writes and reads in a release manifest.
pub const RELEASE_FORMAT: u32 = 1;

/// How much a release matters to those who do not have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Can wait for the next maintenance window.
    Minor,
    /// Should be installed soon.
    Major,
    /// Should be installed at once.
    Critical,
}

impl Severity {
    /// All severities, the least first.
    pub const ALL: [Self; 3] = [Self::Minor, Self::Major, Self::Critical];

    /// The severity's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Minor => "minor",
            Self::Major => "major",
            Self::Critical => "critical",
        }
    }
}

impl FromStr for Severity {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::ALL
            .into_iter()
            .find(|severity| severity.as_str() == text)
            .ok_or_else(|| ParseError::new("severity", text, "one of critical, major, minor"))
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

text_serde!(Severity, one of ALL);

/// The release manifest: the signed JSON target that describes one release.
///
/// Rich text lives here and not in the channel's targets role, so that a channel stays small
/// whatever its release notes say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleaseManifest {
    /// [`RELEASE_FORMAT`].
    pub format: u32,
    /// Whose release it is.
    pub product: ProductName,
    /// The version.
    pub version: Version,
    /// The kind of the release.
    pub channel: Channel,
    /// The private channel that lists it, where it is a custom build for one customer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub private_channel: Option<PrivateChannelName>,
    /// How much the release matters.
    pub severity: Severity,
    /// When the vendor published it, stamped from the server's clock as the vendor signed.
    pub published_at: Timestamp,
    /// From when on a contract must have run to cover it; never after `published_at`.
    pub effective_at: Timestamp,
    /// What the release fixes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub advisories: Vec<AdvisoryId>,
    /// Add-ons that a contract must have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requires_addons: Vec<Tag>,
    /// Audiences of which a contract must have one; empty for everybody.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub audience: Vec<Tag>,
    /// Whether a security release is given to every owner of its line, in term or not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub courtesy: bool,
    /// The lowest version that can be updated to this release in one step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_from: Option<Version>,
    /// The lowest version that a rollback may reach once this release is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub floor: Option<Version>,
    /// What changed, for people.
    pub notes: String,
    /// The artifact for each platform.
    pub artifacts: BTreeMap<Platform, Artifact>,
}

/// The packed tree of one release for one platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Artifact {
    /// Length of the compressed artifact in bytes.
    pub length: u64,
    /// Digest of the compressed artifact.
    pub sha256: Digest,
    /// Length of the payload (the uncompressed bytes); bounds decompression.
    pub payload_length: u64,
    /// Digest of the payload.
    pub payload_sha256: Digest,
    /// The binary logarithm of the window that decompression needs, in bytes.
    pub window_log: u32,
    /// How a machine finds out whether the release works.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<HealthCheck>,
    /// What runs before and after the switch to the release.
    #[serde(default, skip_serializing_if = "Hooks::is_empty")]
    pub hooks: Hooks,
    /// Which forms of the program's data the release reads and writes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<DataEpochs>,
    /// What a machine must have to be updated to the release.
    #[serde(default, skip_serializing_if = "Requirements::is_empty")]
    pub requires: Requirements,
}

impl Artifact {
    /// How the release is looked after, as its tree says.
    pub fn description(&self) -> ReleaseDescription {
        let Self { health, hooks, data, requires, .. } = self.clone();
        ReleaseDescription { health, hooks, data, requires }
    }
}

impl ReleaseManifest {
    /// The most platforms that one release may have.
    pub const ARTIFACTS_MAX: usize = 64;
    /// The longest release notes, in bytes.
    pub const NOTES_BYTES_MAX: usize = 64 * 1024;
    /// The largest window, so that no release asks more than 128 MiB of a machine.
    pub const WINDOW_LOG_MAX: u32 = 27;
    /// The largest payload, in bytes (256 GiB).
    pub const PAYLOAD_BYTES_MAX: u64 = 256 << 30;

    /// The path of the manifest in the product's repository.
    pub fn path(&self) -> TargetPath {
        TargetPath::manifest(&self.channel_name(), &self.version)
    }

    /// The path of the artifact for `platform` in the product's repository.
    pub fn artifact_path(&self, platform: &Platform) -> TargetPath {
        TargetPath::artifact(&self.channel_name(), &self.version, platform)
    }

    /// The name of the targets role that lists the release.
    pub fn channel_name(&self) -> ChannelName {
        match &self.private_channel {
            Some(private) => private.clone().into(),
            None => self.channel.into(),
        }
    }

    /// The targets by which the release's channel lists it; `bytes` are the manifest's own.
    pub fn targets(&self, bytes: &[u8]) -> serde_json::Result<BTreeMap<String, Target>> {
        let custom = |kind| TargetsCustom { kind, version: self.version.clone() };
        let release = custom(TargetKind::Release { floor: self.floor.clone() });
        let listed = Target::new(bytes.len() as u64, Digest::of(bytes), &release)?;
        let mut targets = BTreeMap::from([(self.path().to_string(), listed)]);
        for (platform, artifact) in &self.artifacts {
            let custom = custom(TargetKind::Artifact { platform: platform.clone() });
            let target = Target::new(artifact.length, artifact.sha256, &custom)?;
            targets.insert(self.artifact_path(platform).to_string(), target);
        }
        Ok(targets)
    }

    /// Everything that is wrong with the manifest, judged by itself.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut expect = |holds: bool, problem: &dyn Fn() -> String| {
            if !holds {
                problems.push(problem());
            }
        };
        expect(self.format == RELEASE_FORMAT, &|| {
            format!("format is {}: expected {RELEASE_FORMAT}", self.format)
        });
        expect(self.channel.admits(&self.version), &|| {
            format!(
                "version {} does not fit channel {}: expected {}",
                self.version,
                self.channel,
                self.channel.version_form()
            )
        });
        expect(self.effective_at <= self.published_at, &|| {
            format!(
                "effective_at {} is after published_at {}: expected the same or earlier",
                self.effective_at, self.published_at
            )
        });
        let may_backdate = matches!(self.channel, Channel::Bugfix | Channel::Security);
        expect(may_backdate || self.effective_at == self.published_at, &|| {
            format!("effective_at is set on channel {}: expected bugfix or security", self.channel)
        });
        expect(!self.courtesy || self.channel == Channel::Security, &|| {
            format!("courtesy is set on channel {}: expected security", self.channel)
        });
        expect(self.min_from.as_ref().is_none_or(|from| *from < self.version), &|| {
            format!("min_from is not below the version {}", self.version)
        });
        expect(self.floor.as_ref().is_none_or(|floor| *floor <= self.version), &|| {
            format!("floor is above the version {}", self.version)
        });
        expect(self.notes.len() <= Self::NOTES_BYTES_MAX, &|| {
            format!(
                "notes are {} bytes: expected at most {}",
                self.notes.len(),
                Self::NOTES_BYTES_MAX
            )
        });
        expect((1..=Self::ARTIFACTS_MAX).contains(&self.artifacts.len()), &|| {
            format!("{} platforms: expected 1 to {}", self.artifacts.len(), Self::ARTIFACTS_MAX)
        });
        for (platform, artifact) in &self.artifacts {
            expect(artifact.window_log <= Self::WINDOW_LOG_MAX, &|| {
                format!(
                    "{platform}: window_log is {}: expected at most {}",
                    artifact.window_log,
                    Self::WINDOW_LOG_MAX
                )
            });
            expect(artifact.payload_length <= Self::PAYLOAD_BYTES_MAX, &|| {
                format!(
                    "{platform}: payload is {} bytes: expected at most {}",
                    artifact.payload_length,
                    Self::PAYLOAD_BYTES_MAX
                )
            });
        }
        let description_problems = self.artifacts.iter().flat_map(|(platform, artifact)| {
            let found = artifact.description().problems();
            found.into_iter().map(move |problem| format!("{platform}: {problem}"))
        });
        problems.extend(description_problems);
        problems.extend(self.custom_build_problems());
        problems
    }

    /// What is wrong with the manifest as one of a custom build, where it is one: that is a patch of a
    /// line that everybody knows, and its version is none that the releases for everybody will want.
    pub fn custom_build_problems(&self) -> Vec<String> {
        let Self { version, channel, .. } = self;
        let mut problems = Vec::new();
        if self.private_channel.is_none() {
            return problems;
        }
        if !matches!(channel, Channel::Bugfix | Channel::Security) {
            problems.push(format!(
                "a custom build is set on channel {channel}: expected bugfix or security, because \
                 it opens no line"
            ));
        }
        if !version.is_prerelease() {
            problems.push(format!(
                "version {version} of a custom build is one for everybody: expected X.Y.Z-NAME.N, \
                 which comes before X.Y.Z, for example {version}-custom.1"
            ));
        }
        if !self.audience.is_empty() {
            let problem = "audience is set on a custom build: expected none, because it is for the \
                           customer of its private channel alone";
            problems.push(problem.to_owned());
        }
        problems
    }
}

#[cfg(test)]
mod tests;
