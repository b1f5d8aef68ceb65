//! From the server into a tree, in one pass.

use std::{io, panic, thread};

use super::{
    Client, ExpectedWay, Progress,
    room::Origin,
    route::{Speeds, Way},
    update::Wanted,
};
use crate::{
    error::{Error, ErrorKind, with_sources},
    fetch::Arrival,
    format::{
        DeltaPath, Digest,
        wire::{FailedWay, Fetched, FetchedBy},
    },
    pack::Decompressed,
    pipe::pipe,
};

/// What has come of the ways that were tried.
struct Tried {
    failed: Vec<FailedWay>,
    /// The files that stay in the cache whatever is fetched next.
    kept: Vec<Digest>,
}

impl Tried {
    fn nothing(wanted: &Wanted) -> Self {
        Self { failed: Vec::new(), kept: vec![wanted.file.sha256] }
    }

    fn begin(&mut self, path: &DeltaPath) {
        self.kept.extend(path.steps.iter().map(|step| step.sha256));
    }

    /// That deltas came to nothing; not of that which the caller has asked for.
    fn fail(&mut self, path: &DeltaPath, error: Error) -> Result<(), Error> {
        match error.kind() {
            ErrorKind::Cancelled => return Err(error),
            // What a connection has brought is gone on with the next time.
            ErrorKind::Network => {}
            _ => self.kept.retain(|file| path.steps.iter().all(|step| step.sha256 != *file)),
        }
        self.failed.push(FailedWay::new(FetchedBy::Delta, &with_sources(&error)));
        Ok(())
    }
}

impl Client {
    /// Brings the payload of what is wanted into a tree that waits to be installed: by the way that is
    /// expected to be the best, and where that comes to nothing by the next one.
    ///
    /// While an artifact arrives it goes into the cache, is decompressed and unpacked; what deltas make is
    /// unpacked while they make it. Nothing of that stays unless the payload, and the artifact, are the
    /// ones that were signed; of the cache, whatever may be of use the next time.
    pub(super) fn stage(
        &mut self,
        wanted: &Wanted,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), Error> {
        // What would be refused in the end is refused before anything is fetched.
        self.installation.expect_allowed(&wanted.attempt())?;
        let (mut tried, mut by) = (Tried::nothing(wanted), FetchedBy::Full);
        let mut bytes = wanted.file.length;
        for way in self.ways(wanted) {
            let expected = ExpectedWay::of(way, &wanted.file);
            match way {
                Way::Deltas(path) => {
                    progress(Progress::Way(expected));
                    tried.begin(path);
                    let staged = self.stage_by_deltas(wanted, path, &tried.kept, progress);
                    match staged {
                        Ok(()) => {
                            (by, bytes) = (FetchedBy::Delta, expected.bytes);
                            break;
                        }
                        Err(error) => tried.fail(path, error)?,
                    }
                }
                Way::Full => {
                    if !tried.failed.is_empty() {
                        progress(Progress::Way(expected));
                    }
                    self.stage_artifact(wanted, &tried.kept, progress)?;
                }
            }
        }
        let fetched = Fetched { by, bytes, failed: tried.failed };
        self.note_fetched(&wanted.version, wanted.file.length, &fetched);
        Ok(())
    }

    fn stage_artifact(
        &mut self,
        wanted: &Wanted,
        kept: &[Digest],
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), Error> {
        // Of a rollback, and of a kept tree that turned out to have been changed, nobody has asked yet
        // whether there is room for it.
        let origin = Origin::Fetched { cache_bytes: self.cache_bytes(wanted, Way::Full) };
        self.make_room(wanted, origin)?;
        match self.pass(wanted, kept, progress)? {
            Arrival::Wrong { resumed: true, .. } => self.pass(wanted, kept, progress)?.whole(),
            arrival => arrival.whole(),
        }
        .map(drop)
    }

    fn pass(
        &mut self,
        wanted: &Wanted,
        kept: &[Digest],
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Arrival, Error> {
        let (mut artifact, arriving) = pipe();
        let (length, window_log) = (wanted.artifact.payload_length, wanted.artifact.window_log);
        let mut payload = Decompressed::new(arriving, length, window_log)?;
        let cache = self.installation.layout().cache();
        let download = self.remote.download(&self.enrolment.product, &wanted.file).keeping(kept);
        let attempt = &wanted.attempt();
        let installation = &mut self.installation;
        let (arrival, staged) = thread::scope(|scope| {
            let staging = thread::Builder::new()
                .name("unpack".to_owned())
                .spawn_scoped(scope, move || installation.stage(attempt, &mut payload))
                .map_err(|error| no_thread(&error))?;
            let mut told = Progress::downloading(0, wanted.file.length, progress);
            let arrival = download.through_cache(&cache, &mut artifact, &mut told);
            // Without it the payload has no end, and nobody takes the tree for a whole one.
            match &arrival {
                Ok(Arrival::Whole(_)) => artifact.finish(),
                _ => drop(artifact),
            }
            let staged = staging.join().unwrap_or_else(|panic| panic::resume_unwind(panic));
            Ok::<_, Error>((arrival?, staged))
        })?;
        if let Some(measured) = download.bytes_per_second() {
            self.note_speed(|speeds| Speeds::take_in(&mut speeds.download, measured));
        }
        // What the bytes are is judged before what is in them.
        if let Arrival::Whole(_) = arrival {
            staged.inspect_err(|error| self.installation.note_unstaged(attempt, error))?;
        }
        Ok(arrival)
    }
}

pub(super) fn no_thread(error: &io::Error) -> Error {
    Error::local(format!("no thread could be started that unpacks the release: {error}"))
}
