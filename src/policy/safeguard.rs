//! Safeguards: a release is held back from the machines on which it is known to do harm.
//!
//! A safeguard names releases and a [`Condition`] on what a machine is. Where the condition is met the
//! releases are not delivered, whatever else holds; what a machine runs already goes on running.

mod range;

use std::collections::{BTreeMap, BTreeSet};

use mainstay_client::format::{
    ComponentName, CustomerName, DistributionName, Facts, Platform, Tag, Version, VersionRange,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use range::{NumberRange, RangeError};

/// Which machines a release does harm on: those of which every part that is given is true.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// What its artifacts are built for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<Platform>,
    /// What it runs: a range of versions of the product.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<VersionRange>,
    /// Its kernel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<NumberRange>,
    /// The distributions of which it has one, each in versions of a range.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub distributions: BTreeMap<DistributionName, NumberRange>,
    /// Other programs that are on it, each in versions of a range.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub components: BTreeMap<ComponentName, VersionRange>,
    /// The tags that its customer has.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub customer_tags: BTreeSet<Tag>,
    /// The customers whose machine it is: one of these.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub customers: BTreeSet<CustomerName>,
}

/// What is known of a machine that a condition may be about.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// What its artifacts are built for.
    pub platform: &'a Platform,
    /// What it runs.
    pub running: Option<&'a Version>,
    /// What it has told of itself; nothing where its owner will not have that told.
    pub facts: Option<&'a Facts>,
    /// Whose it is.
    pub customer: &'a CustomerName,
    /// The customer's tags.
    pub customer_tags: &'a BTreeSet<Tag>,
}

/// Whether a condition is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    /// Every part of it is true.
    Met,
    /// A part of it is false.
    NotMet,
    /// No part is false, but one is about something that the machine has not told.
    Unknown,
}

/// What becomes of a machine of which is not [known](Match::Unknown) whether it meets a condition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhereUnknown {
    /// It is given the releases.
    #[default]
    Delivered,
    /// They are held back from it.
    Held,
}

impl Match {
    /// Whether releases are held back.
    pub const fn holds(self, where_unknown: WhereUnknown) -> bool {
        match self {
            Self::Met => true,
            Self::NotMet => false,
            Self::Unknown => matches!(where_unknown, WhereUnknown::Held),
        }
    }
}

impl Condition {
    /// The most entries that each of its lists can have.
    pub const ENTRIES_MAX: usize = 64;

    /// Whether nothing is asked, so that every machine would meet it.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a list in it is longer than may be, and which.
    pub fn problem(&self) -> Option<String> {
        let lists = [
            ("distributions", self.distributions.len()),
            ("components", self.components.len()),
            ("customer_tags", self.customer_tags.len()),
            ("customers", self.customers.len()),
        ];
        let (name, length) = lists.into_iter().find(|(_, length)| *length > Self::ENTRIES_MAX)?;
        Some(format!("{name} has {length} entries: expected at most {}", Self::ENTRIES_MAX))
    }

    /// Whether the machine meets it. A component that a machine does not list among those that it
    /// tells is not there.
    pub fn matches(&self, subject: &Subject<'_>) -> Match {
        let mut is_unknown = false;
        for part in self.parts(subject) {
            match part {
                Some(true) => {}
                Some(false) => return Match::NotMet,
                None => is_unknown = true,
            }
        }
        if is_unknown { Match::Unknown } else { Match::Met }
    }

    /// Of every part that is given whether it is true; nothing where that is not known.
    fn parts(&self, subject: &Subject<'_>) -> Vec<Option<bool>> {
        let Subject { platform, running, facts, customer, customer_tags } = *subject;
        let mut parts = Vec::new();
        if let Some(wanted) = &self.platform {
            parts.push(Some(wanted == platform));
        }
        if let Some(range) = &self.running {
            parts.push(Some(running.is_some_and(|running| range.contains(running))));
        }
        if let Some(range) = &self.kernel {
            let kernel = facts.and_then(|facts| facts.kernel);
            parts.push(kernel.map(|kernel| range.contains(&kernel.to_string())));
        }
        if !self.distributions.is_empty() {
            let found = facts.and_then(|facts| facts.distribution.as_ref());
            parts.push(found.and_then(|found| match self.distributions.get(&found.name) {
                None => Some(false),
                Some(range) if range.is_any() => Some(true),
                Some(range) => found.version.as_ref().map(|it| range.contains(it.as_str())),
            }));
        }
        for (name, range) in &self.components {
            parts.push(facts.map(|facts| {
                facts.components.get(name).is_some_and(|found| range.contains(found))
            }));
        }
        if !self.customer_tags.is_empty() {
            parts.push(Some(self.customer_tags.is_subset(customer_tags)));
        }
        if !self.customers.is_empty() {
            parts.push(Some(self.customers.contains(customer)));
        }
        parts
    }
}

#[cfg(test)]
mod tests;
