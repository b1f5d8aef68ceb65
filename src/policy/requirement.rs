//! Whether a machine can run a release, by what it has said of itself.

use mainstay_client::format::{Facts, Requirements, requirements};

/// What the release requires and the machine lacks, for people; nothing where it lacks nothing.
///
/// The rule is the machine's own ([`Requirements::missing`]), so that no plan names what it would
/// refuse for what it has told. Of a machine that tells nothing, nothing is known to be missing: it
/// is given the release, and looks for itself. Free space is not told, since it changes all the
/// time; only the machine looks at that.
pub fn unmet(requires: &Requirements, facts: Option<&Facts>) -> Option<String> {
    let missing = requires.missing(facts?);
    (!missing.is_empty()).then(|| requirements::in_words(&missing))
}

#[cfg(test)]
mod tests;
