use std::{fmt, str::FromStr};

use ed25519_dalek::{
    Signer as _, VerifyingKey,
    pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, KeypairBytes},
};
use pkcs8::{EncryptedPrivateKeyInfoRef, PrivateKeyInfoRef, SecretDocument, der::pem::LineEnding};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    format::{Digest, ParseError, text_serde},
    hex,
};

/// The identifier of a key: the SHA-256 of its canonical form (TUF 1.0.34 §4.2), or whatever
/// another repository calls it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(String);

impl FromStr for KeyId {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        if (1..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ParseError::new("key id", text, "1 to 128 letters and digits"))
        }
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

text_serde!(KeyId);

/// A public key as TUF metadata lists it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "KeyDocument", into = "KeyDocument")]
pub struct PublicKey {
    ed25519: [u8; 32],
}

#[derive(Serialize, Deserialize)]
struct KeyDocument {
    keytype: String,
    scheme: String,
    keyval: KeyValue,
}

#[derive(Serialize, Deserialize)]
struct KeyValue {
    public: String,
}

impl PublicKey {
    const KIND: &str = "ed25519";

    /// The key's identifier.
    pub fn id(&self) -> KeyId {
        let document = json!({
            "keytype": Self::KIND,
            "scheme": Self::KIND,
            "keyval": { "public": hex::encode(&self.ed25519) },
        });
        KeyId(Digest::of(&super::json::canonical(&document)).to_string())
    }

    /// Whether `signature` (hexadecimal digits) is this key's over `message`. Strict: small-order
    /// keys and non-canonical signatures never verify (RFC 8032, "Taming the many EdDSAs").
    pub fn verify(&self, message: &[u8], signature: &str) -> bool {
        let Ok(key) = VerifyingKey::from_bytes(&self.ed25519) else { return false };
        hex::decode(signature)
            .and_then(|bytes| ed25519_dalek::Signature::from_slice(&bytes).ok())
            .is_some_and(|signature| key.verify_strict(message, &signature).is_ok())
    }
}

impl FromStr for PublicKey {
    type Err = ParseError;

    /// Parses the 64 hexadecimal digits of an ed25519 public key.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        hex::decode(text)
            .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok())
            .filter(|bytes| VerifyingKey::from_bytes(bytes).is_ok())
            .map(|ed25519| Self { ed25519 })
            .ok_or_else(|| {
                ParseError::new("public key", text, "the 64 lower-case hex digits of ed25519")
            })
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&hex::encode(&self.ed25519))
    }
}

impl TryFrom<KeyDocument> for PublicKey {
    type Error = ParseError;

    fn try_from(document: KeyDocument) -> Result<Self, ParseError> {
        let KeyDocument { keytype, scheme, keyval } = document;
        if keytype != Self::KIND || scheme != Self::KIND {
            let found = format!("{keytype}/{scheme}");
            return Err(ParseError::new("key type", &found, "ed25519/ed25519"));
        }
        keyval.public.parse()
    }
}

impl From<PublicKey> for KeyDocument {
    fn from(key: PublicKey) -> Self {
        Self {
            keytype: PublicKey::KIND.to_owned(),
            scheme: PublicKey::KIND.to_owned(),
            keyval: KeyValue { public: key.to_string() },
        }
    }
}

/// A private ed25519 key. Its bytes are wiped from memory when it is dropped.
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// A new key from the operating system's random numbers.
    pub fn generate() -> Result<Self, KeyFileError> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed).map_err(|error| KeyFileError::Random(error.to_string()))?;
        Ok(Self::from_seed(&seed))
    }

    /// The key that `seed` determines (RFC 8032).
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed))
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        PublicKey { ed25519: self.0.verifying_key().to_bytes() }
    }

    /// The signature over `message` in hexadecimal digits.
    pub fn sign(&self, message: &[u8]) -> String {
        hex::encode(&self.0.sign(message).to_bytes())
    }

    /// The key as PKCS#8 PEM, encrypted with `passphrase` where there is one (PBES2: scrypt and
    /// AES-256-CBC).
    pub fn to_pem(&self, passphrase: Option<&SecretString>) -> Result<SecretString, KeyFileError> {
        let write = |error: &dyn fmt::Display| KeyFileError::Write(error.to_string());
        // Without the public half: RFC 5958's version 1, which every tool reads.
        let pair = KeypairBytes { secret_key: self.0.to_bytes(), public_key: None };
        let pem = match passphrase {
            None => pair.to_pkcs8_pem(LineEnding::LF).map_err(|error| write(&error))?,
            Some(passphrase) => {
                let plain = pair.to_pkcs8_der().map_err(|error| write(&error))?;
                PrivateKeyInfoRef::try_from(plain.as_bytes())
                    .and_then(|info| info.encrypt(passphrase.expose_secret()))
                    .map_err(|error| write(&error))?
                    .to_pem("ENCRYPTED PRIVATE KEY", LineEnding::LF)
                    .map_err(|error| write(&error))?
            }
        };
        Ok(SecretString::from(pem.as_str()))
    }

    /// Reads the PKCS#8 PEM file contents `pem`; `passphrase` is asked only when it is encrypted.
    pub fn from_pem(
        pem: &str,
        passphrase: impl FnOnce() -> Option<SecretString>,
    ) -> Result<Self, KeyFileError> {
        let (label, document) = SecretDocument::from_pem(pem).map_err(|_| KeyFileError::NotAKey)?;
        let plain = match label {
            "PRIVATE KEY" => document,
            "ENCRYPTED PRIVATE KEY" => {
                let passphrase = passphrase().ok_or(KeyFileError::PassphraseMissing)?;
                EncryptedPrivateKeyInfoRef::try_from(document.as_bytes())
                    .map_err(|_| KeyFileError::NotAKey)?
                    .decrypt(passphrase.expose_secret())
                    .map_err(|_| KeyFileError::WrongPassphrase)?
            }
            _ => return Err(KeyFileError::NotAKey),
        };
        ed25519_dalek::SigningKey::from_pkcs8_der(plain.as_bytes())
            .map(Self)
            .map_err(|_| KeyFileError::NotEd25519)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SigningKey({})", self.public().id())
    }
}

/// A private key that could not be made, written or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyFileError {
    /// The operating system has no random numbers.
    #[error("the operating system gave no random numbers: {0}")]
    Random(String),
    /// The key could not be encoded.
    #[error("the key could not be encoded: {0}")]
    Write(String),
    /// Not a PKCS#8 PEM file.
    #[error(
        "not a private key: expected PKCS#8 PEM (`BEGIN PRIVATE KEY` or `BEGIN ENCRYPTED PRIVATE KEY`)"
    )]
    NotAKey,
    /// The key is encrypted and there is no passphrase.
    #[error("the key is encrypted and no passphrase was given")]
    PassphraseMissing,
    /// The passphrase does not open the key.
    #[error("the passphrase does not open the key")]
    WrongPassphrase,
    /// The key is of another kind.
    #[error("the key is not an ed25519 key")]
    NotEd25519,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_id_is_the_one_that_other_tools_compute() {
        // Computed by securesystemslib 1.6.0, `encode_canonical` of this key.
        let key: PublicKey =
            "8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c".parse().unwrap();
        let document = serde_json::to_value(&key).unwrap();
        assert_eq!(
            Digest::of(&super::super::json::canonical(&document)).to_string(),
            key.id().to_string()
        );
        assert_eq!(
            key.id().to_string(),
            "7ab6b86cb2c9684b0ddc10896153aa2595decf4d4327a5ff1a8ab7422c828b12"
        );
    }

    #[test]
    fn a_key_survives_its_file() {
        let key = SigningKey::from_seed(&[7; 32]);
        let passphrase = SecretString::from("correct horse");
        let encrypted = key.to_pem(Some(&passphrase)).unwrap();
        assert!(encrypted.expose_secret().starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
        let read = SigningKey::from_pem(encrypted.expose_secret(), || Some(passphrase)).unwrap();
        assert_eq!(read.public(), key.public());
        let plain = key.to_pem(None).unwrap();
        let read = SigningKey::from_pem(plain.expose_secret(), || unreachable!()).unwrap();
        assert_eq!(read.public(), key.public());
    }

    #[test]
    fn each_way_of_not_opening_has_its_own_error() {
        let key = SigningKey::from_seed(&[7; 32]);
        let pem = key.to_pem(Some(&SecretString::from("right"))).unwrap();
        let open = |pem: &str, passphrase: Option<&str>| {
            SigningKey::from_pem(pem, || passphrase.map(SecretString::from)).unwrap_err()
        };
        assert_eq!(open(pem.expose_secret(), Some("wrong")), KeyFileError::WrongPassphrase);
        assert_eq!(open(pem.expose_secret(), None), KeyFileError::PassphraseMissing);
        assert_eq!(open("hello", None), KeyFileError::NotAKey);
    }

    #[test]
    fn a_signature_covers_its_message() {
        let key = SigningKey::from_seed(&[7; 32]);
        let signature = key.sign(b"message");
        assert!(key.public().verify(b"message", &signature));
        assert!(!key.public().verify(b"massage", &signature));
        assert!(!SigningKey::from_seed(&[8; 32]).public().verify(b"message", &signature));
    }
}
