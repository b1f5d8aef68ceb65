//! What is known about a machine, on one screen.

use jiff::Timestamp;

use super::{Document, notice_line, withheld_line};
use crate::{
    client::{FetchedRelease, History, Incident, settings::CollectConsent},
    document::{
        APPROVE_COLLECTION, CollectionRequestDocument, LineDocument, OfferDocument, PlanDocument,
        StatusDocument, Waits, way_in_words,
    },
    format::{CollectOrder, RetryOrder, Version},
    install::StageName,
};

/// How many columns a line takes at the most, unless a word is longer.
const COLUMNS_MAX: usize = 98;
/// What a line begins with that goes on with the one before.
const INDENT: &str = "    ";
/// How many entries of a list are shown: those that matter most.
const ENTRIES_MAX: usize = 5;
/// How much of what a program or a server said is shown, in characters.
const SAID_CHARS_MAX: usize = 240;

/// The lines: what runs, what is offered, what is withheld, until when there is support, what went
/// wrong, in this order.
pub(super) fn lines(document: &Document, status: &StatusDocument) -> Vec<String> {
    let mut lines = head(document, status);
    lines.extend(doing(status));
    lines.push(offer(status));
    lines.extend(support_asks(status));
    lines.extend(listed(document.withheld.as_deref().unwrap_or_default(), "Withheld", |entry| {
        withheld_line(entry)
    }));
    lines.extend(status.lines.iter().map(support));
    lines.extend(document.notices.iter().flatten().map(notice_line));
    lines.extend(kept(status));
    lines.extend(listed(&newest_first(&status.blocked), "Blocked", |block| {
        format!("Blocked: {}: {}", block.version, shortened(&block.reason))
    }));
    lines.extend(last_fetched(&status.history));
    lines.extend(incidents(&status.history));
    if status.pending_events > 0 {
        lines.push(format!("The server is still to be told of {} events", status.pending_events));
    }
    lines.iter().flat_map(|line| wrapped(line)).collect()
}

fn head(document: &Document, status: &StatusDocument) -> Vec<String> {
    let product = document.product.as_ref().map_or("", |product| product.as_str());
    let machine = document.machine.as_ref().map_or("", |it| it.as_str());
    let customer = document.customer.as_ref().map_or("", |it| it.as_str());
    let contract = document.contract.as_ref().map_or("", |it| it.as_str());
    let runs = match (&status.running, status.running_since) {
        (Some(version), Some(since)) => format!("{version} runs since {}", second(since)),
        (Some(version), None) => format!("{version} runs"),
        (None, _) => "nothing runs".to_owned(),
    };
    vec![
        format!("{product}: {runs}."),
        format!(
            "Machine: {machine} of {customer}, contract {contract}, served by {}",
            status.server
        ),
        checked(status),
    ]
}

fn checked(status: &StatusDocument) -> String {
    let last = status.history.checked.map_or_else(|| "never".to_owned(), second);
    let plan = match &status.plan {
        Some(PlanDocument { version, expires, .. }) => {
            format!("plan {version}, which counts until {}", second(*expires))
        }
        None => "no plan".to_owned(),
    };
    format!("Checked: {last}; {plan}")
}

/// What is being done just now, or waits to be confirmed.
fn doing(status: &StatusDocument) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(attempted) = status.attempted.as_ref().filter(|_| is_unfinished(status.stage)) {
        let rest = "is under way, or was cut off: then the next command but this mends it";
        lines.push(format!("A change to {attempted} {rest}"));
    }
    if let Some(probation) = &status.probation {
        let (version, deadline) = (&probation.version, second(probation.deadline));
        lines.push(format!("Probation: {version} must be confirmed by {deadline}"));
    }
    lines
}

fn is_unfinished(stage: StageName) -> bool {
    !matches!(stage, StageName::Idle | StageName::Probation)
}

fn offer(status: &StatusDocument) -> String {
    let Some(OfferDocument { action, version, channel, order, waits_for, opens, message }) =
        &status.offered
    else {
        return "Offered: nothing".to_owned();
    };
    let what = match order {
        Some(order) => format!("{action} to {version} ({channel}): {}", order.reason),
        None => format!("{action} to {version} ({channel})"),
    };
    if let Some(obstacle) = &status.history.obstacle {
        let (at, said) = (second(obstacle.at), shortened(&obstacle.message));
        return format!("Offered: {what}; kept from being installed at {at}: {said}");
    }
    let waits = match (waits_for, opens) {
        (Some(Waits::Window), Some(opens)) => {
            format!("{version} waits for the window that opens at {}", second(*opens))
        }
        _ => message.clone(),
    };
    format!("Offered: {what}; {waits}")
}

/// What support wants of this machine.
fn support_asks(status: &StatusDocument) -> Vec<String> {
    let by = |number: u64, reason: &str, ticket: &Option<String>| {
        let ticket = ticket.as_ref().map(|ticket| format!(", {ticket}")).unwrap_or_default();
        format!("order {number}{ticket}: {}", shortened(reason))
    };
    let retry = status.retry.as_ref().map(|RetryOrder { number, version, reason, ticket }| {
        format!("To be tried again: {version} ({})", by(*number, reason, ticket))
    });
    let collection = status.collection.as_ref().map(|collection| {
        let CollectionRequestDocument { order, consent, is_approved } = collection;
        let CollectOrder { number, reason, ticket, expires } = order;
        let rest = match (consent, is_approved) {
            (CollectConsent::Forbid, _) => "the settings forbid it",
            (CollectConsent::Ask, false) => APPROVE_COLLECTION,
            _ => "it is sent at the next check",
        };
        let (by, expires) = (by(*number, reason, ticket), second(*expires));
        format!("Support asks for a bundle until {expires} ({by}); {rest}")
    });
    [retry, collection].into_iter().flatten().collect()
}

fn support(line: &LineDocument) -> String {
    let LineDocument { line, eos, eol } = line;
    match (eos, eol) {
        (None, None) => format!("Support: of line {line} no end is set"),
        (Some(eos), None) => format!("Support: of line {line} until {}", second(*eos)),
        (None, Some(eol)) => format!("Support: line {line} lives until {}", second(*eol)),
        (Some(eos), Some(eol)) => {
            let (eos, eol) = (second(*eos), second(*eol));
            format!("Support: of line {line} until {eos}; it lives until {eol}")
        }
    }
}

fn kept(status: &StatusDocument) -> Option<String> {
    if status.kept.is_empty() {
        return None;
    }
    let kept = format!("Kept: {}", list(&status.kept));
    let way_back = status.way_back.as_ref().map(|it| format!("the way back leads to {it}"));
    let floor = status.floor.as_ref().map(|it| format!("no rollback below {it}"));
    let parts: Vec<_> = [Some(kept), way_back, floor].into_iter().flatten().collect();
    Some(parts.join("; "))
}

fn last_fetched(history: &History) -> Option<String> {
    let FetchedRelease { at, version, artifact_bytes, way } = history.fetched.as_ref()?;
    let said = way_in_words(way.by, way.bytes, *artifact_bytes);
    let failed = way.failed.first().map(|it| format!("; before that: {}", shortened(&it.why)));
    let failed = failed.unwrap_or_default();
    Some(format!("Last fetched: {}, {version}, {said}{failed}", second(*at)))
}

fn incidents(history: &History) -> impl Iterator<Item = String> {
    let History { failed, undone, refused, .. } = history;
    let incidents = [("Last failure", failed), ("Last undone", undone), ("Last refusal", refused)];
    incidents.into_iter().filter_map(|(title, incident)| {
        let Incident { at, version, code, message } = incident.as_ref()?;
        let version = version.as_ref().map(|it| format!(", {it}")).unwrap_or_default();
        let code = code.as_ref().map(|it| format!(", {it}")).unwrap_or_default();
        Some(format!("{title}: {}{version}{code}: {}", second(*at), shortened(message)))
    })
}

/// One line an entry, and how many there are besides.
fn listed<T>(entries: &[T], title: &str, line: impl Fn(&T) -> String) -> Vec<String> {
    let mut lines: Vec<_> = entries.iter().take(ENTRIES_MAX).map(line).collect();
    let rest = entries.len().saturating_sub(ENTRIES_MAX);
    if rest > 0 {
        lines.push(format!("{title}: {rest} more, which --json lists"));
    }
    lines
}

fn newest_first<T: Clone>(entries: &[T]) -> Vec<T> {
    entries.iter().rev().cloned().collect()
}

fn list(versions: &[Version]) -> String {
    let newest: Vec<_> = versions.iter().rev().take(ENTRIES_MAX).map(Version::to_string).collect();
    let rest = versions.len().saturating_sub(ENTRIES_MAX);
    if rest == 0 { newest.join(", ") } else { format!("{} and {rest} more", newest.join(", ")) }
}

fn second(instant: Timestamp) -> String {
    format!("{instant:.0}")
}

/// The beginning of what somebody said.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(SAID_CHARS_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// `line` in lines of a screen's width, broken between words.
fn wrapped(line: &str) -> Vec<String> {
    let width = |text: &str| text.chars().count();
    let mut lines = Vec::new();
    let mut current = String::new();
    for word in line.split_whitespace() {
        if current.trim().is_empty() {
            current.push_str(word);
        } else if width(&current) + 1 + width(word) <= COLUMNS_MAX {
            current.push(' ');
            current.push_str(word);
        } else {
            lines.push(std::mem::replace(&mut current, format!("{INDENT}{word}")));
        }
    }
    lines.push(current);
    lines
}

#[cfg(test)]
mod tests;
