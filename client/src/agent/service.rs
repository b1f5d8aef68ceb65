//! `mainstay-agent run`: checks for as long as it lives, and does what the administrator lets happen
//! by itself.

mod schedule;
mod wake;

use std::time::Duration;

use jiff::Timestamp;

use self::{
    schedule::{Latest, pause},
    wake::{Wake, Wakes},
};
use super::{Document, command::Arguments, progress::Shown};
use crate::{
    client::{
        Check, Client, Preflight,
        settings::{Step, Wait, step},
    },
    document::{checked, updated, wait_in_words},
    error::{Error, ErrorKind, SPACE},
    fetch::Cancellation,
};

/// How soon it looks again after something has changed: there may be another hop.
const SOON: Duration = Duration::from_secs(5);

/// The service. What came of each round is told once, not again at each round that is like it.
pub(super) struct Service<'a> {
    arguments: &'a Arguments,
    tell: fn(&Document),
    told: String,
    failures: u32,
    /// After how many seconds the server asked last to be asked again.
    poll_seconds: Option<u32>,
}

impl<'a> Service<'a> {
    pub(super) fn new(arguments: &'a Arguments, tell: fn(&Document)) -> Self {
        Self { arguments, tell, told: String::new(), failures: 0, poll_seconds: None }
    }

    /// Runs until SIGTERM or SIGINT. SIGHUP lets it look at once. An error is one that no further
    /// try will mend.
    pub(super) fn run(&mut self) -> Result<Document, Error> {
        let cancellation = Cancellation::default();
        let wakes = Wakes::listen(cancellation.clone())
            .map_err(|error| Error::local(format!("signals cannot be received: {error}")))?;
        loop {
            let pause = self.round(&cancellation)?;
            if wakes.wait(pause) == Wake::Stop {
                return Ok(Document { outcome: "stopped", ..Document::default() });
            }
        }
    }

    /// One look, and how long it is until the next.
    fn round(&mut self, cancellation: &Cancellation) -> Result<Duration, Error> {
        let error = match self.look(cancellation) {
            Ok(pause) => {
                self.failures = 0;
                return Ok(pause);
            }
            Err(error) => error,
        };
        match error.kind() {
            ErrorKind::NotEnrolled => return Err(error),
            // The loop ends by itself.
            ErrorKind::Cancelled => return Ok(Duration::ZERO),
            _ => {}
        }
        self.failures = self.failures.saturating_add(1);
        self.say(&Document::of_error(&error));
        let latest = match self.poll_seconds.filter(|_| error.code() == SPACE) {
            // The server has answered: it is this machine that is not ready.
            Some(poll_seconds) => Latest::Answered { poll_seconds },
            None => Latest::Failed { times: self.failures, retry_after: error.retry_after() },
        };
        Ok(pause(latest, random()))
    }

    fn look(&mut self, cancellation: &Cancellation) -> Result<Duration, Error> {
        let mut client = self.arguments.open_until(cancellation.clone())?;
        let check = client.check()?;
        let poll_seconds = check.plan.poll_seconds;
        self.poll_seconds = Some(poll_seconds);
        let usual = pause(Latest::Answered { poll_seconds }, random());
        let settings = client.enrolment().updates.clone();
        let (now, approved) = (client.now(), client.approved());
        let opening = settings.windows.at(now);
        let mut show = Shown::unattended(self.arguments.json);
        let pause = match step(&check.action, settings.channels, approved.as_ref(), opening) {
            Step::Rest => {
                self.say(&checked(&client, &check, &Preflight::Passed).0);
                usual
            }
            Step::Wait(wait) => {
                self.say(&waiting(&client, &check, wait));
                usual
            }
            Step::Fetch(wait) => {
                let preflight = client.fetch(&check, &mut |progress| show.tell(&progress))?;
                self.say(&fetched(&client, &check, wait, &preflight));
                match wait {
                    Wait::Window(opens) => usual.min(until(now, opens)),
                    Wait::Approval => usual,
                }
            }
            Step::Apply => {
                let ran = check.running.clone();
                let update = client.apply(check, &mut |progress| show.tell(&progress))?;
                self.say(&updated(&client, update).0);
                // There may be another hop.
                let runs = client.status().recorded.record.running;
                if runs == ran { usual } else { SOON }
            }
        };
        Ok(pause.min(probation_left(&client)))
    }

    /// Tells what came of a round, unless it is what was told last.
    fn say(&mut self, document: &Document) {
        let gist = gist(document);
        if self.told != gist {
            (self.tell)(document);
            self.told = gist;
        }
    }
}

/// What of a document is news. How much space is missing is another number at each look.
fn gist(document: &Document) -> String {
    let mut gist = document.clone();
    if gist.outcome == "missing" || gist.code.as_deref() == Some(SPACE) {
        gist.message = None;
    }
    for missing in gist.missing.iter_mut().flatten().filter(|missing| missing.what == SPACE) {
        (missing.required, missing.found) = (None, None);
        missing.message.clear();
    }
    gist.to_json()
}

/// An update that is here and waits for something, or cannot be installed here.
fn fetched(client: &Client, check: &Check, wait: Wait, preflight: &Preflight) -> Document {
    match check.action.target().filter(|_| *preflight != Preflight::Passed) {
        Some(target) => {
            let document = Document::of_check("", client.enrolment(), check);
            let document = document.with_given_up(client.given_up());
            document.with_preflight(&target.version, preflight).0
        }
        None => waiting(client, check, wait),
    }
}

/// An update that waits for something.
fn waiting(client: &Client, check: &Check, wait: Wait) -> Document {
    let outcome = match wait {
        Wait::Approval => "awaiting_approval",
        Wait::Window(_) => "awaiting_window",
    };
    let target = check.action.target();
    let message = target.map(|target| wait_in_words(&target.version, wait));
    let document = Document::of_check(outcome, client.enrolment(), check);
    Document { message, ..document.with_given_up(client.given_up()) }
}

/// How long what is on probation has left. It ends while nobody looks, and then what ran before must
/// run again.
fn probation_left(client: &Client) -> Duration {
    let probation = client.status().recorded.record.probation;
    probation.map_or(Duration::MAX, |it| until(client.now(), it.deadline).max(SOON))
}

fn until(now: Timestamp, then: Timestamp) -> Duration {
    Duration::try_from(then.duration_since(now)).unwrap_or_default()
}

fn random() -> u32 {
    // Without randomness the fleet is less well spread, and everything else works.
    getrandom::u32().unwrap_or(u32::MAX / 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::MissingDocument;

    fn missing(what: &str, found: &str) -> Document {
        let message = format!("there is {found}");
        let entry = MissingDocument {
            what: what.to_owned(),
            required: Some("100".to_owned()),
            found: Some(found.to_owned()),
            path: None,
            message: message.clone(),
        };
        Document {
            outcome: "missing",
            message: Some(message),
            missing: Some(vec![entry]),
            ..Document::default()
        }
    }

    #[test]
    fn another_number_of_free_bytes_is_no_news_and_another_kernel_is() {
        assert_eq!(gist(&missing(SPACE, "10")), gist(&missing(SPACE, "11")));
        assert_ne!(gist(&missing("kernel", "5.10")), gist(&missing("kernel", "5.11")));
        assert_ne!(gist(&missing(SPACE, "10")), gist(&Document::default()));
    }
}
