//! The way out: how a notification gets to whoever wants it.
//!
//! | module | what is there |
//! |---|---|
//! | [`address`] | which addresses the server may connect to of its own accord |
//! | [`webhook`] | sending by HTTP, as Standard Webhooks has it |
//! | [`signature`] | the secrets of endpoints, and signing with them |
//! | [`mail`] | sending by mail |
//!
//! Everything here blocks: it runs on threads of its own.

pub mod address;
pub mod mail;
pub mod signature;
pub mod webhook;

use jiff::Timestamp;

use self::{
    mail::{MailConfig, Mailer},
    signature::SigningKey,
    webhook::{WebhookConfig, Webhooks},
};
use crate::{
    policy::Outcome,
    store::{DeliveryRecord, EndpointAddress, EndpointRecord},
};

/// How notifications are sent.
#[derive(Debug)]
pub struct Outlet {
    /// What the secrets of endpoints are derived from.
    pub key: SigningKey,
    /// By HTTP.
    pub webhooks: Webhooks,
    /// By mail, where that is set up.
    pub mailer: Option<Mailer>,
}

/// What is said in the configuration of how notifications are sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutletConfig {
    /// By HTTP.
    pub webhooks: WebhookConfig,
    /// By mail, where that is set up.
    pub mail: Option<MailConfig>,
}

impl Outlet {
    /// The way out that `config` describes. Says what cannot be used of it.
    pub fn new(key: SigningKey, config: &OutletConfig) -> Result<Self, String> {
        Ok(Self {
            key,
            webhooks: Webhooks::new(&config.webhooks)?,
            mailer: config.mail.as_ref().map(Mailer::new).transpose()?,
        })
    }

    /// Tries once to send what `delivery` says to `endpoint`.
    pub fn send(
        &self,
        endpoint: &EndpointRecord,
        delivery: &DeliveryRecord,
        now: Timestamp,
    ) -> Outcome {
        match &endpoint.address {
            EndpointAddress::Url(url) => self.post(url, endpoint, delivery, now),
            EndpointAddress::Mail(mailbox) => match &self.mailer {
                Some(mailer) => mailer.send(mailbox, &delivery.message, &delivery.notification),
                None => failed("mail is not set up: expected [mail] in the configuration"),
            },
        }
    }

    fn post(
        &self,
        url: &str,
        endpoint: &EndpointRecord,
        delivery: &DeliveryRecord,
        now: Timestamp,
    ) -> Outcome {
        let body = match serde_json::to_vec(&delivery.notification) {
            Ok(body) => body,
            Err(error) => return failed(format!("the notification is no JSON: {error}")),
        };
        let secrets = match self.key.secrets(endpoint, now) {
            Ok(secrets) => secrets,
            Err(problem) => return failed(problem),
        };
        let signature = signature::sign(&secrets, &delivery.message, now, &body);
        self.webhooks.post(url, &delivery.message, now, &signature, &body)
    }
}

/// A try that failed, after which the receiver has not asked for a pause.
fn failed(why: impl Into<String>) -> Outcome {
    Outcome::Failed { retry_after: None, why: why.into() }
}
