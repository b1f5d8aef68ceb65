//! Denied attempts: who was turned away from what is in the audit trail, and cannot flood it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
};

use jiff::{SignedDuration, Timestamp};
use mainstay_client::format::Digest;

use super::{Service, ServiceError, ServiceResult, access::MACHINE_TOKEN_PREFIX};
use crate::{
    limits::Limits,
    store::{AuditEntry, found},
};

/// How long attempts of a person that are alike are one.
const WINDOW: SignedDuration = SignedDuration::from_mins(10);
/// How long those of a machine are: one that is retired goes on trying for as long as it runs.
const MACHINE_WINDOW: SignedDuration = SignedDuration::from_hours(24);

/// Somebody was turned away.
#[derive(Clone, Debug)]
pub struct Denial<'a> {
    /// The secret that they bore, where they bore one.
    pub token: Option<&'a str>,
    /// From where.
    pub address: Option<String>,
    /// What they asked for: method and path.
    pub request: String,
    /// What they were told.
    pub error: &'a ServiceError,
}

impl Service {
    /// Writes down that somebody was turned away, unless that was written down of them a short while
    /// ago. How many were passed over is told by the next that is written.
    pub async fn record_denial(&self, denial: Denial<'_>) -> ServiceResult<()> {
        let Denial { token, address, request, error } = denial;
        let bearer = match token {
            Some(token) => self.bearer_of(token).await?,
            None => Bearer::Nobody,
        };
        let now = self.clock.now();
        let attempt = format!("{request} {}", error.code());
        let denials = match bearer {
            Bearer::Machine(_) => &self.denials.machines,
            Bearer::Person(_) | Bearer::Nobody => &self.denials.people,
        };
        let actor = bearer.name();
        let Some(passed_over) = denials.note(&actor, attempt, now, &self.limits) else {
            return Ok(());
        };
        tracing::info!(actor, address, request, code = error.code(), "denied");
        let mut detail = format!("{}: {}", error.code(), error.message());
        if passed_over > 0 {
            detail = format!("{detail} ({passed_over} more attempts before were not written down)");
        }
        let entry = AuditEntry {
            at: now,
            actor,
            address,
            action: "denied".to_owned(),
            subject: request.chars().take(self.limits.remark_chars_max).collect(),
            reason: None,
            ticket: None,
            detail,
            before: None,
        };
        Ok(self.meta.record_audit(entry).await?)
    }

    /// Who a token was made for, whether or not it is accepted now.
    async fn bearer_of(&self, token: &str) -> ServiceResult<Bearer> {
        let digest = Digest::of(token.as_bytes());
        let bearer = if token.starts_with(MACHINE_TOKEN_PREFIX) {
            let machine = found(self.meta.machine_by_token(&digest).await)?;
            machine.map(|machine| Bearer::Machine(machine.as_actor()))
        } else {
            let token = found(self.meta.token(&digest).await)?;
            token.map(|token| Bearer::Person(format!("{} ({})", token.id, token.label)))
        };
        Ok(bearer.unwrap_or(Bearer::Nobody))
    }
}

/// Who was turned away.
enum Bearer {
    Machine(String),
    Person(String),
    /// Somebody whose token is not known, or who has none.
    Nobody,
}

impl Bearer {
    fn name(self) -> String {
        match self {
            Self::Machine(name) | Self::Person(name) => name,
            Self::Nobody => "nobody".to_owned(),
        }
    }
}

/// What was written down lately. Machines are counted apart: however many of them are turned away,
/// what people try is written down.
#[derive(Debug)]
pub(super) struct Denials {
    people: Lately,
    machines: Lately,
}

impl Default for Denials {
    fn default() -> Self {
        Self { people: Lately::new(WINDOW), machines: Lately::new(MACHINE_WINDOW) }
    }
}

/// What was written down lately of actors of one kind.
#[derive(Debug)]
struct Lately {
    window: SignedDuration,
    actors: Mutex<BTreeMap<String, Attempts>>,
}

/// What was written down of one actor.
#[derive(Debug)]
struct Attempts {
    since: Timestamp,
    known: BTreeSet<String>,
    passed_over: u64,
}

impl Lately {
    const fn new(window: SignedDuration) -> Self {
        Self { window, actors: Mutex::new(BTreeMap::new()) }
    }

    /// Whether an attempt is to be written down: then how many of the actor's were passed over before.
    fn note(&self, actor: &str, attempt: String, now: Timestamp, limits: &Limits) -> Option<u64> {
        let mut actors = self.actors.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = |attempts: &Attempts| now.duration_since(attempts.since) >= self.window;
        if !actors.contains_key(actor) && actors.len() >= limits.denied_actors_max {
            actors.retain(|_, attempts| !is_over(attempts));
            if actors.len() >= limits.denied_actors_max {
                return None;
            }
        }
        let attempts = actors.entry(actor.to_owned()).or_insert_with(|| Attempts::new(now));
        if is_over(attempts) {
            let passed_over = attempts.passed_over;
            *attempts = Attempts { passed_over, ..Attempts::new(now) };
        }
        let is_new =
            attempts.known.len() < limits.denials_of_actor_max && attempts.known.insert(attempt);
        if is_new {
            Some(std::mem::take(&mut attempts.passed_over))
        } else {
            attempts.passed_over += 1;
            None
        }
    }
}

impl Attempts {
    const fn new(since: Timestamp) -> Self {
        Self { since, known: BTreeSet::new(), passed_over: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits =
        Limits { denials_of_actor_max: 2, denied_actors_max: 2, ..Limits::DEFAULT };

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_second(60 * minutes).unwrap()
    }

    #[test]
    fn what_is_alike_is_written_once_in_a_while_and_the_rest_is_counted() {
        let people = Lately::new(WINDOW);
        let note =
            |minutes, attempt: &str| people.note("one", attempt.to_owned(), at(minutes), &LIMITS);
        assert_eq!(note(0, "a"), Some(0));
        assert_eq!(note(1, "a"), None);
        assert_eq!(note(1, "b"), Some(1));
        assert_eq!(note(2, "c"), None, "a third kind in one window");
        assert_eq!(note(9, "a"), None);
        assert_eq!(note(10, "a"), Some(2));
        assert_eq!(note(11, "b"), Some(0));
    }

    #[test]
    fn one_who_floods_keeps_nobody_else_out_and_many_do_not_fill_the_memory() {
        let people = Lately::new(WINDOW);
        let note = |minutes, actor: &str, attempt: u64| {
            people.note(actor, attempt.to_string(), at(minutes), &LIMITS)
        };
        for attempt in 0..100 {
            assert_eq!(note(0, "one", attempt).is_some(), attempt < 2);
        }
        assert_eq!(note(5, "other", 0), Some(0));
        assert_eq!(note(6, "third", 0), None, "there is room for two");
        assert_eq!(note(12, "third", 0), Some(0), "the first is forgotten");
        assert_eq!(people.actors.lock().unwrap().len(), 2);
    }
}
