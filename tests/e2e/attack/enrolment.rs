//! A machine that is not enrolled yet, and a server that would like to be trusted by it.

use jiff::SignedDuration;
use mainstay_client::format::Digest;
use serde_json::json;

use super::{
    keys::Key,
    server::{HostileServer, Reply},
    victim::{SERVER, TRUST, Victim, now, release},
    world::{Role, World},
};
use crate::{fleet::enroll, harness::Machine};

/// A machine, and a server with 1.0.0.
fn strangers() -> (Machine, HostileServer, World) {
    let mut world = World::new(now());
    world.publish(release("1.0.0"));
    let server = HostileServer::start();
    server.serve(world.edition());
    (Machine::bare(), server, world)
}

/// The machine is as it was, and enrols with an honest server.
#[track_caller]
fn recovers(machine: &Machine, server: &HostileServer, world: &World) {
    machine.agent(&["status"]).exits(30);
    server.serve(world.edition());
    enroll(machine, server.url(), "mak_test", &[]).succeeds();
    machine.agent(&["update"]).succeeds();
    assert_eq!(machine.running().as_deref(), Some("1.0.0"));
}

#[test]
fn a_root_that_is_not_the_vendors() {
    let (machine, server, world) = strangers();
    let mut edition = world.edition();
    let vendors = Digest::of(edition.metadata["1.root.json"].as_bytes());
    edition.metadata.get_mut("1.root.json").unwrap().push('\n');
    server.serve(edition);
    let told = ["--root-sha256", &vendors.to_string()];
    let refused = enroll(&machine, server.url(), "mak_test", &told).exits(TRUST).json();
    assert_eq!(refused["code"], "digest");
    assert!(refused["message"].as_str().unwrap().contains("the server's root"), "{refused}");
    recovers(&machine, &server, &world);
}

/// A server that is not the vendor's, or no longer, asks a machine that knows the vendor's root to
/// enrol again: the machine takes another root only where somebody who knows says which.
#[test]
fn another_root_than_the_one_that_was_pinned() {
    let mut victim = Victim::new();
    let pinned = Digest::of(victim.honest.edition().metadata["1.root.json"].as_bytes());
    let mut other = World::new(now() - SignedDuration::from_hours(1));
    other.revision = 50;
    other.publish(release("1.1.0"));
    let root = Digest::of(other.edition().metadata["1.root.json"].as_bytes());
    victim.server.serve(other.edition());
    let url = victim.server.url().to_owned();
    let refused = enroll(&victim.machine, &url, "mak_test", &[]).exits(TRUST).json();
    assert_eq!(refused["code"], "digest");
    let message = refused["message"].as_str().unwrap();
    for part in [&pinned.to_string(), &root.to_string(), "--root-sha256"] {
        assert!(message.contains(part), "{message}");
    }
    victim.recovers();
    victim.server.serve(other.edition());
    let told = ["--root-sha256", &root.to_string()];
    enroll(&victim.machine, &url, "mak_test", &told).succeeds();
    victim.machine.agent(&["update"]).succeeds();
    assert_eq!(victim.machine.running().as_deref(), Some("1.1.0"));
}

type Forge = fn(&mut World);

#[test]
fn a_root_that_is_none() {
    let forgeries: [(&str, Forge); 5] = [
        ("threshold", |world| world.sign_with(Role::Root, &Key::ROOT[..1])),
        ("threshold", |world| world.sign_with(Role::Root, &[Key::STRANGER])),
        ("form", |world| world.set(Role::Root, "/roles/root/threshold", json!(0))),
        ("form", |world| world.set(Role::Root, "/version", json!(0))),
        ("form", |world| {
            world
                .rewrite(Role::Root, |text| text.replacen("\"keys\":", "\"keys\":{},\"keys\":", 1));
        }),
    ];
    for (rule, forge) in forgeries {
        let (machine, server, world) = strangers();
        let mut forged = world.clone();
        forged.edit(Role::Root, |_| {});
        forge(&mut forged);
        let mut edition = forged.edition();
        let root = edition.metadata["2.root.json"].clone();
        edition.metadata.insert("1.root.json".to_owned(), root);
        server.serve(edition);
        let refused = enroll(&machine, server.url(), "mak_test", &[]).exits(TRUST).json();
        assert_eq!(refused["code"], rule, "{refused}");
        assert!(refused["message"].as_str().unwrap().starts_with("root"), "{refused}");
        recovers(&machine, &server, &world);
    }
}

/// What the server calls the machine ends up in files and in the header of each request.
#[test]
fn names_and_credentials_that_are_none() {
    for (member, value) in [
        ("machine", "../../../outside"),
        ("customer", "a\nb"),
        ("contract", ""),
        ("token", "mst_token\r\nX-Evil: 1"),
        ("token", ""),
    ] {
        let (machine, server, world) = strangers();
        let mut answer = json!({
            "machine": World::MACHINE,
            "customer": World::CUSTOMER,
            "contract": "initech-2026",
            "token": "mst_token",
            "root": world.edition().metadata["1.root.json"],
        });
        answer[member] = json!(value);
        server.answer("/v1/enroll", Reply::Whole(201, answer.to_string().into_bytes()));
        let refused = enroll(&machine, server.url(), "mak_test", &[]).exits(SERVER).json();
        assert_eq!(refused["code"], "malformed_answer", "{member}: {refused}");
        recovers(&machine, &server, &world);
    }
}
