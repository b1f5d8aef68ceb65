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
    store::{AuditEntry, StoreError, StoreResult},
};

/// How long attempts of somebody that are alike are one.
const WINDOW: SignedDuration = SignedDuration::from_mins(10);

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
        let actor = match token {
            Some(token) => self.bearer_of(token).await?.unwrap_or_else(|| "nobody".to_owned()),
            None => "nobody".to_owned(),
        };
        let now = self.clock.now();
        let attempt = format!("{request} {}", error.code());
        let Some(passed_over) = self.denials.note(&actor, attempt, now, &self.limits) else {
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
    async fn bearer_of(&self, token: &str) -> ServiceResult<Option<String>> {
        let digest = Digest::of(token.as_bytes());
        Ok(if token.starts_with(MACHINE_TOKEN_PREFIX) {
            found(self.meta.machine_by_token(&digest).await)?.map(|machine| machine.as_actor())
        } else {
            let token = found(self.meta.token(&digest).await)?;
            token.map(|token| format!("{} ({})", token.id, token.label))
        })
    }
}

fn found<T>(outcome: StoreResult<T>) -> StoreResult<Option<T>> {
    match outcome {
        Err(StoreError::NotFound(_)) => Ok(None),
        other => other.map(Some),
    }
}

/// What was written down lately.
#[derive(Debug, Default)]
pub(super) struct Denials(Mutex<BTreeMap<String, Lately>>);

/// What was written down of one actor.
#[derive(Debug)]
struct Lately {
    since: Timestamp,
    attempts: BTreeSet<String>,
    passed_over: u64,
}

impl Denials {
    /// Whether an attempt is to be written down: then how many of the actor's were passed over before.
    fn note(&self, actor: &str, attempt: String, now: Timestamp, limits: &Limits) -> Option<u64> {
        let mut actors = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !actors.contains_key(actor) && actors.len() >= limits.denied_actors_max {
            actors.retain(|_, lately| !lately.is_over(now));
            if actors.len() >= limits.denied_actors_max {
                return None;
            }
        }
        let lately = actors.entry(actor.to_owned()).or_insert_with(|| Lately::new(now));
        if lately.is_over(now) {
            let passed_over = lately.passed_over;
            *lately = Lately { passed_over, ..Lately::new(now) };
        }
        let is_new =
            lately.attempts.len() < limits.denials_of_actor_max && lately.attempts.insert(attempt);
        if is_new {
            Some(std::mem::take(&mut lately.passed_over))
        } else {
            lately.passed_over += 1;
            None
        }
    }
}

impl Lately {
    const fn new(now: Timestamp) -> Self {
        Self { since: now, attempts: BTreeSet::new(), passed_over: 0 }
    }

    fn is_over(&self, now: Timestamp) -> bool {
        now.duration_since(self.since) >= WINDOW
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
        let denials = Denials::default();
        let note =
            |minutes, attempt: &str| denials.note("one", attempt.to_owned(), at(minutes), &LIMITS);
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
        let denials = Denials::default();
        let note = |minutes, actor: &str, attempt: u64| {
            denials.note(actor, attempt.to_string(), at(minutes), &LIMITS)
        };
        for attempt in 0..100 {
            assert_eq!(note(0, "one", attempt).is_some(), attempt < 2);
        }
        assert_eq!(note(5, "other", 0), Some(0));
        assert_eq!(note(6, "third", 0), None, "there is room for two");
        assert_eq!(note(12, "third", 0), Some(0), "the first is forgotten");
        assert_eq!(denials.0.lock().unwrap().len(), 2);
    }
}
