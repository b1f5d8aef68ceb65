//! When updates may be applied: the windows that the customer's administrator has set.

use std::{fmt, str::FromStr};

use jiff::{
    Timestamp, ToSpan as _,
    civil::{Date, Time, Weekday},
};
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::format::{ParseError, text_serde};

/// Times of the week in which updates may be applied. None at all means at any time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Windows(Vec<Window>);

/// From a time of day until another, on some days of the week.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// The days on which it opens; absent for every day.
    #[serde(default, deserialize_with = "some_days", skip_serializing_if = "Option::is_none")]
    pub days: Option<Vec<Day>>,
    /// When it opens.
    pub from: TimeOfDay,
    /// When it closes: on the next day where this is not after `from`.
    pub until: TimeOfDay,
    /// Whose clock that is, for example `Europe/Berlin`; absent for UTC.
    #[serde(default, skip_serializing_if = "TimeZone::is_utc")]
    pub zone: TimeZone,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "they are what they are called")]
pub enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

/// A time of day, as in `22:30`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeOfDay(Time);

/// A time zone by its name in the IANA database, which this machine must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeZone(jiff::tz::TimeZone);

/// Whether a window is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// It is.
    Open,
    /// It will be.
    Closed {
        /// When the next one opens.
        until: Timestamp,
    },
}

impl Windows {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of the windows is open at `now`. The instant at which one opens is in it, the
    /// instant at which it closes is not.
    ///
    /// Where a clock is put forward over a window's beginning or end, that is as much later; where
    /// it is put back, the first of the two times counts.
    pub fn at(&self, now: Timestamp) -> Opening {
        if self.0.is_empty() {
            return Opening::Open;
        }
        let mut next = Timestamp::MAX;
        for (start, end) in self.0.iter().flat_map(|window| window.around(now)) {
            if start <= now && now < end {
                return Opening::Open;
            }
            if now < start {
                next = next.min(start);
            }
        }
        Opening::Closed { until: next }
    }
}

impl Window {
    /// The times at which the window is open from the day before `now` to a week after it.
    fn around(&self, now: Timestamp) -> impl Iterator<Item = (Timestamp, Timestamp)> {
        let today = now.to_zoned_datetime(self.zone.0.clone()).date();
        let dates = (-1..=8).filter_map(move |offset: i64| today.checked_add(offset.days()).ok());
        let opens = |date: &Date| {
            self.days.as_ref().is_none_or(|days| days.contains(&date.weekday().into()))
        };
        dates.filter(opens).filter_map(|date| self.on(date))
    }

    fn on(&self, date: Date) -> Option<(Timestamp, Timestamp)> {
        let (TimeOfDay(from), TimeOfDay(until)) = (self.from, self.until);
        let last = if until > from { date } else { date.tomorrow().ok()? };
        let instant = |date: Date, time: Time| {
            let zoned = date.to_datetime(time).to_zoned_datetime(self.zone.0.clone()).ok()?;
            Some(zoned.timestamp())
        };
        let (start, end) = (instant(date, from)?, instant(last, until)?);
        // A clock that is put forward can leave nothing of it.
        (start < end).then_some((start, end))
    }
}

fn some_days<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<Day>>, D::Error> {
    let days = Vec::deserialize(deserializer)?;
    if days.is_empty() {
        let detail = "days is empty: expected some of mon to sun, or no `days` for every day";
        return Err(de::Error::custom(detail));
    }
    Ok(Some(days))
}

impl From<Weekday> for Day {
    fn from(day: Weekday) -> Self {
        match day {
            Weekday::Monday => Self::Mon,
            Weekday::Tuesday => Self::Tue,
            Weekday::Wednesday => Self::Wed,
            Weekday::Thursday => Self::Thu,
            Weekday::Friday => Self::Fri,
            Weekday::Saturday => Self::Sat,
            Weekday::Sunday => Self::Sun,
        }
    }
}

impl FromStr for TimeOfDay {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Time::strptime("%H:%M", text)
            .map(Self)
            .map_err(|_| ParseError::new("time of day", text, "hours and minutes such as 22:30"))
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:02}:{:02}", self.0.hour(), self.0.minute())
    }
}

text_serde!(TimeOfDay, "hours and minutes such as 22:30");

impl TimeZone {
    fn is_utc(&self) -> bool {
        *self == Self::default()
    }
}

impl Default for TimeZone {
    fn default() -> Self {
        Self(jiff::tz::TimeZone::UTC)
    }
}

impl FromStr for TimeZone {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let expected = "a name such as Europe/Berlin that this machine knows (Debian's package \
                        tzdata), or UTC";
        jiff::tz::TimeZone::get(text)
            .map(Self)
            .map_err(|_| ParseError::new("time zone", text, expected))
    }
}

impl fmt::Display for TimeZone {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0.iana_name().unwrap_or("UTC"))
    }
}

text_serde!(TimeZone, "a name in the IANA database, or UTC");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn windows(text: &str) -> Result<Windows, String> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Document {
            window: Windows,
        }
        toml::from_str(text)
            .map(|document: Document| document.window)
            .map_err(|error| error.message().to_owned())
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn closed(until: &str) -> Opening {
        Opening::Closed { until: at(until) }
    }

    #[test]
    fn no_window_is_always_open() {
        assert_eq!(Windows::default().at(at("2026-06-01T12:00:00Z")), Opening::Open);
    }

    #[test]
    fn a_window_opens_on_its_days_and_may_last_past_midnight() {
        let windows =
            windows("[[window]]\ndays = [\"sat\"]\nfrom = \"22:00\"\nuntil = \"04:00\"").unwrap();
        // 2026-06-06 is a Saturday.
        assert_eq!(windows.at(at("2026-06-06T21:59:59Z")), closed("2026-06-06T22:00:00Z"));
        assert_eq!(windows.at(at("2026-06-06T22:00:00Z")), Opening::Open);
        assert_eq!(windows.at(at("2026-06-07T03:59:59Z")), Opening::Open);
        assert_eq!(windows.at(at("2026-06-07T04:00:00Z")), closed("2026-06-13T22:00:00Z"));
    }

    #[test]
    fn of_several_windows_any_will_do() {
        let windows = windows(
            "[[window]]\nfrom = \"02:00\"\nuntil = \"03:00\"\n\
             [[window]]\ndays = [\"sun\"]\nfrom = \"12:00\"\nuntil = \"12:00\"",
        )
        .unwrap();
        assert_eq!(windows.at(at("2026-06-05T02:30:00Z")), Opening::Open);
        assert_eq!(windows.at(at("2026-06-05T03:00:00Z")), closed("2026-06-06T02:00:00Z"));
        assert_eq!(windows.at(at("2026-06-08T11:59:59Z")), Opening::Open, "a whole day");
    }

    /// In Berlin 02:30 does not exist on 2026-03-29 and exists twice on 2026-10-25.
    #[test]
    fn a_window_goes_by_the_clock_of_its_zone() {
        let windows =
            windows("[[window]]\nfrom = \"02:30\"\nuntil = \"03:30\"\nzone = \"Europe/Berlin\"")
                .unwrap();
        assert_eq!(windows.at(at("2026-01-10T01:30:00Z")), Opening::Open, "winter");
        assert_eq!(windows.at(at("2026-07-10T00:30:00Z")), Opening::Open, "summer");
        assert_eq!(windows.at(at("2026-07-10T01:30:00Z")), closed("2026-07-11T00:30:00Z"));
        assert_eq!(windows.at(at("2026-03-29T01:29:59Z")), closed("2026-03-30T00:30:00Z"));
        assert_eq!(windows.at(at("2026-10-25T00:30:00Z")), Opening::Open);
        assert_eq!(windows.at(at("2026-10-25T02:29:59Z")), Opening::Open);
    }

    #[test]
    fn what_is_no_window_is_said() {
        let refused = |text: &str| windows(&format!("[[window]]\n{text}")).unwrap_err();
        let times = "from = \"22:00\"\nuntil = \"04:00\"\n";
        for (text, expected) in [
            ("from = \"22:00\"".to_owned(), "missing field `until`"),
            ("from = \"25:00\"\nuntil = \"04:00\"".to_owned(), "`25:00`"),
            ("from = \"10pm\"\nuntil = \"04:00\"".to_owned(), "`10pm`"),
            (format!("{times}days = [\"saturday\"]"), "unknown variant `saturday`"),
            (format!("{times}days = []"), "days is empty"),
            (format!("{times}zone = \"Europe/Atlantis\""), "`Europe/Atlantis`"),
            (format!("{times}day = [\"sat\"]"), "unknown field `day`"),
        ] {
            let refusal = refused(&text);
            assert!(refusal.contains(expected), "{text}: {refusal}");
        }
    }

    proptest! {
        /// When a window is to open, it does, and no earlier.
        #[test]
        fn a_window_opens_when_it_was_said_to(
            now in 0_i64..4_000_000_000,
            (from, until) in (0_i8..24, 0_i8..24),
            day in prop::sample::select(vec![Day::Mon, Day::Wed, Day::Sun]),
            zone in prop::sample::select(vec!["UTC", "Europe/Berlin", "America/St_Johns"]),
        ) {
            let window = Window {
                days: Some(vec![day]),
                from: TimeOfDay(Time::new(from, 30, 0, 0).unwrap()),
                until: TimeOfDay(Time::new(until, 15, 0, 0).unwrap()),
                zone: zone.parse().unwrap(),
            };
            let windows = Windows(vec![window]);
            let now = Timestamp::from_second(now).unwrap();
            if let Opening::Closed { until } = windows.at(now) {
                prop_assert!(now < until && until.duration_since(now).as_hours() <= 8 * 24);
                prop_assert_eq!(windows.at(until), Opening::Open);
                let before = until - 1.second();
                prop_assert!(before < now || windows.at(before) != Opening::Open);
            }
        }
    }
}
