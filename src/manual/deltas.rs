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
//! - They are *fast* ones. Beside one of at least 64 KiB that is kept a *compact* one is made, for machines to which
//!   bytes are dear, while half of the day's time is left; it is kept where it weighs at most 95 hundredths of the
//!   *fast* one.
//! - What it may cost is in `[deltas]` of the configuration ([`operations`](super::operations)): seconds of one core
//!   a day, memory, and room on the disk. Where the room is not enough, *compact* ones give way first, and then those that save the fewest
//!   bytes for the room that they take: first what no machine wants any more, because the release was
//!   withdrawn, or nobody runs the old one, or everybody has the new one.
//! - A delta that is made is claimed for ten minutes at a time, so several servers on the same records make
//!   none twice. A server that is killed in the middle makes it again when it runs again; three
//!   times that never come to an end, and it is given up.
//!
//! A plan names the deltas that lead from what the machine runs to its target, also several in a row where
//! each leads to a release that the machine may have and they are lighter together than the one that leads there
//! at once. Those in a row are of one profile, and *compact* ones are named where they are lighter than *fast* ones. A machine fetches `/repo/<product>/deltas/<sha256>`, and is let have it where it is let have the
//! artifacts of both releases, or was given the old one before: a delta gives away what it makes, and what it is
//! applied to. That a machine says that it runs a release gives it no right to it. A delta that becomes
//! available is a new plan for the machines that it is for.
//!
//! ```text
//! mainstay delta list [PRODUCT]        # pairs, lengths, machines, what was saved, and why one is not there
//! ```
//!
//! What is *saved* the server counts as it sends: of each delta that was sent to its end, by how much it is
//! shorter than the artifact. It is written down when it is looked at, every 20 seconds, and after each delta
//! that is made; a server that is killed forgets what it had not.
//!
//! # What they weigh and cost
//!
//! There are two profiles: *fast*, which is applied as fast as it is decompressed, and *compact*, which weighs
//! about a tenth less and takes far longer to apply. `tests/bench/delta` makes both, and the same deltas with
//! other tools, and applies and compares them. It ran on 2026-11-30 on two cores with nothing else to do; CPU is user
//! and system.
//!
//! | pair | payload | | fast | compact | zstd -22 `--patch-from` | xdelta3 -9 lzma | bsdiff | HDiffPatch, LZMA2 | Zucchini, xz |
//! |---|---|---|---|---|---|---|---|---|---|
//! | esbuild 0.28.1 → 0.28.2 (a Go program) | 11,438,080 | bytes | 130,467 | 116,487 | 907,392 | 1,336,412 | 502,499 | 447,086 | 439,736 |
//! | | | make, apply CPU s | 4.2, 0.16 | 4.5, 0.50 | 10.7, 0.05 | 2.1, 0.11 | 5.2, 0.10 | 1.7, 0.11 | 3.2, 0.14 |
//! | typescript 5.8.3 → 5.9.3 (text) | 23,746,560 | bytes | 169,178 | 144,237 | 171,459 | 274,451 | 335,497 | 187,915 | 216,512 |
//! | | | make, apply CPU s | 7.7, 0.08 | 6.4, 0.82 | 10.6, 0.06 | 1.2, 0.06 | 15.5, 0.23 | 2.3, 0.20 | 15.4, 0.19 |
//! | ruff 0.17.5 → 0.17.6 (a Rust program) | 25,006,080 | bytes | 2,179,094 | 1,996,437 | 3,785,557 | 5,138,166 | 4,162,677 | 3,287,339 | 3,188,268 |
//! | | | make, apply CPU s | 39.7, 0.62 | 38.8, 4.65 | 29.0, 0.11 | 6.0, 0.41 | 23.6, 0.78 | 9.7, 0.30 | 24.4, 0.44 |
//! | numpy 2.4.5 → 2.4.6 (many shared objects) | 57,303,040 | bytes | 4,969 | 5,042 | 248,829 | 352,477 | 83,541 | 94,933 | 85,160 |
//! | | | make, apply CPU s | 9.5, 0.22 | 10.3, 0.31 | 23.1, 0.17 | 1.3, 0.14 | 18.8, 0.30 | 3.7, 0.19 | 32.6, 0.37 |
//! | django 5.1.15 → 5.2.19 (many text files) | 27,453,440 | bytes | 196,492 | 177,485 | 303,416 | 394,323 | 356,275 | 308,087 | 309,864 |
//! | | | make, apply CPU s | 6.5, 0.10 | 6.3, 0.81 | 10.8, 0.07 | 0.9, 0.12 | 9.9, 0.21 | 2.0, 0.19 | 16.3, 0.22 |
//!
//! All *fast* ones together weigh 0.64 of the smallest other ones of each pair, all *compact* ones 0.58. A Zucchini with a
//! mended detection of ELF files makes 2,434,644 bytes of ruff and 64,944 of numpy, and the HDiffPatch program 424,207 of
//! esbuild: next to these, measured by themselves, the five are 0.79 and 0.72. To make one takes 2.5 to 4.1 times the
//! CPU of HDiffPatch, and 12 to 18 times the bytes of the old payload in memory (esbuild 199 MiB, ruff 385, numpy 758).
//! A *compact* one is applied in 0.19 CPU seconds and less for each MB (10^6 bytes) of payload.
//!
//! Other pairs: rollup for Linux 4.52.0 → 4.53.0, by which nothing was tuned, 317,639 bytes *compact* (319,699 before); pydantic-core
//! 2.41.4 → 2.41.5, by which the contexts were chosen among others, 634,058 (637,426). Measured before: orjson 3.11.3 → 3.11.4 18,616 and 17,756 bytes, three 0.170.0 →
//! 0.171.0 103,272 and 68,491.
//!
//! What opening compressed files is worth, *fast*, measured on 2026-11-30 through the client library: a jar of 174 classes and
//! 205,412 bytes, of which one class has changed, 2,368 bytes closed and 246 opened; the wheel of flask 3.0.2 → 3.0.3
//! (101,735 bytes) 45,939 and 1,704.
//!
//! What it takes, in a release build on 2026-11-30: MB a second of what the streams inflate to, by CPU time, on two cores that were
//! shared with other work. Streams of `gzip` and `zip` take as long as those of zlib.
//!
//! | content | MB | opened | closed at level 1 | 6 | 9 |
//! |---|---|---|---|---|---|
//! | the classes of guava | 6.5 | 231 to 326 | 100 | 35 | 15 |
//! | the Python files of pip | 5.9 | 269 to 375 | 113 | 32 | 8 |
//! | changelogs of Debian | 20.0 | 186 to 242 | 95 | 30 | 16 |
//! | libcrypto.so | 4.7 | 174 to 212 | 65 | 21 | 6 |
//!
//! A stream that is being closed takes half a MiB of memory, however long it is; what is opened of the old payload
//! takes its length.
//!
//! What is opened, if it is not in both payloads: on a Debian 12 with development packages all 22,881 files of gzip below
//! `/usr/share/man`, `doc` and `info`, which inflate to 314 MB (of these, 113 MB in 21,894 files are as zlib makes them
//! too); all 166,583 streams of 339 jars, 812 MB, and all 7,362 of 33 wheels, 104 MB, as zlib makes them. Of 324 crates, which
//! programs in Rust packed, 57. To see so of these crates, 188 MB, took 1.9 CPU seconds, most of them
//! inflating; 20.9 before the first symbols were looked at.
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
//! What is compressed with deflate - the entries of zip archives, jars and wheels, and files of gzip - changes
//! altogether behind the first byte that does. So such streams are *opened* on both sides where they differ, and what
//! they inflate to is compared. The machine inflates those of the old payload, and deflates those of the new
//! one again as zlib, `gzip` or `zip` does. That is done where what one of these makes is the stream, bit for bit: whoever
//! makes the delta looks at the stream's first symbols, and tries the levels that begin so. The others are copied
//! and amended as they are.
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
//! Versions 1 to 3. A *number* is unsigned, of at most 64 bits, in groups of seven bits, the lowest first; the
//! highest bit of a byte says that another follows. A *signed number* n is the number 2n, or −2n − 1 where n
//! is negative. Sums of numbers are taken modulo 2^64 where nothing else is said.
//!
//! ## Header
//!
//! | bytes | what |
//! |---|---|
//! | 10 | `8f 4d 53 44 45 4c 54 41 0d 0a` |
//! | 1 | the version: 1 where there is no stream 11; 2 where all of its settings are below 32, else 3 |
//! | 1 | the profile: 0, *fast*; 1, *compact* |
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
//! | 3 | *mixed*, see below; its length is its packed length |
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
//! | 10 | changes | | what streams 3, 4 and 5 hold, mixed |
//! | 11 | deflated | opened stream | see below |
//!
//! Of the profile *fast* are streams 0 to 9 and 11, in codings 0 to 2. The profile *compact* has stream 10, in coding
//! 3, in place of 3, 4 and 5.
//!
//! There are as many copies as there are copy gaps, and so on. Copies are within both payloads.
//! The bytes of a copy are first those of the old payload, then their addresses are rewritten, then the
//! differences are added. Differences are counted over all bytes of all copies, and must not be left over.
//!
//! All is made in *pieces*. The literals between two copies are divided into pieces of 65,536 bytes, the last of
//! which may be shorter, and so are copies. But where the copy is within a pair (see below), and a piece
//! that is not its last would end within the field of a reference that begins behind the piece's first byte,
//! it ends before that field, and the next begins there.
//!
//! **Branches.** A piece of literals that is wholly in the new file of a pair, whose old file is an ELF file for
//! x86-64 (bytes 18 and 19 are `3e 00`), has places where the new file has distances. It is gone through from
//! its first byte to its last. Where there is the byte `e8` or `e9`; the byte `0f` and one from `80` to `8f`; or
//! the byte `89`, `8b` or `8d` and one that is 5 without its bits `38`, the four bytes behind them are a field, and it
//! goes on behind that. Where the piece ends before four bytes, it ends. Let *e* be the place in the new file behind the
//! field, *n* that file's bytes, and *v* the field as a number with a sign, the highest byte first. The field becomes,
//! the lowest byte first, v − e where 0 ≤ v < n; v + n where −e ≤ v < 0; else v.
//!
//! ## Opened streams
//!
//! Where there is stream 11, all else that is said of payloads, their bytes, places and lengths, the header's excepted, is said
//! of the *opened* payloads: in these, some deflate streams (RFC 1951) are replaced by what they inflate to. Stream 11 holds
//!
//! 1. how many streams of the old payload are opened (number), and for each three numbers: the bytes of the payload between
//!    the end of the opened stream before, or its beginning, and this one; the bytes of the stream; the bytes that it inflates to;
//! 2. for each stream of the new payload that is opened, to the end, one byte, its *setting*, and the same three numbers.
//!
//! No length is 0, and streams are within their payloads. The old ones inflate to as many bytes as is said, and end where is
//! said. All of the new ones deflate to as many bytes as is said. Whoever applies deltas takes 65,536 streams of
//! either payload, and 33,554,432 bytes that those of either inflate to altogether; what has more is refused.
//!
//! The bytes of the new payload are deflated as a program does that is given them at once. The setting modulo 16 is the level, from
//! 1 to 9; the setting / 16 is the *program*:
//!
//! | program | | hash | symbols |
//! |---|---|---|---|
//! | 0 | zlib with `Z_FINISH`: `deflateInit2` with the memory level 8, `windowBits` −15 and `Z_DEFAULT_STRATEGY` | 15 | 16,383 |
//! | 1 | the same with the memory level 9 | 16 | 32,767 |
//! | 2 | `zip` of Info-ZIP | 15 | 32,767 |
//! | 3 | `gzip` of GNU | 15 | 32,767 |
//!
//! They are compared with zlib 1.2.13, zip 3.0 and gzip 1.12 (`tests/interop/deflate.py`; of 9,672 streams that the
//! latter two made of other contents, none was different). What counts of them:
//!
//! | level | good | lazy | nice | chain | |
//! |---|---|---|---|---|---|
//! | 1, 2, 3 | 4, 4, 4 | 4, 5, 6 | 8, 16, 32 | 4, 8, 32 | `deflate_fast` |
//! | 4, 5, 6 | 4, 8, 8 | 4, 16, 16 | 16, 32, 128 | 16, 32, 128 | `deflate_slow` |
//! | 7, 8, 9 | 8, 32, 32 | 32, 128, 258 | 128, 258, 258 | 256, 1024, 4096 | `deflate_slow` |
//!
//! - *Window.* 65,536 bytes, at first zeros, filled to the end whenever less than 262 bytes are ahead and more come. Where the next byte is then at 65,274 or
//!   behind, the second half becomes the first, and all places are 32,768 less; places below 0 are forgotten, and so is place 0, of which nothing is
//!   ever found. Matches are at most 32,506 bytes back. What was in the second half stays there until it is overwritten.
//! - *The end.* Where less than 262 bytes are ahead and nothing more comes, zlib and `zip` go on to make room like that. `gzip` does so once,
//!   and puts two zeros behind the last byte; from 65,275 on it then looks for no matches. `gzip` compares 258 bytes whatever is ahead, with what
//!   is in the window behind the end, and shortens the longest match to what is ahead when it has been found.
//! - *Hash.* h bits, as is said above; of three bytes ((a << 2s) ^ (b << s) ^ c) mod 2^h, with s = h / 3, rounded up. Places with one hash are looked at
//!   from the last on, at most *chain*, a quarter of these where the match to be bettered has *good* bytes; a longer match counts, of equally long
//!   ones the first. It ends at a match of *nice* bytes, or, but for `gzip`, of all that is ahead.
//! - `deflate_fast` takes each match. The places in one are remembered where it has at most *lazy* bytes and three are ahead of it.
//!   `deflate_slow` looks for a longer match at the next byte, unless the match has *lazy* bytes; a match of 3 bytes that is more than
//!   4,096 back is none. The places in it are remembered where three bytes are ahead of them.
//! - *Blocks* end after as many symbols as is said above. With `zip` and `gzip` from level 3 on they also end after 4,096, 8,192, … symbols, n, of
//!   which m are matches, whose distances take d bits in fixed codes, with the bits behind these, if m < n / 2 and n + d / 8 < b / 2. b is how many bytes
//!   the block has before its last symbol, and from level 4 on one more. Quotients are rounded down.
//!   With the bits of both codes and 3 more, rounded up to bytes: where the bytes of the block and 4 more
//!   are not more than the fewer, and the block's beginning is still in the window, it is stored; else, where the fixed codes take no more than the others, it has these.
//! - *Codes.* Both codes and the one for their lengths have two symbols at least: while there are fewer, one more than the largest is added where that is 0 or 1 (or 0, where
//!   there is none), else 0. Huffman's tree is made with a binary heap of the symbols in their order, in which each from the
//!   middle one to the first is moved down: below the lesser of its children, of equal ones the second, unless it is itself no greater. Of two nodes that are met as often, that
//!   of the lesser depth is the lesser. The first is taken off, and the last put in its place and moved down; then the first gives its place to the parent of both, which is moved down.
//!   Where codes would be longer than 15, or 7, bits, the lengths are counted, and while any is too long, a leaf of the longest length that is below the most is moved
//!   down by one with one that is too long beside it; then the lengths, the longest first, are given to the symbols in the order in which the tree took them.
//! - *Lengths of codes* are written as runs, 16, 17 and 18 as long as they may be, of which none goes from the first code into the second.
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
//! ## The coding *mixed*
//!
//! What was decoded before says how probable the next decision is, a yes or a no, and an arithmetic coder takes the fewer
//! bits the more probable it was. In what follows all is in integers. Numbers are of 32 bits and wrap around;
//! where they have a sign, a shift to the right, `>>`, keeps it. `a..b` counts from a up to, without, b. *p* in 65,536ths is
//! a *probability*, of a yes, and *odds* are 256 × ln(p / (1 − p)), from −2,047 to 2,047.
//!
//! **Tables.** K has 33 numbers: 22 36 60 98 162 267 439 720 1179 1921 3108 4971 7812 11955 17625 24743 32768
//! 40793 47911 53581 57724 60565 62428 63615 64357 64816 65097 65269 65374 65438 65476 65500 65514.
//! P(x), the probability of odds: x is brought between −2,047 and 2,047; with y = x + 2048, k = y >> 7 and w = y mod 128 it is
//! (K\[k\] × (128 − w) + K\[k + 1\] × w) >> 7. O(p), the odds of a probability, are the least x of −2,047..2,048 for which
//! P(x) >> 4 ≥ p >> 4, and 2,047 where there is none. R\[n\], for n in 0..256, is 40,960 / (10 n + 16), rounded down.
//! H(a, b) is, with h = a × `2c1b3c6d` ^ b × `9e3779b1` and g = (h ^ h >> 15) × `297a2d39`: g ^ g >> 13 (shifts first, without sign).
//!
//! **The coder.** *low* is 0, *high* 2^32 − 1, and *code* the first four bytes, the highest first. A decision of probability
//! p: with r = high − low, the *division* is low + (r >> 16) × p + (((r mod 65,536) × p) >> 16). It is a yes where code ≤ division, and
//! then high = division; else a no, and low = division + 1. While the highest bytes of low and high are equal, all three are
//! shifted by 8 bits to the left, into high comes `ff`, into code the next byte. At the end no byte is left.
//!
//! **Chances.** A *chance* is c of 22 bits and how often it was *told*, t; at first c = 2^21 and t = 0. Its odds are
//! O(c >> 6). It is told a yes or a no: c becomes c + ((((a − c) >> 3) × R\[t\]) >> 9), where a is 2^22 − 1 for a yes and else 0; then t
//! becomes the lesser of t + 1 and its *maximum*. A *node* is a chance in less room: c of 12 bits, at first 2^11, and t, up to 15. Its odds are
//! O(16 c). c becomes c + (((a − c) × R\[t\] + 2048) >> 12), where a is 4,095 for a yes and else 0.
//!
//! **Mixing.** A *mixer* has two sets of weights, each of as many rows of 16 as are said, at first 2,400. A decision has 16 *opinions*,
//! odds, those that are not said being 0, and a row of each set.
//!
//! 1. The decision is decoded with the probability m = P(x), where x is the sum of weights × opinions, in both rows, >> 14.
//! 2. Let e be (a − m) >> 1, where a is 65,536 for a yes, else 0. Each weight becomes itself + ((((opinion × e) >> 16) + 1) >> 1), brought
//!    between −32,768 and 32,767.
//!
//! **Bytes** are decoded by N contexts, M *expected* bytes with a *confidence* each that may be missing, and a row of the second set. There
//! are 2^L *lines* of two *half bytes*, each a check, at first none, and 15 nodes, numbered from 1; for each of the M and of 128 confidences 8 chances (maximum 255);
//! and a mixer with 256 rows in the first set. The bits are decoded from the highest to the lowest. *all* is 1, and
//! with each bit becomes 2 × all + bit. *node* is 1 before the first and the fifth bit, and likewise becomes 2 × node + bit.
//!
//! Before the first and the fifth bit, for each context c with the number i, let h be H(c, i). The line is that of the number of the highest
//! L bits of h, ^ all; the check is h mod 65,536, or 1. Of the line the first half byte is taken where its check is that one; else the second, where its
//! check is that one, or t of its node 1 is less than that of the first half byte's; else the first. All N are looked up first; then, in the order of i,
//! those that had another check get new nodes, and all get their checks. Opinions 0..N are the odds of the node *node* of each. Opinion N + i: where the bits so far are those
//! of the expected byte i, the odds of its chance for its confidence and the bit's number (0 for the highest), or, if its next bit is
//! 0, the negative of them. Opinion N + M is 256. The row of the first set is *all*.
//! Then each of the N nodes is told the bit, and those that had an opinion on an expected byte whether its bit was right.
//!
//! **Flags** are decoded by N contexts and rows: for each context c with the number i, the chance (maximum 255)
//! of the number H(c, i) mod 65,536 of 65,536 for that i. Opinions 0..N are their odds, opinion N is 256. Then all are told the flag.
//!
//! **The history** is the last 2^24 bytes of: the dictionary, then each literal, before the branches become distances; and before
//! the first piece of literals after a copy the last 16 bytes of the copy that comes before it in the new payload, or all where it has
//! fewer. y₁ is its last byte, y₂ the one before, …; bytes that never were are 0. Two *matches* follow it, with the least lengths s of 10 and 5.
//! Each has a key, at first 0, that with each byte b becomes key × (`2f0b4c47` << (32 / s, rounded up)) + b + 1; and 2^20 *notes*, each at
//! first 0. Places count bytes modulo 2^24, from the first that ever was. After each byte, let h be H(key, s). The note of the number of the highest 20 bits of h
//! is a place, in the lowest 24 bits, and 8 bits that are compared with h mod 2^8: the place is *found* if they are equal, else 0. It becomes the present place, and h mod 2^8. Before
//! a literal, if nothing is followed and the place that was found is not 0, *same* is how many bytes before that place are equal to those before the present
//! one, at most 32; if it is at least s, the place is followed. What is followed expects the byte at its place, with the confidence
//! min(same, 31) + 32 × *disappointments*. If the literal is that byte, the place goes on by one and same by one, up to 32; if same is then at least 16, disappointments are 0.
//! If not, nothing is followed, and disappointments are one more, up to 3. Before a literal that comes after a copy, nothing is followed.
//! Where both follow the same place, the second expects nothing, but goes on.
//!
//! **Literals** are bytes with N = 7, M = 4, L = 17, and 2,048 rows in the second set. Beside each piece of literals are old bytes: *behind* it
//! those that follow in the old payload on the copy before (or on its beginning), as far from that copy's end as the literals are, and *ahead* of it those
//! that are as far before the beginning of the next copy as the literals are. u and v are these two for a literal, or 256 where there is none. a and b are for each the bits, the last the
//! lowest, whether they were equal to the literals of the piece before this one. *w* is the word: with each byte of the history it becomes H(w, byte) where
//! it is an ASCII letter or digit, `_`, or above 127, else 0; after a copy it begins with 0 at the first of its 16 bytes.
//!
//! | | |
//! |---|---|
//! | contexts | y₁ + 256; H(t, 2), H(t, 3) with t = the last 2, 3 bytes, y₁ the lowest; H(w, y₁); H(u, 1 + a mod 8); H(y₂ + 256 y₃, 5); H(y₃ + 256 y₄, 6) |
//! | expected | what the two matches expect; u with (a mod 16) × 4 + min(3, literals of the piece before this one); v with (b mod 16) × 8 + min(7, literals of the piece from this one on) |
//! | row | 16 × min(i, 16) + (j / 4, rounded up), where i and j are for the two matches that expect something min(same, 31) + 1, else 0 |
//!
//! **Copies.** The pieces of copies are decoded in *blocks* of 32 bytes, the last of which may be shorter. Of bytes that come before
//! are known: D, 64 bits, the last the lowest, which differed; d₁, d₂, … d₁₆, by how much the last byte, the one before, … differed (0 if it did not; what is
//! added); l, by how much the last one that differed; q, how many have not since; n₁, n₂, … the new bytes, whether of copies or literals (n, their last four, n₁ the
//! lowest); and B, 32 bits, of the blocks that were asked for, which had differences. After a piece of literals, D, B, d, l and q are 0, and n₁… those of its bytes, before the branches become
//! distances, and 0 for what came before. p₀ is the byte as predicted, p₁, p₂, p₃ the next and p₋₁, p₋₂ those before it in the piece, or 0. k is its *mark*: 0 where it is
//! in no field of a reference that is wholly in the piece, else 8 × the number of the kind + 1 + its number in the field.
//!
//! A block of 32 begins with a flag, *equal*. If it is a yes, its bytes are as predicted; D is shifted by 32, d₁… become 0, and q is 32 more. Else, or if the block is shorter,
//! for each byte comes a flag, *differs*, but not for the last byte of a block of 32 of which no other differs: that one does. Where it
//! does, the byte follows. The first set of *equal* has 256 rows, the second 1; both sets of *differs* 256. L is the bits of min(q, 2^15 − 1) without leading zeros, and
//! bytes have N = 9, M = 3, L = 15, and 128 rows.
//!
//! | | equal | differs | bytes |
//! |---|---|---|---|
//! | contexts | B mod 2^8 | D mod 2^16 | p₀ + 2^8 k |
//! | | B mod 2^16 | H(p₀ + 2^8 p₁ + 2^16 p₂ + 2^24 p₃, 1) | H(p₀ + 2^8 l, 1) |
//! | | 2^8 × (ones in D) or B mod 4 | H(k or 2^8 p₀ or 2^16 × (D mod 16), 2) | H(n₁ + 2^8 p₀, 2) |
//! | | 2^8 p₀ or k, of the first byte | H(p₋₁ + 2^8 p₋₂ + 2^16 p₀ + 2^24 × (D mod 8), 3) | H(n mod 2^16 + 2^16 p₀, 3) |
//! | | H(l, min(q, 255)) | H(n mod 2^24 + 2^24 p₀, 4) | H(n mod 2^24, 4) |
//! | | | H(p₋₁ + 2^8 p₀ + 2^16 p₁, k or 2^8 L) | H(p₀ + 2^8 p₁ + 2^16 p₋₁, 5) |
//! | | | k or 2^8 L or 2^16 l | H(n, p₀) |
//! | | | H(d₄ + 2^8 d₈ + 2^16 d₁₆, k or 2^8 × (D mod 2)) | H(p₋₁ + 2^8 n₁ + 2^16 p₀, 6) |
//! | | | | H(k or 2^8 d₄ or 2^16 d₈, p₀) |
//! | expected | | | p₀ + l, p₀ + d₄, p₀ + d₈, modulo 256, confidence 0 |
//! | rows | B mod 2^8; 0 | D mod 2^8; 16 L or (k / 8, rounded up) | second set: k |
//!
//! As the byte is not p₀: where its first seven bits are those of p₀, the eighth is not decoded, but the other one.
//!
//! # Known limits
//!
//! - Payloads are made into deltas in memory, by one thread: about 15 to 20 bytes for each byte of the old payload.
//!   The old one must be shorter than 4 GiB.
//! - An executable is in memory as a whole while it is analysed, and about 50 bytes for each of its
//!   addresses while it is rebuilt. One above 256 MiB is taken for plain bytes.
//! - *Compact* is applied by one thread, with up to about 50 MiB of memory beside what *fast* takes. It takes 1 to 1.5 µs
//!   for each literal: 0.19 CPU seconds for each MB of payload where, as in ruff, an eighth of it are literals,
//!   0.33 where, as in pydantic-core, a fifth of it are, and 0.05 or less where little is new. A third of that is waiting for memory. Where next to nothing is new, it may be a few bytes larger than *fast*.
//! - Only the changes are mixed: copies and errors of addresses are packed as in *fast*.
//! - Windows' and macOS' executables are taken for plain bytes.
//! - What is compressed inside a payload is opened where it is deflate that zlib, `gzip` or `zip` made at levels 1 to 9, zlib with its default
//!   strategy, in archives of zip (stored ones within one also, zip64 not) or files of gzip, and once only: an archive within a compressed entry is
//!   not looked into. What zlib-ng, libdeflate, Go or Rust's miniz compress, what `gzip --rsyncable` does, PNG images, and xz, zstd and bzip2
//!   stay closed. How many bytes `gzip` is given at once by a pipe, and what another file
//!   left in its window, may decide about the last bytes; of 400 files each that was not met once. What is opened of either side is at most 32 MiB, taken from the beginning of the payload on.
//! - What the old payload's streams inflate to is in memory while the delta is applied.
//! - A folder that is named to `mainstay delta make` is packed to a temporary file first; what `mainstay delta apply`
//!   makes of one is such a file before it is unpacked.
//! - A delta is for one old payload, of which it knows the digest and nothing of its files: a machine on which
//!   somebody has changed one file of the old tree fetches the artifact, and not that file alone.
//! - The old payload is read twice by a machine: once to be compared with its digest, once to be copied from.
//! - Which fields of an executable are addresses is specified by the code only.
//! - The server makes deltas for updates alone. What is counted is what was
//!   sent to the end; what machines say of it (`fetched` of the event `installed`) is kept with the event and not
//!   added up.
//! - A killed server forgets what it had spent on the delta that it was making. A delta that took longer than `seconds_a_day` is not begun again, whatever
//!   that is set to later, nor is one that failed; nothing of them is forgotten.
//! - A delta that gives way is gone at once: a machine in the middle of it fetches another way.
//! - Deltas are looked at one after another. While one is made, none is made for what is published meanwhile.
//! - The server decides for each contract and each version that runs what comes next: that was not measured
//!   with thousands. A *compact* delta is aligned anew, although the *fast* one beside it was aligned alike.
//! - What is left of a delta where a server is killed between storing its bytes and noting them stays, unless
//!   the same delta is made again.
//! - A stopped product and paused rollouts are not looked at: deltas are made all the same.
//! - What machines run is added up in memory at each look. Pins, holds and blocks of single machines do not
//!   count there.
