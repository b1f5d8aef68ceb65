/// A field of an executable that holds an address, in whatever form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Where the field begins in the file.
    pub offset: usize,
    /// The form in which the field holds the address.
    pub kind: ReferenceKind,
    /// The address. It is more exact than what [`ReferenceKind::read`] tells of the field where that holds
    /// the address's page alone and the rest is in another instruction.
    pub target: u64,
}

impl Reference {
    /// Where the field ends in the file.
    pub const fn end(&self) -> usize {
        self.offset + self.kind.width()
    }
}

/// The form in which a field holds an address.
///
/// A field is taken and given as the little-endian number of its [`width`](Self::width) bytes. All
/// arithmetic wraps, so that every field of every kind can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReferenceKind {
    /// The address, in 32 bits without a sign.
    Absolute32,
    /// The address, in 64 bits.
    Absolute64,
    /// The distance from the end of the field: x86-64 calls and jumps.
    Branch32,
    /// The distance from the end of an instruction that has `trailing` more bytes after the field: x86-64
    /// operands in memory.
    Displacement32 {
        /// Bytes of the instruction after the field.
        trailing: u8,
    },
    /// The distance from the field itself.
    Relative32,
    /// The distance back from the field itself.
    Backward32,
    /// The distance from the address `base`.
    BaseRelative32 {
        /// From where the distance is counted.
        base: u64,
    },
    /// The distance from the address `base` in words of 32 bits: an index into a table.
    BaseWords32 {
        /// From where the distance is counted.
        base: u64,
    },
    /// `B`, `BL` of AArch64: ±128 MiB in instructions.
    Branch26,
    /// `B.cond`, `CBZ`, `CBNZ`, `LDR` of a literal of AArch64: ±1 MiB in instructions.
    Branch19,
    /// `TBZ`, `TBNZ` of AArch64: ±32 KiB in instructions.
    Branch14,
    /// `ADR` of AArch64: ±1 MiB.
    Address21,
    /// `ADRP` of AArch64: the page, ±4 GiB.
    Page21,
    /// The place in a page, in an `ADD`, a load or a store of AArch64 with an offset of 12 bits.
    PageOffset12 {
        /// The page, which another instruction holds.
        page: u64,
    },
}

/// The bits of an address within a page, as AArch64's `ADRP` counts pages.
const PAGE_MASK: u64 = 0xfff;

impl ReferenceKind {
    /// How many kinds there are.
    pub const COUNT: usize = 14;

    /// The kind's number, below [`COUNT`](Self::COUNT), whatever it has beside.
    pub const fn index(self) -> usize {
        match self {
            Self::Absolute32 => 0,
            Self::Absolute64 => 1,
            Self::Branch32 => 2,
            Self::Displacement32 { .. } => 3,
            Self::Relative32 => 4,
            Self::Backward32 => 5,
            Self::BaseRelative32 { .. } => 6,
            Self::BaseWords32 { .. } => 7,
            Self::Branch26 => 8,
            Self::Branch19 => 9,
            Self::Branch14 => 10,
            Self::Address21 => 11,
            Self::Page21 => 12,
            Self::PageOffset12 { .. } => 13,
        }
    }

    /// Bytes that the field takes: 4 or 8.
    pub const fn width(self) -> usize {
        match self {
            Self::Absolute64 => 8,
            _ => 4,
        }
    }

    /// The bits of the field that hold the address. The others are an instruction's.
    pub const fn mask(self) -> u64 {
        match self {
            Self::Absolute64 => u64::MAX,
            Self::Absolute32
            | Self::Branch32
            | Self::Displacement32 { .. }
            | Self::Relative32
            | Self::Backward32
            | Self::BaseRelative32 { .. }
            | Self::BaseWords32 { .. } => 0xffff_ffff,
            Self::Branch26 => 0x03ff_ffff,
            Self::Branch19 => 0x00ff_ffe0,
            Self::Branch14 => 0x0007_ffe0,
            Self::Address21 | Self::Page21 => 0x60ff_ffe0,
            Self::PageOffset12 { .. } => 0x003f_fc00,
        }
    }

    /// The address from which the field counts, where that is another than the field's own.
    pub const fn base(self) -> Option<u64> {
        match self {
            Self::BaseRelative32 { base } | Self::BaseWords32 { base } => Some(base),
            _ => None,
        }
    }

    /// Whether what the field holds does not depend on where it is.
    pub const fn is_absolute(self) -> bool {
        match self {
            Self::Absolute32
            | Self::Absolute64
            | Self::BaseRelative32 { .. }
            | Self::BaseWords32 { .. }
            | Self::PageOffset12 { .. } => true,
            Self::Branch32
            | Self::Displacement32 { .. }
            | Self::Relative32
            | Self::Backward32
            | Self::Branch26
            | Self::Branch19
            | Self::Branch14
            | Self::Address21
            | Self::Page21 => false,
        }
    }

    /// The same kind in another file, in which the reference is to `target` and an address that was
    /// `base` is what `moved` says.
    #[must_use]
    pub fn moved(self, target: u64, moved: impl FnOnce(u64) -> u64) -> Self {
        match self {
            Self::BaseRelative32 { base } => Self::BaseRelative32 { base: moved(base) },
            Self::BaseWords32 { base } => Self::BaseWords32 { base: moved(base) },
            Self::PageOffset12 { .. } => Self::PageOffset12 { page: target & !PAGE_MASK },
            other => other,
        }
    }

    /// The field of this kind at `offset` of a file, or `None` where the file ends before.
    pub fn field(self, file: &[u8], offset: usize) -> Option<u64> {
        let bytes = file.get(offset..)?;
        match self.width() {
            8 => bytes.first_chunk().map(|bytes| u64::from_le_bytes(*bytes)),
            _ => bytes.first_chunk().map(|bytes| u64::from(u32::from_le_bytes(*bytes))),
        }
    }

    /// The address that `field` holds where it is at `address`. Kinds that are absolute or count from
    /// a base do not look at `address`.
    pub const fn read(self, field: u64, address: u64) -> u64 {
        match self {
            Self::Absolute32 => field & 0xffff_ffff,
            Self::Absolute64 => field,
            Self::Branch32 => address.wrapping_add(4).wrapping_add(sign_extended(field, 32)),
            Self::Displacement32 { trailing } => {
                let end = address.wrapping_add(4 + trailing as u64);
                end.wrapping_add(sign_extended(field, 32))
            }
            Self::Relative32 => address.wrapping_add(sign_extended(field, 32)),
            Self::Backward32 => address.wrapping_sub(sign_extended(field, 32)),
            Self::BaseRelative32 { base } => base.wrapping_add(sign_extended(field, 32)),
            Self::BaseWords32 { base } => base.wrapping_add(sign_extended(field, 32) << 2),
            Self::Branch26 => address.wrapping_add(sign_extended(field, 26) << 2),
            Self::Branch19 => address.wrapping_add(sign_extended(field >> 5, 19) << 2),
            Self::Branch14 => address.wrapping_add(sign_extended(field >> 5, 14) << 2),
            Self::Address21 => address.wrapping_add(split_21(field)),
            Self::Page21 => (address & !PAGE_MASK).wrapping_add(split_21(field) << 12),
            Self::PageOffset12 { page } => {
                page.wrapping_add((field >> 10 & 0xfff) << page_offset_scale(field))
            }
        }
    }

    /// The field at `address` that holds `target`, with the bits that are no address as `field` has them;
    /// `None` where the field cannot hold it.
    ///
    /// It is the inverse of [`read`](Self::read): what was read of a field gives that field. Of `target`,
    /// [`Page21`](Self::Page21) holds the page and [`PageOffset12`](Self::PageOffset12) the place in
    /// whichever page.
    pub fn write(self, target: u64, address: u64, field: u64) -> Option<u64> {
        let from_field = target.wrapping_sub(address);
        let value = match self {
            Self::Absolute32 => u32::try_from(target).ok().map(u64::from)?,
            Self::Absolute64 => target,
            Self::Branch32 => signed(from_field.wrapping_sub(4), 32)?,
            Self::Displacement32 { trailing } => {
                signed(from_field.wrapping_sub(4 + u64::from(trailing)), 32)?
            }
            Self::Relative32 => signed(from_field, 32)?,
            Self::Backward32 => signed(from_field.wrapping_neg(), 32)?,
            Self::BaseRelative32 { base } => signed(target.wrapping_sub(base), 32)?,
            Self::BaseWords32 { base } => {
                signed(whole_multiple(target.wrapping_sub(base), 2)?, 32)?
            }
            Self::Branch26 => signed(whole_multiple(from_field, 2)?, 26)?,
            Self::Branch19 => signed(whole_multiple(from_field, 2)?, 19)? << 5,
            Self::Branch14 => signed(whole_multiple(from_field, 2)?, 14)? << 5,
            Self::Address21 => joined_21(signed(from_field, 21)?),
            Self::Page21 => {
                let pages = (target & !PAGE_MASK).wrapping_sub(address & !PAGE_MASK);
                joined_21(signed(whole_multiple(pages, 12)?, 21)?)
            }
            Self::PageOffset12 { .. } => {
                whole_multiple(target & PAGE_MASK, page_offset_scale(field))? << 10
            }
        };
        Some(field & !self.mask() & if self.width() == 8 { u64::MAX } else { 0xffff_ffff } | value)
    }
}

/// The lowest `bits` of `value` as a number with a sign.
const fn sign_extended(value: u64, bits: u32) -> u64 {
    let unused = u64::BITS - bits;
    ((value << unused).cast_signed() >> unused).cast_unsigned()
}

/// `value` in `bits` bits, where they can hold it with its sign.
const fn signed(value: u64, bits: u32) -> Option<u64> {
    if sign_extended(value, bits) == value { Some(value & ((1 << bits) - 1)) } else { None }
}

/// `value` divided by 2^`scale`, with its sign, where nothing is left over.
const fn whole_multiple(value: u64, scale: u32) -> Option<u64> {
    if value & ((1 << scale) - 1) != 0 {
        return None;
    }
    Some((value.cast_signed() >> scale).cast_unsigned())
}

/// The number of 21 bits that `ADR` and `ADRP` hold in two parts.
const fn split_21(field: u64) -> u64 {
    sign_extended((field >> 5 & 0x7_ffff) << 2 | field >> 29 & 3, 21)
}

const fn joined_21(value: u64) -> u64 {
    (value >> 2) << 5 | (value & 3) << 29
}

/// By how many bits a load or store of AArch64 scales its offset: as its operand's size says. An `ADD`
/// does not scale.
const fn page_offset_scale(instruction: u64) -> u32 {
    if instruction >> 27 & 7 != 0b111 {
        return 0;
    }
    let is_vector = instruction >> 26 & 1 == 1;
    if is_vector && instruction >> 23 & 1 == 1 { 4 } else { (instruction >> 30 & 3) as u32 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn kind() -> impl Strategy<Value = ReferenceKind> {
        use ReferenceKind::*;
        prop_oneof![
            Just(Absolute32),
            Just(Absolute64),
            Just(Branch32),
            (0..8_u8).prop_map(|trailing| Displacement32 { trailing }),
            Just(Relative32),
            Just(Backward32),
            any::<u64>().prop_map(|base| BaseRelative32 { base }),
            any::<u64>().prop_map(|base| BaseWords32 { base }),
            Just(Branch26),
            Just(Branch19),
            Just(Branch14),
            Just(Address21),
            Just(Page21),
            any::<u64>().prop_map(|page| PageOffset12 { page: page & !PAGE_MASK }),
        ]
    }

    fn of_width(kind: ReferenceKind, field: u64) -> u64 {
        if kind.width() == 8 { field } else { field & 0xffff_ffff }
    }

    proptest! {
        #[test]
        fn what_was_read_is_written_again(kind in kind(), field: u64, address: u64) {
            let field = of_width(kind, field);
            let is_in_page = (field >> 10 & 0xfff) << page_offset_scale(field) <= PAGE_MASK;
            prop_assume!(is_in_page || !matches!(kind, ReferenceKind::PageOffset12 { .. }));
            prop_assert_eq!(kind.write(kind.read(field, address), address, field), Some(field));
        }

        #[test]
        fn what_was_written_is_read_again(
            kind in kind(), field: u64, address: u64, distance in -1_i64 << 33..1 << 33, coarse in 0..34
        ) {
            let from = kind.base().unwrap_or(address);
            let target = from.wrapping_add_signed(distance >> coarse << 2);
            let kind = kind.moved(target, |base| base);
            let field = of_width(kind, field);
            if let Some(written) = kind.write(target, address, field) {
                let held = if kind == ReferenceKind::Page21 { target & !PAGE_MASK } else { target };
                prop_assert_eq!(kind.read(written, address), held);
                prop_assert_eq!(written & !kind.mask(), field & !kind.mask());
                prop_assert_eq!(written, of_width(kind, written));
            }
        }
    }

    #[test]
    fn fields_hold_what_the_assembler_means() {
        use ReferenceKind::*;
        let cases = [
            // call +0x12345678
            (Branch32, 0x1234_5678, 0x40_1001, 0x40_1005 + 0x1234_5678),
            // jmp to itself
            (Branch32, 0xffff_fffb, 0x40_1001, 0x40_1000),
            // cmp dword [rip - 16], 7
            (Displacement32 { trailing: 1 }, 0xffff_fff0, 0x40_1002, 0x40_0ff7),
            (Relative32, 0xffff_ff00, 0x2000, 0x1f00),
            (Backward32, 0x18, 0x2018, 0x2000),
            (BaseRelative32 { base: 0x3000 }, 0xffff_ff00, 0x9000, 0x2f00),
            (BaseWords32 { base: 0x3000 }, 3, 0x9000, 0x300c),
            // bl -4
            (Branch26, 0x97ff_ffff, 0x1_0000, 0xfffc),
            // b.ne +8
            (Branch19, 0x5400_0041, 0x1_0000, 0x1_0008),
            // tbnz w0, #3, -8
            (Branch14, 0x371f_ffc0, 0x1_0000, 0xfff8),
            // adr x1, -1
            (Address21, 0x70ff_ffe1, 0x1_0000, 0xffff),
            // adrp x0, +0x5000
            (Page21, 0xb000_0020, 0x1_0123, 0x1_5000),
            // add x0, x0, #0x123
            (PageOffset12 { page: 0x7000 }, 0x9104_8c00, 0x1_0000, 0x7123),
            // ldr x0, [x0, #0x128]
            (PageOffset12 { page: 0x7000 }, 0xf940_9400, 0x1_0000, 0x7128),
            // ldr q0, [x0, #0x120]
            (PageOffset12 { page: 0x7000 }, 0x3dc0_4800, 0x1_0000, 0x7120),
            // ldrb w0, [x0, #0x123]
            (PageOffset12 { page: 0x7000 }, 0x3944_8c00, 0x1_0000, 0x7123),
        ];
        for (kind, field, address, target) in cases {
            assert_eq!(kind.read(field, address), target, "{kind:?} {field:#x}");
            assert_eq!(kind.write(target, address, field & !kind.mask()), Some(field), "{kind:?}");
        }
    }

    #[test]
    fn what_a_field_cannot_hold_is_not_written() {
        use ReferenceKind::*;
        let refused = [
            (Absolute32, 1 << 32, 0),
            (Branch32, 0x9000_0000, 0),
            (BaseWords32 { base: 0 }, 6, 0),
            (Branch26, 1 << 27, 0),
            (Branch26, 2, 0),
            (Branch19, 1 << 20, 0),
            (Branch14, 1 << 15, 0),
            (Address21, 1 << 20, 0),
            (Page21, 1 << 32, 0),
        ];
        for (kind, target, field) in refused {
            assert_eq!(kind.write(target, 0, field), None, "{kind:?} {target:#x}");
        }
        // ldr x0, [x0, #…] takes a multiple of 8.
        assert_eq!(PageOffset12 { page: 0 }.write(0x1004, 0, 0xf940_0000), None);
    }
}
