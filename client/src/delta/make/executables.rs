//! The executables of both payloads, and both payloads with their addresses made alike.
//!
//! Where code moves, the addresses in it change, and with them almost every stretch of it. So they are
//! taken out before what is alike is looked for. Once that is known, so is which old target has become which
//! new one, and a name of the target is put in place of the address: what calls the same function is
//! alike, and what calls another is not.

use std::collections::HashMap;

use super::{
    alignment::{Tuning, align},
    member::{Member, pairs},
    opening::Payload,
    sorted,
};
use crate::delta::{
    Error, Limits, Watch,
    copies::Copy,
    executable::{Executable, Reference, analyse},
    pair::Pair,
    prediction::Prediction,
};

/// What is looked for in executables without addresses.
const BARE: Tuning = Tuning { gain_min: 8, difference_cost: 1 };

/// A pair of executables that are not the same.
pub(super) struct Executables {
    pub(super) pair: Pair,
    pub(super) old: Executable,
    pub(super) new: Executable,
}

/// The pairs of executables that are understood, in the order of the new payload.
pub(super) fn executables(
    old: &Payload<'_>,
    new: &Payload<'_>,
    limits: &Limits,
) -> Vec<Executables> {
    let (old_members, new_members) =
        (executable_members(old, limits), executable_members(new, limits));
    let (old, new) = (&*old.bytes, &*new.bytes);
    let changed = pairs(&old_members, &new_members)
        .into_iter()
        .filter(|(before, after)| old[before.range.clone()] != new[after.range.clone()]);
    let analysed = changed.filter_map(|(before, after)| {
        Some(Executables {
            old: analyse(&old[before.range.clone()])?,
            new: analyse(&new[after.range.clone()])?,
            pair: Pair { old: before.range.clone(), new: after.range.clone() },
        })
    });
    analysed.collect()
}

fn executable_members(payload: &Payload<'_>, limits: &Limits) -> Vec<Member> {
    let mut members = payload.files.clone();
    members.retain(|it| {
        it.range.len() <= limits.executable_bytes_max
            && payload.bytes[it.range.clone()].starts_with(b"\x7fELF")
    });
    members
}

/// The same copies, none of which is partly within a pair.
pub(super) fn divided(copies: &[Copy], executables: &[Executables]) -> Vec<Copy> {
    let mut divided = Vec::with_capacity(copies.len());
    let mut pairs = executables.iter().map(|it| &it.pair).peekable();
    for copy in copies {
        while pairs.next_if(|it| it.new.end <= copy.new).is_some() {}
        let touched = pairs.clone().take_while(|it| it.new.start < copy.new_end());
        let borders = touched.flat_map(|it| {
            let new = [it.new.start, it.new.end].map(|it| it.checked_sub(copy.new));
            let old = [it.old.start, it.old.end].map(|it| it.checked_sub(copy.old));
            new.into_iter().chain(old).flatten()
        });
        let mut cuts: Vec<usize> = borders.filter(|it| (1..copy.length).contains(it)).collect();
        cuts.extend([0, copy.length]);
        cuts.sort_unstable();
        cuts.dedup();
        divided.extend(cuts.windows(2).map(|cut| copy.part(cut[0], cut[1] - cut[0])));
    }
    divided
}

/// Puts what `name` says of each reference of the `executable` that `file` is in place of its address.
fn overwrite(file: &mut [u8], executable: &Executable, name: impl Fn(&Reference) -> u64) {
    for reference in &executable.references {
        let (width, mask) = (reference.kind.width(), reference.kind.mask());
        if let Some(field) = reference.kind.field(file, reference.offset) {
            let field = field & !mask | name(reference) & mask;
            file[reference.offset..reference.end()].copy_from_slice(&field.to_le_bytes()[..width]);
        }
    }
}

/// Both payloads with names of targets in place of addresses.
pub(super) fn with_names(
    old: &[u8],
    new: &[u8],
    executables: &[Executables],
    watch: Watch<'_>,
) -> Result<[Vec<u8>; 2], Error> {
    let (mut old_named, mut new_named) = (old.to_vec(), new.to_vec());
    for executable in executables {
        let Executables { pair, old: before, new: after } = executable;
        let (old_file, new_file) =
            (&mut old_named[pair.old.clone()], &mut new_named[pair.new.clone()]);
        overwrite(old_file, before, |_| 0);
        overwrite(new_file, after, |_| 0);
        let copies = align(&sorted(old_file, watch)?, new_file, BARE, watch)?;
        let prediction = executable.voted(&copies);
        overwrite(old_file, before, |it| name(prediction.moved(it.target)));
        overwrite(new_file, after, |it| name(it.target));
    }
    Ok([old_named, new_named])
}

/// 32 bits in which few targets agree, and no two that are near to each other in any part.
fn name(target: u64) -> u64 {
    (target.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) & 0xffff_ffff
}

impl Executables {
    /// Those of `copies` that are within the pair, from the beginnings of its files.
    fn copies(&self, copies: &[Copy]) -> impl Iterator<Item = Copy> {
        let first = copies.partition_point(|it| it.new < self.pair.new.start);
        let inside = copies[first..].iter().take_while(|it| it.new < self.pair.new.end);
        inside.filter_map(|it| self.pair.within(it))
    }

    /// Whether any of `copies` is within the pair.
    pub(super) fn have_copies(&self, copies: &[Copy]) -> bool {
        self.copies(copies).next().is_some()
    }

    /// The prediction that a delta with `copies` begins with.
    pub(super) fn prediction(&self, copies: &[Copy]) -> Prediction {
        Prediction::new(self.old.clone(), self.new.segments.clone(), self.copies(copies))
    }

    /// The prediction that knows of each old target what most of the references in `copies`, which are within
    /// the files, say of it.
    fn voted(&self, copies: &[Copy]) -> Prediction {
        let mut votes: HashMap<(u64, u64), u32> = HashMap::new();
        for copy in copies {
            let end = copy.old_end();
            let references =
                |all: &[Reference], from: usize| all.partition_point(|it| it.offset < from);
            let mut new =
                self.new.references[references(&self.new.references, copy.new)..].iter().peekable();
            let old = self.old.references[references(&self.old.references, copy.old)..].iter();
            for old in old.take_while(|it| it.end() <= end) {
                let offset = old.offset - copy.old + copy.new;
                while new.next_if(|it| it.offset < offset).is_some() {}
                let same =
                    |it: &&&Reference| it.offset == offset && it.kind.index() == old.kind.index();
                if let Some(new) = new.peek().filter(same) {
                    *votes.entry((old.target, new.target)).or_default() += 1;
                }
            }
        }
        let mut votes: Vec<_> =
            votes.into_iter().map(|((old, new), count)| (old, count, new)).collect();
        votes.sort_unstable();
        let mut prediction =
            Prediction::new(self.old.clone(), self.new.segments.clone(), copies.iter().copied());
        for (old, _, new) in votes {
            // The most votes come last.
            prediction.learn(old, new);
        }
        prediction
    }
}
