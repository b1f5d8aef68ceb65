//! Custom builds: what their customer's machines get, and that nobody else's plans change.

use super::*;
use crate::policy::{entitlement::decide_version, upgrade::upgrade_path};

/// A scene in which these versions are custom builds for the customer.
fn with_custom_builds(scene: Scene, versions: &[&str]) -> Scene {
    let name: PrivateChannelName = "a".repeat(26).parse().unwrap();
    versions.iter().fold(scene, |scene, version| {
        let scene = Scene { private_channels: BTreeSet::from([name.clone()]), ..scene };
        scene
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
    with_custom_builds(scene(), &["1.0.2-custom.1", "1.0.3-custom.1"])
        .with_offer("1.0.2-custom.1", |offer| offer.listing = Listing::Archive)
        .with_offer("1.0.3-custom.1", |offer| offer.listing = Listing::Archive)
        .expect(&update("1.0.2"), &[("1.0.3-custom.1", "RETIRED")]);
    // What another customer's machine claims to run teaches it nothing.
    let claimed = with_custom_builds(scene(), &["1.0.2-custom.1", "1.0.3-custom.1"]);
    let claimed = Scene { private_channels: BTreeSet::new(), ..claimed };
    claimed.expect(&update("1.0.2"), &[]);
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
}
