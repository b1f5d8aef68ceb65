use proptest::{collection::vec, prelude::*};

use super::*;
use crate::format::Digest;

/// What zlib makes of the same contents: `tests/interop/deflate.py` writes it.
const ZLIB: &str = include_str!("../../../../fixtures/deflate/zlib");

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

/// The contents that the table is about.
fn content(kind: &str, length: usize) -> Vec<u8> {
    let mut source = Noise(1);
    let mut made = Vec::new();
    while made.len() < length {
        match kind {
            "zeros" => made.push(0),
            "noise" => made.push(source.byte()),
            "letters" => made.push(b'a' + source.byte() % 4),
            "words" => made.extend(format!("word{} ", u32::from(source.byte()).pow(2)).bytes()),
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
fn what_is_deflated_is_what_zlib_makes() {
    for line in ZLIB.lines() {
        let mut words = line.split(' ');
        let (kind, length) = (words.next().unwrap(), words.next().unwrap().parse().unwrap());
        let content = content(kind, length);
        for (number, digest) in (0..18).zip(words) {
            let setting = Setting::from_byte((number / 9) << 4 | (1 + number % 9)).unwrap();
            let packed = deflated(setting, &content, 10_000);
            let found = Digest::of(&packed).to_string();
            assert_eq!(&found[..8], digest, "{kind} {length} {setting:?}");
            let (back, used) = inflated(&packed, length).unwrap();
            assert!(back == content && used == packed.len() as u64, "{kind} {length} {setting:?}");
        }
    }
}

#[test]
fn how_it_comes_in_does_not_matter() {
    for kind in ["zeros", "words", "copies"] {
        let content = content(kind, 150_000);
        for setting in [1, 6].map(|it| Setting::from_byte(it).unwrap()) {
            let at_once = deflated(setting, &content, content.len());
            assert!(deflated(setting, &content, 777) == at_once, "{kind} {setting:?}");
        }
    }
}

#[test]
fn settings_have_bytes() {
    let all: Vec<Setting> = Setting::all().collect();
    assert_eq!(all.len(), 18);
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
        pieces in vec((0..4_u8, 1..3000_usize, 0..5000_usize), 0..20), byte in 0..18_u8
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
        let setting = Setting::all().nth(byte.into()).unwrap();
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
