use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU64,
    path::PathBuf,
};

use clap::Args;
use jiff::Timestamp;
use mainstay_client::{
    format::{ChannelName, Lines, ProductName, Version, wire::PublishingState},
    tuf::{Header, Metadata as _, Targets},
};
use serde::Serialize;

use super::super::{
    CliError, CliResult, Connection, Output, ServerArgs,
    keys::KeyArgs,
    publish::CHANNEL_LIFETIME,
    trust::{Proposal, Review, next_header, proposed, remember, submit, unsigned},
    vendor_trust::{VendorTrust, VendorView},
};
use crate::{
    clock::Clock,
    policy::{
        Listing, RolloutWish,
        retirement::{self, Listed},
    },
    service::private_channel::PrivateChannelView,
    store::ReleaseRecord,
};

/// Move releases from their channels to the archive. No machine is updated to them any more; one
/// that ran them can be ordered back to them.
///
/// The newest release of a channel stays, and so does one whose floor or whose being a stop on the
/// way to another is still needed.
#[derive(Debug, Args)]
pub(in crate::cli) struct Retire {
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    keys: KeyArgs,
    /// Whose releases.
    #[arg(long, value_name = "NAME")]
    product: ProductName,
    /// A version to retire. Give as many as you like.
    #[arg(value_name = "VERSION", required_unless_present = "before")]
    versions: Vec<Version>,
    /// Retire every release below this version, but for those that must stay.
    #[arg(long, value_name = "VERSION")]
    before: Option<Version>,
    /// A release key that signs the channels and the archive. Give it again for each further one.
    #[arg(long, default_value = "release", value_name = "KEY")]
    release_key: Vec<String>,
    /// Write what is to be signed into this file, for others to sign too: where several release keys
    /// must sign, and no computer has them all. `mainstay trust submit` makes it come true.
    #[arg(long, value_name = "FILE")]
    propose: Option<PathBuf>,
}

/// What was retired.
#[derive(Debug, Serialize)]
struct Retired {
    product: ProductName,
    versions: BTreeSet<Version>,
    revision: u64,
}

impl Retire {
    pub(super) fn run(self, output: Output) -> CliResult {
        let server = self.server.connect()?;
        let trust = VendorTrust::new(&self.keys.keys, &self.product);
        let path = format!("/v1/products/{}/publishing", self.product);
        let state: PublishingState = server.get(&path)?;
        let view = trust.verify(&state, Clock::system().now())?;
        require_archive(&view)?;
        let releases = self.releases(&server, &view)?;
        let versions = self.chosen(&releases, output)?;
        let obstacles = retirement::obstacles(&releases, &versions).into_iter();
        let problems: Vec<_> = obstacles.map(|obstacle| obstacle.problem).collect();
        if !problems.is_empty() {
            return Err(CliError::Unretirable(problems));
        }
        let documents = documents(&self.product, &view.channels, &versions, state.now)?;
        let proposal =
            Proposal::to_retire(self.product.clone(), &state, documents, versions.clone());
        let mut review = Review::new(&proposal, &trust.seen()?, Clock::system().now())?;
        self.sign(&mut review)?;
        if let Some(file) = &self.propose {
            let proposal = Proposal { documents: review.texts()?, ..proposal };
            return proposed(&proposal, file, &self.keys, output);
        }
        if !review.is_complete() {
            return Err(CliError::Input(
                "nothing was retired: not every key that must sign is here; give further ones with \
                 --release-key, or have it signed by others with --propose FILE"
                    .to_owned(),
            ));
        }
        let revision = submit(&server, &proposal, &review, RolloutWish::default())?;
        remember(&server, &proposal, &trust, output);
        let retired = Retired { product: self.product, versions, revision };
        output.answer(&retired, |Retired { product, versions, revision }| {
            format!("{product}: retired {} (revision {revision}).", listed(versions))
        })
    }

    /// What the signed roles list; the server adds what they do not say.
    fn releases(&self, server: &Connection, view: &VendorView) -> Result<Vec<Listed>, CliError> {
        let path = format!("/v1/products/{}/releases", self.product);
        let records: Vec<ReleaseRecord> = server.get(&path)?;
        let path = format!("/v1/products/{}/channels", self.product);
        let channels: Vec<PrivateChannelView> = server.get(&path)?;
        let ended = channels
            .into_iter()
            .filter(|view| view.channel.ended_at.is_some())
            .map(|view| view.channel.name)
            .collect();
        let mut releases = Listed::of(&view.channels);
        retirement::end_builds(&mut releases, &ended);
        for release in &mut releases {
            let record = records.iter().find(|one| one.release.version == release.version);
            release.min_from = record.and_then(|record| record.min_from.clone());
        }
        Ok(releases)
    }

    fn chosen(&self, releases: &[Listed], output: Output) -> Result<BTreeSet<Version>, CliError> {
        let mut versions: BTreeSet<_> = self.versions.iter().cloned().collect();
        if let Some(bound) = &self.before {
            let below = retirement::retirable_below(releases, bound);
            let stay = releases
                .iter()
                .filter(|release| release.listing == Listing::Channel && release.version < *bound);
            let stay: BTreeSet<_> = stay
                .map(|release| release.version.clone())
                .filter(|version| !below.contains(version) && !versions.contains(version))
                .collect();
            if !stay.is_empty() {
                output.say(&format!("These are needed and stay: {}.", listed(&stay)));
            }
            versions.extend(below);
        }
        if versions.is_empty() {
            return Err(CliError::Input(
                "there is nothing to retire below that version".to_owned(),
            ));
        }
        Ok(versions)
    }

    fn sign(&self, review: &mut Review) -> CliResult {
        for name in &self.release_key {
            let key = self.keys.private(name)?;
            if review.sign(&key)?.is_empty() {
                return Err(CliError::Input(format!(
                    "key {name} ({}) may sign none of the channels, nor the archive: the product's \
                     targets name other keys",
                    mainstay_client::tuf::Signer::public(&key).id()
                )));
            }
        }
        Ok(())
    }
}

/// A product from before there was an archive has none.
fn require_archive(view: &VendorView) -> CliResult {
    let delegations = view.repository.targets().delegations.as_ref();
    if delegations.is_some_and(|listed| listed.role(ChannelName::ARCHIVE).is_some()) {
        return Ok(());
    }
    Err(CliError::Input(
        "the product has no role `archive`: add it with `mainstay trust propose --add-archive`, \
         which the targets key signs"
            .to_owned(),
    ))
}

/// The roles that change, unsigned, by name.
fn documents(
    product: &ProductName,
    present: &BTreeMap<ChannelName, Targets>,
    versions: &BTreeSet<Version>,
    now: Timestamp,
) -> Result<BTreeMap<String, String>, CliError> {
    let after = retirement::after_retiring(present, versions).into_iter();
    after
        .map(|(role, targets)| {
            let header = match present.get(&role) {
                Some(known) => next_header::<Targets>(known.header(), now, CHANNEL_LIFETIME)?,
                None => first_header(product, now)?,
            };
            let next = Targets { header, targets, delegations: None, lines: Lines::default() };
            Ok((role.to_string(), unsigned(&next)?))
        })
        .collect()
}

fn first_header(product: &ProductName, now: Timestamp) -> Result<Header, CliError> {
    let expires =
        now.checked_add(CHANNEL_LIFETIME).map_err(|error| CliError::Input(error.to_string()))?;
    Ok(Header::of::<Targets>(product.clone(), NonZeroU64::MIN, expires))
}

fn listed(versions: &BTreeSet<Version>) -> String {
    versions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
