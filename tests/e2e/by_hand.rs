//! What publishers and machines do, done by hand so that it can also be done wrongly.

use std::{collections::BTreeMap, fs, num::NonZeroU64, path::Path};

use jiff::SignedDuration;
use mainstay::{
    policy::RolloutWish,
    service::{access::IssuedToken, publish::PublishRequest},
};
use mainstay_client::{
    format::{
        Artifact, Channel, Digest, HealthCheck, Hooks, Lines, Plan, Platform, RELEASE_FORMAT,
        ReleaseManifest, Severity,
        wire::{
            CheckRequest, CheckResponse, EnrollRequest, EnrollResponse, KnownMetadata,
            PublishingState,
        },
    },
    pack::{self, Compression, Compressor},
    tuf::{
        self, Envelope, Header, Limits, PlanBinding, Signer, SigningKey, Targets,
        TrustedRepository, TrustedRoot,
    },
};
use serde_json::{Value, json};

use crate::{
    harness::{PRODUCT, Server, eventually},
    http::Answer,
};

/// An artifact and what a manifest says of it.
pub(crate) struct Packed {
    pub(crate) artifact: Artifact,
    pub(crate) bytes: Vec<u8>,
}

impl Packed {
    /// Packs a tree of [`Server::tree`].
    pub(crate) fn tree(tree: &Path) -> Self {
        let limits = pack::Limits::default();
        let (payload, _) = pack::pack_tree(tree, Vec::new(), &limits, &mut |_| ()).unwrap();
        Self::payload(&payload, Some(health_check("bin/run")))
    }

    /// Compresses a payload, whatever it is.
    pub(crate) fn payload(payload: &[u8], health: Option<HealthCheck>) -> Self {
        let compression = Compression { level: 1, window_log: 20, workers: 0 };
        let mut compressor = Compressor::new(Vec::new(), compression).unwrap();
        std::io::Write::write_all(&mut compressor, payload).unwrap();
        let bytes = compressor.finish().unwrap();
        let artifact = Artifact {
            length: bytes.len() as u64,
            sha256: Digest::of(&bytes),
            payload_length: payload.len() as u64,
            payload_sha256: Digest::of(payload),
            window_log: compression.window_log,
            health,
            hooks: Hooks::default(),
            data: None,
            requires: mainstay_client::format::Requirements::default(),
        };
        Self { artifact, bytes }
    }

    /// Uploads the artifact in one piece.
    pub(crate) fn upload(&self, server: &Server) {
        let path = upload_path(&self.artifact.sha256, 0, self.bytes.len());
        server.request("PATCH", &path, &server.admin_token(), &self.bytes).has_status(200);
    }
}

/// Where bytes from `offset` on of the blob `digest`, which has `length` bytes, are sent.
pub(crate) fn upload_path(digest: &Digest, offset: usize, length: usize) -> String {
    format!("/v1/uploads/{digest}?offset={offset}&length={length}")
}

/// A check that runs `program`.
pub(crate) fn health_check(program: &str) -> HealthCheck {
    HealthCheck::of(vec![program.to_owned()])
}

/// A release that is about to be published: sound, unless somebody changes it.
pub(crate) struct Candidate {
    pub(crate) state: PublishingState,
    pub(crate) manifest: ReleaseManifest,
    release_key: SigningKey,
}

impl Candidate {
    /// A release that works, built upon what is published now; its artifact is uploaded.
    pub(crate) fn new(server: &Server, version: &str, channel: Channel) -> Self {
        let packed = Packed::tree(&server.tree(version));
        packed.upload(server);
        Self::with_artifact(server, version, channel, packed.artifact)
    }

    /// A release of `artifact`, built upon what is published now.
    pub(crate) fn with_artifact(
        server: &Server,
        version: &str,
        channel: Channel,
        artifact: Artifact,
    ) -> Self {
        let state = server.publishing_state();
        let manifest = ReleaseManifest {
            format: RELEASE_FORMAT,
            product: PRODUCT.parse().unwrap(),
            version: version.parse().unwrap(),
            channel,
            private_channel: None,
            severity: Severity::Minor,
            published_at: state.now,
            effective_at: state.now,
            advisories: Vec::new(),
            requires_addons: Vec::new(),
            audience: Vec::new(),
            courtesy: false,
            min_from: None,
            floor: None,
            notes: format!("Notes of {version}.\n"),
            artifacts: BTreeMap::from([(Platform::of_this_program(), artifact)]),
        };
        Self { state, manifest, release_key: server.vendor_key("release") }
    }

    /// The artifact that the manifest describes.
    pub(crate) fn artifact(&mut self) -> &mut Artifact {
        self.manifest.artifacts.values_mut().next().unwrap()
    }

    fn manifest_text(&self) -> String {
        serde_json::to_string(&self.manifest).unwrap()
    }

    /// The channel with the release added.
    pub(crate) fn channel_metadata(&self) -> Targets {
        let previous = self.state.metadata.get(&format!("{}.json", self.manifest.channel));
        let previous: Option<Targets> = previous
            .map(|text| Envelope::parse("channel", text.as_bytes()).unwrap().document().unwrap());
        let version = previous.as_ref().map_or(0, |previous| previous.header.version.get()) + 1;
        let expires = self.state.now + SignedDuration::from_hours(90 * 24);
        let mut targets = previous.map(|previous| previous.targets).unwrap_or_default();
        targets.extend(self.manifest.targets(self.manifest_text().as_bytes()).unwrap());
        Targets {
            header: Header::of::<Targets>(
                PRODUCT.parse().unwrap(),
                NonZeroU64::new(version).unwrap(),
                expires,
            ),
            targets,
            delegations: None,
            lines: Lines::default(),
        }
    }

    /// The request that commits the release with `channel`, signed by `keys`.
    pub(crate) fn request(&self, channel: &Targets, keys: &[&dyn Signer]) -> PublishRequest {
        PublishRequest {
            expected_revision: self.state.revision,
            manifest: self.manifest_text(),
            channel_metadata: String::from_utf8(tuf::sign(channel, keys).unwrap()).unwrap(),
            rollout: RolloutWish::at_once(),
        }
    }

    /// Commits the release as it is.
    pub(crate) fn commit(&self, server: &Server) -> Answer {
        self.commit_channel(server, &self.channel_metadata())
    }

    /// Commits the release with `channel`, signed by the release key.
    pub(crate) fn commit_channel(&self, server: &Server, channel: &Targets) -> Answer {
        self.commit_signed(server, channel, &[&self.release_key])
    }

    /// Commits the release with `channel`, signed by `keys`.
    pub(crate) fn commit_signed(
        &self,
        server: &Server,
        channel: &Targets,
        keys: &[&dyn Signer],
    ) -> Answer {
        server.post(&format!("/v1/products/{PRODUCT}/releases"), &self.request(channel, keys))
    }
}

/// Everything that a publish changes.
#[derive(Debug, PartialEq)]
pub(crate) struct Visible {
    pub(crate) releases: Vec<Value>,
    pub(crate) revision: u64,
    pub(crate) metadata: BTreeMap<String, String>,
}

impl Visible {
    /// The versions that are published.
    pub(crate) fn versions(&self) -> Vec<&str> {
        let versions = self.releases.iter().map(|release| release["release"]["version"].as_str());
        versions.map(Option::unwrap).collect()
    }
}

impl Server {
    /// What a publisher builds the next release upon.
    pub(crate) fn publishing_state(&self) -> PublishingState {
        self.get(&format!("/v1/products/{PRODUCT}/publishing")).has_status(200).json()
    }

    /// Makes a token with `role` whose last second has begun.
    pub(crate) fn expiring_token(&self, role: &str) -> IssuedToken {
        // The server may come to read the request only when that second is over.
        eventually("a token in its last second", || {
            let expires_at = self.publishing_state().now + SignedDuration::from_secs(1);
            let request = json!({ "role": role, "label": "short", "expires_at": expires_at });
            let answer = self.post("/v1/tokens", &request);
            (answer.status == 201).then(|| answer.json())
        })
    }

    /// What is published.
    pub(crate) fn visible(&self) -> Visible {
        let releases = self.get(&format!("/v1/products/{PRODUCT}/releases"));
        let PublishingState { revision, metadata, .. } = self.publishing_state();
        Visible { releases: releases.has_status(200).json(), revision, metadata }
    }

    /// One of the vendor's unencrypted keys.
    pub(crate) fn vendor_key(&self, name: &str) -> SigningKey {
        let pem = fs::read_to_string(self.path(&format!("keys/{name}.pem"))).unwrap();
        SigningKey::from_pem(&pem, || None).unwrap()
    }

    /// Enrols a machine for [`PRODUCT`].
    pub(crate) fn enroll(&self, activation_key: &str) -> BareMachine {
        let key = SigningKey::generate().unwrap();
        let product = PRODUCT.parse().unwrap();
        let proof =
            key.sign(&EnrollRequest::proof_message(activation_key, &product, &key.public()));
        let request = EnrollRequest {
            activation_key: activation_key.to_owned(),
            product,
            platform: Platform::of_this_program(),
            host: "by-hand".to_owned(),
            public_key: key.public(),
            proof,
        };
        let body = serde_json::to_vec(&request).unwrap();
        let enrolled = self.request_with("POST", "/v1/enroll", &[], &body);
        BareMachine(enrolled.has_status(201).json())
    }
}

/// Takes a repository through the client's workflow, from the first root down to every channel.
pub(crate) fn verified(state: &PublishingState) -> TrustedRepository {
    verified_from(&state.metadata["1.root.json"], &state.metadata, state.now)
}

fn verified_from(
    root: &str,
    metadata: &BTreeMap<String, String>,
    now: jiff::Timestamp,
) -> TrustedRepository {
    let part = |name: &str| metadata[name].as_bytes();
    let root = TrustedRoot::pin(root.as_bytes(), Limits::DEFAULT).unwrap();
    let timestamp = root.settle(now).unwrap().accept(part("timestamp.json")).unwrap();
    let snapshot = timestamp.accept(part("snapshot.json")).unwrap();
    let mut trusted = snapshot.accept(part("targets.json")).unwrap();
    let listed: Vec<_> = trusted.snapshot().meta.keys().cloned().collect();
    // The director signs plans: its document, which lists nothing, is for other clients.
    let no_channel = ["targets.json", "director.json"];
    for file in listed.iter().filter(|file| !no_channel.contains(&file.as_str())) {
        trusted.accept_role(file.trim_end_matches(".json"), part(file)).unwrap();
    }
    trusted
}

/// A machine without an agent.
pub(crate) struct BareMachine(pub(crate) EnrollResponse);

impl BareMachine {
    /// Asks for a file of a product's repository.
    pub(crate) fn file(&self, server: &Server, product: &str, path: &str) -> Answer {
        server.request("GET", &format!("/repo/{product}/{path}"), &self.0.token, b"")
    }

    /// Reports that `running` runs, and `events`.
    pub(crate) fn report(&self, server: &Server, running: &str, events: &Value) -> Answer {
        let report = json!({ "product": PRODUCT, "running": running, "events": events });
        let body = serde_json::to_vec(&report).unwrap();
        server.request("POST", "/v1/report", &self.0.token, &body)
    }

    /// Checks, and verifies plan and metadata as an agent would. Only for a machine whose contract
    /// has every channel.
    pub(crate) fn check(&self, server: &Server) -> (Plan, TrustedRepository) {
        let request = CheckRequest {
            product: PRODUCT.parse().unwrap(),
            platform: Platform::of_this_program(),
            running: None,
            known: KnownMetadata { root: 1, ..KnownMetadata::default() },
            agent: "by hand".to_owned(),
            facts: None,
            waits: None,
        };
        let body = serde_json::to_vec(&request).unwrap();
        let answer = server.request("POST", "/v1/check", &self.0.token, &body).has_status(200);
        let CheckResponse { plan, metadata } = answer.json();
        let now = server.publishing_state().now;
        let trusted = verified_from(&self.0.root, &metadata, now);
        let binding = PlanBinding {
            product: request.product,
            customer: self.0.customer.clone(),
            machine: self.0.machine.clone(),
            version_min: 0,
        };
        (trusted.plan(plan.as_bytes(), &binding).unwrap(), trusted)
    }
}
