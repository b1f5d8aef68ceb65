//! What travels, for whoever writes another client, or a script.
//!
//! # Metadata
//!
//! TUF 1.0.34, canonical JSON in the OLPC style without Unicode normalisation
//! ([`mainstay_client::tuf::json`]). A repository is served under `/repo/<product>/`:
//! `<n>.root.json`, `timestamp.json`, `<n>.snapshot.json`, `<n>.targets.json`, `<n>.<channel>.json`,
//! `<n>.archive.json`, `<n>.director.json`, of a private channel `<n>.<name>.json`, and targets as
//! `targets/<channel>/<version>/<sha256>.<file>`.
//!
//! Every one of them has a signed member of Mainstay's own, `x-mainstay-product`: the name of the
//! product that it belongs to. Other clients pass it over; Mainstay's refuses a document without
//! it, or with another product's, by whomever it is signed.
//!
//! The top-level targets have another one where the vendor has dated lines, `x-mainstay-lines`
//! ([`Lines`](mainstay_client::format::Lines)): of each line when it became generally available, and
//! when its support and its life end, as far as that is said. At most 250 lines; whole seconds; a line
//! with no date is left out, and so is the member where no line has one. A channel has none.
//!
//! ```
//! use mainstay_client::{format::Lines, tuf::json};
//!
//! let lines: Lines = json::from_slice(br#"{
//!   "2.4": {"eos": "2027-01-01T00:00:00Z", "eol": "2028-01-01T00:00:00Z"},
//!   "3.0": {"ga": "2026-06-01T00:00:00Z"}
//! }"#)?;
//! assert_eq!(lines.iter().count(), 2);
//! # Ok::<(), mainstay_client::tuf::json::JsonError>(())
//! ```
//!
//! The director signs plans. Its targets role lists nothing, and no machine of Mainstay's asks for
//! it: it is there for clients that take in every role that is delegated to.
//!
//! Who says that it takes zstd (`Accept-Encoding: zstd`) gets metadata of 1 KiB or more compressed
//! (`Content-Encoding: zstd`, a window of 8 MiB at most): the repository's JSON files, and the answers
//! to `POST /v1/check` and `GET /v1/products/{p}/publishing`. Targets travel as they are stored. The
//! entity tag of a file is its digest, a strong one; of its compressed form, the same as a weak one. A
//! range is one of the bytes as they are.
//!
//! # A release
//!
//! Two kinds of target, listed in the channel's role:
//! `<channel>/<version>/release.json`, the manifest
//! ([`ReleaseManifest`](mainstay_client::format::ReleaseManifest)), and
//! `<channel>/<version>/<platform>.tar.zst`, an artifact for each platform: one zstd frame whose
//! payload is a tar in canonical form ([`mainstay_client::pack`]).
//!
//! ```
//! use mainstay_client::format::{Channel, ReleaseManifest};
//! use mainstay_client::tuf::json;
//!
//! let manifest: ReleaseManifest = json::from_slice(br#"{
//!   "format": 1, "product": "acme-db", "version": "1.0.2", "channel": "security",
//!   "severity": "critical", "published_at": "2026-11-24T08:00:00Z",
//!   "effective_at": "2026-11-24T08:00:00Z", "advisories": ["CVE-2026-1001"],
//!   "notes": "Closes a hole.",
//!   "artifacts": {"linux-x86_64": {
//!     "length": 300, "window_log": 12,
//!     "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
//!     "payload_length": 4096,
//!     "payload_sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
//!     "health": {"command": ["bin/check"], "timeout_seconds": 10, "grace_seconds": 5, "retries": 2},
//!     "hooks": {"before": {"command": ["bin/stop"], "timeout_seconds": 60}},
//!     "data": {"reads": {"from": 5, "to": 7}, "writes": 7}
//!   }}
//! }"#)?;
//! assert_eq!(manifest.channel, Channel::Security);
//! assert!(manifest.problems().is_empty());
//! # Ok::<(), mainstay_client::tuf::json::JsonError>(())
//! ```
//!
//! `health`, `hooks` and `data` repeat what `mainstay.toml` in the tree says
//! ([`machines`](super::machines)); a release without them says nothing about it.
//!
//! # A retired release
//!
//! Its channel lists it no more. The role `archive` lists the same targets, with the same lengths,
//! digests and custom members, at the same paths below `archive/`:
//! `archive/<channel>/<version>/release.json`, `archive/<channel>/<version>/<platform>.tar.zst`. A plan
//! that leads back to one names `archive` as its `channel`, and these paths. The manifest is the same
//! bytes, and goes on saying in which channel it was published. The server also serves the targets
//! where they were.
//!
//! # A custom build
//!
//! The name of a private channel
//! ([`PrivateChannelName`](mainstay_client::format::PrivateChannelName)) is 26 of `a-z` and `2-7`: 130
//! random bits, which no other role's name has the form of. The top-level targets delegate
//! `<name>/*/*` to it, terminating, before `director`. It is a role like a channel, and lists
//! `<name>/<version>/release.json` and `<name>/<version>/<platform>.tar.zst`. The manifest names it as
//! `private_channel`, beside the kind in `channel`; the plan names it as `channel`. The snapshot lists it
//! by its version alone, without `length` and `hashes`.
//!
//! A client must not ask for a role that its plan does not need: to whoever may not have it, it is not
//! there (404 `NOT_FOUND`).
//!
//! # The machine's requests
//!
//! [`mainstay_client::format::wire`] has every body. A machine enrols with `POST /v1/enroll`, then
//! bears its token: `POST /v1/check` brings, in one round trip, the signed
//! [`Plan`](mainstay_client::format::Plan) and the metadata that the machine lacks;
//! `POST /v1/report` tells what happened (events are numbered, so one that is sent twice counts
//! once; their kinds are in [`machines`](super::machines)).
//!
//! A check may say what the machine is, as `facts` ([`Facts`](mainstay_client::format::Facts)); what is
//! not known is absent, and the whole member where the machine's owner will not have it told. At most 64
//! components. A server from before there were facts refuses a check that has some (400): update servers
//! first.
//!
//! ```
//! use mainstay_client::{format::{Facts, Requirements}, tuf::json};
//!
//! let facts: Facts = json::from_slice(br#"{
//!   "kernel": "6.1.55", "distribution": {"name": "debian", "version": "12"},
//!   "libc": {"glibc": "2.36"}, "components": {"postgres": "15.4.0"}
//! }"#)?;
//! let requires: Requirements = json::from_slice(br#"{
//!   "kernel": "5.10", "glibc": "2.31", "components": {"postgres": ">=15.2, <17"}
//! }"#)?;
//! assert_eq!(requires.missing(&facts), []);
//! # Ok::<(), mainstay_client::tuf::json::JsonError>(())
//! ```
//!
//! A check may also say, as `waits`, which version the machine was offered by an earlier one and what it
//! waits for before it installs that ([`Waiting`](mainstay_client::format::wire::Waiting)): `approval`,
//! `confirmation` of what is on probation, a `command`, or a `window`, with when it opens. It is absent where the
//! machine is offered nothing or waits for nothing, and the server then forgets what it said before. Nothing is
//! decided by it. A server from before refuses it likewise.
//!
//! ```
//! use mainstay_client::{format::wire::{Awaited, Waiting}, tuf::json};
//!
//! let waits: Waiting = json::from_slice(
//!     br#"{"version": "2.4.1", "for": {"window": "2026-06-06T22:00:00Z"}}"#,
//! )?;
//! assert!(matches!(waits.awaited, Awaited::Window(_)));
//! let waits: Waiting = json::from_slice(br#"{"version": "2.5.0", "for": "approval"}"#)?;
//! assert_eq!(waits.awaited, Awaited::Approval);
//! # Ok::<(), mainstay_client::tuf::json::JsonError>(())
//! ```
//!
//! `requires` is a member of an artifact in the release manifest, beside `health` and `hooks`, and says
//! what `mainstay.toml` in the tree says ([`Requirements`](mainstay_client::format::Requirements)): `kernel`,
//! `glibc`, `musl`, `components`, `free_bytes`, all optional. It is absent where nothing is required. A
//! plan withholds what reported facts do not meet with `REQUIREMENT`, and its `message` names all of that.
//!
//! The target of a plan may have `deltas`: ways to its payload that weigh less than its artifact, the lightest
//! first, at most eight. Each is `{"from", "steps"}`: the version whose payload the first delta is applied
//! to, and one to four deltas, `{"profile", "length", "sha256", "payload_length", "payload_sha256"}`: `fast` or
//! `compact` ([`deltas`](super::deltas)), the delta's length and digest, and the payload that it makes. What the
//! last one makes is the payload that the release manifest signs. A machine passes over a path with a
//! profile that it does not know, and fetches the artifact where no path is for it. A delta is at
//! `/repo/<product>/deltas/<sha256>`, by the machine's token, with ranges and conditions as artifacts have; who may not have the releases
//! that it makes and is applied to is answered as for their artifacts.
//!
//! The event `installed` may say by which way the payload came: `"fetched": {"by", "bytes", "failed"?}`
//! ([`Fetched`](mainstay_client::format::wire::Fetched)). `by` is `delta` or `full`, `bytes` what the deltas or the
//! artifact have, `failed` at most eight ways that came to nothing before, `{"by", "why"}`, where `why` has
//! at most 300 characters. It is absent where the tree was kept. A server from before there were deltas
//! refuses a report that has it (400): update servers first.
//!
//! ```
//! use mainstay_client::{format::wire::{Fetched, FetchedBy}, tuf::json};
//!
//! let fetched: Fetched = json::from_slice(br#"{
//!   "by": "full", "bytes": 4089446,
//!   "failed": [{"by": "delta", "why": "the server refused: there is no such thing (NOT_FOUND, HTTP 404)"}]
//! }"#)?;
//! assert_eq!(fetched.by, FetchedBy::Full);
//! # Ok::<(), mainstay_client::tuf::json::JsonError>(())
//! ```
//!
//! A plan may have a `retry`, `{"number", "version", "reason", "ticket"?}`: the machine lifts its own block of
//! that version, once for each number, and reports `retried`, or `refused`, with the number as `order`. And it
//! may have a `collect`, `{"number", "reason", "ticket"?, "expires"}`
//! ([`RetryOrder`](mainstay_client::format::RetryOrder),
//! [`CollectOrder`](mainstay_client::format::CollectOrder)); the machine answers that by `PUT
//! /v1/collections/{number}` with the bundle, or by `POST /v1/collections/{number}/refusal` with
//! `{"answer": "awaits_approval"}` or `"forbidden"`. Rollbacks, retries and collections of a machine are
//! numbered together. An agent that does not know of these members passes them over; what it does not lift it
//! refuses, by an event without an `order`, and the server takes that for the end of the retry. What nobody
//! asked for, or not any more, is refused with 409 `COLLECTION_UNASKED`, what is no bundle of this machine by
//! this order with 422 `BUNDLE_REFUSED`, what is longer than 4 MiB with 413; a bundle that is here already
//! stays as it is (204). A bundle is an archive in the one canonical form ([`pack`](mainstay_client::pack)),
//! compressed by zstd, of files alone; [`bundle.json`](mainstay_client::format::BundleHeading) says whose it is.
//!
//! A plan's `notices` have stable codes: `LINE_EOS_NEAR`, `LINE_EOS`, `LINE_EOL_NEAR` and `LINE_EOL` of
//! the line that runs (180, 90 and 30 days ahead, and once it is over), `CONTRACT_ENDS` and
//! `CONTRACT_ENDED` of the paid time (90 and 30 days ahead, and once it is over), `NOT_STARTED`, and
//! `ORDER_REFUSED`.
//!
//! # The whole interface
//!
//! Every operation, with its bearers, parameters, bodies and answers, and every code of a problem, is
//! in a description as OpenAPI 3.1 has it: a server gives its own at `GET /v1/openapi.json`, to anybody,
//! and `mainstay openapi` prints that of its version. It is made of the table of routes and of the types
//! that read requests and write answers, and the tests hold answers against it. The names of types
//! that end with `Input` are those of requests, where a type is written otherwise than it may be read.
//!
//! # The vendor's requests
//!
//! | request | who | what |
//! |---|---|---|
//! | `GET /v1/openapi.json` | anybody | this interface, described |
//! | `GET /v1/server-keys` | publisher | the server's public keys |
//! | `POST /v1/products` | publisher | register a signed root and targets |
//! | `GET /v1/products`, `GET /v1/products/{p}/releases` | all roles | look |
//! | `GET /v1/products/{p}/deltas` | all roles | `{"product", "looked_at", "deltas": [{"platform", "from", "to", "profile", "stage", "machines", "length", "artifact_length", "sha256", "seconds", "reason", "downloads", "saved_bytes"}], "releases": [{"version", "downloads", "saved_bytes"}], "saved", "kept_bytes", "seconds_of_day"}`; `stage` is `waiting`, `making`, `kept`, `not_worth`, `dropped`, `failed`, `too_small` or `too_large` |
//! | `GET /v1/products/{p}/lines` | all roles | every line with its dates, newest release and status (`supported`, `past_eos`, `past_eol`) |
//! | `GET /v1/products/{p}/publishing` | publisher | what the next release is built upon, and the revision |
//! | `POST /v1/products/{p}/metadata` | publisher | commit: newly signed root, targets, channels, expected revision |
//! | `GET /metrics` | all roles | what the server counts, as `OpenMetrics` text |
//! | `GET /v1/status` | all roles | when every role expires, and what renews it |
//! | `GET /v1/uploads/{sha256}` | publisher | how much of a blob has arrived |
//! | `PATCH /v1/uploads/{sha256}?offset=N&length=L` | publisher | the bytes from N on; what arrives before a cut is kept. Of an artifact, `&payload_length=…&payload_sha256=…&window_log=…` has the server read it as it arrives, so that publishing it takes less time |
//! | `POST /v1/products/{p}/releases` | publisher | commit: manifest, signed channel role, expected revision, and how it spreads (`"rollout"`, as `--rollout` has it; `{"pace": "at_once"}` for everybody at once) |
//! | `GET /v1/products/{p}/rollouts`, `…/rollouts/{v}` | all roles | how releases spread ([`rollouts`](super::rollouts)), what became of them, and whether everything is stopped |
//! | `POST /v1/products/{p}/rollouts/{v}/plan` | all roles | `{"rollout"?, "release"?}`: how many machines of which customers each wave reaches, and when; `release` for one that is not published |
//! | `POST /v1/products/{p}/rollouts/{v}/actions`, `…/actions/preview` | publisher, support | `{"expected_revision", "action", "reason", "ticket"?}`, where the action is `{"kind": "pause"}`, `resume`, `finish`, `withdraw`, `approve`, or `{"kind": "start", "rollout"}`; `preview` does nothing |
//! | `POST /v1/products/{p}/stop`, `…/unstop` | publisher, support | `{"expected_revision", "reason", "ticket"?}`: all updates of the product, and their going on |
//! | `POST /v1/products/{p}/retirements` | publisher | commit: versions, their channels and the archive signed anew, expected revision |
//! | `GET /v1/products/{p}/channels` | all roles | the private channels: `{"product", "name", "customer", "created_at", "ended_at", "delegated", "releases", "newest"}` |
//! | `POST /v1/products/{p}/channels` | publisher | `{"name", "customer"}`: whose it is; the targets delegate to it by `…/metadata` |
//! | `POST /v1/products/{p}/channels/{name}/end` | publisher | nothing is published in it any more |
//! | `GET`, `POST /v1/customers`, `/v1/contracts` | account (support and viewer look) | customers and contracts |
//! | `POST /v1/contracts/{c}/amendments`, `…/activation-keys` | account | amend; make a key |
//! | `POST /v1/contracts` | account | `{"name", "customer", "at"?, "contract"}`; `at` is from when on it is in effect, now where it is absent |
//! | `GET /v1/tiers` | account, support, viewer | what each tier stands for |
//! | `POST /v1/contracts/import` | account | rows as `contract export` writes them: all or none |
//! | `POST /v1/contracts/{c}/explain` | account, support, viewer | what it grants of a product's releases, now or at a time, and with a change to try |
//! | `GET /v1/decisions?product=P&customer=C&at=TIME&after=CONTRACT` | account, support, viewer | what every contract grants of every release, some 1,000 at a time, of 1,000 contracts at most: `{"at", "decisions", "next"}`; the next page is asked for with this `at`, and `next` as `after`, until there is no `next` |
//! | `GET /v1/organisations`, `/v1/organisations/{o}` | account, support, viewer | look |
//! | `POST /v1/organisations` | account | `{"name", "title"?}` |
//! | `PUT`, `DELETE /v1/organisations/{o}/customers/{c}` | account | the organisation serves the customer from now on, or no longer |
//! | `GET`, `POST /v1/tokens`, `DELETE /v1/tokens/{id}` | admin | tokens; with `"organisation"`, one of an organisation |
//! | `GET /v1/contracts/{c}/seats` | account, support, viewer | `{"seats": {"limit", "used", "machines"}, "machines": [{"machine", "host", "product", "running", "since", "seen_at", "seat"}]}`, the oldest claim first; `seat` is `held`, `exceeded` or `silent` |
//! | `GET /v1/census?product=P&customer=C&platform=O&version=V` | support, account, viewer | how many machines run what, 1,000 rows at a time: `{"at", "heard_from", "rows": [{"product", "version", "known", "platform", "customer", "installed", "confirmed", "silent"}], "next"}`; the next page is asked for with `next` as `after`; with `customers=together` all customers are counted together, on one page |
//! | `GET /v1/machines?product=P&customer=C&platform=O&version=V&ring=R` | support, account, viewer | the machines, 1,000 at a time, or `limit`: `{"machines", "next"}`; with `silent=14d` (`36h`, `90m`, `configured`) those not heard of for so long, with `retired=true` the retired ones, which are not among the others |
//! | `GET /v1/exposure?advisory=A&product=P&customer=C` | publisher, support, account, viewer | the machines that lack the fix of an advisory, 1,000 at a time, or `limit`: `{"at", "advisory", "fixes", "machines": [{"machine", "host", "customer", "contract", "tier", "product", "platform", "running", "severity", "since", "agreed_until", "seen_at", "cause": {"kind", "code", "message", "remedy"}}], "next"}` ([`exposure`](super::exposure)) |
//! | `GET /v1/exposure/breaches?within_days=N&product=P&customer=C` | publisher, support, account, viewer | who is or will be late with a fix: `{"at", "within_days", "breaches": [{"state", "agreed_until", "product", "customer", "advisory", "severity", "remedy", "machines"}], "further", "apart"}`; `state` is `breached` or `ahead` |
//! | `GET /v1/exposure/components?component=N&product=P&customer=C` | publisher, support, account, viewer | which releases have a component (`NAME@VERSION` or a package URL, percent-encoded), and who runs them: `{"at", "component", "releases": [{"product", "version", "status", "components", "holders": [{"customer", "machines"}]}], "further"}` |
//! | `GET /v1/products/{p}/advisories`, `…/advisories/{a}` | publisher, support, account, viewer | `{"product", "advisory", "recorded", "fixed_in"}` |
//! | `PUT /v1/products/{p}/advisories/{a}` | publisher | `{"title", "severity"?, "affected"?: ["2.1.0..2.4.7"], "url"?}`, in place of what was recorded before |
//! | `GET /v1/products/{p}/advisories/{a}/csaf` | publisher, support, account, viewer | CSAF 2.0, profile VEX |
//! | `POST /v1/products/{p}/releases/{v}/sbom` | publisher | `{"sha256"}` of CycloneDX JSON that is uploaded already; in place of the one before |
//! | `GET /v1/products/{p}/releases/{v}/sbom`, `…/sbom/document` | publisher, support, account, viewer | `{"product", "version", "sha256", "length", "spec_version", "components", "attached_at", "by"}`; the document |
//! | `GET /v1/exposure/patching?advisory=A&product=P&customer=C` | publisher, support, account, viewer | how long machines took to the fix, by tier: `{"at", "advisory", "tiers": [{"tier", "open", "patched", "undated", "p50_minutes", "p90_minutes", "p95_minutes", "p99_minutes"}]}` |
//! | `GET /v1/machines/{m}?last=N` | support, account, viewer | the machine's story: `{"machine", "known", "events", "next", "releases", "notices", "seat", "contract", "line", "plans", "wanted"?, "actions", "older"}`; of `events`, `plans` and `actions` the last N (50), the oldest first, and `older` says of which there is more |
//! | `GET /v1/machines/{m}/explain` | support, account, viewer | why the machine gets each release or does not |
//! | `GET /v1/machines/{m}/path?to=V` | support, account, viewer | the hops up to a version, or to the newest supported line, with the decision on each and what the contract lacks |
//! | `POST /v1/machines/{m}/rollback` | support | `{"to", "exposure"?, "reason", "ticket"?}`; `to` is a version or `last_good`; where advisories open again by it, it is refused with 422 `EXPOSURE_NOT_ACCEPTED` unless `exposure` is `accepted` |
//! | `POST /v1/machines/{m}/actions`, `…/actions/preview` | support | `{"action", "reason", "ticket"?}`, where the action is `{"kind": "hold", "until"}`, `{"kind": "pin", "version"}`, `install`, `block` and `unblock` likewise, `{"kind": "rollback", "to", "exposure"?}`, `{"kind": "ring", "ring"}`, `{"kind": "unhold"}` or `unpin`, `{"kind": "retry", "version"?}`, `{"kind": "collect"}`; answered with what the machine would have been told and is told; `preview` does nothing |
//! | `POST /v1/actions/preview` | support | `{"product"?, "selection", "action", "reason", "ticket"?}`, where the selection is `{"kind": "filter", "filter": {"customer"?, "version"?, "platform"?, "ring"?}}` or `{"kind": "listed", "machines"}`: what would come of an action (as above) over several machines: `{"product", "action", "machines": [{"machine", "customer", "host", "outcome", "cannot"}], "possible", "opens", "alone_max", "needs_approval"}`; nothing is done |
//! | `POST /v1/actions` | support | `{"wanted", "shown"}`: what was previewed, and the names of the machines that were shown, which it is for; 409 `CONFLICT` where more are selected by now |
//! | `GET /v1/actions?before=A&limit=N` | support, account, viewer | actions over several machines, the newest first, 20 or N (100 at most): `{"id", "revision", "product", "action", "filter"?, "machines", "word", "side", "state", "changed", "counts"}`; `state` is `awaiting_approval`, `running`, `done` or `cancelled` |
//! | `GET /v1/actions/{a}` | support, account, viewer | the same of one, with `"progress": [{"machine", "customer", "running", "state", "at", "detail"}]`; `state` is `waiting`, `told`, `carried_out`, `refused`, `cannot` or `cancelled` |
//! | `POST /v1/actions/{a}/approve`, `…/cancel` | support | `{"reason", "ticket"?}`; approved by another person than who has ordered it (403 `SAME_PERSON`) |
//! | `GET /v1/machines/{m}/bundles`, `…/bundles/{number}` | support | the support bundles that are kept, `{"machine", "customer", "number", "at", "sha256", "length", "word"}`; one of them, byte for byte |
//! | `POST /v1/machines/{m}/retire` | support, account | `{"reason", "ticket"?}` |
//! | `GET /v1/webhooks`, `/v1/webhooks/{w}` | account, support, viewer | where notifications are sent to, without secrets ([`events`](super::events)) |
//! | `POST /v1/webhooks` | admin | `{"address": {"url"} or {"mail"}, "label", "interest"?: {"types"?, "product"?, "customer"?}}`; answered with `{"endpoint", "secret"}` |
//! | `POST /v1/webhooks/{w}/disable`, `…/enable`, `…/rotate`, `DELETE /v1/webhooks/{w}` | admin | `{"reason"}`; nothing; `{"keep_hours"?}` |
//! | `GET /v1/deliveries?state=S&webhook=W&limit=N` | account, support, viewer | what has become of notifications, the newest first; `S` is `waiting`, `delivered` or `dead` |
//! | `POST /v1/deliveries/{number}/replay` | support | it is tried again from the beginning |
//! | `GET /v1/audit?after=N` | support, viewer | at most 1,000 records after number N |
//! | `GET /v1/audit/head` | support, viewer | the newest record's `{"number", "digest"}` |
//!
//! An administrator may make every one of these. Tokens of an organisation are taken at `GET
//! /v1/customers`, `/v1/customers/{c}`, `/v1/contracts`, `/v1/contracts/{c}`, `/v1/census`, `/v1/exposure`, `/v1/exposure/patching`, `…/breaches`, `…/components`, `/v1/machines`,
//! `/v1/machines/{m}`, `/v1/machines/{m}/explain`, `/v1/machines/{m}/path`, `/v1/contracts/{c}/seats`, `/v1/decisions`,
//! `POST /v1/contracts/{c}/explain` (without `with`), `POST /v1/machines/{m}/rollback`, `…/actions`, `…/actions/preview` and `…/retire`, `GET /v1/machines/{m}/bundles` and `…/bundles/{number}`, and at all of `/v1/actions`, by
//! their role and for the customers that the organisation serves; everywhere else with 403 `VENDOR_ONLY`. A machine's files (`GET`, `HEAD /repo/…`) are also for
//! publisher and support. The server's own table is [`crate::api::routes`].
//!
//! With `hidden=listed` (in a body `"hidden": "listed"`) decisions and explanations also list, for the
//! vendor's own tokens, releases that the customer is not to know of.
//!
//! Bodies are strict JSON: a member that is not known or stands twice, a floating point number, or
//! more than 32 levels are refused.
//!
//! # The audit trail's chain
//!
//! Each record's `digest` is the SHA-256 of the canonical JSON of the record itself, in which `digest` is
//! that of the record before it (64 zeros in the first): [`crate::store::AuditHead`]. A record may have
//! members that a reader does not know; they are part of what the digest is over.
//!
//! # Errors
//!
//! `application/problem+json` (RFC 9457): `type`, `title`, `status`, `code`, `detail`, and `problems`
//! where a document was refused. The `code` is stable. An entitlement's denial has the decision's code
//! ([`crate::policy::Code`]); the others:
//!
//! | code | status | meaning |
//! |---|---|---|
//! | `INVALID_REQUEST` | 400 | not what was expected |
//! | `UNAUTHENTICATED`, `TOKEN_EXPIRED`, `ACTIVATION_KEY_UNKNOWN`, `ACTIVATION_KEY_EXPIRED`, `PROOF_INVALID`, `MACHINE_RETIRED` | 401 | who asks is not known |
//! | `ROLE_NOT_ALLOWED`, `VENDOR_ONLY`, `MACHINE_ONLY`, `STAFF_ONLY`, `WRONG_PRODUCT`, `BELOW_FLOOR`, `SAME_PERSON` | 403 | known, and may not |
//! | `NOT_FOUND`, `NO_SUCH_ROUTE`, `ADVISORY_UNKNOWN` | 404 | there is no such thing, or it is not to be known |
//! | `CONFLICT`, `UPLOAD_BUSY`, `UPLOAD_OFFSET`, `COLLECTION_UNASKED`, `PUBLISHER_UNKNOWN`, `ROLLBACK_IMPOSSIBLE`, `ROLLOUT_IMPOSSIBLE`, `ACTION_IMPOSSIBLE`, `LAST_ADMIN_TOKEN`, `NO_PATH`, `MACHINE_RETIRED` (retiring it again) | 409 | something else is so now |
//! | `BODY_TOO_LARGE`, `BLOB_TOO_LARGE` | 413 | larger than is taken in |
//! | `DOCUMENT_REFUSED`, `METADATA_REFUSED`, `PRODUCT_REFUSED`, `RELEASE_REFUSED`, `RETIREMENT_REFUSED`, `CONTRACT_REFUSED`, `IMPORT_REFUSED`, `ENDPOINT_REFUSED`, `SBOM_REFUSED`, `BUNDLE_REFUSED`, `EXPOSURE_NOT_ACCEPTED`, `BLOB_MISMATCH` | 422 | a document is refused; `problems` lists why |
//! | `TOO_MANY_REQUESTS` | 429 | a machine checks or reports too often; `Retry-After` says how many seconds to wait |
//! | `INTERNAL` | 500 | the server's fault; its log says more |
//! | `UNAVAILABLE`, `BUSY`, `STORAGE_FULL`, `ONLINE_KEY_LOST` | 503 | not now |
//!
//! # `mainstay quickstart --once --json`
//!
//! One document: `{"server": URL, "story": [STEP, …]}`. A step has `step` (a sentence), `customer`,
//! `machine`, `version_from`, `version_to` (each may be null), `outcome` (`published`, `installed`,
//! `denied`, `undone`, `rolled_back`, `up_to_date`, `refused`) and `code` (the decision's or the
//! error's stable code, or null). For `undone`, `version_from` is the version that failed and
//! `version_to` the one that runs again.
//!
//! # Commands with `--json`
//!
//! A `mainstay` command prints the API's answer as one document, or
//! `{"outcome": "error", "code", "message", "problems"}`. Exit codes:
//! [`crate::cli::ExitStatus`].
