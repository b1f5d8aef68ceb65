//! The way up from what a machine runs, and what its contract lacks for it.

use std::collections::BTreeMap;

use mainstay_client::format::{Channel, LineName, Version};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    catalogue::{Release, Status},
    entitlement::{Code, Decision, Lack, Standing},
    lifecycle::LineStatus,
    resolve::{DeliveryCode, Machine, Offer, displaced, leads, undelivered},
    retirement::Listing,
};

/// The hops from what runs to a version, through the stops that lie between (`min_from`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UpgradePath {
    /// What runs; nothing on a fresh machine.
    pub from: Option<Version>,
    /// Where it leads.
    pub to: Version,
    /// The hops, the last of them to `to`; none where that runs.
    pub hops: Vec<Hop>,
}

/// One hop.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Hop {
    /// Whether the contract grants it, and why.
    #[serde(flatten)]
    pub decision: Decision,
    /// The release's channel.
    pub channel: Channel,
    /// The decision in a sentence.
    pub message: String,
    /// What the contract lacks for it, as far as that can be bought.
    pub lacks: Vec<Lack>,
}

/// Why there is no way up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoPath {
    /// There is no such release, or none that the customer is to know of.
    #[error("there is no release {0} of this product")]
    Unknown(Version),
    /// The version wanted is below what runs.
    #[error("{to} is not above what runs, which is {running}: expected a higher version")]
    NotAbove {
        /// The version wanted.
        to: Version,
        /// What runs.
        running: Version,
    },
    /// The version wanted is not given out any more.
    #[error("{0} is withdrawn: no machine is updated to it")]
    Withdrawn(Version),
    /// Something about the machine or the release stands in the way for good.
    #[error("{0}")]
    Obstacle(String),
    /// A stop on the way is missing.
    #[error("{to} can only be installed over {stop} or later, and no release leads there")]
    NoStop {
        /// The version wanted.
        to: Version,
        /// The lowest version that it can be installed over.
        stop: Version,
    },
    /// No line that is supported has a release that the machine could be given.
    #[error("no line that is supported has a release for this machine")]
    NothingSupported,
}

/// The way from what `machine` runs up to `to`, or to the newest release of the newest line that is
/// supported and has one for it.
///
/// `decisions` are those of `standing` over its catalogue for this machine.
///
/// A hop leads to a release that is out, listed, made for the machine and not blocked on it, from a
/// version that is at least its `min_from`; and from a custom build to custom builds alone. What passes by itself, a hold, a rollout, a pending order
/// or a want of seats, is no matter here. Among the ways there are, it is the one with the fewest hops
/// that the contract denies, then the one with the fewest hops.
pub fn upgrade_path(
    standing: &Standing<'_>,
    decisions: &[Decision],
    offers: &BTreeMap<Version, Offer>,
    machine: &Machine,
    to: Option<&Version>,
) -> Result<UpgradePath, NoPath> {
    let decisions = decisions.iter().map(|decision| (&decision.version, decision)).collect();
    let search = Search { standing, decisions, offers, machine: machine.undisturbed() };
    match to {
        Some(to) => search.path_to(to),
        None => search.path_up(),
    }
}

struct Search<'a> {
    standing: &'a Standing<'a>,
    decisions: BTreeMap<&'a Version, &'a Decision>,
    offers: &'a BTreeMap<Version, Offer>,
    /// The machine without what passes by itself.
    machine: Machine,
}

/// How a version is reached.
#[derive(Clone, Copy)]
struct Reached<'a> {
    /// The hops on the way that the contract denies, and all of them.
    cost: (usize, usize),
    /// The version before; nothing where it is what runs.
    before: Option<&'a Version>,
}

impl<'a> Search<'a> {
    /// To the newest release of the newest supported line of which one can be reached.
    fn path_up(&self) -> Result<UpgradePath, NoPath> {
        let running = self.machine.running.as_ref();
        let lines: Vec<LineName> = self.supported_lines().collect();
        for line in lines {
            let of_line = self.releases().filter(|release| release.version.line() == line);
            let newest = of_line.filter(|release| !self.is_prerelease(&release.version)).last();
            let Some(newest) = newest.map(|release| &release.version) else { continue };
            if let Some(running) = running
                && newest <= running
            {
                // Nothing higher is left: what runs is the newest.
                return Ok(self.path(running, Vec::new()));
            }
            if let Ok(path) = self.path_to(newest) {
                return Ok(path);
            }
        }
        Err(NoPath::NothingSupported)
    }

    fn supported_lines(&self) -> impl Iterator<Item = LineName> {
        let now = self.standing.now();
        let lines = self.standing.catalogue().lines().rev();
        lines
            .filter(move |line| LineStatus::of(line, now) == LineStatus::Supported)
            .map(|line| line.line)
    }

    fn path_to(&self, to: &Version) -> Result<UpgradePath, NoPath> {
        let running = self.machine.running.as_ref();
        let known = self.standing.catalogue().release(to);
        if !self.is_visible(to) {
            return Err(NoPath::Unknown(to.clone()));
        }
        match running {
            Some(running) if running == to => return Ok(self.path(to, Vec::new())),
            Some(running) if to < running => {
                let (to, running) = (to.clone(), running.clone());
                return Err(NoPath::NotAbove { to, running });
            }
            _ => {}
        }
        if known.is_none_or(|release| release.status != Status::Published) {
            return Err(NoPath::Withdrawn(to.clone()));
        }
        if let Some((code, detail)) = self.obstacle(to) {
            return Err(NoPath::Obstacle(code.sentence(to, &detail)));
        }
        let reached = self.reached(to);
        if !reached.contains_key(to) {
            let stop = self.min_from(to).cloned().unwrap_or_else(|| to.clone());
            return Err(NoPath::NoStop { to: to.clone(), stop });
        }
        let mut versions = Vec::new();
        let mut next = Some(to);
        while let Some(version) = next {
            versions.push(version);
            next = reached.get(version).and_then(|reached| reached.before);
        }
        versions.reverse();
        Ok(self.path(to, versions))
    }

    /// How each version up to `to` is reached. A version that can be installed over what runs is
    /// one hop away, and no way there is better.
    fn reached(&self, to: &Version) -> BTreeMap<&'a Version, Reached<'a>> {
        let running = self.machine.running.as_ref();
        let mut reached: BTreeMap<&Version, Reached<'_>> = BTreeMap::new();
        for release in self.releases().filter(|release| release.version <= *to) {
            let version = &release.version;
            let is_wanted = version == to || !self.is_prerelease(version);
            if running.is_some_and(|running| version <= running) || !is_wanted {
                continue;
            }
            let (before, cost) = match (running, self.min_from(version)) {
                (Some(running), Some(min_from)) if running < min_from => {
                    let stops = reached.range::<Version, _>(min_from..).rev();
                    let stops = stops.filter(|(stop, _)| leads(self.offers, stop, version));
                    let Some((stop, best)) = stops.min_by_key(|(_, stop)| stop.cost) else {
                        continue;
                    };
                    (Some(*stop), best.cost)
                }
                _ => (None, (0, 0)),
            };
            let denied = usize::from(!self.is_granted(version));
            let cost = (cost.0 + denied, cost.1 + 1);
            reached.insert(version, Reached { cost, before });
        }
        reached
    }

    /// The releases that the machine could be given for all that lasts, the lowest first.
    fn releases(&self) -> impl Iterator<Item = &'a Release> {
        self.standing.catalogue().releases().filter(|release| {
            release.status == Status::Published
                && self.obstacle(&release.version).is_none()
                && self.is_visible(&release.version)
        })
    }

    fn obstacle(&self, version: &Version) -> Option<(DeliveryCode, String)> {
        let offer = self.offers.get(version);
        undelivered(version, offer, &self.machine, self.machine.seat)
            .filter(|(code, _)| *code != DeliveryCode::RolloutWait)
            .or_else(|| displaced(self.standing, offer, &self.machine))
    }

    /// Whether most machines may not have it: a custom build only looks like a pre-release.
    fn is_prerelease(&self, version: &Version) -> bool {
        let is_custom =
            self.offers.get(version).is_some_and(|offer| offer.listing == Listing::Private);
        version.is_prerelease() && !is_custom
    }

    fn min_from(&self, version: &Version) -> Option<&'a Version> {
        self.offers.get(version)?.min_from.as_ref()
    }

    fn is_visible(&self, version: &Version) -> bool {
        self.decisions.get(version).is_some_and(|decision| decision.code != Code::NotFound)
    }

    fn is_granted(&self, version: &Version) -> bool {
        self.decisions.get(version).is_some_and(|decision| decision.is_grant())
    }

    fn path(&self, to: &Version, versions: Vec<&Version>) -> UpgradePath {
        let hop = |version: &Version| {
            let decision: &Decision = self.decisions.get(version)?;
            Some(Hop {
                channel: self.standing.catalogue().release(version)?.channel,
                message: self.standing.explain(decision),
                lacks: self.standing.lacks(decision),
                decision: decision.clone(),
            })
        };
        let hops = versions.into_iter().filter_map(hop).collect();
        UpgradePath { from: self.machine.running.clone(), to: to.clone(), hops }
    }
}

impl UpgradePath {
    /// How many hops are told in a line.
    const HOPS_TOLD_MAX: usize = 8;

    /// Whether the contract grants every hop.
    pub fn is_granted(&self) -> bool {
        self.hops.iter().all(|hop| hop.decision.is_grant())
    }

    /// The path in a line: `2.4.3 → 3.0.0 (needs the channel major) → 3.2.1`.
    pub fn line(&self) -> String {
        let from = self.from.iter().map(ToString::to_string);
        let hops = self.hops.iter().take(Self::HOPS_TOLD_MAX).map(Hop::words);
        let more = self.hops.len().saturating_sub(Self::HOPS_TOLD_MAX);
        let rest = (more > 0).then(|| format!("… ({more} more)"));
        from.chain(hops).chain(rest).collect::<Vec<_>>().join(" → ")
    }
}

impl Hop {
    fn words(&self) -> String {
        let version = &self.decision.version;
        if self.decision.is_grant() {
            return version.to_string();
        }
        if self.lacks.is_empty() {
            return format!("{version} ({})", self.decision.code);
        }
        format!("{version} (needs {})", self.needs())
    }

    /// What the contract lacks, in words.
    pub fn needs(&self) -> String {
        self.lacks.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests;
