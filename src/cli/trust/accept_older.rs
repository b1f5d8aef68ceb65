use std::{collections::BTreeMap, path::PathBuf};

use clap::Args;
use mainstay_client::format::{ProductName, wire::PublishingState};
use serde::Serialize;

use super::{
    super::{
        CliError, CliResult, Output, ServerArgs,
        confirm::{Consent, confirm},
        keys::KeyArgs,
        vendor_trust::{VendorTrust, require_clock},
    },
    Proposal,
    base::Base,
    seen::Seen,
};
use crate::clock::Clock;

/// Let this computer go by an older state of a product than it has seen: after an older copy of the
/// server's directory was put back because there is no newer one. What becomes older is shown first,
/// and you are asked. The root never becomes older.
#[derive(Debug, Args)]
pub(in crate::cli) struct AcceptOlder {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    keys: KeyArgs,
    /// The product, as the server has it now.
    #[arg(long, value_name = "NAME", required_unless_present = "file", conflicts_with = "file")]
    product: Option<ProductName>,
    /// On a computer without a network: a proposal that is built upon the older state.
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
}

/// What became older.
#[derive(Debug, Serialize)]
struct Accepted {
    product: ProductName,
    older: Vec<String>,
}

/// What is published.
struct Published {
    product: ProductName,
    metadata: BTreeMap<String, String>,
    /// As the server says it, where it was asked.
    state: Option<PublishingState>,
}

impl AcceptOlder {
    pub(super) fn run(self, output: Output) -> CliResult {
        let now = Clock::system().now();
        let Published { product, metadata, state } = self.published()?;
        if let Some(state) = &state {
            require_clock(state, now)?;
        }
        let trust = VendorTrust::new(&self.keys.keys, &product);
        let Seen { root: Some(root), roles } = trust.seen()? else { return Err(trust.unknown()) };
        let root_only = Seen { root: Some(root), ..Seen::default() };
        let base = Base::verify(&product, &metadata, &root_only)?;
        let versions: BTreeMap<_, _> = base.versions().collect();
        let (roles, older) = roles.lowered(|role| versions.get(role).copied());
        output.say(&text(&product, &older));
        let consent = if self.yes { Consent::Given } else { Consent::Asked };
        confirm("Go by the older state?", consent, output)?;
        trust.begin_anew(&Seen { root: Some(base.root_bytes), roles })?;
        if let Some(state) = &state {
            trust.verify(state, now)?;
        }
        output.answer(&Accepted { product, older }, |accepted| {
            format!("This computer goes by the older state of {} from now on.", accepted.product)
        })
    }

    fn published(&self) -> Result<Published, CliError> {
        if let Some(file) = &self.file {
            let Proposal { product, base: metadata, .. } = Proposal::read(file)?;
            return Ok(Published { product, metadata, state: None });
        }
        let product = self.product.clone();
        let product = product.ok_or_else(|| CliError::Input("expected --product".to_owned()))?;
        let server = self.server.connect()?;
        let state: PublishingState = server.get(&format!("/v1/products/{product}/publishing"))?;
        let metadata = state.metadata.clone();
        Ok(Published { product, metadata, state: Some(state) })
    }
}

fn text(product: &ProductName, older: &[String]) -> String {
    let mut lines = vec![format!("Of {product} becomes older:")];
    lines.extend(older.iter().map(|line| format!("  {line}")));
    if older.is_empty() {
        lines.push("  nothing but what the server signs itself, if that is older".to_owned());
    }
    lines.push(
        "What was published since the older state is to be published again. Machines that have \
         seen it refuse the older state until its versions have caught up, or the server has new \
         online keys that are adopted. If there is a newer copy of the server's directory, say no \
         and put that one back."
            .to_owned(),
    );
    lines.join("\n")
}
