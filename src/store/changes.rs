//! What has changed since something was worked out from the records, so that it need not be worked out
//! again where nothing has.

use std::{
    fmt,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
};

use mainstay_client::format::MachineName;

/// Machines share so many counters. Two that share one cost each other nothing but that something is worked
/// out once more.
const COUNTERS: usize = 1 << 16;

/// What an answer to a machine may depend on of what a transaction changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// No answer depends on it.
    Nothing,
    /// The answers to one machine do.
    Machine(MachineName),
    /// Any answer may.
    Everything,
}

/// Counts changes of the records.
pub struct Changes {
    everything: AtomicU64,
    machines: Box<[AtomicU32]>,
}

/// How far the changes that concern one machine had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    everything: u64,
    machine: u32,
    counter: usize,
}

impl Changes {
    /// The moment, of `machine`. What is read afterwards is no older.
    pub fn moment(&self, machine: &MachineName) -> Moment {
        let counter = Self::counter(machine);
        Moment { everything: self.of_everything(), machine: self.machine(counter), counter }
    }

    /// How many changes have concerned everything. What is read afterwards is no older.
    pub fn of_everything(&self) -> u64 {
        self.everything.load(Ordering::SeqCst)
    }

    /// Whether nothing that concerns the machine has changed since.
    pub fn none_since(&self, moment: &Moment) -> bool {
        let Moment { everything, machine, counter } = *moment;
        self.of_everything() == everything && self.machine(counter) == machine
    }

    /// Counts a change, after it can be read and before whoever made it is told.
    pub fn note(&self, reach: &Reach) {
        match reach {
            Reach::Nothing => {}
            Reach::Machine(machine) => {
                if let Some(counter) = self.machines.get(Self::counter(machine)) {
                    counter.fetch_add(1, Ordering::SeqCst);
                }
            }
            Reach::Everything => {
                self.everything.fetch_add(1, Ordering::SeqCst);
            }
        }
    }

    fn machine(&self, counter: usize) -> u32 {
        self.machines.get(counter).map_or(0, |counter| counter.load(Ordering::SeqCst))
    }

    fn counter(machine: &MachineName) -> usize {
        // The server gives machines their names, so nobody chooses who shares a counter with whom.
        let mut hasher = DefaultHasher::new();
        machine.hash(&mut hasher);
        usize::try_from(hasher.finish() % COUNTERS as u64).unwrap_or_default()
    }
}

impl Moment {
    /// The moment after one more change of the machine.
    #[must_use]
    pub fn after_change(self) -> Self {
        Self { machine: self.machine.wrapping_add(1), ..self }
    }
}

impl Default for Changes {
    fn default() -> Self {
        let machines = (0..COUNTERS).map(|_| AtomicU32::new(0)).collect();
        Self { everything: AtomicU64::new(0), machines }
    }
}

impl fmt::Debug for Changes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Changes").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_noticed_by_those_whom_it_concerns() {
        let changes = Changes::default();
        let [one, other]: [MachineName; 2] = ["m-1", "m-2"].map(|name| name.parse().unwrap());
        let moment = changes.moment(&one);
        changes.note(&Reach::Nothing);
        changes.note(&Reach::Machine(other.clone()));
        assert!(changes.none_since(&moment));
        changes.note(&Reach::Machine(one.clone()));
        assert!(!changes.none_since(&moment));
        assert!(changes.none_since(&moment.after_change()));

        let moments = [&one, &other].map(|machine| changes.moment(machine));
        changes.note(&Reach::Everything);
        assert!(moments.iter().all(|moment| !changes.none_since(moment)));
    }
}
