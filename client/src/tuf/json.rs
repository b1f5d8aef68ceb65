//! Strict parsing and the canonical form of JSON.
//!
//! The canonical form is OLPC's: no white space, members sorted by their names' code points,
//! strings with only `"` and `\` escaped and otherwise byte for byte as they are (no Unicode
//! normalisation), integers only. A document is parsed once; its signature is verified over the
//! canonical form of the parsed value, and that same value is then deserialised, so there are no
//! two readings of one document.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value, map::Entry};

/// How deep objects and arrays may be nested.
pub const DEPTH_MAX: usize = 32;

/// Why a text is not accepted as JSON.
#[derive(Debug, thiserror::Error)]
#[error("not strict JSON: {0}")]
pub struct JsonError(#[from] serde_json::Error);

/// Parses `bytes`, refusing duplicate member names, numbers that are not integers of at most 64
/// bits, nesting deeper than [`DEPTH_MAX`] and trailing characters.
pub fn parse(bytes: &[u8]) -> Result<Value, JsonError> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = Strict { depth: 0 }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

/// Parses `bytes` strictly and deserialises the value.
pub fn from_slice<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, JsonError> {
    Ok(serde_json::from_value(parse(bytes)?)?)
}

/// The canonical form of `value`.
///
/// `value` must come from [`parse`] or from a document without floating point numbers.
pub fn canonical(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    write_canonical(value, &mut bytes);
    bytes
}

fn write_canonical(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => out.extend_from_slice(number.to_string().as_bytes()),
        Value::String(text) => write_string(text, out),
        Value::Array(items) => write_sequence(b'[', b']', items, out, write_canonical),
        Value::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_unstable_by_key(|(name, _)| name.as_bytes());
            write_sequence(b'{', b'}', sorted, out, |(name, member), out| {
                write_string(name, out);
                out.push(b':');
                write_canonical(member, out);
            });
        }
    }
}

fn write_sequence<I: IntoIterator>(
    open: u8,
    close: u8,
    items: I,
    out: &mut Vec<u8>,
    mut write: impl FnMut(I::Item, &mut Vec<u8>),
) {
    out.push(open);
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(item, out);
    }
    out.push(close);
}

fn write_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for part in text.as_bytes().split_inclusive(|byte| matches!(byte, b'"' | b'\\')) {
        if let Some((last @ (b'"' | b'\\'), before)) = part.split_last() {
            out.extend_from_slice(before);
            out.extend_from_slice(&[b'\\', *last]);
        } else {
            out.extend_from_slice(part);
        }
    }
    out.push(b'"');
}

#[derive(Clone, Copy)]
struct Strict {
    depth: usize,
}

impl Strict {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth == DEPTH_MAX {
            return Err(E::custom(format_args!("nested deeper than {DEPTH_MAX} levels")));
        }
        Ok(Self { depth: self.depth + 1 })
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON without floating point numbers")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            match object.entry(name) {
                Entry::Vacant(entry) => {
                    entry.insert(members.next_value_seed(inner)?);
                }
                Entry::Occupied(entry) => {
                    let name = entry.key().escape_debug();
                    return Err(A::Error::custom(format_args!("member `{name}` stands twice")));
                }
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn canonical_text(text: &str) -> String {
        String::from_utf8(canonical(&parse(text.as_bytes()).unwrap())).unwrap()
    }

    #[test]
    fn the_canonical_form_is_olpc() {
        assert_eq!(
            canonical_text("{ \"b\" : [1, -2, true, null], \"a\": \"x\\\"\\\\\\n\\u00e9\" }"),
            "{\"a\":\"x\\\"\\\\\n\u{e9}\",\"b\":[1,-2,true,null]}"
        );
    }

    #[test]
    fn decomposed_characters_stay_decomposed() {
        assert_eq!(canonical_text("\"e\\u0301\""), "\"e\u{301}\"");
    }

    #[test]
    fn names_sort_by_code_point() {
        assert_eq!(
            canonical_text("{\"\\ud83d\\ude00\":1,\"\\uffee\":2,\"Z\":3,\"a\":4}"),
            "{\"Z\":3,\"a\":4,\"\u{ffee}\":2,\"\u{1f600}\":1}"
        );
    }

    #[test]
    fn what_has_two_readings_is_refused() {
        for (bad, why) in [
            ("{\"a\":1,\"a\":2}", "stands twice"),
            ("{\"a\":{\"b\":1,\"b\":1}}", "stands twice"),
            ("1.0", "floating point"),
            ("1e3", "floating point"),
            ("18446744073709551616", "floating point"),
            ("{} {}", "trailing"),
            ("", "EOF"),
            ("\"\\ud800\"", "escape"),
            ("\"\\ud800\\u0041\"", "surrogate"),
            ("-0", "floating point"),
            ("\"a\nb\"", "control character"),
            ("\u{feff}{}", "expected value"),
        ] {
            let error = parse(bad.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(why), "{bad}: {error}");
        }
    }

    #[test]
    fn nesting_has_a_limit() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(nested(DEPTH_MAX).as_bytes()).is_ok());
        let error = parse(nested(DEPTH_MAX + 1).as_bytes()).unwrap_err().to_string();
        assert!(error.contains("nested deeper than 32"), "{error}");
        assert!(parse("[".repeat(1_000_000).as_bytes()).is_err());
    }

    #[test]
    fn integers_reach_as_far_as_64_bits() {
        for text in ["0", "-1", "18446744073709551615", "-9223372036854775808"] {
            assert_eq!(canonical_text(text), text);
        }
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 40, 6, |inner| {
            let members = proptest::collection::btree_map(any::<String>(), inner.clone(), 0..6);
            prop_oneof![
                proptest::collection::vec(inner, 0..6).prop_map(Value::from),
                members.prop_map(|members| members.into_iter().collect::<Map<_, _>>().into()),
            ]
        })
    }

    /// The canonical form leaves control characters as they are, which JSON does not allow.
    fn control_characters_escaped(text: &[u8]) -> Vec<u8> {
        let escape = |byte: &u8| match byte {
            0..0x20 => format!("\\u{byte:04x}").into_bytes(),
            byte => vec![*byte],
        };
        text.iter().flat_map(escape).collect()
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(bytes: Vec<u8>) {
            let _ = parse(&bytes);
        }

        #[test]
        fn no_damage_makes_the_parser_panic(
            value in any_value(),
            position: proptest::sample::Index,
            byte: u8,
        ) {
            let mut bytes = serde_json::to_vec(&value).unwrap();
            let index = position.index(bytes.len());
            bytes[index] = byte;
            if let Ok(parsed) = parse(&bytes) {
                let lenient: Value = serde_json::from_slice(&bytes).unwrap();
                prop_assert_eq!(parsed, lenient);
            }
        }

        #[test]
        fn whatever_has_one_reading_is_parsed_to_it(value in any_value()) {
            prop_assert_eq!(parse(&serde_json::to_vec(&value).unwrap()).unwrap(), value.clone());
            prop_assert_eq!(parse(&serde_json::to_vec_pretty(&value).unwrap()).unwrap(), value);
        }

        /// No two values have one canonical form, since each can be read back from its own; and
        /// where the form is JSON it is its own canonical form.
        #[test]
        fn the_canonical_form_is_a_fixed_point(value in any_value()) {
            let bytes = canonical(&value);
            let escaped = control_characters_escaped(&bytes);
            let parsed = parse(&escaped).unwrap();
            prop_assert_eq!(canonical(&parsed), bytes.clone());
            prop_assert_eq!(parsed, value);
            prop_assert_eq!(parse(&bytes).is_ok(), bytes == escaped);
        }
    }
}
