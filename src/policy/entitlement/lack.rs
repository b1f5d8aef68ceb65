//! What a contract would need to have for a release to be granted.

use std::fmt;

use jiff::Timestamp;
use mainstay_client::format::{Channel, LineName, Tag, schema::Instant};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Code, Decision, Release, Standing};

/// Something that a contract lacks for a release, and that can be bought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Lack {
    /// A licence for lines up to this one.
    Cap {
        /// The line.
        line: LineName,
    },
    /// A channel.
    Channel {
        /// The channel.
        channel: Channel,
    },
    /// An add-on.
    Addon {
        /// The add-on.
        addon: Tag,
    },
    /// Extended support of a line.
    ExtendedSupport {
        /// The line.
        line: LineName,
    },
    /// A term that ends after this instant, and has begun.
    PaidTime {
        /// When what is wanted came out.
        #[schemars(with = "Instant")]
        past: Timestamp,
    },
}

impl fmt::Display for Lack {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cap { line } => write!(formatter, "a licence up to line {line}"),
            Self::Channel { channel } => write!(formatter, "the channel {channel}"),
            Self::Addon { addon } => write!(formatter, "the add-on {addon}"),
            Self::ExtendedSupport { line } => {
                write!(formatter, "extended support of line {line}")
            }
            Self::PaidTime { past } => write!(formatter, "paid time past {past}"),
        }
    }
}

impl Standing<'_> {
    /// What the contract lacks for a release that it is denied, as far as that can be bought; the
    /// code says the first reason, and there may be others behind it. Nothing for a grant, and
    /// nothing for what nobody may have.
    pub fn lacks(&self, decision: &Decision) -> Vec<Lack> {
        let is_buyable = matches!(
            decision.code,
            Code::NotStarted
                | Code::AddonMissing
                | Code::LineEos
                | Code::FallbackEnded
                | Code::LineAboveCap
                | Code::NoBackport
                | Code::ChannelNotCovered
                | Code::LineAfterTerm
                | Code::PublishedAfterTerm
        );
        let release = self.catalogue.release(&decision.version).filter(|_| is_buyable);
        let Some(release) = release else { return Vec::new() };
        let line = self.catalogue.line(release.version.line());
        let mut lacks = Vec::new();
        if line.line > self.contract.base_line && !self.is_within_cap(line.line) {
            lacks.push(Lack::Cap { line: line.line });
        }
        lacks.extend(self.channels_lacking(release).map(|channel| Lack::Channel { channel }));
        let addons = release.requires_addons.difference(&self.contract.addons);
        lacks.extend(addons.map(|addon| Lack::Addon { addon: addon.clone() }));
        let needs_support = line.eos.is_some_and(|eos| release.published_at >= eos);
        if needs_support && !self.contract.els_lines.contains(&line.line) {
            lacks.push(Lack::ExtendedSupport { line: line.line });
        }
        lacks.extend(self.time_lacking(release).map(|past| Lack::PaidTime { past }));
        lacks
    }

    /// The channels that the step to the release's line and the release itself need.
    fn channels_lacking(&self, release: &Release) -> impl Iterator<Item = Channel> {
        let line = release.version.line();
        let is_above = line > self.contract.base_line;
        let step = is_above.then(|| self.step_channels_missing(line));
        let mut missing: Vec<Channel> = step.into_iter().flatten().collect();
        let is_free = release.version.opens_line() || release.courtesy;
        let own = (!is_free && !self.contract.channels.contains(&release.channel))
            .then_some(release.channel);
        missing.extend(own.filter(|channel| !missing.contains(channel)));
        missing.into_iter()
    }

    /// The instant past which the paid time must reach, where it does not.
    fn time_lacking(&self, release: &Release) -> Option<Timestamp> {
        let line = release.version.line();
        let opened = self.catalogue.line(line).ga.filter(|_| line > self.contract.base_line);
        let is_timed = !release.version.opens_line() && !release.courtesy;
        let came_out = is_timed.then(|| release.effective_at());
        let Some(paid) = self.paid else {
            return Some(opened.max(came_out).unwrap_or(release.published_at));
        };
        let is_security = release.channel == Channel::Security;
        let is_patch = is_security || release.channel == Channel::Bugfix;
        let is_granted_late = |at: Timestamp| {
            (is_patch && at < paid.grace_until) || (is_security && at < paid.tail_until)
        };
        let came_out = came_out.filter(|at| *at >= paid.until && !is_granted_late(*at));
        let opened = opened.filter(|at| *at >= paid.until);
        let ended = self.fallback_ended(paid).then_some(self.now);
        opened.max(came_out).max(ended)
    }
}
