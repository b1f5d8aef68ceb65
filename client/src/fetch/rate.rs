use std::{
    io::{self, Read},
    time::{Duration, Instant},
};

/// A reader that fails when what it reads arrives too slowly.
///
/// A timeout for each read alone can be satisfied by one byte at a time for ever. Only the time
/// spent waiting for the server counts: a slow disk on this side is not its fault.
pub(super) struct RateGuard<R> {
    reader: R,
    bytes_per_second_min: u64,
    window: Duration,
    waited: Duration,
    bytes: u64,
}

impl<R: Read> RateGuard<R> {
    /// Puts up with no less than `bytes_per_second_min` over each `window` of waiting.
    pub(super) fn new(reader: R, bytes_per_second_min: u64, window: Duration) -> Self {
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

#[cfg(test)]
mod tests {
    use super::*;

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
