//! What is new in the payload of a delta that is applied: the bytes between the copies, and those in which
//! copies differ.

use super::{
    Error, Header, Profile, ReadAt,
    copies::Copy,
    error::Reason,
    mixing::{Beside, Changes as Model, Decoder, NO_BYTE},
    read_at::Section,
    stream::{StreamId, StreamReader},
};

/// What is new, in the order of the payload.
pub(super) enum Changes<'a> {
    /// In streams of their own.
    Packed(Box<Packed<'a>>),
    /// In one, which is told by what is around.
    Mixed(Box<Mixed<'a>>),
}

/// The old bytes that literals are beside.
#[derive(Clone, Copy)]
pub(super) struct Neighbours<'a> {
    pub(super) old: &'a dyn ReadAt,
    pub(super) old_length: usize,
    /// The end of the copy before, in both payloads.
    pub(super) before: (usize, usize),
    /// The copy that comes next.
    pub(super) next: Option<&'a Copy>,
}

impl Neighbours<'_> {
    /// What is beside `count` literals from `new` on.
    pub(super) fn beside(&self, new: usize, count: usize) -> std::io::Result<Beside> {
        let (old_end, new_end) = self.before;
        let behind = self.bytes(place(old_end) + place(new - new_end), count)?;
        let ahead = self.next.map_or_else(
            || Ok(vec![NO_BYTE; count]),
            |next| self.bytes(place(next.old) - place(next.new - new), count),
        )?;
        Ok(Beside { behind, ahead })
    }

    /// `count` bytes of the old payload from `start` on, and nothing where it has none.
    fn bytes(&self, start: i64, count: usize) -> std::io::Result<Vec<u16>> {
        let within = |place: i64| usize::try_from(place).unwrap_or(0).min(self.old_length);
        let (from, end) = (within(start), within(start + place(count)));
        let mut bytes = vec![0; end - from];
        self.old.read_exact_at(&mut bytes, from as u64)?;
        let mut beside = vec![NO_BYTE; count];
        let missing = usize::try_from(place(from) - start).unwrap_or(0);
        for (beside, byte) in beside.iter_mut().skip(missing).zip(bytes) {
            *beside = byte.into();
        }
        Ok(beside)
    }
}

/// A place in a payload, from which others before its beginning are counted.
const fn place(bytes: usize) -> i64 {
    (bytes as u64).cast_signed()
}

impl<'a> Changes<'a> {
    pub(super) fn open(
        delta: &'a dyn ReadAt,
        header: &Header,
        dictionary: &'a [u8],
    ) -> Result<Self, Error> {
        if header.profile == Profile::Compact {
            return Ok(Self::Mixed(Box::new(Mixed::open(delta, header, dictionary)?)));
        }
        Ok(Self::Packed(Box::new(Packed {
            literals: StreamReader::open(delta, header, StreamId::Literals, dictionary)?,
            differences: Differences::open(delta, header)?,
        })))
    }

    /// Makes a piece of literals, which are at `new` of the payload.
    pub(super) fn literals(
        &mut self,
        neighbours: Neighbours<'_>,
        new: usize,
        piece: &mut [u8],
    ) -> Result<(), Error> {
        match self {
            Self::Packed(packed) => packed.literals.read_exact(piece),
            Self::Mixed(mixed) => {
                let beside = neighbours.beside(new, piece.len());
                let beside = beside.map_err(|source| Reason::ReadOld { source })?;
                mixed.model.literals(&mut mixed.decoder, &beside, piece).map_err(failed)
            }
        }
    }

    /// A copy begins.
    pub(super) fn begin_copy(&mut self) {
        if let Self::Mixed(mixed) = self {
            mixed.model.begin_copy();
        }
    }

    /// Makes a `piece` of a copy what it is in the new payload. `mark` says of each byte of which field it is.
    pub(super) fn amend(
        &mut self,
        piece: &mut [u8],
        mark: impl FnOnce(&mut [u8]),
    ) -> Result<(), Error> {
        match self {
            Self::Packed(packed) => packed.differences.amend(piece),
            Self::Mixed(mixed) => {
                mixed.predicted.clear();
                mixed.predicted.extend_from_slice(piece);
                mixed.marks.clear();
                mixed.marks.resize(piece.len(), 0);
                mark(&mut mixed.marks);
                let Mixed { model, decoder, predicted, marks } = &mut **mixed;
                model.copy(decoder, predicted, marks, piece).map_err(failed)
            }
        }
    }

    pub(super) fn finish(&self) -> Result<(), Error> {
        match self {
            Self::Packed(packed) => {
                packed.literals.finish()?;
                packed.differences.finish()
            }
            Self::Mixed(mixed) if mixed.decoder.is_at_end() => Ok(()),
            Self::Mixed(_) => {
                Err(Reason::Malformed { what: "a stream holds more than is needed" }.into())
            }
        }
    }
}

fn failed(source: std::io::Error) -> Error {
    Reason::Decompress { id: StreamId::Changes.as_byte(), source }.into()
}

/// The streams of the profile *fast*.
pub(super) struct Packed<'a> {
    literals: StreamReader<'a>,
    differences: Differences<'a>,
}

/// The stream of the profile *compact*.
pub(super) struct Mixed<'a> {
    model: Model,
    decoder: Decoder<'a>,
    predicted: Vec<u8>,
    marks: Vec<u8>,
}

impl<'a> Mixed<'a> {
    fn open(delta: &'a dyn ReadAt, header: &Header, dictionary: &[u8]) -> Result<Self, Error> {
        let (entry, offset) = header
            .stream(StreamId::Changes)
            .ok_or(Reason::Malformed { what: "it does not say what is new" })?;
        let stream = Section { bytes: delta, offset, left: entry.packed_length };
        let decoder = Decoder::new(stream).map_err(failed)?;
        let model = Model::new(dictionary);
        Ok(Self { model, decoder, predicted: Vec::new(), marks: Vec::new() })
    }
}

/// Where the copies differ from what they are copies of.
pub(super) struct Differences<'a> {
    gaps: StreamReader<'a>,
    bytes: StreamReader<'a>,
    /// How many bytes of copies are left before the next one that differs, if any does.
    equal: Option<u64>,
}

impl<'a> Differences<'a> {
    fn open(delta: &'a dyn ReadAt, header: &Header) -> Result<Self, Error> {
        let gaps = StreamReader::open(delta, header, StreamId::DifferenceGaps, &[])?;
        let bytes = StreamReader::open(delta, header, StreamId::DifferenceBytes, &[])?;
        let mut differences = Self { gaps, bytes, equal: None };
        differences.next()?;
        Ok(differences)
    }

    fn next(&mut self) -> Result<(), Error> {
        self.equal = if self.gaps.is_at_end() { None } else { Some(self.gaps.number()?) };
        Ok(())
    }

    /// Makes the next bytes of copies what they are in the new payload.
    fn amend(&mut self, bytes: &mut [u8]) -> Result<(), Error> {
        let mut done = 0;
        while let Some(equal) = self.equal {
            let rest = bytes.get_mut(done..).unwrap_or_default();
            if equal >= rest.len() as u64 {
                self.equal = Some(equal - rest.len() as u64);
                return Ok(());
            }
            let gap = usize::try_from(equal).unwrap_or(usize::MAX);
            if let Some(byte) = rest.get_mut(gap) {
                *byte = byte.wrapping_add(self.bytes.byte()?);
            }
            done += gap + 1;
            self.next()?;
        }
        Ok(())
    }

    fn finish(&self) -> Result<(), Error> {
        if self.equal.is_some() {
            return Err(Reason::Malformed { what: "it amends more than it copies" }.into());
        }
        self.gaps.finish()?;
        self.bytes.finish()
    }
}
