mod token;

use std::{
    fs,
    io::IsTerminal as _,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use mainstay_client::{
    format::wire::ServerKeys,
    tuf::{PublicKey, Signer, SigningKey},
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;

use self::token::{TokenKey, TokenUri};
use super::{CliError, CliResult, Output, output::table};
use crate::service::keys::{IfMissing, OnlineKeys, write_secret};

/// The keys that a vendor begins with.
const NAMES_DEFAULT: [&str; 3] = ["root", "targets", "release"];

/// Make and show the vendor's keys, which the server never sees; and make new ones for a server.
#[derive(Debug, Subcommand)]
pub(super) enum Keys {
    /// Make ed25519 keys: NAME.pem (PKCS#8, encrypted, readable by you alone) and NAME.pub.
    Generate(Generate),
    /// Give a key in a PKCS#11 token a name here: NAME.pkcs11 with its address, and NAME.pub.
    Token(Token),
    /// Show the identifiers of keys.
    Show(Show),
    /// Make the next generation of a server's online keys, in the server's directory. It announces
    /// them from its next start on, and signs with the present ones until the vendor has adopted
    /// the new.
    RotateOnline(RotateOnline),
}

#[derive(Debug, Args)]
pub(super) struct RotateOnline {
    /// The server's directory.
    #[arg(long, env = "MAINSTAY_DIR", value_name = "DIR")]
    dir: PathBuf,
    /// Make them although present ones are missing: those are lost, and in no backup.
    #[arg(long)]
    lost: bool,
}

/// Where the vendor's keys are, and how they are opened.
#[derive(Clone, Debug, Args)]
pub(super) struct KeyArgs {
    /// The directory with the vendor's keys, and with what was seen of each product.
    #[arg(long, env = "MAINSTAY_KEYS", default_value = "mainstay-keys", value_name = "DIR")]
    pub(super) keys: PathBuf,
    /// The file that holds the keys' passphrase. Without it, `MAINSTAY_PASSPHRASE` is used, or you
    /// are asked.
    #[arg(long, env = "MAINSTAY_PASSPHRASE_FILE", value_name = "FILE")]
    pub(super) passphrase_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct Generate {
    #[command(flatten)]
    keys: KeyArgs,
    /// Leave the keys unencrypted.
    #[arg(long)]
    no_passphrase: bool,
    /// What the keys are called.
    #[arg(default_values_t = NAMES_DEFAULT.map(str::to_owned))]
    names: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct Token {
    #[command(flatten)]
    keys: KeyArgs,
    /// What the key is called.
    name: String,
    /// Which key it is, for example
    /// `pkcs11:token=acme;object=release?module-path=/usr/lib/softhsm/libsofthsm2.so` (RFC 7512).
    uri: String,
}

#[derive(Debug, Args)]
pub(super) struct Show {
    #[command(flatten)]
    keys: KeyArgs,
    /// Which keys: names in the directory, or files that end in .pub or .pem [default: all].
    names: Vec<String>,
}

/// A key as it is shown.
#[derive(Debug, Serialize)]
struct ShownKey {
    name: String,
    id: String,
    public: String,
}

impl ShownKey {
    fn new(name: &str, key: &PublicKey) -> Self {
        Self { name: name.to_owned(), id: key.id().to_string(), public: key.to_string() }
    }
}

impl Keys {
    pub(super) fn run(self, output: Output) -> CliResult {
        let shown = match self {
            Self::Generate(generate) => generate.run()?,
            Self::Token(token) => token.run()?,
            Self::Show(show) => show.run()?,
            Self::RotateOnline(rotate) => rotate.run(output)?,
        };
        output.answer(&shown, |shown| {
            let rows = shown.iter().map(|key| [key.name.clone(), key.id.clone()]);
            table(["KEY", "ID"], rows)
        })
    }
}

impl RotateOnline {
    fn run(self, output: Output) -> Result<Vec<ShownKey>, CliError> {
        let dir = self.dir.join("keys");
        if !self.dir.join("records").exists() {
            return Err(CliError::Input(format!(
                "{} is not the directory of a server: expected one with records in it",
                self.dir.display()
            )));
        }
        let if_missing = if self.lost { IfMissing::GiveUp } else { IfMissing::Refuse };
        let (keys, place) = OnlineKeys::rotate(&dir, if_missing)
            .map_err(|source| CliError::file("make new keys in", &dir, source))?;
        output.say(&format!(
            "New online keys are in {}. Start the server again, then adopt them for each product: \
             mainstay trust propose --product NAME --adopt-online-keys",
            place.display()
        ));
        let ServerKeys { timestamp, snapshot, director } = keys;
        let shown = [("timestamp", timestamp), ("snapshot", snapshot), ("director", director)];
        Ok(shown.iter().map(|(name, key)| ShownKey::new(name, key)).collect())
    }
}

impl Generate {
    fn run(self) -> Result<Vec<ShownKey>, CliError> {
        let Self { keys, no_passphrase, names } = self;
        let passphrase = if no_passphrase { None } else { Some(keys.new_passphrase()?) };
        generate(&keys.keys, &names, passphrase.as_ref())
    }
}

impl Token {
    fn run(self) -> Result<Vec<ShownKey>, CliError> {
        let Self { keys, name, uri } = self;
        expect_new(&keys.keys, &name)?;
        let public = KeyArgs::token_key(&uri)?.public();
        let stem = keys.keys.join(&name);
        fs::create_dir_all(&keys.keys)
            .and_then(|()| fs::write(stem.with_extension("pkcs11"), format!("{uri}\n")))
            .map_err(|source| CliError::file("write", &stem.with_extension("pkcs11"), source))?;
        write_public(&stem, &public)?;
        Ok(vec![ShownKey::new(&name, &public)])
    }
}

/// Makes keys called `names` in `dir`.
fn generate(
    dir: &Path,
    names: &[String],
    passphrase: Option<&SecretString>,
) -> Result<Vec<ShownKey>, CliError> {
    for name in names {
        expect_new(dir, name)?;
    }
    fs::create_dir_all(dir).map_err(|source| CliError::file("make", dir, source))?;
    names.iter().map(|name| generate_one(&dir.join(name), name, passphrase)).collect()
}

/// Checks that a key in `dir` can be called `name`. No key that is there is ever written over.
fn expect_new(dir: &Path, name: &str) -> CliResult {
    let plain = !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if !plain {
        return Err(CliError::Input(format!(
            "key name `{}` is not valid: expected letters, digits, - and _",
            name.escape_debug()
        )));
    }
    // The public half may be here alone, where the private one is kept offline.
    let paths = ["pem", "pkcs11", "pub"].map(|extension| dir.join(name).with_extension(extension));
    match paths.iter().find(|path| path.exists()) {
        None => Ok(()),
        Some(path) => Err(CliError::Input(format!(
            "{} exists already: it is not written over; take another name or directory",
            path.display()
        ))),
    }
}

fn generate_one(
    stem: &Path,
    name: &str,
    passphrase: Option<&SecretString>,
) -> Result<ShownKey, CliError> {
    let path = stem.with_extension("pem");
    let of_key = |source| CliError::Key { path: path.display().to_string(), source };
    let key = SigningKey::generate().map_err(of_key)?;
    let pem = key.to_pem(passphrase).map_err(of_key)?;
    write_secret(&path, pem.expose_secret())
        .map_err(|source| CliError::file("write", &path, source))?;
    let public = key.public();
    write_public(stem, &public)?;
    Ok(ShownKey::new(name, &public))
}

fn write_public(stem: &Path, public: &PublicKey) -> CliResult {
    let path = stem.with_extension("pub");
    fs::write(&path, format!("{}\n", serde_json::to_string(public)?))
        .map_err(|source| CliError::file("write", &path, source))
}

/// Makes the vendor's unencrypted keys where they are not there yet; for the quickstart.
pub(super) fn ensure_demo_keys(dir: &Path) -> CliResult {
    let missing: Vec<_> = NAMES_DEFAULT
        .iter()
        .filter(|name| !dir.join(name).with_extension("pem").exists())
        .map(|name| (*name).to_owned())
        .collect();
    generate(dir, &missing, None).map(|_| ())
}

impl Show {
    fn run(self) -> Result<Vec<ShownKey>, CliError> {
        let Self { keys, mut names } = self;
        if names.is_empty() {
            names = keys.listed()?;
        }
        names.iter().map(|name| Ok(ShownKey::new(name, &keys.public(name)?))).collect()
    }
}

/// What is typed on the terminal; nothing where there is none.
fn typed(prompt: &str) -> Result<Option<SecretString>, CliError> {
    if !std::io::stdin().is_terminal() {
        return Ok(None);
    }
    let typed = rpassword::prompt_password(prompt)
        .map_err(|source| CliError::file("read", Path::new("the terminal"), source))?;
    Ok(Some(SecretString::from(typed)))
}

impl KeyArgs {
    fn path(&self, name: &str, extension: &str) -> PathBuf {
        let path = Path::new(name);
        if name.contains('/') || path.extension().is_some() {
            path.to_owned()
        } else {
            self.keys.join(name).with_extension(extension)
        }
    }

    /// The names of the keys in the directory, in order.
    pub(super) fn listed(&self) -> Result<Vec<String>, CliError> {
        let dir = &self.keys;
        let listed = fs::read_dir(dir).map_err(|source| CliError::file("read", dir, source))?;
        let mut names: Vec<_> = listed
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter_map(|name| name.strip_suffix(".pub").map(str::to_owned))
            .collect();
        names.sort();
        Ok(names)
    }

    /// Whether the private key `name`, or the address of the token that has it, is in the directory.
    pub(super) fn has_private(&self, name: &str) -> bool {
        ["pem", "pkcs11"].iter().any(|extension| self.path(name, extension).exists())
    }

    /// The public key `name`: from its .pub file, or from the private key.
    pub(super) fn public(&self, name: &str) -> Result<PublicKey, CliError> {
        let path = self.path(name, "pub");
        let is_private = path.extension().is_some_and(|it| it == "pem" || it == "pkcs11");
        if is_private || name.starts_with(TokenUri::SCHEME) {
            return Ok(self.private(name)?.public());
        }
        let text =
            fs::read_to_string(&path).map_err(|source| CliError::file("read", &path, source))?;
        serde_json::from_str(&text).map_err(|error| {
            CliError::Input(format!("{}: not a public key: {error}", path.display()))
        })
    }

    /// The private key `name`: in a file, opened with the passphrase where it is encrypted, or in the
    /// token whose address is in a file or is the name itself.
    pub(super) fn private(&self, name: &str) -> Result<Box<dyn Signer>, CliError> {
        if name.starts_with(TokenUri::SCHEME) {
            return Ok(Box::new(Self::token_key(name)?));
        }
        let address = self.path(name, "pkcs11");
        if address.extension().is_some_and(|it| it == "pkcs11") && address.exists() {
            let uri = fs::read_to_string(&address)
                .map_err(|source| CliError::file("read", &address, source))?;
            return Ok(Box::new(Self::token_key(uri.trim())?));
        }
        Ok(Box::new(self.file_key(&self.path(name, "pem"))?))
    }

    fn token_key(uri: &str) -> Result<TokenKey, CliError> {
        let uri: TokenUri = uri.parse()?;
        let pin = match &uri.pin_source {
            Some(path) => token::pin_from(path)?,
            None => Self::pin(&uri)?,
        };
        TokenKey::open(&uri, &pin)
    }

    /// The token's PIN from environment or terminal.
    fn pin(uri: &TokenUri) -> Result<SecretString, CliError> {
        if let Ok(pin) = std::env::var("MAINSTAY_PKCS11_PIN") {
            return Ok(SecretString::from(pin));
        }
        typed(&format!("PIN for {uri}: "))?.ok_or_else(|| {
            CliError::Input(format!("{uri}: no PIN: set MAINSTAY_PKCS11_PIN or add pin-source"))
        })
    }

    fn file_key(&self, path: &Path) -> Result<SigningKey, CliError> {
        let pem =
            fs::read_to_string(path).map_err(|source| CliError::file("read", path, source))?;
        let mut failure = None;
        let key = SigningKey::from_pem(&pem, || {
            let prompt = format!("Passphrase for {}: ", path.display());

            self.passphrase(&prompt).unwrap_or_else(|error| {
                failure = Some(error);
                None
            })
        });
        match (key, failure) {
            (_, Some(error)) => Err(error),
            (key, None) => {
                key.map_err(|source| CliError::Key { path: path.display().to_string(), source })
            }
        }
    }

    /// The passphrase from file, environment or terminal; nothing where there is none of them.
    fn passphrase(&self, prompt: &str) -> Result<Option<SecretString>, CliError> {
        if let Some(file) = &self.passphrase_file {
            let text =
                fs::read_to_string(file).map_err(|source| CliError::file("read", file, source))?;
            return Ok(Some(SecretString::from(text.trim_end_matches(['\r', '\n']))));
        }
        if let Ok(passphrase) = std::env::var("MAINSTAY_PASSPHRASE") {
            return Ok(Some(SecretString::from(passphrase)));
        }
        typed(prompt)
    }

    fn new_passphrase(&self) -> Result<SecretString, CliError> {
        let missing = || {
            CliError::Input(
                "no passphrase: give --passphrase-file, set MAINSTAY_PASSPHRASE, or say \
                 --no-passphrase to leave the keys unencrypted"
                    .to_owned(),
            )
        };
        let passphrase = self.passphrase("Passphrase for the new keys: ")?.ok_or_else(missing)?;
        if passphrase.expose_secret().is_empty() {
            return Err(missing());
        }
        let is_typed =
            self.passphrase_file.is_none() && std::env::var_os("MAINSTAY_PASSPHRASE").is_none();
        if is_typed {
            let again = self.passphrase("Once more: ")?.ok_or_else(missing)?;
            if again.expose_secret() != passphrase.expose_secret() {
                return Err(CliError::Input("the two passphrases differ".to_owned()));
            }
        }
        Ok(passphrase)
    }
}
