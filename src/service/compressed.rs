//! Metadata as it travels to whoever understands zstd. A file never changes under its digest, so it is
//! compressed once, when it is first asked for, and kept in memory from then on.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, PoisonError},
};

use bytes::Bytes;
use mainstay_client::{fetch::Coding, format::Digest};

use super::{
    Service, ServiceError, ServiceResult,
    repository::{ServedFile, ServedKind},
};

impl Service {
    /// Whether `file` is one that travels compressed: metadata, unless it is so short that nothing
    /// is won. A target travels as it is stored, which is compressed already.
    pub fn is_compressible(&self, file: &ServedFile) -> bool {
        file.kind == ServedKind::Metadata && file.length >= self.limits.compress_bytes_min
    }

    /// The bytes of `file`, compressed by zstd.
    pub async fn compressed(&self, file: &ServedFile) -> ServiceResult<Bytes> {
        if let Some(known) = self.compressed.find(&file.sha256) {
            return Ok(known);
        }
        let whole = self.blobs.bytes(&file.sha256, file.length).await?;
        let compressed = tokio::task::spawn_blocking(move || Coding::compress(&whole))
            .await
            .map_err(ServiceError::internal)?
            .map_err(ServiceError::internal)?;
        let compressed = Bytes::from(compressed);
        self.compressed.keep(file.sha256, compressed.clone());
        Ok(compressed)
    }
}

/// The compressed files that are kept. The oldest give way.
#[derive(Debug)]
pub(super) struct CompressedFiles {
    bytes_max: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    files: HashMap<Digest, Bytes>,
    /// From the oldest on.
    order: VecDeque<Digest>,
    bytes: usize,
}

impl CompressedFiles {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, kept: Mutex::default() }
    }

    fn find(&self, digest: &Digest) -> Option<Bytes> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.files.get(digest).cloned()
    }

    fn keep(&self, digest: Digest, bytes: Bytes) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        // Two requests may have compressed the same file at the same time.
        if bytes.len() > self.bytes_max || kept.files.contains_key(&digest) {
            return;
        }
        kept.bytes += bytes.len();
        kept.order.push_back(digest);
        kept.files.insert(digest, bytes);
        while kept.bytes > self.bytes_max {
            let Some(oldest) = kept.order.pop_front() else { break };
            let gone = kept.files.remove(&oldest).map_or(0, |bytes| bytes.len());
            kept.bytes = kept.bytes.saturating_sub(gone);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_give_way() {
        let files = CompressedFiles::new(10);
        let digests = [b"a", b"b", b"c"].map(|name| Digest::of(name));
        let keep = |index: usize, length| files.keep(digests[index], vec![0; length].into());
        let kept = || digests.map(|digest| files.find(&digest).map(|bytes| bytes.len()));
        keep(0, 4);
        keep(0, 5);
        keep(1, 6);
        assert_eq!(kept(), [Some(4), Some(6), None]);
        keep(2, 1);
        assert_eq!(kept(), [None, Some(6), Some(1)]);
        keep(0, 11);
        assert_eq!(kept(), [None, Some(6), Some(1)]);
        keep(0, 10);
        assert_eq!(kept(), [Some(10), None, None]);
    }
}
