use clap::Args;
use mainstay_client::format::ProductName;

use super::super::{
    CliError, CliResult, Output, ServerArgs,
    output::{or_dash, table},
};
use crate::{
    service::delta::{DeltaPage, DeltaView},
    store::{DeltaDownloads, ProductRecord},
};

#[derive(Debug, Args)]
pub(in crate::cli) struct List {
    #[command(flatten)]
    server: ServerArgs,
    /// Whose deltas; those of all products where none is named.
    #[arg(value_name = "PRODUCT")]
    product: Option<ProductName>,
}

impl List {
    pub(super) fn run(self, output: Output) -> CliResult {
        let server = self.server.connect()?;
        let products = if let Some(product) = self.product {
            vec![product]
        } else {
            let products: Vec<ProductRecord> = server.get("/v1/products")?;
            products.into_iter().map(|product| product.name).collect()
        };
        let pages = products.iter().map(|name| server.get(&format!("/v1/products/{name}/deltas")));
        let pages = pages.collect::<Result<Vec<DeltaPage>, CliError>>()?;
        output.answer(&pages, |pages| pages.iter().map(told).collect::<Vec<_>>().join("\n\n"))
    }
}

fn told(page: &DeltaPage) -> String {
    let DeltaPage { product, looked_at, deltas, releases, saved, kept_bytes, .. } = page;
    let headings = [
        "FROM", "TO", "PLATFORM", "PROFILE", "STATE", "MACHINES", "BYTES", "ARTIFACT", "SENT",
        "SAVED", "WHY",
    ];
    let looked = looked_at.map_or_else(
        || "It has not been looked yet what machines run.".to_owned(),
        |at| format!("Machines as they were at {at}."),
    );
    let DeltaDownloads { downloads, saved_bytes } = saved;
    let of_releases = releases.iter().map(|release| {
        let DeltaDownloads { downloads, saved_bytes } = release.saved;
        format!("\n  {}: {downloads} download(s), {saved_bytes} bytes saved", release.version)
    });
    format!(
        "{product}\n{}\n\n{downloads} download(s), {saved_bytes} bytes saved; those that are kept \
         have {kept_bytes} bytes.{}\n{looked}",
        table(headings, deltas.iter().map(row)),
        of_releases.collect::<String>()
    )
}

fn row(delta: &DeltaView) -> [String; 11] {
    [
        delta.from.to_string(),
        delta.to.to_string(),
        delta.platform.to_string(),
        delta.profile.clone(),
        delta.stage.as_str().to_owned(),
        delta.machines.to_string(),
        or_dash(delta.length),
        or_dash(delta.artifact_length),
        delta.sent.downloads.to_string(),
        delta.sent.saved_bytes.to_string(),
        or_dash(delta.reason.as_ref()),
    ]
}
