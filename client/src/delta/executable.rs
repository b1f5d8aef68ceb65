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

mod elf;
mod reference;
mod segment;

pub use reference::{Reference, ReferenceKind};
pub use segment::{Segment, Segments};

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
    let elf = elf::Elf::parse(file)?;
    let references = apart(elf.header_references());
    Some(Executable { segments: elf.segments, references })
}

/// The `references` in the order of the file, without those that overlap one before them.
fn apart(mut references: Vec<Reference>) -> Vec<Reference> {
    references.sort_by_key(|reference| reference.offset);
    let mut end = 0;
    references.retain(|reference| {
        let is_apart = reference.offset >= end;
        if is_apart {
            end = reference.offset + reference.kind.width();
        }
        is_apart
    });
    references
}
