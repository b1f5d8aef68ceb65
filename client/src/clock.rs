//! The only place in this crate that reads the time. Everything else is given a [`Clock`].

use jiff::Timestamp;

/// What tells the time.
pub type Clock = Box<dyn Fn() -> Timestamp + Send>;

/// The machine's own clock.
pub fn system() -> Clock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the time")]
    Box::new(Timestamp::now)
}
