use std::ops::Range;

use super::{Reference, ReferenceKind, Segment, Segments};

/// What runs the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Machine {
    X86_64,
    Aarch64,
}

/// Whether the program has the addresses that its file says, or others at every start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Placement {
    Fixed,
    Relocated,
}

/// A section of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) kind: u32,
    pub(super) flags: u64,
    pub(super) offset: usize,
    pub(super) length: usize,
}

/// A little-endian ELF file of 64 bits, by its headers.
#[derive(Clone, Debug)]
pub(super) struct Elf<'a> {
    pub(super) file: &'a [u8],
    pub(super) machine: Machine,
    pub(super) placement: Placement,
    pub(super) segments: Segments,
    /// The segments that the program may run.
    executable_segments: Vec<Segment>,
    /// The segment for the dynamic linker.
    pub(super) dynamic: Option<Range<usize>>,
    /// The segment with the table of frames.
    pub(super) frame_table: Option<Range<usize>>,
    /// The sections that have bytes in the file. Many files have none: they are not needed to run.
    pub(super) sections: Vec<Section>,
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
const DYNAMIC: u32 = 2;
const GNU_EH_FRAME: u32 = 0x6474_e550;
const EXECUTABLE_SEGMENT: u32 = 1;

/// The table of the program's symbols.
pub(super) const SYMBOLS: u32 = 2;
const NO_BITS: u32 = 8;
/// The table of those symbols that the dynamic linker needs.
pub(super) const DYNAMIC_SYMBOLS: u32 = 11;
/// The section takes memory when the program runs.
const ALLOCATED: u64 = 2;
const EXECUTABLE_SECTION: u64 = 4;

impl<'a> Elf<'a> {
    pub(super) fn parse(file: &'a [u8]) -> Option<Self> {
        // Magic, 64 bits, little-endian, version 1.
        if !file.starts_with(b"\x7fELF\x02\x01\x01") {
            return None;
        }
        let placement = match u16_at(file, 16)? {
            2 => Placement::Fixed,
            3 => Placement::Relocated,
            _ => return None,
        };
        let machine = match u16_at(file, 18)? {
            62 => Machine::X86_64,
            183 => Machine::Aarch64,
            _ => return None,
        };
        let program_headers = Table::at(file, 32, 54, PROGRAM_HEADER_BYTES)?;
        let section_headers = Table::at(file, 40, 58, SECTION_HEADER_BYTES)
            .unwrap_or(Table { offset: 0, entries: 0 });
        let mut loaded = Vec::new();
        let mut executable_segments = Vec::new();
        let (mut dynamic, mut frame_table) = (None, None);
        for header in program_headers.offsets(PROGRAM_HEADER_BYTES) {
            let offset = u64_at(file, header + 8)?;
            let file_bytes = u64_at(file, header + 32)?;
            let range = range_within(file, offset, file_bytes);
            match u32_at(file, header)? {
                LOAD if loaded.len() == Segments::SEGMENTS_MAX => return None,
                LOAD => {
                    range?;
                    let address = u64_at(file, header + 16)?;
                    let memory_bytes = u64_at(file, header + 40)?;
                    let segment = Segment { address, offset, file_bytes, memory_bytes };
                    loaded.push(segment);
                    if u32_at(file, header + 4)? & EXECUTABLE_SEGMENT != 0 {
                        executable_segments.push(segment);
                    }
                }
                DYNAMIC => dynamic = range,
                GNU_EH_FRAME => frame_table = range,
                _ => {}
            }
        }
        Some(Self {
            file,
            machine,
            placement,
            segments: Segments::new(loaded)?,
            executable_segments,
            dynamic,
            frame_table,
            sections: section_headers.sections(file),
            program_headers,
            section_headers,
        })
    }

    /// The parts of the file that hold code, in the order of the file, none of which overlap: the
    /// executable sections, or, where there are none, the executable segments.
    pub(super) fn code(&self) -> Vec<Range<usize>> {
        let mut code = self.sections_that(Section::holds_code);
        if code.is_empty() {
            code = self.ranges_of(self.executable_segments.iter());
        }
        for range in &mut code {
            let segment_end = self.segments.end_of(range.start).unwrap_or(range.start);
            range.end = range.end.min(segment_end);
        }
        apart(code)
    }

    /// The parts of the file that hold data of the program, as [`code`](Self::code) those with code.
    pub(super) fn data(&self) -> Vec<Range<usize>> {
        let data = self.sections_that(Section::holds_data);
        if !data.is_empty() {
            return apart(data);
        }
        let segments = self.segments.as_slice().iter();
        let holds_data = |segment: &&Segment| !self.executable_segments.contains(segment);
        apart(self.ranges_of(segments.filter(holds_data)))
    }

    fn sections_that(&self, hold: fn(&Section) -> bool) -> Vec<Range<usize>> {
        self.sections.iter().filter(|section| hold(section)).map(Section::range).collect()
    }

    /// The parts of the file that are in `segments`.
    fn ranges_of<'s>(&self, segments: impl Iterator<Item = &'s Segment>) -> Vec<Range<usize>> {
        let range = |segment: &Segment| range_within(self.file, segment.offset, segment.file_bytes);
        segments.filter_map(range).collect()
    }

    /// The words of 64 bits in the program's data, and where they are.
    pub(super) fn words(&self) -> impl Iterator<Item = (usize, u64)> {
        const WORD_BYTES: usize = 8;

        let data = self.data().into_iter();
        let offsets = data.flat_map(|data| {
            (data.start.next_multiple_of(WORD_BYTES)..data.end).step_by(WORD_BYTES)
        });
        offsets.filter_map(|offset| Some((offset, u64_at(self.file, offset)?)))
    }

    /// The parts of the file that hold a table of `kind`: no more than one, as the linker makes them.
    pub(super) fn section(&self, kind: u32) -> Option<Range<usize>> {
        self.sections.iter().find(|section| section.kind == kind).map(Section::range)
    }

    /// Whether code may be at `address`.
    pub(super) fn is_executable(&self, address: u64) -> bool {
        self.executable_segments.iter().any(|segment| {
            address.checked_sub(segment.address).is_some_and(|it| it < segment.file_bytes)
        })
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

impl Section {
    fn range(&self) -> Range<usize> {
        self.offset..self.offset + self.length
    }

    fn holds_data(&self) -> bool {
        self.flags & (ALLOCATED | EXECUTABLE_SECTION) == ALLOCATED
    }

    fn holds_code(&self) -> bool {
        self.flags & (ALLOCATED | EXECUTABLE_SECTION) == ALLOCATED | EXECUTABLE_SECTION
    }
}

/// The `ranges` in their order, each without what is also in those before it.
fn apart(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_unstable_by_key(|range| (range.start, range.end));
    let mut end = 0;
    ranges.retain_mut(|range| {
        range.start = range.start.max(end);
        end = end.max(range.end);
        range.start < range.end
    });
    ranges
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

    fn sections(self, file: &[u8]) -> Vec<Section> {
        let section = |header| {
            let kind = u32_at(file, header + 4)?;
            let range = range_within(file, u64_at(file, header + 24)?, u64_at(file, header + 32)?)?;
            (kind != NO_BITS && !range.is_empty()).then_some(Section {
                kind,
                flags: u64_at(file, header + 8)?,
                offset: range.start,
                length: range.len(),
            })
        };
        self.offsets(SECTION_HEADER_BYTES).filter_map(section).collect()
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
