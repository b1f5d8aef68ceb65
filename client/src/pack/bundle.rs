//! A support bundle as a file: an artifact, in which every entry is a file, and one is its heading.

use std::{
    collections::BTreeMap,
    io::{self, Read},
};

use super::{
    ArchiveWriter, Compression, Compressor, Entry, EntryKind, Error, Limits, Mode, TreePath,
    error::Reason, read_archive,
};
use crate::format::BundleHeading;

impl From<Error> for BundleError {
    fn from(error: Error) -> Self {
        Self::Archive(error)
    }
}

/// The files of a support bundle by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bundle(pub BTreeMap<String, Vec<u8>>);

/// Why something is no support bundle.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// It is no archive that is compressed, or holds something else than a few files.
    #[error("it is no archive of a support bundle: {0}")]
    Archive(#[source] Error),
    /// It holds something that is no file.
    #[error("its entry `{0}` is no file: expected files alone")]
    NotAFile(TreePath),
    /// Its heading is missing or says something else.
    #[error("its heading: {0}")]
    Heading(String),
}

impl Bundle {
    /// The binary logarithm of the window, in bytes, by which a bundle is compressed: what it takes of
    /// memory to read it.
    const WINDOW_LOG: u32 = 23;
    /// How hard it is compressed: it is made on a machine that has other work to do.
    const LEVEL: i32 = 9;
    /// The mode of each file: for its owner.
    const MODE: u32 = 0o600;

    fn limits() -> Limits {
        Limits {
            entries_max: BundleHeading::FILES_MAX,
            path_bytes_max: 100,
            payload_bytes_max: BundleHeading::PAYLOAD_BYTES_MAX,
            ..Limits::default()
        }
    }

    /// The bundle in `bytes`, which come from anybody. It takes at most
    /// [`BundleHeading::PAYLOAD_BYTES_MAX`] bytes of memory and the window beside.
    pub fn read(bytes: &[u8]) -> Result<Self, BundleError> {
        let unreadable = |source| BundleError::Archive(Reason::Read { source }.into());
        let mut decoder = zstd::stream::read::Decoder::with_buffer(bytes).map_err(unreadable)?;
        decoder.window_log_max(Self::WINDOW_LOG).map_err(unreadable)?;
        let archive = decoder.take(BundleHeading::PAYLOAD_BYTES_MAX);
        let mut files = BTreeMap::new();
        read_archive::<_, BundleError>(archive, &Self::limits(), |entry, content| {
            let EntryKind::File { .. } = entry.kind() else {
                return Err(BundleError::NotAFile(entry.path().clone()));
            };
            let mut bytes = Vec::new();
            content.read_to_end(&mut bytes).map_err(unreadable)?;
            files.insert(entry.path().to_string(), bytes);
            Ok(())
        })?;
        Ok(Self(files))
    }

    /// What it says of itself.
    pub fn heading(&self) -> Result<BundleHeading, BundleError> {
        let refuse = |detail: String| BundleError::Heading(detail);
        let bytes =
            self.0.get(BundleHeading::FILE).ok_or_else(|| refuse("it is missing".into()))?;
        let heading: BundleHeading =
            serde_json::from_slice(bytes).map_err(|error| refuse(error.to_string()))?;
        if heading.kind != BundleHeading::KIND || heading.format != BundleHeading::FORMAT {
            return Err(refuse(format!(
                "it is `{}` of format {}: expected `{}` of format {}",
                heading.kind.escape_debug(),
                heading.format,
                BundleHeading::KIND,
                BundleHeading::FORMAT
            )));
        }
        Ok(heading)
    }

    /// The one byte sequence that is this bundle.
    pub fn to_bytes(&self) -> Result<Vec<u8>, Error> {
        let compression =
            Compression { level: Self::LEVEL, window_log: Self::WINDOW_LOG, workers: 0 };
        let compressor = Compressor::new(Vec::new(), compression)?;
        let mut archive = ArchiveWriter::new(compressor, &Self::limits());
        let mode = Mode::new(Self::MODE).ok_or_else(|| write_error("a mode that is none"))?;
        for (name, content) in &self.0 {
            let path = name.parse::<TreePath>().map_err(|error| write_error(&error.to_string()))?;
            let entry = Entry::file(path, mode, content.len() as u64);
            archive.add(&entry, &mut content.as_slice())?;
        }
        let (compressor, _) = archive.finish()?;
        compressor.finish()
    }
}

fn write_error(detail: &str) -> Error {
    Reason::Write { source: io::Error::other(detail.to_owned()) }.into()
}
