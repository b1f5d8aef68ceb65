use std::io::{self, BufRead, Read};

use zstd::stream::read::Decoder;

use super::{Compression, Error, error::Reason};
use crate::format::ReleaseManifest;

/// What an artifact decompresses to, held to the length that was signed, and to no digest: that is
/// for [`Verified`](super::Verified).
///
/// Never more than the signed length comes out, whatever the artifact would expand to, and memory is
/// bounded by the window. The read that would complete it fails where anything follows, in the frame
/// or after it, and where the artifact cannot be read to its end.
pub struct Decompressed<R: BufRead> {
    decoder: Decoder<'static, Source<R>>,
    window_log: u32,
    expected: u64,
    length: u64,
    state: State,
}

#[derive(Clone, Copy)]
enum State {
    Reading,
    Whole,
    Refused,
}

impl<R: BufRead> Decompressed<R> {
    /// What `artifact` decompresses to, which shall be `length` bytes and needs a window of
    /// 2^`window_log` bytes and no more.
    pub fn new(artifact: R, length: u64, window_log: u32) -> Result<Self, Error> {
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
        Ok(Self { decoder, window_log, expected: length, length: 0, state: State::Reading })
    }

    fn decoder(artifact: R, window_log: u32) -> io::Result<Decoder<'static, Source<R>>> {
        let mut decoder = Decoder::with_buffer(Source(artifact))?.single_frame();
        // A smaller maximum than the smallest window would be an error of its own.
        decoder.window_log_max(window_log.max(Compression::WINDOW_LOG_MIN))?;
        Ok(decoder)
    }

    fn read_bounded(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        let remaining = self.expected - self.length;
        let room = usize::try_from(remaining).map_or(buffer.len(), |it| it.min(buffer.len()));
        let buffer = buffer.get_mut(..room).unwrap_or_default();
        let read = if remaining == 0 { 0 } else { self.decompress(buffer)? };
        if read == 0 && remaining > 0 {
            let expected = self.expected;
            return Err(Reason::PayloadShort { expected, found: self.length }.into());
        }
        self.length += read as u64;
        if self.length == self.expected {
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
            return Err(Reason::PayloadLong { expected: self.expected }.into());
        }
        let rest = self.decoder.get_mut().fill_buf().map_err(Error::from_read)?;
        if !rest.is_empty() {
            return Err(Reason::FrameTrailing.into());
        }
        self.state = State::Whole;
        Ok(())
    }
}

impl<R: BufRead> Read for Decompressed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.state {
            State::Whole => Ok(0),
            State::Refused => Err(Error::from(Reason::AlreadyRefused).into()),
            State::Reading if buffer.is_empty() => Ok(0),
            State::Reading => self.read_bounded(buffer).map_err(|error| {
                self.state = State::Refused;
                error.into()
            }),
        }
    }
}

/// The artifact's bytes. An error of reading them is marked, so that it can be told from one of
/// decompressing them, and an interrupted read is repeated.
struct Source<R>(R);

impl<R: BufRead> Read for Source<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

impl<R: BufRead> BufRead for Source<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let marked = |error| io::Error::from(Error::from_read(error));
        loop {
            match self.0.fill_buf() {
                Ok(_) => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(marked(error)),
            }
        }
        self.0.fill_buf().map_err(marked)
    }

    fn consume(&mut self, count: usize) {
        self.0.consume(count);
    }
}
