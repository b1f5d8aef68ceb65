use std::collections::BTreeSet;

use clap::{Args, Subcommand};
use mainstay_client::format::{
    ComponentName, CustomerName, DistributionName, Platform, ProductName, Tag, Version,
    VersionRange,
};

use super::{
    CliError, CliResult, Output, ServerArgs, confirm::ShownFirst, connection::Connection,
    output::table,
};
use crate::{
    policy::safeguard::{Condition, NumberRange, WhereUnknown},
    service::safeguard::{CreateSafeguard, LiftSafeguard, SafeguardReach, Safeguards},
    store::SafeguardRecord,
};

/// Hold releases back from machines on which they do harm.
///
/// A safeguard names releases and a condition on what a machine is. Machines that meet every part of it
/// are not updated to these releases, and are shown the reason; what they run already they go on
/// running. Add a part for each option: `--kernel '<5.15' --component postgres='>=15, <17'`.
#[derive(Debug, Subcommand)]
pub(super) enum Safeguard {
    /// Hold releases back.
    Create(Box<Create>),
    /// List the safeguards of a product.
    List(List),
    /// Lift a safeguard: the releases are given to whom they were held back from.
    Lift(Lift),
}

#[derive(Debug, Args)]
pub(super) struct Create {
    #[command(flatten)]
    server: ServerArgs,
    /// The product.
    #[arg(long, value_name = "NAME")]
    product: ProductName,
    /// The releases that are held back.
    #[arg(required = true, value_name = "VERSION")]
    versions: Vec<Version>,
    #[command(flatten)]
    condition: Parts,
    /// Hold the releases back also from machines that have not told what the condition is about.
    #[arg(long)]
    hold_unknown: bool,
    #[command(flatten)]
    remark: Remark,
    #[command(flatten)]
    shown: ShownFirst,
}

/// The parts of the condition.
#[derive(Debug, Args)]
struct Parts {
    /// Machines of this platform.
    #[arg(long)]
    platform: Option<Platform>,
    /// Machines that run a version of this range, as in '>=2.4.0, <2.5.0'.
    #[arg(long, value_name = "RANGE")]
    running: Option<VersionRange>,
    /// Machines with a kernel of this range, as in '>=5.10, <5.15'.
    #[arg(long, value_name = "RANGE")]
    kernel: Option<NumberRange>,
    /// Machines of this distribution, in all versions or in those of a range: 'debian' or
    /// 'ubuntu=<22.04'. Given several times, any of them will do.
    #[arg(long, value_name = "NAME[=RANGE]", value_parser = distribution)]
    distribution: Vec<(DistributionName, NumberRange)>,
    /// Machines with this program, in all versions or in those of a range: 'redis' or
    /// 'postgres=>=15, <17'. Given several times, all must be there.
    #[arg(long, value_name = "NAME[=RANGE]", value_parser = component)]
    component: Vec<(ComponentName, VersionRange)>,
    /// Machines of customers with this tag. Given several times, they must have all of them.
    #[arg(long, value_name = "TAG")]
    customer_tag: Vec<Tag>,
    /// Machines of this customer. Given several times, any of them will do.
    #[arg(long, value_name = "CUSTOMER")]
    customer: Vec<CustomerName>,
}

#[derive(Debug, Args)]
struct Remark {
    /// Why. Owners of machines are shown it.
    #[arg(long)]
    reason: String,
    /// The ticket that it belongs to.
    #[arg(long)]
    ticket: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    server: ServerArgs,
    /// The product.
    #[arg(long, value_name = "NAME")]
    product: ProductName,
    /// Those that were lifted, too.
    #[arg(long)]
    all: bool,
}

#[derive(Debug, Args)]
pub(super) struct Lift {
    #[command(flatten)]
    server: ServerArgs,
    /// The product.
    #[arg(long, value_name = "NAME")]
    product: ProductName,
    /// The safeguard's number.
    number: u64,
    #[command(flatten)]
    remark: Remark,
}

fn distribution(text: &str) -> Result<(DistributionName, NumberRange), String> {
    let (name, range) = text.split_once('=').unwrap_or((text, "*"));
    let name = name.parse().map_err(|error| format!("{error}"))?;
    Ok((name, range.parse().map_err(|error| format!("{error}"))?))
}

fn component(text: &str) -> Result<(ComponentName, VersionRange), String> {
    let (name, range) = text.split_once('=').unwrap_or((text, "*"));
    let name = name.parse().map_err(|error| format!("{error}"))?;
    Ok((name, range.parse().map_err(|error| format!("{error}"))?))
}

impl Safeguard {
    pub(super) fn run(self, output: Output) -> CliResult {
        match self {
            Self::Create(create) => create.run(output),
            Self::List(List { server, product, all }) => {
                let path = format!("/v1/products/{product}/safeguards");
                let mut found: Safeguards = server.connect()?.get(&path)?;
                if !all {
                    found.lifted.clear();
                }
                output.answer(&found, list)
            }
            Self::Lift(Lift { server, product, number, remark: Remark { reason, ticket } }) => {
                let path = format!("/v1/products/{product}/safeguards/{number}/lift");
                let request = LiftSafeguard { reason, ticket };
                let lifted: SafeguardRecord = server.connect()?.post(&path, &request)?;
                output.answer(&lifted, |lifted| {
                    let (number, versions) = (lifted.number, versions(lifted));
                    format!("Safeguard {number} on {versions} is lifted.")
                })
            }
        }
    }
}

impl Create {
    fn run(self, output: Output) -> CliResult {
        let Self { server, product, versions: named, condition, hold_unknown, remark, shown } =
            self;
        let Remark { reason, ticket } = remark;
        let where_unknown = if hold_unknown { WhereUnknown::Held } else { WhereUnknown::Delivered };
        let versions = named.into_iter().collect();
        let condition = condition.into_condition()?;
        let request = CreateSafeguard { versions, condition, where_unknown, reason, ticket };
        let server: Connection = server.connect()?;
        let path = format!("/v1/products/{product}/safeguards");
        let preview = || server.post(&format!("{path}/preview"), &request);
        let act = || server.post(&path, &request);
        let done = |made: &SafeguardRecord| {
            format!("Safeguard {} holds {} back.", made.number, self::versions(made))
        };
        shown.run((preview, reached), (act, done), output)
    }
}

impl Parts {
    fn into_condition(self) -> Result<Condition, CliError> {
        let Self { platform, running, kernel, distribution, component, customer_tag, customer } =
            self;
        once("distribution", distribution.iter().map(|(name, _)| name))?;
        once("component", component.iter().map(|(name, _)| name))?;
        Ok(Condition {
            platform,
            running,
            kernel,
            distributions: distribution.into_iter().collect(),
            components: component.into_iter().collect(),
            customer_tags: customer_tag.into_iter().collect(),
            customers: customer.into_iter().collect(),
        })
    }
}

/// Refuses a name that is given with two ranges, of which one would be lost.
fn once<'a, T: Ord + std::fmt::Display + 'a>(
    what: &str,
    names: impl Iterator<Item = &'a T>,
) -> CliResult {
    let mut seen = BTreeSet::new();
    for name in names {
        if !seen.insert(name) {
            let message = format!("--{what} {name} is given twice: expected it with one range");
            return Err(CliError::Input(message));
        }
    }
    Ok(())
}

/// Which machines it reaches, for a person.
fn reached(reach: &SafeguardReach) -> String {
    let SafeguardReach { machines, held, held_as_unknown, delivered_as_unknown, running } = reach;
    let total: usize = held.values().sum();
    let mut lines = vec![format!("Held back from {total} of {machines} machines as they are now.")];
    lines.extend(held.iter().map(|(customer, count)| format!("  {customer}: {count}")));
    if *held_as_unknown > 0 {
        lines.push(format!("{held_as_unknown} of them have not told what the condition is about."));
    }
    if *delivered_as_unknown > 0 {
        lines.push(format!(
            "{delivered_as_unknown} more have not told what the condition is about, and get the \
             releases (--hold-unknown holds them back there too)."
        ));
    }
    if *running > 0 {
        lines.push(format!(
            "{running} that meet the condition run one of the releases already, and go on running \
             it: `mainstay machine rollback` takes a machine back."
        ));
    }
    lines.join("\n")
}

fn list(found: &Safeguards) -> String {
    let rows = found.in_force.iter().chain(&found.lifted).map(|safeguard| {
        let state = match &safeguard.lifted {
            None => "in force".to_owned(),
            Some(lifted) => format!("lifted {} by {}", lifted.at, lifted.by),
        };
        [
            safeguard.number.to_string(),
            versions(safeguard),
            parts(safeguard),
            safeguard.word.at.to_string(),
            safeguard.word.by.clone(),
            state,
            safeguard.word.reason.clone(),
        ]
    });
    table(["NUMBER", "RELEASES", "MACHINES", "SINCE", "BY", "STATE", "REASON"], rows)
}

fn versions(safeguard: &SafeguardRecord) -> String {
    safeguard.versions.iter().map(Version::to_string).collect::<Vec<_>>().join(" ")
}

/// The condition, as it is given on the command line.
fn parts(safeguard: &SafeguardRecord) -> String {
    let Condition {
        platform,
        running,
        kernel,
        distributions,
        components,
        customer_tags,
        customers,
    } = &safeguard.condition;
    let mut parts: Vec<String> = Vec::new();
    parts.extend(platform.iter().map(|it| format!("platform {it}")));
    parts.extend(running.iter().map(|it| format!("running {it}")));
    parts.extend(kernel.iter().map(|it| format!("kernel {it}")));
    parts.extend(distributions.iter().map(|(name, range)| format!("distribution {name} {range}")));
    parts.extend(components.iter().map(|(name, range)| format!("component {name} {range}")));
    parts.extend(customer_tags.iter().map(|it| format!("customer tag {it}")));
    parts.extend(customers.iter().map(|it| format!("customer {it}")));
    if safeguard.where_unknown == WhereUnknown::Held {
        parts.push("or not known".to_owned());
    }
    parts.join("; ")
}
