use std::ops::ControlFlow;

use mainstay_client::{
    delta::{self, Header, Limits},
    format::Digest,
    pack::PayloadIdentity,
};

use super::{Seeds, executable, input::Input};

/// Narrow, so that every one of them is reached.
const LIMITS: Limits = Limits {
    payload_bytes_max: 4 << 10,
    copies_max: 20,
    executable_bytes_max: 2 << 10,
    opened_max: 4,
    opened_bytes_max: 1 << 10,
};
/// The streams of both profiles or of *fast*.
const STREAMS: [u8; 11] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, DEFLATED];
/// The stream of what is opened, which deltas of the first version do not have.
const DEFLATED: u8 = 11;
/// The one stream of the profile *compact* that is coded otherwise, and the streams it is in place of.
const CHANGES: u8 = 10;
/// In the second byte of an input: the profile is *compact*; what is opened may be of programs other than zlib.
const COMPACT: u8 = 0x10;
const OF_PROGRAMS: u8 = 0x20;
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

/// What zlib and `gzip` make of what is [`inflated`] at level 6.
const PACKED: [u8; 9] = [0x4b, 0x4c, 0xa4, 0x3d, 0x48, 0x22, 0x19, 0x00, 0x00];

fn inflated() -> Vec<u8> {
    [[b'a'; 100].as_slice(), &[b'b'; 50]].concat()
}

/// The one payload that deltas are for: text, a program, and a deflate stream.
fn old() -> Vec<u8> {
    let text: Vec<u8> = (0..40_u8).flat_map(|line| [b'a' + line % 26; 20]).collect();
    [text, executable::program(), PACKED.to_vec()].concat()
}

/// A stream as a delta has it.
struct Stream<'a> {
    id: u8,
    coding: &'static [u8],
    length: u64,
    packed: &'a [u8],
}

/// A delta for the one old payload: `bytes` say how long the new one is, of which profile it is, which streams
/// there are, how they are coded, how long they are, and what is in them. In a compact one, what is left over
/// are the changes.
fn sound(old: &[u8], bytes: &[u8]) -> Vec<u8> {
    let mut input = Input::new(bytes);
    let (high, low) = (input.byte(), input.byte());
    let new_length = u64::from(high) << 4 | u64::from(low & 0xf);
    let is_compact = low & COMPACT != 0;
    let lengths: Vec<_> = STREAMS
        .into_iter()
        .map(|id| (id, input.below(4), usize::from(input.byte())))
        .filter(|(id, _, length)| *length > 0 && !(is_compact && REPLACED.contains(id)))
        .collect();
    let mut rest = input.rest();
    let mut streams = Vec::new();
    for (id, coding, length) in lengths {
        let (packed, others) = rest.split_at(length.min(rest.len()));
        rest = others;
        let coding: &[u8] = match coding {
            0 | 1 => &[0],
            2 => &[1],
            _ => &[2, 0x5d],
        };
        // What is packed may be anything.
        let length = if coding == [0] { packed.len() } else { 3 * length };
        streams.push(Stream { id, coding, length: length as u64, packed });
    }
    if is_compact {
        let length = rest.len() as u64;
        streams.push(Stream { id: CHANGES, coding: &[3], length, packed: rest });
        streams.sort_by_key(|it| it.id);
    }
    let is_opened = streams.iter().any(|it| it.id == DEFLATED);
    let version = match (is_opened, low & OF_PROGRAMS) {
        (false, _) => 1,
        (true, 0) => 2,
        (true, _) => 3,
    };
    let mut delta = b"\x8fMSDELTA\r\n".to_vec();
    delta.extend([version, is_compact.into()]);
    number(&mut delta, old.len() as u64);
    delta.extend(Digest::of(old).as_bytes());
    number(&mut delta, new_length);
    delta.extend(Digest::of(&vec![0; usize::try_from(new_length).unwrap()]).as_bytes());
    number(&mut delta, streams.len() as u64);
    for Stream { id, coding, length, packed } in &streams {
        delta.push(*id);
        delta.extend_from_slice(coding);
        number(&mut delta, *length);
        number(&mut delta, packed.len() as u64);
    }
    for stream in streams {
        delta.extend_from_slice(stream.packed);
    }
    delta
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
    // What the old stream inflates to is copied, and becomes the same stream; behind it are zeros.
    let (mut start, mut bytes) = (Vec::new(), Vec::new());
    number(&mut start, (800 + length) as u64);
    number(&mut bytes, inflated().len() as u64);
    let mut jump = Vec::new();
    number(&mut jump, 2 * (800 + length) as u64);
    let packed = u8::try_from(PACKED.len()).unwrap();
    let opened = |setting: u8| {
        let said = [&[1][..], &start, &[packed], &bytes, &[setting, 0, packed], &bytes].concat();
        seed(
            PACKED.len() + 9,
            &[(0, &[0]), (1, &bytes), (2, &jump), (3, &[0; 9]), (DEFLATED, &said)],
        )
    };
    let mut opened_by_gzip = opened(0x36);
    opened_by_gzip[1] |= OF_PROGRAMS;
    vec![
        ("literals", literals),
        ("copy", copy),
        ("program", program),
        ("opened", opened(6)),
        ("opened_by_gzip", opened_by_gzip),
        ("mixed", mixed),
        ("mixed_copy", mixed_copy),
    ]
}

/// What [`sound`] takes for a new payload of `length` bytes and these stored streams.
fn seed(length: usize, streams: &[(u8, &[u8])]) -> Vec<u8> {
    let length = u16::try_from(length).unwrap();
    let mut seed =
        vec![length.checked_shr(4).unwrap().to_le_bytes()[0], length.to_le_bytes()[0] & 0xf];
    for id in STREAMS {
        let stream = streams.iter().find(|(it, _)| *it == id).map_or(&[][..], |(_, stream)| stream);
        seed.extend([0, u8::try_from(stream.len()).unwrap()]);
    }
    seed.extend(streams.iter().flat_map(|(_, stream)| *stream));
    seed
}
