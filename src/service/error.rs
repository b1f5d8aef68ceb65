use std::{fmt, time::Duration};

use mainstay_client::{
    format::{ParseError, ProductName},
    tuf::{Refusal, SignError},
};

use crate::{clock::RandomError, store::StoreError};

/// An error and what caused it, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

/// What kind of thing went wrong; decides the HTTP status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// The request is not what was expected.
    Input,
    /// Nobody known asks.
    Unauthenticated,
    /// Somebody known asks for what they may not have.
    Forbidden,
    /// There is no such thing, or it is not to be known that there is.
    NotFound,
    /// Something else has changed in the meantime.
    Conflict,
    /// Larger than is taken in.
    TooLarge,
    /// More often than is allowed.
    TooMany,
    /// The request is well formed, and its documents are refused.
    Refused,
    /// Cannot be served now.
    Unavailable,
    /// A fault of the server.
    Internal,
}

/// A use case that did not come about: a stable code, a public message, and a source that only the
/// log sees.
#[derive(Debug)]
pub struct ServiceError {
    class: ErrorClass,
    code: String,
    message: String,
    problems: Vec<String>,
    retry_after: Option<Duration>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl ServiceError {
    /// Every code that an error can have, beside those of decisions. The description of the interface
    /// lists them.
    pub const CODES: &[&str] = &[
        "ACTION_IMPOSSIBLE",
        "ACTIVATION_KEY_EXPIRED",
        "ACTIVATION_KEY_UNKNOWN",
        "ADVISORY_UNKNOWN",
        "BELOW_FLOOR",
        "BLOB_MISMATCH",
        "BLOB_TOO_LARGE",
        "BODY_TOO_LARGE",
        "BUNDLE_REFUSED",
        "BUSY",
        "CHANNEL_NOT_COVERED",
        "COLLECTION_UNASKED",
        "CONFLICT",
        "CONTRACT_REFUSED",
        "DOCUMENT_REFUSED",
        "ENDPOINT_REFUSED",
        "EXPOSURE_NOT_ACCEPTED",
        "IMPORT_REFUSED",
        "INTERNAL",
        "INVALID_REQUEST",
        "LAST_ADMIN_TOKEN",
        "MACHINE_ONLY",
        "MACHINE_RETIRED",
        "METADATA_REFUSED",
        "NOT_FOUND",
        "NO_PATH",
        "NO_SUCH_ROUTE",
        "ONLINE_KEY_LOST",
        "PRODUCT_NOT_COVERED",
        "PRODUCT_REFUSED",
        "PROOF_INVALID",
        "PUBLISHER_UNKNOWN",
        "RELEASE_REFUSED",
        "RETIREMENT_REFUSED",
        "ROLE_NOT_ALLOWED",
        "ROLLBACK_IMPOSSIBLE",
        "ROLLOUT_IMPOSSIBLE",
        "SAME_PERSON",
        "SBOM_REFUSED",
        "STAFF_ONLY",
        "STORAGE_FULL",
        "TOKEN_EXPIRED",
        "TOO_MANY_REQUESTS",
        "UNAUTHENTICATED",
        "UNAVAILABLE",
        "UPLOAD_BUSY",
        "UPLOAD_OFFSET",
        "VENDOR_ONLY",
        "WRONG_PRODUCT",
    ];

    /// The code of an error because of a full disk.
    pub(super) const STORAGE_FULL: &str = "STORAGE_FULL";

    /// An error of `class` with a stable `code` and a message for the person who asked.
    pub fn new(class: ErrorClass, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            class,
            code: code.into(),
            message: message.into(),
            problems: Vec::new(),
            retry_after: None,
            source: None,
        }
    }

    /// A request that is not what was expected.
    pub fn input(message: impl Into<String>) -> Self {
        Self::new(ErrorClass::Input, "INVALID_REQUEST", message)
    }

    /// Documents that are refused, with everything that is wrong with them.
    pub fn refused(code: &str, message: impl Into<String>, problems: Vec<String>) -> Self {
        Self { problems, ..Self::new(ErrorClass::Refused, code, message) }
    }

    /// A fault of the server, of which the person who asked learns nothing but that it is one.
    pub fn internal(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        let message = "the server could not do this; its log says why";
        Self { source: Some(source.into()), ..Self::new(ErrorClass::Internal, "INTERNAL", message) }
    }

    /// The server no longer has the key that the vendor authorised.
    pub(super) fn online_key_lost(product: &ProductName, role: &str) -> Self {
        let message = format!(
            "the server has no {role} key that the root and targets of {product} authorise: have \
             the vendor adopt its present ones (`mainstay trust propose --product {product} \
             --adopt-online-keys`, then sign and submit)"
        );
        Self::new(ErrorClass::Unavailable, "ONLINE_KEY_LOST", message)
    }

    /// The same, with how long whoever asks is to wait before it asks again.
    #[must_use]
    pub fn asked_again_after(self, wait: Duration) -> Self {
        Self { retry_after: Some(wait), ..self }
    }

    /// How long whoever asks is to wait before it asks again, where that is known.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The class.
    pub fn class(&self) -> ErrorClass {
        self.class
    }

    /// The stable code.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The public message.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Everything that is wrong with a refused document.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }
}

impl fmt::Display for ServiceError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for ServiceError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl From<StoreError> for ServiceError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound(_) => {
                Self::new(ErrorClass::NotFound, "NOT_FOUND", error.to_string())
            }
            StoreError::Conflict(message) => Self::new(ErrorClass::Conflict, "CONFLICT", message),
            StoreError::Busy(message) => Self::new(ErrorClass::Unavailable, "BUSY", message)
                .asked_again_after(Duration::from_secs(1)),
            StoreError::Unavailable(_) => Self {
                source: Some(error.into()),
                ..Self::new(
                    ErrorClass::Unavailable,
                    "UNAVAILABLE",
                    "the store is unavailable; try again later",
                )
            },
            StoreError::Corrupt(_) => Self::internal(error),
        }
    }
}

impl From<RandomError> for ServiceError {
    fn from(error: RandomError) -> Self {
        Self::internal(error)
    }
}

impl From<serde_json::Error> for ServiceError {
    fn from(error: serde_json::Error) -> Self {
        Self::internal(error)
    }
}

impl From<SignError> for ServiceError {
    fn from(error: SignError) -> Self {
        Self::internal(error)
    }
}

impl From<std::io::Error> for ServiceError {
    fn from(error: std::io::Error) -> Self {
        if error.kind() != std::io::ErrorKind::StorageFull {
            return Self::internal(error);
        }
        let message = "the server's disk is full: have room made there, then try again";
        Self {
            source: Some(error.into()),
            ..Self::new(ErrorClass::Unavailable, Self::STORAGE_FULL, message)
        }
    }
}

impl From<ParseError> for ServiceError {
    fn from(error: ParseError) -> Self {
        Self::input(error.to_string())
    }
}

impl From<Refusal> for ServiceError {
    fn from(refusal: Refusal) -> Self {
        let message = "the document does not pass the check that every client makes";
        Self::refused("DOCUMENT_REFUSED", message, vec![refusal.to_string()])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Code;

    #[test]
    fn the_manual_says_what_each_code_means() {
        let manual = include_str!("../manual/wire_formats.rs");
        for code in ServiceError::CODES {
            let is_a_decisions = Code::ALL.iter().any(|decided| decided.as_str() == *code);
            assert!(is_a_decisions || manual.contains(&format!("`{code}`")), "{code}");
        }
    }
}
