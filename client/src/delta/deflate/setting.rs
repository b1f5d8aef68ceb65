/// Which program made a stream, and what it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::delta) struct Setting {
    program: Program,
    /// 1 to 9.
    level: u8,
}

/// Which program made a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Program {
    /// zlib with the memory level 8, which is its usual one.
    Zlib8,
    /// zlib with the memory level 9.
    Zlib9,
    /// Info-ZIP's `zip`.
    Zip,
    /// GNU's `gzip`.
    Gzip,
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
    /// All of them, those first that are met most often; zlib's before those of other programs that may make the same, so
    /// that older machines too understand the delta.
    #[cfg(any(test, feature = "delta-make"))]
    pub(in crate::delta) fn all() -> impl Iterator<Item = Self> {
        Program::ALL
            .into_iter()
            .flat_map(|program| [6, 9, 1, 5, 8, 7, 4, 3, 2].map(|level| Self { program, level }))
    }

    /// The level, and 16 times the number of the program.
    #[cfg(any(test, feature = "delta-make"))]
    pub(in crate::delta) const fn as_byte(self) -> u8 {
        self.level | (self.program as u8) << 4
    }

    pub(in crate::delta) fn from_byte(byte: u8) -> Option<Self> {
        let program = *Program::ALL.get(usize::from(byte >> 4))?;
        let level = byte & 0xf;
        (1..=9).contains(&level).then_some(Self { program, level })
    }

    pub(in crate::delta) const fn is_of_zlib(self) -> bool {
        matches!(self.program, Program::Zlib8 | Program::Zlib9)
    }

    pub(super) fn search(self) -> Search {
        SEARCHES[usize::from(self.level - 1)]
    }

    /// The bits of the hash of three bytes by which they are found.
    pub(super) const fn hash_bits(self) -> u32 {
        if matches!(self.program, Program::Zlib9) { 16 } else { 15 }
    }

    /// The most symbols of a block.
    pub(super) const fn symbols_max(self) -> usize {
        if matches!(self.program, Program::Zlib8) { (1 << 14) - 1 } else { (1 << 15) - 1 }
    }

    /// Where a block of so many symbols may end early, how many bytes of the last symbol count.
    pub(super) fn early_end(self, symbols: usize) -> Option<usize> {
        const STEP: usize = 1 << 12;
        let may_end = !self.is_of_zlib() && self.level > 2 && symbols.is_multiple_of(STEP);
        may_end.then(|| usize::from(self.search().puts_off))
    }

    /// Whether a block that is not the last may have so many symbols.
    #[cfg(any(test, feature = "delta-make"))]
    pub(super) fn may_end_at(self, symbols: usize) -> bool {
        symbols == self.symbols_max() || self.early_end(symbols).is_some()
    }

    /// Whether a match may go on in the window behind what has come, so that of equally long ones another is taken.
    pub(super) const fn looks_beyond_end(self) -> bool {
        matches!(self.program, Program::Gzip)
    }
}

impl Program {
    /// In the order of their numbers.
    const ALL: [Self; 4] = [Self::Zlib8, Self::Zlib9, Self::Zip, Self::Gzip];
}
