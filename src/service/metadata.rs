//! What the vendor signs besides releases: new roots, new top-level targets, and channels for a
//! longer time or by other keys. All of it becomes visible in one step, and only if a client that
//! begins at the first root would take it.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU64,
};

use mainstay_client::{
    format::{
        ChannelName, LineName, Lines, ProductName,
        wire::{AmendMetadataRequest, AmendMetadataResponse},
    },
    tuf::{Envelope, Metadata, Root, Targets, TrustedRepository},
};
use serde_json::{Map, Value, json};

use super::{
    ATTEMPTS_MAX, Actor, Service, ServiceError, ServiceResult,
    authoring::authoring_problems,
    delegation::delegation_problems,
    publish::require_revision,
    repository::{Draft, SignedRepository},
};
use crate::store::{ProductRecord, Repository, StoreError};

impl Service {
    /// Makes newly signed metadata visible, or refuses it with everything that is wrong with it.
    pub async fn amend_metadata(
        &self,
        actor: &Actor,
        name: &ProductName,
        request: AmendMetadataRequest,
    ) -> ServiceResult<AmendMetadataResponse> {
        let product = self.meta.product(name).await?;
        require_revision(&product, request.expected_revision)?;
        let present = self.load_repository(&product).await?;
        let mut problems = step_problems(&present, &request)?;
        let amended = amend(present, &request);
        let root: Root = parse("root", amended.roots.last().map(Vec::as_slice))?;
        let targets: Targets = parse("targets", Some(&amended.targets))?;
        let redated = changed_lines(&product.repository.lines, &targets.lines);
        problems.extend(self.document_problems(&request)?);
        problems.extend(delegation_problems(&root, &targets, &self.keys));
        refuse_if_any(name, problems)?;
        let revision = request.expected_revision;
        let mut attempts = 0;
        loop {
            // The server may have signed its own part anew in the meantime.
            let product = self.meta.product(name).await?;
            require_revision(&product, revision)?;
            let signed = self.sign_amended(&product, &request).await?;
            refuse_if_any(name, lookup_problems(&self.verify_amended(name, &signed, &request)?))?;
            let (repository, files) = self.store_repository(signed).await?;
            let mut audit = self.audit(actor, "metadata.amend", name);
            audit.detail = summary(&request, &redated);
            audit.before = Some(replaced(&product, &request));
            attempts += 1;
            match self.meta.amend_repository(name, revision, repository, files, audit).await {
                Err(StoreError::Conflict(_)) if attempts < ATTEMPTS_MAX => {}
                Err(error) => return Err(error.into()),
                Ok(()) => {
                    let (product, revision) = (name.clone(), revision + 1);
                    return Ok(AmendMetadataResponse { product, revision });
                }
            }
        }
    }

    /// Where the vendor's own programs would not have signed.
    fn document_problems(&self, request: &AmendMetadataRequest) -> ServiceResult<Vec<String>> {
        let (now, limits) = (self.clock.now(), self.limits());
        let mut problems = Vec::new();
        if let Some(text) = &request.root {
            let root = Envelope::parse("root", text.as_bytes())?;
            let lifetime_max = limits.offline_lifetime_max;
            problems.extend(authoring_problems::<Root>("root", &root, now, lifetime_max));
        }
        if let Some(text) = &request.targets {
            let targets = Envelope::parse("targets", text.as_bytes())?;
            let lifetime_max = limits.offline_lifetime_max;
            problems.extend(authoring_problems::<Targets>("targets", &targets, now, lifetime_max));
        }
        problems.extend(self.channel_problems(&request.channels)?);
        Ok(problems)
    }

    /// Where the vendor's own programs would not have signed these channels.
    pub(super) fn channel_problems(
        &self,
        channels: &BTreeMap<ChannelName, String>,
    ) -> ServiceResult<Vec<String>> {
        let (now, lifetime_max) = (self.clock.now(), self.limits().channel_lifetime_max);
        let mut problems = Vec::new();
        for (name, text) in channels {
            let channel = Envelope::parse(name.as_str(), text.as_bytes())?;
            let what = format!("channel {name}");
            problems.extend(authoring_problems::<Targets>(&what, &channel, now, lifetime_max));
        }
        Ok(problems)
    }

    async fn sign_amended(
        &self,
        product: &ProductRecord,
        request: &AmendMetadataRequest,
    ) -> ServiceResult<SignedRepository> {
        let draft = amend(self.load_repository(product).await?, request);
        let Repository { snapshot, timestamp, .. } = &product.repository;
        self.sign_online(&product.name, draft, snapshot.version, timestamp.version)
    }

    fn verify_amended(
        &self,
        product: &ProductName,
        signed: &SignedRepository,
        request: &AmendMetadataRequest,
    ) -> ServiceResult<TrustedRepository> {
        let channels: Vec<&ChannelName> = request.channels.keys().collect();
        Ok(signed.verify(product, self.clock.now(), &channels)?)
    }
}

fn refuse_if_any(name: &ProductName, problems: Vec<String>) -> ServiceResult<()> {
    if problems.is_empty() {
        return Ok(());
    }
    let message = format!("the metadata of {name} is refused; nothing was changed");
    Err(ServiceError::refused("METADATA_REFUSED", message, problems))
}

fn parse<M: Metadata>(name: &str, bytes: Option<&[u8]>) -> ServiceResult<M> {
    Ok(Envelope::parse(name, bytes.unwrap_or_default())?.document()?)
}

/// `present` with what is signed anew.
fn amend(mut present: Draft, request: &AmendMetadataRequest) -> Draft {
    present.roots.extend(request.root.clone().map(String::into_bytes));
    if let Some(targets) = &request.targets {
        present.targets = targets.clone().into_bytes();
    }
    for (channel, text) in &request.channels {
        present.channels.insert(channel.clone(), text.clone().into_bytes());
    }
    present
}

/// Where the request is more or less than one step from what is present. The root's step is the
/// client's to judge.
fn step_problems(present: &Draft, request: &AmendMetadataRequest) -> ServiceResult<Vec<String>> {
    let mut problems = Vec::new();
    if request.root.is_none() && request.targets.is_none() && request.channels.is_empty() {
        problems.push("nothing is signed anew: expected a root, targets or a channel".to_owned());
    }
    if let Some(text) = &request.targets {
        let before: Targets = parse("targets", Some(&present.targets))?;
        let after: Targets = parse("targets", Some(text.as_bytes()))?;
        problems.extend(version_problem("targets", &before, &after));
        if before.targets != after.targets {
            problems.push("targets list other targets of their own than before".to_owned());
        }
    }
    for (channel, text) in &request.channels {
        let Some(bytes) = present.channels.get(channel) else {
            problems.push(format!("channel {channel} has no release: publish one first"));
            continue;
        };
        let before: Targets = parse(channel.as_str(), Some(bytes))?;
        let after: Targets = parse(channel.as_str(), Some(text.as_bytes()))?;
        problems.extend(version_problem(&format!("channel {channel}"), &before, &after));
        let problem = after.channel_problem();
        problems.extend(problem.map(|problem| format!("channel {channel} {problem}")));
        if before.targets != after.targets {
            problems.push(format!(
                "channel {channel} lists other targets than before: a publish is the way to \
                 change them"
            ));
        }
    }
    Ok(problems)
}

fn version_problem(what: &str, before: &Targets, after: &Targets) -> Option<String> {
    let (before, after) = (before.header.version, after.header.version);
    let expected = before.checked_add(1).unwrap_or(NonZeroU64::MAX);
    (after != expected).then(|| format!("{what} has version {after}: expected {expected}"))
}

/// What a client would no longer find, because of another order of the delegations or other paths.
pub(super) fn lookup_problems(repository: &TrustedRepository) -> Vec<String> {
    let mut problems = Vec::new();
    for (channel, targets) in repository.roles() {
        for (path, target) in &targets.targets {
            let found = path.parse().ok().and_then(|path| repository.target(&path).ok());
            if found != Some(target) {
                problems.push(format!(
                    "target {path} of channel {channel} would not be found any more, or in another \
                     role: keep the order and the paths of the delegations"
                ));
            }
        }
    }
    problems
}

/// Version and digest of each document that the request takes the place of.
fn replaced(product: &ProductRecord, request: &AmendMetadataRequest) -> Value {
    let Repository { root, targets, channels, .. } = &product.repository;
    let top =
        [("root", request.root.as_ref(), root), ("targets", request.targets.as_ref(), targets)];
    let top = top.into_iter().filter(|(_, new, _)| new.is_some());
    let top = top.map(|(name, _, file)| (name.to_owned(), file));
    let signed_anew = request.channels.keys();
    let channels = signed_anew.filter_map(|name| Some((name.to_string(), channels.get(name)?)));
    let described = top.chain(channels).map(|(name, file)| {
        (name, json!({ "version": file.version, "sha256": file.sha256.to_string() }))
    });
    Value::Object(described.collect::<Map<_, _>>())
}

/// The lines of which a date is another.
fn changed_lines(present: &Lines, next: &Lines) -> BTreeSet<LineName> {
    let lines = present.iter().chain(next.iter()).map(|(line, _)| line);
    lines.filter(|line| present.dates(*line) != next.dates(*line)).collect()
}

fn summary(request: &AmendMetadataRequest, redated: &BTreeSet<LineName>) -> String {
    let named = [("root", request.root.is_some()), ("targets", request.targets.is_some())];
    let top = named.into_iter().filter(|(_, is_new)| *is_new).map(|(name, _)| name.to_owned());
    let channels = request.channels.keys().map(|channel| format!("channel {channel}"));
    let lines = redated.iter().map(|line| format!("dates of line {line}"));
    format!("signed anew: {}", top.chain(channels).chain(lines).collect::<Vec<_>>().join(", "))
}
