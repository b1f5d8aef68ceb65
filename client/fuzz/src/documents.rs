use std::fmt::Debug;

use mainstay_client::{
    format::{
        Digest, ReleaseDescription, ReleaseManifest, TargetPath,
        wire::{
            AmendMetadataRequest, AmendMetadataResponse, CheckRequest, CheckResponse,
            CreateProductRequest, EnrollRequest, EnrollResponse, KnownMetadata, Problem,
            PublishResponse, PublishingState, ReportRequest, RetireRequest, RetireResponse,
            ServerKeys, UploadState,
        },
    },
    tuf::{Envelope, PublicKey, SigningKey, json},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{
    Seeds,
    repository::{Signer, first_root, keys as keys_of, role, signed},
    roles::signers,
};

/// Signatures are counted as the book says, whatever stands in the envelope.
pub(crate) fn envelope(bytes: &[u8]) {
    let envelope = match Envelope::parse("document", bytes) {
        Ok(envelope) => envelope,
        Err(refusal) => {
            let message = refusal.to_string();
            assert!(!message.chars().any(char::is_control), "{message:?}");
            return;
        }
    };
    let mut ids: Vec<_> = envelope.signatures().iter().map(|signature| &signature.keyid).collect();
    assert!(ids.len() <= Envelope::SIGNATURES_MAX);
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), envelope.signatures().len(), "one key has signed twice");
    let value = json::parse(bytes).unwrap();
    assert_eq!(envelope.document::<Value>().unwrap(), value["signed"]);
    let keys = keys_of(&Signer::ROOTS);
    for threshold in 1..=3 {
        let role = role(&Signer::ROOTS, threshold);
        let enough = signers(bytes, &role, |id| keys.get(id).cloned()) >= threshold;
        assert_eq!(envelope.verify(&keys, &role).is_ok(), enough, "threshold {threshold}");
    }
}

pub(crate) fn envelope_seeds() -> Seeds {
    let document = serde_json::json!({ "n": [1, "\u{e9}\n"] });
    vec![
        ("nobody", signed(&document, &[])),
        ("one", signed(&document, &[Signer::RootA])),
        ("two-and-a-stranger", signed(&document, &[Signer::RootA, Signer::RootB, Signer::Targets])),
        ("three", signed(&document, &Signer::ROOTS)),
        ("root", first_root()),
    ]
}

/// A key is written as it can be read, and has one identifier; a private key signs for its public
/// half.
pub(crate) fn keys(bytes: &[u8]) {
    if let Ok(key) = json::from_slice::<PublicKey>(bytes) {
        let written = serde_json::to_value(&key).unwrap();
        let again: PublicKey = serde_json::from_value(written).unwrap();
        assert_eq!(again, key);
        assert_eq!(again.id(), key.id());
        for signature in ["", "00", &"0".repeat(128), &"30".repeat(64)] {
            assert!(!key.verify(b"message", signature), "a key verifies anything");
        }
    }
    let Ok(text) = str::from_utf8(bytes) else { return };
    if let Ok(key) = SigningKey::from_pem(text, || None) {
        assert!(key.public().verify(b"message", &key.sign(b"message")));
        assert!(!key.public().verify(b"massage", &key.sign(b"message")));
    }
}

/// A key that signs nothing but tests.
const TEST_PRIVATE_KEY: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIAcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH
-----END PRIVATE KEY-----
";

pub(crate) fn keys_seeds() -> Seeds {
    let known = include_str!("../../../fixtures/keys/TEST-public-keys.json");
    let known: Vec<Value> = serde_json::from_str(known).unwrap();
    let names = ["ed25519", "ecdsa", "ecdsa-point", "ecdsa-point-old", "ecdsa-old", "rsa"];
    names
        .into_iter()
        .zip(known)
        .map(|(name, known)| (name, serde_json::to_vec(&known["key"]).unwrap()))
        .chain([("private", TEST_PRIVATE_KEY.as_bytes().to_vec())])
        .collect()
}

/// The passphrase of the encrypted keys that are made up.
const PASSPHRASE: &str = "fuzz";

/// What is opened with a passphrase is a key like any other, and opens without much work.
pub(crate) fn encrypted_key(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let Ok(key) = SigningKey::from_pem(text, || Some(PASSPHRASE.to_owned().into())) else { return };
    assert!(key.public().verify(b"message", &key.sign(b"message")));
}

pub(crate) fn encrypted_key_seeds() -> Seeds {
    const SCRYPT: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----
MIGTME8GCSqGSIb3DQEFDTBCMCEGCSsGAQQB2kcECzAUBAgquEOO02NyegICBAAC
AQgCAQEwHQYJYIZIAWUDBAEqBBDysZoB3aTevkvfJavY7Zj2BEAn7rcflCu+l2cm
53xKtqYV/PlrNOAtuUW2PUSNmfaQVDNgvDYoSbJbpMOe+bOWxphpUMu/2jjmVJdf
V1swoiTH
-----END ENCRYPTED PRIVATE KEY-----
";
    const PBKDF2: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----
MIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAgg54ILohZQ0AICCAAw
DAYIKoZIhvcNAgkFADAdBglghkgBZQMEAQIEEIPa3b5Yd5FxKZ4sPT76KTgEQH9e
KvokGqY5ihjiZotL/RVQh4+va+5gbKviBzt32SnTCDy89wcPwqATInIE8jGIxKAv
QGHSzmfQaKd0cnjnbhI=
-----END ENCRYPTED PRIVATE KEY-----
";
    vec![
        ("plain", TEST_PRIVATE_KEY.as_bytes().to_vec()),
        ("scrypt", SCRYPT.as_bytes().to_vec()),
        ("pbkdf2", PBKDF2.as_bytes().to_vec()),
    ]
}

/// A manifest, or the description in an artifact: all that is wrong is said, and what is right can
/// be published.
pub(crate) fn release(bytes: &[u8]) {
    if let Ok(manifest) = json::from_slice::<ReleaseManifest>(bytes) {
        expect_printable(&manifest.problems());
        for path in manifest.artifacts.keys().map(|platform| manifest.artifact_path(platform)) {
            assert_eq!(path.to_string().parse::<TargetPath>().unwrap(), path);
        }
        let path = manifest.path();
        assert_eq!(path.to_string().parse::<TargetPath>().unwrap(), path);
        let targets = manifest.targets(bytes).unwrap();
        assert_eq!(targets.len(), manifest.artifacts.len() + 1);
        assert!(targets.values().all(|target| target.custom().is_some()));
        let written = serde_json::to_vec(&manifest).unwrap();
        assert_eq!(json::from_slice::<ReleaseManifest>(&written).unwrap(), manifest);
    }
    let Ok(text) = str::from_utf8(bytes) else { return };
    let Ok(description) = toml::from_str::<ReleaseDescription>(text) else { return };
    expect_printable(&description.problems());
    let written = toml::to_string(&description).unwrap();
    assert_eq!(toml::from_str::<ReleaseDescription>(&written).unwrap(), description);
}

fn expect_printable(problems: &[String]) {
    for problem in problems {
        assert!(!problem.chars().any(char::is_control), "{problem:?}");
    }
}

pub(crate) fn release_seeds() -> Seeds {
    let digest = Digest::of(b"");
    let manifest = serde_json::json!({
        "format": 1, "product": "vault", "version": "1.0.1", "channel": "security",
        "severity": "critical", "published_at": "2026-06-01T00:00:00Z",
        "effective_at": "2026-05-01T00:00:00Z", "advisories": ["CVE-2026-1234"],
        "requires_addons": ["cluster"], "audience": ["eu"], "courtesy": true,
        "min_from": "1.0.0", "floor": "1.0.0", "notes": "Mends it.\n",
        "artifacts": { "linux-x86_64": {
            "length": 10, "sha256": digest, "payload_length": 1024, "payload_sha256": digest,
            "window_log": 10, "health": {
                "command": ["bin/vault", "--self-test"], "timeout_seconds": 30,
                "confirm_within_seconds": 600, "grace_seconds": 20, "retries": 2,
                "retry_after_seconds": 5,
            },
            "hooks": { "before": { "command": ["bin/stop"], "timeout_seconds": 60 },
                "after": { "command": ["bin/start"] } },
            "data": { "reads": { "from": 5, "to": 7 }, "writes": 7 },
        } },
    });
    let wrong = serde_json::json!({
        "format": 2, "product": "vault", "version": "1.1.0-rc.1", "channel": "major",
        "severity": "minor", "published_at": "2026-06-01T00:00:00Z",
        "effective_at": "2026-07-01T00:00:00Z", "notes": "", "artifacts": { "linux-x86_64": {
            "length": 0, "sha256": digest, "payload_length": u64::MAX, "payload_sha256": digest,
            "window_log": 99, "health": { "command": ["../\u{1b}[31m", "\0"] },
        } },
    });
    let description = "[health]\ncommand = [\"bin/vault\"] # below the tree\n\
                       timeout_seconds = 30\nconfirm_within_seconds = 600\n\
                       [hooks.after]\ncommand = [\"bin/start\"]\n\
                       [data]\nreads = { from = 5, to = 7 }\nwrites = 7\n";
    vec![
        ("manifest", serde_json::to_vec_pretty(&manifest).unwrap()),
        ("all-wrong", serde_json::to_vec(&wrong).unwrap()),
        ("description", description.as_bytes().to_vec()),
    ]
}

/// What a machine and a server say to each other is written as it can be read.
pub(crate) fn wire(bytes: &[u8]) {
    let Ok(value) = json::parse(bytes) else { return };
    round_trip::<AmendMetadataRequest>(&value);
    round_trip::<AmendMetadataResponse>(&value);
    round_trip::<CheckRequest>(&value);
    round_trip::<CheckResponse>(&value);
    round_trip::<CreateProductRequest>(&value);
    round_trip::<EnrollRequest>(&value);
    round_trip::<EnrollResponse>(&value);
    round_trip::<KnownMetadata>(&value);
    round_trip::<Problem>(&value);
    round_trip::<PublishResponse>(&value);
    round_trip::<PublishingState>(&value);
    round_trip::<ReportRequest>(&value);
    round_trip::<RetireRequest>(&value);
    round_trip::<RetireResponse>(&value);
    round_trip::<ServerKeys>(&value);
    round_trip::<UploadState>(&value);
}

fn round_trip<T: Serialize + DeserializeOwned + Debug>(value: &Value) {
    let Ok(document) = serde_json::from_value::<T>(value.clone()) else { return };
    let written = serde_json::to_vec(&document).unwrap();
    let again: T = json::from_slice(&written).unwrap();
    assert_eq!(serde_json::to_vec(&again).unwrap(), written);
}

pub(crate) fn wire_seeds() -> Seeds {
    let key = Signer::Director.public();
    let known = serde_json::json!({
        "root": 1, "timestamp": 2, "snapshot": 2, "targets": 1, "channels": { "security": 4 },
    });
    let documents = [
        (
            "check-request",
            serde_json::json!({
                "product": "vault", "platform": "linux-x86_64", "running": "1.0.0",
                "known": known, "agent": "0.1.0",
                "waits": { "version": "1.0.1", "for": { "window": "2026-06-06T22:00:00Z" } },
            }),
        ),
        (
            "check-response",
            serde_json::json!({ "plan": "{}", "metadata": { "2.root.json": "{}" } }),
        ),
        (
            "create-product",
            serde_json::json!({ "product": "vault", "root": "{}", "targets": "{}" }),
        ),
        (
            "enroll-request",
            serde_json::json!({
                "activation_key": "mak_1", "product": "vault", "platform": "linux-x86_64",
                "host": "db-1", "public_key": key, "proof": "00",
            }),
        ),
        (
            "enroll-response",
            serde_json::json!({
                "machine": "m-1", "customer": "acme", "contract": "acme-1", "token": "mmt_1",
                "root": "{}",
            }),
        ),
        (
            "problem",
            serde_json::json!({
                "type": "urn:mainstay:problem:HELD", "title": "Held", "status": 403,
                "code": "HELD", "detail": "it is held", "problems": ["one"],
            }),
        ),
        (
            "publish",
            serde_json::json!({
                "expected_revision": 1, "manifest": "{}", "channel_metadata": "{}",
            }),
        ),
        (
            "publishing",
            serde_json::json!({
                "revision": 1, "now": "2026-06-01T00:00:00Z", "metadata": {},
            }),
        ),
        (
            "report",
            serde_json::json!({ "product": "vault", "running": null, "events": [{
                "number": 1, "kind": "rolled_back", "from": "1.0.1", "to": "1.0.0", "order": 3,
                "detail": "it crashed",
            }, {
                "number": 2, "kind": "installed", "from": "1.0.0", "to": "1.0.2", "detail": "",
                "fetched": {
                    "by": "full", "bytes": 4096, "failed": [{ "by": "delta", "why": "it is gone" }],
                },
            }] }),
        ),
        ("keys", serde_json::json!({ "timestamp": key, "snapshot": key, "director": key })),
        (
            "retire-request",
            serde_json::json!({
                "expected_revision": 1, "versions": ["1.0.1"],
                "roles": { "archive": "{}", "bugfix": "{}" },
            }),
        ),
        (
            "retire-response",
            serde_json::json!({ "product": "vault", "versions": ["1.0.1"], "revision": 2 }),
        ),
        (
            "amend-request",
            serde_json::json!({
                "expected_revision": 1, "root": "{}", "targets": "{}",
                "channels": { "bugfix": "{}" },
            }),
        ),
        ("amend-response", serde_json::json!({ "product": "vault", "revision": 2 })),
        ("upload", serde_json::json!({ "received": 5, "complete": false })),
    ];
    documents.map(|(name, document)| (name, serde_json::to_vec(&document).unwrap())).into()
}
