//! What a delta holds, before it is compressed.

use std::convert::Infallible;

use super::{
    executables::Executables,
    packing::{PackedStream, estimate, pack},
    walk::{Changes, walk},
};
use crate::delta::{
    Error, Profile, Progress, StreamId, Watch,
    changes::Neighbours,
    copies::{Copy, CopyStreams},
    dictionary::dictionary,
    error::Reason,
    number, pair,
    progress::tell,
};

/// Mixing saves about one in so many bytes of what the faster codings take.
const MIXED_SAVES: u64 = 7;

/// The streams, and the dictionary that the literals are compressed with.
#[derive(Default)]
pub(super) struct Content {
    copies: CopyStreams,
    literals: Vec<u8>,
    difference_gaps: Vec<u8>,
    difference_bytes: Vec<u8>,
    /// Bytes of copies since the last one that differs.
    equal: u64,
    executables: Vec<u8>,
    segments: Vec<u8>,
    address_gaps: Vec<u8>,
    address_errors: Vec<u8>,
    /// Addresses since the last one that is not as predicted.
    right: u64,
    dictionary: Vec<u8>,
}

impl Content {
    /// What makes `new` of `old` by `copies`.
    pub(super) fn of(old: &[u8], new: &[u8], copies: &[Copy], executables: &[Executables]) -> Self {
        let mut content = Self { copies: CopyStreams::of(copies), ..Self::default() };
        content.dictionary = dictionary(&old, old.len(), copies).unwrap_or_default();
        let executables: Vec<_> = executables.iter().filter(|it| it.have_copies(copies)).collect();
        let mut before = None;
        for executable in &executables {
            pair::put(&mut content.executables, &executable.pair, before.replace(&executable.pair));
            pair::put_segments(
                &mut content.segments,
                &executable.new.segments,
                &executable.old.segments,
            );
        }
        let Ok(()) = walk(old, new, copies, &executables, &mut content);
        content
    }

    /// The streams that are not empty, each packed the smallest way, in the order of their ids.
    pub(super) fn packed(&self, watch: Watch<'_>) -> Result<Vec<PackedStream>, Error> {
        self.streams().map(|stream| packed(stream, watch)).collect()
    }

    /// The same of those that the profile *compact* has as the profile *fast* has them.
    pub(super) fn packed_without_changes(
        &self,
        watch: Watch<'_>,
    ) -> Result<Vec<PackedStream>, Error> {
        let others = self.streams().filter(|(id, ..)| !is_change(*id));
        others.map(|stream| packed(stream, watch)).collect()
    }

    /// About how many bytes the packed streams have, in far less time than it takes to pack them.
    pub(super) fn estimate(&self, profile: Profile, watch: Watch<'_>) -> Result<u64, Error> {
        self.streams()
            .map(|(id, stream, dictionary)| {
                tell(watch, Progress::Compressing)?;
                let bytes = estimate(id, stream, dictionary)
                    .map_err(|source| Error::from(Reason::Compress { source }))?;
                let is_mixed = profile == Profile::Compact && is_change(id);
                Ok(if is_mixed { bytes - bytes / MIXED_SAVES } else { bytes })
            })
            .sum()
    }

    pub(super) fn dictionary(&self) -> &[u8] {
        &self.dictionary
    }

    /// Each stream that is not empty, and its dictionary.
    fn streams(&self) -> impl Iterator<Item = (StreamId, &[u8], &[u8])> {
        let streams = [
            (StreamId::CopyGaps, &self.copies.gaps),
            (StreamId::CopyLengths, &self.copies.lengths),
            (StreamId::CopyJumps, &self.copies.jumps),
            (StreamId::Literals, &self.literals),
            (StreamId::DifferenceGaps, &self.difference_gaps),
            (StreamId::DifferenceBytes, &self.difference_bytes),
            (StreamId::Executables, &self.executables),
            (StreamId::Segments, &self.segments),
            (StreamId::AddressGaps, &self.address_gaps),
            (StreamId::AddressErrors, &self.address_errors),
        ];
        let filled = streams.into_iter().filter(|(_, stream)| !stream.is_empty());
        filled.map(|(id, stream)| {
            let has_dictionary = id == StreamId::Literals;
            (id, stream.as_slice(), if has_dictionary { self.dictionary.as_slice() } else { &[] })
        })
    }
}

impl Changes for Content {
    type Error = Infallible;

    fn literals(&mut self, _: &Neighbours<'_>, _: usize, piece: &[u8]) -> Result<(), Infallible> {
        self.literals.extend_from_slice(piece);
        Ok(())
    }

    fn address(&mut self, error: u64) {
        if error == 0 {
            self.right += 1;
        } else {
            number::put(&mut self.address_gaps, self.right);
            number::put(&mut self.address_errors, number::folded(error.cast_signed()));
            self.right = 0;
        }
    }

    fn copied(&mut self, predicted: &[u8], _: &[u8], new: &[u8]) -> Result<(), Infallible> {
        for (predicted, new) in predicted.iter().zip(new) {
            if predicted == new {
                self.equal += 1;
            } else {
                number::put(&mut self.difference_gaps, self.equal);
                self.difference_bytes.push(new.wrapping_sub(*predicted));
                self.equal = 0;
            }
        }
        Ok(())
    }
}

const fn is_change(id: StreamId) -> bool {
    matches!(id, StreamId::Literals | StreamId::DifferenceGaps | StreamId::DifferenceBytes)
}

fn packed(
    (id, stream, dictionary): (StreamId, &[u8], &[u8]),
    watch: Watch<'_>,
) -> Result<PackedStream, Error> {
    tell(watch, Progress::Compressing)?;
    pack(id, stream, dictionary).map_err(|source| Reason::Compress { source }.into())
}
