use std::{io, ops::ControlFlow};

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::{format::Digest, pack::PayloadIdentity};

mod compressed;

fn on(_: Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn identity(payload: &[u8]) -> PayloadIdentity {
    PayloadIdentity { length: payload.len() as u64, sha256: Digest::of(payload) }
}

const PROFILES: [Profile; 2] = [Profile::Fast, Profile::Compact];

fn delta(old: &[u8], new: &[u8], profile: Profile) -> Vec<u8> {
    make(old, new, profile, &Limits::default(), &mut on).unwrap()
}

fn applied(old: &[u8], delta: &[u8], new: &[u8]) -> Result<Vec<u8>, Error> {
    apply(&old, &delta, &identity(new), &Limits::default(), Vec::new(), &mut on)
}

/// Makes a fast delta, applies it and says how long it is.
fn round_trip(old: &[u8], new: &[u8]) -> usize {
    round_trip_of(old, new, Profile::Fast)
}

fn round_trip_of(old: &[u8], new: &[u8], profile: Profile) -> usize {
    let delta = delta(old, new, profile);
    assert!(applied(old, &delta, new).unwrap() == new);
    delta.len()
}

/// Bytes in which nothing repeats.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2) + 1;
    let mut next = || {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        state.to_be_bytes()[0]
    };
    (0..length).map(|_| next()).collect()
}

#[test]
fn the_same_payload_costs_next_to_nothing() {
    for profile in PROFILES {
        assert!(round_trip_of(&noise(1, 300_000), &noise(1, 300_000), profile) < 180);
    }
}

#[test]
fn empty_payloads_are_payloads() {
    for profile in PROFILES {
        round_trip_of(b"", b"", profile);
        round_trip_of(b"", &noise(1, 1000), profile);
        assert!(round_trip_of(&noise(1, 1000), b"", profile) < 120);
    }
}

#[test]
fn what_has_moved_is_found() {
    let (first, second) = (noise(1, 50_000), noise(2, 70_000));
    let swapped = [second.as_slice(), b"between", &first].concat();
    assert!(round_trip(&[first.as_slice(), &second].concat(), &swapped) < 200);
}

#[test]
fn what_is_new_is_stored_once() {
    let (old, new) = (noise(1, 50_000), noise(2, 40_000));
    let length = round_trip(&old, &new);
    assert!((40_000..40_200).contains(&length), "{length}");
    let length = round_trip_of(&old, &new, Profile::Compact);
    assert!((40_000..41_000).contains(&length), "{length}");
}

#[test]
fn endless_repetition_takes_no_time() {
    let zeros = vec![0; 500_000];
    assert!(round_trip(&zeros, &zeros[1..]) < 150);
    let pattern: Vec<u8> = noise(1, 1000).iter().copied().cycle().take(300_000).collect();
    assert!(round_trip(&zeros, &pattern) < 2500);
    assert!(round_trip(&pattern, &pattern[500..]) < 200);
}

#[test]
fn a_copy_that_differs_here_and_there_is_a_copy() {
    let old = noise(1, 200_000);
    let mut new = old.clone();
    for byte in new.iter_mut().step_by(100) {
        *byte = byte.wrapping_add(1);
    }
    assert!(round_trip(&old, &new) < 1500);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_is_made_is_what_was_meant(
        seed: u64,
        pieces in vec((0..40_000_usize, 0..3000_usize, 0..4_u8), 0..12),
        change in vec((0..60_000_usize, any::<u8>()), 0..20),
    ) {
        let old = noise(seed, 40_000);
        let mut new = Vec::new();
        for (from, length, kind) in pieces {
            let piece = &old[from..(from + length).min(old.len())];
            match kind {
                0 | 1 => new.extend_from_slice(piece),
                2 => new.extend(noise(seed ^ length as u64, length)),
                _ => new.extend(vec![7; length]),
            }
        }
        for (place, byte) in change {
            if let Some(changed) = new.get_mut(place) {
                *changed = byte;
            }
        }
        for profile in PROFILES {
            round_trip_of(&old, &new, profile);
        }
    }

    #[test]
    fn short_payloads_of_few_letters_are_payloads(
        old in vec(0..3_u8, 0..300), new in vec(0..3_u8, 0..300)
    ) {
        round_trip(&old, &new);
    }
}

/// An ELF file of one segment whose code is functions, no two alike, that call each other, and in the
/// middle `gap` bytes that do nothing.
fn program(gap: usize, functions: usize) -> Vec<u8> {
    const ADDRESS: u64 = 0x40_0000;
    const HEADERS: usize = 64 + 56;
    let length = |number: usize| 40 + number * 7 % 90;
    let starts: Vec<usize> = (0..functions)
        .scan(HEADERS, |next, number| {
            let start = *next + if number == functions / 2 { gap } else { 0 };
            *next = start + length(number);
            Some(start)
        })
        .collect();
    let mut code = Vec::new();
    for (number, start) in starts.iter().enumerate() {
        code.resize(start - HEADERS, 0x90);
        // push imm8 over and over, so that no two functions are alike.
        let body = noise(number as u64, (length(number) - 6) / 2);
        code.extend(body.into_iter().flat_map(|it| [0x6a, it]));
        code.resize(start + length(number) - HEADERS - 6, 0x90);
        let target = starts[number * 31 % functions];
        let place = |it: usize| i32::try_from(it).unwrap();
        let distance = place(target) - place(start + length(number) - 1);
        code.push(0xe8);
        code.extend(distance.to_le_bytes());
        code.push(0xc3);
    }
    let total = (HEADERS + code.len()) as u64;
    let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    file.extend([2, 0, 62, 0, 1, 0, 0, 0]);
    file.extend([ADDRESS + HEADERS as u64, 64, 0].map(u64::to_le_bytes).concat());
    file.extend([0, 0, 0, 0, 64, 0, 56, 0, 1, 0, 64, 0, 0, 0, 0, 0]);
    file.extend([1, 0, 0, 0, 5, 0, 0, 0]);
    file.extend([0, ADDRESS, ADDRESS, total, total, 0x1000].map(u64::to_le_bytes).concat());
    file.extend(code);
    file
}

#[test]
fn calls_that_follow_what_has_moved_cost_nothing() {
    let (old, new) = (program(16, 4000), program(48, 4000));
    let understood = round_trip(&old, &new);
    assert!(understood < 400, "{understood}");
    let hidden = |file: &[u8]| [b"no ELF file: ", file].concat();
    let plain = round_trip(&hidden(&old), &hidden(&new));
    assert!(plain > 4 * understood, "{plain}");
}

#[test]
fn an_executable_in_an_archive_is_found_where_it_was_and_where_it_has_moved() {
    let archive = |path: &str, content: &[u8]| {
        let mut archive = tar::Builder::new(Vec::new());
        for (path, content) in [("a/readme", b"text".as_slice()), (path, content)] {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            archive.append_data(&mut header, path, content).unwrap();
        }
        archive.into_inner().unwrap()
    };
    let old = archive("lib/libx-1.0.so", &program(16, 3000));
    let new = archive("lib64/libx-1.1.so", &program(64, 3000));
    let length = round_trip(&old, &new);
    assert!(length < 600, "{length}");
}

/// A delta with something in each of its streams.
fn rich() -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    rich_of(Profile::Fast)
}

fn rich_of(profile: Profile) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let old = program(16, 300);
    let mut new = program(32, 300);
    new[3000] ^= 1;
    for byte in &mut new[9000..9008] {
        *byte ^= 0x55;
    }
    new.splice(5000..5000, noise(9, 300));
    let delta = delta(&old, &new, profile);
    (old, new, delta)
}

#[test]
fn a_damaged_delta_makes_nothing_else() {
    let (old, new, delta) = rich();
    let ids: Vec<_> = Header::read(&delta).unwrap().streams.iter().map(|it| it.id).collect();
    assert!(
        ids.contains(&StreamId::Segments) && ids.contains(&StreamId::DifferenceBytes),
        "{ids:?}"
    );
    for place in 0..delta.len() {
        let mut damaged = delta.clone();
        damaged[place] ^= 1 << (place % 8);
        if let Ok(made) = applied(&old, &damaged, &new) {
            assert!(made == new, "byte {place}");
        }
        assert!(applied(&old, &delta[..place], &new).is_err(), "cut at {place}");
    }
    assert!(applied(&old, &[delta.as_slice(), b"x"].concat(), &new).is_err());
}

#[test]
fn a_damaged_compact_delta_makes_nothing_else() {
    let (old, new, delta) = rich_of(Profile::Compact);
    let streams = Header::read(&delta).unwrap().streams;
    let changes = streams.last().unwrap();
    assert_eq!((changes.id, changes.coding), (StreamId::Changes, Coding::Mixed));
    for place in (0..delta.len()).step_by(23) {
        let mut damaged = delta.clone();
        damaged[place] ^= 1 << (place % 8);
        if let Ok(made) = applied(&old, &damaged, &new) {
            assert!(made == new, "byte {place}");
        }
        assert!(applied(&old, &delta[..place], &new).is_err(), "cut at {place}");
    }
}

#[test]
fn a_stream_of_another_profile_is_refused() {
    let (old, new, fast) = rich();
    let (.., compact) = rich_of(Profile::Compact);
    for mut delta in [fast, compact] {
        // The byte after the magic and the version.
        delta[11] ^= 1;
        let refused = applied(&old, &delta, &new).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Malformed);
    }
}

/// Whatever changes this digest changes the format: deltas that were made before cannot be applied any more.
#[test]
fn compact_deltas_stay_what_they_are() {
    let old = program(16, 300);
    let mut new = program(32, 300);
    new.splice(5000..5000, noise(9, 300));
    for byte in new.iter_mut().skip(9000).step_by(50).take(100) {
        *byte = byte.wrapping_add(3);
    }
    let words = |from: u32| (from..from + 300).flat_map(|it| format!("{it:b} ").into_bytes());
    new.extend(words(1000));
    let old = [old, words(1010).collect()].concat();
    let made = delta(&old, &new, Profile::Compact);
    let (entry, offset) = Header::read(&made).unwrap().stream(StreamId::Changes).unwrap();
    let changes = &made[usize::try_from(offset).unwrap()..];
    assert_eq!(changes.len() as u64, entry.packed_length);
    assert_eq!(
        Digest::of(changes).to_string(),
        "9ffa1fbd81d0b3fe8e05955ddfb68505b28ed197c7ecf81feb8548059885ef92"
    );
}

#[test]
fn what_is_new_in_the_old_words_is_small_when_mixed() {
    let text = |from: u32, count: u32| -> Vec<u8> {
        (from..from + count)
            .flat_map(|it| format!("line {it} of {}\n", it * it).into_bytes())
            .collect()
    };
    let (old, new) = (text(0, 2000), text(7000, 500));
    let [fast, compact] = PROFILES.map(|profile| delta(&old, &new, profile).len());
    assert!(compact * 20 < fast * 19, "{compact} {fast}");
}

#[test]
fn nothing_is_written_for_what_was_not_meant() {
    struct Nothing;
    impl io::Write for Nothing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            panic!("it was written to")
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let (old, new, delta) = rich();
    let refused = |old: &[u8], new: &[u8]| {
        let limits = Limits::default();
        let result = apply(&old, &delta, &identity(new), &limits, Nothing, &mut on);
        result.map(drop).unwrap_err()
    };
    let mut other = old.clone();
    other[100] ^= 1;
    assert_eq!(refused(&other, &new).kind(), ErrorKind::Mismatch);
    assert_eq!(refused(&old[1..], &new).kind(), ErrorKind::Mismatch);
    assert_eq!(refused(&old, &new[1..]).kind(), ErrorKind::Mismatch);
}

#[test]
fn whoever_has_had_enough_is_heard() {
    let (old, new, delta) = rich();
    let limits = Limits::default();
    let steps = |stop: usize| {
        let mut told = 0;
        let mut watch = move |_| {
            told += 1;
            if told > stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let made = make(&old, &new, Profile::Fast, &limits, &mut watch).map(drop);
        let mut told = 0;
        let mut watch = move |_| {
            told += 1;
            if told > stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let applied = apply(&old, &delta, &identity(&new), &limits, Vec::new(), &mut watch);
        (made.map_err(|it| it.kind()), applied.map(drop).map_err(|it| it.kind()))
    };
    assert_eq!(steps(0), (Err(ErrorKind::Cancelled), Err(ErrorKind::Cancelled)));
    assert_eq!(steps(1), (Err(ErrorKind::Cancelled), Err(ErrorKind::Cancelled)));
    assert_eq!(steps(10_000), (Ok(()), Ok(())));
}

#[test]
fn limits_hold() {
    let (old, new, delta) = rich();
    let kind = |limits: Limits| {
        let result = apply(&old, &delta, &identity(&new), &limits, Vec::new(), &mut on);
        result.map_err(|it| it.kind()).map(drop)
    };
    let usual = Limits::default;
    assert_eq!(kind(usual()), Ok(()));
    let narrow = [
        Limits { payload_bytes_max: 1000, ..usual() },
        Limits { copies_max: 1, ..usual() },
        Limits { executable_bytes_max: 1000, ..usual() },
    ];
    for limits in narrow {
        assert_eq!(kind(limits.clone()), Err(ErrorKind::TooLarge), "{limits:?}");
    }
    // Whoever makes a delta keeps to the limits of whoever applies it.
    for limits in
        [Limits { copies_max: 1, ..usual() }, Limits { executable_bytes_max: 1000, ..usual() }]
    {
        let delta = make(&old, &new, Profile::Fast, &limits, &mut on).unwrap();
        let made = apply(&old, &delta, &identity(&new), &limits, Vec::new(), &mut on).unwrap();
        assert!(made == new);
    }
    let limits = Limits { payload_bytes_max: 1000, ..usual() };
    let refused = make(&old, &new, Profile::Fast, &limits, &mut on).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::TooLarge);
}
