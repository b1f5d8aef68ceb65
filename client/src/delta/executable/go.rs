//! The tables of Go's runtime: which functions there are, what they are called, and where their stacks
//! and lines are described. They hold distances from the beginnings of other tables.
//!
//! Understood are the tables that Go 1.18 and newer make, in programs whose addresses are fixed.

mod types;

use std::ops::Range;

use super::{
    Reference, ReferenceKind,
    elf::{Elf, u32_at, u64_at},
    places::Places,
};

/// The addresses in Go's tables.
#[derive(Debug)]
pub(super) struct Go {
    pub(super) references: Vec<Reference>,
    /// Where functions begin in the file.
    pub(super) functions: Vec<usize>,
    /// The fields that were taken, each of them once however many tables lead to it.
    taken: Places,
}

/// Bytes of a distance.
const FIELD_BYTES: usize = 4;

/// Where Go's tables are, and where what they count from.
struct Tables {
    version: Version,
    function_count: usize,
    /// The table of functions, and their records.
    functions: u64,
    names: u64,
    /// What changes from instruction to instruction: depth of the stack, line, and more.
    values: u64,
    /// What functions have beside their records.
    function_data: u64,
    text: u64,
    read_only_data: u64,
    types: u64,
    types_end: u64,
    /// Where in the file it is told where types are.
    type_links: Range<usize>,
    /// Which files each package was compiled from.
    packages: u64,
    /// The names of files.
    files: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    /// 1.18 and 1.19.
    Go1_18,
    /// 1.20 and newer.
    Go1_20,
}

impl Version {
    const fn magic(self) -> [u8; 4] {
        match self {
            Self::Go1_18 => [0xf0, 0xff, 0xff, 0xff],
            Self::Go1_20 => [0xf1, 0xff, 0xff, 0xff],
        }
    }

    /// Bytes of a function's record without what it has as many of as it says.
    const fn record_bytes(self) -> usize {
        match self {
            Self::Go1_18 => 40,
            Self::Go1_20 => 44,
        }
    }

    /// The word of the module's description that says where the read-only data is. The two before it are
    /// for types, the next for what functions have beside their records.
    const fn read_only_data_word(self) -> usize {
        match self {
            Self::Go1_18 => 37,
            Self::Go1_20 => 39,
        }
    }
}

/// What a function has beside its record.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct FunctionData {
    address: u64,
    kind: usize,
}

impl FunctionData {
    const STACK_OBJECTS: usize = 2;
    const INLINED_CALLS: usize = 3;
}

impl Tables {
    /// The word of the module's description that says where the code is.
    const TEXT_WORD: usize = 22;

    fn find(elf: &Elf<'_>) -> Option<Self> {
        let (header, version) = elf.data().into_iter().find_map(|data| Self::header(elf, data))?;
        let address = elf.segments.address_of(header)?;
        let word = |index: usize| u64_at(elf.file, header + 8 * index);
        let table = |index: usize| address.checked_add(word(index)?);
        let names = table(4)?;
        // The description of the module begins with where this header and the names are.
        let module = elf
            .words()
            .find(|(offset, word)| *word == address && u64_at(elf.file, offset + 8) == Some(names));
        let (module, _) = module?;
        let described = |index: usize| u64_at(elf.file, module + 8 * index);
        let read_only_data = version.read_only_data_word();
        // Newer versions have one more word in between.
        let type_links = [read_only_data + 5, read_only_data + 6].into_iter().find_map(|index| {
            let links = elf.segments.offset_of(described(index)?)?;
            let count = described(index + 1)?;
            (described(index + 2)? == count).then_some(())?;
            let length = usize::try_from(count).ok()?.saturating_mul(FIELD_BYTES);
            Some(links..links.saturating_add(length).min(elf.file.len()))
        });
        Some(Self {
            version,
            function_count: usize::try_from(word(1)?).ok()?,
            functions: table(8)?,
            names,
            values: table(7)?,
            function_data: described(read_only_data + 1)?,
            text: described(Self::TEXT_WORD)?,
            read_only_data: described(read_only_data)?,
            types: described(read_only_data - 2)?,
            types_end: described(read_only_data - 1)?,
            type_links: type_links.unwrap_or_default(),
            packages: table(5)?,
            files: table(6)?,
        })
    }

    /// Where in `data` the header of the tables is. Each begins with its magic, two zeros, the least
    /// length of an instruction and the length of a pointer.
    fn header(elf: &Elf<'_>, data: Range<usize>) -> Option<(usize, Version)> {
        const ALIGNMENT: usize = 16;

        let places = (data.start.next_multiple_of(ALIGNMENT)..data.end).step_by(ALIGNMENT);
        places.into_iter().find_map(|offset| {
            let header = elf.file.get(offset..)?.first_chunk::<8>()?;
            let version = [Version::Go1_18, Version::Go1_20];
            let version =
                version.into_iter().find(|version| header.starts_with(&version.magic()))?;
            matches!(header[4..], [0, 0, 1 | 4, 8]).then_some((offset, version))
        })
    }
}

impl Go {
    /// Those of `elf`, which has none where Go's tools did not make it.
    pub(super) fn read(elf: &Elf<'_>) -> Self {
        let fields = elf.file.len() / FIELD_BYTES;
        let taken = Places::none(fields);
        let mut go = Self { references: Vec::new(), functions: Vec::new(), taken };
        if let Some(tables) = Tables::find(elf) {
            go.read_files(elf, &tables);
            go.read_types(elf, &tables);
            let data = go.read_functions(elf, &tables);
            go.read_function_data(elf, &tables, &data);
        }
        go
    }

    /// Reads which files each package was compiled from.
    fn read_files(&mut self, elf: &Elf<'_>, tables: &Tables) {
        let [start, end] =
            [tables.packages, tables.files].map(|table| elf.segments.offset_of(table));
        if let (Some(start), Some(end)) = (start, end) {
            for field in (start..end).step_by(FIELD_BYTES) {
                self.distance(elf, field, tables.files);
            }
        }
    }

    /// Reads the table of functions and what it refers to. Gives what the functions have beside,
    /// in the order of its addresses.
    fn read_functions(&mut self, elf: &Elf<'_>, tables: &Tables) -> Vec<FunctionData> {
        const ENTRY_BYTES: usize = 8;

        let mut data = Vec::new();
        let Some(table) = elf.segments.offset_of(tables.functions) else { return data };
        for entry in (table..elf.file.len()).step_by(ENTRY_BYTES).take(tables.function_count) {
            let Some(function) = self.distance(elf, entry, tables.text) else { return data };
            self.functions.extend(elf.segments.offset_of(function));
            let record = self.distance(elf, entry + 4, tables.functions);
            let record = record.and_then(|record| elf.segments.offset_of(record));
            if let Some(record) = record {
                self.read_function(elf, tables, record, &mut data);
            }
        }
        data.sort_unstable();
        data.dedup();
        data
    }

    /// Reads the record of a function.
    fn read_function(
        &mut self,
        elf: &Elf<'_>,
        tables: &Tables,
        at: usize,
        data: &mut Vec<FunctionData>,
    ) -> Option<()> {
        /// More than Go has kinds of values.
        const MORE_VALUES_MAX: usize = 16;

        let fixed_end = at + tables.version.record_bytes();
        let more_values = usize::try_from(u32_at(elf.file, at + 28)?).ok()?;
        let data_count = usize::from(*elf.file.get(fixed_end - 1)?);
        if more_values > MORE_VALUES_MAX {
            return None;
        }
        self.distance(elf, at, tables.text)?;
        self.distance(elf, at + 4, tables.names);
        self.take(elf, at + 32, ReferenceKind::BaseWords32 { base: tables.packages });
        let data_at = fixed_end + 4 * more_values;
        for field in (at + 16..at + 28).chain(fixed_end..data_at).step_by(4) {
            // The first byte of the table stands for no values.
            if u32_at(elf.file, field)? != 0 {
                self.distance(elf, field, tables.values);
            }
        }
        for kind in 0..data_count {
            let address = self.distance(elf, data_at + 4 * kind, tables.function_data);
            data.extend(address.map(|address| FunctionData { address, kind }));
        }
        Some(())
    }

    /// Reads what functions have beside their records: `data`, in the order of the addresses, each up to
    /// the next.
    fn read_function_data(&mut self, elf: &Elf<'_>, tables: &Tables, data: &[FunctionData]) {
        const RECORD_BYTES: usize = 16;

        let mut end = None;
        let mut next = u64::MAX;
        for FunctionData { address, kind } in data.iter().rev().copied() {
            if address < next {
                end = elf.segments.offset_of(next);
                next = address;
            }
            let (Some(at), Some(end)) = (elf.segments.offset_of(address), end) else { continue };
            match kind {
                FunctionData::STACK_OBJECTS => {
                    let count = u64_at(elf.file, at).and_then(|count| usize::try_from(count).ok());
                    let objects = (at + 8..end).step_by(RECORD_BYTES).take(count.unwrap_or(0));
                    for object in objects {
                        self.distance(elf, object + 12, tables.read_only_data);
                    }
                }
                FunctionData::INLINED_CALLS => {
                    for call in (at..end).step_by(RECORD_BYTES) {
                        self.distance(elf, call + 4, tables.names);
                    }
                }
                _ => {}
            }
        }
    }

    /// Takes the field at `offset` as a distance from `base`.
    fn distance(&mut self, elf: &Elf<'_>, offset: usize, base: u64) -> Option<u64> {
        self.take(elf, offset, ReferenceKind::BaseRelative32 { base })
    }

    /// Takes the field of `kind` at `offset`, where that leads to something and it was not taken before.
    fn take(&mut self, elf: &Elf<'_>, offset: usize, kind: ReferenceKind) -> Option<u64> {
        let base = kind.base()?;
        let target = kind.read(kind.field(elf.file, offset)?, 0);
        // A distance back is none: all of its bits are set where there is nothing.
        let is_address = target >= base && elf.segments.contain(target);
        let is_field = offset.is_multiple_of(FIELD_BYTES);
        if !is_address || !is_field || !self.taken.insert(offset / FIELD_BYTES) {
            return None;
        }
        self.references.push(Reference { offset, kind, target });
        Some(target)
    }
}
