//! The Mainstay client: check, verify, apply, roll back.
//!
//! | module | feature | what is there |
//! |---|---|---|
//! | [`mod@format`] | | the documents (release manifest, plan, wire documents) and the newtypes they are made of |
//! | [`tuf`] | | canonical JSON, keys, the one threshold function, the trusted metadata as typed states |
//! | [`pack`] | | the one byte sequence that a tree packs to, and its safe unpacking |
//! | [`hex`] | | lower-case hexadecimal |
//! | [`mod@delta`] | `delta`, to make them `delta-make` | the deltas between payloads: making and applying them |
//! | [`fs`] | `install` | the file-system port: the real one, and a failing one for tests |
//! | [`install`] | `install` | the install engine: journal, switch, probation, undoing, data snapshots |
//! | [`fetch`] | `http` | the transport port, HTTP, resumed downloads |
//! | [`error`] | `http` | the one error of [`fetch`] and [`client`] |
//! | [`client`] | `http` and `install` | enrol, check, update, confirm, roll back, verify, report |
//! | [`mod@document`] | `http` and `install` | what came of a verb, as JSON and as a number |
//! | [`clock`] | `install` | the only place that reads the time |
//! | [`agent`] | `agent` | the commands of `mainstay-agent` |
//!
//! The modules without a feature are the pure core, built by `default-features = false`: no sockets
//! and no file system. The server runs them on everything before it accepts it, so that nothing can
//! be published which a client would refuse.
//!
//! # Embed it in your program
//!
//! A program that is installed by Mainstay can look after its own updates. It needs no more than the
//! library: two features, no command line, no asynchronous runtime. With a third one, `delta`, it takes deltas
//! in place of artifacts where the server has some.
//!
//! ```toml
//! [dependencies]
//! mainstay-client = { path = "…", default-features = false, features = ["http", "install"] }
//! ```
//!
//! **The machine is enrolled once**, by whoever installs the program: with `mainstay-agent enroll`, or
//! with [`Client::enroll`](client::Client::enroll). Until then opening says so:
//!
//! ```
//! use mainstay_client::{client::Client, error::ErrorKind};
//!
//! let refused = Client::open("/there/is/no/such/installation".as_ref()).err().unwrap();
//! assert_eq!(refused.kind(), ErrorKind::NotEnrolled);
//! ```
//!
//! **An update is one call**, or the three that it is made of. Each blocks until it is done, and holds the
//! installation's lock for as long as the client lives:
//!
//! ```no_run
//! use mainstay_client::client::{Client, Progress};
//!
//! # fn main() -> Result<(), mainstay_client::error::Error> {
//! let mut client = Client::open("/opt/acme-db".as_ref())?;
//! let mut show = |progress| match progress {
//!     Progress::Downloading { received, length } => println!("{received} of {length} bytes"),
//!     Progress::Installing { version } => println!("installing {version}"),
//!     _ => {}
//! };
//! let check = client.check()?; // the server's plan, verified
//! client.fetch(&check, &mut show)?; // what may be done in the background
//! let update = client.apply(check, &mut show)?; // what changes which version runs
//! println!("{:?}", update.outcome); // nothing where there was nothing to do
//! # Ok(()) }
//! ```
//!
//! **Then it starts itself anew**, from `<root>/current`: the process that runs is still the old program.
//! Drop the client first, so that the new program finds the installation unlocked.
//!
//! An installation runs the health check and the hooks of its release as child processes and waits for them.
//! A program that waits for all of its children, or ignores `SIGCHLD`, takes their exit status away, and
//! the release counts as failed.
//!
//! **The new version says that it works.** A release that must be confirmed
//! (`confirm_within_seconds` in its `mainstay.toml`) is on probation until then, and is undone, data
//! included, where nobody confirms it in time. So the first thing that a program does is to look whether
//! it is on probation, try itself, and say what came of it:
//!
//! ```no_run
//! # use mainstay_client::client::Client;
//! # fn tries_itself() -> bool { true }
//! # fn main() -> Result<(), mainstay_client::error::Error> {
//! let mut client = Client::open("/opt/acme-db".as_ref())?;
//! if client.status().recorded.record.probation.is_some() {
//!     if tries_itself() {
//!         client.confirm()?;
//!     } else {
//!         client.roll_back(None, &mut |_| {})?; // and start the version before
//!     }
//! }
//! # Ok(()) }
//! ```
//!
//! **Another thread ends it**, or a signal's handler: to request it is to store one atomic value. A download
//! ends as soon as the connection brings something more, with an error of kind
//! [`Cancelled`](error::ErrorKind::Cancelled); what has arrived is kept, and the next update goes on with
//! it. An installation that has begun comes to its end. What was cancelled stays so: open another client
//! to go on.
//!
//! ```
//! use mainstay_client::{client::Surroundings, fetch::Cancellation};
//!
//! let cancellation = Cancellation::default();
//! let surroundings =
//!     Surroundings { cancellation: cancellation.clone(), ..Surroundings::default() };
//! // … `Client::open_within(root, surroundings)` on one thread; on another, when it is enough:
//! std::thread::spawn(move || cancellation.request()).join().unwrap();
//! assert!(surroundings.cancellation.is_requested());
//! ```
//!
//! Which verb needs the server, takes the lock, or can be ended, says a [table](client); what can go
//! wrong, [`error::ErrorKind`]. `client/examples/self_update.rs` is such a program from its first line to
//! its last. In C the verbs are those of `client/c/include/mainstay.h`. A program in another language runs `mainstay-agent` and reads what
//! `--json` or, with progress, `--json=stream` prints ([`mod@document`]).

#[cfg(feature = "agent")]
pub mod agent;
#[cfg(all(feature = "http", feature = "install"))]
pub mod client;
#[cfg(feature = "install")]
pub mod clock;
#[cfg(feature = "delta")]
pub mod delta;
#[cfg(all(feature = "http", feature = "install"))]
pub mod document;
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
mod pipe;
pub mod tuf;
