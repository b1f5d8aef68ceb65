//! What is fuzzed, and what must hold whatever the bytes are.
//!
//! Each target is one function of bytes that panics where a property does not hold. The programs in
//! `fuzz_targets` give it what libFuzzer makes up; `client/tests/corpus.rs` takes these same files by
//! their path and replays every committed input on stable Rust. So nothing here needs libFuzzer.

#![expect(clippy::unwrap_used, reason = "a step that fails fails its target")]

mod archive;
mod canonical_json;
mod delegations;
mod delta;
mod documents;
mod executable;
mod headers;
mod input;
mod installation;
mod names;
mod repository;
mod roles;
mod settings;

/// Inputs to begin with, by their file names.
pub type Seeds = Vec<(&'static str, Vec<u8>)>;

/// One thing that is fuzzed.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name: that of its program, and of its folders of inputs.
    pub name: &'static str,
    /// Panics where a property does not hold.
    pub run: fn(&[u8]),
    /// The inputs in `client/fuzz/seeds/<name>`.
    pub seeds: fn() -> Seeds,
}

const fn target(name: &'static str, run: fn(&[u8]), seeds: fn() -> Seeds) -> Target {
    Target { name, run, seeds }
}

/// All that is fuzzed.
pub const TARGETS: &[Target] = &[
    target("canonical_json", canonical_json::run, canonical_json::seeds),
    target("envelope", documents::envelope, documents::envelope_seeds),
    target("root", roles::root, roles::root_seeds),
    target("timestamp", roles::timestamp, roles::timestamp_seeds),
    target("snapshot", roles::snapshot, roles::snapshot_seeds),
    target("targets", roles::targets, roles::targets_seeds),
    target("delegations", delegations::run, delegations::seeds),
    target("plan", roles::plan, roles::plan_seeds),
    target("keys", documents::keys, documents::keys_seeds),
    target("encrypted_key", documents::encrypted_key, documents::encrypted_key_seeds),
    target("release", documents::release, documents::release_seeds),
    target("wire", documents::wire, documents::wire_seeds),
    target("headers", headers::run, headers::seeds),
    target("settings", settings::run, settings::seeds),
    target("names", names::run, names::seeds),
    target("path_pattern", names::path_pattern, names::path_pattern_seeds),
    target("archive", archive::read, archive::archive_seeds),
    target("unpack", archive::unpack, archive::archive_seeds),
    target("payload", archive::payload, archive::payload_seeds),
    target("coding", archive::coding, archive::coding_seeds),
    target("delta", delta::run, delta::seeds),
    target("executable", executable::run, executable::seeds),
    target("journal", installation::journal, installation::journal_seeds),
    target("recovery", installation::recovery, installation::recovery_seeds),
];

/// Runs the target called `name`.
///
/// # Panics
///
/// Where there is none, or one of its properties does not hold.
pub fn run(name: &str, bytes: &[u8]) {
    (TARGETS.iter().find(|target| target.name == name).unwrap().run)(bytes);
}
