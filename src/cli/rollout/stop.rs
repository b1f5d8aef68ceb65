use clap::Args;
use mainstay_client::format::ProductName;

use super::{
    super::{CliError, CliResult, Output, ServerArgs},
    action::WordArgs,
    shown,
};
use crate::{
    service::rollout::{ChangeStop, ProductRollouts},
    store::StopRecord,
};

/// An action on all updates of a product.
#[derive(Debug, Args)]
pub(in crate::cli) struct OfProduct {
    #[command(flatten)]
    server: ServerArgs,
    /// The product.
    product: ProductName,
    #[command(flatten)]
    word: WordArgs,
}

impl OfProduct {
    pub(super) fn stop(self, output: Output) -> CliResult {
        let told = format!(
            "No machine is updated to anything of {} until that is lifted, and what is being rolled out \
             is paused. Orders to go back are carried out, and what runs goes on running.",
            self.product
        );
        self.run("stop", &told, output)
    }

    pub(super) fn unstop(self, output: Output) -> CliResult {
        let told = format!(
            "Machines are updated again to what their contracts and the rollouts of {} let them have. \
             Rollouts that are paused stay so until they are resumed (`mainstay rollout resume`).",
            self.product
        );
        self.run("unstop", &told, output)
    }

    fn run(self, verb: &str, told: &str, output: Output) -> CliResult {
        let Self { server, product, word } = self;
        let server = server.connect()?;
        let before: ProductRollouts = server.get(&format!("/v1/products/{product}/rollouts"))?;
        let WordArgs { reason, ticket, revision, shown: first } = word;
        let seen = before.stop.as_ref().map_or(0, |stop| stop.revision);
        let expected_revision = revision.unwrap_or(seen);
        let request = ChangeStop { expected_revision, reason, ticket };
        let path = format!("/v1/products/{product}/{verb}");
        let act = || -> Result<StopRecord, CliError> { server.post(&path, &request) };
        let shown = |stop: Option<&StopRecord>| format!("{}\n{told}", shown::stop(stop));
        let preview =
            (|| Ok(before.stop.clone()), |stop: &Option<StopRecord>| shown(stop.as_ref()));
        first.run(preview, (act, |stop: &StopRecord| shown(Some(stop))), output)
    }
}
