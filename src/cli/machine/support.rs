use std::{io::Write as _, os::unix::fs::OpenOptionsExt as _, path::PathBuf};

use clap::Args;
use mainstay_client::format::MachineName;
use serde::Serialize;

use super::{
    super::{
        CliError, CliResult, Output,
        output::{or_dash, table},
    },
    Named,
};
use crate::store::BundleRecord;

#[derive(Debug, Args)]
pub(in crate::cli) struct Bundle {
    #[command(flatten)]
    named: Named,
    /// The number of the order that asked for it, as `machine bundles` lists it.
    order: u64,
    /// Write the bundle here: a tar file that is compressed by zstd.
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
}

/// What is told of a bundle that was fetched.
#[derive(Serialize)]
struct Fetched {
    machine: MachineName,
    order: u64,
    file: PathBuf,
    length: usize,
}

impl Bundle {
    pub(super) fn run(self, output: Output) -> CliResult {
        let Self { named: Named { server, machine }, order, output: file } = self;
        let bundle = server.connect()?.bytes(&format!("/v1/machines/{machine}/bundles/{order}"))?;
        let mut options = std::fs::File::options();
        // Nobody else on this machine need see what came from a customer's.
        let opened = options.write(true).create_new(true).mode(0o600).open(&file);
        opened
            .and_then(|mut opened| opened.write_all(&bundle))
            .map_err(|source| CliError::file("write", &file, source))?;
        let fetched = Fetched { machine, order, file, length: bundle.len() };
        output.answer(&fetched, |Fetched { file, length, .. }| {
            format!("The support bundle, {length} bytes, is {}.", file.display())
        })
    }
}

/// Lists the bundles of a machine.
pub(super) fn list(Named { server, machine }: Named, output: Output) -> CliResult {
    let path = format!("/v1/machines/{machine}/bundles");
    let bundles: Vec<BundleRecord> = server.connect()?.get(&path)?;
    output.answer(&bundles, |bundles| listed(bundles))
}

fn listed(bundles: &[BundleRecord]) -> String {
    let rows = bundles.iter().map(|bundle| {
        [
            bundle.number.to_string(),
            bundle.at.to_string(),
            bundle.length.to_string(),
            bundle.word.by.clone(),
            bundle.word.reason.clone(),
            or_dash(bundle.word.ticket.as_ref()),
        ]
    });
    table(["ORDER", "CAME", "BYTES", "BY", "REASON", "TICKET"], rows)
}
