//! What a customer has bought, and how it came to be so.
//!
//! A contract is an append-only sequence of [`Amendment`]s. What it says at an instant is
//! [`Contract::at`], a fold over those that are in force by then; nothing is ever edited in place,
//! so what a customer was entitled to on any past day can be told again.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use mainstay_client::format::{Channel, LineName, ProductName, Tag, schema::Instant};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod amendment;
mod patch_days;
mod tier;

pub use amendment::{Amendment, Change, Exit};
pub use patch_days::PatchDays;
pub use tier::{Preset, Tier, Tiers};

/// What a contract says at one instant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Contract {
    /// Whether the contract grants anything at all.
    #[serde(default)]
    pub state: State,
    /// The products that it covers.
    pub products: BTreeSet<ProductName>,
    /// The kinds of release that it covers.
    pub channels: BTreeSet<Channel>,
    /// The times for which maintenance is paid.
    pub terms: Vec<Term>,
    /// For so many days of 24 hours after the paid time, patch releases are still granted.
    #[serde(default)]
    pub grace_days: u32,
    /// For so many days of 24 hours after the paid time, security releases are still granted.
    #[serde(default)]
    pub security_tail_days: u32,
    /// The line that was bought.
    pub base_line: LineName,
    /// The highest line licensed; absent for no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap: Option<LineName>,
    /// What stays when the paid time is over.
    #[serde(default)]
    pub fallback: Fallback,
    /// The add-ons bought.
    #[serde(default)]
    pub addons: BTreeSet<Tag>,
    /// The lines for which support past their end of support was bought.
    #[serde(default)]
    pub els_lines: BTreeSet<LineName>,
    /// The audiences that the customer belongs to.
    #[serde(default)]
    pub audience: BTreeSet<Tag>,
    /// Whether a critical fix may come from a line that the contract does not own.
    #[serde(default)]
    pub bridge: Bridge,
    /// How many machines may be enrolled; absent for no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seats: Option<u32>,
    /// The tier that the contract was last set to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<Tier>,
}

/// Whether a contract grants anything at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It does.
    #[default]
    Active,
    /// Not for now.
    Suspended,
    /// Never again.
    Terminated,
}

/// What stays granted when the paid time is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Fallback {
    /// What came out in the paid time, for ever.
    Perpetual,
    /// Nothing, once the grace is over too.
    #[default]
    None,
}

/// Whether a critical fix may come from a line that the contract does not own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Bridge {
    /// It may not.
    #[default]
    Never,
    /// A critical security release may, while no owned line has the fix.
    Critical,
}

/// A time for which maintenance is paid: from `start` on, and no longer at `end`.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(deny_unknown_fields)]
pub struct Term {
    /// The first instant that is in.
    #[schemars(with = "Instant")]
    pub start: Timestamp,
    /// The first instant that is out.
    #[schemars(with = "Instant")]
    pub end: Timestamp,
}

impl Contract {
    /// The most days of grace or security tail that make sense.
    pub const DAYS_MAX: u32 = 36_500;

    /// The instant before which everything is paid for: the latest end among the terms that have
    /// started by `now`, or nothing where none has.
    ///
    /// Terms that touch count as one, so a renewal bought early makes no seam where the one ends.
    pub fn paid_until(&self, now: Timestamp) -> Option<Timestamp> {
        let mut terms = self.terms.clone();
        terms.sort_unstable();
        terms.iter().fold(None, |until, term| {
            let has_started = term.start <= now;
            if has_started || until.is_some_and(|until| term.start <= until) {
                until.max(Some(term.end))
            } else {
                until
            }
        })
    }

    /// Everything that is wrong with the contract: what is missing, and what cannot be.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.products.is_empty() {
            problems.push("products is empty: expected at least one product".to_owned());
        }
        if self.channels.is_empty() {
            problems.push(
                "channels is empty: expected at least one of bugfix, security, feature, major"
                    .to_owned(),
            );
        }
        if self.terms.is_empty() {
            problems.push("terms is empty: expected at least one term".to_owned());
        }
        problems.extend(self.contradictions());
        problems
    }

    /// Everything that no contract can say.
    pub fn contradictions(&self) -> Vec<String> {
        let mut problems = self.term_problems();
        if let Some(cap) = self.cap.filter(|cap| *cap < self.base_line) {
            problems.push(format!(
                "cap is {cap}: expected at least the base_line, which is {}",
                self.base_line
            ));
        }
        if self.seats == Some(0) {
            problems.push("seats is 0: expected at least 1, or no seats for no limit".to_owned());
        }
        let days =
            [("grace_days", self.grace_days), ("security_tail_days", self.security_tail_days)];
        for (name, days) in days.into_iter().filter(|(_, days)| *days > Self::DAYS_MAX) {
            problems.push(format!("{name} is {days}: expected at most {}", Self::DAYS_MAX));
        }
        problems
    }

    fn term_problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let (mut whole, broken): (Vec<&Term>, Vec<&Term>) =
            self.terms.iter().partition(|term| term.start < term.end);
        for term in broken {
            problems.push(format!(
                "a term starts at {} and ends at {}: expected the end after the start",
                term.start, term.end
            ));
        }
        whole.sort_unstable();
        // Each term is compared with the one before it that reaches furthest, so that a short term
        // inside a long one does not hide what follows.
        let mut furthest: Option<&Term> = None;
        for term in whole {
            match furthest {
                Some(earlier) if term.start < earlier.end => problems.push(format!(
                    "the term from {} to {} overlaps the term from {} to {}: expected each to \
                     start at or after the end of the one before",
                    term.start, term.end, earlier.start, earlier.end
                )),
                _ => {}
            }
            if furthest.is_none_or(|earlier| earlier.end < term.end) {
                furthest = Some(term);
            }
        }
        problems
    }
}

/// `instant` and so many exact days of 24 hours, or the end of time.
pub(crate) fn days_after(instant: Timestamp, days: u32) -> Timestamp {
    let duration = SignedDuration::from_hours(24 * i64::from(days));
    instant.checked_add(duration).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
