use std::collections::BTreeSet;

use mainstay_client::format::wire::Problem;
use schemars::{
    JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings, transform::RecursiveTransform,
};
use serde_json::{Map, Value};

use crate::{
    policy::{Code, Verdict},
    service::ServiceError,
};

/// Where the schemas of the document are.
const GIVEN: &str = "#/components/schemas/";
/// Where the schemas of what is taken are until the document is complete.
const TAKEN: &str = "#/components/taken/";
/// What tells the schema of what is taken from that of what is given, where they differ: what may be
/// left out of a request is always in an answer, and an answer may have more members.
const SUFFIX: &str = "Input";

/// The schemas of all types, as they are taken and as they are given.
pub(super) struct Schemas {
    taken: SchemaGenerator,
    given: SchemaGenerator,
}

impl Schemas {
    pub(super) fn new() -> Self {
        // Whoever reads an answer strictly would stumble over the next member that it gains.
        let lenient = RecursiveTransform(|schema: &mut Schema| {
            if schema.get("additionalProperties") == Some(&Value::Bool(false)) {
                schema.remove("additionalProperties");
            }
        });
        let settings = |path: &str| {
            let path = path.trim_start_matches('#').trim_end_matches('/').to_owned();
            SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = path.into();
                settings.meta_schema = None;
            })
        };
        Self {
            taken: settings(TAKEN).for_deserialize().into_generator(),
            given: settings(GIVEN).with_transform(lenient).for_serialize().into_generator(),
        }
    }

    /// The schema of what is taken.
    pub(super) fn taken<T: JsonSchema>(&mut self) -> Value {
        self.taken.subschema_for::<T>().to_value()
    }

    /// The members of what is taken.
    pub(super) fn members<T: JsonSchema>(&mut self) -> Value {
        T::json_schema(&mut self.taken).to_value()
    }

    /// The schema of what is given.
    pub(super) fn given<T: JsonSchema>(&mut self) -> Value {
        self.given.subschema_for::<T>().to_value()
    }

    /// The document with the schemas that it refers to.
    pub(super) fn complete(mut self, mut document: Value) -> Value {
        let mut given = self.given.take_definitions(true);
        let taken = self.taken.take_definitions(true);
        if let Some(problem) = given.get_mut(Problem::schema_name().as_ref()) {
            problem["properties"]["code"]["enum"] = codes().into_iter().collect();
        }
        let different = different(&taken, &given);
        let name = |name: &str| named(name, &different);
        for schema in given.values_mut() {
            point(schema, &name);
        }
        for (taken_name, mut schema) in taken {
            point(&mut schema, &name);
            given.insert(name(&taken_name), schema);
        }
        point(&mut document, &name);
        document["components"]["schemas"] = given.into();
        document
    }
}

/// The stable codes of problem documents.
fn codes() -> BTreeSet<&'static str> {
    let decisions = Code::ALL.iter().filter(|code| code.verdict() == Verdict::Deny);
    decisions.map(|code| code.as_str()).chain(ServiceError::CODES.iter().copied()).collect()
}

/// What a schema of what is taken is called in the document.
fn named(name: &str, different: &BTreeSet<String>) -> String {
    format!("{name}{}", if different.contains(name) { SUFFIX } else { "" })
}

/// The names of what is taken otherwise than it is given, or has to do with such.
fn different(taken: &Map<String, Value>, given: &Map<String, Value>) -> BTreeSet<String> {
    let mut different = BTreeSet::new();
    loop {
        let found = taken.iter().find(|(name, schema)| {
            let Some(given) = given.get(*name).filter(|_| !different.contains(*name)) else {
                return false;
            };
            let mut schema = (*schema).clone();
            point(&mut schema, &|name: &str| named(name, &different));
            let mut given = given.clone();
            point(&mut given, &str::to_owned);
            given != schema
        });
        match found.map(|(name, _)| name.clone()) {
            Some(found) => different.insert(found),
            None => return different,
        };
    }
}

/// Makes what refers to a schema of what is taken refer to its name in the document, and takes the
/// links out of what was written for readers of the code.
fn point(value: &mut Value, name: &impl Fn(&str) -> String) {
    match value {
        Value::Object(members) => {
            for (member, value) in members {
                match value {
                    Value::String(text) if member == "$ref" => {
                        if let Some(taken) = text.strip_prefix(TAKEN) {
                            *text = format!("{GIVEN}{}", name(taken));
                        }
                    }
                    Value::String(text) if member == "description" => {
                        *text = text.replace("[`", "`").replace("`]", "`");
                    }
                    value => point(value, name),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| point(value, name)),
        _ => {}
    }
}
