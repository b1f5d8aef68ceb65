use super::{
    code::{code_lengths, codes},
    setting::Setting,
    symbols::{
        CODE_BITS_MAX, CODE_LENGTH_BITS_MAX, CODE_LENGTH_ORDER, CODE_LENGTHS, DISTANCE_CODES,
        END_OF_BLOCK, FIXED_DISTANCE_BITS, Group, LENGTH_MIN, LENGTHS, LITERALS, Symbol,
        distance_code, distance_group, fixed_literal_bits, length_code, length_group,
    },
};

/// Bits, the first of which is the lowest of the first byte.
#[derive(Default)]
pub(super) struct BitWriter {
    pub(super) bytes: Vec<u8>,
    bits: u64,
    count: usize,
}

impl BitWriter {
    /// Appends the lowest `count` bits, at most 16, of `bits`.
    fn put(&mut self, bits: usize, count: usize) {
        self.bits |= (bits as u64) << self.count;
        self.count += count;
        while self.count >= 8 {
            self.bytes.push(self.bits.to_le_bytes()[0]);
            self.bits >>= 8;
            self.count -= 8;
        }
    }

    fn end_byte(&mut self) {
        if self.count > 0 {
            self.put(0, 8 - self.count);
        }
    }
}

/// What a code is made of: the length of each symbol's, and the bits.
struct Code {
    lengths: Vec<u8>,
    codes: Vec<u16>,
}

impl Code {
    fn of(lengths: Vec<u8>) -> Self {
        Self { codes: codes(&lengths), lengths }
    }

    fn put(&self, bits: &mut BitWriter, symbol: usize) {
        bits.put(self.codes[symbol].into(), self.lengths[symbol].into());
    }

    /// How many symbols there are up to the last that has a code.
    fn used(&self) -> usize {
        self.lengths.iter().rposition(|it| *it > 0).map_or(0, |it| it + 1)
    }

    /// How many bits symbols take that are met as often as `frequencies` say and have `extra` bits more.
    fn bits(&self, frequencies: &[u32], extra: impl Fn(usize) -> usize) -> usize {
        let each = frequencies.iter().zip(&self.lengths).enumerate();
        each.map(|(symbol, (frequency, length))| {
            *frequency as usize * (usize::from(*length) + extra(symbol))
        })
        .sum()
    }
}

fn literal_extra(symbol: usize) -> usize {
    symbol.checked_sub(LENGTHS).map_or(0, |code| length_group(code).extra_bits)
}

fn distance_extra(code: usize) -> usize {
    distance_group(code).extra_bits
}

/// The symbols since the block before.
pub(super) struct Block {
    setting: Setting,
    symbols: Vec<Symbol>,
    /// How many bytes they stand for.
    bytes: usize,
    literals: [u32; LITERALS],
    distances: [u32; DISTANCE_CODES],
}

impl Block {
    pub(super) fn new(setting: Setting) -> Self {
        let mut block = Self {
            setting,
            symbols: Vec::new(),
            bytes: 0,
            literals: [0; LITERALS],
            distances: [0; DISTANCE_CODES],
        };
        block.clear();
        block
    }

    fn clear(&mut self) {
        self.symbols.clear();
        self.bytes = 0;
        self.literals = [0; LITERALS];
        self.literals[END_OF_BLOCK] = 1;
        self.distances = [0; DISTANCE_CODES];
    }

    #[cfg(any(test, feature = "delta-make"))]
    pub(super) fn symbols(&self) -> &[Symbol] {
        &self.symbols
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Appends a literal, and says whether the block ends with it.
    pub(super) fn literal(&mut self, byte: u8) -> bool {
        self.literals[usize::from(byte)] += 1;
        self.push(Symbol::Literal(byte), 1)
    }

    /// Appends a match of `length` less 3, `distance` less 1, and says whether the block ends with it.
    pub(super) fn matched(&mut self, length: u8, distance: u16) -> bool {
        self.literals[LENGTHS + length_code(length.into())] += 1;
        self.distances[distance_code(distance.into())] += 1;
        self.push(Symbol::Match(length, distance), LENGTH_MIN + usize::from(length))
    }

    fn push(&mut self, symbol: Symbol, bytes: usize) -> bool {
        let bytes_before = self.bytes;
        self.symbols.push(symbol);
        self.bytes += bytes;
        self.symbols.len() == self.setting.symbols_max() || self.ends_early(bytes_before)
    }

    /// Whether the block, which stood for `bytes_before` without its last symbol, ends because it has few matches and
    /// is packed well all the same: what comes may have other codes.
    fn ends_early(&self, bytes_before: usize) -> bool {
        let symbols = self.symbols.len();
        let Some(counted) = self.setting.early_end(symbols) else { return false };
        let bytes = bytes_before + counted;
        let matches: u32 = self.distances.iter().sum();
        let distance_bits: usize = (0..)
            .zip(self.distances)
            .map(|(code, count)| {
                count as usize * (usize::from(FIXED_DISTANCE_BITS) + distance_extra(code))
            })
            .sum();
        (matches as usize) < symbols / 2 && symbols + distance_bits / 8 < bytes / 2
    }

    /// Writes the block the way that takes the fewest bytes, and begins another. `stored` is what it stands
    /// for, unless that is not at hand.
    pub(super) fn end(&mut self, stored: Option<&[u8]>, is_last: bool, bits: &mut BitWriter) {
        const HEADER_BITS: usize = 3;
        let bytes = |bits: usize| (bits + HEADER_BITS).div_ceil(8);
        let literals = Code::of(code_lengths(&self.literals, CODE_BITS_MAX));
        let distances = Code::of(code_lengths(&self.distances, CODE_BITS_MAX));
        let lengths = CodeLengths::of(&literals, &distances);
        let fixed_literals = Code::of((0..LITERALS + 2).map(fixed_literal_bits).collect());
        let fixed_distances = Code::of(vec![FIXED_DISTANCE_BITS; DISTANCE_CODES]);

        let dynamic = bytes(self.bits(&literals, &distances) + lengths.bits());
        let fixed = bytes(self.bits(&fixed_literals, &fixed_distances));
        let is_last = usize::from(is_last);
        match stored {
            Some(stored) if stored.len() + 4 <= dynamic.min(fixed) => {
                bits.put(is_last, HEADER_BITS);
                bits.end_byte();
                let length = u16::try_from(stored.len()).unwrap_or_default();
                bits.bytes.extend(length.to_le_bytes());
                bits.bytes.extend((!length).to_le_bytes());
                bits.bytes.extend_from_slice(stored);
            }
            _ if fixed <= dynamic => {
                bits.put(1 << 1 | is_last, HEADER_BITS);
                self.put(bits, &fixed_literals, &fixed_distances);
            }
            _ => {
                bits.put(2 << 1 | is_last, HEADER_BITS);
                lengths.put(bits);
                self.put(bits, &literals, &distances);
            }
        }
        if is_last == 1 {
            bits.end_byte();
        }
        self.clear();
    }

    fn bits(&self, literals: &Code, distances: &Code) -> usize {
        literals.bits(&self.literals, literal_extra)
            + distances.bits(&self.distances, distance_extra)
    }

    fn put(&self, bits: &mut BitWriter, literals: &Code, distances: &Code) {
        for symbol in &self.symbols {
            match *symbol {
                Symbol::Literal(byte) => literals.put(bits, byte.into()),
                Symbol::Match(length, distance) => {
                    let (length, distance) = (usize::from(length), usize::from(distance));
                    let code = length_code(length);
                    literals.put(bits, LENGTHS + code);
                    put_extra(bits, length_group(code), length);
                    let code = distance_code(distance);
                    distances.put(bits, code);
                    put_extra(bits, distance_group(code), distance);
                }
            }
        }
        literals.put(bits, END_OF_BLOCK);
    }
}

fn put_extra(bits: &mut BitWriter, group: Group, value: usize) {
    bits.put(value - group.first, group.extra_bits);
}

/// The lengths of a block's codes, and the code that they are written in.
struct CodeLengths {
    literals: usize,
    distances: usize,
    runs: Vec<Run>,
    frequencies: [u32; CODE_LENGTHS],
    code: Code,
}

/// A symbol of the lengths of codes, and what its bits behind it say.
#[derive(Clone, Copy)]
struct Run {
    symbol: u8,
    more: usize,
}

impl Run {
    const REPEAT: u8 = 16;
    const FEW_ZEROS: u8 = 17;
    const MANY_ZEROS: u8 = 18;

    const fn extra_bits(symbol: usize) -> usize {
        match symbol {
            16 => 2,
            17 => 3,
            18 => 7,
            _ => 0,
        }
    }
}

impl CodeLengths {
    fn of(literals: &Code, distances: &Code) -> Self {
        let (literals_used, distances_used) = (literals.used(), distances.used());
        let mut runs = runs(&literals.lengths[..literals_used]);
        runs.extend(self::runs(&distances.lengths[..distances_used]));
        let mut frequencies = [0; CODE_LENGTHS];
        for run in &runs {
            frequencies[usize::from(run.symbol)] += 1;
        }
        let code = Code::of(code_lengths(&frequencies, CODE_LENGTH_BITS_MAX));
        Self { literals: literals_used, distances: distances_used, runs, frequencies, code }
    }

    /// How many lengths of the code for lengths of codes are written.
    fn written(&self) -> usize {
        const LEAST: usize = 4;
        let last = CODE_LENGTH_ORDER.iter().rposition(|it| self.code.lengths[*it] > 0);
        last.map_or(LEAST, |it| (it + 1).max(LEAST))
    }

    fn bits(&self) -> usize {
        5 + 5 + 4 + 3 * self.written() + self.code.bits(&self.frequencies, Run::extra_bits)
    }

    fn put(&self, bits: &mut BitWriter) {
        bits.put(self.literals - LENGTHS, 5);
        bits.put(self.distances - 1, 5);
        bits.put(self.written() - 4, 4);
        for symbol in &CODE_LENGTH_ORDER[..self.written()] {
            bits.put(self.code.lengths[*symbol].into(), 3);
        }
        for run in &self.runs {
            let symbol = usize::from(run.symbol);
            self.code.put(bits, symbol);
            bits.put(run.more, Run::extra_bits(symbol));
        }
    }
}

/// The `lengths` of one of the codes, of which no run goes on into the other.
fn runs(lengths: &[u8]) -> Vec<Run> {
    let mut runs = Vec::new();
    for same in lengths.chunk_by(|one, other| one == other) {
        let length = same[0];
        let mut left = same.len();
        if length > 0 {
            runs.push(Run { symbol: length, more: 0 });
            left -= 1;
        }
        while left > 0 {
            let (symbol, least, most) = match (length, left) {
                (0, 11..) => (Run::MANY_ZEROS, 11, 138),
                (0, 3..) => (Run::FEW_ZEROS, 3, 10),
                (1.., 3..) => (Run::REPEAT, 3, 6),
                _ => (length, 1, 1),
            };
            let count = left.min(most);
            runs.push(Run { symbol, more: count - least });
            left -= count;
        }
    }
    runs
}
