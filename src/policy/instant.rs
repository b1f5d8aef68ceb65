//! Instants that people write, read so that a refusal says what was expected.

use jiff::Timestamp;
use serde::{Deserialize as _, Deserializer, de::Error as _};

/// The instant that a text names.
pub(crate) fn parse(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| {
        format!(
            "time `{}` is not valid: expected one with its zone, for example \
             2026-05-03T00:00:00Z or 2026-05-03T02:00:00+02:00",
            text.chars().take(80).collect::<String>().escape_debug()
        )
    })
}

/// The instant in a request; for `#[serde(deserialize_with = …)]`.
pub(crate) fn read_required<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Timestamp, D::Error> {
    parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
}

/// The instant in a request, where there is one; for `#[serde(default, deserialize_with = …)]`.
pub(crate) fn read<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Timestamp>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| parse(&text).map_err(D::Error::custom)).transpose()
}
