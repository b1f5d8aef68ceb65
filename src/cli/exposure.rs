use clap::Args;
use mainstay_client::format::{AdvisoryId, CustomerName, ProductName};
use serde::Serialize;

use super::{
    CliError, CliResult, Connection, Output, ServerArgs,
    output::{or_dash, table},
};
use crate::{
    policy::sbom::{Component, ComponentQuery},
    service::exposure::{
        BreachReport, ComponentPage, ExposurePage, Fix, OpenMachine, PatchingReport, TierPatching,
    },
};

/// Say which machines lack the fix of an advisory, since when and why.
///
/// Beside them it says how long the others took to it, by the tiers of their contracts. With --breaches it
/// says who has lacked any fix for longer than is agreed, or will have soon; with --component, which
/// releases have a component, and who runs them.
#[derive(Debug, Args)]
pub(super) struct Exposure {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    asked: Asked,
    #[command(flatten)]
    part: Part,
    /// How many days ahead breaches are listed: 7d.
    #[arg(long, value_name = "DAYS", default_value = "7d", value_parser = days, requires = "breaches")]
    within: u32,
}

/// What is asked for.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Asked {
    /// The advisory, such as CVE-2026-1234.
    #[arg(value_name = "ADVISORY")]
    advisory: Option<AdvisoryId>,
    /// Who has lacked a fix for longer than is agreed, or will have soon.
    #[arg(long)]
    breaches: bool,
    /// A component: NAME, NAME@VERSION, GROUP/NAME@VERSION, or a package URL.
    #[arg(long, value_name = "COMPONENT")]
    component: Option<ComponentQuery>,
}

/// `text` as it stands in an address (RFC 3986 §2.1).
fn encoded(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        other => format!("%{other:02X}"),
    };
    text.bytes().map(byte).collect()
}

fn days(text: &str) -> Result<u32, String> {
    let days = text.strip_suffix('d').and_then(|days| days.parse().ok());
    days.ok_or_else(|| "expected a number of days, such as 7d".to_owned())
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
        let Self { server, asked, part, within } = self;
        let server = server.connect()?;
        match asked {
            Asked { advisory: Some(advisory), .. } => report(&server, &part, &advisory, output),
            Asked { component: Some(component), .. } => {
                let asked = [("component", Some(encoded(&component.to_string())))];
                let found: ComponentPage =
                    server.get(&part.question("/v1/exposure/components", &asked))?;
                output.answer(&found, components)
            }
            Asked { .. } => {
                let asked = [("within_days", Some(within.to_string()))];
                let found: BreachReport =
                    server.get(&part.question("/v1/exposure/breaches", &asked))?;
                output.answer(&found, breaches)
            }
        }
    }
}

fn report(server: &Connection, part: &Part, advisory: &AdvisoryId, output: Output) -> CliResult {
    let mut exposure = page(server, part, advisory, None)?;
    while let Some(after) = exposure.next.take() {
        let page = page(server, part, advisory, Some(after))?;
        exposure.machines.extend(page.machines);
        exposure.next = page.next;
    }
    let asked = [("advisory", Some(advisory.to_string()))];
    let patching = server.get(&part.question("/v1/exposure/patching", &asked))?;
    output.answer(&Report { exposure, patching }, told)
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
            or_dash(machine.agreed_until),
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
        "AGREED UNTIL",
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

fn breaches(report: &BreachReport) -> String {
    let BreachReport { within_days, breaches, further, apart, .. } = report;
    let mut parts = Vec::new();
    if breaches.is_empty() {
        parts.push(format!(
            "No time that was agreed is over, or will be within {within_days} days."
        ));
    } else {
        let rows = breaches.iter().map(|breach| {
            [
                breach.agreed_until.to_string(),
                breach.state.as_str().to_owned(),
                breach.customer.to_string(),
                breach.product.to_string(),
                breach.advisory.to_string(),
                breach.severity.to_string(),
                or_dash(breach.remedy.as_ref()),
                breach.machines.to_string(),
            ]
        });
        let headings = [
            "AGREED UNTIL",
            "STATE",
            "CUSTOMER",
            "PRODUCT",
            "ADVISORY",
            "SEVERITY",
            "FIXED IN",
            "MACHINES",
        ];
        parts.push(table(headings, rows));
    }
    if *further > 0 {
        parts.push(format!("There are {further} more."));
    }
    if !apart.is_empty() {
        let rows = apart.iter().map(|apart| {
            [
                apart.customer.to_string(),
                apart.product.to_string(),
                apart.advisory.to_string(),
                apart.kind.to_string(),
                apart.machines.to_string(),
            ]
        });
        let headings = ["CUSTOMER", "PRODUCT", "ADVISORY", "WHY", "MACHINES"];
        let headline = "No time counts for machines whose contract gives them no fix, or for which there \
                        is none:";
        parts.push(format!("{headline}\n{}", table(headings, rows)));
    }
    parts.join("\n\n")
}

fn components(page: &ComponentPage) -> String {
    let ComponentPage { component, releases, further, .. } = page;
    if releases.is_empty() {
        return format!(
            "No bill of materials lists {component}. Releases without one are not searched: `mainstay \
             release sbom attach` attaches it."
        );
    }
    let rows = releases.iter().map(|release| {
        let found: Vec<_> = release.components.iter().map(Component::label).collect();
        let holders = release.holders.iter();
        let holders: Vec<_> =
            holders.map(|holder| format!("{} ({})", holder.customer, holder.machines)).collect();
        [
            release.product.to_string(),
            release.version.to_string(),
            release.status.as_str().to_owned(),
            found.join(", "),
            if holders.is_empty() { "-".to_owned() } else { holders.join(", ") },
        ]
    });
    let listed = table(["PRODUCT", "RELEASE", "STATUS", "HAS", "RUNS AT (MACHINES)"], rows);
    if *further == 0 { listed } else { format!("{listed}\n\nThere are {further} more.") }
}
