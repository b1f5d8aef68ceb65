use std::{
    io::{self, Write},
    ops::RangeInclusive,
};

use zstd::zstd_safe::CParameter;

use super::{Error, error::Reason};
use crate::format::ReleaseManifest;

/// How hard an artifact is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compression {
    /// The zstd level, 1 to 22.
    pub level: i32,
    /// The binary logarithm of the window in bytes, 10 to [`ReleaseManifest::WINDOW_LOG_MAX`]:
    /// what a machine needs of memory to decompress. It goes into the manifest.
    pub window_log: u32,
    /// How many threads compress beside the one that writes; 0 compresses in that one.
    pub workers: u32,
}

impl Default for Compression {
    /// Small rather than quick: an artifact is compressed once and fetched by every machine.
    fn default() -> Self {
        Self { level: 19, window_log: ReleaseManifest::WINDOW_LOG_MAX, workers: 0 }
    }
}

impl Compression {
    /// The smallest window that zstd knows.
    pub const WINDOW_LOG_MIN: u32 = 10;
    const LEVEL_MAX: i32 = 22;
    const WORKERS_MAX: u32 = 256;

    /// The same with the window no larger than a payload of `length` bytes can use, so that
    /// machines need no more memory than that.
    #[must_use]
    pub fn for_payload(self, length: u64) -> Self {
        let needed = length.max(1).next_power_of_two().ilog2().max(Self::WINDOW_LOG_MIN);
        Self { window_log: self.window_log.min(needed), ..self }
    }

    fn expect_in_range(self) -> Result<(), Error> {
        let window_log_range = (Self::WINDOW_LOG_MIN, ReleaseManifest::WINDOW_LOG_MAX);
        for (what, found, (low, high)) in [
            ("the compression level", i64::from(self.level), (1, i64::from(Self::LEVEL_MAX))),
            (
                "window_log",
                i64::from(self.window_log),
                (i64::from(window_log_range.0), i64::from(window_log_range.1)),
            ),
            ("the number of workers", i64::from(self.workers), (0, i64::from(Self::WORKERS_MAX))),
        ] {
            if !(low..=high).contains(&found) {
                return Err(Reason::Setting { what, found, low, high }.into());
            }
        }
        Ok(())
    }

    /// The window that zstd 1.5 takes at the level by itself. The C function that knows it is not
    /// among those that zstd's Rust bindings offer without its experimental interface.
    fn level_window_log(self) -> u32 {
        match self.level {
            ..=1 => 19,
            2 => 20,
            3..=8 => 21,
            9..=16 => 22,
            17..=19 => 23,
            20 => 25,
            21 => 26,
            22.. => 27,
        }
    }
}

/// Compresses an archive into an artifact: one zstd frame.
pub struct Compressor<W: Write>(zstd::stream::write::Encoder<'static, W>);

impl<W: Write> Compressor<W> {
    /// At which levels fewer places are compared with what comes than zstd 1.5.7 compares, which takes as
    /// long as all the rest of these levels; twice as many places are remembered instead. Artifacts stay
    /// below what zstd 1.5.4 makes. Higher levels are for whoever has the time.
    const LEVELS_LOOKING_FAR: RangeInclusive<i32> = 5..=7;

    /// A compressor that writes to `output`.
    pub fn new(output: W, compression: Compression) -> Result<Self, Error> {
        compression.expect_in_range()?;
        Self::configured(output, compression).map_err(|source| Reason::Compress { source }.into())
    }

    fn configured(output: W, compression: Compression) -> io::Result<Self> {
        let mut encoder = zstd::stream::write::Encoder::new(output, compression.level)?;
        encoder.window_log(compression.window_log)?;
        // The level's own search does not look back further than the level's window.
        let looks_far = compression.window_log > compression.level_window_log();
        encoder.long_distance_matching(looks_far)?;
        if looks_far && Self::LEVELS_LOOKING_FAR.contains(&compression.level) {
            encoder.set_parameter(CParameter::LdmHashRateLog(6))?;
            encoder.set_parameter(CParameter::LdmHashLog(compression.window_log - 5))?;
            encoder.set_parameter(CParameter::LdmBucketSizeLog(2))?;
        }
        encoder.multithread(compression.workers)?;
        Ok(Self(encoder))
    }

    /// Writes the frame's end and flushes; hands back the output.
    pub fn finish(self) -> Result<W, Error> {
        let finish = || {
            let mut output = self.0.finish()?;
            output.flush()?;
            Ok(output)
        };
        finish().map_err(|source| Reason::Write { source }.into())
    }
}

impl<W: Write> Write for Compressor<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
