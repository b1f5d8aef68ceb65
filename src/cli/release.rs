mod retire;
pub(super) mod sbom;

use clap::{Args, Subcommand};
use mainstay_client::format::ProductName;

use super::{
    CliResult, Output, ServerArgs,
    output::{or_dash, table},
};
use crate::store::ReleaseRecord;

/// List what is published, say what is in it, and retire what is old.
#[derive(Debug, Subcommand)]
pub(super) enum Release {
    /// List the releases of a product.
    List(List),
    /// Move releases from their channels to the archive.
    Retire(retire::Retire),
    /// Attach a bill of materials to a release, and show it.
    #[command(subcommand)]
    Sbom(sbom::SbomCommand),
}

#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    server: ServerArgs,
    /// Whose releases.
    #[arg(long, value_name = "NAME")]
    product: ProductName,
}

impl Release {
    pub(super) fn run(self, output: Output) -> CliResult {
        match self {
            Self::List(list) => list.run(output),
            Self::Retire(retire) => retire.run(output),
            Self::Sbom(sbom) => sbom.run(output),
        }
    }
}

/// The kind of a release, and the private channel of a custom build.
fn kind(record: &ReleaseRecord) -> String {
    let channel = record.release.channel;
    match &record.release.private_channel {
        Some(private) => format!("{channel} ({private})"),
        None => channel.to_string(),
    }
}

impl List {
    fn run(self, output: Output) -> CliResult {
        let path = format!("/v1/products/{}/releases", self.product);
        let releases: Vec<ReleaseRecord> = self.server.connect()?.get(&path)?;
        output.answer(&releases, |releases| {
            let rows = releases.iter().map(|record| {
                let platforms: Vec<_> = record.artifacts.keys().map(ToString::to_string).collect();
                [
                    record.release.version.to_string(),
                    kind(record),
                    record.release.severity.to_string(),
                    record.release.status.as_str().to_owned(),
                    record.release.published_at.to_string(),
                    or_dash(record.retired_at),
                    or_dash(record.min_from.as_ref()),
                    or_dash(record.floor.as_ref()),
                    platforms.join(", "),
                ]
            });
            let headings = [
                "VERSION",
                "CHANNEL",
                "SEVERITY",
                "STATUS",
                "PUBLISHED",
                "RETIRED",
                "MIN FROM",
                "FLOOR",
                "PLATFORMS",
            ];
            table(headings, rows)
        })
    }
}
