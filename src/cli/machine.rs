use std::fmt::Write as _;

use clap::{Args, Subcommand};
use mainstay_client::format::{ContractName, MachineName, Version};

mod action;

use super::{
    CliResult, Output, ServerArgs,
    hidden::WithHidden,
    output::{or_dash, table},
    selected::Selected,
    spreadsheet::{self, Format},
};
use crate::{
    policy::UpgradePath,
    service::{
        action::MachineAction,
        census::{MachinePage, SilentFor},
        seats::{ContractSeats, RetireMachine, SeatStanding},
        support::{Explanation, MachineStanding, MachineView, OrderRollback},
    },
    store::{ListPlace, MachineRecord, OrderRecord, OrderState, Word},
};

const EXPLAIN_COLUMNS: &[&str] =
    &["version", "channel", "status", "standing", "verdict", "code", "alternative", "message"];

/// Show and explain machines; order a rollback; retire.
#[derive(Debug, Subcommand)]
pub(super) enum Machine {
    /// List machines by what they run; those of one contract with their seats.
    List(Box<List>),
    /// Show what a machine runs, what happened on it, what it will be told.
    Show(Named),
    /// Say for every release why the machine gets it or does not.
    Explain(Explain),
    /// Say by which hops a machine gets to a version, and what its contract lacks for them.
    Path(UpgradeTo),
    /// Order a machine to go back to a version. It does at its next check.
    Rollback(Rollback),
    /// Stop a machine's updates for a time. A rollback order is carried out all the same.
    Hold(action::Hold),
    /// End a hold.
    Unhold(action::OfMachine),
    /// Update a machine to one version, and to nothing else.
    Pin(action::OfVersion),
    /// End a pin.
    Unpin(action::OfMachine),
    /// Keep one version from a machine.
    Block(action::OfVersion),
    /// Give a machine a version again that a technician kept from it.
    Unblock(action::OfVersion),
    /// Say how early a machine gets releases: preview, early, general or last.
    Ring(action::OfRing),
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
            "product", "customer", "platform", "version", "silent", "retired", "limit", "after"
        ]
    )]
    contract: Option<ContractName>,
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

#[derive(Debug, Args)]
pub(super) struct Rollback {
    #[command(flatten)]
    act: Act,
    /// The version to go back to.
    #[arg(long, value_name = "VERSION")]
    to: Version,
}

impl Machine {
    pub(super) fn run(self, output: Output) -> CliResult {
        match self {
            Self::List(list) => list.run(output),
            Self::Show(Named { server, machine }) => {
                let view: MachineView =
                    server.connect()?.get(&format!("/v1/machines/{machine}"))?;
                output.answer(&view, page)
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
            Self::Ring(ring) => ring.run(output),
            Self::Unpin(of) => of.run(MachineAction::Unpin {}, output),
            Self::Block(of) => of.run(|version| MachineAction::Block { version }, output),
            Self::Unblock(of) => of.run(|version| MachineAction::Unblock { version }, output),
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
            Self::Rollback(Rollback { act: Act { server, machine, reason, ticket }, to }) => {
                let request = OrderRollback { to, reason, ticket };
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
    }
}

impl List {
    fn run(self, output: Output) -> CliResult {
        let Self { server, selected, contract, silent, retired, limit, after } = self;
        let server = server.connect()?;
        if let Some(contract) = contract {
            let seats: ContractSeats = server.get(&format!("/v1/contracts/{contract}/seats"))?;
            return output.answer(&seats, seated);
        }
        let more = [
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

fn page(view: &MachineView) -> String {
    let MachineView { machine, events, next, notices, seat } = view;
    let confirmed: Vec<_> = machine.confirmed.iter().map(ToString::to_string).collect();
    let mut page = table(
        ["MACHINE", machine.name.as_str()],
        [
            ["host".to_owned(), machine.host.clone()],
            ["customer".to_owned(), machine.customer.to_string()],
            ["contract".to_owned(), machine.contract.to_string()],
            ["product".to_owned(), format!("{} on {}", machine.product, machine.platform)],
            ["ring".to_owned(), machine.ring.to_string()],
            ["runs".to_owned(), or_dash(machine.running.as_ref())],
            ["confirmed".to_owned(), confirmed.join(", ")],
            ["seat".to_owned(), seat_line(*seat, machine)],
            ["enrolled".to_owned(), machine.enrolled_at.to_string()],
            ["seen".to_owned(), machine.seen_at.to_string()],
            ["agent".to_owned(), machine.agent.clone()],
            ["system".to_owned(), or_dash(machine.facts.as_ref())],
            [
                "at its next check".to_owned(),
                format!(
                    "{} {}",
                    next.action,
                    next.version.as_ref().map_or_else(String::new, ToString::to_string)
                ),
            ],
        ],
    );
    if let Some(clone) = &machine.clone_suspected {
        let _infallible = write!(
            page,
            "\n\nTwo machines seem to use its key, since {}: {}.",
            clone.at, clone.why
        );
    }
    if let Some(retired) = &machine.retired {
        let _infallible = write!(page, "\n\nRetired. {}", said(retired));
    }
    if let Some(order) = &machine.order {
        let state = match order.state {
            OrderState::Pending => "not carried out yet",
            OrderState::Done => "done",
            OrderState::Failed => "failed",
        };
        let ticket = order.ticket.as_ref().map(|ticket| format!(" [{ticket}]"));
        let _infallible = write!(
            page,
            "\n\nRollback order {}: {} to {}, {state}. {}: {}{}",
            order.number,
            order.from,
            order.to,
            order.by,
            order.reason,
            ticket.unwrap_or_default()
        );
        if let Some(caution) = &order.caution {
            let _infallible = write!(page, "\nCaution: {caution}.");
        }
    }
    if let Some(pin) = &machine.pin {
        let _infallible = write!(page, "\n\nPinned to {}. {}", pin.version, said(&pin.word));
    }
    if let Some(hold) = &machine.hold {
        let _infallible = write!(page, "\n\nOn hold until {}. {}", hold.until, said(&hold.word));
    }
    for notice in notices {
        let _infallible = write!(page, "\n\nNotice: {} ({})", notice.message, notice.code);
    }
    if !machine.blocks.is_empty() {
        let rows = machine.blocks.iter().map(|block| {
            let versions = match &block.block.over {
                Some(over) => format!("above {over} up to {}", block.block.through),
                None => block.block.through.to_string(),
            };
            [versions, block.at.to_string(), block.by.clone(), block.block.reason.clone()]
        });
        page = format!("{page}\n\n{}", table(["BLOCKED", "SINCE", "BY", "REASON"], rows));
    }
    if !events.is_empty() {
        let rows = events.iter().map(|record| {
            let event = &record.event;
            [
                record.at.to_string(),
                event.kind.as_str().to_owned(),
                or_dash(event.from.as_ref()),
                event.to.to_string(),
                event.detail.lines().next().unwrap_or_default().to_owned(),
            ]
        });
        page = format!("{page}\n\n{}", table(["WHEN", "EVENT", "FROM", "TO", "DETAIL"], rows));
    }
    page
}

/// Who said it, when and why.
fn said(word: &Word) -> String {
    let ticket = word.ticket.as_ref().map(|ticket| format!(" [{ticket}]")).unwrap_or_default();
    format!("{} at {}: {}{ticket}", word.by, word.at, word.reason)
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

fn seat_line(seat: SeatStanding, machine: &MachineRecord) -> String {
    let since = machine.seated_at.unwrap_or(machine.enrolled_at);
    match seat {
        SeatStanding::Held => format!("held since {since}"),
        SeatStanding::Exceeded => format!("none: all were taken before {since}"),
        SeatStanding::Silent => "none: not heard of for too long".to_owned(),
        SeatStanding::Retired => "none: retired".to_owned(),
    }
}

fn explained(explanations: &[Explanation]) -> String {
    let rows = explanations.iter().map(|explanation| {
        let standing = match explanation.standing {
            MachineStanding::Running => "running",
            MachineStanding::Next => "next",
            MachineStanding::Withheld => "withheld",
            MachineStanding::Confirmed => "confirmed",
            MachineStanding::Available => "available",
            MachineStanding::Denied => "denied",
        };
        [
            explanation.version.to_string(),
            explanation.channel.to_string(),
            standing.to_owned(),
            explanation.code.clone(),
            explanation.message.clone(),
        ]
    });
    table(["VERSION", "CHANNEL", "STANDING", "CODE", "WHY"], rows)
}
