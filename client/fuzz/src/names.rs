use std::{
    fmt::{Debug, Display},
    num::NonZeroU64,
    str::FromStr,
};

use mainstay_client::{
    format::{
        AdvisoryId, Channel, ChannelName, ContractName, CustomerName, Digest, LineName,
        MachineName, ParseError, Platform, PrivateChannelName, ProductName, Severity, Tag,
        TargetPath, Version,
    },
    pack::{LinkTarget, TreePath},
    tuf::{KeyId, PathPattern, Sha512Digest, role_file_name},
};
use serde::{Serialize, de::DeserializeOwned};

use super::Seeds;

/// A name that is accepted is written as it was read, and no path leads out of where it belongs.
pub(crate) fn run(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    name::<AdvisoryId>(text);
    name::<Channel>(text);
    name::<ChannelName>(text);
    name::<ContractName>(text);
    name::<CustomerName>(text);
    name::<Digest>(text);
    name::<KeyId>(text);
    name::<LineName>(text);
    name::<MachineName>(text);
    name::<Platform>(text);
    name::<PrivateChannelName>(text);
    name::<ProductName>(text);
    name::<Severity>(text);
    name::<Sha512Digest>(text);
    name::<Tag>(text);
    if let Some(version) = name::<Version>(text) {
        let admitting = Channel::ALL.iter().filter(|channel| channel.admits(&version)).count();
        assert!(admitting > 0, "no channel may carry it");
        assert!(version.line() <= version.line());
    }
    if let Some(path) = name::<TargetPath>(text) {
        expect_below(text);
        expect_below(&path.consistent(&Digest::of(b"")));
    }
    let file = role_file_name(text, NonZeroU64::new(7));
    assert!(!file.contains(['/', '\\', '\0']) && file.starts_with("7."), "{file:?}");
    let (link, target) = text.split_once('\n').unwrap_or((text, ""));
    if let Some(link) = parsed::<TreePath>(link) {
        expect_below(link.as_str());
        if let Ok(target) = LinkTarget::new(&link, target) {
            expect_in_tree(&link, target.as_str());
        }
    }
}

fn name<T>(text: &str) -> Option<T>
where
    T: FromStr<Err = ParseError> + Display + Debug + PartialEq + Serialize + DeserializeOwned,
{
    let value = parsed::<T>(text)?;
    let written = serde_json::to_value(&value).unwrap();
    assert_eq!(written, text);
    assert_eq!(serde_json::from_value::<T>(written).unwrap(), value);
    Some(value)
}

fn parsed<T: FromStr<Err = ParseError> + Display>(text: &str) -> Option<T> {
    match text.parse::<T>() {
        Ok(value) => {
            assert_eq!(value.to_string(), text);
            Some(value)
        }
        Err(error) => {
            let message = error.to_string();
            assert!(!message.chars().any(char::is_control), "{message:?}");
            assert!(message.len() < 2000, "{} bytes of a message", message.len());
            None
        }
    }
}

fn expect_below(path: &str) {
    assert!(!path.contains(['\0', '\\']), "{path:?}");
    assert!(path.split('/').all(|segment| !matches!(segment, "" | "." | "..")), "{path:?}");
}

/// Follows a link, in a tree without others.
fn expect_in_tree(link: &TreePath, target: &str) {
    let mut folders: Vec<_> = link.folder().iter().flat_map(|it| it.split('/')).collect();
    assert!(!target.starts_with('/') && !target.contains('\0'), "{target:?}");
    for name in target.split('/') {
        match name {
            "" | "." => {}
            ".." => assert!(folders.pop().is_some(), "{link} -> {target}"),
            name => folders.push(name),
        }
    }
}

pub(crate) fn seeds() -> Seeds {
    let digest = Digest::of(b"").to_string();
    let texts = [
        ("version", "2.4.1-rc.1"),
        ("line", "2.10"),
        ("channel", "security"),
        ("product", "acme-db"),
        ("platform", "linux-x86_64"),
        ("advisory", "CVE-2026-1234"),
        ("target-path", "security/1.0.2/linux-x86_64.tar.zst"),
        ("tree-path", "größe/日本語/a.b"),
        ("link", "a/b/c\n../.././d//e"),
        ("escape", "a/../b"),
        ("digest", digest.as_str()),
    ];
    texts.map(|(name, text)| (name, text.as_bytes().to_vec())).into()
}

/// A pattern and a path, on two lines: they match where they do by the book.
pub(crate) fn path_pattern(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let (pattern, path) = text.split_once('\n').unwrap_or((text, text));
    let Ok(parsed) = PathPattern::try_from(pattern.to_owned()) else { return };
    assert_eq!(parsed.to_string(), pattern);
    let (patterns, segments) =
        (pattern.split('/').collect::<Vec<_>>(), path.split('/').collect::<Vec<_>>());
    let by_the_book = patterns.len() == segments.len()
        && patterns.iter().zip(&segments).all(|(pattern, segment)| stands_for(pattern, segment));
    assert_eq!(parsed.matches(path), by_the_book);
}

/// Whether `pattern` stands for `segment`, from a table of what each beginning of the one stands
/// for of the other.
pub(crate) fn stands_for(pattern: &str, segment: &str) -> bool {
    let segment: Vec<char> = segment.chars().collect();
    let mut row = vec![false; segment.len() + 1];
    row[0] = true;
    for wanted in pattern.chars() {
        let mut next = vec![false; row.len()];
        next[0] = wanted == '*' && row[0];
        for (index, character) in segment.iter().enumerate() {
            next[index + 1] = match wanted {
                '*' => row[index + 1] || next[index],
                '?' => row[index],
                wanted => wanted == *character && row[index],
            };
        }
        row = next;
    }
    row[segment.len()]
}

pub(crate) fn path_pattern_seeds() -> Seeds {
    let long = format!("{}b\n{}", "*a".repeat(40), "a".repeat(80));
    let texts = [
        ("channel", "security/*/*\nsecurity/1.0.2/release.json"),
        ("stars", "a*b*c\naxxbyyc"),
        ("question", "a?c/*\nabc/d"),
        ("characters", "a?c?\na\u{e9}c\u{1f980}"),
        ("segments", "*\na/b"),
        ("slow", long.as_str()),
    ];
    texts.map(|(name, text)| (name, text.as_bytes().to_vec())).into()
}
