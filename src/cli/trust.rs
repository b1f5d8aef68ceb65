mod accept_older;
mod base;
mod change;
mod create_channel;
mod line;
mod proposal;
mod propose;
mod renew;
mod review;
mod seen;
mod set_line;
mod show;
mod sign;
mod submit;
mod words;

use std::{collections::BTreeMap, path::Path};

use clap::Subcommand;
use mainstay_client::{
    format::{ProductName, wire::PublishingState},
    tuf::KeyId,
};
use serde::Serialize;

use self::{
    base::Base,
    change::Change,
    review::Document,
    words::{Names, words},
};
pub(super) use self::{
    change::{next_header, unsigned},
    create_channel::CreateChannel,
    proposal::Proposal,
    review::Review,
    seen::{Seen, SeenRoles},
    set_line::SetLine,
    submit::{remember, submit},
};
use super::{
    CliError, CliResult, Connection, Output,
    keys::KeyArgs,
    vendor_trust::{VendorTrust, require_clock},
};
use crate::clock::Clock;

/// Change what machines trust: who signs root, targets and channels, how many must, and until when;
/// and the dates of lines.
///
/// A change is proposed into a file, which travels to everybody who must sign it and back; each of
/// them needs nothing but this program and a key, and no network.
#[derive(Debug, Subcommand)]
pub(super) enum Trust {
    /// Write a change into a file, for others to sign.
    Propose(Box<propose::Propose>),
    /// Say in plain words what a proposal changes, who has signed it and who has not.
    Show(show::Show),
    /// Sign a proposal, here, without any network.
    Sign(sign::Sign),
    /// Join the signatures in copies of a proposal, and make it come true.
    Submit(submit::Submit),
    /// Go by an older state of a product than this computer has seen.
    AcceptOlder(accept_older::AcceptOlder),
    /// Sign anew, in one go, whatever expires soon and the keys at hand may sign.
    Renew(renew::Renew),
}

impl Trust {
    pub(super) fn run(self, output: Output) -> CliResult {
        match self {
            Self::Propose(command) => command.run(output),
            Self::Show(command) => command.run(output),
            Self::Sign(command) => command.run(output),
            Self::Submit(command) => command.run(output),
            Self::AcceptOlder(command) => command.run(output),
            Self::Renew(command) => command.run(output),
        }
    }
}

/// A proposal as it is shown.
#[derive(Debug, Serialize)]
struct Shown {
    product: ProductName,
    revision: u64,
    complete: bool,
    documents: Vec<ShownDocument>,
    /// The whole in plain words.
    text: String,
}

#[derive(Debug, Serialize)]
struct ShownDocument {
    name: String,
    /// The SHA-256 of what is signed.
    sha256: String,
    requirements: Vec<ShownRequirement>,
}

#[derive(Debug, Serialize)]
struct ShownRequirement {
    who: String,
    threshold: u64,
    signed: Vec<String>,
    missing: u64,
}

impl Shown {
    fn new(review: &Review, names: &Names) -> Self {
        let documents = review.documents.iter().map(|document| ShownDocument {
            name: document.name.clone(),
            sha256: document.sha256().to_string(),
            requirements: document
                .requirements
                .iter()
                .map(|required| ShownRequirement {
                    who: required.who.clone(),
                    threshold: required.role.threshold.get(),
                    signed: required
                        .signed(&document.envelope)
                        .iter()
                        .map(ToString::to_string)
                        .collect(),
                    missing: required.missing(&document.envelope),
                })
                .collect(),
        });
        Self {
            product: review.product.clone(),
            revision: review.revision,
            complete: review.is_complete(),
            documents: documents.collect(),
            text: words(review, names),
        }
    }
}

/// Writes `proposal` into `file`, and says what it is as everybody else will see it. What is signed
/// in it was signed here.
pub(super) fn proposed(
    proposal: &Proposal,
    file: &Path,
    keys: &KeyArgs,
    output: Output,
) -> CliResult {
    let trust = VendorTrust::new(&keys.keys, &proposal.product);
    let mut seen = trust.seen()?;
    let review = Review::new(proposal, &seen, Clock::system().now())?;
    review.note(&mut seen, Document::is_signed);
    trust.keep(&seen)?;
    proposal.write(file)?;
    output.say(&format!("The proposal is in {}.", file.display()));
    output.answer(&Shown::new(&review, &names(keys)), |shown| shown.text.clone())
}

/// What people call the keys of which the public half is in the directory.
fn names(keys: &KeyArgs) -> Names {
    let listed = keys.listed().unwrap_or_default();
    let named = listed.into_iter().filter_map(|name| Some((keys.public(&name).ok()?.id(), name)));
    named.collect::<BTreeMap<KeyId, String>>()
}

/// Signs with each key of which the private half is here and that may sign something.
fn sign_with_keys_here(review: &mut Review, keys: &KeyArgs, names: &Names) -> CliResult {
    for (id, name) in names {
        let is_wanted = review.documents.iter().any(|document| document.may_sign(id));
        if is_wanted && keys.has_private(name) {
            review.sign(&keys.private(name)?)?;
        }
    }
    Ok(())
}

/// The product as it is now, and what the vendor has signed of it.
struct Present {
    state: PublishingState,
    base: Base,
}

impl Present {
    fn read(
        server: &Connection,
        product: &ProductName,
        trust: &VendorTrust,
    ) -> Result<Self, CliError> {
        let state: PublishingState = server.get(&format!("/v1/products/{product}/publishing"))?;
        require_clock(&state, Clock::system().now())?;
        let seen = trust.seen()?;
        if seen.root.is_none() {
            return Err(trust.unknown());
        }
        let base = Base::verify(product, &state.metadata, &seen)?;
        Ok(Self { state, base })
    }

    /// The proposal of `change`; nothing where that changes nothing.
    fn propose(
        &self,
        product: &ProductName,
        change: &Change,
    ) -> Result<Option<Proposal>, CliError> {
        let Self { state, base } = self;
        let documents = change::documents(base, &state.metadata, change, state.now)?;
        if documents.is_empty() {
            return Ok(None);
        }
        Ok(Some(Proposal::new(product.clone(), state, documents, None)))
    }
}

#[cfg(test)]
mod tests;
