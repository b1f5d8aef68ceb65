//! The Mainstay client: check, verify, apply, roll back.
//!
//! | module | feature | what is there |
//! |---|---|---|
//! | [`mod@format`] | | the documents (release manifest, plan, wire documents) and the newtypes they are made of |
//! | [`tuf`] | | canonical JSON, keys, the one threshold function, the trusted metadata as typed states |
//! | [`pack`] | | the one byte sequence that a tree packs to, and its safe unpacking |
//! | [`hex`] | | lower-case hexadecimal |
//! | [`fs`] | `install` | the file-system port: the real one, and a failing one for tests |
//! | [`install`] | `install` | the install engine: journal, switch, probation, undoing, data snapshots |
//! | [`fetch`] | `http` | the transport port, HTTP, resumed downloads |
//! | [`error`] | `http` | the one error of [`fetch`] and [`client`] |
//! | [`client`] | `http` and `install` | enrol, check, update, confirm, roll back, verify, report |
//! | [`clock`] | `http` and `install` | the only place that reads the time |
//! | [`agent`] | `agent` | the commands of `mainstay-agent` |
//!
//! The modules without a feature are the pure core, built by `default-features = false`: no sockets
//! and no file system. The server runs them on everything before it accepts it, so that nothing can
//! be published which a client would refuse.
//!
//! A vendor's program that updates itself begins at [`client::Client`].

#[cfg(feature = "agent")]
pub mod agent;
#[cfg(all(feature = "http", feature = "install"))]
pub mod client;
#[cfg(all(feature = "http", feature = "install"))]
pub mod clock;
#[cfg(feature = "http")]
pub mod error;
#[cfg(feature = "http")]
pub mod fetch;
pub mod format;
#[cfg(feature = "install")]
pub mod fs;
pub mod hex;
#[cfg(feature = "install")]
pub mod install;
pub mod pack;
pub mod tuf;
