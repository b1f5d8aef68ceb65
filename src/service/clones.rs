//! Machines that seem to be two: a disk was copied, and with it the machine's key.
//!
//! Two signs are looked for, each of which a single machine gives by accident once at most:
//!
//! - it enrols again under another host's name while it was heard of within the last day;
//! - the version of the repository's timestamp that it knows falls twice within a week. A machine
//!   never forgets it, but of two copies the one is ahead of the other now and then. Once may be a
//!   machine that was put back from a backup.
//!
//! A suspicion changes nothing of what the machine gets.

use jiff::{SignedDuration, Timestamp};

use crate::store::{CloneRecord, MachineRecord};

/// Who enrols again under another name this long after the machine was heard of is somebody else.
const LATELY: SignedDuration = SignedDuration::from_hours(24);
/// What a machine knows may fall once within this time.
const FALLS_APART: SignedDuration = SignedDuration::from_hours(7 * 24);
/// After so long without a sign a suspicion is over.
pub(super) const SUSPICION_LIFETIME: SignedDuration = SignedDuration::from_hours(30 * 24);

impl MachineRecord {
    /// Takes in that the machine enrols again, as `host`.
    pub(super) fn note_host(&mut self, host: &str, now: Timestamp) {
        if self.host != host && now.duration_since(self.seen_at) < LATELY {
            let why = format!(
                "it was heard of as {} at {} and enrolled as {host} at {now}",
                self.host, self.seen_at
            );
            self.suspect_clone(why, now);
        }
        host.clone_into(&mut self.host);
    }

    /// Takes in which version of the repository's timestamp the machine knows; 0 for none, which is
    /// what it says after the server's keys were replaced.
    pub(super) fn note_memory(&mut self, timestamp: u64, now: Timestamp) {
        if let Some(clone) = &self.clone_suspected
            && now.duration_since(clone.last_at) >= SUSPICION_LIFETIME
        {
            self.clone_suspected = None;
        }
        if timestamp == 0 {
            return;
        }
        let before = std::mem::replace(&mut self.memory.timestamp, timestamp);
        if timestamp >= before {
            return;
        }
        let fell_at = self.memory.fell_at.replace(now);
        if fell_at.is_some_and(|fell_at| now.duration_since(fell_at) < FALLS_APART) {
            let why = format!(
                "it knew version {before} of the repository's timestamp and then version \
                 {timestamp}, for the second time within a week"
            );
            self.suspect_clone(why, now);
        }
    }

    fn suspect_clone(&mut self, why: String, now: Timestamp) {
        if let Some(known) = &mut self.clone_suspected {
            known.last_at = now;
            return;
        }
        tracing::warn!(machine = %self.name, why, "two machines seem to use one key");
        self.clone_suspected = Some(CloneRecord { at: now, last_at: now, why });
    }
}

impl CloneRecord {
    /// What the customer is told.
    pub(super) fn notice(&self) -> String {
        format!(
            "Two machines seem to use one key: {}. If one is a copy of the other, give it a key of \
             its own: `mainstay-agent enroll --new-machine` on the copy.",
            self.why
        )
    }
}
