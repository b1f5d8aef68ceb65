//! The interface described, as OpenAPI 3.1 has it. Paths, methods and bearers come from the table of
//! routes; what a handler takes and gives, from its type; the schemas, from the types themselves.
//! There is nothing here that could say something else than what the server does.

mod operation;
mod schemas;

use std::{collections::BTreeMap, sync::LazyLock};

use actix_web::http::Method;
use serde_json::{Map, Value, json};

pub(super) use self::operation::{Operation, describe};
use self::{operation::path_parameters, schemas::Schemas};
use super::{
    Route, Who,
    body::{self, Answer},
    route::route,
    routes,
};
use crate::{limits::Limits, service::Scope, store::Role};

pub(super) const ROUTES: &[Route] = &[route!(
    GET,
    "/v1/openapi.json",
    Who::Anyone,
    openapi,
    "Fetch this description of the interface."
)];

async fn openapi() -> Answer<Value> {
    body::ok(document())
}

/// The description of all that the server answers to.
pub fn document() -> &'static Value {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(describe_all);
    &DOCUMENT
}

fn description() -> String {
    let Limits { request_bytes_max, machine_request_bytes_max, .. } = Limits::DEFAULT;
    format!(
        "What the `mainstay` command and the customers' machines use.\n\n\
         Requests are read strictly: a member that is not known is refused. Answers may gain \
         members, so read them leniently. Errors are problem documents (RFC 9457) whose `code` is \
         stable. A JSON body has at most {request_bytes_max} bytes, a machine's at most \
         {machine_request_bytes_max}. Metadata travels compressed (zstd) to whoever says in \
         `Accept-Encoding` that it takes that."
    )
}

fn describe_all() -> Value {
    let mut schemas = Schemas::new();
    let mut paths: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    for route in routes() {
        let operation = operation(route, &mut schemas);
        let method = route.method.as_str().to_ascii_lowercase();
        paths.entry(template(route.path)).or_default().insert(method, operation);
    }
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Mainstay",
            "summary": "Patches and updates of software under maintenance contracts.",
            "description": description(),
            "version": env!("CARGO_PKG_VERSION"),
            "license": { "name": "Apache-2.0 or MIT", "identifier": env!("CARGO_PKG_LICENSE") },
        },
        "servers": [{ "url": "/", "description": "The server that this is from." }],
        "paths": paths,
        "components": { "securitySchemes": security_schemes() },
    });
    schemas.complete(document)
}

/// The path as OpenAPI has it: without the patterns that tell what a part may be.
fn template(path: &str) -> String {
    path.replace(":.*}", "}")
}

fn operation(route: &Route, schemas: &mut Schemas) -> Value {
    let mut operation = Operation::new(schemas);
    path_parameters(&template(route.path), &mut operation);
    (route.describe)(&mut operation);
    if route.who != Who::Anyone {
        operation.wants_a_token();
    }
    let mut described = operation.into_value();
    let is_head = route.method == Method::HEAD;
    if is_head && let Some(answers) = described["responses"].as_object_mut() {
        for (_, answer) in answers {
            answer.as_object_mut().map(|answer| answer.remove("content"));
        }
    }
    described["summary"] = route.summary.into();
    described["operationId"] =
        format!("{}{}", route.name, if is_head { "_head" } else { "" }).into();
    described["security"] = security(route.who);
    described
}

const MACHINE: &str = "machine";
const VENDOR: &str = "vendor";
const ORGANISATION: &str = "organisation";

fn security_schemes() -> Value {
    let bearer = |description: &str| json!({ "type": "http", "scheme": "bearer", "description": description });
    json!({
        MACHINE: bearer("The token that a machine was given when it enrolled (`mmt_…`)."),
        VENDOR: bearer("An API token of the vendor's own staff (`mst_…`), with the role named."),
        ORGANISATION: bearer(
            "An API token of a support organisation (`mst_…`), with the role named. For it, nothing \
             exists but what is of the customers that the organisation serves."
        ),
    })
}

/// The kinds of token that are accepted, each of which is enough.
fn security(who: Who) -> Value {
    let of = |scheme: &'static str, role: Role| json!({ scheme: [role.as_str()] });
    let machine = matches!(who, Who::Machine | Who::MachineOrVendor(_));
    let machine = machine.then(|| json!({ MACHINE: [] }));
    let is_for_staff = !matches!(who, Who::Anyone | Who::Machine);
    let roles =
        Role::ALL.into_iter().filter(|role| *role == Role::Admin || who.roles().contains(role));
    let roles: Vec<_> = roles.filter(|_| is_for_staff).collect();
    let vendor = roles.iter().map(|role| of(VENDOR, *role));
    let served = roles.iter().filter(|role| Scope::ROLES.contains(role));
    let served = served.filter(|_| matches!(who, Who::Staff(_)));
    let organisation = served.map(|role| of(ORGANISATION, *role));
    machine.into_iter().chain(vendor).chain(organisation).collect()
}

#[cfg(test)]
mod tests;
