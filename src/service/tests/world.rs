use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU64,
    path::Path,
    sync::Arc,
};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use mainstay_client::{
    format::{
        Artifact, Channel, ChannelName, Digest, Lines, MachineName, Plan, Platform,
        PrivateChannelName, ProductName, RELEASE_FORMAT, ReleaseManifest, Severity, Version,
        wire::{
            AmendMetadataRequest, CheckRequest, CheckResponse, CreateProductRequest, EnrollRequest,
            EnrollResponse, Event, EventKind, KnownMetadata, PublishResponse, ReportRequest,
            RetireRequest,
        },
    },
    pack::{self, Compression, Compressor},
    tuf::{
        self, DIRECTOR, DelegatedRole, Delegations, Envelope, Header, Metadata, PathPattern,
        PublicKey, RoleKeys, Root, RootRoles, SignError, SigningKey, Targets,
    },
};

use crate::{
    clock::Clock,
    limits::Limits,
    policy::{
        Bridge, Contract, Fallback, RolloutRules, RolloutWish, State, Term, Tier, Tiers, retirement,
    },
    service::{
        Actor, Scope, Service, ServiceResult,
        contract::{CreateActivationKey, CreateContract, CreateCustomer},
        keys::OnlineKeys,
        private_channel::CreatePrivateChannel,
        publish::PublishRequest,
    },
    store::{BlobStore, MachineRecord, MetaStore, ObjectBlobs, Role, SledStore},
};

pub(crate) const PRODUCT: &str = "acme-db";

/// The instant `days` after the world began.
pub(crate) fn after_days(days: i64) -> Timestamp {
    let beginning: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    beginning.checked_add(SignedDuration::from_hours(24 * days)).unwrap()
}

pub(crate) fn version(text: &str) -> Version {
    text.parse().unwrap()
}

pub(crate) fn platform() -> Platform {
    "linux-x86_64".parse().unwrap()
}

/// A vendor with one product, and the stores of its server.
pub(crate) struct World {
    dir: tempfile::TempDir,
    pub(crate) meta: Arc<SledStore>,
    pub(crate) blobs: Arc<ObjectBlobs>,
    targets_key: SigningKey,
    release_key: SigningKey,
    root_key: SigningKey,
    /// How releases spread of which a test says nothing else: to everybody at once.
    pub(crate) rollouts: RolloutRules,
}

impl World {
    /// A world with the product [`PRODUCT`], created on day 0.
    pub(crate) async fn new() -> Self {
        Self::with_paths(|channel| format!("{channel}/*/*")).await
    }

    /// As [`World::new`], with other paths delegated to the channels.
    pub(crate) async fn with_paths(paths: impl Fn(Channel) -> String) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let world = Self {
            meta: Arc::new(SledStore::open(&dir.path().join("records")).unwrap()),
            blobs: Arc::new(ObjectBlobs::memory()),
            targets_key: SigningKey::from_seed(&[1; 32]),
            release_key: SigningKey::from_seed(&[2; 32]),
            root_key: SigningKey::from_seed(&[3; 32]),
            rollouts: at_once(),
            dir,
        };
        let service = world.on_day(0);
        let online = service.server_keys();
        let root_key = &world.root_key;
        let all =
            [&root_key.public(), &world.targets_key.public(), &online.timestamp, &online.snapshot]
                .map(|key| (key.id(), key.clone()));
        let root = Root {
            header: Header::of::<Root>(product(), NonZeroU64::MIN, after_days(3650)),
            consistent_snapshot: true,
            keys: all.into_iter().collect(),
            roles: RootRoles {
                root: RoleKeys::any_of([&root_key.public()]),
                timestamp: RoleKeys::any_of([&online.timestamp]),
                snapshot: RoleKeys::any_of([&online.snapshot]),
                targets: RoleKeys::any_of([&world.targets_key.public()]),
            },
        };
        let delegated = |name: &str, key: &PublicKey, paths: String| DelegatedRole {
            name: name.to_owned(),
            keys: RoleKeys::any_of([key]),
            terminating: true,
            paths: vec![PathPattern::try_from(paths).unwrap()].into(),
        };
        let release = world.release_key.public();
        let mut roles: Vec<_> = Channel::ALL
            .into_iter()
            .map(|channel| delegated(channel.as_str(), &release, paths(channel)))
            .collect();
        let archive = ChannelName::ARCHIVE;
        roles.push(delegated(archive, &release, format!("{archive}/*/*/*")));
        roles.push(delegated(DIRECTOR, &online.director, DIRECTOR.to_owned()));
        let targets = Targets {
            header: Header::of::<Targets>(product(), NonZeroU64::MIN, after_days(3650)),
            targets: BTreeMap::new(),
            delegations: Some(Delegations {
                keys: [release, online.director].map(|key| (key.id(), key)).into(),
                roles,
                succinct_roles: None,
            }),
            lines: Lines::default(),
        };
        let text = |bytes: Result<Vec<u8>, SignError>| String::from_utf8(bytes.unwrap()).unwrap();
        let request = CreateProductRequest {
            product: product(),
            root: text(tuf::sign(&root, &[root_key])),
            targets: text(tuf::sign(&targets, &[&world.targets_key])),
        };
        service.create_product(&actor(), request).await.unwrap();
        world
    }

    /// Where the server's online keys are.
    pub(crate) fn keys_dir(&self) -> std::path::PathBuf {
        self.dir.path().join("keys")
    }

    /// The use cases on day `days`.
    pub(crate) fn on_day(&self, days: i64) -> Service {
        self.at(after_days(days))
    }

    /// The service at an instant.
    pub(crate) fn at(&self, now: Timestamp) -> Service {
        self.by(Clock::fixed(now))
    }

    /// The service by a clock.
    pub(crate) fn by(&self, clock: Clock) -> Service {
        let keys = OnlineKeys::open_or_create(&self.keys_dir()).unwrap();
        let uploads = self.dir.path().join("uploads");
        Service::new(
            self.meta.clone(),
            self.blobs.clone(),
            keys,
            clock,
            Tiers::default(),
            Limits::DEFAULT,
            uploads,
        )
        .with_rollouts(self.rollouts.clone())
    }

    /// Publishes a release without anything special.
    pub(crate) async fn publish(
        &self,
        days: i64,
        channel: Channel,
        version: &str,
    ) -> ServiceResult<PublishResponse> {
        self.publish_as(days, channel, version, |_| {}).await
    }

    /// Publishes a release that `change` has had its way with.
    pub(crate) async fn publish_as(
        &self,
        days: i64,
        channel: Channel,
        text: &str,
        change: impl FnOnce(&mut ReleaseManifest),
    ) -> ServiceResult<PublishResponse> {
        self.publish_spreading(days, channel, text, RolloutWish::default(), change).await
    }

    /// Publishes a release that `change` has had its way with, and that spreads as is wished.
    pub(crate) async fn publish_spreading(
        &self,
        days: i64,
        channel: Channel,
        text: &str,
        rollout: RolloutWish,
        change: impl FnOnce(&mut ReleaseManifest),
    ) -> ServiceResult<PublishResponse> {
        let service = self.on_day(days);
        let mut manifest = ReleaseManifest {
            format: RELEASE_FORMAT,
            product: product(),
            version: version(text),
            channel,
            private_channel: None,
            severity: Severity::Minor,
            published_at: after_days(days),
            effective_at: after_days(days),
            advisories: Vec::new(),
            requires_addons: Vec::new(),
            audience: Vec::new(),
            courtesy: false,
            min_from: None,
            floor: None,
            notes: "Notes.".to_owned(),
            artifacts: BTreeMap::from([(platform(), self.artifact(text).await)]),
        };
        change(&mut manifest);
        let bytes = serde_json::to_vec(&manifest).unwrap();
        let state = service.publishing_state(&product()).await?;
        let previous: Option<Targets> = state
            .metadata
            .get(&format!("{}.json", manifest.channel_name()))
            .map(|text| Envelope::parse("channel", text.as_bytes()).unwrap().document().unwrap());
        let next = previous.as_ref().map_or(1, |previous| previous.header.version.get() + 1);
        let mut targets = previous.map(|previous| previous.targets).unwrap_or_default();
        targets.extend(manifest.targets(&bytes).unwrap());
        let next = Targets {
            header: Header::of::<Targets>(
                product(),
                NonZeroU64::new(next).unwrap(),
                after_days(days + 90),
            ),
            targets,
            delegations: None,
            lines: Lines::default(),
        };
        let channel_metadata = tuf::sign(&next, &[&self.release_key]).unwrap();
        let request = PublishRequest {
            expected_revision: state.revision,
            manifest: String::from_utf8(bytes).unwrap(),
            channel_metadata: String::from_utf8(channel_metadata).unwrap(),
            rollout,
        };
        service.publish(&actor(), &product(), request).await
    }

    /// Makes a private channel of a customer on day `days`, which the release key signs. Its name is
    /// `letter`, repeated.
    pub(crate) async fn private_channel(
        &self,
        days: i64,
        customer: &str,
        letter: &str,
    ) -> PrivateChannelName {
        let service = self.on_day(days);
        let name: PrivateChannelName = letter.repeat(PrivateChannelName::LENGTH).parse().unwrap();
        let request =
            CreatePrivateChannel { name: name.clone(), customer: customer.parse().unwrap() };
        service.create_private_channel(&actor(), &product(), request).await.unwrap();
        let state = service.publishing_state(&product()).await.unwrap();
        let present = Envelope::parse("targets", state.metadata["targets.json"].as_bytes());
        let mut targets: Targets = present.unwrap().document().unwrap();
        targets.header.version = targets.header.version.checked_add(1).unwrap();
        targets.delegations.as_mut().unwrap().roles.push(DelegatedRole {
            name: name.to_string(),
            keys: RoleKeys::any_of([&self.release_key.public()]),
            terminating: true,
            paths: vec![PathPattern::try_from(format!("{name}/*/*")).unwrap()].into(),
        });
        let signed = tuf::sign(&targets, &[&self.targets_key]).unwrap();
        let request = AmendMetadataRequest {
            expected_revision: state.revision,
            root: None,
            targets: Some(String::from_utf8(signed).unwrap()),
            channels: BTreeMap::new(),
        };
        service.amend_metadata(&actor(), &product(), request).await.unwrap();
        name
    }

    /// Publishes a custom build without anything special.
    pub(crate) async fn publish_custom(
        &self,
        days: i64,
        channel: &PrivateChannelName,
        version: &str,
    ) -> ServiceResult<PublishResponse> {
        let custom = |release: &mut ReleaseManifest| {
            release.private_channel = Some(channel.clone());
        };
        self.publish_as(days, Channel::Bugfix, version, custom).await
    }

    /// The present root, targets and channels, each signed anew with the next version for `days`
    /// more from day `day`. `change` may have its way with them before they are signed.
    pub(crate) async fn renewed(
        &self,
        day: i64,
        days: i64,
        change: impl FnOnce(&mut Root, &mut Targets),
    ) -> AmendMetadataRequest {
        fn present<M: Metadata>(metadata: &BTreeMap<String, String>, file: &str) -> M {
            Envelope::parse(file, metadata[file].as_bytes()).unwrap().document().unwrap()
        }
        let state = self.on_day(day).publishing_state(&product()).await.unwrap();
        let metadata = &state.metadata;
        let roots = metadata.keys().filter(|file| file.ends_with(".root.json")).count();
        let next = |header: &mut Header| {
            header.version = header.version.checked_add(1).unwrap();
            header.expires = after_days(day + days);
        };
        let signed = |document: &Targets, key: &SigningKey| {
            String::from_utf8(tuf::sign(document, &[key]).unwrap()).unwrap()
        };
        let mut root: Root = present(metadata, &format!("{roots}.root.json"));
        let mut targets: Targets = present(metadata, "targets.json");
        next(&mut root.header);
        next(&mut targets.header);
        change(&mut root, &mut targets);
        let mut channels = BTreeMap::new();
        for channel in Channel::ALL {
            let file = format!("{channel}.json");
            if metadata.contains_key(&file) {
                let mut listed: Targets = present(metadata, &file);
                next(&mut listed.header);
                channels.insert(channel.into(), signed(&listed, &self.release_key));
            }
        }
        let root = tuf::sign(&root, &[&self.root_key]).unwrap();
        AmendMetadataRequest {
            expected_revision: state.revision,
            root: Some(String::from_utf8(root).unwrap()),
            targets: Some(signed(&targets, &self.targets_key)),
            channels,
        }
    }

    /// The roles that list what they list after `versions` are retired, signed for 90 days from day
    /// `days`. `change` may have its way with them before they are signed.
    pub(crate) async fn retirement(
        &self,
        days: i64,
        versions: &BTreeSet<Version>,
        change: impl FnOnce(&mut BTreeMap<ChannelName, Targets>),
    ) -> RetireRequest {
        let state = self.on_day(days).publishing_state(&product()).await.unwrap();
        let names = Channel::ALL.map(ChannelName::from).into_iter().chain([ChannelName::archive()]);
        let present: BTreeMap<_, Targets> = names
            .filter_map(|name| {
                let text = state.metadata.get(&format!("{name}.json"))?;
                let role = Envelope::parse("role", text.as_bytes()).unwrap();
                Some((name, role.document().unwrap()))
            })
            .collect();
        let mut next: BTreeMap<_, _> = retirement::after_retiring(&present, versions)
            .into_iter()
            .map(|(name, targets)| {
                let version = present.get(&name).map_or(0, |role| role.header.version.get()) + 1;
                let version = NonZeroU64::new(version).unwrap();
                let header = Header::of::<Targets>(product(), version, after_days(days + 90));
                (name, Targets { header, targets, delegations: None, lines: Lines::default() })
            })
            .collect();
        change(&mut next);
        let signed = |role: &Targets| tuf::sign(role, &[&self.release_key]).unwrap();
        RetireRequest {
            expected_revision: state.revision,
            versions: versions.clone(),
            roles: next
                .into_iter()
                .map(|(name, role)| (name, String::from_utf8(signed(&role)).unwrap()))
                .collect(),
        }
    }

    /// Packs and uploads a tree of one file.
    pub(crate) async fn artifact(&self, contents: impl AsRef<[u8]>) -> Artifact {
        let tree = tempfile::tempdir().unwrap();
        std::fs::write(tree.path().join("VERSION"), contents).unwrap();
        let (packed, payload) = (packed(tree.path(), true), packed(tree.path(), false));
        let (sha256, length) = (Digest::of(&packed), packed.len() as u64);
        let content = stream::once(std::future::ready(Ok(Bytes::from(packed)))).boxed();
        self.blobs.put(&sha256, content).await.unwrap();
        Artifact {
            length,
            sha256,
            payload_length: payload.len() as u64,
            payload_sha256: Digest::of(&payload),
            window_log: WINDOW_LOG,
            health: None,
            hooks: mainstay_client::format::Hooks::default(),
            data: None,
            requires: mainstay_client::format::Requirements::default(),
        }
    }

    /// Adds a customer with a contract of `tier` for line 1.0 over 10 years, both called `name`, and
    /// says its activation key.
    pub(crate) async fn customer(&self, name: &str, tier: Tier) -> String {
        let service = self.on_day(0);
        let customer = CreateCustomer { name: name.parse().unwrap(), title: None };
        service.create_customer(&actor(), customer).await.unwrap();
        let mut contract = Contract {
            state: State::Active,
            products: [product()].into(),
            channels: [].into(),
            terms: vec![Term { start: after_days(0), end: after_days(3650) }],
            grace_days: 0,
            security_tail_days: 0,
            base_line: "1.0".parse().unwrap(),
            cap: None,
            fallback: Fallback::Perpetual,
            addons: [].into(),
            els_lines: [].into(),
            audience: [].into(),
            bridge: Bridge::Never,
            seats: None,
            tier: None,
        };
        contract.set_tier(tier, tier.preset());
        let (name, customer) = (name.parse().unwrap(), name.parse().unwrap());
        let request = CreateContract { name, customer, at: None, contract };
        let view = service.create_contract(&actor(), request).await.unwrap();
        service
            .create_activation_key(&actor(), view.record.name, CreateActivationKey::default())
            .await
            .unwrap()
            .activation_key
    }

    /// Enrols the machine with the key made from `seed`.
    pub(crate) async fn enroll(
        &self,
        activation_key: &str,
        seed: u8,
    ) -> ServiceResult<EnrollResponse> {
        self.enroll_as(0, activation_key, seed, "host").await
    }

    /// Enrols the machine with the key made from `seed`, which is called `host`.
    pub(crate) async fn enroll_as(
        &self,
        days: i64,
        activation_key: &str,
        seed: u8,
        host: &str,
    ) -> ServiceResult<EnrollResponse> {
        let key = SigningKey::from_seed(&[seed; 32]);
        let message = EnrollRequest::proof_message(activation_key, &product(), &key.public());
        let request = EnrollRequest {
            activation_key: activation_key.to_owned(),
            product: product(),
            platform: platform(),
            host: host.to_owned(),
            public_key: key.public(),
            proof: key.sign(&message),
        };
        self.on_day(days).enroll(request, None).await
    }

    /// The record of a machine.
    pub(crate) async fn machine(&self, name: &MachineName) -> MachineRecord {
        self.meta.machine(name).await.unwrap()
    }

    /// Takes in the report of a machine that runs `running`.
    pub(crate) async fn report(
        &self,
        days: i64,
        name: &MachineName,
        running: Option<&str>,
        events: Vec<Event>,
    ) {
        let running = running.map(version);
        let request = ReportRequest { product: product(), running, events };
        self.on_day(days).report(self.machine(name).await, &request).await.unwrap();
    }

    /// What the machine is answered that checks while it runs `running` and knows no metadata.
    pub(crate) async fn check(
        &self,
        days: i64,
        name: &MachineName,
        running: Option<&str>,
    ) -> CheckResponse {
        let request = CheckRequest {
            product: product(),
            platform: platform(),
            running: running.map(version),
            known: KnownMetadata { root: 1, ..KnownMetadata::default() },
            agent: "test".to_owned(),
            facts: None,
            waits: None,
        };
        self.on_day(days).check(self.machine(name).await, &request).await.unwrap()
    }
}

/// An event without anything special.
pub(crate) fn event(number: u64, kind: EventKind, to: &str) -> Event {
    let (to, detail) = (version(to), String::new());
    Event { number, kind, from: None, to, order: None, detail, fetched: None }
}

/// The plan in an answer. Its signature is not looked at.
pub(crate) fn plan(answer: &CheckResponse) -> Plan {
    Envelope::parse("plan", answer.plan.as_bytes()).unwrap().document().unwrap()
}

const WINDOW_LOG: u32 = 17;

fn packed(tree: &Path, compressed: bool) -> Vec<u8> {
    let plan = pack::scan_tree(tree, &pack::Limits::default()).unwrap();
    if !compressed {
        let mut payload = Vec::new();
        plan.pack(&mut payload, &mut |_| {}).unwrap();
        return payload;
    }
    let compression = Compression { level: 3, window_log: WINDOW_LOG, workers: 0 };
    let compressor = Compressor::new(Vec::new(), compression).unwrap();
    let (compressor, _) = plan.pack(compressor, &mut |_| {}).unwrap();
    compressor.finish().unwrap()
}

pub(crate) fn product() -> ProductName {
    PRODUCT.parse().unwrap()
}

/// The rules of a server that gives every release to everybody at once.
fn at_once() -> RolloutRules {
    let rules = RolloutRules::default();
    let terms = RolloutWish::at_once().over(rules.terms);
    RolloutRules { terms, ..rules }
}

/// An administrator.
pub(crate) fn actor() -> Actor {
    let (id, scope) = ("tok-1 (test)".to_owned(), Scope::Everything);
    Actor { id, role: Role::Admin, scope, address: None }
}
