//! A repository of which every signature is known: what no input may forge.

use std::{collections::BTreeMap, num::NonZeroU64, sync::LazyLock};

use jiff::Timestamp as Instant;
use mainstay_client::{
    format::{Channel, Digest, Lines, Plan, Version},
    tuf::{
        DIRECTOR, DelegatedRole, Delegations, FileMeta, Hashes, Header, KeyId, Metadata,
        PathPattern, Paths, PublicKey, RoleKeys, Root, RootRoles, SigningKey, Snapshot, Target,
        TargetKind, Targets, TargetsCustom, Timestamp, json, sign,
    },
};
use serde::Serialize;
use serde_json::Value;

/// Everybody who signs something, by what they may sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signer {
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
    Director,
}

impl Signer {
    pub(crate) const ROOTS: [Self; 3] = [Self::RootA, Self::RootB, Self::RootC];
    pub(crate) const NEW_ROOTS: [Self; 2] = [Self::NewRootA, Self::NewRootB];

    const COUNT: u8 = Self::Director as u8 + 1;

    /// Made once: it takes longer than what is fuzzed.
    fn keys(self) -> &'static (SigningKey, KeyId, PublicKey) {
        static KEYS: LazyLock<Vec<(SigningKey, KeyId, PublicKey)>> = LazyLock::new(|| {
            let keys = |seed| {
                let key = SigningKey::from_seed(&[seed; 32]);
                let public = key.public();
                (key, public.id(), public)
            };
            (1..=Signer::COUNT).map(keys).collect()
        });
        &KEYS[self as usize]
    }

    fn key(self) -> &'static SigningKey {
        &self.keys().0
    }

    fn id(self) -> KeyId {
        self.keys().1.clone()
    }

    pub(crate) fn public(self) -> PublicKey {
        self.keys().2.clone()
    }
}

/// The time of every refresh.
pub(crate) fn now() -> Instant {
    "2026-06-01T00:00:00Z".parse().unwrap()
}

pub(crate) fn version(number: u64) -> NonZeroU64 {
    NonZeroU64::new(number).unwrap()
}

pub(crate) fn header<M: Metadata>(number: u64) -> Header {
    Header::new::<M>(version(number), "2026-07-01T00:00:00Z".parse().unwrap())
}

pub(crate) fn keys(signers: &[Signer]) -> BTreeMap<KeyId, PublicKey> {
    signers.iter().map(|signer| (signer.id(), signer.public())).collect()
}

pub(crate) fn role(signers: &[Signer], threshold: u64) -> RoleKeys {
    let keyids = signers.iter().map(|signer| signer.id()).collect();
    RoleKeys { keyids, threshold: version(threshold) }
}

pub(crate) fn signed(document: &impl Serialize, signers: &[Signer]) -> Vec<u8> {
    let signers: Vec<_> =
        signers.iter().map(|signer| signer.key() as &dyn mainstay_client::tuf::Signer).collect();
    sign(document, &signers).unwrap()
}

/// What `bytes` say, or what a document of theirs says, signed by those who may say it: the
/// signatures do not keep an input from the rules behind them.
pub(crate) fn signed_anew(bytes: &[u8], signers: &[Signer]) -> Option<(Value, Vec<u8>)> {
    let mut value = json::parse(bytes).ok()?;
    let content = value.get_mut("signed").map(Value::take).unwrap_or(value);
    let bytes = signed(&content, signers);
    Some((content, bytes))
}

/// The canonical form of what was signed.
pub(crate) fn content(document: &[u8]) -> Vec<u8> {
    json::canonical(&json::parse(document).unwrap()["signed"])
}

/// No other document than these was ever signed.
pub(crate) fn expect_original(document: &[u8], originals: &[Vec<u8>]) {
    let accepted = content(document);
    assert!(
        originals.iter().any(|original| content(original) == accepted),
        "forged: {}",
        String::from_utf8_lossy(document)
    );
}

/// A root that two of `roots` must sign.
pub(crate) fn root(number: u64, roots: &[Signer]) -> Root {
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

pub(crate) fn first_root() -> Vec<u8> {
    signed(&root(1, &Signer::ROOTS), &[Signer::RootA, Signer::RootB])
}

pub(crate) fn second_root() -> Vec<u8> {
    let signers = [Signer::RootB, Signer::RootC, Signer::NewRootA, Signer::NewRootB];
    signed(&root(2, &Signer::NEW_ROOTS), &signers)
}

/// An announcement of a version and nothing more.
pub(crate) fn only_version(number: u64) -> FileMeta {
    FileMeta { version: version(number), length: None, hashes: None }
}

pub(crate) fn timestamp(number: u64, snapshot: FileMeta) -> Vec<u8> {
    let meta = BTreeMap::from([(Timestamp::SNAPSHOT.to_owned(), snapshot)]);
    signed(&Timestamp { header: header::<Timestamp>(number), meta }, &[Signer::Timestamp])
}

pub(crate) fn snapshot(number: u64, roles: &[(&str, u64)]) -> Vec<u8> {
    let meta = roles
        .iter()
        .map(|(name, number)| (format!("{name}.json"), only_version(*number)))
        .collect();
    signed(&Snapshot { header: header::<Snapshot>(number), meta }, &[Signer::Snapshot])
}

pub(crate) fn delegated(name: &str, keys: RoleKeys, path: &str) -> DelegatedRole {
    let pattern = PathPattern::try_from(path.to_owned()).unwrap();
    let paths = Paths::Patterns(vec![pattern]);
    DelegatedRole { name: name.to_owned(), keys, terminating: true, paths }
}

/// The top-level targets: two of two for `security`, and the server's director.
pub(crate) fn top_level_targets() -> Targets {
    let security = [Signer::SecurityA, Signer::SecurityB];
    let roles = vec![
        delegated("security", role(&security, 2), "security/*/*"),
        delegated(DIRECTOR, role(&[Signer::Director], 1), DIRECTOR),
    ];
    let keys = keys(&[Signer::SecurityA, Signer::SecurityB, Signer::Director]);
    Targets {
        header: header::<Targets>(1),
        targets: BTreeMap::new(),
        delegations: Some(Delegations { keys, roles, succinct_roles: None }),
        lines: Lines::default(),
    }
}

pub(crate) const ARTIFACT: &str = "security/1.0.1/linux-x86_64.tar.zst";

pub(crate) fn security() -> Vec<u8> {
    let custom = TargetsCustom {
        kind: TargetKind::Artifact { platform: "linux-x86_64".parse().unwrap() },
        version: "1.0.1".parse::<Version>().unwrap(),
    };
    let target = Target {
        hashes: Hashes { sha256: Some(Digest::of(b"artifact")), sha512: None },
        ..Target::new(8, Digest::of(b"artifact"), &custom).unwrap()
    };
    let targets = Targets {
        header: header::<Targets>(1),
        targets: BTreeMap::from([(ARTIFACT.to_owned(), target)]),
        delegations: None,
        lines: Lines::default(),
    };
    signed(&targets, &[Signer::SecurityA, Signer::SecurityB])
}

/// The plan of `machine`.
pub(crate) fn plan(machine: &str) -> Vec<u8> {
    let file = |path: String, bytes: &[u8]| {
        serde_json::json!({
            "path": path, "length": bytes.len(), "sha256": Digest::of(bytes),
        })
    };
    let plan: Plan = serde_json::from_value(serde_json::json!({
        "_type": Plan::KIND,
        "format": 1,
        "version": 7,
        "product": "vault",
        "customer": "acme",
        "machine": machine,
        "issued": "2026-06-01T00:00:00Z",
        "expires": "2026-06-08T00:00:00Z",
        "action": {
            "do": "rollback",
            "target": {
                "version": "1.0.1",
                "channel": Channel::Security,
                "manifest": file("security/1.0.1/release.json".to_owned(), b"manifest"),
                "artifact": file(ARTIFACT.to_owned(), b"artifact"),
            },
            "order": { "number": 3, "reason": "it crashes", "ticket": "T-1" },
        },
        "withheld": [{
            "version": "2.0.0", "channel": "major", "code": "CHANNEL_NOT_COVERED",
            "message": "the contract does not have major upgrades", "alternative": "1.0.1",
        }],
        "notices": [{ "code": "LINE_EOS", "message": "line 1.0 ends soon" }],
        "poll_seconds": 900,
    }))
    .unwrap();
    signed(&plan, &[Signer::Director])
}
