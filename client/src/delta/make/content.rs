//! What a delta holds, before it is compressed.

use super::packing::pack;
use crate::delta::{
    Error, Progress, StreamEntry, StreamId, Watch,
    copies::{Copy, CopyStreams},
    dictionary::dictionary,
    error::Reason,
    number,
    progress::tell,
};

/// The streams, and the dictionary that the literals are compressed with.
#[derive(Default)]
pub(super) struct Content {
    copies: CopyStreams,
    literals: Vec<u8>,
    difference_gaps: Vec<u8>,
    difference_bytes: Vec<u8>,
    /// Bytes of copies since the last one that differs.
    equal: u64,
    dictionary: Vec<u8>,
}

impl Content {
    /// What makes `new` of `old` by `copies`.
    pub(super) fn of(old: &[u8], new: &[u8], copies: &[Copy]) -> Self {
        let mut content = Self { copies: CopyStreams::of(copies), ..Self::default() };
        let mut end = 0;
        for copy in copies {
            content.literals.extend_from_slice(&new[end..copy.new]);
            content.compare(&old[copy.old..copy.old_end()], &new[copy.new..copy.new_end()]);
            end = copy.new_end();
        }
        content.literals.extend_from_slice(&new[end..]);
        content.dictionary = dictionary(&old, old.len(), copies).unwrap_or_default();
        content
    }

    fn compare(&mut self, original: &[u8], copy: &[u8]) {
        for (original, copy) in original.iter().zip(copy) {
            if original == copy {
                self.equal += 1;
            } else {
                number::put(&mut self.difference_gaps, self.equal);
                self.difference_bytes.push(copy.wrapping_sub(*original));
                self.equal = 0;
            }
        }
    }

    /// The streams that are not empty, each packed the smallest way, in the order of their ids.
    pub(super) fn packed(&self, watch: Watch<'_>) -> Result<Vec<(StreamEntry, Vec<u8>)>, Error> {
        let streams = [
            (StreamId::CopyGaps, &self.copies.gaps),
            (StreamId::CopyLengths, &self.copies.lengths),
            (StreamId::CopyJumps, &self.copies.jumps),
            (StreamId::Literals, &self.literals),
            (StreamId::DifferenceGaps, &self.difference_gaps),
            (StreamId::DifferenceBytes, &self.difference_bytes),
        ];
        let mut packed = Vec::new();
        for (id, stream) in streams.into_iter().filter(|(_, stream)| !stream.is_empty()) {
            tell(watch, Progress::Compressing)?;
            let dictionary: &[u8] = if id == StreamId::Literals { &self.dictionary } else { &[] };
            packed
                .push(pack(id, stream, dictionary).map_err(|source| Reason::Compress { source })?);
        }
        Ok(packed)
    }
}
