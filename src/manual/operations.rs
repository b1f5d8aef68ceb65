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
//! | `[webhooks]`, `[mail]` | how notifications are sent ([`events`](super::events)) | | |
//! | `[seats]` `silent_days` | after how many days without a word a machine gives its seat up; 1 to 3650, 90 by default | | |
//! | `[rollout]`, `[rollout.channels.bugfix]`, … | how releases spread: [`rollouts`](super::rollouts) | | |
//! | `[support.alone]` `admin`, `support`, `organisation` | how many machines one person may act on without a second one: [`support`](super::support) | | |
//! | `[tiers.basic]`, `[tiers.standard]`, `[tiers.premium]`, `[tiers.enterprise]` | what a tier stands for: `channels`, `grace_days`, `security_tail_days`, `fallback`, `bridge`, `poll_seconds`, `patch_days` ([`exposure`](super::exposure)); what is not said stays | | |
//! | `[deltas]` `enabled` | whether the server makes deltas ([`deltas`](super::deltas)); `true` by default; those that were made are given out all the same | | |
//! | `[deltas]` `compact` | whether it makes *compact* ones, too; `true` by default | | |
//! | `[deltas]` `seconds_a_day` | how many seconds of one core it may spend on them within 24 hours; 1 to 86400, 14400 by default; one that takes as long by itself is given up | | |
//! | `[deltas]` `memory_bytes` | how much memory making one may take: 20 times the old payload and 4 times the new one, and 67108864 for a *compact* one, estimated from above; of what is compressed in them no more is opened than fits as well, by the same count; at least 67108864, 2147483648 by default | | |
//! | `[deltas]` `disk_bytes` | how many bytes those that are kept may have together; at least 1048576, 10737418240 by default | | |
//! | `[downloads]` `x_accel_redirect` | the location of an nginx in front that sends artifacts and deltas ([below](#downloads)); off by default | | |
//! | `[access_log]` `enabled`, `file`, `file_bytes`, `files` | the access log ([`watching`](super::watching#access-log)); on by default, `access.log` in the server's directory, 67108864 bytes a file (at least 1048576) and 4 files (1 to 1000) | | |
//! | `[publisher]` | who publishes documents on advisories: `name`, `namespace` ([`exposure`](super::exposure)) | | |
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
//!
//! [seats]
//! silent_days = 60
//!
//! [tiers.standard]
//! grace_days = 45
//! "#,
//! )?;
//! let config = Config::load(dir.path(), &Overrides::default())?;
//! assert_eq!(config.listen.port(), 8443);
//! assert_eq!(Some(config.silence), mainstay::policy::Silence::days(60));
//! assert_eq!(config.tiers.preset(mainstay::policy::Tier::Standard).grace_days, 45);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! `MAINSTAY_LOG` sets what is logged, for example `warn` or `info,mainstay=debug`; `--log json`
//! writes one JSON object a line. What else tells how the server is: [`watching`](super::watching).
//!
//! # What machines ask
//!
//! What machines ask all the time is answered where the server takes connections in: files of repositories
//! (`GET` or `HEAD /repo/…`), checks and reports. A check or report says the length of its body ahead, has at
//! most 32 KiB with its head, and has arrived within a second of its first byte; as agents send them. From its
//! first other request on a connection is served as any other. Who may have what, what is counted and what is
//! answered is the same on both ways.
//!
//! # Downloads
//!
//! Without TLS the kernel sends a file from its own memory (`sendfile`, on Linux); over TLS it is read piece by
//! piece, into memory that all connections of a worker share. So a client that stalls holds little memory
//! ([`measurements`](super::measurements)). On a connection that is served as any other, files go through memory
//! of its own, 256 KiB at a time.
//!
//! Whoever takes nothing of what it is sent for a minute is disconnected (on Linux), and goes on where it was
//! when it comes back. When the server stops, downloads have 10 seconds to come to their end. A file that was
//! removed in the meantime is sent to its end; of one that was cut short the connection ends early, which
//! clients notice.
//!
//! **Behind a proxy** that ends TLS, let that keep connections for `/repo/`, `/v1/check` and `/v1/report` apart
//! from the others, or open one for each request; then downloads are sent, and checks answered, the cheap way.
//!
//! **An nginx in front can send artifacts and deltas itself**, once the server has said that it may. It must
//! run on the same machine, with the right to read the server's `blobs` directory:
//!
//! ```toml
//! [downloads]                           # in mainstay.toml
//! x_accel_redirect = "/internal/blobs/"
//! ```
//!
//! ```nginx
//! location / { proxy_pass http://127.0.0.1:8420; }
//! location /internal/blobs/ {
//!     internal;
//!     alias /srv/mainstay/blobs/;
//!     # The entity tag is the server's: nginx would drop it and make another.
//!     etag off;
//!     if_modified_since off;
//!     add_header ETag $upstream_http_etag;
//! }
//! ```
//!
//! Then nobody may reach the server but through nginx: others are told where the file is, and get none.
//! Metadata, conditional requests and ranges the server answers itself. What nginx sends is not in
//! `mainstay_repository_sent_bytes_total`, nor are deltas that it sends in `mainstay_delta_downloads_total`.
//!
//! # Tokens
//!
//! | role | may |
//! |---|---|
//! | `admin` | everything |
//! | `publisher` | products, releases, uploads, rollouts |
//! | `account` | customers, contracts, activation keys; look at machines, retire them |
//! | `support` | machines: look, explain, order a rollback, retire; rollouts; the audit trail |
//! | `viewer` | look |
//!
//! `mainstay token create --role support --label 'night shift' --expires-at 2027-01-01T00:00:00Z`
//! prints a token once; the server keeps its SHA-256. `mainstay token revoke` ends it at once. The
//! last administrator's token cannot be revoked: make another one first, which is good for at least as
//! long. Every change, and every attempt that a role did not allow, is in the audit trail (`mainstay
//! audit`): who, when, from which address, and what stood there before where something did. Which
//! route is for whom is in [`wire_formats`](super::wire_formats).
//!
//! The records are chained: each carries a digest over itself and the one before it.
//!
//! ```sh
//! mainstay audit                              # the newest 1,000 records; --after N: those after N
//! mainstay audit verify                       # whether each is as it was recorded; says where the trail ends
//! mainstay audit verify --head 4711:9f86…     # and whether it still leads there
//! mainstay audit export > trail.jsonl         # one JSON document a line; `audit verify trail.jsonl`
//! ```
//!
//! Denied attempts are in it (`denied`), with whom the token was made for, `nobody` where it is not known,
//! and the code that they were told. Of what one actor tries again within ten minutes the first is written
//! down, and of what differs 100; the next tells how many were passed over. For a machine it is a day: one
//! that is retired goes on trying. Of more than 1,000 people, or 1,000 machines, nothing is written down in
//! that time.
//!
//! Whoever could write to the store could write the whole trail anew: note where it ends, elsewhere and often,
//! and give that to the next `verify`. It exits with 6 where a record is missing, was changed, or came in
//! later.
//!
//! # What machines run
//!
//! ```sh
//! mainstay census                              # by product, version, platform and customer
//! mainstay census --together --product my-app  # the customers together
//! mainstay machine list --version 2.5.1        # which ones; also --product, --customer, --platform, --ring
//! mainstay machine list --silent               # not heard of for `silent_days`; --silent 36h for less
//! mainstay machine list --retired
//! ```
//!
//! What a machine reports as running is believed. A version that was never published is counted like any
//! other, and is marked as *unknown*. *Confirmed* are those of the installed ones that have confirmed what
//! they run; retired machines are not counted. Counts are kept as reports come in, so that they cost the same
//! with a thousand machines as with a million. `silent_days` begin when the hour (UTC) ends in which a machine
//! was last heard of. The census counts silence by whole days of UTC: a machine that falls silent is in
//! `machine list --silent` at once, and in the census from the next midnight on. A list has at most 1,000
//! machines, and says how to get the next ones.
//!
//! A machine that runs wild, or whose token was stolen, cannot keep the server from the others: after 600
//! checks and reports at once it may send ten a second, and is told how long to wait when it sends more (429
//! `TOO_MANY_REQUESTS`, `Retry-After`). Agents heed that. Downloads are not counted.
//!
//! A machine that asks what it asked before gets the answer that it got, out of memory, for up to an hour (a
//! minute where its contract has a number of seats), and no longer than until something changes that the
//! answer depends on: what is published or how far it has spread, any contract, customer or safeguard, the
//! machine's own record, or the hour at which something begins or ends. What is changed counts from the moment
//! at which whoever changed it is told, as ever. The answers take 32 MiB at most, which is enough for those of
//! some 20,000 machines that are told much the same; the others are decided anew.
//! When such a machine was last heard of is written every 20 seconds with that of others, and when the server
//! is told to stop; after a crash those of the last seconds are as they were at the check before.
//!
//! # The story of a machine
//!
//! `mainstay machine show m-…` is one page: what runs and whether it is confirmed, until when the contract is
//! paid and the line that runs has support (EOS) and life (EOL); who wants what of the machine; the releases
//! that it is offered or kept from, and why; what it reported; the plans that it was sent, with what they
//! said; what was done with it, by whom and why. The newest is first, ten of each; `--last 100` shows more. A
//! machine that went over to another customer begins a new story. Of plans the 50 newest are remembered, and
//! none from before servers remembered them.
//!
//! # What a technician wants of a machine
//!
//! ```sh
//! mainstay machine rollback m-… --to 2.4.3 --reason 'reports are slow' --ticket SUP-1042
//! mainstay machine rollback m-… --to-last-good --reason 'reports are slow'
//! mainstay machine pin m-… 2.4.4 --reason 'the one patch that is needed' --ticket SUP-1042
//! mainstay machine install m-… 2.4.4 --reason 'this patch, then as always'
//! mainstay machine hold m-… --until 2027-01-08T06:00:00Z --reason 'closing of the books'
//! mainstay machine block m-… 2.5.1 --reason 'SAP is down'
//! mainstay machine unpin m-… --reason 'it was the network'     # and unhold, unblock
//! mainstay machine retry m-… 2.5.1 --reason 'the disk is larger now'   # without a version: what failed last
//! mainstay machine collect m-… --reason 'to see why 2.5.1 fails'      # then: machine bundles, machine bundle
//! mainstay machine ring m-… early --reason 'a test machine'      # how early it gets releases
//! ```
//!
//! All of these can be wanted of many machines at once, by customer, version, platform, ring, or a list:
//! [`support`](super::support).
//!
//! But for `rollback`, each of these says first what the machine would be told at its next check and what
//! others have wanted of it, and asks; `--plan` does no more than that, `--yes` does not ask. All want a
//! reason, and are in the audit trail with what stood there before.
//!
//! - A machine that is *pinned* is updated to that version and to the stops on the way, and to nothing else,
//!   security releases neither (`PINNED`). Where a rollback left a range of versions blocked, a pin takes
//!   the one version out of it, unless that is the very version that was left: `unblock` it first.
//! - *Install* is a pin that ends by itself once the machine has confirmed the version. It is refused where
//!   the machine would not get it now.
//! - A machine that is *held* is not updated until then (`HELD`), and goes back all the same where that is
//!   ordered. An hour that has come needs no `unhold`.
//! - A *block* keeps one version away (`BLOCKED`); what runs goes on running.
//! - A *retry* says that a version which failed on the machine, and which the machine and the server blocked
//!   because of that, is to be tried once more. The server forgets the failure at once, the machine at its
//!   next check; it installs the version by its ordinary rules. What a technician has blocked stays blocked,
//!   and is told of. A machine that does not lift its block, since its agent is of an earlier version or it
//!   was ordered to five times already, refuses the version once, and the server keeps it from it again.
//! - *Collect* asks for a support bundle, which the machine's administrator may forbid or has to approve of
//!   ([`machines`](super::machines#what-support-may-have)); `machine show` says what has come of it. `mainstay
//!   machine bundles m-…` lists what came, `mainstay machine bundle m-… 7 --output FILE` fetches one; both
//!   are for support alone, and the audit trail has who asked, what the machine answered, and each who
//!   fetched. A bundle is kept for 30 days, and until its machine is retired; after that copies of the
//!   server's directory may have it still.
//!
//! # Safeguards: a release that does harm on some machines
//!
//! ```sh
//! mainstay safeguard create --product my-app 2.5.1 --component 'postgres=>=16' \
//!     --reason 'loses rows with PostgreSQL 16' --ticket ENG-77
//! mainstay safeguard list --product my-app                     # --all: those that were lifted too
//! mainstay safeguard lift --product my-app 1 --reason 'mended in PostgreSQL 16.2'
//! mainstay customer tag globex --add bank                      # for --customer-tag bank
//! ```
//!
//! A safeguard holds releases back from the machines that meet a condition: `--platform`, `--running`,
//! `--kernel`, `--distribution`, `--component`, `--customer-tag`, `--customer`; where several are given,
//! all must be true. It says first how many machines of which customers that is, and how many run the
//! release already: these go on running it. Owners of machines see `SAFEGUARD` and the reason in their
//! plans, and never a tag. Ranges of kernels and distributions are numbers (`>=5.10, <5.15`), those of
//! components and of what runs are `SemVer` ranges. A machine that has not told what the condition is
//! about gets the release, unless `--hold-unknown` is given. Only the vendor's own tokens set and lift
//! safeguards; a later release is not meant by it.
//!
//! # Organisations: support by others
//!
//! A third party that supports some of your customers, or the people who do so at a customer, get
//! tokens that see these customers and nothing else:
//!
//! ```sh
//! mainstay organisation create --organisation helpers --title 'Helping Hands'
//! mainstay organisation serve --organisation helpers --customer acme
//! mainstay token create --role support --organisation helpers --label 'Jo of Helping Hands'
//! mainstay organisation serve --organisation helpers --customer acme --end
//! ```
//!
//! Support in a customer's own house is an organisation that serves one customer. An account manager
//! adds organisations and says whom they serve, an administrator makes their tokens, with the role
//! `support` or `viewer`. The last command counts from the next request on, for every token of the
//! organisation. An organisation serves 500 customers at most.
//!
//! The bearer looks at machines, contracts and customers, asks for explanations, and with the role
//! `support` orders rollbacks. Lists leave out what is of others; to ask for it by name is answered, to
//! the letter, as if it did not exist. Releases that are not for the customer's audience do not appear
//! in explanations, nor do products that are not in the contract, and a change of a contract is not
//! tried (`--with`), since that could bring either to light. Everything else is the vendor's: products
//! and releases as a whole, tiers, tokens, organisations, measurements, and the audit trail, of which
//! no part is shown: its records do not say which customer they are about.
//!
//! # Keys: ceremonies
//!
//! Every change of what machines trust is a *proposal*: a file that says what is to be signed, travels
//! to everybody who must sign it, and comes back. Nobody but whoever proposes and submits needs the
//! server. A machine that stands at whatever earlier root follows the chain of roots, so it keeps
//! working; a change that machines would refuse is refused by the server first.
//!
//! ```sh
//! mainstay trust propose --product my-app --out change.json …   # what is to change
//! mainstay trust show change.json                               # in plain words
//! mainstay trust sign change.json --key alice                   # by each person, without a network
//! mainstay trust submit change.json                             # or several signed copies of it
//! ```
//!
//! `show` and `sign` say what changes, who has signed and who is missing, and the SHA-256 of what is
//! signed: compare that by telephone. On a computer that has not seen the product before, `sign`
//! wants `--root-sha256`, which `mainstay product create` printed: take it from there, not from the
//! file. Keys are named as in `mainstay keys show`; of a key to be added the `.pub` file is enough,
//! and one to be removed may be named by its identifier.
//!
//! What cannot be shown is not signed: `show`, `sign` and the server refuse a document with members or
//! kinds of keys that Mainstay does not know, in another spelling than its own, of another
//! `spec_version`, with `succinct_roles`, or with one key under two identifiers. A root and targets may
//! be good for 3,660 days at most and a channel for 366 ([`limits`](crate::limits)); `show` says so of
//! more than twice the usual.
//!
//! A computer remembers of each role the newest version that it has seen published and the newest
//! document that it has signed (`trust/my-app/seen.json` in the directory of keys), network or not.
//! It signs upon nothing older. It signs the same document as often as you like, but no other one of
//! the same version: two of them would split the machines. Where the first has come to nothing (nobody
//! submitted it, and nobody will), `sign --again` says so.
//!
//! | to | say `mainstay trust propose --product my-app --out change.json` and | signed by |
//! |---|---|---|
//! | have 2 of 3 people sign roots | `--add-root-key alice --add-root-key bob --add-root-key carol --remove-root-key root --root-threshold 2` | `root`, and two of the three |
//! | replace a root key | `--add-root-key dave --remove-root-key carol` | two of the old, two of the new |
//! | replace the targets key | `--add-targets-key targets-2 --remove-targets-key targets` | the root keys, `targets-2` |
//! | let another release engineer publish | `--add-release-key erin` (`--channel security` for one channel) | `targets` |
//! | take the right from one | `--remove-release-key erin` | `targets`, and a remaining release key for each channel that only erin had signed |
//! | give an older product an archive | `--add-archive` | `targets` |
//! | have two sign each release | `--add-release-key erin --release-threshold 2` | `targets`, both release keys |
//! | adopt the server's new online keys | `--adopt-online-keys` | the root keys, `targets` |
//! | date lines | `--line 2.4,eos=2027-01-01T00:00:00Z,eol=2028-01-01T00:00:00Z --line 2.3,eol=none` | `targets` |
//! | renew | `--renew root --renew targets --renew bugfix` | the keys of each |
//!
//! **Keys in a token** (PKCS#11: a smart card, a hardware security module, `SoftHSM`). ed25519 and ECDSA on
//! P-256, made with the token's own tools:
//!
//! ```sh
//! mainstay keys token release 'pkcs11:token=acme;object=release?module-path=/usr/lib/softhsm/libsofthsm2.so'
//! ```
//!
//! Where two tokens have one label, `serial=NUMBER` after the label says which; the command that
//! refuses to guess lists the numbers. From then on `release` is that key in every command, and its `.pub` is all that others need. The
//! PIN comes from `MAINSTAY_PKCS11_PIN`, from the file that `pin-source` in the address names, or from
//! the terminal. What a token signs is verified before it is used.
//!
//! **An offline root.** Keep the root keys on a computer without a network. It needs this program, its
//! directory of keys, and the proposal on a memory stick; `show` and `sign` reach for nothing else.
//!
//! **Two release engineers who share no computer.** One runs `mainstay publish … --propose
//! release.json`, which packs, uploads and signs with the key that is there; the other runs `mainstay
//! trust sign release.json --key NAME`; `mainstay trust submit release.json` publishes. Each is shown all of
//! the release before signing. How it spreads nobody signs, so it does not travel with the file: who
//! submits says so, with `--waves`, `--rollout` or `--immediately`. The release is refused when its stamp is
//! older than seven days by then.
//!
//! **New online keys for the server**, as a precaution:
//!
//! ```sh
//! mainstay keys rotate-online --dir /srv/mainstay     # then start the server again
//! mainstay trust propose --product my-app --adopt-online-keys --out keys.json
//! mainstay trust sign keys.json --key root --key targets
//! mainstay trust submit keys.json
//! ```
//!
//! Until the last step the old ones go on signing, product by product. When `mainstay status` names no
//! product any more, the older files in `keys/` may be removed; keep the directory with the highest
//! number.
//!
//! **The server's online keys are lost.** Put them back from a backup if there is one. If not:
//! `mainstay keys rotate-online --dir /srv/mainstay --lost`, start the server, and have every product
//! adopt the new ones as above. In between the server gives out what is still good (plans seven days,
//! timestamps one day) and signs nothing. Machines forget what the lost keys have signed, even
//! versions far ahead. Do the same where the keys were *stolen*.
//!
//! # Retiring releases
//!
//! A machine fetches a channel whole, so a channel lists at most 1,000 targets: one for each release
//! and one for each of its artifacts. `mainstay publish` warns from 900 on, and is refused above
//! 1,000. Old releases then move to the archive:
//!
//! ```sh
//! mainstay release retire --product my-app 1.0.1 1.0.2
//! mainstay release retire --product my-app --before 1.4.0    # all below, but for what must stay
//! mainstay release list --product my-app                     # what is retired, and since when
//! ```
//!
//! No machine is updated to a retired release any more (`machine explain` says `RETIRED`). A machine
//! that has confirmed it runs on with it, can go back to it by itself, and can be ordered back to it:
//! then, and only then, it fetches the archive. What the release is does not change: manifest and
//! artifacts stay as they were signed, and downloads that are under way come to their end. It cannot
//! be undone.
//!
//! Think of customers whose maintenance has ended: the newest release that one of them owns is not
//! installed any more once it is retired, though newer ones are not for them. Machines that have it keep
//! it; a new machine gets the newest that is not retired.
//!
//! These stay, and the command says which and why:
//!
//! - the newest release of each channel (for machines without pre-releases, the newest that is none);
//! - one that sets a rollback floor, unless another release that stays in its channel, on the same
//!   line or a lower one, sets one at least as high: a machine that never looks into the archive must
//!   still learn it;
//! - the last stop on the way to a release with `--min-from`.
//!
//! The archive is a role like a channel: the release keys sign it, it lasts 90 days, `mainstay trust
//! renew` renews it. A retirement by several release engineers goes as a release does: `mainstay
//! release retire … --propose retire.json`, `trust sign`, `trust submit`. A product that was created
//! before there was an archive gets one with
//!
//! ```sh
//! mainstay trust propose --product my-app --add-archive --out archive.json
//! mainstay trust sign archive.json --key targets
//! mainstay trust submit archive.json
//! ```
//!
//! Where the channels have different release keys, `--add-archive=CHANNEL` says whose the archive has.
//!
//! # Custom builds for one customer
//!
//! A private channel lists what was built for one customer ([who gets what](super::entitlements),
//! [what others learn](super::threat_model)). Give each a release key of its own, which need not be on
//! any other computer:
//!
//! ```sh
//! mainstay keys generate builds-1
//! mainstay channel create --product my-app --customer northwind --release-key builds-1
//! mainstay publish --product my-app --version 2.4.8-custom.1 --channel bugfix \
//!   --private-channel vq5k… --release-key builds-1 \
//!   --platform linux-x86_64=build/ --notes notes.md
//! mainstay channel list --product my-app          # whose each is, and what is in it
//! mainstay channel end --product my-app vq5k…
//! ```
//!
//! `create` makes the name, has the server note whose it is, and signs the top-level targets anew, which
//! takes the targets key; with `--propose FILE` it is signed and submitted by the ceremony above. Neither
//! proposal nor targets say whose the channel is. Should something fail in between, repeat the command
//! with `--channel NAME`. Call keys and versions so that nothing lies in that either: of both only the
//! customer sees the version, but the people who sign see the names.
//!
//! All machines of the customer that run the product are given the custom builds, under whichever of its
//! contracts they are. `mainstay trust renew` renews a private channel as it does the others, where its key
//! is here; its keys change with `trust propose --channel NAME --add-release-key …`. Custom builds are not
//! retired: the archive is for more than one customer to see. A channel that lists 1,000 targets is ended
//! after another one was made for the customer: machines that run one of its builds stay on it until the
//! other channel has a higher one, which may name a build of the old channel as its `--min-from`. A
//! build of a channel that has ended keeps no release from being retired.
//!
//! # Dates of lines
//!
//! GA, EOS and EOL of lines ([what they mean](super::entitlements)) are signed in the top-level targets,
//! and change by the ceremony above, several lines at once. `show` says what they were until now, and
//! warns of an end that comes earlier than before or lies in the past, and of a GA that comes later: they
//! take something from customers. Where the keys are in the directory, one command proposes, signs and
//! submits; it asks before such a change, or wants `--yes`:
//!
//! ```sh
//! mainstay product line set --product my-app --line 2.4 --eos 2027-01-01T00:00:00Z --eol none
//! mainstay product lines --product my-app          # dates, newest releases, where each line stands
//! ```
//!
//! Times are whole seconds, with their zone; GA is at most EOS and EOS at most EOL; 250 lines at most can
//! be dated. Decisions go by new dates at once. Servers from before lines could be dated refuse such
//! targets.
//!
//! # Expiry
//!
//! The server renews what it may sign. Root and targets last a year, a channel and the archive 90 days
//! from their last signature; only the vendor can renew them:
//!
//! ```sh
//! mainstay status                                   # what expires when, and what renews it
//! mainstay trust renew --product my-app             # whatever expires within 30 days
//! ```
//!
//! `renew` signs with the keys that are in the directory; where that is not enough it says which
//! proposal to write instead. Run it monthly, and a channel lives on without a release. The log warns
//! at start and when 30, 14 and 3 days are left, from then on daily, and names the command. `mainstay
//! status` exits with 7 when something expires within 3 days, has expired, or cannot be signed because
//! online keys are lost. `/metrics` says the same to a monitoring system. What has expired can still be
//! renewed: nothing is lost but time.
//!
//! # Backing up
//!
//! Stop the server and copy its directory; it holds everything ([`storage`](super::storage)). A copy
//! of a running server's directory may not open. The vendor's keys are not in it: keep them, and the
//! `trust` directory beside them, somewhere else and twice. A server that finds its records but not
//! its newest keys does not start: put `keys/` back.
//!
//! **An older copy was put back, and there is no newer one.** The vendor's commands refuse it: they have
//! seen what came after. `mainstay trust accept-older --product my-app` says what becomes older, asks,
//! and lets this computer go by it; `mainstay trust accept-older change.json` does the same on a
//! computer without a network, for what that proposal is built upon. Then publish again what was lost.
//! A root never becomes older: of two roots of one version, machines that took the one never take what
//! follows the other. Put a copy back that has the newest. Where there is none and one root is lost,
//! `trust/my-app/root.json` beside the vendor's keys is that root: send it back by
//! `POST /v1/products/my-app/metadata` with `{"expected_revision": …, "root": "…"}`, then accept the rest.
//!
//! # Known limits
//!
//! - After an older copy of the server's directory is put back, plan and order numbers may be below
//!   those that machines have seen, and so may timestamps and snapshots. Machines refuse them until the
//!   numbers have caught up; new online keys, adopted, let machines begin anew.
//! - Agents of a version before `retry` and `collect` pass both over: a version that is to be tried again they
//!   refuse once more, and a bundle they do not send. Servers from before refuse reports of `retried`: update
//!   servers first. An agent from before does not read the journal of a machine that has carried a retry out.
//! - A machine's refusal of a version, made before it was ordered to try that again and told only afterwards,
//!   is taken for its refusal of the order, which ends: order it again.
//! - What a support bundle must not have is found by its form, and no program knows every secret
//!   ([`machines`](super::machines#what-support-may-have)). Bundles are not encrypted on the server.
//! - Hooks and health checks run as the user that the agent runs as, and are not confined. What clears its
//!   environment (`env -i`, `sudo`) and outlives an agent that was killed is not found and ended.
//! - Whether a machine can read the data that a release would find is known to the machine alone: the
//!   server goes on offering it a release that it refuses for that reason, unless `--min-from` leads it by
//!   another one; and of a version that the machine ran before, the server lets a rollback be ordered
//!   that the machine refuses where its copy of the data is gone.
//! - Several directories of data are put back one after the other, not in one step; until the next command
//!   after a crash some may be of before and some of after.
//! - Copies of a machine are noticed by what they do ([`entitlements`](super::entitlements)), and
//!   only while they differ: two that run in step under one host name take one seat. Where each was
//!   enrolled with the same key, they take each other's credential in turn.
//! - Who has no seat is not given a release in its plan; a machine that asks for the file of a release
//!   which its contract grants is not refused it.
//! - How much space is free on a machine the server does not know: where a release is too large for it,
//!   the plan names the release all the same, the machine refuses it and says so, and gets no lower one.
//! - What a machine says of itself is believed; a false word costs it a release, or a refusal of its own.
//! - What a program cancels ends when the connection has brought something more, or has been idle for too
//!   long; a pause between two tries is not cut short. The library for C cannot enrol a machine.
//! - A machine that an earlier Mainstay enrolled counts from its next check or report on.
//! - A computer that signs without a network knows what it has seen in proposals, and nothing newer. Two
//!   commands at the same time on one directory of keys may forget what one of them has seen.
//! - A machine that has lost all of `.mainstay/trust`, and not the newest root alone, begins with the
//!   root that it was enrolled with, and would take an older state of a server that still had keys
//!   which were replaced since.
//! - A path pattern knows `*` and `?` and, as the specification has it, no sets in brackets.
//! - An alternative that a denial names may be a retired release; what a machine gets is a later one
//!   of the same channel. The archive is bounded by the 5 MB of a targets role, some 20,000 targets.
//! - The delegation to a private channel that has ended stays in the targets, and `mainstay status` goes on
//!   telling when its manifest expires: renew it for as long as a machine may be ordered back to one of
//!   its releases. A custom build for machines under one contract of several is not possible.
//! - Events that a machine had not sent when it changed customers are reported under the new one.
//! - What is built for one customer can be steered to another's machine by whoever has all of the server's
//!   online keys ([`threat_model`](super::threat_model)).
//! - What is asked for over HTTP/2, or on a connection on which something else was asked before, is not answered
//!   the cheap way ([above](#what-machines-ask)).
//! - A file that is not in the system's memory is read from the disk while other connections of the same
//!   worker wait. A TLS client that stalls holds up to 64 KiB of what was encrypted for it.
//! - Nothing removes blobs that no release names, unfinished uploads, old events or audit records.
//! - On two cores the embedded store makes 14,000 to 24,000 reports a second durable, by what they tell
//!   ([`measurements`](super::measurements)); more than 8,192 that wait are refused with 503.
//! - The server takes more memory than it should: 68 to 75 MB with 10,000 machines that check in, 320 to 420 MB with
//!   1,000,000 ([`measurements`](super::measurements)).
//! - There is no console, no export of the store, and no scale-out over PostgreSQL.
//! - An update takes longer than its slowest stage alone: its one pass 1.24 times in memory and 2.3 times on a
//!   disk, on two cores; what comes before and after not counted ([`measurements`](super::measurements)).
//! - A quota that the file system does not tell of shows when a write fails: nothing is given up to make room
//!   then, and a download that does not fit is begun anew at each poll.
//! - An ended download counts as a failed repair of `mainstay-agent doctor --repair` (19). A file of another
//!   user is reported only where it cannot be read. Where the machine's clock is far behind when a journal is
//!   made anew, the server takes what the machine reports for old, and passes it over, until the clock is set.
//! - Agents of a version before `made_room` do not read a journal in which that waits to be told; servers from
//!   before refuse reports with it.
//! - `rollout plan`, and what is shown before a rollout is acted on, read all machines of the product and hold
//!   them in memory; what a safeguard reaches reads them too. Ask while the server has time.
//! - What an organisation sees of the census costs the more, the more different versions machines of all
//!   customers report.
//! - The address of a webhook is shown to all of the vendor's tokens, and stands in the audit trail: where it
//!   is itself the secret, give the receiver another one. Removing an endpoint removes all of its deliveries
//!   in one step; dead letters are kept until then.
//! - A rollback does not read the tree that it goes back to where nothing has touched that; bytes of it
//!   that decayed on the disk are found only once it runs, by `mainstay-agent verify`
//!   ([`machines`](super::machines)).
//! - Whether names that differ by their case alone are refused by a file system that ignores case is
//!   not tested.
//! - The vendor's programs and the agent are tested on Linux on x86-64 alone.
