//! Deltas: what they are good for, what they weigh and cost, and their format, byte by byte.
//!
//! A delta is the bytes that turn one payload, as a machine has it, into another. Payloads are the tar
//! archives that trees are packed to ([`mainstay_client::pack`]), but any two files will do.
//!
//! ```text
//! mainstay delta make OLD NEW OUT      # folders, tar archives or other files
//! mainstay delta apply OLD DELTA OUT   # a folder where OLD is one
//! mainstay delta info DELTA
//! ```
//!
//! What is to be trusted is not the delta but the digest of the new payload, which is signed. A delta that is
//! damaged or made to do harm ends in an error: never more is written than the payload's length, and
//! memory is bounded by [`Limits`](mainstay_client::delta::Limits).
//!
//! # Who makes them
//!
//! The server, in the background, one at a time: for each version that machines run, and the version that
//! they would get next. It counts the machines that are heard of, customer by customer, and asks the same
//! decision as a check which release each of the customer's contracts gives them, as if every rollout had come
//! to everybody; so deltas are there before the waves are. What a technician keeps from single machines is
//! not looked at, and of a customer with several contracts all machines count for each: the numbers are
//! estimates from above. It looks after each publish, and otherwise every 20 seconds, or less often where looking
//! would take more than a fiftieth of its time.
//!
//! - The first to be made is that which would save the most bytes, estimated from above: the artifact's
//!   length, for each machine. For an artifact below 64 KiB none is made.
//! - It is applied before it is kept. One that weighs more than three quarters of the artifact is not
//!   kept, and that is remembered: it is not tried again.
//! - What it may cost is in `[deltas]` of the configuration ([`operations`](super::operations)): seconds of one core
//!   a day, memory, and room on the disk. Where the room is not enough, those give way that save the fewest
//!   bytes for the room that they take: first what no machine wants any more, because the release was
//!   withdrawn, or nobody runs the old one, or everybody has the new one.
//! - A delta that is made is claimed for ten minutes at a time, so several servers on the same records make
//!   none twice. A server that is killed in the middle makes it again when it runs again; three
//!   times that never come to an end, and it is given up.
//!
//! A plan names the deltas that lead from what the machine runs to its target, also several in a row where
//! each leads to a release that the machine may have and they are lighter together than the one that leads there
//! at once. A machine fetches `/repo/<product>/deltas/<sha256>`, and is let have it where it is let have the
//! artifacts of both releases: a delta gives away what it makes, and what it is applied to. That a machine says
//! that it runs a release gives it no right to that. A delta that
//! becomes available is a new plan for the machines that it is for.
//!
//! ```text
//! mainstay delta list [PRODUCT]        # pairs, lengths, machines, what was saved, and why one is not there
//! ```
//!
//! What is *saved* the server counts as it sends: of each delta that was sent to its end, by how much it is
//! shorter than the artifact. It is written down when it is looked at, every 20 seconds, and after each delta that is made; a server that
//! is killed forgets what it had not.
//!
//! # What they weigh and cost
//!
//! `tests/bench/delta` makes the same deltas with other tools too, applies and compares them, in one run.
//! Measured on 2026-11-29 on two cores that were shared with much other work. The smallest other
//! is the smallest of `zstd -22 --patch-from`, xdelta3, bsdiff, HDiffPatch with LZMA2 and Zucchini with xz,
//! the latter with a mended detection of ELF files.
//!
//! | pair | payload | smallest other | Mainstay | ratio | make CPU s | apply CPU s |
//! |---|---|---|---|---|---|---|
//! | esbuild 0.28.1 → 0.28.2 (a Go program) | 11,438,080 | 424,207 (HDiffPatch) | 128,915 | 0.30 | 6.8 | 0.16 |
//! | typescript 5.8.3 → 5.9.3 (text) | 23,746,560 | 171,459 (zstd) | 169,178 | 0.99 | 15 | 0.06 |
//! | ruff 0.17.5 → 0.17.6 (a Rust program) | 25,006,080 | 2,434,644 (Zucchini) | 2,219,012 | 0.91 | 66 | 0.82 |
//! | numpy 2.4.5 → 2.4.6 (many shared objects) | 57,303,040 | 64,944 (Zucchini) | 4,969 | 0.08 | 19 | 0.30 |
//! | django 5.1.15 → 5.2.19 (many text files) | 27,453,440 | 303,416 (zstd) | 280,205 | 0.92 | 13 | 0.09 |
//! | all | | 3,398,670 | 2,802,279 | 0.82 | | |
//!
//! # How it works
//!
//! The new payload is described as *copies* of stretches of the old one, the bytes in which a copy
//! *differs*, and the bytes between the copies, the *literals*. Which file a stretch comes from does not
//! matter, so what was renamed or moved costs as little as what was not.
//!
//! In executables, whatever moves changes the addresses of all that speaks of it. Both sides find the
//! fields that hold addresses in the old file ([`mainstay_client::delta::executable`]) and *predict* what
//! each becomes in a copy: where its target has gone. Only what is predicted wrongly is in the delta.
//!
//! # On a machine
//!
//! A machine reads the old payload from the tree that it was unpacked to
//! ([`PackedTree`](mainstay_client::pack::PackedTree)): where in the archive each header and file is is known
//! from the names and lengths alone, so headers are made and files read when a copy asks for them. The new
//! payload is unpacked while it is made. So an update by a delta takes no more disk than the delta and the new
//! tree, and memory for neither payload. Which way is taken, and what becomes of one that comes to
//! nothing, is told in [`machines`](super::machines#by-deltas-or-by-the-artifact).
//!
//! A delta is fetched from `GET /repo/<product>/deltas/<SHA-256>` by its digest, of which the plan says the length;
//! it is in no metadata of the repository, and need not be: what it makes is held to the payload that the
//! release manifest signs.
//!
//! # The format
//!
//! Version 1. A *number* is unsigned, of at most 64 bits, in groups of seven bits, the lowest first; the
//! highest bit of a byte says that another follows. A *signed number* n is the number 2n, or −2n − 1 where n
//! is negative. Sums of numbers are taken modulo 2^64 where nothing else is said.
//!
//! ## Header
//!
//! | bytes | what |
//! |---|---|
//! | 10 | `8f 4d 53 44 45 4c 54 41 0d 0a` |
//! | 1 | the version, 1 |
//! | 1 | the profile: 0, *fast* |
//! | number, 32 | length and SHA-256 of the old payload |
//! | number, 32 | length and SHA-256 of the new payload |
//! | number | how many streams there are |
//!
//! Then for each stream, in ascending order of ids: its id (1 byte), its coding (1 byte), for LZMA one byte of
//! properties, its length (number), its packed length (number). The header has at most 1,024 bytes. Then
//! follow the streams in the same order with nothing between them and nothing behind. A stream that is not
//! there is empty. A header that is not like this, and a stream from which more is asked than it has, or
//! that is not used up, make the delta invalid.
//!
//! ## Codings
//!
//! | coding | what |
//! |---|---|
//! | 0 | as it is |
//! | 1 | one zstd frame whose window has at most 2^23 bytes |
//! | 2 | LZMA without a header and without an end marker; the byte of properties is (pb × 5 + lp) × 9 + lc |
//!
//! The literals are packed with a *dictionary*: zstd takes it as a prefix (`ZSTD_CCtx_refPrefix`), LZMA as what
//! was in its window before, and then lp and pb are 0. The dictionary is the bytes of the old payload that are
//! in no copy, in their order; of more than 4,194,304 the last so many. The window of LZMA has as many
//! bytes as the stream, but at least 4,096 and at most 4,194,304, for the literals 8,388,608; and then as many
//! as the dictionary.
//!
//! ## Streams
//!
//! | id | stream | holds, for each | |
//! |---|---|---|---|
//! | 0 | copy gaps | copy | number: bytes of the new payload between the end of the copy before, or its beginning, and this one |
//! | 1 | copy lengths | copy | number: bytes, at least 1 |
//! | 2 | copy jumps | copy | signed number: its place in the old payload less the end there of the copy before, or less 0 |
//! | 3 | literals | | the bytes of the new payload that are in no copy, in their order |
//! | 4 | difference gaps | difference | number: bytes of copies before it that are not different, since the difference before |
//! | 5 | difference bytes | difference | 1 byte: what is added to the byte of the copy, modulo 256 |
//! | 6 | executables | pair | see below |
//! | 7 | segments | pair | see below |
//! | 8 | address gaps | error | number: fields that are predicted rightly before it, since the error before |
//! | 9 | address errors | error | signed number: what is added to what is predicted |
//!
//! There are as many copies as there are copy gaps, and so on. Copies are within both payloads.
//! The bytes of a copy are first those of the old payload, then their addresses are rewritten, then the
//! differences are added. Differences are counted over all bytes of all copies, and must not be left over.
//!
//! ## Executables
//!
//! A *pair* is a file of the new payload and one of the old that it is made from: four numbers, of which the
//! third is signed: how many bytes after the end of the pair before its new file begins, the new
//! file's length, where its old file begins less the end of the old file of the pair before, the old file's
//! length. All lengths together of old files are at most the length of both payloads. A copy is *within* a
//! pair when all of it is in the new file and comes from the old one. Every pair has such a copy.
//!
//! The segments of the new file of each pair are: how many there are (number), and for each one four
//! signed numbers, by how much its address, place in the file, bytes in the file and bytes in memory are
//! larger than those of the old file's segment of the same number, or than 0.
//!
//! The analysis of the old file gives its segments, and its references: for each the place of a field in the
//! file, the kind of the field, and the address that it refers to, its *target*. Which fields
//! are references, and what their kinds are, is the code of [`mainstay_client::delta::executable`], which is a
//! function of the file's bytes alone.
//!
//! **Where targets go.** The targets of a pair are those of its references and the bases of their kinds,
//! each once. Each has a *moved* address and is *guessed*, *copied* or *seen*. At first:
//!
//! 1. Of the segments that have a target in memory, the first counts. The target moves with the segment of the
//!    same number in the new file: with its beginning where it is in the file, otherwise with the end of what
//!    is in the file. A target in no segment, or whose segment has no counterpart, stays. It is guessed.
//! 2. The targets that are in the file are taken in the order of their places there. Of the copies within
//!    the pair that begin at or before that place in the old file, ordered by old place, length and
//!    new place, the first of those that end last counts. Where the new file has an address for the place
//!    that lies as far behind the copy's new place as the target's behind its old one, the target moves
//!    there. It is copied if the copy has it, and guessed if it is behind the copy's end.
//!
//! **Prediction.** The references whose fields are wholly in a copy within the pair are taken in their order. A
//! target that is seen or copied has gone to its moved address. For one that is guessed, the targets next to
//! it are asked, one before, one behind, two before, … up to 16: by as much as the first of these that is
//! seen has moved, it has too; if none is seen, to its moved address. The kind's base has moved likewise.
//! The predicted value is what the kind reads of the field that it writes for the target at the field's
//! new address, upon the field's old bytes; where it cannot be written, what it reads of the old bytes.
//! A reference whose place has no address in the new file is passed over, and counts for nothing, unless the kind
//! does not count from there: an absolute address, or a distance from a base.
//!
//! The error, or 0, is added to the value, and the field is what the kind writes of the sum, or the old bytes
//! where it cannot. The target's moved address is where it was predicted to be, and the error more; it is
//! seen.
//!
//! # Known limits
//!
//! - Payloads are made into deltas in memory, by one thread: about 15 to 20 bytes for each byte of the old payload.
//!   The old one must be shorter than 4 GiB.
//! - An executable is in memory as a whole while it is analysed, and about 50 bytes for each of its
//!   addresses while it is rebuilt. One above 256 MiB is taken for plain bytes.
//! - Windows' and macOS' executables are taken for plain bytes.
//! - What is compressed inside a payload (jar, zip, gz) is not opened: a change in it changes most of it.
//! - A folder that is named to `mainstay delta make` is packed to a temporary file first; what `mainstay delta apply`
//!   makes of one is such a file before it is unpacked.
//! - A delta is for one old payload, of which it knows the digest and nothing of its files: a machine on which
//!   somebody has changed one file of the old tree fetches the artifact, and not that file alone.
//! - The old payload is read twice by a machine: once to be compared with its digest, once to be copied from.
//! - Which fields of an executable are addresses is specified by the code only.
//! - The server makes deltas for updates alone, and packs them `fast`. What is counted is what was
//!   sent to the end; what machines say of it (`fetched` of the event `installed`) is kept with the event and not
//!   added up.
//! - What a day's making took is added up by the last time that each delta was begun, and a killed server forgets
//!   what it had spent. A delta that took longer than `seconds_a_day` is not begun again, whatever
//!   that is set to later, nor is one that failed; nothing of them is forgotten.
//! - A delta that gives way is gone at once: a machine in the middle of it fetches another way.
//! - Deltas are looked at one after another. While one is made, none is made for what is published meanwhile.
//! - A check looks through all deltas of the platform for the ways to its release, and the server decides for
//!   each contract and each version that runs what comes next: neither was measured with thousands.
//! - What is left of a delta where a server is killed between storing its bytes and noting them stays, unless
//!   the same delta is made again.
//! - A stopped product and paused rollouts are not looked at: deltas are made all the same.
//! - What machines run is added up in memory at each look. Pins, holds and blocks of single machines do not
//!   count there.
