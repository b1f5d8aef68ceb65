//! What a document must be for the vendor to sign it and for the server to take it in. Both ask
//! here: the vendor's programs before anything is signed, the server at submission.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use mainstay_client::tuf::{Authored, Envelope, Header};

/// Everything that keeps the document in `envelope`, which people call `what`, from being signed and
/// taken in at `now`. It may be good for at most `lifetime_max`.
pub(crate) fn authoring_problems<M: Authored>(
    what: &str,
    envelope: &Envelope,
    now: Timestamp,
    lifetime_max: Duration,
) -> Vec<String> {
    let mut problems = envelope.authoring_problems::<M>();
    if let Ok(Header { expires, .. }) = envelope.document() {
        problems.extend(expiry_problem(expires, now, lifetime_max));
    }
    problems.iter().map(|problem| format!("{what}: {problem}")).collect()
}

/// A stolen key, or a slip of the pen, must not sign for ever.
fn expiry_problem(expires: Timestamp, now: Timestamp, lifetime_max: Duration) -> Option<String> {
    let left = expires.duration_since(now);
    if left <= SignedDuration::ZERO {
        return Some(format!("it expires at {expires}, and it is {now} now: expected later"));
    }
    let is_too_long = Duration::try_from(left).is_ok_and(|left| left > lifetime_max);
    is_too_long.then(|| {
        format!(
            "it expires at {expires}, and it is {now} now: expected at most {} days",
            lifetime_max.as_secs() / (24 * 60 * 60)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_good_for_some_time_and_not_for_ever() {
        let day = |days: i64| Timestamp::from_second(1_790_000_000 + 86_400 * days).unwrap();
        for (expires, expected) in [
            (day(-1), Some("expected later")),
            (day(0), Some("expected later")),
            (day(1), None),
            (day(10), None),
            (day(11), Some("expected at most 10 days")),
            (Timestamp::MAX, Some("expected at most 10 days")),
            (Timestamp::MIN, Some("expected later")),
        ] {
            let problem = expiry_problem(expires, day(0), Duration::from_hours(24 * 10));
            assert_eq!(problem.is_some(), expected.is_some(), "{expires}: {problem:?}");
            assert!(problem.unwrap_or_default().contains(expected.unwrap_or_default()));
        }
    }
}
