use std::{
    collections::BTreeMap,
    fs, io,
    io::Read as _,
    path::{Path, PathBuf},
};

use clap::Args;
use jiff::Timestamp;
use mainstay_client::{
    format::{ContractName, ProductName, Version},
    tuf::json,
};
use serde::Serialize;

use super::{
    super::{
        CliError, CliResult, Output, ServerArgs,
        hidden::WithHidden,
        output::table,
        spreadsheet::{self, Format},
    },
    parse_change,
};
use crate::{
    policy::{Change, Explained, Scenario, Verdict},
    service::{
        Hidden,
        contract::{ContractExplanation, ExplainContract},
        instant,
    },
};

/// The largest scenario that is read, in bytes.
const SCENARIO_BYTES_MAX: u64 = 16 << 20;

pub(super) const CONTRACT_COLUMNS: &[&str] = &[
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
const SCENARIO_COLUMNS: &[&str] = &["version", "verdict", "code", "rule", "alternative", "message"];

#[derive(Debug, Args)]
pub(in crate::cli) struct Explain {
    #[command(flatten)]
    server: ServerArgs,
    /// Which contract.
    #[arg(required_unless_present = "scenario", requires = "product")]
    contract: Option<ContractName>,
    /// Of which product.
    #[arg(long, value_name = "NAME")]
    product: Option<ProductName>,
    /// At which time, past or to come, for example 2026-05-03T00:00:00Z [default: now].
    #[arg(long, value_name = "TIME", value_parser = instant::parse)]
    at: Option<Timestamp>,
    /// Evaluate this document instead, without a server; `-` for standard input.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["contract", "product", "at"])]
    scenario: Option<PathBuf>,
    /// Write a table for a spreadsheet, whose columns are called as in the answer to a program.
    #[arg(long, conflicts_with = "with")]
    csv: bool,
    #[command(flatten)]
    hidden: WithHidden,
    /// A change to try, as for `contract amend`, and to show what it would change.
    #[arg(long, value_name = "JSON")]
    with: Option<String>,
}

/// A release of which a change would change the decision.
#[derive(Debug, Serialize)]
struct Difference<'a> {
    version: &'a Version,
    before: &'a Explained,
    after: &'a Explained,
}

impl Explain {
    pub(super) fn run(self, output: Output) -> CliResult {
        let format = Format::new(self.csv, output)?;
        let change = self.with.as_deref().map(|text| parse_change("--with", text)).transpose()?;
        if let Some(file) = &self.scenario {
            let scenario = read_scenario(file)?;
            let before = explained(file, &scenario)?;
            return match change {
                None if format == Format::Spreadsheet => {
                    spreadsheet::print(SCENARIO_COLUMNS, &before)
                }
                None => {
                    let decisions: Vec<_> = before.iter().map(|it| &it.decision).collect();
                    output.answer(&decisions, |_| rows(&before))
                }
                Some(change) => {
                    let changed = scenario.with(&change).map_err(CliError::Input)?;
                    let after = explained(file, &changed)?;
                    differences(&before, &after, output)
                }
            };
        }
        let mut before = self.ask(None)?;
        let Some(change) = change else {
            let left_out =
                self.hidden.filter(&mut before, |it| it.explained.decision.code.as_str());
            WithHidden::note(left_out);
            return match format {
                Format::Spreadsheet => spreadsheet::print(CONTRACT_COLUMNS, &before),
                Format::Answer => output.answer(&before, |before| contract_rows(before)),
            };
        };
        let after = self.ask(Some(change))?;
        let plain = |explanations: Vec<ContractExplanation>| -> Vec<Explained> {
            explanations.into_iter().map(|explanation| explanation.explained).collect()
        };
        differences(&plain(before), &plain(after), output)
    }

    fn ask(&self, with: Option<Change>) -> Result<Vec<ContractExplanation>, CliError> {
        let (Some(contract), Some(product)) = (&self.contract, &self.product) else {
            return Err(CliError::Input("expected CONTRACT and --product, or --scenario".into()));
        };
        let hidden = Hidden::Listed;
        let question = ExplainContract { product: product.clone(), at: self.at, with, hidden };
        self.server.connect()?.post(&format!("/v1/contracts/{contract}/explain"), &question)
    }
}

fn read_scenario(file: &Path) -> Result<Scenario, CliError> {
    let source: Box<dyn io::Read> = if file == Path::new("-") {
        Box::new(io::stdin())
    } else {
        Box::new(fs::File::open(file).map_err(|source| CliError::file("read", file, source))?)
    };
    let mut bytes = Vec::new();
    source
        .take(SCENARIO_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|source| CliError::file("read", file, source))?;
    let refuse =
        |problem: &dyn std::fmt::Display| CliError::Input(format!("{}: {problem}", file.display()));
    if bytes.len() as u64 > SCENARIO_BYTES_MAX {
        return Err(refuse(&format!("more than {SCENARIO_BYTES_MAX} bytes")));
    }
    json::from_slice(&bytes).map_err(|error| refuse(&error))
}

fn explained(file: &Path, scenario: &Scenario) -> Result<Vec<Explained>, CliError> {
    let file = file.display().to_string();
    scenario.explain().map_err(|problems| CliError::UnsoundFile { file, problems })
}

fn rows(explained: &[Explained]) -> String {
    let rows = explained.iter().map(|it| {
        [
            it.decision.version.to_string(),
            verdict(it).to_owned(),
            it.decision.code.to_string(),
            it.rule.to_string(),
            it.message.clone(),
        ]
    });
    table(["VERSION", "VERDICT", "CODE", "RULE", "WHY"], rows)
}

fn contract_rows(explanations: &[ContractExplanation]) -> String {
    let rows = explanations.iter().map(|ContractExplanation { explained, channel, .. }| {
        [
            explained.decision.version.to_string(),
            channel.to_string(),
            verdict(explained).to_owned(),
            explained.decision.code.to_string(),
            explained.rule.to_string(),
            explained.message.clone(),
        ]
    });
    table(["VERSION", "CHANNEL", "VERDICT", "CODE", "RULE", "WHY"], rows)
}

const fn verdict(explained: &Explained) -> &'static str {
    match explained.decision.verdict {
        Verdict::Grant => "grant",
        Verdict::Deny => "deny",
    }
}

/// What a change changes: nothing more, so that it is seen.
fn differences(before: &[Explained], after: &[Explained], output: Output) -> CliResult {
    let before: BTreeMap<_, _> = before.iter().map(|it| (&it.decision.version, it)).collect();
    let differences: Vec<_> = after
        .iter()
        .filter_map(|after| {
            let version = &after.decision.version;
            let before = *before.get(version)?;
            (before.decision != after.decision).then_some(Difference { version, before, after })
        })
        .collect();
    output.answer(&differences, |differences| {
        if differences.is_empty() {
            return "The change makes no difference.".to_owned();
        }
        let rows = differences.iter().map(|Difference { version, before, after }| {
            [
                version.to_string(),
                format!("{} {}", verdict(before), before.decision.code),
                format!("{} {}", verdict(after), after.decision.code),
                after.message.clone(),
            ]
        });
        table(["VERSION", "BEFORE", "AFTER", "WHY"], rows)
    })
}
