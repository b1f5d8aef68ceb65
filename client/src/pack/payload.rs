use std::io::{self, BufReader, Read};

use super::{Decompressed, Error, copy::BUFFER_BYTES, error::Reason};
use crate::format::{Artifact, Digest, Hasher};

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

/// A payload that is held to its signed length and digest.
///
/// Whoever has read the signed length has read a payload with the signed digest: the read that
/// would complete it fails where the digest differs, or where anything follows. Before that, the
/// bytes are not verified.
pub struct Verified<R> {
    payload: R,
    expected: PayloadIdentity,
    length: u64,
    state: State,
}

enum State {
    Reading(Hasher),
    Whole,
    Refused,
}

/// The payload of an artifact, decompressed and verified.
///
/// Never more than the signed length comes out, whatever the artifact would expand to, and memory is
/// bounded by the window.
pub type Payload<R> = Verified<Decompressed<BufReader<R>>>;

impl<R: Read> Payload<R> {
    /// The payload of `artifact`, which needs a window of 2^`window_log` bytes and no more.
    pub fn new(artifact: R, expected: PayloadIdentity, window_log: u32) -> Result<Self, Error> {
        let artifact = BufReader::with_capacity(BUFFER_BYTES, artifact);
        let payload = Decompressed::new(artifact, expected.length, window_log)?;
        Ok(Self::of(payload, expected))
    }
}

impl<R: Read> Verified<R> {
    /// All of `payload`, which must be what was signed.
    pub fn of(payload: R, expected: PayloadIdentity) -> Self {
        Self { payload, expected, length: 0, state: State::Reading(Hasher::new()) }
    }

    /// Reads what is left of the payload and verifies it.
    pub fn finish(mut self) -> Result<(), Error> {
        io::copy(&mut self, &mut io::sink()).map_err(Error::from_read)?;
        Ok(())
    }

    /// Takes in what was read last, which is nothing at the end.
    fn take_in(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let State::Reading(mut hasher) = std::mem::replace(&mut self.state, State::Refused) else {
            return Ok(());
        };
        let expected = self.expected.length;
        self.length = self.length.saturating_add(bytes.len() as u64);
        hasher.update(bytes);
        if self.length < expected && !bytes.is_empty() {
            self.state = State::Reading(hasher);
            return Ok(());
        }
        if self.length < expected {
            return Err(Reason::PayloadShort { expected, found: self.length }.into());
        }
        if self.length > expected || self.goes_on()? {
            return Err(Reason::PayloadLong { expected }.into());
        }
        let (found, expected) = (hasher.finish(), self.expected.sha256);
        if found != expected {
            return Err(Reason::PayloadDigest { expected, found }.into());
        }
        self.state = State::Whole;
        Ok(())
    }

    fn goes_on(&mut self) -> Result<bool, Error> {
        loop {
            match self.payload.read(&mut [0]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                count => return count.map(|count| count > 0).map_err(Error::from_read),
            }
        }
    }
}

impl<R: Read> Read for Verified<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.state {
            State::Whole => Ok(0),
            State::Refused => Err(Error::from(Reason::AlreadyRefused).into()),
            State::Reading(_) if buffer.is_empty() => Ok(0),
            State::Reading(_) => {
                let count = self.payload.read(buffer)?;
                self.take_in(buffer.get(..count).unwrap_or_default())?;
                Ok(count)
            }
        }
    }
}
