use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU64,
};

use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned, de::Error as _};
use serde_json::Value;

use super::{Delegations, Hashes, KeyId, PublicKey, Refusal, Rule};
use crate::format::{Digest, Lines, Platform, ProductName, Version};

/// The version of the TUF specification that this program writes.
pub const SPEC_VERSION: &str = "1.0.34";

/// What the metadata of every role has.
pub trait Metadata: DeserializeOwned {
    /// What the document's `_type` says.
    const KIND: &'static str;

    /// The parts that every role has.
    fn header(&self) -> &Header;
}

/// The parts that the metadata of every role has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The role's kind.
    #[serde(rename = "_type")]
    pub kind: String,
    /// The version of the specification that the document follows.
    pub spec_version: String,
    /// The document's own version, from 1.
    pub version: NonZeroU64,
    /// From when on the document is not to be trusted.
    pub expires: jiff::Timestamp,
    /// Of which product the document is. Every one of Mainstay's says so: vendors use a key for
    /// several products, and what they sign for one must not stand in for another's.
    #[serde(rename = "x-mainstay-product", default, skip_serializing_if = "Option::is_none")]
    pub product: Option<ProductName>,
}

impl Header {
    /// The header of a new document of any repository.
    pub fn new<M: Metadata>(version: NonZeroU64, expires: jiff::Timestamp) -> Self {
        let (kind, spec_version) = (M::KIND.to_owned(), SPEC_VERSION.to_owned());
        Self { kind, spec_version, version, expires, product: None }
    }

    /// The header of a new document of `product`.
    pub fn of<M: Metadata>(
        product: ProductName,
        version: NonZeroU64,
        expires: jiff::Timestamp,
    ) -> Self {
        Self { product: Some(product), ..Self::new::<M>(version, expires) }
    }

    /// Checks that `document`, whose header this is, says that it is of `product`.
    pub fn expect_product(&self, document: &str, product: &ProductName) -> Result<(), Refusal> {
        let found = match &self.product {
            Some(found) if found == product => return Ok(()),
            Some(found) => format!("it is of product {found}"),
            None => "it does not say of which product it is".to_owned(),
        };
        let detail = format!("{found}: expected {product}");
        Err(Refusal::new(document, Rule::Binding, detail).at(Some(self.version.get())))
    }
}

macro_rules! metadata {
    ($name:ident, $kind:literal) => {
        impl Metadata for $name {
            const KIND: &'static str = $kind;

            fn header(&self) -> &Header {
                &self.header
            }
        }
    };
}

metadata!(Root, "root");
metadata!(Timestamp, "timestamp");
metadata!(Snapshot, "snapshot");
metadata!(Targets, "targets");

/// The root role: which keys speak for the others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Root {
    /// What every role has.
    #[serde(flatten)]
    pub header: Header,
    /// Whether file names carry versions and digests.
    pub consistent_snapshot: bool,
    /// The keys, by identifier.
    #[serde(deserialize_with = "known_keys")]
    pub keys: BTreeMap<KeyId, PublicKey>,
    /// The keys of each role.
    pub roles: RootRoles,
}

impl Root {
    /// Which keys sign timestamp and snapshot, and how many must.
    pub(super) fn online_signers(&self) -> [(Vec<Option<&PublicKey>>, NonZeroU64); 2] {
        [&self.roles.timestamp, &self.roles.snapshot].map(|role| {
            let mut keys: Vec<_> = role.keyids.iter().map(|id| self.keys.get(id)).collect();
            keys.sort_unstable();
            (keys, role.threshold)
        })
    }
}

/// The top-level roles.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootRoles {
    /// Signs this document.
    pub root: RoleKeys,
    /// Signs the timestamp.
    pub timestamp: RoleKeys,
    /// Signs the snapshot.
    pub snapshot: RoleKeys,
    /// Signs the top-level targets.
    pub targets: RoleKeys,
}

/// The keys of a role and how many of them must sign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleKeys {
    /// The keys' identifiers.
    #[serde(deserialize_with = "distinct")]
    pub keyids: BTreeSet<KeyId>,
    /// How many distinct keys must sign.
    pub threshold: NonZeroU64,
}

impl RoleKeys {
    /// A role of which one of `keys` must sign.
    pub fn any_of<'a>(keys: impl IntoIterator<Item = &'a PublicKey>) -> Self {
        Self { keyids: keys.into_iter().map(PublicKey::id).collect(), threshold: NonZeroU64::MIN }
    }
}

/// The timestamp role: which snapshot is the newest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timestamp {
    /// What every role has.
    #[serde(flatten)]
    pub header: Header,
    /// One entry, [`Timestamp::SNAPSHOT`].
    pub meta: BTreeMap<String, FileMeta>,
}

impl Timestamp {
    /// The one file that a timestamp lists.
    pub const SNAPSHOT: &'static str = "snapshot.json";
}

/// The snapshot role: which versions of the targets roles belong together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// What every role has.
    #[serde(flatten)]
    pub header: Header,
    /// The targets roles by file name.
    pub meta: BTreeMap<String, FileMeta>,
}

/// A metadata file as another one announces it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileMeta {
    /// The file's version.
    pub version: NonZeroU64,
    /// Its length in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<u64>,
    /// Its digests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hashes: Option<Hashes>,
}

impl FileMeta {
    /// The entry for `bytes`, which hold `version`.
    pub fn of(version: NonZeroU64, bytes: &[u8]) -> Self {
        Self {
            version,
            length: Some(bytes.len() as u64),
            hashes: Some(Hashes::sha256(Digest::of(bytes))),
        }
    }

    /// The entry for a file of which nothing but its version is told.
    pub fn of_version(version: NonZeroU64) -> Self {
        Self { version, length: None, hashes: None }
    }
}

/// A targets role: the top-level one, a channel, or another delegated role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Targets {
    /// What every role has.
    #[serde(flatten)]
    pub header: Header,
    /// The targets by path.
    pub targets: BTreeMap<String, Target>,
    /// To whom the role delegates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delegations: Option<Delegations>,
    /// The dates of the product's lines. Only the top-level targets state any.
    #[serde(rename = "x-mainstay-lines", default, skip_serializing_if = "Lines::is_empty")]
    pub lines: Lines,
}

impl Targets {
    /// What keeps the document from being a channel: that says nothing but what it lists.
    pub fn channel_problem(&self) -> Option<&'static str> {
        if self.delegations.is_some() {
            Some("delegates: expected not to")
        } else if !self.lines.is_empty() {
            Some("states dates of lines: expected them in the top-level targets alone")
        } else {
            None
        }
    }
}

/// One target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Its length in bytes.
    pub length: u64,
    /// Its digests.
    pub hashes: Hashes,
    /// What the repository's owner says of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub custom: Option<Value>,
}

/// What a Mainstay channel says of a target. Kept lean: everything else is in the release manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetsCustom {
    /// What the target is.
    #[serde(flatten)]
    pub kind: TargetKind,
    /// The release that it belongs to.
    pub version: Version,
}

/// What a target of a channel is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum TargetKind {
    /// A release manifest.
    Release {
        /// The lowest version that a rollback may reach once this release is known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        floor: Option<Version>,
    },
    /// An artifact.
    Artifact {
        /// What it runs on.
        platform: Platform,
    },
}

impl Target {
    /// The entry of a file of `length` bytes with the digest `sha256`.
    pub fn new(length: u64, sha256: Digest, custom: &TargetsCustom) -> serde_json::Result<Self> {
        Ok(Self {
            length,
            hashes: Hashes::sha256(sha256),
            custom: Some(serde_json::to_value(custom)?),
        })
    }

    /// What a Mainstay channel says of the target, where it is one's.
    pub fn custom(&self) -> Option<TargetsCustom> {
        TargetsCustom::deserialize(self.custom.as_ref()?).ok()
    }
}

/// The file of a role below a repository's metadata address: the name percent-encoded, so that none
/// reaches another file or folder, after the version where snapshots are consistent
/// (TUF 1.0.34 §3.6 and §6.2).
pub fn role_file_name(role: &str, version: Option<NonZeroU64>) -> String {
    let mut name = version.map_or_else(String::new, |version| format!("{version}."));
    name.push_str(&percent_encoded(role));
    name.push_str(".json");
    name
}

/// `text` with everything but letters, digits, `-`, `.`, `_` and `~` percent-encoded (RFC 3986 §2.3).
pub(crate) fn percent_encoded(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::with_capacity(text.len()), |mut encoded, byte| {
        let _ = match byte {
            b'-' | b'.' | b'_' | b'~' => encoded.write_char(byte.into()),
            _ if byte.is_ascii_alphanumeric() => encoded.write_char(byte.into()),
            _ => write!(encoded, "%{byte:02X}"),
        };
        encoded
    })
}

/// Keys of kinds that this program does not know are passed over: they cannot help to reach a
/// threshold, and a repository may have begun to use them (TUF 1.0.34 §4.2).
pub(super) fn known_keys<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<KeyId, PublicKey>, D::Error> {
    let documents = BTreeMap::<KeyId, Value>::deserialize(deserializer)?;
    Ok(documents
        .into_iter()
        .filter_map(|(id, document)| Some((id, PublicKey::deserialize(document).ok()?)))
        .collect())
}

fn distinct<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeSet<KeyId>, D::Error> {
    let listed = Vec::<KeyId>::deserialize(deserializer)?;
    let length = listed.len();
    let distinct = BTreeSet::from_iter(listed);
    if distinct.len() == length {
        Ok(distinct)
    } else {
        Err(D::Error::custom("a key id stands twice in one role"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_role_reaches_another_file() {
        for (role, file) in [
            ("security", "7.security.json"),
            ("../delegatedrole", "7...%2Fdelegatedrole.json"),
            ("/a", "7.%2Fa.json"),
            ("?", "7.%3F.json"),
            ("ü%", "7.%C3%BC%25.json"),
        ] {
            assert_eq!(role_file_name(role, NonZeroU64::new(7)), file);
        }
        assert_eq!(role_file_name("timestamp", None), "timestamp.json");
    }
}
