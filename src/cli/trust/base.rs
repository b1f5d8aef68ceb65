use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU64,
};

use mainstay_client::{
    format::{ChannelName, ProductName},
    tuf::{
        DIRECTOR, Delegations, Envelope, KeyId, Limits, Metadata, PublicKey, RoleKeys, Root,
        Targets, TrustedRoot,
    },
};

use super::{super::CliError, seen::Seen};

/// What the vendor has signed of a product so far: verified from the first root on, or from the one
/// that was seen before, by everything but its expiry. It is about to be signed anew, and what has
/// expired needs that most.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Base {
    pub(in crate::cli) root: Root,
    /// The newest root, byte for byte.
    pub(in crate::cli) root_bytes: Vec<u8>,
    pub(in crate::cli) targets: Targets,
    pub(in crate::cli) channels: BTreeMap<ChannelName, Targets>,
}

/// Keys, and how many of them must sign.
pub(in crate::cli) type Signers<'a> = (&'a BTreeMap<KeyId, PublicKey>, &'a RoleKeys);

impl Base {
    /// Verifies `metadata` (`1.root.json`, …, `targets.json`, `<channel>.json`; others are passed
    /// over).
    pub(in crate::cli) fn verify(
        product: &ProductName,
        metadata: &BTreeMap<String, String>,
        seen: &Seen,
    ) -> Result<Self, CliError> {
        let (root, root_bytes) = newest_root(product, metadata, seen.root.as_deref())?;
        let limit = Limits::DEFAULT.targets_bytes_max;
        let read_role = |name: &str, file: &str, signers: Signers<'_>| {
            let bytes = metadata.get(file).map(String::as_bytes).unwrap_or_default();
            read::<Targets>(product, name, bytes, limit, Some(signers))
        };
        let signers = (&root.keys, &root.roles.targets);
        let targets = read_role("targets", "targets.json", signers)?;
        let mut channels = BTreeMap::new();
        for file in metadata.keys().filter(|file| is_channel(file)) {
            let name = file.strip_suffix(".json").and_then(|name| name.parse::<ChannelName>().ok());
            let Some(name) = name else {
                return Err(CliError::Untrusted(format!(
                    "`{}` is no metadata of a product",
                    file.escape_debug()
                )));
            };
            let signers = delegated(&targets, &name).ok_or_else(|| {
                CliError::Untrusted(format!("the targets do not delegate to channel {name}"))
            })?;
            let channel = read_role(name.as_str(), file, signers)?;
            channels.insert(name, channel);
        }
        let base = Self { root, root_bytes, targets, channels };
        let versions: BTreeMap<_, _> = base.versions().collect();
        seen.roles.require_newest(|role| versions.get(role).copied())?;
        Ok(base)
    }

    /// The versions of the top-level targets and of the channels by name.
    pub(super) fn versions(&self) -> impl Iterator<Item = (&str, NonZeroU64)> {
        let channels =
            self.channels.iter().map(|(name, channel)| (name.as_str(), channel.header.version));
        std::iter::once((Targets::KIND, self.targets.header.version)).chain(channels)
    }
}

/// The delegation of `targets` to the channel `name`.
pub(in crate::cli) fn delegated<'a>(
    targets: &'a Targets,
    name: &ChannelName,
) -> Option<Signers<'a>> {
    let Delegations { keys, .. } = targets.delegations.as_ref()?;
    let role = targets.delegations.as_ref()?.role(name.as_str())?;
    (role.name != DIRECTOR).then_some((keys, &role.keys))
}

/// A document of `product` and of its kind, signed by the threshold of `signers` where they are given.
pub(super) fn read<M: Metadata>(
    product: &ProductName,
    name: &str,
    bytes: &[u8],
    bytes_max: u64,
    signers: Option<Signers<'_>>,
) -> Result<M, CliError> {
    if bytes.len() as u64 > bytes_max {
        return Err(CliError::Untrusted(format!(
            "{name} has {} bytes: expected at most {bytes_max}",
            bytes.len()
        )));
    }
    let envelope = Envelope::parse(name, bytes)?;
    if let Some((keys, role)) = signers {
        envelope.verify(keys, role)?;
    }
    let document: M = envelope.document()?;
    document.header().expect_product(name, product)?;
    if document.header().kind == M::KIND {
        return Ok(document);
    }
    Err(CliError::Untrusted(format!(
        "{name} says that it is `{}`: expected `{}`",
        document.header().kind.escape_debug(),
        M::KIND
    )))
}

fn is_channel(file: &str) -> bool {
    let others = BTreeSet::from(["targets.json", "timestamp.json", "snapshot.json"]);
    !others.contains(file) && !file.ends_with(".root.json")
}

fn newest_root(
    product: &ProductName,
    metadata: &BTreeMap<String, String>,
    seen: Option<&[u8]>,
) -> Result<(Root, Vec<u8>), CliError> {
    let file = |version: u64| metadata.get(&format!("{version}.root.json")).map(String::as_bytes);
    let first = seen.or_else(|| file(1)).unwrap_or_default();
    let mut trusted = TrustedRoot::pin(first, Limits::DEFAULT)?.of(product)?;
    if seen.is_some_and(|seen| file(trusted.version()) != Some(seen)) {
        return Err(CliError::Untrusted(format!(
            "root {} is another one than this computer has seen before, or missing: this does not \
             belong to the product, or is older than what was seen",
            trusted.version()
        )));
    }
    let mut bytes = first.to_vec();
    while let Some(next) = file(trusted.version().saturating_add(1)) {
        trusted.rotate(next)?;
        bytes = next.to_vec();
    }
    Ok((trusted.root().clone(), bytes))
}
