use std::{
    io::{self, Read},
    panic::AssertUnwindSafe,
};

use bytes::{Buf as _, Bytes};
use futures_util::StreamExt as _;
use mainstay_client::{
    format::{Artifact, ReleaseDescription, ReleaseManifest},
    pack::{self, TreePath},
};
use tokio::sync::{mpsc, oneshot};

use super::PackedPayload;
use crate::{
    service::{Service, ServiceError, ServiceResult, chain},
    store::{BlobStream, StoreError, StoreResult},
};

impl Service {
    /// Reads every artifact of a release as a machine would, down to the last entry of its tree,
    /// and says what is wrong.
    pub(super) async fn artifact_problems(
        &self,
        manifest: &ReleaseManifest,
    ) -> ServiceResult<Vec<String>> {
        let mut problems = Vec::new();
        for (platform, artifact) in &manifest.artifacts {
            let found = self.one_artifact_problems(artifact).await?;
            problems.extend(found.into_iter().map(|problem| format!("{platform}: {problem}")));
        }
        Ok(problems)
    }

    async fn one_artifact_problems(&self, artifact: &Artifact) -> ServiceResult<Vec<String>> {
        let length = match self.blobs.length(&artifact.sha256).await {
            Err(StoreError::NotFound(_)) => {
                return Ok(vec![format!("artifact {} is not uploaded", artifact.sha256)]);
            }
            other => other?,
        };
        if length != artifact.length {
            return Ok(vec![format!(
                "artifact {} has {length} bytes: the manifest says {}",
                artifact.sha256, artifact.length
            )]);
        }
        let packed = PackedPayload::from(artifact);
        if let Some(inspection) = self.reading_ahead.find(&packed) {
            return Ok(description_problems(&inspection, &artifact.description()));
        }
        let content = self.blobs.read(&artifact.sha256, 0..length).await?;
        let reader = StreamReader::new(content);
        let inspection = self.inspector.run(move || inspect(reader, &packed)).await?;
        Ok(match inspection {
            Ok(inspection) => description_problems(&inspection, &artifact.description()),
            Err(error) => vec![chain(&error)],
        })
    }
}

/// The one thread on which artifacts are read. One at a time bounds the memory that decompression
/// takes, however many publish at once; and always on the same thread, because the system's
/// allocator keeps a freed window for each thread that ever had one.
pub(in crate::service) struct Inspector(mpsc::Sender<Inspection>);

type Inspection = Box<dyn FnOnce() + Send>;

impl Inspector {
    pub(in crate::service) fn start() -> Self {
        let (sender, mut inspections) = mpsc::channel::<Inspection>(1);
        // It ends when the service, and with it the sender, is gone.
        std::thread::spawn(move || {
            while let Some(inspection) = inspections.blocking_recv() {
                // Whoever asked learns of a panic by getting no answer; the thread must go on.
                let _panicked = std::panic::catch_unwind(AssertUnwindSafe(inspection));
            }
        });
        Self(sender)
    }

    /// Has the thread inspect something, unless it has enough to do.
    pub(super) fn begin(&self, inspect: impl FnOnce() + Send + 'static) -> bool {
        self.0.try_send(Box::new(inspect)).is_ok()
    }

    async fn run<T: Send + 'static>(
        &self,
        inspect: impl FnOnce() -> T + Send + 'static,
    ) -> ServiceResult<T> {
        let (answer, answered) = oneshot::channel();
        let inspection = move || {
            // Whoever asked may have hung up.
            let _unheard = answer.send(inspect());
        };
        self.0.send(Box::new(inspection)).await.map_err(|_| ended())?;
        answered.await.map_err(|_| ended())
    }
}

fn ended() -> ServiceError {
    ServiceError::internal("the thread that reads artifacts gave no answer".to_owned())
}

/// Reads an artifact to its end, which must be what it is said to be.
pub(super) fn inspect(
    reader: impl Read,
    artifact: &PackedPayload,
) -> Result<pack::Inspection, pack::Error> {
    let PackedPayload { payload, window_log, .. } = *artifact;
    pack::verify_artifact(reader, payload, window_log, &pack::Limits::default())
}

/// What the tree says of how it is looked after must be what the manifest says, and what it runs
/// must be there.
fn description_problems(inspection: &pack::Inspection, signed: &ReleaseDescription) -> Vec<String> {
    let described = match &inspection.description {
        None => ReleaseDescription::default(),
        Some(bytes) => {
            let text = String::from_utf8_lossy(bytes);
            match toml::from_str::<ReleaseDescription>(&text) {
                Ok(description) => description,
                Err(error) => return vec![format!("mainstay.toml: {}", error.message())],
            }
        }
    };
    let mut problems = Vec::new();
    for (what, is_same) in [
        ("health check is", described.health == signed.health),
        ("hooks are", described.hooks == signed.hooks),
        ("data epochs are", described.data == signed.data),
        ("requirements are", described.requires == signed.requires),
    ] {
        if !is_same {
            let found = format!("the manifest's {what} not what mainstay.toml says");
            problems.push(found);
        }
    }
    for (name, program) in signed.programs().filter(|(_, program)| program.contains('/')) {
        if !program.parse::<TreePath>().is_ok_and(|path| inspection.is_executable(&path)) {
            problems.push(format!(
                "{name}.command `{}` is not an executable file of the tree",
                program.escape_debug()
            ));
        }
    }
    problems
}

/// A blob's stream as a blocking reader, for use off the runtime's threads. A few pieces are read
/// ahead.
pub(in crate::service) struct StreamReader {
    pieces: mpsc::Receiver<StoreResult<Bytes>>,
    piece: Bytes,
}

impl StreamReader {
    const PIECES_AHEAD: usize = 4;

    pub(in crate::service) fn new(mut content: BlobStream) -> Self {
        let (sender, pieces) = mpsc::channel(Self::PIECES_AHEAD);
        tokio::spawn(async move {
            while let Some(piece) = content.next().await {
                // A closed channel means that the reader has seen enough.
                if sender.send(piece).await.is_err() {
                    break;
                }
            }
        });
        Self { pieces, piece: Bytes::new() }
    }
}

impl Read for StreamReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.pieces.blocking_recv() {
                Some(Ok(piece)) => self.piece = piece,
                Some(Err(error)) => return Err(io::Error::other(error)),
                None => return Ok(0),
            }
        }
        let length = self.piece.len().min(buffer.len());
        let Some(room) = buffer.get_mut(..length) else { return Ok(0) };
        self.piece.copy_to_slice(room);
        Ok(length)
    }
}
