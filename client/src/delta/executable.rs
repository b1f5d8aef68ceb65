//! What in an executable is an address.
//!
//! Where a program changes in one place, everything behind that place moves, and every call, every
//! operand and every table that speaks of what has moved changes with it. Who knows which fields hold
//! addresses can say what they become, instead of writing down what they became.
//!
//! [`analyse`] finds these fields in ELF files of 64 bits for x86-64 and AArch64. Whoever makes a delta and
//! whoever applies it analyse the same old bytes, and must find the same fields on every platform: the
//! analysis is a function of the bytes alone, counts in integers, and takes time and memory that are
//! bounded by the length of the file. A field that it misses or takes for an address by mistake
//! costs a few bytes of the delta and nothing else.
//!
//! | in | is found |
//! |---|---|
//! | headers | where the program begins, and where its segments and sections are |
//! | x86-64 code | targets of calls and jumps, operands relative to the instruction, and in programs whose addresses are fixed absolute operands of 32 bits |
//! | `AArch64` code | targets of branches, pages and the places in them that are put together |
//! | the dynamic linker's tables | relocations (`DT_RELA`, `DT_JMPREL`, `DT_RELR`) and what is at the places that they name, symbols |
//! | `.eh_frame`, `.eh_frame_hdr` | where functions begin, personalities, tables for exceptions |
//! | data | tables of distances from where they begin; pointers, in programs whose addresses are fixed |
//! | Go's tables (1.18 and newer, in programs whose addresses are fixed) | functions, their names, values, stacks and inlined calls; types and their methods |
//!
//! Not understood are files of 32 bits or of other systems, debugging information, and compressed code.

mod aarch64;
mod code;
mod dynamic;
mod eh_frame;
mod elf;
mod go;
mod places;
mod reference;
mod segment;
mod symbols;
mod tables;
mod x86_64;

use dynamic::Dynamic;
use eh_frame::Frames;
use elf::{Elf, Machine};
use go::Go;
pub use reference::{Reference, ReferenceKind};
pub use segment::{Segment, Segments};
use symbols::Symbols;

/// An executable file as far as it is understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Executable {
    /// What of the file is at which address.
    pub segments: Segments,
    /// The fields that hold addresses: in the order of the file, and no two overlap.
    pub references: Vec<Reference>,
}

/// Finds the addresses in `file`; `None` where it is no executable of a kind that is understood.
pub fn analyse(file: &[u8]) -> Option<Executable> {
    let elf = Elf::parse(file)?;
    let dynamic = Dynamic::of(&elf);
    let frames = Frames::read(&elf);
    let go = Go::read(&elf);
    let symbols =
        [elf.section(elf::SYMBOLS), elf.section(elf::DYNAMIC_SYMBOLS).or(dynamic.symbols())];
    let symbols = symbols.map(|table| Symbols::read(&elf, table.unwrap_or_default()));

    let mut functions = frames.functions;
    functions.extend(go.functions);
    functions.extend(symbols.iter().flat_map(|symbols| &symbols.functions));
    functions.sort_unstable();
    let code = match elf.machine {
        Machine::X86_64 => x86_64::sweep(&elf, &functions),
        Machine::Aarch64 => aarch64::sweep(&elf),
    };

    let mut exact = elf.header_references();
    exact.extend(dynamic.references());
    exact.extend(frames.references);
    exact.extend(go.references);
    exact.extend(symbols.into_iter().flat_map(|symbols| symbols.references));
    let mut guessed = tables::relative_tables(&elf, &code);
    guessed.extend(tables::pointers(&elf));
    let references = join(join(apart(exact), code.references), apart(guessed));
    Some(Executable { segments: elf.segments, references })
}

/// The `references` in the order of the file, without those that overlap one before them.
fn apart(mut references: Vec<Reference>) -> Vec<Reference> {
    references.sort_by_key(|reference| reference.offset);
    let mut end = 0;
    references.retain(|reference| {
        let is_apart = reference.offset >= end;
        if is_apart {
            end = reference.end();
        }
        is_apart
    });
    references
}

/// All `known` references, and of `others` those that overlap none of them. Both are in the order of the
/// file, and so is what comes out.
fn join(known: Vec<Reference>, mut others: Vec<Reference>) -> Vec<Reference> {
    let mut next = known.iter().peekable();
    others.retain(|other| {
        while next.next_if(|known| known.end() <= other.offset).is_some() {}
        next.peek().is_none_or(|known| other.end() <= known.offset)
    });
    let mut joined = known;
    joined.append(&mut others);
    joined.sort_by_key(|reference| reference.offset);
    joined
}

#[cfg(test)]
mod tests;
