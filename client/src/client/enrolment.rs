use std::{
    io,
    path::{Path, PathBuf},
};

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

use super::{
    Address, PreflightSettings, Surroundings,
    files::{self, Staged},
    refresh::PinnedRoot,
    settings::{
        DataSettings, DiskSettings, DownloadSettings, NetworkSettings, SupportSettings,
        UpdateSettings, is_default,
    },
    trust_store::{Noted, Stored, TrustStore},
};
use crate::{
    error::Error,
    fetch::Remote,
    format::{
        ContractName, CustomerName, Digest, MachineName, Platform, ProductName,
        wire::{EnrollRequest, EnrollResponse},
    },
    fs::FileSystem,
    install::{Installation, Layout},
    tuf::{Rule, SigningKey, TrustedRoot},
};

/// What a machine needs to enrol.
#[derive(Clone, Debug)]
pub struct EnrollOptions {
    /// The root of the installation; made where it is missing.
    pub root_dir: PathBuf,
    /// The server, for example `https://updates.example.com`.
    pub server_url: String,
    /// The product that the machine will run.
    pub product: ProductName,
    /// The customer's activation key.
    pub activation_key: SecretString,
    /// What the customer calls the machine.
    pub host: String,
    /// The certificates of the authority that signed the server's, where it is none of the public
    /// web.
    pub ca_file: Option<PathBuf>,
    /// The proxy by which the server is reached; absent for the one of an earlier enrolment, if any.
    pub proxy: Option<String>,
    /// Which key the machine introduces itself with.
    pub identity: Identity,
    /// The SHA-256 of the product's first root, as the vendor told it by another way. Without it
    /// the server is believed once; a machine that is enrolled already does not take another root.
    pub root_sha256: Option<Digest>,
}

/// Which key a machine introduces itself with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Identity {
    /// The one that it has; a new one where it has none. It stays the machine that it was.
    #[default]
    Kept,
    /// A new one. To the server it is another machine from then on, as a copy of a disk is.
    New,
}

impl EnrollOptions {
    /// The longest name of a host, in characters.
    pub const HOST_CHARS_MAX: usize = 128;

    fn expect_host(&self) -> Result<(), Error> {
        let length = self.host.chars().count();
        if (1..=Self::HOST_CHARS_MAX).contains(&length) && !self.host.contains(char::is_control) {
            return Ok(());
        }
        Err(Error::input(format!(
            "host `{}`: expected 1 to {} characters, none of them a control character",
            self.host.escape_debug(),
            Self::HOST_CHARS_MAX
        )))
    }
}

/// Whose machine this is and where its updates come from: `.mainstay/agent.toml`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enrolment {
    /// The server.
    pub server: String,
    /// The certificates of the server's authority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// The product.
    pub product: ProductName,
    /// The name that the server gave the machine.
    pub machine: MachineName,
    /// Whose machine it is.
    pub customer: CustomerName,
    /// The contract that covered it when it enrolled.
    pub contract: ContractName,
    /// The version of the root that was pinned.
    pub root_version: u64,
    /// Its SHA-256. A lost root is fetched again and known by this.
    pub root_sha256: Digest,
    /// What is kept of the program's data. Enrolling never sets it, and keeps what somebody wrote.
    #[serde(default, skip_serializing_if = "is_default")]
    pub data: DataSettings,
    /// How much of the disks stays free.
    #[serde(default, skip_serializing_if = "is_default")]
    pub disk: DiskSettings,
    /// What is saved where a release can be fetched in more than one way.
    #[serde(default, skip_serializing_if = "is_default")]
    pub download: DownloadSettings,
    /// How the server is reached.
    #[serde(default, skip_serializing_if = "is_default")]
    pub network: NetworkSettings,
    /// What happens by itself.
    #[serde(default, skip_serializing_if = "is_default")]
    pub updates: UpdateSettings,
    /// What the administrator has set for what comes before an update.
    #[serde(default, skip_serializing_if = "is_default")]
    pub preflight: PreflightSettings,
    /// What support may have of the machine.
    #[serde(default, skip_serializing_if = "is_default")]
    pub support: SupportSettings,
}

impl Enrolment {
    pub(super) const BYTES_MAX: u64 = 64 << 10;
    const TOKEN_BYTES_MAX: usize = 512;

    /// The enrolment of the installation at `layout`.
    pub(super) fn read(layout: &Layout) -> Result<Self, Error> {
        let path = layout.settings();
        let detail = |error: &dyn std::error::Error| format!("{}: {error}", path.display());
        let bytes = files::read(&path, Self::BYTES_MAX).map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => Error::disk(&path, error),
            _ => Error::not_enrolled(detail(&error)),
        })?;
        let text = str::from_utf8(&bytes).map_err(|error| Error::settings(detail(&error)))?;
        toml::from_str(text).map_err(|error| Error::settings(detail(&error)))
    }

    /// The machine's credential.
    pub(super) fn read_token(layout: &Layout) -> Result<SecretString, Error> {
        let path = token_path(layout);
        let bytes = files::read(&path, Self::TOKEN_BYTES_MAX as u64 + 1)
            .map_err(|error| Error::not_enrolled(format!("{}: {error}", path.display())))?;
        let token = str::from_utf8(&bytes).unwrap_or_default().trim();
        if is_token(token) {
            return Ok(SecretString::from(token));
        }
        Err(Error::not_enrolled(format!("{} holds no credential", path.display())))
    }

    pub(super) fn address(&self) -> Address<'_> {
        let Self { server, ca_file, network, .. } = self;
        Address { server, ca_file: ca_file.as_deref(), proxy: network.proxy.as_deref() }
    }

    pub(super) fn pinned_root(&self) -> PinnedRoot {
        PinnedRoot { version: self.root_version, sha256: self.root_sha256 }
    }
}

/// Enrols the machine. Until the last file is in place it is enrolled as before, or not at all.
pub(super) fn enroll(
    options: &EnrollOptions,
    surroundings: Surroundings,
) -> Result<Enrolment, Error> {
    options.expect_host()?;
    let server = options.server_url.trim_end_matches('/').to_owned();
    let ca_file = options.ca_file.as_deref().map(absolute).transpose()?;
    // Only to reach the server: whatever else is said there is read under the lock.
    let known = Enrolment::read(&Layout::new(&options.root_dir)).ok();
    let proxy = options.proxy.clone().or(known.and_then(|it| it.network.proxy));
    let address = Address { server: &server, ca_file: ca_file.as_deref(), proxy: proxy.as_deref() };
    let transport = (surroundings.connect)(&address)?;
    let remote = Remote::new(transport, surroundings.fetch_limits, surroundings.retry);
    let mut installation = Installation::open_with(
        &options.root_dir,
        &(surroundings.clock)(),
        (surroundings.files)(),
        surroundings.install_limits,
    )?;
    let layout = &installation.layout().clone();
    let files = (surroundings.files)();
    let store = TrustStore::new(layout.trust(), surroundings.tuf_limits, (surroundings.files)());
    let previous = Enrolment::read(layout).ok();
    expect_same_product(&options.product, previous.as_ref(), &installation)?;

    let key = match options.identity {
        Identity::Kept => machine_key(&*files, layout)?,
        Identity::New => new_machine_key(&*files, &key_path(layout))?,
    };
    let answer = remote.enroll(&introduction(options, &key))?;
    let root = answer.root.as_bytes();
    let root_sha256 = Digest::of(root);
    let root_version =
        TrustedRoot::pin(root, surroundings.tuf_limits)?.of(&options.product)?.version();
    expect_root(options, previous.as_ref(), root_sha256)?;
    if !is_token(&answer.token) {
        let detail = "its token is not 1 to 512 printable characters";
        return Err(Error::malformed_answer("/v1/enroll", detail));
    }
    let product = options.product.clone();
    let EnrollResponse { machine, customer, contract, token, .. } = answer;
    let kept = previous.clone();
    let network = kept.as_ref().map(|it| it.network.clone()).unwrap_or_default();
    let enrolment = Enrolment {
        server,
        ca_file,
        product,
        machine,
        customer,
        contract,
        root_version,
        root_sha256,
        data: kept.as_ref().map(|it| it.data.clone()).unwrap_or_default(),
        disk: kept.as_ref().map(|it| it.disk.clone()).unwrap_or_default(),
        download: kept.as_ref().map(|it| it.download).unwrap_or_default(),
        network: NetworkSettings { proxy, ..network },
        updates: kept.as_ref().map(|it| it.updates.clone()).unwrap_or_default(),
        support: kept.as_ref().map(|it| it.support).unwrap_or_default(),
        preflight: kept.map(|it| it.preflight).unwrap_or_default(),
    };
    let settings = toml::to_string(&enrolment).map_err(|error| Error::local(error.to_string()))?;

    let mut staged = Staged::new(&*files);
    // The same machine of the same repository keeps what it knows: forgetting it would let an
    // older plan or snapshot pass for a new one.
    let is_same = previous.is_some_and(|previous| {
        (previous.root_sha256, &previous.machine) == (root_sha256, &enrolment.machine)
    });
    if !is_same || store.read(Stored::Root).is_none() {
        staged.add(&store.path(Stored::Root), root)?;
    }
    staged.add(&token_path(layout), format!("{token}\n").as_bytes())?;
    staged.add(&layout.settings(), settings.as_bytes())?;
    if !is_same {
        store.forget_below_root()?;
        installation.forget_retry_orders()?;
    }
    staged.commit()?;
    // Somebody at the machine has decided to believe the server: also that these are all the roots.
    store.forget(Noted::RootSeen)?;
    Ok(enrolment)
}

fn introduction(options: &EnrollOptions, key: &SigningKey) -> EnrollRequest {
    let activation_key = options.activation_key.expose_secret();
    let public_key = key.public();
    let message = EnrollRequest::proof_message(activation_key, &options.product, &public_key);
    EnrollRequest {
        activation_key: activation_key.to_owned(),
        product: options.product.clone(),
        platform: Platform::of_this_program(),
        host: options.host.clone(),
        proof: key.sign(&message),
        public_key,
    }
}

/// One installation holds one product: the trees of another would be taken for its own.
fn expect_same_product(
    product: &ProductName,
    previous: Option<&Enrolment>,
    installation: &Installation,
) -> Result<(), Error> {
    match previous {
        Some(previous) if previous.product != *product && installation.running().is_some() => {
            Err(Error::input(format!(
                "{} holds {}: expected the same product or an empty folder for {product}",
                installation.layout().root().display(),
                previous.product
            )))
        }
        _ => Ok(()),
    }
}

/// The server is believed once: a machine that has pinned the product's root takes another one only
/// from somebody who knows it.
fn expect_root(
    options: &EnrollOptions,
    previous: Option<&Enrolment>,
    found: Digest,
) -> Result<(), Error> {
    let pinned = previous.filter(|previous| previous.product == options.product);
    let pinned = pinned.map(|previous| previous.root_sha256);
    let detail = match (options.root_sha256, pinned) {
        (Some(expected), _) if expected != found => {
            format!("the server's root has SHA-256 {found}: {expected} was given; trust it not")
        }
        (None, Some(pinned)) if pinned != found => format!(
            "the server's root has SHA-256 {found}: {pinned} was pinned when this machine enrolled; \
             ask the vendor for the right one, and give that as `--root-sha256`"
        ),
        _ => return Ok(()),
    };
    Err(Error::rule(Rule::Digest.as_str(), detail))
}

/// The machine's key, made where there is none. It is stored before it is used: should the answer
/// get lost, the next try enrols as the same machine.
fn machine_key(files: &dyn FileSystem, layout: &Layout) -> Result<SigningKey, Error> {
    let path = key_path(layout);
    let refuse = |error: &dyn std::fmt::Display| unusable_key(&path, error);
    match files::read(&path, 64 << 10) {
        Ok(bytes) => {
            let pem = SecretString::from(String::from_utf8(bytes).map_err(|error| refuse(&error))?);
            SigningKey::from_pem(pem.expose_secret(), || None).map_err(|error| refuse(&error))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => new_machine_key(files, &path),
        Err(error) => Err(Error::disk(&path, error)),
    }
}

fn new_machine_key(files: &dyn FileSystem, path: &Path) -> Result<SigningKey, Error> {
    let key = SigningKey::generate().map_err(|error| unusable_key(path, &error))?;
    let pem = key.to_pem(None).map_err(|error| unusable_key(path, &error))?;
    files::replace(files, path, pem.expose_secret().as_bytes())?;
    Ok(key)
}

fn unusable_key(path: &Path, error: &dyn std::fmt::Display) -> Error {
    Error::local(format!("{}: {error}; move it away to enrol anew", path.display()))
}

pub(super) fn key_path(layout: &Layout) -> PathBuf {
    layout.private().join("machine.key")
}

pub(super) fn token_path(layout: &Layout) -> PathBuf {
    layout.private().join("token")
}

/// Whether `text` can be a credential: it must fit into a header.
fn is_token(text: &str) -> bool {
    (1..=Enrolment::TOKEN_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn absolute(path: &Path) -> Result<PathBuf, Error> {
    std::path::absolute(path).map_err(|error| Error::disk(path, error))
}
