use std::io::Write as _;

use clap::Args;
use jiff::Timestamp;
use mainstay_client::format::{CustomerName, ProductName};

use super::super::{
    CliError, CliResult, Connection, Output, ServerArgs,
    spreadsheet::{Format, Sheet},
};
use crate::service::{
    decisions::{ContractDecision, DecisionPage},
    instant,
};

const COLUMNS: &[&str] = &[
    "contract",
    "customer",
    "product",
    "version",
    "channel",
    "status",
    "published_at",
    "verdict",
    "code",
    "rule",
    "alternative",
    "message",
];

#[derive(Debug, Args)]
pub(in crate::cli) struct Decisions {
    #[command(flatten)]
    server: ServerArgs,
    /// Of this product only.
    #[arg(long, value_name = "NAME")]
    product: Option<ProductName>,
    /// Of this customer's contracts only.
    #[arg(long, value_name = "NAME")]
    customer: Option<CustomerName>,
    /// At which time, past or to come [default: now].
    #[arg(long, value_name = "TIME", value_parser = instant::parse)]
    at: Option<Timestamp>,
    /// Write a table for a spreadsheet.
    #[arg(long)]
    csv: bool,
}

impl Decisions {
    pub(super) fn run(self, output: Output) -> CliResult {
        match Format::new(self.csv, output)? {
            Format::Spreadsheet => {
                let mut sheet = Sheet::new(std::io::stdout().lock(), COLUMNS)?;
                self.pages(|decisions| {
                    decisions.iter().try_for_each(|decision| sheet.add(decision))?;
                    sheet.flush()
                })
            }
            Format::Answer if output.is_json() => self.list(),
            Format::Answer => Err(CliError::Input(
                "there may be more than a screen can show: expected --csv or --json".to_owned(),
            )),
        }
    }

    /// One JSON list, which is not whole where something failed on the way.
    fn list(&self) -> CliResult {
        let mut stdout = std::io::stdout().lock();
        let mut before = "[";
        self.pages(|decisions| {
            for decision in decisions {
                let line = serde_json::to_string(decision)?;
                // Whoever stops reading has read enough.
                let _closed = write!(stdout, "{before}\n{line}");
                before = ",";
            }
            Ok(())
        })?;
        let opening = if before == "[" { "[" } else { "\n" };
        let _closed = writeln!(stdout, "{opening}]");
        Ok(())
    }

    /// Hands over one page after another, all of them of one instant.
    fn pages(&self, mut take: impl FnMut(&[ContractDecision]) -> CliResult) -> CliResult {
        let server = self.server.connect()?;
        let mut page = self.page(&server, self.at, None)?;
        loop {
            take(&page.decisions)?;
            let Some(after) = page.next else { return Ok(()) };
            page = self.page(&server, Some(page.at), Some(after.as_str()))?;
        }
    }

    fn page(
        &self,
        server: &Connection,
        at: Option<Timestamp>,
        after: Option<&str>,
    ) -> Result<DecisionPage, CliError> {
        let asked = [
            ("product", self.product.as_ref().map(ToString::to_string)),
            ("customer", self.customer.as_ref().map(ToString::to_string)),
            ("at", at.map(|at| at.to_string())),
            ("after", after.map(str::to_owned)),
        ];
        // Names and instants are made of characters that stand for themselves in an address.
        let asked =
            asked.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", value?)));
        server.get(&format!("/v1/decisions?{}", asked.collect::<Vec<_>>().join("&")))
    }
}
