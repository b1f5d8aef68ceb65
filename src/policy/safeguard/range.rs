use std::{cmp::Ordering, fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A range of versions that are numbers and dots, as kernels and distributions have them: comparators
/// that all must hold, separated by commas, as in `>=5.10, <5.15`; `*` is every version. Compared is
/// number by number, and a number that is not there is 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct NumberRange(Vec<Comparator>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Comparator {
    sign: Sign,
    version: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    AtLeast,
    AtMost,
    Above,
    Below,
    Equal,
}

/// Text that is no range of versions.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no range of versions: expected up to 8 comparators of at most 4 numbers, separated by \
     commas, such as `>=5.10, <5.15`, or `*`"
)]
pub struct RangeError(String);

/// In the order in which they are looked for: those that begin as another does come first.
const SIGNS: [(&str, Sign); 5] = [
    (">=", Sign::AtLeast),
    ("<=", Sign::AtMost),
    (">", Sign::Above),
    ("<", Sign::Below),
    ("=", Sign::Equal),
];
const COMPARATORS_MAX: usize = 8;

impl NumberRange {
    /// Whether every version is in it.
    pub fn is_any(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the version is in it. What is no version is in no range but `*`.
    pub fn contains(&self, version: &str) -> bool {
        let holds = |comparator: &Comparator| {
            let ordering = Option::zip(numbers(version), numbers(&comparator.version))
                .map(|(found, bound)| found.cmp(&bound));
            ordering.is_some_and(|ordering| comparator.sign.admits(ordering))
        };
        self.0.iter().all(holds)
    }
}

impl Sign {
    const fn admits(self, ordering: Ordering) -> bool {
        match self {
            Self::AtLeast => ordering.is_ge(),
            Self::AtMost => ordering.is_le(),
            Self::Above => ordering.is_gt(),
            Self::Below => ordering.is_lt(),
            Self::Equal => ordering.is_eq(),
        }
    }
}

fn numbers(version: &str) -> Option<[u32; 4]> {
    let mut numbers = [0; 4];
    let mut places = numbers.iter_mut();
    for number in version.split('.') {
        let is_plain = number.bytes().all(|byte| byte.is_ascii_digit());
        *places.next()? = number.parse().ok().filter(|_| is_plain)?;
    }
    Some(numbers)
}

impl FromStr for NumberRange {
    type Err = RangeError;

    fn from_str(text: &str) -> Result<Self, RangeError> {
        if text.trim() == "*" {
            return Ok(Self(Vec::new()));
        }
        let comparator = |text: &str| {
            let text = text.trim();
            let (sign, version) = SIGNS
                .into_iter()
                .find_map(|(sign, meaning)| Some((meaning, text.strip_prefix(sign)?)))?;
            let version = version.trim().to_owned();
            numbers(&version).is_some().then_some(Comparator { sign, version })
        };
        let comparators: Option<Vec<Comparator>> = text.split(',').map(comparator).collect();
        comparators
            .filter(|comparators| comparators.len() <= COMPARATORS_MAX)
            .map(Self)
            .ok_or_else(|| RangeError(text.chars().take(64).collect()))
    }
}

impl TryFrom<String> for NumberRange {
    type Error = RangeError;

    fn try_from(text: String) -> Result<Self, RangeError> {
        text.parse()
    }
}

impl From<NumberRange> for String {
    fn from(range: NumberRange) -> Self {
        range.to_string()
    }
}

impl fmt::Display for NumberRange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_any() {
            return formatter.pad("*");
        }
        let comparators = self.0.iter().map(|Comparator { sign, version }| {
            let sign = SIGNS.into_iter().find(|(_, meaning)| meaning == sign);
            format!("{}{version}", sign.map_or("=", |(sign, _)| sign))
        });
        formatter.pad(&comparators.collect::<Vec<_>>().join(", "))
    }
}
