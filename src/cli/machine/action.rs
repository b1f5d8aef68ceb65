use clap::Args;
use jiff::Timestamp;
use mainstay_client::format::Version;

use super::{
    super::{CliError, CliResult, Output, confirm::ShownFirst},
    Act,
};
use crate::{
    policy::Ring,
    service::{
        action::{ActOnMachine, ActionOutcome, MachineAction},
        instant,
        support::NextStep,
    },
};

/// An action on one machine, whatever it is.
#[derive(Debug, Args)]
pub(in crate::cli) struct OfMachine {
    #[command(flatten)]
    act: Act,
    #[command(flatten)]
    shown: ShownFirst,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct OfVersion {
    #[command(flatten)]
    of: OfMachine,
    /// The version.
    version: Version,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Hold {
    #[command(flatten)]
    of: OfMachine,
    /// Until when.
    #[arg(long, value_name = "TIME", value_parser = instant::parse)]
    until: Timestamp,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct OfRing {
    #[command(flatten)]
    of: OfMachine,
    /// The ring.
    ring: Ring,
}

impl OfRing {
    pub(super) fn run(self, output: Output) -> CliResult {
        self.of.run(MachineAction::Ring { ring: self.ring }, output)
    }
}

impl OfVersion {
    pub(super) fn run(
        self,
        action: impl FnOnce(Version) -> MachineAction,
        output: Output,
    ) -> CliResult {
        self.of.run(action(self.version), output)
    }
}

impl Hold {
    pub(super) fn run(self, output: Output) -> CliResult {
        self.of.run(MachineAction::Hold { until: self.until }, output)
    }
}

impl OfMachine {
    /// Shows what would come of the action, asks, and does it.
    pub(super) fn run(self, action: MachineAction, output: Output) -> CliResult {
        let Self { act: Act { server, machine, reason, ticket }, shown } = self;
        let request = ActOnMachine { action, reason, ticket };
        let server = server.connect()?;
        let path = format!("/v1/machines/{machine}/actions");
        let preview = || -> Result<ActionOutcome, CliError> {
            server.post(&format!("{path}/preview"), &request)
        };
        let act = || -> Result<ActionOutcome, CliError> { server.post(&path, &request) };
        let done = |outcome: &ActionOutcome| shown.done(outcome, told);
        shown.run((preview, told), (act, done), output)
    }
}

/// What comes of it, for a person.
fn told(outcome: &ActionOutcome) -> String {
    let ActionOutcome { machine, running, before, after, cautions } = outcome;
    let running = running.as_ref().map_or_else(|| "nothing yet".to_owned(), ToString::to_string);
    let mut lines = vec![format!("Machine {machine} runs {running}.")];
    if step(before) == step(after) {
        lines.push(format!("At its next check it will {}, as before.", step(after)));
    } else {
        lines.push(format!(
            "At its next check it will {}; it would {}.",
            step(after),
            step(before)
        ));
    }
    lines.extend(cautions.iter().cloned());
    lines.join("\n")
}

fn step(next: &NextStep) -> String {
    match (next.action.as_str(), &next.version) {
        ("update", Some(version)) => format!("install {version}"),
        ("rollback", Some(version)) => format!("go back to {version}"),
        _ => "stay as it is".to_owned(),
    }
}
