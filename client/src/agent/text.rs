//! A document for people: a few lines.

mod status;

use std::io::Write as _;

use super::{Document, doctor};
use crate::{
    document::WithheldDocument,
    format::{Notice, wire::FetchedBy},
};

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
    if let Some(status) = &document.status {
        return status::lines(document, status).iter().map(|line| printable(line) + "\n").collect();
    }
    let mut lines = vec![headline(document)];
    if let Some(settled) = &document.settled {
        lines.push(format!("Before: {settled}."));
    }
    lines.extend(doctor::lines(document));
    lines.extend(way_lines(document));
    for given_up in document.given_up.iter().flatten() {
        lines.push(format!("Given up for want of space: {}.", given_up.message));
    }
    for missing in document.missing.iter().flatten() {
        let title = if missing.what == "consent" { "Refused" } else { "Missing" };
        lines.push(format!("{title}: {}.", missing.message));
    }
    lines.extend(document.withheld.iter().flatten().map(withheld_line));
    lines.extend(document.notices.iter().flatten().map(notice_line));
    if let Some(collection) = &document.collection {
        lines.push(format!("Support bundle ({}): {}.", collection.outcome, collection.message));
    }
    if let Some(undelivered) = &document.undelivered {
        lines.push(format!("The server could not be told and is told next time: {undelivered}"));
    }
    printed(&lines)
}

/// The lines as they are printed.
pub(super) fn printed(lines: &[String]) -> String {
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
        "collected" => format!("{product}: the support bundle is {message}."),
        "stopped" => "stopped.".to_owned(),
        "well" | "unwell" | "repaired" => doctor::headline(document),
        "missing" => format!("{product}: {from} runs; {to} cannot be installed on this machine."),
        "facts" => {
            let facts = document.facts.as_ref().map(ToString::to_string).unwrap_or_default();
            let unheard = if message.is_empty() { "" } else { " The server is not told." };
            format!("This machine: {facts}.{unheard}")
        }
        _ => format!("{product}: {message}."),
    }
}

/// By which way a release comes or came here. That it is the usual one needs no words.
fn way_lines(document: &Document) -> Vec<String> {
    let Some(way) = &document.way else { return Vec::new() };
    let mut lines: Vec<_> = way
        .failed
        .iter()
        .map(|failed| format!("Tried before ({}): {}", failed.by, failed.why))
        .collect();
    if way.by == FetchedBy::Delta || !lines.is_empty() {
        let is_expected = matches!(document.outcome, "update_offered" | "rollback_ordered");
        let verb = if is_expected { "It comes" } else { "It came" };
        lines.push(format!("{verb} {}.", way.message));
    }
    lines
}

fn withheld_line(withheld: &WithheldDocument) -> String {
    let instead = withheld.alternative.as_ref();
    let instead = instead.map(|it| format!(" Instead: {it}.")).unwrap_or_default();
    let WithheldDocument { version, channel, code, message, .. } = withheld;
    format!("Withheld: {version} ({channel}), {code}: {message}{instead}")
}

fn notice_line(notice: &Notice) -> String {
    format!("Notice: {} ({})", notice.message, notice.code)
}

fn printable(text: &str) -> String {
    text.chars().map(|it| if it.is_control() { ' ' } else { it }).collect()
}
