use std::{
    io::{BufRead as _, IsTerminal as _},
    path::PathBuf,
};

use clap::Args;
use mainstay_client::format::Digest;

use super::{
    super::{CliError, CliResult, Output, keys::KeyArgs, vendor_trust::VendorTrust},
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
    /// The SHA-256 of the product's first root, as `mainstay product create` said it: needed once on
    /// a computer that has not seen the product before.
    #[arg(long, value_name = "SHA256")]
    root_sha256: Option<Digest>,
}

impl Sign {
    pub(super) fn run(self, output: Output) -> CliResult {
        let mut proposal = Proposal::read(&self.file)?;
        let trust = VendorTrust::new(&self.keys.keys, &proposal.product);
        let seen = trust.seen()?;
        self.require_known(seen.root.is_some(), &proposal)?;
        let mut review = Review::new(&proposal, &seen, Clock::system().now())?;
        let names = names(&self.keys);
        output.say(&words(&review, &names));
        self.confirm(output)?;
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
        }
        proposal.documents = review.texts()?;
        proposal.write(self.out.as_ref().unwrap_or(&self.file))?;
        trust.keep_root(&review.base.root_bytes)?;
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

    fn confirm(&self, output: Output) -> CliResult {
        if self.yes {
            return Ok(());
        }
        if output.is_json() {
            return Err(CliError::Input(
                "--json shows nothing to say yes to: look at it with `mainstay trust show`, then \
                 give --yes"
                    .to_owned(),
            ));
        }
        let stdin = std::io::stdin();
        if !stdin.is_terminal() {
            return Err(CliError::Input(
                "nobody is there to be asked: give --yes if this is to be signed".to_owned(),
            ));
        }
        eprint!("\nSign this? Type yes: ");
        let mut answer = String::new();
        stdin
            .lock()
            .read_line(&mut answer)
            .map_err(|source| CliError::file("read", std::path::Path::new("the answer"), source))?;
        if answer.trim() == "yes" {
            return Ok(());
        }
        Err(CliError::Input("not signed".to_owned()))
    }
}
