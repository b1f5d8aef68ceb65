//! What is wrong with the text of `agent.toml`, and where. Pure.

use std::{fmt, ops::Range, path::PathBuf};

use serde::{
    Deserializer,
    de::{DeserializeOwned, Error as _, Visitor, value},
    forward_to_deserialize_any,
};
use toml::{
    Spanned,
    de::{DeTable, DeValue, ValueDeserializer},
};

use crate::{
    client::{
        Enrolment, PreflightSettings,
        settings::{
            Consents, DataSettings, DiskSettings, DownloadSettings, NetworkSettings,
            SupportSettings, UpdateSettings, Window,
        },
    },
    format::{ContractName, CustomerName, Digest, MachineName, ProductName},
};

/// Something that is wrong with the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    /// From one on; 0 where it is nowhere in particular.
    line: usize,
    /// In characters, from one on.
    column: usize,
    detail: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self { line: 0, detail, .. } => formatter.write_str(detail),
            Self { line, column, detail } => {
                write!(formatter, "line {line}, column {column}: {detail}")
            }
        }
    }
}

/// The keys that enrolling writes, without which there is no enrolment.
const REQUIRED: [&str; 7] =
    ["server", "product", "machine", "customer", "contract", "root_version", "root_sha256"];

/// How many letters a key may be off to be taken for another one.
const SLIPS_MAX: usize = 3;

/// All that is wrong with `text`, in the order in which it stands there.
pub(super) fn problems(text: &str) -> Vec<Problem> {
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        // Where one line is no TOML, nobody knows to which table the next ones belong.
        return errors.iter().map(|error| Problem::of(error, text)).collect();
    }
    let mut table = table.into_inner();
    let mut found = Vec::new();
    take_unknown_keys("", &mut table, text, &mut found);
    let is_there = |key: &str| table.iter().any(|(name, _)| name.get_ref() == key);
    let missing: Vec<_> = REQUIRED.iter().filter(|key| !is_there(key)).collect();
    let values = table.into_iter().filter_map(|(key, value)| value_error(key.get_ref(), value));
    found.extend(values.map(|error| Problem::of(&error, text)));
    found.sort_by_key(|problem| (problem.line, problem.column));
    found.extend(missing.iter().map(|key| {
        let detail = format!(
            "`{key}` is missing: expected what enrolling has written; enrol again \
             (`mainstay-agent enroll`)"
        );
        Problem { line: 0, column: 0, detail }
    }));
    found
}

impl Problem {
    fn at(span: &Range<usize>, text: &str, detail: String) -> Self {
        let before = text.get(..span.start).unwrap_or(text);
        let line_begin = before.rfind('\n').map_or(0, |end| end + 1);
        Self {
            line: before.matches('\n').count() + 1,
            column: before.get(line_begin..).unwrap_or_default().chars().count() + 1,
            detail,
        }
    }

    fn of(error: &toml::de::Error, text: &str) -> Self {
        let detail = error.message().trim_end().replace('\n', "; ");
        match error.span() {
            Some(span) => Self::at(&span, text, detail),
            None => Self { line: 0, column: 0, detail },
        }
    }
}

/// The keys that a table of the settings may have; nothing where they are the administrator's own.
fn known_keys(table: &str) -> Option<&'static [&'static str]> {
    Some(match table {
        "" => fields_of::<Enrolment>(),
        "data" => fields_of::<DataSettings>(),
        "disk" => fields_of::<DiskSettings>(),
        "download" => fields_of::<DownloadSettings>(),
        "network" => fields_of::<NetworkSettings>(),
        "updates" => fields_of::<UpdateSettings>(),
        "updates.channels" => fields_of::<Consents>(),
        "updates.windows" => fields_of::<Window>(),
        "preflight" => fields_of::<PreflightSettings>(),
        "support" => fields_of::<SupportSettings>(),
        _ => return None,
    })
}

const TABLES: [&str; 10] = [
    "",
    "data",
    "disk",
    "download",
    "network",
    "updates",
    "updates.channels",
    "updates.windows",
    "preflight",
    "support",
];

/// Takes every key out of the table called `name`, and of those in it, that means nothing.
fn take_unknown_keys(name: &str, table: &mut DeTable<'_>, text: &str, found: &mut Vec<Problem>) {
    let Some(known) = known_keys(name) else { return };
    for (key, value) in std::mem::take(table) {
        let word = key.get_ref().as_ref();
        if !known.contains(&word) {
            let place = if name.is_empty() { String::new() } else { format!(" in [{name}]") };
            let detail = format!(
                "`{}`{place} is no key that the agent knows: {}",
                word.escape_debug(),
                instead_of(name, word, known)
            );
            found.push(Problem::at(&key.span(), text, detail));
            continue;
        }
        let below = if name.is_empty() { word.to_owned() } else { format!("{name}.{word}") };
        let (span, mut value) = (value.span(), value.into_inner());
        match &mut value {
            DeValue::Table(table) => take_unknown_keys(&below, table, text, found),
            DeValue::Array(entries) => {
                for entry in entries.iter_mut() {
                    if let DeValue::Table(table) = entry.get_mut() {
                        take_unknown_keys(&below, table, text, found);
                    }
                }
            }
            _ => {}
        }
        table.insert(key, Spanned::new(span, value));
    }
}

/// What may have been meant by the key `key` of the table called `table`.
fn instead_of(table: &str, key: &str, known: &[&str]) -> String {
    let candidates = TABLES.iter().flat_map(|other| {
        let keys = known_keys(other).unwrap_or_default();
        // Between two that are as near, the one in the same table.
        keys.iter().map(move |known| (slips(key, known), *other != table, *other, *known))
    });
    let nearest = candidates.filter(|it| it.0 <= SLIPS_MAX.min(key.chars().count() / 2)).min();
    match nearest {
        Some((_, false, _, known)) => format!("did you mean `{known}`?"),
        Some((_, true, "", known)) => format!("did you mean `{known}` above all tables?"),
        Some((_, true, other, known)) => format!("did you mean `{known}` in [{other}]?"),
        None => format!("expected one of {}", known.join(", ")),
    }
}

/// By how many letters that are added, left out, exchanged or replaced two words differ.
fn slips(one: &str, other: &str) -> usize {
    let (one, other): (Vec<_>, Vec<_>) = (one.chars().collect(), other.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, letter) in one.iter().enumerate() {
        let mut next = vec![i + 1];
        for (j, wanted) in other.iter().enumerate() {
            let at = |row: &[usize], j: usize| row.get(j).copied().unwrap_or(usize::MAX - 1);
            let mut least = (at(&row, j) + usize::from(letter != wanted))
                .min(at(&row, j + 1) + 1)
                .min(at(&next, j) + 1);
            let exchanged = i > 0
                && j > 0
                && one.get(i - 1) == Some(wanted)
                && other.get(j - 1) == Some(letter);
            if exchanged {
                least = least.min(at(&before, j - 1) + 1);
            }
            next.push(least);
        }
        before = std::mem::replace(&mut row, next);
    }
    row.last().copied().unwrap_or_default()
}

/// What is wrong with the value of a key at the top.
fn value_error(key: &str, value: Spanned<DeValue<'_>>) -> Option<toml::de::Error> {
    fn error_of<T: DeserializeOwned>(value: Spanned<DeValue<'_>>) -> Option<toml::de::Error> {
        T::deserialize(ValueDeserializer::from(value)).err()
    }
    match key {
        "server" => error_of::<String>(value),
        "ca_file" => error_of::<PathBuf>(value),
        "product" => error_of::<ProductName>(value),
        "machine" => error_of::<MachineName>(value),
        "customer" => error_of::<CustomerName>(value),
        "contract" => error_of::<ContractName>(value),
        "root_version" => error_of::<u64>(value),
        "root_sha256" => error_of::<Digest>(value),
        "data" => error_of::<DataSettings>(value),
        "disk" => error_of::<DiskSettings>(value),
        "download" => error_of::<DownloadSettings>(value),
        "network" => error_of::<NetworkSettings>(value),
        "updates" => error_of::<UpdateSettings>(value),
        "preflight" => error_of::<PreflightSettings>(value),
        "support" => error_of::<SupportSettings>(value),
        _ => None,
    }
}

/// The names of a struct's fields, as its `Deserialize` tells them.
fn fields_of<T: DeserializeOwned>() -> &'static [&'static str] {
    struct Names<'a>(&'a mut &'static [&'static str]);

    impl<'de> Deserializer<'de> for Names<'_> {
        type Error = value::Error;

        fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, value::Error> {
            Err(value::Error::custom("only names are asked for"))
        }

        fn deserialize_struct<V: Visitor<'de>>(
            self,
            _: &'static str,
            fields: &'static [&'static str],
            visitor: V,
        ) -> Result<V::Value, value::Error> {
            *self.0 = fields;
            self.deserialize_any(visitor)
        }

        forward_to_deserialize_any! {
            bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
            unit unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
        }
    }

    let mut names: &'static [&'static str] = &[];
    let _ = T::deserialize(Names(&mut names));
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENROLLED: &str = r#"server = "https://updates.example.com"
product = "acme-db"
machine = "m-0001"
customer = "initech"
contract = "initech-2026"
root_version = 1
root_sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
"#;

    fn told(rest: &str) -> Vec<String> {
        problems(&format!("{ENROLLED}{rest}")).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_right_is_left_in_peace() {
        let rest = r#"
[data]
directories = ["/var/lib/acme"]
[download]
prefer = "bytes"
[network]
proxy = "http://proxy.example.com:3128"
[updates.channels]
feature = "auto"
[[updates.windows]]
days = ["sat"]
from = "22:00"
until = "04:00"
[preflight]
command = ["/bin/true"]
components = { whatever = "1.0.0" }
[support]
collect = "forbid"
"#;
        assert_eq!(told(rest), [""; 0]);
        assert!(toml::from_str::<Enrolment>(&format!("{ENROLLED}{rest}")).is_ok());
    }

    #[test]
    fn every_slip_is_told_with_its_place_and_what_may_have_been_meant() {
        let rest = r#"
[network]
  proxi = "http://proxy.example.com:3128"
bytes_per_second_max = "many"
[updates]
tress_kept = 3
snapshots_kept = 3
[updates.channels]
feature = "sometimes"
[[updates.windows]]
form = "22:00"
until = "04:00"
[netwrok]
[download]
perfer = "bytes"
prefer = "money"
[preflight]
xyzzy = 1
timeout_seconds = -1
"#;
        insta::assert_snapshot!(told(rest).join("\n"), @r#"
        line 10, column 3: `proxi` in [network] is no key that the agent knows: did you mean `proxy`?
        line 11, column 24: invalid type: string "many", expected a nonzero u64
        line 13, column 1: `tress_kept` in [updates] is no key that the agent knows: did you mean `trees_kept`?
        line 14, column 1: `snapshots_kept` in [updates] is no key that the agent knows: did you mean `snapshots_kept` in [data]?
        line 16, column 11: unknown variant `sometimes`, expected one of `auto`, `download`, `ask`, `off`
        line 18, column 1: `form` in [updates.windows] is no key that the agent knows: did you mean `from`?
        line 20, column 2: `netwrok` is no key that the agent knows: did you mean `network`?
        line 22, column 1: `perfer` in [download] is no key that the agent knows: did you mean `prefer`?
        line 23, column 10: unknown variant `money`, expected `time` or `bytes`
        line 25, column 1: `xyzzy` in [preflight] is no key that the agent knows: expected one of command, timeout_seconds, facts, components
        line 26, column 19: invalid value: integer `-1`, expected u32
        "#);
    }

    #[test]
    fn a_text_that_is_no_toml_is_told_line_by_line() {
        insta::assert_snapshot!(told("[data\nx = = 1\n").join("\n"), @r"
        line 8, column 6: unclosed table, expected `]`
        line 9, column 5: extra `=`, expected nothing
        line 9, column 7: unexpected key or value, expected newline, `#`
        ");
    }

    #[test]
    fn what_enrolling_has_written_must_be_there() {
        for key in REQUIRED {
            let rest: Vec<_> = ENROLLED.lines().filter(|line| !line.starts_with(key)).collect();
            let found = problems(&rest.join("\n"));
            assert_eq!(found.len(), 1, "{key}: {found:?}");
            assert!(found[0].to_string().starts_with(&format!("`{key}` is missing")), "{found:?}");
            assert!(toml::from_str::<Enrolment>(&rest.join("\n")).is_err(), "{key}");
        }
        assert!(toml::from_str::<Enrolment>(ENROLLED).is_ok());
    }

    #[test]
    fn every_key_is_known_and_its_value_is_looked_at() {
        for key in fields_of::<Enrolment>() {
            let text = format!("{key} = 1.5\n");
            let found = problems(&text);
            let own = found.iter().find(|it| it.line == 1);
            assert!(own.is_some_and(|it| !it.detail.contains("no key")), "{key}: {found:?}");
        }
    }

    #[test]
    fn slips_are_counted_as_people_make_them() {
        for (one, other, expected) in [
            ("proxy", "proxy", 0),
            ("proxi", "proxy", 1),
            ("netwrok", "network", 1),
            ("tress_kept", "trees_kept", 1),
            ("prox", "proxy", 1),
            ("", "abc", 3),
            ("abc", "", 3),
        ] {
            assert_eq!(slips(one, other), expected, "{one} {other}");
        }
    }
}
