use std::ops::ControlFlow;

use mainstay_client::{
    delta::{self, Header, Limits},
    format::Digest,
    pack::PayloadIdentity,
};

use super::{Seeds, executable, input::Input};

/// Narrow, so that every one of them is reached.
const LIMITS: Limits =
    Limits { payload_bytes_max: 4 << 10, copies_max: 20, executable_bytes_max: 2 << 10 };
const STREAMS: u8 = 10;
/// The one stream of the profile *compact* that is coded otherwise, and the streams it is in place of.
const CHANGES: u8 = 10;
/// In the second byte of an input: the profile is *compact*.
const COMPACT: u8 = 0x10;
const REPLACED: [u8; 3] = [3, 4, 5];

/// Whatever a delta holds, there is an error, or what it says that it makes; and never more is written than
/// was expected. The bytes are taken as a delta, and as the streams of one whose header is sound.
pub(crate) fn run(bytes: &[u8]) {
    let old = old();
    if let Ok(header) = Header::read(&bytes) {
        check(&old, bytes, &header.new);
    }
    let delta = sound(&old, bytes);
    let header = Header::read(&delta.as_slice()).unwrap();
    check(&old, &delta, &header.new);
}

fn check(old: &[u8], delta: &[u8], expected: &PayloadIdentity) {
    let mut made = Vec::new();
    let mut watch = |_| ControlFlow::Continue(());
    let applied = delta::apply(&old, &delta, expected, &LIMITS, &mut made, &mut watch).is_ok();
    assert!(made.len() as u64 <= expected.length.min(LIMITS.payload_bytes_max));
    assert!(!applied || Digest::of(&made) == expected.sha256);
}

/// The one payload that deltas are for: text, and a program.
fn old() -> Vec<u8> {
    let text: Vec<u8> = (0..40_u8).flat_map(|line| [b'a' + line % 26; 20]).collect();
    [text, executable::program()].concat()
}

/// A delta for the one old payload: `bytes` say how long the new one is, of which profile it is, which streams
/// there are, how they are coded, how long they are, and what is in them. In a compact one, what is left over
/// are the changes.
fn sound(old: &[u8], bytes: &[u8]) -> Vec<u8> {
    let mut input = Input::new(bytes);
    let (high, low) = (input.byte(), input.byte());
    let new_length = u64::from(high) << 4 | u64::from(low & 0xf);
    let is_compact = low & COMPACT != 0;
    let streams: Vec<_> = (0..STREAMS)
        .map(|id| (id, input.below(4), usize::from(input.byte())))
        .filter(|(id, _, length)| *length > 0 && !(is_compact && REPLACED.contains(id)))
        .collect();
    let mut rest = input.rest();
    let mut delta = b"\x8fMSDELTA\r\n\x01".to_vec();
    delta.push(is_compact.into());
    number(&mut delta, old.len() as u64);
    delta.extend(Digest::of(old).as_bytes());
    number(&mut delta, new_length);
    delta.extend(Digest::of(&vec![0; usize::try_from(new_length).unwrap()]).as_bytes());
    number(&mut delta, streams.len() as u64 + u64::from(is_compact));
    let mut packed = Vec::new();
    for (id, coding, length) in streams {
        let (stream, others) = rest.split_at(length.min(rest.len()));
        rest = others;
        packed.extend_from_slice(stream);
        match coding {
            0 | 1 => delta.extend([id, 0]),
            2 => delta.extend([id, 1]),
            _ => delta.extend([id, 2, 0x5d]),
        }
        // What is packed may be anything.
        let unpacked = if coding < 2 { stream.len() as u64 } else { 3 * length as u64 };
        number(&mut delta, unpacked);
        number(&mut delta, stream.len() as u64);
    }
    if is_compact {
        delta.extend([CHANGES, 3]);
        number(&mut delta, rest.len() as u64);
        number(&mut delta, rest.len() as u64);
        packed.extend_from_slice(rest);
    }
    [delta, packed].concat()
}

fn number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
}

pub(crate) fn seeds() -> Seeds {
    // 64 zeros are copies of nothing: literals.
    let literals = seed(64, &[(3, &[0; 64])]);
    // A copy of the first letters, each amended to a zero.
    let amended: Vec<u8> = [0; 20].into();
    let differences = [0_u8.wrapping_sub(b'a'); 20];
    let copy = seed(20, &[(0, &[0]), (1, &[20]), (2, &[0]), (4, &amended), (5, &differences)]);
    // A copy of the program with its addresses, at the end of which one is corrected.
    let length = executable::program().len();
    let mut lengths = Vec::new();
    number(&mut lengths, length as u64);
    let mut jump = Vec::new();
    number(&mut jump, 2 * 800);
    let pair = [&[0][..], &lengths, &jump, &lengths].concat();
    let program = seed(
        length,
        &[
            (0, &[0]),
            (1, &lengths),
            (2, &jump),
            (6, &pair),
            (7, &[1, 0, 0, 0, 0]),
            (8, &[0]),
            (9, &[8]),
        ],
    );
    // The changes are all that is left over: of a payload of literals, and of an amended copy.
    let noise: Vec<u8> = (0..90_u8).map(|it| it.wrapping_mul(167)).collect();
    let compact = |length: usize, streams: &[(u8, &[u8])]| {
        let mut seed = [seed(length, streams), noise.clone()].concat();
        seed[1] |= COMPACT;
        seed
    };
    let mixed = compact(64, &[]);
    let mixed_copy = compact(100, &[(0, &[0]), (1, &[90]), (2, &[0])]);
    vec![
        ("literals", literals),
        ("copy", copy),
        ("program", program),
        ("mixed", mixed),
        ("mixed_copy", mixed_copy),
    ]
}

/// What [`sound`] takes for a new payload of `length` bytes and these stored streams.
fn seed(length: usize, streams: &[(u8, &[u8])]) -> Vec<u8> {
    let length = u16::try_from(length).unwrap();
    let mut seed =
        vec![length.checked_shr(4).unwrap().to_le_bytes()[0], length.to_le_bytes()[0] & 0xf];
    for id in 0..STREAMS {
        let stream = streams.iter().find(|(it, _)| *it == id).map_or(&[][..], |(_, stream)| stream);
        seed.extend([0, u8::try_from(stream.len()).unwrap()]);
    }
    seed.extend(streams.iter().flat_map(|(_, stream)| *stream));
    seed
}
