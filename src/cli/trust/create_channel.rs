use std::{num::NonZeroU64, path::PathBuf};

use clap::Args;
use mainstay_client::format::{CustomerName, PrivateChannelName, ProductName};
use serde::Serialize;

use super::{
    super::{
        CliError, CliResult, Connection, Output, ServerArgs, keys::KeyArgs,
        vendor_trust::VendorTrust,
    },
    Present, Proposal, Review,
    change::{Change, NewPrivateChannel},
    names, proposed, sign_with_keys_here,
    submit::{remember, submit},
};
use crate::{
    clock::{Clock, random_bytes},
    policy::RolloutWish,
    service::private_channel::{CreatePrivateChannel, PrivateChannelView},
    store::PrivateChannelRecord,
};

/// Make a private channel: name it, note on the server whose it is, and delegate to it in the
/// product's top-level targets, which the targets key signs.
#[derive(Debug, Args)]
pub(in crate::cli) struct CreateChannel {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    keys: KeyArgs,
    /// The product.
    #[arg(long, value_name = "NAME")]
    product: ProductName,
    /// The customer whose custom builds it is to list.
    #[arg(long, value_name = "NAME")]
    customer: CustomerName,
    /// A release key that may sign the channel, of which the public half is enough; give it again for
    /// each further one.
    #[arg(long, default_value = "release", value_name = "KEY")]
    release_key: Vec<String>,
    /// How many of them must sign it.
    #[arg(long, default_value = "1", value_name = "N")]
    release_threshold: NonZeroU64,
    /// Go on with a channel that the server has noted already, where signing or submitting failed.
    #[arg(long, value_name = "CHANNEL")]
    channel: Option<PrivateChannelName>,
    /// Write the new targets into this file, for others to sign: where the targets key is not here.
    /// `mainstay trust submit` makes it come true.
    #[arg(long, value_name = "FILE")]
    propose: Option<PathBuf>,
}

/// What has come true.
#[derive(Debug, Serialize)]
struct Created {
    product: ProductName,
    channel: PrivateChannelName,
    customer: CustomerName,
    revision: u64,
}

impl CreateChannel {
    pub(in crate::cli) fn run(self, output: Output) -> CliResult {
        let server = self.server.connect()?;
        let trust = VendorTrust::new(&self.keys.keys, &self.product);
        let present = Present::read(&server, &self.product, &trust)?;
        let channel = match &self.channel {
            Some(channel) => channel.clone(),
            None => random_bytes()
                .map(PrivateChannelName::of_random)
                .map_err(|error| CliError::Input(error.to_string()))?,
        };
        let proposal = self.proposal(&present, &channel)?;
        let mut review = Review::new(&proposal, &trust.seen()?, Clock::system().now())?;
        sign_with_keys_here(&mut review, &self.keys, &names(&self.keys))?;
        if self.propose.is_none() && !review.is_complete() {
            return Err(CliError::Input(
                "nothing was made: not every key that must sign the targets is here; have it signed \
                 by others with --propose FILE"
                    .to_owned(),
            ));
        }
        self.note(&server, &channel)?;
        output.say(&format!(
            "Private channel {channel} is noted as one of {}. Should what follows fail, repeat this \
             command with --channel {channel}.",
            self.customer
        ));
        if let Some(file) = &self.propose {
            let proposal = Proposal { documents: review.texts()?, ..proposal };
            return proposed(&proposal, file, &self.keys, output);
        }
        let revision = submit(&server, &proposal, &review, RolloutWish::default())?;
        remember(&server, &proposal, &trust, output);
        let Self { product, customer, .. } = self;
        let created = Created { product, channel, customer, revision };
        output.answer(&created, |created| {
            format!(
                "{}: private channel {} of {} is open (revision {revision}).",
                created.product, created.channel, created.customer
            )
        })
    }

    fn proposal(
        &self,
        present: &Present,
        channel: &PrivateChannelName,
    ) -> Result<Proposal, CliError> {
        let release_keys =
            self.release_key.iter().map(|name| self.keys.public(name)).collect::<Result<_, _>>()?;
        let new = NewPrivateChannel {
            name: channel.clone(),
            release_keys,
            threshold: self.release_threshold,
        };
        let change = Change { private_channel: Some(new), ..Change::default() };
        let proposal = present.propose(&self.product, &change)?;
        proposal.ok_or_else(|| CliError::Input("nothing to change".to_owned()))
    }

    /// Has the server note whose the channel is, where it has not yet.
    fn note(&self, server: &Connection, channel: &PrivateChannelName) -> CliResult {
        let path = format!("/v1/products/{}/channels", self.product);
        if self.channel.is_some() {
            let known: Vec<PrivateChannelView> = server.get(&path)?;
            let is_noted = |view: &PrivateChannelView| {
                view.channel.name == *channel && view.channel.customer == self.customer
            };
            if known.iter().any(is_noted) {
                return Ok(());
            }
        }
        let (name, customer) = (channel.clone(), self.customer.clone());
        let _: PrivateChannelRecord =
            server.post(&path, &CreatePrivateChannel { name, customer })?;
        Ok(())
    }
}
