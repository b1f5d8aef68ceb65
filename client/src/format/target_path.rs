use std::{fmt, str::FromStr};

use super::{ChannelName, Digest, ParseError, Platform, Version, text_serde};

const EXPECTED: &str =
    "segments of A-Z, a-z, 0-9, '.', '_', '-' joined by '/', none beginning with '.'";

/// The path of a target in a product's TUF repository: `<channel>/<version>/<file>`, and of a release
/// that is retired `archive/<channel>/<version>/<file>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TargetPath(String);

impl TargetPath {
    /// Where a channel keeps the release manifest of `version`.
    pub fn manifest(channel: &ChannelName, version: &Version) -> Self {
        Self(format!("{channel}/{version}/release.json"))
    }

    /// Where a channel keeps the artifact of `version` for `platform`.
    pub fn artifact(channel: &ChannelName, version: &Version, platform: &Platform) -> Self {
        Self(format!("{channel}/{version}/{platform}.tar.zst"))
    }

    /// Where the archive keeps what a channel kept here.
    #[must_use]
    pub fn archived(&self) -> Self {
        Self(format!("{}/{self}", ChannelName::ARCHIVE))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path below `targets/` under which a repository with consistent snapshots serves the
    /// target: the digest stands before the file's name (TUF 1.0.34 §6.2).
    pub fn consistent(&self, digest: &Digest) -> String {
        match self.0.rsplit_once('/') {
            Some((folder, file)) => format!("{folder}/{digest}.{file}"),
            None => format!("{digest}.{}", self.0),
        }
    }
}

impl FromStr for TargetPath {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let segment = |part: &str| {
            !part.is_empty()
                && !part.starts_with('.')
                && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        };
        if text.len() <= 255 && text.split('/').all(segment) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ParseError::new("target path", text, EXPECTED))
        }
    }
}

impl fmt::Display for TargetPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

text_serde!(TargetPath, EXPECTED);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_leave_the_repository_are_refused() {
        for bad in ["", "/a", "a/", "a//b", "../a", "a/../b", "./a", "a\\b", "a b", "a/\u{202e}b"] {
            assert!(bad.parse::<TargetPath>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_digest_stands_before_the_file_name() {
        let path = TargetPath::manifest(
            &super::super::Channel::Security.into(),
            &"1.0.2".parse().unwrap(),
        );
        let digest = Digest::of(b"");
        assert_eq!(path.consistent(&digest), format!("security/1.0.2/{digest}.release.json"));
    }
}
