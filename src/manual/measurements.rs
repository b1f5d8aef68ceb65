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
//! | esbuild | 0.28.0 | 1.0.0 | 29 | 11.39 | 3.93 | 5.56 | 0.50 | 0.10 | 46.85 | 18.09 |
//! | esbuild | 0.28.1 | 1.0.1 | 29 | 11.43 | 3.94 | 6.14 | 0.25 | 0.10 | 46.83 | 18.14 |
//! | esbuild | 0.28.2 | 1.1.0 | 29 | 11.45 | 3.95 | 6.51 | 0.28 | - | 46.82 | 18.05 |
//! | ruff | 0.17.4 | 1.0.0 | 18 | 25.02 | 7.94 | 30.89 | 0.42 | 0.17 | 89.93 | 23.30 |
//! | ruff | 0.17.5 | 1.0.1 | 18 | 24.99 | 7.98 | 26.56 | 0.25 | 0.08 | 89.92 | 23.30 |
//! | ruff | 0.17.6 | 1.1.0 | 18 | 25.01 | 8.00 | 15.52 | 0.28 | - | 89.91 | 23.30 |
//! | typescript | 5.9.2 | 1.0.0 | 149 | 23.74 | 2.06 | 10.28 | 0.55 | 0.29 | 106.46 | 23.32 |
//! | typescript | 5.9.3 | 1.0.1 | 149 | 23.74 | 2.06 | 10.57 | 0.42 | 0.23 | 106.45 | 23.51 |
//! | typescript | 6.0.2 | 1.1.0 | 157 | 24.47 | 2.14 | 10.51 | 0.58 | - | 106.45 | 23.27 |
//! | django | 5.2.17 | 1.0.0 | 6129 | 27.45 | 3.16 | 13.09 | 2.09 | 0.26 | 112.43 | 23.19 |
//! | django | 5.2.18 | 1.0.1 | 6129 | 27.45 | 3.16 | 13.55 | 1.98 | 0.36 | 112.43 | 23.16 |
//! | django | 5.2.19 | 1.1.0 | 6131 | 27.46 | 3.16 | 11.62 | 1.45 | - | 112.41 | 23.24 |
//! | libssl-doc | 3.0.17-1~deb12u2 | 1.0.0 | 5448 | 5.53 | 2.41 | 1.01 | 3.99 | 0.21 | 118.01 | 12.27 |
//! | libssl-doc | 3.0.20-1~deb12u2 | 1.0.1 | 5458 | 5.55 | 2.43 | 1.01 | 1.24 | 0.14 | 118.00 | 12.25 |
//! | libssl-doc | 3.0.22-1~deb12u2 | 1.1.0 | 5462 | 5.56 | 2.43 | 1.25 | 3.94 | - | 117.99 | 12.53 |
//!
//! MB are 10^6 bytes. Rollbacks switch to the tree that is still there. Publishing compresses at zstd
//! level 19; most of its time is that.
//!
//! # Memory of the server
//!
//! A 2 GiB artifact of random bytes, published with `--level 1`: the server stood at 19.7 MiB before
//! and peaked at 40.3 MiB. Twenty-one publishes of 46 MB one after another left it at 65 MiB (155 MiB
//! before artifacts were read on one thread: the system's allocator keeps a freed decompression window
//! for each thread that ever had one). `tests/e2e/memory.rs` holds the first with 256 MiB.
