use std::{fmt, str::FromStr};

use ed25519_dalek::VerifyingKey;
use pkcs8::{
    Document, ObjectIdentifier,
    der::{
        Encode as _,
        asn1::{AnyRef, BitStringRef},
        pem::LineEnding,
    },
    spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef},
};
use ring::signature::{ECDSA_P256_SHA256_ASN1, RSA_PSS_2048_8192_SHA256, UnparsedPublicKey};
use serde::{Deserialize, Deserializer, Serialize};

use crate::{
    format::{Digest, ParseError, text_serde},
    hex,
};

const KEY_ID_EXPECTED: &str = "1 to 128 letters and digits";

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
            Err(ParseError::new("key id", text, KEY_ID_EXPECTED))
        }
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

text_serde!(KeyId, KEY_ID_EXPECTED);

/// A public key as TUF metadata lists it, of one of the schemes of TUF 1.0.34 §4.2.
///
/// However a document spells a key, one key is one value: keys are compared, and counted, by what
/// they verify.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(with = "KeyDocument"))]
#[serde(try_from = "KeyDocument", into = "KeyDocument")]
pub struct PublicKey(Material);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Material {
    /// `ed25519`: the key's 32 bytes (RFC 8032).
    Ed25519([u8; 32]),
    /// `ecdsa-sha2-nistp256`: the uncompressed point (SEC 1, §2.3.3).
    EcdsaP256([u8; 65]),
    /// `rsassa-pss-sha256`: the DER of an `RSAPublicKey` (RFC 8017, §A.1.1).
    RsaPss(Vec<u8>),
}

#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct KeyDocument {
    keytype: String,
    scheme: String,
    keyval: KeyValue,
}

#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
struct KeyValue {
    public: String,
}

const ED25519: &str = "ed25519";
const ECDSA: &str = "ecdsa";
const ECDSA_P256: &str = "ecdsa-sha2-nistp256";
const RSA: &str = "rsa";
const RSA_PSS: &str = "rsassa-pss-sha256";

const OID_EC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const OID_P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const OID_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

impl PublicKey {
    /// The longest spelling of a key, in bytes: RSA of 8,192 bits is a quarter of it.
    const SPELLING_BYTES_MAX: usize = 8192;
    /// The longest RSA key, in bytes of DER: one of 8,192 bits is half of it. However such a key was
    /// spelled, its own spelling is within the limit.
    const RSA_BYTES_MAX: usize = 2048;

    pub(super) fn from_ed25519(key: &VerifyingKey) -> Self {
        Self(Material::Ed25519(key.to_bytes()))
    }

    /// The key on the curve P-256 with the uncompressed point `point` (`04`, x, y).
    pub fn from_p256_point(point: &[u8]) -> Result<Self, ParseError> {
        point
            .try_into()
            .ok()
            .filter(|point: &[u8; 65]| point[0] == 4)
            .map(|point| Self(Material::EcdsaP256(point)))
            .ok_or_else(|| {
                ParseError::new("P-256 key", &hex::encode(point), "an uncompressed point")
            })
    }

    /// Deserialises a key that was parsed before it was written down. That the bytes of an ed25519 key are a
    /// point of its curve is not shown again, which takes longer than all else: those that are none verify
    /// nothing.
    pub fn deserialize_proven<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Self, D::Error> {
        let document = KeyDocument::deserialize(deserializer)?;
        if (document.keytype.as_str(), document.scheme.as_str()) == (ED25519, ED25519)
            && let Some(bytes) = hex::decode(&document.keyval.public)
            && let Ok(key) = bytes.try_into()
        {
            return Ok(Self(Material::Ed25519(key)));
        }
        document.try_into().map_err(serde::de::Error::custom)
    }

    /// The key's identifier.
    pub fn id(&self) -> KeyId {
        let document = KeyDocument::from(self.clone());
        let document = serde_json::json!({
            "keytype": document.keytype,
            "scheme": document.scheme,
            "keyval": { "public": document.keyval.public },
        });
        KeyId(Digest::of(&super::json::canonical(&document)).to_string())
    }

    /// The scheme by which the key signs, as TUF calls it.
    pub fn scheme(&self) -> &'static str {
        match self.0 {
            Material::Ed25519(_) => ED25519,
            Material::EcdsaP256(_) => ECDSA_P256,
            Material::RsaPss(_) => RSA_PSS,
        }
    }

    /// Whether `signature` (hexadecimal digits) is this key's over `message`.
    ///
    /// Strict for ed25519: small-order keys and non-canonical signatures never verify (RFC 8032,
    /// "Taming the many EdDSAs"). RSA keys of less than 2,048 bits never verify either.
    pub fn verify(&self, message: &[u8], signature: &str) -> bool {
        let Some(signature) = hex::decode(signature) else { return false };
        match &self.0 {
            Material::Ed25519(key) => {
                let signature = ed25519_dalek::Signature::from_slice(&signature);
                VerifyingKey::from_bytes(key)
                    .ok()
                    .zip(signature.ok())
                    .is_some_and(|(key, signature)| key.verify_strict(message, &signature).is_ok())
            }
            Material::EcdsaP256(point) => UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point)
                .verify(message, &signature)
                .is_ok(),
            Material::RsaPss(key) => UnparsedPublicKey::new(&RSA_PSS_2048_8192_SHA256, key)
                .verify(message, &signature)
                .is_ok(),
        }
    }

    /// The key in the PEM `SubjectPublicKeyInfo` (RFC 7468, §13) `text`.
    fn from_pem(text: &str) -> Option<Self> {
        let (label, document) = Document::from_pem(text).ok()?;
        let info: SubjectPublicKeyInfoRef<'_> =
            (label == "PUBLIC KEY").then(|| document.decode_msg().ok())??;
        let key = info.subject_public_key.as_bytes()?;
        match info.algorithm.oid {
            OID_EC_KEY if info.algorithm.parameters_oid().ok()? == OID_P256 => {
                Self::from_p256_point(key).ok()
            }
            OID_RSA if key.len() <= Self::RSA_BYTES_MAX => {
                Some(Self(Material::RsaPss(key.to_owned())))
            }
            _ => None,
        }
    }

    /// The PEM `SubjectPublicKeyInfo` of a key that is written so.
    fn to_pem(algorithm: AlgorithmIdentifierRef<'_>, key: &[u8]) -> Option<String> {
        let subject_public_key = BitStringRef::from_bytes(key).ok()?;
        let der = SubjectPublicKeyInfoRef { algorithm, subject_public_key }.to_der().ok()?;
        Document::try_from(der).ok()?.to_pem("PUBLIC KEY", LineEnding::LF).ok()
    }
}

impl FromStr for PublicKey {
    type Err = ParseError;

    /// Parses the 64 hexadecimal digits of an ed25519 public key.
    fn from_str(text: &str) -> Result<Self, ParseError> {
        hex::decode(text)
            .and_then(|bytes| <[u8; 32]>::try_from(bytes).ok())
            .and_then(|bytes| VerifyingKey::from_bytes(&bytes).ok())
            .map(|key| Self::from_ed25519(&key))
            .ok_or_else(|| {
                ParseError::new("public key", text, "the 64 lower-case hex digits of ed25519")
            })
    }
}

impl fmt::Display for PublicKey {
    /// Writes the key as metadata spells it: hexadecimal digits for ed25519, PEM for the others.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&KeyDocument::from(self.clone()).keyval.public)
    }
}

impl TryFrom<KeyDocument> for PublicKey {
    type Error = ParseError;

    /// Takes the spellings that the specification names, and those of ECDSA keys that older
    /// repositories use: the type `ecdsa-sha2-nistp256`, and the point in hexadecimal digits.
    fn try_from(document: KeyDocument) -> Result<Self, ParseError> {
        let KeyDocument { keytype, scheme, keyval: KeyValue { public } } = document;
        if public.len() > Self::SPELLING_BYTES_MAX {
            let expected = "at most 8192 bytes";
            return Err(ParseError::new("public key", &public, expected));
        }
        let key = match (keytype.as_str(), scheme.as_str()) {
            (ED25519, ED25519) => return public.parse(),
            (ECDSA | ECDSA_P256, ECDSA_P256) => Self::from_pem(&public)
                .or_else(|| Self::from_p256_point(&hex::decode(public.trim())?).ok())
                .filter(|key| matches!(key.0, Material::EcdsaP256(_))),
            (RSA, RSA_PSS) => {
                Self::from_pem(&public).filter(|key| matches!(key.0, Material::RsaPss(_)))
            }
            _ => {
                let found = format!("{keytype}/{scheme}");
                let expected =
                    "ed25519/ed25519, ecdsa/ecdsa-sha2-nistp256 or rsa/rsassa-pss-sha256";
                return Err(ParseError::new("key type", &found, expected));
            }
        };
        key.ok_or_else(|| ParseError::new("public key", &public, "a PEM `PUBLIC KEY` of its type"))
    }
}

impl From<PublicKey> for KeyDocument {
    fn from(key: PublicKey) -> Self {
        let document = |keytype: &str, public: String| Self {
            keytype: keytype.to_owned(),
            scheme: key.scheme().to_owned(),
            keyval: KeyValue { public },
        };
        // What was decoded from DER can be encoded in it.
        let pem = |algorithm, key| PublicKey::to_pem(algorithm, key).unwrap_or_default();
        match &key.0 {
            Material::Ed25519(bytes) => document(ED25519, hex::encode(bytes)),
            Material::EcdsaP256(point) => {
                let parameters = Some(AnyRef::from(&OID_P256));
                document(ECDSA, pem(AlgorithmIdentifierRef { oid: OID_EC_KEY, parameters }, point))
            }
            Material::RsaPss(bytes) => {
                let parameters = Some(AnyRef::NULL);
                document(RSA, pem(AlgorithmIdentifierRef { oid: OID_RSA, parameters }, bytes))
            }
        }
    }
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

    #[derive(Deserialize)]
    struct Recorded(#[serde(deserialize_with = "PublicKey::deserialize_proven")] PublicKey);

    #[test]
    fn a_key_that_was_written_down_is_the_same_again() {
        for Known { name, key, .. } in known() {
            let json = serde_json::to_string(&key).unwrap();
            let Recorded(again) = serde_json::from_str(&json).unwrap();
            assert_eq!(again, key, "{name}");
            let json = json.replace(&key.scheme()[..3], "abc");
            assert!(serde_json::from_str::<Recorded>(&json).is_err(), "{json}");
        }
    }

    #[test]
    fn a_key_that_was_written_down_and_is_no_point_verifies_nothing() {
        let texts = (0..=255_u8).map(|y| format!("{y:02x}{}", "0".repeat(62)));
        let texts: Vec<_> = texts.filter(|text| text.parse::<PublicKey>().is_err()).collect();
        assert!(!texts.is_empty());
        for public in texts {
            let json = serde_json::json!(
                { "keytype": ED25519, "scheme": ED25519, "keyval": { "public": public } }
            );
            let Recorded(key) = serde_json::from_value(json).unwrap();
            assert!(!key.verify(b"message", &"00".repeat(64)), "{public}");
        }
    }

    #[derive(Deserialize)]
    struct Known {
        name: String,
        key: PublicKey,
        keyid: Option<KeyId>,
        message: String,
        sig: String,
    }

    /// Keys and signatures that securesystemslib 1.4.0 made.
    fn known() -> Vec<Known> {
        let text = include_str!("../../../fixtures/keys/TEST-public-keys.json");
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn every_scheme_verifies_what_other_tools_sign() {
        let known = known();
        assert_eq!(known.len(), 6);
        for Known { name, key, keyid, message, sig } in &known {
            assert!(key.verify(message.as_bytes(), sig), "{name}");
            assert!(!key.verify(b"another message", sig), "{name}");
            let (head, last) = sig.split_at(sig.len() - 1);
            let flipped = if last == "0" { "1" } else { "0" };
            for bad in [format!("{head}{flipped}"), sig.to_uppercase(), String::new()] {
                assert!(!key.verify(message.as_bytes(), &bad), "{name}: {bad}");
            }
            if let Some(keyid) = keyid {
                assert_eq!(key.id(), *keyid, "{name}");
            }
            let written = serde_json::to_value(key).unwrap();
            assert_eq!(serde_json::from_value::<PublicKey>(written).unwrap(), *key, "{name}");
        }
        for (one, other) in known.iter().zip(known.iter().skip(1)) {
            let same = one.name.starts_with("ecdsa") && other.name.starts_with("ecdsa");
            assert_eq!(one.key == other.key, same, "{} and {}", one.name, other.name);
            assert!(same || !one.key.verify(other.message.as_bytes(), &other.sig));
        }
    }

    #[test]
    fn a_key_that_is_accepted_can_be_written_and_read_again() {
        let rsa = |bytes: usize| {
            let algorithm = AlgorithmIdentifierRef { oid: OID_RSA, parameters: None };
            let public = PublicKey::to_pem(algorithm, &vec![1; bytes]).unwrap();
            let keyval = KeyValue { public };
            PublicKey::try_from(KeyDocument { keytype: RSA.into(), scheme: RSA_PSS.into(), keyval })
        };
        let longest = rsa(PublicKey::RSA_BYTES_MAX).unwrap();
        let written = serde_json::to_value(&longest).unwrap();
        assert_eq!(serde_json::from_value::<PublicKey>(written).unwrap(), longest);
        assert!(rsa(PublicKey::RSA_BYTES_MAX + 1).is_err());
        // Without parameters it is spelled within the limit, and with them it would not be.
        assert!(rsa(5986).is_err());
    }

    #[test]
    fn a_key_of_another_type_than_it_says_is_refused() {
        let document = |keytype: &str, scheme: &str, public: String| {
            serde_json::from_value::<PublicKey>(serde_json::json!({
                "keytype": keytype, "scheme": scheme, "keyval": { "public": public },
            }))
        };
        let [ed25519, ecdsa, .., rsa] = &known()[..] else { unreachable!() };
        let [ed25519, ecdsa, rsa] = [ed25519, ecdsa, rsa].map(|known| known.key.to_string());
        document(RSA, RSA_PSS, rsa.clone()).unwrap();
        for (keytype, scheme, public) in [
            (RSA, RSA_PSS, ecdsa.clone()),
            (ECDSA, ECDSA_P256, rsa.clone()),
            (ECDSA, ECDSA_P256, ed25519.clone()),
            (ECDSA, ECDSA_P256, "04".to_owned() + &"0".repeat(126)),
            (ED25519, ED25519, ecdsa.clone()),
            (ED25519, ECDSA_P256, ed25519),
            (ECDSA, ED25519, ecdsa.clone()),
            (RSA, "rsa-pkcs1v15-sha256", rsa),
            (ECDSA, ECDSA_P256, ecdsa.replace("PUBLIC KEY", "PRIVATE KEY")),
            (ECDSA, ECDSA_P256, ecdsa.clone() + &" ".repeat(PublicKey::SPELLING_BYTES_MAX)),
        ] {
            assert!(document(keytype, scheme, public.clone()).is_err(), "{keytype} {public}");
        }
    }
}
