//! Which releases have a component, and who runs them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use mainstay_client::format::{CustomerName, ProductName, Version, schema::Instant};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    policy::{
        Day, Status,
        sbom::{Component, ComponentQuery},
    },
    service::{Actor, Scope, Service, ServiceResult},
    store::{ComponentsRecord, Selection},
};

/// `GET /v1/exposure/components`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListComponents {
    /// `NAME`, `NAME@VERSION`, `GROUP/NAME@VERSION`, or a package URL.
    pub component: ComponentQuery,
    /// The product; all of them where it is absent.
    #[serde(default)]
    pub product: Option<ProductName>,
    /// Whose machines; everybody's where it is absent.
    #[serde(default)]
    pub customer: Option<CustomerName>,
}

/// The releases that have a component, by product and version.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ComponentPage {
    /// When it was looked at.
    #[schemars(with = "Instant")]
    pub at: Timestamp,
    /// What was looked for.
    pub component: ComponentQuery,
    /// The first 1,000 releases. For an organisation those that run on machines that it may see.
    pub releases: Vec<ComponentUse>,
    /// How many more there are.
    pub further: usize,
}

/// A release that has a component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ComponentUse {
    /// The product.
    pub product: ProductName,
    /// The release.
    pub version: Version,
    /// Whether the vendor still gives it out.
    pub status: Status,
    /// The components that were found in it.
    pub components: Vec<Component>,
    /// Whose machines run it. Retired ones are not counted.
    pub holders: Vec<Holder>,
}

/// How many machines of a customer run a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Holder {
    /// The customer.
    pub customer: CustomerName,
    /// How many.
    pub machines: u64,
}

impl Service {
    /// The releases that have a component, and who runs them, of whom the actor may see. No machine is
    /// read for it: the component is found in an index, and machines are counted by the census.
    pub async fn components(
        &self,
        actor: &Actor,
        question: ListComponents,
    ) -> ServiceResult<ComponentPage> {
        let ListComponents { component: query, product, customer } = question;
        self.require_asked(&actor.scope, product.as_ref(), customer.as_ref()).await?;
        let mut found = Vec::new();
        for mut record in self.meta.components(&query.word()).await? {
            record.components.retain(|component| query.matches(component));
            let is_asked = product.as_ref().is_none_or(|product| *product == record.product);
            if is_asked && !record.components.is_empty() {
                found.push(record);
            }
        }
        found.sort_by(|one, other| {
            (&one.product, &one.version).cmp(&(&other.product, &other.version))
        });
        let mut releases = Vec::new();
        for record in found {
            let mut holders = self.holders(actor, customer.as_ref(), &record).await?;
            if actor.scope != Scope::Everything {
                holders = self.knowing(actor, holders, &record).await?;
            }
            if holders.is_empty() && actor.scope != Scope::Everything {
                continue;
            }
            let release = self.meta.release(&record.product, &record.version).await?;
            releases.push(ComponentUse {
                product: record.product,
                version: record.version,
                status: release.release.status,
                components: record.components,
                holders,
            });
        }
        let further = releases.len().saturating_sub(self.limits.page_records_max);
        releases.truncate(self.limits.page_records_max);
        Ok(ComponentPage { at: self.clock.now(), component: query, releases, further })
    }

    /// Those of the customers who may know of the release: a machine can say that it runs anything.
    async fn knowing(
        &self,
        actor: &Actor,
        holders: Vec<Holder>,
        record: &ComponentsRecord,
    ) -> ServiceResult<Vec<Holder>> {
        let contracts = self.contracts_in(&actor.scope).await?;
        let mut knowing = Vec::new();
        for holder in holders {
            for contract in contracts.iter().filter(|it| it.customer == holder.customer) {
                let standing = self.standing(&contract.name, &record.product).await?;
                let is_known = standing.known_release(&record.version).is_some();
                if standing.covers_product() && is_known {
                    knowing.push(holder);
                    break;
                }
            }
        }
        Ok(knowing)
    }

    async fn holders(
        &self,
        actor: &Actor,
        customer: Option<&CustomerName>,
        record: &ComponentsRecord,
    ) -> ServiceResult<Vec<Holder>> {
        let customers = match customer {
            Some(customer) => Some([customer.clone()].into()),
            None => actor.scope.customers().cloned(),
        };
        let selection = Selection {
            product: Some(record.product.clone()),
            customers,
            platform: None,
            version: Some(record.version.clone()),
            ring: None,
        };
        let mut holders = BTreeMap::<CustomerName, u64>::new();
        for (cell, count) in self.meta.census_after(&selection, None, usize::MAX).await? {
            let machines = count.figures(Day::of(self.clock.now())).installed;
            *holders.entry(cell.customer).or_default() += machines;
        }
        let holders = holders.into_iter();
        Ok(holders.map(|(customer, machines)| Holder { customer, machines }).collect())
    }
}
