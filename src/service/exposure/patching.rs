//! How long machines took to a fix.
//!
//! Every machine of the product that whoever asks may see is looked at once, by its record alone: since
//! it is kept there when a version was confirmed, no event is read. In memory are the machines of a page,
//! the contracts, and one counter for each different time.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use mainstay_client::format::{
    AdvisoryId, ContractName, CustomerName, Platform, ProductName, schema::Instant,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    policy::{
        Contract, Standing, Tier,
        exposure::{Advisory, Exposure, PatchFigures, PatchTimes},
    },
    service::{Actor, Scope, Service, ServiceResult, private_channel::PrivateChannels},
    store::Selection,
};

/// `GET /v1/exposure/patching`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AskPatching {
    /// The advisory.
    pub advisory: AdvisoryId,
    /// The product; all of them where it is absent.
    #[serde(default)]
    pub product: Option<ProductName>,
    /// Whose machines; everybody's where it is absent.
    #[serde(default)]
    pub customer: Option<CustomerName>,
}

/// How long machines took to the fix of an advisory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PatchingReport {
    /// When it was looked at.
    #[schemars(with = "Instant")]
    pub at: Timestamp,
    /// The advisory.
    pub advisory: AdvisoryId,
    /// By tier, the least first; contracts without one come before.
    pub tiers: Vec<TierPatching>,
}

/// How long the machines of a tier took to a fix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TierPatching {
    /// The tier; nothing for contracts without one.
    pub tier: Option<Tier>,
    /// How many machines lack the fix now, also such as had it and went back.
    pub open: u64,
    /// Those that have had it since they had it first.
    #[serde(flatten)]
    pub figures: PatchFigures,
}

/// What is told of a tier while it is counted.
#[derive(Default)]
struct Tally {
    open: u64,
    times: PatchTimes,
}

/// A contract: its tier, and when the first fix came out that its machines could have had, by platform.
struct Terms {
    tier: Option<Tier>,
    first_fixes: BTreeMap<Platform, Timestamp>,
}

impl Service {
    /// How long the machines that the actor may see took to the fix of an advisory.
    pub async fn patching(
        &self,
        actor: &Actor,
        question: AskPatching,
    ) -> ServiceResult<PatchingReport> {
        let AskPatching { advisory, product, customer } = question;
        let scope = &actor.scope;
        self.require_asked(scope, product.as_ref(), customer.as_ref()).await?;
        self.fixes(scope, &advisory, product.as_ref()).await?;
        let mut tallies = BTreeMap::<Option<Tier>, Tally>::new();
        for product in self.products_asked(product.as_ref()).await? {
            self.tally(scope, &product, customer.as_ref(), &advisory, &mut tallies).await?;
        }
        let tiers = tallies.into_iter().map(|(tier, Tally { open, times })| TierPatching {
            tier,
            open,
            figures: times.figures(),
        });
        Ok(PatchingReport { at: self.clock.now(), advisory, tiers: tiers.collect() })
    }

    async fn tally(
        &self,
        scope: &Scope,
        product: &ProductName,
        customer: Option<&CustomerName>,
        id: &AdvisoryId,
        tallies: &mut BTreeMap<Option<Tier>, Tally>,
    ) -> ServiceResult<()> {
        let product_standing = self.product_standing(product, None).await?;
        let recorded = self.recorded(product).await?;
        let advisory =
            Advisory::new(product_standing.catalogue(), id, super::affected(&recorded, id));
        let Some(first) = advisory.first_fix(|_| true) else { return Ok(()) };
        let mut holders = HashMap::<ContractName, Terms>::new();
        let noted = self.channels_noted(product_standing.product()).await?;
        for record in self.contracts_in(scope).await? {
            let Some(contract) = Contract::at(&record.amendments, product_standing.now()) else {
                continue;
            };
            let channels = PrivateChannels::of(&noted, Some(&record.customer)).own;
            let standing =
                Standing::new(&contract, product_standing.catalogue(), product_standing.now())
                    .with_private_channels(&channels);
            let mut first_fixes = BTreeMap::<Platform, Timestamp>::new();
            for fix in advisory.naming().filter(|fix| standing.shows(fix)) {
                let release = product_standing.release(&fix.version);
                for platform in release.into_iter().flat_map(|it| it.artifacts.keys()) {
                    let first = first_fixes.entry(platform.clone()).or_insert(fix.published_at);
                    *first = fix.published_at.min(*first);
                }
            }
            holders.insert(record.name, Terms { tier: contract.tier, first_fixes });
        }
        let customers = match customer {
            Some(customer) => Some([customer.clone()].into()),
            None => scope.customers().cloned(),
        };
        let selection =
            Selection { product: Some(product.clone()), customers, ..Selection::default() };
        self.each_selected(&selection, |machine| {
            let holder = holders.get(&machine.contract);
            let own = holder.and_then(|holder| holder.first_fixes.get(&machine.platform));
            // That there is something which only others may have is not told to a customer's people.
            let is_shown = holder.is_some_and(|holder| !holder.first_fixes.is_empty());
            if *scope != Scope::Everything && !is_shown {
                return;
            }
            let tally = tallies.entry(holder.and_then(|holder| holder.tier)).or_default();
            let running = machine.running.as_ref();
            if running.is_some_and(|running| advisory.exposure(running) == Exposure::Affected) {
                tally.open += 1;
            } else {
                let first = own.copied().unwrap_or(first);
                tally.times.add(advisory.patched(first, &machine.confirmed, &machine.runs));
            }
        })
        .await
    }
}
