//! Making deltas.

mod alignment;
mod compressed;
mod content;
mod executables;
mod member;
mod mixed;
mod opening;
mod packing;
mod suffix_array;
mod suffix_index;
mod walk;

use self::{
    alignment::Tuning,
    content::Content,
    executables::{Executables, divided, executables, with_names},
    opening::Payloads,
    packing::{PackedStream, pack},
    suffix_index::SuffixIndex,
};
use super::{
    Error, Header, Limits, Profile, Progress, StreamId, Watch, copies::Copy, error::Reason,
    progress::tell,
};
use crate::{format::Digest, pack::PayloadIdentity};

/// What is tried for each pair; the smallest delta is kept. Text wants few and exact copies, executables
/// many that differ here and there.
const TUNINGS: [Tuning; 4] = [
    Tuning { gain_min: 8, difference_cost: 1 },
    Tuning { gain_min: 16, difference_cost: 2 },
    Tuning { gain_min: 32, difference_cost: 4 },
    Tuning { gain_min: 48, difference_cost: 4 },
];

/// Makes the delta that turns the payload `old` into the payload `new`.
///
/// It takes about 18 bytes of memory for each byte of the old payload, and of what is opened in it.
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
    let Payloads { old, new, openings } = opening::open(old, new, limits, watch)?;
    let executables = executables(&old, &new, limits);
    let (old, new) = (&*old.bytes, &*new.bytes);
    let given = Given { old, new, executables: &executables, profile, limits };
    let mut streams = if executables.is_empty() {
        smallest(&given, [old, new], watch)?
    } else {
        let [old_named, new_named] = with_names(old, new, &executables, watch)?;
        smallest(&given, [&old_named, &new_named], watch)?
    };
    if !openings.new.is_empty() {
        let packed = pack(StreamId::Deflated, &openings.to_bytes(), &[]);
        streams.push(packed.map_err(|source| Reason::Compress { source })?);
    }
    let (entries, packed): (Vec<_>, Vec<_>) =
        streams.into_iter().map(|it| (it.entry, it.bytes)).unzip();
    let (version, old, new) = (openings.version(), old_identity, new_identity);
    let header = Header { profile, version, old, new, streams: entries, length: 0 };
    Ok([header.to_bytes(), packed.concat()].concat())
}

/// What a delta is made of, and how.
struct Given<'a> {
    old: &'a [u8],
    new: &'a [u8],
    executables: &'a [Executables],
    profile: Profile,
    limits: &'a Limits,
}

/// The streams of the smallest delta, where what is alike is looked for in the payloads `alike`.
fn smallest(
    given: &Given<'_>,
    [old_alike, new_alike]: [&[u8]; 2],
    watch: Watch<'_>,
) -> Result<Vec<PackedStream>, Error> {
    let Given { old, new, executables, profile, limits } = *given;
    let index = sorted(old_alike, watch)?;
    let mut smallest: Option<(u64, Content, Vec<Copy>)> = None;
    for tuning in TUNINGS {
        let copies = alignment::align(&index, new_alike, tuning, watch)?;
        let mut copies = divided(&copies, executables);
        alignment::keep_longest(&mut copies, limits.copies_max);
        let content = Content::of(old, new, &copies, executables);
        let estimate = content.estimate(profile, watch)?;
        if smallest.as_ref().is_none_or(|(smallest, ..)| estimate < *smallest) {
            smallest = Some((estimate, content, copies));
        }
    }
    drop(index);
    let Some((_, content, copies)) = smallest else { return Ok(Vec::new()) };
    match profile {
        Profile::Fast => content.packed(watch),
        Profile::Compact => {
            let mut streams = content.packed_without_changes(watch)?;
            let with = (copies.as_slice(), content.dictionary());
            streams.push(mixed::changes(old, new, with, executables, watch)?);
            Ok(streams)
        }
    }
}

/// The suffixes of `old` in their order.
fn sorted<'a>(old: &'a [u8], watch: Watch<'_>) -> Result<SuffixIndex<'a>, Error> {
    tell(watch, Progress::Sorting)?;
    let too_large = Reason::Limit { what: "bytes of the old payload", limit: u32::MAX.into() };
    SuffixIndex::new(old).ok_or(too_large.into())
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
