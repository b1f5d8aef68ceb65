use clap::Args;

use super::{
    CliResult, Output, ServerArgs,
    output::{or_dash, table},
};
use crate::store::AuditRecord;

/// Show who changed what.
#[derive(Debug, Args)]
pub(super) struct Audit {
    #[command(flatten)]
    server: ServerArgs,
    /// Begin after the record with this number.
    #[arg(long, default_value_t = 0, value_name = "NUMBER")]
    after: u64,
}

impl Audit {
    pub(super) fn run(self, output: Output) -> CliResult {
        let path = format!("/v1/audit?after={}", self.after);
        let records: Vec<AuditRecord> = self.server.connect()?.get(&path)?;
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
}
