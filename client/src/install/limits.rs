use std::{path::PathBuf, time::Duration};

use crate::pack;

/// What the install engine keeps, how much of it, and how large things may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many confirmed trees stay. The running one and the one before it stay in any case.
    pub trees_kept: usize,
    /// How many copies of the program's data stay, the newest.
    pub snapshots_kept: usize,
    /// The directories of the program's data beside `data`: absolute, or relative to the root.
    pub data_directories: Vec<PathBuf>,
    /// How many bytes of data are copied at the most before a switch.
    pub data_bytes_max: u64,
    /// How many undelivered events stay, the newest.
    pub events_kept: usize,
    /// How many confirmed and how many blocked versions are remembered, the newest.
    pub history_kept: usize,
    /// How much of a health check's output is kept, in bytes: the end of it.
    pub output_bytes_max: usize,
    /// The longest journal that is read, in bytes.
    pub journal_bytes_max: u64,
    /// How much space is left free whatever is installed, in bytes.
    pub reserve_bytes: u64,
    /// How long another process that holds the lock is waited for.
    pub lock_wait: Duration,
    /// How often the recovery from a crash may itself be cut off. After that the version before
    /// runs again with the data as they are, and the copy of the data is laid aside.
    pub recoveries_max: u32,
    /// How often in a row the machine may stop while one version is being switched on, before
    /// that counts as a failure of the version.
    pub interruptions_max: u32,
    /// How often a machine may be started while a version is on probation, before that counts as a
    /// failure of the version.
    pub probation_starts_max: u32,
    /// How often one version is tried again by orders from afar, before only somebody at the machine may
    /// lift its block: whoever steals the key that signs plans cannot have a machine try a bad release
    /// for ever.
    pub retries_max: u32,
    /// How large a payload may be.
    pub pack: pack::Limits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            trees_kept: 3,
            snapshots_kept: 3,
            data_directories: Vec::new(),
            data_bytes_max: u64::MAX,
            events_kept: 100,
            history_kept: 100,
            output_bytes_max: 16 << 10,
            journal_bytes_max: 64 << 20,
            reserve_bytes: 16 << 20,
            lock_wait: Duration::ZERO,
            recoveries_max: 5,
            interruptions_max: 3,
            probation_starts_max: 5,
            retries_max: 5,
            pack: pack::Limits::default(),
        }
    }
}
