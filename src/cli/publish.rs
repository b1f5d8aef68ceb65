mod artifact;

use std::{
    fs,
    num::NonZeroU64,
    path::{Path, PathBuf},
};

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use mainstay_client::{
    format::{
        AdvisoryId, Channel, ChannelName, Lines, Platform, PrivateChannelName, ProductName,
        RELEASE_FORMAT, ReleaseManifest, Severity, Tag, Version,
        wire::{PublishResponse, PublishingState},
    },
    tuf::{self, Header, Signer, Targets, TrustedRepository},
};

use self::artifact::{CompressionArgs, PackedArtifact};
use super::{
    CliError, CliResult, Connection, Output, ServerArgs,
    keys::KeyArgs,
    release::sbom::SbomFile,
    rollout::{self, WishArgs},
    trust::{Proposal, proposed},
    vendor_trust::VendorTrust,
};
use crate::{
    clock::Clock,
    limits::Limits,
    service::{
        publish::PublishRequest,
        rollout::{PlanRollout, PlannedRelease, RolloutPlan, RolloutView},
    },
};

/// How long a channel is good for after a publish.
pub(super) const CHANNEL_LIFETIME: SignedDuration = SignedDuration::from_hours(90 * 24);

/// Publish a release: pack, compress, sign here; upload; commit in one step.
#[derive(Debug, Args)]
pub(super) struct Publish {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    keys: KeyArgs,
    #[command(flatten)]
    compression: CompressionArgs,
    /// Whose release it is.
    #[arg(long, value_name = "NAME")]
    product: ProductName,
    /// The version.
    #[arg(long)]
    version: Version,
    /// The kind of the release: bugfix, security, feature or major.
    #[arg(long)]
    channel: Channel,
    /// Publish it as a custom build in this private channel (`mainstay channel create`), for its
    /// customer alone. Its kind is bugfix or security, and its version is X.Y.Z-NAME.N, which comes
    /// before X.Y.Z: for example 2.4.8-custom.1, built upon 2.4.7.
    #[arg(long, value_name = "NAME")]
    private_channel: Option<PrivateChannelName>,
    /// What it runs on, and the directory to pack: linux-x86_64=DIR. Give it again for each
    /// further platform.
    #[arg(long, required = true, value_parser = parse_platform, value_name = "PLATFORM=DIR")]
    platform: Vec<(Platform, PathBuf)>,
    /// The file with the release notes.
    #[arg(long, value_name = "FILE")]
    notes: PathBuf,
    /// How much the release matters: critical, major or minor.
    #[arg(long, default_value = "minor")]
    severity: Severity,
    /// An advisory that it fixes, for example CVE-2026-1234. Give it again for each further one.
    #[arg(long, value_name = "ID")]
    advisory: Vec<AdvisoryId>,
    /// The lowest version that can be updated to it in one step.
    #[arg(long, value_name = "VERSION")]
    min_from: Option<Version>,
    /// The lowest version that a rollback may reach from now on.
    #[arg(long, value_name = "VERSION")]
    floor: Option<Version>,
    /// An add-on that a contract must have. Give it again for each further one.
    #[arg(long, value_name = "TAG")]
    requires_addon: Vec<Tag>,
    /// An audience of which a contract must have one. Give it again for each further one.
    #[arg(long, value_name = "TAG")]
    audience: Vec<Tag>,
    /// Give a security release to every owner of its line, in term or not.
    #[arg(long)]
    courtesy: bool,
    /// From when on a contract must have run to cover a bugfix or security release [default: now].
    #[arg(long, value_name = "TIME")]
    effective_at: Option<Timestamp>,
    /// A release key that signs the channel. Give it again for each further one.
    #[arg(long, default_value = "release", value_name = "KEY")]
    release_key: Vec<String>,
    /// Upload everything and write what is to be signed into this file, for others to sign too:
    /// where several release keys must sign, and no computer has them all. `mainstay trust submit`
    /// publishes it, and is told how it spreads: nobody signs that, so it is not in the file.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["waves", "immediately", "file"])]
    propose: Option<PathBuf>,
    /// A bill of materials to attach once it is published: CycloneDX JSON. No release key signs it.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["propose", "plan"])]
    sbom: Option<PathBuf>,
    #[command(flatten)]
    wish: WishArgs,
    /// Say how many machines of which customers would get it when, and do nothing. What the trees require
    /// of machines is not looked at.
    #[arg(long, conflicts_with = "propose")]
    plan: bool,
}

fn parse_platform(text: &str) -> Result<(Platform, PathBuf), String> {
    let (platform, dir) = text
        .split_once('=')
        .ok_or_else(|| "expected PLATFORM=DIR, for example linux-x86_64=build/linux".to_owned())?;
    Ok((platform.parse().map_err(|error| format!("{error}"))?, dir.into()))
}

/// A release that is uploaded and signed, and not published yet.
struct Candidate {
    state: PublishingState,
    manifest: String,
    channel: String,
}

/// What the quickstart says of a release.
pub(super) struct DemoRelease<'a> {
    pub(super) product: ProductName,
    pub(super) version: Version,
    pub(super) channel: Channel,
    pub(super) severity: Severity,
    pub(super) advisories: Vec<AdvisoryId>,
    pub(super) tree: &'a Path,
    pub(super) notes: &'a Path,
}

impl Publish {
    pub(super) fn demo(server: &ServerArgs, keys: KeyArgs, release: DemoRelease<'_>) -> Self {
        Self {
            server: server.clone(),
            keys,
            compression: CompressionArgs::default(),
            product: release.product,
            version: release.version,
            channel: release.channel,
            private_channel: None,
            platform: vec![(Platform::of_this_program(), release.tree.to_owned())],
            notes: release.notes.to_owned(),
            severity: release.severity,
            advisory: release.advisories,
            min_from: None,
            floor: None,
            requires_addon: Vec::new(),
            audience: Vec::new(),
            courtesy: false,
            effective_at: None,
            release_key: vec!["release".to_owned()],
            propose: None,
            sbom: None,
            wish: WishArgs::immediately(),
            plan: false,
        }
    }

    pub(super) fn run(self, output: Output) -> CliResult {
        let server = self.server.connect()?;
        let rollouts = format!("/v1/products/{}/rollouts/{}", self.product, self.version);
        if self.plan {
            let request = self.plan_request()?;
            let plan: RolloutPlan = server.post(&format!("{rollouts}/plan"), &request)?;
            return output.answer(&plan, rollout::plan);
        }
        if let Some(file) = &self.propose {
            let candidate = self.candidate(&server, output)?;
            let documents = [(self.role().to_string(), candidate.channel)].into();
            let manifest = Some(candidate.manifest);
            let proposal =
                Proposal::new(self.product.clone(), &candidate.state, documents, manifest);
            return proposed(&proposal, file, &self.keys, output);
        }
        // What can be wrong with the file is said before hours of packing.
        let sbom = self.sbom.as_deref().map(SbomFile::read).transpose()?;
        let published = self.publish(&server, output)?;
        if let Some(sbom) = sbom {
            output.say("It is published; its bill of materials follows.");
            sbom.attach(&server, &self.product, &self.version)?;
        }
        output.answer(&published, |published| {
            let PublishResponse { product, version, revision } = published;
            let done = format!("{product} {version} is published (revision {revision}).");
            // It is published, whether or not it can be said how it spreads.
            let view = server.get(&rollouts).map(|view: RolloutView| rollout::spreads(&view));
            view.map_or(done.clone(), |spreads| format!("{done} {spreads}"))
        })
    }

    /// The release as far as it can be known before it is packed.
    fn plan_request(&self) -> Result<PlanRollout, CliError> {
        let release = PlannedRelease {
            channel: self.channel,
            private_channel: self.private_channel.clone(),
            severity: self.severity,
            platforms: self.platform.iter().map(|(platform, _)| platform.clone()).collect(),
            advisories: self.advisory.iter().cloned().collect(),
            requires_addons: self.requires_addon.iter().cloned().collect(),
            audience: self.audience.iter().cloned().collect(),
            courtesy: self.courtesy,
            min_from: self.min_from.clone(),
            effective_at: self.effective_at,
        };
        Ok(PlanRollout { rollout: self.wish.read()?, release: Some(release) })
    }

    pub(super) fn publish(
        &self,
        server: &Connection,
        output: Output,
    ) -> Result<PublishResponse, CliError> {
        // What can be wrong with the file is said before hours of packing.
        let rollout = self.wish.read()?;
        let Candidate { state, manifest, channel } = self.candidate(server, output)?;
        let request = PublishRequest {
            expected_revision: state.revision,
            manifest,
            channel_metadata: channel,
            rollout,
        };
        server.post(&format!("/v1/products/{}/releases", self.product), &request)
    }

    /// The targets role that is to list the release.
    fn role(&self) -> ChannelName {
        match &self.private_channel {
            Some(private) => private.clone().into(),
            None => self.channel.into(),
        }
    }

    /// Packs, signs and uploads everything.
    fn candidate(&self, server: &Connection, output: Output) -> Result<Candidate, CliError> {
        // What can be wrong without reading a byte of the trees is said first.
        if !self.channel.admits(&self.version) {
            return Err(CliError::Input(format!(
                "version {} does not fit channel {}: expected {}",
                self.version,
                self.channel,
                self.channel.version_form()
            )));
        }
        let notes = fs::read_to_string(&self.notes)
            .map_err(|source| CliError::file("read", &self.notes, source))?;
        let release_keys = self
            .release_key
            .iter()
            .map(|name| self.keys.private(name))
            .collect::<Result<Vec<_>, _>>()?;
        let path = format!("/v1/products/{}/publishing", self.product);
        let state: PublishingState = server.get(&path)?;
        let trust = VendorTrust::new(&self.keys.keys, &self.product);
        let mut view = trust.verify(&state, Clock::system().now())?;
        self.require_delegated(&view.repository, &release_keys)?;
        self.require_room(view.channels.get(&self.role()), output)?;
        let bare = self.manifest(String::new(), state.now, &[]);
        let problems = bare.custom_build_problems();
        if !problems.is_empty() {
            return Err(CliError::Unsound(problems));
        }

        let mut artifacts = Vec::new();
        for (platform, dir) in &self.platform {
            if artifacts.iter().any(|(known, _)| known == platform) {
                return Err(CliError::Input(format!("platform {platform} is given twice")));
            }
            let packed = PackedArtifact::pack(platform, dir, &self.compression, output)?;
            artifacts.push((platform.clone(), packed));
        }
        let manifest = self.manifest(notes, state.now, &artifacts);
        let problems = manifest.problems();
        if !problems.is_empty() {
            return Err(CliError::Unsound(problems));
        }
        let manifest_bytes = serde_json::to_vec(&manifest)?;
        let previous = view.channels.remove(&self.role());
        let channel = Self::channel_metadata(previous, &manifest, &manifest_bytes, state.now)?;
        let signers: Vec<_> = release_keys.iter().map(|key| key as &dyn Signer).collect();
        let channel = tuf::sign(&channel, &signers)?;

        for (platform, packed) in &mut artifacts {
            packed.upload(platform, server, output)?;
        }
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(Candidate { state, manifest: text(&manifest_bytes), channel: text(&channel) })
    }

    /// A key that may not sign the channel is noticed before hours of packing.
    fn require_delegated(
        &self,
        trusted: &TrustedRepository,
        keys: &[Box<dyn Signer>],
    ) -> Result<(), CliError> {
        let delegated = trusted
            .targets()
            .delegations
            .as_ref()
            .and_then(|delegations| delegations.role(self.role().as_str()));
        let Some(role) = delegated else {
            return Err(CliError::Input(format!("the product has no channel {}", self.role())));
        };
        for (name, key) in self.release_key.iter().zip(keys) {
            let id = key.public().id();
            if !role.keys.keyids.contains(&id) {
                return Err(CliError::Input(format!(
                    "key {name} ({id}) may not sign channel {}: the product's targets name other \
                     keys",
                    self.role()
                )));
            }
        }
        Ok(())
    }

    /// A full channel is noticed before hours of packing, and a nearly full one in time.
    fn require_room(&self, channel: Option<&Targets>, output: Output) -> CliResult {
        let Limits { channel_targets_max: most, channel_targets_warned, .. } = Limits::DEFAULT;
        let listed = channel.map_or(0, |channel| channel.targets.len());
        let after = listed + 1 + self.platform.len();
        let way_out = match &self.private_channel {
            Some(_) => "create another private channel for the customer".to_owned(),
            None => format!(
                "retire old releases with `mainstay release retire --product {} --before VERSION`",
                self.product
            ),
        };
        let retire = format!(
            "channel {} would list {after} targets, of {most} at most: {way_out}",
            self.role()
        );
        if after > most {
            return Err(CliError::Input(retire));
        }
        if after >= channel_targets_warned {
            output.say(&format!("Warning: {retire}."));
        }
        Ok(())
    }

    fn manifest(
        &self,
        notes: String,
        now: Timestamp,
        artifacts: &[(Platform, PackedArtifact)],
    ) -> ReleaseManifest {
        ReleaseManifest {
            format: RELEASE_FORMAT,
            product: self.product.clone(),
            version: self.version.clone(),
            channel: self.channel,
            private_channel: self.private_channel.clone(),
            severity: self.severity,
            published_at: now,
            effective_at: self.effective_at.unwrap_or(now),
            advisories: self.advisory.clone(),
            requires_addons: self.requires_addon.clone(),
            audience: self.audience.clone(),
            courtesy: self.courtesy,
            min_from: self.min_from.clone(),
            floor: self.floor.clone(),
            notes,
            artifacts: artifacts
                .iter()
                .map(|(platform, packed)| (platform.clone(), packed.artifact().clone()))
                .collect(),
        }
    }

    /// The channel with this release added.
    fn channel_metadata(
        previous: Option<Targets>,
        manifest: &ReleaseManifest,
        manifest_bytes: &[u8],
        now: Timestamp,
    ) -> Result<Targets, CliError> {
        let version = previous
            .as_ref()
            .map_or(Some(NonZeroU64::MIN), |previous| previous.header.version.checked_add(1));
        let version =
            version.ok_or_else(|| CliError::Input("the channel's version has run over".into()))?;
        let expires = now
            .checked_add(CHANNEL_LIFETIME)
            .map_err(|error| CliError::Input(error.to_string()))?;
        let mut targets = previous.map(|previous| previous.targets).unwrap_or_default();
        targets.extend(manifest.targets(manifest_bytes)?);
        Ok(Targets {
            header: Header::of::<Targets>(manifest.product.clone(), version, expires),
            targets,
            delegations: None,
            lines: Lines::default(),
        })
    }
}
