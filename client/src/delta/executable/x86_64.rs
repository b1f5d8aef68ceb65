//! The lengths of x86-64 instructions, and where in them addresses are.

mod opcodes;
mod sweep;

use opcodes::{AFTER_0F, Form, ONE_BYTE, VECTOR};
pub(super) use sweep::sweep;

/// An instruction, by its length and by the places in it where an address may be. Places are counted
/// from its first byte, where no address ever is: 0 says that there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Instruction {
    /// Bytes that it takes: 1 to [`LENGTH_MAX`].
    pub(super) length: usize,
    /// The distance of a call or jump, in 32 bits.
    pub(super) branch: usize,
    /// The distance of an operand in memory from the next instruction, in 32 bits.
    pub(super) relative: usize,
    /// A displacement of 32 bits that is counted from a register or from 0.
    pub(super) displacement: usize,
    /// An immediate of 32 bits.
    pub(super) immediate: usize,
    /// Whether it is a `LEA`, which takes the address and not what is there.
    pub(super) takes_address: bool,
}

impl Instruction {
    /// Bytes of the instruction behind the field of 32 bits at `place`.
    fn bytes_after(&self, place: usize) -> u8 {
        u8::try_from(self.length.saturating_sub(place + 4)).unwrap_or(0)
    }
}

/// What the machine itself takes at most.
const LENGTH_MAX: usize = 15;

/// Prefixes that change what follows.
#[derive(Clone, Copy, Default)]
struct Prefixes {
    has_short_operand: bool,
    has_short_address: bool,
    has_wide_operand: bool,
}

/// The instruction with which `code` begins; `None` where there is none or it is not whole.
pub(super) fn decode(code: &[u8]) -> Option<Instruction> {
    let code = code.get(..LENGTH_MAX).unwrap_or(code);
    let mut prefixes = Prefixes::default();
    let mut at = 0;
    let (opcode, form) = loop {
        let byte = *code.get(at)?;
        at += 1;
        let form = ONE_BYTE[usize::from(byte)];
        if !form.has(Form::PREFIX) {
            break (byte, form);
        }
        match byte {
            0x66 => prefixes.has_short_operand = true,
            0x67 => prefixes.has_short_address = true,
            _ => {}
        }
        // Of the prefixes 40 to 4F only one that the opcode follows counts.
        prefixes.has_wide_operand = byte & 0xf8 == 0x48;
    };
    let (opcode, form) = match opcode {
        _ if !form.has(Form::ESCAPE) => (opcode, form),
        0x0f => after_0f(code, &mut at)?,
        _ => vector(code, &mut at, opcode)?,
    };
    if form.has(Form::INVALID) {
        return None;
    }
    let mut instruction = Instruction { takes_address: opcode == 0x8d, ..Instruction::default() };
    let mut immediate = form;
    if form.has(Form::MODRM) {
        let modrm = *code.get(at)?;
        at = operand(code, at + 1, modrm, &mut instruction)?;
        if form.has(Form::TEST) && modrm & 0x30 == 0 {
            immediate = if opcode == 0xf6 { Form::IMMEDIATE_8 } else { Form::IMMEDIATE };
        }
    }
    if immediate.has(Form::BRANCH) {
        instruction.branch = at;
        at += 4;
    } else {
        at = immediates(at, immediate, prefixes, &mut instruction);
    }
    instruction.length = at;
    (at <= code.len()).then_some(instruction)
}

/// The opcode behind 0F, which may be another escape.
fn after_0f(code: &[u8], at: &mut usize) -> Option<(u8, Form)> {
    let byte = *code.get(*at)?;
    *at += 1;
    let escaped = match byte {
        0x38 => Form::MODRM,
        0x3a => Form::MODRM.with(Form::IMMEDIATE_8),
        // That it is no LEA is all that the opcode of another map need tell.
        _ => return Some((0, AFTER_0F[usize::from(byte)])),
    };
    *at += 1;
    Some((0, escaped))
}

/// The opcode of an instruction that is encoded by VEX (`escape` is C4 or C5) or EVEX (62).
fn vector(code: &[u8], at: &mut usize, escape: u8) -> Option<(u8, Form)> {
    let payload = code.get(*at..)?;
    let first = *payload.first()?;
    let (map, prefix_bytes) = match escape {
        0xc5 => (1, 1),
        0xc4 => (first & 0x1f, 2),
        _ if first & 8 == 0 && payload.get(1)? & 4 != 0 => (first & 7, 3),
        _ => return None,
    };
    let opcode = *payload.get(prefix_bytes)?;
    *at += prefix_bytes + 1;
    let form = match map {
        1 => VECTOR[usize::from(opcode)],
        3 => Form::MODRM.with(Form::IMMEDIATE_8),
        2 | 5 | 6 => Form::MODRM,
        _ => return None,
    };
    Some((0, form))
}

/// What the byte `modrm`, which ends before `at`, asks for. Gives where that ends.
fn operand(code: &[u8], mut at: usize, modrm: u8, found: &mut Instruction) -> Option<usize> {
    let (mode, mut base) = (modrm >> 6, modrm & 7);
    if mode == 3 {
        return Some(at);
    }
    let has_index = base == 4;
    if has_index {
        base = *code.get(at)? & 7;
        at += 1;
    }
    let displacement_bytes = match mode {
        1 => 1,
        0 if base != 5 => 0,
        0 if !has_index => {
            found.relative = at;
            4
        }
        _ => {
            found.displacement = at;
            4
        }
    };
    Some(at + displacement_bytes)
}

/// What of immediates `form` asks for. Gives where they end.
fn immediates(mut at: usize, form: Form, prefixes: Prefixes, found: &mut Instruction) -> usize {
    if form.has(Form::IMMEDIATE_16) {
        at += 2;
    }
    if form.has(Form::IMMEDIATE_8) {
        at += 1;
    }
    if form.has(Form::ADDRESS) {
        at += if prefixes.has_short_address { 4 } else { 8 };
    }
    let is_full = form.has(Form::IMMEDIATE_FULL);
    if is_full || form.has(Form::IMMEDIATE) {
        at += match prefixes {
            Prefixes { has_wide_operand: true, .. } if is_full => 8,
            Prefixes { has_short_operand: true, has_wide_operand: false, .. } => 2,
            _ => {
                found.immediate = at;
                4
            }
        };
    }
    at
}

#[cfg(test)]
mod tests;
