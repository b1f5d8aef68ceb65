use std::fmt::Write as _;

use mainstay_client::tuf::json;
use serde_json::Value;

use super::Seeds;

/// A value has one canonical form, however it is spelled, and that form is read back as the value.
pub(crate) fn run(bytes: &[u8]) {
    let Ok(value) = json::parse(bytes) else { return };
    let canonical = json::canonical(&value);
    let lenient: Value = serde_json::from_slice(bytes).unwrap();
    assert_eq!(lenient, value, "a lenient parser reads something else");
    let mut respelled = String::new();
    respell(&value, &mut respelled);
    for spelling in [
        serde_json::to_vec(&value).unwrap(),
        serde_json::to_vec_pretty(&value).unwrap(),
        respelled.into_bytes(),
    ] {
        let again = json::parse(&spelling).unwrap();
        assert_eq!(again, value);
        assert_eq!(json::canonical(&again), canonical);
    }
    // The canonical form leaves control characters as they are, which JSON does not allow.
    match json::parse(&canonical) {
        Ok(again) => assert_eq!(again, value),
        Err(error) => assert!(canonical.iter().any(|byte| *byte < 0x20), "{error}"),
    }
}

/// Writes `value` as nobody would: members from the last to the first, every character escaped.
fn respell(value: &Value, out: &mut String) {
    match value {
        Value::String(text) => respell_text(text, out),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index == 0 { "\t" } else { " ,\n" });
                respell(item, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            out.push('{');
            for (index, (name, member)) in members.iter().rev().enumerate() {
                out.push_str(if index == 0 { "\r" } else { "\n, " });
                respell_text(name, out);
                out.push_str(" :\t");
                respell(member, out);
            }
            out.push('}');
        }
        simple => out.push_str(&simple.to_string()),
    }
}

fn respell_text(text: &str, out: &mut String) {
    out.push('"');
    for unit in text.encode_utf16() {
        write!(out, "\\u{unit:04X}").unwrap();
    }
    out.push('"');
}

pub(crate) fn seeds() -> Seeds {
    let texts: [(&str, &str); 7] = [
        ("members", "{ \"b\" : [1, -2, true, null], \"a\": {\"\": {}, \"c\": false} }"),
        ("escapes", "[\"x\\\"\\\\\\n\\u00e9\\/\\b\", \"\\ud83d\\ude00\", \"e\u{301}\"]"),
        ("backslash", "{\"a\\\\\": [\"b\\\\\\\"c\"]}"),
        ("numbers", "[0, -1, 18446744073709551615, -9223372036854775808]"),
        ("floats", "[1.0, 1e3, -0, 18446744073709551616]"),
        ("twice", "{\"a\":{\"b\":1,\"b\":1}}"),
        ("nested", "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]"),
    ];
    texts.map(|(name, text)| (name, text.as_bytes().to_vec())).into()
}
