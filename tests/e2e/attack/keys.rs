//! The keys of the vendor, of the server, and of the thief.

use mainstay_client::tuf::{PublicKey, SigningKey};
use serde_json::{Value, json};

/// A key, by the seed that it is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key(u8);

impl Key {
    /// The vendor's root keys, of which two must sign.
    pub(crate) const ROOT: [Self; 3] = [Self(1), Self(2), Self(3)];
    /// The vendor's key for the top-level targets.
    pub(crate) const TARGETS: Self = Self(4);
    /// The vendor's release keys, of which two must sign.
    pub(crate) const RELEASE: [Self; 3] = [Self(5), Self(6), Self(7)];
    /// The server's key for timestamps.
    pub(crate) const TIMESTAMP: Self = Self(8);
    /// The server's key for snapshots.
    pub(crate) const SNAPSHOT: Self = Self(9);
    /// The server's key for plans.
    pub(crate) const DIRECTOR: Self = Self(10);
    /// All that the server holds.
    pub(crate) const ONLINE: [Self; 3] = [Self::TIMESTAMP, Self::SNAPSHOT, Self::DIRECTOR];
    /// A key that nobody has authorised: the thief's own.
    pub(crate) const STRANGER: Self = Self(11);
    /// The vendor's key for the private channel of another customer.
    pub(crate) const PRIVATE: Self = Self(15);
    /// What the vendor replaces a stolen online key with.
    pub(crate) const FRESH: [Self; 3] = [Self(12), Self(13), Self(14)];

    pub(crate) fn private(self) -> SigningKey {
        SigningKey::from_seed(&[self.0; 32])
    }

    pub(crate) fn public(self) -> PublicKey {
        self.private().public()
    }

    /// The key's identifier.
    pub(crate) fn id(self) -> String {
        self.public().id().to_string()
    }
}

/// Who may sign a role, and how many of them must.
#[derive(Clone, Debug)]
pub(crate) struct Holders {
    pub(crate) keys: Vec<Key>,
    pub(crate) threshold: usize,
}

impl Holders {
    pub(crate) fn only(key: Key) -> Self {
        Self { keys: vec![key], threshold: 1 }
    }

    pub(crate) fn two_of(keys: [Key; 3]) -> Self {
        Self { keys: keys.to_vec(), threshold: 2 }
    }

    /// As many as must sign.
    pub(crate) fn enough(&self) -> Vec<Key> {
        self.keys.iter().take(self.threshold).copied().collect()
    }

    /// What root or targets says of the role.
    pub(crate) fn document(&self) -> Value {
        let keyids: Vec<_> = self.keys.iter().map(|key| key.id()).collect();
        json!({ "keyids": keyids, "threshold": self.threshold })
    }
}

/// The member `keys` of root or targets, for these roles.
pub(crate) fn listed<'a>(roles: impl IntoIterator<Item = &'a Holders>) -> Value {
    let keys = roles.into_iter().flat_map(|role| &role.keys);
    keys.map(|key| (key.id(), json!(key.public()))).collect()
}
