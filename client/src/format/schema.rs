//! JSON Schemas of the documents (feature `schema`), for whoever describes an interface made of
//! them. They are derived from the same types that read and write the documents.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

/// How an instant is written. `jiff`'s type has no schema of its own.
pub struct Instant;

impl JsonSchema for Instant {
    fn schema_name() -> Cow<'static, str> {
        "Instant".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "An instant as RFC 3339 has it, with its zone: 2026-05-03T00:00:00Z.",
            "type": "string",
            "format": "date-time",
        })
    }
}
