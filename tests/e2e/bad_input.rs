//! What people give the command line that it cannot use.

use std::{
    fs,
    os::unix::{
        fs::{PermissionsExt as _, symlink},
        net::UnixListener,
    },
    path::Path,
    process::Command,
};

use serde_json::{Value, json};

use crate::harness::{PRODUCT, Ran, Server, write};

fn with_passphrase(server: &Server, passphrase: &str, arguments: &[&str]) -> Ran {
    Ran::run(server.command(arguments).env("MAINSTAY_PASSPHRASE", passphrase))
}

#[test]
fn an_unknown_flag_is_refused() {
    let server = Server::empty();
    let refused = server.mainstay(&["product", "list", "--prodcut", "acme-db"]).exits(2);
    assert!(refused.stderr().contains("--prodcut"), "{}", refused.stderr());
}

#[test]
fn a_string_that_is_no_version_is_refused() {
    let server = Server::empty();
    for version in ["1.0", "v1.0.0", "1.0.0+build", "01.0.0", ""] {
        let refused = server.publish_tree(version, "major", Path::new("."), &[]).exits(2);
        assert!(refused.stderr().contains("SemVer 2.0"), "{version}: {}", refused.stderr());
    }
}

#[test]
fn a_command_without_a_token_says_where_one_is_kept() {
    let server = Server::empty();
    let mut command = server.command(&["product", "list"]);
    command.env_remove("MAINSTAY_TOKEN_FILE").env_remove("MAINSTAY_TOKEN");
    let refused = Ran::run(&mut command).exits(2);
    assert!(refused.stderr().contains("admin.token"), "{}", refused.stderr());
}

#[test]
fn a_server_that_is_not_there_is_told_apart() {
    let mut server = Server::empty();
    server.kill();
    let refused = server.mainstay(&["product", "list"]).exits(5);
    assert!(refused.stderr().contains("cannot be reached"), "{}", refused.stderr());
}

#[test]
fn encrypted_keys_publish_with_their_passphrase() {
    let server = Server::empty();
    with_passphrase(&server, "correct horse", &["keys", "generate"]).succeeds();
    for key in ["root", "targets", "release"] {
        let path = server.path(&format!("keys/{key}.pem"));
        let pem = fs::read_to_string(&path).unwrap();
        assert!(pem.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"), "{key}");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{key}");
    }
    let create = ["product", "create", "--product", PRODUCT];
    with_passphrase(&server, "correct horse", &create).succeeds();
    write(&server.path("passphrase"), 0o600, "correct horse\n");
    server.publish("1.0.0", "major", &["--passphrase-file", "passphrase"]);
}

#[test]
fn a_key_does_not_open_with_another_passphrase_or_none() {
    let server = Server::empty();
    with_passphrase(&server, "correct horse", &["keys", "generate"]).succeeds();
    let create = ["product", "create", "--product", PRODUCT];
    let refused = with_passphrase(&server, "battery staple", &create).exits(2);
    let expected = "the passphrase does not open the key";
    assert!(refused.stderr().contains(expected), "{}", refused.stderr());
    let refused = server.mainstay(&create).exits(2);
    let expected = "the key is encrypted and no passphrase was given";
    assert!(refused.stderr().contains(expected), "{}", refused.stderr());
}

#[test]
fn keys_are_not_left_unencrypted_unasked() {
    let server = Server::empty();
    let refused = server.mainstay(&["keys", "generate"]).exits(2);
    assert!(refused.stderr().contains("--no-passphrase"), "{}", refused.stderr());
    with_passphrase(&server, "", &["keys", "generate"]).exits(2);
    assert!(!server.path("keys").exists());
}

#[test]
fn no_key_is_written_over() {
    let server = Server::empty();
    let generate = ["keys", "generate", "--no-passphrase"];
    server.mainstay(&generate).succeeds();
    let contents =
        || ["root.pem", "root.pub"].map(|file| fs::read(server.path("keys").join(file)).unwrap());
    let before = contents();
    // The new name comes first, and is not made either.
    let refused = server.mainstay(&[&generate[..], &["fresh", "root"]].concat()).exits(2);
    assert!(refused.stderr().contains("exists already"), "{}", refused.stderr());
    assert_eq!(contents(), before);
    assert!(!server.path("keys/fresh.pem").exists());
}

#[test]
fn a_public_key_without_its_private_half_is_not_written_over() {
    let server = Server::empty();
    let generate = ["keys", "generate", "--no-passphrase", "root"];
    server.mainstay(&generate).succeeds();
    // As where the private half is kept offline.
    fs::remove_file(server.path("keys/root.pem")).unwrap();
    let before = fs::read(server.path("keys/root.pub")).unwrap();
    server.mainstay(&generate).exits(2);
    assert_eq!(fs::read(server.path("keys/root.pub")).unwrap(), before);
}

#[test]
fn a_key_name_stays_in_its_directory() {
    let server = Server::empty();
    for name in ["../escape", "a/b", "", "."] {
        server.mainstay(&["keys", "generate", "--no-passphrase", name]).exits(2);
    }
    assert!(!server.path("escape.pem").exists());
}

#[test]
fn everything_that_cannot_be_packed_is_listed() {
    let server = Server::with_product();
    let tree = server.tree("1.0.0");
    let _socket = UnixListener::bind(tree.join("a-socket")).unwrap();
    let pipe = Command::new("mkfifo").arg(tree.join("a-pipe")).status().unwrap();
    assert!(pipe.success());
    write(&tree.join("set-user"), 0o4755, "");
    symlink("../../etc/passwd", tree.join("an-escape")).unwrap();
    symlink("/etc/passwd", tree.join("bin/absolute")).unwrap();
    let expected = [
        "`a-pipe`: is a named pipe",
        "`a-socket`: is a socket",
        "`an-escape`: ",
        "`bin/absolute`: ",
        "`set-user`: has mode 4755",
    ];
    let refused = server.publish_tree("1.0.0", "major", &tree, &[]).exits(2);
    let text = refused.stderr();
    for problem in expected {
        assert_eq!(text.matches(problem).count(), 1, "{problem}\n{text}");
    }
    let document = server.publish_tree("1.0.0", "major", &tree, &["--json"]).exits(2).json();
    let problems = document["problems"].as_array().unwrap();
    assert_eq!(problems.len(), expected.len(), "{document}");
    for (problem, expected) in problems.iter().zip(expected) {
        assert!(problem.as_str().unwrap().starts_with(expected), "{problem}");
    }
    assert_eq!(server.visible().versions(), [""; 0]);
}

#[test]
fn a_key_that_may_not_sign_the_channel_is_noticed_before_packing() {
    let server = Server::with_product();
    server.mainstay(&["keys", "generate", "--no-passphrase", "stranger"]).succeeds();
    let nowhere = Path::new("not-looked-at");
    let key = ["--release-key", "stranger"];
    let refused = server.publish_tree("1.0.0", "major", nowhere, &key).exits(2);
    assert!(refused.stderr().contains("may not sign channel major"), "{}", refused.stderr());
}

fn contract(cap: &str, terms: &Value) -> Value {
    json!({
        "products": [PRODUCT],
        "channels": ["bugfix"],
        "terms": terms,
        "base_line": "2.4",
        "cap": cap,
    })
}

/// Two terms that overlap, and one that is turned round.
fn unsound_terms() -> Value {
    json!([
        { "start": "2020-01-01T00:00:00Z", "end": "2022-01-01T00:00:00Z" },
        { "start": "2021-01-01T00:00:00Z", "end": "2023-01-01T00:00:00Z" },
        { "start": "2025-01-01T00:00:00Z", "end": "2024-01-01T00:00:00Z" },
    ])
}

const UNSOUND: [&str; 3] = [
    "starts at 2025-01-01T00:00:00Z and ends at 2024-01-01T00:00:00Z",
    "overlaps the term from 2020-01-01T00:00:00Z",
    "cap is 2.3: expected at least the base_line, which is 2.4",
];

#[test]
fn everything_that_is_wrong_with_a_contract_is_listed() {
    let server = Server::with_product();
    server.mainstay(&["customer", "create", "--customer", "acme"]).succeeds();
    let document = contract("2.3", &unsound_terms()).to_string();
    write(&server.path("contract.json"), 0o644, &document);
    let create = ["contract", "create", "--contract", "acme", "--customer", "acme"];
    let refused = server.mainstay(&[&create[..], &["--file", "contract.json"]].concat()).exits(3);
    for expected in UNSOUND {
        assert!(refused.stderr().contains(expected), "{expected}\n{}", refused.stderr());
    }
    assert_eq!(server.get("/v1/contracts").json::<Value>(), json!([]));
}

#[test]
fn an_amendment_that_breaks_a_contract_changes_nothing() {
    let server = Server::with_product();
    server.customer("acme", "basic", "2020-01-01T00:00:00Z", "2021-01-01T00:00:00Z");
    let before: Value = server.get("/v1/contracts/acme").has_status(200).json();
    let overlapping = json!({
        "kind": "renew",
        "term": { "start": "2020-06-01T00:00:00Z", "end": "2022-01-01T00:00:00Z" },
    });
    let amend = ["contract", "amend", "acme", "--change", &overlapping.to_string()];
    let refused = server.mainstay(&amend).exits(3);
    assert!(refused.stderr().contains("overlaps"), "{}", refused.stderr());
    assert_eq!(server.get("/v1/contracts/acme").json::<Value>(), before);
}

#[test]
fn an_amendment_that_breaks_what_a_later_one_says_is_refused() {
    let server = Server::with_product();
    server.customer("acme", "basic", "2020-01-01T00:00:00Z", "2021-01-01T00:00:00Z");
    let amend = |at: &[&str], start: &str, end: &str| {
        let term = json!({ "start": start, "end": end });
        let change = json!({ "kind": "renew", "term": term }).to_string();
        server.mainstay(&[&["contract", "amend", "acme", "--change", &change], at].concat())
    };
    let later = ["--at", "2099-01-01T00:00:00Z"];
    amend(&later, "2100-01-01T00:00:00Z", "2101-01-01T00:00:00Z").succeeds();
    let refused = amend(&[], "2100-06-01T00:00:00Z", "2102-01-01T00:00:00Z").exits(3);
    assert!(refused.stderr().contains("overlaps"), "{}", refused.stderr());
}
