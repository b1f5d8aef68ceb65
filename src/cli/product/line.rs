//! The lines of a product.

use clap::{Args, Subcommand};
use mainstay_client::format::ProductName;

use super::super::{
    CliResult, Output, ServerArgs,
    output::{or_dash, table},
    trust::SetLine,
};
use crate::policy::lifecycle::LineView;

/// Set the dates of lines.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Line {
    /// Set when a line is out, supported, alive: sign that here and submit it.
    Set(Box<SetLine>),
}

impl Line {
    pub(super) fn run(self, output: Output) -> CliResult {
        match self {
            Self::Set(set) => set.run(output),
        }
    }
}

/// List the lines of a product with their dates, newest releases and where they stand.
#[derive(Debug, Args)]
pub(in crate::cli) struct Lines {
    #[command(flatten)]
    server: ServerArgs,
    /// The product.
    #[arg(long, value_name = "NAME")]
    product: ProductName,
}

impl Lines {
    pub(super) fn run(self, output: Output) -> CliResult {
        let path = format!("/v1/products/{}/lines", self.product);
        let lines: Vec<LineView> = self.server.connect()?.get(&path)?;
        output.answer(&lines, |lines| rows(lines))
    }
}

fn rows(lines: &[LineView]) -> String {
    let rows = lines.iter().map(|view| {
        [
            view.line.line.to_string(),
            or_dash(view.line.ga.as_ref()),
            or_dash(view.line.eos.as_ref()),
            or_dash(view.line.eol.as_ref()),
            or_dash(view.newest.as_ref()),
            view.status.as_str().to_owned(),
        ]
    });
    table(["LINE", "GA", "EOS", "EOL", "NEWEST", "STATUS"], rows)
}
