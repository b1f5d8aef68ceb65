//! Whom an advisory still concerns: which versions have the fix, since when a machine lacks it, and why.
//!
//! A release *names* the advisories that it fixes. Which versions have a fix follows from what is named,
//! and is on the safe side where the vendor has said nothing: see [`Advisory::exposure`].

mod breach;
mod cause;
pub mod csaf;
mod patching;
mod range;
mod reopened;
mod runs;

use jiff::Timestamp;
use mainstay_client::format::{AdvisoryId, Severity, Version};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use breach::{Apart, Breach, BreachState, Breaches, Lacking, told_ahead};
pub use cause::{Cause, CauseKind, Circumstances};
pub use patching::{PatchFigures, PatchTimes, Patched};
pub use range::AffectedRange;
pub use reopened::reopened;
pub use runs::{Run, Runs};

use super::catalogue::{Catalogue, Release, Status};

/// How a version stands to an advisory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Exposure {
    /// It has the fix.
    Fixed,
    /// It lacks the fix, and needs it.
    Affected,
    /// It lacks the fix, and lies outside of what the vendor has recorded as affected.
    NotAffected,
}

/// One advisory, as the releases of one product and what the vendor has recorded tell of it.
#[derive(Clone, Debug)]
pub struct Advisory<'a> {
    catalogue: &'a Catalogue,
    /// The releases that name it and are out, the lowest version first.
    naming: Vec<&'a Release>,
    /// What is affected; empty where nothing is recorded.
    affected: &'a [AffectedRange],
}

impl<'a> Advisory<'a> {
    /// What `catalogue` tells of the advisory `id`. `affected` is what the vendor has recorded as
    /// affected; where that is empty, whatever lacks the fix is.
    pub fn new(catalogue: &'a Catalogue, id: &AdvisoryId, affected: &'a [AffectedRange]) -> Self {
        let naming = catalogue.naming(id).filter(|release| release.status != Status::Draft);
        Self { catalogue, naming: naming.collect(), affected }
    }

    /// The releases that name it and are out, the lowest version first. Among them are those that were
    /// withdrawn or revoked: whoever runs one of them has the fix all the same.
    pub fn naming(&self) -> impl Iterator<Item = &'a Release> {
        self.naming.iter().copied()
    }

    /// How severe it is: as severe as the most severe of the releases that name it.
    pub fn severity(&self) -> Option<Severity> {
        self.naming.iter().map(|release| release.severity).max()
    }

    /// How a version stands to it.
    ///
    /// A version that the vendor has published is fixed if a release that names the advisory came out
    /// before it or is it, and
    ///
    /// - is of the same line and not above it, where any release of the line names the advisory: a line
    ///   gets its fix with the first of its own releases that says so;
    /// - or else is of a lower line, and was out when the line was opened: what is opened later has in it
    ///   what was mended before. A line that was open already has the fix only once one of its own
    ///   releases names it; that another patch of it came out later says nothing.
    ///
    /// A custom build says something of the builds in its own private channel alone. A version that the
    /// vendor does not know has no fix.
    pub fn exposure(&self, version: &Version) -> Exposure {
        let is_affected =
            self.affected.is_empty() || self.affected.iter().any(|range| range.contains(version));
        let known = self.catalogue.release(version);
        match known.filter(|release| release.status != Status::Draft) {
            Some(release) if self.is_fixed(release) => Exposure::Fixed,
            _ if is_affected => Exposure::Affected,
            _ => Exposure::NotAffected,
        }
    }

    fn is_fixed(&self, release: &Release) -> bool {
        let counts = |fix: &&&Release| {
            fix.private_channel.is_none() || fix.private_channel == release.private_channel
        };
        let line = release.version.line();
        let fixes = || self.naming.iter().filter(counts);
        let was_out = |fix: &Release| fix.published_at <= release.published_at;
        if fixes().any(|fix| fix.version.line() == line) {
            return fixes().any(|fix| {
                fix.version.line() == line && fix.version <= release.version && was_out(fix)
            });
        }
        let opened_at = self.opened_at(release);
        fixes()
            .any(|fix| fix.version.line() < line && was_out(fix) && fix.published_at <= opened_at)
    }

    /// When the first release of the line of `release` was out that is for everybody and no preview.
    fn opened_at(&self, release: &Release) -> Timestamp {
        let line = release.version.line();
        let of_line = self.catalogue.releases().filter(|it| {
            it.version.line() == line && !it.version.is_prerelease() && it.status != Status::Draft
        });
        of_line.map(|it| it.published_at).min().unwrap_or(release.published_at)
    }

    /// Whether the release is one to go to for the fix: it has it, and is still given out.
    pub fn is_remedy(&self, version: &Version) -> bool {
        let release = self.catalogue.release(version);
        release.is_some_and(|it| it.status == Status::Published)
            && self.exposure(version) == Exposure::Fixed
    }

    /// When the first fix came out, of those that `counts` says count.
    pub fn first_fix(&self, counts: impl Fn(&Release) -> bool) -> Option<Timestamp> {
        let counting = self.naming.iter().filter(|release| counts(release));
        counting.map(|release| release.published_at).min()
    }

    /// Since when a machine has lacked the fix: since the first fix came out, since it enrolled, or
    /// since it last left a version that has the fix, whichever is the latest.
    pub fn open_since(
        &self,
        first_fix: Timestamp,
        enrolled_at: Timestamp,
        runs: &Runs,
    ) -> Timestamp {
        let fixed = runs.iter().filter(|(version, _)| self.exposure(version) == Exposure::Fixed);
        let left_at = fixed.filter_map(|(_, run)| run.left_at).max();
        first_fix.max(enrolled_at).max(left_at.unwrap_or(Timestamp::MIN))
    }
}

#[cfg(test)]
mod tests;
