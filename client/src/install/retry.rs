//! That a version which failed here is tried once more, by an order from afar.
//!
//! The block goes, what the guards against loops have counted for it goes, and the order's number is
//! noted, all in one write of the journal: after a crash at any instant the order is carried out or is
//! still to be. A number that is not above the last one is of an order that was carried out.

use serde::{Deserialize, Serialize};

use super::{Error, Installation, engine::Engine, journal::Draft};
use crate::{
    format::{RetryOrder, Version, wire::EventKind},
    install::journal::Journal,
};

/// What was tried again by orders from afar.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Retries {
    /// The number of the order that was carried out last; 0 where none was.
    order_done: u64,
    /// How often each version was, since somebody at the machine lifted its block; the latest last.
    tried: Vec<Tried>,
}

/// A version that was tried again by orders from afar.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Tried {
    version: Version,
    times: u32,
}

impl Retries {
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Somebody at the machine has lifted the block of `version`: what was counted does not count.
    pub(super) fn forgive(&mut self, version: &Version) {
        self.tried.retain(|tried| tried.version != *version);
    }

    fn times(&self, version: &Version) -> u32 {
        self.tried.iter().find(|tried| tried.version == *version).map_or(0, |tried| tried.times)
    }

    fn count(&mut self, version: &Version, kept: usize) {
        let times = self.times(version).saturating_add(1);
        self.forgive(version);
        self.tried.push(Tried { version: version.clone(), times });
        let surplus = self.tried.len().saturating_sub(kept);
        self.tried.drain(..surplus);
    }
}

impl Installation {
    /// Carries out a technician's order to try a version again, unless that was done before: lifts the
    /// version's block and queues the event that it was lifted. Where the version was tried again too
    /// often already, the event is that this machine refuses.
    pub fn retry(&mut self, order: &RetryOrder) -> Result<(), Error> {
        let Engine { journal, limits, .. } = &self.engine;
        if order.number <= journal.retries.order_done {
            return Ok(());
        }
        let limits = limits.clone();
        let times = journal.retries.times(&order.version);
        let is_refused = times >= limits.retries_max;
        let running = journal.record.running.clone();
        self.engine.write(|journal| {
            journal.retries.order_done = order.number;
            let (kind, detail) = if is_refused {
                (EventKind::Refused, too_often(order, times))
            } else {
                (EventKind::Retried, journal.lift_for_retry(order, limits.history_kept))
            };
            let from = running.as_ref();
            let draft = Draft::about(kind, &order.version, &detail);
            journal.queue(&Draft { from, order: Some(order.number), ..draft }, &limits);
        })
    }

    /// Forgets which orders to try again were carried out: whoever numbered them does not direct this
    /// machine any more. How often each version was tried again is not forgotten.
    pub fn forget_retry_orders(&mut self) -> Result<(), Error> {
        if self.engine.journal.retries.order_done == 0 {
            return Ok(());
        }
        self.engine.write(|journal| journal.retries.order_done = 0)
    }
}

impl Journal {
    /// Takes away what keeps the version from being installed, and says what that was.
    fn lift_for_retry(&mut self, order: &RetryOrder, kept: usize) -> String {
        let version = &order.version;
        let lifted = self.record.block(version).map(|block| block.reason.clone());
        self.record.blocked.retain(|block| block.version != *version);
        self.stopped.take_if(|stopped| stopped.version == *version);
        self.given_up.take_if(|given_up| given_up.version == *version);
        let by = by(order);
        match lifted {
            Some(reason) => {
                self.retries.count(version, kept);
                format!("{by}; blocked until now: {reason}")
            }
            None => format!("{by}; it was not blocked here"),
        }
    }
}

fn too_often(order: &RetryOrder, times: u32) -> String {
    let version = &order.version;
    format!(
        "{}, and {version} was tried again {times} times by such orders: expected \
         `mainstay-agent unblock {version}` at the machine",
        by(order)
    )
}

/// By which order, and why.
fn by(order: &RetryOrder) -> String {
    let ticket = order.ticket.as_ref().map(|ticket| format!(" ({ticket})")).unwrap_or_default();
    format!("to be tried again by order {}{ticket}: {}", order.number, order.reason)
}
