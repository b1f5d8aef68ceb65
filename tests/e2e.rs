//! End-to-end scenarios: the real server and the real agent as processes on loopback.
//!
//! Run them with `cargo nextest run --workspace`, which also builds the agent.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a scenario that cannot go on has failed; clippy.toml exempts `#[test]` functions only"
)]

#[path = "e2e/harness.rs"]
mod harness;

#[path = "e2e/by_hand.rs"]
mod by_hand;
#[path = "e2e/ceremony.rs"]
mod ceremony;
#[path = "e2e/conversation.rs"]
mod conversation;
#[path = "e2e/cut.rs"]
mod cut;
#[path = "e2e/disk.rs"]
mod disk;
#[path = "e2e/fleet.rs"]
mod fleet;
#[path = "e2e/http.rs"]
mod http;
#[path = "e2e/proxy.rs"]
mod proxy;

#[path = "e2e/access.rs"]
mod access;
#[path = "e2e/access_log.rs"]
mod access_log;
#[path = "e2e/actions.rs"]
mod actions;
#[path = "e2e/attack.rs"]
mod attack;
#[path = "e2e/audit.rs"]
mod audit;
#[path = "e2e/bad_input.rs"]
mod bad_input;
#[path = "e2e/bad_request.rs"]
mod bad_request;
#[path = "e2e/census.rs"]
mod census;
#[path = "e2e/checks.rs"]
mod checks;
#[path = "e2e/collect.rs"]
mod collect;
#[path = "e2e/compression.rs"]
mod compression;
#[path = "e2e/contracts.rs"]
mod contracts;
#[path = "e2e/crash.rs"]
mod crash;
#[path = "e2e/data.rs"]
mod data;
#[path = "e2e/decisions.rs"]
mod decisions;
#[path = "e2e/delta_service.rs"]
mod delta_service;
#[path = "e2e/deltas.rs"]
mod deltas;
#[path = "e2e/doctor.rs"]
mod doctor;
#[path = "e2e/download.rs"]
mod download;
#[path = "e2e/enrolment.rs"]
mod enrolment;
#[path = "e2e/exposure.rs"]
mod exposure;
#[path = "e2e/hooks.rs"]
mod hooks;
#[path = "e2e/key_rotation.rs"]
mod key_rotation;
#[path = "e2e/key_signing.rs"]
mod key_signing;
#[path = "e2e/kill.rs"]
mod kill;
#[path = "e2e/library.rs"]
mod library;
#[path = "e2e/lines.rs"]
mod lines;
#[path = "e2e/lost_keys.rs"]
mod lost_keys;
#[path = "e2e/machine.rs"]
mod machine;
#[path = "e2e/measures.rs"]
mod measures;
#[path = "e2e/memory.rs"]
mod memory;
#[path = "e2e/openapi.rs"]
mod openapi;
#[path = "e2e/organisation.rs"]
mod organisation;
#[path = "e2e/private.rs"]
mod private;
#[path = "e2e/publish.rs"]
mod publish;
#[path = "e2e/publish_artifact.rs"]
mod publish_artifact;
#[path = "e2e/publish_race.rs"]
mod publish_race;
#[path = "e2e/quickstart.rs"]
mod quickstart;
#[path = "e2e/quota.rs"]
mod quota;
#[path = "e2e/repository.rs"]
mod repository;
#[path = "e2e/requirements.rs"]
mod requirements;
#[path = "e2e/retire.rs"]
mod retire;
#[path = "e2e/retry.rs"]
mod retry;
#[path = "e2e/rollouts.rs"]
mod rollouts;
#[path = "e2e/routes.rs"]
mod routes;
#[path = "e2e/safeguards.rs"]
mod safeguards;
#[path = "e2e/screen.rs"]
mod screen;
#[path = "e2e/seats.rs"]
mod seats;
#[path = "e2e/selections.rs"]
mod selections;
#[path = "e2e/sending.rs"]
mod sending;
#[path = "e2e/server.rs"]
mod server;
#[path = "e2e/service.rs"]
mod service;
#[path = "e2e/signing_memory.rs"]
mod signing_memory;
#[path = "e2e/simulate.rs"]
mod simulate;
#[path = "e2e/space.rs"]
mod space;
#[path = "e2e/status.rs"]
mod status;
#[path = "e2e/story.rs"]
mod story;
#[path = "e2e/technician.rs"]
mod technician;
#[path = "e2e/tls.rs"]
mod tls;
#[path = "e2e/token_keys.rs"]
mod token_keys;
#[path = "e2e/undo.rs"]
mod undo;
#[path = "e2e/upload.rs"]
mod upload;
#[path = "e2e/webhooks.rs"]
mod webhooks;
#[path = "e2e/wild_machine.rs"]
mod wild_machine;
