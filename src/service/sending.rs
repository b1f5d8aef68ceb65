//! Files of repositories on their way to whoever may have them, counted as they go.

use std::{fs::File, io, ops::Range, str::FromStr};

use futures_util::{StreamExt as _, TryStreamExt as _, stream::BoxStream};
use prometheus_client::metrics::counter::Counter;

use super::{
    Service, ServiceError, ServiceResult,
    delta::DeltaDownload,
    repository::{ServedFile, ServedKind},
};
use crate::access_log::Answering;

/// The bytes of a file, piece by piece.
pub type Pieces = BoxStream<'static, io::Result<bytes::Bytes>>;

impl Service {
    /// The bytes `range` of a file.
    pub async fn read(&self, file: &ServedFile, range: Range<u64>) -> ServiceResult<Pieces> {
        let pieces = self.blobs.read(&file.sha256, range.clone()).await?;
        let mut tally = self.counted(file, &range);
        let counted = pieces.inspect_ok(move |piece| tally.note(piece.len() as u64));
        Ok(counted.map_err(|error| io::Error::other(ServiceError::from(error))).boxed())
    }

    /// The bytes `range` of a file, for whoever can send them without reading them; nothing where files are
    /// not on this machine.
    pub async fn open_file(
        &self,
        file: &ServedFile,
        range: Range<u64>,
    ) -> ServiceResult<Option<FilePart>> {
        let opened = self.blobs.open(&file.sha256, range.end).await?;
        let tally = self.counted(file, &range);
        Ok(opened.map(|file| FilePart { file, range, tally, answering: None }))
    }

    /// By which address the nginx in front finds a file that it is to send; nothing where the server sends
    /// it.
    pub fn accel_address(&self, file: &ServedFile) -> Option<String> {
        let AccelLocation(location) = self.accel.as_ref()?;
        // Metadata is short, and travels compressed.
        let path = match file.kind {
            ServedKind::Metadata => None,
            ServedKind::Target | ServedKind::Delta => self.blobs.file_path(&file.sha256),
        };
        path.map(|path| format!("{location}{path}"))
    }

    fn counted(&self, file: &ServedFile, range: &Range<u64>) -> Tally {
        Tally {
            sent: self.measures.sent(),
            left: range.end.saturating_sub(range.start),
            download: self.delta_download(file).filter(|_| range.end == file.length),
        }
    }
}

/// The part of a file that is still to be sent.
#[derive(Debug)]
pub struct FilePart {
    file: File,
    range: Range<u64>,
    tally: Tally,
    answering: Option<Answering>,
}

impl FilePart {
    /// The file.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Which bytes of it are to be sent.
    pub fn range(&self) -> Range<u64> {
        self.range.clone()
    }

    /// Has the request noted that it answers, once this has gone.
    pub fn follow(&mut self, answering: Option<Answering>) {
        self.answering = answering;
    }

    /// Notes that the next `bytes` bytes were sent.
    pub fn note_sent(&mut self, bytes: u64) {
        self.range.start = self.range.start.saturating_add(bytes).min(self.range.end);
        self.tally.note(bytes);
        if let Some(answering) = &mut self.answering {
            answering.note_sent(bytes);
        }
    }
}

/// What is counted of a part of a file while it is sent.
#[derive(Debug)]
struct Tally {
    sent: Counter,
    left: u64,
    /// The delta that was downloaded once the last byte is sent.
    download: Option<DeltaDownload>,
}

impl Tally {
    fn note(&mut self, bytes: u64) {
        self.sent.inc_by(bytes);
        self.left = self.left.saturating_sub(bytes);
        if self.left == 0
            && let Some(download) = self.download.take()
        {
            download.ended();
        }
    }
}

/// The location of an nginx below which it finds the blobs: a path that begins and ends with a slash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccelLocation(String);

impl FromStr for AccelLocation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte);
        if text.len() > 1
            && text.starts_with('/')
            && text.ends_with('/')
            && text.bytes().all(is_plain)
        {
            return Ok(Self(text.to_owned()));
        }
        Err(format!(
            "`{}` is not valid: expected a path of letters, digits and `-_.~` that begins and ends with `/`, \
             such as `/internal/blobs/`",
            text.escape_debug()
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_is_a_plain_path() {
        assert!("/internal/blobs/".parse::<AccelLocation>().is_ok());
        for wrong in ["", "/", "internal/", "/internal", "/a b/", "/a%20b/", "/a\r\nb/", "/a?b/"] {
            let error = wrong.parse::<AccelLocation>().unwrap_err();
            assert!(error.contains("expected a path"), "{wrong}: {error}");
        }
    }
}
