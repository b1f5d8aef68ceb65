//! Small files by hand, of which it is known where addresses are.

#![expect(clippy::cast_possible_truncation, reason = "these files are small")]

mod go;
mod image;
mod whatever;

use image::{AARCH64, EXECUTE, FIXED, Image, READ, RELOCATED, WRITE, X86_64, halves, words};

use super::*;

const CODE: u64 = 0x40_1000;
const DATA: u64 = 0x40_3000;

/// What is found in `image`, beside the headers: where by address, the kind and the target.
fn found(image: &Image) -> Vec<(u64, ReferenceKind, u64)> {
    let executable = analyse(&image.bytes()).unwrap();
    let place = |offset| executable.segments.address_of(offset);
    (executable.references.iter())
        .filter_map(|found| Some((place(found.offset)?, found.kind, found.target)))
        .collect()
}

#[test]
fn operands_are_found_in_code() {
    let code = [
        &b"\xe8\x0b\x00\x00\x00"[..],                // 00: call 0x10
        b"\x48\x8d\x3d\xf4\x1f\x00\x00",             // 05: lea rdi, [DATA]
        b"\xe8\x00\x00\x10\x00",                     // 0c: call where nothing is
        b"\xc7\x05\xe5\x1f\x00\x00\x01\x00\x00\x00", // 11: mov dword [DATA], 1
        b"\xbf\x00\x30\x40\x00",                     // 1b: mov edi, DATA
        b"\xc3",
    ]
    .concat();
    let relative = |trailing| ReferenceKind::Displacement32 { trailing };
    let mut expected = vec![
        (CODE + 1, ReferenceKind::Branch32, CODE + 0x10),
        (CODE + 8, relative(0), DATA),
        (CODE + 0x13, relative(4), DATA),
    ];
    let image =
        |kind| Image::new(X86_64, kind).load(EXECUTE, CODE, &code).load(READ, DATA, &[1; 16]);
    assert_eq!(found(&image(RELOCATED)), expected);
    expected.push((CODE + 0x1c, ReferenceKind::Absolute32, DATA));
    assert_eq!(found(&image(FIXED)), expected);
}

#[test]
fn a_jump_table_ends_where_no_instruction_is() {
    // lea rdx, [DATA]; lea rsi, [DATA + 12]; nop; ret
    let code = b"\x48\x8d\x15\xf9\x1f\x00\x00\x48\x8d\x35\xfe\x1f\x00\x00\x90\xc3";
    let to = |address: u64| address.wrapping_sub(DATA) as u32;
    let table = [to(CODE), to(CODE + 7), to(CODE + 15)];
    let kind = ReferenceKind::BaseRelative32 { base: DATA };
    // Where it ends, first: the second table begins; an address within an instruction follows.
    for (data, entries) in [
        ([&table[..], &[to(CODE)]].concat(), 3),
        ([&table[..2], &[to(CODE + 8)]].concat(), 2),
        // One entry may be a number.
        ([&table[..1], &[to(CODE + 8)]].concat(), 0),
    ] {
        let image = Image::new(X86_64, RELOCATED).load(EXECUTE, CODE, code);
        let image = image.load(READ, DATA, &halves(&[&data[..], &[0; 2]].concat()));
        let found: Vec<_> = found(&image).split_off(2);
        let targets = [CODE, CODE + 7, CODE + 15];
        let expected = (0..entries).map(|index| (DATA + 4 * index as u64, kind, targets[index]));
        assert_eq!(found, expected.collect::<Vec<_>>());
    }
}

#[test]
fn a_table_of_data_leads_back_or_to_another_segment() {
    const TEXT: u64 = DATA - 0x1000;
    let code = b"\x48\x8d\x15\xf9\x1f\x00\x00\xc3"; // lea rdx, [DATA]; ret
    let found = |distances: [i32; 3]| {
        let table = distances.map(i32::to_le_bytes).concat();
        let image = Image::new(X86_64, RELOCATED).load(EXECUTE, CODE, code);
        let data = [&table[..], &[0; 0x1000]].concat();
        let image = image.load(READ, TEXT, &[b'x'; 0x1000]).load(READ, DATA, &data);
        let image = image.load(WRITE, DATA + 0x2000, &[0; 16]);
        found(&image).split_off(1)
    };
    let kind = ReferenceKind::BaseRelative32 { base: DATA };
    let entries = |targets: [u64; 3]| {
        [0, 1, 2].map(|index| (DATA + 4 * index as u64, kind, targets[index])).to_vec()
    };
    assert_eq!(found([-0x1000, -0x400, -0x401]), entries([TEXT, DATA - 0x400, DATA - 0x401]));
    assert_eq!(
        found([0x2000, 0x2008, 0x200f]),
        entries([0x2000, 0x2008, 0x200f].map(|it| DATA + it))
    );
    for numbers in [[-0x400, -0x401, -0x3ff], [0x900, 0x901, 0x902], [-0x1000, -0x400, 0x10_0000]] {
        assert_eq!(found(numbers), [], "{numbers:x?}");
    }
}

#[test]
fn pointers_in_data_are_found_where_no_relocation_tells() {
    let data = words(&[DATA, 7, CODE, CODE + 0x1_0000, DATA + 32]);
    let image =
        |kind| Image::new(X86_64, kind).load(EXECUTE, CODE, b"\xc3").load(WRITE, DATA, &data);
    let pointer = |index: u64, target| (DATA + 8 * index, ReferenceKind::Absolute64, target);
    assert_eq!(found(&image(FIXED)), [pointer(0, DATA), pointer(2, CODE), pointer(4, DATA + 32)]);
    assert_eq!(found(&image(RELOCATED)), []);
}

#[test]
fn relocations_tell_where_addresses_are() {
    let dynamic = words(&[7, DATA + 0x80, 8, 48, 36, DATA + 0xb0, 35, 16, 0, 0]);
    let mut data = [&dynamic[..], &[0; 0x30]].concat();
    // R_X86_64_RELATIVE of DATA + 0xc0 to CODE; R_X86_64_GLOB_DAT of a symbol, whose addend is none.
    data.extend(words(&[DATA + 0xc0, 8, CODE, DATA + 0xc8, 1 << 32 | 6, CODE]));
    // The word at DATA + 0xd0, and of those behind it the first and the third.
    data.extend(words(&[DATA + 0xd0, 0b1011]));
    data.extend(words(&[0, 0, CODE, CODE + 1, CODE + 2, CODE + 3]));
    let image = Image::new(X86_64, RELOCATED).load(EXECUTE, CODE, b"\x90\x90\x90\xc3");
    let image = image.load(WRITE, DATA, &data).segment(2, DATA..DATA + 0x50);
    let expected = [
        (0x08, DATA + 0x80),
        (0x28, DATA + 0xb0),
        (0x80, DATA + 0xc0),
        (0x90, CODE),
        (0x98, DATA + 0xc8),
        (0xb0, DATA + 0xd0),
        (0xd0, CODE),
        (0xd8, CODE + 1),
        (0xe8, CODE + 3),
    ];
    let expected = expected.map(|(at, target)| (DATA + at, ReferenceKind::Absolute64, target));
    assert_eq!(found(&image), expected);
}

/// A function that exceptions pass, as its frame's record and the table of frames tell.
fn image_with_frames(code: &[u8], function: u64) -> Image {
    // 00: the table: version, encodings, where the records are, one function.
    let mut data = b"\x01\x1b\x03\x3b".to_vec();
    let to = |target: u64, place: u64| target.wrapping_sub(place) as u32;
    data.extend(halves(&[
        to(DATA + 0x18, DATA + 4),
        1,
        to(function, DATA),
        to(DATA + 0x34, DATA),
        0,
    ]));
    // 18: what frames have in common: zPLR, personality at 2b.
    data.extend(halves(&[0x18, 0]));
    data.extend(b"\x01zPLR\0\x01\x78\x10\x07\x9b");
    data.extend(halves(&[to(DATA + 0x60, DATA + 0x2b)]));
    data.extend(b"\x1b\x1b\0\0\0");
    // 34: a frame.
    data.extend(halves(&[0x18, 0x20, to(function, DATA + 0x3c), 2]));
    data.push(4);
    data.extend(halves(&[to(DATA + 0x68, DATA + 0x45)]));
    data.extend([0; 7]);
    // 50: the last record.
    data.resize(0x70, 0);
    let image = Image::new(X86_64, RELOCATED).load(EXECUTE, CODE, code);
    image.load(READ, DATA, &data).segment(0x6474_e550, DATA..DATA + 0x14)
}

#[test]
fn frames_tell_functions_and_what_handles_exceptions() {
    use ReferenceKind::{Backward32, BaseRelative32, Relative32};
    let table = BaseRelative32 { base: DATA };
    let expected = [
        (0x04, Relative32, DATA + 0x18),
        (0x0c, table, CODE),
        (0x10, table, DATA + 0x34),
        (0x2b, Relative32, DATA + 0x60),
        (0x38, Backward32, DATA + 0x18),
        (0x3c, Relative32, CODE),
        (0x45, Relative32, DATA + 0x68),
    ];
    let expected = expected.map(|(at, kind, target)| (DATA + at, kind, target));
    assert_eq!(found(&image_with_frames(b"\x90\x90\x90\xc3", CODE)), expected);
}

#[test]
fn an_instruction_begins_where_a_function_does() {
    // What would be MOVABS takes a call with it, where it is not known that a function begins there.
    let code = b"\x48\xb8\xe8\xf9\xff\xff\xff\x90\x90\x90\x90\xc3";
    let call = (CODE + 3, ReferenceKind::Branch32, CODE);
    assert!(found(&image_with_frames(code, CODE + 2)).contains(&call));
    assert!(!found(&image_with_frames(code, CODE)).contains(&call));
}

#[test]
fn symbols_are_found_by_section_and_by_the_dynamic_linkers_segment() {
    let symbol = |kind: u8, section: u8, value: u64| {
        [&[1, 0, 0, 0, kind, 0, section, 0][..], &words(&[value, 2])].concat()
    };
    let symbols = [
        symbol(0, 0, 0),
        symbol(0x12, 1, CODE + 1),
        symbol(0x11, 1, DATA),
        symbol(0x12, 0, CODE), // is elsewhere
        symbol(0x16, 1, DATA), // is an offset in a thread's own memory
    ]
    .concat();
    let of = |first| [(first + 32, CODE + 1), (first + 56, DATA)];
    let image = Image::new(X86_64, RELOCATED).load(EXECUTE, CODE, b"\x90\x90\x90\xc3");
    let by_section = image.load(READ, DATA, &[0; 16]).section(2, &symbols);
    let executable = analyse(&by_section.bytes()).unwrap();
    let first = by_section.sections_offset();
    let found_there: Vec<_> = (executable.references.iter())
        .filter(|reference| reference.offset >= first)
        .map(|reference| (reference.offset, reference.target))
        .collect();
    assert_eq!(found_there, of(first));

    let dynamic = words(&[6, DATA + 0x40, 5, DATA + 0x40 + symbols.len() as u64, 0, 0]);
    let data = [&dynamic[..], &[0; 16], &symbols, b"\0name\0"].concat();
    let image = Image::new(X86_64, RELOCATED).load(EXECUTE, CODE, b"\x90\x90\x90\xc3");
    let image = image.load(READ, DATA, &data).segment(2, DATA..DATA + 0x30);
    let symbols =
        of(0x40).map(|(at, target)| (DATA + at as u64, ReferenceKind::Absolute64, target));
    assert_eq!(found(&image)[2..], symbols);
}

#[test]
fn the_halves_of_an_address_belong_together() {
    let code = halves(&[
        0xd000_0000, // 00: adrp x0, DATA
        0x9102_4001, // 04: add x1, x0, #0x90
        0xf940_0822, // 08: ldr x2, [x1, #16], which is no page's
        0xd000_0013, // 0c: adrp x19, DATA
        0xd000_0003, // 10: adrp x3, DATA
        0x97ff_fffb, // 14: bl CODE
        0xf940_0863, // 18: ldr x3, [x3, #16]: the function has written it
        0xb900_1e60, // 1c: str w0, [x19, #28]
        0x3940_8260, // 20: ldrb w0, [x19, #32]
        0xd65f_03c0, // 24: ret
        0x3940_8260, // 28: ldrb w0, [x19, #32]: of another function
    ]);
    let image = Image::new(AARCH64, RELOCATED).load(EXECUTE, CODE, &code);
    let image = image.load(READ, DATA, &[0; 0x100]);
    let offset = ReferenceKind::PageOffset12 { page: DATA };
    let expected = [
        (0x00, ReferenceKind::Page21, DATA + 0x90),
        (0x04, offset, DATA + 0x90),
        (0x0c, ReferenceKind::Page21, DATA + 28),
        (0x10, ReferenceKind::Page21, DATA),
        (0x14, ReferenceKind::Branch26, CODE),
        (0x1c, offset, DATA + 28),
        (0x20, offset, DATA + 32),
    ];
    assert_eq!(found(&image), expected.map(|(at, kind, target)| (CODE + at, kind, target)));
}

#[test]
fn branches_of_aarch64_are_found() {
    let code = halves(&[
        0x5400_0061, // b.ne +12
        0xb400_0040, // cbz x0, +8
        0x3718_0020, // tbnz w0, #3, +4
        0x1000_ffe1, // adr x1, DATA + 8
        0x1800_ffc1, // ldr w1, DATA + 8
        0x17ff_fffb, // b CODE
        0x1400_0400, // b where nothing is
    ]);
    let image = Image::new(AARCH64, RELOCATED).load(EXECUTE, CODE, &code);
    let image = image.load(READ, DATA, &[0; 0x100]);
    let expected = [
        (0x00, ReferenceKind::Branch19, CODE + 12),
        (0x04, ReferenceKind::Branch19, CODE + 12),
        (0x08, ReferenceKind::Branch14, CODE + 12),
        (0x0c, ReferenceKind::Address21, DATA + 8),
        (0x10, ReferenceKind::Branch19, DATA + 8),
        (0x14, ReferenceKind::Branch26, CODE),
    ];
    assert_eq!(found(&image), expected.map(|(at, kind, target)| (CODE + at, kind, target)));
}
