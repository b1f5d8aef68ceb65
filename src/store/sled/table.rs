//! Typed tables within sled's one tree.
//!
//! All tables share one tree, told apart by the table's name in front of the key: so one sled
//! transaction can span whatever it has to, and there are no trees to create or to lose.

use std::{
    fmt::Display,
    io::Write as _,
    marker::PhantomData,
    ops::{Range, RangeInclusive},
};

use mainstay_client::{
    format::{
        AdvisoryId, ContractName, CustomerName, Digest, MachineName, OrganisationName, Platform,
        PrivateChannelName, ProductName, Version,
    },
    tuf::PublicKey,
};
use serde::{Serialize, de::DeserializeOwned};
use sled::{IVec, Tree};

use super::{
    super::{ActionId, StoreError, StoreResult},
    codec, runs,
    transaction::Transaction,
};
use crate::policy::{
    Cell, Setup,
    delta::{DeltaPair, profile_name},
};

/// As long as most keys are, with the table's name.
const KEY_BYTES_USUAL: usize = 128;

/// What a table is keyed by.
pub(super) trait Key {
    /// Appends the bytes by which the key is found and ordered.
    fn append_to(&self, bytes: &mut Vec<u8>);

    /// The key as a message shows it.
    fn shown(&self) -> String;
}

macro_rules! text_keys {
    ($($kind:ty),+) => {$(
        impl Key for $kind {
            fn append_to(&self, bytes: &mut Vec<u8>) {
                append_text(self, bytes);
            }

            fn shown(&self) -> String {
                format!("`{self}`")
            }
        }
    )+};
}

/// Without a text of its own.
fn append_text(text: &(impl Display + ?Sized), bytes: &mut Vec<u8>) {
    // There is room in memory for whatever is written.
    let _written = write!(bytes, "{text}");
}

text_keys!(
    &'static str,
    String,
    ActionId,
    AdvisoryId,
    ContractName,
    CustomerName,
    MachineName,
    OrganisationName,
    Platform,
    PrivateChannelName,
    ProductName,
    PublicKey,
    Version
);

macro_rules! number_keys {
    ($($kind:ty),+) => {$(
        impl Key for $kind {
            fn append_to(&self, bytes: &mut Vec<u8>) {
                // Big-endian, so that the order of the bytes is that of the numbers.
                bytes.extend_from_slice(&self.to_be_bytes());
            }

            fn shown(&self) -> String {
                format!("number {self}")
            }
        }
    )+};
}

number_keys!(u32, u64);

impl Key for Setup {
    fn append_to(&self, bytes: &mut Vec<u8>) {
        let Self { product, version, platform } = self;
        product.append_to(bytes);
        bytes.push(0);
        if let Some(version) = version {
            version.append_to(bytes);
        }
        bytes.push(0);
        platform.append_to(bytes);
    }

    fn shown(&self) -> String {
        format!("`{self}`")
    }
}

impl Key for Cell {
    fn append_to(&self, bytes: &mut Vec<u8>) {
        self.setup.append_to(bytes);
        bytes.push(0);
        self.customer.append_to(bytes);
    }

    fn shown(&self) -> String {
        format!("`{self}`")
    }
}

impl Key for DeltaPair {
    fn append_to(&self, bytes: &mut Vec<u8>) {
        let Self { product, platform, from, to, profile } = self;
        product.append_to(bytes);
        for part in [&platform as &dyn Display, from, to, &profile_name(*profile)] {
            bytes.push(0);
            append_text(part, bytes);
        }
    }

    fn shown(&self) -> String {
        format!("`{self}`")
    }
}

impl Key for Digest {
    fn append_to(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(self.as_bytes());
    }

    fn shown(&self) -> String {
        format!("with the digest {self}")
    }
}

/// The first is a name, which never contains the zero byte that ends it, or of a fixed length.
impl<A: Display + Key, B: Key> Key for (A, B) {
    fn append_to(&self, bytes: &mut Vec<u8>) {
        self.0.append_to(bytes);
        bytes.push(0);
        self.1.append_to(bytes);
    }

    fn shown(&self) -> String {
        format!("{} of {}", self.1.shown(), self.0.shown())
    }
}

/// Where values are read from: the tree, or the tree as a transaction sees it.
pub(super) trait Source {
    /// The value under `key`.
    fn value(&self, key: &[u8]) -> StoreResult<Option<IVec>>;

    /// The last key in a range, and the value under it.
    fn last_in(&self, range: RangeInclusive<&[u8]>) -> StoreResult<Option<(IVec, IVec)>>;
}

impl Source for Tree {
    fn value(&self, key: &[u8]) -> StoreResult<Option<IVec>> {
        self.get(key).map_err(sled_error)
    }

    fn last_in(&self, range: RangeInclusive<&[u8]>) -> StoreResult<Option<(IVec, IVec)>> {
        self.range(range).next_back().transpose().map_err(sled_error)
    }
}

/// What an error of sled means to those who asked.
pub(super) fn sled_error(error: sled::Error) -> StoreError {
    match error {
        sled::Error::Corruption { .. } => StoreError::Corrupt(error.to_string()),
        error => StoreError::Unavailable(error.to_string()),
    }
}

/// Records of one kind by their key.
pub(super) struct Table<K, V> {
    name: &'static str,
    what: &'static str,
    layout: Layout,
    types: PhantomData<fn(&K) -> V>,
}

/// How the records of a table stand in sled.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// Each is a value.
    Alone,
    /// Several are one (see [`runs`]).
    Runs,
}

/// A record under its key, as it is written. To make one is the work, which no more than the record is
/// needed for.
pub(super) struct Row {
    layout: Layout,
    key: IVec,
    /// The value, or JSON where that is for a run.
    value: IVec,
}

impl Row {
    /// Whether there is nothing under its key.
    pub(super) fn is_new(&self, source: &impl Source) -> StoreResult<bool> {
        match self.layout {
            Layout::Alone => Ok(source.value(&self.key)?.is_none()),
            Layout::Runs => Ok(runs::find(source, &self.key)?.is_none()),
        }
    }

    /// Puts the record, whatever is under its key.
    pub(super) fn put(&self, transaction: &Transaction) -> StoreResult<()> {
        match self.layout {
            Layout::Alone => transaction.insert(self.key.clone(), self.value.clone()),
            Layout::Runs => runs::put(transaction, &self.key, &self.value)?,
        }
        Ok(())
    }
}

impl<K: Key, V: DeserializeOwned + 'static> Table<K, V> {
    /// The record under `key`, if there is one.
    pub(super) fn find(&self, source: &impl Source, key: &K) -> StoreResult<Option<V>> {
        let key = self.key(key);
        match self.layout {
            Layout::Alone => {
                source.value(&key)?.map(|value| codec::decode(&key, &value)).transpose()
            }
            Layout::Runs => {
                runs::find(source, &key)?.map(|json| codec::parse(&key, &json)).transpose()
            }
        }
    }

    /// The record under `key`, which must be there.
    pub(super) fn read(&self, source: &impl Source, key: &K) -> StoreResult<V> {
        self.find(source, key)?.ok_or_else(|| StoreError::NotFound(self.shown(key)))
    }

    /// All records by key.
    pub(super) fn all(&self, tree: &Tree) -> StoreResult<Vec<V>> {
        self.scan(tree, beginning(self.prefix())).collect()
    }

    /// All records by key, the last one first.
    pub(super) fn newest(&self, tree: &Tree) -> impl Iterator<Item = StoreResult<V>> {
        self.scan(tree, beginning(self.prefix())).rev()
    }

    /// The records with keys above `key`, or all of them, in order.
    pub(super) fn after(
        &self,
        tree: &Tree,
        key: Option<&K>,
    ) -> impl Iterator<Item = StoreResult<V>> + use<K, V> {
        let mut range = beginning(self.prefix());
        if let Some(key) = key {
            range.start = above(self.key(key));
        }
        self.scan(tree, range)
    }

    /// The records of which the key begins with what `part` is the key of, in order.
    pub(super) fn beginning_with<P: Key>(
        &self,
        tree: &Tree,
        part: &P,
    ) -> impl DoubleEndedIterator<Item = StoreResult<V>> + use<P, K, V> {
        let mut prefix = self.prefix();
        part.append_to(&mut prefix);
        prefix.push(0);
        self.scan(tree, beginning(prefix))
    }

    fn scan(&self, tree: &Tree, range: Range<Vec<u8>>) -> Records<V> {
        match self.layout {
            Layout::Alone => Box::new(tree.range(range).map(|found| {
                let (key, value) = found.map_err(sled_error)?;
                codec::decode(&key, &value)
            })),
            Layout::Runs => Box::new(runs::scan(tree, range).map(|found| {
                let (key, json) = found?;
                codec::parse(&key, &json)
            })),
        }
    }
}

type Records<V> = Box<dyn DoubleEndedIterator<Item = StoreResult<V>>>;

/// The keys that begin with `prefix`, whose last byte, which ends a name, is not the highest.
fn beginning(prefix: Vec<u8>) -> Range<Vec<u8>> {
    let mut end = prefix.clone();
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    prefix..end
}

/// The first key above `key`.
fn above(mut key: Vec<u8>) -> Vec<u8> {
    key.push(0);
    key
}

impl<K: Key, V: Serialize> Table<K, V> {
    /// The record under `key`, to be put.
    pub(super) fn row(&self, key: &K, record: &V) -> StoreResult<Row> {
        let key = self.key(key);
        let value = match self.layout {
            Layout::Alone => codec::encode(&key, record)?,
            Layout::Runs => codec::to_json(&key, record)?,
        };
        Ok(Row { layout: self.layout, key: key.into(), value })
    }

    /// Puts the record under `key`, whatever is there.
    pub(super) fn put(&self, transaction: &Transaction, key: &K, record: &V) -> StoreResult<()> {
        self.row(key, record)?.put(transaction)
    }

    /// Puts the record under `key`, where there must be nothing.
    pub(super) fn add(&self, transaction: &Transaction, key: &K, record: &V) -> StoreResult<()> {
        let row = self.row(key, record)?;
        if !row.is_new(transaction)? {
            return Err(StoreError::Conflict(format!("{} exists already", self.shown(key))));
        }
        row.put(transaction)
    }
}

impl<K: Key, V> Table<K, V> {
    /// The table `name`, in which each record is a `what`.
    pub(super) const fn new(name: &'static str, what: &'static str) -> Self {
        Self { name, what, layout: Layout::Alone, types: PhantomData }
    }

    /// The same, where records that are next to one another stand together (see [`runs`]).
    pub(super) const fn in_runs(name: &'static str, what: &'static str) -> Self {
        Self { name, what, layout: Layout::Runs, types: PhantomData }
    }

    /// The same table, its records seen as of another kind: to take of each no more than what is asked for.
    pub(super) const fn seen_as<W>(&self) -> Table<K, W> {
        Table { name: self.name, what: self.what, layout: self.layout, types: PhantomData }
    }

    /// Removes the record under `key`.
    pub(super) fn remove(&self, transaction: &Transaction, key: &K) -> StoreResult<()> {
        let key = self.key(key);
        match self.layout {
            Layout::Alone => transaction.remove(&key),
            Layout::Runs => runs::remove(transaction, &key)?,
        }
        Ok(())
    }

    /// The key in words.
    pub(super) fn shown(&self, key: &K) -> String {
        format!("{} {}", self.what, key.shown())
    }

    /// With what all of its keys begin.
    pub(super) fn prefix(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(KEY_BYTES_USUAL);
        bytes.extend_from_slice(self.name.as_bytes());
        bytes.push(b'/');
        bytes
    }

    fn key(&self, key: &K) -> Vec<u8> {
        let mut bytes = self.prefix();
        key.append_to(&mut bytes);
        bytes
    }
}

impl<A, B, V> Table<(A, B), V>
where
    A: Display + Key,
    B: Key,
    V: DeserializeOwned + 'static,
{
    /// The records of which the key begins with `first`, in order.
    pub(super) fn of(
        &self,
        tree: &Tree,
        first: &A,
    ) -> impl DoubleEndedIterator<Item = StoreResult<V>> + use<A, B, V> {
        self.beginning_with(tree, first)
    }

    /// The records of which the key begins with `first`, those above the one with `second` or all of
    /// them, in order.
    pub(super) fn of_after(
        &self,
        tree: &Tree,
        first: &A,
        second: Option<&B>,
    ) -> impl Iterator<Item = StoreResult<V>> + use<A, B, V> {
        let mut prefix = self.prefix();
        first.append_to(&mut prefix);
        prefix.push(0);
        let mut range = beginning(prefix);
        if let Some(second) = second {
            second.append_to(&mut range.start);
            range.start = above(range.start);
        }
        self.scan(tree, range)
    }
}

impl<K: Key, N: Key + Serialize + DeserializeOwned + 'static> Table<K, N> {
    /// The record of `table` to which this index points for `key`.
    pub(super) fn follow<V: DeserializeOwned + 'static>(
        &self,
        source: &impl Source,
        key: &K,
        table: &Table<N, V>,
    ) -> StoreResult<V> {
        self.pointed(source, &self.read(source, key)?, table)
    }

    /// The record of `table` with the name that is in this index.
    pub(super) fn pointed<V: DeserializeOwned + 'static>(
        &self,
        source: &impl Source,
        name: &N,
        table: &Table<N, V>,
    ) -> StoreResult<V> {
        table.find(source, name)?.ok_or_else(|| {
            StoreError::Corrupt(format!(
                "table `{}` points to {}, which does not exist",
                self.name,
                table.shown(name)
            ))
        })
    }

    /// Lets `to` point to `name`, and `from` no longer.
    pub(super) fn repoint(
        &self,
        transaction: &Transaction,
        from: &K,
        to: &K,
        name: &N,
    ) -> StoreResult<()>
    where
        K: PartialEq,
    {
        if from == to {
            return Ok(());
        }
        self.remove(transaction, from)?;
        self.add(transaction, to, name)
    }
}
