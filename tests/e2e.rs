//! End-to-end scenarios: the real server and the real agent as processes on loopback.
//!
//! Run them with `cargo nextest run --workspace`, which also builds the agent.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a scenario that cannot go on has failed; clippy.toml exempts `#[test]` functions only"
)]
#![expect(dead_code, unreachable_pub, reason = "the harness is ahead of its scenarios")]

#[path = "e2e/harness.rs"]
mod harness;
#[path = "e2e/server.rs"]
mod server;
