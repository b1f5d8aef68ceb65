//! How a record stands in sled: a form, a checksum, and JSON, compressed but for the shortest.
//!
//! ```text
//! byte 0      the form: 1 has JSON as it is, 2 has it compressed (see `packing`)
//! bytes 1-8   the first bytes of SHA-256(form, key, 0, what follows)
//! bytes 9-    JSON, or what became of it
//! ```
//!
//! sled has checksums of its own, but of log entries and pages. This one goes with the record and
//! covers its key, so a value that turns up in the wrong place is noticed as well.

use std::cell::RefCell;

use mainstay_client::format::Hasher;
use serde::{Serialize, de::DeserializeOwned};
use sled::IVec;

use super::{
    super::{StoreError, StoreResult},
    packing,
};

/// The most bytes of JSON that a record may have.
pub(super) const JSON_BYTES_MAX: usize = 64 << 10;
/// The most bytes of a value, in which that is compressed. How sled is opened depends on it (see `opening`).
pub(super) const VALUE_BYTES_MAX: usize = 20 << 10;

const PLAIN: u8 = 1;
const PACKED: u8 = 2;
/// From how many bytes of JSON on it is compressed: what is shorter has little to gain, and counts, which most
/// changes change, are among it.
const PACKED_BYTES_MIN: usize = 128;
const CHECKSUM_BYTES: usize = 8;
const HEAD_BYTES: usize = 1 + CHECKSUM_BYTES;

thread_local! {
    /// Where JSON and values are made before their length is known, so that they take their own room once.
    static DRAFT: RefCell<(Vec<u8>, Vec<u8>)> = const { RefCell::new((Vec::new(), Vec::new())) };
}

/// The value that stands for `record` under `key`.
pub(super) fn encode(key: &[u8], record: &impl Serialize) -> StoreResult<IVec> {
    DRAFT.with_borrow_mut(|(json, value)| {
        json.clear();
        serde_json::to_writer(&mut *json, record).map_err(|error| {
            StoreError::Conflict(format!("{} cannot be written as JSON: {error}", place(key)))
        })?;
        require_room(key, "", json.len(), JSON_BYTES_MAX)?;
        let form = if json.len() < PACKED_BYTES_MIN { PLAIN } else { PACKED };
        value.clear();
        value.push(form);
        value.extend_from_slice(&[0; CHECKSUM_BYTES]);
        if form == PACKED {
            packing::append(json, value)?;
        } else {
            value.extend_from_slice(json);
        }
        require_room(key, ", compressed", value.len(), VALUE_BYTES_MAX)?;
        let checksum = checksum(form, key, &value[HEAD_BYTES..]);
        value[1..HEAD_BYTES].copy_from_slice(&checksum);
        Ok(value.as_slice().into())
    })
}

fn require_room(key: &[u8], how: &str, bytes: usize, bytes_max: usize) -> StoreResult<()> {
    if bytes <= bytes_max {
        return Ok(());
    }
    Err(StoreError::Conflict(format!(
        "{} would take {bytes} bytes{how}: expected at most {bytes_max}; nothing was changed",
        place(key)
    )))
}

/// The record that `value` under `key` stands for.
pub(super) fn decode<V: DeserializeOwned>(key: &[u8], value: &[u8]) -> StoreResult<V> {
    let corrupt = |problem: String| StoreError::Corrupt(format!("{}: {problem}", place(key)));
    let Some((form, rest)) = value.split_first() else {
        return Err(corrupt("the value is empty".to_owned()));
    };
    if ![PLAIN, PACKED].contains(form) {
        let problem = format!("the record has form {form}: expected {PLAIN} or {PACKED}");
        return Err(corrupt(problem));
    }
    let record = match rest.split_first_chunk() {
        Some((found, rest)) if *found == checksum(*form, key, rest) => {
            if *form == PACKED {
                packing::with_unpacked(rest, |json| serde_json::from_slice(json))
                    .map_err(|error| corrupt(error.to_string()))?
            } else {
                serde_json::from_slice(rest)
            }
        }
        _ => return Err(corrupt("the checksum does not match the record".to_owned())),
    };
    record.map_err(|error| corrupt(error.to_string()))
}

fn checksum(form: u8, key: &[u8], rest: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let mut hasher = Hasher::new();
    hasher.update(&[form]);
    hasher.update(key);
    hasher.update(&[0]);
    hasher.update(rest);
    let digest = hasher.finish();
    digest.as_bytes().first_chunk().copied().unwrap_or_default()
}

/// Table and key in words.
fn place(key: &[u8]) -> String {
    let mut parts = key.splitn(2, |byte| *byte == b'/');
    let (table, key) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    format!("table `{}`, key `{}`", table.escape_ascii(), key.escape_ascii())
}
