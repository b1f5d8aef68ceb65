use std::ops::Range;

use super::{Instruction, decode};
use crate::delta::executable::{
    Reference, ReferenceKind,
    code::Code,
    elf::{Elf, Placement},
};

/// Reads the code of `elf` from its beginning to its end, an instruction after the other, and finds the
/// addresses in it. At each of `starts`, the places in the file where functions begin, in their order,
/// an instruction begins, whatever came before.
pub(in super::super) fn sweep(elf: &Elf<'_>, starts: &[usize]) -> Code {
    let mut code = Code::none(elf.file.len());
    for range in elf.code() {
        let first = starts.partition_point(|start| *start < range.start);
        Sweep { elf, starts: starts[first..].iter().copied(), code: &mut code }.read(range);
    }
    code
}

struct Sweep<'a, Starts> {
    elf: &'a Elf<'a>,
    starts: Starts,
    code: &'a mut Code,
}

impl<Starts: Iterator<Item = usize>> Sweep<'_, Starts> {
    fn read(mut self, range: Range<usize>) {
        let Some(code) = self.elf.file.get(..range.end) else { return };
        let Some(address) = self.elf.segments.address_of(range.start) else { return };
        let mut at = range.start;
        let mut next_start = self.starts.next();
        while let Some(rest) = code.get(at..).filter(|rest| !rest.is_empty()) {
            while next_start.is_some_and(|start| start <= at) {
                next_start = self.starts.next();
            }
            match (decode(rest), next_start) {
                // What is no instruction is left behind byte by byte, until there is one again.
                (None, _) => at += 1,
                (Some(instruction), Some(start)) if start < at + instruction.length => at = start,
                (Some(instruction), _) => {
                    let address = address + (at - range.start) as u64;
                    self.take(&instruction, at, address);
                    at += instruction.length;
                }
            }
        }
    }

    /// Takes the addresses of an `instruction` that is at the place `at` of the file.
    fn take(&mut self, instruction: &Instruction, at: usize, address: u64) {
        self.code.instructions.insert(at);
        let elf = self.elf;
        let reference = |place: usize, kind: ReferenceKind| {
            if place == 0 {
                return None;
            }
            let field = kind.field(elf.file, at + place)?;
            let target = kind.read(field, address.wrapping_add(place as u64));
            Some(Reference { offset: at + place, kind, target })
        };
        let branch = reference(instruction.branch, ReferenceKind::Branch32);
        let branch = branch.filter(|branch| elf.is_executable(branch.target));
        let trailing = instruction.bytes_after(instruction.relative);
        let relative = reference(instruction.relative, ReferenceKind::Displacement32 { trailing });
        let relative = relative.filter(|relative| elf.segments.contain(relative.target));
        if let Some(relative) = relative
            && instruction.takes_address
            && !elf.is_executable(relative.target)
        {
            self.code.taken.push(relative.target);
        }
        self.code.references.extend(branch.or(relative));
        if elf.placement == Placement::Fixed {
            let places = [instruction.displacement, instruction.immediate];
            let absolute = places.map(|place| reference(place, ReferenceKind::Absolute32));
            let absolute = absolute.into_iter().flatten();
            self.code
                .references
                .extend(absolute.filter(|found| elf.segments.contain(found.target)));
        }
    }
}
