//! The attacks that TUF and Uptane name, each against the real agent, through a server that the
//! test has written and a vendor of which it holds every key.
//!
//! A scenario changes one thing of what an honest server would have sent, and then asks the same
//! of the machine each time (`Victim::refuses`): it says which rule was broken, by which
//! document and at which version; what ran runs; what was trusted is trusted; and the next honest
//! answer is taken. `mainstay::manual::threat_model` lists the attacks beside their tests.

use std::collections::BTreeSet;

#[path = "attack/keys.rs"]
mod keys;
#[path = "attack/server.rs"]
mod server;
#[path = "attack/victim.rs"]
mod victim;
#[path = "attack/world.rs"]
mod world;

#[path = "attack/documents.rs"]
mod documents;
#[path = "attack/enrolment.rs"]
mod enrolment;
#[path = "attack/private_channels.rs"]
mod private_channels;
#[path = "attack/releases.rs"]
mod releases;
#[path = "attack/replay.rs"]
mod replay;
#[path = "attack/stolen_keys.rs"]
mod stolen_keys;
#[path = "attack/transfer.rs"]
mod transfer;
#[path = "attack/trees.rs"]
mod trees;

/// A statement of the threat model is worth what the test behind it is worth: each that it names is
/// there, and each that is there is named.
#[test]
fn the_threat_model_names_the_tests_that_there_are() {
    let manual = include_str!("../../src/manual/threat_model.rs");
    for (module, source) in [
        ("documents", include_str!("attack/documents.rs")),
        ("enrolment", include_str!("attack/enrolment.rs")),
        ("private_channels", include_str!("attack/private_channels.rs")),
        ("releases", include_str!("attack/releases.rs")),
        ("replay", include_str!("attack/replay.rs")),
        ("stolen_keys", include_str!("attack/stolen_keys.rs")),
        ("transfer", include_str!("attack/transfer.rs")),
        ("trees", include_str!("attack/trees.rs")),
    ] {
        let after = |text: &'static str, mark: &str, end| -> BTreeSet<&'static str> {
            let pieces = text.split(mark).skip(1);
            pieces.map(|piece| piece.split_once(end).unwrap().0).collect()
        };
        let named = after(manual, &format!("`{module}::"), '`');
        assert_eq!(named, after(source, "#[test]\nfn ", '('), "{module}");
    }
}
