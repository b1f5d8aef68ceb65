//! Addresses in data, which only what they are tells from numbers.

use super::{
    Reference, ReferenceKind,
    code::Code,
    elf::{Elf, Placement},
};

/// The entries of tables that hold distances from where the table begins, each to an instruction: what
/// compilers make of `switch`. A table begins at an address that the code takes, and ends where
/// another does or an entry leads to no instruction.
pub(super) fn jump_tables(elf: &Elf<'_>, code: &Code) -> Vec<Reference> {
    const ENTRY_BYTES: usize = 4;
    /// A table of one entry is none: a number may well be the distance to an instruction.
    const ENTRIES_MIN: usize = 2;

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
        let kind = ReferenceKind::BaseRelative32 { base };
        let entry = |offset: usize| {
            let target = kind.read(kind.field(elf.file, offset)?, 0);
            let instruction = elf.segments.offset_of(target)?;
            code.instructions.contain(instruction).then_some(Reference { offset, kind, target })
        };
        let first = references.len();
        let offsets = (start..end.unwrap_or(elf.file.len())).step_by(ENTRY_BYTES);
        references.extend(offsets.map_while(entry));
        if references.len() < first + ENTRIES_MIN {
            references.truncate(first);
        }
        free_from = references.last().map_or(free_from, |last| last.offset + ENTRY_BYTES);
    }
    references
}

/// Pointers in the data of a program whose addresses are fixed. In others relocations tell where
/// pointers are.
pub(super) fn pointers(elf: &Elf<'_>) -> Vec<Reference> {
    if elf.placement == Placement::Relocated {
        return Vec::new();
    }
    elf.words().filter_map(|(offset, _)| elf.pointer_at(offset)).collect()
}
