//! Addresses in `AArch64` instructions.

use super::{
    Reference, ReferenceKind,
    code::Code,
    elf::{Elf, u32_at},
};

const INSTRUCTION_BYTES: usize = 4;
/// From this register on a function leaves to its caller what was in them.
const FIRST_KEPT_REGISTER: usize = 19;

/// What an instruction has to do with addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    /// Goes on at the address, or not.
    Branch(ReferenceKind),
    /// Goes on at the address and comes back.
    Call,
    /// Goes on elsewhere. What is behind it was not reached from it.
    Leave(Option<ReferenceKind>),
    /// Takes the address into a register, or what is there.
    Take(ReferenceKind),
    /// Takes the address of a page into a register.
    TakePage,
    /// Adds a place in a page to the page's address.
    Add,
    /// Loads what is at a place in a page.
    Load,
    /// Stores to a place in a page.
    Store,
    /// Stores elsewhere, and so writes no register.
    OtherStore,
    /// Anything else.
    Other,
}

impl Operation {
    fn of(instruction: u32) -> Self {
        /// Which bits of an instruction are fixed, how they are, and what it then does. The first that
        /// fits counts.
        const OPERATIONS: [(u32, u32, Operation); 15] = [
            (0xfc00_0000, 0x9400_0000, Operation::Call), // BL
            (0xfc00_0000, 0x1400_0000, Operation::Leave(Some(ReferenceKind::Branch26))), // B
            (0xff00_0000, 0x5400_0000, Operation::Branch(ReferenceKind::Branch19)), // B.cond
            (0x7e00_0000, 0x3400_0000, Operation::Branch(ReferenceKind::Branch19)), // CBZ, CBNZ
            (0x7e00_0000, 0x3600_0000, Operation::Branch(ReferenceKind::Branch14)), // TBZ, TBNZ
            (0xffff_fc1f, 0xd61f_0000, Operation::Leave(None)), // BR
            (0xffff_fc1f, 0xd65f_0000, Operation::Leave(None)), // RET
            (0x9f00_0000, 0x1000_0000, Operation::Take(ReferenceKind::Address21)), // ADR
            (0x3b00_0000, 0x1800_0000, Operation::Take(ReferenceKind::Branch19)), // LDR of a literal
            (0x9f00_0000, 0x9000_0000, Operation::TakePage),                      // ADRP
            (0xffc0_0000, 0x9100_0000, Operation::Add), // ADD of 64 bits, not shifted
            (0x3bc0_0000, 0x3900_0000, Operation::Store), // STR
            (0x3fc0_0000, 0x3d80_0000, Operation::Store), // STR of 128 bits
            (0x3b00_0000, 0x3900_0000, Operation::Load), // LDR, LDRS
            (0x0a40_0000, 0x0800_0000, Operation::OtherStore),
        ];
        let fits = |(mask, bits, _): &&(u32, u32, Self)| instruction & mask == *bits;
        OPERATIONS.iter().find(fits).map_or(Self::Other, |(_, _, operation)| *operation)
    }
}

/// Reads the code of `elf` and finds the addresses in it.
pub(super) fn sweep(elf: &Elf<'_>) -> Code {
    let mut code = Code::none(elf.file.len());
    for range in elf.code() {
        let Some(address) = elf.segments.address_of(range.start) else { continue };
        let mut sweep = Sweep { elf, code: &mut code, pages: [None; 32] };
        for at in range.clone().step_by(INSTRUCTION_BYTES) {
            let Some(instruction) = u32_at(elf.file, at) else { break };
            sweep.take(instruction, at, address + (at - range.start) as u64);
        }
    }
    code
}

struct Sweep<'a> {
    elf: &'a Elf<'a>,
    code: &'a mut Code,
    /// What is known of each register: that it holds the address of a page.
    pages: [Option<Page>; 32],
}

/// A page whose address was taken.
#[derive(Clone, Copy)]
struct Page {
    address: u64,
    /// Which of the references took it, as long as it is not known what in the page it is about.
    taken_by: Option<usize>,
}

impl Sweep<'_> {
    /// Takes the addresses of the `instruction` that is at the place `at` of the file.
    fn take(&mut self, instruction: u32, at: usize, address: u64) {
        self.code.instructions.insert(at);
        let destination = (instruction & 0x1f) as usize;
        let reference = |kind: ReferenceKind| {
            let target = kind.read(u64::from(instruction), address);
            Reference { offset: at, kind, target }
        };
        match Operation::of(instruction) {
            Operation::Branch(kind) => self.push_branch(reference(kind)),
            Operation::Call => {
                self.push_branch(reference(ReferenceKind::Branch26));
                self.pages[..FIRST_KEPT_REGISTER].fill(None);
            }
            Operation::Leave(kind) => {
                if let Some(kind) = kind {
                    self.push_branch(reference(kind));
                }
                self.pages = [None; 32];
            }
            Operation::Take(kind) => {
                self.push(reference(kind));
                self.pages[destination] = None;
            }
            Operation::TakePage => {
                let reference = reference(ReferenceKind::Page21);
                let taken_by = self.push(reference).then(|| self.code.references.len() - 1);
                self.pages[destination] = Some(Page { address: reference.target, taken_by });
            }
            Operation::Add => {
                let target = self.push_page_offset(instruction, at);
                self.code.taken.extend(target.filter(|target| !self.elf.is_executable(*target)));
                self.pages[destination] = None;
            }
            Operation::Load => {
                self.push_page_offset(instruction, at);
                self.pages[destination] = None;
            }
            Operation::Store => {
                self.push_page_offset(instruction, at);
            }
            Operation::OtherStore => {}
            Operation::Other => self.pages[destination] = None,
        }
    }

    fn push_branch(&mut self, reference: Reference) {
        if self.elf.is_executable(reference.target) {
            self.code.references.push(reference);
        }
    }

    /// Takes the `reference` where it is to something.
    fn push(&mut self, reference: Reference) -> bool {
        let is_address = self.elf.segments.contain(reference.target);
        if is_address {
            self.code.references.push(reference);
        }
        is_address
    }

    /// Takes the place in a page that `instruction` adds to a register, where the register holds the
    /// address of a page. Gives the whole address, which is also that of the instruction that took the
    /// page.
    fn push_page_offset(&mut self, instruction: u32, at: usize) -> Option<u64> {
        const PAGE_BYTES: u64 = 4096;

        let page = self.pages[(instruction >> 5 & 0x1f) as usize].as_mut()?;
        let kind = ReferenceKind::PageOffset12 { page: page.address };
        let target = kind.read(u64::from(instruction), 0);
        let is_address = target.wrapping_sub(page.address) < PAGE_BYTES;
        if !is_address || !self.elf.segments.contain(target) {
            return None;
        }
        if let Some(taken_by) = page.taken_by.take()
            && let Some(taken_by) = self.code.references.get_mut(taken_by)
        {
            taken_by.target = target;
        }
        self.code.references.push(Reference { offset: at, kind, target });
        Some(target)
    }
}
