use std::{
    fs::File,
    io::{BufRead as _, BufReader, Write as _},
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use serde_json::Value;

use super::{
    CliError, CliResult, Connection, Output, ServerArgs,
    output::{or_dash, table},
    spreadsheet::written,
};
use crate::store::{AuditHead, AuditRecord};

/// How many records are shown where nobody says after which.
const NEWEST_SHOWN: u64 = 1000;

/// Show who changed what: the newest records, or those after one.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Audit {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    server: ServerArgs,
    /// Begin after the record with this number.
    #[arg(long, value_name = "NUMBER")]
    after: Option<u64>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Write the whole trail to standard output, one JSON document a line, for `audit verify`.
    Export {
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Say whether the trail is as it was recorded: every record follows from the one before it. Needs no
    /// server where it was exported.
    Verify {
        #[command(flatten)]
        server: ServerArgs,
        /// Verify this export instead.
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
        /// What an earlier `verify` said: the trail must still lead there. Without it, a trail that was
        /// written anew as a whole, or lacks its end, is not noticed.
        #[arg(long, value_name = "NUMBER:DIGEST")]
        head: Option<AuditHead>,
    },
}

impl Audit {
    pub(super) fn run(self, output: Output) -> CliResult {
        match self.verb {
            None => show(&self.server, self.after, output),
            Some(Verb::Export { server }) => export(&server),
            Some(Verb::Verify { server, file, head }) => {
                let mut chain = Chain { at: AuditHead::start(), noted: head };
                match file {
                    Some(file) => exported(&file, |record| chain.take(&record))?,
                    None => pages(&server, |records| {
                        records.iter().try_for_each(|record| chain.take(record))?;
                        Ok(ControlFlow::Continue(()))
                    })?,
                }
                let head = chain.end()?;
                output.answer(&head, |head| {
                    format!(
                        "{} records, each as it was recorded. Note the end of the trail, and give it to \
                         the next `verify` as --head:\n{head}",
                        head.number
                    )
                })
            }
        }
    }
}

/// The chain as far as it has been walked.
struct Chain {
    at: AuditHead,
    /// Where it must come by.
    noted: Option<AuditHead>,
}

impl Chain {
    fn take(&mut self, record: &Value) -> CliResult {
        self.at =
            self.at.check(record).map_err(|problem| CliError::AuditTrail(problem.to_string()))?;
        match self.noted {
            Some(noted) if noted.number == self.at.number && noted != self.at => {
                Err(CliError::AuditTrail(format!(
                    "record {} has the digest {}: expected {}, as was noted; it or one before it was \
                     changed",
                    noted.number, self.at.digest, noted.digest
                )))
            }
            _ => Ok(()),
        }
    }

    /// Where the chain ends.
    fn end(self) -> Result<AuditHead, CliError> {
        match self.noted {
            Some(noted) if noted.number > self.at.number => Err(CliError::AuditTrail(format!(
                "it ends with record {}: expected {}, which was noted, and what came after it",
                self.at.number, noted.number
            ))),
            _ => Ok(self.at),
        }
    }
}

/// Hands over the records of an export one by one.
fn exported(file: &Path, mut take: impl FnMut(Value) -> CliResult) -> CliResult {
    let reading = |source| CliError::file("read", file, source);
    for (number, line) in (1..).zip(BufReader::new(File::open(file).map_err(reading)?).lines()) {
        let record = serde_json::from_str(&line.map_err(reading)?).map_err(|error| {
            CliError::Input(format!(
                "{}, line {number}: {error}; expected what `mainstay audit export` writes",
                file.display()
            ))
        })?;
        take(record)?;
    }
    Ok(())
}

fn export(server: &ServerArgs) -> CliResult {
    let mut stdout = std::io::stdout().lock();
    pages(server, |records| {
        for record in records {
            if written(writeln!(stdout, "{record}"))?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        written(stdout.flush())
    })
}

/// Hands over the whole trail page by page, for as long as anybody reads.
fn pages(
    server: &ServerArgs,
    mut take: impl FnMut(&[Value]) -> Result<ControlFlow<()>, CliError>,
) -> CliResult {
    let server = server.connect()?;
    let mut after = 0;
    loop {
        let records: Vec<Value> = page(&server, after)?;
        // A server that says the same page again and again would never come to an end.
        let last = records.last().and_then(|last| last["number"].as_u64());
        let Some(last) = last.filter(|last| *last > after) else {
            return take(&records).map(|_| ());
        };
        if take(&records)?.is_break() {
            return Ok(());
        }
        after = last;
    }
}

fn page<T: serde::de::DeserializeOwned>(
    server: &Connection,
    after: u64,
) -> Result<Vec<T>, CliError> {
    server.get(&format!("/v1/audit?after={after}"))
}

fn show(server: &ServerArgs, after: Option<u64>, output: Output) -> CliResult {
    let server = server.connect()?;
    let after = match after {
        Some(after) => after,
        None => server.get::<AuditHead>("/v1/audit/head")?.number.saturating_sub(NEWEST_SHOWN),
    };
    let records: Vec<AuditRecord> = page(&server, after)?;
    output.answer(&records, |records| {
        let rows = records.iter().map(|record| {
            let entry = &record.entry;
            [
                record.number.to_string(),
                entry.at.to_string(),
                entry.actor.clone(),
                or_dash(entry.address.as_ref()),
                entry.action.clone(),
                entry.subject.clone(),
                or_dash(entry.reason.as_ref()),
                or_dash(entry.ticket.as_ref()),
                entry.detail.clone(),
            ]
        });
        let headings = ["#", "WHEN", "WHO", "FROM", "WHAT", "ON", "REASON", "TICKET", "DETAIL"];
        table(headings, rows)
    })
}
