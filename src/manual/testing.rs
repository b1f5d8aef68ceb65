//! How it is tested, for whoever changes it.
//!
//! `tests/run` runs everything that CI runs, `tests/real/run` takes real software through the whole
//! journey. What `tests/bench` has is run by hand; `tests/bench/smoke`, which is part of `tests/run`, shows with
//! small sizes that each of them still works, and holds them to no goals; but it holds the instructions of a check
//! to 60,000. That is a debug build, which takes 25,000, and up to 47,000 beside other programs; a release build takes 7,000,
//! and its goal is 30,000.
//!
//! # The description of the interface
//!
//! Whatever an end-to-end scenario asks of a server by hand (`Server::request_with`), the answer is held
//! against the description of its operation, where a member more is as wrong as one less; the one that
//! tries every route as every bearer does so with all of them. `tests/openapi/run` holds the
//! description itself against the official schema of OpenAPI 3.1, by `openapi-spec-validator`, and is
//! part of `tests/run`. A list of the operations stands in `src/api/openapi/tests.rs`: who changes it
//! changes what others rely on.
//!
//! # Power cuts, kills and full disks
//!
//! Everything by which a client changes the disk goes through a port
//! ([`mainstay_client::fs`]), of which the tests have two others:
//!
//! - one whose n-th change fails: refused, unreported, or with the machine stopping in the middle of it.
//!   Updates, undoings, rollbacks, confirmations, hooks, several directories of data and recoveries
//!   themselves are run with n = 1, 2, … until one comes to its end, and each time the machine must be
//!   seen to run the old version or the new one, whole, with its data, and take the next update
//!   (`client/src/install/tests/crash.rs`). So are the repairs of every damage that a doctor knows, after
//!   each of which a second repair must leave nothing wrong (`client/src/client/tests/doctor.rs`);
//! - one that remembers what is durable. At the n-th change the power fails, and of what was not made
//!   durable nothing, everything, or any part is left, in no order (`client/src/install/tests/power.rs`).
//!
//! `tests/e2e/kill.rs` kills a real agent 300 times at random instants, the same ones each time as far as
//! a machine allows, and fills and write-protects a small file system in memory. `tests/e2e/space.rs` fills
//! such disks before an update, and has one of Btrfs with a quota, in a file. To mount these takes
//! root, and a kernel that knows Btrfs; `tests/run` sets `MAINSTAY_TESTS_MUST_MOUNT` for root, so that these
//! tests fail there where they cannot run. Elsewhere they say that they were skipped.
//!
//! # The border to C
//!
//! `client/c/tests/header.rs` reads the header and holds its functions, structures and numbers against the
//! library's own; `programs.rs` compiles programs in C with all warnings as errors, links them both ways,
//! and lets them do everything wrong that can be noticed. `tests/e2e/library.rs` lets the example do its
//! work with a real server, a signal, and a callback that will not behave. Cargo builds the library for
//! the first two; where the root package is tested by itself, build it before:
//! `cargo test -p mainstay-client-c --no-run`.
//!
//! # Fuzzing
//!
//! Every parser of what a machine is sent has a fuzz target in `client/fuzz`, and so have the files that a
//! machine or a vendor's computer reads back. A target is a function that panics where one of these does
//! not hold, whatever the bytes are:
//!
//! | target | bytes | what holds |
//! |---|---|---|
//! | `canonical_json` | JSON | however a value is spelled it has one canonical form, which reads as the value; a lenient parser reads nothing else |
//! | `envelope` | a signed document | signatures are counted as an independent count does, for every threshold |
//! | `root` | a root | a pinned root has its own threshold of signatures; the trusted root rotates to the one document that was signed, one version at a time |
//! | `timestamp`, `snapshot`, `targets`, `plan` | a document of the role | nothing is accepted but what was signed; of the same bytes signed anew nothing is accepted that breaks a rule (older, expired, of another kind, for another machine); what is read can be written and read again |
//! | `delegations` | a graph of up to 40 roles | the search ends within its limit, and as a search by the book does: no role is heard for whom nobody speaks |
//! | `keys` | a public or a private key | what is read can be written and read again, with one identifier |
//! | `encrypted_key` | a private key that a passphrase opens | what is opened signs as any key, and is not opened where that takes much work |
//! | `release` | a release manifest or `mainstay.toml` | its problems are listed, its paths are target paths |
//! | `wire` | any body of `/v1` | what is read can be written and read again |
//! | `headers` | the value of a `Content-Range` or `Retry-After` | says what stands there in digits, or nothing |
//! | `settings` | an `agent.toml` | what is read can be written and read again; a window opens when it is said to |
//! | `names` | an identifier, version, digest, path or link | one spelling; no path and no link leads out of its tree |
//! | `path_pattern` | a pattern and a path | matches where a table of all beginnings does |
//! | `archive` | a payload | what is accepted is, byte for byte, what is written of its entries; limits hold |
//! | `unpack` | a payload | nothing outside the tree is touched; the tree packs to the same bytes |
//! | `payload` | an artifact | never more comes out than was signed; what differs or follows is refused |
//! | `coding` | a document that travels compressed | never more comes out than its role may have |
//! | `delta` | a delta, or the streams of one | it is refused, or makes what it says; never more is written than was expected |
//! | `executable` | an ELF file, or what is in one | the addresses that are found are apart from each other, can be written as they were, and are found again |
//! | `journal` | a journal | is read or refused |
//! | `recovery` | a journal, and what is on the disk | opening ends at a whole version or at none, and opening again changes nothing |
//!
//! No target of their own have: TLS, HTTP and certificates, which others' libraries read (`rustls`, `ureq`);
//! what the machine itself says (`/proc`, `os-release`, the output of hooks, checks and of the command that
//! consents); command lines; and whatever the server and the vendor's commands read beside the bodies of
//! `/v1` above: configuration, the other routes' bodies and queries, imports of contracts, files for
//! `--rollout`, proposals, PKCS#11 addresses. These are refused by the same strict readers (serde with
//! unknown members refused) and tested by examples alone.
//!
//! Where a signature, digest or checksum would end every input at once, the target also makes the one
//! that is right, so that the rules behind it are reached.
//!
//! Committed inputs are in `client/fuzz/seeds` (to begin with) and `client/fuzz/regressions` (what once
//! failed). `client/tests/corpus.rs` gives all of them to the same functions on stable Rust; that is
//! part of `tests/run`. To fuzz takes a nightly toolchain and a C++ compiler:
//!
//! ```sh
//! client/fuzz/run                               # every target, ten minutes each
//! client/fuzz/run targets plan --seconds 60     # these two, a minute each
//! ```
//!
//! It ends with 1 where a target failed. libFuzzer has then written the input to
//! `client/fuzz/artifacts/<target>`: copy it to `client/fuzz/regressions/<target>` under a name that
//! says what is special about it, see `cargo nextest run -p mainstay-client --test corpus` fail, mend
//! the code. What a target has learned stays in `client/fuzz/corpus`, which is not committed.
//!
//! On 2026-11-30 each of the 24 targets ran for ten minutes, four at a time on two cores that compilers had a part
//! of: 50 to 180 CPU seconds and up to 1,310,237 executions (`headers`) each, without a finding. `delta` ran again
//! after its format had last changed, on what tests left of two cores: 601 s, 85,978 executions, no finding.
//!
//! Where a document's form changes, remove `client/fuzz/seeds` and write them anew:
//!
//! ```sh
//! cargo run -p mainstay-client --example fuzz_seeds
//! ```
//!
//! `client/fuzz` is a package and a workspace of its own, so that nobody who builds Mainstay builds
//! libFuzzer. `tests/run` checks its format; its functions are linted and run with the client's tests.
//! The programs of three lines in `client/fuzz/fuzz_targets` are compiled only by `client/fuzz/run`.
