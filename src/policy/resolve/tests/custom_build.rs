//! Custom builds: what their customer's machines get, and that nobody else's plans change.

use mainstay_client::format::PrivateChannelName;

use super::*;
use crate::policy::{entitlement::decide_version, upgrade::upgrade_path};

/// A scene in which these versions are custom builds for the customer.
fn with_custom_builds(scene: Scene, versions: &[&str]) -> Scene {
    let name: PrivateChannelName = "a".repeat(26).parse().unwrap();
    versions.iter().fold(scene, |scene, version| {
        let own_channels = OwnChannels { open: [name.clone()].into(), ..OwnChannels::default() };
        Scene { own_channels, ..scene }
            .with_release(version, |release| release.private_channel = Some(name.clone()))
            .with_offer(version, |offer| offer.listing = Listing::Private)
    })
}

#[test]
fn a_custom_build_is_no_pre_release() {
    let scene = || scene(Some("1.0.1"), &["1.0.2-custom.1", "1.0.2-rc.1"]);
    with_custom_builds(scene(), &["1.0.2-custom.1"])
        .expect(&update("1.0.2-custom.1"), &[("1.0.2-rc.1", "PRERELEASE")]);
    let ended = with_custom_builds(scene(), &["1.0.2-custom.1"])
        .with_offer("1.0.2-custom.1", |offer| offer.listing = Listing::Archive);
    ended.expect(&Action::Stay, &[("1.0.2-custom.1", "RETIRED"), ("1.0.2-rc.1", "PRERELEASE")]);
}

#[test]
fn a_custom_build_gives_way_to_custom_builds_alone() {
    let scene = || scene(Some("1.0.2-custom.1"), &["1.0.2-custom.1", "1.0.2", "1.0.3-custom.1"]);
    with_custom_builds(scene(), &["1.0.2-custom.1"])
        .with_release("1.0.3-custom.1", |release| release.status = Status::Draft)
        .expect(&Action::Stay, &[("1.0.2", "CUSTOM_BUILD")]);
    with_custom_builds(scene(), &["1.0.2-custom.1", "1.0.3-custom.1"])
        .expect(&update("1.0.3-custom.1"), &[]);
    // When the channel has ended, its builds are as retired ones.
    let mut ended = with_custom_builds(scene(), &["1.0.2-custom.1", "1.0.3-custom.1"])
        .with_offer("1.0.2-custom.1", |offer| offer.listing = Listing::Archive)
        .with_offer("1.0.3-custom.1", |offer| offer.listing = Listing::Archive);
    ended.own_channels.ended = std::mem::take(&mut ended.own_channels.open);
    ended.expect(&update("1.0.2"), &[("1.0.3-custom.1", "RETIRED")]);
    // Unless another one is open: what is built there takes over.
    ended.own_channels.open.insert("b".repeat(26).parse().unwrap());
    ended.expect(&Action::Stay, &[("1.0.2", "CUSTOM_BUILD"), ("1.0.3-custom.1", "RETIRED")]);
    ended
        .with_offer("1.0.3-custom.1", |offer| offer.listing = Listing::Private)
        .expect(&update("1.0.3-custom.1"), &[]);
    // What another customer's machine claims to run teaches it nothing.
    let claimed = with_custom_builds(scene(), &["1.0.2-custom.1", "1.0.3-custom.1"]);
    let claimed = Scene { own_channels: OwnChannels::default(), ..claimed };
    claimed.expect(&update("1.0.2"), &[]);
}

#[test]
fn a_custom_build_is_no_stop_on_the_way_to_a_release_for_everybody() {
    let versions = ["1.0.1", "1.0.2", "1.0.3-custom.1", "2.0.0"];
    let scene = || scene(Some("1.0.1"), &versions).with_min_from("2.0.0", "1.0.2");
    let builds = &["1.0.3-custom.1"];
    with_custom_builds(scene(), builds).expect(&update("1.0.2"), &[]);
    with_custom_builds(scene(), builds)
        .with_release("1.0.2", |release| release.status = Status::Withdrawn)
        .expect(&update("1.0.3-custom.1"), &[("1.0.2", "WITHDRAWN"), ("2.0.0", "STEP_REQUIRED")]);
    // Nor does it stand in for the stop that a machine without a seat is given.
    with_custom_builds(scene(), builds)
        .with_release("2.0.0", |release| release.channel = Channel::Security)
        .with_machine(|machine| machine.seat = EXCEEDED)
        .expect(&update("1.0.2"), &[("1.0.3-custom.1", "SEATS_EXCEEDED")]);
}

#[test]
fn the_way_to_a_custom_build_leads_through_whatever_there_is() {
    let versions = ["1.0.1", "1.0.2", "1.0.3-custom.1", "2.0.0", "2.0.1-custom.1"];
    let scene = scene(Some("1.0.1"), &versions)
        .with_min_from("2.0.0", "1.0.2")
        .with_min_from("2.0.1-custom.1", "2.0.0");
    let scene = with_custom_builds(scene, &["1.0.3-custom.1", "2.0.1-custom.1"]);
    scene.expect(&update("1.0.2"), &[]);
}

/// The world with its pre-releases as custom builds for its customer, and an offer for each release.
fn with_builds(mut world: World, luck: &[Index]) -> (World, BTreeMap<Version, Offer>, OwnChannels) {
    let mut offers = offers(&world, luck);
    for (_, offer) in offers.iter_mut().filter(|(version, _)| version.is_prerelease()) {
        if offer.listing == Listing::Channel {
            offer.listing = Listing::Private;
        }
    }
    let channels = world.with_builds();
    (world, offers, channels)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// A custom build for one customer changes nothing for any other: no decision, no plan, nothing
    /// that is withheld, no way up; and it is decided as a version that does not exist.
    #[test]
    fn a_custom_build_changes_nothing_for_other_customers(
        world in world(),
        luck in prop::collection::vec(any::<Index>(), 16),
        (model, stop, start) in (any::<Index>(), prop::option::of(any::<Index>()), any::<Index>()),
        (seat, status) in (prop::sample::select(vec![Seat::Held, EXCEEDED]), any::<bool>()),
    ) {
        let model = model.get(&world.releases);
        let name: Version = format!("{}.2-custom.1", model.version.line()).parse().unwrap();
        let mut custom = Release { private_channel: Some("a".repeat(26).parse().unwrap()), ..model.clone() };
        custom.version = name.clone();
        if status {
            custom.status = Status::Published;
        }
        let mut with = world.clone();
        with.releases.push(custom);
        let offers = offers(&world, &luck);
        let mut more_offers = offers.clone();
        more_offers.insert(name.clone(), Offer {
            listing: Listing::Private,
            platforms: BTreeSet::from(["linux-x86_64".parse().unwrap()]),
            min_from: stop.map(|stop| stop.get(&world.releases).version.clone()),
            admission: Admission::Admitted,
            requirement_unmet: None,
            safeguard: None,
        });

        let (catalogue, more) = (world.catalogue(), with.catalogue());
        prop_assert_eq!(catalogue.lines().collect::<Vec<_>>(), more.lines().collect::<Vec<_>>());
        let (decisions, more_decisions) = (world.decisions(), with.decisions());
        let (hidden, others): (Vec<_>, Vec<_>) =
            more_decisions.clone().into_iter().partition(|decision| decision.version == name);
        prop_assert_eq!(&others, &decisions);
        let absent = decide_version(
            &world.contract, Some(&catalogue), &name, &world.history, world.now,
        );
        prop_assert_eq!(&hidden, &vec![absent]);

        let standing = Standing::new(&world.contract, &catalogue, world.now);
        let more_standing = Standing::new(&world.contract, &more, world.now);
        let known = start.get(&world.releases).version.clone();
        for running in [None, Some(known), Some(name.clone())] {
            let platform: Platform = "linux-x86_64".parse().unwrap();
            let machine = Machine { seat, ..Machine::new(running, platform) };
            let without = resolve(&standing, &decisions, &offers, &machine);
            let with = resolve(&more_standing, &more_decisions, &more_offers, &machine);
            prop_assert_eq!(without, with);
            for to in [None, Some(&name)] {
                let without = upgrade_path(&standing, &decisions, &offers, &machine, to);
                let with = upgrade_path(&more_standing, &more_decisions, &more_offers, &machine, to);
                prop_assert_eq!(without, with);
            }
        }
    }

    /// Where the plans end, nothing is above that the first of them did not withhold: so what it took
    /// for the target is come to. And the way up agrees with every hop.
    #[test]
    fn the_plans_lead_to_what_the_first_of_them_does_not_withhold(
        world in world(),
        luck in prop::collection::vec(any::<Index>(), 16),
        start in prop::option::of(any::<Index>()),
        seat in prop::sample::select(vec![Seat::Held, EXCEEDED]),
    ) {
        let (world, offers, channels) = with_builds(world, &luck);
        let catalogue = world.catalogue();
        let standing =
            Standing::new(&world.contract, &catalogue, world.now).with_private_channels(&channels);
        let decisions = standing.decide_all(&world.history);
        let running = start.map(|start| start.get(&world.releases).version.clone());
        let first = Machine { seat, ..Machine::new(running, "linux-x86_64".parse().unwrap()) };
        let promised = resolve(&standing, &decisions, &offers, &first).withheld;
        let mut machine = first.clone();
        for _ in 0..=world.releases.len() {
            let Action::Update(hop) = resolve(&standing, &decisions, &offers, &machine).action
            else { break };
            let path = upgrade_path(&standing, &decisions, &offers, &machine, Some(&hop));
            prop_assert_eq!(path.map(|path| path.hops.len()), Ok(1), "{:?} to {}", &machine.running, hop);
            let whole = upgrade_path(&standing, &decisions, &offers, &first, Some(&hop));
            prop_assert!(whole.is_ok(), "{:?} to {}: {:?}", &first.running, hop, whole);
            machine.running = Some(hop);
        }
        for decision in decisions.iter().filter(|decision| decision.code != Code::NotFound) {
            let version = &decision.version;
            let is_above = machine.running.as_ref().is_none_or(|end| end < version);
            let was_withheld = promised.iter().any(|entry| entry.version == *version);
            prop_assert!(!is_above || was_withheld, "{version} is neither reached nor withheld");
        }
    }
}
