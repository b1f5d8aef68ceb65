//! The server's online keys: timestamp, snapshot, director. Root, targets and release keys never
//! come here.

use std::{fs, io, io::Write as _, os::unix::fs::OpenOptionsExt as _, path::Path};

use mainstay_client::{format::wire::ServerKeys, tuf::SigningKey};
use secrecy::ExposeSecret as _;

/// The server's own keys.
#[derive(Debug)]
pub struct OnlineKeys {
    /// Signs timestamps.
    pub timestamp: SigningKey,
    /// Signs snapshots.
    pub snapshot: SigningKey,
    /// Signs plans.
    pub director: SigningKey,
}

impl OnlineKeys {
    /// Reads the keys from `dir`, or makes those (mode 0600) that are not there yet.
    pub fn open_or_create(dir: &Path) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        Self::each(dir, |path| read(path)?.map_or_else(|| create(path), Ok))
    }

    /// Reads the keys from `dir`. One that is missing is not made anew: no product's root would
    /// know it, and every machine would refuse what it signs.
    pub fn open(dir: &Path) -> io::Result<Self> {
        Self::each(dir, |path| {
            read(path)?.ok_or_else(|| {
                io::Error::new(
                    io::ErrorKind::NotFound,
                    format!(
                        "{} is missing, and the products' roots know no other: put it back from a \
                         backup",
                        path.display()
                    ),
                )
            })
        })
    }

    fn each(dir: &Path, open: impl Fn(&Path) -> io::Result<SigningKey>) -> io::Result<Self> {
        let key = |name: &str| open(&dir.join(name).with_extension("pem"));
        Ok(Self {
            timestamp: key("timestamp")?,
            snapshot: key("snapshot")?,
            director: key("director")?,
        })
    }

    /// The public halves.
    pub fn public(&self) -> ServerKeys {
        ServerKeys {
            timestamp: self.timestamp.public(),
            snapshot: self.snapshot.public(),
            director: self.director.public(),
        }
    }
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
