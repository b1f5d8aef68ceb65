//! Organisations that support customers: third parties, or people of a customer's own.

use std::collections::BTreeSet;

use mainstay_client::format::{CustomerName, OrganisationName};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Actor, ErrorClass, Service, ServiceError, ServiceResult};
use crate::store::OrganisationRecord;

/// `POST /v1/organisations`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateOrganisation {
    /// The short name.
    pub name: OrganisationName,
    /// What people call it; the short name where it is absent.
    #[serde(default)]
    pub title: Option<String>,
}

impl Service {
    /// Adds an organisation, which serves nobody yet.
    pub async fn create_organisation(
        &self,
        actor: &Actor,
        request: CreateOrganisation,
    ) -> ServiceResult<OrganisationRecord> {
        let CreateOrganisation { name, title } = request;
        let title = self.remark("title", title.as_deref().unwrap_or(name.as_str()))?;
        let created_at = self.clock.now();
        let organisation =
            OrganisationRecord { name, title, created_at, customers: BTreeSet::new() };
        let audit = self.audit(actor, "organisation.create", &organisation.name);
        self.meta.create_organisation(organisation.clone(), audit).await?;
        Ok(organisation)
    }

    /// All organisations.
    pub async fn organisations(&self) -> ServiceResult<Vec<OrganisationRecord>> {
        Ok(self.meta.organisations().await?)
    }

    /// One organisation.
    pub async fn organisation(&self, name: &OrganisationName) -> ServiceResult<OrganisationRecord> {
        Ok(self.meta.organisation(name).await?)
    }

    /// Lets the tokens of an organisation see and act on what is of `customer`. Where they do
    /// already, nothing changes and nothing is recorded.
    pub async fn serve_customer(
        &self,
        actor: &Actor,
        name: &OrganisationName,
        customer: CustomerName,
    ) -> ServiceResult<OrganisationRecord> {
        let before = self.meta.organisation(name).await?;
        let mut after = before.clone();
        let customers_max = self.limits.customers_served_max;
        let detail = format!("serves {customer}");
        if !after.customers.insert(customer) {
            return Ok(after);
        }
        if after.customers.len() > customers_max {
            return Err(ServiceError::input(format!(
                "organisation {name} serves {customers_max} customers already, which is the most \
                 that one may: add another organisation"
            )));
        }
        self.change_organisation(actor, before, after, detail).await
    }

    /// Ends that, from the next request on.
    pub async fn stop_serving_customer(
        &self,
        actor: &Actor,
        name: &OrganisationName,
        customer: &CustomerName,
    ) -> ServiceResult<OrganisationRecord> {
        let before = self.meta.organisation(name).await?;
        let mut after = before.clone();
        if !after.customers.remove(customer) {
            return Err(ServiceError::new(
                ErrorClass::NotFound,
                "NOT_FOUND",
                format!("organisation `{name}` does not serve customer `{customer}`"),
            ));
        }
        let detail = format!("no longer serves {customer}");
        self.change_organisation(actor, before, after, detail).await
    }

    async fn change_organisation(
        &self,
        actor: &Actor,
        before: OrganisationRecord,
        after: OrganisationRecord,
        detail: String,
    ) -> ServiceResult<OrganisationRecord> {
        let mut audit = self.audit(actor, "organisation.serve", &after.name);
        audit.detail = detail;
        audit.before = Some(serde_json::to_value(&before.customers)?);
        self.meta.change_organisation(before, after.clone(), audit).await?;
        Ok(after)
    }
}
