//! Running the server.
//!
//! ```sh
//! mainstay serve --dir /srv/mainstay
//! ```
//!
//! is all it needs. On first start it makes the directory, its online keys (mode 0600) and the first
//! administrator's token (`admin.token`, mode 0600). It listens on 127.0.0.1:8420 unless told
//! otherwise, writes its log to standard error, and stops on SIGTERM or SIGINT after the requests
//! under way have ended (10 seconds at most).
//!
//! # Configuration
//!
//! `mainstay.toml` in the server's directory, or the file that `--config` names. Unknown fields are
//! refused. The command line goes above the environment, and that above the file.
//!
//! | field | meaning | on the command line | in the environment |
//! |---|---|---|---|
//! | `listen` | address and port; port 0 lets the system pick one | `--listen` | `MAINSTAY_LISTEN` |
//! | `workers` | threads that serve requests; one for each core by default | | |
//! | `[tls]` `certificate`, `key` | PEM files; paths are relative to the file | | |
//!
//! ```
//! use mainstay::config::{Config, Overrides};
//!
//! let dir = tempfile::tempdir()?;
//! std::fs::write(
//!     dir.path().join("mainstay.toml"),
//!     r#"
//! listen = "0.0.0.0:8443"
//!
//! [tls]
//! certificate = "tls/chain.pem"
//! key = "tls/key.pem"
//! "#,
//! )?;
//! let config = Config::load(dir.path(), &Overrides::default())?;
//! assert_eq!(config.listen.port(), 8443);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! `MAINSTAY_LOG` sets what is logged, for example `warn` or `info,mainstay=debug`; `--log json`
//! writes one JSON object a line.
//!
//! # Watching
//!
//! `/healthz` answers while the process runs; `/readyz` while its store takes reads and writes. After
//! a failed fsync the store takes no more writes, `/readyz` answers 503, and only a restart helps:
//! what a disk did with the bytes of a failed fsync nobody knows.
//!
//! # Tokens
//!
//! | role | may |
//! |---|---|
//! | `admin` | everything |
//! | `publisher` | products, releases, uploads |
//! | `account` | customers, contracts, activation keys; look at machines |
//! | `support` | machines: look, explain, order a rollback; the audit trail |
//! | `viewer` | look |
//!
//! `mainstay token create --role support --label 'night shift' --expires-at 2027-01-01T00:00:00Z`
//! prints a token once; the server keeps its SHA-256. `mainstay token revoke` ends it at once. Every
//! change, and every attempt that a role did not allow, is in the audit trail (`mainstay audit`).
//!
//! # Backing up
//!
//! Stop the server and copy its directory; it holds everything ([`storage`](super::storage)). A copy
//! of a running server's directory may not open. The vendor's keys are not in it: keep them, and the
//! `trust` directory beside them, somewhere else and twice. A server that finds its records but not
//! its keys does not start: put `keys/` back.
//!
//! # Known limits
//!
//! - A channel expires 90 days after the last release in it, and no command signs it anew without a
//!   release. Machines then install nothing from it, and roll back to nothing in it, until the next
//!   release in that channel; other channels are not concerned.
//! - After an older copy of the server's directory is put back, plan and order numbers may be below
//!   those that machines have seen. Machines refuse such plans until the numbers have caught up.
//! - A block ends with a later release only; there is no command that lifts one.
//! - Machines that were cloned with their key take each other's credential in turn: enrol each with a
//!   directory of its own.
//! - Seats are written in contracts and not enforced.
//! - Root, targets and channel keys cannot be replaced by a command, and tiers are fixed.
//! - Nothing removes blobs that no release names, unfinished uploads, old events or audit records.
//! - There are no metrics and no console, no export of the store, and no scale-out over PostgreSQL.
//! - The vendor's programs and the agent are tested on Linux on x86-64 alone.
