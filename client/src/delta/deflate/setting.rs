/// What zlib was told when it made a stream: its level, and how much memory it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::delta) struct Setting {
    /// 1 to 9.
    level: u8,
    /// 8 or 9.
    memory_level: u8,
}

/// How hard matches are looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Search {
    /// From which length of the match before on a quarter of the places is looked at.
    pub(super) good: usize,
    /// A longer match is not put off for a better one; where nothing is put off, only of matches that are not
    /// longer every place is remembered.
    pub(super) lazy: usize,
    /// A match so long is good enough.
    pub(super) nice: usize,
    /// How many places are looked at.
    pub(super) chain: usize,
    /// Whether a match is put off where the next byte may begin a longer one.
    pub(super) puts_off: bool,
}

const SEARCHES: [Search; 9] = [
    search(4, 4, 8, 4, false),
    search(4, 5, 16, 8, false),
    search(4, 6, 32, 32, false),
    search(4, 4, 16, 16, true),
    search(8, 16, 32, 32, true),
    search(8, 16, 128, 128, true),
    search(8, 32, 128, 256, true),
    search(32, 128, 258, 1024, true),
    search(32, 258, 258, 4096, true),
];

const fn search(good: usize, lazy: usize, nice: usize, chain: usize, puts_off: bool) -> Search {
    Search { good, lazy, nice, chain, puts_off }
}

impl Setting {
    /// All of them, those first that are met most often.
    #[cfg(any(test, feature = "delta-make"))]
    pub(in crate::delta) fn all() -> impl Iterator<Item = Self> {
        [8, 9].into_iter().flat_map(|memory_level| {
            [6, 9, 1, 5, 8, 7, 4, 3, 2].map(|level| Self { level, memory_level })
        })
    }

    /// The level, and 16 where the memory level is 9.
    #[cfg(any(test, feature = "delta-make"))]
    pub(in crate::delta) const fn as_byte(self) -> u8 {
        self.level | (self.memory_level - 8) << 4
    }

    pub(in crate::delta) fn from_byte(byte: u8) -> Option<Self> {
        let (level, memory_level) = (byte & 0xf, 8 + (byte >> 4));
        ((1..=9).contains(&level) && memory_level <= 9).then_some(Self { level, memory_level })
    }

    pub(super) fn search(self) -> Search {
        SEARCHES[usize::from(self.level - 1)]
    }

    /// The bits of the hash of three bytes by which they are found.
    pub(super) const fn hash_bits(self) -> u32 {
        self.memory_level as u32 + 7
    }

    /// The most symbols of a block.
    pub(super) const fn symbols_max(self) -> usize {
        (1 << (self.memory_level + 6)) - 1
    }
}
