//! The only place that reads time or randomness.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use rand::TryRng as _;

/// Tells the time in whole seconds, which is what documents carry.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        #[expect(clippy::disallowed_methods, reason = "this is the one place that reads it")]
        Self(Arc::new(Timestamp::now))
    }

    /// A clock that stands still, for tests.
    pub fn fixed(at: Timestamp) -> Self {
        Self(Arc::new(move || at))
    }

    /// A clock that shows the second that is set, for tests.
    #[cfg(test)]
    pub(crate) fn moved(second: Arc<std::sync::atomic::AtomicI64>) -> Self {
        Self(Arc::new(move || {
            let second = second.load(std::sync::atomic::Ordering::Relaxed);
            Timestamp::from_second(second).unwrap_or_default()
        }))
    }

    /// The time now, cut to whole seconds.
    pub fn now(&self) -> Timestamp {
        whole_seconds((self.0)())
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Clock")
    }
}

/// Tells how long something takes.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Begins now.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// How long ago it began.
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// `instant` without its fraction of a second.
fn whole_seconds(instant: Timestamp) -> Timestamp {
    Timestamp::from_second(instant.as_second()).unwrap_or(instant)
}

/// `BYTES` random bytes of the operating system in hexadecimal digits.
pub fn random_hex<const BYTES: usize>() -> Result<String, RandomError> {
    Ok(mainstay_client::hex::encode(&random_bytes::<BYTES>()?))
}

/// `BYTES` random bytes of the operating system.
pub fn random_bytes<const BYTES: usize>() -> Result<[u8; BYTES], RandomError> {
    let mut bytes = [0; BYTES];
    rand::rngs::SysRng
        .try_fill_bytes(&mut bytes)
        .map_err(|error| RandomError(error.to_string()))?;
    Ok(bytes)
}

/// The operating system gave no random numbers.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gave no random numbers: {0}")]
pub struct RandomError(String);
