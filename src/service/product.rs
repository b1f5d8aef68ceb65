//! Products: the vendor's root and top-level targets, and what a publisher builds upon.

use std::{collections::BTreeMap, num::NonZeroU64};

use mainstay_client::{
    format::{
        ProductName,
        wire::{CreateProductRequest, PublishingState, ServerKeys},
    },
    tuf::{Envelope, Metadata as _, Root, Targets},
};

use super::{
    Actor, ErrorClass, Service, ServiceError, ServiceResult, authoring::authoring_problems,
    delegation::delegation_problems, repository::Draft,
};
use crate::{
    policy::lifecycle::{self, LineView},
    store::{ProductRecord, ReleaseRecord, StoreError},
};

impl Service {
    /// The server's public keys.
    pub fn server_keys(&self) -> ServerKeys {
        self.keys.public()
    }

    /// Registers a product with the root and targets that the vendor signed.
    pub async fn create_product(
        &self,
        actor: &Actor,
        request: CreateProductRequest,
    ) -> ServiceResult<ProductRecord> {
        let name = request.product;
        match self.meta.product(&name).await {
            Err(StoreError::NotFound(_)) => {}
            Ok(_) => {
                return Err(ServiceError::new(
                    ErrorClass::Conflict,
                    "CONFLICT",
                    format!("product {name} exists already"),
                ));
            }
            Err(error) => return Err(error.into()),
        }
        let root_envelope = Envelope::parse("root", request.root.as_bytes())?;
        let targets_envelope = Envelope::parse("targets", request.targets.as_bytes())?;
        let (root, targets): (Root, Targets) =
            (root_envelope.document()?, targets_envelope.document()?);
        let (now, lifetime_max) = (self.clock.now(), self.limits().offline_lifetime_max);
        let mut problems: Vec<_> = [("root", root.header()), ("targets", targets.header())]
            .into_iter()
            .filter(|(_, header)| header.version != NonZeroU64::MIN)
            .map(|(what, header)| {
                format!("{what} has version {}: a new product begins with 1", header.version)
            })
            .collect();
        problems.extend(authoring_problems::<Root>("root", &root_envelope, now, lifetime_max));
        problems.extend(authoring_problems::<Targets>(
            "targets",
            &targets_envelope,
            now,
            lifetime_max,
        ));
        problems.extend(delegation_problems(&root, &targets, &self.keys));
        if !problems.is_empty() {
            let message = "the product's root and targets do not fit this server";
            return Err(ServiceError::refused("PRODUCT_REFUSED", message, problems));
        }
        let draft = Draft {
            roots: vec![request.root.into_bytes()],
            targets: request.targets.into_bytes(),
            channels: BTreeMap::new(),
        };
        let signed = self.sign_online(&name, draft, 0, 0)?;
        signed.verify(&name, now, &[])?;
        let (repository, files) = self.store_repository(signed).await?;
        let product = ProductRecord { name, created_at: now, revision: 1, repository };
        let mut audit = self.audit(actor, "product.create", &product.name);
        audit.detail = format!("root {}", product.repository.root.sha256);
        self.meta.create_product(product.clone(), files, audit).await?;
        Ok(product)
    }

    /// All products.
    pub async fn products(&self) -> ServiceResult<Vec<ProductRecord>> {
        Ok(self.meta.products().await?)
    }

    /// All releases of a product, as its vendor sees them.
    pub async fn releases(&self, product: &ProductName) -> ServiceResult<Vec<ReleaseRecord>> {
        self.meta.product(product).await?;
        Ok(self.meta.releases(product).await?)
    }

    /// All lines of a product, the lowest first.
    pub async fn lines(&self, product: &ProductName) -> ServiceResult<Vec<LineView>> {
        let standing = self.product_standing(product, None).await?;
        Ok(lifecycle::lines(standing.catalogue(), standing.now()))
    }

    /// What a publisher builds the next release upon.
    pub async fn publishing_state(&self, product: &ProductName) -> ServiceResult<PublishingState> {
        let record = self.meta.product(product).await?;
        let draft = self.load_repository(&record).await?;
        let mut metadata = BTreeMap::new();
        for (index, root) in draft.roots.iter().enumerate() {
            metadata.insert(format!("{}.root.json", index + 1), text(root)?);
        }
        metadata.insert("targets.json".to_owned(), text(&draft.targets)?);
        for (channel, bytes) in &draft.channels {
            metadata.insert(format!("{channel}.json"), text(bytes)?);
        }
        for (file_name, file) in [
            ("timestamp.json", record.repository.timestamp),
            ("snapshot.json", record.repository.snapshot),
        ] {
            let bytes = self.blobs.bytes(&file.sha256, file.length).await?;
            metadata.insert(file_name.to_owned(), text(&bytes)?);
        }
        Ok(PublishingState { revision: record.revision, now: self.clock.now(), metadata })
    }
}

/// Metadata is JSON, so it is UTF-8.
pub(super) fn text(bytes: &[u8]) -> ServiceResult<String> {
    String::from_utf8(bytes.to_vec()).map_err(ServiceError::internal)
}
