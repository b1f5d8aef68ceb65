use std::{
    io::{self, Read},
    num::NonZeroU64,
    time::{Duration, Instant},
};

use super::{Answer, Limits};

/// `answer` with a body that must not come too slowly, and is not read too fast.
pub(super) fn paced(answer: Answer, limits: &Limits) -> Answer {
    let &Limits { rate_bytes_min, rate_window, bytes_per_second_max, .. } = limits;
    let body = RateGuard::new(answer.body, rate_bytes_min, rate_window);
    Answer { body: Box::new(Throttle::new(body, bytes_per_second_max)), ..answer }
}

/// A reader that fails when what it reads arrives too slowly.
///
/// A timeout for each read alone can be satisfied by one byte at a time for ever. Only the time
/// spent waiting for the server counts: a slow disk on this side is not its fault.
struct RateGuard<R> {
    reader: R,
    bytes_per_second_min: u64,
    window: Duration,
    waited: Duration,
    bytes: u64,
}

impl<R: Read> RateGuard<R> {
    /// Puts up with no less than `bytes_per_second_min` over each `window` of waiting.
    fn new(reader: R, bytes_per_second_min: u64, window: Duration) -> Self {
        Self { reader, bytes_per_second_min, window, waited: Duration::ZERO, bytes: 0 }
    }

    fn judge(&mut self) -> io::Result<()> {
        let expected = u128::from(self.bytes_per_second_min) * self.waited.as_millis() / 1000;
        if u128::from(self.bytes) < expected {
            let message = format!(
                "it is too slow: {} bytes in {} ms, expected at least {expected}",
                self.bytes,
                self.waited.as_millis()
            );
            return Err(io::Error::new(io::ErrorKind::TimedOut, message));
        }
        self.waited = Duration::ZERO;
        self.bytes = 0;
        Ok(())
    }
}

impl<R: Read> Read for RateGuard<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let before = Instant::now();
        let count = self.reader.read(buffer)?;
        self.waited += before.elapsed();
        self.bytes += count as u64;
        if count > 0 && self.waited >= self.window {
            self.judge()?;
        }
        Ok(count)
    }
}

/// A reader that brings no more than so many bytes a second. What a pause has saved is not made up
/// for afterwards.
struct Throttle<R> {
    reader: R,
    bytes_per_second_max: Option<NonZeroU64>,
    next: Instant,
}

impl<R: Read> Throttle<R> {
    /// How often a second something is read, so that it does not come in gushes.
    const READS_PER_SECOND: u64 = 10;

    fn new(reader: R, bytes_per_second_max: Option<NonZeroU64>) -> Self {
        Self { reader, bytes_per_second_max, next: Instant::now() }
    }
}

impl<R: Read> Read for Throttle<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(most) = self.bytes_per_second_max else { return self.reader.read(buffer) };
        std::thread::sleep(self.next.saturating_duration_since(Instant::now()));
        let share = (most.get() / Self::READS_PER_SECOND).max(1);
        let length = buffer.len().min(usize::try_from(share).unwrap_or(usize::MAX));
        let count = self.reader.read(buffer.get_mut(..length).unwrap_or_default())?;
        let micros = (count as u64).saturating_mul(1_000_000) / most;
        self.next = Instant::now() + Duration::from_micros(micros);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_comes_than_is_wanted() {
        let bytes = vec![7; 3000];
        let started = Instant::now();
        let mut throttle = Throttle::new(bytes.as_slice(), NonZeroU64::new(20_000));
        assert_eq!(io::copy(&mut throttle, &mut io::sink()).unwrap(), 3000);
        // 2,000 bytes in the first share, and the end of it all is read after the pause.
        assert!(started.elapsed() >= Duration::from_millis(150), "{:?}", started.elapsed());
    }

    /// Brings one byte every two milliseconds, for ever.
    struct Trickle;

    impl Read for Trickle {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            std::thread::sleep(Duration::from_millis(2));
            buffer.fill(0);
            Ok(1)
        }
    }

    #[test]
    fn a_trickle_is_given_up() {
        let mut guard = RateGuard::new(Trickle, 10_000, Duration::from_millis(10));
        let error = io::copy(&mut guard, &mut io::sink()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(error.to_string().contains("expected at least"), "{error}");
    }

    #[test]
    fn what_is_fast_enough_is_read_to_its_end() {
        let bytes = vec![7; 1 << 20];
        let mut guard = RateGuard::new(bytes.as_slice(), 1, Duration::ZERO);
        assert_eq!(io::copy(&mut guard, &mut io::sink()).unwrap(), 1 << 20);
    }
}
