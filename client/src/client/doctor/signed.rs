//! What the vendor signed: the repository as it is now, verified down from the root that this machine
//! has pinned, and the release of one version in it.

use std::{collections::BTreeMap, fs::File, io::BufReader};

use jiff::Timestamp;

use crate::{
    client::{
        Enrolment, Progress, files, manifest, refresh::Refresh, rules, trust_store::TrustStore,
    },
    error::Error,
    fetch::Remote,
    format::{
        Artifact, Channel, ChannelName, PlanTarget, Platform, TargetFile, TargetPath, Version,
    },
    fs::LocalFileSystem,
    install::{KeptTree, Mending},
    pack::Decompressed,
    tuf::{DIRECTOR, Limits, Refusal, Rule, TargetKind, TrustedRepository},
};

/// The way to a product's repository.
pub(super) struct Source {
    pub(super) remote: Remote,
    pub(super) enrolment: Enrolment,
    pub(super) store: TrustStore,
    pub(super) limits: Limits,
    pub(super) platform: Platform,
}

/// A product's repository as it was just now.
pub(super) struct Signed {
    source: Source,
    repository: TrustedRepository,
    /// What was fetched to begin with, by file.
    news: BTreeMap<String, String>,
}

/// The release of a version, as the vendor signed it.
pub(super) struct SignedRelease {
    /// What is known about its tree.
    pub(super) kept: KeptTree,
    /// Where its artifact is.
    file: TargetFile,
}

impl Source {
    fn refresh(&self) -> Refresh<'_> {
        let Self { remote, enrolment, store, limits, .. } = self;
        Refresh { remote, product: &enrolment.product, store, limits: *limits }
    }

    /// Follows the workflow from the pinned root down to the top-level targets. What is stored of it
    /// is mended on the way.
    pub(super) fn open(self, now: Timestamp) -> Result<Signed, Error> {
        let root = self.refresh().root(self.enrolment.pinned_root())?;
        let news = self.news(root.version())?;
        let repository = self.refresh().repository(root, &news, now)?;
        Ok(Signed { source: self, repository, news })
    }

    /// The roots after `version`, and the timestamp. What is below them is fetched where the copies
    /// are not what these list.
    fn news(&self, version: u64) -> Result<BTreeMap<String, String>, Error> {
        let mut news = BTreeMap::new();
        let product = &self.enrolment.product;
        let mut fetch = |file: String, bytes_max| {
            let bytes = self.remote.metadata(product, &file, bytes_max)?;
            let text = String::from_utf8(bytes)
                .map_err(|error| Error::from(Refusal::new(&file, Rule::Form, error.to_string())))?;
            news.insert(file, text);
            Ok::<_, Error>(())
        };
        for next in (1..=self.limits.root_rotations_max).map(|step| version.saturating_add(step)) {
            match fetch(format!("{next}.root.json"), self.limits.root_bytes_max) {
                Err(error) if error.code() == "NOT_FOUND" => break,
                fetched => fetched?,
            }
        }
        fetch("timestamp.json".to_owned(), self.limits.timestamp_bytes_max)?;
        Ok(news)
    }
}

impl Signed {
    /// The rollback floor that the vendor signed for `running`.
    pub(super) fn floor(&self, running: &Version) -> Option<Version> {
        rules::floor(&self.repository, running)
    }

    /// Makes sure that the copy of the role `name` is the one that is listed now.
    pub(super) fn heal(&mut self, name: &ChannelName) -> Result<(), Error> {
        self.source.refresh().channel(&mut self.repository, name, &self.news)
    }

    /// The release of `version`, whichever role lists it now. `published_in` is asked first.
    ///
    /// Where it is not to be had, the error is a refusal ([`Error::is_refusal`]). Anything else leaves
    /// it open whether there is one.
    pub(super) fn release(
        &mut self,
        version: &Version,
        published_in: Option<&ChannelName>,
    ) -> Result<SignedRelease, Error> {
        let mut refused: Option<Error> = None;
        for role in self.roles(version, published_in) {
            match self.release_in(&role, version) {
                Ok(Some(release)) => return Ok(release),
                Ok(None) => {}
                // Another role may list it all the same.
                Err(error) => {
                    refused = Some(refused.filter(|it| !it.is_refusal()).unwrap_or(error));
                }
            }
        }
        Err(refused.unwrap_or_else(|| {
            let detail = "no role that may speak for it lists it";
            Refusal::new(version.to_string(), Rule::NotListed, detail).into()
        }))
    }

    /// The roles that may list `version`, the archive last.
    fn roles(&self, version: &Version, published_in: Option<&ChannelName>) -> Vec<ChannelName> {
        let delegations = self.repository.targets().delegations.as_ref();
        let names = delegations.iter().flat_map(|it| &it.roles).map(|role| role.name.as_str());
        let names = names.filter(|name| *name != DIRECTOR);
        let admits = |role: &ChannelName| {
            role.as_str().parse::<Channel>().map_or(true, |channel| channel.admits(version))
        };
        let mut roles: Vec<ChannelName> =
            names.filter_map(|name| name.parse().ok()).filter(admits).collect();
        roles.sort_by_key(|role| (role.is_archive(), Some(role) != published_in));
        roles
    }

    fn release_in(
        &mut self,
        role: &ChannelName,
        version: &Version,
    ) -> Result<Option<SignedRelease>, Error> {
        if self.repository.listed_role(role.as_str()).is_err() {
            return Ok(None);
        }
        self.source.refresh().channel(&mut self.repository, role, &self.news)?;
        let Some(target) = self.target(role, version) else { return Ok(None) };
        let Source { remote, enrolment, limits, platform, .. } = &self.source;
        let product = &enrolment.product;
        let manifest = manifest::fetch(remote, product, &target.manifest, *limits)?;
        let artifact = rules::expect_manifest(&manifest, product, &target, platform)?;
        let kept = KeptTree {
            version: version.clone(),
            channel: rules::published_in(&target),
            artifact,
            seal: None,
        };
        Ok(Some(SignedRelease { kept, file: target.artifact }))
    }

    /// What a plan would name to lead to `version`, if `role` lists it.
    fn target(&self, role: &ChannelName, version: &Version) -> Option<PlanTarget> {
        let platform = &self.source.platform;
        let paths = |channel: &ChannelName| {
            (
                TargetPath::manifest(channel, version),
                TargetPath::artifact(channel, version, platform),
            )
        };
        let candidates: Vec<_> = if role.is_archive() {
            let archived = |(manifest, artifact): (TargetPath, TargetPath)| {
                (manifest.archived(), artifact.archived())
            };
            Channel::ALL.into_iter().map(|it| archived(paths(&it.into()))).collect()
        } else {
            vec![paths(role)]
        };
        let artifact_kind = TargetKind::Artifact { platform: platform.clone() };
        candidates.into_iter().find_map(|(manifest, artifact)| {
            let is_release = |kind: &TargetKind| matches!(kind, TargetKind::Release { .. });
            Some(PlanTarget {
                version: version.clone(),
                channel: role.clone(),
                manifest: self.listed(version, manifest, &is_release)?,
                artifact: self.listed(version, artifact, &|kind| *kind == artifact_kind)?,
                deltas: Vec::new(),
            })
        })
    }

    /// The file `path`, where the repository lists it as one of `version` of the right kind.
    fn listed(
        &self,
        version: &Version,
        path: TargetPath,
        is_right: &dyn Fn(&TargetKind) -> bool,
    ) -> Option<TargetFile> {
        let target = self.repository.target(&path).ok()?;
        let is_meant =
            target.custom().is_some_and(|it| it.version == *version && is_right(&it.kind));
        let sha256 = target.hashes.sha256.filter(|_| is_meant)?;
        Some(TargetFile { path, length: target.length, sha256 })
    }

    /// Fetches `release` and lets `mending` put its tree in place.
    pub(super) fn put_tree(
        &self,
        mending: &mut Mending,
        release: &SignedRelease,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), Error> {
        let (version, file) = (&release.kept.version, &release.file);
        let artifact: &Artifact = &release.kept.artifact;
        let cache = mending.layout().cache();
        let download = self.source.remote.download(&self.source.enrolment.product, file);
        let path =
            download.into_cache(&cache, &mut Progress::downloading(0, file.length, progress))?;
        progress(Progress::Installing { version: version.clone() });
        let packed = File::open(&path).map_err(|error| Error::disk(&path, error))?;
        let (length, window_log) = (artifact.payload_length, artifact.window_log);
        let mut payload = Decompressed::new(BufReader::new(packed), length, window_log)?;
        mending.put_tree(version, artifact, &mut payload)?;
        files::remove(&LocalFileSystem, &path)
    }
}
