//! What the vendor has recorded of advisories, and what is in releases.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use mainstay_client::format::{
    AdvisoryId, Digest, ProductName, Severity, Version, schema::Instant,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::policy::{exposure::AffectedRange, sbom::Component};

/// What the vendor has recorded of an advisory, beside that releases name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AdvisoryRecord {
    /// The product.
    pub product: ProductName,
    /// The advisory.
    pub advisory: AdvisoryId,
    /// What it is about, in a line.
    pub title: String,
    /// How severe it is; nothing for as severe as the releases that name it.
    pub severity: Option<Severity>,
    /// Which versions are affected; empty for all that lack the fix.
    pub affected: Vec<AffectedRange>,
    /// Where there is more about it.
    pub url: Option<String>,
    /// When it was changed, the earliest first: the newest [`AdvisoryRecord::CHANGES_MAX`].
    #[schemars(with = "Vec<Instant>")]
    pub changed_at: Vec<Timestamp>,
}

impl AdvisoryRecord {
    /// How many changes are remembered.
    pub const CHANGES_MAX: usize = 500;
}

/// A change of what is recorded of an advisory.
#[derive(Clone, Debug)]
pub struct AdvisoryChange {
    /// What was recorded before; nothing where nothing was.
    pub before: Option<AdvisoryRecord>,
    /// What is recorded from now on.
    pub after: AdvisoryRecord,
}

/// The bill of materials of a release, which is a blob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SbomRecord {
    /// The product.
    pub product: ProductName,
    /// The release.
    pub version: Version,
    /// The blob.
    pub sha256: Digest,
    /// Its length in bytes.
    pub length: u64,
    /// The version of CycloneDX that it is written by.
    pub spec_version: String,
    /// How many components it lists.
    pub components: usize,
    /// When it was attached.
    #[schemars(with = "Instant")]
    pub attached_at: Timestamp,
    /// Who attached it: a token's identifier.
    pub by: String,
}

/// A bill of materials that is attached to a release, in place of another where there was one.
#[derive(Clone, Debug)]
pub struct SbomChange {
    /// What was attached before.
    pub before: Option<SbomRecord>,
    /// What is attached from now on.
    pub after: SbomRecord,
    /// Its components by the words under which they are looked for.
    pub components: BTreeMap<String, Vec<Component>>,
    /// The words under which components of the one before are looked for, and none of this one.
    pub removed: BTreeSet<String>,
}

/// Components of a release that are looked for under the same word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ComponentsRecord {
    /// The product.
    pub product: ProductName,
    /// The release.
    pub version: Version,
    /// The components.
    pub components: Vec<Component>,
}
