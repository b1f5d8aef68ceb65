//! What a machine would get next of which nothing more is known than what it runs.

use std::collections::{BTreeMap, BTreeSet};

use mainstay_client::format::{Platform, Version};

use super::ProductStanding;
use crate::policy::{self, Action, Admission, Contract, Offer, OwnChannels, Standing, resolve};

impl ProductStanding {
    /// How each release can be delivered to a machine that nothing keeps from it, and to which every
    /// rollout has come.
    pub(in crate::service) fn free_offers(&self) -> BTreeMap<Version, Offer> {
        let offer = |release: &crate::store::ReleaseRecord| Offer {
            platforms: release.artifacts.keys().cloned().collect(),
            listing: self.listing(release),
            min_from: release.min_from.clone(),
            admission: Admission::Admitted,
            requirement_unmet: None,
            safeguard: None,
        };
        let offers = self
            .published
            .releases
            .iter()
            .map(|release| (release.release.version.clone(), offer(release)));
        offers.collect()
    }

    /// To which release a machine under `contract` would be updated that runs `running`, by `offers`.
    pub(in crate::service) fn next_of(
        &self,
        (contract, own): (&Contract, &OwnChannels),
        offers: &BTreeMap<Version, Offer>,
        running: &Version,
        platform: &Platform,
    ) -> Option<Version> {
        let standing =
            Standing::new(contract, &self.published.catalogue, self.now).with_private_channels(own);
        let decisions = standing.decide_all(&BTreeSet::from([running.clone()]));
        let machine = policy::Machine::new(Some(running.clone()), platform.clone());
        match resolve(&standing, &decisions, offers, &machine).action {
            Action::Update(version) => Some(version),
            Action::Stay | Action::Rollback(_) => None,
        }
    }

    /// Whether a machine that has confirmed the versions in `history` may have `version`.
    pub(in crate::service) fn grants(
        &self,
        version: &Version,
        history: &BTreeSet<Version>,
    ) -> bool {
        let Some(contract) = &self.contract else { return false };
        let standing = self.before(contract, &self.published.catalogue, self.now);
        let release = self.published.catalogue.release(version);
        release.is_some_and(|release| standing.decide(release, history).is_grant())
    }
}
