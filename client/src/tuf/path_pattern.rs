use std::fmt;

use serde::{Deserialize, Serialize};

use crate::format::ParseError;

/// A glob over target paths: `*` stands for any characters of one segment, `?` for any one character
/// (a Unicode scalar value, as python-tuf has it), and neither for a `/` (TUF 1.0.34 §4.5).
///
/// The specification knows no others. python-tuf takes `[` and `]` for a set of characters, as
/// Python's `fnmatch` does; here they stand for themselves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PathPattern(String);

impl PathPattern {
    /// Whether `path` is one that the pattern stands for.
    pub fn matches(&self, path: &str) -> bool {
        let mut patterns = self.0.split('/');
        let mut segments = path.split('/');
        loop {
            match (patterns.next(), segments.next()) {
                (None, None) => return true,
                (Some(pattern), Some(segment)) if matches_segment(pattern, segment) => {}
                _ => return false,
            }
        }
    }
}

/// Matches one segment in time proportional to the product of the lengths, with one point to fall
/// back to: the last `*`.
fn matches_segment(pattern: &str, segment: &str) -> bool {
    let (mut wanted, mut found) = (pattern.chars(), segment.chars());
    let mut fallback = None;
    loop {
        let before = found.clone();
        let Some(character) = found.next() else { break };
        match wanted.next() {
            Some('*') => {
                found = before;
                fallback = Some((wanted.clone(), found.clone()));
            }
            Some(one) if one == '?' || one == character => {}
            _ => match &mut fallback {
                Some((after_star, start)) => {
                    start.next();
                    (wanted, found) = (after_star.clone(), start.clone());
                }
                None => return false,
            },
        }
    }
    wanted.all(|character| character == '*')
}

impl TryFrom<String> for PathPattern {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, ParseError> {
        if (1..=1024).contains(&text.len()) && !text.starts_with('/') {
            Ok(Self(text))
        } else {
            Err(ParseError::new("path pattern", &text, "1 to 1024 bytes, not beginning with '/'"))
        }
    }
}

impl From<PathPattern> for String {
    fn from(pattern: PathPattern) -> Self {
        pattern.0
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stays_in_its_segment_and_a_question_mark_is_one_character() {
        for (pattern, path, expected) in [
            ("security/*/*", "security/1.0.2/release.json", true),
            ("security/*/*", "security/1.0.2", false),
            ("security/*/*", "security/1.0.2/a/b", false),
            ("security/*/*", "bugfix/1.0.2/release.json", false),
            ("*", "a/b", false),
            ("*", "a", true),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyy", false),
            ("a?c", "abc", true),
            ("a?c", "a/c", false),
            ("*.tgz", "x.tgz.tgz", true),
            ("a?c", "a\u{e9}c", true),
            ("a?c", "a\u{1f980}c", true),
            // Two characters, though they look like one.
            ("a?c", "ae\u{301}c", false),
            ("a??c", "ae\u{301}c", true),
            ("?", "", false),
            ("*\u{e9}", "caf\u{e9}", true),
            ("a[bc]d", "abd", false),
            ("a[bc]d", "a[bc]d", true),
        ] {
            let pattern = PathPattern::try_from(pattern.to_owned()).unwrap();
            assert_eq!(pattern.matches(path), expected, "{pattern} {path}");
        }
    }
}
