//! Addresses in data, which only what they are tells from numbers.

use super::{
    Reference, ReferenceKind,
    code::Code,
    elf::{Elf, Placement},
};

/// The entries of tables that hold distances from where the table begins: what compilers make of `switch`
/// where each case is other code, or chooses other data. A table begins at an address that the code takes,
/// and ends where another does or an entry leads to nothing of the same sort.
pub(super) fn relative_tables(elf: &Elf<'_>, code: &Code) -> Vec<Reference> {
    const ENTRY_BYTES: usize = 4;

    let mut bases = code.taken.clone();
    bases.sort_unstable();
    bases.dedup();
    let mut references = Vec::new();
    let mut free_from = 0;
    for (index, base) in bases.iter().copied().enumerate() {
        let Some(start) = elf.segments.offset_of(base).filter(|start| *start >= free_from) else {
            continue;
        };
        let end = bases.get(index + 1).and_then(|next| elf.segments.offset_of(*next));
        let end = end.unwrap_or(elf.file.len());
        let kind = ReferenceKind::BaseRelative32 { base };
        let entry = |offset: usize| {
            let target = kind.read(kind.field(elf.file, offset)?, 0);
            Some((Reference { offset, kind, target }, Destination::of(elf, code, base, target)?))
        };
        let Some((_, destination)) = entry(start) else { continue };
        let first = references.len();
        let entries = (start..end).step_by(ENTRY_BYTES).map_while(entry);
        let entries = entries.take_while(|(_, other)| *other == destination);
        references.extend(entries.map(|(reference, _)| reference));
        if references.len() < first + destination.entries_min() {
            references.truncate(first);
        }
        free_from = references.last().map_or(free_from, Reference::end);
    }
    references
}

/// What an entry of a table leads to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Destination {
    Instruction,
    Data,
}

impl Destination {
    fn of(elf: &Elf<'_>, code: &Code, base: u64, target: u64) -> Option<Self> {
        /// What is nearer may well be a number.
        const NEAR_BYTES: u64 = 1024;

        let place = elf.segments.offset_of(target)?;
        if code.instructions.contain(place) {
            return Some(Self::Instruction);
        }
        // A distance forward in the same segment may well be a number, too.
        let segment_end = |place: Option<usize>| elf.segments.end_of(place?);
        let is_elsewhere = segment_end(Some(place)) != segment_end(elf.segments.offset_of(base));
        let is_distance = base.abs_diff(target) >= NEAR_BYTES && (target < base || is_elsewhere);
        (is_distance && !elf.is_executable(target)).then_some(Self::Data)
    }

    /// How many entries a table has to have: a few numbers may look like it.
    const fn entries_min(self) -> usize {
        match self {
            Self::Instruction => 2,
            Self::Data => 3,
        }
    }
}

/// Pointers in the data of a program whose addresses are fixed. In others relocations tell where
/// pointers are.
pub(super) fn pointers(elf: &Elf<'_>) -> Vec<Reference> {
    if elf.placement == Placement::Relocated {
        return Vec::new();
    }
    elf.words().filter_map(|(offset, _)| elf.pointer_at(offset)).collect()
}
