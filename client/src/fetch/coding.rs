use std::io::{self, Read};

use super::Answer;
use crate::{error::Error, tuf::Rule};

/// As what the body of an answer may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// The bytes as they are stored, which a digest covers and of which a part can be asked for.
    AsStored,
    /// Those, or compressed by zstd: for documents.
    Zstd,
}

impl Accepted {
    /// The value of `Accept-Encoding` (RFC 9110 §12.5.3).
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AsStored => "identity",
            Self::Zstd => Coding::ZSTD,
        }
    }
}

/// As what a body comes: its content coding (RFC 9110 §8.4.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Coding {
    /// As it is stored.
    Identity,
    /// Compressed by zstd (RFC 8878).
    Zstd,
    /// Something that nobody asked for.
    Other(String),
}

impl Coding {
    /// What HTTP calls the coding by zstd.
    pub const ZSTD: &str = "zstd";

    /// The binary logarithm of the largest window, in bytes, of a body that is compressed by zstd: 8
    /// MiB, as RFC 9659 §3 has it. It is what decompressing takes of memory.
    pub const WINDOW_LOG_MAX: u32 = 23;

    /// The coding that the value of `Content-Encoding` names; none where it is empty.
    pub fn named(name: &str) -> Self {
        match name.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => Self::Identity,
            Self::ZSTD => Self::Zstd,
            other => Self::Other(other.to_owned()),
        }
    }

    /// At this level metadata, which is digests for the most part, comes out smaller than at any other
    /// below 19.
    const ZSTD_LEVEL: i32 = 1;

    /// `bytes` compressed by zstd.
    pub fn compress(bytes: &[u8]) -> io::Result<Vec<u8>> {
        zstd::bulk::compress(bytes, Self::ZSTD_LEVEL)
    }

    /// What `bytes`, which came in this coding, are: at most `bytes_max` bytes and one more, which
    /// shows that there are more.
    ///
    /// # Errors
    ///
    /// Fails where the bytes do not decompress, or only with a window above
    /// [`Coding::WINDOW_LOG_MAX`], and where nobody asked for this coding.
    pub fn decode(&self, bytes: Vec<u8>, bytes_max: u64) -> io::Result<Vec<u8>> {
        match self {
            Self::Identity => Ok(bytes),
            Self::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(bytes.as_slice())?;
                decoder.window_log_max(Self::WINDOW_LOG_MAX)?;
                let mut document = Vec::new();
                decoder.take(bytes_max.saturating_add(1)).read_to_end(&mut document)?;
                Ok(document)
            }
            Self::Other(name) => {
                let detail = format!("`{}` was not asked for: expected zstd", name.escape_debug());
                Err(io::Error::new(io::ErrorKind::InvalidData, detail))
            }
        }
    }
}

/// Reads the document in the body of `answer`. It must not be longer than `bytes_max`, neither as it
/// travels nor as it is: a few bytes can be made to decompress to any number.
pub(super) fn read_bounded(path: &str, answer: Answer, bytes_max: u64) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    answer
        .body
        .take(bytes_max.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|error| Error::network(path, error))?;
    expect_length(path, &bytes, bytes_max)?;
    let document = answer
        .coding
        .decode(bytes, bytes_max)
        .map_err(|error| Error::malformed_answer(path, format!("its coding: {error}")))?;
    expect_length(path, &document, bytes_max)?;
    Ok(document)
}

fn expect_length(path: &str, bytes: &[u8], bytes_max: u64) -> Result<(), Error> {
    if bytes.len() as u64 <= bytes_max {
        return Ok(());
    }
    let detail = format!("{path} is longer than {bytes_max} bytes");
    Err(Error::rule(Rule::Length.as_str(), detail))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::error::ErrorKind;

    fn answer(coding: Coding, body: Vec<u8>) -> Answer {
        let body = Box::new(io::Cursor::new(body));
        Answer { status: 200, range_start: None, coding, retry_after: None, body }
    }

    fn read(coding: Coding, body: Vec<u8>) -> Result<Vec<u8>, Error> {
        read_bounded("/v1/check", answer(coding, body), 1000)
    }

    fn refused(coding: Coding, body: Vec<u8>) -> (ErrorKind, String) {
        let error = read(coding, body).unwrap_err();
        (error.kind(), error.to_string())
    }

    fn zstd_of(bytes: &[u8]) -> Vec<u8> {
        Coding::compress(bytes).unwrap()
    }

    #[test]
    fn a_document_is_read_as_it_is_however_it_travels() {
        let document = [b'x'; 1000];
        for (name, body) in
            [("", document.to_vec()), ("identity", document.to_vec()), ("ZSTD", zstd_of(&document))]
        {
            assert_eq!(read(Coding::named(name), body).unwrap(), document, "{name}");
        }
    }

    #[test]
    fn no_more_is_decompressed_than_a_document_may_have() {
        let (kind, said) = refused(Coding::Zstd, zstd_of(&[b'x'; 1001]));
        assert_eq!(
            (kind, said.as_str()),
            (ErrorKind::Trust, "/v1/check is longer than 1000 bytes")
        );
        // A frame that can be skipped decompresses to nothing.
        let nothing = [0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0].repeat(200);
        assert_eq!(refused(Coding::Zstd, nothing).0, ErrorKind::Trust);
    }

    #[test]
    fn what_does_not_decompress_makes_no_sense() {
        let whole = zstd_of(b"a document");
        let beside = [whole.as_slice(), b"more"].concat();
        for body in [whole[..whole.len() - 1].to_vec(), beside, b"a document".to_vec()] {
            let (kind, said) = refused(Coding::Zstd, body);
            assert_eq!(kind, ErrorKind::Server);
            assert!(said.contains("its coding: "), "{said}");
        }
    }

    /// The window is memory that the sender makes this side take.
    #[test]
    fn a_window_is_bounded() {
        for (window_log, is_taken) in
            [(Coding::WINDOW_LOG_MAX, true), (Coding::WINDOW_LOG_MAX + 1, false)]
        {
            let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), 1).unwrap();
            encoder.window_log(window_log).unwrap();
            encoder.write_all(b"a document").unwrap();
            let body = encoder.finish().unwrap();
            assert_eq!(read(Coding::Zstd, body).is_ok(), is_taken, "{window_log}");
        }
    }

    #[test]
    fn a_coding_that_nobody_asked_for_is_refused() {
        let (kind, said) = refused(Coding::named("gzip"), b"a document".to_vec());
        assert_eq!(kind, ErrorKind::Server);
        assert!(said.contains("`gzip` was not asked for"), "{said}");
    }
}
