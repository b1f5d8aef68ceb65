use std::{collections::BTreeSet, path::PathBuf};

use clap::Args;
use mainstay_client::format::Digest;

use super::{
    super::{
        CliError, CliResult, Output,
        confirm::{Consent, confirm},
        keys::KeyArgs,
        vendor_trust::VendorTrust,
    },
    Proposal, Review, Shown, names,
    words::words,
};
use crate::clock::Clock;

/// Sign a proposal with keys that are here. Needs no network. What is signed is shown first, and you
/// are asked.
#[derive(Debug, Args)]
pub(in crate::cli) struct Sign {
    #[command(flatten)]
    keys: KeyArgs,
    /// The proposal.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// A key to sign with: it signs each document that it may sign. Give it again for each further
    /// one.
    #[arg(long, required = true, value_name = "KEY")]
    key: Vec<String>,
    /// Write the signed proposal to another file [default: the same].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
    /// Sign although this computer has signed another document of the same version, or a later one,
    /// which has come to nothing. If both came true, machines that took the one would refuse what
    /// is built upon the other.
    #[arg(long)]
    again: bool,
    /// The SHA-256 of the product's first root, as `mainstay product create` said it: needed once on
    /// a computer that has not seen the product before.
    #[arg(long, value_name = "SHA256")]
    root_sha256: Option<Digest>,
}

impl Sign {
    pub(super) fn run(self, output: Output) -> CliResult {
        let mut proposal = Proposal::read(&self.file)?;
        let trust = VendorTrust::new(&self.keys.keys, &proposal.product);
        let mut seen = trust.seen()?;
        self.require_known(seen.root.is_some(), &proposal)?;
        let mut review = Review::new(&proposal, &seen, Clock::system().now())?;
        let names = names(&self.keys);
        output.say(&words(&review, &names));
        self.require_first(&review)?;
        let consent = if self.yes { Consent::Given } else { Consent::Asked };
        confirm("Sign this?", consent, output)?;
        let mut signed_here = BTreeSet::new();
        for name in &self.key {
            let key = self.keys.private(name)?;
            let signed = review.sign(&key)?;
            if signed.is_empty() {
                return Err(CliError::Input(format!(
                    "key {name} ({}) may sign nothing in this proposal",
                    key.public().id()
                )));
            }
            output.say(&format!("\n{name} has signed {}.", signed.join(", ")));
            signed_here.extend(signed);
        }
        proposal.documents = review.texts()?;
        // Before anybody can have the signatures.
        review.note(&mut seen, |document| signed_here.contains(&document.name));
        trust.keep(&seen)?;
        proposal.write(self.out.as_ref().unwrap_or(&self.file))?;
        output.answer(&Shown::new(&review, &names), |shown| format!("\n{}", shown.text))
    }

    /// A key that signs upon a false chain of roots might sign itself away.
    fn require_known(&self, is_known: bool, proposal: &Proposal) -> CliResult {
        let found = proposal.first_root_sha256();
        match self.root_sha256 {
            Some(expected) if expected != found => Err(CliError::Untrusted(format!(
                "the product's first root has the SHA-256 {found}: expected {expected}"
            ))),
            None if !is_known => Err(CliError::Input(format!(
                "this computer has not seen {} before: give --root-sha256, as `mainstay product \
                 create` said it (the proposal says {found}; do not take it from there)",
                proposal.product
            ))),
            _ => Ok(()),
        }
    }

    /// Two documents of one version would split the machines.
    fn require_first(&self, review: &Review) -> CliResult {
        if self.again || review.signed_instead.is_empty() {
            return Ok(());
        }
        Err(CliError::Untrusted(format!(
            "this computer has signed something else before: {}; find out what has become of that, \
             and give --again if it has come to nothing",
            review.signed_instead.join("; ")
        )))
    }
}
