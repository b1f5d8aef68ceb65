use std::io::Write;

use super::*;
use crate::{
    format::Digest,
    pack::{
        Compression, Compressor, ErrorKind, Inspection, Payload, PayloadIdentity, error::Reason,
        verify, verify_artifact,
    },
};

const WINDOW_LOG: u32 = 20;
const QUICK: Compression = Compression { level: 1, window_log: WINDOW_LOG, workers: 0 };

fn compress(payload: &[u8], compression: Compression) -> Vec<u8> {
    let mut compressor = Compressor::new(Vec::new(), compression).unwrap();
    compressor.write_all(payload).unwrap();
    compressor.finish().unwrap()
}

fn identity(payload: &[u8]) -> PayloadIdentity {
    PayloadIdentity { length: payload.len() as u64, sha256: Digest::of(payload) }
}

fn decompress(artifact: &[u8], expected: PayloadIdentity) -> Result<Vec<u8>, Error> {
    decompress_in(artifact, expected, WINDOW_LOG)
}

fn decompress_in(
    artifact: impl Read,
    expected: PayloadIdentity,
    window_log: u32,
) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    Payload::new(artifact, expected, window_log)?
        .read_to_end(&mut bytes)
        .map_err(Error::from_read)?;
    Ok(bytes)
}

/// Bytes that compress a little, differently everywhere.
fn sample(length: u32) -> Vec<u8> {
    (0..length).flat_map(|number| (number.wrapping_mul(2_654_435_761) >> 7).to_le_bytes()).collect()
}

#[test]
fn what_is_compressed_comes_out_again() {
    let payload = sample(300_000);
    for compression in [
        QUICK,
        Compression { workers: 2, ..QUICK },
        Compression { level: 3, window_log: 27, workers: 1 },
        Compression { level: 6, window_log: 24, workers: 2 },
        Compression { level: 19, window_log: 10, workers: 0 },
    ] {
        let artifact = compress(&payload, compression);
        let found = decompress_in(artifact.as_slice(), identity(&payload), compression.window_log);
        assert!(found.unwrap() == payload, "{compression:?}");
    }
    let artifact = compress(&payload, QUICK);
    let found = decompress_in(OneByOne(artifact.as_slice()), identity(&payload), WINDOW_LOG);
    assert!(found.unwrap() == payload);
    let empty = compress(b"", QUICK);
    assert_eq!(decompress(&empty, identity(b"")).unwrap(), b"");
}

#[test]
fn long_distance_matching_finds_what_the_level_alone_does_not() {
    let noise = (0..1_u32 << 16)
        .flat_map(|number| *Digest::of(&number.to_le_bytes()).as_bytes())
        .collect::<Vec<_>>();
    // In another order, so that each block must be found by itself.
    let moved = noise.chunks(4096).rev().flatten().copied().collect::<Vec<_>>();
    let payload = [noise, moved].concat();
    for level in [1, 6, 9] {
        let near = compress(&payload, Compression { level, ..QUICK }).len();
        let far = compress(&payload, Compression { level, window_log: 24, ..QUICK }).len();
        assert!(far * 10 < near * 6, "{level}: {far} bytes with a long window, {near} without");
    }
}

fn inspect(artifact: &[u8], expected: PayloadIdentity) -> Result<Inspection, Error> {
    verify_artifact(artifact, expected, WINDOW_LOG, &Limits::default())
}

#[test]
fn an_artifact_is_verified_as_its_archive_is() {
    // One archive that is sound, one that is none, and one of which most is left when it is refused.
    for payload in [write(&sample_tree()), b"no archive".to_vec(), sample(2_000_000)] {
        let artifact = compress(&payload, QUICK);
        let found = inspect(&artifact, identity(&payload)).map_err(|error| error.to_string());
        let expected = verify(payload.as_slice(), &Limits::default());
        assert_eq!(found, expected.map_err(|error| error.to_string()));
    }
}

#[test]
fn an_artifact_is_refused_for_what_its_payload_would_be_refused_for() {
    let payload = write(&sample_tree());
    let artifact = compress(&payload, QUICK);
    let signed = identity(&payload);
    let longer = [&artifact[..], b"."].concat();
    for (artifact, expected) in [
        (&artifact[..artifact.len() - 1], signed),
        (&[], signed),
        (&longer, signed),
        (&artifact, PayloadIdentity { sha256: Digest::of(b"something else"), ..signed }),
        (&artifact, PayloadIdentity { length: signed.length - 1, ..signed }),
        (&artifact, PayloadIdentity { length: signed.length + 1, ..signed }),
    ] {
        let found = inspect(artifact, expected).unwrap_err().to_string();
        assert_eq!(found, decompress(artifact, expected).unwrap_err().to_string());
    }
}

#[test]
fn settings_out_of_range_are_refused() {
    for compression in [
        Compression { level: 0, ..QUICK },
        Compression { level: 23, ..QUICK },
        Compression { window_log: 9, ..QUICK },
        Compression { window_log: 28, ..QUICK },
        Compression { workers: 257, ..QUICK },
    ] {
        let refused = Compressor::new(Vec::new(), compression).map(|_| ()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Setting, "{compression:?}");
    }
    let refused = Payload::new(io::empty(), identity(b""), 28).map(|_| ()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Setting);
}

#[test]
fn a_window_is_no_larger_than_the_payload() {
    let compression = Compression { level: 3, window_log: 27, workers: 0 };
    let window_log = |length| compression.for_payload(length).window_log;
    assert_eq!([0, 1024, 1025, 1 << 20, (1 << 20) + 1].map(window_log), [10, 10, 11, 20, 21]);
    assert_eq!([1 << 27, 1 << 40].map(window_log), [27, 27]);
    let payload = sample(30_000);
    let fitted = compression.for_payload(payload.len() as u64);
    assert_eq!(fitted.window_log, 17);
    let artifact = compress(&payload, fitted);
    assert!(decompress_in(&artifact[..], identity(&payload), 17).unwrap() == payload);
}

#[test]
fn a_bomb_yields_no_more_than_was_signed() {
    let artifact = compress(&vec![0; 64 << 20], QUICK);
    assert!(artifact.len() < 10_000, "a bomb is small");
    let expected = PayloadIdentity { length: 1000, sha256: Digest::of(&[0; 1000]) };
    let mut payload = Payload::new(artifact.as_slice(), expected, WINDOW_LOG).unwrap();
    let mut yielded = 0;
    let error = loop {
        match payload.read(&mut [0; 300]) {
            Ok(0) => panic!("accepted"),
            Ok(read) => yielded += read,
            Err(error) => break Error::from_read(error),
        }
    };
    assert!(matches!(error.reason(), Reason::PayloadLong { expected: 1000 }), "{error}");
    assert!(yielded < 1000, "{yielded}");
    let again = Error::from_read(payload.read(&mut [0; 300]).unwrap_err());
    assert!(matches!(again.reason(), Reason::AlreadyRefused), "{again}");
}

#[test]
fn a_payload_of_another_length_is_refused() {
    let payload = sample(1000);
    let artifact = compress(&payload, QUICK);
    let longer = PayloadIdentity { length: 4001, ..identity(&payload) };
    let error = decompress(&artifact, longer).unwrap_err();
    let short = matches!(error.reason(), Reason::PayloadShort { expected: 4001, found: 4000 });
    assert!(short, "{error}");
    // The digest of the beginning does not help.
    let shorter = identity(&payload[..3999]);
    let error = decompress(&artifact, shorter).unwrap_err();
    assert!(matches!(error.reason(), Reason::PayloadLong { expected: 3999 }), "{error}");
    let nothing = identity(b"");
    let error = decompress(&artifact, nothing).unwrap_err();
    assert!(matches!(error.reason(), Reason::PayloadLong { expected: 0 }), "{error}");
}

#[test]
fn a_payload_of_another_digest_is_refused_by_the_read_that_completes_it() {
    let payload = sample(1000);
    let artifact = compress(&payload, QUICK);
    let other = PayloadIdentity { sha256: Digest::of(b"other"), ..identity(&payload) };
    let mut reader = Payload::new(artifact.as_slice(), other, WINDOW_LOG).unwrap();
    // A caller that stops at the signed length has not been given unverified bytes as whole.
    let error = Error::from_read(reader.read_exact(&mut vec![0; payload.len()]).unwrap_err());
    assert!(matches!(error.reason(), Reason::PayloadDigest { .. }), "{error}");
    assert_eq!(error.kind(), ErrorKind::Mismatch);
    let error = Payload::new(&artifact[..], other, WINDOW_LOG).unwrap().finish().unwrap_err();
    assert!(matches!(error.reason(), Reason::PayloadDigest { .. }), "{error}");
}

#[test]
fn nothing_follows_the_one_frame() {
    let payload = sample(1000);
    let artifact = compress(&payload, QUICK);
    let trailing_byte = [artifact.as_slice(), b"x"].concat();
    let error = decompress(&trailing_byte, identity(&payload)).unwrap_err();
    assert!(matches!(error.reason(), Reason::FrameTrailing), "{error}");
    let empty_frame = [artifact.as_slice(), &compress(b"", QUICK)].concat();
    let error = decompress(&empty_frame, identity(&payload)).unwrap_err();
    assert!(matches!(error.reason(), Reason::FrameTrailing), "{error}");
    let two_frames = [artifact.as_slice(), &artifact].concat();
    let both = [payload.as_slice(), &payload].concat();
    let error = decompress(&two_frames, identity(&both)).unwrap_err();
    assert!(matches!(error.reason(), Reason::PayloadShort { .. }), "{error}");
    // A skippable frame is a frame.
    let skippable = [b"\x50\x2a\x4d\x18\x01\0\0\0x".as_slice(), &artifact].concat();
    let error = decompress(&skippable, identity(&payload)).unwrap_err();
    assert!(matches!(error.reason(), Reason::PayloadShort { found: 0, .. }), "{error}");
}

#[test]
fn a_window_larger_than_the_manifest_says_is_refused() {
    let payload = sample(600_000);
    let artifact = compress(&payload, QUICK);
    assert!(decompress_in(&artifact[..], identity(&payload), WINDOW_LOG).is_ok());
    for window_log in [0, 10, WINDOW_LOG - 1] {
        let error = decompress_in(&artifact[..], identity(&payload), window_log).unwrap_err();
        assert!(matches!(error.reason(), Reason::Decompress { .. }), "{window_log}: {error}");
    }
}

#[test]
fn a_shortened_artifact_is_refused() {
    let payload = sample(2000);
    let artifact = compress(&payload, QUICK);
    for length in 0..artifact.len() {
        let error = decompress(&artifact[..length], identity(&payload)).unwrap_err();
        assert!(matches!(error.reason(), Reason::Decompress { .. }), "{length}: {error}");
    }
}

#[test]
fn a_flipped_bit_never_changes_the_payload_unnoticed() {
    let payload = sample(500);
    let artifact = compress(&payload, QUICK);
    let mut refused = 0;
    for bit in 0..artifact.len() * 8 {
        let mut flipped = artifact.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        match decompress_in(flipped.as_slice(), identity(&payload), 22) {
            Ok(found) => assert!(found == payload, "bit {bit}"),
            Err(_) => refused += 1,
        }
    }
    // Some bits of the frame's header matter to nobody, those of the window's size for one.
    assert!(refused + 16 > artifact.len() * 8, "{refused} of {} refused", artifact.len() * 8);
}

#[test]
fn a_failing_source_is_told_from_a_damaged_artifact() {
    struct Failing;
    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::from(io::ErrorKind::TimedOut))
        }
    }
    let payload = sample(1000);
    let artifact = compress(&payload, QUICK);
    for length in [0, 10, artifact.len() / 2, artifact.len()] {
        let source = artifact[..length].chain(Failing);
        let error = decompress_in(source, identity(&payload), WINDOW_LOG).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Transfer, "{length}: {error}");
    }
}

#[test]
fn the_reason_survives_the_archive_reader() {
    let archive = write(&sample_tree());
    let artifact = compress(&archive, QUICK);
    let good = Payload::new(artifact.as_slice(), identity(&archive), WINDOW_LOG).unwrap();
    assert_eq!(read(good).unwrap(), sample_tree());
    let other = PayloadIdentity { sha256: Digest::of(b"other"), ..identity(&archive) };
    let bad = Payload::new(artifact.as_slice(), other, WINDOW_LOG).unwrap();
    let error = read(bad).unwrap_err();
    assert!(matches!(error.reason(), Reason::PayloadDigest { .. }), "{error}");
}
