//! Advisories and exposure: who still lacks a fix, since when, and why.
//!
//! ```sh
//! mainstay publish … --channel security --severity critical --advisory CVE-2026-4711
//! mainstay exposure CVE-2026-4711                       # who is open and why; how long others took
//! mainstay exposure CVE-2026-4711 --customer acme --product my-app
//! mainstay exposure --breaches --within 14d             # fixes that are or will be late, the first ones first
//! mainstay exposure --component openssl@3.0.1           # which releases have it, and who runs them
//!
//! mainstay advisory set --product my-app CVE-2026-4711 --title 'Rows are read without permission' \
//!   --severity critical --affected 2.1.0..2.4.7 --url https://example.com/CVE-2026-4711
//! mainstay advisory list --product my-app               # recorded, or named by a release
//! mainstay advisory export --product my-app CVE-2026-4711 --format csaf --out CVE-2026-4711.json
//!
//! mainstay publish … --sbom bom.json                     # or afterwards:
//! mainstay release sbom attach --product my-app 2.4.7 bom.json
//! mainstay release sbom show --product my-app 2.4.7
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
//! is *affected*, unless the vendor has recorded which versions are (`advisory set --affected`): then those
//! alone. The rules, with their tests: [`Advisory`](crate::policy::exposure::Advisory).
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
//! | `waiting` | `NOT_CHECKED`, `OFFERED`, `WINDOW`, `APPROVAL`, `CONFIRMATION`, `COMMAND`, `DEFERRED` | it is there for the machine to take: below |
//!
//! These are the verdicts of `mainstay machine explain`; no rule is written a second time.
//!
//! A machine says with each check what it [waits for](super::machines#what-the-server-is-told) with what the
//! check before offered it, so that is known from its second check on:
//!
//! | code | what it means |
//! |---|---|
//! | `NOT_CHECKED` | it has not checked since it can have the fix |
//! | `OFFERED` | it was offered the fix, and has not said that it waits for anything: its next update installs it. Agents from before they said so never do |
//! | `WINDOW` | it waits for its maintenance window, of which the sentence says when it opens; once it has opened it is `OFFERED` again |
//! | `APPROVAL` | somebody at the machine has to approve of it (`mainstay-agent approve`) |
//! | `CONFIRMATION` | what is on probation there has to be confirmed or undone first |
//! | `COMMAND` | its administrator lets nothing of the channel be installed by itself (`mainstay-agent update` does) |
//! | `DEFERRED` | the program asked to be updated later |
//!
//! Each is of the version that the machine is to install next, be it a stop on the way to the fix. Whatever it waits
//! for, the agreed time runs.
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
//! # By when
//!
//! A tier says within how many days machines are to have a fix, by the severity: that which is recorded of the
//! advisory, or else that of the most severe release that names it.
//!
//! | tier | critical | major | minor |
//! |---|---|---|---|
//! | `basic`, and contracts without a tier | 30 | 90 | none |
//! | `standard` | 14 | 60 | 180 |
//! | `premium` | 7 | 30 | 90 |
//! | `enterprise` | 3 | 14 | 60 |
//!
//! ```
//! # let dir = tempfile::tempdir()?;
//! # std::fs::write(dir.path().join("mainstay.toml"), r#"
//! [tiers.standard.patch_days]
//! critical = 10
//! minor = "none"          # nothing is agreed
//! # "#)?;
//! # use mainstay::config::{Config, Overrides};
//! # let tiers = Config::load(dir.path(), &Overrides::default())?.tiers;
//! # let days = tiers.patch_days(Some(mainstay::policy::Tier::Standard));
//! # assert_eq!((days.critical, days.major, days.minor), (Some(10), Some(60), None));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The days are counted from since when the machine has been open. They do not count for a machine whose
//! cause is `not_entitled` or `no_fix`: `--breaches` lists these apart. They do count for machines that are
//! silent, held or pinned.
//!
//! `--breaches` lists, of each customer, product and advisory, how many machines are late and how many
//! will be within the days that `--within` says (seven), with the first date; those first that come first. At
//! most 1,000 rows are told, and how many more there are.
//!
//! Once an hour the server looks by itself and tells [other systems](super::events): `exposure.breach_ahead` a
//! quarter of the agreed time before the first machine is late, and at most seven days; `exposure.breached`
//! when it is. Of each customer, product and advisory each is told once, however many machines come after, and
//! whether or not somebody listened. What was late more than 30 days ago is not told.
//!
//! # What is in a release
//!
//! A bill of materials is attached to a release: CycloneDX 1.4 to 1.6 as JSON, at most 16 MiB, 10,000
//! components, 16 levels of nested ones. `bomFormat`, `specVersion` and of each component `name`, `group`,
//! `version`, `purl` and `components` are looked at; everything else is kept and passed over. It is the vendor's
//! statement, kept by the server: its digest is in the audit trail, and **no release key signs it**. So
//! whoever takes over the server can change what it says, which they cannot with the release itself. A later
//! document takes the place of the one before; that one stays in the store, and its digest in the audit trail.
//!
//! Components are looked for by `NAME`, `GROUP/NAME` or a package URL (without qualifiers and subpath), each
//! with `@VERSION` or in all versions. Upper and lower case are the same in names; versions are compared as they
//! are written. Found are the releases, with how many machines of which customers report that they run them.
//! An index is kept by the last part of the name and of the package URL, so the documents are not read for it.
//! Tokens of an organisation see the releases that run on machines of customers that may know of them.
//!
//! # For other tools
//!
//! `advisory export` writes CSAF 2.0 of the profile VEX: every release that everybody may know of as
//! `fixed`, `known_affected` or `known_not_affected`, with the version to update to. Custom builds, and releases
//! for an audience, are not in it. The revisions are the releases that name the advisory and what was recorded
//! of it; nothing in it depends on when it is written, so the same is said by the same bytes. The document is
//! not signed: do that, and the directory that CSAF asks of a provider, where you publish it. Who publishes is
//! in the server's configuration:
//!
//! ```toml
//! [publisher]
//! name = "Acme"
//! namespace = "https://acme.example"
//! ```
//!
//! # Known limits
//!
//! - The agreed time of a machine runs from since when it is open, also where its contract gave it the fix only
//!   later, by a renewal for example.
//! - What was told as late is not told again when machines go back below the fix.
//! - To see who is late, every machine that lacks any fix is looked at, hourly by the server itself. Machines
//!   that stay on old versions for years cost that much for each; a range of affected versions takes those
//!   out that are not.
//! - A release is found by its components only from when somebody has attached them. What machines have beside
//!   the release is not looked at.
//! - A document that lists so many components under one name that they do not fit into a record (64 KiB, and 20 compressed) is
//!   refused.
//!
//! - What a machine says that it runs is believed, and so is what it says that it waits for.
//! - That is what `mainstay-agent run` would wait for, as it was at the last check: a machine on which updates are
//!   made by a command alone may be said to wait for an approval that nobody has to give.
