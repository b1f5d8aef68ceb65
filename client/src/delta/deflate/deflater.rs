#[cfg(any(test, feature = "delta-make"))]
use super::symbols::Symbol;
use super::{
    block::{BitWriter, Block},
    setting::{Search, Setting},
    symbols::LENGTH_MIN,
};

/// How far back matches are.
const WINDOW_BYTES: usize = 32 << 10;
const LENGTH_MAX: usize = 258;
/// What is ahead before a match is looked for, unless nothing more comes.
const AHEAD_MIN: usize = LENGTH_MAX + LENGTH_MIN + 1;
const DISTANCE_MAX: usize = WINDOW_BYTES - AHEAD_MIN;
/// A match of three bytes that is farther away is none where matches are put off.
const TOO_FAR: usize = 4096;

/// Deflates as the program of a setting does that was given all at once.
pub(in crate::delta) struct Deflater {
    setting: Setting,
    search: Search,
    window: Vec<u8>,
    /// Where in the window the next byte is, and how many are there.
    next: usize,
    ahead: usize,
    hashes: Hashes,
    block: Block,
    /// The match at the byte before, of at least three bytes, or the best of those looked for; and whether the
    /// byte before waits for what is found at the next.
    length: usize,
    from: usize,
    is_waiting: bool,
    /// Whether it is known that nothing more comes.
    is_at_end: bool,
    bits: BitWriter,
}

impl Deflater {
    pub(in crate::delta) fn new(setting: Setting) -> Self {
        Self {
            setting,
            search: setting.search(),
            window: vec![0; 2 * WINDOW_BYTES],
            next: 0,
            ahead: 0,
            hashes: Hashes::new(setting.hash_bits()),
            block: Block::new(setting),
            length: LENGTH_MIN - 1,
            from: 0,
            is_waiting: false,
            is_at_end: false,
            bits: BitWriter::default(),
        }
    }

    /// Takes in the next `bytes`.
    pub(in crate::delta) fn push(&mut self, mut bytes: &[u8]) {
        loop {
            self.fill(&mut bytes);
            if self.next + self.ahead < self.window.len() {
                return;
            }
            self.run(false);
        }
    }

    /// Nothing more comes.
    pub(in crate::delta) fn finish(&mut self) {
        self.run(true);
        if self.is_waiting {
            self.block.literal(self.window[self.next - 1]);
        }
        self.end_block(true);
    }

    /// What was made since this was asked before.
    pub(in crate::delta) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bits.bytes)
    }

    /// Whether the first `bytes` become symbols like the first of `symbols`, as far as is cheap to see.
    #[cfg(any(test, feature = "delta-make"))]
    pub(super) fn begins(&mut self, bytes: &[u8], symbols: &[Symbol]) -> bool {
        const CHUNK_BYTES: usize = 1 << 10;
        const CHUNKS: usize = 16;
        // Before the first block can end, and while all is in the window.
        const SYMBOLS_MAX: usize = 3000;
        for mut chunk in bytes.chunks(CHUNK_BYTES).take(CHUNKS) {
            self.fill(&mut chunk);
            self.run(false);
            let begun = self.block.symbols();
            if !symbols.starts_with(begun) {
                return false;
            }
            if begun.len() > SYMBOLS_MAX {
                break;
            }
        }
        true
    }

    /// Fills the window, of which the first half gives way once matches are too far for it. When that happens
    /// decides about a match here and there.
    fn fill(&mut self, bytes: &mut &[u8]) {
        if self.next >= WINDOW_BYTES + DISTANCE_MAX {
            self.window.copy_within(WINDOW_BYTES.., 0);
            self.next -= WINDOW_BYTES;
            self.from = self.from.wrapping_sub(WINDOW_BYTES);
            self.hashes.slide();
        }
        let end = self.next + self.ahead;
        let (now, later) = bytes.split_at(bytes.len().min(self.window.len() - end));
        self.window[end..end + now.len()].copy_from_slice(now);
        self.ahead += now.len();
        *bytes = later;
    }

    /// Fills the window where nothing more comes.
    fn fill_at_end(&mut self) {
        if !self.setting.looks_beyond_end() {
            self.fill(&mut &[][..]);
        } else if !self.is_at_end {
            self.fill(&mut &[][..]);
            let end = self.next + self.ahead;
            self.window[end..].iter_mut().take(LENGTH_MIN - 1).for_each(|it| *it = 0);
        }
        self.is_at_end = true;
    }

    fn run(&mut self, is_end: bool) {
        loop {
            if self.ahead < AHEAD_MIN {
                if !is_end {
                    return;
                }
                self.fill_at_end();
                if self.ahead == 0 {
                    return;
                }
            }
            if self.search.puts_off { self.step_lazily() } else { self.step() }
        }
    }

    /// Remembers the three bytes at `next`, if there are so many, and says where the same may have been: nowhere, where
    /// the window has no room for a match, as `gzip` leaves it at the end.
    fn remember(&mut self) -> Option<usize> {
        if self.ahead < LENGTH_MIN {
            return None;
        }
        let before = self.hashes.remember(&self.window, self.next)?;
        let has_room = self.next + AHEAD_MIN <= self.window.len();
        (has_room && self.next - before <= DISTANCE_MAX).then_some(before)
    }

    fn step(&mut self) {
        if let Some(before) = self.remember() {
            self.length = self.longest_match(before, LENGTH_MIN - 1);
        }
        let is_full;
        if self.length >= LENGTH_MIN {
            is_full = self.matched(self.length, self.next - self.from);
            self.ahead -= self.length;
            let all_are_remembered = self.length <= self.search.lazy && self.ahead >= LENGTH_MIN;
            if all_are_remembered {
                for place in self.next + 1..self.next + self.length {
                    self.hashes.remember(&self.window, place);
                }
            }
            self.next += self.length;
            self.length = 0;
        } else {
            is_full = self.block.literal(self.window[self.next]);
            self.ahead -= 1;
            self.next += 1;
        }
        if is_full {
            self.end_block(false);
        }
    }

    fn step_lazily(&mut self) {
        let before = self.remember();
        let (length_before, from_before) = (self.length, self.from);
        self.length = LENGTH_MIN - 1;
        if let Some(before) = before.filter(|_| length_before < self.search.lazy) {
            self.length = self.longest_match(before, length_before);
            let distance = self.next.wrapping_sub(self.from);
            if self.length == LENGTH_MIN && distance > TOO_FAR {
                self.length = LENGTH_MIN - 1;
            }
        }
        if length_before >= LENGTH_MIN && self.length <= length_before {
            let is_full = self.matched(length_before, self.next - 1 - from_before);
            let remembered_end = self.next + self.ahead - (LENGTH_MIN - 1);
            for place in self.next + 1..(self.next + length_before - 1).min(remembered_end) {
                self.hashes.remember(&self.window, place);
            }
            self.ahead -= length_before - 1;
            self.next += length_before - 1;
            self.is_waiting = false;
            self.length = LENGTH_MIN - 1;
            if is_full {
                self.end_block(false);
            }
            return;
        }
        if self.is_waiting && self.block.literal(self.window[self.next - 1]) {
            self.end_block(false);
        }
        self.is_waiting = true;
        self.next += 1;
        self.ahead -= 1;
    }

    /// The length of the longest match that is longer than `least`, or of that, but at most what is ahead. It is
    /// looked for at `place` and where the same hash was before.
    fn longest_match(&mut self, mut place: usize, least: usize) -> usize {
        let Search { good, nice, chain, .. } = self.search;
        let length_max =
            if self.setting.looks_beyond_end() { LENGTH_MAX } else { self.ahead.min(LENGTH_MAX) };
        let mut longest = least;
        if longest >= length_max {
            return length_max;
        }
        let places = if least >= good { chain / 4 } else { chain };
        let limit = self.next.saturating_sub(DISTANCE_MAX);
        let new = &self.window[self.next..self.next + length_max];
        for _ in 0..places {
            let old = &self.window[place..place + length_max];
            if old[longest] == new[longest] && old[..2] == new[..2] {
                let length = old.iter().zip(new).take_while(|(old, new)| old == new).count();
                if length > longest {
                    (self.from, longest) = (place, length);
                    if length >= nice.min(length_max) {
                        break;
                    }
                }
            }
            place = self.hashes.before(place);
            if place <= limit {
                break;
            }
        }
        longest.min(self.ahead)
    }

    fn matched(&mut self, length: usize, distance: usize) -> bool {
        let length = u8::try_from(length - LENGTH_MIN).unwrap_or(u8::MAX);
        let distance = u16::try_from(distance - 1).unwrap_or(u16::MAX);
        self.block.matched(length, distance)
    }

    fn end_block(&mut self, is_last: bool) {
        // The block may have begun before the window does.
        let start = self.next.checked_sub(self.block.bytes());
        let stored = start.map(|start| &self.window[start..self.next]);
        self.block.end(stored, is_last, &mut self.bits);
    }
}

/// Where in the window which three bytes were. Place 0 is taken for none.
struct Hashes {
    bits: u32,
    /// For each hash the last place, and for each place the one before with its hash.
    last: Vec<u16>,
    before: Vec<u16>,
}

impl Hashes {
    fn new(bits: u32) -> Self {
        Self { bits, last: vec![0; 1 << bits], before: vec![0; WINDOW_BYTES] }
    }

    /// Remembers the bytes at `place`, and says where the last ones with their hash were.
    fn remember(&mut self, window: &[u8], place: usize) -> Option<usize> {
        let shift = self.bits.div_ceil(3);
        let [first, second, third] = [0, 1, 2].map(|it| usize::from(window[place + it]));
        let hash = (first << (2 * shift) ^ second << shift ^ third) & (self.last.len() - 1);
        let last = self.last[hash];
        self.before[place % WINDOW_BYTES] = last;
        self.last[hash] = u16::try_from(place).unwrap_or_default();
        (last > 0).then_some(last.into())
    }

    fn before(&self, place: usize) -> usize {
        self.before[place % WINDOW_BYTES].into()
    }

    fn slide(&mut self) {
        const BY: u16 = 1 << 15;
        for place in self.last.iter_mut().chain(&mut self.before) {
            *place = place.saturating_sub(BY);
        }
    }
}
