use std::ops::Range;

pub(super) const X86_64: u16 = 62;
pub(super) const AARCH64: u16 = 183;
pub(super) const FIXED: u16 = 2;
pub(super) const RELOCATED: u16 = 3;

pub(super) const READ: u32 = 4;
pub(super) const EXECUTE: u32 = 5;
pub(super) const WRITE: u32 = 6;

const HEADER_BYTES: usize = 64;
const PROGRAM_HEADER_BYTES: usize = 56;
const SECTION_HEADER_BYTES: usize = 64;

/// An ELF file as a linker would make it, but small.
#[derive(Default)]
pub(super) struct Image {
    machine: u16,
    kind: u16,
    loaded: Vec<(u32, u64, Vec<u8>)>,
    others: Vec<(u32, u64, usize)>,
    sections: Vec<(u32, Vec<u8>)>,
}

impl Image {
    pub(super) fn new(machine: u16, kind: u16) -> Self {
        Self { machine, kind, ..Self::default() }
    }

    /// With `content` in memory at `address`.
    pub(super) fn load(mut self, flags: u32, address: u64, content: &[u8]) -> Self {
        self.loaded.push((flags, address, content.to_vec()));
        self
    }

    /// With a segment of `kind` for what of the content is at `addresses`.
    pub(super) fn segment(mut self, kind: u32, addresses: Range<u64>) -> Self {
        self.others.push((kind, addresses.start, (addresses.end - addresses.start) as usize));
        self
    }

    /// With a section of `kind` that is not in memory.
    pub(super) fn section(mut self, kind: u32, content: &[u8]) -> Self {
        self.sections.push((kind, content.to_vec()));
        self
    }

    /// Where in the file what is at `address` will be.
    pub(super) fn offset_of(&self, address: u64) -> usize {
        let mut offset = self.content_offset();
        for (_, start, content) in &self.loaded {
            if (*start..start + content.len() as u64).contains(&address) {
                return offset + (address - start) as usize;
            }
            offset += content.len().next_multiple_of(16);
        }
        panic!("nothing is at {address:#x}");
    }

    /// Where in the file the first section is, and then the others one after the other.
    pub(super) fn sections_offset(&self) -> usize {
        let loaded = self.loaded.iter().map(|(_, _, content)| content.len().next_multiple_of(16));
        self.content_offset() + loaded.sum::<usize>()
    }

    fn content_offset(&self) -> usize {
        let headers = self.loaded.len() + self.others.len();
        (HEADER_BYTES + headers * PROGRAM_HEADER_BYTES).next_multiple_of(16)
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut file = b"\x7fELF\x02\x01\x01".to_vec();
        file.resize(16, 0);
        file.extend([self.kind.to_le_bytes(), self.machine.to_le_bytes()].concat());
        file.extend(1_u32.to_le_bytes());
        let sections: usize = self.sections.iter().map(|(_, content)| content.len()).sum();
        let section_headers = self.sections_offset() + sections;
        file.extend(words(&[0, HEADER_BYTES as u64, section_headers as u64]));
        file.extend([0, 0, 0, 0, 64, 0, PROGRAM_HEADER_BYTES as u8, 0]);
        file.extend([(self.loaded.len() + self.others.len()) as u8, 0]);
        file.extend([SECTION_HEADER_BYTES as u8, 0, self.sections.len() as u8, 0, 0, 0]);
        let loaded = self
            .loaded
            .iter()
            .map(|(flags, address, content)| (1, *flags, *address, content.len()));
        let others =
            self.others.iter().map(|(kind, address, length)| (*kind, 4, *address, *length));
        for (kind, flags, address, length) in loaded.chain(others) {
            file.extend([kind.to_le_bytes(), flags.to_le_bytes()].concat());
            let (offset, length) = (self.offset_of(address) as u64, length as u64);
            file.extend(words(&[offset, address, address, length, length, 16]));
        }
        file.resize(self.content_offset(), 0);
        for (_, _, content) in &self.loaded {
            file.extend(content);
            file.resize(file.len().next_multiple_of(16), 0);
        }
        let mut offset = file.len() as u64;
        file.extend(self.sections.iter().flat_map(|(_, content)| content));
        for (kind, content) in &self.sections {
            let length = content.len() as u64;
            file.extend([0_u32.to_le_bytes(), kind.to_le_bytes()].concat());
            file.extend(words(&[0, 0, offset, length, 0, 0, 0]));
            offset += length;
        }
        file
    }
}

/// Numbers of 64 bits.
pub(super) fn words(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// Numbers of 32 bits.
pub(super) fn halves(halves: &[u32]) -> Vec<u8> {
    halves.iter().flat_map(|half| half.to_le_bytes()).collect()
}
