//! Takes out of what is to leave the machine whatever is a secret or looks like one. Pure.
//!
//! It errs on the side of taking too much: what is missing can be asked for, and what has left cannot be
//! called back. A digest is no secret, and stays.

use serde_json::{Map, Value};

/// What stands in the place of what was removed.
pub(super) const REMOVED: &str = "[removed]";

/// What a name contains whose value is not told, in whatever case and with whatever between its words.
const SECRET_PARTS: [&str; 15] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "credential",
    "authorization",
    "authentication",
    "apikey",
    "accesskey",
    "privatekey",
    "activationkey",
    "signingkey",
    "cookie",
    "dsn",
];
/// What a name ends with, as a word of its own, whose value is not told.
const SECRET_ENDS: [&str; 7] = ["key", "pwd", "pass", "auth", "pin", "session", "pat"];
/// Names that look like those of secrets, of what everybody may know.
const PUBLIC_NAMES: [&str; 2] = ["publickey", "keyid"];
/// With what the secrets begin that servers of Mainstay give out.
const TOKEN_PREFIXES: [&str; 3] = ["mst_", "mmt_", "mak_"];
/// How long the rest of a word is at least that begins with one of them.
const TOKEN_CHARS_MIN: usize = 8;
/// The schemes of HTTP after which a credential stands.
const SCHEMES: [&str; 5] = ["bearer", "basic", "digest", "negotiate", "token"];
/// A text shorter than that is not looked for everywhere: it would be found in what it is not.
const KNOWN_CHARS_MIN: usize = 6;

/// Removes secrets, and counts in how many places it did.
#[derive(Debug, Default)]
pub(super) struct Scrubber {
    known: Vec<String>,
    pub(super) removed: u64,
}

impl Scrubber {
    /// One that removes the texts `known` wherever they stand, beside all that looks like a secret.
    pub(super) fn new(known: impl IntoIterator<Item = String>) -> Self {
        let known = known.into_iter().filter(|text| text.chars().count() >= KNOWN_CHARS_MIN);
        let mut known: Vec<_> = known.collect();
        // A text may be a part of another one.
        known.sort_by_key(|text| std::cmp::Reverse(text.len()));
        Self { known, removed: 0 }
    }

    /// A document without secrets.
    pub(super) fn value(&mut self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(&text)),
            Value::Array(entries) => Value::Array(self.words(entries)),
            Value::Object(members) => {
                let members = members.into_iter().map(|(name, value)| {
                    let is_said = matches!(value, Value::Null | Value::Bool(_));
                    let value = if !is_said && is_secret_name(&name) {
                        self.remove();
                        Value::String(REMOVED.to_owned())
                    } else {
                        self.value(value)
                    };
                    (self.text(&name), value)
                });
                Value::Object(members.collect::<Map<_, _>>())
            }
            other => other,
        }
    }

    /// The entries of a list, which may be the words of a command: an option and its value.
    fn words(&mut self, entries: Vec<Value>) -> Vec<Value> {
        let mut is_value = false;
        let mut words = Vec::with_capacity(entries.len());
        for entry in entries {
            let follows = entry.as_str().is_some_and(is_secret_option);
            if is_value && entry.is_string() {
                self.remove();
                words.push(Value::String(REMOVED.to_owned()));
            } else {
                words.push(self.value(entry));
            }
            is_value = follows;
        }
        words
    }

    /// A text without secrets.
    pub(super) fn text(&mut self, text: &str) -> String {
        let text = self.without_known(text);
        let text = self.without_keys(&text);
        let text = self.without_user_info(&text);
        self.without_assigned(&text)
    }

    /// A text without what is known to be a secret, whatever stands around it.
    pub(super) fn without_known(&mut self, text: &str) -> String {
        let mut text = text.to_owned();
        let mut removed = 0;
        for known in &self.known {
            let count = text.matches(known.as_str()).count();
            if count > 0 {
                text = text.replace(known.as_str(), REMOVED);
                removed += count as u64;
            }
        }
        self.removed = self.removed.saturating_add(removed);
        text
    }

    /// Without private keys in the form of PEM (RFC 7468).
    fn without_keys(&mut self, text: &str) -> String {
        const BEGIN: &str = "-----BEGIN ";
        const PRIVATE: &str = "PRIVATE KEY-----";
        const END: &str = "-----END ";
        let mut rest = text;
        let mut clean = String::with_capacity(text.len());
        while let Some((before, after)) = rest.split_once(BEGIN) {
            clean.push_str(before);
            let label = after.split("-----").next().unwrap_or_default();
            if !format!("{label}-----").ends_with(PRIVATE) {
                clean.push_str(BEGIN);
                rest = after;
                continue;
            }
            self.remove();
            clean.push_str(REMOVED);
            // Of a key that is cut off, all that follows may be key.
            let end = after.split_once(END).map_or("", |(_, label)| label);
            rest = end.split_once("-----").map_or("", |(_, after)| after);
        }
        clean.push_str(rest);
        clean
    }

    /// Without the user and password in front of the host of an address (RFC 3986 §3.2.1).
    fn without_user_info(&mut self, text: &str) -> String {
        let mut rest = text;
        let mut clean = String::with_capacity(text.len());
        while let Some((before, after)) = rest.split_once("://") {
            clean.push_str(before);
            clean.push_str("://");
            let is_end = |letter: char| letter.is_whitespace() || "/?#\"'<>\\`,;".contains(letter);
            let authority = after.find(is_end).unwrap_or(after.len());
            let user_end = after.get(..authority).and_then(|authority| authority.rfind('@'));
            rest = match user_end {
                Some(end) => {
                    self.remove();
                    clean.push_str(REMOVED);
                    after.get(end..).unwrap_or_default()
                }
                None => after,
            };
        }
        clean.push_str(rest);
        clean
    }

    /// Without the values that are given to names which look like those of secrets, and without words
    /// that look like credentials.
    fn without_assigned(&mut self, text: &str) -> String {
        let mut clean = String::with_capacity(text.len());
        let (mut rest, mut name) = (text, None);
        while let Some(first) = rest.chars().next() {
            let begin = name.take().and_then(|name| Secret::begin(name, rest));
            if let Some((begin, end)) = begin.map(|begin| (begin, begin.end(rest))) {
                self.remove();
                clean.push_str(rest.get(..begin.at).unwrap_or_default());
                clean.push_str(REMOVED);
                rest = rest.get(end..).unwrap_or_default();
                continue;
            }
            let is_between = is_between(first);
            let end = rest.find(|letter| self::is_between(letter) != is_between);
            let (piece, after) =
                rest.split_at_checked(end.unwrap_or(rest.len())).unwrap_or((rest, ""));
            rest = after;
            if !is_between && looks_like_credential(piece) {
                self.remove();
                clean.push_str(REMOVED);
                continue;
            }
            clean.push_str(piece);
            name = Some(piece).filter(|_| !is_between).and_then(SecretName::of);
        }
        clean
    }

    fn remove(&mut self) {
        self.removed = self.removed.saturating_add(1);
    }
}

/// What a word in a text says of what follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SecretName {
    /// After a sign between, a value follows that is not told.
    Assigned,
    /// The same, and the value goes on to the end of the line, as in a header of HTTP.
    Header,
    /// The next word is not told, sign or no sign: of an option, and of a scheme of HTTP.
    Option,
}

impl SecretName {
    fn of(word: &str) -> Option<Self> {
        let lower = word.to_ascii_lowercase();
        if lower == "bearer" || lower == "basic" {
            Some(Self::Option)
        } else if !is_secret_name(word) {
            None
        } else if lower.contains("authorization") || lower.contains("cookie") {
            Some(Self::Header)
        } else if word.starts_with('-') {
            Some(Self::Option)
        } else {
            Some(Self::Assigned)
        }
    }
}

/// A value that is not told, and where in a text it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Secret {
    at: usize,
    extent: Extent,
}

/// How far a value goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extent {
    /// To the next quotation mark of this kind.
    Quoted(char),
    /// To the end of the line, or any quotation mark.
    Line,
    /// To the next space, or any quotation mark.
    Word,
}

const QUOTES: [char; 3] = ['"', '\'', '`'];

impl Secret {
    /// The value that begins in `text`, which stands behind a name; none where none does.
    fn begin(name: SecretName, text: &str) -> Option<Self> {
        let sign = text
            .find(|letter| !is_between(letter) || letter == '\n' || letter == '=' || letter == ':')
            .filter(|at| text.get(*at..).is_some_and(|rest| rest.starts_with(['=', ':'])));
        if sign.is_none() && name != SecretName::Option {
            return None;
        }
        let from = text.get(sign.unwrap_or(0)..)?;
        let value = from.trim_start_matches([' ', '\t', '=', ':', '>']);
        let first = value.chars().next().filter(|first| *first != '\n' && *first != '\r')?;
        let at = text.len() - value.len();
        if QUOTES.contains(&first) {
            let at = at + first.len_utf8();
            return Some(Self { at, extent: Extent::Quoted(first) });
        }
        let word = value.split(char::is_whitespace).next().unwrap_or_default();
        let is_scheme = SCHEMES.contains(&word.to_ascii_lowercase().as_str());
        let goes_on = name == SecretName::Header || is_scheme;
        Some(Self { at, extent: if goes_on { Extent::Line } else { Extent::Word } })
    }

    /// Where in `text` the value ends.
    fn end(self, text: &str) -> usize {
        let value = text.get(self.at..).unwrap_or_default();
        let is_end = |letter: char| match self.extent {
            Extent::Quoted(quote) => letter == quote,
            Extent::Line => letter == '\n' || QUOTES.contains(&letter),
            Extent::Word => letter.is_whitespace() || QUOTES.contains(&letter),
        };
        self.at + value.find(is_end).unwrap_or(value.len())
    }
}

/// Whether a letter stands between words. Whatever may be within a name is within a word.
fn is_between(letter: char) -> bool {
    letter.is_whitespace() || "=:\"'`,;&|()[]{}<>?".contains(letter)
}

/// Whether the value of what is called so is not told.
pub(super) fn is_secret_name(name: &str) -> bool {
    let letters = name.chars().filter(char::is_ascii_alphanumeric);
    let joined = letters.collect::<String>().to_ascii_lowercase();
    if PUBLIC_NAMES.iter().any(|public| joined.ends_with(public)) {
        return false;
    }
    let mut words = name.split(|letter: char| !letter.is_ascii_alphanumeric());
    let last = words.rfind(|word| !word.is_empty()).unwrap_or_default().to_ascii_lowercase();
    SECRET_PARTS.iter().any(|part| joined.contains(part)) || SECRET_ENDS.contains(&last.as_str())
}

/// Whether a word of a command is an option of which the next word is a secret.
fn is_secret_option(word: &str) -> bool {
    word.starts_with('-') && !word.contains('=') && is_secret_name(word)
}

/// Whether a word is a credential by its form: one of Mainstay's own, or a signed token (RFC 7519).
fn looks_like_credential(word: &str) -> bool {
    let is_own = TOKEN_PREFIXES.iter().any(|prefix| {
        let at = word.find(prefix).and_then(|at| word.get(at + prefix.len()..));
        at.is_some_and(|rest| {
            rest.chars().take_while(char::is_ascii_alphanumeric).count() >= TOKEN_CHARS_MIN
        })
    });
    let is_signed = word.starts_with("eyJ") && word.matches('.').count() == 2;
    is_own || is_signed
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn scrubbed(text: &str) -> String {
        Scrubber::default().text(text)
    }

    #[test]
    fn what_looks_like_a_secret_is_removed_and_the_rest_stays() {
        for (text, expected) in [
            ("http://user:hunter2@proxy:3128/x", "http://[removed]@proxy:3128/x"),
            (
                "see https://a@b@host/ and http://host/",
                "see https://[removed]@host/ and http://host/",
            ),
            ("Authorization: Bearer abc.def-1", "Authorization: [removed]"),
            ("authorization=Basic dXNlcg== more\nnext", "authorization=[removed]\nnext"),
            ("curl -H 'Cookie: a=b; c=d' http://host/", "curl -H 'Cookie: [removed]' http://host/"),
            ("token: Bearer abc def\nnext", "token: [removed]\nnext"),
            ("sent bearer abcdef", "sent bearer [removed]"),
            ("--password hunter2 --verbose", "--password [removed] --verbose"),
            ("--api-key=hunter2;more", "--api-key=[removed]"),
            ("DB_PASSWORD='hunter 2' x", "DB_PASSWORD='[removed]' x"),
            ("password = \"&=hunter 2\", x", "password = \"[removed]\", x"),
            ("secret => (hunter2", "secret => [removed]"),
            ("{\"client_secret\": \"hunter2\"}", "{\"client_secret\": \"[removed]\"}"),
            ("key: hunter2\nversion: 2.4.1", "key: [removed]\nversion: 2.4.1"),
            ("password:\nversion: 2.4.1", "password:\nversion: 2.4.1"),
            ("https://host/x?token=hunter2&a=b", "https://host/x?token=[removed]"),
            ("with mmt_0123456789abcdef in it", "with [removed] in it"),
            ("eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ4In0.c2ln", "[removed]"),
            ("the key is lost", "the key is lost"),
            ("public_key = ed25519:abc", "public_key = ed25519:abc"),
            ("sha256: e3b0c44298fc1c149afb", "sha256: e3b0c44298fc1c149afb"),
            ("exit status: 3, the database is gone", "exit status: 3, the database is gone"),
            ("password", "password"),
            ("password=", "password="),
        ] {
            assert_eq!(scrubbed(text), expected, "{text}");
        }
    }

    #[test]
    fn private_keys_are_removed_whole_also_where_they_are_cut_off() {
        let key = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMC4CAQ\nAwBQ\n-----END ENCRYPTED PRIVATE KEY-----";
        assert_eq!(scrubbed(&format!("a\n{key}\nb")), "a\n[removed]\nb");
        assert_eq!(scrubbed("a -----BEGIN PRIVATE KEY-----\nMC4CAQ\n"), "a [removed]");
        let certificate = "-----BEGIN CERTIFICATE-----\nMC4CAQ\n-----END CERTIFICATE-----";
        assert_eq!(scrubbed(certificate), certificate);
    }

    #[test]
    fn a_document_is_scrubbed_by_its_names_and_in_its_texts() {
        let mut scrubber = Scrubber::new(["s3cr3t-of-the-machine".to_owned(), "abc".to_owned()]);
        let document = json!({
            "proxy": "http://u:p@proxy:1",
            "password": { "deep": ["hunter2"] },
            "token": null,
            "command": ["/bin/check", "--secret", "hunter2", "abc", "--key=hunter2"],
            "said": "it said s3cr3t-of-the-machine twice: s3cr3t-of-the-machine",
            "s3cr3t-of-the-machine": 1,
        });
        let expected = json!({
            "proxy": "http://[removed]@proxy:1",
            "password": "[removed]",
            "token": null,
            "command": ["/bin/check", "--secret", "[removed]", "abc", "--key=[removed]"],
            "said": "it said [removed] twice: [removed]",
            "[removed]": 1,
        });
        assert_eq!(scrubber.value(document), expected);
        assert_eq!(scrubber.removed, 7);
    }

    #[test]
    fn names_are_told_from_one_another() {
        for name in ["AWS_SECRET_ACCESS_KEY", "DbPassword", "x-api-key", "SIGNING-KEY", "auth"] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in ["public_key", "keycloak", "monkey", "path", "proxy", "keyid", "sha256"] {
            assert!(!is_secret_name(name), "{name}");
        }
    }
}
