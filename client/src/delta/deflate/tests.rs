use proptest::{collection::vec, prelude::*};

use super::*;
use crate::format::Digest;

/// What the programs make of the same contents with which settings: `tests/interop/deflate.py` writes it.
const TABLES: [(&str, &[u8]); 3] = [
    (
        include_str!("../../../../fixtures/deflate/zlib"),
        &[1, 2, 3, 4, 5, 6, 7, 8, 9, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19],
    ),
    (include_str!("../../../../fixtures/deflate/zip"), &[0x21, 0x23, 0x26, 0x29]),
    (include_str!("../../../../fixtures/deflate/gzip"), &[0x31, 0x33, 0x36, 0x39]),
];
/// In a table: the program stores the content.
const STORED: &str = "-";

fn deflated(setting: Setting, bytes: &[u8], chunk_bytes: usize) -> Vec<u8> {
    let mut deflater = Deflater::new(setting);
    bytes.chunks(chunk_bytes).for_each(|it| deflater.push(it));
    deflater.finish();
    deflater.take()
}

fn inflated(packed: &[u8], length_max: usize) -> std::io::Result<(Vec<u8>, u64)> {
    let mut bytes = b"before".to_vec();
    let used = inflate(packed, length_max, &mut bytes)?;
    Ok((bytes.split_off(6), used))
}

struct Noise(u64);

impl Noise {
    fn byte(&mut self) -> u8 {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        self.0.to_be_bytes()[0]
    }
}

/// The contents that the tables are about.
fn content(kind: &str, length: usize) -> Vec<u8> {
    let mut source = Noise(1);
    let mut made = Vec::new();
    while made.len() < length {
        match kind {
            "zeros" => made.push(0),
            "noise" => made.push(source.byte()),
            "letters" => made.push(b'a' + source.byte() % 4),
            "words" => made.extend(format!("word{} ", u32::from(source.byte()).pow(2)).bytes()),
            "numbers" => made.extend([source.byte() % 8, 0, 0, 0, 0]),
            "copies" if made.is_empty() || source.byte().is_multiple_of(4) => {
                for _ in 0..=source.byte() % 64 {
                    made.push(source.byte());
                }
            }
            "copies" => {
                let far = usize::from(u16::from_be_bytes([source.byte(), source.byte()]));
                let distance = 1 + far % made.len().min(40_000);
                for _ in 0..3 + u32::from(source.byte()) {
                    made.push(made[made.len() - distance]);
                }
            }
            _ => unreachable!("{kind}"),
        }
    }
    made.truncate(length);
    made
}

#[test]
fn what_is_deflated_is_what_the_programs_make() {
    for (table, settings) in TABLES {
        for line in table.lines() {
            let mut words = line.split(' ');
            let (kind, length) = (words.next().unwrap(), words.next().unwrap().parse().unwrap());
            let content = content(kind, length);
            let settings = settings.iter().map(|it| Setting::from_byte(*it).unwrap());
            for (setting, digest) in settings.zip(words).filter(|(_, digest)| *digest != STORED) {
                let packed = deflated(setting, &content, 10_000);
                let found = Digest::of(&packed).to_string();
                assert_eq!(&found[..8], digest, "{kind} {length} {setting:?}");
                let (back, used) = inflated(&packed, length).unwrap();
                let is_all = used == packed.len() as u64;
                assert!(back == content && is_all, "{kind} {length} {setting:?}");
            }
        }
    }
}

#[test]
fn the_first_block_tells_who_may_have_made_it() {
    for kind in ["zeros", "letters", "words", "numbers", "copies"] {
        let content = content(kind, 70_000);
        for setting in [0x03, 0x16, 0x26, 0x39].map(|it| Setting::from_byte(it).unwrap()) {
            let packed = deflated(setting, &content, content.len());
            let first = FirstBlock::of(&packed).unwrap();
            assert!(first.may_be_of(setting, &content), "{kind} {setting:?}");
        }
    }
    let content = content("words", 200_000);
    let likely = |packed: &[u8]| -> Vec<u8> {
        let first = FirstBlock::of(packed).unwrap();
        let settings = Setting::all().filter(|it| first.may_be_of(*it, &content));
        settings.map(Setting::as_byte).collect()
    };
    let made_by =
        |setting: u8| deflated(Setting::from_byte(setting).unwrap(), &content, content.len());
    assert_eq!(likely(&made_by(0x06)), [6]);
    assert_eq!(likely(&made_by(0x36)), [0x16, 0x26, 0x36]);
    // One literal, and the end of a block that is not the last, as none of them ends it.
    assert_eq!(likely(&[0x4a, 0x04, 0x00]), [0; 0]);
    assert!(FirstBlock::of(&[1, 0, 0, 0xff, 0xff]).is_none());
}

#[test]
fn how_it_comes_in_does_not_matter() {
    for kind in ["zeros", "words", "copies"] {
        let content = content(kind, 150_000);
        for setting in [1, 6, 0x29, 0x39].map(|it| Setting::from_byte(it).unwrap()) {
            let at_once = deflated(setting, &content, content.len());
            assert!(deflated(setting, &content, 777) == at_once, "{kind} {setting:?}");
        }
    }
}

#[test]
fn settings_have_bytes() {
    let all: Vec<Setting> = Setting::all().collect();
    assert_eq!(all.len(), 36);
    for byte in 0..=u8::MAX {
        let setting = Setting::from_byte(byte);
        assert_eq!(setting.map(Setting::as_byte), setting.map(|_| byte));
        assert_eq!(setting.is_some(), all.iter().any(|it| it.as_byte() == byte));
    }
}

#[test]
fn no_more_comes_out_than_is_wanted() {
    let packed = deflated(Setting::from_byte(9).unwrap(), &vec![0; 100_000], 100_000);
    assert!(packed.len() < 200);
    assert!(inflated(&packed, 100_000).is_ok());
    assert!(inflated(&packed, 99_999).is_err());
    assert!(inflated(&packed[..packed.len() - 1], 100_000).is_err());
    let (_, used) = inflated(&[packed.as_slice(), &[7; 9]].concat(), 100_000).unwrap();
    assert_eq!(used, packed.len() as u64);
}

#[test]
fn what_is_no_stream_is_refused() {
    // A block of a kind that is none, a stored one that is not sound, and a match before the beginning.
    for packed in [&[7][..], &[1, 1, 0, 1, 0, 9], &[3, 2, 0]] {
        assert!(inflated(packed, 1000).is_err(), "{packed:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_deflated_comes_back(
        pieces in vec((0..4_u8, 1..3000_usize, 0..5000_usize), 0..20), number in 0..36_usize
    ) {
        let noise = content("noise", 5000);
        let mut bytes: Vec<u8> = Vec::new();
        for (kind, length, from) in pieces {
            match kind {
                0 => bytes.resize(bytes.len() + length, 3),
                1 => bytes.extend(noise.iter().skip(from).take(length)),
                _ => bytes.extend(noise.iter().skip(from).take(length % 50)),
            }
        }
        let setting = Setting::all().nth(number).unwrap();
        let packed = deflated(setting, &bytes, 1000);
        prop_assert_eq!(inflated(&packed, bytes.len()).unwrap(), (bytes, packed.len() as u64));
    }

    #[test]
    fn whatever_is_inflated_ends(packed: Vec<u8>) {
        if let Ok((bytes, used)) = inflated(&packed, 10_000) {
            prop_assert!(bytes.len() <= 10_000 && used <= packed.len() as u64);
        }
    }
}
