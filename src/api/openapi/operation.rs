use std::collections::BTreeMap;

use actix_web::{Handler, HttpRequest, web};
use mainstay_client::format::{
    ContractName, CustomerName, Digest, MachineName, OrganisationName, ProductName, wire::Problem,
};
use schemars::JsonSchema;
use serde_json::{Value, json};

use super::{
    super::{
        Shared,
        auth::{Asker, Caller, Machine, Staff},
        body::{Body, Done, Json, Sent, SentKind},
        problem::ApiError,
    },
    schemas::Schemas,
};

/// What is known of a route's operation.
pub(in crate::api) struct Operation<'a> {
    schemas: &'a mut Schemas,
    parameters: Vec<Value>,
    body: Option<Value>,
    answers: BTreeMap<String, Value>,
}

/// An argument of a handler, by what it says of the operation.
pub(in crate::api) trait Takes {
    /// Says it.
    fn describe(_: &mut Operation<'_>) {}
}

/// What a handler gives, by what it says of the operation.
pub(in crate::api) trait Gives {
    /// Says it.
    fn describe(operation: &mut Operation<'_>);
}

/// Describes the operation of a handler, by its type.
pub(in crate::api) fn describe<H, Args>(operation: &mut Operation<'_>, _: &H)
where
    H: Handler<Args, Output: Gives>,
    Args: Takes,
{
    Args::describe(operation);
    H::Output::describe(operation);
}

/// The parameters in the template of a path.
pub(super) fn path_parameters(template: &str, operation: &mut Operation<'_>) {
    for part in template.split('{').skip(1) {
        let name = part.split('}').next().unwrap_or_default();
        let schemas = &mut *operation.schemas;
        let (schema, description) = match name {
            "contract" => (schemas.taken::<ContractName>(), "Which contract."),
            "customer" => (schemas.taken::<CustomerName>(), "Which customer."),
            "digest" => (schemas.taken::<Digest>(), "The blob's SHA-256."),
            "machine" => (schemas.taken::<MachineName>(), "Which machine."),
            "organisation" => (schemas.taken::<OrganisationName>(), "Which organisation."),
            "product" => (schemas.taken::<ProductName>(), "Which product."),
            "path" => (
                schemas.taken::<String>(),
                "The file as TUF names it, for example `timestamp.json` or \
                 `targets/bugfix/1.0.1/<digest>.manifest.json`; its slashes stand as they are.",
            ),
            _ => (schemas.taken::<String>(), "By what it is named where it is listed."),
        };
        operation.parameters.push(json!({
            "name": name, "in": "path", "required": true, "schema": schema,
            "description": description,
        }));
    }
}

impl<'a> Operation<'a> {
    pub(super) fn new(schemas: &'a mut Schemas) -> Self {
        Self { schemas, parameters: Vec::new(), body: None, answers: BTreeMap::new() }
    }

    /// A header of a request that makes a difference.
    pub(in crate::api) fn header(&mut self, name: &str, description: &str) {
        self.parameters.push(json!({
            "name": name, "in": "header", "schema": { "type": "string" },
            "description": description,
        }));
    }

    /// An answer that is not a problem.
    pub(in crate::api) fn answer(&mut self, status: u16, answer: Value) {
        self.answers.insert(status.to_string(), answer);
    }

    /// Without a token it is refused.
    pub(super) fn wants_a_token(&mut self) {
        let mut unauthenticated = self.problem("No token, or none that is accepted.");
        unauthenticated["headers"] = json!({
            "WWW-Authenticate": {
                "description": "How to say who asks.",
                "schema": { "const": "Bearer" },
            }
        });
        let forbidden = self.problem("The token's bearer may not do this or have this.");
        self.answers.insert("401".to_owned(), unauthenticated);
        self.answers.insert("403".to_owned(), forbidden);
    }

    pub(super) fn into_value(self) -> Value {
        let Self { parameters, body, answers, .. } = self;
        let mut value = json!({ "responses": answers });
        if !parameters.is_empty() {
            value["parameters"] = parameters.into();
        }
        if let Some(body) = body {
            value["requestBody"] = body;
        }
        value
    }

    fn problem(&mut self, description: &str) -> Value {
        let schema = self.schemas.given::<Problem>();
        json!({
            "description": description,
            "content": { "application/problem+json": { "schema": schema } },
        })
    }
}

impl Takes for Shared {}
impl Takes for Staff {}
impl Takes for Machine {}
impl Takes for Asker {}
impl Takes for Caller {}
impl Takes for HttpRequest {}
/// The template of the path says what is in it.
impl<T> Takes for web::Path<T> {}

impl<T: JsonSchema> Takes for Body<T> {
    fn describe(operation: &mut Operation<'_>) {
        let schema = operation.schemas.taken::<T>();
        let content = json!({ "application/json": { "schema": schema } });
        operation.body = Some(json!({ "required": true, "content": content }));
    }
}

/// Bytes as they are.
impl Takes for web::Payload {
    fn describe(operation: &mut Operation<'_>) {
        let content = json!({ "application/octet-stream": {} });
        operation.body = Some(json!({ "required": true, "content": content }));
    }
}

impl<T: JsonSchema> Takes for web::Query<T> {
    fn describe(operation: &mut Operation<'_>) {
        let mut members = operation.schemas.members::<T>();
        let required = members["required"].take();
        let Some(properties) = members["properties"].as_object_mut() else { return };
        for (name, schema) in properties {
            let is_required =
                required.as_array().is_some_and(|all| all.contains(&name.as_str().into()));
            let description =
                schema.as_object_mut().and_then(|schema| schema.remove("description"));
            operation.parameters.push(json!({
                "name": name, "in": "query", "required": is_required, "schema": schema,
                "description": description.unwrap_or_default(),
            }));
        }
    }
}

macro_rules! takes {
    ($($argument:ident)*) => {
        impl<$($argument: Takes),*> Takes for ($($argument,)*) {
            fn describe(_operation: &mut Operation<'_>) {
                $($argument::describe(_operation);)*
            }
        }
    };
}

takes!();
takes!(A);
takes!(A B);
takes!(A B C);
takes!(A B C D);
takes!(A B C D E);

/// Whatever may fail, fails with a problem document.
impl<T: Gives> Gives for Result<T, ApiError> {
    fn describe(operation: &mut Operation<'_>) {
        T::describe(operation);
        let problem = operation.problem("It did not come about; the code says why.");
        operation.answers.insert("default".to_owned(), problem);
    }
}

impl<T: JsonSchema, const STATUS: u16> Gives for Json<T, STATUS> {
    fn describe(operation: &mut Operation<'_>) {
        let schema = operation.schemas.given::<T>();
        let description = if STATUS == 201 { "It was made." } else { "The answer." };
        let content = json!({ "application/json": { "schema": schema } });
        operation.answer(STATUS, json!({ "description": description, "content": content }));
    }
}

impl Gives for Done {
    fn describe(operation: &mut Operation<'_>) {
        operation.answer(204, json!({ "description": "It was done; there is nothing to say." }));
    }
}

impl<K: SentKind> Gives for Sent<K> {
    fn describe(operation: &mut Operation<'_>) {
        K::describe(operation);
        let content = json!({ K::CONTENT_TYPE: {} });
        operation.answer(200, json!({ "description": K::DESCRIPTION, "content": content }));
    }
}
