//! The addresses in the executables of a delta that is applied.

use std::ops::Range;

use super::{
    Error, Header, Limits, ReadAt,
    branches::CodePlace,
    copies::{Copy, PIECE_BYTES_MAX},
    error::Reason,
    executable::analyse,
    pair::{self, Pair},
    prediction::Prediction,
    stream::{StreamId, StreamReader},
};

/// Predicts the addresses in the copies, which are entered in their order, and corrects them as the delta
/// says.
pub(super) struct Addresses<'a> {
    old: &'a dyn ReadAt,
    copies: &'a [Copy],
    /// The pairs that have not come to their end; the first may be the current one.
    pairs: std::iter::Peekable<std::vec::IntoIter<Pair>>,
    current: Option<Prediction>,
    segments: StreamReader<'a>,
    errors: Errors<'a>,
}

impl<'a> Addresses<'a> {
    pub(super) fn open(
        old: &'a dyn ReadAt,
        delta: &'a dyn ReadAt,
        header: &Header,
        copies: &'a [Copy],
        (old_length, new_length): (usize, usize),
        limits: &Limits,
    ) -> Result<Self, Error> {
        let mut pairs = StreamReader::open(delta, header, StreamId::Executables, &[])?;
        let pairs = pair::read(&mut pairs, old_length, new_length, limits.executable_bytes_max)?;
        let segments = StreamReader::open(delta, header, StreamId::Segments, &[])?;
        let errors = Errors::open(delta, header)?;
        Ok(Self {
            old,
            copies,
            pairs: pairs.into_iter().peekable(),
            current: None,
            segments,
            errors,
        })
    }

    /// Where `copy` is in its two executables, from the beginnings of these; `None` where it is not from the
    /// one into the other.
    pub(super) fn enter(&mut self, copy: &Copy) -> Result<Option<Copy>, Error> {
        self.pass(copy.new);
        let Some((pair, within)) = self.pairs.peek().and_then(|it| Some((it, it.within(copy)?)))
        else {
            return Ok(None);
        };
        if self.current.is_none() {
            self.current = Some(prediction(self.old, self.copies, pair, &mut self.segments)?);
        }
        Ok(Some(within))
    }

    /// How many of the first bytes of `copy`, which was entered, are made at a time.
    pub(super) fn piece_bytes(&self, copy: &Copy) -> usize {
        self.current
            .as_ref()
            .map_or(copy.length.min(PIECE_BYTES_MAX), |it| it.piece_bytes(copy.old, copy.length))
    }

    /// Says of each byte of `copy`, which was entered, of which field it is.
    pub(super) fn mark(&self, copy: &Copy, marks: &mut [u8]) {
        if let Some(prediction) = &self.current {
            prediction.mark(copy, marks);
        }
    }

    /// Where in its file the piece `literals` of the new payload is, if it is in code whose branches are
    /// rewritten.
    pub(super) fn code(&mut self, literals: Range<usize>) -> Result<Option<CodePlace>, Error> {
        self.pass(literals.start);
        let Some(pair) = self.pairs.peek() else { return Ok(None) };
        let mut header = [0; Pair::HEADER_BYTES];
        let header = header.get_mut(..pair.old.len().min(Pair::HEADER_BYTES)).unwrap_or_default();
        self.old
            .read_exact_at(header, pair.old.start as u64)
            .map_err(|source| Reason::ReadOld { source })?;
        Ok(pair.code(literals, header))
    }

    /// Leaves the pairs behind that end at or before `new`.
    fn pass(&mut self, new: usize) {
        while self.pairs.next_if(|it| it.new.end <= new).is_some() {
            self.current = None;
        }
    }

    /// Makes the addresses in `bytes`, which are those of `copy` in the old executable, what they become.
    pub(super) fn rewrite(&mut self, copy: &Copy, bytes: &mut [u8]) -> Result<(), Error> {
        let Some(prediction) = &mut self.current else { return Ok(()) };
        prediction.rewrite(copy, bytes, |_, _| self.errors.next())
    }

    pub(super) fn finish(&self) -> Result<(), Error> {
        self.segments.finish()?;
        self.errors.finish()
    }
}

fn prediction(
    old: &dyn ReadAt,
    copies: &[Copy],
    pair: &Pair,
    segments: &mut StreamReader<'_>,
) -> Result<Prediction, Error> {
    let mut file = vec![0; pair.old.len()];
    old.read_exact_at(&mut file, pair.old.start as u64)
        .map_err(|source| Reason::ReadOld { source })?;
    let executable =
        analyse(&file).ok_or(Reason::Malformed { what: "an old file is no executable" })?;
    drop(file);
    let segments = pair::read_segments(segments, &executable.segments)?;
    let first = copies.partition_point(|it| it.new < pair.new.start);
    let inside = copies.iter().skip(first).take_while(|it| it.new < pair.new.end);
    Ok(Prediction::new(executable, segments, inside.filter_map(|it| pair.within(it))))
}

/// By how much addresses differ from what is predicted.
struct Errors<'a> {
    gaps: StreamReader<'a>,
    values: StreamReader<'a>,
    /// How many are as predicted before the next one that is not, if any is not.
    right: Option<u64>,
}

impl<'a> Errors<'a> {
    fn open(delta: &'a dyn ReadAt, header: &Header) -> Result<Self, Error> {
        let gaps = StreamReader::open(delta, header, StreamId::AddressGaps, &[])?;
        let values = StreamReader::open(delta, header, StreamId::AddressErrors, &[])?;
        let mut errors = Self { gaps, values, right: None };
        errors.read_gap()?;
        Ok(errors)
    }

    fn read_gap(&mut self) -> Result<(), Error> {
        self.right = if self.gaps.is_at_end() { None } else { Some(self.gaps.number()?) };
        Ok(())
    }

    fn next(&mut self) -> Result<u64, Error> {
        match self.right {
            None => Ok(0),
            Some(0) => {
                self.read_gap()?;
                Ok(super::number::unfolded(self.values.number()?).cast_unsigned())
            }
            Some(right) => {
                self.right = Some(right - 1);
                Ok(0)
            }
        }
    }

    fn finish(&self) -> Result<(), Error> {
        if self.right.is_some() {
            return Err(
                Reason::Malformed { what: "it corrects more addresses than there are" }.into()
            );
        }
        self.gaps.finish()?;
        self.values.finish()
    }
}
