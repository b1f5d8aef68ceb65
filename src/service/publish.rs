//! The commit of a release: everything that a client would check is checked here by the client's
//! own code, before anything becomes visible.

mod ahead;
mod artifact;
mod problems;

use mainstay_client::{
    format::{ChannelName, ProductName, ReleaseManifest, TargetFile, wire::PublishResponse},
    tuf::{Envelope, Limits as TufLimits, Targets, json},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::ahead::PackedPayload;
use self::problems::Candidate;
pub(super) use self::{
    ahead::{Reading, ReadingAhead},
    artifact::{Inspector, StreamReader},
};
use super::{
    ATTEMPTS_MAX, Actor, ErrorClass, Service, ServiceError, ServiceResult,
    authoring::authoring_problems, repository::SignedRepository, rollout,
};
use crate::{
    policy::{Release, RolloutWish, Status},
    store::{
        AuditEntry, ProductRecord, Publication, ReleaseRecord, Repository, RolloutRecord,
        StoreError, Word,
    },
};

/// `POST /v1/products/{product}/releases`: the commit of a release whose blobs are uploaded.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PublishRequest {
    /// The revision that the release was built upon.
    pub expected_revision: u64,
    /// The release manifest, byte for byte.
    pub manifest: String,
    /// The channel's signed targets role, byte for byte.
    pub channel_metadata: String,
    /// How it spreads.
    #[serde(default)]
    pub rollout: RolloutWish,
}

impl Service {
    /// Makes a release visible, or refuses it with everything that is wrong with it.
    pub async fn publish(
        &self,
        actor: &Actor,
        name: &ProductName,
        request: PublishRequest,
    ) -> ServiceResult<PublishResponse> {
        let product = self.meta.product(name).await?;
        require_revision(&product, request.expected_revision)?;
        rollout::require_sound(&request.rollout)?;
        let manifest = parse_manifest(&request.manifest)?;
        let channel = manifest.channel_name();
        let draft = self.load_repository(&product).await?;
        let previous =
            draft.channels.get(&channel).map(|bytes| parse_channel(bytes)).transpose()?;
        let next_envelope =
            Envelope::parse("channel metadata", request.channel_metadata.as_bytes())?;
        let next: Targets = next_envelope.document()?;
        let channel_metadata = request.channel_metadata.into_bytes();

        let releases = self.meta.releases(name).await?;
        let private_channels = self.meta.private_channels(name).await?;
        let candidate = Candidate {
            product: name,
            manifest: &manifest,
            manifest_bytes: request.manifest.as_bytes(),
            previous: previous.as_ref(),
            next: &next,
            releases: &releases,
            private_channels: &private_channels,
            now: self.clock.now(),
            limits: self.limits(),
        };
        let mut problems = candidate.problems();
        problems.extend(authoring_problems::<Targets>(
            &format!("channel {channel}"),
            &next_envelope,
            self.clock.now(),
            self.limits().channel_lifetime_max,
        ));
        let signed = self.sign_with_channel(&product, &channel, &channel_metadata).await?;
        match signed.verify(name, self.clock.now(), &[&channel]) {
            Ok(repository) => problems.extend(candidate.lookup_problems(&repository)),
            Err(refusal) => problems.push(refusal.to_string()),
        }
        // The artifacts are read only for a release that could be published otherwise: that is by
        // far the most work.
        if problems.is_empty() {
            problems.extend(self.artifact_problems(&manifest).await?);
        }
        if !problems.is_empty() {
            let message = format!("{name} {} is refused; nothing was published", manifest.version);
            return Err(ServiceError::refused("RELEASE_REFUSED", message, problems));
        }
        self.put_blob(request.manifest.as_bytes()).await?;
        let mut audit =
            self.audit(actor, "release.publish", format!("{name} {}", manifest.version));
        let (version, summary) = (manifest.version.clone(), summary(&manifest));
        let release = release_record(manifest, request.manifest.as_bytes());
        let (at, by) = (self.clock.now(), actor.id.clone());
        let word = Word { at, by, reason: "published".to_owned(), ticket: None };
        let wish = request.rollout;
        let wish = if releases.is_empty() { wish.of_first_release() } else { wish };
        let rollout = self.first_rollout(word, name, &release.release, wish)?;
        let spreads = rollout::detail(&rollout.rollout);
        audit.detail = format!("{summary}; rollout {spreads}");
        let candidate = (release, rollout);
        self.commit(name, request.expected_revision, candidate, &channel_metadata, audit).await?;
        Ok(PublishResponse {
            product: name.clone(),
            version,
            revision: request.expected_revision + 1,
        })
    }

    /// Signs the product's repository with `channel` replaced.
    async fn sign_with_channel(
        &self,
        product: &ProductRecord,
        channel: &ChannelName,
        metadata: &[u8],
    ) -> ServiceResult<SignedRepository> {
        let mut draft = self.load_repository(product).await?;
        draft.channels.insert(channel.clone(), metadata.to_vec());
        let Repository { snapshot, timestamp, .. } = &product.repository;
        self.sign_online(&product.name, draft, snapshot.version, timestamp.version)
    }

    /// Makes a checked release visible. Where the server has signed its own part anew in the
    /// meantime, which no publisher needs to know of, the commit is built upon that.
    async fn commit(
        &self,
        name: &ProductName,
        expected_revision: u64,
        (release, rollout): (ReleaseRecord, RolloutRecord),
        channel_metadata: &[u8],
        audit: AuditEntry,
    ) -> ServiceResult<()> {
        let channel = release.role();
        let mut attempts = 0;
        loop {
            let product = self.meta.product(name).await?;
            require_revision(&product, expected_revision)?;
            let signed = self.sign_with_channel(&product, &channel, channel_metadata).await?;
            signed.verify(name, self.clock.now(), &[&channel])?;
            let (repository, files) = self.store_repository(signed).await?;
            let rollout = Some(self.paused_where_stopped(rollout.clone()).await?);
            let release = release.clone();
            let publication = Publication { release, rollout, repository, files };
            attempts += 1;
            match self
                .meta
                .publish_release(name, expected_revision, publication, audit.clone())
                .await
            {
                Err(StoreError::Conflict(_)) if attempts < ATTEMPTS_MAX => {}
                other => {
                    other?;
                    self.deltas.look_anew();
                    return Ok(());
                }
            }
        }
    }
}

/// What of a release decides who is given it, for the audit trail.
fn summary(manifest: &ReleaseManifest) -> String {
    let ReleaseManifest { channel, severity, published_at, effective_at, .. } = manifest;
    let private = manifest.private_channel.as_ref();
    let private = private.map(|name| format!(", private channel {name}")).unwrap_or_default();
    let is_dated_back = effective_at < published_at;
    let dated_back = is_dated_back
        .then(|| format!(", published at {published_at} and dated back to {effective_at}"));
    format!("channel {channel}{private}, severity {severity}{}", dated_back.unwrap_or_default())
}

pub(super) fn require_revision(product: &ProductRecord, expected: u64) -> ServiceResult<()> {
    if product.revision == expected {
        return Ok(());
    }
    Err(ServiceError::new(
        ErrorClass::Conflict,
        "CONFLICT",
        format!(
            "this was built upon revision {expected} of {}, which is at revision {} now: somebody \
             else published; build it again upon the newest and retry",
            product.name, product.revision
        ),
    ))
}

fn parse_manifest(text: &str) -> ServiceResult<ReleaseManifest> {
    let refuse = |problem| {
        let message = "the release manifest is not one that a client reads";
        ServiceError::refused("RELEASE_REFUSED", message, vec![problem])
    };
    let bytes_max = TufLimits::DEFAULT.manifest_bytes_max;
    if text.len() as u64 > bytes_max {
        return Err(refuse(format!("{} bytes: expected at most {bytes_max}", text.len())));
    }
    json::from_slice(text.as_bytes()).map_err(|error| refuse(error.to_string()))
}

fn parse_channel(bytes: &[u8]) -> ServiceResult<Targets> {
    Ok(Envelope::parse("channel metadata", bytes)?.document()?)
}

fn release_record(manifest: ReleaseManifest, bytes: &[u8]) -> ReleaseRecord {
    let file = TargetFile {
        path: manifest.path(),
        length: bytes.len() as u64,
        sha256: mainstay_client::format::Digest::of(bytes),
    };
    ReleaseRecord {
        release: Release {
            version: manifest.version,
            channel: manifest.channel,
            private_channel: manifest.private_channel,
            severity: manifest.severity,
            published_at: manifest.published_at,
            effective_at: Some(manifest.effective_at),
            status: Status::Published,
            advisories: manifest.advisories.into_iter().collect(),
            requires_addons: manifest.requires_addons.into_iter().collect(),
            audience: manifest.audience.into_iter().collect(),
            courtesy: manifest.courtesy,
        },
        min_from: manifest.min_from,
        floor: manifest.floor,
        manifest: file,
        artifacts: manifest.artifacts,
        retired_at: None,
    }
}
