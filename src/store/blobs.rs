//! The store of blobs on whatever `object_store` reaches.

use std::{
    fmt,
    fs::{self, File},
    io::{self, Read as _, Seek as _},
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::{
    StreamExt as _, TryStreamExt as _,
    stream::{self, BoxStream},
};
use mainstay_client::format::{Digest, Hasher};
use object_store::{
    GetOptions, GetRange, GetResultPayload, ObjectStore, ObjectStoreExt as _, PutPayload,
    WriteMultipart, local::LocalFileSystem, memory::InMemory, path::Path as ObjectPath,
};

use super::{BlobStore, BlobStream, StoreError, StoreResult, directory};

/// The size of a part of a multipart upload, in bytes. S3 takes 5 MiB or more.
const PART_BYTES: usize = 8 << 20;
/// The most parts of one upload on their way at the same time, apart from the one being filled.
const PARTS_IN_FLIGHT_MAX: usize = 2;
/// How much of a local file is read at a time, in bytes. `object_store` itself would read 8 KiB,
/// and hand each over from another thread.
const READ_BYTES: usize = 256 << 10;

/// Below what the blobs are.
const FOLDER: &str = "sha256";

/// Blobs as objects named by their digest: `sha256/ab/abcdef…`.
pub struct ObjectBlobs {
    objects: Arc<dyn ObjectStore>,
    /// Where the files are, where objects are files.
    dir: Option<PathBuf>,
    /// How a file becomes one of these.
    rename: Rename,
}

type Rename = fn(&Path, &Path) -> io::Result<()>;

impl ObjectBlobs {
    /// Blobs as files below `dir`, which is created where it is missing. What was not stored whole when a
    /// process before this one ended is removed: nobody else may be storing anything below `dir`.
    pub fn local(dir: &Path) -> StoreResult<Self> {
        let unavailable = |error: &dyn fmt::Display| {
            StoreError::Unavailable(format!("{}: {error}", dir.display()))
        };
        directory::create_durably(dir).map_err(|error| unavailable(&error))?;
        remove_unfinished(dir).map_err(|error| unavailable(&error))?;
        // With fsync a finished file, its name and the directories made for it are durable before
        // a put answers. It is off unless asked for.
        let files = LocalFileSystem::new_with_prefix(dir)
            .map_err(|error| unavailable(&error))?
            .with_fsync(true);
        Ok(Self { objects: Arc::new(files), dir: Some(dir.to_owned()), rename: rename_file })
    }

    /// Blobs that are gone with the process.
    pub fn memory() -> Self {
        Self { objects: Arc::new(InMemory::new()), dir: None, rename: rename_file }
    }

    async fn upload(&self, digest: &Digest, content: &mut Content) -> StoreResult<()> {
        let path = path_of(digest);
        let Gathered { pieces, is_whole } = content.gather(PART_BYTES).await?;
        if is_whole {
            // One request, and nothing is written that has another digest.
            content.check(digest)?;
            let payload = pieces.into_iter().collect::<PutPayload>();
            return self.objects.put(&path, payload).await.map(drop).map_err(refused(digest));
        }
        let parts = self.objects.put_multipart(&path).await.map_err(refused(digest))?;
        let mut upload = WriteMultipart::new_with_chunk_size(parts, PART_BYTES);
        match fill(&mut upload, pieces, digest, content).await {
            Ok(()) => upload.finish().await.map(drop).map_err(refused(digest)),
            Err(error) => {
                if let Err(problem) = upload.abort().await {
                    tracing::warn!(%digest, %problem, "an aborted upload was not cleaned up");
                }
                Err(error)
            }
        }
    }
}

impl fmt::Debug for ObjectBlobs {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "ObjectBlobs({})", self.objects)
    }
}

#[async_trait]
impl BlobStore for ObjectBlobs {
    async fn length(&self, digest: &Digest) -> StoreResult<u64> {
        let head = self.objects.head(&path_of(digest)).await;
        head.map(|meta| meta.size).map_err(refused(digest))
    }

    async fn read(&self, digest: &Digest, range: Range<u64>) -> StoreResult<BlobStream> {
        require_length(digest, self.length(digest).await?, range.end)?;
        if range.is_empty() {
            // An empty range is none in HTTP, and so to object stores.
            return Ok(stream::empty().boxed());
        }
        let options = GetOptions::new().with_range(Some(GetRange::Bounded(range.clone())));
        let found = self.objects.get_opts(&path_of(digest), options).await;
        let digest = *digest;
        match found.map_err(refused(&digest))?.payload {
            GetResultPayload::File(file, _) => Ok(file_pieces(file, range, digest)),
            GetResultPayload::Stream(pieces) => Ok(pieces.map_err(refused(&digest)).boxed()),
        }
    }

    async fn open(&self, digest: &Digest, bytes_min: u64) -> StoreResult<Option<File>> {
        let Some(dir) = &self.dir else { return Ok(None) };
        let (path, digest) = (dir.join(path_of(digest).as_ref()), *digest);
        let opened = tokio::task::spawn_blocking(move || {
            let file = File::open(path)?;
            let length = file.metadata()?.len();
            Ok((file, length))
        });
        let (file, length) = opened.await.map_err(io::Error::other).flatten().map_err(|error| {
            match error.kind() {
                io::ErrorKind::NotFound => StoreError::NotFound(format!("blob {digest}")),
                _ => StoreError::Unavailable(format!("blob {digest}: {error}")),
            }
        })?;
        require_length(&digest, length, bytes_min)?;
        Ok(Some(file))
    }

    fn file_path(&self, digest: &Digest) -> Option<String> {
        self.dir.is_some().then(|| path_of(digest).to_string())
    }

    async fn remove(&self, digest: &Digest) -> StoreResult<()> {
        match self.objects.delete(&path_of(digest)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(refused(digest)(error)),
        }
    }

    async fn put(&self, digest: &Digest, content: BlobStream) -> StoreResult<()> {
        let mut content = Content::new(content);
        match self.length(digest).await {
            // What is sent is read all the same: wrong bytes are told from right ones whether or
            // not the right ones are here already.
            Ok(_) => content.drain(digest).await,
            Err(StoreError::NotFound(_)) => self.upload(digest, &mut content).await,
            Err(error) => Err(error),
        }
    }

    async fn put_file(
        &self,
        digest: &Digest,
        path: &Path,
        found: Option<Digest>,
    ) -> StoreResult<()> {
        let unavailable =
            |error: io::Error| StoreError::Unavailable(format!("{}: {error}", path.display()));
        if let Some(dir) = &self.dir {
            let (from, to, digest) = (path.to_owned(), dir.join(path_of(digest).as_ref()), *digest);
            let rename = self.rename;
            let moving = move || move_in(&from, &to, &digest, found, rename);
            let moved = tokio::task::spawn_blocking(moving).await;
            match moved.map_err(io::Error::other).flatten() {
                Ok(found) => return found,
                Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {}
                Err(error) => return Err(unavailable(error)),
            }
        }
        let file = File::open(path).map_err(unavailable)?;
        let length = file.metadata().map_err(unavailable)?.len();
        self.put(digest, file_pieces(file, 0..length, *digest)).await?;
        fs::remove_file(path).map_err(unavailable)
    }
}

fn rename_file(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)
}

/// Moves the file `from` to where the blob `digest` is to be, durably, or refuses it where it has another
/// digest.
fn move_in(
    from: &Path,
    to: &Path,
    digest: &Digest,
    found: Option<Digest>,
    rename: Rename,
) -> io::Result<StoreResult<()>> {
    let file = File::open(from)?;
    let found = found.map_or_else(|| digest_of(&file), Ok)?;
    if let Err(refusal) = expect_digest(digest, found) {
        return Ok(Err(refusal));
    }
    file.sync_all()?;
    let folder = to.parent().unwrap_or(to);
    directory::create_durably(folder)?;
    rename(from, to)?;
    directory::sync(folder)?;
    Ok(Ok(()))
}

fn digest_of(mut file: &File) -> io::Result<Digest> {
    let mut hasher = Hasher::new();
    let mut piece = vec![0; READ_BYTES];
    loop {
        let read = file.read(&mut piece)?;
        if read == 0 {
            return Ok(hasher.finish());
        }
        hasher.update(piece.get(..read).unwrap_or_default());
    }
}

fn expect_digest(expected: &Digest, found: Digest) -> StoreResult<()> {
    if found == *expected {
        return Ok(());
    }
    Err(StoreError::Conflict(format!(
        "the content has the digest {found}: expected {expected}; send it again"
    )))
}

/// Removes the files that `object_store` has begun and not renamed: their names have a `#`, which no digest
/// has.
fn remove_unfinished(dir: &Path) -> io::Result<()> {
    let Ok(folders) = fs::read_dir(dir.join(FOLDER)) else { return Ok(()) };
    for folder in folders {
        let folder = folder?;
        if !folder.file_type()?.is_dir() {
            continue;
        }
        for file in fs::read_dir(folder.path())? {
            let file = file?;
            if file.file_name().to_string_lossy().contains('#') {
                tracing::info!(file = %file.path().display(), "removed what was not stored whole");
                fs::remove_file(file.path())?;
            }
        }
    }
    Ok(())
}

fn require_length(digest: &Digest, length: u64, bytes_min: u64) -> StoreResult<()> {
    if length >= bytes_min {
        return Ok(());
    }
    let problem = format!("blob {digest} has {length} bytes: expected at least {bytes_min}");
    Err(StoreError::Corrupt(problem))
}

fn path_of(digest: &Digest) -> ObjectPath {
    let text = digest.to_string();
    // One directory for each first byte: file systems and people dislike directories of millions.
    let first: String = text.chars().take(2).collect();
    ObjectPath::from_iter([FOLDER, &first, &text])
}

fn refused(digest: &Digest) -> impl Fn(object_store::Error) -> StoreError + Send + 'static {
    let digest = *digest;
    move |error| match error {
        object_store::Error::NotFound { .. } => StoreError::NotFound(format!("blob {digest}")),
        error => StoreError::Unavailable(format!("blob {digest}: {error}")),
    }
}

/// Hands over the pieces gathered and all that follow, and no more of them at a time than the
/// store takes.
async fn fill(
    upload: &mut WriteMultipart,
    pieces: Vec<Bytes>,
    digest: &Digest,
    content: &mut Content,
) -> StoreResult<()> {
    for piece in pieces {
        upload.put(piece);
    }
    while let Some(piece) = content.next().await? {
        upload.wait_for_capacity(PARTS_IN_FLIGHT_MAX).await.map_err(refused(digest))?;
        upload.put(piece);
    }
    content.check(digest)
}

/// Content on its way in, hashed as it comes.
struct Content {
    pieces: BoxStream<'static, StoreResult<Bytes>>,
    hasher: Hasher,
}

/// The beginning of some content, or all of it.
struct Gathered {
    pieces: Vec<Bytes>,
    is_whole: bool,
}

impl Content {
    fn new(pieces: BlobStream) -> Self {
        Self { pieces, hasher: Hasher::new() }
    }

    async fn next(&mut self) -> StoreResult<Option<Bytes>> {
        let piece = self.pieces.try_next().await?;
        if let Some(piece) = &piece {
            self.hasher.update(piece);
        }
        Ok(piece)
    }

    /// Pieces of at least `bytes` bytes together, or all that there are.
    async fn gather(&mut self, bytes: usize) -> StoreResult<Gathered> {
        let mut pieces = Vec::new();
        let mut gathered = 0;
        while gathered < bytes {
            let Some(piece) = self.next().await? else {
                return Ok(Gathered { pieces, is_whole: true });
            };
            gathered += piece.len();
            pieces.push(piece);
        }
        Ok(Gathered { pieces, is_whole: false })
    }

    /// Whether what came so far has this digest.
    fn check(&self, digest: &Digest) -> StoreResult<()> {
        expect_digest(digest, self.hasher.clone().finish())
    }

    /// Reads to the end and checks the digest of the whole.
    async fn drain(&mut self, digest: &Digest) -> StoreResult<()> {
        while self.next().await?.is_some() {}
        self.check(digest)
    }
}

/// The bytes `range` of a local file, read piece by piece where blocking is allowed.
fn file_pieces(file: File, range: Range<u64>, digest: Digest) -> BlobStream {
    stream::try_unfold((file, range), move |(file, range)| async move {
        if range.is_empty() {
            return Ok(None);
        }
        let read = tokio::task::spawn_blocking(move || read_piece(file, range)).await;
        read.map_err(io::Error::other)
            .flatten()
            .map(Some)
            .map_err(|error| StoreError::Unavailable(format!("blob {digest}: {error}")))
    })
    .boxed()
}

fn read_piece(mut file: File, range: Range<u64>) -> io::Result<(Bytes, (File, Range<u64>))> {
    let length = (range.end - range.start).min(READ_BYTES as u64);
    file.seek(io::SeekFrom::Start(range.start))?;
    let mut piece = Vec::with_capacity(READ_BYTES);
    (&mut file).take(length).read_to_end(&mut piece)?;
    if piece.len() as u64 != length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok((piece.into(), (file, range.start + length..range.end)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::contract;

    /// As between two file systems.
    fn cross(_: &Path, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::CrossesDevices.into())
    }

    #[tokio::test]
    async fn a_file_of_another_file_system_is_copied() {
        let folder = tempfile::tempdir().unwrap();
        let store = ObjectBlobs::local(&folder.path().join("blobs")).unwrap();
        let store = ObjectBlobs { rename: cross, ..store };
        contract::blob_store(&store, "across file systems").await;
    }
}
