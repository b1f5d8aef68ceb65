use clap::Args;

use super::{
    CliError, CliResult, Connection, Output, ServerArgs,
    output::{or_dash, table},
    selected::Selected,
};
use crate::{
    policy::Figures,
    service::census::{CensusPage, CensusRow},
};

/// Say how many machines run what: by version, platform and customer.
#[derive(Debug, Args)]
pub(super) struct Census {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    selected: Selected,
    /// Count the customers together.
    #[arg(long)]
    together: bool,
}

impl Census {
    pub(super) fn run(&self, output: Output) -> CliResult {
        let server = self.server.connect()?;
        let mut census = self.page(&server, None)?;
        while let Some(after) = census.next.take() {
            let page = self.page(&server, Some(after))?;
            census.rows.extend(page.rows);
            census.next = page.next;
        }
        output.answer(&census, told)
    }

    fn page(&self, server: &Connection, after: Option<String>) -> Result<CensusPage, CliError> {
        let customers = self.together.then(|| "together".to_owned());
        let more = [("customers", customers), ("after", after)];
        server.get(&self.selected.question("/v1/census", &more))
    }
}

fn told(census: &CensusPage) -> String {
    let CensusPage { heard_from, rows, .. } = census;
    let mut sum = Figures::default();
    for row in rows {
        sum += row.figures;
    }
    let cells = rows.iter().map(|row| {
        let Figures { installed, confirmed, silent } = row.figures;
        [
            row.product.to_string(),
            runs(row),
            row.platform.to_string(),
            row.customer.as_ref().map_or_else(|| "all".to_owned(), ToString::to_string),
            installed.to_string(),
            confirmed.to_string(),
            silent.to_string(),
        ]
    });
    let headings = ["PRODUCT", "RUNS", "PLATFORM", "CUSTOMER", "INSTALLED", "CONFIRMED", "SILENT"];
    let Figures { installed, confirmed, silent } = sum;
    format!(
        "{}\n\n{installed} machine(s), of which {confirmed} have confirmed what they run and {silent} \
         have not been heard of since {heard_from}. Retired machines are not counted.",
        table(headings, cells)
    )
}

fn runs(row: &CensusRow) -> String {
    let mark = if row.known == Some(false) { " (unknown)" } else { "" };
    format!("{}{mark}", or_dash(row.version.as_ref()))
}
