//! The server's online keys: timestamp, snapshot, director. Root, targets and release keys never
//! come here.
//!
//! The keys come in generations. The first lies in the directory of the keys itself, each later one
//! in a directory below that is called by its number. The newest is announced to vendors; for each
//! product the server signs with the generation that the product's root and targets authorise, so
//! that a new one changes nothing before the vendor has adopted it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use mainstay_client::{
    format::wire::ServerKeys,
    tuf::{KeyId, PublicKey, RoleKeys, SigningKey},
};
use secrecy::ExposeSecret as _;

/// What an online key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnlineRole {
    /// Timestamps.
    Timestamp,
    /// Snapshots.
    Snapshot,
    /// Plans.
    Director,
}

impl OnlineRole {
    const ALL: [Self; 3] = [Self::Timestamp, Self::Snapshot, Self::Director];

    /// The role's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Timestamp => "timestamp",
            Self::Snapshot => "snapshot",
            Self::Director => "director",
        }
    }

    fn file(self, dir: &Path) -> PathBuf {
        dir.join(self.as_str()).with_extension("pem")
    }
}

/// The server's own keys, of every generation.
#[derive(Debug)]
pub struct OnlineKeys {
    newest: Generation,
    /// The keys of earlier generations that are still there, the newest first.
    earlier: Vec<(OnlineRole, SigningKey)>,
}

#[derive(Debug)]
struct Generation {
    timestamp: SigningKey,
    snapshot: SigningKey,
    director: SigningKey,
}

impl Generation {
    fn each(mut key: impl FnMut(OnlineRole) -> io::Result<SigningKey>) -> io::Result<Self> {
        Ok(Self {
            timestamp: key(OnlineRole::Timestamp)?,
            snapshot: key(OnlineRole::Snapshot)?,
            director: key(OnlineRole::Director)?,
        })
    }

    fn key(&self, role: OnlineRole) -> &SigningKey {
        match role {
            OnlineRole::Timestamp => &self.timestamp,
            OnlineRole::Snapshot => &self.snapshot,
            OnlineRole::Director => &self.director,
        }
    }
}

/// What becomes of a newest generation of which a key is missing when a new one is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfMissing {
    /// Nothing is made: the key may be in a backup.
    Refuse,
    /// It is lost for good.
    GiveUp,
}

impl OnlineKeys {
    /// Reads the keys from `dir`, or makes those of the first generation (mode 0600) that are not
    /// there yet.
    pub fn open_or_create(dir: &Path) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        if generations(dir)?.len() == 1 {
            for role in OnlineRole::ALL {
                let path = role.file(dir);
                if read(&path)?.is_none() {
                    create(&path)?;
                }
            }
        }
        Self::open(dir)
    }

    /// Reads the keys from `dir`. One of the newest generation that is missing is not made anew: no
    /// product's root would know it, and every machine would refuse what it signs.
    pub fn open(dir: &Path) -> io::Result<Self> {
        let mut dirs = generations(dir)?.into_values().rev();
        let newest_dir = dirs.next().unwrap_or_else(|| dir.to_owned());
        let newest = Generation::each(|role| {
            let path = role.file(&newest_dir);
            read(&path)?.ok_or_else(|| missing(&path))
        })?;
        let mut earlier = Vec::new();
        for dir in dirs {
            for role in OnlineRole::ALL {
                if let Some(key) = read(&role.file(&dir))? {
                    earlier.push((role, key));
                }
            }
        }
        Ok(Self { newest, earlier })
    }

    /// Makes the next generation in `dir`, whole or not at all, and says its public halves and where
    /// it is. A running server takes it up when it starts again.
    pub fn rotate(dir: &Path, if_missing: IfMissing) -> io::Result<(ServerKeys, PathBuf)> {
        let known = generations(dir)?;
        let newest = known.last_key_value().map_or(dir, |(_, newest)| newest);
        if if_missing == IfMissing::Refuse {
            for role in OnlineRole::ALL {
                let path = role.file(newest);
                if read(&path)?.is_none() {
                    return Err(missing(&path));
                }
            }
        }
        fs::create_dir_all(dir)?;
        let number = known.last_key_value().map_or(1, |(number, _)| *number) + 1;
        let part = tempfile::Builder::new().prefix(".making-").tempdir_in(dir)?;
        let made = Generation::each(|role| create(&role.file(part.path())))?;
        let place = dir.join(number.to_string());
        fs::rename(part.path(), &place)?;
        fs::File::open(dir)?.sync_all()?;
        let keys = Self { newest: made, earlier: Vec::new() };
        Ok((keys.public(), place))
    }

    /// The public halves of the newest generation.
    pub fn public(&self) -> ServerKeys {
        ServerKeys {
            timestamp: self.newest.timestamp.public(),
            snapshot: self.newest.snapshot.public(),
            director: self.newest.director.public(),
        }
    }

    /// The newest key for `role` among those that are `authorised`.
    pub(super) fn authorised(
        &self,
        role: OnlineRole,
        authorised: &BTreeSet<KeyId>,
    ) -> Option<&SigningKey> {
        self.of_role(role).find(|key| authorised.contains(&key.public().id()))
    }

    /// Whether `listed` lets a key of this server alone sign as `role`.
    pub(super) fn may_sign(
        &self,
        role: OnlineRole,
        listed: &RoleKeys,
        keys: &BTreeMap<KeyId, PublicKey>,
    ) -> bool {
        listed.threshold.get() == 1
            && self.authorised(role, &listed.keyids).is_some_and(|key| {
                let public = key.public();
                keys.get(&public.id()) == Some(&public)
            })
    }

    /// Whether `key` is one of this server, of whatever generation.
    pub(super) fn contains(&self, key: &PublicKey) -> bool {
        OnlineRole::ALL.into_iter().any(|role| self.of_role(role).any(|held| held.public() == *key))
    }

    fn of_role(&self, wanted: OnlineRole) -> impl Iterator<Item = &SigningKey> {
        let earlier = self.earlier.iter().filter(move |(role, _)| *role == wanted);
        std::iter::once(self.newest.key(wanted)).chain(earlier.map(|(_, key)| key))
    }
}

/// The directories of the generations by number.
fn generations(dir: &Path) -> io::Result<BTreeMap<u32, PathBuf>> {
    let mut found = BTreeMap::from([(1, dir.to_owned())]);
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        Err(error) => return Err(told(dir, &error)),
    };
    for entry in entries {
        let path = entry?.path();
        let number = path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok());
        if let Some(number) = number.filter(|number| *number > 1) {
            found.insert(number, path);
        }
    }
    Ok(found)
}

fn missing(path: &Path) -> io::Error {
    io::Error::new(
        io::ErrorKind::NotFound,
        format!(
            "{} is missing, and the products' roots know no other: put it back from a backup; if \
             there is none, `mainstay keys rotate-online --lost` makes new keys, which the vendor \
             then adopts with `mainstay trust propose --adopt-online-keys`",
            path.display()
        ),
    )
}

fn read(path: &Path) -> io::Result<Option<SigningKey>> {
    match fs::read_to_string(path) {
        Ok(pem) => {
            SigningKey::from_pem(&pem, || None).map(Some).map_err(|error| told(path, &error))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(told(path, &error)),
    }
}

fn create(path: &Path) -> io::Result<SigningKey> {
    let key = SigningKey::generate().map_err(|error| told(path, &error))?;
    let pem = key.to_pem(None).map_err(|error| told(path, &error))?;
    write_secret(path, pem.expose_secret())?;
    Ok(key)
}

fn told(path: &Path, error: &dyn std::fmt::Display) -> io::Error {
    io::Error::other(format!("{}: {error}", path.display()))
}

/// Writes `secret` to a new file that only its owner can read, whole and durable or not at all.
pub fn write_secret(path: &Path, secret: &str) -> io::Result<()> {
    let part = path.with_extension("part");
    match fs::remove_file(&part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
    file.write_all(secret.as_bytes())?;
    file.sync_all()?;
    fs::rename(&part, path)?;
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(key: &PublicKey) -> BTreeSet<KeyId> {
        BTreeSet::from([key.id()])
    }

    #[test]
    fn a_new_generation_is_announced_and_the_old_goes_on_signing() {
        let dir = tempfile::tempdir().unwrap();
        let old = OnlineKeys::open_or_create(dir.path()).unwrap().public();
        let (new, place) = OnlineKeys::rotate(dir.path(), IfMissing::Refuse).unwrap();
        assert_eq!(place, dir.path().join("2"));
        let keys = OnlineKeys::open(dir.path()).unwrap();
        assert_eq!(keys.public(), new);
        for timestamp in [&old.timestamp, &new.timestamp] {
            let held = keys.authorised(OnlineRole::Timestamp, &one(timestamp)).unwrap();
            assert_eq!(held.public(), *timestamp);
            assert!(keys.authorised(OnlineRole::Snapshot, &one(timestamp)).is_none());
        }
        let (newest, place) = OnlineKeys::rotate(dir.path(), IfMissing::Refuse).unwrap();
        assert_eq!(place, dir.path().join("3"));
        assert_eq!(OnlineKeys::open_or_create(dir.path()).unwrap().public(), newest);
    }

    #[test]
    fn keys_that_are_lost_are_given_up_by_command_only() {
        let dir = tempfile::tempdir().unwrap();
        let old = OnlineKeys::open_or_create(dir.path()).unwrap().public();
        fs::remove_file(dir.path().join("director.pem")).unwrap();
        for refused in [
            OnlineKeys::open(dir.path()).unwrap_err(),
            OnlineKeys::rotate(dir.path(), IfMissing::Refuse).unwrap_err(),
        ] {
            assert!(refused.to_string().contains("director.pem is missing"), "{refused}");
        }
        let (new, _) = OnlineKeys::rotate(dir.path(), IfMissing::GiveUp).unwrap();
        let keys = OnlineKeys::open(dir.path()).unwrap();
        assert_eq!(keys.public(), new);
        assert!(keys.authorised(OnlineRole::Director, &one(&old.director)).is_none());
        assert!(keys.authorised(OnlineRole::Timestamp, &one(&old.timestamp)).is_some());
        fs::remove_dir_all(dir.path().join("2")).unwrap();
        fs::create_dir(dir.path().join("2")).unwrap();
        assert!(OnlineKeys::open_or_create(dir.path()).is_err(), "none is made in silence");
    }
}
