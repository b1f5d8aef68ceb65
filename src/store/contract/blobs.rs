//! Blobs.

use std::path::Path;

use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use mainstay_client::format::Digest;

use super::{
    super::{BlobStore, BlobStream, StoreError, StoreResult},
    conflict, missing,
};

pub(super) async fn content(store: &dyn BlobStore) {
    let unknown = Digest::of(b"never stored");
    assert!(missing(store.length(&unknown).await).contains(&unknown.to_string()));
    missing(read(store, &unknown, 0..1).await);
    missing(read(store, &unknown, 0..0).await);

    for text in [&b""[..], b"some content"] {
        let digest = Digest::of(text);
        store.put(&digest, pieces(text, 5)).await.unwrap();
        store.put(&digest, pieces(text, 3)).await.unwrap();
        assert_eq!(store.length(&digest).await.unwrap(), text.len() as u64);
        assert_eq!(store.bytes(&digest, 12).await.unwrap(), text);
    }
    let digest = Digest::of(b"some content");
    let error = store.bytes(&digest, 11).await.unwrap_err();
    assert!(error.to_string().contains("12 bytes: expected at most 11"), "{error}");
}

pub(super) async fn removal(store: &dyn BlobStore, scope: &str) {
    let [text, other] = ["to be removed", "to stay"].map(|it| format!("{scope}: {it}"));
    let [digest, kept] = [&text, &other].map(|it| Digest::of(it.as_bytes()));
    store.put(&digest, pieces(text.as_bytes(), 5)).await.unwrap();
    store.put(&kept, pieces(other.as_bytes(), 5)).await.unwrap();
    for _ in 0..2 {
        store.remove(&digest).await.unwrap();
        missing(store.length(&digest).await);
    }
    assert_eq!(store.bytes(&kept, 100).await.unwrap(), other.as_bytes());
    store.put(&digest, pieces(text.as_bytes(), 5)).await.unwrap();
    assert_eq!(store.bytes(&digest, 100).await.unwrap(), text.as_bytes());
}

pub(super) async fn ranges(store: &dyn BlobStore) {
    // More than is read at a time.
    let content = noise(700_000, 1);
    let digest = Digest::of(&content);
    store.put(&digest, pieces(&content, 64 << 10)).await.unwrap();
    for (start, end) in
        [(0, 700_000), (0, 1), (699_999, 700_000), (1, 600_001), (5, 5), (262_144, 262_145)]
    {
        let found = read(store, &digest, start as u64..end as u64).await.unwrap();
        assert!(found == content[start..end], "{start}..{end}");
    }
    for beyond in [0..700_001, 700_000..700_001, 900_000..900_001] {
        let error = read(store, &digest, beyond.clone()).await.unwrap_err();
        assert!(matches!(error, StoreError::Corrupt(_)), "{beyond:?}: {error}");
    }
}

pub(super) async fn wrong_content(store: &dyn BlobStore, scope: &str) {
    let promised = format!("what was promised to {scope}").into_bytes();
    let expected = Digest::of(&promised);
    let large = noise((8 << 20) + 1, 2);
    for found in [&b""[..], b"something else", &large] {
        let message = conflict(store.put(&expected, pieces(found, 1 << 20)).await);
        let digest = Digest::of(found).to_string();
        assert!(message.contains(&digest) && message.contains(&expected.to_string()), "{message}");
        missing(store.length(&expected).await);
    }
    // Content that breaks off, before and after the first part is on its way.
    for sent in [&b"what was"[..], &large] {
        let broken = stream::once(async { Err(StoreError::Unavailable("gone".to_owned())) });
        let broken = pieces(sent, 1 << 20).chain(broken).boxed();
        let error = store.put(&expected, broken).await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable(_)), "{error}");
        missing(store.length(&expected).await);
    }
    store.put(&expected, pieces(&promised, 4)).await.unwrap();
    conflict(store.put(&expected, pieces(b"something else", 4)).await);
    assert_eq!(store.bytes(&expected, 100).await.unwrap(), promised);
}

pub(super) async fn several_parts(store: &dyn BlobStore) {
    // Pieces that do not fit the parts evenly, a piece of more than one part, and exactly one part.
    for (length, piece) in [((20 << 20) + 3, 1_000_003), (17 << 20, 17 << 20), (8 << 20, 1 << 20)] {
        let content = noise(length, length as u64);
        let digest = Digest::of(&content);
        store.put(&digest, pieces(&content, piece)).await.unwrap();
        assert!(store.bytes(&digest, length as u64).await.unwrap() == content, "{length}");
    }
}

pub(super) async fn two_writers(store: &dyn BlobStore) {
    let content = noise(9 << 20, 5);
    let digest = Digest::of(&content);
    let put = || store.put(&digest, pieces(&content, 1 << 20));
    let (a, b) = tokio::join!(put(), put());
    a.unwrap();
    b.unwrap();
    assert!(store.bytes(&digest, u64::MAX).await.unwrap() == content);
}

pub(super) async fn whole_files(store: &dyn BlobStore, scope: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("arrived.part");
    let content = [scope.as_bytes(), &noise(700_000, 9)].concat();
    let digest = Digest::of(&content);
    std::fs::write(&path, b"something else").unwrap();
    for found in [None, Some(Digest::of(b"something else"))] {
        let message = conflict(store.put_file(&digest, &path, found).await);
        assert!(message.contains(&digest.to_string()), "{message}");
    }
    missing(store.length(&digest).await);
    assert_eq!(std::fs::read(&path).unwrap(), b"something else", "what is refused stays");
    // The second time it is there already.
    for found in [None, Some(digest)] {
        std::fs::write(&path, &content).unwrap();
        store.put_file(&digest, &path, found).await.unwrap();
        assert!(!path.exists());
        assert!(store.bytes(&digest, u64::MAX).await.unwrap() == content);
    }
    let error = store.put_file(&digest, &path, None).await.unwrap_err();
    assert!(error.to_string().contains("arrived.part"), "{error}");
}

/// Files below `dir` that are not the whole of a blob: each blob's name is its digest.
pub(super) fn unfinished_files(dir: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            names.extend(unfinished_files(&entry.path()));
            continue;
        }
        let name = entry.file_name().into_string().unwrap();
        if Digest::of(&std::fs::read(entry.path()).unwrap()).to_string() != name {
            names.push(name);
        }
    }
    names
}

async fn read(
    store: &dyn BlobStore,
    digest: &Digest,
    range: std::ops::Range<u64>,
) -> StoreResult<Vec<u8>> {
    let pieces: Vec<Bytes> = store.read(digest, range).await?.try_collect().await?;
    Ok(pieces.concat())
}

fn pieces(content: &[u8], length: usize) -> BlobStream {
    let pieces: Vec<_> =
        content.chunks(length).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    stream::iter(pieces).boxed()
}

/// Bytes without a pattern that a mistake in an offset could hide in.
fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        bytes.extend_from_slice(&next());
    }
    bytes.truncate(length);
    bytes
}
