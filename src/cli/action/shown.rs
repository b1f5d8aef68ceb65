//! What people are told of actions over several machines.

use std::fmt::Write as _;

use super::super::{
    machine::{reopened, step},
    output::{or_dash, said, table},
};
use crate::{
    service::actions::{
        ActionCounts, ActionPreview, ActionProgress, ActionSummary, MachineProgress,
        PreviewedMachine, ProgressState,
    },
    store::{ActionRecord, ActionState},
};

/// How many machines are shown one by one; a program is told all.
const MACHINES_SHOWN: usize = 100;

pub(super) fn list(actions: &[ActionSummary]) -> String {
    let rows = actions.iter().map(|ActionSummary { record, counts }| {
        [
            record.id.to_string(),
            record.action.to_string(),
            record.product.to_string(),
            record.state.as_str().to_owned(),
            record.machines.to_string(),
            counts.carried_out.to_string(),
            counts.open().to_string(),
            counts.missed().to_string(),
            said(&record.word),
        ]
    });
    let headings =
        ["ACTION", "WHAT", "PRODUCT", "STATE", "MACHINES", "DONE", "OPEN", "MISSED", "ORDERED BY"];
    table(headings, rows)
}

/// How far it has come, in a line.
pub(super) fn counts(ActionSummary { record, counts }: &ActionSummary) -> String {
    let ActionCounts { waiting, told, carried_out, refused, cannot, cancelled } = counts;
    format!(
        "{} is {}: {waiting} waiting, {told} told, {carried_out} carried out, {refused} refused, {cannot} \
         cannot, {cancelled} cancelled",
        record.id,
        record.state.as_str()
    )
}

pub(super) fn page(ActionProgress { summary, progress }: &ActionProgress) -> String {
    let ActionRecord { id, product, action, filter, machines, word, changed, .. } = &summary.record;
    let selected = filter.as_ref().map(|filter| format!(" {filter}")).unwrap_or_default();
    let rows = [
        ("what", action.to_string()),
        ("machines", format!("{machines} of {product}{selected}")),
        ("ordered", said(word)),
        ("stands so", said(changed)),
    ];
    let rows = rows.map(|(name, value)| [name.to_owned(), value]);
    let mut page = format!("{}\n\n{}", table(["ACTION", id.as_str()], rows), counts(summary));
    // What somebody may have to look at comes first.
    let mut sorted: Vec<_> = progress.iter().collect();
    sorted.sort_by_key(|machine| match machine.state {
        ProgressState::Refused => 0,
        ProgressState::Cannot => 1,
        ProgressState::Cancelled => 2,
        ProgressState::Waiting => 3,
        ProgressState::Told => 4,
        ProgressState::CarriedOut => 5,
    });
    let rows = sorted.iter().take(MACHINES_SHOWN).map(|machine| {
        let MachineProgress { machine, customer, running, state, at, detail } = machine;
        [
            machine.to_string(),
            or_dash(customer.as_ref()),
            or_dash(running.as_ref()),
            state.as_str().to_owned(),
            or_dash(*at),
            detail.clone(),
        ]
    });
    let rows = table(["MACHINE", "CUSTOMER", "RUNS", "STATE", "SINCE", "DETAIL"], rows);
    let _infallible = write!(page, "\n\n{rows}{}", more(progress.len()));
    page
}

fn more(machines: usize) -> String {
    match machines.saturating_sub(MACHINES_SHOWN) {
        0 => String::new(),
        more => format!("\n{more} more machines: --json tells of all."),
    }
}

/// What would come of it.
pub(in crate::cli) fn preview(preview: &ActionPreview) -> String {
    let ActionPreview { product, action, machines, possible, opens, .. } = preview;
    let mut sorted: Vec<_> = machines.iter().collect();
    sorted.sort_by_key(|machine| machine.outcome.is_some());
    let rows = sorted.iter().take(MACHINES_SHOWN).map(|machine| {
        let PreviewedMachine { machine, customer, outcome, cannot, .. } = machine;
        let (running, comes, remarks) = match (outcome, cannot) {
            (Some(outcome), _) => {
                let (before, after) = (step(&outcome.before), step(&outcome.after));
                let comes = if before == after { format!("{after}, as before") } else { after };
                (or_dash(outcome.running.as_ref()), comes, outcome.cautions.join(" "))
            }
            (None, Some(cannot)) => ("-".to_owned(), "cannot".to_owned(), cannot.message.clone()),
            (None, None) => ("-".to_owned(), "cannot".to_owned(), String::new()),
        };
        [machine.to_string(), or_dash(customer.as_ref()), running, comes, remarks]
    });
    let headings = ["MACHINE", "CUSTOMER", "RUNS", "AT ITS NEXT CHECK IT WILL", "REMARKS"];
    let mut text = table(headings, rows);
    let _infallible = write!(
        text,
        "{}\n\n{action}: possible on {possible} of {} machines of {product}.",
        more(machines.len()),
        machines.len()
    );
    if let Some(reopened) = reopened(opens) {
        let _infallible = write!(text, "\n{reopened}");
    }
    if preview.needs_approval {
        let _infallible = write!(
            text,
            "\nA second person has to approve it: you may act on {} machines alone.",
            preview.alone_max
        );
    }
    text
}

/// What is said once it is ordered.
pub(in crate::cli) fn ordered(ActionProgress { summary, .. }: &ActionProgress) -> String {
    let ActionRecord { id, state, .. } = &summary.record;
    match state {
        ActionState::AwaitingApproval => format!(
            "Action {id} awaits the approval of a second person: mainstay action approve {id} --reason …"
        ),
        _ => format!("Action {id} is ordered. To follow it: mainstay action show {id} --watch"),
    }
}
