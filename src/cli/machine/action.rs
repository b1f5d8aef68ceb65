use std::{collections::BTreeSet, str::FromStr};

use clap::Args;
use jiff::Timestamp;
use mainstay_client::format::{AdvisoryId, MachineName, Version};

use super::{
    super::{CliError, CliResult, Output, ServerArgs, action as shown, confirm::ShownFirst},
    selection::SelectionArgs,
};
use crate::{
    policy::{Reopening, RollbackTarget},
    service::{
        action::{ActOnMachine, ActionOutcome, MachineAction},
        actions::{ActionPreview, ActionProgress, OrderAction, WantedAction},
        instant,
        support::{NextStep, OrderRollback},
    },
    store::OrderRecord,
};

/// On which machines somebody acts, if not on one, and why.
#[derive(Debug, Args)]
pub(super) struct Acting {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    selected: SelectionArgs,
    /// Why.
    #[arg(long)]
    reason: String,
    /// The ticket that it belongs to.
    #[arg(long)]
    ticket: Option<String>,
    #[command(flatten)]
    shown: ShownFirst,
}

/// An action on one machine or on several, whatever it is.
#[derive(Debug, Args)]
pub(in crate::cli) struct OfMachine {
    /// The machine's name; none where machines are selected.
    machine: Option<MachineName>,
    #[command(flatten)]
    acting: Acting,
}

/// An action that is about a version.
#[derive(Debug, Args)]
pub(in crate::cli) struct OfVersion {
    /// The machine's name, which is left out where machines are selected, and the version.
    #[arg(value_name = "[MACHINE] VERSION", required = true)]
    named: Vec<String>,
    #[command(flatten)]
    acting: Acting,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Retry {
    /// The machine's name, which is left out where machines are selected, and the version [default: the
    /// one that failed last].
    #[arg(value_name = "[MACHINE] [VERSION]")]
    named: Vec<String>,
    #[command(flatten)]
    acting: Acting,
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
    /// The machine's name, which is left out where machines are selected, and the ring.
    #[arg(value_name = "[MACHINE] RING", required = true)]
    named: Vec<String>,
    #[command(flatten)]
    acting: Acting,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Rollback {
    /// The machine's name; none where machines are selected.
    machine: Option<MachineName>,
    #[command(flatten)]
    acting: Acting,
    /// The version to go back to.
    #[arg(long, value_name = "VERSION", required_unless_present = "to_last_good")]
    to: Option<Version>,
    /// Go back to the newest version that each machine has confirmed and may go back to, and that is
    /// neither withdrawn nor blocked on it.
    #[arg(long, conflicts_with = "to")]
    to_last_good: bool,
    /// Order it although advisories open again by it, which the releases left behind fix.
    #[arg(long)]
    accept_exposure: bool,
}

impl OfMachine {
    pub(super) fn run(self, action: MachineAction, output: Output) -> CliResult {
        self.acting.run(self.machine, action, output)
    }
}

impl OfVersion {
    pub(super) fn run(
        self,
        action: impl FnOnce(Version) -> MachineAction,
        output: Output,
    ) -> CliResult {
        let (machine, version) = self.acting.named("a version", &self.named)?;
        self.acting.run(machine, action(version), output)
    }
}

impl OfRing {
    pub(super) fn run(self, output: Output) -> CliResult {
        let (machine, ring) = self.acting.named("a ring", &self.named)?;
        self.acting.run(machine, MachineAction::Ring { ring }, output)
    }
}

impl Retry {
    pub(super) fn run(self, output: Output) -> CliResult {
        let (machine, version) = match (&self.named[..], self.acting.selected.is_given()) {
            ([], true) => (None, None),
            ([machine], false) => (Some(machine.parse()?), None),
            (named, _) => {
                let (machine, version) = self.acting.named("a version", named)?;
                (machine, Some(version))
            }
        };
        self.acting.run(machine, MachineAction::Retry { version }, output)
    }
}

impl Hold {
    pub(super) fn run(self, output: Output) -> CliResult {
        self.of.run(MachineAction::Hold { until: self.until }, output)
    }
}

impl Rollback {
    /// Orders one machine back without asking; shows first what comes of it for several.
    pub(super) fn run(self, output: Output) -> CliResult {
        let Self { machine, acting, to, accept_exposure, .. } = self;
        let to = to.map_or(RollbackTarget::LastGood, RollbackTarget::Version);
        let exposure = if accept_exposure { Reopening::Accepted } else { Reopening::Refused };
        let (Some(machine), false) = (&machine, acting.shown.is_plan()) else {
            return acting.run(machine, MachineAction::Rollback { to, exposure }, output);
        };
        acting.require_one()?;
        let Acting { server, reason, ticket, .. } = acting;
        let request = OrderRollback { to, exposure, reason, ticket };
        let path = format!("/v1/machines/{machine}/rollback");
        let order: OrderRecord = server.connect()?.post(&path, &request)?;
        output.answer(&order, |order| {
            let caution = order.caution.iter().map(|it| format!("\nCaution: {it}."));
            format!(
                "Order {}: machine {machine} goes back from {} to {} at its next check, \
                 and is not given {} again.{}",
                order.number,
                order.from,
                order.to,
                order.from,
                caution.collect::<String>()
            )
        })
    }
}

impl Acting {
    /// The machine, where none are selected, and what else was named.
    fn named<T: FromStr<Err: ToString>>(
        &self,
        what: &str,
        named: &[String],
    ) -> Result<(Option<MachineName>, T), CliError> {
        let (machine, value) = match (named, self.selected.is_given()) {
            ([value], true) => (None, value),
            ([machine, value], false) => (Some(machine.parse()?), value),
            (_, true) => {
                return Err(CliError::Input(format!(
                    "expected {what} alone: the machines are selected by what they are"
                )));
            }
            (_, false) => {
                return Err(CliError::Input(format!(
                    "expected a machine and {what}; or {what}, and which machines it is for \
                     (--customer, --running, --platform, --ring, --machines)"
                )));
            }
        };
        Ok((
            machine,
            value.parse().map_err(|problem: T::Err| CliError::Input(problem.to_string()))?,
        ))
    }

    fn require_one(&self) -> CliResult {
        if !self.selected.is_given() {
            return Ok(());
        }
        Err(CliError::Input(
            "one machine is named, and others are selected: expected the one or the other"
                .to_owned(),
        ))
    }

    /// Shows what would come of the action, asks, and does it.
    fn run(self, machine: Option<MachineName>, action: MachineAction, output: Output) -> CliResult {
        match machine {
            Some(machine) => {
                self.require_one()?;
                self.on_one(&machine, action, output)
            }
            None if self.selected.is_given() => self.on_several(action, output),
            None => Err(CliError::Input(
                "no machine is named: expected one, or which machines it is for (--customer, \
                 --running, --platform, --ring, --machines)"
                    .to_owned(),
            )),
        }
    }

    fn on_one(self, machine: &MachineName, action: MachineAction, output: Output) -> CliResult {
        let Self { server, reason, ticket, shown, .. } = self;
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

    /// What is ordered is for the machines that were shown, whatever is selected by then.
    fn on_several(self, action: MachineAction, output: Output) -> CliResult {
        let Self { server, selected, reason, ticket, shown: first } = self;
        let (product, selection) = (selected.product(), selected.read()?);
        let wanted = WantedAction { product, selection, action, reason, ticket };
        let server = server.connect()?;
        let preview: ActionPreview = server.post("/v1/actions/preview", &wanted)?;
        let shown = preview.machines.iter().map(|machine| machine.machine.clone()).collect();
        let order = OrderAction { wanted, shown };
        let act = || -> Result<ActionProgress, CliError> { server.post("/v1/actions", &order) };
        first.run((|| Ok(preview.clone()), shown::preview), (act, shown::ordered), output)
    }
}

/// What comes of it, for a person.
fn told(outcome: &ActionOutcome) -> String {
    let ActionOutcome { machine, running, before, after, cautions, opens } = outcome;
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
    lines.extend(reopened(opens));
    lines.join("\n")
}

/// The advisories that open again, in a sentence.
pub(in crate::cli) fn reopened(opens: &BTreeSet<AdvisoryId>) -> Option<String> {
    let opens: Vec<_> = opens.iter().map(ToString::to_string).collect();
    (!opens.is_empty()).then(|| {
        format!(
            "What is gone back from fixes what opens again: {}. That needs --accept-exposure.",
            opens.join(", ")
        )
    })
}

/// What a machine does at its next check.
pub(in crate::cli) fn step(next: &NextStep) -> String {
    match (next.action.as_str(), &next.version) {
        ("update", Some(version)) => format!("install {version}"),
        ("rollback", Some(version)) => format!("go back to {version}"),
        _ => "stay as it is".to_owned(),
    }
}
