//! How many machines run what, counted as each of them changes.
//!
//! A machine is counted among those of its customer that run the same version on the same platform
//! ([`Cell`]), as one that has confirmed that version or not, and by the day on which it was last
//! heard of. When it changes, [`difference`] says where it leaves and where it joins, so that nobody
//! has to look at all machines: what all differences come to is what counting everybody would find.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
};

use jiff::{SignedDuration, Timestamp};
use mainstay_client::format::{CustomerName, Platform, ProductName, Version};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};

/// What machines run, and on what. The order is that of the versions; where nothing runs comes first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Setup {
    /// The product.
    pub product: ProductName,
    /// The version that they report as running; nothing where nothing runs.
    pub version: Option<Version>,
    /// The platform.
    pub platform: Platform,
}

/// The machines of one customer that run the same on the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Cell {
    /// What they run, and on what.
    pub setup: Setup,
    /// Whose they are.
    pub customer: CustomerName,
}

/// Whether a machine has confirmed what it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It runs, and that is all that is known; or nothing runs.
    Installed,
    /// It runs, and was confirmed.
    Confirmed,
}

/// A day by UTC, as so many since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Day(u32);

/// As what one machine is counted. One that is retired is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    /// Among which others.
    pub cell: Cell,
    /// Whether it has confirmed what it runs.
    pub stage: Stage,
    /// On which day it was last heard of.
    pub seen: Day,
}

/// What happens to the counts when one machine changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Move {
    /// One machine fewer is counted so.
    Leaves(Counted),
    /// One machine more is counted so.
    Joins(Counted),
}

/// What comes of a change of one machine: nothing, where it is counted as before.
pub fn difference(before: Option<Counted>, after: Option<Counted>) -> Vec<Move> {
    if before == after {
        return Vec::new();
    }
    before.map(Move::Leaves).into_iter().chain(after.map(Move::Joins)).collect()
}

/// How many machines there are of one kind, and on which days they were last heard of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    confirmed: u64,
    seen: BTreeMap<Day, u64>,
}

/// How many machines there are of one kind at an instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Figures {
    /// How many machines report that it runs. Where nothing runs: how many report that.
    pub installed: u64,
    /// How many of them have confirmed it.
    pub confirmed: u64,
    /// How many of them are silent.
    pub silent: u64,
}

/// A machine was to leave a count in which there was none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a machine was to leave a count of none")]
pub struct Uncounted;

impl Stage {
    /// That of a machine on which `running` runs, and which has confirmed these versions.
    pub fn of(running: Option<&Version>, confirmed: &BTreeSet<Version>) -> Self {
        match running {
            Some(running) if confirmed.contains(running) => Self::Confirmed,
            _ => Self::Installed,
        }
    }
}

impl Day {
    /// The day of an instant; the first one for what was before it.
    pub fn of(instant: Timestamp) -> Self {
        Self(u32::try_from(instant.as_second().div_euclid(24 * 3600)).unwrap_or(0))
    }

    /// The day with this number.
    pub const fn numbered(number: u32) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The instant at which it begins.
    pub fn start(self) -> Timestamp {
        let since = SignedDuration::from_hours(24 * i64::from(self.0));
        Timestamp::UNIX_EPOCH.checked_add(since).unwrap_or(Timestamp::MAX)
    }
}

impl Move {
    /// The cell in which something is counted differently.
    pub fn cell(&self) -> &Cell {
        let (Self::Leaves(counted) | Self::Joins(counted)) = self;
        &counted.cell
    }
}

impl Count {
    /// On how many different days the machines of one count may have been heard of last: eleven years.
    /// What is older is told as a little younger, so that a count always fits into a record.
    pub const DAYS_MAX: usize = 4000;

    /// Counts one machine fewer or more, of those of a cell that is counted here.
    pub fn make(&mut self, step: &Move) -> Result<(), Uncounted> {
        match step {
            Move::Leaves(counted) => self.leave(counted),
            Move::Joins(counted) => {
                self.join(counted);
                Ok(())
            }
        }
    }

    /// Counts one machine more.
    pub fn join(&mut self, counted: &Counted) {
        self.confirmed += u64::from(counted.stage == Stage::Confirmed);
        *self.seen.entry(counted.seen).or_default() += 1;
        while self.seen.len() > Self::DAYS_MAX
            && let Some((_, oldest)) = self.seen.pop_first()
            && let Some(mut next) = self.seen.first_entry()
        {
            *next.get_mut() += oldest;
        }
    }

    /// Counts one machine fewer, which was counted.
    ///
    /// A machine is counted on its own day or, where that was put together with younger ones, on a
    /// younger. So the first day from its own on has it, or another machine in its place.
    pub fn leave(&mut self, counted: &Counted) -> Result<(), Uncounted> {
        let is_confirmed = u64::from(counted.stage == Stage::Confirmed);
        let confirmed = self.confirmed.checked_sub(is_confirmed).ok_or(Uncounted)?;
        let (day, machines) = self.seen.range_mut(counted.seen..).next().ok_or(Uncounted)?;
        let day = *day;
        *machines -= 1;
        if *machines == 0 {
            self.seen.remove(&day);
        }
        self.confirmed = confirmed;
        Ok(())
    }

    /// Whether there is no machine.
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    /// How many machines there are; those that were last heard of before `heard_from` are silent.
    pub fn figures(&self, heard_from: Day) -> Figures {
        Figures {
            installed: self.seen.values().sum(),
            confirmed: self.confirmed,
            silent: self.seen.range(..heard_from).map(|(_, machines)| machines).sum(),
        }
    }

    /// Whether there is a machine that was last heard of on `day` or before it.
    pub fn reaches_back_to(&self, day: Day) -> bool {
        self.seen.keys().next().is_some_and(|oldest| *oldest <= day)
    }
}

impl std::ops::AddAssign for Figures {
    fn add_assign(&mut self, other: Self) {
        self.installed += other.installed;
        self.confirmed += other.confirmed;
        self.silent += other.silent;
    }
}

/// A text that names no place in the census.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is no place in the census: expected {expected}, as a page before it said")]
pub struct NoPlace {
    found: String,
    expected: &'static str,
}

impl fmt::Display for Setup {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { product, version, platform } = self;
        write!(formatter, "{product}/")?;
        if let Some(version) = version {
            write!(formatter, "{version}")?;
        }
        write!(formatter, "/{platform}")
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.setup, self.customer)
    }
}

impl FromStr for Setup {
    type Err = NoPlace;

    fn from_str(text: &str) -> Result<Self, NoPlace> {
        let parse = || {
            let [product, version, platform] =
                text.split('/').collect::<Vec<_>>().try_into().ok()?;
            let version = (!version.is_empty()).then(|| version.parse());
            Some(Self {
                product: product.parse().ok()?,
                version: version.transpose().ok()?,
                platform: platform.parse().ok()?,
            })
        };
        let expected = "product/version/platform";
        parse().ok_or_else(|| NoPlace { found: text.chars().take(300).collect(), expected })
    }
}

impl FromStr for Cell {
    type Err = NoPlace;

    fn from_str(text: &str) -> Result<Self, NoPlace> {
        let parse = || {
            let (setup, customer) = text.rsplit_once('/')?;
            Some(Self { setup: setup.parse().ok()?, customer: customer.parse().ok()? })
        };
        let expected = "product/version/platform/customer";
        parse().ok_or_else(|| NoPlace { found: text.chars().take(300).collect(), expected })
    }
}

impl Serialize for Setup {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl TryFrom<String> for Setup {
    type Error = NoPlace;

    fn try_from(text: String) -> Result<Self, NoPlace> {
        text.parse()
    }
}

impl Serialize for Cell {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl TryFrom<String> for Cell {
    type Error = NoPlace;

    fn try_from(text: String) -> Result<Self, NoPlace> {
        text.parse()
    }
}

#[cfg(test)]
mod tests;
