//! Other people's TUF clients on Mainstay's repositories, and Mainstay's client on theirs.
//!
//! `/repo/<product>/` is a repository of The Update Framework, specification 1.0.34. Any client that
//! can send a machine's credential (`Authorization: Bearer …`) updates from it, beginning with the
//! product's first root. What the contract does not cover is refused with 403. The plan, the
//! machine's own rules and the rollback floor are Mainstay's own: a plain TUF client knows nothing of
//! them.
//!
//! # What CI tries
//!
//! `tests/interop/run` (`--verbose` shows each check and the reason of each refusal):
//!
//! | on | are set | checked |
//! |---|---|---|
//! | a server with releases in every channel and one in the archive, asked as machines under three contracts | python-tuf's `ngclient`, the `tough` crate, Mainstay's `tuf_client` | what is granted arrives as it was published, the rest is refused |
//! | the same behind a mirror that flips bits, cuts, pads, empties and replays, one file after the other | the same three | each refuses every row |
//! | repositories that python-tuf writes: roots rotated by two of three keys of mixed kinds, thresholds, nested delegations by path and by digest, succinct bins, SHA-512, targets in folders, with and without consistent snapshots | `tuf_client`, `ngclient` | every target of three versions arrives |
//! | the same, expired, unsigned, below threshold, of another version, not listed, listed by a role that may not, and changed on the way | the same two | both refuse each |
//! | a repository that python-tuf writes with nothing in it that `tough` does not know (no SHA-512, hashed, succinct or nested delegations, names beyond ASCII), as it is and broken in the same ways | `tuf_client`, `ngclient`, `tough` | all take the good one and refuse each broken one |
//! | a server behind an nginx that sends artifacts itself, as [`operations`](super::operations#downloads) has it | Python's HTTP client | what arrives, whole and in parts, is what the server has, with its headers; nothing but what is granted |
//! | 20,000 generated documents, and all the edges | securesystemslib's `encode_canonical`, Mainstay's | byte for byte the same; what has two readings (fractions, integers beyond 64 bits, lone surrogates, members that stand twice, …) is refused |
//!
//! # What is particular about others
//!
//! - **`tough`** takes in every delegated role before it looks for a target, and passes over all of
//!   them, silently, where one is not in the snapshot. So it finds nothing before each channel has a
//!   release and a first one is retired (a product that has no role `archive` needs none), and is of
//!   use only to machines whose contract has every channel, and of products without private channels,
//!   of which no machine may have every one. For its sake the director has a targets
//!   role, which lists nothing.
//! - **`tough`** refuses a whole repository for one delegated role that is expired, unsigned, below its
//!   threshold, of another version than is listed, or lists what it may not speak for. Mainstay's client and
//!   `ngclient` refuse what such a role would speak for, and take the rest.
//! - **`tough`** puts a target's digest before its whole path (`<sha256>.bugfix/1.0.1/release.json`),
//!   the specification before the last part of it (§5.7.3). A transport of one's own must mend that;
//!   `tests/interop/tough` has one.
//! - **`tough`** verifies over a canonical form with normalised Unicode. Mainstay's metadata is ASCII,
//!   in which there is no difference.
//! - **python-tuf** accepts members that stand twice, of which the last one counts. Mainstay's client
//!   refuses them.
//! - **python-tuf** takes `[…]` in a path pattern for a set of characters, since Python's `fnmatch`
//!   does. The specification (§4.5) knows `*` and `?` only, and so does Mainstay: brackets stand for
//!   themselves.
//!
//! # What is particular about Mainstay's client
//!
//! - The identifier of a key is 1 to 128 letters and digits: the hexadecimal digest that the specification
//!   (§4.2) makes of the key, or another repository's own name of that form. A role that lists a key by any
//!   other name is refused (`form`).
//!
//! # The conformance suite
//!
//! The Update Framework has a public suite for clients, `theupdateframework/tuf-conformance`. It needs
//! Debian's `faketime`. In a clone of it, with Mainstay's source in `$MAINSTAY`:
//!
//! ```sh
//! pip install -e .
//! (cd "$MAINSTAY" && cargo build -p mainstay-client --example tuf_client)
//! pytest tuf_conformance --entrypoint "$MAINSTAY/target/debug/examples/tuf_client"
//! ```
//!
//! The suite of 17 August 2026 took 17 s: 113 passed, none of them an expected failure.
