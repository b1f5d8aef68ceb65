use std::{
    io::{BufReader, Read},
    panic, thread,
};

use super::{
    Decompressed, EntryKind, Error, Limits, PayloadIdentity, Summary, TreePath, Verified,
    admission::expect_at_most, copy::BUFFER_BYTES, error::Reason, read_archive,
};
use crate::{format::RELEASE_DESCRIPTION, pipe::pipe};

/// What [`verify`] found in an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Inspection {
    /// How much the archive holds.
    pub summary: Summary,
    /// The bytes of the release description (`mainstay.toml` at the root of the tree), where there
    /// is one.
    pub description: Option<Vec<u8>>,
    /// The files that their owner may execute, in ascending order.
    pub executables: Vec<TreePath>,
}

impl Inspection {
    /// Whether there is a file at `path` that its owner may execute. A symbolic link to one is not
    /// one.
    pub fn is_executable(&self, path: &TreePath) -> bool {
        self.executables.binary_search(path).is_ok()
    }
}

/// Reads an artifact to its end and refuses it unless it needs a window of 2^`window_log` bytes at the most
/// and its payload is what was `expected`, canonical and within `limits`.
///
/// Another thread hashes and verifies what this one decompresses: the hash alone takes longer than
/// decompressing.
pub fn verify_artifact(
    artifact: impl Read,
    expected: PayloadIdentity,
    window_log: u32,
    limits: &Limits,
) -> Result<Inspection, Error> {
    let artifact = BufReader::with_capacity(BUFFER_BYTES, artifact);
    let mut decompressed = Decompressed::new(artifact, expected.length, window_log)?;
    thread::scope(|scope| {
        let (writer, reader) = pipe();
        let verifying = thread::Builder::new()
            .name("verify".to_owned())
            .spawn_scoped(scope, move || {
                let mut payload = Verified::of(reader, expected);
                let inspection = verify(&mut payload, limits)?;
                payload.finish()?;
                Ok(inspection)
            })
            .map_err(|source| Reason::Read { source })?;
        writer.pass_on(&mut decompressed);
        verifying.join().unwrap_or_else(|panic| panic::resume_unwind(panic))
    })
}

/// Reads an archive to its end and refuses it unless it is canonical and within `limits`.
pub fn verify(reader: impl Read, limits: &Limits) -> Result<Inspection, Error> {
    let mut description = None;
    let mut executables = Vec::new();
    let mut executable_path_bytes = 0;
    let summary = read_archive(reader, limits, |entry, content| {
        let EntryKind::File { mode, length } = *entry.kind() else { return Ok(()) };
        if entry.path().as_str() == RELEASE_DESCRIPTION {
            expect_at_most(
                "bytes in the release description mainstay.toml",
                length,
                limits.description_bytes_max,
            )?;
            // Not allocated by the length that the header claims: it grows as bytes come.
            let mut bytes = Vec::new();
            content.read_to_end(&mut bytes).map_err(Error::from_read)?;
            description = Some(bytes);
        }
        if mode.is_executable() {
            executable_path_bytes += entry.path().as_str().len();
            expect_at_most(
                "bytes in the paths of executable files",
                executable_path_bytes as u64,
                limits.executable_path_bytes_max as u64,
            )?;
            executables.push(entry.path().clone());
        }
        Ok::<_, Error>(())
    })?;
    Ok(Inspection { summary, description, executables })
}
