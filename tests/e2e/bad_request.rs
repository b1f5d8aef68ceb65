//! What programs send the server that it cannot use.

use std::{fmt::Write as _, io::Write as _};

use mainstay_client::format::Digest;
use serde_json::{Value, json};

use crate::{
    harness::{PRODUCT, Server},
    http::Answer,
    publish::opened,
};

impl Server {
    fn post_text(&self, path: &str, body: &str) -> Answer {
        self.request("POST", path, &self.admin_token(), body.as_bytes())
    }
}

#[test]
fn a_problem_is_told_as_rfc_9457_has_it() {
    let server = Server::empty();
    let answer = server.get("/v1/customers/nobody").has_status(404);
    assert_eq!(answer.header("Content-Type"), Some("application/problem+json"));
    let document: Value = answer.json();
    let detail = document["detail"].as_str().unwrap();
    assert!(detail.contains("nobody"), "{detail}");
    let expected = json!({
        "type": "urn:mainstay:problem:NOT_FOUND",
        "title": "Not Found",
        "status": 404,
        "code": "NOT_FOUND",
        "detail": detail,
    });
    assert_eq!(document, expected);
}

#[test]
fn json_with_two_readings_is_refused() {
    let server = Server::empty();
    let nested = format!("{{\"name\":\"acme\",\"title\":{}1{}}}", "[".repeat(40), "]".repeat(40));
    for (body, expected) in [
        (nested.as_str(), "nested deeper than 32 levels"),
        (r#"{"name":"acme","name":"other"}"#, "member `name` stands twice"),
        (r#"{"name":1.5}"#, "floating point"),
        (r#"{"name":"acme"} {}"#, "trailing characters"),
        (r#"{"name":"acme""#, "EOF"),
        ("", "EOF"),
    ] {
        let problem = server.post_text("/v1/customers", body).refuses(400, "INVALID_REQUEST");
        assert!(problem.detail.contains(expected), "{body}: {}", problem.detail);
    }
    assert_eq!(server.get("/v1/customers").json::<Value>(), json!([]));
}

#[test]
fn a_member_that_is_not_known_is_refused() {
    let server = Server::empty();
    let body = r#"{"name":"acme","titel":"ACME"}"#;
    let problem = server.post_text("/v1/customers", body).refuses(400, "INVALID_REQUEST");
    assert!(problem.detail.contains("unknown field `titel`"), "{}", problem.detail);
}

/// Routes that read a document, and how many bytes of it.
const BODIES: [(&str, usize); 2] = [("/v1/enroll", 512 << 10), ("/v1/customers", 8 << 20)];

#[test]
fn a_body_above_its_limit_is_refused() {
    let server = Server::empty();
    for (path, bytes_max) in BODIES {
        let body = " ".repeat(bytes_max + 1);
        let problem = server.post_text(path, &body).refuses(413, "BODY_TOO_LARGE");
        assert!(problem.detail.contains(&bytes_max.to_string()), "{}", problem.detail);
        let problem = server.post_text(path, &body[1..]).refuses(400, "INVALID_REQUEST");
        assert!(problem.detail.contains("EOF"), "{}", problem.detail);
    }
}

#[test]
fn a_body_above_its_limit_is_refused_without_its_length_too() {
    let server = Server::empty();
    let bearer = format!("Bearer {}", server.admin_token());
    for (path, bytes_max) in BODIES {
        let headers = [("Authorization", bearer.as_str()), ("Transfer-Encoding", "chunked")];
        let mut connection = server.begin(&format!("POST {path}"), &headers);
        let mut piece = String::new();
        let _ = write!(piece, "{:x}\r\n{}\r\n", 64 << 10, " ".repeat(64 << 10));
        connection.write_all(b"\r\n").unwrap();
        // Twice the limit, with no end: the server must not wait for one.
        for _ in 0..bytes_max / (32 << 10) {
            if connection.write_all(piece.as_bytes()).is_err() {
                break;
            }
        }
        Answer::read(&mut connection).refuses(413, "BODY_TOO_LARGE");
    }
}

#[test]
fn an_address_that_is_not_there_is_a_problem_document() {
    let server = Server::empty();
    for path in ["/", "/v1", "/v1/nothing", "/v1/products/acme-db", "/repo", "/v1/customers/"] {
        server.get(path).refuses(404, "NO_SUCH_ROUTE");
    }
}

#[test]
fn a_method_that_is_not_there_is_a_problem_document() {
    let server = Server::empty();
    let digest = Digest::of(b"");
    for (method, path) in [
        ("GET", "/v1/check".to_owned()),
        ("PUT", "/v1/report".to_owned()),
        ("DELETE", "/v1/products".to_owned()),
        ("PUT", format!("/v1/products/{PRODUCT}/releases")),
        ("POST", format!("/v1/uploads/{digest}")),
        ("PATCH", "/v1/customers".to_owned()),
        ("DELETE", "/v1/contracts".to_owned()),
        ("PUT", "/v1/tokens".to_owned()),
        ("POST", format!("/repo/{PRODUCT}/timestamp.json")),
        ("BREW", "/v1/products".to_owned()),
    ] {
        let answer = server.request(method, &path, &server.admin_token(), b"");
        answer.refuses(404, "NO_SUCH_ROUTE");
    }
}

#[test]
fn a_query_that_is_not_understood_is_a_problem_document() {
    let server = Server::empty();
    let digest = Digest::of(b"");
    for query in ["", "?offset=0", "?offset=-1&length=1", "?offset=0&length=many"] {
        let path = format!("/v1/uploads/{digest}{query}");
        let answer = server.request("PATCH", &path, &server.admin_token(), b"");
        answer.refuses(400, "INVALID_REQUEST");
    }
    server.get("/v1/audit?after=yesterday").refuses(400, "INVALID_REQUEST");
}

#[test]
fn a_name_in_an_address_that_is_not_one_is_a_problem_document() {
    let server = Server::empty();
    for path in [
        "/v1/customers/A",
        "/v1/customers/a%00b",
        "/v1/customers/%ff",
        "/v1/contracts/-",
        "/v1/machines/%2e%2e",
        "/v1/products/ACME/releases",
        "/repo/ACME/timestamp.json",
        "/repo/acme-db/%ff",
    ] {
        let answer = server.get(path);
        assert!([400, 404].contains(&answer.status), "{path}: {}", answer.status);
        assert_eq!(answer.header("Content-Type"), Some("application/problem+json"), "{path}");
    }
}

#[test]
fn documents_that_are_not_what_they_say_are_refused() {
    let server = opened();
    let before = server.visible();
    let path = format!("/v1/products/{PRODUCT}/releases");
    let send = |manifest: &str, channel: &str| {
        let request = json!({
            "expected_revision": 2,
            "manifest": manifest,
            "channel_metadata": channel,
        });
        server.post(&path, &request)
    };
    send("{}", "{}").refuses(422, "RELEASE_REFUSED");
    send("{\"a\":1,\"a\":1}", "{}").refuses(422, "RELEASE_REFUSED");
    send(&"[".repeat(1_000_000), "{}").refuses(422, "RELEASE_REFUSED");
    let released = &before.releases[0]["manifest"];
    let path = released["path"]
        .as_str()
        .unwrap()
        .replace("release.json", &format!("{}.release.json", released["sha256"].as_str().unwrap()));
    let manifest = server.get(&format!("/repo/{PRODUCT}/targets/{path}")).has_status(200).body;
    let manifest = String::from_utf8(manifest).unwrap();
    for channel in ["", "{}", "[]", "{\"signed\":{},\"signatures\":[]}"] {
        send(&manifest, channel).refuses(422, "DOCUMENT_REFUSED");
    }
    assert_eq!(server.visible(), before);
}
