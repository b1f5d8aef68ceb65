//! Private keys in PKCS#11 tokens: smart cards and hardware security modules that sign and never
//! give a key out.

use std::{fmt, fs, path::PathBuf, str::FromStr};

use cryptoki::{
    context::{CInitializeArgs, CInitializeFlags, Pkcs11},
    error::{Error as Pkcs11Error, RvError},
    mechanism::{
        Mechanism,
        eddsa::{EddsaParams, EddsaSignatureScheme},
    },
    object::{Attribute, AttributeType, ObjectClass, ObjectHandle},
    session::{Session, UserType},
    slot::Slot,
};
use mainstay_client::{
    format::Digest,
    hex,
    tuf::{PublicKey, SignError, Signer},
};
use secrecy::SecretString;

use super::CliError;

/// Which key in which token: a PKCS#11 URI (RFC 7512) with `token`, `object` and `module-path`,
/// `serial` where several tokens have one label, and `pin-source` where the PIN is in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TokenUri {
    text: String,
    module: PathBuf,
    token: String,
    serial: Option<String>,
    object: String,
    pub(super) pin_source: Option<PathBuf>,
}

impl TokenUri {
    pub(super) const SCHEME: &str = "pkcs11:";
    const EXPECTED: &str =
        "pkcs11:token=LABEL[;serial=NUMBER];object=LABEL?module-path=FILE[&pin-source=FILE]";
}

impl FromStr for TokenUri {
    type Err = CliError;

    fn from_str(text: &str) -> Result<Self, CliError> {
        let refuse = |what: String| {
            let text = text.escape_debug();
            Err(CliError::Input(format!("`{text}`: {what}; expected {}", Self::EXPECTED)))
        };
        let Some(rest) = text.strip_prefix(Self::SCHEME) else {
            return refuse("not a PKCS#11 address".to_owned());
        };
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (mut module, mut pin_source) = (None, None);
        let (mut token, mut serial, mut object) = (None, None, None);
        let attributes = path.split(';').map(|attribute| (attribute, true));
        let attributes = attributes.chain(query.split('&').map(|attribute| (attribute, false)));
        for (attribute, is_path) in attributes.filter(|(attribute, _)| !attribute.is_empty()) {
            let (name, value) = attribute.split_once('=').unwrap_or((attribute, ""));
            let place = match (name, is_path) {
                ("token", true) => &mut token,
                ("serial", true) => &mut serial,
                ("object", true) => &mut object,
                // Which of an object's halves is meant is known.
                ("type", true) => continue,
                ("module-path", false) => &mut module,
                ("pin-source", false) => &mut pin_source,
                ("pin-value", false) => {
                    let other = "set MAINSTAY_PKCS11_PIN or give pin-source";
                    return refuse(format!("a PIN on the command line is seen by others: {other}"));
                }
                _ => return refuse(format!("{name} is not understood")),
            };
            let Some(value) = percent_decoded(value) else {
                return refuse(format!("the value of {name} is not percent-encoded text"));
            };
            if place.replace(value).is_some() {
                return refuse(format!("{name} stands twice"));
            }
        }
        let (Some(module), Some(token), Some(object)) = (module, token, object) else {
            return refuse("token, object or module-path is missing".to_owned());
        };
        let pin_source = pin_source.map(|path| path.strip_prefix("file:").unwrap_or(&path).into());
        let (text, module) = (text.to_owned(), module.into());
        Ok(Self { text, module, token, serial, object, pin_source })
    }
}

impl fmt::Display for TokenUri {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.text)
    }
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let (digits, tail) = rest.split_at_checked(2)?;
        bytes.extend(hex::decode(&str::from_utf8(digits).ok()?.to_lowercase())?);
        rest = tail;
    }
    String::from_utf8(bytes).ok()
}

/// A private key in a token, which is logged in for as long as this lives.
pub(super) struct TokenKey {
    session: Session,
    key: ObjectHandle,
    public: PublicKey,
    kind: Kind,
    uri: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Ed25519,
    EcdsaP256,
}

impl TokenKey {
    /// Logs in to the token and finds the key.
    pub(super) fn open(uri: &TokenUri, pin: &SecretString) -> Result<Self, CliError> {
        let refuse = |what: String| CliError::Token { uri: uri.to_string(), message: what };
        let told = |what: &'static str| {
            move |error: Pkcs11Error| refuse(format!("{what}: {}", pkcs11_message(&error)))
        };
        let context = Pkcs11::new(&uri.module).map_err(told("the module cannot be loaded"))?;
        match context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            // Another key of the same module is open.
            Err(Pkcs11Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) | Ok(()) => {}
            Err(error) => return Err(told("the module does not start")(error)),
        }
        let slots = slots(&context, uri).map_err(told("its tokens cannot be listed"))?;
        let slot = the_one(&slots, uri).map_err(refuse)?;
        let session = context.open_ro_session(slot).map_err(told("the token does not open"))?;
        match session.login(UserType::User, Some(pin)) {
            Err(Pkcs11Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) | Ok(()) => {}
            Err(error) => return Err(told("it does not let you in")(error)),
        }
        let find = |class: ObjectClass| {
            let label = Attribute::Label(uri.object.clone().into_bytes());
            let found = session
                .find_objects(&[Attribute::Class(class), label])
                .map_err(told("its keys cannot be listed"))?;
            match found[..] {
                [one] => Ok(one),
                _ => Err(refuse(format!(
                    "it has {} keys of class {class} labelled `{}`: expected one",
                    found.len(),
                    uri.object
                ))),
            }
        };
        let key = find(ObjectClass::PRIVATE_KEY)?;
        let attributes = session
            .get_attributes(
                find(ObjectClass::PUBLIC_KEY)?,
                &[AttributeType::EcParams, AttributeType::EcPoint],
            )
            .map_err(told("its public key cannot be read"))?;
        let (public, kind) = public_key(&attributes).ok_or_else(|| {
            refuse("the key is of another kind: expected ed25519 or ECDSA on P-256".to_owned())
        })?;
        Ok(Self { session, key, public, kind, uri: uri.to_string() })
    }

    fn signature(&self, message: &[u8]) -> Result<Vec<u8>, Pkcs11Error> {
        match self.kind {
            Kind::Ed25519 => {
                let mechanism = Mechanism::Eddsa(EddsaParams::new(EddsaSignatureScheme::Pure));
                self.session.sign(&mechanism, self.key, message)
            }
            Kind::EcdsaP256 => {
                let digest = Digest::of(message);
                let raw = self.session.sign(&Mechanism::Ecdsa, self.key, digest.as_bytes())?;
                Ok(ecdsa_der(&raw))
            }
        }
    }
}

impl Signer for TokenKey {
    fn public(&self) -> PublicKey {
        self.public.clone()
    }

    fn sign(&self, message: &[u8]) -> Result<String, SignError> {
        let refuse = |what: String| SignError::Key {
            key: self.public.id(),
            message: format!("{}: {what}", self.uri),
        };
        let signature = self.signature(message).map_err(|error| refuse(pkcs11_message(&error)))?;
        let signature = hex::encode(&signature);
        // A token that errs must not have its error published.
        if self.public.verify(message, &signature) {
            Ok(signature)
        } else {
            Err(refuse("the token's signature does not verify".to_owned()))
        }
    }
}

/// The error in the words of its standard, with what to do for those that people meet.
fn pkcs11_message(error: &Pkcs11Error) -> String {
    match error {
        Pkcs11Error::Pkcs11(RvError::PinIncorrect, _) => "the PIN is wrong".to_owned(),
        Pkcs11Error::Pkcs11(RvError::PinLocked, _) => {
            "the PIN is locked after too many wrong ones: unlock the token with its own tools"
                .to_owned()
        }
        error => error.to_string(),
    }
}

/// The tokens that `uri` can mean, with their serial numbers.
fn slots(context: &Pkcs11, uri: &TokenUri) -> Result<Vec<(Slot, String)>, Pkcs11Error> {
    let mut found = Vec::new();
    for slot in context.get_slots_with_token()? {
        let token = context.get_token_info(slot)?;
        let serial = token.serial_number().to_owned();
        let is_meant = uri.serial.as_ref().is_none_or(|wanted| *wanted == serial);
        if token.label() == uri.token && is_meant {
            found.push((slot, serial));
        }
    }
    Ok(found)
}

/// Which of two tokens is meant is not guessed.
fn the_one<T: Copy>(tokens: &[(T, String)], uri: &TokenUri) -> Result<T, String> {
    let label = &uri.token;
    match (tokens, &uri.serial) {
        ([(one, _)], _) => Ok(*one),
        ([], None) => Err(format!("there is no token labelled `{label}`")),
        ([], Some(serial)) => {
            Err(format!("there is no token labelled `{label}` with the serial number `{serial}`"))
        }
        (several, _) => {
            let serials: Vec<_> =
                several.iter().map(|(_, serial)| serial.escape_debug().to_string()).collect();
            Err(format!(
                "{} tokens are labelled `{label}`: say which by adding serial=NUMBER after the \
                 label; they have {}",
                several.len(),
                serials.join(", ")
            ))
        }
    }
}

/// The DER of what tokens call the parameters of ed25519: its object identifier (RFC 8410), or the
/// curve's name (PKCS #11 3.0 §2.3.10).
const ED25519_PARAMETERS: [&[u8]; 2] = [b"\x06\x03\x2b\x65\x70", b"\x13\x0cedwards25519"];
/// The DER of P-256's object identifier (RFC 5480 §2.1.1.1).
const P256_PARAMETERS: &[u8] = b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";

fn public_key(attributes: &[Attribute]) -> Option<(PublicKey, Kind)> {
    let parameters = attributes.iter().find_map(|attribute| match attribute {
        Attribute::EcParams(bytes) => Some(bytes.as_slice()),
        _ => None,
    })?;
    let point = attributes.iter().find_map(|attribute| match attribute {
        Attribute::EcPoint(bytes) => Some(bytes.as_slice()),
        _ => None,
    })?;
    // Most tokens put the point into an octet string, as the standard once said; some do not.
    if ED25519_PARAMETERS.contains(&parameters) {
        let key = point.strip_prefix(b"\x04\x20").filter(|key| key.len() == 32).unwrap_or(point);
        Some((hex::encode(key).parse().ok()?, Kind::Ed25519))
    } else if parameters == P256_PARAMETERS {
        let point = point.strip_prefix(b"\x04\x41").filter(|it| it.len() == 65).unwrap_or(point);
        Some((PublicKey::from_p256_point(point).ok()?, Kind::EcdsaP256))
    } else {
        None
    }
}

/// The signature `r`, `s` of the same lengths as the DER that TUF takes (RFC 3279 §2.2.3).
fn ecdsa_der(raw: &[u8]) -> Vec<u8> {
    let (r, s) = raw.split_at(raw.len() / 2);
    let mut integers = der_integer(r);
    integers.extend(der_integer(s));
    der(0x30, &integers)
}

fn der_integer(bytes: &[u8]) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let mut content = bytes.get(zeros..).unwrap_or_default().to_vec();
    if content.first().is_none_or(|first| *first >= 0x80) {
        content.insert(0, 0);
    }
    der(0x02, &content)
}

/// Nothing here is longer than what the short form of a length holds.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u8::try_from(content.len()).unwrap_or(u8::MAX);
    [&[tag, length], content].concat()
}

/// The PIN in the file that the address names.
pub(super) fn pin_from(path: &std::path::Path) -> Result<SecretString, CliError> {
    let text = fs::read_to_string(path).map_err(|source| CliError::file("read", path, source))?;
    Ok(SecretString::from(text.trim_end_matches(['\r', '\n'])))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "pkcs11:token=acme%20vendor;serial=0f%2F1;object=release;type=private\
                        ?module-path=/usr/lib/p11.so&pin-source=file:/run/pin";

    #[test]
    fn an_address_names_module_token_and_key() {
        let uri: TokenUri = GOOD.parse().unwrap();
        assert_eq!((uri.token.as_str(), uri.object.as_str()), ("acme vendor", "release"));
        assert_eq!(uri.serial.as_deref(), Some("0f/1"));
        assert_eq!(uri.module, PathBuf::from("/usr/lib/p11.so"));
        assert_eq!(uri.pin_source, Some(PathBuf::from("/run/pin")));
        assert_eq!(uri.to_string(), GOOD);
    }

    #[test]
    fn an_address_that_is_not_understood_says_why() {
        for (bad, why) in [
            ("release", "not a PKCS#11 address"),
            ("pkcs11:token=a;object=b", "module-path is missing"),
            ("pkcs11:token=a;object=b;object=c?module-path=/x", "object stands twice"),
            ("pkcs11:token=a;object=b?module-path=/x&pin-value=1", "seen by others"),
            ("pkcs11:token=a;model=1;object=b?module-path=/x", "model is not understood"),
            ("pkcs11:token=a;module-path=/x;object=b", "module-path is not understood"),
            ("pkcs11:token=%zz;object=b?module-path=/x", "percent-encoded"),
            ("pkcs11:token=%4;object=b?module-path=/x", "percent-encoded"),
        ] {
            let message = bad.parse::<TokenUri>().unwrap_err().to_string();
            assert!(message.contains(why), "{bad}: {message}");
            assert!(message.contains("expected pkcs11:token="), "{message}");
        }
    }

    #[test]
    fn which_of_two_tokens_is_meant_is_not_guessed() {
        let uri = |serial: &str| -> TokenUri {
            format!("pkcs11:token=a{serial};object=b?module-path=/x").parse().unwrap()
        };
        let (one, other) = ((1, "11".to_owned()), (2, "2\u{1b}".to_owned()));
        assert_eq!(the_one(std::slice::from_ref(&one), &uri("")), Ok(1));
        let message = the_one(&[one, other], &uri("")).unwrap_err();
        assert!(message.starts_with("2 tokens are labelled `a`: say which"), "{message}");
        assert!(message.ends_with(r"they have 11, 2\u{1b}"), "{message}");
        let message = the_one::<u8>(&[], &uri(";serial=9")).unwrap_err();
        assert_eq!(message, "there is no token labelled `a` with the serial number `9`");
    }

    #[test]
    fn integers_are_as_short_as_they_can_be_and_never_negative() {
        assert_eq!(ecdsa_der(&[0, 0, 1, 0x80, 0, 0]), [0x30, 9, 2, 1, 1, 2, 4, 0, 0x80, 0, 0]);
        assert_eq!(ecdsa_der(&[0, 0]), [0x30, 6, 2, 1, 0, 2, 1, 0]);
    }
}
