//! Which releases a contract grants, and why.
//!
//! [`Standing::decide`] is the one function behind every route. It is total and pure: for whatever
//! it is given it answers with exactly one [`Code`], and the first rule that matches decides.

use std::collections::BTreeSet;

use jiff::Timestamp;
use mainstay_client::format::{Channel, LineName, PrivateChannelName, Severity, Version};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    catalogue::{Catalogue, Line, Release, Status},
    contract::{Bridge, Contract, Fallback, State, days_after},
};

mod code;
mod lack;
mod sentence;

pub use code::{Code, Verdict};
pub use lack::Lack;
pub use sentence::explain;
pub(in crate::policy) use sentence::on;

/// Whether a contract grants one release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Decision {
    /// The release's version.
    pub version: Version,
    /// Granted or denied.
    pub verdict: Verdict,
    /// Why.
    pub code: Code,
    /// A granted release that fixes at least the same advisories, where the denied one is on a line
    /// that the contract does not own.
    pub alternative: Option<Version>,
}

impl Decision {
    pub(super) fn new(version: &Version, code: Code, alternative: Option<&Version>) -> Self {
        let (version, alternative) = (version.clone(), alternative.cloned());
        Self { version, verdict: code.verdict(), code, alternative }
    }

    /// Whether the release is granted.
    pub fn is_grant(&self) -> bool {
        self.verdict == Verdict::Grant
    }
}

/// Decides one release. To decide more than one at the same instant, make one [`Standing`].
pub fn decide(
    contract: &Contract,
    catalogue: &Catalogue,
    release: &Release,
    history: &BTreeSet<Version>,
    now: Timestamp,
) -> Decision {
    Standing::new(contract, catalogue, now).decide(release, history)
}

/// Decides every release of the catalogue, the lowest version first.
pub fn decide_all(
    contract: &Contract,
    catalogue: &Catalogue,
    history: &BTreeSet<Version>,
    now: Timestamp,
) -> Vec<Decision> {
    Standing::new(contract, catalogue, now).decide_all(history)
}

/// Decides whatever version somebody asks for, of a product that the server may not even have.
///
/// A version that does not exist gets the same answer as one that is hidden from the customer.
pub fn decide_version(
    contract: &Contract,
    catalogue: Option<&Catalogue>,
    version: &Version,
    history: &BTreeSet<Version>,
    now: Timestamp,
) -> Decision {
    let Some(catalogue) = catalogue else {
        return Decision::new(version, Code::UnknownProduct, None);
    };
    match catalogue.release(version) {
        Some(release) => decide(contract, catalogue, release, history, now),
        None => Decision::new(version, Code::NotFound, None),
    }
}

/// A contract at one instant, before the catalogue of one product.
#[derive(Clone, Copy, Debug)]
pub struct Standing<'a> {
    contract: &'a Contract,
    catalogue: &'a Catalogue,
    now: Timestamp,
    paid: Option<Paid>,
    /// What the contract says of the product as a whole: a code where it grants nothing of it,
    /// otherwise what was paid for.
    of_product: Result<Paid, Code>,
    /// The private channels of whose contract it is.
    own_channels: &'a OwnChannels,
}

/// The private channels of one product that are one customer's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnChannels {
    /// Those whose releases machines are updated to.
    pub open: BTreeSet<PrivateChannelName>,
    /// Those that have ended: their releases are as retired ones.
    pub ended: BTreeSet<PrivateChannelName>,
}

impl OwnChannels {
    /// Whether the channel is one of them.
    pub fn contains(&self, channel: &PrivateChannelName) -> bool {
        self.open.contains(channel) || self.ended.contains(channel)
    }
}

/// The instants at which what was paid for ends, each the first that is out.
#[derive(Clone, Copy, Debug)]
struct Paid {
    /// The end of the paid time (E in the design).
    until: Timestamp,
    grace_until: Timestamp,
    tail_until: Timestamp,
}

/// A line before the contract.
#[derive(Clone, Copy, Debug)]
struct LineStanding {
    line: Line,
    is_owned: bool,
}

impl<'a> Standing<'a> {
    /// The contract of a customer without private channels at `now`, before the catalogue.
    pub fn new(contract: &'a Contract, catalogue: &'a Catalogue, now: Timestamp) -> Self {
        const NONE: &OwnChannels = &OwnChannels { open: BTreeSet::new(), ended: BTreeSet::new() };
        let paid = contract.paid_until(now).map(|until| Paid {
            until,
            grace_until: days_after(until, contract.grace_days),
            tail_until: days_after(until, contract.security_tail_days),
        });
        let of_product = match contract.state {
            State::Suspended => Err(Code::ContractSuspended),
            State::Terminated => Err(Code::ContractTerminated),
            State::Active => match paid {
                None => Err(Code::NotStarted),
                Some(_) if !contract.products.contains(catalogue.product()) => {
                    Err(Code::ProductNotCovered)
                }
                Some(paid) => Ok(paid),
            },
        };
        Self { contract, catalogue, now, paid, of_product, own_channels: NONE }
    }

    /// The same for a customer whose private channels of the product these are.
    #[must_use]
    pub fn with_private_channels(self, channels: &'a OwnChannels) -> Self {
        Self { own_channels: channels, ..self }
    }

    /// The private channels of whose contract it is.
    pub(super) fn own_channels(&self) -> &'a OwnChannels {
        self.own_channels
    }

    /// The catalogue.
    pub fn catalogue(&self) -> &'a Catalogue {
        self.catalogue
    }

    /// The contract.
    pub fn contract(&self) -> &'a Contract {
        self.contract
    }

    /// The instant.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Decides every release of the catalogue, the lowest version first.
    pub fn decide_all(&self, history: &BTreeSet<Version>) -> Vec<Decision> {
        let mut decisions = Vec::with_capacity(self.catalogue.releases().len());
        for (line, releases) in self.catalogue.releases_by_line() {
            let of_line = self.of_line(line);
            let decide = |release| self.decide_on_line(release, history, &of_line);
            decisions.extend(releases.iter().map(decide));
        }
        decisions
    }

    /// Decides one release; `history` holds the versions once confirmed on the machine that asks.
    pub fn decide(&self, release: &Release, history: &BTreeSet<Version>) -> Decision {
        self.decide_on_line(release, history, &self.of_line(release.version.line()))
    }

    fn decide_on_line(
        &self,
        release: &Release,
        history: &BTreeSet<Version>,
        of_line: &LineStanding,
    ) -> Decision {
        let version = &release.version;
        let paid = match self.before_ownership(release, history, &of_line.line) {
            Ok(paid) => paid,
            Err(code) => return Decision::new(version, code, None),
        };
        if of_line.is_owned {
            return Decision::new(version, self.on_owned_line(release, paid), None);
        }
        let backport = self.backport(release, history);
        let code = self.on_other_line(release, backport.is_some(), paid);
        let alternative = backport.filter(|_| code.verdict() == Verdict::Deny);
        Decision::new(version, code, alternative.map(|backport| &backport.version))
    }

    /// Whether the customer may know that there is such a release.
    pub fn shows(&self, release: &Release) -> bool {
        let Release { audience, private_channel, status, .. } = release;
        let is_of_audience = audience.is_empty() || !audience.is_disjoint(&self.contract.audience);
        let is_of_channel =
            private_channel.as_ref().is_none_or(|channel| self.own_channels.contains(channel));
        is_of_audience && is_of_channel && *status != Status::Draft
    }

    /// The rule that decided, by its number in [`crate::manual::entitlements`].
    pub fn rule(&self, decision: &Decision) -> u8 {
        let is_owned = || self.of_line(decision.version.line()).is_owned;
        match decision.code {
            Code::UnknownProduct | Code::NotFound => 1,
            Code::ContractTerminated
            | Code::ContractSuspended
            | Code::NotStarted
            | Code::ProductNotCovered => 2,
            Code::Revoked => 3,
            Code::Rollback => 4,
            Code::Withdrawn => 5,
            Code::AddonMissing => 6,
            Code::LineEol | Code::LineEos => 7,
            Code::ChannelNotCovered if is_owned() => 11,
            Code::Bridge
            | Code::FallbackEnded
            | Code::LineAboveCap
            | Code::NoBackport
            | Code::ChannelNotCovered
            | Code::LineAfterTerm => 8,
            Code::LineOwned => 9,
            Code::Courtesy => 10,
            Code::InTerm
            | Code::Perpetual
            | Code::Grace
            | Code::SecurityTail
            | Code::PublishedAfterTerm => 12,
        }
    }

    /// The rules that do not ask whose line it is: a code where one of them decides, otherwise what
    /// was paid for.
    fn before_ownership(
        &self,
        release: &Release,
        history: &BTreeSet<Version>,
        line: &Line,
    ) -> Result<Paid, Code> {
        let Self { contract, .. } = self;
        if !self.shows(release) {
            return Err(Code::NotFound);
        }
        let paid = self.of_product?;
        if release.status == Status::Revoked {
            return Err(Code::Revoked);
        }
        if history.contains(&release.version) {
            return Err(Code::Rollback);
        }
        if release.status == Status::Withdrawn {
            return Err(Code::Withdrawn);
        }
        if !release.requires_addons.is_subset(&contract.addons) {
            return Err(Code::AddonMissing);
        }
        let is_past = |end: Option<Timestamp>| end.is_some_and(|end| release.published_at >= end);
        if is_past(line.eol) {
            return Err(Code::LineEol);
        }
        if is_past(line.eos) && !contract.els_lines.contains(&line.line) {
            return Err(Code::LineEos);
        }
        Ok(paid)
    }

    fn of_line(&self, name: LineName) -> LineStanding {
        let line = self.catalogue.line(name);
        LineStanding { line, is_owned: self.paid.is_some_and(|paid| self.owns(&line, paid)) }
    }

    fn owns(&self, line: &Line, paid: Paid) -> bool {
        let Line { line: name, ga, .. } = *line;
        let is_owned = name <= self.contract.base_line
            || (self.is_within_cap(name)
                && ga.is_some_and(|ga| ga < paid.until)
                && self.step_channels_missing(name).next().is_none());
        is_owned && !self.fallback_ended(paid)
    }

    fn fallback_ended(&self, paid: Paid) -> bool {
        self.contract.fallback == Fallback::None && self.now >= paid.grace_until
    }

    fn is_within_cap(&self, line: LineName) -> bool {
        self.contract.cap.is_none_or(|cap| line <= cap)
    }

    /// The channels that the step from the line bought to `line` needs and the contract lacks.
    fn step_channels_missing(&self, line: LineName) -> impl Iterator<Item = Channel> {
        let needed: &[Channel] = match (line.major > self.contract.base_line.major, line.minor) {
            (true, 0) => &[Channel::Major],
            (true, _) => &[Channel::Major, Channel::Feature],
            (false, _) => &[Channel::Feature],
        };
        needed.iter().copied().filter(|channel| !self.contract.channels.contains(channel))
    }

    /// The rules for a release on a line that the contract owns.
    fn on_owned_line(&self, release: &Release, paid: Paid) -> Code {
        let is_security = release.channel == Channel::Security;
        let is_patch = is_security || release.channel == Channel::Bugfix;
        let effective_at = release.effective_at();
        if release.version.opens_line() {
            Code::LineOwned
        } else if is_security && release.courtesy {
            Code::Courtesy
        } else if !self.contract.channels.contains(&release.channel) {
            Code::ChannelNotCovered
        } else if effective_at < paid.until {
            match self.contract.fallback {
                _ if self.now < paid.until => Code::InTerm,
                Fallback::Perpetual => Code::Perpetual,
                Fallback::None => Code::Grace,
            }
        } else if is_patch && effective_at < paid.grace_until {
            Code::Grace
        } else if is_security && effective_at < paid.tail_until {
            Code::SecurityTail
        } else {
            Code::PublishedAfterTerm
        }
    }

    /// The rules for a release on a line that the contract does not own.
    fn on_other_line(&self, release: &Release, has_backport: bool, paid: Paid) -> Code {
        let line = release.version.line();
        let lacks_backport =
            release.channel == Channel::Security && !release.advisories.is_empty() && !has_backport;
        // The release must itself have come out in the paid time. Stamped instants are never ahead
        // of `now`, but were one so, buying the line must not take away what the bridge had given.
        let is_in_term = self.now < paid.until && release.effective_at() < paid.until;
        if lacks_backport
            && is_in_term
            && release.severity == Severity::Critical
            && self.contract.bridge == Bridge::Critical
            && self.contract.channels.contains(&Channel::Security)
            && self.is_within_cap(line)
        {
            Code::Bridge
        } else if self.fallback_ended(paid) {
            Code::FallbackEnded
        } else if !self.is_within_cap(line) {
            Code::LineAboveCap
        } else if lacks_backport {
            Code::NoBackport
        } else if self.step_channels_missing(line).next().is_some() {
            Code::ChannelNotCovered
        } else {
            Code::LineAfterTerm
        }
    }

    /// The highest granted release on an owned line that fixes at least what `release` fixes, whose
    /// own line is not owned.
    ///
    /// It must be one that can be offered: neither a pre-release, which most machines may not have,
    /// nor a withdrawn one or a custom build of a channel that has ended, which a machine that once ran
    /// it is granted only to go back to.
    fn backport(&self, release: &Release, history: &BTreeSet<Version>) -> Option<&'a Release> {
        let line = release.version.line();
        let is_offered = |other: &Release| match &other.private_channel {
            Some(channel) => self.own_channels.open.contains(channel),
            None => !other.version.is_prerelease(),
        };
        self.catalogue
            .fixing_at_least(release)
            .filter(|other| other.version.line() != line)
            .filter(|other| other.status == Status::Published && is_offered(other))
            .find(|other| {
                let of_line = self.of_line(other.version.line());
                let code = match self.before_ownership(other, history, &of_line.line) {
                    Ok(paid) => self.on_owned_line(other, paid),
                    Err(code) => code,
                };
                of_line.is_owned && code.verdict() == Verdict::Grant
            })
    }
}

#[cfg(test)]
mod golden;
#[cfg(test)]
pub(super) mod properties;
#[cfg(test)]
mod tests;
