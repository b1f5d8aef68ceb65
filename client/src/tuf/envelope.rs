use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::{KeyId, PublicKey, Refusal, RoleKeys, Rule, SignError, Signer, json};
use crate::format::Digest;

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
        struct Others {
            signatures: Vec<Signature>,
        }
        let refuse = |detail: String| Refusal::new(document, Rule::Form, detail);
        let mut value = json::parse(bytes).map_err(|error| refuse(error.to_string()))?;
        // Taken out as it is: to deserialise it would be to copy nearly the whole document.
        let signed = value
            .as_object_mut()
            .and_then(|members| members.remove("signed"))
            .ok_or_else(|| refuse("expected an object with the member `signed`".to_owned()))?;
        let Others { signatures } =
            serde_json::from_value(value).map_err(|error| refuse(error.to_string()))?;
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

    /// What is signed.
    pub(super) fn signed(&self) -> &Value {
        &self.signed
    }

    /// The signatures, in the order in which they stand.
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// The keys of `role` whose signatures are valid. Two identifiers can stand for one key, so it is
    /// the keys that are counted.
    pub fn signers<'a>(
        &self,
        keys: &'a BTreeMap<KeyId, PublicKey>,
        role: &RoleKeys,
    ) -> BTreeSet<&'a PublicKey> {
        let message = json::canonical(&self.signed);
        self.signatures
            .iter()
            .filter(|signature| role.keyids.contains(&signature.keyid))
            .filter_map(|signature| Some((keys.get(&signature.keyid)?, signature)))
            .filter(|(key, signature)| key.verify(&message, &signature.sig))
            .map(|(key, _)| key)
            .collect()
    }

    /// Checks that at least the threshold of `role`'s keys has signed. This is the only place in
    /// Mainstay where signatures are counted.
    pub fn verify(
        &self,
        keys: &BTreeMap<KeyId, PublicKey>,
        role: &RoleKeys,
    ) -> Result<(), Refusal> {
        let valid = self.signers(keys, role).len();
        if valid as u64 >= role.threshold.get() {
            return Ok(());
        }
        Err(self.refusal(
            Rule::Threshold,
            format!(
                "{valid} of the role's {} keys have signed: expected at least {}",
                role.keyids.len(),
                role.threshold
            ),
        ))
    }

    /// The SHA-256 of what is signed, which stays the same while signatures are collected.
    pub fn signed_sha256(&self) -> Digest {
        Digest::of(&json::canonical(&self.signed))
    }

    /// Adds the signature of `signer`, in place of one that the key has made before.
    pub fn cosign(&mut self, signer: &dyn Signer) -> Result<(), SignError> {
        let message = json::canonical(&self.signed);
        let signature = Signature { keyid: signer.public().id(), sig: signer.sign(&message)? };
        self.signatures.retain(|present| present.keyid != signature.keyid);
        self.signatures.push(signature);
        self.signatures.sort_unstable_by(|a, b| a.keyid.cmp(&b.keyid));
        Ok(())
    }

    /// Keeps the signatures that `keep` lets stand.
    pub fn retain_signatures(&mut self, keep: impl FnMut(&Signature) -> bool) {
        self.signatures.retain(keep);
    }

    /// Takes in the signatures of another copy of the same document, and says whether it is one. Of
    /// two signatures of one key the one that is here stays, unless it is not one of its key in
    /// `keys` and the other is: a bad signature must not keep a good one out.
    pub fn join(&mut self, other: &Self, keys: &BTreeMap<KeyId, PublicKey>) -> bool {
        if self.signed != other.signed {
            return false;
        }
        let message = json::canonical(&self.signed);
        let is_valid = |signature: &Signature| {
            keys.get(&signature.keyid).is_some_and(|key| key.verify(&message, &signature.sig))
        };
        for theirs in &other.signatures {
            match self.signatures.iter_mut().find(|mine| mine.keyid == theirs.keyid) {
                None => self.signatures.push(theirs.clone()),
                Some(mine) if !is_valid(mine) && is_valid(theirs) => *mine = theirs.clone(),
                Some(_) => {}
            }
        }
        self.signatures.sort_unstable_by(|a, b| a.keyid.cmp(&b.keyid));
        true
    }

    /// The bytes to publish.
    pub fn to_bytes(&self) -> serde_json::Result<Vec<u8>> {
        #[derive(Serialize)]
        struct Parts<'a> {
            signatures: &'a [Signature],
            signed: &'a Value,
        }
        serde_json::to_vec(&Parts { signatures: &self.signatures, signed: &self.signed })
    }

    /// A refusal of the document, at the version that it claims to be.
    pub(super) fn refusal(&self, rule: Rule, detail: impl AsRef<str>) -> Refusal {
        Refusal::new(&self.document, rule, detail).at(self.signed["version"].as_u64())
    }

    /// The document's value as a `T`. Call [`Envelope::verify`] first.
    pub fn document<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        T::deserialize(&self.signed).map_err(|error| self.refusal(Rule::Form, error.to_string()))
    }

    /// The same, which ends the envelope: a large document is not copied.
    pub fn into_document<T: DeserializeOwned>(self) -> Result<T, Refusal> {
        let Self { document, signed, .. } = self;
        let version = signed["version"].as_u64();
        T::deserialize(signed)
            .map_err(|error| Refusal::new(&document, Rule::Form, error.to_string()).at(version))
    }
}

/// `document` signed by each of `signers`, as the bytes to publish.
pub fn sign<T: Serialize>(document: &T, signers: &[&dyn Signer]) -> Result<Vec<u8>, SignError> {
    let signed = serde_json::to_value(document)?;
    let mut envelope = Envelope { document: String::new(), signed, signatures: Vec::new() };
    signers.iter().try_for_each(|signer| envelope.cosign(*signer))?;
    Ok(envelope.to_bytes()?)
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use serde_json::json;

    use super::{super::SigningKey, *};

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_seed(&[seed; 32])
    }

    /// `seeds`' keys, and the role of which `threshold` of them must sign.
    fn role(seeds: &[u8], threshold: u64) -> (BTreeMap<KeyId, PublicKey>, RoleKeys) {
        let keys: BTreeMap<_, _> =
            seeds.iter().map(|seed| key(*seed).public()).map(|key| (key.id(), key)).collect();
        let keyids = keys.keys().cloned().collect();
        (keys, RoleKeys { keyids, threshold: NonZeroU64::new(threshold).unwrap() })
    }

    fn signed(seeds: &[u8]) -> Value {
        let keys: Vec<_> = seeds.iter().map(|seed| key(*seed)).collect();
        let signers: Vec<_> = keys.iter().map(|key| key as &dyn Signer).collect();
        let bytes = sign(&json!({ "n": 1 }), &signers).unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }

    fn parse(document: &Value) -> Result<Envelope, Refusal> {
        Envelope::parse("document", &serde_json::to_vec(document).unwrap())
    }

    #[track_caller]
    fn misformed(document: &Value) -> String {
        let refusal = parse(document).unwrap_err();
        assert_eq!(refusal.rule(), Rule::Form, "{refusal}");
        refusal.to_string()
    }

    #[test]
    fn a_threshold_counts_the_keys_that_have_signed() {
        let (keys, two_of_three) = role(&[1, 2, 3], 2);
        for (signers, enough) in
            [(&[][..], false), (&[1], false), (&[1, 2], true), (&[3, 1], true), (&[1, 2, 3], true)]
        {
            let found = parse(&signed(signers)).unwrap().verify(&keys, &two_of_three);
            assert_eq!(found.is_ok(), enough, "{signers:?}");
        }
        let found = parse(&signed(&[1])).unwrap().verify(&keys, &two_of_three).unwrap_err();
        insta::assert_snapshot!(found, @"document is refused (threshold): 1 of the role's 3 keys have signed: expected at least 2");
    }

    #[test]
    fn one_key_with_two_identifiers_counts_once() {
        let (mut keys, mut two_of_two) = role(&[1, 2], 2);
        let alias: KeyId = "alias".parse().unwrap();
        keys.insert(alias.clone(), key(1).public());
        two_of_two.keyids.insert(alias);
        let mut document = signed(&[1]);
        let mut again = document["signatures"][0].clone();
        again["keyid"] = json!("alias");
        document["signatures"].as_array_mut().unwrap().push(again);
        let envelope = parse(&document).unwrap();
        assert_eq!(envelope.verify(&keys, &two_of_two).unwrap_err().rule(), Rule::Threshold);
        two_of_two.threshold = NonZeroU64::MIN;
        envelope.verify(&keys, &two_of_two).unwrap();
    }

    #[test]
    fn keys_that_the_role_does_not_list_count_for_nothing() {
        let (keys, _) = role(&[1, 2, 3], 1);
        let (_, only_first) = role(&[1], 1);
        let verify = |signers| parse(&signed(signers)).unwrap().verify(&keys, &only_first);
        verify(&[1, 2, 9]).unwrap();
        assert_eq!(verify(&[2, 3, 9]).unwrap_err().rule(), Rule::Threshold);
    }

    #[test]
    fn keys_that_nobody_describes_count_for_nothing() {
        let (_, listed) = role(&[1], 1);
        let found = parse(&signed(&[1])).unwrap().verify(&BTreeMap::new(), &listed);
        assert_eq!(found.unwrap_err().rule(), Rule::Threshold);
    }

    #[test]
    fn a_signature_under_another_keys_identifier_counts_for_nothing() {
        let (keys, either) = role(&[1, 2], 1);
        let mut document = signed(&[1]);
        document["signatures"][0]["keyid"] = json!(key(2).public().id());
        let found = parse(&document).unwrap().verify(&keys, &either);
        assert_eq!(found.unwrap_err().rule(), Rule::Threshold);
    }

    #[test]
    fn one_key_signs_once() {
        let mut document = signed(&[1, 2]);
        let again = document["signatures"][0].clone();
        document["signatures"].as_array_mut().unwrap().push(again);
        let message = misformed(&document);
        insta::assert_snapshot!(message, @"document is refused (form): one key has signed twice");
    }

    #[test]
    fn a_document_carries_so_many_signatures_and_no_more() {
        let mut document = signed(&[]);
        let mut carrying = |count: usize| {
            document["signatures"] = (0..count)
                .map(|number| json!({ "keyid": format!("k{number}"), "sig": "" }))
                .collect();
            document.clone()
        };
        let most = parse(&carrying(Envelope::SIGNATURES_MAX)).unwrap();
        assert_eq!(most.signatures().len(), Envelope::SIGNATURES_MAX);
        let message = misformed(&carrying(Envelope::SIGNATURES_MAX + 1));
        insta::assert_snapshot!(message, @"document is refused (form): 65 signatures: expected at most 64");
    }

    #[test]
    fn a_signature_has_one_spelling() {
        let (keys, role) = role(&[1], 1);
        let good = signed(&[1]);
        let text = good["signatures"][0]["sig"].as_str().unwrap().to_owned();
        for bad in
            [text.to_uppercase(), format!(" {text}"), text[2..].to_owned(), format!("{text}00")]
        {
            let mut document = good.clone();
            document["signatures"][0]["sig"] = json!(bad);
            let found = parse(&document).unwrap().verify(&keys, &role);
            assert_eq!(found.unwrap_err().rule(), Rule::Threshold, "{bad}");
        }
    }

    #[test]
    fn what_is_not_an_envelope_is_refused() {
        let good = signed(&[1]);
        for (pointer, bad) in [
            ("/signatures", json!({})),
            ("/signatures/0/keyid", json!("")),
            ("/signatures/0/keyid", json!("a/../b")),
            ("/signatures/0/keyid", json!("a".repeat(129))),
            ("/signatures/0/sig", json!(1)),
        ] {
            let mut document = good.clone();
            *document.pointer_mut(pointer).unwrap() = bad;
            misformed(&document);
        }
        for missing in ["signatures", "signed"] {
            let mut document = good.clone();
            document.as_object_mut().unwrap().remove(missing);
            assert!(misformed(&document).contains(missing));
        }
        misformed(&json!([good, good]));
    }

    /// The one reading that is verified is the one that is used.
    #[test]
    fn a_member_that_stands_twice_is_refused_wherever_it_stands() {
        let good = serde_json::to_string(&signed(&[1])).unwrap();
        Envelope::parse("document", good.as_bytes()).unwrap();
        for (member, twice) in [
            ("\"n\":1", "\"n\":1,\"n\":2"),
            ("\"signed\":", "\"signed\":{\"n\":2},\"signed\":"),
            ("\"sig\":", "\"sig\":\"\",\"sig\":"),
        ] {
            let bad = good.replacen(member, twice, 1);
            let refusal = Envelope::parse("document", bad.as_bytes()).unwrap_err().to_string();
            assert!(refusal.contains("stands twice"), "{bad}: {refusal}");
        }
    }

    #[test]
    fn white_space_and_order_are_not_signed() {
        let (keys, role) = role(&[1], 1);
        let signature = signed(&[1])["signatures"].clone();
        let loose = format!("{{ \"signed\" : {{ \"n\" :\n1 }}, \"signatures\": {signature} }}\n");
        let envelope = Envelope::parse("document", loose.as_bytes()).unwrap();
        envelope.verify(&keys, &role).unwrap();
        assert_eq!(envelope.document::<Value>().unwrap(), json!({ "n": 1 }));
    }

    #[test]
    fn signing_twice_with_one_key_is_signing_once() {
        let key = key(1);
        let bytes = sign(&json!({}), &[&key, &key]).unwrap();
        assert_eq!(Envelope::parse("document", &bytes).unwrap().signatures().len(), 1);
    }

    #[test]
    fn signatures_are_collected_one_by_one_and_joined() {
        let (keys, two_of_three) = role(&[1, 2, 3], 2);
        let mut one = parse(&signed(&[])).unwrap();
        let mut other = one.clone();
        one.cosign(&key(1)).unwrap();
        one.cosign(&key(1)).unwrap();
        assert_eq!(one.signers(&keys, &two_of_three), BTreeSet::from([&key(1).public()]));
        other.cosign(&key(2)).unwrap();
        assert!(one.verify(&keys, &two_of_three).is_err());
        assert_eq!(one.signed_sha256(), other.signed_sha256());
        assert!(one.join(&other, &keys));
        one.verify(&keys, &two_of_three).unwrap();
        let read = Envelope::parse("document", &one.to_bytes().unwrap()).unwrap();
        assert_eq!(read.signatures(), one.signatures());
        assert_eq!(read.signatures(), parse(&signed(&[1, 2])).unwrap().signatures());
    }

    #[test]
    fn copies_of_different_documents_are_not_joined() {
        let mut one = parse(&signed(&[1])).unwrap();
        let another = sign(&json!({ "n": 2 }), &[&key(2)]).unwrap();
        let another = Envelope::parse("document", &another).unwrap();
        assert!(!one.join(&another, &role(&[1, 2], 1).0));
        assert_eq!(one.signatures().len(), 1);
    }

    #[test]
    fn a_bad_signature_keeps_no_good_one_out() {
        let (keys, either) = role(&[1], 1);
        let good = parse(&signed(&[1])).unwrap();
        let mut bad = signed(&[1]);
        bad["signatures"][0]["sig"] = json!("00".repeat(64));
        let bad = parse(&bad).unwrap();
        for (first, second) in [(&good, &bad), (&bad, &good)] {
            let mut joined = first.clone();
            assert!(joined.join(second, &keys));
            joined.verify(&keys, &either).unwrap();
            assert_eq!(joined.signatures().len(), 1);
        }
        // Where nobody knows the key, the first one stays.
        let mut joined = bad.clone();
        assert!(joined.join(&good, &BTreeMap::new()));
        assert_eq!(joined.signatures(), bad.signatures());
    }
}
