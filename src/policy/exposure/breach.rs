use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use mainstay_client::format::{
    AdvisoryId, CustomerName, ProductName, Severity, Version, schema::Instant,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::CauseKind;
use crate::policy::notification::{Due, ExposureNews, Notification, Occasion};

/// Whether the time that was agreed for a fix is over.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum BreachState {
    /// It is.
    Breached,
    /// It will be, if nothing happens.
    Ahead,
}

impl BreachState {
    /// Its stable name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Breached => "breached",
            Self::Ahead => "ahead",
        }
    }
}

/// Machines of one customer that lack one fix, and have lacked it for longer than is agreed or will.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Breach {
    /// Whether the time is over.
    pub state: BreachState,
    /// By when the first of them was to have the fix.
    #[schemars(with = "Instant")]
    pub agreed_until: Timestamp,
    /// The product.
    pub product: ProductName,
    /// Whose machines they are.
    pub customer: CustomerName,
    /// What they lack the fix of.
    pub advisory: AdvisoryId,
    /// How severe it is.
    pub severity: Severity,
    /// The release that the first of them would have the fix from; nothing where it is not known which.
    pub remedy: Option<Version>,
    /// How many they are.
    pub machines: u64,
}

/// Machines of one customer that lack one fix and for which no time counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Apart {
    /// The product.
    pub product: ProductName,
    /// Whose machines they are.
    pub customer: CustomerName,
    /// What they lack the fix of.
    pub advisory: AdvisoryId,
    /// Why no time counts: `not_entitled` or `no_fix`.
    pub kind: CauseKind,
    /// How many they are.
    pub machines: u64,
}

/// What is known of one machine that lacks a fix.
#[derive(Clone, Debug)]
pub struct Lacking<'a> {
    /// The product.
    pub product: &'a ProductName,
    /// Whose machine it is.
    pub customer: &'a CustomerName,
    /// What it lacks the fix of.
    pub advisory: &'a AdvisoryId,
    /// How severe it is.
    pub severity: Severity,
    /// Why it lacks it.
    pub kind: CauseKind,
    /// The release that it would have it from.
    pub remedy: Option<&'a Version>,
    /// By when it is to have it; nothing where no time counts or none is agreed.
    pub agreed_until: Option<Timestamp>,
}

type Whose = (ProductName, CustomerName, AdvisoryId);

/// Breaches while they are counted: one entry for each customer and advisory, so that it takes no more
/// memory where a customer has more machines.
#[derive(Clone, Debug, Default)]
pub struct Breaches {
    breaches: BTreeMap<(Whose, BreachState), Breach>,
    apart: BTreeMap<(Whose, CauseKind), u64>,
}

impl Breaches {
    /// Counts a machine. One that is to have the fix after `until` is left out.
    pub fn count(&mut self, lacking: &Lacking<'_>, now: Timestamp, until: Timestamp) {
        let Lacking { product, customer, advisory, severity, kind, remedy, agreed_until } =
            *lacking;
        let whose = (product.clone(), customer.clone(), advisory.clone());
        if !kind.counts() {
            *self.apart.entry((whose, kind)).or_default() += 1;
            return;
        }
        let Some(agreed_until) = agreed_until.filter(|agreed_until| *agreed_until <= until) else {
            return;
        };
        let state = if agreed_until <= now { BreachState::Breached } else { BreachState::Ahead };
        let new = || Breach {
            state,
            agreed_until,
            product: product.clone(),
            customer: customer.clone(),
            advisory: advisory.clone(),
            severity,
            remedy: remedy.cloned(),
            machines: 0,
        };
        let breach = self.breaches.entry((whose, state)).or_insert_with(new);
        breach.machines += 1;
        if agreed_until < breach.agreed_until {
            breach.agreed_until = agreed_until;
            breach.remedy = remedy.cloned();
        }
    }

    /// What was counted: the breaches, those first that come first, and what stands apart.
    pub fn into_lists(self) -> (Vec<Breach>, Vec<Apart>) {
        let mut breaches: Vec<Breach> = self.breaches.into_values().collect();
        breaches.sort_by_key(|breach| breach.agreed_until);
        let apart = self.apart.into_iter().map(|((whose, kind), machines)| {
            let (product, customer, advisory) = whose;
            Apart { product, customer, advisory, kind, machines }
        });
        (breaches, apart.collect())
    }
}

/// How long before a breach it is told that it is ahead: a quarter of the time that was agreed, and at
/// most seven days.
pub fn told_ahead(agreed_days: u32) -> SignedDuration {
    let quarter = SignedDuration::from_hours(6 * i64::from(agreed_days));
    quarter.min(SignedDuration::from_hours(24 * 7))
}

/// For how long after a breach it is still told.
const BREACH_TOLD: SignedDuration = SignedDuration::from_hours(24 * 30);

impl Breach {
    /// What is told of it, once for each customer, product and advisory that is ahead, and once that is
    /// breached; nothing of what was long ago.
    pub fn due(&self, now: Timestamp) -> Option<Due> {
        let Self { state, agreed_until, product, customer, advisory, remedy, machines, .. } = self;
        if now.duration_since(*agreed_until) > BREACH_TOLD {
            return None;
        }
        let news = ExposureNews {
            product: product.clone(),
            customer: customer.clone(),
            version: remedy.clone()?,
            advisories: [advisory.clone()].into(),
            machines: *machines,
            agreed_until: *agreed_until,
        };
        let occasion = match state {
            BreachState::Breached => Occasion::ExposureBreached(news),
            BreachState::Ahead => Occasion::ExposureAhead(news),
        };
        let mark = format!("exposure/{}/{product}/{customer}/{advisory}", state.as_str());
        Some(Due { mark, notification: Notification { timestamp: now, occasion } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hours: i64) -> Timestamp {
        Timestamp::from_second(1_767_225_600 + 3600 * hours).unwrap()
    }

    #[test]
    fn breaches_are_counted_by_customer_and_told_once_in_time() {
        let (product, customer) = ("acme-db".parse().unwrap(), "acme".parse().unwrap());
        let (advisory, remedy) = ("CVE-2026-1".parse().unwrap(), "1.0.1".parse().unwrap());
        let lacking = |kind, agreed_until| Lacking {
            product: &product,
            customer: &customer,
            advisory: &advisory,
            severity: Severity::Major,
            kind,
            remedy: Some(&remedy),
            agreed_until,
        };
        let mut breaches = Breaches::default();
        let (now, until) = (at(10), at(20));
        for agreed in [Some(at(15)), Some(at(12)), Some(at(10)), Some(at(21)), None] {
            breaches.count(&lacking(CauseKind::Waiting, agreed), now, until);
        }
        breaches.count(&lacking(CauseKind::NotEntitled, None), now, until);
        let (found, apart) = breaches.into_lists();
        let told: Vec<_> =
            found.iter().map(|it| (it.state, it.agreed_until, it.machines)).collect();
        assert_eq!(told, [(BreachState::Breached, at(10), 1), (BreachState::Ahead, at(12), 2)]);
        assert_eq!((apart.len(), apart[0].machines), (1, 1));
        let marks: Vec<_> = found.iter().filter_map(|it| Some(it.due(now)?.mark)).collect();
        let expected =
            ["breached", "ahead"].map(|it| format!("exposure/{it}/acme-db/acme/CVE-2026-1"));
        assert_eq!(marks, expected);
        assert_eq!(found[0].due(at(10 + 24 * 31)), None, "it was long ago");
    }

    #[test]
    fn it_is_told_a_quarter_ahead_and_at_most_a_week() {
        let told = [1, 3, 28, 30, 365].map(|days| told_ahead(days).as_hours());
        assert_eq!(told, [6, 18, 168, 168, 168]);
    }
}
