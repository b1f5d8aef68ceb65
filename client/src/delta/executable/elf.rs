use std::ops::Range;

use super::{Reference, ReferenceKind, Segment, Segments};

/// A little-endian ELF file of 64 bits, by its headers.
#[derive(Clone, Debug)]
pub(super) struct Elf<'a> {
    pub(super) file: &'a [u8],
    pub(super) segments: Segments,
    program_headers: Table,
    section_headers: Table,
}

/// A table of headers in the file.
#[derive(Clone, Copy, Debug)]
struct Table {
    offset: usize,
    entries: usize,
}

const PROGRAM_HEADER_BYTES: usize = 56;
const SECTION_HEADER_BYTES: usize = 64;

const LOAD: u32 = 1;
impl<'a> Elf<'a> {
    pub(super) fn parse(file: &'a [u8]) -> Option<Self> {
        // Magic, 64 bits, little-endian, version 1.
        if !file.starts_with(b"\x7fELF\x02\x01\x01") {
            return None;
        }
        let is_program = [2, 3].contains(&u16_at(file, 16)?);
        let is_known_machine = [62, 183].contains(&u16_at(file, 18)?);
        if !is_program || !is_known_machine {
            return None;
        }
        let program_headers = Table::at(file, 32, 54, PROGRAM_HEADER_BYTES)?;
        let section_headers = Table::at(file, 40, 58, SECTION_HEADER_BYTES)
            .unwrap_or(Table { offset: 0, entries: 0 });
        let mut loaded = Vec::new();
        for header in program_headers.offsets(PROGRAM_HEADER_BYTES) {
            let offset = u64_at(file, header + 8)?;
            let file_bytes = u64_at(file, header + 32)?;
            match u32_at(file, header)? {
                LOAD if loaded.len() == Segments::SEGMENTS_MAX => return None,
                LOAD => {
                    range_within(file, offset, file_bytes)?;
                    let address = u64_at(file, header + 16)?;
                    let memory_bytes = u64_at(file, header + 40)?;
                    loaded.push(Segment { address, offset, file_bytes, memory_bytes });
                }
                _ => {}
            }
        }
        Some(Self { file, segments: Segments::new(loaded)?, program_headers, section_headers })
    }

    /// The addresses in the headers themselves: where the program begins, and where its parts are.
    pub(super) fn header_references(&self) -> Vec<Reference> {
        let segments = self.program_headers.offsets(PROGRAM_HEADER_BYTES);
        let sections = self.section_headers.offsets(SECTION_HEADER_BYTES);
        let entry = [24].into_iter();
        let fields = segments.flat_map(|header| [header + 16, header + 24]);
        let fields = entry.chain(fields).chain(sections.map(|header| header + 16));
        fields.filter_map(|offset| self.pointer_at(offset)).collect()
    }

    /// The reference in the field of 64 bits at `offset`, where that holds the address of something.
    pub(super) fn pointer_at(&self, offset: usize) -> Option<Reference> {
        let target = u64_at(self.file, offset)?;
        let is_address = target != 0 && self.segments.contain(target);
        is_address.then_some(Reference { offset, kind: ReferenceKind::Absolute64, target })
    }
}

impl Table {
    /// The table of which the file's header says at `offset_field` where it begins, and behind
    /// `size_field` how long an entry is and how many there are.
    fn at(file: &[u8], offset_field: usize, size_field: usize, entry_bytes: usize) -> Option<Self> {
        let offset = usize::try_from(u64_at(file, offset_field)?).ok()?;
        let is_known = usize::from(u16_at(file, size_field)?) == entry_bytes;
        let entries = usize::from(u16_at(file, size_field + 2)?);
        let end = offset.checked_add(entries * entry_bytes)?;
        (is_known && end <= file.len()).then_some(Self { offset, entries })
    }

    /// Where its entries begin.
    fn offsets(self, entry_bytes: usize) -> impl Iterator<Item = usize> {
        (0..self.entries).map(move |index| self.offset + index * entry_bytes)
    }
}

/// `length` bytes from `offset` on, where the file has them.
fn range_within(file: &[u8], offset: u64, length: u64) -> Option<Range<usize>> {
    let (offset, length) = (usize::try_from(offset).ok()?, usize::try_from(length).ok()?);
    let end = offset.checked_add(length)?;
    (end <= file.len()).then_some(offset..end)
}

pub(super) fn u16_at(file: &[u8], offset: usize) -> Option<u16> {
    file.get(offset..)?.first_chunk().map(|bytes| u16::from_le_bytes(*bytes))
}

pub(super) fn u32_at(file: &[u8], offset: usize) -> Option<u32> {
    file.get(offset..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}

pub(super) fn u64_at(file: &[u8], offset: usize) -> Option<u64> {
    file.get(offset..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}
