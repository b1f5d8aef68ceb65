//! What all contracts grant, for an account manager's or an auditor's spreadsheet.

use std::collections::{BTreeMap, btree_map::Entry};

use jiff::Timestamp;
use mainstay_client::format::{ContractName, CustomerName, ProductName, schema::Instant};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Actor, ErrorClass, Hidden, Scope, Service, ServiceResult, contract::ContractExplanation,
    instant, private_channel::PrivateChannels, scope::Rest, standing::explanations,
};
use crate::{
    policy::{Catalogue, Contract, Standing},
    store::{ContractRecord, PrivateChannelRecord},
};

/// How many contracts are in memory at a time.
const CONTRACTS_READ: usize = 100;

/// `GET /v1/decisions`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListDecisions {
    /// The product; all that the contracts cover where it is absent.
    #[serde(default)]
    pub product: Option<ProductName>,
    /// Whose contracts; everybody's where it is absent.
    #[serde(default)]
    pub customer: Option<CustomerName>,
    /// The instant; now where it is absent. The pages of one listing are of one instant: give what the
    /// first page says.
    #[serde(default, deserialize_with = "instant::read")]
    #[schemars(with = "Option<Instant>")]
    pub at: Option<Timestamp>,
    /// The `next` of the page before; absent for the first page.
    #[serde(default)]
    pub after: Option<ContractName>,
    /// Whether releases that a customer is not to know of are among them.
    #[serde(default)]
    pub hidden: Hidden,
}

/// A page of what contracts grant, by contract, product and version.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct DecisionPage {
    /// The instant.
    #[schemars(with = "Instant")]
    pub at: Timestamp,
    /// One for each contract and release. A page ends with a contract, so it may have more than 1,000;
    /// of many contracts that grant nothing it may have few or none, and yet there are more pages.
    pub decisions: Vec<ContractDecision>,
    /// After which contract the next page begins; nothing where there is none.
    pub next: Option<ContractName>,
}

/// What one contract grants of one release, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ContractDecision {
    /// The contract.
    pub contract: ContractName,
    /// Whose contract it is.
    pub customer: CustomerName,
    /// The product of the release.
    pub product: ProductName,
    /// The decision, and the release.
    #[serde(flatten)]
    pub explanation: ContractExplanation,
}

/// What was out of each product at one instant, and its private channels; nothing of a product that
/// the server does not have.
type Catalogues = BTreeMap<ProductName, Option<(Catalogue, Vec<PrivateChannelRecord>)>>;

impl Service {
    /// What the contracts that the actor may see grant of the products that they cover, a page at a
    /// time. It is what [`Service::explain_contract`] says of each. A contract that has not begun by
    /// then grants nothing, and is not among them.
    pub async fn decisions(
        &self,
        actor: &Actor,
        question: ListDecisions,
    ) -> ServiceResult<DecisionPage> {
        let ListDecisions { product, customer, at, mut after, hidden } = question;
        let at = at.unwrap_or_else(|| self.clock.now());
        if let Some(customer) = &customer {
            self.customer_in(&actor.scope, customer).await?;
        }
        if let Some(product) = product.as_ref().filter(|_| actor.scope == Scope::Everything) {
            self.product_standing(product, None).await?;
        }
        let page_max = self.limits.page_records_max;
        let mut catalogues = Catalogues::new();
        let mut decisions = Vec::new();
        let mut contracts_read = 0;
        loop {
            let page = self
                .contracts_after_in(&actor.scope, customer.as_ref(), after.as_ref(), CONTRACTS_READ)
                .await?;
            let mut contracts = page.contracts.into_iter();
            while let Some(record) = contracts.next() {
                after = Some(record.name.clone());
                contracts_read += 1;
                let of_one =
                    self.decisions_of(record, product.as_ref(), at, &mut catalogues).await?;
                decisions.extend(of_one.into_iter().filter(|it| {
                    actor.scope.shows(it.explanation.explained.decision.code, hidden)
                }));
                if decisions.len() >= page_max || contracts_read >= page_max {
                    let is_last = contracts.len() == 0 && page.rest == Rest::Nothing;
                    return Ok(DecisionPage { at, decisions, next: after.filter(|_| !is_last) });
                }
            }
            if page.rest == Rest::Nothing {
                return Ok(DecisionPage { at, decisions, next: None });
            }
        }
    }

    async fn decisions_of(
        &self,
        record: ContractRecord,
        only: Option<&ProductName>,
        at: Timestamp,
        catalogues: &mut Catalogues,
    ) -> ServiceResult<Vec<ContractDecision>> {
        let ContractRecord { name, customer, amendments } = record;
        let mut decisions = Vec::new();
        let Some(contract) = Contract::at(&amendments, at) else { return Ok(decisions) };
        let products = contract.products.iter();
        for product in products.filter(|product| only.is_none_or(|only| only == *product)) {
            let Some((catalogue, noted)) = self.catalogue_at(product, at, catalogues).await? else {
                continue;
            };
            let channels = PrivateChannels::of(noted, Some(&customer)).own;
            let standing = Standing::new(&contract, catalogue, at).with_private_channels(&channels);
            decisions.extend(explanations(standing).map(|explanation| ContractDecision {
                contract: name.clone(),
                customer: customer.clone(),
                product: product.clone(),
                explanation,
            }));
        }
        Ok(decisions)
    }

    /// What was out of a product at `at`, which is looked up once.
    async fn catalogue_at<'a>(
        &self,
        product: &ProductName,
        at: Timestamp,
        catalogues: &'a mut Catalogues,
    ) -> ServiceResult<Option<&'a (Catalogue, Vec<PrivateChannelRecord>)>> {
        let catalogue = match catalogues.entry(product.clone()) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(unknown) => match self.product_standing(product, None).await {
                Ok(standing) => {
                    let catalogue = standing.catalogue_at(at)?;
                    let noted = self.channels_noted(standing.product()).await?;
                    unknown.insert(Some((catalogue, noted)))
                }
                Err(error) if error.class() == ErrorClass::NotFound => unknown.insert(None),
                Err(error) => return Err(error),
            },
        };
        Ok(catalogue.as_ref())
    }
}
