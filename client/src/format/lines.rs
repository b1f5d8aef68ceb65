use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::LineName;
#[cfg(feature = "schema")]
use super::schema;

/// The dates of a product's lines, as the vendor signs them in the top-level targets.
///
/// They are well formed: each line says something, in whole seconds, and comes to its ends in
/// order. A line stands there once, for they are a map.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "BTreeMap<LineName, LineDates>", into = "BTreeMap<LineName, LineDates>")]
pub struct Lines(BTreeMap<LineName, LineDates>);

/// The dates of one line, all of them in whole seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LineDates {
    /// When it became generally available; absent for when its opening release was published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<schema::Instant>"))]
    pub ga: Option<Timestamp>,
    /// From when on its patch releases need extended support (end of support).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<schema::Instant>"))]
    pub eos: Option<Timestamp>,
    /// From when on its patch releases are for nobody (end of life).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "schema", schemars(with = "Option<schema::Instant>"))]
    pub eol: Option<Timestamp>,
}

impl LineDates {
    /// Whether they say nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn named(&self) -> [(&'static str, Option<Timestamp>); 3] {
        [("ga", self.ga), ("eos", self.eos), ("eol", self.eol)]
    }

    fn problem(&self, line: LineName) -> Option<LinesError> {
        if self.is_empty() {
            return Some(LinesError::Empty { line });
        }
        let dates = self.named();
        let mut said = dates.iter().filter_map(|(name, date)| Some((*name, (*date)?)));
        if let Some((name, date)) = said.clone().find(|(_, date)| date.subsec_nanosecond() != 0) {
            return Some(LinesError::Fraction { line, name, date });
        }
        let (mut earlier, mut before) = said.next()?;
        for (name, date) in said {
            if date < before {
                return Some(LinesError::Order { line, name, date, earlier, before });
            }
            (earlier, before) = (name, date);
        }
        None
    }
}

/// Dates of lines that are not well formed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinesError {
    /// There are more lines than are taken.
    #[error("{found} lines: expected at most {}", Lines::COUNT_MAX)]
    TooMany {
        /// How many there are.
        found: usize,
    },
    /// A line stands there and has no date.
    #[error("line {line} has no date: expected ga, eos or eol, or the line left out")]
    Empty {
        /// The line.
        line: LineName,
    },
    /// A date has a fraction of a second.
    #[error("{name} of line {line} is {date}: expected whole seconds")]
    Fraction {
        /// The line.
        line: LineName,
        /// Which date.
        name: &'static str,
        /// The date.
        date: Timestamp,
    },
    /// A date lies before the one that it must follow.
    #[error(
        "{name} of line {line} is {date}: expected it at or after its {earlier}, which is {before}"
    )]
    Order {
        /// The line.
        line: LineName,
        /// Which date.
        name: &'static str,
        /// The date.
        date: Timestamp,
        /// Which date it must follow.
        earlier: &'static str,
        /// That date.
        before: Timestamp,
    },
}

impl Lines {
    /// How many lines may have dates. A product's record, which repeats them, is bounded by 64 KiB,
    /// and a line takes 130 bytes of it at most.
    pub const COUNT_MAX: usize = 250;

    /// Whether no line has a date.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The dates of `line`; all absent where nothing is said of it.
    pub fn dates(&self, line: LineName) -> LineDates {
        self.0.get(&line).copied().unwrap_or_default()
    }

    /// The lines and their dates, the lowest line first.
    pub fn iter(&self) -> impl Iterator<Item = (LineName, LineDates)> {
        self.0.iter().map(|(line, dates)| (*line, *dates))
    }

    /// The same with other dates of `line`; dates that say nothing take the line out.
    pub fn with(&self, line: LineName, dates: LineDates) -> Result<Self, LinesError> {
        let mut lines = self.0.clone();
        if dates.is_empty() {
            lines.remove(&line);
        } else {
            lines.insert(line, dates);
        }
        Self::try_from(lines)
    }
}

impl TryFrom<BTreeMap<LineName, LineDates>> for Lines {
    type Error = LinesError;

    fn try_from(lines: BTreeMap<LineName, LineDates>) -> Result<Self, LinesError> {
        if lines.len() > Self::COUNT_MAX {
            return Err(LinesError::TooMany { found: lines.len() });
        }
        match lines.iter().find_map(|(line, dates)| dates.problem(*line)) {
            Some(problem) => Err(problem),
            None => Ok(Self(lines)),
        }
    }
}

impl From<Lines> for BTreeMap<LineName, LineDates> {
    fn from(lines: Lines) -> Self {
        lines.0
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::tuf::json;

    fn parse(text: &str) -> Result<Lines, String> {
        json::from_slice(text.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn they_are_written_as_they_were_read() {
        let text = r#"{"2.4":{"eos":"2027-01-01T00:00:00Z","eol":"2028-01-01T00:00:00Z"},"10.0":{"ga":"2026-01-01T00:00:00Z"}}"#;
        let lines = parse(text).unwrap();
        let order: Vec<_> = lines.iter().map(|(line, _)| line.to_string()).collect();
        assert_eq!(order, ["2.4", "10.0"], "by number, not by text");
        let expected: serde_json::Value = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_value(&lines).unwrap(), expected);
        assert!(lines.dates("9.9".parse().unwrap()).is_empty());
    }

    #[test]
    fn what_is_not_well_formed_is_refused() {
        for (text, expected) in [
            (r#"{"2.4":{}}"#, "line 2.4 has no date"),
            (r#"{"2.4":{"eos":"2027-01-01T00:00:00.5Z"}}"#, "expected whole seconds"),
            (
                r#"{"2.4":{"eos":"2027-01-02T00:00:00Z","eol":"2027-01-01T00:00:00Z"}}"#,
                "eol of line 2.4 is 2027-01-01T00:00:00Z: expected it at or after its eos",
            ),
            (
                r#"{"2.4":{"ga":"2027-01-02T00:00:00Z","eol":"2027-01-01T00:00:00Z"}}"#,
                "expected it at or after its ga",
            ),
            (r#"{"2.4":{"ga":"2027-01-02T00:00:00Z"},"2.4":{"ga":"2027-01-02T00:00:00Z"}}"#, "2.4"),
            (r#"{"2.04":{"ga":"2027-01-02T00:00:00Z"}}"#, "line `2.04` is not valid"),
            (r#"{"2.4.1":{"ga":"2027-01-02T00:00:00Z"}}"#, "is not valid"),
            (r#"{"2.4":{"eos":"2027-01-02"}}"#, ""),
            ("[]", ""),
        ] {
            let refused = parse(text).unwrap_err();
            assert!(refused.contains(expected), "{text}: {refused}");
        }
    }

    #[test]
    fn ends_may_meet() {
        let date = "2027-01-01T00:00:00Z";
        let same = json!({ "2.4": { "ga": date, "eos": date, "eol": date } });
        parse(&same.to_string()).unwrap();
    }

    #[test]
    fn there_are_not_more_than_a_record_holds() {
        let date: Timestamp = "2027-01-01T00:00:00Z".parse().unwrap();
        let dates = LineDates { ga: Some(date), eos: Some(date), eol: Some(date) };
        let line = |minor: usize| LineName { major: u64::from(u32::MAX), minor: minor as u64 };
        let some =
            |count: usize| (0..count).map(|minor| (line(minor), dates)).collect::<BTreeMap<_, _>>();
        let most = Lines::try_from(some(Lines::COUNT_MAX)).unwrap();
        assert!(serde_json::to_vec(&most).unwrap().len() < 32 * 1024);
        let refused = most.with(line(Lines::COUNT_MAX), dates).unwrap_err();
        assert_eq!(refused, LinesError::TooMany { found: 251 });
    }

    #[test]
    fn a_line_without_dates_is_left_out() {
        let lines = parse(r#"{"2.4":{"eos":"2027-01-01T00:00:00Z"}}"#).unwrap();
        let line = "2.4".parse().unwrap();
        assert!(lines.with(line, LineDates::default()).unwrap().is_empty());
    }
}
