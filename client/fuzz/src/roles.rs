//! The workflow of TUF: of what was never signed nothing is accepted, and of what is signed nothing
//! that breaks a rule.

use std::{collections::BTreeSet, fmt::Debug, sync::LazyLock};

use mainstay_client::tuf::{
    Authored, DelegatedRole, Envelope, FileMeta, KeyId, Limits, Metadata, PlanBinding, PublicKey,
    Refusal, RoleKeys, Root, Search, Snapshot, Targets, Timestamp, Trust, TrustedRepository,
    TrustedRoot, TrustedSnapshot, TrustedTimestamp, json, sign,
};
use serde::Serialize;
use serde_json::Value;

use super::{
    Seeds,
    repository::{
        ARTIFACT, Signer, expect_original, first_root, now, only_version, plan as plan_for,
        second_root, security, signed, signed_anew, snapshot as snapshot_of, timestamp as stamp,
        top_level_targets, version,
    },
};

static PINNED: LazyLock<TrustedRoot> =
    LazyLock::new(|| TrustedRoot::pin(&first_root(), Limits::DEFAULT).unwrap());

/// Timestamp 2, which lists snapshot 2, is trusted already.
static AWAITING_TIMESTAMP: LazyLock<Trust> = LazyLock::new(|| {
    let mut trust = PINNED.clone().settle(now()).unwrap();
    trust.recall(&timestamps()[0]);
    trust
});

/// Timestamp 3 lists snapshot 3, and snapshot 2 is trusted already.
static AWAITING_SNAPSHOT: LazyLock<TrustedTimestamp> = LazyLock::new(|| {
    let mut trusted = AWAITING_TIMESTAMP.clone().accept(&timestamps()[1]).unwrap();
    trusted.recall(&snapshots()[0]);
    trusted
});

static AWAITING_TARGETS: LazyLock<TrustedSnapshot> =
    LazyLock::new(|| AWAITING_SNAPSHOT.clone().accept(&snapshots()[1]).unwrap());

static REPOSITORY: LazyLock<TrustedRepository> = LazyLock::new(|| {
    AWAITING_TARGETS.clone().accept(&signed(&top_level_targets(), &[Signer::Targets])).unwrap()
});

/// The third announces the digest of the snapshot, too; the last is older than what is trusted.
fn timestamps() -> [Vec<u8>; 4] {
    let listed = FileMeta::of(version(3), &snapshots()[1]);
    [
        stamp(2, only_version(2)),
        stamp(3, only_version(3)),
        stamp(4, listed),
        stamp(1, only_version(2)),
    ]
}

fn snapshots() -> [Vec<u8>; 2] {
    let roles = [("targets", 1), ("security", 1)];
    [snapshot_of(2, &roles), snapshot_of(3, &[&roles[..], &[("bugfix", 4)]].concat())]
}

/// The message of a refusal is shown on terminals.
fn accepted<T>(result: Result<T, Refusal>) -> Option<T> {
    if let Err(refusal) = &result {
        let message = refusal.to_string();
        assert!(!message.chars().any(char::is_control), "{message:?}");
    }
    result.ok()
}

/// What is read as a document of a role is written as one that reads the same.
fn round_trip<M: Metadata + Serialize + PartialEq + Debug>(bytes: &[u8]) -> Option<M> {
    let envelope = accepted(Envelope::parse(M::KIND, bytes))?;
    let metadata: M = accepted(envelope.document())?;
    let again: M = serde_json::from_value(serde_json::to_value(&metadata).unwrap()).unwrap();
    assert_eq!(again, metadata);
    Some(metadata)
}

/// What is found to be written as Mainstay writes it is just that.
fn authored<M: Authored>(bytes: &[u8]) {
    let Some(envelope) = accepted(Envelope::parse(M::KIND, bytes)) else { return };
    if envelope.authoring_problems::<M>().is_empty() {
        let document: M = envelope.document().unwrap();
        let written = Envelope::parse(M::KIND, &sign(&document, &[]).unwrap()).unwrap();
        assert_eq!(written.signed_sha256(), envelope.signed_sha256());
    }
}

/// How many of the keys have signed, counted with no help from [`Envelope`].
pub(crate) fn signers(
    bytes: &[u8],
    role: &RoleKeys,
    key_of: impl Fn(&KeyId) -> Option<PublicKey>,
) -> u64 {
    let value = json::parse(bytes).unwrap();
    let message = json::canonical(&value["signed"]);
    let mut signers = BTreeSet::new();
    for signature in value["signatures"].as_array().unwrap() {
        let id: KeyId = signature["keyid"].as_str().unwrap().parse().unwrap();
        let Some(key) = key_of(&id).filter(|_| role.keyids.contains(&id)) else { continue };
        if key.verify(&message, signature["sig"].as_str().unwrap()) {
            signers.insert(key);
        }
    }
    signers.len() as u64
}

pub(crate) fn root(bytes: &[u8]) {
    round_trip::<Root>(bytes);
    authored::<Root>(bytes);
    if let Some(pinned) = accepted(TrustedRoot::pin(bytes, Limits::DEFAULT)) {
        let Root { keys, roles, .. } = pinned.root();
        let signers = signers(bytes, &roles.root, |id| keys.get(id).cloned());
        assert!(signers >= roles.root.threshold.get(), "{signers} signatures are too few");
        accepted(pinned.settle(now()));
    }
    let mut rotated = PINNED.clone();
    if accepted(rotated.rotate(bytes)).is_some() {
        expect_original(bytes, &[second_root()]);
    }
    let everybody = [&Signer::ROOTS[..], &Signer::NEW_ROOTS].concat();
    if let Some((_, anew)) = signed_anew(bytes, &everybody) {
        let mut rotated = PINNED.clone();
        match accepted(rotated.rotate(&anew)) {
            None => assert_eq!(rotated.root(), PINNED.root(), "a refused root has left something"),
            Some(_) => assert_eq!(rotated.version(), 2),
        }
    }
}

pub(crate) fn root_seeds() -> Seeds {
    vec![("first", first_root()), ("second", second_root())]
}

fn number<'a>(document: &'a Value, member: &str) -> Option<&'a Value> {
    document.get("meta")?.get(member)?.get("version")
}

pub(crate) fn timestamp(bytes: &[u8]) {
    round_trip::<Timestamp>(bytes);
    let expect_newer = |trusted: &TrustedTimestamp| {
        assert!(trusted.version() >= 2 && trusted.snapshot().version.get() >= 2, "rolled back");
        assert_eq!(trusted.is_new(), trusted.version() > 2);
    };
    if let Some(trusted) = accepted(AWAITING_TIMESTAMP.clone().accept(bytes)) {
        expect_original(bytes, &timestamps());
        expect_newer(&trusted);
    }
    if let Some((content, anew)) = signed_anew(bytes, &[Signer::Timestamp])
        && let Some(trusted) = accepted(AWAITING_TIMESTAMP.clone().accept(&anew))
    {
        expect_newer(&trusted);
        assert_eq!(content["_type"], "timestamp");
        assert_eq!(content["version"], trusted.version());
    }
}

pub(crate) fn timestamp_seeds() -> Seeds {
    let [trusted, newer, announced, older] = timestamps();
    vec![("trusted", trusted), ("newer", newer), ("announced", announced), ("older", older)]
}

pub(crate) fn snapshot(bytes: &[u8]) {
    round_trip::<Snapshot>(bytes);
    if accepted(AWAITING_SNAPSHOT.clone().accept(bytes)).is_some() {
        expect_original(bytes, &snapshots());
    }
    if let Some((content, anew)) = signed_anew(bytes, &[Signer::Snapshot])
        && let Some(trusted) = accepted(AWAITING_SNAPSHOT.clone().accept(&anew))
    {
        assert_eq!(content["_type"], "snapshot");
        assert_eq!(content["version"], 3);
        for name in ["targets.json", "security.json"] {
            assert!(number(&content, name).and_then(Value::as_u64) >= Some(1), "{name} is lost");
        }
        assert_eq!(
            number(&content, "targets.json").unwrap().as_u64(),
            Some(accepted(trusted.targets()).unwrap().version.get())
        );
    }
}

pub(crate) fn snapshot_seeds() -> Seeds {
    let [trusted, newer] = snapshots();
    vec![("trusted", trusted), ("newer", newer)]
}

pub(crate) fn targets(bytes: &[u8]) {
    authored::<Targets>(bytes);
    if let Some(targets) = round_trip::<Targets>(bytes) {
        for target in targets.targets.values() {
            let _ = (target.custom(), target.hashes.file_name_prefix());
            let _ = target.hashes.check(b"");
        }
        let roles = targets.delegations.iter().flat_map(|delegations| &delegations.roles);
        for DelegatedRole { paths, .. } in roles {
            paths.cover(ARTIFACT);
        }
    }
    if accepted(AWAITING_TARGETS.clone().accept(bytes)).is_some() {
        expect_original(bytes, &[signed(&top_level_targets(), &[Signer::Targets])]);
    }
    let mut repository = REPOSITORY.clone();
    if accepted(repository.accept_role("security", bytes)).is_some() {
        expect_original(bytes, &[security()]);
    }
    if let Some((content, anew)) = signed_anew(bytes, &[Signer::Targets])
        && let Some(repository) = accepted(AWAITING_TARGETS.clone().accept(&anew))
    {
        assert_eq!((&content["_type"], &content["version"]), (&"targets".into(), &1.into()));
        search(repository);
    }
}

/// Whatever the top-level targets delegate, a search asks for a role or ends.
fn search(repository: TrustedRepository) {
    for path in repository.targets().targets.keys() {
        assert!(matches!(repository.search(path), Ok(Search::Found(_))));
    }
    let mut repository = repository;
    let document = security();
    for _ in 0..=Limits::DEFAULT.delegations_max {
        let Some(Search::Load(load)) = accepted(repository.search(ARTIFACT)) else { return };
        if accepted(repository.accept(&load, &document)).is_none() {
            return;
        }
    }
    unreachable!("a search does not end");
}

pub(crate) fn targets_seeds() -> Seeds {
    let mut alike = serde_json::to_value(top_level_targets()).unwrap();
    alike["delegations"] = serde_json::json!({
        "keys": alike["delegations"]["keys"],
        "succinct_roles": {
            "keyids": alike["delegations"]["roles"][0]["keyids"], "threshold": 2,
            "bit_length": 4, "name_prefix": "bin",
        },
    });
    let mut prefixes = serde_json::to_value(top_level_targets()).unwrap();
    let security_role = prefixes["delegations"]["roles"][0].as_object_mut().unwrap();
    security_role.remove("paths");
    security_role.insert("path_hash_prefixes".to_owned(), serde_json::json!(["00", "c14c"]));
    vec![
        ("top-level", signed(&top_level_targets(), &[Signer::Targets])),
        ("security", security()),
        ("succinct", serde_json::to_vec(&alike).unwrap()),
        ("prefixes", serde_json::to_vec(&prefixes).unwrap()),
    ]
}

pub(crate) fn plan(bytes: &[u8]) {
    let binding = PlanBinding {
        product: "vault".parse().unwrap(),
        customer: "acme".parse().unwrap(),
        machine: "m-1".parse().unwrap(),
        version_min: 7,
    };
    if accepted(REPOSITORY.plan(bytes, &binding)).is_some() {
        expect_original(bytes, &[plan_for("m-1")]);
    }
    let Some((content, anew)) = signed_anew(bytes, &[Signer::Director]) else { return };
    let Some(plan) = accepted(REPOSITORY.plan(&anew, &binding)) else { return };
    assert_eq!(
        (&plan.product, &plan.customer, &plan.machine),
        (&binding.product, &binding.customer, &binding.machine)
    );
    assert!(plan.version >= binding.version_min && plan.expires > now());
    assert_eq!((&content["_type"], &content["format"]), (&"plan".into(), &1.into()));
    let written = serde_json::to_value(&plan).unwrap();
    assert_eq!(serde_json::from_value::<mainstay_client::format::Plan>(written).unwrap(), plan);
}

pub(crate) fn plan_seeds() -> Seeds {
    let mut stay = json::parse(&plan_for("m-1")).unwrap()["signed"].take();
    stay["action"] = serde_json::json!({ "do": "stay" });
    let mut asked = stay.clone();
    asked["retry"] = serde_json::json!({ "number": 4, "version": "2.4.1", "reason": "r" });
    asked["collect"] = serde_json::json!({
        "number": 5, "reason": "r", "ticket": "t", "expires": "2030-01-01T00:00:00Z",
    });
    let mut by_deltas = json::parse(&plan_for("m-1")).unwrap()["signed"].take();
    let target = &mut by_deltas["action"]["target"];
    let step = |profile| {
        serde_json::json!({
            "profile": profile, "length": 8, "sha256": target["artifact"]["sha256"],
            "payload_length": 9, "payload_sha256": target["manifest"]["sha256"],
        })
    };
    target["deltas"] = serde_json::json!([
        { "from": "1.0.0", "steps": [step("fast"), step("compact")] },
        { "from": "0.9.0", "steps": [step("later")] },
    ]);
    vec![
        ("rollback", plan_for("m-1")),
        ("other-machine", plan_for("m-2")),
        ("stay", serde_json::to_vec(&stay).unwrap()),
        ("retry-and-collect", serde_json::to_vec(&asked).unwrap()),
        ("deltas", serde_json::to_vec(&by_deltas).unwrap()),
    ]
}
