use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256, Sha512};

use crate::{
    format::{Digest, ParseError, text_serde},
    hex,
};

const EXPECTED: &str = "128 lower-case hex digits";

/// The digests of a file (TUF 1.0.34 §4.4 and §4.5). All that are given must match; other algorithms
/// than these are passed over, and a file that has none of these is never accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hashes {
    /// SHA-256.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<Digest>,
    /// SHA-512.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha512: Option<Sha512Digest>,
}

impl Hashes {
    /// The SHA-256 `digest` and no other.
    pub const fn sha256(digest: Digest) -> Self {
        Self { sha256: Some(digest), sha512: None }
    }

    /// What stands before a target's file name where snapshots are consistent (TUF 1.0.34 §6.2):
    /// any of its digests will do.
    pub fn file_name_prefix(&self) -> Option<String> {
        self.sha256
            .map(|digest| digest.to_string())
            .or_else(|| self.sha512.map(|digest| digest.to_string()))
    }

    /// Says what is wrong with `bytes`, where they are not the file's.
    pub fn check(&self, bytes: &[u8]) -> Result<(), String> {
        let mut checker = HashesChecker::new(*self);
        checker.update(bytes);
        checker.finish()
    }
}

/// Compares a file with its [`Hashes`] piece by piece.
#[derive(Clone, Debug)]
pub struct HashesChecker {
    expected: Hashes,
    sha256: Sha256,
    sha512: Sha512,
}

impl HashesChecker {
    /// A checker that has seen nothing of the file.
    pub fn new(expected: Hashes) -> Self {
        Self { expected, sha256: Sha256::new(), sha512: Sha512::new() }
    }

    /// Takes in the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        if self.expected.sha256.is_some() {
            self.sha256.update(bytes);
        }
        if self.expected.sha512.is_some() {
            self.sha512.update(bytes);
        }
    }

    /// Says what is wrong with the file, where it is not the expected one.
    pub fn finish(self) -> Result<(), String> {
        let Self { expected: Hashes { sha256, sha512 }, .. } = self;
        if sha256.is_none() && sha512.is_none() {
            return Err("no digest that can be checked: expected sha256 or sha512".to_owned());
        }
        if let Some(announced) = sha256 {
            let found = Digest::from(<[u8; 32]>::from(self.sha256.finalize()));
            expect("SHA-256", &found, &announced)?;
        }
        if let Some(announced) = sha512 {
            let found = Sha512Digest(self.sha512.finalize().into());
            expect("SHA-512", &found, &announced)?;
        }
        Ok(())
    }
}

impl std::io::Write for HashesChecker {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn expect<D: fmt::Display + PartialEq>(
    algorithm: &str,
    found: &D,
    announced: &D,
) -> Result<(), String> {
    if found == announced {
        return Ok(());
    }
    Err(format!("its {algorithm} is {found}: {announced} was announced"))
}

/// A SHA-512 digest, written as 128 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Sha512Digest([u8; 64]);

impl std::str::FromStr for Sha512Digest {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        hex::decode(text)
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self)
            .ok_or_else(|| ParseError::new("SHA-512 digest", text, EXPECTED))
    }
}

impl fmt::Display for Sha512Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&hex::encode(&self.0))
    }
}

impl fmt::Debug for Sha512Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Sha512Digest({self})")
    }
}

text_serde!(Sha512Digest, EXPECTED);

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn hashes(document: serde_json::Value) -> Hashes {
        serde_json::from_value(document).unwrap()
    }

    // `printf abc | sha256sum`, `printf abc | sha512sum`
    const SHA256: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    const SHA512: &str = "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
                          2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f";

    #[test]
    fn every_digest_that_is_given_must_match() {
        let other = "0".repeat(128);
        for (document, matches) in [
            (json!({ "sha256": SHA256 }), true),
            (json!({ "sha512": SHA512 }), true),
            (json!({ "sha256": SHA256, "sha512": SHA512 }), true),
            (json!({ "sha256": SHA256, "md5": "whatever" }), true),
            (json!({ "sha256": &other[..64] }), false),
            (json!({ "sha256": SHA256, "sha512": other }), false),
            (json!({ "sha256": &other[..64], "sha512": SHA512 }), false),
            (json!({ "md5": "whatever" }), false),
            (json!({}), false),
        ] {
            assert_eq!(hashes(document.clone()).check(b"abc").is_ok(), matches, "{document}");
        }
    }

    #[test]
    fn a_digest_has_one_spelling() {
        for bad in [SHA512.to_uppercase(), SHA512[2..].to_owned(), format!("{SHA512}00")] {
            assert!(serde_json::from_value::<Hashes>(json!({ "sha512": bad })).is_err());
        }
    }

    #[test]
    fn the_prefix_is_a_digest_that_is_given() {
        assert_eq!(hashes(json!({ "sha512": SHA512 })).file_name_prefix().unwrap(), SHA512);
        assert_eq!(
            hashes(json!({ "sha512": SHA512, "sha256": SHA256 })).file_name_prefix().unwrap(),
            SHA256
        );
        assert_eq!(hashes(json!({})).file_name_prefix(), None);
    }
}
