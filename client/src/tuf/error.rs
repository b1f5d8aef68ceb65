use std::fmt;

/// The rule of the workflow that a document broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rule {
    /// The document is longer than its role may be.
    Length,
    /// The bytes are not those that another document announced.
    Digest,
    /// It is not strict JSON, or not a document of its role.
    Form,
    /// Too few keys of the role have signed it.
    Threshold,
    /// Its version is not the one that was expected.
    Version,
    /// It is older than what is trusted already.
    Rollback,
    /// It has expired.
    Expired,
    /// The role or target is not listed by the document that must list it.
    NotListed,
    /// It is for another product, customer or machine.
    Binding,
}

impl Rule {
    /// The rule's stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Length => "length",
            Self::Digest => "digest",
            Self::Form => "form",
            Self::Threshold => "threshold",
            Self::Version => "version",
            Self::Rollback => "rollback",
            Self::Expired => "expired",
            Self::NotListed => "not_listed",
            Self::Binding => "binding",
        }
    }
}

/// A document that was not accepted: which one, at which version, which rule it broke, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    document: String,
    version: Option<u64>,
    rule: Rule,
    detail: String,
}

impl Refusal {
    pub(crate) fn new(document: impl Into<String>, rule: Rule, detail: impl AsRef<str>) -> Self {
        let (document, detail) = (document.into(), printable(detail.as_ref()));
        Self { document, version: None, rule, detail }
    }

    /// The same, of the version that the document claims to be, where it claims to be one.
    pub(crate) fn at(self, version: Option<u64>) -> Self {
        Self { version: version.or(self.version), ..self }
    }

    /// The document, for example `snapshot` or `plan`.
    pub fn document(&self) -> &str {
        &self.document
    }

    /// The version that the document claims to be, where it was read so far.
    pub fn version(&self) -> Option<u64> {
        self.version
    }

    /// The rule that it broke.
    pub fn rule(&self) -> Rule {
        self.rule
    }
}

/// `detail` with characters escaped that a terminal would obey rather than show: it repeats parts of
/// documents that nobody has vouched for.
fn printable(detail: &str) -> String {
    detail.chars().fold(String::with_capacity(detail.len()), |mut text, character| {
        match character {
            '"' | '\'' | '\\' => text.push(character),
            _ => text.extend(character.escape_debug()),
        }
        text
    })
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { document, version, rule, detail } = self;
        // A role is called what a document calls it.
        write!(formatter, "{} ", printable(document))?;
        if let Some(version) = version {
            write!(formatter, "version {version} ")?;
        }
        write!(formatter, "is refused ({}): {detail}", rule.as_str())
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_obeys_nobody_whose_words_it_repeats() {
        let refusal = Refusal::new("\u{1b}[31m", Rule::Threshold, "\u{7} rings");
        insta::assert_snapshot!(refusal, @r"\u{1b}[31m is refused (threshold): \u{7} rings");
        assert_eq!(refusal.document(), "\u{1b}[31m");
    }
}
