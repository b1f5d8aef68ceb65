//! What a delta holds, before it is compressed.

use super::{
    executables::Executables,
    packing::{PackedStream, estimate, pack},
};
use crate::delta::{
    Error, Progress, StreamId, Watch,
    copies::{Copy, CopyStreams},
    dictionary::dictionary,
    error::Reason,
    number, pair,
    prediction::{Predicted, Prediction},
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
        let mut executables = executables.into_iter().peekable();
        let mut prediction = None;
        let mut end = 0;
        for copy in copies {
            content.literals.extend_from_slice(&new[end..copy.new]);
            while executables.next_if(|it| it.pair.new.end <= copy.new).is_some() {
                prediction = None;
            }
            let within = executables.peek().and_then(|it| Some((it, it.pair.within(copy)?)));
            let after = &new[copy.new..copy.new_end()];
            if let Some((executable, within)) = within {
                let prediction = prediction.get_or_insert_with(|| executable.prediction(copies));
                let mut original = old[copy.old..copy.old_end()].to_vec();
                content.rewrite(prediction, &within, &mut original, after);
                content.compare(&original, after);
            } else {
                content.compare(&old[copy.old..copy.old_end()], after);
            }
            end = copy.new_end();
        }
        content.literals.extend_from_slice(&new[end..]);
        content
    }

    /// Makes the addresses in `original` those of the new payload, as far as that can be said.
    fn rewrite(
        &mut self,
        prediction: &mut Prediction,
        copy: &Copy,
        original: &mut [u8],
        copied: &[u8],
    ) {
        let error = |position: usize, predicted: &Predicted| {
            let error = predicted.error(copied, position);
            if error == 0 {
                self.right += 1;
            } else {
                number::put(&mut self.address_gaps, self.right);
                number::put(&mut self.address_errors, number::folded(error.cast_signed()));
                self.right = 0;
            }
            Ok::<_, std::convert::Infallible>(error)
        };
        let Ok(()) = prediction.rewrite(copy, original, error);
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
    pub(super) fn packed(&self, watch: Watch<'_>) -> Result<Vec<PackedStream>, Error> {
        self.streams()
            .map(|(id, stream, dictionary)| {
                tell(watch, Progress::Compressing)?;
                pack(id, stream, dictionary).map_err(|source| Reason::Compress { source }.into())
            })
            .collect()
    }

    /// About how many bytes the packed streams have, in far less time than it takes to pack them.
    pub(super) fn estimate(&self, watch: Watch<'_>) -> Result<u64, Error> {
        self.streams()
            .map(|(id, stream, dictionary)| {
                tell(watch, Progress::Compressing)?;
                estimate(id, stream, dictionary)
                    .map_err(|source| Reason::Compress { source }.into())
            })
            .sum()
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
