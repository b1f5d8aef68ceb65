//! What came of a verb, for programs in other languages: the documents that `mainstay-agent --json`
//! prints and the C library hands out, and the exit codes that go with them.
//!
//! | part | what is there |
//! |---|---|
//! | [`Document`] | what is told, whatever the verb |
//! | [`Exit`] | the exit codes |
//! | [`checked`], [`fetched`], [`updated`], [`confirmed`], [`rolled_back`], [`shown`], [`failed`] | both, of one verb of the [`Client`](crate::client::Client) |
//! | [`diagnosed`], [`treated`] | both, of the [`doctor`](crate::client::doctor) |

mod answer;
mod collection;
mod doctor;
mod exit;
mod status;
mod way;

#[cfg(feature = "agent")]
use std::io::Write as _;

use jiff::Timestamp;
use serde::Serialize;

pub use answer::{Answer, checked, confirmed, failed, fetched, rolled_back, shown, updated};
#[cfg(feature = "agent")]
pub(crate) use collection::APPROVE_COLLECTION;
pub use collection::CollectionDocument;
pub use doctor::{DoctorDocument, FindingDocument, RepairDocument, diagnosed, treated};
pub use exit::Exit;
#[cfg(feature = "agent")]
pub(crate) use status::wait_in_words;
pub use status::{
    CollectionRequestDocument, LineDocument, OfferDocument, PlanDocument, StatusDocument, Waits,
};
pub use way::WayDocument;
#[cfg(feature = "agent")]
pub(crate) use way::way_in_words;

use crate::{
    client::{Check, Enrolment, FactsReport, GivenUp, MachineFacts, Preflight, Progress, Spare},
    error::{Error, with_sources},
    format::{
        Action, Channel, ContractName, CustomerName, Digest, Facts, MachineName, Missing, Notice,
        Plan, ProductName, RollbackOrder, Version, Withheld, requirements::refusal,
    },
    install::{Outcome, Verification},
};

/// What `--json` prints: exactly one document on standard output, whatever the command and however
/// it ends; `run` prints one a line, whenever something has come of it. With `--json=stream` there is one
/// a line of how far it has come, too, and the last is the one of the command.
///
/// Where something was given up for want of space, `given_up` says what (fetch, update, run). Where support
/// has asked for a bundle, `collection` says what came of that (check, fetch, update, run).
///
/// Where a release is offered that is not here yet, `way` says by which way it is expected to come, and where
/// one was fetched to be installed, by which it came, and which came to nothing before
/// (check, fetch, update, rollback, run).
///
/// `outcome` says which of the other members stand there; an [`Exit`] goes with it.
///
/// | `outcome` | of | further members |
/// |---|---|---|
/// | `enrolled` | enroll | `server`, `root_sha256` |
/// | `up_to_date`, `withheld` | check, fetch, update | `version_from` (what runs), `withheld`, `notices` |
/// | `update_offered` | check | `version_from`, `version_to` |
/// | `fetched` | fetch | `version_from` (what runs), `version_to` (what is here and can be installed) |
/// | `missing` | check, fetch, update | `version_from` (what runs), `version_to` (what is offered), `missing` |
/// | `rollback_ordered` | check, fetch | `version_from`, `version_to`, `order` |
/// | `recovered` | recover | `version_from` (what runs), `message` where something was to be mended |
/// | `unblocked`, `not_blocked` | unblock | `version_to` |
/// | `committed` | update, confirm | `version_from`, `version_to` |
/// | `not_on_probation` | confirm | `version_from` (what runs) |
/// | `probation` | update | `version_from`, `version_to`, `deadline` |
/// | `undone` | update, rollback | `version_from` (the failed one), `version_to` (what runs), `message` |
/// | `deferred` | check, fetch, update, rollback | `version_from` (what runs), `version_to` (the one that said not now), `message` |
/// | `rolled_back` | update, rollback | `version_from`, `version_to`, `order` where there was one |
/// | `status` | status | `status` |
/// | `intact`, `modified` | verify | `version_from`, `tree` |
/// | `awaiting_approval`, `awaiting_window` | run | `version_from`, `version_to`, `message` |
/// | `stopped` | run | |
/// | `unit` | unit | `message` (the unit) |
/// | `approved` | approve | `version_to` |
/// | `collected` | collect `--output` | `message` (the file) |
/// | `collection_approved` | collect `--approve` | `message` |
/// | `facts` | facts, component | `facts` |
/// | `well`, `unwell`, `repaired` | doctor | `doctor` |
/// | `error` | all | `code`, `kind`, `message`, `retryable` |
/// | `downloading` | fetch, update, rollback, run, doctor, as they go on | `received`, `length` (bytes): told for each hundredth, the first and the last among them |
/// | `way` | fetch, update, rollback, run, as they go on | `way`: what is tried next, where deltas are or were |
/// | `making` | update, rollback, run, as they go on | `received`, `length` (bytes that a delta has made of the release, and that it will have), told as a download is |
/// | `installing` | update, rollback, run, doctor, as they go on | `version_to` |
/// | `repairing` | doctor, as it goes on | `doctor`: what is about to be repaired |
#[derive(Clone, Debug, Default, Serialize)]
pub struct Document {
    /// What came of the command.
    pub outcome: &'static str,
    /// The machine's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine: Option<MachineName>,
    /// The product.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product: Option<ProductName>,
    /// Whose machine it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer: Option<CustomerName>,
    /// The contract that covered it when it enrolled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contract: Option<ContractName>,
    /// The version that ran before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version_from: Option<Version>,
    /// The version that runs now, or that is offered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version_to: Option<Version>,
    /// How many bytes of a download are here, or of a release are made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub received: Option<u64>,
    /// How many bytes there will be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub length: Option<u64>,
    /// Until when the version on probation must be confirmed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Timestamp>,
    /// The rollback order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<RollbackOrder>,
    /// The stable code of an error: the server's, the rule's, or the kind's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The kind of an error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<&'static str>,
    /// A sentence for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Whether the same command may succeed a little later by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retryable: Option<bool>,
    /// Releases above what runs that the machine does not get, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub withheld: Option<Vec<WithheldDocument>>,
    /// What the machine lacks of what the release on offer requires.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<Vec<MissingDocument>>,
    /// What was given up for want of space.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub given_up: Option<Vec<GivenUpDocument>>,
    /// By which way a release comes here, or came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub way: Option<WayDocument>,
    /// What the machine is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub facts: Option<Facts>,
    /// What the machine's owner ought to know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notices: Option<Vec<Notice>>,
    /// After how many seconds the server asks to be asked again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub poll_seconds: Option<u32>,
    /// What became of an earlier update whose probation has ended, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settled: Option<String>,
    /// Why the server could not be told what happened; it is told next time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undelivered: Option<String>,
    /// The server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// The SHA-256 of the root that was pinned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root_sha256: Option<Digest>,
    /// What is known about the machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<StatusDocument>,
    /// What the installed tree was compared with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tree: Option<TreeDocument>,
    /// What is wrong with the installation, and what was done about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub doctor: Option<DoctorDocument>,
    /// What came of a request for a support bundle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collection: Option<CollectionDocument>,
}

/// A release that the machine does not get.
#[derive(Clone, Debug, Serialize)]
pub struct WithheldDocument {
    /// The version.
    pub version: Version,
    /// Its channel.
    pub channel: Channel,
    /// The stable reason code.
    pub code: String,
    /// The reason in a sentence.
    pub message: String,
    /// A release that the machine would get instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alternative: Option<Version>,
}

/// Something that the machine lacks.
#[derive(Clone, Debug, Serialize)]
pub struct MissingDocument {
    /// What: `kernel`, `libc`, `component NAME`, `space` (in bytes), or `consent`, which the
    /// administrator's command did not give.
    pub what: String,
    /// What there should be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub required: Option<String>,
    /// What there is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
    /// Where, of space: a path on the file system that has too little.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// That in a sentence.
    pub message: String,
}

/// Something that was given up for want of space.
#[derive(Clone, Debug, Serialize)]
pub struct GivenUpDocument {
    /// What: `download`, of an artifact that is not wanted any more, or `version`, which was kept.
    pub what: &'static str,
    /// The version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// How many bytes it took.
    pub bytes: u64,
    /// That in a few words.
    pub message: String,
}

/// An installed tree beside what was signed.
#[derive(Clone, Debug, Serialize)]
pub struct TreeDocument {
    /// The signed length of the payload.
    pub expected_length: u64,
    /// The signed digest of the payload.
    pub expected_sha256: Digest,
    /// The length that the tree packs to.
    pub found_length: u64,
    /// The digest that the tree packs to.
    pub found_sha256: Digest,
}

impl Document {
    /// That a verb failed, and why.
    pub fn of_error(error: &Error) -> Self {
        Self {
            outcome: "error",
            code: Some(error.code().to_owned()),
            kind: Some(error.kind().as_str()),
            message: Some(with_sources(error)),
            retryable: Some(error.is_retryable()),
            ..Self::default()
        }
    }

    /// That what the caller said was not understood, and why.
    pub fn of_usage(message: &str) -> Self {
        Self {
            outcome: "error",
            code: Some("usage".to_owned()),
            kind: Some("usage"),
            message: Some(message.trim_end().to_owned()),
            retryable: Some(false),
            ..Self::default()
        }
    }

    /// How far a verb has come.
    pub fn of_progress(progress: &Progress) -> Self {
        match progress {
            Progress::Way(expected) => {
                Self { outcome: "way", ..Self::default() }.with_expected_way(Some(*expected))
            }
            Progress::Downloading { received, length } => Self {
                outcome: "downloading",
                received: Some(*received),
                length: Some(*length),
                ..Self::default()
            },
            Progress::Making { made, length } => Self {
                outcome: "making",
                received: Some(*made),
                length: Some(*length),
                ..Self::default()
            },
            Progress::Installing { version } => {
                Self { outcome: "installing", version_to: Some(version.clone()), ..Self::default() }
            }
        }
    }

    /// The members that every answer about an enrolled machine has.
    pub(crate) fn of_machine(outcome: &'static str, enrolment: &Enrolment) -> Self {
        Self {
            outcome,
            machine: Some(enrolment.machine.clone()),
            product: Some(enrolment.product.clone()),
            customer: Some(enrolment.customer.clone()),
            contract: Some(enrolment.contract.clone()),
            ..Self::default()
        }
    }

    /// What has come of [`Client::enroll`](crate::client::Client::enroll).
    pub fn of_enrolment(enrolment: &Enrolment) -> Self {
        Self {
            server: Some(enrolment.server.clone()),
            root_sha256: Some(enrolment.root_sha256),
            ..Self::of_machine("enrolled", enrolment)
        }
    }

    /// What has come of [`Client::verify`](crate::client::Client::verify).
    pub fn of_verification(enrolment: &Enrolment, found: &Verification) -> Self {
        let outcome = if found.is_intact() { "intact" } else { "modified" };
        Self {
            version_from: Some(found.version.clone()),
            tree: Some(TreeDocument {
                expected_length: found.expected_length,
                expected_sha256: found.expected_sha256,
                found_length: found.found_length,
                found_sha256: found.found_sha256,
            }),
            ..Self::of_machine(outcome, enrolment)
        }
    }

    pub(crate) fn of_check(outcome: &'static str, enrolment: &Enrolment, check: &Check) -> Self {
        let order = match &check.action {
            Action::Rollback { order, .. } => Some(order.clone()),
            _ => None,
        };
        Self {
            version_from: check.running.clone(),
            version_to: check.action.target().map(|target| target.version.clone()),
            order,
            settled: check.settled.as_ref().map(in_words),
            undelivered: check.undelivered.as_ref().map(|error| with_sources(error)),
            collection: check.collection.as_ref().map(CollectionDocument::from),
            ..Self::of_machine(outcome, enrolment).with_plan(&check.plan)
        }
    }

    /// What a machine is, as releases look at it.
    pub fn of_facts(found: &MachineFacts) -> Self {
        let unheard = "the server is not told";
        Self {
            facts: Some(found.facts.clone()),
            message: (found.report() == FactsReport::Withheld).then(|| unheard.to_owned()),
            ..Self::of_machine("facts", &found.enrolment)
        }
    }

    /// The same with what stands in the way of `version`, and the exit code that goes with it.
    pub(crate) fn with_preflight(self, version: &Version, found: &Preflight) -> (Self, Exit) {
        let version_to = Some(version.clone());
        match found {
            Preflight::Passed => (self, Exit::Done),
            Preflight::NotNow(reason) => {
                let (version, running) = (version.clone(), self.version_from.clone());
                let deferred = Outcome::Deferred { version, running, reason: reason.clone() };
                (self.with_outcome(&deferred), Exit::Deferred)
            }
            Preflight::Missing(missing) => {
                let message = Some(refusal(version, missing));
                let missing = Some(missing.iter().map(MissingDocument::from).collect());
                (Self { outcome: "missing", version_to, missing, message, ..self }, Exit::Missing)
            }
        }
    }

    /// The same with what came of an attempt.
    pub(crate) fn with_outcome(self, outcome: &Outcome) -> Self {
        let message = Some(in_words(outcome));
        match outcome.clone() {
            Outcome::Committed { from, to } => Self {
                outcome: "committed",
                version_from: from,
                version_to: Some(to),
                message,
                ..self
            },
            Outcome::Probation { from, to, deadline } => Self {
                outcome: "probation",
                version_from: from,
                version_to: Some(to),
                deadline: Some(deadline),
                message,
                ..self
            },
            Outcome::Undone { from, to, .. } => Self {
                outcome: "undone",
                version_from: Some(from),
                version_to: to,
                message,
                ..self
            },
            Outcome::Deferred { version, running, .. } => Self {
                outcome: "deferred",
                version_from: running,
                version_to: Some(version),
                message,
                ..self
            },
            Outcome::RolledBack { from, to } => Self {
                outcome: "rolled_back",
                version_from: Some(from),
                version_to: Some(to),
                message,
                ..self
            },
        }
    }

    /// The same with what was given up for want of space.
    pub(crate) fn with_given_up(self, given_up: &[GivenUp]) -> Self {
        let given_up = given_up.iter().map(GivenUpDocument::from).collect::<Vec<_>>();
        Self { given_up: (!given_up.is_empty()).then_some(given_up), ..self }
    }

    fn with_plan(self, plan: &Plan) -> Self {
        Self {
            withheld: Some(plan.withheld.iter().map(WithheldDocument::from).collect()),
            notices: Some(plan.notices.clone()),
            poll_seconds: Some(plan.poll_seconds),
            ..self
        }
    }

    /// Prints the document on standard output. Whoever closes that does not want to know.
    #[cfg(feature = "agent")]
    pub(crate) fn print_json(&self) {
        let _ = writeln!(std::io::stdout().lock(), "{}", self.to_json());
    }

    /// The document as JSON, in one line.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl From<&Withheld> for WithheldDocument {
    fn from(withheld: &Withheld) -> Self {
        let Withheld { version, channel, code, message, alternative } = withheld.clone();
        Self { version, channel, code, message, alternative }
    }
}

impl From<&Missing> for MissingDocument {
    fn from(missing: &Missing) -> Self {
        Self {
            what: missing.what(),
            required: missing.required(),
            found: missing.found(),
            path: match missing {
                Missing::Space { path, .. } => Some(path.clone()),
                _ => None,
            },
            message: missing.to_string(),
        }
    }
}

impl From<&GivenUp> for GivenUpDocument {
    fn from(given_up: &GivenUp) -> Self {
        let (what, version) = match &given_up.what {
            Spare::Download { .. } => ("download", None),
            Spare::Version { version } => ("version", Some(version.clone())),
        };
        Self { what, version, bytes: given_up.bytes, message: given_up.to_string() }
    }
}

/// What came of an attempt, in a sentence.
fn in_words(outcome: &Outcome) -> String {
    let ran = |from: &Option<Version>| {
        from.as_ref().map_or_else(|| "nothing ran before".to_owned(), |it| format!("was {it}"))
    };
    match outcome {
        Outcome::Committed { from, to } => {
            format!("{to} is installed and confirmed ({})", ran(from))
        }
        Outcome::Probation { from, to, deadline } => {
            format!("{to} is installed and must be confirmed by {deadline} ({})", ran(from))
        }
        Outcome::Undone { from, to: Some(to), reason } => {
            format!("{from} was undone and {to} runs again: {reason}")
        }
        Outcome::Undone { from, to: None, reason } => {
            format!("{from} was undone and nothing runs: {reason}")
        }
        Outcome::Deferred { version, running: Some(running), reason } => {
            format!("{version} is tried again later and {running} runs: {reason}")
        }
        Outcome::Deferred { version, running: None, reason } => {
            format!("{version} is tried again later and nothing runs: {reason}")
        }
        Outcome::RolledBack { from, to } => format!("rolled back from {from} to {to}"),
    }
}
