//! What the server answers, held against the description that it gives of itself.

use std::{
    collections::HashMap,
    sync::{LazyLock, Mutex, PoisonError},
};

use jsonschema::Validator;
use serde_json::{Value, json};

use crate::{
    harness::{Ran, Server},
    http::Answer,
};

/// The description of the interface, read more strictly than it is meant for others: an answer must
/// have no member that it does not tell of.
static DESCRIPTION: LazyLock<Value> = LazyLock::new(|| {
    let mut document = mainstay::api::document().clone();
    tighten(&mut document["components"]["schemas"]);
    document
});

static VALIDATORS: LazyLock<Mutex<HashMap<String, Validator>>> = LazyLock::new(Mutex::default);

/// Expects an answer to a request to be as it is described. What is no route is not.
#[track_caller]
pub(crate) fn expect_as_described(method: &str, path: &str, answer: &Answer) {
    let Some((template, operation)) = operation(method, path) else { return };
    let told = format!("{method} {template}: {}", answer.status);
    let answers = &operation["responses"];
    let described = answers.get(answer.status.to_string()).or_else(|| answers.get("default"));
    let described = described.unwrap_or_else(|| panic!("{told} is not described"));
    if method == "HEAD" || answer.body.is_empty() || answer.header("Content-Encoding").is_some() {
        return;
    }
    let kind = answer.header("Content-Type").map(|kind| kind.split(';').next().unwrap());
    let content = &described["content"][kind.unwrap()];
    assert!(content.is_object(), "{told}: {kind:?} is not described");
    let Some(schema) = content.get("schema") else { return };
    let value: Value = answer.json();
    let mut validators = VALIDATORS.lock().unwrap_or_else(PoisonError::into_inner);
    let validator = validators.entry(schema.to_string()).or_insert_with(|| validator(schema));
    let wrong = validator.iter_errors(&value);
    let wrong: Vec<_> = wrong.map(|it| format!("{}: {it}", it.instance_path())).collect();
    assert!(wrong.is_empty(), "{told}: {wrong:#?}\n{value:#}");
}

fn validator(schema: &Value) -> Validator {
    let mut schema = schema.clone();
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("components".to_owned(), DESCRIPTION["components"].clone());
    }
    jsonschema::draft202012::options().should_validate_formats(true).build(&schema).unwrap()
}

/// The operation that a request is one of.
fn operation(method: &str, path: &str) -> Option<(&'static str, &'static Value)> {
    let path = path.split('?').next().unwrap();
    let mut paths =
        DESCRIPTION["paths"].as_object().unwrap().iter().filter_map(|(template, it)| {
            let operation = it.get(method.to_ascii_lowercase())?;
            is_of(path, template).then_some((template.as_str(), operation))
        });
    // `/v1/contracts/import` is both that and a contract of that name.
    let first = paths.next()?;
    Some(paths.find(|(template, _)| !template.contains('{')).unwrap_or(first))
}

fn is_of(path: &str, template: &str) -> bool {
    // What a repository calls its files has slashes in it.
    let (template, parts_max) = match template.strip_suffix("/{path}") {
        Some(product) => (product, product.split('/').count()),
        None => (template, usize::MAX),
    };
    let mut parts = path.split('/').take(parts_max);
    let mut templates = template.split('/');
    templates.all(|it| parts.next().is_some_and(|part| it == part || it.starts_with('{')))
        && parts.next().is_none()
}

/// Makes whatever tells of members refuse others.
fn tighten(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            members.values_mut().for_each(tighten);
            if members.get("properties").is_some_and(|it| it.get("$ref").is_none()) {
                // Its variants have its own members beside theirs.
                if let Some(Value::Array(variants)) = members.get_mut("oneOf") {
                    for variant in variants.iter_mut().filter_map(Value::as_object_mut) {
                        variant.remove("unevaluatedProperties");
                    }
                }
                members.entry("unevaluatedProperties").or_insert(json!(false));
            }
        }
        Value::Array(schemas) => schemas.iter_mut().for_each(tighten),
        _ => {}
    }
}

#[test]
fn the_description_needs_neither_a_token_nor_a_server() {
    let mut server = Server::empty();
    let answer = server.request_with("GET", "/v1/openapi.json", &[], b"").has_status(200);
    assert_eq!(answer.json::<Value>()["openapi"], "3.1.0");
    server.stop();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_mainstay"));
    let printed = Ran::run(command.arg("openapi")).succeeds().json();
    assert_eq!(printed, answer.json::<Value>());
}

/// Holding answers against the description is worth something only if it can fail.
#[test]
fn an_answer_that_is_not_as_described_is_noticed() {
    let customer = r#"{"name":"acme","title":"ACME","created_at":"2026-01-01T00:00:00Z"}"#;
    let answer = |status: u16, kind: &str, body: &str| {
        let head = format!("HTTP/1.1 {status} -\r\nContent-Type: application/{kind}\r\n\r\n");
        Answer::parse(format!("{head}{body}").as_bytes()).unwrap()
    };
    let expect = |answer: &Answer| expect_as_described("GET", "/v1/customers/acme", answer);
    expect(&answer(200, "json", customer));
    let problem = json!({
        "type": "urn:mainstay:problem:NOT_FOUND", "title": "", "status": 404, "code": "NOT_FOUND",
        "detail": "",
    });
    expect(&answer(404, "problem+json", &problem.to_string()));
    let mut unknown = problem.clone();
    unknown["code"] = json!("NO_SUCH_CODE");
    for (what, wrong) in [
        ("a member more", answer(200, "json", &customer.replace('}', r#","secret":1}"#))),
        ("a member less", answer(200, "json", r#"{"name":"acme","title":"ACME"}"#)),
        ("no instant", answer(200, "json", &customer.replace("T00:00:00Z", ""))),
        ("another kind", answer(200, "xml", customer)),
        ("an unknown code", answer(404, "problem+json", &unknown.to_string())),
    ] {
        let expected = std::panic::AssertUnwindSafe(|| expect(&wrong));
        assert!(std::panic::catch_unwind(expected).is_err(), "{what} was not noticed");
    }
}
