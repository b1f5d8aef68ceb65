use super::{Document, Exit};
use crate::{
    client::{Check, Client, Preflight, Status, Update},
    error::{Error, ErrorKind, with_sources},
    format::Action,
    install::Outcome,
};

/// What came of a verb: what is told of it, and the exit code that goes with that.
pub type Answer = (Document, Exit);

/// What [`Client::check`] has found, and then [`Client::preflight`].
pub fn checked(client: &Client, check: &Check, preflight: &Preflight) -> Answer {
    let document = |outcome| {
        let document = Document::of_check(outcome, client.enrolment(), check);
        document.with_given_up(client.given_up()).with_expected_way(client.expected_way(check))
    };
    if let Some(target) = check.action.target().filter(|_| *preflight != Preflight::Passed) {
        let document = document("");
        return document.with_preflight(&target.version, preflight);
    }
    let (outcome, exit) = match &check.action {
        Action::Update { .. } => ("update_offered", Exit::UpdateOffered),
        Action::Rollback { .. } => ("rollback_ordered", Exit::RollbackOrdered),
        Action::Stay if check.plan.withheld.is_empty() => ("up_to_date", Exit::UpToDate),
        Action::Stay => ("withheld", Exit::Withheld),
    };
    (document(outcome), exit)
}

/// What has come of [`Client::fetch`].
pub fn fetched(client: &Client, check: &Check, preflight: &Preflight) -> Answer {
    match checked(client, check, preflight) {
        (document, Exit::UpdateOffered) => {
            (Document { outcome: "fetched", ..document }, Exit::Done)
        }
        other => other,
    }
}

/// What has come of [`Client::update`], or of [`Client::apply`].
pub fn updated(client: &Client, update: Update) -> Answer {
    let Update { check, outcome, missing, undelivered } = update;
    let mut document = Document::of_check("up_to_date", client.enrolment(), &check)
        .with_given_up(client.given_up())
        .with_fetched(client.fetched());
    document.undelivered = undelivered.as_ref().map(|it| with_sources(it));
    if let Some(outcome) = &outcome {
        return (document.with_outcome(outcome), exit_of(outcome));
    }
    if let Some(target) = check.action.target().filter(|_| !missing.is_empty()) {
        return document.with_preflight(&target.version, &Preflight::Missing(missing));
    }
    // An update that waits to be confirmed, or one that has just failed to be.
    if let Some(probation) = client.status().recorded.record.probation {
        let (from, to) = (probation.from, probation.version);
        let waits = Outcome::Probation { from, to, deadline: probation.deadline };
        return (document.with_outcome(&waits), Exit::Probation);
    }
    if let Some(undone @ Outcome::Undone { .. }) = &check.settled {
        document.settled = None;
        return (document.with_outcome(undone), Exit::Undone);
    }
    if check.plan.withheld.is_empty() {
        return (document, Exit::UpToDate);
    }
    (Document { outcome: "withheld", ..document }, Exit::Withheld)
}

/// What has come of [`Client::confirm`]. That there is nothing to confirm is no error: a program may
/// confirm at each of its starts.
pub fn confirmed(client: &Client, outcome: Result<Outcome, Error>) -> Result<Answer, Error> {
    match outcome {
        Ok(outcome) => {
            let document = Document::of_machine("", client.enrolment());
            Ok((document.with_outcome(&outcome), exit_of(&outcome)))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let document = Document::of_machine("not_on_probation", client.enrolment());
            let version_from = client.status().recorded.record.running;
            Ok((Document { version_from, ..document }, Exit::UpToDate))
        }
        Err(error) => Err(error),
    }
}

/// What has come of [`Client::roll_back`]. To undo a probation is what was wanted then.
pub fn rolled_back(client: &Client, outcome: &Outcome) -> Answer {
    let document = Document::of_machine("", client.enrolment())
        .with_given_up(client.given_up())
        .with_fetched(client.fetched());
    (document.with_outcome(outcome), Exit::Done)
}

/// What is known about a machine.
pub fn shown(status: &Status) -> Answer {
    (Document::of_status(status), Exit::Done)
}

/// That a verb failed.
pub fn failed(error: &Error) -> Answer {
    (Document::of_error(error), Exit::of_error(error))
}

fn exit_of(outcome: &Outcome) -> Exit {
    match outcome {
        Outcome::Committed { .. } | Outcome::RolledBack { .. } => Exit::Done,
        Outcome::Probation { .. } => Exit::Probation,
        Outcome::Undone { .. } => Exit::Undone,
        Outcome::Deferred { .. } => Exit::Deferred,
    }
}
