//! A machine's whole story: what it runs, what was tried and how it ended, what it is offered and why,
//! what it was told, what people wanted of it, and which ends are near.

use jiff::Timestamp;
use mainstay_client::format::{CustomerName, MachineName, Notice, schema::Instant};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Actor, Hidden, Service, ServiceError, ServiceResult,
    seats::SeatStanding,
    standing::ProductStanding,
    support::{Explanation, MachineStanding, NextStep, explanations, next_step},
};
use crate::{
    policy::{Line, State, contract::days_after},
    store::{AuditRecord, EventRecord, MachineRecord, PlanSummary},
};

/// How much of each list is told where nobody says.
const LAST_DEFAULT: usize = 50;

/// `GET /v1/machines/{machine}`.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShowMachine {
    /// So many of the last events, plans and actions, 1 to 1,000; 50 where it is absent.
    #[serde(default)]
    pub last: Option<usize>,
}

/// A machine and its story.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct MachineView {
    /// The machine.
    pub machine: MachineRecord,
    /// Whether what it reports as running is a release that its customer may know of; nothing where
    /// nothing runs.
    pub known: Option<bool>,
    /// What it reported last, the oldest first.
    pub events: Vec<EventRecord>,
    /// What it would be told if it checked now.
    pub next: NextStep,
    /// Why: the release that runs, the one that comes next, and those above that are withheld, the
    /// lowest version first.
    pub releases: Vec<Explanation>,
    /// What ends soon or has ended, as its owner is told with that.
    #[serde(default)]
    pub notices: Vec<Notice>,
    /// Whether it has a seat of its contract.
    pub seat: SeatStanding,
    /// What its contract says of time.
    pub contract: ContractDates,
    /// The line that runs, and its dates; nothing where nothing runs.
    pub line: Option<Line>,
    /// The plans that it was sent last, the oldest first.
    pub plans: Vec<PlanSummary>,
    /// What is ordered of it together with other machines, and not done yet, in sentences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub wanted: Vec<String>,
    /// What was done with it last, and by whom, the oldest first.
    pub actions: Vec<ActionView>,
    /// Of which lists there is more.
    pub older: Older,
}

/// What a contract says of time, at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ContractDates {
    /// Whether it grants anything; nothing where it has not begun.
    pub state: Option<State>,
    /// Until when it is paid for.
    #[schemars(with = "Option<Instant>")]
    pub paid_until: Option<Timestamp>,
    /// Until when patches that come out after that are in it; nothing where none are.
    #[schemars(with = "Option<Instant>")]
    pub grace_until: Option<Timestamp>,
    /// Until when security patches that come out after that are in it; nothing where none are.
    #[schemars(with = "Option<Instant>")]
    pub security_until: Option<Timestamp>,
}

/// Something that was done with a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ActionView {
    /// The number of its record in the audit trail.
    pub number: u64,
    /// When.
    #[schemars(with = "Instant")]
    pub at: Timestamp,
    /// Who.
    pub by: String,
    /// What: the verb, as the audit trail has it.
    pub action: String,
    /// Why.
    pub reason: Option<String>,
    /// The ticket that it belongs to.
    pub ticket: Option<String>,
    /// Whatever else there is to know.
    pub detail: String,
}

/// Of which lists there is more than is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Older {
    /// It has reported more.
    pub events: bool,
    /// It was sent more plans that are remembered.
    pub plans: bool,
    /// More was done with it.
    pub actions: bool,
}

impl Older {
    /// Whether there is more of any.
    pub fn is_any(self) -> bool {
        self.events || self.plans || self.actions
    }
}

impl Service {
    /// One machine with its story. What happened before it went over to its customer is not told.
    pub async fn story(
        &self,
        actor: &Actor,
        name: &MachineName,
        question: ShowMachine,
    ) -> ServiceResult<MachineView> {
        let max = self.limits.page_records_max;
        let last = question.last.unwrap_or(LAST_DEFAULT);
        if !(1..=max).contains(&last) {
            return Err(ServiceError::input(format!("last is {last}: expected 1 to {max}")));
        }
        let machine = self.machine_in(&actor.scope, name).await?;
        let standing = self.standing(&machine.contract, &machine.product).await?;
        let mut events = self.meta.events(name, last + 1).await?;
        events.retain(|told| told.event.number > machine.event_number_before);
        let mut plans = self.meta.plans_sent(name, last + 1).await?;
        plans.retain(|plan| plan.customer == machine.customer);
        let records = self.meta.audit_of(name.as_str(), last + 1).await?;
        let mut actions = own_actions(records, &machine.customer);
        actions.reverse();
        let older = Older {
            events: keep_last(&mut events, last),
            plans: keep_last(&mut plans, last),
            actions: keep_last(&mut actions, last),
        };
        let seat = self.seat(&standing, &machine).await?;
        let mut releases = explanations(&standing, &machine, seat, |code| {
            actor.scope.shows(code, Hidden::LeftOut)
        });
        releases.retain(|it| {
            use MachineStanding::{Next, Running, Withheld};
            matches!(it.standing, Running | Next | Withheld)
        });
        releases.truncate(self.limits.withheld_max);
        let running = machine.running.as_ref();
        Ok(MachineView {
            known: running.map(|running| standing.known_release(running).is_some()),
            events,
            next: next_step(&standing, &machine, seat),
            releases,
            notices: standing.notices(&machine),
            seat: self.shown_seat(&machine, seat),
            contract: contract_dates(&standing),
            line: running.map(|running| standing.catalogue().line(running.line())),
            plans,
            wanted: self.wanted_of(name).await?,
            actions,
            older,
            machine,
        })
    }
}

/// Leaves the last ones, and says whether there were more.
fn keep_last<T>(told: &mut Vec<T>, last: usize) -> bool {
    let more = told.len().saturating_sub(last);
    told.drain(..more);
    more > 0
}

/// What was done with a machine since it went over to its customer, the newest first as the records
/// are.
fn own_actions(records: Vec<AuditRecord>, customer: &CustomerName) -> Vec<ActionView> {
    let mut own = Vec::new();
    for AuditRecord { number, entry, .. } in records {
        let before = entry.before.as_ref().and_then(|before| before.get("customer")?.as_str());
        let came_over = before.is_some_and(|before| before != customer.as_str());
        own.push(ActionView {
            number,
            at: entry.at,
            by: entry.actor,
            action: entry.action,
            reason: entry.reason,
            ticket: entry.ticket,
            detail: entry.detail,
        });
        if came_over {
            break;
        }
    }
    own
}

fn contract_dates(standing: &ProductStanding) -> ContractDates {
    let contract = standing.contract();
    let paid_until = contract.and_then(|contract| contract.paid_until(standing.now()));
    let after = |days: u32| paid_until.filter(|_| days > 0).map(|until| days_after(until, days));
    let (grace, tail) =
        contract.map_or((0, 0), |contract| (contract.grace_days, contract.security_tail_days));
    ContractDates {
        state: contract.map(|contract| contract.state),
        paid_until,
        grace_until: after(grace),
        security_until: after(grace.max(tail)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_a_list_are_kept() {
        let mut list = vec![1, 2, 3];
        assert!(!keep_last(&mut list, 3));
        assert!(keep_last(&mut list, 2));
        assert_eq!(list, [2, 3]);
        assert!(!keep_last(&mut list, 9));
    }
}
