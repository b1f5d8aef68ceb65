use std::path::PathBuf;

use clap::Args;

use super::{
    super::{CliResult, Output, keys::KeyArgs, vendor_trust::VendorTrust},
    Proposal, Review, Shown, names,
};
use crate::clock::Clock;

/// Say in plain words what a proposal changes. Needs no network and no private key.
#[derive(Debug, Args)]
pub(in crate::cli) struct Show {
    #[command(flatten)]
    keys: KeyArgs,
    /// The proposal, or several copies of it that different people have signed.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

impl Show {
    pub(super) fn run(self, output: Output) -> CliResult {
        let (proposal, copies) = Proposal::read_copies(&self.files)?;
        let seen = VendorTrust::new(&self.keys.keys, &proposal.product).seen()?;
        let mut review = Review::new(&proposal, &seen, Clock::system().now())?;
        copies.iter().try_for_each(|copy| review.join(copy))?;
        if seen.root.is_none() {
            output.say(&format!(
                "This computer has not seen {} before, so it cannot tell whether the proposal \
                 builds upon the true one. Its first root has the SHA-256 {}: compare that with \
                 what `mainstay product create` said.",
                proposal.product,
                proposal.first_root_sha256()
            ));
        }
        output.answer(&Shown::new(&review, &names(&self.keys)), |shown| shown.text.clone())
    }
}
