use clap::Args;

use super::{
    super::{
        CliError, CliResult, Connection, Output,
        confirm::{Consent, confirm},
    },
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
    /// Say what would come of it, and do nothing.
    #[arg(long, conflicts_with = "yes")]
    pub(super) plan: bool,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
}

impl WordArgs {
    pub(super) fn consent(&self) -> Consent {
        if self.yes { Consent::Given } else { Consent::Asked }
    }
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
        let consent = word.consent();
        let (reason, ticket) = (word.reason, word.ticket);
        let request = ActOnRollout { expected_revision, action, reason, ticket };
        let path = format!("{}/actions", named.path());
        let preview = || -> Result<RolloutOutcome, CliError> {
            server.post(&format!("{path}/preview"), &request)
        };
        if word.plan {
            return output.answer(&preview()?, shown::outcome);
        }
        if consent == Consent::Asked && !output.is_json() {
            output.say(&shown::outcome(&preview()?));
        }
        confirm("Is that what you want?", consent, output)?;
        let outcome: RolloutOutcome = server.post(&path, &request)?;
        output.answer(&outcome, |outcome| {
            let done =
                if consent == Consent::Given { shown::outcome(outcome) } else { String::new() };
            format!("{done}\nDone.").trim_start().to_owned()
        })
    }
}

/// That of the rollout as it is now; 0 where there is none.
fn revision(server: &Connection, named: &Named) -> Result<u64, CliError> {
    let path = format!("/v1/products/{}/rollouts", named.product);
    let all: ProductRollouts = server.get(&path)?;
    let own = all.rollouts.iter().find(|view| view.record.version == named.version);
    Ok(own.map_or(0, |view| view.record.revision))
}
