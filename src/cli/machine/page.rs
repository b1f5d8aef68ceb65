use std::fmt::Write as _;

use mainstay_client::format::wire::{Awaited, Waiting};

use super::super::output::{or_dash, said, table};
use crate::{
    policy::{Line, State},
    service::{
        seats::SeatStanding,
        story::{ActionView, ContractDates, MachineView},
        support::{Explanation, MachineStanding},
    },
    store::{
        CollectionRecord, CollectionState, EventRecord, MachineBlock, MachineRecord, OrderRecord,
        OrderState, PinEnd, PlanSummary, RetryRecord,
    },
};

/// How many events, plans and actions have room on the page, of each.
pub(super) const LAST: usize = 10;
/// How many of the releases that are withheld have room on the page.
const WITHHELD_SHOWN: usize = 5;

/// A machine's whole story for a person: how it is, and what led there, the newest first.
pub(super) fn page(view: &MachineView) -> String {
    let MachineView { machine, events, releases, notices, plans, actions, older, .. } = view;
    let mut page = how_it_is(view);
    page.extend(remarks(machine));
    for wanted in &view.wanted {
        let _infallible = write!(page, "\n\n{wanted}");
    }
    for notice in notices {
        let _infallible = write!(page, "\n\nNotice: {} ({})", notice.message, notice.code);
    }
    let tables = [
        blocked(&machine.blocks),
        offered(releases, machine),
        tried(events),
        sent(plans),
        done(actions),
    ];
    for table in tables.into_iter().flatten() {
        let _infallible = write!(page, "\n\n{table}");
    }
    if older.is_any() {
        let shown = events.len().max(plans.len()).max(actions.len());
        let _infallible = write!(page, "\n\nThere is more: --last {}", (10 * shown).min(1000));
    }
    page
}

fn how_it_is(view: &MachineView) -> String {
    let MachineView { machine, next, seat, contract, line, known, .. } = view;
    let confirmed: Vec<_> = machine.confirmed.iter().map(ToString::to_string).collect();
    let runs = match (&machine.running, known) {
        (None, _) => "-".to_owned(),
        (Some(running), Some(false)) => format!("{running}, which is no release of the vendor's"),
        (Some(running), _) if machine.confirmed.contains(running) => {
            format!("{running}, confirmed")
        }
        (Some(running), _) => format!("{running}, not confirmed"),
    };
    let next_version = next.version.as_ref().map_or_else(String::new, ToString::to_string);
    let rows = [
        ("host", machine.host.clone()),
        ("customer", machine.customer.to_string()),
        ("contract", format!("{}, {}", machine.contract, contract_line(contract))),
        ("product", format!("{} on {}", machine.product, machine.platform)),
        ("ring", machine.ring.to_string()),
        ("runs", runs),
        ("line", line.as_ref().map_or_else(|| "-".to_owned(), line_dates)),
        ("confirmed", confirmed.join(", ")),
        ("seat", seat_line(*seat, machine)),
        ("enrolled", machine.enrolled_at.to_string()),
        ("seen", machine.seen_at.to_string()),
        ("agent", machine.agent.clone()),
        ("system", or_dash(machine.facts.as_ref())),
        ("at its next check", format!("{} {next_version}", next.action)),
        ("waits", machine.waits.as_deref().map_or_else(|| "-".to_owned(), waits_line)),
    ];
    table(["MACHINE", machine.name.as_str()], rows.map(|(name, value)| [name.to_owned(), value]))
}

fn contract_line(contract: &ContractDates) -> String {
    let ContractDates { state, paid_until, grace_until, security_until } = contract;
    let state = match state {
        None => return "which has not begun".to_owned(),
        Some(State::Active) => "active",
        Some(State::Suspended) => "suspended",
        Some(State::Terminated) => "terminated",
    };
    let until = [
        ("paid until", *paid_until),
        ("patches until", *grace_until),
        ("security patches until", security_until.filter(|until| Some(*until) > *grace_until)),
    ];
    let until = until.into_iter().filter_map(|(what, at)| Some(format!(", {what} {}", at?)));
    format!("{state}{}", until.collect::<String>())
}

fn line_dates(line: &Line) -> String {
    let ends = [("EOS", line.eos), ("EOL", line.eol)];
    let ends: String =
        ends.into_iter().filter_map(|(what, at)| Some(format!(", {what} {}", at?))).collect();
    let ends = if ends.is_empty() { ", no EOS or EOL dates" } else { &ends };
    format!("{}{ends}", line.line)
}

fn seat_line(seat: SeatStanding, machine: &MachineRecord) -> String {
    let since = machine.seated_at.unwrap_or(machine.enrolled_at);
    match seat {
        SeatStanding::Held => format!("held since {since}"),
        SeatStanding::Exceeded => format!("none: all were taken before {since}"),
        SeatStanding::Silent => "none: not heard of for too long".to_owned(),
        SeatStanding::Retired => "none: retired".to_owned(),
    }
}

/// What a machine has said that it waits for.
fn waits_line(waits: &Waiting) -> String {
    let version = &waits.version;
    match waits.awaited {
        Awaited::Confirmation => {
            format!("with {version}, until what is on probation is confirmed or undone")
        }
        Awaited::Approval => format!("with {version}, for approval"),
        Awaited::Window(opens) => format!("with {version}, for its window, which opens at {opens}"),
        Awaited::Command => format!("with {version}, for `mainstay-agent update`"),
    }
}

/// What is out of the ordinary, and what a technician wants of it.
fn remarks(machine: &MachineRecord) -> impl Iterator<Item = String> {
    let clone = machine.clone_suspected.as_ref().map(|clone| {
        format!("Two machines seem to use its key, since {}: {}.", clone.at, clone.why)
    });
    let retired = machine.retired.as_ref().map(|retired| format!("Retired. {}", said(retired)));
    let pin = machine.pin.as_ref();
    let pin = pin.map(|pin| {
        let wish = match pin.ends {
            PinEnd::ByHand => format!("Pinned to {}.", pin.version),
            PinEnd::OnceConfirmed => {
                format!("To install {}, and nothing else until it is confirmed.", pin.version)
            }
        };
        format!("{wish} {}", said(&pin.word))
    });
    let hold = machine.hold.as_ref();
    let hold = hold.map(|hold| format!("On hold until {}. {}", hold.until, said(&hold.word)));
    let retry = machine.retry.as_deref().map(tried_again);
    let collection = machine.collection.as_deref().map(collected);
    let order = machine.order.as_ref().map(ordered);
    let remarks = [clone, retired, order, retry, collection, pin, hold];
    remarks.into_iter().flatten().map(|remark| format!("\n\n{remark}"))
}

fn ordered(order: &OrderRecord) -> String {
    let state = match order.state {
        OrderState::Pending => "not carried out yet",
        OrderState::Done => "done",
        OrderState::Failed => "failed",
    };
    let ticket = order.ticket.as_ref().map(|ticket| format!(" [{ticket}]")).unwrap_or_default();
    let caution = order.caution.as_ref().map(|caution| format!("\nCaution: {caution}."));
    format!(
        "Rollback order {}: {} to {}, {state}. {}: {}{ticket}{}",
        order.number,
        order.from,
        order.to,
        order.by,
        order.reason,
        caution.unwrap_or_default()
    )
}

fn tried_again(retry: &RetryRecord) -> String {
    let RetryRecord { number, version, state, word } = retry;
    let state = match state {
        OrderState::Pending => "the machine has not lifted its block yet",
        OrderState::Done => "the machine has lifted its block",
        OrderState::Failed => "the machine would not",
    };
    format!("To try {version} again by order {number}: {state}. {}", said(word))
}

fn collected(collection: &CollectionRecord) -> String {
    let CollectionRecord { number, expires, state, answered_at, word } = collection;
    let state = match state {
        CollectionState::Pending => format!("not answered yet, asked for until {expires}"),
        CollectionState::AwaitsApproval => {
            format!("waits for the approval of the machine's administrator, until {expires}")
        }
        CollectionState::Forbidden => "forbidden by the machine's administrator".to_owned(),
        CollectionState::Collected => {
            format!("came at {}, see machine bundles", or_dash(answered_at.as_ref()))
        }
    };
    format!("Support bundle by order {number}: {state}. {}", said(word))
}

fn blocked(blocks: &[MachineBlock]) -> Option<String> {
    let rows = blocks.iter().rev().map(|block| {
        let versions = match &block.block.over {
            Some(over) => format!("above {over} up to {}", block.block.through),
            None => block.block.through.to_string(),
        };
        [versions, block.at.to_string(), block.by.clone(), block.block.reason.clone()]
    });
    (!blocks.is_empty()).then(|| table(["BLOCKED", "SINCE", "BY", "REASON"], rows))
}

fn offered(releases: &[Explanation], machine: &MachineRecord) -> Option<String> {
    let (withheld, others): (Vec<_>, Vec<_>) =
        releases.iter().partition(|it| it.standing == MachineStanding::Withheld);
    let shown = withheld.iter().take(WITHHELD_SHOWN).rev().chain(others.iter().rev());
    let rows = shown.map(|release| {
        [
            release.version.to_string(),
            release.channel.to_string(),
            super::standing(release.standing).to_owned(),
            release.code.clone(),
            release.message.clone(),
        ]
    });
    let table = table(["RELEASE", "CHANNEL", "STANDING", "CODE", "WHY"], rows);
    let more = withheld.len().saturating_sub(WITHHELD_SHOWN);
    let more = (more > 0)
        .then(|| format!("\n{more} more are withheld: mainstay machine explain {}", machine.name));
    (!releases.is_empty()).then(|| format!("{table}{}", more.unwrap_or_default()))
}

fn tried(events: &[EventRecord]) -> Option<String> {
    let rows = events.iter().rev().map(|record| {
        let event = &record.event;
        [
            record.at.to_string(),
            event.kind.as_str().to_owned(),
            or_dash(event.from.as_ref()),
            event.to.to_string(),
            event.detail.lines().next().unwrap_or_default().to_owned(),
        ]
    });
    (!events.is_empty()).then(|| table(["REPORTED", "EVENT", "FROM", "TO", "DETAIL"], rows))
}

fn sent(plans: &[PlanSummary]) -> Option<String> {
    let rows = plans.iter().rev().map(|plan| {
        let to = plan.to.as_ref().map(|to| format!(" to {to}")).unwrap_or_default();
        let orders = [("order", plan.order), ("retry", plan.retry), ("collect", plan.collect)];
        let orders = orders.map(|(what, number)| Some(format!(", {what} {}", number?)));
        let orders = orders.into_iter().flatten().collect::<String>();
        let withheld = plan.withheld.iter().map(|it| format!("{} {}", it.version, it.code));
        [
            plan.issued.to_string(),
            plan.version.to_string(),
            format!("{}{to}{orders}", plan.action),
            withheld.take(WITHHELD_SHOWN).collect::<Vec<_>>().join(", "),
            plan.notices.join(", "),
        ]
    });
    (!plans.is_empty()).then(|| table(["SENT", "PLAN", "SAID", "WITHHELD", "NOTICES"], rows))
}

fn done(actions: &[ActionView]) -> Option<String> {
    let rows = actions.iter().rev().map(|action| {
        [
            action.at.to_string(),
            action.by.clone(),
            action.action.clone(),
            or_dash(action.reason.as_ref()),
            or_dash(action.ticket.as_ref()),
            action.detail.clone(),
        ]
    });
    (!actions.is_empty()).then(|| table(["DONE", "BY", "WHAT", "REASON", "TICKET", "DETAIL"], rows))
}
