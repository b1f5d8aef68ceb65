//! Support bundles: what support needs to see of this machine, without secrets, in one file.
//!
//! The plan asks for one ([`CollectOrder`]), and [`Client::check`](super::Client::check) answers: as the
//! administrator has set it in `[support] collect`, the bundle is made and sent once, or support is told
//! that it is forbidden or waits for approval. [`Client::bundle`](super::Client::bundle) makes the same
//! bundle for somebody at the machine to look at.
//!
//! | file | what it holds |
//! |---|---|
//! | `bundle.json` | whose bundle it is, and in how many places something was removed ([`BundleHeading`]) |
//! | `status.json` | what `mainstay-agent status --json` says |
//! | `doctor.json` | what `mainstay-agent doctor --json` says |
//! | `journal.json` | the journal of the installation, with what hooks and health checks printed last |
//! | `history.json` | what happened when, with the last errors |
//! | `versions.json` | the versions that are kept, and whether their trees are there |
//! | `metadata.json` | the versions of the metadata that the machine trusts |
//! | `agent.toml` | the settings |
//! | `facts.json` | what the machine is; absent where the server is not to know |
//! | `environment.json` | the environment: values of a few variables, of all others the names |
//! | `disk.json` | how much space there is |
//!
//! The program's data, and everything by which the machine or anybody else is known (keys, credentials,
//! tokens), are in none of them. All of it goes through a scrubber before it is written.

mod bundle;
mod environment;
mod scrub;

use jiff::Timestamp;

use super::{Client, approval, settings::CollectConsent, trust_store::Noted};
use crate::{
    error::{Error, ErrorKind},
    format::{
        BundleHeading, CollectOrder, Plan,
        wire::{CollectionAnswer, CollectionRefusal},
    },
    install::Layout,
};

/// What came of a request for a support bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collection {
    /// The order that asked for it.
    pub number: u64,
    /// What came of it.
    pub outcome: CollectionOutcome,
}

/// What came of a request for a support bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CollectionOutcome {
    /// It was made and sent.
    Sent,
    /// It waits for somebody at the machine to approve of it, as support was told.
    AwaitsApproval,
    /// The administrator forbids it, as support was told.
    Forbidden,
    /// It could not be made or sent, for this reason; that is tried again at the next check.
    Failed(String),
}

/// What is still to be done of a request for a support bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectionRequest {
    /// The request.
    pub order: CollectOrder,
    /// What the administrator lets happen.
    pub consent: CollectConsent,
    /// Whether somebody at the machine has approved of it.
    pub is_approved: bool,
}

impl CollectionRequest {
    /// The request of `plan` that is still to be answered at `now`; `answered` is the one that was last.
    pub(super) fn open(
        plan: &Plan,
        now: Timestamp,
        answered: Option<u64>,
        consent: CollectConsent,
        layout: &Layout,
    ) -> Option<Self> {
        let order = plan.collect.as_ref()?;
        let is_new = answered.is_none_or(|answered| answered < order.number);
        let is_approved = approval::collection(layout) == Some(order.number);
        let request = Self { order: order.clone(), consent, is_approved };
        (is_new && now < order.expires).then_some(request)
    }

    fn awaits_approval(&self) -> bool {
        self.consent == CollectConsent::Ask && !self.is_approved
    }
}

impl Client {
    /// The request for a support bundle in the newest plan, as far as it is still to be answered.
    pub fn collection_request(&self) -> Option<CollectionRequest> {
        let (layout, consent) = (self.installation.layout(), self.enrolment.support.collect);
        let answered = self.store.noted(Noted::CollectionAnswered);
        CollectionRequest::open(&self.store.plan()?, self.now(), answered, consent, layout)
    }

    /// Approves of the support bundle that is asked for, which the next [`check`](Client::check) makes
    /// and sends then, and gives its order's number.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound) where none is asked for, [`Input`](ErrorKind::Input) where the
    /// administrator forbids it.
    pub fn approve_collection(&self) -> Result<u64, Error> {
        let nothing =
            || Error::not_found("no support bundle is asked for: there is nothing to approve");
        let request = self.collection_request().ok_or_else(nothing)?;
        if request.consent == CollectConsent::Forbid {
            let detail = "`[support] collect` in agent.toml is `forbid`: expected `ask` or `allow`";
            return Err(Error::input(detail));
        }
        let number = request.order.number;
        approval::approve_collection(self.installation.layout(), number)?;
        Ok(number)
    }

    /// Answers the request for a support bundle in the newest plan, where there is one that was not
    /// answered.
    pub(super) fn collect(&self) -> Option<Collection> {
        let request = self.collection_request()?;
        let number = request.order.number;
        let outcome = self.answer(&request).transpose()?;
        let failed = |error: Error| CollectionOutcome::Failed(crate::error::with_sources(&error));
        Some(Collection { number, outcome: outcome.unwrap_or_else(failed) })
    }

    /// Nothing where the server does not want an answer any more.
    fn answer(&self, request: &CollectionRequest) -> Result<Option<CollectionOutcome>, Error> {
        let number = request.order.number;
        let refuse = |answer| self.remote.refuse_collection(number, &CollectionRefusal { answer });
        if request.awaits_approval() {
            if self.store.noted(Noted::CollectionWaiting) != Some(number) {
                let told = refuse(CollectionAnswer::AwaitsApproval);
                if self.is_unwanted(number, told)? {
                    return Ok(None);
                }
                self.store.note(Noted::CollectionWaiting, number)?;
            }
            return Ok(Some(CollectionOutcome::AwaitsApproval));
        }
        let (outcome, told) = if request.consent == CollectConsent::Forbid {
            (CollectionOutcome::Forbidden, refuse(CollectionAnswer::Forbidden))
        } else {
            let bundle = self.bundle(Some(number))?;
            (CollectionOutcome::Sent, self.remote.send_bundle(number, &bundle))
        };
        if self.is_unwanted(number, told)? {
            return Ok(None);
        }
        self.store.note(Noted::CollectionAnswered, number)?;
        Ok(Some(outcome))
    }

    /// Whether the server does not ask for the bundle any more, or never did: there is nothing more to
    /// be done then.
    fn is_unwanted(&self, number: u64, told: Result<(), Error>) -> Result<bool, Error> {
        match told {
            Ok(()) => Ok(false),
            Err(error) if error.code() == BundleHeading::UNASKED => {
                self.store.note(Noted::CollectionAnswered, number)?;
                Ok(true)
            }
            Err(error) => Err(error),
        }
    }
}

/// Whether a check that ended with `kind` has brought a plan all the same, which may ask for a bundle:
/// just then support wants one.
pub(super) fn has_plan(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Blocked | ErrorKind::Trust)
}
