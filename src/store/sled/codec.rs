//! How a record stands in sled: a version, a checksum, and JSON.
//!
//! ```text
//! byte 0      the version of this form
//! bytes 1-8   the first bytes of SHA-256(version, key, 0, JSON)
//! bytes 9-    JSON
//! ```
//!
//! sled has checksums of its own, but of log entries and pages. This one goes with the record and
//! covers its key, so a value that turns up in the wrong place is noticed as well.

use std::cell::RefCell;

use mainstay_client::format::Hasher;
use serde::{Serialize, de::DeserializeOwned};
use sled::IVec;

use super::super::{StoreError, StoreResult};

/// The largest value, in bytes. How sled is opened depends on it (see `opening`).
pub(super) const VALUE_BYTES_MAX: usize = 64 * 1024;

const VERSION: u8 = 1;
const CHECKSUM_BYTES: usize = 8;
const HEAD_BYTES: usize = 1 + CHECKSUM_BYTES;

thread_local! {
    /// Where a value is made before its length is known, so that it takes its own room once.
    static DRAFT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// The value that stands for `record` under `key`.
pub(super) fn encode(key: &[u8], record: &impl Serialize) -> StoreResult<IVec> {
    DRAFT.with_borrow_mut(|value| {
        value.clear();
        value.push(VERSION);
        value.extend_from_slice(&[0; CHECKSUM_BYTES]);
        serde_json::to_writer(&mut *value, record).map_err(|error| {
            StoreError::Conflict(format!("{} cannot be written as JSON: {error}", place(key)))
        })?;
        let checksum = checksum(key, &value[HEAD_BYTES..]);
        value[1..HEAD_BYTES].copy_from_slice(&checksum);
        if value.len() > VALUE_BYTES_MAX {
            return Err(StoreError::Conflict(format!(
                "{} would take {} bytes: expected at most {VALUE_BYTES_MAX}; nothing was changed",
                place(key),
                value.len()
            )));
        }
        Ok(value.as_slice().into())
    })
}

/// The record that `value` under `key` stands for.
pub(super) fn decode<V: DeserializeOwned>(key: &[u8], value: &[u8]) -> StoreResult<V> {
    let corrupt = |problem: String| StoreError::Corrupt(format!("{}: {problem}", place(key)));
    let Some((version, rest)) = value.split_first() else {
        return Err(corrupt("the value is empty".to_owned()));
    };
    if *version != VERSION {
        return Err(corrupt(format!("the record has form {version}: expected {VERSION}")));
    }
    match rest.split_first_chunk() {
        Some((found, json)) if *found == checksum(key, json) => {
            serde_json::from_slice(json).map_err(|error| corrupt(error.to_string()))
        }
        _ => Err(corrupt("the checksum does not match the record".to_owned())),
    }
}

fn checksum(key: &[u8], json: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let mut hasher = Hasher::new();
    hasher.update(&[VERSION]);
    hasher.update(key);
    hasher.update(&[0]);
    hasher.update(json);
    let digest = hasher.finish();
    digest.as_bytes().first_chunk().copied().unwrap_or_default()
}

/// Table and key in words.
fn place(key: &[u8]) -> String {
    let mut parts = key.splitn(2, |byte| *byte == b'/');
    let (table, key) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    format!("table `{}`, key `{}`", table.escape_ascii(), key.escape_ascii())
}
