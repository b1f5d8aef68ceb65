use std::io::{self, Read, Write};

use super::{Error, error::Reason};

/// How many bytes are copied at a time; larger is not faster.
pub(super) const BUFFER_BYTES: usize = 128 << 10;

/// Which side of a copy failed.
pub(super) enum CopyError {
    Read(io::Error),
    Write(io::Error),
}

/// The error where both sides are archives.
impl From<CopyError> for Error {
    fn from(error: CopyError) -> Self {
        match error {
            CopyError::Read(source) => Self::from_read(source),
            CopyError::Write(source) => Reason::Write { source }.into(),
        }
    }
}

/// Copies all of `from`, through `buffer`, and counts the bytes. Unlike [`io::copy`] it tells apart
/// which side failed, and its buffer is reused from file to file.
pub(super) fn copy(
    from: &mut dyn Read,
    to: &mut dyn Write,
    buffer: &mut [u8],
) -> Result<u64, CopyError> {
    let mut copied = 0;
    loop {
        let read = match from.read(buffer) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(CopyError::Read(error)),
        };
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else {
            return Ok(copied);
        };
        to.write_all(bytes).map_err(CopyError::Write)?;
        copied += bytes.len() as u64;
    }
}
