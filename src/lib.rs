//! Mainstay: a patch and update distribution server for software under maintenance contracts.
//!
//! Vendors publish signed, compressed releases into four channels; each customer's contract decides
//! which of them its machines may have; the client (`mainstay-client`) checks, verifies, applies
//! and, when an update is bad, rolls back.
//!
//! # The map of the house
//!
//! | room | what is there |
//! |---|---|
//! | [`policy`] | the decisions: pure functions of values, no clock and no I/O |
//! | [`service`] | the use cases: load → decide → persist |
//! | [`api`] | HTTP: authenticate → parse → service → encode |
//! | [`store`] | the ports to records and blobs, their adapters, the suite that every adapter passes |
//! | [`server`], [`jobs`], [`config`], [`limits`], [`clock`], [`measures`], [`access_log`] | the running process |
//! | [`outlet`] | the way out of notifications: webhooks and mail |
//! | [`cli`] | the vendor's and the technician's commands, and the quickstart |
//! | [`manual`] | operations, threat model, storage, wire formats |
//!
//! Formats, canonical JSON, keys, the TUF workflow, packing and the install engine live in the
//! client crate, whose verification is the definition of valid: the server runs that same code on
//! everything before it accepts it.

pub mod access_log;
pub mod api;
pub mod cli;
pub mod clock;
pub mod config;
pub mod jobs;
pub mod limits;
pub mod manual;
pub mod measures;
pub mod outlet;
pub mod policy;
pub mod server;
pub mod service;
pub mod store;
