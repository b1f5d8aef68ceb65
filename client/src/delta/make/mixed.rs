//! The changes as the profile *compact* has them.

use std::io;

use super::{
    executables::Executables,
    packing::PackedStream,
    walk::{self, walk},
};
use crate::delta::{
    Coding, Error, Progress, StreamEntry, StreamId, Watch,
    changes::Neighbours,
    copies::Copy,
    error::Reason,
    mixing::{Changes as Model, Encoder},
    progress::tell,
};

struct Mixed<'a> {
    model: Model,
    encoder: Encoder,
    /// The piece at hand.
    piece: Vec<u8>,
    watch: Watch<'a>,
}

/// The stream of what is new in `new`, which is made of `old` by `copies`.
pub(super) fn changes(
    old: &[u8],
    new: &[u8],
    (copies, dictionary): (&[Copy], &[u8]),
    executables: &[Executables],
    watch: Watch<'_>,
) -> Result<PackedStream, Error> {
    let executables: Vec<_> = executables.iter().filter(|it| it.have_copies(copies)).collect();
    let (model, encoder) = (Model::new(dictionary), Encoder::new());
    let mut mixed = Mixed { model, encoder, piece: Vec::new(), watch };
    walk(old, new, copies, &executables, &mut mixed)?;
    let bytes = mixed.encoder.finish();
    let length = bytes.len() as u64;
    let (id, coding) = (StreamId::Changes, Coding::Mixed);
    Ok(PackedStream { entry: StreamEntry { id, coding, length, packed_length: length }, bytes })
}

impl walk::Changes for Mixed<'_> {
    type Error = Error;

    fn literals(
        &mut self,
        neighbours: &Neighbours<'_>,
        new: usize,
        piece: &[u8],
    ) -> Result<(), Error> {
        tell(self.watch, Progress::Compressing)?;
        let beside = neighbours.beside(new, piece.len()).map_err(failed)?;
        self.piece.clear();
        self.piece.extend_from_slice(piece);
        self.model.literals(&mut self.encoder, &beside, &mut self.piece).map_err(failed)
    }

    fn begin_copy(&mut self) {
        self.model.begin_copy();
    }

    fn address(&mut self, _: u64) {}

    fn copied(&mut self, predicted: &[u8], marks: &[u8], new: &[u8]) -> Result<(), Error> {
        self.piece.clear();
        self.piece.extend_from_slice(new);
        self.model.copy(&mut self.encoder, predicted, marks, &mut self.piece).map_err(failed)
    }
}

fn failed(source: io::Error) -> Error {
    Reason::Compress { source }.into()
}
