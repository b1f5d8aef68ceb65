use std::{fs, path::PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use mainstay_client::format::{AdvisoryId, ProductName, Severity, Version};
use serde_json::{Value, json};

use super::{
    CliError, CliResult, Output, ServerArgs,
    output::{or_dash, table},
};
use crate::{
    policy::exposure::AffectedRange,
    service::advisory::{AdvisoryView, SetAdvisory},
    store::AdvisoryRecord,
};

/// Record what advisories are about, and export what is known of them.
#[derive(Debug, Subcommand)]
pub(super) enum AdvisoryCommand {
    /// Record what an advisory is about and which versions are affected, in place of what was recorded
    /// before.
    Set(Set),
    /// List the advisories of a product that are recorded or that releases name.
    List(List),
    /// Show an advisory of a product.
    Show(Show),
    /// Write what is known of an advisory as a document for other tools.
    Export(Export),
}

#[derive(Debug, Args)]
pub(super) struct Set {
    #[command(flatten)]
    of: Of,
    /// What it is about, in a line.
    #[arg(long)]
    title: String,
    /// How severe it is: critical, major or minor [default: as the releases that name it].
    #[arg(long)]
    severity: Option<Severity>,
    /// Versions that are affected: the first that is and the first after it that is not, as in
    /// 2.1.0..2.4.0, or 2.1.0.. where all are. Give it again for each further range [default: all that
    /// lack the fix].
    #[arg(long, value_name = "FROM..BEFORE")]
    affected: Vec<AffectedRange>,
    /// Where there is more about it.
    #[arg(long)]
    url: Option<String>,
}

/// Which advisory.
#[derive(Debug, Args)]
struct Of {
    #[command(flatten)]
    server: ServerArgs,
    /// The product.
    #[arg(long, value_name = "NAME")]
    product: ProductName,
    /// The advisory, such as CVE-2026-1234.
    advisory: AdvisoryId,
}

#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    server: ServerArgs,
    /// The product.
    #[arg(long, value_name = "NAME")]
    product: ProductName,
}

#[derive(Debug, Args)]
pub(super) struct Show {
    #[command(flatten)]
    of: Of,
}

#[derive(Debug, Args)]
pub(super) struct Export {
    #[command(flatten)]
    of: Of,
    /// The form of the document.
    #[arg(long, default_value = "csaf")]
    format: Format,
    /// The file to write [default: standard output].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// CSAF 2.0, profile VEX.
    Csaf,
}

impl Of {
    fn path(&self) -> String {
        format!("/v1/products/{}/advisories/{}", self.product, self.advisory)
    }
}

impl AdvisoryCommand {
    pub(super) fn run(self, output: Output) -> CliResult {
        match self {
            Self::Set(Set { of, title, severity, affected, url }) => {
                let request = SetAdvisory { title, severity, affected, url };
                let record: AdvisoryRecord =
                    of.server.connect()?.put_document(&of.path(), &request)?;
                output.answer(&record, |record| {
                    format!(
                        "{} of {} is recorded: {}",
                        record.advisory, record.product, record.title
                    )
                })
            }
            Self::List(List { server, product }) => {
                let path = format!("/v1/products/{product}/advisories");
                let views: Vec<AdvisoryView> = server.connect()?.get(&path)?;
                output.answer(&views, |views| list(views))
            }
            Self::Show(Show { of }) => {
                let view: AdvisoryView = of.server.connect()?.get(&of.path())?;
                output.answer(&view, |view| list(std::slice::from_ref(view)))
            }
            Self::Export(export) => export.run(output),
        }
    }
}

impl Export {
    fn run(self, output: Output) -> CliResult {
        let Self { of, format: Format::Csaf, out } = self;
        let document: Value = of.server.connect()?.get(&format!("{}/csaf", of.path()))?;
        let Some(path) = out else {
            return output.answer(&document, |document| format!("{document:#}"));
        };
        fs::write(&path, format!("{document:#}\n"))
            .map_err(|source| CliError::file("write", &path, source))?;
        let written = json!({ "file": path });
        output.answer(&written, |_| format!("Wrote {}.", path.display()))
    }
}

fn list(views: &[AdvisoryView]) -> String {
    let joined = |parts: Vec<String>| {
        if parts.is_empty() { "-".to_owned() } else { parts.join(" ") }
    };
    let rows = views.iter().map(|view| {
        let recorded = view.recorded.as_ref();
        let affected = recorded.map(|it| &it.affected).into_iter().flatten();
        [
            view.advisory.to_string(),
            or_dash(recorded.and_then(|it| it.severity)),
            joined(affected.map(ToString::to_string).collect()),
            joined(view.fixed_in.iter().map(Version::to_string).collect()),
            or_dash(recorded.map(|it| &it.title)),
            or_dash(recorded.and_then(|it| it.url.as_ref())),
        ]
    });
    table(["ADVISORY", "SEVERITY", "AFFECTED", "FIXED IN", "TITLE", "MORE"], rows)
}
