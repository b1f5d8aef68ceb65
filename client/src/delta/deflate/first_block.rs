use super::{Deflater, Setting, inflate, symbols::Symbol};

/// What is seen of how a stream was made: the symbols of its first block.
pub(in crate::delta) struct FirstBlock {
    symbols: Vec<Symbol>,
    /// Whether there is no other.
    is_last: bool,
}

impl FirstBlock {
    /// That of the stream `packed`; `None` where nothing is to be seen because it is stored.
    pub(in crate::delta) fn of(packed: &[u8]) -> Option<Self> {
        /// More than any program puts into one that it ends.
        const SYMBOLS_MAX: usize = 1 << 15;
        let (symbols, is_last) = inflate::first_block(packed, SYMBOLS_MAX).ok()??;
        Some(Self { symbols, is_last })
    }

    /// Whether `setting` may have made it of what begins with `bytes`.
    pub(in crate::delta) fn may_be_of(&self, setting: Setting, bytes: &[u8]) -> bool {
        let count = self.symbols.len();
        let may_end =
            if self.is_last { count <= setting.symbols_max() } else { setting.may_end_at(count) };
        may_end && Deflater::new(setting).begins(bytes, &self.symbols)
    }
}
