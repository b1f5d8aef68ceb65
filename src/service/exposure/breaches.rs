//! Fixes that machines are to have by a time that was agreed.

use jiff::Timestamp;
use mainstay_client::format::{CustomerName, ProductName, schema::Instant};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Asked, OpenMachine};
use crate::{
    policy::{
        contract::days_after,
        exposure::{Apart, Breach, Breaches, Lacking, told_ahead},
    },
    service::{Actor, Scope, Service, ServiceError, ServiceResult},
    store::ListPlace,
};

/// `GET /v1/exposure/breaches`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListBreaches {
    /// How many days ahead, 0 to 3,650; 7 where it is absent.
    #[serde(default)]
    pub within_days: Option<u32>,
    /// The product; all of them where it is absent.
    #[serde(default)]
    pub product: Option<ProductName>,
    /// Whose machines; everybody's where it is absent.
    #[serde(default)]
    pub customer: Option<CustomerName>,
}

/// Who has lacked a fix for longer than is agreed, or will have.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct BreachReport {
    /// When it was looked at.
    #[schemars(with = "Instant")]
    pub at: Timestamp,
    /// How many days ahead it looks.
    pub within_days: u32,
    /// The first 1,000 breaches, those first that come first.
    pub breaches: Vec<Breach>,
    /// How many more there are.
    pub further: usize,
    /// Machines that lack a fix and for which no time counts, the first 1,000 entries.
    pub apart: Vec<Apart>,
}

/// How many days ahead is looked where nobody says.
const WITHIN_DAYS: u32 = 7;
/// How many days ahead can be looked.
const WITHIN_DAYS_MAX: u32 = 3650;

impl Service {
    /// Who has lacked a fix for longer than is agreed or will have soon, of those that the actor may see.
    /// Every machine that lacks any fix is looked at.
    pub async fn breaches(
        &self,
        actor: &Actor,
        question: ListBreaches,
    ) -> ServiceResult<BreachReport> {
        let ListBreaches { within_days, product, customer } = question;
        let within_days = within_days.unwrap_or(WITHIN_DAYS);
        if within_days > WITHIN_DAYS_MAX {
            return Err(ServiceError::input(format!(
                "within_days is {within_days}: expected 0 to {WITHIN_DAYS_MAX}"
            )));
        }
        self.require_asked(&actor.scope, product.as_ref(), customer.as_ref()).await?;
        let asked =
            Asked { advisory: None, product: product.as_ref(), customer: customer.as_ref() };
        let now = self.clock.now();
        let until = days_after(now, within_days);
        let breaches = self.count_breaches(&actor.scope, &asked, |_| Some(until)).await?;
        let (mut breaches, mut apart) = breaches.into_lists();
        let further = breaches.len().saturating_sub(self.limits.page_records_max);
        breaches.truncate(self.limits.page_records_max);
        apart.truncate(self.limits.page_records_max);
        Ok(BreachReport { at: now, within_days, breaches, further, apart })
    }

    /// Writes down what is to be told of breaches, each once.
    pub async fn announce_breaches(&self) -> ServiceResult<()> {
        let now = self.clock.now();
        let ahead = |open: &OpenMachine| {
            let agreed = self.tiers.patch_days(open.tier).of(open.severity)?;
            now.checked_add(told_ahead(agreed)).ok()
        };
        let breaches = self.count_breaches(&Scope::Everything, &Asked::default(), ahead).await?;
        let (breaches, _) = breaches.into_lists();
        let mut outcome = Ok(());
        for due in breaches.iter().filter_map(|breach| breach.due(now)) {
            outcome = outcome.and(self.meta.announce_once(&due.mark, due.notification).await);
        }
        Ok(outcome?)
    }

    async fn count_breaches(
        &self,
        scope: &Scope,
        asked: &Asked<'_>,
        until: impl Fn(&OpenMachine) -> Option<Timestamp>,
    ) -> ServiceResult<Breaches> {
        let now = self.clock.now();
        let mut breaches = Breaches::default();
        let mut after: Option<ListPlace> = None;
        loop {
            let limit = self.limits.page_records_max;
            let page = self.open_machines(scope, asked, after.as_ref(), limit).await?;
            for open in &page.found {
                let lacking = Lacking {
                    product: &open.product,
                    customer: &open.customer,
                    advisory: &open.advisory,
                    severity: open.severity,
                    kind: open.cause.kind,
                    remedy: open.cause.remedy.as_ref(),
                    agreed_until: open.agreed_until,
                };
                breaches.count(&lacking, now, until(open).unwrap_or(now));
            }
            after = page.next;
            if after.is_none() {
                return Ok(breaches);
            }
        }
    }
}
