//! A product's TUF repository: what the server signs of it, and who gets which file.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU64,
};

use jiff::{SignedDuration, Timestamp};
use mainstay_client::{
    format::{Channel, ChannelName, Digest, Lines, ProductName, TargetPath},
    tuf::{
        self, DIRECTOR, Envelope, FileMeta, Header, KeyId, Limits as TufLimits, Metadata, Refusal,
        Root, Rule, SigningKey, Snapshot, Targets, TrustedRepository, TrustedRoot,
    },
};

use super::{
    ErrorClass, Service, ServiceError, ServiceResult, keys::OnlineRole, standing::ProductStanding,
};
use crate::store::{
    MachineRecord, ProductRecord, Repository, RepositoryFile, StoreError, StoredFile,
};

/// How long a snapshot is good for.
const SNAPSHOT_LIFETIME: SignedDuration = SignedDuration::from_hours(7 * 24);
/// How long a timestamp is good for.
const TIMESTAMP_LIFETIME: SignedDuration = SignedDuration::from_hours(24);

/// The vendor-signed part of a repository, byte for byte.
pub(super) struct Draft {
    /// Every root, the first one first.
    pub(super) roots: Vec<Vec<u8>>,
    /// The top-level targets.
    pub(super) targets: Vec<u8>,
    /// The channels that have a release.
    pub(super) channels: BTreeMap<ChannelName, Vec<u8>>,
}

/// A whole repository, byte for byte.
pub(super) struct SignedRepository {
    draft: Draft,
    director: Vec<u8>,
    snapshot: Vec<u8>,
    timestamp: Vec<u8>,
}

impl SignedRepository {
    /// Takes the repository as a new client would: by the client's own workflow, from the first
    /// root down to every channel.
    ///
    /// A channel whose time is over is passed over, as a client does, unless it is one that is
    /// `signed` now: it must not keep the others from their releases, nor those it from its next.
    pub(super) fn verify(
        &self,
        product: &ProductName,
        now: Timestamp,
        signed: &[&ChannelName],
    ) -> Result<TrustedRepository, Refusal> {
        let mut roots = self.draft.roots.iter();
        let first = roots.next().map(Vec::as_slice).unwrap_or_default();
        // A machine follows so many in one refresh and goes on at the next; here it is all of them.
        let limits = TufLimits { root_rotations_max: u64::MAX, ..TufLimits::DEFAULT };
        let mut root = TrustedRoot::pin(first, limits)?.of(product)?;
        for next in roots {
            root.rotate(next)?;
        }
        let mut trusted = root
            .settle(now)?
            .accept(&self.timestamp)?
            .accept(&self.snapshot)?
            .accept(&self.draft.targets)?;
        for (channel, bytes) in &self.draft.channels {
            match trusted.accept_role(channel.as_str(), bytes) {
                Err(refusal) if refusal.rule() == Rule::Expired && !signed.contains(&channel) => {}
                accepted => drop(accepted?),
            }
        }
        Ok(trusted)
    }
}

impl Service {
    /// Signs director, snapshot and timestamp over `draft`, with the keys that its root and targets
    /// authorise. The versions are those of the present ones, 0 where there are none; the director's
    /// is the snapshot's.
    pub(super) fn sign_online(
        &self,
        product: &ProductName,
        draft: Draft,
        snapshot_version: u64,
        timestamp_version: u64,
    ) -> ServiceResult<SignedRepository> {
        let now = self.clock.now();
        let root = draft.roots.last().map(Vec::as_slice).unwrap_or_default();
        let Root { roles, .. } = Envelope::parse("root", root)?.document()?;
        let mut meta = BTreeMap::from([("targets.json".to_owned(), file_meta(&draft.targets)?)]);
        for (channel, bytes) in &draft.channels {
            let told = file_meta(bytes)?;
            // Everybody reads the snapshot: of a private channel it says what the workflow needs.
            let is_private = channel.private().is_some();
            let told = if is_private { FileMeta::of_version(told.version) } else { told };
            meta.insert(format!("{channel}.json"), told);
        }
        let version = next(snapshot_version)?;
        let key = self.online_key(product, OnlineRole::Director, &directors(&draft.targets)?)?;
        let director = tuf::sign(&director_role(product, version, now)?, &[key])?;
        meta.insert(format!("{DIRECTOR}.json"), FileMeta::of(version, &director));
        let snapshot = Snapshot {
            header: header::<Snapshot>(product, version, now, SNAPSHOT_LIFETIME)?,
            meta,
        };
        let key = self.online_key(product, OnlineRole::Snapshot, &roles.snapshot.keyids)?;
        let snapshot = tuf::sign(&snapshot, &[key])?;
        let listed = FileMeta::of(version, &snapshot);
        let version = next(timestamp_version)?;
        let timestamp = tuf::Timestamp {
            header: header::<tuf::Timestamp>(product, version, now, TIMESTAMP_LIFETIME)?,
            meta: BTreeMap::from([(tuf::Timestamp::SNAPSHOT.to_owned(), listed)]),
        };
        let key = self.online_key(product, OnlineRole::Timestamp, &roles.timestamp.keyids)?;
        let timestamp = tuf::sign(&timestamp, &[key])?;
        Ok(SignedRepository { draft, director, snapshot, timestamp })
    }

    fn online_key(
        &self,
        product: &ProductName,
        role: OnlineRole,
        authorised: &BTreeSet<KeyId>,
    ) -> ServiceResult<&SigningKey> {
        self.keys
            .authorised(role, authorised)
            .ok_or_else(|| ServiceError::online_key_lost(product, role.as_str()))
    }

    /// The key that signs the plans of `product`; nothing where the targets authorise none that
    /// this server has.
    pub(super) async fn director(
        &self,
        product: &ProductRecord,
    ) -> ServiceResult<Option<&SigningKey>> {
        let authorised = match &product.repository.directors {
            Some(noted) => noted.clone(),
            None => directors(&self.file_bytes(&product.repository.targets).await?)?,
        };
        Ok(self.keys.authorised(OnlineRole::Director, &authorised))
    }

    /// Stores the files of a repository, and says what a record of it holds and under which names
    /// they are served.
    pub(super) async fn store_repository(
        &self,
        signed: SignedRepository,
    ) -> ServiceResult<(Repository, Vec<RepositoryFile>)> {
        let SignedRepository { draft, director, snapshot, timestamp } = signed;
        let mut files = Vec::new();
        let mut root = None;
        for bytes in &draft.roots {
            root = Some(self.store_file::<Root>("root", bytes, &mut files).await?);
        }
        let root =
            root.ok_or_else(|| ServiceError::internal("a repository without a root".to_owned()))?;
        self.store_file::<Targets>(DIRECTOR, &director, &mut files).await?;
        let snapshot = self.store_file::<Snapshot>("snapshot", &snapshot, &mut files).await?;
        let targets = self.store_file::<Targets>("targets", &draft.targets, &mut files).await?;
        let mut channels = BTreeMap::new();
        for (channel, bytes) in &draft.channels {
            let file = self.store_file::<Targets>(channel.as_str(), bytes, &mut files).await?;
            channels.insert(channel.clone(), file);
        }
        let timestamp =
            self.store_file::<tuf::Timestamp>("timestamp", &timestamp, &mut Vec::new()).await?;
        let Targets { lines, .. } = Envelope::parse("targets", &draft.targets)?.document()?;
        let directors = Some(directors(&draft.targets)?);
        let repository =
            Repository { root, timestamp, snapshot, targets, channels, directors, lines };
        Ok((repository, files))
    }

    async fn store_file<M: Metadata>(
        &self,
        role: &str,
        bytes: &[u8],
        files: &mut Vec<RepositoryFile>,
    ) -> ServiceResult<StoredFile> {
        let metadata: M = Envelope::parse(role, bytes)?.document()?;
        let Header { version, expires, .. } = metadata.header();
        let file = StoredFile {
            version: version.get(),
            length: bytes.len() as u64,
            sha256: self.put_blob(bytes).await?,
            expires: *expires,
        };
        files.push(RepositoryFile { name: format!("{version}.{role}.json"), file });
        Ok(file)
    }

    /// The vendor-signed part of a product's repository.
    pub(super) async fn load_repository(&self, product: &ProductRecord) -> ServiceResult<Draft> {
        let Repository { root, targets, channels, .. } = &product.repository;
        let mut roots = Vec::new();
        for version in 1..=root.version {
            let file =
                self.meta.repository_file(&product.name, &format!("{version}.root.json")).await?;
            roots.push(self.file_bytes(&file).await?);
        }
        let mut loaded = BTreeMap::new();
        for (channel, file) in channels {
            loaded.insert(channel.clone(), self.file_bytes(file).await?);
        }
        Ok(Draft { roots, targets: self.file_bytes(targets).await?, channels: loaded })
    }

    pub(super) async fn file_bytes(&self, file: &StoredFile) -> ServiceResult<Vec<u8>> {
        Ok(self.blobs.bytes(&file.sha256, file.length).await?.to_vec())
    }

    /// Signs snapshot and timestamp of every product anew where half of their time is over. A
    /// product for which that fails keeps no other from it.
    pub async fn renew_repositories(&self) -> ServiceResult<Renewals> {
        let mut renewals = Renewals::default();
        for product in self.meta.products().await? {
            match self.renew_repository(&product).await {
                Ok(true) => renewals.renewed += 1,
                Ok(false) => {}
                Err(error) => renewals.failed.push((product.name, error)),
            }
        }
        Ok(renewals)
    }

    async fn renew_repository(&self, product: &ProductRecord) -> ServiceResult<bool> {
        let now = self.clock.now();
        let due = |file: &StoredFile, lifetime: SignedDuration| {
            file.expires.duration_since(now) < lifetime / 2
        };
        let Repository { timestamp, snapshot, .. } = &product.repository;
        if !due(timestamp, TIMESTAMP_LIFETIME) && !due(snapshot, SNAPSHOT_LIFETIME) {
            return Ok(false);
        }
        let draft = self.load_repository(product).await?;
        let signed = self.sign_online(&product.name, draft, snapshot.version, timestamp.version)?;
        let (repository, files) = self.store_repository(signed).await?;
        match self.meta.renew_repository(&product.name, product.revision, repository, files).await {
            // A publish came first, and has signed both anew.
            Err(StoreError::Conflict(_)) => Ok(false),
            renewed => Ok(renewed.map(|()| true)?),
        }
    }

    /// The file that a machine asks for, if its contract lets it have it. Metadata goes to every
    /// machine whose contract has the product; a channel's where the contract has the channel or
    /// a grant in it; a target where the decision grants its release, and a delta where it grants the one
    /// that the delta makes. Nothing is ever filtered out of a signed document.
    pub async fn machine_file(
        &self,
        machine: &MachineRecord,
        product: &ProductName,
        path: &str,
    ) -> ServiceResult<ServedFile> {
        let not_covered = || {
            ServiceError::new(
                ErrorClass::Forbidden,
                "PRODUCT_NOT_COVERED",
                format!("this machine or its contract is not for {product}"),
            )
        };
        // First of all: a machine does not learn whether there is another product.
        if machine.product != *product {
            return Err(not_covered());
        }
        let standing = self.standing(&machine.contract, product).await?;
        if !standing.covers_product() {
            return Err(not_covered());
        }
        if let Some(digest) = path.strip_prefix("deltas/") {
            return self.machine_delta(&standing, machine, digest);
        }
        if let Some(target) = path.strip_prefix("targets/") {
            let target = Target::parse(target)?;
            let Some((release, file)) = standing.known_target(&target) else {
                return Err(no_such_file(path));
            };
            standing.require_grant(&release.release.version, &machine.confirmed)?;
            return Ok(file);
        }
        if let Some(channel) = channel_of(path)
            && !standing.may_see_channel(&channel, &machine.confirmed)
        {
            // That there is a role of another name is no more to be learnt than that there is none.
            if channel.as_str().parse::<Channel>().is_err() && !channel.is_archive() {
                return Err(no_such_file(path));
            }
            return Err(ServiceError::new(
                ErrorClass::Forbidden,
                "CHANNEL_NOT_COVERED",
                format!("the contract of this machine does not cover the channel {channel}"),
            ));
        }
        self.metadata_file(&standing, path).await
    }

    /// The file that a member of the vendor's staff asks for.
    pub async fn staff_file(&self, product: &ProductName, path: &str) -> ServiceResult<ServedFile> {
        if let Some(digest) = path.strip_prefix("deltas/") {
            return self.staff_delta(product, digest);
        }
        let standing = self.product_standing(product, None).await?;
        match path.strip_prefix("targets/") {
            Some(target) => standing
                .target(&Target::parse(target)?)
                .map(|(_, file)| file)
                .ok_or_else(|| no_such_file(path)),
            None => self.metadata_file(&standing, path).await,
        }
    }

    async fn metadata_file(
        &self,
        standing: &ProductStanding,
        name: &str,
    ) -> ServiceResult<ServedFile> {
        let file = match name {
            "timestamp.json" => standing.product().repository.timestamp,
            _ => self.meta.repository_file(&standing.product().name, name).await?,
        };
        Ok(ServedFile { sha256: file.sha256, length: file.length, kind: ServedKind::Metadata })
    }
}

/// What came of a round of renewals.
#[derive(Debug, Default)]
pub struct Renewals {
    /// How many products have new online metadata.
    pub renewed: usize,
    /// The products for which that failed, and why.
    pub failed: Vec<(ProductName, ServiceError)>,
}

/// A file that is to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServedFile {
    /// Its digest, which is also its entity tag.
    pub sha256: Digest,
    /// Its length in bytes.
    pub length: u64,
    /// What it is.
    pub kind: ServedKind,
}

impl ServedFile {
    pub(super) fn target(sha256: Digest, length: u64) -> Self {
        Self { sha256, length, kind: ServedKind::Target }
    }
}

/// What a file that is sent is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServedKind {
    /// A metadata document.
    Metadata,
    /// A release manifest or an artifact.
    Target,
    /// A delta.
    Delta,
}

/// A target as it is asked for: its path, and the digest that stands before the file's name.
pub(super) struct Target {
    pub(super) path: TargetPath,
    pub(super) sha256: Digest,
}

impl Target {
    fn parse(text: &str) -> ServiceResult<Self> {
        let split = || {
            let (folder, file) = text.rsplit_once('/')?;
            let (digest, name) = file.split_once('.')?;
            let path = format!("{folder}/{name}").parse().ok()?;
            Some(Self { path, sha256: digest.parse().ok()? })
        };
        split().ok_or_else(|| no_such_file(text))
    }
}

/// The targets role of the director, which lists nothing: it signs plans. Mainstay's own client
/// never asks for it; others take in every role that is delegated to, and give up without it.
fn director_role(
    product: &ProductName,
    version: NonZeroU64,
    now: Timestamp,
) -> ServiceResult<Targets> {
    Ok(Targets {
        header: header::<Targets>(product, version, now, SNAPSHOT_LIFETIME)?,
        targets: BTreeMap::new(),
        delegations: None,
        lines: Lines::default(),
    })
}

fn no_such_file(path: &str) -> ServiceError {
    ServiceError::new(
        ErrorClass::NotFound,
        "NOT_FOUND",
        format!("the repository has no file `{}`", path.escape_debug()),
    )
}

/// The channel that a metadata file belongs to, where it is a channel's.
fn channel_of(file_name: &str) -> Option<ChannelName> {
    let (_, rest) = file_name.split_once('.')?;
    let role = rest.strip_suffix(".json")?;
    let no_channel = ["root", "snapshot", "targets", "timestamp", DIRECTOR].contains(&role);
    (!no_channel).then(|| role.parse().ok())?
}

fn file_meta(bytes: &[u8]) -> Result<FileMeta, Refusal> {
    let targets: Targets = Envelope::parse("targets", bytes)?.document()?;
    Ok(FileMeta::of(targets.header.version, bytes))
}

/// The keys that `targets` let sign plans.
fn directors(targets: &[u8]) -> Result<BTreeSet<KeyId>, Refusal> {
    let targets: Targets = Envelope::parse("targets", targets)?.document()?;
    let role = targets.delegations.as_ref().and_then(|delegations| delegations.role(DIRECTOR));
    Ok(role.map(|role| role.keys.keyids.clone()).unwrap_or_default())
}

fn next(version: u64) -> ServiceResult<NonZeroU64> {
    version
        .checked_add(1)
        .and_then(NonZeroU64::new)
        .ok_or_else(|| ServiceError::internal("a metadata version has run over".to_owned()))
}

fn header<M: Metadata>(
    product: &ProductName,
    version: NonZeroU64,
    now: Timestamp,
    lifetime: SignedDuration,
) -> ServiceResult<Header> {
    let expires = now.checked_add(lifetime).map_err(ServiceError::internal)?;
    Ok(Header::of::<M>(product.clone(), version, expires))
}
