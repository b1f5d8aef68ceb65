use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError, atomic::Ordering},
};

use mainstay_client::format::{
    Artifact, CustomerName, DeltaProfile, Platform, ProductName, Version,
};

use super::{
    super::{Service, ServiceResult, private_channel::PrivateChannels, standing::ProductStanding},
    Demand, LOOK_INTERVAL, LOOK_PAUSE, Look,
};
use crate::{
    clock::Stopwatch,
    policy::{
        Contract, Day,
        delta::{DeltaPair, Otherwise, Wanted},
    },
    store::Selection,
};

/// What machines of one customer run, and how many of them are heard of.
type Runs = BTreeMap<CustomerName, Vec<(Version, Platform, u64)>>;

impl Service {
    /// What machines want, as it was seen a short while ago: *fast* deltas.
    pub(super) async fn demand(&self) -> ServiceResult<Arc<Demand>> {
        let before = self.deltas.demand();
        let is_due = self.deltas.is_look_due.swap(false, Ordering::Relaxed);
        let is_fresh = before.looked.as_ref().is_some_and(|look| {
            look.since.elapsed() < LOOK_INTERVAL.max(look.took.saturating_mul(LOOK_PAUSE))
        });
        if is_fresh && !is_due {
            return Ok(before);
        }
        let stopwatch = Stopwatch::start();
        let at = self.clock.now();
        let mut wanted = BTreeMap::new();
        for product in self.meta.products().await? {
            self.add_demand(&product.name, &mut wanted).await?;
        }
        let look = Look { at, since: Stopwatch::start(), took: stopwatch.elapsed() };
        let demand = Arc::new(Demand { looked: Some(look), wanted });
        let mut found = self.deltas.demand.lock().unwrap_or_else(PoisonError::into_inner);
        *found = Arc::clone(&demand);
        Ok(demand)
    }

    /// Adds what the machines of a product want: each customer's, by what each of its contracts lets a
    /// machine have next that nobody keeps anything from. Where contracts of one customer differ, all of
    /// its machines are counted for each: which are under which the census does not say.
    async fn add_demand(
        &self,
        product: &ProductName,
        wanted: &mut BTreeMap<DeltaPair, Wanted>,
    ) -> ServiceResult<()> {
        let standing = self.product_standing(product, None).await?;
        if standing.catalogue().releases().len() < 2 {
            return Ok(());
        }
        let noted = self.channels_noted(standing.product()).await?;
        let offers = standing.free_offers();
        for (customer, runs) in self.runs(product).await? {
            let channels = PrivateChannels::of(&noted, Some(&customer));
            let contracts =
                self.meta.contracts_after(Some(&customer), None, usize::MAX).await?.into_iter();
            let contracts: Vec<Contract> = contracts
                .filter_map(|record| Contract::at(&record.amendments, standing.now()))
                .filter(|contract| contract.products.contains(product))
                .collect();
            for (running, platform, machines) in runs {
                let next = |contract: &Contract| {
                    standing.next_of((contract, &channels.own), &offers, &running, &platform)
                };
                let targets: BTreeSet<Version> = contracts.iter().filter_map(next).collect();
                for to in targets {
                    add(&standing, (&running, &to), &platform, machines, wanted);
                }
            }
            // There may be many customers, and a step takes a while.
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    /// What the machines of a product run that are heard of, customer by customer.
    async fn runs(&self, product: &ProductName) -> ServiceResult<Runs> {
        let heard_from = Day::of(self.silence.heard_from(self.clock.now()));
        let selection = Selection { product: Some(product.clone()), ..Selection::default() };
        let (limit, mut after) = (self.limits.page_records_max, None);
        let mut runs = Runs::new();
        loop {
            let cells = self.meta.census_after(&selection, after.as_ref(), limit).await?;
            let Some((last, _)) = cells.last() else { return Ok(runs) };
            after = Some(last.clone());
            for (cell, count) in cells {
                let figures = count.figures(heard_from);
                let machines = figures.installed.saturating_sub(figures.silent);
                if let Some(version) = cell.setup.version.filter(|_| machines > 0) {
                    let of_customer = runs.entry(cell.customer).or_default();
                    of_customer.push((version, cell.setup.platform, machines));
                }
            }
        }
    }
}

fn add(
    standing: &ProductStanding,
    (from, to): (&Version, &Version),
    platform: &Platform,
    machines: u64,
    wanted: &mut BTreeMap<DeltaPair, Wanted>,
) {
    let artifact = |version: &Version| -> Option<&Artifact> {
        standing.release(version)?.artifacts.get(platform)
    };
    let (Some(old), Some(new)) = (artifact(from), artifact(to)) else { return };
    let pair = DeltaPair {
        product: standing.product().name.clone(),
        platform: platform.clone(),
        from: from.clone(),
        to: to.clone(),
        profile: DeltaProfile::Fast,
    };
    let of_pair = wanted.entry(pair).or_insert(Wanted {
        machines: 0,
        otherwise: Otherwise::Artifact,
        artifact_bytes: new.length,
        old_payload_bytes: old.payload_length,
        new_payload_bytes: new.payload_length,
    });
    of_pair.machines = of_pair.machines.saturating_add(machines);
}
