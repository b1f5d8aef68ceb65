use std::{
    fmt::Write as _,
    fs,
    num::NonZeroU64,
    path::{Path, PathBuf},
};

use jiff::Timestamp;

use super::files;
use crate::{
    error::Error,
    fetch::Mirror,
    fs::{FileSystem as _, LocalFileSystem},
    tuf::{
        FileMeta, HashesChecker, Limits, Refusal, Rotation, Rule, Search, Target,
        TrustedRepository, TrustedRoot, percent_encoded, role_file_name,
    },
};

/// A TUF client by itself (specification 1.0.34, §5): keeps trusted metadata in a folder, refreshes
/// it from a mirror, finds targets through delegations and downloads them. It knows nothing of
/// contracts and plans, and works with any repository of The Update Framework.
///
/// The folder holds the metadata byte for byte as it was received, each role as `<role>.json` with
/// its name percent-encoded, upper-case letters too: a file system may take `Role` for `role`. What
/// is read back is verified again; a copy that is missing, damaged or expired is fetched anew. A
/// folder must have one user at a time. Where the copy of the newest root is lost, the chain is followed
/// again from the first, up to the newest that was seen at the least.
pub struct Updater {
    metadata: Mirror,
    folder: PathBuf,
    limits: Limits,
    repository: TrustedRepository,
}

impl Updater {
    /// The root that the folder began with, from which the chain is followed anew where the copy of
    /// the newest is lost.
    const PINNED_ROOT: &str = "pinned-root";
    /// The highest version of a root that was trusted in the folder.
    const ROOT_SEEN: &str = "root-seen";

    /// Makes `root` the root of trust in `folder`. Where it comes from is what everything rests on.
    pub fn init(folder: &Path, root: &[u8]) -> Result<(), Error> {
        TrustedRoot::pin(root, Limits::DEFAULT)?;
        files::remove(&LocalFileSystem, &folder.join(Self::ROOT_SEEN))?;
        files::replace(&LocalFileSystem, &folder.join(Self::PINNED_ROOT), root)?;
        files::replace(&LocalFileSystem, &folder.join(copy_name("root")), root)
    }

    /// Refreshes the metadata in `folder` from `metadata`, down to the top-level targets. Each
    /// document is stored as soon as it is trusted; one that is refused changes nothing.
    pub fn refresh(
        metadata: Mirror,
        folder: &Path,
        limits: Limits,
        now: Timestamp,
    ) -> Result<Self, Error> {
        let copies = Copies { metadata: &metadata, folder };
        let mut root = copies.root(limits)?;
        for _ in 0..limits.root_rotations_max {
            let next = role_file_name("root", NonZeroU64::new(root.version().saturating_add(1)));
            let Some(bytes) = metadata.file(&format!("/{next}"), limits.root_bytes_max)? else {
                break;
            };
            if root.rotate(&bytes)? == Rotation::OtherOnlineSigners {
                copies.forget_online_roles()?;
            }
            copies.write("root", &bytes)?;
        }
        copies.expect_newest(&root)?;
        let is_consistent = root.root().consistent_snapshot;
        let mut trust = root.settle(now)?;
        if let Some(copy) = copies.read("timestamp", limits.timestamp_bytes_max) {
            trust.recall(&copy);
        }
        let bytes = copies.fetch("timestamp", None, limits.timestamp_bytes_max)?;
        let mut timestamp = trust.accept(&bytes)?;
        if timestamp.is_new() {
            copies.write("timestamp", &bytes)?;
        }
        if let Some(copy) = copies.read("snapshot", limits.snapshot_bytes_max) {
            timestamp.recall(&copy);
        }
        let version = |meta: &FileMeta| is_consistent.then_some(meta.version);
        let listed = version(timestamp.snapshot());
        let snapshot = copies.obtain("snapshot", listed, limits.snapshot_bytes_max, |bytes| {
            timestamp.clone().accept(bytes)
        })?;
        let listed = version(snapshot.targets()?);
        let repository = copies.obtain("targets", listed, limits.targets_bytes_max, |bytes| {
            snapshot.clone().accept(bytes)
        })?;
        Ok(Self { folder: folder.to_owned(), metadata, limits, repository })
    }

    /// The trusted repository.
    pub fn repository(&self) -> &TrustedRepository {
        &self.repository
    }

    /// Finds the target `path`, and takes in the delegated roles that must be asked for it.
    pub fn target(&mut self, path: &str) -> Result<Target, Error> {
        loop {
            let delegation = match self.repository.search(path)? {
                Search::Found(target) => return Ok(target.clone()),
                Search::Absent => {
                    let detail = "no role that may speak for it lists it";
                    return Err(Refusal::new(path, Rule::NotListed, detail).into());
                }
                Search::Load(delegation) => delegation,
            };
            let listed = self.repository.listed_role(delegation.role())?.version;
            let version = self.repository.root().consistent_snapshot.then_some(listed);
            let copies = Copies { metadata: &self.metadata, folder: &self.folder };
            let bytes_max = self.limits.targets_bytes_max;
            copies.obtain(delegation.role(), version, bytes_max, |bytes| {
                self.repository.accept(&delegation, bytes).map(|_| ())
            })?;
        }
    }

    /// Downloads the target `path` from `targets` to the file `destination`, which changes only when
    /// all of it has arrived and is right. A file that is the target already is left as it is.
    pub fn download(
        &mut self,
        targets: &Mirror,
        path: &str,
        destination: &Path,
    ) -> Result<(), Error> {
        let target = self.target(path)?;
        if is_target(destination, &target) {
            return Ok(());
        }
        let address = self.target_address(path, &target);
        let folder = destination.parent().unwrap_or(Path::new("."));
        let of_disk = |error| Error::disk(destination, error);
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(of_disk)?;
        targets.target(&address, &target, &mut file)?;
        file.as_file().sync_all().map_err(of_disk)?;
        file.persist(destination).map_err(|error| of_disk(error.error))?;
        Ok(())
    }

    /// Where a mirror has the target: below its folders, after one of its digests where snapshots
    /// are consistent (TUF 1.0.34 §5.7.3).
    fn target_address(&self, path: &str, target: &Target) -> String {
        let prefix = target.hashes.file_name_prefix();
        let prefix = prefix
            .filter(|_| self.repository.root().consistent_snapshot)
            .map_or_else(String::new, |digest| format!("{digest}."));
        let mut segments: Vec<_> = path.split('/').map(percent_encoded).collect();
        if let Some(name) = segments.last_mut() {
            name.insert_str(0, &prefix);
        }
        format!("/{}", segments.join("/"))
    }
}

/// Whether the file at `path` is `target`.
fn is_target(path: &Path, target: &Target) -> bool {
    let Ok(file) = fs::File::open(path) else { return false };
    if !file.metadata().is_ok_and(|metadata| metadata.len() == target.length) {
        return false;
    }
    let mut checker = HashesChecker::new(target.hashes);
    std::io::copy(&mut &file, &mut checker).is_ok() && checker.finish().is_ok()
}

/// The file of a role's copy.
fn copy_name(role: &str) -> String {
    let mut name = String::new();
    for character in role.chars() {
        // The digits of an escape are in upper case always, so no two roles come to the same.
        let _ = match character {
            'A'..='Z' => write!(name, "%{:02X}", u32::from(character)),
            _ => name.write_str(&percent_encoded(character.encode_utf8(&mut [0; 4]))),
        };
    }
    name + ".json"
}

/// The copies of metadata in a folder, and the mirror from which they come.
#[derive(Clone, Copy)]
struct Copies<'a> {
    metadata: &'a Mirror,
    folder: &'a Path,
}

impl Copies<'_> {
    /// The newest root that is trusted here; where its copy is damaged, the first one.
    fn root(&self, limits: Limits) -> Result<TrustedRoot, Error> {
        let newest = self.read("root", limits.root_bytes_max);
        if let Some(root) = newest.and_then(|bytes| TrustedRoot::pin(&bytes, limits).ok()) {
            return Ok(root);
        }
        let path = self.folder.join(Updater::PINNED_ROOT);
        let bytes =
            files::read(&path, limits.root_bytes_max).map_err(|error| Error::disk(&path, error))?;
        Ok(TrustedRoot::pin(&bytes, limits)?)
    }

    /// Notes the version of `root`, and refuses one that is older than what was noted: whoever serves
    /// it withholds those that follow, and may have keys that they have replaced.
    fn expect_newest(&self, root: &TrustedRoot) -> Result<(), Error> {
        let path = self.folder.join(Updater::ROOT_SEEN);
        let noted = files::read(&path, 32).ok().and_then(|noted| String::from_utf8(noted).ok());
        let seen = noted.and_then(|noted| noted.parse().ok()).unwrap_or(0);
        let version = root.version();
        if version < seen {
            let detail =
                format!("version {seen} was trusted here before: expected the roots up to it");
            return Err(Refusal::new("root", Rule::Rollback, detail).at(Some(version)).into());
        }
        if version > seen {
            files::replace(&LocalFileSystem, &path, version.to_string().as_bytes())?;
        }
        Ok(())
    }

    fn read(&self, role: &str, bytes_max: u64) -> Option<Vec<u8>> {
        files::read(&self.folder.join(copy_name(role)), bytes_max).ok()
    }

    fn write(&self, role: &str, bytes: &[u8]) -> Result<(), Error> {
        files::replace(&LocalFileSystem, &self.folder.join(copy_name(role)), bytes)
    }

    /// Forgets the timestamp and the snapshot, durably.
    fn forget_online_roles(&self) -> Result<(), Error> {
        for role in ["timestamp", "snapshot"] {
            files::remove(&LocalFileSystem, &self.folder.join(copy_name(role)))?;
        }
        let synced = LocalFileSystem.sync_directory(self.folder);
        synced.map_err(|error| Error::disk(self.folder, error))
    }

    fn fetch(
        &self,
        role: &str,
        version: Option<NonZeroU64>,
        bytes_max: u64,
    ) -> Result<Vec<u8>, Error> {
        let path = format!("/{}", role_file_name(role, version));
        self.metadata.file(&path, bytes_max)?.ok_or_else(|| {
            let detail = format!("the repository has no {path}");
            Refusal::new(role, Rule::NotListed, detail).into()
        })
    }

    /// A role that `accept` accepts: the copy here, else what the mirror has, which is stored then.
    fn obtain<T>(
        &self,
        role: &str,
        version: Option<NonZeroU64>,
        bytes_max: u64,
        mut accept: impl FnMut(&[u8]) -> Result<T, Refusal>,
    ) -> Result<T, Error> {
        if let Some(copy) = self.read(role, bytes_max)
            && let Ok(accepted) = accept(&copy)
        {
            return Ok(accepted);
        }
        let bytes = self.fetch(role, version, bytes_max)?;
        let accepted = accept(&bytes)?;
        self.write(role, &bytes)?;
        Ok(accepted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_roles_share_a_copy_whatever_the_file_system_takes_for_the_same() {
        for (role, name) in [
            ("timestamp", "timestamp.json"),
            ("role-1", "role-1.json"),
            ("Role", "%52ole.json"),
            ("ROLE", "%52%4F%4C%45.json"),
            ("%52ole", "%2552ole.json"),
            ("../A", "..%2F%41.json"),
            ("\u{c9}", "%C3%89.json"),
            ("\u{e9}", "%C3%A9.json"),
        ] {
            assert_eq!(copy_name(role), name, "{role}");
        }
    }
}
