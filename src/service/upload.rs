//! Blobs on their way in: streamed, resumable after a cut, named by their own digest.

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use mainstay_client::format::{Digest, Hasher, wire::UploadState};
use tokio::{
    fs::{self, File},
    io::AsyncWriteExt as _,
};

use super::{
    ErrorClass, Service, ServiceError, ServiceResult,
    publish::{PackedPayload, Reading},
};
use crate::store::StoreError;

/// The unfinished uploads of this process.
pub struct Uploads {
    dir: PathBuf,
    busy: Mutex<BTreeSet<Digest>>,
}

impl Uploads {
    pub(super) fn new(dir: PathBuf) -> Self {
        Self { dir, busy: Mutex::default() }
    }

    fn part(&self, digest: &Digest) -> PathBuf {
        self.dir.join(format!("{digest}.part"))
    }

    /// Claims an upload, so that two writers never append to one file.
    fn claim(&self, digest: Digest) -> ServiceResult<Claim<'_>> {
        let claimed = self.busy.lock().unwrap_or_else(PoisonError::into_inner).insert(digest);
        // A `Claim` made for whoever is refused would end the other's claim as it is dropped.
        if claimed {
            return Ok(Claim { uploads: self, digest });
        }
        Err(ServiceError::new(
            ErrorClass::Conflict,
            "UPLOAD_BUSY",
            format!("blob {digest} is being uploaded by somebody else: wait and ask again"),
        ))
    }
}

struct Claim<'a> {
    uploads: &'a Uploads,
    digest: Digest,
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.uploads.busy.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.digest);
    }
}

impl Service {
    /// How much of a blob has arrived.
    pub async fn upload_state(&self, digest: &Digest) -> ServiceResult<UploadState> {
        match self.blobs.length(digest).await {
            Ok(received) => Ok(UploadState { received, complete: true }),
            Err(StoreError::NotFound(_)) => {
                let received = match fs::metadata(self.uploads.part(digest)).await {
                    Ok(metadata) => metadata.len(),
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => 0,
                    Err(error) => return Err(error.into()),
                };
                Ok(UploadState { received, complete: false })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Takes in `content` as the bytes from `offset` on of the blob `digest`, which has `length`
    /// bytes in all. What arrives before a cut is kept; the whole blob is stored if it has the
    /// digest that it is named by, and thrown away otherwise. One that is said to be an `artifact` is read
    /// as it arrives, unless another is, so that publishing it takes less time.
    pub async fn upload<E: std::fmt::Display>(
        &self,
        digest: &Digest,
        offset: u64,
        length: u64,
        artifact: Option<PackedPayload>,
        content: impl Stream<Item = Result<Bytes, E>>,
    ) -> ServiceResult<UploadState> {
        let bytes_max = self.limits.blob_bytes_max;
        if length > bytes_max {
            return Err(ServiceError::new(
                ErrorClass::TooLarge,
                "BLOB_TOO_LARGE",
                format!("the blob has {length} bytes: expected at most {bytes_max}"),
            ));
        }
        if offset > length {
            return Err(ServiceError::input(format!(
                "offset {offset} is beyond the {length} bytes that were announced"
            )));
        }
        let claim = self.uploads.claim(*digest)?;
        let state = self.upload_state(digest).await?;
        if state.complete {
            return Ok(state);
        }
        if state.received != offset {
            return Err(ServiceError::new(
                ErrorClass::Conflict,
                "UPLOAD_OFFSET",
                format!(
                    "the upload stands at byte {}, not {offset}: go on from there",
                    state.received
                ),
            ));
        }
        fs::create_dir_all(&self.uploads.dir).await?;
        let path = self.uploads.part(digest);
        let file = File::options().append(true).create(true).open(&path).await?;
        let reading = match artifact {
            Some(artifact) if artifact.sha256 == *digest && offset == 0 => {
                let arriving = File::open(&path).await?.into_std().await;
                self.reading_ahead.begin(artifact, arriving)
            }
            _ => None,
        };
        let appended = append(file, offset, length, reading.as_ref(), content).await;
        if appended.as_ref().is_err_and(|error| error.code() == ServiceError::STORAGE_FULL) {
            // The server needs the room more than this upload does.
            fs::remove_file(&path).await?;
        }
        let Appended { received, sha256 } = appended?;
        if received < length {
            return Ok(UploadState { received, complete: false });
        }
        let stored = self.blobs.put_file(digest, &path, sha256).await;
        if matches!(stored, Err(StoreError::Conflict(_))) {
            fs::remove_file(&path).await?;
        }
        drop(claim);
        match stored {
            Ok(()) => {
                if let Some(reading) = reading
                    && let Some((artifact, inspection)) = reading.end().await
                {
                    self.reading_ahead.keep(artifact, inspection);
                }
                Ok(UploadState { received: length, complete: true })
            }
            Err(StoreError::Conflict(message)) => Err(ServiceError::new(
                ErrorClass::Refused,
                "BLOB_MISMATCH",
                format!("{message}; what had arrived is thrown away: upload the blob again"),
            )),
            Err(error) => Err(error.into()),
        }
    }

    /// Stores a document that the server has in memory.
    pub(super) async fn put_blob(&self, bytes: &[u8]) -> ServiceResult<Digest> {
        let digest = Digest::of(bytes);
        let content = stream::once(std::future::ready(Ok(Bytes::copy_from_slice(bytes))));
        self.blobs.put(&digest, content.boxed()).await?;
        Ok(digest)
    }
}

/// What a file is that was appended to.
struct Appended {
    /// How long it is, in bytes.
    received: u64,
    /// Its digest, where it was empty before.
    sha256: Option<Digest>,
}

/// Appends `content` to `file`. More than `length` bytes are refused, and the file is left as it was.
async fn append<E: std::fmt::Display>(
    mut file: File,
    offset: u64,
    length: u64,
    reading: Option<&Reading>,
    content: impl Stream<Item = Result<Bytes, E>>,
) -> ServiceResult<Appended> {
    let mut content = std::pin::pin!(content);
    let mut hasher = (offset == 0).then(Hasher::new);
    let mut received = offset;
    let mut cut = None;
    while let Some(piece) = content.next().await {
        match piece {
            Ok(piece) if received + piece.len() as u64 > length => {
                file.set_len(offset).await?;
                return Err(ServiceError::input(format!(
                    "the body reaches beyond the {length} bytes that were announced"
                )));
            }
            Ok(piece) => {
                file.write_all(&piece).await?;
                // What was written before is there now; of this piece it is not known yet.
                if let Some(reading) = reading {
                    reading.note(received);
                }
                // Meanwhile it is being written.
                if let Some(hasher) = &mut hasher {
                    hasher.update(&piece);
                }
                received += piece.len() as u64;
            }
            Err(error) => {
                cut = Some(error.to_string());
                break;
            }
        }
    }
    file.flush().await?;
    if let Some(reading) = reading {
        reading.note(received);
    }
    match cut {
        Some(error) => Err(ServiceError::input(format!(
            "the body was cut after byte {received} ({error}): ask for the upload's state and go \
             on from there"
        ))),
        None => Ok(Appended { received, sha256: hasher.map(Hasher::finish) }),
    }
}
