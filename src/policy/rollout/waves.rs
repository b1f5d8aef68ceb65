//! How far each wave of a rollout reaches, and how long it lasts.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Text that says nothing of a rollout: what was expected, and what was found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} `{}` is not valid: expected {expected}", .found.escape_debug())]
pub struct TermsError {
    what: &'static str,
    found: String,
    expected: String,
}

impl TermsError {
    /// At most so many characters of the offending text are repeated.
    const FOUND_CHARS_MAX: usize = 80;

    pub(super) fn new(what: &'static str, found: &str, expected: impl Into<String>) -> Self {
        let found = found.chars().take(Self::FOUND_CHARS_MAX).collect();
        Self { what, found, expected: expected.into() }
    }
}

/// A share of machines in basis points (hundredths of a percent), from 1 to 10,000. As text: `2.5%`.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Share(u16);

impl Share {
    /// All of them.
    pub const WHOLE: Self = Self(10_000);

    /// So many basis points, where they are 1 to 10,000.
    pub const fn of_basis_points(basis_points: u16) -> Option<Self> {
        if basis_points == 0 || basis_points > Self::WHOLE.0 {
            return None;
        }
        Some(Self(basis_points))
    }

    /// The basis points.
    pub const fn basis_points(self) -> u16 {
        self.0
    }

    /// Whether `part` of `whole` is at least this share.
    pub fn is_reached_by(self, part: u64, whole: u64) -> bool {
        u128::from(part) * u128::from(Self::WHOLE.0) >= u128::from(whole) * u128::from(self.0)
    }
}

impl fmt::Display for Share {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, hundredths) = (self.0 / 100, self.0 % 100);
        match hundredths {
            0 => write!(formatter, "{whole}%"),
            _ if hundredths % 10 == 0 => write!(formatter, "{whole}.{}%", hundredths / 10),
            _ => write!(formatter, "{whole}.{hundredths:02}%"),
        }
    }
}

impl FromStr for Share {
    type Err = TermsError;

    fn from_str(text: &str) -> Result<Self, TermsError> {
        let basis_points = || {
            let (whole, fraction) = text.strip_suffix('%')?.split_once('.').map_or_else(
                || (text.strip_suffix('%').unwrap_or_default(), ""),
                |(whole, fraction)| (whole, fraction),
            );
            let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
            if whole.is_empty() || whole.len() > 3 || fraction.len() > 2 {
                return None;
            }
            if !is_digits(whole) || !is_digits(fraction) || text.contains(".%") {
                return None;
            }
            let hundredths: u16 = format!("{fraction:0<2}").parse().ok()?;
            whole.parse::<u16>().ok()?.checked_mul(100)?.checked_add(hundredths)
        };
        basis_points().and_then(Self::of_basis_points).ok_or_else(|| {
            let expected = "more than 0% and at most 100%, with two decimals at most, as in 2.5%";
            TermsError::new("share", text, expected)
        })
    }
}

/// How long a wave lasts before the next one begins. As text: `90s`, `30m`, `4h`, `2d`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Soak(u32);

impl Soak {
    /// No time at all.
    pub const NONE: Self = Self(0);
    /// The longest, in seconds: a year.
    pub const SECONDS_MAX: u32 = 366 * 86_400;
    const UNITS: [(char, u32); 4] = [('d', 86_400), ('h', 3600), ('m', 60), ('s', 1)];

    /// So many hours.
    pub(super) const fn hours(hours: u32) -> Self {
        Self(3600 * hours)
    }

    /// In seconds.
    pub const fn seconds(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Soak {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unit = Self::UNITS.into_iter().find(|(_, seconds)| self.0.is_multiple_of(*seconds));
        let (letter, seconds) = unit.filter(|_| self.0 > 0).unwrap_or(('s', 1));
        write!(formatter, "{}{letter}", self.0 / seconds)
    }
}

impl FromStr for Soak {
    type Err = TermsError;

    fn from_str(text: &str) -> Result<Self, TermsError> {
        let seconds = || {
            let (letter, unit) = Self::UNITS.into_iter().find(|(unit, _)| text.ends_with(*unit))?;
            let count: u32 = text.strip_suffix(letter)?.parse().ok()?;
            count.checked_mul(unit).filter(|seconds| *seconds <= Self::SECONDS_MAX)
        };
        seconds().map(Self).ok_or_else(|| {
            TermsError::new("time", text, "a number with s, m, h or d, at most 366d, as in 4h")
        })
    }
}

/// How far a wave reaches. Each reaches whoever those before it reach, and more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reach {
    /// The canaries of the rollout.
    Canaries,
    /// Also the machines of the ring `preview`.
    Preview,
    /// Also those of the ring `early`.
    Early,
    /// Also a share of those of the ring `general`.
    General(Share),
    /// Also those of the ring `last`: all.
    Last,
}

impl fmt::Display for Reach {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Canaries => formatter.write_str("canaries"),
            Self::Preview => formatter.write_str("preview"),
            Self::Early => formatter.write_str("early"),
            Self::General(share) => share.fmt(formatter),
            Self::Last => formatter.write_str("last"),
        }
    }
}

impl FromStr for Reach {
    type Err = TermsError;

    fn from_str(text: &str) -> Result<Self, TermsError> {
        match text {
            "canaries" => Ok(Self::Canaries),
            "preview" => Ok(Self::Preview),
            "early" => Ok(Self::Early),
            "last" => Ok(Self::Last),
            _ if text.ends_with('%') => text.parse().map(Self::General),
            _ => Err(TermsError::new(
                "wave",
                text,
                "canaries, preview, early, a share as 10%, or last",
            )),
        }
    }
}

/// A wave of a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wave {
    /// Whom it reaches.
    pub reach: Reach,
    /// How long it lasts; of the last one, how long it is watched before the rollout is finished.
    pub soak: Soak,
}

/// The waves of a rollout, each of which reaches further than the one before. As text:
/// `early:4h,1%:8h,10%:1d,100%`.
///
/// Only the last one may be without a time, and then it is watched for a day. Where the last one
/// reaches the whole ring `general`, one follows that reaches the ring `last`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct Waves(Vec<Wave>);

impl Waves {
    /// How many a rollout has at most.
    pub const COUNT_MAX: usize = 32;
    /// How long the last wave is watched where nobody has said so.
    const WATCH: Soak = Soak::hours(24);

    /// The waves of a server that is not told otherwise.
    ///
    /// This and [`Thresholds::usual`](super::Thresholds::usual) are the only place where they are. Why they
    /// are so is in [`manual::rollouts`](crate::manual::rollouts).
    pub fn usual() -> Self {
        let general = |basis_points| Reach::General(Share(basis_points));
        let wave = |reach, hours| Wave { reach, soak: Soak::hours(hours) };
        Self(vec![
            wave(Reach::Early, 4),
            wave(general(150), 12),
            wave(general(500), 12),
            wave(general(2000), 24),
            wave(general(10_000), 24),
            wave(Reach::Last, 24),
        ])
    }

    /// Everybody at once.
    pub fn at_once() -> Self {
        Self(vec![Wave { reach: Reach::Last, soak: Self::WATCH }])
    }

    /// The waves in their order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Wave> + ExactSizeIterator {
        self.0.iter()
    }

    /// How many there are: at least one.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    pub(super) fn wave(&self, index: usize) -> Option<&Wave> {
        self.0.get(index)
    }

    /// Whether the last of them reaches everybody.
    pub fn reach_everybody(&self) -> bool {
        self.0.last().is_some_and(|last| last.reach == Reach::Last)
    }
}

impl fmt::Display for Waves {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Wave { reach, soak }) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(formatter, "{comma}{reach}:{soak}")?;
        }
        Ok(())
    }
}

impl FromStr for Waves {
    type Err = TermsError;

    fn from_str(text: &str) -> Result<Self, TermsError> {
        let mut waves: Vec<Wave> = Vec::new();
        let mut parts = text.split(',').map(str::trim).peekable();
        while let Some(part) = parts.next() {
            let is_last = parts.peek().is_none();
            let (reach, soak) = match part.split_once(':') {
                Some((reach, soak)) => (reach.parse()?, soak.parse()?),
                None if is_last => match part.parse()? {
                    reach @ Reach::General(Share::WHOLE) => (reach, Soak::NONE),
                    reach => (reach, Self::WATCH),
                },
                None => {
                    let expected =
                        "the time for which it lasts, as in 10%:4h: only the last needs none";
                    return Err(TermsError::new("wave", part, expected));
                }
            };
            if let Some(before) = waves.last().filter(|before| before.reach >= reach) {
                let expected = format!(
                    "each to reach further than the one before, which is {}: canaries, preview, \
                     early, shares that rise, last",
                    before.reach
                );
                return Err(TermsError::new("wave", part, expected));
            }
            waves.push(Wave { reach, soak });
        }
        if waves.last().is_some_and(|last| last.reach == Reach::General(Share::WHOLE)) {
            waves.push(Wave { reach: Reach::Last, soak: Self::WATCH });
        }
        if waves.len() > Self::COUNT_MAX {
            let expected = format!("at most {} waves", Self::COUNT_MAX);
            return Err(TermsError::new("list of waves", text, expected));
        }
        Ok(Self(waves))
    }
}

/// Reads and writes a type that is text in documents.
macro_rules! as_text {
    ($($name:ident),+) => {$(
        impl TryFrom<String> for $name {
            type Error = TermsError;

            fn try_from(text: String) -> Result<Self, TermsError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }
    )+};
}
pub(super) use as_text;

as_text!(Share, Waves);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_read_as_they_are_written() {
        for (text, basis_points) in [
            ("1%", 100),
            ("0.01%", 1),
            ("0.5%", 50),
            ("2.25%", 225),
            ("10%", 1000),
            ("100%", 10_000),
        ] {
            let share: Share = text.parse().unwrap();
            assert_eq!((share.basis_points(), share.to_string().as_str()), (basis_points, text));
        }
        assert_eq!("02.50%".parse::<Share>().unwrap().to_string(), "2.5%");
    }

    #[test]
    fn a_share_of_nothing_or_of_more_than_all_is_refused() {
        for text in [
            "0%", "0.00%", "100.01%", "101%", "1000%", "-1%", "1", "%", "1.%", ".5%", "1.234%",
            "+1%", "٣%",
        ] {
            let error = text.parse::<Share>().unwrap_err().to_string();
            assert!(error.contains("more than 0% and at most 100%"), "{text}: {error}");
        }
    }

    #[test]
    fn shares_are_compared_in_whole_numbers() {
        let share: Share = "2%".parse().unwrap();
        assert!(share.is_reached_by(2, 100) && !share.is_reached_by(1, 51));
        assert!(share.is_reached_by(1, 50));
        assert!(Share::WHOLE.is_reached_by(u64::MAX, u64::MAX));
        assert!(!Share::WHOLE.is_reached_by(u64::MAX - 1, u64::MAX));
    }

    #[test]
    fn times_are_read_as_they_are_written() {
        for (text, seconds) in
            [("0s", 0), ("90s", 90), ("30m", 1800), ("4h", 14_400), ("2d", 172_800)]
        {
            let soak: Soak = text.parse().unwrap();
            assert_eq!((soak.seconds(), soak.to_string().as_str()), (seconds, text));
        }
        assert_eq!("24h".parse::<Soak>().unwrap().to_string(), "1d");
        for text in ["", "4", "h", "-1h", "1w", "367d", "9999999999d", "4 h"] {
            let error = text.parse::<Soak>().unwrap_err().to_string();
            assert!(error.contains("a number with s, m, h or d"), "{text}: {error}");
        }
    }

    #[test]
    fn waves_are_read_as_they_are_written_and_end_with_the_last_ring() {
        for (text, written) in [
            ("1%:1h,10%:4h,100%", "1%:1h,10%:4h,100%:0s,last:1d"),
            (
                "canaries:1h, preview:1h ,early:2h,100%:1d",
                "canaries:1h,preview:1h,early:2h,100%:1d,last:1d",
            ),
            ("1%:1h,10%", "1%:1h,10%:1d"),
            ("last", "last:1d"),
            ("early:1h,last:3h", "early:1h,last:3h"),
        ] {
            let waves: Waves = text.parse().unwrap();
            assert_eq!(waves.to_string(), written);
            assert_eq!(written.parse::<Waves>().unwrap(), waves);
        }
        let usual = Waves::usual();
        assert_eq!(usual.to_string().parse::<Waves>().unwrap(), usual);
        assert!(usual.reach_everybody() && Waves::at_once().reach_everybody());
    }

    #[test]
    fn waves_that_say_nothing_are_refused_with_what_was_expected() {
        let many: Vec<_> = (1..=33).map(|share| format!("{share}%:1h")).collect();
        for (text, expected) in [
            ("", "canaries, preview, early"),
            ("1%:1h,", "canaries, preview, early"),
            ("sooner:1h", "canaries, preview, early"),
            ("1%,10%:1h", "only the last needs none"),
            ("10%:1h,1%:1h", "further than the one before, which is 10%"),
            ("10%:1h,10%:1h", "further than the one before"),
            ("last:1h,early:1h", "further than the one before, which is last"),
            ("0%:1h", "more than 0% and at most 100%"),
            ("101%:1h", "more than 0% and at most 100%"),
            ("1%:soon", "a number with s, m, h or d"),
            (many.join(",").as_str(), "at most 32 waves"),
        ] {
            let error = text.parse::<Waves>().unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
