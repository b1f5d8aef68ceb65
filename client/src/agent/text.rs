//! A document for people: a few lines.

use std::io::Write as _;

use super::Document;
use crate::install::StageName;

/// Prints `document` for people: errors on standard error, everything else on standard output.
pub(super) fn print(document: &Document) {
    let text = render(document);
    // Whoever closes the output does not want to know.
    let _ = if document.outcome == "error" {
        std::io::stderr().lock().write_all(text.as_bytes())
    } else {
        std::io::stdout().lock().write_all(text.as_bytes())
    };
}

/// Prints `document` for people who read it in a journal: where that is systemd's, each line says how
/// much it matters (`sd-daemon(3)`).
pub(super) fn print_for_journal(document: &Document) {
    let is_journal = std::env::var_os("JOURNAL_STREAM").is_some();
    let level = match document.outcome {
        _ if !is_journal => "",
        "error" => "<3>",
        "undone" => "<4>",
        _ => "<6>",
    };
    let mut output = std::io::stdout().lock();
    for line in render(document).lines() {
        let _ = writeln!(output, "{level}{line}");
    }
}

/// The lines. What a server says is shown without control characters, which could play tricks on a
/// terminal.
pub(super) fn render(document: &Document) -> String {
    if let ("unit", Some(unit)) = (document.outcome, &document.message) {
        return unit.clone();
    }
    let mut lines = vec![headline(document)];
    if let Some(settled) = &document.settled {
        lines.push(format!("Before: {settled}."));
    }
    lines.extend(status_lines(document));
    for missing in document.missing.iter().flatten() {
        let title = if missing.what == "consent" { "Refused" } else { "Missing" };
        lines.push(format!("{title}: {}.", missing.message));
    }
    for withheld in document.withheld.iter().flatten() {
        let instead = withheld.alternative.as_ref();
        let instead = instead.map(|it| format!(" Instead: {it}.")).unwrap_or_default();
        lines.push(format!(
            "Withheld: {} ({}), {}: {}{instead}",
            withheld.version, withheld.channel, withheld.code, withheld.message
        ));
    }
    for notice in document.notices.iter().flatten() {
        lines.push(format!("Notice: {} ({})", notice.message, notice.code));
    }
    if let Some(undelivered) = &document.undelivered {
        lines.push(format!("The server could not be told and is told next time: {undelivered}"));
    }
    lines.iter().map(|line| printable(line) + "\n").collect()
}

fn headline(document: &Document) -> String {
    let shown = |it: &Option<crate::format::Version>| {
        it.as_ref().map_or_else(|| "nothing".to_owned(), ToString::to_string)
    };
    let (from, to) = (shown(&document.version_from), shown(&document.version_to));
    let product = document.product.as_ref().map_or("", |product| product.as_str());
    let message = document.message.as_deref().unwrap_or_default();
    match document.outcome {
        "error" => format!("error: {message}"),
        "enrolled" => {
            let machine = document.machine.as_ref().map_or("", |it| it.as_str());
            let customer = document.customer.as_ref().map_or("", |it| it.as_str());
            format!("Enrolled as {machine} of {customer} for {product}.")
        }
        "up_to_date" => format!("{product}: up to date ({from})."),
        "withheld" => format!("{product}: up to date ({from}); newer releases are withheld."),
        "update_offered" => format!("{product}: update {from} -> {to} is offered."),
        "fetched" => format!("{product}: {to} is here and can be installed; {from} runs."),
        "rollback_ordered" => {
            let order = document.order.as_ref();
            let reason = order.map_or("", |order| order.reason.as_str());
            format!("{product}: rollback {from} -> {to} is ordered: {reason}")
        }
        "not_on_probation" => format!("{product} {from}: there is nothing to confirm."),
        "intact" => format!("{product} {from}: intact."),
        "modified" => {
            format!("{product} {from}: modified, the files are not those that were signed.")
        }
        "recovered" if message.is_empty() => format!("{product} {from}: nothing was to be mended."),
        "recovered" => format!("{product} {from}: {message}."),
        "unblocked" => format!("{product}: {to} may be tried again."),
        "not_blocked" => format!("{product}: {to} was not blocked here."),
        "approved" => format!("{product}: {to} is approved of."),
        "stopped" => "stopped.".to_owned(),
        "missing" => format!("{product}: {from} runs; {to} cannot be installed on this machine."),
        "facts" => {
            let facts = document.facts.as_ref().map(ToString::to_string).unwrap_or_default();
            let unheard = if message.is_empty() { "" } else { " The server is not told." };
            format!("This machine: {facts}.{unheard}")
        }
        "status" => format!("{product}: {from} runs."),
        _ => format!("{product}: {message}."),
    }
}

fn status_lines(document: &Document) -> Vec<String> {
    let Some(status) = &document.status else { return Vec::new() };
    let mut lines = Vec::new();
    let machine = document.machine.as_ref().map_or("", |it| it.as_str());
    let customer = document.customer.as_ref().map_or("", |it| it.as_str());
    lines.push(format!("Machine: {machine} of {customer}, served by {}", status.server));
    if let Some(probation) = &status.probation {
        let (version, deadline) = (&probation.version, probation.deadline);
        lines.push(format!("Probation: {version} must be confirmed by {deadline}"));
    }
    if let Some(plan) = &status.plan {
        let target = plan.target.as_ref().map(|it| format!(" to {it}")).unwrap_or_default();
        lines.push(format!(
            "Plan {}: {}{target}, until {}",
            plan.version, plan.action, plan.expires
        ));
    }
    let list = |versions: &[crate::format::Version]| {
        versions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    };
    if !status.confirmed.is_empty() {
        lines.push(format!("Confirmed here: {}", list(&status.confirmed)));
    }
    if !status.kept.is_empty() {
        lines.push(format!("Kept: {}", list(&status.kept)));
    }
    for block in &status.blocked {
        lines.push(format!("Blocked: {}: {}", block.version, block.reason));
    }
    if let Some(floor) = &status.floor {
        lines.push(format!("No rollback below {floor}"));
    }
    if status.pending_events > 0 {
        lines.push(format!("The server is still to be told of {} events", status.pending_events));
    }
    if let Some(attempted) = status.attempted.as_ref().filter(|_| is_unfinished(status.stage)) {
        let rest = "is under way, or was cut off: then the next command but this mends it";
        lines.push(format!("A change to {attempted} {rest}"));
    }
    lines
}

fn is_unfinished(stage: StageName) -> bool {
    !matches!(stage, StageName::Idle | StageName::Probation)
}

fn printable(text: &str) -> String {
    text.chars().map(|it| if it.is_control() { ' ' } else { it }).collect()
}
