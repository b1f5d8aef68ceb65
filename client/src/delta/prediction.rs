//! What the addresses in an executable become when it is changed.

use std::ops::Range;

use super::{
    copies::{Copy, PIECE_BYTES_MAX},
    executable::{Executable, Reference, ReferenceKind, Segments},
};

/// How well it is known where a target has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Knowledge {
    /// No copy takes it.
    Guessed,
    /// A copy takes it with it.
    Copied,
    /// A reference to it has been seen.
    Seen,
}

/// How many targets to either side are asked where one has gone that no copy takes.
const NEIGHBOURS: usize = 16;

/// Says of each field of a copy what it becomes, and learns from what it became.
pub(super) struct Prediction {
    references: Vec<Reference>,
    new: Segments,
    /// Every target of the old file once, ascending; and where it is in the new one.
    targets: Vec<u64>,
    moved: Vec<u64>,
    knowledge: Vec<Knowledge>,
}

impl Prediction {
    /// For the changed file with the segments `new`, of which `copies` come from the file `old`.
    pub(super) fn new(old: Executable, new: Segments, copies: impl Iterator<Item = Copy>) -> Self {
        let Executable { references, segments: old } = old;
        let bases = references.iter().filter_map(|it| it.kind.base());
        let mut targets: Vec<u64> = references.iter().map(|it| it.target).chain(bases).collect();
        targets.sort_unstable();
        targets.dedup();
        targets.shrink_to_fit();
        let mut copies: Vec<Copy> = copies.collect();
        copies.sort_unstable_by_key(|it| (it.old, it.length, it.new));
        let (moved, knowledge) = carried(&targets, &old, &new, &copies);
        Self { references, new, targets, moved, knowledge }
    }

    /// The references whose fields are within these bytes of the old file.
    fn references(&self, within: Range<usize>) -> Range<usize> {
        let first = self.references.partition_point(|it| it.offset < within.start);
        let end = self.references.partition_point(|it| it.end() <= within.end);
        first..end.max(first)
    }

    /// Says of each byte of `copy`, which is from the old file, of which field it is: 0 of none, else eight times
    /// the number of the kind, and which byte of the field, counted from 1.
    pub(super) fn mark(&self, copy: &Copy, marks: &mut [u8]) {
        for index in self.references(copy.old..copy.old_end()) {
            let Some(reference) = self.references.get(index) else { continue };
            let position = reference.offset - copy.old;
            let field = marks.get_mut(position..position + reference.kind.width());
            let first = 8 * reference.kind.index() + 1;
            for (mark, number) in field.unwrap_or_default().iter_mut().zip(first..) {
                *mark = u8::try_from(number).unwrap_or_default();
            }
        }
    }

    /// How many of `count` bytes from `from` of the old file end where no field does not.
    fn without_part(&self, from: usize, count: usize) -> usize {
        let end = from + count;
        let last = self.references.partition_point(|it| it.offset < end).checked_sub(1);
        match last.and_then(|it| self.references.get(it)) {
            Some(last) if last.end() > end && last.offset > from => last.offset - from,
            _ => count,
        }
    }

    /// How many of the `left` bytes from `from` of the old file on are the next piece of a copy.
    pub(super) fn piece_bytes(&self, from: usize, left: usize) -> usize {
        if left > PIECE_BYTES_MAX { self.without_part(from, PIECE_BYTES_MAX) } else { left }
    }

    /// Makes the fields in `bytes`, which `copy` takes from the old file, what they become in the new one.
    /// `error` says by how much one differs from what is predicted.
    pub(super) fn rewrite<E>(
        &mut self,
        copy: &Copy,
        bytes: &mut [u8],
        mut error: impl FnMut(usize, &Predicted) -> Result<u64, E>,
    ) -> Result<(), E> {
        for index in self.references(copy.old..copy.old_end()) {
            let Some(reference) = self.references.get(index).copied() else { continue };
            let position = reference.offset - copy.old;
            let Some(field) = reference.kind.field(bytes, position) else { continue };
            let Some(predicted) = self.predict(&reference, field, copy.new + position) else {
                continue;
            };
            let (field, target) = predicted.corrected(error(position, &predicted)?);
            let width = reference.kind.width();
            if let Some(bytes) = bytes.get_mut(position..position + width) {
                bytes.copy_from_slice(field.to_le_bytes().get(..width).unwrap_or_default());
            }
            self.learn(reference.target, target);
        }
        Ok(())
    }

    /// What becomes of `reference` in a copy that has its field, which was `field`, at `offset` of the
    /// new file; `None` where that is at no address, and the kind counts from there.
    fn predict(&self, reference: &Reference, field: u64, offset: usize) -> Option<Predicted> {
        let address =
            self.new.address_of(offset).or_else(|| reference.kind.is_absolute().then_some(0))?;
        let target = self.moved(reference.target);
        let kind = reference.kind.moved(target, |base| self.moved(base));
        let value = kind.read(kind.write(target, address, field).unwrap_or(field), address);
        Some(Predicted { kind, address, field, target, value })
    }

    /// Takes in that what was `old_target` is `target`.
    pub(super) fn learn(&mut self, old_target: u64, target: u64) {
        if let Ok(index) = self.targets.binary_search(&old_target)
            && let (Some(moved), Some(knowledge)) =
                (self.moved.get_mut(index), self.knowledge.get_mut(index))
        {
            (*moved, *knowledge) = (target, Knowledge::Seen);
        }
    }

    /// Where `target` has gone.
    pub(super) fn moved(&self, target: u64) -> u64 {
        let Ok(index) = self.targets.binary_search(&target) else { return target };
        let shift = |index: usize| {
            let (from, to) = (self.targets.get(index)?, self.moved.get(index)?);
            Some(to.wrapping_sub(*from))
        };
        let is_seen = |index: &usize| self.knowledge.get(*index) == Some(&Knowledge::Seen);
        let near = |_: &Knowledge| {
            let mut around =
                (1..=NEIGHBOURS).flat_map(|it| [index.checked_sub(it), Some(index + it)]);
            around.find_map(|it| it.filter(is_seen))
        };
        let guess = self.knowledge.get(index).filter(|it| **it == Knowledge::Guessed);
        let from = guess.and_then(near).unwrap_or(index);
        target.wrapping_add(shift(from).unwrap_or(0))
    }
}

/// Where the copies take each of `targets`. A target that is in none goes where the copy before it would
/// take it, and one that is not in the file where its segment goes.
fn carried(
    targets: &[u64],
    old: &Segments,
    new: &Segments,
    copies: &[Copy],
) -> (Vec<u64>, Vec<Knowledge>) {
    let mut moved = Vec::with_capacity(targets.len());
    let mut knowledge = Vec::with_capacity(targets.len());
    let in_file = |target: u64| old.offset_of(target);
    // Segments need not be in the file in the order of their addresses.
    let mut order: Vec<(usize, usize)> =
        targets.iter().enumerate().filter_map(|(index, it)| Some((in_file(*it)?, index))).collect();
    order.sort_unstable();
    moved.extend(targets.iter().map(|it| by_segment(*it, old, new)));
    knowledge.resize(targets.len(), Knowledge::Guessed);
    let mut next = copies.iter().peekable();
    let mut current: Option<&Copy> = None;
    for (offset, index) in order {
        while let Some(copy) = next.next_if(|it| it.old <= offset) {
            if current.is_none_or(|it| it.old_end() < copy.old_end()) {
                current = Some(copy);
            }
        }
        let Some(copy) = current else { continue };
        let Some(address) = new.address_of(offset - copy.old + copy.new) else { continue };
        if let (Some(moved), Some(knowledge)) = (moved.get_mut(index), knowledge.get_mut(index)) {
            *moved = address;
            if offset < copy.old_end() {
                *knowledge = Knowledge::Copied;
            }
        }
    }
    (moved, knowledge)
}

/// Where `target` goes with its segment. What is not in the file moves with the end of what is.
fn by_segment(target: u64, old: &Segments, new: &Segments) -> u64 {
    let (old, new) = (old.as_slice(), new.as_slice());
    let position = old.iter().position(|it| {
        target.checked_sub(it.address).is_some_and(|distance| distance < it.memory_bytes)
    });
    let Some((old, new)) = position.and_then(|it| Some((old.get(it)?, new.get(it)?))) else {
        return target;
    };
    let (from, to) = if target - old.address < old.file_bytes {
        (old.address, new.address)
    } else {
        (old.address.wrapping_add(old.file_bytes), new.address.wrapping_add(new.file_bytes))
    };
    target.wrapping_sub(from).wrapping_add(to)
}

/// What a field is said to become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Predicted {
    kind: ReferenceKind,
    address: u64,
    field: u64,
    target: u64,
    value: u64,
}

impl Predicted {
    /// The field, where what it holds is `error` more than was said, and what it refers to.
    pub(super) fn corrected(&self, error: u64) -> (u64, u64) {
        let value = self.value.wrapping_add(error);
        let field = self.kind.write(value, self.address, self.field).unwrap_or(self.field);
        (field, self.target.wrapping_add(error))
    }

    /// By how much more than was said the field at `position` of the new `bytes` holds; nothing where that
    /// cannot be said of it.
    #[cfg(feature = "delta-make")]
    pub(super) fn error(&self, bytes: &[u8], position: usize) -> u64 {
        let Some(field) = self.kind.field(bytes, position) else { return 0 };
        let error = self.kind.read(field, self.address).wrapping_sub(self.value);
        let (corrected, _) = self.corrected(error);
        if (corrected ^ field) & self.kind.mask() == 0 { error } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delta::executable::Segment;

    #[test]
    fn an_absolute_address_is_predicted_where_there_is_none() {
        // The first bytes of the file are in memory, the others are not; 16 are put in.
        let segments = |bytes| {
            let (address, offset) = (0x1000, 0);
            Segments::new(vec![Segment { address, offset, file_bytes: bytes, memory_bytes: bytes }])
        };
        let copies = [Copy { new: 0, old: 0, length: 50 }, Copy { new: 66, old: 50, length: 150 }];
        let field = |offset, kind| Reference { offset, kind, target: 0x1040 };
        let references =
            vec![field(120, ReferenceKind::Absolute64), field(140, ReferenceKind::Relative32)];
        let old = Executable { segments: segments(100).unwrap(), references };
        let mut prediction = Prediction::new(old, segments(116).unwrap(), copies.into_iter());
        let mut bytes = vec![0; 150];
        prediction.rewrite(&copies[1], &mut bytes, |_, _| Ok::<_, ()>(0)).unwrap();
        assert_eq!(bytes[70..78], 0x1050_u64.to_le_bytes());
        assert_eq!(bytes[90..94], [0; 4]);
    }
}
