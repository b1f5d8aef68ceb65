use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

/// By which way the payload of a version came to a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Fetched {
    /// By what.
    pub by: FetchedBy,
    /// How many bytes the deltas or the artifact have.
    pub bytes: u64,
    /// The ways that were tried before and came to nothing, at most [`Fetched::FAILED_MAX`].
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "not_too_many")]
    pub failed: Vec<FailedWay>,
}

impl Fetched {
    /// The most ways that came to nothing.
    pub const FAILED_MAX: usize = 8;
}

/// What a payload is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum FetchedBy {
    /// One or more deltas, and what was installed.
    Delta,
    /// The artifact.
    Full,
}

impl FetchedBy {
    /// Its stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Delta => "delta",
            Self::Full => "full",
        }
    }
}

impl fmt::Display for FetchedBy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// A way that came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct FailedWay {
    /// By what.
    pub by: FetchedBy,
    /// Why it came to nothing, at most [`FailedWay::WHY_CHARS_MAX`] characters, none of which is a
    /// control character.
    #[serde(deserialize_with = "one_line")]
    pub why: String,
}

impl FailedWay {
    /// The longest reason, in characters.
    pub const WHY_CHARS_MAX: usize = 300;

    /// A way that came to nothing for `why`, of which the beginning is kept.
    pub fn new(by: FetchedBy, why: &str) -> Self {
        let printable = why.chars().map(|it| if it.is_control() { ' ' } else { it });
        Self { by, why: printable.take(Self::WHY_CHARS_MAX).collect() }
    }
}

fn not_too_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<FailedWay>, D::Error> {
    let failed = Vec::<FailedWay>::deserialize(deserializer)?;
    if failed.len() <= Fetched::FAILED_MAX {
        return Ok(failed);
    }
    let (found, most) = (failed.len(), Fetched::FAILED_MAX);
    Err(D::Error::custom(format!("{found} ways that came to nothing: expected at most {most}")))
}

fn one_line<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.chars().count() <= FailedWay::WHY_CHARS_MAX && !text.contains(char::is_control) {
        return Ok(text);
    }
    let most = FailedWay::WHY_CHARS_MAX;
    Err(D::Error::custom(format!(
        "why a way came to nothing: expected at most {most} characters, none of them a control character"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Fetched, serde_json::Error> {
        serde_json::from_str(text)
    }

    #[test]
    fn what_is_written_is_read() {
        let why = FailedWay::new(FetchedBy::Delta, &format!("the\u{1b}[31m {}", "x".repeat(400)));
        assert_eq!(why.why.chars().count(), FailedWay::WHY_CHARS_MAX);
        let failed = vec![why; Fetched::FAILED_MAX];
        for fetched in [
            Fetched { by: FetchedBy::Full, bytes: u64::MAX, failed },
            Fetched { by: FetchedBy::Delta, bytes: 0, failed: Vec::new() },
        ] {
            let text = serde_json::to_string(&fetched).unwrap();
            assert_eq!(read(&text).unwrap(), fetched);
        }
        assert_eq!(
            read(r#"{"by":"delta","bytes":12}"#).unwrap(),
            Fetched { by: FetchedBy::Delta, bytes: 12, failed: Vec::new() }
        );
    }

    #[test]
    fn more_than_anybody_wants_to_know_is_refused() {
        let failed = |why: &str, count: usize| {
            let one = format!(r#"{{"by":"delta","why":"{why}"}}"#);
            format!(r#"{{"by":"full","bytes":1,"failed":[{}]}}"#, vec![one; count].join(","))
        };
        assert!(read(&failed("no", Fetched::FAILED_MAX)).is_ok());
        for text in [
            failed("no", Fetched::FAILED_MAX + 1),
            failed(&"x".repeat(FailedWay::WHY_CHARS_MAX + 1), 1),
            failed("a\\u001bb", 1),
            r#"{"by":"carrier pigeon","bytes":1}"#.to_owned(),
            r#"{"by":"full","bytes":-1}"#.to_owned(),
            r#"{"by":"full","bytes":1,"more":1}"#.to_owned(),
        ] {
            assert!(read(&text).is_err(), "{text}");
        }
    }
}
