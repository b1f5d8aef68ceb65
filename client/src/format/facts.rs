//! What a machine is, as far as a release may require something of it.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{
    ComponentName, DistributionName, DistributionVersion, ParseError, Version, text_serde,
};

const SYSTEM_VERSION_EXPECTED: &str = "major.minor or major.minor.patch, for example 5.10";

/// The version of a part of the operating system: a kernel, a C library. Such versions are no
/// `SemVer`, and what follows their numbers is the distribution's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SystemVersion {
    major: u32,
    minor: u32,
    patch: u32,
}

impl SystemVersion {
    /// The version that `text` begins with, whatever follows: that of `6.1.0-18-amd64` is 6.1.
    pub fn leading(text: &str) -> Option<Self> {
        let end = text.find(|it: char| it != '.' && !it.is_ascii_digit()).unwrap_or(text.len());
        let mut numbers = text.get(..end)?.split('.').map(str::parse);
        Some(Self {
            major: numbers.next()?.ok()?,
            minor: numbers.next()?.ok()?,
            patch: numbers.next().and_then(Result::ok).unwrap_or(0),
        })
    }
}

impl FromStr for SystemVersion {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let is_plain = text.bytes().all(|byte| byte == b'.' || byte.is_ascii_digit());
        let numbers = text.split('.').collect::<Vec<_>>();
        let are_numbers = numbers.iter().all(|number| number.parse::<u32>().is_ok());
        Self::leading(text)
            .filter(|_| is_plain && are_numbers && numbers.len() <= 3)
            .ok_or_else(|| ParseError::new("version", text, SYSTEM_VERSION_EXPECTED))
    }
}

impl fmt::Display for SystemVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { major, minor, patch } = self;
        let mut text = format!("{major}.{minor}");
        if *patch > 0 {
            text = format!("{text}.{patch}");
        }
        formatter.pad(&text)
    }
}

text_serde!(SystemVersion, SYSTEM_VERSION_EXPECTED);

/// A C library and its version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Libc {
    /// The GNU C library.
    Glibc(SystemVersion),
    /// musl.
    Musl(SystemVersion),
}

impl fmt::Display for Libc {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&match self {
            Self::Glibc(version) => format!("glibc {version}"),
            Self::Musl(version) => format!("musl {version}"),
        })
    }
}

/// A distribution of an operating system, as `os-release(5)` names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Distribution {
    /// Its name, as in `debian`.
    pub name: DistributionName,
    /// Its version, where it has one that is made of numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<DistributionVersion>,
}

impl fmt::Display for Distribution {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = self.version.as_ref().map(|it| format!(" {it}")).unwrap_or_default();
        formatter.pad(&format!("{}{version}", self.name))
    }
}

/// What a machine is. What could not be found out is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Facts {
    /// The kernel that runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<SystemVersion>,
    /// The distribution of the operating system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distribution: Option<Distribution>,
    /// The C library that programs of the machine are linked with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub libc: Option<Libc>,
    /// Other programs on the machine that a release may depend on, as its administrator names
    /// them; at most [`Facts::COMPONENTS_MAX`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub components: BTreeMap<ComponentName, Version>,
}

impl Facts {
    /// The most components that a machine can have.
    pub const COMPONENTS_MAX: usize = 64;
}

impl fmt::Display for Facts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let distribution = self.distribution.as_ref().map(Distribution::to_string);
        let kernel = self.kernel.map(|kernel| format!("kernel {kernel}"));
        let libc = self.libc.map(|libc| libc.to_string());
        let components = self.components.iter().map(|(name, version)| format!("{name} {version}"));
        let facts: Vec<String> =
            distribution.into_iter().chain(kernel).chain(libc).chain(components).collect();
        formatter.pad(&if facts.is_empty() { "nothing".to_owned() } else { facts.join(", ") })
    }
}
