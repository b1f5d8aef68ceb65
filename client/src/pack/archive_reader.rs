use std::io::{self, Read};

use tar::{EntryType, Header};

use super::{
    Entry, Error, Limits, Mode, Summary, TreePath,
    admission::{Admission, expect_at_most},
    copy::BUFFER_BYTES,
    error::Reason,
    header::{BLOCK_BYTES, differing_field, encode, padding_bytes},
};

/// Reads an archive to its end and hands each entry, with its content, to `visit`.
///
/// What is not the one canonical encoding of a tree is refused, at the entry where it departs from
/// it. Entries before that have been visited by then, so a caller that unpacks as it reads must
/// treat what it unpacked as worthless until this function has returned. Content that `visit`
/// leaves unread is skipped. An error of reading the content is best passed on as it is.
///
/// Memory is bounded by the longest path, whatever the archive claims.
pub fn read_archive<R: Read, E: From<Error>>(
    reader: R,
    limits: &Limits,
    mut visit: impl FnMut(Entry, &mut dyn Read) -> Result<(), E>,
) -> Result<Summary, E> {
    let mut blocks = Blocks { input: reader, position: 0 };
    let mut admission = Admission::new(limits);
    let mut scratch = vec![0; BUFFER_BYTES];
    while let Some(raw) = RawEntry::read(&mut blocks, &admission)? {
        let entry = raw.parse()?;
        raw.expect_canonical(&entry)?;
        admission.admit(&entry, raw.bytes.len())?;
        let (path, length) = (entry.path().clone(), entry.length());
        let mut content = Content { blocks: &mut blocks, remaining: length };
        visit(entry, &mut content)?;
        content.skip(&mut scratch)?;
        blocks.expect_padding(&path, length)?;
    }
    blocks.expect_end()?;
    Ok(admission.summary())
}

/// The archive as blocks.
struct Blocks<R> {
    input: R,
    /// How many bytes were read.
    position: u64,
}

impl<R: Read> Blocks<R> {
    /// Reads until `buffer` is full or the input ends, and says how much that was.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        let mut filled = 0;
        while let Some(free) = buffer.get_mut(filled..).filter(|free| !free.is_empty()) {
            match self.input.read(free) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::from_read(error)),
            }
        }
        self.position += filled as u64;
        Ok(filled)
    }

    fn block(&mut self, what: &'static str) -> Result<[u8; BLOCK_BYTES], Error> {
        let mut block = [0; BLOCK_BYTES];
        if self.fill(&mut block)? == BLOCK_BYTES {
            Ok(block)
        } else {
            Err(Reason::Truncated { position: self.position, what }.into())
        }
    }

    fn expect_padding(&mut self, path: &TreePath, length: u64) -> Result<(), Error> {
        let mut block = [0; BLOCK_BYTES];
        let padding = block.get_mut(..padding_bytes(length)).unwrap_or_default();
        if self.fill(padding)? < padding.len() {
            return Err(Reason::Truncated { position: self.position, what: "padding" }.into());
        }
        if padding.iter().any(|byte| *byte != 0) {
            return Err(Reason::Padding { path: path.clone() }.into());
        }
        Ok(())
    }

    /// Expects, after the first block of zeros, the second and then nothing.
    fn expect_end(&mut self) -> Result<(), Error> {
        if self.block("its end marker")? != [0; BLOCK_BYTES] {
            return Err(Reason::EndMarker { position: self.position }.into());
        }
        let end = self.position;
        if self.fill(&mut [0])? > 0 {
            return Err(Reason::Trailing { position: end }.into());
        }
        Ok(())
    }
}

/// The bytes of an entry's header and of the long-name records before it, not judged yet.
struct RawEntry {
    position: u64,
    bytes: Vec<u8>,
    header: Header,
    long_path: Option<Vec<u8>>,
    long_target: Option<Vec<u8>>,
}

impl RawEntry {
    /// Reads up to the next entry's content; nothing where a block of zeros stands instead.
    fn read<R: Read>(blocks: &mut Blocks<R>, admission: &Admission) -> Result<Option<Self>, Error> {
        let mut bytes = Vec::with_capacity(BLOCK_BYTES);
        let (mut long_path, mut long_target) = (None, None);
        loop {
            let position = blocks.position;
            let block = blocks.block("a header")?;
            if block == [0; BLOCK_BYTES] && bytes.is_empty() {
                return Ok(None);
            }
            let header = Header::from_byte_slice(&block).clone();
            expect_checksum(&header, position)?;
            bytes.extend_from_slice(&block);
            let long = match header.entry_type() {
                EntryType::GNULongName => &mut long_path,
                EntryType::GNULongLink => &mut long_target,
                _ => return Ok(Some(Self { position, bytes, header, long_path, long_target })),
            };
            // A second record of a kind would let an archive send records without end.
            if long.is_some() {
                return Err(Reason::LongName { position }.into());
            }
            *long = Some(read_long(blocks, admission, &header, &mut bytes)?);
        }
    }

    fn parse(&self) -> Result<Entry, Error> {
        let old = self.header.as_old();
        let path_bytes = self.long_path.as_deref().unwrap_or_else(|| before_nul(&old.name));
        let path = self.text(path_bytes)?;
        let entry_type = self.header.entry_type();
        let known =
            matches!(entry_type, EntryType::Directory | EntryType::Regular | EntryType::Symlink);
        if !known {
            let path = path.escape_debug().to_string();
            return Err(Reason::EntryType { path, found: entry_type.as_byte().into() }.into());
        }
        let path = path
            .parse::<TreePath>()
            .map_err(|source| Reason::Path { position: self.position, source })?;
        let malformed = |field| Reason::NotCanonical { path: path.clone(), field };
        let bits = self.header.mode().map_err(|_| malformed("the mode"))?;
        let mode =
            Mode::new(bits).ok_or_else(|| Reason::ModeBits { path: path.clone(), found: bits })?;
        match entry_type {
            EntryType::Directory => Ok(Entry::directory(path, mode)),
            EntryType::Symlink => {
                let target =
                    self.long_target.as_deref().unwrap_or_else(|| before_nul(&old.linkname));
                let target = self.text(target)?;
                Entry::symlink(path.clone(), target)
                    .map_err(|source| Reason::Target { path, source }.into())
            }
            _ => {
                let length = self.header.entry_size().map_err(|_| malformed("the length"))?;
                Ok(Entry::file(path, mode, length))
            }
        }
    }

    fn text<'a>(&self, bytes: &'a [u8]) -> Result<&'a str, Error> {
        str::from_utf8(bytes).map_err(|_| {
            let found = bytes.escape_ascii().take(80).map(char::from).collect();
            Reason::NotUtf8 { position: self.position, found }.into()
        })
    }

    /// Refuses all that has no place in the canonical form, by encoding `entry` and comparing.
    fn expect_canonical(&self, entry: &Entry) -> Result<(), Error> {
        let mut expected = Vec::with_capacity(self.bytes.len());
        encode(entry, &mut expected);
        if expected == self.bytes {
            return Ok(());
        }
        let field = differing_field(&self.bytes, &expected);
        Err(Reason::NotCanonical { path: entry.path().clone(), field }.into())
    }
}

fn expect_checksum(header: &Header, position: u64) -> Result<(), Error> {
    let mut expected = header.clone();
    expected.set_cksum();
    let found = header.cksum().ok();
    if found.is_some() && found == expected.cksum().ok() {
        Ok(())
    } else {
        Err(Reason::Checksum { position }.into())
    }
}

/// Reads what a long-name record holds, up to the NUL that ends it, and appends its blocks to
/// `bytes`.
fn read_long<R: Read>(
    blocks: &mut Blocks<R>,
    admission: &Admission,
    header: &Header,
    bytes: &mut Vec<u8>,
) -> Result<Vec<u8>, Error> {
    let malformed = || Error::from(Reason::LongName { position: blocks.position });
    let length = header.entry_size().map_err(|_| malformed())?;
    expect_at_most(
        "bytes in a long-name record of the archive",
        length,
        admission.long_name_bytes_max(),
    )?;
    let mut text = Vec::new();
    for _ in 0..length.div_ceil(BLOCK_BYTES as u64) {
        text.extend_from_slice(&blocks.block("a long-name record")?);
    }
    bytes.extend_from_slice(&text);
    let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
    text.truncate(end);
    Ok(text)
}

fn before_nul(field: &[u8]) -> &[u8] {
    field.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// The content of one entry.
struct Content<'a, R> {
    blocks: &'a mut Blocks<R>,
    remaining: u64,
}

impl<R: Read> Content<'_, R> {
    fn skip(&mut self, scratch: &mut [u8]) -> Result<(), Error> {
        while self.remaining > 0 {
            match self.read(scratch) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                    return Err(Error::from_read(error));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

impl<R: Read> Read for Content<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.remaining == 0 || buffer.is_empty() {
            return Ok(0);
        }
        let read = match (&mut self.blocks.input).take(self.remaining).read(buffer) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                return Err(Error::from_read(error).into());
            }
            result => result?,
        };
        if read == 0 {
            let position = self.blocks.position;
            return Err(Error::from(Reason::Truncated { position, what: "a file" }).into());
        }
        self.blocks.position += read as u64;
        self.remaining -= read as u64;
        Ok(read)
    }
}
