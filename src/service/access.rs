//! Tokens: who may ask for what.

use jiff::Timestamp;
use mainstay_client::format::{Digest, OrganisationName, schema::Instant};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Actor, ErrorClass, Scope, Service, ServiceError, ServiceResult};
use crate::{
    clock::random_hex,
    store::{MachineRecord, Role, StoreError, TokenRecord, Word},
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
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateToken {
    /// What the bearer may do.
    pub role: Role,
    /// Who or what bears it.
    pub label: String,
    /// The organisation that it is for, which is then all that the bearer acts for; nothing where it
    /// is one of the vendor's own.
    #[serde(default)]
    pub organisation: Option<OrganisationName>,
    /// From when on it is not accepted.
    #[serde(default)]
    #[schemars(with = "Option<Instant>")]
    pub expires_at: Option<Timestamp>,
}

/// A token as it is shown once.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct IssuedToken {
    /// By what people and the audit trail name it.
    pub id: String,
    /// The secret.
    pub token: String,
    /// What the bearer may do.
    pub role: Role,
    /// From when on it is not accepted.
    #[schemars(with = "Option<Instant>")]
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
        let CreateToken { role, organisation, expires_at, .. } = request;
        if organisation.is_some() && !Scope::ROLES.contains(&role) {
            return Err(ServiceError::input(format!(
                "a token of an organisation has the role {role}: expected support or viewer"
            )));
        }
        let secret = Secret::generate(TOKEN_PREFIX)?;
        let id = secret.id("tok-");
        let mut audit = self.audit(actor, "token.create", &id);
        let whose = organisation.as_ref().map(|name| format!(" of organisation {name}"));
        audit.detail = format!("role {role}{}, {label}", whose.unwrap_or_default());
        let record = TokenRecord {
            id: id.clone(),
            sha256: secret.sha256,
            role,
            label,
            organisation,
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
            organisation: None,
            created_at: self.clock.now(),
            expires_at: None,
            revoked_at: None,
        };
        let (id, scope) = ("server".to_owned(), Scope::Everything);
        let actor = Actor { id, role: Role::Admin, scope, address: None };
        let audit = self.audit(&actor, "token.create", &record.id);
        Ok(self.meta.create_token(record, audit).await?)
    }

    /// All tokens, without their secrets.
    pub async fn tokens(&self) -> ServiceResult<Vec<TokenRecord>> {
        Ok(self.meta.tokens().await?)
    }

    /// Revokes a token at once. An administrator's must leave another behind that is good for as
    /// long: without one, nobody could make tokens any more.
    pub async fn revoke_token(&self, actor: &Actor, id: &str) -> ServiceResult<()> {
        let now = self.clock.now();
        let tokens = self.meta.tokens().await?;
        let token = tokens.iter().find(|token| token.id == id);
        let provided = match token {
            Some(token) if token.role == Role::Admin && is_accepted(token, now) => {
                let others = tokens.iter().filter(|other| other.id != token.id);
                let mut heirs = others.filter(|other| is_heir(other, token, now));
                Some(heirs.next().ok_or_else(|| last_admin(token))?.id.as_str())
            }
            _ => None,
        };
        let mut audit = self.audit(actor, "token.revoke", id);
        audit.before = token.map(|token| {
            json!({
                "role": token.role,
                "label": token.label,
                "organisation": token.organisation,
                "expires_at": token.expires_at,
                "revoked_at": token.revoked_at,
            })
        });
        Ok(self.meta.revoke_token(id, provided, now, audit).await?)
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
            _ => {
                let scope = self.scope_of(&record).await?;
                let id = format!("{} ({})", record.id, record.label);
                Ok(Actor { id, role: record.role, scope, address })
            }
        }
    }

    /// Whose affairs the bearer of a token may see now.
    async fn scope_of(&self, token: &TokenRecord) -> ServiceResult<Scope> {
        Ok(match &token.organisation {
            None => Scope::Everything,
            Some(name) => Scope::Customers(self.meta.organisation(name).await?.customers),
        })
    }

    /// The machine that bears `token`.
    pub async fn authenticate_machine(&self, token: &str) -> ServiceResult<MachineRecord> {
        match self.meta.machine_by_token(&Digest::of(token.as_bytes())).await {
            Err(StoreError::NotFound(_)) => {
                Err(unauthenticated("the machine's token is not known: enrol the machine again"))
            }
            other => {
                let machine = other?;
                machine.require_enrolled()?;
                Ok(machine)
            }
        }
    }

    /// A person's remark: without control characters and not too long.
    pub(super) fn remark(&self, what: &str, text: &str) -> ServiceResult<String> {
        one_line(what, text, self.limits.remark_chars_max)
    }

    /// What the actor wants now, and why.
    pub(super) fn word(
        &self,
        actor: &Actor,
        reason: &str,
        ticket: Option<&str>,
    ) -> ServiceResult<Word> {
        Ok(Word {
            at: self.clock.now(),
            by: actor.id.clone(),
            reason: self.remark("reason", reason)?,
            ticket: ticket.map(|ticket| self.remark("ticket", ticket)).transpose()?,
        })
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

fn is_accepted(token: &TokenRecord, now: Timestamp) -> bool {
    token.revoked_at.is_none() && token.expires_at.is_none_or(|expires| now < expires)
}

/// Whether `other` is an administrator's token that is good for at least as long as `token`.
fn is_heir(other: &TokenRecord, token: &TokenRecord, now: Timestamp) -> bool {
    let lasts = other
        .expires_at
        .is_none_or(|expires| token.expires_at.is_some_and(|wanted| wanted <= expires));
    other.role == Role::Admin && is_accepted(other, now) && lasts
}

fn last_admin(token: &TokenRecord) -> ServiceError {
    let until = token.expires_at.map(|expires| format!(" --expires-at {expires}"));
    ServiceError::new(
        ErrorClass::Conflict,
        "LAST_ADMIN_TOKEN",
        format!(
            "{} is the last administrator's token that is good for as long: make another one first \
             (`mainstay token create --role admin --label …{}`), then revoke this",
            token.id,
            until.unwrap_or_default()
        ),
    )
}

fn unauthenticated(message: impl Into<String>) -> ServiceError {
    ServiceError::new(ErrorClass::Unauthenticated, "UNAUTHENTICATED", message)
}
