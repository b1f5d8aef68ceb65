//! The secrets of endpoints, and signing with them, as Standard Webhooks 1.0 has it.
//!
//! No secret is stored. Each is derived, by HMAC-SHA256, from one key in the server's directory of
//! keys, the endpoint's identifier and a number that counts up with each rotation. So a copy of the
//! records, or of the database, lets nobody sign; and a backup of the keys brings every secret back.

use std::{fmt, fs, io, path::Path};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use jiff::Timestamp;
use mainstay_client::{format::Digest, hex};
use ring::hmac;
use secrecy::{ExposeSecret as _, SecretString};

use crate::{
    clock::random_bytes,
    service::keys::write_secret,
    store::{EndpointRecord, SecretRecord},
};

/// What every secret of an endpoint begins with.
pub const SECRET_PREFIX: &str = "whsec_";

/// How many bytes the key and each secret have.
const KEY_BYTES: usize = 32;
/// How many digits a fingerprint has.
const FINGERPRINT_DIGITS: usize = 16;

/// What the secrets of endpoints are derived from.
pub struct SigningKey(hmac::Key);

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SigningKey")
    }
}

/// The secret of an endpoint, as its receiver has it.
pub struct Secret([u8; KEY_BYTES]);

impl SigningKey {
    /// The key that these bytes are.
    pub fn new(bytes: &[u8; KEY_BYTES]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// Reads the key from the file at `path`, or makes it (mode 0600). One that was lost is made
    /// anew: it is noticed by the fingerprints of the endpoints' secrets.
    pub fn open_or_create(path: &Path) -> io::Result<Self> {
        match fs::read_to_string(path) {
            Ok(text) => {
                let bytes = hex::decode(text.trim()).and_then(|bytes| bytes.try_into().ok());
                bytes.map(|bytes| Self::new(&bytes)).ok_or_else(|| {
                    let expected = format!("expected {} hexadecimal digits", 2 * KEY_BYTES);
                    io::Error::other(format!("{}: {expected}", path.display()))
                })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let bytes = random_bytes::<KEY_BYTES>().map_err(io::Error::other)?;
                write_secret(path, &hex::encode(&bytes))?;
                Ok(Self::new(&bytes))
            }
            Err(error) => Err(io::Error::other(format!("{}: {error}", path.display()))),
        }
    }

    /// The secret number `number` of the endpoint `id`.
    pub fn secret(&self, id: &str, number: u32) -> Secret {
        let derived = hmac::sign(&self.0, format!("mainstay webhook\n{id}\n{number}").as_bytes());
        let mut bytes = [0; KEY_BYTES];
        bytes.copy_from_slice(derived.as_ref());
        Secret(bytes)
    }

    /// The secrets that sign for `endpoint` at `now`, the newest first. Says what to do where the
    /// server's key is no longer the one that they were made with.
    pub fn secrets(
        &self,
        endpoint: &EndpointRecord,
        now: Timestamp,
    ) -> Result<Vec<Secret>, String> {
        let is_good = |record: &&SecretRecord| record.until.is_none_or(|until| now < until);
        let good = endpoint.secrets.iter().filter(is_good);
        let secrets = good.map(|record| {
            let secret = self.secret(&endpoint.id, record.number);
            if secret.fingerprint() == record.fingerprint {
                return Ok(secret);
            }
            Err(format!(
                "the key in keys/webhooks.key is not the one that the secret of {id} was made with: put \
                 it back from a backup, or give the receiver a new secret (mainstay webhook rotate {id})",
                id = endpoint.id
            ))
        });
        secrets.collect()
    }
}

impl Secret {
    /// The secret as the receiver is given it.
    pub fn text(&self) -> SecretString {
        format!("{SECRET_PREFIX}{}", BASE64_STANDARD.encode(self.0)).into()
    }

    /// The first digits of the digest of the secret.
    pub fn fingerprint(&self) -> String {
        let digest = Digest::of(self.text().expose_secret().as_bytes()).to_string();
        digest.chars().take(FINGERPRINT_DIGITS).collect()
    }
}

/// The header `webhook-signature`: one signature for each secret.
pub fn sign(secrets: &[Secret], id: &str, at: Timestamp, body: &[u8]) -> String {
    let signed = secrets.iter().map(|Secret(secret)| signature(secret, id, at, body));
    signed.collect::<Vec<_>>().join(" ")
}

fn signature(secret: &[u8], id: &str, at: Timestamp, body: &[u8]) -> String {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, secret));
    context.update(format!("{id}.{}.", at.as_second()).as_bytes());
    context.update(body);
    format!("v1,{}", BASE64_STANDARD.encode(context.sign()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{policy::Interest, store::EndpointAddress};

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn record(key: &SigningKey, number: u32, until: Option<i64>) -> SecretRecord {
        let fingerprint = key.secret("hook-1", number).fingerprint();
        SecretRecord { number, fingerprint, until: until.map(at) }
    }

    fn endpoint(secrets: Vec<SecretRecord>) -> EndpointRecord {
        EndpointRecord {
            id: "hook-1".to_owned(),
            address: EndpointAddress::Url("https://example.com/".to_owned()),
            label: "test".to_owned(),
            interest: Interest::default(),
            secrets,
            created_at: at(0),
            disabled: None,
        }
    }

    #[test]
    fn a_signature_is_that_of_the_specifications_libraries() {
        // The vector with which the reference libraries of Standard Webhooks are tested.
        let secret = BASE64_STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let body = br#"{"test": 2432232314}"#;
        let signature = signature(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", at(1_614_265_330), body);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_secret_is_that_of_its_endpoint_its_number_and_the_key() {
        let key = SigningKey::new(&[1; 32]);
        let text = |secret: Secret| secret.text().expose_secret().to_owned();
        let first = text(key.secret("hook-1", 1));
        assert_eq!(first, text(SigningKey::new(&[1; 32]).secret("hook-1", 1)));
        for other in [
            key.secret("hook-1", 2),
            key.secret("hook-2", 1),
            key.secret("hook-11", 1),
            SigningKey::new(&[2; 32]).secret("hook-1", 1),
        ] {
            assert_ne!(first, text(other));
        }
        let bytes = BASE64_STANDARD.decode(first.strip_prefix("whsec_").unwrap()).unwrap();
        assert_eq!(bytes.len(), 32);
    }

    #[test]
    fn while_a_secret_is_rotated_two_sign() {
        let key = SigningKey::new(&[1; 32]);
        let endpoint = endpoint(vec![record(&key, 2, None), record(&key, 1, Some(100))]);
        let count = |now| {
            let secrets = key.secrets(&endpoint, at(now)).unwrap();
            sign(&secrets, "msg_1", at(now), b"{}").split(' ').count()
        };
        assert_eq!((count(99), count(100)), (2, 1));
        let secrets = key.secrets(&endpoint, at(100)).unwrap();
        let expected = signature(&key.secret("hook-1", 2).0, "msg_1", at(100), b"{}");
        assert_eq!(sign(&secrets, "msg_1", at(100), b"{}"), expected);
    }

    #[test]
    fn a_key_that_is_another_one_signs_nothing() {
        let endpoint = endpoint(vec![record(&SigningKey::new(&[1; 32]), 1, None)]);
        let Err(problem) = SigningKey::new(&[2; 32]).secrets(&endpoint, at(0)) else {
            panic!("expected a refusal")
        };
        assert!(problem.contains("mainstay webhook rotate hook-1"), "{problem}");
    }

    #[test]
    fn the_key_is_made_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("webhooks.key");
        let text = |key: &SigningKey| key.secret("a", 1).fingerprint();
        let made = text(&SigningKey::open_or_create(&path).unwrap());
        assert_eq!(text(&SigningKey::open_or_create(&path).unwrap()), made);
        fs::write(&path, "beef").unwrap();
        let refused = SigningKey::open_or_create(&path).unwrap_err().to_string();
        assert!(refused.contains("expected 64 hexadecimal digits"), "{refused}");
    }
}
