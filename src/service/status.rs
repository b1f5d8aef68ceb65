//! What is to be done, so that no machine is left with metadata whose time is over.

use jiff::Timestamp;
use mainstay_client::format::schema::Instant;
use mainstay_client::{
    format::ProductName,
    tuf::{Envelope, RoleKeys, Root, SigningKey},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Service, ServiceResult, chain, keys::OnlineRole};
use crate::{
    policy::Expiry,
    store::{ProductRecord, Repository, StoredFile},
};

/// `GET /v1/status`: one product.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProductStatus {
    /// The product.
    pub product: ProductName,
    /// Every role, with its time.
    pub roles: Vec<RoleStatus>,
    /// The server's own keys.
    pub online_keys: OnlineKeyState,
    /// What changes the state of the online keys, where somebody has to.
    pub online_keys_command: Option<String>,
}

/// A role and its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RoleStatus {
    /// `root`, `targets`, `snapshot`, `timestamp`, or a channel.
    pub role: String,
    /// Its version.
    pub version: u64,
    /// From when on machines do not trust it.
    #[schemars(with = "Instant")]
    pub expires: Timestamp,
    /// The whole days until then.
    pub days_left: i64,
    /// How near that is.
    pub state: Expiry,
    /// Who renews it.
    pub renewed_by: RenewedBy,
    /// What renews it, where it is time and the vendor has to.
    pub command: Option<String>,
}

/// Who renews a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RenewedBy {
    /// The server, by itself.
    Server,
    /// The vendor, with a command.
    Vendor,
}

/// How the server's keys stand to a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnlineKeyState {
    /// The vendor has authorised the newest.
    Adopted,
    /// There are newer ones than the vendor has authorised.
    NewerWait,
    /// Those that the vendor has authorised are gone; the server cannot sign.
    Lost,
}

impl ProductStatus {
    /// Whether somebody must act now.
    pub fn is_urgent(&self) -> bool {
        self.online_keys == OnlineKeyState::Lost
            || self.roles.iter().any(|role| role.state.is_urgent())
    }
}

impl Service {
    /// How every product's metadata and keys stand.
    pub async fn status(&self) -> ServiceResult<Vec<ProductStatus>> {
        let mut status = Vec::new();
        for product in self.meta.products().await? {
            status.push(self.product_status(&product).await?);
        }
        Ok(status)
    }

    async fn product_status(&self, product: &ProductRecord) -> ServiceResult<ProductStatus> {
        let name = &product.name;
        let now = self.clock.now();
        let role = |role: &str, file: &StoredFile, renewed_by| {
            let StoredFile { version, expires, .. } = *file;
            let state = match (renewed_by, Expiry::of(expires, now)) {
                // What lasts for days only is always near its end.
                (RenewedBy::Server, near) if near < Expiry::Expired => Expiry::Far,
                (_, state) => state,
            };
            let is_due = renewed_by == RenewedBy::Vendor && state != Expiry::Far;
            RoleStatus {
                role: role.to_owned(),
                version,
                expires,
                days_left: expires.duration_since(now).as_hours().div_euclid(24),
                state,
                renewed_by,
                command: is_due.then(|| format!("mainstay trust renew --product {name}")),
            }
        };
        let Repository { root, timestamp, snapshot, targets, channels, .. } = &product.repository;
        let mut roles = vec![
            role("root", root, RenewedBy::Vendor),
            role("targets", targets, RenewedBy::Vendor),
        ];
        for (channel, file) in channels {
            roles.push(role(channel.as_str(), file, RenewedBy::Vendor));
        }
        roles.push(role("snapshot", snapshot, RenewedBy::Server));
        roles.push(role("timestamp", timestamp, RenewedBy::Server));
        let online_keys = self.online_key_state(product).await?;
        let adopt = format!(
            "mainstay trust propose --product {name} --adopt-online-keys --out {name}-keys.json"
        );
        let online_keys_command = (online_keys != OnlineKeyState::Adopted).then_some(adopt);
        Ok(ProductStatus { product: name.clone(), roles, online_keys, online_keys_command })
    }

    async fn online_key_state(&self, product: &ProductRecord) -> ServiceResult<OnlineKeyState> {
        let root = self.file_bytes(&product.repository.root).await?;
        let Root { roles, .. } = Envelope::parse("root", &root)?.document()?;
        let newest = self.keys.public();
        let director = self.director(product).await?.map(SigningKey::public);
        let held = |role, authorised: &RoleKeys| {
            self.keys.authorised(role, &authorised.keyids).map(SigningKey::public)
        };
        let signing = [
            (held(OnlineRole::Timestamp, &roles.timestamp), newest.timestamp),
            (held(OnlineRole::Snapshot, &roles.snapshot), newest.snapshot),
            (director, newest.director),
        ];
        Ok(if signing.iter().any(|(key, _)| key.is_none()) {
            OnlineKeyState::Lost
        } else if signing.iter().all(|(key, newest)| key.as_ref() == Some(newest)) {
            OnlineKeyState::Adopted
        } else {
            OnlineKeyState::NewerWait
        })
    }

    /// Writes the warnings into the log that are due now, where they were looked for `before`. Says
    /// when that was. A product for which that fails keeps no other from it.
    pub async fn warn(&self, before: Option<Timestamp>) -> ServiceResult<Timestamp> {
        let now = self.clock.now();
        for product in self.meta.products().await? {
            match self.product_status(&product).await {
                Ok(status) => warn_of(&status, before, now),
                Err(error) => {
                    let (product, error) = (product.name.as_str(), chain(&error));
                    tracing::error!(product, error, "what expires could not be looked at");
                }
            }
        }
        Ok(now)
    }
}

fn warn_of(status: &ProductStatus, before: Option<Timestamp>, now: Timestamp) {
    let product = status.product.as_str();
    for role in status.roles.iter().filter(|role| role.renewed_by == RenewedBy::Vendor) {
        if let Some(state) = Expiry::warning(role.expires, before, now) {
            tracing::warn!(
                product,
                role = role.role,
                expires = %role.expires,
                days_left = role.days_left,
                command = role.command,
                "a role that only the vendor can renew expires: {}",
                state.as_str()
            );
        }
    }
    if status.online_keys == OnlineKeyState::Lost {
        tracing::error!(
            product,
            command = status.online_keys_command,
            "the online keys that the vendor has authorised are lost: nothing is signed for this \
             product until the vendor adopts the present ones"
        );
    }
}
