//! Answers to checks that still hold. Most checks say what the one before them said, and find everything
//! as it was: they get the same answer, byte for byte, and nothing is read, decided, signed or written for
//! them.
//!
//! An answer holds for the machine that asks the same again, as long as no record has changed on which it
//! depends ([`Changes`](crate::store::Changes)) and no instant has come at which something else would be
//! decided. When such a machine was last heard of is noted in memory, and written with that of others.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
};

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use mainstay_client::format::{MachineName, wire::CheckResponse};

use super::{Service, ServiceResult, check::SEEN_STEP};
use crate::store::{MachineRecord, Moment};

/// How long an answer holds at most.
pub(super) const ANSWER_LIFETIME: SignedDuration = SignedDuration::from_hours(1);
/// What an answer takes in memory beside its bytes and its question's, about.
const ANSWER_OVERHEAD_BYTES: usize = 300;
/// Of how many machines it is written in one step when they were last heard of.
const SEEN_WRITTEN: usize = 256;

/// An answer that was worked out, and for how long it holds.
pub struct Answered {
    /// The answer.
    pub response: CheckResponse,
    /// Nothing where it is not known that it holds any longer.
    pub holds: Option<Holds>,
}

/// For whom and how long an answer holds.
#[derive(Clone, Debug)]
pub struct Holds {
    pub(super) machine: MachineName,
    pub(super) moment: Moment,
    /// The generation of the allocations, where it depends on whether the machine has a seat.
    pub(super) seats: Option<u64>,
    pub(super) until: Timestamp,
    pub(super) seen_at: Timestamp,
}

/// What was asked, and how the answer is to travel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The request's body.
    pub body: Bytes,
    /// Whether whoever asks takes zstd.
    pub takes_zstd: bool,
}

/// An answer as it travels.
#[derive(Clone, Debug)]
pub struct Encoded {
    /// The bytes.
    pub body: Bytes,
    /// Whether they are compressed by zstd.
    pub is_zstd: bool,
}

/// An answer that was given.
#[derive(Debug)]
pub struct LastAnswer {
    question: Question,
    encoded: Encoded,
    holds: Holds,
    /// When the machine was last heard of, in seconds.
    seen_at: AtomicI64,
}

impl LastAnswer {
    /// The machine.
    pub fn machine(&self) -> &MachineName {
        &self.holds.machine
    }
}

impl Service {
    /// The last answer to whoever bears `token`, where it holds still. Whoever bears it is then a machine
    /// that is enrolled.
    pub fn last_answer(&self, token: &str) -> Option<Arc<LastAnswer>> {
        let answer = self.answers.find(token)?;
        let Holds { moment, seats, until, .. } = &answer.holds;
        let holds = self.meta.changes().none_since(moment)
            && self.clock.now() < *until
            && seats.is_none_or(|seats| seats == self.allocations.generation());
        holds.then_some(answer)
    }

    /// An answer that holds, if the machine asks the same again.
    pub fn answer_again(&self, answer: &LastAnswer, question: &Question) -> Option<Encoded> {
        if answer.question != *question {
            return None;
        }
        let now = self.clock.now();
        let seen_at = answer.seen_at.load(Ordering::Relaxed);
        if now.as_second() - seen_at >= SEEN_STEP.as_secs() {
            answer.seen_at.store(now.as_second(), Ordering::Relaxed);
            self.answers.note_seen(answer.machine(), now);
        }
        Some(answer.encoded.clone())
    }

    /// The machine to which an answer was given that is not good for what it asks now.
    pub async fn machine_that_asked(&self, answer: &LastAnswer) -> ServiceResult<MachineRecord> {
        Ok(self.meta.machine(answer.machine()).await?)
    }

    /// Keeps the answer to `question` of the machine that bears `token`.
    pub fn keep_answer(&self, token: &str, question: Question, answer: &Encoded, holds: Holds) {
        let seen_at = AtomicI64::new(holds.seen_at.as_second());
        let answer = LastAnswer { question, encoded: answer.clone(), holds, seen_at };
        self.answers.keep(token, answer);
    }

    /// Writes down when machines were last heard of that were given an answer again.
    pub async fn write_seen(&self) -> ServiceResult<()> {
        let seen: Vec<_> = self.answers.take_seen().into_iter().collect();
        for some in seen.chunks(SEEN_WRITTEN) {
            self.meta.note_seen(some.to_vec()).await?;
        }
        Ok(())
    }
}

/// The answers that are kept, by their machines' tokens. Those give way that were not given for longest.
///
/// Here, in memory and nowhere else, tokens are as they came: without instructions for SHA-256, a digest takes
/// as long as a fifth of all that such an answer takes.
pub(super) struct Answers {
    bytes_max: usize,
    kept: Mutex<Kept>,
    seen: Mutex<HashMap<MachineName, Timestamp>>,
}

/// When the newer answers take half of the room, they become the older ones.
#[derive(Default)]
struct Kept {
    newer: HashMap<Box<str>, Arc<LastAnswer>>,
    newer_bytes: usize,
    older: HashMap<Box<str>, Arc<LastAnswer>>,
}

impl Answers {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, kept: Mutex::default(), seen: Mutex::default() }
    }

    fn find(&self, token: &str) -> Option<Arc<LastAnswer>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = kept.newer.get(token) {
            return Some(Arc::clone(found));
        }
        let found = kept.older.remove(token)?;
        kept.add(token, Arc::clone(&found), self.bytes_max);
        Some(found)
    }

    fn keep(&self, token: &str, answer: LastAnswer) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.older.remove(token);
        kept.add(token, Arc::new(answer), self.bytes_max);
    }

    fn note_seen(&self, machine: &MachineName, at: Timestamp) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.insert(machine.clone(), at);
    }

    fn take_seen(&self) -> HashMap<MachineName, Timestamp> {
        std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Kept {
    fn add(&mut self, token: &str, answer: Arc<LastAnswer>, bytes_max: usize) {
        let bytes = weight(&answer);
        let before = self.newer.insert(token.into(), answer);
        self.newer_bytes += bytes;
        self.newer_bytes -= before.as_deref().map_or(0, weight);
        if self.newer_bytes > bytes_max / 2 {
            self.older = std::mem::take(&mut self.newer);
            self.newer_bytes = 0;
        }
    }
}

fn weight(answer: &LastAnswer) -> usize {
    answer.encoded.body.len() + answer.question.body.len() + ANSWER_OVERHEAD_BYTES
}
