/// A set of places in a file: a bit for each of them.
#[derive(Debug)]
pub(super) struct Places(Vec<u64>);

impl Places {
    /// None of the first `count` places.
    pub(super) fn none(count: usize) -> Self {
        Self(vec![0; count.div_ceil(64)])
    }

    /// Adds `place`; says whether it is one of those that there are and was not there before.
    pub(super) fn insert(&mut self, place: usize) -> bool {
        let Some(word) = self.0.get_mut(place / 64) else { return false };
        let bit = 1 << (place % 64);
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }

    pub(super) fn contain(&self, place: usize) -> bool {
        self.0.get(place / 64).is_some_and(|word| word >> (place % 64) & 1 == 1)
    }
}
