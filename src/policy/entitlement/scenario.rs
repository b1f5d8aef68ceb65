//! Scenarios: a contract, a catalogue, an instant, and the codes expected. The table of them is
//! `fixtures/entitlement/*.json`.

use std::collections::BTreeMap;

use mainstay_client::format::ProductName;

use super::*;
use crate::policy::catalogue::Line;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Scenario {
    pub(super) name: String,
    pub(super) now: Timestamp,
    pub(super) product: ProductName,
    /// Whether the server has the product at all.
    #[serde(default = "yes")]
    pub(super) product_is_known: bool,
    pub(super) contract: Contract,
    pub(super) lines: Vec<Line>,
    pub(super) releases: Vec<Release>,
    pub(super) history: BTreeSet<Version>,
    /// One code a release, in the order in which the releases are given.
    pub(super) expect: Vec<Code>,
    /// All alternatives that are named.
    #[serde(default)]
    pub(super) alternatives: BTreeMap<Version, Version>,
}

fn yes() -> bool {
    true
}

impl Scenario {
    pub(super) fn all() -> Vec<Self> {
        let files = [
            include_str!("../../../fixtures/entitlement/1-hidden.json"),
            include_str!("../../../fixtures/entitlement/2-contract.json"),
            include_str!("../../../fixtures/entitlement/3-release.json"),
            include_str!("../../../fixtures/entitlement/4-lifecycle.json"),
            include_str!("../../../fixtures/entitlement/5-owned-lines.json"),
            include_str!("../../../fixtures/entitlement/6-terms.json"),
            include_str!("../../../fixtures/entitlement/7-bridge.json"),
        ];
        files.iter().flat_map(|text| serde_json::from_str::<Vec<Self>>(text).unwrap()).collect()
    }

    pub(super) fn catalogue(&self) -> Option<Catalogue> {
        let (product, lines) = (self.product.clone(), self.lines.clone());
        let catalogue = Catalogue::new(product, lines, self.releases.clone()).unwrap();
        self.product_is_known.then_some(catalogue)
    }

    /// The decisions, in the order in which the releases are given.
    pub(super) fn decisions(&self) -> Vec<Decision> {
        let catalogue = self.catalogue();
        let of = |release: &Release| {
            let version = &release.version;
            decide_version(&self.contract, catalogue.as_ref(), version, &self.history, self.now)
        };
        self.releases.iter().map(of).collect()
    }
}
