use std::{collections::BTreeMap, num::NonZeroU64};

use mainstay_client::format::Digest;
use serde::{Deserialize, Serialize};

use super::super::CliError;

/// What this computer has seen of a product before. Nothing is signed upon something older, network
/// or not.
#[derive(Clone, Debug, Default)]
pub(in crate::cli) struct Seen {
    /// The newest root, byte for byte; nothing where the product is new here.
    pub(in crate::cli) root: Option<Vec<u8>>,
    /// The other roles.
    pub(in crate::cli) roles: SeenRoles,
}

/// What was seen of the roles that the vendor signs, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::cli) struct SeenRoles {
    /// The highest version of the top-level targets and of each channel that was published: signed
    /// by everybody who must.
    published: BTreeMap<String, NonZeroU64>,
    /// The newest document of each role that was signed here, whether it was published or not.
    signed: BTreeMap<String, SignedHere>,
}

/// A document that was signed here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignedHere {
    version: NonZeroU64,
    /// The digest of what was signed.
    sha256: Digest,
}

impl SeenRoles {
    /// Takes note of a published document.
    pub(in crate::cli) fn note_published(&mut self, role: &str, version: NonZeroU64) {
        let known = self.published.entry(role.to_owned()).or_insert(version);
        *known = version.max(*known);
    }

    /// Takes note of a document that is signed here.
    pub(super) fn note_signed(&mut self, role: &str, version: NonZeroU64, sha256: Digest) {
        self.signed.insert(role.to_owned(), SignedHere { version, sha256 });
    }

    /// Refuses published documents, of which `found` says the versions, where one is missing or
    /// older than what was seen.
    pub(in crate::cli) fn require_newest(
        &self,
        found: impl Fn(&str) -> Option<NonZeroU64>,
    ) -> Result<(), CliError> {
        for (role, known) in &self.published {
            let problem = match found(role) {
                Some(version) if version >= *known => continue,
                Some(version) => format!("{role} has version {version}"),
                None => format!("{role} is missing"),
            };
            return Err(CliError::Untrusted(format!(
                "{problem}: this computer has seen version {known} already"
            )));
        }
        Ok(())
    }

    /// The same as if only what `found` says the versions of had been published; and which roles
    /// become older by that, and how, in words.
    pub(super) fn lowered(
        mut self,
        found: impl Fn(&str) -> Option<NonZeroU64>,
    ) -> (Self, Vec<String>) {
        let mut older = Vec::new();
        for (role, known) in std::mem::take(&mut self.published) {
            let found = found(&role);
            match found {
                Some(version) if version >= known => {}
                Some(version) => older.push(format!("{role}: version {version} follows {known}")),
                None => older.push(format!("{role}: it is gone, and was at version {known}")),
            }
            // What was signed upon the newer state is worth nothing upon the older.
            if found.is_none_or(|version| version < known) {
                self.signed.remove(&role);
            }
            if let Some(version) = found {
                self.published.insert(role, version);
            }
        }
        (self, older)
    }

    /// What was signed here before instead of a new document: another one of the same version, or
    /// a later one.
    pub(super) fn signed_instead(
        &self,
        role: &str,
        version: NonZeroU64,
        sha256: &Digest,
    ) -> Option<String> {
        let known = self.signed.get(role)?;
        if known.version < version || (known.version == version && known.sha256 == *sha256) {
            return None;
        }
        Some(format!("{role} version {}, of which the SHA-256 is {}", known.version, known.sha256))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(number: u64) -> NonZeroU64 {
        number.try_into().unwrap()
    }

    #[test]
    fn what_was_published_is_not_older_and_not_missing() {
        let mut seen = SeenRoles::default();
        seen.require_newest(|_| None).unwrap();
        seen.note_published("targets", version(3));
        seen.note_published("targets", version(2));
        for (found, expected) in [
            (Some(2), Some("targets has version 2: this computer has seen version 3")),
            (None, Some("targets is missing: this computer has seen version 3")),
            (Some(3), None),
            (Some(4), None),
        ] {
            let refused = seen.require_newest(|_| found.map(version)).err();
            let message = refused.map(|error| error.to_string()).unwrap_or_default();
            assert!(message.contains(expected.unwrap_or_default()), "{message}");
            assert_eq!(message.is_empty(), expected.is_none());
        }
    }

    #[test]
    fn one_version_is_one_document() {
        let (one, other) = (Digest::of(b"one"), Digest::of(b"other"));
        let mut seen = SeenRoles::default();
        assert_eq!(seen.signed_instead("major", version(1), &one), None);
        seen.note_signed("major", version(2), one);
        assert_eq!(seen.signed_instead("major", version(2), &one), None);
        assert_eq!(seen.signed_instead("major", version(3), &other), None);
        assert_eq!(seen.signed_instead("bugfix", version(1), &other), None);
        for number in [1, 2] {
            let instead = seen.signed_instead("major", version(number), &other).unwrap();
            assert!(instead.starts_with("major version 2, of which"), "{instead}");
        }
    }

    #[test]
    fn what_becomes_older_is_told() {
        let mut seen = SeenRoles::default();
        for (role, number) in [("bugfix", 2), ("major", 3), ("targets", 1)] {
            seen.note_published(role, version(number));
            seen.note_signed(role, version(number + 1), Digest::of(b"next"));
        }
        let found = |role: &str| match role {
            "bugfix" => None,
            "major" => Some(version(2)),
            _ => Some(version(1)),
        };
        let (lowered, older) = seen.lowered(found);
        assert_eq!(
            older,
            ["bugfix: it is gone, and was at version 2", "major: version 2 follows 3"]
        );
        lowered.require_newest(found).unwrap();
        let other = Digest::of(b"other");
        assert_eq!(lowered.signed_instead("major", version(3), &other), None);
        assert!(lowered.signed_instead("targets", version(2), &other).is_some());
    }

    #[test]
    fn it_can_be_kept() {
        let mut seen = SeenRoles::default();
        seen.note_published("targets", version(3));
        seen.note_signed("root", version(2), Digest::of(b"root"));
        let text = serde_json::to_string(&seen).unwrap();
        assert_eq!(serde_json::from_str::<SeenRoles>(&text).unwrap(), seen);
    }
}
