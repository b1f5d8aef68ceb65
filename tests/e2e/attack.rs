//! The attacks that TUF and Uptane name, each against the real agent, through a server that the
//! test has written and a vendor of which it holds every key.
//!
//! A scenario changes one thing of what an honest server would have sent, and then asks the same
//! of the machine each time (`Victim::refuses`): it says which rule was broken, by which
//! document and at which version; what ran runs; what was trusted is trusted; and the next honest
//! answer is taken. `mainstay::manual::threat_model` lists the attacks beside their tests.

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
#[path = "attack/releases.rs"]
mod releases;
#[path = "attack/replay.rs"]
mod replay;
#[path = "attack/stolen_keys.rs"]
mod stolen_keys;
#[path = "attack/transfer.rs"]
mod transfer;
