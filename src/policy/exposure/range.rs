use std::{fmt, str::FromStr};

use mainstay_client::format::Version;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A range of versions that an advisory is about: from the first that is affected up to one that is not,
/// by the order of versions alone, so that pre-releases and custom builds lie in it where they come.
/// As text: `2.1.0..2.4.0`, or `2.1.0..` without an end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct AffectedRange {
    /// The first version that is affected.
    pub introduced: Version,
    /// The first version above it that is not; nothing where all are.
    pub before: Option<Version>,
}

impl AffectedRange {
    /// Whether the version lies in it.
    pub fn contains(&self, version: &Version) -> bool {
        self.introduced <= *version && self.before.as_ref().is_none_or(|before| version < before)
    }
}

/// Text that is no range of affected versions.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no range of affected versions: expected the first that is affected and the first after it \
     that is not, such as 2.1.0..2.4.0, or 2.1.0.. where all are"
)]
pub struct RangeError(String);

impl FromStr for AffectedRange {
    type Err = RangeError;

    fn from_str(text: &str) -> Result<Self, RangeError> {
        let parse = || {
            let (introduced, before) = text.split_once("..")?;
            let introduced: Version = introduced.parse().ok()?;
            let before = match before {
                "" => None,
                before => Some(before.parse().ok().filter(|before| introduced < *before)?),
            };
            Some(Self { introduced, before })
        };
        parse().ok_or_else(|| {
            RangeError(text.chars().take(80).collect::<String>().escape_debug().to_string())
        })
    }
}

impl fmt::Display for AffectedRange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let before = self.before.as_ref().map(ToString::to_string).unwrap_or_default();
        write!(formatter, "{}..{before}", self.introduced)
    }
}

impl TryFrom<String> for AffectedRange {
    type Error = RangeError;

    fn try_from(text: String) -> Result<Self, RangeError> {
        text.parse()
    }
}

impl From<AffectedRange> for String {
    fn from(range: AffectedRange) -> Self {
        range.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_its_beginning_and_not_its_end() {
        let range: AffectedRange = "2.1.0..2.4.0".parse().unwrap();
        let has = |version: &str| range.contains(&version.parse().unwrap());
        assert!(has("2.1.0") && has("2.3.9") && has("2.4.0-custom.1"));
        assert!(!has("2.1.0-rc.1") && !has("2.4.0"));
        let open: AffectedRange = "2.1.0..".parse().unwrap();
        assert!(open.contains(&"9.0.0".parse().unwrap()));
        for text in ["2.1.0..2.4.0", "2.1.0.."] {
            assert_eq!(text.parse::<AffectedRange>().unwrap().to_string(), text);
        }
        for bad in ["", "..", "2.1.0", "2.1..2.4", "2.4.0..2.4.0", "2.4.0..2.1.0", ">=2.1.0"] {
            let error = bad.parse::<AffectedRange>().unwrap_err().to_string();
            assert!(error.contains("expected the first that is affected"), "{error}");
        }
    }
}
