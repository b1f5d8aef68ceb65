//! A vendor with real keys, real signatures and real archives, and the server in front of it.

use std::{
    collections::BTreeMap,
    io::{self, Cursor, Read, Write as _},
    num::NonZeroU64,
    sync::{Arc, Mutex},
};

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::{
    error::Error,
    fetch::{
        Answer, Coding, Method, Request, Transport,
        test_server::{Body, Received, Reply},
    },
    format::{
        Action, Artifact, Channel, ChannelName, DataEpochs, Digest, HealthCheck, Hooks, Lines,
        PLAN_FORMAT, Plan, PlanTarget, Platform, ProductName, RELEASE_FORMAT, ReleaseManifest,
        Requirements, RollbackOrder, Severity, TargetFile, Version,
        wire::{CheckRequest, CheckResponse, EnrollRequest, EnrollResponse, Event, ReportRequest},
    },
    pack,
    tuf::{
        self, DIRECTOR, DelegatedRole, Delegations, FileMeta, Header, Metadata, PathPattern,
        PublicKey, RoleKeys, Root, RootRoles, SigningKey, Snapshot, Target, TargetKind, Targets,
        TargetsCustom, sign,
    },
};

pub(crate) const PRODUCT: &str = "acme-db";

pub(crate) fn begin() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

pub(crate) fn version(text: &str) -> Version {
    text.parse().unwrap()
}

fn days_after(now: Timestamp, days: i64) -> Timestamp {
    now + SignedDuration::from_hours(24 * days)
}

/// What is particular about a release.
#[derive(Clone, Debug, Default)]
pub(crate) struct Particulars {
    pub(crate) floor: Option<&'static str>,
    pub(crate) min_from: Option<&'static str>,
    pub(crate) confirm_within_seconds: Option<u32>,
    /// A shell script that the release is checked by, where it need not be confirmed.
    pub(crate) check: Option<&'static str>,
    pub(crate) data: Option<DataEpochs>,
    pub(crate) requires: Requirements,
    /// How many bytes that do not get shorter are beside its program.
    pub(crate) noise_bytes: usize,
    /// What becomes of the artifact's bytes, and of what is said of the payload, before both are signed.
    pub(crate) spoil: Option<fn(&mut Vec<u8>, &mut Artifact)>,
}

pub(crate) struct Vendor {
    root_key: SigningKey,
    targets_key: SigningKey,
    release_key: SigningKey,
    timestamp_key: SigningKey,
    snapshot_key: SigningKey,
    director_key: SigningKey,
    pub(crate) roots: Vec<Vec<u8>>,
    channels: BTreeMap<ChannelName, BTreeMap<String, Target>>,
    pub(crate) targets: BTreeMap<ChannelName, BTreeMap<Version, PlanTarget>>,
    /// What `/repo/acme-db/` serves, by path.
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    revision: u64,
    pub(crate) now: Timestamp,
    pub(crate) timestamp_expires: Timestamp,
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(&[seed; 32])
}

fn header<M: Metadata>(version: u64, expires: Timestamp) -> Header {
    Header::of::<M>("acme-db".parse().unwrap(), NonZeroU64::new(version).unwrap(), expires)
}

impl Vendor {
    pub(crate) fn new(now: Timestamp) -> Self {
        let mut vendor = Self {
            root_key: key(1),
            targets_key: key(2),
            release_key: key(3),
            timestamp_key: key(4),
            snapshot_key: key(5),
            director_key: key(6),
            roots: Vec::new(),
            channels: BTreeMap::new(),
            targets: BTreeMap::new(),
            files: BTreeMap::new(),
            revision: 0,
            now,
            timestamp_expires: days_after(now, 1),
        };
        vendor.sign_root();
        for channel in Channel::ALL {
            vendor.channels.insert(channel.into(), BTreeMap::new());
        }
        vendor.sign();
        vendor
    }

    fn sign_root(&mut self) {
        let keys = [&self.root_key, &self.targets_key, &self.timestamp_key, &self.snapshot_key]
            .map(SigningKey::public);
        let [root, targets, timestamp, snapshot] = &keys;
        let only = |key: &PublicKey| RoleKeys::any_of([key]);
        let document = Root {
            header: header::<Root>(self.roots.len() as u64 + 1, days_after(self.now, 365)),
            consistent_snapshot: true,
            keys: keys.iter().map(|key| (key.id(), key.clone())).collect(),
            roles: RootRoles {
                root: only(root),
                timestamp: only(timestamp),
                snapshot: only(snapshot),
                targets: only(targets),
            },
        };
        self.roots.push(sign(&document, &[&self.root_key]).unwrap());
    }

    /// Replaces the timestamp's key by another one.
    pub(crate) fn rotate_timestamp_key(&mut self) {
        self.timestamp_key = key(14);
        self.sign_root();
        self.sign();
    }

    /// Replaces the snapshot's key by another one.
    pub(crate) fn rotate_snapshot_key(&mut self) {
        self.snapshot_key = key(15);
        self.sign_root();
        self.sign();
    }

    /// Signs everything below the root as a thief would who numbers it as high as numbers go. What is
    /// signed next goes on from the vendor's own numbers.
    pub(crate) fn sign_far_ahead(&mut self) {
        let honest = std::mem::replace(&mut self.revision, u64::MAX - 1);
        self.sign();
        self.revision = honest;
    }

    /// Signs a repository in which a channel is missing.
    pub(crate) fn lose_channel(&mut self, channel: Channel) {
        self.channels.remove(&channel.into());
        self.sign();
    }

    /// Signs everything below the root anew.
    pub(crate) fn sign(&mut self) {
        self.revision += 1;
        let revision = self.revision;
        let keys = [self.release_key.public(), self.director_key.public()];
        let role = |name: &str, key: &PublicKey, path: String| DelegatedRole {
            name: name.to_owned(),
            keys: RoleKeys::any_of([key]),
            terminating: true,
            paths: vec![PathPattern::try_from(path).unwrap()].into(),
        };
        let mut roles: Vec<_> = self
            .channels
            .keys()
            .map(|name| {
                let depth = if name.is_archive() { "*/*/*" } else { "*/*" };
                role(name.as_str(), &keys[0], format!("{name}/{depth}"))
            })
            .collect();
        roles.push(role(DIRECTOR, &keys[1], "director/none".to_owned()));
        let top = Targets {
            header: header::<Targets>(revision, days_after(self.now, 365)),
            targets: BTreeMap::new(),
            delegations: Some(Delegations {
                keys: keys.iter().map(|key| (key.id(), key.clone())).collect(),
                roles,
                succinct_roles: None,
            }),
            lines: Lines::default(),
        };
        let mut meta = BTreeMap::new();
        let mut put = |name: &str, bytes: Vec<u8>, files: &mut BTreeMap<String, Vec<u8>>| {
            let version = NonZeroU64::new(revision).unwrap();
            meta.insert(format!("{name}.json"), FileMeta::of(version, &bytes));
            files.insert(format!("{revision}.{name}.json"), bytes);
        };
        put("targets", sign(&top, &[&self.targets_key]).unwrap(), &mut self.files);
        for (name, targets) in &self.channels {
            let channel = Targets {
                header: header::<Targets>(revision, days_after(self.now, 90)),
                targets: targets.clone(),
                delegations: None,
                lines: Lines::default(),
            };
            put(name.as_str(), sign(&channel, &[&self.release_key]).unwrap(), &mut self.files);
        }
        let snapshot =
            Snapshot { header: header::<Snapshot>(revision, days_after(self.now, 7)), meta };
        let snapshot = sign(&snapshot, &[&self.snapshot_key]).unwrap();
        let timestamp = tuf::Timestamp {
            header: header::<tuf::Timestamp>(revision, self.timestamp_expires),
            meta: BTreeMap::from([(
                tuf::Timestamp::SNAPSHOT.to_owned(),
                FileMeta::of(NonZeroU64::new(revision).unwrap(), &snapshot),
            )]),
        };
        self.files.insert(format!("{revision}.snapshot.json"), snapshot);
        let timestamp = sign(&timestamp, &[&self.timestamp_key]).unwrap();
        self.files.insert("timestamp.json".to_owned(), timestamp);
        for (index, root) in self.roots.iter().enumerate() {
            self.files.insert(format!("{}.root.json", index + 1), root.clone());
        }
    }

    /// Publishes a release for this machine's platform.
    pub(crate) fn publish(&mut self, text: &str, particulars: &Particulars) -> PlanTarget {
        let version = version(text);
        let channel = Channel::ALL.into_iter().rev().find(|it| it.admits(&version)).unwrap();
        let platform = Platform::of_this_program();
        let (packed, artifact) = pack_release(text, particulars);
        let manifest = ReleaseManifest {
            format: RELEASE_FORMAT,
            product: PRODUCT.parse().unwrap(),
            version: version.clone(),
            channel,
            private_channel: None,
            severity: Severity::Minor,
            published_at: self.now,
            effective_at: self.now,
            advisories: Vec::new(),
            requires_addons: Vec::new(),
            audience: Vec::new(),
            courtesy: false,
            min_from: particulars.min_from.map(|it| it.parse().unwrap()),
            floor: particulars.floor.map(|it| it.parse().unwrap()),
            notes: format!("What is new in {text}."),
            artifacts: BTreeMap::from([(platform.clone(), artifact)]),
        };
        let bytes = serde_json::to_vec(&manifest).unwrap();
        let release = TargetKind::Release { floor: manifest.floor.clone() };
        let target = PlanTarget {
            version: version.clone(),
            channel: channel.into(),
            manifest: self.add(&manifest.path(), &version, bytes, release),
            artifact: self.add(
                &manifest.artifact_path(&platform),
                &version,
                packed,
                TargetKind::Artifact { platform },
            ),
            deltas: Vec::new(),
        };
        self.targets.entry(channel.into()).or_default().insert(version, target.clone());
        self.sign();
        target
    }

    /// Moves a release from its channel to the archive.
    pub(crate) fn retire(&mut self, text: &str) {
        let version = version(text);
        let mut targets = self.targets.values_mut();
        let mut target = targets.find_map(|it| it.remove(&version)).expect("published");
        let mut moved = BTreeMap::new();
        let channel = self.channels.get_mut(&target.channel).unwrap();
        for file in [&mut target.manifest, &mut target.artifact] {
            let served =
                |file: &TargetFile| format!("targets/{}", file.path.consistent(&file.sha256));
            let bytes = self.files.remove(&served(file)).unwrap();
            let entry = channel.remove(file.path.as_str()).unwrap();
            file.path = file.path.archived();
            self.files.insert(served(file), bytes);
            moved.insert(file.path.to_string(), entry);
        }
        target.channel = ChannelName::archive();
        self.channels.entry(ChannelName::archive()).or_default().extend(moved);
        self.targets.entry(ChannelName::archive()).or_default().insert(version, target);
        self.sign();
    }

    fn add(
        &mut self,
        path: &crate::format::TargetPath,
        version: &Version,
        bytes: Vec<u8>,
        kind: TargetKind,
    ) -> TargetFile {
        let channel: ChannelName = path.as_str().split('/').next().unwrap().parse().unwrap();
        let file = TargetFile {
            path: path.clone(),
            length: bytes.len() as u64,
            sha256: Digest::of(&bytes),
        };
        let custom = TargetsCustom { kind, version: version.clone() };
        let entry = Target::new(file.length, file.sha256, &custom).unwrap();
        self.channels.get_mut(&channel).unwrap().insert(path.to_string(), entry);
        self.files.insert(format!("targets/{}", path.consistent(&file.sha256)), bytes);
        file
    }

    pub(crate) fn plan(&self, plan: &Plan) -> String {
        text(&sign(plan, &[&self.director_key]).unwrap())
    }

    /// What is newer than what the machine knows; the archive only where the plan names it.
    fn news(&self, request: &CheckRequest, plan: &Plan) -> BTreeMap<String, String> {
        let mut news = BTreeMap::new();
        let known = usize::try_from(request.known.root).unwrap();
        for (index, root) in self.roots.iter().enumerate().skip(known) {
            news.insert(format!("{}.root.json", index + 1), text(root));
        }
        let revision = self.revision;
        let mut add = |name: &str, known: u64, file: String| {
            if known < revision {
                news.insert(format!("{name}.json"), text(&self.files[&file]));
            }
        };
        add("timestamp", request.known.timestamp, "timestamp.json".to_owned());
        add("snapshot", request.known.snapshot, format!("{revision}.snapshot.json"));
        add("targets", request.known.targets, format!("{revision}.targets.json"));
        let names_archive = plan.action.target().is_some_and(|target| target.channel.is_archive());
        let channels = self.channels.keys().filter(|name| names_archive || !name.is_archive());
        for name in channels {
            let known = request.known.channels.get(name).copied().unwrap_or(0);
            add(name.as_str(), known, format!("{revision}.{name}.json"));
        }
        news
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A tree with a program that says its version, packed.
fn pack_release(version: &str, particulars: &Particulars) -> (Vec<u8>, Artifact) {
    let tree = tempfile::tempdir().unwrap();
    std::fs::create_dir(tree.path().join("bin")).unwrap();
    std::fs::write(tree.path().join("bin/acme-db"), format!("version {version}\n")).unwrap();
    if particulars.noise_bytes > 0 {
        let blocks = 0..particulars.noise_bytes / 32;
        let noise = blocks.flat_map(|block| *Digest::of(&block.to_le_bytes()).as_bytes());
        std::fs::write(tree.path().join("noise"), noise.collect::<Vec<_>>()).unwrap();
    }
    let limits = pack::Limits::default();
    let (payload, _) = pack::pack_tree(tree.path(), Vec::new(), &limits, &mut |_| {}).unwrap();
    let compression = pack::Compression { level: 3, window_log: 20, workers: 0 };
    let mut compressor = pack::Compressor::new(Vec::new(), compression).unwrap();
    compressor.write_all(&payload).unwrap();
    let mut packed = compressor.finish().unwrap();
    let health = particulars.confirm_within_seconds.map(|seconds| HealthCheck {
        confirm_within_seconds: Some(seconds),
        ..HealthCheck::of(vec!["true".to_owned()])
    });
    let check = |script: &str| HealthCheck::of(["sh", "-c", script].map(str::to_owned).into());
    let health = health.or(particulars.check.map(check));
    let mut artifact = Artifact {
        length: packed.len() as u64,
        sha256: Digest::of(&packed),
        payload_length: payload.len() as u64,
        payload_sha256: Digest::of(&payload),
        window_log: 20,
        health,
        hooks: Hooks::default(),
        data: particulars.data,
        requires: particulars.requires.clone(),
    };
    if let Some(spoil) = particulars.spoil {
        spoil(&mut packed, &mut artifact);
        (artifact.length, artifact.sha256) = (packed.len() as u64, Digest::of(&packed));
    }
    (packed, artifact)
}

/// Changes an answer on its way to the machine.
pub(crate) type Meddle = Box<dyn Fn(&Received, Reply) -> Reply + Send>;

/// A server that does what the tests tell it to.
pub(crate) struct Server {
    pub(crate) vendor: Vendor,
    pub(crate) plan: Plan,
    pub(crate) events: Vec<Event>,
    pub(crate) requests: Vec<Received>,
    pub(crate) meddle: Option<Meddle>,
}

impl Server {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self {
            vendor: Vendor::new(now),
            plan: Plan {
                kind: Plan::KIND.to_owned(),
                format: PLAN_FORMAT,
                version: 1,
                product: PRODUCT.parse().unwrap(),
                customer: "initech".parse().unwrap(),
                machine: "m-0001".parse().unwrap(),
                issued: now,
                expires: days_after(now, 7),
                action: Action::Stay,
                withheld: Vec::new(),
                notices: Vec::new(),
                retry: None,
                collect: None,
                poll_seconds: 900,
            },
            events: Vec::new(),
            requests: Vec::new(),
            meddle: None,
        }
    }

    /// Signs everything below the root anew at a later time.
    pub(crate) fn go_on_at(&mut self, now: Timestamp) {
        self.vendor.now = now;
        self.vendor.timestamp_expires = days_after(now, 1);
        self.vendor.sign();
        self.plan.issued = now;
        self.plan.expires = days_after(now, 7);
    }

    /// Publishes a release and plans it.
    pub(crate) fn offer(&mut self, version: &str, particulars: &Particulars) {
        let target = self.vendor.publish(version, particulars);
        self.set(Action::Update { target });
    }

    pub(crate) fn order_rollback(&mut self, number: u64, to: &str) {
        let to = version(to);
        let target =
            self.vendor.targets.values().find_map(|it| it.get(&to)).cloned().expect("published");
        let order = RollbackOrder { number, reason: "it is bad".to_owned(), ticket: None };
        self.set(Action::Rollback { target, order });
    }

    pub(crate) fn set(&mut self, action: Action) {
        self.plan.version += 1;
        self.plan.action = action;
    }

    pub(crate) fn paths(&self) -> Vec<&str> {
        self.requests.iter().map(|request| request.path.as_str()).collect()
    }

    pub(crate) fn handle(&mut self, request: &Received) -> Reply {
        self.requests.push(request.clone());
        let reply = self.answer(request);
        match &self.meddle {
            Some(meddle) => meddle(request, reply),
            None => reply,
        }
    }

    fn answer(&mut self, request: &Received) -> Reply {
        let is_known = request.header("authorization") == Some("Bearer mst_token");
        match (request.method.as_str(), request.path.as_str()) {
            ("POST", "/v1/enroll") => self.enroll(&request.body),
            _ if !is_known => problem(401, "UNAUTHORIZED"),
            ("POST", "/v1/check") => {
                let question: CheckRequest = serde_json::from_slice(&request.body).unwrap();
                let metadata = self.vendor.news(&question, &self.plan);
                json(&CheckResponse { plan: self.vendor.plan(&self.plan), metadata })
            }
            ("POST", "/v1/report") => {
                let report: ReportRequest = serde_json::from_slice(&request.body).unwrap();
                self.events.extend(report.events);
                Reply::status(204, "")
            }
            ("GET", path) => {
                let file = path.strip_prefix("/repo/acme-db/").unwrap();
                match self.vendor.files.get(file) {
                    Some(bytes) => Reply::file(request, bytes),
                    None => problem(404, "NOT_FOUND"),
                }
            }
            other => panic!("unexpected request {other:?}"),
        }
    }

    fn enroll(&self, body: &[u8]) -> Reply {
        let request: EnrollRequest = serde_json::from_slice(body).unwrap();
        let product: ProductName = PRODUCT.parse().unwrap();
        let message = EnrollRequest::proof_message("key-1", &product, &request.public_key);
        if !request.public_key.verify(&message, &request.proof) {
            return problem(403, "ACTIVATION_KEY");
        }
        json(&EnrollResponse {
            machine: self.plan.machine.clone(),
            customer: self.plan.customer.clone(),
            contract: "initech-2026".parse().unwrap(),
            token: "mst_token".to_owned(),
            root: text(&self.vendor.roots[0]),
        })
    }
}

pub(crate) fn problem(status: u16, code: &str) -> Reply {
    let body = format!(
        r#"{{"type":"urn:mainstay:problem:{code}","title":"No","status":{status},
            "code":"{code}","detail":"it may not be"}}"#
    );
    Reply::status(status, body)
}

fn json(document: &impl Serialize) -> Reply {
    Reply::ok(serde_json::to_vec(document).unwrap())
}

/// The transport to a [`Server`] without a socket.
pub(crate) struct Direct(pub(crate) Arc<Mutex<Server>>);

impl Transport for Direct {
    fn send(&self, request: &Request<'_>) -> Result<Answer, Error> {
        use secrecy::ExposeSecret as _;

        let mut headers = BTreeMap::new();
        if let Some(token) = request.token {
            headers.insert("authorization".to_owned(), format!("Bearer {}", token.expose_secret()));
        }
        if let Some(resume) = request.resume {
            headers.insert("range".to_owned(), format!("bytes={}-", resume.from));
        }
        let (method, body) = match request.method {
            Method::Get => ("GET", Vec::new()),
            Method::Post(body) => ("POST", body.to_vec()),
            Method::Put(body) => ("PUT", body.to_vec()),
        };
        let path = request.path.to_owned();
        let received = Received { method: method.to_owned(), path, headers, body };
        let reply = self.0.lock().unwrap().handle(&received);
        if reply.status == 0 {
            let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
            return Err(Error::network(request.path, refused));
        }
        let body: Box<dyn Read + Send> = match reply.body {
            Body::Whole(body) => Box::new(Cursor::new(body)),
            Body::Cut { bytes, .. } => Box::new(Cursor::new(bytes).chain(HungUp)),
            Body::Endless => panic!("nothing endless without a socket"),
        };
        let range_start = request.resume.filter(|_| reply.status == 206).map(|it| it.from);
        let coding = Coding::Identity;
        Ok(Answer { status: reply.status, range_start, coding, retry_after: None, body })
    }
}

/// What is read where the other side has hung up in the middle.
struct HungUp;

impl Read for HungUp {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

/// The answer of a server that cannot be reached.
pub(crate) fn unreachable_server() -> Reply {
    Reply::status(0, "")
}
