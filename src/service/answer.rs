//! Answers to checks that still hold. Most checks say what the one before them said, and find everything
//! as it was: they get the same answer, byte for byte, and nothing is read, decided, signed or written for
//! them.
//!
//! An answer holds for the machine that asks the same again, as long as no record has changed on which it
//! depends ([`Changes`](crate::store::Changes)) and no instant has come at which something else would be
//! decided. When such a machine was last heard of is noted in memory, and written with that of others.
//!
//! Of what machines ask and are told, that is kept which tells it from what others ask and are told.

#[cfg(test)]
mod tests;
mod text;

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

use self::text::Models;
pub use self::text::Text;
use super::{Service, ServiceResult, check::SEEN_STEP, pace::Busy};
use crate::store::{MachineRecord, Moment};

/// How long an answer holds at most.
pub(super) const ANSWER_LIFETIME: SignedDuration = SignedDuration::from_hours(1);
/// What an answer takes in memory beside the bytes of its own and its question's, about: the token, what it
/// depends on, and how far its machine is ahead.
const ANSWER_OVERHEAD_BYTES: usize = 550;
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

/// What is asked, and how the answer is to travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question<'a> {
    /// The request's body.
    pub body: &'a [u8],
    /// Whether whoever asks takes zstd.
    pub takes_zstd: bool,
}

/// An answer as it travels.
#[derive(Clone, Copy, Debug)]
pub struct Encoded<B = Bytes> {
    /// The bytes.
    pub body: B,
    /// Whether they are compressed by zstd.
    pub is_zstd: bool,
}

impl Encoded<&Text> {
    /// The same, written out.
    pub fn written(self) -> Encoded {
        Encoded { body: self.body.to_bytes(), is_zstd: self.is_zstd }
    }
}

/// An answer that was given.
#[derive(Debug)]
pub struct LastAnswer {
    asked: Text,
    body: Text,
    takes_zstd: bool,
    is_zstd: bool,
    holds: Holds,
    busy: Arc<Busy>,
    /// When the machine was last heard of, in seconds.
    seen_at: AtomicI64,
}

impl LastAnswer {
    /// The machine.
    pub fn machine(&self) -> &MachineName {
        &self.holds.machine
    }

    /// Whether this is what was asked.
    pub fn answers(&self, question: Question<'_>) -> bool {
        question.takes_zstd == self.takes_zstd && self.asked.is(question.body)
    }

    /// The same with others of the models.
    fn again(&self, models: &mut Models) -> (Self, usize) {
        let (asked, of_asked) = models.text(&self.asked.to_bytes());
        let (body, of_body) = models.text(&self.body.to_bytes());
        let Self { takes_zstd, is_zstd, ref holds, ref busy, ref seen_at, .. } = *self;
        let seen_at = AtomicI64::new(seen_at.load(Ordering::Relaxed));
        let (holds, busy) = (holds.clone(), Arc::clone(busy));
        (Self { asked, body, takes_zstd, is_zstd, holds, busy, seen_at }, of_asked + of_body)
    }

    /// What it takes in memory without the models.
    fn own_bytes(&self) -> usize {
        self.asked.own_bytes() + self.body.own_bytes() + ANSWER_OVERHEAD_BYTES
    }
}

impl Service {
    /// The last answer to whoever bears `token`, where it holds still at `now`. Whoever bears it is then a
    /// machine that is enrolled.
    pub fn last_answer(&self, token: &str, now: Timestamp) -> Option<Arc<LastAnswer>> {
        let answer = self.answers.find(token)?;
        let Holds { moment, seats, until, .. } = &answer.holds;
        let holds = self.meta.changes().none_since(moment)
            && now < *until
            && seats.is_none_or(|seats| seats == self.allocations.generation());
        holds.then_some(answer)
    }

    /// Refuses a machine that asks too often, to which an answer was given.
    pub fn require_pace_again(&self, answer: &LastAnswer, now: Timestamp) -> ServiceResult<()> {
        self.require_pace_of(answer.machine(), &answer.busy, now)
    }

    /// An answer that holds, if the machine asks the same again at `now`.
    pub fn answer_again<'a>(
        &self,
        answer: &'a LastAnswer,
        question: Question<'_>,
        now: Timestamp,
    ) -> Option<Encoded<&'a Text>> {
        if !answer.answers(question) {
            return None;
        }
        let seen_at = answer.seen_at.load(Ordering::Relaxed);
        if now.as_second() - seen_at >= SEEN_STEP.as_secs() {
            answer.seen_at.store(now.as_second(), Ordering::Relaxed);
            self.answers.note_seen(answer.machine(), now);
        }
        Some(Encoded { body: &answer.body, is_zstd: answer.is_zstd })
    }

    /// The machine to which an answer was given that is not good for what it asks now.
    pub async fn machine_that_asked(&self, answer: &LastAnswer) -> ServiceResult<MachineRecord> {
        Ok(self.meta.machine(answer.machine()).await?)
    }

    /// Keeps the answer to `question` of the machine that bears `token`.
    pub fn keep_answer(&self, token: &str, question: Question<'_>, answer: &Encoded, holds: Holds) {
        let busy = self.paces.of(&holds.machine, self.clock.now());
        self.answers.keep(token, |models| {
            let (asked, of_asked) = models.text(question.body);
            let (body, of_body) = models.text(&answer.body);
            let seen_at = AtomicI64::new(holds.seen_at.as_second());
            let Question { takes_zstd, .. } = question;
            let is_zstd = answer.is_zstd;
            let kept = LastAnswer { asked, body, takes_zstd, is_zstd, holds, busy, seen_at };
            (kept, of_asked + of_body)
        });
    }

    /// Writes down when machines were last heard of that were given an answer again.
    pub async fn write_seen(&self) -> ServiceResult<()> {
        loop {
            let seen = self.answers.take_seen(SEEN_WRITTEN);
            if seen.is_empty() {
                return Ok(());
            }
            self.meta.note_seen(seen).await?;
        }
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
    newer: Generation,
    older: Generation,
}

/// Answers, and the models of what was asked and answered.
#[derive(Default)]
struct Generation {
    answers: HashMap<Box<str>, Arc<LastAnswer>>,
    models: Models,
    /// What both take in memory. No other generation's answers have these models, so that they go with it.
    bytes: usize,
}

impl Answers {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, kept: Mutex::default(), seen: Mutex::default() }
    }

    fn find(&self, token: &str) -> Option<Arc<LastAnswer>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = kept.newer.answers.get(token) {
            return Some(Arc::clone(found));
        }
        let found = kept.older.answers.remove(token)?;
        Some(kept.add(token, |models| found.again(models), self.bytes_max))
    }

    fn keep(&self, token: &str, answer: impl FnOnce(&mut Models) -> (LastAnswer, usize)) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.older.answers.remove(token);
        kept.add(token, answer, self.bytes_max);
    }

    fn note_seen(&self, machine: &MachineName, at: Timestamp) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.insert(machine.clone(), at);
    }

    /// Some of the machines that were heard of, at most so many.
    fn take_seen(&self, count: usize) -> Vec<(MachineName, Timestamp)> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let names: Vec<_> = seen.keys().take(count).cloned().collect();
        names.into_iter().filter_map(|name| seen.remove_entry(&name)).collect()
    }
}

impl Kept {
    /// Adds an answer, which is made with the models of the others and tells how many bytes new ones take.
    fn add(
        &mut self,
        token: &str,
        answer: impl FnOnce(&mut Models) -> (LastAnswer, usize),
        bytes_max: usize,
    ) -> Arc<LastAnswer> {
        let Generation { answers, models, bytes } = &mut self.newer;
        let (answer, of_models) = answer(models);
        let answer = Arc::new(answer);
        *bytes += answer.own_bytes() + of_models;
        if let Some(before) = answers.insert(token.into(), Arc::clone(&answer)) {
            *bytes -= before.own_bytes();
        }
        if *bytes > bytes_max / 2 {
            self.older = std::mem::take(&mut self.newer);
        }
        answer
    }
}
