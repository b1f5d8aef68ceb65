use std::time::Duration;

use crate::error::Error;

/// How often something is tried, and how long it waits in between.
#[derive(Clone, Copy, Debug)]
pub struct Retry {
    /// How often it is tried altogether.
    pub tries: u32,
    /// The first pause; each further one is twice as long.
    pub pause: Duration,
    /// The longest pause.
    pub pause_max: Duration,
}

impl Retry {
    /// A handful of tries within seconds: somebody may be waiting, and an agent runs again soon.
    pub const DEFAULT: Self =
        Self { tries: 4, pause: Duration::from_millis(500), pause_max: Duration::from_secs(15) };

    /// As often as [`Retry::DEFAULT`], without pauses.
    pub const AT_ONCE: Self = Self { tries: 4, pause: Duration::ZERO, pause_max: Duration::ZERO };

    /// Runs `attempt` until it succeeds, fails for good, or the tries are used up.
    pub fn run<T>(&self, mut attempt: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
        let mut failures = 0;
        loop {
            match attempt() {
                Err(error) if error.is_retryable() && failures + 1 < self.tries => {
                    self.wait(failures);
                    failures += 1;
                }
                finished => return finished,
            }
        }
    }

    /// Waits after the failure number `failures`, counted from 0.
    pub(super) fn wait(&self, failures: u32) {
        let pause = self.pause.saturating_mul(1_u32 << failures.min(16)).min(self.pause_max);
        if !pause.is_zero() {
            std::thread::sleep(pause);
        }
    }
}

impl Default for Retry {
    fn default() -> Self {
        Self::DEFAULT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tries_of(error: impl Fn() -> Error) -> u32 {
        let mut tries = 0;
        let _ = Retry::AT_ONCE.run(|| -> Result<(), Error> {
            tries += 1;
            Err(error())
        });
        tries
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        assert_eq!(tries_of(|| Error::server(503, None)), 4);
        assert_eq!(tries_of(|| Error::server(403, None)), 1);
    }
}
