//! What was ordered for several machines at once.

mod shown;

use std::time::Duration;

use clap::{Args, Subcommand};

pub(super) use self::shown::{ordered, preview};
use super::{CliError, CliResult, Connection, ExitStatus, Output, ServerArgs, confirm::ShownFirst};
use crate::{
    service::actions::{ActionProgress, ActionSummary, ChangeAction},
    store::{ActionId, ActionState},
};

/// How often it is asked how far an action has come.
const WATCH_INTERVAL: Duration = Duration::from_secs(2);

/// Show what was ordered for several machines at once (`mainstay machine …` with `--customer`,
/// `--running`, `--platform`, `--ring` or `--machines`), approve and cancel it.
#[derive(Debug, Subcommand)]
pub(super) enum ActionCommand {
    /// List actions, the newest first, with how many machines have come how far.
    List(List),
    /// Show how far an action has come, machine by machine.
    Show(Show),
    /// Agree to an action over many machines that somebody else has ordered.
    Approve(Change),
    /// Have nothing more done for an action. What is recorded with machines stays.
    Cancel(Change),
}

#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    server: ServerArgs,
    /// List at most so many, 1 to 100.
    #[arg(long, value_name = "NUMBER")]
    limit: Option<usize>,
    /// Only those that were ordered before this one.
    #[arg(long, value_name = "ACTION")]
    before: Option<ActionId>,
}

#[derive(Debug, Args)]
pub(super) struct Show {
    #[command(flatten)]
    named: Named,
    /// Follow it until every machine has come to an end of it, or it is cancelled.
    #[arg(long)]
    watch: bool,
}

#[derive(Debug, Args)]
struct Named {
    #[command(flatten)]
    server: ServerArgs,
    /// The action.
    action: ActionId,
}

#[derive(Debug, Args)]
pub(super) struct Change {
    #[command(flatten)]
    named: Named,
    /// Why.
    #[arg(long)]
    reason: String,
    /// The ticket that it belongs to.
    #[arg(long)]
    ticket: Option<String>,
    #[command(flatten)]
    first: ShownFirst,
}

impl ActionCommand {
    pub(super) fn run(self, output: Output) -> Result<ExitStatus, CliError> {
        match self {
            Self::List(list) => list.run(output)?,
            Self::Show(show) => return show.run(output),
            Self::Approve(change) => change.run("approve", output)?,
            Self::Cancel(change) => change.run("cancel", output)?,
        }
        Ok(ExitStatus::Done)
    }
}

impl List {
    fn run(self, output: Output) -> CliResult {
        let Self { server, limit, before } = self;
        let asked = [
            limit.map(|limit| format!("limit={limit}")),
            before.map(|before| format!("before={before}")),
        ];
        let asked: Vec<_> = asked.into_iter().flatten().collect();
        let path = format!("/v1/actions?{}", asked.join("&"));
        let actions: Vec<ActionSummary> = server.connect()?.get(&path)?;
        output.answer(&actions, |actions| shown::list(actions))
    }
}

impl Show {
    fn run(self, output: Output) -> Result<ExitStatus, CliError> {
        let Self { named: Named { server, action }, watch } = self;
        let server = server.connect()?;
        let progress =
            if watch { watched(&server, &action, output)? } else { get(&server, &action)? };
        output.answer(&progress, shown::page)?;
        let is_incomplete = watch && progress.summary.counts.missed() > 0;
        Ok(if is_incomplete { ExitStatus::Incomplete } else { ExitStatus::Done })
    }
}

fn get(server: &Connection, action: &ActionId) -> Result<ActionProgress, CliError> {
    server.get(&format!("/v1/actions/{action}"))
}

/// The action once nothing more becomes of it.
fn watched(
    server: &Connection,
    action: &ActionId,
    output: Output,
) -> Result<ActionProgress, CliError> {
    let mut told = String::new();
    loop {
        let progress = get(server, action)?;
        let now = shown::counts(&progress.summary);
        if now != told {
            output.say(&now);
            told = now;
        }
        if matches!(progress.summary.record.state, ActionState::Done | ActionState::Cancelled) {
            return Ok(progress);
        }
        std::thread::sleep(WATCH_INTERVAL);
    }
}

impl Change {
    fn run(self, verb: &str, output: Output) -> CliResult {
        let Self { named: Named { server, action }, reason, ticket, first } = self;
        let server = server.connect()?;
        let request = ChangeAction { reason, ticket };
        let path = format!("/v1/actions/{action}/{verb}");
        let act = || -> Result<ActionProgress, CliError> { server.post(&path, &request) };
        let done = |progress: &ActionProgress| first.done(progress, shown::page);
        first.run((|| get(&server, &action), shown::page), (act, done), output)
    }
}
