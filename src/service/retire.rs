//! The retirement of releases: they move from their channels to the archive, in one step, and only
//! if a client that begins at the first root would take what is left.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU64,
};

use mainstay_client::{
    format::{
        ChannelName, ProductName, Version,
        wire::{RetireRequest, RetireResponse},
    },
    tuf::{Envelope, Targets},
};

use super::{
    ATTEMPTS_MAX, Actor, Service, ServiceError, ServiceResult, metadata::lookup_problems,
    publish::require_revision, repository::SignedRepository,
};
use crate::{
    policy::retirement,
    store::{ProductRecord, ReleaseRecord, Repository, Retirement, StoreError},
};

/// So many versions are named in the audit trail; the releases themselves say when they were
/// retired.
const VERSIONS_NAMED_MAX: usize = 50;

impl Service {
    /// Retires releases, or refuses to with everything that is in the way.
    pub async fn retire(
        &self,
        actor: &Actor,
        name: &ProductName,
        request: RetireRequest,
    ) -> ServiceResult<RetireResponse> {
        let RetireRequest { expected_revision, versions, roles } = request;
        let product = self.meta.product(name).await?;
        require_revision(&product, expected_revision)?;
        let draft = self.load_repository(&product).await?;
        let present = draft
            .channels
            .iter()
            .map(|(role, bytes)| Ok((role.clone(), parse(role, bytes)?)))
            .collect::<ServiceResult<BTreeMap<_, _>>>()?;
        let next = roles
            .iter()
            .map(|(role, text)| Ok((role.clone(), parse(role, text.as_bytes())?)))
            .collect::<ServiceResult<BTreeMap<_, _>>>()?;
        let ended = self.private_channels_for(&product, None).await?.ended;
        let mut releases: Vec<_> =
            self.meta.releases(name).await?.iter().map(ReleaseRecord::listed).collect();
        retirement::end_builds(&mut releases, &ended);
        let obstacles = retirement::obstacles(&releases, &versions).into_iter();
        let mut problems: Vec<_> = obstacles.map(|obstacle| obstacle.problem).collect();
        if versions.is_empty() {
            problems.push("no version is named: expected at least one".to_owned());
        }
        problems.extend(role_problems(&present, &next, &versions));
        problems.extend(self.channel_problems(&roles)?);
        let names: Vec<&ChannelName> = roles.keys().collect();
        let signed = self.sign_with_roles(&product, &roles).await?;
        match signed.verify(name, self.clock.now(), &names) {
            Ok(repository) => problems.extend(lookup_problems(&repository)),
            Err(refusal) => problems.push(refusal.to_string()),
        }
        if !problems.is_empty() {
            let message = format!("the retirement is refused; nothing of {name} was changed");
            return Err(ServiceError::refused("RETIREMENT_REFUSED", message, problems));
        }
        self.commit_retirement(actor, name, expected_revision, &versions, &roles).await?;
        Ok(RetireResponse { product: name.clone(), versions, revision: expected_revision + 1 })
    }

    /// Makes a checked retirement visible, upon whatever the server has signed of its own in the
    /// meantime.
    async fn commit_retirement(
        &self,
        actor: &Actor,
        name: &ProductName,
        expected_revision: u64,
        versions: &BTreeSet<Version>,
        roles: &BTreeMap<ChannelName, String>,
    ) -> ServiceResult<()> {
        let names: Vec<&ChannelName> = roles.keys().collect();
        let mut audit = self.audit(actor, "release.retire", name);
        audit.detail = summary(versions);
        let mut attempts = 0;
        loop {
            let product = self.meta.product(name).await?;
            require_revision(&product, expected_revision)?;
            let signed = self.sign_with_roles(&product, roles).await?;
            signed.verify(name, self.clock.now(), &names)?;
            let (repository, files) = self.store_repository(signed).await?;
            let (versions, at) = (versions.clone(), self.clock.now());
            let retirement = Retirement { versions, at, repository, files };
            attempts += 1;
            let retired =
                self.meta.retire_releases(name, expected_revision, retirement, audit.clone());
            match retired.await {
                Err(StoreError::Conflict(_)) if attempts < ATTEMPTS_MAX => {}
                other => return Ok(other?),
            }
        }
    }

    /// Signs the product's repository with `roles` replaced.
    async fn sign_with_roles(
        &self,
        product: &ProductRecord,
        roles: &BTreeMap<ChannelName, String>,
    ) -> ServiceResult<SignedRepository> {
        let mut draft = self.load_repository(product).await?;
        for (role, text) in roles {
            draft.channels.insert(role.clone(), text.clone().into_bytes());
        }
        let Repository { snapshot, timestamp, .. } = &product.repository;
        self.sign_online(&product.name, draft, snapshot.version, timestamp.version)
    }
}

/// The roles must be the present ones one step on, with exactly these releases moved.
fn role_problems(
    present: &BTreeMap<ChannelName, Targets>,
    next: &BTreeMap<ChannelName, Targets>,
    versions: &BTreeSet<Version>,
) -> Vec<String> {
    let mut problems = Vec::new();
    let mut expected = retirement::after_retiring(present, versions);
    for (role, targets) in next {
        let Some(expected) = expected.remove(role) else {
            problems.push(format!("role {role} lists none of the releases: expected it unchanged"));
            continue;
        };
        let version = present.get(role).map_or(0, |present| present.header.version.get());
        let (found, version) = (targets.header.version, NonZeroU64::new(version.saturating_add(1)));
        if Some(found) != version {
            let version = version.unwrap_or(NonZeroU64::MAX);
            problems.push(format!("role {role} has version {found}: expected {version}"));
        }
        let problem = targets.channel_problem();
        problems.extend(problem.map(|problem| format!("role {role} {problem}")));
        for (path, target) in &expected {
            if targets.targets.get(path) != Some(target) {
                problems.push(format!("role {role}: target {path} is missing or changed"));
            }
        }
        for path in targets.targets.keys().filter(|path| !expected.contains_key(*path)) {
            problems.push(format!("role {role}: target {path} does not belong there"));
        }
    }
    problems.extend(expected.keys().map(|role| format!("role {role} is missing")));
    problems
}

fn parse(role: &ChannelName, bytes: &[u8]) -> ServiceResult<Targets> {
    Ok(Envelope::parse(role.as_str(), bytes)?.document()?)
}

fn summary(versions: &BTreeSet<Version>) -> String {
    let mut named: Vec<_> =
        versions.iter().take(VERSIONS_NAMED_MAX).map(ToString::to_string).collect();
    let more = versions.len().saturating_sub(named.len());
    if more > 0 {
        named.push(format!("and {more} more"));
    }
    named.join(", ")
}
