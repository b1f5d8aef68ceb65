//! What Go's programs know of their types at run time.

use super::{FIELD_BYTES, Go, Tables};
use crate::delta::executable::elf::{Elf, u16_at, u32_at, u64_at};

/// Bytes of what is said of every type, before what is said of types of its kind.
const TYPE_BYTES: usize = 48;
/// The type has methods or a name.
const IS_UNCOMMON: u8 = 1;

// Kinds of types.
const ARRAY: u8 = 17;
const CHANNEL: u8 = 18;
const FUNCTION: u8 = 19;
const INTERFACE: u8 = 20;
const MAP: u8 = 21;
const POINTER: u8 = 22;
const SLICE: u8 = 23;
const STRUCTURE: u8 = 25;
const LAST_KIND: u8 = 26;

/// A type, by the part of its description that all types have.
struct Type {
    kind: u8,
    flags: u8,
}

impl Go {
    /// Finds the descriptions of types, whose names, methods and pointers are told by distances from
    /// where the types begin. They are among other data; nothing else looks like one.
    pub(super) fn read_types(&mut self, elf: &Elf<'_>, tables: &Tables) -> Option<()> {
        const ALIGNMENT: usize = 8;

        let start = elf.segments.offset_of(tables.types)?;
        let end = elf.segments.offset_of(tables.types_end)?;
        let mut at = start;
        while at < end {
            let Some(found) = Type::at(elf, tables, at) else {
                at += ALIGNMENT;
                continue;
            };
            self.distance(elf, at + 40, tables.types);
            if u32_at(elf.file, at + 44)? != 0 {
                self.distance(elf, at + 44, tables.types);
            }
            if found.kind == INTERFACE {
                self.read_interface(elf, tables, at);
            }
            if let Some(uncommon) = found.uncommon_at(at) {
                self.read_methods(elf, tables, uncommon);
            }
            at += TYPE_BYTES;
        }
        for link in tables.type_links.clone().step_by(FIELD_BYTES) {
            self.distance(elf, link, tables.types);
        }
        Some(())
    }

    /// Reads the name and type of each method of the interface that is described at `at`.
    fn read_interface(&mut self, elf: &Elf<'_>, tables: &Tables, at: usize) -> Option<()> {
        let methods = elf.segments.offset_of(u64_at(elf.file, at + 56)?)?;
        let count = usize::try_from(u64_at(elf.file, at + 64)?).ok()?;
        for field in (methods..elf.file.len()).step_by(FIELD_BYTES).take(count.saturating_mul(2)) {
            self.distance(elf, field, tables.types)?;
        }
        Some(())
    }

    /// Reads the package and the methods of a type: name, type, and two entries into the code.
    fn read_methods(&mut self, elf: &Elf<'_>, tables: &Tables, at: usize) -> Option<()> {
        const METHOD_BYTES: usize = 16;

        self.distance(elf, at, tables.types);
        let count = usize::from(u16_at(elf.file, at + 4)?);
        let methods = at.checked_add(usize::try_from(u32_at(elf.file, at + 8)?).ok()?)?;
        for method in (0..count).map(|index| methods + METHOD_BYTES * index) {
            self.distance(elf, method, tables.types)?;
            for (field, base) in [(4, tables.types), (8, tables.text), (12, tables.text)] {
                self.distance(elf, method + field, base);
            }
        }
        Some(())
    }
}

impl Type {
    /// The description at `at`, where there is one by all that is known of descriptions.
    fn at(elf: &Elf<'_>, tables: &Tables, at: usize) -> Option<Self> {
        let bytes = elf.file.get(at..)?.first_chunk::<TYPE_BYTES>()?;
        let [.., flags, alignment, field_alignment, kind] = *bytes.first_chunk::<24>()?;
        let size = u64_at(bytes, 0)?;
        let kind = kind & 0x1f;
        let is_plausible = (1..=LAST_KIND).contains(&kind)
            && flags < 0x40
            && alignment.is_power_of_two()
            && alignment <= 64
            && alignment == field_alignment
            && size < 1 << 32
            && u64_at(bytes, 8)? <= size;
        let leads_somewhere = |place| {
            u64_at(bytes, place)
                .is_some_and(|address| address == 0 || elf.segments.contain(address))
        };
        let named = |place| Some(tables.types.saturating_add(u64::from(u32_at(bytes, place)?)));
        let name = named(40)?;
        let is_described = is_plausible
            && leads_somewhere(24)
            && leads_somewhere(32)
            && name != tables.types
            && name < tables.types_end
            && named(44)? < tables.types_end;
        is_described.then_some(Self { kind, flags })
    }

    /// Where the part begins that only types with methods or a name have, behind that of the kind.
    fn uncommon_at(&self, at: usize) -> Option<usize> {
        let kind_bytes = match self.kind {
            POINTER | FUNCTION | SLICE => 8,
            CHANNEL => 16,
            ARRAY => 24,
            STRUCTURE | INTERFACE => 32,
            // Go's versions differ.
            MAP => return None,
            _ => 0,
        };
        (self.flags & IS_UNCOMMON != 0).then_some(at + TYPE_BYTES + kind_bytes)
    }
}
