//! The server as its operator meets it.

use std::{fs, os::unix::fs::PermissionsExt as _};

use crate::harness::{PRODUCT, Ran, Server};

#[test]
fn it_is_alive_ready_and_stops_when_told() {
    let mut server = Server::empty();
    assert_eq!(server.request("GET", "/healthz", "", b"").status, 200);
    assert_eq!(server.request("GET", "/readyz", "", b"").status, 200);
    assert!(server.stop().success());
}

#[test]
fn its_keys_and_first_token_are_for_its_user_only() {
    let server = Server::empty();
    for file in ["admin.token", "keys/timestamp.pem", "keys/snapshot.pem", "keys/director.pem"] {
        let mode = fs::metadata(server.path("server").join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

#[test]
fn what_was_acknowledged_survives_a_kill() {
    let mut server = Server::with_product();
    server.publish("1.0.0", "major", &[]);
    server.kill_and_restart();
    let releases = server.mainstay(&["--json", "release", "list", "--product", PRODUCT]);
    assert_eq!(releases.succeeds().json()[0]["release"]["version"], "1.0.0");
    server.publish("1.0.1", "bugfix", &[]);
}

#[test]
fn a_second_server_on_the_same_directory_is_refused_clearly() {
    let server = Server::empty();
    let dir = server.path("server");
    let second =
        Ran::run(server.command(&["serve", "--listen", "127.0.0.1:0", "--dir"]).arg(dir)).exits(1);
    assert!(second.stderr().contains("another"), "{}", second.stderr());
    assert_eq!(server.request("GET", "/readyz", "", b"").status, 200);
}

#[test]
fn an_unknown_field_in_the_configuration_is_refused() {
    let server = Server::empty();
    fs::create_dir(server.path("other")).unwrap();
    fs::write(server.path("other/mainstay.toml"), "lisen = \"127.0.0.1:0\"\n").unwrap();
    let refused = server.mainstay(&["serve", "--dir", "other"]).exits(2);
    assert!(refused.stderr().contains("lisen"), "{}", refused.stderr());
}
