//! The tables by which exceptions find their way: which functions there are, and what they clean up.

use super::{
    Reference, ReferenceKind,
    elf::{Elf, u32_at},
};

/// The addresses in the tables of frames.
#[derive(Debug, Default)]
pub(super) struct Frames {
    pub(super) references: Vec<Reference>,
    /// Where functions begin in the file.
    pub(super) functions: Vec<usize>,
}

/// How a pointer is written, as DWARF numbers it.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Encoding(u8);

impl Encoding {
    const ABSOLUTE: Self = Self(0x00);
    const OMITTED: Self = Self(0xff);
    const RELATIVE_32: Self = Self(0x1b);
    const RELATIVE_TO_TABLE_32: Self = Self(0x3b);
    const UNSIGNED_32: Self = Self(0x03);

    /// Bytes of a pointer; `None` where that depends on its value.
    fn width(self) -> Option<usize> {
        match self.0 & 0x0f {
            0x00 | 0x04 | 0x0c => Some(8),
            0x02 | 0x0a => Some(2),
            0x03 | 0x0b => Some(4),
            _ => None,
        }
    }

    /// The kind of reference that a pointer is. That it leads to where the address is written (80)
    /// does not matter.
    fn kind(self) -> Option<ReferenceKind> {
        match self.0 & 0x7f {
            0x00 | 0x04 | 0x0c => Some(ReferenceKind::Absolute64),
            0x03 => Some(ReferenceKind::Absolute32),
            0x13 | 0x1b => Some(ReferenceKind::Relative32),
            _ => None,
        }
    }
}

/// What frames have in common: a record that their own records refer to.
#[derive(Clone, Copy)]
struct Common {
    function: Encoding,
    exceptions: Encoding,
    /// The function that knows how exceptions are handled.
    personality: Option<(usize, Encoding)>,
    has_augmentation: bool,
}

impl Common {
    /// Longer than any augmentation that there is.
    const AUGMENTATION_BYTES_MAX: usize = 16;

    /// Reads what follows a record's identifier.
    fn read(mut cursor: Cursor<'_>) -> Option<Self> {
        let version = cursor.byte()?;
        let mut augmentation = [0; Self::AUGMENTATION_BYTES_MAX];
        let end = augmentation.iter_mut().find_map(|byte| {
            *byte = cursor.byte().unwrap_or(0);
            (*byte == 0).then_some(())
        });
        end?;
        // How far code and data are apart, and where the return address is.
        cursor.skip_leb128()?;
        cursor.skip_leb128()?;
        if version == 1 {
            cursor.byte()?;
        } else {
            cursor.skip_leb128()?;
        }
        let mut common = Self {
            function: Encoding::ABSOLUTE,
            exceptions: Encoding::OMITTED,
            personality: None,
            has_augmentation: augmentation[0] == b'z',
        };
        if common.has_augmentation {
            cursor.skip_leb128()?;
        }
        for letter in augmentation.into_iter().skip(1) {
            match letter {
                b'L' => common.exceptions = Encoding(cursor.byte()?),
                b'R' => common.function = Encoding(cursor.byte()?),
                b'P' => {
                    let encoding = Encoding(cursor.byte()?);
                    common.personality = Some((cursor.at, encoding));
                    cursor.at += encoding.width()?;
                }
                // S: a signal's frame. B: return addresses are signed. G: memory is tagged.
                b'S' | b'B' | b'G' => {}
                _ => break,
            }
        }
        Some(common)
    }
}

/// Reads a record of a file from its beginning on.
struct Cursor<'a> {
    /// The file as far as the record goes.
    record: &'a [u8],
    at: usize,
}

impl Cursor<'_> {
    fn byte(&mut self) -> Option<u8> {
        let byte = *self.record.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    /// Skips a number whose bytes but the last have the highest bit set.
    fn skip_leb128(&mut self) -> Option<()> {
        /// Bytes of a number of 64 bits.
        const BYTES_MAX: usize = 10;

        (0..BYTES_MAX).find_map(|_| match self.byte() {
            Some(byte) if byte & 0x80 != 0 => None,
            last => Some(last.map(drop)),
        })?
    }
}

impl Frames {
    /// Those of `elf`, which has none where it has no table of them.
    pub(super) fn read(elf: &Elf<'_>) -> Self {
        let mut frames = Self::default();
        if let Some(records) = frames.read_table(elf) {
            frames.read_records(elf, records);
        }
        frames
    }

    /// Reads the sorted table of functions and their records. Gives where the records begin.
    fn read_table(&mut self, elf: &Elf<'_>) -> Option<usize> {
        let table = elf.frame_table.clone()?;
        let header = elf.file.get(table.clone())?.first_chunk::<4>()?;
        let encodings =
            [Encoding::RELATIVE_32, Encoding::UNSIGNED_32, Encoding::RELATIVE_TO_TABLE_32];
        if header[0] != 1 || Encoding(header[1]) != encodings[0] {
            return None;
        }
        let records = reference(elf, table.start + 4, ReferenceKind::Relative32)?;
        self.references.push(records);
        if header[1..] == encodings.map(|encoding| encoding.0) {
            let kind =
                ReferenceKind::BaseRelative32 { base: elf.segments.address_of(table.start)? };
            let entries = usize::try_from(u32_at(elf.file, table.start + 8)?).ok()?;
            let fields = (table.start + 12..table.end).step_by(4).take(entries.saturating_mul(2));
            self.references.extend(fields.filter_map(|offset| reference(elf, offset, kind)));
        }
        elf.segments.offset_of(records.target)
    }

    /// Reads records from `at` on, to the one that says that it is the last.
    fn read_records(&mut self, elf: &Elf<'_>, mut at: usize) {
        let mut last: Option<(usize, Option<Common>)> = None;
        while let Some((record, identifier)) = record(elf.file, at) {
            at = record.len();
            let Some(distance) = u32_at(record, identifier) else { return };
            if distance == 0 {
                let common = Common::read(Cursor { record, at: identifier + 4 });
                let personality = common.and_then(|common| common.personality);
                self.references.extend(
                    personality.and_then(|(offset, encoding)| pointer(elf, offset, encoding)),
                );
                last = Some((identifier - 4, common));
                continue;
            }
            let Some(common_at) = identifier.checked_sub(distance as usize) else { continue };
            let common = last.filter(|(at, _)| *at == common_at).map_or_else(
                || {
                    let (record, identifier) = self::record(elf.file, common_at)?;
                    Common::read(Cursor { record, at: identifier + 4 })
                },
                |(_, common)| common,
            );
            last = Some((common_at, common));
            self.references.extend(reference(elf, identifier, ReferenceKind::Backward32));
            if let Some(common) = common {
                self.read_frame(elf, Cursor { record, at: identifier + 4 }, common);
            }
        }
    }

    /// Reads what follows the identifier of a frame's record.
    fn read_frame(&mut self, elf: &Elf<'_>, mut cursor: Cursor<'_>, common: Common) -> Option<()> {
        let function = pointer(elf, cursor.at, common.function)?;
        self.references.push(function);
        self.functions.extend(elf.segments.offset_of(function.target));
        // The function's length is as wide as its address. Where the function ends is worth nothing: a length
        // mostly stays, or changes with what the function does.
        cursor.at += 2 * common.function.width()?;
        if common.has_augmentation && common.exceptions != Encoding::OMITTED {
            cursor.skip_leb128()?;
            self.references.extend(pointer(elf, cursor.at, common.exceptions));
        }
        Some(())
    }
}

/// The record that begins at `at`: the file as far as the record goes, and where its identifier is.
/// `None` for the one that says that it is the last.
fn record(file: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let length = u32_at(file, at).filter(|length| ![0, u32::MAX].contains(length))?;
    let identifier = at + 4;
    let record = file.get(..identifier.checked_add(length as usize)?)?;
    Some((record, identifier))
}

/// The pointer at `offset`, where it is none to nothing.
fn pointer(elf: &Elf<'_>, offset: usize, encoding: Encoding) -> Option<Reference> {
    let kind = encoding.kind()?;
    kind.field(elf.file, offset).filter(|field| *field != 0)?;
    reference(elf, offset, kind)
}

/// The reference of `kind` at `offset`, where that is to something.
fn reference(elf: &Elf<'_>, offset: usize, kind: ReferenceKind) -> Option<Reference> {
    let address = elf.segments.address_of(offset)?;
    let target = kind.read(kind.field(elf.file, offset)?, address);
    elf.segments.contain(target).then_some(Reference { offset, kind, target })
}
