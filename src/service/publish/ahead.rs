//! Artifacts that are read while they arrive, so that publishing need not wait for it.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, Read},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use mainstay_client::{
    format::{Artifact, Digest},
    pack::{Inspection, PayloadIdentity},
};
use tokio::sync::{Semaphore, oneshot};

use super::artifact::{Inspector, inspect};

/// What an artifact is said to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PackedPayload {
    /// The artifact's digest.
    pub sha256: Digest,
    /// What it decompresses to.
    pub payload: PayloadIdentity,
    /// The binary logarithm of the window that this takes, in bytes.
    pub window_log: u32,
}

impl From<&Artifact> for PackedPayload {
    fn from(artifact: &Artifact) -> Self {
        let Artifact { sha256, window_log, .. } = *artifact;
        Self { sha256, payload: PayloadIdentity::from(artifact), window_log }
    }
}

/// Reads artifacts ahead, on a thread of its own: somebody's slow upload must keep nobody from publishing.
pub(in crate::service) struct ReadingAhead {
    inspector: Inspector,
    /// One at a time: what decompression takes of memory is bounded by that.
    free: Arc<Semaphore>,
    /// What was found sound lately, the oldest first.
    sound: Mutex<VecDeque<(PackedPayload, Arc<Inspection>)>>,
}

impl ReadingAhead {
    const SOUND_MAX: usize = 8;

    pub(in crate::service) fn start() -> Self {
        let free = Arc::new(Semaphore::new(1));
        Self { inspector: Inspector::start(), free, sound: Mutex::default() }
    }

    /// Begins to read the artifact that arrives in `file`; nothing while another is read so, which is then
    /// read when it is published.
    pub(in crate::service) fn begin(&self, artifact: PackedPayload, file: File) -> Option<Reading> {
        let turn = Arc::clone(&self.free).try_acquire_owned().ok()?;
        let arrived = Arc::new(Arrived::default());
        let arriving = ArrivingFile { file, read: 0, arrived: Arc::clone(&arrived) };
        let (answer, found) = oneshot::channel();
        let begun = self.inspector.begin(move || {
            let inspection = inspect(arriving, &artifact).ok();
            drop(turn);
            // Whoever uploads may have hung up.
            let _unheard = answer.send(inspection);
        });
        begun.then_some(Reading { artifact, arriving: Arriving(arrived), found })
    }

    /// Remembers what is in an artifact that is sound, and stored.
    pub(in crate::service) fn keep(&self, artifact: PackedPayload, inspection: Inspection) {
        let mut sound = self.sound();
        if sound.len() == Self::SOUND_MAX {
            sound.pop_front();
        }
        sound.push_back((artifact, Arc::new(inspection)));
    }

    /// What is in an artifact that was found to be what it is said to be.
    pub(super) fn find(&self, artifact: &PackedPayload) -> Option<Arc<Inspection>> {
        let sound = self.sound();
        let found = sound.iter().rev().find(|(known, _)| known == artifact);
        found.map(|(_, inspection)| Arc::clone(inspection))
    }

    fn sound(&self) -> MutexGuard<'_, VecDeque<(PackedPayload, Arc<Inspection>)>> {
        self.sound.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An artifact that is being read while it arrives. Where this is dropped, no more arrives.
pub(in crate::service) struct Reading {
    artifact: PackedPayload,
    arriving: Arriving,
    found: oneshot::Receiver<Option<Inspection>>,
}

impl Reading {
    /// Notes that so many bytes of the file are there.
    pub(in crate::service) fn note(&self, bytes: u64) {
        self.arriving.0.change(|state| state.bytes = bytes);
    }

    /// What is in the artifact, all of which is there; nothing where it is not sound, which publishing will
    /// say.
    pub(in crate::service) async fn end(self) -> Option<(PackedPayload, Inspection)> {
        let Self { artifact, arriving, found } = self;
        drop(arriving);
        found.await.ok().flatten().map(|inspection| (artifact, inspection))
    }
}

struct Arriving(Arc<Arrived>);

impl Drop for Arriving {
    fn drop(&mut self) {
        self.0.change(|state| state.is_over = true);
    }
}

/// How much of a file has arrived.
#[derive(Default)]
struct Arrived {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    bytes: u64,
    is_over: bool,
}

impl Arrived {
    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }

    /// How many bytes have arrived, once there are more than `bytes` or no more arrive.
    fn beyond(&self, bytes: u64) -> u64 {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let waits = |state: &mut State| state.bytes <= bytes && !state.is_over;
        let state = self.changed.wait_while(state, waits);
        state.unwrap_or_else(PoisonError::into_inner).bytes
    }
}

/// A file, read no further than what has arrived, which is waited for.
struct ArrivingFile {
    file: File,
    read: u64,
    arrived: Arc<Arrived>,
}

impl Read for ArrivingFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let there = self.arrived.beyond(self.read).saturating_sub(self.read);
        let read = (&mut self.file).take(there).read(buffer)?;
        self.read += read as u64;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write as _, thread};

    use mainstay_client::pack::{ArchiveWriter, Compression, Compressor, Limits};

    use super::*;

    /// An empty tree, packed.
    fn packed() -> (PackedPayload, Vec<u8>) {
        let (payload, _) = ArchiveWriter::new(Vec::new(), &Limits::default()).finish().unwrap();
        let compression = Compression { level: 3, window_log: 20, workers: 0 };
        let mut compressor = Compressor::new(Vec::new(), compression).unwrap();
        compressor.write_all(&payload).unwrap();
        let bytes = compressor.finish().unwrap();
        let payload =
            PayloadIdentity { length: payload.len() as u64, sha256: Digest::of(&payload) };
        (PackedPayload { sha256: Digest::of(&bytes), payload, window_log: 20 }, bytes)
    }

    /// Has `bytes` arrive one by one, the last after what waits for it has begun to.
    async fn arrive(
        ahead: &ReadingAhead,
        artifact: PackedPayload,
        bytes: &[u8],
    ) -> Option<(PackedPayload, Inspection)> {
        let file = tempfile::NamedTempFile::new().unwrap();
        let reading = ahead.begin(artifact, file.reopen().unwrap()).unwrap();
        let mut file = file.into_file();
        for (index, byte) in bytes.iter().enumerate() {
            file.write_all(&[*byte]).unwrap();
            reading.note(index as u64 + 1);
            thread::yield_now();
        }
        reading.end().await
    }

    #[tokio::test]
    async fn what_arrives_is_read_as_it_arrives() {
        let ahead = ReadingAhead::start();
        let (artifact, bytes) = packed();
        let (of, inspection) = arrive(&ahead, artifact, &bytes).await.unwrap();
        assert_eq!(of, artifact);
        assert!(ahead.find(&artifact).is_none(), "it is not stored yet");
        ahead.keep(of, inspection.clone());
        assert_eq!(ahead.find(&artifact).as_deref(), Some(&inspection));
        let other = PackedPayload { window_log: 21, ..artifact };
        assert!(ahead.find(&other).is_none());
    }

    #[tokio::test]
    async fn what_is_cut_or_other_than_it_is_said_to_be_is_not_sound() {
        let ahead = ReadingAhead::start();
        let (artifact, bytes) = packed();
        for end in [0, 1, bytes.len() - 1] {
            assert!(arrive(&ahead, artifact, &bytes[..end]).await.is_none(), "{end} bytes");
        }
        let longer = [&bytes[..], b"."].concat();
        assert!(arrive(&ahead, artifact, &longer).await.is_none());
        let sha256 = Digest::of(b"something else");
        let payload = PayloadIdentity { sha256, ..artifact.payload };
        assert!(arrive(&ahead, PackedPayload { payload, ..artifact }, &bytes).await.is_none());
    }

    #[tokio::test]
    async fn one_is_read_at_a_time() {
        let ahead = ReadingAhead::start();
        let (artifact, bytes) = packed();
        let begin = || ahead.begin(artifact, tempfile::tempfile().unwrap());
        let first = begin().unwrap();
        assert!(begin().is_none());
        assert!(first.end().await.is_none(), "nothing has arrived");
        assert!(arrive(&ahead, artifact, &bytes).await.is_some());
    }

    #[test]
    fn the_latest_are_kept() {
        let ahead = ReadingAhead::start();
        let (artifact, bytes) = packed();
        let inspection = inspect(&bytes[..], &artifact).unwrap();
        let numbered = |number: usize| {
            let sha256 = Digest::of(&number.to_be_bytes());
            PackedPayload { sha256, ..artifact }
        };
        for number in 0..=ReadingAhead::SOUND_MAX {
            ahead.keep(numbered(number), inspection.clone());
        }
        assert!(ahead.find(&numbered(0)).is_none());
        assert!(ahead.find(&numbered(1)).is_some());
    }
}
