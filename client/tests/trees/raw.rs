//! Tar as an attacker writes it: every byte of a header by hand, and nothing promised but a right
//! checksum.

/// Everything in a tar archive is a multiple of so many bytes.
pub(crate) const BLOCK_BYTES: usize = 512;

/// A header, with what follows it up to the next one.
#[derive(Clone)]
pub(crate) struct Raw {
    header: [u8; BLOCK_BYTES],
    content: Vec<u8>,
    padding: u8,
}

/// A whole number in `width` bytes, as GNU tar writes it: octal digits and a NUL.
fn octal(number: u64, width: usize) -> Vec<u8> {
    let digits = width - 1;
    format!("{number:0digits$o}\0").into_bytes()
}

impl Raw {
    /// An entry of the tar type `kind`, in the form that Mainstay writes as long as that is possible.
    pub(crate) fn new(kind: u8, name: impl AsRef<[u8]>, mode: u64, content: &[u8]) -> Self {
        Self { header: [0; BLOCK_BYTES], content: content.to_vec(), padding: 0 }
            .field(0, name)
            .field(100, octal(mode, 8))
            .field(108, octal(0, 8))
            .field(116, octal(0, 8))
            .field(124, octal(content.len() as u64, 12))
            .field(136, octal(0, 12))
            .field(156, [kind])
            .field(257, b"ustar  \0")
    }

    /// A file that holds a line.
    pub(crate) fn file(name: impl AsRef<[u8]>) -> Self {
        Self::new(b'0', name, 0o644, b"content\n")
    }

    /// A folder.
    pub(crate) fn folder(name: impl AsRef<[u8]>) -> Self {
        Self::new(b'5', name, 0o755, b"")
    }

    /// A symbolic link.
    pub(crate) fn link(name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        Self::new(b'2', name, 0o777, b"").linking_to(target)
    }

    /// A GNU record with the long name of the entry after it.
    pub(crate) fn long_name(text: impl AsRef<[u8]>) -> Self {
        Self::new(b'L', "././@LongLink", 0o644, &[text.as_ref(), b"\0"].concat())
    }

    /// A POSIX record of extended headers: of the entry after it (`x`), or of all (`g`).
    pub(crate) fn extended(kind: u8, key: &str, value: &str) -> Self {
        let rest = format!(" {key}={value}\n");
        // The length counts its own digits.
        let with_own = |length: usize| length.to_string().len() + rest.len();
        let record = format!("{}{rest}", with_own(with_own(rest.len())));
        Self::new(kind, "PaxHeaders/a", 0o644, record.as_bytes())
    }

    /// With the link's target.
    pub(crate) fn linking_to(self, target: impl AsRef<[u8]>) -> Self {
        self.field(157, target)
    }

    /// With the length in the header, whatever follows.
    pub(crate) fn sized(self, length: u64) -> Self {
        self.field(124, octal(length, 12))
    }

    /// With a time of change.
    pub(crate) fn changed_at(self, field: [u8; 12]) -> Self {
        self.field(136, field)
    }

    /// With padding of other bytes than zeros.
    pub(crate) fn padded_with(mut self, padding: u8) -> Self {
        self.padding = padding;
        self
    }

    /// With `bytes` at an offset of the header, as many of them as the header has room for.
    pub(crate) fn field(mut self, offset: usize, bytes: impl AsRef<[u8]>) -> Self {
        let end = if offset == 0 { 100 } else { BLOCK_BYTES };
        for (slot, byte) in self.header[offset..end].iter_mut().zip(bytes.as_ref()) {
            *slot = *byte;
        }
        self
    }

    /// The bytes, with a checksum that is right.
    pub(crate) fn bytes(mut self) -> Vec<u8> {
        self.header[148..156].fill(b' ');
        let sum: u64 = self.header.iter().map(|byte| u64::from(*byte)).sum();
        self.header[148..156].copy_from_slice(&octal(sum, 8));
        let mut bytes = self.header.to_vec();
        bytes.extend(&self.content);
        bytes.resize(bytes.len().next_multiple_of(BLOCK_BYTES), self.padding);
        bytes
    }
}

/// The entries one after another, without an end.
pub(crate) fn unended(entries: impl IntoIterator<Item = Raw>) -> Vec<u8> {
    entries.into_iter().flat_map(Raw::bytes).collect()
}

/// The entries one after another, and the end of an archive.
pub(crate) fn archive(entries: impl IntoIterator<Item = Raw>) -> Vec<u8> {
    let mut bytes = unended(entries);
    bytes.extend([0; 2 * BLOCK_BYTES]);
    bytes
}
