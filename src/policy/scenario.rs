//! A decision's whole ground as one document, so that it can be asked without a server.

use std::collections::BTreeSet;

use jiff::Timestamp;
use mainstay_client::format::{PrivateChannelName, ProductName, Version};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Catalogue, Change, Contract, Decision, Line, OwnChannels, Release, Standing};

/// A contract before the releases of one product at one instant.
///
/// What is absent means the least that a contract can say; a line's `ga` that is absent is when its
/// opening release came out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// The instant.
    pub now: Timestamp,
    /// The product.
    pub product: ProductName,
    /// What the contract says.
    pub contract: Contract,
    /// The dates of the product's lines.
    #[serde(default)]
    pub lines: Vec<Line>,
    /// What the vendor has published.
    pub releases: Vec<Release>,
    /// The versions once confirmed on the machine that asks.
    #[serde(default)]
    pub history: BTreeSet<Version>,
    /// The private channels of the contract's customer, all of them open.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub private_channels: BTreeSet<PrivateChannelName>,
}

/// A decision with all that a person asks about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Explained {
    /// The decision.
    #[serde(flatten)]
    pub decision: Decision,
    /// The number of the rule that decided, from 1 to 12 ([`Standing::rule`]).
    pub rule: u8,
    /// The decision in a sentence.
    pub message: String,
}

impl Scenario {
    /// The same with the contract changed, or why it cannot be.
    pub fn with(self, change: &Change) -> Result<Self, String> {
        match self.contract.objection(change) {
            Some(objection) => Err(objection),
            None => Ok(Self { contract: self.contract.amended(change, self.now), ..self }),
        }
    }

    /// Every decision, in the order in which the releases are given, or everything that is wrong
    /// with the documents.
    ///
    /// A contract without terms, channels or products is not wrong here: what it grants is well
    /// defined, namely nothing.
    pub fn explain(&self) -> Result<Vec<Explained>, Vec<String>> {
        let mut problems = self.contract.contradictions();
        let catalogue =
            Catalogue::new(self.product.clone(), self.lines.clone(), self.releases.clone())
                .map_err(|duplicate| problems.push(duplicate.to_string()));
        match catalogue {
            Ok(catalogue) if problems.is_empty() => {
                let channels = self.own_channels();
                let standing = Standing::new(&self.contract, &catalogue, self.now)
                    .with_private_channels(&channels);
                let decide = |release| standing.explained(standing.decide(release, &self.history));
                Ok(self.releases.iter().map(decide).collect())
            }
            _ => Err(problems),
        }
    }

    pub(super) fn own_channels(&self) -> OwnChannels {
        OwnChannels { open: self.private_channels.clone(), ..OwnChannels::default() }
    }
}

impl Standing<'_> {
    /// The decision with all that a person asks about it.
    pub fn explained(&self, decision: Decision) -> Explained {
        Explained { rule: self.rule(&decision), message: self.explain(&decision), decision }
    }
}

#[cfg(test)]
mod tests;
