//! Which releases can be retired, and what the targets roles list afterwards.
//!
//! A retired release moves from its channel to the archive, where machines that had it find it again
//! and no other machine looks. Whoever signs the move and the server that takes it in ask the same
//! functions here.

use std::collections::{BTreeMap, BTreeSet};

use mainstay_client::{
    format::{Channel, ChannelName, PrivateChannelName, TargetPath, Version},
    tuf::{Target, TargetKind, Targets},
};

/// Which kind of role lists a release.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Listing {
    /// Its channel: machines are updated to it.
    #[default]
    Channel,
    /// The archive: it is retired, and machines that had it can go back to it.
    Archive,
    /// A private channel: machines of one customer are updated to it.
    Private,
}

/// A release as a retirement looks at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The version.
    pub version: Version,
    /// The channel that it was published in.
    pub channel: ChannelName,
    /// What lists it.
    pub listing: Listing,
    /// The lowest version that a rollback may reach once it is known.
    pub floor: Option<Version>,
    /// The lowest version that can be updated to it in one step.
    pub min_from: Option<Version>,
}

impl Listed {
    /// The releases that `roles` list, the lowest version first. The roles do not say
    /// [`Listed::min_from`].
    pub fn of(roles: &BTreeMap<ChannelName, Targets>) -> Vec<Self> {
        let entries = roles.iter().flat_map(|(role, targets)| {
            targets.targets.iter().map(move |(path, target)| (role, path, target))
        });
        let mut releases: Vec<_> =
            entries.filter_map(|(role, path, target)| Self::entry(role, path, target)).collect();
        releases.sort_by(|one, other| one.version.cmp(&other.version));
        releases
    }

    fn entry(role: &ChannelName, path: &str, target: &Target) -> Option<Self> {
        let custom = target.custom()?;
        let TargetKind::Release { floor } = custom.kind else { return None };
        let (channel, listing) = if role.is_archive() {
            let path = path.parse::<TargetPath>().ok()?;
            let was = |channel: &Channel| {
                TargetPath::manifest(&(*channel).into(), &custom.version).archived() == path
            };
            (Channel::ALL.into_iter().find(was)?.into(), Listing::Archive)
        } else {
            let listing =
                if role.private().is_some() { Listing::Private } else { Listing::Channel };
            (role.clone(), listing)
        };
        Some(Self { version: custom.version, channel, listing, floor, min_from: None })
    }
}

/// Takes the builds of private channels that have ended for what they are: as retired ones. No machine
/// is updated to them, so they need no stop on the way. Neither roles nor releases say it.
pub fn end_builds(releases: &mut [Listed], ended: &BTreeSet<PrivateChannelName>) {
    for release in releases {
        if release.channel.private().is_some_and(|channel| ended.contains(&channel)) {
            release.listing = Listing::Archive;
        }
    }
}

/// Why one release cannot be retired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// The release's version.
    pub version: Version,
    /// What is in the way, and what to do.
    pub problem: String,
}

/// Everything that is in the way of retiring `versions` in one go, the lowest version first.
///
/// - The newest release of a channel stays: a channel is never without what it is for.
/// - A floor stays known to every machine that it concerns, though none of them looks into the
///   archive. It concerns machines from the bottom of its release's line upwards, so another release
///   of the channel, on that line or a lower one, must set one at least as high.
/// - A stop stays that a release which remains can only be installed over.
/// - A custom build stays in its private channel: the archive is for more than one customer to see.
pub fn obstacles(releases: &[Listed], versions: &BTreeSet<Version>) -> Vec<Obstacle> {
    let mut obstacles = Vec::new();
    let mut refuse = |version: &Version, problem: String| {
        obstacles.push(Obstacle { version: version.clone(), problem });
    };
    let stays = |release: &&Listed| {
        release.listing == Listing::Channel && !versions.contains(&release.version)
    };
    for version in versions {
        let Some(release) = releases.iter().find(|release| release.version == *version) else {
            refuse(version, format!("version {version} is not published"));
            continue;
        };
        let Listed { channel, floor, .. } = release;
        match release.listing {
            Listing::Channel => {}
            Listing::Archive => {
                refuse(version, format!("version {version} is retired already"));
                continue;
            }
            // Everybody who may see the archive would learn of it there.
            Listing::Private => {
                refuse(
                    version,
                    format!(
                        "version {version} is a custom build, which stays in its private channel: \
                         end the channel (mainstay channel end) where no machine is to be updated \
                         to it any more"
                    ),
                );
                continue;
            }
        }
        let siblings = releases.iter().filter(|other| other.channel == *channel);
        // Most machines may not have a pre-release.
        let is_superseded = siblings.clone().any(|other| {
            other.version > *version && (version.is_prerelease() || !other.version.is_prerelease())
        });
        if !is_superseded {
            refuse(
                version,
                format!(
                    "version {version} is the newest of channel {channel}: expected one that a \
                     newer one of the channel has superseded"
                ),
            );
        }
        if let Some(floor) = floor
            && !siblings.filter(stays).any(|other| {
                other.version.line() <= version.line() && other.floor.as_ref() >= Some(floor)
            })
        {
            refuse(
                version,
                format!(
                    "version {version} sets the rollback floor {floor}, which machines would no \
                     longer learn: expected another release of channel {channel} to stay, on line \
                     {} or a lower one, with a floor of at least {floor}",
                    version.line()
                ),
            );
        }
    }
    obstacles.extend(lost_stops(releases, versions));
    obstacles.sort_by(|one, other| one.version.cmp(&other.version));
    obstacles
}

/// Where a release stays that can only be installed over another, of which none would stay.
fn lost_stops(releases: &[Listed], versions: &BTreeSet<Version>) -> Vec<Obstacle> {
    let listed = releases.iter().filter(|release| release.listing != Listing::Archive);
    let mut obstacles = Vec::new();
    for release in listed.clone().filter(|release| !versions.contains(&release.version)) {
        let Some(min_from) = &release.min_from else { continue };
        // Custom builds are stops for those of their own channel. That those of the customer's other
        // channels are too is not looked at, so a stop more than is needed may have to stay.
        let leads_there =
            |stop: &&Listed| stop.listing == Listing::Channel || stop.channel == release.channel;
        let stops = listed
            .clone()
            .filter(leads_there)
            .map(|stop| &stop.version)
            .filter(|stop| min_from <= *stop && **stop < release.version);
        if stops.clone().any(|stop| !versions.contains(stop)) {
            continue;
        }
        if let Some(highest) = stops.max() {
            let problem = format!(
                "version {highest} is the last stop on the way to {}, which can only be installed \
                 over {min_from} or later: expected one of those to stay",
                release.version
            );
            obstacles.push(Obstacle { version: highest.clone(), problem });
        }
    }
    obstacles
}

/// The releases below `bound` that can be retired in one go. Those of them that must stay are left
/// out.
pub fn retirable_below(releases: &[Listed], bound: &Version) -> BTreeSet<Version> {
    let listed = releases.iter().filter(|release| release.listing == Listing::Channel);
    let mut chosen: BTreeSet<_> =
        listed.map(|release| release.version.clone()).filter(|version| version < bound).collect();
    // One at a time: what stays may be all that another one needs.
    while let Some(obstacle) = obstacles(releases, &chosen).first() {
        chosen.remove(&obstacle.version);
    }
    chosen
}

/// The targets by path of the roles that change when `versions` move to the archive: their channels,
/// and the archive itself.
pub fn after_retiring(
    roles: &BTreeMap<ChannelName, Targets>,
    versions: &BTreeSet<Version>,
) -> BTreeMap<ChannelName, BTreeMap<String, Target>> {
    let mut after = BTreeMap::new();
    let mut archive = roles
        .get(&ChannelName::archive())
        .map(|archive| archive.targets.clone())
        .unwrap_or_default();
    for (name, role) in roles.iter().filter(|(name, _)| !name.is_archive()) {
        let (moved, stays): (BTreeMap<_, _>, BTreeMap<_, _>) =
            role.targets.clone().into_iter().partition(|(path, _)| {
                release_of(path).is_some_and(|version| versions.contains(&version))
            });
        if moved.is_empty() {
            continue;
        }
        let moved = moved.into_iter();
        archive.extend(
            moved.map(|(path, target)| (format!("{}/{path}", ChannelName::ARCHIVE), target)),
        );
        after.insert(name.clone(), stays);
    }
    if !after.is_empty() {
        after.insert(ChannelName::archive(), archive);
    }
    after
}

/// The release that a channel's target belongs to: `<channel>/<version>/<file>`.
fn release_of(path: &str) -> Option<Version> {
    path.split('/').nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests;
