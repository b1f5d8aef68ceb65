use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use jiff::{SignedDuration, Timestamp};
use mainstay_client::{
    format::{ChannelName, ProductName, wire::PublishingState},
    tuf::{DIRECTOR, Limits, Metadata as _, Targets, TrustedRepository, TrustedRoot, json},
};

use super::{
    CliError,
    trust::{Seen, SeenRoles},
};

/// How far the server's clock may be from this computer's. By the server's clock releases are
/// stamped; one that was broken into must not have them stamped, or metadata judged, as it likes.
const CLOCKS_APART_MAX: SignedDuration = SignedDuration::from_mins(15);

/// What the vendor's side has seen of a product: its root of trust, and the newest metadata, so
/// that a server that was broken into cannot have the vendor sign upon something forged or old.
pub(super) struct VendorTrust {
    dir: PathBuf,
    product: ProductName,
}

/// What a publisher builds upon, verified.
pub(super) struct VendorView {
    pub(super) repository: TrustedRepository,
    /// The channels that have a release, as they were signed last.
    pub(super) channels: BTreeMap<ChannelName, Targets>,
}

impl VendorTrust {
    pub(super) fn new(keys: &Path, product: &ProductName) -> Self {
        Self { dir: keys.join("trust").join(product.as_str()), product: product.clone() }
    }

    /// Trusts `root` from now on, and says whether that is new. A product that was trusted before is
    /// not begun anew.
    pub(super) fn begin(&self, root: &[u8]) -> Result<bool, CliError> {
        match self.read("root.json")? {
            Some(known) if known == root => Ok(false),
            Some(_) => Err(CliError::Input(format!(
                "{} is the root of another product of this name: remove the directory if that \
                 one is gone",
                self.dir.join("root.json").display()
            ))),
            None => self.write("root.json", root).map(|()| true),
        }
    }

    /// Forgets a product that was begun and did not come about.
    pub(super) fn forget(&self) -> Result<(), CliError> {
        fs::remove_dir_all(&self.dir).map_err(|source| CliError::file("remove", &self.dir, source))
    }

    /// Takes the server's present metadata through the client's workflow, and remembers it. `now`
    /// is the time by this computer's clock.
    ///
    /// Channels may have expired, which no client would take: what is built upon them is about to
    /// be signed anew, and the snapshot says that they are the newest.
    pub(super) fn verify(
        &self,
        state: &PublishingState,
        now: Timestamp,
    ) -> Result<VendorView, CliError> {
        require_clock(state, now)?;
        let pinned = self.read("root.json")?.ok_or_else(|| self.unknown())?;
        let metadata: BTreeMap<&str, &[u8]> =
            state.metadata.iter().map(|(name, text)| (name.as_str(), text.as_bytes())).collect();
        let part = |name: &str| metadata.get(name).copied().unwrap_or_default();
        let mut root = TrustedRoot::pin(&pinned, Limits::DEFAULT)?.of(&self.product)?;
        let mut newest = pinned;
        while let Some(next) = metadata.get(format!("{}.root.json", root.version() + 1).as_str()) {
            root.rotate(next)?;
            newest = next.to_vec();
        }
        let mut trust = root.settle(state.now)?;
        if let Some(known) = self.read("timestamp.json")? {
            trust.recall(&known);
        }
        let mut timestamp = trust.accept(part("timestamp.json"))?;
        if let Some(known) = self.read("snapshot.json")? {
            timestamp.recall(&known);
        }
        let is_new = timestamp.is_new();
        let repository = timestamp.accept(part("snapshot.json"))?.accept(part("targets.json"))?;
        // A snapshot is kept only with every document that it lists: a server's bare claim of a
        // version must not make the vendor's later ones look old.
        let mut seen = self.seen()?;
        seen.root = Some(newest);
        let meta = &repository.snapshot().meta;
        seen.roles.require_newest(|role| Some(meta.get(&format!("{role}.json"))?.version))?;
        seen.roles.note_published(Targets::KIND, repository.targets().header.version);
        let mut channels = BTreeMap::new();
        for file in repository.snapshot().meta.keys() {
            let name = file.strip_suffix(".json").unwrap_or(file);
            if ![Targets::KIND, DIRECTOR].contains(&name) {
                let channel = repository.role_to_amend(name, part(file))?;
                seen.roles.note_published(name, channel.header.version);
                channels.insert(name.parse()?, channel);
            }
        }
        if is_new {
            self.write("timestamp.json", part("timestamp.json"))?;
        }
        self.write("snapshot.json", part("snapshot.json"))?;
        self.keep(&seen)?;
        Ok(VendorView { repository, channels })
    }

    /// What this computer has seen of the product.
    pub(super) fn seen(&self) -> Result<Seen, CliError> {
        let roles: Option<SeenRoles> =
            self.read("seen.json")?.map(|bytes| json::from_slice(&bytes)).transpose().map_err(
                |error| {
                    CliError::Input(format!("{}: {error}", self.dir.join("seen.json").display()))
                },
            )?;
        Ok(Seen { root: self.read("root.json")?, roles: roles.unwrap_or_default() })
    }

    /// Keeps `seen` in place of what was seen before, and forgets what the server has signed.
    pub(super) fn begin_anew(&self, seen: &Seen) -> Result<(), CliError> {
        for name in ["timestamp.json", "snapshot.json"] {
            let path = self.dir.join(name);
            match fs::remove_file(&path) {
                Err(source) if source.kind() != io::ErrorKind::NotFound => {
                    return Err(CliError::file("remove", &path, source));
                }
                _ => {}
            }
        }
        self.keep(seen)
    }

    /// The product was never seen on this computer.
    pub(super) fn unknown(&self) -> CliError {
        CliError::Input(format!(
            "{} is not there: use the keys directory that the product was created with, or bring \
             its root.json here",
            self.dir.join("root.json").display()
        ))
    }

    /// Keeps what was seen of the product, which was verified by what was seen before.
    pub(super) fn keep(&self, seen: &Seen) -> Result<(), CliError> {
        self.write("seen.json", &serde_json::to_vec(&seen.roles)?)?;
        seen.root.iter().try_for_each(|root| self.write("root.json", root))
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, CliError> {
        let path = self.dir.join(name);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(CliError::file("read", &path, source)),
        }
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), CliError> {
        let path = self.dir.join(name);
        let write = || {
            fs::create_dir_all(&self.dir)?;
            let mut part = tempfile::NamedTempFile::new_in(&self.dir)?;
            io::Write::write_all(&mut part, bytes)?;
            part.as_file().sync_all()?;
            part.persist(&path).map_err(|error| error.error)?;
            fs::File::open(&self.dir)?.sync_all()
        };
        write().map_err(|source| CliError::file("write", &path, source))
    }
}

/// Refuses to go by a server whose clock is not near this computer's, `now`.
pub(super) fn require_clock(state: &PublishingState, now: Timestamp) -> Result<(), CliError> {
    if state.now.duration_since(now).abs() <= CLOCKS_APART_MAX {
        return Ok(());
    }
    Err(CliError::Input(format!(
        "the server says that it is {}, and this computer says {now}: expected at most {} minutes \
         between them; set the clock that is wrong, and sign nothing until then",
        state.now,
        CLOCKS_APART_MAX.as_mins()
    )))
}

#[cfg(test)]
mod tests {
    use mainstay_client::{
        format::Channel,
        tuf::{self, Envelope, FileMeta, SigningKey, Snapshot},
    };

    use super::*;
    use crate::service::tests::world::{World, after_days, product};

    /// The trust of a vendor who created the world's product.
    async fn trust(world: &World, keys: &Path) -> VendorTrust {
        let state = world.on_day(0).publishing_state(&product()).await.unwrap();
        let trust = VendorTrust::new(keys, &product());
        trust.begin(state.metadata["1.root.json"].as_bytes()).unwrap();
        trust
    }

    #[tokio::test]
    async fn a_channel_that_has_expired_is_built_upon() {
        let (world, keys) = (World::new().await, tempfile::tempdir().unwrap());
        world.publish(0, Channel::Major, "1.0.0").await.unwrap();
        let service = world.on_day(100);
        service.renew_repositories().await.unwrap();
        let state = service.publishing_state(&product()).await.unwrap();
        let trust = trust(&world, keys.path()).await;
        let view = trust.verify(&state, after_days(100)).unwrap();
        assert_eq!(view.channels[&Channel::Major.into()].targets.len(), 2);
    }

    /// With its own keys a server can list whatever version it likes. It must not make the versions
    /// that the vendor signs look old for ever, least of all those that replace these keys.
    #[tokio::test]
    async fn a_bare_claim_of_a_version_is_not_remembered() {
        let (world, keys) = (World::new().await, tempfile::tempdir().unwrap());
        world.publish(0, Channel::Major, "1.0.0").await.unwrap();
        let honest = world.on_day(0).publishing_state(&product()).await.unwrap();
        let trust = trust(&world, keys.path()).await;
        let key = |name: &str| {
            let pem = fs::read_to_string(world.keys_dir().join(name)).unwrap();
            SigningKey::from_pem(&pem, || None).unwrap()
        };
        let document = |file: &str| Envelope::parse(file, honest.metadata[file].as_bytes());
        let mut snapshot: Snapshot = document("snapshot.json").unwrap().document().unwrap();
        snapshot.meta.get_mut("major.json").unwrap().version = 4_000_000_000.try_into().unwrap();
        let claim = tuf::sign(&snapshot, &[&key("snapshot.pem")]).unwrap();
        let mut timestamp: tuf::Timestamp = document("timestamp.json").unwrap().document().unwrap();
        let listed = FileMeta::of(snapshot.header.version, &claim);
        timestamp.meta.insert(tuf::Timestamp::SNAPSHOT.to_owned(), listed);
        let timestamp = tuf::sign(&timestamp, &[&key("timestamp.pem")]).unwrap();
        let mut state = honest.clone();
        for (file, bytes) in [("snapshot.json", claim), ("timestamp.json", timestamp)] {
            state.metadata.insert(file.to_owned(), String::from_utf8(bytes).unwrap());
        }

        let message = trust.verify(&state, after_days(0)).err().unwrap().to_string();
        assert!(message.contains("major"), "{message}");
        assert_eq!(trust.seen().unwrap().roles, SeenRoles::default());
        trust.verify(&honest, after_days(0)).unwrap();
        let mut expected = SeenRoles::default();
        for role in ["targets", "major"] {
            expected.note_published(role, 1.try_into().unwrap());
        }
        assert_eq!(trust.seen().unwrap().roles, expected);
    }

    #[test]
    fn a_product_is_begun_once() {
        let keys = tempfile::tempdir().unwrap();
        let trust = VendorTrust::new(keys.path(), &product());
        assert!(trust.begin(b"root").unwrap());
        assert!(!trust.begin(b"root").unwrap());
        assert!(trust.begin(b"another").is_err());
    }

    #[tokio::test]
    async fn a_server_with_another_clock_gets_nothing_signed() {
        let (world, keys) = (World::new().await, tempfile::tempdir().unwrap());
        let state = world.on_day(0).publishing_state(&product()).await.unwrap();
        let trust = trust(&world, keys.path()).await;
        for days in [-1, 1] {
            let refused = trust.verify(&state, after_days(days));
            let message = refused.err().unwrap().to_string();
            assert!(message.contains("expected at most 15 minutes"), "{message}");
        }
        assert!(trust.verify(&state, after_days(0)).is_ok());
    }
}
