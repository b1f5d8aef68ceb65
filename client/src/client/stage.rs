//! From the server into a tree, in one pass.

use std::{io, panic, path::PathBuf, thread};

use super::{Client, Progress, room::Origin, update::Wanted};
use crate::{error::Error, fetch::Arrival, pack::Decompressed, pipe::pipe};

impl Client {
    /// Brings the artifact of what is wanted into a tree that waits to be installed, and says where in
    /// the cache the artifact is.
    ///
    /// While it arrives it goes into the cache, is decompressed and unpacked. Nothing of that stays
    /// unless artifact and payload are the ones that were signed; of the cache, whatever may be of use
    /// the next time.
    pub(super) fn stage(
        &mut self,
        wanted: &Wanted,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<PathBuf, Error> {
        // What would be refused in the end is refused before anything is fetched.
        self.installation.expect_allowed(&wanted.attempt())?;
        // Of a rollback, and of a kept tree that turned out to have been changed, nobody has asked yet
        // whether there is room for it.
        self.make_room(wanted, Origin::Fetched)?;
        match self.pass(wanted, progress)? {
            Arrival::Wrong { resumed: true, .. } => self.pass(wanted, progress)?.whole(),
            arrival => arrival.whole(),
        }
    }

    fn pass(
        &mut self,
        wanted: &Wanted,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Arrival, Error> {
        let (mut artifact, arriving) = pipe();
        let (length, window_log) = (wanted.artifact.payload_length, wanted.artifact.window_log);
        let mut payload = Decompressed::new(arriving, length, window_log)?;
        let cache = self.installation.layout().cache();
        let download = self.remote.download(&self.enrolment.product, &wanted.file);
        let attempt = &wanted.attempt();
        let installation = &mut self.installation;
        let (arrival, staged) = thread::scope(|scope| {
            let staging = thread::Builder::new()
                .name("unpack".to_owned())
                .spawn_scoped(scope, move || installation.stage(attempt, &mut payload))
                .map_err(|error| no_thread(&error))?;
            let mut told = Progress::downloading(wanted.file.length, progress);
            let arrival = download.through_cache(&cache, &mut artifact, &mut told);
            // Without it the payload has no end, and nobody takes the tree for a whole one.
            match &arrival {
                Ok(Arrival::Whole(_)) => artifact.finish(),
                _ => drop(artifact),
            }
            let staged = staging.join().unwrap_or_else(|panic| panic::resume_unwind(panic));
            Ok::<_, Error>((arrival?, staged))
        })?;
        // What the bytes are is judged before what is in them.
        if let Arrival::Whole(_) = arrival {
            staged.inspect_err(|error| self.installation.note_unstaged(attempt, error))?;
        }
        Ok(arrival)
    }
}

fn no_thread(error: &io::Error) -> Error {
    Error::local(format!("no thread could be started that unpacks the release: {error}"))
}
