use clap::{Args, Subcommand};
use mainstay_client::format::{PrivateChannelName, ProductName};

use super::{
    CliResult, Output, ServerArgs,
    output::{or_dash, table},
    trust::CreateChannel,
};
use crate::{service::private_channel::PrivateChannelView, store::PrivateChannelRecord};

/// Make, list and end private channels.
///
/// A private channel lists custom builds for one customer. Its name is made of random letters and
/// digits and signed into the product's targets, which all customers of the product read; whose it is
/// only the server knows. Publish in it with `mainstay publish --private-channel NAME`.
#[derive(Debug, Subcommand)]
pub(super) enum ChannelCommand {
    /// Make a private channel for a customer.
    Create(Box<CreateChannel>),
    /// List a product's private channels, and whose they are.
    List(List),
    /// End a private channel: no machine is updated to its custom builds any more, and those that run
    /// one get the releases for everybody again.
    End(End),
}

#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    server: ServerArgs,
    /// The product.
    #[arg(long, value_name = "NAME")]
    product: ProductName,
}

#[derive(Debug, Args)]
pub(super) struct End {
    #[command(flatten)]
    server: ServerArgs,
    /// The product.
    #[arg(long, value_name = "NAME")]
    product: ProductName,
    /// The private channel.
    #[arg(value_name = "CHANNEL")]
    channel: PrivateChannelName,
}

impl ChannelCommand {
    pub(super) fn run(self, output: Output) -> CliResult {
        match self {
            Self::Create(create) => create.run(output),
            Self::List(List { server, product }) => {
                let path = format!("/v1/products/{product}/channels");
                let channels: Vec<PrivateChannelView> = server.connect()?.get(&path)?;
                output.answer(&channels, |channels| list(channels))
            }
            Self::End(End { server, product, channel }) => {
                let path = format!("/v1/products/{product}/channels/{channel}/end");
                let ended: PrivateChannelRecord =
                    server.connect()?.post(&path, &serde_json::json!({}))?;
                output.answer(&ended, |ended| {
                    format!("Private channel {} of {} has ended.", ended.name, ended.customer)
                })
            }
        }
    }
}

fn list(channels: &[PrivateChannelView]) -> String {
    let rows = channels.iter().map(|view| {
        let PrivateChannelView { channel, delegated, releases, newest } = view;
        let state = match (channel.ended_at, delegated) {
            (Some(ended_at), _) => format!("ended {ended_at}"),
            (None, true) => "open".to_owned(),
            (None, false) => "waits for the targets key".to_owned(),
        };
        [
            channel.name.to_string(),
            channel.customer.to_string(),
            channel.created_at.to_string(),
            releases.to_string(),
            or_dash(newest.as_ref()),
            state,
        ]
    });
    table(["CHANNEL", "CUSTOMER", "SINCE", "RELEASES", "NEWEST", "STATE"], rows)
}
