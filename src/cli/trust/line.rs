//! Changing the dates of lines, and saying so in words.

use std::{collections::BTreeSet, str::FromStr};

use jiff::Timestamp;
use mainstay_client::format::{LineDates, LineName, Lines};

use super::super::CliError;

/// What is to change about the dates of one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LineChange {
    /// The line.
    pub(super) line: LineName,
    /// General availability.
    pub(super) ga: DateChange,
    /// End of support.
    pub(super) eos: DateChange,
    /// End of life.
    pub(super) eol: DateChange,
}

/// What is to become of one date.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum DateChange {
    /// It stays.
    #[default]
    Keep,
    /// It is taken away.
    Remove,
    /// It is to be this.
    Set(Timestamp),
}

impl DateChange {
    fn apply(self, present: Option<Timestamp>) -> Option<Timestamp> {
        match self {
            Self::Keep => present,
            Self::Remove => None,
            Self::Set(date) => Some(date),
        }
    }
}

impl FromStr for DateChange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self::Remove);
        }
        text.parse().map(Self::Set).map_err(|_| {
            format!(
                "`{}` is no date: expected a time such as 2027-01-01T00:00:00Z, or none",
                text.escape_debug()
            )
        })
    }
}

impl LineChange {
    /// The change of a line of which all dates stay.
    fn of(line: LineName) -> Self {
        let keep = DateChange::Keep;
        Self { line, ga: keep, eos: keep, eol: keep }
    }

    /// `lines` after all of `changes`.
    pub(super) fn apply(changes: &[Self], lines: &Lines) -> Result<Lines, CliError> {
        let mut next = lines.clone();
        let mut names = BTreeSet::new();
        for change in changes {
            if !names.insert(change.line) {
                return Err(CliError::Input(format!("line {} is given twice", change.line)));
            }
            let LineDates { ga, eos, eol } = lines.dates(change.line);
            let dates = LineDates {
                ga: change.ga.apply(ga),
                eos: change.eos.apply(eos),
                eol: change.eol.apply(eol),
            };
            let with = next.with(change.line, dates);
            next = with.map_err(|error| CliError::Input(error.to_string()))?;
        }
        Ok(next)
    }
}

/// `2.4,eos=2027-01-01T00:00:00Z,eol=none`.
impl FromStr for LineChange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split(',');
        let line = parts.next().unwrap_or_default().parse::<LineName>();
        let mut change = Self::of(line.map_err(|error| error.to_string())?);
        for part in parts {
            let (name, date) = part.split_once('=').unwrap_or((part, ""));
            let place = match name {
                "ga" => &mut change.ga,
                "eos" => &mut change.eos,
                "eol" => &mut change.eol,
                _ => {
                    return Err(format!(
                        "`{}` is no date of a line: expected ga, eos or eol",
                        name.escape_debug()
                    ));
                }
            };
            if *place != DateChange::Keep {
                return Err(format!("{name} is given twice"));
            }
            *place = date.parse()?;
        }
        if change == Self::of(change.line) {
            return Err(format!(
                "nothing is said of line {0}: expected for example \
                 {0},eos=2027-01-01T00:00:00Z,eol=none",
                change.line
            ));
        }
        Ok(change)
    }
}

/// What changes about the dates of lines.
pub(super) fn line_words(present: &Lines, next: &Lines, now: Timestamp) -> Vec<String> {
    let names: BTreeSet<_> = present.iter().chain(next.iter()).map(|(line, _)| line).collect();
    names
        .into_iter()
        .flat_map(|line| {
            let (old, new) = (present.dates(line), next.dates(line));
            [("GA", old.ga, new.ga), ("EOS", old.eos, new.eos), ("EOL", old.eol, new.eol)]
                .into_iter()
                .filter(|(_, old, new)| old != new)
                .map(move |(what, old, new)| date_words(line, what, (old, new), now))
        })
        .collect()
}

fn date_words(
    line: LineName,
    what: &str,
    (old, new): (Option<Timestamp>, Option<Timestamp>),
    now: Timestamp,
) -> String {
    let until_now = old.map_or_else(|| "none".to_owned(), |date| date.to_string());
    let Some(date) = new else {
        return format!("  line {line}: {what} REMOVED (until now {until_now})");
    };
    let mut words = format!("  line {line}: {what} {date} (until now {until_now})");
    // An end that comes sooner takes something away, and so does a line that comes out later.
    let is_end = what != "GA";
    if is_end && old.is_some_and(|old| date < old) {
        words.push_str("; ATTENTION: EARLIER than before");
    }
    if !is_end && old.is_some_and(|old| date > old) {
        words.push_str("; ATTENTION: LATER than before");
    }
    if is_end && date <= now {
        words.push_str("; ATTENTION: it lies in the PAST");
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(text: &str) -> Result<LineChange, String> {
        text.parse()
    }

    #[test]
    fn a_change_is_given_in_one_word() {
        let parsed = change("2.4,eos=2027-01-01T00:00:00Z,eol=none").unwrap();
        assert_eq!((parsed.ga, parsed.eol), (DateChange::Keep, DateChange::Remove));
        assert_eq!(parsed.eos, "2027-01-01T00:00:00Z".parse().unwrap());
        for (text, expected) in [
            ("2.4", "nothing is said of line 2.4"),
            ("2.4.1,eos=none", "line `2.4.1` is not valid"),
            ("2.4,eos", "`` is no date"),
            ("2.4,eos=2027-01-01", "`2027-01-01` is no date"),
            ("2.4,end=none", "`end` is no date of a line"),
            ("2.4,eos=none,eos=none", "eos is given twice"),
        ] {
            let refused = change(text).unwrap_err();
            assert!(refused.contains(expected), "{text}: {refused}");
        }
    }

    #[test]
    fn changes_build_upon_what_is_there() {
        let apply = |texts: &[&str], lines: &Lines| {
            let changes: Vec<_> = texts.iter().map(|text| change(text).unwrap()).collect();
            LineChange::apply(&changes, lines)
        };
        let both = ["2.4,eos=2027-01-01T00:00:00Z", "2.5,eol=2028-01-01T00:00:00Z"];
        let lines = apply(&both, &Lines::default()).unwrap();
        let lines = apply(&["2.4,eol=2028-01-01T00:00:00Z", "2.5,eol=none"], &lines).unwrap();
        let expected = r#"{"2.4":{"eos":"2027-01-01T00:00:00Z","eol":"2028-01-01T00:00:00Z"}}"#;
        assert_eq!(serde_json::to_string(&lines).unwrap(), expected);
        for (texts, expected) in [
            (&["2.4,eol=2026-01-01T00:00:00Z"][..], "expected it at or after its eos"),
            (&["2.4,eol=none", "2.4,eos=none"], "line 2.4 is given twice"),
        ] {
            let refused = apply(texts, &lines).unwrap_err().to_string();
            assert!(refused.contains(expected), "{refused}");
        }
    }
}
