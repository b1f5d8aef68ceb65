//! What the vendor records of advisories, and documents for other tools.

use jiff::Timestamp;
use mainstay_client::format::{AdvisoryId, ProductName, Severity, Version};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Actor, ErrorClass, Service, ServiceError, ServiceResult};
use crate::{
    policy::{
        Status,
        exposure::{Advisory, AffectedRange, csaf::Statement},
    },
    store::{AdvisoryChange, AdvisoryRecord, StoreError},
};

/// The longest title and address, in characters.
const TEXT_CHARS_MAX: usize = 300;
/// The most ranges of affected versions.
const RANGES_MAX: usize = 64;

/// `PUT /v1/products/{product}/advisories/{advisory}`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetAdvisory {
    /// What it is about, in a line.
    pub title: String,
    /// How severe it is; absent for as severe as the releases that name it.
    #[serde(default)]
    pub severity: Option<Severity>,
    /// Which versions are affected; empty for all that lack the fix.
    #[serde(default)]
    pub affected: Vec<AffectedRange>,
    /// Where there is more about it.
    #[serde(default)]
    pub url: Option<String>,
}

/// An advisory of a product: what is recorded of it, and which releases name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AdvisoryView {
    /// The product.
    pub product: ProductName,
    /// The advisory.
    pub advisory: AdvisoryId,
    /// What is recorded; nothing where releases alone tell of it.
    pub recorded: Option<AdvisoryRecord>,
    /// The releases that name it, the lowest version first.
    pub fixed_in: Vec<Version>,
}

impl Service {
    /// Records something of an advisory, in place of what was recorded before.
    pub async fn set_advisory(
        &self,
        actor: &Actor,
        (product, advisory): (&ProductName, AdvisoryId),
        request: SetAdvisory,
    ) -> ServiceResult<AdvisoryRecord> {
        let SetAdvisory { title, severity, mut affected, url } = request;
        let title = super::access::one_line("title", &title, TEXT_CHARS_MAX)?;
        let url = url.map(|url| sound_url(&url)).transpose()?;
        if affected.len() > RANGES_MAX {
            let found = affected.len();
            return Err(ServiceError::input(format!(
                "{found} ranges of affected versions: expected at most {RANGES_MAX}"
            )));
        }
        affected.sort();
        affected.dedup();
        let before = crate::store::found(self.meta.advisory(product, &advisory).await)?;
        let mut changed_at = before.as_ref().map(|it| it.changed_at.clone()).unwrap_or_default();
        changed_at.push(self.clock.now());
        let forgotten = changed_at.len().saturating_sub(AdvisoryRecord::CHANGES_MAX);
        changed_at.drain(..forgotten);
        let after = AdvisoryRecord {
            product: product.clone(),
            advisory,
            title,
            severity,
            affected,
            url,
            changed_at,
        };
        let subject = format!("{product} {}", after.advisory);
        let mut audit = self.audit(actor, "advisory.set", subject);
        audit.detail.clone_from(&after.title);
        audit.before = before.as_ref().map(serde_json::to_value).transpose()?;
        let change = AdvisoryChange { before, after: after.clone() };
        self.meta.change_advisory(change, audit).await?;
        Ok(after)
    }

    /// The advisories of a product that are recorded or that a release names, by identifier.
    pub async fn advisories(&self, product: &ProductName) -> ServiceResult<Vec<AdvisoryView>> {
        let standing = self.product_standing(product, None).await?;
        let mut recorded = self.recorded(product).await?;
        let named = standing.catalogue().advisories().into_iter();
        let mut views: Vec<AdvisoryView> = named
            .map(|id| AdvisoryView {
                product: product.clone(),
                advisory: id.clone(),
                recorded: recorded.remove(id),
                fixed_in: fixed_in(&Advisory::new(standing.catalogue(), id, &[])),
            })
            .collect();
        views.extend(recorded.into_iter().map(|(advisory, record)| AdvisoryView {
            product: product.clone(),
            advisory,
            recorded: Some(record),
            fixed_in: Vec::new(),
        }));
        views.sort_by(|one, other| one.advisory.cmp(&other.advisory));
        Ok(views)
    }

    /// One advisory of a product.
    pub async fn advisory(
        &self,
        product: &ProductName,
        advisory: &AdvisoryId,
    ) -> ServiceResult<AdvisoryView> {
        let views = self.advisories(product).await?.into_iter();
        views.into_iter().find(|view| view.advisory == *advisory).ok_or_else(|| {
            let message = format!(
                "no release of {product} names the advisory {advisory}, and nothing is recorded of it"
            );
            ServiceError::new(ErrorClass::NotFound, "ADVISORY_UNKNOWN", message)
        })
    }

    /// What is known of an advisory, as CSAF 2.0 of the profile VEX.
    pub async fn csaf(&self, product: &ProductName, id: &AdvisoryId) -> ServiceResult<Value> {
        let AdvisoryView { recorded, .. } = self.advisory(product, id).await?;
        let Some(publisher) = &self.publisher else {
            return Err(ServiceError::new(
                ErrorClass::Conflict,
                "PUBLISHER_UNKNOWN",
                "it is not said who publishes: expected [publisher] with name and namespace in the \
                 server's configuration",
            ));
        };
        let standing = self.product_standing(product, None).await?;
        let affected = recorded.as_ref().map_or(&[][..], |record| &record.affected);
        let advisory = Advisory::new(standing.catalogue(), id, affected);
        let recorded_at: &[Timestamp] = recorded.as_ref().map_or(&[], |it| &it.changed_at);
        let statement = Statement {
            publisher,
            product,
            id,
            advisory: &advisory,
            title: recorded.as_ref().map(|record| record.title.as_str()),
            severity: recorded.as_ref().and_then(|it| it.severity).or(advisory.severity()),
            url: recorded.as_ref().and_then(|record| record.url.as_deref()),
            recorded_at,
        };
        statement.document().ok_or_else(|| {
            let message = format!(
                "there is nothing to publish of {id} in {product}: no release that everybody may know of \
                 names it, and nothing is recorded of it"
            );
            ServiceError::from(StoreError::Conflict(message))
        })
    }
}

fn fixed_in(advisory: &Advisory<'_>) -> Vec<Version> {
    let out = advisory.naming().filter(|release| release.status != Status::Draft);
    out.map(|release| release.version.clone()).collect()
}

fn sound_url(url: &str) -> ServiceResult<String> {
    let is_web = url.starts_with("https://") || url.starts_with("http://");
    let is_plain = url.chars().all(|c| c.is_ascii_graphic() && !"<>\"{}|\\^`".contains(c));
    if is_web && is_plain && url.len() <= TEXT_CHARS_MAX {
        return Ok(url.to_owned());
    }
    Err(ServiceError::input(format!(
        "url is not valid: expected an address of at most {TEXT_CHARS_MAX} characters that begins with \
         https://"
    )))
}
