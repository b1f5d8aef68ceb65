use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU64,
};

use jiff::Timestamp;
use mainstay_client::{
    format::{ChannelName, Digest, ProductName, ReleaseManifest, TargetPath, Version},
    tuf::{
        Authored, Envelope, KeyId, Limits as TufLimits, Metadata, PublicKey, RoleKeys, Root,
        Signer, Targets, json,
    },
};

use super::{
    super::CliError,
    base::{Base, Signers, delegated, read},
    proposal::Proposal,
    seen::Seen,
};
use crate::{
    limits::Limits,
    policy::retirement::{self, Listed},
    service::authoring::authoring_problems,
};

/// A proposal that was verified against what it builds upon: every new document is one step from
/// the present one, and it is known who may and who must sign it.
#[derive(Debug)]
pub(in crate::cli) struct Review {
    pub(super) product: ProductName,
    pub(super) revision: u64,
    /// When it was judged.
    pub(super) now: Timestamp,
    pub(super) base: Base,
    pub(super) documents: Vec<Document>,
    pub(super) manifest: Option<ReleaseManifest>,
    /// What was signed on this computer in place of one of the new documents, in words.
    pub(super) signed_instead: Vec<String>,
    /// The releases that are to be retired.
    pub(super) retire: BTreeSet<Version>,
}

/// A new document.
#[derive(Debug)]
pub(super) struct Document {
    /// `root`, `targets`, or the channel.
    pub(super) name: String,
    pub(super) envelope: Envelope,
    pub(super) body: Body,
    /// All of these must be met.
    pub(super) requirements: Vec<Requirement>,
}

#[derive(Debug)]
pub(super) enum Body {
    Root(Root),
    Targets(Targets),
    Channel(Targets),
}

/// So many of these keys must sign.
#[derive(Debug)]
pub(super) struct Requirement {
    pub(super) who: String,
    pub(super) keys: BTreeMap<KeyId, PublicKey>,
    pub(super) role: RoleKeys,
}

impl Requirement {
    fn new(who: impl Into<String>, (keys, role): Signers<'_>) -> Self {
        Self { who: who.into(), keys: keys.clone(), role: role.clone() }
    }

    /// The keys that have signed.
    pub(super) fn signed(&self, envelope: &Envelope) -> BTreeSet<KeyId> {
        envelope.signers(&self.keys, &self.role).into_iter().map(PublicKey::id).collect()
    }

    /// How many signatures are missing.
    pub(super) fn missing(&self, envelope: &Envelope) -> u64 {
        self.role.threshold.get().saturating_sub(self.signed(envelope).len() as u64)
    }
}

impl Document {
    pub(super) fn sha256(&self) -> Digest {
        self.envelope.signed_sha256()
    }

    pub(super) fn version(&self) -> NonZeroU64 {
        match &self.body {
            Body::Root(next) => next.header.version,
            Body::Targets(next) | Body::Channel(next) => next.header.version,
        }
    }

    /// Whether somebody has signed who may.
    pub(super) fn is_signed(&self) -> bool {
        self.requirements.iter().any(|needed| !needed.signed(&self.envelope).is_empty())
    }

    pub(super) fn may_sign(&self, key: &KeyId) -> bool {
        self.requirements.iter().any(|requirement| requirement.role.keyids.contains(key))
    }

    pub(super) fn is_complete(&self) -> bool {
        self.requirements.iter().all(|requirement| requirement.missing(&self.envelope) == 0)
    }

    /// The document as it is published: with the signatures that count for something.
    fn text(&self) -> Result<String, CliError> {
        let mut envelope = self.envelope.clone();
        let counted: BTreeSet<_> =
            self.requirements.iter().flat_map(|needed| needed.signed(&envelope)).collect();
        envelope.retain_signatures(|signature| counted.contains(&signature.keyid));
        Ok(String::from_utf8_lossy(&envelope.to_bytes()?).into_owned())
    }
}

impl Review {
    /// Judges `proposal`, of which nothing is believed, upon what was `seen` on this computer; `now`
    /// is the time by its clock.
    pub(in crate::cli) fn new(
        proposal: &Proposal,
        seen: &Seen,
        now: Timestamp,
    ) -> Result<Self, CliError> {
        let base = Base::verify(&proposal.product, &proposal.base, seen)?;
        let root_max = TufLimits::DEFAULT.root_bytes_max;
        let root: Option<Root> = new_document(proposal, "root", root_max, now)?;
        let targets_max = TufLimits::DEFAULT.targets_bytes_max;
        let targets: Option<Targets> = new_document(proposal, "targets", targets_max, now)?;
        if targets.as_ref().is_some_and(|next| next.targets != base.targets.targets) {
            return Err(CliError::Untrusted(
                "targets list other targets of their own than before".to_owned(),
            ));
        }
        let manifest = proposal.manifest.as_deref().map(parse_manifest).transpose()?;
        let mut documents = Vec::new();
        for (name, text) in &proposal.documents {
            let envelope = Envelope::parse(name, text.as_bytes())?;
            let (body, requirements) = match name.as_str() {
                "root" => root_body(&base, root.clone().ok_or_else(|| no_such(name))?),
                "targets" => {
                    let root = root.as_ref().unwrap_or(&base.root);
                    let signers = (&root.keys, &root.roles.targets);
                    let required = vec![Requirement::new("targets keys", signers)];
                    (Body::Targets(targets.clone().ok_or_else(|| no_such(name))?), required)
                }
                channel => {
                    let channel: ChannelName = channel.parse()?;
                    let signers = delegated(targets.as_ref().unwrap_or(&base.targets), &channel)
                        .ok_or_else(|| no_such(name))?;
                    let who = format!("release keys of channel {channel}");
                    let next = new_document(proposal, name, targets_max, now)?;
                    let next = next.ok_or_else(|| no_such(name))?;
                    (Body::Channel(next), vec![Requirement::new(who, signers)])
                }
            };
            let document = Document { name: name.clone(), envelope, body, requirements };
            require_step(&base, &document)?;
            documents.push(document);
        }
        let (product, revision) = (proposal.product.clone(), proposal.revision);
        let retire = proposal.retire.clone();
        let signed_instead = documents.iter().filter_map(|document| {
            seen.roles.signed_instead(&document.name, document.version(), &document.sha256())
        });
        let signed_instead = signed_instead.collect();
        let review =
            Self { product, revision, now, base, documents, manifest, signed_instead, retire };
        review.require_listed(proposal.manifest.as_deref())?;
        if review.documents.is_empty() {
            return Err(CliError::Untrusted("the proposal changes nothing".to_owned()));
        }
        Ok(review)
    }

    /// Takes in the signatures of a copy of the proposal.
    pub(super) fn join(&mut self, copy: &Proposal) -> Result<(), CliError> {
        for document in &mut self.documents {
            let text = copy.documents.get(&document.name).map(String::as_bytes);
            let other = Envelope::parse(&document.name, text.unwrap_or_default())?;
            let needed = document.requirements.iter();
            let keys = needed.flat_map(|needed| needed.keys.clone()).collect();
            if !document.envelope.join(&other, &keys) {
                return Err(CliError::Input(format!(
                    "{} of one copy is another document than that of the first",
                    document.name
                )));
            }
        }
        Ok(())
    }

    /// Takes note in `seen` of what the proposal builds upon, and of what was signed here.
    pub(super) fn note(&self, seen: &mut Seen, was_signed_here: impl Fn(&Document) -> bool) {
        seen.root = Some(self.base.root_bytes.clone());
        for (role, version) in self.base.versions() {
            seen.roles.note_published(role, version);
        }
        for document in self.documents.iter().filter(|document| was_signed_here(document)) {
            seen.roles.note_signed(&document.name, document.version(), document.sha256());
        }
    }

    /// Channels list what they listed, and the release that is to be published; or they and the
    /// archive list what a retirement leaves them.
    fn require_listed(&self, manifest_text: Option<&str>) -> Result<(), CliError> {
        if !self.retire.is_empty() {
            return self.require_retirement();
        }
        let mut new = BTreeMap::new();
        if let (Some(manifest), Some(text)) = (&self.manifest, manifest_text) {
            let problem = if manifest.product != self.product {
                Some(format!("the release is one of product {}", manifest.product))
            } else if self.documents.len() != 1
                || self.documents.iter().any(|one| one.name != manifest.channel_name().as_str())
            {
                Some(format!("expected channel {} and nothing else", manifest.channel_name()))
            } else {
                None
            };
            if let Some(problem) = problem {
                return Err(CliError::Untrusted(problem));
            }
            new = manifest.targets(text.as_bytes())?;
        }
        for document in &self.documents {
            let Body::Channel(next) = &document.body else { continue };
            if let Some(problem) = next.channel_problem() {
                return Err(CliError::Untrusted(format!("channel {} {problem}", document.name)));
            }
            let mut expected = self.present_channel(&document.name).cloned().unwrap_or_default();
            if let Some(path) = new.keys().find(|path| expected.contains_key(*path)) {
                return Err(CliError::Untrusted(format!(
                    "channel {} lists {path} already: what was published is not replaced",
                    document.name
                )));
            }
            expected.extend(new.clone());
            if next.targets != expected {
                return Err(CliError::Untrusted(format!(
                    "channel {} lists something else than its present releases{}",
                    document.name,
                    if new.is_empty() { "" } else { " and the one that is to be published" }
                )));
            }
        }
        Ok(())
    }

    /// The releases move to the archive, and nothing else changes; none of them is one that must
    /// stay.
    fn require_retirement(&self) -> Result<(), CliError> {
        let mut expected = retirement::after_retiring(&self.base.channels, &self.retire);
        let refuse = |problem: String| Err(CliError::Untrusted(problem));
        if self.manifest.is_some() {
            return refuse("a release is to be published: expected a retirement alone".to_owned());
        }
        for document in &self.documents {
            let role = document.name.parse::<ChannelName>()?;
            let (Body::Channel(next), Some(expected)) = (&document.body, expected.remove(&role))
            else {
                return refuse(format!("{} has no part in the retirement", document.name));
            };
            if next.targets != expected || next.channel_problem().is_some() {
                return refuse(format!(
                    "{} lists something else than the retirement leaves it",
                    document.name
                ));
            }
        }
        if let Some(role) = expected.keys().next() {
            return refuse(format!("{role} is missing: expected it without the retired releases"));
        }
        let releases = Listed::of(&self.base.channels);
        match retirement::obstacles(&releases, &self.retire).into_iter().next() {
            Some(obstacle) => refuse(obstacle.problem),
            None => Ok(()),
        }
    }

    /// The releases that move out of the role `name`, or into it where it is the archive.
    pub(super) fn moved(&self, name: &str) -> Vec<&Version> {
        let listed = Listed::of(&self.base.channels);
        let is_moved = |version: &&Version| {
            name == ChannelName::ARCHIVE
                || listed.iter().any(|one| one.version == **version && one.channel.as_str() == name)
        };
        self.retire.iter().filter(is_moved).collect()
    }

    fn present_channel(
        &self,
        name: &str,
    ) -> Option<&BTreeMap<String, mainstay_client::tuf::Target>> {
        Some(&self.base.channels.get(&name.parse::<ChannelName>().ok()?)?.targets)
    }

    /// The releases that a channel lists.
    pub(super) fn releases(targets: &Targets) -> usize {
        let manifest = |path: &&String| {
            path.parse::<TargetPath>().is_ok_and(|path| path.as_str().ends_with("/release.json"))
        };
        targets.targets.keys().filter(manifest).count()
    }

    /// Whether everybody has signed who must.
    pub(in crate::cli) fn is_complete(&self) -> bool {
        self.documents.iter().all(Document::is_complete)
    }

    /// Signs with `key` everything that it may sign, and says what.
    pub(in crate::cli) fn sign(&mut self, key: &dyn Signer) -> Result<Vec<String>, CliError> {
        let id = key.public().id();
        let mut signed = Vec::new();
        for document in self.documents.iter_mut().filter(|document| document.may_sign(&id)) {
            document.envelope.cosign(key)?;
            signed.push(document.name.clone());
        }
        Ok(signed)
    }

    /// The documents with the signatures that count for something.
    pub(in crate::cli) fn texts(&self) -> Result<BTreeMap<String, String>, CliError> {
        self.documents
            .iter()
            .map(|document| Ok((document.name.clone(), document.text()?)))
            .collect()
    }
}

/// A root must be signed by the thresholds of the present root and of itself.
fn root_body(base: &Base, next: Root) -> (Body, Vec<Requirement>) {
    let present = Requirement::new("present root keys", (&base.root.keys, &base.root.roles.root));
    let new = Requirement::new("new root keys", (&next.keys, &next.roles.root));
    // Identifiers are the keys' own, so the same identifiers are the same keys.
    let is_same = present.role == new.role;
    let requirements = if is_same {
        vec![Requirement { who: "root keys".to_owned(), ..new }]
    } else {
        vec![present, new]
    };
    (Body::Root(next), requirements)
}

/// The proposal's document `name`, of which everything can be shown.
fn new_document<M: Authored>(
    proposal: &Proposal,
    name: &str,
    bytes_max: u64,
    now: Timestamp,
) -> Result<Option<M>, CliError> {
    let Some(text) = proposal.documents.get(name) else { return Ok(None) };
    let document: M = read(&proposal.product, name, text.as_bytes(), bytes_max, None)?;
    let envelope = Envelope::parse(name, text.as_bytes())?;
    let Limits { offline_lifetime_max, channel_lifetime_max, .. } = Limits::DEFAULT;
    let is_offline = [Root::KIND, Targets::KIND].contains(&name);
    let lifetime_max = if is_offline { offline_lifetime_max } else { channel_lifetime_max };
    let problems = authoring_problems::<M>(name, &envelope, now, lifetime_max);
    if problems.is_empty() {
        return Ok(Some(document));
    }
    Err(CliError::Untrusted(problems.join("; ")))
}

fn require_step(base: &Base, document: &Document) -> Result<(), CliError> {
    let (present, next) = match &document.body {
        Body::Root(next) => (Some(base.root.header()), next.header()),
        Body::Targets(next) => (Some(base.targets.header()), next.header()),
        Body::Channel(next) => {
            let channel = document.name.parse::<ChannelName>().ok();
            let present = channel.and_then(|channel| base.channels.get(&channel));
            (present.map(Metadata::header), next.header())
        }
    };
    let present = present.map_or(0, |header| header.version.get());
    if NonZeroU64::new(present.saturating_add(1)) == Some(next.version) {
        return Ok(());
    }
    Err(CliError::Untrusted(format!(
        "{} has version {}: expected the one after {present}",
        document.name, next.version
    )))
}

fn no_such(name: &str) -> CliError {
    CliError::Untrusted(format!("the product has no document `{}`", name.escape_debug()))
}

fn parse_manifest(text: &str) -> Result<ReleaseManifest, CliError> {
    let refuse = |problem: String| CliError::Untrusted(format!("the release manifest: {problem}"));
    let bytes_max = TufLimits::DEFAULT.manifest_bytes_max;
    if text.len() as u64 > bytes_max {
        return Err(refuse(format!("{} bytes: expected at most {bytes_max}", text.len())));
    }
    let manifest: ReleaseManifest =
        json::from_slice(text.as_bytes()).map_err(|error| refuse(error.to_string()))?;
    match manifest.problems().first() {
        Some(problem) => Err(refuse(problem.clone())),
        None => Ok(manifest),
    }
}
