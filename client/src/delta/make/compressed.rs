//! The deflate streams in files: gzip's (RFC 1952), and those of zip archives, which jars and wheels are.

use std::ops::Range;

use super::member::Member;
use crate::delta::deflate::inflate;

const STORED: usize = 0;
const DEFLATED: usize = 8;

/// The streams in the `files` of `payload`, apart and in its order, of which none of gzip inflates to more than
/// `bytes_max`.
pub(super) fn streams(payload: &[u8], files: &[Member], bytes_max: usize) -> Vec<Member> {
    let mut streams = Vec::new();
    for Member { path, range } in files {
        let file = &payload[range.clone()];
        if file.starts_with(b"\x1f\x8b\x08") {
            streams.extend(gzip_streams(file, bytes_max).into_iter().map(|it| {
                let (start, end) = (range.start + it.start, range.start + it.end);
                Member { path: path.clone(), range: start..end }
            }));
            continue;
        }
        for entry in zip_entries(file) {
            if entry.method == DEFLATED {
                streams.push(member(path, entry.name, &entry.range, range.start));
            } else if entry.method == STORED {
                let path = [path, entry.name].join(&b'/');
                let start = range.start + entry.range.start;
                let inner = zip_entries(&file[entry.range]).into_iter();
                let deflated = inner.filter(|it| it.method == DEFLATED);
                streams.extend(deflated.map(|it| member(&path, it.name, &it.range, start)));
            }
        }
    }
    streams.sort_by_key(|it| it.range.start);
    let mut end = 0;
    streams.retain(|it| {
        let is_apart = it.range.start >= end && !it.range.is_empty();
        if is_apart {
            end = it.range.end;
        }
        is_apart
    });
    streams
}

/// What is called `name` in the file `path`, which begins at `start` of the payload.
fn member(path: &[u8], name: &[u8], range: &Range<usize>, start: usize) -> Member {
    Member { path: [path, name].join(&b'/'), range: range.start + start..range.end + start }
}

fn gzip_streams(file: &[u8], bytes_max: usize) -> Vec<Range<usize>> {
    /// Behind the stream: its check and its length.
    const TRAILER_BYTES: usize = 8;
    let mut streams = Vec::new();
    let mut place = 0;
    while let Some(header_bytes) = file.get(place..).and_then(gzip_header_bytes) {
        let start = place + header_bytes;
        let Ok(used) = inflate(&file[start..], bytes_max, &mut Vec::new()) else { break };
        let end = start + usize::try_from(used).unwrap_or_default();
        streams.push(start..end);
        place = end + TRAILER_BYTES;
    }
    streams
}

/// How long the header of gzip is that `bytes` begin with.
fn gzip_header_bytes(bytes: &[u8]) -> Option<usize> {
    const CHECK: u8 = 1 << 1;
    const EXTRA: u8 = 1 << 2;
    const NAME: u8 = 1 << 3;
    const COMMENT: u8 = 1 << 4;
    let flags = *bytes.strip_prefix(b"\x1f\x8b\x08")?.first()?;
    let mut place = 10;
    if flags & EXTRA != 0 {
        place += 2 + number(bytes, place, 2)?;
    }
    for text in [NAME, COMMENT] {
        if flags & text != 0 {
            place += bytes.get(place..)?.iter().position(|it| *it == 0)? + 1;
        }
    }
    if flags & CHECK != 0 {
        place += 2;
    }
    (place <= bytes.len()).then_some(place)
}

struct Entry<'a> {
    name: &'a [u8],
    method: usize,
    range: Range<usize>,
}

/// The entries that the directory of the archive `file` names; none where it is no archive.
fn zip_entries(file: &[u8]) -> Vec<Entry<'_>> {
    if !file.starts_with(b"PK\x03\x04") {
        return Vec::new();
    }
    let mut entries = Vec::new();
    let mut place = directory(file);
    while let Some((entry, end)) = place.and_then(|it| directory_entry(file, it)) {
        entries.extend(entry);
        place = Some(end);
    }
    entries
}

/// Where the directory begins, as the end of the archive says.
fn directory(file: &[u8]) -> Option<usize> {
    const END_BYTES: usize = 22;
    const COMMENT_BYTES_MAX: usize = 0xffff;
    let last = file.len().checked_sub(END_BYTES)?;
    let is_end = |at: &usize| {
        file[*at..].starts_with(b"PK\x05\x06")
            && number(file, at + 20, 2) == Some(file.len() - at - END_BYTES)
    };
    let end = (last.saturating_sub(COMMENT_BYTES_MAX)..=last).rev().find(is_end)?;
    number(file, end + 16, 4)
}

/// The entry of the directory at `at`, if what it names is there, and where the next one is.
fn directory_entry(file: &[u8], at: usize) -> Option<(Option<Entry<'_>>, usize)> {
    const BYTES: usize = 46;
    if !file.get(at..)?.starts_with(b"PK\x01\x02") {
        return None;
    }
    let field = |offset, width| number(file, at + offset, width);
    let (method, packed_bytes) = (field(10, 2)?, field(20, 4)?);
    let [name_bytes, extra_bytes, comment_bytes] = [field(28, 2)?, field(30, 2)?, field(32, 2)?];
    let name = file.get(at + BYTES..at + BYTES + name_bytes)?;
    let start = content(file, field(42, 4)?);
    let range = start.map(|it| it..it + packed_bytes).filter(|it| it.end <= file.len());
    let entry = range.map(|range| Entry { name, method, range });
    Some((entry, at + BYTES + name_bytes + extra_bytes + comment_bytes))
}

/// Where the content of the entry begins whose header is at `at`.
fn content(file: &[u8], at: usize) -> Option<usize> {
    const BYTES: usize = 30;
    file.get(at..)?.starts_with(b"PK\x03\x04").then_some(())?;
    Some(at + BYTES + number(file, at + 26, 2)? + number(file, at + 28, 2)?)
}

/// The number of `width` bytes at `at`, the lowest first.
fn number(bytes: &[u8], at: usize, width: usize) -> Option<usize> {
    let bytes = bytes.get(at..)?.get(..width)?;
    Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | usize::from(*byte)))
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn found(file: &[u8]) -> Vec<Member> {
        streams(file, &[Member { path: b"x".to_vec(), range: 0..file.len() }], 1000)
    }

    #[test]
    fn all_parts_of_a_header_of_gzip_are_passed_over() {
        const EMPTY: [u8; 10] = [3, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let header = |flags: u8| [0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 3];
        let full = [&header(0x1e)[..], &[2, 0, 9, 9], b"name\0", b"comment\0", &[7, 7]].concat();
        let file = [&full[..], &EMPTY, &header(0), &EMPTY].concat();
        let ranges: Vec<_> = found(&file).into_iter().map(|it| it.range).collect();
        let second = full.len() + EMPTY.len() + 10;
        assert_eq!(ranges, [full.len()..full.len() + 2, second..second + 2]);
    }

    proptest! {
        #[test]
        fn whatever_is_looked_at_is_apart_and_within(
            mut file in vec(prop_oneof![0..4_u8, any::<u8>()], 100..400),
            at in 4..40_usize,
            directory in 22..60_usize,
        ) {
            file[..4].copy_from_slice(b"PK\x03\x04");
            file[at..at + 4].copy_from_slice(b"PK\x01\x02");
            let end = file.len() - 22;
            file[end..end + 4].copy_from_slice(b"PK\x05\x06");
            file[end + 16..].copy_from_slice(&[u8::try_from(at).unwrap(), 0, 0, 0, 0, 0]);
            file[directory] = 8;
            let mut last = 0;
            for Member { range, .. } in found(&file) {
                prop_assert!(last <= range.start && range.start < range.end);
                last = range.end;
            }
            prop_assert!(last <= file.len());
        }
    }
}
