//! What holds whatever the bytes are.

use std::collections::BTreeSet;

use proptest::{collection::vec, prelude::*};

use super::{
    super::*,
    CODE, DATA,
    image::{AARCH64, EXECUTE, FIXED, Image, READ, RELOCATED, X86_64, words},
    image_with_frames,
};

/// What is promised of every analysis.
fn check(file: &[u8], executable: &Executable) {
    let mut end = 0;
    for reference in &executable.references {
        let Reference { offset, kind, target } = *reference;
        assert!(offset >= end, "{reference:x?} overlaps the one before it");
        end = reference.end();
        let field = kind.field(file, offset).unwrap();
        let address = executable.segments.address_of(offset).unwrap_or(0);
        assert_eq!(kind.write(target, address, field), Some(field), "{reference:x?}");
        assert!(executable.segments.contain(target), "{reference:x?}");
    }
}

fn images() -> impl Strategy<Value = Vec<u8>> {
    let code = vec(any::<u8>(), 1..300);
    let data = vec(any::<u8>(), 1..300);
    let simple =
        (any::<bool>(), any::<bool>(), code, data).prop_map(|(is_arm, is_fixed, code, data)| {
            let machine = if is_arm { AARCH64 } else { X86_64 };
            let image = Image::new(machine, if is_fixed { FIXED } else { RELOCATED });
            image.load(EXECUTE, CODE, &code).load(READ, DATA, &data).section(2, &data).bytes()
        });
    let frames = vec(any::<u8>(), 1..60).prop_map(|code| image_with_frames(&code, CODE).bytes());
    prop_oneof![simple, frames]
}

proptest! {
    #[test]
    fn references_are_apart_and_hold_what_they_say(
        file in images(), changes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..8)
    ) {
        let mut file = file;
        for (place, byte) in changes {
            let place = place.index(file.len());
            file[place] = byte;
        }
        if let Some(executable) = analyse(&file) {
            check(&file, &executable);
            for end in [file.len() / 2, file.len() - 1] {
                if let Some(executable) = analyse(&file[..end]) {
                    check(&file[..end], &executable);
                }
            }
        }
    }

    #[test]
    fn what_is_known_stays_beside_what_is_guessed(
        known in vec((0..200_usize, any::<bool>()), 0..20),
        guessed in vec((0..200_usize, any::<bool>()), 0..20),
    ) {
        let references = |places: Vec<(usize, bool)>| {
            let reference = |(offset, is_wide)| {
                let kind = if is_wide { ReferenceKind::Absolute64 } else { ReferenceKind::Absolute32 };
                Reference { offset, kind, target: 0 }
            };
            apart(places.into_iter().map(reference).collect())
        };
        let (known, guessed) = (references(known), references(guessed));
        let overlap = |one: &Reference, other: &Reference| {
            one.offset < other.end() && other.offset < one.end()
        };
        let mut expected = known.clone();
        let is_free = |guess: &&Reference| !known.iter().any(|known| overlap(known, guess));
        expected.extend(guessed.iter().filter(is_free));
        expected.sort_by_key(|reference| reference.offset);
        let joined = join(known.clone(), guessed);
        prop_assert!(joined.is_sorted_by(|one, other| one.end() <= other.offset));
        prop_assert_eq!(joined, expected);
    }
}

#[test]
fn only_executables_of_known_machines_are_understood() {
    let image = |machine, kind| Image::new(machine, kind).load(EXECUTE, CODE, b"\xc3").bytes();
    let file = image(X86_64, RELOCATED);
    assert!(analyse(&file).is_some());
    let relocatable_object = 1;
    let arm_of_32_bits = 40;
    assert_eq!(analyse(&image(X86_64, relocatable_object)), None);
    assert_eq!(analyse(&image(arm_of_32_bits, RELOCATED)), None);
    // Bits and byte order.
    for place in [0, 4, 5] {
        let mut other = file.clone();
        other[place] += 1;
        assert_eq!(analyse(&other), None);
    }
    for end in 0..64 + 56 {
        assert_eq!(analyse(&file[..end]), None, "{end} bytes");
    }
    assert_eq!(analyse(&Image::new(X86_64, RELOCATED).bytes()), None, "nothing is loaded");
    let many = |count| {
        (0..count).fold(Image::new(X86_64, RELOCATED), |image, index| {
            image.load(READ, CODE * (index + 1), b"some")
        })
    };
    let overlapping = Image::new(X86_64, RELOCATED).load(READ, CODE, b"some");
    assert_eq!(analyse(&overlapping.load(READ, CODE + 3, b"some").bytes()), None);
    let max = Segments::SEGMENTS_MAX as u64;
    assert!(analyse(&many(max).bytes()).is_some());
    assert_eq!(analyse(&many(max + 1).bytes()), None);
}

#[test]
fn no_file_takes_more_time_than_its_length() {
    const BYTES: usize = 1 << 20;
    // Each of these would take hours, were the rest of the file read at every byte of it.
    let prefixes = vec![0x66; BYTES];
    let image = Image::new(X86_64, FIXED).load(EXECUTE, CODE, &prefixes);
    assert!(analyse(&image.bytes()).unwrap().references.len() < 100);
    // Tables that begin at every word of a table.
    let code: Vec<_> = (0..BYTES / 7)
        .flat_map(|index| {
            let place = (index * 7) as u32;
            let distance = 2 * BYTES as u32 - place - 7 + place % 0x10_0000 / 4 * 4;
            [&b"\x48\x8d\x05"[..], &distance.to_le_bytes()].concat()
        })
        .collect();
    let table = vec![0; BYTES];
    let image = Image::new(X86_64, RELOCATED).load(EXECUTE, CODE, &code);
    let file = image.load(READ, CODE + 2 * BYTES as u64, &table).bytes();
    check(&file, &analyse(&file).unwrap());
    // Relocations of which each says that all of the words behind it are addresses.
    let length = BYTES as u64;
    let mut dynamic = words(&[36, DATA, 35, length, 0, 0]);
    dynamic.resize(64, 0xff);
    let packed = [&words(&[CODE])[..], &vec![0xff; BYTES]].concat();
    let image =
        Image::new(X86_64, RELOCATED).load(EXECUTE, CODE, &dynamic).load(READ, DATA, &packed);
    let file = image.segment(2, CODE..CODE + 64).bytes();
    let executable = analyse(&file).unwrap();
    assert!(executable.references.len() <= file.len() / 8);
}

/// The tests' own program, in which the compiler has told where functions begin.
#[test]
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn the_calls_of_this_program_lead_to_functions() {
    let file = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    let executable = analyse(&file).unwrap();
    check(&file, &executable);
    let elf = elf::Elf::parse(&file).unwrap();
    let mut functions = Frames::read(&elf).functions;
    functions.extend(Symbols::read(&elf, elf.section(elf::SYMBOLS).unwrap()).functions);
    functions.sort_unstable();
    functions.dedup();
    assert!(functions.len() > 1000);
    let calls = executable.references.iter().filter(|reference| {
        reference.kind == ReferenceKind::Branch32 && file[reference.offset - 1] == 0xe8
    });
    let is_to_function = |call: &Reference| {
        let place = elf.segments.offset_of(call.target);
        place.is_some_and(|place| functions.binary_search(&place).is_ok())
    };
    let (mut to_functions, mut elsewhere) = (0, BTreeSet::new());
    for call in calls {
        if is_to_function(call) {
            to_functions += 1;
        } else {
            elsewhere.insert(call.target);
        }
    }
    assert!(to_functions > functions.len());
    // The entries of the table for what is in shared libraries.
    assert!(elsewhere.len() < functions.len() / 50, "{elsewhere:x?}");
}
