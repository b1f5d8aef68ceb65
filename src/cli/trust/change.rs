use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU64,
};

use jiff::{SignedDuration, Timestamp};
use mainstay_client::{
    format::{Channel, ChannelName, PrivateChannelName, wire::ServerKeys},
    tuf::{
        self, DIRECTOR, DelegatedRole, Delegations, Envelope, Header, KeyId, Metadata, PathPattern,
        PublicKey, RoleKeys, Root, Targets,
    },
};

use super::{
    super::{
        CliError,
        product::{OFFLINE_LIFETIME, archive, role},
        publish::CHANNEL_LIFETIME,
    },
    base::{Base, delegated},
    line::LineChange,
};

/// What is to change about the keys of a role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct RoleChange {
    pub(super) add: Vec<PublicKey>,
    pub(super) remove: BTreeSet<KeyId>,
    pub(super) threshold: Option<NonZeroU64>,
}

/// What is to change about what the vendor has signed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) root: RoleChange,
    pub(super) targets: RoleChange,
    pub(super) release: RoleChange,
    /// The channels that the change of the release keys is about; all of them but the private ones,
    /// which have keys of their own, where there are none.
    pub(super) release_channels: BTreeSet<ChannelName>,
    /// Whether the role `archive` is new, and whose keys it has.
    pub(super) archive: Option<ArchiveKeys>,
    /// The server's keys that are to sign timestamp, snapshot and plans from now on.
    pub(super) online: Option<ServerKeys>,
    /// The documents to sign for a longer time: `root`, `targets`, channels.
    pub(super) renew: BTreeSet<String>,
    /// What is to change about the dates of lines.
    pub(super) lines: Vec<LineChange>,
    /// A private channel that is new.
    pub(super) private_channel: Option<NewPrivateChannel>,
}

/// A private channel that is to be delegated to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NewPrivateChannel {
    pub(super) name: PrivateChannelName,
    pub(super) release_keys: Vec<PublicKey>,
    /// How many of them must sign it.
    pub(super) threshold: NonZeroU64,
}

/// Whose keys a new archive has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ArchiveKeys {
    /// Those of all channels, which have the same.
    OfAllChannels,
    /// Those of one channel.
    Of(Channel),
}

impl RoleChange {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// `role` as it is to be; `known` learns the keys that are new.
    fn apply(
        &self,
        what: &str,
        role: &RoleKeys,
        known: &mut BTreeMap<KeyId, PublicKey>,
    ) -> Result<RoleKeys, CliError> {
        let mut keyids = role.keyids.clone();
        for id in &self.remove {
            if !keyids.remove(id) {
                return Err(CliError::Input(format!(
                    "key {id} is none of the {what} keys: nothing to remove"
                )));
            }
        }
        for key in &self.add {
            if !keyids.insert(key.id()) {
                return Err(CliError::Input(format!(
                    "key {} is one of the {what} keys already",
                    key.id()
                )));
            }
            known.insert(key.id(), key.clone());
        }
        let threshold = self.threshold.unwrap_or(role.threshold);
        if (keyids.len() as u64) < threshold.get() {
            return Err(CliError::Input(format!(
                "{threshold} {what} keys must sign, and there would be {}",
                keyids.len()
            )));
        }
        Ok(RoleKeys { keyids, threshold })
    }
}

/// The new documents by name, unsigned: those that change, and those that must be signed anew
/// because the keys that signed them count no more. There are none where nothing changes.
pub(super) fn documents(
    base: &Base,
    metadata: &BTreeMap<String, String>,
    change: &Change,
    now: Timestamp,
) -> Result<BTreeMap<String, String>, CliError> {
    let present = |file: &str, name: &str| {
        let text = metadata.get(file).map(String::as_bytes).unwrap_or_default();
        Envelope::parse(name, text)
    };
    let mut documents = BTreeMap::new();
    let mut root = base.root.clone();
    if change.changes_root(&base.root) {
        root = change.next_root(&base.root, now)?;
        documents.insert("root".to_owned(), unsigned(&root)?);
    }
    let mut targets = base.targets.clone();
    let counts = present("targets.json", "targets")?.verify(&root.keys, &root.roles.targets);
    let lines = LineChange::apply(&change.lines, &base.targets.lines)?;
    let redates = lines != base.targets.lines;
    if counts.is_err() || redates || change.changes_targets(&base.targets) {
        targets = Targets { lines, ..change.next_targets(&base.targets, now)? };
        documents.insert("targets".to_owned(), unsigned(&targets)?);
    }
    for (name, channel) in &base.channels {
        let (keys, role) = delegated(&targets, name).ok_or_else(|| {
            CliError::Input(format!("the targets do not delegate to channel {name}"))
        })?;
        let counts = present(&format!("{name}.json"), name.as_str())?.verify(keys, role);
        if counts.is_err() || change.renew.contains(name.as_str()) {
            let header = next_header::<Targets>(&channel.header, now, CHANNEL_LIFETIME)?;
            let next = Targets { header, ..channel.clone() };
            documents.insert(name.to_string(), unsigned(&next)?);
        }
    }
    for name in &change.renew {
        if !documents.contains_key(name) {
            return Err(CliError::Input(format!(
                "there is no `{}` to renew: expected root, targets or a channel with a release",
                name.escape_debug()
            )));
        }
    }
    Ok(documents)
}

impl Change {
    fn changes_root(&self, present: &Root) -> bool {
        let (timestamp, snapshot) = (&present.roles.timestamp, &present.roles.snapshot);
        let adopts = self.online.as_ref().is_some_and(|online| {
            *timestamp != RoleKeys::any_of([&online.timestamp])
                || *snapshot != RoleKeys::any_of([&online.snapshot])
        });
        !self.root.is_empty() || !self.targets.is_empty() || adopts || self.renew.contains("root")
    }

    fn changes_targets(&self, present: &Targets) -> bool {
        let director = present.delegations.as_ref().and_then(|listed| listed.role(DIRECTOR));
        let adopts = self.online.as_ref().is_some_and(|online| {
            director.is_none_or(|role| role.keys != RoleKeys::any_of([&online.director]))
        });
        !self.release.is_empty()
            || self.archive.is_some()
            || self.private_channel.is_some()
            || adopts
            || self.renew.contains("targets")
    }

    fn next_root(&self, present: &Root, now: Timestamp) -> Result<Root, CliError> {
        let mut keys = present.keys.clone();
        let mut roles = present.roles.clone();
        roles.root = self.root.apply("root", &present.roles.root, &mut keys)?;
        roles.targets = self.targets.apply("targets", &present.roles.targets, &mut keys)?;
        if let Some(online) = &self.online {
            roles.timestamp = adopt(&online.timestamp, &mut keys);
            roles.snapshot = adopt(&online.snapshot, &mut keys);
        }
        let used = [&roles.root, &roles.timestamp, &roles.snapshot, &roles.targets];
        keys.retain(|id, _| used.iter().any(|role| role.keyids.contains(id)));
        let header = next_header::<Root>(&present.header, now, OFFLINE_LIFETIME)?;
        Ok(Root { header, consistent_snapshot: true, keys, roles })
    }

    fn next_targets(&self, present: &Targets, now: Timestamp) -> Result<Targets, CliError> {
        let Delegations { mut keys, mut roles, .. } =
            present.delegations.clone().unwrap_or_default();
        for role in &mut roles {
            if role.name == DIRECTOR {
                if let Some(online) = &self.online {
                    role.keys = adopt(&online.director, &mut keys);
                }
                continue;
            }
            let is_meant = if self.release_channels.is_empty() {
                role.name.parse::<PrivateChannelName>().is_err()
            } else {
                self.release_channels.iter().any(|channel| channel.as_str() == role.name)
            };
            if is_meant && !self.release.is_empty() {
                let what = format!("{} release", role.name);
                role.keys = self.release.apply(&what, &role.keys, &mut keys)?;
            }
        }
        for channel in &self.release_channels {
            if roles.iter().all(|role| role.name != channel.as_str()) {
                return Err(CliError::Input(format!("the product has no channel {channel}")));
            }
        }
        if let Some(whose) = self.archive {
            roles = with_archive(roles, whose)?;
        }
        if let Some(channel) = &self.private_channel {
            let described = channel.release_keys.iter().map(|key| (key.id(), key.clone()));
            keys.extend(described);
            roles = before_director(roles, channel.delegation()?)?;
        }
        keys.retain(|id, _| roles.iter().any(|role| role.keys.keyids.contains(id)));
        Ok(Targets {
            header: next_header::<Targets>(&present.header, now, OFFLINE_LIFETIME)?,
            targets: present.targets.clone(),
            delegations: Some(Delegations { keys, roles, succinct_roles: None }),
            lines: present.lines.clone(),
        })
    }
}

impl NewPrivateChannel {
    fn delegation(&self) -> Result<DelegatedRole, CliError> {
        let Self { name, release_keys, threshold } = self;
        Ok(DelegatedRole {
            name: name.to_string(),
            keys: role("release", release_keys, *threshold)?,
            terminating: true,
            paths: vec![PathPattern::try_from(format!("{name}/*/*"))?].into(),
        })
    }
}

/// `roles` and one more, before the director.
fn before_director(
    mut roles: Vec<DelegatedRole>,
    new: DelegatedRole,
) -> Result<Vec<DelegatedRole>, CliError> {
    if roles.iter().any(|role| role.name == new.name) {
        let message = format!("the product has a role `{}` already", new.name);
        return Err(CliError::Input(message));
    }
    let director = roles.iter().position(|role| role.name == DIRECTOR).unwrap_or(roles.len());
    roles.insert(director, new);
    Ok(roles)
}

/// `roles` and the archive.
fn with_archive(
    roles: Vec<DelegatedRole>,
    whose: ArchiveKeys,
) -> Result<Vec<DelegatedRole>, CliError> {
    let of = |channel: Channel| roles.iter().find(|role| role.name == channel.as_str());
    let channels: Vec<_> = match whose {
        ArchiveKeys::OfAllChannels => Channel::ALL.into_iter().filter_map(of).collect(),
        ArchiveKeys::Of(channel) => of(channel).into_iter().collect(),
    };
    let Some(keys) = channels.first().map(|role| role.keys.clone()) else {
        return Err(CliError::Input("the product has no such channel".to_owned()));
    };
    if channels.iter().any(|role| role.keys != keys) {
        return Err(CliError::Input(
            "the channels have different release keys: say which of them the archive is to have \
             the keys of, with --add-archive=CHANNEL"
                .to_owned(),
        ));
    }
    before_director(roles, archive(keys)?)
}

fn adopt(key: &PublicKey, known: &mut BTreeMap<KeyId, PublicKey>) -> RoleKeys {
    known.insert(key.id(), key.clone());
    RoleKeys::any_of([key])
}

pub(in crate::cli) fn next_header<M: Metadata>(
    present: &Header,
    now: Timestamp,
    lifetime: SignedDuration,
) -> Result<Header, CliError> {
    let version = present
        .version
        .checked_add(1)
        .ok_or_else(|| CliError::Input("a metadata version has run over".to_owned()))?;
    let expires = now.checked_add(lifetime).map_err(|error| CliError::Input(error.to_string()))?;
    Ok(Header { product: present.product.clone(), ..Header::new::<M>(version, expires) })
}

pub(in crate::cli) fn unsigned(document: &impl serde::Serialize) -> Result<String, CliError> {
    Ok(String::from_utf8_lossy(&tuf::sign(document, &[])?).into_owned())
}
