//! Bytes on their way from one thread to another.

use std::{
    io::{self, BufRead, Read, Write},
    mem,
    sync::mpsc::{Receiver, Sender, channel},
};

/// How many pieces are on their way at the most. One more than both sides work on is enough.
const PIECES: usize = 4;
/// How many bytes a piece has at the most.
const PIECE_BYTES: usize = 256 << 10;

/// A pipe through which no more than a mebibyte is on its way at any time. Its memory is taken once and
/// goes to and fro.
pub(crate) fn pipe() -> (PipeWriter, PipeReader) {
    let (full, filled) = channel();
    let (free, freed) = channel();
    // The reader has one from the beginning.
    for _ in 1..PIECES {
        let _ = free.send(Piece::default());
    }
    let writer = PipeWriter { full, free: freed, piece: None };
    let reader =
        PipeReader { full: filled, free, piece: Piece::default(), read: 0, is_whole: false };
    (writer, reader)
}

/// Bytes that travel together.
#[derive(Default)]
struct Piece {
    memory: Vec<u8>,
    length: usize,
}

impl Piece {
    fn bytes(&self) -> &[u8] {
        self.memory.get(..self.length).unwrap_or_default()
    }

    fn room(&mut self) -> &mut [u8] {
        self.memory.get_mut(self.length..).unwrap_or_default()
    }
}

/// What the reader is told.
enum Message {
    Piece(Piece),
    Whole,
    Failed(io::Error),
}

/// The side that is written to. Writing fails once nobody reads any more.
pub(crate) struct PipeWriter {
    full: Sender<Message>,
    free: Receiver<Piece>,
    piece: Option<Piece>,
}

impl PipeWriter {
    /// Reads once from `from`, straight into the pipe. Says how many bytes that were: none at the end
    /// of `from`.
    fn read_from(&mut self, from: &mut dyn Read) -> io::Result<usize> {
        let piece = self.piece()?;
        let count = loop {
            match from.read(piece.room()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result?,
            }
        };
        piece.length += count;
        if piece.room().is_empty() {
            self.send()?;
        }
        Ok(count)
    }

    /// Passes all of `from` on, or the error with which it ends.
    pub(crate) fn pass_on(mut self, from: &mut dyn Read) {
        loop {
            match self.read_from(from) {
                Ok(0) => return self.finish(),
                Ok(_) => {}
                Err(error) => return self.fail(error),
            }
        }
    }

    /// Says that all has been written. The reader of a pipe that ends otherwise finds an error where
    /// it breaks off.
    pub(crate) fn finish(mut self) {
        if self.send().is_ok() {
            let _ = self.full.send(Message::Whole);
        }
    }

    /// Ends it with an error, which the reader finds after what has been written before.
    fn fail(mut self, error: io::Error) {
        if self.send().is_ok() {
            let _ = self.full.send(Message::Failed(error));
        }
    }

    /// The piece that is being filled, in which there is room.
    fn piece(&mut self) -> io::Result<&mut Piece> {
        let piece = match self.piece.take() {
            Some(piece) => piece,
            None => self.free.recv().map_err(|_| unread())?,
        };
        let piece = self.piece.insert(piece);
        piece.memory.resize(PIECE_BYTES, 0);
        Ok(piece)
    }

    fn send(&mut self) -> io::Result<()> {
        let Some(piece) = self.piece.take() else { return Ok(()) };
        self.full.send(Message::Piece(piece)).map_err(|_| unread())
    }
}

fn unread() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "nobody reads it any more")
}

impl Write for PipeWriter {
    fn write(&mut self, mut bytes: &[u8]) -> io::Result<usize> {
        self.read_from(&mut bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send()
    }
}

/// The side that is read from.
pub(crate) struct PipeReader {
    full: Receiver<Message>,
    free: Sender<Piece>,
    piece: Piece,
    read: usize,
    is_whole: bool,
}

impl PipeReader {
    fn rest(&self) -> &[u8] {
        self.piece.bytes().get(self.read..).unwrap_or_default()
    }

    fn next(&mut self) -> io::Result<()> {
        match self.full.recv() {
            Ok(Message::Piece(piece)) => {
                let mut used = mem::replace(&mut self.piece, piece);
                (used.length, self.read) = (0, 0);
                let _ = self.free.send(used);
                Ok(())
            }
            Ok(Message::Whole) => {
                self.is_whole = true;
                Ok(())
            }
            Ok(Message::Failed(error)) => Err(error),
            Err(_) => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it broke off")),
        }
    }
}

impl BufRead for PipeReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.rest().is_empty() && !self.is_whole {
            self.next()?;
        }
        Ok(self.rest())
    }

    fn consume(&mut self, count: usize) {
        self.read = self.piece.length.min(self.read + count);
    }
}

impl Read for PipeReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

#[cfg(test)]
mod tests;
