use std::io;

/// Bytes that can be read anywhere.
pub trait ReadAt {
    /// How many there are.
    fn length(&self) -> u64;

    /// Fills `buffer` with the bytes from `offset` on.
    ///
    /// # Errors
    ///
    /// Those of reading, and [`io::ErrorKind::UnexpectedEof`] where there are not so many.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
}

impl ReadAt for [u8] {
    fn length(&self) -> u64 {
        self.len() as u64
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let bytes =
            usize::try_from(offset).ok().and_then(|offset| self.get(offset..)?.get(..buffer.len()));
        buffer.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

impl<T: ReadAt + ?Sized> ReadAt for &T {
    fn length(&self) -> u64 {
        T::length(self)
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        T::read_exact_at(self, buffer, offset)
    }
}

impl ReadAt for Vec<u8> {
    fn length(&self) -> u64 {
        self.as_slice().length()
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.as_slice().read_exact_at(buffer, offset)
    }
}

/// A file whose length is that which it had when it was taken.
#[cfg(unix)]
#[derive(Debug)]
pub struct FileAt {
    file: std::fs::File,
    length: u64,
}

#[cfg(unix)]
impl FileAt {
    /// Takes `file`, which nobody shall write to from now on.
    ///
    /// # Errors
    ///
    /// Where its length cannot be told.
    pub fn new(file: std::fs::File) -> io::Result<Self> {
        let length = file.metadata()?.len();
        Ok(Self { file, length })
    }
}

#[cfg(unix)]
impl ReadAt for FileAt {
    fn length(&self) -> u64 {
        self.length
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.file, buffer, offset)
    }
}

/// A part of what can be read anywhere, read from its beginning to its end.
pub(super) struct Section<'a> {
    pub(super) bytes: &'a dyn ReadAt,
    pub(super) offset: u64,
    pub(super) left: u64,
}

impl io::Read for Section<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = usize::try_from(self.left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let Some(buffer) = buffer.get_mut(..count).filter(|it| !it.is_empty()) else {
            return Ok(0);
        };
        self.bytes.read_exact_at(buffer, self.offset)?;
        self.offset += count as u64;
        self.left -= count as u64;
        Ok(count)
    }
}
