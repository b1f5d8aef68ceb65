use clap::{Args, Subcommand};
use mainstay_client::format::{ContractName, MachineName, Version};

mod action;
mod page;
mod selection;
mod support;

pub(super) use self::action::{reopened, step};
use super::{
    CliResult, Output, ServerArgs,
    hidden::WithHidden,
    output::{or_dash, table},
    selected::Selected,
    spreadsheet::{self, Format},
};
use crate::{
    policy::{Ring, UpgradePath},
    service::{
        action::MachineAction,
        census::{MachinePage, SilentFor},
        seats::{ContractSeats, RetireMachine},
        story::MachineView,
        support::{Explanation, MachineStanding},
    },
    store::{ListPlace, MachineRecord},
};

const EXPLAIN_COLUMNS: &[&str] =
    &["version", "channel", "status", "standing", "verdict", "code", "alternative", "message"];

/// Show and explain machines; order a rollback; retire.
#[derive(Debug, Subcommand)]
pub(super) enum Machine {
    /// List machines by what they run; those of one contract with their seats.
    List(Box<List>),
    /// Show a machine's story: what it runs, what was tried and how it ended, what it is offered and
    /// why, the plans that it was sent, and who did what with it.
    Show(Show),
    /// Say for every release why the machine gets it or does not.
    Explain(Explain),
    /// Say by which hops a machine gets to a version, and what its contract lacks for them.
    Path(UpgradeTo),
    /// Order a machine to go back to a version. It does at its next check.
    Rollback(Box<action::Rollback>),
    /// Stop a machine's updates for a time. A rollback order is carried out all the same.
    Hold(Box<action::Hold>),
    /// End a hold.
    Unhold(Box<action::OfMachine>),
    /// Update a machine to one version, and to nothing else.
    Pin(Box<action::OfVersion>),
    /// Update a machine to one version, and to nothing else until it has confirmed it.
    Install(Box<action::OfVersion>),
    /// End a pin, or an installation that was ordered.
    Unpin(Box<action::OfMachine>),
    /// Keep one version from a machine.
    Block(Box<action::OfVersion>),
    /// Give a machine a version again that a technician kept from it.
    Unblock(Box<action::OfVersion>),
    /// Have a machine try a version once more that failed on it.
    Retry(Box<action::Retry>),
    /// Ask a machine for a support bundle, which its administrator may forbid.
    Collect(Box<action::OfMachine>),
    /// List the support bundles of a machine that are kept.
    Bundles(Named),
    /// Fetch a support bundle. The audit trail says who did.
    Bundle(support::Bundle),
    /// Say how early a machine gets releases: preview, early, general or last.
    Ring(Box<action::OfRing>),
    /// Retire a machine that is not used any more: its seat is free, and its token is not accepted.
    Retire(Act),
}

#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    selected: Selected,
    /// Only the machines of this contract that are not retired, and which of them have a seat.
    #[arg(
        long,
        value_name = "NAME",
        conflicts_with_all = [
            "product", "customer", "platform", "version", "ring", "silent", "retired", "limit",
            "after"
        ]
    )]
    contract: Option<ContractName>,
    /// Only machines that get releases as early as this ring does.
    #[arg(long, value_name = "RING")]
    ring: Option<Ring>,
    /// Only machines that have not been heard of for so long, such as 36h or 14d, or for as long as it
    /// takes until a machine gives its seat up.
    #[arg(long, value_name = "FOR", num_args = 0..=1, default_missing_value = "configured")]
    silent: Option<SilentFor>,
    /// The machines that are retired, in place of those that are not.
    #[arg(long, conflicts_with = "silent")]
    retired: bool,
    /// List at most so many machines, 1 to 1000.
    #[arg(long, value_name = "NUMBER")]
    limit: Option<usize>,
    /// Go on where a list before this one ended.
    #[arg(long, value_name = "PLACE")]
    after: Option<ListPlace>,
}

/// On which machine somebody acts, and why.
#[derive(Debug, Args)]
pub(super) struct Act {
    #[command(flatten)]
    server: ServerArgs,
    /// The machine's name.
    machine: MachineName,
    /// Why.
    #[arg(long)]
    reason: String,
    /// The ticket that it belongs to.
    #[arg(long)]
    ticket: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct Named {
    #[command(flatten)]
    server: ServerArgs,
    /// The machine's name.
    machine: MachineName,
}

#[derive(Debug, Args)]
pub(super) struct Show {
    #[command(flatten)]
    named: Named,
    /// Show so many of the last events, plans and actions, 1 to 1000 [default: 10, for a program 50].
    #[arg(long, value_name = "NUMBER")]
    last: Option<usize>,
}

#[derive(Debug, Args)]
pub(super) struct Explain {
    #[command(flatten)]
    named: Named,
    /// Write a table for a spreadsheet, whose columns are called as in the answer to a program.
    #[arg(long)]
    csv: bool,
    #[command(flatten)]
    hidden: WithHidden,
}

#[derive(Debug, Args)]
pub(super) struct UpgradeTo {
    #[command(flatten)]
    server: ServerArgs,
    /// The machine's name.
    machine: MachineName,
    /// The version to get to [default: the newest of the newest line that is supported].
    #[arg(long, value_name = "VERSION")]
    to: Option<Version>,
}

impl Machine {
    pub(super) fn run(self, output: Output) -> CliResult {
        match self {
            Self::List(list) => list.run(output),
            Self::Show(Show { named: Named { server, machine }, last }) => {
                let last = last.or((!output.is_json()).then_some(page::LAST));
                let query = last.map(|last| format!("?last={last}")).unwrap_or_default();
                let path = format!("/v1/machines/{machine}{query}");
                let view: MachineView = server.connect()?.get(&path)?;
                output.answer(&view, page::page)
            }
            Self::Explain(Explain { named: Named { server, machine }, csv, hidden }) => {
                let format = Format::new(csv, output)?;
                let path = format!("/v1/machines/{machine}/explain?hidden=listed");
                let mut explanations: Vec<Explanation> = server.connect()?.get(&path)?;
                WithHidden::note(hidden.filter(&mut explanations, |it| it.code.as_str()));
                match format {
                    Format::Spreadsheet => spreadsheet::print(EXPLAIN_COLUMNS, &explanations),
                    Format::Answer => output.answer(&explanations, |them| explained(them)),
                }
            }
            Self::Path(UpgradeTo { server, machine, to }) => {
                let query = to.map(|to| format!("?to={to}")).unwrap_or_default();
                let path = format!("/v1/machines/{machine}/path{query}");
                let path: UpgradePath = server.connect()?.get(&path)?;
                output.answer(&path, hops)
            }
            Self::Hold(hold) => hold.run(output),
            Self::Unhold(of) => of.run(MachineAction::Unhold {}, output),
            Self::Pin(of) => of.run(|version| MachineAction::Pin { version }, output),
            Self::Install(of) => of.run(|version| MachineAction::Install { version }, output),
            Self::Ring(ring) => ring.run(output),
            Self::Unpin(of) => of.run(MachineAction::Unpin {}, output),
            Self::Block(of) => of.run(|version| MachineAction::Block { version }, output),
            Self::Unblock(of) => of.run(|version| MachineAction::Unblock { version }, output),
            Self::Retry(retry) => retry.run(output),
            Self::Collect(of) => of.run(MachineAction::Collect {}, output),
            Self::Bundles(named) => support::list(named, output),
            Self::Bundle(bundle) => bundle.run(output),
            Self::Retire(Act { server, machine, reason, ticket }) => {
                let path = format!("/v1/machines/{machine}/retire");
                let request = RetireMachine { reason, ticket };
                let machine: MachineRecord = server.connect()?.post(&path, &request)?;
                output.answer(&machine, |machine| {
                    format!(
                        "Machine {} is retired: its seat of contract {} is free, and its token is \
                         not accepted any more. Where it is used again, enrol it again.",
                        machine.name, machine.contract
                    )
                })
            }
            Self::Rollback(rollback) => rollback.run(output),
        }
    }
}

impl List {
    fn run(self, output: Output) -> CliResult {
        let Self { server, selected, contract, ring, silent, retired, limit, after } = self;
        let server = server.connect()?;
        if let Some(contract) = contract {
            let seats: ContractSeats = server.get(&format!("/v1/contracts/{contract}/seats"))?;
            return output.answer(&seats, seated);
        }
        let more = [
            ("ring", ring.map(|ring| ring.to_string())),
            ("silent", silent.map(|silent| silent.to_string())),
            ("retired", retired.then(|| "true".to_owned())),
            ("limit", limit.map(|limit| limit.to_string())),
            ("after", after.map(|after| after.to_string())),
        ];
        let page: MachinePage = server.get(&selected.question("/v1/machines", &more))?;
        output.answer(&page, |page| listed(&page.machines))?;
        if let Some(next) = page.next {
            output.say(&format!("There are more: --after {next}"));
        }
        Ok(())
    }
}

fn listed(machines: &[MachineRecord]) -> String {
    let rows = machines.iter().map(|machine| {
        [
            machine.name.to_string(),
            machine.host.clone(),
            machine.customer.to_string(),
            machine.product.to_string(),
            or_dash(machine.running.as_ref()),
            machine.platform.to_string(),
            machine.seen_at.to_string(),
            remark(machine).to_owned(),
        ]
    });
    let headings = ["MACHINE", "HOST", "CUSTOMER", "PRODUCT", "RUNS", "PLATFORM", "SEEN", "REMARK"];
    table(headings, rows)
}

/// What is out of the ordinary with a machine.
fn remark(machine: &MachineRecord) -> &'static str {
    match (&machine.retired, &machine.clone_suspected) {
        (Some(_), _) => "retired",
        (None, Some(_)) => "clone suspected",
        (None, None) => "",
    }
}

fn seated(seats: &ContractSeats) -> String {
    let rows = seats.machines.iter().map(|view| {
        [
            view.machine.to_string(),
            view.host.clone(),
            view.product.to_string(),
            or_dash(view.running.as_ref()),
            view.seen_at.to_string(),
            view.seat.as_str().to_owned(),
            view.since.to_string(),
        ]
    });
    let rows = table(["MACHINE", "HOST", "PRODUCT", "RUNS", "SEEN", "SEAT", "SINCE"], rows);
    format!("{}\n\n{rows}", seats.seats)
}

fn hops(path: &UpgradePath) -> String {
    if path.hops.is_empty() {
        return format!("{} runs: there is nothing higher to get to.", path.to);
    }
    let rows = path.hops.iter().map(|hop| {
        let decision = &hop.decision;
        [
            decision.version.to_string(),
            hop.channel.to_string(),
            (if decision.is_grant() { "grant" } else { "deny" }).to_owned(),
            decision.code.to_string(),
            hop.needs(),
            hop.message.clone(),
        ]
    });
    let table = table(["HOP", "CHANNEL", "VERDICT", "CODE", "NEEDS", "WHY"], rows);
    format!("{}\n\n{table}", path.line())
}

fn explained(explanations: &[Explanation]) -> String {
    let rows = explanations.iter().map(|explanation| {
        [
            explanation.version.to_string(),
            explanation.channel.to_string(),
            standing(explanation.standing).to_owned(),
            explanation.code.clone(),
            explanation.message.clone(),
        ]
    });
    table(["VERSION", "CHANNEL", "STANDING", "CODE", "WHY"], rows)
}

fn standing(standing: MachineStanding) -> &'static str {
    match standing {
        MachineStanding::Running => "running",
        MachineStanding::Next => "next",
        MachineStanding::Withheld => "withheld",
        MachineStanding::Confirmed => "confirmed",
        MachineStanding::Available => "available",
        MachineStanding::Denied => "denied",
    }
}
