//! What changes read and write before it is in sled's tree.

#[cfg(test)]
mod tests;

use std::{
    cell::RefCell,
    collections::{BTreeSet, HashMap},
    ops::{Bound, RangeInclusive},
};

use sled::{Batch, IVec, Tree};

use super::{
    super::StoreResult,
    table::{Source, sled_error},
};

/// For how many keys a transaction keeps the room that it has taken: more than a group of changes has, unless
/// one of them is large.
const KEYS_KEPT: usize = 4096;

/// The writes of one change after another, which sled is then given as one.
///
/// A change reads what those before it have written, and one that is refused leaves nothing behind. What
/// else it reads is the tree's; so there must be no other writer.
///
/// In place of sled's own transactions: sled writes one value for many changes of it, and its readers wait
/// for the writes alone, not while changes are worked out.
pub(super) struct Transaction {
    tree: Tree,
    /// The newest write of each key.
    written: RefCell<HashMap<IVec, Write>>,
    /// What the change that runs has replaced of it, in that order.
    replaced: RefCell<Vec<(IVec, Option<Write>)>>,
    /// Keys of those that the tree lacks, in order; some may not be written any more.
    new: RefCell<BTreeSet<IVec>>,
}

enum Write {
    Insert(IVec),
    Remove,
}

impl Transaction {
    /// The tree with nothing written yet.
    pub(super) fn over(tree: &Tree) -> Self {
        Self {
            tree: tree.clone(),
            written: RefCell::default(),
            replaced: RefCell::default(),
            new: RefCell::default(),
        }
    }

    /// Makes a change, wholly or not at all.
    pub(super) fn attempt<T>(
        &mut self,
        change: impl FnOnce(&Self) -> StoreResult<T>,
    ) -> StoreResult<T> {
        let outcome = change(self);
        let replaced = self.replaced.get_mut().drain(..).rev();
        if outcome.is_err() {
            let written = self.written.get_mut();
            for (key, before) in replaced {
                match before {
                    Some(before) => drop(written.insert(key, before)),
                    None => drop(written.remove(&key)),
                }
            }
        }
        outcome
    }

    /// How many keys sled is to be given.
    pub(super) fn keys(&self) -> usize {
        self.written.borrow().len()
    }

    /// Writes everything into the tree at once, also where a crash cuts it short. The transaction begins anew
    /// then, in the room that it has taken.
    pub(super) fn apply(&mut self) -> sled::Result<()> {
        let written = self.written.get_mut();
        if written.is_empty() {
            return Ok(());
        }
        let mut batch = Batch::default();
        for (key, write) in written.drain() {
            match write {
                Write::Insert(value) => batch.insert(key, value),
                Write::Remove => batch.remove(key),
            }
        }
        self.new.get_mut().clear();
        written.shrink_to(KEYS_KEPT);
        self.replaced.get_mut().shrink_to(KEYS_KEPT);
        self.tree.apply_batch(batch)
    }

    /// Puts `value` under `key`.
    pub(super) fn insert(&self, key: IVec, value: IVec) {
        self.write(key, Write::Insert(value));
    }

    /// Puts `value` under `key`, where there is nothing, to be found by what comes after it as well.
    pub(super) fn insert_new(&self, key: IVec, value: IVec) {
        self.new.borrow_mut().insert(key.clone());
        self.insert(key, value);
    }

    /// Leaves nothing under `key`.
    pub(super) fn remove(&self, key: &[u8]) {
        self.write(key.into(), Write::Remove);
    }

    fn write(&self, key: IVec, write: Write) {
        let before = self.written.borrow_mut().insert(key.clone(), write);
        self.replaced.borrow_mut().push((key, before));
    }
}

impl Source for Transaction {
    fn value(&self, key: &[u8]) -> StoreResult<Option<IVec>> {
        match self.written.borrow().get(key) {
            Some(Write::Insert(value)) => Ok(Some(value.clone())),
            Some(Write::Remove) => Ok(None),
            None => self.tree.value(key),
        }
    }

    /// Of what is new, only what [`Transaction::insert_new`] has put is found.
    fn last_in(&self, range: RangeInclusive<&[u8]>) -> StoreResult<Option<(IVec, IVec)>> {
        let (written, new) = (self.written.borrow(), self.new.borrow());
        let bounds = (Bound::Included(*range.start()), Bound::Included(*range.end()));
        let new = new.range::<[u8], _>(bounds).rev().find_map(|key| match written.get(key) {
            Some(Write::Insert(value)) => Some((key.clone(), value.clone())),
            _ => None,
        });
        for found in self.tree.range(range).rev() {
            let (key, value) = found.map_err(sled_error)?;
            if new.as_ref().is_some_and(|(new, _)| *new > key) {
                break;
            }
            match written.get(&key) {
                Some(Write::Insert(value)) => return Ok(Some((key, value.clone()))),
                Some(Write::Remove) => {}
                None => return Ok(Some((key, value))),
            }
        }
        Ok(new)
    }
}
