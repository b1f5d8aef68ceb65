//! What follows each opcode of x86-64 in 64-bit mode.

/// What follows an opcode: a set of the constants below.
#[derive(Clone, Copy)]
pub(super) struct Form(u16);

impl Form {
    /// Nothing, or something that the opcode alone does not tell.
    pub(super) const PLAIN: Self = Self(0);
    /// A `ModRM` byte, and what that asks for.
    pub(super) const MODRM: Self = Self(1);
    /// An immediate of 8 bits.
    pub(super) const IMMEDIATE_8: Self = Self(1 << 1);
    /// An immediate of 16 bits.
    pub(super) const IMMEDIATE_16: Self = Self(1 << 2);
    /// An immediate of 32 bits, or 16 with an operand of 16 bits.
    pub(super) const IMMEDIATE: Self = Self(1 << 3);
    /// An immediate as large as the operand: 16, 32 or 64 bits.
    pub(super) const IMMEDIATE_FULL: Self = Self(1 << 4);
    /// The distance of a call or jump, in 32 bits.
    pub(super) const BRANCH: Self = Self(1 << 5);
    /// An address in full: 64 bits, or 32 with the prefix for shorter addresses.
    pub(super) const ADDRESS: Self = Self(1 << 6);
    /// An immediate where the `ModRM` byte says `TEST`: 8 bits for the opcode F6, else as the operand.
    pub(super) const TEST: Self = Self(1 << 7);
    /// A prefix.
    pub(super) const PREFIX: Self = Self(1 << 8);
    /// An escape to another table.
    pub(super) const ESCAPE: Self = Self(1 << 9);
    /// There is no such instruction.
    pub(super) const INVALID: Self = Self(1 << 10);

    pub(super) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

const MODRM_IMMEDIATE_8: Form = Form::MODRM.with(Form::IMMEDIATE_8);
const MODRM_IMMEDIATE: Form = Form::MODRM.with(Form::IMMEDIATE);

/// The table of what a constant function says of every opcode.
macro_rules! table {
    ($name:ident) => {{
        let mut forms = [Form::INVALID; 256];
        let mut opcode = 0_u8;
        loop {
            forms[opcode as usize] = $name(opcode);
            if opcode == u8::MAX {
                break forms;
            }
            opcode += 1;
        }
    }};
}
/// Opcodes of one byte.
pub(super) const ONE_BYTE: [Form; 256] = table!(one_byte);
/// Opcodes that follow 0F.
pub(super) const AFTER_0F: [Form; 256] = table!(after_0f);
/// Opcodes of the first map of instructions that are encoded by VEX or EVEX.
pub(super) const VECTOR: [Form; 256] = table!(vector);

const fn one_byte(opcode: u8) -> Form {
    match opcode {
        0x26 | 0x2e | 0x36 | 0x3e | 0x40..=0x4f | 0x64..=0x67 | 0xf0 | 0xf2 | 0xf3 => Form::PREFIX,
        0x0f | 0x62 | 0xc4 | 0xc5 => Form::ESCAPE,
        0x06
        | 0x07
        | 0x0e
        | 0x16
        | 0x17
        | 0x1e
        | 0x1f
        | 0x27
        | 0x2f
        | 0x37
        | 0x3f
        | 0x60
        | 0x61
        | 0x82
        | 0x9a
        | 0xce
        | 0xd4..=0xd6
        | 0xea => Form::INVALID,
        0x00..=0x3f => match opcode & 7 {
            0..=3 => Form::MODRM,
            4 => Form::IMMEDIATE_8,
            _ => Form::IMMEDIATE,
        },
        0x68 | 0xa9 => Form::IMMEDIATE,
        0x69 | 0x81 | 0xc7 => MODRM_IMMEDIATE,
        0x6b | 0x80 | 0x83 | 0xc0 | 0xc1 | 0xc6 => MODRM_IMMEDIATE_8,
        0x6a | 0x70..=0x7f | 0xa8 | 0xb0..=0xb7 | 0xcd | 0xe0..=0xe7 | 0xeb => Form::IMMEDIATE_8,
        0x63 | 0x84..=0x8f | 0xd0..=0xd3 | 0xd8..=0xdf | 0xfe | 0xff => Form::MODRM,
        0xa0..=0xa3 => Form::ADDRESS,
        0xb8..=0xbf => Form::IMMEDIATE_FULL,
        0xc2 | 0xca => Form::IMMEDIATE_16,
        0xc8 => Form::IMMEDIATE_16.with(Form::IMMEDIATE_8),
        0xe8 | 0xe9 => Form::BRANCH,
        0xf6 | 0xf7 => Form::MODRM.with(Form::TEST),
        _ => Form::PLAIN,
    }
}

const fn after_0f(opcode: u8) -> Form {
    match opcode {
        0x38 | 0x3a => Form::ESCAPE,
        0x04
        | 0x0a
        | 0x0c
        | 0x24..=0x27
        | 0x36
        | 0x39
        | 0x3b..=0x3f
        | 0x7a
        | 0x7b
        | 0xa6
        | 0xa7 => Form::INVALID,
        0x05..=0x0b | 0x0e | 0x30..=0x37 | 0x77 | 0xa0..=0xa2 | 0xa8..=0xaa | 0xc8..=0xcf => {
            Form::PLAIN
        }
        0x0f | 0x70..=0x73 | 0xa4 | 0xac | 0xba | 0xc2 | 0xc4..=0xc6 => MODRM_IMMEDIATE_8,
        0x80..=0x8f => Form::BRANCH,
        _ => Form::MODRM,
    }
}

const fn vector(opcode: u8) -> Form {
    match opcode {
        0x77 => Form::PLAIN,
        0x70..=0x73 | 0xc2 | 0xc4..=0xc6 => MODRM_IMMEDIATE_8,
        _ => Form::MODRM,
    }
}
