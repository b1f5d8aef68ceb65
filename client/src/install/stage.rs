//! A release's tree, unpacked beside the others while it still arrives.

use std::{io::Read, panic, thread};

use rustix::fs::Timespec;

use super::{
    engine::Engine,
    error::{Error, Reason},
    record::Attempt,
    room::Need,
};
use crate::{
    clock,
    format::{Artifact, Version},
    pack::{PayloadIdentity, Verified},
    pipe::pipe,
};

/// A tree in the directory for what is being made: whole, and the one that was signed.
#[derive(Debug)]
pub(super) struct StagedTree {
    pub(super) version: Version,
    payload: PayloadIdentity,
    /// When it had been unpacked.
    pub(super) unpacked: Timespec,
}

impl StagedTree {
    pub(super) fn is_of(&self, attempt: &Attempt) -> bool {
        let Attempt { version, artifact, .. } = attempt;
        (&self.version, self.payload) == (version, PayloadIdentity::from(artifact))
    }
}

impl Engine {
    /// Unpacks `payload` to where it waits to be put in its place, if it is the one that was signed.
    /// Otherwise nothing of it stays.
    pub(super) fn stage(
        &mut self,
        version: &Version,
        artifact: &Artifact,
        payload: &mut (dyn Read + Send),
    ) -> Result<(), Error> {
        self.staged = None;
        let need = Need { path: self.layout.staging(), bytes: artifact.payload_length };
        self.expect_room("the release", &[need])?;
        let staged = self.layout.staged_tree(version);
        self.remove(&staged)?;
        if let Err(error) = self.unpack(version, artifact, payload) {
            // Where this fails too, the next sweep tries again.
            let _ = self.remove(&staged);
            return Err(error);
        }
        self.staged = Some(StagedTree {
            version: version.clone(),
            payload: PayloadIdentity::from(artifact),
            unpacked: clock::wall(),
        });
        Ok(())
    }

    /// Reads and verifies `payload` on another thread, and unpacks it on this one.
    fn unpack(
        &self,
        version: &Version,
        artifact: &Artifact,
        payload: &mut (dyn Read + Send),
    ) -> Result<(), Error> {
        let staged = self.layout.staged_tree(version);
        let mut limits = self.limits.pack.clone();
        limits.payload_bytes_max = limits.payload_bytes_max.min(artifact.payload_length);
        let mut payload = Verified::of(payload, artifact.into());
        let unpacked = thread::scope(|scope| {
            let (writer, mut reader) = pipe();
            let passing = thread::Builder::new()
                .name("decompress".to_owned())
                .spawn_scoped(scope, move || writer.pass_on(&mut payload))
                .map_err(|source| Error::io("start a thread that fills", &staged, source))?;
            let unpacked = self.files.unpack_tree(&mut reader, &staged, &limits);
            // Whoever still writes ends now.
            drop(reader);
            passing.join().unwrap_or_else(|panic| panic::resume_unwind(panic));
            Ok::<_, Error>(unpacked)
        })?;
        unpacked.map(drop).map_err(|source| {
            Reason::Unpack { version: version.clone(), path: staged.clone(), source }.into()
        })
    }
}
