//! When a rollout may go on.

use std::{fmt, str::FromStr};

use jiff::{
    Timestamp,
    civil::{Date, DateTime, Time, Weekday},
    tz::TimeZone,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::waves::{TermsError, as_text};

/// The hours of the week in which waves begin and nobody new is left out, in a time zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// The time zone.
    pub zone: Zone,
    /// The hours, at least once a week.
    pub open: Hours,
}

/// A time zone by its IANA name, as in `Europe/Berlin`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Zone(TimeZone);

/// Hours of the week. As text: `mon-thu, fri 00:00-16:00`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Hours(Vec<Window>);

/// Hours on some days of the week that follow one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Window {
    first: Weekday,
    last: Weekday,
    /// In minutes after midnight; at most [`DAY`], and less than `until`.
    from: u16,
    until: u16,
}

/// In minutes.
const DAY: u16 = 24 * 60;
const WEEKDAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];
/// So many days ahead there is an opening: a week, and another where clocks are put forward.
const DAYS_LOOKED_AHEAD: usize = 15;

impl Schedule {
    /// Whether `at` is within the hours.
    pub fn is_open(&self, at: Timestamp) -> bool {
        let local = self.zone.0.to_datetime(at);
        let minute = minute_of_day(local);
        self.open.0.iter().any(|window| {
            window.is_on(local.weekday()) && (window.from..window.until).contains(&minute)
        })
    }

    /// The first instant from `at` on that is within the hours; nothing at the end of time.
    pub fn next_open(&self, at: Timestamp) -> Option<Timestamp> {
        if self.is_open(at) {
            return Some(at);
        }
        let today = self.zone.0.to_datetime(at).date();
        let days = std::iter::successors(Some(today), |day| day.tomorrow().ok());
        days.take(DAYS_LOOKED_AHEAD)
            .find_map(|day| self.openings_on(day).filter(|it| *it > at).min())
    }

    fn openings_on(&self, day: Date) -> impl Iterator<Item = Timestamp> {
        let windows = self.open.0.iter().filter(move |window| window.is_on(day.weekday()));
        let begins = windows.filter_map(move |window| {
            let hour = i8::try_from(window.from / 60).ok()?;
            let minute = i8::try_from(window.from % 60).ok()?;
            let local = DateTime::from_parts(day, Time::new(hour, minute, 0, 0).ok()?);
            Some(self.zone.0.to_ambiguous_timestamp(local))
        });
        // What begins in an hour that clocks go through twice opens twice.
        let openings = begins.flat_map(|it| [it.earlier(), it.later()]).filter_map(Result::ok);
        // What begins in an hour that is left out is open from the end of that, if it lasts so long.
        let openings = openings.chain(self.clock_changes_on(day));
        openings.filter(|opening| self.is_open(*opening))
    }

    fn clock_changes_on(&self, day: Date) -> impl Iterator<Item = Timestamp> {
        let midnight = |day: Date| self.zone.0.to_timestamp(day.at(0, 0, 0, 0)).ok();
        let next = day.tomorrow().ok().and_then(midnight);
        let changes = midnight(day).into_iter().flat_map(|start| self.zone.0.following(start));
        changes
            .map(|change| change.timestamp())
            .take_while(move |change| next.is_some_and(|next| *change < next))
    }
}

impl Window {
    fn is_on(self, day: Weekday) -> bool {
        day.since(self.first) <= self.last.since(self.first)
    }
}

fn minute_of_day(local: DateTime) -> u16 {
    u16::try_from(i16::from(local.hour()) * 60 + i16::from(local.minute())).unwrap_or(DAY)
}

impl fmt::Display for Zone {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0.iana_name().unwrap_or("UTC"))
    }
}

impl FromStr for Zone {
    type Err = TermsError;

    fn from_str(text: &str) -> Result<Self, TermsError> {
        TimeZone::get(text).map(Self).map_err(|_| {
            TermsError::new("time zone", text, "an IANA name, as in Europe/Berlin or UTC")
        })
    }
}

impl fmt::Display for Hours {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, window) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(formatter, "{comma}{window}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Window {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, last, from, until } = *self;
        let name = |day| WEEKDAYS.iter().find(|(_, it)| *it == day).map_or("", |(name, _)| name);
        formatter.write_str(name(first))?;
        if last != first {
            write!(formatter, "-{}", name(last))?;
        }
        if (from, until) != (0, DAY) {
            let [from, until] = [from, until].map(|it| format!("{:02}:{:02}", it / 60, it % 60));
            write!(formatter, " {from}-{until}")?;
        }
        Ok(())
    }
}

impl FromStr for Hours {
    type Err = TermsError;

    fn from_str(text: &str) -> Result<Self, TermsError> {
        text.split(',').map(|part| part.trim().parse()).collect::<Result<_, _>>().map(Self)
    }
}

impl FromStr for Window {
    type Err = TermsError;

    fn from_str(text: &str) -> Result<Self, TermsError> {
        let read = || {
            let (days, hours) = text.split_once(' ').unwrap_or((text, "00:00-24:00"));
            let (first, last) = days.split_once('-').unwrap_or((days, days));
            let day = |name| WEEKDAYS.iter().find(|(it, _)| *it == name).map(|(_, day)| *day);
            let (from, until) = hours.trim().split_once('-')?;
            let window = Self {
                first: day(first)?,
                last: day(last)?,
                from: minutes(from)?,
                until: minutes(until)?,
            };
            (window.from < window.until).then_some(window)
        };
        read().ok_or_else(|| {
            let expected =
                "days and hours that end after they begin, as in mon-thu, fri 08:00-16:00";
            TermsError::new("schedule", text, expected)
        })
    }
}

/// `HH:MM` in minutes after midnight.
fn minutes(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':').filter(|(a, b)| a.len() == 2 && b.len() == 2)?;
    let (hours, minutes): (u16, u16) = (hours.parse().ok()?, minutes.parse().ok()?);
    let total = hours.checked_mul(60)? + minutes;
    (minutes < 60 && total <= DAY).then_some(total)
}

as_text!(Zone, Hours);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn schedule(zone: &str, open: &str) -> Schedule {
        Schedule { zone: zone.parse().unwrap(), open: open.parse().unwrap() }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn hours_are_read_as_they_are_written() {
        for text in ["mon-thu, fri 00:00-16:00", "sat-mon 22:30-24:00", "mon-sun", "wed"] {
            assert_eq!(text.parse::<Hours>().unwrap().to_string(), text);
        }
        for text in [
            "",
            "mon,",
            "someday",
            "mon 16:00-08:00",
            "mon 08:00-08:00",
            "mon 8:00-9:00",
            "mon 00:60-09:00",
            "mon 00:00-24:01",
            "mon 08:00",
            "mon-",
            "MON",
        ] {
            let error = text.parse::<Hours>().unwrap_err().to_string();
            assert!(error.contains("expected days and hours"), "{text}: {error}");
        }
        let error = "Mars/Olympus".parse::<Zone>().unwrap_err().to_string();
        assert!(error.contains("expected an IANA name"), "{error}");
    }

    #[test]
    fn not_on_friday_evening() {
        let weekdays = schedule("Europe/Berlin", "mon-thu, fri 00:00-16:00");
        // 2026-05-08 is a Friday, and Berlin two hours ahead.
        assert!(weekdays.is_open(at("2026-05-08T13:59:59Z")));
        for closed in ["2026-05-08T14:00:00Z", "2026-05-09T10:00:00Z", "2026-05-10T21:59:59Z"] {
            assert!(!weekdays.is_open(at(closed)), "{closed}");
            assert_eq!(
                weekdays.next_open(at(closed)),
                Some(at("2026-05-10T22:00:00Z")),
                "{closed}"
            );
        }
        assert_eq!(
            weekdays.next_open(at("2026-05-07T12:00:00Z")),
            Some(at("2026-05-07T12:00:00Z"))
        );
    }

    #[test]
    fn days_go_round_the_week() {
        let weekend = schedule("UTC", "sat-mon 10:00-12:00");
        for day in ["2026-05-09", "2026-05-10", "2026-05-11"] {
            assert!(weekend.is_open(at(&format!("{day}T10:00:00Z"))), "{day}");
        }
        assert_eq!(weekend.next_open(at("2026-05-11T12:00:00Z")), Some(at("2026-05-16T10:00:00Z")));
    }

    #[test]
    fn an_hour_that_is_left_out_opens_nothing() {
        // On 2026-03-29, a Sunday, Berlin has no time between 02:00 and 03:00.
        let gap = schedule("Europe/Berlin", "sun 02:00-03:00");
        let opens = gap.next_open(at("2026-03-28T12:00:00Z"));
        assert_eq!(opens, Some(at("2026-04-05T00:00:00Z")));
        let longer = schedule("Europe/Berlin", "sun 02:30-03:30");
        let opens = longer.next_open(at("2026-03-28T12:00:00Z"));
        assert_eq!(opens, Some(at("2026-03-29T01:00:00Z")), "from 03:00, where the gap ends");
    }

    #[test]
    fn an_hour_that_comes_twice_opens_twice() {
        // On 2026-10-25, a Sunday, Berlin goes through the time between 02:00 and 03:00 twice.
        let twice = schedule("Europe/Berlin", "sun 02:15-02:30");
        for (from, opens) in [
            ("2026-10-25T00:00:00Z", "2026-10-25T00:15:00Z"),
            ("2026-10-25T00:30:00Z", "2026-10-25T01:15:00Z"),
            ("2026-10-25T01:30:00Z", "2026-11-01T01:15:00Z"),
        ] {
            assert_eq!(twice.next_open(at(from)), Some(at(opens)), "{from}");
        }
    }

    fn hours() -> impl Strategy<Value = String> {
        let window = (0..7_usize, 0..7_usize, 0..48_u16, 1..49_u16).prop_filter_map(
            "ends after it begins",
            |(first, last, from, until)| {
                let [from, until] =
                    [from, until].map(|half| format!("{:02}:{:02}", half / 2, half % 2 * 30));
                let days = format!("{}-{}", WEEKDAYS[first].0, WEEKDAYS[last].0);
                (from < until).then(|| format!("{days} {from}-{until}"))
            },
        );
        prop::collection::vec(window, 1..4).prop_map(|windows| windows.join(", "))
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// The next opening is open, not before, and nothing between is.
        #[test]
        fn the_next_opening_is_the_first(
            hours in hours(),
            zone in prop::sample::select(vec!["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"]),
            second in 1_760_000_000..1_800_000_000_i64,
        ) {
            let schedule = schedule(zone, &hours);
            let at = Timestamp::from_second(second).unwrap();
            let opening = schedule.next_open(at).unwrap();
            prop_assert!(opening >= at && schedule.is_open(opening));
            // Hours begin and end on the quarter at the least, whatever the zone.
            for between in (at.as_second()..opening.as_second()).step_by(900) {
                prop_assert!(!schedule.is_open(Timestamp::from_second(between).unwrap()));
            }
        }
    }
}
