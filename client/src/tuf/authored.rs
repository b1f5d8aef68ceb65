use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::{Envelope, KeyId, Metadata, PublicKey, RoleKeys, Root, SPEC_VERSION, Targets};

/// Metadata that people sign: a root or a targets role.
pub trait Authored: Metadata + Serialize {
    /// What is wrong with the keys and roles that the document names.
    fn role_problems(&self) -> Vec<String>;
}

impl Authored for Root {
    fn role_problems(&self) -> Vec<String> {
        let roles = [
            ("root", &self.roles.root),
            ("timestamp", &self.roles.timestamp),
            ("snapshot", &self.roles.snapshot),
            ("targets", &self.roles.targets),
        ];
        key_problems(&self.keys, roles)
    }
}

impl Authored for Targets {
    fn role_problems(&self) -> Vec<String> {
        let Some(delegations) = &self.delegations else { return Vec::new() };
        let roles = delegations.roles.iter().map(|role| (role.name.as_str(), &role.keys));
        let mut problems = key_problems(&delegations.keys, roles);
        if delegations.succinct_roles.is_some() {
            problems.push("it delegates to succinct_roles: expected a list of roles".to_owned());
        }
        problems
    }
}

impl Envelope {
    /// Everything that keeps the document from being one that Mainstay writes.
    ///
    /// A client takes more, as the specification demands: it passes over members and kinds of keys
    /// that it does not know. Who signs must not: what Mainstay does not know it cannot show, and
    /// the next document, which is built upon this one, would lose it. So the document must be, but
    /// for white space, the one that is written from what was understood of it.
    pub fn authoring_problems<M: Authored>(&self) -> Vec<String> {
        let document: M = match self.document() {
            Ok(document) => document,
            Err(refusal) => return vec![refusal.to_string()],
        };
        let header = document.header();
        let mut problems = document.role_problems();
        if header.spec_version != SPEC_VERSION {
            problems.push(format!(
                "spec_version `{}`: expected {SPEC_VERSION}",
                header.spec_version.escape_debug()
            ));
        }
        if header.expires.subsec_nanosecond() != 0 {
            problems.push(format!("it expires at {}: expected whole seconds", header.expires));
        }
        match serde_json::to_value(&document) {
            Ok(written) => compare("", self.signed(), &written, &mut problems),
            Err(error) => problems.push(error.to_string()),
        }
        problems
    }
}

/// Key identifiers are the keys' own, so that what is shown by an identifier is that key, and each
/// key is counted as often as it is listed.
fn key_problems<'a>(
    keys: &BTreeMap<KeyId, PublicKey>,
    roles: impl IntoIterator<Item = (&'a str, &'a RoleKeys)>,
) -> Vec<String> {
    let mut problems = Vec::new();
    let mut names = BTreeMap::<&PublicKey, Vec<&KeyId>>::new();
    for (id, key) in keys {
        names.entry(key).or_default().push(id);
    }
    for (key, ids) in names {
        let own = key.id();
        match &ids[..] {
            [id] if **id == own => {}
            [id] => problems
                .push(format!("key {id} is another key than its identifier says: expected {own}")),
            ids => {
                let ids: Vec<_> = ids.iter().map(ToString::to_string).collect();
                problems.push(format!(
                    "keys {} are one key, of which signatures count once: expected {own} alone",
                    ids.join(", ")
                ));
            }
        }
    }
    for (name, role) in roles {
        let unknown = role.keyids.iter().filter(|id| !keys.contains_key(id));
        problems.extend(
            unknown.map(|id| format!("key {id} of {} is not described", name.escape_debug())),
        );
    }
    problems
}

/// How many differences are listed.
const DIFFERENCES_MAX: usize = 16;

/// Lists where `found` is not as it would be `written`; `place` is where they stand (RFC 6901).
fn compare(place: &str, found: &Value, written: &Value, problems: &mut Vec<String>) {
    if found == written {
        return;
    }
    match (found, written) {
        (Value::Object(found), Value::Object(written)) => {
            for (name, member) in found {
                if problems.len() >= DIFFERENCES_MAX {
                    return;
                }
                let place = format!("{place}/{}", name.replace('~', "~0").replace('/', "~1"));
                match written.get(name) {
                    Some(written) => compare(&place, member, written, problems),
                    None => problems.push(format!(
                        "`{}` is not known, so nobody would see it",
                        place.escape_debug()
                    )),
                }
            }
        }
        (Value::Array(found), Value::Array(written)) if found.len() == written.len() => {
            for (index, (found, written)) in found.iter().zip(written).enumerate() {
                compare(&format!("{place}/{index}"), found, written, problems);
            }
        }
        _ => problems.push(format!(
            "`{}` is `{}`: expected it written as `{}`",
            place.escape_debug(),
            short(found),
            short(written)
        )),
    }
}

/// The beginning of a value, which nothing in it can hide.
fn short(value: &Value) -> String {
    const CHARS_MAX: usize = 80;
    let text = value.to_string();
    text.chars().take(CHARS_MAX).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::SigningKey, *};

    fn problems<M: Authored>(signed: &Value) -> Vec<String> {
        let document = json!({ "signatures": [], "signed": signed });
        let envelope = Envelope::parse("document", document.to_string().as_bytes()).unwrap();
        envelope.authoring_problems::<M>()
    }

    fn key(seed: u8) -> PublicKey {
        SigningKey::from_seed(&[seed; 32]).public()
    }

    fn targets() -> Value {
        json!({
            "_type": "targets",
            "spec_version": SPEC_VERSION,
            "version": 1,
            "expires": "2027-01-01T00:00:00Z",
            "targets": {
                "a/b": { "length": 1, "hashes": { "sha256": "00".repeat(32) }, "custom": { "x": 1 } }
            },
            "delegations": {
                "keys": { key(1).id().to_string(): key(1) },
                "roles": [{
                    "name": "a",
                    "keyids": [key(1).id()],
                    "threshold": 1,
                    "terminating": true,
                    "paths": ["a/*"],
                }],
            },
        })
    }

    #[test]
    fn what_mainstay_writes_has_no_problems() {
        assert_eq!(problems::<Targets>(&targets()), [""; 0]);
    }

    #[test]
    fn dates_of_lines_are_written_in_one_way() {
        let mut document = targets();
        document["x-mainstay-lines"] = json!({ "2.4": { "eos": "2027-01-01T00:00:00Z" } });
        assert_eq!(problems::<Targets>(&document), [""; 0]);
        for (lines, expected) in [
            (json!({}), "`/x-mainstay-lines` is not known"),
            (json!({ "2.4": {} }), "line 2.4 has no date"),
            (
                json!({ "2.4": { "eos": "2027-01-01T00:00:00Z", "x": 1 } }),
                "`/x-mainstay-lines/2.4/x` is not known",
            ),
            (
                json!({ "2.4": { "eos": "2027-01-01T00:00:00+00:00" } }),
                "`/x-mainstay-lines/2.4/eos` is",
            ),
        ] {
            document["x-mainstay-lines"] = lines;
            let problems = problems::<Targets>(&document).join("\n");
            assert!(problems.contains(expected), "{problems}");
        }
    }

    #[test]
    fn every_member_that_would_vanish_is_named() {
        for (place, member, expected) in [
            ("", "x", "`/x` is not known"),
            ("", "a/~", "`/a~1~0` is not known"),
            ("/targets/a~1b", "x", "`/targets/a~1b/x` is not known"),
            ("/targets/a~1b/hashes", "md5", "`/targets/a~1b/hashes/md5` is not known"),
            ("/delegations", "x", "`/delegations/x` is not known"),
            ("/delegations/keys", "x", "`/delegations/keys/x` is not known"),
            ("/delegations/roles/0", "x", "`/delegations/roles/0/x` is not known"),
        ] {
            let mut document = targets();
            document.pointer_mut(place).unwrap()[member] = json!({});
            let [problem] = &problems::<Targets>(&document)[..] else { panic!("{member}") };
            assert!(problem.contains(expected), "{problem}");
        }
    }

    #[test]
    fn there_is_one_way_to_write_a_document() {
        for (place, value, expected) in [
            ("/expires", json!("2027-01-01T00:00:00+00:00"), "expected it written as `"),
            ("/expires", json!("2027-01-01T00:00:00.5Z"), "expected whole seconds"),
            ("/spec_version", json!("1.0.33"), "expected 1.0.34"),
            ("/targets/a~1b/custom", json!(null), "custom` is not known"),
            ("/delegations/roles/0/keyids", json!(["k"]), "key k of a is not described"),
            ("/delegations/keys", json!({ "k": key(1) }), "key k is another key than its"),
        ] {
            let mut document = targets();
            *document.pointer_mut(place).unwrap() = value;
            let problems = problems::<Targets>(&document).join("\n");
            assert!(problems.contains(expected), "{problems}");
        }
    }

    #[test]
    fn one_key_has_one_identifier() {
        let mut document = targets();
        document["delegations"]["keys"]["0"] = json!(key(1));
        let expected = format!(
            "keys 0, {id} are one key, of which signatures count once: expected {id} alone",
            id = key(1).id()
        );
        assert_eq!(problems::<Targets>(&document), [expected]);
    }

    #[test]
    fn no_key_goes_by_the_identifier_of_another() {
        let mut document = targets();
        document["delegations"]["keys"] =
            json!({ key(1).id().to_string(): key(2), key(2).id().to_string(): key(1) });
        let problems = problems::<Targets>(&document);
        assert_eq!(problems.len(), 2, "{problems:?}");
        for problem in problems {
            assert!(problem.contains("another key than its identifier says"), "{problem}");
        }
    }

    #[test]
    fn a_long_list_of_problems_ends() {
        let mut document = targets();
        for number in 0..1000 {
            document[number.to_string()] = json!(1);
        }
        assert_eq!(problems::<Targets>(&document).len(), DIFFERENCES_MAX);
    }
}
