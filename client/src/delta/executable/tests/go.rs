use super::{
    super::*,
    CODE, DATA, found,
    image::{EXECUTE, FIXED, Image, READ, X86_64, halves, words},
};

const HEADER: u64 = DATA;
const NAMES: u64 = DATA + 0x50;
const VALUES: u64 = DATA + 0x60;
const FUNCTIONS: u64 = DATA + 0x70;
const FUNCTION_DATA: u64 = DATA + 0x100;
const MODULE: u64 = DATA + 0x180;

#[test]
fn the_tables_of_go_are_read() {
    let mut data = [&[0xf1, 0xff, 0xff, 0xff, 0, 0, 1, 8][..], &words(&[2, 0, 0])].concat();
    data.extend(words(&[0x50, 0, 0, 0x60, 0x70]));
    data.resize(0x70, 0);
    // The table: function and record twice, and the end. Records at 0x18 and 0x58.
    data.extend(halves(&[0, 0x18, 2, 0x58, 4, 0]));
    // Name, depth of stack, file, line, one more kind of values, and three of data.
    data.extend(halves(&[0, 3, 0, 0, 1, 0, 2, 1, 9, 5]));
    data.extend([0, 0, 0, 4]);
    data.extend(halves(&[4, u32::MAX, u32::MAX, 0, 0x18]));
    data.extend(halves(&[2, 7, 0, 0, 0, 0, 0, 0, 9, 5, 0]));
    data.resize(0x100, 0);
    // One object on the stack. One call that was inlined.
    data.extend([&words(&[1])[..], &halves(&[8, 8, 8, 6])].concat());
    data.extend(halves(&[0, 5, 0, 0]));
    data.resize(0x180, 0);
    let mut module = [0; 41];
    (module[0], module[1], module[22]) = (HEADER, NAMES, CODE);
    (module[39], module[40]) = (DATA, FUNCTION_DATA);
    data.extend(words(&module));
    let image = Image::new(X86_64, FIXED).load(EXECUTE, CODE, b"\x90\x90\x90\xc3");
    let image = image.load(READ, DATA, &data);

    let distances = [
        (0x70, CODE, CODE),
        (0x74, FUNCTIONS, FUNCTIONS + 0x18),
        (0x78, CODE, CODE + 2),
        (0x7c, FUNCTIONS, FUNCTIONS + 0x58),
        (0x88, CODE, CODE),
        (0x8c, NAMES, NAMES + 3),
        (0x98, VALUES, VALUES + 1),
        (0xa0, VALUES, VALUES + 2),
        (0xb4, VALUES, VALUES + 4),
        (0xc0, FUNCTION_DATA, FUNCTION_DATA),
        (0xc4, FUNCTION_DATA, FUNCTION_DATA + 0x18),
        (0xc8, CODE, CODE + 2),
        (0xcc, NAMES, NAMES + 7),
        (0x114, DATA, DATA + 6),
    ];
    let distance = |(at, base, target)| (DATA + at, ReferenceKind::BaseRelative32 { base }, target);
    let mut expected = distances.map(distance).to_vec();
    // Which files a function was compiled from.
    let packages = ReferenceKind::BaseWords32 { base: HEADER };
    expected.extend([0xa8, 0xe8].map(|at| (DATA + at, packages, HEADER + 4 * 9)));
    expected.sort_by_key(|(at, ..)| *at);
    let found: Vec<_> = found(&image).into_iter().filter(|(at, ..)| *at < MODULE).collect();
    assert_eq!(found, expected);
}

#[test]
fn the_types_of_go_are_read() {
    const TYPES: u64 = DATA + 0x200;
    /// Where its first type is.
    const STRUCTURE: u64 = TYPES + 0x10;
    const INTERFACE: u64 = STRUCTURE + 0x80;

    let mut data = [&[0xf1, 0xff, 0xff, 0xff, 0, 0, 1, 8][..], &words(&[0; 8])].concat();
    data.extend(words(&[HEADER, HEADER]));
    let mut module = [0; 43];
    (module[20], module[35], module[36]) = (CODE, TYPES, TYPES + 0x130);
    (module[37], module[38]) = (DATA, FUNCTION_DATA);
    // Newer versions have this word more.
    module[42] = 7;
    data.extend(words(&module));
    data.extend(words(&[TYPES + 0x120, 2, 2]));
    data.resize(0x200, 0);
    data.extend(b"\0\x04name\0\x04more\0\0\0\0");
    let described = |kind: u8, flags: u8, name, pointer_to_it| {
        let hash = [0xaa, 0xbb, 0xcc, 0xdd, flags, 8, 8, kind];
        let names = halves(&[name, pointer_to_it]);
        [&words(&[16, 8])[..], &hash, &words(&[0, DATA]), &names].concat()
    };
    // A structure, whose fields are at no place that matters, with a method that is not reached.
    data.extend([described(25, 1, 1, 0x90), words(&[0; 4])].concat());
    data.extend(halves(&[6, 1 | 1 << 16, 0x10, 0, 1, 0x10, u32::MAX, 2]));
    data.extend([0; 0x10]);
    // An interface with one method.
    data.extend([described(20, 0, 6, 0), words(&[0, INTERFACE + 0x50, 1, 1])].concat());
    data.extend(halves(&[1, 0x90, 9, 9]));
    data.resize(0x320, 0);
    data.extend(halves(&[0x10, 0x90, 0, 0, 0, 0]));
    let image = Image::new(X86_64, FIXED).load(EXECUTE, CODE, b"\x90\x90\x90\xc3");
    let distances = [
        (STRUCTURE + 0x28, TYPES, 1),
        (STRUCTURE + 0x2c, TYPES, 0x90),
        (STRUCTURE + 0x50, TYPES, 6),
        (STRUCTURE + 0x60, TYPES, 1),
        (STRUCTURE + 0x64, TYPES, 0x10),
        (STRUCTURE + 0x6c, CODE, 2),
        (INTERFACE + 0x28, TYPES, 6),
        (INTERFACE + 0x50, TYPES, 1),
        (INTERFACE + 0x54, TYPES, 0x90),
        (TYPES + 0x120, TYPES, 0x10),
        (TYPES + 0x124, TYPES, 0x90),
    ];
    let expected = distances
        .map(|(at, base, distance)| (at, ReferenceKind::BaseRelative32 { base }, base + distance));
    let is_distance = |(_, kind, _): &(u64, ReferenceKind, u64)| kind.base().is_some();
    let image = image.load(READ, DATA, &data);
    let found: Vec<_> = found(&image).into_iter().filter(is_distance).collect();
    assert_eq!(found, expected);
}
