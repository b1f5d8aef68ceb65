//! Making deltas.

mod alignment;
mod content;
mod packing;
mod suffix_array;
mod suffix_index;

use self::{alignment::Tuning, content::Content, suffix_index::SuffixIndex};
use super::{Error, Header, Limits, Profile, Progress, Watch, error::Reason, progress::tell};
use crate::{format::Digest, pack::PayloadIdentity};

/// What is tried for each pair; the smallest delta is kept. Text wants few and exact copies, executables
/// many that differ here and there.
const TUNINGS: [Tuning; 3] = [
    Tuning { gain_min: 8, difference_cost: 1 },
    Tuning { gain_min: 24, difference_cost: 3 },
    Tuning { gain_min: 32, difference_cost: 4 },
];

/// Makes the delta that turns the payload `old` into the payload `new`.
///
/// It takes about 12 bytes of memory for each byte of the old payload.
///
/// # Errors
///
/// [`TooLarge`](super::ErrorKind::TooLarge) where a payload exceeds `limits`, or the old one has 4 GiB or
/// more; [`Cancelled`](super::ErrorKind::Cancelled) where `watch` breaks.
pub fn make(
    old: &[u8],
    new: &[u8],
    profile: Profile,
    limits: &Limits,
    watch: Watch<'_>,
) -> Result<Vec<u8>, Error> {
    let (old_identity, new_identity) = (identity(old, limits)?, identity(new, limits)?);
    tell(watch, Progress::Sorting)?;
    let too_large = Reason::Limit { what: "bytes of the old payload", limit: u32::MAX.into() };
    let index = SuffixIndex::new(old).ok_or(too_large)?;
    let mut smallest: Option<Vec<(super::StreamEntry, Vec<u8>)>> = None;
    for tuning in TUNINGS {
        let mut copies = alignment::align(&index, new, tuning, watch)?;
        alignment::keep_longest(&mut copies, limits.copies_max);
        tell(watch, Progress::Compressing)?;
        let streams = Content::of(old, new, &copies).packed(watch)?;
        let length =
            |it: &[(super::StreamEntry, Vec<u8>)]| it.iter().map(|it| it.1.len()).sum::<usize>();
        if smallest.as_ref().is_none_or(|it| length(&streams) < length(it)) {
            smallest = Some(streams);
        }
    }
    let (entries, packed): (Vec<_>, Vec<_>) = smallest.unwrap_or_default().into_iter().unzip();
    let header =
        Header { profile, old: old_identity, new: new_identity, streams: entries, length: 0 };
    Ok([header.to_bytes(), packed.concat()].concat())
}

fn identity(payload: &[u8], limits: &Limits) -> Result<PayloadIdentity, Error> {
    let length = payload.len() as u64;
    if length > limits.payload_bytes_max {
        return Err(
            Reason::Limit { what: "bytes of a payload", limit: limits.payload_bytes_max }.into()
        );
    }
    Ok(PayloadIdentity { length, sha256: Digest::of(payload) })
}
