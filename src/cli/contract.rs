mod change;
mod decisions;
mod exchange;
mod explain;
mod sheet;

use std::{collections::BTreeSet, fs, path::PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;
use mainstay_client::format::{Channel, ContractName, CustomerName, LineName, ProductName, Tag};

use super::{
    CliError, CliResult, Connection, Output, ServerArgs,
    output::{or_dash, table},
};
use crate::{
    policy::{Bridge, Change, Contract, Fallback, State, Term, Tier, Tiers},
    service::{
        contract::{ContractView, CreateActivationKey, CreateContract, IssuedActivationKey},
        instant,
    },
};

/// Make, amend and show contracts; make activation keys.
#[derive(Debug, Subcommand)]
pub(super) enum ContractCommand {
    /// Make a contract: from a document, or from a tier and a few particulars.
    Create(Box<Create>),
    /// List the contracts.
    List(ServerArgs),
    /// Show a contract and its amendments.
    Show(Show),
    /// Amend a contract, from now on or from an instant.
    Amend(Box<change::Amend>),
    /// Take over contracts from a file, of JSON or CSV: all of them, or none. Doing it again changes
    /// nothing.
    Import(exchange::Import),
    /// Write what all contracts say now, as `import` reads it.
    Export(exchange::Export),
    /// Say for every release what a contract grants, and why.
    Explain(Box<explain::Explain>),
    /// Write what all contracts grant of every release, and why: a row for each, for a spreadsheet or a
    /// program.
    Decisions(decisions::Decisions),
    /// Make an activation key, by which machines enrol; it is shown this once.
    ActivationKey(ActivationKey),
}

#[derive(Debug, Args)]
pub(super) struct Create {
    #[command(flatten)]
    server: ServerArgs,
    /// What the contract is called.
    #[arg(long)]
    contract: ContractName,
    /// Whose contract it is.
    #[arg(long)]
    customer: CustomerName,
    /// From when on it is in effect, past or to come [default: now].
    #[arg(long, value_name = "TIME", value_parser = instant::parse)]
    at: Option<Timestamp>,
    /// The whole contract as a JSON document, in place of all that follows.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["tier", "product", "base_line", "start", "end"])]
    file: Option<PathBuf>,
    /// A preset: basic, standard, premium or enterprise.
    #[arg(long, value_enum, required_unless_present = "file")]
    tier: Option<TierName>,
    /// A product that it covers. Give it again for each further one.
    #[arg(long, value_name = "NAME", required_unless_present = "file")]
    product: Vec<ProductName>,
    /// The line that was bought, for example 2.4.
    #[arg(long, value_name = "LINE", required_unless_present = "file")]
    base_line: Option<LineName>,
    /// The beginning of the term, which is in it.
    #[arg(long, value_name = "TIME", value_parser = instant::parse, required_unless_present = "file")]
    start: Option<Timestamp>,
    /// The end of the term, which is out of it.
    #[arg(long, value_name = "TIME", value_parser = instant::parse, required_unless_present = "file")]
    end: Option<Timestamp>,
    /// The highest line licensed [default: no limit].
    #[arg(long, value_name = "LINE", conflicts_with = "file")]
    cap: Option<LineName>,
    /// An add-on. Give it again for each further one.
    #[arg(long, value_name = "TAG", conflicts_with = "file")]
    addon: Vec<Tag>,
    /// An audience that the customer belongs to. Give it again for each further one.
    #[arg(long, value_name = "TAG", conflicts_with = "file")]
    audience: Vec<Tag>,
    /// The number of machines [default: no limit].
    #[arg(long, conflicts_with = "file")]
    seats: Option<u32>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum TierName {
    Basic,
    Standard,
    Premium,
    Enterprise,
}

impl From<TierName> for Tier {
    fn from(name: TierName) -> Self {
        match name {
            TierName::Basic => Self::Basic,
            TierName::Standard => Self::Standard,
            TierName::Premium => Self::Premium,
            TierName::Enterprise => Self::Enterprise,
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct Show {
    #[command(flatten)]
    server: ServerArgs,
    /// Which contract.
    contract: ContractName,
}

#[derive(Debug, Args)]
pub(super) struct ActivationKey {
    #[command(flatten)]
    server: ServerArgs,
    /// The contract under which machines enrol.
    contract: ContractName,
    /// From when on it is not accepted [default: never].
    #[arg(long, value_name = "TIME", value_parser = instant::parse)]
    expires_at: Option<Timestamp>,
}

/// A contract of `tier`, as the server has it, over one product and term.
pub(super) fn of_tier(
    server: &Connection,
    tier: Tier,
    products: BTreeSet<ProductName>,
    base_line: LineName,
    term: Term,
) -> Result<Contract, CliError> {
    let tiers: Tiers = server.get("/v1/tiers")?;
    let mut contract = Contract {
        state: State::Active,
        products,
        channels: BTreeSet::<Channel>::new(),
        terms: vec![term],
        grace_days: 0,
        security_tail_days: 0,
        base_line,
        cap: None,
        fallback: Fallback::default(),
        addons: BTreeSet::new(),
        els_lines: BTreeSet::new(),
        audience: BTreeSet::new(),
        bridge: Bridge::default(),
        seats: None,
        tier: None,
    };
    contract.set_tier(tier, tiers.preset(tier));
    Ok(contract)
}

impl ContractCommand {
    pub(super) fn run(self, output: Output) -> CliResult {
        match self {
            Self::Create(create) => {
                let server = create.server.connect()?;
                output.answer(&create.run(&server)?, show)
            }
            Self::List(server) => {
                let contracts: Vec<ContractView> = server.connect()?.get("/v1/contracts")?;
                output.answer(&contracts, |contracts| list(contracts))
            }
            Self::Show(Show { server, contract }) => {
                let path = format!("/v1/contracts/{contract}");
                let view: ContractView = server.connect()?.get(&path)?;
                output.answer(&view, show)
            }
            Self::Amend(amend) => output.answer(&amend.run()?, show),
            Self::Import(import) => import.run(output),
            Self::Export(export) => export.run(),
            Self::Explain(explain) => explain.run(output),
            Self::Decisions(decisions) => decisions.run(output),
            Self::ActivationKey(ActivationKey { server, contract, expires_at }) => {
                let issued = activation_key(&server.connect()?, &contract, expires_at)?;
                // The key alone, so that it can be sent to a file.
                output.answer(&issued, |issued| issued.activation_key.clone())
            }
        }
    }
}

fn parse_change(option: &str, text: &str) -> Result<Change, CliError> {
    serde_json::from_str(text).map_err(|error| CliError::Input(format!("{option}: {error}")))
}

pub(super) fn activation_key(
    server: &Connection,
    contract: &ContractName,
    expires_at: Option<Timestamp>,
) -> Result<IssuedActivationKey, CliError> {
    let path = format!("/v1/contracts/{contract}/activation-keys");
    server.post(&path, &CreateActivationKey { expires_at })
}

impl Create {
    fn run(&self, server: &Connection) -> Result<ContractView, CliError> {
        let request = CreateContract {
            name: self.contract.clone(),
            customer: self.customer.clone(),
            at: self.at,
            contract: self.document(server)?,
        };
        server.post("/v1/contracts", &request)
    }

    fn document(&self, server: &Connection) -> Result<Contract, CliError> {
        if let Some(file) = &self.file {
            let text =
                fs::read_to_string(file).map_err(|source| CliError::file("read", file, source))?;
            return serde_json::from_str(&text)
                .map_err(|error| CliError::Input(format!("{}: {error}", file.display())));
        }
        let (Some(tier), Some(base_line), Some(start), Some(end)) =
            (self.tier, self.base_line, self.start, self.end)
        else {
            return Err(CliError::Input(
                "expected --file, or --tier, --product, --base-line, --start and --end".to_owned(),
            ));
        };
        let products = self.product.iter().cloned().collect();
        let contract = of_tier(server, tier.into(), products, base_line, Term { start, end })?;
        Ok(Contract {
            cap: self.cap,
            addons: self.addon.iter().cloned().collect(),
            audience: self.audience.iter().cloned().collect(),
            seats: self.seats,
            ..contract
        })
    }
}

fn list(contracts: &[ContractView]) -> String {
    let rows = contracts.iter().map(|view| {
        let now = view.now.as_ref();
        let until = now.and_then(|now| now.terms.iter().map(|term| term.end).max());
        [
            view.record.name.to_string(),
            view.record.customer.to_string(),
            or_dash(now.and_then(|now| now.tier)),
            or_dash(now.map(|now| now.base_line)),
            or_dash(until),
        ]
    });
    table(["CONTRACT", "CUSTOMER", "TIER", "BASE LINE", "TERMS END"], rows)
}

fn show(view: &ContractView) -> String {
    let document = serde_json::to_string_pretty(&view.now).unwrap_or_default();
    let seats = view.seats.map(|seats| format!("{seats}\n")).unwrap_or_default();
    let amendments = view.record.amendments.iter().map(|amendment| {
        let change = serde_json::to_value(&amendment.change).unwrap_or_default();
        let kind = change["kind"].as_str().unwrap_or_default().to_owned();
        [amendment.at.to_string(), or_dash(amendment.recorded_at), kind]
    });
    format!(
        "{seats}Contract {} of {}\n\n{}\n\nNow:\n{document}",
        view.record.name,
        view.record.customer,
        table(["IN EFFECT FROM", "RECORDED", "CHANGE"], amendments),
    )
}
