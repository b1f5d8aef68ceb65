//! Figures, with the commands that show them. Machines differ: what counts is the ratios.
//!
//! # Real software
//!
//! `tests/real/run` takes three consecutive releases of each of five programs that nobody here wrote
//! through publishing, updating and rolling back, and compares every installed tree with the source:
//! names, kinds, permission bits, links, contents. The programs are as their authors made them, but
//! for a health check where the program can run and, in esbuild, a folder of odd modes, names and
//! links. The agent runs with umask 077, so that modes can come from the release only.
//!
//! | program | upstream | Mainstay | entries | payload MB | artifact MB | publish s | update s | rollback s | server MiB | agent MiB |
//! | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
//! | esbuild | 0.28.0 | 1.0.0 | 29 | 11.39 | 3.93 | 4.65 | 0.16 | 0.02 | 36.14 | 17.92 |
//! | esbuild | 0.28.1 | 1.0.1 | 29 | 11.43 | 3.94 | 4.75 | 0.07 | 0.02 | 36.11 | 18.02 |
//! | esbuild | 0.28.2 | 1.1.0 | 29 | 11.45 | 3.95 | 4.64 | 0.08 | - | 36.10 | 18.06 |
//! | ruff | 0.17.4 | 1.0.0 | 18 | 25.02 | 7.94 | 11.86 | 0.13 | 0.03 | 52.05 | 23.43 |
//! | ruff | 0.17.5 | 1.0.1 | 18 | 24.99 | 7.98 | 11.41 | 0.15 | 0.03 | 52.04 | 23.05 |
//! | ruff | 0.17.6 | 1.1.0 | 18 | 25.01 | 8.00 | 11.03 | 0.13 | - | 52.03 | 23.38 |
//! | typescript | 5.9.2 | 1.0.0 | 149 | 23.74 | 2.06 | 6.91 | 0.33 | 0.16 | 53.94 | 23.22 |
//! | typescript | 5.9.3 | 1.0.1 | 149 | 23.74 | 2.06 | 6.63 | 0.29 | 0.15 | 53.93 | 23.27 |
//! | typescript | 6.0.2 | 1.1.0 | 157 | 24.47 | 2.14 | 7.18 | 0.25 | - | 53.92 | 23.30 |
//! | django | 5.2.17 | 1.0.0 | 6129 | 27.45 | 3.16 | 8.37 | 1.35 | 0.11 | 55.71 | 23.17 |
//! | django | 5.2.18 | 1.0.1 | 6129 | 27.45 | 3.16 | 8.27 | 0.77 | 0.10 | 55.70 | 23.24 |
//! | django | 5.2.19 | 1.1.0 | 6131 | 27.46 | 3.16 | 8.25 | 0.36 | - | 55.68 | 23.23 |
//! | libssl-doc | 3.0.17-1~deb12u2 | 1.0.0 | 5448 | 5.53 | 2.41 | 0.86 | 2.13 | 0.05 | 57.00 | 12.44 |
//! | libssl-doc | 3.0.20-1~deb12u2 | 1.0.1 | 5458 | 5.55 | 2.43 | 0.87 | 1.78 | 0.05 | 57.00 | 12.47 |
//! | libssl-doc | 3.0.22-1~deb12u2 | 1.1.0 | 5462 | 5.56 | 2.43 | 0.82 | 2.09 | - | 56.98 | 12.23 |
//!
//! MB are 10^6 bytes. Rollbacks switch to the tree that is still there. Publishing compresses at zstd
//! level 19; most of its time is that.
//!
//! # Verifying, beside `tough`
//!
//! `tests/bench/trust` writes a repository as Mainstay lays one out (four channels, one of them with
//! 1,000 targets), serves it on the same machine, and has Mainstay's client and the `tough` crate
//! (0.24) verify it in turns, 40 rounds. Counted are the CPU time of the whole process, user and
//! system, and the bytes that it is sent, heads included. Two cores of an AMD EPYC, shared with other
//! work; release builds.
//!
//! |  | client | CPU ms (median) | bytes received | tough's CPU | tough's bytes |
//! | --- | --- | --- | --- | --- | --- |
//! | full | tough: to the target | 21.9 | 205718 | 1.0 × | 1.0 × |
//! | full | Mainstay, plain TUF: to the target | 12.0 | 42762 | 1.8 × | 4.8 × |
//! | full | Mainstay, agent's check: to the plan | 13.5 | 42811 | 1.6 × | 4.8 × |
//! | no change | tough: refresh | 21.7 | 205585 | 1.0 × | 1.0 × |
//! | no change | Mainstay, plain TUF: refresh | 2.6 | 701 | 8.3 × | 293.3 × |
//! | no change | Mainstay, plain TUF: to the target | 9.0 | 701 | 2.4 × | 293.3 × |
//! | no change | Mainstay, agent's check | 10.2 | 672 | 2.1 × | 305.9 × |
//! | one new release | tough: refresh | - | 205983 | - | 1.0 × |
//! | one new release | Mainstay, plain TUF: to a target | - | 41978 | - | 4.9 × |
//! | one new release | Mainstay, agent's check: to the plan | - | 41900 | - | 4.9 × |
//!
//! `tough` fetches every role each time. "Plain TUF" is
//! [`Updater`](mainstay_client::client::Updater), which asks for the next root and the timestamp and
//! verifies the copies that it has; "to the target" includes the large channel. The agent's check is
//! one `POST /v1/check`: it verifies all copies, the large channel too, and the plan.
//!
//! The bytes were counted after documents came to be compressed on their way; the CPU times are from
//! before, and lack what decompressing takes.
//!
//! What one new release costs a machine in metadata: its timestamp, snapshot and channel. Mainstay's
//! clients ask for zstd and get what is in the second column; others get what is in the first.
//!
//! | | bytes | as it travels |
//! | --- | --- | --- |
//! | 1,000 targets (500 releases): the three files | 200921 | 41490 |
//! | 1,000 targets (500 releases): the answer to `/v1/check`, with the plan | 224142 | 41775 |
//! | 2,000 targets (1,000 releases, `--targets 2000`): the three files | 400299 | 79784 |
//! | 2,000 targets (1,000 releases): the answer to `/v1/check`, with the plan | 445524 | 80816 |
//!
//! Metadata is digests for the most part, of which little can be won by looking for repetitions: of
//! the last line zstd makes 80.8 kB at level 1, 90.9 kB at level 3, 89.6 kB at level 6, 78.4 kB at
//! level 19. Level 1 is what is used. It takes 2.6 ms of one core for that answer (168 MB/s, `zstd -b1`
//! on the same machine); files of the repository are compressed once and kept in memory.
//!
//! # Installing
//!
//! `tests/bench/install` lets new machines install a release of 5,000 files (204 MB of payload, 68 MB of
//! artifact at zstd level 3) from a server beside them, and measures each stage of that alone, in turns:
//! three rounds, two cores shared with other work, a release build of the agent and a debug build of
//! the server. On a disk, where others wrote meanwhile, the same stage took between 0.7 and 6.8 s, so
//! that what counts there is the order of magnitude; in memory (tmpfs) nothing waits for a disk.
//!
//! | | in memory, s (median) | of the slowest stage | on a disk (ext4), s | of the slowest stage |
//! | --- | --- | --- | --- | --- |
//! | download to `/dev/null` | 0.082 | 0.32 × | 0.061 | 0.04 × |
//! | SHA-256 of artifact and payload | 0.255 | 1.00 × | 0.237 | 0.15 × |
//! | decompress | 0.151 | 0.59 × | 0.177 | 0.11 × |
//! | unpack | 0.228 | 0.90 × | 1.635 | 1.00 × |
//! | make durable (`syncfs`) | 0.001 | 0.01 × | 0.149 | 0.09 × |
//! | all stages, one after another | 0.718 | 2.81 × | 2.259 | 1.38 × |
//! | `mainstay-agent update` | 0.616 | 2.42 × | 2.875 | 1.76 × |
//! | `mainstay-agent rollback` | 0.212 | 0.83 × | 0.254 | 0.16 × |
//! | `tar --zstd -x`, `sync` | 0.352 | 1.38 × | 0.788 | 0.48 × |
//! | `casync extract` of a local store, `sync` | 0.543 | 2.13 × | 2.037 | 1.25 × |
//!
//! The agent peaked at 31.5 MiB, 2 of which are zstd's window. Two goals are missed: an update at no more
//! than 1.3 times its slowest stage, and a rollback below 100 ms whatever the size. An update downloads
//! first and unpacks then, in one thread, and computes the payload's digest twice, as it is decompressed
//! and as it is installed; a rollback reads the whole kept tree to compare it with what was signed.
//!
//! To decompress and verify in a second thread while the first one unpacks was tried and left out: in
//! six rounds each, in turns, the fastest update took 0.57 s with it and 0.56 s without; on a busier
//! machine it was 0.62 s and 0.66 s.
//!
//! # Deciding
//!
//! `cargo run --release --example decide` decides every release of a catalogue of 4,000 (1,000 in each
//! channel, on 2,000 lines) for one machine: 155 µs, 9 times what walking over them takes.
//!
//! `tests/bench/customers` lets a machine check in at servers that differ in their number of customers
//! alone, in turns: 0.29 ms at the median with 100, 0.36 ms with 1,000,000, a ratio of 1.25.
//!
//! # Memory of the server
//!
//! A 2 GiB artifact of random bytes, published with `--level 1` and installed by an agent: the server
//! stood at 12.9 MiB before and peaked at 33.5 MiB; the agent peaked at 23.1 MiB. Publishing took 21 s,
//! installing 12 s. `tests/e2e/memory.rs` holds the server to 64 MiB above idle with 256 MiB, or with
//! what `MAINSTAY_TEST_ARTIFACT_MIB` says.
//!
//! Twenty-one publishes of 46 MB one after another left the server at 57 MiB. It was 155 MiB before
//! artifacts were read on one thread: the system's allocator keeps a freed decompression window for
//! each thread that ever had one.
