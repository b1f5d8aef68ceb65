//! Who may do what: tokens, roles, activation keys.

use jiff::Timestamp;
use mainstay_client::{format::Digest, tuf::SigningKey};
use serde_json::{Value, json};

use crate::{
    harness::{PRODUCT, Server, eventually},
    publish::opened,
};

fn customer(server: &Server) -> String {
    server.customer("acme", "premium", "2020-01-01T00:00:00Z", "2099-01-01T00:00:00Z")
}

#[test]
fn a_request_without_a_known_token_is_refused() {
    let server = Server::empty();
    let unknown = format!("mst_{}", "0".repeat(64));
    let unknown_machine = format!("mmt_{}", "0".repeat(64));
    let bearers = [
        vec![],
        vec![("Authorization", String::new())],
        vec![("Authorization", "Basic YWRtaW46YWRtaW4=".to_owned())],
        vec![("Authorization", format!("Bearer {unknown}"))],
        vec![("Authorization", format!("Bearer {unknown_machine}"))],
        vec![("Authorization", format!("bearer {} x", server.admin_token()))],
        vec![("Authorization", format!("Bearer {}x", server.admin_token()))],
        vec![("Authorization", "Bearer nonsense".to_owned())],
    ];
    for headers in bearers {
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        for path in ["/v1/products", "/v1/audit", "/repo/acme-db/timestamp.json"] {
            let answer = server.request_with("GET", path, &headers, b"");
            assert_eq!(answer.header("WWW-Authenticate"), Some("Bearer"), "{headers:?}");
            answer.refuses(401, "UNAUTHENTICATED");
        }
    }
}

#[test]
fn a_token_is_refused_from_its_expiry_on() {
    let server = Server::with_product();
    let issued = server.expiring_token("viewer");
    let expires_at = issued.expires_at.unwrap();
    let refused = eventually("the expiry", || {
        let answer = server.request("GET", "/v1/products", &issued.token, b"");
        (answer.status != 200).then_some(answer)
    });
    let problem = refused.refuses(401, "TOKEN_EXPIRED");
    assert!(problem.detail.contains(&expires_at.to_string()), "{}", problem.detail);
    assert!(server.publishing_state().now >= expires_at);
}

#[test]
fn nothing_is_made_that_has_expired_already() {
    let server = Server::with_product();
    customer(&server);
    let now: Timestamp = server.publishing_state().now;
    let token = json!({ "role": "viewer", "label": "late", "expires_at": now });
    server.post("/v1/tokens", &token).refuses(400, "INVALID_REQUEST");
    let key = json!({ "expires_at": now });
    server.post("/v1/contracts/acme/activation-keys", &key).refuses(400, "INVALID_REQUEST");
}

#[test]
fn a_revoked_token_is_refused_at_once() {
    let server = Server::empty();
    let request = json!({ "role": "viewer", "label": "leaked" });
    let issued: Value = server.post("/v1/tokens", &request).has_status(201).json();
    let token = issued["token"].as_str().unwrap();
    server.request("GET", "/v1/products", token, b"").has_status(200);
    let id = issued["id"].as_str().unwrap();
    server.mainstay(&["token", "revoke", id]).succeeds();
    let problem = server.request("GET", "/v1/products", token, b"").refuses(401, "UNAUTHENTICATED");
    assert!(problem.detail.contains("was revoked"), "{}", problem.detail);
}

#[test]
fn the_last_administrators_token_is_not_revoked() {
    let server = Server::empty();
    let tokens: Vec<Value> = server.get("/v1/tokens").has_status(200).json();
    let first = tokens[0]["id"].as_str().unwrap().to_owned();
    let refused = || {
        let ran = server.mainstay(&["--json", "token", "revoke", &first]).exits(4).json();
        assert_eq!(ran["code"], "LAST_ADMIN_TOKEN");
        let message = ran["message"].as_str().unwrap().to_owned();
        assert!(message.contains("mainstay token create --role admin"), "{message}");
    };
    refused();
    // Neither one of less, nor one that ends earlier, nor one that is revoked takes its place.
    server.token("publisher");
    let passing = ["token", "create", "--role", "admin", "--label", "until 2099"];
    server.mainstay(&[&passing[..], &["--expires-at", "2099-01-01T00:00:00Z"]].concat()).succeeds();
    let request = json!({ "role": "admin", "label": "leaked" });
    let leaked: Value = server.post("/v1/tokens", &request).has_status(201).json();
    server.mainstay(&["token", "revoke", leaked["id"].as_str().unwrap()]).succeeds();
    refused();
    server.get("/v1/tokens").has_status(200);

    let heir = server.token("admin");
    server.mainstay(&["token", "revoke", &first]).succeeds();
    server.request("GET", "/v1/tokens", &heir, b"").has_status(200);
}

#[test]
fn no_secret_is_shown_twice() {
    let mut server = Server::with_product();
    let secrets = [server.token("viewer"), customer(&server), server.admin_token()];
    server.kill_and_restart();
    for path in ["/v1/tokens", "/v1/audit", "/v1/contracts", "/v1/customers", "/v1/products"] {
        let body = String::from_utf8(server.get(path).has_status(200).body).unwrap();
        for secret in &secrets {
            assert!(!body.contains(secret), "{path}");
        }
    }
}

/// What a role may not do, whoever else may.
fn forbidden(role: &str) -> Vec<(&'static str, String)> {
    let release = format!("/v1/products/{PRODUCT}");
    let upload = format!("/v1/uploads/{}", Digest::of(b""));
    let publishing = [
        ("GET", format!("{release}/publishing")),
        ("POST", format!("{release}/releases")),
        ("POST", format!("{release}/metadata")),
        ("POST", "/v1/products".to_owned()),
        ("GET", upload.clone()),
        ("PATCH", format!("{upload}?offset=0&length=0")),
        ("GET", "/v1/server-keys".to_owned()),
    ];
    let accounts = [
        ("POST", "/v1/customers".to_owned()),
        ("POST", "/v1/contracts".to_owned()),
        ("POST", "/v1/contracts/acme/amendments".to_owned()),
        ("POST", "/v1/contracts/acme/activation-keys".to_owned()),
    ];
    let support = [("POST", "/v1/machines/m-1/rollback".to_owned())];
    let administration = [
        ("GET", "/v1/tokens".to_owned()),
        ("POST", "/v1/tokens".to_owned()),
        ("DELETE", "/v1/tokens/tok-1".to_owned()),
    ];
    let customers = [
        ("GET", "/v1/customers".to_owned()),
        ("GET", "/v1/contracts/acme".to_owned()),
        ("GET", "/v1/machines".to_owned()),
        ("GET", "/v1/audit".to_owned()),
    ];
    let files = [("GET", format!("/repo/{PRODUCT}/timestamp.json"))];
    match role {
        "publisher" => [&accounts[..], &support, &administration, &customers].concat(),
        "account" => [&publishing[..], &support, &administration, &files].concat(),
        "support" => [&publishing[..], &accounts, &administration].concat(),
        "viewer" => [&publishing[..], &accounts, &support, &administration, &files].concat(),
        other => panic!("{other}"),
    }
}

/// Expects a role to be kept from everything that is not its own, and each attempt to be recorded.
fn assert_kept_to_its_own(role: &str) {
    let server = opened();
    customer(&server);
    let before = server.visible();
    let token = server.token(role);
    let attempts = forbidden(role);
    for (method, path) in &attempts {
        let problem = server.request(method, path, &token, b"{}").refuses(403, "ROLE_NOT_ALLOWED");
        assert!(problem.detail.contains(&format!("the role {role} may not")), "{method} {path}");
    }
    let trail: Vec<Value> = server.get("/v1/audit").has_status(200).json();
    let denied: Vec<_> = trail.iter().filter(|record| record["action"] == "denied").collect();
    let subjects: Vec<_> =
        denied.iter().map(|record| record["subject"].as_str().unwrap()).collect();
    let expected: Vec<_> = attempts
        .iter()
        .map(|(method, path)| format!("{method} {}", path.split('?').next().unwrap()))
        .collect();
    assert_eq!(subjects, expected);
    let label = format!("({role})");
    assert!(denied.iter().all(|record| record["actor"].as_str().unwrap().ends_with(&label)));
    assert!(denied.iter().all(|record| record["address"] == "127.0.0.1"));
    assert_eq!(server.visible(), before);
    server.request("GET", "/v1/products", &token, b"").has_status(200);
}

#[test]
fn a_publisher_is_kept_to_its_own() {
    assert_kept_to_its_own("publisher");
}

#[test]
fn an_account_manager_is_kept_to_its_own() {
    assert_kept_to_its_own("account");
}

#[test]
fn a_technician_is_kept_to_its_own() {
    assert_kept_to_its_own("support");
}

#[test]
fn a_viewer_changes_nothing() {
    assert_kept_to_its_own("viewer");
}

#[test]
fn a_machine_is_no_member_of_staff_nor_the_other_way_round() {
    let server = opened();
    let machine = server.enroll(&customer(&server));
    for path in ["/v1/products", "/v1/machines", "/v1/audit", "/v1/tokens"] {
        server.request("GET", path, &machine.0.token, b"").refuses(403, "STAFF_ONLY");
    }
    for path in ["/v1/check", "/v1/report"] {
        server.post(path, &json!({})).refuses(403, "MACHINE_ONLY");
    }
}

#[test]
fn a_machine_enrols_with_a_key_that_is_known_and_its_own() {
    let server = opened();
    let activation_key = customer(&server);
    let (key, stranger) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
    let enroll = |activation_key: &str, signer: &SigningKey| {
        let message = mainstay_client::format::wire::EnrollRequest::proof_message(
            activation_key,
            &PRODUCT.parse().unwrap(),
            &key.public(),
        );
        let request = json!({
            "activation_key": activation_key,
            "product": PRODUCT,
            "platform": "linux-x86_64",
            "host": "by-hand",
            "public_key": key.public(),
            "proof": signer.sign(&message),
        });
        server.request_with("POST", "/v1/enroll", &[], &serde_json::to_vec(&request).unwrap())
    };
    enroll("mak_0000", &key).refuses(401, "ACTIVATION_KEY_UNKNOWN");
    enroll(&activation_key, &stranger).refuses(401, "PROOF_INVALID");
    assert_eq!(server.get("/v1/machines").json::<Value>()["machines"], json!([]));
    enroll(&activation_key, &key).has_status(201);
}
