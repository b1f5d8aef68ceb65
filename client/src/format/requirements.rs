//! What a release requires of a machine, and what a machine lacks of that. Pure.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{ComponentName, Facts, Libc, ParseError, SystemVersion, Version, text_serde};

const RANGE_EXPECTED: &str = "a range of SemVer versions of at most 128 characters, such as \
                              >=15.2, <17";

/// A range of versions, as Cargo writes them: comparators that all must hold, separated by commas.
/// A version alone means that or a later compatible one; a pre-release fits only a range that names
/// one of the same version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionRange(semver::VersionReq);

impl VersionRange {
    /// Whether the version is in the range.
    pub fn contains(&self, version: &Version) -> bool {
        self.0.matches(version.as_semver())
    }
}

impl FromStr for VersionRange {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let range = semver::VersionReq::parse(text).ok().filter(|_| text.len() <= 128);
        range.map(Self).ok_or_else(|| ParseError::new("range", text, RANGE_EXPECTED))
    }
}

impl fmt::Display for VersionRange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0.to_string())
    }
}

text_serde!(VersionRange, RANGE_EXPECTED);

/// What a release requires of a machine that is to be updated to it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Requirements {
    /// The lowest kernel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<SystemVersion>,
    /// The lowest GNU C library. Where [`musl`](Self::musl) stands there too, either will do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub glibc: Option<SystemVersion>,
    /// The lowest musl.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub musl: Option<SystemVersion>,
    /// Other programs that must be on the machine, and in which versions.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub components: BTreeMap<ComponentName, VersionRange>,
    /// How many bytes must be free besides what the download, the tree and the copies of the data
    /// take.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub free_bytes: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Requirements {
    /// The most free space that a release can ask for, in bytes (1 PiB).
    pub const FREE_BYTES_MAX: u64 = 1 << 50;

    /// Whether nothing is required.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Everything that is wrong with the requirements.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let components = self.components.len();
        if components > Facts::COMPONENTS_MAX {
            problems.push(format!(
                "requires.components has {components} entries: expected at most {}",
                Facts::COMPONENTS_MAX
            ));
        }
        if self.free_bytes > Self::FREE_BYTES_MAX {
            problems.push(format!(
                "requires.free_bytes is {}: expected at most {}",
                self.free_bytes,
                Self::FREE_BYTES_MAX
            ));
        }
        problems
    }

    /// All that a machine with these facts lacks of what is required, but for space, of which facts
    /// say nothing. What could not be found out is lacking: a release that says what it needs is
    /// not tried where that may not be there.
    pub fn missing(&self, facts: &Facts) -> Vec<Missing> {
        let mut missing = Vec::new();
        if let Some(required) = self.kernel
            && facts.kernel.is_none_or(|found| found < required)
        {
            missing.push(Missing::Kernel { required, found: facts.kernel });
        }
        let glibc = self.glibc.map(Libc::Glibc);
        let required: Vec<Libc> = glibc.into_iter().chain(self.musl.map(Libc::Musl)).collect();
        let suffices = |required: &Libc| match (required, facts.libc) {
            (Libc::Glibc(least), Some(Libc::Glibc(found)))
            | (Libc::Musl(least), Some(Libc::Musl(found))) => *least <= found,
            _ => false,
        };
        if !required.is_empty() && !required.iter().any(suffices) {
            missing.push(Missing::Libc { required, found: facts.libc });
        }
        for (name, required) in &self.components {
            let found = facts.components.get(name);
            if !found.is_some_and(|found| required.contains(found)) {
                missing.push(Missing::Component {
                    name: name.clone(),
                    required: required.clone(),
                    found: found.cloned(),
                });
            }
        }
        missing
    }
}

/// Something that a machine lacks and a release requires. As text it is a sentence without its
/// full stop.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Missing {
    /// A kernel that is new enough.
    Kernel {
        /// The lowest.
        required: SystemVersion,
        /// The one that runs, where that is known.
        found: Option<SystemVersion>,
    },
    /// A C library that is new enough.
    Libc {
        /// Those of which one would do.
        required: Vec<Libc>,
        /// The one that is there, where that is known.
        found: Option<Libc>,
    },
    /// Another program, in a version that fits.
    Component {
        /// Which.
        name: ComponentName,
        /// The versions that fit.
        required: VersionRange,
        /// The version that is there, if it is.
        found: Option<Version>,
    },
    /// Free space.
    Space {
        /// How many bytes must be free.
        required: u64,
        /// How many are.
        found: u64,
        /// A path on the file system that it is about.
        path: String,
    },
    /// The consent of the command that the machine's administrator has set.
    Consent {
        /// What it said instead.
        said: String,
    },
}

impl Missing {
    /// What is missing, as a stable name.
    pub fn what(&self) -> String {
        match self {
            Self::Kernel { .. } => "kernel".to_owned(),
            Self::Libc { .. } => "libc".to_owned(),
            Self::Component { name, .. } => format!("component {name}"),
            Self::Space { .. } => "space".to_owned(),
            Self::Consent { .. } => "consent".to_owned(),
        }
    }

    /// What there should be, for people; nothing where only the machine's administrator knows.
    pub fn required(&self) -> Option<String> {
        match self {
            Self::Kernel { required, .. } => Some(required.to_string()),
            Self::Libc { required, .. } => {
                let names: Vec<String> = required.iter().map(Libc::to_string).collect();
                Some(names.join(" or "))
            }
            Self::Component { required, .. } => Some(required.to_string()),
            Self::Space { required, .. } => Some(required.to_string()),
            Self::Consent { .. } => None,
        }
    }

    /// What there is instead; nothing where nothing is there, or nothing is known.
    pub fn found(&self) -> Option<String> {
        match self {
            Self::Kernel { found, .. } => found.map(|it| it.to_string()),
            Self::Libc { found, .. } => found.map(|it| it.to_string()),
            Self::Component { found, .. } => found.as_ref().map(Version::to_string),
            Self::Space { found, .. } => Some(found.to_string()),
            Self::Consent { .. } => None,
        }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let required = self.required().unwrap_or_default();
        let found = self.found();
        let known = found.as_deref().unwrap_or("not known");
        match self {
            Self::Kernel { .. } => {
                write!(formatter, "kernel {required} or later is required, this one is {known}")
            }
            Self::Libc { .. } => {
                write!(formatter, "{required} or later is required, the C library here is {known}")
            }
            Self::Component { name, .. } => {
                let found = found.as_deref().unwrap_or("not there, as far as is known");
                write!(formatter, "{name} {required} is required, it is {found}")
            }
            Self::Space { path, .. } => write!(
                formatter,
                "{required} bytes of free space are required at {path}, there are {}",
                found.unwrap_or_default()
            ),
            Self::Consent { said } => write!(formatter, "{said}"),
        }
    }
}

/// What is missing, in one sentence without its full stop.
pub fn in_words(missing: &[Missing]) -> String {
    missing.iter().map(Missing::to_string).collect::<Vec<_>>().join("; ")
}

/// That a machine does not install the version, and all that is missing.
pub fn refusal(version: &Version, missing: &[Missing]) -> String {
    format!("{version} cannot be installed on this machine: {}", in_words(missing))
}

#[cfg(test)]
mod tests;
