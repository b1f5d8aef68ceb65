//! How a machine becomes known to a server.

use std::{fs, net::TcpListener};

use mainstay_client::format::Digest;

use crate::{
    fleet::{customer, enroll},
    harness::{Machine, PRODUCT, Server},
};

#[test]
fn it_says_whose_machine_it_is_and_pins_the_root() {
    let server = Server::with_product();
    let machine = Machine::bare();
    let ran = enroll(&machine, server.url(), &customer(&server, "standard"), &[]).succeeds();
    let document = ran.json();
    assert_eq!(document["outcome"], "enrolled");
    assert_eq!(document["customer"], "standard");
    assert_eq!(document["contract"], "standard");
    assert_eq!(document["product"], PRODUCT);
    assert_eq!(document["server"], server.url());
    assert_eq!(document["root_sha256"], root_sha256(&server));
}

#[test]
fn a_known_root_is_accepted_and_another_refused() {
    let server = Server::with_product();
    let key = customer(&server, "standard");
    let wrong = "0".repeat(64);
    let machine = Machine::bare();
    let refused = enroll(&machine, server.url(), &key, &["--root-sha256", &wrong]).exits(34);
    assert!(refused.json()["message"].as_str().unwrap().contains(&wrong));
    machine.agent(&["status"]).exits(30);
    let right = root_sha256(&server);
    enroll(&machine, server.url(), &key, &["--root-sha256", &right]).succeeds();
}

#[test]
fn a_wrong_activation_key_is_refused() {
    let server = Server::with_product();
    let machine = Machine::bare();
    let wrong = format!("mak_{}", "0".repeat(64));
    let document = enroll(&machine, server.url(), &wrong, &[]).exits(33).json();
    assert_eq!(document["code"], "ACTIVATION_KEY_UNKNOWN");
    machine.agent(&["status"]).exits(30);
}

#[test]
fn an_unknown_product_is_refused_like_one_that_the_contract_does_not_cover() {
    let server = Server::with_product();
    let key = customer(&server, "standard");
    server.mainstay(&["product", "create", "--product", "other"]).succeeds();
    let refused = ["nobody-has-this", "other"].map(|product| {
        let machine = Machine::bare();
        let ran = enroll(&machine, server.url(), &key, &["--product", product]).exits(33);
        ran.json()["code"].as_str().unwrap().to_owned()
    });
    assert_eq!(refused, ["PRODUCT_NOT_COVERED", "PRODUCT_NOT_COVERED"]);
}

#[test]
fn without_a_server_nothing_is_left_half_done() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let machine = Machine::bare();
    let document = enroll(&machine, &format!("http://{port}"), "mak_any", &[]).exits(32).json();
    assert_eq!(document["retryable"], true);
    machine.agent(&["status"]).exits(30);
    machine.agent(&["update"]).exits(30);
    for file in ["agent.toml", "token", "trust/root.json"] {
        assert!(!machine.root().join(".mainstay").join(file).exists(), "{file}");
    }
    let server = Server::with_product();
    enroll(&machine, server.url(), &customer(&server, "standard"), &[]).succeeds();
    machine.agent(&["check"]).exits(10);
}

#[test]
fn enrolling_again_keeps_the_name_and_ends_the_old_token() {
    let server = Server::with_product();
    let key = customer(&server, "standard");
    let machine = server.machine(&key);
    let name = machine.name();
    let check = |token: &str| server.request("POST", "/v1/check", token, b"{}").status;
    let old = fs::read_to_string(machine.root().join(".mainstay/token")).unwrap();
    assert_eq!(check(old.trim()), 400, "it is let in, and says nothing sensible");
    assert_eq!(enroll(&machine, server.url(), &key, &[]).succeeds().json()["machine"], name);
    assert_eq!(check(old.trim()), 401);
    machine.agent(&["check"]).exits(10);
    let machines = server.mainstay(&["--json", "machine", "list"]).succeeds().json();
    assert_eq!(machines["machines"].as_array().unwrap().len(), 1);
}

#[test]
fn two_installations_are_two_machines() {
    let server = Server::with_product();
    let key = customer(&server, "standard");
    assert_ne!(server.machine(&key).name(), server.machine(&key).name());
}

#[test]
fn a_directory_that_holds_one_product_is_not_given_to_another() {
    let (server, machine) = crate::fleet::at_the_first_release("standard");
    let document = enroll(&machine, server.url(), "mak_any", &["--product", "other"]).exits(36);
    assert!(document.json()["message"].as_str().unwrap().contains(PRODUCT));
    machine.agent(&["update"]).exits(10);
}

/// What the vendor would tell its customers.
fn root_sha256(server: &Server) -> String {
    let root = fs::read(server.path(&format!("keys/trust/{PRODUCT}/root.json"))).unwrap();
    Digest::of(&root).to_string()
}
