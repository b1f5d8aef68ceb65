//! A new payload, piece by piece, as whoever applies the delta makes it.

use super::executables::Executables;
use crate::delta::{
    branches::to_places,
    changes::Neighbours,
    copies::{Copy, PIECE_BYTES_MAX},
    pair::Pair,
    prediction::{Predicted, Prediction},
};

/// Takes in what is new.
pub(super) trait Changes {
    type Error;

    /// A piece of literals, which is at `new` of the payload.
    fn literals(
        &mut self,
        neighbours: &Neighbours<'_>,
        new: usize,
        piece: &[u8],
    ) -> Result<(), Self::Error>;

    /// A copy begins.
    fn begin_copy(&mut self) {}

    /// An address differs by `error` from what is predicted, or by nothing.
    fn address(&mut self, error: u64);

    /// A piece of a copy is `predicted`, whose fields are `marks`, and shall be `new`.
    fn copied(&mut self, predicted: &[u8], marks: &[u8], new: &[u8]) -> Result<(), Self::Error>;
}

/// Tells `changes` all that makes `new` of `old` by `copies`. The executables all have copies.
pub(super) fn walk<C: Changes>(
    old: &[u8],
    new: &[u8],
    copies: &[Copy],
    executables: &[&Executables],
    changes: &mut C,
) -> Result<(), C::Error> {
    let mut walker = Walker { old, new, executables: executables.iter().peekable() };
    let mut prediction = None;
    let mut neighbours =
        Neighbours { old: &old, old_length: old.len(), before: (0, 0), next: None };
    for copy in copies {
        neighbours.next = Some(copy);
        walker.literals(&neighbours, copy.new, changes)?;
        if walker.pass(copy.new) {
            prediction = None;
        }
        let within = walker.executables.peek().and_then(|it| Some((it, it.pair.within(copy)?)));
        let within = within.map(|(executable, within)| {
            (prediction.get_or_insert_with(|| executable.prediction(copies)), within)
        });
        walker.copy(copy, within, changes)?;
        neighbours.before = (copy.old_end(), copy.new_end());
    }
    neighbours.next = None;
    walker.literals(&neighbours, new.len(), changes)
}

struct Walker<'a> {
    old: &'a [u8],
    new: &'a [u8],
    /// Those that have not come to their end.
    executables: std::iter::Peekable<std::slice::Iter<'a, &'a Executables>>,
}

impl Walker<'_> {
    /// Leaves the executables behind that end at or before `new`, and says whether there were any.
    fn pass(&mut self, new: usize) -> bool {
        let mut has_passed = false;
        while self.executables.next_if(|it| it.pair.new.end <= new).is_some() {
            has_passed = true;
        }
        has_passed
    }

    /// The literals from the copy before up to `end`.
    fn literals<C: Changes>(
        &self,
        neighbours: &Neighbours<'_>,
        end: usize,
        changes: &mut C,
    ) -> Result<(), C::Error> {
        let (_, mut new) = neighbours.before;
        let mut executables = self.executables.clone();
        while new < end {
            let piece = new..end.min(new + PIECE_BYTES_MAX);
            while executables.next_if(|it| it.pair.new.end <= piece.start).is_some() {}
            let mut literals = self.new[piece.clone()].to_vec();
            let code = executables.peek().and_then(|it| {
                let old = &self.old[it.pair.old.clone()];
                it.pair.code(piece.clone(), &old[..old.len().min(Pair::HEADER_BYTES)])
            });
            if let Some(place) = code {
                to_places(&mut literals, place);
            }
            changes.literals(neighbours, new, &literals)?;
            new = piece.end;
        }
        Ok(())
    }

    fn copy<C: Changes>(
        &self,
        copy: &Copy,
        mut within: Option<(&mut Prediction, Copy)>,
        changes: &mut C,
    ) -> Result<(), C::Error> {
        changes.begin_copy();
        let mut done = 0;
        while done < copy.length {
            let left = copy.length - done;
            let count = within.as_ref().map_or(left.min(PIECE_BYTES_MAX), |(prediction, it)| {
                prediction.piece_bytes(it.old + done, left)
            });
            let piece = copy.part(done, count);
            let new = &self.new[piece.new..piece.new_end()];
            let mut predicted = self.old[piece.old..piece.old_end()].to_vec();
            let mut marks = vec![0; count];
            if let Some((prediction, it)) = &mut within {
                let piece = it.part(done, count);
                let error = |position: usize, predicted: &Predicted| {
                    let error = predicted.error(new, position);
                    changes.address(error);
                    Ok::<_, std::convert::Infallible>(error)
                };
                let Ok(()) = prediction.rewrite(&piece, &mut predicted, error);
                prediction.mark(&piece, &mut marks);
            }
            changes.copied(&predicted, &marks, new)?;
            done += count;
        }
        Ok(())
    }
}
