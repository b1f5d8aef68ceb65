//! Which machines of a contract have a seat.
//!
//! A contract has so many seats; a machine takes one when it enrols. Where there are more machines
//! than seats, those that came first have them. A machine that is retired, or says nothing for a
//! long time, gives its seat up; when it is heard of again it comes last.

use jiff::{SignedDuration, Timestamp};
use mainstay_client::format::MachineName;
use serde::{Deserialize, Serialize};

use super::resolve::Seat;

const HOUR_SECONDS: i64 = 3600;

/// After how many days of 24 hours a machine that says nothing gives its seat up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Silence(u32);

impl Silence {
    /// The shortest and the longest that can be set, in days.
    pub const DAYS: std::ops::RangeInclusive<u32> = 1..=3650;

    /// So many days, where they are [`Silence::DAYS`].
    pub fn days(days: u32) -> Option<Self> {
        Self::DAYS.contains(&days).then_some(Self(days))
    }

    /// Whether a machine that was last heard of at `seen_at` counts as silent at `now`. Its days begin when
    /// the hour in which it was heard of ends: so it does not matter whether more is known than the hour.
    pub fn is_broken_off(self, seen_at: Timestamp, now: Timestamp) -> bool {
        seen_at < self.heard_from(now)
    }

    /// From when on a machine was heard of that does not count as silent at `now`: an hour begins then.
    pub fn heard_from(self, now: Timestamp) -> Timestamp {
        let silent = SignedDuration::from_hours(24 * i64::from(self.0));
        Hour::of(now.checked_sub(silent).unwrap_or(Timestamp::MIN)).start()
    }

    /// The last instant at which a machine that counts as silent at `now` can have been heard of.
    pub fn since(self, now: Timestamp) -> Timestamp {
        let before = self.heard_from(now).checked_sub(SignedDuration::from_nanos(1));
        before.unwrap_or(Timestamp::MIN)
    }
}

impl Default for Silence {
    fn default() -> Self {
        Self(90)
    }
}

/// An hour of UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Timestamp", into = "Timestamp")]
pub struct Hour(Timestamp);

impl Hour {
    /// The hour in which an instant is.
    pub fn of(instant: Timestamp) -> Self {
        let number = instant.as_second().div_euclid(HOUR_SECONDS);
        Self(Timestamp::from_second(number * HOUR_SECONDS).unwrap_or(Timestamp::MIN))
    }

    /// When it begins.
    pub const fn start(self) -> Timestamp {
        self.0
    }
}

impl From<Timestamp> for Hour {
    fn from(instant: Timestamp) -> Self {
        Self::of(instant)
    }
}

impl From<Hour> for Timestamp {
    fn from(hour: Hour) -> Self {
        hour.start()
    }
}

/// A machine's claim to a seat of its contract. It stays the same while the machine is heard of in the same hour,
/// so that most reports change nothing of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The machine.
    pub machine: MachineName,
    /// Since when it has the claim without a break.
    pub since: Timestamp,
    /// In which hour it was last heard of. Claims from before know the instant.
    #[serde(alias = "seen_at")]
    pub seen_in: Hour,
}

impl Claim {
    /// Whether the machine counts as silent at `now`.
    pub fn is_silent(&self, silence: Silence, now: Timestamp) -> bool {
        silence.is_broken_off(self.seen_in.start(), now)
    }

    /// The order in which seats are given: no two machines are equal in it.
    fn place(&self) -> (Timestamp, &MachineName) {
        (self.since, &self.machine)
    }
}

/// The seats of one contract as they are given at one instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allocation {
    /// How many seats there are.
    pub seats: u32,
    /// How many machines have a claim and are not silent.
    pub machines: usize,
    /// The claim of the last machine that has a seat.
    last: Option<Claim>,
}

impl Allocation {
    /// Gives `seats` seats to the oldest claims. Silent machines are passed over. The order of the
    /// claims does not matter.
    pub fn new(claims: Vec<Claim>, seats: u32, silence: Silence, now: Timestamp) -> Self {
        let mut heard: Vec<Claim> =
            claims.into_iter().filter(|claim| !claim.is_silent(silence, now)).collect();
        let machines = heard.len();
        let held = machines.min(usize::try_from(seats).unwrap_or(usize::MAX));
        let last = held.checked_sub(1).map(|last| {
            let (_, claim, _) =
                heard.select_nth_unstable_by(last, |one, other| one.place().cmp(&other.place()));
            claim.clone()
        });
        Self { seats, machines, last }
    }

    /// How many seats are taken.
    pub fn used(&self) -> usize {
        self.machines.min(self.seats())
    }

    /// Whether the machine with the claim has a seat. One that is not counted yet takes a free seat,
    /// where there is one.
    pub fn seat(&self, claim: &Claim) -> Seat {
        let is_free = self.machines < self.seats();
        if is_free || self.last.as_ref().is_some_and(|last| claim.place() <= last.place()) {
            return Seat::Held;
        }
        Seat::Exceeded { seats: self.seats, machines: self.machines.max(self.seats() + 1) }
    }

    fn seats(&self) -> usize {
        usize::try_from(self.seats).unwrap_or(usize::MAX - 1)
    }
}

#[cfg(test)]
mod tests;
