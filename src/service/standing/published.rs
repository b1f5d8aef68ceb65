//! What is published of a product. It is the same for everybody, and is kept in memory for as long as no
//! record has changed on which it might depend.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use mainstay_client::format::ProductName;

use super::super::{
    ATTEMPTS_MAX, ErrorClass, Service, ServiceError, ServiceResult, rollout::Spread,
};
use crate::{
    policy::{Catalogue, Line},
    store::{PrivateChannelRecord, ProductRecord, ReleaseRecord, SafeguardRecord},
};

/// A product with everything that has been published of it.
pub(in crate::service) struct Published {
    pub(super) product: ProductRecord,
    pub(super) releases: Vec<ReleaseRecord>,
    pub(super) catalogue: Catalogue,
    pub(super) private_channels: Vec<PrivateChannelRecord>,
    pub(super) safeguards: Arc<Vec<SafeguardRecord>>,
    pub(super) spread: Arc<Spread>,
}

impl Published {
    /// The same as if `planned` were published.
    pub(super) fn with(&self, planned: ReleaseRecord) -> ServiceResult<Self> {
        let releases: Vec<_> = self.releases.iter().cloned().chain([planned]).collect();
        Ok(Self {
            catalogue: catalogue(&self.product, &releases)?,
            releases,
            product: self.product.clone(),
            private_channels: self.private_channels.clone(),
            safeguards: Arc::clone(&self.safeguards),
            spread: Arc::clone(&self.spread),
        })
    }
}

/// What is published of the products that were asked for, each as of so many changes.
#[derive(Default)]
pub(in crate::service) struct PublishedProducts(Mutex<HashMap<ProductName, (u64, Arc<Published>)>>);

impl PublishedProducts {
    fn find(&self, product: &ProductName, changes: u64) -> Option<Arc<Published>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (as_of, published) = known.get(product)?;
        (*as_of == changes).then(|| Arc::clone(published))
    }

    fn keep(&self, changes: u64, published: &Arc<Published>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(published.product.name.clone(), (changes, Arc::clone(published)));
    }
}

impl Service {
    /// What is published of a product now.
    pub(super) async fn published(&self, product: &ProductName) -> ServiceResult<Arc<Published>> {
        // Before anything is read.
        let changes = self.meta.changes().of_everything();
        if let Some(published) = self.published_products.find(product, changes) {
            return Ok(published);
        }
        let (record, releases) = self.product_with_releases(product).await?;
        // After the releases: one that is there has its rollout.
        let spread = Arc::new(self.spread(product).await?);
        let published = Arc::new(Published {
            catalogue: catalogue(&record, &releases)?,
            private_channels: self.channels_noted(&record).await?,
            safeguards: Arc::new(self.meta.safeguards(product).await?),
            product: record,
            releases,
            spread,
        });
        self.published_products.keep(changes, &published);
        Ok(published)
    }

    /// A product and its releases as they were at one revision of it. A plan must not name what the
    /// metadata beside it does not list, or lists elsewhere.
    async fn product_with_releases(
        &self,
        name: &ProductName,
    ) -> ServiceResult<(ProductRecord, Vec<ReleaseRecord>)> {
        let mut before = self.meta.product(name).await?;
        for _ in 0..ATTEMPTS_MAX {
            let releases = self.meta.releases(name).await?;
            let after = self.meta.product(name).await?;
            if after.revision == before.revision {
                return Ok((after, releases));
            }
            before = after;
        }
        Err(ServiceError::new(
            ErrorClass::Unavailable,
            "BUSY",
            format!("the releases of {name} keep changing; try again"),
        ))
    }
}

fn catalogue(product: &ProductRecord, releases: &[ReleaseRecord]) -> ServiceResult<Catalogue> {
    let published = releases.iter().map(|release| release.release.clone());
    let lines = Line::signed(&product.repository.lines);
    Catalogue::new(product.name.clone(), lines, published).map_err(ServiceError::internal)
}
