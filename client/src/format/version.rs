use std::{fmt, str::FromStr};

use super::{ParseError, text_serde};

const VERSION_EXPECTED: &str =
    "a SemVer 2.0 version of at most 64 characters without build metadata, such as 2.4.1";
const LINE_EXPECTED: &str = "major.minor, for example 2.4";

/// A SemVer 2.0 version without build metadata.
///
/// Build metadata does not take part in precedence (SemVer 2.0 §10), so two releases that differ in
/// nothing else could not be ordered; it is refused.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(semver::Version);

impl Version {
    /// The line that the version belongs to.
    pub fn line(&self) -> LineName {
        LineName { major: self.0.major, minor: self.0.minor }
    }

    /// Whether the version opens its line: X.Y.0 and not a pre-release.
    pub fn opens_line(&self) -> bool {
        self.0.patch == 0 && !self.is_prerelease()
    }

    /// Whether the version is a pre-release such as `2.5.0-rc.1`.
    pub fn is_prerelease(&self) -> bool {
        !self.0.pre.is_empty()
    }

    pub(super) fn as_semver(&self) -> &semver::Version {
        &self.0
    }
}

impl FromStr for Version {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let refuse = || ParseError::new("version", text, VERSION_EXPECTED);
        if text.len() > 64 {
            return Err(refuse());
        }
        let version = semver::Version::parse(text).map_err(|_| refuse())?;
        // JSON numbers and the order of sled keys both want a bound.
        let bounded = [version.major, version.minor, version.patch]
            .iter()
            .all(|part| u32::try_from(*part).is_ok());
        if version.build.is_empty() && bounded { Ok(Self(version)) } else { Err(refuse()) }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

text_serde!(Version, VERSION_EXPECTED);

/// A line: `major.minor`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LineName {
    /// The X of X.Y.
    pub major: u64,
    /// The Y of X.Y.
    pub minor: u64,
}

impl FromStr for LineName {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        text.split_once('.')
            .and_then(|(major, minor)| {
                let version = format!("{major}.{minor}.0").parse::<Version>().ok()?;
                (!version.is_prerelease()).then(|| version.line())
            })
            .ok_or_else(|| ParseError::new("line", text, LINE_EXPECTED))
    }
}

impl fmt::Display for LineName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&format!("{}.{}", self.major, self.minor))
    }
}

text_serde!(LineName, LINE_EXPECTED);

/// The kind of a release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    /// A patch release (X.Y.Z, Z > 0) that mends defects.
    Bugfix,
    /// A patch release (X.Y.Z, Z > 0) that closes vulnerabilities.
    Security,
    /// Opens a line X.Y.0, Y > 0.
    Feature,
    /// Opens X.0.0.
    Major,
}

impl Channel {
    /// All channels, in the order in which the product's targets role delegates to them.
    pub const ALL: [Self; 4] = [Self::Security, Self::Bugfix, Self::Feature, Self::Major];

    /// The channel's name, also that of its targets role.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bugfix => "bugfix",
            Self::Security => "security",
            Self::Feature => "feature",
            Self::Major => "major",
        }
    }

    /// Whether a release of this channel may carry `version`: the step that the version takes from
    /// its predecessors must be the one that the channel stands for.
    pub fn admits(self, version: &Version) -> bool {
        let semver::Version { minor, patch, .. } = version.0;
        match self {
            Self::Bugfix | Self::Security => patch > 0,
            Self::Feature => minor > 0 && patch == 0,
            Self::Major => minor == 0 && patch == 0,
        }
    }

    /// The form of version that the channel admits, in words.
    pub const fn version_form(self) -> &'static str {
        match self {
            Self::Bugfix | Self::Security => "X.Y.Z with Z > 0",
            Self::Feature => "X.Y.0 with Y > 0",
            Self::Major => "X.0.0",
        }
    }
}

impl FromStr for Channel {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::ALL.into_iter().find(|channel| channel.as_str() == text).ok_or_else(|| {
            ParseError::new("channel", text, "one of bugfix, security, feature, major")
        })
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

text_serde!(Channel, one of ALL);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_without_an_order_are_refused() {
        for bad in ["1", "1.2", "1.2.3+build", "01.2.3", "v1.2.3", "", "1.2.3-", "4294967296.0.0"] {
            assert!(bad.parse::<Version>().is_err(), "{bad}");
        }
        assert!("1.2.3-rc.1".parse::<Version>().unwrap() < "1.2.3".parse().unwrap());
    }

    #[test]
    fn channel_and_step_agree() {
        let admitted = |version: &str| {
            let version = version.parse().unwrap();
            Channel::ALL.into_iter().filter(|c| c.admits(&version)).map(Channel::as_str).collect()
        };
        let table: [(&str, Vec<&str>); 4] = [
            ("2.0.0", vec!["major"]),
            ("2.1.0", vec!["feature"]),
            ("2.1.1", vec!["security", "bugfix"]),
            ("2.0.1", vec!["security", "bugfix"]),
        ];
        for (version, expected) in table {
            assert_eq!(
                expected,
                {
                    let found: Vec<&str> = admitted(version);
                    found
                },
                "{version}"
            );
        }
    }

    #[test]
    fn lines_parse_and_order_by_number() {
        assert!("2.10".parse::<LineName>().unwrap() > "2.9".parse().unwrap());
        for bad in ["2", "2.x", "2.4.1", "", "2.4-rc"] {
            assert!(bad.parse::<LineName>().is_err(), "{bad}");
        }
    }
}
