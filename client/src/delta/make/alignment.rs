//! Which stretches of the new payload are copies, exact or nearly so, of which of the old one.
//!
//! The way of C. Percival's bsdiff: seeds are long exact matches that do better than the current
//! diagonal, and a copy grows from its seed both ways while what is equal outweighs what is not.

use super::suffix_index::{Match, SuffixIndex, common};
use crate::delta::{Error, Progress, Watch, copies::Copy, progress::tell};

#[derive(Clone, Copy, Debug)]
pub(super) struct Tuning {
    /// By how many bytes another place must match better than the one at hand.
    pub(super) gain_min: usize,
    /// How many equal bytes outweigh one that differs.
    pub(super) difference_cost: i64,
}

/// A stretch along the current diagonal that is long enough to be taken without a search.
const TRUSTED: usize = 64;
/// After how many bytes of the new payload the caller is told, and asked.
const TOLD_EVERY_BYTES: usize = 64 << 10;

/// The copies, ascending and apart from each other in the new payload.
pub(super) fn align(
    index: &SuffixIndex<'_>,
    new: &[u8],
    tuning: Tuning,
    watch: Watch<'_>,
) -> Result<Vec<Copy>, Error> {
    let aligner = Aligner { index, old: index.text(), new, tuning };
    let mut copies = Vec::new();
    let mut current = Copy { new: 0, old: 0, length: 0 };
    let (mut told, total) = (0, new.len() as u64);
    loop {
        if current.new >= told {
            tell(watch, Progress::Aligning { done: current.new as u64, total })?;
            told = current.new + TOLD_EVERY_BYTES;
        }
        let next = aligner.next_seed(current);
        let end = next.map_or(new.len(), |it| it.new);
        let mut forward = aligner.forward(current, end);
        let Some(mut next) = next else {
            copies.push(Copy { length: forward, ..current });
            break;
        };
        let mut backward = aligner.backward(next, current.new);
        let overlap = (current.new + forward + backward).saturating_sub(next.new);
        if overlap > 0 {
            let from = next.new - backward;
            let kept = aligner.split(current, next, from, overlap);
            forward -= overlap - kept;
            backward -= kept;
        }
        next = Copy {
            new: next.new - backward,
            old: next.old - backward,
            length: next.length + backward,
        };
        copies.push(Copy { length: forward, ..current });
        current = next;
    }
    copies.retain(|it| it.length > 0);
    Ok(copies)
}

/// Leaves the `copies_max` longest copies.
pub(super) fn keep_longest(copies: &mut Vec<Copy>, copies_max: usize) {
    if copies.len() > copies_max {
        copies.sort_unstable_by_key(|it| std::cmp::Reverse((it.length, it.new)));
        copies.truncate(copies_max);
        copies.sort_unstable_by_key(|it| it.new);
    }
}

struct Aligner<'a> {
    index: &'a SuffixIndex<'a>,
    old: &'a [u8],
    new: &'a [u8],
    tuning: Tuning,
}

impl Aligner<'_> {
    /// The next exact match that does better than the diagonal of `current` goes on.
    fn next_seed(&self, current: Copy) -> Option<Copy> {
        let on_diagonal = |new: usize| (new + current.old).checked_sub(current.new);
        let equal = |new: usize| {
            on_diagonal(new)
                .and_then(|old| self.old.get(old))
                .is_some_and(|it| *it == self.new[new])
        };
        let mut scan = current.new + current.length;
        // How many bytes from `scan` to `counted` are equal on the diagonal.
        let (mut counted, mut score) = (scan, 0);
        while scan < self.new.len() {
            let along = on_diagonal(scan).and_then(|it| self.old.get(it..)).unwrap_or_default();
            let run = common(along, &self.new[scan..]);
            if run >= TRUSTED {
                scan += run;
                (counted, score) = (scan, 0);
                continue;
            }
            let Match { old, length } =
                self.index.longest(&self.new[scan..], on_diagonal(scan).unwrap_or(0));
            while counted < scan + length {
                score += usize::from(equal(counted));
                counted += 1;
            }
            if length == score && length > 0 {
                scan += length;
                score = 0;
                continue;
            }
            if length > score + self.tuning.gain_min {
                return Some(Copy { new: scan, old, length });
            }
            if counted > scan {
                score -= usize::from(equal(scan));
            } else {
                counted = scan + 1;
            }
            scan += 1;
        }
        None
    }

    fn forward(&self, current: Copy, end: usize) -> usize {
        let old = &self.old[current.old..];
        let pairs = self.new[current.new..end].iter().zip(old);
        self.best_prefix(pairs.map(|(new, old)| new == old))
    }

    fn backward(&self, next: Copy, from: usize) -> usize {
        let pairs = self.new[from..next.new].iter().rev().zip(self.old[..next.old].iter().rev());
        self.best_prefix(pairs.map(|(new, old)| new == old))
    }

    fn best_prefix(&self, pairs: impl Iterator<Item = bool>) -> usize {
        let (mut score, mut best, mut length) = (0_i64, 0, 0);
        for (index, is_equal) in pairs.enumerate() {
            score += if is_equal { 1 } else { -self.tuning.difference_cost };
            if score > best {
                (best, length) = (score, index + 1);
            }
        }
        length
    }

    /// How many of the `overlap` bytes from `from` the earlier copy keeps.
    fn split(&self, current: Copy, next: Copy, from: usize, overlap: usize) -> usize {
        let (mut score, mut best, mut kept) = (0_i64, 0, 0);
        for index in 0..overlap {
            let new = from + index;
            let is_equal = |old: usize| self.old.get(old) == self.new.get(new);
            score += i64::from(is_equal(current.old + (new - current.new)));
            score -= i64::from(is_equal(next.old - (next.new - new)));
            if score > best {
                (best, kept) = (score, index + 1);
            }
        }
        kept
    }
}
