//! A product's repository of which the test holds every key: what a vendor and an honest server
//! would sign, and whatever a scenario changes of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};
use mainstay_client::{
    format::{Channel, ChannelName, Digest, Platform, RELEASE_FORMAT, ReleaseManifest, Severity},
    tuf,
};
use serde_json::{Value, json};

use super::keys::{Holders, Key, listed};
use crate::{by_hand::Packed, harness::PRODUCT};

/// A document that somebody signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    Root,
    Timestamp,
    Snapshot,
    Targets,
    /// The channel `bugfix`, in which everything above 1.0.0 is published.
    Channel,
    Plan,
}

impl Role {
    /// In the order in which a machine looks at them.
    pub(crate) const ALL: [Self; 6] =
        [Self::Root, Self::Timestamp, Self::Snapshot, Self::Targets, Self::Channel, Self::Plan];

    /// The same, without the root.
    pub(crate) const BELOW_ROOT: [Self; 5] =
        [Self::Timestamp, Self::Snapshot, Self::Targets, Self::Channel, Self::Plan];

    /// What a refusal calls the document.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Timestamp => "timestamp",
            Self::Snapshot => "snapshot",
            Self::Targets => "targets",
            Self::Channel => "bugfix",
            Self::Plan => "plan",
        }
    }
}

type Edit = Arc<dyn Fn(&mut Value) + Send + Sync>;
type Rewrite = Arc<dyn Fn(String) -> String + Send + Sync>;

/// What a scenario changes of one document.
#[derive(Clone, Default)]
struct Forgery {
    /// Before it is signed.
    edits: Vec<Edit>,
    /// By whom it is signed, where not by those who ought to.
    signers: Option<Vec<Key>>,
    /// After it is signed.
    rewrites: Vec<Rewrite>,
}

/// A release and the bytes that belong to it.
#[derive(Clone)]
pub(crate) struct Release {
    pub(crate) manifest: ReleaseManifest,
    pub(crate) manifest_bytes: Vec<u8>,
    pub(crate) artifact_bytes: Vec<u8>,
}

impl Release {
    /// A release whose artifact is `packed`, in the channel that its version belongs to.
    pub(crate) fn new(version: &str, packed: Packed, now: Timestamp) -> Self {
        let version: mainstay_client::format::Version = version.parse().unwrap();
        let mut channels = Channel::ALL.into_iter().rev();
        let channel = channels.find(|channel| channel.admits(&version)).unwrap();
        let manifest = ReleaseManifest {
            format: RELEASE_FORMAT,
            product: PRODUCT.parse().unwrap(),
            version,
            channel,
            private_channel: None,
            severity: Severity::Minor,
            published_at: now,
            effective_at: now,
            advisories: Vec::new(),
            requires_addons: Vec::new(),
            audience: Vec::new(),
            courtesy: false,
            min_from: None,
            floor: None,
            notes: String::new(),
            artifacts: BTreeMap::from([(Platform::of_this_program(), packed.artifact)]),
        };
        let manifest_bytes = serde_json::to_vec(&manifest).unwrap();
        Self { manifest, manifest_bytes, artifact_bytes: packed.bytes }
    }

    /// The same with another manifest.
    pub(crate) fn with(mut self, change: impl FnOnce(&mut ReleaseManifest)) -> Self {
        change(&mut self.manifest);
        self.manifest_bytes = serde_json::to_vec(&self.manifest).unwrap();
        self
    }

    /// What a plan calls the release.
    pub(crate) fn target(&self) -> Value {
        let platform = Platform::of_this_program();
        let artifact = &self.manifest.artifacts[&platform];
        json!({
            "version": self.manifest.version,
            "channel": self.manifest.channel_name(),
            "manifest": {
                "path": self.manifest.path(),
                "length": self.manifest_bytes.len(),
                "sha256": Digest::of(&self.manifest_bytes),
            },
            "artifact": {
                "path": self.manifest.artifact_path(&platform),
                "length": artifact.length,
                "sha256": artifact.sha256,
            },
        })
    }

    /// Where the repository serves manifest and artifact.
    fn files(&self) -> [(String, Vec<u8>); 2] {
        let platform = Platform::of_this_program();
        let artifact = &self.manifest.artifacts[&platform];
        let path = self.manifest.artifact_path(&platform).consistent(&artifact.sha256);
        let manifest = self.manifest.path().consistent(&Digest::of(&self.manifest_bytes));
        [
            (format!("targets/{manifest}"), self.manifest_bytes.clone()),
            (format!("targets/{path}"), self.artifact_bytes.clone()),
        ]
    }
}

/// Everything that a server serves at one time.
#[derive(Clone, Default)]
pub(crate) struct Edition {
    pub(crate) plan: String,
    /// By the names that the answer to a check has for them.
    pub(crate) metadata: BTreeMap<String, String>,
    /// By their paths below the product's repository.
    pub(crate) files: BTreeMap<String, Vec<u8>>,
}

impl Edition {
    /// The document of `role`, which is not the root.
    pub(crate) fn document(&self, role: Role) -> &str {
        match role {
            Role::Plan => &self.plan,
            _ => &self.metadata[&format!("{}.json", role.name())],
        }
    }

    pub(crate) fn document_mut(&mut self, role: Role) -> &mut String {
        match role {
            Role::Plan => &mut self.plan,
            _ => self.metadata.get_mut(&format!("{}.json", role.name())).unwrap(),
        }
    }
}

/// The vendor and the server.
#[derive(Clone)]
pub(crate) struct World {
    /// When everything was signed.
    pub(crate) now: Timestamp,
    /// The version of every document below the root.
    pub(crate) revision: u64,
    pub(crate) holders: BTreeMap<Role, Holders>,
    /// Who signs [`World::PRIVATE_CHANNEL`], where the product has it.
    pub(crate) private: Option<Holders>,
    pub(crate) releases: Vec<Release>,
    /// What the plan says is to be done.
    pub(crate) action: Value,
    /// What is served beside everything that is signed, by paths below the repository.
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    roots: Vec<String>,
    forgeries: BTreeMap<Role, Forgery>,
}

impl World {
    /// The machine that the plans are for.
    pub(crate) const MACHINE: &str = "m-0001";
    pub(crate) const CUSTOMER: &str = "initech";
    /// A private channel of another customer.
    pub(crate) const PRIVATE_CHANNEL: &str = "abcdefghijklmnopqrstuvwx23";

    /// A product without a release, signed at `now`.
    pub(crate) fn new(now: Timestamp) -> Self {
        let mut world = Self {
            now,
            revision: 5,
            holders: BTreeMap::from([
                (Role::Root, Holders::two_of(Key::ROOT)),
                (Role::Timestamp, Holders::only(Key::TIMESTAMP)),
                (Role::Snapshot, Holders::only(Key::SNAPSHOT)),
                (Role::Targets, Holders::only(Key::TARGETS)),
                (Role::Channel, Holders::two_of(Key::RELEASE)),
                (Role::Plan, Holders::only(Key::DIRECTOR)),
            ]),
            private: None,
            releases: Vec::new(),
            action: json!({ "do": "stay" }),
            files: BTreeMap::new(),
            roots: Vec::new(),
            forgeries: BTreeMap::new(),
        };
        world.roots.push(world.sealed(Role::Root, world.root()));
        world
    }

    /// Publishes a release and plans it.
    pub(crate) fn publish(&mut self, release: Release) {
        self.action = json!({ "do": "update", "target": release.target() });
        self.releases.push(release);
        self.revision += 1;
    }

    /// Plans the way back to `version`.
    pub(crate) fn order_back(&mut self, version: &str, number: u64) {
        let found = |release: &&Release| release.manifest.version.to_string() == version;
        let target = self.releases.iter().find(found).unwrap().target();
        let order = json!({ "number": number, "reason": "it is bad" });
        self.action = json!({ "do": "rollback", "target": target, "order": order });
        self.revision += 1;
    }

    /// Changes a document before it is signed. For [`Role::Root`] it is a new root.
    pub(crate) fn edit(&mut self, role: Role, edit: impl Fn(&mut Value) + Send + Sync + 'static) {
        self.forgeries.entry(role).or_default().edits.push(Arc::new(edit));
    }

    /// Sets one member of a document before it is signed.
    pub(crate) fn set(&mut self, role: Role, pointer: &'static str, value: Value) {
        self.edit(role, move |document| {
            let member = document.pointer_mut(pointer);
            *member.unwrap_or_else(|| panic!("no {pointer}")) = value.clone();
        });
    }

    /// Has a document signed by `keys`, whether or not they may.
    pub(crate) fn sign_with(&mut self, role: Role, keys: &[Key]) {
        self.forgeries.entry(role).or_default().signers = Some(keys.to_vec());
    }

    /// Changes a document's text after it is signed.
    pub(crate) fn rewrite(
        &mut self,
        role: Role,
        rewrite: impl Fn(String) -> String + Send + Sync + 'static,
    ) {
        self.forgeries.entry(role).or_default().rewrites.push(Arc::new(rewrite));
    }

    /// Replaces the keys of roles by the vendor's new ones, as a vendor does after a theft.
    pub(crate) fn rotate(&mut self, replaced: impl IntoIterator<Item = (Role, Holders)>) {
        self.holders.extend(replaced);
        let root = self.root();
        self.roots.push(self.sealed(Role::Root, root));
        self.revision += 1;
    }

    /// Everything signed, from the channels up to the timestamp: each document announces those
    /// below it as the scenario has left them.
    pub(crate) fn edition(&self) -> Edition {
        let mut edition = Edition::default();
        for (index, root) in self.roots.iter().enumerate() {
            edition.metadata.insert(format!("{}.root.json", index + 1), root.clone());
        }
        if self.forgeries.contains_key(&Role::Root) {
            let name = format!("{}.root.json", self.roots.len() + 1);
            edition.metadata.insert(name, self.sealed(Role::Root, self.root()));
        }
        let mut announced = json!({});
        for channel in Channel::ALL {
            let document = self.channel(&channel.into());
            let text = match channel {
                Channel::Bugfix => self.sealed(Role::Channel, document),
                _ => sealed(&document, &self.holders[&Role::Channel].enough()),
            };
            self.add(&mut edition, &mut announced, channel.as_str(), text);
        }
        if let Some(holders) = &self.private {
            let document = self.channel(&Self::PRIVATE_CHANNEL.parse().unwrap());
            let text = sealed(&document, &holders.enough());
            self.add(&mut edition, &mut announced, Self::PRIVATE_CHANNEL, text);
        }
        let targets = self.sealed(Role::Targets, self.targets());
        self.add(&mut edition, &mut announced, "targets", targets);
        let document = self.document("snapshot", 7, json!({ "meta": announced }));
        let mut announced = json!({});
        let snapshot = self.sealed(Role::Snapshot, document);
        self.add(&mut edition, &mut announced, "snapshot", snapshot);
        let document = self.document("timestamp", 1, json!({ "meta": announced }));
        let timestamp = self.sealed(Role::Timestamp, document);
        self.add(&mut edition, &mut json!({}), "timestamp", timestamp);
        for (name, root) in &edition.metadata {
            if name.ends_with(".root.json") {
                edition.files.insert(name.clone(), root.clone().into_bytes());
            }
        }
        edition.files.extend(self.files.clone());
        edition.files.extend(self.releases.iter().flat_map(Release::files));
        edition.plan = self.sealed(Role::Plan, self.plan());
        edition
    }

    fn add(&self, edition: &mut Edition, announced: &mut Value, name: &str, text: String) {
        let claimed = serde_json::from_str::<Value>(&text).unwrap_or_default();
        let version = claimed["signed"]["version"].as_u64().filter(|version| *version > 0);
        let version = version.unwrap_or(self.revision);
        announced[format!("{name}.json")] = json!({
            "version": version,
            "length": text.len(),
            "hashes": { "sha256": Digest::of(text.as_bytes()) },
        });
        let file = if name == "timestamp" {
            "timestamp.json".to_owned()
        } else {
            format!("{version}.{name}.json")
        };
        edition.files.insert(file, text.clone().into_bytes());
        edition.metadata.insert(format!("{name}.json"), text);
    }

    /// `document` as the scenario has it changed and signed.
    fn sealed(&self, role: Role, mut document: Value) -> String {
        let forgery = self.forgeries.get(&role).cloned().unwrap_or_default();
        for edit in &forgery.edits {
            edit(&mut document);
        }
        let signers = forgery.signers.unwrap_or_else(|| self.holders[&role].enough());
        let text = sealed(&document, &signers);
        forgery.rewrites.iter().fold(text, |text, rewrite| rewrite(text))
    }

    fn document(&self, kind: &str, days: i64, members: Value) -> Value {
        let mut document = members;
        document["_type"] = json!(kind);
        document["spec_version"] = json!("1.0.34");
        document["x-mainstay-product"] = json!(PRODUCT);
        document["version"] = json!(self.revision);
        document["expires"] = json!(self.now + SignedDuration::from_hours(24 * days));
        document
    }

    fn root(&self) -> Value {
        let roles = [Role::Root, Role::Timestamp, Role::Snapshot, Role::Targets];
        let named = roles.map(|role| (role.name().to_owned(), self.holders[&role].document()));
        let members = json!({
            "consistent_snapshot": true,
            "keys": listed(roles.iter().map(|role| &self.holders[role])),
            "roles": named.into_iter().collect::<serde_json::Map<_, _>>(),
        });
        let mut document = self.document("root", 365, members);
        document["version"] = json!(self.roots.len() + 1);
        document
    }

    fn targets(&self) -> Value {
        let role = |name: &str, paths: String, holders: &Holders| {
            let mut role = holders.document();
            role["name"] = json!(name);
            role["terminating"] = json!(true);
            role["paths"] = json!([paths]);
            role
        };
        let (release, director) = (&self.holders[&Role::Channel], &self.holders[&Role::Plan]);
        let mut roles: Vec<_> = Channel::ALL
            .iter()
            .map(|channel| role(channel.as_str(), format!("{channel}/*/*"), release))
            .collect();
        roles.push(role(tuf::DIRECTOR, "director/none".to_owned(), director));
        let name = Self::PRIVATE_CHANNEL;
        roles.extend(self.private.iter().map(|it| role(name, format!("{name}/*/*"), it)));
        let keys = listed([release, director].into_iter().chain(&self.private));
        let delegations = json!({ "keys": keys, "roles": roles });
        self.document("targets", 365, json!({ "targets": {}, "delegations": delegations }))
    }

    fn channel(&self, channel: &ChannelName) -> Value {
        let published =
            self.releases.iter().filter(|release| release.manifest.channel_name() == *channel);
        let targets: BTreeMap<_, _> = published
            .flat_map(|release| release.manifest.targets(&release.manifest_bytes).unwrap())
            .collect();
        self.document("targets", 90, json!({ "targets": targets }))
    }

    fn plan(&self) -> Value {
        json!({
            "_type": "plan",
            "format": 1,
            "version": self.revision,
            "product": PRODUCT,
            "customer": Self::CUSTOMER,
            "machine": Self::MACHINE,
            "issued": self.now,
            "expires": self.now + SignedDuration::from_hours(24 * 7),
            "action": self.action,
            "withheld": [],
            "notices": [],
            "poll_seconds": 900,
        })
    }
}

fn sealed(document: &Value, keys: &[Key]) -> String {
    let distinct: BTreeSet<_> = keys.iter().map(|key| key.id()).collect();
    assert_eq!(distinct.len(), keys.len(), "each key signs once");
    let keys: Vec<_> = keys.iter().map(|key| key.private()).collect();
    let signers: Vec<&dyn tuf::Signer> = keys.iter().map(|key| key as &dyn tuf::Signer).collect();
    let signed = tuf::sign(document, &signers).unwrap();
    String::from_utf8(signed).unwrap()
}
