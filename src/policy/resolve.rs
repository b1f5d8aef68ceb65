//! Which of the granted releases a machine installs next.
//!
//! Entitlement is about the contract; *deliverability*, decided here, is about the machine: holds,
//! blocks, waves, platforms. The target is the highest release that is granted, deliverable and
//! reachable; [`Resolution::action`] is the first hop on the way to it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
};

use mainstay_client::format::{Channel, Platform, Version};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    catalogue::Status,
    entitlement::{Code, Decision, Standing},
    retirement::Listing,
};

mod admission;
mod reason;

pub use admission::{Admission, Wait};
pub use reason::{DeliveryCode, OrderRefusal, Reason};

/// What is known of a machine and wanted from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// What it runs; nothing on a fresh machine.
    pub running: Option<Version>,
    /// What its artifacts must be built for.
    pub platform: Platform,
    /// How early it gets releases.
    pub ring: Ring,
    /// Whether it counts among the machines that the contract pays for.
    pub seat: Seat,
    /// Until when and why a technician has stopped its updates, for people; nothing where nobody has.
    pub hold: Option<String>,
    /// The one version that a technician wants it to run.
    pub pin: Option<Pin>,
    /// The versions kept from it.
    pub blocks: Vec<Block>,
    /// The version that a technician ordered it to go back to, while the order is not carried out.
    pub rollback: Option<Version>,
    /// The lowest version that a rollback may reach, as the vendor signed it.
    pub floor: Option<Version>,
}

impl Machine {
    /// A machine of the general ring that nobody wants anything special from.
    pub fn new(running: Option<Version>, platform: Platform) -> Self {
        Self {
            running,
            platform,
            ring: Ring::General,
            seat: Seat::Held,
            hold: None,
            pin: None,
            blocks: Vec::new(),
            rollback: None,
            floor: None,
        }
    }

    /// The same without what passes: a hold, a pin, a pending order, a want of seats.
    pub(super) fn undisturbed(&self) -> Self {
        Self { hold: None, pin: None, seat: Seat::Held, rollback: None, ..self.clone() }
    }

    fn is_below(&self, version: &Version) -> bool {
        self.running.as_ref().is_none_or(|running| running < version)
    }

    fn block(&self, version: &Version) -> Option<&Block> {
        self.blocks.iter().find(|block| block.covers(version))
    }
}

/// The one version that a machine is to run: it is updated to that and to the stops on the way, and to
/// nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    /// The version.
    pub version: Version,
    /// Why, for people.
    pub reason: String,
}

impl Pin {
    fn detail(&self) -> String {
        format!("{}: {}", self.version, self.reason)
    }
}

/// How early a machine gets releases.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Ring {
    /// First of all, and pre-releases too.
    Preview,
    /// Before most.
    Early,
    /// With most.
    #[default]
    General,
    /// After all others.
    Last,
}

impl Ring {
    /// All rings, the earliest first.
    pub const ALL: [Self; 4] = [Self::Preview, Self::Early, Self::General, Self::Last];

    /// The ring's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Preview => "preview",
            Self::Early => "early",
            Self::General => "general",
            Self::Last => "last",
        }
    }
}

impl fmt::Display for Ring {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl FromStr for Ring {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|ring| ring.as_str() == text).ok_or_else(|| {
            format!(
                "ring `{}` is not valid: expected preview, early, general or last",
                text.escape_debug()
            )
        })
    }
}

/// Whether a machine counts among those that the contract pays for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seat {
    /// It does.
    Held,
    /// All seats were taken before it came.
    Exceeded {
        /// How many seats there are.
        seats: u32,
        /// How many machines there are.
        machines: usize,
    },
}

impl Seat {
    /// What a machine without a seat is told: how many there are, for how many, what to do.
    pub fn notice(self) -> Option<String> {
        let Self::Exceeded { seats, machines } = self else { return None };
        Some(format!(
            "Your contract has fewer seats than machines: {seats} for {machines} machines. This \
             machine is one of the newest and has none. It gets security releases only, and where \
             nothing runs on it, nothing. Have a machine retired that is not used any more, or ask \
             for more seats."
        ))
    }
}

/// Versions kept from a machine: those above `over` up to and with `through`, or `through` alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Block {
    /// The highest version below the block; absent where only `through` is blocked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over: Option<Version>,
    /// The highest version blocked.
    pub through: Version,
    /// Why, for people.
    pub reason: String,
}

impl Block {
    /// Whether the version is blocked.
    pub fn covers(&self, version: &Version) -> bool {
        match &self.over {
            Some(over) => over < version && *version <= self.through,
            None => *version == self.through,
        }
    }

    /// The block without `version`, as one or two: all of `versions` that it covers are covered still.
    pub fn without<'a>(
        &self,
        version: &Version,
        versions: impl Iterator<Item = &'a Version>,
    ) -> Vec<Self> {
        if !self.covers(version) {
            return vec![self.clone()];
        }
        let below = versions.filter(|other| *other < version && self.covers(other)).max();
        let lower = below.map(|below| Self { through: below.clone(), ..self.clone() });
        let upper =
            (*version < self.through).then(|| Self { over: Some(version.clone()), ..self.clone() });
        lower.into_iter().chain(upper).collect()
    }
}

/// How one release can be delivered to the machine at hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The platforms that it has an artifact for.
    pub platforms: BTreeSet<Platform>,
    /// What lists it.
    pub listing: Listing,
    /// The lowest version that can be updated to it in one step.
    pub min_from: Option<Version>,
    /// Whether its rollout has come to the machine.
    pub admission: Admission,
    /// What the release requires and the machine lacks, for people; nothing where it lacks nothing.
    pub requirement_unmet: Option<String>,
    /// Why it is held back from machines like this one, for people; nothing where it is not.
    pub safeguard: Option<String>,
}

/// What a machine is to do, and what it does not get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolution {
    /// What it is to do now.
    pub action: Action,
    /// The version that updates lead to in the end, where they lead anywhere.
    pub target: Option<Version>,
    /// The releases that it could be updated to on its way there or in place of it, the lowest first.
    pub reached: Vec<Version>,
    /// The releases above what runs that it does not get, the nearest first.
    pub withheld: Vec<Withheld>,
    /// Why the pending rollback order is not carried out, where it is not.
    pub order_refusal: Option<OrderRefusal>,
}

/// What a machine is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    Stay,
    /// Install a higher version, or the first one.
    Update(Version),
    /// Go back to a lower version.
    Rollback(Version),
}

/// A release above what runs that the machine does not get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withheld {
    /// The version.
    pub version: Version,
    /// Its channel.
    pub channel: Channel,
    /// Why.
    pub code: Reason,
    /// Why, in a sentence.
    pub sentence: String,
    /// A granted release that fixes at least the same advisories.
    pub alternative: Option<Version>,
}

/// Decides what the machine does next.
///
/// `decisions` are those of `standing` over its catalogue for this machine; `offers` says of each
/// release how it can be delivered, and a release without an offer cannot.
///
/// - Never a downgrade, unless a rollback order says so. While an order is pending the machine is
///   not updated: it goes back, or it stays and [`Resolution::order_refusal`] says why.
/// - A hop leads to a release that is itself granted and deliverable, from a version that is at
///   least its `min_from`. The first hop is the highest that can be installed at once and that leads
///   to the target: a custom build does not lead to a release for everybody.
/// - `min_from` does not bind a fresh machine: there is no data that a stop on the way would have
///   to migrate.
/// - A withdrawn release is never updated to, not even where the machine's history grants it: that
///   grant is for going back.
/// - A retired release is never updated to. A machine that had it can be ordered back to it.
/// - A machine that runs a custom build is updated to custom builds alone, for as long as its customer
///   has a private channel of the product that is open.
/// - A machine without a seat gets security releases where something runs on it, and the stops on
///   the way to them; nothing else, and no first release.
/// - A machine that is pinned is updated to the version of its pin or not at all.
/// - What is merely superseded by the target is not withheld, nor is below it a pre-release, a retired
///   release, or one that would take the place of a custom build.
///   Releases that are hidden from the customer are never listed.
pub fn resolve(
    standing: &Standing<'_>,
    decisions: &[Decision],
    offers: &BTreeMap<Version, Offer>,
    machine: &Machine,
) -> Resolution {
    let mut ascending: Vec<&Decision> =
        decisions.iter().filter(|decision| machine.is_below(&decision.version)).collect();
    ascending.sort_by(|one, other| one.version.cmp(&other.version));

    let fixes = match machine.seat {
        Seat::Held => BTreeSet::new(),
        Seat::Exceeded { .. } => fixes_without_a_seat(standing, &ascending, offers, machine),
    };
    let mut route = Route::new(machine.running.as_ref(), offers);
    let mut withheld = Vec::new();
    for decision in ascending {
        let seat = if fixes.contains(&decision.version) { Seat::Held } else { machine.seat };
        let denial = match denial(standing, decision, offers, machine, seat) {
            Some(denial) => Some(denial),
            None => route.denial(&decision.version),
        };
        if let Some((code, sentence)) = denial {
            withheld.extend(listed(standing, decision, code, sentence));
        }
    }
    let is_astray =
        |pin: &&Pin| machine.is_below(&pin.version) && route.target() != Some(&pin.version);
    if let Some(pin) = machine.pin.as_ref().filter(is_astray) {
        // What would lead elsewhere is not taken in its place.
        let code = DeliveryCode::Pinned;
        withheld.extend(route.give_up().into_iter().filter_map(|version| {
            let decision = decisions.iter().find(|decision| decision.version == *version)?;
            let sentence = code.sentence(version, &pin.detail());
            listed(standing, decision, Reason::Delivery(code), sentence)
        }));
        withheld.sort_by(|one, other| one.version.cmp(&other.version));
    }
    let (first_hop, target) = (route.first_hop(), route.target());
    withheld.retain(|entry| {
        let is_superseded = target.is_some_and(|target| entry.version < *target);
        let is_minor = matches!(
            entry.code,
            Reason::Delivery(
                DeliveryCode::Prerelease | DeliveryCode::Retired | DeliveryCode::CustomBuild
            )
        );
        !(is_superseded && is_minor)
    });

    let (action, order_refusal) = match (&machine.rollback, first_hop) {
        (Some(order), _) => match order_refusal(order, decisions, offers, machine) {
            None => (Action::Rollback(order.clone()), None),
            refusal => (Action::Stay, refusal),
        },
        (None, Some(version)) => (Action::Update(version.clone()), None),
        (None, None) => (Action::Stay, None),
    };
    let reached = route.reached.iter().copied().cloned().collect();
    Resolution { action, target: target.cloned(), reached, withheld, order_refusal }
}

/// The way up from what runs, walked over the versions in ascending order.
struct Route<'a> {
    running: Option<&'a Version>,
    offers: &'a BTreeMap<Version, Offer>,
    /// What can be reached, the lowest version first.
    reached: Vec<&'a Version>,
}

impl<'a> Route<'a> {
    fn new(running: Option<&'a Version>, offers: &'a BTreeMap<Version, Offer>) -> Self {
        Self { running, offers, reached: Vec::new() }
    }

    /// Takes in the next higher version that is granted and deliverable: either it can be reached,
    /// or the step that is missing is told.
    fn denial(&mut self, version: &'a Version) -> Option<(Reason, String)> {
        // The nearest is the likeliest to lead there.
        let is_reached = self.is_one_hop(version)
            || self.reached.iter().rev().any(|stop| self.leads(stop, version));
        if is_reached {
            self.reached.push(version);
            return None;
        }
        let min_from = self.offers.get(version).and_then(|offer| offer.min_from.as_ref());
        let code = DeliveryCode::StepRequired;
        let stop = min_from.map(Version::to_string).unwrap_or_default();
        Some((Reason::Delivery(code), code.sentence(version, &stop)))
    }

    /// Takes back everything that was reached.
    fn give_up(&mut self) -> Vec<&'a Version> {
        std::mem::take(&mut self.reached)
    }

    /// The highest version that can be reached; nothing where that is what runs.
    fn target(&self) -> Option<&'a Version> {
        self.reached.last().copied()
    }

    /// The highest version that is one hop away and on a way to the target.
    fn first_hop(&self) -> Option<&'a Version> {
        let mut on_the_way: Vec<&Version> = Vec::new();
        for version in self.reached.iter().rev().copied() {
            let is_target = on_the_way.is_empty();
            if !is_target && !on_the_way.iter().any(|next| self.leads(version, next)) {
                continue;
            }
            if self.is_one_hop(version) {
                return Some(version);
            }
            on_the_way.push(version);
        }
        None
    }

    /// On a fresh machine nothing runs, so everything is one hop away.
    fn is_one_hop(&self, version: &Version) -> bool {
        self.running.is_none_or(|running| admits(self.offers, running, version))
    }

    fn leads(&self, stop: &Version, version: &Version) -> bool {
        leads(self.offers, stop, version)
    }
}

/// Whether a machine that has come to `stop` on its way can go on to `version`. From a custom build
/// it goes on to custom builds alone.
pub(super) fn leads(offers: &BTreeMap<Version, Offer>, stop: &Version, version: &Version) -> bool {
    let is_custom = |version: &Version| {
        offers.get(version).is_some_and(|offer| offer.listing == Listing::Private)
    };
    stop < version && admits(offers, stop, version) && (is_custom(version) || !is_custom(stop))
}

/// Whether `version` can be installed over `from`.
fn admits(offers: &BTreeMap<Version, Offer>, from: &Version, version: &Version) -> bool {
    let min_from = offers.get(version).and_then(|offer| offer.min_from.as_ref());
    min_from.is_none_or(|min_from| min_from <= from)
}

/// What a machine that runs something may have without a seat: security releases, and for each that
/// nothing else leads to the lowest release over which it can be installed.
fn fixes_without_a_seat<'a>(
    standing: &Standing<'_>,
    ascending: &[&'a Decision],
    offers: &BTreeMap<Version, Offer>,
    machine: &Machine,
) -> BTreeSet<&'a Version> {
    let Some(running) = &machine.running else { return BTreeSet::new() };
    // What it could reach if it had a seat: a stop that nothing leads to is of no use.
    let mut route = Route::new(Some(running), offers);
    let candidates: Vec<&Version> = ascending
        .iter()
        .filter(|decision| denial(standing, decision, offers, machine, Seat::Held).is_none())
        .map(|decision| &decision.version)
        .filter(|version| route.denial(version).is_none())
        .collect();
    let is_security = |version: &&Version| {
        let release = standing.catalogue().release(version);
        release.is_some_and(|release| release.channel == Channel::Security)
    };
    let mut fixes: BTreeSet<&Version> = candidates.iter().copied().filter(is_security).collect();
    // From the highest on: a stop that is added lies below, and gets its turn.
    for version in candidates.iter().rev().copied() {
        let is_one_hop = admits(offers, running, version);
        let leads_there = |stop: &&Version| route.leads(stop, version);
        if !is_one_hop && fixes.contains(version) && !fixes.iter().any(leads_there) {
            fixes.extend(candidates.iter().copied().find(leads_there));
        }
    }
    fixes
}

/// Why the machine does not get the release, apart from the way to it.
fn denial(
    standing: &Standing<'_>,
    decision: &Decision,
    offers: &BTreeMap<Version, Offer>,
    machine: &Machine,
    seat: Seat,
) -> Option<(Reason, String)> {
    let version = &decision.version;
    if !decision.is_grant() {
        return Some((Reason::Entitlement(decision.code), standing.explain(decision)));
    }
    let release = standing.catalogue().release(version);
    if release.is_none_or(|release| release.status == Status::Withdrawn) {
        let withdrawn = Decision::new(version, Code::Withdrawn, None);
        return Some((Reason::Entitlement(Code::Withdrawn), standing.explain(&withdrawn)));
    }
    let offer = offers.get(version);
    let (code, detail) = undelivered(version, offer, machine, seat)
        .or_else(|| displaced(standing, offer, machine))?;
    Some((Reason::Delivery(code), code.sentence(version, &detail)))
}

/// The custom build that runs, where no release for everybody takes its place: what was built for the
/// customer would be gone. Where its channel has ended, another one that is open takes over.
pub fn kept_build<'a>(standing: &Standing<'_>, machine: &'a Machine) -> Option<&'a Version> {
    let running = machine.running.as_ref()?;
    // A machine can claim to run whatever it likes.
    let release =
        standing.catalogue().release(running).filter(|release| standing.shows(release))?;
    let is_kept = release.private_channel.is_some() && !standing.own_channels().open.is_empty();
    is_kept.then_some(running)
}

/// The custom build that a release for everybody would take the place of.
pub(super) fn displaced(
    standing: &Standing<'_>,
    offer: Option<&Offer>,
    machine: &Machine,
) -> Option<(DeliveryCode, String)> {
    let is_custom = offer.is_some_and(|offer| offer.listing == Listing::Private);
    let kept = kept_build(standing, machine).filter(|_| !is_custom)?;
    Some((DeliveryCode::CustomBuild, kept.to_string()))
}

/// The first deliverability rule that keeps a granted release from the machine, and what about it
/// a person would want to know.
pub(super) fn undelivered(
    version: &Version,
    offer: Option<&Offer>,
    machine: &Machine,
    seat: Seat,
) -> Option<(DeliveryCode, String)> {
    if offer.is_some_and(|offer| offer.listing == Listing::Archive) {
        return Some((DeliveryCode::Retired, String::new()));
    }
    // A pre-release is nothing that a hold or a block keeps from the machine; and a rollout, which
    // comes sooner or later, is told of last, so that it raises no false hope.
    let is_custom_build = offer.is_some_and(|offer| offer.listing == Listing::Private);
    if version.is_prerelease() && !is_custom_build && machine.ring != Ring::Preview {
        return Some((DeliveryCode::Prerelease, String::new()));
    }
    if let Some(hold) = &machine.hold {
        return Some((DeliveryCode::Held, hold.clone()));
    }
    if let Some(pin) = machine.pin.as_ref().filter(|pin| *version > pin.version) {
        return Some((DeliveryCode::Pinned, pin.detail()));
    }
    if let Some(block) = machine.block(version) {
        return Some((DeliveryCode::Blocked, block.reason.clone()));
    }
    let Some(offer) = offer.filter(|offer| offer.platforms.contains(&machine.platform)) else {
        return Some((DeliveryCode::Platform, machine.platform.to_string()));
    };
    if let Some(requirement) = &offer.requirement_unmet {
        return Some((DeliveryCode::Requirement, requirement.clone()));
    }
    if let Some(reason) = &offer.safeguard {
        return Some((DeliveryCode::Safeguard, reason.clone()));
    }
    if let Seat::Exceeded { seats, machines } = seat {
        let detail = format!("{seats} for {machines} machines");
        return Some((DeliveryCode::SeatsExceeded, detail));
    }
    if let Admission::Waits(wait) = offer.admission {
        return Some((DeliveryCode::RolloutWait, wait.detail()));
    }
    let order = machine.rollback.as_ref()?;
    Some((DeliveryCode::Held, format!("a rollback to {order} is pending")))
}

fn listed(
    standing: &Standing<'_>,
    decision: &Decision,
    code: Reason,
    sentence: String,
) -> Option<Withheld> {
    let is_hidden = matches!(code, Reason::Entitlement(code) if code.is_hidden());
    let release = standing.catalogue().release(&decision.version).filter(|_| !is_hidden)?;
    let alternative = decision.alternative.clone();
    let version = decision.version.clone();
    Some(Withheld { version, channel: release.channel, code, sentence, alternative })
}

/// Why the order is not carried out, or nothing where it is.
///
/// A hold or a block does not stand in its way: an order is one person's deliberate word about one
/// version, and going back is what helps when all else is stopped.
fn order_refusal(
    order: &Version,
    decisions: &[Decision],
    offers: &BTreeMap<Version, Offer>,
    machine: &Machine,
) -> Option<OrderRefusal> {
    let order_is_lower = machine.running.as_ref().is_some_and(|running| order < running);
    if !order_is_lower {
        return Some(OrderRefusal::NotLower {
            ordered: order.clone(),
            running: machine.running.clone(),
        });
    }
    let decision = decisions.iter().find(|decision| decision.version == *order);
    let code = decision.map_or(Code::NotFound, |decision| decision.code);
    if !decision.is_some_and(Decision::is_grant) {
        return Some(OrderRefusal::Denied { ordered: order.clone(), code });
    }
    if let Some(floor) = machine.floor.as_ref().filter(|floor| order < *floor) {
        return Some(OrderRefusal::BelowFloor { ordered: order.clone(), floor: floor.clone() });
    }
    let offer = offers.get(order);
    let was_here = code == Code::Rollback;
    if !was_here && offer.is_some_and(|offer| offer.listing == Listing::Archive) {
        return Some(OrderRefusal::Retired { ordered: order.clone() });
    }
    let fits = offer.is_some_and(|offer| offer.platforms.contains(&machine.platform));
    (!fits).then(|| OrderRefusal::Platform {
        ordered: order.clone(),
        platform: machine.platform.clone(),
    })
}

#[cfg(test)]
pub(super) mod tests;
