//! The manual.
//!
//! | page | for whom |
//! |---|---|
//! | [`operations`] | whoever runs the server: start, configure, back up, stop |
//! | [`watching`] | whoever watches it: health, measures, the access log |
//! | [`machines`] | whoever looks after machines: the agent, its documents and exit codes |
//! | [`events`] | whoever is to be told what happens, by webhook or by mail |
//! | [`entitlements`] | whoever makes contracts, or must say why a machine gets a release |
//! | [`rollouts`] | whoever publishes: how a release spreads, and what stops it |
//! | [`exposure`] | whoever answers for security: who lacks a fix, since when and why |
//! | [`support`] | whoever is awake when a release turns out bad: many machines at once |
//! | [`trees`] | whoever packs a release: what its tree may hold, and what is refused |
//! | [`threat_model`] | whoever must trust it: what each key can do, and what is not promised |
//! | [`storage`] | what is kept where, and what survives what |
//! | [`deltas`] | whoever makes or applies deltas, or writes another program that does |
//! | [`wire_formats`] | whoever writes another client, or a script |
//! | [`interoperability`] | whoever brings another TUF client, or another repository |
//! | [`measurements`] | figures, with the commands that show them |
//! | [`testing`] | whoever changes it: fuzzing |

pub mod deltas;
pub mod entitlements;
pub mod events;
pub mod exposure;
pub mod interoperability;
pub mod machines;
pub mod measurements;
pub mod operations;
pub mod rollouts;
pub mod storage;
pub mod support;
pub mod testing;
pub mod threat_model;
pub mod trees;
pub mod watching;
pub mod wire_formats;
