//! The files in a payload.

use std::{collections::BTreeMap, ops::Range};

/// A file of a payload, or a payload that is no archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) path: Vec<u8>,
    pub(super) range: Range<usize>,
}

/// The files in `payload`, which is a tar archive; where it is none, itself.
pub(super) fn members(payload: &[u8]) -> Vec<Member> {
    let members = tar_members(payload).unwrap_or_default();
    if members.is_empty() {
        vec![Member { path: Vec::new(), range: 0..payload.len() }]
    } else {
        members
    }
}

fn tar_members(payload: &[u8]) -> std::io::Result<Vec<Member>> {
    let mut members = Vec::new();
    for entry in tar::Archive::new(payload).entries()? {
        let entry = entry?;
        let start = usize::try_from(entry.raw_file_position()).unwrap_or(usize::MAX);
        let length = usize::try_from(entry.size()).unwrap_or(usize::MAX);
        let range = start..start.saturating_add(length);
        if range.end <= payload.len() && entry.header().entry_type().is_file() {
            members.push(Member { path: entry.path_bytes().into_owned(), range });
        }
    }
    Ok(members)
}

/// What versions of a file have in common, by its path.
type Key = fn(&[u8]) -> Vec<u8>;

/// By what two files may be known for versions of one, the surest first.
const KEYS: [Key; 4] = [
    <[u8]>::to_vec,
    |path| path.iter().copied().filter(|it| !it.is_ascii_digit()).collect(),
    |path| name(path).to_vec(),
    |path| name(path).iter().copied().take_while(u8::is_ascii_alphabetic).collect(),
];

fn name(path: &[u8]) -> &[u8] {
    path.rsplit(|it| *it == b'/').next().unwrap_or_default()
}

/// Which of `old` is most likely an earlier version of which of `new`. No file is in two pairs.
pub(super) fn pairs<'a>(old: &'a [Member], new: &'a [Member]) -> Vec<(&'a Member, &'a Member)> {
    let mut pairs = Vec::new();
    let (mut old, mut new): (Vec<_>, Vec<_>) = (old.iter().collect(), new.iter().collect());
    for key in KEYS {
        let mut by_key: BTreeMap<Vec<u8>, Vec<&Member>> = BTreeMap::new();
        for member in old.iter().rev() {
            by_key.entry(key(&member.path)).or_default().push(member);
        }
        new.retain(|new| {
            let found = by_key.get_mut(&key(&new.path)).and_then(Vec::pop);
            pairs.extend(found.map(|old| (old, *new)));
            found.is_none()
        });
        old = by_key.into_values().flatten().collect();
        old.sort_unstable_by_key(|it| it.range.start);
    }
    pairs.sort_unstable_by_key(|(_, new)| new.range.start);
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(path: &str) -> Member {
        Member { path: path.into(), range: 0..path.len() }
    }

    #[test]
    fn versions_of_a_file_are_found() {
        let old = ["bin/tool", "lib/libx-1.2.so", "lib/liby.so.3", "zlib/other-ab1.so"].map(member);
        let new = ["bin/tool", "lib64/libx-1.3.so", "lib/liby.so.4", "moved/other-cd7.so", "a/new"]
            .map(member);
        let found: Vec<_> = pairs(&old, &new)
            .into_iter()
            .map(|(old, new)| {
                (std::str::from_utf8(&old.path).unwrap(), std::str::from_utf8(&new.path).unwrap())
            })
            .collect();
        for pair in [
            ("bin/tool", "bin/tool"),
            ("lib/libx-1.2.so", "lib64/libx-1.3.so"),
            ("lib/liby.so.3", "lib/liby.so.4"),
            ("zlib/other-ab1.so", "moved/other-cd7.so"),
        ] {
            assert!(found.contains(&pair), "{found:?}");
        }
        assert_eq!(found.len(), 4);
    }

    #[test]
    fn what_is_no_archive_is_one_file() {
        assert_eq!(members(b"text"), [Member { path: Vec::new(), range: 0..4 }]);
    }
}
