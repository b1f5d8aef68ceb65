//! Private channels: whose custom builds the targets role of an opaque name lists. That is written
//! here and nowhere else.

use std::collections::BTreeSet;

use mainstay_client::{
    format::{CustomerName, PrivateChannelName, ProductName, Version},
    tuf::{Envelope, Targets},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Actor, ErrorClass, Service, ServiceError, ServiceResult};
use crate::{
    policy::OwnChannels,
    store::{PrivateChannelRecord, ProductRecord},
};

/// `POST /v1/products/{product}/channels`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreatePrivateChannel {
    /// The opaque name, made of random bytes by whoever asks.
    pub name: PrivateChannelName,
    /// Whose channel it is.
    pub customer: CustomerName,
}

/// A private channel as the vendor sees it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct PrivateChannelView {
    /// The record.
    #[serde(flatten)]
    pub channel: PrivateChannelRecord,
    /// Whether the product's targets delegate to it, so that something can be published in it.
    pub delegated: bool,
    /// How many releases it has.
    pub releases: usize,
    /// The newest of them.
    pub newest: Option<Version>,
}

/// The private channels of a product, as far as a customer's affairs depend on them.
#[derive(Debug, Default)]
pub(super) struct PrivateChannels {
    /// The customer's own.
    pub(super) own: OwnChannels,
    /// Whosever: those that have ended.
    pub(super) ended: BTreeSet<PrivateChannelName>,
}

impl PrivateChannels {
    /// What `noted` is to `customer`.
    pub(super) fn of(noted: &[PrivateChannelRecord], customer: Option<&CustomerName>) -> Self {
        let mut channels = Self::default();
        for channel in noted {
            let is_open = channel.ended_at.is_none();
            if !is_open {
                channels.ended.insert(channel.name.clone());
            }
            if customer == Some(&channel.customer) {
                let OwnChannels { open, ended } = &mut channels.own;
                let own = if is_open { open } else { ended };
                own.insert(channel.name.clone());
            }
        }
        channels
    }
}

impl Service {
    /// Notes whose a private channel is. Nothing can be published in it until the product's targets
    /// delegate to it.
    pub async fn create_private_channel(
        &self,
        actor: &Actor,
        product: &ProductName,
        request: CreatePrivateChannel,
    ) -> ServiceResult<PrivateChannelRecord> {
        let CreatePrivateChannel { name, customer } = request;
        let channel = PrivateChannelRecord {
            product: product.clone(),
            name,
            customer,
            created_at: self.clock.now(),
            ended_at: None,
        };
        let subject = format!("{product} {}", channel.name);
        let mut audit = self.audit(actor, "channel.create", subject);
        audit.detail = format!("private channel of customer {}", channel.customer);
        self.meta.create_private_channel(channel.clone(), audit).await?;
        Ok(channel)
    }

    /// The private channels of a product by name.
    pub async fn private_channels(
        &self,
        product: &ProductName,
    ) -> ServiceResult<Vec<PrivateChannelView>> {
        let record = self.meta.product(product).await?;
        let targets = self.file_bytes(&record.repository.targets).await?;
        let targets: Targets = Envelope::parse("targets", &targets)?.document()?;
        let releases = self.meta.releases(product).await?;
        let view = |channel: PrivateChannelRecord| {
            let delegations = targets.delegations.as_ref();
            let mut listed = releases
                .iter()
                .filter(|release| release.release.private_channel.as_ref() == Some(&channel.name));
            PrivateChannelView {
                delegated: delegations.is_some_and(|all| all.role(channel.name.as_str()).is_some()),
                releases: listed.clone().count(),
                newest: listed.next_back().map(|release| release.release.version.clone()),
                channel,
            }
        };
        let channels = self.meta.private_channels(product).await?;
        Ok(channels.into_iter().map(view).collect())
    }

    /// Ends a private channel: nothing is published in it any more, no machine is updated to what
    /// was, and machines that run a custom build get the releases for everybody again, unless the
    /// customer has another channel that is open. The customer goes on seeing it, because machines
    /// that had a custom build may go back to it.
    pub async fn end_private_channel(
        &self,
        actor: &Actor,
        product: &ProductName,
        name: &PrivateChannelName,
    ) -> ServiceResult<PrivateChannelRecord> {
        let channel = self.private_channel(product, name).await?.ok_or_else(|| {
            let message = format!("product {product} has no private channel `{name}`");
            ServiceError::new(ErrorClass::NotFound, "NOT_FOUND", message)
        })?;
        let at = self.clock.now();
        let mut audit = self.audit(actor, "channel.end", format!("{product} {name}"));
        audit.detail = format!("private channel of customer {}", channel.customer);
        audit.before = Some(json!({ "customer": channel.customer, "ended_at": channel.ended_at }));
        self.meta.end_private_channel(product, name, at, audit).await?;
        Ok(PrivateChannelRecord { ended_at: Some(at), ..channel })
    }

    /// The private channels of `product` as they concern `customer`; nobody's where there is none.
    pub(super) async fn private_channels_for(
        &self,
        product: &ProductRecord,
        customer: Option<&CustomerName>,
    ) -> ServiceResult<PrivateChannels> {
        Ok(PrivateChannels::of(&self.channels_noted(product).await?, customer))
    }

    /// Every private channel of `product`.
    pub(super) async fn channels_noted(
        &self,
        product: &ProductRecord,
    ) -> ServiceResult<Vec<PrivateChannelRecord>> {
        // Most products have none, and no check is to look for them.
        if product.repository.channels.keys().all(|channel| channel.private().is_none()) {
            return Ok(Vec::new());
        }
        Ok(self.meta.private_channels(&product.name).await?)
    }

    async fn private_channel(
        &self,
        product: &ProductName,
        name: &PrivateChannelName,
    ) -> ServiceResult<Option<PrivateChannelRecord>> {
        let channels = self.meta.private_channels(product).await?;
        Ok(channels.into_iter().find(|channel| channel.name == *name))
    }
}
