use std::collections::BTreeMap;

use jiff::Timestamp as Instant;

use super::{
    DelegatedRole, Delegations, Envelope, FileMeta, KeyId, Metadata, PublicKey, Refusal, RoleKeys,
    Root, Rule, Snapshot, Target, Targets, Timestamp,
};
use crate::format::TargetPath;

mod plan;

pub use plan::{DIRECTOR, PlanBinding};

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
    /// How many roles a targets role may delegate to.
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

/// Parses and verifies one document: form, threshold and kind. Version and expiry are the caller's
/// to judge, since they differ from role to role.
fn verified<M: Metadata>(
    document: &str,
    bytes: &[u8],
    bytes_max: u64,
    keys: &BTreeMap<KeyId, PublicKey>,
    role: &RoleKeys,
) -> Result<M, Refusal> {
    let envelope = envelope(document, bytes, bytes_max)?;
    envelope.verify(keys, role)?;
    typed(document, &envelope)
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

fn typed<M: Metadata>(document: &str, envelope: &Envelope) -> Result<M, Refusal> {
    let metadata: M = envelope.document()?;
    let header = metadata.header();
    if header.kind != M::KIND {
        let detail = format!("its _type is `{}`: expected `{}`", header.kind, M::KIND);
        return Err(Refusal::new(document, Rule::Form, detail));
    }
    if header.spec_version.split('.').next() != Some("1") {
        let detail = format!("spec_version {}: expected 1.x", header.spec_version);
        return Err(Refusal::new(document, Rule::Form, detail));
    }
    Ok(metadata)
}

fn unexpired(document: &str, metadata: &impl Metadata, now: Instant) -> Result<(), Refusal> {
    let expires = metadata.header().expires;
    if now < expires {
        return Ok(());
    }
    Err(Refusal::new(document, Rule::Expired, format!("it expired at {expires}; it is {now} now")))
}

fn announced(document: &str, bytes: &[u8], meta: &FileMeta) -> Result<(), Refusal> {
    if let Some(length) = meta.length
        && bytes.len() as u64 != length
    {
        let detail = format!("{} bytes: {length} were announced", bytes.len());
        return Err(Refusal::new(document, Rule::Length, detail));
    }
    if let Some(hashes) = meta.hashes {
        let found = crate::format::Digest::of(bytes);
        if found != hashes.sha256 {
            let detail = format!("its SHA-256 is {found}: {} was announced", hashes.sha256);
            return Err(Refusal::new(document, Rule::Digest, detail));
        }
    }
    Ok(())
}

/// The root of trust before a refresh: rotates to newer roots (§5.3).
#[derive(Clone, Debug)]
pub struct TrustedRoot {
    root: Root,
    limits: Limits,
    rotations: u64,
}

impl TrustedRoot {
    /// Takes `bytes` as the root that is trusted from the beginning. It must be signed by its own
    /// keys; whether it is the right one, only its provenance can say.
    pub fn pin(bytes: &[u8], limits: Limits) -> Result<Self, Refusal> {
        let envelope = envelope("root", bytes, limits.root_bytes_max)?;
        let root: Root = typed("root", &envelope)?;
        envelope.verify(&root.keys, &root.roles.root)?;
        Ok(Self { root, limits, rotations: 0 })
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
    pub fn rotate(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        let refuse = |detail| Err(Refusal::new("root", Rule::Version, detail));
        let most = self.limits.root_rotations_max;
        if self.rotations >= most {
            return refuse(format!(
                "{} rotations were followed already: expected at most {most} in one refresh",
                self.rotations
            ));
        }
        let envelope = envelope("root", bytes, self.limits.root_bytes_max)?;
        envelope.verify(&self.root.keys, &self.root.roles.root)?;
        let next: Root = typed("root", &envelope)?;
        envelope.verify(&next.keys, &next.roles.root)?;
        let version = next.header.version;
        if self.root.header.version.checked_add(1) != Some(version) {
            return refuse(format!(
                "version {version}: expected the one after {}",
                self.root.header.version
            ));
        }
        self.root = next;
        self.rotations += 1;
        Ok(())
    }

    /// Ends the rotations. `now` is the time of the whole refresh from here on (§5.1).
    pub fn settle(self, now: Instant) -> Result<Trust, Refusal> {
        unexpired("root", &self.root, now)?;
        Ok(Trust { root: self.root, now, limits: self.limits, old: None })
    }
}

/// A settled root: awaits the timestamp (§5.4).
#[derive(Clone, Debug)]
pub struct Trust {
    root: Root,
    now: Instant,
    limits: Limits,
    old: Option<Timestamp>,
}

impl Trust {
    /// Recalls the timestamp that was trusted before, against which a rollback is noticed. One
    /// that no longer verifies (damaged, or signed by a replaced key) is forgotten.
    pub fn recall(&mut self, bytes: &[u8]) {
        self.old = self.verify(bytes).ok();
    }

    fn verify(&self, bytes: &[u8]) -> Result<Timestamp, Refusal> {
        verified(
            "timestamp",
            bytes,
            self.limits.timestamp_bytes_max,
            &self.root.keys,
            &self.root.roles.timestamp,
        )
    }

    /// Accepts a timestamp. One of the trusted version is passed over in favour of the trusted one
    /// (§5.4.3.1).
    pub fn accept(self, bytes: &[u8]) -> Result<TrustedTimestamp, Refusal> {
        let refuse = |detail| Err(Refusal::new("timestamp", Rule::Rollback, detail));
        let new = self.verify(bytes)?;
        let Some(new_meta) = new.meta.get(Timestamp::SNAPSHOT).cloned() else {
            let detail = "it does not list snapshot.json";
            return Err(Refusal::new("timestamp", Rule::NotListed, detail));
        };
        let mut accepted = (new, new_meta);
        if let Some(old) = self.old {
            let old_version = old.header.version;
            if accepted.0.header.version < old_version {
                return refuse(format!(
                    "version {}: {old_version} is trusted already",
                    accepted.0.header.version
                ));
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
                }
            }
        }
        let (timestamp, snapshot_meta) = accepted;
        unexpired("timestamp", &timestamp, self.now)?;
        Ok(TrustedTimestamp {
            root: self.root,
            now: self.now,
            limits: self.limits,
            version: timestamp.header.version.get(),
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
    limits: Limits,
    version: u64,
    snapshot_meta: FileMeta,
    old: Option<Snapshot>,
}

impl TrustedTimestamp {
    /// The timestamp's version.
    pub fn version(&self) -> u64 {
        self.version
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
        verified(
            "snapshot",
            bytes,
            self.limits.snapshot_bytes_max,
            &self.root.keys,
            &self.root.roles.snapshot,
        )
    }

    /// Accepts the snapshot: the one that the timestamp lists, and in which no role of the trusted
    /// one is missing or older.
    pub fn accept(self, bytes: &[u8]) -> Result<TrustedSnapshot, Refusal> {
        announced("snapshot", bytes, &self.snapshot_meta)?;
        let new = self.verify(bytes)?;
        if new.header.version != self.snapshot_meta.version {
            let detail = format!(
                "version {}: the timestamp lists {}",
                new.header.version, self.snapshot_meta.version
            );
            return Err(Refusal::new("snapshot", Rule::Version, detail));
        }
        for (name, old) in self.old.iter().flat_map(|old| &old.meta) {
            let detail = match new.meta.get(name) {
                Some(meta) if meta.version >= old.version => continue,
                Some(meta) => {
                    format!("{name} fell from version {} to {}", old.version, meta.version)
                }
                None => format!("{name} has disappeared"),
            };
            return Err(Refusal::new("snapshot", Rule::Rollback, detail));
        }
        unexpired("snapshot", &new, self.now)?;
        Ok(TrustedSnapshot {
            root: self.root,
            now: self.now,
            limits: self.limits,
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
    limits: Limits,
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
        let role = &self.root.roles.targets;
        let targets = targets_role("targets", bytes, &meta, (&self.root.keys, role), self.limits)?;
        unexpired("targets", &targets, self.now)?;
        Ok(TrustedRepository {
            root: self.root,
            now: self.now,
            limits: self.limits,
            timestamp_version: self.timestamp_version,
            snapshot: self.snapshot,
            targets,
            roles: BTreeMap::new(),
        })
    }
}

/// A repository of which everything down to the top-level targets is trusted: accepts delegated
/// roles, finds targets, verifies plans.
#[derive(Clone, Debug)]
pub struct TrustedRepository {
    root: Root,
    now: Instant,
    limits: Limits,
    timestamp_version: u64,
    snapshot: Snapshot,
    targets: Targets,
    roles: BTreeMap<String, Targets>,
}

impl TrustedRepository {
    /// The root.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// The timestamp's version.
    pub fn timestamp_version(&self) -> u64 {
        self.timestamp_version
    }

    /// The snapshot.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// The top-level targets.
    pub fn targets(&self) -> &Targets {
        &self.targets
    }

    /// The accepted delegated roles by name.
    pub fn roles(&self) -> &BTreeMap<String, Targets> {
        &self.roles
    }

    /// The delegated role `name` that the snapshot lists.
    pub fn listed_role(&self, name: &str) -> Result<&FileMeta, Refusal> {
        listed(&self.snapshot, name)
    }

    /// Accepts the delegated role `name`, which is never [`DIRECTOR`]: its key is on the server, and
    /// no server may say what machines install.
    pub fn accept_role(&mut self, name: &str, bytes: &[u8]) -> Result<&Targets, Refusal> {
        let targets = self.role_to_amend(name, bytes)?;
        unexpired(name, &targets, self.now)?;
        self.roles.remove(name);
        Ok(self.roles.entry(name.to_owned()).or_insert(targets))
    }

    /// The delegated role `name`, verified but for its expiry: for its owner, who is about to sign
    /// the next version of it. Nothing is to be installed by it.
    pub fn role_to_amend(&self, name: &str, bytes: &[u8]) -> Result<Targets, Refusal> {
        if name == DIRECTOR {
            let detail = "it signs plans: expected a role that lists targets";
            return Err(Refusal::new(name, Rule::NotListed, detail));
        }
        let meta = self.listed_role(name)?;
        let delegations = self.delegations(name)?;
        let role = delegations.role(name).ok_or_else(|| not_delegated(name))?;
        targets_role(name, bytes, meta, (&delegations.keys, &role.keys), self.limits)
    }

    fn delegations(&self, wanted: &str) -> Result<&Delegations, Refusal> {
        self.targets.delegations.as_ref().ok_or_else(|| not_delegated(wanted))
    }

    /// Finds the target `path` by asking the delegated roles that may speak for it, in order; the
    /// first terminating one has the last word (§5.6.7).
    pub fn target(&self, path: &TargetPath) -> Result<&Target, Refusal> {
        let missing = |detail: String| Refusal::new(path.as_str(), Rule::NotListed, detail);
        if let Some(target) = self.targets.targets.get(path.as_str()) {
            return Ok(target);
        }
        let speaks = |role: &&DelegatedRole| {
            role.name != DIRECTOR && role.paths.iter().any(|pattern| pattern.matches(path.as_str()))
        };
        for role in self.delegations(path.as_str())?.roles.iter().filter(speaks) {
            let Some(targets) = self.roles.get(&role.name) else {
                return Err(missing(format!("role {} is not loaded", role.name)));
            };
            if let Some(target) = targets.targets.get(path.as_str()) {
                return Ok(target);
            }
            if role.terminating {
                break;
            }
        }
        Err(missing("no role that may speak for it lists it".to_owned()))
    }
}

fn not_delegated(name: &str) -> Refusal {
    Refusal::new(name, Rule::NotListed, "the product's targets do not delegate to it")
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
    (keys, role): (&BTreeMap<KeyId, PublicKey>, &RoleKeys),
    limits: Limits,
) -> Result<Targets, Refusal> {
    announced(name, bytes, meta)?;
    let targets: Targets = verified(name, bytes, limits.targets_bytes_max, keys, role)?;
    if targets.header.version != meta.version {
        let detail =
            format!("version {}: the snapshot lists {}", targets.header.version, meta.version);
        return Err(Refusal::new(name, Rule::Version, detail));
    }
    let delegated = targets.delegations.as_ref().map_or(0, |delegations| delegations.roles.len());
    if delegated > limits.delegations_max {
        let detail =
            format!("{delegated} delegations: expected at most {}", limits.delegations_max);
        return Err(Refusal::new(name, Rule::Length, detail));
    }
    Ok(targets)
}

#[cfg(test)]
mod tests;
