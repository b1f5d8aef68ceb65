use mainstay_client::delta::executable::{Executable, ReferenceKind, analyse};

use super::{Seeds, input::Input};

const X86_64: u8 = 62;
const AARCH64: u8 = 183;
const FIXED: u8 = 2;
const RELOCATED: u8 = 3;
const DYNAMIC: u32 = 2;
const GNU_EH_FRAME: u32 = 0x6474_e550;
/// Where the file is in memory.
const ADDRESS: u64 = 0x40_0000;
const HEADER_BYTES: u8 = 64;
const PROGRAM_HEADER_BYTES: u8 = 56;
const CONTENT_OFFSET: usize = 64 + 4 * 56;

/// The fields that are found are apart from each other, hold what is said of them, and can be written as
/// they were; twice the same is found, and nothing is refused for what is in no header.
pub(crate) fn run(bytes: &[u8]) {
    check(bytes);
    let mut input = Input::new(bytes);
    let machine = input.one_of(&[X86_64, AARCH64]);
    let placement = input.one_of(&[RELOCATED, FIXED]);
    let parts = [input.byte(), input.byte(), input.byte()].map(usize::from);
    assert!(check(&file(machine, placement, parts, input.rest())), "a whole file is refused");
}

/// Says whether the file is understood.
fn check(file: &[u8]) -> bool {
    let Some(executable) = analyse(file) else { return false };
    let mut end = 0;
    for reference in &executable.references {
        assert!(reference.offset >= end, "{reference:x?} overlaps the one before it");
        end = reference.end();
        let kind = reference.kind;
        let field = kind.field(file, reference.offset).unwrap();
        let address = executable.segments.address_of(reference.offset).unwrap_or(0);
        assert_eq!(kind.write(reference.target, address, field), Some(field), "{reference:x?}");
        if kind != ReferenceKind::Page21 {
            assert_eq!(kind.read(field, address), reference.target, "{reference:x?}");
        }
        assert!(executable.segments.contain(reference.target), "{reference:x?}");
    }
    assert!(end <= file.len());
    let again: Option<Executable> = analyse(file);
    assert!(again.as_ref() == Some(&executable), "two analyses of one file");
    true
}

/// A file with `content`, of which the first of the `parts`, so many sixteens of bytes, is code, the
/// second for the dynamic linker and the third a table of frames.
fn file(machine: u8, placement: u8, parts: [usize; 3], content: &[u8]) -> Vec<u8> {
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    file.extend([placement, 0, machine, 0, 1, 0, 0, 0]);
    file.extend([ADDRESS, u64::from(HEADER_BYTES), 0].map(u64::to_le_bytes).concat());
    file.extend([0, 0, 0, 0, HEADER_BYTES, 0, PROGRAM_HEADER_BYTES, 0]);
    file.extend([4, 0, 0, 0, 0, 0, 0, 0]);
    let mut offset = CONTENT_OFFSET;
    let mut segment = |kind: u32, flags: u32, offset: usize, length: usize| {
        let (place, length) = (offset as u64, length as u64);
        file.extend([kind, flags].map(u32::to_le_bytes).concat());
        let address = ADDRESS + place;
        file.extend([place, address, address, length, length, 16].map(u64::to_le_bytes).concat());
    };
    let mut left = content.len();
    let lengths = parts.map(|sixteens| {
        let length = (16 * sixteens).min(left);
        left -= length;
        length
    });
    for ((kind, flags), length) in
        [(1, 5), (DYNAMIC, 6), (GNU_EH_FRAME, 4)].into_iter().zip(lengths)
    {
        segment(kind, flags, offset, length);
        offset += length;
    }
    segment(1, 6, CONTENT_OFFSET + lengths[0], content.len() - lengths[0]);
    file.extend(content);
    file
}

/// The address of what is at `place` of the content, in whatever width.
const fn at(place: u64) -> u64 {
    ADDRESS + CONTENT_OFFSET as u64 + place
}

/// A program of a few instructions and a table.
pub(crate) fn program() -> Vec<u8> {
    file(X86_64, FIXED, [2, 0, 0], &x86_64_content())
}

fn x86_64_content() -> Vec<u8> {
    // call +3; lea rax, [+0x10]; cmp dword [+0x10], 7; mov edi, …; a table of two
    let mut x86_64 = b"\xe8\x03\0\0\0\x48\x8d\x05\x14\0\0\0\x83\x3d\x10\0\0\0\x07\xbf".to_vec();
    x86_64.extend(&at(0x20).to_le_bytes()[..4]);
    x86_64.extend([0xc3; 8]);
    x86_64.extend([-0x20_i32, -0x1b].map(i32::to_le_bytes).concat());
    x86_64.extend(at(0).to_le_bytes());
    x86_64
}

pub(crate) fn seeds() -> Seeds {
    let seed = |choices: [u8; 5], content: &[u8]| [&choices[..], content].concat();
    let x86_64 = x86_64_content();
    let vectors =
        b"\xc5\xfe\x6f\x05\0\0\0\0\x62\xf3\x75\x48\x25\x05\0\0\0\0\x96\x66\x0f\x3a\x0f\xc1\x08";
    // adrp x0; add x1, x0, #0x150; ldr x2, [x0, #0x150]; bl; b.ne; tbnz; adr; ret
    let aarch64 = [
        0x9000_0000_u32,
        0x9105_4001,
        0xf940_a802,
        0x97ff_ffff,
        0x5400_0041,
        0x3718_0020,
        0x1000_0021,
        0xd65f_03c0,
    ];
    let aarch64 = aarch64.map(u32::to_le_bytes).concat();
    // DT_RELA, DT_RELASZ, DT_RELR, DT_RELRSZ, and the tables.
    let dynamic = [
        7,
        at(0x50),
        8,
        24,
        36,
        at(0x70),
        35,
        16,
        0,
        0,
        at(0x80),
        8,
        at(0),
        0,
        at(0x80),
        3,
        at(0),
        1,
    ];
    let dynamic = dynamic.map(u64::to_le_bytes).concat();
    // The table of frames, what they have in common, and one of them.
    let mut frames = b"\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90\xc3".to_vec();
    frames.extend(b"\x01\x1b\x03\x3b\x10\0\0\0\x01\0\0\0\xf0\xff\xff\xff\x2c\0\0\0");
    frames.extend(b"\x14\0\0\0\0\0\0\0\x01zR\0\x01\x78\x10\x01\x1b\x0c\x07\x08\x90\x01\0\0");
    frames.extend(b"\x14\0\0\0\x1c\0\0\0\xb8\xff\xff\xff\x08\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
    vec![
        ("x86-64", seed([0, 1, 2, 0, 0], &x86_64)),
        ("relocated", seed([0, 0, 2, 0, 0], &x86_64)),
        ("vectors", seed([0, 0, 2, 0, 0], vectors)),
        ("aarch64", seed([1, 0, 2, 0, 0], &aarch64)),
        ("dynamic", seed([0, 0, 0, 5, 0], &dynamic)),
        ("frames", seed([0, 0, 1, 0, 5], &frames)),
        ("whole", program()),
    ]
}
