use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{
    KeyId, Metadata as _, PathPattern, PublicKey, RoleKeys, Root, Snapshot, Targets, Timestamp,
    metadata::known_keys,
};
use crate::format::{Digest, ParseError};

/// The roles that a targets role delegates to: a list of them, or so many alike
/// (TUF 1.0.34 §4.5, TAP 15).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "DelegationsDocument", into = "DelegationsDocument")]
pub struct Delegations {
    /// The keys, by identifier.
    pub keys: BTreeMap<KeyId, PublicKey>,
    /// The roles, in the order in which they are asked.
    pub roles: Vec<DelegatedRole>,
    /// The roles alike. Where there are these, the list is empty.
    pub succinct_roles: Option<SuccinctRoles>,
}

#[derive(Serialize, Deserialize)]
struct DelegationsDocument {
    #[serde(deserialize_with = "known_keys")]
    keys: BTreeMap<KeyId, PublicKey>,
    #[serde(skip_serializing_if = "Option::is_none")]
    roles: Option<Vec<DelegatedRole>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    succinct_roles: Option<SuccinctRoles>,
}

impl From<Delegations> for DelegationsDocument {
    fn from(delegations: Delegations) -> Self {
        let Delegations { keys, roles, succinct_roles } = delegations;
        let roles = succinct_roles.is_none().then_some(roles);
        Self { keys, roles, succinct_roles }
    }
}

impl TryFrom<DelegationsDocument> for Delegations {
    type Error = String;

    fn try_from(document: DelegationsDocument) -> Result<Self, String> {
        let DelegationsDocument { keys, roles, succinct_roles } = document;
        if roles.is_some() == succinct_roles.is_some() {
            return Err("delegations have `roles` or `succinct_roles`, one of them".to_owned());
        }
        let roles = roles.unwrap_or_default();
        expect_distinct(&roles)?;
        Ok(Self { keys, roles, succinct_roles })
    }
}

/// One name is one role: with two, the keys of the one could speak for the paths of the other. The
/// top-level roles are root's to name.
fn expect_distinct(roles: &[DelegatedRole]) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    for DelegatedRole { name, .. } in roles {
        if [Root::KIND, Timestamp::KIND, Snapshot::KIND, Targets::KIND].contains(&name.as_str()) {
            return Err(format!("`{name}` is a top-level role: expected another name"));
        }
        if name.is_empty() {
            return Err("a role without a name is delegated to".to_owned());
        }
        if !seen.insert(name) {
            return Err(format!("role {name} is delegated to twice"));
        }
    }
    Ok(())
}

impl Delegations {
    /// The listed role called `name`.
    pub fn role(&self, name: &str) -> Option<&DelegatedRole> {
        self.roles.iter().find(|role| role.name == name)
    }

    /// The keys of the role called `name`.
    pub fn role_keys(&self, name: &str) -> Option<&RoleKeys> {
        match &self.succinct_roles {
            Some(succinct) => succinct.is_one(name).then_some(&succinct.keys),
            None => self.role(name).map(|role| &role.keys),
        }
    }

    /// The roles that may speak for the target `path`, in the order in which they are asked, and
    /// whether each is terminating.
    pub(super) fn speakers(&self, path: &str) -> Vec<(String, bool)> {
        match &self.succinct_roles {
            // One of them speaks for the path and no other (TAP 15).
            Some(succinct) => vec![(succinct.role_for(path), true)],
            None => self
                .roles
                .iter()
                .filter(|role| role.paths.cover(path))
                .map(|role| (role.name.clone(), role.terminating))
                .collect(),
        }
    }
}

/// One delegated role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "DelegatedRoleDocument")]
pub struct DelegatedRole {
    /// Its name.
    pub name: String,
    /// Its keys.
    #[serde(flatten)]
    pub keys: RoleKeys,
    /// Whether no later role is asked about a path that this one may speak for.
    pub terminating: bool,
    /// The paths that it may speak for.
    #[serde(flatten)]
    pub paths: Paths,
}

#[derive(Deserialize)]
struct DelegatedRoleDocument {
    name: String,
    #[serde(flatten)]
    keys: RoleKeys,
    terminating: bool,
    paths: Option<Vec<PathPattern>>,
    path_hash_prefixes: Option<Vec<PathHashPrefix>>,
}

impl TryFrom<DelegatedRoleDocument> for DelegatedRole {
    type Error = String;

    fn try_from(document: DelegatedRoleDocument) -> Result<Self, String> {
        let DelegatedRoleDocument { name, keys, terminating, paths, path_hash_prefixes } = document;
        let paths = match (paths, path_hash_prefixes) {
            (Some(paths), None) => Paths::Patterns(paths),
            (None, Some(prefixes)) => Paths::HashPrefixes(prefixes),
            _ => {
                return Err(format!(
                    "role {name} has `paths` or `path_hash_prefixes`: expected one of them"
                ));
            }
        };
        Ok(Self { name, keys, terminating, paths })
    }
}

/// The paths that a delegated role may speak for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Paths {
    /// Those that one of these stands for.
    #[serde(rename = "paths")]
    Patterns(Vec<PathPattern>),
    /// Those whose SHA-256 begins with one of these.
    #[serde(rename = "path_hash_prefixes")]
    HashPrefixes(Vec<PathHashPrefix>),
}

impl From<Vec<PathPattern>> for Paths {
    fn from(patterns: Vec<PathPattern>) -> Self {
        Self::Patterns(patterns)
    }
}

impl Paths {
    /// Whether `path` is one of them.
    pub fn cover(&self, path: &str) -> bool {
        match self {
            Self::Patterns(patterns) => patterns.iter().any(|pattern| pattern.matches(path)),
            Self::HashPrefixes(prefixes) => {
                let digest = Digest::of(path.as_bytes()).to_string();
                prefixes.iter().any(|prefix| digest.starts_with(&prefix.0))
            }
        }
    }
}

/// How the SHA-256 of a path begins: 1 to 64 lower-case hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PathHashPrefix(String);

impl TryFrom<String> for PathHashPrefix {
    type Error = ParseError;

    fn try_from(text: String) -> Result<Self, ParseError> {
        let digits = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if digits && (1..=64).contains(&text.len()) {
            Ok(Self(text))
        } else {
            let expected = "1 to 64 lower-case hex digits";
            Err(ParseError::new("path hash prefix", &text, expected))
        }
    }
}

impl From<PathHashPrefix> for String {
    fn from(prefix: PathHashPrefix) -> Self {
        prefix.0
    }
}

/// 2 to the power of `bit_length` roles with the same keys, among which the paths are divided by
/// the first bits of their SHA-256 (TAP 15).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuccinctRoles {
    /// Their keys.
    #[serde(flatten)]
    pub keys: RoleKeys,
    /// How many bits of a path's digest tell its role.
    pub bit_length: BitLength,
    /// What stands before the number in their names.
    pub name_prefix: String,
}

impl SuccinctRoles {
    /// The name of the role that may speak for `path`.
    pub fn role_for(&self, path: &str) -> String {
        let [a, b, c, d, ..] = *Digest::of(path.as_bytes()).as_bytes();
        self.name(u32::from_be_bytes([a, b, c, d]) >> (32 - self.bit_length.0))
    }

    /// Whether `name` is one of theirs.
    fn is_one(&self, name: &str) -> bool {
        let number = || {
            let digits = name.strip_prefix(&self.name_prefix)?.strip_prefix('-')?;
            u32::from_str_radix(digits, 16).ok()
        };
        number().is_some_and(|number| {
            u64::from(number) < 1 << self.bit_length.0 && self.name(number) == name
        })
    }

    fn name(&self, number: u32) -> String {
        let digits = usize::from(self.bit_length.0).div_ceil(4);
        format!("{}-{number:0digits$x}", self.name_prefix)
    }
}

/// From 1 to 32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct BitLength(u8);

impl TryFrom<u8> for BitLength {
    type Error = ParseError;

    fn try_from(number: u8) -> Result<Self, ParseError> {
        if (1..=32).contains(&number) {
            Ok(Self(number))
        } else {
            Err(ParseError::new("bit_length", &number.to_string(), "1 to 32"))
        }
    }
}

impl From<BitLength> for u8 {
    fn from(length: BitLength) -> Self {
        length.0
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn role(more: &Value) -> Result<DelegatedRole, serde_json::Error> {
        let mut role =
            json!({ "name": "a", "keyids": ["k"], "threshold": 1, "terminating": false });
        role.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(role)
    }

    #[test]
    fn a_role_speaks_for_patterns_or_for_prefixes_of_digests() {
        // `printf a/b | sha256sum` begins with c14cddc033f6
        for (more, covers) in [
            (json!({ "paths": ["a/*"] }), true),
            (json!({ "paths": ["*"] }), false),
            (json!({ "paths": [] }), false),
            (json!({ "path_hash_prefixes": ["00", "c14c"] }), true),
            (json!({ "path_hash_prefixes": ["c14d"] }), false),
        ] {
            let role = role(&more).unwrap();
            assert_eq!(role.paths.cover("a/b"), covers, "{more}");
            let written = serde_json::to_value(&role).unwrap();
            assert_eq!(serde_json::from_value::<DelegatedRole>(written).unwrap(), role);
        }
        for bad in [
            json!({}),
            json!({ "paths": ["*"], "path_hash_prefixes": ["00"] }),
            json!({ "path_hash_prefixes": [""] }),
            json!({ "path_hash_prefixes": ["C1"] }),
        ] {
            assert!(role(&bad).is_err(), "{bad}");
        }
    }

    fn succinct(bit_length: u64) -> Result<SuccinctRoles, serde_json::Error> {
        serde_json::from_value(json!({
            "keyids": ["k"], "threshold": 1, "bit_length": bit_length, "name_prefix": "bin"
        }))
    }

    #[test]
    fn a_path_has_one_of_the_roles_alike() {
        for (bits, name) in [
            (1, "bin-1"),
            (4, "bin-c"),
            (5, "bin-18"),
            (8, "bin-c1"),
            (10, "bin-305"),
            (32, "bin-c14cddc0"),
        ] {
            let roles = succinct(bits).unwrap();
            assert_eq!(roles.role_for("a/b"), name);
            assert!(roles.is_one(name));
        }
        let roles = succinct(5).unwrap();
        for stranger in ["bin-20", "bin-1", "bin-018", "bin-+8", "bin", "other-18", "bin-1F"] {
            assert!(!roles.is_one(stranger), "{stranger}");
        }
        assert!(succinct(0).is_err() && succinct(33).is_err());
    }

    #[test]
    fn delegations_are_a_list_or_alike() {
        let list = json!([]);
        let alike = serde_json::to_value(succinct(2).unwrap()).unwrap();
        let parse = |document: Value| serde_json::from_value::<Delegations>(document);
        assert!(parse(json!({ "keys": {}, "roles": list })).is_ok());
        let delegations = parse(json!({ "keys": {}, "succinct_roles": alike })).unwrap();
        assert!(delegations.role_keys("bin-0").is_some());
        assert_eq!(parse(serde_json::to_value(&delegations).unwrap()).unwrap(), delegations);
        assert!(parse(json!({ "keys": {}, "roles": list, "succinct_roles": alike })).is_err());
        assert!(parse(json!({ "keys": {} })).is_err());
    }
}
