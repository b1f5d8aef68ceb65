//! What the keys of a private channel can do, beside those of the server: they are release keys, and a
//! machine cannot tell for whom an opaque name is.

use super::{
    keys::{Holders, Key},
    victim::{Victim, release, tree},
    world::{Release, Role, World},
};
use crate::{by_hand::Packed, harness::write};

/// A custom build of another customer than the victim.
const CUSTOM: &str = "1.0.2-globex.1";

/// The vendor has made a private channel for another customer, and published `build` in it; the machine
/// has seen the channel, and nothing of it.
fn beside_a_private_channel() -> Victim {
    let mut victim = Victim::new();
    victim.honest.private = Some(Holders::only(Key::PRIVATE));
    victim.updated_to(release("1.0.1"))
}

fn custom(build: Release) -> Release {
    build.with(|manifest| manifest.private_channel = World::PRIVATE_CHANNEL.parse().ok())
}

/// What the vendor did not sign.
fn evil() -> Release {
    let tree = tree(CUSTOM);
    write(&tree.path().join("evil"), 0o755, "#!/bin/sh\n");
    custom(Release::new(CUSTOM, Packed::tree(tree.path()), super::victim::now()))
}

/// By the keys of the server, which a thief has, the plan names what the vendor signed for another.
#[test]
fn the_servers_keys_steer_a_machine_to_somebody_elses_custom_build() {
    let victim = beside_a_private_channel();
    let mut world = victim.honest.clone();
    world.publish(custom(release(CUSTOM)));
    victim.server.serve(world.edition());
    victim.machine.agent(&["update"]).succeeds();
    assert_eq!(victim.machine.running().as_deref(), Some(CUSTOM));
}

#[test]
fn a_private_channels_key_and_the_servers_keys_install_anything_on_any_machine() {
    let victim = beside_a_private_channel();
    let mut world = victim.honest.clone();
    world.publish(evil());
    victim.server.serve(world.edition());
    victim.machine.agent(&["update"]).succeeds();
    assert!(victim.machine.root().join("current/evil").exists());
}

#[test]
fn a_private_channels_key_alone_installs_nothing() {
    for (role, refused) in [
        (Role::Timestamp, "timestamp version"),
        (Role::Snapshot, "snapshot version"),
        (Role::Plan, "plan version"),
    ] {
        let mut victim = beside_a_private_channel();
        let mut world = victim.honest.clone();
        world.publish(evil());
        world.sign_with(role, &[]);
        victim.server.serve(world.edition());
        victim.refuses("threshold", &[refused]);
    }
}
