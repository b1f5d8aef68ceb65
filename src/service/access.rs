//! Tokens: who may ask for what.

use jiff::Timestamp;
use mainstay_client::format::Digest;
use serde::{Deserialize, Serialize};

use super::{Actor, ErrorClass, Service, ServiceError, ServiceResult};
use crate::{
    clock::random_hex,
    store::{MachineRecord, Role, StoreError, TokenRecord},
};

/// What every API token begins with, so that one that leaks into a file is found.
pub const TOKEN_PREFIX: &str = "mst_";
/// What every machine's token begins with.
pub const MACHINE_TOKEN_PREFIX: &str = "mmt_";
/// What every activation key begins with.
pub const ACTIVATION_KEY_PREFIX: &str = "mak_";

/// A new secret and what is stored of it.
pub(super) struct Secret {
    pub(super) text: String,
    pub(super) sha256: Digest,
}

impl Secret {
    pub(super) fn generate(prefix: &str) -> ServiceResult<Self> {
        let text = format!("{prefix}{}", random_hex::<32>()?);
        let sha256 = Digest::of(text.as_bytes());
        Ok(Self { text, sha256 })
    }

    /// A short name for the secret, which tells nothing of it.
    pub(super) fn id(&self, prefix: &str) -> String {
        format!("{prefix}{:.8}", self.sha256.to_string())
    }
}

/// `POST /v1/tokens`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateToken {
    /// What the bearer may do.
    pub role: Role,
    /// Who or what bears it.
    pub label: String,
    /// From when on it is not accepted.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
}

/// A token as it is shown once.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct IssuedToken {
    /// By what people and the audit trail name it.
    pub id: String,
    /// The secret.
    pub token: String,
    /// What the bearer may do.
    pub role: Role,
    /// From when on it is not accepted.
    pub expires_at: Option<Timestamp>,
}

impl Service {
    /// Makes a token.
    pub async fn create_token(
        &self,
        actor: &Actor,
        request: CreateToken,
    ) -> ServiceResult<IssuedToken> {
        let label = self.remark("label", &request.label)?;
        let now = self.clock.now();
        if request.expires_at.is_some_and(|expires| expires <= now) {
            return Err(ServiceError::input(format!(
                "expires_at is past: expected a time after {now}"
            )));
        }
        let secret = Secret::generate(TOKEN_PREFIX)?;
        let id = secret.id("tok-");
        let CreateToken { role, expires_at, .. } = request;
        let mut audit = self.audit(actor, "token.create", &id);
        audit.detail = format!("role {role}, {label}");
        let record = TokenRecord {
            id: id.clone(),
            sha256: secret.sha256,
            role,
            label,
            created_at: now,
            expires_at,
            revoked_at: None,
        };
        self.meta.create_token(record, audit).await?;
        Ok(IssuedToken { id, token: secret.text, role, expires_at })
    }

    /// On a store without tokens, makes the first administrator's token and hands it to `keep`
    /// before it counts, so that a crash in between leaves no token that nobody has.
    pub async fn make_first_token(
        &self,
        keep: impl FnOnce(&str) -> std::io::Result<()>,
    ) -> ServiceResult<()> {
        if !self.meta.tokens().await?.is_empty() {
            return Ok(());
        }
        let secret = Secret::generate(TOKEN_PREFIX)?;
        keep(&secret.text)?;
        let record = TokenRecord {
            id: secret.id("tok-"),
            sha256: secret.sha256,
            role: Role::Admin,
            label: "first administrator".to_owned(),
            created_at: self.clock.now(),
            expires_at: None,
            revoked_at: None,
        };
        let actor = Actor { id: "server".to_owned(), role: Role::Admin, address: None };
        let audit = self.audit(&actor, "token.create", &record.id);
        Ok(self.meta.create_token(record, audit).await?)
    }

    /// All tokens, without their secrets.
    pub async fn tokens(&self) -> ServiceResult<Vec<TokenRecord>> {
        Ok(self.meta.tokens().await?)
    }

    /// Revokes a token at once.
    pub async fn revoke_token(&self, actor: &Actor, id: &str) -> ServiceResult<()> {
        let audit = self.audit(actor, "token.revoke", id);
        Ok(self.meta.revoke_token(id, self.clock.now(), audit).await?)
    }

    /// Who bears `token`.
    pub async fn authenticate(&self, token: &str, address: Option<String>) -> ServiceResult<Actor> {
        let record = match self.meta.token(&Digest::of(token.as_bytes())).await {
            Err(StoreError::NotFound(_)) => return Err(unauthenticated("the token is not known")),
            other => other?,
        };
        if record.revoked_at.is_some() {
            return Err(unauthenticated(format!("the token {} was revoked", record.id)));
        }
        match record.expires_at {
            Some(expires) if expires <= self.clock.now() => Err(ServiceError::new(
                ErrorClass::Unauthenticated,
                "TOKEN_EXPIRED",
                format!("the token {} expired at {expires}: ask for a new one", record.id),
            )),
            _ => Ok(Actor {
                id: format!("{} ({})", record.id, record.label),
                role: record.role,
                address,
            }),
        }
    }

    /// The machine that bears `token`.
    pub async fn authenticate_machine(&self, token: &str) -> ServiceResult<MachineRecord> {
        match self.meta.machine_by_token(&Digest::of(token.as_bytes())).await {
            Err(StoreError::NotFound(_)) => {
                Err(unauthenticated("the machine's token is not known: enrol the machine again"))
            }
            other => Ok(other?),
        }
    }

    /// Records that `actor` was denied `action`.
    pub async fn record_denial(&self, actor: &Actor, action: &str) -> ServiceResult<()> {
        let mut audit = self.audit(actor, "denied", action);
        audit.detail = format!("role {} may not do this", actor.role);
        Ok(self.meta.record_audit(audit).await?)
    }

    /// A person's remark: without control characters and not too long.
    pub(super) fn remark(&self, what: &str, text: &str) -> ServiceResult<String> {
        one_line(what, text, self.limits.remark_chars_max)
    }
}

/// `text` without the white space around it, where it is one line of at most `chars_max` characters.
pub(super) fn one_line(what: &str, text: &str, chars_max: usize) -> ServiceResult<String> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > chars_max || text.chars().any(char::is_control) {
        return Err(ServiceError::input(format!(
            "{what} is not valid: expected 1 to {chars_max} characters on one line, without control \
             characters"
        )));
    }
    Ok(text.to_owned())
}

fn unauthenticated(message: impl Into<String>) -> ServiceError {
    ServiceError::new(ErrorClass::Unauthenticated, "UNAUTHENTICATED", message)
}
