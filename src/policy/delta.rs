//! Which deltas are made, in which order, which of them are kept, and which ways they make.
//!
//! A delta turns the payload of one release into that of a higher one. It is made for the machines that run
//! the one and would get the other next, so that they fetch less than the artifact. [`work`] decides by
//! values alone: how many machines want each delta ([`Wanted`]), what was tried of it ([`Tried`]), and
//! what making and keeping may cost ([`DeltaRules`]). [`mod@path`] finds the ways through what is kept.

pub mod path;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use jiff::{SignedDuration, Timestamp};
use mainstay_client::format::{
    DeltaProfile, Digest, Platform, ProductName, Version, schema::Instant,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The most that a delta may weigh, in hundredths of the artifact in whose place it is fetched. What saves
/// less does not pay for the work: a machine reads all that it runs, and the server keeps both.
pub const PERCENT_MAX: u64 = 75;
/// The most that a *compact* delta may weigh, in hundredths of the *fast* one beside it. It is applied far
/// slower, so it is for machines to which bytes are dear.
pub const PERCENT_MAX_COMPACT: u64 = 95;
/// The shortest artifact, or *fast* delta, in whose place a delta is fetched, in bytes: what is shorter takes
/// about as long to ask for as to fetch.
pub const OTHERWISE_BYTES_MIN: u64 = 64 << 10;
/// As how heavy a delta is taken of which nothing is known yet, in hundredths of the artifact. It matters
/// only where there is little room for more.
const PERCENT_EXPECTED: u64 = 20;
/// How often a delta is begun that does not come to its end.
pub const TRIES_MAX: u32 = 3;
/// How much memory the models of a *compact* delta take, in bytes.
const MODEL_BYTES: u64 = 64 << 20;
/// Over which time it is added up how long was spent on making deltas.
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// What deltas may cost the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeltaRules {
    /// Whether any are made. Those that were made are given out all the same.
    pub making: Making,
    /// How many seconds of one core are spent on making them within 24 hours. One that is begun within
    /// them comes to its end, unless it takes as long by itself.
    pub seconds_a_day: u32,
    /// How much memory making one may take, in bytes, by [`Wanted::memory_bytes`].
    pub memory_bytes: u64,
    /// How many bytes the deltas that are kept have together, of all products.
    pub disk_bytes: u64,
}

/// Whether deltas are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Making {
    /// They are, of both profiles: *compact* ones while half of the day's time is left.
    On,
    /// *Fast* ones alone are.
    FastOnly,
    /// They are not.
    Off,
}

impl DeltaRules {
    /// The fewest and the most seconds a day.
    pub const SECONDS_A_DAY: std::ops::RangeInclusive<u32> = 1..=86_400;
    /// The least memory, in bytes: enough for payloads of some 2 MiB.
    pub const MEMORY_BYTES_MIN: u64 = 64 << 20;
    /// The least room, in bytes.
    pub const DISK_BYTES_MIN: u64 = 1 << 20;

    /// Whether another delta may be made so, where `spent` seconds of the day's time are.
    fn may_make(&self, profile: DeltaProfile, spent: u64) -> bool {
        let seconds = u64::from(self.seconds_a_day);
        match (self.making, profile) {
            (Making::On | Making::FastOnly, DeltaProfile::Fast) => spent < seconds,
            (Making::On, DeltaProfile::Compact) => spent.saturating_mul(2) < seconds,
            _ => false,
        }
    }

    /// What is wrong with them, for people.
    pub fn problem(&self) -> Option<String> {
        let (low, high) = Self::SECONDS_A_DAY.into_inner();
        if !(low..=high).contains(&self.seconds_a_day) {
            return Some(format!(
                "seconds_a_day is {}: expected {low} to {high}",
                self.seconds_a_day
            ));
        }
        let least = [
            ("memory_bytes", self.memory_bytes, Self::MEMORY_BYTES_MIN),
            ("disk_bytes", self.disk_bytes, Self::DISK_BYTES_MIN),
        ];
        let mut wrong = least.into_iter().filter(|(_, found, least)| found < least);
        wrong
            .next()
            .map(|(name, found, least)| format!("{name} is {found}: expected at least {least}"))
    }
}

impl Default for DeltaRules {
    fn default() -> Self {
        Self {
            making: Making::On,
            seconds_a_day: 4 * 3600,
            memory_bytes: 2 << 30,
            disk_bytes: 10 << 30,
        }
    }
}

/// From which release to which a delta leads, on which platform, and how it is packed.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub struct DeltaPair {
    /// The product.
    pub product: ProductName,
    /// The platform.
    pub platform: Platform,
    /// The release whose payload it is applied to.
    pub from: Version,
    /// The release whose payload it makes.
    pub to: Version,
    /// How it is packed.
    #[schemars(with = "String")]
    pub profile: DeltaProfile,
}

impl fmt::Display for DeltaPair {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { product, platform, from, to, profile } = self;
        let profile = profile_name(*profile);
        write!(formatter, "{product} {from} to {to} on {platform}, {profile}")
    }
}

/// A profile in a word.
pub const fn profile_name(profile: DeltaProfile) -> &'static str {
    match profile {
        DeltaProfile::Fast => "fast",
        DeltaProfile::Compact => "compact",
        DeltaProfile::Other => "other",
    }
}

impl DeltaPair {
    /// The delta between the same payloads that is packed so.
    #[must_use]
    pub fn packed(&self, profile: DeltaProfile) -> Self {
        Self { profile, ..self.clone() }
    }
}

/// What a machine fetches where there is no such delta.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Otherwise {
    /// The artifact.
    Artifact,
    /// The delta of the profile *fast*, of so many bytes.
    Fast(u64),
}

/// For whom a delta would be, and what it is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// How many machines run the one and would get the other next.
    pub machines: u64,
    /// What they would fetch otherwise.
    pub otherwise: Otherwise,
    /// The length of the artifact, in bytes.
    pub artifact_bytes: u64,
    /// The length of the payload that it is applied to, in bytes.
    pub old_payload_bytes: u64,
    /// The length of the payload that it makes, in bytes.
    pub new_payload_bytes: u64,
}

/// How much memory it takes to make a delta of payloads of so many bytes, in bytes.
const fn memory_bytes(old_bytes: u64, new_bytes: u64) -> u64 {
    old_bytes.saturating_mul(20).saturating_add(new_bytes.saturating_mul(4))
}

impl Wanted {
    /// How much memory it takes to make it, in bytes, estimated from above: both payloads, a copy of both
    /// where there are executables in them, the suffixes of the old one in their order, and the models of
    /// a *compact* one.
    pub fn memory_bytes(&self) -> u64 {
        let models = match self.otherwise {
            Otherwise::Artifact => 0,
            Otherwise::Fast(_) => MODEL_BYTES,
        };
        memory_bytes(self.old_payload_bytes, self.new_payload_bytes).saturating_add(models)
    }

    /// How many bytes that are compressed in either payload may be opened where making it may take
    /// `memory_bytes_max` of memory: they are so many bytes more of both.
    pub fn opened_bytes_max(&self, memory_bytes_max: u64) -> u64 {
        memory_bytes_max.saturating_sub(self.memory_bytes()) / memory_bytes(1, 1)
    }

    /// How many bytes a machine fetches otherwise.
    pub const fn otherwise_bytes(&self) -> u64 {
        match self.otherwise {
            Otherwise::Artifact => self.artifact_bytes,
            Otherwise::Fast(bytes) => bytes,
        }
    }

    /// Why it is not to be made, whoever wants it.
    pub fn hindrance(&self, rules: &DeltaRules) -> Option<Hindrance> {
        if self.otherwise_bytes() < OTHERWISE_BYTES_MIN {
            return Some(Hindrance::TooSmall);
        }
        (self.memory_bytes() > rules.memory_bytes).then_some(Hindrance::TooLarge)
    }

    /// How many bytes of downloads it saves at the most: what is fetched otherwise, for each machine.
    pub fn saved_at_most(&self) -> u128 {
        u128::from(self.machines) * u128::from(self.otherwise_bytes())
    }

    /// How many bytes of downloads it saves if it has `length` bytes.
    pub fn saved(&self, length: u64) -> u128 {
        u128::from(self.machines) * u128::from(self.otherwise_bytes().saturating_sub(length))
    }

    /// Whether a delta of `length` bytes is worth keeping.
    pub fn is_worth(&self, length: u64) -> bool {
        let percent_max = match self.otherwise {
            Otherwise::Artifact => PERCENT_MAX,
            Otherwise::Fast(_) => PERCENT_MAX_COMPACT,
        };
        u128::from(length) * 100 <= u128::from(self.otherwise_bytes()) * u128::from(percent_max)
    }
}

/// Why a delta is not to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hindrance {
    /// What is fetched otherwise is shorter than [`OTHERWISE_BYTES_MIN`].
    TooSmall,
    /// Making it takes more memory than there is for it.
    TooLarge,
}

/// How far a delta has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum DeltaState {
    /// It is being made.
    Making {
        /// By which server.
        by: String,
        /// Until when nobody else begins it. Whoever makes it puts that off again and again.
        #[schemars(with = "Instant")]
        until: Timestamp,
    },
    /// It was begun and is to be begun again.
    Waiting {
        /// From when on.
        #[schemars(with = "Instant")]
        from: Timestamp,
        /// Why it did not come to its end.
        reason: String,
    },
    /// It is given out.
    Kept {
        /// Its length in bytes.
        length: u64,
        /// Its digest, under which it is in the blobs.
        sha256: Digest,
        /// By how many bytes it is shorter than the artifact.
        shorter_by: u64,
    },
    /// It was made, and weighs so much that it is not worth it. It is not tried again.
    NotWorth {
        /// Its length in bytes.
        length: u64,
    },
    /// It was kept, and had to give way to others.
    Dropped {
        /// Its length in bytes.
        length: u64,
    },
    /// It cannot be made. It is not tried again.
    Failed {
        /// Why.
        reason: String,
    },
}

/// What was tried of a delta.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tried {
    /// How far it has come.
    pub state: DeltaState,
    /// Since when that is so.
    #[schemars(with = "Instant")]
    pub at: Timestamp,
    /// How often it was begun without coming to its end, the time under way included.
    pub tries: u32,
    /// How many seconds were spent on it when it was last tried, and before that where each try followed
    /// on the one before within a day.
    pub seconds: u64,
}

impl Tried {
    /// How many seconds of what was spent on it are of the 24 hours before `now`, estimated from above.
    pub fn seconds_of_day(&self, now: Timestamp) -> u64 {
        if is_of_today(self, now) { self.seconds } else { 0 }
    }
}

/// What there is to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// The deltas to make, the one that saves most first.
    pub make: Vec<DeltaPair>,
    /// The kept ones to remove, since they save less than others that need the room.
    pub drop: Vec<DeltaPair>,
    /// Those that were begun as often as they are, and never came to an end.
    pub give_up: Vec<DeltaPair>,
    /// What is not worth remembering: nobody wants them, and nothing that would be done in vain again is
    /// known of them.
    pub forget: Vec<DeltaPair>,
}

/// What machines want, the *compact* deltas added that are worth making beside the *fast* ones that are kept:
/// only with those is it known what they save.
pub fn with_compact(
    mut wanted: BTreeMap<DeltaPair, Wanted>,
    tried: &BTreeMap<DeltaPair, Tried>,
) -> BTreeMap<DeltaPair, Wanted> {
    let beside = |(pair, tried): (&DeltaPair, &Tried)| {
        let DeltaState::Kept { length, .. } = tried.state else { return None };
        let of_fast = wanted.get(pair).filter(|_| pair.profile == DeltaProfile::Fast)?;
        let of_compact = Wanted { otherwise: Otherwise::Fast(length), ..*of_fast };
        Some((pair.packed(DeltaProfile::Compact), of_compact))
    };
    let compact: Vec<_> = tried.iter().filter_map(beside).collect();
    wanted.extend(compact);
    wanted
}

/// What is to be made, removed, given up and forgotten at `now`.
///
/// - The first to be made is the one that would save the most bytes of downloads, by
///   [`Wanted::saved_at_most`]; what that is is known only once it was made.
/// - None is made that would take more memory than there is for it or replace a short artifact, that is
///   being made, that was tried in vain, or that would have to give way to others again; and none while the day's
///   time is used up, nor a *compact* one while half of it is.
/// - Where those that are kept need more room than there is, *compact* ones give way first, and then those that
///   save the least for the room that they take. What nobody wants saves nothing.
pub fn work(
    wanted: &BTreeMap<DeltaPair, Wanted>,
    tried: &BTreeMap<DeltaPair, Tried>,
    rules: &DeltaRules,
    now: Timestamp,
) -> Work {
    let kept: Vec<Candidate<'_>> = tried
        .iter()
        .filter_map(|(pair, tried)| match tried.state {
            DeltaState::Kept { length, .. } => Some(Candidate::new(pair, length, wanted)),
            _ => None,
        })
        .collect();
    let kept_bytes = kept.iter().fold(0_u64, |sum, it| sum.saturating_add(it.length));
    let fitting = fitting(kept.clone(), rules.disk_bytes);
    let drop = kept.iter().map(|it| it.pair).filter(|pair| !fitting.contains(pair)).cloned();
    let spent = seconds_spent(tried.values(), now);
    let mut make = Vec::new();
    let mut give_up = Vec::new();
    for (pair, wanted_so) in wanted {
        match stage(tried.get(pair), now) {
            Stage::Settled => {}
            Stage::GivenUp => give_up.push(pair.clone()),
            Stage::Open { length } => {
                let length = length.unwrap_or_else(|| expected_length(wanted_so));
                let candidate = Candidate::new(pair, length, wanted);
                let has_room = || {
                    let all = || kept.iter().cloned().chain([candidate.clone()]).collect();
                    kept_bytes.saturating_add(length) <= rules.disk_bytes
                        || self::fitting(all(), rules.disk_bytes).contains(pair)
                };
                if rules.may_make(pair.profile, spent)
                    && wanted_so.hindrance(rules).is_none()
                    && has_room()
                {
                    make.push(pair.clone());
                }
            }
        }
    }
    let saved = |pair: &DeltaPair| wanted.get(pair).map_or(0, Wanted::saved_at_most);
    make.sort_by(|one, other| saved(other).cmp(&saved(one)).then_with(|| one.cmp(other)));
    let forget = tried.iter().filter(|(pair, tried)| {
        let is_idle = match &tried.state {
            DeltaState::Dropped { .. } | DeltaState::Waiting { .. } => true,
            DeltaState::Making { until, .. } => *until <= now,
            _ => false,
        };
        is_idle && !wanted.contains_key(pair) && !is_of_today(tried, now)
    });
    let forget = forget.map(|(pair, _)| pair.clone()).collect();
    Work { make, drop: drop.collect(), give_up, forget }
}

/// How many seconds were spent on making deltas in the 24 hours before `now`.
pub fn seconds_spent<'a>(tried: impl Iterator<Item = &'a Tried>, now: Timestamp) -> u64 {
    tried.map(|tried| tried.seconds_of_day(now)).fold(0, u64::saturating_add)
}

fn is_of_today(tried: &Tried, now: Timestamp) -> bool {
    now.duration_since(tried.at) < DAY
}

fn expected_length(wanted: &Wanted) -> u64 {
    match wanted.otherwise {
        Otherwise::Artifact => {
            (wanted.artifact_bytes / 100).saturating_mul(PERCENT_EXPECTED).max(1)
        }
        Otherwise::Fast(length) => length,
    }
}

/// Whether a delta that is wanted can be begun.
enum Stage {
    /// It is being made, or was made or tried in vain, or its time has not come.
    Settled,
    /// It was begun as often as it is.
    GivenUp,
    /// It can, and is known to have so many bytes where it was made before.
    Open { length: Option<u64> },
}

fn stage(tried: Option<&Tried>, now: Timestamp) -> Stage {
    let Some(Tried { state, tries, .. }) = tried else { return Stage::Open { length: None } };
    match state {
        DeltaState::Kept { .. } | DeltaState::NotWorth { .. } | DeltaState::Failed { .. } => {
            Stage::Settled
        }
        DeltaState::Dropped { length } => Stage::Open { length: Some(*length) },
        DeltaState::Making { until: due, .. } | DeltaState::Waiting { from: due, .. }
            if *due > now =>
        {
            Stage::Settled
        }
        DeltaState::Making { .. } | DeltaState::Waiting { .. } if *tries >= TRIES_MAX => {
            Stage::GivenUp
        }
        DeltaState::Making { .. } | DeltaState::Waiting { .. } => Stage::Open { length: None },
    }
}

/// A delta that wants room.
#[derive(Clone)]
struct Candidate<'a> {
    pair: &'a DeltaPair,
    length: u64,
    saved: u128,
}

impl<'a> Candidate<'a> {
    fn new(pair: &'a DeltaPair, length: u64, wanted: &BTreeMap<DeltaPair, Wanted>) -> Self {
        Self { pair, length, saved: wanted.get(pair).map_or(0, |it| it.saved(length)) }
    }

    /// Puts *fast* ones first, without which nobody wants the *compact* ones beside them, and then the one that
    /// saves more for the room that it takes.
    fn compare(&self, other: &Self) -> Ordering {
        let (one, two) = (
            self.saved.saturating_mul(other.length.into()),
            other.saved.saturating_mul(self.length.into()),
        );
        let by_profile = self.pair.profile.cmp(&other.pair.profile);
        by_profile.then_with(|| two.cmp(&one)).then_with(|| self.pair.cmp(other.pair))
    }
}

/// Those that have room together, each in its turn.
fn fitting(mut candidates: Vec<Candidate<'_>>, bytes_max: u64) -> BTreeSet<&DeltaPair> {
    candidates.sort_by(Candidate::compare);
    let mut left = bytes_max;
    let mut fitting = BTreeSet::new();
    for candidate in candidates {
        if let Some(rest) = left.checked_sub(candidate.length) {
            left = rest;
            fitting.insert(candidate.pair);
        }
    }
    fitting
}
