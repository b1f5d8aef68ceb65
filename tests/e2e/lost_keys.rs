//! A server that has lost a key says so.

use std::fs;

use crate::harness::{Ran, Server};

#[test]
fn a_lost_key_is_not_made_anew() {
    let mut server = Server::with_product();
    server.kill();
    let (key, aside) = (server.path("server/keys/director.pem"), server.path("aside.pem"));
    fs::rename(&key, &aside).unwrap();
    let mut serve = server.command(&["serve", "--listen", "127.0.0.1:0", "--dir"]);
    let refused = Ran::run(serve.arg(server.path("server"))).exits(1);
    assert!(refused.stderr().contains("director.pem is missing"), "{}", refused.stderr());
    assert!(!key.exists());
    fs::rename(&aside, &key).unwrap();
    server.kill_and_restart();
    server.publish("1.0.0", "major", &[]);
}
