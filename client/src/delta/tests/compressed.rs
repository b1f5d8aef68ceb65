//! Payloads with files that are compressed.

use super::*;
use crate::delta::deflate::{Deflater, Setting};

const USUAL: u8 = 6;
/// Level 9 of zlib with more memory, of `zip` and of `gzip`.
const ROOMY: u8 = 0x19;
const BY_ZIP: u8 = 0x29;
const BY_GZIP: u8 = 0x39;
/// As a level: the content is in blocks that are stored, which zlib does not make of such.
const FOREIGN: u8 = 0;

fn deflated(level: u8, content: &[u8]) -> Vec<u8> {
    if level == FOREIGN {
        let length = u16::try_from(content.len()).unwrap();
        return [&[1][..], &length.to_le_bytes(), &(!length).to_le_bytes(), content].concat();
    }
    let mut deflater = Deflater::new(Setting::from_byte(level).unwrap());
    deflater.push(content);
    deflater.finish();
    deflater.take()
}

fn gzip(level: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_le_bytes();
    let header = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3];
    [&header[..], &deflated(level, content), &noise(9, 4), &length].concat()
}

/// What an entry of an archive holds, and the level that it is compressed with; `None` where it is not.
type Entry = (String, Option<u8>, Vec<u8>);

fn zip(entries: &[Entry]) -> Vec<u8> {
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    let bytes = |number: usize| u32::try_from(number).unwrap().to_le_bytes();
    let short = |number: usize| u16::try_from(number).unwrap().to_le_bytes();
    for (name, level, content) in entries {
        let packed = level.map_or_else(|| content.clone(), |it| deflated(it, content));
        let method = if level.is_some() { 8 } else { 0 };
        let fields = [
            &[20, 0, 0, 0, method, 0, 0, 0, 0, 0][..],
            &Digest::of(content).as_bytes()[..4],
            &bytes(packed.len()),
            &bytes(content.len()),
            &short(name.len()),
            &[0, 0],
        ]
        .concat();
        let offset = archive.len();
        archive.extend([&b"PK\x03\x04"[..], &fields, name.as_bytes(), &packed].concat());
        let entry = [&b"PK\x01\x02\x14\0"[..], &fields, &[0; 10], &bytes(offset), name.as_bytes()];
        directory.extend(entry.concat());
    }
    let end = [
        &b"PK\x05\x06\0\0\0\0"[..],
        &short(entries.len()),
        &short(entries.len()),
        &bytes(directory.len()),
        &bytes(archive.len()),
        &[0, 0],
    ]
    .concat();
    [archive, directory, end].concat()
}

fn tar(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        archive.append_data(&mut header, path, content.as_slice()).unwrap();
    }
    archive.into_inner().unwrap()
}

/// Words that compress, no two texts alike.
fn text(seed: u64, words: usize) -> Vec<u8> {
    noise(seed, words).into_iter().flat_map(|it| format!("word{} ", it % 97).into_bytes()).collect()
}

/// A jar with classes, of which the one with the number `changed` is another, and a file that is stored.
fn jar(level: u8, changed: usize) -> Vec<u8> {
    let class = |number: usize| {
        let mut content = text(number as u64, 700);
        if number == changed {
            content.splice(100..110, *b"something else");
        }
        (format!("org/example/Class{number}.class"), Some(level), content)
    };
    let stored = ("META-INF/MANIFEST.MF".to_owned(), None, text(1000, 20));
    zip(&[(0..20).map(class).collect(), vec![stored]].concat())
}

fn closed() -> Limits {
    Limits { opened_bytes_max: 0, ..Limits::default() }
}

fn has_opened(delta: &[u8]) -> bool {
    let delta = &delta;
    Header::read(delta).unwrap().streams.iter().any(|it| it.id == StreamId::Deflated)
}

#[test]
fn a_change_in_a_jar_costs_what_it_would_cost_outside() {
    for level in [1, 4, USUAL, ROOMY, BY_ZIP, BY_GZIP] {
        let (old, new) = (jar(level, 100), jar(level, 7));
        let opened = round_trip(&old, &new);
        let made = make(&old, &new, Profile::Fast, &closed(), &mut on).unwrap();
        assert!(!has_opened(&made) && made.len() > 2 * opened, "{} {opened}", made.len());
    }
}

#[test]
fn what_is_compressed_is_opened_wherever_it_is() {
    let program = |gap: usize| (format!("lib{gap}.so"), Some(9), program(gap, 500));
    let tree = |change: usize| {
        let inner = jar(USUAL, change);
        let outer = zip(&[("BOOT-INF/lib/x.jar".to_owned(), None, inner), program(change)]);
        let twice = [gzip(1, &text(1, 900)), gzip(ROOMY, &text(change as u64, 3000))].concat();
        tar(&[
            ("app/readme", text(3, 50)),
            ("app/app.jar", outer),
            ("app/log.gz", twice),
            ("app/icon", noise(4, 3000)),
        ])
    };
    let (old, new) = (tree(16), tree(48));
    for profile in PROFILES {
        let made = delta(&old, &new, profile);
        assert!(has_opened(&made));
        assert!(applied(&old, &made, &new).unwrap() == new);
    }
    // The program in the archive is understood as it is outside: all that moves is predicted.
    let archive = |gap: usize| zip(&[program(gap)]);
    assert!(round_trip(&archive(16), &archive(48)) < 700);
}

/// What is packed well, but has few matches for its length: `zip` and `gzip` end a block in it, and zlib does not.
fn uneven(seed: u64) -> Vec<u8> {
    [noise(1, 4000).repeat(3), noise(2, 4000), text(seed, 10)].concat()
}

#[test]
fn what_gzip_and_zip_compress_is_opened() {
    for setting in [BY_ZIP, BY_GZIP] {
        let packed = |seed: u64| gzip(setting, &uneven(seed));
        assert!(round_trip(&packed(3), &packed(4)) < 300);
    }
}

#[test]
fn what_others_compress_stays_closed() {
    let (old, new) = (jar(FOREIGN, 100), jar(FOREIGN, 7));
    let made = delta(&old, &new, Profile::Fast);
    assert!(!has_opened(&made));
    // Beside what can be opened, and made from it.
    let mixed = |change: usize| tar(&[("a", jar(FOREIGN, change)), ("b", jar(USUAL, change))]);
    round_trip(&mixed(100), &mixed(7));
    round_trip(&jar(USUAL, 100), &jar(FOREIGN, 7));
    round_trip(&jar(FOREIGN, 100), &jar(USUAL, 7));
}

#[test]
fn what_is_in_both_stays_closed() {
    let jar = jar(USUAL, 100);
    assert!(!has_opened(&delta(&jar, &tar(&[("moved.jar", jar.clone())]), Profile::Fast)));
}

#[test]
fn limits_of_what_is_opened_hold() {
    let (old, new) = (jar(USUAL, 100), tar(&[("a", jar(4, 7)), ("b", jar(USUAL, 8))]));
    let made = delta(&old, &new, Profile::Fast);
    for limits in [
        closed(),
        Limits { opened_max: 3, ..Limits::default() },
        Limits { opened_bytes_max: 20_000, ..Limits::default() },
    ] {
        let result = |made: &[u8]| {
            apply(&old, &made, &identity(&new), &limits, Vec::new(), &mut on)
                .map_err(|it| it.kind())
        };
        assert_eq!(result(&made).map(drop), Err(ErrorKind::TooLarge), "{limits:?}");
        // Whoever makes a delta keeps to the limits of whoever applies it.
        let narrow = make(&old, &new, Profile::Fast, &limits, &mut on).unwrap();
        assert!(result(&narrow).unwrap() == new);
    }
}

/// A delta that opens something, and the payloads that it is for.
fn rich() -> [Vec<u8>; 3] {
    let (old, new) = (gzip(USUAL, &text(1, 400)), gzip(USUAL, &text(2, 300)));
    let made = delta(&old, &new, Profile::Fast);
    assert!(has_opened(&made));
    [old, new, made]
}

#[test]
fn a_damaged_delta_with_something_opened_makes_nothing_else() {
    let [old, new, made] = rich();
    for place in 0..made.len() {
        let mut damaged = made.clone();
        damaged[place] ^= 1 << (place % 8);
        if let Ok(made) = applied(&old, &damaged, &new) {
            assert!(made == new, "byte {place}");
        }
        assert!(applied(&old, &made[..place], &new).is_err(), "cut at {place}");
    }
}

/// The same delta that says of what is opened what `opened` says.
fn saying(made: &[u8], opened: &[u8]) -> Vec<u8> {
    let mut header = Header::read(&made).unwrap();
    let before = header.stream(StreamId::Deflated).unwrap().1;
    let streams = usize::try_from(header.length).unwrap()..usize::try_from(before).unwrap();
    let entry = header.streams.last_mut().unwrap();
    let length = opened.len() as u64;
    *entry = StreamEntry { coding: Coding::Stored, length, packed_length: length, ..*entry };
    [header.to_bytes(), made[streams].to_vec(), opened.to_vec()].concat()
}

#[test]
fn what_is_said_of_streams_is_not_trusted() {
    let [old, new, made] = rich();
    let said = |old: &[[usize; 3]], new: &[(u8, [usize; 3])]| {
        let mut bytes = Vec::new();
        number::put(&mut bytes, old.len() as u64);
        let put = |bytes: &mut Vec<u8>, fields: [usize; 3]| {
            for field in fields {
                number::put(bytes, field as u64);
            }
        };
        for fields in old {
            put(&mut bytes, *fields);
        }
        for (setting, fields) in new {
            bytes.push(*setting);
            put(&mut bytes, *fields);
        }
        bytes
    };
    let fields = |payload: &[u8], text: &[u8]| [10, payload.len() - 18, text.len()];
    let (is_old, is_new) = (fields(&old, &text(1, 400)), fields(&new, &text(2, 300)));
    let result = |bytes: &[u8]| applied(&old, &saying(&made, bytes), &new);
    assert!(result(&said(&[is_old], &[(USUAL, is_new)])).unwrap() == new);
    let [gap, packed, opened] = is_old;
    let huge = usize::MAX;
    let refused = [
        said(&[], &[(USUAL, is_new)]),
        said(&[is_old], &[]),
        said(&[is_old], &[(0, is_new)]),
        said(&[is_old], &[(10, is_new)]),
        said(&[is_old], &[(0x20 | USUAL, is_new)]),
        said(&[is_old], &[(0x40 | USUAL, is_new)]),
        said(&[], &[]),
        said(&[is_old], &[(1, is_new)]),
        said(&[is_old], &[(USUAL, [10, new.len() - 9, is_new[2]])]),
        said(&[is_old], &[(USUAL, [10, is_new[1], is_new[2] - 1])]),
        said(&[is_old], &[(USUAL, [10, is_new[1] - 1, is_new[2]])]),
        said(&[is_old], &[(USUAL, [10, 0, is_new[2]])]),
        said(&[is_old], &[(USUAL, [huge, huge, huge])]),
        said(&[[gap, packed, opened + 1]], &[(USUAL, is_new)]),
        said(&[[gap, packed, opened - 1]], &[(USUAL, is_new)]),
        said(&[[gap, packed + 1, opened]], &[(USUAL, is_new)]),
        said(&[[gap, packed - 1, opened]], &[(USUAL, is_new)]),
        said(&[[gap + 1, packed, opened]], &[(USUAL, is_new)]),
        said(&[[gap, packed, 0]], &[(USUAL, is_new)]),
        said(&[[gap, old.len(), opened]], &[(USUAL, is_new)]),
        said(&[[huge, 1, 1]], &[(USUAL, is_new)]),
        said(&[[1, huge, huge]], &[(USUAL, is_new)]),
        vec![0xff; 3],
    ];
    for (number, bytes) in refused.iter().enumerate() {
        let error = result(bytes).unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::Malformed | ErrorKind::TooLarge),
            "{number}: {error:?}"
        );
    }
}

#[test]
fn the_version_says_what_is_opened() {
    const VERSION: usize = 10;
    let [old, new, made] = rich();
    let plain = make(&old, &new, Profile::Fast, &closed(), &mut on).unwrap();
    let new_by_gzip = gzip(BY_GZIP, &uneven(3));
    let made_by_gzip = delta(&old, &new_by_gzip, Profile::Fast);
    let deltas = [(plain, &new), (made, &new), (made_by_gzip, &new_by_gzip)];
    for (right, (delta, new)) in (1..).zip(deltas) {
        assert_eq!(delta[VERSION], right);
        for version in (0..5).filter(|it| *it != right) {
            let mut delta = delta.clone();
            delta[VERSION] = version;
            let error = applied(&old, &delta, new).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Malformed, "{version} for {right}");
        }
    }
}
