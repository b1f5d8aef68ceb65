//! The workflow against repositories that are right but for the one thing that a test is about.

mod limits;
mod plan;
mod product;
mod root;
mod search;
mod snapshot;
mod targets;
mod timestamp;

use std::{collections::BTreeMap, fmt, num::NonZeroU64};

use jiff::Timestamp as Instant;
use serde::Serialize;

use super::*;
use crate::{
    format::{Digest, Lines},
    tuf::{
        DelegatedRole, Delegations, Hashes, Header, PathPattern, Paths, RootRoles, SigningKey,
        Target, sign,
    },
};

/// The time of every refresh in these tests.
const NOW: &str = "2026-06-01T00:00:00Z";
/// The last instant before [`NOW`] that a test can write.
const JUST_BEFORE: &str = "2026-05-31T23:59:59Z";
/// The first instant after [`NOW`] that a test can write.
const JUST_AFTER: &str = "2026-06-01T00:00:01Z";

/// Everybody who signs something, by what they may sign.
#[derive(Clone, Copy)]
enum Signer {
    RootA,
    RootB,
    RootC,
    NewRootA,
    NewRootB,
    Timestamp,
    Snapshot,
    Targets,
    SecurityA,
    SecurityB,
    Bugfix,
    Director,
    Stranger,
}

impl Signer {
    const OLD_ROOTS: [Self; 2] = [Self::RootA, Self::RootB];
    const NEW_ROOTS: [Self; 2] = [Self::NewRootA, Self::NewRootB];

    fn key(self) -> SigningKey {
        SigningKey::from_seed(&[self as u8 + 1; 32])
    }
}

fn time(text: &str) -> Instant {
    text.parse().unwrap()
}

fn version(number: u64) -> NonZeroU64 {
    NonZeroU64::new(number).unwrap()
}

fn header<M: Metadata>(number: u64) -> Header {
    Header::new::<M>(version(number), time("2026-07-01T00:00:00Z"))
}

fn keys(signers: &[Signer]) -> BTreeMap<KeyId, PublicKey> {
    signers.iter().map(|signer| signer.key().public()).map(|key| (key.id(), key)).collect()
}

fn role(signers: &[Signer], threshold: u64) -> RoleKeys {
    RoleKeys { keyids: keys(signers).into_keys().collect(), threshold: version(threshold) }
}

fn signed(document: &impl Serialize, signers: &[Signer]) -> Vec<u8> {
    let keys: Vec<_> = signers.iter().map(|signer| signer.key()).collect();
    let signers: Vec<_> = keys.iter().map(|key| key as &dyn super::super::Signer).collect();
    sign(document, &signers).unwrap()
}

/// A root that two of `roots` must sign.
fn root(number: u64, roots: &[Signer]) -> Root {
    let online = [Signer::Timestamp, Signer::Snapshot, Signer::Targets];
    Root {
        header: header::<Root>(number),
        consistent_snapshot: true,
        keys: keys(&[roots, &online].concat()),
        roles: RootRoles {
            root: role(roots, 2),
            timestamp: role(&[Signer::Timestamp], 1),
            snapshot: role(&[Signer::Snapshot], 1),
            targets: role(&[Signer::Targets], 1),
        },
    }
}

/// An announcement of a version and nothing more.
fn only_version(number: u64) -> FileMeta {
    FileMeta { version: version(number), length: None, hashes: None }
}

fn timestamp(number: u64, snapshot: FileMeta) -> Timestamp {
    let meta = BTreeMap::from([(Timestamp::SNAPSHOT.to_owned(), snapshot)]);
    Timestamp { header: header::<Timestamp>(number), meta }
}

fn snapshot(number: u64, roles: &[(&str, u64)]) -> Snapshot {
    let meta = roles
        .iter()
        .map(|(name, number)| (format!("{name}.json"), only_version(*number)))
        .collect();
    Snapshot { header: header::<Snapshot>(number), meta }
}

/// A targets role that lists `paths`; each target's length tells which role spoke.
fn targets(number: u64, paths: &[(&str, u64)]) -> Targets {
    let target = |length| Target { length, hashes: Hashes::sha256(Digest::of(b"")), custom: None };
    Targets {
        header: header::<Targets>(number),
        targets: paths.iter().map(|(path, length)| ((*path).to_owned(), target(*length))).collect(),
        delegations: None,
        lines: Lines::default(),
    }
}

fn delegated(name: &str, keys: RoleKeys, paths: &[&str]) -> DelegatedRole {
    let paths: Vec<_> = paths.iter().map(|path| pattern(path)).collect();
    DelegatedRole { name: name.to_owned(), keys, terminating: true, paths: paths.into() }
}

fn pattern(text: &str) -> PathPattern {
    PathPattern::try_from(text.to_owned()).unwrap()
}

/// Lets `role` speak for `more`, too.
fn widen(role: &mut DelegatedRole, more: &str) {
    let Paths::Patterns(patterns) = &mut role.paths else { unreachable!() };
    patterns.push(pattern(more));
}

/// Top-level targets as a vendor writes them: two of two for `security`, one for `bugfix`, and the
/// server's director.
fn vendor_targets() -> Targets {
    let security = [Signer::SecurityA, Signer::SecurityB];
    let roles = vec![
        delegated("security", role(&security, 2), &["security/*/*"]),
        delegated("bugfix", role(&[Signer::Bugfix], 1), &["bugfix/*/*"]),
        delegated(DIRECTOR, role(&[Signer::Director], 1), &[DIRECTOR]),
    ];
    let everybody = [&security[..], &[Signer::Bugfix, Signer::Director]].concat();
    let delegations = Some(Delegations { keys: keys(&everybody), roles, succinct_roles: None });
    Targets { delegations, ..targets(1, &[]) }
}

fn pinned(limits: Limits) -> TrustedRoot {
    let bytes =
        signed(&root(1, &[Signer::RootA, Signer::RootB, Signer::RootC]), &Signer::OLD_ROOTS);
    TrustedRoot::pin(&bytes, limits).unwrap()
}

fn awaiting_timestamp(limits: Limits) -> Trust {
    pinned(limits).settle(time(NOW)).unwrap()
}

fn awaiting_snapshot(limits: Limits, listed: FileMeta) -> TrustedTimestamp {
    let bytes = signed(&timestamp(1, listed), &[Signer::Timestamp]);
    awaiting_timestamp(limits).accept(&bytes).unwrap()
}

fn awaiting_targets(limits: Limits, snapshot: &Snapshot) -> TrustedSnapshot {
    let bytes = signed(snapshot, &[Signer::Snapshot]);
    let listed = FileMeta::of(snapshot.header.version, &bytes);
    awaiting_snapshot(limits, listed).accept(&bytes).unwrap()
}

/// A repository with `targets` on top, whose snapshot lists `roles` besides.
fn repository(limits: Limits, targets: &Targets, roles: &[(&str, u64)]) -> TrustedRepository {
    let listed = [&[("targets", targets.header.version.get())], roles].concat();
    awaiting_targets(limits, &snapshot(1, &listed))
        .accept(&signed(targets, &[Signer::Targets]))
        .unwrap()
}

#[track_caller]
fn refused<T: fmt::Debug>(result: Result<T, Refusal>, document: &str, rule: Rule) -> String {
    let refusal = result.unwrap_err();
    assert_eq!((refusal.document(), refusal.rule()), (document, rule), "{refusal}");
    refusal.to_string()
}
