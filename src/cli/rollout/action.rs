use clap::Args;

use super::{
    super::{CliError, CliResult, Connection, Output, confirm::ShownFirst},
    Named, WishArgs, shown,
};
use crate::service::rollout::{ActOnRollout, ProductRollouts, RolloutAction, RolloutOutcome};

/// An action on one rollout, whatever it is.
#[derive(Debug, Args)]
pub(in crate::cli) struct OfRelease {
    #[command(flatten)]
    named: Named,
    #[command(flatten)]
    word: WordArgs,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Start {
    #[command(flatten)]
    of: OfRelease,
    #[command(flatten)]
    wish: WishArgs,
}

/// Why somebody acts, and upon what they have seen.
#[derive(Debug, Args)]
pub(super) struct WordArgs {
    /// Why.
    #[arg(long)]
    pub(super) reason: String,
    /// The ticket that it belongs to.
    #[arg(long)]
    pub(super) ticket: Option<String>,
    /// The revision that you have seen: refuse where somebody has changed it since [default: what there is
    /// when the command begins].
    #[arg(long, value_name = "NUMBER")]
    pub(super) revision: Option<u64>,
    #[command(flatten)]
    pub(super) shown: ShownFirst,
}

impl Start {
    pub(super) fn run(self, output: Output) -> CliResult {
        let rollout = self.wish.read()?;
        self.of.run(RolloutAction::Start { rollout }, output)
    }
}

impl OfRelease {
    /// Shows what would come of the action, asks, and does it.
    pub(super) fn run(self, action: RolloutAction, output: Output) -> CliResult {
        let Self { named, word } = self;
        let server = named.server.connect()?;
        let expected_revision = match word.revision {
            Some(revision) => revision,
            None => revision(&server, &named)?,
        };
        let WordArgs { reason, ticket, shown: first, .. } = word;
        let request = ActOnRollout { expected_revision, action, reason, ticket };
        let path = format!("{}/actions", named.path());
        let preview = || -> Result<RolloutOutcome, CliError> {
            server.post(&format!("{path}/preview"), &request)
        };
        let act = || -> Result<RolloutOutcome, CliError> { server.post(&path, &request) };
        let done = |outcome: &RolloutOutcome| first.done(outcome, shown::outcome);
        first.run((preview, shown::outcome), (act, done), output)
    }
}

/// That of the rollout as it is now; 0 where there is none.
fn revision(server: &Connection, named: &Named) -> Result<u64, CliError> {
    let path = format!("/v1/products/{}/rollouts", named.product);
    let all: ProductRollouts = server.get(&path)?;
    let own = all.rollouts.iter().find(|view| view.record.version == named.version);
    Ok(own.map_or(0, |view| view.record.revision))
}
