//! Which releases a contract grants, and why: for account managers and support.
//!
//! Every route (check, list, download, explain) asks one function, [`crate::policy::decide`]. It
//! answers each release with one code; the first rule that matches decides.
//!
//! Let **E** be the latest end among the terms that have started. What came out before E was paid
//! for. A renewal after a gap therefore also grants what came out in the gap; while the gap lasts,
//! it does not. Terms that touch count as one. The start of a time is in it, and its end is out.
//!
//! A line X.Y is **owned** where it is at most the `base_line`; or at most the `cap` (no cap: no
//! limit) and generally available before E, and the contract has the channels that the step needs:
//! `feature` within the major version of the base line, `major` beyond it, and also `feature` where
//! Y > 0. With the fallback `none` nothing is owned any more once E and the grace are over.
//!
//! | rule | decides | codes |
//! |---|---|---|
//! | 1 | the product is not here; the release is a draft or for another audience | `UNKNOWN_PRODUCT`, `NOT_FOUND` |
//! | 2 | the contract's state, its first term, its products | `CONTRACT_TERMINATED`, `CONTRACT_SUSPENDED`, `NOT_STARTED`, `PRODUCT_NOT_COVERED` |
//! | 3 | a release known to be harmful is for nobody | `REVOKED` |
//! | 4 | what this machine has confirmed before it may go back to | grant `ROLLBACK` |
//! | 5 | the vendor has withdrawn it | `WITHDRAWN` |
//! | 6 | an add-on is missing | `ADDON_MISSING` |
//! | 7 | it came out after its line's end of life, or of support without ELS | `LINE_EOL`, `LINE_EOS` |
//! | 8 | its line is not owned: a critical fix may come over the bridge where no owned line has it | grant `BRIDGE`; `FALLBACK_ENDED`, `LINE_ABOVE_CAP`, `NO_BACKPORT`, `CHANNEL_NOT_COVERED`, `LINE_AFTER_TERM` |
//! | 9 | it opens an owned line | grant `LINE_OWNED` |
//! | 10 | a security release that the vendor gives to every owner of the line | grant `COURTESY` |
//! | 11 | its channel is not in the contract | `CHANNEL_NOT_COVERED` |
//! | 12 | when it took effect: before E, in the grace (bug fixes and security), in the tail (security) | grant `IN_TERM`, `PERPETUAL`, `GRACE`, `SECURITY_TAIL`; `PUBLISHED_AFTER_TERM` |
//!
//! Where rule 8 denies a fix that a granted release on an owned line has too, the answer names that
//! release as the `alternative`.
//!
//! # Lines and their ends
//!
//! The vendor signs when a line became generally available (GA), when its support ends (EOS) and when
//! its life ends (EOL); [`operations`](super::operations) says how. GA is when its opening release was
//! published unless something else is signed. What came out before an end stays granted; what comes out
//! at or after EOS is for contracts with extended support of the line (ELS), and at or after EOL for
//! nobody. Dates that were signed later hold for all that is out: a decision goes by what is signed now,
//! also for `--at`.
//!
//! The owner of a machine is told ahead, in every plan, in `mainstay-agent check` and `status`, and in
//! `mainstay machine show`: of EOS and EOL of the line that runs 180, 90 and 30 days ahead and from then
//! on for as long as it runs, and of the end of the paid time 90 and 30 days ahead. Who has ELS is not
//! told of EOS. The notice names the way up:
//!
//! ```text
//! The life of line 2.4 ends on 2027-01-01, in 90 days or less; from then on it gets no patches at all.
//! The way up: 2.4.3 → 3.0.0 (needs the channel major) → 3.2.1.
//! ```
//!
//! `mainstay machine path m-0123456789ab` says the same at length: every hop through the stops that
//! releases demand (`--min-from`), the decision on it, and what the contract lacks for it (channels, a
//! higher cap, add-ons, extended support, paid time). It leads to the newest release of the newest line
//! that is supported and has one for the machine; `--to VERSION` asks for another. Among several ways it
//! takes the one with the fewest hops that are denied, then the one with the fewest hops. A hold, a
//! rollout, a pending order and a want of seats are left out: they pass.
//!
//! # Asking
//!
//! ```sh
//! mainstay machine explain m-0123456789ab
//! mainstay contract explain initech-db --product acme-db
//! mainstay contract explain initech-db --product acme-db --at 2026-05-03T00:00:00Z
//! mainstay contract explain initech-db --product acme-db --at 2027-01-02T00:00:00Z \
//!   --with '{"kind":"renew","term":{"start":"2027-01-01T00:00:00Z","end":"2028-01-01T00:00:00Z"}}'
//! ```
//!
//! `--at` asks for another time: what was there by then, by the amendments as they are recorded
//! now. That a release was withdrawn later is not left out, for the server does not keep when that
//! was. `--with` tries an amendment and shows what it changes.
//!
//! Without a server, `mainstay contract explain --scenario FILE` evaluates a document
//! ([`Scenario`](crate::policy::Scenario)):
//!
//! ```
//! let scenario: mainstay::policy::Scenario = serde_json::from_str(r#"{
//!   "now": "2026-06-01T00:00:00Z",
//!   "product": "acme-db",
//!   "contract": {"products": ["acme-db"], "channels": ["security"], "base_line": "2.4",
//!                "terms": [{"start": "2026-01-01T00:00:00Z", "end": "2027-01-01T00:00:00Z"}]},
//!   "releases": [{"version": "2.4.1", "channel": "security", "severity": "critical",
//!                 "published_at": "2026-03-01T00:00:00Z", "advisories": ["CVE-2026-1"]}]
//! }"#)?;
//! let explained = scenario.explain().unwrap();
//! assert_eq!(explained[0].decision.code.as_str(), "IN_TERM");
//! # Ok::<(), serde_json::Error>(())
//! ```
//!
//! The cases below are those that the tests decide, one by one.
//!
#![doc = include_str!("../../fixtures/entitlement/cases.md")]
