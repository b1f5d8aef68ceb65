use std::fmt;

use serde::{Deserialize, Serialize};

use crate::format::ParseError;

/// A glob over target paths: `*` and `?` stand for any characters of one segment and never for a
/// `/` (TUF 1.0.34 §4.5).
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
                (Some(pattern), Some(segment))
                    if matches_segment(pattern.as_bytes(), segment.as_bytes()) => {}
                _ => return false,
            }
        }
    }
}

/// Matches one segment in time proportional to the product of the lengths, with one point to fall
/// back to: the last `*`.
fn matches_segment(pattern: &[u8], segment: &[u8]) -> bool {
    let (mut at, mut from) = (0, 0);
    let mut fallback = None;
    while let Some(byte) = segment.get(from) {
        match pattern.get(at) {
            Some(b'*') => {
                fallback = Some((at, from));
                at += 1;
            }
            Some(wanted) if *wanted == b'?' || wanted == byte => {
                at += 1;
                from += 1;
            }
            _ => match fallback {
                Some((star, start)) => {
                    fallback = Some((star, start + 1));
                    at = star + 1;
                    from = start + 1;
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(at).all(|byte| *byte == b'*')
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
    fn a_star_stays_in_its_segment() {
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
        ] {
            let pattern = PathPattern::try_from(pattern.to_owned()).unwrap();
            assert_eq!(pattern.matches(path), expected, "{pattern} {path}");
        }
    }
}
