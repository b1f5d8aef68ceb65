use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{KeyId, PublicKey, Refusal, RoleKeys, Rule, SigningKey, json};

/// One signature over a document's canonical form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// The key that made it.
    pub keyid: KeyId,
    /// The signature in hexadecimal digits.
    pub sig: String,
}

/// A signed document as it was received: its bytes, its value and its signatures, none of them
/// trusted yet.
#[derive(Clone, Debug)]
pub struct Envelope {
    document: String,
    signed: Value,
    signatures: Vec<Signature>,
}

impl Envelope {
    /// The most signatures that a document may carry.
    pub const SIGNATURES_MAX: usize = 64;

    /// Takes `bytes` apart. `document` names it in refusals.
    pub fn parse(document: &str, bytes: &[u8]) -> Result<Self, Refusal> {
        #[derive(Deserialize)]
        struct Parts {
            signed: Value,
            signatures: Vec<Signature>,
        }
        let refuse = |detail: String| Refusal::new(document, Rule::Form, detail);
        let Parts { signed, signatures } =
            json::from_slice(bytes).map_err(|error| refuse(error.to_string()))?;
        if signatures.len() > Self::SIGNATURES_MAX {
            return Err(refuse(format!(
                "{} signatures: expected at most {}",
                signatures.len(),
                Self::SIGNATURES_MAX
            )));
        }
        let distinct: BTreeSet<_> = signatures.iter().map(|signature| &signature.keyid).collect();
        if distinct.len() != signatures.len() {
            return Err(refuse("one key has signed twice".to_owned()));
        }
        Ok(Self { document: document.to_owned(), signed, signatures })
    }

    /// The signatures, in the order in which they stand.
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// Checks that at least the threshold of `role`'s keys has signed. This is the only place in
    /// Mainstay where signatures are counted.
    pub fn verify(
        &self,
        keys: &BTreeMap<KeyId, PublicKey>,
        role: &RoleKeys,
    ) -> Result<(), Refusal> {
        let message = json::canonical(&self.signed);
        // Two identifiers can stand for one key, so it is the keys that are counted.
        let valid: BTreeSet<&PublicKey> = self
            .signatures
            .iter()
            .filter(|signature| role.keyids.contains(&signature.keyid))
            .filter_map(|signature| Some((keys.get(&signature.keyid)?, signature)))
            .filter(|(key, signature)| key.verify(&message, &signature.sig))
            .map(|(key, _)| key)
            .collect();
        if valid.len() as u64 >= role.threshold.get() {
            return Ok(());
        }
        Err(Refusal::new(
            &self.document,
            Rule::Threshold,
            format!(
                "{} of the role's {} keys have signed: expected at least {}",
                valid.len(),
                role.keyids.len(),
                role.threshold
            ),
        ))
    }

    /// The document's value as a `T`. Call [`Envelope::verify`] first.
    pub fn document<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        T::deserialize(&self.signed)
            .map_err(|error| Refusal::new(&self.document, Rule::Form, error.to_string()))
    }
}

/// `document` signed by each of `keys`, as the bytes to publish.
pub fn sign<T: Serialize>(document: &T, keys: &[&SigningKey]) -> serde_json::Result<Vec<u8>> {
    #[derive(Serialize)]
    struct Parts<'a> {
        signatures: Vec<Signature>,
        signed: &'a Value,
    }
    let signed = serde_json::to_value(document)?;
    let message = json::canonical(&signed);
    let mut signatures: Vec<_> = keys
        .iter()
        .map(|key| Signature { keyid: key.public().id(), sig: key.sign(&message) })
        .collect();
    signatures.sort_unstable_by(|a, b| a.keyid.cmp(&b.keyid));
    signatures.dedup();
    serde_json::to_vec(&Parts { signatures, signed: &signed })
}
