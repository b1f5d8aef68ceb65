//! What a release's tree may hold, and what becomes of one that holds anything else.
//!
//! A tree is folders, files and symbolic links. Of each is kept: its path, its permissions (read, write
//! and execute for owner, group and others), a file's content, a link's target. Owners, times, access
//! control lists and extended attributes are not kept: all in an installed tree belongs to the user that
//! the agent runs as. Hard links become files of their own, as long as they are packed by
//! `mainstay publish`; what cannot be kept (devices, sockets, set-user-id bits, links that leave the
//! tree, names that are not UTF-8) is listed by it, and nothing is published.
//!
//! | at most | what |
//! |---|---|
//! | 1,000,000 | folders, files and links |
//! | 256 GiB | in the archive of them, or what the release's manifest says, if that is less |
//! | 4096 | bytes in a path, 255 in each of its names |
//! | 128 | names in a path |
//! | 4095 | bytes in a link's target |
//!
//! A file of zeros is unpacked in full, however small it travels: before it begins, a machine looks
//! whether it has room for the length that was signed. Names are taken as they are, so whether two that
//! differ by their case alone are two files is for the machine's file system to say; where it takes
//! them for one, the release is refused there.
//!
//! Servers and machines hold an artifact to this by the same code
//! ([`mainstay_client::pack`]): a server refuses to publish it, and a machine refuses to install it
//! even where the vendor signed it, says why (exit code 34, `payload`), keeps nothing of it, and goes on
//! with what ran before.
//!
//! # The corpus
//!
//! `fixtures/trees` holds an artifact of each of the following, as an attacker would write it who has
//! the vendor's keys. `client/tests/trees.rs` gives each to the engine that installs and
//! `tests/e2e/attack/trees.rs` to a real agent, with the rules and messages below. Two that are too
//! large to keep are made by the test: 1,000,001 files (refused: ``entries in the archive: found
//! 1000001, expected at most 1000000``), and a file of 4 GiB of zeros. To write them anew:
//!
//! ```sh
//! cargo run -p mainstay-client --example hostile_trees
//! ```
//!
#![doc = include_str!("../../fixtures/trees/cases.md")]
