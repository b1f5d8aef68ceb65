//! Advisories and exposure: who still lacks a fix, since when, and why.
//!
//! ```sh
//! mainstay publish … --channel security --severity critical --advisory CVE-2026-4711
//! mainstay exposure CVE-2026-4711                       # who is open and why; how long others took
//! mainstay exposure CVE-2026-4711 --customer acme --product my-app
//! ```
//!
//! Everybody of the vendor's staff may look. Tokens of an organisation see the machines of the customers
//! that it serves, and advisories that a release names of which one of these customers may know; of any
//! other they are told what is told of one that does not exist.
//!
//! # Which versions have a fix
//!
//! A release names the advisories that it fixes, and that is signed. A version is *fixed* where a release
//! that names the advisory is it or came out before it, and
//!
//! - is of the same line and not above it, if any release of that line names the advisory: a line gets
//!   its fix with the first of its own releases that says so;
//! - or else is of a lower line, and was out when the line was opened: what is opened later has in it what
//!   was mended before.
//!
//! So a backport in 2.3.5 says nothing of 2.4.0, which was out before it, nor of a 2.4.1 that comes out
//! later and names nothing: name the advisory in every line that you mend. Custom builds speak for their own
//! private channel alone. Whoever runs a release that was withdrawn or revoked has its fix all the same;
//! nobody is sent to it. A version that the vendor does not know has no fix. Every version that is not fixed
//! is *affected*. The rules, with their tests: [`Advisory`](crate::policy::exposure::Advisory).
//!
//! # Who is open, and since when
//!
//! A machine is *open* while it reports that an affected version runs. It has been so since the first fix
//! came out that is made for its platform and of which its customer may know, since it enrolled, or since
//! it last left a version with the fix (by a rollback, say), whichever was the latest. Retired machines are
//! not counted.
//!
//! # Why
//!
//! Each open machine has one cause: its kind, a stable code, a sentence, and the release that it is about.
//!
//! | kind | codes | what it means |
//! |---|---|---|
//! | `not_entitled` | those of the [decision](super::entitlements), `SEATS_EXCEEDED` | the contract does not give it a fix |
//! | `no_fix` | `NO_FIX`, `PLATFORM`, `RETIRED`, `PRERELEASE`, `CUSTOM_BUILD` | no release with the fix is for this machine, from where it is |
//! | `held_back` | `HELD`, `PINNED`, `BLOCKED`, `SAFEGUARD`, `ROLLOUT_WAIT`, `REQUIREMENT`, `STEP_REQUIRED`, `GOING_BACK`, `OTHER_TARGET` | the contract gives it, and something keeps it from the machine |
//! | `failed` | `FAILED` | it was tried, and failed on the machine, or somebody there went back from it |
//! | `silent` | `SILENT` | the machine has not been heard of for so long that it has given its seat up |
//! | `waiting` | `NOT_CHECKED`, `OFFERED`, `DEFERRED` | it is there for the machine to take: it has not checked since, waits for its window or somebody's approval, or the program asked to be updated later |
//!
//! These are the verdicts of `mainstay machine explain`; no rule is written a second time.
//!
//! # How long it took
//!
//! The time of a machine begins when the first fix came out, or when the machine first confirmed an affected
//! version, where that was later; it ends when the machine first confirmed a fixed one. Percentiles (50, 90,
//! 95, 99) are by the nearest rank, in whole minutes, by the tier of the contract that covers the machine
//! now. A machine that began with a fixed version was never exposed, and does not count; one that had the
//! fix and went back is open, and in no percentile.
//!
//! When a version was first confirmed and last left is kept in the machine's record (`runs`), for its 128
//! newest versions, in the transaction of the report that says so. So no event is read for a question: of
//! every machine in question the record is read once, a page at a time, and in memory is one counter for
//! each different number of minutes. Of a machine that got the fix before that was kept, or more than 128
//! versions ago, the time is not known: it is `undated`, and in no percentile.
//!
//! Of open machines the setups (version, platform, customer) are found in the census, so machines with the
//! fix are not read. Of each open one the record and the newest event are read, and what it may have is
//! decided; a contract's standing is looked up once a page.
//!
//! # Known limits
//!
//! - What a machine says that it runs is believed.
//! - A maintenance window or a want of approval on the machine is not told apart from a machine that will
//!   install it with its next update: machines do not report that they wait.
