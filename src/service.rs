//! The use cases. Each loads what it needs, decides by the pure functions of [`crate::policy`] and
//! the client's own verification, and persists in one transaction.
//!
//! | module | who asks |
//! |---|---|
//! | [`product`], [`private_channel`], [`publish`], [`rollout`], [`retire`], [`metadata`], [`upload`] | the vendor's release engineer |
//! | [`contract`], [`decisions`], [`organisation`], [`access`] | the account manager; whoever gives out tokens |
//! | [`enroll`], [`check`], [`answer`], [`report`], [`repository`], [`sending`], [`compressed`] | the customer's machine |
//! | [`story`], [`support`], [`action`], [`actions`], [`collect`], [`safeguard`], [`census`], [`seats`] | the technician |
//! | [`exposure`], [`advisory`], [`sbom`] | whoever answers for security |
//! | [`status`], [`webhook`] | whoever watches over it |
//! | [`delivery`] | whoever is to be told |
//! | [`keys`], [`delta`] | the server itself |

pub mod access;
pub mod action;
pub mod actions;
pub mod advisory;
pub mod answer;
pub(crate) mod authoring;
pub mod census;
pub mod check;
mod clones;
pub mod collect;
pub mod compressed;
pub mod contract;
pub mod decisions;
mod delegation;
pub mod delivery;
pub mod delta;
pub mod denial;
pub mod enroll;
mod error;
pub mod exposure;
pub mod import;
pub mod keys;
pub mod metadata;
pub mod organisation;
mod pace;
pub mod private_channel;
pub mod product;
pub mod publish;
pub mod report;
pub mod repository;
pub mod retire;
mod retry;
pub mod rollout;
pub mod safeguard;
pub mod sbom;
mod scope;
pub mod seats;
pub mod sending;
mod standing;
pub mod status;
pub mod story;
pub mod support;
pub mod upload;
pub mod webhook;

use std::{path::PathBuf, sync::Arc};

pub(crate) use self::error::chain;
pub use self::{
    error::{ErrorClass, ServiceError},
    scope::{Hidden, Scope},
};
pub(crate) use crate::policy::instant;
use crate::{
    access_log::AccessLog,
    clock::Clock,
    limits::Limits,
    measures::Measures,
    outlet::Outlet,
    policy::{
        AloneLimits, RolloutRules, Silence, Tiers, delta::DeltaRules, exposure::csaf::Publisher,
    },
    store::{AuditEntry, BlobStore, MetaStore, Role},
};
use keys::OnlineKeys;
use sending::AccelLocation;

/// How often a change is tried again when something else has changed the same in the meantime.
const ATTEMPTS_MAX: usize = 5;

/// The outcome of a use case.
pub type ServiceResult<T> = Result<T, ServiceError>;

/// Everything that the use cases need.
pub struct Service {
    meta: Arc<dyn MetaStore>,
    blobs: Arc<dyn BlobStore>,
    keys: OnlineKeys,
    clock: Clock,
    tiers: Tiers,
    limits: Limits,
    uploads: upload::Uploads,
    compressed: compressed::CompressedFiles,
    inspector: publish::Inspector,
    reading_ahead: publish::ReadingAhead,
    allocations: seats::Allocations,
    answers: answer::Answers,
    published_products: standing::PublishedProducts,
    silence: Silence,
    denials: denial::Denials,
    measures: Arc<Measures>,
    outlet: Option<Arc<Outlet>>,
    rollouts: RolloutRules,
    alone: AloneLimits,
    actions_ordered: tokio::sync::Notify,
    paces: pace::Paces,
    publisher: Option<Publisher>,
    deltas: delta::Deltas,
    accel: Option<AccelLocation>,
    access_log: Option<Arc<AccessLog>>,
}

impl Service {
    /// Use cases over these stores. Unfinished uploads are kept in `uploads_dir`.
    pub fn new(
        meta: Arc<dyn MetaStore>,
        blobs: Arc<dyn BlobStore>,
        keys: OnlineKeys,
        clock: Clock,
        tiers: Tiers,
        limits: Limits,
        uploads_dir: PathBuf,
    ) -> Self {
        let uploads = upload::Uploads::new(uploads_dir);
        let inspector = publish::Inspector::start();
        let reading_ahead = publish::ReadingAhead::start();
        let compressed = compressed::CompressedFiles::new(limits.compressed_bytes_max);
        let allocations = seats::Allocations::new(limits.allocations_max);
        let answers = answer::Answers::new(limits.answers_bytes_max);
        let silence = Silence::default();
        let measures = Arc::default();
        let paces = pace::Paces::new(&limits);
        Self {
            meta,
            blobs,
            keys,
            clock,
            tiers,
            limits,
            uploads,
            compressed,
            inspector,
            reading_ahead,
            allocations,
            answers,
            published_products: standing::PublishedProducts::default(),
            silence,
            denials: denial::Denials::default(),
            measures,
            outlet: None,
            rollouts: RolloutRules::default(),
            alone: AloneLimits::default(),
            actions_ordered: tokio::sync::Notify::new(),
            paces,
            publisher: None,
            deltas: delta::Deltas::new(DeltaRules::default(), "server".to_owned()),
            accel: None,
            access_log: None,
        }
    }

    /// The same where a machine gives its seat up after `silence`.
    #[must_use]
    pub fn with_silence(self, silence: Silence) -> Self {
        Self { silence, ..self }
    }

    /// The same where what is counted is counted in `measures`, by the store as well.
    #[must_use]
    pub fn with_measures(self, measures: Arc<Measures>) -> Self {
        Self { measures, ..self }
    }

    /// The same where notifications go out by `outlet`; without one there are no endpoints.
    #[must_use]
    pub fn with_outlet(self, outlet: Outlet) -> Self {
        Self { outlet: Some(Arc::new(outlet)), ..self }
    }

    /// What is counted.
    pub fn measures(&self) -> &Measures {
        &self.measures
    }

    /// The same where releases spread by `rollouts` of which nobody says anything else.
    #[must_use]
    pub fn with_rollouts(self, rollouts: RolloutRules) -> Self {
        Self { rollouts, ..self }
    }

    /// The same where one person may touch so many machines alone.
    #[must_use]
    pub fn with_alone(self, alone: AloneLimits) -> Self {
        Self { alone, ..self }
    }

    /// The same where documents on advisories are published by `publisher`; without one there are none.
    #[must_use]
    pub fn with_publisher(self, publisher: Option<Publisher>) -> Self {
        Self { publisher, ..self }
    }

    /// The same where deltas may cost so much, and are claimed by the name `holder`, which no other server
    /// on the same records has.
    #[must_use]
    pub fn with_deltas(self, rules: DeltaRules, holder: String) -> Self {
        Self { deltas: delta::Deltas::new(rules, holder), ..self }
    }

    /// The same where the nginx in front sends artifacts and deltas, from this location of its.
    #[must_use]
    pub fn with_accel(self, accel: Option<AccelLocation>) -> Self {
        Self { accel, ..self }
    }

    /// The same where requests are noted in `log`; without one they are not.
    #[must_use]
    pub fn with_access_log(self, access_log: Option<Arc<AccessLog>>) -> Self {
        Self { access_log, ..self }
    }

    /// Where requests are noted.
    pub fn access_log(&self) -> Option<&Arc<AccessLog>> {
        self.access_log.as_ref()
    }

    /// The limits in force.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The time by the server's clock.
    pub fn now(&self) -> jiff::Timestamp {
        self.clock.now()
    }

    /// Whether requests can be served now.
    pub async fn ready(&self) -> ServiceResult<()> {
        Ok(self.meta.ready().await?)
    }

    /// The audit entry of a change that is about to be made. It goes to the log as well, where
    /// whoever watches the server looks first.
    fn audit(&self, actor: &Actor, action: &str, subject: impl std::fmt::Display) -> AuditEntry {
        tracing::info!(action, actor = actor.id, address = actor.address, %subject, "audit");
        AuditEntry {
            at: self.clock.now(),
            actor: actor.id.clone(),
            address: actor.address.clone(),
            action: action.to_owned(),
            subject: subject.to_string(),
            reason: None,
            ticket: None,
            detail: String::new(),
            before: None,
        }
    }
}

/// Who asks, after authentication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// The token's identifier and label, or `server`.
    pub id: String,
    /// What the token allows.
    pub role: Role,
    /// Whose affairs they may see.
    pub scope: Scope,
    /// From where.
    pub address: Option<String>,
}

#[cfg(test)]
pub(crate) mod tests;
