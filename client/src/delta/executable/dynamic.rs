//! What a file tells the dynamic linker: where things are, and which addresses it has to adapt.

use std::ops::Range;

use super::{
    Reference,
    elf::{Elf, Machine, u32_at, u64_at},
    places::Places,
};

const ENTRY_BYTES: usize = 16;
const RELOCATION_BYTES: usize = 24;
const WORD_BYTES: usize = 8;

// Tags of entries, by the System V ABI and its extensions by GNU.
const PLT_RELOCATIONS_LENGTH: u64 = 2;
const STRING_TABLE: u64 = 5;
const SYMBOL_TABLE: u64 = 6;
const RELOCATIONS: u64 = 7;
const RELOCATIONS_LENGTH: u64 = 8;
const PLT_RELOCATIONS: u64 = 23;
const PACKED_RELOCATIONS_LENGTH: u64 = 35;
const PACKED_RELOCATIONS: u64 = 36;
/// Tags of entries that hold addresses: of the tables above, the global offset table, hash tables,
/// initialisers and their arrays, and what knows the versions of symbols.
const ADDRESSES: &[u64] = &[
    STRING_TABLE,
    SYMBOL_TABLE,
    RELOCATIONS,
    PLT_RELOCATIONS,
    PACKED_RELOCATIONS,
    3,
    4,
    12,
    13,
    17,
    25,
    26,
    32,
    0x6fff_fef5,
    0x6fff_fff0,
    0x6fff_fffc,
    0x6fff_fffe,
];

/// The segment for the dynamic linker.
pub(super) struct Dynamic<'a> {
    elf: &'a Elf<'a>,
    entries: Range<usize>,
}

impl<'a> Dynamic<'a> {
    /// That of `elf`, without entries where it has none.
    pub(super) fn of(elf: &'a Elf<'a>) -> Self {
        Self { elf, entries: elf.dynamic.clone().unwrap_or_default() }
    }

    /// The addresses in the segment itself and in the relocations that it names.
    pub(super) fn references(&self) -> Vec<Reference> {
        let mut references: Vec<_> = (self.entries())
            .filter(|(_, tag)| ADDRESSES.contains(tag))
            .filter_map(|(offset, _)| self.elf.pointer_at(offset + WORD_BYTES))
            .collect();
        for (table, length) in
            [(RELOCATIONS, RELOCATIONS_LENGTH), (PLT_RELOCATIONS, PLT_RELOCATIONS_LENGTH)]
        {
            if let Some(table) = self.table(table, length) {
                self.read_relocations(table, &mut references);
            }
        }
        if let Some(table) = self.table(PACKED_RELOCATIONS, PACKED_RELOCATIONS_LENGTH) {
            self.read_packed_relocations(table, &mut references);
        }
        references
    }

    /// The table of symbols. Its length is told nowhere; as every linker does, the names follow it.
    pub(super) fn symbols(&self) -> Option<Range<usize>> {
        let start = self.elf.segments.offset_of(self.value(SYMBOL_TABLE)?)?;
        let end = self.elf.segments.offset_of(self.value(STRING_TABLE)?)?;
        (start <= end).then_some(start..end)
    }

    /// The entries: where they are, and their tags.
    fn entries(&self) -> impl Iterator<Item = (usize, u64)> {
        let offsets = self.entries.clone().step_by(ENTRY_BYTES);
        offsets.map_while(|offset| Some((offset, u64_at(self.elf.file, offset)?)))
    }

    fn value(&self, wanted: u64) -> Option<u64> {
        let (offset, _) = self.entries().find(|(_, tag)| *tag == wanted)?;
        u64_at(self.elf.file, offset + WORD_BYTES)
    }

    /// The table that is at the address in one entry and as long as another says.
    fn table(&self, address: u64, length: u64) -> Option<Range<usize>> {
        let start = self.elf.segments.offset_of(self.value(address)?)?;
        let length = usize::try_from(self.value(length)?).ok()?;
        Some(start..start.checked_add(length)?.min(self.elf.file.len()))
    }

    /// Relocations that have what they add beside them.
    fn read_relocations(&self, table: Range<usize>, references: &mut Vec<Reference>) {
        let elf = self.elf;
        for offset in table.step_by(RELOCATION_BYTES) {
            let Some(kind) = u32_at(elf.file, offset + WORD_BYTES) else { return };
            let place = elf.pointer_at(offset);
            let adds_address = match elf.machine {
                // R_X86_64_RELATIVE, R_X86_64_IRELATIVE
                Machine::X86_64 => [8, 37].contains(&kind),
                // R_AARCH64_RELATIVE, R_AARCH64_IRELATIVE
                Machine::Aarch64 => [1027, 1032].contains(&kind),
            };
            if adds_address {
                references.extend(elf.pointer_at(offset + 2 * WORD_BYTES));
            }
            references.extend(place);
            references.extend(place.and_then(|place| self.pointer_to(place.target)));
        }
    }

    /// Relocations that are no more than where they are: an address, and after it words of which each
    /// has a bit for each of the next 63 words (`DT_RELR`).
    fn read_packed_relocations(&self, table: Range<usize>, references: &mut Vec<Reference>) {
        let mut relocated = Places::none(self.elf.file.len() / WORD_BYTES);
        let mut push = |address: u64, references: &mut Vec<Reference>| {
            let pointer = self.pointer_to(address).filter(|found| found.offset % WORD_BYTES == 0);
            let pointer = pointer.filter(|found| relocated.insert(found.offset / WORD_BYTES));
            references.extend(pointer);
        };
        let mut next = 0_u64;
        for offset in table.step_by(WORD_BYTES) {
            let Some(word) = u64_at(self.elf.file, offset) else { return };
            if word & 1 == 0 {
                references.extend(self.elf.pointer_at(offset));
                push(word, references);
                next = word.wrapping_add(8);
                continue;
            }
            for bit in (1..64).filter(|bit| word >> bit & 1 == 1) {
                push(next.wrapping_add((bit - 1) * 8), references);
            }
            next = next.wrapping_add(63 * 8);
        }
    }

    /// The reference in what is at `address`.
    fn pointer_to(&self, address: u64) -> Option<Reference> {
        self.elf.pointer_at(self.elf.segments.offset_of(address)?)
    }
}
