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
//! | 1 | the product is not here; the release is a draft, for another audience, or a custom build for another customer | `UNKNOWN_PRODUCT`, `NOT_FOUND` |
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
//! # Amending a contract
//!
//! Nothing of a contract is edited. It is amended, from now on or from another instant (`--at`), and
//! what it said before can be asked for ever:
//!
//! ```sh
//! mainstay contract amend initech-db extend --until 2027-07-01T00:00:00Z
//! mainstay contract amend initech-db set-tier premium --at 2027-01-01T00:00:00Z
//! mainstay contract amend initech-db suspend
//! mainstay contract amend --help                    # all the verbs
//! ```
//!
//! A tier sets channels, grace, tail, fallback and bridge together. Channels, add-ons, extended support,
//! cap, audiences and seats can be amended one by one in every tier. The other four (`set-conditions`)
//! only of a contract of the tier `enterprise` or of none: a `standard` contract is what the operator
//! says that `standard` is. So `contract create --file` refuses a document of a lower tier that differs
//! in them from what the tier stands for here. `contract import` takes it: an import tells what was
//! agreed elsewhere, or here before the operator changed the tier.
//!
//! What is recorded ahead counts too: conditions of their own that begin after a lower tier has are refused,
//! and so is an amendment dated back after which the contract would contradict itself at some instant
//! since. A contract that was terminated, with either exit, has ended for good: nothing is added to it any
//! more, whenever it was recorded, until it is signed anew (`create`).
//!
//! # A machine that changes hands
//!
//! A machine that enrols under a contract of another customer keeps its name and nothing else: what it
//! ran, confirmed and was ordered, its blocks and its events are its first owner's, and neither the
//! second nor who supports them is shown any of it. The audit trail has what there was before.
//!
//! # Custom builds
//!
//! A private channel lists what was built for one customer. Its machines get its releases beside those
//! for everybody; for all others there are none (`NOT_FOUND`, as for a version that never was):
//!
//! - A custom build is a `bugfix` or a `security` release, and is decided by the rules of that kind: the
//!   customer's contract must cover it as any other. It opens no line and dates none.
//! - Its version is `X.Y.Z-NAME.N`, which comes after what is below X.Y.Z and before X.Y.Z itself: what is
//!   built upon 2.4.7 is called 2.4.8-custom.1. So no release for everybody ever wants its version. It is
//!   not for the preview ring alone, as other versions of that form are. No version is published twice,
//!   in whatever channel.
//! - As everywhere, the highest version that is granted and deliverable is installed. But a machine that
//!   runs a custom build is updated to custom builds alone, for what was built for it would be gone:
//!   releases for everybody are withheld from it with `CUSTOM_BUILD`, **security releases too**. The
//!   vendor publishes a custom build of each that matters. So the way to a release for everybody leads
//!   over releases for everybody alone: where the highest version is one, a machine is given no custom
//!   build on the way to it.
//! - When the channel has ended (`mainstay channel end`), its releases are as retired ones: no machine is
//!   updated to them, one that ran one can be ordered back to it, and machines that run one get the
//!   releases for everybody again, unless the customer has another channel of the product that is open:
//!   then they wait for what is built there.
//! - A custom build that has the fix is named as an alternative, to its customer alone, and then there is
//!   no `BRIDGE`; one of a channel that has ended is not, and takes no bridge away.
//! - A release for others cannot name a custom build as its `--min-from` or `--floor`.
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
//! # Seats
//!
//! A contract may say how many machines it is for (`seats`; without it there is no limit). A machine is
//! one installation of one product, and takes a seat when it enrols. Enrolling one too many succeeds,
//! so that whoever does it sees the machine; what it gets is another matter.
//!
//! Where there are more machines than seats, those that came first have them: the order is that in
//! which they took their seats and, within a second, that of their names. More seats, or a machine that
//! goes, take no seat from anybody; fewer seats take them from the newest. A machine without a seat
//!
//! - gets security releases, as if it had one, where something runs on it; and the releases that have
//!   to be installed on the way to one. It can go back, and be ordered back, as any other;
//! - gets nothing else, and no first release: `SEATS_EXCEEDED`, in `withheld` and as a notice that says
//!   how many seats there are, for how many machines, and what to do.
//!
//! A seat becomes free when
//!
//! - the machine is retired: `mainstay machine retire m-0123456789ab --reason scrapped --ticket SUP-9`
//!   (`support` or `account`). Its token is not accepted any more (`MACHINE_RETIRED`). Where it is
//!   enrolled again with its key it is the machine that it was, with its history, and the newest;
//! - it says nothing for 90 days (`silent_days`, see [`operations`](super::operations)), counted from the
//!   end of the hour in which it was last heard of. When it is heard of again it takes a free seat, or is
//!   the newest;
//! - it enrols under another contract.
//!
//! ```sh
//! mainstay contract show initech-db                 # 5 of 5 seats used, by 7 machine(s); 2 without
//! mainstay machine list --contract initech-db       # which ones, since when
//! mainstay contract amend initech-db set-seats 7
//! ```
//!
//! **What it costs.** A contract without `seats` costs a check nothing. For one with seats the store
//! holds a small record for each of its machines, which knows the hour in which it was last heard of, and so
//! is written once an hour at most while the machine stays as it is. The server keeps in memory who came last
//! among those with a seat: for a minute, or until a machine of the contract enrols, is retired or comes
//! back. A check that finds nothing kept reads the contract's records, never those of another: for
//! 10,000 machines some 2 MB, in 30 to 50 ms (measured once, in a build without optimisation), once a
//! minute while the fleet is as it is.
//!
//! # Copies of a machine
//!
//! A disk that is copied takes the machine's key along, and to the server the two are one machine that
//! takes one seat. It is noticed by either of two signs:
//!
//! - the key enrols again under another host name within a day of the machine being heard of;
//! - what the machine remembers of the repository's timestamp becomes older, twice within a week. A
//!   machine forgets it when it is put back from a backup; that is once.
//!
//! Then the plan has the notice `CLONE_SUSPECTED`, `machine show` and `machine list` say so, and the
//! audit trail has it once (`machine.clone_suspected`, or in the detail of `machine.enroll_again`). It
//! changes nothing of what the machine gets. On the copy, `mainstay-agent enroll --new-machine` (and
//! what `enroll` needs besides) makes a key of its own, and the copy a machine of its own. The
//! suspicion ends after 30 days without a sign, or when the machine is retired and enrolled again.
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
//! now. A time before the contract began is refused. That a release was withdrawn later is not left out, for the server does not keep when that
//! was. `--with` tries an amendment and shows what it changes.
//!
//! # Contracts that are entered late, or early
//!
//! Every amendment has two times: from when on it is in effect (`at`), by which all decisions go, and
//! when it was written down (`recorded_at`), which decides nothing. `contract show` has both, and so has
//! the audit trail, whose records are of the latter. A contract begins with its first amendment:
//!
//! ```sh
//! mainstay contract create --contract initech-db --customer initech --at 2026-05-01T00:00:00Z …
//! mainstay contract explain initech-db --product acme-db --at 2026-05-03T00:00:00Z
//! ```
//!
//! `at` may lie in the past or in the future; until then the contract grants nothing. `contract amend`
//! has `--at` too, and a row of `contract import` its `at`: what the contract says from then on, in place
//! of what it said; what was amended to later times stays on top. A row that says what the contract
//! says at that time changes nothing. Nothing can be dated before the contract began. Without `at`, all
//! of these mean now. Times have a zone: `2026-05-03T00:00:00Z`.
//!
//! # Decisions in a spreadsheet
//!
//! ```sh
//! mainstay contract explain initech-db --product acme-db --csv > initech.csv
//! mainstay machine explain m-0123456789ab --csv
//! mainstay contract decisions --csv > all.csv             # all contracts, all products
//! mainstay contract decisions --product acme-db --at 2026-05-03T00:00:00Z --csv
//! mainstay --json contract decisions --customer initech
//! ```
//!
//! `contract decisions` has a row for every contract and release of the products that the contract
//! covers, by contract, product and version; each row is what `contract explain` says. All are of one
//! instant. A contract that had not begun by then has no rows. With an organisation's token, they are
//! those of the customers that it serves. It is fetched and written a page at a time, so it may be long;
//! where it breaks off the exit code says so, and a JSON list is not whole.
//!
//! What the customer is not to know of, custom builds for others and other audiences, is in none of these
//! tables, so that they can be passed on. The vendor is told on standard error how many decisions that left
//! out, and lists them with `--with-hidden`, as `NOT_FOUND`.
//!
//! The columns are called as the members of the answer are in the
//! [interface](super::wire_formats): `contract`, `customer`, `product`, `version`, `channel`, `status`,
//! `published_at`, `verdict`, `code`, `rule`, `alternative`, `message`, as far as there are such. A cell
//! that a spreadsheet would take for a formula (it begins with `=`, `+`, `-` or `@`) has an apostrophe
//! in front.
//!
//! # Asking without a server
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
