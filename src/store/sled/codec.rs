//! How a value stands in sled: a form, a checksum, and its content, compressed but for the shortest. The content
//! is a record's JSON, or a run of rows (see `runs`).
//!
//! ```text
//! byte 0      the form: 1 has the content as it is, 2 has it compressed (see `packing`)
//! bytes 1-8   the first bytes of SHA-256(form, key, 0, what follows)
//! bytes 9-    the content, or what became of it
//! ```
//!
//! sled has checksums of its own, but of log entries and pages. This one goes with the record and
//! covers its key, so a value that turns up in the wrong place is noticed as well.

use std::{cell::RefCell, convert::Infallible, fmt::Display};

use mainstay_client::format::Hasher;
use serde::{Serialize, de::DeserializeOwned};
use sled::IVec;

use super::{
    super::{StoreError, StoreResult},
    packing,
};

/// The most bytes that a record may have as JSON, and the content of any value.
pub(super) const CONTENT_BYTES_MAX: usize = 64 << 10;
/// The most bytes of a value, in which that is compressed. How sled is opened depends on it (see `opening`).
pub(super) const VALUE_BYTES_MAX: usize = 20 << 10;

const PLAIN: u8 = 1;
const PACKED: u8 = 2;
/// From how many bytes of content on it is compressed: what is shorter has little to gain, and counts, which most
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
        write_json(key, record, json)?;
        seal(key, json, value)
    })
}

/// The JSON that stands for `record` under `key` where it has no value of its own.
pub(super) fn to_json(key: &[u8], record: &impl Serialize) -> StoreResult<IVec> {
    DRAFT.with_borrow_mut(|(json, _)| {
        write_json(key, record, json)?;
        require_room(key, "", json.len(), CONTENT_BYTES_MAX)?;
        Ok(json.as_slice().into())
    })
}

fn write_json(key: &[u8], record: &impl Serialize, json: &mut Vec<u8>) -> StoreResult<()> {
    json.clear();
    serde_json::to_writer(json, record).map_err(|error| {
        StoreError::Conflict(format!("{} cannot be written as JSON: {error}", place(key)))
    })
}

/// The value that stands for `content` under `key`.
pub(super) fn encode_content(key: &[u8], content: &[u8]) -> StoreResult<IVec> {
    DRAFT.with_borrow_mut(|(_, value)| seal(key, content, value))
}

fn seal(key: &[u8], content: &[u8], value: &mut Vec<u8>) -> StoreResult<IVec> {
    require_room(key, "", content.len(), CONTENT_BYTES_MAX)?;
    let form = if content.len() < PACKED_BYTES_MIN { PLAIN } else { PACKED };
    value.clear();
    value.push(form);
    value.extend_from_slice(&[0; CHECKSUM_BYTES]);
    if form == PACKED {
        packing::append(content, value)?;
    } else {
        value.extend_from_slice(content);
    }
    require_room(key, ", compressed", value.len(), VALUE_BYTES_MAX)?;
    let checksum = checksum(form, key, &value[HEAD_BYTES..]);
    value[1..HEAD_BYTES].copy_from_slice(&checksum);
    Ok(value.as_slice().into())
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
    with_content(key, value, |json| serde_json::from_slice(json))
}

/// The record that `json` stands for, of a row under `key`.
pub(super) fn parse<V: DeserializeOwned>(key: &[u8], json: &[u8]) -> StoreResult<V> {
    serde_json::from_slice(json).map_err(|error| corrupt(key, error))
}

/// The content that `value` under `key` stands for.
pub(super) fn content(key: &[u8], value: &[u8]) -> StoreResult<Vec<u8>> {
    with_content(key, value, |content| Ok::<_, Infallible>(content.to_vec()))
}

/// What `read` makes of it.
fn with_content<T, E: Display>(
    key: &[u8],
    value: &[u8],
    read: impl FnOnce(&[u8]) -> Result<T, E>,
) -> StoreResult<T> {
    let Some((form, rest)) = value.split_first() else {
        return Err(corrupt(key, "the value is empty"));
    };
    if ![PLAIN, PACKED].contains(form) {
        let problem = format!("the record has form {form}: expected {PLAIN} or {PACKED}");
        return Err(corrupt(key, problem));
    }
    let read = match rest.split_first_chunk() {
        Some((found, rest)) if *found == checksum(*form, key, rest) => {
            if *form == PACKED {
                packing::with_unpacked(rest, read).map_err(|error| corrupt(key, error))?
            } else {
                read(rest)
            }
        }
        _ => return Err(corrupt(key, "the checksum does not match the record")),
    };
    read.map_err(|error| corrupt(key, error))
}

/// What is under `key` is not what was written there.
pub(super) fn corrupt(key: &[u8], problem: impl Display) -> StoreError {
    StoreError::Corrupt(format!("{}: {problem}", place(key)))
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
