//! What people are told of rollouts.

use std::fmt::Write as _;

use super::super::output::{or_dash, said, table};
use crate::{
    policy::{Outcomes, RolloutState, rollout::Schedule},
    service::rollout::{
        PlannedWave, ProductRollouts, RolloutOutcome, RolloutPlan, RolloutView, WaveView,
    },
    store::{StopRecord, StopState},
};

/// How many customers are named of a wave; a program is told all.
const CUSTOMERS_TOLD: usize = 8;

pub(super) fn list(rollouts: &ProductRollouts) -> String {
    let rows = rollouts.rollouts.iter().map(|view| {
        let begun = view.waves.iter().filter(|wave| wave.begun).count();
        [
            view.record.version.to_string(),
            view.record.rollout.state.as_str().to_owned(),
            format!("{begun} of {}", view.waves.len()),
            or_dash(view.waves.iter().find(|wave| !wave.begun).and_then(|wave| wave.begins)),
            view.outcomes.tried.to_string(),
            view.outcomes.succeeded.to_string(),
            view.outcomes.failed.to_string(),
            view.record.revision.to_string(),
            said(&view.record.changed),
        ]
    });
    let headings =
        ["VERSION", "STATE", "WAVES", "NEXT", "TRIED", "SUCCEEDED", "FAILED", "REVISION", "BY"];
    format!("{}\n\n{}", stop(rollouts.stop.as_ref()), table(headings, rows))
}

/// Whether all updates of a product are stopped.
pub(super) fn stop(stop: Option<&StopRecord>) -> String {
    match stop {
        None => "Updates are not stopped.".to_owned(),
        Some(StopRecord { state: StopState::Lifted, word, .. }) => {
            format!("Updates are not stopped. They were let go on by {}", said(word))
        }
        Some(StopRecord { state: StopState::Stopped, word, .. }) => {
            format!("ALL UPDATES ARE STOPPED, by {}", said(word))
        }
    }
}

pub(super) fn page(view: &RolloutView) -> String {
    let record = &view.record;
    let Outcomes { tried, succeeded, failed } = view.outcomes;
    let terms = &record.rollout.terms;
    let thresholds = [
        terms.thresholds.failure.map(|it| format!("pauses at failures of {it}")),
        terms.thresholds.success.map(|it| format!("holds below successes of {it}")),
    ];
    let thresholds: Vec<_> = thresholds.into_iter().flatten().collect();
    let canaries = terms.canaries.customers.iter().map(ToString::to_string);
    let canaries = canaries.chain(terms.canaries.machines.iter().map(ToString::to_string));
    let canaries: Vec<_> = canaries.collect();
    let mut page = table(
        ["ROLLOUT", &record.subject()],
        [
            ["state".to_owned(), record.rollout.state.as_str().to_owned()],
            ["by".to_owned(), said(&record.changed)],
            ["started".to_owned(), said(&record.started)],
            ["revision".to_owned(), record.revision.to_string()],
            [
                "outcomes".to_owned(),
                format!("{tried} tried, {succeeded} succeeded, {failed} failed"),
            ],
            ["thresholds".to_owned(), thresholds.join("; ")],
            ["schedule".to_owned(), or_dash(terms.schedule.as_ref().map(hours))],
            ["canaries".to_owned(), or_dash((!canaries.is_empty()).then(|| canaries.join(", ")))],
        ],
    );
    let rows = view.waves.iter().enumerate().map(|(index, wave)| {
        let WaveView { reach, begins, .. } = wave;
        [(index + 1).to_string(), reach.clone(), or_dash(*begins), begun(wave).to_owned()]
    });
    let _infallible = write!(page, "\n\n{}", table(["WAVE", "REACHES", "BEGINS", ""], rows));
    page
}

fn begun(wave: &WaveView) -> &'static str {
    if wave.begun { "begun" } else { "" }
}

fn hours(Schedule { zone, open }: &Schedule) -> String {
    format!("{open} ({zone})")
}

/// How a release spreads, in a sentence or two.
pub(in crate::cli) fn spreads(view: &RolloutView) -> String {
    let next = view.waves.iter().find(|wave| !wave.begun);
    match (view.record.rollout.state, next) {
        (RolloutState::AwaitingApproval, _) => format!(
            "It awaits the approval of a second person: mainstay rollout approve --product {} {} \
             --reason …",
            view.record.product, view.record.version
        ),
        (_, None) if view.record.rollout.terms.waves.reach_everybody() => {
            "Everybody may have it at once.".to_owned()
        }
        (_, None) => {
            "Its waves reach no further than they do now: finish it for the others.".to_owned()
        }
        (_, Some(next)) => format!(
            "It spreads in {} waves; the next one begins at {}. To see whom each reaches: mainstay \
             rollout plan --product {} {}",
            view.waves.len(),
            or_dash(next.begins),
            view.record.product,
            view.record.version
        ),
    }
}

pub(super) fn outcome(outcome: &RolloutOutcome) -> String {
    let RolloutOutcome { before, after, plan: foreseen } = outcome;
    let record = &after.record;
    let mut text = format!("The rollout of {}", record.subject());
    let _infallible = match before {
        Some(before) => write!(
            text,
            " was {} by {}\nIt is {} from now on.",
            before.record.rollout.state.as_str(),
            said(&before.record.changed),
            record.rollout.state.as_str()
        ),
        None => write!(text, " is {} from now on.", record.rollout.state.as_str()),
    };
    let Outcomes { tried, succeeded, failed } = after.outcomes;
    let _infallible =
        write!(text, "\n{tried} machines have tried it, {succeeded} succeeded, {failed} failed.");
    if let Some(foreseen) = foreseen {
        let _infallible = write!(text, "\n\n{}", plan(foreseen));
    }
    text
}

/// How many machines of which customers get a release, and when.
pub(in crate::cli) fn plan(plan: &RolloutPlan) -> String {
    let rows =
        plan.waves.iter().enumerate().map(|(index, PlannedWave { wave, machines, customers })| {
            let named = customers.iter().take(CUSTOMERS_TOLD);
            let mut named: Vec<_> =
                named.map(|share| format!("{} {}", share.customer, share.machines)).collect();
            let more = customers.len().saturating_sub(CUSTOMERS_TOLD);
            if more > 0 {
                named.push(format!("and {more} more"));
            }
            [
                (index + 1).to_string(),
                wave.reach.clone(),
                or_dash(wave.begins),
                begun(wave).to_owned(),
                machines.to_string(),
                named.join(", "),
            ]
        });
    let mut text = table(["WAVE", "REACHES", "BEGINS", "", "MACHINES", "OF CUSTOMERS"], rows);
    let _infallible = write!(
        text,
        "\n\n{} {}: {}. {} machines have it, {} have or get something higher.",
        plan.product,
        plan.version,
        plan.state.as_str(),
        plan.having,
        plan.beyond
    );
    if plan.unreached > 0 {
        let _infallible =
            write!(text, " {} are reached by no wave: finish it for them.", plan.unreached);
    }
    let withheld = plan.withheld.iter().map(|(code, machines)| format!("{machines} {code}"));
    let withheld: Vec<_> = withheld.collect();
    if !withheld.is_empty() {
        let _infallible = write!(
            text,
            " It is not for the others, whatever the rollout: {}.",
            withheld.join(", ")
        );
    }
    text
}
