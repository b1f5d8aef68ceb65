use std::{collections::BTreeMap, path::PathBuf};

use clap::Args;
use mainstay_client::format::{
    ChannelName,
    wire::{
        AmendMetadataRequest, AmendMetadataResponse, PublishResponse, PublishingState,
        RetireRequest, RetireResponse,
    },
};
use serde::Serialize;

use super::{
    super::{
        CliError, CliResult, Connection, Output, ServerArgs,
        keys::KeyArgs,
        rollout::{self, WishArgs},
        vendor_trust::VendorTrust,
    },
    Proposal, Review, Shown, names,
};
use crate::{
    clock::Clock,
    policy::RolloutWish,
    service::{publish::PublishRequest, rollout::RolloutView},
};

/// Make a proposal come true.
#[derive(Debug, Args)]
pub(in crate::cli) struct Submit {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    keys: KeyArgs,
    /// The signed proposal, or several copies of it that different people have signed.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    wish: WishArgs,
}

/// What has come true.
#[derive(Debug, Serialize)]
pub(super) struct Submitted {
    revision: u64,
    #[serde(flatten)]
    shown: Shown,
}

impl Submit {
    pub(super) fn run(self, output: Output) -> CliResult {
        let wish = self.wish.read()?;
        let (proposal, copies) = Proposal::read_copies(&self.files)?;
        if proposal.manifest.is_none() && !wish.says_nothing() {
            return Err(CliError::Input(
                "the proposal publishes no release: expected nothing about how one spreads"
                    .to_owned(),
            ));
        }
        let trust = VendorTrust::new(&self.keys.keys, &proposal.product);
        let seen = trust.seen()?;
        if seen.root.is_none() {
            return Err(trust.unknown());
        }
        let mut review = Review::new(&proposal, &seen, Clock::system().now())?;
        copies.iter().try_for_each(|copy| review.join(copy))?;
        let shown = Shown::new(&review, &names(&self.keys));
        if !shown.complete {
            output.say(&shown.text);
            return Err(CliError::Input("not submitted: signatures are missing".to_owned()));
        }
        let server = self.server.connect()?;
        let revision = submit(&server, &proposal, &review, wish)?;
        remember(&server, &proposal, &trust, output);
        output.answer(&Submitted { revision, shown }, |submitted| {
            let done = format!("{} is at revision {revision}.", submitted.shown.product);
            let Some(manifest) = &review.manifest else { return done };
            let path = format!("/v1/products/{}/rollouts/{}", proposal.product, manifest.version);
            // It is published, whether or not it can be said how it spreads.
            let view = server.get(&path).map(|view: RolloutView| rollout::spreads(&view));
            view.map_or(done.clone(), |spreads| format!("{done} {spreads}"))
        })
    }
}

/// Sends what is signed, and says the product's new revision. A release spreads as `rollout` says,
/// which is the word of whoever submits it: nobody has signed that.
pub(in crate::cli) fn submit(
    server: &Connection,
    proposal: &Proposal,
    review: &Review,
    rollout: RolloutWish,
) -> Result<u64, CliError> {
    let mut documents = review.texts()?;
    let product = format!("/v1/products/{}", proposal.product);
    if let Some(manifest) = &proposal.manifest {
        let channel_metadata = documents.into_values().next().unwrap_or_default();
        let request = PublishRequest {
            expected_revision: proposal.revision,
            manifest: manifest.clone(),
            channel_metadata,
            rollout,
        };
        let published: PublishResponse = server.post(&format!("{product}/releases"), &request)?;
        return Ok(published.revision);
    }
    if !proposal.retire.is_empty() {
        let request = RetireRequest {
            expected_revision: proposal.revision,
            versions: proposal.retire.clone(),
            roles: by_channel(documents)?,
        };
        let retired: RetireResponse = server.post(&format!("{product}/retirements"), &request)?;
        return Ok(retired.revision);
    }
    let (root, targets) = (documents.remove("root"), documents.remove("targets"));
    let channels = by_channel(documents)?;
    let request =
        AmendMetadataRequest { expected_revision: proposal.revision, root, targets, channels };
    let amended: AmendMetadataResponse = server.post(&format!("{product}/metadata"), &request)?;
    Ok(amended.revision)
}

fn by_channel(
    documents: BTreeMap<String, String>,
) -> Result<BTreeMap<ChannelName, String>, CliError> {
    documents.into_iter().map(|(name, text)| Ok((name.parse()?, text))).collect()
}

/// Takes note of what has come true. If that fails it comes with the next command.
pub(in crate::cli) fn remember(
    server: &Connection,
    proposal: &Proposal,
    trust: &VendorTrust,
    output: Output,
) {
    let noted = server
        .get(&format!("/v1/products/{}/publishing", proposal.product))
        .and_then(|state: PublishingState| trust.verify(&state, Clock::system().now()));
    if let Err(error) = noted {
        output.say(&format!("The product's new metadata could not be looked at: {error}"));
    }
}
