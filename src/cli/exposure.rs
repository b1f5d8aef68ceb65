use clap::Args;
use mainstay_client::format::{AdvisoryId, CustomerName, ProductName};
use serde::Serialize;

use super::{
    CliError, CliResult, Connection, Output, ServerArgs,
    output::{or_dash, table},
};
use crate::service::exposure::{ExposurePage, Fix, OpenMachine, PatchingReport, TierPatching};

/// Say which machines lack the fix of an advisory, since when and why.
///
/// Beside them it says how long the others took to it, by the tiers of their contracts.
#[derive(Debug, Args)]
pub(super) struct Exposure {
    #[command(flatten)]
    server: ServerArgs,
    /// The advisory, such as CVE-2026-1234.
    #[arg(value_name = "ADVISORY")]
    advisory: AdvisoryId,
    #[command(flatten)]
    part: Part,
}

/// Whose machines.
#[derive(Debug, Args)]
struct Part {
    /// Only machines of this product.
    #[arg(long, value_name = "NAME")]
    product: Option<ProductName>,
    /// Only machines of this customer.
    #[arg(long, value_name = "NAME")]
    customer: Option<CustomerName>,
}

impl Part {
    /// The question at `path` for this part, and for `more`.
    fn question(&self, path: &str, more: &[(&str, Option<String>)]) -> String {
        let Self { product, customer } = self;
        let own = [
            ("product", product.as_ref().map(ToString::to_string)),
            ("customer", customer.as_ref().map(ToString::to_string)),
        ];
        // Names, identifiers and places are made of characters that stand for themselves in an address.
        let asked = own.iter().chain(more);
        let asked = asked.filter_map(|(name, value)| Some(format!("{name}={}", value.as_ref()?)));
        format!("{path}?{}", asked.collect::<Vec<_>>().join("&"))
    }
}

/// What is known of an advisory on machines.
#[derive(Debug, Serialize)]
struct Report {
    #[serde(flatten)]
    exposure: ExposurePage,
    patching: PatchingReport,
}

impl Exposure {
    pub(super) fn run(self, output: Output) -> CliResult {
        let Self { server, advisory, part } = self;
        let server = server.connect()?;
        let mut exposure = page(&server, &part, &advisory, None)?;
        while let Some(after) = exposure.next.take() {
            let page = page(&server, &part, &advisory, Some(after))?;
            exposure.machines.extend(page.machines);
            exposure.next = page.next;
        }
        let asked = [("advisory", Some(advisory.to_string()))];
        let patching = server.get(&part.question("/v1/exposure/patching", &asked))?;
        output.answer(&Report { exposure, patching }, told)
    }
}

fn page(
    server: &Connection,
    part: &Part,
    advisory: &AdvisoryId,
    after: Option<String>,
) -> Result<ExposurePage, CliError> {
    let asked = [("advisory", Some(advisory.to_string())), ("after", after)];
    server.get(&part.question("/v1/exposure", &asked))
}

fn told(report: &Report) -> String {
    let Report { exposure: ExposurePage { advisory, fixes, machines, .. }, patching } = report;
    let mut parts = Vec::new();
    if !fixes.is_empty() {
        let rows = fixes.iter().map(|fix| {
            let Fix { product, version, channel, severity, published_at, status } = fix;
            [
                product.to_string(),
                version.to_string(),
                channel.to_string(),
                severity.to_string(),
                published_at.to_string(),
                status.as_str().to_owned(),
            ]
        });
        let headings = ["PRODUCT", "FIXED IN", "CHANNEL", "SEVERITY", "PUBLISHED", "STATUS"];
        parts.push(table(headings, rows));
    }
    if !machines.is_empty() {
        parts.push(open(machines));
    }
    let customers: std::collections::BTreeSet<_> =
        machines.iter().map(|machine| &machine.customer).collect();
    parts.push(format!(
        "{} machine(s) of {} customer(s) lack the fix of {advisory}.",
        machines.len(),
        customers.len()
    ));
    if !patching.tiers.is_empty() {
        parts.push(times(&patching.tiers));
    }
    parts.join("\n\n")
}

fn open(machines: &[OpenMachine]) -> String {
    let rows = machines.iter().map(|machine| {
        [
            machine.machine.to_string(),
            machine.host.clone(),
            machine.customer.to_string(),
            or_dash(machine.tier),
            machine.product.to_string(),
            machine.running.to_string(),
            machine.since.to_string(),
            machine.cause.kind.to_string(),
            machine.cause.code.clone(),
            machine.cause.message.clone(),
        ]
    });
    let headings = [
        "MACHINE",
        "HOST",
        "CUSTOMER",
        "TIER",
        "PRODUCT",
        "RUNS",
        "OPEN SINCE",
        "WHY",
        "CODE",
        "REASON",
    ];
    table(headings, rows)
}

fn times(tiers: &[TierPatching]) -> String {
    let rows = tiers.iter().map(|TierPatching { tier, open, figures }| {
        [
            or_dash(*tier),
            open.to_string(),
            figures.patched.to_string(),
            figures.undated.to_string(),
            or_dash(figures.p50_minutes.map(length)),
            or_dash(figures.p90_minutes.map(length)),
            or_dash(figures.p95_minutes.map(length)),
            or_dash(figures.p99_minutes.map(length)),
        ]
    });
    table(["TIER", "OPEN", "PATCHED", "UNDATED", "50 %", "90 %", "95 %", "99 %"], rows)
}

/// So many minutes in the two largest units.
fn length(minutes: u64) -> String {
    let (days, hours, minutes) = (minutes / 1440, minutes / 60 % 24, minutes % 60);
    match (days, hours) {
        (0, 0) => format!("{minutes}m"),
        (0, _) => format!("{hours}h{minutes:02}m"),
        _ => format!("{days}d{hours:02}h"),
    }
}
