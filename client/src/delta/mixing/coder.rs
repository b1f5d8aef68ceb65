//! Binary decisions as bytes: an arithmetic coder that takes less the more probable a decision is.

use std::io::{self, BufReader, Read};

use crate::delta::read_at::Section;

/// Either side of the coder. What says how probable decisions are is the same code for both.
pub(in crate::delta) trait Coder {
    /// Codes one decision, of which `probability` 65,536ths say that it is a yes, neither none nor all. Whoever
    /// encodes codes `bit`; whoever decodes does not look at it. It comes back.
    fn code(&mut self, bit: bool, probability: u16) -> io::Result<bool>;
}

/// Where between `low` and `high` a yes ends. No is all above it.
const fn division(low: u32, high: u32, probability: u16) -> u32 {
    let (range, probability) = (high - low, probability as u32);
    low + (range >> 16) * probability + (((range & 0xffff) * probability) >> 16)
}

/// Whether the highest bytes have come to agree.
const fn is_settled(low: u32, high: u32) -> bool {
    (low ^ high) >> 24 == 0
}

#[cfg(feature = "delta-make")]
pub(in crate::delta) struct Encoder {
    low: u32,
    high: u32,
    bytes: Vec<u8>,
}

#[cfg(feature = "delta-make")]
impl Encoder {
    pub(in crate::delta) const fn new() -> Self {
        Self { low: 0, high: u32::MAX, bytes: Vec::new() }
    }

    /// All that was coded.
    pub(in crate::delta) fn finish(mut self) -> Vec<u8> {
        self.bytes.extend(self.low.to_be_bytes());
        self.bytes
    }
}

#[cfg(feature = "delta-make")]
impl Coder for Encoder {
    fn code(&mut self, bit: bool, probability: u16) -> io::Result<bool> {
        let division = division(self.low, self.high, probability);
        if bit {
            self.high = division;
        } else {
            self.low = division + 1;
        }
        while is_settled(self.low, self.high) {
            self.bytes.push(self.low.to_be_bytes()[0]);
            self.low <<= 8;
            self.high = self.high << 8 | 0xff;
        }
        Ok(bit)
    }
}

pub(in crate::delta) struct Decoder<'a> {
    low: u32,
    high: u32,
    /// The four bytes at hand.
    code: u32,
    bytes: BufReader<Section<'a>>,
}

impl<'a> Decoder<'a> {
    pub(in crate::delta) fn new(bytes: Section<'a>) -> io::Result<Self> {
        let mut bytes = BufReader::new(bytes);
        let mut code = [0; 4];
        bytes.read_exact(&mut code)?;
        Ok(Self { low: 0, high: u32::MAX, code: u32::from_be_bytes(code), bytes })
    }

    /// Whether there is nothing more to come, as it is when all has been decoded.
    pub(in crate::delta) fn is_at_end(&self) -> bool {
        self.bytes.buffer().is_empty() && self.bytes.get_ref().left == 0
    }
}

impl Coder for Decoder<'_> {
    fn code(&mut self, _: bool, probability: u16) -> io::Result<bool> {
        let division = division(self.low, self.high, probability);
        let bit = self.code <= division;
        if bit {
            self.high = division;
        } else {
            self.low = division + 1;
        }
        while is_settled(self.low, self.high) {
            let mut byte = [0];
            self.bytes.read_exact(&mut byte)?;
            self.low <<= 8;
            self.high = self.high << 8 | 0xff;
            self.code = self.code << 8 | u32::from(byte[0]);
        }
        Ok(bit)
    }
}

#[cfg(test)]
#[cfg(feature = "delta-make")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn section(bytes: &Vec<u8>) -> Section<'_> {
        Section { bytes, offset: 0, left: bytes.len() as u64 }
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(
            decisions in proptest::collection::vec((any::<bool>(), 1_u16..), 0..3000)
        ) {
            let mut encoder = Encoder::new();
            for (bit, probability) in &decisions {
                encoder.code(*bit, *probability).unwrap();
            }
            let bytes = encoder.finish();
            let mut decoder = Decoder::new(section(&bytes)).unwrap();
            for (bit, probability) in &decisions {
                prop_assert_eq!(decoder.code(false, *probability).unwrap(), *bit);
            }
            prop_assert!(decoder.is_at_end());
        }

        #[test]
        fn whatever_is_decoded_ends(bytes: Vec<u8>, probability in 1_u16..) {
            let Ok(mut decoder) = Decoder::new(section(&bytes)) else { return Ok(()) };
            for _ in 0..1000 {
                if decoder.code(false, probability).is_err() {
                    break;
                }
            }
        }
    }

    #[test]
    fn what_was_to_be_expected_takes_no_room() {
        let mut encoder = Encoder::new();
        for _ in 0..10_000 {
            encoder.code(true, 65_500).unwrap();
        }
        let bytes = encoder.finish();
        assert!(bytes.len() < 8, "{}", bytes.len());
        assert!(Decoder::new(section(&bytes[..3].to_vec())).is_err());
    }
}
