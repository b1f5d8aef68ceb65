//! What is in releases: bills of materials, which the vendor states beside what it signs.

use std::collections::BTreeSet;

use mainstay_client::format::{Digest, ProductName, Version};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Actor, ErrorClass, Service, ServiceError, ServiceResult, repository::ServedFile};
use crate::{
    policy::sbom::{Sbom, SbomError},
    store::{SbomChange, SbomRecord, StoreError, found},
};

/// `POST /v1/products/{product}/releases/{version}/sbom`.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AttachSbom {
    /// The document, CycloneDX JSON, which is uploaded already.
    pub sha256: Digest,
}

impl Service {
    /// Attaches a bill of materials to a release, in place of the one before where there is one. What was
    /// attached before stays in the store, and its digest in the audit trail.
    pub async fn attach_sbom(
        &self,
        actor: &Actor,
        (product, version): (&ProductName, &Version),
        request: AttachSbom,
    ) -> ServiceResult<SbomRecord> {
        let AttachSbom { sha256 } = request;
        self.meta.release(product, version).await?;
        let length = match self.blobs.length(&sha256).await {
            Err(StoreError::NotFound(_)) => {
                return Err(refused("it is not uploaded: expected `PATCH /v1/uploads/…` first"));
            }
            length => length?,
        };
        if length > Sbom::BYTES_MAX {
            let max = Sbom::BYTES_MAX;
            return Err(refused(format!("it has {length} bytes: expected at most {max}")));
        }
        let sbom = self.parsed(&sha256).await?.map_err(refused)?;
        let before = found(self.meta.sbom(product, version).await)?;
        let components = sbom.indexed();
        let removed: BTreeSet<String> = match &before {
            None => BTreeSet::new(),
            Some(before) => {
                let words = self.parsed(&before.sha256).await?.map_err(ServiceError::internal)?;
                let words = words.indexed().into_keys();
                words.filter(|word| !components.contains_key(word)).collect()
            }
        };
        let after = SbomRecord {
            product: product.clone(),
            version: version.clone(),
            sha256,
            length,
            spec_version: sbom.spec_version,
            components: sbom.components.len(),
            attached_at: self.clock.now(),
            by: actor.id.clone(),
        };
        let mut audit = self.audit(actor, "sbom.attach", format!("{product} {version}"));
        audit.detail = format!("sha256 {sha256}, {} components", after.components);
        audit.before = before.as_ref().map(serde_json::to_value).transpose()?;
        let change = SbomChange { before, after: after.clone(), components, removed };
        self.meta.attach_sbom(change, audit).await?;
        Ok(after)
    }

    async fn parsed(&self, sha256: &Digest) -> ServiceResult<Result<Sbom, SbomError>> {
        let bytes = self.blobs.bytes(sha256, Sbom::BYTES_MAX).await?;
        Ok(Sbom::parse(&bytes))
    }

    /// The bill of materials of a release.
    pub async fn sbom(
        &self,
        product: &ProductName,
        version: &Version,
    ) -> ServiceResult<SbomRecord> {
        Ok(self.meta.sbom(product, version).await?)
    }

    /// The document of the bill of materials of a release.
    pub async fn sbom_file(
        &self,
        product: &ProductName,
        version: &Version,
    ) -> ServiceResult<ServedFile> {
        let SbomRecord { sha256, length, .. } = self.sbom(product, version).await?;
        Ok(ServedFile::target(sha256, length))
    }
}

fn refused(problem: impl std::fmt::Display) -> ServiceError {
    let message = format!("the bill of materials is not taken: {problem}");
    ServiceError::new(ErrorClass::Refused, "SBOM_REFUSED", message)
}
