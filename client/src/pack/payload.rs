use std::io::{self, BufRead, BufReader, Read};

use zstd::stream::read::Decoder;

use super::{Compression, Error, error::Reason};
use crate::format::{Artifact, Digest, Hasher, ReleaseManifest};

/// By what a payload is known: its length and digest, as signed in a release manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PayloadIdentity {
    /// Length in bytes.
    pub length: u64,
    /// Digest.
    pub sha256: Digest,
}

impl From<&Artifact> for PayloadIdentity {
    fn from(artifact: &Artifact) -> Self {
        Self { length: artifact.payload_length, sha256: artifact.payload_sha256 }
    }
}

/// Decompresses an artifact and holds the payload to its signed length and digest.
///
/// Whoever has read the signed length has read a payload with the signed digest: the read that
/// would complete it fails where the digest differs, or where anything follows. Before that, the
/// bytes are not verified. Never more than the signed length comes out, whatever the artifact would
/// expand to, and memory is bounded by the window.
pub struct Payload<R: Read> {
    decoder: Decoder<'static, BufReader<Source<R>>>,
    window_log: u32,
    expected: PayloadIdentity,
    hasher: Hasher,
    length: u64,
    state: State,
}

#[derive(Clone, Copy)]
enum State {
    Reading,
    Verified,
    Refused,
}

impl<R: Read> Payload<R> {
    /// The payload of `artifact`, which needs a window of 2^`window_log` bytes and no more.
    pub fn new(artifact: R, expected: PayloadIdentity, window_log: u32) -> Result<Self, Error> {
        if window_log > ReleaseManifest::WINDOW_LOG_MAX {
            return Err(Reason::Setting {
                what: "window_log",
                found: window_log.into(),
                low: Compression::WINDOW_LOG_MIN.into(),
                high: ReleaseManifest::WINDOW_LOG_MAX.into(),
            }
            .into());
        }
        let decoder = Self::decoder(artifact, window_log)
            .map_err(|source| Reason::Decompress { window_log, source })?;
        let hasher = Hasher::new();
        Ok(Self { decoder, window_log, expected, hasher, length: 0, state: State::Reading })
    }

    fn decoder(artifact: R, window_log: u32) -> io::Result<Decoder<'static, BufReader<Source<R>>>> {
        let mut decoder = Decoder::new(Source(artifact))?.single_frame();
        // A smaller maximum than the smallest window would be an error of its own.
        decoder.window_log_max(window_log.max(Compression::WINDOW_LOG_MIN))?;
        Ok(decoder)
    }

    /// Reads what is left of the payload and verifies it.
    pub fn finish(mut self) -> Result<(), Error> {
        io::copy(&mut self, &mut io::sink()).map_err(Error::from_read)?;
        Ok(())
    }

    fn read_verified(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        let remaining = self.expected.length - self.length;
        if remaining == 0 {
            self.expect_end()?;
            return Ok(0);
        }
        let room = usize::try_from(remaining).map_or(buffer.len(), |it| it.min(buffer.len()));
        let buffer = buffer.get_mut(..room).unwrap_or_default();
        let read = self.decompress(buffer)?;
        if read == 0 {
            let expected = self.expected.length;
            return Err(Reason::PayloadShort { expected, found: self.length }.into());
        }
        self.hasher.update(buffer.get(..read).unwrap_or_default());
        self.length += read as u64;
        if self.length == self.expected.length {
            self.expect_end()?;
        }
        Ok(read)
    }

    fn decompress(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        let window_log = self.window_log;
        self.decoder.read(buffer).map_err(|source| {
            // An error of the source carries its reason; any other is zstd's.
            source
                .downcast::<Error>()
                .unwrap_or_else(|source| Reason::Decompress { window_log, source }.into())
        })
    }

    fn expect_end(&mut self) -> Result<(), Error> {
        if self.decompress(&mut [0])? > 0 {
            return Err(Reason::PayloadLong { expected: self.expected.length }.into());
        }
        let rest = self.decoder.get_mut().fill_buf().map_err(Error::from_read)?;
        if !rest.is_empty() {
            return Err(Reason::FrameTrailing.into());
        }
        let found = std::mem::take(&mut self.hasher).finish();
        if found != self.expected.sha256 {
            let expected = self.expected.sha256;
            return Err(Reason::PayloadDigest { expected, found }.into());
        }
        self.state = State::Verified;
        Ok(())
    }
}

impl<R: Read> Read for Payload<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.state {
            State::Verified => Ok(0),
            State::Refused => Err(Error::from(Reason::AlreadyRefused).into()),
            State::Reading if buffer.is_empty() => Ok(0),
            State::Reading => self.read_verified(buffer).map_err(|error| {
                self.state = State::Refused;
                error.into()
            }),
        }
    }
}

/// The artifact's bytes. An error of reading them is marked, so that it can be told from one of
/// decompressing them, and an interrupted read is repeated.
struct Source<R>(R);

impl<R: Read> Read for Source<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.0.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result.map_err(|error| Error::from_read(error).into()),
            }
        }
    }
}
