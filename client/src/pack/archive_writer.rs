use std::io::{self, Read, Write};

use super::{
    Entry, Error, Limits, Mode, Summary, TreePath,
    admission::Admission,
    copy::{BUFFER_BYTES, copy},
    error::{ContentFound, Reason},
    header::{BLOCK_BYTES, END_MARKER, encode, padding_bytes},
};

/// Writes an archive, entry by entry in canonical order.
///
/// After an error of writing or of a file's content the archive cannot be finished.
pub struct ArchiveWriter<W> {
    output: W,
    admission: Admission,
    header: Vec<u8>,
    buffer: Vec<u8>,
    /// Whether the entry begun last was written to its end.
    is_whole: bool,
}

impl<W: Write> ArchiveWriter<W> {
    /// An archive without entries, to be written to `output`.
    pub fn new(output: W, limits: &Limits) -> Self {
        Self {
            output,
            admission: Admission::new(limits),
            header: Vec::with_capacity(BLOCK_BYTES),
            buffer: vec![0; BUFFER_BYTES],
            is_whole: true,
        }
    }

    /// Adds a directory.
    pub fn add_directory(&mut self, path: TreePath, mode: Mode) -> Result<(), Error> {
        self.add(&Entry::directory(path, mode), &mut io::empty())
    }

    /// Adds a file whose content is all of `content`, which must be `length` bytes.
    pub fn add_file(
        &mut self,
        path: TreePath,
        mode: Mode,
        length: u64,
        mut content: impl Read,
    ) -> Result<(), Error> {
        self.add(&Entry::file(path, mode, length), &mut content)
    }

    /// Adds a symbolic link to `target`, which must not leave the tree.
    pub fn add_symlink(&mut self, path: TreePath, target: &str) -> Result<(), Error> {
        let entry = Entry::symlink(path.clone(), target)
            .map_err(|source| Reason::Target { path, source })?;
        self.add(&entry, &mut io::empty())
    }

    /// Adds `entry`, whose content is all of `content`.
    pub fn add(&mut self, entry: &Entry, content: &mut dyn Read) -> Result<(), Error> {
        self.expect_whole()?;
        self.header.clear();
        encode(entry, &mut self.header);
        self.admission.admit(entry, self.header.len())?;
        self.is_whole = false;
        self.output.write_all(&self.header).map_err(|source| Reason::Write { source })?;
        self.write_content(entry, content)?;
        self.is_whole = true;
        Ok(())
    }

    fn write_content(&mut self, entry: &Entry, content: &mut dyn Read) -> Result<(), Error> {
        let expected = entry.length();
        let wrong_length = |found| {
            Error::from(Reason::ContentLength { path: entry.path().clone(), expected, found })
        };
        let copied = copy(&mut content.take(expected), &mut self.output, &mut self.buffer)?;
        if copied < expected {
            return Err(wrong_length(ContentFound::Only(copied)));
        }
        // Where content goes on, the length that stands in the header is a lie.
        if copy(&mut content.take(1), &mut io::sink(), &mut self.buffer)? > 0 {
            return Err(wrong_length(ContentFound::More));
        }
        let padding = io::repeat(0).take(padding_bytes(expected) as u64);
        io::copy(&mut { padding }, &mut self.output).map_err(|source| Reason::Write { source })?;
        Ok(())
    }

    /// Writes the archive's end and flushes; hands back the output and what the archive holds.
    pub fn finish(mut self) -> Result<(W, Summary), Error> {
        self.expect_whole()?;
        self.output
            .write_all(&END_MARKER)
            .and_then(|()| self.output.flush())
            .map_err(|source| Reason::Write { source })?;
        Ok((self.output, self.admission.summary()))
    }

    fn expect_whole(&self) -> Result<(), Error> {
        if self.is_whole { Ok(()) } else { Err(Reason::Incomplete.into()) }
    }
}
