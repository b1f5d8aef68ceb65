//! Trees that do harm, signed by the vendor and served by a server that looks at nothing: as if
//! somebody had taken over the vendor's build.

use std::{fs, path::Path};

use mainstay_client::format::Digest;

use super::{
    victim::{TRUST, Victim, now},
    world::Release,
};
use crate::by_hand::Packed;

#[path = "../../../client/tests/trees/cases.rs"]
#[expect(dead_code, reason = "what the manual says of a case is not asked here")]
mod cases;
#[path = "../../../client/tests/trees/raw.rs"]
mod raw;

use cases::{Fate, WINDOW_LOG, corpus};

/// Each of `fixtures/trees` that is to be refused, on one machine after another attack on it failed.
#[test]
fn a_signed_tree_that_does_harm() {
    let mut victim = Victim::new();
    let versions = victim.machine.root().join("versions");
    for case in corpus().into_iter().flat_map(|group| group.cases) {
        let Fate::Refused(says) = case.fate else { continue };
        let file = Path::new("fixtures/trees").join(case.file_name());
        let mut packed = Packed::payload(&case.payload, None);
        packed.bytes = fs::read(file).unwrap();
        packed.artifact.length = packed.bytes.len() as u64;
        packed.artifact.sha256 = Digest::of(&packed.bytes);
        packed.artifact.window_log = WINDOW_LOG;
        // What was refused is trusted as far as it is signed, so each attack is the next revision.
        victim.honest.revision += 1;
        let mut world = victim.honest.clone();
        world.publish(Release::new("1.0.1", packed, now()));
        victim.server.serve(world.edition());
        victim.fails(TRUST, "payload", &["version 1.0.1 cannot be unpacked into", says]);
        assert_eq!(names(&versions), ["1.0.0"], "{}", case.name);
        let staging = victim.machine.root().join(".mainstay/staging");
        assert!(names(&staging).is_empty(), "{}", case.name);
    }
    victim.recovers();
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}
