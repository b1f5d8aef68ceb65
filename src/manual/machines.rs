//! Looking after machines: the agent, its documents, its exit codes.
//!
//! ```sh
//! mainstay-agent --dir /opt/my-app enroll --server https://updates.example.com \
//!   --product my-app --activation-key mak_… --root-sha256 …
//! mainstay-agent --dir /opt/my-app update
//! ```
//!
//! | command | what |
//! |---|---|
//! | `enroll` | makes the machine's key, introduces it to the server, pins the product's root |
//! | `check` | asks for the plan and verifies it, and looks whether the machine has what an update requires; changes nothing that runs |
//! | `fetch` | checks, and downloads what an update needs, so that `update` has it at hand; changes nothing that runs |
//! | `update` | checks, and carries the plan out |
//! | `run` | checks for as long as it lives, and does what the administrator lets happen by itself |
//! | `approve [V]` | lets `run` install the version that waits for approval |
//! | `collect --output FILE`, `collect --approve` | makes the bundle that support may ask for, to look at it; lets the next check send the one that is asked for ([below](#what-support-may-have)) |
//! | `unit` | prints a systemd unit for this installation |
//! | `confirm` | says that the version on probation works |
//! | `rollback [--to V]` | goes back without being ordered to: to the last confirmed version, or to V |
//! | `unblock V` | lets version V be tried again, which failed here or was left by a rollback |
//! | `recover` | finishes or undoes what a crash interrupted, as every command but `status` does first; needs no network |
//! | `status` | everything that is known, on one screen ([below](#what-status-says)); needs no network, takes no lock, changes nothing |
//! | `doctor [--repair]` | looks for all that is wrong with the installation, also where the others refuse, and repairs what can be; [below](#when-something-is-wrong-doctor) |
//! | `verify` | compares the installed tree with its signed payload; needs no network |
//! | `facts` | what this machine is, as releases may require it; needs no network, takes no lock |
//! | `component set NAME V`, `component remove NAME` | says which other programs are here, where releases depend on them |
//!
//! `--dir` (or `MAINSTAY_DIR`) names the installation:
//!
//! ```text
//! <dir>/versions/2.4.1/…      immutable trees
//! <dir>/current -> versions/2.4.1
//! <dir>/data/                 the program's own data: copied before an update, put back on rollback
//! <dir>/.mainstay/            agent.toml, machine.key and token (0600), trust, journal, cache, snapshots
//! ```
//!
//! # What an update does
//!
//! What the server sends must bring 1024 bytes a second over each minute of waiting, or it is asked for
//! again, four times altogether. `--rate-min BYTES` and `--rate-window SECONDS` (`MAINSTAY_RATE_MIN`,
//! `MAINSTAY_RATE_WINDOW`) set others, for a line that is worse, or for an owner who is less patient.
//! `--answer-timeout SECONDS` (`MAINSTAY_ANSWER_TIMEOUT`) is how long the server has until it has begun
//! to answer: a minute.
//!
//! While the artifact arrives it is written to the cache, hashed, decompressed, hashed again and unpacked
//! beside the versions, where no program looks: one pass, in a few mebibytes of memory beside the window
//! that its release announces. Nothing of it is used before the digests of artifact and payload are those
//! that were signed, and the tree is durable; otherwise the tree is removed. A connection that breaks is
//! gone on with where it broke, and so is the unpacking; where the agent ends, the next one reads what is
//! in the cache, unpacks it anew and fetches the rest. Then the data are copied, `current` is switched by
//! one rename, and the release's own health check runs. Where it fails, takes too long or cannot start,
//! the data are put back, `current` is switched back, the version is blocked here, and the server is told.
//! From the whole tree on each step is written to a journal first: after a crash or power cut at any
//! instant the next command ends in exactly the old version or the new one.
//!
//! # By deltas, or by the artifact
//!
//! Where the plan names deltas ([`deltas`](super::deltas)) upon a version whose tree is kept, the agent fetches
//! these in place of the artifact, if that is expected to be better. The old payload is read from the kept
//! tree, of which there is no second copy, and what the deltas make goes the way that a decompressed
//! artifact goes: it is hashed and unpacked while it is made, in as much memory as applying a delta takes,
//! and nothing of it stays unless it is, bit for bit, the payload that was signed. Of several deltas one upon
//! another, what all but the last one make are files in the cache that have no name, for as long as they
//! are needed.
//!
//! ```
//! # let text = r#"
//! [download]                          # in .mainstay/agent.toml
//! prefer = "bytes"                    # for a link that is paid for by the byte; "time" unless set
//! # "#;
//! # #[derive(serde::Deserialize)]
//! # struct Tables { download: mainstay_client::client::settings::DownloadSettings }
//! # let tables: Tables = toml::from_str(text)?;
//! # assert_eq!(tables.download.prefer, mainstay_client::client::settings::Preference::Bytes);
//! # Ok::<(), toml::de::Error>(())
//! ```
//!
//! - **Which way is tried first.** With `bytes`, the one of which the fewest bytes are still to be fetched. With
//!   `time`, the one that is expected to be over soonest: what is still to be fetched, at the speed of the
//!   downloads before (and no faster than `bytes_per_second_max`), and then the making: at the speed of the
//!   deltas before of the same profile or, while there were none, 20 MB/s for *fast* and 0.3 s/MB for *compact*.
//!   An artifact is unpacked while it arrives, deltas are applied once they are here: over a line that is fast
//!   enough, the artifact wins. While no download was measured, the fewest bytes among fast deltas. Downloads
//!   below 256 KiB are too short to measure, payloads below 1 MiB too. A path is passed over whose profile the
//!   agent does not know, whose tree is not kept, that weighs as much as the artifact, or that could take more
//!   memory than is free: for it that is 64 MiB, four bytes for each of the payload up to 256 MiB, and of
//!   *compact* 64 MiB more.
//! - **What comes to nothing** (a delta that is not there, damaged, for another payload, too slow; a tree that
//!   somebody has changed; no room) is told with its reason, and the next way is tried, at last the artifact.
//!   What has arrived over a connection that broke stays for the next update.
//! - **A tree that somebody has changed** is noticed before anything is fetched, by its seal ([below](
//!   #whether-a-kept-version-is-still-what-was-signed)) and, where that is not what it was, by hashing all of
//!   it; and what is changed after that, by the digest of the old payload, which is compared before anything
//!   is made, or by the digest of the new one. Then the artifact is fetched, all of it: a delta is for one old
//!   payload. The reason names what was changed since the tree was put in its place, as far as the times tell
//!   that the system stamps files with.
//!
//! `check` says by which way an update is expected to come, `update` by which it came (`way` of the document: `by`
//! is `delta` or `full`, `bytes`, `artifact_bytes`, `failed`), `status` the last one; the server is told with
//! `installed` (`fetched`). A server from before there were deltas refuses that: update servers first.
//!
//! One agent or program at a time works on an installation (`.mainstay/lock`); another ends with 31, or
//! waits: `--lock-wait SECONDS` (`MAINSTAY_LOCK_WAIT`), 1 unless set, and 60 for `confirm` and `run`.
//!
//! # Whether a kept version is still what was signed
//!
//! When a release is unpacked, each byte is hashed and compared with what was signed. When its tree is in
//! its place, the journal takes its *seal*: one digest over every name in it and over what the file
//! system says of each file: inode, permissions, length, and when it was written to and last changed in
//! any way. Where a rollback, or an update that was put off, lets a kept tree run, and the seal is what it
//! was, the tree is not read again, so that the way back does not take longer the larger a release is: it
//! looks at each name, not at each byte. Where the seal is another one, or there is none (the installation
//! was copied, permissions were set, an older agent wrote the journal), the whole tree is hashed as it was
//! when it was unpacked, sealed anew if it is intact, and else fetched again.
//!
//! - **What a seal notices:** whatever is written to a file, put in its place, added, removed, renamed or
//!   given other permissions or another owner, by whomever. That sets the time of the file's last change
//!   (`ctime`), for which there is no system call; to set the time of its last writing (`touch`) does not
//!   hide it. Git tells by the same which files it need not read.
//! - **What it does not notice:** bytes that decay on the disk; an administrator who sets the machine's
//!   clock back and hits the very nanosecond, or writes to the disk beneath the file system; in file systems
//!   in memory (tmpfs), what is written through a mapping. Who can do that can also write to the tree that
//!   runs.
//! - **Time that moves in steps:** file systems tell it in steps of some milliseconds, a few of them in
//!   seconds, and two changes within one bear the same time. So a tree is sealed only if all of it was last
//!   changed in an earlier step than something that was changed beside it, on the same file system, before
//!   it was looked through. Where it was not, there is no seal, and the tree is hashed the next time.
//! - **Inodes that are numbered anew**, as in some network file systems: the seal does not match, and the
//!   tree is hashed.
//!
//! `mainstay-agent verify` goes by no seal: it reads every byte of what runs.
//!
//! # As a service
//!
//! ```sh
//! mainstay-agent --dir /opt/my-app unit > /etc/systemd/system/my-app-updates.service
//! systemctl daemon-reload && systemctl enable --now my-app-updates
//! journalctl -u my-app-updates
//! ```
//!
//! `run` checks as often as the server asks for, a tenth sooner or later, and at once on SIGHUP
//! (`systemctl reload`). Where the server cannot be reached it waits for half a minute, and twice as long
//! each time, up to an hour; a server that says `Retry-After` is left alone for as long. SIGTERM ends
//! a download, of which what has arrived is kept, and lets an installation come to its end. What came of
//! a check is told once, not again each time. Between two checks it holds no lock: the other commands
//! work beside it.
//!
//! What happens by itself is the administrator's to say, in `.mainstay/agent.toml`, which is read anew at
//! each check, and in which `enroll` changes nothing of this:
//!
//! ```
//! # let text = r#"
//! [updates]
//! trees_kept = 3                      # confirmed versions; what runs and what ran before always stay
//!
//! [updates.channels]
//! security = "auto"                   # installed
//! bugfix = "auto"
//! feature = "ask"                     # waits for `mainstay-agent approve`
//! major = "download"                  # the same, but is downloaded meanwhile
//! private = "off"                     # custom builds: only by `mainstay-agent update`
//!
//! [[updates.windows]]                 # updates at these times alone; without any, at any time
//! days = ["sat", "sun"]               # every day unless set
//! from = "22:00"
//! until = "04:00"                     # on the next day, where it is not after `from`
//! zone = "UTC"                        # or Europe/Berlin, …
//!
//! [network]
//! proxy = "http://proxy.example.com:3128"   # also `enroll --proxy`; no environment variable is read
//! bytes_per_second_max = 1_000_000
//! # "#;
//! # #[derive(serde::Deserialize)]
//! # struct Tables {
//! #     updates: mainstay_client::client::settings::UpdateSettings,
//! #     network: mainstay_client::client::settings::NetworkSettings,
//! # }
//! # let tables: Tables = toml::from_str(text)?;
//! # assert_eq!(tables.updates.trees_kept, Some(3));
//! # assert!(tables.network.proxy.is_some());
//! # Ok::<(), toml::de::Error>(())
//! ```
//!
//! Unless set, `security` and `bugfix` are `auto` and the others `ask`. Outside of the windows an update
//! is downloaded and waits, approved of or not. **A technician's order to roll back waits for nothing**,
//! neither window nor approval: what runs is broken. `update`, by hand, does not ask either.
//!
//! The unit lets the agent write to the installation and to the directories of data, and nowhere else
//! (`ProtectSystem=strict`, no new privileges). Hooks and health checks are held to that too: where one
//! has to write elsewhere, add the place to `ReadWritePaths`.
//!
//! # What `status` says
//!
//! ```text
//! acme-db: 2.4.0 runs since 2026-03-01T12:00:00Z.
//! Machine: m-0001 of initech, contract initech-2026, served by https://updates.example.com
//! Checked: 2026-06-02T08:15:00Z; plan 7, which counts until 2026-06-08T12:00:00Z
//! Offered: update to 2.4.1 (bugfix); 2.4.1 waits for the window that opens at 2026-06-06T22:00:00Z
//! Withheld: 2.5.0 (feature), PINNED: The machine is pinned to 2.4.x by support (SUP-17).
//! Support: of line 2.4 until 2027-01-01T00:00:00Z; it lives until 2028-01-01T00:00:00Z
//! Notice: The paid time of contract initech-2026 ends on 2026-07-01. (CONTRACT_ENDS)
//! Kept: 2.4.0, 2.3.9; the way back leads to 2.3.9; no rollback below 2.3.0
//! Last fetched: 2026-03-01T12:00:00Z, 2.4.0, by a delta of 12.0 KiB in place of 3.9 MiB
//! Last failure: 2026-06-02T07:45:00Z, network: the connection to /v1/check failed: …
//! ```
//!
//! What is on probation, under way or blocked, the last update that was undone and the last document or
//! order that broke a rule stand there too, where there are such. Of lists five entries are shown, of
//! reasons the beginning; `--json` has all of it. All is read from what the last check and the commands
//! since have left on the disk, so it is as old as `Checked` says.
//!
//! - **Offered** is what of the plan is still to be done, by this machine's rules and settings as they are
//!   now, and what `run` waits for: `approval`, a `window`, the `confirmation` of what is on probation, or a
//!   `command`, where the channel is `off`. What stood in the way when that was last looked at (something
//!   that the release requires, the administrator's command) is said instead.
//! - **Withheld** says who holds or pins the machine, too (`HELD`, `PINNED`), where that keeps a release from it.
//! - **Support** comes from the dates that the vendor has signed. **Notice** is what the server has to say.
//! - **Instants** are UTC and those of the machine's clock as it went then; nothing is decided by them. Since
//!   when a version runs is when `current` was made to lead there. The others are in
//!   `.mainstay/history.json`: where that is missing or damaged they are not known, and that is all.
//!
//! # Before anything is downloaded
//!
//! Of an update the agent fetches the release's manifest first, and nothing else until all of this is
//! so. What is missing is told all at once, `check` and `update` end with 18, the server is told
//! `refused`, and what runs runs on. Nothing is blocked: the next `check` or `update` looks again. The way back
//! is never asked about.
//!
//! - The machine has what the release requires (`[requires]`, below): kernel, C library, other programs.
//! - There is room, or can be made ([below](#where-there-is-little-room)).
//! - The administrator's own command agrees, where `.mainstay/agent.toml` names one:
//!
//! ```
//! use mainstay_client::client::{FactsReport, PreflightSettings};
//!
//! # #[derive(serde::Deserialize)] struct Settings { preflight: PreflightSettings }
//! let settings: Settings = toml::from_str(
//!     r#"
//! [preflight]
//! command = ["/usr/local/sbin/may-update"] # an absolute path, or a program in PATH
//! timeout_seconds = 60                     # 60 unless set, 3600 at most
//! facts = "withheld"                       # what the machine is is not told; "sent" unless set
//! components = { postgres = "15.4.0" }     # counts before what `component set` has said
//! "#,
//! )?;
//! assert_eq!(settings.preflight.facts, FactsReport::Withheld);
//! # Ok::<(), toml::de::Error>(())
//! ```
//!
//! The command runs in the root of the installation, as the user that the agent runs as, with standard
//! input closed and in a process group of its own, of which nothing is left. It sees `PATH`, `HOME`,
//! `MAINSTAY_HOOK` (`preflight`), `MAINSTAY_PRODUCT`, `MAINSTAY_VERSION`, `MAINSTAY_CHANNEL` and
//! `MAINSTAY_SEVERITY` of what is offered, `MAINSTAY_PREVIOUS_VERSION` (what runs, if anything),
//! `MAINSTAY_ROOT` and `MAINSTAY_DATA`. Exit status 0 means go; 21 *not now*: `check` and `update` end with
//! 16, and the server is told `deferred`; anything else, to take too long, or not to start is no consent,
//! which counts as missing. The last 2 KiB of its output are shown and reported. `check` asks it too. The
//! vendor's own check before an update is the release's `[hooks.before]`: it is part of the release, so it
//! runs after the download, and before anything is changed.
//!
//! The settings stay when the machine enrols again. An installer of another program says durably what it
//! has installed with `mainstay-agent component set postgres 15.4.0`; at most 64 are known.
//!
//! The agent tells the server with each check what `mainstay-agent facts` shows, so that the plan names the
//! highest release that the machine can run, and says `REQUIREMENT` of those above it; `machine show` and
//! `machine explain` show both. With `facts = "withheld"` the server knows nothing, forgets what it knew, and
//! may offer what the machine then refuses. How much space is free is never told. The distribution is the
//! one that `/etc/os-release` names; the kernel is the one that runs; the C library is the one that `/bin/sh`
//! is linked with, by what it says of itself (`getconf`, or its loader), which is remembered in
//! `.mainstay/libc.json` for as long as the loader is the same file. What cannot be found out is missing to
//! a release that requires it.
//!
//! # Where there is little room
//!
//! Needed is room for the download (of the way that needs least, with what is made between its deltas), the tree, two copies of the data (which take none where copies share
//! their blocks), what the release asks for besides, and a spare that stays free whatever is installed. It is
//! added up for each file system that is written to: that of the installation, and where they are others
//! those of `.mainstay/cache` and of the directories of data. What has arrived already is not counted again.
//!
//! ```
//! # let text = r#"
//! [disk]                              # in .mainstay/agent.toml
//! spare_bytes = 1_000_000_000         # of each file system; 16 MiB unless set
//! # "#;
//! # #[derive(serde::Deserialize)]
//! # struct Tables { disk: mainstay_client::client::settings::DiskSettings }
//! # let tables: Tables = toml::from_str(text)?;
//! # assert_eq!(tables.disk.spare_bytes, Some(1_000_000_000));
//! # Ok::<(), toml::de::Error>(())
//! ```
//!
//! Where that is more than is free, `update`, `fetch`, `run` and `rollback` give up what they can do without,
//! one after the other, until it suffices and no further:
//!
//! 1. downloads, whole and partial, that are not of the release that is to be installed;
//! 2. kept versions, with the copies of the data as they were when these were left: first those that were
//!    never confirmed here, then those that were confirmed longest ago.
//!
//! Never what runs, the last two versions that were confirmed, the version that `rollback` leads to and the
//! copy of the data that belongs to it, nor anything while a version is on probation. What a crash or
//! a failure has left half done needs no order: every command but `status` removes it first. Nothing is given
//! up where all of it would not suffice, where something else stands in the way, or by `check`. What was is in
//! `given_up` of the document, and the server is told `made_room`. A rollback that a technician orders to a
//! version that was given up fetches it again, for which room is made in the same way; so it is for a kept
//! version that somebody has changed. For a rollback what the release asks for besides need not be free.
//!
//! Where it does not suffice, `space` is missing: 18, with how much at which path; a rollback ends with 35. `run`
//! says so once, whatever the numbers are at its later looks, and looks again as often as the server asks for.
//!
//! Something else may fill the disk after all of that has been looked at, or a quota may be used up of which
//! the file system does not tell (those of users, and of Btrfs): then the command ends with 35 and the
//! code `space`, the message names the file system, and what runs runs on. What has arrived of a download is
//! removed, since there is no room for the rest; a download that is whole stays, and the next try unpacks
//! it; what was unpacked is removed. Nothing is given up then, for nobody can say how much would suffice.
//!
//! # What is not tried for ever
//!
//! - A version that failed here, or was left by a rollback, is blocked: no update installs it again,
//!   until `mainstay-agent unblock VERSION`, which also tells the server, or until support orders from
//!   afar that it be tried once more (`mainstay machine retry`). What a technician ordered the machine away
//!   from stays away whatever the machine says.
//! - Such an order is in the signed plan, and is carried out once: its number is noted in the journal by the
//!   same write that lifts the block and forgets what was counted for the version, so that neither a crash
//!   nor a plan that is sent again lifts a block twice. The version is then installed by the ordinary rules:
//!   windows, approval (one that was given before counts still), requirements, preflight. Where it fails
//!   again it is blocked again. It lifts the block of a version that was left by a rollback too, also by one
//!   that somebody at the machine wanted. After five such orders for one version the machine refuses more
//!   (`refused`), until somebody at it says `unblock`.
//! - What broke off for a reason of the machine's (a power cut, a full disk) is tried again. Where the
//!   machine stops three times in a row while one version is being switched on and checked, that is
//!   taken for a failure of the version.
//! - Where to undo an update is itself cut off five times in a row, the version before runs again with
//!   the data as the update left them; their copy from before is laid aside as
//!   `.mainstay/unrestored-N`, which nothing removes, and the server is told. An undoing that ends with
//!   an error (no space) is tried again at each command, for as long as it takes.
//!
//! # What the server is told
//!
//! | event | when |
//! |---|---|
//! | `installed` | the version was switched on and passed its check; with `fetched`, by which way its payload came |
//! | `confirmed` | it is confirmed, or need not be |
//! | `undone` | it failed; what ran before runs again, and why |
//! | `interrupted` | its installation broke off for a reason of the machine's, and which; the same reason is told once |
//! | `rolled_back` | the machine went back, by which order, and why |
//! | `deferred` | the release, or the administrator's command, said not now |
//! | `refused` | it would not do what its plan said, or lacks what the release requires, and why; the same is told once |
//! | `lost` | the tree that should run is gone |
//! | `made_room` | kept versions or downloads were given up for want of space, and which |
//! | `unblocked` | somebody at the machine lifted a block |
//! | `retried` | the machine lifted a block by an order of support's, by which, and what had been blocked |
//!
//! Events are numbered and kept in the journal until the server has taken them, the newest 100; they go
//! with the next `check` or `update`.
//!
//! Each `check` says also what runs, the agent's version, [what the machine is](#before-anything-is-downloaded)
//! unless that is withheld, and what it waits for with what an earlier check brought: an approval, the next
//! window and when that opens, a confirmation, or a command (`status` says the same as `waits_for`). So the vendor's support sees
//! that nothing is wrong with a machine on which an update is not installed yet. Of the settings nothing
//! further is told: which windows there are, and what is done with a channel of which nothing is offered, stays
//! on the machine. `facts = "withheld"` is about what the machine is and does not change it: like the events
//! this is what becomes of the vendor's own offer.
//!
//! # What support may have
//!
//! Support can ask a machine for a *bundle*: one file with what is needed to see why something does not
//! work. Whether one leaves the machine its administrator decides, in `agent.toml`:
//!
//! ```toml
//! [support]
//! collect = "ask"      # or "forbid", "allow"
//! ```
//!
//! `ask` holds unless something else is set: nothing leaves a machine of which nobody has decided anything.
//! `status` and `check` tell then that support asks, why and until when; `mainstay-agent collect --output
//! FILE` makes the same bundle for somebody to look at, and `mainstay-agent collect --approve` lets the next
//! check (of `check`, `fetch`, `update` or `run`) send the one that is asked for now, and no later one. With
//! `forbid` none is made, and support is told that the administrator forbids it; with `allow` it is sent at
//! once. A request ends by itself after seven days, each is answered once, and a bundle that could not be
//! sent is made anew at the next check. A program that checks by the library sends one likewise.
//!
//! A bundle is a tar file that is compressed by zstd, at most 4 MiB, of these files:
//!
//! | file | what it holds |
//! |---|---|
//! | `bundle.json` | of which machine, by which order, when; in how many places something was removed, and of which files there was more |
//! | `status.json`, `doctor.json` | what `status --json` and `doctor --json` say |
//! | `journal.json` | the journal: what was tried, and what hooks and health checks printed last |
//! | `history.json` | what happened when: the last failure, undone update, refusal |
//! | `versions.json`, `metadata.json` | the versions that are kept; the versions of what the machine trusts |
//! | `agent.toml` | the settings, without comments |
//! | `facts.json` | what the machine is; absent where `[preflight] facts` is `withheld` |
//! | `environment.json` | of the agent's environment the values of `HOME`, `LANG`, `LANGUAGE`, `LC_ALL`, `LC_CTYPE`, `LC_MESSAGES`, `LOGNAME`, `PATH`, `SHELL`, `TMPDIR`, `TZ`, `USER` and of the agent's own `MAINSTAY_ANSWER_TIMEOUT`, `MAINSTAY_DIR`, `MAINSTAY_LOCK_WAIT`, `MAINSTAY_RATE_MIN`, `MAINSTAY_RATE_WINDOW`; of all other variables the names alone |
//! | `disk.json` | how much space there is, and how much is free |
//!
//! The program's data, the machine's key and its credential are in none of them. All that is in them goes
//! through a scrubber first, which puts `[removed]` in the place of: the machine's own credential and key
//! wherever they stand; private keys in PEM; user and password in addresses; what follows names that contain
//! words such as password, secret, token, credential, authorization, cookie, or end with a word such as key,
//! pass, auth, in settings, command lines, headers and any text; what looks like a token of Mainstay's or a
//! signed one (JWT). It takes too much rather than too little, and cannot know a secret that looks like an
//! ordinary word: look at the bundle where hooks print such things.
//!
//! # Enrolling again
//!
//! `enroll` on a machine that is enrolled renews its credential, and what it runs and trusts stays. The
//! root that it has pinned is the one it takes: where the server has another, `enroll` ends with 34
//! (`digest`), unless `--root-sha256` says that this one is right; ask the vendor, not the server.
//!
//! A machine whose copy of the newest root is lost follows the roots again from the first one. Where
//! they end before the newest that it had trusted, it ends with 34 (`rollback`): somebody may be keeping
//! the others from it. Where the vendor confirms that there are no others any more, enrol again.
//!
//! A disk that was copied has the key of the machine that it was copied from. `enroll --new-machine` on
//! the copy makes a new key: it is another machine from then on, which keeps what it runs. Should the
//! server's answer get lost, enrol once more without `--new-machine`. A machine that the vendor has
//! retired is refused (`MACHINE_RETIRED`) until it is enrolled again.
//!
//! # What a release brings with it
//!
//! `mainstay.toml` at the root of the release's tree says how the release is looked after;
//! `mainstay publish` signs what it says into the manifest, and refuses what makes no sense or names a
//! program that is not in the tree.
//!
//! ```
//! use mainstay_client::format::ReleaseDescription;
//!
//! let description: ReleaseDescription = toml::from_str(
//!     r#"
//! [health]
//! command = ["bin/my-app", "--self-test"] # below the tree, or a program in PATH
//! timeout_seconds = 30                    # of one run; 60 unless set, 3600 at most
//! grace_seconds = 20                      # a failure so soon after the switch does not count; 0
//! retries = 2                             # so many failures are put up with; 0 unless set
//! retry_after_seconds = 5                 # between two runs; 1 unless set
//! confirm_within_seconds = 600            # optional: the program must also say that it works
//!
//! [hooks.before]                          # while the old version runs, before its data are copied
//! command = ["bin/my-app", "--stop"]
//! timeout_seconds = 120                   # 60 unless set, 3600 at most
//!
//! [hooks.after]                           # after the switch, before the check
//! command = ["bin/my-app", "--start"]
//!
//! [requires]                              # of the machine, before anything is downloaded; all optional
//! kernel = "5.10"                         # that or later
//! glibc = "2.31"                          # that or later; with `musl` beside it, either will do
//! musl = "1.2"
//! free_bytes = 1073741824                 # besides download, tree and data; 1 PiB at most
//!
//! [requires.components]                   # as `mainstay-agent component set` names them; 64 at most
//! postgres = ">=15.2, <17"                # a range as Cargo has it: "15" is ">=15.0.0, <16.0.0"
//! "#,
//! )?;
//! assert!(description.problems().is_empty());
//! assert_eq!(description.health.unwrap().retries, 2);
//! # Ok::<(), toml::de::Error>(())
//! ```
//!
//! Manifests from before there were hooks or requirements mean what they meant. An agent from before them
//! refuses a release that has some.
//!
//! **How they run.** In the release's tree as the working directory, as the user that the agent runs
//! as, with standard input closed, in a process group of their own, of which nothing is left when they
//! end. They see these variables and nothing else of the agent's environment:
//!
//! | variable | value |
//! |---|---|
//! | `PATH`, `HOME` | the agent's |
//! | `MAINSTAY_HOOK` | `before`, `after`, `check` |
//! | `MAINSTAY_VERSION` | the version whose program it is |
//! | `MAINSTAY_PREVIOUS_VERSION` | the version that is left, if any |
//! | `MAINSTAY_ROOT` | the installation |
//! | `MAINSTAY_DATA` | `<root>/data` |
//! | `MAINSTAY_DATA_DIRS` | every directory that is copied and restored, one a line |
//! | `MAINSTAY_RUN` | names the attempt |
//!
//! **What they say.** Exit status 0 means that all is well. 21 means *not now*: nothing is blamed on the
//! release, what ran before runs on (or again, with its data), `update` ends with 16, the server is told
//! `deferred`, and the next `update` tries again without fetching anything anew. Anything else, or to
//! take too long, is a failure: of `before`, with nothing changed; of `after` or the check, and the
//! update is undone. A version that failed is blocked. The last 16 KiB of the output are kept, and
//! 4,096 characters of them reported; what passing hooks print is reported with `installed`.
//!
//! **When else they run.** `after` of the version that runs again runs once more when a change is undone,
//! put off, or given up after `before` had begun: what the one has stopped, the other starts. Hooks
//! belong to the version that is switched to, on the way back too. After a crash they may run again, so
//! they must bear that.
//!
//! They must not call the agent, except for `status`: it would wait for the lock that their own agent
//! holds. The program confirms when it has been started, not from a hook.
//!
//! **What a killed agent leaves.** The next agent finds every process of the attempt by `MAINSTAY_RUN` in
//! its environment, in whatever group or session, and ends it before it recovers. A daemon that a hook
//! is to leave behind must be started by a service manager, or in a session of its own.
//!
//! # Probation
//!
//! With `confirm_within_seconds` the version stays on probation until `mainstay-agent confirm`; the
//! first command after the time is over undoes it. The time is that of the running machine
//! (`CLOCK_BOOTTIME`): setting the clock neither shortens nor lengthens it. After a restart it goes on
//! with what remained when an agent last looked; the time that the machine is off does not count. A
//! machine that is started more than five times on probation has failed it. The `deadline` in documents
//! is for people: what the clock would show. `status` has the rest in `probation.watch`
//! (`remaining_seconds`, `starts`, and when that was: `boot`, `uptime_seconds`).
//!
//! # The program's data
//!
//! `<dir>/data` is copied before every switch and put back when an update is undone. More directories
//! are named in `.mainstay/agent.toml`, which enrolling again leaves as it is there:
//!
//! ```toml
//! [data]
//! directories = ["var/db", "/var/lib/my-app"]  # absolute, or below the installation
//! snapshot_bytes_max = 10000000000             # more is not copied: the update is refused; unlimited
//! snapshots_kept = 3                           # copies that stay, the newest
//! ```
//!
//! A copy shares its blocks with the original where the file system can do that (Btrfs, XFS), and takes
//! space otherwise, which is looked for beforehand: twice the data, for the copy and for what an undoing
//! makes of it. Each directory must stand by itself, on the file system of its parent, so not be a mount
//! point: it is put back beside itself and exchanged in one step, one directory after the other, and
//! again from the beginning where that was cut off. Owners, permissions, times, extended attributes
//! (access control lists among them), symbolic links and hard links within a directory are kept, owners
//! and attributes as far as the agent's user may set them; sockets, fifos and devices are left out; holes
//! in sparse files are filled where blocks cannot be shared. The program must be at rest meanwhile: stop
//! it in `hooks.before`.
//!
//! A release can say which forms of the data it can read, and which it leaves them in. The vendor counts
//! these *epochs* up whenever an older release could not read what a newer one writes:
//!
//! ```toml
//! [data]                                       # in mainstay.toml
//! reads = { from = 5, to = 7 }
//! writes = 7
//! ```
//!
//! An update that could not read what it would find is refused before it is fetched (34, `data`). So is a
//! rollback, unless the machine still has a copy of data that the version can read, which it then puts
//! back; to a technician it is refused where the machine never ran the version and so cannot have one,
//! and where it may have one the order carries a `caution` (`machine rollback`, `machine show`).
//! Where a release says nothing, nothing is checked. Give a release whose predecessors must be stopped at
//! on the way `--min-from`, so that machines are led there.
//!
//! # Going back
//!
//! A rollback, ordered or local, puts back the data as it was when the version was left, where that
//! copy is still kept; what the data was just before is itself copied first. It never goes below the
//! floor that the vendor signed. The version that was left is not installed again; a later one is.
//!
//! # Exit codes
//!
//! | code | meaning |
//! |---|---|
//! | 0 | done |
//! | 10 | up to date, nothing changed |
//! | 11 | `check`: an update is offered |
//! | 12 | `check`: a rollback is ordered |
//! | 13 | installed, on probation until it is confirmed |
//! | 14 | the update failed its probation and was undone |
//! | 15 | up to date, nothing changed; newer releases are withheld, and it says why |
//! | 16 | the release, or the administrator's command, asked to be tried again later; nothing changed |
//! | 17 | `verify`: the installed files are not those that were signed |
//! | 18 | the release cannot be installed on this machine, and it says what is missing; nothing changed |
//! | 19 | `doctor`: something is (still) wrong with the installation |
//! | 30 | the machine is not enrolled |
//! | 31 | another agent holds the installation's lock |
//! | 32 | the server could not be reached |
//! | 33 | the server refused |
//! | 34 | a document or an order broke a rule of this machine |
//! | 35 | the disk, a permission, or another matter of this machine |
//! | 36 | what was asked for makes no sense |
//! | 37 | ended by its caller before it was done; what has arrived is kept |
//! | 1, 2 | anything else; the command line was not understood |
//!
//! # `--json`
//!
//! Exactly one document on standard output, whatever the command and however it ends. Members that do
//! not apply are left out. [Below](#--jsonstream), the same with progress.
//!
//! | `outcome` | of | further members |
//! |---|---|---|
//! | `enrolled` | enroll | `server`, `root_sha256` |
//! | `up_to_date`, `withheld` | check, fetch, update | `version_from` (what runs), `withheld`, `notices` |
//! | `update_offered` | check | `version_from`, `version_to` |
//! | `rollback_ordered` | check, fetch | `version_from`, `version_to`, `order` |
//! | `fetched` | fetch | `version_from` (what runs), `version_to` (what is here and can be installed) |
//! | `missing` | check, fetch, update | `version_from` (what runs), `version_to` (what is offered), `missing` |
//! | `recovered` | recover | `version_from` (what runs), `message` where something was to be mended |
//! | `unblocked`, `not_blocked` | unblock | `version_to` |
//! | `committed` | update, confirm | `version_from`, `version_to` |
//! | `not_on_probation` | confirm | `version_from` (what runs) |
//! | `probation` | update | `version_from`, `version_to`, `deadline` |
//! | `undone` | update, rollback | `version_from` (the failed one), `version_to` (what runs), `message` |
//! | `deferred` | check, fetch, update, rollback | `version_from` (what runs), `version_to` (the one that said not now), `message` |
//! | `rolled_back` | update, rollback | `version_from`, `version_to`, `order` where there was one |
//! | `status` | status | `status` |
//! | `intact`, `modified` | verify | `version_from`, `tree` |
//! | `collected` | collect `--output` | `message` (the file) |
//! | `collection_approved` | collect `--approve` | `message` |
//! | `facts` | facts, component | `facts` |
//! | `well`, `unwell`, `repaired` | doctor | `doctor` |
//! | `error` | all | `code`, `kind`, `message`, `retryable` |
//!
//! All have `machine`, `product`, `customer` and `contract` once the machine is enrolled, and `message`,
//! a sentence. `withheld` lists `{version, channel, code, message, alternative}`. `missing` lists `{what,
//! required, found, path, message}`; `what` is `kernel`, `libc`, `component NAME`, `space` (in bytes, at
//! `path`) or `consent`. `given_up` lists `{what, version, bytes, message}` where something was given up for want
//! of space; `what` is `download` or `version`. `collection` is `{order, outcome, message}` where support has asked
//! for a bundle (check, fetch, update, run); `outcome` is `sent`, `awaits_approval`, `forbidden` or `failed`.
//! `facts` is as the machine tells it ([wire formats](super::wire_formats)).
//!
//! `doctor` has `findings`, what is (still) wrong: `{what, path, message, repairable, repair, needs_server}`,
//! where `what` is a code of the [table below](#when-something-is-wrong-doctor); and with `--repair` also
//! `repairs`, what was tried: `{what, path, outcome, message}`, where `outcome` is `done` or `failed`.
//!
//! `status` in that document has `running`, `running_since`, `probation`, `confirmed`, `kept`, `way_back`,
//! `blocked`, `floor`, `plan` (as it was signed), `offered` (`{action, version, channel, order, waits_for,
//! opens, message}`: what of it is still to be done), `lines` (`{line, eos, eol}` of what runs and of what is
//! offered), `history` (`checked`, and as `{at, version, code, message}` `obstacle`, `failed`, `undone`,
//! `refused`), `pending_events`, `server`, `stage` (`idle`, `fetched`, `staged`, `preparing`, `switching`,
//! `probation`, `undoing`) and `attempted`, the version that the stage is about. A stage other than `idle` and
//! `probation` means that another agent is at work, or that one was cut off: the next command mends it.
//!
//! # `--json=stream`
//!
//! What a program in another language reads that shows how far an update has come: one document a line,
//! each written as soon as it is so. The last line is the document that `--json` would have printed, and
//! the exit code is the same. Nothing but `fetch`, `update`, `rollback`, `run` and `doctor --repair` goes on
//! for long; of the others it is one line. Lines before the last have these outcomes; skip those that you do not know:
//!
//! | `outcome` | of | further members |
//! |---|---|---|
//! | `downloading` | fetch, update, rollback, run, doctor | `received` and `length`, in bytes: of a download the first, the last, and one for each hundredth |
//! | `repairing` | doctor | `doctor`: in `findings` what is about to be repaired |
//! | `installing` | update, rollback, run, doctor | `version_to`; unpacking, switching, hooks and the health check follow |
//!
//! ```text
//! {"outcome":"downloading","received":0,"length":73400320}
//! {"outcome":"downloading","received":786432,"length":73400320}
//! …
//! {"outcome":"installing","version_to":"2.4.1"}
//! {"outcome":"committed","machine":"m-…","version_from":"2.4.0","version_to":"2.4.1",…}
//! ```
//!
//! `run` prints one document a line in any case, whenever something has come of it; with `--json=stream`
//! these lines too.
//!
//! SIGINT or SIGTERM ends what `check`, `fetch`, `update` or `rollback` is fetching, as soon as the connection
//! brings something more: the last line is an error with the code `cancelled`, the exit code 37, and the
//! next command goes on with what has arrived. An installation that has begun comes to its end. A second
//! signal ends the agent at once; the next command mends what that left. In Python:
//!
//! ```python
//! command = ["mainstay-agent", "--dir", "/opt/my-app", "--json=stream", "update"]
//! with subprocess.Popen(command, stdout=subprocess.PIPE) as agent:
//!     for line in agent.stdout:
//!         told = json.loads(line)
//!         if told["outcome"] == "downloading":
//!             show(told["received"] / told["length"])  # agent.terminate() ends it
//! print(told["outcome"], agent.returncode)
//! ```
//!
//! # When something is wrong: doctor
//!
//! ```sh
//! mainstay-agent --dir /opt/my-app doctor            # looks, and changes nothing
//! mainstay-agent --dir /opt/my-app doctor --repair   # says what it will do, does it, says what is left
//! ```
//!
//! `doctor` looks at everything that it can look at, also where every other command refuses because the
//! settings or the journal cannot be read, and tells all that is wrong at once. It needs no network, waits
//! for no lock, and reads every byte of every kept version. It ends with 0 where nothing is wrong and with 19
//! where something is; with `--repair`, with 0 where nothing is left and with 19 where something is.
//!
//! While another agent is at work, `--repair` ends with 31. To look passes over everything that would be
//! `left_over` otherwise, since the other agent may be just making it: an update that is downloaded and
//! unpacked is nothing wrong. From its installation on until that has come to its end it is found `unfinished`.
//!
//! What can be repaired is repaired from what the vendor signed, or from what the installation itself
//! proves. Nothing is guessed: what neither proves is said and left. Each repair can be cut off at any instant;
//! the next `doctor --repair` goes on.
//!
//! | `what` | what is wrong | what `--repair` does |
//! |---|---|---|
//! | `permissions` | Mainstay's own files or directories, or the root of a version, have other permissions than Mainstay gives them | gives them back |
//! | `missing` | one of Mainstay's directories is gone | makes it |
//! | `unreadable` | something belongs to somebody else | nothing: `chown` it, or run the agent as the user that owns the installation |
//! | `obstructed` | something else stands in a place of Mainstay's, a symbolic link among others: what that leads to is neither looked at nor changed | nothing: move it away |
//! | `journal` | the journal was damaged, edited by hand, or is gone | makes it anew of what is proven, [see below](#a-journal-made-anew) |
//! | `journal_format` | a newer agent wrote the journal | nothing: use that agent |
//! | `unfinished` | a change was cut off | finishes or undoes it, as any command does first |
//! | `tree_changed`, `tree_missing` | a kept version is not, bit for bit, what was signed | fetches the release of that very version, verified down from the pinned root, and puts its tree in place in one step |
//! | `current` | the link is gone, dangles, or points elsewhere | points it to what the journal says runs, if that is intact |
//! | `left_over` | a crash left something, or nothing names it any more | removes it |
//! | `trust` | a copy of what is trusted is not what anybody signed who may, or a number that was noted is none | fetches it anew and verifies it; removes what can only come with the next check |
//! | `settings` | `agent.toml` is wrong: line, column, key, and the key that may have been meant | nothing: people write that file. Where it is gone, enrol again |
//! | `credential` | the token or the machine's key is gone or is none | nothing: enrol again. That a token is right in itself and unknown to the server shows when the server is asked |
//!
//! Whoever edits `agent.toml` may let others read it: 0600 to 0644 are borne with. Directories that are made
//! as the umask has it are borne with as long as their owner has all rights and, of `versions`, nobody else
//! may write to it.
//!
//! **A version that is retired** is found in the archive. Where the vendor has revoked it, or the contract
//! does not grant it any more, the server keeps it back and the finding stays: update, or roll back.
//! **Where the file system cannot exchange two paths in one step** (some network file systems), there is no
//! tree for an instant while it is replaced; should the machine stop right there, let `doctor --repair` be
//! the next command: any other takes the version for lost and goes by the next plan.
//!
//! ## A journal made anew
//!
//! Of a journal that somebody edited nothing is believed, for nobody can say which part of it is true. What
//! is proven without it:
//!
//! - `current` says which version runs. Its tree must be what the vendor signed for that version, and is made
//!   so. A `current` that is not of Mainstay's making proves nothing: put it right first. Where there is none,
//!   nothing runs until the next update, which finds the kept trees.
//! - Every other tree that is what the vendor signed is kept. Releases that the server keeps from this machine,
//!   and trees that were changed, are not.
//! - The version that runs counts as confirmed if it passes its own health check there and then, or has
//!   none. One that must be confirmed by its program (`confirm_within_seconds`) does not; it runs, and only
//!   a technician can order the machine back to it later.
//! - The floor is the one that the vendor signed for what runs, and the epoch of the data is the one that what
//!   runs writes.
//!
//! Not known any more, and said so: which versions were confirmed before (no local rollback leads to them; a
//! technician's does), which were blocked here (the server knows those that it was told of), and what the
//! server was still to be told. Events are numbered from the present second on, so that none is taken for an
//! old one. The old journal, what nothing proves, and the copies of the program's data, of which only the
//! journal knew to which versions they belong, are moved to `.mainstay/unproven-N`, which nothing removes.
//! Where the server says nothing, all stays as it is.
//!
//! Where the settings are gone *and* the journal is damaged, neither can be made anew by itself: put a copy of
//! `agent.toml` back first.
//!
//! # In a program of your own
//!
//! The agent is a thin layer over [`mainstay_client::client::Client`], which a program can use to
//! update itself:
//!
//! | written in | uses | begin with |
//! |---|---|---|
//! | Rust | the crate `mainstay-client` | [`mainstay_client`], `client/examples/self_update.rs` |
//! | C, or what can call C | `libmainstay_c`, of the package `mainstay-client-c` | `client/c/include/mainstay.h`, `client/c/examples/update.c` |
//! | anything else | `mainstay-agent --json` or `--json=stream` as a child process | [`--json=stream`](#--jsonstream) |
//!
//! The verbs, the documents and the numbers that say what came of them are the same in all three.
//!
//! ```sh
//! cargo build --release -p mainstay-client-c     # target/release/libmainstay_c.so, libmainstay_c.a
//! cc -std=c11 update.c -Iclient/c/include -Ltarget/release -lmainstay_c
//! ```
//!
//! Whichever it is, one at a time has the installation's lock: where `mainstay-agent run` looks after the
//! machine, the program leaves updates to it, and confirms only.
