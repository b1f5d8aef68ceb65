use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};
use serde_json::Value;

use super::{
    super::{CliError, CliResult, Output, ServerArgs},
    sheet,
};
use crate::policy::Contract;
use crate::service::{
    contract::ContractView,
    import::{ImportContracts, Imported, ImportedContract},
};

#[derive(Debug, Args)]
pub(in crate::cli) struct Import {
    #[command(flatten)]
    server: ServerArgs,
    /// A JSON list, or a table whose name ends with .csv, of what `contract export` writes.
    file: PathBuf,
    /// Say what would come of it, and change nothing.
    #[arg(long)]
    check: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Export {
    #[command(flatten)]
    server: ServerArgs,
    /// In which form.
    #[arg(long, value_enum, default_value = "json")]
    format: Format,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    /// A list of documents.
    Json,
    /// A table; lists stand in one cell, apart by spaces.
    Csv,
}

impl Import {
    pub(super) fn run(self, output: Output) -> CliResult {
        let contracts = read(&self.file)?;
        let request = ImportContracts { contracts, check_only: self.check };
        let imported: Imported = self.server.connect()?.post("/v1/contracts/import", &request)?;
        output.answer(&imported, |imported| {
            let Imported { customers, created, changed, unchanged } = imported;
            format!(
                "{}{} customer(s) added; contracts: {} new, {} changed, {unchanged} as they were.",
                if self.check { "Nothing was changed. It would be: " } else { "" },
                customers.len(),
                created.len(),
                changed.len()
            )
        })
    }
}

fn read(file: &Path) -> Result<Vec<Value>, CliError> {
    let bytes = fs::read(file).map_err(|source| CliError::file("read", file, source))?;
    if file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv")) {
        let unsound = |problems| {
            let file = file.display().to_string();
            CliError::UnsoundFile { file, problems }
        };
        return sheet::read(&bytes).map_err(unsound);
    }
    mainstay_client::tuf::json::from_slice(&bytes)
        .map_err(|error| CliError::Input(format!("{}: {error}", file.display())))
}

impl Export {
    pub(super) fn run(self) -> CliResult {
        let contracts: Vec<ContractView> = self.server.connect()?.get("/v1/contracts")?;
        let contracts: Vec<_> = contracts
            .into_iter()
            .filter_map(|view| {
                // One that has not begun says what it will say then.
                let at = if view.now.is_some() { None } else { view.record.began_at() };
                let to_come = || Contract::at(&view.record.amendments, at?);
                Some(ImportedContract {
                    contract: view.now.clone().or_else(to_come)?,
                    name: view.record.name,
                    customer: view.record.customer,
                    title: None,
                    at,
                })
            })
            .collect();
        let bytes = match self.format {
            Format::Json => [serde_json::to_vec_pretty(&contracts)?, b"\n".to_vec()].concat(),
            Format::Csv => sheet::write(&contracts)?,
        };
        let mut stdout = std::io::stdout();
        // Whoever stops reading has read enough.
        let _closed = stdout.write_all(&bytes);
        Ok(())
    }
}
