use std::collections::BTreeMap;

use jiff::Timestamp as Instant;

use super::{
    Envelope, FileMeta, KeyId, Metadata, PublicKey, Refusal, RoleKeys, Root, Rule, Snapshot,
    Targets, Timestamp,
};
use crate::format::ProductName;

mod plan;
mod repository;

pub use plan::{DIRECTOR, PlanBinding};
pub use repository::{Delegation, Search, TrustedRepository};

/// How much the workflow is willing to read.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// A root document, in bytes.
    pub root_bytes_max: u64,
    /// A timestamp, in bytes.
    pub timestamp_bytes_max: u64,
    /// A snapshot, in bytes.
    pub snapshot_bytes_max: u64,
    /// A targets role, in bytes.
    pub targets_bytes_max: u64,
    /// A plan, in bytes.
    pub plan_bytes_max: u64,
    /// A release manifest, in bytes.
    pub manifest_bytes_max: u64,
    /// How many new roots one refresh follows.
    pub root_rotations_max: u64,
    /// How many delegated roles are asked for one target.
    pub delegations_max: usize,
}

impl Limits {
    /// The limits of DESIGN: generous for any honest repository.
    pub const DEFAULT: Self = Self {
        root_bytes_max: 512_000,
        timestamp_bytes_max: 16_000,
        snapshot_bytes_max: 2_000_000,
        targets_bytes_max: 5_000_000,
        plan_bytes_max: 1_000_000,
        manifest_bytes_max: 256_000,
        root_rotations_max: 256,
        delegations_max: 32,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// How the documents of a repository are read: within which limits, and as whose.
#[derive(Clone, Debug)]
struct Reader {
    limits: Limits,
    /// The product that every document must name; any repository's will do where there is none.
    product: Option<ProductName>,
}

impl Reader {
    /// Parses and verifies one document: form, threshold, kind and product. Version and expiry are
    /// the caller's to judge, since they differ from role to role.
    fn verified<M: Metadata>(
        &self,
        document: &str,
        bytes: &[u8],
        bytes_max: u64,
        (keys, role): (&BTreeMap<KeyId, PublicKey>, &RoleKeys),
    ) -> Result<M, Refusal> {
        let envelope = envelope(document, bytes, bytes_max)?;
        envelope.verify(keys, role)?;
        self.expected(document, envelope.into_document()?)
    }

    /// The document, where it is what it is taken for.
    fn expected<M: Metadata>(&self, document: &str, metadata: M) -> Result<M, Refusal> {
        let header = metadata.header();
        let refuse = |detail: String| {
            Err(Refusal::new(document, Rule::Form, detail).at(Some(header.version.get())))
        };
        if header.kind != M::KIND {
            return refuse(format!("its _type is `{}`: expected `{}`", header.kind, M::KIND));
        }
        if header.spec_version.split('.').next() != Some("1") {
            return refuse(format!("spec_version {}: expected 1.x", header.spec_version));
        }
        if let Some(product) = &self.product {
            header.expect_product(document, product)?;
        }
        Ok(metadata)
    }
}

fn envelope(document: &str, bytes: &[u8], bytes_max: u64) -> Result<Envelope, Refusal> {
    if bytes.len() as u64 > bytes_max {
        return Err(Refusal::new(
            document,
            Rule::Length,
            format!("{} bytes: expected at most {bytes_max}", bytes.len()),
        ));
    }
    Envelope::parse(document, bytes)
}

fn unexpired(document: &str, metadata: &impl Metadata, now: Instant) -> Result<(), Refusal> {
    let expires = metadata.header().expires;
    if now < expires {
        return Ok(());
    }
    let detail = format!("it expired at {expires}; it is {now} now");
    let version = metadata.header().version.get();
    Err(Refusal::new(document, Rule::Expired, detail).at(Some(version)))
}

fn announced(document: &str, bytes: &[u8], meta: &FileMeta) -> Result<(), Refusal> {
    if let Some(length) = meta.length
        && bytes.len() as u64 != length
    {
        let detail = format!("{} bytes: {length} were announced", bytes.len());
        return Err(Refusal::new(document, Rule::Length, detail).at(Some(meta.version.get())));
    }
    match meta.hashes.map(|hashes| hashes.check(bytes)) {
        Some(Err(detail)) => {
            Err(Refusal::new(document, Rule::Digest, detail).at(Some(meta.version.get())))
        }
        _ => Ok(()),
    }
}

/// The root of trust before a refresh: rotates to newer roots (§5.3).
///
/// The workflow goes from state to state, each of which accepts one document and becomes the next:
///
/// ```
/// # use mainstay_client::tuf::{Refusal, TrustedRoot, TrustedTimestamp};
/// # use jiff::Timestamp;
/// fn follow(root: TrustedRoot, now: Timestamp, bytes: &[u8]) -> Result<TrustedTimestamp, Refusal> {
///     root.settle(now)?.accept(bytes)
/// }
/// ```
///
/// So an order that the specification does not have is none that compiles. No timestamp is accepted
/// while roots may still be followed:
///
/// ```compile_fail,E0599
/// # use mainstay_client::tuf::{Refusal, TrustedRoot, TrustedTimestamp};
/// fn follow(root: TrustedRoot, bytes: &[u8]) -> Result<TrustedTimestamp, Refusal> {
///     root.accept(bytes)
/// }
/// ```
///
/// No snapshot is accepted before its timestamp:
///
/// ```compile_fail,E0308
/// # use mainstay_client::tuf::{Refusal, TrustedRoot, TrustedSnapshot};
/// # use jiff::Timestamp;
/// fn follow(root: TrustedRoot, now: Timestamp, bytes: &[u8]) -> Result<TrustedSnapshot, Refusal> {
///     root.settle(now)?.accept(bytes)
/// }
/// ```
///
/// And no root is followed once the workflow has gone on:
///
/// ```compile_fail,E0382
/// # use mainstay_client::tuf::{Refusal, Rotation, Trust, TrustedRoot};
/// # use jiff::Timestamp;
/// fn follow(mut root: TrustedRoot, now: Timestamp, bytes: &[u8]) -> Result<Rotation, Refusal> {
///     let trust = root.settle(now)?;
///     root.rotate(bytes)
/// }
/// ```
#[derive(Clone, Debug)]
pub struct TrustedRoot {
    root: Root,
    reader: Reader,
    rotations: u64,
}

impl TrustedRoot {
    /// Takes `bytes` as the root that is trusted from the beginning. It must be signed by its own
    /// keys; whether it is the right one, only its provenance can say.
    pub fn pin(bytes: &[u8], limits: Limits) -> Result<Self, Refusal> {
        let reader = Reader { limits, product: None };
        let envelope = envelope("root", bytes, limits.root_bytes_max)?;
        let root: Root = reader.expected("root", envelope.document()?)?;
        envelope.verify(&root.keys, &root.roles.root)?;
        Ok(Self { root, reader, rotations: 0 })
    }

    /// Takes this root for one of `product`, and from here on nothing but what says the same of
    /// itself: the keys that sign one product's documents often sign another's as well.
    pub fn of(mut self, product: &ProductName) -> Result<Self, Refusal> {
        self.root.header.expect_product("root", product)?;
        self.reader.product = Some(product.clone());
        Ok(self)
    }

    /// The version that is trusted.
    pub fn version(&self) -> u64 {
        self.root.header.version.get()
    }

    /// The trusted root.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// Follows one rotation: `bytes` must be version N + 1, signed by the thresholds of both the
    /// trusted root and itself. Expiry of an intermediate root does not matter (§5.3.10 looks at
    /// the last one only).
    ///
    /// Whoever keeps a timestamp and a snapshot between refreshes heeds the answer before the new root
    /// is stored: a crash in between must not keep what is to be forgotten.
    pub fn rotate(&mut self, bytes: &[u8]) -> Result<Rotation, Refusal> {
        let most = self.reader.limits.root_rotations_max;
        if self.rotations >= most {
            let detail = format!(
                "{} rotations were followed already: expected at most {most} in one refresh",
                self.rotations
            );
            return Err(Refusal::new("root", Rule::Version, detail));
        }
        let envelope = envelope("root", bytes, self.reader.limits.root_bytes_max)?;
        envelope.verify(&self.root.keys, &self.root.roles.root)?;
        let next: Root = self.reader.expected("root", envelope.document()?)?;
        envelope.verify(&next.keys, &next.roles.root)?;
        let version = next.header.version;
        if self.root.header.version.checked_add(1) != Some(version) {
            let detail = format!("expected the one after version {}", self.root.header.version);
            let refusal = Refusal::new("root", Rule::Version, detail);
            return Err(refusal.at(Some(version.get())));
        }
        let rotation = if next.online_signers() == self.root.online_signers() {
            Rotation::SameOnlineSigners
        } else {
            Rotation::OtherOnlineSigners
        };
        self.root = next;
        self.rotations += 1;
        Ok(rotation)
    }

    /// Ends the rotations. `now` is the time of the whole refresh from here on (§5.1).
    pub fn settle(self, now: Instant) -> Result<Trust, Refusal> {
        unexpired("root", &self.root, now)?;
        Ok(Trust { root: self.root, now, reader: self.reader, old: None })
    }
}

/// What a rotation means for the timestamp and the snapshot that were trusted before it (§5.3.11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rotation {
    /// They stay trusted.
    SameOnlineSigners,
    /// Other keys sign timestamp or snapshot, or another number of them: both are to be forgotten. A
    /// thief of the keys before may have raised the versions in either as high as they go, also in the
    /// one that still verifies.
    OtherOnlineSigners,
}

/// A settled root: awaits the timestamp (§5.4).
#[derive(Clone, Debug)]
pub struct Trust {
    root: Root,
    now: Instant,
    reader: Reader,
    old: Option<Timestamp>,
}

impl Trust {
    /// Recalls the timestamp that was trusted before, against which a rollback is noticed. One
    /// that no longer verifies (damaged, or signed by a replaced key) is forgotten.
    pub fn recall(&mut self, bytes: &[u8]) {
        self.old = self.verify(bytes).ok();
    }

    fn verify(&self, bytes: &[u8]) -> Result<Timestamp, Refusal> {
        let signers = (&self.root.keys, &self.root.roles.timestamp);
        self.reader.verified("timestamp", bytes, self.reader.limits.timestamp_bytes_max, signers)
    }

    /// Accepts a timestamp. One of the trusted version is passed over in favour of the trusted one
    /// (§5.4.3.1).
    pub fn accept(self, bytes: &[u8]) -> Result<TrustedTimestamp, Refusal> {
        let new = self.verify(bytes)?;
        let version = new.header.version.get();
        let refusal =
            |rule, detail: String| Refusal::new("timestamp", rule, detail).at(Some(version));
        let refuse = |detail| Err(refusal(Rule::Rollback, detail));
        let Some(new_meta) = new.meta.get(Timestamp::SNAPSHOT).cloned() else {
            let detail = "it does not list snapshot.json".to_owned();
            return Err(refusal(Rule::NotListed, detail));
        };
        let mut accepted = (new, new_meta);
        let mut is_new = true;
        if let Some(old) = self.old {
            let old_version = old.header.version;
            if accepted.0.header.version < old_version {
                return refuse(format!("{old_version} is trusted already"));
            }
            if let Some(old_meta) = old.meta.get(Timestamp::SNAPSHOT).cloned() {
                if accepted.1.version < old_meta.version {
                    return refuse(format!(
                        "it lists snapshot version {}: {} is trusted already",
                        accepted.1.version, old_meta.version
                    ));
                }
                if accepted.0.header.version == old_version {
                    accepted = (old, old_meta);
                    is_new = false;
                }
            }
        }
        let (timestamp, snapshot_meta) = accepted;
        unexpired("timestamp", &timestamp, self.now)?;
        Ok(TrustedTimestamp {
            root: self.root,
            now: self.now,
            reader: self.reader,
            version: timestamp.header.version.get(),
            is_new,
            snapshot_meta,
            old: None,
        })
    }
}

/// An accepted timestamp: awaits the snapshot (§5.5).
#[derive(Clone, Debug)]
pub struct TrustedTimestamp {
    root: Root,
    now: Instant,
    reader: Reader,
    version: u64,
    is_new: bool,
    snapshot_meta: FileMeta,
    old: Option<Snapshot>,
}

impl TrustedTimestamp {
    /// The timestamp's version.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Whether the document that was accepted is the one that is trusted now, and is to be stored.
    /// It is not where one of the trusted version came again.
    pub fn is_new(&self) -> bool {
        self.is_new
    }

    /// The snapshot that the timestamp lists.
    pub fn snapshot(&self) -> &FileMeta {
        &self.snapshot_meta
    }

    /// Recalls the snapshot that was trusted before. One that no longer verifies is forgotten.
    pub fn recall(&mut self, bytes: &[u8]) {
        self.old = self.verify(bytes).ok();
    }

    fn verify(&self, bytes: &[u8]) -> Result<Snapshot, Refusal> {
        let signers = (&self.root.keys, &self.root.roles.snapshot);
        self.reader.verified("snapshot", bytes, self.reader.limits.snapshot_bytes_max, signers)
    }

    /// Accepts the snapshot: the one that the timestamp lists, and in which no role of the trusted
    /// one is missing or older.
    pub fn accept(self, bytes: &[u8]) -> Result<TrustedSnapshot, Refusal> {
        announced("snapshot", bytes, &self.snapshot_meta)?;
        let new = self.verify(bytes)?;
        if new.header.version != self.snapshot_meta.version {
            let detail = format!("the timestamp lists version {}", self.snapshot_meta.version);
            let refusal = Refusal::new("snapshot", Rule::Version, detail);
            return Err(refusal.at(Some(new.header.version.get())));
        }
        for (name, old) in self.old.iter().flat_map(|old| &old.meta) {
            let detail = match new.meta.get(name) {
                Some(meta) if meta.version >= old.version => continue,
                Some(meta) => {
                    format!("{name} fell from version {} to {}", old.version, meta.version)
                }
                None => format!("{name} has disappeared"),
            };
            let version = new.header.version.get();
            return Err(Refusal::new("snapshot", Rule::Rollback, detail).at(Some(version)));
        }
        unexpired("snapshot", &new, self.now)?;
        Ok(TrustedSnapshot {
            root: self.root,
            now: self.now,
            reader: self.reader,
            timestamp_version: self.version,
            snapshot: new,
        })
    }
}

/// An accepted snapshot: awaits the top-level targets (§5.6).
#[derive(Clone, Debug)]
pub struct TrustedSnapshot {
    root: Root,
    now: Instant,
    reader: Reader,
    timestamp_version: u64,
    snapshot: Snapshot,
}

impl TrustedSnapshot {
    /// The top-level targets role that the snapshot lists.
    pub fn targets(&self) -> Result<&FileMeta, Refusal> {
        listed(&self.snapshot, "targets")
    }

    /// Accepts the top-level targets.
    pub fn accept(self, bytes: &[u8]) -> Result<TrustedRepository, Refusal> {
        let meta = self.targets()?.clone();
        let signers = (&self.root.keys, &self.root.roles.targets);
        let targets = targets_role("targets", bytes, &meta, signers, &self.reader)?;
        unexpired("targets", &targets, self.now)?;
        Ok(TrustedRepository {
            root: self.root,
            now: self.now,
            reader: self.reader,
            timestamp_version: self.timestamp_version,
            snapshot: self.snapshot,
            targets,
            roles: BTreeMap::new(),
        })
    }
}

fn listed<'a>(snapshot: &'a Snapshot, role: &str) -> Result<&'a FileMeta, Refusal> {
    snapshot
        .meta
        .get(&format!("{role}.json"))
        .ok_or_else(|| Refusal::new(role, Rule::NotListed, "the snapshot does not list it"))
}

/// A targets role, verified but for its expiry.
fn targets_role(
    name: &str,
    bytes: &[u8],
    meta: &FileMeta,
    signers: (&BTreeMap<KeyId, PublicKey>, &RoleKeys),
    reader: &Reader,
) -> Result<Targets, Refusal> {
    announced(name, bytes, meta)?;
    let targets: Targets =
        reader.verified(name, bytes, reader.limits.targets_bytes_max, signers)?;
    if targets.header.version != meta.version {
        let detail = format!("the snapshot lists version {}", meta.version);
        let refusal = Refusal::new(name, Rule::Version, detail);
        return Err(refusal.at(Some(targets.header.version.get())));
    }
    Ok(targets)
}

#[cfg(test)]
mod tests;
