//! What is kept where, and what survives what.
//!
//! # The server's directory
//!
//! | path | what |
//! |---|---|
//! | `records/` | sled: products, releases, rollouts, customers, contracts, tokens (as SHA-256), machines, plans, events, audit, endpoints and what is sent to them, what was tried of deltas (`deltas`) and what they have saved (`delta-downloads`) |
//! | `blobs/` | artifacts, manifests, metadata and deltas, each under its own SHA-256; never changed. Deltas are made in memory: nothing of one is here before it is whole |
//! | `uploads/` | blobs that have not arrived whole; safe to remove while the server stands |
//! | `keys/` | the server's online keys: timestamp, snapshot, director (0600); `keys/2/`, … their later generations; `keys/webhooks.key`: what the secrets of webhooks are derived from |
//! | `server.name` | a random name, by which the server claims what it makes in the background; not to be copied to another server on the same records |
//! | `admin.token` | the first administrator's token (0600); remove it once you have made others |
//! | `access.log`, `access.log.1`, … | who asked what ([`watching`](super::watching#access-log)); need not be kept |
//! | `mainstay.toml` | the configuration, if any |
//!
//! # What an acknowledged change survives
//!
//! A change is acknowledged when it is durable: one writer thread groups what is waiting, makes the changes
//! in memory, gives sled what came of them, flushes sled, then fsyncs the database file, and only then answers.
//! Each change of a group is a transaction of its own, which sees those before it: one that is refused takes none
//! of the others with it. sled writes a record once that many changes of a group have changed, and all of a group
//! at once: each change is there whole or not at all, whoever reads and wherever a crash comes. A group has at most
//! 1,024 changes, or as many as write 2,048 records, and 8,192 may wait; what comes then is refused (503 `BUSY`,
//! `Retry-After`) and has changed nothing. sled is given no more before that is durable: where it was given several
//! groups between two fsyncs, a power cut could leave a database that sled did not open (of 150 that were made of the
//! writes up to an fsync and some of those after it, 5; with one group between two, none of 240). A server that is told to stop writes what waits. Blobs are
//! fsynced, renamed into place, and their directories fsynced, before a release can name them. So a
//! crash or power cut at any instant leaves each release whole or absent.
//!
//! sled 0.34 is used knowing its faults: its own flush is `sync_file_range` and not fsync, so the
//! server fsyncs itself; its timed flusher is off; and its segments are 2 MiB, because a page that
//! outgrows a quarter of a segment would be spilled to a file that sled never fsyncs. Records carry a
//! version and a checksum, and one that does not hold what was written is an error that names it. A
//! database that does not open is never made anew. A store of an older format (1 to 4) is upgraded when
//! it is opened; copy the directory first if you may want to go back.
//!
//! A record is JSON of at most 64 KiB, compressed with a dictionary of what records have in common to 20 KiB at most; a
//! change for which that does not suffice is refused, and says so. A store that was created with format 1 to 3 keeps its
//! segments of 8 MiB, two of which are in memory, and its records are compressed as they change.
//!
//! sled keeps in memory where each of its pages is, 192 bytes and more, whether or not the page is used, and a page has
//! at most 16 values. So rows that are short, many and seldom written stand up to 16 to a value (a *run*, at most 8 KiB):
//! the audit trail and its index, the indices of machines by their tokens and keys, and what plans said. What a
//! report changes stands alone.
//!
//! How many machines run what is counted in the transactions that change machines (the census), and so is
//! the order in which they are listed: no count and no listing reads machines that are not asked for. A
//! store of format 1 or 2 has its machines counted once, when it is upgraded.
//!
//! # The vendor's directory (`mainstay-keys`)
//!
//! | path | what |
//! |---|---|
//! | `root.pem`, `targets.pem`, `release.pem` | private keys, PKCS#8, encrypted unless you said otherwise |
//! | `*.pub` | their public halves |
//! | `trust/<product>/` | the product's root and the newest timestamp and snapshot that were seen; `seen.json`: of each role the newest version that was published, and what was signed here; so that a server that was broken into cannot have you sign upon something old |
//!
//! Root and targets keys are needed to create a product and, later, to rotate keys: keep them
//! offline. Publishing needs the release key and the `trust` directory alone.
