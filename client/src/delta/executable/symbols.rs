use std::ops::Range;

use super::{
    Reference,
    elf::{Elf, u16_at},
};

/// The addresses in a table of symbols.
#[derive(Debug, Default)]
pub(super) struct Symbols {
    pub(super) references: Vec<Reference>,
    /// Where functions begin in the file.
    pub(super) functions: Vec<usize>,
}

const SYMBOL_BYTES: usize = 24;
/// From here on numbers of sections say that the symbol is in none.
const RESERVED_SECTIONS: u16 = 0xff00;
const FUNCTION: u8 = 2;
const THREAD_LOCAL: u8 = 6;
const INDIRECT_FUNCTION: u8 = 10;

impl Symbols {
    /// The symbols of the table that takes the part `table` of the file.
    pub(super) fn read(elf: &Elf<'_>, table: Range<usize>) -> Self {
        let mut symbols = Self::default();
        for symbol in table.step_by(SYMBOL_BYTES) {
            let Some(section) = u16_at(elf.file, symbol + 6) else { break };
            let kind = elf.file.get(symbol + 4).map(|information| information & 0xf);
            let is_address = (1..RESERVED_SECTIONS).contains(&section);
            if !is_address || kind == Some(THREAD_LOCAL) {
                continue;
            }
            let Some(reference) = elf.pointer_at(symbol + 8) else { continue };
            symbols.references.push(reference);
            if [Some(FUNCTION), Some(INDIRECT_FUNCTION)].contains(&kind) {
                symbols.functions.extend(elf.segments.offset_of(reference.target));
            }
        }
        symbols
    }
}
