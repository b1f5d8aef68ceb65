use std::fmt;

use ed25519_dalek::{
    Signer as _,
    pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, KeypairBytes},
};
use pkcs8::{
    EncryptedPrivateKeyInfoRef, PrivateKeyInfoRef, SecretDocument,
    der::pem::LineEnding,
    pkcs5::{EncryptionScheme, pbes2::Kdf},
};
use secrecy::{ExposeSecret as _, SecretString};

use super::PublicKey;
use crate::hex;

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
        PublicKey::from_ed25519(&self.0.verifying_key())
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
                let encrypted = EncryptedPrivateKeyInfoRef::try_from(document.as_bytes())
                    .map_err(|_| KeyFileError::NotAKey)?;
                if !is_affordable(&encrypted.encryption_algorithm) {
                    return Err(KeyFileError::TooCostly);
                }
                encrypted
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

/// The most that scrypt may read and write to open a key, in bytes: 16 times what openssl takes.
const SCRYPT_BYTES_MAX: u64 = 256 << 20;
/// The most iterations of PBKDF2 that opening a key may take: some seconds.
const PBKDF2_ITERATIONS_MAX: u32 = 2_000_000;

/// Whether a passphrase can be tried: the file says how much work that is, and may say anything.
fn is_affordable(scheme: &EncryptionScheme) -> bool {
    match scheme.pbes2().map(|parameters| &parameters.kdf) {
        Some(Kdf::Scrypt(scrypt)) => [scrypt.block_size, scrypt.parallelization]
            .into_iter()
            .map(u64::from)
            .try_fold(128, u64::checked_mul)
            .and_then(|bytes: u64| bytes.checked_mul(scrypt.cost_parameter))
            .is_some_and(|bytes| bytes <= SCRYPT_BYTES_MAX),
        Some(Kdf::Pbkdf2(pbkdf2)) => pbkdf2.iteration_count <= PBKDF2_ITERATIONS_MAX,
        // PBES1 counts in 16 bits.
        _ => true,
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
    /// To try a passphrase would take too long, or too much memory.
    #[error(
        "the key asks for too much work to be opened: expected at most {} MiB for scrypt or \
         {PBKDF2_ITERATIONS_MAX} iterations of PBKDF2",
        SCRYPT_BYTES_MAX >> 20
    )]
    TooCostly,
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

    /// Whoever brings a key file must not be able to keep a computer busy for hours.
    #[test]
    fn a_key_that_is_too_costly_to_open_is_not_opened() {
        const SCRYPT: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----
MIGTME8GCSqGSIb3DQEFDTBCMCEGCSsGAQQB2kcECzAUBAgquEOO02NyegICQAAC
AX8CAX8wHQYJYIZIAWUDBAEqBBDysZoB3aTevkvfJavY7Zj2BEAn7rcflCu+l2cm
53xKtqYV/PlrNOAtuUW2PUSNmfaQVDNgvDYoSbJbpMOe+bOWxphpUMu/2jjmVJdf
V1swoiTH
-----END ENCRYPTED PRIVATE KEY-----
";
        const PBKDF2: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----
MIGcMFgGCSqGSIb3DQEFDTBLMCoGCSqGSIb3DQEFDDAdBAgNCOKFOzi8rwIDHoSB
MAwGCCqGSIb3DQIJBQAwHQYJYIZIAWUDBAECBBBRrcgFVOqsvvW7UgHkeW5WBEBB
eAeMfKNFa8r1YgzVIISvCRy0fxKypvCYYRhrtxETKxQ1gW18uZLs7wRXgj9UOgxu
BwVcFDcNVfvayOj3KBLX
-----END ENCRYPTED PRIVATE KEY-----
";
        for pem in [SCRYPT, PBKDF2] {
            let opened = SigningKey::from_pem(pem, || Some("fuzz".into()));
            assert_eq!(opened.unwrap_err(), KeyFileError::TooCostly);
        }
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
