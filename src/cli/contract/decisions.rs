use std::{io::Write as _, ops::ControlFlow};

use clap::Args;
use jiff::Timestamp;
use mainstay_client::format::{CustomerName, ProductName};

use super::{
    super::{
        CliError, CliResult, Connection, Output, ServerArgs,
        hidden::WithHidden,
        spreadsheet::{Format, Sheet, written},
    },
    explain::CONTRACT_COLUMNS,
};
use crate::service::{
    decisions::{ContractDecision, DecisionPage},
    instant,
};

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
    #[command(flatten)]
    hidden: WithHidden,
}

impl Decisions {
    pub(super) fn run(self, output: Output) -> CliResult {
        match Format::new(self.csv, output)? {
            Format::Spreadsheet => {
                let columns = [&["contract", "customer", "product"], CONTRACT_COLUMNS].concat();
                let mut sheet = Sheet::new(std::io::stdout().lock(), &columns)?;
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
                if written(write!(stdout, "{before}\n{line}"))?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
                before = ",";
            }
            Ok(ControlFlow::Continue(()))
        })?;
        let opening = if before == "[" { "[" } else { "\n" };
        written(writeln!(stdout, "{opening}]")).map(|_| ())
    }

    /// Hands over one page after another, all of them of one instant, for as long as anybody reads.
    fn pages(
        &self,
        mut take: impl FnMut(&[ContractDecision]) -> Result<ControlFlow<()>, CliError>,
    ) -> CliResult {
        let server = self.server.connect()?;
        let mut page = self.page(&server, self.at, None)?;
        let mut left_out = 0;
        loop {
            left_out += self
                .hidden
                .filter(&mut page.decisions, |it| it.explanation.explained.decision.code.as_str());
            if take(&page.decisions)?.is_break() {
                break;
            }
            let Some(after) = page.next else { break };
            page = self.page(&server, Some(page.at), Some(after.as_str()))?;
        }
        WithHidden::note(left_out);
        Ok(())
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
            ("hidden", Some("listed".to_owned())),
        ];
        // Names and instants are made of characters that stand for themselves in an address.
        let asked =
            asked.into_iter().filter_map(|(name, value)| Some(format!("{name}={}", value?)));
        server.get(&format!("/v1/decisions?{}", asked.collect::<Vec<_>>().join("&")))
    }
}
