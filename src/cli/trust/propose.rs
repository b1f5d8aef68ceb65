use std::{collections::BTreeSet, num::NonZeroU64, path::PathBuf};

use clap::Args;
use mainstay_client::{
    format::{Channel, ChannelName, ProductName},
    tuf::{KeyId, RoleKeys},
};

use super::{
    super::{CliError, CliResult, Output, ServerArgs, keys::KeyArgs, vendor_trust::VendorTrust},
    Present,
    base::Base,
    change::{ArchiveKeys, Change, RoleChange},
    line::LineChange,
    proposed,
};

/// Write a change into a file. A key is named as in `mainstay keys show`; of one to be added, the
/// public half is enough; one to be removed may be named by its identifier.
#[derive(Debug, Args)]
pub(in crate::cli) struct Propose {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    keys: KeyArgs,
    /// The product.
    #[arg(long, value_name = "NAME")]
    product: ProductName,
    /// The file to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// A key that may sign roots from now on. Give it again for each further one.
    #[arg(long, value_name = "KEY")]
    add_root_key: Vec<String>,
    /// A key that may sign roots no more. Give it again for each further one.
    #[arg(long, value_name = "KEY")]
    remove_root_key: Vec<String>,
    /// How many root keys must sign a root.
    #[arg(long, value_name = "N")]
    root_threshold: Option<NonZeroU64>,
    /// A key that may sign the top-level targets from now on. Give it again for each further one.
    #[arg(long, value_name = "KEY")]
    add_targets_key: Vec<String>,
    /// A key that may sign the top-level targets no more. Give it again for each further one.
    #[arg(long, value_name = "KEY")]
    remove_targets_key: Vec<String>,
    /// How many targets keys must sign the top-level targets.
    #[arg(long, value_name = "N")]
    targets_threshold: Option<NonZeroU64>,
    /// A key that may sign releases from now on. Give it again for each further one.
    #[arg(long, value_name = "KEY")]
    add_release_key: Vec<String>,
    /// A key that may sign releases no more. Give it again for each further one.
    #[arg(long, value_name = "KEY")]
    remove_release_key: Vec<String>,
    /// How many release keys must sign a channel.
    #[arg(long, value_name = "N")]
    release_threshold: Option<NonZeroU64>,
    /// A channel that the change of the release keys is about. Give it again for each further one
    /// [default: all but private channels].
    #[arg(long, value_name = "CHANNEL")]
    channel: Vec<ChannelName>,
    /// Add the role `archive`, which lists retired releases, to a product from before there was one.
    /// It has the release keys of CHANNEL [default: of all channels, if they have the same].
    #[arg(long, value_name = "CHANNEL", num_args = 0..=1, require_equals = true)]
    #[expect(clippy::option_option, reason = "the option may be given without a value")]
    add_archive: Option<Option<Channel>>,
    /// Let the keys that the server announces now sign timestamp, snapshot and plans.
    #[arg(long)]
    adopt_online_keys: bool,
    /// A document to sign for a longer time: root, targets, or a channel. Give it again for each
    /// further one.
    #[arg(long, value_name = "ROLE")]
    renew: Vec<String>,
    /// A line and what its dates are to be: ga (general availability), eos (end of support), eol
    /// (end of life); `none` takes one away. For example 2.4,eos=2027-01-01T00:00:00Z,eol=none. Give
    /// it again for each further line.
    #[arg(long, value_name = "LINE,DATE=TIME")]
    line: Vec<LineChange>,
}

impl Propose {
    pub(super) fn run(self, output: Output) -> CliResult {
        let server = self.server.connect()?;
        let trust = VendorTrust::new(&self.keys.keys, &self.product);
        let present = Present::read(&server, &self.product, &trust)?;
        let mut change = self.change(&present.base)?;
        if self.adopt_online_keys {
            change.online = Some(server.get("/v1/server-keys")?);
        }
        let proposal = present.propose(&self.product, &change)?.ok_or_else(|| {
            CliError::Input(if self.adopt_online_keys {
                "nothing to do: the keys that the server announces are adopted already; new ones \
                 are announced after `mainstay keys rotate-online` and a new start of the server"
                    .to_owned()
            } else {
                "nothing to change: say what (--help lists it)".to_owned()
            })
        })?;
        proposed(&proposal, &self.out, &self.keys, output)
    }

    fn change(&self, base: &Base) -> Result<Change, CliError> {
        let delegated = base.targets.delegations.iter().flat_map(|listed| &listed.roles);
        let release: Vec<_> = delegated.map(|role| &role.keys).collect();
        let role = |add: &[String], remove: &[String], threshold, present: &[&RoleKeys]| {
            Ok::<_, CliError>(RoleChange {
                add: add.iter().map(|name| self.keys.public(name)).collect::<Result<_, _>>()?,
                remove: self.key_ids(remove, present)?,
                threshold,
            })
        };
        Ok(Change {
            root: role(
                &self.add_root_key,
                &self.remove_root_key,
                self.root_threshold,
                &[&base.root.roles.root],
            )?,
            targets: role(
                &self.add_targets_key,
                &self.remove_targets_key,
                self.targets_threshold,
                &[&base.root.roles.targets],
            )?,
            release: role(
                &self.add_release_key,
                &self.remove_release_key,
                self.release_threshold,
                &release,
            )?,
            release_channels: self.channel.iter().cloned().collect(),
            archive: self
                .add_archive
                .map(|of| of.map_or(ArchiveKeys::OfAllChannels, ArchiveKeys::Of)),
            online: None,
            renew: self.renew.iter().cloned().collect(),
            lines: self.line.clone(),
            private_channel: None,
        })
    }

    /// A key that is lost may be known by its identifier only.
    fn key_ids(
        &self,
        names: &[String],
        present: &[&RoleKeys],
    ) -> Result<BTreeSet<KeyId>, CliError> {
        let listed = |id: &KeyId| present.iter().any(|role| role.keyids.contains(id));
        names
            .iter()
            .map(|name| match name.parse::<KeyId>() {
                Ok(id) if listed(&id) => Ok(id),
                _ => Ok(self.keys.public(name)?.id()),
            })
            .collect()
    }
}
