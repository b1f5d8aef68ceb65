//! The chain of the audit trail: linked time-stamping as Haber and Stornetta have it (1991). Each record
//! carries a digest over itself and the digest of the record before it. So whoever has noted the newest
//! digest notices later whatever was changed, taken out or put in before it.

use std::{fmt, str::FromStr};

use mainstay_client::{format::Digest, tuf::json};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::record::{AuditEntry, AuditRecord};

/// Where the chain stands: its newest record. Written `NUMBER:DIGEST`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AuditHead {
    /// The record's number; 0 where there is none yet.
    pub number: u64,
    /// The record's digest; zeros where there is none yet.
    pub digest: Digest,
}

/// What is wrong with a record as the next of the chain.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainBreak {
    /// It has no number, or no digest.
    #[error("what comes after record {after} is not a record: {problem}")]
    NotARecord {
        /// The record before it.
        after: u64,
        /// What was expected.
        problem: String,
    },
    /// Another one is expected.
    #[error("record {expected} is missing: record {found} comes in its place")]
    Number {
        /// The number that comes next.
        expected: u64,
        /// The record's number.
        found: u64,
    },
    /// Its digest is not over what it says and what came before.
    #[error("record {0} is not what was recorded, or it was not recorded after the one before it")]
    Digest(u64),
}

/// The members of a record that the chain is made of.
#[derive(Deserialize)]
struct Link {
    number: u64,
    digest: Digest,
}

impl AuditHead {
    /// Before the first record.
    pub fn start() -> Self {
        Self { number: 0, digest: [0; 32].into() }
    }

    /// The next record, which says `entry`.
    pub fn next(&self, entry: &AuditEntry) -> serde_json::Result<AuditRecord> {
        let number = self.number + 1;
        let mut record = AuditRecord { number, digest: self.digest, entry: entry.clone() };
        record.digest = self.digest_of_next(serde_json::to_value(&record)?);
        Ok(record)
    }

    /// Where the chain stands with `record`, if that is the next one. Members that this version does
    /// not know are part of a record too.
    pub fn check(&self, record: &Value) -> Result<Self, ChainBreak> {
        let after = self.number;
        let Link { number, digest } = Link::deserialize(record)
            .map_err(|error| ChainBreak::NotARecord { after, problem: error.to_string() })?;
        let expected = after.saturating_add(1);
        if number != expected {
            return Err(ChainBreak::Number { expected, found: number });
        }
        if digest != self.digest_of_next(record.clone()) {
            return Err(ChainBreak::Digest(number));
        }
        Ok(Self { number, digest })
    }

    /// SHA-256 over the canonical JSON of the record, whose `digest` is that of the record before.
    pub(super) fn digest_of_next(&self, mut record: Value) -> Digest {
        if let Some(members) = record.as_object_mut() {
            members.insert("digest".to_owned(), json!(self.digest));
        }
        Digest::of(&json::canonical(&record))
    }
}

impl AuditRecord {
    /// Where the chain stands with it.
    pub fn head(&self) -> AuditHead {
        AuditHead { number: self.number, digest: self.digest }
    }
}

impl fmt::Display for AuditHead {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.number, self.digest)
    }
}

impl FromStr for AuditHead {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once(':').and_then(|(number, digest)| {
            Some(Self { number: number.parse().ok()?, digest: digest.parse().ok()? })
        });
        parts.ok_or_else(|| {
            format!(
                "`{}` is no place in the audit trail: expected NUMBER:DIGEST, as `mainstay audit \
                 verify` says it",
                text.escape_debug()
            )
        })
    }
}

#[cfg(test)]
mod tests;
