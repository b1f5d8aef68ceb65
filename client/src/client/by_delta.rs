//! From the tree that is installed, and deltas, into the tree that is to be.

use std::{fs::File, ops::ControlFlow, panic, path::Path, thread, time::Instant};

use super::{
    Client, Progress,
    room::Origin,
    route::{Speeds, Way},
    stage::no_thread,
    update::Wanted,
};
use crate::{
    delta::{self, FileAt, ReadAt},
    error::Error,
    fetch::{Download, Remote},
    format::{DeltaPath, DeltaProfile, DeltaStep, Digest},
    install,
    pack::PayloadIdentity,
    pipe::{PipeWriter, pipe},
};

impl Client {
    /// Fetches the deltas of `path`, and stages what they make of the tree that they are for.
    ///
    /// Nothing is fetched unless there is room, and that tree is the one that was signed as far as can be
    /// told. What is made is unpacked while it is made, and nothing of it stays unless it is what was
    /// signed.
    pub(super) fn stage_by_deltas(
        &mut self,
        wanted: &Wanted,
        path: &DeltaPath,
        kept: &[Digest],
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), Error> {
        self.expect_room_for(wanted, path)?;
        let tree = self.installation.packed_tree(&path.from)?;
        let mut files = Vec::new();
        self.fetch_deltas(path, kept, progress, |download, told| {
            files.push(download.arrive(&self.installation.layout().cache(), told)?);
            Ok(())
        })?;
        let begun = Instant::now();
        let mut old: Box<dyn ReadAt> = Box::new(tree);
        let (mut steps, mut deltas) = (path.steps.iter(), files.iter());
        let last = steps.next_back().zip(deltas.next_back());
        for (step, delta) in steps.zip(deltas) {
            old = Box::new(self.make_between(&*old, delta, step, progress)?);
        }
        let (step, delta) = last.ok_or_else(|| Error::local("a path without a delta"))?;
        self.make_last(&*old, delta, step, wanted, progress)?;
        self.note_making(path, begun);
        Ok(())
    }

    /// Downloads the deltas of `path` durably, if the tree that they are for is the one that was signed.
    pub(super) fn download_deltas(
        &self,
        path: &DeltaPath,
        kept: &[Digest],
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), Error> {
        self.installation.packed_tree(&path.from)?;
        let cache = self.installation.layout().cache();
        self.fetch_deltas(path, kept, progress, |download, told| {
            download.into_cache(&cache, told).map(drop)
        })
    }

    fn fetch_deltas(
        &self,
        path: &DeltaPath,
        kept: &[Digest],
        progress: &mut dyn FnMut(Progress),
        mut fetch: impl FnMut(&Download<'_>, &mut dyn FnMut(u64)) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let length = path.download_bytes();
        let mut before = 0;
        for step in &path.steps {
            let download = self.remote.delta(&self.enrolment.product, step).keeping(kept);
            fetch(&download, &mut Progress::downloading(before, length, progress))?;
            before += step.length;
            if let Some(measured) = download.bytes_per_second() {
                self.note_speed(|speeds| Speeds::take_in(&mut speeds.download, measured));
            }
        }
        Ok(())
    }

    /// Makes room for deltas and what they make, or says that there is none.
    fn expect_room_for(&mut self, wanted: &Wanted, path: &DeltaPath) -> Result<(), Error> {
        let origin = Origin::Fetched { cache_bytes: self.cache_bytes(wanted, Way::Deltas(path)) };
        self.make_room(wanted, origin)?;
        let rooms = self.rooms(wanted, origin)?;
        match rooms.iter().find(|room| room.lack() > 0) {
            None => Ok(()),
            Some(room) => {
                let (lack, path) = (room.lack(), room.path.display());
                Err(Error::local(format!("{lack} bytes too few are free at `{path}`")))
            }
        }
    }

    /// Makes a payload that is no release's to be installed, in a file that has no name and is gone with
    /// this process.
    fn make_between(
        &self,
        old: &dyn ReadAt,
        delta: &Path,
        step: &DeltaStep,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<FileAt, Error> {
        let cache = self.installation.layout().cache();
        let refused = |error| Error::disk(&cache, error);
        let made = tempfile::tempfile_in(&cache).map_err(refused)?;
        let made = Making { remote: &self.remote, step, progress }.run(old, delta, made)?;
        FileAt::new(made).map_err(refused)
    }

    /// Makes the payload that is wanted, and unpacks it on another thread while it is made.
    fn make_last(
        &mut self,
        old: &dyn ReadAt,
        delta: &Path,
        step: &DeltaStep,
        wanted: &Wanted,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), Error> {
        let (made, mut payload) = pipe();
        let attempt = &wanted.attempt();
        let (remote, installation) = (&self.remote, &mut self.installation);
        let (applied, staged) = thread::scope(|scope| {
            let staging = thread::Builder::new()
                .name("unpack".to_owned())
                .spawn_scoped(scope, move || installation.stage(attempt, &mut payload))
                .map_err(|error| no_thread(&error))?;
            // Where it breaks off the payload has no end, and nobody takes the tree for a whole one.
            let applied = Making { remote, step, progress }.run(old, delta, made);
            let applied = applied.map(PipeWriter::finish);
            let staged = staging.join().unwrap_or_else(|panic| panic::resume_unwind(panic));
            Ok::<_, Error>((applied, staged))
        })?;
        match staged {
            Ok(()) => applied,
            // That the payload broke off has a reason.
            Err(error) if error.kind() == install::ErrorKind::Transfer => {
                applied?;
                Err(error.into())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Notes how fast payloads are made by deltas of a profile, where that can be told.
    fn note_making(&self, path: &DeltaPath, begun: Instant) {
        const MEASURED_BYTES_MIN: u64 = 1 << 20;
        let made = path.steps.iter().map(|step| step.payload_length);
        let made = made.fold(0, u64::saturating_add);
        let profiles: Vec<_> = path.steps.iter().map(|step| step.profile).collect();
        let Some(profile) = profiles.first().filter(|first| profiles.iter().all(|it| it == *first))
        else {
            return;
        };
        if made < MEASURED_BYTES_MIN {
            return;
        }
        let rate = u128::from(made) * 1_000_000 / begun.elapsed().as_micros().max(1);
        let rate = u64::try_from(rate).unwrap_or(u64::MAX);
        self.note_speed(|speeds| match profile {
            DeltaProfile::Fast => Speeds::take_in(&mut speeds.fast, rate),
            DeltaProfile::Compact => Speeds::take_in(&mut speeds.compact, rate),
            DeltaProfile::Other => {}
        });
    }
}

/// A payload that is about to be made.
struct Making<'a> {
    remote: &'a Remote,
    step: &'a DeltaStep,
    progress: &'a mut dyn FnMut(Progress),
}

impl Making<'_> {
    fn run<W: std::io::Write>(self, old: &dyn ReadAt, file: &Path, output: W) -> Result<W, Error> {
        let Self { remote, step, progress } = self;
        let opened = File::open(file).and_then(FileAt::new);
        let delta = opened.map_err(|error| Error::disk(file, error))?;
        let expected = PayloadIdentity { length: step.payload_length, sha256: step.payload_sha256 };
        let applied =
            delta::apply(old, &delta, &expected, &delta::Limits::default(), output, &mut |told| {
                if let delta::Progress::Applying { done, total } = told {
                    progress(Progress::Making { made: done, length: total });
                }
                match remote.expect_wanted() {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(_) => ControlFlow::Break(()),
                }
            });
        applied.map_err(|error| match error.kind() {
            delta::ErrorKind::Cancelled => Error::cancelled(),
            _ => error.into(),
        })
    }
}
