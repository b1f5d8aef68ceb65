//! How near the end of a document that only the vendor can renew is, and when to say so.

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How near its end a document is.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Expiry {
    /// It has more than 30 days.
    #[serde(rename = "ok")]
    Far,
    /// It has 30 days or less.
    #[serde(rename = "within_30_days")]
    Within30Days,
    /// It has 14 days or less.
    #[serde(rename = "within_14_days")]
    Within14Days,
    /// It has 3 days or less.
    #[serde(rename = "within_3_days")]
    Within3Days,
    /// It is over.
    Expired,
}

impl Expiry {
    /// How near `now` is to `expires`.
    pub fn of(expires: Timestamp, now: Timestamp) -> Self {
        let left = expires.duration_since(now);
        if left <= SignedDuration::ZERO {
            return Self::Expired;
        }
        [(3, Self::Within3Days), (14, Self::Within14Days), (30, Self::Within30Days)]
            .into_iter()
            .find(|(days, _)| left <= SignedDuration::from_hours(24 * days))
            .map_or(Self::Far, |(_, expiry)| expiry)
    }

    /// The warning that is due at `now`, where it was looked at `before`: one at the first look, one
    /// for each step, and in the last three days and afterwards one at every look.
    pub fn warning(expires: Timestamp, before: Option<Timestamp>, now: Timestamp) -> Option<Self> {
        let expiry = Self::of(expires, now);
        let is_new = before.is_none_or(|before| Self::of(expires, before) != expiry);
        (expiry != Self::Far && (is_new || expiry >= Self::Within3Days)).then_some(expiry)
    }

    /// Whether somebody must act now.
    pub fn is_urgent(self) -> bool {
        self >= Self::Within3Days
    }

    /// The state in words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Far => "ok",
            Self::Within30Days => "within 30 days",
            Self::Within14Days => "within 14 days",
            Self::Within3Days => "within 3 days",
            Self::Expired => "EXPIRED",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hour(hours: i64) -> Timestamp {
        Timestamp::from_second(1_790_000_000 + 3600 * hours).unwrap()
    }

    #[test]
    fn the_steps_are_thirty_fourteen_and_three_days() {
        let expires = hour(0);
        for (hours, expected) in [
            (-24 * 30 - 1, Expiry::Far),
            (-24 * 30, Expiry::Within30Days),
            (-24 * 14 - 1, Expiry::Within30Days),
            (-24 * 14, Expiry::Within14Days),
            (-24 * 3 - 1, Expiry::Within14Days),
            (-24 * 3, Expiry::Within3Days),
            (-1, Expiry::Within3Days),
            (0, Expiry::Expired),
            (1, Expiry::Expired),
        ] {
            assert_eq!(Expiry::of(expires, hour(hours)), expected, "{hours}");
        }
    }

    #[test]
    fn a_daily_look_warns_at_each_step_and_daily_at_the_end() {
        let expires = hour(0);
        let mut warned = Vec::new();
        for day in -40..3 {
            let before = (day > -40).then(|| hour(24 * (day - 1)));
            if let Some(expiry) = Expiry::warning(expires, before, hour(24 * day)) {
                warned.push((day, expiry));
            }
        }
        let last = [-3, -2, -1].map(|day| (day, Expiry::Within3Days));
        let over = [0, 1, 2].map(|day| (day, Expiry::Expired));
        let first = [(-30, Expiry::Within30Days), (-14, Expiry::Within14Days)];
        assert_eq!(warned, [&first[..], &last, &over].concat());
    }

    #[test]
    fn a_server_that_starts_warns_of_everything_that_is_near() {
        assert_eq!(Expiry::warning(hour(0), None, hour(-24 * 20)), Some(Expiry::Within30Days));
        assert_eq!(Expiry::warning(hour(0), None, hour(-24 * 31)), None);
    }
}
