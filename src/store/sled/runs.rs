//! Rows that stand together in one value of sled.
//!
//! sled keeps in memory where each of its pages is in the file, whether or not it is used, and a page has at most
//! 16 values. So with each value that a machine has, 1,000,000 machines take some 30 MB more. Therefore rows that
//! are many, short and seldom written stand in runs, each of rows that are next to one another.
//!
//! A row stands in the run with the greatest key that is not above its own. A run that has become too long is
//! divided, and one that has no rows is removed. What is below the first run begins one whose key is the table's
//! prefix, which is below all rows.
//!
//! A run is a value like any other (see `codec`). Its content is its rows, in the order of their keys:
//!
//! ```text
//! 4 bytes     how long the key is (big-endian)
//!             the key, with the table's prefix
//! 4 bytes     how long the JSON is (big-endian)
//!             the JSON
//! ```

#[cfg(test)]
mod tests;

use std::ops::Range;

use sled::{IVec, Tree};

use super::{
    super::{StoreError, StoreResult},
    codec::{self, corrupt},
    table::{Source, sled_error},
    transaction::Transaction,
};

/// The most rows of a run, which is read, checked and written as a whole.
const ROWS_MAX: usize = 16;
/// The most bytes of a run that has more than one row.
const BYTES_MAX: usize = 8 << 10;
const LENGTH_BYTES: usize = 4;

/// A key and the JSON under it.
type Row<'a> = (&'a [u8], &'a [u8]);
/// The same, as it is handed out.
type OwnRow = (Vec<u8>, Vec<u8>);

struct Run {
    key: IVec,
    content: Vec<u8>,
}

/// The JSON under `key`.
pub(super) fn find(source: &impl Source, key: &[u8]) -> StoreResult<Option<Vec<u8>>> {
    let Some(Run { key: run, content }) = Run::around(source, key)? else { return Ok(None) };
    let rows = parse(&run, &content)?;
    let place = rows.binary_search_by_key(&key, |(key, _)| key);
    Ok(place.ok().map(|place| rows[place].1.to_vec()))
}

/// Puts `json` under `key`, whatever is there.
pub(super) fn put(transaction: &Transaction, key: &[u8], json: &[u8]) -> StoreResult<()> {
    let Some(Run { key: run, content }) = Run::around(transaction, key)? else {
        let run = table_of(key);
        transaction.insert_new(run.into(), encode(run, &[(key, json)])?);
        return Ok(());
    };
    let mut rows = parse(&run, &content)?;
    let mut cut = rows.len().div_ceil(2);
    match rows.binary_search_by_key(&key, |(key, _)| key) {
        Ok(place) => rows[place].1 = json,
        Err(place) => {
            // Keys that rise leave full runs behind them, not halves.
            if place == rows.len() {
                cut = place;
            }
            rows.insert(place, (key, json));
        }
    }
    for (number, part) in divided(&rows, cut).into_iter().enumerate() {
        if number == 0 {
            transaction.insert(run.clone(), encode(&run, part)?);
        } else {
            let (run, _) = part[0];
            transaction.insert_new(run.into(), encode(run, part)?);
        }
    }
    Ok(())
}

/// Removes what is under `key`, if there is anything.
pub(super) fn remove(transaction: &Transaction, key: &[u8]) -> StoreResult<()> {
    let Some(Run { key: run, content }) = Run::around(transaction, key)? else { return Ok(()) };
    let mut rows = parse(&run, &content)?;
    let Ok(place) = rows.binary_search_by_key(&key, |(key, _)| key) else { return Ok(()) };
    rows.remove(place);
    if rows.is_empty() {
        transaction.remove(&run);
    } else {
        transaction.insert(run.clone(), encode(&run, &rows)?);
    }
    Ok(())
}

/// The rows with keys in a range, which lies within one table, in order. Read from its end, it begins with the last.
pub(super) fn scan(
    tree: &Tree,
    range: Range<Vec<u8>>,
) -> impl DoubleEndedIterator<Item = StoreResult<OwnRow>> + use<> {
    let around = tree.last_in(table_of(&range.start)..=&range.start);
    let first = match &around {
        Ok(Some((run, _))) => run.to_vec(),
        _ => range.start.clone(),
    };
    // What cannot be read there cannot be read here either.
    let runs = tree.range(first..range.end.clone());
    let mut before: Option<(IVec, Vec<u8>)> = None;
    runs.flat_map(move |found| {
        let rows = found.map_err(sled_error).and_then(|(run, value)| {
            let Run { key: run, content } = Run::read(run, &value)?;
            let rows = parse(&run, &content)?;
            // Where the run before was divided since it was read, this one has rows that were in it.
            let read = before.take().filter(|(before, _)| *before < run);
            before = rows.last().map(|(last, _)| (run.clone(), last.to_vec()));
            let rows = rows.into_iter().filter(|(key, _)| {
                (&range.start[..]..&range.end[..]).contains(key)
                    && read.as_ref().is_none_or(|(_, last)| *key > &last[..])
            });
            Ok(rows.map(|(key, json)| (key.to_vec(), json.to_vec())).collect::<Vec<_>>())
        });
        match rows {
            Ok(rows) => rows.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        }
    })
}

impl Run {
    /// The run in which a row with this key stands or would stand, if there is one.
    fn around(source: &impl Source, key: &[u8]) -> StoreResult<Option<Self>> {
        let Some((run, value)) = source.last_in(table_of(key)..=key)? else { return Ok(None) };
        Self::read(run, &value).map(Some)
    }

    fn read(key: IVec, value: &[u8]) -> StoreResult<Self> {
        Ok(Self { content: codec::content(&key, value)?, key })
    }
}

/// The prefix of all keys of the table that `key` is of.
fn table_of(key: &[u8]) -> &[u8] {
    key.split_inclusive(|byte| *byte == b'/').next().unwrap_or_default()
}

/// `rows` in parts that are each short enough. Where they are not as they are, `cut` rows are before the first cut.
fn divided<'r, 'a>(rows: &'r [Row<'a>], cut: usize) -> Vec<&'r [Row<'a>]> {
    let bytes: usize =
        rows.iter().map(|(key, json)| 2 * LENGTH_BYTES + key.len() + json.len()).sum();
    if rows.len() <= 1 || (rows.len() <= ROWS_MAX && bytes <= BYTES_MAX) {
        return vec![rows];
    }
    let (first, rest) = rows.split_at(cut);
    [first, rest].into_iter().flat_map(|rows| divided(rows, rows.len() / 2)).collect()
}

/// The value under `run` that has these rows.
fn encode(run: &[u8], rows: &[Row<'_>]) -> StoreResult<IVec> {
    let mut content = Vec::new();
    for bytes in rows.iter().flat_map(|(key, json)| [key, json]) {
        let length = u32::try_from(bytes.len()).map_err(|_| {
            StoreError::Conflict(format!("a row takes {} bytes: expected less", bytes.len()))
        })?;
        content.extend_from_slice(&length.to_be_bytes());
        content.extend_from_slice(bytes);
    }
    codec::encode_content(run, &content)
}

/// The rows of the run with the key `run` and this content.
fn parse<'a>(run: &[u8], mut content: &'a [u8]) -> StoreResult<Vec<Row<'a>>> {
    let mut rows = Vec::with_capacity(ROWS_MAX + 1);
    while !content.is_empty() {
        let row = take(&mut content).zip(take(&mut content));
        rows.push(row.ok_or_else(|| corrupt(run, "the run ends within a row"))?);
    }
    Ok(rows)
}

fn take<'a>(content: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = content.split_first_chunk::<LENGTH_BYTES>()?;
    let (bytes, rest) =
        rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    *content = rest;
    Some(bytes)
}
